#ifndef RAMIFY_KERNELS_SETS_H
#define RAMIFY_KERNELS_SETS_H
/* The tables that select.c chooses from. Which of them exist depends on the architecture. */

#include "kernels.h"

extern const ramify_kernels ramify_kernels_reference_set;
extern const ramify_kernels ramify_kernels_set_baseline;
extern const ramify_kernels ramify_kernels_set_avx2;
extern const ramify_kernels ramify_kernels_set_avx512;
extern const ramify_kernels ramify_kernels_set_avx512vnni;
extern const ramify_kernels ramify_kernels_set_neon;

#endif

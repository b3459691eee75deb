#ifndef RAMIFY_TRAIN_PARAFORMER_SCORE_H
#define RAMIFY_TRAIN_PARAFORMER_SCORE_H

#include "paraformer_fit.h"

/* Bytes that ramify_paraformer_score allocates on some number of threads. */
uint64_t ramify_paraformer_score_bytes(const ramify_problem *problem,
                                       const ramify_paraformer_shape *shape, size_t rows,
                                       uint32_t workers);

#endif

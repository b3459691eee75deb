#ifndef RAMIFY_BASE_ISA_H
#define RAMIFY_BASE_ISA_H

/* The name of the instruction set to compute with: `wanted` if this processor and operating system
 * have it, the best they have if `wanted` is NULL or "", and NULL if `wanted` is unknown or missing
 * here. Names: "baseline" (what the build's target guarantees), "avx2" (with FMA), "avx512" (F, DQ,
 * BW, VL), "neon". The result is a constant. */
const char *ramify_isa_choose(const char *wanted);

#endif

#ifndef RAMIFY_KERNELS_QUANTISED_H
#define RAMIFY_KERNELS_QUANTISED_H
/* A dense matrix of int8 or bfloat16 weights, as it lies in memory: by slices of 16 outputs, and in a
 * slice by pairs of inputs,
 *     weight[n / 16][pairs][16 outputs][2 inputs]
 * so that a vector holds a pair of weights of each output, which one instruction multiplies by a pair of
 * inputs and adds up. Inputs that there are not have weights of 0, or any others: they are not used. */

#include "sparse.h"

/* Pairs of k inputs: an even number of them. */
static inline size_t ramify_pairs(size_t k) {
    return (k + 3) / 4 * 2;
}

/* Index of a weight in the matrix. */
static inline size_t ramify_pair_at(size_t k, size_t input, size_t output) {
    return ((output / RAMIFY_SLICE * ramify_pairs(k) + input / 2) * RAMIFY_SLICE +
            output % RAMIFY_SLICE) *
               2 +
           input % 2;
}

/* The largest whole number that one of k inputs is rounded to: sums of k products with int8 weights then
 * stay below 2^31. */
static inline int32_t ramify_round_most(size_t k) {
    const size_t most = (((size_t)1 << 31) - 1) / (128 * (k > 0 ? k : 1));
    return most < INT16_MAX ? (int32_t)most : INT16_MAX;
}

/* Inputs below this in size count as 0, as their inverse may be infinite. */
#define RAMIFY_ROUND_LEAST 1e-30F

#endif

#ifndef RAMIFY_KERNELS_SPARSE_H
#define RAMIFY_KERNELS_SPARSE_H
/* A matrix of which most numbers are zero, as it lies in memory: by slices of 16 outputs
 * ("SELL-C-sigma" with C = 16; Kreutzer, Hager, Wellein, Fehske, Bishop 2014).
 *
 * A slice has as many *steps* as its fullest output has weights. A step holds 16 weights, one of each
 * output, and the number of the input that each is of. Outputs with fewer weights end in zeros (of
 * input 0). Sorting outputs by their number of weights keeps these zeros few. */

#include <stddef.h>
#include <stdint.h>

/* Outputs of a slice. */
#define RAMIFY_SLICE 16

/* Inputs of a matrix whose weights' inputs are bytes; with more they are 16 bits. */
#define RAMIFY_SPARSE_BYTE_INPUTS 256
#define RAMIFY_SPARSE_INPUTS_MAX  65536

/* How a weight is stored. */
typedef enum ramify_weights {
    RAMIFY_WEIGHTS_FLOAT32,
    RAMIFY_WEIGHTS_BFLOAT16, /* the upper half of a float32 */
    RAMIFY_WEIGHTS_INT8
} ramify_weights;

typedef struct ramify_sparse {
    size_t k, n;           /* inputs, 1 to RAMIFY_SPARSE_INPUTS_MAX; outputs, a multiple of 16 */
    const uint32_t *steps; /* n / 16 */
    const void *weights;   /* per step 16, each float, uint16_t or int8_t */
    const void *inputs;    /* per step 16, each below k: uint8_t, or uint16_t if k is above 256 */
    ramify_weights type;
} ramify_sparse;

/* Bytes of a weight. */
static inline size_t ramify_weight_bytes(ramify_weights type) {
    return type == RAMIFY_WEIGHTS_FLOAT32 ? 4 : type == RAMIFY_WEIGHTS_BFLOAT16 ? 2 : 1;
}

/* Bytes of the number of an input, of k. */
static inline size_t ramify_sparse_input_bytes(size_t k) {
    return k > RAMIFY_SPARSE_BYTE_INPUTS ? 2 : 1;
}

#endif

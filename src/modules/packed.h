#ifndef RAMIFY_MODULES_PACKED_H
#define RAMIFY_MODULES_PACKED_H
/* A multilayer perceptron (mlp.h) in fewer bytes: a layer's matrix is dense, sparse where most of its
 * weights are zero, or masked where some are, and its weights are float32, bfloat16 or int8. It is made
 * of a trained record and only runs.
 *
 * The record, every part of which is padded with zeros to a multiple of 64 bytes:
 *     ramify_packed_header x layers
 *     for every layer:
 *         dense   W: as in mlp.h, or bfloat16 and int8 weights by pairs of inputs (kernels/quantised.h)
 *         sparse  u32 steps x pad(n) / 16, the weights and the inputs of all steps (kernels/sparse.h)
 *         masked  u16 masks x k pad(n) / 16 and the float32 weights that are there (kernels/masked.h)
 *         b, r, s and slope, as in mlp.h; beside bfloat16 and int8 weights they are bfloat16, one after
 *         the other, and padded together
 * Beside int8 weights s is always there: what their sums are multiplied by, the step between two
 * weights of an output times what the member has. A last layer of at most RAMIFY_MLP_NARROW outputs is
 * dense, as in mlp.h, and float32 or bfloat16. The units of hidden layers may stand in another order
 * than in the record that was packed: those with most weights come first, so that outputs of a slice
 * have as many weights as each other. */

#include "mlp.h"

#include <stdbool.h>

typedef enum ramify_packed_form {
    RAMIFY_PACKED_DENSE,
    RAMIFY_PACKED_SPARSE,
    RAMIFY_PACKED_MASKED
} ramify_packed_form;

typedef struct ramify_packed_header {
    uint32_t form;    /* ramify_packed_form */
    uint32_t weights; /* ramify_weights: their type */
    uint32_t steps;   /* of all slices, or weights that are there; 0 if dense */
    uint32_t reserved;
} ramify_packed_header;

typedef struct ramify_packed_shape {
    ramify_mlp_shape mlp;  /* what a record computes; first, so that it is found as an mlp's is */
    uint32_t most_bytes;   /* of the largest record */
    uint32_t most_numbers; /* numbers learned that are not zero, of the module with most */
    uint32_t
        most_spread; /* numbers of the largest masked matrix with its zeros; 0: there is none */
} ramify_packed_shape;

/* Which layers become sparse or masked. */
typedef enum ramify_storage {
    RAMIFY_STORAGE_FASTEST,  /* those of which a row's product is faster then, weights in a cache */
    RAMIFY_STORAGE_SMALLEST, /* those that take fewer bytes then */
    RAMIFY_STORAGE_DENSE,    /* none */
    RAMIFY_STORAGE_COLD      /* as the first, but weights come from memory */
} ramify_storage;

/* "fastest", "smallest", "dense", in the order above; ends with NULL. */
extern const char *const ramify_storage_words[];

/* How weights are rounded. */
typedef struct ramify_rounding {
    ramify_weights type;
    const float
        *scale; /* of int8 weights the step of each output of each layer, pad(width[1]), then
                           pad(width[2]) and so on; where it is 0, and if NULL, by the largest weight */
} ramify_rounding;

/* The nearest bfloat16 number (of two the even one), as its 16 bits; value is not NaN. */
uint16_t ramify_bfloat16(float value);
float ramify_bfloat16_value(uint16_t half);

/* The step of int8 weights up to `largest` in size: a bfloat16 number, 0 where it would be denormal. */
float ramify_int8_step(float largest);

/* Packs a record of the shape mlp. rounding: NULL for float32. *packed is from ramify_allocate, *bytes
 * long; *numbers: those that are not zero; *spread: of its largest masked matrix. */
ramify_status ramify_packed_make(ramify_context *context, const ramify_mlp_shape *mlp,
                                 const float *record, ramify_storage storage,
                                 const ramify_rounding *rounding, void **packed, uint32_t *bytes,
                                 uint32_t *numbers, uint32_t *spread);

/* The mlp record that computes the same, floats of ramify_mlp_record_bytes(&shape->mlp); the packed
 * record has been checked. */
void ramify_packed_unpack(const ramify_packed_shape *shape, const void *packed, float *record);

/* NULL, or what is wrong with a record of so many bytes. */
const char *ramify_packed_check(const ramify_packed_shape *shape, const void *packed,
                                uint64_t bytes);

/* Bytes of scratch for ramify_packed_run. */
size_t ramify_packed_scratch(const ramify_packed_shape *shape, size_t rows);

/* As ramify_mlp_run, of a record that has been checked. */
void ramify_packed_run(const ramify_kernels *kernels, const ramify_packed_shape *shape,
                       const void *packed, size_t rows, const float *x, size_t ldx, float *y,
                       size_t ldy, float *scratch);

#endif

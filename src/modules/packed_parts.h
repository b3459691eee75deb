#ifndef RAMIFY_MODULES_PACKED_PARTS_H
#define RAMIFY_MODULES_PACKED_PARTS_H
/* Where the parts of a packed record lie, for those who make, check and run it. */

#include "packed.h"

#include <string.h>

/* The largest int8 weight; -128 is not used, so that the sign of a weight does not matter. */
#define RAMIFY_INT8_MOST 127

/* Where the parts of a layer lie, in bytes from the record's start. */
typedef struct ramify_packed_place {
    uint32_t k, n;
    ramify_weights type;
    bool sparse, masked, narrow, last;
    size_t steps, weights, inputs; /* steps, or masks; inputs of a sparse layer */
    size_t vectors;                /* b, r, s and slope: float32 if type is, else bfloat16 */
    size_t bias, r, s, slope;      /* in numbers from there */
    size_t vector_count;           /* numbers of all of them */
    bool scaled;                   /* s is there */
    uint32_t step_count;           /* of a masked layer, weights */
} ramify_packed_place;

static inline uint64_t ramify_packed_align(uint64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* Bytes of the headers. */
size_t ramify_packed_header_bytes(const ramify_mlp_shape *mlp);

/* The widest layer, inputs included. */
size_t ramify_packed_widest(const ramify_mlp_shape *mlp);

/* Adds layer l, of which the header is good, after `at` bytes, and returns where it ends. */
uint64_t ramify_packed_lay_out_layer(const ramify_mlp_shape *mlp, uint32_t l,
                                     const ramify_packed_header *header, uint64_t at,
                                     ramify_packed_place *to);

/* All layers of a record whose headers are good; returns its bytes. Widths, members and layers are
 * capped and steps are below 2^32, so that nothing overflows. */
uint64_t ramify_packed_lay_out(const ramify_mlp_shape *mlp, const ramify_packed_header *header,
                               ramify_packed_place *places);

static inline const float *ramify_packed_floats(const void *record, size_t at) {
    return (const float *)(const void *)((const char *)record + at);
}

static inline const uint16_t *ramify_packed_halves(const void *record, size_t at) {
    return (const uint16_t *)(const void *)((const char *)record + at);
}

static inline ramify_masked ramify_packed_masked(const ramify_packed_place *at,
                                                 const void *record) {
    return (ramify_masked){.k = at->k,
                           .n = ramify_pad(at->n),
                           .masks = ramify_packed_halves(record, at->steps),
                           .weights = ramify_packed_floats(record, at->weights)};
}

static inline ramify_sparse ramify_packed_sparse(const ramify_packed_place *at,
                                                 const void *record) {
    return (ramify_sparse){.k = at->k,
                           .n = ramify_pad(at->n),
                           .steps =
                               (const uint32_t *)(const void *)((const char *)record + at->steps),
                           .weights = (const char *)record + at->weights,
                           .inputs = (const char *)record + at->inputs,
                           .type = at->type};
}

static inline size_t ramify_packed_input(const ramify_sparse *w, size_t at) {
    return ramify_sparse_input_bytes(w->k) == 2 ? ((const uint16_t *)w->inputs)[at]
                                                : ((const uint8_t *)w->inputs)[at];
}

/* Number `at` of those at `to`, of a type. */
static inline void ramify_packed_put(void *to, size_t at, ramify_weights type, float weight) {
    if (type == RAMIFY_WEIGHTS_FLOAT32)
        ((float *)to)[at] = weight;
    else if (type == RAMIFY_WEIGHTS_BFLOAT16)
        ((uint16_t *)to)[at] = ramify_bfloat16(weight);
    else
        ((int8_t *)to)[at] = (int8_t)weight;
}

static inline float ramify_packed_weight(const void *from, size_t at, ramify_weights type) {
    if (type == RAMIFY_WEIGHTS_FLOAT32)
        return ((const float *)from)[at];
    if (type == RAMIFY_WEIGHTS_BFLOAT16)
        return ramify_bfloat16_value(((const uint16_t *)from)[at]);
    return ((const int8_t *)from)[at];
}

/* Where a weight lies in a dense matrix that is not float32. */
static inline size_t ramify_packed_dense_at(const ramify_packed_place *to,
                                            const ramify_mlp_layer *at, size_t input,
                                            size_t output) {
    return to->narrow ? ramify_mlp_weight_at(at, input, output) - at->weight
                      : ramify_pair_at(at->k, input, output);
}

#endif

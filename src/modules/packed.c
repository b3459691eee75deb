/* Layout, checking and unpacking of packed records. */

#include "packed_parts.h"
#include "status.h"

#include <float.h>
#include <math.h>

size_t ramify_packed_header_bytes(const ramify_mlp_shape *mlp) {
    return (size_t)ramify_packed_align(mlp->layers * sizeof(ramify_packed_header));
}

size_t ramify_packed_widest(const ramify_mlp_shape *mlp) {
    size_t widest = 0;
    for (uint32_t l = 0; l <= mlp->layers; l++)
        widest = ramify_pad(mlp->width[l]) > widest ? ramify_pad(mlp->width[l]) : widest;
    return widest;
}

/* Bytes of a layer's dense matrix. */
static uint64_t dense_bytes(const ramify_packed_place *at) {
    const uint64_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (at->narrow)
        return ramify_packed_align(at->n * k * ramify_weight_bytes(at->type));
    if (at->type == RAMIFY_WEIGHTS_FLOAT32)
        return at->k * n * sizeof(float);
    return ramify_packed_align(ramify_pairs(at->k) * 2 * n * ramify_weight_bytes(at->type));
}

/* b, r, s and slope after `at` bytes. */
static uint64_t lay_out_vectors(const ramify_mlp_shape *mlp, uint64_t at, ramify_packed_place *to) {
    const size_t k = ramify_pad(to->k), n = ramify_pad(to->n), members = mlp->members;
    const bool whole = to->type == RAMIFY_WEIGHTS_FLOAT32;
    to->scaled = members > 1 || to->type == RAMIFY_WEIGHTS_INT8;
    to->vectors = (size_t)at;
    to->bias = 0;
    to->r = members * n;
    to->s = to->r + (members > 1 ? members * k : 0);
    to->slope = to->s + (to->scaled ? members * n : 0);
    to->vector_count = to->slope + (to->last ? 0 : n);
    return at + ramify_packed_align(to->vector_count * (whole ? sizeof(float) : sizeof(uint16_t)));
}

uint64_t ramify_packed_lay_out_layer(const ramify_mlp_shape *mlp, uint32_t l,
                                     const ramify_packed_header *header, uint64_t at,
                                     ramify_packed_place *to) {
    *to = (ramify_packed_place){
        .k = mlp->width[l], .n = mlp->width[l + 1], .last = l + 1 == mlp->layers};
    to->type = (ramify_weights)header->weights;
    to->sparse = header->form == RAMIFY_PACKED_SPARSE;
    to->masked = header->form == RAMIFY_PACKED_MASKED;
    to->narrow = to->last && to->n <= RAMIFY_MLP_NARROW;
    to->step_count = header->steps;
    if (to->sparse) {
        const uint64_t places = (uint64_t)header->steps * RAMIFY_SLICE;
        to->steps = (size_t)at;
        at += ramify_packed_align(ramify_pad(to->n) / RAMIFY_SLICE * sizeof(uint32_t));
        to->weights = (size_t)at;
        at += ramify_packed_align(places * ramify_weight_bytes(to->type));
        to->inputs = (size_t)at;
        at += ramify_packed_align(places * ramify_sparse_input_bytes(to->k));
    } else if (to->masked) {
        to->steps = (size_t)at;
        at += ramify_packed_align(to->k * (uint64_t)ramify_pad(to->n) / 16 * sizeof(uint16_t));
        to->weights = (size_t)at;
        at += ramify_packed_align((uint64_t)to->step_count * sizeof(float));
    } else {
        to->weights = (size_t)at;
        at += dense_bytes(to);
    }
    return lay_out_vectors(mlp, at, to);
}

uint64_t ramify_packed_lay_out(const ramify_mlp_shape *mlp, const ramify_packed_header *header,
                               ramify_packed_place *places) {
    uint64_t at = ramify_packed_header_bytes(mlp);
    for (uint32_t l = 0; l < mlp->layers; l++)
        at = ramify_packed_lay_out_layer(mlp, l, &header[l], at, &places[l]);
    return at;
}

uint16_t ramify_bfloat16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

float ramify_bfloat16_value(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float ramify_int8_step(float largest) {
    const float step = largest / RAMIFY_INT8_MOST;
    return step < FLT_MIN ? 0.0F : ramify_bfloat16_value(ramify_bfloat16(step));
}

/* Unpacking */

static void unpack_weights(const ramify_packed_place *from, const ramify_mlp_layer *at,
                           const void *packed, float *record) {
    const void *weights = (const char *)packed + from->weights;
    if (from->sparse) {
        const ramify_sparse w = ramify_packed_sparse(from, packed);
        size_t here = 0;
        for (size_t slice = 0; slice < w.n / RAMIFY_SLICE; slice++)
            for (size_t i = 0; i < (size_t)w.steps[slice] * RAMIFY_SLICE; i++, here++)
                record[ramify_mlp_weight_at(at, ramify_packed_input(&w, here),
                                            slice * RAMIFY_SLICE + i % RAMIFY_SLICE)] +=
                    ramify_packed_weight(weights, here, from->type);
    } else if (from->masked) {
        const ramify_masked w = ramify_packed_masked(from, packed);
        ramify_kernels_reference()->unmask(&w, record + at->weight);
    } else if (from->type == RAMIFY_WEIGHTS_FLOAT32) {
        memcpy(record + at->weight, weights, at->weight_floats * sizeof(float));
    } else {
        for (size_t i = 0; i < at->k; i++)
            for (size_t j = 0; j < at->n; j++)
                record[ramify_mlp_weight_at(at, i, j)] = ramify_packed_weight(
                    weights, ramify_packed_dense_at(from, at, i, j), from->type);
    }
}

static void unpack_vector(const ramify_packed_place *from, const void *packed, size_t at,
                          size_t count, float *to) {
    const bool whole = from->type == RAMIFY_WEIGHTS_FLOAT32;
    for (size_t i = 0; i < count; i++)
        to[i] = ramify_packed_weight((const char *)packed + from->vectors, at + i,
                                     whole ? RAMIFY_WEIGHTS_FLOAT32 : RAMIFY_WEIGHTS_BFLOAT16);
}

/* Gives int8 weights their step, which is a factor of s; with members that of their mean. */
static void unpack_steps(const ramify_mlp_shape *mlp, const ramify_packed_place *from,
                         const ramify_mlp_layer *at, const void *packed, float *record) {
    const size_t members = mlp->members, n = ramify_pad(at->n);
    for (size_t j = 0; j < at->n; j++) {
        float sum = 0.0F, one;
        for (size_t m = 0; m < members; m++) {
            unpack_vector(from, packed, from->s + m * n + j, 1, &one);
            sum += members > 1 ? fabsf(one) : one;
        }
        const float step = sum != 0.0F ? sum / (float)members : 1.0F;
        for (size_t i = 0; i < at->k; i++)
            record[ramify_mlp_weight_at(at, i, j)] *= step;
        for (size_t m = 0; m < members && members > 1; m++)
            record[at->s + m * n + j] /= step;
    }
}

void ramify_packed_unpack(const ramify_packed_shape *shape, const void *packed, float *record) {
    const ramify_mlp_shape *mlp = &shape->mlp;
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_packed_place places[RAMIFY_MLP_LAYERS_MAX];
    const size_t floats = ramify_mlp_layout(mlp, layer), members = mlp->members;
    ramify_packed_lay_out(mlp, packed, places);
    memset(record, 0, floats * sizeof *record);
    for (uint32_t l = 0; l < mlp->layers; l++) {
        const ramify_mlp_layer *at = &layer[l];
        const ramify_packed_place *from = &places[l];
        const size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
        unpack_weights(from, at, packed, record);
        unpack_vector(from, packed, from->bias, members * n, record + at->bias);
        if (members > 1) {
            unpack_vector(from, packed, from->r, members * k, record + at->r);
            unpack_vector(from, packed, from->s, members * n, record + at->s);
        }
        if (!at->last)
            unpack_vector(from, packed, from->slope, n, record + at->slope);
        if (from->type == RAMIFY_WEIGHTS_INT8)
            unpack_steps(mlp, from, at, packed, record);
    }
}

/* Checking */

static const char *check_sparse(const ramify_packed_place *at, const void *packed) {
    const ramify_sparse w = ramify_packed_sparse(at, packed);
    uint64_t steps = 0;
    for (size_t slice = 0; slice < w.n / RAMIFY_SLICE; slice++)
        steps += w.steps[slice];
    if (steps != at->step_count)
        return "the steps of its slices do not add up";
    for (size_t i = 0; i < (size_t)steps * RAMIFY_SLICE; i++)
        if (ramify_packed_input(&w, i) >= w.k)
            return "a weight is of an input that there is not";
    return NULL;
}

static const char *check_masked(const ramify_packed_shape *shape, const ramify_packed_place *at,
                                const void *packed) {
    const ramify_masked w = ramify_packed_masked(at, packed);
    uint64_t there = 0;
    for (size_t i = 0; i < w.k * w.n / 16; i++)
        there += (uint64_t)__builtin_popcount(w.masks[i]);
    if (there != at->step_count)
        return "its masks do not add up to its weights";
    return w.k * w.n <= shape->most_spread ? NULL
                                           : "a masked matrix is larger than the config says";
}

static bool finite_floats(const void *packed, size_t begin, size_t count) {
    const float *value = ramify_packed_floats(packed, begin);
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= !(fabsf(value[i]) <= RAMIFY_MLP_WEIGHT_MAX); /* NaN too */
    return wrong == 0;
}

static bool finite_halves(const void *packed, size_t begin, size_t count) {
    const uint16_t *value = ramify_packed_halves(packed, begin);
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= !(fabsf(ramify_bfloat16_value(value[i])) <= RAMIFY_MLP_WEIGHT_MAX);
    return wrong == 0;
}

/* Weights and vectors of a layer that ends at `end`, pads included. */
static bool finite_layer(const ramify_packed_place *at, const void *packed, size_t end) {
    const size_t weights = (at->sparse ? at->inputs : at->vectors) - at->weights;
    const size_t vectors = end - at->vectors;
    if (at->type == RAMIFY_WEIGHTS_FLOAT32)
        return finite_floats(packed, at->weights, weights / sizeof(float)) &&
               finite_floats(packed, at->vectors, vectors / sizeof(float));
    return (at->type == RAMIFY_WEIGHTS_INT8 ||
            finite_halves(packed, at->weights, weights / sizeof(uint16_t))) &&
           finite_halves(packed, at->vectors, vectors / sizeof(uint16_t));
}

/* The steps of int8 weights of a network without members; those of others have a member's sign. */
static bool positive_steps(const ramify_packed_place *at, const void *packed) {
    const uint16_t *step = ramify_packed_halves(packed, at->vectors) + at->s;
    for (size_t j = 0; j < at->n; j++)
        if (!(ramify_bfloat16_value(step[j]) > 0))
            return false;
    return true;
}

static const char *check_header(const ramify_mlp_shape *mlp, uint32_t l,
                                const ramify_packed_header *header) {
    const bool sparse = header->form == RAMIFY_PACKED_SPARSE;
    const bool masked = header->form == RAMIFY_PACKED_MASKED;
    const bool narrow = l + 1 == mlp->layers && mlp->width[l + 1] <= RAMIFY_MLP_NARROW;
    if (header->form > RAMIFY_PACKED_MASKED || header->weights > RAMIFY_WEIGHTS_INT8 ||
        header->reserved != 0 || (!sparse && !masked && header->steps > 0))
        return "a layer is stored in a way that this version does not know";
    if (sparse && (narrow || mlp->width[l] > RAMIFY_SPARSE_INPUTS_MAX))
        return "a layer is sparse that cannot be";
    if (masked && (narrow || header->weights != RAMIFY_WEIGHTS_FLOAT32))
        return "a layer is masked that cannot be";
    if (narrow && header->weights == RAMIFY_WEIGHTS_INT8)
        return "a last layer of few outputs has int8 weights";
    return NULL;
}

static bool zeros(const void *packed, size_t begin, size_t end) {
    const unsigned char *byte = packed;
    unsigned char any = 0;
    for (size_t i = begin; i < end; i++)
        any |= byte[i];
    return any == 0;
}

/* What lies between the parts of a layer that ends at `end`. */
static bool zero_pads(const ramify_packed_place *at, const void *packed, size_t end) {
    const size_t lines = ramify_pad(at->n) / RAMIFY_SLICE, bytes = ramify_weight_bytes(at->type);
    const size_t places = (size_t)at->step_count * (at->sparse ? RAMIFY_SLICE : 1);
    const bool whole = at->type == RAMIFY_WEIGHTS_FLOAT32;
    const size_t vectors = at->vector_count * (whole ? sizeof(float) : sizeof(uint16_t));
    bool good = zeros(packed, at->vectors + vectors, end);
    if (at->sparse)
        good = good && zeros(packed, at->steps + lines * sizeof(uint32_t), at->weights) &&
               zeros(packed, at->weights + places * bytes, at->inputs) &&
               zeros(packed, at->inputs + places * ramify_sparse_input_bytes(at->k), at->vectors);
    else if (at->masked)
        good = good && zeros(packed, at->steps + at->k * lines * sizeof(uint16_t), at->weights) &&
               zeros(packed, at->weights + places * bytes, at->vectors);
    return good;
}

const char *ramify_packed_check(const ramify_packed_shape *shape, const void *packed,
                                uint64_t bytes) {
    const ramify_mlp_shape *mlp = &shape->mlp;
    const ramify_packed_header *header = packed;
    ramify_packed_place places[RAMIFY_MLP_LAYERS_MAX];
    uint64_t at = ramify_packed_header_bytes(mlp);
    if (bytes < at)
        return "it is shorter than its header";
    if (!zeros(packed, mlp->layers * sizeof *header, (size_t)at))
        return "its header does not end with zeros";
    for (uint32_t l = 0; l < mlp->layers; l++) {
        const char *fault = check_header(mlp, l, &header[l]);
        if (fault)
            return fault;
        at = ramify_packed_lay_out_layer(mlp, l, &header[l], at, &places[l]);
        if (at > bytes)
            return "its layers are longer than the record";
        const ramify_packed_place *to = &places[l];
        fault = to->sparse   ? check_sparse(to, packed)
                : to->masked ? check_masked(shape, to, packed)
                             : NULL;
        if (fault)
            return fault;
        if (!zero_pads(to, packed, (size_t)at))
            return "a part of a layer does not end with zeros";
        if (!finite_layer(to, packed, (size_t)at))
            return "a weight is not a number of at most 1e+18 in size";
        if (to->type == RAMIFY_WEIGHTS_INT8 && mlp->members == 1 && !positive_steps(to, packed))
            return "a step between int8 weights is not above 0";
    }
    return at == bytes ? NULL : "it is longer than its layers";
}

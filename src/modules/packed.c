/* Packing, checking and running. Sparse layers of more than a few rows want a row in each column, dense
 * ones in each row; between the two, activations are turned. */

#include "packed.h"
#include "status.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows that go through all layers before the next ones do. */
#define BLOCK_ROWS 64

/* From so many rows on sparse layers take them in columns. */
#define COLUMN_ROWS 8

/* What a step of a sparse layer costs in a row's product, in vectors of 16 weights of a dense one of the
 * same type: with all inputs in registers, and with inputs that are gathered (measured with AVX-512,
 * weights in the first or second cache); and with weights that come from memory. */
typedef struct step_cost {
    double held, gathered, cold;
} step_cost;

static const step_cost step_costs[] = {
    [RAMIFY_WEIGHTS_FLOAT32] = {4.5, 8.0, 2.0},
    [RAMIFY_WEIGHTS_BFLOAT16] = {4.5, 9.0, 2.4},
    [RAMIFY_WEIGHTS_INT8] = {7.0, 14.0, 3.2},
};
#define HELD_INPUTS 64

/* The largest int8 weight; -128 is not used, so that the sign of a weight does not matter. */
#define INT8_MOST 127

/* Where the parts of a layer lie, in bytes from the record's start. */
typedef struct place {
    uint32_t k, n;
    ramify_weights type;
    bool sparse, narrow, last;
    size_t steps, weights, inputs; /* steps and inputs of a sparse layer */
    size_t vectors;                /* b, r, s and slope: float32 if type is, else bfloat16 */
    size_t bias, r, s, slope;      /* in numbers from there */
    size_t vector_count;           /* numbers of all of them */
    bool scaled;                   /* s is there */
    uint32_t step_count;
} place;

static uint64_t align64(uint64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t header_bytes(const ramify_mlp_shape *mlp) {
    return (size_t)align64(mlp->layers * sizeof(ramify_packed_header));
}

/* The widest layer, inputs included. */
static size_t widest_of(const ramify_mlp_shape *mlp) {
    size_t widest = 0;
    for (uint32_t l = 0; l <= mlp->layers; l++)
        widest = ramify_pad(mlp->width[l]) > widest ? ramify_pad(mlp->width[l]) : widest;
    return widest;
}

/* Bytes of a layer's dense matrix. */
static uint64_t dense_bytes(const place *at) {
    const uint64_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (at->narrow)
        return align64(at->n * k * ramify_weight_bytes(at->type));
    if (at->type == RAMIFY_WEIGHTS_FLOAT32)
        return at->k * n * sizeof(float);
    return align64(ramify_pairs(at->k) * 2 * n * ramify_weight_bytes(at->type));
}

/* b, r, s and slope after `at` bytes. */
static uint64_t lay_out_vectors(const ramify_mlp_shape *mlp, uint64_t at, place *to) {
    const size_t k = ramify_pad(to->k), n = ramify_pad(to->n), members = mlp->members;
    const bool whole = to->type == RAMIFY_WEIGHTS_FLOAT32;
    to->scaled = members > 1 || to->type == RAMIFY_WEIGHTS_INT8;
    to->vectors = (size_t)at;
    to->bias = 0;
    to->r = members * n;
    to->s = to->r + (members > 1 ? members * k : 0);
    to->slope = to->s + (to->scaled ? members * n : 0);
    to->vector_count = to->slope + (to->last ? 0 : n);
    return at + align64(to->vector_count * (whole ? sizeof(float) : sizeof(uint16_t)));
}

/* Adds layer l, of which the header is good, after `at` bytes, and returns where it ends. */
static uint64_t lay_out_layer(const ramify_mlp_shape *mlp, uint32_t l,
                              const ramify_packed_header *header, uint64_t at, place *to) {
    *to = (place){.k = mlp->width[l], .n = mlp->width[l + 1], .last = l + 1 == mlp->layers};
    to->type = (ramify_weights)header->weights;
    to->sparse = header->form == RAMIFY_PACKED_SPARSE;
    to->narrow = to->last && to->n <= RAMIFY_MLP_NARROW;
    to->step_count = header->steps;
    if (to->sparse) {
        const uint64_t places = (uint64_t)header->steps * RAMIFY_SLICE;
        to->steps = (size_t)at;
        at += align64(ramify_pad(to->n) / RAMIFY_SLICE * sizeof(uint32_t));
        to->weights = (size_t)at;
        at += align64(places * ramify_weight_bytes(to->type));
        to->inputs = (size_t)at;
        at += align64(places * ramify_sparse_input_bytes(to->k));
    } else {
        to->weights = (size_t)at;
        at += dense_bytes(to);
    }
    return lay_out_vectors(mlp, at, to);
}

/* All layers of a record whose headers are good; returns its bytes. Widths, members and layers are
 * capped and steps are below 2^32, so that nothing overflows. */
static uint64_t lay_out(const ramify_mlp_shape *mlp, const ramify_packed_header *header,
                        place *places) {
    uint64_t at = header_bytes(mlp);
    for (uint32_t l = 0; l < mlp->layers; l++)
        at = lay_out_layer(mlp, l, &header[l], at, &places[l]);
    return at;
}

static const float *floats_at(const void *record, size_t at) {
    return (const float *)(const void *)((const char *)record + at);
}

static const uint16_t *halves_at(const void *record, size_t at) {
    return (const uint16_t *)(const void *)((const char *)record + at);
}

static ramify_sparse matrix_of(const place *at, const void *record) {
    return (ramify_sparse){.k = at->k,
                           .n = ramify_pad(at->n),
                           .steps =
                               (const uint32_t *)(const void *)((const char *)record + at->steps),
                           .weights = (const char *)record + at->weights,
                           .inputs = (const char *)record + at->inputs,
                           .type = at->type};
}

static size_t input_of(const ramify_sparse *w, size_t at) {
    return ramify_sparse_input_bytes(w->k) == 2 ? ((const uint16_t *)w->inputs)[at]
                                                : ((const uint8_t *)w->inputs)[at];
}

/* Rounding */

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
    const float step = largest / INT8_MOST;
    return step < FLT_MIN ? 0.0F : ramify_bfloat16_value(ramify_bfloat16(step));
}

/* Packing */

/* A record in another order of units, and what its layers become. Weights that are rounded are those that
 * will be stored: whole numbers of their step, which is a factor of s. */
typedef struct packing {
    const ramify_mlp_shape *mlp;
    ramify_weights type;
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_packed_header header[RAMIFY_MLP_LAYERS_MAX];
    float *record; /* the units in their new order */
    float *scale;  /* widest x layers: steps of int8 weights; 1 of others */
    size_t widest;
    float *spare;    /* of a layer's inputs or outputs */
    uint32_t *count; /* weights of each output of a layer */
    uint32_t *order; /* outputs */
} packing;

static float *scale_of(const packing *p, uint32_t l) {
    return p->scale + l * p->widest;
}

/* The step of an output, and its weights in steps. */
static void round_int8(packing *p, uint32_t l, size_t output, float step) {
    const ramify_mlp_layer *at = &p->layer[l];
    float largest = 0.0F;
    for (size_t i = 0; i < at->k; i++)
        largest = fmaxf(largest, fabsf(p->record[ramify_mlp_weight_at(at, i, output)]));
    step = step > 0 ? ramify_bfloat16_value(ramify_bfloat16(step)) : ramify_int8_step(largest);
    scale_of(p, l)[output] = step > 0 ? step : 1.0F;
    for (size_t i = 0; i < at->k; i++) {
        float *weight = &p->record[ramify_mlp_weight_at(at, i, output)];
        const float whole = step > 0 ? rintf(*weight / step) : 0.0F;
        *weight = fminf(fmaxf(whole, -INT8_MOST), INT8_MOST);
    }
}

static void round_bfloat16(packing *p, uint32_t l) {
    float *weight = p->record + p->layer[l].weight;
    for (size_t i = 0; i < p->layer[l].weight_floats; i++)
        weight[i] = ramify_bfloat16_value(ramify_bfloat16(weight[i]));
}

static void round_layers(packing *p, const ramify_rounding *rounding) {
    const float *step = rounding ? rounding->scale : NULL;
    p->type = rounding ? rounding->type : RAMIFY_WEIGHTS_FLOAT32;
    for (uint32_t l = 0; l < p->mlp->layers; l++) {
        const ramify_mlp_layer *at = &p->layer[l];
        p->header[l].weights =
            at->narrow && p->type == RAMIFY_WEIGHTS_INT8 ? RAMIFY_WEIGHTS_BFLOAT16 : p->type;
        if (p->header[l].weights == RAMIFY_WEIGHTS_BFLOAT16)
            round_bfloat16(p, l);
        for (size_t j = 0; j < at->n && p->header[l].weights == RAMIFY_WEIGHTS_INT8; j++)
            round_int8(p, l, j, step ? step[j] : 0.0F);
        step = step ? step + ramify_pad(at->n) : NULL;
    }
}

static void count_weights(packing *p, uint32_t l) {
    const ramify_mlp_layer *at = &p->layer[l];
    memset(p->count, 0, ramify_pad(at->n) * sizeof *p->count);
    for (size_t i = 0; i < at->k; i++)
        for (size_t j = 0; j < at->n; j++)
            p->count[j] += p->record[ramify_mlp_weight_at(at, i, j)] != 0.0F;
}

/* Steps of a sparse layer whose outputs have count[] weights, in this order. */
static uint64_t steps_of(const uint32_t *count, size_t outputs) {
    uint64_t steps = 0;
    for (size_t first = 0; first < outputs; first += RAMIFY_SLICE) {
        uint32_t most = 0;
        for (size_t j = first; j < outputs && j < first + RAMIFY_SLICE; j++)
            most = count[j] > most ? count[j] : most;
        steps += most;
    }
    return steps;
}

/* order[] by falling counts, equals in their order: a counting sort, as counts are at most k. */
static void sort_outputs(packing *p, uint32_t outputs, uint32_t most) {
    uint32_t placed = 0;
    for (uint32_t c = most + 1; c-- > 0 && placed < outputs;)
        for (uint32_t j = 0; j < outputs; j++)
            if (p->count[j] == c)
                p->order[placed++] = j;
}

static void permute(packing *p, float *values, size_t stride, size_t count) {
    for (size_t j = 0; j < count; j++)
        p->spare[j] = values[p->order[j] * stride];
    for (size_t j = 0; j < count; j++)
        values[j * stride] = p->spare[j];
}

/* Puts the units behind layer l into p->order: outputs of this layer, inputs of the next. */
static void reorder(packing *p, uint32_t l) {
    const ramify_mlp_layer *at = &p->layer[l], *next = &p->layer[l + 1];
    const size_t members = p->mlp->members, n = at->n;
    for (size_t i = 0; i < at->k; i++)
        permute(p, p->record + ramify_mlp_weight_at(at, i, 0), 1, n);
    permute(p, p->record + at->slope, 1, n);
    permute(p, scale_of(p, l), 1, n);
    for (size_t m = 0; m < members; m++)
        permute(p, p->record + at->bias + m * ramify_pad(n), 1, n);
    for (size_t j = 0; j < next->n; j++)
        permute(p, p->record + ramify_mlp_weight_at(next, 0, j),
                next->narrow ? 1 : next->weight_stride, n);
    for (size_t m = 0; m < members && members > 1; m++) {
        permute(p, p->record + at->s + m * ramify_pad(n), 1, n);
        permute(p, p->record + next->r + m * ramify_pad(n), 1, n);
    }
    for (size_t j = 0; j < n; j++)
        p->spare[j] = (float)p->count[p->order[j]];
    for (size_t j = 0; j < n; j++)
        p->count[j] = (uint32_t)p->spare[j];
}

static bool becomes_sparse(const packing *p, uint32_t l, uint64_t steps, ramify_storage storage) {
    const ramify_mlp_layer *at = &p->layer[l];
    const step_cost *cost = &step_costs[p->header[l].weights];
    const double dense = (double)at->k * (double)ramify_pad(at->n);
    const double hot = at->k <= HELD_INPUTS ? cost->held : cost->gathered;
    const double step = storage == RAMIFY_STORAGE_COLD ? cost->cold : hot;
    const double weight = (double)ramify_weight_bytes((ramify_weights)p->header[l].weights);
    const double bytes = weight + (double)ramify_sparse_input_bytes(at->k);
    if (at->narrow || at->k > RAMIFY_SPARSE_INPUTS_MAX || steps > UINT32_MAX)
        return false;
    if (storage == RAMIFY_STORAGE_SMALLEST)
        return (double)(steps * RAMIFY_SLICE) * bytes + (double)at->n / 4 < weight * dense;
    return storage != RAMIFY_STORAGE_DENSE && (double)steps * step <= dense / RAMIFY_SLICE;
}

static void plan_layer(packing *p, uint32_t l, ramify_storage storage) {
    const ramify_mlp_layer *at = &p->layer[l];
    uint32_t most = 0;
    count_weights(p, l);
    for (size_t j = 0; j < at->n; j++)
        most = p->count[j] > most ? p->count[j] : most;
    if (!at->last && storage != RAMIFY_STORAGE_DENSE) {
        sort_outputs(p, at->n, most);
        reorder(p, l);
    }
    const uint64_t steps = steps_of(p->count, at->n);
    if (becomes_sparse(p, l, steps, storage)) {
        p->header[l].form = RAMIFY_PACKED_SPARSE;
        p->header[l].steps = (uint32_t)steps;
    }
}

/* Number `at` of those at `to`, of a type. */
static void put_weight(void *to, size_t at, ramify_weights type, float weight) {
    if (type == RAMIFY_WEIGHTS_FLOAT32)
        ((float *)to)[at] = weight;
    else if (type == RAMIFY_WEIGHTS_BFLOAT16)
        ((uint16_t *)to)[at] = ramify_bfloat16(weight);
    else
        ((int8_t *)to)[at] = (int8_t)weight;
}

static float weight_of(const void *from, size_t at, ramify_weights type) {
    if (type == RAMIFY_WEIGHTS_FLOAT32)
        return ((const float *)from)[at];
    if (type == RAMIFY_WEIGHTS_BFLOAT16)
        return ramify_bfloat16_value(((const uint16_t *)from)[at]);
    return ((const int8_t *)from)[at];
}

static void write_sparse(const packing *p, uint32_t l, const place *to, unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    uint32_t *steps = (uint32_t *)(void *)(record + to->steps);
    void *weights = record + to->weights;
    unsigned char *inputs = record + to->inputs;
    const bool wide = ramify_sparse_input_bytes(at->k) == 2;
    size_t begin = 0;
    for (size_t first = 0; first < at->n; first += RAMIFY_SLICE) {
        uint32_t most = 0;
        for (size_t j = first; j < at->n && j < first + RAMIFY_SLICE; j++) {
            uint32_t step = 0;
            for (size_t i = 0; i < at->k; i++) {
                const float weight = p->record[ramify_mlp_weight_at(at, i, j)];
                const size_t here = begin + step * (size_t)RAMIFY_SLICE + (j - first);
                if (weight == 0.0F)
                    continue;
                put_weight(weights, here, to->type, weight);
                if (wide)
                    ((uint16_t *)(void *)inputs)[here] = (uint16_t)i;
                else
                    inputs[here] = (uint8_t)i;
                step++;
            }
            most = step > most ? step : most;
        }
        *steps++ = most;
        begin += (size_t)most * RAMIFY_SLICE;
    }
}

/* Where a weight lies in a dense matrix that is not float32. */
static size_t dense_at(const place *to, const ramify_mlp_layer *at, size_t input, size_t output) {
    return to->narrow ? ramify_mlp_weight_at(at, input, output) - at->weight
                      : ramify_pair_at(at->k, input, output);
}

static void write_dense(const packing *p, uint32_t l, const place *to, unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    if (to->type == RAMIFY_WEIGHTS_FLOAT32) {
        memcpy(record + to->weights, p->record + at->weight, at->weight_floats * sizeof(float));
        return;
    }
    for (size_t i = 0; i < at->k; i++)
        for (size_t j = 0; j < at->n; j++)
            put_weight(record + to->weights, dense_at(to, at, i, j), to->type,
                       p->record[ramify_mlp_weight_at(at, i, j)]);
}

/* Numbers of b, r, s or slope. */
static void write_vector(const place *to, unsigned char *record, size_t at, const float *from,
                         size_t count) {
    const bool whole = to->type == RAMIFY_WEIGHTS_FLOAT32;
    for (size_t i = 0; i < count; i++)
        put_weight(record + to->vectors, at + i,
                   whole ? RAMIFY_WEIGHTS_FLOAT32 : RAMIFY_WEIGHTS_BFLOAT16, from[i]);
}

static void write_layer(const packing *p, uint32_t l, const place *to, unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    const size_t members = p->mlp->members, k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (to->sparse)
        write_sparse(p, l, to, record);
    else
        write_dense(p, l, to, record);
    write_vector(to, record, to->bias, p->record + at->bias, members * n);
    if (members > 1)
        write_vector(to, record, to->r, p->record + at->r, members * k);
    for (size_t m = 0; m < members && to->scaled; m++) {
        for (size_t j = 0; j < at->n; j++)
            p->spare[j] = scale_of(p, l)[j] * (members > 1 ? p->record[at->s + m * n + j] : 1.0F);
        write_vector(to, record, to->s + m * n, p->spare, at->n);
    }
    if (!at->last)
        write_vector(to, record, to->slope, p->record + at->slope, n);
}

static ramify_status write_packed(ramify_context *context, packing *p, ramify_storage storage,
                                  void **packed, uint32_t *bytes) {
    place places[RAMIFY_MLP_LAYERS_MAX];
    for (uint32_t l = 0; l < p->mlp->layers; l++)
        plan_layer(p, l, storage);
    const uint64_t all = lay_out(p->mlp, p->header, places);
    if (all > RAMIFY_MLP_BYTES_MAX)
        return ramify_fail(
            context, RAMIFY_ERROR_LIMIT,
            "a packed module of %llu bytes is larger than %zu, the most that is read",
            (unsigned long long)all, RAMIFY_MLP_BYTES_MAX);
    unsigned char *made = ramify_allocate_zeroed(context, (size_t)all, 1);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    memcpy(made, p->header, p->mlp->layers * sizeof *p->header);
    for (uint32_t l = 0; l < p->mlp->layers; l++)
        write_layer(p, l, &places[l], made);
    *packed = made;
    *bytes = (uint32_t)all;
    return RAMIFY_OK;
}

static ramify_status make_packed(ramify_context *context, packing *p, const float *record,
                                 size_t floats, ramify_storage storage,
                                 const ramify_rounding *rounding, void **packed, uint32_t *bytes,
                                 uint32_t *numbers) {
    for (size_t i = 0; i < floats; i++)
        p->record[i] = fabsf(record[i]) < FLT_MIN ? 0.0F : record[i];
    for (size_t i = 0; i < p->widest * p->mlp->layers; i++)
        p->scale[i] = 1.0F;
    round_layers(p, rounding);
    *numbers = 0;
    for (size_t i = 0; i < floats; i++)
        *numbers += p->record[i] != 0.0F;
    return write_packed(context, p, storage, packed, bytes);
}

ramify_status ramify_packed_make(ramify_context *context, const ramify_mlp_shape *mlp,
                                 const float *record, ramify_storage storage,
                                 const ramify_rounding *rounding, void **packed, uint32_t *bytes,
                                 uint32_t *numbers) {
    packing p = {.mlp = mlp};
    const size_t floats = ramify_mlp_layout(mlp, p.layer);
    p.widest = widest_of(mlp);
    p.record = ramify_allocate(context, floats, sizeof *p.record);
    p.scale = ramify_allocate(context, p.widest * mlp->layers, sizeof *p.scale);
    p.spare = ramify_allocate(context, p.widest, sizeof *p.spare);
    p.count = ramify_allocate(context, p.widest, sizeof *p.count);
    p.order = ramify_allocate(context, p.widest, sizeof *p.order);
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (p.record && p.scale && p.spare && p.count && p.order)
        status =
            make_packed(context, &p, record, floats, storage, rounding, packed, bytes, numbers);
    ramify_release(context, p.record);
    ramify_release(context, p.scale);
    ramify_release(context, p.spare);
    ramify_release(context, p.count);
    ramify_release(context, p.order);
    return status;
}

/* Unpacking */

static void unpack_weights(const place *from, const ramify_mlp_layer *at, const void *packed,
                           float *record) {
    const void *weights = (const char *)packed + from->weights;
    if (from->sparse) {
        const ramify_sparse w = matrix_of(from, packed);
        size_t here = 0;
        for (size_t slice = 0; slice < w.n / RAMIFY_SLICE; slice++)
            for (size_t i = 0; i < (size_t)w.steps[slice] * RAMIFY_SLICE; i++, here++)
                record[ramify_mlp_weight_at(at, input_of(&w, here),
                                            slice * RAMIFY_SLICE + i % RAMIFY_SLICE)] +=
                    weight_of(weights, here, from->type);
    } else if (from->type == RAMIFY_WEIGHTS_FLOAT32) {
        memcpy(record + at->weight, weights, at->weight_floats * sizeof(float));
    } else {
        for (size_t i = 0; i < at->k; i++)
            for (size_t j = 0; j < at->n; j++)
                record[ramify_mlp_weight_at(at, i, j)] =
                    weight_of(weights, dense_at(from, at, i, j), from->type);
    }
}

static void unpack_vector(const place *from, const void *packed, size_t at, size_t count,
                          float *to) {
    const bool whole = from->type == RAMIFY_WEIGHTS_FLOAT32;
    for (size_t i = 0; i < count; i++)
        to[i] = weight_of((const char *)packed + from->vectors, at + i,
                          whole ? RAMIFY_WEIGHTS_FLOAT32 : RAMIFY_WEIGHTS_BFLOAT16);
}

/* Gives int8 weights their step, which is a factor of s; with members that of their mean. */
static void unpack_steps(const ramify_mlp_shape *mlp, const place *from, const ramify_mlp_layer *at,
                         const void *packed, float *record) {
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
    place places[RAMIFY_MLP_LAYERS_MAX];
    const size_t floats = ramify_mlp_layout(mlp, layer), members = mlp->members;
    lay_out(mlp, packed, places);
    memset(record, 0, floats * sizeof *record);
    for (uint32_t l = 0; l < mlp->layers; l++) {
        const ramify_mlp_layer *at = &layer[l];
        const place *from = &places[l];
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

static const char *check_sparse(const place *at, const void *packed) {
    const ramify_sparse w = matrix_of(at, packed);
    uint64_t steps = 0;
    for (size_t slice = 0; slice < w.n / RAMIFY_SLICE; slice++)
        steps += w.steps[slice];
    if (steps != at->step_count)
        return "the steps of its slices do not add up";
    for (size_t i = 0; i < (size_t)steps * RAMIFY_SLICE; i++)
        if (input_of(&w, i) >= w.k)
            return "a weight is of an input that there is not";
    return NULL;
}

static bool finite_floats(const void *packed, size_t begin, size_t count) {
    const float *value = floats_at(packed, begin);
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= !(fabsf(value[i]) <= RAMIFY_MLP_WEIGHT_MAX); /* NaN too */
    return wrong == 0;
}

static bool finite_halves(const void *packed, size_t begin, size_t count) {
    const uint16_t *value = halves_at(packed, begin);
    uint32_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong |= !(fabsf(ramify_bfloat16_value(value[i])) <= RAMIFY_MLP_WEIGHT_MAX);
    return wrong == 0;
}

/* Weights and vectors of a layer that ends at `end`, pads included. */
static bool finite_layer(const place *at, const void *packed, size_t end) {
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
static bool positive_steps(const place *at, const void *packed) {
    const uint16_t *step = halves_at(packed, at->vectors) + at->s;
    for (size_t j = 0; j < at->n; j++)
        if (!(ramify_bfloat16_value(step[j]) > 0))
            return false;
    return true;
}

static const char *check_header(const ramify_mlp_shape *mlp, uint32_t l,
                                const ramify_packed_header *header) {
    const bool sparse = header->form == RAMIFY_PACKED_SPARSE;
    const bool narrow = l + 1 == mlp->layers && mlp->width[l + 1] <= RAMIFY_MLP_NARROW;
    if (header->form > RAMIFY_PACKED_SPARSE || header->weights > RAMIFY_WEIGHTS_INT8 ||
        header->reserved != 0 || (!sparse && header->steps > 0))
        return "a layer is stored in a way that this version does not know";
    if (sparse && (narrow || mlp->width[l] > RAMIFY_SPARSE_INPUTS_MAX))
        return "a layer is sparse that cannot be";
    if (narrow && header->weights == RAMIFY_WEIGHTS_INT8)
        return "a last layer of few outputs has int8 weights";
    return NULL;
}

const char *ramify_packed_check(const ramify_packed_shape *shape, const void *packed,
                                uint64_t bytes) {
    const ramify_mlp_shape *mlp = &shape->mlp;
    const ramify_packed_header *header = packed;
    place places[RAMIFY_MLP_LAYERS_MAX];
    uint64_t at = header_bytes(mlp);
    if (bytes < at)
        return "it is shorter than its header";
    for (uint32_t l = 0; l < mlp->layers; l++) {
        const char *fault = check_header(mlp, l, &header[l]);
        if (fault)
            return fault;
        at = lay_out_layer(mlp, l, &header[l], at, &places[l]);
        if (at > bytes)
            return "its layers are longer than the record";
        const place *to = &places[l];
        fault = to->sparse ? check_sparse(to, packed) : NULL;
        if (fault)
            return fault;
        if (!finite_layer(to, packed, (size_t)at))
            return "a weight is not a number of at most 1e+18 in size";
        if (to->type == RAMIFY_WEIGHTS_INT8 && mlp->members == 1 && !positive_steps(to, packed))
            return "a step between int8 weights is not above 0";
    }
    return at == bytes ? NULL : "it is longer than its layers";
}

/* Running */

/* Activations of all members: rows of member m begin at at + m * apart, or, in columns, its columns. Of
 * the network's own input apart is 0. */
typedef struct activations {
    const float *at;
    size_t stride, apart;
    bool columns;
} activations;

typedef struct run {
    const ramify_kernels *kernels;
    const void *record;
    size_t members, rows;
    float *buffer[3];
    float *widened; /* vectors of a layer */
} run;

/* What a layer has beside its matrix, or of few outputs with it, as float32. */
typedef struct vectors {
    const float *weights;  /* if they are float32, or of few outputs */
    const float *bias, *r; /* r: of members */
    const float *s;        /* NULL: 1 */
    const float *slope;    /* NULL: no activation */
} vectors;

static vectors vectors_of(const run *r, const place *at) {
    const float *all = floats_at(r->record, at->vectors);
    const float *weights = floats_at(r->record, at->weights);
    if (at->type != RAMIFY_WEIGHTS_FLOAT32) {
        r->kernels->widen(at->vector_count, halves_at(r->record, at->vectors), r->widened);
        all = r->widened;
    }
    if (at->type != RAMIFY_WEIGHTS_FLOAT32 && at->narrow) {
        r->kernels->widen(at->n * ramify_pad(at->k), halves_at(r->record, at->weights),
                          r->widened + at->vector_count);
        weights = r->widened + at->vector_count;
    }
    return (vectors){.weights = weights,
                     .bias = all + at->bias,
                     .r = all + at->r,
                     .s = at->scaled ? all + at->s : NULL,
                     .slope = at->last ? NULL : all + at->slope};
}

/* A buffer that is not the one given. */
static float *free_buffer(const run *r, const float *used, const float *too) {
    for (size_t i = 0; i < 2; i++)
        if (r->buffer[i] != used && r->buffer[i] != too)
            return r->buffer[i];
    return r->buffer[2];
}

/* Columns of a member. */
static size_t column_count(const run *r) {
    return ramify_pad(r->rows);
}

/* Rows become columns or the other way round; `width` features, padded. */
static activations turn(const run *r, activations from, size_t width) {
    const size_t members = from.apart > 0 ? r->members : 1, columns = column_count(r);
    float *to = free_buffer(r, from.at, NULL);
    activations made = {.at = to, .columns = !from.columns};
    if (from.columns) {
        made.stride = width;
        made.apart = members > 1 ? r->rows * width : 0;
        for (size_t m = 0; m < members; m++)
            r->kernels->transpose(width, r->rows, from.at + m * columns, from.stride,
                                  to + m * made.apart, width);
        return made;
    }
    made.stride = members * columns;
    made.apart = members > 1 ? columns : 0;
    if (columns > r->rows)
        memset(to, 0, width * made.stride * sizeof *to);
    for (size_t m = 0; m < members; m++)
        r->kernels->transpose(r->rows, width, from.at + m * from.apart, from.stride,
                              to + m * columns, made.stride);
    return made;
}

/* Every member's inputs times its r. */
static activations scale_inputs(const run *r, const place *at, const float *gain,
                                activations from) {
    const size_t k = ramify_pad(at->k), columns = column_count(r);
    float *to = free_buffer(r, from.at, NULL);
    activations made = {.at = to,
                        .columns = from.columns,
                        .stride = from.columns ? r->members * columns : k,
                        .apart = from.columns ? columns : r->rows * k};
    for (size_t m = 0; m < r->members; m++) {
        if (from.columns)
            r->kernels->scale_rows(k, columns, from.at + m * from.apart, from.stride, gain + m * k,
                                   NULL, to + m * columns, made.stride);
        else
            r->kernels->scale_columns(r->rows, k, from.at + m * from.apart, from.stride,
                                      gain + m * k, to + m * made.apart, k);
    }
    return made;
}

static void sparse_layer(const run *r, const place *at, const vectors *v, activations from,
                         float *to, activations *made) {
    const ramify_sparse w = matrix_of(at, r->record);
    const size_t n = w.n, columns = column_count(r);
    for (size_t m = 0; m < r->members; m++) {
        const float *bias = v->bias + m * n;
        const float *gain = v->s ? v->s + m * n : NULL;
        if (from.columns) {
            r->kernels->sparse_columns(&w, columns, from.at + m * from.apart, from.stride, gain,
                                       bias, v->slope, to + m * columns, made->stride);
            continue;
        }
        for (size_t row = 0; row < r->rows; row++)
            r->kernels->sparse_row(&w, from.at + m * from.apart + row * from.stride, gain, bias,
                                   v->slope, to + m * made->apart + row * n);
    }
}

static void dense_layer(const run *r, const place *at, const vectors *v, activations from,
                        float *to) {
    const ramify_kernels *kernels = r->kernels;
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n), count = r->members * r->rows;
    const float *weights = v->weights;
    const float *start = r->members > 1 ? NULL : v->bias; /* members' come after the gain */
    const float *slope = r->members > 1 ? NULL : v->slope;
    if (at->narrow) {
        memset(to, 0, count * n * sizeof *to);
        kernels->dots(count, at->n, at->k, from.at, from.stride, weights, k, start, to, n);
    } else if (at->type == RAMIFY_WEIGHTS_BFLOAT16) {
        kernels->affine_bfloat16(count, n, at->k, from.at, from.stride,
                                 halves_at(r->record, at->weights), start, slope, to, n);
    } else if (start) {
        kernels->affine(count, n, at->k, from.at, from.stride, weights, n, start, slope, to, n);
    } else {
        kernels->matmul(count, n, at->k, from.at, from.stride, 1, weights, n, to, n, false);
    }
    for (size_t m = 0; m < r->members && r->members > 1; m++) {
        float *z = to + m * r->rows * n;
        kernels->activate(r->rows, n, z, n, v->s + m * n, v->bias + m * n, v->slope, z, n);
    }
}

/* Inputs become whole numbers, and a step for each row behind them: together no more than as many
 * floats. */
static void int8_layer(const run *r, const place *at, const vectors *v, activations from,
                       int16_t *whole, float *to) {
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    float *step = (float *)(void *)(whole + r->members * r->rows * k);
    for (size_t m = 0; m < r->members; m++)
        r->kernels->round_rows(r->rows, at->k, from.at + m * from.apart, from.stride,
                               r->members > 1 ? v->r + m * k : NULL, whole + m * r->rows * k, k,
                               step + m * r->rows);
    r->kernels->affine_int8(r->members, r->rows, n, at->k, whole, k, step,
                            (const int8_t *)r->record + at->weights, v->s, v->bias, v->slope, to,
                            n);
}

static activations run_layer(const run *r, const place *at, activations from) {
    const size_t n = ramify_pad(at->n), columns = column_count(r);
    const vectors v = vectors_of(r, at);
    const bool whole = at->type == RAMIFY_WEIGHTS_INT8 && !at->sparse;
    if (from.columns != (at->sparse && r->rows >= COLUMN_ROWS))
        from = turn(r, from, ramify_pad(at->k));
    if (r->members > 1 && !whole)
        from = scale_inputs(r, at, v.r, from);
    float *spare = free_buffer(r, from.at, NULL);
    float *to = whole ? free_buffer(r, from.at, spare) : spare;
    activations made = {.at = to,
                        .columns = from.columns,
                        .stride = from.columns ? r->members * columns : n,
                        .apart = from.columns ? columns : r->rows * n};
    if (r->members == 1)
        made.apart = 0;
    if (at->sparse)
        sparse_layer(r, at, &v, from, to, &made);
    else if (whole)
        int8_layer(r, at, &v, from, (int16_t *)(void *)spare, to);
    else
        dense_layer(r, at, &v, from, to);
    return made;
}

static void run_block(const run *r, const ramify_mlp_shape *mlp, const place *places,
                      const float *x, size_t ldx, float *y, size_t ldy) {
    activations now = {.at = x, .stride = ldx};
    for (uint32_t l = 0; l < mlp->layers; l++)
        now = run_layer(r, &places[l], now);
    const size_t n = ramify_pad(mlp->width[mlp->layers]);
    if (now.columns)
        now = turn(r, now, n);
    const float share = 1.0F / (float)r->members;
    for (size_t row = 0; row < r->rows; row++)
        for (size_t j = 0; j < n; j++) {
            float sum = now.at[row * n + j];
            for (size_t m = 1; m < r->members; m++)
                sum += now.at[m * now.apart + row * n + j];
            y[row * ldy + j] = r->members > 1 ? sum * share : sum;
        }
}

static size_t buffer_floats(const ramify_mlp_shape *mlp, size_t rows) {
    rows = rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
    return mlp->members * (rows < COLUMN_ROWS ? rows : ramify_pad(rows)) * widest_of(mlp);
}

/* Of b, r, s and slope, and weights of few outputs. */
static size_t vector_floats(const ramify_mlp_shape *mlp) {
    size_t most = 0;
    for (uint32_t l = 0; l < mlp->layers; l++) {
        const size_t k = ramify_pad(mlp->width[l]), n = ramify_pad(mlp->width[l + 1]);
        const bool narrow = l + 1 == mlp->layers && mlp->width[l + 1] <= RAMIFY_MLP_NARROW;
        const size_t floats = mlp->members * (2 * n + (mlp->members > 1 ? k : 0)) + n +
                              (narrow ? mlp->width[l + 1] * k : 0);
        most = floats > most ? floats : most;
    }
    return most;
}

size_t ramify_packed_scratch(const ramify_packed_shape *shape, size_t rows) {
    return (3 * buffer_floats(&shape->mlp, rows) + vector_floats(&shape->mlp)) * sizeof(float);
}

void ramify_packed_run(const ramify_kernels *kernels, const ramify_packed_shape *shape,
                       const void *packed, size_t rows, const float *x, size_t ldx, float *y,
                       size_t ldy, float *scratch) {
    place places[RAMIFY_MLP_LAYERS_MAX];
    const size_t floats = buffer_floats(&shape->mlp, rows);
    lay_out(&shape->mlp, packed, places);
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        const run r = {.kernels = kernels,
                       .record = packed,
                       .members = shape->mlp.members,
                       .rows = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS,
                       .buffer = {scratch, scratch + floats, scratch + 2 * floats},
                       .widened = scratch + 3 * floats};
        run_block(&r, &shape->mlp, places, x + first * ldx, ldx, y + first * ldy, ldy);
    }
}

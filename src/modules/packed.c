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

/* What a step of a sparse layer costs in a row's product, in vectors of 16 weights of a dense one: with
 * all inputs in registers, and with inputs that are gathered (measured with AVX-512, weights in the
 * first or second cache); and with weights that come from memory. */
#define HELD_STEP     4.5
#define GATHERED_STEP 8.0
#define HELD_INPUTS   64
#define COLD_STEP     2.0

/* Where the parts of a layer lie, in bytes from the record's start. */
typedef struct place {
    uint32_t k, n;
    bool sparse, narrow, last;
    size_t steps, weights, inputs; /* steps and inputs of a sparse layer */
    size_t weight_bytes;
    size_t bias, r, s, slope;
    uint32_t step_count;
} place;

static size_t align64(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t header_bytes(const ramify_mlp_shape *mlp) {
    return align64(mlp->layers * sizeof(ramify_packed_header));
}

/* Adds layer l, of which the header is good, after `at` bytes, and returns where it ends. */
static uint64_t lay_out_layer(const ramify_mlp_shape *mlp, uint32_t l,
                              const ramify_packed_header *header, uint64_t at, place *to) {
    *to = (place){.k = mlp->width[l], .n = mlp->width[l + 1], .last = l + 1 == mlp->layers};
    const uint64_t k = ramify_pad(to->k), n = ramify_pad(to->n), members = mlp->members;
    to->sparse = header->form == RAMIFY_PACKED_SPARSE;
    to->narrow = to->last && to->n <= RAMIFY_MLP_NARROW;
    to->step_count = header->steps;
    if (to->sparse) {
        const uint64_t places = (uint64_t)header->steps * RAMIFY_SLICE;
        to->steps = (size_t)at;
        at += align64(n / RAMIFY_SLICE * sizeof(uint32_t));
        to->weights = (size_t)at;
        at += align64(places * sizeof(float));
        to->inputs = (size_t)at;
        at += align64(places * ramify_sparse_input_bytes(to->k));
    } else {
        to->weights = (size_t)at;
        at += (to->narrow ? to->n * k : to->k * n) * sizeof(float);
    }
    to->bias = (size_t)at;
    at += members * n * sizeof(float);
    if (members > 1) {
        to->r = (size_t)at;
        at += members * k * sizeof(float);
        to->s = (size_t)at;
        at += members * n * sizeof(float);
    }
    if (!to->last) {
        to->slope = (size_t)at;
        at += n * sizeof(float);
    }
    return at;
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

static ramify_sparse matrix_of(const place *at, const void *record) {
    return (ramify_sparse){.k = at->k,
                           .n = ramify_pad(at->n),
                           .steps =
                               (const uint32_t *)(const void *)((const char *)record + at->steps),
                           .weights = (const char *)record + at->weights,
                           .inputs = (const char *)record + at->inputs,
                           .type = RAMIFY_WEIGHTS_FLOAT32};
}

static size_t input_of(const ramify_sparse *w, size_t at) {
    return ramify_sparse_input_bytes(w->k) == 2 ? ((const uint16_t *)w->inputs)[at]
                                                : ((const uint8_t *)w->inputs)[at];
}

/* Packing */

/* A record in another order of units, and what its layers become. */
typedef struct packing {
    const ramify_mlp_shape *mlp;
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_packed_header header[RAMIFY_MLP_LAYERS_MAX];
    float *record;   /* the units in their new order */
    float *spare;    /* of a layer's inputs or outputs */
    uint32_t *count; /* weights of each output of a layer */
    uint32_t *order; /* outputs */
} packing;

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

static bool becomes_sparse(const ramify_mlp_layer *at, uint64_t steps, ramify_storage storage) {
    const double dense = (double)at->k * (double)ramify_pad(at->n);
    const double hot = at->k <= HELD_INPUTS ? HELD_STEP : GATHERED_STEP;
    const double step = storage == RAMIFY_STORAGE_COLD ? COLD_STEP : hot;
    const double bytes = 4.0 + (double)ramify_sparse_input_bytes(at->k);
    if (at->narrow || at->k > RAMIFY_SPARSE_INPUTS_MAX || steps > UINT32_MAX)
        return false;
    if (storage == RAMIFY_STORAGE_SMALLEST)
        return (double)(steps * RAMIFY_SLICE) * bytes + (double)at->n / 4 < 4 * dense;
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
    if (becomes_sparse(at, steps, storage)) {
        p->header[l].form = RAMIFY_PACKED_SPARSE;
        p->header[l].steps = (uint32_t)steps;
    }
}

static void write_sparse(const packing *p, uint32_t l, const place *to, unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    uint32_t *steps = (uint32_t *)(void *)(record + to->steps);
    float *weights = (float *)(void *)(record + to->weights);
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
                weights[here] = weight;
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

static void write_layer(const packing *p, uint32_t l, const place *to, unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    const size_t members = p->mlp->members, k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (to->sparse)
        write_sparse(p, l, to, record);
    else
        memcpy(record + to->weights, p->record + at->weight, at->weight_floats * sizeof(float));
    memcpy(record + to->bias, p->record + at->bias, members * n * sizeof(float));
    if (members > 1) {
        memcpy(record + to->r, p->record + at->r, members * k * sizeof(float));
        memcpy(record + to->s, p->record + at->s, members * n * sizeof(float));
    }
    if (!at->last)
        memcpy(record + to->slope, p->record + at->slope, n * sizeof(float));
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

ramify_status ramify_packed_make(ramify_context *context, const ramify_mlp_shape *mlp,
                                 const float *record, ramify_storage storage, void **packed,
                                 uint32_t *bytes, uint32_t *numbers) {
    packing p = {.mlp = mlp};
    const size_t floats = ramify_mlp_layout(mlp, p.layer);
    size_t widest = 0;
    for (uint32_t l = 0; l <= mlp->layers; l++)
        widest = ramify_pad(mlp->width[l]) > widest ? ramify_pad(mlp->width[l]) : widest;
    p.record = ramify_allocate(context, floats, sizeof *p.record);
    p.spare = ramify_allocate(context, widest, sizeof *p.spare);
    p.count = ramify_allocate(context, widest, sizeof *p.count);
    p.order = ramify_allocate(context, widest, sizeof *p.order);
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (p.record && p.spare && p.count && p.order) {
        *numbers = 0;
        for (size_t i = 0; i < floats; i++) {
            p.record[i] = fabsf(record[i]) < FLT_MIN ? 0.0F : record[i];
            *numbers += p.record[i] != 0.0F;
        }
        status = write_packed(context, &p, storage, packed, bytes);
    }
    ramify_release(context, p.record);
    ramify_release(context, p.spare);
    ramify_release(context, p.count);
    ramify_release(context, p.order);
    return status;
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
        if (from->sparse) {
            const ramify_sparse w = matrix_of(from, packed);
            size_t here = 0;
            for (size_t slice = 0; slice < n / RAMIFY_SLICE; slice++)
                for (size_t i = 0; i < (size_t)w.steps[slice] * RAMIFY_SLICE; i++, here++)
                    record[ramify_mlp_weight_at(at, input_of(&w, here),
                                                slice * RAMIFY_SLICE + i % RAMIFY_SLICE)] +=
                        ((const float *)w.weights)[here];
        } else {
            memcpy(record + at->weight, floats_at(packed, from->weights),
                   at->weight_floats * sizeof(float));
        }
        memcpy(record + at->bias, floats_at(packed, from->bias), members * n * sizeof(float));
        if (members > 1) {
            memcpy(record + at->r, floats_at(packed, from->r), members * k * sizeof(float));
            memcpy(record + at->s, floats_at(packed, from->s), members * n * sizeof(float));
        }
        if (!at->last)
            memcpy(record + at->slope, floats_at(packed, from->slope), n * sizeof(float));
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

static bool finite_floats(const void *packed, size_t begin, size_t end) {
    const float *value = floats_at(packed, begin);
    uint32_t wrong = 0;
    for (size_t i = 0; i < (end - begin) / sizeof *value; i++)
        wrong |= !(fabsf(value[i]) <= RAMIFY_MLP_WEIGHT_MAX); /* NaN too */
    return wrong == 0;
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
        const bool sparse = header[l].form == RAMIFY_PACKED_SPARSE;
        const bool narrow = l + 1 == mlp->layers && mlp->width[l + 1] <= RAMIFY_MLP_NARROW;
        if (header[l].form > RAMIFY_PACKED_SPARSE || header[l].weights != RAMIFY_WEIGHTS_FLOAT32 ||
            header[l].reserved != 0 || (!sparse && header[l].steps > 0))
            return "a layer is stored in a way that this version does not know";
        if (sparse && (narrow || mlp->width[l] > RAMIFY_SPARSE_INPUTS_MAX))
            return "a layer is sparse that cannot be";
        at = lay_out_layer(mlp, l, &header[l], at, &places[l]);
        if (at > bytes)
            return "its layers are longer than the record";
        const place *to = &places[l];
        const char *fault = to->sparse ? check_sparse(to, packed) : NULL;
        if (fault)
            return fault;
        const size_t weights_end = to->sparse ? to->inputs : to->bias;
        if (!finite_floats(packed, to->weights, weights_end) ||
            !finite_floats(packed, to->bias, (size_t)at))
            return "a weight is not a number of at most 1e+18 in size";
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
} run;

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
static activations scale_inputs(const run *r, const place *at, activations from) {
    const size_t k = ramify_pad(at->k), columns = column_count(r);
    const float *gain = floats_at(r->record, at->r);
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

static void sparse_layer(const run *r, const place *at, activations from, float *to,
                         activations *made) {
    const ramify_sparse w = matrix_of(at, r->record);
    const size_t n = w.n, columns = column_count(r);
    const float *slope = at->last ? NULL : floats_at(r->record, at->slope);
    for (size_t m = 0; m < r->members; m++) {
        const float *bias = floats_at(r->record, at->bias) + m * n;
        const float *gain = r->members > 1 ? floats_at(r->record, at->s) + m * n : NULL;
        if (from.columns) {
            r->kernels->sparse_columns(&w, columns, from.at + m * from.apart, from.stride, gain,
                                       bias, slope, to + m * columns, made->stride);
            continue;
        }
        for (size_t row = 0; row < r->rows; row++)
            r->kernels->sparse_row(&w, from.at + m * from.apart + row * from.stride, gain, bias,
                                   slope, to + m * made->apart + row * n);
    }
}

static void dense_layer(const run *r, const place *at, activations from, float *to) {
    const ramify_kernels *kernels = r->kernels;
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n), count = r->members * r->rows;
    const float *weights = floats_at(r->record, at->weights);
    const float *bias = floats_at(r->record, at->bias);
    const float *slope = at->last ? NULL : floats_at(r->record, at->slope);
    const float *start = r->members > 1 ? NULL : bias; /* members' come after the gain */
    if (at->narrow) {
        memset(to, 0, count * n * sizeof *to);
        kernels->dots(count, at->n, at->k, from.at, from.stride, weights, k, start, to, n);
    } else if (start) {
        kernels->affine(count, n, at->k, from.at, from.stride, weights, n, bias, slope, to, n);
    } else {
        kernels->matmul(count, n, at->k, from.at, from.stride, 1, weights, n, to, n, false);
    }
    for (size_t m = 0; m < r->members && r->members > 1; m++) {
        float *z = to + m * r->rows * n;
        kernels->activate(r->rows, n, z, n, floats_at(r->record, at->s) + m * n, bias + m * n,
                          slope, z, n);
    }
}

static activations run_layer(const run *r, const place *at, activations from) {
    const size_t n = ramify_pad(at->n), columns = column_count(r);
    if (from.columns != (at->sparse && r->rows >= COLUMN_ROWS))
        from = turn(r, from, ramify_pad(at->k));
    if (r->members > 1)
        from = scale_inputs(r, at, from);
    float *to = free_buffer(r, from.at, NULL);
    activations made = {.at = to,
                        .columns = from.columns,
                        .stride = from.columns ? r->members * columns : n,
                        .apart = from.columns ? columns : r->rows * n};
    if (r->members == 1)
        made.apart = 0;
    if (at->sparse)
        sparse_layer(r, at, from, to, &made);
    else
        dense_layer(r, at, from, to);
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
    size_t widest = 0;
    for (uint32_t l = 0; l <= mlp->layers; l++)
        widest = ramify_pad(mlp->width[l]) > widest ? ramify_pad(mlp->width[l]) : widest;
    rows = rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
    return mlp->members * (rows < COLUMN_ROWS ? rows : ramify_pad(rows)) * widest;
}

size_t ramify_packed_scratch(const ramify_packed_shape *shape, size_t rows) {
    return 3 * buffer_floats(&shape->mlp, rows) * sizeof(float);
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
                       .buffer = {scratch, scratch + floats, scratch + 2 * floats}};
        run_block(&r, &shape->mlp, places, x + first * ldx, ldx, y + first * ldy, ldy);
    }
}

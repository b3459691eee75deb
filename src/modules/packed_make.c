/* Packing: the units of a record in another order, its weights rounded, and each layer in the form that
 * is asked for. */

#include "packed_parts.h"
#include "status.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* What a step of a sparse layer costs in a row's product, in vectors of 16 weights of a dense one of the
 * same type: with all inputs in registers, and with inputs that are gathered (measured with AVX-512,
 * weights in the first or second cache); and with weights that come from memory. */
typedef struct step_cost {
    double held, gathered, cold;
} step_cost;

static const step_cost step_costs[] = {
    [RAMIFY_WEIGHTS_FLOAT32] = {4.5, 8.0, 2.0},
    [RAMIFY_WEIGHTS_BFLOAT16] = {5.0, 9.5, 2.7},
    [RAMIFY_WEIGHTS_INT8] = {6.2, 13.5, 4.5},
};
#define HELD_INPUTS 64

/* The same of a line of 16 outputs of a masked layer; and where weights come from memory, of a line and of
 * 16 weights that are there (measured likewise: 64 to 784 inputs, 10 to 80 % of the weights). */
#define MASKED_LINE         3.5
#define MASKED_COLD         0.42
#define MASKED_COLD_WEIGHTS 0.62

/* Forms that take less than so much more than the smallest are as small. */
#define SMALL 1.15
#define FORMS (RAMIFY_PACKED_MASKED + 1)

const char *const ramify_storage_words[] = {"fastest", "smallest", "dense", NULL};

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
    uint32_t *place; /* widest + 1: of the next output with so many weights */
    size_t spread;   /* numbers of the largest masked matrix */
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
        *weight = fminf(fmaxf(whole, -RAMIFY_INT8_MOST), RAMIFY_INT8_MOST);
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
static void sort_outputs(packing *p, uint32_t outputs) {
    memset(p->place, 0, (p->widest + 1) * sizeof *p->place);
    for (uint32_t j = 0; j < outputs; j++)
        p->place[p->count[j]]++;
    uint32_t begin = 0;
    for (size_t c = p->widest + 1; c-- > 0;) {
        const uint32_t outputs_of = p->place[c];
        p->place[c] = begin;
        begin += outputs_of;
    }
    for (uint32_t j = 0; j < outputs; j++)
        p->order[p->place[p->count[j]]++] = j;
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

/* Bytes of a layer's matrix in a form, and what a row's product costs, in vectors of 16 weights of a dense
 * one. */
typedef struct form_cost {
    double bytes, time;
} form_cost;

static form_cost cost_of(const packing *p, uint32_t l, ramify_packed_form form, uint64_t steps,
                         uint64_t weights, bool cold) {
    const ramify_mlp_layer *at = &p->layer[l];
    const step_cost *cost = &step_costs[p->header[l].weights];
    const double bytes = (double)ramify_weight_bytes((ramify_weights)p->header[l].weights);
    const double lines = (double)at->k * (double)ramify_pad(at->n) / RAMIFY_SLICE;
    const double step = cold ? cost->cold : at->k <= HELD_INPUTS ? cost->held : cost->gathered;
    if (form == RAMIFY_PACKED_SPARSE)
        return (form_cost){(double)steps * RAMIFY_SLICE *
                                   (bytes + (double)ramify_sparse_input_bytes(at->k)) +
                               (double)at->n / 4,
                           (double)steps * step};
    if (form == RAMIFY_PACKED_MASKED)
        return (form_cost){2 * lines + bytes * (double)weights,
                           cold ? MASKED_COLD * lines +
                                      MASKED_COLD_WEIGHTS * (double)weights / RAMIFY_SLICE
                                : MASKED_LINE * lines};
    return (form_cost){bytes * RAMIFY_SLICE * lines, lines};
}

static bool can_be(const packing *p, uint32_t l, ramify_packed_form form, uint64_t steps) {
    const ramify_mlp_layer *at = &p->layer[l];
    if (form == RAMIFY_PACKED_DENSE)
        return true;
    if (form == RAMIFY_PACKED_MASKED)
        return !at->narrow && p->header[l].weights == RAMIFY_WEIGHTS_FLOAT32;
    return !at->narrow && at->k <= RAMIFY_SPARSE_INPUTS_MAX && steps <= UINT32_MAX;
}

/* The fastest form; or the one with the fewest bytes, of those that are nearly as small the fastest. */
static ramify_packed_form choose_form(const packing *p, uint32_t l, uint64_t steps,
                                      uint64_t weights, ramify_storage storage) {
    form_cost cost[FORMS];
    ramify_packed_form best = RAMIFY_PACKED_DENSE;
    double least = INFINITY;
    if (storage == RAMIFY_STORAGE_DENSE)
        return best;
    for (int f = 0; f < FORMS; f++) {
        const ramify_packed_form form = (ramify_packed_form)f;
        cost[f] = can_be(p, l, form, steps)
                      ? cost_of(p, l, form, steps, weights, storage == RAMIFY_STORAGE_COLD)
                      : (form_cost){INFINITY, INFINITY};
        least = fmin(least, cost[f].bytes);
    }
    for (int f = 0; f < FORMS; f++) {
        const bool small = storage != RAMIFY_STORAGE_SMALLEST || cost[f].bytes < SMALL * least;
        const bool best_is_small =
            storage != RAMIFY_STORAGE_SMALLEST || cost[best].bytes < SMALL * least;
        if (small && (!best_is_small || cost[f].time < cost[best].time))
            best = (ramify_packed_form)f;
    }
    return best;
}

static void plan_layer(packing *p, uint32_t l, ramify_storage storage) {
    const ramify_mlp_layer *at = &p->layer[l];
    count_weights(p, l);
    if (!at->last && storage != RAMIFY_STORAGE_DENSE) {
        sort_outputs(p, at->n);
        reorder(p, l);
    }
    const uint64_t steps = steps_of(p->count, at->n);
    uint64_t weights = 0;
    for (size_t j = 0; j < at->n; j++)
        weights += p->count[j];
    const ramify_packed_form form = choose_form(p, l, steps, weights, storage);
    p->header[l].form = form;
    if (form == RAMIFY_PACKED_SPARSE)
        p->header[l].steps = (uint32_t)steps;
    if (form == RAMIFY_PACKED_MASKED) {
        const size_t all = at->k * ramify_pad(at->n);
        p->header[l].steps = (uint32_t)weights;
        p->spread = all > p->spread ? all : p->spread;
    }
}

static void write_sparse(const packing *p, uint32_t l, const ramify_packed_place *to,
                         unsigned char *record) {
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
                ramify_packed_put(weights, here, to->type, weight);
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

static void write_dense(const packing *p, uint32_t l, const ramify_packed_place *to,
                        unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    if (to->type == RAMIFY_WEIGHTS_FLOAT32) {
        memcpy(record + to->weights, p->record + at->weight, at->weight_floats * sizeof(float));
        return;
    }
    for (size_t i = 0; i < at->k; i++)
        for (size_t j = 0; j < at->n; j++)
            ramify_packed_put(record + to->weights, ramify_packed_dense_at(to, at, i, j), to->type,
                              p->record[ramify_mlp_weight_at(at, i, j)]);
}

static void write_masked(const packing *p, uint32_t l, const ramify_packed_place *to,
                         unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    const size_t lines = ramify_pad(at->n) / 16;
    uint16_t *mask = (uint16_t *)(void *)(record + to->steps);
    float *weights = (float *)(void *)(record + to->weights);
    for (size_t first = 0; first < lines; first += RAMIFY_PANEL_LINES)
        for (size_t i = 0; i < at->k; i++)
            for (size_t line = first; line < lines && line < first + RAMIFY_PANEL_LINES; line++) {
                for (size_t bit = 0; bit < 16 && line * 16 + bit < at->n; bit++) {
                    const float weight = p->record[ramify_mlp_weight_at(at, i, line * 16 + bit)];
                    if (weight == 0.0F)
                        continue;
                    *mask |= (uint16_t)(1U << bit);
                    *weights++ = weight;
                }
                mask++;
            }
}

/* Numbers of b, r, s or slope. */
static void write_vector(const ramify_packed_place *to, unsigned char *record, size_t at,
                         const float *from, size_t count) {
    const bool whole = to->type == RAMIFY_WEIGHTS_FLOAT32;
    for (size_t i = 0; i < count; i++)
        ramify_packed_put(record + to->vectors, at + i,
                          whole ? RAMIFY_WEIGHTS_FLOAT32 : RAMIFY_WEIGHTS_BFLOAT16, from[i]);
}

static void write_layer(const packing *p, uint32_t l, const ramify_packed_place *to,
                        unsigned char *record) {
    const ramify_mlp_layer *at = &p->layer[l];
    const size_t members = p->mlp->members, k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (to->sparse)
        write_sparse(p, l, to, record);
    else if (to->masked)
        write_masked(p, l, to, record);
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
    ramify_packed_place places[RAMIFY_MLP_LAYERS_MAX];
    for (uint32_t l = 0; l < p->mlp->layers; l++)
        plan_layer(p, l, storage);
    const uint64_t all = ramify_packed_lay_out(p->mlp, p->header, places);
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
                                 uint32_t *numbers, uint32_t *spread) {
    packing p = {.mlp = mlp};
    const size_t floats = ramify_mlp_layout(mlp, p.layer);
    p.widest = ramify_packed_widest(mlp);
    p.record = ramify_allocate(context, floats, sizeof *p.record);
    p.scale = ramify_allocate(context, p.widest * mlp->layers, sizeof *p.scale);
    p.spare = ramify_allocate(context, p.widest, sizeof *p.spare);
    p.count = ramify_allocate(context, p.widest, sizeof *p.count);
    p.order = ramify_allocate(context, p.widest, sizeof *p.order);
    p.place = ramify_allocate(context, p.widest + 1, sizeof *p.place);
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (p.record && p.scale && p.spare && p.count && p.order && p.place)
        status =
            make_packed(context, &p, record, floats, storage, rounding, packed, bytes, numbers);
    *spread = (uint32_t)p.spread;
    ramify_release(context, p.record);
    ramify_release(context, p.scale);
    ramify_release(context, p.spare);
    ramify_release(context, p.count);
    ramify_release(context, p.order);
    ramify_release(context, p.place);
    return status;
}

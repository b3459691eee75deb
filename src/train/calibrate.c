#include "calibrate.h"
#include "feedback.h"
#include "memory.h"
#include "status.h"

#include <string.h>

/* Beyond these, time and memory would run away: rows of all members together, of which five matrices of
 * activations are held, and inputs of a layer, whose square is held twice in float64. Layers of more
 * inputs are rounded to the nearest. */
#define MOST_ROWS   8192
#define MOST_INPUTS 2048

/* A network as it was and as it is rounded so far, and what rows are by now in both. */
typedef struct calibration {
    ramify_context *context;
    const ramify_kernels *kernels;
    const ramify_mlp_shape *shape;
    ramify_weights type;
    size_t rows, count;  /* of a member, and of all */
    const float *before; /* the record as it was */
    float *record;       /* and rounded */
    float *exact, *now;  /* count x widest: inputs of the layer at hand, in the one and the other */
    float *scaled;       /* count x widest: times the members' r */
    float *target;       /* count x widest: outputs of the network as it was, before s and b */
    float *outputs;      /* count x widest */
    float *column;       /* widest: weights of an output */
    double *mean;        /* members x widest */
    double *spare;       /* 3 x widest */
} calibration;

static float nearest(float value) {
    return ramify_bfloat16_value(ramify_bfloat16(value));
}

static void round_to_nearest(float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        values[i] = nearest(values[i]);
}

/* A layer's inputs times the members' r. */
static const float *scale_inputs(const calibration *c, const ramify_mlp_layer *at,
                                 const float *record, const float *x) {
    const size_t k = ramify_pad(at->k), members = c->shape->members;
    for (size_t m = 0; m < members && members > 1; m++)
        c->kernels->scale_columns(c->rows, k, x + m * c->rows * k, k, record + at->r + m * k,
                                  c->scaled + m * c->rows * k, k);
    return members > 1 ? c->scaled : x;
}

/* z[count x pad(n)] of such inputs, before s, b and the activation. */
static void multiply(const calibration *c, const ramify_mlp_layer *at, const float *record,
                     const float *x, float *z) {
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (!at->narrow) {
        c->kernels->matmul(c->count, n, at->k, x, k, 1, record + at->weight, n, z, n, false);
        return;
    }
    memset(z, 0, c->count * n * sizeof *z);
    c->kernels->dots(c->count, at->n, at->k, x, k, record + at->weight, k, NULL, z, n);
}

/* mean[members x pad(n)] += factor times the mean of every member's z times its s. */
static void add_means(const calibration *c, const ramify_mlp_layer *at, const float *record,
                      const float *z, double factor) {
    const size_t n = ramify_pad(at->n);
    for (size_t i = 0; i < c->count; i++) {
        const size_t of = i / c->rows * n; /* the member's */
        for (size_t j = 0; j < at->n; j++) {
            const float s = c->shape->members > 1 ? record[at->s + of + j] : 1.0F;
            c->mean[of + j] += factor * (double)s * (double)z[i * n + j] / (double)c->rows;
        }
    }
}

static void activate(const calibration *c, const ramify_mlp_layer *at, const float *record,
                     float *z) {
    const size_t n = ramify_pad(at->n), members = c->shape->members;
    for (size_t m = 0; m < members; m++) {
        float *rows = z + m * c->rows * n;
        c->kernels->activate(c->rows, n, rows, n, members > 1 ? record + at->s + m * n : NULL,
                             record + at->bias + m * n, at->last ? NULL : record + at->slope, rows,
                             n);
    }
}

/* z less what the layer puts out so far, each member's less its mean: c->outputs. */
static void find_differences(const calibration *c, const ramify_mlp_layer *at, const float *x) {
    const size_t n = ramify_pad(at->n);
    multiply(c, at, c->record, x, c->outputs);
    for (size_t m = 0; m < c->shape->members; m++)
        for (size_t j = 0; j < n; j++) {
            float *d = c->outputs + m * c->rows * n + j;
            const float *z = c->target + m * c->rows * n + j;
            double mean = 0;
            for (size_t i = 0; i < c->rows; i++) {
                d[i * n] = z[i * n] - d[i * n];
                mean += (double)d[i * n] / (double)c->rows;
            }
            for (size_t i = 0; i < c->rows; i++)
                d[i * n] -= (float)mean;
        }
}

/* Weights of all outputs, corrected and rounded. product: k x pad(n), the inputs times the differences. */
static void round_outputs(const calibration *c, const ramify_mlp_layer *at,
                          const ramify_feedback *feedback, const float *product, float *scale) {
    for (size_t j = 0; j < at->n; j++) {
        for (size_t i = 0; i < at->k; i++)
            c->column[i] = c->record[ramify_mlp_weight_at(at, i, j)];
        ramify_feedback_correct(feedback, product + j, ramify_pad(at->n), c->column, c->spare);
        if (at->narrow || c->type == RAMIFY_WEIGHTS_BFLOAT16)
            round_to_nearest(c->column, at->k);
        else
            scale[j] = ramify_feedback_round(feedback, c->column, c->spare);
        for (size_t i = 0; i < at->k; i++)
            c->record[ramify_mlp_weight_at(at, i, j)] = c->column[i];
    }
}

static ramify_status round_weights(const calibration *c, const ramify_mlp_layer *at, const float *x,
                                   float *scale) {
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (at->k > MOST_INPUTS)
        return RAMIFY_OK; /* packing takes the nearest */
    ramify_feedback feedback = {0};
    float *product = ramify_allocate(c->context, at->k * n, sizeof *product);
    ramify_status status = product
                               ? ramify_feedback_make(c->context, c->kernels, at->k,
                                                      c->shape->members, c->rows, x, k, &feedback)
                               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        find_differences(c, at, x);
        c->kernels->matmul(at->k, n, c->count, x, 1, k, c->outputs, n, product, n, false);
        round_outputs(c, at, &feedback, product, scale);
    }
    ramify_feedback_destroy(c->context, &feedback);
    ramify_release(c->context, product);
    return status;
}

/* s becomes what it is once the packed record has its product with the step as a bfloat16 number. */
static void round_gains(const calibration *c, const ramify_mlp_layer *at, const float *scale) {
    const size_t n = ramify_pad(at->n);
    for (size_t i = 0; i < c->shape->members * n && c->shape->members > 1; i++) {
        float *s = &c->record[at->s + i];
        const float step = scale[i % n] > 0 ? scale[i % n] : 1.0F;
        *s = nearest(*s * step) / step;
    }
}

static ramify_status round_layer(calibration *c, const ramify_mlp_layer *at, float *scale) {
    const size_t n = ramify_pad(at->n), members = c->shape->members;
    memset(c->mean, 0, members * n * sizeof *c->mean);
    multiply(c, at, c->before, scale_inputs(c, at, c->before, c->exact), c->target);
    add_means(c, at, c->before, c->target, 1.0);
    memcpy(c->exact, c->target, c->count * n * sizeof *c->exact);
    activate(c, at, c->before, c->exact);
    if (members > 1)
        round_to_nearest(c->record + at->r, members * ramify_pad(at->k));
    const float *x = scale_inputs(c, at, c->record, c->now);
    RAMIFY_TRY(round_weights(c, at, x, scale));
    round_gains(c, at, scale);
    multiply(c, at, c->record, x, c->outputs);
    add_means(c, at, c->record, c->outputs, -1.0);
    for (size_t i = 0; i < members * n; i++)
        c->record[at->bias + i] += (float)c->mean[i];
    round_to_nearest(c->record + at->bias, members * n);
    round_to_nearest(c->record + at->slope, at->last ? 0 : n);
    activate(c, at, c->record, c->outputs);
    float *swap = c->now;
    c->now = c->outputs;
    c->outputs = swap;
    return RAMIFY_OK;
}

static ramify_status round_layers(calibration *c, const float *x, float *scale) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    const size_t k = ramify_pad(c->shape->width[0]);
    ramify_mlp_layout(c->shape, layer);
    for (size_t m = 0; m < c->shape->members; m++) {
        memcpy(c->exact + m * c->rows * k, x, c->rows * k * sizeof *x);
        memcpy(c->now + m * c->rows * k, x, c->rows * k * sizeof *x);
    }
    for (uint32_t l = 0; l < c->shape->layers; l++) {
        RAMIFY_TRY(round_layer(c, &layer[l], scale));
        scale += ramify_pad(layer[l].n);
    }
    return RAMIFY_OK;
}

ramify_status ramify_calibrate(ramify_context *context, const ramify_kernels *kernels,
                               const ramify_mlp_shape *shape, ramify_weights type, size_t rows,
                               const float *x, float *record, float *scale) {
    const size_t bytes = ramify_mlp_record_bytes(shape), most = MOST_ROWS / shape->members;
    size_t widest = 0, outputs = 0;
    for (uint32_t l = 0; l <= shape->layers; l++) {
        widest = ramify_pad(shape->width[l]) > widest ? ramify_pad(shape->width[l]) : widest;
        outputs += l > 0 ? ramify_pad(shape->width[l]) : 0;
    }
    memset(scale, 0, outputs * sizeof *scale);
    if (rows < RAMIFY_CALIBRATION_LEAST)
        return RAMIFY_OK;
    calibration c = {.context = context,
                     .kernels = kernels,
                     .shape = shape,
                     .type = type,
                     .rows = rows < most ? rows : most,
                     .record = record};
    c.count = c.rows * shape->members;
    const size_t numbers = c.count * widest;
    float *before = ramify_allocate(context, bytes, 1);
    float *activations = ramify_allocate(context, 5 * numbers + widest, sizeof *activations);
    c.mean = ramify_allocate(context, shape->members * widest, sizeof *c.mean);
    c.spare = ramify_allocate(context, 3 * widest, sizeof *c.spare);
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (before && activations && c.mean && c.spare) {
        memcpy(before, record, bytes);
        c.before = before;
        c.exact = activations;
        c.now = activations + numbers;
        c.scaled = activations + 2 * numbers;
        c.outputs = activations + 3 * numbers;
        c.target = activations + 4 * numbers;
        c.column = activations + 5 * numbers;
        status = round_layers(&c, x, scale);
    }
    ramify_release(context, before);
    ramify_release(context, activations);
    ramify_release(context, c.mean);
    ramify_release(context, c.spare);
    return status;
}

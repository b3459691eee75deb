/* ramify_quantize: every network of a model is rounded by the rows that end at it, packed with weights of
 * fewer bits, and the model drafted again. */

#include "calibrate.h"
#include "memory.h"
#include "progress.h"
#include "repack.h"
#include "status.h"
#include "text.h"
#include "threads.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define CALIBRATION_ROWS 2048

static const char *const types[] = {"int8", "bf16", NULL};
static const ramify_weights type_weights[] = {RAMIFY_WEIGHTS_INT8, RAMIFY_WEIGHTS_BFLOAT16};

typedef struct quantizing {
    ramify_repack base;
    const ramify_quantize_options *options;
    ramify_weights type;
    size_t scales; /* of a network: a step for each output of each layer, padded */
    ramify_stored stored;
    atomic_uint done; /* networks */
} quantizing;

void ramify_quantize_options_init(ramify_quantize_options *options) {
    *options = (ramify_quantize_options){
        .type = "int8", .store = "fastest", .calibration_rows = CALIBRATION_ROWS};
}

static ramify_status check_options(ramify_context *context, const ramify_model *model,
                                   const ramify_quantize_options *o) {
    if (ramify_word_find(o->type, types) == UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "type is \"%s\", expected int8 or bf16",
                           o->type ? o->type : "");
    if (ramify_word_find(o->store, ramify_storage_words) == UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "store is \"%s\", expected fastest, smallest or dense",
                           o->store ? o->store : "");
    if (o->validation < 0 || !(o->validation < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "validation is %g, expected a share of the rows below 1", o->validation);
    if (model->paraformer.branches > 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: a model of kind paraformer cannot be quantised yet: only networks "
                           "of kinds pathways and mlp can",
                           model->source.name);
    return RAMIFY_OK;
}

/* Rows of a network's inputs that it is calibrated with, spread over those that train: x[*count x
 * pad(features)], to be released. */
static ramify_status gather_rows(const quantizing *q, size_t m, float **x, size_t *count) {
    const ramify_repack *base = &q->base;
    const size_t stride = ramify_pad(base->model->stem.features);
    const size_t there = base->held[m] - base->begin[m], most = q->options->calibration_rows;
    *count = there < most ? there : most;
    *x = ramify_allocate(base->context, *count * stride + 1, sizeof **x);
    if (!*x)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < *count; i++) {
        const uint32_t row = base->order[base->begin[m] + i * there / *count];
        memcpy(*x + i * stride, ramify_repack_features(base) + row * stride, stride * sizeof **x);
    }
    return RAMIFY_OK;
}

/* Task: rounds and packs a network. */
static ramify_status quantize_module(void *argument, size_t m, uint32_t worker) {
    (void)worker;
    quantizing *q = argument;
    const ramify_repack *base = &q->base;
    ramify_context *context = base->context;
    float *x = NULL;
    size_t rows = 0;
    float *record = ramify_allocate(context, base->floats, sizeof *record);
    float *scale = ramify_allocate(context, q->scales, sizeof *scale);
    ramify_status status = record && scale ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = gather_rows(q, m, &x, &rows);
    if (status == RAMIFY_OK) {
        memcpy(record, base->parts->records[m], base->floats * sizeof *record);
        status = ramify_calibrate(context, base->learned->kernels, &base->parts->shape, q->type,
                                  rows, x, record, scale);
    }
    if (status == RAMIFY_OK) {
        const ramify_rounding rounding = {.type = q->type, .scale = scale};
        status = ramify_stored_add(base, &q->stored, (uint32_t)m, record, &rounding);
    }
    ramify_release(context, x);
    ramify_release(context, record);
    ramify_release(context, scale);
    ramify_progress_report(context, "rounding", atomic_fetch_add(&q->done, 1) + 1.0,
                           base->parts->module_count);
    return status;
}

static ramify_status quantize_all(quantizing *q) {
    const ramify_repack *base = &q->base;
    const ramify_storage storage =
        (ramify_storage)ramify_word_find(q->options->store, ramify_storage_words);
    q->type = type_weights[ramify_word_find(q->options->type, types)];
    for (uint32_t l = 1; l <= base->parts->shape.layers; l++)
        q->scales += ramify_pad(base->parts->shape.width[l]);
    RAMIFY_TRY(ramify_stored_begin(base, storage, q->type, &q->stored));
    RAMIFY_TRY(ramify_parallel(base->context, base->parts->module_count, quantize_module, q));
    ramify_stored_end(base, &q->stored);
    return RAMIFY_OK;
}

static ramify_status write_model(quantizing *q, const ramify_quantize_result *result,
                                 ramify_model **quantized) {
    json_t *config = ramify_dismantled_config(q->base.model);
    json_t *about = json_pack("{s:s, s:f, s:f}", "type", q->options->type, "error", result->error,
                              "error_before", result->error_before);
    ramify_status status = config && about && json_object_set(config, "quantized", about) == 0
                               ? RAMIFY_OK
                               : ramify_fail(q->base.context, RAMIFY_ERROR_MEMORY,
                                             "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = ramify_repack_write(&q->base, &q->stored, config, quantized);
    if (status == RAMIFY_OK)
        ramify_repack_warn(&q->base, *quantized);
    json_decref(about);
    json_decref(config);
    return status;
}

static ramify_status run(quantizing *q, ramify_context *context, ramify_model *model,
                         const ramify_table *table, ramify_quantize_result *result,
                         ramify_model **quantized) {
    const ramify_quantize_options *o = q->options;
    const ramify_repack_rows rows = {.weight = o->weight,
                                     .group = o->group,
                                     .time = o->time,
                                     .validation = o->validation,
                                     .seed = o->seed,
                                     .own_seed = o->own_seed};
    RAMIFY_TRY(ramify_repack_open(context, model, "quantise", &q->base));
    RAMIFY_TRY(ramify_repack_read(&q->base, table, &rows));
    RAMIFY_TRY(ramify_repack_deal(&q->base, q->base.problem));
    RAMIFY_TRY(ramify_repack_own_error(&q->base, &result->error_before));
    RAMIFY_TRY(quantize_all(q));
    RAMIFY_TRY(ramify_repack_error(&q->base, &q->stored, &result->error));
    result->error_name = model->targets > 0 ? "rmse" : "error";
    result->validation_rows = ramify_repack_validation_rows(&q->base);
    return write_model(q, result, quantized);
}

ramify_status ramify_quantize(ramify_context *context, ramify_model *model,
                              const ramify_table *table, const ramify_quantize_options *options,
                              ramify_model **quantized, ramify_quantize_result *result) {
    ramify_quantize_result found = {0};
    ramify_clear(context);
    if (!model || !table || !options || !quantized)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_quantize: model, table, options or quantized is NULL");
    *quantized = NULL;
    RAMIFY_TRY(check_options(context, model, options));
    quantizing q = {.base = {.context = context}, .options = options};
    const ramify_status status = run(&q, context, model, table, &found, quantized);
    if (q.base.parts)
        ramify_stored_clear(&q.base, &q.stored);
    ramify_repack_close(&q.base);
    if (result && status == RAMIFY_OK)
        *result = found;
    return status;
}

/* Gradients of predictions by the raw inputs: backwards through expert, features and scaling. The
 * memory for it is taken at the first gradient, so that programs that only predict don't pay. */

#include "memory.h"
#include "predict.h"

#include <string.h>

typedef struct gradient_sizes {
    uint64_t group, plain, output, raw, scratch; /* bytes */
} gradient_sizes;

static ramify_status take_memory(ramify_predictor *p) {
    const ramify_module_shape *shape = &p->model->shape;
    /* Of the predictor's piece; under a bound, one row. */
    size_t rows = p->model->bound > 0 ? 1 : p->rows;
    gradient_sizes sizes = {.group = rows * p->ldf * sizeof(float),
                            .plain = p->ldp * sizeof(float),
                            .output = rows * p->ldo * sizeof(float),
                            .scratch = ramify_align(shape->type->gradient_bytes(shape, rows))};
    const ramify_series_shape *series = ramify_model_series(p->model);
    if (series) {
        sizes.raw = ramify_align(rows * series->columns * sizeof(double));
        if (ramify_series_scratch(series, true) > sizes.scratch)
            sizes.scratch = ramify_align(ramify_series_scratch(series, true));
    }
    uint64_t bytes = sizes.group + sizes.plain + sizes.output + sizes.raw + sizes.scratch;
    if (bytes > SIZE_MAX)
        return ramify_fail(p->context, RAMIFY_ERROR_MEMORY,
                           "gradients of %llu bytes cannot be addressed",
                           (unsigned long long)bytes);
    unsigned char *memory = ramify_allocate(p->context, (size_t)bytes, 1);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    p->gradient_memory = memory;
    p->gradient_rows = rows;
    p->group_slope = (float *)memory;
    p->plain_slope = (float *)(memory += sizes.group);
    p->output_slope = (float *)(memory += sizes.plain);
    p->raw_slope = (double *)(memory += sizes.output);
    p->gradient_scratch = memory + sizes.raw;
    p->bytes += ramify_block_bytes(bytes);
    ramify_model_hold(p->model, &p->model->predictor_bytes, (int64_t)ramify_block_bytes(bytes));
    return RAMIFY_OK;
}

/* d output / d module outputs: a unit vector, or for a class's log-probability the unit vector
 * minus the probabilities. */
static void set_output_slope(ramify_predictor *p, const ramify_batch *batch, uint32_t output) {
    const ramify_model *model = p->model;
    memset(p->output_slope, 0, batch->count * p->ldo * sizeof(float));
    if (model->targets == 0) {
        model->shape.type->run(p->kernels, &model->shape, batch->record, batch->count,
                               batch->features, p->ldf, p->output, p->ldo, p->scratch);
        p->kernels->softmax(batch->count, model->outputs, p->output, p->ldo, p->output, p->ldo);
        for (size_t i = 0; i < batch->count; i++)
            for (uint32_t j = 0; j < model->outputs; j++)
                p->output_slope[i * p->ldo + j] = -p->output[i * p->ldo + j];
    }
    for (size_t i = 0; i < batch->count; i++)
        p->output_slope[i * p->ldo + output] += 1.0F;
}

/* Where a piece's gradients go. */
typedef struct target {
    uint32_t output;
    double *gradient;
    size_t stride;
} target;

/* Series go straight to the raw columns. */
static ramify_status gradient_of_series(ramify_predictor *p, const ramify_batch *batch,
                                        const target *to) {
    const ramify_model *model = p->model;
    const uint32_t columns = model->stem.columns;
    ramify_series_gradient(p->kernels, &model->series, batch->record, batch->x, batch->x_stride,
                           batch->rows, batch->count, to->output, p->raw_slope,
                           p->gradient_scratch);
    for (size_t i = 0; i < batch->count; i++)
        for (uint32_t c = 0; c < columns; c++)
            to->gradient[batch->rows[i] * to->stride + c] =
                p->raw_slope[i * columns + c] * model->head_scale[to->output];
    return RAMIFY_OK;
}

static ramify_status gradient_batch(ramify_predictor *p, const ramify_batch *batch,
                                    void *argument) {
    const target *to = argument;
    const ramify_model *model = p->model;
    if (ramify_predictor_sums(p, batch->group))
        return gradient_of_series(p, batch, to);
    set_output_slope(p, batch, to->output);
    model->shape.type->input_gradient(p->kernels, &model->shape, batch->record, batch->count,
                                      batch->features, p->ldf, p->output_slope, p->ldo,
                                      p->group_slope, p->ldf, p->gradient_scratch);
    RAMIFY_TRY(ramify_predictor_check(p, batch->module, p->group_slope, batch->count,
                                      model->stem.features, p->ldf));
    const ramify_stem *stem = &model->stem;
    for (size_t i = 0; i < batch->count; i++) {
        size_t row = batch->rows[i];
        double *gradient = to->gradient + row * to->stride;
        ramify_stem_plain_gradient(stem, 1, p->plain + row * p->ldp, p->ldp,
                                   p->group_slope + i * p->ldf, p->ldf, p->plain_slope, p->ldp);
        ramify_stem_raw_gradient(stem, 1, batch->x + row * batch->x_stride, batch->x_stride,
                                 p->plain_slope, p->ldp, gradient, to->stride);
        for (uint32_t c = 0; model->targets > 0 && c < stem->columns; c++)
            gradient[c] *= model->head_scale[to->output];
    }
    return RAMIFY_OK;
}

ramify_status ramify_predict_gradient(ramify_predictor *predictor, size_t rows, const double *x,
                                      size_t x_stride, uint32_t output, double *gradient,
                                      size_t gradient_stride) {
    ramify_predictor *p = predictor;
    ramify_context *context = p->context;
    uint32_t columns = p->model->stem.columns;
    ramify_clear(context);
    if (rows > 0 && (!x || !gradient))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict_gradient: x or gradient is NULL");
    if (rows > 1 && (x_stride < columns || gradient_stride < columns))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict_gradient: strides of %zu and %zu numbers for %u columns",
                           x_stride, gradient_stride, columns);
    RAMIFY_TRY(ramify_model_need_tree(context, p->model, "gradients"));
    if (p->blended)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "ramify_predict_gradient: there are no gradients of several experts' "
                           "blend; open the model with top_k 1");
    if (output >= p->model->outputs)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict_gradient: output %u of %u", output, p->model->outputs);
    if (!p->gradient_memory)
        RAMIFY_TRY(take_memory(p));
    ramify_status status = RAMIFY_OK;
    for (size_t first = 0; first < rows && status == RAMIFY_OK; first += p->gradient_rows) {
        size_t left = rows - first;
        size_t count = left < p->gradient_rows ? left : p->gradient_rows;
        target to = {.output = output,
                     .gradient = gradient + first * gradient_stride,
                     .stride = gradient_stride};
        status =
            ramify_predictor_visit(p, count, x + first * x_stride, x_stride, gradient_batch, &to);
    }
    ramify_predictor_report(p);
    return status;
}

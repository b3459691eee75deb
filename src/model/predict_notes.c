/* Intervals and novelty.
 *
 * Interval of a target: prediction + spread of the row's leaf x quantile of residuals, the two
 * quantiles being at shares (1 - level) / 2 and (1 + level) / 2 (split conformal prediction with
 * normalised residuals: Papadopoulos and others 2002; Lei and others 2018).
 *
 * Novelty: the row's distance to the prototype of its leaf, in reaches of that leaf, as a share of
 * the training rows. */

#include "notes.h"
#include "predict.h"

#include <math.h>

/* Levels are computed in decimals: .9 of 19 rows is just what they allow, but for rounding. */
#define SHARE_ROUNDING 1e-9

ramify_status ramify_wanted_check(ramify_context *context, const ramify_model *model,
                                  const ramify_wanted *wanted) {
    const char *name = model->source.name;
    if (wanted->low && model->targets == 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: predicts classes, which have no intervals: their probabilities say "
                           "how sure it is",
                           name);
    if (wanted->low && model->branches < model->paraformer.branches)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: its intervals are those of all %u branches: run all of them", name,
                           model->paraformer.branches);
    if (wanted->low && model->notes.residuals == 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: has no notes on residuals, which intervals are made of: it was "
                           "imported, or made with too few validation rows: train, prune or "
                           "quantise it again with more (--validation)",
                           name);
    if (wanted->novelty && model->notes.distances == 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: has no notes on distances, which novelty is made of: it was "
                           "imported, so train one here",
                           name);
    if (wanted->low && !(wanted->level > 0 && wanted->level < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "an interval of level %g: must lie between 0 and 1, as 0.9 does",
                           wanted->level);
    return RAMIFY_OK;
}

/* Sets notes->quantile, or fails where a tail is thinner than one report row. */
static ramify_status find_quantiles(ramify_predictor *p, double level) {
    const ramify_model *model = p->model;
    uint32_t count = model->notes.residuals;
    double tail = (1 - level) / 2, least = 0;
    for (uint32_t t = 0; t < model->targets; t++) {
        const ramify_note *table = p->notes->residuals + (size_t)t * count;
        least = fmax(least, fmax(table[0].share, 1 - table[count - 1].share));
        p->notes->quantile[2 * (size_t)t] = ramify_note_value(table, count, tail);
        p->notes->quantile[2 * (size_t)t + 1] = ramify_note_value(table, count, 1 - tail);
    }
    if (tail >= least - SHARE_ROUNDING)
        return RAMIFY_OK;
    double most = floor((1 - 2 * least) * 1e4) / 100;
    return ramify_fail(
        p->context, RAMIFY_ERROR_ARGUMENT,
        "%s: an interval of %g%% needs more rows than the %u that its residuals were "
        "measured on: ask for at most %g%%, or train with more rows",
        model->source.name, 100 * level, model->notes.rows, most > 0 ? most : 0.0);
}

/* One row's intervals. low may be y. */
static void bound_row(const ramify_predictor *p, const double *y, double *low, double *high) {
    const ramify_model *model = p->model;
    const float *spread = p->notes->record + 1;
    for (uint32_t t = 0; t < model->targets; t++) {
        double unit = model->head_scale[t] * (double)spread[t];
        double a = y[t] + unit * p->notes->quantile[2 * (size_t)t];
        double b = y[t] + unit * p->notes->quantile[2 * (size_t)t + 1];
        low[t] = a < b ? a : b; /* a stranger's scale may be negative */
        high[t] = a < b ? b : a;
    }
}

/* Rows of one leaf; `first` is the piece's first row. */
static ramify_status note_leaf(ramify_predictor *p, const ramify_row_group *leaf, size_t first,
                               const ramify_wanted *wanted) {
    const ramify_model *model = p->model;
    const ramify_notes *notes = p->notes;
    RAMIFY_TRY(ramify_notes_read(p->context, model, leaf->reference.leaf, notes->record));
    if (!model->source.bytes)
        p->traffic.bytes_read += ramify_notes_record_bytes(&model->notes, model->targets);
    const double *y = wanted->y ? wanted->y : wanted->low;
    size_t y_stride = wanted->y ? wanted->y_stride : wanted->stride;
    for (uint32_t i = 0; i < leaf->count; i++) {
        size_t row = first + p->order[leaf->start + i];
        if (wanted->low)
            bound_row(p, y + row * y_stride, wanted->low + row * wanted->stride,
                      wanted->high + row * wanted->stride);
        if (wanted->novelty) {
            double distance = sqrt((double)p->nearness[row - first]);
            wanted->novelty[row] = ramify_note_share(notes->distances, model->notes.distances,
                                                     distance / (double)notes->record[0]);
        }
    }
    return RAMIFY_OK;
}

/* Predicts a piece, if that is wanted, and takes it to its leaves. Predictions go to y, or to low
 * until they are done with. */
static ramify_status place_piece(ramify_predictor *p, size_t rows, const double *x, size_t x_stride,
                                 double *y, size_t y_stride) {
    if (y)
        RAMIFY_TRY(ramify_predictor_run(p, rows, x, x_stride, y, y_stride));
    else
        ramify_predictor_encode(p, rows, x, x_stride, false);
    /* Several experts per row are found otherwise. */
    return !y || p->blended ? ramify_predictor_route(p, rows) : RAMIFY_OK;
}

/* predicted: y is there already. */
static ramify_status note_piece(ramify_predictor *p, size_t first, size_t rows, const double *x,
                                size_t x_stride, bool predicted, const ramify_wanted *wanted) {
    double *y = wanted->y ? wanted->y : wanted->low;
    size_t y_stride = wanted->y ? wanted->y_stride : wanted->stride;
    RAMIFY_TRY(
        place_piece(p, rows, x, x_stride, y && !predicted ? y + first * y_stride : NULL, y_stride));
    if (p->notes->center)
        p->kernels->distances(rows, 1, p->model->stem.plain, p->plain, p->ldp, p->notes->center,
                              p->ldp, p->nearness, 1);
    for (size_t i = 0; i < p->leaf_count; i++)
        RAMIFY_TRY(note_leaf(p, &p->leaves[i], first, wanted));
    return RAMIFY_OK;
}

static ramify_status note_rows(ramify_predictor *p, size_t rows, const double *x, size_t x_stride,
                               bool predicted, const ramify_wanted *wanted) {
    RAMIFY_TRY(ramify_notes_take(p));
    if (wanted->low)
        RAMIFY_TRY(find_quantiles(p, wanted->level));
    ramify_status status = RAMIFY_OK;
    for (size_t first = 0; first < rows && status == RAMIFY_OK; first += p->rows) {
        size_t count = rows - first < p->rows ? rows - first : p->rows;
        status = note_piece(p, first, count, x + first * x_stride, x_stride, predicted, wanted);
    }
    ramify_predictor_report(p);
    return status;
}

ramify_status ramify_predictor_run_wanted(ramify_predictor *predictor, size_t rows, const double *x,
                                          size_t x_stride, const ramify_wanted *wanted) {
    if (!wanted->low && !wanted->novelty)
        return ramify_predictor_run(predictor, rows, x, x_stride, wanted->y, wanted->y_stride);
    return note_rows(predictor, rows, x, x_stride, false, wanted);
}

ramify_status ramify_predictor_note(ramify_predictor *predictor, size_t rows, const double *x,
                                    size_t x_stride, const ramify_wanted *wanted) {
    return note_rows(predictor, rows, x, x_stride, true, wanted);
}

ramify_status ramify_predictor_place(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride, double *y, uint32_t *leaf, float *nearness) {
    ramify_predictor *p = predictor;
    size_t outputs = p->model->outputs;
    ramify_status status = RAMIFY_OK;
    for (size_t first = 0; first < rows && status == RAMIFY_OK; first += p->rows) {
        size_t count = rows - first < p->rows ? rows - first : p->rows;
        p->nearness = nearness + first;
        status = place_piece(p, count, x + first * x_stride, x_stride,
                             y ? y + first * outputs : NULL, outputs);
        for (size_t i = 0; status == RAMIFY_OK && i < p->leaf_count; i++)
            for (uint32_t r = 0; r < p->leaves[i].count; r++)
                leaf[first + p->order[p->leaves[i].start + r]] = p->leaves[i].reference.leaf;
    }
    p->nearness = NULL;
    return status;
}

static ramify_status check_rows(ramify_predictor *p, const char *call, size_t rows, const double *x,
                                size_t x_stride, const void *out) {
    ramify_clear(p->context);
    if (rows > 0 && (!x || !out))
        return ramify_fail(p->context, RAMIFY_ERROR_ARGUMENT, "%s: x or a result is NULL", call);
    if (rows > 1 && x_stride < p->model->stem.columns)
        return ramify_fail(p->context, RAMIFY_ERROR_ARGUMENT,
                           "%s: a stride of %zu numbers, the model takes %u per row", call,
                           x_stride, p->model->stem.columns);
    return RAMIFY_OK;
}

ramify_status ramify_predict_interval(ramify_predictor *predictor, size_t rows, const double *x,
                                      size_t x_stride, double level, double *y, double *low,
                                      double *high, size_t stride) {
    RAMIFY_TRY(check_rows(predictor, "ramify_predict_interval", rows, x, x_stride,
                          low && high ? low : NULL));
    ramify_context *context = predictor->context;
    const ramify_model *model = predictor->model;
    double none;
    ramify_wanted wanted = {.y = y,
                            .y_stride = stride,
                            .level = level,
                            .low = low ? low : &none,
                            .high = high,
                            .stride = stride};
    RAMIFY_TRY(ramify_wanted_check(context, model, &wanted));
    if (rows > 1 && stride < model->targets)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "ramify_predict_interval: a stride of %zu numbers, the model gives %u per "
            "row",
            stride, model->targets);
    return ramify_predictor_run_wanted(predictor, rows, x, x_stride, &wanted);
}

ramify_status ramify_predict_novelty(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride, double *novelty) {
    RAMIFY_TRY(check_rows(predictor, "ramify_predict_novelty", rows, x, x_stride, novelty));
    double none;
    ramify_wanted wanted = {.novelty = novelty ? novelty : &none};
    RAMIFY_TRY(ramify_wanted_check(predictor->context, predictor->model, &wanted));
    return ramify_predictor_run_wanted(predictor, rows, x, x_stride, &wanted);
}

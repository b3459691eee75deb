#include "score.h"
#include "memory.h"
#include "model.h"
#include "order.h"
#include "predict.h"
#include "random.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Level of the interval, and replicates of the bootstrap: its ends move by about a tenth of
 * their width between 500 and more. */
#define INTERVAL   0.9
#define REPLICATES 500
/* The bootstrap of fewer rows is too narrow by far: of one it has no width at all. */
#define INTERVAL_LEAST 20
/* From so many rows on the mean is normal to a fraction of the interval's width. */
#define NORMAL_ROWS 20000
#define NORMAL_90   1.6448536269514722

/* Bins of the calibration error; the number that is usually reported. */
#define SURENESS_BINS 15

#define BLOCK_ROWS 1024

ramify_score ramify_score_none(void) {
    double none = NAN;
    return (ramify_score){.rmse = none,
                          .mae = none,
                          .r2 = none,
                          .accuracy = none,
                          .log_loss = none,
                          .brier = none,
                          .calibration_error = none,
                          .error_low = none,
                          .error_high = none};
}

/* Interval of the mean of `loss` over resampled rows. */
static ramify_status mean_interval(ramify_context *context, const double *loss, size_t count,
                                   double *low, double *high) {
    if (count >= NORMAL_ROWS) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < count; i++)
            sum += loss[i];
        double mean = sum / (double)count;
        for (size_t i = 0; i < count; i++)
            squares += (loss[i] - mean) * (loss[i] - mean);
        double error = sqrt(squares / (double)count / (double)count);
        *low = mean - NORMAL_90 * error;
        *high = mean + NORMAL_90 * error;
        *low = *low > 0 ? *low : 0;
        return RAMIFY_OK;
    }
    double *means = ramify_allocate(context, REPLICATES, sizeof *means);
    if (!means)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t r = 0; r < REPLICATES; r++) {
        ramify_random random = ramify_random_stream(0, RAMIFY_PURPOSE_BOOTSTRAP, 0, r);
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += loss[ramify_random_below(&random, count)];
        means[r] = sum / (double)count;
    }
    qsort(means, REPLICATES, sizeof *means, ramify_ascending);
    size_t tail = (size_t)((1 - INTERVAL) / 2 * REPLICATES);
    *low = means[tail];
    *high = means[REPLICATES - 1 - tail];
    ramify_release(context, means);
    return RAMIFY_OK;
}

/* Answers by how sure they were. */
typedef struct sureness {
    double probability[SURENESS_BINS], right[SURENESS_BINS]; /* sums */
} sureness;

static double calibration_error(const sureness *s, size_t rows) {
    double error = 0;
    for (int b = 0; b < SURENESS_BINS; b++)
        error += fabs(s->probability[b] - s->right[b]);
    return error / (double)rows;
}

double ramify_score_class(const double *p, uint32_t classes, uint32_t label, uint32_t *likeliest) {
    uint32_t best = 0;
    for (uint32_t c = 1; c < classes; c++)
        if (p[c] > p[best])
            best = c;
    *likeliest = best;
    /* A probability that rounded to 0 counts as the smallest there is, not as infinity. */
    return -log(p[label] > 1e-300 ? p[label] : 1e-300);
}

static void score_classes(const ramify_match *match, const uint32_t *rows, size_t count,
                          const double *y, double *loss, ramify_score *score) {
    uint32_t classes = match->schema->class_count;
    double nats = 0, wrong = 0, squares = 0;
    sureness sure = {{0}, {0}};
    for (size_t i = 0; i < count; i++) {
        uint32_t label = (uint32_t)ramify_match_target(match, 0, rows[i]);
        const double *p = y + i * classes;
        uint32_t likeliest;
        nats += ramify_score_class(p, classes, label, &likeliest);
        loss[i] = likeliest != label;
        wrong += loss[i];
        for (uint32_t c = 0; c < classes; c++)
            squares += (p[c] - (c == label)) * (p[c] - (c == label));
        double most = p[likeliest] > 0 ? p[likeliest] : 0; /* NaN where the network overflowed */
        int bin = (int)(most * SURENESS_BINS);
        bin = bin < SURENESS_BINS ? bin : SURENESS_BINS - 1;
        sure.probability[bin] += most;
        sure.right[bin] += likeliest == label;
    }
    score->accuracy = 1 - wrong / (double)count;
    score->log_loss = nats / (double)count;
    score->brier = squares / (double)count;
    score->calibration_error = calibration_error(&sure, count);
}

/* One target; loss[i] += squared error over the number of targets. */
static void score_target(const ramify_match *match, uint32_t target, const uint32_t *rows,
                         size_t count, const double *y, double *loss, ramify_score *score) {
    uint32_t targets = match->schema->target_count;
    double mean = 0, squares = 0, absolute = 0, spread = 0;
    for (size_t i = 0; i < count; i++)
        mean += (ramify_match_target(match, target, rows[i]) - mean) / (double)(i + 1);
    for (size_t i = 0; i < count; i++) {
        double truth = ramify_match_target(match, target, rows[i]);
        double error = y[i * targets + target] - truth;
        squares += error * error;
        absolute += fabs(error);
        spread += (truth - mean) * (truth - mean);
        loss[i] += error * error / targets;
    }
    *score = ramify_score_none();
    score->rows = count;
    score->rmse = sqrt(squares / (double)count);
    score->mae = absolute / (double)count;
    score->r2 = spread > 0 ? 1 - squares / spread : NAN;
}

ramify_status ramify_score_rows(ramify_context *context, const ramify_match *match,
                                const uint32_t *rows, size_t count, const double *y, bool interval,
                                ramify_score *score, ramify_score *targets) {
    *score = ramify_score_none();
    score->rows = count;
    if (count == 0)
        return RAMIFY_OK;
    double *loss = ramify_allocate_zeroed(context, count, sizeof *loss);
    if (!loss)
        return RAMIFY_ERROR_MEMORY;
    bool classes = match->schema->task == RAMIFY_TASK_CLASSIFICATION;
    if (classes) {
        score_classes(match, rows, count, y, loss, score);
        if (targets)
            targets[0] = *score;
    } else {
        uint32_t target_count = match->schema->target_count;
        double squares = 0;
        score->mae = score->r2 = 0;
        for (uint32_t t = 0; t < target_count; t++) {
            ramify_score one;
            score_target(match, t, rows, count, y, loss, &one);
            squares += one.rmse * one.rmse / target_count;
            score->mae += one.mae / target_count;
            score->r2 += one.r2 / target_count;
            if (targets)
                targets[t] = one;
        }
        score->rmse = sqrt(squares);
    }
    ramify_status status = RAMIFY_OK;
    if (interval && count >= INTERVAL_LEAST) {
        status = mean_interval(context, loss, count, &score->error_low, &score->error_high);
        if (!classes) {
            score->error_low = sqrt(score->error_low);
            score->error_high = sqrt(score->error_high);
        }
    }
    ramify_release(context, loss);
    return status;
}

json_t *ramify_score_json(const ramify_score *score) {
    if (!isnan(score->accuracy))
        return json_pack("{s:I, s:f, s:f, s:f, s:f}", "rows", (json_int_t)score->rows, "accuracy",
                         score->accuracy, "log_loss", score->log_loss, "brier", score->brier,
                         "calibration_error", score->calibration_error);
    /* JSON has no infinities: such a number is left out. */
    json_t *json = json_pack("{s:I}", "rows", (json_int_t)score->rows);
    const char *const names[] = {"rmse", "mae", "r2"};
    const double values[] = {score->rmse, score->mae, score->r2};
    for (size_t i = 0; json && i < 3; i++)
        if (isfinite(values[i]))
            json_object_set_new(json, names[i], json_real(values[i]));
    return json;
}

ramify_status ramify_score_model(ramify_context *context, ramify_model *model,
                                 const ramify_match *match, const uint32_t *rows, size_t count,
                                 ramify_score *score, ramify_score *targets) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_predictor *predictor = NULL;
    double *raw = ramify_allocate(context, (size_t)BLOCK_ROWS * info.columns, sizeof *raw);
    double *y = ramify_allocate(context, count * info.outputs, sizeof *y);
    ramify_status status = raw && y ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_predictor_create_inside(context, model, BLOCK_ROWS, &predictor);
    for (size_t first = 0; status == RAMIFY_OK && first < count; first += BLOCK_ROWS) {
        size_t block = count - first < BLOCK_ROWS ? count - first : BLOCK_ROWS;
        ramify_match_rows(match, rows + first, 0, block, raw);
        status = ramify_predictor_run(predictor, block, raw, info.columns, y + first * info.outputs,
                                      info.outputs);
    }
    if (status == RAMIFY_OK)
        status = ramify_score_rows(context, match, rows, count, y, true, score, targets);
    ramify_predictor_destroy(&predictor);
    ramify_release(context, raw);
    ramify_release(context, y);
    return status;
}

ramify_status ramify_score_find_rows(ramify_context *context, const ramify_match *match,
                                     uint32_t *rows, size_t *count) {
    const ramify_table *table = match->table;
    size_t kept = 0;
    for (size_t r = 0; r < table->rows; r++) {
        bool there = true;
        for (uint32_t t = 0; t < match->schema->target_count; t++)
            there = there && !isnan(ramify_match_target(match, t, r));
        if (!there)
            continue;
        RAMIFY_TRY(ramify_match_check_targets(context, match, r));
        rows[kept++] = (uint32_t)r;
    }
    if (table->rows == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: there are no rows, only a header: nothing to compare with",
                           table->source);
    if (kept == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: no row has a target to compare with: fill in the target column",
                           table->source);
    if (kept < table->rows)
        ramify_log(context, RAMIFY_LOG_WARNING, "%s: %zu rows without a target are left out",
                   table->source, table->rows - kept);
    *count = kept;
    return RAMIFY_OK;
}

/* Moves row `from` of dense results to row `to`. */
static void move_row(double *values, size_t columns, size_t from, size_t to) {
    if (values)
        memmove(values + to * columns, values + from * columns, columns * sizeof *values);
}

static void score_intervals(const ramify_match *match, const uint32_t *rows, size_t count,
                            const double *low, const double *high,
                            ramify_interval_score *intervals) {
    uint32_t targets = match->schema->target_count;
    for (uint32_t t = 0; t < targets; t++) {
        double inside = 0, width = 0;
        for (size_t i = 0; i < count; i++) {
            double truth = ramify_match_target(match, t, rows[i]);
            inside += truth >= low[i * targets + t] && truth <= high[i * targets + t];
            width += (high[i * targets + t] - low[i * targets + t]) / (double)count;
        }
        intervals[t] = (ramify_interval_score){.coverage = inside / (double)count, .width = width};
    }
}

/* intervals: NULL, or to be scored at `level`. */
static ramify_status evaluate(ramify_context *context, ramify_model *model,
                              const ramify_table *table, double level, ramify_score *score,
                              ramify_score *targets, ramify_interval_score *intervals) {
    ramify_match *match;
    RAMIFY_TRY(ramify_match_create(context, model->schema, table, true, &match));
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    size_t rows = ramify_table_rows(table), kept = 0;
    ramify_wanted wanted = {.y = ramify_allocate(context, rows * info.outputs, sizeof(double)),
                            .level = level};
    if (intervals) {
        wanted.low = ramify_allocate(context, rows * info.targets, sizeof(double));
        wanted.high = ramify_allocate(context, rows * info.targets, sizeof(double));
    }
    uint32_t *row = ramify_allocate(context, rows, sizeof *row);
    ramify_status status = wanted.y && row && (!intervals || (wanted.low && wanted.high))
                               ? RAMIFY_OK
                               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_score_find_rows(context, match, row, &kept);
    if (status == RAMIFY_OK)
        status = ramify_predict_table_inside(context, model, table, match, &wanted);
    for (size_t i = 0; status == RAMIFY_OK && i < kept; i++) {
        move_row(wanted.y, info.outputs, row[i], i);
        move_row(wanted.low, info.targets, row[i], i);
        move_row(wanted.high, info.targets, row[i], i);
    }
    if (status == RAMIFY_OK)
        status = ramify_score_rows(context, match, row, kept, wanted.y, true, score, targets);
    if (status == RAMIFY_OK && intervals)
        score_intervals(match, row, kept, wanted.low, wanted.high, intervals);
    ramify_release(context, wanted.y);
    ramify_release(context, wanted.low);
    ramify_release(context, wanted.high);
    ramify_release(context, row);
    ramify_match_destroy(context, &match);
    return status;
}

ramify_status ramify_evaluate(ramify_context *context, ramify_model *model,
                              const ramify_table *table, ramify_score *score,
                              ramify_score *targets) {
    ramify_clear(context);
    return evaluate(context, model, table, 0, score, targets, NULL);
}

ramify_status ramify_evaluate_interval(ramify_context *context, ramify_model *model,
                                       const ramify_table *table, double level, ramify_score *score,
                                       ramify_score *targets, ramify_interval_score *intervals) {
    ramify_clear(context);
    if (!model || !table || !score || !intervals)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_evaluate_interval: model, table, score or intervals is NULL");
    return evaluate(context, model, table, level, score, targets, intervals);
}

#include "score.h"
#include "cluster.h"
#include "memory.h"
#include "model.h"
#include "order.h"
#include "predict.h"
#include "predict_table.h"
#include "random.h"
#include "score_sums.h"
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

void ramify_score_normal_interval(double mean, double squares, double count, double *low,
                                  double *high) {
    double error = sqrt(squares / count / count);
    *low = mean - NORMAL_90 * error;
    *high = mean + NORMAL_90 * error;
    *low = *low > 0 ? *low : 0;
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
        ramify_score_normal_interval(mean, squares, (double)count, low, high);
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

void ramify_sureness_add(ramify_sureness *sure, double probability, bool right) {
    double most = probability > 0 ? probability : 0; /* NaN where the network overflowed */
    int bin = (int)(most * RAMIFY_SURENESS_BINS);
    bin = bin < RAMIFY_SURENESS_BINS ? bin : RAMIFY_SURENESS_BINS - 1;
    sure->probability[bin] += most;
    sure->right[bin] += right;
}

double ramify_calibration_error(const ramify_sureness *sure, double rows) {
    double error = 0;
    for (int b = 0; b < RAMIFY_SURENESS_BINS; b++)
        error += fabs(sure->probability[b] - sure->right[b]);
    return error / rows;
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

static void score_classes(const ramify_scored *of, double *loss, ramify_score *score) {
    uint32_t classes = of->schema->class_count;
    const size_t count = of->count;
    double nats = 0, wrong = 0, squares = 0;
    ramify_sureness sure = {{0}, {0}};
    for (size_t i = 0; i < count; i++) {
        uint32_t label = (uint32_t)of->truth[i * of->truth_stride];
        const double *p = of->y + i * of->y_stride;
        uint32_t likeliest;
        nats += ramify_score_class(p, classes, label, &likeliest);
        loss[i] = likeliest != label;
        wrong += loss[i];
        for (uint32_t c = 0; c < classes; c++)
            squares += (p[c] - (c == label)) * (p[c] - (c == label));
        ramify_sureness_add(&sure, p[likeliest], likeliest == label);
    }
    score->accuracy = 1 - wrong / (double)count;
    score->log_loss = nats / (double)count;
    score->brier = squares / (double)count;
    score->calibration_error = ramify_calibration_error(&sure, (double)count);
}

/* One target; loss[i] += squared error over the number of targets. */
static void score_target(const ramify_scored *of, uint32_t target, double *loss,
                         ramify_score *score) {
    uint32_t targets = of->schema->target_count;
    const size_t count = of->count;
    double mean = 0, squares = 0, absolute = 0, spread = 0;
    for (size_t i = 0; i < count; i++)
        mean += (of->truth[i * of->truth_stride + target] - mean) / (double)(i + 1);
    for (size_t i = 0; i < count; i++) {
        double truth = of->truth[i * of->truth_stride + target];
        double error = of->y[i * of->y_stride + target] - truth;
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

ramify_status ramify_score_values(ramify_context *context, const ramify_scored *of, bool interval,
                                  ramify_score *score, ramify_score *targets) {
    const size_t count = of->count;
    *score = ramify_score_none();
    score->rows = count;
    if (count == 0)
        return RAMIFY_OK;
    double *loss = ramify_allocate_zeroed(context, count, sizeof *loss);
    if (!loss)
        return RAMIFY_ERROR_MEMORY;
    bool classes = of->schema->task == RAMIFY_TASK_CLASSIFICATION;
    if (classes) {
        score_classes(of, loss, score);
        if (targets)
            targets[0] = *score;
    } else {
        uint32_t target_count = of->schema->target_count;
        double squares = 0;
        score->mae = score->r2 = 0;
        for (uint32_t t = 0; t < target_count; t++) {
            ramify_score one;
            score_target(of, t, loss, &one);
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

ramify_status ramify_score_rows(ramify_context *context, const ramify_match *match,
                                const uint32_t *rows, size_t count, const double *y, bool interval,
                                ramify_score *score, ramify_score *targets) {
    const ramify_schema *schema = match->schema;
    const size_t target_count = schema->target_count;
    double *truth = ramify_allocate(context, count * target_count, sizeof *truth);
    if (!truth)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < count; i++)
        for (uint32_t t = 0; t < target_count; t++)
            truth[i * target_count + t] = ramify_match_target(match, t, rows[i]);
    const ramify_scored of = {.schema = schema,
                              .count = count,
                              .truth = truth,
                              .truth_stride = target_count,
                              .y = y,
                              .y_stride =
                                  schema->class_count > 0 ? schema->class_count : target_count};
    ramify_status status = ramify_score_values(context, &of, interval, score, targets);
    ramify_release(context, truth);
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

ramify_status ramify_score_refuse_empty(ramify_context *context, const char *source) {
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "%s: there are no rows, only a header: nothing to compare with", source);
}

ramify_status ramify_score_refuse_targets(ramify_context *context, const char *source) {
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "%s: no row has a target to compare with: fill in the target column",
                       source);
}

void ramify_score_warn_left_out(ramify_context *context, const char *source, uint64_t rows) {
    if (rows > 0)
        ramify_log(context, RAMIFY_LOG_WARNING, "%s: %llu rows without a target are left out",
                   source, (unsigned long long)rows);
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
        return ramify_score_refuse_empty(context, table->source);
    if (kept == 0)
        return ramify_score_refuse_targets(context, table->source);
    ramify_score_warn_left_out(context, table->source, table->rows - kept);
    *count = kept;
    return RAMIFY_OK;
}

/* Rows that are gathered at a time. */
#define SLICE_ROWS ((size_t)65536)

static ramify_status score_slices(ramify_context *context, const ramify_match *match,
                                  const uint32_t *rows, size_t count,
                                  const ramify_predicted *results, ramify_score_sums *sums) {
    size_t stride = ramify_score_sums_stride(sums);
    double *records =
        ramify_allocate(context, ramify_smaller(count, SLICE_ROWS) * stride, sizeof *records);
    ramify_status status = records ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t first = 0; status == RAMIFY_OK && first < count; first += SLICE_ROWS) {
        size_t slice = ramify_smaller(count - first, SLICE_ROWS);
        for (size_t i = 0; i < slice; i++)
            ramify_score_record(sums, match, rows[first + i], rows[first + i], results,
                                records + i * stride);
        status = ramify_score_sums_add(sums, records, slice);
    }
    ramify_release(context, records);
    return status;
}

/* Results of all rows of a table, of which `rows` have targets. */
static ramify_status score_table(ramify_context *context, const ramify_match *match,
                                 const uint32_t *rows, size_t count, const ramify_wanted *wanted,
                                 ramify_score *score, ramify_score *targets,
                                 ramify_interval_score *intervals) {
    const ramify_predicted results = {.y = wanted->y, .low = wanted->low, .high = wanted->high};
    ramify_score_sums *sums = NULL;
    RAMIFY_TRY(ramify_score_sums_create(context, match->schema, intervals != NULL, &sums));
    ramify_status status = score_slices(context, match, rows, count, &results, sums);
    if (status == RAMIFY_OK)
        status = ramify_score_sums_finish(sums, score, targets, intervals);
    ramify_score_sums_destroy(&sums);
    return status;
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
        status = ramify_predict_table_together(context, model, table, match, &wanted);
    if (status == RAMIFY_OK)
        status = score_table(context, match, row, kept, &wanted, score, targets, intervals);
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
    return ramify_cluster_tell(context, evaluate(context, model, table, 0, score, targets, NULL));
}

ramify_status ramify_evaluate_interval(ramify_context *context, ramify_model *model,
                                       const ramify_table *table, double level, ramify_score *score,
                                       ramify_score *targets, ramify_interval_score *intervals) {
    ramify_clear(context);
    if (!model || !table || !score || !intervals)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_evaluate_interval: model, table, score or intervals is NULL");
    return ramify_cluster_tell(context,
                               evaluate(context, model, table, level, score, targets, intervals));
}

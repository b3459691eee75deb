#include "score_sums.h"
#include "memory.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Numbers of a part: these, then TARGET_NUMBERS of each target. */
enum {
    PART_COUNT,
    PART_LOSS,         /* mean */
    PART_LOSS_SQUARES, /* of deviations from it */
    PART_NATS,
    PART_WRONG,
    PART_SQUARES,
    PART_SURE, /* ramify_sureness */
    PART_NUMBERS = PART_SURE + 2 * RAMIFY_SURENESS_BINS
};
enum {
    TARGET_MEAN,
    TARGET_SPREAD, /* squared deviations from it */
    TARGET_SQUARES,
    TARGET_ABSOLUTE,
    TARGET_INSIDE,
    TARGET_WIDTH,
    TARGET_NUMBERS
};

struct ramify_score_sums {
    ramify_context *context;
    const ramify_schema *schema;
    bool classes, intervals;
    uint32_t targets, outputs;
    size_t stride, part;
    bool summing;    /* there are more rows than are kept */
    double *records; /* count x stride: all rows, then those of the block that is not whole */
    size_t count, room;
    double *sums; /* part: of all blocks that are */
    double *one;  /* part */
};

ramify_status ramify_score_sums_create(ramify_context *context, const ramify_schema *schema,
                                       bool intervals, ramify_score_sums **sums) {
    ramify_score_sums *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->schema = schema;
    made->classes = schema->task == RAMIFY_TASK_CLASSIFICATION;
    made->intervals = intervals;
    made->targets = schema->target_count;
    made->outputs = made->classes ? schema->class_count : schema->target_count;
    made->stride = 1 + (size_t)made->targets * (intervals ? 3 : 1) + made->outputs;
    made->part = PART_NUMBERS + (size_t)made->targets * TARGET_NUMBERS;
    made->sums = ramify_allocate_zeroed(context, made->part, sizeof *made->sums);
    made->one = ramify_allocate(context, made->part, sizeof *made->one);
    if (made->sums && made->one) {
        *sums = made;
        return RAMIFY_OK;
    }
    ramify_score_sums_destroy(&made);
    return RAMIFY_ERROR_MEMORY;
}

void ramify_score_sums_destroy(ramify_score_sums **sums) {
    if (!sums || !*sums)
        return;
    ramify_score_sums *s = *sums;
    *sums = NULL;
    ramify_release(s->context, s->records);
    ramify_release(s->context, s->sums);
    ramify_release(s->context, s->one);
    ramify_release(s->context, s);
}

size_t ramify_score_sums_stride(const ramify_score_sums *sums) {
    return sums->stride;
}

size_t ramify_score_sums_part(const ramify_score_sums *sums) {
    return sums->part;
}

static const double *y_of(const ramify_score_sums *s, const double *record) {
    return record + 1 + s->targets;
}

static const double *low_of(const ramify_score_sums *s, const double *record) {
    return y_of(s, record) + s->outputs;
}

void ramify_score_record(const ramify_score_sums *sums, const ramify_match *match, uint64_t at,
                         size_t result, const ramify_predicted *results, double *record) {
    const ramify_score_sums *s = sums;
    const size_t targets = s->targets;
    double *to = record;
    *to++ = (double)(match->table->first_row + at);
    for (uint32_t t = 0; t < s->targets; t++)
        *to++ = ramify_match_target(match, t, (size_t)at);
    memcpy(to, results->y + result * s->outputs, s->outputs * sizeof *to);
    if (!s->intervals)
        return;
    memcpy(to + s->outputs, results->low + result * targets, targets * sizeof *to);
    memcpy(to + s->outputs + targets, results->high + result * targets, targets * sizeof *to);
}

/* ---- sums of a block ---- */

static double sum_class(const ramify_score_sums *s, const double *record, double *part,
                        ramify_sureness *sure) {
    const double *p = y_of(s, record);
    uint32_t label = (uint32_t)record[1], likeliest;
    part[PART_NATS] += ramify_score_class(p, s->outputs, label, &likeliest);
    for (uint32_t c = 0; c < s->outputs; c++)
        part[PART_SQUARES] += (p[c] - (c == label)) * (p[c] - (c == label));
    ramify_sureness_add(sure, p[likeliest], likeliest == label);
    part[PART_WRONG] += likeliest != label;
    return likeliest != label;
}

static double sum_targets(const ramify_score_sums *s, const double *record, double *part) {
    double loss = 0;
    const double *y = y_of(s, record), *low = low_of(s, record), *high = low + s->targets;
    for (uint32_t t = 0; t < s->targets; t++) {
        double *sums = part + PART_NUMBERS + (size_t)t * TARGET_NUMBERS;
        double truth = record[1 + t], error = y[t] - truth;
        double deviation = truth - sums[TARGET_MEAN];
        sums[TARGET_SQUARES] += error * error;
        sums[TARGET_ABSOLUTE] += fabs(error);
        sums[TARGET_SPREAD] += deviation * deviation;
        loss += error * error / s->targets;
        if (!s->intervals)
            continue;
        sums[TARGET_INSIDE] += truth >= low[t] && truth <= high[t];
        sums[TARGET_WIDTH] += high[t] - low[t];
    }
    return loss;
}

void ramify_score_part(const ramify_score_sums *sums, const double *records, size_t count,
                       double *part) {
    const ramify_score_sums *s = sums;
    double loss[RAMIFY_SCORE_BLOCK];
    memset(part, 0, s->part * sizeof *part);
    part[PART_COUNT] = (double)count;
    for (uint32_t t = 0; !s->classes && t < s->targets; t++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += records[i * s->stride + 1 + t];
        part[PART_NUMBERS + (size_t)t * TARGET_NUMBERS + TARGET_MEAN] = sum / (double)count;
    }
    ramify_sureness sure = {{0}, {0}};
    for (size_t i = 0; i < count; i++) {
        const double *record = records + i * s->stride;
        loss[i] = s->classes ? sum_class(s, record, part, &sure) : sum_targets(s, record, part);
        part[PART_LOSS] += loss[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++)
        part[PART_LOSS_SQUARES] += (loss[i] - part[PART_LOSS]) * (loss[i] - part[PART_LOSS]);
    memcpy(part + PART_SURE, &sure, sizeof sure);
}

/* A mean and squared deviations from it, of two groups (Chan, Golub and LeVeque 1979). */
static void join(double count, double *mean, double *squares, double other_count, double other_mean,
                 double other_squares) {
    double all = count + other_count, apart = other_mean - *mean;
    *mean += apart * other_count / all;
    *squares += other_squares + apart * apart * count * other_count / all;
}

static void add_part(ramify_score_sums *s, const double *part) {
    double *all = s->sums, count = all[PART_COUNT], other = part[PART_COUNT];
    join(count, &all[PART_LOSS], &all[PART_LOSS_SQUARES], other, part[PART_LOSS],
         part[PART_LOSS_SQUARES]);
    for (size_t i = PART_NATS; i < PART_NUMBERS; i++)
        all[i] += part[i];
    for (uint32_t t = 0; t < s->targets; t++) {
        double *to = all + PART_NUMBERS + (size_t)t * TARGET_NUMBERS;
        const double *from = part + PART_NUMBERS + (size_t)t * TARGET_NUMBERS;
        join(count, &to[TARGET_MEAN], &to[TARGET_SPREAD], other, from[TARGET_MEAN],
             from[TARGET_SPREAD]);
        for (size_t i = TARGET_SQUARES; i < TARGET_NUMBERS; i++)
            to[i] += from[i];
    }
    all[PART_COUNT] += other;
}

/* ---- adding ---- */

static uint64_t block_of(const double *record) {
    return (uint64_t)record[0] / RAMIFY_SCORE_BLOCK;
}

/* Sums up the blocks among the kept rows; with `last`, also the one that may go on. */
static void sum_blocks(ramify_score_sums *s, bool last) {
    size_t first = 0;
    while (first < s->count) {
        const double *records = s->records + first * s->stride;
        size_t count = 1;
        while (first + count < s->count &&
               block_of(records + count * s->stride) == block_of(records))
            count++;
        if (first + count == s->count && !last)
            break;
        ramify_score_part(s, records, count, s->one);
        add_part(s, s->one);
        first += count;
    }
    s->count -= first;
    memmove(s->records, s->records + first * s->stride, s->count * s->stride * sizeof *s->records);
}

ramify_status ramify_score_sums_add(ramify_score_sums *sums, const double *records, size_t count) {
    ramify_score_sums *s = sums;
    if (s->count + count > s->room || !s->records) {
        size_t room = s->count + count + s->count / 2;
        double *larger =
            ramify_reallocate(s->context, s->records, room, s->stride * sizeof *larger);
        if (!larger)
            return RAMIFY_ERROR_MEMORY;
        s->records = larger;
        s->room = room;
    }
    memcpy(s->records + s->count * s->stride, records, count * s->stride * sizeof *records);
    s->count += count;
    s->summing = s->summing || s->count > RAMIFY_SCORE_ROWS;
    if (s->summing)
        sum_blocks(s, false);
    return RAMIFY_OK;
}

ramify_status ramify_score_sums_add_part(ramify_score_sums *sums, const double *part) {
    sums->summing = true;
    sum_blocks(sums, true);
    add_part(sums, part);
    return RAMIFY_OK;
}

/* ---- the score ---- */

static void finish_target(const ramify_score_sums *s, uint32_t target, ramify_score *score,
                          ramify_interval_score *interval) {
    const double *sums = s->sums + PART_NUMBERS + (size_t)target * TARGET_NUMBERS;
    double count = s->sums[PART_COUNT];
    *score = ramify_score_none();
    score->rows = (uint64_t)count;
    score->rmse = sqrt(sums[TARGET_SQUARES] / count);
    score->mae = sums[TARGET_ABSOLUTE] / count;
    score->r2 = sums[TARGET_SPREAD] > 0 ? 1 - sums[TARGET_SQUARES] / sums[TARGET_SPREAD] : NAN;
    if (interval)
        *interval = (ramify_interval_score){.coverage = sums[TARGET_INSIDE] / count,
                                            .width = sums[TARGET_WIDTH] / count};
}

static void finish_sums(const ramify_score_sums *s, ramify_score *score, ramify_score *targets,
                        ramify_interval_score *intervals) {
    const double *sums = s->sums, count = sums[PART_COUNT];
    *score = ramify_score_none();
    score->rows = (uint64_t)count;
    ramify_score_normal_interval(sums[PART_LOSS], sums[PART_LOSS_SQUARES], count, &score->error_low,
                                 &score->error_high);
    if (s->classes) {
        ramify_sureness sure;
        memcpy(&sure, sums + PART_SURE, sizeof sure);
        score->accuracy = 1 - sums[PART_WRONG] / count;
        score->log_loss = sums[PART_NATS] / count;
        score->brier = sums[PART_SQUARES] / count;
        score->calibration_error = ramify_calibration_error(&sure, count);
        if (targets)
            targets[0] = *score;
        return;
    }
    double squares = 0;
    score->mae = score->r2 = 0;
    for (uint32_t t = 0; t < s->targets; t++) {
        ramify_score one;
        finish_target(s, t, &one, intervals ? &intervals[t] : NULL);
        squares += one.rmse * one.rmse / s->targets;
        score->mae += one.mae / s->targets;
        score->r2 += one.r2 / s->targets;
        if (targets)
            targets[t] = one;
    }
    score->rmse = sqrt(squares);
    score->error_low = sqrt(score->error_low);
    score->error_high = sqrt(score->error_high);
}

static void score_intervals(const ramify_score_sums *s, ramify_interval_score *intervals) {
    for (uint32_t t = 0; t < s->targets; t++) {
        double inside = 0, width = 0;
        for (size_t i = 0; i < s->count; i++) {
            const double *record = s->records + i * s->stride;
            double truth = record[1 + t], low = low_of(s, record)[t],
                   high = low_of(s, record)[s->targets + t];
            inside += truth >= low && truth <= high;
            width += (high - low) / (double)s->count;
        }
        intervals[t] =
            (ramify_interval_score){.coverage = inside / (double)s->count, .width = width};
    }
}

ramify_status ramify_score_sums_finish(ramify_score_sums *sums, ramify_score *score,
                                       ramify_score *targets, ramify_interval_score *intervals) {
    ramify_score_sums *s = sums;
    if (s->summing) {
        sum_blocks(s, true);
        finish_sums(s, score, targets, intervals);
        return RAMIFY_OK;
    }
    if (s->intervals && intervals)
        score_intervals(s, intervals);
    const ramify_scored of = {.schema = s->schema,
                              .count = s->count,
                              .truth = s->records + 1,
                              .truth_stride = s->stride,
                              .y = s->records + 1 + s->targets,
                              .y_stride = s->stride};
    return ramify_score_values(s->context, &of, true, score, targets);
}

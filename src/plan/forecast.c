#include "forecast.h"
#include "law_numbers.h"

#include <math.h>
#include <string.h>

/* Found on the sets of bench/plan (docs/plan.md). The next octave's step is nearer to the last one than to the
 * one before, and a little more; those that follow keep nearly all of it. */
#define NEAR_WEIGHT 0.6
#define NEXT        1.1
#define KEPT        0.9
/* What teachers and tree gain beyond one expert of the ladder, as a part of what a factor of passes gains: where
 * longer training brings much, so do they. */
static const double gain_parts[RAMIFY_STAGES] = {[RAMIFY_STAGE_PLAIN] = 0,
                                                 [RAMIFY_STAGE_TAUGHT] = 0.35,
                                                 [RAMIFY_STAGE_TREE] = 0.5,
                                                 [RAMIFY_STAGE_UNTAUGHT_TREE] = 0.15};
/* Short runs that are better than long ones by less than so many deviations of a run are so by chance. */
#define CHANCE 1.5
/* Deviations of forecasts: of any, of steps and gains as shares of these, and of a run without a repeat. */
#define LEAST_DEVIATION 0.04
#define STEP_DEVIATION  0.25
#define GAP_DEVIATION   0.25
/* Of what another width or other passes add, as a share: a fair half, as a rule adds it and no run. */
#define RULE_DEVIATION 0.5
/* Of these, what every octave beyond the first adds. */
#define FARTHER       0.3
#define RUN_DEVIATION 0.03
/* A rise by more than so many deviations is no chance; nor is a fall by so many standard errors. */
#define RISE 3.0
#define FALL 2.0
/* Of what a factor of passes brought, what the next brings. */
#define BEYOND 0.5
/* What half the width loses with every octave of rows beyond those that it was run on, in ln error: a guess that
 * keeps narrow experts from being taken where nothing is known of them. */
#define NARROWER 0.02
/* Sizes below which there is no law. */
#define LEAST_LEVELS 3
/* Lengths are equal within this factor. */
#define SAME_LENGTH 1.1

static bool same_length(double a, double b) {
    return a < b * SAME_LENGTH && b < a * SAME_LENGTH;
}

static bool on_ladder(const ramify_sweep_run *run, const ramify_sweep_design *design,
                      double length) {
    return run->made && run->error > 0 && run->point.stage == RAMIFY_STAGE_PLAIN &&
           run->point.pruned == 0 && run->point.level > 0 &&
           ramify_sweep_same_design(&run->point.design, design) &&
           same_length(run->point.length, length);
}

/* Means by level; squares and freedom: of what repeats lie from them. */
static void climb(const ramify_forecast *f, double length, double *ladder, double *squares,
                  uint32_t *freedom) {
    for (uint32_t level = 0; level < RAMIFY_SWEEP_LEVELS_MAX; level++) {
        double sum = 0, sum_squares = 0;
        uint32_t count = 0;
        for (size_t i = 0; i < f->count; i++) {
            const ramify_sweep_run *run = &f->runs[i];
            if (run->point.level != level || !on_ladder(run, &f->design, length))
                continue;
            sum += log(run->error);
            sum_squares += log(run->error) * log(run->error);
            count++;
        }
        ladder[level] = count > 0 ? sum / count : (double)NAN;
        if (count > 1) {
            *squares += fmax(sum_squares - sum * sum / count, 0);
            *freedom += count - 1;
        }
    }
}

/* Where only short runs were made: as much above or below them as on the levels next to these. */
static void fill_from_brief(ramify_forecast *f) {
    uint32_t known = 0;
    while (known < RAMIFY_SWEEP_LEVELS_MAX && isnan(f->ladder[known]))
        known++;
    double gap = 0;
    if (known < RAMIFY_SWEEP_LEVELS_MAX && !isnan(f->brief[known])) {
        gap = f->ladder[known] - f->brief[known];
        const bool two = known + 1 < RAMIFY_SWEEP_LEVELS_MAX && !isnan(f->ladder[known + 1]) &&
                         !isnan(f->brief[known + 1]);
        if (two)
            gap = NEAR_WEIGHT * gap +
                  (1 - NEAR_WEIGHT) * (f->ladder[known + 1] - f->brief[known + 1]);
    }
    for (uint32_t level = 0; level < known; level++)
        if (!isnan(f->brief[level]))
            f->ladder[level] = f->brief[level] + gap;
}

ramify_forecast_doubt ramify_forecast_make(const ramify_sweep_run *runs, size_t count,
                                           const ramify_sweep_design *design, double length,
                                           ramify_forecast *forecast) {
    ramify_forecast *f = forecast;
    *f = (ramify_forecast){.runs = runs, .count = count, .design = *design, .length = length};
    double squares = 0;
    uint32_t freedom = 0;
    climb(f, length, f->ladder, &squares, &freedom);
    climb(f, length * RAMIFY_FORECAST_BRIEF, f->brief, &squares, &freedom);
    fill_from_brief(f);
    /* One repeat more, of the usual deviation, steadies few of them. */
    f->noise = sqrt((squares + RUN_DEVIATION * RUN_DEVIATION) / (freedom + 1));
    for (size_t i = 0; i < count; i++)
        if (runs[i].made && !(runs[i].error > 0))
            return RAMIFY_FORECAST_NONE;
    while (f->first < RAMIFY_SWEEP_LEVELS_MAX && isnan(f->ladder[f->first]))
        f->first++;
    if (f->first + LEAST_LEVELS > RAMIFY_SWEEP_LEVELS_MAX)
        return RAMIFY_FORECAST_FEW;
    const double *y = f->ladder + f->first;
    if (isnan(y[1]) || isnan(y[2]))
        return RAMIFY_FORECAST_FEW;
    for (size_t i = 0; i < count; i++)
        if (runs[i].made && runs[i].point.level == f->first && runs[i].error > 0)
            f->judged = fmax(f->judged, runs[i].deviation / runs[i].error);
    const double step = NEAR_WEIGHT * (y[1] - y[0]) + (1 - NEAR_WEIGHT) * (y[2] - y[1]);
    f->slope = fmax(step, 0);
    return step < -RISE * f->noise ? RAMIFY_FORECAST_RISING : RAMIFY_FORECAST_FINE;
}

/* What experts of another design, narrower ones, lack, where their runs and the ladder's meet: few rows need few
 * units, so that narrow experts lose more of more rows, and gain by none. NaN: none were run. */
static double of_narrower(const ramify_forecast *f, const ramify_sweep_design *design) {
    for (size_t i = 0; i < f->count; i++) {
        const ramify_sweep_run *run = &f->runs[i];
        const uint32_t level = run->point.level;
        if (on_ladder(run, design, f->length) && !isnan(f->ladder[level]))
            return fmax(log(run->error) - f->ladder[level], 0) +
                   NARROWER * level * log2((double)f->design.width / design->width);
    }
    return (double)NAN;
}

/* What a design of another width adds; twice the width brings a part of what half of it lacks. */
static double of_width(const ramify_forecast *f, const ramify_sweep_design *design) {
    ramify_sweep_design half = f->design;
    half.width /= 2;
    return design->width == 2 * f->design.width ? -BEYOND * of_narrower(f, &half)
                                                : of_narrower(f, design);
}

/* By which factor deviations are larger so many octaves ahead. */
static double farther(double octaves) {
    return 1 + FARTHER * fmax(octaves - 1, 0);
}

/* Of runs that were pruned as the point is: ln error by level, NaN where none was made. */
static uint32_t pruned_ladder(const ramify_forecast *f, const ramify_sweep_point *point,
                              double ladder[RAMIFY_SWEEP_LEVELS_MAX]) {
    uint32_t first = UINT32_MAX;
    for (uint32_t level = 0; level < RAMIFY_SWEEP_LEVELS_MAX; level++) {
        ladder[level] = (double)NAN;
        for (size_t i = 0; i < f->count; i++) {
            const ramify_sweep_run *run = &f->runs[i];
            if (run->made && run->error > 0 && run->point.pruned == point->pruned &&
                run->point.level == level &&
                ramify_sweep_same_design(&run->point.design, &point->design))
                ladder[level] = log(run->error);
        }
        if (!isnan(ladder[level]) && first == UINT32_MAX)
            first = level;
    }
    return first;
}

/* The error of an expert that is pruned, of which few sizes were run: their own step, which is less than that of dense
 * experts where few weights hold the error up; or that of the ladder, where there is one size only. */
static ramify_law_estimate pruned_error(const ramify_forecast *f, const ramify_sweep_point *point,
                                        double rows, double level) {
    double ladder[RAMIFY_SWEEP_LEVELS_MAX];
    const uint32_t first = pruned_ladder(f, point, ladder);
    if (first == UINT32_MAX)
        return (ramify_law_estimate){NAN, NAN, NAN};
    uint32_t other = first + 1;
    while (other < RAMIFY_SWEEP_LEVELS_MAX && isnan(ladder[other]))
        other++;
    const double slope = other < RAMIFY_SWEEP_LEVELS_MAX
                             ? fmax((ladder[other] - ladder[first]) / (other - first), 0)
                             : f->slope;
    const double octaves = first + log2(rows);
    const double steps = slope * KEPT * (1 - pow(KEPT, octaves)) / (1 - KEPT);
    const double far = farther(octaves), least = LEAST_DEVIATION * far * far;
    const double step = far * RULE_DEVIATION * steps; /* of two sizes, and one run each */
    const double half = ramify_student(level) * sqrt(least * least + step * step +
                                                     f->judged * f->judged + f->noise * f->noise);
    const double y = ladder[first] - steps;
    return (ramify_law_estimate){exp(y), exp(y - half), exp(y + half)};
}

/* What short runs lack near the first level; below 0 where they are better. */
static double gap_of(const ramify_forecast *f) {
    const double gap = isnan(f->brief[f->first]) ? 0 : f->brief[f->first] - f->ladder[f->first];
    return gap > 0 ? gap : fmin(gap + CHANCE * f->noise, 0);
}

/* What passes other than the ladder's add: as much for every factor as between short runs and those, less
 * beyond them. */
static double of_length(const ramify_forecast *f, double length) {
    const double factors = log(length / f->length) / log(RAMIFY_FORECAST_BRIEF);
    return gap_of(f) * (factors < 0 ? BEYOND * factors : factors);
}

static double runs_at(const ramify_forecast *f, uint32_t level, double length) {
    double count = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->runs[i].point.level == level && on_ladder(&f->runs[i], &f->design, length))
            count++;
    return fmax(count, 1); /* none: filled from short runs */
}

/* Whether the step that ramify_forecast_make goes on with is more than chance, of a ladder of runs of a length. */
static bool ladder_falls(const ramify_forecast *f, const double *ladder, double length) {
    static const double weights[] = {-NEAR_WEIGHT, 2 * NEAR_WEIGHT - 1, 1 - NEAR_WEIGHT};
    double step = 0, variance = 0;
    for (uint32_t k = 0; k < 3; k++) {
        step += weights[k] * ladder[f->first + k];
        variance += weights[k] * weights[k] / runs_at(f, f->first + k, length);
    }
    return step > FALL * f->noise * sqrt(variance);
}

bool ramify_forecast_falls(const ramify_forecast *forecast, double length) {
    const ramify_forecast *f = forecast;
    const double *brief = f->brief + f->first;
    const bool whole = ladder_falls(f, f->ladder, f->length);
    if (isnan(brief[0] + brief[1] + brief[2]))
        return whole;
    const bool short_runs = ladder_falls(f, f->brief, f->length * RAMIFY_FORECAST_BRIEF);
    if (length < f->length * sqrt(RAMIFY_FORECAST_BRIEF))
        return short_runs;
    /* Long runs that are worse than short ones have learned noise, which they lose with more rows until they meet
     * these. */
    return whole && (short_runs || !(gap_of(f) < 0));
}

ramify_law_estimate ramify_forecast_error(const ramify_forecast *forecast,
                                          const ramify_sweep_point *point, double rows,
                                          double level) {
    const ramify_forecast *f = forecast;
    if (point->pruned > 0)
        return pruned_error(f, point, rows, level);
    const double octaves = f->first + log2(rows);
    const double steps = NEXT * (1 - pow(KEPT, octaves)) / (1 - KEPT);
    const double width =
        point->design.layers == 0 || ramify_sweep_same_design(&point->design, &f->design)
            ? 0
            : of_width(f, &point->design);
    /* The stages' gains were found beside the ladder's own length, which is near the whole. */
    const bool usual = point->length > f->length && point->length <= 1;
    const double length =
        usual || same_length(point->length, f->length) ? 0 : of_length(f, point->length);
    const double gap = fmax(gap_of(f), 0);
    const double y =
        f->ladder[f->first] - f->slope * steps - gain_parts[point->stage] * gap + width + length;
    const double far = farther(octaves), least = LEAST_DEVIATION * far * far;
    /* Teachers and trees learn for longer than these passes: each factor may bring them as much as its gap. */
    const double gain = fmax(GAP_DEVIATION, RULE_DEVIATION * f->few) * gap;
    const double step = far * STEP_DEVIATION * f->slope * steps;
    const double deviation = sqrt(
        least * least + step * step + gain * gain + f->judged * f->judged + f->noise * f->noise +
        RULE_DEVIATION * RULE_DEVIATION * (width * width + length * length));
    const double half = ramify_student(level) * deviation;
    return (ramify_law_estimate){exp(y), exp(y - half), exp(y + half)};
}

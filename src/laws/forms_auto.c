/* auto: what the study in docs/laws.md found to predict best, and by how much it is wrong. One size:
 * the damped law of the end of the curve, with power laws above a floor mixed in beyond an octave.
 * Two sizes: the mean of additive and joint. No rule looks at how well a form fits a curve as a whole. */

#include "forms.h"
#include "law_mix.h"
#include "law_numbers.h"
#include "law_solve.h"
#include "status.h"

#include <stdio.h>

/* --- one size: the numbered steps are those of docs/laws.md ------------------------------------- */

#define REACH       0.30 /* over which runs lose weight, in ln x, if they lie near each other */
#define GAP_MOST    2.0  /* the spacing beyond which the reach grows no more */
#define FLOOR_REACH 0.50
#define FLOORS      20
#define FLOOR_NOISE 0.005
#define FAR_SHARE   0.3  /* of the power laws, from RAMIFY_LAW_FAR octaves on */
#define PART_LEAST  1e-6 /* laws of less weight are left out */
#define SLOPE_LEAST 1e-9 /* exponents are above 0 */
#define BEND_SHARE  0.15
#define SIZES_LEAST 3
#define ALONE       1e-15 /* the end alone weighs 1: what is left of 1 then is rounding */
#define ROUNDING    1e-9  /* a share of degrees of freedom that is none */

/* Step 1: the reach, from the sum over distinct sizes of what they weigh. Runs are in the order of
 * their sizes. */
static double reach_of(const ramify_runs *runs, double end, uint32_t *sizes) {
    double sum = 0, last = (double)NAN;
    *sizes = 0;
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->ln_x[i] == last)
            continue;
        last = runs->ln_x[i];
        sum += exp((last - end) / REACH);
        (*sizes)++;
    }
    double gap = sum - 1 < ALONE ? GAP_MOST : fmin(-REACH * log1p(-1 / sum), GAP_MOST);
    return hypot(REACH, REACH * gap);
}

/* Steps 2, 3 and 6: the damped line and what its intervals need. */
static void fit_end(const ramify_runs *runs, double end, double reach, ramify_law_mix *mix) {
    ramify_weighted_line l = {0};
    for (size_t i = 0; i < runs->count; i++) {
        double u = runs->ln_x[i] - end;
        ramify_weighted_line_add(&l, ramify_run_weight(runs, i) * exp(u / reach),
                                 ramify_form_damped_distance(u), runs->ln_y[i]);
    }
    double fitted = l.slope < 0 ? l.slope : 0; /* a curve that rises is continued by a level */
    ramify_law_part *part = &mix->part[0];
    *part = (ramify_law_part){.form = &ramify_form_damped, .near = 1, .far = 1 - FAR_SHARE};
    part->theta[0] = exp(l.mean - fitted * l.centre);
    part->theta[1] = fitted;
    part->theta[2] = ramify_law_size(end);
    double residuals = 0, first = 0, second = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double u = runs->ln_x[i] - end, d = ramify_form_damped_distance(u) - l.centre;
        double w = ramify_run_weight(runs, i) * exp(u / reach);
        double r = runs->ln_y[i] - l.mean - l.slope * d;
        residuals += w * r * r;
        first += w * w * d;
        second += w * w * d * d;
    }
    double used = l.squares / l.weights + (l.spread > 0 ? second / l.spread : 0);
    double left = l.weights - used;
    ramify_law_spread *s = &mix->spread;
    *s = (ramify_law_spread){.local = true, .drift = (double)NAN};
    s->noise = left > ROUNDING * l.weights ? sqrt(residuals / left) : (double)NAN;
    s->line[0] = l.centre;
    s->line[1] = l.squares / (l.weights * l.weights);
    s->line[2] = l.spread > 0 ? first / (l.weights * l.spread) : 0;
    s->line[3] = l.spread > 0 ? second / (l.spread * l.spread) : 0;
    s->bend = fmax(0, l.slope) * ramify_form_damped_distance(log(2)); /* if it falls: see below */
}

/* Step 4: of one floor, the power law above it and how badly it fits near the end. */
static void fit_floor(const ramify_runs *runs, double end, double floor, ramify_law_part *part,
                      double *badness) {
    ramify_weighted_line l = {0};
    for (size_t i = 0; i < runs->count; i++) {
        double u = runs->ln_x[i] - end, y = exp(runs->ln_y[i]), above = (y - floor) / y;
        ramify_weighted_line_add(&l,
                                 ramify_run_weight(runs, i) * exp(u / FLOOR_REACH) * above * above,
                                 u, log(y - floor));
    }
    double slope = fmin(l.slope, 0);
    double intercept = l.mean - slope * l.centre;
    double weights = 0, weights_squared = 0, errors = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double u = runs->ln_x[i] - end, w = ramify_run_weight(runs, i) * exp(u / FLOOR_REACH);
        double d = log(floor + exp(intercept + slope * u)) - runs->ln_y[i];
        weights += w;
        weights_squared += w * w;
        errors += w * d * d;
    }
    *badness = 0.5 * weights * weights / weights_squared *
               log(errors / weights + FLOOR_NOISE * FLOOR_NOISE);
    if (!isfinite(*badness) || !isfinite(intercept) || !isfinite(slope))
        *badness = INFINITY; /* this far apart, sizes leave no number */
    double exponent = fmax(-slope, SLOPE_LEAST), coefficient = exp(intercept + exponent * end);
    if (!(coefficient > 0 && isfinite(coefficient)))
        *badness = INFINITY;
    if (floor > 0) {
        *part = (ramify_law_part){.form = &ramify_form_m2};
        part->theta[0] = floor;
        part->theta[1] = coefficient;
        part->theta[2] = exponent;
    } else {
        *part = (ramify_law_part){.form = &ramify_form_m1};
        part->theta[0] = coefficient;
        part->theta[1] = exponent;
    }
}

/* The power laws, in proportion to their evidence; returns the mean of their floors. */
static double add_floors(const ramify_runs *runs, double end, ramify_law_mix *mix) {
    ramify_law_part found[FLOORS];
    double badness[FLOORS], least = INFINITY, sum = 0, kept = 0, mean = 0;
    double lowest = exp(ramify_errors_range(runs).low);
    for (uint32_t i = 0; i < FLOORS; i++) {
        fit_floor(runs, end, lowest * i / FLOORS, &found[i], &badness[i]);
        least = fmin(least, badness[i]);
    }
    if (least == INFINITY) {
        mix->part[0].far = 1;
        return 0;
    }
    for (uint32_t i = 0; i < FLOORS; i++)
        sum += badness[i] = exp(least - badness[i]);
    for (uint32_t i = 0; i < FLOORS; i++) {
        badness[i] /= sum;
        mean += badness[i] * lowest * i / FLOORS;
        kept += badness[i] < PART_LEAST ? 0 : badness[i];
    }
    for (uint32_t i = 0; i < FLOORS; i++)
        if (badness[i] >= PART_LEAST) {
            found[i].far = FAR_SHARE * badness[i] / kept;
            mix->part[mix->parts++] = found[i];
        }
    return mean;
}

static ramify_status combine_curve(ramify_context *context, const ramify_law_problem *problem,
                                   ramify_law_mix *mix) {
    const ramify_runs *runs = problem->runs;
    double end = ramify_variable_range(runs, 0).high;
    uint32_t sizes;
    double reach = reach_of(runs, end, &sizes);
    if (sizes < SIZES_LEAST)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "auto needs runs of %d sizes to see how a curve ends, there %s %u: add "
                           "runs of other sizes",
                           SIZES_LEAST, sizes == 1 ? "is" : "are", sizes);
    mix->parts = 1;
    fit_end(runs, end, reach, mix);
    double floor = add_floors(runs, end, mix);
    const ramify_law_part *damped = &mix->part[0];
    if (!(damped->theta[0] > 0) || !isfinite(damped->theta[0]) || !isfinite(damped->theta[1]))
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "auto finds no end of a curve in these runs: their sizes or errors lie "
                           "beyond what numbers hold");
    double octave = end + log(2);
    double fall = ramify_law_mix_value(mix, &end) - ramify_law_mix_value(mix, &octave);
    if (fall > 0)
        mix->spread.bend = BEND_SHARE * fall;
    snprintf(mix->reason, sizeof mix->reason,
             "the damped law of the curve's end, read over a factor of %.2f in size as the runs "
             "are spaced; beyond twice the largest size up to %.0f %% of power laws above floors, "
             "weighed by how they fit that end (mean floor %.4g)",
             exp(reach), 100 * FAR_SHARE, floor);
    return RAMIFY_OK;
}

const ramify_law_form ramify_form_auto_curve = {
    .name = "auto",
    .formula = "one size: damped at the end, beyond 2x mixed with power laws above a floor",
    .source = "ramify, docs/laws.md",
    .variables = 1,
    .role = {"size"},
    .reach = RAMIFY_LAW_DECADE,
    .combine = combine_curve,
};

/* --- two sizes -------------------------------------------------------------------------------- */

static ramify_status combine_plane(ramify_context *context, const ramify_law_problem *problem,
                                   ramify_law_mix *mix) {
    static const ramify_law_form *const both[] = {&ramify_form_additive, &ramify_form_joint};
    mix->parts = problem->runs->count < ramify_form_joint.parameters ? 1 : 2;
    if (problem->runs->count < ramify_form_additive.parameters)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "auto needs %u runs for two sizes, there %s %zu: add runs",
                           ramify_form_additive.parameters,
                           problem->runs->count == 1 ? "is" : "are", problem->runs->count);
    for (uint32_t p = 0; p < mix->parts; p++) {
        ramify_law_problem one = *problem;
        one.form = both[p];
        one.begin = NULL;
        one.begin_only = false;
        double loss;
        mix->part[p] =
            (ramify_law_part){.form = both[p], .near = 1.0 / mix->parts, .far = 1.0 / mix->parts};
        RAMIFY_TRY(ramify_law_solve(context, &one, mix->part[p].theta, &loss));
    }
    snprintf(mix->reason, sizeof mix->reason, "%s",
             mix->parts == 2
                 ? "the mean, in logarithms, of additive and joint in equal shares: runs alike in "
                   "fit are not alike in where they lead, and their errors had opposite signs"
                 : "additive alone, as there are too few runs for joint");
    return RAMIFY_OK;
}

const ramify_law_form ramify_form_auto_plane = {
    .name = "auto",
    .formula = "two sizes: the mean in logarithms of additive and joint",
    .source = "ramify, docs/laws.md",
    .variables = 2,
    .role = {"model size", "data"},
    .combine = combine_plane,
};

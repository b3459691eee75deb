/* What is wrong or doubtful about runs and laws, each in one sentence that says what to add. */

#include "law.h"
#include "law_numbers.h"
#include "memory.h"
#include "status.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Two variables whose logarithms are correlated beyond this cannot be told apart by noisy runs. */
#define APART 0.999

/* A floor below this share of the least error is none. */
#define NO_FLOOR 1e-3

/* A parameter whose standard error is larger than this share of it (on a logarithmic scale: factor
 * e) is not told by the runs. */
#define UNTOLD 1.0

ramify_status ramify_law_warn(ramify_context *context, ramify_fitted *law, const char *format,
                              ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (law->warnings == RAMIFY_LAW_WARNINGS_MAX)
        return RAMIFY_OK;
    law->warning[law->warnings] = ramify_copy_text(context, text);
    if (!law->warning[law->warnings])
        return RAMIFY_ERROR_MEMORY;
    law->warnings++;
    return RAMIFY_OK;
}

static double correlation(const ramify_runs *runs, uint32_t a, uint32_t b) {
    double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double dx = runs->ln_x[i * runs->variables + a] - x;
        double dy = runs->ln_x[i * runs->variables + b] - y;
        n++;
        x += dx / n;
        y += dy / n;
        xx += dx * (runs->ln_x[i * runs->variables + a] - x);
        yy += dy * (runs->ln_x[i * runs->variables + b] - y);
        xy += dx * (runs->ln_x[i * runs->variables + b] - y);
    }
    return xy / sqrt(xx * yy);
}

/* Distinct sizes of runs of one variable, which are in their order. */
static uint32_t count_sizes(const ramify_runs *runs) {
    uint32_t sizes = 0;
    for (size_t i = 0; i < runs->count; i++)
        sizes += i == 0 || runs->ln_x[i] != runs->ln_x[i - 1];
    return sizes;
}

/* Whether there are as many runs, that count, as there are parameters to find. */
static ramify_status check_counts(ramify_context *context, const ramify_law_form *form,
                                  const ramify_runs *runs, uint32_t free, const char *name) {
    if (runs->count == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: no run meets the conditions: there is nothing to fit", name);
    if (runs->count < free)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: the form %s has %u free parameter%s and there %s %zu run%s to fit: "
                           "add runs, or take a form with fewer parameters",
                           name, form->name, free, ramify_plural(free),
                           runs->count == 1 ? "is" : "are", runs->count,
                           ramify_plural(runs->count));
    size_t counting = 0;
    for (size_t i = 0; i < runs->count; i++)
        counting += ramify_run_weight(runs, i) > 0;
    if (counting < free || counting == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: %zu run%s a weight above 0, and the form %s has %u free "
                           "parameter%s: weigh more runs",
                           name, counting, counting == 1 ? " has" : "s have", form->name, free,
                           ramify_plural(free));
    return RAMIFY_OK;
}

/* Whether every size varies, and apart from the others. */
static ramify_status check_variation(ramify_context *context, const ramify_law_form *form,
                                     const ramify_law_groups *groups, const ramify_runs *runs,
                                     const char *name) {
    /* The error without pruning is no variable of its own. */
    uint32_t variables = form->variables > 3 ? 3 : form->variables;
    for (uint32_t v = 0; v < variables; v++) {
        ramify_log_range range = ramify_variable_range(runs, v);
        if (!(range.high > range.low))
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: %s never varies (%s is %.6g in every run), so its part of the "
                               "law cannot be told: add runs with other values",
                               name, form->role[v], groups->x_name[v], exp(range.low));
    }
    for (uint32_t a = 0; a < variables; a++)
        for (uint32_t b = a + 1; b < variables; b++)
            if (fabs(correlation(runs, a, b)) > APART)
                return ramify_fail(context, RAMIFY_ERROR_DATA,
                                   "%s: %s and %s never vary apart (columns %s and %s), so their "
                                   "exponents cannot be told apart: add runs that change one alone",
                                   name, form->role[a], form->role[b], groups->x_name[a],
                                   groups->x_name[b]);
    return RAMIFY_OK;
}

ramify_status ramify_law_check_runs(ramify_context *context, const ramify_law_form *form,
                                    const ramify_law_groups *groups, const ramify_runs *runs,
                                    const double *fixed, const char *name) {
    uint32_t free = 0;
    for (uint32_t j = 0; j < form->parameters; j++)
        free += !fixed || isnan(fixed[j]);
    RAMIFY_TRY(check_counts(context, form, runs, free, name));
    RAMIFY_TRY(check_variation(context, form, groups, runs, name));
    if (form->variables == 1 && free > count_sizes(runs) && !form->solve)
        return ramify_fail(
            context, RAMIFY_ERROR_DATA,
            "%s: the form %s has %u free parameters and the runs have %u size%s: add "
            "runs of other sizes, or take a form with fewer parameters",
            name, form->name, free, count_sizes(runs), ramify_plural(count_sizes(runs)));
    return RAMIFY_OK;
}

ramify_law_score ramify_law_score_runs(const ramify_law_mix *mix, const ramify_runs *runs) {
    ramify_law_score score = {
        .rows = runs->count, .coverage = (double)NAN, .interval_score = (double)NAN};
    double squares = 0, sum = 0, relative_squares = 0, n = (double)runs->count;
    for (size_t i = 0; i < runs->count; i++) {
        double d = ramify_law_mix_value(mix, runs->ln_x + i * runs->variables) - runs->ln_y[i];
        double relative = expm1(d);
        squares += d * d;
        sum += relative;
        relative_squares += relative * relative;
    }
    if (runs->count == 0)
        return score;
    score.rmse_log = sqrt(squares / n);
    score.mean = sum / n;
    double variance = relative_squares / n - score.mean * score.mean;
    score.sd = sqrt(variance > 0 ? variance : 0);
    return score;
}

void ramify_law_score_intervals(const ramify_law_mix *mix, const ramify_runs *runs, double level,
                                ramify_law_score *score) {
    double inside = 0, sum = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const double *ln_x = runs->ln_x + i * runs->variables;
        double off = fabs(ramify_law_mix_value(mix, ln_x) - runs->ln_y[i]);
        double width = ramify_law_mix_width(mix, ln_x, level);
        inside += off <= width;
        sum += 2 * width + 2 / (1 - level) * fmax(0, off - width);
    }
    if (runs->count == 0 || isnan(sum))
        return;
    score->coverage = inside / (double)runs->count;
    score->interval_score = sum / (double)runs->count;
}

static ramify_status review_floor(ramify_context *context, const ramify_law_form *form,
                                  const ramify_runs *runs, ramify_fitted *law) {
    double least = exp(ramify_errors_range(runs).low);
    double floor = form->floor ? form->floor(law->mix.part[0].theta) : 0;
    bool has_floor = form->floor && form->parameters > 2;
    if (floor > least)
        return ramify_law_warn(context, law,
                               "the law's floor %.6g lies above the least error %.6g, which some "
                               "run reached: the largest runs are under the law, fit them alone or "
                               "take another form",
                               floor, least);
    if (has_floor && floor < NO_FLOOR * least)
        return ramify_law_warn(context, law,
                               "no floor is seen in these runs: add larger ones to learn of it");
    return RAMIFY_OK;
}

/* Parameters that the runs do not tell: alone, or because they trade against each other. */
static ramify_status review_parameters(ramify_context *context, const ramify_law_form *form,
                                       const ramify_runs *runs, const double *fixed,
                                       ramify_fitted *law) {
    bool judged = !form->solve && runs->count > form->parameters;
    for (uint32_t j = 0; j < form->parameters; j++) {
        double theta = law->mix.part[0].theta[j], error = law->error[j];
        int bound = law->mix.part[0].bound[j];
        if (form->parameter[j].range != RAMIFY_LAW_POSITIVE || !isnan(fixed[j]))
            continue;
        if (bound != 0) {
            if (strcmp(form->parameter[j].name, "floor") != 0) /* of which review_floor speaks */
                RAMIFY_TRY(ramify_law_warn(
                    context, law, "the runs do not tell %s: the fit drives it %s",
                    form->parameter[j].name, bound < 0 ? "to 0" : "beyond all bounds"));
            continue;
        }
        if (error > UNTOLD * fabs(theta) || (isnan(error) && judged))
            RAMIFY_TRY(ramify_law_warn(context, law,
                                       "the runs do not tell %s (%.4g with a standard error of "
                                       "%.2g)%s",
                                       form->parameter[j].name, theta,
                                       isnan(error) ? (double)INFINITY : error,
                                       form->density ? ": add runs of lower density, where the "
                                                       "error levels off"
                                                     : ""));
    }
    return RAMIFY_OK;
}

/* Bootstrap intervals that had to be widened. */
static ramify_status review_intervals(ramify_context *context, const ramify_law_form *form,
                                      ramify_fitted *law) {
    char names[256] = "";
    size_t used = 0;
    for (uint32_t j = 0; j < form->parameters && used < sizeof names; j++)
        if (law->widened[j])
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                     used > 0 ? ", " : "", form->parameter[j].name);
    if (used == 0)
        return RAMIFY_OK;
    return ramify_law_warn(context, law,
                           "fits to resampled runs lie to one side of this one in %s: the runs "
                           "hardly tell it, and the interval was widened to hold the fit",
                           names);
}

ramify_status ramify_law_review(ramify_context *context, const ramify_law_form *form,
                                const ramify_law_groups *groups, const ramify_runs *runs,
                                const double *fixed, ramify_fitted *law) {
    RAMIFY_TRY(review_floor(context, form, runs, law));
    RAMIFY_TRY(review_parameters(context, form, runs, fixed, law));
    RAMIFY_TRY(review_intervals(context, form, law));
    if (law->mix.ln_from > law->mix.box.ln_low[0])
        RAMIFY_TRY(ramify_law_warn(context, law,
                                   "this law is about the end of the curve, and holds from %s %.6g "
                                   "on: over all runs it is off by %.2g in logarithms; for sizes "
                                   "within the runs take bnsl1 or m4",
                                   groups->x_name[0], exp(law->mix.ln_from), law->fit.rmse_log));
    for (uint32_t v = 0; v < form->variables; v++) {
        ramify_log_range range = ramify_variable_range(runs, v);
        if (form->floor && range.high - range.low < log(4))
            RAMIFY_TRY(ramify_law_warn(context, law,
                                       "%s spans a factor of %.3g only: add smaller runs, a factor "
                                       "of ten tells an exponent",
                                       groups->x_name[v], exp(range.high - range.low)));
    }
    if (runs->count <= form->parameters + 1)
        RAMIFY_TRY(ramify_law_warn(context, law,
                                   "next to nothing is left to judge the fit by: %zu run%s for %u "
                                   "parameter%s",
                                   runs->count, ramify_plural(runs->count), form->parameters,
                                   ramify_plural(form->parameters)));
    return RAMIFY_OK;
}

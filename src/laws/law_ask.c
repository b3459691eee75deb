/* What a fitted law answers: errors, sizes, the best split of a budget, the smallest network. */

#include "forms.h"
#include "law.h"
#include "law_numbers.h"
#include "memory.h"
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How far beyond the runs a size is looked for where the form sets no end: fifteen decades up, three
 * down, in steps that no crossing hides between. */
#define UP    (15 * RAMIFY_LAW_DECADE)
#define DOWN  (3 * RAMIFY_LAW_DECADE)
#define STEPS 512

/* Sizes that are equal but for rounding, in ln x. */
#define SAME_SIZE 1e-12

/* A bracket is halved, or cut by the golden section, at most this often; one so narrow, in ln x, is a
 * place. */
#define FOUND    1e-14
#define HALVINGS 200
#define SECTIONS 100
#define GOLDEN   0.6180339887498949

uint32_t ramify_law_variables(const ramify_law *law) {
    return law->form->variables;
}

const char *ramify_law_variable(const ramify_law *law, uint32_t variable) {
    return variable < law->form->variables ? law->x_name[variable] : NULL;
}

const char *ramify_law_error_name(const ramify_law *law) {
    return law->y_name;
}

uint32_t ramify_law_group_count(const ramify_law *law) {
    return law->groups;
}

const char *ramify_law_group_value(const ramify_law *law, uint32_t group, uint32_t column,
                                   const char **name) {
    if (group >= law->groups || column >= law->by_count)
        return NULL;
    if (name)
        *name = law->by_name[column];
    return law->group[group].by[column];
}

bool ramify_law_is_density(const ramify_law *law, uint32_t variable) {
    return law->form->density == variable + 1;
}

ramify_law_points ramify_law_points_of(const ramify_law *law, uint32_t group) {
    if (group >= law->groups)
        return (ramify_law_points){.count = 0};
    const ramify_fitted *f = &law->group[group];
    return (ramify_law_points){.count = f->points, .x = f->x, .y = f->y, .fitted = f->fitted};
}

static ramify_status find_group(const ramify_law *law, uint32_t group, double level,
                                const ramify_fitted **found) {
    if (group >= law->groups)
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT, "group %u of a law with %u", group,
                           law->groups);
    if (!(level > 0 && level < 1))
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the level of intervals is %g, expected between 0 and 1", level);
    *found = &law->group[group];
    if ((*found)->refusal)
        return ramify_fail(law->context, RAMIFY_ERROR_DATA, "this group has no law: %s",
                           (*found)->refusal);
    return RAMIFY_OK;
}

/* Sizes as logarithms; `skip` is a variable that is not given, or variables. */
static ramify_status take_sizes(const ramify_law *law, const double *x, uint32_t skip,
                                double *ln_x) {
    for (uint32_t v = 0; v < law->form->variables; v++) {
        ln_x[v] = 0;
        if (v == skip)
            continue;
        if (!(x[v] > 0) || isinf(x[v]))
            return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                               "%s is %g, and laws are of numbers above 0", law->x_name[v], x[v]);
        ln_x[v] = log(x[v]);
    }
    return RAMIFY_OK;
}

static ramify_status check_holds(const ramify_law *law, const ramify_fitted *f, const double *x,
                                 const double *ln_x) {
    if (ramify_law_mix_holds(&f->mix, ln_x))
        return RAMIFY_OK;
    return ramify_fail(
        law->context, RAMIFY_ERROR_DATA,
        "%s %.6g is below %.6g, from which on this law holds: %s is about the end of a "
        "curve (for sizes within the runs take bnsl1 or m4)",
        law->x_name[0], x[0], exp(f->mix.ln_from), law->form->name);
}

static void warn_of_reach(const ramify_law *law, const ramify_fitted *f, const double *ln_x) {
    double beyond = ln_x[0] - f->mix.box.ln_high[0];
    if (law->form->reach > 0 && beyond > law->form->reach * (1 + SAME_SIZE))
        ramify_log(law->context, RAMIFY_LOG_WARNING,
                   "%s %.6g is %.3g times the largest that was fitted: %s was never shown to hold "
                   "beyond %.0f times",
                   law->x_name[0], exp(ln_x[0]), exp(beyond), law->form->name,
                   exp(law->form->reach));
}

static ramify_law_estimate estimate_at(const ramify_fitted *f, const double *ln_x, double level) {
    double value = ramify_law_mix_value(&f->mix, ln_x);
    double width = ramify_law_mix_width(&f->mix, ln_x, level);
    return (ramify_law_estimate){exp(value), exp(value - width), exp(value + width)};
}

ramify_status ramify_law_predict(const ramify_law *law, uint32_t group, size_t count,
                                 const double *x, double level, ramify_law_estimate *estimates) {
    ramify_clear(law->context);
    const ramify_fitted *f = NULL;
    RAMIFY_TRY(find_group(law, group, level, &f));
    uint32_t variables = law->form->variables;
    for (size_t i = 0; i < count; i++) {
        double ln_x[RAMIFY_LAW_VARIABLES_MAX];
        RAMIFY_TRY(take_sizes(law, x + i * variables, variables, ln_x));
        RAMIFY_TRY(check_holds(law, f, x + i * variables, ln_x));
        estimates[i] = estimate_at(f, ln_x, level);
        if (!isfinite(estimates[i].value))
            return ramify_fail(law->context, RAMIFY_ERROR_DATA,
                               "the form %s has no value at %s %.6g: it is not above 0 there, or "
                               "beyond what numbers hold",
                               law->form->name, law->x_name[0], x[i * variables]);
        warn_of_reach(law, f, ln_x);
    }
    return RAMIFY_OK;
}

/* --- invert ----------------------------------------------------------------------------------- */

typedef struct search {
    const ramify_fitted *f;
    uint32_t variable;
    double ln_x[RAMIFY_LAW_VARIABLES_MAX];
    double low, high; /* of ln x */
    double side;      /* -1, 0, 1: low end of the interval, the law, high end */
    double level;
} search;

static double search_value(search *s, double at) {
    s->ln_x[s->variable] = at;
    double value = ramify_law_mix_value(&s->f->mix, s->ln_x);
    return s->side == 0 ? value
                        : value + s->side * ramify_law_mix_width(&s->f->mix, s->ln_x, s->level);
}

/* Where in [left, right] the curve comes down through ln_y, being above it at the left. */
static double search_within(search *s, double left, double right, double ln_y) {
    for (int i = 0; i < HALVINGS && right - left > FOUND * (1 + fabs(right)); i++) {
        double middle = 0.5 * (left + right);
        if (search_value(s, middle) > ln_y)
            left = middle;
        else
            right = middle;
    }
    return right;
}

/* The largest ln x at which the law comes down through ln_y, or NaN: not reached, or never above. */
static double search_law(search *s, double ln_y) {
    double step = (s->high - s->low) / STEPS;
    s->side = 0;
    if (!(search_value(s, s->high) <= ln_y))
        return (double)NAN;
    for (int i = STEPS - 1; i >= 0; i--) {
        double left = s->low + i * step;
        if (search_value(s, left) > ln_y)
            return search_within(s, left, left + step, ln_y);
    }
    return (double)NAN;
}

/* Where the low or the high end of the interval comes down through ln_y: before and behind the place
 * where the law does. NaN: nowhere. */
static double search_side(search *s, double found, double side, double ln_y) {
    double step = (s->high - s->low) / STEPS;
    s->side = side;
    for (int i = 0; i < STEPS; i++) {
        double at = found + side * i * step, next = at + side * step;
        if (at < s->low || at > s->high)
            break;
        if ((search_value(s, next) > ln_y) == (side < 0))
            return side < 0 ? search_within(s, next, at, ln_y) : search_within(s, at, next, ln_y);
    }
    return (double)NAN;
}

static ramify_status not_reached(const ramify_law *law, search *s, double error) {
    const ramify_law_part *part = &s->f->mix.part[0];
    double floor = s->f->mix.parts == 1 && part->form->floor ? part->form->floor(part->theta) : 0;
    if (error <= floor)
        return ramify_fail(law->context, RAMIFY_ERROR_DATA,
                           "no %s brings the error to %.6g: the law's floor is %.6g",
                           law->x_name[s->variable], error, floor);
    s->side = 0;
    double most = exp(search_value(s, s->high)), least = exp(search_value(s, s->low));
    if (least <= error)
        return ramify_fail(law->context, RAMIFY_ERROR_DATA,
                           "the error is %.6g or less for every %s from %.6g up%s: ask for a "
                           "smaller one than %.6g",
                           least, law->x_name[s->variable], exp(s->low),
                           law->form->reach > 0 ? ", where this law begins to hold" : "", error);
    return ramify_fail(law->context, RAMIFY_ERROR_DATA,
                       "the error %.6g is not reached for any %s up to %.6g, where it is %.6g%s",
                       error, law->x_name[s->variable], exp(s->high), most,
                       law->form->reach > 0 ? ", and beyond which the form says nothing" : "");
}

ramify_status ramify_law_invert(const ramify_law *law, uint32_t group, uint32_t variable,
                                const double *x, double error, double level,
                                ramify_law_estimate *size) {
    ramify_clear(law->context);
    search s = {.variable = variable, .level = level};
    RAMIFY_TRY(find_group(law, group, level, &s.f));
    if (variable >= law->form->variables)
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT, "variable %u of a law with %u",
                           variable, law->form->variables);
    if (!(error > 0) || isinf(error))
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the error asked for is %g, and laws are of numbers above 0", error);
    RAMIFY_TRY(take_sizes(law, x, variable, s.ln_x));
    const ramify_law_box *box = &s.f->mix.box;
    s.low = fmax(box->ln_low[variable] - DOWN, s.f->mix.ln_from);
    s.high = box->ln_high[variable] + (law->form->reach > 0 ? law->form->reach : UP);
    if (law->form->density == variable + 1)
        s.high = 0; /* nothing is left out */
    const ramify_law_part *part = &s.f->mix.part[0];
    double ln_y = log(error), found;
    if (s.f->mix.parts == 1 && part->form->inverse)
        found = part->form->inverse(part->theta, variable, s.ln_x, ln_y);
    else
        found = search_law(&s, ln_y);
    if (!(found >= s.low && found <= s.high))
        return not_reached(law, &s, error);
    double low = search_side(&s, found, -1, ln_y), high = search_side(&s, found, 1, ln_y);
    if (law->form->density == variable + 1)
        high = fmin(high, 0);
    *size = (ramify_law_estimate){exp(found), exp(low), exp(high)};
    return RAMIFY_OK;
}

/* --- frontier --------------------------------------------------------------------------------- */

/* ln y on the line of equal cost; ln_x becomes the place. */
static double line_value(const ramify_law_mix *mix, const ramify_law_cost *c, double ln_budget,
                         double ln_model, double *ln_x) {
    ln_x[0] = ln_model;
    ln_x[1] = (ln_budget - log(c->factor) - c->model_power * ln_model) / c->data_power;
    return ramify_law_mix_value(mix, ln_x);
}

int ramify_law_best_split(const ramify_law_mix *mix, const ramify_law_cost *cost, double ln_budget,
                          double *ln_x) {
    double low = mix->box.ln_low[0] - UP,
           step = (2 * UP + mix->box.ln_high[0] - mix->box.ln_low[0]) / STEPS;
    double least = INFINITY;
    int best = 0;
    for (int i = 0; i <= STEPS; i++) {
        double value = line_value(mix, cost, ln_budget, low + i * step, ln_x);
        if (value < least) {
            least = value;
            best = i;
        }
    }
    if (best == 0 || best == STEPS)
        return best == 0 ? -1 : 1;
    double a = low + (best - 1) * step, b = low + (best + 1) * step;
    double c = b - GOLDEN * (b - a), d = a + GOLDEN * (b - a);
    double at_c = line_value(mix, cost, ln_budget, c, ln_x),
           at_d = line_value(mix, cost, ln_budget, d, ln_x);
    for (int i = 0; i < SECTIONS; i++) {
        if (at_c < at_d) {
            b = d;
            d = c;
            at_d = at_c;
            c = b - GOLDEN * (b - a);
            at_c = line_value(mix, cost, ln_budget, c, ln_x);
        } else {
            a = c;
            c = d;
            at_c = at_d;
            d = a + GOLDEN * (b - a);
            at_d = line_value(mix, cost, ln_budget, d, ln_x);
        }
    }
    line_value(mix, cost, ln_budget, 0.5 * (a + b), ln_x);
    return 0;
}

static ramify_status check_cost(const ramify_law *law, const ramify_law_cost *cost, double budget) {
    if (law->form->variables < 2 || law->form->density)
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the form %s knows no model size and data to divide a budget between: "
                           "take additive, joint, data-constrained or auto with two sizes",
                           law->form->name);
    if (!(cost->factor > 0 && cost->model_power > 0 && cost->data_power > 0))
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the cost %g x model^%g x data^%g: all three numbers have to be above 0",
                           cost->factor, cost->model_power, cost->data_power);
    if (!(budget > 0) || isinf(budget))
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the budget is %g, expected above 0", budget);
    return RAMIFY_OK;
}

/* Of the best of every resample. */
static ramify_status split_intervals(const ramify_law *law, const ramify_fitted *f,
                                     const ramify_law_cost *cost, double ln_budget, double *ln_x,
                                     double level, ramify_law_split *split) {
    double *model = ramify_allocate(law->context, 2 * (size_t)f->resamples, sizeof *model);
    if (!model)
        return RAMIFY_ERROR_MEMORY;
    double *data = model + f->resamples;
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->resamples; i++) {
        ramify_law_mix mix;
        ramify_law_resampled(f, i, &mix);
        if (ramify_law_best_split(&mix, cost, ln_budget, ln_x) != 0)
            continue;
        model[count] = exp(ln_x[0]);
        data[count++] = exp(ln_x[1]);
    }
    ramify_law_middle(model, count, level, &split->model.low, &split->model.high);
    ramify_law_middle(data, count, level, &split->data.low, &split->data.high);
    ramify_release(law->context, model);
    return RAMIFY_OK;
}

ramify_status ramify_law_frontier(const ramify_law *law, uint32_t group,
                                  const ramify_law_cost *cost, const double *x, double budget,
                                  double level, ramify_law_split *split) {
    ramify_clear(law->context);
    const ramify_fitted *f = NULL;
    RAMIFY_TRY(find_group(law, group, level, &f));
    RAMIFY_TRY(check_cost(law, cost, budget));
    double ln_budget = log(budget), ln_x[RAMIFY_LAW_VARIABLES_MAX];
    for (uint32_t v = 2; v < law->form->variables; v++) {
        if (!(x[v] > 0) || isinf(x[v]))
            return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                               "%s is %g, and laws are of numbers above 0", law->x_name[v], x[v]);
        ln_x[v] = log(x[v]);
    }
    if (ramify_law_best_split(&f->mix, cost, ln_budget, ln_x) != 0)
        return ramify_fail(law->context, RAMIFY_ERROR_DATA,
                           "the law has no best %s for %g within fifteen decades of the runs: one "
                           "of the two sizes hardly counts (add runs that vary it alone), or the "
                           "budget is that far away",
                           law->x_name[0], budget);
    *split = (ramify_law_split){.model = {.value = exp(ln_x[0])},
                                .data = {.value = exp(ln_x[1])},
                                .error = estimate_at(f, ln_x, level)};
    if (!isfinite(split->model.value) || !isfinite(split->data.value) || split->data.value == 0)
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the cost %g x model^%g x data^%g leads beyond what numbers hold",
                           cost->factor, cost->model_power, cost->data_power);
    return split_intervals(law, f, cost, ln_budget, ln_x, level, split);
}

/* --- optimum ---------------------------------------------------------------------------------- */

/* Density of a network for an error; NaN where none is at most 1. */
static double density_for(const ramify_law_mix *mix, const double *network, double error) {
    const double ln_x[4] = {log(network[0]), log(network[1]), 0, log(network[2])};
    double ln_density = mix->part[0].form->inverse(mix->part[0].theta, 2, ln_x, log(error));
    return ln_density <= 0 ? exp(ln_density) : (double)NAN;
}

static ramify_status density_interval(const ramify_law *law, const ramify_fitted *f,
                                      const double *network, double error, double level,
                                      ramify_law_estimate *density) {
    double *values = ramify_allocate(law->context, f->resamples, sizeof *values);
    if (!values)
        return RAMIFY_ERROR_MEMORY;
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->resamples; i++) {
        ramify_law_mix mix;
        ramify_law_resampled(f, i, &mix);
        double value = density_for(&mix, network, error);
        if (!isnan(value))
            values[count++] = value;
    }
    ramify_law_middle(values, count, level, &density->low, &density->high);
    ramify_release(law->context, values);
    return RAMIFY_OK;
}

/* A network is told to be small most easily where no run says otherwise. */
static void warn_of_network(const ramify_law *law, const ramify_fitted *f,
                            const ramify_law_network *network) {
    const double sizes[3] = {network->depth, network->width, network->density.value};
    char text[320] = "";
    size_t length = 0;
    for (int v = 0; v < 3; v++) {
        const double low = f->mix.box.ln_low[v], high = f->mix.box.ln_high[v], at = log(sizes[v]);
        const double near = SAME_SIZE * (1 + fabs(at));
        if (!(at < low - near || at > high + near) || length >= sizeof text)
            continue;
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "%s%.40s %.4g lies outside %.4g to %.4g", length > 0 ? ", " : "",
                                   law->x_name[v], sizes[v], exp(low), exp(high));
    }
    if (length > 0)
        ramify_log(law->context, RAMIFY_LOG_WARNING,
                   "%s, which this law was fitted to: nothing shows that it holds there", text);
}

ramify_status ramify_law_optimum(const ramify_law *law, uint32_t group, const double *networks,
                                 size_t count, double ends, double error, double level,
                                 ramify_law_network *network) {
    ramify_clear(law->context);
    const ramify_fitted *f = NULL;
    RAMIFY_TRY(find_group(law, group, level, &f));
    if (law->form != &ramify_form_pruning_joint)
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the smallest network is found by a law of the form pruning-joint, this "
                           "one is %s",
                           law->form->name);
    if (!(error > 0) || isinf(error))
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "the error asked for is %g, and laws are of numbers above 0", error);
    if (!(ends >= 0) || isinf(ends))
        return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                           "inputs and outputs are %g, expected how many there are, or 0", ends);
    if (!networks) {
        networks = f->dense;
        count = f->dense_count;
    }
    *network = (ramify_law_network){.weights = INFINITY};
    const double *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        const double *one = networks + i * 3;
        if (!(one[0] > 0 && one[1] > 0 && one[2] > 0))
            return ramify_fail(law->context, RAMIFY_ERROR_ARGUMENT,
                               "network %zu: depth %g, width %g and error %g have to be above 0",
                               i + 1, one[0], one[1], one[2]);
        double density = density_for(&f->mix, one, error);
        double weights = density * (ends > 0 ? ends * one[1] + (one[0] - 1) * one[1] * one[1]
                                             : one[0] * one[1] * one[1]);
        least = fmin(least, one[2]);
        if (weights < network->weights) {
            *network = (ramify_law_network){.depth = one[0],
                                            .width = one[1],
                                            .dense_error = one[2],
                                            .density.value = density,
                                            .weights = weights};
            best = one;
        }
    }
    if (!best)
        return ramify_fail(law->context, RAMIFY_ERROR_DATA,
                           "none of %zu networks has the error %.6g at a density of 1 or less: "
                           "the least error without pruning is %.6g, the most that the law knows "
                           "%.6g",
                           count, error, least, f->mix.part[0].theta[0]);
    warn_of_network(law, f, network);
    return density_interval(law, f, best, error, level, &network->density);
}

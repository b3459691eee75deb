#include "run_cost.h"
#include "memory.h"
#include "status.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Costs that lie further from the product than this, in logarithms, follow something else. */
#define OFF_MOST 0.5
/* The same, of the mean of the dearest runs about the product of the cheaper ones. A fixed cost per run,
 * which hides the rise of small runs' costs, ends here. */
#define BEND_MOST 0.4
/* Costs that lie no further off the product were computed by it. */
#define EXACT 1e-9
/* What is no more than this many standard errors above 0 may be none. */
#define CERTAIN 2.0

/* Two names and their powers. */
#define TEXT 192

/* Values of a size that are counted. */
#define VALUES_MOST 8

uint32_t ramify_run_values(const ramify_runs *runs, uint32_t variable, uint32_t most) {
    double seen[VALUES_MOST];
    uint32_t values = 0;
    for (size_t i = 0; i < runs->count && values < most; i++) {
        double ln_x = runs->ln_x[i * runs->variables + variable];
        bool known = false;
        for (uint32_t k = 0; k < values; k++)
            known = known || seen[k] == ln_x;
        if (!known)
            seen[values++] = ln_x;
    }
    return values;
}

/* "params^0.97 x tokens^1.02" */
static const char *describe(const ramify_costed_runs *runs, const ramify_plane *plane,
                            char text[TEXT]) {
    char name[RAMIFY_EXCERPT_BYTES];
    int used = 0;
    for (uint32_t v = 0; v < plane->variables; v++)
        used += snprintf(text + used, (size_t)(TEXT - used), "%s%s^%.3g", v > 0 ? " x " : "",
                         ramify_text_excerpt(runs->x_name[v], strlen(runs->x_name[v]), name),
                         plane->slope[v]);
    return text;
}

static void find_range(const ramify_costed_runs *runs, ramify_run_cost *cost) {
    cost->ln_least = INFINITY;
    cost->ln_most = -INFINITY;
    for (size_t i = 0; i < runs->runs.count; i++) {
        double known = runs->ln_cost ? runs->ln_cost[i] : (double)NAN;
        double ln_cost = isnan(known)
                             ? ramify_run_cost_at(cost, runs->runs.ln_x + i * runs->runs.variables)
                             : known;
        cost->ln_least = fmin(cost->ln_least, ln_cost);
        cost->ln_most = fmax(cost->ln_most, ln_cost);
    }
}

/* Mean of ln cost over the dearest quarter of the range about the product that is fitted to the cheaper
 * half, and its standard error; 0 where these do not tell one. */
static ramify_status measure_bend(ramify_context *context, const ramify_costed_runs *runs,
                                  const ramify_run_cost *cost, double *bend, double *error) {
    const double middle = 0.5 * (cost->ln_least + cost->ln_most),
                 upper = 0.5 * (middle + cost->ln_most);
    const size_t count = runs->runs.count;
    *bend = *error = 0;
    double *cheap = ramify_allocate(context, count, sizeof *cheap);
    if (!cheap)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < count; i++)
        cheap[i] = runs->ln_cost[i] <= middle ? runs->ln_cost[i] : (double)NAN;
    ramify_plane plane;
    bool told = ramify_plane_fit(count, cost->sizes, runs->runs.ln_x, cheap, &plane) &&
                !isnan(plane.deviation);
    ramify_release(context, cheap);
    double center[RAMIFY_PLANE_VARIABLES] = {0}, dear = 0;
    for (size_t i = 0; told && i < count; i++) {
        const double *ln_x = runs->runs.ln_x + i * cost->sizes;
        if (!(runs->ln_cost[i] >= upper))
            continue;
        dear++;
        *bend += (runs->ln_cost[i] - ramify_plane_at(&plane, ln_x) - *bend) / dear;
        for (uint32_t v = 0; v < cost->sizes; v++)
            center[v] += (ln_x[v] - center[v]) / dear;
    }
    if (dear > 0) /* of their mean, about the plane there */
        *error = ramify_plane_deviation(&plane, center);
    return RAMIFY_OK;
}

static ramify_status check_powers(ramify_context *context, const ramify_costed_runs *runs,
                                  const ramify_plane *plane) {
    for (uint32_t v = 0; v < plane->variables; v++)
        if (!(plane->slope[v] > CERTAIN * plane->error[v] && plane->slope[v] > 0))
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: costs (column %s) do not rise with %s as far as the runs tell "
                               "(to the power %.2g, give or take %.2g): give costs that do, or "
                               "leave them out, and the product of the sizes is the cost",
                               runs->source, runs->cost_name, runs->x_name[v], plane->slope[v],
                               plane->error[v]);
    return RAMIFY_OK;
}

static ramify_status check_fit(ramify_context *context, const ramify_costed_runs *runs,
                               const ramify_run_cost *cost) {
    char text[TEXT];
    const ramify_plane *plane = &cost->plane;
    if (plane->deviation > OFF_MOST)
        return ramify_fail(
            context, RAMIFY_ERROR_DATA,
            "%s: costs (column %s) lie a factor of %.2g off the nearest product, %s: "
            "give costs of one machine and one kind of run, or leave them out, and "
            "the product of the sizes is the cost",
            runs->source, runs->cost_name, exp(plane->deviation), describe(runs, plane, text));
    const double factor = exp(cost->ln_factor);
    if (!(factor > 0) || isinf(factor))
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: costs (column %s) lead beyond what numbers hold: give them, or the "
                           "sizes, in larger units",
                           runs->source, runs->cost_name);
    double bend, error;
    RAMIFY_TRY(measure_bend(context, runs, cost, &bend, &error));
    if (fabs(bend) > fmax(BEND_MOST, CERTAIN * error))
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: costs (column %s) rise otherwise for large runs than for small "
                           "ones: the product that the cheaper half follows is off by a factor of "
                           "%.2g on the dearest: take a fixed cost per run off, or leave small "
                           "runs out (--where)",
                           runs->source, runs->cost_name, exp(bend));
    return check_powers(context, runs, plane);
}

ramify_status ramify_run_cost_fit(ramify_context *context, const ramify_costed_runs *runs,
                                  ramify_run_cost *cost) {
    *cost = (ramify_run_cost){
        .fitted = runs->ln_cost != NULL, .sizes = runs->runs.variables, .power = {1, 1}};
    if (!cost->fitted) {
        find_range(runs, cost);
        return RAMIFY_OK;
    }
    size_t known = 0;
    for (size_t i = 0; i < runs->runs.count; i++)
        known += !isnan(runs->ln_cost[i]);
    if (!ramify_plane_fit(runs->runs.count, cost->sizes, runs->runs.ln_x, runs->ln_cost,
                          &cost->plane) ||
        isnan(cost->plane.deviation))
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: %zu run%s with a cost (column %s) do not tell how it rises with "
                           "the sizes: fill in more of them, or leave the costs out, and the "
                           "product of the sizes is the cost",
                           runs->source, known, ramify_plural(known), runs->cost_name);
    cost->ln_factor = cost->plane.mean;
    for (uint32_t v = 0; v < cost->sizes; v++) {
        cost->power[v] = cost->plane.slope[v];
        cost->ln_factor -= cost->plane.slope[v] * cost->plane.center[v];
    }
    find_range(runs, cost);
    return check_fit(context, runs, cost);
}

double ramify_run_cost_at(const ramify_run_cost *cost, const double *ln_x) {
    double sum = cost->ln_factor;
    for (uint32_t v = 0; v < cost->sizes; v++)
        sum += cost->power[v] * ln_x[v];
    return sum;
}

double ramify_run_cost_deviation(const ramify_run_cost *cost, const double *ln_x) {
    return cost->fitted && cost->plane.deviation > EXACT
               ? ramify_plane_deviation(&cost->plane, ln_x)
               : 0;
}

ramify_law_cost ramify_run_cost_law(const ramify_run_cost *cost) {
    return (ramify_law_cost){.factor = exp(cost->ln_factor),
                             .model_power = cost->sizes > 1 ? cost->power[0] : 0,
                             .data_power = cost->power[cost->sizes - 1]};
}

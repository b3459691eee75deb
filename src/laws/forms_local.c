/* Laws that look at the end of a curve alone, and are computed from it without a search. */

#include "forms.h"
#include "law_numbers.h"

/* --- damped: ln y = ln last + slope (1 - e^(-k u)) / k, u = ln(x / place) -------------------- */

/* A straight line in logarithms whose slope decays to the right and grows to the left. Both constants
 * were chosen on 44 of the 92 curves of Alabdulmohsin and others' benchmark and confirmed on the
 * others: the damping, and REACH, the distance over which runs lose weight, in the same unit. */
#define REACH 0.30

double ramify_form_damped_distance(double u) {
    return -expm1(-RAMIFY_LAW_DAMPING * u) / RAMIFY_LAW_DAMPING;
}

/* theta: last, slope, place */
static double damped_value(const double *theta, const double *ln_x, double *gradient) {
    double u = ln_x[0] - log(theta[2]), z = ramify_form_damped_distance(u);
    if (gradient) {
        gradient[0] = 1 / theta[0];
        gradient[1] = z;
        gradient[2] = -theta[1] * exp(-RAMIFY_LAW_DAMPING * u) / theta[2];
    }
    return log(theta[0]) + theta[1] * z;
}

static double damped_inverse(const double *theta, uint32_t variable, const double *ln_x,
                             double ln_y) {
    (void)variable;
    (void)ln_x;
    double z = (ln_y - log(theta[0])) / theta[1];
    return log(theta[2]) - log1p(-RAMIFY_LAW_DAMPING * z) / RAMIFY_LAW_DAMPING;
}

/* Weighted least squares; a slope that rises is taken for none. */
static bool damped_solve(const ramify_runs *runs, double *theta) {
    double place = ramify_variable_range(runs, 0).high;
    ramify_weighted_line l = {0};
    for (size_t i = 0; i < runs->count; i++) {
        double u = runs->ln_x[i * runs->variables] - place;
        ramify_weighted_line_add(&l, exp(u / REACH) * ramify_run_weight(runs, i),
                                 ramify_form_damped_distance(u), runs->ln_y[i]);
    }
    if (!(l.weights > 0))
        return false;
    double slope = l.slope < 0 ? l.slope : 0;
    theta[0] = exp(l.mean - slope * l.centre);
    theta[1] = slope;
    theta[2] = ramify_law_size(place);
    return true;
}

const ramify_law_form ramify_form_damped = {
    .name = "damped",
    .formula = "last exp(slope (1 - (x/place)^-0.35) / 0.35), fitted near the last run",
    .source = "ramify, docs/laws.md; its limit for large x is no floor",
    .variables = 1,
    .role = {"size"},
    .parameters = 3,
    .parameter = {{"last", RAMIFY_LAW_POSITIVE},
                  {"slope", RAMIFY_LAW_REAL},
                  {"place", RAMIFY_LAW_POSITIVE}},
    .log_value = damped_value,
    .solve = damped_solve,
    .floor = NULL,
    .inverse = damped_inverse,
    .reach = RAMIFY_LAW_DECADE,
};

/* --- last: the error of the largest run -------------------------------------------------------- */

/* theta: last */
static double last_value(const double *theta, const double *ln_x, double *gradient) {
    (void)ln_x;
    if (gradient)
        gradient[0] = 1 / theta[0];
    return log(theta[0]);
}

/* Of several runs of the largest size, their mean in logarithms. */
static bool last_solve(const ramify_runs *runs, double *theta) {
    double place = ramify_variable_range(runs, 0).high, sum = 0, weights = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double weight = ramify_run_weight(runs, i);
        if (runs->ln_x[i * runs->variables] == place) {
            sum += weight * runs->ln_y[i];
            weights += weight;
        }
    }
    theta[0] = exp(sum / weights);
    return weights > 0;
}

const ramify_law_form ramify_form_last = {
    .name = "last",
    .formula = "the error of the largest run: what any law must beat",
    .source = "LCDB: Mohr, Viering, Loog, van Rijn 2022",
    .variables = 1,
    .role = {"size"},
    .parameters = 1,
    .parameter = {{"last", RAMIFY_LAW_POSITIVE}},
    .log_value = last_value,
    .solve = last_solve,
    .floor = NULL,
};

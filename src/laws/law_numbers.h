#ifndef RAMIFY_LAWS_LAW_NUMBERS_H
#define RAMIFY_LAWS_LAW_NUMBERS_H
/* Arithmetic with logarithms of sums, and the small statistics that starts are made of. */

#include "law_form.h"

#include <math.h>

/* ln(e^a + e^b); either may be -infinity. */
static inline double ramify_log_add(double a, double b) {
    double most = a > b ? a : b, least = a > b ? b : a;
    return most == -INFINITY ? most : most + log1p(exp(least - most));
}

/* ln(e^a - e^b) for a > b, else NaN. */
static inline double ramify_log_subtract(double a, double b) {
    return a > b ? a + log(-expm1(b - a)) : (double)NAN;
}

/* ln(1 + e^a). */
static inline double ramify_log_one_plus(double a) {
    return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a));
}

/* 1 / (1 + e^-a). */
static inline double ramify_logistic(double a) {
    return a > 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a));
}

/* Student's quantile with 4 degrees of freedom for a two-sided level: it has a closed form (Shaw
 * 2006). Four degrees stand for tails that are heavier than the normal's. */
static inline double ramify_student(double level) {
    double p = 0.5 * (1 + level), a = 4 * p * (1 - p);
    double q = cos(acos(sqrt(a)) / 3) / sqrt(a);
    return 2 * sqrt(fmax(0, q - 1));
}

/* Least and largest ln y, and ln x of a variable. */
typedef struct ramify_log_range {
    double low, high;
} ramify_log_range;

static inline ramify_log_range ramify_errors_range(const ramify_runs *runs) {
    ramify_log_range range = {INFINITY, -INFINITY};
    for (size_t i = 0; i < runs->count; i++) {
        range.low = fmin(range.low, runs->ln_y[i]);
        range.high = fmax(range.high, runs->ln_y[i]);
    }
    return range;
}

static inline ramify_log_range ramify_variable_range(const ramify_runs *runs, uint32_t variable) {
    ramify_log_range range = {INFINITY, -INFINITY};
    for (size_t i = 0; i < runs->count; i++) {
        double ln_x = runs->ln_x[i * runs->variables + variable];
        range.low = fmin(range.low, ln_x);
        range.high = fmax(range.high, ln_x);
    }
    return range;
}

/* The size with a logarithm. Most sizes are whole numbers, which a logarithm and back misses by some
 * units of the last place: one that near is what was given. */
static inline double ramify_law_size(double ln_x) {
    double x = exp(ln_x), whole = round(x);
    return fabs(x - whole) <= 1e-13 * x ? whole : x;
}

/* Ascending. */
void ramify_law_sort(double *values, size_t count);

/* The ends of the middle share `level` of values, which are sorted; of none, NaN. */
void ramify_law_middle(double *values, size_t count, double level, double *low, double *high);

/* A weighted line y = mean + slope (z - centre), by least squares. */
typedef struct ramify_weighted_line {
    double weights, squares; /* sums of w and w^2 */
    double centre, mean, slope;
    double spread, cross; /* sums of w (z - centre)^2 and w (z - centre) (y - mean) */
} ramify_weighted_line;

/* Adds a point, unless it weighs nothing: running means, as sums of squares would cancel. */
static inline void ramify_weighted_line_add(ramify_weighted_line *l, double w, double z, double y) {
    if (!(w > 0))
        return;
    l->weights += w;
    l->squares += w * w;
    double dz = z - l->centre, dy = y - l->mean;
    l->centre += w / l->weights * dz;
    l->mean += w / l->weights * dy;
    l->spread += w * dz * (z - l->centre);
    l->cross += w * dz * (y - l->mean);
    l->slope = l->spread > 0 ? l->cross / l->spread : 0;
}

/* Least squares line ln(e^ln_y - e^ln_floor) = intercept + slope ln_x of the first variable, over the
 * runs above the floor; weights are not used. False when fewer than two differ in x. */
bool ramify_law_line(const ramify_runs *runs, double ln_floor, double *intercept, double *slope);

#endif

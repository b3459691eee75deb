#ifndef RAMIFY_PLAN_GAUSSIAN_H
#define RAMIFY_PLAN_GAUSSIAN_H
/* Gaussian-process regression of one target (Rasmussen, Williams 2006, chapters 2 and 5), for two
 * things: how much of the target's variance is noise, from the evidence, and a predictor that does
 * well on few rows.
 *
 *     cov(y, y') = s^2 (1 + k(x, x') + lambda [same row])
 *
 * with k the squared exponential or Matern's of order 3/2, a length scale per feature, and s^2 at
 * its best value for the others. All arithmetic is in double precision, one fit on one thread. */

#include "ramify.h"

/* Features beyond this many share one length scale. */
#define RAMIFY_GAUSSIAN_SCALES 24

typedef struct ramify_gaussian {
    ramify_context *context;
    size_t rows, features;
    double *x;        /* rows x features */
    double *per_unit; /* features: 1 / length scale */
    double *alpha;    /* rows: (K + lambda)^-1 y */
    double center;    /* mean of y, which is taken off */
    bool smooth;      /* squared exponential; else Matern */

    double noise;                 /* mean of the noise's variance over the posterior */
    double noise_low, noise_high; /* its 5 % and 95 % points */
    double left_out; /* mean squared error of rows that are predicted from all others */
    double evidence; /* log marginal likelihood of the best fit, less a constant */
} ramify_gaussian;

/* Fits to the first `learned` rows, from several starts, then takes as many as RAMIFY_GAUSSIAN_ROWS
 * for the predictor.
 *   x  rows x features, standardised
 *   y  rows
 * Fails with RAMIFY_ERROR_MEMORY and RAMIFY_STOPPED. Free with ramify_gaussian_destroy. */
#define RAMIFY_GAUSSIAN_LEARNED 400
#define RAMIFY_GAUSSIAN_ROWS    1000
ramify_status ramify_gaussian_fit(ramify_context *context, size_t rows, size_t features,
                                  const double *x, const double *y, ramify_gaussian **gaussian);
void ramify_gaussian_destroy(ramify_context *context, ramify_gaussian **gaussian);

/* The prediction for one row x[features]. */
double ramify_gaussian_predict(const ramify_gaussian *gaussian, const double *x);

#endif

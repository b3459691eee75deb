#ifndef RAMIFY_TRAIN_SERIES_RIDGE_H
#define RAMIFY_TRAIN_SERIES_RIDGE_H
/* Least squares with weights on squared coefficients: against noise, and, where rows are few, for
 * smoothness. */

#include "series_pass.h"

/* A problem with the first terms of another, and lambda times weight[terms] (NULL: 1) times the square
 * of every coefficient but the constant's. */
ramify_status ramify_series_weigh(const ramify_least_squares *from, uint32_t terms, double lambda,
                                  const double *weight, ramify_least_squares *to);

/* The equal weight that generalised cross-validation likes best, or 0 where it gains nothing. to: a
 * problem of so many terms, scratch; c[terms]: scratch. 0, too, where the deadline (0: none) passes. */
ramify_status ramify_series_choose_ridge(const ramify_least_squares *from, uint32_t terms,
                                         double deadline, ramify_least_squares *to, double *c,
                                         double *ridge);

typedef struct ramify_series_smoothness {
    double growth; /* of the weight of a squared coefficient, from a band to the next */
    double share;  /* the weight of band 0, in the mean squared column */
    double ridge;  /* the weight itself */
    double edge;   /* of what the terms of the last two bands add: root mean square over the box */
    /* Root mean square of rows that had no part in this; infinite: nothing was found, or the pass is
     * late. */
    double error;
} ramify_series_smoothness;

/* Fits all terms of the pass's plan, more than the rows may carry, with weights that grow with the
 * band: the smoothest functions near the rows, as with kernels, in a given band. An eighth of the rows is
 * held out to search growth and weight by, and another, or of few rows all others in turn, to score what was
 * found; then all are fitted.
 * found: what fewer terms liked best, near which the search is then, or growth 0; then what was found.
 * error: count squares of rows left out, NaN for those that were not scored. c[targets x terms]. The pass is
 * open, without rows. */
ramify_status ramify_series_smooth(ramify_series_pass *pass, const uint32_t *row, size_t count,
                                   float *error, double *c, ramify_series_smoothness *found);

#endif

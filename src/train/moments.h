#ifndef RAMIFY_TRAIN_MOMENTS_H
#define RAMIFY_TRAIN_MOMENTS_H
/* Mean, standard deviation and outermost values of a column, in one pass, in parts if need be.
 *
 * Sums are kept of values divided by `largest`, the largest magnitude so far: squares of numbers beyond
 * 1e154 overflow, and those below 1e-154 vanish. */

#include <stdbool.h>
#include <stddef.h>

typedef struct ramify_moments {
    double largest, center, square;
    size_t count;
    double low[2], high[2]; /* the two least and the two largest values, as they are */
} ramify_moments;

/* Start with a zeroed struct. */
void ramify_moments_add(ramify_moments *m, double x);

/* m becomes the moments of its values and then those of other. What comes out depends on how values were
 * parted, in the last digits. */
void ramify_moments_join(ramify_moments *m, const ramify_moments *other);

double ramify_moments_center(const ramify_moments *m);

/* Standard deviation; 1 of a constant column, or one whose spread is rounding: dividing by it would blow
 * it up. */
double ramify_moments_scale(const ramify_moments *m);

/* A value so far from all others that they look the same beside it. */
bool ramify_moments_far(const ramify_moments *m, double *value, double *low, double *high);

#endif

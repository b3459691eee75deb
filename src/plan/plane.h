#ifndef RAMIFY_PLAN_PLANE_H
#define RAMIFY_PLAN_PLANE_H
/* A plane through points by least squares: a line over one variable, a plane over two. */

#include "ramify.h"

#define RAMIFY_PLANE_VARIABLES 2

typedef struct ramify_plane {
    uint32_t variables;
    size_t points;
    double mean, center[RAMIFY_PLANE_VARIABLES]; /* it goes through these */
    double slope[RAMIFY_PLANE_VARIABLES];
    double error[RAMIFY_PLANE_VARIABLES]; /* standard errors; NaN without degrees of freedom */
    double deviation;                     /* of points about it; NaN likewise */
    /* Inverse of the matrix of sums of products of the variables about their means. */
    double inverse[RAMIFY_PLANE_VARIABLES][RAMIFY_PLANE_VARIABLES];
} ramify_plane;

/* Through the points whose y is a number. False where they do not tell a slope: too few, or variables
 * that do not vary, or not apart.
 *   x  count x variables
 *   y  count; NaN: left out */
bool ramify_plane_fit(size_t count, uint32_t variables, const double *x, const double *y,
                      ramify_plane *plane);

double ramify_plane_at(const ramify_plane *plane, const double *x);

/* Deviation of a new point about the plane, whose own uncertainty is part of it. */
double ramify_plane_deviation(const ramify_plane *plane, const double *x);

#endif

#ifndef RAMIFY_LAWS_LAW_PROJECTION_H
#define RAMIFY_LAWS_LAW_PROJECTION_H
/* Variable projection (Golub and Pereyra 1973): once the exponents of a double power law are given,
 * what is left is linear, and is solved exactly. */

#include "law_form.h"

/* What is linear: the error itself, or with an envelope that flattens at `level` the error on the
 * envelope's inner scale (forms_scaling.c). Positive, or NaN. */
typedef double ramify_law_target(double ln_y, double level);

/* Coefficients >= 0 of
 *     target(y) = c[0] + c[1] x0^-alpha + c[2] x1^-beta
 * with the least weighted sum of squared relative errors. There are three, so that every choice of
 * those that are 0 is tried: the least squares solution of the best is exact. False when no choice
 * has a solution, or a target is not positive. */
bool ramify_law_project(const ramify_runs *runs, ramify_law_target *target, double level,
                        double alpha, double beta, double coefficient[3]);

#endif

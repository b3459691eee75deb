#ifndef RAMIFY_KERNELS_REFLECTOR_H
#define RAMIFY_KERNELS_REFLECTOR_H
/* One Householder reflector I - tau [e; v] [e; v]^T of a panel, from sums over the rows: what the
 * fast and the readable `eliminate` share (Golub and Van Loan, Matrix Computations, 5.1 and 5.2.3;
 * the panel's product as I - V T V^T is Schreiber and Van Loan's compact form). */

#include "kernels.h"

#include <math.h>

/* Of step j: dot[l] = column j times column l of the rows; r: row j of the triangle, which is brought
 * up to date; t: gets column j. Column l of the rows then becomes (l == j ? *scale : 1) times itself,
 * minus factor[l] times column j as it was. */
static inline void ramify_reflector(size_t j, const double *dot, double *r, double *t,
                                    double *factor, double *scale) {
    const double square = dot[j];
    const double alpha = r[j];
    double tau = 0.0;
    *scale = 1.0;
    if (square > 0.0) {
        const double beta = -copysign(sqrt(alpha * alpha + square), alpha);
        tau = (beta - alpha) / beta;
        *scale = 1.0 / (alpha - beta);
        r[j] = beta;
    }
    for (size_t l = 0; l < RAMIFY_PANEL; l++) {
        factor[l] = 0.0;
        if (l > j) {
            const double w = tau * (r[l] + *scale * dot[l]);
            r[l] -= w;
            factor[l] = *scale * w;
        }
    }
    for (size_t i = 0; i < RAMIFY_PANEL; i++) {
        double sum = 0.0;
        for (size_t l = i; l < j; l++) {
            sum += t[i * RAMIFY_PANEL + l] * dot[l];
        }
        t[i * RAMIFY_PANEL + j] = i < j ? -tau * *scale * sum : i == j ? tau : 0.0;
    }
}

#endif

#ifndef RAMIFY_TRAIN_TEMPERATURE_H
#define RAMIFY_TRAIN_TEMPERATURE_H
/* One number that makes a classifier's probabilities fit (Guo, Pleiss, Sun, Weinberger 2017): its
 * outputs are divided by a temperature, which changes no answer, only how sure it is. */

#include "grow.h"
#include "root.h"

/* *temperature is the one with the least log loss on select rows, in 1/10 .. 10; 1 in a regression,
 * and where there are too few select rows to tell. grown: NULL for the root alone. */
ramify_status ramify_temperature_fit(const ramify_problem *problem, const ramify_root *root,
                                     const ramify_grown *grown, double *temperature);

/* Whether there are classes, and select rows enough to tell. */
bool ramify_temperature_wanted(const ramify_problem *problem);

/* The temperature of outputs[rows.count x pad(outputs)] of some rows. */
ramify_status ramify_temperature_of(const ramify_problem *problem, ramify_rows rows,
                                    const float *output, double *temperature);

/* The factor a > 0 with the least mean of weight[i] * -log softmax(a z_i)[label_i]; the mean is
 * convex in a.
 *   z  rows x stride, classes numbers each; weight: rows, or NULL */
double ramify_temperature_factor(const float *z, size_t stride, uint32_t classes,
                                 const uint32_t *label, const float *weight, size_t rows);

#endif

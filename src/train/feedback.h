#ifndef RAMIFY_TRAIN_FEEDBACK_H
#define RAMIFY_TRAIN_FEEDBACK_H
/* Rounding the weights of an output one after the other, where those that are still to come make up for
 * the error of each (GPTQ: Frantar, Ashkboos, Hoefler, Alistarh 2022; the idea is that of Hassibi and
 * Stork's optimal brain surgeon, 1993). The error of an output with weights off by e, summed over rows of
 * inputs, is e H e^T, with H the inputs' scatter matrix. */

#include "kernels.h"
#include "ramify.h"

typedef struct ramify_feedback {
    size_t k;        /* inputs */
    uint32_t *order; /* k: those that vary most come first */
    double *factor; /* k x k in that order, upper triangular: factor^T factor is the inverse of H */
} ramify_feedback;

/* H of groups x rows of inputs x[groups x rows x ldx], each group less its mean. Destroy with
 * ramify_feedback_destroy whatever is returned. */
ramify_status ramify_feedback_make(ramify_context *context, const ramify_kernels *kernels, size_t k,
                                   size_t groups, size_t rows, const float *x, size_t ldx,
                                   ramify_feedback *feedback);
void ramify_feedback_destroy(ramify_context *context, ramify_feedback *feedback);

/* Adds to the weights of an output, weight[k], what makes up for differences d of its outputs, by least
 * squares: weight += H^-1 x^T d. product[k] is x^T d, `stride` apart. Weights of 0 stay 0. `spare` has room
 * for 2 k numbers. */
void ramify_feedback_correct(const ramify_feedback *feedback, const float *product, size_t stride,
                             float *weight, double *spare);

/* Rounds the weights of an output, weight[k], to whole numbers of at most 127 in size of a step that is
 * chosen by the error, and returns the step. Weights of 0 stay 0. `spare` has room for 3 k numbers. */
float ramify_feedback_round(const ramify_feedback *feedback, float *weight, double *spare);

#endif

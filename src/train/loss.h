#ifndef RAMIFY_TRAIN_LOSS_H
#define RAMIFY_TRAIN_LOSS_H
/* What all fits share: the loss's gradient by the outputs, how far a schedule is, and the optimiser's
 * constants. */

#include "problem.h"

/* AdamW's usual constants (Kingma, Ba 2015). */
#define RAMIFY_ADAM_BETA1   0.9F
#define RAMIFY_ADAM_BETA2   0.999F
#define RAMIFY_ADAM_EPSILON 1e-8F

/* Room for ramify_loss_gradient. */
typedef struct ramify_loss_room {
    float *loss;     /* rows: set to each row's loss, not weighted */
    float *weight;   /* rows */
    uint32_t *label; /* rows */
    float *soft;     /* rows x classes; NULL where the problem has no soft targets */
} ramify_loss_room;

/* dy[count x ld] from the outputs y[count x ld] of rows of the problem: the gradient of share * the
 * sum of the rows' losses, each times its weight in the problem and row_weight[i] (NULL: 1).
 * Cross-entropy towards soft targets, or towards labels with `smoothing`, or half the squared error
 * of the standardised targets. Padding of dy is left alone. */
void ramify_loss_gradient(const ramify_problem *problem, const uint32_t *rows,
                          const float *row_weight, size_t count, float share, double smoothing,
                          const float *y, float *dy, size_t ld, const ramify_loss_room *room);

/* Share of a fit that is done, 0 .. 1: by steps or, with a deadline above 0, by the time since
 * `started`, whichever is further on, so that a fit that is short of time still ends annealed. */
double ramify_schedule_done(uint64_t step, uint64_t steps, double started, double deadline);

/* The learning rate there: rises linearly over the share warm_up, then falls as a cosine to 0, or
 * stays. */
double ramify_schedule_rate(double rate, double warm_up, bool cosine, double done, uint64_t step,
                            uint64_t steps);

#endif

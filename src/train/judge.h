#ifndef RAMIFY_TRAIN_JUDGE_H
#define RAMIFY_TRAIN_JUDGE_H
/* Which of two experts is better on rows that chose neither: paired tests over what each row loses. */

#include "mlp.h"
#include "problem.h"

/* What rows say: the sum of gains, and its variance. */
typedef struct ramify_verdict {
    double gain, variance;
} ramify_verdict;

/* From the sums of count gains and of their squares. */
ramify_verdict ramify_verdict_of(double sum, double squares, size_t count);

/* Of several sets of rows together. */
void ramify_verdict_add(ramify_verdict *sum, ramify_verdict v);

/* Whether something is gained, by more than so many standard errors. */
bool ramify_verdict_wins(ramify_verdict v, double threshold);

/* loss[i] of row i by an expert: what ramify_fit_criterion is the mean of. features: as
 * ramify_expert_fit has them, frozen. */
ramify_status ramify_row_losses(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                const float *features, const float *record, ramify_rows rows,
                                double *loss);

/* gain[i] = what row i loses by one expert minus what it loses by another. */
ramify_status ramify_compare_experts(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                     const float *features, const float *one, const float *other,
                                     ramify_rows rows, double *gain);

#endif

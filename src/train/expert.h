#ifndef RAMIFY_TRAIN_EXPERT_H
#define RAMIFY_TRAIN_EXPERT_H
/* Training one expert: AdamW over mini-batches of some rows of a problem, with the best snapshot on
 * select rows. */

#include "encoder.h"
#include "mlp.h"
#include "problem.h"

#include <stdatomic.h>

/* How far fits that run side by side have come together, in training rows seen. */
typedef struct ramify_meter {
    const char *stage; /* what the progress callback is told */
    double total;
    atomic_ullong done;
} ramify_meter;

typedef struct ramify_expert_plan {
    uint32_t epochs;  /* passes over the rows */
    uint32_t batch;   /* rows per step */
    double rate;      /* largest learning rate */
    double warm_up;   /* share of the steps in which the rate rises linearly */
    bool cosine;      /* then it falls as a cosine to 0; else it stays */
    double decay;     /* decoupled weight decay of weight matrices and encodings */
    double smoothing; /* label smoothing */
    double average;   /* keep factor of the moving average of weights per step; 0: none */
    bool
        keep_last; /* the last weights are kept, and only they are scored; else the best snapshot */
    uint32_t checks;  /* how often in all the select rows are scored; at least 1 */
    bool train_slope; /* PReLU slopes are learned; false keeps them (ReLU) */
    double
        rewind_at; /* share of the fit after which its weights are noted: the record then has room for
                          twice its floats, and the second half receives them; 0: they are not */
    const float *mask; /* of the record, 1 and 0: weights of 0 are not learned; NULL: all are */
    uint64_t seed, node;
    /* ramify_seconds(). With a deadline the schedule follows steps or time, whichever is further
     * on, so that a fit that is short of time still ends annealed. deadline 0: none. */
    double started, deadline;
    double stop_at;      /* ramify_seconds() at which it stops as if it were cancelled; 0: never */
    ramify_meter *meter; /* NULL: not reported */
} ramify_expert_plan;

/* How an expert does on some rows. loss: mean squared error of the standardised targets, or
 * cross-entropy in nats; error: the same for regression, or the share of wrong classes. */
typedef struct ramify_fit_score {
    double loss, error;
} ramify_fit_score;

/* features: rows x pad(features) of the whole problem when the encoder is frozen (indexed by row),
 * or NULL when the encoder is trained with the expert. row_weight[i] multiplies the weight of
 * training row i (borrowed rows count less); NULL = 1. record is the start and receives the best
 * snapshot (or the last); encoder->theta likewise when it is trained. With keep_start the starting weights are
 * snapshot 0 and win unless beaten on select rows. Empty select rows: the last weights are taken.
 */
ramify_status ramify_expert_fit(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                const ramify_expert_plan *plan, ramify_encoder *encoder,
                                const float *features, ramify_rows train, const float *row_weight,
                                ramify_rows select, bool keep_start, float *record,
                                ramify_fit_score *best);

/* Outputs[count x pad(outputs)] of an expert on rows: mean over members; class logits in a
 * classification. */
ramify_status ramify_expert_outputs(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                    const ramify_encoder *encoder, const float *features,
                                    const float *record, ramify_rows rows, float *outputs);

/* Per-row loss (the sum over targets of squared errors, or nats) and error (the same, or 0/1) from
 * outputs; either may be NULL. Row weights not applied. */
void ramify_expert_losses(const ramify_problem *problem, ramify_rows rows, const float *outputs,
                          float *loss /* count */, float *error /* count */);

/* What checkpoints and candidates are compared by: the loss of a regression; for a classification
 * the error with a share of the loss. */
double ramify_fit_criterion(const ramify_problem *problem, ramify_fit_score score);

/* Weighted means of them. */
ramify_fit_score ramify_expert_score(const ramify_problem *problem, ramify_rows rows,
                                     const float *loss, const float *error);

#endif

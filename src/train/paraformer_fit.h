#ifndef RAMIFY_TRAIN_PARAFORMER_FIT_H
#define RAMIFY_TRAIN_PARAFORMER_FIT_H
/* Training a Para-Former, plainly or progressively (Wang and Li 2025, as released): AdamW over
 * mini-batches, with the best weights on select rows.
 *
 * Progressive: an epoch has two passes. Pass A: for every batch, for k = 1 .. N, one optimiser step
 * on the loss of the prefix F_k, its gradient clipped; branches beyond k have no gradient and are
 * skipped, moments and all. Pass B: every batch again, F_N as a whole. Embedding and head are shared
 * by all prefixes.
 *
 * A batch is cut into shards, so that (shards x branches) tasks can run side by side; how many
 * depends on branches and memory bound, never on the number of threads, and sums over shards and
 * branches are taken in order: the same bits for any number of threads. A shard runs in
 * micro-batches, whose activations are what training needs memory for. */

#include "augment.h"
#include "expert.h"
#include "paraformer.h"

typedef enum ramify_paraformer_passes {
    RAMIFY_PASSES_WHOLE,    /* F_N alone: plain training */
    RAMIFY_PASSES_BOTH,     /* A and B: progressive */
    RAMIFY_PASSES_PREFIXES, /* A alone */
} ramify_paraformer_passes;

typedef struct ramify_paraformer_plan {
    uint32_t epochs;    /* passes over the rows; with A and B, pairs of them */
    uint32_t batch;     /* rows per step */
    double rate;        /* largest learning rate */
    double warm_up;     /* share of the steps in which the rate rises linearly */
    bool cosine;        /* then it falls as a cosine to 0; else it stays */
    double decay;       /* decoupled weight decay of weight matrices */
    double smoothing;   /* label smoothing */
    double clip;        /* largest norm of the gradient of F_N; 0: none */
    double clip_prefix; /* and of a prefix in pass A; 0: none */
    double average;     /* keep factor of the moving average of weights per step; 0: none */
    ramify_augmentation augmentation;
    ramify_paraformer_passes passes;
    uint32_t first_prefix; /* pass A begins with F_k of this k, at least 1: a model that gained
                              branches need not teach its old prefixes again */
    bool freeze;           /* pass A: step k changes branch k, embedding and head only */
    uint32_t checks;       /* how often in all the select rows are scored; at least 1 */
    bool keep_last;        /* the last weights are kept, and only they are scored; else the best */
    const float
        *mask; /* of all weights as one vector (ramify_paraformer_parts), 1 and 0: those of 0 are
                          not learned; NULL: all are */
    uint64_t seed;
    /* ramify_seconds(). With a deadline the schedule follows steps or time, whichever is further
     * on; what a resumed fit took before counts; of ranks the clock of rank 0. deadline 0: none. */
    double started, deadline;
    double stop_at; /* ramify_seconds() at which it stops as if it were cancelled; 0: never */
    uint64_t
        memory_bytes; /* bound of what the fit allocates on each rank; 0: none. It decides the order
                                of sums: where one process could keep within it, ranks take the same */
    const char *checkpoint;  /* file that an interrupted fit can be resumed from; NULL: none */
    double checkpoint_every; /* seconds between two writings */
    bool resume;             /* start from the file, if it is there */
} ramify_paraformer_plan;

/* The defaults, with the reason for each in paraformer_fit.c. */
void ramify_paraformer_plan_init(ramify_paraformer_passes passes, ramify_paraformer_plan *plan);

/* NULL, or what is wrong with a plan, as the end of a sentence. */
const char *ramify_paraformer_plan_error(const ramify_paraformer_plan *plan);

/* Starting weights of all parts. */
void ramify_paraformer_start(const ramify_paraformer_shape *shape, uint64_t seed,
                             const ramify_paraformer_weights *weights);

/* What the fit allocates at most: weights, moments and activations, scoring included, beside the
 * problem itself. It depends on the plan's memory bound, and on the context's threads, of which
 * each has scratch. */
typedef struct ramify_paraformer_need {
    uint64_t bytes;  /* of the rank that needs most */
    uint32_t shards; /* of a batch for F_N */
    uint32_t micro;  /* rows of a shard at a time */
} ramify_paraformer_need;

/* RAMIFY_ERROR_LIMIT when one row at a time does not fit in plan->memory_bytes. */
ramify_status ramify_paraformer_need_of(const ramify_problem *problem,
                                        const ramify_paraformer_shape *shape,
                                        const ramify_paraformer_plan *plan, size_t train,
                                        size_t select, ramify_paraformer_need *need);

typedef struct ramify_paraformer_result {
    ramify_fit_score score; /* of the weights given back, on select rows */
    uint64_t steps;         /* optimiser steps */
    double branch_passes;   /* rows times branches that were run forward and backward */
    bool late;              /* the deadline ended it */
    ramify_paraformer_need need;
} ramify_paraformer_result;

/* Where weights->deal divides the branches, every rank of the cluster makes the call with what it holds, and has
 * the same scores and, of its own parts, the weights that one process would have, to the bit. A stop then leaves
 * no weights, only the last checkpoint.
 *
 * Fits the weights, which are the start, on rows `train`, and sets them to the best on rows `select`
 * (or the last, if there are none). prefix[branches]: the scores of all prefixes on select rows;
 * NULL: not wanted. When stopped, the weights are the best so far. A gradient that is no longer
 * finite fails with RAMIFY_ERROR_DATA. */
ramify_status ramify_paraformer_fit(const ramify_problem *problem,
                                    const ramify_paraformer_shape *shape,
                                    const ramify_paraformer_plan *plan, ramify_rows train,
                                    ramify_rows select, const ramify_paraformer_weights *weights,
                                    ramify_fit_score *prefix, ramify_paraformer_result *result);

/* In what follows weights may be those that one rank holds (weights->deal): then every rank makes the same
 * call, each with its own, and what they return is the same on every rank. */

/* outputs[rows.count x pad(outputs)] of the prefix of `branches` branches. A row's outputs do not
 * depend on the other rows. */
ramify_status ramify_paraformer_outputs(const ramify_problem *problem,
                                        const ramify_paraformer_shape *shape,
                                        const ramify_paraformer_weights *weights, ramify_rows rows,
                                        uint32_t branches, float *outputs);

/* score[branches]: how every prefix does on rows. */
ramify_status ramify_paraformer_score(const ramify_problem *problem,
                                      const ramify_paraformer_shape *shape,
                                      const ramify_paraformer_weights *weights, ramify_rows rows,
                                      ramify_fit_score *score);

#endif

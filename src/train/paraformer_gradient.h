#ifndef RAMIFY_TRAIN_PARAFORMER_GRADIENT_H
#define RAMIFY_TRAIN_PARAFORMER_GRADIENT_H
/* The gradient of a batch's loss by the weights of a Para-Former's prefix.
 * Parts are those of paraformer.h; with a deal that divides the branches, those of the vector that a rank
 * holds, and every rank of the cluster makes the same calls. */

#include "loss.h"
#include "paraformer_fit.h"

/* Shards of a batch for a prefix of `branches` branches, where `tasks` tasks are aimed at. */
uint32_t ramify_gradient_shards(uint32_t branches, uint32_t tasks);

/* How a batch is worked on. */
typedef struct ramify_gradient_plan {
    uint32_t tasks; /* (shards x branches) aimed at */
    uint32_t micro; /* rows of a shard at a time */
} ramify_gradient_plan;

/* Bytes that ramify_gradient_create allocates for some number of workers, at least 1. */
uint64_t ramify_gradient_bytes(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                               const ramify_gradient_plan *plan, const ramify_deal *deal,
                               uint32_t workers);

/* Most tasks there are: no more workers are used. */
uint32_t ramify_gradient_workers(const ramify_paraformer_shape *shape,
                                 const ramify_gradient_plan *plan, const ramify_deal *deal);

/* Memory for gradients of batches. */
typedef struct ramify_gradient ramify_gradient;

/* Destroy with ramify_gradient_destroy. Borrows the arguments but for plan and deal. */
ramify_status ramify_gradient_create(const ramify_problem *problem,
                                     const ramify_paraformer_shape *shape,
                                     const ramify_gradient_plan *plan, const ramify_deal *deal,
                                     ramify_gradient **gradient);
void ramify_gradient_destroy(ramify_context *context, ramify_gradient **gradient);

/* A batch, and what is done with it. */
typedef struct ramify_gradient_batch {
    const uint32_t *rows; /* count */
    size_t count;
    uint32_t branches;                       /* of the prefix */
    const ramify_augmentation *augmentation; /* NULL: images as they are */
    uint64_t seed, pass;                     /* of the augmentation */
    double smoothing;
} ramify_gradient_batch;

/* The gradient of the mean loss of the batch, at `weights`. loss: that mean, times the rows'
 * weights. */
ramify_status ramify_gradient_run(ramify_gradient *gradient,
                                  const ramify_paraformer_weights *weights,
                                  const ramify_gradient_batch *batch, double *loss);

/* After it: the gradient by a part up to the number of branches here; it may be changed. To be called
 * once for each part, which may be side by side. */
float *ramify_gradient_part(ramify_gradient *gradient, uint32_t part);

#endif

#ifndef RAMIFY_TRAIN_PARAFORMER_TRAIN_H
#define RAMIFY_TRAIN_PARAFORMER_TRAIN_H
/* From a problem and the user's options to a fitted Para-Former, and from that to a model. */

#include "notes.h"
#include "paraformer_fit.h"

#include <jansson.h>

typedef struct ramify_paraformer_trained {
    ramify_paraformer_shape shape;
    ramify_paraformer_plan plan;
    ramify_paraformer_weights weights;
    ramify_paraformer_result result;
    ramify_fit_score *prefix; /* branches: how every prefix does on report rows */
    double temperature;       /* that the head's outputs were divided by */
    float *memory;            /* what weights point to; owned, as prefix and column are */
    uint32_t *column;         /* plain features: what embedding.column points to, or NULL */
} ramify_paraformer_trained;

/* image: height, width and channels of the table's images; zeros: a token per column. started and
 * deadline (0: none) as ramify_seconds gives them. On RAMIFY_STOPPED *trained is set where there are
 * weights. Free with ramify_paraformer_trained_destroy. */
ramify_status ramify_paraformer_train(const ramify_problem *problem,
                                      const ramify_train_options *options, const uint32_t image[3],
                                      double started, double deadline,
                                      ramify_paraformer_trained **trained);
void ramify_paraformer_trained_destroy(ramify_context *context,
                                       ramify_paraformer_trained **trained);

/* The keys of ramify.config that say how it was trained; NULL when out of memory. */
json_t *ramify_paraformer_recipe_json(const ramify_problem *problem,
                                      const ramify_paraformer_trained *trained);

/* The model lives in memory of its own; ramify_close frees it. notes may be NULL. */
ramify_status ramify_paraformer_finish(const ramify_problem *problem,
                                       const ramify_paraformer_trained *trained,
                                       const ramify_draft_notes *notes, json_t *config,
                                       ramify_model **model);

#endif

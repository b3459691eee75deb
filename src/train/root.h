#ifndef RAMIFY_TRAIN_ROOT_H
#define RAMIFY_TRAIN_ROOT_H
/* Finding the root expert: designs that fit the memory bound are tried for a share of the
 * epochs, the best on select rows are trained in full, the better of these is the root. */

#include "recipe.h"

typedef struct ramify_root {
    ramify_encoder *encoder;
    ramify_mlp_shape shape;
    float *record;
    ramify_fit_score score; /* on select rows */
    double criterion;
    ramify_expert_plan plan; /* that trained it */
    ramify_design design;    /* that it was made from */
    double row_visits;       /* training rows seen in the fit that made it */
    bool usable;             /* a snapshot was taken */
} ramify_root;

/* On RAMIFY_STOPPED, *root is the best so far or NULL. Free with ramify_root_destroy. */
ramify_status ramify_root_find(const ramify_problem *problem, const ramify_recipe *recipe,
                               double started, double deadline, ramify_root **root);
void ramify_root_destroy(ramify_context *context, ramify_root **root);

/* Trains one design with a shape and plan of the caller's (controls). */
ramify_status ramify_root_fit(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_design *design, const ramify_mlp_shape *shape,
                              const ramify_expert_plan *plan, ramify_root **root);

/* Bytes that a model with such experts holds resident. */
uint64_t ramify_root_resident(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_encoder *encoder, const ramify_mlp_shape *shape);

#endif

#ifndef RAMIFY_TRAIN_ROOT_H
#define RAMIFY_TRAIN_ROOT_H
/* An expert that is trained together with its encoder on all rows of a problem: the root of a tree,
 * a teacher, a control. */

#include "recipe.h"

typedef struct ramify_root {
    ramify_encoder *encoder;
    ramify_mlp_shape shape;
    float *record;          /* and, with plan.rewind_at, where it was early on (expert.h) */
    ramify_fit_score score; /* on select rows */
    double criterion;
    ramify_expert_plan plan; /* that trained it */
    ramify_design design;    /* that it was made from */
    double row_visits;       /* training rows seen in the fit that made it */
    bool usable;             /* a snapshot was taken */
} ramify_root;

/* What the log calls the stem of a design: "bins and periodic", "plain", ... */
const char *ramify_design_stem(const ramify_design *design);

/* A design with a shape, as plan's seed initialises it; shape->width[0] is set to what the encoder
 * makes. Free with ramify_root_destroy. */
ramify_status ramify_root_create(const ramify_problem *problem, const ramify_recipe *recipe,
                                 const ramify_design *design, const ramify_mlp_shape *shape,
                                 const ramify_expert_plan *plan, ramify_root **root);

/* Trains one design with a shape and plan. A fit that is stopped and has a snapshot sets *root too.
 * Free with ramify_root_destroy. */
ramify_status ramify_root_fit(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_design *design, const ramify_mlp_shape *shape,
                              const ramify_expert_plan *plan, ramify_root **root);
void ramify_root_destroy(ramify_context *context, ramify_root **root);

/* One of several fits. */
typedef struct ramify_root_request {
    const ramify_problem *problem;
    ramify_design design;
    ramify_mlp_shape shape;
    ramify_expert_plan plan;
    ramify_root *root; /* once fitted */
} ramify_root_request;

/* Fits them side by side, in the order given, by recipe->fits among the ranks. stage: what the progress callback is told. seconds:
 * what they may take together; 0: no limit. Roots of fits that ended before a failure or a stop are
 * set. The caller destroys the roots. */
ramify_status ramify_root_fit_all(ramify_context *context, const ramify_recipe *recipe,
                                  ramify_root_request *request, uint32_t count, const char *stage,
                                  double seconds);

/* Index of the usable root that is best on select rows, or UINT32_MAX. */
uint32_t ramify_root_best(const ramify_root_request *request, uint32_t count);

/* Bytes that a model with such experts holds resident. */
uint64_t ramify_root_resident(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_encoder *encoder, const ramify_mlp_shape *shape);

#endif

#ifndef RAMIFY_TRAIN_CONTROLS_H
#define RAMIFY_TRAIN_CONTROLS_H
/* The controls that every result is held against: trained with the same recipe, stem, select rows
 * and teachers' rows as the model.
 *     one expert        the root's design, trained for as many row visits as the whole tree
 *     equal total       one mlp with about the bytes of all the tree's modules; its rate, and whether
 *                       it learns from the teachers' rows too, are chosen on select rows
 *     random partition  the same growth from the same root, with prototypes drawn at random */

#include "finish.h"

typedef struct ramify_control_request {
    const ramify_problem *problem;
    const ramify_problem *enlarged; /* what root and tree were trained on; NULL: problem */
    const ramify_recipe *recipe;
    const ramify_grow_plan *grow; /* that grew the tree */
    const ramify_root *root;
    const ramify_grown *grown; /* NULL: the root alone */
    const float *features;     /* problem rows x pad(features), as grown; NULL with grown NULL */
    const float *points;
    uint32_t routes;
    const float *route;
} ramify_control_request;

/* Trains control `which` (0 .. RAMIFY_CONTROLS-1) into a model. */
#define RAMIFY_CONTROLS 3
extern const char *const ramify_control_names[RAMIFY_CONTROLS];
ramify_status ramify_control_train(ramify_context *context, const ramify_control_request *request,
                                   uint32_t which, ramify_model **model);

#endif

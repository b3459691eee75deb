#ifndef RAMIFY_TRAIN_SPACE_H
#define RAMIFY_TRAIN_SPACE_H
/* The space in which a tree's rows are routed (routing.h), and the choice of it. */

#include "grow.h"
#include "root.h"

typedef struct ramify_space {
    float *route; /* routes x pad(plain), or NULL: the plain features */
    uint32_t routes;
    float *points; /* problem rows x pad(routes) */
} ramify_space;

/* gradient: the directions in which the root's output changes. Where it does not change at all these are
 * none, and the plain features serve. Free with ramify_space_clear. */
ramify_status ramify_space_make(const ramify_problem *problem, const ramify_root *root,
                                bool gradient, uint64_t seed, ramify_space *space);
void ramify_space_clear(ramify_context *context, ramify_space *space);

/* features[problem rows x pad(features)] of the root's encoder; freed with ramify_release. */
ramify_status ramify_space_features(const ramify_problem *problem, const ramify_root *root,
                                    float **features);

/* Whether the root's directions make better cells than the plain features: as the recipe says, or where it
 * leaves that open by one level of a tree each, for a share of the epochs, on select rows. */
ramify_status ramify_space_choose(const ramify_problem *problem, const ramify_root *root,
                                  const ramify_recipe *recipe, const ramify_grow_plan *grow,
                                  const float *features, bool *gradient);

#endif

#ifndef RAMIFY_TRAIN_SEARCH_H
#define RAMIFY_TRAIN_SEARCH_H
/* Finding the root: designs that fit the memory bound are tried for a share of the epochs, on folds
 * where select rows are few; teachers learn the rows with the best of their stems; the best designs
 * are trained in full, on the table's rows and on those that the teachers answer; the best of these
 * on select rows is the root. */

#include "root.h"

/* *enlarged is the problem with the teachers' rows if the root was trained on it, and what its tree
 * is to be grown on; else NULL. `started` and `deadline` (0: none) as ramify_seconds gives them. On
 * RAMIFY_STOPPED, *root is the best so far or NULL. Free with ramify_root_destroy and
 * ramify_problem_destroy. Where no expert fits beside the directions of gradient routing, and those
 * were left to choice, the recipe is set to do without. */
ramify_status ramify_search_root(const ramify_problem *problem, ramify_recipe *recipe,
                                 double started, double deadline, ramify_root **root,
                                 ramify_problem **enlarged);

/* Wider experts than this overfit small cells and cost more than they give (study). */
#define RAMIFY_SEARCH_WIDTH_MAX 96

/* The widest shape of a design that fits the recipe's bound; false when none does. *least: the smallest
 * need seen so far, in bytes. */
bool ramify_search_shape(const ramify_problem *problem, const ramify_recipe *recipe,
                         const ramify_design *design, const ramify_encoder *encoder,
                         ramify_mlp_shape *shape, uint64_t *least);

#endif

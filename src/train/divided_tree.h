#ifndef RAMIFY_TRAIN_DIVIDED_TREE_H
#define RAMIFY_TRAIN_DIVIDED_TREE_H
/* A tree of experts on rows that no rank holds all of.
 *
 * A node with more training rows than plan->node_rows is *large*. Its prototypes are placed by a sample of its
 * rows, as those of smaller nodes are; its expert is fine-tuned by one rank, on a sample of node_rows of
 * them: as many as its steps could see. Rows stay where they are, and all ranks note to which child each
 * of theirs goes. A node that is not large is the root of a *subtree*: its rows travel to one rank, which
 * fine-tunes its expert on all of them and grows the tree below it as any other tree (grow.h), without
 * the others. Subtrees are dealt to ranks by their rows.
 *
 * Large nodes and roots of subtrees keep their own experts where these are better on report rows than
 * their parents' by split_threshold standard errors, each judged alone: it has rows enough. The division
 * into subtrees stands in any case; where nothing below a node was better, its leaves share one expert. */

#include "divided_rows.h"
#include "fits.h"
#include "grow.h"

typedef struct ramify_divided_plan {
    const ramify_train_options *options;
    const ramify_grow_plan *grow;
    const ramify_mlp_shape *shape;
    const ramify_stem *stem; /* the root's */
    const float *route;      /* routes x pad(plain), or NULL */
    uint32_t routes;
    const float *root; /* its record */
    uint64_t node_rows;
    bool
        keep_apart; /* an expert of a subtree stays with the rank that grew it (ramify_grown's owner) */
    ramify_fits *fits;
} ramify_divided_plan;

/* Most rows that one network learns from where the caller names none: so many that more do not change
 * what a small expert learns, and fewer where rows are wide. */
uint64_t ramify_divided_node_rows(const ramify_train_options *options, size_t columns);

/* Grows the tree; every rank receives all of it, unless experts are kept apart. The packed rows of `divided` travel, and are gone. Free
 * with ramify_grown_destroy. */
ramify_status ramify_divided_grow(ramify_divided *divided, const ramify_divided_plan *plan,
                                  ramify_grown **grown);

#endif

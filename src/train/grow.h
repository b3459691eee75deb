#ifndef RAMIFY_TRAIN_GROW_H
#define RAMIFY_TRAIN_GROW_H
/* Growing a tree of experts down from a trained root.
 *
 * Level by level: a node's training rows are clustered in routing space; each child's expert starts
 * from its parent's weights and is fine-tuned on the rows that descend to it; on select rows it
 * picks its checkpoint (the parent's weights among them); on report rows, which chose nothing, paired
 * tests decide which of the level's splits stand. A child whose parent's weights stayed best shares
 * the parent's module.
 *
 * A first level of children starts with larger steps than its root ended with, and may lose by that
 * more than its cells bring, where the next gains. So where no split of a level stands, but the level
 * does not lose by more than a standard error either, the next is grown beneath it, and both are
 * judged as one against the experts above them: they stand together or neither does. */

#include "expert.h"
#include "kmeans.h"

typedef struct ramify_grow_plan {
    ramify_partition partition;
    uint32_t arity;
    uint32_t depth;           /* levels below the root */
    uint32_t leaves;          /* most leaves; 0: no bound */
    uint32_t smallest_node;   /* nodes with fewer training rows are leaves */
    uint32_t untested_levels; /* the splits of so many levels stand untested; UINT32_MAX: all */
    bool permute; /* rows go to children by a random permutation: measures false acceptance */
    double level_threshold; /* standard errors by which a level's splits must win together */
    double split_threshold; /* and one split, in a level that does not; or two levels as one */
    double borrow;          /* rows borrowed from siblings as a share of own rows; 0: none */
    double borrow_weight;
    double rate_share;         /* rate of level d: expert.rate * rate_share^(d-1) */
    ramify_expert_plan expert; /* of the first level */
    uint64_t key;              /* of the root, where it is a node of a larger tree */
    struct ramify_fits *fits;  /* fits.h; NULL: neither shared nor kept */
} ramify_grow_plan;

typedef struct ramify_grown_node {
    uint32_t parent; /* UINT32_MAX for the root */
    uint32_t children, first_child;
    uint32_t depth;
    uint64_t key;     /* path key, see ramify_random_child */
    float *prototype; /* pad(routes); NULL for the root */
    uint32_t module;  /* index into modules */
    uint32_t judge; /* the module that its expert must beat: of the last split above that stands */
    uint32_t *rows; /* its train, select and report rows, one after the other; NULL once it has
                         children */
    size_t train_count, select_count, report_count;
} ramify_grown_node;

typedef struct ramify_grown {
    uint32_t node_count, module_count, node_room, module_room;
    ramify_grown_node *nodes; /* children follow their parents */
    float **modules; /* module_count records; 0 is the root's. With rewind_at in the experts'
                                 plan each is followed by where it was early in its training */
    uint32_t *
        owner; /* module_count: the rank that alone has a record, which is NULL elsewhere; UINT32_MAX: all
                        have it. NULL: all have all */
    uint32_t leaf_count;
    uint32_t tested, accepted; /* splits */
    double row_visits;         /* training rows seen by all fits, borrowed ones included */
    double select_criterion;   /* over all select rows, each at its leaf */
} ramify_grown;

/* points: problem rows x pad(routes). features: problem rows x pad(features). root: its record,
 * copied. Free with ramify_grown_destroy. A deadline in plan->expert ends growth with whole levels.
 */
ramify_status ramify_grow(const ramify_problem *problem, const ramify_mlp_shape *shape,
                          const ramify_grow_plan *plan, const float *features, const float *points,
                          size_t routes, const float *root, ramify_grown **grown);
void ramify_grown_destroy(ramify_context *context, ramify_grown **grown);

/* Sends the problem's rows down the tree, so that leaves list theirs, and counts are of them: points as
 * ramify_grow has them. For trees whose rows are not these. */
ramify_status ramify_grown_place(const ramify_problem *problem, const float *points, size_t routes,
                                 ramify_grown *grown);

/* The child of an inner node that is nearest to point[pad(routes)], the first of those that are equally near. */
uint32_t ramify_grown_nearest(const ramify_kernels *kernels, const ramify_grown *grown,
                              const ramify_grown_node *node, const float *point, size_t routes);

/* Adds a node, or a record, whose memory the tree takes over on success. */
ramify_status ramify_grown_add_node(ramify_context *context, ramify_grown *grown,
                                    const ramify_grown_node *node);
ramify_status ramify_grown_add_module(ramify_context *context, ramify_grown *grown, float *record);

#endif

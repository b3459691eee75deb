#ifndef RAMIFY_TRAIN_GROW_PARTS_H
#define RAMIFY_TRAIN_GROW_PARTS_H
/* A tree while it grows: what grow.c, which grows and judges levels, and grow_children.c, which makes and
 * tunes the children of a level, share. */

#include "grow.h"
#include "judge.h"

/* A child with fewer rows than this shares its parent's module untried. */
#define RAMIFY_CHILD_ROWS 32

typedef struct ramify_candidate {
    ramify_grown_node node;
    uint32_t parent_module;
    float *record; /* fine-tuned weights */
    bool better;   /* they beat the parent's on select rows */
    double *gain;  /* 2 x report_count: parent's loss minus own, then the judge's minus own */
    double row_visits;
} ramify_candidate;

typedef struct ramify_node_split {
    uint32_t node;           /* index of the node in grown */
    uint32_t found;          /* children */
    float *prototypes;       /* arity x stride */
    ramify_candidate *child; /* found */
    ramify_verdict verdict;  /* against the parent */
    ramify_verdict whole;    /* against the judge */
    bool stands;
} ramify_node_split;

/* A level none of whose splits stands by itself: its parents, and what there was before it. */
typedef struct ramify_trial {
    bool open;
    uint32_t first, end; /* nodes that were split */
    uint32_t node_count, module_count, leaf_count;
} ramify_trial;

typedef struct ramify_growth {
    const ramify_problem *problem;
    const ramify_mlp_shape *shape;
    const ramify_grow_plan *plan;
    const float *features, *points;
    size_t routes, stride, floats;
    ramify_grown *grown;
    ramify_node_split *splits;
    uint32_t split_count;
    ramify_candidate **order; /* all candidates of the level, largest first */
    uint32_t candidate_count;
    uint32_t level; /* depth of the children */
    ramify_trial trial;
    bool hopeless;        /* the level loses by more than HOPELESS */
    uint64_t problem_key; /* fit_key.h; 0 where none is asked for */
    ramify_meter meter;
} ramify_growth;

/* Of an expert's record, with where it was early on if that is noted. */
static inline size_t ramify_child_floats(const ramify_growth *g) {
    return g->plan->expert.rewind_at > 0 ? 2 * g->floats : g->floats;
}

/* Task of ramify_parallel: prototypes and rows of the children of one node, which is split number `task`. */
ramify_status ramify_growth_place(void *growth, size_t task, uint32_t worker);

/* Fine-tunes every child of the level, and measures its gains on report rows. */
ramify_status ramify_growth_tune(ramify_growth *growth);

#endif

#ifndef RAMIFY_TRAIN_DIVIDED_WORK_H
#define RAMIFY_TRAIN_DIVIDED_WORK_H
/* Subtrees and who grows them: what divided_subtrees.c, divided_travel.c and divided_join.c share. */

#include "divided_parts.h"

#include <stdatomic.h>

typedef struct ramify_subtree {
    uint32_t node; /* of the top */
    uint32_t owner;
    size_t rows;   /* of all roles */
    float *packed; /* rows, where this rank owns it */
    size_t *next;  /* ranks: where the next row of each goes in it */
    ramify_grown *grown;
    bool better;       /* its root's expert is its own */
    double row_visits; /* of that expert's fit */
} ramify_subtree;

typedef struct ramify_subtrees {
    ramify_divided_growth *growth;
    ramify_subtree *list;
    uint32_t count;
    uint32_t *at; /* nodes of the top: their subtree, or RAMIFY_NOWHERE */
    uint32_t *own, own_count;
    uint32_t ranks, rank;
    ramify_fits *fits; /* of this rank alone */
    double rows_all;   /* training rows of own subtrees */
    atomic_ullong rows_done;
} ramify_subtrees;

/* Sends all rows to the owners of their subtrees, a twentieth at a time, and frees what has been sent. */
ramify_status ramify_divided_travel(ramify_subtrees *subtrees);

/* Tells all ranks of the nodes and experts of all subtrees, and joins them to the top. */
ramify_status ramify_divided_join(ramify_subtrees *subtrees);

#endif

#ifndef RAMIFY_TRAIN_DIVIDED_PARTS_H
#define RAMIFY_TRAIN_DIVIDED_PARTS_H
/* What divided_tree.c and the files beside it share. */

#include "divided_tree.h"

#define RAMIFY_NOWHERE UINT32_MAX

typedef struct ramify_divided_growth {
    ramify_divided *divided;
    const ramify_divided_plan *plan;
    ramify_context *context;
    ramify_stem stem; /* the root's, with the routing space */
    size_t features_stride, routes_stride;
    size_t floats;     /* of a record, with where it was early on if that is noted */
    size_t own_floats; /* of these, the record */
    uint64_t key;      /* of fits: what all of them depend on */
    ramify_grown *top; /* large nodes and the roots of subtrees, of which rows are NULL */
    uint32_t *node;    /* rows here: the node of `top` that each is at */
} ramify_divided_growth;

/* Rows of some nodes, brought together: rows[first[s] .. first[s + 1]) of slot s, in the order of the whole
 * table. */
typedef struct ramify_collected {
    float *rows;   /* packed */
    size_t *first; /* slots + 1 */
} ramify_collected;

/* slot[node]: of the nodes that are wanted; else RAMIFY_NOWHERE. share[slots x RAMIFY_ROLES]: how much of their
 * rows, by role. owner[slots]: the rank that receives a slot's rows; RAMIFY_NOWHERE: nobody. Free with ramify_collected_clear. */
ramify_status ramify_divided_collect(const ramify_divided_growth *growth, const uint32_t *slot,
                                     uint32_t slots, const double *share, const uint32_t *owner,
                                     ramify_collected *collected);
void ramify_collected_clear(ramify_context *context, ramify_collected *collected);

/* Fine-tunes an expert of node `index` on the problem's rows, from its parent's: record[floats]. *better: it
 * is to be kept.  */
ramify_status ramify_divided_fit(const ramify_divided_growth *growth, uint32_t index,
                                 const ramify_problem *problem, const float *features,
                                 float *record, bool *better, double *row_visits);

/* What such a fit ends with, as bytes of this size, and back: record[floats]. */
size_t ramify_divided_result_bytes(const ramify_divided_growth *growth);
void ramify_divided_pack(const ramify_divided_growth *growth, bool better, double row_visits,
                         const float *record, void *result);
void ramify_divided_unpack(const ramify_divided_growth *growth, const void *result, bool *better,
                           double *row_visits, float *record);

/* features[rows x features_stride] of a problem's rows; freed with ramify_release. */
ramify_status ramify_divided_features(const ramify_divided_growth *growth,
                                      const ramify_problem *problem, float **features);

/* The key of an expert's fit. */
uint64_t ramify_divided_key(const ramify_divided_growth *growth, uint32_t index);

/* Grows the subtrees and joins them to the top. */
ramify_status ramify_divided_subtrees(ramify_divided_growth *growth);

#endif

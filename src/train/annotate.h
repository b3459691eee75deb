#ifndef RAMIFY_TRAIN_ANNOTATE_H
#define RAMIFY_TRAIN_ANNOTATE_H
/* Measuring the notes of a model (notes.h) with the model itself, before it is written for good.
 *
 * A leaf's spread says how far off predictions are there. Few select rows reach a leaf, and at
 * training rows, of which there are many, experts are closer than they will be; so both are counted in
 * their own mean over all leaves, training rows for a twentieth each, and drawn towards 1 as by a few
 * rows of the mean spread. Whatever a spread is off by, the quantiles of report rows' residuals in
 * spreads make up for, on average over the leaves.
 *
 * A leaf's reach is the root mean square distance of its training rows from its prototype, drawn
 * towards that of all leaves likewise; made-up rows have no part in it. A row counts as often as its
 * weight says, and one of weight 0 not at all. */

#include "draft.h"
#include "problem.h"
#include "split.h"

/* A level needs a report row in each tail, and one between. */
#define RAMIFY_ANNOTATE_LEAST_ROWS 3

typedef struct ramify_annotation {
    ramify_draft_notes notes; /* of what follows; owned */
    ramify_note *residuals, *distances;
    float *center, *reach, *spread;
} ramify_annotation;

/* problem: of the same match, train, select and report rows; not widened. Free with
 * ramify_annotation_destroy. */
ramify_status ramify_annotate(const ramify_problem *problem, ramify_model *model,
                              const ramify_match *match, const ramify_split *split,
                              ramify_annotation **annotation);
/* Notes of zeros as large as those that ramify_annotate would measure, by which a file's size is told.
 * model: whose leaves they are of. Free likewise. */
ramify_status ramify_annotation_blank(const ramify_problem *problem, const ramify_model *model,
                                      ramify_annotation **annotation);
void ramify_annotation_destroy(ramify_context *context, ramify_annotation **annotation);

/* Of n entries in order, the numbers of at most `most` (even) that are kept: all, or both ends whole
 * and ever fewer towards the middle. Of 200, shares in a tail lie an eighth apart with 200,000 entries,
 * a fifth with 10 million. Returns how many. */
uint32_t ramify_thin(size_t n, uint32_t most, size_t *kept /* most */);

#endif

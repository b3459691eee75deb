#ifndef RAMIFY_TRAIN_LEAF_SERIES_H
#define RAMIFY_TRAIN_LEAF_SERIES_H
/* Band-limited series in the place of trained networks, where they are better: at single leaves of a
 * tree, or in a tree of boxes of their own.
 *
 * A series competes on select and report rows: with its errors there against the network's, in a paired
 * test over rows. It was fitted to select rows, so that its errors at these are those of rows left
 * out; the network chose its checkpoint by them, which is to its advantage. */

#include "draft.h"
#include "nyquist_train.h"

typedef struct ramify_leaf_series {
    ramify_context *context;
    uint32_t leaves, taken;
    ramify_series_fit **fit; /* leaves: NULL where the network stays */
} ramify_leaf_series;

/* model: networks at the leaves of a tree, or one. everywhere: series stand wherever they can be
 * fitted. Series take no more memory than networks and the bound of the options leave. deadline as
 * ramify_seconds gives it, 0: none; past it leaves are fitted to parts of their rows. Free with
 * ramify_leaf_series_destroy. */
ramify_status ramify_leaf_series_choose(const ramify_problem *problem, ramify_model *model,
                                        const ramify_match *match, const ramify_split *split,
                                        const ramify_column *weight,
                                        const ramify_train_options *options, double deadline,
                                        bool everywhere, ramify_leaf_series **chosen);
void ramify_leaf_series_destroy(ramify_leaf_series **chosen);

/* Whether a tree of boxes is better than a model on select and report rows. */
ramify_status ramify_nyquist_beats(const ramify_problem *problem, const ramify_nyquist *nyquist,
                                   ramify_model *model, const ramify_match *match,
                                   const ramify_split *split, bool *better);

#endif

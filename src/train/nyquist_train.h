#ifndef RAMIFY_TRAIN_NYQUIST_TRAIN_H
#define RAMIFY_TRAIN_NYQUIST_TRAIN_H
/* Nyquist learners: band-limited series at the leaves of a tree of boxes, from a problem and the user's
 * options to a model.
 *
 * Growth is by halves: a box is cut in the middle of one axis (at the median row where the middle
 * leaves one side nearly empty), each half gets a series with a band of its own, and the cut stands if
 * both together are better at rows left out of their fits than the box's one series, by a paired test
 * over rows. Rows may not carry the band that a target needs in a large box, or the target may need it
 * in a part of the box only; where neither holds, no cut is taken. */

#include "grow.h"
#include "notes.h"
#include "series_fit.h"
#include "split.h"

#include <jansson.h>

/* Bands that the report lists at most, and bytes of its text. */
#define RAMIFY_NYQUIST_LISTED_BANDS       32
#define RAMIFY_NYQUIST_REPORT_BYTES(axes) (RAMIFY_NYQUIST_LISTED_BANDS * 64 + (axes)*96)

typedef struct ramify_nyquist_node {
    uint32_t children, first_child; /* two, side by side; or 0 */
    uint32_t depth;
    float *prototype; /* pad(plain); NULL for the root; owned */
    uint32_t *row;    /* numbers of its rows in the problem; NULL once it has children */
    size_t count;
    ramify_series_axis axis[RAMIFY_SERIES_AXES_MAX]; /* its box */
    ramify_series_fit *fit;                          /* also of nodes that were cut */
    float *error; /* count: see ramify_series_fit_rows; NULL once it has children */
} ramify_nyquist_node;

typedef struct ramify_nyquist {
    ramify_context *context;
    uint32_t axes;
    uint32_t node_count, leaf_count, tested;
    ramify_nyquist_node *nodes; /* children follow their parents */
} ramify_nyquist;

/* Takes columns with a period out of the plain features, which nothing reads but the tree, whose boxes
 * have all of the period, and novelty: no value of such a column is far from the others. */
ramify_status ramify_nyquist_prepare(ramify_problem *problem, const ramify_train_options *options);

/* Fits train and select rows. weight: the column of row weights, or NULL. most_bytes: of a record; 0:
 * none. deadline as ramify_seconds gives it; 0: none. Past it the first box is fitted to a part of the rows, and
 * cuts under way are given up. On RAMIFY_STOPPED *trained is set if there is a
 * root. Free with ramify_nyquist_destroy. */
ramify_status ramify_nyquist_train(const ramify_problem *problem, const ramify_match *match,
                                   const ramify_split *split, const ramify_column *weight,
                                   const ramify_train_options *options, double deadline,
                                   ramify_nyquist **trained);
void ramify_nyquist_destroy(ramify_nyquist **trained);

/* The key "nyquist" of ramify.config: the report, with errors in the units of a single target, of
 * several in their standard deviations; NULL when out of memory. */
json_t *ramify_nyquist_json(const ramify_problem *problem, const ramify_nyquist *trained);

/* The model lives in memory of its own; ramify_close frees it. notes may be NULL. */
ramify_status ramify_nyquist_finish(const ramify_problem *problem, const ramify_nyquist *trained,
                                    const ramify_draft_notes *notes, json_t *config,
                                    ramify_model **model);

#endif

#ifndef RAMIFY_TRAIN_NYQUIST_CUT_H
#define RAMIFY_TRAIN_NYQUIST_CUT_H
/* Cutting a box of a growing tree in two, and whether that is worth it. */

#include "nyquist_train.h"

/* A tree of boxes while it grows. */
typedef struct ramify_growth {
    const ramify_problem *problem;
    const ramify_train_options *options;
    ramify_series_data data;
    ramify_series_wish wish;
    const uint32_t *table_row; /* problem row -> table row: train, then select */
    const double *period;      /* columns; 0: none */
    size_t rows;
    uint32_t smallest;
    uint32_t deepest; /* levels below the root, at most */
    ramify_nyquist *made;
    uint32_t capacity;
} ramify_growth;

/* Fits a box with these rows of the problem. error: NULL, or, as *fit, that of ramify_series_fit_rows. */
ramify_status ramify_box_fit(const ramify_growth *growth, const ramify_series_axis *axis,
                             const ramify_series_wish *like, const uint32_t *row, size_t count,
                             float *error, ramify_series_fit **fit);

/* A cut of a box: where, and what it gives. */
typedef struct ramify_cut {
    uint32_t axis;
    double at;
    float *prototype[2]; /* owned */
    ramify_series_axis box[2][RAMIFY_SERIES_AXES_MAX];
    uint32_t *row[2]; /* owned */
    size_t count[2];
    double squares; /* of errors on trial */
} ramify_cut;

void ramify_cut_clear(const ramify_growth *growth, ramify_cut *cut);

/* The best cut of a node; best->row[0] NULL where none leaves enough rows on both sides. Clear with
 * ramify_cut_clear, after a failure too. */
ramify_status ramify_cut_find(const ramify_growth *growth, const ramify_nyquist_node *node,
                              const ramify_series_wish *like, ramify_cut *best);

/* Whether errors fall: a paired test over the rows that were scored on both sides of the cut.
 * error[side][count[side]]; room[node->count] is scratch. */
bool ramify_cut_wins(const ramify_nyquist_node *node, const ramify_cut *cut, float *const error[2],
                     double *room);

#endif

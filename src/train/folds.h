#ifndef RAMIFY_TRAIN_FOLDS_H
#define RAMIFY_TRAIN_FOLDS_H
/* Choosing among designs on more rows than the select rows of a small table: each fold holds other
 * rows out, and errors are pooled. */

#include "problem.h"

#define RAMIFY_FOLDS_MAX 5
/* Select rows that are enough to choose designs and snapshots by. */
#define RAMIFY_SELECT_ENOUGH 500

typedef struct ramify_folds {
    ramify_problem fold[RAMIFY_FOLDS_MAX]; /* views: all but the rows is the problem's own */
    uint32_t count;
    uint32_t *memory; /* the rows of all folds */
} ramify_folds;

/* Divides training and select rows anew, as often as it takes until enough rows have been held out
 * once: a fifth of them per fold at most. The only fold is the problem as it is where the select
 * rows are enough, where `one` is asked for (rows that must not be mixed: groups, times), and where
 * a fold would have rows of weight 0 only. Borrows the problem. Free with ramify_folds_destroy. */
ramify_status ramify_folds_create(const ramify_problem *problem, uint64_t seed, bool one,
                                  ramify_folds *folds);
void ramify_folds_destroy(ramify_context *context, ramify_folds *folds);

#endif

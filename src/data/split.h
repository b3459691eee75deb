#ifndef RAMIFY_DATA_SPLIT_H
#define RAMIFY_DATA_SPLIT_H
/* Which rows train, which choose (select) and which judge (report).
 *
 * The order in which rows are dealt depends only on (seed, row index), or on (seed, group's value),
 * or on time; never on the number of threads. Shares are exact, up to the size of a group. Select
 * rows choose checkpoints, features and routing; report rows accept splits and give the printed
 * scores. */

#include "ramify.h"
#include "table.h"

typedef struct ramify_split {
    size_t train_count, select_count, report_count;
    uint32_t *train, *select, *report; /* row indices, ascending */
} ramify_split;

typedef struct ramify_split_request {
    const uint32_t *rows; /* the usable rows, ascending; count of them */
    size_t count;
    const ramify_column *group; /* or NULL: rows with equal values stay together */
    const ramify_column *time;  /* or NULL: validation rows are the latest, report the latest of
                                   these; a number, or a text that begins YYYY-MM-DD. Rows of one
                                   time are in table order. */
    const double *labels; /* count class indices for a stratified split, or NULL; not used with
                             group or time */
    double validation;    /* share of rows that do not train, 0 < v < 1; halved between select (the
                             larger half) and report */
    uint64_t seed;
} ramify_split_request;

/* Fails with RAMIFY_ERROR_DATA when a side would be empty, or a row has no group or time. A class
 * keeps at least one row that trains. Free with ramify_split_destroy. */
ramify_status ramify_split_create(ramify_context *context, const ramify_table *table,
                                  const ramify_split_request *request, ramify_split **split);
void ramify_split_destroy(ramify_context *context, ramify_split **split);

/* The number by which a group is dealt: of the column's value, which must be there. */
uint64_t ramify_split_hash(const ramify_column *group, size_t row);

/* Fold of every row of request->rows, 0 .. folds-1, 2 <= folds, honouring group (equal values in
 * one fold) and time (fold k is later than fold k-1), and spreading every class evenly. No fold is
 * empty. request->validation is not used. */
ramify_status ramify_split_folds(ramify_context *context, const ramify_table *table,
                                 const ramify_split_request *request, uint32_t folds,
                                 uint32_t *fold /* count */);

#endif

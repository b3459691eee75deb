#ifndef RAMIFY_DATA_SPLIT_H
#define RAMIFY_DATA_SPLIT_H
/* Which rows train, which choose (select) and which judge (report).
 *
 * A row's side depends only on (seed, its index), or on its group's value, or on its rank in time;
 * never on the number of threads. Select rows choose checkpoints, features and routing; report rows
 * accept splits and give the printed scores. */

#include "ramify.h"
#include "table.h"

typedef struct ramify_split {
    size_t train_count, select_count, report_count;
    uint32_t *train, *select, *report; /* row indices, ascending */
} ramify_split;

typedef struct ramify_split_request {
    const uint32_t *rows; /* the usable rows, ascending; count of them */
    size_t count;
    const ramify_column *group; /* or NULL */
    const ramify_column
        *time;            /* or NULL: validation rows are the latest, report the latest of these */
    const double *labels; /* count class indices for a stratified split, or NULL */
    double validation;    /* share of rows that do not train; halved between select and report */
    uint64_t seed;
} ramify_split_request;

/* Fails with RAMIFY_ERROR_DATA when a side would be empty. Free with ramify_split_destroy. */
ramify_status ramify_split_create(ramify_context *context, const ramify_table *table,
                                  const ramify_split_request *request, ramify_split **split);
void ramify_split_destroy(ramify_context *context, ramify_split **split);

/* Fold of every row of request->rows, 0 .. folds-1, honouring group (equal values in one fold) and
 * time (fold k is later than fold k-1). */
ramify_status ramify_split_folds(ramify_context *context, const ramify_table *table,
                                 const ramify_split_request *request, uint32_t folds,
                                 uint32_t *fold /* count */);

#endif

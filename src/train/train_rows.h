#ifndef RAMIFY_TRAIN_ROWS_H
#define RAMIFY_TRAIN_ROWS_H
/* What a training takes from a table: its schema, and which rows train, choose and judge. */

#include "ramify.h"
#include "schema.h"
#include "split.h"

typedef struct ramify_train_rows {
    ramify_context *context;
    const ramify_table *table; /* borrowed, as are the options */
    const ramify_train_options *options;
    ramify_schema *schema;
    ramify_match *match;
    const ramify_column *weight; /* of rows; NULL: none */
    uint64_t skipped;            /* rows without a target */
    const ramify_split *split;   /* NULL until rows are divided */
    ramify_split *own;           /* what split points to, unless a caller made it */
} ramify_train_rows;

/* What the options ask of a schema. */
ramify_schema_request ramify_train_schema_request(const ramify_train_options *options);

/* Infers the schema from the table. Close with ramify_train_rows_close, also on failure. */
ramify_status ramify_train_rows_open(ramify_context *context, const ramify_table *table,
                                     const ramify_train_options *options, ramify_train_rows *rows);
void ramify_train_rows_close(ramify_train_rows *rows);

/* Whether a row has all targets; one that has is refused where its weight or a target is no good. */
ramify_status ramify_train_rows_check(const ramify_train_rows *rows, size_t row, bool *usable);

/* Of the rows given[count] (ascending; NULL: the first count) those that have all targets, with a
 * warning of the others. usable and labels have room for count: rows, and first targets (classes). */
ramify_status ramify_train_rows_find(ramify_train_rows *rows, const uint32_t *given, size_t count,
                                     uint32_t *usable, double *labels, size_t *found);

/* What the options say of dividing the rows usable[count]; which the request borrows. */
ramify_status ramify_train_rows_request(const ramify_train_rows *rows, const uint32_t *usable,
                                        const double *labels, size_t count,
                                        ramify_split_request *request);

/* Divides rows as the options say. */
ramify_status ramify_train_rows_divide(ramify_train_rows *rows, const uint32_t *given,
                                       size_t count);

/* Takes a division that a caller made of usable rows; borrowed. */
ramify_status ramify_train_rows_adopt(ramify_train_rows *rows, const ramify_split *split);

#endif

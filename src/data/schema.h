#ifndef RAMIFY_DATA_SCHEMA_H
#define RAMIFY_DATA_SCHEMA_H
/* The schema of a model: which columns it takes, what they mean, and what it predicts. It is made
 * from the training table, lives in the model file as JSON, and turns the rows of any later table
 * into *raw rows*: one double per input column, NaN for missing, the category's code for a
 * categorical column. */

#include "ramify.h"
#include "table.h"

#include <jansson.h>

/* Categories that get a code of their own, most frequent first; the rest and unseen ones share the
 * code "other". */
#define RAMIFY_CATEGORIES 32
/* Caps that hold for files from strangers too. */
#define RAMIFY_COLUMNS_MAX 65536
#define RAMIFY_TARGETS_MAX 1024
#define RAMIFY_CLASSES_MAX 4096

typedef struct ramify_schema_column {
    char *name;
    bool categorical;
    uint32_t
        category_count; /* codes 0 .. category_count-1; "other" (and missing) is category_count */
    char **categories;  /* category_count texts; numbers read as categories by their shortest form
                           (%.17g) */
    double low, high;   /* range seen in training rows (numeric) */
    bool missing;       /* training rows had missing values here */
} ramify_schema_column;

typedef struct ramify_schema {
    ramify_task task;
    bool named; /* names come from the user's header: match by name */
    uint32_t column_count;
    ramify_schema_column *columns; /* column_count input columns, in the training table's order */
    uint32_t target_count;
    char **targets;       /* target_count names */
    uint32_t class_count; /* classification: 2 or more */
    char **classes;       /* class_count; sorted as numbers if all are numbers, else bytewise */
} ramify_schema;

typedef struct ramify_schema_request {
    const char *target; /* names separated by commas; required */
    const char *task;   /* NULL = from the target */
    const char *drop;   /* names separated by commas, or NULL; columns not to be used */
    const char *weight, *group, *time; /* columns that are not inputs either (time is none; group
                                          and weight neither), or NULL */
} ramify_schema_request;

/* Makes the schema from the table. Errors: unknown column names, no input column left, a text
 * column as a regression target, one class only, several targets in a classification. Warns about
 * identifier-like columns. Free with ramify_schema_destroy. */
ramify_status ramify_schema_infer(ramify_context *context, const ramify_table *table,
                                  const ramify_schema_request *request, ramify_schema **schema);
void ramify_schema_destroy(ramify_context *context, ramify_schema **schema);

/* JSON form, as it stands in ramify.config under "schema"; the reader trusts nothing. */
ramify_status ramify_schema_to_json(ramify_context *context, const ramify_schema *schema,
                                    json_t **json);
ramify_status ramify_schema_from_json(ramify_context *context, const json_t *json,
                                      ramify_schema **schema);

/* Bytes that a loaded schema holds, for the residency accounting. */
uint64_t ramify_schema_bytes(const ramify_schema *schema);

/* How the columns of one table map to a schema. */
typedef struct ramify_match {
    const ramify_schema *schema;
    const ramify_table *table;
    size_t *columns;  /* column_count table columns */
    size_t *targets;  /* target_count table columns, SIZE_MAX where the table lacks it */
    uint32_t **codes; /* column_count (then 1 for the target of a classification): for a text column
                         table code -> schema code; NULL for numeric */
} ramify_match;

/* Matches by name; by order when table or schema has no names of its own. Refuses missing input
 * columns, text where numbers are needed (naming row and cell); warns about extra columns and
 * unseen categories. With need_targets the targets must be there and their classes known. */
ramify_status ramify_match_create(ramify_context *context, const ramify_schema *schema,
                                  const ramify_table *table, bool need_targets,
                                  ramify_match **match);
void ramify_match_destroy(ramify_context *context, ramify_match **match);

/* Raw rows rows[0 .. count) (NULL: first, first+1, ...) of the table: out[count x column_count]. */
void ramify_match_rows(const ramify_match *match, const uint32_t *rows, size_t first, size_t count,
                       double *out);

/* Target `target` of row `row`: a number, or the class index; NaN when missing. */
double ramify_match_target(const ramify_match *match, uint32_t target, size_t row);

#endif

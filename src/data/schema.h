#ifndef RAMIFY_DATA_SCHEMA_H
#define RAMIFY_DATA_SCHEMA_H
/* The schema of a model: which columns it takes, what they mean, and what it predicts. It is made
 * from the training table, lives in the model file as JSON, and turns the rows of any later table
 * into *raw rows*: one double per input column, NaN for missing, the category's code for a
 * categorical column.
 *
 * schema.c, number.c and text.c are all that predicting from arrays needs; infer.c and match.c look
 * at tables. */

#include "ramify.h"
#include "table.h"

#include <jansson.h>

/* Categories that get a code of their own, most frequent first; the rest and unseen ones share the
 * code "other". */
#define RAMIFY_CATEGORIES 32
/* Caps that hold for files from strangers too (as RAMIFY_COLUMNS_MAX and RAMIFY_NAME_BYTES do). */
#define RAMIFY_TARGETS_MAX 1024
#define RAMIFY_CLASSES_MAX 4096
/* Size of a target's numbers: squares of errors, summed over all rows there can be, stay finite. */
#define RAMIFY_TARGET_MAX 1e140

typedef struct ramify_schema_column {
    char *name;
    bool categorical;
    uint32_t category_count; /* codes 0 .. category_count-1; "other" (and missing) is
                                category_count */
    char **categories;       /* category_count texts, different */
    double low, high; /* range of the numbers in the table, low <= high; 0, 0 of categories */
    bool missing;     /* the table had missing values here */
} ramify_schema_column;

/* One block of memory: what the pointers point to lies behind the struct. */
typedef struct ramify_schema {
    ramify_task task;
    bool named; /* names come from the user's header: match by name */
    uint32_t column_count;
    ramify_schema_column *columns; /* column_count input columns, in the training table's order */
    uint32_t target_count;
    char **targets;       /* target_count names */
    uint32_t class_count; /* classification: 2 or more; else 0 */
    char **classes;       /* class_count; sorted as numbers if all are numbers, else bytewise */
} ramify_schema;

typedef struct ramify_schema_request {
    const char *target; /* names separated by commas; required */
    const char *task;   /* NULL = from the target */
    const char *drop;   /* names separated by commas, or NULL; columns not to be used */
    const char *weight, *group, *time; /* columns that are not inputs either, or NULL */
} ramify_schema_request;

/* Makes the schema from the table. Errors: unknown column names, a column with two roles, no input
 * column left, a text column as a regression target, one class only, several targets in a
 * classification. Warns about identifier-like columns and about columns without any value, which it
 * leaves out. Free with ramify_schema_destroy. */
ramify_status ramify_schema_infer(ramify_context *context, const ramify_table *table,
                                  const ramify_schema_request *request, ramify_schema **schema);
void ramify_schema_destroy(ramify_context *context, ramify_schema **schema);

/* One line about input columns that tell nothing, if there are any. Returns how many. */
uint32_t ramify_schema_warn_of_constants(ramify_context *context, const ramify_table *table,
                                         const ramify_schema *schema);

/* A copy in one block; what `loose` points to may lie anywhere. */
ramify_status ramify_schema_pack(ramify_context *context, const ramify_schema *loose,
                                 ramify_schema **schema);

/* JSON form, as it stands in ramify.config under "schema"; the reader trusts nothing:
 *   {"task": "regression", "named": true,
 *    "columns": [{"name": "temp", "low": -8, "high": 39.5, "missing": false},
 *                {"name": "city", "categories": ["Rome", "Oslo"], "missing": true},
 *                {"name": "c1", "low": 0, "high": 1, "missing": false, "count": 784}],
 *    "targets": ["bikes"], "classes": []}
 * The last entry stands for the 784 columns c1 to c784, which are alike; without `runs` each is
 * written. */
ramify_status ramify_schema_to_json(ramify_context *context, const ramify_schema *schema, bool runs,
                                    json_t **json);
ramify_status ramify_schema_from_json(ramify_context *context,
                                      const char *source /* for messages */, const json_t *json,
                                      ramify_schema **schema);

/* Bytes that a loaded schema holds, for the residency accounting. */
uint64_t ramify_schema_bytes(const ramify_schema *schema);

/* Code of a category in a categorical column: that of the equal text, else of the equal number
 * ("1.0" finds "1"), else "other". */
uint32_t ramify_schema_category(const ramify_schema_column *column, const char *text);

/* Index of the class of this name, by the same rule; UINT32_MAX if there is none. */
uint32_t ramify_schema_class(const ramify_schema *schema, const char *text);

/* Reads a table whose columns a schema is to be matched with, as ramify_table_read_for_model does;
 * schema may be NULL. Does not clear the context. */
ramify_status ramify_table_read_for_schema(ramify_context *context, const char *path,
                                           const ramify_table_options *options,
                                           const ramify_schema *schema, ramify_table **table);

/* How the columns of one table map to a schema. */
typedef struct ramify_match {
    const ramify_schema *schema;
    const ramify_table *table;
    size_t *columns;  /* column_count table columns */
    size_t *targets;  /* target_count table columns, SIZE_MAX where the table lacks it */
    uint32_t **codes; /* column_count, then 1 for the target of a classification: for a text column
                         table code -> schema code; NULL for a column of numbers */
    double **numbers; /* the same count: what the categories or classes are as numbers (NaN if they
                         are none), where the table has numbers; else NULL */
} ramify_match;

/* Matches by name; by order when table or schema has no names of its own (a column c7 of a headerless
 * training table is the seventh). Refuses missing input columns, text where numbers are needed
 * (naming row and cell); warns about extra columns and unseen categories. With need_targets the
 * targets must be there and their classes known. Schema and table are borrowed. Free with
 * ramify_match_destroy. */
ramify_status ramify_match_create(ramify_context *context, const ramify_schema *schema,
                                  const ramify_table *table, bool need_targets,
                                  ramify_match **match);

/* The same for the table that the schema was made from: its targets are needed, and columns that
 * the schema left out (dropped, weight, ...) get no warning. */
ramify_status ramify_match_create_training(ramify_context *context, const ramify_schema *schema,
                                           const ramify_table *table, ramify_match **match);

/* The same for a part of a table (parts.h): cells with unseen categories are counted in unseen[column_count]
 * rather than warned of; of extra columns the first part warns. */
ramify_status ramify_match_create_part(ramify_context *context, const ramify_schema *schema,
                                       const ramify_table *table, bool need_targets,
                                       uint64_t *unseen, ramify_match **match);

/* Warns of what all parts together, of `rows` rows, have counted. */
void ramify_match_warn_unseen(ramify_context *context, const ramify_schema *schema,
                              const char *source, const uint64_t *unseen, uint64_t rows);

/* The same for a table of raw rows: the schema's input columns, then its targets, in their order, with
 * categories and classes as their codes. */
ramify_status ramify_match_create_coded(ramify_context *context, const ramify_schema *schema,
                                        const ramify_table *table, ramify_match **match);

void ramify_match_destroy(ramify_context *context, ramify_match **match);

/* Raw rows rows[0 .. count) (NULL: first, first+1, ...) of the table: out[count x column_count]. */
void ramify_match_rows(const ramify_match *match, const uint32_t *rows, size_t first, size_t count,
                       double *out);

/* The same of input column `column` alone: out[i * stride] of the i-th row. */
void ramify_match_column(const ramify_match *match, uint32_t column, const uint32_t *rows,
                         size_t first, size_t count, double *out, size_t stride);

/* Refuses a number of row `row` that is beyond RAMIFY_TARGET_MAX. */
ramify_status ramify_match_check_targets(ramify_context *context, const ramify_match *match,
                                         size_t row);

/* Target `target` of row `row`: a number, or the class index; NaN when missing, unknown or not in
 * the table. */
double ramify_match_target(const ramify_match *match, uint32_t target, size_t row);

#endif

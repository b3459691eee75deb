#ifndef RAMIFY_DATA_SUMMARY_H
#define RAMIFY_DATA_SUMMARY_H
/* What the schema needs to know of the columns' values, in little space. A summary of a table that is
 * read in parts (parts.h) is merged from those of the parts, and gives the schema that the whole table
 * would have given; and the codes of texts, which each part has numbered for itself.
 *
 *     ramify_summary_create   of each part, after ramify_parts_adopt
 *     ramify_summary_pack     (the blocks of bytes are exchanged)
 *     ramify_summary_merge
 *     ramify_summary_recode   each part's texts have the codes of the whole table's
 *     ramify_summary_infer    the schema, the same for all */

#include "schema.h"

/* What is to be known of a column. */
typedef enum ramify_summary_need {
    RAMIFY_SUMMARY_NOTHING, /* it has no part in the schema */
    RAMIFY_SUMMARY_ANY,     /* whether there is a value: a target of a regression */
    RAMIFY_SUMMARY_CLASSES, /* which values there are: a target of a classification */
    RAMIFY_SUMMARY_INPUT    /* range, or how often each text occurs */
} ramify_summary_need;

typedef struct ramify_summary_column {
    bool any;     /* there is a value; not known of columns of which nothing is needed */
    bool missing; /* INPUT: a value is missing */

    /* INPUT, numbers */
    bool whole;           /* all are there, and whole numbers; the next line tells of these alone */
    bool rising, falling; /* each is greater (less) than the one before it */
    bool different;       /* no two are the same, although neither; of whole tables only */
    double low, high;     /* 0, 0 if there are none */
    double first, last;

    /* texts */
    char **texts; /* text_count, in order of first appearance; the table's */
    uint32_t text_count;
    uint32_t *counts; /* text_count; INPUT: how often each occurs; else NULL */

    /* CLASSES, numbers */
    double *classes; /* class_count, ascending; else NULL */
    uint32_t class_count;
    bool more_classes; /* there are more than RAMIFY_CLASSES_MAX, and these are some */
} ramify_summary_column;

typedef struct ramify_summary {
    uint64_t rows;
    size_t column_count;
    ramify_summary_column *columns; /* column_count */
    ramify_table *texts;            /* owns the texts of a merged one; NULL: they are the table's */
} ramify_summary;

/* Of one column of a table. `whole`: it is no part, and `different` is to be found out. Free with
 * ramify_summary_column_release; texts are borrowed. */
ramify_status ramify_summary_column_make(ramify_context *context, const ramify_table *table,
                                         size_t column, ramify_summary_need need, bool whole,
                                         ramify_summary_column *summary);
void ramify_summary_column_release(ramify_context *context, ramify_summary_column *summary);

/* Adds a value to classes[RAMIFY_CLASSES_MAX]; of two equal ones (0 and -0) the first stays. */
void ramify_summary_add_class(ramify_summary_column *summary, double value);

/* With columns of which nothing is known. */
ramify_status ramify_summary_create_empty(ramify_context *context, size_t columns, uint64_t rows,
                                          ramify_summary **summary);

/* Of a part, for a schema that is asked for so; fails as ramify_schema_infer does where the request
 * names what is not there. The texts are the table's, which must stay. */
ramify_status ramify_summary_create(ramify_context *context, const ramify_table *part,
                                    const ramify_schema_request *request, ramify_summary **summary);
void ramify_summary_destroy(ramify_context *context, ramify_summary **summary);

/* As bytes, to be freed with ramify_release. */
ramify_status ramify_summary_pack(ramify_context *context, const ramify_summary *summary,
                                  void **bytes, size_t *size);

/* Of all parts in their order, from their bytes.
 *   table   one of the parts: what its columns are, every other's are
 *   blocks  part p's at (const char *)blocks + offset[p] up to offset[p + 1] */
ramify_status ramify_summary_merge(ramify_context *context, const ramify_table *table,
                                   const void *blocks, const size_t *offset /* count + 1 */,
                                   size_t count, ramify_summary **summary);

/* Gives a part the texts and codes of the whole table. */
ramify_status ramify_summary_recode(ramify_context *context, const ramify_summary *summary,
                                    ramify_table *part);

/* As ramify_schema_infer does of the whole table, from its merged summary. Columns whose values all
 * differ are warned of where they rise, fall or are texts: what else there is, no part can see.
 *   table  one of the parts: for names and sizes of images */
ramify_status ramify_summary_infer(ramify_context *context, const ramify_table *table,
                                   const ramify_schema_request *request,
                                   const ramify_summary *summary, ramify_schema **schema);

#endif

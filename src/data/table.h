#ifndef RAMIFY_DATA_TABLE_H
#define RAMIFY_DATA_TABLE_H
/* A table in memory: columns of numbers, read through a stride so that borrowed arrays and images
 * are not copied, and columns of texts as codes into a list of distinct texts. */

#include "ramify.h"

/* How the numbers of a column are stored. They keep the type they were read with. */
typedef enum ramify_number {
    RAMIFY_NUMBER_F64,
    RAMIFY_NUMBER_F32,
    RAMIFY_NUMBER_I64,
    RAMIFY_NUMBER_I32,
    RAMIFY_NUMBER_U8,
} ramify_number;

/* Code of a missing text. */
#define RAMIFY_TEXT_MISSING UINT32_MAX

typedef struct ramify_column {
    char *name;
    bool text;

    /* numbers: value r is at (const char *)values + r * stride, times scale */
    ramify_number number;
    const void *values;
    size_t stride; /* bytes */
    double scale;  /* 1, or 1/255 for IDX bytes */

    /* texts: row r has texts[codes[r]]; codes are in order of first appearance */
    uint32_t *codes; /* rows */
    char **texts;    /* text_count */
    uint32_t text_count;
} ramify_column;

struct ramify_table {
    ramify_context *context;
    char *source; /* what messages call the table: the file's name, or "table" */
    size_t rows, column_count;
    ramify_column *columns; /* column_count */
    bool named;             /* false when the names c1 c2 ... are ours */
    uint64_t memory_bytes;  /* what the table holds, for the memory limit */
};

/* Value of a numeric column at `row`; NaN when missing. */
static inline double ramify_column_value(const ramify_column *column, size_t row);

/* Index of the column named `name`, or SIZE_MAX. */
size_t ramify_table_find(const ramify_table *table, const char *name);

/* Bytes that the context allows tables and training to take: options.memory_limit, or what the
 * machine has free. */
uint64_t ramify_memory_limit(const ramify_context *context);

#endif

#ifndef RAMIFY_DATA_TABLE_H
#define RAMIFY_DATA_TABLE_H
/* A table in memory: columns of numbers, read through a stride so that borrowed arrays and images
 * are not copied, and columns of texts as codes into a list of distinct texts.
 *
 * What holds of every table: 1 .. RAMIFY_ROWS_MAX rows, 1 .. RAMIFY_COLUMNS_MAX columns with
 * different names; numbers are finite or NaN (missing); texts are UTF-8 and never a missing token
 * of the text format; every text occurs in some row. A part of a table (parts.h) may have no rows, and
 * its columns texts of other parts. */

#include "ramify.h"

#include <math.h>
#include <string.h>

/* Caps that hold for files from strangers too. Rows are counted in 32 bits everywhere. */
#define RAMIFY_ROWS_MAX    UINT32_MAX
#define RAMIFY_COLUMNS_MAX 262144

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
    uint64_t first_row;           /* rows of the file before these, of a part; else 0 */
    uint64_t all_rows;            /* of the file, of a part that is all that is held here; else 0 */
    bool for_training;            /* read for one training, which may empty it */
    struct ramify_summary *whole; /* of such a part: the whole table's (summary.h); owned */
    ramify_column *columns;       /* column_count */
    bool named;                   /* false when the names c1 c2 ... are ours */
    uint32_t image[3];     /* height, width, channels of the first columns: told, or of an array of
                               three dimensions or four; else zeros */
    uint64_t memory_bytes; /* what the table holds, for the memory limit */

    /* Numbers and texts that the columns point to. Names, codes and the arrays `texts` are blocks
     * of their own, one per column. */
    void **blocks; /* block_count */
    size_t block_count, block_capacity;
};

/* Value of a numeric column at `row`; NaN when missing. Integers beyond 2^53 are rounded. */
static inline double ramify_column_value(const ramify_column *column, size_t row) {
    const char *at = (const char *)column->values + row * column->stride;
    switch (column->number) {
    case RAMIFY_NUMBER_F64: {
        double value;
        memcpy(&value, at, sizeof value);
        return value * column->scale;
    }
    case RAMIFY_NUMBER_F32: {
        float value;
        memcpy(&value, at, sizeof value);
        return (double)value * column->scale;
    }
    case RAMIFY_NUMBER_I64: {
        int64_t value;
        memcpy(&value, at, sizeof value);
        return (double)value * column->scale;
    }
    case RAMIFY_NUMBER_I32: {
        int32_t value;
        memcpy(&value, at, sizeof value);
        return value * column->scale;
    }
    case RAMIFY_NUMBER_U8:
        return *(const uint8_t *)at * column->scale;
    }
    return (double)NAN;
}

/* True when the column has no value, number or text, at `row`. */
static inline bool ramify_column_missing(const ramify_column *column, size_t row) {
    return column->text ? column->codes[row] == RAMIFY_TEXT_MISSING
                        : isnan(ramify_column_value(column, row)) != 0;
}

/* Number of row `row` in the file, from 1, for messages. */
static inline uint64_t ramify_table_row_number(const ramify_table *table, size_t row) {
    return table->first_row + row + 1;
}

/* Frees the rows, and keeps names and sizes: a table of no rows. */
void ramify_table_empty(ramify_table *table);

/* Index of the column with this name (not terminated), or SIZE_MAX. */
size_t ramify_table_find(const ramify_table *table, const char *name, size_t length);

/* The same for a column that --categorical names: one that is not there is an error. */
ramify_status ramify_table_find_categorical(const ramify_table *table, const char *name,
                                            size_t length, size_t *column);

/* Refuses images of other sizes than image[3], height, breadth and channels, where both are known. */
ramify_status ramify_table_check_image(ramify_context *context, const ramify_table *table,
                                       const uint32_t image[3]);

/* As ramify_table_read, from `size` bytes in memory (a file's content, gzip included), which
 * messages call `name`. The bytes may go when it returns. */
ramify_status ramify_table_parse(ramify_context *context, const void *bytes, size_t size,
                                 const char *name, const ramify_table_options *options,
                                 ramify_table **table);

/* Bytes that the context allows tables and training to take: options.memory_limit, or what the
 * machine has free now. */
uint64_t ramify_memory_limit(const ramify_context *context);

#endif

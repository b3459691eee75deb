#ifndef RAMIFY_DATA_PARTS_H
#define RAMIFY_DATA_PARTS_H
/* Reading a table file in parts: several readers take some of its rows each, and none holds it whole.
 * Together they have what one that reads the whole file has: the same numbers, kinds of columns, codes
 * and failures.
 *
 *     1. ramify_parts_open    each reader reads line 1, or an array's header
 *     2. ramify_parts_count   each counts the rows that begin in its range of bytes
 *     3. (the counts are exchanged; ramify_parts_check_rows; who takes which rows is agreed on)
 *     4. ramify_parts_seek    who has counted a range says where in it the rows of another reader begin
 *     5. ramify_parts_read    each reads its rows, and makes a report of what it found
 *     6. (the reports are exchanged)  ramify_parts_merge: the kinds of columns, or the first failure
 *     7. ramify_parts_adopt   columns without values become what the other parts have there
 *     8. summary.h            the summaries are exchanged: schema, and the codes of texts
 *
 * Of text, a row is a line that is not empty; a line break inside a cell is a failure that names it,
 * because a reader cannot tell whether it starts inside a quote. For arrays the same calls work by
 * arithmetic. How anything is exchanged is the caller's affair: what is, are plain numbers and blocks
 * of bytes. Such blocks are read by processes of the same build alone, and are checked nevertheless. */

#include "ramify.h"
#include "schema.h"

typedef struct ramify_parts ramify_parts;

/* A place between lines: where a line begins, or inside one, which then belongs to what is before. */
typedef struct ramify_place {
    uint64_t offset; /* in the file */
    uint64_t row;    /* rows that begin before it */
    uint64_t line;   /* lines that begin before it, line 1 and empty ones too; 0 of arrays */
} ramify_place;

/* Rows and lines that begin in a range. */
typedef struct ramify_part_count {
    uint64_t rows, lines;
} ramify_part_count;

/* What the cells of a column are. */
typedef enum ramify_part_kind {
    RAMIFY_PART_MISSING = 0, /* no cell has a value */
    RAMIFY_PART_NUMBERS = 1,
    RAMIFY_PART_TEXTS = 2
} ramify_part_kind;

/* Opens a file and reads its head; failures are those of ramify_table_read. A file that cannot be
 * read in parts is no failure (see ramify_parts_divisible), and standard input is not touched.
 *   options  as for ramify_table_read; NULL: the defaults. Strings are copied.
 *   schema   what the table is read for, or NULL; borrowed
 * Free with ramify_parts_close. */
ramify_status ramify_parts_open(ramify_context *context, const char *path,
                                const ramify_table_options *options, const ramify_schema *schema,
                                ramify_parts **parts);
void ramify_parts_close(ramify_parts **parts);

/* False for a file that must be read whole, by ramify_table_read_for_schema: *reason (may be NULL) says
 * why, as in "it is compressed". No other call below may then be made. */
bool ramify_parts_divisible(const ramify_parts *parts, const char **reason);

/* Bytes of the file. */
uint64_t ramify_parts_size(const ramify_parts *parts);

/* Bytes of a row where the file is an array, whose rows are known without counting; 0 of text. */
uint64_t ramify_parts_row_bytes(const ramify_parts *parts);

/* The place of the first row. */
ramify_place ramify_parts_first(const ramify_parts *parts);

/* A table of no rows with the names of the columns and the size of images; borrowed. */
const ramify_table *ramify_parts_head(const ramify_parts *parts);

/* Range `index` of `count` ranges that differ by a byte at most and hold all rows: [*begin, *end). */
void ramify_parts_range(const ramify_parts *parts, uint32_t index, uint32_t count, uint64_t *begin,
                        uint64_t *end);

/* Counts what begins in [begin, end), which must lie between the first row and the file's end. Of text
 * this reads the range, and little beyond it. */
ramify_status ramify_parts_count(const ramify_parts *parts, uint64_t begin, uint64_t end,
                                 ramify_part_count *count);

/* The place where row `row` (counted in the whole file from 0, row >= from->row) begins, looked for from
 * `from` on: the beginning of a range, with the rows and lines that were counted before it, or a place
 * that was found. Fails if there is no such row. */
ramify_status ramify_parts_seek(const ramify_parts *parts, const ramify_place *from, uint64_t row,
                                ramify_place *place);

/* Refuses a file that has no rows (allowed with a schema, as in ramify_table_read_for_model) or too
 * many, as reading it whole would. rows: all that were counted. */
ramify_status ramify_parts_check_rows(const ramify_parts *parts, uint64_t rows);

/* Reads rows[count] from `from` on, which is the place of the first of them (any, where count is 0): a
 * table of no more than these, which knows how many rows come before (ramify_table.first_row) for its
 * messages. The memory limit is held against this part.
 *   table        out; free with ramify_table_destroy. NULL after a failure
 *   report       out, also after a failure: what the part tells the others; free with ramify_release.
 *                Only where there was no memory for it, it is NULL
 *   report_size  out; bytes
 * After a failure the sentence of the part stands in the context; what reading the whole file would have
 * failed with may stand earlier, in another part, so readers exchange reports nevertheless. */
ramify_status ramify_parts_read(const ramify_parts *parts, const ramify_place *from, size_t count,
                                ramify_table **table, void **report, size_t *report_size);

/* From the reports of all parts, in order, what the columns of the whole file are. Fails if a part
 * failed, or if two parts do not agree, with the sentence that reading the whole file would have
 * failed with (a failure that the context already has is replaced by it): the same on all readers.
 * Warns of what is likely a mistake, as reading the whole file does.
 *   reports  part p's at (const char *)reports + offset[p] up to offset[p + 1]
 *   kinds    out; one per column of the file */
ramify_status ramify_parts_merge(const ramify_parts *parts, const void *reports,
                                 const size_t *offset /* count + 1 */, size_t count,
                                 ramify_part_kind *kinds);

/* Makes the columns of a part that have no values there what they are in the whole file. */
ramify_status ramify_parts_adopt(const ramify_parts *parts, const ramify_part_kind *kinds,
                                 ramify_table *table);

#endif

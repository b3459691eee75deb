#ifndef RAMIFY_DATA_CSV_H
#define RAMIFY_DATA_CSV_H
/* What those who read text share: csv_head.c reads line 1 and knows what is said of cells that do not
 * agree; csv.c reads rows, of the whole file or of a part of it. */

#include "build.h"
#include "bytes.h"
#include "cells.h"
#include "parts.h"

/* ---- line 1 ---- */

/* What line 1 tells; all rows are read by it. */
typedef struct ramify_csv_head {
    ramify_table *table; /* names, and no rows */
    char delimiter;
    uint64_t first_line; /* of the first record */
    uint64_t next_line;  /* of the first row, or of empty lines before it */
    uint64_t offset;     /* of that line in the file */
    char doubt[96];      /* why "auto" took line 1 for no header; "" otherwise */
} ramify_csv_head;

/* Reads line 1 of a text, from its beginning, and leaves the cursor behind the header. The table is the
 * caller's, also after a failure. column_bytes: what the reader will take for each column besides. */
ramify_status ramify_csv_head_read(ramify_cells *cells, const ramify_table_options *options,
                                   ramify_budget *budget, size_t column_bytes,
                                   ramify_csv_head *head);

/* ---- cells that do not agree ---- */

/* A text where other cells of the column are numbers: what a message tells of it. */
typedef struct ramify_csv_odd {
    uint64_t line;
    bool infinite;      /* inf, or a number that is too large */
    bool decimal_comma; /* 1,5 and the like */
    char excerpt[RAMIFY_EXCERPT_BYTES];
} ramify_csv_odd;

ramify_csv_odd ramify_csv_odd_make(uint64_t line, const char *text, size_t length);

/* Column `column` holds numbers, and this: the sentence says what is wrong with it. */
ramify_status ramify_csv_fail_mixed(const ramify_csv_head *head, const ramify_schema *schema,
                                    size_t column, const ramify_csv_odd *odd);

/* Refuses a table that has a header and nothing else. */
ramify_status ramify_csv_fail_empty(const ramify_table *table);

/* Warns that a column of texts looks like numbers with a decimal comma. */
void ramify_csv_warn_of_comma(const ramify_table *table, size_t column);

/* ---- rows ---- */

/* Reads the rows of a whole text: ramify_csv_read in build.h. The same of a part of one: `count` rows
 * from line `line` on, at whose beginning the stream stands. `report` receives what ramify_parts_merge
 * reads, also after a failure. */
ramify_status ramify_csv_read_part(ramify_input *input, const ramify_csv_head *head,
                                   const ramify_table_options *options, const ramify_schema *schema,
                                   ramify_budget *budget, const ramify_place *from, size_t count,
                                   ramify_bytes *report, ramify_table **table);

/* ---- reports: parts_report.c ---- */

/* Where a failure was noticed. Of two, the whole file's reader would have met the one with the lesser
 * `major`, then the lesser `minor`: line and column of text, column and row of arrays. */
typedef struct ramify_report_failure {
    uint64_t major, minor;
    uint32_t status; /* a ramify_status, whose sentence stands in the context */
    uint32_t mixed;  /* 1: it is that two cells of column `minor` do not agree */
} ramify_report_failure;

/* A report is: the failure, then each column in turn (none if the failure came before them). `odd` is
 * the first cell with a value, where it is a text and one may be told of it; else NULL. */
void ramify_report_begin(ramify_bytes *report, const ramify_report_failure *failure,
                         size_t columns);
void ramify_report_column(ramify_bytes *report, ramify_part_kind kind, uint64_t line,
                          const ramify_csv_odd *odd);

#endif

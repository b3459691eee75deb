/* The rows of text tables. Line 1 gives the columns; then every cell goes straight to its column's array:
 *
 *     numeric      float64, NaN where missing
 *     categorical  a code into the column's dictionary
 *     not known    nothing yet: all cells so far are missing
 *
 * The first cell that is not missing decides what a column is; one that does not agree ends the
 * reading. Arrays grow to the number of rows that the part read so far lets expect, so a file whose
 * size is known is copied about once, and no column is held twice but the one that is growing. Of a part
 * of a file the rows are counted before. */

#include "csv.h"
#include "memory.h"
#include "number.h"
#include "progress.h"
#include "status.h"

#include <inttypes.h>

/* Rows of the first arrays: between these, and no more than the bytes read can hold. */
#define ROWS_FIRST_LEAST 16
#define ROWS_FIRST_MOST  4096

typedef enum column_kind { KIND_UNKNOWN, KIND_NUMBER, KIND_TEXT } column_kind;

typedef struct csv_column {
    column_kind kind;
    bool forced;     /* --categorical: numbers are texts too */
    double *values;  /* capacity; KIND_NUMBER */
    uint32_t *codes; /* capacity; KIND_TEXT */
    ramify_dictionary texts;
    uint64_t line;       /* of the first cell that is not missing; 0: all are */
    ramify_csv_odd *odd; /* that cell, of KIND_TEXT */
} csv_column;

typedef struct csv_reader {
    ramify_context *context;
    ramify_cells cells;
    ramify_budget *budget;
    const ramify_csv_head *head;
    ramify_table *table;
    csv_column *columns; /* table->column_count */
    size_t rows, capacity;
    bool part;                   /* there are just `capacity` rows to read, and more may follow */
    const ramify_schema *schema; /* that the table is read for, or NULL */
    ramify_report_failure failure;
} csv_reader;

/* ---- failures ---- */

/* Column c has a number and a text: the sentence is about the text. */
static ramify_status fail_mixed(csv_reader *r, size_t c, const ramify_csv_odd *odd) {
    r->failure.mixed = 1;
    return ramify_csv_fail_mixed(r->head, r->schema, c, odd);
}

static ramify_status fail_ragged(csv_reader *r, uint64_t line, size_t found) {
    return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                       "%s:%" PRIu64 ": %zu cells, where line %" PRIu64
                       " has %zu (cells are taken to be "
                       "separated by %s: give another --delimiter, or check the quotes)",
                       r->cells.input->name, line, found, r->head->first_line,
                       r->table->column_count, ramify_cells_delimiter_name(&r->cells));
}

/* ---- columns ---- */

static ramify_status mark_categorical(csv_reader *r, const char *list) {
    const char *name;
    size_t length;
    while (ramify_list_next(&list, &name, &length)) {
        size_t c;
        RAMIFY_TRY(ramify_table_find_categorical(r->table, name, length, &c));
        r->columns[c].forced = true;
    }
    return RAMIFY_OK;
}

static ramify_status make_columns(csv_reader *r, const char *categorical) {
    r->columns = ramify_allocate_zeroed(r->context, r->table->column_count, sizeof *r->columns);
    if (!r->columns)
        return RAMIFY_ERROR_MEMORY;
    return mark_categorical(r, categorical);
}

/* ---- room for rows ---- */

static uint64_t row_bytes(const csv_reader *r) {
    uint64_t bytes = 0;
    for (size_t c = 0; c < r->table->column_count; c++)
        bytes += r->columns[c].kind == KIND_TEXT ? sizeof(uint32_t) : sizeof(double);
    return bytes;
}

/* Rows to expect in the whole file; 0 if its size is not known. */
static uint64_t expected_rows(const csv_reader *r) {
    const ramify_input *input = r->cells.input;
    uint64_t used = ramify_input_used(input);
    if (input->size == 0 || used == 0 || r->cells.passed == 0)
        return 0;
    double bytes = (double)r->cells.read / (double)used * (double)input->size;
    double rows = bytes / (double)r->cells.passed * (double)r->rows;
    return rows < (double)RAMIFY_ROWS_MAX ? (uint64_t)rows : RAMIFY_ROWS_MAX;
}

static ramify_status resize_columns(csv_reader *r, size_t capacity) {
    for (size_t c = 0; c < r->table->column_count; c++) {
        csv_column *column = &r->columns[c];
        if (column->values) {
            double *values =
                ramify_reallocate(r->context, column->values, capacity, sizeof *values);
            if (!values)
                return RAMIFY_ERROR_MEMORY;
            column->values = values;
        }
        if (column->codes) {
            uint32_t *codes = ramify_reallocate(r->context, column->codes, capacity, sizeof *codes);
            if (!codes)
                return RAMIFY_ERROR_MEMORY;
            column->codes = codes;
        }
    }
    r->capacity = capacity;
    return RAMIFY_OK;
}

static ramify_status grow(csv_reader *r) {
    if (r->rows == RAMIFY_ROWS_MAX)
        return ramify_fail(r->context, RAMIFY_ERROR_LIMIT,
                           "%s:%" PRIu64 ": a table has at most %" PRIu32 " rows",
                           r->cells.input->name, r->cells.line, RAMIFY_ROWS_MAX);
    uint64_t each = row_bytes(r);
    uint64_t others = r->budget->used - r->capacity * each;
    uint64_t most = each > 0 ? (r->budget->limit - others) / each : 0; /* a table has columns */
    uint64_t expected = expected_rows(r);
    /* An estimate is some percent off: one that is well above the limit refuses at once, others
     * when the limit is reached. */
    if (expected / 5 * 4 > most || most <= r->rows)
        return ramify_budget_refuse(r->budget,
                                    others + (expected > r->rows ? expected : r->rows + 1) * each);
    uint64_t capacity = 2 * (uint64_t)r->rows;
    if (expected > 0) {
        capacity = expected + expected / 32 + 64;
        if (capacity < r->rows + r->rows / 8 + 64)
            capacity = r->rows + r->rows / 8 + 64;
    }
    if (capacity > most)
        capacity = most;
    if (capacity > RAMIFY_ROWS_MAX)
        capacity = RAMIFY_ROWS_MAX;
    RAMIFY_TRY(ramify_budget_take(r->budget, (capacity - r->capacity) * each));
    return resize_columns(r, (size_t)capacity);
}

/* ---- cells ---- */

/* Makes the array of a column whose kind is now known; all rows before this one are missing. The
 * budget counts a column as numbers from the start. */
static ramify_status settle(csv_reader *r, csv_column *column, column_kind kind, uint64_t line) {
    column->line = line;
    if (kind == KIND_NUMBER) {
        column->values = ramify_allocate(r->context, r->capacity, sizeof *column->values);
        if (!column->values)
            return RAMIFY_ERROR_MEMORY;
        for (size_t i = 0; i < r->rows; i++)
            column->values[i] = (double)NAN;
    } else {
        column->codes = ramify_allocate(r->context, r->capacity, sizeof *column->codes);
        if (!column->codes)
            return RAMIFY_ERROR_MEMORY;
        for (size_t i = 0; i < r->rows; i++)
            column->codes[i] = RAMIFY_TEXT_MISSING;
        r->budget->used -= r->capacity * (uint64_t)(sizeof *column->values - sizeof *column->codes);
    }
    column->kind = kind;
    return RAMIFY_OK;
}

/* Stores a cell that is not a plain number in a column of numbers; `line` is where it begins. */
static ramify_status store(csv_reader *r, size_t c, uint64_t line, const char *text,
                           size_t length) {
    csv_column *column = &r->columns[c];
    if (ramify_number_missing(text, length)) {
        if (column->kind == KIND_NUMBER)
            column->values[r->rows] = (double)NAN;
        else if (column->kind == KIND_TEXT)
            column->codes[r->rows] = RAMIFY_TEXT_MISSING;
        return RAMIFY_OK;
    }
    double value;
    if (!column->forced && ramify_number_parse(text, length, &value)) {
        if (column->kind == KIND_TEXT)
            return fail_mixed(r, c, column->odd);
        if (column->kind == KIND_UNKNOWN)
            RAMIFY_TRY(settle(r, column, KIND_NUMBER, line));
        column->values[r->rows] = value;
        return RAMIFY_OK;
    }
    if (column->kind == KIND_NUMBER) {
        ramify_csv_odd odd = ramify_csv_odd_make(line, text, length);
        return fail_mixed(r, c, &odd);
    }
    if (column->kind == KIND_UNKNOWN) {
        column->odd = ramify_allocate(r->context, 1, sizeof *column->odd);
        if (!column->odd)
            return RAMIFY_ERROR_MEMORY;
        *column->odd = ramify_csv_odd_make(line, text, length);
        RAMIFY_TRY(settle(r, column, KIND_TEXT, line));
    }
    if (!ramify_text_valid(text, length)) {
        char name[RAMIFY_EXCERPT_BYTES];
        const char *full = r->table->columns[c].name;
        return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": the text is not valid UTF-8 (convert "
                           "the file, for example with iconv)",
                           r->cells.input->name, line,
                           ramify_text_excerpt(full, strlen(full), name));
    }
    return ramify_dictionary_code(&column->texts, r->table, r->budget, text, length,
                                  &column->codes[r->rows]);
}

/* Counts on to the end of a record that has too many cells. */
static ramify_cell_end count_surplus(csv_reader *r, const char **at, size_t *found) {
    ramify_cell_end end;
    do {
        const char *text;
        size_t length;
        end = ramify_cells_next(&r->cells, at, &text, &length);
        ++*found;
    } while (end == RAMIFY_CELL_DELIMITER);
    return end;
}

/* Reads the record at cursor into row `rows`. RAMIFY_CELL_LINE: done; RAMIFY_CELL_CUT: not all of
 * it is in the buffer. */
static ramify_cell_end read_record(csv_reader *r) {
    ramify_cells *cells = &r->cells;
    const char *at = ramify_cells_begin(cells);
    size_t columns = r->table->column_count, found = 0;
    ramify_cell_end end = RAMIFY_CELL_DELIMITER;
    while (found < columns && end == RAMIFY_CELL_DELIMITER) {
        csv_column *column = &r->columns[found];
        /* Nearly every cell of nearly every table: a number between delimiters. */
        if (column->kind == KIND_NUMBER) {
            const char *p = ramify_cells_skip_blanks(cells, at);
            p = ramify_number_scan(p, &column->values[r->rows]);
            end = p ? ramify_cells_stop(cells, &p) : RAMIFY_CELL_TEXT;
            if (end != RAMIFY_CELL_TEXT) {
                at = p;
                found++;
                continue;
            }
        }
        const char *text;
        size_t length;
        uint64_t line = cells->cell_line;
        end = ramify_cells_next(cells, &at, &text, &length);
        r->failure.minor = found;
        if (end == RAMIFY_CELL_CUT || end == RAMIFY_CELL_BAD)
            return end;
        if (store(r, found, line, text, length) != RAMIFY_OK)
            return RAMIFY_CELL_BAD;
        found++;
    }
    r->failure.minor = columns; /* all cells are what they should be */
    if (end == RAMIFY_CELL_DELIMITER)
        end = count_surplus(r, &at, &found);
    if (end != RAMIFY_CELL_LINE)
        return end;
    if (found != columns) {
        fail_ragged(r, cells->line, found);
        return RAMIFY_CELL_BAD;
    }
    ramify_cells_finish(cells, at);
    return RAMIFY_CELL_LINE;
}

static ramify_status read_rows(csv_reader *r) {
    const ramify_input *input = r->cells.input;
    RAMIFY_TRY(ramify_budget_take(r->budget, r->capacity * row_bytes(r)));
    while (!r->part || r->rows < r->capacity) {
        ramify_cell_end end = ramify_cells_skip_empty(&r->cells);
        if (end == RAMIFY_CELL_LINE)
            return RAMIFY_OK;
        if (end == RAMIFY_CELL_TEXT) {
            if (r->rows == r->capacity)
                RAMIFY_TRY(grow(r));
            end = read_record(r);
        }
        if (end == RAMIFY_CELL_LINE)
            r->rows++;
        else if (end == RAMIFY_CELL_BAD)
            return ramify_recorded_status(r->context);
        if (end != RAMIFY_CELL_CUT)
            continue;
        RAMIFY_TRY(ramify_cells_fill(&r->cells));
        if (r->part)
            ramify_progress_report(r->context, "reading", (double)r->rows, (double)r->capacity);
        else
            ramify_progress_report(r->context, "reading", (double)ramify_input_used(input),
                                   (double)input->size);
        if (ramify_cancelled(r->context))
            return ramify_fail(r->context, RAMIFY_STOPPED, "stopped while reading %s", input->name);
    }
    return RAMIFY_OK;
}

/* ---- the table ---- */

static ramify_status finish_column(csv_reader *r, size_t c) {
    csv_column *from = &r->columns[c];
    ramify_column *to = &r->table->columns[c];
    to->scale = 1.0;
    if (from->kind == KIND_TEXT) {
        if (!r->part && !from->forced && from->odd->decimal_comma)
            ramify_csv_warn_of_comma(r->table, c);
        ramify_dictionary_finish(&from->texts, r->context, to, from->codes);
        from->codes = NULL;
        return RAMIFY_OK;
    }
    if (from->kind == KIND_UNKNOWN) /* nothing but missing values */
        RAMIFY_TRY(settle(r, from, KIND_NUMBER, 0));
    double *values = from->values;
    from->values = NULL;
    to->number = RAMIFY_NUMBER_F64;
    to->values = values;
    to->stride = sizeof *values;
    return ramify_table_own(r->table, values);
}

static ramify_status finish(csv_reader *r) {
    r->table->rows = r->rows;
    for (size_t c = 0; c < r->table->column_count; c++)
        RAMIFY_TRY(finish_column(r, c));
    return RAMIFY_OK;
}

static void release_columns(csv_reader *r) {
    if (!r->columns)
        return;
    for (size_t c = 0; c < r->table->column_count; c++) {
        ramify_release(r->context, r->columns[c].values);
        ramify_release(r->context, r->columns[c].codes);
        ramify_release(r->context, r->columns[c].odd);
        ramify_dictionary_destroy(&r->columns[c].texts, r->context);
    }
    ramify_release(r->context, r->columns);
}

static ramify_status end_reader(csv_reader *r, ramify_status status, ramify_table **table) {
    release_columns(r);
    ramify_cells_close(&r->cells);
    if (status == RAMIFY_OK)
        *table = r->table;
    else
        ramify_table_destroy(&r->table);
    return status;
}

/* ---- the whole file ---- */

static ramify_status read_whole(csv_reader *r, const ramify_table_options *options,
                                ramify_csv_head *head) {
    ramify_status status =
        ramify_csv_head_read(&r->cells, options, r->budget, sizeof *r->columns, head);
    r->table = head->table;
    RAMIFY_TRY(status);
    RAMIFY_TRY(make_columns(r, options->categorical));
    size_t rows = (size_t)(r->cells.end - r->cells.cursor) / (2 * r->table->column_count);
    r->capacity = rows < ROWS_FIRST_LEAST  ? ROWS_FIRST_LEAST
                  : rows > ROWS_FIRST_MOST ? ROWS_FIRST_MOST
                                           : rows;
    RAMIFY_TRY(read_rows(r));
    if (r->rows == 0 && !r->schema)
        return ramify_csv_fail_empty(r->table);
    if (r->rows > 0 && r->capacity - r->rows > r->rows / 8) {
        r->budget->used -= (r->capacity - r->rows) * row_bytes(r);
        RAMIFY_TRY(resize_columns(r, r->rows));
    }
    return finish(r);
}

ramify_status ramify_csv_read(ramify_input *input, const ramify_table_options *options,
                              const ramify_schema *schema, ramify_budget *budget,
                              ramify_table **table) {
    ramify_csv_head head = {0};
    csv_reader r = {.context = input->context, .budget = budget, .schema = schema, .head = &head};
    ramify_status status = ramify_cells_open(input, &r.cells);
    if (status == RAMIFY_OK)
        status = read_whole(&r, options, &head);
    return end_reader(&r, status, table);
}

/* ---- a part ---- */

static ramify_status read_part(csv_reader *r, const ramify_table_options *options) {
    size_t columns = r->table->column_count;
    RAMIFY_TRY(
        ramify_budget_take(r->budget, columns * (sizeof *r->columns + sizeof *r->table->columns)));
    RAMIFY_TRY(make_columns(r, options->categorical));
    RAMIFY_TRY(read_rows(r));
    if (r->rows == r->capacity)
        return finish(r);
    return ramify_fail(r->context, RAMIFY_ERROR_IO,
                       "%s:%" PRIu64 ": the file ends here, which it did not when its rows were "
                       "counted (it must not change while it is read)",
                       r->cells.input->name, r->cells.line);
}

static void report_columns(const csv_reader *r, ramify_bytes *report) {
    ramify_report_begin(report, &r->failure, r->columns ? r->table->column_count : 0);
    for (size_t c = 0; r->columns && c < r->table->column_count; c++) {
        const csv_column *column = &r->columns[c];
        /* A column without values has been made one of numbers, and its first cell has no line. */
        ramify_part_kind kind = column->line == 0           ? RAMIFY_PART_MISSING
                                : column->kind == KIND_TEXT ? RAMIFY_PART_TEXTS
                                                            : RAMIFY_PART_NUMBERS;
        ramify_report_column(report, kind, column->line, column->forced ? NULL : column->odd);
    }
}

ramify_status ramify_csv_read_part(ramify_input *input, const ramify_csv_head *head,
                                   const ramify_table_options *options, const ramify_schema *schema,
                                   ramify_budget *budget, const ramify_place *from, size_t count,
                                   ramify_bytes *report, ramify_table **table) {
    csv_reader r = {.context = input->context,
                    .budget = budget,
                    .schema = schema,
                    .head = head,
                    .part = true,
                    .capacity = count};
    ramify_status status =
        ramify_cells_open_inside(input, head->delimiter, from->line + 1, &r.cells);
    if (status == RAMIFY_OK)
        status = ramify_table_copy_names(head->table, &r.table);
    if (status == RAMIFY_OK) {
        r.table->first_row = from->row;
        status = read_part(&r, options);
    }
    if (status != RAMIFY_OK) {
        r.failure.status = status;
        r.failure.major = r.cells.line;
    }
    report_columns(&r, report);
    return end_reader(&r, status, table);
}

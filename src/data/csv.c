/* Text tables. Line 1 gives the columns; then every cell goes straight to its column's array:
 *
 *     numeric      float64, NaN where missing
 *     categorical  a code into the column's dictionary
 *     not known    nothing yet: all cells so far are missing
 *
 * The first cell that is not missing decides what a column is; one that does not agree ends the
 * reading. Arrays grow to the number of rows that the part read so far lets expect, so a file whose
 * size is known is copied about once, and no column is held twice but the one that is growing. */

#include "build.h"
#include "cells.h"
#include "memory.h"
#include "number.h"
#include "progress.h"
#include "status.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

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
    uint64_t text_line; /* where texts[0] stands: the first cell that is not a number */
} csv_column;

typedef struct csv_reader {
    ramify_context *context;
    ramify_cells cells;
    ramify_budget *budget;
    ramify_table *table;
    csv_column *columns; /* table->column_count */
    size_t rows, capacity;
    uint64_t first_line;         /* of the first record */
    const ramify_schema *schema; /* that the table is read for, or NULL */
    char header_doubt[96];       /* why "auto" took line 1 for no header; "" otherwise */
} csv_reader;

/* ---- messages ---- */

/* True for 1,5 and the like: a number with a decimal comma. */
static bool has_decimal_comma(const char *text, size_t length) {
    char copy[32];
    const char *comma = memchr(text, ',', length);
    double value;
    if (!comma || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    copy[comma - text] = '.';
    return ramify_number_parse(copy, length, &value);
}

/* True for inf, infinity and numbers that are too large. */
static bool is_infinite_word(const char *text, size_t length) {
    if (length > 0 && (*text == '-' || *text == '+')) {
        text++;
        length--;
    }
    const char *word = "infinity";
    if (length == 3 || length == 8) {
        size_t same = 0;
        while (same < length && tolower((unsigned char)text[same]) == word[same])
            same++;
        if (same == length)
            return true;
    }
    bool digits = length > 0;
    for (size_t i = 0; i < length && digits; i++)
        digits = isdigit((unsigned char)text[i]) || memchr(".eE+-", text[i], 5);
    return digits && isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[length - 1]);
}

/* Whether the schema that the table is read for takes numbers from this column, or as a target. */
static bool takes_numbers(const csv_reader *r, size_t c) {
    const ramify_schema *schema = r->schema;
    const char *name = r->table->columns[c].name;
    if (schema && !(schema->named && r->table->named))
        return c < schema->column_count && !schema->columns[c].categorical;
    for (uint32_t i = 0; schema && i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0)
            return !schema->columns[i].categorical;
    for (uint32_t i = 0; schema && i < schema->target_count; i++)
        if (strcmp(schema->targets[i], name) == 0)
            return schema->task == RAMIFY_TASK_REGRESSION;
    return false;
}

/* The column holds numbers, and this: the sentence says what is wrong with it. */
static ramify_status fail_mixed(const csv_reader *r, size_t c, uint64_t line, const char *text,
                                size_t length) {
    char excerpt[RAMIFY_EXCERPT_BYTES], name[RAMIFY_EXCERPT_BYTES];
    const char *column = r->table->columns[c].name;
    ramify_text_excerpt(column, strlen(column), name);
    ramify_text_excerpt(text, length, excerpt);
    const char *doubt = line == r->first_line ? r->header_doubt : "";
    if (is_infinite_word(text, length))
        return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a finite number (leave "
                           "the cell empty if the value is missing%s)",
                           r->cells.input->name, line, name, excerpt, doubt);
    if (has_decimal_comma(text, length))
        return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a number (write numbers "
                           "with a decimal point%s)",
                           r->cells.input->name, line, name, excerpt, doubt);
    if (takes_numbers(r, c))
        return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a number, and the model "
                           "takes numbers here (leave the cell empty if the value is missing%s)",
                           r->cells.input->name, line, name, excerpt, doubt);
    return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                       "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a number (use --categorical "
                       "%s to treat it as a category%s)",
                       r->cells.input->name, line, name, excerpt, name, doubt);
}

static ramify_status fail_ragged(csv_reader *r, uint64_t line, size_t found) {
    return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                       "%s:%" PRIu64 ": %zu cells, where line %" PRIu64
                       " has %zu (cells are taken to be "
                       "separated by %s: give another --delimiter, or check the quotes)",
                       r->cells.input->name, line, found, r->first_line, r->table->column_count,
                       ramify_cells_delimiter_name(&r->cells));
}

/* ---- line 1 ---- */

/* Counts the cells of the record at cursor, reading on until all of it is there. */
static ramify_status count_cells(ramify_cells *cells, size_t *count) {
    for (;;) {
        const char *at = ramify_cells_begin(cells), *text;
        size_t length;
        ramify_cell_end end = RAMIFY_CELL_DELIMITER;
        for (*count = 0; end == RAMIFY_CELL_DELIMITER; ++*count)
            end = ramify_cells_next(cells, &at, &text, &length);
        if (end == RAMIFY_CELL_LINE)
            return RAMIFY_OK;
        if (end == RAMIFY_CELL_BAD)
            return ramify_recorded_status(cells->input->context);
        RAMIFY_TRY(ramify_cells_fill(cells));
    }
}

/* Whether the names (columns of them, one behind the other in `names`) are a header; if not, why. */
static bool looks_like_header(csv_reader *r, const char *const *names) {
    size_t columns = r->table->column_count;
    for (size_t c = 0; c < columns; c++) {
        double value;
        size_t length = strlen(names[c]);
        bool number = ramify_number_parse(names[c], length, &value);
        if (number || ramify_number_missing(names[c], length)) {
            snprintf(r->header_doubt, sizeof r->header_doubt,
                     "; line %" PRIu64 " is no header because its cell %zu is %s: see --header",
                     r->first_line, c + 1, number ? "a number" : "empty");
            return false;
        }
    }
    return true;
}

/* The same for names that must differ; `sorted` is scratch. */
static bool all_differ(csv_reader *r, const char *const *names, ramify_name *sorted) {
    size_t columns = r->table->column_count;
    for (size_t c = 0; c < columns; c++)
        sorted[c] = (ramify_name){.text = names[c], .index = c};
    ramify_names_sort(sorted, columns);
    const ramify_name *twice = ramify_names_duplicate(sorted, columns);
    if (!twice)
        return true;
    snprintf(r->header_doubt, sizeof r->header_doubt,
             "; line %" PRIu64 " is no header because its cell %zu repeats another: see --header",
             r->first_line, twice->index + 1);
    return false;
}

static ramify_status name_columns(csv_reader *r, const char *const *names) {
    for (size_t c = 0; c < r->table->column_count; c++) {
        char number[32];
        const char *name = names[c];
        if (*name == '\0') { /* such as the index that pandas writes */
            snprintf(number, sizeof number, "c%zu", c + 1);
            name = number;
        }
        RAMIFY_TRY(ramify_table_set_name(r->table, c, name, strlen(name)));
    }
    r->table->named = true;
    return ramify_table_check_names(r->table);
}

/* Copies the cells of line 1, each with its '\0', to `copy`; sets names[] and what follows. */
static ramify_status copy_first_line(csv_reader *r, char *copy, const char **names,
                                     const char **next) {
    const char *at = ramify_cells_begin(&r->cells), *text;
    for (size_t c = 0; c < r->table->column_count; c++) {
        size_t length;
        if (ramify_cells_next(&r->cells, &at, &text, &length) == RAMIFY_CELL_BAD)
            return ramify_recorded_status(r->context);
        memcpy(copy, text, length);
        copy[length] = '\0';
        names[c] = copy;
        copy += length + 1;
    }
    *next = at;
    return RAMIFY_OK;
}

/* Decides whether line 1 is a header, names the columns, and leaves the cursor at the first row. */
static ramify_status read_header(csv_reader *r, ramify_header header) {
    size_t columns = r->table->column_count;
    /* No cell is longer than its source, and each ends one byte before the next one begins. */
    size_t bytes = (size_t)(r->cells.end - r->cells.cursor) + columns + 1;
    char *copy = ramify_allocate(r->context, bytes, 1);
    const char **names = ramify_allocate(r->context, columns, sizeof *names);
    ramify_name *sorted = ramify_allocate(r->context, columns, sizeof *sorted);
    ramify_status status = copy && names && sorted ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    const char *next = NULL;
    if (status == RAMIFY_OK)
        status = copy_first_line(r, copy, names, &next);
    if (status == RAMIFY_OK) {
        if (header == RAMIFY_HEADER_AUTO && looks_like_header(r, names) &&
            all_differ(r, names, sorted))
            header = RAMIFY_HEADER_YES;
        if (header == RAMIFY_HEADER_YES) {
            status = name_columns(r, names);
            ramify_cells_finish(&r->cells, next);
        } else {
            status = ramify_table_number_columns(r->table);
        }
    }
    ramify_release(r->context, copy);
    ramify_release(r->context, names);
    ramify_release(r->context, sorted);
    return status;
}

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

static ramify_status begin(csv_reader *r, const ramify_table_options *options) {
    ramify_cells *cells = &r->cells;
    RAMIFY_TRY(ramify_cells_find_delimiter(cells, options->delimiter));
    ramify_cell_end end;
    while ((end = ramify_cells_skip_empty(cells)) == RAMIFY_CELL_CUT)
        RAMIFY_TRY(ramify_cells_fill(cells));
    if (end == RAMIFY_CELL_LINE)
        return ramify_fail(r->context, RAMIFY_ERROR_DATA, "%s: the file has only empty lines",
                           cells->input->name);
    r->first_line = cells->line;
    size_t columns;
    RAMIFY_TRY(count_cells(cells, &columns));
    if (columns > RAMIFY_COLUMNS_MAX)
        return ramify_fail(r->context, RAMIFY_ERROR_LIMIT,
                           "%s:%" PRIu64 ": %zu columns are more than the %d allowed",
                           cells->input->name, r->first_line, columns, RAMIFY_COLUMNS_MAX);
    RAMIFY_TRY(
        ramify_budget_take(r->budget, columns * (sizeof *r->columns + sizeof *r->table->columns)));
    RAMIFY_TRY(ramify_table_create(r->context, cells->input->name, 0, columns, &r->table));
    r->columns = ramify_allocate_zeroed(r->context, columns, sizeof *r->columns);
    if (!r->columns)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(read_header(r, options->header));
    RAMIFY_TRY(mark_categorical(r, options->categorical));
    size_t rows = (size_t)(cells->end - cells->cursor) / (2 * columns);
    r->capacity = rows < ROWS_FIRST_LEAST  ? ROWS_FIRST_LEAST
                  : rows > ROWS_FIRST_MOST ? ROWS_FIRST_MOST
                                           : rows;
    return RAMIFY_OK;
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
static ramify_status settle(csv_reader *r, csv_column *column, column_kind kind) {
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
            return fail_mixed(r, c, column->text_line, column->texts.texts[0],
                              strlen(column->texts.texts[0]));
        if (column->kind == KIND_UNKNOWN)
            RAMIFY_TRY(settle(r, column, KIND_NUMBER));
        column->values[r->rows] = value;
        return RAMIFY_OK;
    }
    if (column->kind == KIND_NUMBER)
        return fail_mixed(r, c, line, text, length);
    if (column->kind == KIND_UNKNOWN) {
        RAMIFY_TRY(settle(r, column, KIND_TEXT));
        column->text_line = line;
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
        if (end == RAMIFY_CELL_CUT || end == RAMIFY_CELL_BAD)
            return end;
        if (store(r, found, line, text, length) != RAMIFY_OK)
            return RAMIFY_CELL_BAD;
        found++;
    }
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
    for (;;) {
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
        ramify_progress_report(r->context, "reading", (double)ramify_input_used(input),
                               (double)input->size);
        if (ramify_cancelled(r->context))
            return ramify_fail(r->context, RAMIFY_STOPPED, "stopped while reading %s", input->name);
    }
}

/* ---- the table ---- */

static ramify_status finish_column(csv_reader *r, size_t c) {
    csv_column *from = &r->columns[c];
    ramify_column *to = &r->table->columns[c];
    to->scale = 1.0;
    if (from->kind == KIND_TEXT) {
        if (!from->forced && has_decimal_comma(from->texts.texts[0], strlen(from->texts.texts[0])))
            ramify_log(r->context, RAMIFY_LOG_WARNING,
                       "%s: column \"%s\" looks like numbers with a decimal comma, but is read as "
                       "categories (write numbers with a decimal point)",
                       r->cells.input->name, to->name);
        ramify_dictionary_finish(&from->texts, r->context, to, from->codes);
        from->codes = NULL;
        return RAMIFY_OK;
    }
    if (from->kind == KIND_UNKNOWN) /* nothing but missing values */
        RAMIFY_TRY(settle(r, from, KIND_NUMBER));
    double *values = from->values;
    from->values = NULL;
    to->number = RAMIFY_NUMBER_F64;
    to->values = values;
    to->stride = sizeof *values;
    return ramify_table_own(r->table, values);
}

static ramify_status finish(csv_reader *r) {
    if (r->rows == 0 && !r->schema)
        return ramify_fail(
            r->context, RAMIFY_ERROR_DATA,
            "%s: the file has a header and no rows (if line 1 is a row, use --header "
            "no)",
            r->cells.input->name);
    if (r->rows > 0 && r->capacity - r->rows > r->rows / 8) {
        r->budget->used -= (r->capacity - r->rows) * row_bytes(r);
        RAMIFY_TRY(resize_columns(r, r->rows));
    }
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
        ramify_dictionary_destroy(&r->columns[c].texts, r->context);
    }
    ramify_release(r->context, r->columns);
}

ramify_status ramify_csv_read(ramify_input *input, const ramify_table_options *options,
                              const ramify_schema *schema, ramify_budget *budget,
                              ramify_table **table) {
    csv_reader r = {.context = input->context, .budget = budget, .schema = schema};
    ramify_status status = ramify_cells_open(input, &r.cells);
    if (status == RAMIFY_OK)
        status = begin(&r, options);
    if (status == RAMIFY_OK)
        status = read_rows(&r);
    if (status == RAMIFY_OK)
        status = finish(&r);
    release_columns(&r);
    ramify_cells_close(&r.cells);
    if (status == RAMIFY_OK)
        *table = r.table;
    else
        ramify_table_destroy(&r.table);
    return status;
}

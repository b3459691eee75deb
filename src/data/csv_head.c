/* Line 1 of a text table: the delimiter, how many columns there are, whether they have names; and what is
 * said of a cell that does not agree with others, in which line 1 has a part. */

#include "csv.h"
#include "memory.h"
#include "number.h"
#include "status.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- cells that do not agree ---- */

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

ramify_csv_odd ramify_csv_odd_make(uint64_t line, const char *text, size_t length) {
    ramify_csv_odd odd = {.line = line,
                          .infinite = is_infinite_word(text, length),
                          .decimal_comma = has_decimal_comma(text, length)};
    ramify_text_excerpt(text, length, odd.excerpt);
    return odd;
}

/* Whether the schema that the table is read for takes numbers from this column, or as a target. */
static bool takes_numbers(const ramify_table *table, const ramify_schema *schema, size_t c) {
    const char *name = table->columns[c].name;
    if (schema && !(schema->named && table->named))
        return c < schema->column_count && !schema->columns[c].categorical;
    for (uint32_t i = 0; schema && i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0)
            return !schema->columns[i].categorical;
    for (uint32_t i = 0; schema && i < schema->target_count; i++)
        if (strcmp(schema->targets[i], name) == 0)
            return schema->task == RAMIFY_TASK_REGRESSION;
    return false;
}

ramify_status ramify_csv_fail_mixed(const ramify_csv_head *head, const ramify_schema *schema,
                                    size_t c, const ramify_csv_odd *odd) {
    const ramify_table *table = head->table;
    char name[RAMIFY_EXCERPT_BYTES];
    ramify_text_excerpt(table->columns[c].name, strlen(table->columns[c].name), name);
    const char *doubt = odd->line == head->first_line ? head->doubt : "";
    if (odd->infinite)
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a finite number (leave "
                           "the cell empty if the value is missing%s)",
                           table->source, odd->line, name, odd->excerpt, doubt);
    if (odd->decimal_comma)
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a number (write numbers "
                           "with a decimal point%s)",
                           table->source, odd->line, name, odd->excerpt, doubt);
    if (takes_numbers(table, schema, c))
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a number, and the model "
                           "takes numbers here (leave the cell empty if the value is missing%s)",
                           table->source, odd->line, name, odd->excerpt, doubt);
    return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                       "%s:%" PRIu64 ": column \"%s\": \"%s\" is not a number (use --categorical "
                       "%s to treat it as a category%s)",
                       table->source, odd->line, name, odd->excerpt, name, doubt);
}

ramify_status ramify_csv_fail_empty(const ramify_table *table) {
    return ramify_fail(
        table->context, RAMIFY_ERROR_DATA,
        "%s: the file has a header and no rows (if line 1 is a row, use --header no)",
        table->source);
}

void ramify_csv_warn_of_comma(const ramify_table *table, size_t c) {
    ramify_log(table->context, RAMIFY_LOG_WARNING,
               "%s: column \"%s\" looks like numbers with a decimal comma, but is read as "
               "categories (write numbers with a decimal point)",
               table->source, table->columns[c].name);
}

/* ---- line 1 ---- */

typedef struct head_reader {
    ramify_context *context;
    ramify_cells *cells;
    ramify_csv_head *head;
} head_reader;

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
static bool looks_like_header(head_reader *r, const char *const *names) {
    size_t columns = r->head->table->column_count;
    for (size_t c = 0; c < columns; c++) {
        double value;
        size_t length = strlen(names[c]);
        bool number = ramify_number_parse(names[c], length, &value);
        if (number || ramify_number_missing(names[c], length)) {
            snprintf(r->head->doubt, sizeof r->head->doubt,
                     "; line %" PRIu64 " is no header because its cell %zu is %s: see --header",
                     r->head->first_line, c + 1, number ? "a number" : "empty");
            return false;
        }
    }
    return true;
}

/* The same for names that must differ; `sorted` is scratch. */
static bool all_differ(head_reader *r, const char *const *names, ramify_name *sorted) {
    size_t columns = r->head->table->column_count;
    for (size_t c = 0; c < columns; c++)
        sorted[c] = (ramify_name){.text = names[c], .index = c};
    ramify_names_sort(sorted, columns);
    const ramify_name *twice = ramify_names_duplicate(sorted, columns);
    if (!twice)
        return true;
    snprintf(r->head->doubt, sizeof r->head->doubt,
             "; line %" PRIu64 " is no header because its cell %zu repeats another: see --header",
             r->head->first_line, twice->index + 1);
    return false;
}

static ramify_status name_columns(head_reader *r, const char *const *names) {
    for (size_t c = 0; c < r->head->table->column_count; c++) {
        char number[32];
        const char *name = names[c];
        if (*name == '\0') { /* such as the index that pandas writes */
            snprintf(number, sizeof number, "c%zu", c + 1);
            name = number;
        }
        RAMIFY_TRY(ramify_table_set_name(r->head->table, c, name, strlen(name)));
    }
    r->head->table->named = true;
    return ramify_table_check_names(r->head->table);
}

/* Copies the cells of line 1, each with its '\0', to `copy`; sets names[] and what follows. */
static ramify_status copy_first_line(head_reader *r, char *copy, const char **names,
                                     const char **next) {
    const char *at = ramify_cells_begin(r->cells), *text;
    for (size_t c = 0; c < r->head->table->column_count; c++) {
        size_t length;
        if (ramify_cells_next(r->cells, &at, &text, &length) == RAMIFY_CELL_BAD)
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
static ramify_status read_header(head_reader *r, ramify_header header) {
    size_t columns = r->head->table->column_count;
    /* No cell is longer than its source, and each ends one byte before the next one begins. */
    size_t bytes = (size_t)(r->cells->end - r->cells->cursor) + columns + 1;
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
            ramify_cells_finish(r->cells, next);
        } else {
            status = ramify_table_number_columns(r->head->table);
        }
    }
    ramify_release(r->context, copy);
    ramify_release(r->context, names);
    ramify_release(r->context, sorted);
    return status;
}

ramify_status ramify_csv_head_read(ramify_cells *cells, const ramify_table_options *options,
                                   ramify_budget *budget, size_t column_bytes,
                                   ramify_csv_head *head) {
    head_reader r = {.context = cells->input->context, .cells = cells, .head = head};
    const char *name = cells->input->name;
    *head = (ramify_csv_head){0};
    RAMIFY_TRY(ramify_cells_find_delimiter(cells, options->delimiter));
    ramify_cell_end end;
    while ((end = ramify_cells_skip_empty(cells)) == RAMIFY_CELL_CUT)
        RAMIFY_TRY(ramify_cells_fill(cells));
    if (end == RAMIFY_CELL_LINE)
        return ramify_fail(r.context, RAMIFY_ERROR_DATA, "%s: the file has only empty lines", name);
    head->delimiter = cells->delimiter;
    head->first_line = cells->line;
    size_t columns;
    RAMIFY_TRY(count_cells(cells, &columns));
    if (columns > RAMIFY_COLUMNS_MAX)
        return ramify_fail(r.context, RAMIFY_ERROR_LIMIT,
                           "%s:%" PRIu64 ": %zu columns are more than the %d allowed", name,
                           head->first_line, columns, RAMIFY_COLUMNS_MAX);
    RAMIFY_TRY(ramify_budget_take(budget, columns * (column_bytes + sizeof *head->table->columns)));
    RAMIFY_TRY(ramify_table_create(r.context, name, 0, columns, &head->table));
    RAMIFY_TRY(read_header(&r, options->header));
    head->next_line = cells->line;
    head->offset = cells->passed;
    return RAMIFY_OK;
}

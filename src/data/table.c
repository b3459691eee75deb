/* The public calls about tables, and what all readers share. */

#include "build.h"
#include "memory.h"
#include "number.h"
#include "status.h"
#include "summary.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- making and freeing ---- */

ramify_status ramify_table_create(ramify_context *context, const char *source, size_t rows,
                                  size_t columns, ramify_table **table) {
    ramify_table *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->rows = rows;
    made->source = ramify_copy_text(context, source);
    made->columns = ramify_allocate_zeroed(context, columns, sizeof *made->columns);
    if (!made->source || !made->columns) {
        ramify_table_destroy(&made);
        return RAMIFY_ERROR_MEMORY;
    }
    made->column_count = columns;
    *table = made;
    return RAMIFY_OK;
}

ramify_status ramify_table_copy_names(const ramify_table *from, ramify_table **table) {
    ramify_table *made = NULL;
    RAMIFY_TRY(ramify_table_create(from->context, from->source, 0, from->column_count, &made));
    for (size_t c = 0; c < from->column_count; c++) {
        made->columns[c].scale = 1.0;
        made->columns[c].name = ramify_copy_text(from->context, from->columns[c].name);
        if (!made->columns[c].name) {
            ramify_table_destroy(&made);
            return RAMIFY_ERROR_MEMORY;
        }
    }
    made->named = from->named;
    memcpy(made->image, from->image, sizeof made->image);
    *table = made;
    return RAMIFY_OK;
}

static void release_column(ramify_context *context, ramify_column *column) {
    ramify_release(context, column->name);
    ramify_release(context, column->codes);
    ramify_release(context, column->texts);
}

void ramify_table_empty(ramify_table *table) {
    ramify_context *context = table->context;
    for (size_t c = 0; c < table->column_count; c++) {
        ramify_column *column = &table->columns[c];
        ramify_release(context, column->codes);
        ramify_release(context, column->texts);
        column->values = NULL;
        column->codes = NULL;
        column->texts = NULL;
        column->text_count = 0;
    }
    for (size_t b = 0; b < table->block_count; b++)
        ramify_release(context, table->blocks[b]);
    table->block_count = 0;
    table->rows = 0;
}

void ramify_table_destroy(ramify_table **table) {
    if (!table || !*table)
        return;
    ramify_table *gone = *table;
    ramify_context *context = gone->context;
    for (size_t c = 0; gone->columns && c < gone->column_count; c++)
        release_column(context, &gone->columns[c]);
    for (size_t b = 0; b < gone->block_count; b++)
        ramify_release(context, gone->blocks[b]);
    ramify_release(context, gone->blocks);
    ramify_release(context, gone->columns);
    ramify_release(context, gone->source);
    ramify_summary_destroy(context, &gone->whole);
    ramify_release(context, gone);
    *table = NULL;
}

static ramify_status reserve_blocks(ramify_table *table, size_t more) {
    if (more <= table->block_capacity - table->block_count)
        return RAMIFY_OK;
    size_t capacity = 2 * table->block_capacity + more;
    void **blocks = ramify_reallocate(table->context, table->blocks, capacity, sizeof *blocks);
    if (!blocks)
        return RAMIFY_ERROR_MEMORY;
    table->blocks = blocks;
    table->block_capacity = capacity;
    return RAMIFY_OK;
}

ramify_status ramify_table_own(ramify_table *table, void *block) {
    ramify_status status = reserve_blocks(table, 1);
    if (status == RAMIFY_OK)
        table->blocks[table->block_count++] = block;
    else
        ramify_release(table->context, block);
    return status;
}

/* ---- names ---- */

ramify_status ramify_table_number_columns(ramify_table *table) {
    for (size_t c = 0; c < table->column_count; c++) {
        char name[32];
        snprintf(name, sizeof name, "c%zu", c + 1);
        table->columns[c].name = ramify_copy_text(table->context, name);
        if (!table->columns[c].name)
            return RAMIFY_ERROR_MEMORY;
    }
    table->named = false;
    return RAMIFY_OK;
}

static ramify_status check_name(const ramify_table *table, size_t column, const char *name,
                                size_t length) {
    if (length == 0)
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: column %zu has no name (give it one)", table->source, column + 1);
    if (length > RAMIFY_NAME_BYTES)
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: the name of column %zu has %zu bytes, more than the %d allowed "
                           "(shorten it)",
                           table->source, column + 1, length, RAMIFY_NAME_BYTES);
    if (!ramify_text_valid(name, length))
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: the name of column %zu is not valid UTF-8 (convert the file, for "
                           "example with iconv)",
                           table->source, column + 1);
    return RAMIFY_OK;
}

ramify_status ramify_table_set_name(ramify_table *table, size_t column, const char *name,
                                    size_t length) {
    RAMIFY_TRY(check_name(table, column, name, length));
    char *copy = ramify_allocate(table->context, length + 1, 1);
    if (!copy)
        return RAMIFY_ERROR_MEMORY;
    memcpy(copy, name, length);
    copy[length] = '\0';
    ramify_release(table->context, table->columns[column].name);
    table->columns[column].name = copy;
    return RAMIFY_OK;
}

ramify_status ramify_table_check_names(const ramify_table *table) {
    ramify_name *names = ramify_allocate(table->context, table->column_count, sizeof *names);
    if (!names)
        return RAMIFY_ERROR_MEMORY;
    for (size_t c = 0; c < table->column_count; c++)
        names[c] = (ramify_name){.text = table->columns[c].name, .index = c};
    ramify_names_sort(names, table->column_count);
    const ramify_name *twice = ramify_names_duplicate(names, table->column_count);
    ramify_status status = RAMIFY_OK;
    if (twice) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        status = ramify_fail(table->context, RAMIFY_ERROR_DATA,
                             "%s: two columns are named \"%s\" (rename column %zu)", table->source,
                             ramify_text_excerpt(twice->text, strlen(twice->text), excerpt),
                             twice->index + 1);
    }
    ramify_release(table->context, names);
    return status;
}

/* ---- values ---- */

bool ramify_table_find_infinite(const ramify_table *table, size_t *column, size_t *row) {
    for (size_t c = 0; c < table->column_count; c++) {
        const ramify_column *values = &table->columns[c];
        if (values->text ||
            (values->number != RAMIFY_NUMBER_F64 && values->number != RAMIFY_NUMBER_F32))
            continue;
        for (size_t r = 0; r < table->rows; r++)
            if (isinf(ramify_column_value(values, r))) {
                *column = c;
                *row = r;
                return true;
            }
    }
    return false;
}

ramify_status ramify_table_check_finite(const ramify_table *table) {
    size_t c, r;
    if (!ramify_table_find_infinite(table, &c, &r))
        return RAMIFY_OK;
    return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                       "%s: column \"%s\", row %" PRIu64
                       ": the number is infinite (write NaN if the value is missing)",
                       table->source, table->columns[c].name, ramify_table_row_number(table, r));
}

ramify_status ramify_table_make_text(ramify_table *table, ramify_budget *budget, size_t c) {
    ramify_column *column = &table->columns[c];
    RAMIFY_TRY(ramify_budget_take(budget, table->rows * (uint64_t)sizeof *column->codes));
    uint32_t *codes = ramify_allocate(table->context, table->rows, sizeof *codes);
    if (!codes)
        return RAMIFY_ERROR_MEMORY;
    ramify_dictionary texts = {0};
    for (size_t r = 0; r < table->rows; r++) {
        double value = ramify_column_value(column, r);
        codes[r] = RAMIFY_TEXT_MISSING;
        if (isnan(value))
            continue;
        char text[RAMIFY_NUMBER_BYTES];
        ramify_number_format(value, text);
        ramify_status status =
            ramify_dictionary_code(&texts, table, budget, text, strlen(text), &codes[r]);
        if (status != RAMIFY_OK) {
            ramify_dictionary_destroy(&texts, table->context);
            ramify_release(table->context, codes);
            return status;
        }
    }
    ramify_dictionary_finish(&texts, table->context, column, codes);
    return RAMIFY_OK;
}

void ramify_table_disown(ramify_table *table, const void *block) {
    for (size_t b = 0; b < table->block_count; b++)
        if (table->blocks[b] == block) {
            ramify_release(table->context, table->blocks[b]);
            table->blocks[b] = table->blocks[--table->block_count];
            return;
        }
}

size_t ramify_table_rows(const ramify_table *table) {
    return table->rows;
}

size_t ramify_table_columns(const ramify_table *table) {
    return table->column_count;
}

const char *ramify_table_column(const ramify_table *table, size_t column) {
    return column < table->column_count ? table->columns[column].name : NULL;
}

size_t ramify_table_find(const ramify_table *table, const char *name, size_t length) {
    for (size_t c = 0; c < table->column_count; c++)
        if (strlen(table->columns[c].name) == length &&
            memcmp(table->columns[c].name, name, length) == 0)
            return c;
    return SIZE_MAX;
}

ramify_status ramify_table_check_image(ramify_context *context, const ramify_table *table,
                                       const uint32_t image[3]) {
    const uint32_t *found = table->image;
    if (found[0] == 0 || image[0] == 0 || memcmp(found, image, sizeof table->image) == 0)
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "%s: its images are of %" PRIu32 "x%" PRIu32 "x%" PRIu32
                       " numbers, expected %" PRIu32 "x%" PRIu32 "x%" PRIu32 " (resize them)",
                       table->source, found[0], found[1], found[2], image[0], image[1], image[2]);
}

ramify_status ramify_table_find_categorical(const ramify_table *table, const char *name,
                                            size_t length, size_t *column) {
    *column = ramify_table_find(table, name, length);
    if (*column != SIZE_MAX)
        return RAMIFY_OK;
    char excerpt[RAMIFY_EXCERPT_BYTES];
    return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                       "%s: there is no column \"%s\" to treat as a category", table->source,
                       ramify_text_excerpt(name, length, excerpt));
}

/* ---- arrays of the caller ---- */

static ramify_status from_array(ramify_context *context, const void *values, ramify_number number,
                                size_t item, size_t rows, size_t columns, size_t stride,
                                const char *const *names, ramify_table **table) {
    ramify_clear(context);
    if (rows == 0 || columns == 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a table of %zu rows and %zu columns is empty", rows, columns);
    if (rows > RAMIFY_ROWS_MAX || columns > RAMIFY_COLUMNS_MAX)
        return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                           "a table of %zu rows and %zu columns is too large (at most %" PRIu32
                           " rows and %d columns)",
                           rows, columns, RAMIFY_ROWS_MAX, RAMIFY_COLUMNS_MAX);
    size_t row_bytes, bytes;
    if (stride < columns || !ramify_size_multiply(stride, item, &row_bytes) ||
        !ramify_size_multiply(row_bytes, rows, &bytes))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a stride of %zu does not fit %zu rows of %zu columns", stride, rows,
                           columns);
    ramify_table *made;
    RAMIFY_TRY(ramify_table_create(context, "table", rows, columns, &made));
    ramify_status status = RAMIFY_OK;
    if (!names)
        status = ramify_table_number_columns(made);
    for (size_t c = 0; c < columns && status == RAMIFY_OK; c++) {
        ramify_column *column = &made->columns[c];
        column->number = number;
        column->values = (const char *)values + c * item;
        column->stride = row_bytes;
        column->scale = 1.0;
        if (names)
            status = ramify_table_set_name(made, c, names[c], strlen(names[c]));
    }
    made->named = names != NULL;
    if (status == RAMIFY_OK)
        status = ramify_table_check_names(made);
    if (status == RAMIFY_OK)
        status = ramify_table_check_finite(made);
    if (status != RAMIFY_OK) {
        ramify_table_destroy(&made);
        return status;
    }
    *table = made;
    return RAMIFY_OK;
}

ramify_status ramify_table_from_floats(ramify_context *context, const float *values, size_t rows,
                                       size_t columns, size_t stride, const char *const *names,
                                       ramify_table **table) {
    return from_array(context, values, RAMIFY_NUMBER_F32, sizeof *values, rows, columns, stride,
                      names, table);
}

ramify_status ramify_table_from_doubles(ramify_context *context, const double *values, size_t rows,
                                        size_t columns, size_t stride, const char *const *names,
                                        ramify_table **table) {
    return from_array(context, values, RAMIFY_NUMBER_F64, sizeof *values, rows, columns, stride,
                      names, table);
}

/* Makes room for one more column, which is zeroed and not yet counted. Whatever of it is set when
 * a later step fails must be taken back by the caller. */
static ramify_status prepare_column(ramify_table *table, const char *name) {
    if (ramify_table_find(table, name, strlen(name)) != SIZE_MAX) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: there is a column \"%s\" already (rename one of the two)",
                           table->source, ramify_text_excerpt(name, strlen(name), excerpt));
    }
    if (table->column_count == RAMIFY_COLUMNS_MAX)
        return ramify_fail(table->context, RAMIFY_ERROR_LIMIT, "%s: a table has at most %d columns",
                           table->source, RAMIFY_COLUMNS_MAX);
    ramify_column *columns =
        ramify_reallocate(table->context, table->columns, table->column_count + 1, sizeof *columns);
    if (!columns)
        return RAMIFY_ERROR_MEMORY;
    table->columns = columns;
    table->columns[table->column_count] = (ramify_column){.scale = 1.0};
    return ramify_table_set_name(table, table->column_count, name, strlen(name));
}

/* Counts the prepared column in, or frees what there is of it. */
static ramify_status settle_column(ramify_table *table, const ramify_budget *budget,
                                   ramify_status status) {
    if (status == RAMIFY_OK) {
        table->column_count++;
        table->memory_bytes = budget->used;
    } else {
        release_column(table->context, &table->columns[table->column_count]);
    }
    return status;
}

static ramify_status fill_texts(ramify_table *table, ramify_budget *budget,
                                const char *const *texts) {
    ramify_column *column = &table->columns[table->column_count];
    RAMIFY_TRY(ramify_budget_take(budget, table->rows * (uint64_t)sizeof *column->codes));
    uint32_t *codes = ramify_allocate(table->context, table->rows, sizeof *codes);
    if (!codes)
        return RAMIFY_ERROR_MEMORY;
    ramify_dictionary dictionary = {0};
    ramify_status status = RAMIFY_OK;
    for (size_t r = 0; r < table->rows && status == RAMIFY_OK; r++) {
        codes[r] = RAMIFY_TEXT_MISSING;
        if (!texts[r] || ramify_number_missing(texts[r], strlen(texts[r])))
            continue;
        if (ramify_text_valid(texts[r], strlen(texts[r])))
            status = ramify_dictionary_code(&dictionary, table, budget, texts[r], strlen(texts[r]),
                                            &codes[r]);
        else
            status = ramify_fail(table->context, RAMIFY_ERROR_DATA,
                                 "%s: column \"%s\", row %" PRIu64 ": the text is not valid UTF-8",
                                 table->source, column->name, ramify_table_row_number(table, r));
    }
    ramify_dictionary_finish(&dictionary, table->context, column, codes);
    return status;
}

ramify_status ramify_table_add_texts(ramify_context *context, ramify_table *table, const char *name,
                                     const char *const *texts) {
    ramify_clear(context);
    RAMIFY_TRY(prepare_column(table, name));
    ramify_budget budget = ramify_budget_make(context, table->source, table->memory_bytes);
    return settle_column(table, &budget, fill_texts(table, &budget, texts));
}

static ramify_status fill_doubles(ramify_table *table, ramify_budget *budget,
                                  const double *values) {
    ramify_column *column = &table->columns[table->column_count];
    for (size_t r = 0; r < table->rows; r++)
        if (isinf(values[r]))
            return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                               "%s: column \"%s\", row %" PRIu64
                               ": the number is infinite (write NaN if the value is missing)",
                               table->source, column->name, ramify_table_row_number(table, r));
    RAMIFY_TRY(ramify_budget_take(budget, table->rows * (uint64_t)sizeof *values));
    double *copy = ramify_allocate(table->context, table->rows, sizeof *copy);
    if (!copy)
        return RAMIFY_ERROR_MEMORY;
    memcpy(copy, values, table->rows * sizeof *copy);
    RAMIFY_TRY(ramify_table_own(table, copy));
    column->number = RAMIFY_NUMBER_F64;
    column->values = copy;
    column->stride = sizeof *copy;
    return RAMIFY_OK;
}

ramify_status ramify_table_add_doubles(ramify_context *context, ramify_table *table,
                                       const char *name, const double *values) {
    ramify_clear(context);
    RAMIFY_TRY(prepare_column(table, name));
    ramify_budget budget = ramify_budget_make(context, table->source, table->memory_bytes);
    return settle_column(table, &budget, fill_doubles(table, &budget, values));
}

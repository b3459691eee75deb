/* Reading a table: finds the kind of the file, then adds what the options ask for. */

#include "build.h"
#include "memory.h"
#include "number.h"
#include "status.h"
#include "text.h"

#include <inttypes.h>

#define LABEL_NAME "label"

void ramify_table_options_init(ramify_table_options *options) {
    *options = (ramify_table_options){.header = RAMIFY_HEADER_AUTO};
}

/* IDX starts with two zero bytes, which no text does; then come the type and at least one
 * dimension. */
static bool is_idx(const uint8_t *bytes, size_t count) {
    return count >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] >= 0x08 && bytes[2] <= 0x0E;
}

static bool starts_with(const uint8_t *bytes, size_t count, const char *magic, size_t length) {
    return count >= length && memcmp(bytes, magic, length) == 0;
}

/* --categorical for arrays; the text reader does it while it reads. */
ramify_status ramify_table_make_categorical(ramify_table *table, ramify_budget *budget,
                                            const char *list) {
    const char *name;
    size_t length;
    while (ramify_list_next(&list, &name, &length)) {
        size_t c;
        RAMIFY_TRY(ramify_table_find_categorical(table, name, length, &c));
        if (!table->columns[c].text)
            RAMIFY_TRY(ramify_table_make_text(table, budget, c));
    }
    return RAMIFY_OK;
}

ramify_status ramify_file_kind_find(ramify_input *input, ramify_file_kind *kind) {
    const uint8_t *bytes;
    size_t count;
    RAMIFY_TRY(ramify_input_peek(input, &bytes, &count));
    if (count == 0)
        return ramify_fail(input->context, RAMIFY_ERROR_DATA, "%s: the file is empty", input->name);
    if (starts_with(bytes, count, "PK\003\004", 4))
        return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                           "%s: is a zip archive (.npz, .xlsx); save the table as CSV or one "
                           "array as NPY",
                           input->name);
    if (starts_with(bytes, count, "\xFF\xFE", 2) || starts_with(bytes, count, "\xFE\xFF", 2))
        return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                           "%s: is UTF-16 text; save it as UTF-8", input->name);
    *kind = starts_with(bytes, count, "\x93NUMPY", 6) ? RAMIFY_FILE_NPY
            : is_idx(bytes, count)                    ? RAMIFY_FILE_IDX
                                                      : RAMIFY_FILE_TEXT;
    return RAMIFY_OK;
}

static ramify_status read_by_kind(ramify_input *input, const ramify_table_options *options,
                                  const ramify_schema *schema, ramify_budget *budget,
                                  ramify_table **table) {
    ramify_file_kind kind;
    RAMIFY_TRY(ramify_file_kind_find(input, &kind));
    if (kind == RAMIFY_FILE_TEXT)
        return ramify_csv_read(input, options, schema, budget, table);
    ramify_table *made = NULL;
    ramify_status status = kind == RAMIFY_FILE_NPY ? ramify_npy_read(input, budget, &made)
                                                   : ramify_idx_read(input, budget, &made);
    if (!made)
        return status;
    status = ramify_table_make_categorical(made, budget, options->categorical);
    if (status == RAMIFY_OK)
        *table = made;
    else
        ramify_table_destroy(&made);
    return status;
}

/* ---- options->image ---- */

/* An image may be followed by other columns (the target of a CSV), but not be larger than what
 * there is; with a labels file nothing else is expected. */
ramify_status ramify_table_set_image(ramify_table *table, const ramify_table_options *options) {
    uint32_t image[3];
    if (!ramify_image_read(options->image, RAMIFY_COLUMNS_MAX, image)) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        return ramify_fail(table->context, RAMIFY_ERROR_ARGUMENT,
                           "image \"%s\" is not of the form HxW or HxWxC, such as 28x28",
                           ramify_text_excerpt(options->image, strlen(options->image), excerpt));
    }
    /* Each factor is at most 2^18, so the product fits. */
    uint64_t pixels = (uint64_t)image[0] * image[1] * image[2];
    if (pixels > table->column_count || (options->labels && pixels != table->column_count))
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: an image of %" PRIu32 "x%" PRIu32 "x%" PRIu32 " has %" PRIu64
                           " numbers, but there are %zu columns",
                           table->source, image[0], image[1], image[2], pixels,
                           table->column_count);
    memcpy(table->image, image, sizeof image);
    return RAMIFY_OK;
}

/* ---- options->labels ---- */

static ramify_status check_labels(const ramify_table *table, const ramify_table *labels) {
    if (labels->column_count != 1)
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: a file of labels has one column, this one has %zu", labels->source,
                           labels->column_count);
    if (labels->rows != table->rows)
        return ramify_fail(table->context, RAMIFY_ERROR_DATA,
                           "%s: %zu labels for the %zu rows of %s%s", labels->source, labels->rows,
                           table->rows, table->source,
                           labels->named && labels->rows + 1 == table->rows
                               ? " (if line 1 is a label and no header, use --header no)"
                               : "");
    return RAMIFY_OK;
}

/* Moves the only column of `labels`, with the memory behind it, to the end of `table`. */
static ramify_status adopt_column(ramify_table *table, ramify_table *labels) {
    ramify_column *columns =
        ramify_reallocate(table->context, table->columns, table->column_count + 1, sizeof *columns);
    if (!columns)
        return RAMIFY_ERROR_MEMORY;
    table->columns = columns;
    table->columns[table->column_count++] = labels->columns[0];
    labels->column_count = 0;
    while (labels->block_count > 0)
        RAMIFY_TRY(ramify_table_own(table, labels->blocks[--labels->block_count]));
    return RAMIFY_OK;
}

static ramify_status read_file(ramify_context *context, const char *path,
                               const ramify_table_options *options, const ramify_schema *schema,
                               uint64_t used, ramify_table **table);

static ramify_status add_labels(ramify_table *table, const ramify_table_options *options) {
    ramify_table_options plain;
    ramify_table_options_init(&plain);
    plain.header = options->header;
    /* A label may hold blanks ("New York"); one column needs no other delimiter. */
    plain.delimiter = options->delimiter ? options->delimiter : ",";
    ramify_table *labels = NULL;
    ramify_status status =
        read_file(table->context, options->labels, &plain, NULL, table->memory_bytes, &labels);
    if (!labels)
        return status;
    status = check_labels(table, labels);
    if (status == RAMIFY_OK)
        status = ramify_table_set_name(labels, 0, LABEL_NAME, strlen(LABEL_NAME));
    uint64_t bytes = labels->memory_bytes;
    if (status == RAMIFY_OK)
        status = adopt_column(table, labels);
    ramify_table_destroy(&labels);
    if (status == RAMIFY_OK) {
        table->memory_bytes = bytes;
        status = ramify_table_check_names(table);
    }
    return status;
}

/* ---- the calls ---- */

static ramify_status read_input(ramify_input *input, const ramify_table_options *options,
                                const ramify_schema *schema, uint64_t used, ramify_table **table) {
    ramify_budget budget = ramify_budget_make(input->context, input->name, used);
    ramify_table *made = NULL;
    ramify_status status = read_by_kind(input, options, schema, &budget, &made);
    if (!made)
        return status;
    made->memory_bytes = budget.used;
    if (options->image)
        status = ramify_table_set_image(made, options);
    if (status == RAMIFY_OK && options->labels)
        status = add_labels(made, options);
    if (status == RAMIFY_OK)
        *table = made;
    else
        ramify_table_destroy(&made);
    return status;
}

static ramify_status read_file(ramify_context *context, const char *path,
                               const ramify_table_options *options, const ramify_schema *schema,
                               uint64_t used, ramify_table **table) {
    ramify_input input;
    ramify_status status = ramify_input_open(context, path, &input);
    if (status == RAMIFY_OK)
        status = read_input(&input, options, schema, used, table);
    ramify_input_close(&input);
    return status;
}

ramify_status ramify_table_read_for_schema(ramify_context *context, const char *path,
                                           const ramify_table_options *options,
                                           const ramify_schema *schema, ramify_table **table) {
    ramify_table_options defaults;
    ramify_table_options_init(&defaults);
    return read_file(context, path, options ? options : &defaults, schema, 0, table);
}

ramify_status ramify_table_read(ramify_context *context, const char *path,
                                const ramify_table_options *options, ramify_table **table) {
    ramify_clear(context);
    return ramify_table_read_for_schema(context, path, options, NULL, table);
}

ramify_status ramify_table_parse(ramify_context *context, const void *bytes, size_t size,
                                 const char *name, const ramify_table_options *options,
                                 ramify_table **table) {
    ramify_clear(context);
    ramify_table_options defaults;
    ramify_table_options_init(&defaults);
    ramify_input input;
    ramify_status status = ramify_input_open_memory(context, bytes, size, name, &input);
    if (status == RAMIFY_OK)
        status = read_input(&input, options ? options : &defaults, NULL, 0, table);
    ramify_input_close(&input);
    return status;
}

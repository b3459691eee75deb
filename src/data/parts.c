/* Opening a file that is read in parts, and reading a part. */

#include "memory.h"
#include "parts_build.h"
#include "status.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- opening ---- */

/* Names of the columns of an array, and what its options ask for. */
static ramify_status make_array_head(ramify_parts *parts, const ramify_table_options *options) {
    ramify_table **head = &parts->text.table;
    RAMIFY_TRY(
        ramify_table_create(parts->context, parts->name, 0, (size_t)parts->array.columns, head));
    RAMIFY_TRY(ramify_table_number_columns(*head));
    memcpy((*head)->image, parts->array.image, sizeof(*head)->image);
    const char *list = options->categorical, *name;
    size_t length, column;
    while (ramify_list_next(&list, &name, &length))
        RAMIFY_TRY(ramify_table_find_categorical(*head, name, length, &column));
    return RAMIFY_OK;
}

static ramify_status open_array(ramify_parts *parts, ramify_input *input,
                                const ramify_table_options *options) {
    ramify_array *array = &parts->array;
    parts->is_array = true;
    RAMIFY_TRY(ramify_npy_read_head(input, array, &parts->first.offset));
    RAMIFY_TRY(ramify_array_check_size(input, array, parts->first.offset));
    parts->row_bytes = array->columns * ramify_array_number_size(array->number);
    if (array->columns_first && array->columns > 1)
        parts->reason = "its array is in Fortran order";
    return make_array_head(parts, options);
}

static ramify_status open_text(ramify_parts *parts, ramify_input *input,
                               const ramify_table_options *options) {
    ramify_budget budget = ramify_budget_make(parts->context, parts->name, 0);
    ramify_cells cells;
    ramify_status status = ramify_cells_open(input, &cells);
    if (status == RAMIFY_OK)
        status = ramify_csv_head_read(&cells, options, &budget, 0, &parts->text);
    ramify_cells_close(&cells);
    RAMIFY_TRY(status);
    parts->first.offset = parts->text.offset;
    parts->first.line = parts->text.next_line - 1;
    const char *list = options->categorical, *name;
    size_t length, column;
    while (ramify_list_next(&list, &name, &length))
        RAMIFY_TRY(ramify_table_find_categorical(parts->text.table, name, length, &column));
    return RAMIFY_OK;
}

/* Why a file cannot be read in parts whatever is in it; NULL: it depends. Nothing is opened for that:
 * what a pipe gave once it does not give again. */
static const char *refuse_by_path(const char *path, const ramify_table_options *options) {
    struct stat about;
    if (strcmp(path, "-") == 0)
        return "it is standard input";
    if (options->labels)
        return "its labels are in a file of their own";
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode))
        return "it is no regular file";
    return NULL;
}

static ramify_status open_input(ramify_parts *parts, ramify_input *input,
                                const ramify_table_options *options) {
    ramify_file_kind kind;
    RAMIFY_TRY(ramify_file_kind_find(input, &kind));
    parts->size = input->size;
    parts->reason = input->gzip               ? "it is compressed"
                    : input->size == 0        ? "its size is not known"
                    : kind == RAMIFY_FILE_IDX ? "it is an IDX file"
                                              : NULL;
    if (parts->reason)
        return RAMIFY_OK;
    RAMIFY_TRY(kind == RAMIFY_FILE_NPY ? open_array(parts, input, options)
                                       : open_text(parts, input, options));
    return options->image ? ramify_table_set_image(parts->text.table, options) : RAMIFY_OK;
}

static ramify_status open_path(ramify_parts *parts, const char *path,
                               const ramify_table_options *options) {
    parts->name = ramify_copy_text(parts->context, path);
    parts->categorical =
        options->categorical ? ramify_copy_text(parts->context, options->categorical) : NULL;
    if (!parts->name || (options->categorical && !parts->categorical))
        return RAMIFY_ERROR_MEMORY;
    parts->reason = refuse_by_path(path, options);
    if (parts->reason)
        return RAMIFY_OK;
    ramify_input input;
    ramify_status status = ramify_input_open(parts->context, path, &input);
    if (status == RAMIFY_OK)
        status = open_input(parts, &input, options);
    if (input.owned) { /* stays open for the parts */
        parts->descriptor = input.descriptor;
        input.owned = false;
    }
    ramify_input_close(&input);
    return status;
}

ramify_status ramify_parts_open(ramify_context *context, const char *path,
                                const ramify_table_options *options, const ramify_schema *schema,
                                ramify_parts **parts) {
    ramify_table_options defaults;
    ramify_table_options_init(&defaults);
    ramify_parts *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->descriptor = -1;
    made->schema = schema;
    ramify_status status = open_path(made, path, options ? options : &defaults);
    if (status == RAMIFY_OK)
        *parts = made;
    else
        ramify_parts_close(&made);
    return status;
}

void ramify_parts_close(ramify_parts **parts) {
    if (!parts || !*parts)
        return;
    ramify_parts *gone = *parts;
    if (gone->descriptor >= 0)
        close(gone->descriptor);
    ramify_table_destroy(&gone->text.table);
    ramify_release(gone->context, gone->name);
    ramify_release(gone->context, gone->categorical);
    ramify_release(gone->context, gone);
    *parts = NULL;
}

bool ramify_parts_divisible(const ramify_parts *parts, const char **reason) {
    if (reason)
        *reason = parts->reason;
    return parts->reason == NULL;
}

uint64_t ramify_parts_size(const ramify_parts *parts) {
    return parts->size;
}

uint64_t ramify_parts_row_bytes(const ramify_parts *parts) {
    return parts->is_array ? parts->row_bytes : 0;
}

ramify_place ramify_parts_first(const ramify_parts *parts) {
    return parts->first;
}

const ramify_table *ramify_parts_head(const ramify_parts *parts) {
    return parts->text.table;
}

void ramify_parts_range(const ramify_parts *parts, uint32_t index, uint32_t count, uint64_t *begin,
                        uint64_t *end) {
    uint64_t bytes = parts->size - parts->first.offset, each = bytes / count, rest = bytes % count;
    *begin = parts->first.offset + each * index + rest * index / count;
    *end = parts->first.offset + each * (index + 1) + rest * (index + 1) / count;
}

ramify_status ramify_parts_check_rows(const ramify_parts *parts, uint64_t rows) {
    if (rows > RAMIFY_ROWS_MAX)
        return ramify_fail(parts->context, RAMIFY_ERROR_LIMIT,
                           "%s: %" PRIu64 " rows are more than the %" PRIu32
                           " that a table may have",
                           parts->name, rows, RAMIFY_ROWS_MAX);
    return rows == 0 && !parts->schema ? ramify_csv_fail_empty(parts->text.table) : RAMIFY_OK;
}

/* ---- reading ---- */

ramify_status ramify_parts_fetch(const ramify_parts *parts, uint64_t offset, void *bytes,
                                 size_t size, size_t *count) {
    *count = 0;
    while (*count < size) {
        ssize_t got = pread(parts->descriptor, (char *)bytes + *count, size - *count,
                            (off_t)(offset + *count));
        if (got == 0)
            break;
        if (got > 0)
            *count += (size_t)got;
        else if (errno != EINTR)
            return ramify_fail(parts->context, RAMIFY_ERROR_IO, "%s: cannot be read (%s)",
                               parts->name, strerror(errno));
    }
    return RAMIFY_OK;
}

static ramify_status read_text(const ramify_parts *parts, const ramify_table_options *options,
                               const ramify_place *from, size_t count, ramify_budget *budget,
                               ramify_bytes *report, ramify_table **table) {
    ramify_input input;
    ramify_status status = ramify_input_open_span(parts->context, parts->descriptor, from->offset,
                                                  parts->size - from->offset, parts->name, &input);
    if (status == RAMIFY_OK)
        status = ramify_csv_read_part(&input, &parts->text, options, parts->schema, budget, from,
                                      count, report, table);
    else
        ramify_report_begin(report, &(ramify_report_failure){.status = status}, 0);
    ramify_input_close(&input);
    return status;
}

static ramify_status load_array(const ramify_parts *parts, const ramify_place *from, size_t count,
                                ramify_budget *budget, ramify_table **table) {
    ramify_array array = parts->array;
    array.rows = count;
    array.first_row = from->row;
    ramify_input input;
    ramify_status status = ramify_input_open_span(parts->context, parts->descriptor, from->offset,
                                                  count * parts->row_bytes, parts->name, &input);
    if (status == RAMIFY_OK)
        status = ramify_array_load(&input, &array, 0, budget, table);
    ramify_input_close(&input);
    return status;
}

static ramify_status read_array(const ramify_parts *parts, const ramify_table_options *options,
                                const ramify_place *from, size_t count, ramify_budget *budget,
                                ramify_bytes *report, ramify_table **table) {
    ramify_report_failure failure = {.major = UINT64_MAX};
    size_t column, row;
    ramify_status status = load_array(parts, from, count, budget, table);
    if (*table && ramify_table_find_infinite(*table, &column, &row)) {
        status = ramify_table_check_finite(*table);
        failure.major = column;
        failure.minor = from->row + row;
    }
    if (status == RAMIFY_OK)
        status = ramify_table_make_categorical(*table, budget, options->categorical);
    failure.status = status;
    size_t columns = status == RAMIFY_OK ? (*table)->column_count : 0;
    ramify_report_begin(report, &failure, columns);
    for (size_t c = 0; c < columns; c++)
        ramify_report_column(
            report, (*table)->columns[c].text ? RAMIFY_PART_TEXTS : RAMIFY_PART_NUMBERS, 0, NULL);
    return status;
}

ramify_status ramify_parts_read(const ramify_parts *parts, const ramify_place *from, size_t count,
                                ramify_table **table, void **report, size_t *report_size) {
    ramify_table_options options = {.categorical = parts->categorical};
    ramify_budget budget = ramify_budget_make(parts->context, parts->name, 0);
    ramify_bytes written = {.context = parts->context};
    ramify_place begin = count > 0 ? *from : parts->first;
    ramify_table *made = NULL;
    ramify_status status =
        parts->is_array ? read_array(parts, &options, &begin, count, &budget, &written, &made)
                        : read_text(parts, &options, &begin, count, &budget, &written, &made);
    if (status == RAMIFY_OK && written.failed)
        status = RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        made->memory_bytes = budget.used;
        memcpy(made->image, parts->text.table->image, sizeof made->image);
    } else {
        ramify_table_destroy(&made);
    }
    if (written.failed) {
        ramify_release(parts->context, written.bytes);
        written = (ramify_bytes){0};
    }
    *table = made;
    *report = written.bytes;
    *report_size = written.size;
    return status;
}

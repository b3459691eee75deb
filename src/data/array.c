/* What NPY and IDX have in common: an array of one type behind a header. The numbers stay in the
 * type and order they are stored in; only their bytes are swapped where they must be. */

#include "build.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <inttypes.h>

/* Bytes that are read without knowing that they exist (from a pipe, or compressed); then the buffer
 * doubles, so that a header that lies costs little. */
#define TRUST_BYTES ((size_t)16 << 20)

size_t ramify_array_number_size(ramify_number number) {
    static const size_t sizes[] = {
        [RAMIFY_NUMBER_F64] = 8, [RAMIFY_NUMBER_F32] = 4, [RAMIFY_NUMBER_I64] = 8,
        [RAMIFY_NUMBER_I32] = 4, [RAMIFY_NUMBER_U8] = 1,
    };
    return sizes[number];
}

ramify_status ramify_array_shape(ramify_input *input, const uint64_t *sizes, size_t dimensions,
                                 ramify_array *array) {
    uint64_t columns = 1;
    for (size_t d = 0; d < dimensions; d++)
        if (sizes[d] == 0)
            return ramify_fail(input->context, RAMIFY_ERROR_DATA,
                               "%s: the array is empty (dimension %zu is 0)", input->name, d + 1);
    if (sizes[0] > RAMIFY_ROWS_MAX)
        return ramify_fail(input->context, RAMIFY_ERROR_LIMIT,
                           "%s: %" PRIu64 " rows are more than the %" PRIu32 " allowed",
                           input->name, sizes[0], RAMIFY_ROWS_MAX);
    for (size_t d = 1; d < dimensions; d++) {
        if (sizes[d] > RAMIFY_COLUMNS_MAX / columns)
            return ramify_fail(input->context, RAMIFY_ERROR_LIMIT,
                               "%s: a row has more numbers than the %d columns allowed",
                               input->name, RAMIFY_COLUMNS_MAX);
        columns *= sizes[d];
    }
    array->rows = sizes[0];
    array->columns = columns;
    for (size_t d = 0; d < 3 && (dimensions == 3 || dimensions == 4); d++)
        array->image[d] = d + 1 < dimensions ? (uint32_t)sizes[d + 1] : 1;
    return RAMIFY_OK;
}

static void swap_bytes(unsigned char *bytes, size_t count, size_t size) {
    for (; count > 0; count--, bytes += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char byte = bytes[i];
            bytes[i] = bytes[size - 1 - i];
            bytes[size - 1 - i] = byte;
        }
}

static ramify_status fail_short(ramify_input *input, uint64_t header, uint64_t bytes,
                                uint64_t found) {
    return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                       "%s: the header promises %" PRIu64 " bytes and there are %" PRIu64
                       " (the file is cut short; copy or save it again)",
                       input->name, header + bytes, header + found);
}

static ramify_status fail_long(ramify_input *input, uint64_t bytes) {
    return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                       "%s: bytes follow the array of %" PRIu64
                       " bytes that the header promises (save the file again)",
                       input->name, bytes);
}

ramify_status ramify_array_check_size(ramify_input *input, const ramify_array *array,
                                      uint64_t header) {
    /* Below 2^32 * 2^18 * 2^3, so the product fits in 64 bits. */
    uint64_t bytes = array->rows * array->columns * ramify_array_number_size(array->number);
    if (input->size < header + bytes)
        return fail_short(input, header, bytes, input->size > header ? input->size - header : 0);
    return input->size > header + bytes ? fail_long(input, header + bytes) : RAMIFY_OK;
}

/* Reads `bytes` bytes and makes sure that nothing follows. */
static ramify_status read_numbers(ramify_input *input, uint64_t header, size_t bytes,
                                  unsigned char **numbers) {
    ramify_context *context = input->context;
    bool known = input->size > 0 && !input->gzip;
    if (known && input->size < header + bytes)
        return fail_short(input, header, bytes, input->size > header ? input->size - header : 0);
    size_t capacity = known || bytes < TRUST_BYTES ? bytes : TRUST_BYTES, used = 0;
    unsigned char *buffer = ramify_allocate(context, capacity, 1);
    ramify_status status = buffer ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    while (status == RAMIFY_OK && used < bytes) {
        if (used == capacity) {
            capacity = capacity < bytes / 2 ? 2 * capacity : bytes;
            unsigned char *grown = ramify_reallocate(context, buffer, capacity, 1);
            if (!grown) {
                status = RAMIFY_ERROR_MEMORY;
                break;
            }
            buffer = grown;
        }
        size_t want = capacity - used < TRUST_BYTES ? capacity - used : TRUST_BYTES, count = 0;
        status = ramify_input_read(input, buffer + used, want, &count);
        used += count;
        if (status == RAMIFY_OK && count < want)
            status = fail_short(input, header, bytes, used);
        ramify_progress_report(context, "reading", (double)used, (double)bytes);
        if (status == RAMIFY_OK && ramify_cancelled(context))
            status = ramify_fail(context, RAMIFY_STOPPED, "stopped while reading %s", input->name);
    }
    if (status == RAMIFY_OK) {
        unsigned char more;
        size_t count = 0;
        status = ramify_input_read(input, &more, 1, &count);
        if (status == RAMIFY_OK && count > 0)
            status = fail_long(input, header + bytes);
    }
    if (status == RAMIFY_OK)
        *numbers = buffer;
    else
        ramify_release(context, buffer);
    return status;
}

static ramify_status fill_table(ramify_table *table, const ramify_array *array,
                                unsigned char *numbers) {
    size_t size = ramify_array_number_size(array->number);
    RAMIFY_TRY(ramify_table_own(table, numbers));
    RAMIFY_TRY(ramify_table_number_columns(table));
    for (size_t c = 0; c < table->column_count; c++) {
        ramify_column *column = &table->columns[c];
        column->number = array->number;
        column->scale = array->scale;
        column->values = numbers + c * size * (array->columns_first ? table->rows : 1);
        column->stride = size * (array->columns_first ? 1 : table->column_count);
    }
    return RAMIFY_OK;
}

ramify_status ramify_array_read(ramify_input *input, const ramify_array *array, uint64_t header,
                                ramify_budget *budget, ramify_table **table) {
    ramify_table *made = NULL;
    RAMIFY_TRY(ramify_array_load(input, array, header, budget, &made));
    ramify_status status = ramify_table_check_finite(made);
    if (status == RAMIFY_OK)
        *table = made;
    else
        ramify_table_destroy(&made);
    return status;
}

ramify_status ramify_array_load(ramify_input *input, const ramify_array *array, uint64_t header,
                                ramify_budget *budget, ramify_table **table) {
    /* Below 2^32 * 2^18 * 2^3, so the product fits in 64 bits. */
    uint64_t count = array->rows * array->columns;
    uint64_t bytes = count * ramify_array_number_size(array->number);
    RAMIFY_TRY(ramify_budget_take(budget, bytes + array->columns * sizeof(ramify_column)));
    if (bytes > SIZE_MAX)
        return ramify_budget_refuse(budget, bytes);
    unsigned char *numbers = NULL;
    ramify_status status = read_numbers(input, header, (size_t)bytes, &numbers);
    if (!numbers)
        return status;
    if (array->swapped)
        swap_bytes(numbers, (size_t)count, ramify_array_number_size(array->number));
    ramify_table *made = NULL;
    status = ramify_table_create(input->context, input->name, (size_t)array->rows,
                                 (size_t)array->columns, &made);
    if (status != RAMIFY_OK) {
        ramify_release(input->context, numbers);
        return status;
    }
    status = fill_table(made, array, numbers);
    memcpy(made->image, array->image, sizeof made->image);
    made->first_row = array->first_row;
    if (status == RAMIFY_OK)
        *table = made;
    else
        ramify_table_destroy(&made);
    return status;
}

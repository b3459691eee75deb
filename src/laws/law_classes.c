/* Classes are refined column by column: rows of a class that differ in the next column part. A sort
 * finds them, not a hash, as nobody can make up a table that a sort is slow on. */

#include "law_classes.h"
#include "memory.h"
#include "status.h"

#include <stdlib.h>

typedef struct entry {
    uint32_t number, at; /* of its class; which of the rows it is */
    uint64_t cell;
} entry;

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Equal for equal cells. */
static uint64_t cell_of(const ramify_column *column, size_t row) {
    uint64_t bits;
    if (column->text)
        return column->codes[row];
    if (column->number == RAMIFY_NUMBER_I64) { /* as doubles, large ones are the same */
        memcpy(&bits, (const char *)column->values + row * column->stride, sizeof bits);
        return bits;
    }
    double value = ramify_column_value(column, row);
    if (isnan(value))
        return UINT64_MAX; /* of the many NaN, one */
    value += 0.0;          /* -0 is 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Parts the classes by a column; returns how many there are then. */
static uint32_t refine(const ramify_column *column, const size_t *rows, size_t count,
                       entry *entries) {
    for (size_t i = 0; i < count; i++)
        entries[i].cell = cell_of(column, rows[entries[i].at]);
    qsort(entries, count, sizeof *entries, compare_entries);
    uint32_t number = 0, old = entries[0].number;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && (entries[i].number != old || entries[i].cell != entries[i - 1].cell))
            number++;
        old = entries[i].number;
        entries[i].number = number;
    }
    return number + 1;
}

ramify_status ramify_law_classes(ramify_context *context, const ramify_column *const *columns,
                                 size_t column_count, const size_t *rows, size_t count,
                                 uint32_t *class_of, uint32_t *classes) {
    *classes = count > 0;
    entry *entries = ramify_allocate_zeroed(context, count, sizeof *entries);
    uint32_t *number = ramify_allocate(context, count, sizeof *number);
    ramify_status status = entries && number ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        for (size_t i = 0; i < count; i++)
            entries[i].at = (uint32_t)i;
        for (size_t c = 0; c < column_count && *classes < count; c++)
            *classes = refine(columns[c], rows, count, entries);
        uint32_t next = 0;
        for (size_t i = 0; i < count; i++)
            class_of[entries[i].at] = entries[i].number;
        for (size_t i = 0; i < count; i++)
            number[i] = UINT32_MAX;
        for (size_t i = 0; i < count; i++) {
            uint32_t *mine = &number[class_of[i]];
            if (*mine == UINT32_MAX)
                *mine = next++;
            class_of[i] = *mine;
        }
    }
    ramify_release(context, entries);
    ramify_release(context, number);
    return status;
}

/* Looking at the values of a column, and adding up what the readers of parts saw. */

#include "summary.h"
#include "build.h"
#include "bytes.h"
#include "memory.h"
#include "roles.h"
#include "status.h"

#include <stdlib.h>

/* ---- a column ---- */

/* Fills the empty hash set `seen` (slots entries of NaN, a power of two, at most half to be used)
 * until a value comes twice. */
static bool fill_set(const ramify_column *column, size_t rows, double *seen, size_t slots) {
    for (size_t r = 0; r < rows; r++) {
        double value = ramify_column_value(column, r) + 0.0; /* -0 is 0 */
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        size_t at = (size_t)((bits * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (slots - 1);
        while (!isnan(seen[at])) {
            if (seen[at] == value)
                return false;
            at = (at + 1) & (slots - 1);
        }
        seen[at] = value;
    }
    return true;
}

/* Whether whole numbers that neither rise nor fall differ in all rows. */
static ramify_status find_different(ramify_context *context, const ramify_column *column,
                                    size_t rows, bool *different) {
    size_t slots = 64;
    while (slots < 2 * rows)
        slots *= 2;
    /* A warning is not worth more memory than the table may take. */
    if (slots * sizeof(double) > ramify_memory_limit(context))
        return RAMIFY_OK;
    double *seen = ramify_allocate(context, slots, sizeof *seen);
    if (!seen)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < slots; i++)
        seen[i] = (double)NAN;
    *different = fill_set(column, rows, seen, slots);
    ramify_release(context, seen);
    return RAMIFY_OK;
}

/* Range of a column of numbers. */
static void find_range(const ramify_column *column, size_t rows, ramify_summary_column *s) {
    bool any = false, missing = false, whole = true;
    double low = 0, high = 0;
    for (size_t r = 0; r < rows; r++) {
        double value = ramify_column_value(column, r);
        if (isnan(value)) {
            missing = true;
            continue;
        }
        if (!any || value < low)
            low = value;
        if (!any || value > high)
            high = value;
        any = true;
        whole = whole && value == floor(value);
    }
    s->any = any;
    s->missing = missing;
    s->whole = whole && !missing;
    s->low = low;
    s->high = high;
}

/* In which order whole numbers stand; rows > 0. The two common answers are cheap. */
static void find_order(const ramify_column *column, size_t rows, ramify_summary_column *s) {
    s->first = ramify_column_value(column, 0);
    s->last = ramify_column_value(column, rows - 1);
    bool rising = s->high - s->low >= (double)(rows - 1), falling = rising;
    for (size_t r = 1; r < rows && (rising || falling); r++) {
        double before = ramify_column_value(column, r - 1), now = ramify_column_value(column, r);
        rising = rising && now > before;
        falling = falling && now < before;
    }
    s->rising = rising;
    s->falling = falling;
}

void ramify_summary_add_class(ramify_summary_column *s, double value) {
    uint32_t low = 0, high = s->class_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->classes[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < s->class_count && s->classes[low] == value)
        return;
    s->more_classes = s->class_count == RAMIFY_CLASSES_MAX;
    if (s->more_classes)
        return;
    memmove(s->classes + low + 1, s->classes + low, (s->class_count - low) * sizeof *s->classes);
    s->classes[low] = value;
    s->class_count++;
}

static ramify_status count_texts(ramify_context *context, const ramify_column *column, size_t rows,
                                 ramify_summary_column *s) {
    const uint32_t *codes = column->codes;
    uint32_t *counts = ramify_allocate_zeroed(context, column->text_count, sizeof *counts);
    bool missing = false;
    if (!counts)
        return RAMIFY_ERROR_MEMORY;
    for (size_t r = 0; r < rows; r++)
        if (codes[r] == RAMIFY_TEXT_MISSING)
            missing = true;
        else
            counts[codes[r]]++;
    s->counts = counts;
    s->missing = missing;
    return RAMIFY_OK;
}

static ramify_status look_at_texts(ramify_context *context, const ramify_column *column,
                                   size_t rows, ramify_summary_need need,
                                   ramify_summary_column *s) {
    s->texts = column->texts;
    s->text_count = column->text_count;
    s->any = column->text_count > 0;
    return need == RAMIFY_SUMMARY_INPUT ? count_texts(context, column, rows, s) : RAMIFY_OK;
}

static ramify_status look_at_numbers(ramify_context *context, const ramify_column *column,
                                     size_t rows, ramify_summary_need need, bool whole,
                                     ramify_summary_column *s) {
    if (need == RAMIFY_SUMMARY_ANY)
        for (size_t r = 0; r < rows && !s->any; r++)
            s->any = !isnan(ramify_column_value(column, r));
    if (need == RAMIFY_SUMMARY_CLASSES) {
        s->classes = ramify_allocate(context, RAMIFY_CLASSES_MAX, sizeof *s->classes);
        if (!s->classes)
            return RAMIFY_ERROR_MEMORY;
        for (size_t r = 0; r < rows && !s->more_classes; r++) {
            double value = ramify_column_value(column, r);
            if (!isnan(value))
                ramify_summary_add_class(s, value);
        }
        s->any = s->class_count > 0;
    }
    if (need != RAMIFY_SUMMARY_INPUT)
        return RAMIFY_OK;
    find_range(column, rows, s);
    if (!s->whole || rows == 0 || (whole && rows == 1))
        return RAMIFY_OK;
    find_order(column, rows, s);
    if (!whole || s->rising || s->falling || s->high - s->low < (double)(rows - 1))
        return RAMIFY_OK;
    return find_different(context, column, rows, &s->different);
}

ramify_status ramify_summary_column_make(ramify_context *context, const ramify_table *table,
                                         size_t column, ramify_summary_need need, bool whole,
                                         ramify_summary_column *summary) {
    const ramify_column *from = &table->columns[column];
    *summary = (ramify_summary_column){0};
    ramify_status status = from->text
                               ? look_at_texts(context, from, table->rows, need, summary)
                               : look_at_numbers(context, from, table->rows, need, whole, summary);
    if (status != RAMIFY_OK)
        ramify_summary_column_release(context, summary);
    return status;
}

void ramify_summary_column_release(ramify_context *context, ramify_summary_column *summary) {
    ramify_release(context, summary->counts);
    ramify_release(context, summary->classes);
    summary->counts = NULL;
    summary->classes = NULL;
}

/* ---- a table ---- */

ramify_status ramify_summary_create_empty(ramify_context *context, size_t columns, uint64_t rows,
                                          ramify_summary **summary) {
    ramify_summary *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->rows = rows;
    made->column_count = columns;
    made->columns = ramify_allocate_zeroed(context, columns, sizeof *made->columns);
    if (!made->columns)
        ramify_summary_destroy(context, &made);
    *summary = made;
    return made ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

void ramify_summary_destroy(ramify_context *context, ramify_summary **summary) {
    if (!summary || !*summary)
        return;
    ramify_summary *gone = *summary;
    for (size_t c = 0; gone->columns && c < gone->column_count; c++)
        ramify_summary_column_release(context, &gone->columns[c]);
    ramify_table_destroy(&gone->texts);
    ramify_release(context, gone->columns);
    ramify_release(context, gone);
    *summary = NULL;
}

static ramify_status fill(ramify_context *context, const ramify_table *part,
                          const ramify_roles *roles, bool classes, ramify_summary *summary) {
    for (size_t c = 0; c < part->column_count; c++) {
        ramify_summary_need need =
            roles->not_inputs[c] ? RAMIFY_SUMMARY_NOTHING : RAMIFY_SUMMARY_INPUT;
        for (uint32_t t = 0; t < roles->target_count && roles->not_inputs[c]; t++)
            if (roles->targets[t] == c)
                need = classes ? RAMIFY_SUMMARY_CLASSES : RAMIFY_SUMMARY_ANY;
        RAMIFY_TRY(ramify_summary_column_make(context, part, c, need, false, &summary->columns[c]));
    }
    return RAMIFY_OK;
}

ramify_status ramify_summary_create(ramify_context *context, const ramify_table *part,
                                    const ramify_schema_request *request,
                                    ramify_summary **summary) {
    ramify_roles roles;
    ramify_summary *made = NULL;
    /* Without a task, numbers are a regression's; several targets are no classification's. */
    bool classes = request->task && strcmp(request->task, "classification") == 0;
    ramify_status status = ramify_roles_find(context, part, request, &roles);
    if (status == RAMIFY_OK)
        status = ramify_summary_create_empty(context, part->column_count, part->rows, &made);
    if (status == RAMIFY_OK)
        status = fill(context, part, &roles, classes && roles.target_count == 1, made);
    ramify_roles_release(context, &roles);
    if (status == RAMIFY_OK)
        *summary = made;
    else
        ramify_summary_destroy(context, &made);
    return status;
}

/* Making a schema from a training table. The draft's texts are the table's own; packing copies
 * them. */

#include "memory.h"
#include "number.h"
#include "schema.h"
#include "status.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct draft {
    ramify_context *context;
    const ramify_table *table;
    const ramify_schema_request *request;
    ramify_name *names;  /* the table's, sorted */
    size_t *targets;     /* target_count table columns */
    bool *not_inputs;    /* table columns with another role */
    char *class_numbers; /* class_count texts of RAMIFY_NUMBER_BYTES, for numeric classes */
    ramify_schema schema;
} draft;

/* ---- roles of columns ---- */

/* The first names of the table, for a message about one that is not there. */
static void list_names(const ramify_table *table, char *text, size_t room) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t c = 0; c < table->column_count; c++) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        const char *name = table->columns[c].name;
        ramify_text_excerpt(name, strlen(name), excerpt);
        if (used + strlen(excerpt) + sizeof ", ..." > room) {
            snprintf(text + used, room - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, room - used, "%s%s", c ? ", " : "", excerpt);
    }
}

static ramify_status find_column(const draft *d, const char *name, size_t length, const char *role,
                                 size_t *column) {
    char excerpt[RAMIFY_EXCERPT_BYTES], known[200], copy[RAMIFY_NAME_BYTES + 1];
    *column = SIZE_MAX;
    if (length <= RAMIFY_NAME_BYTES) {
        memcpy(copy, name, length);
        copy[length] = '\0';
        *column = ramify_names_find(d->names, d->table->column_count, copy);
    }
    if (*column != SIZE_MAX)
        return RAMIFY_OK;
    list_names(d->table, known, sizeof known);
    return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                       "%s: there is no column \"%s\" for --%s (the columns are: %s)",
                       d->table->source, ramify_text_excerpt(name, length, excerpt), role, known);
}

static ramify_status set_aside(draft *d, const char *list, const char *role) {
    const char *name;
    size_t length, column;
    while (ramify_list_next(&list, &name, &length)) {
        RAMIFY_TRY(find_column(d, name, length, role, &column));
        for (uint32_t t = 0; t < d->schema.target_count; t++)
            if (d->targets[t] == column)
                return ramify_fail(d->context, RAMIFY_ERROR_ARGUMENT,
                                   "column \"%s\" is a target and cannot be used for --%s too",
                                   d->table->columns[column].name, role);
        d->not_inputs[column] = true;
    }
    return RAMIFY_OK;
}

static ramify_status find_targets(draft *d) {
    const char *list = d->request->target, *name;
    size_t length, column;
    while (ramify_list_next(&list, &name, &length)) {
        if (d->schema.target_count == RAMIFY_TARGETS_MAX)
            return ramify_fail(d->context, RAMIFY_ERROR_LIMIT, "more than %d targets are named",
                               RAMIFY_TARGETS_MAX);
        RAMIFY_TRY(find_column(d, name, length, "target", &column));
        if (d->not_inputs[column])
            return ramify_fail(d->context, RAMIFY_ERROR_ARGUMENT,
                               "column \"%s\" is named twice as a target",
                               d->table->columns[column].name);
        d->not_inputs[column] = true;
        d->schema.targets[d->schema.target_count] = d->table->columns[column].name;
        d->targets[d->schema.target_count++] = column;
    }
    if (d->schema.target_count == 0)
        return ramify_fail(d->context, RAMIFY_ERROR_ARGUMENT,
                           "no target column is named (use --target, or --labels with a file)");
    return RAMIFY_OK;
}

/* ---- input columns ---- */

typedef struct category_count {
    uint32_t count, code;
} category_count;

static int compare_counts(const void *a, const void *b) {
    const category_count *left = a, *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return left->code < right->code ? -1 : left->code > right->code;
}

static ramify_status describe_texts(draft *d, const ramify_column *from, ramify_schema_column *to) {
    to->categorical = true;
    category_count *counts = ramify_allocate(d->context, from->text_count, sizeof *counts);
    to->categories = ramify_allocate(d->context, RAMIFY_CATEGORIES, sizeof *to->categories);
    if (!counts || !to->categories) {
        ramify_release(d->context, counts);
        return RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < from->text_count; i++)
        counts[i] = (category_count){.code = i};
    for (size_t r = 0; r < d->table->rows; r++)
        if (from->codes[r] == RAMIFY_TEXT_MISSING)
            to->missing = true;
        else
            counts[from->codes[r]].count++;
    if (from->text_count > 1)
        qsort(counts, from->text_count, sizeof *counts, compare_counts);
    for (uint32_t i = 0; i < from->text_count && to->category_count < RAMIFY_CATEGORIES; i++) {
        char *text = from->texts[counts[i].code];
        if (strlen(text) <= RAMIFY_NAME_BYTES) /* a longer one is prose: "other" */
            to->categories[to->category_count++] = text;
    }
    ramify_release(d->context, counts);
    return RAMIFY_OK;
}

/* Fills the empty hash set `seen` (slots entries of NaN, a power of two, at most half to be used)
 * until a value comes twice. */
static bool fill_set(const draft *d, const ramify_column *column, double *seen, size_t slots) {
    for (size_t r = 0; r < d->table->rows; r++) {
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

/* Whether the whole numbers of a column differ in all rows. The two common answers are cheap. */
static ramify_status all_different(const draft *d, const ramify_column *column, double low,
                                   double high, bool *different) {
    size_t rows = d->table->rows, slots = 64;
    *different = false;
    if (high - low < (double)(rows - 1))
        return RAMIFY_OK;
    bool rising = true, falling = true;
    for (size_t r = 1; r < rows && (rising || falling); r++) {
        double before = ramify_column_value(column, r - 1), now = ramify_column_value(column, r);
        rising = rising && now > before;
        falling = falling && now < before;
    }
    *different = rising || falling;
    while (slots < 2 * rows)
        slots *= 2;
    /* A warning is not worth more memory than the table may take. */
    if (*different || slots * sizeof(double) > ramify_memory_limit(d->context))
        return RAMIFY_OK;
    double *seen = ramify_allocate(d->context, slots, sizeof *seen);
    if (!seen)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < slots; i++)
        seen[i] = (double)NAN;
    *different = fill_set(d, column, seen, slots);
    ramify_release(d->context, seen);
    return RAMIFY_OK;
}

/* Range of a column of numbers; *whole says that all are there and whole. False if none is there. */
static bool describe_numbers(const draft *d, const ramify_column *from, ramify_schema_column *to,
                             bool *whole) {
    bool any = false;
    *whole = true;
    for (size_t r = 0; r < d->table->rows; r++) {
        double value = ramify_column_value(from, r);
        if (isnan(value)) {
            to->missing = true;
            *whole = false;
            continue;
        }
        if (!any || value < to->low)
            to->low = value;
        if (!any || value > to->high)
            to->high = value;
        any = true;
        *whole = *whole && value == floor(value);
    }
    return any;
}

/* The range of an image's pixels, the first of the input columns, is that of all of them: what a single
 * one happened to show says nothing about what it may show. */
static void share_ranges(draft *d) {
    const uint32_t *image = d->table->image;
    size_t pixels = ramify_smaller((size_t)image[0] * image[1] * image[2], d->schema.column_count);
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (size_t c = 0; c < pixels; c++) {
        const ramify_schema_column *column = &d->schema.columns[c];
        if (!column->categorical) {
            low = column->low < low ? column->low : low;
            high = column->high > high ? column->high : high;
        }
    }
    for (size_t c = 0; c < pixels; c++) {
        ramify_schema_column *column = &d->schema.columns[c];
        if (!column->categorical) {
            column->low = low;
            column->high = high;
        }
    }
}

/* Describes one input column; *any is false if it has no values, *identifier true if it looks like
 * the name of a row. */
static ramify_status describe_input(draft *d, const ramify_column *from, ramify_schema_column *to,
                                    bool *any, bool *identifier) {
    size_t rows = d->table->rows;
    *to = (ramify_schema_column){.name = from->name};
    *identifier = false;
    if (from->text) {
        *any = from->text_count > 0;
        *identifier = rows > 1 && from->text_count == rows;
        return describe_texts(d, from, to);
    }
    bool whole;
    *any = describe_numbers(d, from, to, &whole);
    if (whole && rows > 1)
        return all_different(d, from, to->low, to->high, identifier);
    return RAMIFY_OK;
}

static ramify_status describe_inputs(draft *d) {
    for (size_t c = 0; c < d->table->column_count; c++) {
        if (d->not_inputs[c])
            continue;
        const ramify_column *from = &d->table->columns[c];
        ramify_schema_column *to = &d->schema.columns[d->schema.column_count++];
        bool any, identifier;
        RAMIFY_TRY(describe_input(d, from, to, &any, &identifier));
        char excerpt[RAMIFY_EXCERPT_BYTES];
        ramify_text_excerpt(from->name, strlen(from->name), excerpt);
        if (identifier)
            ramify_log(d->context, RAMIFY_LOG_WARNING,
                       "%s: column \"%s\" has a different value in every row (if it identifies "
                       "rows, leave it out with --drop %s)",
                       d->table->source, excerpt, excerpt);
        if (!any) {
            ramify_log(d->context, RAMIFY_LOG_WARNING,
                       "%s: column \"%s\" has no values and is not used", d->table->source,
                       excerpt);
            ramify_release(d->context, to->categories);
            d->schema.column_count--;
        }
    }
    if (d->schema.column_count == 0)
        return ramify_fail(d->context, RAMIFY_ERROR_DATA, "%s: no column is left to predict from",
                           d->table->source);
    share_ranges(d);
    return RAMIFY_OK;
}

/* ---- targets ---- */

static ramify_status fail_too_many_classes(const draft *d, const ramify_column *target) {
    return ramify_fail(d->context, RAMIFY_ERROR_LIMIT,
                       "%s: target \"%s\" has more than %d classes (is this a regression, or the "
                       "wrong column?)",
                       d->table->source, target->name, RAMIFY_CLASSES_MAX);
}

static int compare_as_numbers(const void *a, const void *b) {
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    double x = 0, y = 0;
    ramify_number_parse(left, strlen(left), &x);
    ramify_number_parse(right, strlen(right), &y);
    if (x != y)
        return x < y ? -1 : 1;
    return strcmp(left, right);
}

static int compare_bytewise(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ramify_status classes_of_texts(draft *d, const ramify_column *target) {
    if (target->text_count > RAMIFY_CLASSES_MAX)
        return fail_too_many_classes(d, target);
    d->schema.classes = ramify_allocate(d->context, target->text_count, sizeof *d->schema.classes);
    if (!d->schema.classes)
        return RAMIFY_ERROR_MEMORY;
    bool numbers = true;
    for (uint32_t i = 0; i < target->text_count; i++) {
        double value;
        size_t length = strlen(target->texts[i]);
        if (length > RAMIFY_NAME_BYTES)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                               "%s: a class of target \"%s\" has a name of %zu bytes, more than "
                               "the %d allowed",
                               d->table->source, target->name, length, RAMIFY_NAME_BYTES);
        numbers = numbers && ramify_number_parse(target->texts[i], length, &value);
        d->schema.classes[i] = target->texts[i];
    }
    d->schema.class_count = target->text_count;
    if (target->text_count > 1)
        qsort(d->schema.classes, target->text_count, sizeof *d->schema.classes,
              numbers ? compare_as_numbers : compare_bytewise);
    return RAMIFY_OK;
}

static ramify_status classes_of_numbers(draft *d, const ramify_column *target) {
    double *values = ramify_allocate(d->context, RAMIFY_CLASSES_MAX, sizeof *values);
    if (!values)
        return RAMIFY_ERROR_MEMORY;
    uint32_t count = 0;
    ramify_status status = RAMIFY_OK;
    for (size_t r = 0; r < d->table->rows && status == RAMIFY_OK; r++) {
        double value = ramify_column_value(target, r);
        if (isnan(value))
            continue;
        uint32_t low = 0, high = count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (values[middle] < value)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < count && values[low] == value)
            continue;
        if (count == RAMIFY_CLASSES_MAX) {
            status = fail_too_many_classes(d, target);
            break;
        }
        memmove(values + low + 1, values + low, (count - low) * sizeof *values);
        values[low] = value;
        count++;
    }
    if (status == RAMIFY_OK) {
        d->schema.classes = ramify_allocate(d->context, count, sizeof *d->schema.classes);
        d->class_numbers = ramify_allocate(d->context, count, RAMIFY_NUMBER_BYTES);
        if (!d->schema.classes || !d->class_numbers)
            status = RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < count && status == RAMIFY_OK; i++) {
        d->schema.classes[i] = d->class_numbers + (size_t)i * RAMIFY_NUMBER_BYTES;
        ramify_number_format(values[i], d->schema.classes[i]);
        d->schema.class_count = i + 1;
    }
    ramify_release(d->context, values);
    return status;
}

static ramify_status describe_classes(draft *d) {
    const ramify_column *target = &d->table->columns[d->targets[0]];
    if (d->schema.target_count > 1)
        return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                           "%s: a classification has one target, here are %" PRIu32
                           " (train a model for each)",
                           d->table->source, d->schema.target_count);
    RAMIFY_TRY(target->text ? classes_of_texts(d, target) : classes_of_numbers(d, target));
    if (d->schema.class_count < 2)
        return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                           "%s: target \"%s\" has %s (a classification needs two classes or more)",
                           d->table->source, target->name,
                           d->schema.class_count ? "the same class in every row" : "no values");
    return RAMIFY_OK;
}

static ramify_status check_regression(draft *d) {
    for (uint32_t t = 0; t < d->schema.target_count; t++) {
        const ramify_column *target = &d->table->columns[d->targets[t]];
        if (target->text)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                               "%s: target \"%s\" holds texts, which a regression cannot predict "
                               "(use --task classification)",
                               d->table->source, target->name);
        size_t r = 0;
        while (r < d->table->rows && isnan(ramify_column_value(target, r)))
            r++;
        if (r == d->table->rows)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA, "%s: target \"%s\" has no values",
                               d->table->source, target->name);
    }
    return RAMIFY_OK;
}

static ramify_status describe_targets(draft *d) {
    const char *task = d->request->task;
    bool classes = false;
    for (uint32_t t = 0; t < d->schema.target_count; t++)
        classes = classes || d->table->columns[d->targets[t]].text;
    if (task) {
        classes = strcmp(task, "classification") == 0;
        if (!classes && strcmp(task, "regression") != 0) {
            char excerpt[RAMIFY_EXCERPT_BYTES];
            return ramify_fail(d->context, RAMIFY_ERROR_ARGUMENT,
                               "task \"%s\" is neither regression nor classification",
                               ramify_text_excerpt(task, strlen(task), excerpt));
        }
    }
    d->schema.task = classes ? RAMIFY_TASK_CLASSIFICATION : RAMIFY_TASK_REGRESSION;
    return classes ? describe_classes(d) : check_regression(d);
}

/* ---- the call ---- */

static ramify_status prepare(draft *d) {
    size_t columns = d->table->column_count;
    d->names = ramify_allocate(d->context, columns, sizeof *d->names);
    d->not_inputs = ramify_allocate_zeroed(d->context, columns, sizeof *d->not_inputs);
    d->targets = ramify_allocate(d->context, RAMIFY_TARGETS_MAX, sizeof *d->targets);
    d->schema.targets = ramify_allocate(d->context, RAMIFY_TARGETS_MAX, sizeof *d->schema.targets);
    d->schema.columns = ramify_allocate_zeroed(d->context, columns, sizeof *d->schema.columns);
    if (!d->names || !d->not_inputs || !d->targets || !d->schema.targets || !d->schema.columns)
        return RAMIFY_ERROR_MEMORY;
    for (size_t c = 0; c < columns; c++)
        d->names[c] = (ramify_name){.text = d->table->columns[c].name, .index = c};
    ramify_names_sort(d->names, columns);
    d->schema.named = d->table->named;
    return RAMIFY_OK;
}

static ramify_status infer(draft *d) {
    RAMIFY_TRY(prepare(d));
    RAMIFY_TRY(find_targets(d));
    RAMIFY_TRY(set_aside(d, d->request->drop, "drop"));
    RAMIFY_TRY(set_aside(d, d->request->weight, "weight"));
    RAMIFY_TRY(set_aside(d, d->request->group, "group"));
    RAMIFY_TRY(set_aside(d, d->request->time, "time"));
    RAMIFY_TRY(describe_targets(d));
    return describe_inputs(d);
}

ramify_status ramify_schema_infer(ramify_context *context, const ramify_table *table,
                                  const ramify_schema_request *request, ramify_schema **schema) {
    draft d = {.context = context, .table = table, .request = request};
    ramify_status status = infer(&d);
    if (status == RAMIFY_OK)
        status = ramify_schema_pack(context, &d.schema, schema);
    for (uint32_t c = 0; c < d.schema.column_count; c++)
        ramify_release(context, d.schema.columns[c].categories);
    ramify_release(context, d.schema.columns);
    ramify_release(context, d.schema.targets);
    ramify_release(context, d.schema.classes);
    ramify_release(context, d.class_numbers);
    ramify_release(context, d.names);
    ramify_release(context, d.targets);
    ramify_release(context, d.not_inputs);
    return status;
}

uint32_t ramify_schema_warn_of_constants(ramify_context *context, const ramify_table *table,
                                         const ramify_schema *schema) {
    uint32_t count = 0, first = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const ramify_schema_column *column = &schema->columns[c];
        bool same = column->categorical ? column->category_count == 1 : column->low >= column->high;
        if (!same || column->missing)
            continue;
        first = count++ == 0 ? c : first;
    }
    char name[RAMIFY_EXCERPT_BYTES];
    if (count > 0)
        ramify_log(
            context, RAMIFY_LOG_WARNING,
            "%s: %u of %u columns hold the same value in all rows and tell nothing (the first "
            "is \"%s\")",
            table->source, count, schema->column_count,
            ramify_text_excerpt(schema->columns[first].name, strlen(schema->columns[first].name),
                                name));
    return count;
}

/* Making a schema from a training table, or from the summary of one that is read in parts. The draft's
 * texts are theirs; packing copies them. */

#include "memory.h"
#include "number.h"
#include "roles.h"
#include "status.h"
#include "summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct draft {
    ramify_context *context;
    const ramify_table *table;     /* the whole, or a part of it */
    const ramify_summary *summary; /* of all parts; NULL: the table is whole */
    uint64_t rows;                 /* of the whole */
    ramify_roles roles;
    char *class_numbers; /* class_count texts of RAMIFY_NUMBER_BYTES, for numeric classes */
    ramify_schema schema;
} draft;

/* What is to be known of table column c: of the summary, or found out now. ramify_summary_column_release
 * of what came from the table. */
static ramify_status look(const draft *d, size_t c, ramify_summary_need need,
                          ramify_summary_column *column) {
    if (!d->summary)
        return ramify_summary_column_make(d->context, d->table, c, need, true, column);
    *column = d->summary->columns[c];
    return RAMIFY_OK;
}

static void look_away(const draft *d, ramify_summary_column *column) {
    if (!d->summary)
        ramify_summary_column_release(d->context, column);
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

static ramify_status describe_texts(const draft *d, const ramify_summary_column *from,
                                    ramify_schema_column *to) {
    to->categorical = true;
    category_count *counts = ramify_allocate(d->context, from->text_count, sizeof *counts);
    to->categories = ramify_allocate(d->context, RAMIFY_CATEGORIES, sizeof *to->categories);
    if (!counts || !to->categories) {
        ramify_release(d->context, counts);
        return RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < from->text_count; i++)
        counts[i] = (category_count){.code = i, .count = from->counts[i]};
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

/* Describes input column c of the table; *any is false if it has no values, *identifier true if it looks
 * like the name of a row. */
static ramify_status describe_input(draft *d, size_t c, ramify_schema_column *to, bool *any,
                                    bool *identifier) {
    const ramify_column *from = &d->table->columns[c];
    ramify_summary_column seen;
    *to = (ramify_schema_column){.name = from->name};
    RAMIFY_TRY(look(d, c, RAMIFY_SUMMARY_INPUT, &seen));
    *any = seen.any;
    to->missing = seen.missing;
    to->low = seen.low;
    to->high = seen.high;
    *identifier =
        d->rows > 1 && (from->text ? seen.text_count == d->rows
                                   : seen.whole && (seen.rising || seen.falling || seen.different));
    ramify_status status = from->text ? describe_texts(d, &seen, to) : RAMIFY_OK;
    look_away(d, &seen);
    return status;
}

static ramify_status describe_inputs(draft *d) {
    for (size_t c = 0; c < d->table->column_count; c++) {
        if (d->roles.not_inputs[c])
            continue;
        const ramify_column *from = &d->table->columns[c];
        ramify_schema_column *to = &d->schema.columns[d->schema.column_count++];
        bool any, identifier;
        RAMIFY_TRY(describe_input(d, c, to, &any, &identifier));
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

static ramify_status classes_of_texts(draft *d, const ramify_column *target,
                                      const ramify_summary_column *seen) {
    if (seen->text_count > RAMIFY_CLASSES_MAX)
        return fail_too_many_classes(d, target);
    d->schema.classes = ramify_allocate(d->context, seen->text_count, sizeof *d->schema.classes);
    if (!d->schema.classes)
        return RAMIFY_ERROR_MEMORY;
    bool numbers = true;
    for (uint32_t i = 0; i < seen->text_count; i++) {
        double value;
        size_t length = strlen(seen->texts[i]);
        if (length > RAMIFY_NAME_BYTES)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                               "%s: a class of target \"%s\" has a name of %zu bytes, more than "
                               "the %d allowed",
                               d->table->source, target->name, length, RAMIFY_NAME_BYTES);
        numbers = numbers && ramify_number_parse(seen->texts[i], length, &value);
        d->schema.classes[i] = seen->texts[i];
    }
    d->schema.class_count = seen->text_count;
    if (seen->text_count > 1)
        qsort(d->schema.classes, seen->text_count, sizeof *d->schema.classes,
              numbers ? compare_as_numbers : compare_bytewise);
    return RAMIFY_OK;
}

static ramify_status classes_of_numbers(draft *d, const ramify_column *target,
                                        const ramify_summary_column *seen) {
    if (seen->more_classes)
        return fail_too_many_classes(d, target);
    d->schema.classes = ramify_allocate(d->context, seen->class_count, sizeof *d->schema.classes);
    d->class_numbers = ramify_allocate(d->context, seen->class_count, RAMIFY_NUMBER_BYTES);
    if (!d->schema.classes || !d->class_numbers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < seen->class_count; i++) {
        d->schema.classes[i] = d->class_numbers + (size_t)i * RAMIFY_NUMBER_BYTES;
        ramify_number_format(seen->classes[i], d->schema.classes[i]);
        d->schema.class_count = i + 1;
    }
    return RAMIFY_OK;
}

static ramify_status describe_classes(draft *d) {
    size_t c = d->roles.targets[0];
    const ramify_column *target = &d->table->columns[c];
    if (d->schema.target_count > 1)
        return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                           "%s: a classification has one target, here are %" PRIu32
                           " (train a model for each)",
                           d->table->source, d->schema.target_count);
    ramify_summary_column seen;
    RAMIFY_TRY(look(d, c, RAMIFY_SUMMARY_CLASSES, &seen));
    ramify_status status =
        target->text ? classes_of_texts(d, target, &seen) : classes_of_numbers(d, target, &seen);
    look_away(d, &seen);
    RAMIFY_TRY(status);
    if (d->schema.class_count < 2)
        return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                           "%s: target \"%s\" has %s (a classification needs two classes or more)",
                           d->table->source, target->name,
                           d->schema.class_count ? "the same class in every row" : "no values");
    return RAMIFY_OK;
}

static ramify_status check_regression(draft *d) {
    for (uint32_t t = 0; t < d->schema.target_count; t++) {
        size_t c = d->roles.targets[t];
        const ramify_column *target = &d->table->columns[c];
        if (target->text)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                               "%s: target \"%s\" holds texts, which a regression cannot predict "
                               "(use --task classification)",
                               d->table->source, target->name);
        ramify_summary_column seen;
        RAMIFY_TRY(look(d, c, RAMIFY_SUMMARY_ANY, &seen));
        look_away(d, &seen);
        if (!seen.any)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA, "%s: target \"%s\" has no values",
                               d->table->source, target->name);
    }
    return RAMIFY_OK;
}

static ramify_status describe_targets(draft *d, const char *task) {
    bool classes = false;
    for (uint32_t t = 0; t < d->schema.target_count; t++)
        classes = classes || d->table->columns[d->roles.targets[t]].text;
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

static ramify_status infer(draft *d, const ramify_schema_request *request) {
    RAMIFY_TRY(ramify_roles_find(d->context, d->table, request, &d->roles));
    d->schema.target_count = d->roles.target_count;
    d->schema.targets =
        ramify_allocate(d->context, d->schema.target_count, sizeof *d->schema.targets);
    d->schema.columns =
        ramify_allocate_zeroed(d->context, d->table->column_count, sizeof *d->schema.columns);
    if (!d->schema.targets || !d->schema.columns)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t t = 0; t < d->schema.target_count; t++)
        d->schema.targets[t] = d->table->columns[d->roles.targets[t]].name;
    d->schema.named = d->table->named;
    RAMIFY_TRY(describe_targets(d, request->task));
    return describe_inputs(d);
}

static ramify_status make_schema(draft *d, const ramify_schema_request *request,
                                 ramify_schema **schema) {
    ramify_status status = infer(d, request);
    if (status == RAMIFY_OK)
        status = ramify_schema_pack(d->context, &d->schema, schema);
    for (uint32_t c = 0; c < d->schema.column_count; c++)
        ramify_release(d->context, d->schema.columns[c].categories);
    ramify_release(d->context, d->schema.columns);
    ramify_release(d->context, d->schema.targets);
    ramify_release(d->context, d->schema.classes);
    ramify_release(d->context, d->class_numbers);
    ramify_roles_release(d->context, &d->roles);
    return status;
}

ramify_status ramify_schema_infer(ramify_context *context, const ramify_table *table,
                                  const ramify_schema_request *request, ramify_schema **schema) {
    if (table->whole) /* a part, which knows of the others */
        return ramify_summary_infer(context, table, request, table->whole, schema);
    draft d = {.context = context, .table = table, .rows = table->rows};
    return make_schema(&d, request, schema);
}

ramify_status ramify_summary_infer(ramify_context *context, const ramify_table *table,
                                   const ramify_schema_request *request,
                                   const ramify_summary *summary, ramify_schema **schema) {
    draft d = {.context = context, .table = table, .summary = summary, .rows = summary->rows};
    return make_schema(&d, request, schema);
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

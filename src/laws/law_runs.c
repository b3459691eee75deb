#include "law_runs.h"
#include "memory.h"
#include "number.h"
#include "progress.h"
#include "status.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONDITIONS_MAX 16

typedef enum comparison { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL } comparison;

typedef struct condition {
    const ramify_column *column;
    comparison how;
    double number;
    const char *text; /* for a column of texts */
} condition;

/* Columns that the request names. */
typedef struct columns {
    const ramify_column *x[RAMIFY_LAW_VARIABLES_MAX], *y, *weight, *by[RAMIFY_LAW_BY_MAX];
    uint32_t x_count, by_count;
    condition where[CONDITIONS_MAX];
    uint32_t where_count;
} columns;

/* One usable row. */
typedef struct usable {
    uint32_t group;
    bool fits;
    size_t row;
    double ln_x[RAMIFY_LAW_VARIABLES_MAX], ln_y, weight;
} usable;

static ramify_status find_column(ramify_context *context, const ramify_table *table,
                                 const char *what, const char *name, size_t length,
                                 const ramify_column **column) {
    size_t index = ramify_table_find(table, name, length);
    char excerpt[RAMIFY_EXCERPT_BYTES];
    if (index == SIZE_MAX)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: %s names \"%s\", and there is no such "
                           "column",
                           table->source, what, ramify_text_excerpt(name, length, excerpt));
    *column = &table->columns[index];
    return RAMIFY_OK;
}

static ramify_status find_number(ramify_context *context, const ramify_table *table,
                                 const char *what, const char *name, size_t length,
                                 const ramify_column **column) {
    RAMIFY_TRY(find_column(context, table, what, name, length, column));
    char excerpt[RAMIFY_EXCERPT_BYTES];
    if ((*column)->text)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: column \"%s\" (%s) holds words, numbers are needed", table->source,
                           ramify_text_excerpt(name, length, excerpt), what);
    return RAMIFY_OK;
}

static ramify_status find_x(ramify_context *context, const ramify_table *table,
                            const ramify_law_form *form, const char *list, columns *c) {
    const char *name;
    size_t length;
    bool derived = strcmp(form->name, "pruning-joint") == 0; /* the fourth may be left out */
    while (ramify_list_next(&list, &name, &length)) {
        if (c->x_count == form->variables)
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                               "the form %s has %u variables, x names more", form->name,
                               form->variables);
        RAMIFY_TRY(find_number(context, table, "x", name, length, &c->x[c->x_count++]));
    }
    if (c->x_count == form->variables || (derived && c->x_count + 1 == form->variables))
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                       "the form %s needs %u columns as x (the next one: %s), %u are named",
                       form->name, form->variables, form->role[c->x_count], c->x_count);
}

/* NAME OP VALUE, the operator being the first of = < <= > >=. */
static ramify_status parse_condition(ramify_context *context, const ramify_table *table,
                                     const char *text, condition *made) {
    size_t at = strcspn(text, "=<>");
    if (text[at] == '\0' || at == 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "\"%s\" is no condition: COLUMN=VALUE, or with <, <=, > or >=", text);
    size_t length = at;
    while (length > 0 && text[length - 1] == ' ')
        length--;
    bool equal = text[at] != '=' && text[at + 1] == '=';
    made->how = text[at] == '='   ? EQUAL
                : text[at] == '<' ? (equal ? LESS_EQUAL : LESS)
                                  : (equal ? GREATER_EQUAL : GREATER);
    const char *value = text + at + 1 + equal;
    value += strspn(value, " ");
    RAMIFY_TRY(find_column(context, table, "the condition", text, length, &made->column));
    made->text = value;
    if (made->column->text && made->how != EQUAL)
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "\"%s\": the column holds words, which can only be compared with =", text);
    if (!made->column->text &&
        (!ramify_number_parse(value, strlen(value), &made->number) || isnan(made->number)))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "\"%s\": \"%s\" is not a number", text,
                           value);
    return RAMIFY_OK;
}

static ramify_status find_columns(ramify_context *context, const ramify_table *table,
                                  const ramify_law_form *form, const ramify_law_request *request,
                                  columns *c) {
    const char *name, *list = request->by;
    size_t length;
    RAMIFY_TRY(find_x(context, table, form, request->x, c));
    RAMIFY_TRY(find_number(context, table, "y", request->y, strlen(request->y), &c->y));
    if (request->weight)
        RAMIFY_TRY(find_number(context, table, "weight", request->weight, strlen(request->weight),
                               &c->weight));
    while (ramify_list_next(&list, &name, &length)) {
        if (c->by_count == RAMIFY_LAW_BY_MAX)
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "by names more than %d columns",
                               RAMIFY_LAW_BY_MAX);
        RAMIFY_TRY(find_column(context, table, "by", name, length, &c->by[c->by_count++]));
    }
    if (request->where_count > CONDITIONS_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%u conditions, %d are the most",
                           request->where_count, CONDITIONS_MAX);
    for (uint32_t i = 0; i < request->where_count; i++)
        RAMIFY_TRY(parse_condition(context, table, request->where[i], &c->where[c->where_count++]));
    return RAMIFY_OK;
}

static bool holds(const condition *c, size_t row) {
    if (ramify_column_missing(c->column, row))
        return false;
    if (c->column->text)
        return strcmp(c->column->texts[c->column->codes[row]], c->text) == 0;
    double value = ramify_column_value(c->column, row);
    switch (c->how) {
    case EQUAL:
        return value == c->number;
    case LESS:
        return value < c->number;
    case LESS_EQUAL:
        return value <= c->number;
    case GREATER:
        return value > c->number;
    case GREATER_EQUAL:
        return value >= c->number;
    }
    return false;
}

/* The number of a row, which has to be above 0 (a weight: not below). */
static ramify_status positive(ramify_context *context, const ramify_table *table,
                              const ramify_column *column, size_t row, bool zero_too,
                              double *value) {
    *value = ramify_column_value(column, row);
    if (*value > 0 || (zero_too && *value == 0))
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "%s: column \"%s\": row %zu has %.9g, and laws are of numbers above 0: "
                       "leave the row out, or give errors in place of accuracies",
                       table->source, column->name, row + 1, *value);
}

static bool has_gap(const columns *c, size_t row) {
    bool gap =
        ramify_column_missing(c->y, row) || (c->weight && ramify_column_missing(c->weight, row));
    for (uint32_t v = 0; v < c->x_count; v++)
        gap = gap || ramify_column_missing(c->x[v], row);
    for (uint32_t b = 0; b < c->by_count; b++)
        gap = gap || ramify_column_missing(c->by[b], row);
    return gap;
}

static ramify_status read_row(ramify_context *context, const ramify_table *table, const columns *c,
                              size_t row, usable *made) {
    double value;
    *made = (usable){.row = row, .fits = true, .weight = 1};
    for (uint32_t v = 0; v < c->x_count; v++) {
        RAMIFY_TRY(positive(context, table, c->x[v], row, false, &value));
        made->ln_x[v] = log(value);
    }
    RAMIFY_TRY(positive(context, table, c->y, row, false, &value));
    made->ln_y = log(value);
    if (c->weight)
        RAMIFY_TRY(positive(context, table, c->weight, row, true, &made->weight));
    for (uint32_t i = 0; i < c->where_count; i++)
        made->fits = made->fits && holds(&c->where[i], row);
    return RAMIFY_OK;
}

static bool same_group(const columns *c, size_t a, size_t b) {
    for (uint32_t i = 0; i < c->by_count; i++) {
        const ramify_column *column = c->by[i];
        if (column->text ? column->codes[a] != column->codes[b]
                         : ramify_column_value(column, a) != ramify_column_value(column, b))
            return false;
    }
    return true;
}

/* Group of a row: the last one's, as tables are mostly in order, or the first that is the same. */
static uint32_t group_of(const columns *c, size_t row, const size_t *first, uint32_t count,
                         uint32_t last) {
    if (count > 0 && same_group(c, first[last], row))
        return last;
    uint32_t group = 0;
    while (group < count && !same_group(c, first[group], row))
        group++;
    return group;
}

static int compare_usable(const void *a, const void *b) {
    const usable *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->ln_x[0] != y->ln_x[0])
        return x->ln_x[0] < y->ln_x[0] ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool repeats(const usable *a, const usable *b) {
    bool same = a->group == b->group && a->ln_y == b->ln_y && a->weight == b->weight;
    for (uint32_t v = 0; v < RAMIFY_LAW_VARIABLES_MAX; v++)
        same = same && a->ln_x[v] == b->ln_x[v];
    return same;
}

/* Marks exact repeats with weight -1: rows of a group with the same first variable lie together. */
static uint32_t mark_repeats(usable *rows, size_t count) {
    uint32_t marked = 0;
    for (size_t i = 1; i < count; i++)
        for (size_t j = i;
             j > 0 && rows[j - 1].group == rows[i].group && rows[j - 1].ln_x[0] == rows[i].ln_x[0];
             j--)
            if (rows[j - 1].weight >= 0 && repeats(&rows[j - 1], &rows[i])) {
                rows[i].weight = -1;
                marked++;
                break;
            }
    return marked;
}

/* ln of the mean error without pruning of the same depth and width. */
static ramify_status derive_dense(ramify_context *context, const ramify_table *table, usable *rows,
                                  size_t count) {
    for (size_t i = 0; i < count; i++) {
        double sum = 0, found = 0;
        for (size_t j = 0; j < count; j++)
            if (rows[j].group == rows[i].group && rows[j].ln_x[0] == rows[i].ln_x[0] &&
                rows[j].ln_x[1] == rows[i].ln_x[1] && rows[j].ln_x[2] == 0) {
                sum += exp(rows[j].ln_y);
                found++;
            }
        if (found == 0)
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "%s: row %zu: no run of the same depth and width has density 1, so "
                               "its error without pruning is not known: add that run, or name a "
                               "fourth column of such errors in x",
                               table->source, rows[i].row + 1);
        rows[i].ln_x[3] = log(sum / found);
    }
    return RAMIFY_OK;
}

static ramify_status fill_side(ramify_context *context, const usable *rows, size_t count,
                               uint32_t variables, bool weighted, bool fits, ramify_runs *runs) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += rows[i].fits == fits && rows[i].weight >= 0;
    double *ln_x = ramify_allocate(context, kept * variables, sizeof *ln_x);
    double *ln_y = ramify_allocate(context, kept, sizeof *ln_y);
    double *weight = ramify_allocate(context, kept, sizeof *weight);
    *runs = (ramify_runs){.count = kept, .variables = variables, .ln_x = ln_x, .ln_y = ln_y};
    if (!ln_x || !ln_y || !weight) {
        ramify_release(context, weight);
        return RAMIFY_ERROR_MEMORY;
    }
    kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].fits != fits || rows[i].weight < 0)
            continue;
        memcpy(ln_x + kept * variables, rows[i].ln_x, variables * sizeof *ln_x);
        ln_y[kept] = rows[i].ln_y;
        weight[kept] = rows[i].weight;
        kept++;
    }
    if (weighted)
        runs->weight = weight;
    else
        ramify_release(context, weight);
    return RAMIFY_OK;
}

static char *by_text(ramify_context *context, const ramify_column *column, size_t row) {
    if (column->text)
        return ramify_copy_text(context, column->texts[column->codes[row]]);
    char text[RAMIFY_NUMBER_BYTES];
    ramify_number_format(ramify_column_value(column, row), text);
    return ramify_copy_text(context, text);
}

static ramify_status fill_groups(ramify_context *context, const ramify_table *table,
                                 const columns *c, uint32_t variables, usable *rows, size_t count,
                                 ramify_law_groups *made) {
    for (size_t first = 0, end; first < count; first = end) {
        end = first + 1;
        while (end < count && rows[end].group == rows[first].group)
            end++;
        ramify_law_group *group = &made->group[rows[first].group];
        group->duplicates = mark_repeats(rows + first, end - first);
        for (uint32_t b = 0; b < c->by_count; b++) {
            group->by[b] = by_text(context, c->by[b], rows[first].row);
            if (!group->by[b])
                return RAMIFY_ERROR_MEMORY;
        }
        if (variables > c->x_count)
            RAMIFY_TRY(derive_dense(context, table, rows + first, end - first));
        RAMIFY_TRY(fill_side(context, rows + first, end - first, variables, c->weight != NULL, true,
                             &group->fit));
        RAMIFY_TRY(fill_side(context, rows + first, end - first, variables, c->weight != NULL,
                             false, &group->heldout));
    }
    return RAMIFY_OK;
}

static ramify_status copy_names(ramify_context *context, const columns *c,
                                const ramify_law_form *form, ramify_law_groups *made) {
    made->by_count = c->by_count;
    made->y_name = ramify_copy_text(context, c->y->name);
    bool good = made->y_name != NULL;
    for (uint32_t v = 0; good && v < form->variables; v++) {
        made->x_name[v] = ramify_copy_text(context, v < c->x_count ? c->x[v]->name : "dense_error");
        good = made->x_name[v] != NULL;
    }
    for (uint32_t b = 0; good && b < c->by_count; b++) {
        made->by_name[b] = ramify_copy_text(context, c->by[b]->name);
        good = made->by_name[b] != NULL;
    }
    return good ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static void warn(ramify_context *context, const ramify_table *table,
                 const ramify_law_groups *made) {
    uint64_t duplicates = 0;
    for (uint32_t g = 0; g < made->count; g++)
        duplicates += made->group[g].duplicates;
    if (made->skipped > 0)
        ramify_log(context, RAMIFY_LOG_WARNING, "%s: %llu runs with a gap are left out",
                   table->source, (unsigned long long)made->skipped);
    if (duplicates > 0)
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "%s: %llu runs repeat another one exactly and are left out", table->source,
                   (unsigned long long)duplicates);
}

static ramify_status read_groups(ramify_context *context, const ramify_table *table,
                                 const ramify_law_form *form, const columns *c, usable *rows,
                                 size_t *first, ramify_law_groups *made) {
    size_t count = 0;
    uint32_t last = 0;
    for (size_t row = 0; row < table->rows; row++) {
        if (has_gap(c, row)) {
            made->skipped++;
            continue;
        }
        RAMIFY_TRY(read_row(context, table, c, row, &rows[count]));
        uint32_t group = group_of(c, row, first, made->count, last);
        if (group == made->count)
            first[made->count++] = row;
        rows[count++].group = last = group;
    }
    if (count == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: no run has all its numbers: fill them "
                           "in",
                           table->source);
    qsort(rows, count, sizeof *rows, compare_usable);
    made->group = ramify_allocate_zeroed(context, made->count, sizeof *made->group);
    if (!made->group)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(copy_names(context, c, form, made));
    RAMIFY_TRY(fill_groups(context, table, c, form->variables, rows, count, made));
    warn(context, table, made);
    return RAMIFY_OK;
}

ramify_status ramify_law_groups_read(ramify_context *context, const ramify_table *table,
                                     const ramify_law_form *form, const ramify_law_request *request,
                                     ramify_law_groups **groups) {
    columns c = {.x_count = 0};
    *groups = NULL;
    RAMIFY_TRY(find_columns(context, table, form, request, &c));
    ramify_law_groups *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    usable *rows = ramify_allocate(context, table->rows, sizeof *rows);
    size_t *first = ramify_allocate(context, table->rows, sizeof *first);
    ramify_status status = made && rows && first ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = read_groups(context, table, form, &c, rows, first, made);
    ramify_release(context, rows);
    ramify_release(context, first);
    if (status == RAMIFY_OK)
        *groups = made;
    else
        ramify_law_groups_destroy(context, &made);
    return status;
}

static void release_runs(ramify_context *context, ramify_runs *runs) {
    const double *const arrays[] = {runs->ln_x, runs->ln_y, runs->weight};
    for (size_t i = 0; i < 3; i++) {
        void *memory;
        memcpy(&memory, &arrays[i], sizeof memory); /* ours, though runs only read them */
        ramify_release(context, memory);
    }
}

void ramify_law_groups_destroy(ramify_context *context, ramify_law_groups **groups) {
    if (!*groups)
        return;
    ramify_law_groups *old = *groups;
    *groups = NULL;
    for (uint32_t g = 0; old->group && g < old->count; g++) {
        for (uint32_t b = 0; b < RAMIFY_LAW_BY_MAX; b++)
            ramify_release(context, old->group[g].by[b]);
        release_runs(context, &old->group[g].fit);
        release_runs(context, &old->group[g].heldout);
    }
    for (uint32_t b = 0; b < RAMIFY_LAW_BY_MAX; b++)
        ramify_release(context, old->by_name[b]);
    for (uint32_t v = 0; v < RAMIFY_LAW_VARIABLES_MAX; v++)
        ramify_release(context, old->x_name[v]);
    ramify_release(context, old->y_name);
    ramify_release(context, old->group);
    ramify_release(context, old);
}

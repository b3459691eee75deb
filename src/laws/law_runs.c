#include "law_runs.h"
#include "law_classes.h"
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
    const ramify_column *x[RAMIFY_LAW_VARIABLES_MAX], *y, *weight, *cost, *by[RAMIFY_LAW_BY_MAX];
    uint32_t x_count, by_count;
    condition where[CONDITIONS_MAX];
    uint32_t where_count;
} columns;

/* One usable row. */
typedef struct usable {
    uint32_t group;
    bool fits;
    size_t row;
    double x[RAMIFY_LAW_VARIABLES_MAX], y; /* as given */
    double ln_x[RAMIFY_LAW_VARIABLES_MAX], ln_y, weight, cost;
} usable;

/* True where some column's name is one that has to be quoted. */
static bool has_signs(const ramify_table *table) {
    for (size_t c = 0; c < table->column_count; c++)
        if (strpbrk(table->columns[c].name, ",=<>"))
            return true;
    return false;
}

static ramify_status find_column(ramify_context *context, const ramify_table *table,
                                 const char *what, const char *name, size_t length,
                                 const ramify_column **column) {
    size_t index = ramify_table_find(table, name, length);
    char excerpt[RAMIFY_EXCERPT_BYTES];
    if (index == SIZE_MAX)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: %s names \"%s\", and there is no such column%s", table->source,
                           what, ramify_text_excerpt(name, length, excerpt),
                           has_signs(table) ? " (a name that holds a comma or =, < or > stands in "
                                              "double quotes)"
                                            : "");
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
                               "the form %s has %u variable%s, x names more", form->name,
                               form->variables, ramify_plural(form->variables));
        RAMIFY_TRY(find_number(context, table, "x", name, length, &c->x[c->x_count++]));
    }
    if (c->x_count == form->variables || (derived && c->x_count + 1 == form->variables))
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                       "the form %s needs %u column%s as x (the next one: %s), %u %s named",
                       form->name, form->variables, ramify_plural(form->variables),
                       form->role[c->x_count], c->x_count, c->x_count == 1 ? "is" : "are");
}

/* NAME OP VALUE, the operator being the first of = < <= > >= outside of quotes around the name. */
static ramify_status parse_condition(ramify_context *context, const ramify_table *table,
                                     const char *text, condition *made) {
    const char *name;
    size_t length;
    const char *sign = ramify_name_read(text, "=<>", &name, &length);
    if (*sign == '\0' || length == 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "\"%s\" is no condition: COLUMN=VALUE, or with <, <=, > or >=", text);
    bool equal = sign[0] != '=' && sign[1] == '=';
    made->how = sign[0] == '='   ? EQUAL
                : sign[0] == '<' ? (equal ? LESS_EQUAL : LESS)
                                 : (equal ? GREATER_EQUAL : GREATER);
    const char *value = sign + 1 + equal;
    value += strspn(value, " ");
    RAMIFY_TRY(find_column(context, table, "the condition", name, length, &made->column));
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
    if (request->cost)
        RAMIFY_TRY(
            find_number(context, table, "cost", request->cost, strlen(request->cost), &c->cost));
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

/* What a run cost; NaN where the table does not say. */
static ramify_status read_cost(ramify_context *context, const ramify_table *table,
                               const ramify_column *column, size_t row, double *cost) {
    *cost = column ? ramify_column_value(column, row) : (double)NAN;
    if (isnan(*cost) || *cost > 0)
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "%s: column \"%s\": row %zu has %.9g, and a run costs more than 0: leave "
                       "the cell empty if its cost is not known",
                       table->source, column->name, row + 1, *cost);
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
    *made = (usable){.row = row, .fits = true, .weight = 1};
    for (uint32_t v = 0; v < c->x_count; v++) {
        RAMIFY_TRY(positive(context, table, c->x[v], row, false, &made->x[v]));
        made->ln_x[v] = log(made->x[v]);
    }
    RAMIFY_TRY(positive(context, table, c->y, row, false, &made->y));
    made->ln_y = log(made->y);
    if (c->weight)
        RAMIFY_TRY(positive(context, table, c->weight, row, true, &made->weight));
    for (uint32_t i = 0; i < c->where_count; i++)
        made->fits = made->fits && holds(&c->where[i], row);
    return read_cost(context, table, c->cost, row, &made->cost);
}

static int compare_usable(const void *a, const void *b) {
    const usable *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->ln_x[0] != y->ln_x[0])
        return x->ln_x[0] < y->ln_x[0] ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* By depth and width, then as they stand. */
static int compare_networks(const void *a, const void *b) {
    const usable *x = *(usable *const *)a, *y = *(usable *const *)b;
    for (int v = 0; v < 2; v++)
        if (x->x[v] != y->x[v])
            return x->x[v] < y->x[v] ? -1 : 1;
    return (x > y) - (x < y);
}

/* Of runs of one depth and width: the mean error without pruning is their fourth size. */
static ramify_status share_dense(ramify_context *context, const ramify_table *table,
                                 usable *const *rows, size_t count) {
    double sum = 0, found = 0;
    for (size_t i = 0; i < count; i++)
        if (rows[i]->x[2] == 1) {
            sum += rows[i]->y;
            found++;
        }
    if (found == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: row %zu: no run of the same depth and width has density 1, so "
                           "its error without pruning is not known: add that run, or name a "
                           "fourth column of such errors in x",
                           table->source, rows[0]->row + 1);
    for (size_t i = 0; i < count; i++) {
        rows[i]->x[3] = sum / found;
        rows[i]->ln_x[3] = log(rows[i]->x[3]);
    }
    return RAMIFY_OK;
}

/* Of the runs of a group. */
static ramify_status derive_dense(ramify_context *context, const ramify_table *table, usable *rows,
                                  size_t count) {
    usable **sorted = ramify_allocate(context, count, sizeof *sorted);
    if (!sorted)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &rows[i];
    qsort(sorted, count, sizeof *sorted, compare_networks);
    ramify_status status = RAMIFY_OK;
    for (size_t first = 0, end; first < count && status == RAMIFY_OK; first = end) {
        for (end = first + 1; end < count && sorted[end]->x[0] == sorted[first]->x[0] &&
                              sorted[end]->x[1] == sorted[first]->x[1];)
            end++;
        status = share_dense(context, table, sorted + first, end - first);
    }
    ramify_release(context, sorted);
    return status;
}

static ramify_status fill_points(ramify_context *context, const usable *rows, size_t count,
                                 uint32_t variables, bool with_costs, ramify_law_group *group) {
    group->x = ramify_allocate(context, count * variables, sizeof *group->x);
    group->y = ramify_allocate(context, count, sizeof *group->y);
    group->fitted = ramify_allocate(context, count, sizeof *group->fitted);
    if (with_costs)
        group->cost = ramify_allocate(context, count, sizeof *group->cost);
    if (!group->x || !group->y || !group->fitted || (with_costs && !group->cost))
        return RAMIFY_ERROR_MEMORY;
    group->points = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(group->x + i * variables, rows[i].x, variables * sizeof *group->x);
        group->y[i] = rows[i].y;
        group->fitted[i] = rows[i].fits;
        if (with_costs)
            group->cost[i] = rows[i].cost;
    }
    return RAMIFY_OK;
}

static ramify_status fill_side(ramify_context *context, const usable *rows, size_t count,
                               uint32_t variables, bool weighted, bool fits, ramify_runs *runs) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += rows[i].fits == fits;
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
        if (rows[i].fits != fits)
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
        RAMIFY_TRY(
            fill_points(context, rows + first, end - first, variables, c->cost != NULL, group));
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

/* The usable rows in `rows`, their numbers in `where`. */
static ramify_status read_rows(ramify_context *context, const ramify_table *table, const columns *c,
                               usable *rows, size_t *where, size_t *count) {
    for (size_t row = 0; row < table->rows; row++) {
        if (has_gap(c, row))
            continue;
        RAMIFY_TRY(read_row(context, table, c, row, &rows[*count]));
        where[(*count)++] = row;
    }
    uint64_t skipped = table->rows - *count;
    if (*count == 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: no run has all its numbers: fill them in", table->source);
    if (skipped > 0)
        ramify_log(context, RAMIFY_LOG_WARNING, "%s: %llu run%s with a gap %s left out",
                   table->source, (unsigned long long)skipped, ramify_plural(skipped),
                   skipped == 1 ? "is" : "are");
    return RAMIFY_OK;
}

/* Leaves out rows that are the same as an earlier one in every column of the table: two runs may well
 * end with the same rounded error. number_of: room for a number per row. */
static ramify_status drop_repeats(ramify_context *context, const ramify_table *table, usable *rows,
                                  size_t *where, uint32_t *number_of, size_t *count) {
    const ramify_column **all = ramify_allocate(context, table->column_count, sizeof *all);
    if (!all)
        return RAMIFY_ERROR_MEMORY;
    for (size_t c = 0; c < table->column_count; c++)
        all[c] = &table->columns[c];
    uint32_t different;
    ramify_status status =
        ramify_law_classes(context, all, table->column_count, where, *count, number_of, &different);
    ramify_release(context, all);
    RAMIFY_TRY(status);
    size_t kept = 0, repeats = *count - different;
    for (size_t i = 0; i < *count; i++)
        if (number_of[i] == kept) { /* a class that was not there yet */
            rows[kept] = rows[i];
            where[kept++] = where[i];
        }
    *count = kept;
    if (repeats > 0)
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "%s: %zu row%s the same as another in every column, and left out (a column that "
                   "tells runs apart, such as a seed, keeps them)",
                   table->source, repeats, repeats == 1 ? " is" : "s are");
    return RAMIFY_OK;
}

/* With room for a number per row of the table. */
static ramify_status read_groups(ramify_context *context, const ramify_table *table,
                                 const ramify_law_form *form, const columns *c, usable *rows,
                                 size_t *where, uint32_t *number_of, ramify_law_groups *made) {
    size_t count = 0;
    RAMIFY_TRY(read_rows(context, table, c, rows, where, &count));
    RAMIFY_TRY(drop_repeats(context, table, rows, where, number_of, &count));
    RAMIFY_TRY(
        ramify_law_classes(context, c->by, c->by_count, where, count, number_of, &made->count));
    for (size_t i = 0; i < count; i++)
        rows[i].group = number_of[i];
    qsort(rows, count, sizeof *rows, compare_usable);
    made->group = ramify_allocate_zeroed(context, made->count, sizeof *made->group);
    if (!made->group)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(copy_names(context, c, form, made));
    return fill_groups(context, table, c, form->variables, rows, count, made);
}

ramify_status ramify_law_groups_read(ramify_context *context, const ramify_table *table,
                                     const ramify_law_form *form, const ramify_law_request *request,
                                     ramify_law_groups **groups) {
    columns c = {.x_count = 0};
    *groups = NULL;
    RAMIFY_TRY(find_columns(context, table, form, request, &c));
    ramify_law_groups *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    usable *rows = ramify_allocate(context, table->rows, sizeof *rows);
    size_t *where = ramify_allocate(context, table->rows, sizeof *where);
    uint32_t *number_of = ramify_allocate(context, table->rows, sizeof *number_of);
    ramify_status status = made && rows && where && number_of ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = read_groups(context, table, form, &c, rows, where, number_of, made);
    ramify_release(context, rows);
    ramify_release(context, where);
    ramify_release(context, number_of);
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
        ramify_release(context, old->group[g].x);
        ramify_release(context, old->group[g].y);
        ramify_release(context, old->group[g].fitted);
        ramify_release(context, old->group[g].cost);
    }
    for (uint32_t b = 0; b < RAMIFY_LAW_BY_MAX; b++)
        ramify_release(context, old->by_name[b]);
    for (uint32_t v = 0; v < RAMIFY_LAW_VARIABLES_MAX; v++)
        ramify_release(context, old->x_name[v]);
    ramify_release(context, old->y_name);
    ramify_release(context, old->group);
    ramify_release(context, old);
}

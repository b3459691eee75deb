#include "divided_sample.h"
#include "build.h"
#include "cluster.h"
#include "memory.h"
#include "status.h"

#include <math.h>
#include <string.h>

static double share_of(const ramify_divided *d, ramify_role role, double train) {
    const double wanted = role == RAMIFY_ROLE_TRAIN ? train : RAMIFY_SAMPLE_CHECKS;
    return wanted / (double)d->in_role[role];
}

/* ---- packed ---- */

/* Own rows of the sample, one after the other. */
static ramify_status choose_packed(const ramify_divided *d, double train, float **rows,
                                   size_t *count) {
    double share[RAMIFY_ROLES];
    for (int role = 0; role < RAMIFY_ROLES; role++)
        share[role] = share_of(d, (ramify_role)role, train);
    *count = 0;
    for (size_t i = 0; i < d->rows; i++) {
        const float *row = ramify_divided_row(d, i);
        *count += ramify_packed_in_share(d, row, share[ramify_packed_role(d, row)]);
    }
    *rows = ramify_allocate(d->context, *count, d->width * sizeof **rows);
    if (!*rows)
        return RAMIFY_ERROR_MEMORY;
    size_t next = 0;
    for (size_t i = 0; i < d->rows; i++) {
        const float *row = ramify_divided_row(d, i);
        if (ramify_packed_in_share(d, row, share[ramify_packed_role(d, row)]))
            memcpy(*rows + next++ * d->width, row, d->width * sizeof *row);
    }
    return RAMIFY_OK;
}

ramify_status ramify_divided_root_problem(const ramify_divided *d, double train,
                                          ramify_problem **problem) {
    ramify_context *context = d->context;
    const size_t bytes = d->width * sizeof(float);
    float *rows = NULL;
    void *all = NULL;
    size_t count = 0;
    size_t *offset =
        ramify_allocate(context, (size_t)ramify_cluster_size(context) + 1, sizeof *offset);
    ramify_cluster_phase(context, "sample for the root");
    ramify_status status = offset ? choose_packed(d, train, &rows, &count) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(context, rows, count * bytes, &all, offset);
    ramify_release(context, rows);
    if (status == RAMIFY_OK)
        status =
            ramify_packed_problem(d, all, offset[ramify_cluster_size(context)] / bytes, problem);
    ramify_release(context, all);
    ramify_release(context, offset);
    return status;
}

/* ---- as in the table ---- */

/* Numbers of a row: raw columns, targets, weight, role. */
static size_t numbers_of(const ramify_divided *d) {
    return d->stem.columns + d->from->schema->target_count + (d->from->weight != NULL) + 1;
}

static void copy_row(const ramify_divided *d, size_t row, ramify_role role, double *to) {
    const ramify_match *match = d->from->match;
    ramify_match_rows(match, NULL, row, 1, to);
    to += d->stem.columns;
    for (uint32_t t = 0; t < match->schema->target_count; t++)
        *to++ = ramify_match_target(match, t, row);
    if (d->from->weight)
        *to++ = ramify_column_value(d->from->weight, row);
    *to = role;
}

/* Own rows of the sample. Packed rows are the table's usable ones, in their order. */
static ramify_status choose_raw(const ramify_divided *d, double **rows, size_t *count) {
    const size_t numbers = numbers_of(d);
    size_t room = 0, next = 0;
    double share[RAMIFY_ROLES];
    for (int role = 0; role < RAMIFY_ROLES; role++)
        share[role] = share_of(d, (ramify_role)role, RAMIFY_SAMPLE_TRAIN);
    *rows = NULL;
    *count = 0;
    for (size_t i = 0; i < d->count; i++) {
        bool usable;
        RAMIFY_TRY(ramify_train_rows_check(d->from, d->begin + i, &usable));
        if (!usable)
            continue;
        const float *packed = ramify_divided_row(d, next++);
        const ramify_role role = ramify_packed_role(d, packed);
        if (!ramify_packed_in_share(d, packed, share[role]))
            continue;
        if (*count == room) {
            room = room ? 2 * room : 4096;
            double *grew = ramify_reallocate(d->context, *rows, room, numbers * sizeof *grew);
            if (!grew)
                return RAMIFY_ERROR_MEMORY;
            *rows = grew;
        }
        copy_row(d, d->begin + i, role, *rows + (*count)++ * numbers);
    }
    return RAMIFY_OK;
}

/* The table of the rows, which it takes over. */
static ramify_status make_table(const ramify_divided *d, double *rows, size_t count,
                                ramify_table **table) {
    const ramify_schema *schema = d->from->schema;
    const size_t numbers = numbers_of(d), columns = numbers - 1;
    ramify_table *made = NULL;
    ramify_status status =
        ramify_table_create(d->context, d->from->table->source, count, columns, &made);
    if (status != RAMIFY_OK) {
        ramify_release(d->context, rows);
        return status;
    }
    status = ramify_table_own(made, rows);
    for (size_t c = 0; status == RAMIFY_OK && c < columns; c++) {
        const char *name = d->from->weight ? d->from->weight->name : "";
        if (c < schema->column_count)
            name = schema->columns[c].name;
        else if (c < (size_t)schema->column_count + schema->target_count)
            name = schema->targets[c - schema->column_count];
        status = ramify_table_set_name(made, c, name, strlen(name));
        made->columns[c].number = RAMIFY_NUMBER_F64;
        made->columns[c].values = rows + c;
        made->columns[c].stride = numbers * sizeof *rows;
        made->columns[c].scale = 1;
    }
    made->named = true;
    if (status == RAMIFY_OK)
        *table = made;
    else
        ramify_table_destroy(&made);
    return status;
}

/* Which of the rows are for what. */
static ramify_status divide(ramify_divided_sample *s, const double *rows, size_t numbers) {
    uint32_t **const lists[RAMIFY_ROLES] = {&s->split.train, &s->split.select, &s->split.report};
    size_t *const counts[RAMIFY_ROLES] = {&s->split.train_count, &s->split.select_count,
                                          &s->split.report_count};
    for (int role = 0; role < RAMIFY_ROLES; role++) {
        *lists[role] = ramify_allocate(s->context, s->table->rows, sizeof **lists[role]);
        if (!*lists[role])
            return RAMIFY_ERROR_MEMORY;
    }
    for (size_t i = 0; i < s->table->rows; i++) {
        const int role = (int)rows[i * numbers + numbers - 1];
        (*lists[role])[(*counts[role])++] = (uint32_t)i;
    }
    return RAMIFY_OK;
}

static ramify_status fill(const ramify_divided *d, ramify_divided_sample *s) {
    ramify_context *context = d->context;
    const size_t numbers = numbers_of(d);
    double *rows = NULL;
    void *all = NULL;
    size_t count = 0;
    size_t *offset =
        ramify_allocate(context, (size_t)ramify_cluster_size(context) + 1, sizeof *offset);
    ramify_cluster_phase(context, "sample for judging");
    ramify_status status = offset ? choose_raw(d, &rows, &count) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(context, rows, count * numbers * sizeof *rows, &all,
                                              offset);
    ramify_release(context, rows);
    if (status == RAMIFY_OK)
        status = make_table(
            d, all, offset[ramify_cluster_size(context)] / (numbers * sizeof(double)), &s->table);
    ramify_release(context, offset);
    if (status == RAMIFY_OK)
        status = divide(s, all, numbers);
    if (status == RAMIFY_OK)
        status = ramify_match_create_coded(context, d->from->schema, s->table, &s->rows.match);
    RAMIFY_TRY(status);
    s->rows.context = context;
    s->rows.table = s->table;
    s->rows.options = d->from->options;
    s->rows.schema = d->from->schema;
    s->rows.split = &s->split;
    s->rows.weight = d->from->weight ? &s->table->columns[numbers - 2] : NULL;
    return ramify_problem_create_for(
        context, s->rows.match, (ramify_rows){s->split.train, s->split.train_count},
        (ramify_rows){s->split.select, s->split.select_count},
        (ramify_rows){s->split.report, s->split.report_count}, s->rows.weight, &d->stem,
        d->head_center, d->head_scale, &s->problem);
}

ramify_status ramify_divided_sample_create(const ramify_divided *d,
                                           ramify_divided_sample **sample) {
    ramify_divided_sample *made = ramify_allocate_zeroed(d->context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = d->context;
    ramify_status status = fill(d, made);
    if (status == RAMIFY_OK)
        *sample = made;
    else
        ramify_divided_sample_destroy(&made);
    return status;
}

void ramify_divided_sample_destroy(ramify_divided_sample **sample) {
    if (!*sample)
        return;
    ramify_divided_sample *old = *sample;
    ramify_context *context = old->context;
    *sample = NULL;
    ramify_problem_destroy(context, &old->problem);
    ramify_match_destroy(context, &old->rows.match);
    ramify_release(context, old->split.train);
    ramify_release(context, old->split.select);
    ramify_release(context, old->split.report);
    ramify_table_destroy(&old->table);
    ramify_release(context, old);
}

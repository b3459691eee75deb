#include "train_rows.h"
#include "memory.h"
#include "status.h"
#include "text.h"

#include <math.h>

static ramify_status find_column(const ramify_train_rows *r, const char *name,
                                 const ramify_column **column) {
    *column = NULL;
    if (!name)
        return RAMIFY_OK;
    /* A name is written as in a list of one. */
    const char *list = name, *first = "", *second;
    size_t length = 0, more;
    ramify_list_next(&list, &first, &length);
    size_t index = ramify_table_find(r->table, first, length);
    if (index == SIZE_MAX || ramify_list_next(&list, &second, &more))
        return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                           "%s: %s names no column, or several where one is needed",
                           r->table->source, name);
    *column = &r->table->columns[index];
    return RAMIFY_OK;
}

static ramify_status check_weight(const ramify_train_rows *r, size_t row) {
    double value = r->weight->text ? NAN : ramify_column_value(r->weight, row);
    if (value >= 0 && isfinite(value))
        return RAMIFY_OK;
    return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                       "%s: column \"%s\": the weight of row %zu is not a number of 0 or more",
                       r->table->source, r->weight->name, ramify_table_row_number(r->table, row));
}

/* Each part needs rows that count: weights of 0 throughout would train or choose nothing. */
static ramify_status check_weights(const ramify_train_rows *r) {
    const uint32_t *const rows[] = {r->split->train, r->split->select, r->split->report};
    const size_t counts[] = {r->split->train_count, r->split->select_count, r->split->report_count};
    static const char *const names[] = {"training", "select", "report"};
    for (size_t part = 0; r->weight && part < 3; part++) {
        double sum = 0;
        for (size_t i = 0; i < counts[part]; i++)
            sum += ramify_column_value(r->weight, rows[part][i]);
        if (counts[part] > 0 && !(sum > 0))
            return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                               "%s: column \"%s\": all %s rows have weight 0: give some of them "
                               "more, or do without weights",
                               r->table->source, r->weight->name, names[part]);
    }
    return RAMIFY_OK;
}

ramify_schema_request ramify_train_schema_request(const ramify_train_options *options) {
    return (ramify_schema_request){
        .target = options->target,
        .task = options->task,
        .drop = options->drop,
        .weight = options->weight,
        .group = options->group,
        .time = options->time,
    };
}

ramify_status ramify_train_rows_open(ramify_context *context, const ramify_table *table,
                                     const ramify_train_options *options, ramify_train_rows *rows) {
    *rows = (ramify_train_rows){.context = context, .table = table, .options = options};
    const ramify_schema_request request = ramify_train_schema_request(options);
    RAMIFY_TRY(ramify_schema_infer(context, table, &request, &rows->schema));
    RAMIFY_TRY(ramify_match_create_training(context, rows->schema, table, &rows->match));
    return find_column(rows, options->weight, &rows->weight);
}

void ramify_train_rows_close(ramify_train_rows *rows) {
    ramify_split_destroy(rows->context, &rows->own);
    ramify_match_destroy(rows->context, &rows->match);
    ramify_schema_destroy(rows->context, &rows->schema);
}

ramify_status ramify_train_rows_check(const ramify_train_rows *rows, size_t row, bool *usable) {
    *usable = true;
    for (uint32_t t = 0; t < rows->schema->target_count; t++)
        *usable = *usable && !isnan(ramify_match_target(rows->match, t, row));
    if (!*usable)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_match_check_targets(rows->context, rows->match, row));
    return rows->weight ? check_weight(rows, row) : RAMIFY_OK;
}

ramify_status ramify_train_rows_find(ramify_train_rows *rows, const uint32_t *given, size_t count,
                                     uint32_t *usable, double *labels, size_t *found) {
    *found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t row = given ? given[i] : i;
        bool there;
        RAMIFY_TRY(ramify_train_rows_check(rows, row, &there));
        if (!there) {
            rows->skipped++;
            continue;
        }
        labels[*found] = ramify_match_target(rows->match, 0, row);
        usable[(*found)++] = (uint32_t)row;
    }
    if (rows->skipped > 0)
        ramify_log(rows->context, RAMIFY_LOG_WARNING, "%s: %llu rows without a target are left out",
                   rows->table->source, (unsigned long long)rows->skipped);
    return RAMIFY_OK;
}

ramify_status ramify_train_rows_request(const ramify_train_rows *rows, const uint32_t *usable,
                                        const double *labels, size_t count,
                                        ramify_split_request *request) {
    const bool classes = rows->schema->task == RAMIFY_TASK_CLASSIFICATION;
    *request = (ramify_split_request){.rows = usable,
                                      .count = count,
                                      .labels = classes ? labels : NULL,
                                      .validation = rows->options->validation,
                                      .seed = rows->options->seed};
    RAMIFY_TRY(find_column(rows, rows->options->group, &request->group));
    return find_column(rows, rows->options->time, &request->time);
}

ramify_status ramify_train_rows_divide(ramify_train_rows *rows, const uint32_t *given,
                                       size_t count) {
    ramify_context *context = rows->context;
    ramify_split_request request;
    uint32_t *usable = ramify_allocate(context, count, sizeof *usable);
    double *labels = ramify_allocate(context, count, sizeof *labels);
    ramify_status status = usable && labels ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    size_t found = 0;
    /* A column that is not there is told before a cell that is wrong. */
    if (status == RAMIFY_OK)
        status = ramify_train_rows_request(rows, usable, labels, 0, &request);
    if (status == RAMIFY_OK)
        status = ramify_train_rows_find(rows, given, count, usable, labels, &found);
    if (status == RAMIFY_OK) {
        request.count = found;
        status = ramify_split_create(context, rows->table, &request, &rows->own);
    }
    ramify_release(context, usable);
    ramify_release(context, labels);
    RAMIFY_TRY(status);
    rows->split = rows->own;
    return check_weights(rows);
}

ramify_status ramify_train_rows_adopt(ramify_train_rows *rows, const ramify_split *split) {
    rows->split = split;
    return check_weights(rows);
}

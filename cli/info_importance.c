/* ramify info MODEL --importance DATA: which columns the model rests on. */

#include "info.h"
#include "printing.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

void info_add_importance(arguments *list, info_importance *importance) {
    ramify_importance_options_init(&importance->options);
    arguments_add(list, (argument_option){.help = "Which columns it rests on"});
    arguments_add(list, (argument_option){.name = "importance",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &importance->data,
                                          .placeholder = "DATA",
                                          .unset = "not measured",
                                          .help = "growth of the error when a column is shuffled"});
    arguments_add(list, (argument_option){.name = "repeats",
                                          .kind = ARGUMENT_COUNT,
                                          .value = &importance->options.repeats,
                                          .placeholder = "N",
                                          .help = "times that each column is shuffled"});
    arguments_add(list, (argument_option){.name = "seed",
                                          .kind = ARGUMENT_INTEGER,
                                          .value = &importance->options.seed,
                                          .placeholder = "N",
                                          .help = "same seed: same shuffles"});
}

/* The largest first; NaN, the growth from one infinite error to another, last; else as they stand. */
static int compare_ranks(const void *a, const void *b) {
    const info_rank *x = a, *y = b;
    if (x->increase > y->increase || (isnan(y->increase) && !isnan(x->increase)))
        return -1;
    if (x->increase < y->increase || (isnan(x->increase) && !isnan(y->increase)))
        return 1;
    return (x->column > y->column) - (x->column < y->column);
}

static void rank_columns(info_importance *importance, uint32_t columns) {
    for (uint32_t c = 0; c < columns; c++)
        importance->ranks[c] = (info_rank){importance->columns[c].increase, c};
    qsort(importance->ranks, columns, sizeof *importance->ranks, compare_ranks);
}

int info_measure_importance(session *run, ramify_model *model, info_importance *importance) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    importance->ranks = calloc(info.columns, sizeof *importance->ranks);
    importance->columns = calloc(info.columns, sizeof *importance->columns);
    importance->targets = calloc((size_t)info.columns * info.targets, sizeof *importance->targets);
    if (!importance->ranks || !importance->columns || !importance->targets)
        return session_error(run, "out of memory");
    ramify_table *table = NULL;
    ramify_status status = ramify_table_read_for_model(run->context, model, importance->data,
                                                       &importance->table.options, &table);
    if (status == RAMIFY_OK)
        status = ramify_importance(run->context, model, table, &importance->options,
                                   &importance->score, importance->columns, importance->targets);
    ramify_table_destroy(&table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    rank_columns(importance, info.columns);
    return EXIT_OK;
}

void info_print_importance(const ramify_model *model, const info_importance *importance) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    bool classes = info.task == RAMIFY_TASK_CLASSIFICATION;
    char rows[PRINTING_ROOM + 32];
    printf("\nimportance  %s, ", format_number_of(rows, importance->score.rows, "row", "rows"));
    if (classes)
        print_score(info.task, &importance->score);
    else
        printf("rmse %.6g", importance->score.rmse);
    printf("; how much worse when a column is shuffled,\n"
           "            mean and sd of %" PRIu32
           " times (columns that tell the same share what they are worth)\n\n",
           importance->options.repeats);
    printf("  %12s %10s", classes ? "log loss" : "rmse", "sd");
    printf(classes ? "   %9s %10s  column\n" : "  column\n", "accuracy", "sd");
    for (uint32_t i = 0; i < info.columns; i++) {
        const ramify_column_importance *one = &importance->columns[importance->ranks[i].column];
        printf("  %12.6g %10.3g", one->increase, one->sd);
        if (classes)
            printf("   %9.4f %10.2g", one->accuracy_drop, one->accuracy_sd);
        printf("  ");
        print_name(ramify_model_column(model, importance->ranks[i].column));
        printf("\n");
    }
}

static json_t *name_and_increase(const char *name, const ramify_column_importance *one) {
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(name));
    json_object_set_new(object, "increase", json_number(one->increase));
    json_object_set_new(object, "sd", json_number(one->sd));
    return object;
}

void info_importance_to_json(const ramify_model *model, const info_importance *importance,
                             json_t *object) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    bool classes = info.task == RAMIFY_TASK_CLASSIFICATION;
    json_t *list = json_array();
    for (uint32_t i = 0; i < info.columns; i++) {
        uint32_t column = importance->ranks[i].column;
        const ramify_column_importance *one = &importance->columns[column];
        json_t *entry = name_and_increase(ramify_model_column(model, column), one);
        if (classes) {
            json_object_set_new(entry, "accuracy_drop", json_number(one->accuracy_drop));
            json_object_set_new(entry, "accuracy_sd", json_number(one->accuracy_sd));
        }
        json_t *targets = info.targets > 1 ? json_array() : NULL;
        for (uint32_t t = 0; targets && t < info.targets; t++)
            json_array_append_new(
                targets,
                name_and_increase(ramify_model_target(model, t),
                                  &importance->targets[(size_t)column * info.targets + t]));
        if (targets)
            json_object_set_new(entry, "targets", targets);
        json_array_append_new(list, entry);
    }
    json_object_set_new(object, "importance", list);
    json_t *from = json_object();
    json_object_set_new(from, "rows", json_count(importance->score.rows));
    json_object_set_new(from, "repeats", json_count(importance->options.repeats));
    if (classes) {
        json_object_set_new(from, "accuracy", json_number(importance->score.accuracy));
        json_object_set_new(from, "log_loss", json_number(importance->score.log_loss));
    } else {
        json_object_set_new(from, "rmse", json_number(importance->score.rmse));
    }
    json_object_set_new(object, "importance_from", from);
}

void info_free_importance(info_importance *importance) {
    free(importance->ranks);
    free(importance->columns);
    free(importance->targets);
}

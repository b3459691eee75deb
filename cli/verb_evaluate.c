/* ramify evaluate MODEL DATA: how well predictions match the targets in DATA. */

#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <stdlib.h>

typedef struct evaluate_request {
    bool json;
    double interval; /* level; below 0: not wanted */
    table_arguments table;
    model_arguments model;
    context_arguments context;
} evaluate_request;

typedef struct evaluation {
    ramify_score score;
    ramify_score *targets;            /* targets of the model */
    ramify_interval_score *intervals; /* targets of the model */
    double level;                     /* of the intervals; below 0: there are none */
    double rows_per_second;
} evaluation;

static void add_interval(json_t *object, const evaluation *all, uint32_t target) {
    if (all->level < 0)
        return;
    json_t *one = json_object();
    json_object_set_new(one, "level", json_number(all->level));
    json_object_set_new(one, "coverage", json_number(all->intervals[target].coverage));
    json_object_set_new(one, "width", json_number(all->intervals[target].width));
    json_object_set_new(object, "interval", one);
}

static bool print_evaluation_json(const ramify_model *model, const ramify_model_info *info,
                                  const evaluation *all) {
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_count(all->score.rows));
    json_object_set_new(object, "rows_per_second", json_number(all->rows_per_second));
    json_object_set_new(object, "resident_bytes", json_count(info->resident_bytes));
    json_add_score(object, info->task, &all->score);
    if (info->targets > 1) {
        json_t *list = json_array();
        for (uint32_t t = 0; t < info->targets; t++) {
            json_t *one = json_object();
            json_object_set_new(one, "name", json_string(ramify_model_target(model, t)));
            json_add_score(one, info->task, &all->targets[t]);
            add_interval(one, all, t);
            json_array_append_new(list, one);
        }
        json_object_set_new(object, "targets", list);
    } else {
        add_interval(object, all, 0);
    }
    return print_json(object);
}

static void print_interval(const evaluation *all, uint32_t target) {
    char level[PRINTING_ROOM];
    if (all->level > 0)
        printf(", %s%% intervals hold %.2f%% and are %.6g wide", format_level(level, all->level),
               100 * all->intervals[target].coverage, all->intervals[target].width);
}

static void print_evaluation(const ramify_model *model, const ramify_model_info *info,
                             const evaluation *all) {
    char count[PRINTING_ROOM + 32], rate[PRINTING_ROOM], size[PRINTING_ROOM];
    print_score(info->task, &all->score);
    if (info->targets == 1)
        print_interval(all, 0);
    printf("\n");
    for (uint32_t t = 0; info->targets > 1 && t < info->targets; t++) {
        printf("  ");
        print_name(ramify_model_target(model, t));
        printf(": ");
        print_score(info->task, &all->targets[t]);
        print_interval(all, t);
        printf("\n");
    }
    printf("%s, %s rows per second, %s resident for one row\n",
           format_number_of(count, all->score.rows, "row", "rows"),
           format_count(rate, (uint64_t)all->rows_per_second),
           format_size(size, info->resident_bytes));
}

static int evaluate(session *run, const evaluate_request *request, const char *data,
                    ramify_model *model) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    if (request->interval > 0 && info.task != RAMIFY_TASK_REGRESSION)
        return arguments_refuse("evaluate", "--interval needs a regression; this model predicts "
                                            "classes");
    ramify_table *table = NULL;
    ramify_status status =
        ramify_table_read_for_model(run->context, model, data, &request->table.options, &table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);

    int exit_status = EXIT_OK;
    evaluation all = {.level = request->interval,
                      .targets = calloc(info.targets, sizeof *all.targets),
                      .intervals = calloc(info.targets, sizeof *all.intervals)};
    if (!all.targets || !all.intervals) {
        exit_status = session_error(run, "out of memory");
    } else {
        double began = session_seconds();
        if (all.level > 0)
            status = ramify_evaluate_interval(run->context, model, table, all.level, &all.score,
                                              all.targets, all.intervals);
        else
            status = ramify_evaluate(run->context, model, table, &all.score, all.targets);
        double seconds = session_seconds() - began;
        all.rows_per_second = seconds > 0.0 ? (double)all.score.rows / seconds : 0.0;
        if (status != RAMIFY_OK)
            exit_status = session_failed(run, status);
        else if (!request->json)
            print_evaluation(model, &info, &all);
        else if (!print_evaluation_json(model, &info, &all))
            exit_status = session_unprinted(run);
    }
    free(all.targets);
    free(all.intervals);
    ramify_table_destroy(&table);
    return exit_status;
}

int verb_evaluate(int argc, char **argv) {
    evaluate_request request = {.interval = -1};
    arguments list = {.verb = "evaluate",
                      .usage = "MODEL DATA",
                      .positional_count = 2,
                      .summary =
                          "Predicts every row of DATA and compares with its targets. Rows whose\n"
                          "target is missing are skipped. Errors are in the target's units, log\n"
                          "loss in nats; of several targets, rmse is the root mean square."};
    arguments_add(&list, (argument_option){.name = "json",
                                           .kind = ARGUMENT_NONE,
                                           .value = &request.json,
                                           .help = "print the scores as JSON"});
    arguments_add(&list, (argument_option){.name = "interval",
                                           .kind = ARGUMENT_SHARE,
                                           .value = &request.interval,
                                           .placeholder = "LEVEL",
                                           .unset = "none",
                                           .help = "also score intervals, of 90% say"});
    arguments_add_model(&list, &request.model);
    arguments_add_table(&list, &request.table);
    arguments_add_ranks(&list, &request.context, argc, argv);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.table);
        request.model.notes = request.interval > 0;
        session run;
        exit_status = EXIT_USAGE;
        if (arguments_good_interval("evaluate", request.interval))
            exit_status = session_open(&run, "evaluate", &request.context);
        if (exit_status == EXIT_OK) {
            ramify_model *model = NULL;
            exit_status = session_open_model(&run, list.positional[0], &request.model, &model);
            if (exit_status == EXIT_OK)
                exit_status = evaluate(&run, &request, list.positional[1], model);
            ramify_close(&model);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

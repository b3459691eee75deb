/* ramify evaluate MODEL DATA: how well predictions match the targets in DATA. */

#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <stdlib.h>

typedef struct evaluate_request {
    bool json;
    table_arguments table;
    model_arguments model;
    context_arguments context;
} evaluate_request;

static bool print_evaluation_json(const ramify_model *model, const ramify_model_info *info,
                                  const ramify_score *score, const ramify_score *targets,
                                  double rows_per_second) {
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_count(score->rows));
    json_object_set_new(object, "rows_per_second", json_number(rows_per_second));
    json_object_set_new(object, "resident_bytes", json_count(info->resident_bytes));
    json_add_score(object, info->task, score);
    if (info->targets > 1) {
        json_t *list = json_array();
        for (uint32_t t = 0; t < info->targets; t++) {
            json_t *one = json_object();
            json_object_set_new(one, "name", json_string(ramify_model_target(model, t)));
            json_add_score(one, info->task, &targets[t]);
            json_array_append_new(list, one);
        }
        json_object_set_new(object, "targets", list);
    }
    return print_json(object);
}

static void print_evaluation(const ramify_model *model, const ramify_model_info *info,
                             const ramify_score *score, const ramify_score *targets,
                             double rows_per_second) {
    char count[PRINTING_ROOM], rate[PRINTING_ROOM], size[PRINTING_ROOM];
    print_score(info->task, score);
    printf("\n");
    for (uint32_t t = 0; info->targets > 1 && t < info->targets; t++) {
        printf("  %s: ", ramify_model_target(model, t));
        print_score(info->task, &targets[t]);
        printf("\n");
    }
    printf("%s rows, %s rows per second, %s resident for one row\n",
           format_count(count, score->rows), format_count(rate, (uint64_t)rows_per_second),
           format_size(size, info->resident_bytes));
}

static int evaluate(session *run, const evaluate_request *request, const char *data,
                    ramify_model *model) {
    ramify_table *table = NULL;
    ramify_status status = ramify_table_read(run->context, data, &request->table.options, &table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);

    int exit_status = EXIT_OK;
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_score score;
    ramify_score *targets = calloc(info.targets, sizeof *targets);
    if (!targets) {
        exit_status = session_error(run, "out of memory");
    } else {
        double began = session_seconds();
        status = ramify_evaluate(run->context, model, table, &score, targets);
        double seconds = session_seconds() - began;
        double rate = seconds > 0.0 ? (double)score.rows / seconds : 0.0;
        if (status != RAMIFY_OK)
            exit_status = session_failed(run, status);
        else if (!request->json)
            print_evaluation(model, &info, &score, targets, rate);
        else if (!print_evaluation_json(model, &info, &score, targets, rate))
            exit_status = session_error(run, "standard output: cannot be written");
    }
    free(targets);
    ramify_table_destroy(&table);
    return exit_status;
}

int verb_evaluate(int argc, char **argv) {
    evaluate_request request = {0};
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
    arguments_add_model(&list, &request.model);
    arguments_add_table(&list, &request.table);
    arguments_add_context(&list, &request.context);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.table);
        session run;
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

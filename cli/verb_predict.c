/* ramify predict MODEL DATA: one line of predictions per row. */

#include "output.h"
#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names of classes are shorter than this in every model file. */
#define NAME_ROOM 2048

typedef struct predict_request {
    const char *output; /* NULL: stdout */
    bool proba, json;
    table_arguments table;
    model_arguments model;
    context_arguments context;
} predict_request;

static void list_options(arguments *list, predict_request *request) {
    arguments_add(list, (argument_option){.name = "output",
                                          .letter = 'o',
                                          .kind = ARGUMENT_TEXT,
                                          .value = &request->output,
                                          .placeholder = "OUT.csv",
                                          .unset = "standard output",
                                          .help = "where predictions go"});
    arguments_add(list, (argument_option){.name = "proba",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->proba,
                                          .help = "add the probability of every class"});
    arguments_add(list, (argument_option){.name = "json",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->json,
                                          .help = "print what it cost as JSON; needs -o"});
    arguments_add_model(list, &request->model);
    arguments_add_table(list, &request->table);
    arguments_add_context(list, &request->context);
}

static void print_header(FILE *file, const ramify_model *model, const ramify_model_info *info,
                         bool proba) {
    for (uint32_t t = 0; t < info->targets; t++) {
        if (t > 0)
            fputc(',', file);
        print_cell(file, ramify_model_target(model, t));
    }
    for (uint32_t c = 0; proba && c < info->classes; c++) {
        const char *name = ramify_model_class(model, c);
        /* The prefix inside the quotes, where quotes are needed. */
        char cell[NAME_ROOM];
        fputc(',', file);
        snprintf(cell, sizeof cell, "p_%s", name);
        print_cell(file, cell);
    }
    fputc('\n', file);
}

static void print_row(FILE *file, const ramify_model *model, const ramify_model_info *info,
                      const double *y, bool proba) {
    if (info->task == RAMIFY_TASK_REGRESSION) {
        for (uint32_t t = 0; t < info->targets; t++)
            fprintf(file, t > 0 ? ",%.9g" : "%.9g", y[t]);
    } else {
        uint32_t likeliest = 0;
        for (uint32_t c = 1; c < info->classes; c++) {
            if (y[c] > y[likeliest])
                likeliest = c;
        }
        print_cell(file, ramify_model_class(model, likeliest));
        for (uint32_t c = 0; proba && c < info->classes; c++)
            fprintf(file, ",%.9g", y[c]);
    }
    fputc('\n', file);
}

/* y: rows x outputs */
static int write_predictions(session *run, const predict_request *request,
                             const ramify_model *model, const double *y, size_t rows) {
    output to;
    if (!output_open(&to, request->output))
        return session_error(run, "%s: cannot be written (%s)", to.name, strerror(errno));
    const char *name = to.name;
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    print_header(to.file, model, &info, request->proba);
    for (size_t r = 0; r < rows && !ferror(to.file); r++)
        print_row(to.file, model, &info, y + r * info.outputs, request->proba);
    if (output_close(&to))
        return EXIT_OK;
    return session_error(run, "%s: cannot be written (%s)", name, strerror(errno));
}

static void describe_cost(const ramify_model *model) {
    ramify_residency cost;
    char peak[PRINTING_ROOM], read[PRINTING_ROOM], hits[PRINTING_ROOM], misses[PRINTING_ROOM];
    ramify_model_get_residency(model, &cost);
    fprintf(stderr, "ramify: held at most %s of the model; %s parts found there, %s read (%s)\n",
            format_size(peak, cost.peak_bytes), format_count(hits, cost.hits),
            format_count(misses, cost.misses), format_size(read, cost.bytes_read));
}

static int print_cost(const ramify_model *model, size_t rows) {
    ramify_residency cost;
    ramify_model_get_residency(model, &cost);
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_count(rows));
    json_object_set_new(object, "peak_resident_bytes", json_count(cost.peak_bytes));
    json_object_set_new(object, "hits", json_count(cost.hits));
    json_object_set_new(object, "misses", json_count(cost.misses));
    json_object_set_new(object, "bytes_read", json_count(cost.bytes_read));
    return print_json(object) ? EXIT_OK : EXIT_FAILED;
}

static int predict(session *run, const predict_request *request, const char *data,
                   ramify_model *model) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    if (request->proba && info.task != RAMIFY_TASK_CLASSIFICATION)
        return arguments_refuse("predict", "--proba needs a classification; this model's target "
                                           "is a number");
    ramify_table *table = NULL;
    ramify_status status = ramify_table_read(run->context, data, &request->table.options, &table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);

    int exit_status;
    size_t rows = ramify_table_rows(table);
    double *y = NULL; /* rows x outputs; both at least 1 here, and the table's rows are in memory */
    if (rows <= SIZE_MAX / sizeof *y / info.outputs)
        y = malloc((rows ? rows : 1) * info.outputs * sizeof *y);
    if (!y) {
        exit_status = session_error(run, "out of memory for %zu predictions", rows);
    } else {
        status = ramify_predict_table(run->context, model, table, y);
        exit_status = status == RAMIFY_OK ? write_predictions(run, request, model, y, rows)
                                          : session_failed(run, status);
    }
    if (exit_status == EXIT_OK && run->verbose)
        describe_cost(model);
    if (exit_status == EXIT_OK && request->json)
        exit_status = print_cost(model, rows);
    free(y);
    ramify_table_destroy(&table);
    return exit_status;
}

int verb_predict(int argc, char **argv) {
    predict_request request = {0};
    arguments list = {.verb = "predict",
                      .usage = "MODEL DATA",
                      .positional_count = 2,
                      .summary =
                          "Writes one header line and one line per row of DATA: the predicted\n"
                          "targets, or the likeliest class. Columns are matched by name; the\n"
                          "target may be there or not."};
    list_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.table);
        session run;
        if (request.json && !request.output)
            exit_status = arguments_refuse("predict", "--json needs -o OUT.csv, since predictions "
                                                      "go to standard output otherwise");
        else
            exit_status = session_open(&run, "predict", &request.context);
        if (exit_status == EXIT_OK) {
            ramify_model *model = NULL;
            if (request.output)
                exit_status = session_check_output(
                    &run, request.output,
                    (const char *const[]){list.positional[0], list.positional[1],
                                          request.table.options.labels, NULL});
            if (exit_status == EXIT_OK)
                exit_status = session_open_model(&run, list.positional[0], &request.model, &model);
            if (exit_status == EXIT_OK)
                exit_status = predict(&run, &request, list.positional[1], model);
            ramify_close(&model);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

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
    bool proba, novelty, json;
    double interval; /* level; below 0: not wanted */
    table_arguments table;
    model_arguments model;
    context_arguments context;
} predict_request;

static void list_options(arguments *list, predict_request *request, int argc, char **argv) {
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
    arguments_add(list, (argument_option){.name = "interval",
                                          .kind = ARGUMENT_SHARE,
                                          .value = &request->interval,
                                          .placeholder = "LEVEL",
                                          .unset = "none",
                                          .help = "add bounds that hold the target so often"});
    arguments_add(list, (argument_option){.name = "novelty",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->novelty,
                                          .help = "add how far rows are from the training rows"});
    arguments_add(list, (argument_option){.name = "json",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->json,
                                          .help = "print what it cost as JSON; needs -o"});
    arguments_add_model(list, &request->model);
    arguments_add_table(list, &request->table);
    arguments_add_ranks(list, &request->context, argc, argv);
}

/* One line of results, as arrays of all rows. */
typedef struct predictions {
    double *y;          /* rows x outputs */
    double *low, *high; /* rows x targets; NULL: not wanted */
    double *novelty;    /* rows; NULL: not wanted */
} predictions;

/* A name with what goes before and after it inside the quotes, where quotes are needed. */
static void print_cell_of(FILE *file, const char *before, const char *name, const char *after) {
    char cell[NAME_ROOM];
    snprintf(cell, sizeof cell, "%s%s%s", before, name, after);
    print_cell(file, cell);
}

static void print_header(FILE *file, const ramify_model *model, const ramify_model_info *info,
                         const predict_request *request) {
    for (uint32_t t = 0; t < info->targets; t++) {
        const char *name = ramify_model_target(model, t);
        if (t > 0)
            fputc(',', file);
        print_cell(file, name);
        if (request->interval > 0) {
            fputc(',', file);
            print_cell_of(file, "", name, "_low");
            fputc(',', file);
            print_cell_of(file, "", name, "_high");
        }
    }
    for (uint32_t c = 0; request->proba && c < info->classes; c++) {
        fputc(',', file);
        print_cell_of(file, "p_", ramify_model_class(model, c), "");
    }
    fprintf(file, request->novelty ? ",novelty\n" : "\n");
}

static void print_row(FILE *file, const ramify_model *model, const ramify_model_info *info,
                      const predictions *all, size_t row, bool proba) {
    const double *y = all->y + row * info->outputs;
    const int digits = info->float64 ? 17 : 9;
    if (info->task == RAMIFY_TASK_REGRESSION) {
        for (uint32_t t = 0; t < info->targets; t++) {
            fprintf(file, "%s%.*g", t > 0 ? "," : "", digits, y[t]);
            if (all->low)
                fprintf(file, ",%.*g,%.*g", digits, all->low[row * info->targets + t], digits,
                        all->high[row * info->targets + t]);
        }
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
    if (all->novelty)
        fprintf(file, ",%.9g", all->novelty[row]);
    fputc('\n', file);
}

static int write_predictions(session *run, const predict_request *request,
                             const ramify_model *model, const predictions *all, size_t rows) {
    output to;
    if (!output_open(&to, request->output))
        return session_error(run, "%s: cannot be written (%s)", to.name, strerror(errno));
    const char *name = to.name;
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    print_header(to.file, model, &info, request);
    for (size_t r = 0; r < rows && !ferror(to.file); r++)
        print_row(to.file, model, &info, all, r, request->proba);
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

static int print_cost(session *run, const ramify_model *model, size_t rows) {
    ramify_residency cost;
    ramify_model_get_residency(model, &cost);
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_count(rows));
    json_object_set_new(object, "peak_resident_bytes", json_count(cost.peak_bytes));
    json_object_set_new(object, "hits", json_count(cost.hits));
    json_object_set_new(object, "misses", json_count(cost.misses));
    json_object_set_new(object, "bytes_read", json_count(cost.bytes_read));
    return print_json(object) ? EXIT_OK : session_unprinted(run);
}

/* Memory for `columns` numbers per row. */
static double *numbers(size_t rows, size_t columns) {
    double *values = NULL;
    if (rows <= SIZE_MAX / sizeof *values / columns)
        values = malloc((rows ? rows : 1) * columns * sizeof *values);
    return values;
}

static bool take_predictions(const predict_request *request, const ramify_model_info *info,
                             size_t rows, predictions *all) {
    *all = (predictions){.y = numbers(rows, info->outputs)};
    if (request->interval > 0) {
        all->low = numbers(rows, info->targets);
        all->high = numbers(rows, info->targets);
    }
    if (request->novelty)
        all->novelty = numbers(rows, 1);
    return all->y && (request->interval < 0 || (all->low && all->high)) &&
           (!request->novelty || all->novelty);
}

static int predict(session *run, const predict_request *request, const char *data,
                   ramify_model *model) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    if (request->proba && info.task != RAMIFY_TASK_CLASSIFICATION)
        return arguments_refuse("predict", "--proba needs a classification; this model's target "
                                           "is a number");
    if (request->interval > 0 && info.task != RAMIFY_TASK_REGRESSION)
        return arguments_refuse("predict", "--interval needs a regression; this model predicts "
                                           "classes (--proba says how sure it is)");
    ramify_table *table = NULL;
    ramify_status status =
        ramify_table_read_for_model(run->context, model, data, &request->table.options, &table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);

    int exit_status;
    size_t rows = ramify_table_rows(table);
    predictions all;
    if (!take_predictions(request, &info, rows, &all)) {
        exit_status = session_error(run, "out of memory for %zu predictions", rows);
    } else {
        status = ramify_predict_table_notes(run->context, model, table, all.y, request->interval,
                                            all.low, all.high, all.novelty);
        exit_status = status == RAMIFY_OK ? write_predictions(run, request, model, &all, rows)
                                          : session_failed(run, status);
    }
    if (exit_status == EXIT_OK && run->verbose)
        describe_cost(model);
    if (exit_status == EXIT_OK && request->json)
        exit_status = print_cost(run, model, rows);
    free(all.y);
    free(all.low);
    free(all.high);
    free(all.novelty);
    ramify_table_destroy(&table);
    return exit_status;
}

int verb_predict(int argc, char **argv) {
    predict_request request = {.interval = -1};
    arguments list = {.verb = "predict",
                      .usage = "MODEL DATA",
                      .positional_count = 2,
                      .summary =
                          "Writes one header line and one line per row of DATA: the predicted\n"
                          "targets, or the likeliest class. Columns are matched by name; the\n"
                          "target may be there or not."};
    list_options(&list, &request, argc, argv);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.table);
        request.model.notes = request.interval > 0 || request.novelty;
        if (request.output && strcmp(request.output, "-") == 0)
            request.output = NULL;
        session run;
        if (!arguments_good_interval("predict", request.interval))
            exit_status = EXIT_USAGE;
        else if (request.json && !request.output)
            exit_status = arguments_refuse("predict", "--json needs -o OUT.csv, since predictions "
                                                      "go to standard output otherwise");
        else
            exit_status = session_open(&run, "predict", &request.context);
        if (exit_status == EXIT_OK) {
            ramify_model *model = NULL;
            const char *const inputs[] = {list.positional[0], list.positional[1],
                                          request.table.options.labels};
            exit_status = session_check_outputs(&run, &request.output, 1, inputs, 3);
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

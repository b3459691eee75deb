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
                      const ramify_predicted *all, size_t row, bool proba) {
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

/* Where blocks of predictions go. One process prints them as they come; several write their blocks side
 * by side, or have rank 0 print them. */
typedef struct writer {
    session *run;
    const predict_request *request;
    const ramify_model *model;
    ramify_model_info info;
    bool begun;
    output to;                 /* of rank 0 */
    ramify_cluster_text *text; /* of several processes */
    FILE *lines;               /* theirs: a block's lines, in memory */
    char *memory;
    size_t size;
    int exit_status; /* after a sentence of ours */
} writer;

static ramify_status refuse(writer *w, const char *name) {
    w->exit_status = session_error(w->run, "%s: cannot be written (%s)", name, strerror(errno));
    return RAMIFY_ERROR_IO;
}

static bool print_text(void *user, const char *bytes, size_t size) {
    const writer *w = user;
    return fwrite(bytes, 1, size, w->to.file) == size;
}

static ramify_status begin(writer *w) {
    w->begun = true;
    if (w->run->rank == 0 && !output_open(&w->to, w->request->output))
        return refuse(w, w->to.name);
    if (w->run->ranks == 1) {
        print_header(w->to.file, w->model, &w->info, w->request);
        return RAMIFY_OK;
    }
    w->lines = open_memstream(&w->memory, &w->size);
    if (!w->lines)
        return refuse(w, "memory for lines");
    /* A file that is written in place may be a pipe: one process writes that. */
    return ramify_cluster_text_open(w->run->context, w->to.temporary, print_text, w, &w->text);
}

static ramify_status write_block(void *user, const ramify_predicted *block) {
    writer *w = user;
    if (!w->begun) {
        ramify_status status = begin(w);
        if (status != RAMIFY_OK)
            return status;
    }
    FILE *file = w->text ? w->lines : w->to.file;
    if (w->text) {
        rewind(file);
        if (w->run->rank == 0 && block->first == 0)
            print_header(file, w->model, &w->info, w->request);
    }
    for (size_t r = 0; r < block->rows && !ferror(file); r++)
        print_row(file, w->model, &w->info, block, r, w->request->proba);
    if (!w->text)
        return ferror(file) ? refuse(w, w->to.name) : RAMIFY_OK;
    if (fflush(file) != 0)
        return refuse(w, "memory for lines");
    ramify_status status = ramify_cluster_text_write(w->text, w->memory, w->size);
    return w->to.file && ferror(w->to.file) ? refuse(w, w->to.name) : status;
}

/* Puts the file in its place, or takes it back. */
static int end_writing(writer *w, ramify_status status) {
    if (status == RAMIFY_OK)
        status = ramify_cluster_text_close(&w->text);
    const int exit_status = w->exit_status != EXIT_OK ? w->exit_status
                            : status == RAMIFY_OK     ? EXIT_OK
                                                      : session_failed(w->run, status);
    ramify_cluster_text_close(&w->text);
    if (w->lines)
        (void)fclose(w->lines);
    free(w->memory);
    const char *name = w->to.name;
    if (exit_status != EXIT_OK) {
        if (w->to.file)
            output_abandon(&w->to);
    } else if (w->to.file && !output_close(&w->to)) {
        return session_error(w->run, "%s: cannot be written (%s)", name, strerror(errno));
    }
    return exit_status;
}

static void describe_cost(const ramify_file_cost *cost) {
    char peak[PRINTING_ROOM], read[PRINTING_ROOM], hits[PRINTING_ROOM], misses[PRINTING_ROOM];
    fprintf(stderr, "ramify: held at most %s of the model; %s parts found there, %s read (%s)\n",
            format_size(peak, cost->peak_bytes), format_count(hits, cost->hits),
            format_count(misses, cost->misses), format_size(read, cost->bytes_read));
}

static int print_cost(session *run, const ramify_file_cost *cost) {
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_count(cost->rows));
    json_object_set_new(object, "peak_resident_bytes", json_count(cost->peak_bytes));
    if (run->ranks > 1) {
        json_object_set_new(object, "ranks", json_count(run->ranks));
        json_object_set_new(object, "ranks_resident_bytes", json_count(cost->peak_bytes_all));
    }
    json_object_set_new(object, "hits", json_count(cost->hits));
    json_object_set_new(object, "misses", json_count(cost->misses));
    json_object_set_new(object, "bytes_read", json_count(cost->bytes_read));
    return print_json(object) ? EXIT_OK : session_unprinted(run);
}

static int predict(session *run, const predict_request *request, const char *data,
                   ramify_model *model) {
    writer w = {.run = run, .request = request, .model = model};
    ramify_model_get_info(model, &w.info);
    if (request->proba && w.info.task != RAMIFY_TASK_CLASSIFICATION)
        return arguments_refuse("predict", "--proba needs a classification; this model's target "
                                           "is a number");
    if (request->interval > 0 && w.info.task != RAMIFY_TASK_REGRESSION)
        return arguments_refuse("predict", "--interval needs a regression; this model predicts "
                                           "classes (--proba says how sure it is)");
    ramify_file_cost cost;
    ramify_status status = ramify_predict_file(run->context, model, data, &request->table.options,
                                               request->interval > 0 ? request->interval : 0,
                                               request->novelty, write_block, &w, &cost);
    int exit_status = end_writing(&w, status);
    if (exit_status == EXIT_OK && run->verbose)
        describe_cost(&cost);
    if (exit_status == EXIT_OK && request->json)
        exit_status = print_cost(run, &cost);
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

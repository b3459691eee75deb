/* ramify quantize MODEL DATA --type int8|bf16 -o OUT: a model whose weights take fewer bits. */

#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <math.h>
#include <stdio.h>

static const char *const type_names[] = {"int8", "bf16", NULL};

typedef struct quantize_request {
    const char *output;
    uint64_t seed;
    int type, store;
    bool json;
    ramify_quantize_options options;
    table_arguments table;
    context_arguments context;
} quantize_request;

static bool print_result_json(const quantize_request *request, const ramify_quantize_result *result,
                              const ramify_model_info *before, const ramify_model_info *after) {
    json_t *object = json_object();
    json_object_set_new(object, "type", json_string(request->options.type));
    json_object_set_new(object, "error", json_number(result->error));
    json_object_set_new(object, "error_before", json_number(result->error_before));
    json_object_set_new(object, "error_name", json_string(result->error_name));
    json_object_set_new(object, "validation_rows", json_count(result->validation_rows));
    json_object_set_new(object, "file_bytes", json_count(after->file_bytes));
    json_object_set_new(object, "file_bytes_before", json_count(before->file_bytes));
    json_object_set_new(object, "resident_bytes", json_count(after->resident_bytes));
    json_object_set_new(object, "resident_bytes_before", json_count(before->resident_bytes));
    return print_json(object);
}

static void print_result(const quantize_request *request, const ramify_quantize_result *result,
                         const ramify_model_info *before, const ramify_model_info *after) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM], c[PRINTING_ROOM], d[PRINTING_ROOM];
    char more[32] = "";
    if (result->error_before > 0)
        snprintf(more, sizeof more, "%+.2f %% of ",
                 100 * (result->error / result->error_before - 1));
    printf("measured    %s %.6g, %s%.6g, on %s validation rows\n", result->error_name,
           result->error, *more ? more : "before ", result->error_before,
           format_count(a, result->validation_rows));
    printf("memory      a row needs %s of %s%s\n", format_size(a, after->resident_bytes),
           format_size(b, before->resident_bytes),
           after->resident_bytes > before->resident_bytes ? ", which is more than before" : "");
    printf("written     %s, %s of %s\n", request->output, format_size(c, after->file_bytes),
           format_size(d, before->file_bytes));
}

static int quantize_table(session *run, const quantize_request *request, ramify_model *model,
                          const ramify_table *table) {
    ramify_model *quantized = NULL;
    ramify_quantize_result result;
    ramify_model_info before, after;
    ramify_status status =
        ramify_quantize(run->context, model, table, &request->options, &quantized, &result);
    run->finishing = true;
    if (status == RAMIFY_OK)
        status = ramify_save(run->context, quantized, request->output);
    if (status != RAMIFY_OK) {
        ramify_close(&quantized);
        return session_failed(run, status);
    }
    ramify_model_get_info(model, &before);
    ramify_model_get_info(quantized, &after);
    int exit_status = EXIT_OK;
    if (!request->json)
        print_result(request, &result, &before, &after);
    else if (!print_result_json(request, &result, &before, &after))
        exit_status = session_unprinted(run);
    ramify_close(&quantized);
    return exit_status;
}

static int quantize(session *run, const quantize_request *request, const char *path,
                    const char *data) {
    const char *const inputs[] = {path, data, request->table.options.labels};
    int exit_status = session_check_outputs(run, &request->output, 1, inputs, 3);
    if (exit_status == EXIT_OK)
        exit_status = session_check_writable(run, request->output);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_model *model = NULL;
    ramify_table *table = NULL;
    ramify_status status = ramify_open(run->context, path, NULL, &model);
    if (status == RAMIFY_OK)
        status =
            ramify_table_read_for_model(run->context, model, data, &request->table.options, &table);
    exit_status = status == RAMIFY_OK ? quantize_table(run, request, model, table)
                                      : session_failed(run, status);
    ramify_table_destroy(&table);
    ramify_close(&model);
    return exit_status;
}

static void list_request(arguments *list, quantize_request *request) {
    ramify_quantize_options *o = &request->options;
    const argument_option options[] = {
        {.help = "What comes out"},
        {.name = "output",
         .letter = 'o',
         .kind = ARGUMENT_TEXT,
         .value = &request->output,
         .placeholder = "OUT",
         .unset = "required",
         .help = "the model to write"},
        {.name = "type",
         .kind = ARGUMENT_NAME,
         .value = &request->type,
         .names = type_names,
         .help = "of weights: 8 bits with a step per output, or 16 bits"},
        {.name = "store",
         .kind = ARGUMENT_NAME,
         .value = &request->store,
         .names = argument_store_names,
         .help = "layers with zeros are sparse where that is faster, or smaller, or never"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &request->json,
         .help = "print the results as JSON"},
        {.name = "calibration",
         .kind = ARGUMENT_COUNT,
         .value = &o->calibration_rows,
         .placeholder = "N",
         .help = "most rows by which a network is rounded"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
    arguments_add_held(
        list, (held_arguments){&o->weight, &o->group, &o->time, &o->validation, &request->seed});
}

static int check_request(quantize_request *request) {
    ramify_quantize_options *o = &request->options;
    arguments_finish_table(&request->table);
    o->type = type_names[request->type];
    o->store = argument_store_names[request->store];
    o->own_seed = request->seed != UINT64_MAX;
    o->seed = o->own_seed ? request->seed : 0;
    if (!request->output)
        return arguments_refuse("quantize", "-o OUT is missing: the model to write");
    return EXIT_OK;
}

int verb_quantize(int argc, char **argv) {
    quantize_request request = {.seed = UINT64_MAX};
    arguments list = {
        .verb = "quantize",
        .usage = "MODEL DATA -o OUT",
        .positional_count = 2,
        .summary = "Stores the weights of a model's networks with fewer bits, and runs them so.\n"
                   "They are rounded so that the networks answer the rows of DATA as before."};
    ramify_quantize_options_init(&request.options);
    list_request(&list, &request);
    arguments_add_table(&list, &request.table);
    arguments_add_context(&list, &request.context);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        exit_status = check_request(&request);
        session run;
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "quantize", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = quantize(&run, &request, list.positional[0], list.positional[1]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

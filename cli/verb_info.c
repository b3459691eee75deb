/* ramify info MODEL: what a model is and what it needs. */

#include "info.h"
#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

/* One percent: small enough to show what the number of columns does. */
#define DEFAULT_EPSILON 0.01

typedef struct info_request {
    bool check, json, theory;
    double epsilon;
    info_importance importance;
    model_arguments model;
    context_arguments context;

    ramify_theory told;
} info_request;

static json_t *names(const ramify_model *model, uint32_t count,
                     const char *(*name)(const ramify_model *, uint32_t)) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(name(model, i)));
    return list;
}

static bool print_info_json(const ramify_model *model, const ramify_model_info *info,
                            const info_request *request) {
    json_t *object = json_object();
    json_object_set_new(object, "kind", json_string(info->kind));
    json_object_set_new(
        object, "task",
        json_string(info->task == RAMIFY_TASK_REGRESSION ? "regression" : "classification"));
    json_object_set_new(object, "columns", names(model, info->columns, ramify_model_column));
    json_object_set_new(object, "targets", names(model, info->targets, ramify_model_target));
    if (info->task == RAMIFY_TASK_CLASSIFICATION)
        json_object_set_new(object, "classes", names(model, info->classes, ramify_model_class));
    json_object_set_new(object, "leaves", json_count(info->leaves));
    json_object_set_new(object, "modules", json_count(info->modules));
    if (info->branches > 0)
        json_object_set_new(object, "branches", json_count(info->branches));
    json_object_set_new(object, "parameters", json_count(info->parameters));
    json_object_set_new(object, "active_parameters", json_count(info->active_parameters));
    json_object_set_new(object, "resident_bytes", json_count(info->resident_bytes));
    json_object_set_new(object, "path_bytes", json_count(info->path_bytes));
    json_object_set_new(object, "module_bytes", json_count(info->module_bytes));
    json_object_set_new(object, "file_bytes", json_count(info->file_bytes));
    json_object_set_new(object, "intervals", json_boolean(info->intervals));
    json_object_set_new(object, "novelty", json_boolean(info->novelty));
    json_t *config = json_loads(info->config, 0, NULL);
    json_object_set_new(object, "config", config ? config : json_string(info->config));
    if (request->check)
        json_object_set_new(object, "checked", json_true());
    if (request->theory)
        json_object_set_new(object, "theory", info_theory_to_json(&request->told));
    if (request->importance.data)
        info_importance_to_json(model, &request->importance, object);
    return print_json(object);
}

/* A few names in a line; an image has hundreds. */
static void print_names(const char *what, const ramify_model *model, uint32_t count,
                        const char *(*name)(const ramify_model *, uint32_t)) {
    enum { SHOWN = 12 };
    printf("%s", what);
    for (uint32_t i = 0; i < count && i < SHOWN; i++) {
        printf("%s", i > 0 ? ", " : "");
        print_name(name(model, i));
    }
    if (count > SHOWN)
        printf(", ... (%" PRIu32 ")", count);
    printf("\n");
}

/* What pruning and quantising have made of the weights. */
static void print_weights(const ramify_model_info *info) {
    json_t *config = json_loads(info->config, 0, NULL), *group;
    const json_t *density = json_object_get(json_object_get(config, "pruning"), "density");
    const char *type =
        json_string_value(json_object_get(json_object_get(config, "quantized"), "type"));
    bool packed = false;
    size_t i;
    json_array_foreach(json_object_get(config, "groups"), i, group) {
        const char *form = json_string_value(json_object_get(group, "type"));
        packed = packed || (form && strcmp(form, "packed") == 0);
    }
    if (density || type || packed) {
        printf("weights     %s, %s", type ? type : "float32",
               packed ? "packed: each layer dense, sparse or masked" : "dense");
        if (density)
            printf(", at density %.4g", json_number_value(density));
        printf("\n");
    }
    json_decref(config);
}

/* How good the first 1, 2, ... branches are alone, on the report rows of the training. */
static void print_prefixes(const ramify_model_info *info) {
    json_t *config = json_loads(info->config, 0, NULL);
    json_t *prefixes = json_object_get(config, "prefixes"), *one;
    size_t i;
    if (json_array_size(prefixes) > 0)
        printf("prefixes    of branches, on report rows:\n");
    json_array_foreach(prefixes, i, one) {
        const json_t *accuracy = json_object_get(one, "accuracy");
        const json_t *rmse = json_object_get(one, "rmse");
        const char *name = accuracy ? "accuracy" : rmse ? "rmse" : "loss";
        printf("  %4zu      %s %.6g\n", i + 1, name, json_number_value(json_object_get(one, name)));
    }
    json_decref(config);
}

static void print_info(const ramify_model *model, const ramify_model_info *info,
                       const info_request *request) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM], c[PRINTING_ROOM], leaves[PRINTING_ROOM + 32];
    printf("kind        %s, %s\n", info->kind,
           info->task == RAMIFY_TASK_REGRESSION ? "regression" : "classification");
    print_names("columns     ", model, info->columns, ramify_model_column);
    print_names("predicts    ", model, info->targets, ramify_model_target);
    if (info->task == RAMIFY_TASK_CLASSIFICATION)
        print_names("classes     ", model, info->classes, ramify_model_class);
    if (info->branches > 0)
        printf("branches    %s of %s are run\n", format_count(a, info->branches),
               format_count(b, info->modules));
    else
        printf("experts     %s, at %s\n", format_count(a, info->modules),
               format_number_of(leaves, info->leaves, "leaf", "leaves"));
    printf("parameters  %s, of which a row needs %s\n", format_count(a, info->parameters),
           format_count(b, info->active_parameters));
    print_weights(info);
    printf("resident    %s for one row: %s of nodes, %s of expert, the rest for reading rows\n",
           format_size(a, info->resident_bytes), format_size(b, info->path_bytes),
           format_size(c, info->module_bytes));
    printf("file        %s\n", format_size(a, info->file_bytes));
    if (info->novelty)
        printf("notes       for %snovelty\n", info->intervals ? "intervals and " : "");
    if (info->branches > 0)
        print_prefixes(info);
    if (strcmp(info->kind, "nyquist") == 0)
        info_print_nyquist(model, info);
    if (request->check)
        printf("checked     every node and every expert is sound\n");
    if (request->theory)
        info_print_theory(&request->told);
    if (request->importance.data)
        info_print_importance(model, &request->importance);
}

static void list_options(arguments *list, info_request *request) {
    arguments_add(list, (argument_option){.name = "check",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->check,
                                          .help = "read and check the whole file"});
    arguments_add(list, (argument_option){.name = "json",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->json,
                                          .help = "print it as JSON, with the config"});
    arguments_add(list, (argument_option){.name = "theory",
                                          .kind = ARGUMENT_NONE,
                                          .value = &request->theory,
                                          .help = "what theory says of such models"});
    arguments_add(list, (argument_option){.name = "epsilon",
                                          .kind = ARGUMENT_NUMBER,
                                          .value = &request->epsilon,
                                          .placeholder = "E",
                                          .help = "error that --theory counts weights for"});
    info_add_importance(list, &request->importance);
    arguments_add_model(list, &request->model);
    arguments_add_table(list, &request->importance.table);
    arguments_add_context(list, &request->context);
}

/* An option without the one that it is for is a slip. */
static int check_options(const info_request *request) {
    ramify_importance_options usual;
    ramify_importance_options_init(&usual);
    const ramify_importance_options *options = &request->importance.options;
    if (request->epsilon != DEFAULT_EPSILON && !request->theory)
        return arguments_refuse("info", "--epsilon needs --theory");
    if (options->repeats != usual.repeats && !request->importance.data)
        return arguments_refuse("info", "--repeats needs --importance DATA");
    if (options->seed != usual.seed && !request->importance.data)
        return arguments_refuse("info", "--seed needs --importance DATA");
    return EXIT_OK;
}

/* All that was asked for, before anything is printed. */
static int inform(session *run, info_request *request, ramify_model *model) {
    ramify_status status = RAMIFY_OK;
    if (request->check)
        status = ramify_model_check(run->context, model);
    if (status == RAMIFY_OK && request->theory)
        status = ramify_model_get_theory(run->context, model, request->epsilon, &request->told);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    if (request->importance.data) {
        int exit_status = info_measure_importance(run, model, &request->importance);
        if (exit_status != EXIT_OK)
            return exit_status;
    }
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    if (!request->json)
        print_info(model, &info, request);
    else if (!print_info_json(model, &info, request))
        return session_unprinted(run);
    return EXIT_OK;
}

int verb_info(int argc, char **argv) {
    info_request request = {.epsilon = DEFAULT_EPSILON};
    arguments list = {.verb = "info",
                      .usage = "MODEL",
                      .positional_count = 1,
                      .summary = "Says what a model is, what it was made for and what it needs."};
    list_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.importance.table);
        exit_status = check_options(&request);
        session run;
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "info", &request.context);
        if (exit_status == EXIT_OK) {
            ramify_model *model = NULL;
            exit_status = session_open_model(&run, list.positional[0], &request.model, &model);
            if (exit_status == EXIT_OK)
                exit_status = inform(&run, &request, model);
            ramify_close(&model);
            session_close(&run);
        }
    }
    info_free_importance(&request.importance);
    arguments_free(&list);
    return exit_status;
}

/* ramify export MODEL --c OUT.c --onnx OUT.onnx: the model for programs that do without ramify. */

#include "session.h"
#include "verbs.h"

#include <string.h>

static const char default_name[] = "ramify_model_run";

typedef struct export_request {
    const char *c_path;
    const char *onnx_path;
    const char *name;
    context_arguments context;
} export_request;

static void list_options(arguments *list, export_request *request) {
    arguments_add(list, (argument_option){.name = "c",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &request->c_path,
                                          .placeholder = "OUT.c",
                                          .unset = "none",
                                          .help = "write static arrays and one function in C"});
    arguments_add(list, (argument_option){.name = "name",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &request->name,
                                          .placeholder = "NAME",
                                          .help = "name of that function"});
    arguments_add(list, (argument_option){.name = "onnx",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &request->onnx_path,
                                          .placeholder = "OUT.onnx",
                                          .unset = "none",
                                          .help = "write a graph for ONNX Runtime"});
    arguments_add_context(list, &request->context);
}

static int refuse(const export_request *request) {
    if (!request->c_path && !request->onnx_path)
        return arguments_refuse("export",
                                "--c OUT.c or --onnx OUT.onnx is missing: the file to write");
    if (!request->c_path && request->name != default_name)
        return arguments_refuse("export", "--name needs --c OUT.c: the function to name");
    if (request->c_path && request->onnx_path && strcmp(request->c_path, request->onnx_path) == 0)
        return arguments_refuse("export", "--c and --onnx name the same file: give each its own");
    return EXIT_OK;
}

static int export_model(session *run, const export_request *request, const char *model_path) {
    const char *const outputs[] = {request->c_path, request->onnx_path};
    int exit_status = session_check_outputs(run, outputs, 2, &model_path, 1);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_model *model = NULL;
    ramify_status status = ramify_open(run->context, model_path, NULL, &model);
    if (status == RAMIFY_OK && request->c_path)
        status = ramify_export_c(run->context, model, request->c_path, request->name);
    if (status == RAMIFY_OK && request->onnx_path)
        status = ramify_export_onnx(run->context, model, request->onnx_path);
    if (status != RAMIFY_OK)
        exit_status = session_failed(run, status);
    ramify_close(&model);
    return exit_status;
}

int verb_export(int argc, char **argv) {
    export_request request = {.name = default_name};
    arguments list = {.verb = "export",
                      .usage = "MODEL --c OUT.c | --onnx OUT.onnx",
                      .positional_count = 1,
                      .summary = "Writes a model for programs that do without ramify: as static\n"
                                 "arrays and one function in plain C,\n"
                                 "    void NAME(const float *x, float *y)\n"
                                 "which needs math.h, opens no file and allocates nothing; as an\n"
                                 "ONNX file; or both."};
    list_options(&list, &request);
    int exit_status;
    if (!arguments_read(&list, argc, argv, &exit_status))
        return exit_status;
    exit_status = refuse(&request);
    session run;
    if (exit_status == EXIT_OK)
        exit_status = session_open(&run, "export", &request.context);
    if (exit_status != EXIT_OK)
        return exit_status;
    exit_status = export_model(&run, &request, list.positional[0]);
    session_close(&run);
    return exit_status;
}

/* ramify export MODEL --c OUT.c: the model as source code. */

#include "printing.h"
#include "session.h"
#include "verbs.h"

typedef struct export_request {
    const char *c_path;
    const char *name;
    context_arguments context;
} export_request;

int verb_export(int argc, char **argv) {
    export_request request = {.name = "ramify_model_run"};
    arguments list = {.verb = "export",
                      .usage = "MODEL --c OUT.c",
                      .positional_count = 1,
                      .summary = "Writes a model as static arrays and one function in plain C:\n"
                                 "    void NAME(const float *x, float *y)\n"
                                 "It needs math.h, opens no file and allocates nothing."};
    arguments_add(&list, (argument_option){.name = "c",
                                           .kind = ARGUMENT_TEXT,
                                           .value = &request.c_path,
                                           .placeholder = "OUT.c",
                                           .unset = "required",
                                           .help = "the file to write"});
    arguments_add(&list, (argument_option){.name = "name",
                                           .kind = ARGUMENT_TEXT,
                                           .value = &request.name,
                                           .placeholder = "NAME",
                                           .help = "name of the function"});
    arguments_add_context(&list, &request.context);
    int exit_status;
    if (!arguments_read(&list, argc, argv, &exit_status))
        return exit_status;
    if (!request.c_path)
        return arguments_refuse("export", "--c OUT.c is missing: the file to write");
    session run;
    exit_status = session_open(&run, "export", &request.context);
    if (exit_status != EXIT_OK)
        return exit_status;

    exit_status =
        session_check_output(&run, request.c_path, (const char *const[]){list.positional[0], NULL});
    if (exit_status != EXIT_OK) {
        session_close(&run);
        return exit_status;
    }
    ramify_model *model = NULL;
    ramify_status status = ramify_open(run.context, list.positional[0], NULL, &model);
    if (status == RAMIFY_OK)
        status = ramify_export_c(run.context, model, request.c_path, request.name);
    if (status != RAMIFY_OK)
        exit_status = session_failed(&run, status);
    ramify_close(&model);
    session_close(&run);
    return exit_status;
}

/* ramify prune MODEL --branches K -o OUT: a smaller model of what a model has. */

#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <stdio.h>

typedef struct prune_request {
    const char *output;
    uint32_t branches;
    context_arguments context;
} prune_request;

static int prune(session *run, const prune_request *request, const char *path) {
    int exit_status = session_check_output(run, request->output, (const char *const[]){path, NULL});
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_model *model = NULL, *kept = NULL;
    ramify_status status = ramify_open(run->context, path, NULL, &model);
    if (status == RAMIFY_OK)
        status = ramify_keep_branches(run->context, model, request->branches, &kept);
    if (status == RAMIFY_OK)
        status = ramify_save(run->context, kept, request->output);
    if (status == RAMIFY_OK) {
        ramify_model_info before, after;
        char a[PRINTING_ROOM], b[PRINTING_ROOM];
        ramify_model_get_info(model, &before);
        ramify_model_get_info(kept, &after);
        printf("written     %s, %u of %u branches, %s of %s\n", request->output, after.branches,
               before.branches, format_size(a, after.file_bytes),
               format_size(b, before.file_bytes));
    }
    ramify_close(&kept);
    ramify_close(&model);
    return status == RAMIFY_OK ? EXIT_OK : session_failed(run, status);
}

int verb_prune(int argc, char **argv) {
    prune_request request = {0};
    arguments list = {.verb = "prune",
                      .usage = "MODEL --branches K -o OUT",
                      .positional_count = 1,
                      .summary =
                          "Writes the first K branches of a Para-Former as a model of its own.\n"
                          "How good each prefix is, `ramify info` tells."};
    arguments_add(&list, (argument_option){.name = "output",
                                           .letter = 'o',
                                           .kind = ARGUMENT_TEXT,
                                           .value = &request.output,
                                           .placeholder = "OUT",
                                           .unset = "required",
                                           .help = "the model to write"});
    arguments_add(&list, (argument_option){.name = "branches",
                                           .kind = ARGUMENT_COUNT,
                                           .value = &request.branches,
                                           .placeholder = "K",
                                           .unset = "required",
                                           .help = "how many are kept"});
    arguments_add_context(&list, &request.context);
    int exit_status;
    if (!arguments_read(&list, argc, argv, &exit_status))
        return exit_status;
    if (!request.output)
        return arguments_refuse("prune", "-o OUT is missing: the model to write");
    if (request.branches == 0)
        return arguments_refuse("prune", "--branches K is missing: how many are kept");
    session run;
    exit_status = session_open(&run, "prune", &request.context);
    if (exit_status != EXIT_OK)
        return exit_status;
    exit_status = prune(&run, &request, list.positional[0]);
    session_close(&run);
    return exit_status;
}

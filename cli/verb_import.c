/* ramify import WEIGHTS.safetensors -o MODEL: weights that another tool trained become a model. */

#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <stdio.h>

typedef struct import_request {
    const char *output;
    int task;
    ramify_import_options options;
    context_arguments context;
} import_request;

static const char *const task_names[] = {"classification", "regression", NULL};

static void list_options(arguments *list, import_request *request) {
    ramify_import_options *options = &request->options;
    ramify_import_options_init(options);
    arguments_add(list, (argument_option){.name = "output",
                                          .letter = 'o',
                                          .kind = ARGUMENT_TEXT,
                                          .value = &request->output,
                                          .placeholder = "MODEL",
                                          .unset = "required",
                                          .help = "the model to write"});
    arguments_add(list, (argument_option){.name = "image",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &options->image,
                                          .placeholder = "HxWxC",
                                          .unset = "required",
                                          .help = "height, width and channels of the images"});
    arguments_add(list, (argument_option){.name = "heads",
                                          .kind = ARGUMENT_COUNT,
                                          .value = &options->heads,
                                          .placeholder = "H",
                                          .unset = "required",
                                          .help = "heads of attention"});
    arguments_add(list,
                  (argument_option){.name = "depth",
                                    .kind = ARGUMENT_COUNT,
                                    .value = &options->depth,
                                    .placeholder = "D",
                                    .unset = "one branch of all",
                                    .help = "layers of a branch that timm's blocks are dealt to"});
    arguments_add(list, (argument_option){.name = "skip",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &options->skip,
                                          .placeholder = "NAME",
                                          .unset = "as the tool has it",
                                          .help = "what layers add to: normalised or plain"});
    arguments_add(list, (argument_option){.name = "ln-eps",
                                          .kind = ARGUMENT_NUMBER,
                                          .value = &options->epsilon,
                                          .placeholder = "X",
                                          .unset = "as the tool has it",
                                          .help = "epsilon of the normalisations"});
    arguments_add(list, (argument_option){.name = "center",
                                          .kind = ARGUMENT_NUMBER,
                                          .value = &options->center,
                                          .placeholder = "X",
                                          .help = "taken from every pixel"});
    arguments_add(list, (argument_option){.name = "scale",
                                          .kind = ARGUMENT_NUMBER,
                                          .value = &options->scale,
                                          .placeholder = "X",
                                          .help = "that pixels are then divided by"});
    request->task = options->task == RAMIFY_TASK_REGRESSION;
    arguments_add(list, (argument_option){.name = "task",
                                          .kind = ARGUMENT_NAME,
                                          .value = &request->task,
                                          .names = task_names,
                                          .help = "what the outputs are; regression: as they are"});
    arguments_add(list, (argument_option){.name = "names",
                                          .kind = ARGUMENT_TEXT,
                                          .value = &options->names,
                                          .placeholder = "A,B,..",
                                          .unset = "0,1,..",
                                          .help = "names of the outputs"});
    arguments_add_context(list, &request->context);
}

static int finish_options(import_request *request) {
    ramify_import_options *options = &request->options;
    if (!request->output)
        return arguments_refuse("import", "-o MODEL is missing: the model to write");
    if (!options->image)
        return arguments_refuse("import",
                                "--image HxWxC is missing: the size of the images, such as "
                                "224x224x3");
    if (options->heads == 0)
        return arguments_refuse("import", "--heads H is missing: no shape in the file tells it");
    options->task = request->task == 1 ? RAMIFY_TASK_REGRESSION : RAMIFY_TASK_CLASSIFICATION;
    return EXIT_OK;
}

static int import(session *run, const import_request *request, const char *path) {
    int exit_status = session_check_outputs(run, &request->output, 1, &path, 1);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_model *model = NULL;
    ramify_status status = ramify_import(run->context, path, &request->options, &model);
    if (status == RAMIFY_OK)
        status = ramify_save(run->context, model, request->output);
    if (status == RAMIFY_OK) {
        ramify_model_info about;
        char size[PRINTING_ROOM];
        ramify_model_get_info(model, &about);
        printf("written     %s, %u branch%s, %s\n", request->output, about.branches,
               about.branches == 1 ? "" : "es", format_size(size, about.file_bytes));
    }
    ramify_close(&model);
    return status == RAMIFY_OK ? EXIT_OK : session_failed(run, status);
}

int verb_import(int argc, char **argv) {
    import_request request = {0};
    arguments list = {.verb = "import",
                      .usage = "WEIGHTS.safetensors -o MODEL --image HxWxC --heads H",
                      .positional_count = 1,
                      .summary =
                          "Makes a model of weights that another tool trained, of a Para-Former\n"
                          "as its authors released it, or of a vision transformer of timm. The\n"
                          "model takes images as rows of numbers, row by row, channels of a\n"
                          "pixel side by side."};
    list_options(&list, &request);
    int exit_status;
    if (!arguments_read(&list, argc, argv, &exit_status))
        return exit_status;
    exit_status = finish_options(&request);
    session run;
    if (exit_status == EXIT_OK)
        exit_status = session_open(&run, "import", &request.context);
    if (exit_status != EXIT_OK)
        return exit_status;
    exit_status = import(&run, &request, list.positional[0]);
    session_close(&run);
    return exit_status;
}

/* ramify train DATA --target COL -o MODEL: learns a model, saves it and says how good it is. */

#include "printing.h"
#include "session.h"
#include "train_plan.h"
#include "verbs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The largest band, as ramify_train_options has it. */
#define BAND_MAX 16384

typedef struct train_request {
    const char *rewind; /* file of the rewind point; NULL: none */
    double rewind_at;
    ramify_train_options options;
    char *target, *drop; /* lists, ours */
    int task, activation, split_test, periodic, bins, gradient_routing, borrow, averaging, tree,
        distillation;
    int kind;
    uint32_t folds;     /* 0: no cross-validation */
    const char *output; /* NULL: only with folds */
    const char *test, *test_labels;
    bool json;
    train_plan plan;
    table_arguments table;
    context_arguments context;
} train_request;

/* What training, cross-validation and testing have brought, for printing. */
typedef struct train_result {
    const ramify_training *training; /* NULL when nothing was trained to be kept */
    ramify_model_info info;          /* of the model, if there is one */
    ramify_score *folds;             /* request->folds, or NULL */
    const ramify_score *test;        /* NULL without --test */
} train_result;

static const char *const kind_names[] = {"pathways", "mlp", "nyquist", "paraformer", NULL};
static const char *const task_names[] = {"auto", "regression", "classification", NULL};
static const char *const tree_names[] = {"kmeans", "dyadic", "random", NULL};
static const char *const activation_names[] = {
    [RAMIFY_ACTIVATION_PRELU] = "prelu", [RAMIFY_ACTIVATION_RELU] = "relu", NULL};

static void add_section(arguments *list, const char *title) {
    arguments_add(list, (argument_option){.help = title});
}

static void add_text(arguments *list, const char *name, const char **value, const char *placeholder,
                     const char *unset, const char *help) {
    arguments_add(list, (argument_option){.name = name,
                                          .kind = ARGUMENT_TEXT,
                                          .value = value,
                                          .placeholder = placeholder,
                                          .unset = unset,
                                          .help = help});
}

static void add_list(arguments *list, const char *name, char **value, const char *unset,
                     const char *help) {
    arguments_add(list, (argument_option){.name = name,
                                          .kind = ARGUMENT_LIST,
                                          .value = value,
                                          .placeholder = "COL,..",
                                          .unset = unset,
                                          .help = help});
}

static void add_count(arguments *list, const char *name, uint32_t *value, const char *unset,
                      const char *help) {
    arguments_add(list, (argument_option){.name = name,
                                          .kind = ARGUMENT_COUNT,
                                          .value = value,
                                          .placeholder = "N",
                                          .unset = unset,
                                          .help = help});
}

static void add_number(arguments *list, const char *name, argument_kind kind, double *value,
                       const char *placeholder, const char *unset, const char *help) {
    arguments_add(list, (argument_option){.name = name,
                                          .kind = kind,
                                          .value = value,
                                          .placeholder = placeholder,
                                          .unset = unset,
                                          .help = help});
}

static void add_names(arguments *list, const char *name, int *value, const char *const *names,
                      const char *help) {
    arguments_add(
        list,
        (argument_option){
            .name = name, .kind = ARGUMENT_NAME, .value = value, .names = names, .help = help});
}

static void add_flag(arguments *list, const char *name, bool *value, const char *help) {
    arguments_add(
        list, (argument_option){.name = name, .kind = ARGUMENT_NONE, .value = value, .help = help});
}

/* The place of the library's default in a list of names. */
static int place_of(const char *const *names, const char *name) {
    for (int i = 0; name && names[i]; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return 0;
}

static void list_learned(arguments *list, train_request *request) {
    ramify_train_options *options = &request->options;
    add_section(list, "What is learned");
    add_list(list, "target", &request->target, "required",
             "what to predict; may be several columns");
    arguments_add(list, (argument_option){.name = "output",
                                          .letter = 'o',
                                          .kind = ARGUMENT_TEXT,
                                          .value = &request->output,
                                          .placeholder = "MODEL",
                                          .unset = "required without --cv",
                                          .help = "the model file to write"});
    add_names(list, "kind", &request->kind, kind_names,
              "a tree of experts, one network, series, or branches");
    add_names(list, "task", &request->task, task_names, "auto: words are classes");
    add_list(list, "drop", &request->drop, "none", "columns not to be used");
    add_text(list, "weight", &options->weight, "COL", "none", "weight of every row");
}

static void list_measured(arguments *list, train_request *request) {
    ramify_train_options *options = &request->options;
    add_section(list, "What is measured");
    add_number(list, "validation", ARGUMENT_SHARE, &options->validation, "SHARE", NULL,
               "rows held out for choices and scores");
    add_text(list, "group", &options->group, "COL", "none", "rows that belong together");
    add_text(list, "time", &options->time, "COL", "none", "hold out the latest rows by this");
    add_count(list, "cv", &request->folds, "off", "cross-validate in N folds first");
    add_flag(list, "controls", &options->controls, "also train plain networks, and compare");
    add_text(list, "test", &request->test, "FILE", "none",
             "rows to score at the end; nothing is chosen on them");
    add_text(list, "test-labels", &request->test_labels, "FILE", "none",
             "their targets, with --labels");
    add_flag(list, "json", &request->json, "print the results as JSON");
}

static void list_model(arguments *list, train_request *request) {
    ramify_train_options *options = &request->options;
    add_section(list, "What the model may be");
    arguments_add(list, (argument_option){.name = "resident",
                                          .kind = ARGUMENT_SIZE,
                                          .value = &options->resident_bytes,
                                          .placeholder = "SIZE",
                                          .unset = "128KiB; of branches none",
                                          .help = "bound on what predicting a row holds"});
    add_text(list, "hidden", &options->hidden, "N,N,..", "fitted to --resident",
             "widths of the hidden layers");
    add_names(list, "activation", &request->activation, activation_names, "of the hidden layers");
    add_count(list, "members", &options->members, "chosen", "networks that share their weights");
    add_count(list, "leaves", &options->leaves, "as many as rows support",
              "most leaves of the tree; 1: no tree");
    add_count(list, "arity", &options->arity, NULL, "children of a node, 2 to 64");
    add_count(list, "smallest-node", &options->smallest_node, NULL,
              "nodes with fewer rows are not split");
    add_count(list, "node-rows", &options->node_rows, "about a million",
              "most rows that one network learns from");
    add_names(list, "tree", &request->tree, tree_names, "how nodes are split");
    add_names(list, "split-test", &request->split_test, argument_choice_names,
              "whether a split must be earned");
    add_names(list, "periodic", &request->periodic, argument_choice_names,
              "sine and cosine inputs");
    add_names(list, "bins", &request->bins, argument_choice_names, "inputs by quantile bins");
    add_names(list, "gradient-routing", &request->gradient_routing, argument_choice_names,
              "route where the output changes");
    add_names(list, "borrow", &request->borrow, argument_choice_names,
              "children see neighbours' rows");
    add_names(list, "distillation", &request->distillation, argument_choice_names,
              "learn from larger networks too");
    add_names(list, "averaging", &request->averaging, argument_choice_names,
              "average weights over steps");
    add_text(list, "module", &options->module, "NAME", "mlp",
             "of leaves: mlp, nyquist, or auto, the better one");
}

static void list_series(arguments *list, ramify_train_options *options) {
    add_section(list, "What a Nyquist learner may be (--kind nyquist)");
    add_text(list, "basis", &options->basis, "NAME", "chebyshev",
             "of columns without a period: chebyshev or cosine");
    add_text(list, "period", &options->period, "T,T,..", "none",
             "after which columns repeat; - for those that don't");
    add_text(list, "index-set", &options->index_set, "NAME", "chosen",
             "products of functions: total, largest, cross");
    arguments_add(list, (argument_option){.name = "band",
                                          .kind = ARGUMENT_COUNT,
                                          .value = &options->band,
                                          .placeholder = "B",
                                          .most = BAND_MAX,
                                          .unset = "chosen",
                                          .help = "largest frequency, up to 16384"});
    add_number(list, "ridge", ARGUMENT_NUMBER, &options->ridge, "W", "chosen",
               "weight of squared coefficients, 0 to 1e6; below 0: chosen");
    add_text(list, "precision", &options->precision, "NAME", "float64",
             "of coefficients: float64 or float32");
    add_text(list, "outside", &options->outside, "NAME", "clamp",
             "rows beside the training box: clamp or refuse");
}

static void list_branches(arguments *list, ramify_train_options *options) {
    add_section(list, "What a Para-Former may be (--kind paraformer)");
    add_count(list, "branches", &options->branches, "4", "that run side by side");
    add_count(list, "depth", &options->depth, "2", "layers of a branch");
    add_count(list, "width", &options->width, "64", "of a token, a multiple of 16");
    add_count(list, "heads", &options->heads, "4", "of attention");
    add_count(list, "patch", &options->patch, "at most 64 patches", "pixels on a side of a patch");
    add_text(list, "skip", &options->skip, "NAME", "normalised",
             "what layers add to: normalised or plain");
    add_flag(list, "progressive", &options->progressive, "teach every prefix, then all branches");
    add_flag(list, "prefixes-only", &options->prefixes_only, "teach the prefixes alone");
    add_flag(list, "freeze", &options->freeze, "a prefix's step changes its last branch only");
    add_text(list, "augment", &options->augment, "NAME,..", "off",
             "change images: crop, flip, randaugment, erase");
    arguments_add(list, (argument_option){.name = "training-memory",
                                          .kind = ARGUMENT_SIZE,
                                          .value = &options->training_bytes,
                                          .placeholder = "SIZE",
                                          .unset = "no bound",
                                          .help = "bound on what its training allocates"});
    add_text(list, "weights-from", &options->weights_from, "MODEL", "a fresh start",
             "a Para-Former to start from");
    add_text(list, "resume", &options->resume, "DIR", "none",
             "folder for a checkpoint to go on from");
}

static void list_training(arguments *list, train_request *request) {
    ramify_train_options *options = &request->options;
    add_section(list, "How it is trained");
    arguments_add(list, (argument_option){.name = "seed",
                                          .kind = ARGUMENT_INTEGER,
                                          .value = &options->seed,
                                          .placeholder = "N",
                                          .help = "same seed, same data: same model"});
    add_count(list, "epochs", &options->epochs, "by the recipe", "passes for the root");
    add_count(list, "child-epochs", &options->child_epochs, "by the recipe",
              "passes for each expert below");
    add_count(list, "batch", &options->batch, "64", "rows per step");
    add_number(list, "rate", ARGUMENT_NUMBER, &options->rate, "R", "by the recipe",
               "largest learning rate");
    add_number(list, "decay", ARGUMENT_NUMBER, &options->decay, "D", "by the recipe",
               "weight decay");
    add_number(list, "time-limit", ARGUMENT_TIME, &options->time_limit, "TIME", "none",
               "then the best model so far is kept");
    add_text(list, "rewind", &request->rewind, "FILE", "none",
             "the networks as they were early on, for prune");
    add_number(list, "rewind-at", ARGUMENT_SHARE, &request->rewind_at, "SHARE", NULL,
               "how far on that is, of every network's training");
}

static void list_options(arguments *list, train_request *request, int argc, char **argv) {
    ramify_train_options *options = &request->options;
    ramify_train_options_init(options);
    request->rewind_at = 0.1;
    request->kind = place_of(kind_names, options->kind);
    request->tree = place_of(tree_names, options->tree);
    request->activation = (int)options->activation;
    request->split_test = (int)options->split_test;
    request->periodic = (int)options->periodic;
    request->bins = (int)options->bins;
    request->gradient_routing = (int)options->gradient_routing;
    request->borrow = (int)options->borrow;
    request->averaging = (int)options->averaging;
    request->distillation = (int)options->distillation;

    list_learned(list, request);
    list_measured(list, request);
    list_model(list, request);
    list_series(list, options);
    list_branches(list, options);
    list_training(list, request);
    train_plan_add_options(list, &request->plan);
    arguments_add_table(list, &request->table);
    arguments_add_ranks(list, &request->context, argc, argv);
}

static void finish_options(train_request *request) {
    ramify_train_options *options = &request->options;
    arguments_finish_table(&request->table);
    /* A file of labels is the column "label" of the table. */
    options->target =
        request->target ? request->target : (request->table.options.labels ? "label" : NULL);
    options->drop = request->drop;
    if (request->rewind)
        options->rewind_at = request->rewind_at;
    options->kind = kind_names[request->kind];
    options->task = request->task == 0 ? NULL : task_names[request->task];
    options->tree = tree_names[request->tree];
    options->activation = (ramify_activation)request->activation;
    options->split_test = (ramify_choice)request->split_test;
    options->periodic = (ramify_choice)request->periodic;
    options->bins = (ramify_choice)request->bins;
    options->gradient_routing = (ramify_choice)request->gradient_routing;
    options->borrow = (ramify_choice)request->borrow;
    options->averaging = (ramify_choice)request->averaging;
    options->distillation = (ramify_choice)request->distillation;
}

static int check_request(const arguments *list, const train_request *request) {
    const int planned = train_plan_check(list, &request->plan);
    if (planned != EXIT_OK)
        return planned;
    if (!request->options.target && !request->plan.path)
        return arguments_refuse("train", "--target COL is missing: the column to predict");
    if (!request->output && request->folds == 0)
        return arguments_refuse("train", "-o MODEL is missing: the model file to write");
    if (request->folds == 1)
        return arguments_refuse("train", "--cv \"1\": must be at least 2 folds");
    if (request->folds > 0 && request->options.resume)
        return arguments_refuse("train", "--cv and --resume: a checkpoint is of one training");
    if (request->test_labels && !request->test)
        return arguments_refuse("train", "--test-labels needs --test");
    if (request->test && !request->output)
        return arguments_refuse("train", "--test needs -o MODEL: a model to score");
    if (request->rewind && !request->output)
        return arguments_refuse("train", "--rewind needs -o MODEL: a model to prune");
    if (request->rewind && !(request->rewind_at > 0 && request->rewind_at < 1))
        return arguments_refuse("train",
                                "--rewind-at %g: must be a share of the training, such as 10%%",
                                request->rewind_at);
    if (request->options.controls && !request->output)
        return arguments_refuse("train", "--controls needs -o MODEL: a model to compare with");
    return EXIT_OK;
}

/* Finds out before hours of training whether the model can be written after them. */
static int check_output(session *run, const train_request *request, const char *data) {
    const char *path = request->output;
    char *checkpoint = session_file_in(request->options.resume, "paraformer.checkpoint");
    const char *const outputs[] = {path, request->rewind, checkpoint, request->plan.report,
                                   request->plan.path};
    const char *const inputs[] = {data, request->test, request->table.options.labels,
                                  request->test_labels, request->options.weights_from};
    int problem = session_check_outputs(run, outputs, 5, inputs, sizeof inputs / sizeof inputs[0]);
    free(checkpoint);
    const char *const beside[] = {request->rewind, request->plan.report, request->plan.path};
    for (size_t i = 0; problem == EXIT_OK && i < 3; i++)
        if (beside[i])
            problem = session_check_writable(run, beside[i]);
    if (problem != EXIT_OK)
        return problem;
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return session_error(run, "%s: is %s; name a file for the model", path,
                             S_ISDIR(about.st_mode) ? "a folder" : "not a regular file");
    return session_check_writable(run, path);
}

/* ------------------------------------------------------------------------------------------------
 * Printing
 * --------------------------------------------------------------------------------------------- */

/* Scores hold NaN in the fields of the other task. */
static ramify_task task_of(const ramify_score *score) {
    return isnan(score->rmse) ? RAMIFY_TASK_CLASSIFICATION : RAMIFY_TASK_REGRESSION;
}

static double error_of(const ramify_score *score) {
    return task_of(score) == RAMIFY_TASK_REGRESSION ? score->rmse : 1.0 - score->accuracy;
}

/* In time order the first fold has nothing before it to learn from, and no score. */
static void print_folds(const ramify_score *folds, uint32_t count) {
    double sum = 0.0, squares = 0.0;
    uint32_t first = folds[0].rows == 0, scored = count - first;
    if (first)
        printf("fold 1: nothing comes before it to learn from\n");
    for (uint32_t i = first; i < count; i++) {
        printf("fold %u: ", (unsigned)i + 1);
        print_score(task_of(&folds[i]), &folds[i]);
        printf(" on %llu rows\n", (unsigned long long)folds[i].rows);
        sum += error_of(&folds[i]);
    }
    double mean = sum / scored;
    for (uint32_t i = first; i < count; i++)
        squares += (error_of(&folds[i]) - mean) * (error_of(&folds[i]) - mean);
    printf("%s over %u folds: mean %.6g",
           task_of(&folds[first]) == RAMIFY_TASK_REGRESSION ? "rmse" : "error", (unsigned)scored,
           mean);
    if (scored > 1)
        printf(", standard deviation %.6g", sqrt(squares / (scored - 1)));
    printf("\n");
}

static void print_controls(const ramify_training *training) {
    ramify_task task = task_of(&training->controls[0].score);
    bool share = task == RAMIFY_TASK_CLASSIFICATION;
    printf("\n%-18s %12s %10s %11s  %10s %-23s %8s\n", "", "parameters", "active", "resident",
           share ? "error %" : "rmse", "   90 % interval", "seconds");
    for (uint32_t i = 0; i < training->control_count; i++) {
        const ramify_control *control = &training->controls[i];
        char all[PRINTING_ROOM], active[PRINTING_ROOM], size[PRINTING_ROOM], interval[64] = "";
        double factor = share ? 100.0 : 1.0;
        if (isfinite(control->score.error_low))
            snprintf(interval, sizeof interval, "%10.4g .. %-9.4g",
                     factor * control->score.error_low, factor * control->score.error_high);
        printf("%-18s %12s %10s %11s  %10.4g %-23s %8.1f\n", control->name,
               format_count(all, control->parameters),
               format_count(active, control->active_parameters),
               format_size(size, control->resident_bytes), factor * error_of(&control->score),
               interval, control->seconds);
    }
}

static void print_result(const train_request *request, const train_result *result) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM], c[PRINTING_ROOM], d[PRINTING_ROOM];
    char experts[PRINTING_ROOM + 32], leaves[PRINTING_ROOM + 32];
    const ramify_training *training = result->training;
    if (result->folds)
        print_folds(result->folds, request->folds);
    if (!training)
        return;
    printf("rows        %s: %s train, %s choose, %s report", format_count(a, training->rows),
           format_count(b, training->train_rows), format_count(c, training->select_rows),
           format_count(d, training->report_rows));
    if (training->skipped_rows > 0)
        printf("; %s without a target skipped", format_count(a, training->skipped_rows));
    if (result->info.branches > 0)
        printf("\nmodel       %s",
               format_number_of(experts, result->info.branches, "branch", "branches"));
    else
        printf("\nmodel       %s at %s",
               format_number_of(experts, result->info.modules, "expert", "experts"),
               format_number_of(leaves, result->info.leaves, "leaf", "leaves"));
    printf(", %s parameters; a row needs %s, %s of memory\n",
           format_count(c, result->info.parameters),
           format_count(d, result->info.active_parameters),
           format_size((char[PRINTING_ROOM]){0}, result->info.resident_bytes));
    printf("report rows ");
    print_score(task_of(&training->score), &training->score);
    if (result->test) {
        printf("\ntest rows   ");
        print_score(task_of(result->test), result->test);
    }
    printf("\nseconds     %.1f%s\n", training->seconds,
           training->time_limit_struck ? " (the time limit struck)" : "");
    if (training->training_bytes > 0)
        printf("memory      %s at most, beside the table\n",
               format_size(a, training->training_bytes));
    if (request->plan.plan)
        train_plan_print(&request->plan, result->test ? result->test : &training->score);
    if (training->control_count > 0)
        print_controls(training);
    printf("\nwritten     %s, %s\n", request->output, format_size(a, result->info.file_bytes));
}

static json_t *controls_json(const ramify_training *training) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < training->control_count; i++) {
        const ramify_control *control = &training->controls[i];
        json_t *one = json_object();
        json_object_set_new(one, "name", json_string(control->name));
        json_object_set_new(one, "parameters", json_count(control->parameters));
        json_object_set_new(one, "active_parameters", json_count(control->active_parameters));
        json_object_set_new(one, "resident_bytes", json_count(control->resident_bytes));
        json_object_set_new(one, "rows", json_count(control->score.rows));
        json_add_score(one, task_of(&control->score), &control->score);
        json_object_set_new(one, "seconds", json_number(control->seconds));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *score_json(const ramify_score *score) {
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_count(score->rows));
    if (score->rows > 0)
        json_add_score(object, task_of(score), score);
    return object;
}

static bool print_result_json(const train_request *request, const train_result *result) {
    const ramify_training *training = result->training;
    json_t *object = json_object();
    if (training) {
        json_object_set_new(object, "rows", json_count(training->rows));
        json_object_set_new(object, "train_rows", json_count(training->train_rows));
        json_object_set_new(object, "select_rows", json_count(training->select_rows));
        json_object_set_new(object, "report_rows", json_count(training->report_rows));
        json_object_set_new(object, "skipped_rows", json_count(training->skipped_rows));
        json_add_score(object, task_of(&training->score), &training->score);
        json_object_set_new(object, "seconds", json_number(training->seconds));
        if (training->training_bytes > 0)
            json_object_set_new(object, "training_bytes", json_count(training->training_bytes));
        json_object_set_new(object, "time_limit_struck", json_boolean(training->time_limit_struck));
        json_object_set_new(object, "kind", json_string(result->info.kind));
        json_object_set_new(object, "leaves", json_count(result->info.leaves));
        json_object_set_new(object, "modules", json_count(result->info.modules));
        json_object_set_new(object, "parameters", json_count(result->info.parameters));
        json_object_set_new(object, "active_parameters",
                            json_count(result->info.active_parameters));
        json_object_set_new(object, "resident_bytes", json_count(result->info.resident_bytes));
        json_object_set_new(object, "file_bytes", json_count(result->info.file_bytes));
        if (result->test)
            json_object_set_new(object, "test", score_json(result->test));
        if (training->control_count > 0)
            json_object_set_new(object, "controls", controls_json(training));
        if (request->plan.plan &&
            json_object_set_new(object, "plan", train_plan_json(&request->plan)) != 0) {
            json_decref(object);
            object = NULL; /* print_json says so */
        }
    }
    if (result->folds) {
        json_t *folds = json_array();
        for (uint32_t i = 0; i < request->folds; i++)
            json_array_append_new(folds, score_json(&result->folds[i]));
        json_object_set_new(object, "folds", folds);
    }
    return print_json(object);
}

/* ------------------------------------------------------------------------------------------------
 * Training
 * --------------------------------------------------------------------------------------------- */

/* Saves what a stopped training has brought; a file that is there may be better and stays: an
 * earlier stopped one, too. training: NULL when out of memory for it. */
static int save_stopped(session *run, const train_request *request, const ramify_model *model,
                        const ramify_training *training) {
    int exit_status = EXIT_SIGNAL + session_signal();
    if (!model) {
        session_error(run, "stopped by %s before there was a model; nothing is written",
                      session_signal_name());
        return exit_status;
    }
    char *beside = session_stopped_path(request->output);
    if (!beside)
        return session_error(run, "out of memory");
    ramify_status status = ramify_save(run->context, model, beside);
    train_plan_warn(run, &request->plan, model);
    char score[64] = "";
    if (training && training->score.rows > 0)
        snprintf(score, sizeof score, " (%s %.6g on report rows)",
                 task_of(&training->score) == RAMIFY_TASK_REGRESSION ? "rmse" : "error",
                 error_of(&training->score));
    if (status != RAMIFY_OK)
        exit_status = session_failed(run, status);
    else
        session_error(run, "stopped by %s; the best model so far%s is written to %s",
                      session_signal_name(), score, beside);
    free(beside);
    return exit_status;
}

/* Trains, saves, and scores the test rows. *model and *training are the caller's to free. */
static int train_model(session *run, train_request *request, const ramify_table *table,
                       const ramify_table *test, ramify_model **model, ramify_training **training,
                       ramify_score *test_score) {
    const bool trees =
        request->options.kind[0] != 'n' && strcmp(request->options.kind, "paraformer") != 0;
    if (run->ranks > 1 && trees && !request->plan.plan)
        request->options.output = request->output;
    ramify_status status =
        ramify_train(run->context, table, &request->options, test, model, training);
    if (status == RAMIFY_OK)
        status = train_plan_prune(run, &request->plan, table, model, *training);
    run->finishing = true;
    /* What one of several ranks has of a model is no model. */
    if (status == RAMIFY_STOPPED && session_signal() && run->ranks == 1)
        return save_stopped(run, request, *model, *training);
    if (status == RAMIFY_OK)
        train_plan_warn(run, &request->plan, *model);
    if (status == RAMIFY_OK && !request->options.output)
        status = ramify_save(run->context, *model, request->output);
    if (status == RAMIFY_OK && request->rewind && (*training)->rewind)
        status = ramify_save(run->context, (*training)->rewind, request->rewind);
    if (status == RAMIFY_OK && test)
        status = ramify_evaluate(run->context, *model, test, test_score, NULL);
    return status == RAMIFY_OK ? EXIT_OK : session_failed(run, status);
}

static int train(session *run, train_request *request, const ramify_table *table,
                 const ramify_table *test) {
    train_result result = {0};
    ramify_model *model = NULL;
    ramify_training *training = NULL;
    ramify_score test_score = {0};
    int exit_status = EXIT_OK;
    if (request->folds > 0) {
        result.folds = calloc(request->folds, sizeof *result.folds);
        if (!result.folds)
            return session_error(run, "out of memory");
        ramify_status status = ramify_cross_validate(run->context, table, &request->options,
                                                     request->folds, result.folds);
        if (status != RAMIFY_OK)
            exit_status = session_failed(run, status);
    }
    if (exit_status == EXIT_OK && request->output)
        exit_status = train_model(run, request, table, test, &model, &training, &test_score);
    if (exit_status == EXIT_OK) {
        if (model) {
            ramify_model_get_info(model, &result.info);
            result.training = training;
            result.test = test ? &test_score : NULL;
            exit_status = train_plan_close(run, &request->plan, training,
                                           test ? &test_score : &training->score, &result.info);
        }
        if (!request->json)
            print_result(request, &result);
        else if (!print_result_json(request, &result))
            exit_status = session_unprinted(run);
    }
    ramify_training_destroy(&training);
    ramify_close(&model);
    free(result.folds);
    return exit_status;
}

/* Reads the tables and trains on them. */
static int read_and_train(session *run, train_request *request, const char *data) {
    ramify_table *table = NULL, *test = NULL;
    if (run->ranks > 1 && request->plan.path)
        return session_error(run, "--plan: a plan is carried out by one process: start it without "
                                  "the launcher");
    if (run->ranks > 1)
        run->advice = request->options.resume
                          ? "the same command goes on from what is finished"
                          : "nothing is kept: --resume DIR would keep what is finished";
    const int planned = train_plan_open(run, &request->plan, &request->options);
    if (planned != EXIT_OK)
        return planned;
    ramify_status status = ramify_train_options_check(run->context, &request->options);
    if (status == RAMIFY_OK && request->output) {
        int exit_status = check_output(run, request, data);
        if (exit_status != EXIT_OK)
            return exit_status;
    }
    if (status == RAMIFY_OK)
        status = request->folds > 0
                     ? ramify_table_read(run->context, data, &request->table.options, &table)
                     : ramify_table_read_for_training(run->context, data, &request->table.options,
                                                      &request->options, &table);
    if (status == RAMIFY_OK && request->test) {
        ramify_table_options options = request->table.options;
        options.labels = request->test_labels;
        status = ramify_table_read(run->context, request->test, &options, &test);
    }
    int exit_status =
        status == RAMIFY_OK ? train(run, request, table, test) : session_failed(run, status);
    ramify_table_destroy(&test);
    ramify_table_destroy(&table);
    return exit_status;
}

int verb_train(int argc, char **argv) {
    train_request request = {0};
    arguments list = {.verb = "train",
                      .usage = "DATA --target COL -o MODEL",
                      .positional_count = 1,
                      .summary =
                          "Learns to predict columns of DATA from the others: first one small\n"
                          "network on all rows, then, down a tree, one for every part of the rows\n"
                          "that gains by it. Ctrl-C writes the best model so far."};
    list_options(&list, &request, argc, argv);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        finish_options(&request);
        exit_status = check_request(&list, &request);
        session run;
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "train", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = read_and_train(&run, &request, list.positional[0]);
            ramify_plan_destroy(&request.plan.plan);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

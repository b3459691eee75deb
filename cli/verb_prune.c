/* ramify prune MODEL DATA ... -o OUT: a model with fewer weights, made by training with fewer and fewer.
 * ramify prune MODEL --branches K -o OUT: the first branches of a Para-Former. */

#include "output.h"
#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file of this share of the dense one's bytes has hardly a sparse layer. */
#define DENSE_SHARE 0.9

/* How names of the files begin that --resume keeps in its folder (ramify_prune_options). */
static const char *const kept_names[] = {"runs.csv", "pruning.json", "round-", NULL};

static const char *const first_names[] = {"magnitude", "random", "neurons", "branches", NULL};
static const char *const scope_names[] = {"global", "module", NULL};

typedef struct prune_request {
    const char *output, *rewind, *runs;
    uint32_t branches;
    double density, increase;
    uint64_t seed;
    int first, scope, store, distillation;
    bool dry_run, json;
    ramify_prune_options options;
    table_arguments table;
    context_arguments context;
} prune_request;

/* --- Branches --------------------------------------------------------------------------------- */

static bool print_branches_json(const ramify_model_info *before, const ramify_model_info *after) {
    json_t *object = json_object();
    json_object_set_new(object, "branches", json_count(after->branches));
    json_object_set_new(object, "branches_before", json_count(before->branches));
    json_object_set_new(object, "dense_file_bytes", json_count(before->file_bytes));
    json_object_set_new(object, "dense_resident_bytes", json_count(before->resident_bytes));
    json_object_set_new(object, "file_bytes", json_count(after->file_bytes));
    json_object_set_new(object, "resident_bytes", json_count(after->resident_bytes));
    json_object_set_new(object, "parameters", json_count(after->parameters));
    return print_json(object);
}

static int keep_branches(session *run, const prune_request *request, const char *path) {
    int exit_status = session_check_outputs(run, &request->output, 1, &path, 1);
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
        if (!request->json)
            printf("written     %s, %u of %u branches, %s of %s\n", request->output, after.branches,
                   before.branches, format_size(a, after.file_bytes),
                   format_size(b, before.file_bytes));
        else if (!print_branches_json(&before, &after))
            exit_status = session_unprinted(run);
    }
    ramify_close(&kept);
    ramify_close(&model);
    return status == RAMIFY_OK ? exit_status : session_failed(run, status);
}

/* --- Printing --------------------------------------------------------------------------------- */

static json_t *rounds_json(const ramify_prune_result *result) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < result->round_count; i++) {
        const ramify_prune_round *round = &result->rounds[i];
        json_t *one = json_object();
        json_object_set_new(one, "density", json_number(round->density));
        json_object_set_new(one, "error", json_number(round->error));
        json_object_set_new(one, "predicted", json_number(round->predicted));
        json_object_set_new(one, "seconds", json_number(round->seconds));
        json_object_set_new(one, "fitted", json_number(round->fitted));
        json_array_append_new(list, one);
    }
    return list;
}

static bool print_result_json(const ramify_prune_result *result, const ramify_model_info *before,
                              const ramify_model_info *after) {
    json_t *object = json_object(), *predicted = json_object();
    json_object_set_new(object, "density", json_number(result->density));
    json_object_set_new(object, "error", json_number(after ? result->error : NAN));
    json_object_set_new(object, "dense_error", json_number(result->dense_error));
    json_object_set_new(object, "error_name", json_string(result->error_name));
    json_object_set_new(object, "validation_rows", json_count(result->validation_rows));
    json_object_set_new(predicted, "density", json_number(result->law_density));
    json_object_set_new(predicted, "value", json_number(result->predicted));
    json_object_set_new(predicted, "low", json_number(result->low));
    json_object_set_new(predicted, "high", json_number(result->high));
    json_object_set_new(predicted, "level", json_number(0.9));
    json_object_set_new(object, "predicted", predicted);
    json_object_set_new(object, "rounds", rounds_json(result));
    json_object_set_new(object, "time_limit_struck", json_boolean(result->time_limit_struck));
    json_object_set_new(object, "dense_file_bytes", json_count(before->file_bytes));
    json_object_set_new(object, "dense_resident_bytes", json_count(before->resident_bytes));
    if (after) {
        json_object_set_new(object, "file_bytes", json_count(after->file_bytes));
        json_object_set_new(object, "resident_bytes", json_count(after->resident_bytes));
        json_object_set_new(object, "parameters", json_count(after->parameters));
    }
    return print_json(object);
}

static double percent_more(double error, double than) {
    return 100 * (error / than - 1);
}

static void print_rounds(const ramify_prune_result *result) {
    printf("%-7s %10s %12s %10s %12s %9s\n", "round", "density", result->error_name, "more",
           "predicted", "seconds");
    for (uint32_t i = 0; i < result->round_count; i++) {
        const ramify_prune_round *round = &result->rounds[i];
        char said[32] = "";
        if (isfinite(round->predicted))
            snprintf(said, sizeof said, "%.6g", round->predicted);
        printf("%-7u %10.5f %12.6g %8.2f %% %12s %9.1f\n", i, round->density, round->error,
               percent_more(round->error, result->dense_error), said, round->seconds);
    }
}

/* Of the round that is kept, or of a dry run. */
static void print_predicted(const ramify_prune_result *result) {
    bool law = false;
    for (uint32_t i = 0; i < result->round_count; i++)
        law = law || isfinite(result->rounds[i].predicted);
    if (isfinite(result->predicted)) {
        printf("predicted   %s %.6g", result->error_name, result->predicted);
        if (isfinite(result->low) && isfinite(result->high))
            printf(" (90 %%: %.6g to %.6g)", result->low, result->high);
        printf(" at density %.4g\n", result->density);
    } else if (law || isfinite(result->law_density)) {
        printf("predicted   nothing: the round that is kept was made before the first law\n");
    } else if (result->round_count > RAMIFY_PRUNE_LAW_ROUNDS) {
        printf("predicted   nothing: no law could be fitted to the rounds\n");
    } else {
        printf("predicted   nothing: a law needs %d rounds before\n", RAMIFY_PRUNE_LAW_ROUNDS);
    }
}

static void print_law(const ramify_prune_result *result, double increase) {
    if (increase >= 0 && isfinite(result->law_density)) {
        printf("law         ");
        if (result->law_density >= 1)
            printf("no density keeps the %s within %g %% of %.6g\n", result->error_name,
                   100 * increase, result->dense_error);
        else if (result->law_density <= 0)
            printf("every density keeps the %s within %g %%: there are too few rounds yet\n",
                   result->error_name, 100 * increase);
        else
            printf("%g %% more %s at density %.4g\n", 100 * increase, result->error_name,
                   result->law_density);
    }
    print_predicted(result);
}

/* The round of fewest weights that is not kept though its error is within the bound; NULL: there is none. */
static const ramify_prune_round *passed_over(const ramify_prune_result *result, double increase) {
    const double limit = result->dense_error * (1 + increase);
    const ramify_prune_round *last = NULL;
    for (uint32_t i = 1; i < result->round_count; i++) {
        const ramify_prune_round *round = &result->rounds[i];
        if (round->density < result->density && round->error <= limit && round->fitted > limit &&
            (!last || round->density < last->density))
            last = round;
    }
    return last;
}

static void print_passed_over(const ramify_prune_result *result, double increase) {
    const ramify_prune_round *round = passed_over(result, increase);
    if (!round)
        return;
    printf(
        "not kept    round %u, of density %.4g: measured %s %.6g is within %g %%, but the law of "
        "the rounds\n            up to it says %.6g; one round's error is noisy, and both must be "
        "within\n",
        (unsigned)(round - result->rounds), round->density, result->error_name, round->error,
        100 * increase, round->fitted);
}

static void print_result(const prune_request *request, const ramify_prune_result *result,
                         const ramify_model_info *before, const ramify_model_info *after) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM], c[PRINTING_ROOM], d[PRINTING_ROOM];
    print_rounds(result);
    print_law(result, request->options.max_error_increase);
    if (!after)
        return;
    if (request->increase >= 0)
        print_passed_over(result, request->increase);
    printf("measured    %s %.6g, %+.2f %% of %.6g, on %s validation rows, at density %.4g%s\n",
           result->error_name, result->error, percent_more(result->error, result->dense_error),
           result->dense_error, format_count(a, result->validation_rows), result->density,
           result->time_limit_struck ? " (the time limit struck)" : "");
    printf("memory      a row needs %s of %s%s\n", format_size(a, after->resident_bytes),
           format_size(b, before->resident_bytes),
           after->resident_bytes > before->resident_bytes ? ", which is more than before" : "");
    printf("written     %s, %s of %s\n", request->output, format_size(c, after->file_bytes),
           format_size(d, before->file_bytes));
    const bool hardly = result->density < 1 && request->options.max_bytes == 0 &&
                        request->options.max_resident == 0 &&
                        (double)after->file_bytes > DENSE_SHARE * (double)before->file_bytes;
    if (hardly && after->branches > 0)
        printf("            a Para-Former's zeros are stored: --first neurons or branches make it "
               "smaller\n");
    else if (hardly && request->store == 0)
        printf("            most layers are stored with their zeros, as single rows are answered "
               "faster so at this\n            density; --store smallest stores fewer bytes\n");
}

/* The rounds as runs that `ramify law fit --form pruning` reads. */
static int write_runs(session *run, const char *path, const ramify_prune_result *result) {
    output to;
    if (!output_open(&to, path))
        return session_error(run, "%s: cannot write: %s", path, strerror(errno));
    fprintf(to.file, "density,error,seconds\n");
    for (uint32_t i = 0; i < result->round_count; i++)
        fprintf(to.file, "%.17g,%.17g,%.3f\n", result->rounds[i].density, result->rounds[i].error,
                result->rounds[i].seconds);
    if (!output_close(&to))
        return session_error(run, "%s: cannot write: %s", path, strerror(errno));
    return EXIT_OK;
}

/* --- Pruning ---------------------------------------------------------------------------------- */

/* What there is after a signal. */
static int save_stopped(session *run, const prune_request *request, const ramify_model *pruned,
                        const ramify_prune_result *result) {
    const int exit_status = EXIT_SIGNAL + session_signal();
    if (!pruned || !result) {
        session_error(run, "stopped by %s before a round was done; nothing is written",
                      session_signal_name());
        return exit_status;
    }
    char *beside = session_stopped_path(request->output);
    if (!beside)
        return session_error(run, "out of memory");
    const ramify_status status = ramify_save(run->context, pruned, beside);
    const int failed = status == RAMIFY_OK ? EXIT_OK : session_failed(run, status);
    if (failed == EXIT_OK)
        session_error(run,
                      "stopped by %s; the best model so far (density %.4g, %s %.6g) is written "
                      "to %s",
                      session_signal_name(), result->density, result->error_name, result->error,
                      beside);
    free(beside);
    return failed == EXIT_OK ? exit_status : failed;
}

/* A request that took no weights is met, but hardly meant. */
static void warn_of_nothing(session *run, const prune_request *request,
                            const ramify_prune_result *result) {
    char most[PRINTING_ROOM];
    const double density = result->rounds[0].density;
    if (request->increase >= 0 && !request->dry_run && result->density >= density)
        session_warning(run, "no round keeps the %s within %g %% of %.6g%s%s; nothing was pruned",
                        result->error_name, 100 * request->increase, result->dense_error,
                        passed_over(result, request->increase) ? " by measure and law both" : "",
                        result->time_limit_struck ? " in the time there was" : "");
    else if (result->round_count == 1 && result->time_limit_struck)
        session_warning(run, "the time limit struck before a round was done; nothing was pruned");
    else if (result->round_count == 1 && request->density >= density)
        session_warning(run,
                        "the model has density %.4g already, and %g was asked for; nothing was "
                        "pruned",
                        density, request->density);
    else if (result->round_count == 1 && request->options.max_bytes > 0)
        session_warning(run, "%s hold the model as it is; nothing was pruned",
                        format_size(most, request->options.max_bytes));
    else if (result->round_count == 1 && request->options.max_resident > 0)
        session_warning(run, "in %s a row is predicted as it is; nothing was pruned",
                        format_size(most, request->options.max_resident));
}

static int finish(session *run, const prune_request *request, const ramify_model *model,
                  const ramify_model *pruned, const ramify_prune_result *result) {
    ramify_model_info before, after;
    ramify_model_get_info(model, &before);
    if (pruned) {
        const ramify_status status = ramify_save(run->context, pruned, request->output);
        if (status != RAMIFY_OK)
            return session_failed(run, status);
        ramify_model_get_info(pruned, &after);
    }
    int exit_status = request->runs ? write_runs(run, request->runs, result) : EXIT_OK;
    if (exit_status != EXIT_OK)
        return exit_status;
    warn_of_nothing(run, request, result);
    if (!request->json)
        print_result(request, result, &before, pruned ? &after : NULL);
    else if (!print_result_json(result, &before, pruned ? &after : NULL))
        exit_status = session_unprinted(run);
    return exit_status;
}

static int prune_table(session *run, prune_request *request, ramify_model *model,
                       ramify_model *rewind, const ramify_table *table) {
    ramify_model *pruned = NULL;
    ramify_prune_result *result = NULL;
    request->options.rewind = rewind;
    const ramify_status status =
        ramify_prune(run->context, model, table, &request->options, &pruned, &result);
    run->finishing = true;
    int exit_status;
    /* Before a place for the model is looked for, which could be this file's. */
    if (status == RAMIFY_STOPPED && result && request->runs)
        (void)write_runs(run, request->runs, result);
    if (status == RAMIFY_OK)
        exit_status = finish(run, request, model, pruned, result);
    else if (status == RAMIFY_STOPPED && session_signal() && request->output)
        exit_status = save_stopped(run, request, pruned, result);
    else
        exit_status = session_failed(run, status);
    ramify_prune_result_destroy(&result);
    ramify_close(&pruned);
    return exit_status;
}

/* What is written is nothing that is read, no two are one file, and none is one that --resume keeps. */
static int check_files(session *run, const prune_request *request, const char *path,
                       const char *data) {
    const char *folder = request->options.resume;
    const char *const inputs[] = {path, data, request->rewind, request->table.options.labels};
    const char *const outputs[] = {request->output, request->runs};
    int exit_status = session_check_outputs(run, outputs, 2, inputs, 4);
    for (size_t i = 0; exit_status == EXIT_OK && folder && i < 6; i++) {
        const char *file = i < 4 ? inputs[i] : outputs[i - 4];
        if (file && session_is_in(file, folder, kept_names))
            exit_status = session_error(
                run, "%s: --resume %s writes files of such names: %s", file, folder,
                i < 4 ? "read another file, or take another folder" : "write to another file");
    }
    for (size_t i = 0; exit_status == EXIT_OK && i < 2; i++)
        exit_status = outputs[i] ? session_check_writable(run, outputs[i]) : EXIT_OK;
    return exit_status;
}

static int prune(session *run, prune_request *request, const char *path, const char *data) {
    int exit_status = check_files(run, request, path, data);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_model *model = NULL, *rewind = NULL;
    ramify_table *table = NULL;
    ramify_status status = ramify_open(run->context, path, NULL, &model);
    if (status == RAMIFY_OK && request->rewind)
        status = ramify_open(run->context, request->rewind, NULL, &rewind);
    if (status == RAMIFY_OK)
        status =
            ramify_table_read_for_model(run->context, model, data, &request->table.options, &table);
    exit_status = status == RAMIFY_OK ? prune_table(run, request, model, rewind, table)
                                      : session_failed(run, status);
    ramify_table_destroy(&table);
    ramify_close(&rewind);
    ramify_close(&model);
    return exit_status;
}

/* --- Options ---------------------------------------------------------------------------------- */

static void list_request(arguments *list, prune_request *request) {
    const argument_option options[] = {
        {.help = "How far, one of these"},
        {.name = "density",
         .kind = ARGUMENT_SHARE,
         .value = &request->density,
         .placeholder = "SHARE",
         .unset = "none",
         .help = "weights that are to be left"},
        {.name = "max-error-increase",
         .kind = ARGUMENT_SHARE,
         .value = &request->increase,
         .placeholder = "SHARE",
         .unset = "none",
         .help = "as few as make the error at most so much larger"},
        {.name = "max-bytes",
         .kind = ARGUMENT_SIZE,
         .value = &request->options.max_bytes,
         .placeholder = "SIZE",
         .unset = "none",
         .help = "as many as a file of this size holds"},
        {.name = "max-resident",
         .kind = ARGUMENT_SIZE,
         .value = &request->options.max_resident,
         .placeholder = "SIZE",
         .unset = "none",
         .help = "as many as fit where predicting a row holds so much"},
        {.name = "branches",
         .kind = ARGUMENT_COUNT,
         .value = &request->branches,
         .placeholder = "K",
         .unset = "none",
         .help = "of a Para-Former, without DATA: how many are kept"},
        {.help = "What comes out"},
        {.name = "output",
         .letter = 'o',
         .kind = ARGUMENT_TEXT,
         .value = &request->output,
         .placeholder = "OUT",
         .unset = "required without --dry-run",
         .help = "the model to write"},
        {.name = "dry-run",
         .kind = ARGUMENT_NONE,
         .value = &request->dry_run,
         .help = "a few rounds, and what the law says; no model"},
        {.name = "store",
         .kind = ARGUMENT_NAME,
         .value = &request->store,
         .names = argument_store_names,
         .help = "layers are sparse where that is faster, or smaller, or never"},
        {.name = "runs",
         .kind = ARGUMENT_TEXT,
         .value = &request->runs,
         .placeholder = "CSV",
         .unset = "none",
         .help = "density and error of every round, for law fit"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &request->json,
         .help = "print the results as JSON"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
}

/* How a round goes. */
static void list_rounds(arguments *list, prune_request *request) {
    ramify_prune_options *o = &request->options;
    const argument_option options[] = {
        {.help = "Rounds"},
        {.name = "rewind",
         .kind = ARGUMENT_TEXT,
         .value = &request->rewind,
         .placeholder = "FILE",
         .unset = "none: weights stay, rates begin anew",
         .help = "where weights go back to (train --rewind)"},
        {.name = "step",
         .kind = ARGUMENT_SHARE,
         .value = &o->step,
         .placeholder = "SHARE",
         .help = "weights that a round takes"},
        {.name = "first",
         .kind = ARGUMENT_NAME,
         .value = &request->first,
         .names = first_names,
         .help = "what goes first: small weights, any, small hidden units, branches"},
        {.name = "scope",
         .kind = ARGUMENT_NAME,
         .value = &request->scope,
         .names = scope_names,
         .help = "one density for all networks together, or for each"},
        {.name = "one-shot",
         .kind = ARGUMENT_NONE,
         .value = &o->one_shot,
         .help = "one round takes all"},
        {.name = "fine-tune",
         .kind = ARGUMENT_NONE,
         .value = &o->fine_tune,
         .help = "weights stay, and learn on with a tenth of the rate"},
        {.name = "epochs",
         .kind = ARGUMENT_COUNT,
         .value = &o->epochs,
         .placeholder = "N",
         .unset = "as in the training",
         .help = "passes over the rows in a round"},
        {.name = "rate",
         .kind = ARGUMENT_NUMBER,
         .value = &o->rate,
         .placeholder = "R",
         .unset = "as in the training",
         .help = "largest learning rate"},
        {.name = "distillation",
         .kind = ARGUMENT_NAME,
         .value = &request->distillation,
         .names = argument_choice_names,
         .help = "the model answers made-up rows to learn from"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
}

/* How many there are, and where they are kept. */
static void list_ends(arguments *list, ramify_prune_options *o) {
    const argument_option options[] = {
        {.name = "rounds",
         .kind = ARGUMENT_COUNT,
         .value = &o->most_rounds,
         .placeholder = "N",
         .unset = "as many as it takes",
         .help = "most rounds"},
        {.name = "time-limit",
         .kind = ARGUMENT_TIME,
         .value = &o->time_limit,
         .placeholder = "TIME",
         .unset = "none",
         .help = "then the best model so far is kept"},
        {.name = "resume",
         .kind = ARGUMENT_TEXT,
         .value = &o->resume,
         .placeholder = "DIR",
         .unset = "none",
         .help = "keep every round there, and go on from it"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
}

/* The options that have a meaning with --branches. */
static const char *const with_branches[] = {"branches", "output", "json",    "threads",
                                            "isa",      "memory", "verbose", NULL};

static int check_request(prune_request *request, const arguments *list) {
    ramify_prune_options *o = &request->options;
    arguments_finish_table(&request->table);
    o->first = first_names[request->first];
    o->scope = scope_names[request->scope];
    o->store = argument_store_names[request->store];
    o->distillation = (ramify_choice)request->distillation;
    o->predict_only = request->dry_run;
    o->density = request->density > 0 ? request->density : 0;
    o->max_error_increase = request->increase;
    o->own_seed = request->seed != UINT64_MAX;
    o->seed = o->own_seed ? request->seed : 0;
    const bool asked =
        request->density >= 0 || request->increase >= 0 || o->max_bytes > 0 || o->max_resident > 0;
    if (!request->output && !request->dry_run)
        return arguments_refuse("prune", "-o OUT is missing: the model to write");
    if (request->output && request->dry_run)
        return arguments_refuse("prune", "--dry-run writes no model: leave -o out");
    if (request->branches > 0 && (asked || list->positional[1] || request->dry_run))
        return arguments_refuse("prune", "--branches takes neither DATA nor another request");
    const char *beside = arguments_beside(list, with_branches);
    if (request->branches > 0 && beside)
        return arguments_refuse("prune", "--branches takes no --%s: nothing is trained or measured",
                                beside);
    if (request->rewind && o->fine_tune)
        return arguments_refuse("prune", "--rewind takes weights back and --fine-tune goes on from "
                                         "them as they are: use one of the two");
    if (request->density == 0)
        return arguments_refuse("prune", "--density 0: must be a share of the weights from 1e-6 to "
                                         "below 1 (as 0.1 or 10%% does)");
    if (request->branches == 0 && !asked)
        return arguments_refuse("prune", "how far to prune is missing: --density, "
                                         "--max-error-increase, --max-bytes, --max-resident or "
                                         "--branches");
    if (request->branches == 0 && !list->positional[1])
        return arguments_refuse("prune", "DATA is missing: the rows to learn from");
    return EXIT_OK;
}

int verb_prune(int argc, char **argv) {
    prune_request request = {.density = -1, .increase = -1, .seed = UINT64_MAX};
    arguments list = {
        .verb = "prune",
        .usage = "MODEL DATA -o OUT",
        .positional_count = 2,
        .optional_count = 1,
        .summary = "Takes weights from a model's networks, in rounds, and lets the others\n"
                   "learn without them. A law of pruning, fitted to the rounds, says how far\n"
                   "to go. Or, with --branches, writes the first branches of a Para-Former."};
    ramify_prune_options_init(&request.options);
    list_request(&list, &request);
    list_rounds(&list, &request);
    list_ends(&list, &request.options);
    arguments_add_held(&list, (held_arguments){&request.options.weight, &request.options.group,
                                               &request.options.time, &request.options.validation,
                                               &request.seed});
    arguments_add_table(&list, &request.table);
    arguments_add_context(&list, &request.context);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        exit_status = check_request(&request, &list);
        session run;
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "prune", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = request.branches > 0
                              ? keep_branches(&run, &request, list.positional[0])
                              : prune(&run, &request, list.positional[0], list.positional[1]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

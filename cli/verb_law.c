/* ramify law: scaling laws. Its own first word says what to do. */

#include "output.h"
#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const loss_names[] = {[RAMIFY_LAW_LOSS_LOG] = "log",
                                         [RAMIFY_LAW_LOSS_RELATIVE] = "relative",
                                         [RAMIFY_LAW_LOSS_HUBER] = "huber",
                                         NULL};

/* --- law fit ---------------------------------------------------------------------------------- */

typedef struct fit_request {
    ramify_law_options options;
    char *x, *by, *fix;
    argument_texts where;
    int loss;
    uint64_t bootstrap;
    const char *output;
    bool json;
    table_arguments table;
    context_arguments context;
} fit_request;

static void list_fit_options(arguments *list, fit_request *request) {
    ramify_law_options *options = &request->options;
    ramify_law_options_init(options);
    request->loss = (int)options->loss;
    request->bootstrap = options->bootstrap;
    const argument_option own[] = {
        {.name = "form",
         .kind = ARGUMENT_TEXT,
         .value = &options->form,
         .placeholder = "NAME",
         .unset = "required",
         .help = "the formula; `ramify law forms` lists them"},
        {.name = "x",
         .kind = ARGUMENT_LIST,
         .value = &request->x,
         .placeholder = "COL,..",
         .unset = "required",
         .help = "columns of sizes, in the form's order"},
        {.name = "y",
         .kind = ARGUMENT_TEXT,
         .value = &options->y,
         .placeholder = "COL",
         .unset = "required",
         .help = "column of the error, above 0"},
        {.name = "by",
         .kind = ARGUMENT_LIST,
         .value = &request->by,
         .placeholder = "COL,..",
         .unset = "one law",
         .help = "one law for every combination of values"},
        {.name = "fit-where",
         .kind = ARGUMENT_TEXTS,
         .value = &request->where,
         .placeholder = "COND",
         .unset = "all runs",
         .help = "fit runs with COL<=V (or = < > >=), score the rest"},
        {.name = "output",
         .letter = 'o',
         .kind = ARGUMENT_TEXT,
         .value = &request->output,
         .placeholder = "LAW.json",
         .unset = "none",
         .help = "where the law goes"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &request->json,
         .help = "print the law as JSON"},
        {.help = "How it is fitted"},
        {.name = "loss",
         .kind = ARGUMENT_NAME,
         .value = &request->loss,
         .names = loss_names,
         .help = "squares of log or relative errors, or Huber's"},
        {.name = "delta",
         .kind = ARGUMENT_NUMBER,
         .value = &options->delta,
         .placeholder = "D",
         .help = "where Huber's loss turns linear"},
        {.name = "above",
         .kind = ARGUMENT_NUMBER,
         .value = &options->above,
         .placeholder = "W",
         .help = "weight of runs above the law, if under-tuned"},
        {.name = "weight",
         .kind = ARGUMENT_TEXT,
         .value = &options->weight,
         .placeholder = "COL",
         .unset = "all alike",
         .help = "column of the runs' weights"},
        {.name = "fix",
         .kind = ARGUMENT_LIST,
         .value = &request->fix,
         .placeholder = "NAME=V,..",
         .unset = "none",
         .help = "parameters that are known"},
        {.name = "folds",
         .kind = ARGUMENT_COUNT,
         .value = &options->folds,
         .placeholder = "K",
         .unset = "none",
         .help = "score by cross-validation, too"},
        {.name = "bootstrap",
         .kind = ARGUMENT_INTEGER,
         .value = &request->bootstrap,
         .placeholder = "N",
         .help = "resamples for intervals of parameters; 0: none"},
        {.name = "level",
         .kind = ARGUMENT_SHARE,
         .value = &options->level,
         .placeholder = "P",
         .help = "level of these intervals"},
        {.name = "seed",
         .kind = ARGUMENT_INTEGER,
         .value = &options->seed,
         .placeholder = "N",
         .help = "of resamples and folds"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        arguments_add(list, own[i]);
    arguments_add_table(list, &request->table);
    arguments_add_context(list, &request->context);
}

static double number_in(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void print_fit_score(const json_t *group, const char *key, const char *title) {
    const json_t *score = json_object_get(group, key);
    if (score)
        printf("  %-9s %5.0f runs, rmse of logarithms %.4g, relative error %+.2f %% mean, %.2f %% "
               "deviation\n",
               title, number_in(score, "rows"), number_in(score, "rmse_log"),
               100 * number_in(score, "relative_error_mean"),
               100 * number_in(score, "relative_error_sd"));
}

static void print_group(const json_t *group, double level) {
    json_t *by = json_object_get(group, "by");
    for (void *at = json_object_iter(by); at; at = json_object_iter_next(by, at))
        printf("%s=%s ", json_object_iter_key(at), json_string_value(json_object_iter_value(at)));
    if (json_object_size(by) > 0)
        printf("\n");
    const json_t *refusal = json_object_get(group, "refusal");
    if (refusal) {
        printf("  no law: %s\n", json_string_value(refusal));
        return;
    }
    const json_t *errors = json_object_get(group, "standard_errors");
    const json_t *intervals = json_object_get(group, "intervals");
    json_t *parameters = json_object_get(group, "parameters");
    for (void *at = json_object_iter(parameters); at; at = json_object_iter_next(parameters, at)) {
        const char *key = json_object_iter_key(at);
        printf("  %-18s %12.6g", key, json_number_value(json_object_iter_value(at)));
        double error = number_in(errors, key);
        if (!isnan(error))
            printf("  +- %-10.3g", error);
        const json_t *interval = json_object_get(intervals, key);
        if (interval)
            printf("  %.0f %%: %.5g to %.5g", 100 * level,
                   json_number_value(json_array_get(interval, 0)),
                   json_number_value(json_array_get(interval, 1)));
        printf("\n");
    }
    print_fit_score(group, "fit", "fitted");
    print_fit_score(group, "folds", "folds");
    print_fit_score(group, "heldout", "held out");
    const json_t *warnings = json_object_get(group, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        printf("  note: %s\n", json_string_value(json_array_get(warnings, i)));
}

static bool print_law(const char *text) {
    json_t *law = json_loads(text, 0, NULL);
    if (!law)
        return false;
    const char *form = json_string_value(json_object_get(law, "form"));
    const char *formula = "", *name;
    for (uint32_t i = 0; (name = ramify_law_form_name(i, &formula, NULL)); i++)
        if (strcmp(name, form) == 0)
            break;
    printf("%s: %s\n", form, formula);
    const json_t *groups = json_object_get(law, "groups");
    for (size_t i = 0; i < json_array_size(groups); i++)
        print_group(json_array_get(groups, i), number_in(law, "level"));
    json_decref(law);
    return true;
}

static int write_text(session *run, const char *path, const char *text) {
    output to;
    if (!output_open(&to, path))
        return session_error(run, "%s: cannot be written (%s)", path, strerror(errno));
    fprintf(to.file, "%s\n", text);
    return output_close(&to)
               ? EXIT_OK
               : session_error(run, "%s: cannot be written (%s)", path, strerror(errno));
}

static int fit(session *run, fit_request *request, const char *data) {
    ramify_table *table = NULL;
    ramify_law *law = NULL;
    int exit_status = EXIT_OK;
    ramify_status status = ramify_table_read(run->context, data, &request->table.options, &table);
    if (status == RAMIFY_OK)
        status = ramify_law_fit(run->context, table, &request->options, &law);
    ramify_table_destroy(&table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    const char *text = ramify_law_text(law);
    if (request->output)
        exit_status = write_text(run, request->output, text);
    if (exit_status == EXIT_OK && request->json)
        printf("%s\n", text);
    else if (exit_status == EXIT_OK && !print_law(text))
        exit_status = session_error(run, "out of memory");
    ramify_law_destroy(&law);
    return exit_status;
}

static int law_fit(int argc, char **argv) {
    fit_request request = {0};
    arguments list = {.verb = "law fit",
                      .usage = "RUNS.csv --form NAME --x COL,.. --y COL",
                      .positional_count = 1,
                      .summary =
                          "Fits a scaling law to a table of runs: prints its parameters with\n"
                          "standard errors and bootstrap intervals, and how well it does on the\n"
                          "runs that were fitted and on those that were held out."};
    list_fit_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.table);
        request.options.x = request.x;
        request.options.by = request.by;
        request.options.fix = request.fix;
        request.options.where = request.where.text;
        request.options.where_count = request.where.count;
        request.options.loss = (ramify_law_loss_kind)request.loss;
        request.options.bootstrap =
            request.bootstrap > UINT32_MAX ? UINT32_MAX : (uint32_t)request.bootstrap;
        session run;
        if (!request.options.form || !request.x || !request.options.y)
            exit_status = arguments_refuse("law fit", "--form, --x and --y are needed");
        else
            exit_status = session_open(&run, "law fit", &request.context);
        if (exit_status == EXIT_OK) {
            if (request.output)
                exit_status = session_check_output(&run, request.output,
                                                   (const char *const[]){list.positional[0], NULL});
            if (exit_status == EXIT_OK)
                exit_status = fit(&run, &request, list.positional[0]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

/* --- law forms -------------------------------------------------------------------------------- */

static int law_forms(int argc, char **argv) {
    arguments list = {.verb = "law forms",
                      .usage = "",
                      .summary = "Lists the forms of laws: name, formula, source."};
    int exit_status;
    if (!arguments_read(&list, argc, argv, &exit_status))
        return exit_status;
    const char *name, *formula, *source;
    for (uint32_t i = 0; (name = ramify_law_form_name(i, &formula, &source)); i++)
        printf("%-17s %s\n%-17s   %s\n", name, formula, "", source);
    return EXIT_OK;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} acts[] = {{"fit", law_fit}, {"forms", law_forms}};
#define ACTS (sizeof acts / sizeof acts[0])

static const char explanation[] =
    "ramify law: the error of training runs as a function of their sizes.\n"
    "\n"
    "  ramify law fit runs.csv --form additive --x params,tokens --y loss   fit a law to runs\n"
    "  ramify law forms                                                     the formulas\n"
    "\n"
    "`ramify law fit --help` lists the options.\n";

int verb_law(int argc, char **argv) {
    if (argc < 1 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        fputs(explanation, stdout);
        return EXIT_OK;
    }
    const char *names[ACTS];
    for (size_t i = 0; i < ACTS; i++) {
        names[i] = acts[i].name;
        if (strcmp(argv[0], acts[i].name) == 0)
            return acts[i].run(argc - 1, argv + 1);
    }
    const char *nearest = arguments_nearest(argv[0], names, ACTS);
    if (nearest)
        return arguments_refuse("law", "unknown word \"%s\"; did you mean %s?", argv[0], nearest);
    return arguments_refuse("law", "unknown word \"%s\"; known are fit and forms", argv[0]);
}

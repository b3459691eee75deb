/* ramify plan DATA --target COL: what a training will bring, from small runs of it. */

#include "output.h"
#include "plan_report.h"
#include "plan_verbs.h"
#include "printing.h"
#include "session.h"

#include <errno.h>
#include <math.h>
#include <string.h>

typedef struct plan_request {
    ramify_plan_options options;
    ramify_train_options train;
    char *target, *drop; /* lists, ours */
    int kind, task, distillation;
    const char *output, *report, *sweep; /* files; NULL: none */
    bool json;
    table_arguments table;
    context_arguments context;
} plan_request;

static const char *const kind_names[] = {"pathways", "mlp", NULL};
static const char *const task_names[] = {"auto", "regression", "classification", NULL};

/* --- What is printed ----------------------------------------------------------------------------- */

static void print_estimate(const json_t *estimate) {
    if (isnan(number_of(estimate, "value"))) {
        printf("not known");
        return;
    }
    char level[PRINTING_ROOM];
    printf("%.6g (%s %%: %.6g to %.6g)", number_of(estimate, "value"),
           format_level(level, number_of(estimate, "level")), number_of(estimate, "low"),
           number_of(estimate, "high"));
}

/* The options of `train` that the choice comes to, beside those that were given here. */
static void print_choice(const json_t *plan) {
    static const char *const planned[] = {"epochs", "leaves", "distillation", "hidden", NULL};
    const json_t *choice = json_object_get(plan, "choice");
    printf("choice      %s", plan_stage_text(text_of(plan, "stage")));
    for (size_t i = 0; planned[i]; i++) {
        const json_t *value = json_object_get(choice, planned[i]);
        if (json_is_integer(value))
            printf(", --%s %lld", planned[i], (long long)json_integer_value(value));
        else if (json_is_string(value))
            printf(", --%s %s", planned[i], json_string_value(value));
    }
    const json_t *prune = json_object_get(plan, "prune");
    char bound[PRINTING_ROOM];
    if (json_is_object(prune))
        printf(", pruned to %s (a density of %.3g)",
               format_size(bound, count_of(prune, "max_resident")), number_of(prune, "density"));
    if (json_is_true(json_object_get(plan, "met")))
        printf(": %s", text_of(plan, "why"));
    printf("\n");
}

static void print_plan(const json_t *plan, const char *path) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM];
    const json_t *twice = json_object_get(plan, "twice"), *rows = json_object_get(plan, "rows");
    const char *error = text_of(plan, "error");
    printf("rows        %s train, %s validate\n", format_count(a, count_of(rows, "train")),
           format_count(b, count_of(rows, "validation")));
    print_choice(plan);
    printf("predicted   %s ", error);
    print_estimate(json_object_get(plan, "predicted"));
    printf("\ntraining    about %.3g s; a row needs %.3g us and at most %s\n",
           number_of(plan, "training_seconds"), 1e6 * number_of(plan, "latency_seconds"),
           format_size(a, count_of(plan, "resident_bytes")));
    printf("twice rows  %s ", error);
    print_estimate(json_object_get(twice, "rows"));
    /* A plan of before has no such key. */
    if (json_is_false(json_object_get(twice, "beyond_scatter")))
        printf(", or no less: errors of small runs fall by no more than they scatter");
    printf("\ntwice width %s ", error);
    print_estimate(json_object_get(twice, "size"));
    printf("\ntwice time  %s ", error);
    print_estimate(json_object_get(twice, "time"));
    printf("\nsmall runs  %zu in %.3g s%s\n", json_array_size(json_object_get(plan, "runs")),
           number_of(plan, "sweep_seconds"),
           json_is_true(json_object_get(plan, "stopped")) ? ", stopped" : "");
    if (path)
        printf("\nwritten     %s: train DATA --plan %s -o MODEL carries it out\n", path, path);
}

/* Runs as a table that ramify law reads. */
static bool write_sweep(const json_t *plan, const char *path) {
    static const char *const keys[] = {"rows",    "length",          "parameters", "epochs",
                                       "width",   "repeat",          "error",      "seconds",
                                       "density", "latency_seconds", NULL};
    output to;
    size_t i;
    json_t *run;
    if (!output_open(&to, path))
        return false;
    fprintf(to.file, "stage");
    for (size_t k = 0; keys[k]; k++)
        fprintf(to.file, ",%s", keys[k]);
    fprintf(to.file, "\n");
    json_array_foreach(json_object_get(plan, "runs"), i, run) {
        fprintf(to.file, "%s", text_of(run, "stage"));
        for (size_t k = 0; keys[k]; k++)
            fprintf(to.file, ",%.9g", number_of(run, keys[k]));
        fprintf(to.file, "\n");
    }
    return output_close(&to);
}

static bool write_plan(const ramify_plan *plan, const char *path) {
    output to;
    if (!output_open(&to, path))
        return false;
    fprintf(to.file, "%s\n", ramify_plan_text(plan));
    return output_close(&to);
}

static int show(session *run, const plan_request *request, const ramify_plan *plan) {
    json_t *json = json_loads(ramify_plan_text(plan), 0, NULL);
    int exit_status = EXIT_OK;
    if (!json)
        return session_error(run, "out of memory");
    if (request->output && !write_plan(plan, request->output))
        exit_status =
            session_error(run, "%s: cannot be written (%s)", request->output, strerror(errno));
    if (exit_status == EXIT_OK && request->sweep && !write_sweep(json, request->sweep))
        exit_status =
            session_error(run, "%s: cannot be written (%s)", request->sweep, strerror(errno));
    if (exit_status == EXIT_OK && request->report && !plan_report_write(request->report, json))
        exit_status =
            session_error(run, "%s: cannot be written (%s)", request->report, strerror(errno));
    if (exit_status == EXIT_OK && request->json) {
        exit_status = print_json(json_incref(json)) ? EXIT_OK : session_unprinted(run);
    } else if (exit_status == EXIT_OK) {
        print_plan(json, request->output);
    }
    if (exit_status == EXIT_OK && !json_is_true(json_object_get(json, "met")))
        session_warning(run, "%s", text_of(json, "why"));
    json_decref(json);
    return exit_status;
}

/* --- Running ------------------------------------------------------------------------------------- */

static int check_files(session *run, const plan_request *request, const char *data) {
    const char *const outputs[] = {request->output, request->report, request->sweep};
    const char *const inputs[] = {data, request->table.options.labels};
    int exit_status = session_check_outputs(run, outputs, 3, inputs, 2);
    for (size_t i = 0; exit_status == EXIT_OK && i < 3; i++)
        if (outputs[i])
            exit_status = session_check_writable(run, outputs[i]);
    return exit_status;
}

static int plan_table(session *run, plan_request *request, const char *data) {
    ramify_table *table = NULL;
    ramify_plan *plan = NULL;
    int exit_status = check_files(run, request, data);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_status status = ramify_train_options_check(run->context, &request->train);
    if (status == RAMIFY_OK)
        status = ramify_table_read(run->context, data, &request->table.options, &table);
    if (status == RAMIFY_OK)
        status = ramify_plan_make(run->context, table, &request->options, &plan);
    run->finishing = true;
    if (status == RAMIFY_OK) {
        exit_status = show(run, request, plan);
    } else if (status == RAMIFY_STOPPED && session_signal()) {
        session_error(run,
                      "stopped by %s before there were small runs enough for a plan; nothing is "
                      "written: wait longer, or have the runs cost less with --share",
                      session_signal_name());
        exit_status = EXIT_SIGNAL + session_signal();
    } else {
        exit_status = session_failed(run, status);
    }
    if (exit_status == EXIT_OK && session_signal()) {
        session_error(run, "stopped by %s; the plan is made of the small runs there were",
                      session_signal_name());
        exit_status = EXIT_SIGNAL + session_signal();
    }
    ramify_plan_destroy(&plan);
    ramify_table_destroy(&table);
    return exit_status;
}

static void list_options(arguments *list, plan_request *request) {
    ramify_train_options *train = &request->train;
    const argument_option options[] = {
        {.help = "What is to be learned"},
        {.name = "target",
         .kind = ARGUMENT_LIST,
         .value = &request->target,
         .placeholder = "COL",
         .unset = "required",
         .help = "what to predict; may be several columns"},
        {.name = "kind",
         .kind = ARGUMENT_NAME,
         .value = &request->kind,
         .names = kind_names,
         .help = "a tree of experts, or one network"},
        {.name = "task",
         .kind = ARGUMENT_NAME,
         .value = &request->task,
         .names = task_names,
         .help = "auto: words are classes"},
        {.name = "drop",
         .kind = ARGUMENT_LIST,
         .value = &request->drop,
         .placeholder = "COL",
         .unset = "none",
         .help = "columns not to be used"},
        {.name = "weight",
         .kind = ARGUMENT_TEXT,
         .value = &train->weight,
         .placeholder = "COL",
         .unset = "none",
         .help = "weight of every row"},
        {.name = "group",
         .kind = ARGUMENT_TEXT,
         .value = &train->group,
         .placeholder = "COL",
         .unset = "none",
         .help = "rows that belong together"},
        {.name = "time",
         .kind = ARGUMENT_TEXT,
         .value = &train->time,
         .placeholder = "COL",
         .unset = "none",
         .help = "hold out the latest rows by this"},
        {.name = "validation",
         .kind = ARGUMENT_SHARE,
         .value = &train->validation,
         .placeholder = "SHARE",
         .help = "rows held out for choices and scores"},
        {.help = "What is asked for"},
        {.name = "resident",
         .kind = ARGUMENT_SIZE,
         .value = &train->resident_bytes,
         .placeholder = "SIZE",
         .unset = "128KiB",
         .help = "bound on what predicting a row holds"},
        {.name = "latency",
         .kind = ARGUMENT_NUMBER,
         .value = &request->options.latency,
         .placeholder = "SECONDS",
         .unset = "any",
         .help = "bound on the time of a row alone, such as 5e-6"},
        {.name = "error",
         .kind = ARGUMENT_NUMBER,
         .value = &request->options.error,
         .placeholder = "E",
         .unset = "the least",
         .help = "the cheapest training that reaches this rmse, or share of wrong classes"},
        {.name = "budget",
         .kind = ARGUMENT_TIME,
         .value = &request->options.budget,
         .placeholder = "TIME",
         .unset = "any",
         .help = "bound on small runs and training together"},
        {.name = "share",
         .kind = ARGUMENT_SHARE,
         .value = &request->options.share,
         .placeholder = "SHARE",
         .unset = "10%; below 5,000 rows 25%",
         .help = "of the training's cost, what small runs may take"},
        {.name = "level",
         .kind = ARGUMENT_SHARE,
         .value = &request->options.level,
         .placeholder = "P",
         .help = "of the intervals"},
        {.help = "What is fixed"},
        {.name = "hidden",
         .kind = ARGUMENT_TEXT,
         .value = &train->hidden,
         .placeholder = "N,N,..",
         .unset = "planned",
         .help = "widths of the hidden layers"},
        {.name = "leaves",
         .kind = ARGUMENT_COUNT,
         .value = &train->leaves,
         .placeholder = "N",
         .unset = "planned",
         .help = "most leaves of the tree; 1: no tree"},
        {.name = "epochs",
         .kind = ARGUMENT_COUNT,
         .value = &train->epochs,
         .placeholder = "N",
         .unset = "planned",
         .help = "passes for the root"},
        {.name = "distillation",
         .kind = ARGUMENT_NAME,
         .value = &request->distillation,
         .names = argument_choice_names,
         .help = "learn from larger networks too"},
        {.name = "seed",
         .kind = ARGUMENT_INTEGER,
         .value = &train->seed,
         .placeholder = "N",
         .help = "of the training that is planned"},
        {.help = "What comes out"},
        {.name = "output",
         .letter = 'o',
         .kind = ARGUMENT_TEXT,
         .value = &request->output,
         .placeholder = "PLAN",
         .unset = "none",
         .help = "the plan, for train --plan"},
        {.name = "report",
         .kind = ARGUMENT_TEXT,
         .value = &request->report,
         .placeholder = "FILE",
         .unset = "none",
         .help = "a page of HTML about it"},
        {.name = "sweep",
         .kind = ARGUMENT_TEXT,
         .value = &request->sweep,
         .placeholder = "CSV",
         .unset = "none",
         .help = "the small runs, a table for law fit"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &request->json,
         .help = "print the plan as JSON"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
    arguments_add_table(list, &request->table);
    arguments_add_context(list, &request->context);
}

/* Left out, they are 0: not asked for. */
static int check_given(const arguments *list, const plan_request *request) {
    const struct {
        const char *name;
        double value;
    } above[] = {{"error", request->options.error},
                 {"latency", request->options.latency},
                 {"share", request->options.share}};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++)
        if (arguments_given(list, above[i].name) && !(above[i].value > 0))
            return arguments_refuse("plan", "--%s %g: must be above 0", above[i].name,
                                    above[i].value);
    return EXIT_OK;
}

static int finish_options(const arguments *list, plan_request *request) {
    ramify_train_options *train = &request->train;
    const int exit_status = check_given(list, request);
    if (exit_status != EXIT_OK)
        return exit_status;
    arguments_finish_table(&request->table);
    /* A file of labels is the column "label" of the table. */
    train->target = request->target                 ? request->target
                    : request->table.options.labels ? "label"
                                                    : NULL;
    train->drop = request->drop;
    train->kind = kind_names[request->kind];
    train->task = request->task == 0 ? NULL : task_names[request->task];
    train->distillation = (ramify_choice)request->distillation;
    request->options.train = train;
    if (!list->positional[0])
        return arguments_refuse("plan", "DATA is missing: the table to learn from (to plan from a "
                                        "table of runs: ramify plan --runs RUNS.csv)");
    return train->target
               ? EXIT_OK
               : arguments_refuse("plan", "--target COL is missing: the column to predict");
}

int plan_data(int argc, char **argv) {
    plan_request request = {0};
    ramify_plan_options_init(&request.options);
    ramify_train_options_init(&request.train);
    arguments list = {
        .verb = "plan",
        .usage = "DATA --target COL",
        .positional_count = 1,
        .optional_count = 1, /* finish_options says more of it */
        .summary = "Says what a training on DATA will bring before it is paid for: small runs of\n"
                   "it are made, their errors tell that of the whole, and the best way to\n"
                   "train within what is asked for is chosen. Ctrl-C plans from the runs so far.\n"
                   "With --runs RUNS.csv it plans from runs that were made, of any framework."};
    list_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        exit_status = finish_options(&list, &request);
        session run;
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "plan", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = plan_table(&run, &request, list.positional[0]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

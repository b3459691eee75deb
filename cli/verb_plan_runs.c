/* ramify plan --runs: what a budget buys or an error costs, by a table of runs of any framework. */

#include "law_plot.h"
#include "plan_verbs.h"
#include "printing.h"
#include "session.h"

#include <math.h>
#include <string.h>

#define VERB "plan --runs"

typedef struct runs_request {
    ramify_runs_plan_options options;
    const char *runs, *plot;
    char *x;
    argument_texts where;
    uint64_t bootstrap;
    bool json;
    table_arguments table;
    context_arguments context;
} runs_request;

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *estimate_json(const ramify_law_estimate *estimate, double level) {
    return json_pack("{s:o, s:o, s:o, s:f}", "value", json_number(estimate->value), "low",
                     json_number(estimate->low), "high", json_number(estimate->high), "level",
                     level);
}

/* {COL: number} of sizes. */
static json_t *sizes_json(const ramify_runs_plan *plan, const double *x) {
    json_t *sizes = json_object();
    for (uint32_t v = 0; v < plan->sizes; v++)
        json_object_set_new(sizes, ramify_law_variable(plan->law, v), json_number(x[v]));
    return sizes;
}

static json_t *run_json(const ramify_runs_plan *plan, const ramify_planned_run *run, double level) {
    json_t *json = estimate_json(&run->error, level);
    json_object_set_new(json, "cost", json_number(run->cost));
    json_object_set_new(json, "at", sizes_json(plan, run->x));
    return json;
}

/* The law as `law fit --json` gives it, but for the parameters of its resamples. */
static json_t *law_json(const ramify_runs_plan *plan) {
    json_t *law = json_loads(ramify_law_text(plan->law), 0, NULL);
    json_t *group = json_array_get(json_object_get(law, "groups"), 0);
    json_t *parts = json_object_get(group, "parts");
    json_object_del(group, "resamples");
    for (size_t i = 0; i < json_array_size(parts); i++)
        json_object_del(json_array_get(parts, i), "resamples");
    return law;
}

static json_t *cost_json(const ramify_runs_plan *plan, const char *column) {
    const double powers[] = {plan->sizes > 1 ? plan->cost.model_power : plan->cost.data_power,
                             plan->cost.data_power};
    return json_pack("{s:s?, s:o, s:o, s:o, s:I, s:o, s:o}", "column", column, "factor",
                     json_number(plan->cost.factor), "powers", sizes_json(plan, powers),
                     "deviation", json_number(plan->cost_deviation), "runs",
                     (json_int_t)plan->cost_runs, "cheapest", json_number(plan->cheapest),
                     "dearest", json_number(plan->dearest));
}

static json_t *frontier_json(const ramify_runs_plan *plan, double level) {
    json_t *frontier = json_array();
    for (uint32_t i = 0; i < plan->frontier_count; i++)
        json_array_append_new(frontier, run_json(plan, &plan->frontier[i], level));
    return frontier;
}

static json_t *answer_json(const ramify_runs_plan *plan, double level) {
    json_t *sizes = json_object();
    for (uint32_t v = 0; v < plan->sizes; v++)
        json_object_set_new(sizes, ramify_law_variable(plan->law, v),
                            estimate_json(&plan->answer_x[v], level));
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "given", plan->for_error ? "error" : "cost",
                     "cost", estimate_json(&plan->answer_cost, level), "at", sizes, "error",
                     estimate_json(&plan->answer_error, level), "width", json_number(plan->width));
}

static json_t *next_json(const ramify_runs_plan *plan, double level) {
    if (!plan->has_next)
        return json_null();
    json_t *next = run_json(plan, &plan->next, level);
    json_object_set_new(next, "narrowing", json_number(plan->narrowing));
    json_object_set_new(next, "cost_share", json_number(plan->next.cost / plan->answer_cost.value));
    return next;
}

static json_t *stop_json(const ramify_runs_plan *plan) {
    static const char *const reasons[] = {[RAMIFY_PLAN_GO_ON] = "go on",
                                          [RAMIFY_PLAN_KNOWN] = "known",
                                          [RAMIFY_PLAN_NO_RUN_HELPS] = "no run helps"};
    return json_pack("{s:b, s:s, s:o, s:s}", "now", plan->stop != RAMIFY_PLAN_GO_ON, "reason",
                     reasons[plan->stop], "best_narrowing", json_number(plan->narrowing), "advice",
                     plan->advice);
}

static bool print_plan_json(const runs_request *request, const ramify_runs_plan *plan) {
    double level = request->options.level;
    return print_json(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "law", law_json(plan), "cost",
                                cost_json(plan, request->options.cost), "frontier",
                                frontier_json(plan, level), "answer", answer_json(plan, level),
                                "next", next_json(plan, level), "stop", stop_json(plan)));
}

/* --- text ------------------------------------------------------------------------------------- */

#define LABEL "%-10s"

static void print_law_line(const ramify_runs_plan *plan) {
    json_t *law = law_json(plan);
    const json_t *group = json_array_get(json_object_get(law, "groups"), 0);
    const json_t *fit = json_object_get(group, "fit"),
                 *warnings = json_object_get(group, "warnings");
    char runs[PRINTING_ROOM + 32];
    printf(LABEL "%s, fitted to %s, %.2f %% off\n", "law",
           json_string_value(json_object_get(law, "form")),
           format_number_of(runs, (uint64_t)json_integer_value(json_object_get(fit, "rows")), "run",
                            "runs"),
           100 * json_number_value(json_object_get(fit, "relative_error_sd")));
    for (size_t i = 0; i < json_array_size(warnings); i++)
        printf(LABEL "note: %s\n", "", json_string_value(json_array_get(warnings, i)));
    json_decref(law);
}

static void print_power(const ramify_runs_plan *plan, uint32_t variable, double power) {
    printf(" x ");
    print_name(ramify_law_variable(plan->law, variable));
    if (fabs(power - 1) >= 5e-4)
        printf("^%.3f", power);
}

static void print_cost_line(const runs_request *request, const ramify_runs_plan *plan) {
    char runs[PRINTING_ROOM + 32];
    printf(LABEL, "cost");
    if (plan->cost_fitted)
        print_name(request->options.cost);
    else
        printf("no column of it");
    printf(" = %.4g", plan->cost.factor);
    if (plan->sizes > 1)
        print_power(plan, 0, plan->cost.model_power);
    print_power(plan, plan->sizes - 1, plan->cost.data_power);
    if (plan->cost_fitted)
        printf(", %s, %.2f %% off", format_number_of(runs, plan->cost_runs, "run", "runs"),
               100 * expm1(plan->cost_deviation));
    printf("; runs cost %.4g to %.4g\n", plan->cheapest, plan->dearest);
}

static void print_frontier(const ramify_runs_plan *plan, double level) {
    printf("\n%12s", "cost");
    for (uint32_t v = 0; v < plan->sizes; v++) {
        const char *name = ramify_law_variable(plan->law, v);
        printf("  %*s", (int)(strlen(name) < 12 ? 12 - strlen(name) : 0), "");
        print_name(name);
    }
    printf("  best ");
    print_name(ramify_law_error_name(plan->law));
    char percent[PRINTING_ROOM];
    printf(" (%s %% interval)\n", format_level(percent, level));
    for (uint32_t i = 0; i < plan->frontier_count; i++) {
        const ramify_planned_run *run = &plan->frontier[i];
        printf("%12.4g", run->cost);
        for (uint32_t v = 0; v < plan->sizes; v++) {
            size_t wide = strlen(ramify_law_variable(plan->law, v));
            printf("  %*.4g", (int)(wide < 12 ? 12 : wide), run->x[v]);
        }
        printf("  %.5g (%.5g to %.5g)\n", run->error.value, run->error.low, run->error.high);
    }
    printf("\n");
}

static void print_number(const char *name, const ramify_law_estimate *estimate, double level) {
    char percent[PRINTING_ROOM];
    format_level(percent, level);
    print_name(name);
    printf(" %.4g", estimate->value);
    if (!isnan(estimate->low) && !isnan(estimate->high))
        printf(" (%s %%: %.4g to %.4g)", percent, estimate->low, estimate->high);
    else if (!isnan(estimate->low))
        printf(" (%s %%: %.4g or more)", percent, estimate->low);
    else if (!isnan(estimate->high))
        printf(" (%s %%: up to %.4g)", percent, estimate->high);
}

static void print_answer(const ramify_runs_plan *plan, double level) {
    printf(LABEL, "answer");
    print_number(plan->for_error ? ramify_law_error_name(plan->law) : "cost",
                 plan->for_error ? &plan->answer_error : &plan->answer_cost, level);
    printf(": ");
    print_number(plan->for_error ? "cost" : ramify_law_error_name(plan->law),
                 plan->for_error ? &plan->answer_cost : &plan->answer_error, level);
    for (uint32_t v = 0; v < plan->sizes; v++) {
        printf(v == 0 ? ", with " : " and ");
        print_number(ramify_law_variable(plan->law, v), &plan->answer_x[v], level);
    }
    printf("\n");
}

static void print_next(const ramify_runs_plan *plan, double level) {
    printf(LABEL, "next");
    if (!plan->has_next) {
        printf("none that may be made narrows this by a tenth\n");
        return;
    }
    for (uint32_t v = 0; v < plan->sizes; v++) {
        printf(v == 0 ? "" : ", ");
        print_name(ramify_law_variable(plan->law, v));
        printf(" %.4g", plan->next.x[v]);
    }
    printf(": cost %.4g, expected to narrow this by %.2g %%; ", plan->next.cost,
           100 * plan->narrowing);
    print_number(ramify_law_error_name(plan->law), &plan->next.error, level);
    printf("\n");
}

static void print_plan(const runs_request *request, const ramify_runs_plan *plan) {
    double level = request->options.level;
    print_law_line(plan);
    print_cost_line(request, plan);
    print_frontier(plan, level);
    print_answer(plan, level);
    print_next(plan, level);
    printf("\n%s\n", plan->advice);
}

/* --- the verb --------------------------------------------------------------------------------- */

static int check_plot(session *run, const runs_request *request) {
    if (!request->plot)
        return EXIT_OK;
    int exit_status = session_check_outputs(run, &request->plot, 1, &request->runs, 1);
    return exit_status == EXIT_OK ? session_check_writable(run, request->plot) : exit_status;
}

static int make_plan(session *run, const runs_request *request) {
    ramify_table *table = NULL;
    ramify_runs_plan *plan = NULL;
    int exit_status = check_plot(run, request);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_status status =
        ramify_table_read(run->context, request->runs, &request->table.options, &table);
    if (status == RAMIFY_OK)
        status = ramify_plan_runs(run->context, table, &request->options, &plan);
    ramify_table_destroy(&table);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    if (!request->json)
        print_plan(request, plan);
    else if (!print_plan_json(request, plan))
        exit_status = session_unprinted(run);
    if (exit_status == EXIT_OK && request->plot)
        exit_status = law_plot(run, plan->law, request->options.level, request->plot);
    ramify_runs_plan_destroy(&plan);
    return exit_status;
}

static void list_options(arguments *list, runs_request *request) {
    ramify_runs_plan_options *o = &request->options;
    const argument_option own[] = {
        {.name = "runs",
         .kind = ARGUMENT_TEXT,
         .value = &request->runs,
         .placeholder = "RUNS.csv",
         .unset = "required",
         .help = "one run per row, of any framework"},
        {.name = "x",
         .kind = ARGUMENT_LIST,
         .value = &request->x,
         .placeholder = "COL,..",
         .unset = "required",
         .help = "column of the size, or of model size and data"},
        {.name = "y",
         .kind = ARGUMENT_TEXT,
         .value = &o->y,
         .placeholder = "COL",
         .unset = "required",
         .help = "column of the error, above 0"},
        {.name = "cost",
         .kind = ARGUMENT_TEXT,
         .value = &o->cost,
         .placeholder = "COL",
         .unset = "product of sizes",
         .help = "column of what a run cost, in any unit"},
        {.help = "The question"},
        {.name = "budget",
         .kind = ARGUMENT_NUMBER,
         .value = &o->budget,
         .placeholder = "C",
         .unset = "10 dearest runs",
         .help = "the least error for this cost"},
        {.name = "error",
         .kind = ARGUMENT_NUMBER,
         .value = &o->error,
         .placeholder = "E",
         .unset = "none",
         .help = "in place of a budget: the least cost for it"},
        {.name = "most-cost",
         .kind = ARGUMENT_NUMBER,
         .value = &o->most_cost,
         .placeholder = "C",
         .unset = "below the answer's",
         .help = "of the next run"},
        {.name = "tolerance",
         .kind = ARGUMENT_SHARE,
         .value = &o->tolerance,
         .placeholder = "P",
         .help = "stop once the answer is known so well, either way"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &request->json,
         .help = "print one JSON object"},
        {.name = "plot",
         .kind = ARGUMENT_TEXT,
         .value = &request->plot,
         .placeholder = "OUT.svg",
         .unset = "none",
         .help = "draws runs, law and intervals (.svg or .png)"},
        {.help = "The law"},
        {.name = "form",
         .kind = ARGUMENT_TEXT,
         .value = &o->form,
         .placeholder = "NAME",
         .help = "its formula; `ramify law forms` lists them"},
        {.name = "where",
         .kind = ARGUMENT_TEXTS,
         .value = &request->where,
         .placeholder = "COND",
         .unset = "all runs",
         .help = "only runs with COL<=V (or = < > >=); repeat it"},
        {.name = "level",
         .kind = ARGUMENT_SHARE,
         .value = &o->level,
         .placeholder = "P",
         .help = "level of intervals"},
        {.name = "bootstrap",
         .kind = ARGUMENT_INTEGER,
         .value = &request->bootstrap,
         .placeholder = "N",
         .help = "resamples of the runs"},
        {.name = "seed",
         .kind = ARGUMENT_INTEGER,
         .value = &o->seed,
         .placeholder = "N",
         .help = "of resamples"},
    };
    arguments_add_all(list, own, sizeof own / sizeof own[0]);
    arguments_add_table(list, &request->table);
    arguments_add_context(list, &request->context);
}

/* Finds what is wrong with the words alone, and completes the options. */
static int finish_options(const arguments *list, runs_request *request) {
    ramify_runs_plan_options *o = &request->options;
    const struct {
        const char *name;
        double value;
    } above[] = {{"budget", o->budget}, {"error", o->error}, {"most-cost", o->most_cost}};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++)
        if (arguments_given(list, above[i].name) && !(above[i].value > 0))
            return arguments_refuse(VERB, "--%s %g: must be above 0", above[i].name,
                                    above[i].value);
    if (!request->runs || !request->x || !o->y)
        return arguments_refuse(VERB, "--runs, --x and --y are needed");
    arguments_finish_table(&request->table);
    o->x = request->x;
    o->where = request->where.text;
    o->where_count = request->where.count;
    o->bootstrap = request->bootstrap > UINT32_MAX ? UINT32_MAX : (uint32_t)request->bootstrap;
    return law_plot_check(VERB, request->plot, NULL);
}

int plan_runs(int argc, char **argv) {
    runs_request request = {0};
    ramify_runs_plan_options_init(&request.options);
    request.bootstrap = request.options.bootstrap;
    arguments list = {
        .verb = VERB,
        .usage = "RUNS.csv --x COL,.. --y COL [--cost COL]",
        .summary = "From a table of runs, of any framework: the best sizes for a budget, or the\n"
                   "least cost of an error, with intervals; the next run worth making, by how\n"
                   "much it is expected to narrow the answer's interval for its cost; and\n"
                   "whether to stop."};
    list_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        session run;
        exit_status = finish_options(&list, &request);
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, VERB, &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = make_plan(&run, &request);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

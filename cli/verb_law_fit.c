/* ramify law fit and compare: from a table of runs to laws. */

#include "law_plot.h"
#include "law_verbs.h"
#include "output.h"
#include "printing.h"
#include "session.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const loss_names[] = {[RAMIFY_LAW_LOSS_LOG] = "log",
                                         [RAMIFY_LAW_LOSS_RELATIVE] = "relative",
                                         [RAMIFY_LAW_LOSS_HUBER] = "huber",
                                         NULL};

static const char *const switch_names[] = {[false] = "off", [true] = "on", NULL};

/* --- law fit ---------------------------------------------------------------------------------- */

typedef struct fit_request {
    ramify_law_options options;
    char *x, *by, *fix;
    argument_texts where;
    int loss, rolling;
    uint64_t bootstrap;
    const char *output, *plot;
    bool json;
    table_arguments table;
    context_arguments context;
} fit_request;

static void begin_fit_options(fit_request *request) {
    ramify_law_options_init(&request->options);
    request->loss = (int)request->options.loss;
    request->rolling = request->options.rolling;
    request->bootstrap = request->options.bootstrap;
}

/* What `law fit` and `law compare` have in common. */
static void list_fit_options(arguments *list, fit_request *request) {
    ramify_law_options *options = &request->options;
    const argument_option own[] = {
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
        {.name = "rolling",
         .kind = ARGUMENT_NAME,
         .value = &request->rolling,
         .names = switch_names,
         .help = "fit shorter runs, too, for intervals of predictions"},
        {.name = "folds",
         .kind = ARGUMENT_COUNT,
         .value = &options->folds,
         .placeholder = "K",
         .unset = "none",
         .help = "score by cross-validation, too"},
        {.name = "seed",
         .kind = ARGUMENT_INTEGER,
         .value = &options->seed,
         .placeholder = "N",
         .help = "of resamples and folds"},
    };
    arguments_add_all(list, own, sizeof own / sizeof own[0]);
    arguments_add_table(list, &request->table);
    arguments_add_context(list, &request->context);
}

static void print_fit_score(const json_t *group, const char *key, const char *title, double level) {
    const json_t *score = json_object_get(group, key);
    double rows = number_of(score, "rows");
    char percent[PRINTING_ROOM];
    if (score)
        printf("  %-9s %5.0f %s, rmse of logarithms %.4g, relative error %+.2f %% mean, %.2f %% "
               "deviation\n",
               title, rows, rows == 1 ? "run" : "runs", number_of(score, "rmse_log"),
               100 * number_of(score, "relative_error_mean"),
               100 * number_of(score, "relative_error_sd"));
    if (score && json_object_get(score, "coverage"))
        printf("  %-9s %.0f %% of them inside their %s %% intervals\n", "",
               100 * number_of(score, "coverage"), format_level(percent, level));
}

void law_print_by(json_t *by) {
    for (void *at = json_object_iter(by); at; at = json_object_iter_next(by, at))
        printf("%s=%s ", json_object_iter_key(at), json_string_value(json_object_iter_value(at)));
    if (json_object_size(by) > 0)
        printf("\n");
}

/* A parameter of a law, or of a part; one that the fit drove to a bound is no number. */
static const char *parameter_text(const json_t *law, const char *name, char *text, size_t room) {
    double value = number_of(json_object_get(law, "parameters"), name);
    double driven = number_of(json_object_get(law, "at_bound"), name);
    if (isnan(value))
        return driven < 1 ? "to 0" : "unbounded";
    snprintf(text, room, "%.6g", value);
    return text;
}

/* Ends that are null lie at a bound. */
static void print_interval(const json_t *interval, double level) {
    const json_t *low = json_array_get(interval, 0), *high = json_array_get(interval, 1);
    char percent[PRINTING_ROOM];
    format_level(percent, level);
    if (json_is_number(low) && json_is_number(high))
        printf("  %s %%: %.5g to %.5g", percent, json_number_value(low), json_number_value(high));
    else if (json_is_number(low))
        printf("  %s %%: %.5g and more", percent, json_number_value(low));
    else if (json_is_number(high))
        printf("  %s %%: 0 to %.5g", percent, json_number_value(high));
}

/* The laws that a law is the mean of: those that count near the runs, and how many join them farther
 * out, where each alone tells nothing. JSON has them all. */
static void print_parts(const json_t *parts) {
    size_t joining = 0;
    double share = 0;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        if (number_of(part, "near") == 0) {
            share += number_of(part, "far");
            joining++;
            continue;
        }
        printf("  %s (%.0f %%)", json_string_value(json_object_get(part, "form")),
               100 * number_of(part, "near"));
        json_t *parameters = json_object_get(part, "parameters");
        for (void *at = json_object_iter(parameters); at;
             at = json_object_iter_next(parameters, at))
            printf("%s %s %s", at == json_object_iter(parameters) ? ":" : ",",
                   json_object_iter_key(at),
                   parameter_text(part, json_object_iter_key(at), (char[32]){""}, 32));
        printf("\n");
    }
    if (joining > 0)
        printf("  and far beyond the runs %zu power law%s, %.0f %% together\n", joining,
               joining == 1 ? "" : "s", 100 * share);
}

static void print_group(const json_t *group, double level) {
    law_print_by(json_object_get(group, "by"));
    const json_t *refusal = json_object_get(group, "refusal");
    if (refusal) {
        printf("  no law: %s\n", json_string_value(refusal));
        return;
    }
    const char *reason = json_string_value(json_object_get(group, "reason"));
    if (reason)
        printf("  %s\n", reason);
    print_parts(json_object_get(group, "parts"));
    const json_t *errors = json_object_get(group, "standard_errors");
    const json_t *intervals = json_object_get(group, "intervals");
    json_t *parameters = json_object_get(group, "parameters");
    for (void *at = json_object_iter(parameters); at; at = json_object_iter_next(parameters, at)) {
        const char *key = json_object_iter_key(at);
        printf("  %-18s %12s", key, parameter_text(group, key, (char[32]){""}, 32));
        double error = number_of(errors, key);
        if (!isnan(error))
            printf("  +- %-10.3g", error);
        print_interval(json_object_get(intervals, key), level);
        printf("\n");
    }
    print_fit_score(group, "fit", "fitted", level);
    print_fit_score(group, "folds", "folds", level);
    print_fit_score(group, "heldout", "held out", level);
    const json_t *warnings = json_object_get(group, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        printf("  note: %s\n", json_string_value(json_array_get(warnings, i)));
}

static bool print_law(const char *text) {
    json_t *law = json_loads(text, 0, NULL);
    if (!law)
        return false;
    const char *form = json_string_value(json_object_get(law, "form"));
    const char *formula = NULL, *name;
    for (uint32_t i = 0; (name = ramify_law_form_name(i, &formula, NULL)); i++)
        if (strcmp(name, form) == 0)
            break;
    /* Of several laws the groups say what was chosen. */
    bool chosen = json_object_get(json_array_get(json_object_get(law, "groups"), 0), "reason");
    printf("%s%s%s\n", form, chosen ? "" : ": ", chosen ? "" : formula);
    const json_t *groups = json_object_get(law, "groups");
    for (size_t i = 0; i < json_array_size(groups); i++)
        print_group(json_array_get(groups, i), number_of(law, "level"));
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
    if (exit_status == EXIT_OK && request->plot)
        exit_status = law_plot(run, law, request->options.level, request->plot);
    ramify_law_destroy(&law);
    return exit_status;
}

static void finish_fit_options(fit_request *request) {
    ramify_law_options *options = &request->options;
    arguments_finish_table(&request->table);
    options->x = request->x;
    options->by = request->by;
    options->fix = request->fix;
    options->where = request->where.text;
    options->where_count = request->where.count;
    options->loss = (ramify_law_loss_kind)request->loss;
    options->rolling = request->rolling;
    options->bootstrap =
        request->bootstrap > UINT32_MAX ? UINT32_MAX : (uint32_t)request->bootstrap;
}

/* Whether what is fitted can be written, before it is. */
static int check_outputs(session *run, const fit_request *request, const char *data) {
    const char *const outputs[] = {request->output, request->plot};
    int exit_status = session_check_outputs(run, outputs, 2, &data, 1);
    for (size_t i = 0; exit_status == EXIT_OK && i < 2; i++)
        exit_status = outputs[i] ? session_check_writable(run, outputs[i]) : EXIT_OK;
    return exit_status;
}

int law_fit(int argc, char **argv) {
    fit_request request = {0};
    const char *form = NULL;
    arguments list = {.verb = "law fit",
                      .usage = "RUNS.csv --form NAME --x COL,.. --y COL",
                      .positional_count = 1,
                      .summary =
                          "Fits a scaling law to a table of runs: prints its parameters with\n"
                          "standard errors and bootstrap intervals, and how well it does on the\n"
                          "runs that were fitted and on those that were held out."};
    const argument_option own[] = {
        {.name = "form",
         .kind = ARGUMENT_TEXT,
         .value = &form,
         .placeholder = "NAME",
         .unset = "required",
         .help = "the formula; `ramify law forms` lists them"},
        {.name = "output",
         .letter = 'o',
         .kind = ARGUMENT_TEXT,
         .value = &request.output,
         .placeholder = "LAW.json",
         .unset = "none",
         .help = "where the law goes; -: to standard output"},
        {.name = "plot",
         .kind = ARGUMENT_TEXT,
         .value = &request.plot,
         .placeholder = "OUT.svg",
         .unset = "none",
         .help = "draws runs, law and intervals (.svg or .png)"},
        {.name = "bootstrap",
         .kind = ARGUMENT_INTEGER,
         .value = &request.bootstrap,
         .placeholder = "N",
         .help = "resamples for intervals of parameters; 0: none"},
        {.name = "level",
         .kind = ARGUMENT_SHARE,
         .value = &request.options.level,
         .placeholder = "P",
         .help = "level of these intervals and of predictions'"},
    };
    begin_fit_options(&request);
    arguments_add_all(&list, own, sizeof own / sizeof own[0]);
    list_fit_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        finish_fit_options(&request);
        request.options.form = form;
        if (request.output && strcmp(request.output, "-") == 0) { /* where --json goes */
            request.output = NULL;
            request.json = true;
        }
        session run;
        if (!request.options.form || !request.x || !request.options.y)
            exit_status = arguments_refuse("law fit", "--form, --x and --y are needed");
        else
            exit_status = law_plot_check("law fit", request.plot, request.output);
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "law fit", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = check_outputs(&run, &request, list.positional[0]);
            if (exit_status == EXIT_OK)
                exit_status = fit(&run, &request, list.positional[0]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

/* --- law compare ------------------------------------------------------------------------------ */

/* One form's law of one group. */
typedef struct entry {
    const char *form;
    const json_t *group;
    double error; /* what it is ranked by; infinite without a law */
} entry;

static int by_error(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return (x->error > y->error) - (x->error < y->error);
}

/* Held-out runs judge; where there are none, folds. */
static const char *judge_of(const json_t *group) {
    return json_object_get(group, "heldout") ? "heldout" : "folds";
}

static void print_entry(const entry *e) {
    const json_t *refusal = json_object_get(e->group, "refusal");
    if (refusal) {
        printf("  %-17s no law: %s\n", e->form, json_string_value(refusal));
        return;
    }
    const json_t *score = json_object_get(e->group, judge_of(e->group));
    const json_t *fitted = json_object_get(e->group, "fit");
    printf("  %-17s %10.4g %+9.2f %% %7.2f %% %12.4g\n", e->form, number_of(score, "rmse_log"),
           100 * number_of(score, "relative_error_mean"),
           100 * number_of(score, "relative_error_sd"), number_of(fitted, "rmse_log"));
}

/* The forms of group `index`, the best first. laws: an array of laws. */
static void rank_group(json_t *laws, size_t index, entry *entries) {
    size_t count = json_array_size(laws);
    for (size_t i = 0; i < count; i++) {
        json_t *law = json_array_get(laws, i);
        entries[i].form = json_string_value(json_object_get(law, "form"));
        entries[i].group = json_array_get(json_object_get(law, "groups"), index);
        double error =
            number_of(json_object_get(entries[i].group, judge_of(entries[i].group)), "rmse_log");
        entries[i].error = isnan(error) ? INFINITY : error;
    }
    qsort(entries, count, sizeof *entries, by_error);
}

static void print_comparison(json_t *laws) {
    entry entries[ARGUMENT_TEXTS_MAX];
    const json_t *groups = json_object_get(json_array_get(laws, 0), "groups");
    for (size_t g = 0; g < json_array_size(groups); g++) {
        rank_group(laws, g, entries);
        law_print_by(json_object_get(json_array_get(groups, g), "by"));
        printf("  %-17s %10s %11s %9s %12s\n", "form",
               strcmp(judge_of(entries[0].group), "heldout") == 0 ? "held out" : "folds", "mean",
               "deviation", "fitted");
        for (size_t i = 0; i < json_array_size(laws); i++)
            print_entry(&entries[i]);
    }
}

/* {"form", ..} per group, the best first. */
static json_t *comparison_json(json_t *laws) {
    entry entries[ARGUMENT_TEXTS_MAX];
    json_t *list = json_array();
    const json_t *groups = json_object_get(json_array_get(laws, 0), "groups");
    for (size_t g = 0; g < json_array_size(groups); g++) {
        rank_group(laws, g, entries);
        json_t *ranked = json_array();
        for (size_t i = 0; i < json_array_size(laws); i++) {
            json_t *one = json_deep_copy(entries[i].group);
            json_object_set_new(one, "form", json_string(entries[i].form));
            json_array_append_new(ranked, one);
        }
        json_array_append_new(list, json_pack("{s:O, s:o}", "by",
                                              json_object_get(json_array_get(groups, g), "by"),
                                              "forms", ranked));
    }
    return json_pack("{s:o}", "groups", list);
}

/* Fits every form. One that fits no group is left out with a warning. */
static ramify_status fit_forms(session *run, fit_request *request, const argument_texts *forms,
                               const ramify_table *table, json_t *laws) {
    ramify_status status = RAMIFY_OK, last = RAMIFY_OK;
    for (uint32_t i = 0; i < forms->count && status == RAMIFY_OK; i++) {
        ramify_law *law = NULL;
        request->options.form = forms->text[i];
        status = last = ramify_law_fit(run->context, table, &request->options, &law);
        if (status == RAMIFY_ERROR_DATA && (i + 1 < forms->count || json_array_size(laws) > 0)) {
            session_warning(run, "%s is left out: %s", forms->text[i],
                            ramify_message(run->context));
            status = RAMIFY_OK;
        }
        if (law)
            json_array_append_new(laws, json_loads(ramify_law_text(law), 0, NULL));
        ramify_law_destroy(&law);
    }
    return status == RAMIFY_OK && json_array_size(laws) == 0 ? last : status;
}

static int compare(session *run, fit_request *request, const argument_texts *forms,
                   const char *data) {
    ramify_table *table = NULL;
    json_t *laws = json_array();
    int exit_status = EXIT_OK;
    ramify_status status = ramify_table_read(run->context, data, &request->table.options, &table);
    if (status == RAMIFY_OK)
        status = fit_forms(run, request, forms, table, laws);
    ramify_table_destroy(&table);
    if (status != RAMIFY_OK)
        exit_status = session_failed(run, status);
    else if (request->json)
        exit_status = print_json(comparison_json(laws)) ? EXIT_OK : EXIT_FAILED;
    else
        print_comparison(laws);
    json_decref(laws);
    return exit_status;
}

/* Cuts the list at its commas, in place. */
static bool split_names(char *list, argument_texts *names) {
    for (char *at = strtok(list, ","); at; at = strtok(NULL, ",")) {
        if (names->count == ARGUMENT_TEXTS_MAX)
            return false;
        names->text[names->count++] = at;
    }
    return true;
}

int law_compare(int argc, char **argv) {
    fit_request request = {0};
    argument_texts forms = {.count = 0};
    char *names = NULL;
    arguments list = {.verb = "law compare",
                      .usage = "RUNS.csv --forms NAME,.. --x COL,.. --y COL",
                      .positional_count = 1,
                      .summary =
                          "Fits several forms and ranks them by the root mean square of\n"
                          "logarithms on runs that none of them saw: those that --fit-where\n"
                          "holds out, or --folds."};
    begin_fit_options(&request);
    arguments_add(&list, (argument_option){.name = "forms",
                                           .kind = ARGUMENT_LIST,
                                           .value = &names,
                                           .placeholder = "NAME,..",
                                           .unset = "required",
                                           .help = "the formulas; `ramify law forms` lists them"});
    list_fit_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        finish_fit_options(&request);
        request.options.bootstrap = 0; /* parameters are not what is compared */
        session run;
        if (!names || !request.x || !request.options.y)
            exit_status = arguments_refuse("law compare", "--forms, --x and --y are needed");
        else if (!split_names(names, &forms))
            exit_status = arguments_refuse("law compare", "--forms: %d forms are the most",
                                           ARGUMENT_TEXTS_MAX);
        else if (request.where.count == 0 && request.options.folds == 0)
            exit_status = arguments_refuse("law compare", "nothing is held out to judge by: give "
                                                          "--fit-where or --folds");
        else
            exit_status = session_open(&run, "law compare", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = compare(&run, &request, &forms, list.positional[0]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

/* ramify diagnose DATA --target COL: where the error of a network on these rows comes from. */

#include "diagnose_report.h"
#include "printing.h"
#include "session.h"
#include "verbs.h"

#include <errno.h>
#include <math.h>
#include <string.h>

typedef struct diagnose_request {
    ramify_diagnose_options options;
    char *target, *drop; /* lists, ours */
    int activation;
    const char *report; /* NULL: none */
    bool json;
    table_arguments table;
    context_arguments context;
} diagnose_request;

static const char *const activation_names[] = {
    [RAMIFY_ACTIVATION_PRELU] = "prelu", [RAMIFY_ACTIVATION_RELU] = "relu", NULL};

static json_t *share_json(const ramify_error_share *share) {
    json_t *json = json_object();
    json_object_set_new(json, "share", json_number(share->share));
    json_object_set_new(json, "low", json_number(share->low));
    json_object_set_new(json, "high", json_number(share->high));
    return json;
}

static json_t *fit_json(const ramify_diagnosis_fit *fit) {
    json_t *json = json_object();
    json_object_set_new(json, "stage", json_string(fit->stage));
    json_object_set_new(json, "hidden", json_string(fit->hidden));
    json_object_set_new(json, "fold", json_integer((json_int_t)fit->fold));
    json_object_set_new(json, "rows", json_count(fit->rows));
    json_object_set_new(json, "epochs", json_integer((json_int_t)fit->epochs));
    json_object_set_new(json, "batch", json_integer((json_int_t)fit->batch));
    json_object_set_new(json, "rate", json_number(fit->rate));
    json_object_set_new(json, "train_error", json_number(fit->train_error));
    json_object_set_new(json, "test_error", json_number(fit->test_error));
    return json;
}

static bool print_diagnosis_json(const diagnose_request *request, const ramify_diagnosis *made) {
    json_t *object = json_object(), *shares = json_object(), *evidence = json_array(),
           *fits = json_array();
    json_object_set_new(object, "rows", json_count(made->rows));
    json_object_set_new(object, "skipped_rows", json_count(made->skipped_rows));
    json_object_set_new(object, "hidden", json_string(request->options.hidden));
    json_object_set_new(object, "deviation", json_number(made->deviation));
    json_object_set_new(object, "error", json_number(made->error));
    json_object_set_new(object, "error_low", json_number(made->error_low));
    json_object_set_new(object, "error_high", json_number(made->error_high));
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++)
        json_object_set_new(shares, ramify_error_source_name((ramify_error_source)s),
                            share_json(&made->shares[s]));
    json_object_set_new(object, "shares", shares);
    json_object_set_new(object, "dominant", json_string(ramify_error_source_name(made->dominant)));
    json_object_set_new(object, "certainty", json_number(made->certainty));
    json_object_set_new(object, "advice", json_string(made->advice));
    json_object_set_new(object, "time_limit_struck", json_boolean(made->time_limit_struck));
    for (uint32_t e = 0; e < made->evidence_count; e++) {
        json_t *one = json_object();
        json_object_set_new(one, "name", json_string(made->evidence[e].name));
        json_object_set_new(one, "value", json_number(made->evidence[e].value));
        json_object_set_new(one, "low", json_number(made->evidence[e].low));
        json_object_set_new(one, "high", json_number(made->evidence[e].high));
        json_array_append_new(evidence, one);
    }
    json_object_set_new(object, "evidence", evidence);
    for (uint32_t f = 0; f < made->fit_count; f++)
        json_array_append_new(fits, fit_json(&made->fits[f]));
    json_object_set_new(object, "fits", fits);
    return print_json(object);
}

/* The paragraph, in lines of a terminal. */
static void print_wrapped(const char *text) {
    const size_t width = 79;
    while (*text) {
        size_t length = strlen(text), end = length;
        if (length > width) {
            end = width;
            while (end > 0 && text[end] != ' ')
                end--;
            end = end == 0 ? width : end;
        }
        printf("%.*s\n", (int)end, text);
        text += end;
        text += *text == ' ';
    }
}

static void print_shares(const diagnose_request *request, const ramify_diagnosis *made) {
    char rows[PRINTING_ROOM + 32];
    printf("%s, target deviation %.6g\n", format_number_of(rows, made->rows, "row", "rows"),
           made->deviation);
    if (isnan(made->error))
        return;
    printf("network %s: rmse %.6g (%.6g to %.6g) on rows held out\n\n", request->options.hidden,
           made->error, made->error_low, made->error_high);
    printf("%-15s %6s   %s\n", "source", "share", "90 % interval");
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        const ramify_error_share *share = &made->shares[s];
        printf("%-15s %5.1f%%   %.1f%% to %.1f%%\n",
               ramify_error_source_name((ramify_error_source)s), 100 * share->share,
               100 * share->low, 100 * share->high);
    }
    printf("\n%-44s rmse\n", "what the shares rest on");
    for (uint32_t e = 0; e < made->evidence_count; e++)
        printf("%-44s %.6g\n", made->evidence[e].name, made->evidence[e].value);
    if (made->dominant == RAMIFY_SOURCE_UNDETERMINED)
        printf("\ndominant: undetermined\n\n");
    else
        printf("\ndominant: %s (certainty %.0f%%)\n\n", ramify_error_source_name(made->dominant),
               100 * made->certainty);
}

static int show(session *run, const diagnose_request *request, const ramify_diagnosis *made) {
    if (request->report && !diagnose_report_write(request->report, request->options.hidden, made))
        return session_error(run, "%s: cannot be written (%s)", request->report, strerror(errno));
    if (request->json)
        return print_diagnosis_json(request, made) ? EXIT_OK : session_unprinted(run);
    print_shares(request, made);
    print_wrapped(made->advice);
    if (made->time_limit_struck)
        session_warning(run, "the time limit struck: fits ended early, and the shares depend on "
                             "the machine");
    return EXIT_OK;
}

static int diagnose(session *run, const diagnose_request *request, const char *data) {
    ramify_status status = ramify_diagnose_options_check(run->context, &request->options);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    if (request->report) {
        const char *const inputs[] = {data, request->table.options.labels};
        int exit_status = session_check_outputs(run, &request->report, 1, inputs, 2);
        if (exit_status == EXIT_OK)
            exit_status = session_check_writable(run, request->report);
        if (exit_status != EXIT_OK)
            return exit_status;
    }
    ramify_table *table = NULL;
    ramify_diagnosis *made = NULL;
    status = ramify_table_read(run->context, data, &request->table.options, &table);
    if (status == RAMIFY_OK)
        status = ramify_diagnose(run->context, table, &request->options, &made);
    run->finishing = true;
    int exit_status = status == RAMIFY_OK ? show(run, request, made) : session_failed(run, status);
    ramify_diagnosis_destroy(&made);
    ramify_table_destroy(&table);
    return exit_status;
}

static void list_options(arguments *list, diagnose_request *request) {
    ramify_diagnose_options *o = &request->options;
    const argument_option options[] = {
        {.name = "target",
         .kind = ARGUMENT_LIST,
         .value = &request->target,
         .placeholder = "COL",
         .unset = "required",
         .help = "column to predict, of numbers"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &request->json,
         .help = "print the result as JSON"},
        {.name = "report",
         .kind = ARGUMENT_TEXT,
         .value = &request->report,
         .placeholder = "FILE",
         .unset = "none",
         .help = "also write a page of HTML"},
        {.name = "drop",
         .kind = ARGUMENT_LIST,
         .value = &request->drop,
         .placeholder = "COL",
         .unset = "none",
         .help = "columns not to be used"},
        {.help = "The network whose error is diagnosed"},
        {.name = "hidden",
         .kind = ARGUMENT_TEXT,
         .value = &o->hidden,
         .placeholder = "W,W,..",
         .help = "widths of its hidden layers"},
        {.name = "activation",
         .kind = ARGUMENT_NAME,
         .value = &request->activation,
         .names = activation_names,
         .help = "of its hidden layers"},
        {.name = "epochs",
         .kind = ARGUMENT_COUNT,
         .value = &o->epochs,
         .placeholder = "N",
         .unset = "by the recipe of train",
         .help = "passes over the rows in its training"},
        {.name = "batch",
         .kind = ARGUMENT_COUNT,
         .value = &o->batch,
         .placeholder = "N",
         .unset = "64",
         .help = "rows per step"},
        {.name = "rate",
         .kind = ARGUMENT_NUMBER,
         .value = &o->rate,
         .placeholder = "R",
         .unset = "by the recipe of train",
         .help = "largest learning rate"},
        {.name = "decay",
         .kind = ARGUMENT_NUMBER,
         .value = &o->decay,
         .placeholder = "D",
         .unset = "by the recipe of train",
         .help = "weight decay"},
        {.help = "Run"},
        {.name = "seed",
         .kind = ARGUMENT_INTEGER,
         .value = &o->seed,
         .placeholder = "N",
         .help = "of all that is drawn"},
        {.name = "effort",
         .kind = ARGUMENT_NUMBER,
         .value = &o->effort,
         .placeholder = "X",
         .help = "length of all trainings but its own; 0.1: a first look"},
        {.name = "time-limit",
         .kind = ARGUMENT_TIME,
         .value = &o->time_limit,
         .placeholder = "TIME",
         .unset = "none",
         .help = "fits end early after that"},
    };
    arguments_add_all(list, options, sizeof options / sizeof options[0]);
    arguments_add_table(list, &request->table);
    arguments_add_context(list, &request->context);
}

int verb_diagnose(int argc, char **argv) {
    diagnose_request request = {0};
    ramify_diagnose_options_init(&request.options);
    arguments list = {
        .verb = "diagnose",
        .usage = "DATA --target COL",
        .positional_count = 1,
        .summary = "Says where the error of a network on DATA comes from: noise, a network\n"
                   "that is too small, rows that are too few, or training that is too short;\n"
                   "and what would help most."};
    list_options(&list, &request);
    int exit_status;
    if (arguments_read(&list, argc, argv, &exit_status)) {
        arguments_finish_table(&request.table);
        /* A file of labels is the column "label" of the table. */
        request.options.target = request.target                 ? request.target
                                 : request.table.options.labels ? "label"
                                                                : NULL;
        request.options.drop = request.drop;
        request.options.activation = (ramify_activation)request.activation;
        session run;
        exit_status = EXIT_OK;
        if (!request.options.target)
            exit_status = arguments_refuse("diagnose", "--target COL is required: the column to "
                                                       "predict");
        if (exit_status == EXIT_OK)
            exit_status = session_open(&run, "diagnose", &request.context);
        if (exit_status == EXIT_OK) {
            exit_status = diagnose(&run, &request, list.positional[0]);
            session_close(&run);
        }
    }
    arguments_free(&list);
    return exit_status;
}

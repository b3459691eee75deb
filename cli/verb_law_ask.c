/* ramify law predict, invert, frontier, optimum: what a fitted law answers. */

#include "law_verbs.h"
#include "printing.h"
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIZES_MAX 4

/* What the four have in common. */
typedef struct question {
    argument_texts group; /* "family=a" */
    double level;
    bool json;
    context_arguments context;
} question;

static void list_question(arguments *list, question *asked) {
    const argument_option own[] = {
        {.name = "group",
         .kind = ARGUMENT_TEXTS,
         .value = &asked->group,
         .placeholder = "COL=V",
         .unset = "all groups",
         .help = "of a law fitted --by columns: this group"},
        {.name = "level",
         .kind = ARGUMENT_SHARE,
         .value = &asked->level,
         .placeholder = "P",
         .help = "level of intervals"},
        {.name = "json",
         .kind = ARGUMENT_NONE,
         .value = &asked->json,
         .help = "print one JSON object"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        arguments_add(list, own[i]);
    arguments_add_context(list, &asked->context);
}

/* Reads a number that is all of the text[0 .. length). */
static bool read_size(const char *text, size_t length, double *value) {
    char copy[64], *end;
    if (length == 0 || length >= sizeof copy || strspn(text, "+-.0123456789eE") < length)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *value = strtod(copy, &end);
    return *end == '\0' && isfinite(*value);
}

/* "rows=1e6,width=64" into x; given[v] says which are named. */
static int read_place(session *run, const ramify_law *law, const char *text, double *x,
                      bool *given) {
    while (*text) {
        size_t length = strcspn(text, ","), name = strcspn(text, "=,");
        uint32_t v = 0, variables = ramify_law_variables(law);
        while (v < variables && (strlen(ramify_law_variable(law, v)) != name ||
                                 memcmp(ramify_law_variable(law, v), text, name) != 0))
            v++;
        if (v == variables || name == length)
            return session_error(run,
                                 "--at: \"%.*s\" names no size of the law with a value: expected "
                                 "%s=VALUE%s",
                                 (int)length, text, ramify_law_variable(law, 0),
                                 variables > 1 ? " and the like, separated by commas" : "");
        if (!read_size(text + name + 1, length - name - 1, &x[v]))
            return session_error(run, "--at: \"%.*s\": a number is needed", (int)length, text);
        given[v] = true;
        text += length + (text[length] == ',');
    }
    return EXIT_OK;
}

/* Every size but `skip` is needed. */
static int read_whole_place(session *run, const ramify_law *law, const char *text, uint32_t skip,
                            double *x) {
    bool given[SIZES_MAX] = {false};
    int exit_status = read_place(run, law, text ? text : "", x, given);
    for (uint32_t v = 0; exit_status == EXIT_OK && v < ramify_law_variables(law); v++)
        if (v != skip && !given[v])
            return session_error(run, "--at: %s=VALUE is missing", ramify_law_variable(law, v));
    return exit_status;
}

static bool in_group(const ramify_law *law, uint32_t group, const char *condition) {
    const char *name, *value;
    size_t length = strcspn(condition, "=");
    for (uint32_t c = 0; (value = ramify_law_group_value(law, group, c, &name)); c++)
        if (strlen(name) == length && memcmp(name, condition, length) == 0 &&
            condition[length] == '=' && strcmp(value, condition + length + 1) == 0)
            return true;
    return false;
}

static bool is_asked(const ramify_law *law, uint32_t group, const question *asked) {
    for (uint32_t i = 0; i < asked->group.count; i++)
        if (!in_group(law, group, asked->group.text[i]))
            return false;
    return true;
}

static json_t *by_json(const ramify_law *law, uint32_t group) {
    json_t *by = json_object();
    const char *name, *value;
    for (uint32_t c = 0; (value = ramify_law_group_value(law, group, c, &name)); c++)
        json_object_set_new(by, name, json_string(value));
    return by;
}

static void add_estimate(json_t *json, const ramify_law_estimate *estimate, double level) {
    json_object_set_new(json, "value", json_number(estimate->value));
    json_object_set_new(json, "low", json_number(estimate->low));
    json_object_set_new(json, "high", json_number(estimate->high));
    json_object_set_new(json, "level", json_real(level));
}

/* "0.0483 (90 %: 0.0471 to 0.0495)". */
static void print_estimate(const ramify_law_estimate *estimate, double level) {
    printf("%.6g", estimate->value);
    if (isnan(estimate->low) && isnan(estimate->high))
        printf(" (no interval: too few runs tell it)");
    else if (isnan(estimate->high))
        printf(" (%.0f %%: from %.5g, without an upper end in reach)", 100 * level, estimate->low);
    else if (isnan(estimate->low))
        printf(" (%.0f %%: up to %.5g)", 100 * level, estimate->high);
    else
        printf(" (%.0f %%: %.5g to %.5g)", 100 * level, estimate->low, estimate->high);
}

/* One question to one group: adds an object to `answers`, or prints. */
typedef int question_asker(session *run, const ramify_law *law, uint32_t group, const void *request,
                           const question *asked, json_t *answers);

/* Asks every group that is meant. Of several, one without an answer says why, and the others answer. */
static int ask_groups(session *run, const char *path, const char *key, const question *asked,
                      question_asker *ask, const void *request) {
    ramify_law *law = NULL;
    ramify_status status = ramify_law_open(run->context, path, &law);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    int exit_status = EXIT_OK;
    uint32_t meant = 0, failed = 0;
    json_t *answers = json_array();
    for (uint32_t g = 0; g < ramify_law_group_count(law); g++)
        meant += is_asked(law, g, asked);
    if (meant == 0)
        exit_status = session_error(run, "%s: no group with %s", path, asked->group.text[0]);
    for (uint32_t g = 0; exit_status == EXIT_OK && g < ramify_law_group_count(law); g++) {
        if (!is_asked(law, g, asked))
            continue;
        if (!asked->json && ramify_law_group_value(law, g, 0, NULL)) {
            json_t *by = by_json(law, g);
            law_print_by(by);
            json_decref(by);
        }
        exit_status = ask(run, law, g, request, asked, answers);
        if (exit_status == EXIT_FAILED && meant > 1) {
            failed++; /* its sentence is printed; the others may answer */
            exit_status = EXIT_OK;
        }
    }
    if (failed == meant && meant > 0)
        exit_status = EXIT_FAILED;
    if (exit_status == EXIT_OK && asked->json)
        exit_status = print_json(json_pack("{s:O}", key, answers)) ? EXIT_OK : EXIT_FAILED;
    json_decref(answers);
    ramify_law_destroy(&law);
    return exit_status;
}

/* Reads the words; true when `asked` can be put to list.positional[0]. */
static int ask(arguments *list, int argc, char **argv, const char *key, question *asked,
               question_asker *asker, const void *request, const char *(*check)(const void *)) {
    int exit_status;
    if (arguments_read(list, argc, argv, &exit_status)) {
        const char *wrong = check(request);
        session run;
        if (wrong)
            exit_status = arguments_refuse(list->verb, "%s", wrong);
        else
            exit_status = session_open(&run, list->verb, &asked->context);
        if (exit_status == EXIT_OK) {
            exit_status = ask_groups(&run, list->positional[0], key, asked, asker, request);
            session_close(&run);
        }
    }
    arguments_free(list);
    return exit_status;
}

static json_t *place_json(const ramify_law *law, const double *x, uint32_t skip) {
    json_t *at = json_object();
    for (uint32_t v = 0; v < ramify_law_variables(law); v++)
        if (v != skip)
            json_object_set_new(at, ramify_law_variable(law, v), json_real(x[v]));
    return at;
}

static json_t *answer_json(const ramify_law *law, uint32_t group) {
    json_t *answer = json_object();
    if (ramify_law_group_value(law, group, 0, NULL))
        json_object_set_new(answer, "by", by_json(law, group));
    return answer;
}

/* --- law predict ------------------------------------------------------------------------------ */

typedef struct predict_request {
    argument_texts at;
} predict_request;

static int predict_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                         const question *asked, json_t *answers) {
    const predict_request *wanted = request;
    for (uint32_t i = 0; i < wanted->at.count; i++) {
        double x[SIZES_MAX];
        int exit_status =
            read_whole_place(run, law, wanted->at.text[i], ramify_law_variables(law), x);
        if (exit_status != EXIT_OK)
            return exit_status;
        ramify_law_estimate estimate;
        ramify_status status = ramify_law_predict(law, group, 1, x, asked->level, &estimate);
        if (status != RAMIFY_OK)
            return session_failed(run, status);
        if (asked->json) {
            json_t *answer = answer_json(law, group);
            json_object_set_new(answer, "at", place_json(law, x, SIZES_MAX));
            add_estimate(answer, &estimate, asked->level);
            json_array_append_new(answers, answer);
            continue;
        }
        for (uint32_t v = 0; v < ramify_law_variables(law); v++)
            printf("%s%s=%.6g", v > 0 ? " " : "", ramify_law_variable(law, v), x[v]);
        printf(": %s ", ramify_law_error_name(law));
        print_estimate(&estimate, asked->level);
        printf("\n");
    }
    return EXIT_OK;
}

static const char *check_predict(const void *request) {
    const predict_request *wanted = request;
    return wanted->at.count == 0 ? "--at NAME=VALUE,.. is needed" : NULL;
}

int law_predict(int argc, char **argv) {
    predict_request request = {.at.count = 0};
    question asked = {.level = 0.9};
    arguments list = {.verb = "law predict",
                      .usage = "LAW.json --at NAME=VALUE,..",
                      .positional_count = 1,
                      .summary =
                          "The error of runs that were not made, by a law of `ramify law fit -o`,\n"
                          "with the interval that holds a share of such runs."};
    arguments_add(&list, (argument_option){.name = "at",
                                           .kind = ARGUMENT_TEXTS,
                                           .value = &request.at,
                                           .placeholder = "NAME=V,..",
                                           .unset = "required",
                                           .help = "sizes of a run; repeat it for more runs"});
    list_question(&list, &asked);
    return ask(&list, argc, argv, "predictions", &asked, predict_group, &request, check_predict);
}

/* --- law invert ------------------------------------------------------------------------------- */

typedef struct invert_request {
    double error;
    const char *at, *size;
} invert_request;

static int invert_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                        const question *asked, json_t *answers) {
    const invert_request *wanted = request;
    uint32_t variables = ramify_law_variables(law), v = 0;
    while (wanted->size && v < variables && strcmp(ramify_law_variable(law, v), wanted->size) != 0)
        v++;
    if (v == variables)
        return session_error(run, "--for: \"%s\" is no size of the law; the first one is %s",
                             wanted->size, ramify_law_variable(law, 0));
    if (!wanted->size && variables > 1)
        return session_error(run, "--for NAME is needed: the law has %u sizes, %s the first",
                             variables, ramify_law_variable(law, 0));
    double x[SIZES_MAX] = {0};
    int exit_status = read_whole_place(run, law, wanted->at, v, x);
    if (exit_status != EXIT_OK)
        return exit_status;
    ramify_law_estimate size;
    ramify_status status = ramify_law_invert(law, group, v, x, wanted->error, asked->level, &size);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    if (asked->json) {
        json_t *answer = answer_json(law, group);
        json_object_set_new(answer, "error", json_real(wanted->error));
        json_object_set_new(answer, "at", place_json(law, x, v));
        json_object_set_new(answer, "size", json_string(ramify_law_variable(law, v)));
        add_estimate(answer, &size, asked->level);
        json_array_append_new(answers, answer);
        return EXIT_OK;
    }
    printf("%s %.6g: %s ", ramify_law_error_name(law), wanted->error, ramify_law_variable(law, v));
    print_estimate(&size, asked->level);
    printf("\n");
    return EXIT_OK;
}

static const char *check_invert(const void *request) {
    const invert_request *wanted = request;
    return wanted->error > 0 ? NULL : "--error E, above 0, is needed";
}

int law_invert(int argc, char **argv) {
    invert_request request = {.error = -1};
    question asked = {.level = 0.9};
    arguments list = {.verb = "law invert",
                      .usage = "LAW.json --error E",
                      .positional_count = 1,
                      .summary =
                          "The size (rows, weights, density) at which a law gives an error,\n"
                          "with the sizes at which its interval's ends do."};
    const argument_option own[] = {
        {.name = "error",
         .kind = ARGUMENT_NUMBER,
         .value = &request.error,
         .placeholder = "E",
         .unset = "required",
         .help = "the error to reach"},
        {.name = "for",
         .kind = ARGUMENT_TEXT,
         .value = &request.size,
         .placeholder = "NAME",
         .unset = "the only one",
         .help = "the size asked for, of a law of several"},
        {.name = "at",
         .kind = ARGUMENT_TEXT,
         .value = &request.at,
         .placeholder = "NAME=V,..",
         .unset = "none",
         .help = "the other sizes"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        arguments_add(&list, own[i]);
    list_question(&list, &asked);
    return ask(&list, argc, argv, "sizes", &asked, invert_group, &request, check_invert);
}

/* --- law frontier ----------------------------------------------------------------------------- */

typedef struct frontier_request {
    argument_texts budget;
    ramify_law_cost cost;
    const char *at;
} frontier_request;

static void add_part(json_t *answer, const char *name, const ramify_law_estimate *estimate,
                     double level) {
    json_t *part = json_object();
    add_estimate(part, estimate, level);
    json_object_set_new(answer, name, part);
}

static int frontier_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                          const question *asked, json_t *answers) {
    const frontier_request *wanted = request;
    bool given[SIZES_MAX] = {false};
    double x[SIZES_MAX] = {0};
    int exit_status = read_place(run, law, wanted->at ? wanted->at : "", x, given);
    for (uint32_t v = 2; exit_status == EXIT_OK && v < ramify_law_variables(law); v++)
        if (!given[v])
            return session_error(run, "--at: %s=VALUE is missing", ramify_law_variable(law, v));
    for (uint32_t i = 0; exit_status == EXIT_OK && i < wanted->budget.count; i++) {
        double budget;
        const char *text = wanted->budget.text[i];
        if (!read_size(text, strlen(text), &budget))
            return session_error(run, "--budget: \"%s\" is not a number", text);
        ramify_law_split split;
        ramify_status status =
            ramify_law_frontier(law, group, &wanted->cost, x, budget, asked->level, &split);
        if (status != RAMIFY_OK)
            return session_failed(run, status);
        if (asked->json) {
            json_t *answer = answer_json(law, group);
            json_object_set_new(answer, "budget", json_real(budget));
            add_part(answer, ramify_law_variable(law, 0), &split.model, asked->level);
            add_part(answer, ramify_law_variable(law, 1), &split.data, asked->level);
            add_part(answer, ramify_law_error_name(law), &split.error, asked->level);
            json_array_append_new(answers, answer);
            continue;
        }
        printf("budget %.6g: %s ", budget, ramify_law_variable(law, 0));
        print_estimate(&split.model, asked->level);
        printf(", %s ", ramify_law_variable(law, 1));
        print_estimate(&split.data, asked->level);
        printf(", %s ", ramify_law_error_name(law));
        print_estimate(&split.error, asked->level);
        printf("\n");
    }
    return exit_status;
}

static const char *check_frontier(const void *request) {
    const frontier_request *wanted = request;
    return wanted->budget.count == 0 ? "--budget C is needed" : NULL;
}

int law_frontier(int argc, char **argv) {
    frontier_request request = {.cost = {.factor = 6, .model_power = 1, .data_power = 1}};
    question asked = {.level = 0.9};
    arguments list = {
        .verb = "law frontier",
        .usage = "LAW.json --budget C",
        .positional_count = 1,
        .summary = "The best model size and amount of data for a budget, by a law of both,\n"
                   "and the error there. A run costs factor x model^p x data^q; 6 model data\n"
                   "are about the operations that training a transformer takes."};
    const argument_option own[] = {
        {.name = "budget",
         .kind = ARGUMENT_TEXTS,
         .value = &request.budget,
         .placeholder = "C",
         .unset = "required",
         .help = "what a run may cost; repeat it for more"},
        {.name = "cost-factor",
         .kind = ARGUMENT_NUMBER,
         .value = &request.cost.factor,
         .placeholder = "K",
         .help = "the cost's factor"},
        {.name = "cost-model-power",
         .kind = ARGUMENT_NUMBER,
         .value = &request.cost.model_power,
         .placeholder = "P",
         .help = "the model size's exponent in the cost"},
        {.name = "cost-data-power",
         .kind = ARGUMENT_NUMBER,
         .value = &request.cost.data_power,
         .placeholder = "Q",
         .help = "the data's exponent in the cost"},
        {.name = "at",
         .kind = ARGUMENT_TEXT,
         .value = &request.at,
         .placeholder = "NAME=V,..",
         .unset = "none",
         .help = "further sizes (unique data)"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        arguments_add(&list, own[i]);
    list_question(&list, &asked);
    return ask(&list, argc, argv, "frontier", &asked, frontier_group, &request, check_frontier);
}

/* --- law optimum ------------------------------------------------------------------------------ */

typedef struct optimum_request {
    double error;
    argument_texts network; /* "depth,width,error" */
} optimum_request;

static int optimum_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                         const question *asked, json_t *answers) {
    const optimum_request *wanted = request;
    double networks[ARGUMENT_TEXTS_MAX * 3];
    for (uint32_t i = 0; i < wanted->network.count; i++) {
        const char *text = wanted->network.text[i];
        for (int part = 0; part < 3; part++) {
            size_t length = strcspn(text, ",");
            if (!read_size(text, length, &networks[i * 3 + part]) ||
                (text[length] == ',') != (part < 2))
                return session_error(run, "--network: \"%s\" is not DEPTH,WIDTH,ERROR",
                                     wanted->network.text[i]);
            text += length + (text[length] == ',');
        }
    }
    ramify_law_network network;
    ramify_status status =
        ramify_law_optimum(law, group, wanted->network.count > 0 ? networks : NULL,
                           wanted->network.count, wanted->error, asked->level, &network);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    const char *depth = ramify_law_variable(law, 0), *width = ramify_law_variable(law, 1),
               *density = ramify_law_variable(law, 2);
    if (asked->json) {
        json_t *answer = answer_json(law, group);
        json_object_set_new(answer, "error", json_real(wanted->error));
        json_object_set_new(answer, depth, json_real(network.depth));
        json_object_set_new(answer, width, json_real(network.width));
        add_part(answer, density, &network.density, asked->level);
        json_object_set_new(answer, "dense_error", json_real(network.dense_error));
        json_object_set_new(answer, "weights", json_real(network.weights));
        json_array_append_new(answers, answer);
        return EXIT_OK;
    }
    printf("%s %.6g: %s %g, %s %g (%.6g without pruning), pruned to a %s of ",
           ramify_law_error_name(law), wanted->error, depth, network.depth, width, network.width,
           network.dense_error, density);
    print_estimate(&network.density, asked->level);
    printf(", %s x %s^2 x %s = %.6g\n", depth, width, density, network.weights);
    return EXIT_OK;
}

static const char *check_optimum(const void *request) {
    const optimum_request *wanted = request;
    return wanted->error > 0 ? NULL : "--error E, above 0, is needed";
}

int law_optimum(int argc, char **argv) {
    optimum_request request = {.error = -1};
    question asked = {.level = 0.9};
    arguments list = {
        .verb = "law optimum",
        .usage = "LAW.json --error E",
        .positional_count = 1,
        .summary = "The smallest pruned network that reaches an error, by a law of the form\n"
                   "pruning-joint: among networks whose error without pruning is known, the\n"
                   "one with the least depth x width^2 x density."};
    const argument_option own[] = {
        {.name = "error",
         .kind = ARGUMENT_NUMBER,
         .value = &request.error,
         .placeholder = "E",
         .unset = "required",
         .help = "the error to reach"},
        {.name = "network",
         .kind = ARGUMENT_TEXTS,
         .value = &request.network,
         .placeholder = "L,W,E",
         .unset = "those of the runs",
         .help = "a network's depth, width, error unpruned; repeat it"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        arguments_add(&list, own[i]);
    list_question(&list, &asked);
    return ask(&list, argc, argv, "networks", &asked, optimum_group, &request, check_optimum);
}

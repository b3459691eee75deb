/* ramify law predict, invert, frontier, optimum: what a fitted law answers. */

#include "law_question.h"
#include "law_verbs.h"

#include <string.h>

#define SIZES_MAX RAMIFY_LAW_VARIABLES_MAX

/* The level that intervals have unless another is asked for. */
#define LEVEL 0.9

/* --- law predict ------------------------------------------------------------------------------ */

typedef struct predict_request {
    argument_texts at;
    double x[ARGUMENT_TEXTS_MAX][SIZES_MAX];
} predict_request;

static const char *check_predict(const void *request) {
    const predict_request *wanted = request;
    return wanted->at.count == 0 ? "--at NAME=VALUE,.. is needed" : NULL;
}

static int prepare_predict(session *run, const ramify_law *law, void *request) {
    predict_request *wanted = request;
    int exit_status = EXIT_OK;
    for (uint32_t i = 0; exit_status == EXIT_OK && i < wanted->at.count; i++)
        exit_status = question_place(run, law, wanted->at.text[i], 0, wanted->x[i]);
    return exit_status;
}

static int predict_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                         const question *asked, json_t *answers) {
    const predict_request *wanted = request;
    for (uint32_t i = 0; i < wanted->at.count; i++) {
        const double *x = wanted->x[i];
        ramify_law_estimate estimate;
        ramify_status status = ramify_law_predict(law, group, 1, x, asked->level, &estimate);
        if (status != RAMIFY_OK)
            return session_failed(run, status);
        if (asked->json) {
            json_t *answer = question_answer(law, group, x, 0);
            question_add_estimate(answer, &estimate, asked->level);
            json_array_append_new(answers, answer);
            continue;
        }
        for (uint32_t v = 0; v < ramify_law_variables(law); v++)
            printf("%s%s=%.6g", v > 0 ? " " : "", ramify_law_variable(law, v), x[v]);
        printf(": %s ", ramify_law_error_name(law));
        question_print_estimate(&estimate, asked->level);
        printf("\n");
    }
    return EXIT_OK;
}

int law_predict(int argc, char **argv) {
    static const question_word word = {"predictions", check_predict, prepare_predict,
                                       predict_group};
    predict_request request = {.at.count = 0};
    question asked = {.level = LEVEL};
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
    question_list(&list, &asked);
    return question_run(&list, argc, argv, &word, &asked, &request);
}

/* --- law invert ------------------------------------------------------------------------------- */

typedef struct invert_request {
    double error;
    const char *at, *size;
    uint32_t variable;
    double x[SIZES_MAX];
} invert_request;

static const char *check_invert(const void *request) {
    const invert_request *wanted = request;
    return wanted->error > 0 ? NULL : "--error E, above 0, is needed";
}

static int prepare_invert(session *run, const ramify_law *law, void *request) {
    invert_request *wanted = request;
    uint32_t variables = ramify_law_variables(law);
    wanted->variable =
        wanted->size ? question_variable(law, wanted->size, strlen(wanted->size)) : 0;
    if (wanted->variable == variables)
        return arguments_refuse(run->verb,
                                "--for: \"%s\" is no size of the law; the first one is %s",
                                wanted->size, ramify_law_variable(law, 0));
    if (!wanted->size && variables > 1)
        return arguments_refuse(run->verb,
                                "--for NAME is needed: the law has %u sizes, %s the first",
                                variables, ramify_law_variable(law, 0));
    return question_place(run, law, wanted->at, 1U << wanted->variable, wanted->x);
}

static int invert_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                        const question *asked, json_t *answers) {
    const invert_request *wanted = request;
    const char *name = ramify_law_variable(law, wanted->variable);
    ramify_law_estimate size;
    ramify_status status = ramify_law_invert(law, group, wanted->variable, wanted->x, wanted->error,
                                             asked->level, &size);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    if (asked->json) {
        json_t *answer = question_answer(law, group, wanted->x, 1U << wanted->variable);
        json_object_set_new(answer, "error", json_real(wanted->error));
        json_object_set_new(answer, "size", json_string(name));
        question_add_estimate(answer, &size, asked->level);
        json_array_append_new(answers, answer);
        return EXIT_OK;
    }
    printf("%s %.6g: %s ", ramify_law_error_name(law), wanted->error, name);
    question_print_estimate(&size, asked->level);
    printf("\n");
    return EXIT_OK;
}

int law_invert(int argc, char **argv) {
    static const question_word word = {"sizes", check_invert, prepare_invert, invert_group};
    invert_request request = {.error = -1};
    question asked = {.level = LEVEL};
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
    arguments_add_all(&list, own, sizeof own / sizeof own[0]);
    question_list(&list, &asked);
    return question_run(&list, argc, argv, &word, &asked, &request);
}

/* --- law frontier ----------------------------------------------------------------------------- */

typedef struct frontier_request {
    argument_texts budget;
    ramify_law_cost cost;
    const char *at;
    double budgets[ARGUMENT_TEXTS_MAX], x[SIZES_MAX];
} frontier_request;

static const char *check_frontier(const void *request) {
    const frontier_request *wanted = request;
    return wanted->budget.count == 0 ? "--budget C is needed" : NULL;
}

static int prepare_frontier(session *run, const ramify_law *law, void *request) {
    frontier_request *wanted = request;
    for (uint32_t i = 0; i < wanted->budget.count; i++) {
        const char *text = wanted->budget.text[i];
        if (!arguments_number(text, strlen(text), &wanted->budgets[i]))
            return arguments_refuse(run->verb, "--budget: \"%s\" is not a number", text);
    }
    /* The first two sizes are what is asked for. A law of one is refused with its form. */
    return ramify_law_variables(law) < 2 ? EXIT_OK
                                         : question_place(run, law, wanted->at, 3, wanted->x);
}

static int frontier_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                          const question *asked, json_t *answers) {
    const frontier_request *wanted = request;
    for (uint32_t i = 0; i < wanted->budget.count; i++) {
        ramify_law_split split;
        ramify_status status = ramify_law_frontier(law, group, &wanted->cost, wanted->x,
                                                   wanted->budgets[i], asked->level, &split);
        if (status != RAMIFY_OK)
            return session_failed(run, status);
        const char *const names[] = {ramify_law_variable(law, 0), ramify_law_variable(law, 1),
                                     ramify_law_error_name(law)};
        const ramify_law_estimate *const parts[] = {&split.model, &split.data, &split.error};
        json_t *answer = question_answer(law, group, NULL, 0);
        json_object_set_new(answer, "budget", json_real(wanted->budgets[i]));
        if (!asked->json)
            printf("budget %.6g:", wanted->budgets[i]);
        for (int p = 0; p < 3; p++) {
            question_add_part(answer, names[p], parts[p], asked->level);
            if (asked->json)
                continue;
            printf("%s %s ", p > 0 ? "," : "", names[p]);
            question_print_estimate(parts[p], asked->level);
        }
        if (!asked->json)
            printf("\n");
        json_array_append_new(answers, answer);
    }
    return EXIT_OK;
}

int law_frontier(int argc, char **argv) {
    static const question_word word = {"frontier", check_frontier, prepare_frontier,
                                       frontier_group};
    frontier_request request = {.cost = {.factor = 6, .model_power = 1, .data_power = 1}};
    question asked = {.level = LEVEL};
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
    arguments_add_all(&list, own, sizeof own / sizeof own[0]);
    question_list(&list, &asked);
    return question_run(&list, argc, argv, &word, &asked, &request);
}

/* --- law optimum ------------------------------------------------------------------------------ */

#define NETWORK_NUMBERS 3 /* depth, width, error without pruning */

typedef struct optimum_request {
    double error;
    uint32_t ends;
    argument_texts network; /* "depth,width,error" */
    double networks[ARGUMENT_TEXTS_MAX * NETWORK_NUMBERS];
} optimum_request;

static const char *check_optimum(const void *request) {
    const optimum_request *wanted = request;
    return wanted->error > 0 ? NULL : "--error E, above 0, is needed";
}

static int prepare_optimum(session *run, const ramify_law *law, void *request) {
    (void)law;
    optimum_request *wanted = request;
    for (uint32_t i = 0; i < wanted->network.count; i++) {
        const char *text = wanted->network.text[i];
        for (int part = 0; part < NETWORK_NUMBERS; part++) {
            size_t length = strcspn(text, ",");
            if (!arguments_number(text, length, &wanted->networks[i * NETWORK_NUMBERS + part]) ||
                (text[length] == ',') != (part + 1 < NETWORK_NUMBERS))
                return arguments_refuse(run->verb, "--network: \"%s\" is not DEPTH,WIDTH,ERROR",
                                        wanted->network.text[i]);
            text += length + (text[length] == ',');
        }
    }
    return EXIT_OK;
}

static int optimum_group(session *run, const ramify_law *law, uint32_t group, const void *request,
                         const question *asked, json_t *answers) {
    const optimum_request *wanted = request;
    ramify_law_network network;
    ramify_status status = ramify_law_optimum(
        law, group, wanted->network.count > 0 ? wanted->networks : NULL, wanted->network.count,
        wanted->ends, wanted->error, asked->level, &network);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    const char *depth = ramify_law_variable(law, 0), *width = ramify_law_variable(law, 1),
               *density = ramify_law_variable(law, 2);
    if (asked->json) {
        json_t *answer = question_answer(law, group, NULL, 0);
        json_object_set_new(answer, "error", json_real(wanted->error));
        json_object_set_new(answer, depth, json_real(network.depth));
        json_object_set_new(answer, width, json_real(network.width));
        question_add_part(answer, density, &network.density, asked->level);
        json_object_set_new(answer, "dense_error", json_real(network.dense_error));
        json_object_set_new(answer, "weights", json_real(network.weights));
        json_object_set_new(answer, "unit",
                            json_string(wanted->ends > 0 ? "weights" : "depth x width^2"));
        json_array_append_new(answers, answer);
        return EXIT_OK;
    }
    printf("%s %.6g: %s %g, %s %g (%.6g without pruning), pruned to a %s of ",
           ramify_law_error_name(law), wanted->error, depth, network.depth, width, network.width,
           network.dense_error, density);
    question_print_estimate(&network.density, asked->level);
    if (wanted->ends > 0)
        printf(", %.0f weights\n", network.weights);
    else
        printf(", %s x %s^2 x %s = %.6g (--ends tells its weights)\n", depth, width, density,
               network.weights);
    return EXIT_OK;
}

int law_optimum(int argc, char **argv) {
    static const question_word word = {"networks", check_optimum, prepare_optimum, optimum_group};
    optimum_request request = {.error = -1};
    question asked = {.level = LEVEL};
    arguments list = {
        .verb = "law optimum",
        .usage = "LAW.json --error E",
        .positional_count = 1,
        .summary = "The smallest pruned network that reaches an error, by a law of the form\n"
                   "pruning-joint: among networks whose error without pruning is known, the\n"
                   "one with the least depth x width^2 x density, or with --ends the\n"
                   "fewest weights."};
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
        {.name = "ends",
         .kind = ARGUMENT_COUNT,
         .value = &request.ends,
         .placeholder = "N",
         .unset = "depth x width^2 in their place",
         .help = "inputs and outputs of plain networks: their real weights"},
    };
    arguments_add_all(&list, own, sizeof own / sizeof own[0]);
    question_list(&list, &asked);
    return question_run(&list, argc, argv, &word, &asked, &request);
}

#include "law_question.h"
#include "law_verbs.h"
#include "printing.h"

#include <math.h>
#include <string.h>

void question_list(arguments *list, question *asked) {
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
    arguments_add_all(list, own, sizeof own / sizeof own[0]);
    arguments_add_context(list, &asked->context);
}

/* --- sizes ------------------------------------------------------------------------------------ */

static bool is_named(const char *known, const char *name, size_t length) {
    return strlen(known) == length && memcmp(known, name, length) == 0;
}

uint32_t question_variable(const ramify_law *law, const char *name, size_t length) {
    uint32_t v = 0;
    while (v < ramify_law_variables(law) && !is_named(ramify_law_variable(law, v), name, length))
        v++;
    return v;
}

/* The quotes that a name needs in --at. */
static const char *quotes(const char *name) {
    return strpbrk(name, ",=") ? "\"" : "";
}

static int refuse_size(session *run, const ramify_law *law, const char *text, size_t length) {
    const char *first = ramify_law_variable(law, 0);
    return arguments_refuse(run->verb,
                            "--at: \"%.*s\" names no size of the law with a value: expected "
                            "%s%s%s=VALUE%s",
                            (int)length, text, quotes(first), first, quotes(first),
                            ramify_law_variables(law) > 1 ? " and the like, separated by commas"
                                                          : "");
}

int question_place(session *run, const ramify_law *law, const char *text, uint32_t skip,
                   double *x) {
    uint32_t variables = ramify_law_variables(law), given = 0;
    while (text && *text) {
        const char *name;
        size_t length;
        const char *sign = arguments_name(text, "=,", &name, &length);
        size_t value = *sign == '=' ? 1 + strcspn(sign + 1, ",") : 0;
        int whole = (int)(sign + value - text);
        uint32_t v = question_variable(law, name, length);
        if (v == variables || value == 0)
            return refuse_size(run, law, text, (size_t)whole);
        if (skip & 1U << v)
            return arguments_refuse(run->verb, "--at: %s is what is asked for: leave it out",
                                    ramify_law_variable(law, v));
        if (given & 1U << v)
            return arguments_refuse(run->verb, "--at: %s is given twice in one place",
                                    ramify_law_variable(law, v));
        if (!arguments_number(sign + 1, value - 1, &x[v]))
            return arguments_refuse(run->verb, "--at: \"%.*s\": a number is needed", whole, text);
        given |= 1U << v;
        text = sign + value;
        text += *text == ',';
    }
    for (uint32_t v = 0; v < variables; v++)
        if (!((skip | given) & 1U << v))
            return arguments_refuse(run->verb, "--at: %s=VALUE is missing",
                                    ramify_law_variable(law, v));
    return EXIT_OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static json_t *by_json(const ramify_law *law, uint32_t group) {
    json_t *by = json_object();
    const char *name, *value;
    for (uint32_t c = 0; (value = ramify_law_group_value(law, group, c, &name)); c++)
        json_object_set_new(by, name, json_string(value));
    return by;
}

json_t *question_answer(const ramify_law *law, uint32_t group, const double *x, uint32_t skip) {
    json_t *answer = json_object();
    if (ramify_law_group_value(law, group, 0, NULL))
        json_object_set_new(answer, "by", by_json(law, group));
    if (!x)
        return answer;
    json_t *at = json_object();
    for (uint32_t v = 0; v < ramify_law_variables(law); v++)
        if (!(skip & 1U << v))
            json_object_set_new(at, ramify_law_variable(law, v), json_real(x[v]));
    json_object_set_new(answer, "at", at);
    return answer;
}

void question_add_estimate(json_t *json, const ramify_law_estimate *estimate, double level) {
    json_object_set_new(json, "value", json_number(estimate->value));
    json_object_set_new(json, "low", json_number(estimate->low));
    json_object_set_new(json, "high", json_number(estimate->high));
    json_object_set_new(json, "level", json_real(level));
}

void question_add_part(json_t *answer, const char *name, const ramify_law_estimate *estimate,
                       double level) {
    json_t *part = json_object();
    question_add_estimate(part, estimate, level);
    json_object_set_new(answer, name, part);
}

void question_print_estimate(const ramify_law_estimate *estimate, double level) {
    char percent[PRINTING_ROOM];
    format_level(percent, level);
    printf("%.6g", estimate->value);
    if (isnan(estimate->low) && isnan(estimate->high))
        printf(" (no interval: too few runs tell it)");
    else if (isnan(estimate->high))
        printf(" (%s %%: from %.5g, without an upper end in reach)", percent, estimate->low);
    else if (isnan(estimate->low))
        printf(" (%s %%: up to %.5g)", percent, estimate->high);
    else
        printf(" (%s %%: %.5g to %.5g)", percent, estimate->low, estimate->high);
}

/* --- groups ----------------------------------------------------------------------------------- */

/* COL=VALUE; the value is what follows, as it is. */
static bool in_group(const ramify_law *law, uint32_t group, const char *condition) {
    const char *asked, *name, *value;
    size_t length;
    const char *sign = arguments_name(condition, "=", &asked, &length);
    for (uint32_t c = 0; (value = ramify_law_group_value(law, group, c, &name)); c++)
        if (is_named(name, asked, length) && *sign == '=' && strcmp(value, sign + 1) == 0)
            return true;
    return false;
}

static bool is_meant(const ramify_law *law, uint32_t group, const question *asked) {
    for (uint32_t i = 0; i < asked->group.count; i++)
        if (!in_group(law, group, asked->group.text[i]))
            return false;
    return true;
}

static int ask_groups(session *run, const ramify_law *law, const question_word *word,
                      const question *asked, const void *request, json_t *answers) {
    uint32_t meant = 0, failed = 0;
    int exit_status = EXIT_OK;
    for (uint32_t g = 0; g < ramify_law_group_count(law); g++)
        meant += is_meant(law, g, asked);
    if (meant == 0)
        return arguments_refuse(run->verb, "--group %s: the law has no such group%s",
                                asked->group.text[0],
                                asked->group.count > 1 ? " with the others" : "");
    for (uint32_t g = 0; exit_status == EXIT_OK && g < ramify_law_group_count(law); g++) {
        if (!is_meant(law, g, asked))
            continue;
        if (!asked->json && ramify_law_group_value(law, g, 0, NULL)) {
            json_t *by = by_json(law, g);
            law_print_by(by);
            json_decref(by);
        }
        exit_status = word->ask(run, law, g, request, asked, answers);
        if (exit_status == EXIT_FAILED && meant > 1) {
            failed++; /* its sentence is printed; the others may answer */
            exit_status = EXIT_OK;
        }
    }
    return failed == meant ? EXIT_FAILED : exit_status;
}

static int ask_law(session *run, const char *path, const question_word *word, const question *asked,
                   void *request) {
    ramify_law *law = NULL;
    ramify_status status = ramify_law_open(run->context, path, &law);
    if (status != RAMIFY_OK)
        return session_failed(run, status);
    json_t *answers = json_array();
    int exit_status = word->prepare(run, law, request);
    if (exit_status == EXIT_OK)
        exit_status = ask_groups(run, law, word, asked, request, answers);
    if (exit_status == EXIT_OK && asked->json)
        exit_status = print_json(json_pack("{s:O}", word->key, answers)) ? EXIT_OK : EXIT_FAILED;
    json_decref(answers);
    ramify_law_destroy(&law);
    return exit_status;
}

int question_run(arguments *list, int argc, char **argv, const question_word *word, question *asked,
                 void *request) {
    int exit_status;
    if (arguments_read(list, argc, argv, &exit_status)) {
        const char *wrong = word->check(request);
        session run;
        if (wrong)
            exit_status = arguments_refuse(list->verb, "%s", wrong);
        else if (!(asked->level > 0 && asked->level < 1))
            exit_status = arguments_refuse(list->verb,
                                           "--level %g: must lie between 0 and 1 (as 0.9 or 90%% "
                                           "does)",
                                           asked->level);
        else
            exit_status = session_open(&run, list->verb, &asked->context);
        if (exit_status == EXIT_OK) {
            exit_status = ask_law(&run, list->positional[0], word, asked, request);
            session_close(&run);
        }
    }
    arguments_free(list);
    return exit_status;
}

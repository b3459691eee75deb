#ifndef RAMIFY_CLI_LAW_QUESTION_H
#define RAMIFY_CLI_LAW_QUESTION_H
/* What the words that ask a law file have in common: options, groups, sizes, answers. */

#include "printing.h"
#include "session.h"

typedef struct question {
    argument_texts group; /* "family=a" */
    double level;
    bool json;
    context_arguments context;
} question;

/* A word's own part. */
typedef struct question_word {
    const char *key; /* of the list of answers in JSON */
    /* What is wrong with the words alone, or NULL. */
    const char *(*check)(const void *request);
    /* Reads what takes the law's names, once for all groups. Returns EXIT_OK, or the exit status after
     * one sentence. */
    int (*prepare)(session *run, const ramify_law *law, void *request);
    /* Asks a group: adds an object to `answers`, or prints. Returns as above. */
    int (*ask)(session *run, const ramify_law *law, uint32_t group, const void *request,
               const question *asked, json_t *answers);
} question_word;

/* The options that all have, after a word's own. */
void question_list(arguments *list, question *asked);

/* Reads the words and puts the question to every group of the law at list->positional[0] that is
 * meant. Of several, one without an answer says why, and the others answer. Returns the exit status. */
int question_run(arguments *list, int argc, char **argv, const question_word *word, question *asked,
                 void *request);

/* Index of the size named so; ramify_law_variables where there is none. */
uint32_t question_variable(const ramify_law *law, const char *name, size_t length);

/* "rows=1e6,width=64" (NULL: nothing) into x: every size of the law but those of `skip`, bits by their
 * index, which are what is asked for. Returns EXIT_OK, or the exit status after one sentence. */
int question_place(session *run, const ramify_law *law, const char *text, uint32_t skip, double *x);

/* {"by", "at"}: of the group, and of the sizes but those of `skip`; x NULL: no "at". */
json_t *question_answer(const ramify_law *law, uint32_t group, const double *x, uint32_t skip);

void question_add_estimate(json_t *json, const ramify_law_estimate *estimate, double level);

/* The same under a name of its own. */
void question_add_part(json_t *answer, const char *name, const ramify_law_estimate *estimate,
                       double level);

/* "0.0483 (90 %: 0.0471 to 0.0495)". */
void question_print_estimate(const ramify_law_estimate *estimate, double level);

#endif

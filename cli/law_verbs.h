#ifndef RAMIFY_CLI_LAW_VERBS_H
#define RAMIFY_CLI_LAW_VERBS_H
/* The words after `ramify law`. Each reads argv[0 .. argc), what follows it, and returns the exit
 * status. */

#include <jansson.h>

int law_fit(int argc, char **argv);
int law_compare(int argc, char **argv);
int law_predict(int argc, char **argv);
int law_invert(int argc, char **argv);
int law_frontier(int argc, char **argv);
int law_optimum(int argc, char **argv);

/* Prints a group's values of the columns that --by names, if there are any. */
void law_print_by(json_t *by);

#endif

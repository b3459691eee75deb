#ifndef RAMIFY_CLI_PLAN_VERBS_H
#define RAMIFY_CLI_PLAN_VERBS_H
/* The two things that `ramify plan` plans from; each reads argv[0 .. argc), the words after the verb, and
 * returns the exit status. */

int plan_data(int argc, char **argv);
int plan_runs(int argc, char **argv);

#endif

/* ramify plan: from runs that were made (--runs), or from a table that is to be learned. */

#include "plan_verbs.h"
#include "verbs.h"

#include <stdbool.h>
#include <string.h>

static bool is_of_runs(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--runs") == 0 || strncmp(argv[i], "--runs=", 7) == 0)
            return true;
    return false;
}

int verb_plan(int argc, char **argv) {
    return is_of_runs(argc, argv) ? plan_runs(argc, argv) : plan_data(argc, argv);
}

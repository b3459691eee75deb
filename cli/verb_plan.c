/* ramify plan: from runs that were made (--runs), or from a table that is to be learned. */

#include "plan_verbs.h"
#include "verbs.h"

int verb_plan(int argc, char **argv) {
    return plan_data(argc, argv);
}

#ifndef RAMIFY_PLAN_NEED_H
#define RAMIFY_PLAN_NEED_H
/* What the models that are planned will hold: with the bins of all training rows, which are more than those of
 * small runs, with a tree, and in the largest of the designs that the training will choose from. */

#include "plan.h"

/* Sets the resident bytes of every candidate: the most that its model may have; and the fingerprint of the rows. */
ramify_status ramify_plan_need(ramify_planning *planning);

#endif

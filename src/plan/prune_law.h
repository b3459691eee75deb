#ifndef RAMIFY_PLAN_PRUNE_LAW_H
#define RAMIFY_PLAN_PRUNE_LAW_H

#include "ramify.h"
#include "split.h"

/* Share of the weights that a round takes, unless another is asked for. */
#define RAMIFY_PRUNE_STEP 0.2

/* ramify_prune on rows that the caller divided (borrowed); NULL: they are divided as in the training. */
ramify_status ramify_prune_on(ramify_context *context, ramify_model *model,
                              const ramify_table *table, const ramify_prune_options *options,
                              const ramify_split *divided, ramify_model **pruned,
                              ramify_prune_result **result);

#endif

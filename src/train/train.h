#ifndef RAMIFY_TRAIN_TRAIN_H
#define RAMIFY_TRAIN_TRAIN_H
/* ramify_train, for callers that divide the rows themselves. */

#include "ramify.h"
#include "split.h"

/* Trains on the rows of a split, all of which have their targets. The schema is inferred from the
 * whole table, whatever rows train. *model is set on RAMIFY_OK, and may be on RAMIFY_STOPPED. */
ramify_status ramify_train_on(ramify_context *context, const ramify_table *table,
                              const ramify_train_options *options, const ramify_split *split,
                              ramify_model **model, ramify_training *training);

#endif

#ifndef RAMIFY_PLAN_OPTIONS_H
#define RAMIFY_PLAN_OPTIONS_H
/* Options of a training as JSON: the choice of a plan. */

#include "ramify.h"

#include <jansson.h>

/* An object of those options that are not the usual ones, under the names that the command line has
 * for them with underscores; NULL when out of memory. */
json_t *ramify_plan_options_json(const ramify_train_options *options);

/* Sets what the object has. Texts belong to the object. source: the file's name, for messages. Fails
 * with RAMIFY_ERROR_DATA for a key that is not known or a value of another type. */
ramify_status ramify_plan_options_read(ramify_context *context, const char *source,
                                       const json_t *object, ramify_train_options *options);

#endif

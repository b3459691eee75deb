#ifndef RAMIFY_MODEL_SAME_INPUTS_H
#define RAMIFY_MODEL_SAME_INPUTS_H
/* Whether all ranks have the same model and the same rows: a file that differs from host to host would
 * give predictions of neither. Sizes are compared, and the first and the last bytes. Every call is made by
 * all ranks, and fails on all of them with a sentence that names the rank. */

#include "model.h"
#include "table.h"

ramify_status ramify_same_model(ramify_context *context, const ramify_model *model);
ramify_status ramify_same_table(ramify_context *context, const ramify_table *table);

/* A file that is to be read; fails where it cannot be, and refuses "-". */
ramify_status ramify_same_file(ramify_context *context, const char *path);

#endif

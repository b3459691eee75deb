#ifndef RAMIFY_MODEL_PREDICT_FILE_H
#define RAMIFY_MODEL_PREDICT_FILE_H
/* The rows of a file, predicted block by block. */

#include "ramify.h"
#include "schema.h"

/* Gets a block of this rank's; its row i is row at + i of match's table. match is NULL where there are no
 * rows. */
typedef ramify_status (*ramify_file_take)(void *user, const ramify_predicted *block,
                                          const ramify_match *match, size_t at);

typedef struct ramify_file_wanted {
    double level; /* of intervals; 0 or below: none */
    bool novelty;
    bool targets; /* the file must have them */
    ramify_file_take take;
    void *user;
} ramify_file_wanted;

/* ramify_predict_file; take may look at the rows. Tells nobody of failures. cost may be NULL. */
ramify_status ramify_predict_file_inside(ramify_context *context, ramify_model *model,
                                         const char *path, const ramify_table_options *options,
                                         const ramify_file_wanted *wanted, ramify_file_cost *cost);

#endif

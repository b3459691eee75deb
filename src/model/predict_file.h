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
    /* Between the last block and the warnings about all of them: of so many rows; NULL: nothing is done. */
    ramify_status (*end)(void *user, uint64_t rows);
    void *user;
} ramify_file_wanted;

/* ramify_predict_file; take may look at the rows. Tells nobody of failures. cost may be NULL. */
ramify_status ramify_predict_file_inside(ramify_context *context, ramify_model *model,
                                         const char *path, const ramify_table_options *options,
                                         const ramify_file_wanted *wanted, ramify_file_cost *cost);

/* Sums up what all ranks have held and read. */
ramify_status ramify_predict_count_cost(ramify_context *context, const ramify_model *model,
                                        uint64_t rows, ramify_file_cost *cost);

#endif

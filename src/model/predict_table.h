#ifndef RAMIFY_MODEL_PREDICT_TABLE_H
#define RAMIFY_MODEL_PREDICT_TABLE_H
/* What predicting rows of a table is made of, on one rank or several (dispatch.h). */

#include "predict.h"

/* outside[columns] += raw rows' values outside the range of the training rows. A column that repeats
 * itself has no outside. */
void ramify_count_outside(const ramify_model *model, const double *raw, size_t rows,
                          uint64_t *outside);

/* Says how many values lie outside, and where most of them do. */
void ramify_warn_outside(ramify_context *context, const ramify_schema *schema,
                         const uint64_t *outside, const char *source);

/* Refuses images of another size than a Para-Former's. */
ramify_status ramify_predict_check_image(ramify_context *context, const ramify_model *model,
                                         const ramify_table *table);

/* Dense results from row `first` on. */
ramify_wanted ramify_wanted_from(const ramify_wanted *wanted, const ramify_model *model,
                                 size_t first);

/* Predicts rows first .. first + rows of a matched table, with this rank's own modules; results are dense
 * and begin at wanted's pointers. What lies outside is added to outside[columns]. */
ramify_status ramify_predict_rows(ramify_context *context, ramify_model *model,
                                  const ramify_match *match, size_t first, size_t rows,
                                  const ramify_wanted *wanted, uint64_t *outside);

/* Predicts a table that all ranks have, together: every rank gets all results. match: as in
 * ramify_predict_table_inside, which is what this is on one rank. */
ramify_status ramify_predict_table_together(ramify_context *context, ramify_model *model,
                                            const ramify_table *table, const ramify_match *match,
                                            const ramify_wanted *wanted);

#endif

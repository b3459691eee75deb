#ifndef RAMIFY_TRAIN_SCORE_H
#define RAMIFY_TRAIN_SCORE_H
/* How well predictions do: the numbers of ramify_score. */

#include "ramify.h"
#include "schema.h"

#include <jansson.h>

/* A score with every field NaN but rows = 0. */
ramify_score ramify_score_none(void);

/* Rows whose targets are all there, in their order: rows[0 .. *count), which has room for all of the
 * table. Refuses a table that has none, and says how many are left out. */
ramify_status ramify_score_find_rows(ramify_context *context, const ramify_match *match,
                                     uint32_t *rows, size_t *count);

/* Its sentences. */
ramify_status ramify_score_refuse_empty(ramify_context *context, const char *source);
ramify_status ramify_score_refuse_targets(ramify_context *context, const char *source);
void ramify_score_warn_left_out(ramify_context *context, const char *source, uint64_t rows);

/* Log loss, in nats, of one row's probabilities p[classes] whose class is `label`, and the likeliest
 * class: the first of equals. */
double ramify_score_class(const double *p, uint32_t classes, uint32_t label, uint32_t *likeliest);

/* Rows to be scored, wherever they come from. */
typedef struct ramify_scored {
    const ramify_schema *schema;
    size_t count;
    const double *truth; /* count x targets: numbers, or the index of the class */
    size_t truth_stride;
    const double *y; /* count x outputs, in the units that ramify_predict_double gives */
    size_t y_stride;
} ramify_scored;

/* As ramify_score_rows. */
ramify_status ramify_score_values(ramify_context *context, const ramify_scored *of, bool interval,
                                  ramify_score *score, ramify_score *targets);

/* Scores predictions of `count` rows of a match (whose targets are all there).
 *   rows  table rows; y  count x outputs, in the units that ramify_predict_double gives
 * targets: NULL, or the score of every target. With `interval`, error_low and error_high are
 * filled. */
ramify_status ramify_score_rows(ramify_context *context, const ramify_match *match,
                                const uint32_t *rows, size_t count, const double *y, bool interval,
                                ramify_score *score, ramify_score *targets);

/* Bins of the calibration error (the number that is usually reported): answers by how sure they were. */
#define RAMIFY_SURENESS_BINS 15
typedef struct ramify_sureness {
    double probability[RAMIFY_SURENESS_BINS], right[RAMIFY_SURENESS_BINS]; /* sums */
} ramify_sureness;

/* Adds an answer's probability, and whether it was right. */
void ramify_sureness_add(ramify_sureness *sure, double probability, bool right);
double ramify_calibration_error(const ramify_sureness *sure, double rows);

/* Ends of the interval of a mean of many rows, of losses whose squared deviations sum to `squares`. */
void ramify_score_normal_interval(double mean, double squares, double count, double *low,
                                  double *high);

/* A score as the config of a model states it: a new reference, or NULL when out of memory. */
json_t *ramify_score_json(const ramify_score *score);

/* Predicts these rows of the matched table with a model and scores them. */
ramify_status ramify_score_model(ramify_context *context, ramify_model *model,
                                 const ramify_match *match, const uint32_t *rows, size_t count,
                                 ramify_score *score, ramify_score *targets);

#endif

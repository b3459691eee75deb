#ifndef RAMIFY_TRAIN_PROBLEM_H
#define RAMIFY_TRAIN_PROBLEM_H
/* A training problem: the table's usable rows as plain features and targets, in float32, and which
 * of them train, select and report. Made once; every expert, tree and control is trained on the
 * same problem. */

#include "kernels.h"
#include "ramify.h"
#include "schema.h"
#include "split.h"
#include "stem.h"

/* A set of rows of the problem. */
typedef struct ramify_rows {
    const uint32_t *row; /* count */
    size_t count;
} ramify_rows;

/* A value so far from all others of its column that they look the same beside it. */
typedef struct ramify_far_value {
    const char *column;      /* its name, or NULL: there is none */
    bool pixel;              /* of an image, whatever its column */
    double value, low, high; /* it, and the range of the others */
} ramify_far_value;

typedef struct ramify_problem {
    ramify_context *context;
    const ramify_kernels *kernels;
    const ramify_schema *schema;
    size_t rows;
    uint32_t outputs; /* targets, or classes */
    uint32_t targets; /* regression: number of targets; classification: 0 */

    ramify_stem stem; /* the plain part: columns, center, scale; no bins, periods or routes */
    ramify_stem_column *column; /* what stem.column points to; owned */
    double *center, *scale;     /* columns; owned */
    size_t plain_stride;        /* pad(stem.plain) */
    float *plain;               /* rows x plain_stride */

    float *target;   /* rows x targets, standardised; NULL in a classification */
    uint32_t *label; /* rows; NULL in a regression */
    float *soft;     /* rows x outputs: class probabilities that training rows are fitted to instead
                            of their labels; NULL: the labels */
    float *weight;   /* rows, mean 1 over training rows; NULL: all 1 */
    double *head_center; /* targets: mean of the training rows */
    double *head_scale;  /* targets: standard deviation */
    ramify_far_value far;

    ramify_rows train, select, report;
    ramify_rows observed; /* the training rows that were not made up (teacher.h): knots and the like
                             are measured on these */
    uint32_t *row_memory; /* what the three point to */
} ramify_problem;

/* Makes the problem from rows of the table (table row indices; all with their targets present). The
 * problem's rows are numbered train, then select, then report, in the order given. weight: column
 * of row weights, or NULL. alike: all columns get one center and one scale, as pixels do. Free with
 * ramify_problem_destroy. */
ramify_status ramify_problem_create(ramify_context *context, const ramify_match *match,
                                    ramify_rows train, ramify_rows select, ramify_rows report,
                                    const ramify_column *weight, bool alike,
                                    ramify_problem **problem);

/* The same for rows that a model is to learn further: columns and targets are scaled as it scales them.
 * stem: the model's; head_center and head_scale: of its targets, NULL in a classification. */
ramify_status ramify_problem_create_for(ramify_context *context, const ramify_match *match,
                                        ramify_rows train, ramify_rows select, ramify_rows report,
                                        const ramify_column *weight, const ramify_stem *stem,
                                        const double *head_center, const double *head_scale,
                                        ramify_problem **problem);

/* The same without rows' values: plain features, targets or labels, and weights are the caller's to fill
 * in. */
ramify_status ramify_problem_create_empty(ramify_context *context, const ramify_schema *schema,
                                          size_t train, size_t select, size_t report, bool weighted,
                                          const ramify_stem *stem, const double *head_center,
                                          const double *head_scale, ramify_problem **problem);

/* What a value is as a float32 of a problem, before it is rounded. */
double ramify_problem_standardise(double x, double center, double scale);

/* Where the columns of a schema lie among plain features: column[columns], and the stem's counts. missing
 * [columns]: a number may be missing. */
void ramify_problem_plan_columns(const ramify_schema *schema, const bool *missing,
                                 ramify_stem_column *column, ramify_stem *stem);

/* CRC-32C over the values that training sees, so that a model can say which data it is from. */
uint32_t ramify_problem_fingerprint(const ramify_problem *problem);

/* A warning of problem->far, where there is such a value. source: the table's, for the message. */
void ramify_problem_warn_of_far(const ramify_problem *problem, const char *source);

/* A copy with `added` further training rows, whose plain features are 0 and whose targets are to be
 * set. In a classification `soft` is made, to be set for every training row. A new row weighs as
 * much as the training row that it is numbered after, in turn. Borrows the schema; free with
 * ramify_problem_destroy. */
ramify_status ramify_problem_widen(const ramify_problem *problem, size_t added,
                                   ramify_problem **widened);
void ramify_problem_destroy(ramify_context *context, ramify_problem **problem);

#endif

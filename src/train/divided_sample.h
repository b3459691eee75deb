#ifndef RAMIFY_TRAIN_DIVIDED_SAMPLE_H
#define RAMIFY_TRAIN_DIVIDED_SAMPLE_H
/* Samples of a divided table that every rank holds: one of packed rows, on which the root is found, and
 * one of rows as they are in the table, on which the model is judged. */

#include "divided_rows.h"

/* Rows that judge: of a table that is not divided all do. */
#define RAMIFY_SAMPLE_TRAIN  131072.0
#define RAMIFY_SAMPLE_CHECKS 65536.0

/* A problem of about `train` training rows, and select and report rows in proportion to RAMIFY_SAMPLE_CHECKS.
 * Free with ramify_problem_destroy. */
ramify_status ramify_divided_root_problem(const ramify_divided *divided, double train,
                                          ramify_problem **problem);

/* Rows as a training of them alone has them (train_rows.h), of a table of their own. */
typedef struct ramify_divided_sample {
    ramify_context *context;
    ramify_table *table;
    ramify_split split;
    ramify_train_rows rows;
    ramify_problem *problem;
} ramify_divided_sample;

/* Call while the table's rows are there. Borrows the schema; free with ramify_divided_sample_destroy. */
ramify_status ramify_divided_sample_create(const ramify_divided *divided,
                                           ramify_divided_sample **sample);
void ramify_divided_sample_destroy(ramify_divided_sample **sample);

#endif

#ifndef RAMIFY_PLAN_DIAGNOSE_FITS_H
#define RAMIFY_PLAN_DIAGNOSE_FITS_H
/* The networks of a diagnosis: rows held out in folds, and batches of fits that run side by side. */

#include "recipe.h"
#include "root.h"

#define RAMIFY_DIAGNOSE_FOLDS_MAX 10

/* Rows of one fold: those that train come first, so that fewer of them are a subset of more. */
typedef struct ramify_diagnose_fold {
    ramify_rows train, select, test;
} ramify_diagnose_fold;

/* A problem whose first rows are the table's and whose others are made up: they lie between rows near
 * each other, and have no target of their own. */
typedef struct ramify_diagnose_rows {
    const ramify_problem *problem;
    size_t real, made;
    ramify_diagnose_fold fold[RAMIFY_DIAGNOSE_FOLDS_MAX];
    uint32_t folds;
    uint32_t *memory; /* of the folds */
    uint32_t *all;    /* real + made: every row, the real ones first */
} ramify_diagnose_rows;

/* Deals rows into folds and makes rows up. `problem` is the widened one, with `real` rows of the
 * table. Free with ramify_diagnose_rows_clear. */
ramify_status ramify_diagnose_rows_make(ramify_problem *problem, size_t real, uint64_t seed,
                                        ramify_diagnose_rows *rows);
void ramify_diagnose_rows_clear(ramify_context *context, ramify_diagnose_rows *rows);

/* One network to be trained. */
typedef struct ramify_diagnose_job {
    /* Set by the caller. */
    const char *stage;
    ramify_problem view; /* the problem with this job's rows and targets */
    ramify_rows test;
    uint32_t fold, group; /* group: jobs that differ in fold and seed alone */
    ramify_mlp_shape shape;
    ramify_expert_plan plan;
    const ramify_root *warm; /* to start from; NULL: a fresh start */
    /* Set by the fit. */
    ramify_root *root;
    double train_error, select_error; /* mean squares, of the standardised target */
    float *outputs;                   /* test.count: predictions, standardised */
    double test_error;
    bool cut; /* its share of the time limit was over */
} ramify_diagnose_job;

/* Squared distance of two rows, in plain features. */
double ramify_diagnose_distance(const ramify_problem *problem, size_t a, size_t b);

/* A view of the problem with other rows. */
ramify_problem ramify_diagnose_view(const ramify_problem *problem, ramify_rows train,
                                    ramify_rows select);

/* A plan of about `steps` optimiser steps on `rows` rows. */
ramify_expert_plan ramify_diagnose_plan(const ramify_expert_plan *like, size_t rows, double steps,
                                        double rate, uint64_t seed);

/* Fits all jobs. seconds: what they may take together; 0: no limit. Roots and outputs are set where a
 * fit ended, also on failure; the caller clears the jobs. */
ramify_status ramify_diagnose_fit_all(ramify_context *context, const ramify_recipe *recipe,
                                      ramify_diagnose_job *jobs, size_t count, double seconds);
void ramify_diagnose_jobs_clear(ramify_context *context, ramify_diagnose_job *jobs, size_t count);

/* One number per row, from a network: standardised predictions[rows.count]. */
ramify_status ramify_diagnose_predict(const ramify_problem *problem, const ramify_root *root,
                                      ramify_rows rows, float *predictions);

#endif

#ifndef RAMIFY_LAWS_LAW_H
#define RAMIFY_LAWS_LAW_H
/* A fitted law: the inside of the public handle. */

#include "law_runs.h"
#include "law_solve.h"
#include "status.h"

#define RAMIFY_LAW_WARNINGS_MAX 8

typedef struct ramify_law_score {
    uint64_t rows;
    double rmse_log; /* root mean square of ln predicted - ln true */
    double mean, sd; /* of (predicted - true) / true; sd divides by rows */
} ramify_law_score;

/* The law of one group of runs. */
typedef struct ramify_fitted {
    char *by[RAMIFY_LAW_BY_MAX];             /* owned */
    char *refusal;                           /* why there is no law; NULL: there is one; owned */
    double theta[RAMIFY_LAW_PARAMETERS_MAX]; /* parameters, for sizes as they were given */
    double error[RAMIFY_LAW_PARAMETERS_MAX]; /* standard errors, or NaN */
    double low[RAMIFY_LAW_PARAMETERS_MAX];   /* bootstrap interval, or NaN */
    double high[RAMIFY_LAW_PARAMETERS_MAX];
    ramify_law_score fit, heldout, folds;   /* rows 0: not scored */
    double x_low[RAMIFY_LAW_VARIABLES_MAX]; /* range of the runs that were fitted */
    double x_high[RAMIFY_LAW_VARIABLES_MAX];
    double loss;                            /* sum of losses at theta */
    char *warning[RAMIFY_LAW_WARNINGS_MAX]; /* owned */
    uint32_t warnings;
} ramify_fitted;

struct ramify_law {
    ramify_context *context;
    const ramify_law_form *form;
    char *x_name[RAMIFY_LAW_VARIABLES_MAX], *y_name, *by_name[RAMIFY_LAW_BY_MAX]; /* owned */
    uint32_t by_count, groups;
    ramify_fitted *group; /* groups; owned */
    double level;         /* of the bootstrap intervals */
    char *text;           /* the law as JSON; owned */
};

/* Adds a sentence to a law's warnings; beyond RAMIFY_LAW_WARNINGS_MAX they are dropped. */
ramify_status ramify_law_warn(ramify_context *context, ramify_fitted *law, const char *format, ...)
    RAMIFY_PRINTF(3, 4);

/* Refuses runs that a form cannot be fitted to, by a sentence that says what to add; `name` is what
 * the sentence calls the group. */
ramify_status ramify_law_check_runs(ramify_context *context, const ramify_law_form *form,
                                    const ramify_law_groups *groups, const ramify_runs *runs,
                                    const double *fixed, const char *name);

/* What is doubtful about a fitted law, as warnings. */
ramify_status ramify_law_review(ramify_context *context, const ramify_law_form *form,
                                const ramify_law_groups *groups, const ramify_runs *runs,
                                ramify_fitted *law);

/* Scores parameters on runs. */
ramify_law_score ramify_law_score_runs(const ramify_law_form *form, const double *theta,
                                       const ramify_runs *runs);

/* The law as JSON text (law_file.c). */
ramify_status ramify_law_write_text(ramify_context *context, ramify_law *law);

#endif

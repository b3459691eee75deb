#ifndef RAMIFY_LAWS_LAW_H
#define RAMIFY_LAWS_LAW_H
/* A fitted law: the inside of the public handle. */

#include "law_mix.h"
#include "law_runs.h"
#include "law_solve.h"
#include "status.h"

#define RAMIFY_LAW_WARNINGS_MAX 8

typedef struct ramify_law_score {
    uint64_t rows;
    double rmse_log; /* root mean square of ln predicted - ln true */
    double mean, sd; /* of (predicted - true) / true; sd divides by rows */
    /* Of prediction intervals: share of runs inside, and the mean interval score in ln y (Gneiting and
     * Raftery 2007): width, and 2 / (1 - level) times what runs lie outside. NaN: no intervals. */
    double coverage, interval_score;
} ramify_law_score;

/* The law of one group of runs. */
typedef struct ramify_fitted {
    char *by[RAMIFY_LAW_BY_MAX]; /* owned */
    char *refusal;               /* why there is no law; NULL: there is one; owned */
    ramify_law_mix mix;          /* the law, for sizes as they were given */
    /* Of a law that is no mean of others: of its parameters, standard errors and the ends of
     * bootstrap intervals, or NaN. */
    double error[RAMIFY_LAW_PARAMETERS_MAX];
    double low[RAMIFY_LAW_PARAMETERS_MAX], high[RAMIFY_LAW_PARAMETERS_MAX];
    bool widened[RAMIFY_LAW_PARAMETERS_MAX]; /* intervals that did not hold the parameter */
    /* The parameters of every resample, for intervals of what is computed from them; kept for laws
     * of several sizes. Parts x RAMIFY_LAW_PARAMETERS_MAX x resamples; owned, or NULL. */
    double *resample;
    uint32_t resamples;
    /* pruning-joint: depth, width and error of every network without pruning; dense x 3; owned. */
    double *dense;
    uint32_t dense_count;
    double *x, *y; /* the runs, as ramify_law_points gives them; owned, or NULL */
    bool *fitted;
    double *cost; /* points, NaN where it is not known; owned; NULL: not asked for */
    size_t points;
    ramify_law_score fit, heldout, folds;   /* rows 0: not scored */
    double loss;                            /* sum of losses of the runs */
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
                                const double *fixed, ramify_fitted *law);

/* Scores a law on runs, without intervals. */
ramify_law_score ramify_law_score_runs(const ramify_law_mix *mix, const ramify_runs *runs);

/* Adds how the intervals of a level do on runs. */
void ramify_law_score_intervals(const ramify_law_mix *mix, const ramify_runs *runs, double level,
                                ramify_law_score *score);

/* ramify_law_fit of runs whose costs, a column, are kept beside them; cost NULL: none. */
ramify_status ramify_law_fit_costed(ramify_context *context, const ramify_table *table,
                                    const ramify_law_options *options, const char *cost,
                                    ramify_law **law);

/* What a fit was asked for, as the parts of it see it. */
typedef struct ramify_law_fit_request {
    ramify_context *context;
    const ramify_law_options *options;
    const ramify_law_form *form;
    double fixed[RAMIFY_LAW_PARAMETERS_MAX]; /* NaN: free */
} ramify_law_fit_request;

ramify_law_problem ramify_law_problem_of(const ramify_law_fit_request *request,
                                         const ramify_runs *runs);

/* Percentile intervals of the parameters over resampled runs (Efron 1979), law_resample.c. */
ramify_status ramify_law_bootstrap(const ramify_law_fit_request *request, uint32_t group,
                                   const ramify_runs *runs, ramify_fitted *law);

/* Scores law->folds: every run is predicted by a law of the other folds. */
ramify_status ramify_law_cross_validate(const ramify_law_fit_request *request, uint32_t group,
                                        const ramify_runs *runs, ramify_fitted *law);

/* The kept numbers of parameter j of a part, one per resample. */
double *ramify_law_numbers_of(const ramify_fitted *law, uint32_t part, uint32_t j);

/* The mean of laws with the parameters of resample `index`, law->resamples of which are kept. */
void ramify_law_resampled(const ramify_fitted *law, uint32_t index, ramify_law_mix *mix);

/* Which of the first two sizes, divided between at a cost, have the least error: 0 with both in ln_x,
 * whose other sizes are given; -1 or 1 where there is no best, as the error keeps falling towards small
 * or large ones of the first. */
int ramify_law_best_split(const ramify_law_mix *mix, const ramify_law_cost *cost, double ln_budget,
                          double *ln_x);

/* The law as JSON text (law_file.c). */
ramify_status ramify_law_write_text(ramify_context *context, ramify_law *law);

#endif

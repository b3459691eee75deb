#ifndef RAMIFY_LAWS_LAW_FORM_H
#define RAMIFY_LAWS_LAW_FORM_H
/* Forms of scaling laws: each is one entry of a table. Adding a form is adding an entry and a test.
 *
 * A form gives the error y > 0 as a function of one to four variables x > 0 and of parameters. All
 * arithmetic is in logarithms, as sizes span twenty orders of magnitude. */

#include "ramify.h"

#define RAMIFY_LAW_PARAMETERS_MAX 12

/* Where a parameter may lie; the fit moves it on the scale that fits. */
typedef enum ramify_law_range {
    RAMIFY_LAW_POSITIVE, /* above 0: moved as its logarithm */
    RAMIFY_LAW_REAL
} ramify_law_range;

typedef struct ramify_law_parameter {
    const char *name; /* as in law files: "exponent_data" */
    ramify_law_range range;
} ramify_law_parameter;

/* What a law is fitted to: runs with positive x and y. */
typedef struct ramify_runs {
    size_t count;
    uint32_t variables;
    const double *ln_x;   /* count x variables */
    const double *ln_y;   /* count */
    const double *weight; /* count; NULL: all 1 */
} ramify_runs;

static inline double ramify_run_weight(const ramify_runs *runs, size_t run) {
    return runs->weight ? runs->weight[run] : 1;
}

struct ramify_law_problem; /* law_solve.h */
struct ramify_law_mix;     /* law_mix.h */

typedef struct ramify_law_form {
    const char *name;                           /* "additive" */
    const char *formula;                        /* for people: "E + A/N^alpha + B/D^beta" */
    const char *source;                         /* paper */
    uint32_t variables;                         /* that it needs */
    const char *role[RAMIFY_LAW_VARIABLES_MAX]; /* of the variables: "model size", "data" */
    uint32_t parameters;
    ramify_law_parameter parameter[RAMIFY_LAW_PARAMETERS_MAX];

    /* ln y at ln_x[variables], NaN where the formula gives no positive number. gradient: NULL, or
     * d ln y / d theta[parameters]. */
    double (*log_value)(const double *theta, const double *ln_x, double *gradient);

    /* The parameters themselves, for a form that is not fitted by its loss but computed; false when
     * the runs do not tell them. NULL: fitted. */
    bool (*solve)(const ramify_runs *runs, double *theta);

    /* The index-th set of parameters to begin a fit from; false when there are no more. NULL for a
     * form that is computed. */
    bool (*start)(const ramify_runs *runs, uint32_t index, double *theta);

    /* The least error that the law allows: its limit for large x, 0 if none. NULL: no such limit. */
    double (*floor)(const double *theta);

    /* ln of the x of `variable` at which the law gives ln_y, the other variables being those of ln_x;
     * NaN where there is none. NULL: by search. */
    double (*inverse)(const double *theta, uint32_t variable, const double *ln_x, double ln_y);

    /* ln of the factor beyond the runs up to which the form says anything; 0: any. */
    double reach;

    /* One more than the variable that is a density, whose law is read towards small values; 0: none,
     * laws are read towards large values of every variable. */
    uint32_t density;

    /* For a form that is a mean of laws of other forms, in place of log_value and all that is about
     * parameters, of which it has none: those laws, how far runs lie from them, and why. NULL: a
     * law of its own. */
    ramify_status (*combine)(ramify_context *context, const struct ramify_law_problem *problem,
                             struct ramify_law_mix *mix);
} ramify_law_form;

/* The table; *count forms. */
const ramify_law_form *const *ramify_law_forms(size_t *count);

/* The form named so, or NULL. */
const ramify_law_form *ramify_law_form_find(const char *name);

/* Of the forms named so (there are two called "auto") the one of so many variables; if there is none,
 * the first. */
const ramify_law_form *ramify_law_form_find_for(const char *name, uint32_t variables);

#endif

#ifndef RAMIFY_LAWS_LAW_SOLVE_H
#define RAMIFY_LAWS_LAW_SOLVE_H
/* Least losses: Levenberg and Marquardt's method (cminpack) from the most promising of a form's
 * starts. Deterministic. */

#include "law_form.h"

typedef struct ramify_law_loss {
    ramify_law_loss_kind kind;
    double delta; /* Huber's */
    double above; /* weight of runs that lie above the law, as under-tuned ones do; 1: as others */
} ramify_law_loss;

/* One fit. */
typedef struct ramify_law_problem {
    const ramify_law_form *form;
    const ramify_runs *runs;
    ramify_law_loss loss;
    const double *fixed; /* parameters; NaN: free. NULL: all free */
    const double *begin; /* parameters: one more start; NULL: none */
    bool begin_only;     /* the form's own starts are not tried */
} ramify_law_problem;

/* theta[parameters] of the least loss found; *loss: its sum over runs, weighted. RAMIFY_ERROR_DATA
 * with a sentence when no start leads anywhere. */
ramify_status ramify_law_solve(ramify_context *context, const ramify_law_problem *problem,
                               double *theta, double *loss);

/* The sum of losses of some parameters; infinite where the form has no value. */
double ramify_law_loss_sum(const ramify_law_problem *problem, const double *theta);

/* The loss of run i, weighted, where the law gives ln y = value; infinite for NaN. */
double ramify_law_loss_of(const ramify_law_problem *problem, size_t i, double value);

/* Standard errors of the parameters at a solution: from the residuals' Jacobian and their variance
 * (with runs - free parameters degrees of freedom). NaN for fixed ones, of a form that is
 * computed, and where the runs do not determine a parameter; all NaN without degrees of freedom. */
ramify_status ramify_law_errors(ramify_context *context, const ramify_law_problem *problem,
                                const double *theta, double *errors);

#endif

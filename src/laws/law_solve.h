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

/* Which parameters above 0 a fit has driven off: -1 towards 0, 1 beyond all bounds, 0: neither. Their
 * numbers are where the solver ended and mean nothing. A fixed one is never driven. Returns true where
 * some parameter, driven or not, makes no difference to the law: a descent from here does not move it. */
bool ramify_law_bounds(const ramify_law_problem *problem, const double *theta, int *bound);

/* The same of a number alone: one that no parameter has but by being driven there. */
int ramify_law_driven(const ramify_law_parameter *parameter, double theta);

/* The number that stands for such a bound. */
double ramify_law_driven_to(int bound);

/* Standard errors of the parameters at a solution: from the residuals' Jacobian and their variance
 * (with runs - free parameters degrees of freedom). NaN for fixed ones and those at a bound, of a form
 * that is computed, and where the runs do not determine a parameter; all NaN without degrees of freedom. */
ramify_status ramify_law_errors(ramify_context *context, const ramify_law_problem *problem,
                                const double *theta, double *errors);

#endif

#ifndef RAMIFY_PLAN_RUN_BELIEF_H
#define RAMIFY_PLAN_RUN_BELIEF_H
/* What runs tell of the errors of runs that were not made, and how much another run would add to that.
 *
 * At a place x the logarithm of a run's error is normal about the law, with variance
 *
 *     T(x) = B(x, x) + D(x) + noise^2
 *
 * B is the covariance over laws of resampled runs: what the runs do not tell of the law's parameters. D stands
 * for a form that is wrong beyond the runs. Of two sizes it is a random walk along the logarithm of the cost,
 * whose steps are measured on runs cut short by cost; where these are too few, and of one size, it is what
 * the law's own intervals have beyond the other two. A run at x takes from the variance at a place A
 *
 *     (B(A, x) + k min(D(A), D(x)))^2 / T(x)
 *
 * by normal conditioning, min(D, D) being the covariance of a random walk. k: a run whose error hardly follows a
 * size tells little of what that size does at A: the least ratio, at most 1, of the slopes there. */

#include "law.h"
#include "run_cost.h"

typedef struct ramify_belief {
    ramify_context *context;
    const ramify_fitted *law;
    const ramify_run_cost *cost;
    ramify_law_mix *draw; /* draws laws of resampled runs; owned */
    uint32_t draws;
    /* Room for what these say at a place, sorted, and at the target; draws each. The first is owned and
     * has the others. */
    double *value, *sorted, *aimed;
    double noise; /* deviation of runs about the law */
    double
        drift; /* of the walk, per square root of an octave of cost; NaN: of one size, or not told */
    double ratio_low, ratio_high; /* of two sizes, ln second - ln first, over the runs */
} ramify_belief;

/* RAMIFY_ERROR_DATA where too few resamples can be fitted. Close also after a failure. */
ramify_status ramify_belief_open(ramify_context *context, const ramify_law_form *form,
                                 const ramify_fitted *law, const ramify_costed_runs *runs,
                                 const ramify_run_cost *cost, uint32_t resamples, uint64_t seed,
                                 ramify_belief *belief);
void ramify_belief_close(ramify_belief *belief);

/* sqrt(T) there; NaN where the runs do not tell it. */
double ramify_belief_deviation(const ramify_belief *belief, const double *ln_x);

typedef struct ramify_next_run {
    double ln_x[RAMIFY_PLANE_VARIABLES], ln_cost;
    double narrowing; /* by which share the interval at the target narrows */
} ramify_next_run;

/* Of the runs on a grid that cost less than the target and at most ln_most: among those that narrow its
 * interval by `least` or more, the one that does so by most per cost; where there is none, the one
 * that narrows it most. *found: there is one that costs so little. */
ramify_status ramify_belief_next(const ramify_belief *belief, const double *target, double ln_most,
                                 double least, ramify_next_run *next, bool *found);

/* What a run at ln_x would do for a target: the narrowing above. */
ramify_status ramify_belief_narrowing(const ramify_belief *belief, const double *target,
                                      const double *ln_x, double *narrowing);

#endif

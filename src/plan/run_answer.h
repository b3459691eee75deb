#ifndef RAMIFY_PLAN_RUN_ANSWER_H
#define RAMIFY_PLAN_RUN_ANSWER_H
/* What a plan of runs is asked: the best sizes for costs, their errors and intervals. */

#include "run_belief.h"

typedef struct ramify_runs_planner {
    ramify_context *context;
    const ramify_runs_plan_options *options;
    ramify_runs_plan *plan; /* what becomes the result */
    const ramify_fitted *law;
    ramify_costed_runs runs;
    double *ln_x, *ln_y; /* of runs.runs; owned */
    ramify_run_cost cost;
    ramify_belief belief;
    double ln_bottom, ln_top; /* costs between which something is said */
} ramify_runs_planner;

/* A place on the frontier. */
typedef struct ramify_frontier_place {
    double ln_cost, ln_x[RAMIFY_LAW_VARIABLES_MAX], ln_y;
} ramify_frontier_place;

/* Finds the run that was asked for; fills the answer in. */
ramify_status ramify_runs_answer(const ramify_runs_planner *planner, ramify_frontier_place *at);

/* Fills the frontier in, up to a cost. */
ramify_status ramify_runs_frontier(const ramify_runs_planner *planner, double ln_cost);

#endif

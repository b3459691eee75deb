#ifndef RAMIFY_PLAN_PLAN_H
#define RAMIFY_PLAN_PLAN_H
/* A plan while it is made, and as it is kept. */

#include "forecast.h"
#include "sweep.h"

#include <jansson.h>

struct ramify_plan {
    ramify_context *context;
    json_t *json; /* owned, as is the text of it */
    char *text;
};

/* One way of training. */
typedef struct ramify_candidate {
    ramify_sweep_point point;
    ramify_law_estimate error;
    double seconds; /* of the training, on the context's threads */
    double latency; /* of a row alone; NaN: not measured */
    uint64_t resident_bytes;
    double density; /* share of weights that are left */
} ramify_candidate;

#define RAMIFY_CANDIDATES_MAX 40

/* With how many times the rows the error is told: 1, 2, 4, .. */
#define RAMIFY_PLAN_AHEAD 5

/* What one learns beside the answer: the error with more rows, and with twice the width or passes; NaN: not
 * known. */
typedef struct ramify_plan_more {
    ramify_law_estimate rows[RAMIFY_PLAN_AHEAD], size, time;
    bool falls; /* errors of small runs fall with the rows by more than they scatter */
} ramify_plan_more;

/* Everything that is made on the way to a plan. */
typedef struct ramify_planning {
    ramify_context *context;
    const ramify_plan_options *options;
    ramify_sweep sweep;
    ramify_sweep_run *runs; /* count of them, room for `room`; owned */
    size_t count, room;
    ramify_sweep_design design; /* the best, whose ladders are run */
    ramify_train_options train; /* that the small runs are of */
    uint64_t bound;             /* resident bytes that trainings are pruned to; 0: none is */
    ramify_sweep_design
        dense;     /* beside pruning: the best that needs none; layers 0: there is none */
    double length; /* of the ladder's runs, in that of the whole training */
    ramify_forecast forecast;
    double unit;  /* seconds of one thread that a cost of 1 takes */
    double spent; /* seconds since the beginning */
    bool stopped;
    ramify_candidate candidate[RAMIFY_CANDIDATES_MAX];
    uint32_t candidates, chosen;
    uint32_t fingerprint; /* of the training's rows, as its model's description has it */
    bool met;             /* what was asked for, by the candidate that was chosen */
    char why[320];        /* a sentence about it; before, what the search said of the bound */
    ramify_plan_more more;
} ramify_planning;

/* --- Pruning (plan_prune.c) --- */

/* Where resident bytes are asked for that no expert of the usual width fits in: experts that need not fit are
 * searched for as well, to be pruned. status: of the search among those that do, which is done. Fails where
 * neither is to be had. */
ramify_status ramify_plan_consider_pruning(ramify_planning *planning, ramify_status status);

/* Refuses a bound that nothing fits in. */
ramify_status ramify_plan_no_room(const ramify_planning *planning);

/* What the dearest training costs that prunes; 0: none does. */
double ramify_plan_pruning_cost(const ramify_planning *planning);

/* Runs of a level that are pruned: how many, with their points. Their passes are those of the trainings that they
 * stand for. */
#define RAMIFY_PLAN_PRUNED_MAX 2
uint32_t ramify_plan_pruning_runs(const ramify_planning *planning, uint32_t level,
                                  ramify_sweep_point *points);

/* Candidates like the runs that were. */
void ramify_plan_add_pruned(ramify_planning *planning);

/* --- plan.c --- */

/* Searches for the design, within the bound of planning->train. */
ramify_status ramify_plan_search(ramify_planning *planning);

/* Adds a candidate, of which point and density are set, with its forecast. */
void ramify_plan_add_candidate(ramify_planning *planning, const ramify_candidate *candidate);

/* The plan as it is kept. */
ramify_status ramify_plan_write(const ramify_planning *planning, ramify_plan **plan);

/* The options of the training with a candidate. hidden: room for its widths. */
ramify_train_options ramify_plan_options_of(const ramify_planning *planning,
                                            const ramify_candidate *candidate,
                                            char hidden[RAMIFY_HIDDEN_ROOM]);

#endif

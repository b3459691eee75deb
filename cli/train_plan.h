#ifndef RAMIFY_CLI_TRAIN_PLAN_H
#define RAMIFY_CLI_TRAIN_PLAN_H
/* train --plan: options from a plan, and what the training brought beside what was predicted. */

#include "session.h"

#include <jansson.h>

typedef struct train_plan {
    const char *path, *report; /* NULL: none */
    ramify_plan *plan;
    ramify_prune_options prune; /* max_resident 0: the model is not pruned */
    double foretold;            /* density that the plan expects */
    double density;             /* share of weights that pruning left; 1: it took none */
    double pruning;             /* seconds of it */
    double time_limit;          /* of training and pruning together; 0: none */
} train_plan;

void train_plan_add_options(arguments *list, train_plan *from);

/* Refuses options that the plan holds, or --report without --plan. Returns the exit status. */
int train_plan_check(const arguments *list, const train_plan *from);

/* Opens the plan and takes its options. Returns EXIT_OK, or the exit status after one sentence. */
int train_plan_open(session *run, train_plan *from, ramify_train_options *options);

/* Prunes the model as the plan says, in its place; training's score and seconds become those of what is left.
 * After a stop the model is the best so far. */
ramify_status train_plan_prune(session *run, train_plan *from, const ramify_table *table,
                               ramify_model **model, ramify_training *training);

/* Warns of a model that was stopped before it was as small as planned. */
void train_plan_warn(session *run, const train_plan *from, const ramify_model *model);

/* Adds what the training brought to the plan and its page. score: on rows that nothing was chosen by. Returns
 * the exit status. */
int train_plan_close(session *run, train_plan *from, const ramify_training *training,
                     const ramify_score *score, const ramify_model_info *info);

/* "predicted rmse .. (90 %: ..), obtained ..", a line. */
void train_plan_print(const train_plan *from, const ramify_score *score);

/* The plan, as train --json shows it: {"predicted", "obtained", ..}; a new reference, or NULL when out of memory. */
json_t *train_plan_json(const train_plan *from);

#endif

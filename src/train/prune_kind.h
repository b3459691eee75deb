#ifndef RAMIFY_TRAIN_PRUNE_KIND_H
#define RAMIFY_TRAIN_PRUNE_KIND_H
/* What kinds of models that can be pruned have in common: the functions of prune.h, each for the inside
 * of a pruning of its kind. */

#include "prune.h"

/* Of the rate of a schedule, what fine-tuning has. */
#define RAMIFY_FINE_TUNE_RATE 0.1

/* What a weight, a unit or a branch is worth, and where it is. */
typedef struct ramify_worth {
    float value;
    uint32_t module;
    size_t place; /* a weight's in the record, or a unit's number */
} ramify_worth;

/* For qsort: the least worth first; equals in the order of their places. */
int ramify_worth_compare(const void *a, const void *b);

typedef struct ramify_pruning_kind {
    void (*close)(void *inside);
    ramify_pruned (*state)(const void *inside);
    uint64_t (*validation_rows)(const void *inside);
    const ramify_repack *(*base)(const void *inside);
    ramify_status (*round)(void *inside, double density);
    ramify_status (*keep)(void *inside);
    ramify_status (*go_back)(void *inside);
    ramify_status (*give)(void *inside, json_t *about, ramify_model **state);
    ramify_status (*take)(void *inside, ramify_model *state);
    ramify_status (*size)(void *inside, double density, ramify_storage storage, json_t *about,
                          ramify_sizes *sizes);
    ramify_status (*reach)(void *inside, double density, double *reached);
    ramify_status (*model)(void *inside, ramify_storage storage, json_t *about,
                           ramify_model **model);
} ramify_pruning_kind;

extern const ramify_pruning_kind ramify_pruning_experts, ramify_pruning_branches;

ramify_status ramify_pruning_open_experts(ramify_context *context, ramify_model *model,
                                          ramify_model *rewind, const ramify_table *table,
                                          const ramify_prune_plan *plan, void **inside);
ramify_status ramify_pruning_open_branches(ramify_context *context, ramify_model *model,
                                           ramify_model *rewind, const ramify_table *table,
                                           const ramify_prune_plan *plan, void **inside);

#endif

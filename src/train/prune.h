#ifndef RAMIFY_TRAIN_PRUNE_H
#define RAMIFY_TRAIN_PRUNE_H
/* Pruning a model's networks: weights are taken away, the others start again from where they were early
 * in the training (Frankle, Dziugaite, Roy, Carbin 2020), or with the schedule of their rates begun
 * anew (Renda, Frankle, Carbin 2020), and learn without those. What densities to go through, and when
 * to stop, is the caller's to say.
 *
 * The stem and the tree stay as they are. Rows that the model's experts learned from teachers are
 * answered by the model itself (teacher.h). The density is the share of weights that are left, of all
 * networks together; biases, slopes and what members have of their own are not counted and stay. */

#include "dismantle.h"
#include "packed.h"
#include "ramify.h"
#include "repack.h"

/* Which weights go first. */
typedef enum ramify_prune_score {
    RAMIFY_PRUNE_MAGNITUDE,
    RAMIFY_PRUNE_RANDOM,
    RAMIFY_PRUNE_NEURONS, /* whole hidden units, those with the smallest weights */
    RAMIFY_PRUNE_BRANCHES /* whole branches, those without which errors are least */
} ramify_prune_score;

/* Where the weights that are left begin. */
typedef enum ramify_prune_restart {
    RAMIFY_PRUNE_REWIND,   /* at a rewind point's weights, or their own where there is none */
    RAMIFY_PRUNE_FINE_TUNE /* at their own, with a tenth of the rate */
} ramify_prune_restart;

typedef struct ramify_prune_plan {
    const char *weight, *group, *time; /* as in the training */
    const ramify_split *divided; /* borrowed: rows divided by the caller; NULL: by the model */
    double validation;           /* share of rows held out; 0: as in the training */
    uint64_t seed;
    bool own_seed; /* false: the model's */
    uint32_t
        epochs;  /* of a round; 0: as in the training, or by the recipe where that is not known */
    double rate; /* 0: by the recipe */
    bool per_module; /* every network gets the density, else all together */
    bool teach;      /* the model answers made-up rows, where it was trained on such */
    ramify_prune_score score;
    ramify_prune_restart restart;
    double deadline; /* ramify_seconds() at which a round stops; 0: none */
} ramify_prune_plan;

typedef struct ramify_pruning ramify_pruning;

/* rewind: a model of the same shape and tree whose weights a round begins with, or NULL. Model, rewind
 * point and table are borrowed. Close with ramify_pruning_close. */
ramify_status ramify_pruning_open(ramify_context *context, ramify_model *model,
                                  ramify_model *rewind, const ramify_table *table,
                                  const ramify_prune_plan *plan, ramify_pruning **pruning);
void ramify_pruning_close(ramify_pruning **pruning);

/* How it stands. */
typedef struct ramify_pruned {
    uint64_t weights; /* left */
    double density;   /* share of weights that are left */
    double
        error; /* on validation rows: root mean square error of one target, in its units, of several
                       in standard deviations; or the share of wrong classes */
} ramify_pruned;

ramify_pruned ramify_pruning_state(const ramify_pruning *pruning);

/* Scores of a model of these columns on report rows, which no training chose anything by. */
ramify_status ramify_pruning_score(const ramify_pruning *pruning, ramify_model *model,
                                   ramify_score *score);

/* Rows by which errors are told: those that end at networks. */
uint64_t ramify_pruning_validation_rows(const ramify_pruning *pruning);

/* Takes weights away until this share is left, lets the others start again and learn, and measures the
 * error. RAMIFY_STOPPED: the caller or the deadline stopped it, and it is as before the call. */
ramify_status ramify_pruning_round(ramify_pruning *pruning, double density);

/* Remembers how it stands, in the place of what was remembered, and goes back to that. */
ramify_status ramify_pruning_keep(ramify_pruning *pruning);
ramify_status ramify_pruning_go_back(ramify_pruning *pruning);

/* How it stands, as a model that can be saved: its zeros are the weights that are gone. */
ramify_status ramify_pruning_give(ramify_pruning *pruning, json_t *about, ramify_model **state);

/* Goes on from such a model. */
ramify_status ramify_pruning_take(ramify_pruning *pruning, ramify_model *state);

/* The density that a round to this one would come to: units and branches go as wholes. */
ramify_status ramify_pruning_reach(ramify_pruning *pruning, double density, double *reached);

/* Bytes at most if it were pruned to this density now, before any training. about (borrowed): as for the
 * model, and as long as it can become; numbers are with RAMIFY_LONGEST_NUMBER (repack.h). */
ramify_status ramify_pruning_size(ramify_pruning *pruning, double density, ramify_storage storage,
                                  json_t *about, ramify_sizes *sizes);

/* The model as it stands, its layers stored as asked for (RAMIFY_STORAGE_FASTEST looks at how much there
 * is), with notes and scores of its own; `about` (borrowed) becomes the key "pruning"
 * of its config. */
ramify_status ramify_pruning_model(ramify_pruning *pruning, ramify_storage storage, json_t *about,
                                   ramify_model **model);

#endif

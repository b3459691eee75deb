#ifndef RAMIFY_PLAN_SWEEP_H
#define RAMIFY_PLAN_SWEEP_H
/* Small runs of a training: on nested parts of its rows, of smaller experts, over fewer passes, without
 * its teachers or its tree. All take the select and report rows of the training itself, and are judged
 * by the same further rows, which none of them sees. */

#include "problem.h"
#include "ramify.h"
#include "train_rows.h"

/* How much of a training is done. */
typedef enum ramify_stage {
    RAMIFY_STAGE_PLAIN = 0, /* one expert, of the table's rows */
    RAMIFY_STAGE_TAUGHT,    /* one expert, of rows that teachers answer too */
    RAMIFY_STAGE_TREE,      /* and a tree of them */
    RAMIFY_STAGE_UNTAUGHT_TREE
} ramify_stage;

#define RAMIFY_STAGES 4

/* "one expert", "one taught expert", "tree", "untaught tree"; never NULL. */
const char *ramify_stage_name(ramify_stage stage);

/* Stem and shape of an expert. */
typedef struct ramify_sweep_design {
    bool bins, periodic;
    uint32_t members, layers; /* layers 0: the training chooses all of these */
    uint32_t width;           /* of the hidden layers */
    uint32_t inputs;          /* of the first of these, as the stem makes them */
} ramify_sweep_design;

bool ramify_sweep_same_design(const ramify_sweep_design *a, const ramify_sweep_design *b);

/* The options of a training with a design, unless that chooses it. hidden: room for its widths; those that
 * options have stay, as they need not be alike. */
#define RAMIFY_HIDDEN_ROOM 128
void ramify_sweep_set_design(const ramify_sweep_design *design, char hidden[RAMIFY_HIDDEN_ROOM],
                             ramify_train_options *options);

/* What a run is of. */
typedef struct ramify_sweep_point {
    ramify_stage stage;
    uint32_t level;  /* training rows are halved so often; 0: all */
    double length;   /* passes, in those of the whole training */
    uint32_t repeat; /* runs that differ in nothing else have other seeds */
    uint64_t pruned; /* to so many resident bytes, after the training; 0: it stays dense */
    double rounds;   /* of pruning, an estimate that costs are of */
    ramify_sweep_design design;
} ramify_sweep_point;

typedef struct ramify_sweep_run {
    ramify_sweep_point point;
    /* Set when it was made. */
    bool made;
    size_t rows;     /* that train it */
    uint32_t epochs; /* of its root */
    double density;  /* share of weights that are left */
    double dense;    /* error before it was pruned; of others the error */
    double error;    /* root mean square error, in the target's units, or share of wrong classes, on
                        held rows; at level 0 on report rows */
    double deviation; /* standard error of it, by the rows that judge */
    double seconds;   /* that its thread computed */
    double latency;   /* seconds of a row alone, its weights in the caches */
    uint64_t parameters, resident_bytes, config_bytes; /* of its description as text */
    ramify_sweep_design design; /* what its root came to be; layers 0: several */
} ramify_sweep_run;

#define RAMIFY_SWEEP_LEVELS_MAX 16

typedef struct ramify_sweep {
    ramify_context *context;
    const ramify_table *table;
    const ramify_train_options *options; /* of the whole training; borrowed */
    ramify_train_rows rows;
    uint32_t levels;                            /* 0 .. levels-1 have enough rows */
    ramify_split part[RAMIFY_SWEEP_LEVELS_MAX]; /* by level; part[0] is the training's own */
    uint32_t *held;                             /* held_count: rows that judge levels 1 and up */
    size_t held_count;
    uint32_t epochs;           /* of the whole training's root */
    ramify_sweep_design usual; /* stands for those that trainings choose; layers 0: not known yet */
} ramify_sweep;

/* Divides the rows. Refuses tables with too few of them (RAMIFY_ERROR_DATA). Close with
 * ramify_sweep_close, also on failure. */
ramify_status ramify_sweep_open(ramify_context *context, const ramify_table *table,
                                const ramify_train_options *options, ramify_sweep *sweep);
void ramify_sweep_close(ramify_sweep *sweep);

/* Makes runs that are not made yet, side by side, the longest first. A run that fails ends them; on
 * RAMIFY_STOPPED those that were made stay. */
ramify_status ramify_sweep_make(ramify_sweep *sweep, ramify_sweep_run *runs, size_t count);

/* What a run costs, an estimate before it is made, in weights times training rows seen. */
double ramify_sweep_cost(const ramify_sweep *sweep, const ramify_sweep_point *point);

/* The problem of the whole training. Free with ramify_problem_destroy. */
ramify_status ramify_sweep_problem(const ramify_sweep *sweep, ramify_problem **problem);

/* The error of the best constant prediction on the held rows: of their mean, or of the most frequent class.
 * Row weights count. NaN with several targets, or when memory is short. */
double ramify_sweep_constant_error(const ramify_sweep *sweep);

/* Tries the stems that the training would, each with the first shape that fits its bound: sweep->usual becomes
 * the design with the least error. runs has room for RAMIFY_SWEEP_SEARCH_MAX of them. Fails with
 * RAMIFY_ERROR_LIMIT where none fits. */
#define RAMIFY_SWEEP_SEARCH_MAX 4
ramify_status ramify_sweep_search(ramify_sweep *sweep, uint32_t level, double length,
                                  ramify_sweep_run *runs, uint32_t *count);

#endif

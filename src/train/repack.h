#ifndef RAMIFY_TRAIN_REPACK_H
#define RAMIFY_TRAIN_REPACK_H
/* A model whose networks are to be changed by rows and stored in another way: taken apart, with the rows
 * that end at each network, the error that it makes on those held out, and drafted again. Pruning and
 * quantising share this. The stem and the tree stay as they are. */

#include "dismantle.h"
#include "packed.h"
#include "problem.h"
#include "ramify.h"
#include "schema.h"

/* Which rows of a table are held out; as in the training if nothing else is asked for. */
typedef struct ramify_repack_rows {
    const char *weight, *group, *time; /* columns, or NULL */
    double validation;                 /* share of rows; 0: the training's */
    uint64_t seed;
    bool own_seed;               /* false: the training's */
    const ramify_split *divided; /* borrowed, in the place of all of these but weight; NULL: none */
} ramify_repack_rows;

/* What a model takes, in bytes. */
typedef struct ramify_sizes {
    uint64_t file;
    uint64_t resident; /* of predicting a row */
} ramify_sizes;

/* What a model's config says of its training; zero where it is silent. */
typedef struct ramify_trained {
    uint64_t seed;
    double validation, rate, decay; /* decay below 0: not known */
    uint32_t batch;
    uint32_t epochs; /* of the root, or of the whole; with teachers over their rows too */
    bool distilled;
    bool bins, periodic; /* of its stem */
    char fingerprint[16];
} ramify_trained;

ramify_trained ramify_trained_by(const ramify_model *model);

typedef struct ramify_repack {
    ramify_context *context;
    ramify_model *model;
    ramify_match *match;
    const ramify_column *weight;
    const ramify_split *split; /* divided, or the rows' */
    ramify_split *divided;     /* owned; NULL: the caller's */
    ramify_problem *problem;
    ramify_dismantled *parts;
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    size_t floats; /* of a record */

    const ramify_problem *learned; /* whose rows are dealt: problem, or one that is larger */
    float *features; /* rows x pad(features); NULL: they are the problem's plain ones */
    size_t rows;
    uint32_t *leaf;  /* rows: index of the node that a row ends at */
    uint32_t *order; /* rows: those of every module side by side; those that train first, then the
                        validation rows */
    size_t *begin, *held; /* modules + 1: first row of each; modules: its first validation row */
} ramify_repack;

/* Takes the model apart; both are borrowed. `purpose` ends the sentence that refuses a model without
 * networks. Whatever is returned, ramify_repack_close frees what was made. */
ramify_status ramify_repack_open(ramify_context *context, ramify_model *model, const char *purpose,
                                 ramify_repack *repack);
void ramify_repack_close(ramify_repack *repack);

/* Divides the table's rows and makes the problem of them. */
ramify_status ramify_repack_read(ramify_repack *repack, const ramify_table *table,
                                 const ramify_repack_rows *rows);

/* Encodes a problem's rows (borrowed) and deals them to the networks at which they end. */
ramify_status ramify_repack_deal(ramify_repack *repack, const ramify_problem *problem);

const float *ramify_repack_features(const ramify_repack *repack);

/* Rows by which errors are told: those that end at networks. */
uint64_t ramify_repack_validation_rows(const ramify_repack *repack);

/* Records as the file will hold them; packed, or the networks' own. */
typedef struct ramify_stored {
    void **record; /* modules; owned */
    uint32_t *bytes, *numbers, *spreads;
    ramify_module_shape shape;
    ramify_storage storage;
    uint64_t all; /* bytes */
} ramify_stored;

/* Begins with none. RAMIFY_STORAGE_FASTEST looks at how much there is; float32 with
 * RAMIFY_STORAGE_DENSE are the networks' own records. Whatever is returned, ramify_stored_clear frees
 * what was made. */
ramify_status ramify_stored_begin(const ramify_repack *repack, ramify_storage storage,
                                  ramify_weights type, ramify_stored *stored);
/* Stores a module, which no other thread does at the same time. rounding: NULL for float32. */
ramify_status ramify_stored_add(const ramify_repack *repack, ramify_stored *stored, uint32_t module,
                                const float *record, const ramify_rounding *rounding);
/* After all of them. */
void ramify_stored_end(const ramify_repack *repack, ramify_stored *stored);
void ramify_stored_clear(const ramify_repack *repack, ramify_stored *stored);

/* On validation rows: root mean square error of one target, in its units, of several in standard
 * deviations; or the share of wrong classes. stored: NULL for the model's records as they are. */
ramify_status ramify_repack_error(const ramify_repack *repack, const ramify_stored *stored,
                                  double *error);

/* A number that takes as many characters as any does in a config. */
#define RAMIFY_LONGEST_NUMBER (-1.2345678901234567e-100)

/* Scores of so many rows, as long in a config as any: a new reference, or NULL. */
json_t *ramify_longest_report(const ramify_problem *problem);

ramify_sizes ramify_sizes_of(const ramify_model *model);

/* The bytes at most of the model of ramify_repack_write, which also adds to config. */
ramify_status ramify_repack_size(const ramify_repack *repack, const ramify_stored *stored,
                                 json_t *config, ramify_sizes *sizes);

/* Logs a warning if a model was left without notes that intervals are made of, as validation rows are
 * too few. */
void ramify_repack_warn(const ramify_repack *repack, const ramify_model *made);

/* That of the model itself, whose packed networks answer a little differently than unpacked ones. */
ramify_status ramify_repack_own_error(const ramify_repack *repack, double *error);

/* The model with these records, with notes and scores of its own, which are added to config. */
ramify_status ramify_repack_write(const ramify_repack *repack, const ramify_stored *stored,
                                  json_t *config, ramify_model **model);

#endif

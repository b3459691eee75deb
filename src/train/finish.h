#ifndef RAMIFY_TRAIN_FINISH_H
#define RAMIFY_TRAIN_FINISH_H
/* From a root and a grown tree to an open model. */

#include "grow.h"
#include "leaf_series.h"
#include "notes.h"
#include "root.h"

#include <jansson.h>

/* What a model is made of; everything is borrowed. */
typedef struct ramify_parts {
    const char *kind;
    const ramify_problem *problem;
    const ramify_root *root;
    const float *route; /* routes x pad(plain), or NULL */
    uint32_t routes;
    const ramify_grown *grown;        /* NULL: the root alone */
    const ramify_leaf_series *series; /* in the place of networks at some leaves; NULL: none */
    const ramify_draft_notes *notes;  /* NULL: none */
    double temperature; /* of ramify_temperature_fit: every expert's outputs are divided by it */
    bool rewound;       /* with the weights that were noted early in the training */
    json_t *config;     /* further keys of ramify.config, or NULL */
} ramify_parts;

/* The model lives in memory of its own; ramify_close frees it. */
ramify_status ramify_finish(ramify_context *context, const ramify_parts *parts,
                            ramify_model **model);

/* The same by all ranks, each of which writes the networks that it has: into the file at `path`, which is put in
 * place whole, or with keep false into one that has no name any more when the call returns. *model is
 * opened from it on every rank, and is not held in memory. */
ramify_status ramify_finish_shared(ramify_context *context, const ramify_parts *parts,
                                   const char *path, bool keep, ramify_model **model);

#endif

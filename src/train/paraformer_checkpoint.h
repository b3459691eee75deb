#ifndef RAMIFY_TRAIN_PARAFORMER_CHECKPOINT_H
#define RAMIFY_TRAIN_PARAFORMER_CHECKPOINT_H
/* The state of an unfinished fit of a Para-Former, and its file. Where a fit is in its rows and
 * random streams follows from the number of steps.
 *
 * Among ranks each has the state of its own branches, and that of embedding and head, which all have.
 * The file is the same as that of one process: rank 0 writes and reads it, and no rank ever holds
 * more than a piece of what is another's. So a fit goes on from it on any number of ranks.
 *
 * The file, little-endian:
 *
 *     8 bytes   "ramifyPF"
 *     uint32    1, the format
 *     uint32    fingerprint: CRC-32C of what the fit depends on (shape, plan, rows)
 *     uint64    floats of the weights
 *     uint32    branches
 *     uint32    1 if there is an average
 *     uint64    steps taken
 *     double    branch passes
 *     double    seconds taken
 *     double    criterion, loss, error of the best weights
 *     uint32    1 if there are best weights
 *     uint32    checks made
 *     uint64    Adam steps of the parts: branches + 1
 *     float32   weights, first moments, second moments, best weights, and the average
 *     uint32    CRC-32C of all before */

#include "paraformer_fit.h"

typedef struct ramify_paraformer_state {
    ramify_paraformer_parts parts; /* of all ranks together */
    uint32_t branches;             /* likewise */
    ramify_deal deal;              /* of the branches */
    size_t floats;                 /* of the weights that are here */
    bool averaged;
    float *weights, *first, *second, *best; /* floats */
    float *average;                         /* floats, or NULL */
    uint64_t *part_steps;                   /* branches + 1: of all parts */
    uint64_t step;
    double branch_passes, seconds;
    ramify_fit_score score; /* of the best weights */
    double criterion;
    bool taken; /* there are best weights */
    uint32_t checks;
} ramify_paraformer_state;

/* Bytes that ramify_paraformer_state_create allocates. */
uint64_t ramify_paraformer_state_bytes(const ramify_paraformer_shape *shape,
                                       const ramify_deal *deal, bool averaged);

/* And what writing and reading a checkpoint take meanwhile. */
uint64_t ramify_paraformer_checkpoint_bytes(const ramify_paraformer_shape *shape,
                                            const ramify_deal *deal);

/* Zeros. Free with ramify_paraformer_state_destroy. */
ramify_status ramify_paraformer_state_create(ramify_context *context,
                                             const ramify_paraformer_shape *shape,
                                             const ramify_deal *deal, bool averaged,
                                             ramify_paraformer_state *state);
void ramify_paraformer_state_destroy(ramify_context *context, ramify_paraformer_state *state);

/* Every rank makes the call. *written: whether the file is there, on every rank the same; if not, rank 0 has the
 * reason in its context. A status other than RAMIFY_OK is of the transfers. */
ramify_status ramify_paraformer_checkpoint_write(ramify_context *context, const char *path,
                                                 uint32_t fingerprint,
                                                 const ramify_paraformer_state *state,
                                                 bool *written);

/* Into a state of the right sizes. *found: whether the file is there; one that is there and cannot
 * be used fails, and leaves the state half read. steps: how many the fit has. */
ramify_status ramify_paraformer_checkpoint_read(ramify_context *context, const char *path,
                                                uint32_t fingerprint, uint64_t steps,
                                                ramify_paraformer_state *state, bool *found);

#endif

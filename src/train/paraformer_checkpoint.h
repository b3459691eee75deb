#ifndef RAMIFY_TRAIN_PARAFORMER_CHECKPOINT_H
#define RAMIFY_TRAIN_PARAFORMER_CHECKPOINT_H
/* The state of an unfinished fit of a Para-Former, and its file. Where a fit is in its rows and
 * random streams follows from the number of steps.
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
    size_t floats; /* of the weights */
    uint32_t branches;
    bool averaged;
    float *weights, *first, *second, *best; /* floats */
    float *average;                         /* floats, or NULL */
    uint64_t *part_steps;                   /* branches + 1 */
    uint64_t step;
    double branch_passes, seconds;
    ramify_fit_score score; /* of the best weights */
    double criterion;
    bool taken; /* there are best weights */
    uint32_t checks;
} ramify_paraformer_state;

/* Bytes that ramify_paraformer_state_create allocates. */
uint64_t ramify_paraformer_state_bytes(size_t floats, uint32_t branches, bool averaged);

/* Zeros. Free with ramify_paraformer_state_destroy. */
ramify_status ramify_paraformer_state_create(ramify_context *context, size_t floats,
                                             uint32_t branches, bool averaged,
                                             ramify_paraformer_state *state);
void ramify_paraformer_state_destroy(ramify_context *context, ramify_paraformer_state *state);

ramify_status ramify_paraformer_checkpoint_write(ramify_context *context, const char *path,
                                                 uint32_t fingerprint,
                                                 const ramify_paraformer_state *state);

/* Into a state of the right sizes. *found: whether the file is there; one that is there and cannot
 * be used fails, and leaves the state half read. steps: how many the fit has. */
ramify_status ramify_paraformer_checkpoint_read(ramify_context *context, const char *path,
                                                uint32_t fingerprint, uint64_t steps,
                                                ramify_paraformer_state *state, bool *found);

#endif

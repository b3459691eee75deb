#ifndef RAMIFY_PLAN_PRUNE_FOLDER_H
#define RAMIFY_PLAN_PRUNE_FOLDER_H
/* The folder that a pruning goes on from: every round that was made, as a model file, under the name of the
 * way that led to it, which is a checksum of the densities asked for, one after the other. A pruning that
 * asks for the same densities takes its rounds from there; one that asks for others adds its own. So what
 * comes out is what would have come out without a stop, whatever ended the one before. */

#include "prune.h"
#include "ramify.h"

typedef struct ramify_prune_folder {
    ramify_context *context;
    const char *path; /* borrowed; NULL: nothing is kept */
    uint32_t start;   /* of every way: model, rows and the options that shape a round */
} ramify_prune_folder;

/* Makes the folder, or refuses one that belongs to another pruning or holds a runs.csv of another origin. */
ramify_status ramify_prune_folder_open(ramify_context *context, const char *path,
                                       const ramify_model *model, const ramify_table *table,
                                       const ramify_prune_options *options,
                                       ramify_prune_folder *folder);

/* The way that goes on to this density. */
uint32_t ramify_prune_way(uint32_t way, double density);

/* Goes on from the round at the end of a way, if it was made before. */
ramify_status ramify_prune_folder_take(const ramify_prune_folder *folder, uint32_t way,
                                       ramify_pruning *pruning, double *seconds, bool *found);

/* Keeps the round at the end of a way. about: of it, borrowed. */
ramify_status ramify_prune_folder_keep(const ramify_prune_folder *folder, uint32_t way,
                                       ramify_pruning *pruning, double seconds, json_t *about);

/* All rounds so far, as runs that a law can be fitted to. */
ramify_status ramify_prune_folder_list(const ramify_prune_folder *folder,
                                       const ramify_prune_round *rounds, uint32_t count);

#endif

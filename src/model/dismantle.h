#ifndef RAMIFY_MODEL_DISMANTLE_H
#define RAMIFY_MODEL_DISMANTLE_H
/* A model of experts taken apart, so that another can be drafted with other modules at the same leaves. */

#include "draft.h"
#include "model.h"

typedef struct ramify_dismantled {
    ramify_context *context;
    ramify_mlp_shape shape; /* of the networks among the modules; layers 0: there are none */
    uint32_t node_count, leaf_count;
    ramify_draft_node
        *nodes;     /* children of a node side by side and after it; a leaf's module is an index
                                 into records, and from module_count on into series */
    uint32_t *leaf; /* nodes: number of the leaf */
    const float **children; /* nodes: children x pad(routes) prototypes; NULL for a leaf */
    uint32_t module_count;
    float **records; /* module_count; packed ones are unpacked */
    void **packed;   /* module_count: those of a packed model as they are in the file; else NULL */
    uint32_t series_count;
    void **series; /* series_count records */
    void **memory; /* of nodes' records */
    uint32_t memory_count;
} ramify_dismantled;

/* Reads and checks all of a model that is no Para-Former. Free with ramify_dismantled_destroy. */
ramify_status ramify_dismantle(ramify_context *context, ramify_model *model,
                               ramify_dismantled **dismantled);
void ramify_dismantled_destroy(ramify_dismantled **dismantled);

/* The index of the leaf (among nodes) at which rows of the model's routing space end: leaf[count], from
 * points[count x pad(routes)]. */
void ramify_dismantled_route(const ramify_dismantled *model, const ramify_kernels *kernels,
                             const ramify_stem *stem, const float *points, size_t count,
                             uint32_t *leaf);

/* What of a model's config training added, without what depends on its modules: a new reference, or
 * NULL when out of memory. */
json_t *ramify_dismantled_config(const ramify_model *model);

#endif

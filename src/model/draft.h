#ifndef RAMIFY_MODEL_DRAFT_H
#define RAMIFY_MODEL_DRAFT_H
/* A draft: what training hands over to be written as a model file. Everything is borrowed.
 *
 * ramify_draft_write lays it out as a safetensors file in memory (ramify_open_buffer reads it),
 * computes offsets and checksums, and orders nodes and modules depth-first. */

#include "module.h"
#include "notes.h"
#include "paraformer.h"
#include "ramify.h"
#include "schema.h"
#include "stem.h"

/* One node of the draft's tree. A leaf has no children. Nodes come in any order in which children
 * follow their parents; node 0 is the root. */
typedef struct ramify_draft_node {
    uint32_t children;    /* 0 for a leaf */
    uint32_t first_child; /* index of the first of `children` consecutive nodes */
    const float
        *prototype;  /* routes floats (stem->routes), where the parent decides; NULL for the root */
    uint32_t module; /* leaf: index into modules, and from module_count on into series */
} ramify_draft_node;

typedef struct ramify_draft {
    const char *kind; /* "pathways", "mlp", "nyquist" or "paraformer" */
    const ramify_schema *schema;
    const ramify_stem *stem;
    const double *head_center; /* targets; regression: prediction = center + scale * output */
    const double *head_scale;  /* targets */
    ramify_module_shape shape; /* of `modules`: "mlp" or "packed" */
    uint32_t module_count;
    const void *const *modules;     /* module_count records */
    const uint32_t *module_bytes;   /* of each, where they differ; NULL: all as the shape says */
    const uint32_t *module_numbers; /* likewise those learned that are not zero */
    ramify_series_shape series_shape;
    uint32_t series_count;
    const ramify_series_header *const *series; /* series_count records */
    uint32_t node_count;
    const ramify_draft_node *nodes;  /* node_count */
    const ramify_draft_notes *notes; /* NULL: none */
    /* A Para-Former in the place of shape, modules and nodes; NULL: none. */
    const ramify_paraformer_shape *paraformer;
    ramify_paraformer_weights weights;
    json_t *config; /* further keys of ramify.config: options, seed, fingerprint, scores ...;
                       borrowed */
} ramify_draft;

/* Of a draft whose networks lie with several writers: NULL in `modules` where they are not here. */
typedef struct ramify_draft_share {
    const uint32_t *crc; /* module_count: of each, as ramify_draft_module writes it */
    const bool *writes;  /* module_count: this writer writes it */
    bool writes_rest;    /* and this one everything else */
    /* Puts bytes at an offset of the file. */
    ramify_status (*put)(void *argument, uint64_t offset, const void *bytes, size_t size);
    void *argument;
} ramify_draft_share;

/* The same file by several writers, each of whom makes the same call but for its share; what is held of it
 * is all but its networks. Kinds of trees without series. *size: of the whole file. */
ramify_status ramify_draft_write_share(ramify_context *context, const ramify_draft *draft,
                                       const ramify_draft_share *share, uint64_t *size);

/* A network's record as the file has it: to[floats] from the trained one. Weights that decay towards zero end
 * as denormal numbers, which no prediction can tell from zero and for which processors take a hundred
 * times as long. */
void ramify_draft_module(float *to, const float *from, size_t floats);

/* *bytes (from ramify_allocate, so 64-byte aligned; *size of them) is the file's content; the
 * caller frees it with ramify_release. */
ramify_status ramify_draft_write(ramify_context *context, const ramify_draft *draft, void **bytes,
                                 size_t *size);

/* Opens a buffer from ramify_allocate and owns it: freed by ramify_close, or here on failure. */
ramify_status ramify_open_owned(ramify_context *context, void *bytes, size_t size,
                                ramify_model **model);

#endif

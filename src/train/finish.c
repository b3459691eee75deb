#include "finish.h"
#include "cluster.h"
#include "crc32c.h"
#include "draft.h"
#include "memory.h"
#include "model.h"
#include "save.h"
#include "status.h"

#include <string.h>

/* What a rank holds of a model that lies in a file: it need not fit in memory. */
#define HELD_BYTES   ((uint64_t)1 << 26)
#define HELD_MODULES 16

/* Numbers of leaves, depth-first as the file has them: leaf[nodes]; stack[nodes] is scratch. */
static void number_leaves(const ramify_grown *grown, uint32_t *leaf, uint32_t *stack) {
    uint32_t top = 0, next = 0;
    stack[top++] = 0;
    while (top > 0) {
        uint32_t index = stack[--top];
        const ramify_grown_node *node = &grown->nodes[index];
        if (node->children == 0)
            leaf[index] = next++;
        for (uint32_t i = node->children; i-- > 0;)
            stack[top++] = node->first_child + i;
    }
}

static bool has_series(const ramify_leaf_series *series, uint32_t leaf) {
    return series && series->fit[leaf];
}

/* Draft nodes want the children of a node side by side, which is how they were grown. */
static void copy_nodes(const ramify_grown *grown, const uint32_t *module,
                       ramify_draft_node *nodes) {
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *from = &grown->nodes[i];
        nodes[i] = (ramify_draft_node){
            .children = from->children,
            .first_child = from->first_child,
            .prototype = from->prototype,
            .module = from->children ? 0 : module[from->module],
        };
    }
}

/* Modules that some leaf without a series uses, renumbered; module[old] = new. */
static uint32_t used_modules(const ramify_grown *grown, const ramify_leaf_series *series,
                             const uint32_t *leaf, uint32_t *module, const float **records) {
    uint32_t count = 0;
    for (uint32_t m = 0; m < grown->module_count; m++)
        module[m] = UINT32_MAX;
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        if (node->children > 0 || module[node->module] != UINT32_MAX || has_series(series, leaf[i]))
            continue;
        module[node->module] = count;
        records[count++] = grown->modules[node->module];
    }
    return count;
}

/* The records with outputs divided by the temperature, in one block; records[] is set to them. */
static ramify_status cool(ramify_context *context, const ramify_mlp_shape *shape,
                          double temperature, uint32_t count, const float **records,
                          float **block) {
    size_t floats = ramify_mlp_record_bytes(shape) / sizeof(float), all;
    if (!ramify_size_multiply(floats, count, &all))
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "%u experts cannot be addressed", count);
    *block = ramify_allocate(context, all, sizeof **block);
    if (!*block)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        float *copy = *block + i * floats;
        if (!records[i])
            continue;
        memcpy(copy, records[i], floats * sizeof *copy);
        ramify_mlp_scale_outputs(shape, (float)(1 / temperature), copy);
        records[i] = copy;
    }
    return RAMIFY_OK;
}

/* The leaves' series, and nodes that lead to them. */
static void list_series(const ramify_leaf_series *series, const uint32_t *leaf, uint32_t nodes,
                        uint32_t modules, ramify_draft_node *node,
                        const ramify_series_header **record, ramify_series_shape *shape,
                        uint32_t *count) {
    for (uint32_t i = 0; i < nodes; i++) {
        if (node[i].children > 0 || !has_series(series, leaf[i]))
            continue;
        const ramify_series_fit *fit = series->fit[leaf[i]];
        uint32_t numbers = fit->record->terms * shape->outputs;
        node[i].module = modules + *count;
        record[(*count)++] = fit->record;
        if (fit->record_bytes > shape->most_bytes)
            shape->most_bytes = (uint32_t)fit->record_bytes;
        if (fit->functions > shape->most_functions)
            shape->most_functions = fit->functions;
        if (numbers > shape->most_numbers)
            shape->most_numbers = numbers;
    }
}

/* A draft and the memory that it borrows. */
typedef struct prepared {
    ramify_draft draft;
    ramify_stem stem;
    ramify_draft_node *node;
    uint32_t *module;      /* of the grown tree: its number in the draft, or UINT32_MAX */
    const float **records; /* of the draft */
    uint32_t *leaf;
    const ramify_series_header **series;
    float *cooled;
} prepared;

static void prepared_clear(ramify_context *context, prepared *p) {
    ramify_release(context, p->node);
    ramify_release(context, p->module);
    ramify_release(context, p->records);
    ramify_release(context, p->leaf);
    ramify_release(context, (void *)p->series);
    ramify_release(context, p->cooled);
}

static ramify_status prepare(ramify_context *context, const ramify_parts *parts, prepared *p) {
    static const ramify_draft_node lone = {0};
    const ramify_problem *problem = parts->problem;
    const ramify_grown *grown = parts->grown;
    const uint32_t nodes = grown ? grown->node_count : 1;
    const uint32_t modules = grown ? grown->module_count : 1;
    *p = (prepared){.stem = parts->root->encoder->stem};
    p->stem.route = parts->route;
    p->stem.routes = parts->route ? parts->routes : p->stem.plain;
    if (!grown || grown->node_count == 1) {
        p->stem.route = NULL;
        p->stem.routes = p->stem.plain;
    }
    p->node = ramify_allocate_zeroed(context, nodes, sizeof *p->node);
    p->module = ramify_allocate(context, modules, sizeof *p->module);
    p->records = ramify_allocate(context, modules, sizeof *p->records);
    p->leaf = ramify_allocate_zeroed(context, (size_t)2 * nodes, sizeof *p->leaf);
    p->series = ramify_allocate(context, nodes, sizeof(const ramify_series_header *));
    if (!p->node || !p->module || !p->records || !p->leaf || !p->series)
        return RAMIFY_ERROR_MEMORY;
    ramify_series_shape series_shape = {.columns = p->stem.columns, .outputs = problem->targets};
    uint32_t series_count = 0, used = 1;
    if (grown) {
        number_leaves(grown, p->leaf, p->leaf + nodes);
        used = used_modules(grown, parts->series, p->leaf, p->module, p->records);
        copy_nodes(grown, p->module, p->node);
    } else {
        p->node[0] = lone;
        p->module[0] = 0;
        p->records[0] = parts->root->record;
        used = !has_series(parts->series, 0);
    }
    list_series(parts->series, p->leaf, nodes, used, p->node, p->series, &series_shape,
                &series_count);
    if (parts->rewound)
        for (uint32_t m = 0; m < used; m++)
            if (p->records[m])
                p->records[m] += ramify_mlp_record_bytes(&parts->root->shape) / sizeof(float);
    if (parts->temperature != 1)
        RAMIFY_TRY(
            cool(context, &parts->root->shape, parts->temperature, used, p->records, &p->cooled));
    p->draft = (ramify_draft){
        .kind = parts->kind,
        .schema = problem->schema,
        .stem = &p->stem,
        .head_center = problem->head_center,
        .head_scale = problem->head_scale,
        .shape = {.type = ramify_module_type_find("mlp"), .mlp = parts->root->shape},
        .module_count = used,
        .modules = (const void *const *)p->records,
        .series_shape = series_shape,
        .series_count = series_count,
        .series = p->series,
        .node_count = nodes,
        .nodes = p->node,
        .notes = parts->notes,
        .config = parts->config,
    };
    return RAMIFY_OK;
}

ramify_status ramify_finish(ramify_context *context, const ramify_parts *parts,
                            ramify_model **model) {
    prepared p;
    void *bytes = NULL;
    size_t size;
    ramify_status status = prepare(context, parts, &p);
    if (status == RAMIFY_OK)
        status = ramify_draft_write(context, &p.draft, &bytes, &size);
    if (status == RAMIFY_OK)
        status = ramify_open_owned(context, bytes, size, model);
    prepared_clear(context, &p);
    return status;
}

/* ---- by all ranks ---- */

static ramify_status put(void *argument, uint64_t offset, const void *bytes, size_t size) {
    return ramify_cluster_file_write(argument, offset, bytes, size);
}

/* Who writes which network, and the checksums of all: writes[used], crc[used]. A network that only one rank has
 * is written there; those that all have are dealt in turn. */
static ramify_status share_modules(ramify_context *context, const ramify_parts *parts,
                                   const prepared *p, bool *writes, uint32_t *crc) {
    const uint32_t used = p->draft.module_count, ranks = ramify_cluster_size(context);
    const size_t floats = ramify_mlp_record_bytes(&parts->root->shape) / sizeof(float);
    uint64_t *sums = ramify_allocate_zeroed(context, used, sizeof *sums);
    float *record = ramify_allocate(context, floats, sizeof *record);
    if (!sums || !record) {
        ramify_release(context, sums);
        ramify_release(context, record);
        return RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t m = 0; m < used; m++)
        writes[m] = m % ranks == ramify_cluster_rank(context);
    for (uint32_t m = 0; parts->grown && parts->grown->owner && m < parts->grown->module_count; m++)
        if (p->module[m] != UINT32_MAX && parts->grown->owner[m] != UINT32_MAX)
            writes[p->module[m]] = parts->grown->owner[m] == ramify_cluster_rank(context);
    for (uint32_t m = 0; m < used; m++) {
        if (!writes[m])
            continue;
        ramify_draft_module(record, p->records[m], floats);
        sums[m] = ramify_crc32c(0, record, floats * sizeof *record);
    }
    ramify_status status = ramify_cluster_sum(context, sums, used);
    for (uint32_t m = 0; m < used; m++)
        crc[m] = (uint32_t)sums[m];
    ramify_release(context, sums);
    ramify_release(context, record);
    return status;
}

/* The temporary file of rank 0, whose name all learn: *path is freed with ramify_release. */
static ramify_status begin_file(ramify_context *context, const char *wanted,
                                ramify_replacement *replacement, char **path) {
    const bool first = ramify_cluster_rank(context) == 0;
    *path = NULL;
    ramify_cluster_phase(context, "writing the model");
    if (first)
        RAMIFY_TRY(ramify_replacement_begin(context, wanted, replacement));
    uint64_t length = first ? strlen(replacement->temporary) + 1 : 0;
    RAMIFY_TRY(ramify_cluster_broadcast(context, &length, sizeof length, 0));
    *path = ramify_allocate(context, (size_t)length, 1);
    if (!*path)
        return RAMIFY_ERROR_MEMORY;
    if (first)
        memcpy(*path, replacement->temporary, (size_t)length);
    return ramify_cluster_broadcast(context, *path, (size_t)length, 0);
}

static ramify_status write_shares(ramify_context *context, const ramify_parts *parts,
                                  const prepared *p, const char *path, const char *name) {
    ramify_cluster_file *file = NULL;
    bool *writes = ramify_allocate(context, p->draft.module_count, sizeof *writes);
    uint32_t *crc = ramify_allocate(context, p->draft.module_count, sizeof *crc);
    uint64_t size;
    ramify_status status =
        writes && crc ? share_modules(context, parts, p, writes, crc) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_cluster_file_open(context, path, name, &file);
    if (status == RAMIFY_OK) {
        const ramify_draft_share share = {.crc = crc,
                                          .writes = writes,
                                          .writes_rest = ramify_cluster_rank(context) == 0,
                                          .put = put,
                                          .argument = file};
        status = ramify_draft_write_share(context, &p->draft, &share, &size);
    }
    ramify_status closed = ramify_cluster_file_close(&file);
    status = status == RAMIFY_OK ? closed : status;
    ramify_release(context, writes);
    ramify_release(context, crc);
    return status == RAMIFY_OK ? ramify_cluster_meet(context) : status;
}

ramify_status ramify_finish_shared(ramify_context *context, const ramify_parts *parts,
                                   const char *path, bool keep, ramify_model **model) {
    prepared p;
    ramify_replacement replacement = {.descriptor = -1};
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.resident_bytes =
        HELD_BYTES + HELD_MODULES * (uint64_t)ramify_mlp_record_bytes(&parts->root->shape);
    char *temporary = NULL;
    ramify_status status = prepare(context, parts, &p);
    if (status == RAMIFY_OK)
        status = begin_file(context, path, &replacement, &temporary);
    if (status == RAMIFY_OK)
        status = write_shares(context, parts, &p, temporary, path);
    prepared_clear(context, &p);
    const bool first = ramify_cluster_rank(context) == 0;
    if (status == RAMIFY_OK && keep && first)
        status = ramify_replacement_commit(context, &replacement);
    if (status == RAMIFY_OK && keep)
        status = ramify_cluster_meet(context);
    if (status == RAMIFY_OK)
        status = ramify_open_inside(context, keep ? path : temporary, &options, model);
    /* Once all have it open, its name may go. */
    if (status == RAMIFY_OK && !keep)
        status = ramify_cluster_meet(context);
    if (first && replacement.temporary)
        ramify_replacement_abandon(context, &replacement);
    ramify_release(context, temporary);
    return status;
}

#include "finish.h"
#include "draft.h"
#include "memory.h"
#include "status.h"

#include <string.h>

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

ramify_status ramify_finish(ramify_context *context, const ramify_parts *parts,
                            ramify_model **model) {
    static const ramify_draft_node lone = {0};
    const ramify_problem *problem = parts->problem;
    const ramify_grown *grown = parts->grown;
    uint32_t nodes = grown ? grown->node_count : 1;
    uint32_t modules = grown ? grown->module_count : 1;
    ramify_stem stem = parts->root->encoder->stem;
    stem.route = parts->route;
    stem.routes = parts->route ? parts->routes : stem.plain;
    if (!grown || grown->node_count == 1) {
        stem.route = NULL;
        stem.routes = stem.plain;
    }
    ramify_draft_node *node = ramify_allocate_zeroed(context, nodes, sizeof *node);
    uint32_t *module = ramify_allocate(context, modules, sizeof *module);
    const float **records = ramify_allocate(context, modules, sizeof *records);
    uint32_t *leaf = ramify_allocate_zeroed(context, (size_t)2 * nodes, sizeof *leaf);
    const ramify_series_header **series =
        ramify_allocate(context, nodes, sizeof(const ramify_series_header *));
    ramify_series_shape series_shape = {.columns = stem.columns, .outputs = problem->targets};
    uint32_t series_count = 0;
    float *cooled = NULL;
    void *bytes = NULL;
    size_t size;
    uint32_t used = 1;
    ramify_status status =
        node && module && records && leaf && series ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        if (grown) {
            number_leaves(grown, leaf, leaf + nodes);
            used = used_modules(grown, parts->series, leaf, module, records);
            copy_nodes(grown, module, node);
        } else {
            node[0] = lone;
            records[0] = parts->root->record;
            used = !has_series(parts->series, 0);
        }
        list_series(parts->series, leaf, nodes, used, node, series, &series_shape, &series_count);
        if (parts->rewound)
            for (uint32_t m = 0; m < used; m++)
                records[m] += ramify_mlp_record_bytes(&parts->root->shape) / sizeof(float);
        if (parts->temperature != 1)
            status = cool(context, &parts->root->shape, parts->temperature, used, records, &cooled);
    }
    if (status == RAMIFY_OK) {
        ramify_draft draft = {
            .kind = parts->kind,
            .schema = problem->schema,
            .stem = &stem,
            .head_center = problem->head_center,
            .head_scale = problem->head_scale,
            .shape = {.type = ramify_module_type_find("mlp"), .mlp = parts->root->shape},
            .module_count = used,
            .modules = (const void *const *)records,
            .series_shape = series_shape,
            .series_count = series_count,
            .series = series,
            .node_count = nodes,
            .nodes = node,
            .notes = parts->notes,
            .config = parts->config,
        };
        status = ramify_draft_write(context, &draft, &bytes, &size);
    }
    if (status == RAMIFY_OK)
        status = ramify_open_owned(context, bytes, size, model);
    ramify_release(context, node);
    ramify_release(context, module);
    ramify_release(context, records);
    ramify_release(context, leaf);
    ramify_release(context, (void *)series);
    ramify_release(context, cooled);
    return status;
}

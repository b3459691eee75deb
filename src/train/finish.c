#include "finish.h"
#include "draft.h"
#include "memory.h"
#include "status.h"

#include <string.h>

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

/* Modules that some leaf uses, renumbered; module[old] = new. */
static uint32_t used_modules(const ramify_grown *grown, uint32_t *module, const float **records) {
    uint32_t count = 0;
    for (uint32_t m = 0; m < grown->module_count; m++)
        module[m] = UINT32_MAX;
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        if (node->children > 0 || module[node->module] != UINT32_MAX)
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
    float *cooled = NULL;
    void *bytes = NULL;
    size_t size;
    uint32_t used = 1;
    ramify_status status = node && module && records ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        if (grown) {
            used = used_modules(grown, module, records);
            copy_nodes(grown, module, node);
        } else {
            node[0] = lone;
            records[0] = parts->root->record;
        }
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
            .modules = records,
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
    ramify_release(context, cooled);
    return status;
}

#include "finish.h"
#include "draft.h"
#include "memory.h"

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
    void *bytes = NULL;
    size_t size;
    ramify_status status = node && module && records ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        uint32_t used = 1;
        if (grown) {
            used = used_modules(grown, module, records);
            copy_nodes(grown, module, node);
        } else {
            node[0] = lone;
            records[0] = parts->root->record;
        }
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
            .config = parts->config,
        };
        status = ramify_draft_write(context, &draft, &bytes, &size);
    }
    if (status == RAMIFY_OK)
        status = ramify_open_owned(context, bytes, size, model);
    ramify_release(context, node);
    ramify_release(context, module);
    ramify_release(context, records);
    return status;
}

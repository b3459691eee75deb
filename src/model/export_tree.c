/* The walk over a model's tree that exporting begins with. See export_tree.h. */

#include "export_tree.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <jansson.h>
#include <string.h>

/* A child that is a module, until the number of nodes is known. */
#define MODULE_BIT 0x80000000U

/* Takes room for what the walk finds. A node takes at least 192 of the file's bytes and each of its
 * children at least 96, so this is never much more than the bytes there are. */
static ramify_status make_room(ramify_context *context, const ramify_model *model,
                               uint64_t children, ramify_export_tree *tree) {
    const ramify_tree_limits *limits = &model->limits;
    tree->node = ramify_allocate(context, (size_t)limits->nodes, sizeof *tree->node);
    tree->depth = ramify_allocate(context, (size_t)limits->nodes, sizeof *tree->depth);
    tree->first = ramify_allocate(context, (size_t)limits->nodes + 1, sizeof *tree->first);
    tree->child = ramify_allocate(context, (size_t)children, sizeof *tree->child);
    tree->module = ramify_allocate(context, (size_t)limits->modules, sizeof *tree->module);
    tree->module_number =
        ramify_allocate(context, (size_t)limits->modules, sizeof *tree->module_number);
    if (!tree->node || !tree->depth || !tree->first || !tree->child || !tree->module ||
        !tree->module_number)
        return RAMIFY_ERROR_MEMORY;
    memset(tree->module_number, 0xFF, (size_t)limits->modules * sizeof *tree->module_number);
    return RAMIFY_OK;
}

/* The number of a module that a leaf refers to; the same for all leaves that share it. */
static uint32_t number_of(ramify_export_tree *tree, const ramify_reference *reference) {
    uint32_t *number = &tree->module_number[reference->id];
    if (*number == UINT32_MAX) {
        *number = tree->modules;
        tree->module[tree->modules++] = *reference;
    }
    return *number;
}

/* Gives the children of a node their numbers. A file in which a node has several parents could make
 * more of them than it has room for. */
static ramify_status number_children(ramify_context *context, const ramify_model *model,
                                     const void *record, uint32_t depth, uint64_t room,
                                     ramify_export_tree *tree) {
    const ramify_node_header *header = record;
    const ramify_reference *references = ramify_node_references(record);
    for (uint32_t i = 0; i < header->children; i++) {
        bool inner = references[i].kind == RAMIFY_REFERENCE_NODE;
        if (tree->children == room || (inner && tree->nodes == model->limits.nodes))
            return ramify_damaged(context, &model->source,
                                  "tensor \"tree.nodes\": more ways down than nodes, some have "
                                  "several parents");
        if (inner) {
            tree->depth[tree->nodes] = depth + 1;
            tree->node[tree->nodes] = references[i];
            tree->child[tree->children++] = tree->nodes++;
        } else {
            tree->child[tree->children++] = MODULE_BIT | number_of(tree, &references[i]);
        }
    }
    return RAMIFY_OK;
}

static ramify_status walk_node(ramify_context *context, ramify_model *model,
                               ramify_traffic *traffic, uint32_t index, uint64_t room,
                               ramify_export_tree *tree) {
    const ramify_reference reference = tree->node[index];
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(context, model, &model->nodes, &reference, false, traffic,
                                    &record, &slot));
    uint32_t depth = tree->depth[index];
    ramify_status status =
        ramify_node_check_place(context, &model->source, &reference, record, depth);
    tree->first[index] = tree->children;
    if (status == RAMIFY_OK)
        status = number_children(context, model, record, depth, room, tree);
    ramify_store_release(model, &model->nodes, slot);
    return status;
}

ramify_status ramify_export_tree_walk(ramify_context *context, ramify_model *model,
                                      ramify_traffic *traffic, ramify_export_tree *tree) {
    const ramify_tree_limits *limits = &model->limits;
    uint64_t child_bytes =
        sizeof(ramify_reference) + (uint64_t)ramify_pad(limits->dims) * sizeof(float);
    uint64_t room = limits->node_bytes / child_bytes;
    RAMIFY_TRY(make_room(context, model, room, tree));
    if (model->root.kind == RAMIFY_REFERENCE_MODULE) {
        number_of(tree, &model->root);
        return RAMIFY_OK;
    }
    tree->node[0] = model->root;
    tree->depth[0] = 0;
    tree->nodes = 1;
    for (uint32_t i = 0; i < tree->nodes; i++) {
        if (ramify_cancelled(context))
            return RAMIFY_STOPPED;
        RAMIFY_TRY(walk_node(context, model, traffic, i, room, tree));
    }
    tree->first[tree->nodes] = tree->children;
    for (uint32_t i = 0; i < tree->children; i++)
        if (tree->child[i] & MODULE_BIT)
            tree->child[i] = tree->nodes + (tree->child[i] & ~MODULE_BIT);
    return RAMIFY_OK;
}

void ramify_export_tree_release(ramify_context *context, ramify_export_tree *tree) {
    void *parts[] = {tree->node,  tree->depth,  tree->first,
                     tree->child, tree->module, tree->module_number};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ramify_release(context, parts[i]);
    *tree = (ramify_export_tree){0};
}

ramify_status ramify_export_tree_node(ramify_context *context, ramify_model *model,
                                      ramify_traffic *traffic, const ramify_export_tree *tree,
                                      uint32_t index, const void **record, uint32_t *slot) {
    RAMIFY_TRY(ramify_store_acquire(context, model, &model->nodes, &tree->node[index], false,
                                    traffic, record, slot));
    const ramify_node_header header = *(const ramify_node_header *)*record;
    uint32_t children = tree->first[index + 1] - tree->first[index];
    if (header.children == children)
        return RAMIFY_OK;
    ramify_store_release(model, &model->nodes, *slot); /* a file that changes while it is read */
    return ramify_damaged(context, &model->source,
                          "tensor \"tree.nodes\", node %u: %u children, expected %u", header.id,
                          header.children, children);
}

static bool is_quantized(const ramify_model *model) {
    json_t *config = json_loads(model->config, 0, NULL);
    const bool quantized = json_object_get(config, "quantized") != NULL;
    json_decref(config);
    return quantized;
}

ramify_status ramify_export_check(ramify_context *context, const ramify_model *model,
                                  const char *form, uint64_t bytes, uint64_t most,
                                  const char *limit) {
    const ramify_module_type *mlp = ramify_module_type_find("mlp");
    if (ramify_model_is_packed(model))
        return ramify_fail(
            context, RAMIFY_ERROR_UNSUPPORTED, "%s: packed modules cannot be exported as %s: %s",
            model->source.name, form,
            is_quantized(model) ? "export the model that this one was quantised from, which has "
                                  "float32 weights (if it was pruned, with --store dense)"
                                : "prune the model with --store dense, which keeps the zeros");
    if (model->shape.type != mlp || ramify_model_series(model))
        return ramify_fail(
            context, RAMIFY_ERROR_UNSUPPORTED,
            "%s: modules of type %s cannot be exported as %s, only mlp", model->source.name,
            model->shape.type != mlp ? model->shape.type->name : "bandlimited", form);
    if (bytes > most)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: %llu bytes of numbers are too many for %s: at most %llu can be "
                           "exported; train a smaller model, or open this one with libramify-run",
                           model->source.name, (unsigned long long)bytes, limit,
                           (unsigned long long)most);
    return RAMIFY_OK;
}

/* ramify_model_check: reads everything, in the order of the file.
 *
 * Nodes and modules lie depth-first, so a depth-first walk must meet them in exactly the order of
 * their numbers and bytes. That makes "each once, nothing unused" a comparison with a counter. The
 * way back up is kept as offsets; a node's references are read again when the walk returns to it,
 * so memory is one record and a checksum per module. */

#include "memory.h"
#include "model.h"
#include "progress.h"

#include <string.h>

typedef struct level {
    uint64_t offset; /* of the node's record in tree.nodes */
    uint32_t children, next;
} level;

typedef struct walk {
    ramify_context *context;
    ramify_model *model;
    level levels[RAMIFY_TREE_DEPTH_MAX];
    uint32_t depth;                                                /* levels in use */
    uint64_t nodes, leaves;                                        /* met so far */
    uint64_t modules[RAMIFY_GROUPS_MAX], bytes[RAMIFY_GROUPS_MAX]; /* of each group, likewise */
    uint64_t node_bytes;
    uint32_t deepest, widest;
    unsigned char *record; /* room for the largest node or module */
    uint32_t *crcs;        /* limits.modules: of the modules met so far */
} walk;

static ramify_status visit_leaf(walk *w, const ramify_reference *reference) {
    ramify_context *context = w->context;
    ramify_model *model = w->model;
    const ramify_source *source = &model->source;
    if (reference->leaf != w->leaves)
        return ramify_damaged(context, source, "leaf %llu is numbered %u",
                              (unsigned long long)w->leaves, reference->leaf);
    w->leaves++;
    const ramify_module_group *group = &model->limits.group[reference->group];
    uint64_t next = group->first + w->modules[reference->group];
    if (reference->id < next) {
        if (reference->crc != w->crcs[reference->id])
            return ramify_damaged(
                context, source, "leaf %u: module %u has checksum %08x, expected %08x by this leaf",
                reference->leaf, reference->id, w->crcs[reference->id], reference->crc);
        return RAMIFY_OK;
    }
    if (reference->id != next)
        return ramify_damaged(context, source,
                              "leaf %u: refers to module %u, expected at most %llu, the first that "
                              "no leaf before it uses",
                              reference->leaf, reference->id, (unsigned long long)next);
    if (reference->offset != group->begin + w->bytes[reference->group])
        return ramify_damaged(context, source,
                              "leaf %u: module %u lies at %llu, expected %llu (modules lie side by "
                              "side)",
                              reference->leaf, reference->id, (unsigned long long)reference->offset,
                              (unsigned long long)(group->begin + w->bytes[reference->group]));
    RAMIFY_TRY(ramify_source_read(context, source, model->experts.begin + reference->offset,
                                  reference->length, w->record));
    RAMIFY_TRY(ramify_module_check(context, model, reference, w->record));
    w->crcs[reference->id] = reference->crc;
    w->modules[reference->group]++;
    w->bytes[reference->group] += reference->length;
    return RAMIFY_OK;
}

static ramify_status visit_node(walk *w, const ramify_reference *reference) {
    ramify_context *context = w->context;
    ramify_model *model = w->model;
    const ramify_source *source = &model->source;
    if (reference->id != w->nodes || reference->offset != w->node_bytes)
        return ramify_damaged(
            context, source,
            "tensor \"tree.nodes\": node %u at offset %llu, expected node %llu at "
            "%llu (nodes lie depth-first, each once)",
            reference->id, (unsigned long long)reference->offset, (unsigned long long)w->nodes,
            (unsigned long long)w->node_bytes);
    RAMIFY_TRY(ramify_source_read(context, source, model->nodes.begin + reference->offset,
                                  reference->length, w->record));
    RAMIFY_TRY(ramify_node_check(context, source, &model->limits, reference, w->record));
    const ramify_node_header *header = (const ramify_node_header *)w->record;
    RAMIFY_TRY(ramify_node_check_place(context, source, reference, header, w->depth));
    w->levels[w->depth++] = (level){.offset = reference->offset, .children = header->children};
    w->nodes++;
    w->node_bytes += reference->length;
    w->deepest = w->depth > w->deepest ? w->depth : w->deepest;
    w->widest = header->children > w->widest ? header->children : w->widest;
    return RAMIFY_OK;
}

static ramify_status visit(walk *w, const ramify_reference *reference) {
    return reference->kind == RAMIFY_REFERENCE_NODE ? visit_node(w, reference)
                                                    : visit_leaf(w, reference);
}

/* Checked again: the file may have changed since its node was. */
static ramify_status next_reference(walk *w, ramify_reference *reference) {
    level *at = &w->levels[w->depth - 1];
    uint64_t offset =
        at->offset + sizeof(ramify_node_header) + (uint64_t)at->next++ * sizeof(ramify_reference);
    RAMIFY_TRY(ramify_source_read(w->context, &w->model->source, w->model->nodes.begin + offset,
                                  sizeof *reference, reference));
    return ramify_child_check(w->context, &w->model->source, &w->model->limits, reference);
}

static ramify_status walk_tree(walk *w) {
    ramify_reference reference = w->model->root;
    RAMIFY_TRY(visit(w, &reference));
    while (w->depth > 0) {
        if (ramify_cancelled(w->context))
            return RAMIFY_STOPPED;
        if (w->levels[w->depth - 1].next == w->levels[w->depth - 1].children) {
            w->depth--;
            continue;
        }
        RAMIFY_TRY(next_reference(w, &reference));
        RAMIFY_TRY(visit(w, &reference));
    }
    return RAMIFY_OK;
}

static ramify_status compare(walk *w, const char *what, uint64_t found, uint64_t expected) {
    if (found == expected)
        return RAMIFY_OK;
    return ramify_damaged(w->context, &w->model->source,
                          "%s: the tree has %llu, the config says %llu", what,
                          (unsigned long long)found, (unsigned long long)expected);
}

/* Branches have no tree above them. */
static ramify_status check_branches(walk *w) {
    const ramify_model *model = w->model;
    for (uint32_t i = 0; i < model->paraformer.branches; i++) {
        const ramify_reference *at = &model->branch[i];
        if (ramify_cancelled(w->context))
            return RAMIFY_STOPPED;
        RAMIFY_TRY(ramify_source_read(w->context, &model->source, model->experts.begin + at->offset,
                                      at->length, w->record));
        RAMIFY_TRY(ramify_module_check(w->context, model, at, w->record));
    }
    return ramify_notes_check(w->context, model);
}

static ramify_status check_all(walk *w) {
    const ramify_model *model = w->model;
    const ramify_tree_limits *limits = &model->limits;
    uint64_t most = model->nodes.slot_bytes > model->experts.slot_bytes ? model->nodes.slot_bytes
                                                                        : model->experts.slot_bytes;
    w->record = ramify_allocate(w->context, (size_t)most, 1);
    w->crcs = ramify_allocate(w->context, (size_t)limits->modules, sizeof *w->crcs);
    if (!w->record || !w->crcs)
        return RAMIFY_ERROR_MEMORY;
    if (ramify_model_paraformer(model))
        return check_branches(w);
    RAMIFY_TRY(walk_tree(w));
    RAMIFY_TRY(compare(w, "nodes", w->nodes, limits->nodes));
    RAMIFY_TRY(compare(w, "bytes of nodes", w->node_bytes, limits->node_bytes));
    RAMIFY_TRY(compare(w, "leaves", w->leaves, limits->leaves));
    for (uint32_t g = 0; g < limits->groups; g++) {
        RAMIFY_TRY(compare(w, "modules", w->modules[g], limits->group[g].count));
        RAMIFY_TRY(compare(w, "bytes of modules", w->bytes[g], limits->group[g].bytes));
    }
    RAMIFY_TRY(compare(w, "depth", w->deepest, limits->depth));
    RAMIFY_TRY(compare(w, "arity", w->widest, limits->arity));
    return ramify_notes_check(w->context, model);
}

ramify_status ramify_model_check(ramify_context *context, ramify_model *model) {
    ramify_clear(context);
    if (!model)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "ramify_model_check: model is NULL");
    walk *w = ramify_allocate_zeroed(context, 1, sizeof *w);
    if (!w)
        return RAMIFY_ERROR_MEMORY;
    w->context = context;
    w->model = model;
    ramify_status status = check_all(w);
    ramify_release(context, w->record);
    ramify_release(context, w->crcs);
    ramify_release(context, w);
    return status;
}

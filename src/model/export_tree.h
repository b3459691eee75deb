#ifndef RAMIFY_MODEL_EXPORT_TREE_H
#define RAMIFY_MODEL_EXPORT_TREE_H
/* The tree of a model on its way to another form: walked once, breadth first, which numbers its
 * nodes so that the children of one lie side by side, and its modules in the order in which leaves
 * meet them. Nodes are read through the model's store, one at a time. */

#include "model.h"

typedef struct ramify_export_tree {
    ramify_reference *node;   /* nodes inner nodes, breadth first */
    uint32_t *depth;          /* nodes: the root's is 0 */
    uint32_t *first;          /* nodes + 1: first child of each in `child` */
    uint32_t *child;          /* children: a node, or nodes + module */
    ramify_reference *module; /* modules in the order of the leaves */
    uint32_t *module_number;  /* by the file's number; UINT32_MAX: not met */
    uint32_t nodes, children, modules;
} ramify_export_tree;

/* Refuses modules other than mlp and a model of more than `most` bytes in the form that it is written
 * in. form: "C"; limit: why there is a limit, for the message. */
ramify_status ramify_export_check(ramify_context *context, const ramify_model *model,
                                  const char *form, uint64_t bytes, uint64_t most,
                                  const char *limit);

/* Fills *tree, which must be all zero. Release it after success and after failure. */
ramify_status ramify_export_tree_walk(ramify_context *context, ramify_model *model,
                                      ramify_traffic *traffic, ramify_export_tree *tree);

void ramify_export_tree_release(ramify_context *context, ramify_export_tree *tree);

/* Reads node `index` again, with the number of children that the walk saw. End with
 * ramify_store_release(model, &model->nodes, *slot). */
ramify_status ramify_export_tree_node(ramify_context *context, ramify_model *model,
                                      ramify_traffic *traffic, const ramify_export_tree *tree,
                                      uint32_t index, const void **record, uint32_t *slot);

#endif

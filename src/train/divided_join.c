/* Owners tell of their subtrees in blocks of bytes that follow one another; all ranks then join them to the
 * top in the order of subtrees, whoever grew them. */

#include "cluster.h"
#include "divided_work.h"
#include "memory.h"
#include "status.h"

#include <string.h>

/* What owners tell of a subtree; then its nodes, the prototypes of all but the first, and the records. */
typedef struct subtree_head {
    uint32_t subtree, nodes, modules, leaves, tested, accepted;
    double row_visits;
    uint64_t better;
} subtree_head;

typedef struct subtree_node {
    uint64_t key, train, select, report;
    uint32_t parent, children, first_child, depth, module, unused;
} subtree_node;

/* Records of a subtree's own: without that of its root where that is its parent's. */
static uint32_t first_module(const subtree_head *head) {
    return head->better ? 0 : 1;
}

/* Whether every rank keeps the experts of its own subtrees to itself. */
static bool keeps_apart(const ramify_divided_growth *g) {
    return g->plan->keep_apart && ramify_cluster_size(g->context) > 1;
}

static size_t told_bytes(const ramify_divided_growth *g, const subtree_head *head) {
    const size_t records = keeps_apart(g) ? 0 : (size_t)head->modules - first_module(head);
    return sizeof *head + head->nodes * sizeof(subtree_node) +
           ((size_t)head->nodes - 1) * g->routes_stride * sizeof(float) +
           records * g->floats * sizeof(float);
}

static subtree_head head_of(const ramify_subtrees *s, uint32_t index) {
    const ramify_subtree *of = &s->list[index];
    return (subtree_head){.subtree = index,
                          .nodes = of->grown->node_count,
                          .modules = of->grown->module_count,
                          .leaves = of->grown->leaf_count,
                          .tested = of->grown->tested,
                          .accepted = of->grown->accepted,
                          .row_visits = of->grown->row_visits + of->row_visits,
                          .better = of->better};
}

static char *put(char *to, const void *bytes, size_t size) {
    memcpy(to, bytes, size);
    return to + size;
}

static char *tell(const ramify_subtrees *s, uint32_t index, char *to) {
    const ramify_divided_growth *g = s->growth;
    const ramify_grown *grown = s->list[index].grown;
    const subtree_head head = head_of(s, index);
    to = put(to, &head, sizeof head);
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *from = &grown->nodes[i];
        const subtree_node node = {.key = from->key,
                                   .train = from->train_count,
                                   .select = from->select_count,
                                   .report = from->report_count,
                                   .parent = from->parent,
                                   .children = from->children,
                                   .first_child = from->first_child,
                                   .depth = from->depth,
                                   .module = from->module};
        to = put(to, &node, sizeof node);
    }
    for (uint32_t i = 1; i < grown->node_count; i++)
        to = put(to, grown->nodes[i].prototype, g->routes_stride * sizeof(float));
    for (uint32_t i = first_module(&head); i < grown->module_count && !keeps_apart(g); i++)
        to = put(to, grown->modules[i], g->floats * sizeof(float));
    return to;
}

/* Joins record `index` of a subtree: what its owner has told, or only has, in which case others note who. */
static ramify_status join_record(const ramify_subtrees *s, ramify_subtree *of, uint32_t index,
                                 const char **told) {
    const ramify_divided_growth *g = s->growth;
    ramify_grown *top = g->top;
    float *record = NULL;
    if (!keeps_apart(g)) {
        record = ramify_allocate(g->context, g->floats, sizeof *record);
        if (!record)
            return RAMIFY_ERROR_MEMORY;
        memcpy(record, *told, g->floats * sizeof *record);
        *told += g->floats * sizeof *record;
    } else if (of->owner == s->rank) {
        record = of->grown->modules[index];
        of->grown->modules[index] = NULL;
    }
    RAMIFY_TRY(ramify_grown_add_module(g->context, top, record));
    if (keeps_apart(g)) {
        uint32_t *owner =
            ramify_reallocate(g->context, top->owner, top->module_room, sizeof *owner);
        if (!owner)
            return RAMIFY_ERROR_MEMORY;
        top->owner = owner;
        owner[top->module_count - 1] = of->owner;
    }
    return RAMIFY_OK;
}

/* Joins one subtree to the top; returns where the next one begins. */
static ramify_status join(const ramify_subtrees *s, const char **from) {
    const ramify_divided_growth *g = s->growth;
    ramify_grown *top = g->top;
    subtree_head head;
    memcpy(&head, *from, sizeof head);
    const char *nodes = *from + sizeof head;
    const char *prototypes = nodes + head.nodes * sizeof(subtree_node);
    const char *records = prototypes + ((size_t)head.nodes - 1) * g->routes_stride * sizeof(float);
    const uint32_t root = s->list[head.subtree].node, shift = top->node_count - 1;
    const uint32_t inherited = top->nodes[root].module, module = top->module_count;
    *from += told_bytes(g, &head);
    for (uint32_t i = first_module(&head); i < head.modules; i++)
        RAMIFY_TRY(join_record(s, &s->list[head.subtree], i, &records));
    for (uint32_t i = 0; i < head.nodes; i++) {
        subtree_node told;
        memcpy(&told, nodes + i * sizeof told, sizeof told);
        const uint32_t own = told.module < first_module(&head)
                                 ? inherited
                                 : module + told.module - first_module(&head);
        ramify_grown_node node = {.parent = told.parent == 0 ? root : told.parent + shift,
                                  .children = told.children,
                                  .first_child = told.children ? told.first_child + shift : 0,
                                  .depth = top->nodes[root].depth + told.depth,
                                  .key = told.key,
                                  .module = own,
                                  .judge = own,
                                  .train_count = told.train,
                                  .select_count = told.select,
                                  .report_count = told.report};
        if (i == 0) {
            top->nodes[root].children = node.children;
            top->nodes[root].first_child = node.first_child;
            top->nodes[root].module = top->nodes[root].judge = own;
            continue;
        }
        node.prototype = ramify_allocate(g->context, g->routes_stride, sizeof(float));
        if (!node.prototype)
            return RAMIFY_ERROR_MEMORY;
        memcpy(node.prototype, prototypes + (i - 1) * g->routes_stride * sizeof(float),
               g->routes_stride * sizeof(float));
        RAMIFY_TRY(ramify_grown_add_node(g->context, top, &node));
    }
    top->leaf_count += head.leaves - 1;
    top->tested += head.tested + (root > 0);
    top->accepted += head.accepted + (root > 0 && head.better);
    top->row_visits += head.row_visits;
    return RAMIFY_OK;
}

ramify_status ramify_divided_join(ramify_subtrees *s) {
    const ramify_divided_growth *g = s->growth;
    ramify_context *context = g->context;
    size_t bytes = 0;
    for (uint32_t i = 0; i < s->own_count; i++) {
        const subtree_head head = head_of(s, s->own[i]);
        bytes += told_bytes(g, &head);
    }
    char *told = ramify_allocate(context, bytes, 1), *to = told;
    size_t *offset = ramify_allocate(context, (size_t)s->ranks + 1, sizeof *offset);
    void *all = NULL;
    ramify_status status = told && offset ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < s->own_count; i++) {
        to = tell(s, s->own[i], to);
        if (!keeps_apart(g))
            ramify_grown_destroy(context, &s->list[s->own[i]].grown);
    }
    if (status == RAMIFY_OK && keeps_apart(g)) {
        g->top->owner = ramify_allocate(context, g->top->module_room, sizeof(uint32_t));
        status = g->top->owner ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
        for (uint32_t m = 0; status == RAMIFY_OK && m < g->top->module_count; m++)
            g->top->owner[m] = RAMIFY_NOWHERE;
    }
    ramify_cluster_phase(context, "nodes and experts of subtrees");
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(context, told, bytes, &all, offset);
    ramify_release(context, told);
    /* In the order of subtrees, whoever grew them. */
    for (uint32_t i = 0; status == RAMIFY_OK && i < s->count; i++) {
        const char *from = (const char *)all + offset[s->list[i].owner];
        const char *begin = from;
        status = join(s, &from);
        offset[s->list[i].owner] += (size_t)(from - begin);
    }
    ramify_release(context, all);
    ramify_release(context, offset);
    return status;
}

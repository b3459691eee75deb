/* Plan: level by level, large nodes get prototypes and every row here goes to a child; the experts of
 * large children are fine-tuned on samples, some by every rank; then the subtrees
 * (divided_subtrees.c). */

#include "divided_tree.h"
#include "cluster.h"
#include "divided_parts.h"
#include "fit_key.h"
#include "judge.h"
#include "kmeans.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "recipe.h"
#include "routing.h"
#include "status.h"
#include "tree.h"

#include <math.h>
#include <string.h>

/* Rows that place the prototypes of a node, about as many as kmeans.c takes of larger ones. */
#define PLACING_ROWS 32768.0
/* Rows of a large node that choose the expert's checkpoint, and that judge it: the standard error of a
 * loss is then below half a percent of it. */
#define CHECK_ROWS 65536.0
/* A node of the default rule has at most so many numbers, and so many rows. */
#define NODE_FLOATS     ((uint64_t)1 << 26)
#define NODE_ROWS_MOST  ((uint64_t)1 << 20)
#define NODE_ROWS_LEAST ((uint64_t)1 << 16)
/* Rows that are routed at a time. */
#define BLOCK_ROWS 256

uint64_t ramify_divided_node_rows(const ramify_train_options *options, size_t columns) {
    if (options->node_rows > 0)
        return options->node_rows;
    const uint64_t rows = NODE_FLOATS / (columns > 0 ? columns : 1);
    return rows > NODE_ROWS_MOST ? NODE_ROWS_MOST : rows < NODE_ROWS_LEAST ? NODE_ROWS_LEAST : rows;
}

/* ---- experts ---- */

ramify_status ramify_divided_features(const ramify_divided_growth *g, const ramify_problem *problem,
                                      float **features) {
    *features = ramify_allocate(g->context, problem->rows * g->features_stride, sizeof(float));
    if (!*features)
        return RAMIFY_ERROR_MEMORY;
    ramify_stem_features(problem->kernels, &g->stem, problem->rows, problem->plain,
                         problem->plain_stride, *features, g->features_stride);
    return RAMIFY_OK;
}

/* The schedule of node `index`, which has so many rows to learn from. */
static ramify_expert_plan plan_of(const ramify_divided_growth *g, uint32_t index, size_t rows) {
    const ramify_grown_node *node = &g->top->nodes[index];
    ramify_expert_plan plan = g->plan->grow->expert;
    plan.node = node->key;
    plan.epochs = ramify_recipe_child_epochs(rows, g->plan->options);
    plan.rate *= pow(g->plan->grow->rate_share, (double)node->depth - 1);
    return plan;
}

/* What decides on a node's rows: at every node above, to which of its children a row is nearest. */
static uint64_t add_path(const ramify_divided_growth *g, uint32_t index, uint64_t key) {
    for (uint32_t at = index; at > 0; at = g->top->nodes[at].parent) {
        const ramify_grown_node *parent = &g->top->nodes[g->top->nodes[at].parent];
        key = ramify_fit_key_count(key, at - parent->first_child);
        for (uint32_t k = 0; k < parent->children; k++)
            key = ramify_fit_key_bytes(key, g->top->nodes[parent->first_child + k].prototype,
                                       g->routes_stride * sizeof(float));
    }
    return key;
}

uint64_t ramify_divided_key(const ramify_divided_growth *g, uint32_t index) {
    const ramify_grown_node *node = &g->top->nodes[index];
    const size_t rows = (size_t)fmin((double)node->train_count, (double)g->plan->node_rows);
    const ramify_expert_plan plan = plan_of(g, index, rows);
    uint64_t key = add_path(g, index, ramify_fit_key_plan(g->key, &plan));
    return ramify_fit_key_bytes(key, g->top->modules[node->judge], g->floats * sizeof(float));
}

ramify_status ramify_divided_fit(const ramify_divided_growth *g, uint32_t index,
                                 const ramify_problem *problem, const float *features,
                                 float *record, bool *better, double *row_visits) {
    const ramify_grown_node *node = &g->top->nodes[index];
    const float *parent = g->top->modules[node->judge];
    const ramify_expert_plan plan = plan_of(g, index, problem->train.count);
    memcpy(record, parent, g->floats * sizeof *record);
    RAMIFY_TRY(ramify_expert_fit(problem, g->plan->shape, &plan, NULL, features, problem->train,
                                 NULL, problem->select, !plan.keep_last, record, NULL));
    *row_visits = (double)plan.epochs * (double)problem->train.count;
    *better = memcmp(record, parent, g->own_floats * sizeof *record) != 0;
    if (!*better || g->plan->grow->untested_levels > 0)
        return RAMIFY_OK;
    const size_t count = problem->report.count;
    double *gain = ramify_allocate(g->context, count, sizeof *gain);
    ramify_status status = gain ? ramify_compare_experts(problem, g->plan->shape, features, parent,
                                                         record, problem->report, gain)
                                : RAMIFY_ERROR_MEMORY;
    double sum = 0, squares = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        sum += gain[i];
        squares += gain[i] * gain[i];
    }
    *better =
        ramify_verdict_wins(ramify_verdict_of(sum, squares, count), g->plan->grow->split_threshold);
    ramify_release(g->context, gain);
    return status;
}

size_t ramify_divided_result_bytes(const ramify_divided_growth *g) {
    return 2 * sizeof(double) + g->floats * sizeof(float);
}

void ramify_divided_pack(const ramify_divided_growth *g, bool better, double row_visits,
                         const float *record, void *result) {
    const double head[2] = {better, row_visits};
    memcpy(result, head, sizeof head);
    memcpy((char *)result + sizeof head, record, g->floats * sizeof *record);
}

void ramify_divided_unpack(const ramify_divided_growth *g, const void *result, bool *better,
                           double *row_visits, float *record) {
    double head[2];
    memcpy(head, result, sizeof head);
    memcpy(record, (const char *)result + sizeof head, g->floats * sizeof *record);
    *better = head[0] != 0;
    *row_visits = head[1];
}

/* ---- large children ---- */

typedef struct child_fit {
    uint32_t node;
    float *record;
    bool better;
    double row_visits;
} child_fit;

/* Some of a level's large children, whose rows are brought together at once. */
typedef struct children {
    ramify_divided_growth *growth;
    child_fit *fit;
    uint32_t count;
    ramify_collected rows;
} children;

static double child_cost(const void *argument, size_t task) {
    (void)argument;
    (void)task;
    return 1; /* samples are all of a size */
}

static uint64_t child_key(const void *argument, size_t task) {
    const children *c = argument;
    return ramify_divided_key(c->growth, c->fit[task].node);
}

static size_t child_size(const void *argument, size_t task) {
    (void)task;
    return ramify_divided_result_bytes(((const children *)argument)->growth);
}

static void pack_child(const void *argument, size_t task, void *result) {
    const children *c = argument;
    const child_fit *fit = &c->fit[task];
    ramify_divided_pack(c->growth, fit->better, fit->row_visits, fit->record, result);
}

static ramify_status unpack_child(void *argument, size_t task, const void *result) {
    const children *c = argument;
    child_fit *fit = &c->fit[task];
    fit->record = ramify_allocate(c->growth->context, c->growth->floats, sizeof(float));
    if (!fit->record)
        return RAMIFY_ERROR_MEMORY;
    ramify_divided_unpack(c->growth, result, &fit->better, &fit->row_visits, fit->record);
    return RAMIFY_OK;
}

/* Brings the samples to who learns from them. */
static ramify_status bring_rows(void *argument, const uint32_t *rank, const bool *is_left) {
    children *c = argument;
    ramify_divided_growth *g = c->growth;
    const uint32_t nodes = g->top->node_count;
    uint32_t *slot = ramify_allocate(g->context, nodes, sizeof *slot);
    uint32_t *owner = ramify_allocate(g->context, c->count, sizeof *owner);
    double *share = ramify_allocate(g->context, c->count, RAMIFY_ROLES * sizeof *share);
    ramify_status status = slot && owner && share ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < nodes; i++)
        slot[i] = RAMIFY_NOWHERE;
    for (uint32_t i = 0; status == RAMIFY_OK && i < c->count; i++) {
        const ramify_grown_node *node = &g->top->nodes[c->fit[i].node];
        slot[c->fit[i].node] = i;
        owner[i] = is_left[i] ? rank[i] : RAMIFY_NOWHERE;
        double *of = share + (size_t)i * RAMIFY_ROLES;
        of[RAMIFY_ROLE_TRAIN] = (double)g->plan->node_rows / (double)node->train_count;
        of[RAMIFY_ROLE_SELECT] = CHECK_ROWS / (double)(node->select_count + 1);
        of[RAMIFY_ROLE_REPORT] = CHECK_ROWS / (double)(node->report_count + 1);
    }
    ramify_cluster_phase(g->context, "samples of large nodes");
    if (status == RAMIFY_OK)
        status = ramify_divided_collect(g, slot, c->count, share, owner, &c->rows);
    ramify_release(g->context, slot);
    ramify_release(g->context, owner);
    ramify_release(g->context, share);
    return status;
}

static ramify_status fit_child(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    children *c = argument;
    const ramify_divided_growth *g = c->growth;
    child_fit *fit = &c->fit[task];
    ramify_problem *problem = NULL;
    float *features = NULL;
    const size_t first = c->rows.first[task], count = c->rows.first[task + 1] - first;
    ramify_status status = ramify_packed_problem(
        g->divided, c->rows.rows + first * g->divided->width, count, &problem);
    if (status == RAMIFY_OK)
        status = ramify_divided_features(g, problem, &features);
    if (status == RAMIFY_OK) {
        fit->record = ramify_allocate(g->context, g->floats, sizeof(float));
        status = fit->record ? ramify_divided_fit(g, fit->node, problem, features, fit->record,
                                                  &fit->better, &fit->row_visits)
                             : RAMIFY_ERROR_MEMORY;
    }
    ramify_release(g->context, features);
    ramify_problem_destroy(g->context, &problem);
    return status;
}

/* The experts of some large children, which they keep if these are better. */
static ramify_status fit_children(ramify_divided_growth *g, child_fit *fit, uint32_t count) {
    children c = {.growth = g, .fit = fit, .count = count};
    const ramify_fit_list list = {.count = count,
                                  .argument = &c,
                                  .run = fit_child,
                                  .prepare = bring_rows,
                                  .cost = child_cost,
                                  .key = child_key,
                                  .size = child_size,
                                  .pack = pack_child,
                                  .unpack = unpack_child};
    ramify_status status = ramify_fits_run(g->plan->fits, g->context, &list);
    ramify_collected_clear(g->context, &c.rows);
    for (uint32_t i = 0; i < count; i++) {
        if (status == RAMIFY_OK && fit[i].better) {
            status = ramify_grown_add_module(g->context, g->top, fit[i].record);
            if (status == RAMIFY_OK) {
                ramify_grown_node *node = &g->top->nodes[fit[i].node];
                node->module = node->judge = g->top->module_count - 1;
                fit[i].record = NULL;
                g->top->accepted++;
            }
        }
        g->top->tested++;
        g->top->row_visits += fit[i].row_visits;
        ramify_release(g->context, fit[i].record);
    }
    return status;
}

/* ---- levels ---- */

static bool is_large(const ramify_divided_growth *g, const ramify_grown_node *node) {
    return node->train_count > g->plan->node_rows;
}

/* Large nodes of a level that are to be split: slot[node], and how many. */
static uint32_t find_parents(const ramify_divided_growth *g, uint32_t first, uint32_t end,
                             uint32_t *slot) {
    const ramify_grow_plan *plan = g->plan->grow;
    const uint32_t arity = plan->partition == RAMIFY_PARTITION_DYADIC ? 2 : plan->arity;
    uint32_t leaves = g->top->leaf_count, found = 0;
    for (uint32_t i = 0; i < g->top->node_count; i++)
        slot[i] = RAMIFY_NOWHERE;
    for (uint32_t i = first; i < end; i++) {
        const ramify_grown_node *node = &g->top->nodes[i];
        if (!is_large(g, node) || node->depth >= plan->depth ||
            node->train_count < plan->smallest_node ||
            (plan->leaves && leaves + arity - 1 > plan->leaves))
            continue;
        leaves += arity - 1;
        slot[i] = found++;
    }
    return found;
}

typedef struct placing {
    const ramify_divided_growth *growth;
    const ramify_collected *rows;
    const uint32_t *parent; /* of each slot */
    uint32_t arity;
    float *prototypes; /* slots x arity x routes_stride */
    uint64_t *found;   /* slots */
} placing;

/* Task: prototypes of one node. */
static ramify_status place(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const placing *p = argument;
    const ramify_divided_growth *g = p->growth;
    const ramify_grow_plan *plan = g->plan->grow;
    const size_t first = p->rows->first[task], count = p->rows->first[task + 1] - first;
    ramify_problem *problem = NULL;
    float *points = NULL;
    if (count == 0) /* another rank's */
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_packed_problem(g->divided, p->rows->rows + first * g->divided->width, count,
                                     &problem));
    ramify_status status = ramify_routing_points(problem, g->plan->route, g->plan->routes, &points);
    uint32_t found = 0;
    if (status == RAMIFY_OK)
        status = ramify_prototypes_find(problem, plan->partition, points, g->routes_stride,
                                        g->plan->routes, problem->train, p->arity,
                                        plan->expert.seed, g->top->nodes[p->parent[task]].key,
                                        p->prototypes + task * p->arity * g->routes_stride, &found);
    p->found[task] = found;
    ramify_release(g->context, points);
    ramify_problem_destroy(g->context, &problem);
    return status;
}

/* Places the children of all parents, each by the rank that it is dealt to; nodes whose rows are all alike
 * stay leaves. */
static ramify_status place_children(ramify_divided_growth *g, const uint32_t *slot,
                                    const uint32_t *parent, uint32_t slots) {
    ramify_context *context = g->context;
    const ramify_grow_plan *plan = g->plan->grow;
    ramify_collected rows = {0};
    placing p = {.growth = g,
                 .rows = &rows,
                 .parent = parent,
                 .arity = plan->partition == RAMIFY_PARTITION_DYADIC ? 2 : plan->arity};
    double *share = ramify_allocate_zeroed(context, slots, RAMIFY_ROLES * sizeof *share);
    uint32_t *owner = ramify_allocate(context, slots, sizeof *owner);
    p.prototypes = ramify_allocate_zeroed(context, (size_t)slots * p.arity,
                                          g->routes_stride * sizeof *p.prototypes);
    p.found = ramify_allocate_zeroed(context, slots, sizeof *p.found);
    ramify_status status =
        share && owner && p.prototypes && p.found ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t s = 0; status == RAMIFY_OK && s < slots; s++) {
        share[(size_t)s * RAMIFY_ROLES + RAMIFY_ROLE_TRAIN] =
            PLACING_ROWS / (double)g->top->nodes[parent[s]].train_count;
        owner[s] = s % ramify_cluster_size(context);
    }
    ramify_cluster_phase(context, "samples for prototypes");
    if (status == RAMIFY_OK)
        status = ramify_divided_collect(g, slot, slots, share, owner, &rows);
    if (status == RAMIFY_OK)
        status = ramify_parallel(context, slots, place, &p);
    if (status == RAMIFY_OK)
        status = ramify_cluster_join_floats(context, p.prototypes,
                                            (size_t)slots * p.arity * g->routes_stride);
    if (status == RAMIFY_OK)
        status = ramify_cluster_sum(context, p.found, slots);
    for (uint32_t s = 0; status == RAMIFY_OK && s < slots; s++) {
        ramify_grown_node *node = &g->top->nodes[parent[s]];
        if (p.found[s] < 2)
            continue;
        const uint32_t first = g->top->node_count;
        node->children = (uint32_t)p.found[s];
        node->first_child = first;
        g->top->leaf_count += node->children - 1;
        const ramify_grown_node from = *node;
        for (uint32_t k = 0; status == RAMIFY_OK && k < p.found[s]; k++) {
            ramify_grown_node child = {.parent = parent[s],
                                       .depth = from.depth + 1,
                                       .key = ramify_random_child(from.key, k),
                                       .module = from.module,
                                       .judge = from.module};
            child.prototype = ramify_allocate(context, g->routes_stride, sizeof(float));
            if (!child.prototype) {
                status = RAMIFY_ERROR_MEMORY;
                break;
            }
            memcpy(child.prototype, p.prototypes + ((size_t)s * p.arity + k) * g->routes_stride,
                   g->routes_stride * sizeof(float));
            status = ramify_grown_add_node(context, g->top, &child);
            if (status != RAMIFY_OK)
                ramify_release(context, child.prototype);
        }
    }
    ramify_collected_clear(context, &rows);
    ramify_release(context, share);
    ramify_release(context, owner);
    ramify_release(context, p.prototypes);
    ramify_release(context, p.found);
    return status;
}

/* Task: rows go to the children that are nearest. */
static ramify_status route_rows(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_divided_growth *g = argument;
    const ramify_divided *d = g->divided;
    const size_t stride = ramify_pad(g->stem.plain), first = task * RAMIFY_DIVIDED_TASK;
    const size_t count = ramify_smaller(RAMIFY_DIVIDED_TASK, d->rows - first);
    float *plain = ramify_allocate(g->context, stride, BLOCK_ROWS * sizeof *plain);
    float *points = ramify_allocate(g->context, g->routes_stride, BLOCK_ROWS * sizeof *points);
    ramify_status status = plain && points ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t at = 0; status == RAMIFY_OK && at < count; at += BLOCK_ROWS) {
        const size_t block = ramify_smaller(BLOCK_ROWS, count - at);
        ramify_packed_plain(d, ramify_divided_row(d, first + at), block, plain);
        ramify_stem_route(d->kernels, &g->stem, block, plain, stride, points, g->routes_stride);
        for (size_t i = 0; i < block; i++) {
            const ramify_grown_node *node = &g->top->nodes[g->node[first + at + i]];
            if (node->children > 0)
                g->node[first + at + i] = ramify_grown_nearest(
                    d->kernels, g->top, node, points + i * g->routes_stride, g->plan->routes);
        }
        if (ramify_cancelled(g->context))
            status = ramify_fail(g->context, RAMIFY_STOPPED, "stopped");
    }
    ramify_release(g->context, plain);
    ramify_release(g->context, points);
    return status;
}

/* Sends rows down one level and counts them, of nodes from `first` on. */
static ramify_status send_down(ramify_divided_growth *g, uint32_t first) {
    const ramify_divided *d = g->divided;
    const uint32_t nodes = g->top->node_count - first;
    uint64_t *count = ramify_allocate_zeroed(g->context, nodes, RAMIFY_ROLES * sizeof *count);
    if (!count)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_parallel(
        g->context, (d->rows + RAMIFY_DIVIDED_TASK - 1) / RAMIFY_DIVIDED_TASK, route_rows, g);
    for (size_t i = 0; status == RAMIFY_OK && i < d->rows; i++)
        if (g->node[i] >= first)
            count[(size_t)(g->node[i] - first) * RAMIFY_ROLES +
                  ramify_packed_role(d, ramify_divided_row(d, i))]++;
    ramify_cluster_phase(g->context, "sizes of nodes");
    if (status == RAMIFY_OK)
        status = ramify_cluster_sum(g->context, count, (size_t)nodes * RAMIFY_ROLES);
    for (uint32_t i = 0; status == RAMIFY_OK && i < nodes; i++) {
        ramify_grown_node *node = &g->top->nodes[first + i];
        node->train_count = count[(size_t)i * RAMIFY_ROLES + RAMIFY_ROLE_TRAIN];
        node->select_count = count[(size_t)i * RAMIFY_ROLES + RAMIFY_ROLE_SELECT];
        node->report_count = count[(size_t)i * RAMIFY_ROLES + RAMIFY_ROLE_REPORT];
    }
    ramify_release(g->context, count);
    return status;
}

/* The experts of the large ones among nodes from `first` on, as many at a time as there are ranks and
 * threads: a rank holds the rows of those that it is about. */
static ramify_status fit_large(ramify_divided_growth *g, uint32_t first) {
    const uint32_t end = g->top->node_count;
    const uint32_t batch = ramify_cluster_size(g->context) * ramify_threads(g->context);
    child_fit *fit = ramify_allocate_zeroed(g->context, batch, sizeof *fit);
    if (!fit)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = RAMIFY_OK;
    uint32_t count = 0;
    for (uint32_t i = first; status == RAMIFY_OK && i <= end; i++) {
        if (i < end && is_large(g, &g->top->nodes[i]))
            fit[count++].node = i;
        if (count == batch || (i == end && count > 0)) {
            status = fit_children(g, fit, count);
            memset(fit, 0, batch * sizeof *fit);
            count = 0;
        }
        if (i < end)
            ramify_progress_report(g->context, "large nodes", i - first, end - first);
    }
    ramify_release(g->context, fit);
    return status;
}

static ramify_status grow_level(ramify_divided_growth *g, uint32_t first, uint32_t end) {
    uint32_t *slot = ramify_allocate(g->context, g->top->node_count, sizeof *slot);
    uint32_t *parent = ramify_allocate(g->context, g->top->node_count, sizeof *parent);
    ramify_status status = slot && parent ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    uint32_t slots = status == RAMIFY_OK ? find_parents(g, first, end, slot) : 0;
    for (uint32_t i = first; status == RAMIFY_OK && i < end; i++)
        if (slot[i] != RAMIFY_NOWHERE)
            parent[slot[i]] = i;
    if (status == RAMIFY_OK && slots > 0)
        status = place_children(g, slot, parent, slots);
    ramify_release(g->context, slot);
    ramify_release(g->context, parent);
    if (status == RAMIFY_OK && g->top->node_count > end)
        status = send_down(g, end);
    if (status == RAMIFY_OK && g->top->node_count > end) {
        status = fit_large(g, end);
        if (status == RAMIFY_OK)
            ramify_log(g->context, RAMIFY_LOG_INFO,
                       "level %u of large nodes: %u nodes below %u; %u of %u experts are better so "
                       "far",
                       g->top->nodes[end].depth, g->top->node_count - end, slots, g->top->accepted,
                       g->top->tested);
    }
    return status;
}

static ramify_status plant(ramify_divided_growth *g) {
    const ramify_divided *d = g->divided;
    ramify_context *context = g->context;
    const ramify_grown_node root = {.parent = UINT32_MAX,
                                    .train_count = d->in_role[RAMIFY_ROLE_TRAIN],
                                    .select_count = d->in_role[RAMIFY_ROLE_SELECT],
                                    .report_count = d->in_role[RAMIFY_ROLE_REPORT]};
    g->top = ramify_allocate_zeroed(context, 1, sizeof *g->top);
    g->node = ramify_allocate_zeroed(context, d->rows, sizeof *g->node);
    float *record = ramify_allocate(context, g->floats, sizeof *record);
    if (!g->top || !g->node || !record) {
        ramify_release(context, record);
        return RAMIFY_ERROR_MEMORY;
    }
    memcpy(record, g->plan->root, g->floats * sizeof *record);
    g->top->leaf_count = 1;
    ramify_status status = ramify_grown_add_module(context, g->top, record);
    if (status != RAMIFY_OK) {
        ramify_release(context, record);
        return status;
    }
    return ramify_grown_add_node(context, g->top, &root);
}

/* What all fits depend on besides their nodes. */
static uint64_t common_key(const ramify_divided_growth *g) {
    const ramify_stem *stem = &g->stem;
    const ramify_grow_plan *plan = g->plan->grow;
    uint64_t key = ramify_fit_key(g->context, "divided");
    key = ramify_fit_key_count(key, g->divided->print);
    key = ramify_fit_key_count(key, g->plan->node_rows);
    key = ramify_fit_key_shape(key, g->plan->shape);
    key = ramify_fit_key_bytes(key, stem->knots, stem->knot_count * sizeof *stem->knots);
    key = ramify_fit_key_bytes(key, stem->table, (size_t)stem->entry_count * 4 * sizeof(float));
    key = ramify_fit_key_bytes(key, stem->frequency,
                               (size_t)stem->columns * stem->frequencies * sizeof(float));
    key = ramify_fit_key_bytes(key, stem->route,
                               (size_t)stem->routes * ramify_pad(stem->plain) * sizeof(float));
    key = ramify_fit_key_number(key, plan->split_threshold);
    return ramify_fit_key_count(key, plan->untested_levels);
}

ramify_status ramify_divided_grow(ramify_divided *divided, const ramify_divided_plan *plan,
                                  ramify_grown **grown) {
    ramify_divided_growth g = {.divided = divided,
                               .plan = plan,
                               .context = divided->context,
                               .stem = *plan->stem,
                               .own_floats = ramify_mlp_record_bytes(plan->shape) / sizeof(float)};
    g.stem.route = plan->route;
    g.stem.routes = plan->routes;
    g.features_stride = ramify_pad(plan->shape->width[0]);
    g.routes_stride = ramify_pad(plan->routes);
    g.floats = plan->grow->expert.rewind_at > 0 ? 2 * g.own_floats : g.own_floats;
    g.key = common_key(&g);
    ramify_status status = plant(&g);
    uint32_t first = 0;
    while (status == RAMIFY_OK && first < g.top->node_count) {
        const uint32_t end = g.top->node_count;
        status = grow_level(&g, first, end);
        first = end;
    }
    if (status == RAMIFY_OK)
        status = ramify_divided_subtrees(&g);
    ramify_release(g.context, g.node);
    if (status != RAMIFY_OK && g.top)
        ramify_grown_destroy(g.context, &g.top);
    *grown = g.top;
    return status;
}

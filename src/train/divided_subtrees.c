/* Plan: subtrees are dealt to ranks by their rows; every rank sends its rows to their owners
 * (divided_travel.c), who grow their subtrees, each as a tree of its own; then all ranks learn of all nodes and
 * experts (divided_join.c), and nodes whose leaves share one expert become leaves. */

#include "cluster.h"
#include "divided_work.h"
#include "memory.h"
#include "progress.h"
#include "recipe.h"
#include "routing.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* A subtree with fewer rows keeps its parent's expert. */
#define LEAST_ROWS 32

static bool is_subtree(const ramify_divided_growth *g, const ramify_grown_node *node) {
    return node->children == 0 && node->train_count <= g->plan->node_rows &&
           node->train_count >= LEAST_ROWS;
}

static ramify_status find_subtrees(ramify_subtrees *s) {
    const ramify_divided_growth *g = s->growth;
    ramify_context *context = g->context;
    const uint32_t nodes = g->top->node_count;
    s->at = ramify_allocate(context, nodes, sizeof *s->at);
    s->list = ramify_allocate_zeroed(context, nodes, sizeof *s->list);
    s->own = ramify_allocate(context, nodes, sizeof *s->own);
    double *cost = ramify_allocate(context, nodes, sizeof *cost);
    uint32_t *owner = ramify_allocate(context, nodes, sizeof *owner);
    ramify_status status =
        s->at && s->list && s->own && cost && owner ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < nodes; i++) {
        const ramify_grown_node *node = &g->top->nodes[i];
        s->at[i] = RAMIFY_NOWHERE;
        if (!is_subtree(g, node))
            continue;
        s->at[i] = s->count;
        cost[s->count] = (double)node->train_count;
        s->list[s->count++] = (ramify_subtree){
            .node = i, .rows = node->train_count + node->select_count + node->report_count};
    }
    if (status == RAMIFY_OK)
        status = ramify_cluster_deal(context, cost, s->count, owner);
    for (uint32_t i = 0; status == RAMIFY_OK && i < s->count; i++) {
        s->list[i].owner = owner[i];
        if (owner[i] != s->rank)
            continue;
        s->own[s->own_count++] = i;
        s->rows_all += cost[i];
    }
    ramify_release(context, cost);
    ramify_release(context, owner);
    return status;
}

/* ---- growing ---- */

/* The root's own fit is a list of one, so that it is kept like any other. */
typedef struct root_fit {
    const ramify_subtrees *all;
    ramify_subtree *of;
    const ramify_problem *problem;
    const float *features;
    float *record; /* floats */
} root_fit;

static ramify_status fit_root(void *argument, size_t task, uint32_t worker) {
    (void)task;
    (void)worker;
    root_fit *f = argument;
    return ramify_divided_fit(f->all->growth, f->of->node, f->problem, f->features, f->record,
                              &f->of->better, &f->of->row_visits);
}

static double root_cost(const void *argument, size_t task) {
    (void)argument;
    (void)task;
    return 1;
}

static uint64_t root_key(const void *argument, size_t task) {
    (void)task;
    const root_fit *f = argument;
    return ramify_divided_key(f->all->growth, f->of->node);
}

static size_t root_size(const void *argument, size_t task) {
    (void)task;
    return ramify_divided_result_bytes(((const root_fit *)argument)->all->growth);
}

static void pack_root(const void *argument, size_t task, void *result) {
    (void)task;
    const root_fit *f = argument;
    ramify_divided_pack(f->all->growth, f->of->better, f->of->row_visits, f->record, result);
}

static ramify_status unpack_root(void *argument, size_t task, const void *result) {
    (void)task;
    const root_fit *f = argument;
    ramify_divided_unpack(f->all->growth, result, &f->of->better, &f->of->row_visits, f->record);
    return RAMIFY_OK;
}

static ramify_status improve_root(const ramify_subtrees *s, ramify_subtree *of,
                                  const ramify_problem *problem, const float *features,
                                  float *record) {
    const ramify_divided_growth *g = s->growth;
    const float *parent = g->top->modules[g->top->nodes[of->node].judge];
    root_fit fit = {s, of, problem, features, record};
    const ramify_fit_list list = {.count = 1,
                                  .argument = &fit,
                                  .run = fit_root,
                                  .cost = root_cost,
                                  .key = root_key,
                                  .size = root_size,
                                  .pack = pack_root,
                                  .unpack = unpack_root};
    if (of->node > 0)
        RAMIFY_TRY(ramify_fits_run(s->fits, g->context, &list));
    if (!of->better)
        memcpy(record, parent, g->floats * sizeof *record);
    return RAMIFY_OK;
}

/* How the tree below a subtree's root is grown. */
static ramify_grow_plan plan_below(const ramify_subtrees *s, const ramify_subtree *of,
                                   size_t train) {
    const ramify_divided_growth *g = s->growth;
    const ramify_grown_node *node = &g->top->nodes[of->node];
    ramify_grow_plan plan = *g->plan->grow;
    const uint32_t arity = plan.partition == RAMIFY_PARTITION_DYADIC ? 2 : plan.arity;
    plan.fits = s->fits;
    plan.key = node->key;
    plan.depth = plan.depth > node->depth ? plan.depth - node->depth : 0;
    plan.expert.epochs = ramify_recipe_child_epochs(train / arity, g->plan->options);
    plan.expert.rate *= pow(plan.rate_share, (double)node->depth);
    plan.expert.meter = NULL;
    /* Its share of the leaves that there may be. */
    if (plan.leaves > 0) {
        const double share = (double)node->train_count / (double)g->top->nodes[0].train_count;
        plan.leaves = (uint32_t)fmax(1, floor(plan.leaves * share));
    }
    if (plan.leaves == 1)
        plan.depth = 0;
    return plan;
}

/* Rows that nodes still list are of no use to others. */
static void forget_rows(ramify_context *context, ramify_grown *grown) {
    for (uint32_t i = 0; i < grown->node_count; i++) {
        ramify_release(context, grown->nodes[i].rows);
        grown->nodes[i].rows = NULL;
    }
}

static ramify_status grow_subtree(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_subtrees *s = argument;
    const ramify_divided_growth *g = s->growth;
    ramify_subtree *of = &s->list[s->own[task]];
    ramify_problem *problem = NULL;
    float *features = NULL, *points = NULL;
    float *record = ramify_allocate(g->context, g->floats, sizeof *record);
    ramify_status status = record
                               ? ramify_packed_problem(g->divided, of->packed, of->rows, &problem)
                               : RAMIFY_ERROR_MEMORY;
    ramify_release(g->context, of->packed);
    of->packed = NULL;
    if (status == RAMIFY_OK)
        status = ramify_divided_features(g, problem, &features);
    if (status == RAMIFY_OK)
        status = improve_root(s, of, problem, features, record);
    if (status == RAMIFY_OK)
        status = ramify_routing_points(problem, g->plan->route, g->plan->routes, &points);
    if (status == RAMIFY_OK) {
        const ramify_grow_plan plan = plan_below(s, of, problem->train.count);
        status = ramify_grow(problem, g->plan->shape, &plan, features, points, g->plan->routes,
                             record, &of->grown);
    }
    if (of->grown)
        forget_rows(g->context, of->grown);
    if (status == RAMIFY_OK) {
        const unsigned long long done = atomic_fetch_add(&s->rows_done, problem->train.count);
        ramify_log(g->context, RAMIFY_LOG_INFO,
                   "subtree %u of %u: %zu rows, %s, %u of %u splits stand", s->own[task] + 1,
                   s->count, problem->train.count,
                   of->better ? "an expert of its own" : "its parent's expert", of->grown->accepted,
                   of->grown->tested);
        ramify_progress_report(g->context, "growing subtrees",
                               (double)done + (double)problem->train.count, s->rows_all);
    }
    ramify_release(g->context, record);
    ramify_release(g->context, features);
    ramify_release(g->context, points);
    ramify_problem_destroy(g->context, &problem);
    return status;
}

/* Side by side where there are enough of them; else each with all threads. */
static ramify_status grow_all(ramify_subtrees *s) {
    ramify_context *context = s->growth->context;
    if (s->own_count >= ramify_threads(context))
        return ramify_parallel(context, s->own_count, grow_subtree, s);
    for (uint32_t i = 0; i < s->own_count; i++)
        RAMIFY_TRY(grow_subtree(s, i, 0));
    return RAMIFY_OK;
}

/* ---- leaves that share an expert ---- */

/* A node all of whose leaves have one expert is a leaf. Children come after their parents. */
static void fold(ramify_grown *top) {
    for (uint32_t i = top->node_count; i-- > 0;) {
        ramify_grown_node *node = &top->nodes[i];
        bool same = node->children > 0;
        for (uint32_t k = 0; same && k < node->children; k++) {
            const ramify_grown_node *child = &top->nodes[node->first_child + k];
            same = child->children == 0 && child->module == top->nodes[node->first_child].module;
        }
        if (!same)
            continue;
        node->module = top->nodes[node->first_child].module;
        top->leaf_count -= node->children - 1;
        for (uint32_t k = 0; k < node->children; k++)
            top->nodes[node->first_child + k].parent = RAMIFY_NOWHERE;
        node->children = node->first_child = 0;
    }
}

/* Takes nodes that were folded away out of the list. */
static ramify_status pack_nodes(ramify_context *context, ramify_grown *top) {
    uint32_t *place = ramify_allocate(context, top->node_count, sizeof *place);
    if (!place)
        return RAMIFY_ERROR_MEMORY;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < top->node_count; i++) {
        const bool gone = i > 0 && top->nodes[i].parent == RAMIFY_NOWHERE;
        place[i] = gone ? RAMIFY_NOWHERE : kept;
        if (gone)
            ramify_release(context, top->nodes[i].prototype);
        else
            top->nodes[kept++] = top->nodes[i];
    }
    top->node_count = kept;
    for (uint32_t i = 0; i < kept; i++) {
        ramify_grown_node *node = &top->nodes[i];
        if (i > 0)
            node->parent = place[node->parent];
        if (node->children > 0)
            node->first_child = place[node->first_child];
    }
    ramify_release(context, place);
    return RAMIFY_OK;
}

ramify_status ramify_divided_subtrees(ramify_divided_growth *g) {
    ramify_context *context = g->context;
    ramify_subtrees s = {
        .growth = g, .ranks = ramify_cluster_size(context), .rank = ramify_cluster_rank(context)};
    ramify_status status = ramify_fits_open(context, g->plan->options->resume, true, &s.fits);
    if (status == RAMIFY_OK)
        status = find_subtrees(&s);
    if (status == RAMIFY_OK && s.count > 0)
        status = ramify_divided_travel(&s);
    if (status == RAMIFY_OK && s.count > 0)
        status = grow_all(&s);
    if (status == RAMIFY_OK && s.count > 0)
        status = ramify_divided_join(&s);
    if (status == RAMIFY_OK) {
        fold(g->top);
        status = pack_nodes(context, g->top);
    }
    for (uint32_t i = 0; s.list && i < s.count; i++) {
        ramify_release(context, s.list[i].packed);
        ramify_release(context, s.list[i].next);
        ramify_grown_destroy(context, &s.list[i].grown);
    }
    ramify_release(context, s.list);
    ramify_release(context, s.at);
    ramify_release(context, s.own);
    ramify_fits_close(&s.fits);
    return status;
}

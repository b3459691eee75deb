/* Placing a node's children, and fine-tuning them: tasks side by side, or shared among ranks. */

#include "fit_key.h"
#include "fits.h"
#include "grow_parts.h"
#include "memory.h"
#include "random.h"
#include "status.h"
#include "tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Shares out the rows of one kind: child[i] of row i; sizes per child. */
static void count_children(const uint32_t *child, size_t count, uint32_t found, size_t *sizes) {
    memset(sizes, 0, found * sizeof *sizes);
    for (size_t i = 0; i < count; i++)
        sizes[child[i]]++;
}

static ramify_status make_candidates(ramify_growth *g, ramify_node_split *s,
                                     const uint32_t *child) {
    ramify_context *context = g->problem->context;
    const ramify_grown_node *node = &g->grown->nodes[s->node];
    const size_t kinds[3] = {node->train_count, node->select_count, node->report_count};
    size_t sizes[3][RAMIFY_ARITY_MAX];
    size_t first = 0;
    for (int kind = 0; kind < 3; kind++) {
        count_children(child + first, kinds[kind], s->found, sizes[kind]);
        first += kinds[kind];
    }
    s->child = ramify_allocate_zeroed(context, s->found, sizeof *s->child);
    if (!s->child)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t k = 0; k < s->found; k++) {
        ramify_candidate *c = &s->child[k];
        c->parent_module = node->module;
        c->node = (ramify_grown_node){
            .parent = s->node,
            .depth = node->depth + 1,
            .key = ramify_random_child(node->key, k),
            .module = node->module,
            .judge = node->judge,
            .train_count = sizes[0][k],
            .select_count = sizes[1][k],
            .report_count = sizes[2][k],
        };
        c->node.rows =
            ramify_allocate(context, sizes[0][k] + sizes[1][k] + sizes[2][k], sizeof *c->node.rows);
        c->node.prototype = ramify_allocate(context, g->stride, sizeof(float));
        c->gain = ramify_allocate_zeroed(context, 2 * sizes[2][k], sizeof *c->gain);
        if (!c->node.rows || !c->node.prototype || !c->gain)
            return RAMIFY_ERROR_MEMORY;
        memcpy(c->node.prototype, s->prototypes + k * g->stride, g->stride * sizeof(float));
        size_t at = 0, count = node->train_count + node->select_count + node->report_count;
        for (size_t i = 0; i < count; i++)
            if (child[i] == k)
                c->node.rows[at++] = node->rows[i];
    }
    return RAMIFY_OK;
}

ramify_status ramify_growth_place(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_growth *g = argument;
    const ramify_problem *problem = g->problem;
    const ramify_grow_plan *plan = g->plan;
    ramify_node_split *s = &g->splits[task];
    const ramify_grown_node *node = &g->grown->nodes[s->node];
    uint32_t arity = plan->partition == RAMIFY_PARTITION_DYADIC ? 2 : plan->arity;
    s->prototypes = ramify_allocate(problem->context, arity * g->stride, sizeof(float));
    if (!s->prototypes)
        return RAMIFY_ERROR_MEMORY;
    ramify_rows train = {node->rows, node->train_count};
    RAMIFY_TRY(ramify_prototypes_find(problem, plan->partition, g->points, g->stride, g->routes,
                                      train, arity, plan->expert.seed, node->key, s->prototypes,
                                      &s->found));
    if (s->found < 2) {
        s->found = 0;
        return RAMIFY_OK;
    }
    size_t count = node->train_count + node->select_count + node->report_count;
    uint32_t *child = ramify_allocate(problem->context, count, sizeof *child);
    if (!child)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status =
        ramify_prototypes_assign(problem, g->points, g->stride, g->routes,
                                 (ramify_rows){node->rows, count}, s->prototypes, s->found, child);
    if (status == RAMIFY_OK && plan->permute) {
        /* The null hypothesis: children of the same sizes whose cells mean nothing. */
        ramify_random random =
            ramify_random_stream(plan->expert.seed, RAMIFY_PURPOSE_CONTROL, node->key, 0);
        ramify_random_shuffle(&random, child, node->train_count);
        ramify_random_shuffle(&random, child + node->train_count, node->select_count);
        ramify_random_shuffle(&random, child + node->train_count + node->select_count,
                              node->report_count);
    }
    if (status == RAMIFY_OK)
        status = make_candidates(g, s, child);
    ramify_release(problem->context, child);
    return status;
}

typedef struct far_row {
    float distance;
    uint32_t row;
} far_row;

static int compare_far(const void *a, const void *b) {
    const far_row *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Training rows of candidate c with those borrowed from its siblings, nearest to its prototype
 * first; weights are 1 and borrow_weight. */
static ramify_status borrow_rows(const ramify_growth *g, const ramify_candidate *c, uint32_t **rows,
                                 float **weights, size_t *count) {
    const ramify_problem *problem = g->problem;
    ramify_context *context = problem->context;
    const ramify_grown_node *parent = &g->grown->nodes[c->node.parent];
    size_t own = c->node.train_count, others = parent->train_count - own;
    size_t wanted = (size_t)((double)own * g->plan->borrow);
    if (wanted > others)
        wanted = others;
    far_row *far = ramify_allocate(context, parent->train_count, sizeof *far);
    *rows = ramify_allocate(context, own + wanted, sizeof **rows);
    *weights = ramify_allocate(context, own + wanted, sizeof **weights);
    ramify_status status = far && *rows && *weights ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        memcpy(*rows, c->node.rows, own * sizeof **rows);
        size_t found = 0, next = 0;
        for (size_t i = 0; i < parent->train_count; i++) {
            /* Both lists are in the same order, so one walk finds what is not the child's own. */
            if (next < own && c->node.rows[next] == parent->rows[i]) {
                next++;
                continue;
            }
            far[found].row = parent->rows[i];
            problem->kernels->distances(1, 1, g->routes, g->points + parent->rows[i] * g->stride,
                                        g->stride, c->node.prototype, g->stride,
                                        &far[found].distance, 1);
            found++;
        }
        qsort(far, found, sizeof *far, compare_far);
        for (size_t i = 0; i < own + wanted; i++) {
            (*weights)[i] = i < own ? 1.0f : (float)g->plan->borrow_weight;
            if (i >= own)
                (*rows)[i] = far[i - own].row;
        }
        *count = own + wanted;
    }
    ramify_release(context, far);
    return status;
}

/* Gains of a child over its parent and over its judge; zeros where these are the same expert. */
static ramify_status measure_gains(const ramify_growth *g, ramify_candidate *c,
                                   ramify_rows report) {
    float *const *modules = g->grown->modules;
    const float *parent = modules[c->parent_module], *judge = modules[c->node.judge];
    const float *own = c->better ? c->record : parent;
    double *whole = c->gain + report.count;
    if (c->better)
        RAMIFY_TRY(ramify_compare_experts(g->problem, g->shape, g->features, parent, own, report,
                                          c->gain));
    if (judge != parent)
        return ramify_compare_experts(g->problem, g->shape, g->features, judge, own, report, whole);
    memcpy(whole, c->gain, report.count * sizeof *whole);
    return RAMIFY_OK;
}

/* Task: fine-tune one child and measure its gain on report rows. */
static ramify_status fit_child(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_growth *g = argument;
    ramify_candidate *c = g->order[task];
    ramify_context *context = g->problem->context;
    const float *parent = g->grown->modules[c->parent_module];
    if (c->node.train_count < RAMIFY_CHILD_ROWS)
        return RAMIFY_OK;
    c->record = ramify_allocate(context, ramify_child_floats(g), sizeof *c->record);
    if (!c->record)
        return RAMIFY_ERROR_MEMORY;
    memcpy(c->record, parent, ramify_child_floats(g) * sizeof *c->record);

    ramify_rows own = {c->node.rows, c->node.train_count};
    ramify_rows select = {own.row + own.count, c->node.select_count};
    ramify_rows report = {select.row + select.count, c->node.report_count};
    uint32_t *rows = NULL;
    float *weights = NULL;
    ramify_rows train = own;
    ramify_status status = RAMIFY_OK;
    if (g->plan->borrow > 0 && !g->plan->permute) {
        status = borrow_rows(g, c, &rows, &weights, &train.count);
        train.row = rows;
    }
    ramify_expert_plan plan = g->plan->expert;
    plan.node = c->node.key;
    plan.meter = &g->meter;
    plan.rate *= pow(g->plan->rate_share, (double)g->level - 1);
    if (status == RAMIFY_OK)
        status = ramify_expert_fit(g->problem, g->shape, &plan, NULL, g->features, train, weights,
                                   select, !plan.keep_last, c->record, NULL);
    ramify_release(context, rows);
    ramify_release(context, weights);
    if (status != RAMIFY_OK)
        return status;
    c->row_visits = (double)plan.epochs * (double)train.count;
    c->better = memcmp(c->record, parent, g->floats * sizeof *c->record) != 0;
    return measure_gains(g, c, report);
}

static double child_cost(const void *argument, size_t task) {
    const ramify_growth *g = argument;
    return (double)g->order[task]->node.train_count;
}

/* The rows a child has, and is given by its siblings, follow from its parent's, the prototypes and the
 * points. */
static uint64_t child_key(const void *argument, size_t task) {
    const ramify_growth *g = argument;
    const ramify_candidate *c = g->order[task];
    const ramify_grow_plan *plan = g->plan;
    const ramify_grown_node *parent = &g->grown->nodes[c->node.parent];
    const size_t rows = c->node.train_count + c->node.select_count + c->node.report_count;
    uint64_t key = ramify_fit_key_count(g->problem_key, c->node.key);
    key = ramify_fit_key_bytes(key, g->grown->modules[c->parent_module],
                               ramify_child_floats(g) * sizeof(float));
    key = ramify_fit_key_bytes(key, g->grown->modules[c->node.judge], g->floats * sizeof(float));
    key = ramify_fit_key_bytes(key, c->node.rows, rows * sizeof *c->node.rows);
    key = ramify_fit_key_count(key, c->node.train_count);
    key = ramify_fit_key_count(key, c->node.select_count);
    key = ramify_fit_key_bytes(key, parent->rows, parent->train_count * sizeof *parent->rows);
    key = ramify_fit_key_bytes(key, c->node.prototype, g->stride * sizeof(float));
    key = ramify_fit_key_plan(key, &plan->expert);
    key = ramify_fit_key_shape(key, g->shape);
    key = ramify_fit_key_number(key, plan->borrow);
    key = ramify_fit_key_number(key, plan->borrow_weight);
    key = ramify_fit_key_number(key, plan->rate_share);
    return ramify_fit_key_count(key, 2 * (uint64_t)g->level + plan->permute);
}

/* The result of a child's fit: row visits, the gains, the record. */
static size_t child_size(const void *argument, size_t task) {
    const ramify_growth *g = argument;
    const ramify_candidate *c = g->order[task];
    return c->node.train_count < RAMIFY_CHILD_ROWS
               ? 0
               : (1 + 2 * c->node.report_count) * sizeof(double) +
                     ramify_child_floats(g) * sizeof(float);
}

static void pack_child(const void *argument, size_t task, void *result) {
    const ramify_growth *g = argument;
    const ramify_candidate *c = g->order[task];
    const size_t gains = 2 * c->node.report_count * sizeof(double);
    char *to = result;
    memcpy(to, &c->row_visits, sizeof(double));
    memcpy(to + sizeof(double), c->gain, gains);
    memcpy(to + sizeof(double) + gains, c->record, ramify_child_floats(g) * sizeof(float));
}

static ramify_status unpack_child(void *argument, size_t task, const void *result) {
    const ramify_growth *g = argument;
    ramify_candidate *c = g->order[task];
    const size_t gains = 2 * c->node.report_count * sizeof(double);
    const char *from = result;
    c->record = ramify_allocate(g->problem->context, ramify_child_floats(g), sizeof *c->record);
    if (!c->record)
        return RAMIFY_ERROR_MEMORY;
    memcpy(&c->row_visits, from, sizeof(double));
    memcpy(c->gain, from + sizeof(double), gains);
    memcpy(c->record, from + sizeof(double) + gains, ramify_child_floats(g) * sizeof(float));
    c->better =
        memcmp(c->record, g->grown->modules[c->parent_module], g->floats * sizeof *c->record) != 0;
    return RAMIFY_OK;
}

ramify_status ramify_growth_tune(ramify_growth *g) {
    const ramify_fit_list list = {.count = g->candidate_count,
                                  .argument = g,
                                  .run = fit_child,
                                  .cost = child_cost,
                                  .key = child_key,
                                  .size = child_size,
                                  .pack = pack_child,
                                  .unpack = unpack_child};
    return ramify_fits_run(g->plan->fits, g->problem->context, &list);
}

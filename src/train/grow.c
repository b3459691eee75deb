/* Plan, per level: place prototypes for every node that may be split (tasks side by side),
 * fine-tune every child (tasks side by side, largest first), then judge the level and keep the splits
 * that stand, or all of them on trial until the next level is judged with them. Nothing depends on
 * which thread did what. */

#include "grow.h"
#include "fit_key.h"
#include "fits.h"
#include "judge.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "threads.h"
#include "tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A child with fewer rows than this shares its parent's module untried. */
#define CHILD_ROWS 32

/* Standard errors by which a level must lose for nothing to be grown beneath it. */
#define HOPELESS 1.0

typedef struct candidate {
    ramify_grown_node node;
    uint32_t parent_module;
    float *record; /* fine-tuned weights */
    bool better;   /* they beat the parent's on select rows */
    double *gain;  /* 2 x report_count: parent's loss minus own, then the judge's minus own */
    double row_visits;
} candidate;

typedef struct split {
    uint32_t node;          /* index of the node in grown */
    uint32_t found;         /* children */
    float *prototypes;      /* arity x stride */
    candidate *child;       /* found */
    ramify_verdict verdict; /* against the parent */
    ramify_verdict whole;   /* against the judge */
    bool stands;
} split;

/* A level none of whose splits stands by itself: its parents, and what there was before it. */
typedef struct trial {
    bool open;
    uint32_t first, end; /* nodes that were split */
    uint32_t node_count, module_count, leaf_count;
} trial;

typedef struct growth {
    const ramify_problem *problem;
    const ramify_mlp_shape *shape;
    const ramify_grow_plan *plan;
    const float *features, *points;
    size_t routes, stride, floats;
    ramify_grown *grown;
    split *splits;
    uint32_t split_count;
    candidate **order; /* all candidates of the level, largest first */
    uint32_t candidate_count;
    uint32_t level; /* depth of the children */
    trial trial;
    bool hopeless;        /* the level loses by more than HOPELESS */
    uint64_t problem_key; /* fit_key.h; 0 where none is asked for */
    ramify_meter meter;
} growth;

static void candidate_clear(ramify_context *context, candidate *c) {
    ramify_release(context, c->node.prototype);
    ramify_release(context, c->node.rows);
    ramify_release(context, c->record);
    ramify_release(context, c->gain);
    *c = (candidate){0};
}

static void splits_clear(growth *g) {
    ramify_context *context = g->problem->context;
    for (uint32_t s = 0; s < g->split_count; s++) {
        for (uint32_t k = 0; g->splits[s].child && k < g->splits[s].found; k++)
            candidate_clear(context, &g->splits[s].child[k]);
        ramify_release(context, g->splits[s].child);
        ramify_release(context, g->splits[s].prototypes);
    }
    ramify_release(context, g->splits);
    ramify_release(context, g->order);
    g->splits = NULL;
    g->order = NULL;
    g->split_count = g->candidate_count = 0;
}

static void node_clear(ramify_context *context, ramify_grown_node *node) {
    ramify_release(context, node->prototype);
    ramify_release(context, node->rows);
}

void ramify_grown_destroy(ramify_context *context, ramify_grown **grown) {
    if (!*grown)
        return;
    ramify_grown *old = *grown;
    *grown = NULL;
    for (uint32_t i = 0; i < old->node_count; i++)
        node_clear(context, &old->nodes[i]);
    for (uint32_t i = 0; i < old->module_count; i++)
        ramify_release(context, old->modules[i]);
    ramify_release(context, old->nodes);
    ramify_release(context, old->modules);
    ramify_release(context, old->owner);
    ramify_release(context, old);
}

ramify_status ramify_grown_add_node(ramify_context *context, ramify_grown *grown,
                                    const ramify_grown_node *node) {
    if (grown->node_count == grown->node_room) {
        uint32_t room = grown->node_room ? 2 * grown->node_room : 64;
        ramify_grown_node *grew = ramify_reallocate(context, grown->nodes, room, sizeof *grew);
        if (!grew)
            return RAMIFY_ERROR_MEMORY;
        grown->nodes = grew;
        grown->node_room = room;
    }
    grown->nodes[grown->node_count++] = *node;
    return RAMIFY_OK;
}

ramify_status ramify_grown_add_module(ramify_context *context, ramify_grown *grown, float *record) {
    if (grown->module_count == grown->module_room) {
        uint32_t room = grown->module_room ? 2 * grown->module_room : 64;
        float **grew = ramify_reallocate(context, grown->modules, room, sizeof *grew);
        if (!grew)
            return RAMIFY_ERROR_MEMORY;
        grown->modules = grew;
        grown->module_room = room;
    }
    grown->modules[grown->module_count++] = record;
    return RAMIFY_OK;
}

/* Of an expert's record, with where it was early on if that is noted. */
static size_t child_floats(const growth *g) {
    return g->plan->expert.rewind_at > 0 ? 2 * g->floats : g->floats;
}

static ramify_status plant_root(growth *g, const float *root) {
    const ramify_problem *problem = g->problem;
    ramify_context *context = problem->context;
    ramify_grown_node node = {
        .parent = UINT32_MAX,
        .key = g->plan->key,
        .train_count = problem->train.count,
        .select_count = problem->select.count,
        .report_count = problem->report.count,
    };
    float *record = ramify_allocate(context, child_floats(g), sizeof *record);
    node.rows = ramify_allocate(context, problem->rows, sizeof *node.rows);
    if (!record || !node.rows) {
        ramify_release(context, record);
        ramify_release(context, node.rows);
        return RAMIFY_ERROR_MEMORY;
    }
    memcpy(record, root, child_floats(g) * sizeof *record);
    uint32_t *to = node.rows;
    const ramify_rows parts[] = {problem->train, problem->select, problem->report};
    for (size_t p = 0; p < 3; p++) {
        memcpy(to, parts[p].row, parts[p].count * sizeof *to);
        to += parts[p].count;
    }
    ramify_status status = ramify_grown_add_node(context, g->grown, &node);
    if (status != RAMIFY_OK) {
        ramify_release(context, node.rows);
        ramify_release(context, record);
        return status;
    }
    g->grown->leaf_count = 1;
    status = ramify_grown_add_module(context, g->grown, record);
    if (status != RAMIFY_OK)
        ramify_release(context, record);
    return status;
}

/* Shares out the rows of one kind: child[i] of row i; sizes per child. */
static void count_children(const uint32_t *child, size_t count, uint32_t found, size_t *sizes) {
    memset(sizes, 0, found * sizeof *sizes);
    for (size_t i = 0; i < count; i++)
        sizes[child[i]]++;
}

static ramify_status make_candidates(growth *g, split *s, const uint32_t *child) {
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
        candidate *c = &s->child[k];
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

/* Task: prototypes and rows of the children of one node. */
static ramify_status place_children(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    growth *g = argument;
    const ramify_problem *problem = g->problem;
    const ramify_grow_plan *plan = g->plan;
    split *s = &g->splits[task];
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
static ramify_status borrow_rows(const growth *g, const candidate *c, uint32_t **rows,
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
static ramify_status measure_gains(const growth *g, candidate *c, ramify_rows report) {
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
    growth *g = argument;
    candidate *c = g->order[task];
    ramify_context *context = g->problem->context;
    const float *parent = g->grown->modules[c->parent_module];
    if (c->node.train_count < CHILD_ROWS)
        return RAMIFY_OK;
    c->record = ramify_allocate(context, child_floats(g), sizeof *c->record);
    if (!c->record)
        return RAMIFY_ERROR_MEMORY;
    memcpy(c->record, parent, child_floats(g) * sizeof *c->record);

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
    const growth *g = argument;
    return (double)g->order[task]->node.train_count;
}

/* The rows a child has, and is given by its siblings, follow from its parent's, the prototypes and the
 * points. */
static uint64_t child_key(const void *argument, size_t task) {
    const growth *g = argument;
    const candidate *c = g->order[task];
    const ramify_grow_plan *plan = g->plan;
    const ramify_grown_node *parent = &g->grown->nodes[c->node.parent];
    const size_t rows = c->node.train_count + c->node.select_count + c->node.report_count;
    uint64_t key = ramify_fit_key_count(g->problem_key, c->node.key);
    key = ramify_fit_key_bytes(key, g->grown->modules[c->parent_module],
                               child_floats(g) * sizeof(float));
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
    const growth *g = argument;
    const candidate *c = g->order[task];
    return c->node.train_count < CHILD_ROWS
               ? 0
               : (1 + 2 * c->node.report_count) * sizeof(double) + child_floats(g) * sizeof(float);
}

static void pack_child(const void *argument, size_t task, void *result) {
    const growth *g = argument;
    const candidate *c = g->order[task];
    const size_t gains = 2 * c->node.report_count * sizeof(double);
    char *to = result;
    memcpy(to, &c->row_visits, sizeof(double));
    memcpy(to + sizeof(double), c->gain, gains);
    memcpy(to + sizeof(double) + gains, c->record, child_floats(g) * sizeof(float));
}

static ramify_status unpack_child(void *argument, size_t task, const void *result) {
    const growth *g = argument;
    candidate *c = g->order[task];
    const size_t gains = 2 * c->node.report_count * sizeof(double);
    const char *from = result;
    c->record = ramify_allocate(g->problem->context, child_floats(g), sizeof *c->record);
    if (!c->record)
        return RAMIFY_ERROR_MEMORY;
    memcpy(&c->row_visits, from, sizeof(double));
    memcpy(c->gain, from + sizeof(double), gains);
    memcpy(c->record, from + sizeof(double) + gains, child_floats(g) * sizeof(float));
    c->better =
        memcmp(c->record, g->grown->modules[c->parent_module], g->floats * sizeof *c->record) != 0;
    return RAMIFY_OK;
}

static ramify_status fit_children(growth *g) {
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

/* Paired test over the report rows of all children of a split, against parent or judge. */
static ramify_verdict judge(const split *s, bool whole) {
    double sum = 0, squares = 0;
    size_t count = 0;
    for (uint32_t k = 0; k < s->found; k++) {
        const candidate *c = &s->child[k];
        const double *gain = c->gain + (whole ? c->node.report_count : 0);
        for (size_t i = 0; i < c->node.report_count; i++) {
            sum += gain[i];
            squares += gain[i] * gain[i];
        }
        count += c->node.report_count;
    }
    return ramify_verdict_of(sum, squares, count);
}

static bool is_untested(const growth *g) {
    return g->level <= g->plan->untested_levels;
}

/* Adds the gains, over their judges, of the nodes on trial that are not split further. */
static ramify_status add_unsplit(const growth *g, uint32_t first, uint32_t end,
                                 ramify_verdict *level) {
    uint32_t next = 0;
    for (uint32_t i = first; i < end; i++) {
        const ramify_grown_node *node = &g->grown->nodes[i];
        while (next < g->split_count && g->splits[next].node < i)
            next++;
        if (next < g->split_count && g->splits[next].node == i && g->splits[next].found >= 2)
            continue;
        ramify_rows report = {node->rows + node->train_count + node->select_count,
                              node->report_count};
        double *gain = ramify_allocate(g->problem->context, report.count, sizeof *gain);
        if (!gain)
            return RAMIFY_ERROR_MEMORY;
        ramify_status status = ramify_compare_experts(
            g->problem, g->shape, g->features, g->grown->modules[node->judge],
            g->grown->modules[node->module], report, gain);
        double sum = 0, squares = 0;
        for (size_t row = 0; status == RAMIFY_OK && row < report.count; row++) {
            sum += gain[row];
            squares += gain[row] * gain[row];
        }
        ramify_verdict_add(level, ramify_verdict_of(sum, squares, report.count));
        ramify_release(g->problem->context, gain);
        RAMIFY_TRY(status);
    }
    return RAMIFY_OK;
}

/* Which splits of the level stand. Few report rows reach a split deep in the tree, so the level is
 * judged as a whole first: where it wins, a split stands unless its own rows speak against it; where
 * it does not, a split must win alone, and by more. A level below one that is on trial is judged with
 * it, as a whole only, and by more, for it is a second chance. first, end: the nodes above it. */
static ramify_status judge_level(growth *g, uint32_t first, uint32_t end) {
    ramify_verdict level = {0};
    for (uint32_t i = 0; i < g->split_count; i++) {
        split *s = &g->splits[i];
        s->verdict = judge(s, false);
        s->whole = judge(s, true);
        if (s->found >= 2)
            ramify_verdict_add(&level, s->whole);
    }
    bool pair = g->trial.open;
    if (pair)
        RAMIFY_TRY(add_unsplit(g, first, end, &level));
    bool won =
        ramify_verdict_wins(level, pair ? g->plan->split_threshold : g->plan->level_threshold);
    g->hopeless = level.gain <= -HOPELESS * sqrt(level.variance);
    if (!is_untested(g))
        ramify_log(g->problem->context, RAMIFY_LOG_INFO,
                   "level %u of the tree: %.3g standard errors better%s", g->level,
                   level.variance > 0 ? level.gain / sqrt(level.variance) : 0.0,
                   pair ? ", with the level above" : "");
    for (uint32_t i = 0; i < g->split_count; i++) {
        split *s = &g->splits[i];
        s->stands =
            s->found >= 2 && (is_untested(g) || (won && s->verdict.gain > 0) ||
                              (!pair && ramify_verdict_wins(s->verdict, g->plan->split_threshold)));
    }
    return RAMIFY_OK;
}

static void release_rows(growth *g, ramify_grown_node *node) {
    ramify_release(g->problem->context, node->rows);
    node->rows = NULL;
}

/* on_trial: the parent's rows are kept, for the split may be undone, and the judge stays. */
static ramify_status keep_split(growth *g, split *s, bool on_trial) {
    ramify_grown *grown = g->grown;
    uint32_t first = grown->node_count;
    for (uint32_t k = 0; k < s->found; k++) {
        candidate *c = &s->child[k];
        if (c->better) {
            RAMIFY_TRY(ramify_grown_add_module(g->problem->context, grown, c->record));
            c->record = NULL;
            c->node.module = grown->module_count - 1;
        }
        if (!on_trial)
            c->node.judge = c->node.module;
        RAMIFY_TRY(ramify_grown_add_node(g->problem->context, grown, &c->node));
        c->node.rows = NULL;
        c->node.prototype = NULL;
    }
    ramify_grown_node *node = &grown->nodes[s->node];
    node->children = s->found;
    node->first_child = first;
    if (!on_trial)
        release_rows(g, node);
    grown->leaf_count += s->found - 1;
    return RAMIFY_OK;
}

static void open_trial(growth *g, uint32_t first, uint32_t end) {
    const ramify_grown *grown = g->grown;
    g->trial = (trial){.open = true,
                       .first = first,
                       .end = end,
                       .node_count = grown->node_count,
                       .module_count = grown->module_count,
                       .leaf_count = grown->leaf_count};
}

/* The level on trial stands, or is taken back with all that is below it. */
static void close_trial(growth *g, bool stands) {
    ramify_grown *grown = g->grown;
    if (!g->trial.open)
        return;
    g->trial.open = false;
    for (uint32_t i = g->trial.first; i < g->trial.end; i++) {
        ramify_grown_node *node = &grown->nodes[i];
        if (node->children == 0)
            continue;
        if (stands)
            release_rows(g, node);
        else
            node->children = node->first_child = 0;
        grown->accepted += stands;
    }
    for (uint32_t i = g->trial.node_count; i < grown->node_count; i++)
        grown->nodes[i].judge = grown->nodes[i].module;
    if (stands)
        return;
    while (grown->node_count > g->trial.node_count)
        node_clear(g->problem->context, &grown->nodes[--grown->node_count]);
    while (grown->module_count > g->trial.module_count)
        ramify_release(g->problem->context, grown->modules[--grown->module_count]);
    grown->leaf_count = g->trial.leaf_count;
}

/* Larger children first, so that the last task is a small one. */
static int compare_candidates(const void *a, const void *b) {
    const candidate *x = *(candidate *const *)a, *y = *(candidate *const *)b;
    if (x->node.train_count != y->node.train_count)
        return x->node.train_count > y->node.train_count ? -1 : 1;
    return (x->node.key > y->node.key) - (x->node.key < y->node.key);
}

static ramify_status open_level(growth *g, uint32_t first, uint32_t end) {
    const ramify_grow_plan *plan = g->plan;
    ramify_context *context = g->problem->context;
    g->splits = ramify_allocate_zeroed(context, end - first, sizeof *g->splits);
    if (!g->splits)
        return RAMIFY_ERROR_MEMORY;
    uint32_t arity = plan->partition == RAMIFY_PARTITION_DYADIC ? 2 : plan->arity;
    uint32_t leaves = g->grown->leaf_count;
    for (uint32_t i = first; i < end; i++) {
        const ramify_grown_node *node = &g->grown->nodes[i];
        if (node->train_count < plan->smallest_node || node->train_count < 2 * CHILD_ROWS)
            continue;
        if (plan->leaves && leaves + arity - 1 > plan->leaves)
            break;
        leaves += arity - 1;
        g->splits[g->split_count++].node = i;
    }
    RAMIFY_TRY(ramify_parallel(context, g->split_count, place_children, g));
    for (uint32_t s = 0; s < g->split_count; s++)
        g->candidate_count += g->splits[s].found;
    g->order = ramify_allocate(context, g->candidate_count, sizeof *g->order);
    if (!g->order)
        return RAMIFY_ERROR_MEMORY;
    uint32_t at = 0;
    for (uint32_t s = 0; s < g->split_count; s++)
        for (uint32_t k = 0; k < g->splits[s].found; k++)
            g->order[at++] = &g->splits[s].child[k];
    qsort(g->order, g->candidate_count, sizeof *g->order, compare_candidates);
    return RAMIFY_OK;
}

/* Sets the meter to the rows that the level's fits will see, but for borrowed ones that run out. */
static void meter_level(growth *g) {
    double rows = 0;
    for (uint32_t i = 0; i < g->candidate_count; i++)
        if (g->order[i]->node.train_count >= CHILD_ROWS)
            rows += (double)g->order[i]->node.train_count;
    g->meter.stage = "growing the tree";
    g->meter.total = rows * (1 + g->plan->borrow) * g->plan->expert.epochs;
    atomic_store(&g->meter.done, 0);
}

/* Keeps the splits that stand; where none does, all of them on trial, if another level may mend it. */
static ramify_status keep_splits(growth *g, uint32_t first, uint32_t end) {
    uint32_t found = 0, standing = 0;
    for (uint32_t i = 0; i < g->split_count; i++) {
        found += g->splits[i].found >= 2;
        standing += g->splits[i].stands;
    }
    g->grown->tested += found;
    const bool on_trial =
        standing == 0 && found > 0 && !g->hopeless && !g->trial.open && g->level < g->plan->depth;
    close_trial(g, standing > 0);
    if (on_trial)
        open_trial(g, first, end);
    for (uint32_t i = 0; i < g->split_count; i++) {
        split *s = &g->splits[i];
        if (s->stands || (on_trial && s->found >= 2))
            RAMIFY_TRY(keep_split(g, s, on_trial));
        g->grown->accepted += s->stands;
    }
    return RAMIFY_OK;
}

static ramify_status grow_level(growth *g, uint32_t first, uint32_t end) {
    ramify_status status = open_level(g, first, end);
    if (status != RAMIFY_OK) {
        splits_clear(g);
        return status;
    }
    meter_level(g);
    status = fit_children(g);
    if (status == RAMIFY_OK)
        ramify_progress_report(g->problem->context, g->meter.stage, g->meter.total, g->meter.total);
    for (uint32_t i = 0; i < g->candidate_count; i++)
        g->grown->row_visits += g->order[i]->row_visits;
    if (status == RAMIFY_OK)
        status = judge_level(g, first, end);
    if (status == RAMIFY_OK)
        status = keep_splits(g, first, end);
    splits_clear(g);
    return status;
}

static ramify_status score_leaves(growth *g) {
    double sum = 0;
    for (uint32_t i = 0; i < g->grown->node_count; i++) {
        const ramify_grown_node *node = &g->grown->nodes[i];
        if (node->children > 0 || node->select_count == 0)
            continue;
        ramify_rows select = {node->rows + node->train_count, node->select_count};
        double *loss = ramify_allocate(g->problem->context, select.count, sizeof *loss);
        if (!loss)
            return RAMIFY_ERROR_MEMORY;
        ramify_status status = ramify_row_losses(g->problem, g->shape, g->features,
                                                 g->grown->modules[node->module], select, loss);
        for (size_t k = 0; k < select.count; k++)
            sum += loss[k];
        ramify_release(g->problem->context, loss);
        RAMIFY_TRY(status);
    }
    size_t count = g->problem->select.count;
    g->grown->select_criterion = count ? sum / (double)count : 0;
    return RAMIFY_OK;
}

ramify_status ramify_grow(const ramify_problem *problem, const ramify_mlp_shape *shape,
                          const ramify_grow_plan *plan, const float *features, const float *points,
                          size_t routes, const float *root, ramify_grown **grown) {
    ramify_context *context = problem->context;
    growth g = {
        .problem = problem,
        .shape = shape,
        .plan = plan,
        .features = features,
        .points = points,
        .routes = routes,
        .stride = ramify_pad(routes),
        .floats = ramify_mlp_record_bytes(shape) / sizeof(float),
        .grown = ramify_allocate_zeroed(context, 1, sizeof *g.grown),
    };
    if (!g.grown)
        return RAMIFY_ERROR_MEMORY;
    if (ramify_fits_are_shared(plan->fits, context))
        g.problem_key = ramify_fit_key_bytes(
            ramify_fit_key_problem(ramify_fit_key(context, "child"), problem), features,
            problem->rows * ramify_pad(shape->width[0]) * sizeof(float));
    ramify_status status = plant_root(&g, root);
    uint32_t first = 0;
    for (g.level = 1; status == RAMIFY_OK && g.level <= plan->depth; g.level++) {
        uint32_t end = g.grown->node_count;
        if (end <= first || ramify_late(plan->expert.deadline))
            break;
        status = grow_level(&g, first, end);
        first = end;
    }
    close_trial(&g, false);
    bool whole = status == RAMIFY_OK || (status == RAMIFY_STOPPED && g.grown->module_count > 0);
    if (whole) {
        ramify_status scored = score_leaves(&g);
        whole = scored == RAMIFY_OK;
        status = status == RAMIFY_OK ? scored : status;
    }
    if (!whole)
        ramify_grown_destroy(context, &g.grown);
    *grown = g.grown;
    return status;
}

/* Plan, per level: place prototypes for every node that may be split (tasks side by side),
 * fine-tune every child (tasks side by side, largest first), then judge the level and keep the splits
 * that stand, or all of them on trial until the next level is judged with them. Nothing depends on
 * which thread did what. */

#include "fit_key.h"
#include "fits.h"
#include "grow_parts.h"
#include "memory.h"
#include "progress.h"
#include "status.h"
#include "threads.h"
#include "tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Standard errors by which a level must lose for nothing to be grown beneath it. */
#define HOPELESS 1.0

static void candidate_clear(ramify_context *context, ramify_candidate *c) {
    ramify_release(context, c->node.prototype);
    ramify_release(context, c->node.rows);
    ramify_release(context, c->record);
    ramify_release(context, c->gain);
    *c = (ramify_candidate){0};
}

static void splits_clear(ramify_growth *g) {
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

static ramify_status plant_root(ramify_growth *g, const float *root) {
    const ramify_problem *problem = g->problem;
    ramify_context *context = problem->context;
    ramify_grown_node node = {
        .parent = UINT32_MAX,
        .key = g->plan->key,
        .train_count = problem->train.count,
        .select_count = problem->select.count,
        .report_count = problem->report.count,
    };
    float *record = ramify_allocate(context, ramify_child_floats(g), sizeof *record);
    node.rows = ramify_allocate(context, problem->rows, sizeof *node.rows);
    if (!record || !node.rows) {
        ramify_release(context, record);
        ramify_release(context, node.rows);
        return RAMIFY_ERROR_MEMORY;
    }
    memcpy(record, root, ramify_child_floats(g) * sizeof *record);
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

/* Paired test over the report rows of all children of a split, against parent or judge. */
static ramify_verdict judge(const ramify_node_split *s, bool whole) {
    double sum = 0, squares = 0;
    size_t count = 0;
    for (uint32_t k = 0; k < s->found; k++) {
        const ramify_candidate *c = &s->child[k];
        const double *gain = c->gain + (whole ? c->node.report_count : 0);
        for (size_t i = 0; i < c->node.report_count; i++) {
            sum += gain[i];
            squares += gain[i] * gain[i];
        }
        count += c->node.report_count;
    }
    return ramify_verdict_of(sum, squares, count);
}

static bool is_untested(const ramify_growth *g) {
    return g->level <= g->plan->untested_levels;
}

/* Adds the gains, over their judges, of the nodes on trial that are not split further. */
static ramify_status add_unsplit(const ramify_growth *g, uint32_t first, uint32_t end,
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
static ramify_status judge_level(ramify_growth *g, uint32_t first, uint32_t end) {
    ramify_verdict level = {0};
    for (uint32_t i = 0; i < g->split_count; i++) {
        ramify_node_split *s = &g->splits[i];
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
        ramify_node_split *s = &g->splits[i];
        s->stands =
            s->found >= 2 && (is_untested(g) || (won && s->verdict.gain > 0) ||
                              (!pair && ramify_verdict_wins(s->verdict, g->plan->split_threshold)));
    }
    return RAMIFY_OK;
}

static void release_rows(ramify_growth *g, ramify_grown_node *node) {
    ramify_release(g->problem->context, node->rows);
    node->rows = NULL;
}

/* on_trial: the parent's rows are kept, for the split may be undone, and the judge stays. */
static ramify_status keep_split(ramify_growth *g, ramify_node_split *s, bool on_trial) {
    ramify_grown *grown = g->grown;
    uint32_t first = grown->node_count;
    for (uint32_t k = 0; k < s->found; k++) {
        ramify_candidate *c = &s->child[k];
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

static void open_trial(ramify_growth *g, uint32_t first, uint32_t end) {
    const ramify_grown *grown = g->grown;
    g->trial = (ramify_trial){.open = true,
                              .first = first,
                              .end = end,
                              .node_count = grown->node_count,
                              .module_count = grown->module_count,
                              .leaf_count = grown->leaf_count};
}

/* The level on trial stands, or is taken back with all that is below it. */
static void close_trial(ramify_growth *g, bool stands) {
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
    const ramify_candidate *x = *(ramify_candidate *const *)a, *y = *(ramify_candidate *const *)b;
    if (x->node.train_count != y->node.train_count)
        return x->node.train_count > y->node.train_count ? -1 : 1;
    return (x->node.key > y->node.key) - (x->node.key < y->node.key);
}

static ramify_status open_level(ramify_growth *g, uint32_t first, uint32_t end) {
    const ramify_grow_plan *plan = g->plan;
    ramify_context *context = g->problem->context;
    g->splits = ramify_allocate_zeroed(context, end - first, sizeof *g->splits);
    if (!g->splits)
        return RAMIFY_ERROR_MEMORY;
    uint32_t arity = plan->partition == RAMIFY_PARTITION_DYADIC ? 2 : plan->arity;
    uint32_t leaves = g->grown->leaf_count;
    for (uint32_t i = first; i < end; i++) {
        const ramify_grown_node *node = &g->grown->nodes[i];
        if (node->train_count < plan->smallest_node || node->train_count < 2 * RAMIFY_CHILD_ROWS)
            continue;
        if (plan->leaves && leaves + arity - 1 > plan->leaves)
            break;
        leaves += arity - 1;
        g->splits[g->split_count++].node = i;
    }
    RAMIFY_TRY(ramify_parallel(context, g->split_count, ramify_growth_place, g));
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
static void meter_level(ramify_growth *g) {
    double rows = 0;
    for (uint32_t i = 0; i < g->candidate_count; i++)
        if (g->order[i]->node.train_count >= RAMIFY_CHILD_ROWS)
            rows += (double)g->order[i]->node.train_count;
    g->meter.stage = "growing the tree";
    g->meter.total = rows * (1 + g->plan->borrow) * g->plan->expert.epochs;
    atomic_store(&g->meter.done, 0);
}

/* Keeps the splits that stand; where none does, all of them on trial, if another level may mend it. */
static ramify_status keep_splits(ramify_growth *g, uint32_t first, uint32_t end) {
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
        ramify_node_split *s = &g->splits[i];
        if (s->stands || (on_trial && s->found >= 2))
            RAMIFY_TRY(keep_split(g, s, on_trial));
        g->grown->accepted += s->stands;
    }
    return RAMIFY_OK;
}

static ramify_status grow_level(ramify_growth *g, uint32_t first, uint32_t end) {
    ramify_status status = open_level(g, first, end);
    if (status != RAMIFY_OK) {
        splits_clear(g);
        return status;
    }
    meter_level(g);
    status = ramify_growth_tune(g);
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

static ramify_status score_leaves(ramify_growth *g) {
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
    ramify_growth g = {
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

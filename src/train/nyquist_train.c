/* Growing a tree of boxes. */

#include "memory.h"
#include "nyquist_cut.h"
#include "nyquist_options.h"
#include "order.h"
#include "progress.h"
#include "recipe.h"
#include "residency.h"
#include "status.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Operations of a fit, 2 x rows x terms^2, up to which terms of a chosen band are tried: some seconds of
 * a core. So many terms are tried in any case, and so many at most. */
#define FIT_OPERATIONS 2e11
#define TERMS_LEAST    1024
#define TERMS_MOST     4096
/* Levels below the root. */
#define DEPTH_MOST 20
/* The error, of standardised targets, below which a box is as good as rounding allows. */
#define PERFECT 1e-13
/* Bytes of a record and its values that are worth a model. */
#define LEAST_SERIES 2048
/* Rows that are looked at for outliers, at most; the share at either end that may be some; and the share
 * of the box below which the others are so close together that a series hardly tells them apart. */
#define OUTLIER_ROWS  10000
#define OUTLIER_SHARE 0.01
#define CLOSE_SHARE   0.01

/* A basis that is asked for is that of columns without a period: there must be some, and for fourier,
 * which is that of the others, none. */
static ramify_status check_basis(const ramify_growth *g, const ramify_series_axis *axis) {
    const char *basis = g->options->basis;
    if (!basis || g->made->axes == 0)
        return RAMIFY_OK;
    uint32_t plain = 0;
    while (plain < g->made->axes && axis[plain].basis == RAMIFY_BASIS_FOURIER)
        plain++;
    const bool fourier = strcmp(basis, "fourier") == 0, some = plain < g->made->axes;
    if (fourier && some) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        const char *name = g->problem->schema->columns[axis[plain].column].name;
        return ramify_fail(g->data.context, RAMIFY_ERROR_ARGUMENT,
                           "basis is fourier, and column \"%s\" has no period: give it one "
                           "(--period), or leave basis out, which is of columns without",
                           ramify_text_excerpt(name, strlen(name), excerpt));
    }
    if (!fourier && !some)
        return ramify_fail(g->data.context, RAMIFY_ERROR_ARGUMENT,
                           "basis is %s, and all columns that vary have a period, "
                           "which makes them fourier: leave basis out",
                           basis);
    return RAMIFY_OK;
}

/* The box of the table's rows: columns that vary, with their range, or their period. Rows that report
 * are inside, too: what they are scored by are predictions, not continuations beyond a border. */
static ramify_status find_box(ramify_growth *g, ramify_series_axis *axis) {
    const ramify_schema *schema = g->problem->schema;
    ramify_context *context = g->data.context;
    const char *basis = g->options->basis ? g->options->basis : "chebyshev";
    uint32_t kind = (uint32_t)ramify_name_place(basis, ramify_basis_names, RAMIFY_BASES);
    if (kind == RAMIFY_BASIS_FOURIER)
        kind = RAMIFY_BASIS_CHEBYSHEV; /* refused below */
    for (uint32_t c = 0; c < schema->column_count; c++) {
        double low = schema->columns[c].low, high = schema->columns[c].high;
        if (!(low < high))
            continue;
        if (!ramify_series_range_usable(low, high)) {
            char excerpt[RAMIFY_EXCERPT_BYTES];
            const char *name = schema->columns[c].name;
            return ramify_fail(context, RAMIFY_ERROR_DATA,
                               "column \"%s\" runs from %g to %g, which is too far or too little "
                               "for a series: scale it, or leave it out (--drop)",
                               ramify_text_excerpt(name, strlen(name), excerpt), low, high);
        }
        if (g->made->axes == RAMIFY_SERIES_AXES_MAX)
            return ramify_fail(
                context, RAMIFY_ERROR_LIMIT,
                "a series of more than %d columns that vary: leave some out (--drop)",
                RAMIFY_SERIES_AXES_MAX);
        ramify_series_axis *to = &axis[g->made->axes++];
        if (g->period[c] > 0)
            *to = (ramify_series_axis){
                .origin = low, .length = g->period[c], .column = c, .basis = RAMIFY_BASIS_FOURIER};
        else
            *to = ramify_series_axis_over(c, kind, low, high, g->rows);
    }
    return check_basis(g, axis);
}

/* One line about the first column with values far from all others: they make the box, and a series over
 * it is nearly constant where the rows are. */
static ramify_status warn_of_outliers(const ramify_growth *g, const ramify_series_axis *axis) {
    ramify_context *context = g->data.context;
    const size_t count = ramify_smaller(g->rows, OUTLIER_ROWS);
    const size_t end = (size_t)(OUTLIER_SHARE * (double)count) + 1;
    if (count <= 2 * end || g->problem->far.column) /* a single one has been told of */
        return RAMIFY_OK;
    uint32_t *table = ramify_allocate(context, count, sizeof *table);
    double *x = ramify_allocate(context, count, sizeof *x);
    ramify_status status = table && x ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++)
        table[i] = g->table_row[i * g->rows / count];
    bool found = false;
    for (uint32_t a = 0; status == RAMIFY_OK && !found && a < g->made->axes; a++) {
        if (axis[a].basis == RAMIFY_BASIS_FOURIER)
            continue; /* its length is told, not read off rows */
        ramify_match_column(g->data.match, axis[a].column, table, 0, count, x, 1);
        qsort(x, count, sizeof *x, ramify_ascending);
        const double low = x[end], high = x[count - 1 - end];
        /* Where they are all the same there is nothing to tell apart. */
        found = low < high && high - low < CLOSE_SHARE * axis[a].length;
        if (!found)
            continue;
        const ramify_schema_column *column = &g->problem->schema->columns[axis[a].column];
        char excerpt[RAMIFY_EXCERPT_BYTES];
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "nearly all rows have %g to %g in column \"%s\", which runs from %g to %g: a "
                   "series over such a range hardly tells them apart; drop the rows far away, or "
                   "transform the column",
                   low, high, ramify_text_excerpt(column->name, strlen(column->name), excerpt),
                   column->low, column->high);
    }
    ramify_release(context, table);
    ramify_release(context, x);
    return status;
}

static ramify_status add_nodes(ramify_growth *g, uint32_t count) {
    ramify_nyquist *made = g->made;
    if (made->node_count + count > g->capacity) {
        uint32_t capacity = g->capacity > 0 ? 2 * g->capacity : 16;
        ramify_nyquist_node *more =
            ramify_reallocate(g->data.context, made->nodes, capacity, sizeof *more);
        if (!more)
            return RAMIFY_ERROR_MEMORY;
        made->nodes = more;
        g->capacity = capacity;
    }
    memset(made->nodes + made->node_count, 0, count * sizeof *made->nodes);
    made->node_count += count;
    return RAMIFY_OK;
}

/* Tries to cut a node; its children are at the end of the list if the cut stands. */
static ramify_status split_node(ramify_growth *g, uint32_t index) {
    ramify_context *context = g->data.context;
    const ramify_nyquist_node *node = &g->made->nodes[index];
    ramify_series_wish like = g->wish;
    like.set = (int)node->fit->report.set;
    uint64_t twice = 2 * (uint64_t)node->fit->report.terms;
    like.most_terms = twice < like.most_terms ? (uint32_t)twice : like.most_terms;
    like.insists = false;
    ramify_cut best = {0};
    float *error[2] = {NULL, NULL};
    ramify_series_fit *fit[2] = {NULL, NULL};
    ramify_status status = ramify_cut_find(g, node, &like, &best);
    bool found = status == RAMIFY_OK && best.row[0];
    for (int side = 0; side < 2 && found && status == RAMIFY_OK; side++) {
        error[side] = ramify_allocate(context, best.count[side], sizeof **error);
        status = error[side] ? ramify_box_fit(g, best.box[side], &like, best.row[side],
                                              best.count[side], error[side], &fit[side])
                             : RAMIFY_ERROR_MEMORY;
    }
    g->made->tested += found && status == RAMIFY_OK;
    double *room = ramify_allocate(context, node->count, sizeof *room);
    if (status == RAMIFY_OK && !room)
        status = RAMIFY_ERROR_MEMORY;
    bool stands = status == RAMIFY_OK && found && fit[0] && fit[1] &&
                  ramify_cut_wins(node, &best, error, room);
    ramify_release(context, room);
    if (stands) {
        uint32_t first = g->made->node_count, depth = node->depth + 1;
        status = add_nodes(g, 2);
        for (int side = 0; side < 2 && status == RAMIFY_OK; side++) {
            ramify_nyquist_node *child = &g->made->nodes[first + (uint32_t)side];
            child->depth = depth;
            child->prototype = best.prototype[side];
            child->row = best.row[side];
            child->count = best.count[side];
            memcpy(child->axis, best.box[side], sizeof child->axis);
            child->fit = fit[side];
            child->error = error[side];
            best.prototype[side] = NULL;
            best.row[side] = NULL;
            fit[side] = NULL;
            error[side] = NULL;
        }
        if (status == RAMIFY_OK) {
            ramify_nyquist_node *parent = &g->made->nodes[index];
            parent->children = 2;
            parent->first_child = first;
            ramify_release(context, parent->row);
            ramify_release(context, parent->error);
            parent->row = NULL;
            parent->error = NULL;
            g->made->leaf_count++;
        }
    }
    ramify_cut_clear(g, &best);
    for (int side = 0; side < 2; side++) {
        ramify_release(context, error[side]);
        ramify_series_fit_destroy(context, &fit[side]);
    }
    return status;
}

static bool may_split(const ramify_growth *g, const ramify_nyquist_node *node) {
    const ramify_train_options *o = g->options;
    return node->children == 0 && node->count >= 2 * (size_t)g->smallest &&
           node->depth < g->deepest && node->fit->report.error > PERFECT &&
           (o->leaves == 0 || g->made->leaf_count < o->leaves) && !ramify_late(g->wish.deadline);
}

static ramify_status make_root(ramify_growth *g) {
    RAMIFY_TRY(add_nodes(g, 1));
    ramify_nyquist_node *root = &g->made->nodes[0];
    root->row = ramify_allocate(g->data.context, g->rows, sizeof *root->row);
    root->error = ramify_allocate(g->data.context, g->rows, sizeof *root->error);
    if (!root->row || !root->error)
        return RAMIFY_ERROR_MEMORY;
    root->count = g->rows;
    for (size_t i = 0; i < g->rows; i++)
        root->row[i] = (uint32_t)i;
    RAMIFY_TRY(find_box(g, root->axis));
    RAMIFY_TRY(warn_of_outliers(g, root->axis));
    g->wish.axes = g->made->axes;
    g->made->leaf_count = 1;
    RAMIFY_TRY(
        ramify_box_fit(g, root->axis, &g->wish, root->row, root->count, root->error, &root->fit));
    if (!root->fit)
        return ramify_fail(g->data.context, RAMIFY_ERROR_LIMIT,
                           "the time limit passed before a series of band %u was fitted: allow "
                           "more time (--time-limit), or use a smaller band (--band)",
                           g->options->band);
    const ramify_series_report *report = &root->fit->report;
    ramify_log(g->data.context, RAMIFY_LOG_INFO,
               "band %u of the %s set, %u terms for %zu rows: error %.3g of rows left out",
               report->band, ramify_set_names[report->set], report->terms, g->rows, report->error);
    return RAMIFY_OK;
}

/* What the bound leaves for a record and what running it takes, beside the rest of the model; 0: there
 * is no bound. */
static ramify_status spare_bytes(ramify_growth *g, uint32_t columns, uint64_t *spare) {
    const ramify_problem *problem = g->problem;
    uint64_t allowed = ramify_train_resident(g->options);
    *spare = 0;
    g->deepest = DEPTH_MOST;
    if (allowed == 0)
        return RAMIFY_OK;
    /* Twice the levels of even halves. */
    uint32_t levels = 0;
    for (size_t rows = g->rows; rows / 2 >= g->smallest && levels < DEPTH_MOST / 4; rows /= 2)
        levels++;
    g->deepest = g->options->leaves != 1 ? 2 * levels : 0;
    const ramify_module_shape module = {
        .type = ramify_module_type_find("bandlimited"),
        .series = {.columns = columns, .outputs = problem->targets}};
    const uint64_t schema = ramify_schema_bytes(problem->schema);
    const ramify_need_of of = {.schema_bytes = schema,
                               .config_bytes = RAMIFY_TRAINED_CONFIG_BYTES +
                                               RAMIFY_NYQUIST_REPORT_BYTES(columns) + schema,
                               .stem = &problem->stem,
                               .targets = problem->targets,
                               .shape = &module,
                               .series = &module.series,
                               .depth = g->deepest,
                               .arity = g->deepest > 0 ? 2 : 0};
    uint64_t need = ramify_resident_need(&of).total;
    if (need + LEAST_SERIES > allowed)
        return ramify_fail(problem->context, RAMIFY_ERROR_LIMIT,
                           "no series of these %u columns fits in %llu resident bytes: allow at "
                           "least %llu (--resident)",
                           columns, (unsigned long long)allowed,
                           (unsigned long long)(need + LEAST_SERIES));
    *spare = allowed - need;
    return RAMIFY_OK;
}

static uint32_t terms_worth(size_t rows) {
    double terms = sqrt(FIT_OPERATIONS / 2 / (double)rows);
    return (uint32_t)fmin(fmax(terms, TERMS_LEAST), TERMS_MOST);
}

static ramify_status open_growth(ramify_growth *g, const ramify_split *split, double deadline) {
    const ramify_problem *problem = g->problem;
    const ramify_train_options *o = g->options;
    ramify_context *context = problem->context;
    char room[RAMIFY_OBSTACLE_BYTES];
    const char *obstacle = ramify_nyquist_obstacle(problem, room);
    if (obstacle)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "series are fitted to numbers without gaps, and %s: use kind pathways",
                           obstacle);
    uint32_t *rows = ramify_allocate(context, g->rows, sizeof *rows);
    double *period = ramify_allocate(context, g->data.columns, sizeof *period);
    g->table_row = rows;
    g->period = period;
    if (!rows || !period)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(ramify_periods_read(context, o->period, g->data.columns, period));
    memcpy(rows, split->train, split->train_count * sizeof *rows);
    memcpy(rows + split->train_count, split->select, split->select_count * sizeof *rows);
    g->wish = (ramify_series_wish){
        .set = o->index_set ? ramify_name_place(o->index_set, ramify_set_names, RAMIFY_SETS) : -1,
        .band = o->band > 0 ? (int64_t)o->band : -1,
        .ridge = o->ridge,
        .bytes = o->precision && strcmp(o->precision, "float32") == 0 ? 4 : 8,
        .refuses = o->outside && strcmp(o->outside, "refuse") == 0,
    };
    g->wish.most_terms = terms_worth(g->rows);
    g->wish.deadline = deadline;
    g->wish.insists = true;
    return spare_bytes(g, g->data.columns, &g->wish.most_both);
}

ramify_status ramify_nyquist_prepare(ramify_problem *problem, const ramify_train_options *options) {
    ramify_context *context = problem->context;
    const uint32_t columns = problem->stem.columns;
    if (!options->period)
        return RAMIFY_OK;
    double *period = ramify_allocate(context, columns, sizeof *period);
    ramify_status status = period ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_periods_read(context, options->period, columns, period);
    for (uint32_t c = 0; status == RAMIFY_OK && c < columns; c++) {
        const ramify_schema_column *column = &problem->schema->columns[c];
        if (!(period[c] > 0) || column->categorical || !(column->low < column->high))
            continue;
        problem->scale[c] = RAMIFY_STEM_REPEATS;
        for (size_t row = 0; row < problem->rows; row++)
            problem->plain[row * problem->plain_stride + problem->column[c].plain] = 0;
    }
    ramify_stem_classify(&problem->stem);
    ramify_release(context, period);
    return status;
}

ramify_status ramify_nyquist_train(const ramify_problem *problem, const ramify_match *match,
                                   const ramify_split *split, const ramify_column *weight,
                                   const ramify_train_options *options, double deadline,
                                   ramify_nyquist **trained) {
    ramify_context *context = problem->context;
    ramify_growth g = {.problem = problem,
                       .options = options,
                       .data = ramify_series_data_of(problem, match, split, weight),
                       .rows = split->train_count + split->select_count,
                       .smallest = options->smallest_node};
    *trained = NULL;
    ramify_status status = open_growth(&g, split, deadline);
    g.made = status == RAMIFY_OK ? ramify_allocate_zeroed(context, 1, sizeof *g.made) : NULL;
    if (status == RAMIFY_OK && !g.made)
        status = RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        g.made->context = context;
        status = make_root(&g);
    }
    for (uint32_t i = 0; status == RAMIFY_OK && i < g.made->node_count; i++) {
        ramify_progress_report(context, "boxes", i, g.made->node_count);
        if (may_split(&g, &g.made->nodes[i]))
            status = split_node(&g, i);
    }
    ramify_release(context, (void *)g.table_row);
    ramify_release(context, (void *)g.period);
    bool root = g.made && g.made->node_count > 0 && g.made->nodes[0].fit;
    if (status != RAMIFY_OK && !(status == RAMIFY_STOPPED && root))
        ramify_nyquist_destroy(&g.made);
    *trained = g.made;
    if (status == RAMIFY_OK)
        ramify_log(context, RAMIFY_LOG_INFO, "%u leaves, %u cuts tried", g.made->leaf_count,
                   g.made->tested);
    return status;
}

void ramify_nyquist_destroy(ramify_nyquist **trained) {
    if (!*trained)
        return;
    ramify_context *context = (*trained)->context;
    for (uint32_t i = 0; i < (*trained)->node_count; i++) {
        ramify_nyquist_node *node = &(*trained)->nodes[i];
        ramify_release(context, node->prototype);
        ramify_release(context, node->row);
        ramify_release(context, node->error);
        ramify_series_fit_destroy(context, &node->fit);
    }
    ramify_release(context, (*trained)->nodes);
    ramify_release(context, *trained);
    *trained = NULL;
}

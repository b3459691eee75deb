#include "leaf_series.h"
#include "memory.h"
#include "model.h"
#include "paired.h"
#include "predict.h"
#include "progress.h"
#include "recipe.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Standard errors by which a series must win, and its least gain of the mean squared error: a network
 * that is as good extrapolates more tamely. */
#define THRESHOLD 2.0
#define GAIN      0.02
/* Rows of a leaf that a series is fitted to at least, and rows of the comparison. */
#define LEAST_ROWS  32
#define LEAST_PAIRS 12
/* Terms at most. */
#define TERMS_MOST 512

#define BLOCK_ROWS 1024

/* Squared errors of rows, in standard deviations of the targets, a mean over these. */
static double square_of(const ramify_problem *problem, const ramify_match *match, uint32_t row,
                        const double *y) {
    double sum = 0;
    for (uint32_t t = 0; t < problem->targets; t++) {
        double off = (ramify_match_target(match, t, row) - y[t]) / problem->head_scale[t];
        sum += off * off / problem->targets;
    }
    return sum;
}

/* The table's rows in the order of the problem: train, select, report. */
static uint32_t *all_rows(const ramify_problem *problem, const ramify_split *split) {
    uint32_t *rows = ramify_allocate(problem->context, problem->rows, sizeof *rows);
    if (!rows)
        return NULL;
    memcpy(rows, split->train, split->train_count * sizeof *rows);
    memcpy(rows + split->train_count, split->select, split->select_count * sizeof *rows);
    memcpy(rows + split->train_count + split->select_count, split->report,
           split->report_count * sizeof *rows);
    return rows;
}

/* leaf[count] and error[count] of a model at rows of the table. */
static ramify_status measure(const ramify_problem *problem, ramify_model *model,
                             const ramify_match *match, const uint32_t *row, size_t count,
                             uint32_t *leaf, double *error) {
    ramify_context *context = problem->context;
    uint32_t columns = problem->stem.columns, targets = problem->targets;
    double *x = ramify_allocate(context, BLOCK_ROWS, columns * sizeof *x);
    double *y = ramify_allocate(context, BLOCK_ROWS, targets * sizeof *y);
    float *nearness = ramify_allocate(context, BLOCK_ROWS, sizeof *nearness);
    ramify_predictor *predictor = NULL;
    ramify_status status = x && y && nearness ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_predictor_create_inside(context, model, BLOCK_ROWS, &predictor);
    for (size_t first = 0; first < count && status == RAMIFY_OK; first += BLOCK_ROWS) {
        size_t rows = ramify_smaller(count - first, BLOCK_ROWS);
        ramify_match_rows(match, row + first, 0, rows, x);
        status = ramify_predictor_place(predictor, rows, x, columns, y, leaf + first, nearness);
        for (size_t i = 0; i < rows && status == RAMIFY_OK; i++)
            error[first + i] = square_of(problem, match, row[first + i], y + i * targets);
    }
    ramify_predictor_destroy(&predictor);
    ramify_release(context, x);
    ramify_release(context, y);
    ramify_release(context, nearness);
    return status;
}

static bool wins(const ramify_paired *pairs) {
    return pairs->count >= LEAST_PAIRS && ramify_paired_wins(pairs, THRESHOLD, GAIN);
}

/* ---- single leaves ---- */

typedef struct choosing {
    const ramify_problem *problem;
    const ramify_train_options *options;
    ramify_model *model;
    ramify_series_data data;
    ramify_series_wish wish;
    bool everywhere;
    const uint32_t *row; /* table rows in the order of the problem */
    double *error;       /* of these, the network's */
    uint32_t *order;     /* problem rows, leaf after leaf, in their order */
    double *x;           /* rows of a leaf's report part x columns, and outputs */
    uint32_t small;      /* leaves with too few rows */
    uint32_t narrow;     /* leaves whose series leave columns out that vary */
} choosing;

/* The box of rows: *axes of the *varying columns that vary. */
static ramify_status find_box(const choosing *c, const uint32_t *table, size_t count,
                              ramify_series_axis *axis, uint32_t *axes, uint32_t *varying) {
    ramify_context *context = c->data.context;
    double *x = ramify_allocate(context, count, sizeof *x);
    if (!x)
        return RAMIFY_ERROR_MEMORY;
    *axes = *varying = 0;
    for (uint32_t column = 0; column < c->data.columns; column++) {
        ramify_match_column(c->data.match, column, table, 0, count, x, 1);
        double low = x[0], high = x[0];
        for (size_t i = 1; i < count; i++) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
        *varying += low < high;
        if (low < high && *axes < RAMIFY_SERIES_AXES_MAX && ramify_series_range_usable(low, high))
            axis[(*axes)++] =
                ramify_series_axis_over(column, RAMIFY_BASIS_CHEBYSHEV, low, high, count);
    }
    ramify_release(context, x);
    return RAMIFY_OK;
}

/* A series needs no more memory than the networks' modules and what the bound leaves. */
static void set_bounds(choosing *c) {
    const ramify_model *model = c->model;
    uint64_t allowed = ramify_train_resident(c->options);
    if (allowed == 0)
        return;
    uint64_t spare = allowed > model->need.total ? allowed - model->need.total : 0;
    c->wish.most_record = model->need.module + spare / 2;
    c->wish.most_scratch = model->shape.type->scratch_bytes(&model->shape, 1) + spare / 2;
}

/* Adds the errors of a series at rows that it was not fitted to. */
static ramify_status compare_others(choosing *c, const ramify_series_fit *fit, const uint32_t *own,
                                    size_t count, ramify_paired *to) {
    const uint32_t columns = c->data.columns, targets = c->data.targets;
    ramify_context *context = c->data.context;
    const ramify_series_shape shape = {.columns = columns,
                                       .outputs = targets,
                                       .most_bytes = (uint32_t)fit->record_bytes,
                                       .most_functions = fit->functions,
                                       .most_numbers = fit->record->terms * targets};
    void *scratch = ramify_allocate(context, ramify_series_scratch(&shape, false) + 64, 1);
    double *y = ramify_allocate(context, targets, sizeof *y);
    ramify_status status = scratch && y ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < count && status == RAMIFY_OK; i++) {
        const uint32_t row = c->row[own[i]], first = 0;
        uint32_t column;
        ramify_match_rows(c->data.match, &row, 0, 1, c->x);
        ramify_series_run(c->data.kernels, &shape, fit->record, c->x, columns, &first, 1, y,
                          scratch, &column);
        for (uint32_t t = 0; t < targets; t++)
            y[t] = c->data.head_center[t] + c->data.head_scale[t] * y[t];
        ramify_paired_add(to, c->error[own[i]], square_of(c->problem, c->data.match, row, y),
                          INFINITY);
    }
    ramify_release(context, scratch);
    ramify_release(context, y);
    return status;
}

/* own[count]: the leaf's problem rows in their order. *fit stays NULL where the network does. */
static ramify_status choose_leaf(choosing *c, const uint32_t *own, size_t count,
                                 ramify_series_fit **fit) {
    const ramify_problem *problem = c->problem;
    ramify_context *context = c->data.context;
    size_t train = problem->train.count, fitted = 0;
    while (fitted < count && own[fitted] < train + problem->select.count)
        fitted++;
    if (fitted < LEAST_ROWS) {
        c->small++;
        return RAMIFY_OK;
    }
    uint32_t *table = ramify_allocate(context, fitted, sizeof *table);
    float *error = ramify_allocate(context, fitted, sizeof *error);
    ramify_series_axis *axis = ramify_allocate(context, RAMIFY_SERIES_AXES_MAX, sizeof *axis);
    ramify_status status = table && error && axis ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    ramify_series_wish wish = c->wish;
    ramify_series_fit *made = NULL;
    uint32_t varying = 0;
    if (status == RAMIFY_OK) {
        for (size_t i = 0; i < fitted; i++)
            table[i] = c->row[own[i]];
        status = find_box(c, table, fitted, axis, &wish.axes, &varying);
        wish.axis = axis;
    }
    if (status == RAMIFY_OK)
        status = ramify_series_fit_rows(&c->data, &wish, table, fitted, error, &made);
    ramify_paired test = {0};
    for (size_t i = 0; status == RAMIFY_OK && i < fitted; i++)
        if (own[i] >= train)
            ramify_paired_add(&test, c->error[own[i]], error[i], INFINITY);
    if (status == RAMIFY_OK)
        status = compare_others(c, made, own + fitted, count - fitted, &test);
    if (status == RAMIFY_OK && (c->everywhere || wins(&test))) {
        *fit = made;
        made = NULL;
        c->narrow += wish.axes < varying;
    }
    ramify_series_fit_destroy(context, &made);
    ramify_release(context, table);
    ramify_release(context, error);
    ramify_release(context, axis);
    return status;
}

/* first[leaves + 1]: where each leaf's rows begin in c->order. */
static void sort_by_leaf(choosing *c, const uint32_t *leaf, uint32_t leaves, size_t *first) {
    memset(first, 0, ((size_t)leaves + 1) * sizeof *first);
    for (size_t i = 0; i < c->problem->rows; i++)
        first[leaf[i] + 1]++;
    for (uint32_t l = 0; l < leaves; l++)
        first[l + 1] += first[l];
    for (size_t i = 0; i < c->problem->rows; i++)
        c->order[first[leaf[i]]++] = (uint32_t)i;
    memmove(first + 1, first, leaves * sizeof *first);
    first[0] = 0;
}

static ramify_status choose_all(choosing *c, const ramify_match *match, ramify_leaf_series *made) {
    const ramify_problem *problem = c->problem;
    ramify_context *context = problem->context;
    uint32_t *leaf = ramify_allocate(context, problem->rows, sizeof *leaf);
    size_t *first = ramify_allocate(context, (size_t)made->leaves + 1, sizeof *first);
    ramify_status status = leaf && first ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = measure(problem, c->model, match, c->row, problem->rows, leaf, c->error);
    if (status == RAMIFY_OK)
        sort_by_leaf(c, leaf, made->leaves, first);
    for (uint32_t l = 0; l < made->leaves && status == RAMIFY_OK; l++) {
        ramify_progress_report(context, "series", l, made->leaves);
        status = choose_leaf(c, c->order + first[l], first[l + 1] - first[l], &made->fit[l]);
        made->taken += made->fit[l] != NULL;
    }
    ramify_release(context, leaf);
    ramify_release(context, first);
    return status;
}

/* What was asked for and not done. */
static void warn_of_leaves(const choosing *c, uint32_t leaves) {
    if (c->everywhere && c->small > 0)
        ramify_log(c->data.context, RAMIFY_LOG_WARNING,
                   "%u of %u leaves have fewer than %d rows to fit a series to, and keep their "
                   "networks (--smallest-node makes leaves larger)",
                   c->small, leaves, LEAST_ROWS);
    if (c->narrow > 0)
        ramify_log(c->data.context, RAMIFY_LOG_WARNING,
                   "series at %u of %u leaves leave columns out: they take the first %d that vary, "
                   "if not by too much or too little (--drop chooses)",
                   c->narrow, leaves, RAMIFY_SERIES_AXES_MAX);
}

ramify_status ramify_leaf_series_choose(const ramify_problem *problem, ramify_model *model,
                                        const ramify_match *match, const ramify_split *split,
                                        const ramify_column *weight,
                                        const ramify_train_options *options, double deadline,
                                        bool everywhere, ramify_leaf_series **chosen) {
    ramify_context *context = problem->context;
    *chosen = NULL;
    choosing c = {.problem = problem,
                  .options = options,
                  .model = model,
                  .everywhere = everywhere,
                  .data = ramify_series_data_of(problem, match, split, weight),
                  .wish = {.set = -1, .band = -1, .ridge = -1, .bytes = sizeof(double)}};
    c.wish.most_terms = TERMS_MOST;
    c.wish.deadline = deadline;
    c.wish.insists = true;
    set_bounds(&c);
    ramify_leaf_series *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (made) {
        made->context = context;
        made->leaves = (uint32_t)model->limits.leaves;
        made->fit = ramify_allocate_zeroed(context, made->leaves, sizeof(ramify_series_fit *));
    }
    uint32_t *row = all_rows(problem, split);
    c.row = row;
    c.error = ramify_allocate(context, problem->rows, sizeof *c.error);
    c.order = ramify_allocate(context, problem->rows, sizeof *c.order);
    c.x = ramify_allocate(context, c.data.columns, sizeof *c.x);
    ramify_status status =
        made && made->fit && row && c.error && c.order && c.x ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = choose_all(&c, match, made);
    if (status == RAMIFY_OK)
        warn_of_leaves(&c, made->leaves);
    ramify_release(context, row);
    ramify_release(context, c.error);
    ramify_release(context, c.order);
    ramify_release(context, c.x);
    if (status == RAMIFY_OK)
        *chosen = made;
    else
        ramify_leaf_series_destroy(&made);
    return status;
}

void ramify_leaf_series_destroy(ramify_leaf_series **chosen) {
    if (!*chosen)
        return;
    ramify_leaf_series *old = *chosen;
    for (uint32_t l = 0; old->fit && l < old->leaves; l++)
        ramify_series_fit_destroy(old->context, &old->fit[l]);
    ramify_release(old->context, (void *)old->fit);
    ramify_release(old->context, old);
    *chosen = NULL;
}

/* ---- a tree of boxes ---- */

ramify_status ramify_nyquist_beats(const ramify_problem *problem, const ramify_nyquist *nyquist,
                                   ramify_model *model, const ramify_match *match,
                                   const ramify_split *split, bool *better) {
    ramify_context *context = problem->context;
    const size_t train = problem->train.count, fitted = train + problem->select.count;
    uint32_t *row = all_rows(problem, split);
    uint32_t *leaf = ramify_allocate(context, problem->rows, sizeof *leaf);
    double *was = ramify_allocate(context, problem->rows, sizeof *was);
    double *now = ramify_allocate(context, problem->rows, sizeof *now);
    ramify_status status = row && leaf && was && now ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    ramify_model *series = NULL;
    json_t *none = json_object();
    if (status == RAMIFY_OK)
        status = ramify_nyquist_finish(problem, nyquist, NULL, none, &series);
    json_decref(none);
    const size_t count = problem->rows - train, report = problem->rows - fitted;
    if (status == RAMIFY_OK)
        status = measure(problem, model, match, row + train, count, leaf, was + train);
    if (status == RAMIFY_OK)
        status = measure(problem, series, match, row + fitted, report, leaf, now + fitted);
    for (uint32_t i = 0; status == RAMIFY_OK && i < nyquist->node_count; i++) {
        const ramify_nyquist_node *node = &nyquist->nodes[i];
        for (size_t r = 0; node->row && r < node->count; r++)
            if (node->row[r] >= train)
                now[node->row[r]] = (double)node->error[r];
    }
    ramify_paired test = {0};
    for (size_t i = train; status == RAMIFY_OK && i < problem->rows; i++)
        ramify_paired_add(&test, was[i], now[i], INFINITY);
    *better = status == RAMIFY_OK && wins(&test);
    ramify_close(&series);
    ramify_release(context, row);
    ramify_release(context, leaf);
    ramify_release(context, was);
    ramify_release(context, now);
    return status;
}

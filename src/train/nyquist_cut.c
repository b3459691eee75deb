/* A cut is tried in the middle of every axis; the best of these is fitted in full. */

#include "nyquist_cut.h"
#include "memory.h"
#include "order.h"
#include "paired.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Terms with which cuts are tried on the way to choosing one. */
#define CUT_TERMS 256
/* Rows of a half on which cuts are tried. */
#define CUT_ROWS 4096
/* Standard errors by which a cut must win, and the least gain of the mean squared error. */
#define CUT_THRESHOLD 1.0
#define CUT_GAIN      0.02
/* In the test no square counts for more than so many times their median. */
#define CAP 100.0
/* Rows of the comparison at least. */
#define LEAST_PAIRS 12
/* A half with a smaller share of the rows than this is cut at the median instead. */
#define LEAST_SHARE 0.2
/* Inner borders are moved outwards by this share of the box: which side a row is on is decided in
 * float32. */
#define OVERLAP 1e-5

/* Table rows of a node. */
static void list_rows(const ramify_growth *g, const uint32_t *row, size_t count, uint32_t *table) {
    for (size_t i = 0; i < count; i++)
        table[i] = g->table_row[row[i]];
}

ramify_status ramify_box_fit(const ramify_growth *g, const ramify_series_axis *axis,
                             const ramify_series_wish *like, const uint32_t *row, size_t count,
                             float *error, ramify_series_fit **fit) {
    ramify_series_wish wish = *like;
    wish.axis = axis;
    uint32_t *table = ramify_allocate(g->data.context, count, sizeof *table);
    if (!table)
        return RAMIFY_ERROR_MEMORY;
    list_rows(g, row, count, table);
    ramify_status status = ramify_series_fit_rows(&g->data, &wish, table, count, error, fit);
    ramify_release(g->data.context, table);
    return status;
}

void ramify_cut_clear(const ramify_growth *g, ramify_cut *c) {
    for (int i = 0; i < 2; i++) {
        ramify_release(g->data.context, c->prototype[i]);
        ramify_release(g->data.context, c->row[i]);
        c->prototype[i] = NULL;
        c->row[i] = NULL;
    }
}

static double plain_of(const ramify_problem *problem, uint32_t column, double x) {
    return (x - problem->center[column]) / problem->scale[column];
}

/* Two points beside the cut and opposite each other: their middle plane is the cut. */
static ramify_status place_prototypes(const ramify_growth *g, const ramify_nyquist_node *node,
                                      ramify_cut *c) {
    const ramify_problem *problem = g->problem;
    for (int side = 0; side < 2; side++) {
        c->prototype[side] =
            ramify_allocate_zeroed(g->data.context, problem->plain_stride, sizeof(float));
        if (!c->prototype[side])
            return RAMIFY_ERROR_MEMORY;
        for (uint32_t a = 0; a < g->made->axes; a++) {
            const ramify_series_axis *axis = &node->axis[a];
            double x = axis->origin + axis->length / 2;
            if (a == c->axis)
                x = c->at + (side == 0 ? -0.25 : 0.25) * axis->length;
            c->prototype[side][problem->stem.column[axis->column].plain] =
                (float)plain_of(problem, axis->column, x);
        }
    }
    return RAMIFY_OK;
}

static void share_box(const ramify_growth *g, const ramify_nyquist_node *node, ramify_cut *c) {
    for (int side = 0; side < 2; side++) {
        memcpy(c->box[side], node->axis, g->made->axes * sizeof *node->axis);
        ramify_series_axis *axis = &c->box[side][c->axis];
        double low = axis->origin, high = axis->origin + axis->length;
        double more = OVERLAP * axis->length;
        *(side == 0 ? &high : &low) = side == 0 ? c->at + more : c->at - more;
        axis->origin = low;
        axis->length = high - low;
    }
}

/* Deals the node's rows to the sides, as prediction will. */
static ramify_status share_rows(const ramify_growth *g, const ramify_nyquist_node *node,
                                ramify_cut *c) {
    const ramify_problem *problem = g->problem;
    ramify_context *context = g->data.context;
    size_t stride = problem->plain_stride;
    float *both = ramify_allocate(context, 2 * stride, sizeof *both);
    uint32_t *child = ramify_allocate(context, node->count, sizeof *child);
    for (int side = 0; side < 2; side++)
        c->row[side] = ramify_allocate(context, node->count, sizeof **c->row);
    ramify_status status =
        both && child && c->row[0] && c->row[1] ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        memcpy(both, c->prototype[0], stride * sizeof *both);
        memcpy(both + stride, c->prototype[1], stride * sizeof *both);
        status = ramify_prototypes_assign(problem, problem->plain, stride, problem->stem.plain,
                                          (ramify_rows){node->row, node->count}, both, 2, child);
    }
    c->count[0] = c->count[1] = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < node->count; i++)
        c->row[child[i]][c->count[child[i]]++] = node->row[i];
    ramify_release(context, both);
    ramify_release(context, child);
    return status;
}

/* The middle of the axis, or the median row where the middle leaves one side nearly empty. */
static ramify_status place_cut(const ramify_growth *g, const ramify_nyquist_node *node,
                               ramify_cut *c) {
    const ramify_series_axis *axis = &node->axis[c->axis];
    ramify_context *context = g->data.context;
    uint32_t *table = ramify_allocate(context, node->count, sizeof *table);
    double *x = ramify_allocate(context, node->count, sizeof *x);
    ramify_status status = table && x ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    c->at = axis->origin + axis->length / 2;
    if (status == RAMIFY_OK) {
        size_t below = 0;
        list_rows(g, node->row, node->count, table);
        ramify_match_column(g->data.match, axis->column, table, 0, node->count, x, 1);
        for (size_t i = 0; i < node->count; i++)
            below += x[i] < c->at;
        double share = (double)below / (double)node->count;
        if (share < LEAST_SHARE || share > 1 - LEAST_SHARE) {
            qsort(x, node->count, sizeof *x, ramify_ascending);
            c->at = x[node->count / 2];
        }
    }
    ramify_release(context, table);
    ramify_release(context, x);
    return status;
}

/* Sum of squared errors of a cut's two sides, with few terms and rows; infinite past the deadline. */
static ramify_status try_cut(const ramify_growth *g, const ramify_series_wish *like,
                             ramify_cut *c) {
    ramify_series_wish wish = *like;
    wish.most_terms = wish.most_terms < CUT_TERMS ? wish.most_terms : CUT_TERMS;
    wish.ridge = 0;
    c->squares = 0;
    for (int side = 0; side < 2; side++) {
        size_t some = ramify_smaller(c->count[side], CUT_ROWS);
        uint32_t *row = ramify_allocate(g->data.context, some, sizeof *row);
        if (!row)
            return RAMIFY_ERROR_MEMORY;
        for (size_t i = 0; i < some; i++)
            row[i] = c->row[side][i * c->count[side] / some];
        ramify_series_fit *fit = NULL;
        ramify_status status = ramify_box_fit(g, c->box[side], &wish, row, some, NULL, &fit);
        ramify_release(g->data.context, row);
        if (status != RAMIFY_OK || !fit) {
            c->squares = INFINITY;
            ramify_series_fit_destroy(g->data.context, &fit);
            return status;
        }
        c->squares += (double)c->count[side] * fit->report.error * fit->report.error;
        ramify_series_fit_destroy(g->data.context, &fit);
    }
    return RAMIFY_OK;
}

ramify_status ramify_cut_find(const ramify_growth *g, const ramify_nyquist_node *node,
                              const ramify_series_wish *like, ramify_cut *best) {
    best->squares = INFINITY;
    for (uint32_t a = 0; a < g->made->axes; a++) {
        if (node->axis[a].basis == RAMIFY_BASIS_FOURIER)
            continue; /* half a period is not periodic */
        ramify_cut *c = ramify_allocate_zeroed(g->data.context, 1, sizeof *c);
        if (!c)
            return RAMIFY_ERROR_MEMORY;
        c->axis = a;
        ramify_status status = place_cut(g, node, c);
        if (status == RAMIFY_OK)
            status = place_prototypes(g, node, c);
        if (status == RAMIFY_OK)
            status = share_rows(g, node, c);
        bool enough =
            status == RAMIFY_OK && c->count[0] >= g->smallest && c->count[1] >= g->smallest;
        if (enough) {
            share_box(g, node, c);
            status = try_cut(g, like, c);
        }
        if (status == RAMIFY_OK && enough && c->squares < best->squares) {
            ramify_cut_clear(g, best);
            *best = *c;
            memset(c->row, 0, sizeof c->row);
            memset(c->prototype, 0, sizeof c->prototype);
        }
        ramify_cut_clear(g, c);
        ramify_release(g->data.context, c);
        RAMIFY_TRY(status);
    }
    return RAMIFY_OK;
}

/* The median of the node's squared errors; 0 where none was scored. */
static double median_error(const ramify_nyquist_node *node, double *room) {
    size_t count = 0;
    for (size_t i = 0; i < node->count; i++)
        if (!isnan(node->error[i]))
            room[count++] = (double)node->error[i];
    qsort(room, count, sizeof *room, ramify_ascending);
    return count > 0 ? room[count / 2] : 0;
}

/* Rows near a corner of the box may have errors far above all others when they are left out, which say
 * little of rows between them: here they count as often as they are, not as large. */
bool ramify_cut_wins(const ramify_nyquist_node *node, const ramify_cut *c, float *const error[2],
                     double *room) {
    const double most = CAP * median_error(node, room);
    ramify_paired pairs = {0};
    size_t at[2] = {0, 0};
    for (size_t i = 0; i < node->count; i++) {
        /* Both lists are in the same order. */
        int side = at[1] < c->count[1] && c->row[1][at[1]] == node->row[i];
        ramify_paired_add(&pairs, (double)node->error[i], (double)error[side][at[side]++], most);
    }
    return pairs.count >= LEAST_PAIRS && ramify_paired_wins(&pairs, CUT_THRESHOLD, CUT_GAIN);
}

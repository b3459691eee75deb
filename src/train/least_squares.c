#include "least_squares.h"
#include "memory.h"
#include "progress.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

#define ROWS RAMIFY_LEAST_SQUARES_ROWS
/* Columns that are eliminated together before the rest of the block hears of it: as many as make the
 * products that follow worth their passes over memory. */
#define GROUP 32
/* Columns of a task. Its rows of the block, 512 x 64 numbers, fit in the second cache. */
#define SLICE 64
/* Columns less independent than this, in the largest one's size, are none. */
#define LEAST_PART 1e-13

static size_t pad8(size_t n) {
    return (n + 7) / 8 * 8;
}

static size_t slices(size_t ld) {
    return (ld + SLICE - 1) / SLICE;
}

/* Numbers of scratch of a task: two products of GROUP x SLICE. */
#define TASK_NUMBERS ((size_t)2 * GROUP * SLICE)

uint64_t ramify_least_squares_bytes(uint32_t terms, uint32_t outputs) {
    uint64_t ld = pad8((size_t)terms + outputs);
    return (ld * (ld + ROWS) + slices(ld) * TASK_NUMBERS) * sizeof(double);
}

ramify_status ramify_least_squares_create(ramify_context *context, const ramify_kernels *kernels,
                                          uint32_t terms, uint32_t outputs,
                                          ramify_least_squares **problem) {
    *problem = NULL;
    ramify_least_squares *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->kernels = kernels;
    made->terms = terms;
    made->outputs = outputs;
    made->ld = pad8((size_t)terms + outputs);
    made->r = ramify_allocate_zeroed(context, made->ld, made->ld * sizeof *made->r);
    if (made->r) /* the largest: where it was refused nothing else is cleared in vain */
        made->block = ramify_allocate_zeroed(context, made->ld, ROWS * sizeof *made->block);
    if (made->block)
        made->work =
            ramify_allocate_zeroed(context, slices(made->ld), TASK_NUMBERS * sizeof(double));
    if (!made->r || !made->block || !made->work) {
        ramify_least_squares_destroy(&made);
        return RAMIFY_ERROR_MEMORY;
    }
    *problem = made;
    return RAMIFY_OK;
}

void ramify_least_squares_destroy(ramify_least_squares **problem) {
    if (!*problem)
        return;
    ramify_context *context = (*problem)->context;
    ramify_release(context, (*problem)->r);
    ramify_release(context, (*problem)->block);
    ramify_release(context, (*problem)->work);
    ramify_release(context, *problem);
    *problem = NULL;
}

void ramify_least_squares_clear(ramify_least_squares *p) {
    memset(p->r, 0, p->ld * p->ld * sizeof *p->r);
    p->rows = 0;
}

/* ---- taking rows ---- */

/* `width` reflectors that begin at column `column`, ready to be applied to other columns. */
typedef struct group {
    ramify_least_squares *problem;
    size_t rows, column, width;
    double t[GROUP * GROUP]; /* width x width, upper triangular */
    size_t first;            /* columns of the tasks begin here */
} group;

/* Applies them to columns first .. first + count - 1 of R and the block. */
static void apply(const group *g, size_t reflectors, size_t from, const double *t, size_t ldt,
                  size_t first, size_t count, double *work) {
    const ramify_least_squares *p = g->problem;
    const ramify_kernels *k = p->kernels;
    const size_t ld = p->ld;
    double *r = p->r + from * ld + first, *c = p->block + first, *w = work,
           *tw = work + (size_t)GROUP * SLICE;
    const double *v = p->block + from;
    for (size_t i = 0; i < reflectors; i++)
        memcpy(w + i * SLICE, r + i * ld, count * sizeof *w);
    k->matmul_double(reflectors, count, g->rows, v, 1, ld, c, ld, w, SLICE, RAMIFY_PRODUCT_ADDED);
    k->matmul_double(reflectors, count, reflectors, t, 1, ldt, w, SLICE, tw, SLICE,
                     RAMIFY_PRODUCT_ALONE);
    for (size_t i = 0; i < reflectors; i++)
        for (size_t j = 0; j < count; j++)
            r[i * ld + j] -= tw[i * SLICE + j];
    k->matmul_double(g->rows, count, reflectors, v, ld, 1, tw, SLICE, c, ld,
                     RAMIFY_PRODUCT_SUBTRACTED);
}

/* Task: a slice of the columns behind the group. */
static ramify_status apply_slice(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const group *g = argument;
    size_t first = g->first + task * SLICE;
    apply(g, g->width, g->column, g->t, GROUP, first, ramify_smaller(SLICE, g->problem->ld - first),
          g->problem->work + task * TASK_NUMBERS);
    return RAMIFY_OK;
}

/* t grows by a panel of 8 reflectors behind `done` others: its new columns are -T (V^T V_new) T_new
 * above T_new (Schreiber and Van Loan 1989). */
static void join(group *g, size_t done, const double *panel) {
    const ramify_least_squares *p = g->problem;
    const size_t ld = p->ld;
    _Alignas(64) double both[GROUP * RAMIFY_PANEL], right[GROUP * RAMIFY_PANEL];
    p->kernels->matmul_double(done, RAMIFY_PANEL, g->rows, p->block + g->column, 1, ld,
                              p->block + g->column + done, ld, both, RAMIFY_PANEL,
                              RAMIFY_PRODUCT_ALONE);
    for (size_t i = 0; i < done; i++)
        for (size_t j = 0; j < RAMIFY_PANEL; j++) {
            double sum = 0;
            for (size_t l = 0; l <= j; l++)
                sum += both[i * RAMIFY_PANEL + l] * panel[l * RAMIFY_PANEL + j];
            right[i * RAMIFY_PANEL + j] = sum;
        }
    for (size_t i = 0; i < done; i++)
        for (size_t j = 0; j < RAMIFY_PANEL; j++) {
            double sum = 0;
            for (size_t l = i; l < done; l++)
                sum -= g->t[i * GROUP + l] * right[l * RAMIFY_PANEL + j];
            g->t[i * GROUP + done + j] = sum;
        }
    for (size_t i = 0; i < RAMIFY_PANEL; i++)
        memcpy(g->t + (done + i) * GROUP + done, panel + i * RAMIFY_PANEL,
               RAMIFY_PANEL * sizeof *panel);
}

/* Eliminates the group's columns, panel by panel. */
static void eliminate(group *g) {
    ramify_least_squares *p = g->problem;
    const size_t ld = p->ld, all = (size_t)p->terms + p->outputs;
    memset(g->t, 0, sizeof g->t);
    for (size_t done = 0; done < g->width; done += RAMIFY_PANEL) {
        const size_t column = g->column + done, left = all - column;
        double panel[RAMIFY_PANEL * RAMIFY_PANEL] = {0};
        p->kernels->eliminate(g->rows, left < RAMIFY_PANEL ? left : RAMIFY_PANEL, p->block + column,
                              ld, p->r + column * ld + column, ld, panel);
        if (done + RAMIFY_PANEL < g->width)
            apply(g, RAMIFY_PANEL, column, panel, RAMIFY_PANEL, column + RAMIFY_PANEL,
                  g->width - done - RAMIFY_PANEL, p->work);
        join(g, done, panel);
    }
}

ramify_status ramify_least_squares_take(ramify_least_squares *p, uint32_t rows, uint32_t first) {
    group g = {.problem = p, .rows = rows};
    p->rows += rows;
    for (g.column = first; g.column < p->ld; g.column += g.width) {
        if (ramify_cancelled(p->context))
            return RAMIFY_STOPPED;
        p->late = p->late || ramify_late(p->deadline);
        if (p->late)
            return RAMIFY_OK;
        g.width = ramify_smaller(GROUP, p->ld - g.column);
        eliminate(&g);
        g.first = g.column + g.width;
        RAMIFY_TRY(ramify_parallel(p->context, slices(p->ld - g.first), apply_slice, &g));
    }
    return RAMIFY_OK;
}

/* ---- what is read off R ---- */

uint32_t ramify_least_squares_rank(const ramify_least_squares *p) {
    double most = 0;
    for (uint32_t t = 0; t < p->terms; t++) {
        double part = fabs(p->r[t * p->ld + t]);
        most = part > most ? part : most;
        if (t >= p->rows || !(part > LEAST_PART * most))
            return t;
    }
    return p->terms;
}

void ramify_least_squares_solve(const ramify_least_squares *p, uint32_t terms, uint32_t output,
                                double *c) {
    const double *y = p->r + p->terms + output;
    for (uint32_t i = terms; i-- > 0;) {
        const double *row = p->r + i * p->ld;
        double sum = y[i * p->ld];
        for (uint32_t j = i + 1; j < terms; j++)
            sum -= row[j] * c[j];
        c[i] = sum / row[i];
    }
}

double ramify_least_squares_left(const ramify_least_squares *p, uint32_t terms, uint32_t output) {
    double sum = 0;
    for (uint32_t i = terms; i <= p->terms + output; i++) {
        double y = p->r[i * p->ld + p->terms + output];
        sum += y * y;
    }
    return sum;
}

/* The rows of a slice of the block, times R^-1 from the left columns to the right ones. */
typedef struct inversion {
    ramify_least_squares *problem;
    uint32_t terms, rows, first;
} inversion;

#define INVERSE_ROWS 64

/* z[8] of each row solves z R = a in the 8 columns from `column` on. */
static void divide(const ramify_least_squares *p, uint32_t terms, size_t column, size_t rows,
                   double *z) {
    const double *r = p->r + column * p->ld + column;
    size_t width = ramify_smaller(RAMIFY_PANEL, terms - column);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width; j++) {
            double *row = z + i * p->ld;
            row[j] /= r[j * p->ld + j];
            for (size_t l = j + 1; l < width; l++)
                row[l] -= row[j] * r[j * p->ld + l];
        }
}

/* a - z R of the columns from `column` on, for z of the `count` columns from `from` on. */
static void take_away(const ramify_least_squares *p, size_t rows, double *z, size_t from,
                      size_t count, size_t column, size_t width) {
    p->kernels->matmul_double(rows, width, count, z + from, p->ld, 1, p->r + from * p->ld + column,
                              p->ld, z + column, p->ld, RAMIFY_PRODUCT_SUBTRACTED);
}

/* Task: groups of columns first, as wide as products like them, and panels within them. */
static ramify_status invert_slice(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const inversion *v = argument;
    const ramify_least_squares *p = v->problem;
    size_t row = task * INVERSE_ROWS, rows = ramify_smaller(INVERSE_ROWS, v->rows - row);
    double *z = p->block + row * p->ld;
    for (size_t left = v->first; left < v->terms; left += GROUP) {
        if (ramify_cancelled(p->context))
            return RAMIFY_STOPPED;
        size_t end = ramify_smaller(left + GROUP, p->ld);
        take_away(p, rows, z, v->first, left - v->first, left, end - left);
        for (size_t column = left; column < end && column < v->terms; column += RAMIFY_PANEL) {
            take_away(p, rows, z, left, column - left, column, RAMIFY_PANEL);
            divide(p, v->terms, column, rows, z + column);
        }
    }
    return RAMIFY_OK;
}

ramify_status ramify_least_squares_orthonormal(ramify_least_squares *p, uint32_t terms,
                                               uint32_t rows, uint32_t first) {
    inversion v = {.problem = p, .terms = terms, .rows = rows, .first = first};
    return ramify_parallel(p->context, (rows + INVERSE_ROWS - 1) / INVERSE_ROWS, invert_slice, &v);
}

/* ---- fewer rows than terms ---- */

/* u = (R^T R)^-1 y of the first `rank` columns. */
static void solve_normal(const ramify_least_squares *p, uint32_t rank, const double *y, double *u) {
    for (uint32_t i = 0; i < rank; i++) {
        double sum = y[i];
        for (uint32_t j = 0; j < i; j++)
            sum -= p->r[j * p->ld + i] * u[j];
        u[i] = sum / p->r[i * p->ld + i];
    }
    for (uint32_t i = rank; i-- > 0;) {
        double sum = u[i];
        for (uint32_t j = i + 1; j < rank; j++)
            sum -= p->r[i * p->ld + j] * u[j];
        u[i] = sum / p->r[i * p->ld + i];
    }
}

/* Adds A^T (A A^T)^-1 (y - A c) to c: once from c = 0 for the solution, and once more for the digits
 * that the normal equations lose (Bjorck 1996, 6.6.5, corrected seminormal equations). */
static void correct(const ramify_least_squares *p, uint32_t rank, uint32_t terms, uint32_t outputs,
                    uint32_t output, const double *a, size_t lda, const double *y, double *left,
                    double *c) {
    for (uint32_t i = 0; i < rank; i++) {
        double sum = y[(size_t)i * outputs + output];
        for (uint32_t t = 0; t < terms; t++)
            sum -= a[i * lda + t] * c[t];
        left[i] = sum;
    }
    solve_normal(p, rank, left, left);
    for (uint32_t i = 0; i < rank; i++)
        for (uint32_t t = 0; t < terms; t++)
            c[t] += a[i * lda + t] * left[i];
}

ramify_status ramify_least_norm(ramify_context *context, const ramify_kernels *kernels,
                                uint32_t rows, uint32_t terms, uint32_t outputs, const double *a,
                                size_t lda, const double *y, double *c) {
    ramify_least_squares *p = NULL;
    double *left = ramify_allocate_zeroed(context, rows, sizeof *left);
    ramify_status status =
        left ? ramify_least_squares_create(context, kernels, rows, 0, &p) : RAMIFY_ERROR_MEMORY;
    /* [R] of A^T, whose rows are the terms. */
    for (uint32_t first = 0; status == RAMIFY_OK && first < terms; first += ROWS) {
        uint32_t count = (uint32_t)ramify_smaller(ROWS, terms - first);
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t j = 0; j < rows; j++)
                p->block[i * p->ld + j] = a[j * lda + first + i];
        status = ramify_least_squares_take(p, count, 0);
    }
    if (status == RAMIFY_OK) {
        uint32_t rank = ramify_least_squares_rank(p);
        memset(c, 0, (size_t)outputs * terms * sizeof *c);
        for (uint32_t o = 0; o < outputs && !ramify_cancelled(context); o++)
            for (int round = 0; round < 2; round++)
                correct(p, rank, terms, outputs, o, a, lda, y, left, c + (size_t)o * terms);
    }
    if (status == RAMIFY_OK && ramify_cancelled(context))
        status = RAMIFY_STOPPED;
    ramify_least_squares_destroy(&p);
    ramify_release(context, left);
    return status;
}

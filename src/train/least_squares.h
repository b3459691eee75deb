#ifndef RAMIFY_TRAIN_LEAST_SQUARES_H
#define RAMIFY_TRAIN_LEAST_SQUARES_H
/* Linear least squares in float64 over rows that come in blocks: min over c of the sum over rows of
 * (y - a c)^2, for several right sides y at once.
 *
 * Only R and Q^T y of [A y] = Q R are kept, and each block of rows is eliminated from below them by
 * Householder reflectors in panels (Golub and Van Loan, Matrix Computations, 5.2 and 5.3.5; blocks of
 * rows as in Demmel and others 2012, TSQR). Rows need not fit in memory. Columns are in an order in
 * which every beginning is a problem of its own: the solution of the first k columns comes from the
 * first k of R. The threads of the context share the columns; the bits do not depend on how many. */

#include "kernels.h"
#include "ramify.h"

/* Rows of a block. */
#define RAMIFY_LEAST_SQUARES_ROWS 512

typedef struct ramify_least_squares {
    ramify_context *context;
    const ramify_kernels *kernels;
    uint32_t terms, outputs;
    size_t ld;       /* numbers of a row: terms, outputs, zeros up to a multiple of 8 */
    uint64_t rows;   /* taken so far */
    double deadline; /* as ramify_seconds gives it; 0: none */
    bool late;       /* it passed while rows were taken: R is of no use */
    double *r;     /* ld x ld, upper triangular: R, beside it Q^T y, below that what is left of y */
    double *block; /* RAMIFY_LEAST_SQUARES_ROWS x ld: rows to be taken */
    double *work;  /* of a task per 64 columns */
} ramify_least_squares;

/* Bytes that a problem of this size takes. */
uint64_t ramify_least_squares_bytes(uint32_t terms, uint32_t outputs);

/* A problem without rows. Free with ramify_least_squares_destroy. */
ramify_status ramify_least_squares_create(ramify_context *context, const ramify_kernels *kernels,
                                          uint32_t terms, uint32_t outputs,
                                          ramify_least_squares **problem);
void ramify_least_squares_destroy(ramify_least_squares **problem);

/* Takes the first `rows` rows of problem->block, each the terms and then the outputs, of which those
 * before `first`, a multiple of 32, are all 0; what is in it afterwards is of no use, but for the zeros
 * at the ends of rows. Ends early where the deadline passes; fails only where it is cancelled. */
ramify_status ramify_least_squares_take(ramify_least_squares *problem, uint32_t rows,
                                        uint32_t first);

/* Forgets the rows. */
void ramify_least_squares_clear(ramify_least_squares *problem);

/* The number of leading columns that are independent: the first whose part across those before it is
 * below 1e-13 of the largest such part, or all. */
uint32_t ramify_least_squares_rank(const ramify_least_squares *problem);

/* c[terms] of one output from the first `terms` columns, at most the rank. */
void ramify_least_squares_solve(const ramify_least_squares *problem, uint32_t terms,
                                uint32_t output, double *c);

/* Sum of squares that the first `terms` columns leave of one output. */
double ramify_least_squares_left(const ramify_least_squares *problem, uint32_t terms,
                                 uint32_t output);

/* Turns rows of terms in problem->block, 0 before `first`, a multiple of 32, into those of A R^-1, the
 * orthonormal columns Q at these rows: z[rows x ld], of which the first `terms` columns are done. Sums over them of z_t (Q^T y)_t are
 * predictions, of z_t^2 are leverages, of every beginning of the columns. Fails only where it is
 * cancelled. */
ramify_status ramify_least_squares_orthonormal(ramify_least_squares *problem, uint32_t terms,
                                               uint32_t rows, uint32_t first);

/* Q^T y of term t and one output. */
static inline double ramify_least_squares_projection(const ramify_least_squares *problem,
                                                     uint32_t t, uint32_t output) {
    return problem->r[(size_t)t * problem->ld + problem->terms + output];
}

/* The solution with the smallest sum of squares of fewer rows than terms: a[rows x lda], y[rows x
 * outputs], rows at most `terms`; c[outputs x terms]. Where rows repeat, of those that differ by more
 * than rounding. */
ramify_status ramify_least_norm(ramify_context *context, const ramify_kernels *kernels,
                                uint32_t rows, uint32_t terms, uint32_t outputs, const double *a,
                                size_t lda, const double *y, double *c);

#endif

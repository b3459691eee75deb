/* C = A B, and one layer of an MLP, which is the same loop with another beginning and end.
 *
 * The plan: C is cut into blocks of `rows` x `vectors` registers. A block runs over the whole of k
 * with its sums in registers: one load per vector of B, one broadcast per row of A, rows x vectors
 * multiply-adds. Rows are dealt out evenly over the blocks, so that no block is left with one row.
 * A sum is one chain in the order of p, whatever block it falls in: that is what makes a row's
 * result independent of its neighbours. */

#include "vector.h"

/* The largest block for each number of vectors: all sums, one row of B and a broadcast must fit in
 * the registers (32 in AVX-512 and NEON, 16 in SSE2 and AVX2). */
#if LANES == 16
#define MOST_VECTORS       4
#define MOST_ROWS(vectors) ((vectors) == 4 ? 6 : (vectors) == 3 ? 8 : 12)
#elif defined(__aarch64__)
#define MOST_VECTORS       4
#define MOST_ROWS(vectors) 6
#else
#define MOST_VECTORS       2
#define MOST_ROWS(vectors) 6
#endif

typedef struct problem {
    size_t k, n;
    const float *a; /* rows x k, with strides */
    size_t a_row, a_col;
    const float *b; /* k x n */
    size_t ldb;
    float *c; /* rows x n */
    size_t ldc;
    const float *start; /* what the sums start from: rows x n; unused where they start from 0 */
    size_t start_row;   /* its stride: 0 for a bias, which is the same in every row */
    const float *slope; /* n: end with prelu; or NULL */
    size_t next;        /* rows of A after these that are asked for meanwhile */
} problem;

#define BLOCK_ROWS    12
#define BLOCK_VECTORS 4

/* sum[rows][vectors] += a[rows] b[vectors]: one step of a block. */
RAMIFY_INLINE void step(vec sum[BLOCK_ROWS][BLOCK_VECTORS], const float *a, size_t a_row,
                        const float *b, size_t rows, size_t vectors) {
    vec right[BLOCK_VECTORS];
    RAMIFY_UNROLL
    for (size_t j = 0; j < BLOCK_VECTORS; j++) {
        if (j >= vectors) {
            continue;
        }
        right[j] = load(b + j * LANES);
    }
    RAMIFY_UNROLL
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        if (i >= rows) {
            break;
        }
        vec left = splat(a[i * a_row]);
        RAMIFY_UNROLL
        for (size_t j = 0; j < BLOCK_VECTORS; j++) {
            if (j >= vectors) {
                continue;
            }
            sum[i][j] = multiply_add(left, right[j], sum[i][j]);
        }
    }
}

/* One block. The loops have constant bounds and skip, rather than end early, because that is what
 * both compilers unroll in time to keep the sums in registers. `rows`, `vectors` and the flags are
 * constants wherever this is expanded: sums that start from 0 need not be loaded (4 % of a product
 * with k = 32), and A's rows may lie beside each other (transposed). */
RAMIFY_INLINE void block(const problem *q, size_t row, size_t column, size_t rows, size_t vectors,
                         bool transposed, bool zero, bool active) {
    /* Everything is copied out of *q first: stores to C could change it, for all the compiler
     * knows. */
    const size_t a_row = transposed ? 1 : q->a_row;
    const size_t a_col = q->a_col;
    const size_t ldb = q->ldb;
    const size_t ldc = q->ldc;
    const float *a = q->a + row * a_row;
    const float *b = q->b + column;
    const float *slope = active ? q->slope + column : NULL;
    const size_t start_row = q->start_row;
    const float *start = zero ? NULL : q->start + row * start_row + column;
    float *c = q->c + row * ldc + column;
    vec sum[BLOCK_ROWS][BLOCK_VECTORS];

    RAMIFY_UNROLL
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        if (i >= rows) {
            break;
        }
        RAMIFY_UNROLL
        for (size_t j = 0; j < BLOCK_VECTORS; j++) {
            if (j >= vectors) {
                continue;
            }
            sum[i][j] = zero ? splat(0.0F) : load(start + j * LANES);
        }
        start = zero ? NULL : start + start_row;
    }

    for (size_t p = q->k; p > 0; p--) {
        step(sum, a, a_row, b, rows, vectors);
        a += a_col;
        b += ldb;
    }

    RAMIFY_UNROLL
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        if (i >= rows) {
            break;
        }
        RAMIFY_UNROLL
        for (size_t j = 0; j < BLOCK_VECTORS; j++) {
            if (j >= vectors) {
                continue;
            }
            vec value = sum[i][j];
            store(c + j * LANES, active ? prelu(value, load(slope + j * LANES)) : value);
        }
        c += ldc;
    }
}

#define ROWS(number)                                                                               \
    case number:                                                                                   \
        if (number <= MOST_ROWS(vectors)) {                                                        \
            block(q, row, column, number, vectors, transposed, zero, active);                      \
        }                                                                                          \
        break;

/* Rows of A that stay in the first cache, with a stripe of B beside them, while all stripes of C pass
 * by: A is read from memory once. */
#define CHUNK_FLOATS 4608

/* Of the rows of A that follow m rows, asks for `rows` at `row`, and of these for the share of the
 * stripe at `column`: spread over the blocks, they arrive without filling the queues of memory. */
RAMIFY_INLINE void prefetch_rows(const problem *q, size_t m, size_t row, size_t rows, size_t column,
                                 size_t vectors) {
    if (row + rows > q->next) {
        return;
    }
    const size_t lines = q->k / 16;
    const size_t first = lines * column / q->n;
    const size_t end = lines * (column + vectors * LANES) / q->n;
    const float *a = q->a + (m + row) * q->a_row;
    for (size_t i = 0; i < rows; i++) {
        for (size_t line = first; line < end; line++) {
            __builtin_prefetch(a + i * q->a_row + line * 16, 0, 2);
        }
    }
}

/* All rows of a stripe of C that is `vectors` wide. */
RAMIFY_INLINE void stripe(const problem *q, size_t m, size_t column, size_t vectors,
                          bool transposed, bool zero, bool active) {
    const size_t most = MOST_ROWS(vectors);
    size_t blocks = (m + most - 1) / most;
    /* Divisions take as long as a small block. */
    size_t larger = blocks > 1 ? m % blocks : 0; /* the first blocks have a row more */
    size_t least = blocks > 1 ? m / blocks : m;
    for (size_t row = 0; blocks > 0; blocks--) {
        size_t rows = least + (larger > 0);
        larger -= larger > 0;
        prefetch_rows(q, m, row, rows, column, vectors);
        switch (rows) {
            ROWS(1)
            ROWS(2)
            ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
        }
        row += rows;
    }
}

/* The ways a stripe is computed. */
enum { FROM_0, FROM_0_TRANSPOSED, FROM_START, FROM_START_TRANSPOSED, ACTIVE, ACTIVE_FROM_0, KINDS };

#define STRIPE(vectors)                                                                            \
    static __attribute__((noinline)) void stripe_##vectors##_from_0(const problem *q, size_t m,    \
                                                                    size_t column) {               \
        stripe(q, m, column, vectors, false, true, false);                                         \
    }                                                                                              \
    static __attribute__((noinline)) void stripe_##vectors##_from_0_transposed(                    \
        const problem *q, size_t m, size_t column) {                                               \
        stripe(q, m, column, vectors, true, true, false);                                          \
    }                                                                                              \
    static __attribute__((noinline)) void stripe_##vectors##_from_start(const problem *q,          \
                                                                        size_t m, size_t column) { \
        stripe(q, m, column, vectors, false, false, false);                                        \
    }                                                                                              \
    static __attribute__((noinline)) void stripe_##vectors##_from_start_transposed(                \
        const problem *q, size_t m, size_t column) {                                               \
        stripe(q, m, column, vectors, true, false, false);                                         \
    }                                                                                              \
    static __attribute__((noinline)) void stripe_##vectors##_active(const problem *q, size_t m,    \
                                                                    size_t column) {               \
        stripe(q, m, column, vectors, false, false, true);                                         \
    }                                                                                              \
    static __attribute__((noinline)) void stripe_##vectors##_active_from_0(                        \
        const problem *q, size_t m, size_t column) {                                               \
        stripe(q, m, column, vectors, false, true, true);                                          \
    }
STRIPE(1)
STRIPE(2)
#if MOST_VECTORS > 2
STRIPE(3)
STRIPE(4)
#endif

#define STRIPES(vectors)                                                                           \
    [(vectors)-1] = {[FROM_0] = stripe_##vectors##_from_0,                                         \
                     [FROM_0_TRANSPOSED] = stripe_##vectors##_from_0_transposed,                   \
                     [FROM_START] = stripe_##vectors##_from_start,                                 \
                     [FROM_START_TRANSPOSED] = stripe_##vectors##_from_start_transposed,           \
                     [ACTIVE] = stripe_##vectors##_active,                                         \
                     [ACTIVE_FROM_0] = stripe_##vectors##_active_from_0}

typedef void stripe_function(const problem *q, size_t m, size_t column);

static void chunk(stripe_function *const table[MOST_VECTORS][KINDS], size_t kind, const problem *q,
                  size_t m) {
    size_t left = q->n / LANES;
    for (size_t column = 0; left > 0;) {
        size_t vectors = left < MOST_VECTORS ? left : MOST_VECTORS;
        table[vectors - 1][kind](q, m, column);
        column += vectors * LANES;
        left -= vectors;
    }
}

static void product(const problem *q, size_t m) {
    static stripe_function *const table[MOST_VECTORS][KINDS] = {
        STRIPES(1),
        STRIPES(2),
#if MOST_VECTORS > 2
        STRIPES(3),
        STRIPES(4),
#endif
    };
    bool transposed = q->a_row == 1 && q->a_col != 1;
    size_t kind = q->slope ? (q->start ? ACTIVE : ACTIVE_FROM_0)
                           : (q->start ? FROM_START : FROM_0) + transposed;
    if (m * q->k <= CHUNK_FLOATS || q->n <= MOST_VECTORS * LANES) {
        chunk(table, kind, q, m);
        return;
    }
    const size_t most = MOST_ROWS(MOST_VECTORS);
    size_t rows = CHUNK_FLOATS / q->k / most * most;
    rows = rows > 0 ? rows : most;
    problem part = *q;
    while (m > 0) {
        rows = m < rows ? m : rows;
        m -= rows;
        part.next = q->a_col != 1 ? 0 : m < rows ? m : rows;
        chunk(table, kind, &part, rows);
        part.a += rows * q->a_row;
        part.c += rows * q->ldc;
        part.start = q->start ? part.start + rows * q->start_row : NULL;
    }
}

/* A single row, without the detour over blocks: what one row's prediction consists of. The same sums
 * in the same order, but as many of them side by side as there are registers for, as each waits for
 * its last multiply-add. */
#define ROW_VECTORS 8

RAMIFY_INLINE void row_step(vec sum[ROW_VECTORS], float a, const float *b, size_t vectors) {
    vec left = splat(a);
    RAMIFY_UNROLL
    for (size_t j = 0; j < ROW_VECTORS; j++) {
        if (j >= vectors) {
            continue;
        }
        sum[j] = multiply_add(left, load(b + j * LANES), sum[j]);
    }
}

RAMIFY_INLINE void row(const float *a, size_t a_col, const float *b, size_t ldb, size_t k, float *c,
                       const float *start, const float *slope, size_t vectors) {
    vec sum[ROW_VECTORS];
    RAMIFY_UNROLL
    for (size_t j = 0; j < ROW_VECTORS; j++) {
        if (j >= vectors) {
            continue;
        }
        sum[j] = start ? load(start + j * LANES) : splat(0.0F);
    }
    for (; k >= 4; k -= 4) {
        row_step(sum, a[0], b, vectors);
        row_step(sum, a[a_col], b + ldb, vectors);
        row_step(sum, a[2 * a_col], b + 2 * ldb, vectors);
        row_step(sum, a[3 * a_col], b + 3 * ldb, vectors);
        a += 4 * a_col;
        b += 4 * ldb;
    }
    for (; k > 0; k--) {
        row_step(sum, a[0], b, vectors);
        a += a_col;
        b += ldb;
    }
    RAMIFY_UNROLL
    for (size_t j = 0; j < ROW_VECTORS; j++) {
        if (j >= vectors) {
            continue;
        }
        store(c + j * LANES, slope ? prelu(sum[j], load(slope + j * LANES)) : sum[j]);
    }
}

static void product_of_row(size_t n, size_t k, const float *a, size_t a_col, const float *b,
                           size_t ldb, float *c, const float *start, const float *slope) {
    for (size_t left = n / LANES, vectors; left > 0; left -= vectors) {
        if (left >= 8) {
            row(a, a_col, b, ldb, k, c, start, slope, vectors = 8);
        } else if (left >= 4) {
            row(a, a_col, b, ldb, k, c, start, slope, vectors = 4);
        } else if (left == 3) {
            row(a, a_col, b, ldb, k, c, start, slope, vectors = 3);
        } else if (left == 2) {
            row(a, a_col, b, ldb, k, c, start, slope, vectors = 2);
        } else {
            row(a, a_col, b, ldb, k, c, start, slope, vectors = 1);
        }
        b += vectors * LANES;
        c += vectors * LANES;
        start = start ? start + vectors * LANES : NULL;
        slope = slope ? slope + vectors * LANES : NULL;
    }
}

void RAMIFY_KERNEL(matmul)(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                           const float *b, size_t ldb, float *c, size_t ldc, bool accumulate) {
    if (m == 1) {
        product_of_row(n, k, a, a_col, b, ldb, c, accumulate ? c : NULL, NULL);
        return;
    }
    problem q = {
        .k = k,
        .n = n,
        .a = a,
        .a_row = a_row,
        .a_col = a_col,
        .b = b,
        .ldb = ldb,
        .c = c,
        .ldc = ldc,
        .start = accumulate ? c : NULL,
        .start_row = accumulate ? ldc : 0,
    };
    product(&q, m);
}

void RAMIFY_KERNEL(affine)(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                           const float *w, size_t ldw, const float *bias, const float *slope,
                           float *y, size_t ldy) {
    if (rows == 1) {
        product_of_row(n, k, x, 1, w, ldw, y, bias, slope);
        return;
    }
    problem q = {
        .k = k,
        .n = n,
        .a = x,
        .a_row = ldx,
        .a_col = 1,
        .b = w,
        .ldb = ldw,
        .c = y,
        .ldc = ldy,
        .start = bias,
        .slope = slope,
    };
    product(&q, rows);
}

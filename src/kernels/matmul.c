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
    size_t k;
    const float *a; /* rows x k, with strides */
    size_t a_row, a_col;
    const float *b; /* k x n */
    size_t ldb;
    float *c; /* rows x n */
    size_t ldc;
    const float *start; /* what the sums start from: rows x n, or NULL for 0 */
    size_t start_row;   /* its stride: 0 for a bias, which is the same in every row */
    const float *slope; /* n: end with prelu; or NULL */
} problem;

#define BLOCK_ROWS    12
#define BLOCK_VECTORS 4

/* Sums that start from 0 are loaded too: one path for all, at no measurable cost. */
static const float nothing[BLOCK_VECTORS * LANES] __attribute__((aligned(64)));

/* One block. The loops have constant bounds and skip, rather than end early, because that is what
 * both compilers unroll in time to keep the sums in registers. `rows`, `vectors` and `active` are
 * constants wherever this is expanded. */
RAMIFY_INLINE void block(const problem *q, size_t row, size_t column, size_t rows, size_t vectors,
                         bool transposed, bool active) {
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
    const float *start = q->start ? q->start + row * start_row + column : nothing;
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
            sum[i][j] = load(start + j * LANES);
        }
        start += start_row;
    }

    for (size_t p = q->k; p > 0; p--) {
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
            block(q, row, column, number, vectors, transposed, active);                            \
        }                                                                                          \
        break;

/* All rows of a stripe of C that is `vectors` wide. */
RAMIFY_INLINE void stripe(const problem *q, size_t m, size_t column, size_t vectors,
                          bool transposed, bool active) {
    const size_t most = MOST_ROWS(vectors);
    size_t row = 0;
    for (size_t blocks = (m + most - 1) / most; blocks > 0; blocks--) {
        size_t rows = (m - row + blocks - 1) / blocks;
        switch (rows) {
            ROWS(1)
            ROWS(2)
            ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
        }
        row += rows;
    }
}

#define STRIPE(vectors, transposed, active)                                                        \
    static __attribute__((noinline)) void stripe_##vectors##transposed##active(                    \
        const problem *q, size_t m, size_t column) {                                               \
        stripe(q, m, column, vectors, transposed, active);                                         \
    }
STRIPE(1, 0, 0)
STRIPE(1, 1, 0)
STRIPE(1, 0, 1)
STRIPE(2, 0, 0)
STRIPE(2, 1, 0)
STRIPE(2, 0, 1)
#if MOST_VECTORS > 2
STRIPE(3, 0, 0)
STRIPE(3, 1, 0)
STRIPE(3, 0, 1)
STRIPE(4, 0, 0)
STRIPE(4, 1, 0)
STRIPE(4, 0, 1)
#endif

static void product(const problem *q, size_t m, size_t n) {
    typedef void stripe_function(const problem *q, size_t m, size_t column);
    static stripe_function *const table[MOST_VECTORS][3] = {
        {stripe_100, stripe_110, stripe_101},
        {stripe_200, stripe_210, stripe_201},
#if MOST_VECTORS > 2
        {stripe_300, stripe_310, stripe_301},
        {stripe_400, stripe_410, stripe_401},
#endif
    };
    size_t kind = q->slope ? 2 : q->a_row == 1 && q->a_col != 1;
    size_t left = n / LANES;
    for (size_t column = 0; left > 0;) {
        size_t vectors = left < MOST_VECTORS ? left : MOST_VECTORS;
        table[vectors - 1][kind](q, m, column);
        column += vectors * LANES;
        left -= vectors;
    }
}

void RAMIFY_KERNEL(matmul)(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                           const float *b, size_t ldb, float *c, size_t ldc, bool accumulate) {
    problem q = {
        .k = k,
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
    product(&q, m, n);
}

void RAMIFY_KERNEL(affine)(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                           const float *w, size_t ldw, const float *bias, const float *slope,
                           float *y, size_t ldy) {
    problem q = {
        .k = k,
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
    product(&q, rows, n);
}

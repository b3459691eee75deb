/* C = A B in float64, and the elimination of eight columns: what least squares consist of.
 *
 * The product is cut into blocks as in matmul.c: a block of C stays in registers while all of k
 * passes by, and a sum is one chain in the order of p whatever block it falls in. */

#include "vector.h"

#define WIDTH (RAMIFY_VECTOR_BYTES / 8) /* doubles in a vector */

typedef double dvec __attribute__((vector_size(RAMIFY_VECTOR_BYTES)));
typedef double dvec_aligned __attribute__((vector_size(RAMIFY_VECTOR_BYTES), may_alias));

RAMIFY_INLINE dvec load_double(const double *from) {
    return *(const dvec_aligned *)from;
}

RAMIFY_INLINE void store_double(double *to, dvec value) {
    *(dvec_aligned *)to = value;
}

RAMIFY_INLINE dvec splat_double(double x) {
    dvec all = {0};
    return all + x;
}

RAMIFY_INLINE dvec multiply_add_double(dvec a, dvec b, dvec c) {
#if WIDTH == 8
    return _mm512_fmadd_pd(a, b, c);
#elif WIDTH == 4
    return _mm256_fmadd_pd(a, b, c);
#elif defined(__aarch64__)
    return (dvec)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

#if WIDTH == 8
#define MOST_VECTORS 4
#elif defined(__aarch64__)
#define MOST_VECTORS 4
#else
#define MOST_VECTORS 2
#endif
#define MOST_ROWS 6

typedef struct problem {
    size_t k;
    double sign; /* 1, or -1: the product is taken away */
    const double *a;
    size_t a_row, a_col;
    const double *b;
    size_t ldb;
    double *c;
    size_t ldc;
    bool start; /* sums start from C */
} problem;

/* rows and vectors are constants wherever this is expanded. */
RAMIFY_INLINE void block(const problem *q, size_t row, size_t column, size_t rows, size_t vectors) {
    const size_t a_row = q->a_row, a_col = q->a_col, ldb = q->ldb, ldc = q->ldc;
    const double *a = q->a + row * a_row;
    const double *b = q->b + column;
    const double sign = q->sign;
    double *c = q->c + row * ldc + column;
    dvec sum[MOST_ROWS][MOST_VECTORS];
    RAMIFY_UNROLL
    for (size_t i = 0; i < MOST_ROWS; i++) {
        RAMIFY_UNROLL
        for (size_t j = 0; j < MOST_VECTORS; j++) {
            if (i < rows && j < vectors) {
                sum[i][j] = q->start ? load_double(c + i * ldc + j * WIDTH) : splat_double(0.0);
            }
        }
    }
    for (size_t p = q->k; p > 0; p--) {
        dvec right[MOST_VECTORS];
        RAMIFY_UNROLL
        for (size_t j = 0; j < MOST_VECTORS; j++) {
            if (j < vectors) {
                right[j] = load_double(b + j * WIDTH);
            }
        }
        RAMIFY_UNROLL
        for (size_t i = 0; i < MOST_ROWS; i++) {
            if (i >= rows) {
                continue;
            }
            dvec left = splat_double(sign * a[i * a_row]);
            RAMIFY_UNROLL
            for (size_t j = 0; j < MOST_VECTORS; j++) {
                if (j < vectors) {
                    sum[i][j] = multiply_add_double(left, right[j], sum[i][j]);
                }
            }
        }
        a += a_col;
        b += ldb;
    }
    RAMIFY_UNROLL
    for (size_t i = 0; i < MOST_ROWS; i++) {
        RAMIFY_UNROLL
        for (size_t j = 0; j < MOST_VECTORS; j++) {
            if (i < rows && j < vectors) {
                store_double(c + i * ldc + j * WIDTH, sum[i][j]);
            }
        }
    }
}

/* All rows of a stripe of C that is `vectors` wide, dealt out evenly over blocks. */
RAMIFY_INLINE void stripe(const problem *q, size_t m, size_t column, size_t vectors) {
    size_t blocks = (m + MOST_ROWS - 1) / MOST_ROWS;
    for (size_t row = 0; blocks > 0; blocks--) {
        size_t rows = (m - row + blocks - 1) / blocks;
        switch (rows) {
        case 1:
            block(q, row, column, 1, vectors);
            break;
        case 2:
            block(q, row, column, 2, vectors);
            break;
        case 3:
            block(q, row, column, 3, vectors);
            break;
        case 4:
            block(q, row, column, 4, vectors);
            break;
        case 5:
            block(q, row, column, 5, vectors);
            break;
        default:
            block(q, row, column, 6, vectors);
            break;
        }
        row += rows;
    }
}

#define STRIPE(vectors)                                                                            \
    static __attribute__((noinline)) void stripe_##vectors(const problem *q, size_t m,             \
                                                           size_t column) {                        \
        stripe(q, m, column, vectors);                                                             \
    }
STRIPE(1)
STRIPE(2)
#if MOST_VECTORS > 2
STRIPE(3)
STRIPE(4)
#endif

void RAMIFY_KERNEL(matmul_double)(size_t m, size_t n, size_t k, const double *a, size_t a_row,
                                  size_t a_col, const double *b, size_t ldb, double *c, size_t ldc,
                                  ramify_product product) {
    static void (*const stripes[MOST_VECTORS])(const problem *, size_t, size_t) = {
        stripe_1,
        stripe_2,
#if MOST_VECTORS > 2
        stripe_3,
        stripe_4,
#endif
    };
    const problem q = {
        .k = k,
        .sign = product == RAMIFY_PRODUCT_SUBTRACTED ? -1.0 : 1.0,
        .a = a,
        .a_row = a_row,
        .a_col = a_col,
        .b = b,
        .ldb = ldb,
        .c = c,
        .ldc = ldc,
        .start = product != RAMIFY_PRODUCT_ALONE,
    };
    size_t left = m > 0 ? n / WIDTH : 0;
    for (size_t column = 0; left > 0;) {
        size_t vectors = left < MOST_VECTORS ? left : MOST_VECTORS;
        stripes[vectors - 1](&q, m, column);
        column += vectors * WIDTH;
        left -= vectors;
    }
}

#define PARTS (RAMIFY_PANEL / WIDTH)

/* dot[0 .. 8) += row[step] row[0 .. 8) */
RAMIFY_INLINE void add_products(dvec dot[PARTS], const double *row, size_t step) {
    dvec left = splat_double(row[step]);
    RAMIFY_UNROLL
    for (size_t v = 0; v < PARTS; v++) {
        dot[v] = multiply_add_double(left, load_double(row + v * WIDTH), dot[v]);
    }
}

void RAMIFY_KERNEL(eliminate)(size_t rows, size_t steps, double *a, size_t lda, double *r,
                              size_t ldr, double *t) {
    _Alignas(64) double dot[RAMIFY_PANEL], factor[RAMIFY_PANEL], keep[RAMIFY_PANEL];
    dvec sums[PARTS];
    RAMIFY_UNROLL
    for (size_t v = 0; v < PARTS; v++) {
        sums[v] = splat_double(0.0);
    }
    for (size_t i = 0; i < rows; i++) {
        add_products(sums, a + i * lda, 0);
    }
    for (size_t j = 0; j < steps; j++) {
        for (size_t v = 0; v < PARTS; v++) {
            store_double(dot + v * WIDTH, sums[v]);
        }
        double scale;
        ramify_reflector(j, dot, r + j * ldr, t, factor, &scale);
        for (size_t l = 0; l < RAMIFY_PANEL; l++) {
            keep[l] = l == j ? scale : 1.0;
        }
        /* The rows are updated and multiplied for the next step in one pass. */
        dvec kept[PARTS], taken[PARTS];
        RAMIFY_UNROLL
        for (size_t v = 0; v < PARTS; v++) {
            kept[v] = load_double(keep + v * WIDTH);
            taken[v] = load_double(factor + v * WIDTH);
            sums[v] = splat_double(0.0);
        }
        const size_t next = j + 1 < steps ? j + 1 : j;
        for (size_t i = 0; i < rows; i++) {
            double *row = a + i * lda;
            dvec left = splat_double(-row[j]);
            RAMIFY_UNROLL
            for (size_t v = 0; v < PARTS; v++) {
                dvec value = load_double(row + v * WIDTH) * kept[v];
                store_double(row + v * WIDTH, multiply_add_double(left, taken[v], value));
            }
            add_products(sums, row, next);
        }
    }
}

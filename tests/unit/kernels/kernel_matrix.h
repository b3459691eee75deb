#ifndef KERNEL_MATRIX_H
#define KERNEL_MATRIX_H
/* Matrices for the tests of kernels: random inside, and watched outside. */

#include "kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* rows x columns inside a larger block. Everything outside is NaN: a kernel that reads it shows it
 * in its results, and one that writes it is found by check_outside. */
typedef struct matrix {
    size_t rows, columns, ld;
    float *at;     /* the first element */
    float *memory; /* the block; freed by matrix_free */
    size_t size;   /* floats in the block */
} matrix;

typedef struct random_state {
    uint64_t state;
} random_state;

uint32_t random_bits(random_state *random);
size_t random_below(random_state *random, size_t limit);
float random_float(random_state *random); /* uniform in [-1, 1) */

/* 0, 1, odd, prime and round sizes. */
size_t random_size(random_state *random);
static inline size_t padded(size_t n) {
    return (n + 15) / 16 * 16;
}

/* Padded: rows on 64-byte boundaries. Otherwise `at` is on no boundary beyond a float's. */
matrix matrix_padded(random_state *random, size_t rows, size_t columns);
matrix matrix_loose(random_state *random, size_t rows, size_t columns);
/* Padded, with zeros from `columns` to the next multiple of 16. */
matrix matrix_zero_padded(random_state *random, size_t rows, size_t columns);
matrix matrix_copy(const matrix *from);
void matrix_free(matrix *m);

/* Fails unless all values agree to `tolerance` (relative to 1 + |want|) and nothing outside was
 * written. The tolerance 0 asks for the same bits. */
void check_same(const char *what, const matrix *got, const matrix *want, float tolerance);

/* Runs `check` on every set but the reference, many times, with other random numbers each. */
typedef void set_check(const ramify_kernels *kernels, random_state *random);
void for_every_set(set_check *check);

/* The groups of tests; each returns how many failed. */
int run_product_tests(void);
int run_sparse_tests(void);
int run_quantised_tests(void);
int run_elementwise_tests(void);
int run_column_tests(void);
int run_double_tests(void);
int run_crc32c_tests(void);

#endif

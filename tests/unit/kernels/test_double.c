/* Products, elimination and series in float64: against the reference. */

#include "kernel_matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-12

static double *numbers(random_state *random, size_t count) {
    double *at = aligned_alloc(64, (count * sizeof *at + 127) / 64 * 64);
    assert_non_null(at);
    for (size_t i = 0; i < count; i++) {
        at[i] = (double)random_float(random);
    }
    return at;
}

static double *copy_of(const double *from, size_t count) {
    double *at = aligned_alloc(64, (count * sizeof *at + 127) / 64 * 64);
    assert_non_null(at);
    memcpy(at, from, count * sizeof *at);
    return at;
}

static void check_near(const char *what, const double *got, const double *want, size_t count,
                       double tolerance) {
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(got[i] - want[i]) <= tolerance * (1.0 + fabs(want[i])))) {
            fail_msg("%s: number %zu is %.17g, expected %.17g", what, i, got[i], want[i]);
        }
    }
}

static void product(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t m = random_size(random);
    size_t n = (random_size(random) + 7) / 8 * 8;
    size_t k = random_size(random);
    bool transposed = random_below(random, 2);
    ramify_product how = (ramify_product)random_below(random, 3);
    size_t a_row = transposed ? 1 : k + 3;
    size_t a_col = transposed ? m + 1 : 1;
    size_t ldb = n + 8;
    size_t ldc = n + 16;
    double *a = numbers(random, (m + 1) * (k + 3));
    double *b = numbers(random, (k + 1) * ldb);
    double *got = numbers(random, (m + 1) * ldc);
    double *want = copy_of(got, (m + 1) * ldc);
    double *single = copy_of(got, (m + 1) * ldc);
    kernels->matmul_double(m, n, k, a, a_row, a_col, b, ldb, got, ldc, how);
    reference->matmul_double(m, n, k, a, a_row, a_col, b, ldb, want, ldc, how);
    /* Beyond n nothing is written, or the rest would not be the same. */
    bool fused = strcmp(kernels->name, "baseline") != 0;
    check_near("matmul_double", got, want, (m + 1) * ldc, fused ? 0.0 : TOLERANCE);
    for (size_t i = 0; i < m; i++) {
        kernels->matmul_double(1, n, k, a + i * a_row, a_row, a_col, b, ldb, single + i * ldc, ldc,
                               how);
    }
    check_near("matmul_double, one row at a time", single, got, (m + 1) * ldc, 0.0);
    free(a);
    free(b);
    free(got);
    free(want);
    free(single);
}

static void elimination(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random);
    size_t steps = 1 + random_below(random, RAMIFY_PANEL);
    size_t lda = 24;
    size_t ldr = 11;
    double *a = numbers(random, (rows + 1) * lda);
    double *a_want = copy_of(a, (rows + 1) * lda);
    double *r = numbers(random, RAMIFY_PANEL * ldr);
    for (size_t i = 0; i < RAMIFY_PANEL; i++) {
        memset(r + i * ldr, 0, i * sizeof *r);
    }
    double *r_want = copy_of(r, RAMIFY_PANEL * ldr);
    double *before = copy_of(r, RAMIFY_PANEL * ldr);
    double *a_before = copy_of(a, (rows + 1) * lda);
    double t[RAMIFY_PANEL * RAMIFY_PANEL] = {0.0};
    double t_want[RAMIFY_PANEL * RAMIFY_PANEL] = {0.0};
    kernels->eliminate(rows, steps, a + 8, lda, r, ldr, t);
    reference->eliminate(rows, steps, a_want + 8, lda, r_want, ldr, t_want);
    check_near("eliminate: reflectors", a, a_want, (rows + 1) * lda, 1e-9);
    check_near("eliminate: triangle", r, r_want, RAMIFY_PANEL * ldr, 1e-9);
    check_near("eliminate: factors", t, t_want, RAMIFY_PANEL * RAMIFY_PANEL, 1e-9);
    /* Orthogonal changes keep products of columns: those of [R; A] before and of R after. */
    for (size_t i = 0; i < steps; i++) {
        for (size_t j = 0; j < steps; j++) {
            double was = 0.0;
            double is = 0.0;
            for (size_t p = 0; p < RAMIFY_PANEL; p++) {
                was += before[p * ldr + i] * before[p * ldr + j];
                is += p < steps ? r[p * ldr + i] * r[p * ldr + j] : 0.0;
            }
            for (size_t p = steps; p < RAMIFY_PANEL; p++) {
                was -= before[p * ldr + i] * before[p * ldr + j];
            }
            for (size_t p = 0; p < rows; p++) {
                was += a_before[p * lda + 8 + i] * a_before[p * lda + 8 + j];
            }
            check_near("eliminate: products of columns", &is, &was, 1, 1e-10);
        }
    }
    free(a);
    free(a_want);
    free(r);
    free(r_want);
    free(before);
    free(a_before);
}

static void series(const ramify_kernels *kernels, random_state *random) {
    const uint32_t axes = 1 + (uint32_t)random_below(random, 4);
    const uint32_t band = (uint32_t)random_below(random, 7);
    unsigned char pairs[4];
    double *values[4];
    size_t most = 1;
    for (uint32_t a = 0; a < axes; a++) {
        pairs[a] = (unsigned char)random_below(random, 2);
        most *= ramify_functions(band, pairs[a]);
        values[a] = numbers(random, (size_t)ramify_functions(band, pairs[a]) * RAMIFY_SERIES_ROWS);
    }
    double *doubles = numbers(random, most);
    float *floats = calloc(most, sizeof *floats);
    assert_non_null(floats);
    for (size_t i = 0; i < most; i++) {
        floats[i] = (float)doubles[i];
    }
    const ramify_series_at at = {.set = (ramify_index_set)random_below(random, 3),
                                 .band = band,
                                 .axes = axes,
                                 .pairs = pairs,
                                 .values = (const double *const *)values};
    double *got = numbers(random, RAMIFY_SERIES_ROWS);
    double *want = numbers(random, RAMIFY_SERIES_ROWS);
    kernels->series(&at, doubles, NULL, got);
    ramify_kernels_reference()->series(&at, doubles, NULL, want);
    check_near("series", got, want, RAMIFY_SERIES_ROWS, TOLERANCE);
    kernels->series(&at, NULL, floats, got);
    ramify_kernels_reference()->series(&at, NULL, floats, want);
    check_near("series of floats", got, want, RAMIFY_SERIES_ROWS, TOLERANCE);
    free(floats);
    free(doubles);
    free(got);
    free(want);
    for (uint32_t a = 0; a < axes; a++) {
        free(values[a]);
    }
}

static void test_product(void **state) {
    (void)state;
    for_every_set(product);
}

static void test_elimination(void **state) {
    (void)state;
    for_every_set(elimination);
}

static void test_series(void **state) {
    (void)state;
    for_every_set(series);
}

int run_double_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_product),
        cmocka_unit_test(test_elimination),
        cmocka_unit_test(test_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

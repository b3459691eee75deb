/* Operations on single elements and their gradients, against the reference. */

#include "kernel_matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-5F

static void transpose(const ramify_kernels *kernels, random_state *random) {
    size_t m = random_size(random);
    size_t n = random_size(random);
    matrix a = matrix_loose(random, m, n);
    matrix got = matrix_loose(random, n, m);
    matrix want = matrix_copy(&got);
    kernels->transpose(m, n, a.at, a.ld, got.at, got.ld);
    ramify_kernels_reference()->transpose(m, n, a.at, a.ld, want.at, want.ld);
    check_same("transpose", &got, &want, 0.0F);
    matrix_free(&a);
    matrix_free(&got);
    matrix_free(&want);
}

static void scale_columns(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random);
    size_t n = padded(random_size(random));
    matrix x = matrix_padded(random, rows, n);
    matrix r = matrix_padded(random, 1, n);
    matrix y = matrix_padded(random, rows, n);
    matrix y_want = matrix_copy(&y);
    kernels->scale_columns(rows, n, x.at, x.ld, r.at, y.at, y.ld);
    reference->scale_columns(rows, n, x.at, x.ld, r.at, y_want.at, y.ld);
    check_same("scale_columns", &y, &y_want, 0.0F);

    matrix g = matrix_padded(random, rows, n);
    matrix dr = matrix_padded(random, 1, n);
    matrix dr_want = matrix_copy(&dr);
    matrix dx = matrix_padded(random, rows, n);
    matrix dx_want = matrix_copy(&dx);
    bool accumulate = random_below(random, 2);
    bool wanted = random_below(random, 4) != 0;
    kernels->scale_columns_backward(rows, n, g.at, g.ld, x.at, x.ld, r.at, dr.at,
                                    wanted ? dx.at : NULL, dx.ld, accumulate);
    reference->scale_columns_backward(rows, n, g.at, g.ld, x.at, x.ld, r.at, dr_want.at,
                                      wanted ? dx_want.at : NULL, dx.ld, accumulate);
    check_same("scale_columns_backward, dr", &dr, &dr_want, TOLERANCE);
    check_same("scale_columns_backward, dx", &dx, &dx_want, TOLERANCE);
    matrix_free(&x);
    matrix_free(&r);
    matrix_free(&y);
    matrix_free(&y_want);
    matrix_free(&g);
    matrix_free(&dr);
    matrix_free(&dr_want);
    matrix_free(&dx);
    matrix_free(&dx_want);
}

static void activate(const ramify_kernels *kernels, random_state *random) {
    size_t rows = random_size(random);
    size_t n = padded(random_size(random));
    matrix z = matrix_padded(random, rows, n);
    matrix s = matrix_padded(random, 1, n);
    matrix b = matrix_padded(random, 1, n);
    matrix slope = matrix_padded(random, 1, n);
    matrix y = matrix_padded(random, rows, n);
    matrix want = matrix_copy(&y);
    const float *scale = random_below(random, 2) ? s.at : NULL;
    const float *bend = random_below(random, 4) ? slope.at : NULL;
    kernels->activate(rows, n, z.at, z.ld, scale, b.at, bend, y.at, y.ld);
    ramify_kernels_reference()->activate(rows, n, z.at, z.ld, scale, b.at, bend, want.at, want.ld);
    check_same("activate", &y, &want, TOLERANCE);
    matrix_free(&z);
    matrix_free(&s);
    matrix_free(&b);
    matrix_free(&slope);
    matrix_free(&y);
    matrix_free(&want);
}

static void activate_backward(const ramify_kernels *kernels, random_state *random) {
    size_t rows = random_size(random);
    size_t n = padded(random_size(random));
    matrix z = matrix_padded(random, rows, n);
    matrix s = matrix_padded(random, 1, n);
    matrix b = matrix_padded(random, 1, n);
    matrix slope = matrix_padded(random, 1, n);
    matrix dy = matrix_padded(random, rows, n);
    matrix dz_want = matrix_copy(&dy);
    matrix sums = matrix_padded(random, 3, n); /* db, ds, dslope */
    matrix sums_want = matrix_copy(&sums);
    const float *scale = random_below(random, 2) ? s.at : NULL;
    const float *bend = random_below(random, 4) ? slope.at : NULL;
    ramify_kernels_reference()->activate_backward(
        rows, n, dy.at, dy.ld, z.at, z.ld, scale, b.at, bend, dz_want.at, dz_want.ld, sums_want.at,
        sums_want.at + sums.ld, sums_want.at + 2 * sums.ld);
    /* dz in the place of dy, as the trainer calls it. */
    kernels->activate_backward(rows, n, dy.at, dy.ld, z.at, z.ld, scale, b.at, bend, dy.at, dy.ld,
                               sums.at, sums.at + sums.ld, sums.at + 2 * sums.ld);
    check_same("activate_backward, dz", &dy, &dz_want, TOLERANCE);
    check_same("activate_backward, sums", &sums, &sums_want, TOLERANCE);
    matrix_free(&z);
    matrix_free(&s);
    matrix_free(&b);
    matrix_free(&slope);
    matrix_free(&dy);
    matrix_free(&dz_want);
    matrix_free(&sums);
    matrix_free(&sums_want);
}

static void adamw(const ramify_kernels *kernels, random_state *random) {
    size_t n = padded(random_size(random));
    matrix got = matrix_padded(random, 3, n); /* p, m, v */
    matrix g = matrix_padded(random, 1, n);
    for (size_t i = 0; i < n; i++) {
        got.at[2 * got.ld + i] = fabsf(got.at[2 * got.ld + i]);
    }
    matrix want = matrix_copy(&got);
    const ramify_kernels *sets[] = {kernels, ramify_kernels_reference()};
    matrix *matrices[] = {&got, &want};
    for (size_t i = 0; i < 2; i++) {
        float *p = matrices[i]->at;
        size_t ld = matrices[i]->ld;
        sets[i]->adamw(n, p, g.at, p + ld, p + 2 * ld, 1e-2F, 0.9F, 0.999F, 1e-8F, 0.1F, 0.19F,
                       0.002F);
    }
    check_same("adamw", &got, &want, TOLERANCE);
    matrix_free(&got);
    matrix_free(&g);
    matrix_free(&want);
}

static void average(const ramify_kernels *kernels, random_state *random) {
    size_t n = padded(random_size(random));
    matrix got = matrix_padded(random, 1, n);
    matrix want = matrix_copy(&got);
    matrix p = matrix_padded(random, 1, n);
    kernels->average(n, got.at, p.at, 0.9F);
    ramify_kernels_reference()->average(n, want.at, p.at, 0.9F);
    check_same("average", &got, &want, TOLERANCE);
    matrix_free(&got);
    matrix_free(&want);
    matrix_free(&p);
}

static void standardise(const ramify_kernels *kernels, random_state *random) {
    size_t rows = random_size(random), columns = random_size(random);
    size_t ldx = columns + random_below(random, 3);
    double *x = calloc(rows * ldx + 1, sizeof *x);
    double *center = calloc(columns + 1, sizeof *center), *scale = calloc(columns + 1, sizeof *x);
    for (size_t i = 0; i < rows * ldx; i++) {
        size_t dice = random_below(random, 12);
        x[i] = dice == 0   ? (double)NAN
               : dice == 1 ? (double)INFINITY
               : dice == 2 ? -(double)INFINITY
                           : 20.0 * (double)random_float(random);
    }
    for (size_t j = 0; j < columns; j++) {
        center[j] = (double)random_float(random);
        scale[j] = 1.01 + (double)random_float(random);
    }
    matrix got = matrix_loose(random, rows, columns);
    matrix want = matrix_copy(&got);
    kernels->standardise(rows, columns, x, ldx, center, scale, 10.0, got.at, got.ld);
    ramify_kernels_reference()->standardise(rows, columns, x, ldx, center, scale, 10.0, want.at,
                                            want.ld);
    check_same("standardise", &got, &want, 0.0F);
    matrix_free(&got);
    matrix_free(&want);
    free(x);
    free(center);
    free(scale);
}

static void waves(const ramify_kernels *kernels, random_state *random) {
    size_t count = random_size(random);
    matrix turns = matrix_loose(random, 1, count);
    matrix got = matrix_loose(random, 1, 2 * count);
    matrix single = matrix_copy(&got), within = matrix_copy(&got);
    for (size_t i = 0; i < count; i++) {
        turns.at[i] *= random_below(random, 2) ? 3.0F : 3e4F;
    }
    kernels->waves(count, turns.at, got.at);
    for (size_t i = 0; i < count; i++) {
        double angle = 2.0 * 3.14159265358979323846 * (double)turns.at[i];
        assert_true(fabs((double)got.at[2 * i] - sin(angle)) < 4e-7);
        assert_true(fabs((double)got.at[2 * i + 1] - cos(angle)) < 4e-7);
        kernels->waves(1, turns.at + i, single.at + 2 * i);
    }
    check_same("waves, one at a time", &single, &got, 0.0F);
    memcpy(within.at + count, turns.at, count * sizeof *turns.at);
    kernels->waves(count, within.at + count, within.at);
    check_same("waves in place", &within, &got, 0.0F);
    matrix_free(&turns);
    matrix_free(&got);
    matrix_free(&single);
    matrix_free(&within);
}

#define TEST(name)                                                                                 \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        for_every_set(name);                                                                       \
    }
TEST(transpose)
TEST(scale_columns)
TEST(activate)
TEST(activate_backward)
TEST(adamw)
TEST(average)
TEST(standardise)
TEST(waves)

int run_elementwise_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transpose),   cmocka_unit_test(test_scale_columns),
        cmocka_unit_test(test_activate),    cmocka_unit_test(test_activate_backward),
        cmocka_unit_test(test_adamw),       cmocka_unit_test(test_average),
        cmocka_unit_test(test_standardise), cmocka_unit_test(test_waves),
    };
    return cmocka_run_group_tests_name("elementwise", tests, NULL, NULL);
}

/* Operations of transformer branches, against the reference. */

#include "kernel_matrix.h"

#include <math.h>

#define TOLERANCE 1e-5F
/* Of sums over a column or row, whose terms the reference adds in double. */
#define SUM_TOLERANCE 1e-4F

static void normalise(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    const float epsilon = 1e-3F;
    size_t d = random_size(random), n = padded(random_size(random));
    matrix x = matrix_loose(random, d, n);
    matrix y = matrix_padded(random, d, n), y_want = matrix_copy(&y);
    matrix inverse = matrix_padded(random, 1, n), inverse_want = matrix_copy(&inverse);
    if (d > 0) { /* a column has no mean otherwise */
        kernels->normalise_columns(d, n, x.at, x.ld, epsilon, y.at, y.ld, inverse.at);
        reference->normalise_columns(d, n, x.at, x.ld, epsilon, y_want.at, y.ld, inverse_want.at);
    }
    check_same("normalise_columns", &y, &y_want, SUM_TOLERANCE);
    check_same("normalise_columns, inverse", &inverse, &inverse_want, SUM_TOLERANCE);

    /* A column does not depend on those beside it. */
    matrix single = matrix_copy(&y), lone = matrix_copy(&inverse);
    for (size_t j = 0; d > 0 && j < n; j += 16) {
        kernels->normalise_columns(d, 16, x.at + j, x.ld, epsilon, single.at + j, single.ld,
                                   lone.at + j);
    }
    check_same("normalise_columns, by parts", &single, &y, 0.0F);

    matrix dy = matrix_padded(random, d, n);
    matrix dx = matrix_padded(random, d, n), dx_want = matrix_copy(&dx);
    bool accumulate = random_below(random, 2);
    reference->normalise_columns_backward(d, n, dy.at, dy.ld, y.at, y.ld, inverse.at, dx_want.at,
                                          dx.ld, accumulate);
    if (!accumulate && random_below(random, 2)) {
        kernels->normalise_columns_backward(d, n, dy.at, dy.ld, y.at, y.ld, inverse.at, dy.at,
                                            dy.ld, false);
        for (size_t i = 0; i < d; i++) {
            for (size_t j = 0; j < n; j++) {
                dx.at[i * dx.ld + j] = dy.at[i * dy.ld + j];
            }
        }
    } else {
        kernels->normalise_columns_backward(d, n, dy.at, dy.ld, y.at, y.ld, inverse.at, dx.at,
                                            dx.ld, accumulate);
    }
    /* The inverse of a column that is almost constant is large, and so are the gradients. */
    check_same("normalise_columns_backward", &dx, &dx_want, 1e-3F);
    matrix_free(&x);
    matrix_free(&y);
    matrix_free(&y_want);
    matrix_free(&inverse);
    matrix_free(&inverse_want);
    matrix_free(&single);
    matrix_free(&lone);
    matrix_free(&dy);
    matrix_free(&dx);
    matrix_free(&dx_want);
}

static void scale_rows(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t d = random_size(random), n = padded(random_size(random));
    matrix x = matrix_padded(random, d, n);
    matrix gain = matrix_loose(random, 1, d), bias = matrix_loose(random, 1, d);
    matrix y = matrix_padded(random, d, n), want = matrix_copy(&y);
    const float *some_x = random_below(random, 4) ? x.at : NULL;
    const float *some_gain = random_below(random, 3) ? gain.at : NULL;
    const float *some_bias = random_below(random, 3) ? bias.at : NULL;
    kernels->scale_rows(d, n, some_x, x.ld, some_gain, some_bias, y.at, y.ld);
    reference->scale_rows(d, n, some_x, x.ld, some_gain, some_bias, want.at, want.ld);
    check_same("scale_rows", &y, &want, TOLERANCE);

    matrix g = matrix_padded(random, d, n);
    matrix dgain = matrix_loose(random, 1, d), dgain_want = matrix_copy(&dgain);
    matrix dbias = matrix_loose(random, 1, d), dbias_want = matrix_copy(&dbias);
    matrix dx = matrix_padded(random, d, n), dx_want = matrix_copy(&dx);
    bool accumulate = random_below(random, 2), gains = random_below(random, 3) != 0;
    bool biases = random_below(random, 3) != 0, inputs = random_below(random, 3) != 0;
    const ramify_kernels *sets[] = {kernels, reference};
    matrix *to[][3] = {{&dgain, &dbias, &dx}, {&dgain_want, &dbias_want, &dx_want}};
    for (size_t s = 0; s < 2; s++) {
        sets[s]->scale_rows_backward(d, n, g.at, g.ld, gains ? x.at : NULL, x.ld, some_gain,
                                     gains ? to[s][0]->at : NULL, biases ? to[s][1]->at : NULL,
                                     inputs ? to[s][2]->at : NULL, dx.ld, accumulate);
    }
    check_same("scale_rows_backward, dgain", &dgain, &dgain_want, SUM_TOLERANCE);
    check_same("scale_rows_backward, dbias", &dbias, &dbias_want, SUM_TOLERANCE);
    check_same("scale_rows_backward, dx", &dx, &dx_want, TOLERANCE);
    matrix_free(&x);
    matrix_free(&gain);
    matrix_free(&bias);
    matrix_free(&y);
    matrix_free(&want);
    matrix_free(&g);
    matrix_free(&dgain);
    matrix_free(&dgain_want);
    matrix_free(&dbias);
    matrix_free(&dbias_want);
    matrix_free(&dx);
    matrix_free(&dx_want);
}

static void softmax_columns(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t keys = random_size(random), n = padded(random_size(random));
    matrix p = matrix_padded(random, keys, n);
    for (size_t i = 0; i < keys; i++) {
        for (size_t j = 0; j < n; j++) {
            /* Far apart in some columns: nothing overflows. */
            p.at[i * p.ld + j] *= j % 3 == 0 ? 1000.0F : 5.0F;
        }
    }
    matrix want = matrix_copy(&p);
    kernels->softmax_columns(keys, n, p.at, p.ld, 0.35F);
    reference->softmax_columns(keys, n, want.at, want.ld, 0.35F);
    check_same("softmax_columns", &p, &want, TOLERANCE);

    matrix dp = matrix_padded(random, keys, n), dp_want = matrix_copy(&dp);
    kernels->softmax_columns_backward(keys, n, p.at, p.ld, dp.at, dp.ld, 0.35F);
    reference->softmax_columns_backward(keys, n, p.at, p.ld, dp_want.at, dp.ld, 0.35F);
    check_same("softmax_columns_backward", &dp, &dp_want, TOLERANCE);
    matrix_free(&p);
    matrix_free(&want);
    matrix_free(&dp);
    matrix_free(&dp_want);
}

static void gelu(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random), n = padded(random_size(random));
    matrix x = matrix_padded(random, rows, n);
    const float reach = random_below(random, 2) ? 12.0F : 3.0F; /* beyond where erf is 1, and not */
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j++) {
            x.at[i * x.ld + j] *= reach;
        }
    }
    matrix y = matrix_padded(random, rows, n), want = matrix_copy(&y);
    kernels->gelu(rows, n, x.at, x.ld, y.at, y.ld);
    reference->gelu(rows, n, x.at, x.ld, want.at, want.ld);
    check_same("gelu", &y, &want, 1e-6F);

    matrix dy = matrix_padded(random, rows, n);
    reference->gelu_backward(rows, n, dy.at, dy.ld, x.at, x.ld, want.at, want.ld);
    kernels->gelu_backward(rows, n, dy.at, dy.ld, x.at, x.ld, y.at, y.ld);
    check_same("gelu_backward", &y, &want, 1e-6F);
    matrix_free(&x);
    matrix_free(&y);
    matrix_free(&want);
    matrix_free(&dy);
}

#define TEST(name)                                                                                 \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        for_every_set(name);                                                                       \
    }
TEST(normalise)
TEST(scale_rows)
TEST(softmax_columns)
TEST(gelu)

int run_column_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_scale_rows),
        cmocka_unit_test(test_softmax_columns),
        cmocka_unit_test(test_gelu),
    };
    return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}

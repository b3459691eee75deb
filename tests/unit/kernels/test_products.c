/* Products, distances and softmax: against the reference, and row by row against the batch. */

#include "kernel_matrix.h"

#include <math.h>
#include <string.h>

/* "baseline" rounds twice where the others fuse; sums that split over lanes differ in order. */
#define TOLERANCE 1e-5F

static float chain_tolerance(const ramify_kernels *kernels) {
    return strcmp(kernels->name, "baseline") == 0 ? TOLERANCE : 0.0F;
}

static void matmul(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t m = random_size(random);
    size_t n = padded(random_size(random));
    size_t k = random_size(random);
    bool transposed = random_below(random, 2);
    bool accumulate = random_below(random, 2);
    matrix a = transposed ? matrix_loose(random, k, m) : matrix_loose(random, m, k);
    size_t a_row = transposed ? 1 : a.ld;
    size_t a_col = transposed ? a.ld : 1;
    matrix b = matrix_padded(random, k, n);
    matrix got = matrix_padded(random, m, n);
    matrix want = matrix_copy(&got);
    matrix single = matrix_copy(&got);
    kernels->matmul(m, n, k, a.at, a_row, a_col, b.at, b.ld, got.at, got.ld, accumulate);
    reference->matmul(m, n, k, a.at, a_row, a_col, b.at, b.ld, want.at, want.ld, accumulate);
    check_same("matmul", &got, &want, chain_tolerance(kernels));
    for (size_t i = 0; i < m; i++) {
        kernels->matmul(1, n, k, a.at + i * a_row, a_row, a_col, b.at, b.ld,
                        single.at + i * single.ld, single.ld, accumulate);
    }
    check_same("matmul, one row at a time", &single, &got, 0.0F);
    matrix_free(&a);
    matrix_free(&b);
    matrix_free(&got);
    matrix_free(&want);
    matrix_free(&single);
}

/* Both strides other than 1: every second number of a loose matrix. */
static void matmul_strided(const ramify_kernels *kernels, random_state *random) {
    size_t m = random_size(random);
    size_t n = padded(random_size(random));
    size_t k = random_size(random);
    matrix a = matrix_loose(random, m, 2 * k);
    matrix b = matrix_padded(random, k, n);
    matrix got = matrix_padded(random, m, n);
    matrix want = matrix_copy(&got);
    kernels->matmul(m, n, k, a.at, a.ld, 2, b.at, b.ld, got.at, got.ld, false);
    ramify_kernels_reference()->matmul(m, n, k, a.at, a.ld, 2, b.at, b.ld, want.at, want.ld, false);
    check_same("matmul, strided", &got, &want, chain_tolerance(kernels));
    matrix_free(&a);
    matrix_free(&b);
    matrix_free(&got);
    matrix_free(&want);
}

static void affine(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random);
    size_t n = padded(random_size(random));
    size_t k = random_size(random);
    matrix x = matrix_loose(random, rows, k);
    matrix w = matrix_padded(random, k, n);
    matrix bias = matrix_padded(random, 1, n);
    matrix slope = matrix_padded(random, 1, n);
    matrix got = matrix_padded(random, rows, n);
    matrix want = matrix_copy(&got);
    matrix single = matrix_copy(&got);
    const float *b = random_below(random, 4) ? bias.at : NULL;
    const float *s = random_below(random, 4) ? slope.at : NULL;
    kernels->affine(rows, n, k, x.at, x.ld, w.at, w.ld, b, s, got.at, got.ld);
    reference->affine(rows, n, k, x.at, x.ld, w.at, w.ld, b, s, want.at, want.ld);
    check_same("affine", &got, &want, chain_tolerance(kernels));
    for (size_t i = 0; i < rows; i++) {
        kernels->affine(1, n, k, x.at + i * x.ld, x.ld, w.at, w.ld, b, s, single.at + i * single.ld,
                        single.ld);
    }
    check_same("affine, one row at a time", &single, &got, 0.0F);
    matrix_free(&x);
    matrix_free(&w);
    matrix_free(&bias);
    matrix_free(&slope);
    matrix_free(&got);
    matrix_free(&want);
    matrix_free(&single);
}

static void dots_and_distances(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random);
    size_t n = random_size(random) % 24;
    size_t k = random_size(random);
    matrix x = matrix_zero_padded(random, rows, k);
    matrix w = matrix_zero_padded(random, n, k);
    matrix bias = matrix_loose(random, 1, n);
    matrix got = matrix_loose(random, rows, n);
    matrix want = matrix_copy(&got);
    matrix single = matrix_copy(&got);
    const float *b = random_below(random, 2) ? bias.at : NULL;

    kernels->dots(rows, n, k, x.at, x.ld, w.at, w.ld, b, got.at, got.ld);
    reference->dots(rows, n, k, x.at, x.ld, w.at, w.ld, b, want.at, want.ld);
    check_same("dots", &got, &want, TOLERANCE);
    for (size_t i = 0; i < rows; i++) {
        kernels->dots(1, n, k, x.at + i * x.ld, x.ld, w.at, w.ld, b, single.at + i * single.ld,
                      single.ld);
    }
    check_same("dots, one row at a time", &single, &got, 0.0F);

    kernels->distances(rows, n, k, x.at, x.ld, w.at, w.ld, got.at, got.ld);
    reference->distances(rows, n, k, x.at, x.ld, w.at, w.ld, want.at, want.ld);
    check_same("distances", &got, &want, TOLERANCE);
    for (size_t i = 0; i < rows; i++) {
        kernels->distances(1, n, k, x.at + i * x.ld, x.ld, w.at, w.ld, single.at + i * single.ld,
                           single.ld);
    }
    check_same("distances, one row at a time", &single, &got, 0.0F);
    matrix_free(&x);
    matrix_free(&w);
    matrix_free(&bias);
    matrix_free(&got);
    matrix_free(&want);
    matrix_free(&single);
}

/* Logits from tame to far beyond where exp overflows or underflows. */
static void spread(matrix *x, random_state *random) {
    const float scale = (const float[]){1.0F, 10.0F, 300.0F}[random_below(random, 3)];
    for (size_t i = 0; i < x->rows * x->ld; i++) {
        x->at[i] *= scale;
    }
}

static void softmax(const ramify_kernels *kernels, random_state *random) {
    size_t rows = random_size(random);
    size_t classes = random_size(random);
    matrix x = matrix_loose(random, rows, classes);
    spread(&x, random);
    matrix got = matrix_loose(random, rows, classes);
    matrix want = matrix_copy(&got);
    matrix single = matrix_copy(&got);
    matrix within = matrix_copy(&x);
    matrix within_want = matrix_copy(&x);
    kernels->softmax(rows, classes, x.at, x.ld, got.at, got.ld);
    ramify_kernels_reference()->softmax(rows, classes, x.at, x.ld, want.at, want.ld);
    check_same("softmax", &got, &want, TOLERANCE);
    for (size_t i = 0; i < rows; i++) {
        kernels->softmax(1, classes, x.at + i * x.ld, x.ld, single.at + i * single.ld, single.ld);
    }
    check_same("softmax, one row at a time", &single, &got, 0.0F);
    kernels->softmax(rows, classes, within.at, x.ld, within.at, x.ld);
    for (size_t i = 0; i < rows && classes > 0; i++) {
        memcpy(within_want.at + i * x.ld, got.at + i * got.ld, classes * sizeof(float));
    }
    check_same("softmax in place", &within, &within_want, 0.0F);
    matrix_free(&x);
    matrix_free(&got);
    matrix_free(&want);
    matrix_free(&single);
    matrix_free(&within);
    matrix_free(&within_want);
}

static void cross_entropy(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random);
    size_t classes = 1 + random_size(random);
    uint32_t labels[128];
    for (size_t i = 0; i < rows; i++) {
        labels[i] = (uint32_t)random_below(random, classes);
    }
    matrix x = matrix_loose(random, rows, classes);
    spread(&x, random);
    matrix weight = matrix_loose(random, 1, rows);
    const float *weights = random_below(random, 2) ? weight.at : NULL;
    const float smoothing = random_below(random, 2) ? 0.1F : 0.0F;
    matrix loss = matrix_loose(random, 1, rows);
    matrix loss_want = matrix_copy(&loss);
    matrix loss_alone = matrix_copy(&loss);
    matrix dx = matrix_copy(&x);
    matrix dx_want = matrix_copy(&x);
    matrix dx_apart = matrix_copy(&x);
    reference->cross_entropy(rows, classes, x.at, x.ld, labels, smoothing, weights, loss_want.at,
                             dx_want.at, x.ld);
    kernels->cross_entropy(rows, classes, x.at, x.ld, labels, smoothing, weights, loss.at,
                           dx_apart.at, x.ld);
    check_same("cross_entropy, loss", &loss, &loss_want, TOLERANCE);
    check_same("cross_entropy, dx", &dx_apart, &dx_want, TOLERANCE);
    kernels->cross_entropy(rows, classes, x.at, x.ld, labels, smoothing, weights, loss_alone.at,
                           NULL, 0);
    check_same("cross_entropy without dx", &loss_alone, &loss, 0.0F);
    kernels->cross_entropy(rows, classes, dx.at, x.ld, labels, smoothing, weights, loss_alone.at,
                           dx.at, x.ld);
    check_same("cross_entropy in place", &dx, &dx_apart, 0.0F);
    matrix_free(&x);
    matrix_free(&weight);
    matrix_free(&loss);
    matrix_free(&loss_want);
    matrix_free(&loss_alone);
    matrix_free(&dx);
    matrix_free(&dx_want);
    matrix_free(&dx_apart);
}

/* Class probabilities with some exact zeros; a one-hot row must agree with cross_entropy. */
static void cross_entropy_soft(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    size_t rows = random_size(random);
    size_t classes = 1 + random_size(random);
    matrix x = matrix_loose(random, rows, classes);
    spread(&x, random);
    matrix target = matrix_loose(random, rows, classes);
    uint32_t labels[128];
    for (size_t i = 0; i < rows; i++) {
        float *row = target.at + i * target.ld, sum = 0.0F;
        labels[i] = (uint32_t)random_below(random, classes);
        bool one_hot = i % 3 == 0;
        for (size_t j = 0; j < classes; j++) {
            row[j] = one_hot || random_below(random, 3) == 0 ? 0.0F : fabsf(row[j]);
            sum += row[j];
        }
        row[labels[i]] += sum > 0.0F ? 0.0F : 1.0F;
        for (size_t j = 0; j < classes && sum > 0.0F; j++) {
            row[j] /= sum;
        }
    }
    matrix weight = matrix_loose(random, 1, rows);
    const float *weights = random_below(random, 2) ? weight.at : NULL;
    matrix loss = matrix_loose(random, 1, rows);
    matrix loss_want = matrix_copy(&loss);
    matrix loss_hard = matrix_copy(&loss);
    matrix dx = matrix_copy(&x);
    matrix dx_want = matrix_copy(&x);
    matrix dx_apart = matrix_copy(&x);
    reference->cross_entropy_soft(rows, classes, x.at, x.ld, target.at, target.ld, weights,
                                  loss_want.at, dx_want.at, x.ld);
    kernels->cross_entropy_soft(rows, classes, x.at, x.ld, target.at, target.ld, weights, loss.at,
                                dx_apart.at, x.ld);
    check_same("cross_entropy_soft, loss", &loss, &loss_want, TOLERANCE);
    check_same("cross_entropy_soft, dx", &dx_apart, &dx_want, TOLERANCE);
    reference->cross_entropy(rows, classes, x.at, x.ld, labels, 0.0F, weights, loss_hard.at, NULL,
                             0);
    for (size_t i = 0; i < rows; i += 3) {
        assert_true(fabsf(loss.at[i] - loss_hard.at[i]) <=
                    TOLERANCE * (1.0F + fabsf(loss_hard.at[i])));
    }
    kernels->cross_entropy_soft(rows, classes, x.at, x.ld, target.at, target.ld, weights,
                                loss_want.at, NULL, 0);
    check_same("cross_entropy_soft without dx", &loss_want, &loss, 0.0F);
    kernels->cross_entropy_soft(rows, classes, dx.at, x.ld, target.at, target.ld, weights,
                                loss_want.at, dx.at, x.ld);
    check_same("cross_entropy_soft in place", &dx, &dx_apart, 0.0F);
    matrix_free(&x);
    matrix_free(&target);
    matrix_free(&weight);
    matrix_free(&loss);
    matrix_free(&loss_want);
    matrix_free(&loss_hard);
    matrix_free(&dx);
    matrix_free(&dx_want);
    matrix_free(&dx_apart);
}

/* NaN must not hide: a diverged training is told by its loss. */
static void nan_shows(const ramify_kernels *kernels, random_state *random) {
    matrix x = matrix_padded(random, 1, 16);
    matrix unit = matrix_padded(random, 16, 16);
    matrix y = matrix_padded(random, 1, 16);
    x.at[random_below(random, 16)] = NAN;
    kernels->affine(1, 16, 16, x.at, x.ld, unit.at, unit.ld, NULL, unit.at, y.at, y.ld);
    assert_true(isnan(y.at[0]));
    kernels->softmax(1, 16, x.at, x.ld, y.at, y.ld);
    assert_true(isnan(y.at[0]));
    matrix_free(&x);
    matrix_free(&unit);
    matrix_free(&y);
}

#define TEST(name)                                                                                 \
    static void test_##name(void **state) {                                                        \
        (void)state;                                                                               \
        for_every_set(name);                                                                       \
    }
TEST(matmul)
TEST(matmul_strided)
TEST(affine)
TEST(dots_and_distances)
TEST(softmax)
TEST(cross_entropy)
TEST(cross_entropy_soft)
TEST(nan_shows)

int run_product_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_matmul_strided),
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_dots_and_distances),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cross_entropy_soft),
        cmocka_unit_test(test_nan_shows),
    };
    return cmocka_run_group_tests_name("product", tests, NULL, NULL);
}

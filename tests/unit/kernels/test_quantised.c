/* Layers with int8 and bfloat16 weights: against the reference, one row against many, and against the
 * float32 layer of the same weights. */

#include "kernel_matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of any type; what follows them is watched. */
typedef struct numbers {
    void *at;
    size_t bytes;
} numbers;

#define WATCHED 64

static numbers numbers_of(random_state *random, size_t bytes) {
    numbers made = {.bytes = bytes};
    assert_int_equal(posix_memalign(&made.at, 64, bytes + WATCHED), 0);
    for (size_t i = 0; i < bytes + WATCHED; i++)
        ((unsigned char *)made.at)[i] =
            i < bytes ? (unsigned char)random_below(random, 256) : (unsigned char)0xA5;
    return made;
}

static void numbers_free(numbers *made) {
    for (size_t i = 0; i < WATCHED; i++)
        assert_int_equal(((unsigned char *)made->at)[made->bytes + i], 0xA5);
    free(made->at);
}

/* Sizes at which another path is taken, or any. */
static size_t some_size(random_state *random) {
    static const size_t edges[] = {1, 2, 3, 4, 15, 16, 17, 63, 64, 65, 127, 128, 129, 256, 300};
    const size_t i = random_below(random, 2 * (sizeof edges / sizeof edges[0]));
    return i < sizeof edges / sizeof edges[0] ? edges[i] : random_size(random);
}

static float tolerance_of(const ramify_kernels *kernels) {
    return strcmp(kernels->name, "baseline") == 0 ? 1e-3F : 0.0F;
}

static uint16_t upper_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static float widened(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void widens(const ramify_kernels *kernels, random_state *random) {
    const size_t count = padded(some_size(random));
    numbers half = numbers_of(random, count * sizeof(uint16_t));
    numbers to = numbers_of(random, count * sizeof(float));
    kernels->widen(count, half.at, to.at);
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = (uint32_t)((uint16_t *)half.at)[i] << 16;
        assert_memory_equal((float *)to.at + i, &bits, sizeof bits);
    }
    numbers_free(&half);
    numbers_free(&to);
}

/* Rows of ordinary numbers, and one each of zeros, of tiny numbers, with infinity and with NaN. */
static void rounds(const ramify_kernels *kernels, random_state *random) {
    const size_t k = some_size(random), rows = random_size(random), stride = padded(k);
    matrix x = matrix_padded(random, rows, k), gain = matrix_padded(random, 1, k);
    const float special[] = {0.0F, 1e-38F, INFINITY, NAN, 1e30F};
    for (size_t i = 0; i < rows && i < 5; i++)
        for (size_t p = 0; p < k; p++)
            x.at[i * x.ld + p] = i < 2 || p == k / 2 ? special[i] : x.at[i * x.ld + p];
    const float *g = random_below(random, 2) ? gain.at : NULL;
    numbers to = numbers_of(random, rows * stride * sizeof(int16_t));
    numbers step = numbers_of(random, padded(rows) * sizeof(float));
    kernels->round_rows(rows, k, x.at, x.ld, g, to.at, stride, step.at);
    for (size_t i = 0; i < rows; i++) {
        const int16_t *row = (int16_t *)to.at + i * stride;
        const float by = ((float *)step.at)[i];
        bool full = false, finite = true;
        for (size_t p = 0; p < k; p++)
            finite = finite && isfinite(x.at[i * x.ld + p]);
        assert_int_equal(isfinite(by), finite);
        for (size_t p = 0; p < stride; p++) {
            const double want =
                p < k && finite ? (double)x.at[i * x.ld + p] * (g ? (double)g[p] : 1) : 0;
            assert_true(!finite || fabs(row[p] * (double)by - want) <= 0.52 * (double)by + 1e-30);
            assert_true(abs(row[p]) <= ramify_round_most(k));
            full = full || abs(row[p]) == ramify_round_most(k);
        }
        assert_true(full || by == 0 || !finite);
    }
    numbers_free(&to);
    numbers_free(&step);
    matrix_free(&x);
    matrix_free(&gain);
}

static void int8_layer(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    const size_t k = some_size(random), n = padded(some_size(random)), rows = random_size(random);
    const size_t members = 1 + random_below(random, 3), all = members * rows, stride = padded(k);
    matrix x = matrix_padded(random, all, k), slope = matrix_padded(random, 1, n);
    numbers gain = numbers_of(random, members * n * sizeof(float));
    numbers bias = numbers_of(random, members * n * sizeof(float));
    for (size_t i = 0; i < members * n; i++) {
        ((float *)gain.at)[i] = random_float(random);
        ((float *)bias.at)[i] = random_float(random);
    }
    const float *b = random_below(random, 4) ? bias.at : NULL;
    const float *s = random_below(random, 4) ? slope.at : NULL;
    numbers w = numbers_of(random, ramify_pairs(k) * 2 * n);
    numbers whole = numbers_of(random, all * stride * sizeof(int16_t));
    numbers step = numbers_of(random, all * sizeof(float));
    matrix got = matrix_padded(random, all, n), want = matrix_copy(&got);
    matrix one = matrix_padded(random, 1, n);
    reference->round_rows(all, k, x.at, x.ld, NULL, whole.at, stride, step.at);
    kernels->affine_int8(members, rows, n, k, whole.at, stride, step.at, w.at, gain.at, b, s,
                         got.at, got.ld);
    reference->affine_int8(members, rows, n, k, whole.at, stride, step.at, w.at, gain.at, b, s,
                           want.at, want.ld);
    check_same("affine_int8", &got, &want, tolerance_of(kernels));
    kernels->round_rows(all, k, x.at, x.ld, NULL, whole.at, stride, step.at);
    kernels->affine_int8(members, rows, n, k, whole.at, stride, step.at, w.at, gain.at, b, s,
                         got.at, got.ld);
    /* Without fused multiply-adds inputs may be rounded the other way. */
    check_same("round_rows and affine_int8", &got, &want, 100 * tolerance_of(kernels));
    for (size_t i = 0; i < all; i++) {
        const size_t of = i / rows * n;
        kernels->affine_int8(1, 1, n, k, (int16_t *)whole.at + i * stride, stride,
                             (float *)step.at + i, w.at, (float *)gain.at + of, b ? b + of : NULL,
                             s, one.at, one.ld);
        assert_memory_equal(one.at, got.at + i * got.ld, n * sizeof(float));
    }
    numbers *lists[] = {&w, &whole, &step, &gain, &bias};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        numbers_free(lists[i]);
    matrix *matrices[] = {&x, &slope, &got, &want, &one};
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
        matrix_free(matrices[i]);
}

/* The largest sums that there can be. */
static void does_not_overflow(const ramify_kernels *kernels, random_state *random) {
    const size_t k = 16 * (1 + random_below(random, 100)), n = 16;
    matrix x = matrix_padded(random, 2, k), y = matrix_padded(random, 2, n);
    numbers w = numbers_of(random, ramify_pairs(k) * 2 * n);
    numbers whole = numbers_of(random, 2 * k * sizeof(int16_t));
    float step[2], gain[16] __attribute__((aligned(64)));
    memset(w.at, 0x80, w.bytes); /* -128 */
    for (size_t p = 0; p < k; p++) {
        x.at[p] = 1;
        x.at[x.ld + p] = -1;
    }
    kernels->round_rows(2, k, x.at, x.ld, NULL, whole.at, k, step);
    for (size_t j = 0; j < n; j++)
        gain[j] = 1;
    kernels->affine_int8(1, 2, n, k, whole.at, k, step, w.at, gain, NULL, NULL, y.at, y.ld);
    for (size_t j = 0; j < n; j++) {
        assert_true(fabsf(y.at[j] + 128.0F * (float)k) <= 1e-3F * (float)k);
        assert_true(fabsf(y.at[y.ld + j] - 128.0F * (float)k) <= 1e-3F * (float)k);
    }
    numbers_free(&w);
    numbers_free(&whole);
    matrix_free(&x);
    matrix_free(&y);
}

static void bfloat16_layer(const ramify_kernels *kernels, random_state *random) {
    const size_t k = some_size(random), n = padded(some_size(random)), rows = random_size(random);
    matrix x = matrix_padded(random, rows, k), dense = matrix_padded(random, k, n);
    matrix bias = matrix_padded(random, 1, n), slope = matrix_padded(random, 1, n);
    const float *b = random_below(random, 4) ? bias.at : NULL;
    const float *s = random_below(random, 4) ? slope.at : NULL;
    numbers w = numbers_of(random, ramify_pairs(k) * 2 * n * sizeof(uint16_t));
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++) {
            const uint16_t half = upper_half(dense.at[p * dense.ld + j]);
            ((uint16_t *)w.at)[ramify_pair_at(k, p, j)] = half;
            dense.at[p * dense.ld + j] = widened(half);
        }
    matrix got = matrix_padded(random, rows, n), want = matrix_copy(&got);
    matrix one = matrix_padded(random, 1, n);
    kernels->affine_bfloat16(rows, n, k, x.at, x.ld, w.at, b, s, got.at, got.ld);
    kernels->affine(rows, n, k, x.at, x.ld, dense.at, dense.ld, b, s, want.at, want.ld);
    check_same("affine_bfloat16 and affine", &got, &want, 0.0F);
    ramify_kernels_reference()->affine_bfloat16(rows, n, k, x.at, x.ld, w.at, b, s, want.at,
                                                want.ld);
    check_same("affine_bfloat16", &got, &want, tolerance_of(kernels));
    for (size_t i = 0; i < rows; i++) {
        kernels->affine_bfloat16(1, n, k, x.at + i * x.ld, x.ld, w.at, b, s, one.at, one.ld);
        assert_memory_equal(one.at, got.at + i * got.ld, n * sizeof(float));
    }
    numbers_free(&w);
    matrix *all[] = {&x, &dense, &bias, &slope, &got, &want, &one};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        matrix_free(all[i]);
}

static void test_widens(void **state) {
    (void)state;
    for_every_set(widens);
}

static void test_rounds(void **state) {
    (void)state;
    random_state random = {.state = 7};
    rounds(ramify_kernels_reference(), &random);
    for_every_set(rounds);
}

static void test_int8(void **state) {
    (void)state;
    for_every_set(int8_layer);
}

static void test_does_not_overflow(void **state) {
    (void)state;
    for_every_set(does_not_overflow);
}

static void test_bfloat16(void **state) {
    (void)state;
    for_every_set(bfloat16_layer);
}

int run_quantised_tests(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widens), cmocka_unit_test(test_rounds), cmocka_unit_test(test_int8),
        cmocka_unit_test(test_does_not_overflow), cmocka_unit_test(test_bfloat16)};
    return cmocka_run_group_tests_name("quantised", tests, NULL, NULL);
}

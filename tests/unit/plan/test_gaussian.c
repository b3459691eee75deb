/* The Gaussian process: it finds noise where noise was added and none where there is none, and
 * predicts. */

#include "gaussian.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static ramify_context *context;

static int open_context(void **state) {
    (void)state;
    return ramify_context_create(NULL, &context) == RAMIFY_OK ? 0 : 1;
}

static int close_context(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

static double wave(const double *x) {
    return sin(2 * x[0]) + 0.5 * x[1];
}

typedef struct sample {
    double *x, *y;
    size_t rows, features;
} sample;

/* Features are standard normal; the target is wave() of the first two times signal, and noise. */
static sample draw(size_t rows, size_t features, double signal, double noise) {
    sample s = {.rows = rows, .features = features};
    s.x = calloc(rows * features, sizeof *s.x);
    s.y = calloc(rows, sizeof *s.y);
    assert_non_null(s.x);
    assert_non_null(s.y);
    ramify_random random = ramify_random_stream(5, RAMIFY_PURPOSE_DIAGNOSE, 1, 2);
    for (size_t i = 0; i < rows; i++) {
        for (size_t f = 0; f < features; f++)
            s.x[i * features + f] = ramify_random_normal(&random);
        s.y[i] = 3 + signal * wave(s.x + i * features) + noise * ramify_random_normal(&random);
    }
    return s;
}

static ramify_gaussian *fit(const sample *s) {
    ramify_gaussian *gaussian = NULL;
    assert_int_equal(ramify_gaussian_fit(context, s->rows, s->features, s->x, s->y, &gaussian),
                     RAMIFY_OK);
    assert_true(gaussian->noise_low <= gaussian->noise_high);
    return gaussian;
}

static void clear(sample *s, ramify_gaussian **gaussian) {
    ramify_gaussian_destroy(context, gaussian);
    free(s->x);
    free(s->y);
}

static void test_finds_the_noise(void **state) {
    (void)state;
    sample s = draw(200, 3, 1, 0.4);
    ramify_gaussian *gaussian = fit(&s);
    assert_true(gaussian->noise > 0.16 * 0.75 && gaussian->noise < 0.16 * 1.3);
    assert_true(gaussian->noise_low < 0.16 && 0.16 < gaussian->noise_high);
    /* Rows left out are missed by the noise and by what is not known of the wave. */
    assert_true(gaussian->left_out > gaussian->noise && gaussian->left_out < 0.16 * 1.5);
    clear(&s, &gaussian);
}

static void test_finds_no_noise(void **state) {
    (void)state;
    sample s = draw(120, 2, 1, 0);
    ramify_gaussian *gaussian = fit(&s);
    assert_true(gaussian->noise < 1e-4);
    assert_true(gaussian->left_out < 1e-2);
    const double x[2] = {0.3, -0.4};
    assert_true(fabs(ramify_gaussian_predict(gaussian, x) - 3 - wave(x)) < 0.02);
    clear(&s, &gaussian);
}

static void test_noise_alone(void **state) {
    (void)state;
    sample s = draw(150, 2, 0, 1);
    ramify_gaussian *gaussian = fit(&s);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < s.rows; i++)
        mean += s.y[i] / (double)s.rows;
    for (size_t i = 0; i < s.rows; i++)
        variance += (s.y[i] - mean) * (s.y[i] - mean) / (double)s.rows;
    assert_true(gaussian->noise > 0.85 * variance && gaussian->noise < 1.15 * variance);
    clear(&s, &gaussian);
}

/* More features than there are scales, one of them the same in all rows, and two rows that are one. */
static void test_many_features(void **state) {
    (void)state;
    sample s = draw(60, RAMIFY_GAUSSIAN_SCALES + 5, 1, 0.1);
    for (size_t i = 0; i < s.rows; i++)
        s.x[i * s.features + 4] = 1;
    for (size_t f = 0; f < s.features; f++)
        s.x[s.features + f] = s.x[f];
    ramify_gaussian *gaussian = fit(&s);
    assert_true(isfinite(gaussian->noise) && isfinite(gaussian->left_out));
    assert_true(isfinite(ramify_gaussian_predict(gaussian, s.x)));
    clear(&s, &gaussian);
}

/* What lies beyond is not even looked at. */
static void test_takes_only_so_many_rows(void **state) {
    (void)state;
    sample s = draw(RAMIFY_GAUSSIAN_ROWS + 10, 2, 0, 1);
    for (size_t i = RAMIFY_GAUSSIAN_ROWS; i < s.rows; i++)
        s.y[i] = NAN;
    ramify_gaussian *gaussian = fit(&s);
    assert_int_equal(gaussian->rows, RAMIFY_GAUSSIAN_ROWS);
    assert_true(isfinite(gaussian->left_out));
    clear(&s, &gaussian);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_noise),
        cmocka_unit_test(test_finds_no_noise),
        cmocka_unit_test(test_noise_alone),
        cmocka_unit_test(test_many_features),
        cmocka_unit_test(test_takes_only_so_many_rows),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

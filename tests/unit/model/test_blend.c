/* Several experts per row: against the readable twin, continuous along lines, within the bound. */

#include "blend.h"
#include "counting.h"
#include "memory.h"
#include "random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 100

static ramify_model *open_with(ramify_context *context, random_model *twin, uint32_t top_k,
                               uint64_t bound) {
    char path[] = "/tmp/ramify-test-XXXXXX";
    close(mkstemp(path));
    ramify_model *whole = random_model_open(twin), *model = NULL;
    assert_int_equal(ramify_save(twin->context, whole, path), RAMIFY_OK);
    ramify_close(&whole);
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.top_k = top_k;
    options.resident_bytes = bound;
    if (ramify_open(context, path, &options, &model) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    unlink(path);
    return model;
}

static void predict(ramify_context *context, ramify_model *model, size_t rows, const double *x,
                    size_t piece, double *y) {
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(context, model, piece, &predictor), RAMIFY_OK);
    assert_int_equal(
        ramify_predict_double(predictor, rows, x, model->stem.columns, y, model->outputs),
        RAMIFY_OK);
    ramify_predictor_destroy(&predictor);
}

static void test_equals_the_twin(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    size_t blended = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        random_model_options options = random_model_any(seed);
        random_model *twin = random_model_create(context, &options);
        uint32_t columns = twin->stem.columns, outputs = options.outputs;
        double *x = malloc(ROWS * columns * sizeof *x), *y = malloc(ROWS * outputs * sizeof *y);
        double *single = malloc(ROWS * outputs * sizeof *y);
        double *expected = malloc(outputs * sizeof *expected);
        double *alone = malloc(outputs * sizeof *alone);
        for (size_t row = 0; row < ROWS; row++)
            random_model_row(twin, x + row * columns);
        for (uint32_t top_k = 1; top_k <= 5; top_k += 2) {
            ramify_model *model = open_with(context, twin, top_k, 0);
            predict(context, model, ROWS, x, 32, y);
            predict(context, model, ROWS, x, 1, single);
            assert_memory_equal(y, single, ROWS * outputs * sizeof *y);
            size_t apart = 0;
            for (size_t row = 0; row < ROWS; row++) {
                random_model_predict(twin, x + row * columns, alone);
                if (top_k == 1)
                    memcpy(expected, alone, outputs * sizeof *alone);
                else
                    random_model_blend(twin, x + row * columns, top_k, RAMIFY_BLEND_BAND, expected);
                double error = 0, moved = 0;
                for (uint32_t j = 0; j < outputs; j++) {
                    error = fmax(error, fabs(y[row * outputs + j] - expected[j]) /
                                            (1 + fabs(expected[j])));
                    moved = fmax(moved, fabs(alone[j] - expected[j]));
                }
                apart += error > 1e-4;
                blended += moved > 1e-3;
            }
            /* Rows of which two ways weigh the same in float32 and not in float64. */
            assert_true(apart <= 1);
            ramify_close(&model);
        }
        random_model_destroy(twin);
        free(x);
        free(y);
        free(single);
        free(expected);
        free(alone);
    }
    assert_true(blended > 500);
    ramify_context_destroy(&context);
}

/* The largest change of the prediction between neighbours among `steps` points of a line. */
static double largest_step(ramify_context *context, ramify_model *model, const double *from,
                           const double *to, size_t steps) {
    uint32_t columns = model->stem.columns;
    double *x = malloc(steps * columns * sizeof *x);
    double *y = malloc(steps * model->outputs * sizeof *y);
    for (size_t i = 0; i < steps; i++)
        for (uint32_t c = 0; c < columns; c++)
            x[i * columns + c] = from[c] + (to[c] - from[c]) * (double)i / (double)(steps - 1);
    predict(context, model, steps, x, 256, y);
    double most = 0;
    for (size_t i = 1; i < steps; i++)
        most = fmax(most, fabs(y[i * model->outputs] - y[(i - 1) * model->outputs]));
    free(x);
    free(y);
    return most;
}

/* Ten times finer steps change the prediction by ten times less when it is continuous, and by as
 * much at a jump. */
static void test_continuous_along_lines(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    random_model_options options = random_model_defaults();
    options.categorical = 0;
    options.numeric = 3;
    options.levels = 3;
    options.arity = 3;
    options.hidden[0] = 8;
    options.seed = 5;
    random_model *twin = random_model_create(context, &options);
    for (uint32_t top_k = 1; top_k <= RAMIFY_TOP_K_MAX; top_k += RAMIFY_TOP_K_MAX - 1) {
        ramify_model *model = open_with(context, twin, top_k, 0);
        size_t jumps = 0;
        ramify_random random = ramify_random_stream(8, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
        for (int line = 0; line < 40; line++) {
            double ends[6];
            for (int c = 0; c < 6; c++)
                ends[c] = 2 * ramify_random_normal(&random);
            double coarse = largest_step(context, model, ends, ends + 3, 2000);
            double fine = largest_step(context, model, ends, ends + 3, 20000);
            jumps += fine > 0.5 * coarse && coarse > 0.01;
        }
        if (top_k == 1)
            assert_true(jumps > 20);
        else
            assert_int_equal(jumps, 0);
        ramify_close(&model);
    }
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

static void test_bound_is_kept(void **state) {
    (void)state;
    counting counts = {0};
    ramify_context *context = counting_context(&counts), *other = NULL;
    assert_int_equal(ramify_context_create(NULL, &other), RAMIFY_OK);
    random_model_options options = random_model_defaults();
    options.levels = 4;
    options.arity = 4;
    options.outputs = 3;
    options.hidden[0] = 30;
    random_model *twin = random_model_create(other, &options);
    uint32_t columns = twin->stem.columns;
    double *x = malloc(ROWS * columns * sizeof *x), *y = malloc(ROWS * 3 * sizeof *y);
    double *expected = malloc(ROWS * 3 * sizeof *y);
    for (size_t row = 0; row < ROWS; row++)
        random_model_row(twin, x + row * columns);
    ramify_model *model = open_with(other, twin, 4, 0);
    predict(other, model, ROWS, x, 64, expected);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_close(&model);
    for (uint64_t spare = 0; spare < 40000; spare += 9999) {
        uint64_t before = counts.live;
        model = open_with(context, twin, 4, info.resident_bytes + spare);
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(context, model, 64, &predictor), RAMIFY_OK);
        uint64_t calls = counts.calls;
        assert_int_equal(ramify_predict_double(predictor, ROWS, x, columns, y, 3), RAMIFY_OK);
        assert_memory_equal(y, expected, ROWS * 3 * sizeof *y);
        assert_int_equal(counts.calls, calls);
        assert_true(counts.live - before <= info.resident_bytes + spare);
        ramify_predictor_destroy(&predictor);
        ramify_close(&model);
        assert_int_equal(counts.live, before);
    }
    free(x);
    free(y);
    free(expected);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
    ramify_context_destroy(&other);
}

static void test_refusals(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.top_k = RAMIFY_TOP_K_MAX + 1;
    ramify_model *model = NULL;
    assert_int_equal(ramify_open(context, "/tmp", &options, &model), RAMIFY_ERROR_ARGUMENT);
    assert_string_equal(ramify_message(context),
                        "ramify_open: 17 experts per row (top_k), 16 are the most");
    random_model_options shape = random_model_defaults();
    random_model *twin = random_model_create(context, &shape);
    model = open_with(context, twin, 2, 0);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(context, model, 1, &predictor), RAMIFY_OK);
    double x[3] = {0}, gradient[3];
    assert_int_equal(ramify_predict_gradient(predictor, 1, x, 3, 0, gradient, 3),
                     RAMIFY_ERROR_UNSUPPORTED);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_twin),
        cmocka_unit_test(test_continuous_along_lines),
        cmocka_unit_test(test_bound_is_kept),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

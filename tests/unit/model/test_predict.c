/* Predictions against the readable twin; rows do not depend on their neighbours; gradients against
 * finite differences. */

#include "memory.h"
#include "random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS   150
#define MODELS 60

static ramify_context *new_context(const char *isa) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.isa = isa;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    return context;
}

typedef struct subject {
    ramify_context *context;
    random_model *twin;
    ramify_model *model;
    uint32_t columns, outputs;
    double *x; /* ROWS x columns */
    double *y; /* ROWS x outputs */
} subject;

static subject open_subject(const char *isa, const random_model_options *options) {
    subject s = {.context = new_context(isa)};
    s.twin = random_model_create(s.context, options);
    s.model = random_model_open(s.twin);
    s.columns = s.twin->stem.columns;
    s.outputs = options->outputs;
    s.x = malloc(ROWS * s.columns * sizeof *s.x);
    s.y = malloc(ROWS * s.outputs * sizeof *s.y);
    for (size_t row = 0; row < ROWS; row++)
        random_model_row(s.twin, s.x + row * s.columns);
    return s;
}

static void close_subject(subject *s) {
    ramify_close(&s->model);
    random_model_destroy(s->twin);
    ramify_context_destroy(&s->context);
    free(s->x);
    free(s->y);
}

static void predict_all(subject *s, size_t piece) {
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s->context, s->model, piece, &predictor), RAMIFY_OK);
    assert_int_equal(ramify_predict_double(predictor, ROWS, s->x, s->columns, s->y, s->outputs),
                     RAMIFY_OK);
    ramify_predictor_destroy(&predictor);
}

static void test_equals_the_twin(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < MODELS; seed++) {
        random_model_options options = random_model_any(seed);
        subject s = open_subject(NULL, &options);
        predict_all(&s, 64);
        double *expected = malloc(s.outputs * sizeof *expected);
        size_t apart = 0;
        for (size_t row = 0; row < ROWS; row++) {
            random_model_predict(s.twin, s.x + row * s.columns, expected);
            for (uint32_t j = 0; j < s.outputs; j++)
                if (!(fabs(s.y[row * s.outputs + j] - expected[j]) <=
                      1e-4 * (1.0 + fabs(expected[j])))) {
                    apart++;
                    break;
                }
        }
        /* A row on the border of two cells may fall to either side by rounding. */
        assert_true(apart <= 1);
        free(expected);
        close_subject(&s);
    }
}

static void test_rows_do_not_depend_on_each_other(void **state) {
    (void)state;
    const ramify_kernels *const *sets;
    size_t count = ramify_kernels_list(&sets);
    for (size_t k = 0; k < count; k++) {
        if (strcmp(sets[k]->name, "reference") == 0)
            continue;
        for (uint64_t seed = 100; seed < 100 + MODELS / 3; seed++) {
            random_model_options options = random_model_any(seed);
            subject s = open_subject(sets[k]->name, &options);
            predict_all(&s, ROWS);
            double *whole = malloc(ROWS * s.outputs * sizeof *whole);
            memcpy(whole, s.y, ROWS * s.outputs * sizeof *whole);
            static const size_t pieces[] = {1, 2, 7, 64, 10000};
            for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
                memset(s.y, 0, ROWS * s.outputs * sizeof *s.y);
                predict_all(&s, pieces[i]);
                assert_memory_equal(whole, s.y, ROWS * s.outputs * sizeof *whole);
            }
            free(whole);
            close_subject(&s);
        }
    }
}

static void test_floats_and_strides(void **state) {
    (void)state;
    random_model_options options = random_model_defaults();
    options.outputs = 3;
    options.task = RAMIFY_TASK_CLASSIFICATION;
    subject s = open_subject(NULL, &options);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, s.model, 16, &predictor), RAMIFY_OK);
    float x[ROWS * 5], y[ROWS * 4];
    double rounded[ROWS * 3];
    for (size_t row = 0; row < ROWS; row++)
        for (size_t c = 0; c < 3; c++) {
            x[row * 5 + c] = (float)s.x[row * 3 + c];
            rounded[row * 3 + c] = (double)x[row * 5 + c];
        }
    for (size_t i = 0; i < ROWS * 4; i++)
        y[i] = -7.0F;
    assert_int_equal(ramify_predict(predictor, ROWS, x, 5, y, 4), RAMIFY_OK);
    assert_int_equal(ramify_predict_double(predictor, ROWS, rounded, 3, s.y, 3), RAMIFY_OK);
    for (size_t row = 0; row < ROWS; row++) {
        double sum = 0.0;
        for (size_t j = 0; j < 3; j++) {
            assert_true(y[row * 4 + j] == (float)s.y[row * 3 + j]);
            sum += s.y[row * 3 + j];
        }
        assert_true(fabs(sum - 1.0) < 1e-5);
        assert_true(y[row * 4 + 3] == -7.0F);
    }
    ramify_predictor_destroy(&predictor);
    close_subject(&s);
}

static void test_refuses_wrong_arguments(void **state) {
    (void)state;
    random_model_options options = random_model_defaults();
    subject s = open_subject(NULL, &options);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, NULL, 1, &predictor),
                     RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_predictor_create(s.context, s.model, 0, &predictor), RAMIFY_OK);
    assert_int_equal(ramify_predict_double(predictor, 1, NULL, 3, s.y, 1), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_predict_double(predictor, 2, s.x, 2, s.y, 1), RAMIFY_ERROR_ARGUMENT);
    assert_string_equal(ramify_message(s.context),
                        "ramify_predict: strides of 2 and 1 numbers, the model takes 3 and gives 1 "
                        "per row");
    assert_int_equal(ramify_predict_double(predictor, 0, NULL, 0, NULL, 0), RAMIFY_OK);
    double gradient[3];
    assert_int_equal(ramify_predict_gradient(predictor, 1, s.x, 3, 1, gradient, 3),
                     RAMIFY_ERROR_ARGUMENT);
    ramify_predictor_destroy(&predictor);
    ramify_predictor_destroy(&predictor);
    ramify_predictor_destroy(NULL);
    close_subject(&s);
}

/* The quantity that the gradient is of, by the twin, in double precision. */
static double value_of(const subject *s, const double *x, uint32_t output, uint32_t *module) {
    double y[64];
    *module = random_model_predict(s->twin, x, y);
    return s->twin->schema.task == RAMIFY_TASK_REGRESSION ? y[output] : log(y[output]);
}

/* Central differences at two steps; where they disagree there is a kink or a border between them. */
static bool difference(const subject *s, const double *row, uint32_t column, uint32_t output,
                       double *slope) {
    double x[64];
    double slopes[2];
    static const double steps[] = {2e-3, 1e-3};
    uint32_t module[2];
    for (size_t i = 0; i < 2; i++) {
        memcpy(x, row, s->columns * sizeof *x);
        x[column] = row[column] + steps[i];
        double above = value_of(s, x, output, &module[0]);
        x[column] = row[column] - steps[i];
        slopes[i] = (above - value_of(s, x, output, &module[1])) / (2.0 * steps[i]);
        if (module[0] != module[1])
            return false;
    }
    *slope = slopes[1];
    return fabs(slopes[0] - slopes[1]) < 1e-3 * (1.0 + fabs(slopes[1]));
}

static void test_gradients(void **state) {
    (void)state;
    size_t compared = 0, wrong = 0;
    for (uint64_t seed = 200; seed < 200 + MODELS / 2; seed++) {
        random_model_options options = random_model_any(seed);
        subject s = open_subject(NULL, &options);
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(s.context, s.model, 32, &predictor), RAMIFY_OK);
        double *gradient = malloc(ROWS * s.columns * sizeof *gradient);
        uint32_t output = (uint32_t)(seed % s.outputs);
        assert_int_equal(
            ramify_predict_gradient(predictor, ROWS, s.x, s.columns, output, gradient, s.columns),
            RAMIFY_OK);
        for (size_t row = 0; row < 20; row++)
            for (uint32_t c = 0; c < s.columns; c++) {
                const double *x = s.x + row * s.columns;
                double found = gradient[row * s.columns + c], expected;
                if (s.twin->columns[c].codes > 0 || !isfinite(x[c])) {
                    assert_true(found == 0.0);
                } else if (difference(&s, x, c, output, &expected)) {
                    compared++;
                    wrong += !(fabs(found - expected) < 1e-2 * (1.0 + fabs(expected)));
                }
            }
        free(gradient);
        ramify_predictor_destroy(&predictor);
        close_subject(&s);
    }
    assert_true(compared > 1000);
    /* A kink can hide from both steps. */
    assert_true(wrong * 500 < compared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_twin),
        cmocka_unit_test(test_rows_do_not_depend_on_each_other),
        cmocka_unit_test(test_floats_and_strides),
        cmocka_unit_test(test_refuses_wrong_arguments),
        cmocka_unit_test(test_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

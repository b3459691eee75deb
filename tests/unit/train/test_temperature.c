/* Class probabilities: the factor that fits them, and that trained models have it applied. */

#include "model.h"
#include "public.h"
#include "split.h"
#include "temperature.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double mean_loss(const float *z, size_t stride, uint32_t classes, const uint32_t *label,
                        const float *weight, size_t rows, double factor) {
    double loss = 0, weights = 0;
    for (size_t i = 0; i < rows; i++) {
        double sum = 0, w = weight ? weight[i] : 1;
        for (uint32_t j = 0; j < classes; j++)
            sum += exp(factor * (z[i * stride + j] - z[i * stride + label[i]]));
        loss += w * log(sum);
        weights += w;
    }
    return loss / weights;
}

/* Labels drawn from softmax(truth z): the factor is near the truth, and no other is better. */
static void test_factor(void **state) {
    (void)state;
    enum { ROWS = 4000, CLASSES = 5, STRIDE = 16 };
    float *z = toy_floats((size_t)ROWS * STRIDE), *weight = toy_floats(ROWS);
    uint32_t *label = calloc(ROWS, sizeof *label);
    const double truths[] = {0.3, 1, 2.5};
    for (size_t t = 0; t < 3; t++)
        for (int weighted = 0; weighted < 2; weighted++) {
            ramify_random random = ramify_random_stream(t, RAMIFY_PURPOSE_SHUFFLE, 5, 0);
            for (size_t i = 0; i < ROWS; i++) {
                double p[CLASSES], sum = 0;
                for (uint32_t j = 0; j < CLASSES; j++) {
                    z[i * STRIDE + j] = (float)(1.5 * ramify_random_normal(&random));
                    sum += p[j] = exp(truths[t] * z[i * STRIDE + j]);
                }
                double u = ramify_random_uniform(&random) * sum;
                uint32_t drawn = 0;
                while (drawn + 1 < CLASSES && u > p[drawn])
                    u -= p[drawn++];
                label[i] = drawn;
                weight[i] = (float)ramify_random_below(&random, 3);
            }
            const float *w = weighted ? weight : NULL;
            double factor = ramify_temperature_factor(z, STRIDE, CLASSES, label, w, ROWS);
            assert_true(fabs(log(factor / truths[t])) < 0.15);
            double least = mean_loss(z, STRIDE, CLASSES, label, w, ROWS, factor);
            for (double other = 0.2; other < 9; other *= 1.07)
                assert_true(mean_loss(z, STRIDE, CLASSES, label, w, ROWS, other) >= least - 1e-9);
        }
    /* Answers that are all right, and all wrong: the bounds. */
    for (size_t i = 0; i < ROWS; i++)
        for (uint32_t j = 0; j < CLASSES; j++)
            z[i * STRIDE + j] = j == label[i] ? 2.0F : 0.0F;
    double factor = ramify_temperature_factor(z, STRIDE, CLASSES, label, NULL, ROWS);
    assert_true(factor > 9.9 && factor <= 10);
    for (size_t i = 0; i < ROWS; i++)
        label[i] = (label[i] + 1) % CLASSES;
    factor = ramify_temperature_factor(z, STRIDE, CLASSES, label, NULL, ROWS);
    assert_true(factor >= 0.1 && factor < 0.101);
    free(z);
    free(weight);
    free(label);
}

static double stripes(const double *x) {
    return sin(4 * x[0]) + x[1];
}

/* The log loss of a trained model on its select rows cannot be lowered by another temperature. */
static void test_models_are_calibrated(void **state) {
    (void)state;
    desk *d = desk_open(2);
    enum { ROWS = 3000 };
    toy t = toy_create(d->context, ROWS, 2, stripes, 0.7, 9);
    double labels[ROWS];
    uint32_t rows[ROWS];
    for (uint32_t row = 0; row < ROWS; row++) {
        labels[row] = t.values[row * 3 + 2] = t.values[row * 3 + 2] > 0;
        rows[row] = row;
    }
    ramify_train_options options = quick_options();
    options.task = "classification";
    options.validation = 0.4;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    json_error_t error;
    json_t *config = json_loads(model->config, 0, &error);
    assert_non_null(config);
    double temperature = json_real_value(json_object_get(config, "temperature"));
    assert_true(temperature > 0.1 && temperature < 10 && fabs(log(temperature)) > 0.01);
    json_decref(config);

    ramify_split_request request = {.rows = rows,
                                    .labels = labels,
                                    .count = ROWS,
                                    .validation = options.validation,
                                    .seed = options.seed};
    ramify_split *split = NULL;
    assert_int_equal(ramify_split_create(d->context, t.table, &request, &split), RAMIFY_OK);
    double *p = predictions(d, model, t.table);
    float *z = toy_floats(split->select_count * 2);
    uint32_t label[ROWS];
    for (size_t i = 0; i < split->select_count; i++) {
        size_t row = split->select[i];
        z[2 * i] = (float)log(p[2 * row]);
        z[2 * i + 1] = (float)log(p[2 * row + 1]);
        label[i] = labels[row] > 0;
    }
    double factor = ramify_temperature_factor(z, 2, 2, label, NULL, split->select_count);
    assert_true(fabs(factor - 1) < 1e-3);
    free(z);
    free(p);
    ramify_split_destroy(d->context, &split);
    ramify_close(&model);
    toy_destroy(&t);
    desk_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_factor),
        cmocka_unit_test(test_models_are_calibrated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

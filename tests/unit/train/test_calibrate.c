/* Rounding by rows: errors are made up for, on average outputs stay, and nothing else changes. */

#include "calibrate.h"
#include "feedback.h"
#include "module.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 400

static ramify_context *context;

static int open_context(void **state) {
    (void)state;
    return ramify_context_create(NULL, &context) != RAMIFY_OK;
}

static int close_context(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

static float *floats(size_t count) {
    float *made = aligned_alloc(64, (count * sizeof *made + 63) / 64 * 64);
    assert_non_null(made);
    memset(made, 0, count * sizeof *made);
    return made;
}

/* Rows of which a few directions tell nearly all: x[rows x pad(k)]. */
static float *correlated_rows(size_t rows, size_t k, uint64_t seed) {
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_CONTROL, 5, 6);
    float *x = floats(rows * ramify_pad(k)), *way = floats(3 * k);
    for (size_t i = 0; i < 3 * k; i++)
        way[i] = (float)ramify_random_normal(&random);
    for (size_t i = 0; i < rows; i++)
        for (size_t d = 0; d < 4; d++) {
            const float along = (float)ramify_random_normal(&random);
            for (size_t p = 0; p < k; p++)
                x[i * ramify_pad(k) + p] +=
                    d < 3 ? along * way[d * k + p] : 0.1F * (float)ramify_random_normal(&random);
        }
    free(way);
    return x;
}

/* Variance of the difference that weights make to an output. */
static double variance(const float *x, size_t rows, size_t k, const float *a, const float *b) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < rows; i++) {
        double off = 0;
        for (size_t p = 0; p < k; p++)
            off += (double)x[i * ramify_pad(k) + p] * (double)(a[p] - b[p]);
        sum += off;
        squares += off * off;
    }
    return squares / (double)rows - sum / (double)rows * (sum / (double)rows);
}

static ramify_feedback feedback_of(const float *x, size_t k) {
    ramify_feedback made;
    assert_int_equal(ramify_feedback_make(context, ramify_kernels_select(NULL), k, 1, ROWS, x,
                                          ramify_pad(k), &made),
                     RAMIFY_OK);
    return made;
}

static void test_errors_are_made_up_for(void **state) {
    (void)state;
    enum { K = 37, OUTPUTS = 20 };
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_CONTROL, 7, 8);
    float *x = correlated_rows(ROWS, K, 1);
    double spare[3 * K], with = 0, without = 0;
    ramify_feedback feedback = feedback_of(x, K);
    for (size_t j = 0; j < OUTPUTS; j++) {
        float weight[K], rounded[K], nearest[K], largest = 0;
        for (size_t i = 0; i < K; i++) {
            weight[i] = i % 5 == 4 ? 0.0F : (float)ramify_random_normal(&random);
            largest = fmaxf(largest, fabsf(weight[i]));
        }
        memcpy(rounded, weight, sizeof weight);
        const float step = ramify_feedback_round(&feedback, rounded, spare);
        const float whole = ramify_int8_step(largest);
        assert_true(step > 0 && step <= whole);
        for (size_t i = 0; i < K; i++) {
            const float number = rounded[i] / step;
            assert_true(fabsf(number - rintf(number)) < 1e-4F && fabsf(number) <= 127.001F);
            assert_true(weight[i] != 0 || rounded[i] == 0);
            nearest[i] = rintf(weight[i] / whole) * whole;
        }
        with += variance(x, ROWS, K, rounded, weight);
        without += variance(x, ROWS, K, nearest, weight);
    }
    assert_true(with < 0.3 * without);
    ramify_feedback_destroy(context, &feedback);
    free(x);
}

static void test_outputs_of_nothing(void **state) {
    (void)state;
    float *x = floats(ROWS * 16), weight[5] = {0}, tiny[5] = {1e-38F, -1e-39F};
    double spare[15];
    ramify_feedback feedback = feedback_of(x, 5); /* inputs that never vary */
    assert_true(ramify_feedback_round(&feedback, weight, spare) == 0.0F);
    assert_true(ramify_feedback_round(&feedback, tiny, spare) == 0.0F && tiny[0] == 0.0F);
    weight[2] = 3.0F;
    assert_true(ramify_feedback_round(&feedback, weight, spare) > 0 &&
                fabsf(weight[2] - 3.0F) < 0.02F);
    ramify_feedback_destroy(context, &feedback);
    free(x);
}

/* A difference that other weights would make is found. */
static void test_corrects(void **state) {
    (void)state;
    enum { K = 12 };
    float *x = correlated_rows(ROWS, K, 2), weight[K], wanted[K], product[K] = {0};
    double spare[2 * K], mean[K] = {0};
    for (size_t i = 0; i < K; i++) {
        weight[i] = i == 7 ? 0.0F : 1.0F;
        wanted[i] = i == 7 ? 0.0F : 1.0F + 0.1F * (float)i;
        for (size_t row = 0; row < ROWS; row++)
            mean[i] += (double)x[row * 16 + i] / ROWS;
    }
    for (size_t row = 0; row < ROWS; row++) {
        double d = 0;
        for (size_t i = 0; i < K; i++)
            d += ((double)x[row * 16 + i] - mean[i]) * (double)(wanted[i] - weight[i]);
        for (size_t i = 0; i < K; i++)
            product[i] += x[row * 16 + i] * (float)d;
    }
    float before[K];
    memcpy(before, weight, sizeof weight);
    ramify_feedback feedback = feedback_of(x, K);
    ramify_feedback_correct(&feedback, product, 1, weight, spare);
    assert_true(weight[7] == 0.0F);
    assert_true(variance(x, ROWS, K, weight, wanted) < 0.1 * variance(x, ROWS, K, before, wanted));
    ramify_feedback_destroy(context, &feedback);
    free(x);
}

static float *random_record(const ramify_mlp_shape *shape) {
    float *record = floats(ramify_mlp_record_bytes(shape) / sizeof(float));
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_random random = ramify_random_stream(9, RAMIFY_PURPOSE_CONTROL, 1, 1);
    ramify_mlp_initialise(shape, 0.25F, 4, 0, record);
    ramify_mlp_layout(shape, layer);
    for (uint32_t l = 0; l < shape->layers && shape->members > 1; l++)
        for (size_t m = 0; m < shape->members; m++)
            for (size_t j = 0; j < layer[l].n; j++)
                record[layer[l].s + m * ramify_pad(layer[l].n) + j] =
                    1.0F + 0.2F * (float)ramify_random_normal(&random);
    return record;
}

/* Mean square difference of what a packed record puts out to y, and in *shift that of the means. */
static double packed_error(const ramify_mlp_shape *shape, const float *record, const float *scale,
                           ramify_weights type, const float *x, const float *y, double *shift) {
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    const ramify_rounding rounding = {.type = type, .scale = scale};
    const size_t n = shape->width[shape->layers], stride = ramify_pad(n);
    ramify_packed_shape packed = {.mlp = *shape};
    void *made;
    uint32_t bytes, numbers, spread;
    assert_int_equal(ramify_packed_make(context, shape, record, RAMIFY_STORAGE_DENSE, &rounding,
                                        &made, &bytes, &numbers, &spread),
                     RAMIFY_OK);
    float *got = floats(ROWS * stride);
    float *room = floats(ramify_packed_scratch(&packed, ROWS) / sizeof(float));
    ramify_packed_run(kernels, &packed, made, ROWS, x, ramify_pad(shape->width[0]), got, stride,
                      room);
    double squares = 0;
    *shift = 0;
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t i = 0; i < ROWS; i++) {
            const double off = (double)got[i * stride + j] - (double)y[i * stride + j];
            sum += off / ROWS;
            squares += off * off / ROWS;
        }
        *shift += sum * sum;
    }
    ramify_release(context, made);
    free(got);
    free(room);
    return squares;
}

static void calibrates(const ramify_mlp_shape *shape, ramify_weights type, double share) {
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    const size_t stride = ramify_pad(shape->width[shape->layers]);
    size_t scales = 0;
    for (uint32_t l = 1; l <= shape->layers; l++)
        scales += ramify_pad(shape->width[l]);
    float *record = random_record(shape), *x = correlated_rows(ROWS, shape->width[0], 4);
    float *y = floats(ROWS * stride), *scale = floats(scales);
    float *room = floats(ramify_mlp_run_floats(shape, ROWS));
    double shift, shift_before;
    ramify_mlp_run(kernels, shape, record, ROWS, x, ramify_pad(shape->width[0]), y, stride, room);
    const double before = packed_error(shape, record, NULL, type, x, y, &shift_before);
    assert_int_equal(ramify_calibrate(context, kernels, shape, type, ROWS, x, record, scale),
                     RAMIFY_OK);
    const double after = packed_error(shape, record, scale, type, x, y, &shift);
    assert_true(after < share * before);
    assert_true(shift < shift_before);
    free(record);
    free(x);
    free(y);
    free(scale);
    free(room);
}

static const ramify_mlp_shape alone = {.layers = 3, .members = 1, .width = {20, 48, 33, 12}};
static const ramify_mlp_shape members = {.layers = 3, .members = 3, .width = {20, 48, 33, 2}};

static void test_calibrates(void **state) {
    (void)state;
    calibrates(&alone, RAMIFY_WEIGHTS_INT8, 0.3);
    calibrates(&members, RAMIFY_WEIGHTS_INT8, 0.3);
    calibrates(&alone, RAMIFY_WEIGHTS_BFLOAT16, 0.8);
    calibrates(&members, RAMIFY_WEIGHTS_BFLOAT16, 0.8);
}

static void test_few_rows_change_nothing(void **state) {
    (void)state;
    const size_t bytes = ramify_mlp_record_bytes(&members);
    float *record = random_record(&members), *was = random_record(&members);
    float *x = correlated_rows(ROWS, 20, 4), scale[48 + 48 + 16];
    memset(scale, 0xFF, sizeof scale);
    assert_int_equal(ramify_calibrate(context, ramify_kernels_select(NULL), &members,
                                      RAMIFY_WEIGHTS_INT8, RAMIFY_CALIBRATION_LEAST - 1, x, record,
                                      scale),
                     RAMIFY_OK);
    assert_memory_equal(record, was, bytes);
    for (size_t i = 0; i < sizeof scale / sizeof scale[0]; i++)
        assert_true(scale[i] == 0.0F);
    free(record);
    free(was);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_made_up_for), cmocka_unit_test(test_outputs_of_nothing),
        cmocka_unit_test(test_corrects), cmocka_unit_test(test_calibrates),
        cmocka_unit_test(test_few_rows_change_nothing)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}

/* Eigenvectors, and the directions in which a function changes. */

#include "expert.h"
#include "routing.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_known_matrices(void **state) {
    (void)state;
    double values[3], vectors[9];
    double one[] = {-4};
    ramify_eigen_symmetric(1, one, values, vectors);
    assert_true(values[0] == -4 && vectors[0] == 1);

    double pair[] = {2, 1, 1, 2}; /* 3: (1, 1), 1: (1, -1) */
    ramify_eigen_symmetric(2, pair, values, vectors);
    assert_true(fabs(values[0] - 3) < 1e-12 && fabs(values[1] - 1) < 1e-12);
    assert_true(fabs(vectors[0] - vectors[1]) < 1e-12 && fabs(vectors[2] + vectors[3]) < 1e-12);

    double diagonal[] = {1, 0, 0, 0, 5, 0, 0, 0, -2};
    ramify_eigen_symmetric(3, diagonal, values, vectors);
    assert_true(values[0] == 5 && values[1] == 1 && values[2] == -2);
    assert_true(fabs(vectors[1]) == 1 && fabs(vectors[3]) == 1 && fabs(vectors[8]) == 1);

    double nothing[9] = {0};
    ramify_eigen_symmetric(3, nothing, values, vectors);
    assert_true(values[0] == 0 && values[2] == 0 && vectors[0] == 1);

    /* Second differences: 2 - 2 cos(k pi / 4). */
    double chain[] = {2, -1, 0, -1, 2, -1, 0, -1, 2};
    ramify_eigen_symmetric(3, chain, values, vectors);
    assert_true(fabs(values[0] - 2 - sqrt(2)) < 1e-12 && fabs(values[1] - 2) < 1e-12 &&
                fabs(values[2] - 2 + sqrt(2)) < 1e-12);
}

static void test_random_matrices(void **state) {
    (void)state;
    static const size_t sizes[] = {2, 3, 7, 16, 41};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t n = sizes[s];
        ramify_random random = ramify_random_stream(s, RAMIFY_PURPOSE_ROUTING, 0, 0);
        double *matrix = calloc(n * n, sizeof *matrix), *kept = calloc(n * n, sizeof *kept);
        double *vectors = calloc(n * n, sizeof *vectors), *values = calloc(n, sizeof *values);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++)
                matrix[i * n + j] = matrix[j * n + i] = ramify_random_normal(&random);
        memcpy(kept, matrix, n * n * sizeof *kept);
        ramify_eigen_symmetric(n, matrix, values, vectors);
        for (size_t k = 0; k < n; k++) {
            assert_true(k == 0 || values[k] <= values[k - 1]);
            for (size_t other = 0; other <= k; other++) {
                double dot = 0;
                for (size_t i = 0; i < n; i++)
                    dot += vectors[k * n + i] * vectors[other * n + i];
                assert_true(fabs(dot - (other == k)) < 1e-10);
            }
            for (size_t i = 0; i < n; i++) {
                double image = 0;
                for (size_t j = 0; j < n; j++)
                    image += kept[i * n + j] * vectors[k * n + j];
                assert_true(fabs(image - values[k] * vectors[k * n + i]) < 1e-9);
            }
        }
        free(matrix);
        free(kept);
        free(vectors);
        free(values);
    }
}

static const double direction[5] = {0.6, 0.0, -0.7, 0.3, 0.2};

static double ridge(const double *x) {
    double along = 0;
    for (size_t c = 0; c < 5; c++)
        along += direction[c] * x[c];
    return tanh(3 * along);
}

static double two_ridges(const double *x) {
    return x[1] > 0 ? ridge(x) : -ridge(x);
}

static void learn(const ramify_problem *problem, const ramify_mlp_shape *shape,
                  ramify_encoder *encoder, uint32_t epochs, float *record) {
    ramify_expert_plan plan = {.epochs = epochs,
                               .batch = 64,
                               .rate = 0.01,
                               .warm_up = 0.1,
                               .cosine = true,
                               .checks = 5,
                               .train_slope = true};
    ramify_mlp_initialise(shape, 0.25F, 1, 0, record);
    assert_int_equal(ramify_expert_fit(problem, shape, &plan, encoder, NULL, problem->train, NULL,
                                       problem->select, false, record, NULL),
                     RAMIFY_OK);
}

static void check_direction(toy_function *function, const char *task, bool bins, uint32_t members,
                            uint32_t outputs) {
    toy t = toy_create(toy_context, 2000, 5, function, 0.01, 6);
    if (task)
        for (size_t row = 0; row < t.rows; row++) {
            double *y = &t.values[row * 6 + 5];
            *y = *y > 0.5 ? 2 : *y > -0.5 ? 1 : 0;
        }
    toy_problem(&t, 1600, 200, task, NULL);
    ramify_encoder_options options = {
        .bins = bins, .bin_count = 8, .frequencies = bins, .frequency_deviation = 0.1};
    ramify_encoder *encoder = NULL;
    assert_int_equal(ramify_encoder_create(t.problem, &options, &encoder), RAMIFY_OK);
    ramify_mlp_shape shape = {2, members, {encoder->stem.features, 24, outputs}};
    float *record = toy_floats(ramify_mlp_record_bytes(&shape) / sizeof(float));
    learn(t.problem, &shape, encoder, 40, record);
    float *route = NULL;
    uint32_t dims = 0;
    assert_int_equal(ramify_routing_gradient(t.problem, &shape, encoder, record, 0, &route, &dims),
                     RAMIFY_OK);
    assert_true(dims >= 1 && dims <= 5);
    size_t stride = t.problem->plain_stride;
    /* All columns have the same spread, so standardising turns nothing. */
    double along = 0, length = 0, wanted = 0, second = 0;
    for (size_t c = 0; c < 5; c++) {
        along += (double)route[c] * direction[c];
        length += (double)route[c] * (double)route[c];
        wanted += direction[c] * direction[c];
        if (dims > 1)
            second += (double)route[stride + c] * (double)route[stride + c];
    }
    assert_true(fabs(length - 1) < 1e-5);
    assert_true(fabs(along) / sqrt(wanted) > 0.97);
    assert_true(second < 0.05);

    float *points = NULL;
    assert_int_equal(ramify_routing_points(t.problem, route, dims, &points), RAMIFY_OK);
    for (size_t row = 0; row < t.rows; row += 17)
        for (uint32_t d = 0; d < ramify_pad(dims); d++) {
            double sum = 0;
            for (size_t c = 0; c < 5 && d < dims; c++)
                sum += (double)route[d * stride + c] * (double)t.problem->plain[row * stride + c];
            assert_true(fabs(sum - (double)points[row * ramify_pad(dims) + d]) < 1e-5);
        }
    ramify_release(toy_context, points);
    assert_int_equal(ramify_routing_points(t.problem, NULL, 5, &points), RAMIFY_OK);
    assert_memory_equal(points, t.problem->plain, t.rows * stride * sizeof *points);
    ramify_release(toy_context, points);
    ramify_release(toy_context, route);
    free(record);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

static void test_ridge(void **state) {
    (void)state;
    check_direction(ridge, NULL, false, 1, 1);
    check_direction(ridge, NULL, true, 2, 1);
}

static void test_ridge_of_classes(void **state) {
    (void)state;
    check_direction(ridge, "classification", false, 1, 3);
}

/* A second column that matters gets a second direction. */
static void test_second_direction(void **state) {
    (void)state;
    toy t = toy_create(toy_context, 2000, 5, two_ridges, 0, 6);
    toy_problem(&t, 1600, 200, NULL, NULL);
    ramify_encoder_options options = {0};
    ramify_encoder *encoder = NULL;
    assert_int_equal(ramify_encoder_create(t.problem, &options, &encoder), RAMIFY_OK);
    ramify_mlp_shape shape = {2, 1, {5, 32, 1}};
    float *record = toy_floats(ramify_mlp_record_bytes(&shape) / sizeof(float));
    learn(t.problem, &shape, encoder, 40, record);
    float *route = NULL;
    uint32_t dims = 0;
    assert_int_equal(ramify_routing_gradient(t.problem, &shape, encoder, record, 0, &route, &dims),
                     RAMIFY_OK);
    size_t stride = t.problem->plain_stride;
    double in_plane = 0;
    for (size_t d = 0; d < 2; d++)
        in_plane += (double)route[d * stride + 1] * (double)route[d * stride + 1];
    assert_true(dims >= 2 && in_plane > 0.2);
    ramify_release(toy_context, route);
    free(record);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

/* y = sin(2 pi f z_0) + 2 z_1: the mean outer product of its gradient by hand. */
static void test_against_a_known_gradient(void **state) {
    (void)state;
    toy t = toy_create(toy_context, 500, 5, ridge, 0, 6);
    toy_problem(&t, 400, 50, NULL, NULL);
    ramify_encoder_options options = {.frequencies = 1, .frequency_deviation = 0.3, .seed = 2};
    ramify_encoder *encoder = NULL;
    assert_int_equal(ramify_encoder_create(t.problem, &options, &encoder), RAMIFY_OK);
    assert_int_equal(encoder->stem.features, 15);
    ramify_mlp_shape shape = {1, 1, {15, 1}};
    float *record = toy_floats(ramify_mlp_record_bytes(&shape) / sizeof(float));
    record[encoder->column[0].periodic] = 1;
    record[encoder->column[1].feature] = 2;
    double a = 0, b = 0, turn = 2 * acos(-1) * (double)encoder->frequency[0];
    for (size_t row = 0; row < 400; row++) {
        double slope = turn * cos(turn * (double)t.problem->plain[row * t.problem->plain_stride]);
        a += slope * slope / 400;
        b += 2 * slope / 400;
    }
    /* Eigenvalues of (a b; b 4). */
    double middle = (a + 4) / 2, apart = sqrt((a - 4) * (a - 4) / 4 + b * b);
    float *route = NULL;
    uint32_t dims = 0;
    assert_int_equal(ramify_routing_gradient(t.problem, &shape, encoder, record, 0, &route, &dims),
                     RAMIFY_OK);
    assert_int_equal(dims, 2);
    for (size_t k = 0; k < 2; k++) {
        double length = 0, image[2];
        const float *v = route + k * t.problem->plain_stride;
        for (size_t c = 0; c < 5; c++)
            length += (double)v[c] * (double)v[c];
        double value = k == 0 ? middle + apart : middle - apart;
        assert_true(fabs(length - value / (middle + apart)) < 1e-4);
        image[0] = a * (double)v[0] + b * (double)v[1];
        image[1] = b * (double)v[0] + 4 * (double)v[1];
        for (size_t c = 0; c < 2; c++)
            assert_true(fabs(image[c] - value * (double)v[c]) < 1e-3);
    }
    ramify_release(toy_context, route);
    free(record);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

/* Where nothing changes there is no direction. */
static void test_constant_output(void **state) {
    (void)state;
    toy t = toy_create(toy_context, 300, 5, ridge, 0, 6);
    toy_problem(&t, 200, 50, NULL, NULL);
    ramify_encoder_options options = {0};
    ramify_encoder *encoder = NULL;
    assert_int_equal(ramify_encoder_create(t.problem, &options, &encoder), RAMIFY_OK);
    ramify_mlp_shape shape = {2, 1, {5, 8, 1}};
    float *record = toy_floats(ramify_mlp_record_bytes(&shape) / sizeof(float));
    float mark, *route = &mark;
    uint32_t dims = 9;
    assert_int_equal(ramify_routing_gradient(t.problem, &shape, encoder, record, 0, &route, &dims),
                     RAMIFY_OK);
    assert_null(route);
    assert_int_equal(dims, 0);
    free(record);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_matrices),
        cmocka_unit_test(test_random_matrices),
        cmocka_unit_test(test_ridge),
        cmocka_unit_test(test_ridge_of_classes),
        cmocka_unit_test(test_second_direction),
        cmocka_unit_test(test_constant_output),
        cmocka_unit_test(test_against_a_known_gradient),
    };
    return cmocka_run_group_tests(tests, toy_open_context, toy_close_context);
}

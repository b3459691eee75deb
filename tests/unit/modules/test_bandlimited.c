/* Band-limited series: against their formulas, their gradients against finite differences, and records
 * from strangers. */

#include "bandlimited.h"
#include "memory.h"
#include "random.h"
#include "series_twin.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 6
#define POINTS  37

/* A record with random coefficients; freed with free(). */
static ramify_series_header *make_record(ramify_index_set set, uint32_t band, uint32_t axes,
                                         const uint32_t *basis, uint32_t outputs, uint32_t bytes,
                                         ramify_series_shape *shape) {
    ramify_series_axis axis[COLUMNS];
    for (uint32_t a = 0; a < axes; a++)
        axis[a] = (ramify_series_axis){
            .origin = -1 - (double)a, .length = 2 + 0.5 * a, .column = a + 1, .basis = basis[a]};
    ramify_random random = ramify_random_stream(band, RAMIFY_PURPOSE_INITIAL, set, axes);
    ramify_series_header *header = series_random(&random, set, band, axis, axes, outputs, bytes);
    *shape = (ramify_series_shape){.columns = COLUMNS, .outputs = outputs};
    series_widen(shape, header);
    return header;
}

typedef void record_check(const ramify_series_header *header, const ramify_series_shape *shape,
                          const double *x, const uint32_t *order);

/* Calls `check` for every set, several bases, axes, outputs and precisions. */
static void for_every_record(record_check *check) {
    static const uint32_t bases[][COLUMNS] = {{0, 0, 0, 0, 0}, {2, 2, 2, 2, 2}, {1, 0, 2, 0, 1}};
    double x[POINTS * COLUMNS];
    uint32_t order[POINTS];
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    for (size_t i = 0; i < POINTS * COLUMNS; i++)
        x[i] = -3.5 + 5 * ramify_random_uniform(&random);
    for (uint32_t i = 0; i < POINTS; i++)
        order[i] = POINTS - 1 - i;
    for (uint32_t set = 0; set <= RAMIFY_SET_CROSS; set++)
        for (uint32_t axes = 0; axes <= 4; axes++)
            for (size_t b = 0; b < 3; b++)
                for (uint32_t band = 0; band <= (axes > 0 ? 5U : 0U); band += 1 + b) {
                    ramify_series_shape shape;
                    ramify_series_header *header =
                        make_record((ramify_index_set)set, band, axes, bases[b], 1 + set,
                                    b == 1 ? 4 : 8, &shape);
                    assert_null(ramify_series_check(&shape, header, series_size(header)));
                    check(header, &shape, x, order);
                    free(header);
                }
}

static void check_values(const ramify_series_header *header, const ramify_series_shape *shape,
                         const double *x, const uint32_t *order) {
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    void *scratch = aligned_alloc(64, ramify_series_scratch(shape, true) + 64);
    double *y = calloc((size_t)POINTS * header->outputs, sizeof *y);
    double single[3];
    uint32_t column = 0;
    assert_int_equal(
        ramify_series_run(kernels, shape, header, x, COLUMNS, order, POINTS, y, scratch, &column),
        POINTS);
    for (size_t i = 0; i < POINTS; i++) {
        for (uint32_t o = 0; o < header->outputs; o++) {
            double want = series_twin(header, o, x + order[i] * COLUMNS);
            double got = y[i * header->outputs + o];
            assert_true(fabs(got - want) < 1e-11 * (1 + fabs(want)));
        }
        ramify_series_run(kernels, shape, header, x, COLUMNS, order + i, 1, single, scratch,
                          &column);
        assert_memory_equal(single, y + i * header->outputs, header->outputs * sizeof *y);
    }
    free(y);
    free(scratch);
}

static void test_values(void **state) {
    (void)state;
    for_every_record(check_values);
}

static void check_gradient(const ramify_series_header *header, const ramify_series_shape *shape,
                           const double *x, const uint32_t *order) {
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    const ramify_series_axis *axis = ramify_series_axes(header);
    void *scratch = aligned_alloc(64, ramify_series_scratch(shape, true) + 64);
    double *dx = calloc((size_t)POINTS * COLUMNS, sizeof *dx);
    const uint32_t output = header->outputs - 1;
    ramify_series_gradient(kernels, shape, header, x, COLUMNS, order, POINTS, output, dx, scratch);
    for (size_t i = 0; i < POINTS; i++) {
        double point[COLUMNS], expected[COLUMNS] = {0};
        memcpy(point, x + order[i] * COLUMNS, sizeof point);
        for (uint32_t a = 0; a < header->axes; a++) {
            double *at = &point[axis[a].column], value = *at, step = 1e-5;
            *at = value + step;
            double above = series_twin(header, output, point);
            *at = value - step;
            expected[axis[a].column] = (above - series_twin(header, output, point)) / (2 * step);
            *at = value;
            /* One-sided where a border lies between. */
            double u = (value - axis[a].origin) / axis[a].length;
            if (axis[a].basis != RAMIFY_BASIS_FOURIER && fmin(fabs(u), fabs(u - 1)) < 1e-4)
                expected[axis[a].column] = dx[i * COLUMNS + axis[a].column];
        }
        for (uint32_t c = 0; c < COLUMNS; c++)
            assert_true(fabs(dx[i * COLUMNS + c] - expected[c]) < 2e-4 * (1 + fabs(expected[c])));
    }
    free(dx);
    free(scratch);
}

static void test_gradients(void **state) {
    (void)state;
    for_every_record(check_gradient);
}

/* The plan's terms times coefficients put in their places are the series; bands are nested. */
static void check_plan(const ramify_series_header *header, const ramify_series_shape *shape,
                       const double *x, const uint32_t *order) {
    (void)shape;
    ramify_context *context;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    const ramify_series_axis *axis = ramify_series_axes(header);
    unsigned char pairs[COLUMNS];
    for (uint32_t a = 0; a < header->axes; a++)
        pairs[a] = (unsigned char)ramify_basis_pairs(axis[a].basis);
    ramify_series_plan *plan;
    assert_int_equal(
        ramify_series_plan_create(context, header->set, header->band, header->axes, pairs, &plan),
        RAMIFY_OK);
    assert_int_equal(plan->terms, header->terms);
    double *term = calloc(plan->terms, sizeof *term);
    double *function = calloc((size_t)plan->functions + 1, sizeof *function);
    for (size_t i = 0; i < POINTS; i += 5) {
        const double *point = x + order[i] * COLUMNS;
        ramify_series_terms(plan, axis, point, function, term);
        for (uint32_t o = 0; o < header->outputs; o++) {
            const void *at = ramify_series_coefficients(header, o);
            double sum = 0, want = series_twin(header, o, point);
            for (uint32_t t = 0; t < plan->terms; t++)
                sum += term[t] * (header->bytes == 8 ? ((const double *)at)[plan->place[t]]
                                                     : ((const float *)at)[plan->place[t]]);
            assert_true(fabs(sum - want) < 1e-11 * (1 + fabs(want)));
        }
    }
    for (uint32_t b = 0; b <= plan->band; b++)
        assert_int_equal(plan->first[b + 1],
                         ramify_series_count(header->set, b, header->axes, pairs, header->terms));
    for (uint32_t t = 1; t < plan->terms; t++)
        assert_true(plan->parent[t] < t);
    free(term);
    free(function);
    ramify_series_plan_destroy(context, &plan);
    ramify_context_destroy(&context);
}

static void test_plans(void **state) {
    (void)state;
    for_every_record(check_plan);
}

static void test_counts(void **state) {
    (void)state;
    static const unsigned char none[64] = {0}, all[64] = {1, 1, 1, 1};
    assert_int_equal(ramify_series_count(RAMIFY_SET_TOTAL, 30, 2, none, RAMIFY_SERIES_TERMS_MAX),
                     496);
    assert_int_equal(ramify_series_count(RAMIFY_SET_TOTAL, 8, 4, none, RAMIFY_SERIES_TERMS_MAX),
                     495);
    assert_int_equal(ramify_series_count(RAMIFY_SET_LARGEST, 20, 1, all, RAMIFY_SERIES_TERMS_MAX),
                     41);
    assert_int_equal(ramify_series_count(RAMIFY_SET_LARGEST, 3, 2, all, RAMIFY_SERIES_TERMS_MAX),
                     49);
    assert_int_equal(ramify_series_count(RAMIFY_SET_CROSS, 3, 2, none, RAMIFY_SERIES_TERMS_MAX), 8);
    assert_true(ramify_series_count(RAMIFY_SET_LARGEST, 1, 64, none, RAMIFY_SERIES_TERMS_MAX) >
                RAMIFY_SERIES_TERMS_MAX);
    assert_true(ramify_series_count(RAMIFY_SET_TOTAL, 16384, 64, none, RAMIFY_SERIES_TERMS_MAX) >
                RAMIFY_SERIES_TERMS_MAX);
}

/* NaN is the middle, infinities are the borders; where the record refuses, rows beside its box are
 * found. */
static void test_outside(void **state) {
    (void)state;
    static const uint32_t chebyshev[] = {2, 2}, fourier[] = {0, 0};
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    ramify_series_shape shape;
    ramify_series_header *header = make_record(RAMIFY_SET_TOTAL, 4, 1, chebyshev, 1, 8, &shape);
    void *scratch = aligned_alloc(64, ramify_series_scratch(&shape, true));
    double x[6][COLUMNS] = {{0}}, y[6];
    const double at[] = {1, INFINITY, NAN, 0, -1e300, -1};
    const uint32_t order[] = {0, 1, 2, 3, 4, 5};
    for (size_t i = 0; i < 6; i++)
        x[i][1] = at[i];
    uint32_t column = 99;
    assert_int_equal(
        ramify_series_run(kernels, &shape, header, x[0], COLUMNS, order, 6, y, scratch, &column),
        6);
    assert_true(y[0] == y[1] && y[2] == y[3] && y[4] == y[5]);
    header->refuses = 1;
    assert_int_equal(
        ramify_series_run(kernels, &shape, header, x[0], COLUMNS, order, 6, y, scratch, &column),
        1);
    assert_int_equal(column, 1);
    assert_int_equal(
        ramify_series_run(kernels, &shape, header, x[0], COLUMNS, order, 1, y, scratch, &column),
        1);
    free(header);
    header = make_record(RAMIFY_SET_TOTAL, 4, 1, fourier, 1, 8, &shape);
    free(scratch);
    scratch = aligned_alloc(64, ramify_series_scratch(&shape, true));
    x[0][1] = 0.3;
    x[1][1] = 0.3 + 7 * 2;
    assert_int_equal(
        ramify_series_run(kernels, &shape, header, x[0], COLUMNS, order, 2, y, scratch, &column),
        2);
    assert_true(fabs(y[0] - y[1]) < 1e-12);
    free(header);
    free(scratch);
}

/* Every byte of header and axes changed, and the length: refused, or harmless. */
static void test_strangers(void **state) {
    (void)state;
    static const uint32_t bases[] = {0, 2};
    ramify_series_shape shape;
    ramify_series_header *header = make_record(RAMIFY_SET_TOTAL, 2, 2, bases, 2, 4, &shape);
    uint64_t size = series_size(header);
    unsigned char *bytes = (unsigned char *)header;
    for (uint64_t length = 0; length < size; length++)
        assert_non_null(ramify_series_check(&shape, header, length));
    for (size_t i = 0; i < sizeof *header; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1U << bit);
            /* The mark that rows are refused is the one free choice. */
            bool free_choice = i == 24 && bit == 0;
            assert_true((ramify_series_check(&shape, header, size) == NULL) == free_choice);
            bytes[i] ^= (unsigned char)(1U << bit);
        }
    ramify_series_axis *axis = (ramify_series_axis *)(header + 1);
    const double bad[] = {NAN, INFINITY, 0, -1, 1e200};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double kept = axis[1].length;
        axis[1].length = bad[i];
        assert_non_null(ramify_series_check(&shape, header, size));
        axis[1].length = kept;
    }
    axis[1].column = 1;
    assert_non_null(ramify_series_check(&shape, header, size));
    axis[1].column = COLUMNS;
    assert_non_null(ramify_series_check(&shape, header, size));
    axis[1].column = 2;
    axis[1].basis = 0; /* more functions and terms than it has */
    assert_non_null(ramify_series_check(&shape, header, size));
    axis[1].basis = 2;
    float *c = (float *)ramify_series_coefficients(header, 1);
    c[2] = NAN;
    assert_non_null(ramify_series_check(&shape, header, size));
    c[2] = 0;
    assert_null(ramify_series_check(&shape, header, size));
    ((unsigned char *)header)[size - 1] = 1; /* padding */
    assert_non_null(ramify_series_check(&shape, header, size));
    free(header);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_plans),   cmocka_unit_test(test_counts),
        cmocka_unit_test(test_outside), cmocka_unit_test(test_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

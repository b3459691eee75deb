/* From a table to standardised columns and targets. */

#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS  300
#define TRAIN 200

static double wave(const double *x) {
    return 7 + sin(3 * x[0]);
}

/* Mean and standard deviation of the training rows, by two passes. */
static void moments(const toy *t, size_t column, long double *mean, long double *deviation) {
    size_t width = t->inputs + 1;
    *mean = *deviation = 0;
    for (size_t row = 0; row < TRAIN; row++)
        *mean += (long double)t->values[row * width + column] / TRAIN;
    for (size_t row = 0; row < TRAIN; row++) {
        long double apart = (long double)t->values[row * width + column] - *mean;
        *deviation += apart * apart / TRAIN;
    }
    *deviation = sqrtl(*deviation);
}

/* Columns whose values grow, shrink, or lie at the ends of what a double holds. */
static void test_moments_of_training_rows(void **state) {
    (void)state;
    enum { INPUTS = 8 };
    toy t = toy_create(toy_context, ROWS, INPUTS, wave, 0, 1);
    for (size_t row = 0; row < ROWS; row++) {
        double *x = t.values + row * (INPUTS + 1);
        x[1] *= pow(1.1, (double)row);
        x[2] *= pow(0.9, (double)row);
        x[3] *= 1e307;
        x[4] *= 1e-300;
        x[5] = 1e9 + x[5];
        x[6] = row % 2 ? 1e200 : -1e-200;
        x[7] = row % 3 ? -3 : (double)NAN;
        if (row >= TRAIN)
            x[0] *= 1e6; /* what does not train does not count */
    }
    toy_problem(&t, TRAIN, 50, NULL, NULL);
    const ramify_problem *problem = t.problem;
    for (size_t c = 0; c < 7; c++) {
        long double mean, deviation;
        moments(&t, c, &mean, &deviation);
        assert_true(fabsl((long double)problem->center[c] - mean) <=
                    1e-12L * (fabsl(mean) + deviation));
        if (fabsl((long double)problem->scale[c] / deviation - 1) > 1e-7L)
            fail_msg("column %zu: %.17g, expected %.17Lg", c, problem->scale[c], deviation);
        for (size_t row = 0; row < TRAIN; row++) {
            long double z = ((long double)t.values[row * (INPUTS + 1) + c] - mean) / deviation;
            z = z > 10 ? 10 : z < -10 ? -10 : z;
            float found = problem->plain[row * problem->plain_stride + problem->column[c].plain];
            assert_true(fabsl((long double)found - z) < 1e-5L * (1 + fabsl(z)));
        }
    }
    /* A column of one value is centred and otherwise left alone. */
    assert_true(problem->center[7] == -3 && problem->scale[7] == 1);
    assert_int_equal(problem->column[7].missing, 1);
    long double mean, deviation;
    moments(&t, INPUTS, &mean, &deviation);
    for (size_t row = 0; row < ROWS; row++) {
        long double y = ((long double)t.values[row * (INPUTS + 1) + INPUTS] - mean) / deviation;
        assert_true(fabsl((long double)problem->target[row] - y) < 1e-6L * (1 + fabsl(y)));
    }
    toy_destroy(&t);
}

static void test_targets_at_both_ends(void **state) {
    (void)state;
    toy t = toy_create(toy_context, ROWS, 1, wave, 0, 1);
    for (size_t row = 0; row < ROWS; row++)
        t.values[row * 2 + 1] = row % 3 ? 1.7e308 : -1.7e308;
    toy_problem(&t, TRAIN, 50, NULL, NULL);
    for (size_t row = 0; row < ROWS; row++) {
        assert_true(isfinite(t.problem->target[row]));
        assert_true(fabs((double)t.problem->target[row]) < 3);
    }
    toy_destroy(&t);
}

static void test_parts_and_weights(void **state) {
    (void)state;
    toy t = toy_create(toy_context, ROWS, 2, wave, 0, 1);
    double weight[ROWS];
    for (size_t row = 0; row < ROWS; row++)
        weight[row] = (double)(row % 5);
    assert_int_equal(ramify_table_add_doubles(toy_context, t.table, "w", weight), RAMIFY_OK);
    toy_problem(&t, TRAIN, 50, NULL, "w");
    const ramify_problem *problem = t.problem;
    assert_int_equal(problem->rows, ROWS);
    assert_int_equal(problem->train.count, TRAIN);
    assert_int_equal(problem->select.count, 50);
    assert_int_equal(problem->report.count, 50);
    assert_int_equal(problem->select.row[0], TRAIN);
    assert_int_equal(problem->report.row[0], TRAIN + 50);
    double sum = 0;
    for (size_t row = 0; row < TRAIN; row++)
        sum += (double)problem->weight[row];
    assert_true(fabs(sum / TRAIN - 1) < 1e-6);
    for (size_t row = 0; row < ROWS; row++)
        assert_true(fabs((double)problem->weight[row] - weight[row] / 2) < 1e-6);
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_of_training_rows),
        cmocka_unit_test(test_targets_at_both_ends),
        cmocka_unit_test(test_parts_and_weights),
    };
    return cmocka_run_group_tests(tests, toy_open_context, toy_close_context);
}

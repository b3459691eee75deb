/* Forecasts from runs whose errors are known. */

#include "forecast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEVELS 6

static const ramify_sweep_design design = {
    .bins = true, .members = 2, .layers = 3, .width = 96, .inputs = 20};

typedef double curve(double rows, double length);

/* Ladders of runs on a half, a fourth, .. of the rows, and short ones beside them. */
static size_t ladders(curve *error, double length, ramify_sweep_run *runs) {
    size_t count = 0;
    for (uint32_t level = 1; level <= LEVELS; level++)
        for (int brief = 0; brief < 2; brief++) {
            const double passes = brief ? length * RAMIFY_FORECAST_BRIEF : length;
            const double value = error(pow(2, -(double)level), passes);
            runs[count++] =
                (ramify_sweep_run){.point = {.level = level, .length = passes, .design = design},
                                   .made = true,
                                   .error = value,
                                   .deviation = 0.01 * value};
        }
    return count;
}

static double power_law(double rows, double length) {
    (void)length;
    return 0.2 * pow(rows, -0.4);
}

static double flat(double rows, double length) {
    (void)rows;
    (void)length;
    return 0.3;
}

static double rising(double rows, double length) {
    (void)length;
    return 0.3 * pow(rows, 0.4);
}

/* Long runs overfit few rows; short ones are at the floor. */
static double at_the_floor(double rows, double length) {
    return length < 1 ? 0.3 : 0.3 * (1 + 0.04 / rows);
}

static double gains_by_passes(double rows, double length) {
    return 0.2 * pow(rows, -0.2) * pow(length, -0.1);
}

static ramify_law_estimate ask(const ramify_forecast *f, ramify_stage stage, double length,
                               double rows) {
    const ramify_sweep_point point = {.stage = stage, .length = length};
    return ramify_forecast_error(f, &point, rows, 0.9);
}

static void test_power_law_goes_on(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(power_law, 1, runs);
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    assert_int_equal(f.first, 1);
    assert_true(fabs(f.slope - 0.4 * log(2)) < 1e-9);
    const ramify_law_estimate e = ask(&f, RAMIFY_STAGE_PLAIN, 1, 1);
    assert_true(fabs(log(e.value / 0.2)) < 0.05);
    assert_true(e.low < 0.2 && 0.2 < e.high);
    /* Twice the rows: less error, less sure. */
    const ramify_law_estimate twice = ask(&f, RAMIFY_STAGE_PLAIN, 1, 2);
    assert_true(twice.value < e.value);
    assert_true(twice.high / twice.low > e.high / e.low);
}

/* What more rows bring is told from chance by the runs that are like the training in passes. */
static void test_falls(void **state) {
    (void)state;
    static const struct {
        curve *error;
        double length;
        bool falls;
    } cases[] = {{power_law, 1, true},
                 {power_law, 0.25, true},
                 {flat, 1, false},
                 {at_the_floor, 1, false},
                 {at_the_floor, 0.25, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_sweep_run runs[2 * LEVELS];
        ramify_forecast f;
        const size_t count = ladders(cases[i].error, 1, runs);
        assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
        assert_int_equal(ramify_forecast_falls(&f, cases[i].length), cases[i].falls);
        /* Whatever falls, it is lost in scatter that is as large. */
        f.noise = 1;
        assert_false(ramify_forecast_falls(&f, cases[i].length));
    }
}

static void test_flat_stays_flat(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(flat, 1, runs);
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    for (int stage = 0; stage < RAMIFY_STAGES; stage++)
        assert_true(fabs(ask(&f, (ramify_stage)stage, 1, 1).value - 0.3) < 1e-9);
}

static void test_rising_is_refused(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(rising, 1, runs);
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_RISING);
}

static void test_a_small_rise_is_chance(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(flat, 1, runs);
    for (size_t i = 0; i < count; i++)
        if (runs[i].point.level == 1)
            runs[i].error *= 1.02;
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    assert_true(f.slope == 0);
}

static void test_few_sizes_are_refused(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(power_law, 1, runs);
    for (size_t i = 0; i < count; i++)
        runs[i].made = runs[i].point.level <= 2;
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FEW);
    /* Runs of another design are no rungs. */
    ramify_sweep_design other = design;
    other.members = 1;
    for (size_t i = 0; i < count; i++)
        runs[i].made = true;
    assert_int_equal(ramify_forecast_make(runs, count, &other, 1, &f), RAMIFY_FORECAST_FEW);
}

static void test_no_errors_are_told(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(power_law, 1, runs);
    runs[0].error = 0;
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_NONE);
}

static void test_short_runs_stand_in(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(gains_by_passes, 1, runs);
    for (size_t i = 0; i < count; i++)
        runs[i].made = runs[i].point.level > 1 || runs[i].point.length < 1;
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    assert_int_equal(f.first, 1);
    assert_true(fabs(f.ladder[1] - log(gains_by_passes(0.5, 1))) < 1e-9);
}

/* Whoever gains by passes gains by teachers and trees, and loses by fewer passes. */
static void test_stages_and_lengths(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(gains_by_passes, 0.5, runs);
    assert_int_equal(ramify_forecast_make(runs, count, &design, 0.5, &f), RAMIFY_FORECAST_FINE);
    const double plain = ask(&f, RAMIFY_STAGE_PLAIN, 1, 1).value;
    const double taught = ask(&f, RAMIFY_STAGE_TAUGHT, 1, 1).value;
    const double tree = ask(&f, RAMIFY_STAGE_TREE, 1, 1).value;
    assert_true(tree < taught && taught < plain);
    assert_true(ask(&f, RAMIFY_STAGE_TREE, 0.25, 1).value > tree);
    assert_true(ask(&f, RAMIFY_STAGE_TREE, 2, 1).value < tree);
}

/* What few passes do not tell makes the interval wider, by the gap, and no forecast another. */
static void test_few_passes(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS];
    ramify_forecast f;
    const size_t count = ladders(gains_by_passes, 1, runs);
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    assert_true(f.few == 0);
    const ramify_law_estimate enough = ask(&f, RAMIFY_STAGE_TREE, 1, 1);
    f.few = 0.25;
    const ramify_law_estimate hardly = ask(&f, RAMIFY_STAGE_TREE, 1, 1);
    f.few = 3;
    const ramify_law_estimate few = ask(&f, RAMIFY_STAGE_TREE, 1, 1);
    assert_true(hardly.low == enough.low && hardly.high == enough.high);
    assert_true(few.value == enough.value);
    assert_true(few.low < enough.low && few.high > enough.high);
    const double gap = log(4) / 10; /* of gains_by_passes */
    const double before = log(enough.high / enough.value), after = log(few.high / few.value);
    const double added = (after * after - before * before) / (gap * gap);
    const double student = 2.13185; /* four degrees of freedom, 90 % */
    assert_true(fabs(added / (student * student) - (1.5 * 1.5 - 0.25 * 0.25)) < 1e-3);
}

static void test_widths(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS + 1];
    ramify_forecast f;
    size_t count = ladders(power_law, 1, runs);
    ramify_sweep_point narrow = {.level = 3, .length = 1, .design = design};
    narrow.design.width = 16;
    runs[count++] = (ramify_sweep_run){
        .point = narrow, .made = true, .error = 1.5 * power_law(0.125, 1), .deviation = 0.001};
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    narrow.level = 0;
    const double wide = ask(&f, RAMIFY_STAGE_PLAIN, 1, 1).value;
    /* As much more error as there, or more. */
    const double measured = ramify_forecast_error(&f, &narrow, 1, 0.9).value / wide;
    assert_true(1.5 < measured && measured < 2);
    /* Where narrow experts are better by few rows they are not of more. */
    runs[count - 1].error = 0.9 * power_law(0.125, 1);
    assert_true(ramify_forecast_error(&f, &narrow, 1, 0.9).value > wide);
    narrow.design.width = 192;
    assert_true(isnan(ramify_forecast_error(&f, &narrow, 1, 0.9).value));
}

/* Experts that are pruned go on by their own steps; where one size of them was made, by the ladder's. */
static void test_pruned(void **state) {
    (void)state;
    ramify_sweep_run runs[2 * LEVELS + 2];
    ramify_forecast f;
    size_t count = ladders(power_law, 1, runs);
    ramify_sweep_point pruned = {.level = 1, .length = 0.3, .pruned = 9000, .design = design};
    runs[count++] = (ramify_sweep_run){.point = pruned, .made = true, .error = 0.2, .density = 0.1};
    pruned.level = 3;
    runs[count++] = (ramify_sweep_run){.point = pruned, .made = true, .error = 0.2 * exp(0.2)};
    assert_int_equal(ramify_forecast_make(runs, count, &design, 1, &f), RAMIFY_FORECAST_FINE);
    pruned.level = 0;
    const ramify_law_estimate both = ramify_forecast_error(&f, &pruned, 1, 0.9);
    assert_true(fabs(log(both.value / 0.2) + 0.9 * 0.1) < 1e-9); /* a tenth of ln error an octave */
    assert_true(both.low < both.value && both.value < both.high);
    const ramify_law_estimate twice = ramify_forecast_error(&f, &pruned, 2, 0.9);
    assert_true(fabs(log(twice.value / both.value) + 0.81 * 0.1) < 1e-9);
    assert_true(twice.high / twice.low > both.high / both.low);
    runs[count - 1].made = false;
    const ramify_law_estimate one = ramify_forecast_error(&f, &pruned, 1, 0.9);
    assert_true(fabs(log(one.value / 0.2) + 0.9 * f.slope) < 1e-9);
    /* Neither ladder nor narrower experts are what pruned runs tell of. */
    assert_true(fabs(exp(f.ladder[1]) / power_law(0.5, 1) - 1) < 1e-9);
    pruned.pruned = 8000;
    assert_true(isnan(ramify_forecast_error(&f, &pruned, 1, 0.9).value));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_law_goes_on),
        cmocka_unit_test(test_falls),
        cmocka_unit_test(test_flat_stays_flat),
        cmocka_unit_test(test_rising_is_refused),
        cmocka_unit_test(test_a_small_rise_is_chance),
        cmocka_unit_test(test_few_sizes_are_refused),
        cmocka_unit_test(test_no_errors_are_told),
        cmocka_unit_test(test_short_runs_stand_in),
        cmocka_unit_test(test_stages_and_lengths),
        cmocka_unit_test(test_few_passes),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_pruned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

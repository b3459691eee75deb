/* From measured errors to shares: what was built in comes out, whatever is measured. */

#include "diagnose_shares.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A network that misses 0.2 of the variance with nothing but noise in it, all measurements agreeing. */
static ramify_diagnosis_measured noisy(void) {
    return (ramify_diagnosis_measured){
        .rows = 1000,
        .held_out = 500,
        .reference = 0.2,
        .reference_error = 0.01,
        .gain_error = 0.002,
        .reference_train = 0.191,
        .longer_train = 0.19,
        .longer_half = 0.21,
        .student = 0.0005,
        .student_error = 0.0001,
        .large = 0.2,
        .large_error = 0.01,
        .large_half = 0.203,
        .large_spread = 0.004,
        .gaussian = 0.195,
        .gaussian_low = 0.18,
        .gaussian_high = 0.21,
        .gaussian_left_out = 0.2,
        .replicate = NAN,
        .neighbour = 0.22,
        .neighbour_error = 0.01,
    };
}

static ramify_diagnosis_parts shares_of(const ramify_diagnosis_measured *measured) {
    ramify_diagnosis_parts parts;
    ramify_diagnose_shares(measured, 3, &parts);
    double sum = 0;
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        const ramify_error_share *share = &parts.shares[s];
        assert_true(0 <= share->low && share->low <= share->share);
        assert_true(share->share <= share->high && share->high <= 1 + 1e-12);
        sum += share->share;
    }
    assert_true(fabs(sum - 1) < 1e-9);
    char text[2048];
    int length = ramify_diagnose_advice(&parts, 2, text, sizeof text);
    assert_true(length > 40 && (size_t)length < sizeof text);
    /* A room that is too small is not written beyond. */
    char small[16] = "###############";
    assert_true(ramify_diagnose_advice(&parts, 2, small, 8) >= 8);
    assert_string_equal(small + 8, "#######");
    return parts;
}

static void test_noise(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_IRREDUCIBLE);
    assert_true(parts.shares[RAMIFY_SOURCE_IRREDUCIBLE].share > 0.85);
    char text[1024];
    ramify_diagnose_advice(&parts, 2, text, sizeof text);
    assert_non_null(strstr(text, "nothing of more rows"));
    /* 2 sqrt(0.195) */
    assert_non_null(strstr(text, "about 0.88"));
}

static void test_training(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.reference = 0.8;
    measured.gain = 0.6;
    measured.reference_train = 0.75;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_OPTIMISATION);
    assert_true(fabs(parts.shares[RAMIFY_SOURCE_OPTIMISATION].share - 0.75) < 0.02);
    assert_true(parts.shares[RAMIFY_SOURCE_IRREDUCIBLE].share > 0.15);
}

/* A better network on rows held out is luck where there was nothing left to learn from own ones. */
static void test_gain_without_training(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.reference = 0.8;
    measured.gain = 0.6;
    measured.reference_train = measured.longer_train = 1e-6;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_true(parts.shares[RAMIFY_SOURCE_OPTIMISATION].share < 0.01);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_ESTIMATION);
}

/* Rows are enough, as own ones are predicted no better, and a student does better: training is
 * stuck. */
static void test_stuck(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.reference = measured.reference_train = measured.longer_train = 0.9;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_OPTIMISATION);
    /* Where larger networks do no better, nothing says that they are. */
    measured.large = measured.large_half = 0.9;
    parts = shares_of(&measured);
    assert_true(parts.shares[RAMIFY_SOURCE_OPTIMISATION].share < 0.02);
}

/* Larger networks that predict better than the Gaussian process tell the noise by where they go. */
static void test_floor_of_networks(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.gaussian_left_out = 0.4;
    measured.gaussian = 0.3;
    measured.large = 0.1;
    measured.large_half = 0.15;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_true(fabs(parts.noise - 0.04) < 1e-9);
}

static void test_size(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.reference = measured.longer_train = measured.longer_half = 0.9;
    measured.reference_train = 0.9;
    measured.student = 0.68;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_APPROXIMATION);
    assert_true(fabs(parts.shares[RAMIFY_SOURCE_APPROXIMATION].share - 0.75) < 0.06);
}

static void test_rows(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.rows = measured.held_out = 100;
    measured.reference_train = measured.longer_train = 0.001;
    measured.longer_half = 0.4;
    measured.large_half = 0.35;
    measured.large_spread = 0.1;
    measured.gaussian = 0.01;
    measured.gaussian_low = 0.001;
    measured.gaussian_high = 0.03;
    measured.gaussian_left_out = 0.1;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_ESTIMATION);
    assert_true(parts.shares[RAMIFY_SOURCE_ESTIMATION].share > 0.7);
}

static void test_equal_rows_overrule(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.replicates = 200;
    measured.replicate = 0.05;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_true(fabs(parts.noise - 0.05) < 1e-12);
    assert_true(fabs(parts.shares[RAMIFY_SOURCE_IRREDUCIBLE].share - 0.25) < 0.02);
    /* Two pairs say little: the other measurements stand. */
    measured.replicates = 2;
    parts = shares_of(&measured);
    assert_true(parts.shares[RAMIFY_SOURCE_IRREDUCIBLE].share > 0.8);
}

/* What is predicted cannot be noise. */
static void test_noise_is_no_more_than_the_best_error(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.large = 0.05;
    measured.large_half = 0.05;
    measured.large_error = 0.002;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_true(parts.noise < 0.056);
}

static void test_undetermined(void **state) {
    (void)state;
    ramify_diagnosis_measured measured = noisy();
    measured.gaussian = 0.1;
    measured.gaussian_low = 0;
    measured.gaussian_high = 0.25;
    measured.longer_half = 0.3;
    measured.large_half = 0.3;
    ramify_diagnosis_parts parts = shares_of(&measured);
    assert_int_equal(parts.dominant, RAMIFY_SOURCE_UNDETERMINED);
    char text[1024];
    ramify_diagnose_advice(&parts, 1, text, sizeof text);
    assert_non_null(strstr(text, "Undetermined"));
}

/* Whatever is measured, zeros and nonsense too, shares are shares. */
static void test_any_numbers(void **state) {
    (void)state;
    ramify_random random = ramify_random_stream(9, RAMIFY_PURPOSE_DIAGNOSE, 0, 0);
    for (int i = 0; i < 60; i++) {
        ramify_diagnosis_measured measured = {.rows = 40, .held_out = 40};
        double *fields[] = {
            &measured.reference,         &measured.reference_error, &measured.gain,
            &measured.gain_error,        &measured.longer_train,    &measured.longer_half,
            &measured.student,           &measured.student_error,   &measured.large,
            &measured.large_error,       &measured.large_half,      &measured.large_spread,
            &measured.gaussian,          &measured.gaussian_low,    &measured.gaussian_high,
            &measured.gaussian_left_out, &measured.neighbour,       &measured.neighbour_error};
        for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
            *fields[f] =
                ramify_random_below(&random, 4) == 0 ? 0 : exp(4 * ramify_random_normal(&random));
        if (i % 2)
            measured.gain = -measured.gain;
        shares_of(&measured);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_gain_without_training),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_floor_of_networks),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_equal_rows_overrule),
        cmocka_unit_test(test_noise_is_no_more_than_the_best_error),
        cmocka_unit_test(test_undetermined),
        cmocka_unit_test(test_any_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

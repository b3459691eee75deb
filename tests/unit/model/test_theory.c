/* The orders of growth, against numbers worked out by hand. */

#include "random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

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

static ramify_theory theory_of(const random_model_options *options, double epsilon) {
    random_model *twin = random_model_create(context, options);
    ramify_model *model = random_model_open(twin);
    ramify_theory theory;
    if (ramify_model_get_theory(context, model, epsilon, &theory) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    ramify_close(&model);
    random_model_destroy(twin);
    return theory;
}

static random_model_options columns(uint32_t numeric) {
    random_model_options options = random_model_defaults();
    options.numeric = numeric;
    options.categorical = 0;
    options.levels = 0;
    return options;
}

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.17g, expected %.17g", value, expected);
}

/* n = 4, e = 0.01: 100 weights on each of 10^4 leaves, 10^6 in all; 2 x 4 x 10^4 prototypes' numbers
 * and 14 levels of halving; 100 x log2 100 loaded; 10^4 in one network. */
static void test_four_dimensions(void **state) {
    (void)state;
    random_model_options options = columns(4);
    ramify_theory t = theory_of(&options, 0.01);
    assert_true(t.dimension == 4 && t.arity == 2 && t.epsilon == 0.01);
    assert_near(t.leaf_weights_log10, 2);
    assert_near(t.leaves_log10, 4);
    assert_near(t.total_weights_log10, 6);
    assert_near(pow(10, t.prototypes_log10), 80000);
    assert_true(t.depth == 14);
    assert_near(pow(10, t.loaded_log10), 100 * log2(100));
    assert_near(t.network_log10, 4);
}

/* Up to two dimensions one expert is enough, and the total is its own. */
static void test_few_dimensions(void **state) {
    (void)state;
    for (uint32_t n = 1; n <= 2; n++) {
        random_model_options options = columns(n);
        ramify_theory t = theory_of(&options, 0.001);
        assert_true(t.leaves_log10 == 0 && t.depth == 0 && isinf(t.prototypes_log10));
        assert_near(t.total_weights_log10, 3);
        assert_near(t.network_log10, 1.5 * n);
    }
    random_model_options options = columns(2);
    ramify_theory t = theory_of(&options, 0.5);
    assert_near(t.loaded_log10, t.leaf_weights_log10);
}

/* A power of the arity is not rounded up to one level more. */
static void test_depth_of_powers(void **state) {
    (void)state;
    random_model_options options = columns(5);
    for (int k = 1; k <= 40; k++)
        assert_true(theory_of(&options, pow(2, -k)).depth == 3 * k);
    options.levels = 2;
    options.arity = 3;
    options.numeric = 3;
    options.seed = 3; /* some node has all three children */
    for (int k = 1; k <= 20; k++) {
        ramify_theory t = theory_of(&options, pow(3, -k));
        assert_true(t.arity == 3 && t.depth == k);
        assert_near(pow(10, t.prototypes_log10 - t.leaves_log10), 3 * 1.5);
    }
}

/* Nothing overflows. */
static void test_far_out(void **state) {
    (void)state;
    random_model_options options = columns(5000);
    ramify_theory t = theory_of(&options, 1e-300);
    assert_near(t.leaves_log10, 300.0 * 4998);
    assert_near(t.total_weights_log10, 300.0 * 4999);
    assert_near(t.network_log10, 300.0 * 2500);
    assert_near(t.depth, ceil(300.0 * 4998 / log10(2)));
    assert_near(t.loaded_log10, 300 + log10(300 / log10(2)));
    assert_true(isfinite(t.prototypes_log10) && isfinite(t.vc_width_log10));
    assert_true(t.error > 0 && t.error < 1);
}

/* Two inputs, 9 and 5 hidden, one output: 3 layers, 27 + 50 + 6 weights and 14 slopes. */
static void test_model_at_hand(void **state) {
    (void)state;
    random_model_options options = columns(2);
    options.hidden[0] = 9;
    options.hidden[1] = 5;
    ramify_theory t = theory_of(&options, 0.1);
    double p = 27 + 50 + 6 + 14;
    assert_true(t.experts == 1 && t.layers == 3 && t.width == 9 && t.tree_depth == 0);
    assert_true((double)t.weights == p);
    assert_near(t.error, 1 / p);
    assert_near(t.error_network, 1 / p);
    assert_near(t.error_slow, pow(p, -0.5));
    assert_near(pow(10, t.vc_width_log10), 27);
    assert_near(pow(10, t.vc_weights_log10), p * 3 * log(p / 3));

    options.levels = 2;
    options.arity = 3;
    t = theory_of(&options, 0.1);
    double l = (double)t.experts;
    assert_true(l > 2 && t.tree_depth == 2);
    assert_near(t.error, pow(l, -0.5) / p);
    assert_near(t.error_network, 1 / (l * p));
    assert_near(t.error_slow, pow(l * p, -0.5));
    assert_near(pow(10, t.vc_width_log10), l * fmax(2 * l, 27));
    assert_near(pow(10, t.vc_weights_log10), l * p * 3 * log(p / 3));

    /* Many experts on many columns: their prototypes count for more than they. */
    options.numeric = 100;
    options.hidden[0] = options.hidden[1] = 0;
    t = theory_of(&options, 0.1);
    l = (double)t.experts;
    assert_true(t.layers == 1 && t.width == 1);
    assert_near(pow(10, t.vc_width_log10), 100 * l * l);
}

/* Nothing that the paper's reading says lies above what is known of the worst plain network. */
static void test_readings(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        random_model_options options = random_model_any(seed);
        options.series = 0; /* networks alone */
        ramify_theory t = theory_of(&options, 0.1);
        assert_true(t.vc_width_log10 <= t.vc_weights_log10 + 1e-9);
        assert_true(t.error_network <= t.error * (1 + 1e-9));
    }
}

static void test_refusals(void **state) {
    (void)state;
    random_model_options options = columns(2);
    random_model *twin = random_model_create(context, &options);
    ramify_model *model = random_model_open(twin);
    static const double wrong[] = {0, -0.1, 0.51, 2, INFINITY, NAN};
    ramify_theory t = {.epsilon = 7};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(ramify_model_get_theory(context, model, wrong[i], &t),
                         RAMIFY_ERROR_ARGUMENT);
        assert_non_null(strstr(ramify_message(context), "at most 0.5"));
        assert_true(t.epsilon == 7);
    }
    assert_int_equal(ramify_model_get_theory(context, model, 5e-324, &t), RAMIFY_OK);
    assert_int_equal(ramify_model_get_theory(context, NULL, 0.1, &t), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_model_get_theory(context, model, 0.1, NULL), RAMIFY_ERROR_ARGUMENT);
    ramify_close(&model);
    random_model_destroy(twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_dimensions), cmocka_unit_test(test_few_dimensions),
        cmocka_unit_test(test_depth_of_powers), cmocka_unit_test(test_far_out),
        cmocka_unit_test(test_model_at_hand),   cmocka_unit_test(test_readings),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

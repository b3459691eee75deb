/* What a law answers, against formulas: laws are read from texts with known parameters. */

#include "law_support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ramify_law *read_law(const char *form, const char *x, const char *rest) {
    char text[4096];
    snprintf(text, sizeof text,
             "{\"ramify_law\": 1, \"form\": \"%s\", \"x\": [%s], \"y\": \"e\", \"level\": 0.9, "
             "\"groups\": [{\"by\": {}, \"spread\": {\"noise\": 0.01, \"drift\": 0.02}, %s}]}",
             form, x, rest);
    ramify_law *law = NULL;
    if (ramify_law_open_text(context, text, strlen(text), NULL, &law) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    return law;
}

#define M2                                                                                         \
    "\"parameters\": {\"floor\": 0.1, \"coefficient\": 5, \"exponent\": 0.5}, "                    \
    "\"range\": {\"n\": [10, 1000]}"

static void test_predict(void **state) {
    (void)state;
    ramify_law *law = read_law("m2", "\"n\"", M2);
    const double x[] = {100, 4000};
    ramify_law_estimate e[2];
    assert_int_equal(ramify_law_predict(law, 0, 2, x, 0.9, e), RAMIFY_OK);
    near(e[0].value, 0.6, 1e-12);
    near(log(e[0].high / e[0].value), 2.131847 * 0.01, 1e-6);
    /* Two octaves beyond: the drift per octave, widened (law_mix.c). */
    near(e[1].value, 0.1 + 5 / sqrt(4000), 1e-12);
    near(log(e[1].value / e[1].low), 1.12 * 2.131847 * 0.021 * 2, 1e-6);
    const double zero = 0;
    assert_int_equal(ramify_law_predict(law, 0, 1, &zero, 0.9, e), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_law_predict(law, 1, 1, x, 0.9, e), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_law_predict(law, 0, 1, x, 1, e), RAMIFY_ERROR_ARGUMENT);
    ramify_law_destroy(&law);
}

static void test_invert(void **state) {
    (void)state;
    ramify_law *law = read_law("m2", "\"n\"", M2);
    ramify_law_estimate size;
    const double unused = 0;
    assert_int_equal(ramify_law_invert(law, 0, 0, &unused, 0.6, 0.9, &size), RAMIFY_OK);
    near(size.value, 100, 1e-9);
    double half = 2.131847 * 0.01; /* where the ends of the interval are 0.6 */
    near(size.low, pow(5 / (0.6 * exp(half) - 0.1), 2), 1e-6);
    near(size.high, pow(5 / (0.6 * exp(-half) - 0.1), 2), 1e-6);
    assert_int_equal(ramify_law_invert(law, 0, 0, &unused, 0.1, 0.9, &size), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(context),
                        "no n brings the error to 0.1: the law's floor is 0.1");
    assert_int_equal(ramify_law_invert(law, 0, 0, &unused, 1e6, 0.9, &size), RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(context), "ask for a smaller one"));
    ramify_law_destroy(&law);
    /* By search, and not beyond what the form is good for: a decade. */
    law = read_law("damped", "\"n\"",
                   "\"parameters\": {\"last\": 0.5, \"slope\": -0.2, \"place\": 1000}, "
                   "\"range\": {\"n\": [10, 1000]}");
    double wanted = 0.5 * exp(-0.2 * (1 - pow(3, -0.35)) / 0.35);
    assert_int_equal(ramify_law_invert(law, 0, 0, &unused, wanted, 0.9, &size), RAMIFY_OK);
    near(size.value, 3000, 1e-9);
    double far = 0.5 * exp(-0.2 * (1 - pow(11, -0.35)) / 0.35);
    assert_int_equal(ramify_law_invert(law, 0, 0, &unused, far, 0.9, &size), RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(context), "beyond which the form says nothing"));
    ramify_law_destroy(&law);
}

#define ADDITIVE                                                                                   \
    "{\"floor\": 1.7, \"coefficient_model\": 400, \"exponent_model\": 0.34, "                      \
    "\"coefficient_data\": 1500, \"exponent_data\": 0.36}"
#define RANGE "\"range\": {\"m\": [1e7, 1e9], \"d\": [1e9, 1e11]}"

/* m* = (alpha A q / (beta B p))^(1 / (alpha q + beta p)) ..., from d ln y / d ln m = 0 on the line; for
 * p = q = 1 as in Hoffmann and others 2022, equation 4. */
static void test_frontier(void **state) {
    (void)state;
    ramify_law *law =
        read_law("additive", "\"m\", \"d\"",
                 "\"parameters\": " ADDITIVE ", " RANGE
                 ", \"resamples\": {\"floor\": [1.7, 1.7], \"coefficient_model\": [380, 420], "
                 "\"exponent_model\": [0.34, 0.34], \"coefficient_data\": [1500, 1500], "
                 "\"exponent_data\": [0.36, 0.36]}");
    const ramify_law_cost cost = {6, 1, 1};
    const double unused[2] = {0};
    ramify_law_split split;
    double budget = 1e21, g = 0.34 * 400 / (0.36 * 1500);
    assert_int_equal(ramify_law_frontier(law, 0, &cost, unused, budget, 0.9, &split), RAMIFY_OK);
    double model = pow(g, 1 / 0.7) * pow(budget / 6, 0.36 / 0.7);
    near(split.model.value, model, 1e-6);
    near(split.data.value, budget / 6 / model, 1e-6);
    near(split.error.value, 1.7 + 400 / pow(model, 0.34) + 1500 / pow(budget / 6 / model, 0.36),
         1e-12);
    near(split.model.low, model * pow(380.0 / 400, 1 / 0.7), 1e-6);
    near(split.model.high, model * pow(420.0 / 400, 1 / 0.7), 1e-6);
    /* A run that costs model squared times data: data are cheaper. */
    const ramify_law_cost square = {1, 2, 1};
    assert_int_equal(ramify_law_frontier(law, 0, &square, unused, budget, 0.9, &split), RAMIFY_OK);
    double p = split.model.value, q = split.data.value;
    near(p * p * q, budget, 1e-9);
    near(0.34 * 400 / pow(p, 0.34), 2 * 0.36 * 1500 / pow(q, 0.36), 1e-5);
    const ramify_law_cost none = {6, 0, 1};
    assert_int_equal(ramify_law_frontier(law, 0, &none, unused, budget, 0.9, &split),
                     RAMIFY_ERROR_ARGUMENT);
    ramify_law_destroy(&law);
    law = read_law("m2", "\"n\"", M2);
    assert_int_equal(ramify_law_frontier(law, 0, &cost, unused, budget, 0.9, &split),
                     RAMIFY_ERROR_ARGUMENT);
    ramify_law_destroy(&law);
    /* A size that hardly counts has no interior best. */
    law =
        read_law("additive", "\"m\", \"d\"",
                 "\"parameters\": {\"floor\": 1, \"coefficient_model\": 1e-30, \"exponent_model\": "
                 "1e-9, \"coefficient_data\": 1500, \"exponent_data\": 0.36}, " RANGE);
    assert_int_equal(ramify_law_frontier(law, 0, &cost, unused, budget, 0.9, &split),
                     RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(context), "has no best m"));
    ramify_law_destroy(&law);
}

/* Two laws in equal shares: the geometric mean. */
static void test_parts(void **state) {
    (void)state;
    ramify_law *law = read_law(
        "auto", "\"m\", \"d\"",
        "\"parts\": [{\"form\": \"additive\", \"near\": 0.5, \"far\": 0.5, "
        "\"parameters\": " ADDITIVE
        "}, {\"form\": \"joint\", \"near\": 0.5, \"far\": 0.5, \"parameters\": {\"level\": 6, "
        "\"offset\": 0.2, \"coefficient_model\": 40, \"exponent_model\": 0.3, "
        "\"coefficient_data\": 90, \"exponent_data\": 0.25}}], " RANGE);
    const double x[] = {1e8, 1e10};
    double a = 1.7 + 400 / pow(1e8, 0.34) + 1500 / pow(1e10, 0.36);
    double s = 0.2 + 40 / pow(1e8, 0.3) + 90 / pow(1e10, 0.25), j = 6 * s / sqrt(1 + s * s);
    ramify_law_estimate e, size;
    assert_int_equal(ramify_law_predict(law, 0, 1, x, 0.9, &e), RAMIFY_OK);
    near(e.value, sqrt(a * j), 1e-12);
    assert_int_equal(ramify_law_invert(law, 0, 1, x, e.value, 0.9, &size), RAMIFY_OK);
    near(size.value, 1e10, 1e-6);
    ramify_law_destroy(&law);
}

/* Among networks, the least depth width^2 density, by trying densities. */
static void test_optimum(void **state) {
    (void)state;
    ramify_law *law = read_law(
        "pruning-joint", "\"l\", \"w\", \"d\", \"dense\"",
        "\"parameters\": {\"top\": 0.9, \"exponent\": 0.6, \"turn\": 0.2, \"exponent_depth\": 0.4, "
        "\"exponent_width\": 0.7}, \"range\": {\"l\": [2, 8], \"w\": [1, 4], \"d\": [0.01, 1], "
        "\"dense\": [0.05, 0.2]}, \"dense\": [2, 1, 0.2, 4, 1, 0.12, 4, 2, 0.08, 8, 4, 0.05]");
    const double networks[][3] = {{2, 1, 0.2}, {4, 1, 0.12}, {4, 2, 0.08}, {8, 4, 0.05}};
    double least = INFINITY, depth = 0;
    for (int i = 0; i < 4; i++)
        for (double density = 1; density > 1e-4; density *= 0.999) {
            double x[4] = {networks[i][0], networks[i][1], density, networks[i][2]};
            ramify_law_estimate e;
            assert_int_equal(ramify_law_predict(law, 0, 1, x, 0.9, &e), RAMIFY_OK);
            double weights = x[0] * x[1] * x[1] * density;
            if (e.value <= 0.13 && weights < least) {
                least = weights;
                depth = x[0];
            }
        }
    ramify_law_network found;
    assert_int_equal(ramify_law_optimum(law, 0, NULL, 0, 0, 0.13, 0.9, &found), RAMIFY_OK);
    near(found.weights, least, 2e-3);
    near(found.depth, depth, 0);
    near(found.weights, found.depth * found.width * found.width * found.density.value, 1e-12);
    /* Of plain networks with 20 inputs and outputs. */
    assert_int_equal(ramify_law_optimum(law, 0, NULL, 0, 20, 0.13, 0.9, &found), RAMIFY_OK);
    near(found.weights,
         found.density.value * (20 * found.width + (found.depth - 1) * found.width * found.width),
         1e-12);
    for (int i = 0; i < 4; i++) {
        ramify_law_network one;
        if (ramify_law_optimum(law, 0, networks[i], 1, 20, 0.13, 0.9, &one) == RAMIFY_OK)
            assert_true(one.weights >= found.weights);
    }
    assert_int_equal(ramify_law_optimum(law, 0, networks[0], 1, 0, 0.13, 0.9, &found),
                     RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(context), "none of 1 networks"));
    ramify_law_destroy(&law);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predict),  cmocka_unit_test(test_invert),
        cmocka_unit_test(test_frontier), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_optimum),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

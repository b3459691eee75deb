/* Fits: noise-free laws are recovered, losses are what they say, standard errors are honest. */

#include "law_solve.h"
#include "law_support.h"
#include "memory.h"
#include "random.h"
#include "status.h"

#include <math.h>
#include <string.h>

#define RUNS 60

typedef struct subject {
    double ln_x[RUNS * RAMIFY_LAW_VARIABLES_MAX], ln_y[RUNS], weight[RUNS];
    ramify_runs runs;
    ramify_law_problem problem;
} subject;

/* Runs of a law, spread evenly over logarithms, with normal noise on ln y. */
static void plant(subject *s, const char *name, const double *theta, const double *low,
                  const double *high, double noise, uint64_t seed) {
    const ramify_law_form *form = ramify_law_form_find(name);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 3, 0);
    for (size_t i = 0; i < RUNS; i++) {
        for (uint32_t v = 0; v < form->variables; v++) {
            double share = v == 0 ? (double)i / (RUNS - 1) : ramify_random_uniform(&random);
            s->ln_x[i * form->variables + v] = log(low[v]) + share * (log(high[v]) - log(low[v]));
        }
        s->ln_y[i] = form->log_value(theta, s->ln_x + i * form->variables, NULL) +
                     noise * ramify_random_normal(&random);
        s->weight[i] = 1;
    }
    s->runs = (ramify_runs){
        .count = RUNS, .variables = form->variables, .ln_x = s->ln_x, .ln_y = s->ln_y};
    s->problem = (ramify_law_problem){
        .form = form, .runs = &s->runs, .loss = {.kind = RAMIFY_LAW_LOSS_LOG, .above = 1}};
}

static void solve(subject *s, double *theta, double *loss) {
    if (ramify_law_solve(context, &s->problem, theta, loss) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
}

typedef struct example {
    const char *name;
    double theta[RAMIFY_LAW_PARAMETERS_MAX], low[4], high[4];
    double relative; /* how well parameters come back without noise */
} example;

static const example examples[] = {
    {"m1", {5, 0.3}, {100}, {1e6}, 1e-9},
    {"m2", {0.1, 5, 0.3}, {100}, {1e6}, 1e-6},
    {"m3", {5, 0.3, 1e-5}, {100}, {1e6}, 1e-6},
    {"m4", {0.1, 0.85, 1.5, 3, 0.3}, {10}, {1e6}, 1e-4},
    {"bnsl1", {0.05, 3, 0.1, 0.3, 3000, 0.5}, {10}, {1e7}, 1e-4},
    {"pow3", {0.1, 5, 0.3}, {100}, {1e6}, 1e-6},
    {"pow4", {0.1, 5, 0.4, 300}, {50}, {1e6}, 1e-5},
    {"exp3", {0.1, 0.5, 2e-4}, {100}, {3e4}, 1e-6},
    {"mmf4", {0.9, 200, 0.1, 0.8}, {10}, {1e5}, 1e-5},
    {"wbl4", {0.1, 0.7, 0.01, 0.5}, {10}, {1e5}, 1e-5},
    {"ilog2", {0.1, 2}, {10}, {1e6}, 1e-9},
    {"additive", {1.7, 400, 0.34, 1500, 0.36}, {1e7, 1e9}, {1e10, 1e12}, 1e-6},
    {"joint", {6, 0.3, 50, 0.3, 60, 0.25}, {1e3, 1e4}, {1e9, 1e10}, 1e-4},
    {"data-constrained",
     {1.8, 500, 0.35, 1400, 0.36, 5, 15},
     {1e7, 1e9, 1e8},
     {1e10, 1e12, 1e10},
     1e-3},
    {"pruning", {0.2, 0.8, 0.5, 0.05}, {1e-3}, {1}, 1e-5},
    {"pruning-joint", {0.8, 0.6, 2, 0.4, 0.7}, {10, 0.5, 1e-3, 0.1}, {60, 2, 1, 0.3}, 1e-5},
};

static void test_recovers_laws_without_noise(void **state) {
    (void)state;
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++) {
        const example *x = &examples[e];
        static subject s;
        plant(&s, x->name, x->theta, x->low, x->high, 0, 1);
        double theta[RAMIFY_LAW_PARAMETERS_MAX], loss;
        solve(&s, theta, &loss);
        for (uint32_t j = 0; j < s.problem.form->parameters; j++)
            if (!(fabs(theta[j] - x->theta[j]) <= x->relative * fabs(x->theta[j])))
                fail_msg("%s, %s: %.9g, expected %.9g, loss %.3g", x->name,
                         s.problem.form->parameter[j].name, theta[j], x->theta[j], loss);
    }
}

/* With noise no other place is better: neighbours in every direction lose. */
static void test_solutions_are_minima(void **state) {
    (void)state;
    const ramify_law_loss losses[] = {
        {.kind = RAMIFY_LAW_LOSS_LOG, .above = 1},
        {.kind = RAMIFY_LAW_LOSS_RELATIVE, .above = 1},
        {.kind = RAMIFY_LAW_LOSS_HUBER, .delta = 0.01, .above = 1},
        {.kind = RAMIFY_LAW_LOSS_LOG, .above = 0.1},
    };
    for (size_t e = 0; e < sizeof examples / sizeof examples[0]; e++)
        for (size_t l = 0; l < sizeof losses / sizeof losses[0]; l++) {
            const example *x = &examples[e];
            static subject s;
            plant(&s, x->name, x->theta, x->low, x->high, 0.02, 5);
            s.problem.loss = losses[l];
            double theta[RAMIFY_LAW_PARAMETERS_MAX], loss;
            solve(&s, theta, &loss);
            assert_true(fabs(loss - ramify_law_loss_sum(&s.problem, theta)) <= 1e-12 * loss);
            assert_true(loss <= ramify_law_loss_sum(&s.problem, x->theta));
            for (uint32_t j = 0; j < s.problem.form->parameters; j++)
                for (int side = -1; side <= 1; side += 2) {
                    double other[RAMIFY_LAW_PARAMETERS_MAX];
                    memcpy(other, theta, sizeof other);
                    other[j] *= 1 + 1e-3 * side;
                    assert_true(ramify_law_loss_sum(&s.problem, other) >= loss * (1 - 1e-7));
                }
        }
}

static void test_losses(void **state) {
    (void)state;
    const double ln_x[] = {0, 1, 2}, ln_y[] = {0.1, -0.3, 0.002}, weight[] = {1, 2, 4};
    ramify_runs runs = {.count = 3, .variables = 1, .ln_x = ln_x, .ln_y = ln_y, .weight = weight};
    ramify_law_problem problem = {.form = ramify_law_form_find("m1"), .runs = &runs};
    const double flat[] = {1, 0}; /* predicts 1: d = -ln y */
    problem.loss = (ramify_law_loss){.kind = RAMIFY_LAW_LOSS_LOG, .above = 1};
    assert_true(fabs(ramify_law_loss_sum(&problem, flat) - (0.01 + 2 * 0.09 + 4 * 4e-6)) < 1e-15);
    problem.loss.above = 0.25; /* the first and the third run lie above the law */
    assert_true(fabs(ramify_law_loss_sum(&problem, flat) - (0.0025 + 2 * 0.09 + 4e-6)) < 1e-15);
    problem.loss = (ramify_law_loss){.kind = RAMIFY_LAW_LOSS_RELATIVE, .above = 1};
    double wanted = pow(exp(-0.1) - 1, 2) + 2 * pow(exp(0.3) - 1, 2) + 4 * pow(exp(-0.002) - 1, 2);
    assert_true(fabs(ramify_law_loss_sum(&problem, flat) - wanted) < 1e-15);
    problem.loss = (ramify_law_loss){.kind = RAMIFY_LAW_LOSS_HUBER, .delta = 0.01, .above = 1};
    wanted = 0.01 * (0.1 - 0.005) + 2 * 0.01 * (0.3 - 0.005) + 4 * 0.5 * 4e-6;
    assert_true(fabs(ramify_law_loss_sum(&problem, flat) - wanted) < 1e-15);
}

/* Fixed parameters stay, and the others make the best of it; a given start is begun from. */
static void test_fixed_parameters(void **state) {
    (void)state;
    static subject s;
    const example *x = &examples[1]; /* m2 */
    plant(&s, x->name, x->theta, x->low, x->high, 0, 1);
    const double fixed[] = {0.1, (double)NAN, (double)NAN};
    s.problem.fixed = fixed;
    double theta[3], loss, errors[3];
    solve(&s, theta, &loss);
    assert_true(theta[0] == 0.1 && fabs(theta[2] - 0.3) < 1e-8);
    assert_int_equal(ramify_law_errors(context, &s.problem, theta, errors), RAMIFY_OK);
    assert_true(isnan(errors[0]) && isfinite(errors[1]) && isfinite(errors[2]));
    const double all[] = {0.1, 5, 0.3}, away[] = {0.1, 4, 0.2};
    s.problem.fixed = all;
    solve(&s, theta, &loss);
    assert_memory_equal(theta, all, sizeof all);
    s.problem.fixed = NULL;
    s.problem.begin = away;
    s.problem.begin_only = true;
    solve(&s, theta, &loss);
    assert_true(fabs(theta[0] - 0.1) < 1e-7);
}

/* Over many draws of the noise, the estimates scatter as the standard errors say. */
static void test_standard_errors(void **state) {
    (void)state;
    enum { DRAWS = 200 };
    double sum[3] = {0}, squares[3] = {0}, variances[3] = {0};
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        static subject s;
        const example *x = &examples[1];
        plant(&s, x->name, x->theta, x->low, x->high, 0.02, 100 + seed);
        double theta[3], loss, errors[3];
        solve(&s, theta, &loss);
        assert_int_equal(ramify_law_errors(context, &s.problem, theta, errors), RAMIFY_OK);
        for (int j = 0; j < 3; j++) {
            sum[j] += theta[j];
            squares[j] += theta[j] * theta[j];
            variances[j] += errors[j] * errors[j] / DRAWS;
        }
    }
    for (int j = 0; j < 3; j++) {
        double scatter = squares[j] / DRAWS - sum[j] * sum[j] / DRAWS / DRAWS;
        assert_true(fabs(sqrt(variances[j] / scatter) - 1) < 0.2);
    }
}

/* What the runs do not tell has no error: a second variable that never changes. */
static void test_undetermined(void **state) {
    (void)state;
    static subject s;
    const example *x = &examples[11]; /* additive */
    const double low[] = {1e7, 1e10}, high[] = {1e10, 1e10};
    plant(&s, x->name, x->theta, low, high, 0.01, 1);
    double theta[5], loss, errors[5];
    solve(&s, theta, &loss);
    assert_int_equal(ramify_law_errors(context, &s.problem, theta, errors), RAMIFY_OK);
    for (int j = 0; j < 5; j++)
        assert_true(isnan(errors[j]));
}

/* A parameter that the law no longer depends on, far from any other number, is at a bound; the others
 * keep their errors. */
static void test_bounds(void **state) {
    (void)state;
    static subject s;
    const example *x = &examples[6]; /* pow4 */
    plant(&s, x->name, x->theta, x->low, x->high, 0.01, 1);
    double theta[] = {0.1, 5, 0.4, 1e-40}, errors[4];
    int bound[4];
    assert_true(ramify_law_bounds(&s.problem, theta, bound));
    assert_true(bound[0] == 0 && bound[1] == 0 && bound[2] == 0 && bound[3] == -1);
    assert_int_equal(ramify_law_errors(context, &s.problem, theta, errors), RAMIFY_OK);
    assert_true(isfinite(errors[0]) && isfinite(errors[1]) && isnan(errors[3]));
    theta[3] = 1;
    assert_false(ramify_law_bounds(&s.problem, theta, bound));
    assert_int_equal(bound[3], 0);
    const double fixed[] = {(double)NAN, (double)NAN, (double)NAN, 1e-40};
    s.problem.fixed = fixed;
    theta[3] = 1e-40;
    assert_false(ramify_law_bounds(&s.problem, theta, bound));
    assert_int_equal(bound[3], 0);
    plant(&s, "m1", examples[0].theta, examples[0].low, examples[0].high, 0, 1);
    const double huge[] = {1e200, 0.3}; /* the law depends on it, but no law of runs has it */
    assert_false(ramify_law_bounds(&s.problem, huge, bound));
    assert_int_equal(bound[0], 1);
}

static void test_no_beginning(void **state) {
    (void)state;
    const double ln_x[] = {2, 2, 2}, ln_y[] = {0.1, 0.3, 0.2};
    ramify_runs runs = {.count = 3, .variables = 1, .ln_x = ln_x, .ln_y = ln_y};
    ramify_law_problem problem = {.form = ramify_law_form_find("m1"),
                                  .runs = &runs,
                                  .loss = {.kind = RAMIFY_LAW_LOSS_LOG, .above = 1}};
    double theta[2], loss;
    ramify_clear(context);
    assert_int_equal(ramify_law_solve(context, &problem, theta, &loss), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(context),
                        "the form m1 finds no beginning in 3 runs: add runs that differ in size, "
                        "or try another form");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers_laws_without_noise),
        cmocka_unit_test(test_solutions_are_minima),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_fixed_parameters),
        cmocka_unit_test(test_standard_errors),
        cmocka_unit_test(test_undetermined),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_beginning),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

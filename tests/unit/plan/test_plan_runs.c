/* Plans from runs of laws that are known. */

#include "law_support.h"
#include "run_belief.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX 64

static const char *const plane_names[] = {"params", "tokens", "cost", "loss"};
static const char *const line_names[] = {"rows", "cost", "loss"};

/* Runs as they stand in a table. */
typedef struct runs {
    size_t count, columns;
    double value[RUNS_MAX * 4];
} runs;

/* Noise that is the same everywhere: about normal, from sums of a linear congruence. */
static double noise(uint64_t *state) {
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        sum += (double)(*state >> 11) / 9007199254740992.0;
    }
    return sum - 6;
}

static double additive(double params, double tokens) {
    return 1.7 + 400 / pow(params, 0.34) + 1500 / pow(tokens, 0.36);
}

/* The best of the law above for a cost of 6 params tokens (Hoffmann and others 2022, equation 4). */
static double best_params(double cost) {
    return pow(0.34 * 400 / (0.36 * 1500), 1 / 0.7) * pow(cost / 6, 0.36 / 0.7);
}

static double best_loss(double cost) {
    return additive(best_params(cost), cost / 6 / best_params(cost));
}

static void add_plane(runs *r, double params, double tokens, double loss) {
    const double row[] = {params, tokens, 6 * params * tokens, loss};
    memcpy(r->value + r->count++ * 4, row, sizeof row);
    r->columns = 4;
}

static void add_line(runs *r, double rows, double cost, double loss) {
    const double row[] = {rows, cost, loss};
    memcpy(r->value + r->count++ * 3, row, sizeof row);
    r->columns = 3;
}

/* Five models by four amounts of data, of a law with noise. */
static runs grid(double (*law)(double, double), double deviation) {
    runs r = {0};
    uint64_t state = 7;
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 4; j++) {
            double params = 1e7 * pow(3, i), tokens = 1e9 * pow(4, j);
            add_plane(&r, params, tokens, law(params, tokens) * exp(deviation * noise(&state)));
        }
    return r;
}

static double falling(double rows) {
    return 0.1 + 3 * pow(rows, -0.4);
}

static runs curve(double (*law)(double), double deviation, int count) {
    runs r = {0};
    uint64_t state = 7;
    for (int i = 0; i < count; i++) {
        double rows = 100 * pow(2, i);
        add_line(&r, rows, 0.003 * rows, law(rows) * exp(deviation * noise(&state)));
    }
    return r;
}

static ramify_runs_plan_options options_for(const runs *r) {
    ramify_runs_plan_options options;
    ramify_runs_plan_options_init(&options);
    options.x = r->columns == 4 ? "params,tokens" : "rows";
    options.y = "loss";
    options.cost = "cost";
    options.bootstrap = 60;
    return options;
}

static ramify_status plan_with(ramify_context *with, const runs *r,
                               const ramify_runs_plan_options *options, ramify_runs_plan **plan) {
    ramify_table *table = NULL;
    ramify_status status =
        ramify_table_from_doubles(with, r->value, r->count, r->columns, r->columns,
                                  r->columns == 4 ? plane_names : line_names, &table);
    if (status == RAMIFY_OK)
        status = ramify_plan_runs(with, table, options, plan);
    ramify_table_destroy(&table);
    return status;
}

static ramify_runs_plan *plan_of(const runs *r, const ramify_runs_plan_options *options) {
    ramify_runs_plan *plan = NULL;
    if (plan_with(context, r, options, &plan) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    return plan;
}

static void refuses(const runs *r, const ramify_runs_plan_options *options, ramify_status status,
                    const char *sentence) {
    ramify_runs_plan *plan = NULL;
    ramify_status found = plan_with(context, r, options, &plan);
    if (found != status || !strstr(ramify_message(context), sentence))
        fail_msg("%s: \"%s\", expected \"%s\"", ramify_status_name(found), ramify_message(context),
                 sentence);
    assert_null(plan);
}

/* --- planes and costs ------------------------------------------------------------------------- */

static void test_planes(void **state) {
    (void)state;
    const double x[] = {0, 0, 1, 0, 0, 1, 1, 1, 2, 1, 9, 9};
    double y[] = {3, 5, 2, 4, 6, NAN};
    ramify_plane plane;
    assert_true(ramify_plane_fit(6, 2, x, y, &plane));
    assert_int_equal(plane.points, 5);
    near(plane.slope[0], 2, 1e-12);
    near(plane.slope[1], -1, 1e-12);
    near(ramify_plane_at(&plane, x + 10), 3 + 2 * 9 - 9, 1e-12);
    assert_true(plane.deviation < 1e-12);
    /* A line by its formulas. */
    const double t[] = {1, 2, 3, 4};
    const double z[] = {1, 3, 2, 4};
    assert_true(ramify_plane_fit(4, 1, t, z, &plane));
    near(plane.slope[0], 0.8, 1e-12);
    near(plane.deviation, sqrt(1.8 / 2), 1e-12);
    near(plane.error[0], sqrt(0.9 / 5), 1e-12);
    const double far = 6;
    near(ramify_plane_deviation(&plane, &far), sqrt(0.9 * (1 + 0.25 + 3.5 * 3.5 / 5)), 1e-12);
    /* What tells no slope. */
    const double same[] = {1, 1, 1, 1}, along[] = {1, 2, 2, 4, 3, 6, 4, 8};
    assert_false(ramify_plane_fit(4, 1, same, z, &plane));
    assert_false(ramify_plane_fit(4, 2, along, z, &plane));
    assert_false(ramify_plane_fit(1, 1, t, z, &plane));
}

static void test_costs_are_fitted(void **state) {
    (void)state;
    runs r = grid(additive, 0);
    ramify_runs_plan_options options = options_for(&r);
    for (size_t i = 0; i < r.count; i++)
        r.value[i * 4 + 2] = 2.5 * pow(r.value[i * 4], 0.9) * pow(r.value[i * 4 + 1], 1.1);
    r.value[2] = NAN; /* not known */
    ramify_runs_plan *plan = plan_of(&r, &options);
    near(plan->cost.factor, 2.5, 1e-9);
    near(plan->cost.model_power, 0.9, 1e-9);
    near(plan->cost.data_power, 1.1, 1e-9);
    assert_true(plan->cost_fitted && plan->cost_deviation < 1e-9);
    assert_int_equal(plan->cost_runs, r.count - 1);
    near(plan->cheapest, 2.5 * pow(1e7, 0.9) * pow(1e9, 1.1), 1e-9);
    near(plan->answer_cost.value, 10 * plan->dearest, 1e-9);
    ramify_runs_plan_destroy(&plan);
    options.cost = NULL;
    plan = plan_of(&r, &options);
    assert_false(plan->cost_fitted);
    near(plan->cheapest, 1e16, 1e-12);
    assert_int_equal(plan->cost_runs, 0);
    ramify_runs_plan_destroy(&plan);
}

/* An uncertain cost makes what it buys uncertain. */
static void test_noisy_costs_widen(void **state) {
    (void)state;
    runs exact = grid(additive, 0.002), noisy = exact;
    uint64_t draw = 3;
    for (size_t i = 0; i < noisy.count; i++)
        noisy.value[i * 4 + 2] *= exp(0.3 * noise(&draw));
    ramify_runs_plan_options options = options_for(&exact);
    options.budget = 1e22;
    ramify_runs_plan *sure = plan_of(&exact, &options), *unsure = plan_of(&noisy, &options);
    assert_true(unsure->cost_deviation > 0.2 && unsure->cost_deviation < 0.4);
    assert_true(unsure->width > 1.1 * sure->width);
    ramify_runs_plan_destroy(&sure);
    ramify_runs_plan_destroy(&unsure);
}

static void test_costs_that_follow_no_product(void **state) {
    (void)state;
    runs r = curve(falling, 0.01, 9);
    ramify_runs_plan_options options = options_for(&r);
    uint64_t draw = 1;
    for (size_t i = 0; i < r.count; i++)
        r.value[i * 3 + 1] = 0.003 * r.value[i * 3] * exp(noise(&draw));
    refuses(&r, &options, RAMIFY_ERROR_DATA, "off the nearest product, rows^");
    for (size_t i = 0; i < r.count; i++)
        r.value[i * 3 + 1] = 30 + 0.003 * r.value[i * 3];
    refuses(&r, &options, RAMIFY_ERROR_DATA, "rise otherwise for large runs than for small ones");
    for (size_t i = 0; i < r.count; i++)
        r.value[i * 3 + 1] = 30;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "do not rise with rows as far as the runs tell");
    for (size_t i = 0; i < r.count; i++)
        r.value[i * 3 + 1] = i < 2 ? 30 + (double)i : NAN;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "2 runs with a cost (column cost) do not tell");
    r.value[4] = 0;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "row 2 has 0, and a run costs more than 0");
    r.value[4] = -1;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "row 2 has -1, and a run costs more than 0");
    options.cost = "price";
    refuses(&r, &options, RAMIFY_ERROR_DATA, "cost names \"price\", and there is no such column");
}

/* --- answers ---------------------------------------------------------------------------------- */

static void test_frontier_of_a_known_law(void **state) {
    (void)state;
    runs r = grid(additive, 0.005);
    ramify_runs_plan_options options = options_for(&r);
    ramify_runs_plan *plan = plan_of(&r, &options);
    assert_int_equal(plan->sizes, 2);
    assert_int_equal(plan->frontier_count, 5);
    near(plan->frontier[0].cost, plan->dearest, 1e-9);
    for (uint32_t i = 0; i < plan->frontier_count; i++) {
        const ramify_planned_run *run = &plan->frontier[i];
        near(6 * run->x[0] * run->x[1], run->cost, 1e-9);
        near(run->error.value, best_loss(run->cost), 0.02);
        assert_true(run->error.low < best_loss(run->cost));
        assert_true(run->error.high > best_loss(run->cost));
        /* Sizes are worth what the best are worth, though the minimum is flat. */
        near(additive(run->x[0], run->x[1]), best_loss(run->cost), 0.005);
        assert_true(i == 0 || run->error.value < run[-1].error.value);
    }
    const ramify_planned_run *last = &plan->frontier[4];
    near(last->cost, 10 * plan->dearest, 1e-9);
    near(plan->answer_cost.value, last->cost, 1e-12);
    assert_true(isnan(plan->answer_cost.low) && isnan(plan->answer_cost.high));
    near(plan->answer_error.value, last->error.value, 1e-12);
    near(plan->width, (last->error.high - last->error.low) / 2 / last->error.value, 1e-12);
    for (int v = 0; v < 2; v++) {
        near(plan->answer_x[v].value, last->x[v], 1e-9);
        assert_true(plan->answer_x[v].low < plan->answer_x[v].value);
        assert_true(plan->answer_x[v].high > plan->answer_x[v].value);
    }
    assert_true(plan->answer_x[0].low < best_params(last->cost));
    assert_true(plan->answer_x[0].high > best_params(last->cost));
    ramify_runs_plan_destroy(&plan);
    assert_null(plan);
    ramify_runs_plan_destroy(NULL);
}

/* The cost of an error is the budget that has this error, and the ends of its interval are those at which
 * the ends of the error's are. */
static void questions_agree(const runs *r, double budget) {
    ramify_runs_plan_options options = options_for(r);
    options.budget = budget;
    ramify_runs_plan *bought = plan_of(r, &options);
    options.budget = 0;
    options.error = bought->answer_error.value;
    ramify_runs_plan *priced = plan_of(r, &options);
    assert_true(priced->for_error && !bought->for_error);
    near(priced->answer_cost.value, budget, 1e-6);
    near(priced->answer_error.value, options.error, 1e-12);
    for (uint32_t v = 0; v < bought->sizes; v++)
        near(priced->answer_x[v].value, bought->answer_x[v].value, 1e-5);
    assert_true(priced->answer_cost.low < budget);
    options.budget = priced->answer_cost.low;
    options.error = 0;
    ramify_runs_plan *low = plan_of(r, &options);
    near(low->answer_error.low, priced->answer_error.value, 1e-5);
    ramify_runs_plan_destroy(&low);
    if (!isnan(priced->answer_cost.high)) {
        options.budget = priced->answer_cost.high;
        ramify_runs_plan *high = plan_of(r, &options);
        near(high->answer_error.high, priced->answer_error.value, 1e-5);
        ramify_runs_plan_destroy(&high);
        near(priced->width,
             (priced->answer_cost.high - priced->answer_cost.low) / 2 / priced->answer_cost.value,
             1e-9);
    }
    ramify_runs_plan_destroy(&bought);
    ramify_runs_plan_destroy(&priced);
}

static void test_two_questions(void **state) {
    (void)state;
    runs plane = grid(additive, 0.005), line = curve(falling, 0.01, 9);
    questions_agree(&plane, 4e20);
    questions_agree(&plane, 3e21);
    questions_agree(&line, 120);
}

static void test_one_size(void **state) {
    (void)state;
    runs r = curve(falling, 0.01, 9); /* to 25,600 rows at 76.8 */
    ramify_runs_plan_options options = options_for(&r);
    ramify_runs_plan *plan = plan_of(&r, &options);
    assert_int_equal(plan->sizes, 1);
    near(plan->answer_cost.value, 768, 1e-9);
    near(plan->answer_x[0].value, 256000, 1e-9);
    near(plan->answer_error.value, falling(256000), 0.06);
    assert_true(plan->answer_error.low < falling(256000));
    assert_true(plan->answer_error.high > falling(256000));
    assert_true(plan->cost.model_power == 0);
    ramify_runs_plan_destroy(&plan);
    /* The form says nothing beyond ten times the size: nor does the default budget. */
    for (size_t i = 0; i < r.count; i++)
        r.value[i * 3 + 1] = sqrt(r.value[i * 3]);
    plan = plan_of(&r, &options);
    near(plan->answer_x[0].value, 256000, 1e-9);
    near(plan->answer_cost.value, sqrt(256000), 1e-9);
    ramify_runs_plan_destroy(&plan);
    options.budget = 10 * sqrt(25600);
    refuses(&r, &options, RAMIFY_ERROR_DATA, "up to which the form was shown to hold");
    options.form = "m2";
    plan = plan_of(&r, &options);
    near(plan->answer_error.value, falling(2560000), 0.05);
    ramify_runs_plan_destroy(&plan);
}

static void test_conditions(void **state) {
    (void)state;
    runs r = grid(additive, 0.005);
    static const char *const small[] = {"cost<=1e19"};
    ramify_runs_plan_options options = options_for(&r);
    options.where = small;
    options.where_count = 1;
    ramify_runs_plan *plan = plan_of(&r, &options);
    assert_true(plan->dearest <= 1e19 && plan->dearest > 1e18);
    assert_true(plan->cost_runs < r.count);
    ramify_runs_plan_destroy(&plan);
}

/* --- the next run and the end ----------------------------------------------------------------- */

/* The width at a budget with one more run. */
static double width_with(const runs *r, double budget, double params, double tokens) {
    runs more = *r;
    add_plane(&more, params, tokens, additive(params, tokens));
    ramify_runs_plan_options options = options_for(&more);
    options.budget = budget;
    ramify_runs_plan *plan = plan_of(&more, &options);
    double width = plan->width;
    ramify_runs_plan_destroy(&plan);
    return width;
}

static void test_next_run(void **state) {
    (void)state;
    runs r = grid(additive, 0.02);
    ramify_runs_plan_options options = options_for(&r);
    options.tolerance = 0.001;
    ramify_runs_plan *plan = plan_of(&r, &options);
    assert_int_equal(plan->stop, RAMIFY_PLAN_GO_ON);
    assert_true(plan->has_next && plan->narrowing >= 0.1);
    double cost = plan->next.cost, budget = plan->answer_cost.value;
    assert_true(cost < 0.5 * budget); /* though one nearly as dear narrows it more */
    near(6 * plan->next.x[0] * plan->next.x[1], cost, 1e-9);
    assert_true(plan->next.error.low < plan->next.error.value);
    /* It does what is said of it, and more than a run of the same cost with the smallest model, or one more of
     * the runs that there are. */
    double with = width_with(&r, budget, plan->next.x[0], plan->next.x[1]);
    assert_true(with < (1 - 0.5 * plan->narrowing) * plan->width);
    assert_true(with < width_with(&r, budget, 1e7, cost / 6e7));
    assert_true(with < width_with(&r, budget, 9e7, 4e9));
    /* A bound on its cost is kept. */
    options.most_cost = cost / 2;
    ramify_runs_plan *bounded = plan_of(&r, &options);
    assert_true(!bounded->has_next || bounded->next.cost <= cost / 2);
    ramify_runs_plan_destroy(&bounded);
    ramify_runs_plan_destroy(&plan);
}

/* The law of the end of a curve learns from there, whatever a run far behind would cost. */
static void test_next_run_of_a_curve(void **state) {
    (void)state;
    runs r = curve(falling, 0.02, 10);
    ramify_runs_plan_options options = options_for(&r);
    options.error = 0.13;
    ramify_runs_plan *plan = plan_of(&r, &options);
    assert_true(!plan->has_next || plan->next.x[0] >= 51200 / 2);
    ramify_runs_plan_destroy(&plan);
}

/* What a belief is made of, and what single runs add to it. */
static void test_what_runs_add(void **state) {
    (void)state;
    runs r = grid(additive, 0.02);
    ramify_table *table = NULL;
    ramify_law *law = NULL;
    ramify_law_options how;
    ramify_law_options_init(&how);
    how.form = "auto";
    how.x = "params,tokens";
    how.y = "loss";
    double ln_x[RUNS_MAX * 2], ln_y[RUNS_MAX];
    for (size_t i = 0; i < r.count; i++) {
        ln_x[2 * i] = log(r.value[4 * i]);
        ln_x[2 * i + 1] = log(r.value[4 * i + 1]);
        ln_y[i] = log(r.value[4 * i + 3]);
    }
    const ramify_costed_runs costed = {
        .runs = {.count = r.count, .variables = 2, .ln_x = ln_x, .ln_y = ln_y}, .source = "table"};
    assert_int_equal(
        ramify_table_from_doubles(context, r.value, r.count, 4, 4, plane_names, &table), RAMIFY_OK);
    assert_int_equal(ramify_law_fit(context, table, &how, &law), RAMIFY_OK);
    ramify_run_cost cost;
    ramify_belief b;
    assert_int_equal(ramify_run_cost_fit(context, &costed, &cost), RAMIFY_OK);
    assert_int_equal(
        ramify_belief_open(context, law->form, &law->group[0], &costed, &cost, 200, 0, &b),
        RAMIFY_OK);
    assert_true(b.noise > 0.01 && b.noise < 0.03 && b.drift > 0.005 && b.drift < 0.1);
    const double end[2] = {log(81e7), log(64e9)};
    const double far[2] = {end[0] + log(3), end[1] + log(3)}; /* 3.17 octaves of cost */
    const double half[2] = {end[0] + log(3) / 2, end[1] + log(3) / 2};
    const double least[2] = {log(1e7), log(1e9)};
    double before = ramify_belief_deviation(&b, end), beyond = ramify_belief_deviation(&b, far);
    double drift = (b.drift + 1e-3) * sqrt(2 * log(3) / log(2));
    assert_true(before > b.noise && beyond > hypot(drift, b.noise));
    double narrowed, cheap;
    assert_int_equal(ramify_belief_narrowing(&b, far, half, &narrowed), RAMIFY_OK);
    /* Half of the way takes half of the drift's variance at the least. */
    assert_true(narrowed >= 1 - sqrt(1 - 0.5 * drift * drift / beyond / beyond) - 1e-9);
    assert_true(narrowed < 0.6);
    assert_int_equal(ramify_belief_narrowing(&b, far, least, &cheap), RAMIFY_OK);
    assert_true(cheap < 0.02);
    /* Without a drift, what is drawn is left: a run at the target takes of it what conditioning does. */
    b.drift = 0;
    beyond = ramify_belief_deviation(&b, far);
    double total = beyond * beyond, drawn = total - b.noise * b.noise, there;
    assert_true(drawn > 0.2 * total);
    assert_int_equal(ramify_belief_narrowing(&b, far, far, &there), RAMIFY_OK);
    near(there, 1 - sqrt(1 - drawn * drawn / total / total), 0.15);
    ramify_belief_close(&b);
    ramify_law_destroy(&law);
    ramify_table_destroy(&table);
}

static void test_when_to_stop(void **state) {
    (void)state;
    runs r = grid(additive, 0.02);
    ramify_runs_plan_options options = options_for(&r);
    ramify_runs_plan *plan = plan_of(&r, &options);
    assert_true(plan->width > 0.05);
    assert_int_equal(plan->stop, RAMIFY_PLAN_GO_ON);
    assert_non_null(strstr(plan->advice, "Go on: the error is known to"));
    options.tolerance = plan->width * 1.001;
    ramify_runs_plan_destroy(&plan);
    plan = plan_of(&r, &options);
    assert_int_equal(plan->stop, RAMIFY_PLAN_KNOWN);
    assert_non_null(strstr(plan->advice, "within the tolerance"));
    ramify_runs_plan_destroy(&plan);
    options.tolerance = 0.05;
    options.most_cost = 1; /* no run */
    plan = plan_of(&r, &options);
    assert_int_equal(plan->stop, RAMIFY_PLAN_NO_RUN_HELPS);
    assert_false(plan->has_next);
    assert_true(plan->narrowing == 0);
    ramify_runs_plan_destroy(&plan);
    /* Among the runs only their scatter is left, which no run takes away. */
    options.most_cost = 0;
    options.tolerance = 0.001;
    options.budget = 2e19;
    plan = plan_of(&r, &options);
    assert_int_equal(plan->stop, RAMIFY_PLAN_NO_RUN_HELPS);
    assert_true(plan->narrowing < 0.1);
    ramify_runs_plan_destroy(&plan);
}

/* Runs that scatter more say less. */
static void test_noise_widens(void **state) {
    (void)state;
    runs calm = grid(additive, 0.003), noisy = grid(additive, 0.03);
    ramify_runs_plan_options options = options_for(&calm);
    ramify_runs_plan *sure = plan_of(&calm, &options), *unsure = plan_of(&noisy, &options);
    assert_true(unsure->width > 3 * sure->width);
    ramify_runs_plan_destroy(&sure);
    ramify_runs_plan_destroy(&unsure);
}

/* A curve that breaks off its course is foretold with an interval that holds where it goes. */
static double breaking(double rows) {
    return rows < 6000 ? 0.5 : 0.5 * sqrt(6000 / rows);
}

static double levelling(double rows) {
    return fmax(0.1, 10 / sqrt(rows));
}

static void test_breaks_widen(void **state) {
    (void)state;
    double (*const laws[])(double) = {breaking, levelling};
    for (int i = 0; i < 2; i++) {
        runs r = curve(laws[i], 0, 10);
        ramify_runs_plan_options options = options_for(&r);
        ramify_runs_plan *plan = plan_of(&r, &options);
        assert_true(plan->width > 0.2);
        assert_true(plan->answer_error.low < laws[i](512000));
        assert_true(plan->answer_error.high > laws[i](512000));
        assert_int_not_equal(plan->stop, RAMIFY_PLAN_KNOWN);
        ramify_runs_plan_destroy(&plan);
    }
}

/* --- refusals --------------------------------------------------------------------------------- */

static double level(double rows) {
    (void)rows;
    return 0.3;
}

static double rising(double rows) {
    return 0.1 + 1e-5 * rows;
}

static double turning(double rows) {
    return 3 * pow(rows, -0.4) + 3e-6 * rows;
}

static double only_data(double params, double tokens) {
    (void)params;
    return 1.7 + 1500 / pow(tokens, 0.36);
}

static void test_curves_that_do_not_fall(void **state) {
    (void)state;
    runs r = curve(level, 0, 9);
    ramify_runs_plan_options options = options_for(&r);
    refuses(&r, &options, RAMIFY_ERROR_DATA,
            "loss does not fall with rows as far as the runs tell");
    r = curve(level, 0.02, 9);
    refuses(&r, &options, RAMIFY_ERROR_DATA,
            "loss does not fall with rows as far as the runs tell");
    r = curve(rising, 0, 9);
    refuses(&r, &options, RAMIFY_ERROR_DATA,
            "loss does not fall with rows as far as the runs tell");
    r = curve(turning, 0, 10);
    refuses(&r, &options, RAMIFY_ERROR_DATA, "loss no longer falls where rows is largest");
    r = grid(only_data, 0.01);
    options = options_for(&r);
    refuses(&r, &options, RAMIFY_ERROR_DATA, "loss does not fall with params as far as the runs");
    r = grid(additive, 0.5);
    refuses(&r, &options, RAMIFY_ERROR_DATA, "does not fall with");
}

static void test_too_few_runs(void **state) {
    (void)state;
    runs r = {0};
    for (int i = 0; i < 7; i++)
        add_plane(&r, 1e7 * pow(4, i), 2e8 * pow(4, i), 3 - 0.1 * i);
    ramify_runs_plan_options options = options_for(&r);
    refuses(&r, &options, RAMIFY_ERROR_DATA, "model size and data never vary apart");
    r = (runs){0};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 5; j++)
            add_plane(&r, 1e7 * pow(4, i), 1e9 * pow(2, j),
                      additive(1e7 * pow(4, i), 1e9 * pow(2, j)));
    refuses(&r, &options, RAMIFY_ERROR_DATA, "params has 2 values only");
    r.count = 5;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "model size never varies");
    r = grid(additive, 0);
    r.count = 4;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "add runs");
    r = (runs){0};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            add_plane(&r, 1e7 * pow(2, i), 1e9 * pow(2, j),
                      additive(1e7 * pow(2, i), 1e9 * pow(2, j)));
    refuses(&r, &options, RAMIFY_ERROR_DATA, "9 runs are too few, or too near each other");
    r = curve(falling, 0.01, 2);
    options = options_for(&r);
    refuses(&r, &options, RAMIFY_ERROR_DATA, "auto needs runs of 3 sizes");
}

/* At a budget so far away one size alone counts. */
static void test_no_best(void **state) {
    (void)state;
    runs r = {0};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 4; j++) {
            double params = 1e7 * pow(3, i), tokens = 1e9 * pow(4, j);
            add_plane(&r, params, tokens, exp(-0.004 * i) * (0.5 + 1500 / pow(tokens, 0.36)));
        }
    ramify_runs_plan_options options = options_for(&r);
    options.form = "additive";
    ramify_runs_plan *plan = NULL;
    ramify_status status = plan_with(context, &r, &options, &plan);
    if (status == RAMIFY_OK) { /* then it says that it does not know */
        assert_true(plan->answer_x[0].high > 10 * plan->answer_x[0].low);
        ramify_runs_plan_destroy(&plan);
        return;
    }
    assert_int_equal(status, RAMIFY_ERROR_DATA);
}

static void test_questions_out_of_reach(void **state) {
    (void)state;
    runs r = grid(additive, 0.005);
    ramify_runs_plan_options options = options_for(&r);
    options.budget = 1e16;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "the cheapest run cost 6e+16");
    options.budget = 1e30;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "nothing is known of costs above");
    options.budget = 0;
    options.error = 1.2;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "loss 1.2 is reached at no cost up to");
    options.error = 50;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "loss 50 is reached at a cost of 6e+16 already");
    r = curve(falling, 0.01, 10); /* whose end alone the form is about */
    options = options_for(&r);
    options.budget = 0.4;
    refuses(&r, &options, RAMIFY_ERROR_DATA, "which is about the end of the curve, holds from");
}

static void test_options(void **state) {
    (void)state;
    runs r = grid(additive, 0.005);
    const ramify_runs_plan_options good = options_for(&r);
    ramify_runs_plan_options options = good;
    options.x = NULL;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "a plan needs x, y and a form");
    options = good;
    options.x = "params,tokens,cost";
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "x names 3 columns");
    options = good;
    options.form = "m9";
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "there is no form \"m9\"");
    options.form = "m4";
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the form m4 has 1 variable, x names more");
    options = good;
    options.budget = options.error = 2;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "budget and error are two questions");
    options.error = 0;
    options.budget = -1;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the budget is -1");
    options.budget = INFINITY;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the budget is inf");
    options = good;
    options.error = NAN;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the error is nan");
    options = good;
    options.most_cost = -1;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the most cost is -1");
    options = good;
    options.tolerance = 1;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the tolerance is 1");
    options = good;
    options.level = 0;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "the level of intervals is 0");
    options = good;
    options.bootstrap = 19;
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "19 resamples, expected 20 to 100000");
    r = curve(falling, 0.01, 9);
    options = options_for(&r);
    options.form = "pruning";
    refuses(&r, &options, RAMIFY_ERROR_ARGUMENT, "no budget buys these");
    ramify_runs_plan *plan = NULL;
    assert_int_equal(ramify_plan_runs(context, NULL, &options, &plan), RAMIFY_ERROR_ARGUMENT);
}

/* --- what holds of every call ----------------------------------------------------------------- */

static void test_threads_and_seeds(void **state) {
    (void)state;
    runs r = grid(additive, 0.02);
    ramify_runs_plan_options options = options_for(&r);
    ramify_runs_plan *made[2];
    for (uint32_t i = 0; i < 2; i++) {
        ramify_context_options how;
        ramify_context_options_init(&how);
        how.threads = 1 + 2 * i;
        ramify_context *with = NULL;
        assert_int_equal(ramify_context_create(&how, &with), RAMIFY_OK);
        ramify_runs_plan *plan = NULL;
        assert_int_equal(plan_with(with, &r, &options, &plan), RAMIFY_OK);
        made[i] = plan_of(&r, &options);
        assert_true(plan->width == made[i]->width && plan->narrowing == made[i]->narrowing);
        assert_true(plan->answer_x[0].low == made[i]->answer_x[0].low);
        ramify_runs_plan_destroy(&plan);
        ramify_context_destroy(&with);
    }
    options.seed = 1;
    ramify_runs_plan *other = plan_of(&r, &options);
    assert_true(other->width != made[0]->width);
    near(other->width, made[0]->width, 0.2);
    ramify_runs_plan_destroy(&other);
    ramify_runs_plan_destroy(&made[0]);
    ramify_runs_plan_destroy(&made[1]);
}

/* Allocations that are left. */
typedef struct purse {
    long left;
} purse;

static void *spend(void *user, size_t bytes) {
    purse *p = user;
    return p->left-- > 0 ? malloc(bytes) : NULL;
}

static void give_back(void *user, void *memory) {
    (void)user;
    free(memory);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    runs r = curve(falling, 0.01, 8);
    ramify_runs_plan_options options = options_for(&r);
    options.bootstrap = 20;
    purse p = {0};
    ramify_context_options how;
    ramify_context_options_init(&how);
    how.user = &p;
    how.allocate = spend;
    how.release = give_back;
    how.threads = 1;
    ramify_status status = RAMIFY_ERROR_MEMORY;
    for (long allowed = 0; status != RAMIFY_OK; allowed++) {
        ramify_context *with = NULL;
        ramify_runs_plan *plan = NULL;
        p.left = 1000000;
        assert_int_equal(ramify_context_create(&how, &with), RAMIFY_OK);
        p.left = allowed;
        status = plan_with(with, &r, &options, &plan);
        assert_true(status == RAMIFY_OK || status == RAMIFY_ERROR_MEMORY);
        assert_true((status == RAMIFY_OK) == (plan != NULL));
        assert_true(allowed < 100000);
        ramify_runs_plan_destroy(&plan);
        ramify_context_destroy(&with);
    }
}

static bool stop_at_once(void *user) {
    (void)user;
    return true;
}

static void test_stops(void **state) {
    (void)state;
    runs r = grid(additive, 0.02);
    ramify_runs_plan_options options = options_for(&r);
    ramify_context_options how;
    ramify_context_options_init(&how);
    how.cancel = stop_at_once;
    ramify_context *with = NULL;
    ramify_runs_plan *plan = NULL;
    assert_int_equal(ramify_context_create(&how, &with), RAMIFY_OK);
    assert_int_equal(plan_with(with, &r, &options, &plan), RAMIFY_STOPPED);
    assert_null(plan);
    ramify_context_destroy(&with);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_costs_are_fitted),
        cmocka_unit_test(test_noisy_costs_widen),
        cmocka_unit_test(test_costs_that_follow_no_product),
        cmocka_unit_test(test_frontier_of_a_known_law),
        cmocka_unit_test(test_two_questions),
        cmocka_unit_test(test_one_size),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_next_run),
        cmocka_unit_test(test_next_run_of_a_curve),
        cmocka_unit_test(test_what_runs_add),
        cmocka_unit_test(test_when_to_stop),
        cmocka_unit_test(test_noise_widens),
        cmocka_unit_test(test_breaks_widen),
        cmocka_unit_test(test_curves_that_do_not_fall),
        cmocka_unit_test(test_too_few_runs),
        cmocka_unit_test(test_no_best),
        cmocka_unit_test(test_questions_out_of_reach),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_threads_and_seeds),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_stops),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

/* Small runs on a small table, and plans of them. */

#include "plan.h"
#include "public.h"
#include "status.h"
#include "sweep.h"
#include "toy.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 1200

static double bowl(const double *x) {
    return x[0] * x[0] + 0.5 * x[1];
}

static ramify_train_options quick(void) {
    ramify_train_options options;
    ramify_train_options_init(&options);
    options.target = "y";
    options.hidden = "8,8,8";
    options.epochs = 8;
    options.members = 1;
    options.bins = RAMIFY_CHOICE_OFF;
    options.periodic = RAMIFY_CHOICE_OFF;
    options.distillation = RAMIFY_CHOICE_OFF;
    return options;
}

/* A sweep over a table of few rows. */
typedef struct small_sweep {
    desk *d;
    toy t;
    ramify_train_options options;
    ramify_sweep sweep;
} small_sweep;

static ramify_sweep *small_sweep_open(small_sweep *at, uint32_t threads) {
    at->d = desk_open(threads);
    at->t = toy_create(at->d->context, ROWS, 2, bowl, 0.1, 3);
    at->options = quick();
    assert_int_equal(ramify_sweep_open(at->d->context, at->t.table, &at->options, &at->sweep),
                     RAMIFY_OK);
    return &at->sweep;
}

static void small_sweep_close(small_sweep *at) {
    ramify_sweep_close(&at->sweep);
    toy_destroy(&at->t);
    desk_close(at->d);
}

static bool has(const uint32_t *rows, size_t count, uint32_t row) {
    for (size_t i = 0; i < count; i++)
        if (rows[i] == row)
            return true;
    return false;
}

static void test_parts_are_nested(void **state) {
    (void)state;
    small_sweep at;
    ramify_sweep *s = small_sweep_open(&at, 2);
    assert_int_equal(s->levels, 4); /* 1080, 540, 270 and 135 rows */
    for (uint32_t level = 1; level < s->levels; level++) {
        const ramify_split *part = &s->part[level], *above = &s->part[level - 1];
        assert_true(part->train_count * 2 <= above->train_count + 1);
        assert_true(part->train_count * 2 + 1 >= above->train_count);
        for (size_t i = 0; i < part->train_count; i++)
            assert_true(has(above->train, above->train_count, part->train[i]));
        assert_ptr_equal(part->select, s->part[0].select);
    }
    assert_int_equal(s->held_count + s->part[1].train_count, s->part[0].train_count);
    for (size_t i = 0; i < s->held_count; i++) {
        assert_false(has(s->part[1].train, s->part[1].train_count, s->held[i]));
        assert_false(has(s->part[0].select, s->part[0].select_count, s->held[i]));
        assert_true(has(s->part[0].train, s->part[0].train_count, s->held[i]));
    }
    small_sweep_close(&at);
}

static void test_runs_do_not_depend_on_threads(void **state) {
    (void)state;
    double error[2];
    for (int threads = 1; threads <= 2; threads++) {
        small_sweep at;
        ramify_sweep *s = small_sweep_open(&at, (uint32_t)threads);
        ramify_sweep_run runs[RAMIFY_SWEEP_SEARCH_MAX];
        uint32_t count;
        assert_int_equal(ramify_sweep_search(s, 2, 1, runs, &count), RAMIFY_OK);
        assert_int_equal(count, 1); /* stem and shape are given */
        assert_true(runs[0].made);
        assert_int_equal(runs[0].rows, s->part[2].train_count);
        assert_int_equal(runs[0].epochs, 8);
        assert_true(runs[0].error > 0.05 && runs[0].error < 1);
        error[threads - 1] = runs[0].error;
        small_sweep_close(&at);
    }
    assert_true(error[0] == error[1]);
}

static void test_costs(void **state) {
    (void)state;
    small_sweep at;
    ramify_sweep *s = small_sweep_open(&at, 1);
    s->usual = (ramify_sweep_design){.members = 2, .layers = 3, .width = 64, .inputs = 10};
    ramify_sweep_point point = {.length = 1, .design = s->usual};
    const double one = ramify_sweep_cost(s, &point);
    point.level = 1;
    assert_true(fabs(ramify_sweep_cost(s, &point) / one - 0.5) < 0.01);
    point.length = 0.5;
    assert_true(fabs(ramify_sweep_cost(s, &point) / one - 0.25) < 0.01);
    point = (ramify_sweep_point){.length = 1, .stage = RAMIFY_STAGE_TAUGHT};
    const double taught = ramify_sweep_cost(s, &point);
    point.stage = RAMIFY_STAGE_TREE;
    assert_true(one < taught && taught < ramify_sweep_cost(s, &point));
    small_sweep_close(&at);
}

static ramify_plan *plan(desk *d, const ramify_table *table, const ramify_plan_options *options,
                         ramify_status expected) {
    ramify_plan *made = NULL;
    ramify_status status = ramify_plan_make(d->context, table, options, &made);
    if (status != expected)
        print_error("%s: %s\n", ramify_status_name(status), ramify_message(d->context));
    assert_int_equal(status, expected);
    assert_true((made != NULL) == (status == RAMIFY_OK));
    return made;
}

static void test_a_plan(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, ROWS, 2, bowl, 0.1, 3);
    ramify_train_options train = quick();
    train.seed = UINT64_MAX;
    ramify_plan_options options;
    ramify_plan_options_init(&options);
    options.train = &train;
    ramify_plan *made = plan(d, t.table, &options, RAMIFY_OK);
    double level;
    const ramify_law_estimate e = ramify_plan_predicted(made, &level);
    assert_true(level == 0.9 && 0 < e.low && e.low < e.value && e.value < e.high);
    ramify_train_options chosen;
    assert_int_equal(ramify_plan_choice(made, &chosen), RAMIFY_OK);
    assert_string_equal(chosen.target, "y");
    assert_string_equal(chosen.hidden, "8,8,8");
    assert_int_equal(chosen.epochs, 8);
    assert_true(chosen.seed == UINT64_MAX);
    assert_int_equal(chosen.distillation, RAMIFY_CHOICE_OFF);
    /* The text is the plan. */
    ramify_plan *again = NULL;
    const char *text = ramify_plan_text(made);
    assert_int_equal(ramify_plan_open_text(d->context, text, strlen(text), NULL, &again),
                     RAMIFY_OK);
    assert_string_equal(ramify_plan_text(again), text);
    const ramify_score score = {.rows = 60, .rmse = 0.2, .error_low = 0.15, .error_high = 0.25};
    assert_int_equal(ramify_plan_add_obtained(again, &score, 1.5, 4096, 1), RAMIFY_OK);
    json_t *json = json_loads(ramify_plan_text(again), 0, NULL);
    const json_t *obtained = json_object_get(json, "obtained");
    assert_true(json_number_value(json_object_get(obtained, "error")) == 0.2);
    assert_int_equal(json_integer_value(json_object_get(obtained, "resident_bytes")), 4096);
    json_decref(json);
    ramify_plan_destroy(&again);
    ramify_plan_destroy(&made);
    toy_destroy(&t);
    desk_close(d);
}

/* Allocations of jansson until one fails, once; below 0: none does. */
static int left_until_failure;

static void *failing_malloc(size_t size) {
    return left_until_failure-- == 0 ? NULL : malloc(size);
}

#define RUNS 3

/* A plan of runs that were never made. */
static ramify_status write_plan(desk *d, const ramify_sweep *sweep, ramify_plan **made) {
    const ramify_plan_options options = {.train = sweep->options, .level = 0.9};
    const ramify_law_estimate e = {0.2, 0.1, 0.3};
    ramify_sweep_run runs[RUNS];
    for (int i = 0; i < RUNS; i++)
        runs[i] = (ramify_sweep_run){.made = true, .rows = 100, .error = 0.2, .deviation = 0.01};
    ramify_planning planning = {
        .context = d->context,
        .options = &options,
        .train = *sweep->options,
        .sweep = *sweep,
        .runs = runs,
        .count = RUNS,
        .candidates = 2,
        .candidate = {{.point = {.length = 1, .pruned = 9000}, .error = e, .density = 0.5},
                      {.error = e, .density = 1}}};
    for (int i = 0; i < RAMIFY_PLAN_AHEAD; i++)
        planning.more.rows[i] = e;
    return ramify_plan_write(&planning, made);
}

/* Whatever allocation fails: there is no plan, or a whole one. */
static void test_allocations_fail(void **state) {
    (void)state;
    small_sweep at;
    ramify_sweep *s = small_sweep_open(&at, 1);
    json_set_alloc_funcs(failing_malloc, free);
    bool failed = true;
    for (int n = 0; failed; n++) {
        ramify_plan *made = NULL;
        left_until_failure = n;
        const ramify_status status = write_plan(at.d, s, &made);
        failed = left_until_failure < 0;
        left_until_failure = -1;
        assert_int_equal(status, made ? RAMIFY_OK : RAMIFY_ERROR_MEMORY);
        if (made) {
            const json_t *json = made->json; /* its text is jansson's own affair */
            const json_t *ahead = json_object_get(json, "ahead");
            assert_int_equal(json_array_size(json_object_get(json, "runs")), RUNS);
            assert_int_equal(json_array_size(json_object_get(json, "candidates")), 2);
            assert_int_equal(json_array_size(ahead), RAMIFY_PLAN_AHEAD);
            for (int i = 0; i < RAMIFY_PLAN_AHEAD; i++)
                assert_non_null(json_object_get(json_array_get(ahead, (size_t)i), "rows"));
        } else {
            assert_true(failed);
        }
        ramify_plan_destroy(&made);
        ramify_clear(at.d->context);
    }
    json_set_alloc_funcs(malloc, free);
    small_sweep_close(&at);
}

static bool met(const ramify_plan *made) {
    json_t *json = json_loads(ramify_plan_text(made), 0, NULL);
    const bool found = json_is_true(json_object_get(json, "met"));
    json_decref(json);
    return found;
}

static void test_requests(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, ROWS, 2, bowl, 0.1, 3);
    const ramify_train_options train = quick();
    ramify_plan_options options;
    ramify_plan_options_init(&options);
    options.train = &train;
    options.error = 1e-9;
    ramify_plan *made = plan(d, t.table, &options, RAMIFY_OK);
    assert_false(met(made));
    ramify_plan_destroy(&made);
    options.error = 10;
    made = plan(d, t.table, &options, RAMIFY_OK);
    assert_true(met(made));
    ramify_plan_destroy(&made);
    options.error = 0;
    options.latency = 1e-12;
    made = plan(d, t.table, &options, RAMIFY_OK);
    assert_false(met(made));
    ramify_plan_destroy(&made);
    options.latency = 0;
    options.share = -1;
    plan(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    options.share = 0.1;
    options.error = -1;
    plan(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    assert_non_null(strstr(ramify_message(d->context), "error -1: "));
    options.error = 0;
    options.latency = NAN;
    plan(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    assert_non_null(strstr(ramify_message(d->context), "latency "));
    options.latency = 0;
    options.error = 0;
    ramify_train_options series;
    ramify_train_options_init(&series);
    series.kind = "nyquist";
    series.target = "y";
    options.train = &series;
    plan(d, t.table, &options, RAMIFY_ERROR_UNSUPPORTED);
    toy_destroy(&t);
    desk_close(d);
}

static void test_few_rows_are_refused(void **state) {
    (void)state;
    desk *d = desk_open(1);
    const ramify_train_options train = quick();
    ramify_plan_options options;
    ramify_plan_options_init(&options);
    options.train = &train;
    toy t = toy_create(d->context, 150, 2, bowl, 0.1, 3);
    plan(d, t.table, &options, RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(d->context), "too few"));
    toy_destroy(&t);
    desk_close(d);
}

static void refuse(desk *d, const char *text, ramify_status expected, const char *part) {
    ramify_plan *made = NULL;
    assert_int_equal(ramify_plan_open_text(d->context, text, strlen(text), "p.json", &made),
                     expected);
    assert_null(made);
    if (!strstr(ramify_message(d->context), part))
        fail_msg("\"%s\" is not in \"%s\"", part, ramify_message(d->context));
}

static void test_texts_of_others(void **state) {
    (void)state;
    desk *d = desk_open(1);
#define GOOD "\"predicted\": {\"value\": 2, \"low\": 1, \"high\": 3, \"level\": 0.9}"
    refuse(d, "", RAMIFY_ERROR_DATA, "p.json: is not JSON");
    refuse(d, "[]", RAMIFY_ERROR_DATA, "is no plan");
    refuse(d, "{\"ramify.plan\": \"1\"}", RAMIFY_ERROR_DATA, "is no plan");
    refuse(d, "{\"ramify.plan\": 3}", RAMIFY_ERROR_UNSUPPORTED, "format 3");
    refuse(d, "{\"ramify.plan\": 1}", RAMIFY_ERROR_DATA, "\"choice\" is not an object");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"colour\": 1}}", RAMIFY_ERROR_DATA, "\"colour\"");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"epochs\": -1}}", RAMIFY_ERROR_DATA,
           "\"epochs\" is not what");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"epochs\": 4294967296}}", RAMIFY_ERROR_DATA,
           "\"epochs\" is not what");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"bins\": \"maybe\"}}", RAMIFY_ERROR_DATA,
           "\"bins\" is not what");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"target\": 3}}", RAMIFY_ERROR_DATA,
           "\"target\" is not what");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {}, " GOOD "}", RAMIFY_ERROR_DATA, "no target");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"target\": \"\"}}", RAMIFY_ERROR_DATA,
           "no target");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"target\": \"y\", \"kind\": \"paraformer\"}}",
           RAMIFY_ERROR_DATA, "a kind that is not planned");
    refuse(d, "{\"ramify.plan\": 1, \"choice\": {\"target\": \"y\"}}", RAMIFY_ERROR_DATA,
           "no whole plan");
#define WHOLE                                                                                      \
    "\"candidates\": [], \"ahead\": [], \"runs\": [], \"stage\": \"tree\", \"why\": \"\", "        \
    "\"rows\": {}, "                                                                               \
    "\"request\": {}, \"twice\": {}, "
#define TARGET "{\"ramify.plan\": 1, \"choice\": {\"target\": \"y\"}, "
    refuse(d, TARGET WHOLE "\"error\": \"<script>\", " GOOD "}", RAMIFY_ERROR_DATA,
           "no whole plan");
    static const char *const bad[] = {"\"predicted\": {\"value\": 2, \"low\": 3, \"high\": 4, "
                                      "\"level\": 0.9}}",
                                      "\"predicted\": {\"value\": 2, \"low\": 1, \"high\": 4}}",
                                      "\"predicted\": {\"value\": 2, \"low\": 1, \"high\": 4, "
                                      "\"level\": 900}}"};
    for (size_t i = 0; i < 3; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s\"error\": \"rmse\", %s", TARGET, WHOLE, bad[i]);
        refuse(d, text, RAMIFY_ERROR_DATA, "\"predicted\"");
    }
    desk_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_nested),
        cmocka_unit_test(test_runs_do_not_depend_on_threads),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_a_plan),
        cmocka_unit_test(test_allocations_fail),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_few_rows_are_refused),
        cmocka_unit_test(test_texts_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

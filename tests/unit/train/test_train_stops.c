/* Trainings that are refused memory or asked to stop. With the argument "long" the n-th allocation
 * fails for every n, else for some. Allocations of the JSON library are left alone. */

#include "public.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t stride = 41; /* every so many-th n is tried */

static double waves(const double *x) {
    return sin(5 * x[0]) * x[1];
}

/* ---- memory; one thread, so that the n-th allocation is always the same ---- */

typedef struct purse {
    uint64_t calls, live;
    uint64_t fail_once, fail_from; /* 0: never */
} purse;

static void *allocate(void *user, size_t bytes) {
    purse *p = user;
    p->calls++;
    if (p->calls == p->fail_once || (p->fail_from > 0 && p->calls >= p->fail_from))
        return NULL;
    p->live++;
    return malloc(bytes);
}

static void release(void *user, void *memory) {
    purse *p = user;
    p->live--;
    free(memory);
}

static ramify_context *open_purse(purse *p) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = p;
    options.allocate = allocate;
    options.release = release;
    options.threads = 1;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    return context;
}

static ramify_train_options tiny_options(void) {
    ramify_train_options options = quick_options();
    options.epochs = options.child_epochs = 1;
    options.smallest_node = 64;
    options.split_test = RAMIFY_CHOICE_OFF;
    options.borrow = RAMIFY_CHOICE_ON;
    options.hidden = "4";
    options.members = 2;
    options.arity = 2;
    options.bins = RAMIFY_CHOICE_ON;
    options.periodic = RAMIFY_CHOICE_ON;
    return options;
}

typedef ramify_status tiny_call(ramify_context *context, const ramify_table *table,
                                ramify_train_options options);

static ramify_status call_train(ramify_context *context, const ramify_table *table,
                                ramify_train_options options) {
    ramify_model *model = NULL;
    ramify_training *training = NULL;
    ramify_status status = ramify_train(context, table, &options, NULL, &model, &training);
    assert_true((model != NULL) == (status == RAMIFY_OK));
    assert_true((training != NULL) == (status == RAMIFY_OK));
    ramify_training_destroy(&training);
    ramify_close(&model);
    return status;
}

/* In parts, the upper levels by samples. */
static ramify_status call_divided(ramify_context *context, const ramify_table *table,
                                  ramify_train_options options) {
    options.node_rows = 50;
    options.smallest_node = 32;
    return call_train(context, table, options);
}

static ramify_status call_controls(ramify_context *context, const ramify_table *table,
                                   ramify_train_options options) {
    options.controls = true;
    return call_train(context, table, options);
}

static ramify_status call_classes(ramify_context *context, const ramify_table *table,
                                  ramify_train_options options) {
    options.target = "word";
    options.drop = "y";
    options.bins = RAMIFY_CHOICE_AUTO; /* two designs are compared */
    options.distillation = RAMIFY_CHOICE_ON;
    return call_train(context, table, options);
}

static ramify_status call_folds(ramify_context *context, const ramify_table *table,
                                ramify_train_options options) {
    ramify_score scores[2];
    options.leaves = 1;
    return ramify_cross_validate(context, table, &options, 2, scores);
}

static void sweep(tiny_call *call, bool for_good) {
    purse p = {0};
    ramify_context *context = open_purse(&p);
    toy t = toy_create(context, 120, 2, waves, 0.1, 1);
    const char *words[120];
    for (size_t row = 0; row < 120; row++)
        words[row] = t.values[row * 3 + 2] > 0 ? "up" : "down";
    assert_int_equal(ramify_table_add_texts(context, t.table, "word", words), RAMIFY_OK);
    uint64_t live = p.live;
    assert_int_equal(call(context, t.table, tiny_options()), RAMIFY_OK);
    assert_int_equal(p.live, live);
    uint64_t failures = 0;
    for (uint64_t n = 1;; n += stride) {
        p.calls = 0;
        p.fail_once = n;
        p.fail_from = for_good ? n : 0;
        ramify_status status = call(context, t.table, tiny_options());
        assert_int_equal(p.live, live);
        if (p.calls < n) {
            assert_int_equal(status, RAMIFY_OK);
            break;
        }
        /* A single refusal may be done without, and controls that fail do not cost the model. */
        bool needed = for_good && call != call_controls;
        if (status != RAMIFY_ERROR_MEMORY && (needed || status != RAMIFY_OK))
            fail_msg("allocation %llu: %s: %s", (unsigned long long)n, ramify_status_name(status),
                     ramify_message(context));
        if (status == RAMIFY_ERROR_MEMORY)
            assert_string_not_equal(ramify_message(context), "");
        failures += status == RAMIFY_ERROR_MEMORY;
    }
    assert_true(failures * stride > 100);
    p.fail_once = p.fail_from = 0;
    toy_destroy(&t);
    ramify_context_destroy(&context);
    assert_int_equal(p.live, 0);
}

static void test_every_allocation(void **state) {
    (void)state;
    static tiny_call *const calls[] = {call_train, call_classes, call_divided, call_controls,
                                       call_folds};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (int for_good = 0; for_good < 2; for_good++)
            sweep(calls[i], for_good);
}

/* ---- stopping ---- */

static void test_stop_at_any_moment(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        desk *d = desk_open(threads);
        toy t = toy_create(d->context, 1000, 2, waves, 0.1, 1);
        ramify_train_options options = quick_options();
        options.split_test = RAMIFY_CHOICE_OFF;
        options.hidden = "8";
        options.members = 1;
        options.epochs = options.child_epochs = 30;
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
        ramify_model_info info;
        ramify_model_get_info(model, &info);
        uint64_t all = d->questions, some = 0, most = 0, leaves = info.leaves;
        ramify_close(&model);
        assert_true(all > 40 && leaves > 4);
        for (uint64_t when = 1; when <= all; when += 1 + all / (stride == 1 ? 300 : 30)) {
            d->questions = 0;
            d->stop_at = when;
            ramify_training *training = NULL;
            ramify_status status =
                ramify_train(d->context, t.table, &options, NULL, &model, &training);
            /* With two threads the last questions may be asked in a late task. */
            if (status != RAMIFY_STOPPED)
                fail_msg("stop at %llu: %s", (unsigned long long)when, ramify_status_name(status));
            assert_true((training != NULL) == (model != NULL));
            some += model != NULL;
            d->stop_at = 0;
            if (model) {
                ramify_model_get_info(model, &info);
                most = info.leaves > most ? info.leaves : most;
                assert_true(isfinite(training->score.rmse));
                assert_int_equal(ramify_model_check(d->context, model), RAMIFY_OK);
                free(predictions(d, model, t.table));
            }
            ramify_training_destroy(&training);
            ramify_close(&model);
        }
        assert_true(some > 5 && most > 1);
        /* The context is as good as new. */
        model = train(d, t.table, &options, RAMIFY_OK, NULL);
        ramify_model_get_info(model, &info);
        assert_int_equal(info.leaves, leaves);
        ramify_close(&model);

        ramify_score scores[3];
        d->questions = 0;
        d->stop_at = all;
        assert_int_equal(ramify_cross_validate(d->context, t.table, &options, 3, scores),
                         RAMIFY_STOPPED);
        toy_destroy(&t);
        desk_close(d);
    }
}

/* A series is asked within its fits, and is there once the first of these is. */
static void test_stop_in_series(void **state) {
    (void)state;
    desk *d = desk_open(1);
    toy t = toy_create(d->context, 300, 2, waves, 0.1, 1);
    ramify_train_options options;
    ramify_train_options_init(&options);
    options.target = "y";
    options.kind = "nyquist";
    options.resident_bytes = 16 * 1024;
    options.smallest_node = 100;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_close(&model);
    const uint64_t all = d->questions;
    uint64_t some = 0;
    assert_true(all > 100);
    for (uint64_t when = 1; when <= all; when += 1 + all / (stride == 1 ? 300 : 30)) {
        d->questions = 0;
        d->stop_at = when;
        model = train(d, t.table, &options, RAMIFY_STOPPED, NULL);
        some += model != NULL;
        d->stop_at = 0;
        if (model) {
            assert_int_equal(ramify_model_check(d->context, model), RAMIFY_OK);
            free(predictions(d, model, t.table));
        }
        ramify_close(&model);
    }
    assert_true(some > 5);
    toy_destroy(&t);
    desk_close(d);
}

/* Stopped among the controls, the model is there. */
static void test_stop_in_controls(void **state) {
    (void)state;
    desk *d = desk_open(1);
    toy t = toy_create(d->context, 600, 2, waves, 0.1, 1);
    ramify_train_options options = quick_options();
    options.hidden = "8";
    options.members = 1;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    uint64_t alone = d->questions;
    double *whole = predictions(d, model, t.table);
    ramify_close(&model);
    options.controls = true;
    d->questions = 0;
    d->stop_at = alone + 5;
    ramify_training *training = NULL;
    model = train(d, t.table, &options, RAMIFY_STOPPED, &training);
    assert_non_null(model);
    assert_non_null(training);
    assert_true(training->control_count >= 1 && training->control_count < 4);
    d->stop_at = 0;
    double *y = predictions(d, model, t.table);
    assert_memory_equal(whole, y, t.rows * sizeof *y);
    free(whole);
    free(y);
    ramify_training_destroy(&training);
    ramify_close(&model);
    toy_destroy(&t);
    desk_close(d);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation),
        cmocka_unit_test(test_stop_at_any_moment),
        cmocka_unit_test(test_stop_in_series),
        cmocka_unit_test(test_stop_in_controls),
    };
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        stride = 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

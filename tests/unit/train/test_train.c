/* Whole trainings through the public interface: what does not depend on the kind of table. */

#include "public.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What RAMIFY_RESIDENT_USUAL is for trees and networks. */
#define USUAL_BYTES ((uint64_t)128 * 1024)

static double waves(const double *x) {
    return sin(4 * x[0]) * (x[1] > 0 ? 2 : -1) + x[2];
}

static double sides(const double *x) {
    return x[0] * x[1] > 0.05 ? 2 : x[0] > 0 ? 1 : 0;
}

/* Kinds of models that between them use every part of training. */
#define VARIANTS 6
static const char *const variant_names[VARIANTS] = {"defaults", "classes",   "all splits",
                                                    "mlp",      "distilled", "distilled classes"};

static ramify_train_options variant(size_t index) {
    ramify_train_options options = quick_options();
    if (index == 1 || index == 5)
        options.task = "classification";
    if (index == 2) {
        options.split_test = RAMIFY_CHOICE_OFF;
        options.borrow = RAMIFY_CHOICE_ON;
        options.gradient_routing = RAMIFY_CHOICE_ON;
        options.hidden = "16,16";
    }
    if (index == 3)
        options.kind = "mlp";
    if (index >= 4) {
        options.distillation = RAMIFY_CHOICE_ON;
        options.epochs = 2;
        options.hidden = "8";
        options.split_test = RAMIFY_CHOICE_OFF;
    }
    return options;
}

static toy variant_table(desk *d, size_t index) {
    bool classes = index == 1 || index == 5;
    return toy_create(d->context, index >= 4 ? 300 : 900, 4, classes ? sides : waves,
                      classes ? 0 : 0.05, 2);
}

static void test_threads_change_no_byte(void **state) {
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        unsigned char *first = NULL;
        size_t first_size = 0;
        for (uint32_t threads = 1; threads <= 3; threads++) {
            desk *d = desk_open(threads);
            toy t = variant_table(d, v);
            ramify_train_options options = variant(v);
            ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
            assert_true(toy_denormals_are_kept()); /* the caller's floats are its own matter */
            size_t size;
            unsigned char *bytes = saved_bytes(d, model, &size);
            if (!first) {
                first = bytes;
                first_size = size;
            } else {
                if (size != first_size || memcmp(first, bytes, size) != 0)
                    fail_msg("%s: %u threads give other bytes than one", variant_names[v], threads);
                free(bytes);
            }
            ramify_close(&model);
            toy_destroy(&t);
            desk_close(d);
        }
        free(first);
    }
}

static void test_seeds_change_the_model(void **state) {
    (void)state;
    desk *d = desk_open(0);
    toy t = variant_table(d, 0);
    ramify_train_options options = variant(0);
    double *y[3];
    for (uint64_t seed = 0; seed < 3; seed++) {
        options.seed = seed == 2 ? UINT64_MAX : seed;
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
        y[seed] = predictions(d, model, t.table);
        ramify_close(&model);
    }
    assert_memory_not_equal(y[0], y[1], t.rows * sizeof *y[0]);
    assert_memory_not_equal(y[0], y[2], t.rows * sizeof *y[0]);
    for (size_t i = 0; i < 3; i++)
        free(y[i]);
    toy_destroy(&t);
    desk_close(d);
}

/* Saved and opened in any way, a model predicts the same bits; the file is sound. */
static void test_file_predicts_what_memory_does(void **state) {
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        desk *d = desk_open(0);
        toy t = variant_table(d, v);
        ramify_train_options options = variant(v);
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
        ramify_model_info info, again;
        ramify_model_get_info(model, &info);
        assert_string_equal(info.kind, v == 3 ? "mlp" : "pathways");
        if (v == 2)
            assert_true(info.leaves > 3);
        assert_true(info.resident_bytes <= USUAL_BYTES);
        double *y = predictions(d, model, t.table);
        char *path = scratch_file();
        assert_int_equal(ramify_save(d->context, model, path), RAMIFY_OK);
        ramify_close(&model);
        const ramify_open_options ways[] = {
            {.access = RAMIFY_ACCESS_READ},
            {.access = RAMIFY_ACCESS_MMAP},
            {.access = RAMIFY_ACCESS_READ, .resident_bytes = USUAL_BYTES}};
        for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
            assert_int_equal(ramify_open(d->context, path, &ways[w], &model), RAMIFY_OK);
            ramify_model_get_info(model, &again);
            assert_int_equal(again.resident_bytes, info.resident_bytes);
            assert_int_equal(again.leaves, info.leaves);
            assert_int_equal(ramify_model_check(d->context, model), RAMIFY_OK);
            double *z = predictions(d, model, t.table);
            assert_memory_equal(y, z, t.rows * info.outputs * sizeof *y);
            free(z);
            ramify_close(&model);
        }
        free(y);
        scratch_remove(path);
        toy_destroy(&t);
        desk_close(d);
    }
}

static uint64_t trained_bytes(desk *d, const toy *t, ramify_train_options options) {
    ramify_model *model = train(d, t->table, &options, RAMIFY_OK, NULL);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_true(info.resident_bytes <= USUAL_BYTES);
    uint64_t bytes = info.resident_bytes;
    char *path = scratch_file();
    assert_int_equal(ramify_save(d->context, model, path), RAMIFY_OK);
    ramify_close(&model);
    /* What the file says can be had with so many bytes, can be had. */
    ramify_open_options open = {.access = RAMIFY_ACCESS_READ, .resident_bytes = bytes};
    ramify_status status = ramify_open(d->context, path, &open, &model);
    if (status != RAMIFY_OK)
        fail_msg("%s", ramify_message(d->context));
    double *y = predictions(d, model, t->table);
    free(y);
    ramify_close(&model);
    scratch_remove(path);
    return bytes;
}

/* The smallest size that a refusal names. */
static uint64_t named_least(desk *d, const toy *t, ramify_train_options options) {
    ramify_model *model = NULL;
    assert_int_equal(ramify_train(d->context, t->table, &options, NULL, &model, NULL),
                     RAMIFY_ERROR_LIMIT);
    assert_null(model);
    const char *found = strstr(ramify_message(d->context), "at least ");
    if (!found)
        fail_msg("\"%s\" names no size", ramify_message(d->context));
    return strtoull(found + strlen("at least "), NULL, 10);
}

static void test_resident_bound(void **state) {
    (void)state;
    static const uint64_t bounds[] = {8, 16, 32, 128};
    for (size_t v = 0; v < VARIANTS; v++) {
        desk *d = desk_open(0);
        toy t = variant_table(d, v);
        ramify_train_options options = variant(v);
        options.hidden = NULL;
        options.epochs = 2;
        options.child_epochs = 1;
        options.resident_bytes = 500;
        uint64_t least = named_least(d, &t, options), before = 0;
        assert_true(least > 500);
        for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
            options.resident_bytes = bounds[i] * 1024;
            if (options.resident_bytes < least) {
                assert_int_equal(named_least(d, &t, options), least);
                continue;
            }
            uint64_t bytes = trained_bytes(d, &t, options);
            assert_true(bytes > bounds[i] * 1024 / 3 || i == 3);
            assert_true(bytes >= before || i == 3);
            before = bytes;
        }
        options.resident_bytes = least;
        trained_bytes(d, &t, options);
        options.resident_bytes = least - 1;
        assert_int_equal(named_least(d, &t, options), least);
        /* Widths that the caller insists on do not shrink. */
        options.hidden = "256,256";
        options.resident_bytes = 64 * 1024;
        assert_true(named_least(d, &t, options) > 256 * 256 * 4);
        toy_destroy(&t);
        desk_close(d);
    }
}

/* Ends though far more epochs were asked for; if it did not, it would be stopped and fail. */
static void test_time_limit(void **state) {
    (void)state;
    desk *d = desk_open(0);
    toy t = variant_table(d, 0);
    ramify_train_options options = variant(0);
    options.epochs = options.child_epochs = 50000000;
    options.time_limit = 0.2;
    d->stop_at = 1000000;
    ramify_training *training = NULL;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, &training);
    assert_true(training->time_limit_struck);
    free(predictions(d, model, t.table));
    ramify_training_destroy(&training);
    ramify_close(&model);
    d->questions = 0;
    options.time_limit = 1e-9;
    model = train(d, t.table, &options, RAMIFY_OK, &training);
    assert_true(training->time_limit_struck);
    free(predictions(d, model, t.table));
    ramify_training_destroy(&training);
    ramify_close(&model);
    options = variant(0);
    options.time_limit = 1e6;
    model = train(d, t.table, &options, RAMIFY_OK, &training);
    assert_false(training->time_limit_struck);
    ramify_training_destroy(&training);
    ramify_close(&model);
    toy_destroy(&t);
    desk_close(d);
}

static void test_what_is_told(void **state) {
    (void)state;
    desk *d = desk_open(0);
    toy t = variant_table(d, 0), test = toy_create(d->context, 300, 4, waves, 0.05, 99);
    ramify_train_options options = variant(0);
    options.controls = true;
    ramify_model *model = NULL;
    ramify_training *training = NULL;
    assert_int_equal(ramify_train(d->context, t.table, &options, test.table, &model, &training),
                     RAMIFY_OK);
    assert_int_equal(training->rows, 900);
    assert_int_equal(training->train_rows, 720);
    assert_int_equal(training->select_rows, 90);
    assert_int_equal(training->report_rows, 90);
    assert_int_equal(training->skipped_rows, 0);
    assert_int_equal(training->score.rows, 90);
    assert_true(training->score.rmse > 0 && training->score.rmse < 1.5);
    assert_true(training->score.error_low < training->score.rmse &&
                training->score.error_high > training->score.rmse);
    assert_true(isnan(training->score.accuracy) && isnan(training->score.log_loss));

    static const char *const names[] = {"pathways", "one expert", "equal total",
                                        "random partition"};
    assert_int_equal(training->control_count, 4);
    for (uint32_t c = 0; c < 4; c++) {
        assert_string_equal(training->controls[c].name, names[c]);
        assert_int_equal(training->controls[c].score.rows, 300);
        assert_true(training->controls[c].score.rmse > 0);
        assert_true(training->controls[c].parameters >= training->controls[c].active_parameters);
    }
    ramify_score score, targets[1];
    assert_int_equal(ramify_evaluate(d->context, model, test.table, &score, targets), RAMIFY_OK);
    assert_true(score.rmse == training->controls[0].score.rmse);
    assert_true(targets[0].mae == score.mae);
    /* By hand. */
    double *y = predictions(d, model, test.table), squares = 0;
    for (size_t row = 0; row < 300; row++)
        squares += (y[row] - test.values[row * 5 + 4]) * (y[row] - test.values[row * 5 + 4]);
    assert_true(fabs(sqrt(squares / 300) - score.rmse) < 1e-9);
    free(y);
    ramify_training_destroy(&training);
    assert_null(training);
    ramify_training_destroy(&training);
    ramify_training_destroy(NULL);
    ramify_close(&model);
    toy_destroy(&t);
    toy_destroy(&test);
    desk_close(d);
}

static void test_cross_validation(void **state) {
    (void)state;
    desk *d = desk_open(0);
    for (size_t v = 0; v < 2; v++) {
        toy t = variant_table(d, v);
        ramify_train_options options = variant(v);
        ramify_score scores[4];
        assert_int_equal(ramify_cross_validate(d->context, t.table, &options, 4, scores),
                         RAMIFY_OK);
        uint64_t rows = 0;
        for (size_t f = 0; f < 4; f++) {
            rows += scores[f].rows;
            assert_true(v ? scores[f].accuracy > 0.4 : scores[f].rmse < 1.5);
        }
        assert_int_equal(rows, 900);
        options.time = "x4";
        assert_int_equal(ramify_cross_validate(d->context, t.table, &options, 3, scores),
                         RAMIFY_OK);
        /* Nothing comes before the first fold. */
        assert_true(isnan(scores[0].rmse) && isnan(scores[0].accuracy));
        assert_int_equal(scores[1].rows + scores[2].rows, 600);
        assert_int_equal(ramify_cross_validate(d->context, t.table, &options, 1, scores),
                         RAMIFY_ERROR_ARGUMENT);
        assert_int_equal(ramify_cross_validate(d->context, t.table, &options, 901, scores),
                         RAMIFY_ERROR_ARGUMENT);
        toy_destroy(&t);
    }
    desk_close(d);
}

/* The default bound is for experts: a Para-Former trained by default is not refused by it. */
static void test_default_bound(void **state) {
    (void)state;
    desk *d = desk_open(0);
    toy t = toy_create(d->context, 200, 2, sides, 0, 1);
    ramify_train_options options;
    ramify_train_options_init(&options);
    options.target = quick_options().target;
    options.kind = "paraformer";
    options.epochs = 1;
    ramify_model *model = NULL;
    assert_int_equal(ramify_train(d->context, t.table, &options, NULL, &model, NULL), RAMIFY_OK);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_true(info.resident_bytes > USUAL_BYTES);
    ramify_close(&model);
    options.resident_bytes = USUAL_BYTES;
    assert_int_equal(ramify_train(d->context, t.table, &options, NULL, &model, NULL),
                     RAMIFY_ERROR_LIMIT);
    assert_null(model);
    toy_destroy(&t);
    desk_close(d);
}

static void refuse(desk *d, const toy *t, ramify_train_options options, const char *message) {
    ramify_model *model = NULL;
    ramify_status status = ramify_train(d->context, t->table, &options, NULL, &model, NULL);
    assert_null(model);
    if (status != RAMIFY_ERROR_ARGUMENT || !strstr(ramify_message(d->context), message))
        fail_msg("expected \"%s\", found %s: \"%s\"", message, ramify_status_name(status),
                 ramify_message(d->context));
    assert_int_equal(ramify_train_options_check(d->context, &options), RAMIFY_ERROR_ARGUMENT);
}

#define REFUSE(assignment, message)                                                                \
    do {                                                                                           \
        options = quick_options();                                                                 \
        options.assignment;                                                                        \
        refuse(d, &t, options, message);                                                           \
    } while (0)

static void test_options_are_checked(void **state) {
    (void)state;
    desk *d = desk_open(0);
    toy t = toy_create(d->context, 50, 2, sides, 0, 1);
    ramify_train_options options = quick_options();
    assert_int_equal(ramify_train_options_check(d->context, &options), RAMIFY_OK);
    REFUSE(kind = "forest", "kind \"forest\" is not known");
    REFUSE(kind = NULL, "kind \"\" is not known");
    REFUSE(target = NULL, "no target column is named");
    REFUSE(target = "", "no target column is named");
    REFUSE(task = "ranking", "task \"ranking\" is not known");
    REFUSE(tree = "kd", "tree \"kd\" is not known");
    REFUSE(tree = NULL, "tree \"\" is not known");
    REFUSE(validation = 0, "validation is 0");
    REFUSE(validation = 1, "validation is 1");
    REFUSE(validation = (double)NAN, "validation is");
    REFUSE(time_limit = -1, "time limit is -1 seconds");
    REFUSE(time_limit = (double)NAN, "time limit is");
    REFUSE(hidden = "", "hidden widths \"\"");
    REFUSE(hidden = "64,", "hidden widths \"64,\"");
    REFUSE(hidden = "64,0", "hidden widths \"64,0\"");
    REFUSE(hidden = "64;32", "hidden widths \"64;32\"");
    REFUSE(hidden = "262145", "hidden widths \"262145\"");
    REFUSE(hidden = "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "hidden widths");
    REFUSE(activation = (ramify_activation)7, "activation 7 is not known");
    REFUSE(members = 65, "members is 65");
    REFUSE(arity = 1, "arity is 1");
    REFUSE(arity = 65, "arity is 65");
    REFUSE(rate = -0.1, "rate is -0.1");
    REFUSE(rate = 1.5, "rate is 1.5");
    REFUSE(rate = (double)NAN, "rate is");
    REFUSE(decay = (double)NAN, "decay is");
    REFUSE(decay = 11, "decay is 11");
    REFUSE(bins = (ramify_choice)3, "choice 3 is neither");
    toy_destroy(&t);
    desk_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_change_no_byte),
        cmocka_unit_test(test_seeds_change_the_model),
        cmocka_unit_test(test_file_predicts_what_memory_does),
        cmocka_unit_test(test_resident_bound),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_cross_validation),
        cmocka_unit_test(test_default_bound),
        cmocka_unit_test(test_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

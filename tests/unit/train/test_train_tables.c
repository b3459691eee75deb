/* Whole trainings on tables of every kind, the awkward ones above all. */

#include "public.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static desk *d;

static int open_desk(void **state) {
    (void)state;
    d = desk_open(2);
    return 0;
}

static int close_desk(void **state) {
    (void)state;
    desk_close(d);
    return 0;
}

static double smooth(const double *x) {
    return x[0] + x[1] * x[1];
}

static double flat(const double *x) {
    (void)x;
    return 42.5;
}

static ramify_score trained_score(const toy *t, const ramify_train_options *options) {
    ramify_training *training = NULL;
    ramify_model *model = train(d, t->table, options, RAMIFY_OK, &training);
    ramify_score score = training->score;
    free(predictions(d, model, t->table));
    ramify_training_destroy(&training);
    ramify_close(&model);
    return score;
}

static void test_several_targets(void **state) {
    (void)state;
    toy t = toy_create(d->context, 600, 3, smooth, 0, 1);
    double second[600], third[600];
    for (size_t row = 0; row < 600; row++) {
        second[row] = 1000 - 500 * t.values[row * 4];
        third[row] = 1e-3 * t.values[row * 4 + 1];
    }
    assert_int_equal(ramify_table_add_doubles(d->context, t.table, "b", second), RAMIFY_OK);
    assert_int_equal(ramify_table_add_doubles(d->context, t.table, "c", third), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.target = "c,y,b";
    options.epochs = 40;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_int_equal(info.targets, 3);
    assert_int_equal(info.columns, 3);
    assert_string_equal(ramify_model_target(model, 0), "c");
    assert_string_equal(ramify_model_target(model, 2), "b");
    ramify_score score, targets[3];
    assert_int_equal(ramify_evaluate(d->context, model, t.table, &score, targets), RAMIFY_OK);
    for (size_t i = 0; i < 3; i++)
        assert_true(targets[i].r2 > 0.9);
    assert_true(targets[0].rmse < 1e-3 && targets[2].rmse > 1e-2);
    double mean = sqrt((targets[0].rmse * targets[0].rmse + targets[1].rmse * targets[1].rmse +
                        targets[2].rmse * targets[2].rmse) /
                       3);
    assert_true(fabs(score.rmse - mean) < 1e-9 * mean);
    ramify_close(&model);
    toy_destroy(&t);
}

static void test_classes_of_texts(void **state) {
    (void)state;
    static const char *const names[] = {"oak", "ash", "elm"};
    const char *tree[600];
    toy t = toy_create(d->context, 600, 2, smooth, 0, 1);
    for (size_t row = 0; row < 600; row++)
        tree[row] = names[t.values[row * 3] < -0.3 ? 0 : t.values[row * 3 + 1] < 0 ? 1 : 2];
    assert_int_equal(ramify_table_add_texts(d->context, t.table, "tree", tree), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.target = "tree";
    options.drop = "y";
    options.epochs = 40;
    ramify_training *training = NULL;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, &training);
    assert_true(training->score.accuracy > 0.85 && training->score.log_loss < 0.5);
    assert_true(isnan(training->score.rmse) && isnan(training->score.r2));
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_int_equal(info.task, RAMIFY_TASK_CLASSIFICATION);
    assert_int_equal(info.classes, 3);
    assert_int_equal(info.outputs, 3);
    double *p = predictions(d, model, t.table);
    size_t right = 0;
    for (size_t row = 0; row < 600; row++) {
        size_t best = 0;
        for (size_t c = 1; c < 3; c++)
            best = p[3 * row + c] > p[3 * row + best] ? c : best;
        assert_true(fabs(p[3 * row] + p[3 * row + 1] + p[3 * row + 2] - 1) < 1e-5);
        right += strcmp(ramify_model_class(model, (uint32_t)best), tree[row]) == 0;
    }
    assert_true(right > 510);
    free(p);
    ramify_training_destroy(&training);
    ramify_close(&model);
    toy_destroy(&t);
}

/* Weights say which of two contradicting halves is believed; the weight is no input. */
static void test_weight_column(void **state) {
    (void)state;
    toy t = toy_create(d->context, 600, 2, smooth, 0, 1);
    double weight[600];
    for (size_t row = 0; row < 600; row++) {
        weight[row] = row % 2 ? 1e-6 : 5;
        if (row % 2)
            t.values[row * 3 + 2] += 10;
    }
    assert_int_equal(ramify_table_add_doubles(d->context, t.table, "w", weight), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.weight = "w";
    options.epochs = 40;
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_int_equal(info.columns, 2);
    double *y = predictions(d, model, t.table), squares = 0;
    for (size_t row = 0; row < 600; row += 2)
        squares += pow(y[row] - t.values[row * 3 + 2], 2);
    assert_true(sqrt(squares / 300) < 1);
    free(y);
    ramify_close(&model);
    toy_destroy(&t);

    static const double bad[] = {-1, (double)NAN};
    for (size_t i = 0; i < 2; i++) {
        t = toy_create(d->context, 100, 2, smooth, 0, 1);
        for (size_t row = 0; row < 100; row++)
            weight[row] = row == 76 ? bad[i] : 1;
        assert_int_equal(ramify_table_add_doubles(d->context, t.table, "w", weight), RAMIFY_OK);
        train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
        assert_non_null(strstr(ramify_message(d->context), "the weight of row 77"));
        toy_destroy(&t);
    }
}

/* Rows of weight 0 alone leave nothing to prefer, and do no harm. */
static void test_weights_of_zero(void **state) {
    (void)state;
    toy t = toy_create(d->context, 300, 2, smooth, 0, 1);
    double weight[300] = {0};
    assert_int_equal(ramify_table_add_doubles(d->context, t.table, "w", weight), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.weight = "w";
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    toy_destroy(&t);
}

/* Twenty copies of each row: who sees a copy in training knows the answer. */
static void test_groups_do_not_leak(void **state) {
    (void)state;
    enum { ROWS = 1200 };
    toy t = toy_create(d->context, ROWS, 2, flat, 1, 1);
    double group[ROWS];
    for (size_t row = 0; row < ROWS; row++) {
        size_t first = row % (ROWS / 20);
        memcpy(t.values + row * 3, t.values + first * 3, 3 * sizeof *t.values);
        group[row] = (double)first;
    }
    assert_int_equal(ramify_table_add_doubles(d->context, t.table, "g", group), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.epochs = 150;
    options.hidden = "64,64";
    options.members = 1;
    options.bins = options.periodic = RAMIFY_CHOICE_OFF;
    options.decay = 0;
    options.leaves = 1;
    options.drop = "g";
    double leaking = trained_score(&t, &options).r2;
    options.drop = NULL;
    options.group = "g";
    double honest = trained_score(&t, &options).r2;
    assert_true(leaking > 0.7);
    assert_true(honest < 0.3);
    toy_destroy(&t);
}

/* The last rows in time are unlike all before: only a split by time notices. */
static void test_time_holds_out_the_latest(void **state) {
    (void)state;
    toy t = toy_create(d->context, 500, 2, smooth, 0, 1);
    double time[500];
    for (size_t row = 0; row < 500; row++) {
        time[row] = (double)((row * 7) % 500);
        if (time[row] >= 450)
            t.values[row * 3 + 2] += 10;
    }
    assert_int_equal(ramify_table_add_doubles(d->context, t.table, "when", time), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.time = "when";
    assert_true(trained_score(&t, &options).rmse > 8);
    options.time = NULL;
    options.drop = "when";
    assert_true(trained_score(&t, &options).rmse < 6);
    toy_destroy(&t);
}

static void test_missing_values(void **state) {
    (void)state;
    toy t = toy_create(d->context, 800, 3, smooth, 0, 1);
    static const char *const words[] = {"a", "b", NULL};
    const char *word[800];
    for (size_t row = 0; row < 800; row++) {
        double *x = t.values + row * 4;
        word[row] = words[row % 3];
        if (row % 5 == 0) {
            x[2] = (double)NAN; /* means something */
            x[3] += 5;
        }
        if (row % 11 == 0)
            x[3] = (double)NAN;
    }
    assert_int_equal(ramify_table_add_texts(d->context, t.table, "word", word), RAMIFY_OK);
    ramify_train_options options = quick_options();
    options.epochs = 40;
    for (int bins = 0; bins < 2; bins++) {
        options.bins = bins ? RAMIFY_CHOICE_ON : RAMIFY_CHOICE_OFF;
        ramify_training *training = NULL;
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, &training);
        assert_int_equal(training->skipped_rows, 73);
        assert_int_equal(training->train_rows + training->select_rows + training->report_rows, 727);
        assert_true(training->score.r2 > 0.8);
        ramify_training_destroy(&training);
        ramify_close(&model);
    }
    /* No target at all. */
    for (size_t row = 0; row < 800; row++)
        t.values[row * 4 + 3] = (double)NAN;
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    toy_destroy(&t);
}

static void test_constant_target(void **state) {
    (void)state;
    toy t = toy_create(d->context, 300, 2, flat, 0, 1);
    ramify_train_options options = quick_options();
    options.epochs = 1000000; /* which nobody needs */
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    double *y = predictions(d, model, t.table);
    for (size_t row = 0; row < 300; row++)
        assert_true(y[row] == 42.5);
    free(y);
    ramify_close(&model);
    toy_destroy(&t);
}

static void test_constant_and_equal_columns(void **state) {
    (void)state;
    toy t = toy_create(d->context, 500, 5, smooth, 0, 1);
    for (size_t row = 0; row < 500; row++) {
        double *x = t.values + row * 6;
        x[2] = -7;
        x[3] = x[0];
        x[4] = 0;
    }
    ramify_train_options options = quick_options();
    options.epochs = 40;
    assert_true(trained_score(&t, &options).r2 > 0.9);
    toy_destroy(&t);
}

static void test_one_class(void **state) {
    (void)state;
    toy t = toy_create(d->context, 100, 2, flat, 0, 1);
    ramify_train_options options = quick_options();
    options.task = "classification";
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    assert_non_null(strstr(ramify_message(d->context), "y"));
    toy_destroy(&t);
}

static void test_tiny_tables(void **state) {
    (void)state;
    static const size_t rows[] = {3, 5, 20, 50};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        toy t = toy_create(d->context, rows[i], 2, smooth, 0, 1);
        ramify_train_options options = quick_options();
        ramify_score score = trained_score(&t, &options);
        assert_true(score.rows >= 1 && isfinite(score.rmse));
        options.smallest_node = 2;
        options.split_test = RAMIFY_CHOICE_OFF;
        trained_score(&t, &options);
        for (size_t row = 0; row < rows[i]; row++)
            t.values[row * 3 + 2] = (double)(row % 2);
        options.task = "classification";
        if (rows[i] > 3) /* else a class of one row would not train */
            trained_score(&t, &options);
        toy_destroy(&t);
    }
    for (size_t few = 1; few < 3; few++) {
        toy t = toy_create(d->context, few, 2, smooth, 0, 1);
        ramify_train_options options = quick_options();
        train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
        toy_destroy(&t);
    }
}

static void test_wide_table(void **state) {
    (void)state;
    toy t = toy_create(d->context, 100, 300, smooth, 0, 1);
    ramify_train_options options = quick_options();
    options.resident_bytes = 0;
    assert_true(isfinite(trained_score(&t, &options).rmse));
    options.resident_bytes = 512 * 1024;
    assert_true(isfinite(trained_score(&t, &options).rmse));
    toy_destroy(&t);
}

/* Inputs and targets of any size are learned as well as small ones. */
static void test_values_of_any_size(void **state) {
    (void)state;
    static const double scales[] = {1e-300, 1e-20, 1e139, 1e300};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
        for (int of_target = 0; of_target < (scales[i] > 1e140 ? 1 : 2); of_target++) {
            toy t = toy_create(d->context, 400, 2, smooth, 0, 1);
            for (size_t k = 0; k < 400 * 3; k++)
                if ((k % 3 == 2) == of_target)
                    t.values[k] *= scales[i];
            ramify_train_options options = quick_options();
            options.epochs = 40;
            ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
            double *y = predictions(d, model, t.table), worst = 0;
            double unit = of_target ? scales[i] : 1;
            for (size_t row = 0; row < 400; row++) {
                double apart = fabs(y[row] / unit - t.values[row * 3 + 2] / unit);
                worst = apart > worst ? apart : worst;
            }
            if (!(worst < 0.6))
                fail_msg("scale %g of %s: largest error %g", scales[i],
                         of_target ? "the target" : "inputs", worst);
            free(y);
            ramify_close(&model);
            toy_destroy(&t);
        }
}

/* A spread far below the value, and one value far beyond the others. */
static void test_tiny_spreads_and_outliers(void **state) {
    (void)state;
    toy t = toy_create(d->context, 400, 2, smooth, 0, 1);
    for (size_t row = 0; row < 400; row++) {
        t.values[row * 3] = 1e6 + 1e-4 * t.values[row * 3];
        t.values[row * 3 + 2] = 1e6 + 1e-3 * t.values[row * 3 + 2];
    }
    ramify_train_options options = quick_options();
    options.epochs = 40;
    assert_true(trained_score(&t, &options).rmse < 5e-4);
    t.values[3 * 5] = 1e300;
    t.values[3 * 6 + 1] = -1.7e308;
    t.values[3 * 7 + 1] = 1.7e308;
    trained_score(&t, &options);
    t.values[3 * 8 + 2] = -1e140;
    t.values[3 * 9 + 2] = 1e140;
    assert_true(isfinite(trained_score(&t, &options).rmse));
    t.values[3 * 9 + 2] = 1e141;
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    assert_non_null(strstr(ramify_message(d->context), "row 10: 1e+141 is beyond 1e+140"));
    toy_destroy(&t);
}

/* A rate at which weights run away gives a bad model, and no broken one. */
static void test_runaway_rate(void **state) {
    (void)state;
    toy t = toy_create(d->context, 400, 2, smooth, 0.1, 1);
    ramify_train_options options = quick_options();
    options.rate = 1;
    options.hidden = "64,64,64,64,64,64";
    options.epochs = 30;
    trained_score(&t, &options);
    options.task = "classification";
    for (size_t row = 0; row < 400; row++)
        t.values[row * 3 + 2] = t.values[row * 3 + 2] > 0.3;
    trained_score(&t, &options);
    toy_destroy(&t);
}

static void test_unknown_columns(void **state) {
    (void)state;
    toy t = toy_create(d->context, 100, 2, smooth, 0, 1);
    ramify_train_options options = quick_options();
    options.target = "z";
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    assert_non_null(strstr(ramify_message(d->context), "\"z\""));
    options = quick_options();
    options.group = "z";
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    options = quick_options();
    options.weight = "y";
    train(d, t.table, &options, RAMIFY_ERROR_ARGUMENT, NULL);
    options = quick_options();
    options.drop = "x1,x2";
    train(d, t.table, &options, RAMIFY_ERROR_DATA, NULL);
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_targets),
        cmocka_unit_test(test_classes_of_texts),
        cmocka_unit_test(test_weight_column),
        cmocka_unit_test(test_weights_of_zero),
        cmocka_unit_test(test_groups_do_not_leak),
        cmocka_unit_test(test_time_holds_out_the_latest),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_constant_target),
        cmocka_unit_test(test_constant_and_equal_columns),
        cmocka_unit_test(test_one_class),
        cmocka_unit_test(test_tiny_tables),
        cmocka_unit_test(test_wide_table),
        cmocka_unit_test(test_values_of_any_size),
        cmocka_unit_test(test_tiny_spreads_and_outliers),
        cmocka_unit_test(test_runaway_rate),
        cmocka_unit_test(test_unknown_columns),
    };
    return cmocka_run_group_tests(tests, open_desk, close_desk);
}

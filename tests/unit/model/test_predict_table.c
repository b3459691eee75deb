/* Whole tables: any order of columns, blocks on threads, what is warned of. */

#include "memory.h"
#include "random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTSIDE 20
#define ROWS    5000

typedef struct messages {
    char text[4096];
} messages;

static void keep_message(void *user, ramify_log_level level, const char *message) {
    messages *kept = user;
    if (level == RAMIFY_LOG_WARNING && strlen(kept->text) + strlen(message) + 2 < sizeof kept->text)
        strcat(strcat(kept->text, message), "\n");
}

static void test_table(void **state) {
    (void)state;
    static messages kept;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        kept = (messages){{0}};
        ramify_context_options context_options;
        ramify_context_options_init(&context_options);
        context_options.threads = threads;
        context_options.log = keep_message;
        context_options.user = &kept;
        ramify_context *context = NULL;
        assert_int_equal(ramify_context_create(&context_options, &context), RAMIFY_OK);
        random_model_options options = random_model_defaults();
        options.categorical = 0;
        options.numeric = 3;
        options.outputs = 2;
        random_model *twin = random_model_create(context, &options);
        ramify_model *model = random_model_open(twin);

        /* Columns reversed, and one too many. */
        double *values = malloc(ROWS * 4 * sizeof *values);
        double *rows = malloc(ROWS * 3 * sizeof *rows);
        for (size_t row = 0; row < ROWS; row++) {
            random_model_row(twin, rows + row * 3);
            for (size_t c = 0; c < 3; c++) {
                if (isinf(rows[row * 3 + c]))
                    rows[row * 3 + c] = 0.25;
                else if (fabs(rows[row * 3 + c]) > 3.0)
                    rows[row * 3 + c] = 2.0;
                values[row * 4 + 2 - c] = rows[row * 3 + c];
            }
            values[row * 4 + 3] = 1.0;
        }
        for (size_t row = 0; row < OUTSIDE; row++)
            values[4 * row] = rows[3 * row + 2] = row % 2 ? 3.51 : -99.0;
        static const char *const names[] = {"column 2", "column 1", "column 0", "surplus"};
        ramify_table *table = NULL;
        assert_int_equal(ramify_table_from_doubles(context, values, ROWS, 4, 4, names, &table),
                         RAMIFY_OK);
        double *y = malloc(ROWS * 2 * sizeof *y), *expected = malloc(ROWS * 2 * sizeof *y);
        if (ramify_predict_table(context, model, table, y) != RAMIFY_OK)
            fail_msg("%s", ramify_message(context));
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(context, model, 1, &predictor), RAMIFY_OK);
        assert_int_equal(ramify_predict_double(predictor, ROWS, rows, 3, expected, 2), RAMIFY_OK);
        assert_memory_equal(y, expected, ROWS * 2 * sizeof *y);
        assert_non_null(strstr(
            kept.text, ": 20 values lie outside the range of the training rows, 20 of them in "
                       "column \"column 2\""));
        assert_non_null(strstr(kept.text, "surplus"));

        ramify_predictor_destroy(&predictor);
        ramify_table_destroy(&table);
        ramify_close(&model);
        random_model_destroy(twin);
        ramify_context_destroy(&context);
        free(values);
        free(rows);
        free(y);
        free(expected);
    }
}

/* Under a bound that only a part of the experts fits, each is read once for the whole table,
 * whatever the order of the rows and the number of threads. */
static void test_experts_are_read_once(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        ramify_context_options context_options;
        ramify_context_options_init(&context_options);
        context_options.threads = threads;
        ramify_context *context = NULL;
        assert_int_equal(ramify_context_create(&context_options, &context), RAMIFY_OK);
        random_model_options options = random_model_defaults();
        options.numeric = 3;
        options.categorical = 0;
        options.outputs = 2;
        options.levels = 5;
        options.arity = 4;
        options.hidden[0] = options.hidden[1] = 40;
        random_model *twin = random_model_create(context, &options);
        ramify_model *whole = random_model_open(twin);
        ramify_model_info info;
        ramify_model_get_info(whole, &info);
        char path[] = "/tmp/ramify-test-XXXXXX";
        close(mkstemp(path));
        assert_int_equal(ramify_save(context, whole, path), RAMIFY_OK);

        double *values = malloc(ROWS * 3 * sizeof *values);
        for (size_t row = 0; row < ROWS; row++)
            random_model_row(twin, values + row * 3);
        for (size_t i = 0; i < ROWS * 3; i++)
            values[i] = isinf(values[i]) ? 0.25 : values[i];
        ramify_table *table = NULL;
        assert_int_equal(ramify_table_from_doubles(context, values, ROWS, 3, 3, NULL, &table),
                         RAMIFY_OK);
        double *expected = malloc(ROWS * 2 * sizeof *expected), *y = malloc(ROWS * 2 * sizeof *y);
        assert_int_equal(ramify_predict_table(context, whole, table, expected), RAMIFY_OK);

        uint64_t experts = info.modules * info.module_bytes;
        ramify_open_options open_options = {.access = RAMIFY_ACCESS_READ,
                                            .resident_bytes = info.resident_bytes + experts / 8,
                                            .predictors = threads > 2 ? 2 : threads};
        ramify_model *model = NULL;
        assert_int_equal(ramify_open(context, path, &open_options, &model), RAMIFY_OK);
        assert_true(model->experts.cache.slot_count < info.modules / 8);
        assert_true(model->nodes.cache.slot_count == model->limits.nodes);
        assert_int_equal(ramify_predict_table(context, model, table, y), RAMIFY_OK);
        assert_memory_equal(y, expected, ROWS * 2 * sizeof *y);
        ramify_residency residency;
        ramify_model_get_residency(model, &residency);
        assert_true(residency.misses <= model->limits.nodes + info.modules);
        assert_true(residency.peak_bytes <= open_options.resident_bytes);

        /* Row by row they are read again and again: the order is what saves it. */
        ramify_predictor *predictor = NULL;
        uint64_t before = residency.misses;
        assert_int_equal(ramify_predictor_create(context, model, 1, &predictor), RAMIFY_OK);
        assert_int_equal(ramify_predict_double(predictor, ROWS, values, 3, y, 2), RAMIFY_OK);
        assert_memory_equal(y, expected, ROWS * 2 * sizeof *y);
        ramify_model_get_residency(model, &residency);
        assert_true(residency.misses - before > 2 * before);

        ramify_predictor_destroy(&predictor);
        ramify_table_destroy(&table);
        ramify_close(&model);
        ramify_close(&whole);
        random_model_destroy(twin);
        ramify_context_destroy(&context);
        unlink(path);
        free(values);
        free(expected);
        free(y);
    }
}

static bool after_some(void *user) {
    return ++*(int *)user > 3;
}

/* A table of many blocks is not predicted to its end when a stop is asked for. */
static void test_cancelled(void **state) {
    (void)state;
    int questions = 0;
    ramify_context_options context_options;
    ramify_context_options_init(&context_options);
    context_options.threads = 1;
    context_options.cancel = after_some;
    context_options.user = &questions;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&context_options, &context), RAMIFY_OK);
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(context, &options);
    ramify_model *model = random_model_open(twin);
    uint32_t columns = options.numeric + options.categorical;
    size_t rows = 20 * ROWS;
    double *values = calloc(rows * columns, sizeof *values);
    double *y = malloc(rows * options.outputs * sizeof *y);
    ramify_table *table = NULL;
    questions = 0;
    assert_int_equal(
        ramify_table_from_doubles(context, values, rows, columns, columns, NULL, &table),
        RAMIFY_OK);
    questions = 0;
    assert_int_equal(ramify_predict_table(context, model, table, y), RAMIFY_STOPPED);
    assert_int_equal(questions, 4);
    ramify_table_destroy(&table);
    ramify_close(&model);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
    free(values);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_experts_are_read_once),
                                       cmocka_unit_test(test_cancelled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

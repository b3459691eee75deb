/* Permutation importance: against tables that are permuted by hand, and against what is known of
 * linear functions. */

#include "counting.h"
#include "ramify.h"
#include "random_model.h"
#include "score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COLUMNS 4
#define SEED    17

static ramify_context *open_context(uint32_t threads) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = threads;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    return context;
}

/* A model, raw rows and their targets, as they are or with one column dealt out anew. */
typedef struct world {
    ramify_context *context;
    random_model *twin;
    ramify_model *model;
    size_t rows;
    uint32_t columns, targets;
    bool classes;
    double *x;       /* rows x columns */
    double *y;       /* rows x targets, NaN where missing */
    char **class_of; /* rows; NULL where missing */
} world;

static void make_targets(world *w, const random_model_options *options, double noise) {
    double *told = calloc(w->rows * options->outputs, sizeof *told);
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_SPLIT, 0, 0);
    for (size_t r = 0; r < w->rows; r++)
        random_model_predict(w->twin, w->x + r * w->columns, told + r * options->outputs);
    for (size_t r = 0; r < w->rows; r++) {
        for (uint32_t t = 0; t < w->targets && !w->classes; t++)
            w->y[r * w->targets + t] = r % 11 == 5 ? (double)NAN
                                                   : told[r * options->outputs + t] +
                                                         noise * ramify_random_normal(&random);
        if (w->classes && r % 11 != 5)
            w->class_of[r] = w->twin->schema.classes[ramify_random_below(&random, w->targets)];
    }
    free(told);
}

static world make_world(ramify_context *context, const random_model_options *options, size_t rows,
                        double noise) {
    world w = {.context = context,
               .rows = rows,
               .columns = options->numeric + options->categorical,
               .targets = options->outputs,
               .classes = options->task == RAMIFY_TASK_CLASSIFICATION};
    w.twin = random_model_create(context, options);
    w.model = random_model_open(w.twin);
    w.x = calloc(rows * w.columns, sizeof *w.x);
    w.y = calloc(rows * w.targets, sizeof *w.y);
    w.class_of = calloc(rows, sizeof *w.class_of);
    for (size_t r = 0; r < rows; r++) {
        double *x = w.x + r * w.columns;
        random_model_row(w.twin, x);
        for (uint32_t c = 0; c < w.columns; c++) /* tables hold finite numbers */
            x[c] = isinf(x[c]) ? 99 : x[c];
    }
    make_targets(&w, options, noise);
    return w;
}

static void close_world(world *w) {
    ramify_close(&w->model);
    random_model_destroy(w->twin);
    free(w->x);
    free(w->y);
    free(w->class_of);
}

/* The table whose column `column` takes its cells from the rows `order`; NULL: as it is. */
static ramify_table *make_table(const world *w, uint32_t column, const uint32_t *order) {
    const ramify_schema *schema = &w->twin->schema;
    ramify_table *table = NULL;
    double *values = calloc(w->rows, sizeof *values);
    const char **texts = calloc(w->rows, sizeof *texts);
    for (uint32_t c = 0; c < w->columns; c++) {
        const ramify_schema_column *about = &schema->columns[c];
        for (size_t r = 0; r < w->rows; r++) {
            double cell = w->x[(order && c == column ? order[r] : r) * w->columns + c];
            values[r] = cell;
            texts[r] = cell >= 0 && cell < about->category_count ? about->categories[(int)cell]
                       : isnan(cell)                             ? NULL
                                                                 : "never seen";
        }
        /* A table starts from numbers: a first column that nobody asks for. */
        if (!table) {
            const char *surplus = "surplus";
            assert_int_equal(
                ramify_table_from_doubles(w->context, w->x, w->rows, 1, 1, &surplus, &table),
                RAMIFY_OK);
        }
        if (about->categorical)
            assert_int_equal(ramify_table_add_texts(w->context, table, about->name, texts),
                             RAMIFY_OK);
        else
            assert_int_equal(ramify_table_add_doubles(w->context, table, about->name, values),
                             RAMIFY_OK);
    }
    for (uint32_t t = 0; t < schema->target_count; t++) {
        for (size_t r = 0; r < w->rows; r++)
            values[r] = w->y[r * w->targets + t];
        if (w->classes)
            assert_int_equal(ramify_table_add_texts(w->context, table, schema->targets[t],
                                                    (const char *const *)w->class_of),
                             RAMIFY_OK);
        else
            assert_int_equal(
                ramify_table_add_doubles(w->context, table, schema->targets[t], values), RAMIFY_OK);
    }
    free(values);
    free(texts);
    return table;
}

static ramify_score evaluate(const world *w, uint32_t column, const uint32_t *order,
                             ramify_score *targets) {
    ramify_table *table = make_table(w, column, order);
    ramify_score score;
    if (ramify_evaluate(w->context, w->model, table, &score, targets) != RAMIFY_OK)
        fail_msg("%s", ramify_message(w->context));
    ramify_table_destroy(&table);
    return score;
}

/* order[rows]: the permutation of repeat `repeat`, of the rows that have targets. */
static void deal(const world *w, uint32_t column, uint32_t repeat, uint32_t *order) {
    uint32_t *kept = calloc(w->rows, sizeof *kept), *dealt = calloc(w->rows, sizeof *dealt);
    size_t count = 0;
    for (uint32_t r = 0; r < w->rows; r++) {
        order[r] = r;
        if (r % 11 != 5)
            kept[count++] = r;
    }
    memcpy(dealt, kept, count * sizeof *kept);
    ramify_random random = ramify_random_stream(SEED, RAMIFY_PURPOSE_IMPORTANCE, column, repeat);
    ramify_random_shuffle(&random, dealt, count);
    for (size_t i = 0; i < count; i++)
        order[kept[i]] = dealt[i];
    free(kept);
    free(dealt);
}

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) <= 1e-12 * (1 + fabs(expected))))
        fail_msg("%.17g, expected %.17g", value, expected);
}

#define REPEATS     3
#define TARGETS_MAX 16

/* How much each repeat loses by each of four losses. */
typedef struct losses {
    double all[REPEATS], accuracy[REPEATS], target[TARGETS_MAX][REPEATS];
} losses;

static void assert_mean_and_sd(const double *values, double mean, double sd) {
    double sum = 0, squares = 0;
    for (int i = 0; i < REPEATS; i++)
        sum += values[i];
    assert_near(mean, sum / REPEATS);
    for (int i = 0; i < REPEATS; i++)
        squares += (values[i] - sum / REPEATS) * (values[i] - sum / REPEATS);
    assert_near(sd, sqrt(squares / (REPEATS - 1)));
}

/* Every column of a model is as important as evaluating a table permuted by hand says. */
static void compare_with_tables(const world *w) {
    ramify_score before_targets[TARGETS_MAX], after_targets[TARGETS_MAX], told;
    ramify_score before = evaluate(w, 0, NULL, before_targets);
    uint32_t target_count = w->twin->schema.target_count;
    ramify_column_importance *importance = calloc(w->columns, sizeof *importance);
    ramify_column_importance *targets =
        calloc((size_t)w->columns * target_count, sizeof *importance);
    ramify_table *table = make_table(w, 0, NULL);
    ramify_importance_options options = {REPEATS, SEED};
    if (ramify_importance(w->context, w->model, table, &options, &told, importance, targets) !=
        RAMIFY_OK)
        fail_msg("%s", ramify_message(w->context));
    assert_int_equal(told.rows, before.rows);
    uint32_t *order = calloc(w->rows, sizeof *order);
    for (uint32_t c = 0; c < w->columns; c++) {
        losses lost;
        for (uint32_t r = 0; r < REPEATS; r++) {
            deal(w, c, r, order);
            ramify_score after = evaluate(w, c, order, after_targets);
            lost.all[r] = w->classes ? after.log_loss - before.log_loss : after.rmse - before.rmse;
            lost.accuracy[r] = before.accuracy - after.accuracy;
            for (uint32_t t = 0; t < target_count; t++)
                lost.target[t][r] = after_targets[t].rmse - before_targets[t].rmse;
        }
        assert_mean_and_sd(lost.all, importance[c].increase, importance[c].sd);
        if (w->classes)
            assert_mean_and_sd(lost.accuracy, importance[c].accuracy_drop,
                               importance[c].accuracy_sd);
        else
            assert_true(isnan(importance[c].accuracy_drop) && isnan(importance[c].accuracy_sd));
        for (uint32_t t = 0; t < target_count && !w->classes; t++)
            assert_mean_and_sd(lost.target[t], targets[c * target_count + t].increase,
                               targets[c * target_count + t].sd);
    }
    if (w->classes) {
        assert_near(told.log_loss, before.log_loss);
        assert_near(told.accuracy, before.accuracy);
        assert_true(isnan(told.rmse));
    } else {
        assert_near(told.rmse, before.rmse);
        assert_true(isnan(told.accuracy));
    }
    free(order);
    free(importance);
    free(targets);
    ramify_table_destroy(&table);
}

static void test_against_permuted_tables(void **state) {
    (void)state;
    ramify_context *context = open_context(2);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        random_model_options options = random_model_any(seed);
        world w = make_world(context, &options, 50 + 97 * seed, 0.5);
        compare_with_tables(&w);
        close_world(&w);
    }
    ramify_context_destroy(&context);
}

/* A linear model y = sum of weight[c] x[c] of COLUMNS columns, and rows that follow it but for
 * noise. */
static world linear_world(ramify_context *context, const double *weight, size_t rows,
                          double noise) {
    random_model_options options = random_model_defaults();
    options.numeric = COLUMNS;
    options.categorical = 0;
    options.hidden[0] = 0;
    options.levels = 0;
    world w = make_world(context, &options, rows, 0);
    ramify_close(&w.model);
    ramify_mlp_layer layer;
    ramify_mlp_layout(&w.twin->draft.shape.mlp, &layer);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        w.twin->center[c] = 0;
        w.twin->scale[c] = 1;
        w.twin->modules[0][layer.weight + c] = (float)weight[c];
    }
    w.twin->modules[0][layer.bias] = 0;
    w.twin->head_center[0] = 0;
    w.twin->head_scale[0] = 1;
    w.model = random_model_open(w.twin);
    ramify_random random = ramify_random_stream(5, RAMIFY_PURPOSE_SPLIT, 1, 0);
    for (size_t r = 0; r < rows; r++) {
        w.y[r] = noise * ramify_random_normal(&random);
        for (uint32_t c = 0; c < COLUMNS; c++) {
            w.x[r * COLUMNS + c] = 2 * ramify_random_uniform(&random) - 1;
            w.y[r] += weight[c] * w.x[r * COLUMNS + c];
        }
    }
    return w;
}

/* Dealing out a column of variance v anew adds 2 weight^2 v to the mean square; 1/3 is the variance
 * of uniform numbers on -1 .. 1. */
static void test_linear_function(void **state) {
    (void)state;
    static const double weight[COLUMNS] = {1.5, 0, -0.5, 0.1};
    ramify_context *context = open_context(2);
    for (int noisy = 0; noisy < 2; noisy++) {
        double noise = noisy ? 0.3 : 0;
        world w = linear_world(context, weight, 40000, noise);
        ramify_table *table = make_table(&w, 0, NULL);
        ramify_column_importance importance[COLUMNS];
        ramify_score score;
        assert_int_equal(ramify_importance(context, w.model, table, NULL, &score, importance, NULL),
                         RAMIFY_OK);
        assert_int_equal(score.rows, w.rows);
        assert_true(fabs(score.rmse - noise) < 0.005);
        for (uint32_t c = 0; c < COLUMNS; c++) {
            double expected = sqrt(noise * noise + 2 * weight[c] * weight[c] / 3) - noise;
            /* By the noise of 40,000 rows a mean moves by a few times 1/200. */
            double slack = 0.02 * expected + (noisy ? 0.01 * fabs(weight[c]) : 0);
            if (!(fabs(importance[c].increase - expected) <= slack))
                fail_msg("column %u: %g, expected %g", c, importance[c].increase, expected);
            assert_true(importance[c].sd <= slack);
        }
        /* What the model does not read changes no bit. */
        assert_true(importance[1].increase == 0 && importance[1].sd == 0);
        ramify_table_destroy(&table);
        close_world(&w);
    }
    ramify_context_destroy(&context);
}

static void test_seed_and_repeats(void **state) {
    (void)state;
    static const double weight[COLUMNS] = {1, 2, 3, 4};
    ramify_context *context = open_context(2);
    world w = linear_world(context, weight, 3000, 0.1);
    ramify_table *table = make_table(&w, 0, NULL);
    ramify_column_importance first[COLUMNS], again[COLUMNS], other[COLUMNS];
    ramify_importance_options options;
    ramify_importance_options_init(&options);
    assert_int_equal(options.repeats, 5);
    assert_int_equal(ramify_importance(context, w.model, table, &options, NULL, first, NULL),
                     RAMIFY_OK);
    assert_int_equal(ramify_importance(context, w.model, table, NULL, NULL, again, NULL),
                     RAMIFY_OK);
    assert_memory_equal(first, again, sizeof first);
    options.seed = 1;
    assert_int_equal(ramify_importance(context, w.model, table, &options, NULL, other, NULL),
                     RAMIFY_OK);
    for (uint32_t c = 0; c < COLUMNS; c++)
        assert_true(first[c].increase != other[c].increase && first[c].sd > 0);
    options.repeats = 1;
    assert_int_equal(ramify_importance(context, w.model, table, &options, NULL, other, NULL),
                     RAMIFY_OK);
    assert_true(isnan(other[0].sd) && other[0].increase > 0.5);
    options.repeats = 0;
    assert_int_equal(ramify_importance(context, w.model, table, &options, NULL, other, NULL),
                     RAMIFY_ERROR_ARGUMENT);
    assert_non_null(strstr(ramify_message(context), "repeats"));
    assert_int_equal(ramify_importance(context, NULL, table, NULL, NULL, other, NULL),
                     RAMIFY_ERROR_ARGUMENT);
    ramify_table_destroy(&table);
    close_world(&w);
    ramify_context_destroy(&context);
}

/* Threads and a bound on memory change no bit. */
static void test_threads_and_bound(void **state) {
    (void)state;
    char path[] = "/tmp/ramify-importance-XXXXXX";
    close(mkstemp(path));
    random_model_options options = random_model_defaults();
    options.outputs = 2;
    ramify_column_importance expected[3], importance[3], targets[6], expected_targets[6];
    for (uint32_t threads = 1; threads <= 40; threads += threads < 4 ? 1 : 36)
        for (int bound = 0; bound < 2; bound++) {
            ramify_context *context = open_context(threads);
            world w = make_world(context, &options, 5000, 0.5);
            ramify_table *table = make_table(&w, 0, NULL);
            assert_int_equal(ramify_save(context, w.model, path), RAMIFY_OK);
            ramify_model_info info;
            ramify_model_get_info(w.model, &info);
            ramify_open_options how = {.access = RAMIFY_ACCESS_READ,
                                       .resident_bytes = bound ? info.resident_bytes : 0};
            ramify_model *model = NULL;
            assert_int_equal(ramify_open(context, path, &how, &model), RAMIFY_OK);
            if (ramify_importance(context, model, table, NULL, NULL, importance, targets) !=
                RAMIFY_OK)
                fail_msg("%s", ramify_message(context));
            if (threads == 1 && !bound) {
                memcpy(expected, importance, sizeof expected);
                memcpy(expected_targets, targets, sizeof targets);
            }
            for (uint32_t c = 0; c < 3; c++) {
                assert_true(importance[c].increase > 0);
                assert_true(importance[c].increase == expected[c].increase);
                assert_true(importance[c].sd == expected[c].sd);
            }
            for (uint32_t i = 0; i < 6; i++)
                assert_true(targets[i].increase == expected_targets[i].increase);
            ramify_residency held;
            ramify_model_get_residency(model, &held);
            assert_true(!bound || held.peak_bytes <= info.resident_bytes);
            ramify_close(&model);
            ramify_table_destroy(&table);
            close_world(&w);
            ramify_context_destroy(&context);
        }
    unlink(path);
}

static void test_every_allocation(void **state) {
    (void)state;
    counting counts = {0};
    ramify_context *context = counting_context(&counts);
    random_model_options options = random_model_defaults();
    world w = make_world(context, &options, 100, 0.5);
    ramify_table *table = make_table(&w, 0, NULL);
    ramify_column_importance importance[3];
    /* Modules are read, and stay, at their first touch; the pool stays too. */
    assert_int_equal(ramify_importance(context, w.model, table, NULL, NULL, importance, NULL),
                     RAMIFY_OK);
    for (int for_good = 0; for_good < 2; for_good++) {
        uint64_t live = counts.live, n = 0;
        ramify_status status = RAMIFY_ERROR_MEMORY;
        while (status != RAMIFY_OK) {
            n++;
            counts.calls = 0;
            counts.fail_once = n;
            counts.fail_from = for_good ? n : 0;
            status = ramify_importance(context, w.model, table, NULL, NULL, importance, NULL);
            assert_int_equal(counts.live, live);
            assert_true(status == RAMIFY_OK || status == RAMIFY_ERROR_MEMORY);
            assert_true(status == RAMIFY_OK ? counts.calls < n : counts.calls >= n);
        }
        assert_true(n > 10);
        counts.fail_once = counts.fail_from = 0;
    }
    ramify_table_destroy(&table);
    close_world(&w);
    ramify_context_destroy(&context);
    assert_int_equal(counts.live, 0);
}

typedef struct watcher {
    int questions, stop_at;
    double last, total;
    bool fell;
} watcher;

static bool stop_at(void *user) {
    watcher *w = user;
    return ++w->questions >= w->stop_at;
}

static void watch(void *user, const ramify_progress *progress) {
    watcher *w = user;
    w->fell = w->fell || progress->done < w->last;
    w->last = progress->done;
    w->total = progress->total;
}

static void test_progress_and_stop(void **state) {
    (void)state;
    static const double weight[COLUMNS] = {1, 2, 3, 4};
    watcher seen = {.stop_at = 1 << 30};
    ramify_context_options context_options;
    ramify_context_options_init(&context_options);
    context_options.threads = 1;
    context_options.cancel = stop_at;
    context_options.progress = watch;
    context_options.user = &seen;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&context_options, &context), RAMIFY_OK);
    world w = linear_world(context, weight, 5000, 0.1);
    ramify_table *table = make_table(&w, 0, NULL);
    seen = (watcher){.stop_at = 1 << 30};
    ramify_column_importance importance[COLUMNS];
    assert_int_equal(ramify_importance(context, w.model, table, NULL, NULL, importance, NULL),
                     RAMIFY_OK);
    /* 5 blocks of each of 21 passes. */
    assert_true(seen.last == 105 && seen.total == 105 && !seen.fell);
    seen = (watcher){.stop_at = 50};
    assert_int_equal(ramify_importance(context, w.model, table, NULL, NULL, importance, NULL),
                     RAMIFY_STOPPED);
    assert_int_equal(seen.questions, 50);
    ramify_table_destroy(&table);
    close_world(&w);
    ramify_context_destroy(&context);
}

static void test_no_targets(void **state) {
    (void)state;
    static const double weight[COLUMNS] = {1, 2, 3, 4};
    ramify_context *context = open_context(1);
    world w = linear_world(context, weight, 20, 0);
    for (size_t r = 0; r < w.rows; r++)
        w.y[r] = (double)NAN;
    ramify_table *table = make_table(&w, 0, NULL);
    ramify_column_importance importance[COLUMNS];
    assert_int_equal(ramify_importance(context, w.model, table, NULL, NULL, importance, NULL),
                     RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(context), "no row has a target"));
    ramify_table_destroy(&table);
    close_world(&w);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_permuted_tables),
        cmocka_unit_test(test_linear_function),
        cmocka_unit_test(test_seed_and_repeats),
        cmocka_unit_test(test_threads_and_bound),
        cmocka_unit_test(test_every_allocation),
        cmocka_unit_test(test_progress_and_stop),
        cmocka_unit_test(test_no_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

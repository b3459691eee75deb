/* Resident bytes: the bound holds, byte for byte of what is allocated; predictions are the same
 * whatever is resident; nothing is allocated while predicting; threads share one model. */

#include "counting.h"
#include "memory.h"
#include "random_model.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 400

typedef struct subject {
    char path[64];
    ramify_context *context;
    random_model *twin;
    uint32_t columns, outputs;
    double *x; /* ROWS x columns */
    double *y; /* ROWS x outputs: what the model in memory predicts */
    uint64_t need;
} subject;

static random_model_options deep_options(void) {
    random_model_options options = random_model_defaults();
    options.levels = 5;
    options.arity = 4;
    options.hidden[0] = options.hidden[1] = 20;
    options.numeric = 5;
    options.outputs = 3;
    return options;
}

static subject new_subject(const random_model_options *options) {
    subject s = {.path = "/tmp/ramify-test-XXXXXX"};
    int descriptor = mkstemp(s.path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(ramify_context_create(NULL, &s.context), RAMIFY_OK);
    s.twin = random_model_create(s.context, options);
    s.columns = s.twin->stem.columns;
    s.outputs = options->outputs;
    s.x = malloc(ROWS * s.columns * sizeof *s.x);
    s.y = malloc(ROWS * s.outputs * sizeof *s.y);
    for (size_t row = 0; row < ROWS; row++)
        random_model_row(s.twin, s.x + row * s.columns);
    ramify_model *model = random_model_open(s.twin);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    s.need = info.resident_bytes;
    assert_int_equal(ramify_save(s.context, model, s.path), RAMIFY_OK);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 100, &predictor), RAMIFY_OK);
    assert_int_equal(ramify_predict_double(predictor, ROWS, s.x, s.columns, s.y, s.outputs),
                     RAMIFY_OK);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    return s;
}

static void free_subject(subject *s) {
    unlink(s->path);
    random_model_destroy(s->twin);
    ramify_context_destroy(&s->context);
    free(s->x);
    free(s->y);
}

static ramify_model *open_for(const subject *s, ramify_context *context, ramify_access access,
                              uint64_t bound, uint32_t predictors) {
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.access = access;
    options.resident_bytes = bound;
    options.predictors = predictors;
    ramify_model *model = NULL;
    if (ramify_open(context, s->path, &options, &model) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    return model;
}

static ramify_model *open_file(const subject *s, ramify_context *context, ramify_access access,
                               uint64_t bound) {
    return open_for(s, context, access, bound, 0);
}

/* Predicts all rows in pieces and compares to the bit. */
static void compare(const subject *s, ramify_predictor *predictor, size_t rows_at_once) {
    double *y = malloc(ROWS * s->outputs * sizeof *y);
    for (size_t first = 0; first < ROWS; first += rows_at_once) {
        size_t count = ROWS - first < rows_at_once ? ROWS - first : rows_at_once;
        assert_int_equal(ramify_predict_double(predictor, count, s->x + first * s->columns,
                                               s->columns, y + first * s->outputs, s->outputs),
                         RAMIFY_OK);
    }
    assert_memory_equal(y, s->y, ROWS * s->outputs * sizeof *y);
    free(y);
}

static void test_bound_is_kept(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    const uint64_t bounds[] = {s.need,         s.need + 1,        s.need + 500,    s.need + 4000,
                               s.need + 20000, s.need + 12345678, 2 * s.need + 17, 0};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        for (size_t rows = 1; rows <= 400; rows += 133) {
            counting counts = {0};
            ramify_context *context = counting_context(&counts);
            uint64_t before = counts.live;
            ramify_model *model = open_file(&s, context, RAMIFY_ACCESS_READ, bounds[i]);
            ramify_predictor *predictor = NULL;
            assert_int_equal(ramify_predictor_create(context, model, rows, &predictor), RAMIFY_OK);
            uint64_t calls = counts.calls;
            compare(&s, predictor, rows);
            compare(&s, predictor, 1);
            assert_int_equal(counts.calls, calls); /* predicting allocates nothing */
            uint64_t held = counts.live - before;
            ramify_residency residency;
            ramify_model_get_residency(model, &residency);
            if (bounds[i] > 0) {
                assert_true(held <= bounds[i]);
                assert_int_equal(residency.resident_bytes, held);
            }
            assert_true(residency.peak_bytes >= residency.resident_bytes);
            assert_true(residency.misses > 0 && residency.hits > 0);
            assert_true(residency.bytes_read > 0);
            ramify_predictor_destroy(&predictor);
            ramify_close(&model);
            assert_int_equal(counts.live, before);
            ramify_context_destroy(&context);
            assert_int_equal(counts.live, 0);
        }
    free_subject(&s);
}

static void test_too_small_a_bound(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_open_options open_options = {.access = RAMIFY_ACCESS_READ, .resident_bytes = s.need - 1};
    ramify_model *model = NULL;
    assert_int_equal(ramify_open(s.context, s.path, &open_options, &model), RAMIFY_ERROR_LIMIT);
    char expected[256];
    snprintf(
        expected, sizeof expected,
        "%s: one row needs %llu bytes in memory, %llu are allowed: allow more, or train with a "
        "smaller bound (--resident)",
        s.path, (unsigned long long)s.need, (unsigned long long)s.need - 1);
    assert_string_equal(ramify_message(s.context), expected);
    assert_null(model);
    /* Whole pages need more, and the message says how much. */
    open_options = (ramify_open_options){.access = RAMIFY_ACCESS_MMAP, .resident_bytes = s.need};
    assert_int_equal(ramify_open(s.context, s.path, &open_options, &model), RAMIFY_ERROR_LIMIT);
    unsigned long long pages = 0;
    assert_int_equal(
        sscanf(ramify_message(s.context) + strlen(s.path), ": one row needs %llu", &pages), 1);
    assert_true(pages > s.need);
    open_options.resident_bytes = pages - 1;
    assert_int_equal(ramify_open(s.context, s.path, &open_options, &model), RAMIFY_ERROR_LIMIT);
    open_options.resident_bytes = pages;
    assert_int_equal(ramify_open(s.context, s.path, &open_options, &model), RAMIFY_OK);
    ramify_close(&model);
    free_subject(&s);
}

static void test_mapped(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_model *model = open_file(&s, s.context, RAMIFY_ACCESS_MMAP, 0);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 64, &predictor), RAMIFY_OK);
    compare(&s, predictor, 64);
    ramify_residency first, second;
    ramify_model_get_residency(model, &first);
    compare(&s, predictor, 64);
    ramify_model_get_residency(model, &second);
    assert_true(first.misses > 0);
    assert_int_equal(second.misses, first.misses); /* everything is checked once */
    assert_int_equal(second.bytes_read, first.bytes_read);
    assert_true(second.hits > first.hits);
    assert_int_equal(ramify_model_check(s.context, model), RAMIFY_OK);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    free_subject(&s);
}

/* Bytes of the file that the process has mapped. */
static uint64_t mapped_bytes(const char *path) {
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    uint64_t bytes = 0;
    char line[512];
    while (fgets(line, sizeof line, maps)) {
        unsigned long long begin, end;
        if (strstr(line, path) && sscanf(line, "%llx-%llx", &begin, &end) == 2)
            bytes += end - begin;
    }
    fclose(maps);
    return bytes;
}

/* A mapped file under a bound: no more of it than the bound allows is in the address space. */
static void test_mapped_under_a_bound(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    const uint64_t bounds[] = {s.need + 65536, s.need + 123456, s.need + 1000000};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        counting counts = {0};
        ramify_context *context = counting_context(&counts);
        uint64_t before = counts.live;
        ramify_model *model = open_file(&s, context, RAMIFY_ACCESS_MMAP, bounds[i]);
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(context, model, 32, &predictor), RAMIFY_OK);
        uint64_t most = 0, calls = counts.calls;
        double y[3];
        for (size_t row = 0; row < ROWS; row++) {
            assert_int_equal(
                ramify_predict_double(predictor, 1, s.x + row * s.columns, s.columns, y, s.outputs),
                RAMIFY_OK);
            assert_memory_equal(y, s.y + row * s.outputs, sizeof y);
            uint64_t mapped = mapped_bytes(s.path);
            most = mapped > most ? mapped : most;
            assert_true(counts.live - before + mapped <= bounds[i]);
        }
        assert_true(most > 0);
        compare(&s, predictor, 32);
        assert_int_equal(counts.calls, calls);
        ramify_residency residency;
        ramify_model_get_residency(model, &residency);
        assert_true(residency.peak_bytes <= bounds[i]);
        assert_int_equal(residency.resident_bytes, counts.live - before + mapped_bytes(s.path));
        ramify_predictor_destroy(&predictor);
        ramify_close(&model);
        assert_int_equal(mapped_bytes(s.path), 0);
        ramify_context_destroy(&context);
        assert_int_equal(counts.live, 0);
    }
    free_subject(&s);
}

/* Predictors of several threads are inside the bound, too; a further one is refused. */
static void test_bound_counts_predictors(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    for (uint32_t asked = 1; asked <= 4; asked++)
        for (uint64_t bound = s.need; bound < s.need + 200000; bound = bound * 3 / 2) {
            counting counts = {0};
            ramify_context *context = counting_context(&counts);
            uint64_t before = counts.live;
            ramify_model *model = open_for(&s, context, RAMIFY_ACCESS_READ, bound, asked);
            ramify_predictor *predictors[5] = {NULL};
            uint32_t made = 0;
            while (made < 5 &&
                   ramify_predictor_create(context, model, 50, &predictors[made]) == RAMIFY_OK)
                compare(&s, predictors[made++], 50);
            assert_true(made >= 1 && made <= asked);
            if (bound > 2 * s.need)
                assert_int_equal(made, asked);
            assert_non_null(strstr(ramify_message(context), "was divided among"));
            assert_true(counts.live - before <= bound);
            ramify_predictor_destroy(&predictors[0]);
            assert_int_equal(ramify_predictor_create(context, model, 50, &predictors[0]),
                             RAMIFY_OK);
            for (uint32_t i = 0; i < made; i++)
                ramify_predictor_destroy(&predictors[i]);
            ramify_close(&model);
            ramify_context_destroy(&context);
        }
    free_subject(&s);
}

/* Skewed rows: a cache of a few modules serves most of them. */
static void test_cache_keeps_what_is_used(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_model *model = open_file(&s, s.context, RAMIFY_ACCESS_READ, s.need + 30000);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 1, &predictor), RAMIFY_OK);
    double y[3];
    ramify_residency before, after;
    ramify_model_get_residency(model, &before);
    for (size_t i = 0; i < 2000; i++) {
        size_t row = i % 10 == 0 ? i % ROWS : 7;
        assert_int_equal(
            ramify_predict_double(predictor, 1, s.x + row * s.columns, s.columns, y, s.outputs),
            RAMIFY_OK);
        assert_memory_equal(y, s.y + row * s.outputs, sizeof y);
    }
    ramify_model_get_residency(model, &after);
    uint64_t hits = after.hits - before.hits, misses = after.misses - before.misses;
    assert_true(hits > 9 * misses);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    free_subject(&s);
}

/* The need that a trainer computes beforehand is the one that the model then reports. */
static void test_need_is_known_beforehand(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        random_model_options options = random_model_any(seed);
        ramify_context *context = NULL;
        assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
        random_model *twin = random_model_create(context, &options);
        ramify_model *model = random_model_open(twin);
        ramify_model_info info;
        ramify_model_get_info(model, &info);
        ramify_need_of of = {
            .schema_bytes = ramify_schema_bytes(&twin->schema),
            .config_bytes = strlen(info.config),
            .stem = &twin->stem,
            .targets = options.task == RAMIFY_TASK_REGRESSION ? options.outputs : 0,
            .shape = &model->shape,
            .series = twin->draft.series_count > 0 ? &twin->draft.series_shape : NULL,
            .depth = model->limits.depth,
            .arity = model->limits.arity};
        assert_int_equal(ramify_resident_need(&of).total, info.resident_bytes);
        assert_int_equal(info.leaves, twin->leaves);
        assert_int_equal(info.path_bytes,
                         model->limits.depth *
                             (info.kind[0] == 'p'
                                  ? ramify_node_bytes(model->limits.arity, model->limits.dims)
                                  : 0));
        assert_string_equal(info.kind, options.levels > 0 ? "pathways" : "mlp");
        ramify_close(&model);
        random_model_destroy(twin);
        ramify_context_destroy(&context);
    }
}

/* A piece of rows reads every node on its ways once, and runs a module that all leaves share once. */
static void test_rows_go_in_groups(void **state) {
    (void)state;
    random_model_options options = deep_options();
    options.modules = 1;
    subject s = new_subject(&options);
    ramify_model *model = open_file(&s, s.context, RAMIFY_ACCESS_MMAP, 0);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, ROWS, &predictor), RAMIFY_OK);
    ramify_residency before, after;
    ramify_model_get_residency(model, &before);
    compare(&s, predictor, ROWS);
    ramify_model_get_residency(model, &after);
    uint64_t reads = after.hits + after.misses - before.hits - before.misses;
    assert_true(reads > 10 && reads <= model->limits.nodes + 1);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    free_subject(&s);
}

typedef struct share {
    const subject *s;
    ramify_model *model;
    size_t rows;
    bool same;
} share;

static void *predict_in_thread(void *argument) {
    share *mine = argument;
    const subject *s = mine->s;
    ramify_context *context = NULL;
    ramify_predictor *predictor = NULL;
    double *y = malloc(ROWS * s->outputs * sizeof *y);
    mine->same = ramify_context_create(NULL, &context) == RAMIFY_OK &&
                 ramify_predictor_create(context, mine->model, mine->rows, &predictor) == RAMIFY_OK;
    for (int i = 0; i < 20 && mine->same; i++)
        mine->same =
            ramify_predict_double(predictor, ROWS, s->x, s->columns, y, s->outputs) == RAMIFY_OK &&
            memcmp(y, s->y, ROWS * s->outputs * sizeof *y) == 0;
    ramify_predictor_destroy(&predictor);
    ramify_context_destroy(&context);
    free(y);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    const struct {
        ramify_access access;
        uint64_t bound;
    } ways[] = {{RAMIFY_ACCESS_READ, 2 * s.need},
                {RAMIFY_ACCESS_READ, 2 * s.need + 30000},
                {RAMIFY_ACCESS_READ, 0},
                {RAMIFY_ACCESS_MMAP, s.need + 100000},
                {RAMIFY_ACCESS_MMAP, 0}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        ramify_model *model = open_for(&s, s.context, ways[i].access, ways[i].bound, 4);
        pthread_t threads[4];
        share shares[4];
        for (size_t t = 0; t < 4; t++) {
            shares[t] = (share){.s = &s, .model = model, .rows = 1 + 50 * t};
            assert_int_equal(pthread_create(&threads[t], NULL, predict_in_thread, &shares[t]), 0);
        }
        for (size_t t = 0; t < 4; t++) {
            pthread_join(threads[t], NULL);
            assert_true(shares[t].same);
        }
        ramify_close(&model);
    }
    free_subject(&s);
}

static void test_file_cut_while_open(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_model *model = open_file(&s, s.context, RAMIFY_ACCESS_READ, s.need);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 1, &predictor), RAMIFY_OK);
    assert_int_equal(truncate(s.path, 8192), 0);
    double *y = malloc(ROWS * s.outputs * sizeof *y);
    assert_int_equal(ramify_predict_double(predictor, ROWS, s.x, s.columns, y, s.outputs),
                     RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(s.context), "it must not be cut while it is used"));
    free(y);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    free_subject(&s);
}

static void test_what_cannot_be_opened(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    ramify_model *model = NULL;
    assert_int_equal(ramify_open(context, "/nowhere/m.ramify", NULL, &model), RAMIFY_ERROR_IO);
    assert_string_equal(ramify_message(context),
                        "/nowhere/m.ramify: cannot open the file: No such file or directory");
    assert_int_equal(ramify_open(context, "/tmp", NULL, &model), RAMIFY_ERROR_IO);
    assert_string_equal(ramify_message(context),
                        "/tmp: not a regular file; a model is read from a file on disk");
    char path[] = "/tmp/ramify-fifo-XXXXXX";
    int descriptor = mkstemp(path);
    close(descriptor);
    ramify_open_options options = {.access = RAMIFY_ACCESS_MMAP, .resident_bytes = 0};
    assert_int_equal(ramify_open(context, path, &options, &model), RAMIFY_ERROR_FORMAT);
    assert_int_equal(ramify_open(context, path, NULL, &model), RAMIFY_ERROR_FORMAT);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(ramify_open(context, path, NULL, &model), RAMIFY_ERROR_IO);
    unlink(path);
    assert_int_equal(ramify_open(context, NULL, NULL, &model), RAMIFY_ERROR_ARGUMENT);
    options.access = (ramify_access)7;
    assert_int_equal(ramify_open(context, "/tmp", &options, &model), RAMIFY_ERROR_ARGUMENT);
    assert_null(model);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_is_kept),
        cmocka_unit_test(test_too_small_a_bound),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_mapped_under_a_bound),
        cmocka_unit_test(test_bound_counts_predictors),
        cmocka_unit_test(test_cache_keeps_what_is_used),
        cmocka_unit_test(test_need_is_known_beforehand),
        cmocka_unit_test(test_rows_go_in_groups),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_file_cut_while_open),
        cmocka_unit_test(test_what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

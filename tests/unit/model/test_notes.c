/* Intervals and novelty: against the readable twin, from every kind of source, within the bound; and
 * what is refused. Where notes come from is tested in tests/unit/train/test_annotate.c. */

#include "blend.h"
#include "counting.h"
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

#define ROWS 120

/* What is computed of ROWS rows. */
typedef struct results {
    double *y;          /* ROWS x outputs */
    double *low, *high; /* ROWS x targets */
    double *novelty;    /* ROWS */
} results;

typedef struct subject {
    char path[64];
    ramify_context *context;
    random_model *twin;
    uint32_t columns, outputs, targets; /* targets: of a regression, else 0 */
    double *x;                          /* ROWS x columns */
    results all;                        /* in pieces of one row, from memory */
} subject;

static results new_results(const subject *s) {
    return (results){calloc(ROWS * s->outputs, sizeof(double)),
                     calloc(ROWS * s->outputs, sizeof(double)),
                     calloc(ROWS * s->outputs, sizeof(double)), calloc(ROWS, sizeof(double))};
}

static void free_results(results *r) {
    free(r->y);
    free(r->low);
    free(r->high);
    free(r->novelty);
}

static void compute(const subject *s, ramify_predictor *p, size_t rows_at_once, results *r) {
    for (size_t first = 0; first < ROWS; first += rows_at_once) {
        size_t count = ROWS - first < rows_at_once ? ROWS - first : rows_at_once;
        const double *x = s->x + first * s->columns;
        size_t at = first * s->outputs;
        if (s->targets > 0 && ramify_predict_interval(p, count, x, s->columns, 0.8, r->y + at,
                                                      r->low + at, r->high + at, s->outputs))
            fail_msg("%s", ramify_message(s->context));
        if (ramify_predict_novelty(p, count, x, s->columns, r->novelty + first))
            fail_msg("%s", ramify_message(s->context));
    }
}

static void assert_same(const subject *s, const results *a, const results *b) {
    assert_memory_equal(a->low, b->low, ROWS * s->outputs * sizeof *a->low);
    assert_memory_equal(a->high, b->high, ROWS * s->outputs * sizeof *a->high);
    assert_memory_equal(a->novelty, b->novelty, ROWS * sizeof *a->novelty);
}

static subject new_subject(const random_model_options *options) {
    subject s = {.path = "/tmp/ramify-test-XXXXXX"};
    close(mkstemp(s.path));
    assert_int_equal(ramify_context_create(NULL, &s.context), RAMIFY_OK);
    s.twin = random_model_create(s.context, options);
    s.columns = s.twin->stem.columns;
    s.outputs = options->outputs;
    s.targets = options->task == RAMIFY_TASK_REGRESSION ? options->outputs : 0;
    s.x = malloc(ROWS * s.columns * sizeof *s.x);
    for (size_t row = 0; row < ROWS; row++)
        random_model_row(s.twin, s.x + row * s.columns);
    for (size_t i = 0; i < ROWS * s.columns; i++)
        if (isinf(s.x[i])) /* tables have none */
            s.x[i] = 1e6;
    s.all = new_results(&s);
    ramify_model *model = random_model_open(s.twin);
    assert_int_equal(ramify_save(s.context, model, s.path), RAMIFY_OK);
    assert_int_equal(ramify_model_check(s.context, model), RAMIFY_OK);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 1, &predictor), RAMIFY_OK);
    compute(&s, predictor, 1, &s.all);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    return s;
}

static void free_subject(subject *s) {
    unlink(s->path);
    random_model_destroy(s->twin);
    ramify_context_destroy(&s->context);
    free(s->x);
    free_results(&s->all);
}

static ramify_model *open_file(const subject *s, ramify_context *context,
                               const ramify_open_options *options) {
    ramify_model *model = NULL;
    if (ramify_open(context, s->path, options, &model) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    return model;
}

static random_model_options deep_options(void) {
    random_model_options options = random_model_defaults();
    options.levels = 5;
    options.arity = 4;
    options.numeric = 5;
    options.outputs = 3;
    options.hidden[0] = options.hidden[1] = 20;
    options.notes = true;
    return options;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 2e-4 * (1 + fabs(b));
}

static void test_equals_the_twin(void **state) {
    (void)state;
    size_t inside = 0, farthest = 0, rows = 0, regressions = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        random_model_options options = random_model_any(seed);
        options.notes = true;
        subject s = new_subject(&options);
        double *y = malloc(s.outputs * sizeof *y), *low = malloc(s.outputs * sizeof *y),
               *high = malloc(s.outputs * sizeof *y);
        size_t apart = 0;
        for (size_t row = 0; row < ROWS; row++) {
            const double *x = s.x + row * s.columns;
            random_model_predict(s.twin, x, y);
            double novelty = random_model_note(s.twin, x, y, 0.8, low, high);
            bool good = fabs(s.all.novelty[row] - novelty) < 1e-3;
            for (uint32_t t = 0; t < s.targets; t++)
                good = good && near(s.all.y[row * s.outputs + t], y[t]) &&
                       near(s.all.low[row * s.outputs + t], low[t]) &&
                       near(s.all.high[row * s.outputs + t], high[t]);
            apart += !good;
            inside += novelty > 0 && novelty < 1;
            farthest += novelty == 1;
            rows++;
        }
        /* A row on the border of two cells may fall to either side by rounding. */
        assert_true(apart <= 1);
        regressions += s.targets > 0;
        free(y);
        free(low);
        free(high);
        free_subject(&s);
    }
    assert_true(regressions > 15 && inside > rows / 2 && farthest > rows / 20);
}

/* The same bits from memory, a file, a map, under bounds, and in pieces of any size. */
static void test_from_everywhere(void **state) {
    (void)state;
    random_model_options options = deep_options();
    for (uint32_t levels = 0; levels <= 5; levels += 5) {
        options.levels = levels;
        subject s = new_subject(&options);
        ramify_model_info info;
        ramify_open_options asked = {.notes = true};
        ramify_model *model = open_file(&s, s.context, &asked);
        ramify_model_get_info(model, &info);
        assert_true(info.intervals && info.novelty);
        ramify_close(&model);
        const ramify_open_options ways[] = {
            {.access = RAMIFY_ACCESS_READ},
            {.access = RAMIFY_ACCESS_READ, .notes = true},
            {.access = RAMIFY_ACCESS_MMAP},
            {.access = RAMIFY_ACCESS_READ, .resident_bytes = info.resident_bytes, .notes = true},
            {.access = RAMIFY_ACCESS_READ, .resident_bytes = info.resident_bytes},
            {.access = RAMIFY_ACCESS_MMAP, .resident_bytes = info.resident_bytes + 99999},
        };
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
            for (size_t rows = 1; rows <= ROWS; rows += 17) {
                model = open_file(&s, s.context, &ways[i]);
                ramify_predictor *predictor = NULL;
                assert_int_equal(ramify_predictor_create(s.context, model, rows, &predictor),
                                 RAMIFY_OK);
                results r = new_results(&s);
                compute(&s, predictor, 50, &r);
                assert_same(&s, &r, &s.all);
                assert_memory_equal(r.y, s.all.y, ROWS * s.outputs * sizeof *r.y);
                free_results(&r);
                ramify_predictor_destroy(&predictor);
                ramify_close(&model);
            }
        free_subject(&s);
    }
}

/* Intervals leave predictions as they are; strides, and predictions that are not asked for. */
static void test_predictions_stay(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_model *model = open_file(&s, s.context, NULL);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 32, &predictor), RAMIFY_OK);
    double *y = malloc(ROWS * 3 * sizeof *y), *low = calloc(ROWS * 7, sizeof *low),
           *high = calloc(ROWS * 7, sizeof *high);
    assert_int_equal(ramify_predict_double(predictor, ROWS, s.x, s.columns, y, 3), RAMIFY_OK);
    assert_memory_equal(y, s.all.y, ROWS * 3 * sizeof *y);
    assert_int_equal(
        ramify_predict_interval(predictor, ROWS, s.x, s.columns, 0.8, NULL, low, high, 7),
        RAMIFY_OK);
    for (size_t row = 0; row < ROWS; row++) {
        assert_memory_equal(low + 7 * row, s.all.low + 3 * row, 3 * sizeof *low);
        assert_memory_equal(high + 7 * row, s.all.high + 3 * row, 3 * sizeof *high);
        for (size_t i = 3; i < 7; i++)
            assert_true(low[7 * row + i] == 0 && high[7 * row + i] == 0);
    }
    assert_int_equal(ramify_predict_double(predictor, ROWS, s.x, s.columns, y, 3), RAMIFY_OK);
    assert_memory_equal(y, s.all.y, ROWS * 3 * sizeof *y);
    free(y);
    free(low);
    free(high);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    free_subject(&s);
}

/* With several experts per row: around the blend, as wide as at the row's own leaf. */
static void test_around_the_blend(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_open_options open_options = {.top_k = 4};
    ramify_model *model = open_file(&s, s.context, &open_options);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 16, &predictor), RAMIFY_OK);
    results r = new_results(&s);
    double *blend = malloc(ROWS * 3 * sizeof *blend);
    compute(&s, predictor, ROWS, &r);
    assert_int_equal(ramify_predict_double(predictor, ROWS, s.x, s.columns, blend, 3), RAMIFY_OK);
    assert_memory_equal(r.y, blend, ROWS * 3 * sizeof *blend);
    assert_memory_equal(r.novelty, s.all.novelty, ROWS * sizeof *r.novelty);
    size_t moved = 0;
    for (size_t i = 0; i < ROWS * 3; i++) {
        assert_true(near(r.low[i] - r.y[i], s.all.low[i] - s.all.y[i]));
        assert_true(near(r.high[i] - r.y[i], s.all.high[i] - s.all.y[i]));
        moved += r.y[i] != s.all.y[i];
    }
    assert_true(moved > ROWS / 4);
    free(blend);
    free_results(&r);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    free_subject(&s);
}

/* Those who do not ask hold nothing of it; those who do hold the same for any number of leaves, and
 * say so, and inside the bound if the model was opened for it. */
static void test_what_is_held(void **state) {
    (void)state;
    uint64_t extra[2];
    for (int deep = 0; deep < 2; deep++) {
        random_model_options options = deep_options();
        options.levels = deep ? 5 : 2;
        subject s = new_subject(&options);
        options.notes = false;
        random_model *bare = random_model_create(s.context, &options);
        ramify_model *without = random_model_open(bare), *with = random_model_open(s.twin);
        ramify_model_info a, b;
        ramify_model_get_info(without, &a);
        ramify_model_get_info(with, &b);
        assert_false(a.intervals || a.novelty);
        assert_int_equal(b.resident_bytes - a.resident_bytes, strlen(b.config) - strlen(a.config));
        assert_true(strlen(b.config) - strlen(a.config) < 100);
        assert_true(deep == 0 ? b.leaves < 10 : b.leaves > 50);
        ramify_close(&without);
        ramify_close(&with);
        random_model_destroy(bare);

        counting counts = {0};
        ramify_context *context = counting_context(&counts);
        ramify_model *model = open_file(&s, context, NULL);
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(context, model, 16, &predictor), RAMIFY_OK);
        double y[3], low[3], high[3], novelty;
        for (size_t row = 0; row < ROWS; row++) /* so that every part it needs is there */
            assert_int_equal(
                ramify_predict_double(predictor, 1, s.x + row * s.columns, s.columns, y, 3),
                RAMIFY_OK);
        ramify_residency before, after;
        ramify_model_get_residency(model, &before);
        uint64_t live = counts.live, calls = counts.calls;
        for (size_t row = 0; row < ROWS; row++) {
            const double *x = s.x + row * s.columns;
            assert_int_equal(
                ramify_predict_interval(predictor, 1, x, s.columns, 0.9, y, low, high, 3),
                RAMIFY_OK);
            assert_int_equal(ramify_predict_novelty(predictor, 1, x, s.columns, &novelty),
                             RAMIFY_OK);
        }
        assert_int_equal(counts.calls, calls + 1);
        extra[deep] = counts.live - live;
        ramify_model_get_residency(model, &after);
        assert_int_equal(after.resident_bytes - before.resident_bytes, extra[deep]);
        assert_true(after.peak_bytes >= after.resident_bytes);
        assert_true(after.bytes_read >= before.bytes_read + 2 * ROWS * 20);
        ramify_predictor_destroy(&predictor);
        ramify_model_get_residency(model, &after);
        assert_true(after.resident_bytes < before.resident_bytes);
        ramify_close(&model);
        ramify_context_destroy(&context);
        assert_int_equal(counts.live, 0);
        free_subject(&s);
    }
    assert_int_equal(extra[0], extra[1]);
}

static void test_bound_is_kept(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_open_options asked = {.notes = true};
    ramify_model *model = open_file(&s, s.context, &asked);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_close(&model);
    const uint64_t need = info.resident_bytes;
    const uint64_t bounds[] = {need, need + 1, need + 4000, need + 30000, 2 * need + 17, 10 * need};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        for (uint32_t predictors = 1; predictors <= 3; predictors++) {
            counting counts = {0};
            ramify_context *context = counting_context(&counts);
            uint64_t before = counts.live;
            asked.resident_bytes = bounds[i];
            asked.predictors = predictors;
            model = open_file(&s, context, &asked);
            ramify_predictor *made[3] = {NULL};
            for (uint32_t p = 0; p < predictors; p++)
                if (ramify_predictor_create(context, model, 64, &made[p]) != RAMIFY_OK)
                    assert_true(p > 0);
            uint64_t calls = counts.calls;
            for (uint32_t p = 0; p < predictors && made[p]; p++) {
                results r = new_results(&s);
                compute(&s, made[p], 64, &r);
                assert_same(&s, &r, &s.all);
                free_results(&r);
            }
            assert_int_equal(counts.calls, calls); /* all of it was there from the start */
            ramify_residency residency;
            ramify_model_get_residency(model, &residency);
            assert_true(counts.live - before <= bounds[i]);
            assert_int_equal(residency.resident_bytes, counts.live - before);
            assert_true(residency.peak_bytes <= bounds[i]);
            for (uint32_t p = 0; p < predictors; p++)
                ramify_predictor_destroy(&made[p]);
            ramify_model_get_residency(model, &residency);
            assert_int_equal(residency.resident_bytes, counts.live - before);
            ramify_close(&model);
            ramify_context_destroy(&context);
            assert_int_equal(counts.live, 0);
        }
    asked.resident_bytes = need - 1;
    assert_int_equal(ramify_open(s.context, s.path, &asked, &model), RAMIFY_ERROR_LIMIT);
    free_subject(&s);
}

static void test_tables(void **state) {
    (void)state;
    random_model_options options = deep_options();
    subject s = new_subject(&options);
    ramify_table *table = NULL;
    static const char *const names[] = {"column 0", "column 1", "column 3",
                                        "column 4", "column 5", "column 2"};
    double *values = malloc(ROWS * s.columns * sizeof *values);
    const char **words = calloc(ROWS, sizeof *words);
    static const uint32_t numeric[] = {0, 1, 3, 4, 5};
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t c = 0; c < 5; c++)
            values[row * 5 + c] = s.x[row * s.columns + numeric[c]];
        double code = s.x[row * s.columns + 2];
        const ramify_schema_column *column = &s.twin->schema.columns[2];
        words[row] = code >= 0 && code < column->category_count ? column->categories[(size_t)code]
                                                                : "unknown";
    }
    assert_int_equal(ramify_table_from_doubles(s.context, values, ROWS, 5, 5, names, &table),
                     RAMIFY_OK);
    assert_int_equal(ramify_table_add_texts(s.context, table, names[5], words), RAMIFY_OK);
    ramify_model_info info;
    ramify_open_options asked = {.notes = true};
    ramify_model *model = open_file(&s, s.context, &asked);
    ramify_model_get_info(model, &info);
    ramify_close(&model);
    for (int bounded = 0; bounded < 2; bounded++) {
        /* Bounded: rows are ordered by expert. */
        asked.resident_bytes = bounded ? info.resident_bytes + 1000 : 0;
        model = open_file(&s, s.context, &asked);
        results r = new_results(&s);
        if (ramify_predict_table_notes(s.context, model, table, r.y, 0.8, r.low, r.high, r.novelty))
            fail_msg("%s", ramify_message(s.context));
        assert_same(&s, &r, &s.all);
        assert_memory_equal(r.y, s.all.y, ROWS * 3 * sizeof *r.y);
        results alone = new_results(&s);
        assert_int_equal(ramify_predict_table_notes(s.context, model, table, alone.y, 0, NULL, NULL,
                                                    alone.novelty),
                         RAMIFY_OK);
        assert_memory_equal(alone.novelty, s.all.novelty, ROWS * sizeof *r.novelty);
        assert_int_equal(
            ramify_predict_table_notes(s.context, model, table, r.y, 0.8, r.low, NULL, r.novelty),
            RAMIFY_ERROR_ARGUMENT);
        free_results(&alone);
        free_results(&r);
        ramify_close(&model);
    }
    ramify_table_destroy(&table);
    free(values);
    free(words);
    free_subject(&s);
}

static void test_refusals(void **state) {
    (void)state;
    random_model_options options = random_model_defaults();
    options.notes = true;
    subject s = new_subject(&options);
    ramify_model *model = open_file(&s, s.context, NULL);
    ramify_predictor *p = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 4, &p), RAMIFY_OK);
    double low[4], high[4];
    char expected[400];
    snprintf(expected, sizeof expected,
             "%s: an interval of 96.5%% needs more rows than the 1000 that its residuals were "
             "measured on: ask for at most 96%%, or train with more rows",
             s.path);
    assert_int_equal(ramify_predict_interval(p, 1, s.x, s.columns, 0.965, NULL, low, high, 1),
                     RAMIFY_ERROR_ARGUMENT);
    assert_string_equal(ramify_message(s.context), expected);
    assert_int_equal(ramify_predict_interval(p, 1, s.x, s.columns, 0.96, NULL, low, high, 1),
                     RAMIFY_OK);
    const double levels[] = {0, 1, -0.5, 90, (double)NAN};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        assert_int_equal(
            ramify_predict_interval(p, 1, s.x, s.columns, levels[i], NULL, low, high, 1),
            RAMIFY_ERROR_ARGUMENT);
        assert_non_null(strstr(ramify_message(s.context), "must lie between 0 and 1"));
    }
    assert_int_equal(ramify_predict_interval(p, 1, s.x, s.columns, 0.5, NULL, low, NULL, 1),
                     RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_predict_interval(p, 2, s.x, s.columns - 1, 0.5, NULL, low, high, 1),
                     RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_predict_interval(p, 2, s.x, s.columns, 0.5, NULL, low, high, 0),
                     RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_predict_novelty(p, 1, s.x, s.columns, NULL), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_predict_novelty(p, 0, NULL, 0, NULL), RAMIFY_OK);
    ramify_predictor_destroy(&p);
    ramify_close(&model);
    free_subject(&s);

    options.task = RAMIFY_TASK_CLASSIFICATION;
    options.outputs = 3;
    for (int notes = 0; notes < 2; notes++) {
        ramify_context *context = NULL;
        assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
        options.notes = notes;
        random_model *twin = random_model_create(context, &options);
        model = random_model_open(twin);
        double x[3] = {0}, novelty = -1;
        assert_int_equal(ramify_predictor_create(context, model, 4, &p), RAMIFY_OK);
        assert_int_equal(ramify_predict_interval(p, 1, x, 3, 0.5, NULL, low, high, 3),
                         RAMIFY_ERROR_UNSUPPORTED);
        assert_string_equal(ramify_message(context),
                            "model: predicts classes, which have no intervals: their probabilities "
                            "say how sure it is");
        assert_int_equal(ramify_predict_novelty(p, 1, x, 3, &novelty),
                         notes ? RAMIFY_OK : RAMIFY_ERROR_UNSUPPORTED);
        assert_true(notes ? novelty >= 0 && novelty <= 1 : novelty == -1);
        ramify_predictor_destroy(&p);
        ramify_close(&model);
        random_model_destroy(twin);
        ramify_context_destroy(&context);
    }
}

/* Draft notes that the format has no place for. */
static void test_bad_drafts(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    random_model_options options = random_model_defaults();
    options.notes = true;
    random_model *twin = random_model_create(context, &options);
    const ramify_draft_notes good = twin->notes;
    void *bytes;
    size_t size;
    for (int i = 0; i < 4; i++) {
        twin->notes = good;
        if (i == 0)
            twin->notes.shape.distances = 0;
        else if (i == 1)
            twin->notes.shape.distances = RAMIFY_NOTES_ENTRIES_MAX + 1;
        else if (i == 2)
            twin->notes.shape.residuals = RAMIFY_NOTES_ENTRIES_MAX + 1;
        else
            twin->notes.center = twin->reach;
        ramify_clear(context);
        assert_int_equal(ramify_draft_write(context, &twin->draft, &bytes, &size),
                         RAMIFY_ERROR_ARGUMENT);
    }
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

static void test_tables_of_notes(void **state) {
    (void)state;
    const ramify_note ties[] = {{0, 1}, {0.25, 2}, {0.5, 2}, {0.75, 4}};
    assert_true(ramify_note_share(ties, 4, 0.5) == 0);
    assert_true(ramify_note_share(ties, 4, 1) == 0);
    assert_true(ramify_note_share(ties, 4, 1.5) == 0.125);
    assert_true(ramify_note_share(ties, 4, 2) == 0.25); /* rows that are nearer */
    assert_true(ramify_note_share(ties, 4, 3) == 0.625);
    assert_true(ramify_note_share(ties, 4, 4) == 0.75);
    assert_true(ramify_note_share(ties, 4, 4.001) == 1);
    assert_true(ramify_note_share(ties, 4, (double)INFINITY) == 1);
    assert_true(ramify_note_share(ties, 4, (double)NAN) == 1);
    assert_true(ramify_note_share(ties, 1, 1) == 0);
    assert_true(ramify_note_value(ties, 4, 0.125) == 1.5);
    assert_true(ramify_note_value(ties, 4, 0.25) == 2);
    assert_true(ramify_note_value(ties, 4, 0.3) == 2);
    assert_true(ramify_note_value(ties, 4, 0.625) == 3);
    assert_true(ramify_note_value(ties, 4, 0.9) == 4);
    assert_true(ramify_note_value(ties + 1, 3, 0.1) == 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_twin),  cmocka_unit_test(test_from_everywhere),
        cmocka_unit_test(test_predictions_stay), cmocka_unit_test(test_around_the_blend),
        cmocka_unit_test(test_what_is_held),     cmocka_unit_test(test_bound_is_kept),
        cmocka_unit_test(test_tables),           cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bad_drafts),       cmocka_unit_test(test_tables_of_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

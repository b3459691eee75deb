/* The notes that training leaves on leaves: against sums taken the slow way, and whether what is made
 * of them holds: intervals cover what they say, and are wide where targets are noisy; novelty is
 * uniform on rows like the training rows and 1 far away. */

#include "annotate.h"
#include "model.h"
#include "predict.h"
#include "public.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double smooth(const double *x) {
    return sin(4 * x[0]) + x[1] * x[1];
}

static double nothing(const double *x) {
    (void)x;
    return 7;
}

/* A tree for certain. */
static ramify_train_options tree_options(void) {
    ramify_train_options options = quick_options();
    options.split_test = RAMIFY_CHOICE_OFF;
    options.smallest_node = 400;
    options.hidden = "8";
    return options;
}

static void test_thin(void **state) {
    (void)state;
    size_t kept[200];
    for (size_t n = 1; n < 3000000; n += n < 420 ? 1 : n / 3) {
        uint32_t count = ramify_thin(n, 200, kept);
        assert_int_equal(count, n < 200 ? n : 200);
        assert_true(kept[0] == 0 && kept[count - 1] == n - 1);
        for (uint32_t i = 1; i < count; i++) {
            assert_true(kept[i] > kept[i - 1]);
            assert_int_equal(kept[i] + kept[count - 1 - i], n - 1);
            if (n <= 200 || i <= 32)
                assert_int_equal(kept[i], i);
            else if (i < count / 2)
                assert_true((double)kept[i] <= 1.2 * (double)kept[i - 1] + 1);
        }
    }
    assert_int_equal(ramify_thin(1000, 4, kept), 4);
    assert_true(kept[1] < kept[2]);
}

/* Where a row ends, and by how much its target is missed, in standard deviations. */
typedef struct measured {
    uint32_t leaf;
    double distance, weight, residual;
} measured;

typedef struct sums {
    double rows, distance, residual; /* weights, and weighted squares */
} sums;

/* Of rows of one leaf, or UINT32_MAX: of all. */
static sums sum_up(const measured *all, const uint32_t *rows, size_t count, uint32_t leaf) {
    sums s = {0};
    for (size_t i = 0; i < count; i++) {
        const measured *row = &all[rows[i]];
        if (leaf != UINT32_MAX && row->leaf != leaf)
            continue;
        s.rows += row->weight;
        s.distance += row->weight * row->distance * row->distance;
        s.residual += row->weight * row->residual * row->residual;
    }
    return s;
}

static int compare_numbers(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-4 * (1 + fabs(b));
}

static void check_leaves(desk *d, ramify_model *model, const measured *all,
                         const ramify_split *split, float *reach, float *spread) {
    sums train = sum_up(all, split->train, split->train_count, UINT32_MAX);
    sums select = sum_up(all, split->select, split->select_count, UINT32_MAX);
    float record[16];
    for (uint32_t leaf = 0; leaf < model->limits.leaves; leaf++) {
        sums t = sum_up(all, split->train, split->train_count, leaf);
        sums s = sum_up(all, split->select, split->select_count, leaf);
        assert_int_equal(ramify_notes_read(d->context, model, leaf, record), RAMIFY_OK);
        double square = (t.distance + 2 * train.distance / train.rows) / (t.rows + 2);
        assert_true(near((double)record[0], sqrt(square)));
        double share = (s.residual / (select.residual / select.rows) +
                        0.05 * t.residual / (train.residual / train.rows) + 2) /
                       (s.rows + 0.05 * t.rows + 2);
        assert_true(near((double)record[1], sqrt(select.residual / select.rows * share)));
        reach[leaf] = record[0];
        spread[leaf] = record[1];
    }
}

/* Equal weights: shares are places among n + 1, or of n. Others: they ascend with the weights. */
static void check_tables(desk *d, ramify_model *model, const measured *all,
                         const ramify_split *split, const float *reach, const float *spread,
                         bool weighted) {
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(d->context, model, 1, &predictor), RAMIFY_OK);
    assert_int_equal(ramify_notes_take(predictor), RAMIFY_OK);
    double *values = malloc(split->train_count * sizeof *values);
    size_t count = 0, kept[200];
    for (size_t i = 0; i < split->report_count; i++) {
        const measured *row = &all[split->report[i]];
        if (row->weight > 0)
            values[count++] = row->residual / (double)spread[row->leaf];
    }
    qsort(values, count, sizeof *values, compare_numbers);
    assert_int_equal(model->notes.rows, count);
    assert_int_equal(model->notes.residuals, ramify_thin(count, 200, kept));
    for (uint32_t i = 0; i < model->notes.residuals; i++) {
        const ramify_note *note = &predictor->notes->residuals[i];
        assert_true(near(note->value, values[kept[i]]));
        if (!weighted)
            assert_true(fabs(note->share - (double)(kept[i] + 1) / (double)(count + 1)) < 1e-9);
    }
    count = 0;
    for (size_t i = 0; i < split->train_count; i++) {
        const measured *row = &all[split->train[i]];
        if (row->weight > 0)
            values[count++] = row->distance / (double)reach[row->leaf];
    }
    qsort(values, count, sizeof *values, compare_numbers);
    assert_int_equal(model->notes.distances, ramify_thin(count, 200, kept));
    for (uint32_t i = 0; i < model->notes.distances; i++) {
        const ramify_note *note = &predictor->notes->distances[i];
        assert_true(near(note->value, values[kept[i]]));
        if (!weighted)
            assert_true(fabs(note->share - (double)kept[i] / (double)count) < 1e-9);
    }
    free(values);
    ramify_predictor_destroy(&predictor);
}

static void test_sums(void **state) {
    (void)state;
    enum { ROWS = 2000 };
    for (int way = 0; way < 4; way++) {
        bool weighted = way & 1, lone = way & 2;
        desk *d = desk_open(2);
        toy t = toy_create(d->context, ROWS, 3, smooth, 0.2, 5);
        for (size_t row = 0; row < ROWS && weighted; row++)
            t.values[4 * row + 2] = (double)(row * 7 % 4); /* a quarter counts for nothing */
        ramify_train_options options = tree_options();
        options.weight = weighted ? "x3" : NULL;
        options.kind = lone ? "mlp" : "pathways";
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
        assert_true(lone ? model->limits.leaves == 1 : model->limits.leaves > 4);

        double labels[ROWS];
        uint32_t rows[ROWS];
        for (uint32_t row = 0; row < ROWS; row++)
            rows[row] = row;
        ramify_split_request request = {
            .rows = rows, .count = ROWS, .validation = options.validation, .seed = options.seed};
        ramify_split *split = NULL;
        assert_int_equal(ramify_split_create(d->context, t.table, &request, &split), RAMIFY_OK);
        measured *all = calloc(ROWS, sizeof *all);
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(d->context, model, 1, &predictor), RAMIFY_OK);
        assert_int_equal(ramify_notes_take(predictor), RAMIFY_OK);
        for (size_t row = 0; row < ROWS; row++) {
            const double *x = t.values + 4 * row;
            float nearness = 0;
            assert_int_equal(
                ramify_predictor_place(predictor, 1, x, 4, &labels[row], &all[row].leaf, &nearness),
                RAMIFY_OK);
            for (uint32_t c = 0; lone && c < model->stem.columns; c++) {
                double z = (x[c] - model->stem.center[c]) / model->stem.scale[c];
                nearness += (float)pow(z - (double)predictor->notes->center[c], 2);
            }
            all[row].distance = sqrt((double)nearness);
            all[row].residual = (x[3] - labels[row]) / model->head_scale[0];
            all[row].weight = weighted ? x[2] : 1;
        }
        ramify_predictor_destroy(&predictor);
        /* Weights are counted in their mean over training rows. */
        double mean = sum_up(all, split->train, split->train_count, UINT32_MAX).rows /
                      (double)split->train_count;
        for (size_t row = 0; row < ROWS; row++)
            all[row].weight /= mean;
        float *reach = malloc(model->limits.leaves * sizeof *reach);
        float *spread = malloc(model->limits.leaves * sizeof *spread);
        check_leaves(d, model, all, split, reach, spread);
        check_tables(d, model, all, split, reach, spread, weighted);
        free(reach);
        free(spread);
        free(all);
        ramify_split_destroy(d->context, &split);
        ramify_close(&model);
        toy_destroy(&t);
        desk_close(d);
    }
}

/* Noise that is four times as large for x1 > 0. */
static void add_noise(toy *t, uint64_t seed) {
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 99, 1);
    for (size_t row = 0; row < t->rows; row++) {
        double *x = t->values + row * 3;
        x[2] += (x[0] > 0 ? 0.8 : 0.2) * ramify_random_normal(&random);
    }
}

/* Coverage over seeds: of six models with 600 report rows each the standard error is below .009; in
 * each half, where only the spreads make the difference, a model's spreads are off, too. */
static void test_coverage(void **state) {
    (void)state;
    enum { ROWS = 6000, SEEDS = 6 };
    static const double levels[] = {0.5, 0.8, 0.9, 0.95};
    double held[4][2] = {{0}}, width[4][2] = {{0}}, rows[2] = {0};
    desk *d = desk_open(2);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        toy t = toy_create(d->context, ROWS, 2, smooth, 0, 2 * seed);
        toy fresh = toy_create(d->context, ROWS, 2, smooth, 0, 2 * seed + 1);
        add_noise(&t, 2 * seed);
        add_noise(&fresh, 2 * seed + 1);
        ramify_train_options options = tree_options();
        options.seed = seed;
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
        double *y = malloc(ROWS * sizeof *y), *low = malloc(ROWS * sizeof *y),
               *high = malloc(ROWS * sizeof *y);
        for (size_t l = 0; l < 4; l++) {
            if (ramify_predict_table_notes(d->context, model, fresh.table, y, levels[l], low, high,
                                           NULL))
                fail_msg("%s", ramify_message(d->context));
            for (size_t row = 0; row < ROWS; row++) {
                const double *x = fresh.values + 3 * row;
                held[l][x[0] > 0] += x[2] >= low[row] && x[2] <= high[row];
                width[l][x[0] > 0] += high[row] - low[row];
                rows[x[0] > 0] += l == 0;
            }
        }
        ramify_interval_score score;
        ramify_score whole;
        assert_int_equal(ramify_evaluate_interval(d->context, model, fresh.table, levels[3], &whole,
                                                  NULL, &score),
                         RAMIFY_OK);
        double inside = 0, wide = 0;
        for (size_t row = 0; row < ROWS; row++) {
            inside +=
                fresh.values[3 * row + 2] >= low[row] && fresh.values[3 * row + 2] <= high[row];
            wide += high[row] - low[row];
        }
        assert_true(fabs(score.coverage - inside / ROWS) < 1e-12);
        assert_true(fabs(score.width - wide / ROWS) < 1e-9);
        assert_int_equal(whole.rows, ROWS);
        free(y);
        free(low);
        free(high);
        ramify_close(&model);
        toy_destroy(&t);
        toy_destroy(&fresh);
    }
    for (size_t l = 0; l < 4; l++) {
        double both = (held[l][0] + held[l][1]) / (rows[0] + rows[1]);
        assert_true(fabs(both - levels[l]) < 0.025);
        assert_true(fabs(held[l][0] / rows[0] - levels[l]) < 0.06);
        assert_true(fabs(held[l][1] / rows[1] - levels[l]) < 0.06);
        double ratio = (width[l][1] / rows[1]) / (width[l][0] / rows[0]);
        assert_true(ratio > 2.6 && ratio < 4.5);
    }
    desk_close(d);
}

static double share_below(const double *values, size_t count, double limit) {
    size_t below = 0;
    for (size_t i = 0; i < count; i++)
        below += values[i] < limit;
    return (double)below / (double)count;
}

/* Rows of the same kind: any share of them is as novel as that share of the training rows. */
static void check_novelty(desk *d, const toy *t, const toy *fresh,
                          const ramify_train_options *options) {
    ramify_training *training = NULL;
    ramify_model *model = train(d, t->table, options, RAMIFY_OK, &training);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_true(info.novelty);
    double *novelty = malloc(fresh->rows * sizeof *novelty);
    double *y = malloc(fresh->rows * info.outputs * sizeof *y);
    if (ramify_predict_table_notes(d->context, model, fresh->table, y, 0, NULL, NULL, novelty))
        fail_msg("%s", ramify_message(d->context));
    for (double limit = 0.1; limit < 1; limit += 0.1)
        assert_true(fabs(share_below(novelty, fresh->rows, limit) - limit) < 0.03);
    assert_true(share_below(novelty, fresh->rows, 0.99) > 0.98);

    /* Of the training rows none is beyond all of them, and made-up ones are not counted. */
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(d->context, model, 1, &predictor), RAMIFY_OK);
    assert_int_equal(ramify_notes_take(predictor), RAMIFY_OK);
    const ramify_note *last = &predictor->notes->distances[model->notes.distances - 1];
    assert_true(fabs(last->share - (1 - 1 / (double)training->train_rows)) < 1e-12);
    double x[2], far;
    for (size_t i = 0; i < 16; i++) {
        double angle = (double)i * 0.4;
        x[0] = 6 * cos(angle);
        x[1] = 6 * sin(angle);
        assert_int_equal(ramify_predict_novelty(predictor, 1, x, 2, &far), RAMIFY_OK);
        assert_true(far == 1);
    }
    double *own = malloc(t->rows * sizeof *own);
    assert_int_equal(ramify_predict_novelty(predictor, t->rows, t->values, 3, own), RAMIFY_OK);
    assert_true(fabs(share_below(own, t->rows, 0.5) - 0.5) < 0.02);
    size_t beyond = 0;
    for (size_t i = 0; i < t->rows; i++)
        beyond += own[i] == 1;
    assert_true(beyond <= training->select_rows + training->report_rows && beyond < t->rows / 100);
    free(own);
    free(y);
    free(novelty);
    ramify_predictor_destroy(&predictor);
    ramify_training_destroy(&training);
    ramify_close(&model);
}

static void test_novelty(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, 4000, 2, smooth, 0.1, 31);
    toy fresh = toy_create(d->context, 4000, 2, smooth, 0.1, 32);
    ramify_train_options options = tree_options();
    options.gradient_routing = RAMIFY_CHOICE_OFF; /* a circle around the rows is far from them */
    check_novelty(d, &t, &fresh, &options);
    options.distillation = RAMIFY_CHOICE_ON;
    check_novelty(d, &t, &fresh, &options);
    options.distillation = RAMIFY_CHOICE_OFF;
    options.kind = "mlp";
    check_novelty(d, &t, &fresh, &options);
    options.kind = "pathways";
    options.task = "classification";
    for (size_t row = 0; row < 4000; row++)
        t.values[3 * row + 2] = fresh.values[3 * row + 2] = row % 3 == 0;
    check_novelty(d, &t, &fresh, &options);
    toy_destroy(&t);
    toy_destroy(&fresh);
    desk_close(d);
}

/* Targets of different noise each have their own intervals. */
static void test_several_targets(void **state) {
    (void)state;
    enum { ROWS = 3000 };
    desk *d = desk_open(2);
    toy t = toy_create(d->context, ROWS, 3, smooth, 0.05, 51);
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_SHUFFLE, 3, 3);
    for (size_t row = 0; row < ROWS; row++)
        t.values[4 * row + 2] =
            100 * (t.values[4 * row] + 0.5 * ramify_random_normal(&random)); /* the second target */
    ramify_train_options options = tree_options();
    options.target = "y,x3";
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_score score;
    ramify_score targets[2];
    ramify_interval_score intervals[2];
    if (ramify_evaluate_interval(d->context, model, t.table, 0.9, &score, targets, intervals))
        fail_msg("%s", ramify_message(d->context));
    for (size_t i = 0; i < 2; i++) {
        assert_true(fabs(intervals[i].coverage - 0.9) < 0.05);
        /* A normal's is 3.3 standard deviations wide. */
        assert_true(intervals[i].width > 2.8 * targets[i].rmse &&
                    intervals[i].width < 4 * targets[i].rmse);
    }
    assert_true(targets[1].rmse > 20 * targets[0].rmse);
    ramify_close(&model);
    toy_destroy(&t);
    desk_close(d);
}

/* Too few report rows for an interval, a target that is always met, a stop, a limit. */
static void test_poor_trainings(void **state) {
    (void)state;
    desk *d = desk_open(1);
    ramify_train_options options = quick_options();
    ramify_model_info info;
    const size_t rows[] = {40, 60, 80};
    for (size_t i = 0; i < 3; i++) {
        toy t = toy_create(d->context, rows[i], 2, smooth, 0.1, 3);
        options.validation = 0.07;
        ramify_training *training = NULL;
        ramify_model *model = train(d, t.table, &options, RAMIFY_OK, &training);
        ramify_model_get_info(model, &info);
        assert_int_equal(info.intervals, training->report_rows >= 3);
        assert_true(info.novelty);
        assert_int_equal(ramify_model_check(d->context, model), RAMIFY_OK);
        ramify_training_destroy(&training);
        ramify_close(&model);
        toy_destroy(&t);
    }
    options = tree_options();
    toy t = toy_create(d->context, 800, 2, nothing, 0, 3);
    ramify_model *model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_interval_score interval;
    ramify_score score;
    assert_int_equal(
        ramify_evaluate_interval(d->context, model, t.table, 0.9, &score, NULL, &interval),
        RAMIFY_OK);
    assert_true(interval.coverage >= 0.8 && interval.width < 0.1);
    ramify_close(&model);
    toy_destroy(&t);

    t = toy_create(d->context, 2000, 2, smooth, 0.1, 3);
    uint64_t before = d->questions;
    model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_close(&model);
    d->stop_at = d->questions + (d->questions - before) * 3 / 4; /* one thread: on the way again */
    model = train(d, t.table, &options, RAMIFY_STOPPED, NULL);
    assert_non_null(model);
    d->stop_at = 0;
    ramify_model_get_info(model, &info);
    assert_true(info.intervals && info.novelty);
    assert_int_equal(
        ramify_evaluate_interval(d->context, model, t.table, 0.9, &score, NULL, &interval),
        RAMIFY_OK);
    assert_true(fabs(interval.coverage - 0.9) < 0.1);
    ramify_close(&model);
    options.time_limit = 1e-3;
    model = train(d, t.table, &options, RAMIFY_OK, NULL);
    ramify_model_get_info(model, &info);
    assert_true(info.intervals && info.novelty);
    ramify_close(&model);
    toy_destroy(&t);
    desk_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_novelty),
        cmocka_unit_test(test_several_targets),
        cmocka_unit_test(test_poor_trainings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fitting one expert. */

#include "expert.h"
#include "float_mode.h"
#include "progress.h"
#include "status.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ramify_context *context;

/* Asks to stop at the `stop_at`-th question; 0: never. */
static uint64_t questions, stop_at;

/* Questions that were asked with denormal numbers flushed. */
static uint64_t flushed_questions;

static bool cancel(void *user) {
    (void)user;
    flushed_questions += !toy_denormals_are_kept();
    return stop_at > 0 && ++questions >= stop_at;
}

static int open_context(void **state) {
    (void)state;
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.cancel = cancel;
    return ramify_context_create(&options, &context) == RAMIFY_OK ? 0 : 1;
}

static int close_context(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

static int start_over(void **state) {
    (void)state;
    questions = stop_at = flushed_questions = 0;
    ramify_clear(context);
    return 0;
}

static double linear(const double *x) {
    return 3 + 2 * x[0] - x[1] + 0.5 * x[2];
}

static double product(const double *x) {
    return x[0] * x[1];
}

static double flat(const double *x) {
    (void)x;
    return 0;
}

typedef struct trainee {
    toy t;
    ramify_encoder *encoder;
    ramify_mlp_shape shape;
    size_t floats;
    float *record, *features;
} trainee;

static trainee start(toy_function *function, double noise, const char *task, bool bins,
                     uint32_t hidden, uint32_t members) {
    trainee e = {.t = toy_create(context, 1000, 3, function, noise, 1)};
    if (task)
        for (size_t row = 0; row < e.t.rows; row++)
            e.t.values[row * 4 + 3] = e.t.values[row * 4 + 3] > 0;
    toy_problem(&e.t, 700, 200, task, NULL);
    ramify_encoder_options options = {.bins = bins, .bin_count = 8};
    assert_int_equal(ramify_encoder_create(e.t.problem, &options, &e.encoder), RAMIFY_OK);
    e.shape =
        (ramify_mlp_shape){2, members, {e.encoder->stem.features, hidden, e.t.problem->outputs}};
    e.floats = ramify_mlp_record_bytes(&e.shape) / sizeof(float);
    e.record = toy_floats(e.floats);
    ramify_mlp_initialise(&e.shape, 0.25F, 1, 0, e.record);
    size_t stride = ramify_pad(e.encoder->stem.features);
    e.features = toy_floats(e.t.rows * stride);
    ramify_encoder_forward(e.t.problem, e.encoder, e.t.problem->row_memory, e.t.rows, e.features,
                           stride);
    return e;
}

static void finish(trainee *e) {
    free(e->record);
    free(e->features);
    ramify_encoder_destroy(context, &e->encoder);
    toy_destroy(&e->t);
}

static const ramify_expert_plan usual = {
    .epochs = 60,
    .batch = 32,
    .rate = 0.01,
    .warm_up = 0.1,
    .cosine = true,
    .checks = 10,
    .train_slope = true,
};

/* Fits with the encoder frozen. */
static ramify_status fit(trainee *e, const ramify_expert_plan *plan, bool keep_start,
                         ramify_fit_score *best) {
    return ramify_expert_fit(e->t.problem, &e->shape, plan, e->encoder, e->features,
                             e->t.problem->train, NULL, e->t.problem->select, keep_start, e->record,
                             best);
}

/* Scores a record afresh. */
static ramify_fit_score score(const trainee *e, ramify_rows rows, bool frozen) {
    size_t padded = ramify_pad(e->t.problem->outputs);
    float *outputs = toy_floats(rows.count * padded), *loss = toy_floats(2 * rows.count);
    assert_int_equal(ramify_expert_outputs(e->t.problem, &e->shape, e->encoder,
                                           frozen ? e->features : NULL, e->record, rows, outputs),
                     RAMIFY_OK);
    ramify_expert_losses(e->t.problem, rows, outputs, loss, loss + rows.count);
    ramify_fit_score found = ramify_expert_score(e->t.problem, rows, loss, loss + rows.count);
    free(outputs);
    free(loss);
    return found;
}

static void test_learns_a_linear_function(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 2; members++) {
        trainee e = start(linear, 0, NULL, false, 8, members);
        ramify_fit_score best;
        assert_int_equal(fit(&e, &usual, false, &best), RAMIFY_OK);
        assert_true(best.loss < 1e-3);
        assert_true(score(&e, e.t.problem->report, true).loss < 2e-3);
        /* The stated score is that of the weights given back. */
        assert_true(score(&e, e.t.problem->select, true).loss == best.loss);
        finish(&e);
    }
}

static void test_learns_exclusive_or(void **state) {
    (void)state;
    trainee e = start(product, 0, "classification", false, 16, 1);
    ramify_fit_score best;
    ramify_expert_plan plan = usual;
    plan.smoothing = 0.02;
    assert_int_equal(fit(&e, &plan, false, &best), RAMIFY_OK);
    assert_true(best.error < 0.05);
    ramify_fit_score fresh = score(&e, e.t.problem->report, true);
    assert_true(fresh.error < 0.07 && fresh.loss < 0.3);
    finish(&e);
}

/* The encoder learns with the expert, and stays as it is when it is frozen. */
static void test_trains_the_encoder(void **state) {
    (void)state;
    trainee e = start(product, 0, NULL, true, 8, 1);
    size_t parameters = e.encoder->parameters;
    float *theta = toy_floats(parameters);
    memcpy(theta, e.encoder->theta, parameters * sizeof *theta);
    ramify_fit_score best;
    assert_int_equal(fit(&e, &usual, false, &best), RAMIFY_OK);
    assert_memory_equal(theta, e.encoder->theta, parameters * sizeof *theta);
    ramify_expert_plan plan = usual;
    plan.average = 0.95;
    assert_int_equal(ramify_expert_fit(e.t.problem, &e.shape, &plan, e.encoder, NULL,
                                       e.t.problem->train, NULL, e.t.problem->select, false,
                                       e.record, &best),
                     RAMIFY_OK);
    assert_memory_not_equal(theta, e.encoder->theta, parameters * sizeof *theta);
    assert_true(best.loss < 0.02);
    assert_true(score(&e, e.t.problem->select, false).loss == best.loss);
    free(theta);
    finish(&e);
}

/* Rows of weight 0 say 1, the others -1: only the latter are heard. */
static void test_weights(void **state) {
    (void)state;
    for (int own = 0; own < 2; own++) {
        toy t = toy_create(context, 1000, 3, flat, 0, 1);
        double weight[1000];
        float row_weight[700];
        for (size_t row = 0; row < 1000; row++) {
            t.values[row * 4 + 3] = row % 2 ? 1 : -1;
            weight[row] = row % 2 ? 0 : 3;
            if (row < 700)
                row_weight[row] = row % 2 ? 0.0F : 1.0F;
        }
        assert_int_equal(ramify_table_add_doubles(context, t.table, "w", weight), RAMIFY_OK);
        toy_problem(&t, 700, 200, NULL, own ? NULL : "w");
        if (own)
            assert_int_equal(t.schema->column_count, 4);
        ramify_encoder_options options = {0};
        ramify_encoder *encoder;
        assert_int_equal(ramify_encoder_create(t.problem, &options, &encoder), RAMIFY_OK);
        ramify_mlp_shape shape = {1, 1, {encoder->stem.features, 1}};
        float *record = toy_floats(ramify_mlp_record_bytes(&shape) / sizeof(float));
        ramify_expert_plan plan = usual;
        plan.rate = 0.03;
        /* Without select rows the last weights are taken. With the column "w" among the inputs the
         * sign could be read off it. */
        if (own)
            for (size_t row = 0; row < 1000; row++)
                t.problem->plain[row * t.problem->plain_stride + 3] = 0;
        assert_int_equal(ramify_expert_fit(t.problem, &shape, &plan, encoder, NULL,
                                           t.problem->train, own ? row_weight : NULL,
                                           (ramify_rows){0}, false, record, NULL),
                         RAMIFY_OK);
        float outputs[16 * 16];
        assert_int_equal(ramify_expert_outputs(t.problem, &shape, encoder, NULL, record,
                                               (ramify_rows){t.problem->report.row, 16}, outputs),
                         RAMIFY_OK);
        double low = (-1 - t.problem->head_center[0]) / t.problem->head_scale[0];
        for (size_t i = 0; i < 16; i++)
            assert_true(fabs((double)outputs[16 * i] - low) < 0.1);
        free(record);
        ramify_encoder_destroy(context, &encoder);
        toy_destroy(&t);
    }
}

/* Scores are weighted means: rows of weight 0 do not count. */
static void test_weighted_score(void **state) {
    (void)state;
    float weight[] = {1, 0, 3}, loss[] = {2, 100, 6}, error[] = {1, 1, 0};
    uint32_t rows[] = {0, 1, 2};
    ramify_problem problem = {.weight = weight};
    ramify_fit_score found = ramify_expert_score(&problem, (ramify_rows){rows, 3}, loss, error);
    assert_true(found.loss == 5 && found.error == 0.25);
    problem.weight = NULL;
    found = ramify_expert_score(&problem, (ramify_rows){rows, 3}, loss, error);
    assert_true(found.loss == 36);
}

/* A deadline that has passed ends a fit that would otherwise go on (until it is cancelled). */
static void test_deadline(void **state) {
    (void)state;
    trainee e = start(linear, 0, NULL, false, 8, 1);
    ramify_expert_plan plan = usual;
    plan.epochs = 100000000;
    plan.started = ramify_seconds() - 2;
    plan.deadline = plan.started + 1;
    stop_at = 2000;
    ramify_fit_score best = {-1, -1};
    assert_int_equal(fit(&e, &plan, false, &best), RAMIFY_OK);
    assert_true(best.loss > 0);
    assert_true(score(&e, e.t.problem->select, true).loss == best.loss);
    /* The time was used up before the fit began. */
    questions = 0;
    plan.deadline = plan.started - 1;
    assert_int_equal(fit(&e, &plan, false, &best), RAMIFY_OK);
    plan.deadline = plan.started;
    assert_int_equal(fit(&e, &plan, false, &best), RAMIFY_OK);
    finish(&e);
}

static void test_cancel(void **state) {
    (void)state;
    for (uint64_t when = 1; when <= 60; when += 59) {
        start_over(NULL);
        trainee e = start(linear, 0, NULL, false, 8, 1);
        ramify_expert_plan plan = usual;
        plan.checks = 100;
        stop_at = when;
        ramify_fit_score best = {-1, -1};
        /* Questions come every 16 steps; a check every 13. */
        assert_int_equal(fit(&e, &plan, false, &best), RAMIFY_STOPPED);
        assert_int_equal(questions, when);
        assert_true(best.loss > 0);
        assert_true(score(&e, e.t.problem->select, true).loss == best.loss);
        finish(&e);
    }
}

static void test_keeps_the_start(void **state) {
    (void)state;
    trainee e = start(product, 0, NULL, false, 16, 1);
    ramify_fit_score best, after;
    assert_int_equal(fit(&e, &usual, false, &best), RAMIFY_OK);
    float *trained = toy_floats(e.floats);
    memcpy(trained, e.record, e.floats * sizeof *trained);
    ramify_expert_plan harmful = usual;
    harmful.rate = 0.5;
    harmful.cosine = false;
    harmful.warm_up = 0;
    harmful.epochs = 2;
    assert_int_equal(fit(&e, &harmful, true, &after), RAMIFY_OK);
    assert_memory_equal(trained, e.record, e.floats * sizeof *trained);
    assert_true(after.loss == best.loss);
    /* Its average wanders off too. */
    harmful.average = 0.5;
    assert_int_equal(fit(&e, &harmful, true, &after), RAMIFY_OK);
    assert_memory_equal(trained, e.record, e.floats * sizeof *trained);
    /* The last weights are kept where that is asked for, be they worse. */
    harmful.average = 0;
    harmful.keep_last = true;
    assert_int_equal(fit(&e, &harmful, true, &after), RAMIFY_OK);
    assert_true(after.loss > best.loss);
    assert_true(score(&e, e.t.problem->select, true).loss == after.loss);
    memcpy(e.record, trained, e.floats * sizeof *trained);
    harmful.keep_last = false;
    assert_int_equal(fit(&e, &harmful, false, &after), RAMIFY_OK);
    assert_memory_not_equal(trained, e.record, e.floats * sizeof *trained);
    assert_true(after.loss > best.loss);
    free(trained);
    finish(&e);
}

static void test_slopes_can_be_kept(void **state) {
    (void)state;
    trainee e = start(product, 0, NULL, false, 16, 1);
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(&e.shape, layer);
    ramify_expert_plan plan = usual;
    plan.train_slope = false;
    plan.decay = 0.1;
    assert_int_equal(fit(&e, &plan, false, NULL), RAMIFY_OK);
    for (size_t j = 0; j < 16; j++)
        assert_true(e.record[layer[0].slope + j] == 0.25F);
    plan.train_slope = true;
    assert_int_equal(fit(&e, &plan, false, NULL), RAMIFY_OK);
    size_t moved = 0;
    for (size_t j = 0; j < 16; j++)
        moved += e.record[layer[0].slope + j] != 0.25F;
    assert_true(moved > 8);
    finish(&e);
}

/* Decay pulls weights towards 0 and leaves biases alone; padding stays zero. */
static void test_decay_and_padding(void **state) {
    (void)state;
    double size[2];
    for (int decayed = 0; decayed < 2; decayed++) {
        trainee e = start(product, 0.5, NULL, true, 17, 2);
        ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
        ramify_mlp_layout(&e.shape, layer);
        ramify_expert_plan plan = usual;
        plan.decay = decayed ? 2 : 0;
        assert_int_equal(ramify_expert_fit(e.t.problem, &e.shape, &plan, e.encoder, NULL,
                                           e.t.problem->train, NULL, (ramify_rows){0}, false,
                                           e.record, NULL),
                         RAMIFY_OK);
        size[decayed] = 0;
        for (size_t i = 0; i < layer[0].weight_floats; i++) {
            double weight = (double)e.record[layer[0].weight + i];
            size[decayed] += weight * weight;
            if (i % 32 >= 17)
                assert_true(weight == 0);
        }
        for (size_t m = 0; m < 2; m++)
            for (size_t j = 17; j < 32; j++) {
                assert_true(e.record[layer[0].bias + m * 32 + j] == 0.0F);
                assert_true(e.record[layer[0].s + m * 32 + j] == 0.0F);
            }
        finish(&e);
    }
    assert_true(size[1] < 0.5 * size[0]);
}

static void test_deterministic(void **state) {
    (void)state;
    trainee a = start(product, 0.1, NULL, false, 8, 1), b = start(product, 0.1, NULL, false, 8, 1);
    ramify_expert_plan plan = usual;
    plan.epochs = 5;
    assert_int_equal(fit(&a, &plan, false, NULL), RAMIFY_OK);
    assert_int_equal(fit(&b, &plan, false, NULL), RAMIFY_OK);
    assert_memory_equal(a.record, b.record, a.floats * sizeof *a.record);
    ramify_mlp_initialise(&b.shape, 0.25F, 1, 0, b.record);
    plan.node = 1; /* another order of rows */
    assert_int_equal(fit(&b, &plan, false, NULL), RAMIFY_OK);
    assert_memory_not_equal(a.record, b.record, a.floats * sizeof *a.record);
    finish(&a);
    finish(&b);
}

/* Fewer rows than a batch, and a batch that leaves a rest. */
static void test_odd_batches(void **state) {
    (void)state;
    static const uint32_t batches[] = {1, 333, 699, 700, 701, 5000};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        trainee e = start(linear, 0, NULL, false, 8, 1);
        ramify_expert_plan plan = usual;
        plan.batch = batches[i];
        plan.epochs = batches[i] == 1 ? 5 : 200;
        ramify_fit_score best;
        assert_int_equal(fit(&e, &plan, false, &best), RAMIFY_OK);
        assert_true(best.loss < 0.05);
        finish(&e);
    }
}

/* Steps flush denormal numbers, and nothing else does: neither callbacks nor the caller notice. */
static void test_steps_flush_denormals(void **state) {
    (void)state;
    trainee e = start(linear, 0, NULL, false, 8, 1);
    ramify_expert_plan plan = usual;
    plan.epochs = 2;
    const ramify_float_mode own = ramify_flush_denormals();
    const bool can = !toy_denormals_are_kept();
    ramify_float_mode_set(own);
    if (!can) {
        finish(&e);
        skip();
    }
    e.t.problem->kernels = toy_watched_kernels();
    stop_at = 1000;
    assert_int_equal(fit(&e, &plan, false, NULL), RAMIFY_OK);
    assert_true(toy_flushed > 0);
    assert_int_equal(toy_kept, 0);
    assert_true(questions > 0);
    assert_int_equal(flushed_questions, 0);
    assert_true(toy_denormals_are_kept());

    /* A caller that flushes goes on to. */
    ramify_flush_denormals();
    assert_int_equal(fit(&e, &plan, false, NULL), RAMIFY_OK);
    assert_int_equal(toy_kept, 0);
    assert_false(toy_denormals_are_kept());
    ramify_float_mode_set(own);
    finish(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_learns_a_linear_function, start_over),
        cmocka_unit_test_setup(test_learns_exclusive_or, start_over),
        cmocka_unit_test_setup(test_trains_the_encoder, start_over),
        cmocka_unit_test_setup(test_weights, start_over),
        cmocka_unit_test_setup(test_weighted_score, start_over),
        cmocka_unit_test_setup(test_deadline, start_over),
        cmocka_unit_test_setup(test_cancel, start_over),
        cmocka_unit_test_setup(test_keeps_the_start, start_over),
        cmocka_unit_test_setup(test_slopes_can_be_kept, start_over),
        cmocka_unit_test_setup(test_decay_and_padding, start_over),
        cmocka_unit_test_setup(test_deterministic, start_over),
        cmocka_unit_test_setup(test_odd_batches, start_over),
        cmocka_unit_test_setup(test_steps_flush_denormals, start_over),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

/* Fitting a Para-Former: gradients, passes, threads, checkpoints, bounds. */

#include "crc32c.h"
#include "float_mode.h"
#include "memory.h"
#include "paraformer_checkpoint.h"
#include "paraformer_gradient.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Callbacks: memory is counted and refused, and a fit stopped, when a test says so. */
static struct {
    size_t flushed_questions;              /* asked with denormal numbers flushed */
    size_t live, peak, calls, refuse_from; /* refuse_from 0: none */
    size_t questions, stop_at;             /* stop_at 0: never */
} told;

static void *count_allocate(void *user, size_t size) {
    (void)user;
    told.calls++;
    if (told.refuse_from > 0 && told.calls >= told.refuse_from)
        return NULL;
    size_t *block = malloc(size + 2 * sizeof *block);
    assert_non_null(block);
    block[0] = size;
    told.live += size;
    told.peak = told.live > told.peak ? told.live : told.peak;
    return block + 2;
}

static void count_release(void *user, void *memory) {
    (void)user;
    size_t *block = (size_t *)memory - 2;
    told.live -= block[0];
    free(block);
}

static bool cancel(void *user) {
    (void)user;
    told.flushed_questions += !toy_denormals_are_kept();
    return told.stop_at > 0 && ++told.questions >= told.stop_at;
}

static ramify_context *open_context(uint32_t threads) {
    memset(&told, 0, sizeof told);
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = threads;
    options.allocate =
        count_allocate; /* tasks allocate nothing: it need not be safe from threads */
    options.release = count_release;
    options.cancel = cancel;
    ramify_context *context;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    return context;
}

/* Images of SIDE x SIDE: class c has a bright square in quarter c, and noise. */
#define SIDE   8
#define PIXELS (SIDE * SIDE)
#define ROWS   600
#define TRAIN  400

typedef struct subject {
    ramify_context *context;
    ramify_problem problem;
    ramify_paraformer_shape shape;
    ramify_paraformer_parts parts;
    ramify_rows train, select;
    uint32_t row[ROWS];
    float *vector;
    ramify_paraformer_weights weights;
    ramify_paraformer_plan plan;
    ramify_paraformer_result result;
    ramify_fit_score prefix[4];
} subject;

static void make_rows(ramify_problem *p, uint32_t targets) {
    p->plain_stride = PIXELS;
    p->plain = toy_floats((size_t)ROWS * PIXELS);
    p->weight = toy_floats(ROWS);
    p->label = targets == 0 ? calloc(ROWS, sizeof *p->label) : NULL;
    p->target = targets > 0 ? toy_floats((size_t)ROWS * targets) : NULL;
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    for (size_t i = 0; i < ROWS; i++) {
        uint32_t quarter = (uint32_t)ramify_random_below(&random, 4);
        float *image = p->plain + i * PIXELS;
        for (uint32_t y = 0; y < SIDE; y++)
            for (uint32_t x = 0; x < SIDE; x++)
                image[y * SIDE + x] =
                    0.5F * (float)ramify_random_normal(&random) +
                    (y / (SIDE / 2) * 2 + x / (SIDE / 2) == quarter ? 1.0F : 0.0F);
        p->weight[i] = i % 2 ? 1.25F : 0.75F;
        if (p->label)
            p->label[i] = quarter;
        for (uint32_t t = 0; t < targets; t++)
            p->target[i * targets + t] =
                t == 0 ? (quarter < 2 ? 1.0F : -1.0F) : (quarter % 2 ? 1.0F : -1.0F);
    }
}

static void open_subject(subject *s, uint32_t threads, uint32_t targets, uint32_t branches,
                         uint32_t depth) {
    memset(s, 0, sizeof *s);
    s->context = open_context(threads);
    s->problem = (ramify_problem){.context = s->context,
                                  .kernels = ramify_kernels_select(NULL),
                                  .rows = ROWS,
                                  .outputs = targets > 0 ? targets : 4,
                                  .targets = targets};
    make_rows(&s->problem, targets);
    for (uint32_t i = 0; i < ROWS; i++)
        s->row[i] = i;
    s->train = (ramify_rows){s->row, TRAIN};
    s->select = (ramify_rows){s->row + TRAIN, ROWS - TRAIN};
    s->shape = (ramify_paraformer_shape){
        .embedding = {16, 5, PIXELS, SIDE, SIDE, 1, SIDE / 2, NULL},
        .branch = {depth, 16, 2, 32, 5, false, false, 1e-5F},
        .branches = branches,
        .head = {16, s->problem.outputs, 1e-5F},
    };
    s->parts = ramify_paraformer_parts_of(&s->shape);
    s->vector = toy_floats(s->parts.floats);
    s->weights = ramify_paraformer_weights_in(&s->shape, s->vector);
    ramify_paraformer_start(&s->shape, 7, &s->weights);
    ramify_paraformer_plan_init(RAMIFY_PASSES_WHOLE, &s->plan);
    s->plan.batch = 40;
    s->plan.rate = 0.003;
    s->plan.average = 0;
}

static void close_subject(subject *s) {
    free(s->problem.plain);
    free(s->problem.weight);
    free(s->problem.label);
    free(s->problem.target);
    free(s->vector);
    ramify_context_destroy(&s->context);
    assert_int_equal(told.live, 0);
}

static ramify_status fit(subject *s) {
    ramify_clear(s->context);
    return ramify_paraformer_fit(&s->problem, &s->shape, &s->plan, s->train, s->select, &s->weights,
                                 s->prefix, &s->result);
}

static const ramify_augmentation changes = {
    .height = SIDE, .breadth = SIDE, .channels = 1, .crop = 1, .operations = 1, .magnitude = 0.3};

/* The batch's loss, in double from the outputs in float. */
static double loss_of(subject *s, const ramify_gradient_batch *batch) {
    size_t padded = ramify_pad(s->problem.outputs), classes = s->problem.outputs;
    float *outputs = toy_floats(batch->count * padded);
    assert_int_equal(ramify_paraformer_outputs(&s->problem, &s->shape, &s->weights,
                                               (ramify_rows){batch->rows, batch->count},
                                               batch->branches, outputs),
                     RAMIFY_OK);
    double loss = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const float *y = outputs + i * padded;
        double row = 0, sum = 0;
        for (size_t c = 0; c < classes; c++)
            sum += exp((double)y[c]);
        for (size_t c = 0; c < classes; c++) {
            if (s->problem.label) {
                double share = batch->smoothing / (double)classes +
                               (s->problem.label[batch->rows[i]] == c) * (1 - batch->smoothing);
                row += share * (log(sum) - (double)y[c]);
            } else {
                /* Its gradient is that of half the squared error. */
                double off = (double)(y[c] - s->problem.target[batch->rows[i] * classes + c]);
                row += off * off / 2;
            }
        }
        loss += row * (double)s->problem.weight[batch->rows[i]] / (double)batch->count;
    }
    free(outputs);
    return loss;
}

static void check_gradient(uint32_t targets, uint32_t branches, uint32_t used,
                           const ramify_gradient_plan *plan) {
    subject s;
    open_subject(&s, 1, targets, branches, 2);
    /* Away from where branches matter little. */
    for (size_t i = 0; i < s.parts.floats; i++)
        s.vector[i] *= 1.5F;
    const ramify_gradient_batch batch = {
        .rows = s.row + 3, .count = 13, .branches = used, .smoothing = 0.1};
    const ramify_deal alone = {0};
    ramify_gradient *gradient;
    double loss;
    assert_int_equal(ramify_gradient_create(&s.problem, &s.shape, plan, &alone, &gradient),
                     RAMIFY_OK);
    for (int times = 0; times < 2; times++) /* it does not add to the last batch's */
        assert_int_equal(ramify_gradient_run(gradient, &s.weights, &batch, &loss), RAMIFY_OK);
    double want = loss_of(&s, &batch);
    if (targets == 0)
        assert_true(fabs(loss - want) < 1e-5 * want);
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    for (uint32_t part = 0; part <= used; part++) {
        size_t floats, at = ramify_paraformer_part(&s.parts, part, &floats);
        const float *found = ramify_gradient_part(gradient, part);
        double most = 0;
        for (size_t i = 0; i < floats; i++)
            most = fmax(most, fabs((double)found[i]));
        for (size_t i = 0; i < 25; i++) {
            size_t weight = ramify_random_below(&random, floats);
            float was = s.vector[at + weight];
            const float step = 1.0F / 64;
            double side[2];
            for (int way = 0; way < 2; way++) {
                s.vector[at + weight] = was + (way ? step : -step);
                side[way] = loss_of(&s, &batch);
            }
            s.vector[at + weight] = was;
            double slope = (side[1] - side[0]) / (2 * (double)step);
            if (!(fabs(slope - (double)found[weight]) < 2e-3 * (most + fabs(slope))))
                fail_msg("part %u, weight %zu: gradient %.6g, difference %.6g (largest %.3g)", part,
                         weight, (double)found[weight], slope, most);
        }
    }
    ramify_gradient_destroy(s.context, &gradient);
    close_subject(&s);
}

static void test_gradient(void **state) {
    (void)state;
    const ramify_gradient_plan plans[] = {{1, 64}, {1, 1}, {16, 2}, {4, 3}};
    for (size_t i = 0; i < 4; i++) {
        check_gradient(0, 3, 3, &plans[i]);
        check_gradient(0, 3, 2, &plans[i]);
    }
    check_gradient(2, 1, 1, &plans[2]);
}

/* One weight vector per number of threads. */
static void test_threads(void **state) {
    (void)state;
    float *first = NULL;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        subject s;
        open_subject(&s, threads, 0, 3, 2);
        s.plan.passes = RAMIFY_PASSES_BOTH;
        s.plan.epochs = 1;
        s.plan.average = 0.9;
        s.plan.augmentation = changes;
        s.plan.checks = 3;
        assert_int_equal(fit(&s), RAMIFY_OK);
        assert_int_equal(s.result.steps, 40);
        assert_true(s.result.branch_passes == TRAIN * (1 + 2 + 3 + 3));
        if (first) {
            assert_memory_equal(first, s.vector, s.parts.floats * sizeof *first);
        } else {
            first = toy_floats(s.parts.floats);
            memcpy(first, s.vector, s.parts.floats * sizeof *first);
        }
        close_subject(&s);
    }
    free(first);
}

static void test_learns(void **state) {
    (void)state;
    for (int passes = 0; passes < 3; passes++) {
        subject s;
        open_subject(&s, 2, 0, 2, passes == 0 ? 2 : 1);
        s.plan.passes = (ramify_paraformer_passes)passes;
        s.plan.epochs = passes == 1 ? 6 : 12;
        s.plan.average = passes == 1 ? 0.98 : 0;
        s.plan.augmentation = changes;
        assert_int_equal(fit(&s), RAMIFY_OK);
        assert_true(s.result.score.error < 0.03);
        /* The stated scores are those of the weights given back. */
        assert_true(s.prefix[1].error == s.result.score.error &&
                    s.prefix[1].loss == s.result.score.loss);
        /* The first prefix, too, where it was taught: without, it is right in a quarter of the rows. */
        if (passes > 0)
            assert_true(s.prefix[0].error < 0.4);
        close_subject(&s);
    }
}

static void test_learns_regression(void **state) {
    (void)state;
    subject s;
    open_subject(&s, 2, 2, 2, 1);
    s.plan.epochs = 15;
    s.plan.smoothing = 0;
    assert_int_equal(fit(&s), RAMIFY_OK);
    assert_true(s.result.score.loss < 0.1);
    close_subject(&s);
}

/* Floats of a checkpoint: which is 0 for weights, 1 and 2 for moments. */
static void read_floats(const subject *s, const char *path, size_t which, float *values,
                        uint64_t *part_steps) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 88, SEEK_SET), 0);
    size_t parts = s->shape.branches + (size_t)1;
    assert_int_equal(fread(part_steps, sizeof *part_steps, parts, file), parts);
    assert_int_equal(fseek(file, (long)(which * s->parts.floats * sizeof *values), SEEK_CUR), 0);
    assert_int_equal(fread(values, sizeof *values, s->parts.floats, file), s->parts.floats);
    fclose(file);
}

static double norm(const float *x, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static char place[] = "/tmp/ramify-checkpoint-XXXXXX";

static int make_place(void **state) {
    (void)state;
    int descriptor = mkstemp(place);
    if (descriptor < 0)
        return 1;
    close(descriptor);
    return unlink(place);
}

static int remove_place(void **state) {
    (void)state;
    unlink(place);
    return 0;
}

/* Stops after a number of steps; moments and Adam steps as they are then. */
static void fit_until(subject *s, size_t steps, float *moments, uint64_t *part_steps) {
    told.questions = 0;
    told.stop_at = steps;
    s->plan.checkpoint = place;
    s->plan.resume = false;
    assert_int_equal(fit(s), RAMIFY_STOPPED);
    assert_int_equal(s->result.steps, steps);
    read_floats(s, place, 1, moments, part_steps);
}

/* What the released training does: prefix after prefix, batch after batch. */
static void check_passes(bool freeze) {
    for (size_t steps = 1; steps <= 5; steps++) {
        subject s;
        open_subject(&s, 2, 0, 3, 1);
        s.plan.passes = RAMIFY_PASSES_BOTH;
        s.plan.freeze = freeze;
        s.plan.decay = 0.5;
        s.plan.warm_up = 0;
        s.plan.clip = 0;
        s.select.count = 0;
        s.plan.batch = TRAIN / 2;
        for (size_t i = 0; i < ROWS; i++)
            s.problem.weight[i] = 1000; /* so that gradients are long */
        float *start = toy_floats(s.parts.floats), *moments = toy_floats(s.parts.floats);
        memcpy(start, s.vector, s.parts.floats * sizeof *start);
        uint64_t part_steps[4];
        fit_until(&s, steps, moments, part_steps);
        /* Steps 1, 2, 3 are of the prefixes of the first batch, 4 and 5 of the second. */
        assert_int_equal(part_steps[0], steps);
        for (uint64_t part = 1; part <= 3; part++) {
            size_t floats, at = ramify_paraformer_part(&s.parts, (uint32_t)part, &floats);
            uint64_t want = 0;
            for (uint64_t step = 0; step < steps; step++)
                want += freeze ? step % 3 + 1 == part : step % 3 + 1 >= part;
            assert_int_equal(part_steps[part], want);
            bool same = memcmp(start + at, s.vector + at, floats * sizeof *start) == 0;
            assert_true(same == (want == 0));
            assert_true((norm(moments + at, floats) == 0) == (want == 0));
        }
        double length = norm(moments, s.parts.floats);
        if (steps == 1)
            assert_true(fabs(length - 0.1) < 1e-5); /* (1 - 0.9) of a gradient of length 1 */
        assert_true(length < 1);
        free(start);
        free(moments);
        close_subject(&s);
    }
}

static void test_passes(void **state) {
    (void)state;
    check_passes(false);
    check_passes(true);
    /* Pass B does not clip, trains everything, and comes after the last batch of pass A. */
    subject s;
    open_subject(&s, 2, 0, 3, 1);
    s.plan.passes = RAMIFY_PASSES_BOTH;
    s.plan.freeze = true;
    s.plan.clip = 0;
    s.plan.batch = TRAIN / 2;
    for (size_t i = 0; i < ROWS; i++)
        s.problem.weight[i] = 1000;
    float *moments = toy_floats(s.parts.floats);
    uint64_t part_steps[4];
    fit_until(&s, 7, moments, part_steps);
    assert_true(norm(moments, s.parts.floats) > 1);
    const uint64_t want[] = {7, 3, 3, 3};
    assert_memory_equal(part_steps, want, sizeof want);
    free(moments);
    close_subject(&s);
}

/* Pass A from a later prefix on. */
static void test_first_prefix(void **state) {
    (void)state;
    subject s;
    open_subject(&s, 1, 0, 3, 1);
    s.plan.passes = RAMIFY_PASSES_PREFIXES;
    s.plan.first_prefix = 3;
    s.plan.epochs = 1;
    s.plan.batch = TRAIN;
    assert_int_equal(fit(&s), RAMIFY_OK);
    assert_int_equal(s.result.steps, 1);
    assert_true(s.result.branch_passes == 3.0 * TRAIN);
    s.plan.first_prefix = 4;
    assert_int_equal(fit(&s), RAMIFY_ERROR_ARGUMENT);
    assert_non_null(strstr(ramify_message(s.context), "first prefix"));
    close_subject(&s);
}

static void plan_resumed(subject *s, uint32_t threads) {
    open_subject(s, threads, 0, 2, 2);
    s->plan.passes = RAMIFY_PASSES_BOTH;
    s->plan.epochs = 1;
    s->plan.average = 0.9;
    s->plan.augmentation = changes;
    s->plan.checks = 4;
    s->plan.checkpoint = place;
    s->plan.resume = true;
}

/* Interrupted once or twice and gone on with: the same bits. */
static void test_resume(void **state) {
    (void)state;
    subject whole, s;
    plan_resumed(&whole, 1);
    assert_int_equal(fit(&whole), RAMIFY_OK);
    float *want = toy_floats(whole.parts.floats);
    memcpy(want, whole.vector, whole.parts.floats * sizeof *want);
    close_subject(&whole);
    for (size_t stop = 1; stop < whole.result.steps; stop += 9) {
        unlink(place);
        plan_resumed(&s, 2);
        told.stop_at = stop;
        assert_int_equal(fit(&s), RAMIFY_STOPPED);
        assert_int_equal(s.result.steps, stop);
        close_subject(&s);
        plan_resumed(&s, 1);
        told.stop_at = 2;
        if (fit(&s) == RAMIFY_STOPPED) {
            assert_int_equal(s.result.steps, stop + 2);
            close_subject(&s);
            plan_resumed(&s, 3);
            assert_int_equal(fit(&s), RAMIFY_OK);
        }
        assert_memory_equal(s.vector, want, s.parts.floats * sizeof *want);
        assert_true(s.result.score.loss == whole.result.score.loss);
        assert_int_equal(s.result.steps, whole.result.steps);
        assert_true(s.result.branch_passes == whole.result.branch_passes);
        close_subject(&s);
    }
    free(want);
}

static unsigned char *read_bytes(size_t *size) {
    FILE *file = fopen(place, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void write_bytes(const void *bytes, size_t size) {
    FILE *file = fopen(place, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The time taken before counts, even if it is more than the clock shows. */
static void test_resume_with_time_limit(void **state) {
    (void)state;
    subject s;
    plan_resumed(&s, 1);
    unlink(place);
    told.stop_at = 5;
    assert_int_equal(fit(&s), RAMIFY_STOPPED);
    close_subject(&s);
    size_t size;
    unsigned char *bytes = read_bytes(&size);
    const double taken = 1e7;
    memcpy(bytes + 48, &taken, sizeof taken);
    uint32_t crc = ramify_crc32c(0, bytes, size - 4);
    memcpy(bytes + size - 4, &crc, 4);
    write_bytes(bytes, size);
    free(bytes);
    plan_resumed(&s, 1);
    s.plan.started = ramify_seconds();
    s.plan.deadline = s.plan.started + 1e6;
    assert_int_equal(fit(&s), RAMIFY_OK);
    assert_true(s.result.late);
    assert_int_equal(s.result.steps, 6);
    close_subject(&s);
}

static void expect_refusal(const unsigned char *bytes, size_t size, const char *says) {
    subject s;
    plan_resumed(&s, 1);
    write_bytes(bytes, size);
    assert_int_equal(fit(&s), RAMIFY_ERROR_FORMAT);
    if (says && !strstr(ramify_message(s.context), says))
        fail_msg("\"%s\" does not say \"%s\"", ramify_message(s.context), says);
    close_subject(&s);
}

/* With a valid checksum. */
static void expect_refusal_of(const unsigned char *bytes, size_t size, size_t at, const void *what,
                              size_t length, const char *says) {
    unsigned char *bad = malloc(size);
    assert_non_null(bad);
    memcpy(bad, bytes, size);
    memcpy(bad + at, what, length);
    uint32_t crc = ramify_crc32c(0, bad, size - 4);
    memcpy(bad + size - 4, &crc, 4);
    expect_refusal(bad, size, says);
    free(bad);
}

static void test_bad_checkpoints(void **state) {
    (void)state;
    subject s;
    plan_resumed(&s, 1);
    told.stop_at = 5;
    unlink(place);
    assert_int_equal(fit(&s), RAMIFY_STOPPED);
    size_t size, weights = 88 + 3 * 8, floats = s.parts.floats;
    close_subject(&s);
    unsigned char *bytes = read_bytes(&size);
    assert_int_equal(size, weights + 5 * floats * sizeof(float) + 4);

    expect_refusal(bytes, 0, "too short");
    expect_refusal(bytes, 87, "too short");
    expect_refusal(bytes, size - 1, "bytes, not");
    bytes[size] = 0;
    expect_refusal(bytes, size + 1, "bytes, not");
    for (size_t bit = 0; bit < 88 * 8; bit += 5) {
        bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        expect_refusal(bytes, size, NULL);
        bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    bytes[size / 2] ^= 1;
    expect_refusal(bytes, size, "checksum");
    bytes[size / 2] ^= 1;

    const float bad = NAN, negative = -1;
    const uint64_t late = 1000000, many = 6;
    const double less = -1, endless = INFINITY;
    expect_refusal_of(bytes, size, weights + 4 * floats, &bad, sizeof bad, "not finite");
    expect_refusal_of(bytes, size, weights + 2 * floats * 4, &negative, sizeof negative,
                      "not finite");
    expect_refusal_of(bytes, size, size - 8, &bad, sizeof bad, "not finite");
    expect_refusal_of(bytes, size, 32, &late, sizeof late, "out of range");
    expect_refusal_of(bytes, size, 48, &less, sizeof less, "out of range");
    expect_refusal_of(bytes, size, 40, &endless, sizeof endless, "out of range");
    expect_refusal_of(bytes, size, 96, &many, sizeof many, "more steps");
    expect_refusal_of(bytes, size, 0, "other", 5, "no checkpoint");
    expect_refusal_of(bytes, size, 8, &many, 4, "another version");

    /* Another seed, other data: another fit. */
    write_bytes(bytes, size);
    plan_resumed(&s, 1);
    s.plan.seed++;
    assert_int_equal(fit(&s), RAMIFY_ERROR_FORMAT);
    assert_non_null(strstr(ramify_message(s.context), "other data"));
    s.plan.seed--;
    const float was = s.problem.plain[5];
    s.problem.plain[5] = 0;
    assert_int_equal(fit(&s), RAMIFY_ERROR_FORMAT);
    s.problem.plain[5] = was;
    assert_int_equal(fit(&s), RAMIFY_OK);
    s.plan.checkpoint = "/tmp";
    assert_int_equal(fit(&s), RAMIFY_ERROR_IO);
    close_subject(&s);
    free(bytes);
}

/* What a fit says that it takes is what it takes at most. */
static void test_memory(void **state) {
    (void)state;
    uint64_t usual = 0;
    const double shares[] = {0, 0.9, 0.6, 0.35};
    for (size_t i = 0; i < 4; i++) {
        subject s;
        open_subject(&s, i == 3 ? 24 : 1, 0, 3, 2);
        s.plan.epochs = 1;
        s.plan.average = i % 2 ? 0.9 : 0;
        s.plan.memory_bytes = (uint64_t)(shares[i] * (double)usual);
        ramify_paraformer_need need;
        assert_int_equal(
            ramify_paraformer_need_of(&s.problem, &s.shape, &s.plan, TRAIN, s.select.count, &need),
            RAMIFY_OK);
        size_t before = told.live;
        told.peak = before;
        assert_int_equal(fit(&s), RAMIFY_OK);
        assert_true(told.peak - before <= need.bytes);
        assert_true((double)(told.peak - before) > 0.5 * (double)need.bytes);
        assert_true(i == 0 || need.bytes <= s.plan.memory_bytes);
        if (i == 0)
            usual = 4 * need.bytes; /* of 16 workers, which the bound reckons with */
        close_subject(&s);
    }
    subject s;
    open_subject(&s, 1, 0, 3, 2);
    s.plan.memory_bytes = 100000;
    assert_int_equal(fit(&s), RAMIFY_ERROR_LIMIT);
    assert_non_null(strstr(ramify_message(s.context), "100000"));
    close_subject(&s);
}

/* Whichever allocation is refused, nothing is lost and it is said. */
static void test_refused_memory(void **state) {
    (void)state;
    for (size_t refused = 1;; refused++) {
        subject s;
        open_subject(&s, 1, 0, 2, 1);
        s.plan.epochs = 1;
        s.plan.batch = TRAIN;
        s.plan.average = 0.9;
        told.calls = 0;
        told.refuse_from = refused;
        ramify_status status = fit(&s);
        told.refuse_from = 0;
        close_subject(&s);
        if (status == RAMIFY_OK) {
            assert_true(refused > 20);
            break;
        }
        assert_int_equal(status, RAMIFY_ERROR_MEMORY);
    }
}

static void test_time_limit(void **state) {
    (void)state;
    subject s;
    open_subject(&s, 1, 0, 2, 1);
    s.plan.epochs = 1;
    s.plan.started = ramify_seconds() - 10;
    s.plan.deadline = s.plan.started + 5;
    assert_int_equal(fit(&s), RAMIFY_OK);
    assert_true(s.result.late);
    assert_int_equal(s.result.steps, 1);
    s.plan.deadline = s.plan.started + 1e6;
    assert_int_equal(fit(&s), RAMIFY_OK);
    assert_false(s.result.late);
    assert_int_equal(s.result.steps, 10);
    close_subject(&s);
}

/* A prefix is the model of its branches. */
static void test_outputs_of_prefix(void **state) {
    (void)state;
    subject s;
    open_subject(&s, 2, 0, 3, 2);
    float *prefix = toy_floats(ROWS * 16), *model = toy_floats(ROWS * 16);
    ramify_rows rows = {s.row, ROWS - 1};
    assert_int_equal(ramify_paraformer_outputs(&s.problem, &s.shape, &s.weights, rows, 2, prefix),
                     RAMIFY_OK);
    s.shape.branches = 2;
    assert_int_equal(ramify_paraformer_outputs(&s.problem, &s.shape, &s.weights, rows, 2, model),
                     RAMIFY_OK);
    assert_memory_equal(prefix, model, ROWS * 16 * sizeof *model);
    ramify_rows one = {s.row + 100, 1};
    assert_int_equal(ramify_paraformer_outputs(&s.problem, &s.shape, &s.weights, one, 2, model),
                     RAMIFY_OK);
    assert_memory_equal(prefix + 1600, model, 16 * sizeof *model);
    free(prefix);
    free(model);
    close_subject(&s);
}

static void test_divergence_and_plans(void **state) {
    (void)state;
    subject s;
    open_subject(&s, 1, 0, 2, 1);
    s.problem.plain[7] = NAN;
    assert_int_equal(fit(&s), RAMIFY_ERROR_DATA);
    assert_non_null(strstr(ramify_message(s.context), "diverged"));
    s.train.count = 0;
    assert_int_equal(fit(&s), RAMIFY_ERROR_ARGUMENT);
    ramify_paraformer_plan bad = s.plan;
    bad.rate = NAN;
    assert_non_null(strstr(ramify_paraformer_plan_error(&bad), "rate"));
    bad = s.plan;
    bad.batch = 0;
    assert_non_null(strstr(ramify_paraformer_plan_error(&bad), "batch"));
    bad = s.plan;
    bad.average = 1;
    assert_non_null(strstr(ramify_paraformer_plan_error(&bad), "average"));
    bad = s.plan;
    bad.augmentation.magnitude = -1;
    assert_non_null(strstr(ramify_paraformer_plan_error(&bad), "magnitude"));
    close_subject(&s);
}

/* On every thread, in steps alone. */
static void test_steps_flush_denormals(void **state) {
    (void)state;
    const ramify_float_mode own = ramify_flush_denormals();
    const bool can = !toy_denormals_are_kept();
    ramify_float_mode_set(own);
    if (!can)
        skip();
    for (uint32_t threads = 1; threads <= 3; threads++) {
        subject s;
        open_subject(&s, threads, 0, 3, 2);
        s.problem.kernels = toy_watched_kernels();
        s.plan.epochs = 2;
        assert_int_equal(fit(&s), RAMIFY_OK);
        assert_true(toy_flushed > 0);
        assert_int_equal(toy_kept, 0);
        assert_int_equal(told.flushed_questions, 0);
        assert_true(toy_denormals_are_kept());
        close_subject(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_learns_regression),
        cmocka_unit_test_setup_teardown(test_passes, make_place, remove_place),
        cmocka_unit_test(test_first_prefix),
        cmocka_unit_test_teardown(test_resume, remove_place),
        cmocka_unit_test_teardown(test_resume_with_time_limit, remove_place),
        cmocka_unit_test_teardown(test_bad_checkpoints, remove_place),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_outputs_of_prefix),
        cmocka_unit_test(test_divergence_and_plans),
        cmocka_unit_test(test_steps_flush_denormals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

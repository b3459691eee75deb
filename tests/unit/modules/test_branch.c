/* Forward and backward pass of a transformer branch against the readable twin and its finite
 * differences, for every instruction set. */

#include "branch_twin.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Depths, widths, heads of odd sizes, hidden rows of more than one block, tokens on a line's border
 * and off it. */
static const ramify_branch_shape shapes[] = {
    {1, 16, 1, 32, 2, false, false, 1e-5F},  {1, 32, 4, 64, 17, true, true, 1e-5F},
    {2, 16, 2, 272, 5, false, false, 1e-5F}, {2, 48, 3, 48, 16, true, true, 1e-5F},
    {3, 32, 2, 64, 7, false, true, 1e-6F},   {3, 16, 4, 32, 19, true, false, 1e-5F},
};
#define SHAPES (sizeof shapes / sizeof *shapes)
static const size_t image_counts[] = {1, 3, 16};

typedef struct subject {
    const ramify_kernels *kernels;
    const ramify_branch_shape *shape;
    size_t images, ld, d, tokens, weights;
    float *record, *x, *normal, *inverse, *y, *memory, *scratch;
    double *exact; /* record in double */
    double *image; /* width x tokens, of one image */
    ramify_branch_input input;
} subject;

static void normalise(subject *s) {
    s->kernels->normalise_columns(s->d, s->ld, s->x, s->ld, s->shape->epsilon, s->normal, s->ld,
                                  s->inverse);
    s->input = (ramify_branch_input){s->images, s->ld, s->x, s->normal, s->inverse};
}

static subject open_subject(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                            size_t images) {
    subject s = {.kernels = kernels, .shape = shape, .images = images};
    assert_null(ramify_branch_shape_error(shape));
    s.d = shape->width;
    s.tokens = shape->tokens;
    s.ld = ramify_branch_stride(shape, images);
    s.weights = ramify_branch_record_bytes(shape) / sizeof(float);
    s.record = unset_floats(s.weights);
    s.exact = calloc(s.weights, sizeof *s.exact);
    ramify_branch_initialise(shape, 5, 2, s.record);
    ramify_random random = ramify_random_stream(7, RAMIFY_PURPOSE_SHUFFLE, 1, 0);
    for (size_t i = 0; i < s.weights; i++) {
        /* Gains and biases away from 1 and 0, attention away from even shares. */
        s.record[i] = 2.0F * s.record[i] + 0.2F * (float)ramify_random_normal(&random);
        s.exact[i] = (double)s.record[i];
    }
    s.x = unset_floats(s.d * s.ld);
    memset(s.x, 0, s.d * s.ld * sizeof *s.x);
    for (size_t r = 0; r < s.d; r++)
        for (size_t t = 0; t < images * s.tokens; t++)
            s.x[r * s.ld + t] = (float)ramify_random_normal(&random);
    s.normal = unset_floats(s.d * s.ld);
    s.inverse = unset_floats(s.ld);
    s.y = unset_floats(images * s.d);
    s.memory = unset_floats(ramify_branch_memory_floats(shape, images));
    size_t run = ramify_branch_run_floats(shape, images, true);
    size_t train = ramify_branch_train_floats(shape, images);
    s.scratch = unset_floats(run > train ? run : train);
    s.image = calloc(s.d * s.tokens, sizeof *s.image);
    normalise(&s);
    return s;
}

static void close_subject(subject *s) {
    free(s->record);
    free(s->exact);
    free(s->x);
    free(s->normal);
    free(s->inverse);
    free(s->y);
    free(s->memory);
    free(s->scratch);
    free(s->image);
}

/* What the twin makes of image i. */
static void twin_answer(subject *s, size_t i, double *y) {
    for (size_t r = 0; r < s->d; r++)
        for (size_t t = 0; t < s->tokens; t++)
            s->image[r * s->tokens + t] = (double)s->x[r * s->ld + i * s->tokens + t];
    branch_twin(s->shape, s->exact, s->image, y);
}

/* To within rounding, which is that of the largest numbers in an image's output. */
static void check_answer(subject *s, const char *what) {
    double *want = calloc(s->d, sizeof *want);
    for (size_t i = 0; i < s->images; i++) {
        double most = 0;
        twin_answer(s, i, want);
        for (size_t r = 0; r < s->d; r++)
            most = fmax(most, fabs(want[r]));
        for (size_t r = 0; r < s->d; r++) {
            double got = (double)s->y[i * s->d + r];
            if (!(fabs(got - want[r]) < 1e-5 * most))
                fail_msg("%s, %s, depth %u, image %zu, row %zu: %.9g, expected %.9g (of %.3g)",
                         s->kernels->name, what, s->shape->depth, i, r, got, want[r], most);
        }
    }
    free(want);
}

/* Threads that share a branch change no bit. */
static void check_shared(subject *s, bool whole) {
    ramify_branch_run(s->kernels, s->shape, s->record, &s->input, whole, s->y, s->d, s->scratch);
    for (uint32_t workers = 2; workers <= 5; workers++) {
        ramify_context_options options;
        ramify_context_options_init(&options);
        options.threads = workers;
        ramify_context *context;
        assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
        size_t floats = ramify_pad(ramify_branch_run_floats(s->shape, s->images, whole));
        float *scratch = unset_floats(workers * floats), *y = unset_floats(s->images * s->d);
        assert_int_equal(ramify_branch_run_on(context, workers, s->kernels, s->shape, s->record,
                                              &s->input, whole, y, s->d, scratch),
                         RAMIFY_OK);
        assert_memory_equal(y, s->y, s->images * s->d * sizeof *y);
        free(scratch);
        free(y);
        ramify_context_destroy(&context);
    }
}

static void check_forward(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                          size_t images) {
    subject s = open_subject(kernels, shape, images);
    ramify_branch_run(kernels, shape, s.record, &s.input, true, s.y, s.d, s.scratch);
    check_answer(&s, "whole");
    ramify_branch_run(kernels, shape, s.record, &s.input, false, s.y, s.d, s.scratch);
    check_answer(&s, "class token alone");
    check_shared(&s, true);
    check_shared(&s, false);
    float *kept = unset_floats(images * s.d);
    ramify_branch_forward(kernels, shape, s.record, &s.input, kept, s.d, s.memory, s.scratch);
    assert_memory_equal(kept, s.y, images * s.d * sizeof *kept);

    /* An image alone gives the same bits. */
    subject one = open_subject(kernels, shape, 1);
    memcpy(one.record, s.record, s.weights * sizeof *s.record);
    for (size_t r = 0; r < s.d; r++)
        memcpy(one.x + r * one.ld, s.x + r * s.ld + (images - 1) * s.tokens,
               s.tokens * sizeof *s.x);
    normalise(&one);
    ramify_branch_run(kernels, shape, one.record, &one.input, false, one.y, one.d, one.scratch);
    assert_memory_equal(one.y, s.y + (images - 1) * s.d, s.d * sizeof *s.y);
    close_subject(&one);
    close_subject(&s);
    free(kept);
}

/* A loss of all outputs: sum over images of slope . y. */
static double loss(subject *s, const float *slope) {
    double *y = calloc(s->d, sizeof *y), sum = 0;
    for (size_t i = 0; i < s->images; i++) {
        twin_answer(s, i, y);
        for (size_t r = 0; r < s->d; r++)
            sum += (double)slope[i * s->d + r] * y[r];
    }
    free(y);
    return sum;
}

static double difference(subject *s, const float *slope, size_t weight) {
    const double step = 1e-5;
    double at = s->exact[weight];
    s->exact[weight] = at + step;
    double above = loss(s, slope);
    s->exact[weight] = at - step;
    double below = loss(s, slope);
    s->exact[weight] = at;
    return (above - below) / (2 * step);
}

static void check_close(double got, double want, double size, const char *what, size_t index) {
    if (!(fabs(got - want) <= 2e-4 * (size + fabs(want))))
        fail_msg("%s %zu: gradient %.9g, finite difference %.9g", what, index, got, want);
}

static void check_backward(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                           size_t images) {
    subject s = open_subject(kernels, shape, images);
    float *slope = unset_floats(images * s.d), *gradient = unset_floats(s.weights),
          *dx = unset_floats(s.d * s.ld);
    ramify_random random = ramify_random_stream(11, RAMIFY_PURPOSE_SHUFFLE, 1, 0);
    for (size_t i = 0; i < images * s.d; i++)
        slope[i] = (float)ramify_random_normal(&random);
    memset(gradient, 0, s.weights * sizeof *gradient);
    ramify_branch_forward(kernels, shape, s.record, &s.input, s.y, s.d, s.memory, s.scratch);
    ramify_branch_backward(kernels, shape, s.record, &s.input, slope, s.d, s.memory, gradient, dx,
                           s.scratch);
    double mean = 0;
    for (size_t i = 0; i < s.weights; i++) {
        assert_true(isfinite(gradient[i]));
        mean += fabs((double)gradient[i]) / (double)s.weights;
    }
    /* Some weights of every part of every layer. */
    const ramify_branch_layer at = ramify_branch_layout(shape);
    const size_t parts[] = {
        at.gain1,    at.bias1,    at.qkv,      at.qkv + s.d * s.d, at.qkv + 2 * s.d * s.d,
        at.qkv_bias, at.out,      at.out_bias, at.gain2,           at.bias2,
        at.fc1,      at.fc1_bias, at.fc2,      at.fc2_bias};
    for (uint32_t l = 0; l < shape->depth; l++)
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            for (size_t i = 0; i < 3; i++) {
                size_t weight = l * at.floats + parts[p] + ramify_random_below(&random, s.d);
                check_close((double)gradient[weight], difference(&s, slope, weight), mean, "weight",
                            weight);
            }
    for (size_t i = 0; i < 12; i++) {
        /* The class token among them. */
        size_t t = i < 3 ? 0 : ramify_random_below(&random, images * s.tokens);
        size_t index = ramify_random_below(&random, s.d) * s.ld + t;
        const float step = 1.0F / 1024, was = s.x[index];
        s.x[index] = was + step;
        double above = loss(&s, slope);
        s.x[index] = was - step;
        double below = loss(&s, slope);
        s.x[index] = was;
        /* The step is larger, as x is float: its third order shows. */
        double want = (above - below) / (2.0 * (double)step);
        assert_true(fabs((double)dx[index] - want) < 2e-3 * (1 + fabs(want)));
    }
    for (size_t r = 0; r < s.d; r++)
        for (size_t t = images * s.tokens; t < ramify_pad(images * s.tokens); t++)
            assert_true(dx[r * s.ld + t] == 0.0F);

    /* Gradients are added to what is there. */
    float *twice = unset_floats(s.weights);
    memcpy(twice, gradient, s.weights * sizeof *twice);
    ramify_branch_backward(kernels, shape, s.record, &s.input, slope, s.d, s.memory, twice, dx,
                           s.scratch);
    for (size_t i = 0; i < s.weights; i++)
        assert_true(fabs((double)twice[i] - 2 * (double)gradient[i]) <
                    1e-3 * (mean + fabs((double)gradient[i])));
    free(twice);
    free(slope);
    free(gradient);
    free(dx);
    close_subject(&s);
}

static void for_every_set(void (*check)(const ramify_kernels *, const ramify_branch_shape *,
                                        size_t)) {
    const ramify_kernels *const *list;
    size_t count = ramify_kernels_list(&list);
    for (size_t k = 0; k < count; k++)
        for (size_t s = 0; s < SHAPES; s++)
            for (size_t i = 0; i < sizeof image_counts / sizeof *image_counts; i++)
                check(list[k], &shapes[s], image_counts[i]);
}

static void test_forward(void **state) {
    (void)state;
    for_every_set(check_forward);
}

static void test_backward(void **state) {
    (void)state;
    /* The twin's differences take the time: one number of images, off a line's border. */
    const ramify_kernels *const *list;
    size_t count = ramify_kernels_list(&list);
    for (size_t k = 0; k < count; k++)
        for (size_t s = 0; s < SHAPES; s++)
            check_backward(list[k], &shapes[s], k == 0 ? 1 : 2);
}

static void test_shapes(void **state) {
    (void)state;
    const struct {
        ramify_branch_shape shape;
        const char *says;
    } bad[] = {
        {{0, 16, 1, 32, 2, false, false, 1e-5F}, "layers"},
        {{257, 16, 1, 32, 2, false, false, 1e-5F}, "layers"},
        {{1, 24, 1, 32, 2, false, false, 1e-5F}, "width"},
        {{1, 0, 1, 32, 2, false, false, 1e-5F}, "width"},
        {{1, 16, 3, 32, 2, false, false, 1e-5F}, "heads"},
        {{1, 16, 0, 32, 2, false, false, 1e-5F}, "heads"},
        {{1, 16, 1, 40, 2, false, false, 1e-5F}, "hidden"},
        {{1, 16, 1, 32, 1, false, false, 1e-5F}, "tokens"},
        {{1, 16, 1, 32, 2, false, false, 0.0F}, "epsilon"},
        {{1, 16, 1, 32, 2, false, false, NAN}, "epsilon"},
        {{256, 8192, 1, 65536, 2, false, false, 1e-5F}, "2 GiB"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *error = ramify_branch_shape_error(&bad[i].shape);
        assert_non_null(error);
        assert_non_null(strstr(error, bad[i].says));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

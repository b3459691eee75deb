/* Forward and backward pass of the MLP against the readable twin and its finite differences, for
 * every instruction set. */

#include "mlp_twin.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS_MOST 4
#define WIDTH_MOST   48
#define ROWS_MOST    64

static const size_t row_counts[] = {1, 7, ROWS_MOST};
#define ROW_COUNTS (sizeof row_counts / sizeof row_counts[0])

/* One shape, its twin, and inputs for some rows, in both precisions. */
typedef struct subject {
    const ramify_mlp_shape *shape;
    mlp_twin *twin;
    float *record;
    size_t rows, inputs, outputs, ldx, ldy, members;
    float *x;         /* rows x ldx */
    double *x_double; /* rows x inputs */
    float *target;    /* rows x outputs */
    uint32_t *label;  /* rows */
    float *scratch;
    bool classes; /* cross-entropy, else half the squared error; sum over members and rows */
} subject;

static subject open_subject(const ramify_mlp_shape *shape, size_t rows, uint64_t seed) {
    subject s = {.shape = shape, .twin = mlp_twin_create(shape, seed), .rows = rows};
    s.inputs = shape->width[0];
    s.outputs = shape->width[shape->layers];
    s.members = shape->members;
    /* Rows further apart than they must be. */
    s.ldx = ramify_pad(s.inputs) + 16;
    s.ldy = ramify_pad(s.outputs);
    s.record = twin_floats(s.twin->floats);
    mlp_twin_record(s.twin, s.record);
    s.x = twin_floats(rows * s.ldx);
    s.x_double = calloc(rows * s.inputs, sizeof *s.x_double);
    s.target = calloc(rows * s.outputs, sizeof *s.target);
    s.label = calloc(rows, sizeof *s.label);
    s.scratch = twin_floats(ramify_mlp_train_floats(shape, rows));
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 3, 0);
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < s.inputs; i++) {
            s.x[row * s.ldx + i] = (float)ramify_random_normal(&random);
            s.x_double[row * s.inputs + i] = (double)s.x[row * s.ldx + i];
        }
        for (size_t j = 0; j < s.outputs; j++)
            s.target[row * s.outputs + j] = (float)ramify_random_normal(&random);
        s.label[row] = (uint32_t)ramify_random_below(&random, s.outputs);
    }
    return s;
}

static void close_subject(subject *s) {
    mlp_twin_destroy(s->twin);
    free(s->record);
    free(s->x);
    free(s->x_double);
    free(s->target);
    free(s->label);
    free(s->scratch);
}

static double row_loss(const subject *s, size_t row, const double *y) {
    double loss = 0;
    if (!s->classes) {
        for (size_t j = 0; j < s->outputs; j++) {
            double difference = y[j] - (double)s->target[row * s->outputs + j];
            loss += 0.5 * difference * difference;
        }
        return loss;
    }
    double sum = 0;
    for (size_t j = 0; j < s->outputs; j++)
        sum += exp(y[j]);
    return log(sum) - y[s->label[row]];
}

static double twin_loss(const subject *s) {
    static double y[MEMBERS_MOST * ROWS_MOST * WIDTH_MOST];
    mlp_twin_forward(s->twin, s->rows, s->x_double, y);
    double loss = 0;
    for (size_t i = 0; i < s->members * s->rows; i++)
        loss += row_loss(s, i % s->rows, y + i * s->outputs);
    return loss;
}

/* Central differences of the twin's loss by *number; false where a kink lies near. */
static bool difference(const subject *s, double *number, double *slope) {
    static const double steps[] = {2e-5, 1e-5};
    double slopes[2], kept = *number;
    for (size_t i = 0; i < 2; i++) {
        *number = kept + steps[i];
        double above = twin_loss(s);
        *number = kept - steps[i];
        slopes[i] = (above - twin_loss(s)) / (2 * steps[i]);
    }
    *number = kept;
    *slope = slopes[1];
    return fabs(slopes[0] - slopes[1]) <= 1e-5 * (1 + fabs(slopes[1]));
}

/* Gradients by the library: gradient[floats] on top of what is there, dx[rows x ldx]. */
static void library_gradients(const subject *s, const ramify_kernels *kernels, float *gradient,
                              float *dx) {
    const float *y =
        ramify_mlp_forward(kernels, s->shape, s->record, s->rows, s->x, s->ldx, s->scratch);
    float *dy = twin_floats(s->members * s->rows * s->ldy);
    float loss[ROWS_MOST];
    for (size_t m = 0; m < s->members; m++) {
        const float *from = y + m * s->rows * s->ldy;
        float *to = dy + m * s->rows * s->ldy;
        if (s->classes)
            kernels->cross_entropy(s->rows, s->outputs, from, s->ldy, s->label, 0.0F, NULL, loss,
                                   to, s->ldy);
        for (size_t row = 0; row < s->rows && !s->classes; row++)
            for (size_t j = 0; j < s->outputs; j++)
                to[row * s->ldy + j] = from[row * s->ldy + j] - s->target[row * s->outputs + j];
    }
    ramify_mlp_backward(kernels, s->shape, s->record, s->rows, s->x, s->ldx, dy, gradient, dx,
                        s->ldx, s->scratch);
    free(dy);
}

/* Sums over many rows cancel: what is compared is held against the size of the whole gradient. */
static double norm(const float *values, size_t count) {
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (double)values[i] * (double)values[i];
    return sqrt(squares / (double)count);
}

/* What finite differences say about one subject; NaN where a kink lies near. */
static size_t differences(const subject *s, double *by_number, double *by_input) {
    size_t found = 0;
    /* Every number of a small record, and some 150 of a large one. */
    size_t stride = s->twin->floats / 150 + 1;
    for (size_t i = 0; i < s->twin->floats; i++) {
        by_number[i] = (double)NAN;
        double slope;
        if (s->twin->used[i] && i % stride == 0 && difference(s, &s->twin->number[i], &slope)) {
            by_number[i] = slope;
            found++;
        }
    }
    for (size_t i = 0; i < s->rows * s->inputs; i++) {
        by_input[i] = (double)NAN;
        double slope;
        if (i % 29 < 6 && difference(s, &s->x_double[i], &slope)) {
            by_input[i] = slope;
            found++;
        }
    }
    return found;
}

static void compare(const subject *s, const ramify_kernels *kernels, const double *by_number,
                    const double *by_input) {
    float *gradient = twin_floats(s->twin->floats);
    float *dx = twin_floats(s->rows * s->ldx);
    for (size_t i = 0; i < s->rows * s->ldx; i++)
        dx[i] = 9.0F;
    library_gradients(s, kernels, gradient, dx);
    double size = 1e-3 + norm(gradient, s->twin->floats), size_x = 1e-3 + norm(dx, s->rows);
    for (size_t i = 0; i < s->twin->floats; i++) {
        if (!s->twin->used[i])
            assert_true(gradient[i] == 0.0F);
        else if (!isnan(by_number[i]) &&
                 fabs((double)gradient[i] - by_number[i]) > 1e-4 * (size + fabs(by_number[i])))
            fail_msg("%s, %u layers, %zu members, %zu rows: float %zu: %.8g, expected %.8g",
                     kernels->name, s->shape->layers, s->members, s->rows, i, (double)gradient[i],
                     by_number[i]);
    }
    for (size_t row = 0; row < s->rows; row++)
        for (size_t i = 0; i < s->ldx; i++) {
            double found = (double)dx[row * s->ldx + i];
            if (i >= s->inputs) {
                /* Padding is zero; beyond it nothing is written. */
                assert_true(found == (i < ramify_pad(s->inputs) ? 0.0 : 9.0));
                continue;
            }
            double expected = by_input[row * s->inputs + i];
            if (!isnan(expected) && fabs(found - expected) > 1e-4 * (size_x + fabs(expected)))
                fail_msg("%s, %u layers, %zu members, %zu rows: input %zu of row %zu: %.8g, "
                         "expected %.8g",
                         kernels->name, s->shape->layers, s->members, s->rows, i, row, found,
                         expected);
        }
    free(gradient);
    free(dx);
}

static void check_gradients(bool classes) {
    const ramify_kernels *const *sets;
    size_t set_count = ramify_kernels_list(&sets), compared = 0, wanted = 0;
    for (size_t i = 0; i < TWIN_SHAPES; i++)
        for (size_t r = 0; r < ROW_COUNTS; r++) {
            subject s = open_subject(&twin_shapes[i], row_counts[r], 10 * i + r);
            s.classes = classes;
            double *by_number = calloc(s.twin->floats, sizeof *by_number);
            double *by_input = calloc(s.rows * s.inputs, sizeof *by_input);
            compared += differences(&s, by_number, by_input);
            wanted += 30;
            for (size_t k = 0; k < set_count; k++)
                compare(&s, sets[k], by_number, by_input);
            free(by_number);
            free(by_input);
            close_subject(&s);
        }
    assert_true(compared > wanted);
}

static void test_gradients_of_squares(void **state) {
    (void)state;
    check_gradients(false);
}

static void test_gradients_of_classes(void **state) {
    (void)state;
    check_gradients(true);
}

/* gradient receives +=; leaving out gradient or dx changes nothing about the other. */
static void test_backward_accumulates(void **state) {
    (void)state;
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    for (size_t i = 0; i < TWIN_SHAPES; i++) {
        subject s = open_subject(&twin_shapes[i], 7, 77 + i);
        size_t floats = s.twin->floats;
        float *once = twin_floats(floats), *again = twin_floats(floats);
        float *dx = twin_floats(s.rows * s.ldx), *alone = twin_floats(s.rows * s.ldx);
        library_gradients(&s, kernels, once, dx);
        library_gradients(&s, kernels, NULL, alone);
        assert_memory_equal(dx, alone, s.rows * s.ldx * sizeof *dx);
        library_gradients(&s, kernels, again, NULL);
        assert_memory_equal(once, again, floats * sizeof *once);
        library_gradients(&s, kernels, again, NULL);
        double size = norm(once, floats);
        for (size_t f = 0; f < floats; f++)
            assert_true(fabs((double)(again[f] - 2 * once[f])) <= 1e-5 * size);
        free(once);
        free(again);
        free(dx);
        free(alone);
        close_subject(&s);
    }
}

static void test_forward_equals_the_twin(void **state) {
    (void)state;
    const ramify_kernels *const *sets;
    size_t set_count = ramify_kernels_list(&sets);
    static double expected[MEMBERS_MOST * ROWS_MOST * WIDTH_MOST];
    for (size_t i = 0; i < TWIN_SHAPES; i++)
        for (size_t r = 0; r < ROW_COUNTS; r++) {
            subject s = open_subject(&twin_shapes[i], row_counts[r], 300 + 10 * i + r);
            mlp_twin_forward(s.twin, s.rows, s.x_double, expected);
            for (size_t k = 0; k < set_count; k++) {
                const float *y =
                    ramify_mlp_forward(sets[k], s.shape, s.record, s.rows, s.x, s.ldx, s.scratch);
                for (size_t row = 0; row < s.members * s.rows; row++)
                    for (size_t j = 0; j < s.ldy; j++) {
                        double wanted = j < s.outputs ? expected[row * s.outputs + j] : 0.0;
                        assert_true(fabs((double)y[row * s.ldy + j] - wanted) <=
                                    (j < s.outputs ? 2e-5 * (1 + fabs(wanted)) : 0.0));
                    }
            }
            close_subject(&s);
        }
}

/* run gives the mean of the members, and a row's bits do not depend on the rows beside it. */
static void test_run(void **state) {
    (void)state;
    const ramify_kernels *const *sets;
    size_t set_count = ramify_kernels_list(&sets);
    static double members[MEMBERS_MOST * ROWS_MOST * WIDTH_MOST];
    for (size_t i = 0; i < TWIN_SHAPES; i++) {
        subject s = open_subject(&twin_shapes[i], ROWS_MOST, 500 + i);
        mlp_twin_forward(s.twin, s.rows, s.x_double, members);
        size_t ldy = s.ldy + 16;
        float *y = twin_floats(s.rows * ldy), *one = twin_floats(ldy);
        float *scratch = twin_floats(ramify_mlp_run_floats(s.shape, s.rows));
        float *small = twin_floats(ramify_mlp_run_floats(s.shape, 1));
        for (size_t k = 0; k < set_count; k++) {
            ramify_mlp_run(sets[k], s.shape, s.record, s.rows, s.x, s.ldx, y, ldy, scratch);
            for (size_t row = 0; row < s.rows; row++) {
                for (size_t j = 0; j < s.ldy; j++) {
                    double mean = 0;
                    for (size_t m = 0; m < s.members && j < s.outputs; m++)
                        mean += members[(m * s.rows + row) * s.outputs + j] / (double)s.members;
                    double found = (double)y[row * ldy + j];
                    assert_true(fabs(found - mean) <=
                                (j < s.outputs ? 2e-5 * (1 + fabs(mean)) : 0.0));
                }
                ramify_mlp_run(sets[k], s.shape, s.record, 1, s.x + row * s.ldx, s.ldx, one, ldy,
                               small);
                assert_memory_equal(one, y + row * ldy, s.ldy * sizeof *one);
            }
        }
        free(y);
        free(one);
        free(scratch);
        free(small);
        close_subject(&s);
    }
}

/* All outputs times a factor, and nothing else of the record changed. */
static void test_scaled_outputs(void **state) {
    (void)state;
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    for (size_t i = 0; i < TWIN_SHAPES; i++) {
        subject s = open_subject(&twin_shapes[i], ROWS_MOST, 700 + i);
        float *y = twin_floats(s.rows * s.ldy), *scaled = twin_floats(s.rows * s.ldy);
        float *scratch = twin_floats(ramify_mlp_run_floats(s.shape, s.rows));
        size_t bytes = ramify_mlp_record_bytes(s.shape);
        float *record = twin_floats(bytes / sizeof(float));
        memcpy(record, s.record, bytes);
        ramify_mlp_scale_outputs(s.shape, 4.0F, record);
        ramify_mlp_run(kernels, s.shape, s.record, s.rows, s.x, s.ldx, y, s.ldy, scratch);
        ramify_mlp_run(kernels, s.shape, record, s.rows, s.x, s.ldx, scaled, s.ldy, scratch);
        for (size_t k = 0; k < s.rows * s.ldy; k++)
            assert_true(scaled[k] == 4.0F * y[k]); /* a power of 2 rounds nothing */
        ramify_mlp_scale_outputs(s.shape, 0.25F, record);
        assert_memory_equal(record, s.record, bytes);
        free(y);
        free(scaled);
        free(scratch);
        free(record);
        close_subject(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_equals_the_twin), cmocka_unit_test(test_run),
        cmocka_unit_test(test_scaled_outputs),          cmocka_unit_test(test_gradients_of_squares),
        cmocka_unit_test(test_gradients_of_classes),    cmocka_unit_test(test_backward_accumulates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

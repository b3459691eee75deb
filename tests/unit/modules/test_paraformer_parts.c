/* Embedding and head of a Para-Former against plain loops in double and their finite differences, for
 * every instruction set. */

#include "branch_twin.h"
#include "embedding.h"
#include "head.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t columns[] = {0, 1, 1, 2, 3, 3, 3, 4};

/* Images with sides that differ, channels, patches of odd and whole lines, and tables. */
static const ramify_embedding_shape embeddings[] = {
    {16, 5, 16, 4, 4, 1, 2, NULL},       {16, 2, 27, 3, 3, 3, 3, NULL},
    {32, 7, 54, 6, 9, 1, 3, NULL},       {48, 17, 784, 28, 28, 1, 7, NULL},
    {16, 9, 64, 8, 4, 2, 2, NULL},       {16, 6, 8, 0, 0, 0, 0, columns},
    {32, 4, 3, 0, 0, 0, 0, columns + 1},
};
#define EMBEDDINGS (sizeof embeddings / sizeof *embeddings)
static const ramify_head_shape heads[] = {{16, 1, 1e-5F}, {48, 3, 1e-5F}, {32, 20, 1e-6F}};
#define HEADS (sizeof heads / sizeof *heads)
static const size_t row_counts[] = {1, 3, 7, 16};
#define ROW_COUNTS (sizeof row_counts / sizeof *row_counts)

static float *normals(size_t count, uint64_t seed) {
    float *memory = unset_floats(count);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 3, 0);
    for (size_t i = 0; i < count; i++)
        memory[i] = (float)ramify_random_normal(&random);
    return memory;
}

/* Number r of token t of a row, from the record's definition. */
static double token_twin(const ramify_embedding_shape *e, const double *record, const float *plain,
                         size_t t, size_t r) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(e);
    double sum = record[at.pos + t * e->width + r];
    if (t == 0)
        return sum + record[at.cls + r];
    if (e->patch == 0) {
        for (size_t f = 0; f < e->plain; f++)
            if (e->column[f] == t - 1)
                sum += (double)plain[f] * record[at.weight + f * e->width + r];
        return sum;
    }
    size_t across = e->breadth / e->patch, cell = t - 1, number = 0;
    size_t numbers = ramify_embedding_patch_numbers(e);
    sum += record[at.bias + r];
    for (size_t y = cell / across * e->patch; y < (cell / across + 1) * e->patch; y++)
        for (size_t x = cell % across * e->patch; x < (cell % across + 1) * e->patch; x++)
            for (size_t k = 0; k < e->channels; k++)
                sum += (double)plain[(y * e->breadth + x) * e->channels + k] *
                       record[at.weight + r * numbers + number++];
    return sum;
}

/* Parts are padded with zeros, and stay so: `from` up to a multiple of 16. */
static void check_zeros(const float *record, size_t from) {
    for (; from % 16 != 0; from++)
        assert_true(record[from] == 0.0F);
}

static void check_embedding_pads(const ramify_embedding_shape *e, const float *record) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(e);
    check_zeros(record, (size_t)e->tokens * e->width);
    if (e->patch > 0)
        check_zeros(record, at.weight + e->width * ramify_embedding_patch_numbers(e));
}

static void check_embedding(const ramify_kernels *kernels, const ramify_embedding_shape *e,
                            size_t rows) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(e);
    size_t ld = ramify_token_stride(rows * e->tokens), ldp = ramify_pad(e->plain), width = e->width;
    float *record = unset_floats(at.floats), *plain = normals(rows * ldp, 5);
    ramify_embedding_initialise(e, 9, record);
    check_embedding_pads(e, record);
    plain[e->plain - 1] = 0; /* a column's feature that is not there */
    double *exact = calloc(at.floats, sizeof *exact);
    assert_non_null(exact);
    for (size_t i = 0; i < at.floats; i++)
        exact[i] = (double)record[i];
    float *x = unset_floats(width * ld), *dx = normals(width * ld, 6),
          *gradient = unset_floats(at.floats);
    float *scratch = unset_floats(ramify_embedding_floats(e, rows));
    size_t used = ramify_pad(rows * e->tokens);
    ramify_embedding_columns(kernels, e, record, rows, plain, ldp, 0, used, x, ld, scratch);
    /* A line at a time, from the last to the first: the same bits. */
    float *again = unset_floats(width * ld);
    for (size_t c = used; c > 0; c -= 16)
        ramify_embedding_columns(kernels, e, record, rows, plain, ldp, c - 16, 16, again, ld,
                                 scratch);
    for (size_t r = 0; r < width; r++)
        assert_memory_equal(x + r * ld, again + r * ld, used * sizeof *x);
    free(again);
    for (size_t r = 0; r < width; r++)
        for (size_t c = 0; c < used; c++) {
            size_t row = c / e->tokens;
            double want =
                row < rows ? token_twin(e, exact, plain + row * ldp, c % e->tokens, r) : 0;
            double got = (double)x[r * ld + c];
            if (!(fabs(got - want) < 2e-5 * (1 + fabs(want))) || (row >= rows && got != 0))
                fail_msg("%s: width %u, patch %u, row %zu, column %zu: %.9g, expected %.9g",
                         kernels->name, e->width, e->patch, row, c, got, want);
        }

    /* The loss is sum dx * x, which is linear in the weights: differences are exact. */
    for (size_t r = 0; r < width; r++)
        for (size_t c = rows * e->tokens; c < ld; c++)
            dx[r * ld + c] = 0;
    memset(gradient, 0, at.floats * sizeof *gradient);
    for (int times = 0; times < 2; times++)
        ramify_embedding_backward(kernels, e, rows, plain, ldp, dx, ld, gradient, scratch);
    check_embedding_pads(e, gradient);
    ramify_random random = ramify_random_stream(8, RAMIFY_PURPOSE_SHUFFLE, 3, 0);
    size_t after =
        e->patch > 0 ? e->width * ramify_embedding_patch_numbers(e) : (size_t)e->plain * e->width;
    const size_t part[][2] = {{at.pos, (size_t)e->tokens * width},
                              {at.cls, width},
                              {at.weight, after},
                              {e->patch > 0 ? at.bias : at.cls, width}};
    for (size_t p = 0; p < sizeof part / sizeof *part; p++)
        for (size_t i = 0; i < 3; i++) {
            size_t weight = part[p][0] + ramify_random_below(&random, part[p][1]);
            double sum[2] = {0, 0}, was = exact[weight];
            for (int side = 0; side < 2; side++) {
                exact[weight] = was + (side ? 0.5 : -0.5);
                for (size_t c = 0; c < rows * e->tokens; c++)
                    for (size_t r = 0; r < width; r++)
                        sum[side] +=
                            (double)dx[r * ld + c] *
                            token_twin(e, exact, plain + c / e->tokens * ldp, c % e->tokens, r);
            }
            exact[weight] = was;
            double want = 2 * (sum[1] - sum[0]), got = (double)gradient[weight];
            if (!(fabs(got - want) < 1e-4 * (1 + fabs(want))))
                fail_msg("%s: width %u, patch %u, weight %zu: gradient %.9g, difference %.9g",
                         kernels->name, e->width, e->patch, weight, got, want);
        }
    free(record);
    free(plain);
    free(exact);
    free(x);
    free(dx);
    free(gradient);
    free(scratch);
}

static void test_embedding(void **state) {
    (void)state;
    const ramify_kernels *const *list;
    size_t count = ramify_kernels_list(&list);
    for (size_t k = 0; k < count; k++)
        for (size_t e = 0; e < EMBEDDINGS; e++)
            for (size_t r = 0; r < ROW_COUNTS; r++)
                check_embedding(list[k], &embeddings[e], e == 3 && r == 3 ? 2 : row_counts[r]);
}

static void head_twin(const ramify_head_shape *h, const double *record, const double *s,
                      double *y) {
    const ramify_head_layout at = ramify_head_lay_out(h);
    double mean = 0, variance = 0;
    for (size_t r = 0; r < h->width; r++)
        mean += s[r] / h->width;
    for (size_t r = 0; r < h->width; r++)
        variance += (s[r] - mean) * (s[r] - mean) / h->width;
    double inverse = 1 / sqrt(variance + (double)h->epsilon);
    for (size_t j = 0; j < h->outputs; j++) {
        y[j] = record[at.weight_bias + j];
        for (size_t r = 0; r < h->width; r++)
            y[j] += record[at.weight + j * h->width + r] *
                    (record[at.gain + r] * (s[r] - mean) * inverse + record[at.bias + r]);
    }
}

/* sum over rows of slope . y. */
static double head_loss(const ramify_head_shape *h, const double *record, size_t rows,
                        const double *s, const float *slope, size_t ldy) {
    double y[32], sum = 0;
    for (size_t i = 0; i < rows; i++) {
        head_twin(h, record, s + i * h->width, y);
        for (size_t j = 0; j < h->outputs; j++)
            sum += (double)slope[i * ldy + j] * y[j];
    }
    return sum;
}

static double head_difference(const ramify_head_shape *h, const double *record, size_t rows,
                              const double *s, const float *slope, size_t ldy, double *number) {
    const double step = 1e-5;
    double was = *number;
    *number = was + step;
    double above = head_loss(h, record, rows, s, slope, ldy);
    *number = was - step;
    double below = head_loss(h, record, rows, s, slope, ldy);
    *number = was;
    return (above - below) / (2 * step);
}

static void check_head(const ramify_kernels *kernels, const ramify_head_shape *h, size_t rows) {
    const ramify_head_layout at = ramify_head_lay_out(h);
    size_t width = h->width, ldy = ramify_pad(h->outputs);
    float *record = unset_floats(at.floats), *s = normals(rows * width, 2),
          *y = unset_floats(rows * ldy);
    float *noise = normals(at.floats, 4), *slope = normals(rows * ldy, 3);
    float *normal = unset_floats(rows * width), *inverse = unset_floats(ramify_pad(rows));
    float *gradient = unset_floats(at.floats), *ds = unset_floats(rows * width);
    float *scratch = unset_floats(ramify_head_floats(h, rows));
    ramify_head_initialise(h, 1, record);
    check_zeros(record, at.weight_bias + h->outputs);
    double *exact = calloc(at.floats, sizeof *exact), *sums = calloc(rows * width, sizeof *sums);
    assert_non_null(exact);
    assert_non_null(sums);
    for (size_t i = 0; i < at.weight_bias + h->outputs; i++)
        record[i] += 0.3F * noise[i];
    for (size_t i = 0; i < at.floats; i++)
        exact[i] = (double)record[i];
    for (size_t i = 0; i < rows * width; i++)
        sums[i] = (double)(s[i] = 3 * s[i] + 1);

    ramify_head_forward(kernels, h, record, rows, s, y, ldy, normal, inverse, scratch);
    for (size_t i = 0; i < rows; i++) {
        double want[32];
        head_twin(h, exact, sums + i * width, want);
        for (size_t j = 0; j < h->outputs; j++)
            assert_true(fabs((double)y[i * ldy + j] - want[j]) < 2e-5 * (1 + fabs(want[j])));
    }
    /* Without what backward needs, and alone: the same bits. */
    float *alone = unset_floats(ldy);
    ramify_head_forward(kernels, h, record, 1, s + (rows - 1) * width, alone, ldy, NULL, NULL,
                        scratch);
    assert_memory_equal(alone, y + (rows - 1) * ldy, h->outputs * sizeof *y);

    memset(gradient, 0, at.floats * sizeof *gradient);
    ramify_head_backward(kernels, h, record, rows, normal, inverse, slope, ldy, gradient, ds,
                         scratch);
    check_zeros(gradient, at.weight_bias + h->outputs);
    ramify_random random = ramify_random_stream(8, RAMIFY_PURPOSE_SHUFFLE, 4, 0);
    const size_t part[][2] = {{at.gain, width},
                              {at.bias, width},
                              {at.weight, width * h->outputs},
                              {at.weight_bias, h->outputs}};
    for (size_t p = 0; p < 4; p++)
        for (size_t i = 0; i < 3; i++) {
            size_t weight = part[p][0] + ramify_random_below(&random, part[p][1]);
            double want = head_difference(h, exact, rows, sums, slope, ldy, &exact[weight]);
            assert_true(fabs((double)gradient[weight] - want) < 1e-4 * (1 + fabs(want)));
        }
    for (size_t i = 0; i < 6; i++) {
        size_t number = ramify_random_below(&random, rows * width);
        double want = head_difference(h, exact, rows, sums, slope, ldy, &sums[number]);
        assert_true(fabs((double)ds[number] - want) < 1e-4 * (1 + fabs(want)));
    }
    /* Gradients are added to what is there. */
    float *twice = unset_floats(at.floats);
    memcpy(twice, gradient, at.floats * sizeof *twice);
    ramify_head_backward(kernels, h, record, rows, normal, inverse, slope, ldy, twice, ds, scratch);
    for (size_t i = 0; i < at.floats; i++)
        assert_true(fabs((double)twice[i] - 2 * (double)gradient[i]) <
                    1e-4 * (1 + fabs((double)gradient[i])));
    void *memory[] = {record,   s,  y,       noise, slope, normal, inverse,
                      gradient, ds, scratch, exact, sums,  alone,  twice};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
}

static void test_head(void **state) {
    (void)state;
    const ramify_kernels *const *list;
    size_t count = ramify_kernels_list(&list);
    for (size_t k = 0; k < count; k++)
        for (size_t h = 0; h < HEADS; h++)
            for (size_t r = 0; r < ROW_COUNTS; r++)
                check_head(list[k], &heads[h], row_counts[r]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

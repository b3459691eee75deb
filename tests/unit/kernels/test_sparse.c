/* Products with sparse matrices: against the reference, one row against many, and against the dense
 * product of the same weights. */

#include "kernel_matrix.h"

#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-5F

/* A matrix of random slices and the memory that it points to. */
typedef struct random_sparse {
    ramify_sparse of;
    uint32_t *steps;
    void *weights, *inputs;
} random_sparse;

static void *aligned(size_t bytes) {
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, bytes > 0 ? (bytes + 63) / 64 * 64 : 64), 0);
    return memory;
}

static random_sparse make(random_state *random, size_t k, size_t n, ramify_weights type) {
    size_t all = 0, slices = n / RAMIFY_SLICE;
    random_sparse made = {.of = {.k = k, .n = n, .type = type}};
    made.steps = aligned(slices * sizeof *made.steps);
    for (size_t i = 0; i < slices; i++) {
        made.steps[i] = (uint32_t)random_below(random, k < 20 ? k + 1 : 21);
        all += (size_t)made.steps[i] * RAMIFY_SLICE;
    }
    made.weights = aligned(all * ramify_weight_bytes(type));
    made.inputs = aligned(all * ramify_sparse_input_bytes(k));
    for (size_t i = 0; i < all; i++) {
        const float value = random_float(random);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (type == RAMIFY_WEIGHTS_FLOAT32)
            ((float *)made.weights)[i] = value;
        else if (type == RAMIFY_WEIGHTS_BFLOAT16)
            ((uint16_t *)made.weights)[i] = (uint16_t)(bits >> 16);
        else
            ((int8_t *)made.weights)[i] = (int8_t)(127.0F * value);
        const size_t input = random_below(random, k);
        if (ramify_sparse_input_bytes(k) == 2)
            ((uint16_t *)made.inputs)[i] = (uint16_t)input;
        else
            ((uint8_t *)made.inputs)[i] = (uint8_t)input;
    }
    made.of.steps = made.steps;
    made.of.weights = made.weights;
    made.of.inputs = made.inputs;
    return made;
}

static void release(random_sparse *made) {
    free(made->steps);
    free(made->weights);
    free(made->inputs);
}

/* One of those sizes at which another path is taken, or any. */
static size_t inputs(random_state *random) {
    static const size_t edges[] = {1, 15, 16, 17, 32, 33, 63, 64, 65, 256, 257, 700};
    const size_t i = random_below(random, 2 * (sizeof edges / sizeof edges[0]));
    return i < sizeof edges / sizeof edges[0] ? edges[i] : 1 + random_size(random);
}

static void sparse(const ramify_kernels *kernels, random_state *random) {
    const ramify_kernels *reference = ramify_kernels_reference();
    const size_t k = inputs(random), n = padded(random_size(random));
    const size_t columns = padded(random_size(random));
    random_sparse w = make(random, k, n, (ramify_weights)random_below(random, 3));
    matrix x = matrix_padded(random, k, columns);
    matrix rows = matrix_zero_padded(random, columns, k);
    for (size_t i = 0; i < columns; i++)
        for (size_t j = 0; j < k; j++)
            rows.at[i * rows.ld + j] = x.at[j * x.ld + i];
    matrix gain = matrix_padded(random, 1, n), bias = matrix_padded(random, 1, n);
    matrix slope = matrix_padded(random, 1, n);
    const float *g = random_below(random, 2) ? gain.at : NULL;
    const float *b = random_below(random, 4) ? bias.at : NULL;
    const float *s = random_below(random, 4) ? slope.at : NULL;
    matrix got = matrix_padded(random, n, columns), want = matrix_copy(&got);
    matrix row = matrix_padded(random, 1, n);
    const bool baseline = strcmp(kernels->name, "baseline") == 0;

    kernels->sparse_columns(&w.of, columns, x.at, x.ld, g, b, s, got.at, got.ld);
    reference->sparse_columns(&w.of, columns, x.at, x.ld, g, b, s, want.at, want.ld);
    check_same("sparse_columns", &got, &want, baseline ? 1e-3F : 0.0F);
    for (size_t i = 0; i < columns; i++) {
        kernels->sparse_row(&w.of, rows.at + i * rows.ld, g, b, s, row.at);
        for (size_t j = 0; j < n; j++)
            assert_memory_equal(&row.at[j], &got.at[j * got.ld + i], sizeof(float));
    }
    release(&w);
    matrix_free(&x);
    matrix_free(&rows);
    matrix_free(&gain);
    matrix_free(&bias);
    matrix_free(&slope);
    matrix_free(&got);
    matrix_free(&want);
    matrix_free(&row);
}

/* The reference itself, against affine with the weights spread out: several weights of one input add
 * up. */
static void spread_out(const ramify_kernels *kernels, random_state *random) {
    const size_t k = inputs(random), n = padded(random_size(random));
    random_sparse w = make(random, k, n, RAMIFY_WEIGHTS_FLOAT32);
    matrix dense = matrix_padded(random, k, n), x = matrix_zero_padded(random, 1, k);
    matrix bias = matrix_padded(random, 1, n), slope = matrix_padded(random, 1, n);
    matrix got = matrix_padded(random, 1, n), want = matrix_copy(&got);
    for (size_t i = 0; i < k; i++)
        memset(dense.at + i * dense.ld, 0, n * sizeof(float));
    size_t at = 0;
    for (size_t slice = 0; slice < n / RAMIFY_SLICE; slice++)
        for (uint32_t step = 0; step < w.steps[slice]; step++)
            for (size_t lane = 0; lane < RAMIFY_SLICE; lane++, at++) {
                const size_t input = k > RAMIFY_SPARSE_BYTE_INPUTS ? ((uint16_t *)w.inputs)[at]
                                                                   : ((uint8_t *)w.inputs)[at];
                dense.at[input * dense.ld + slice * RAMIFY_SLICE + lane] +=
                    ((float *)w.weights)[at];
            }
    kernels->sparse_row(&w.of, x.at, NULL, bias.at, slope.at, got.at);
    kernels->affine(1, n, k, x.at, x.ld, dense.at, dense.ld, bias.at, slope.at, want.at, want.ld);
    check_same("sparse_row and affine", &got, &want, 100 * TOLERANCE);
    release(&w);
    matrix_free(&dense);
    matrix_free(&x);
    matrix_free(&bias);
    matrix_free(&slope);
    matrix_free(&got);
    matrix_free(&want);
}

/* A masked matrix against the matrix spread out, to the bit. */
static void masked(const ramify_kernels *kernels, random_state *random) {
    const size_t k = random_size(random), n = padded(random_size(random)), all = k * n;
    const float share = random_float(random);
    uint16_t *masks = aligned(all / 16 * sizeof *masks);
    float *weights = aligned(all * sizeof *weights);
    size_t there = 0;
    for (size_t i = 0; i < all / 16; i++) {
        masks[i] = 0;
        for (size_t bit = 0; bit < 16; bit++)
            if (random_float(random) < share) {
                masks[i] |= (uint16_t)(1U << bit);
                weights[there++] = random_float(random);
            }
    }
    /* Nothing beyond the last weight may be needed. */
    float *tight = malloc((there > 0 ? there : 1) * sizeof *tight);
    memcpy(tight, weights, there * sizeof *tight);
    const ramify_masked w = {.k = k, .n = n, .masks = masks, .weights = tight};
    const size_t rows = random_below(random, 8);
    matrix x = matrix_loose(random, rows, k), bias = matrix_padded(random, 1, n);
    matrix slope = matrix_padded(random, 1, n), got = matrix_padded(random, rows, n);
    matrix want = matrix_copy(&got);
    float *dense = aligned(all * sizeof *dense), *twin = aligned(all * sizeof *twin);
    const float *b = random_below(random, 4) ? bias.at : NULL;
    const float *s = random_below(random, 4) ? slope.at : NULL;
    kernels->unmask(&w, dense);
    ramify_kernels_reference()->unmask(&w, twin);
    assert_memory_equal(dense, twin, all * sizeof *dense);
    kernels->masked_rows(&w, rows, x.at, x.ld, b, s, got.at, got.ld);
    kernels->affine(rows, n, k, x.at, x.ld, dense, n, b, s, want.at, want.ld);
    check_same("masked_rows and affine", &got, &want, 0.0F);
    ramify_kernels_reference()->masked_rows(&w, rows, x.at, x.ld, b, s, want.at, want.ld);
    check_same("masked_rows", &got, &want,
               strcmp(kernels->name, "baseline") == 0 ? 100 * TOLERANCE : 0.0F);
    free(masks);
    free(weights);
    free(tight);
    free(dense);
    free(twin);
    matrix_free(&x);
    matrix_free(&bias);
    matrix_free(&slope);
    matrix_free(&got);
    matrix_free(&want);
}

static void test_masked(void **state) {
    (void)state;
    for_every_set(masked);
}

static void test_sparse(void **state) {
    (void)state;
    for_every_set(sparse);
}

static void test_spread_out(void **state) {
    (void)state;
    for_every_set(spread_out);
}

int run_sparse_tests(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sparse),
                                       cmocka_unit_test(test_spread_out),
                                       cmocka_unit_test(test_masked)};
    return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}

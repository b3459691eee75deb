/* The stem in training, against its formula in double precision and that formula's finite
 * differences. */

#include "encoder.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BINS  16
#define ROWS  700
#define TRAIN 500

/* Columns of the mixed table. */
enum { SMOOTH, FEW, TWO, HEAVY, GAPS, CONSTANT, NUMERIC };

static double zero(const double *x) {
    (void)x;
    return 0;
}

/* A table with columns of every kind, and a category. */
static toy mixed(void) {
    static const char *const words[] = {"red", "green", "blue", NULL};
    const char *color[ROWS];
    toy t = toy_create(toy_context, ROWS, NUMERIC, zero, 1.0, 3);
    for (size_t row = 0; row < ROWS; row++) {
        double *x = t.values + row * (NUMERIC + 1);
        x[FEW] = floor(5 * x[FEW]);
        x[TWO] = x[TWO] > 0.2 ? 3 : -1;
        x[HEAVY] = x[HEAVY] < 0.5 ? 0 : x[HEAVY];
        if (row % 7 == 0)
            x[GAPS] = (double)NAN;
        x[CONSTANT] = 5;
        if (row >= TRAIN && row % 3 == 0)
            x[SMOOTH] *= 50; /* select rows move no knot */
        color[row] = words[(row * row / 3) % 4];
    }
    assert_int_equal(ramify_table_add_texts(toy_context, t.table, "color", color), RAMIFY_OK);
    toy_problem(&t, TRAIN, 100, NULL, NULL);
    return t;
}

static ramify_encoder *encode(const toy *t, bool bins, uint32_t frequencies) {
    ramify_encoder_options options = {.bins = bins,
                                      .bin_count = BINS,
                                      .frequencies = frequencies,
                                      .frequency_deviation = 0.3,
                                      .seed = 5};
    ramify_encoder *encoder = NULL;
    assert_int_equal(ramify_encoder_create(t->problem, &options, &encoder), RAMIFY_OK);
    return encoder;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Standardised training values of a numeric column, sorted; returns their number. */
static size_t sorted_values(const toy *t, uint32_t c, double *values) {
    const ramify_problem *problem = t->problem;
    const ramify_stem_column *column = &problem->column[c];
    size_t count = 0;
    for (size_t i = 0; i < problem->train.count; i++) {
        const float *plain =
            problem->plain + problem->train.row[i] * problem->plain_stride + column->plain;
        if (!column->missing || plain[1] == 0.0F)
            values[count++] = (double)plain[0];
    }
    qsort(values, count, sizeof *values, compare_doubles);
    return count;
}

static void test_knots(void **state) {
    (void)state;
    toy t = mixed();
    ramify_encoder *encoder = encode(&t, true, 0);
    double values[TRAIN];
    for (uint32_t c = 0; c < NUMERIC; c++) {
        const ramify_stem_column *column = &encoder->column[c];
        const float *knots = encoder->knots + column->knot;
        size_t count = sorted_values(&t, c, values);
        size_t distinct = 1;
        for (size_t i = 1; i < count; i++)
            distinct += values[i] != values[i - 1];
        if (distinct < 3) {
            assert_true(c == TWO || c == CONSTANT);
            assert_int_equal(column->knots, 0);
            continue;
        }
        assert_true((double)knots[0] == values[0]);
        assert_true((double)knots[column->knots - 1] == values[count - 1]);
        for (uint32_t k = 1; k < column->knots; k++)
            assert_true(knots[k] > knots[k - 1]);
        if (c == FEW) {
            assert_int_equal(column->knots, distinct);
            continue;
        }
        /* No interval holds more than its share of what the cap leaves, and one value. */
        double cap = (double)count / BINS, total = 0, inside[BINS] = {0}, largest[BINS] = {0};
        for (size_t i = 0, run; i < count; i += run) {
            for (run = 1; i + run < count && values[i + run] == values[i];)
                run++;
            uint32_t interval = 0;
            while ((double)knots[interval + 1] < values[i])
                interval++;
            double mass = (double)run < cap ? (double)run : cap;
            inside[interval] += mass;
            largest[interval] = mass > largest[interval] ? mass : largest[interval];
            total += mass;
        }
        assert_int_equal(column->knots, BINS + 1);
        for (uint32_t b = 0; b < BINS; b++)
            assert_true(inside[b] <= total / BINS + largest[b] + 1e-9);
    }
    ramify_encoder_destroy(toy_context, &encoder);
    assert_null(encoder);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

/* As many distinct values as knots: all of them are knots; one more, and quantiles are taken. */
static void test_knots_at_the_border(void **state) {
    (void)state;
    for (size_t distinct = BINS; distinct <= BINS + 2; distinct++) {
        toy t = toy_create(toy_context, ROWS, 1, zero, 1.0, 4);
        /* All values once, the highest three over and over: quantiles would pass the low ones by. */
        for (size_t row = 0; row < ROWS; row++) {
            double value = (double)(row < distinct ? row : distinct - 1 - row % 3);
            t.values[2 * row] = value * value;
        }
        toy_problem(&t, TRAIN, 100, NULL, NULL);
        ramify_encoder *encoder = encode(&t, true, 0);
        if (distinct <= BINS + 1)
            assert_int_equal(encoder->column[0].knots, distinct);
        else
            assert_true(encoder->column[0].knots < BINS);
        ramify_encoder_destroy(toy_context, &encoder);
        toy_destroy(&t);
    }
}

/* ---- the formula ---- */

static double piece(const float *knots, uint32_t b, double z) {
    double low = (double)knots[b], high = (double)knots[b + 1];
    double v = (z - low) / (high - low);
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* Mean of v_b over the training rows that have a value. */
static double piece_mean(const toy *t, const ramify_encoder *encoder, uint32_t c, uint32_t b) {
    double values[TRAIN], sum = 0;
    size_t count = sorted_values(t, c, values);
    for (size_t i = 0; i < count; i++)
        sum += piece(encoder->knots + encoder->column[c].knot, b, values[i]);
    return sum / (double)count;
}

/* means[c][b], once per encoder */
typedef double means_of[NUMERIC][BINS];

static void all_means(const toy *t, const ramify_encoder *encoder, means_of means) {
    for (uint32_t c = 0; c < NUMERIC; c++)
        for (uint32_t b = 0; b + 1 < encoder->column[c].knots; b++)
            means[c][b] = piece_mean(t, encoder, c, b);
}

/* Features of one row from parameters theta, by the description in encoder.h. */
static void formula(const toy *t, const ramify_encoder *encoder, means_of means,
                    const double *theta, uint32_t row, double *features) {
    const ramify_stem *stem = &encoder->stem;
    for (uint32_t c = 0; c < stem->columns; c++) {
        const ramify_stem_column *column = &encoder->column[c];
        const float *plain =
            t->problem->plain + row * t->problem->plain_stride + t->problem->column[c].plain;
        const double *own = theta + encoder->theta_at[c];
        double *out = features + column->feature;
        double z = (double)plain[0];
        if (column->codes > 0) {
            for (uint32_t code = 0; code < column->codes; code++)
                for (uint32_t o = 0; o < (stem->bins ? 2U : 1U); o++) {
                    if (!stem->bins)
                        out[code] = (double)plain[code];
                    else if (plain[code] != 0.0F)
                        out[o] = own[2 * code + o];
                }
            continue;
        }
        bool missing = column->missing && plain[1] != 0.0F;
        if (column->knots == 0) {
            out[0] = z;
            if (column->missing)
                out[1] = missing;
        } else {
            for (uint32_t o = 0; o < 2; o++) {
                out[o] = own[o] * z;
                for (uint32_t b = 0; b + 1 < column->knots; b++)
                    out[o] += 2 * own[2 + 2 * b + o] *
                              (piece(encoder->knots + column->knot, b, z) - means[c][b]);
                if (missing)
                    out[o] = own[2 * column->knots + o];
            }
        }
        for (uint32_t f = 0; f < stem->frequencies; f++) {
            double turns = theta[encoder->frequency_at + c * stem->frequencies + f] * z;
            features[column->periodic + 2 * f] = sin(2 * acos(-1.0) * turns);
            features[column->periodic + 2 * f + 1] = cos(2 * acos(-1.0) * turns);
        }
    }
}

static double *theta_of(const ramify_encoder *encoder) {
    double *theta = calloc(encoder->parameters + 1, sizeof *theta);
    assert_non_null(theta);
    for (size_t i = 0; i < encoder->parameters; i++)
        theta[i] = (double)encoder->theta[i];
    return theta;
}

/* Other numbers than the initial ones, those of missing values (initially 0) among them. */
static void shake(ramify_encoder *encoder) {
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_INITIAL, 2, 3);
    for (size_t i = 0; i < encoder->frequency_at; i++)
        encoder->theta[i] += (float)(0.3 * ramify_random_normal(&random));
    ramify_encoder_tabulate(encoder);
}

static void test_forward(void **state) {
    (void)state;
    toy t = mixed();
    for (int bins = 0; bins < 2; bins++)
        for (uint32_t frequencies = 0; frequencies < 4; frequencies += 3) {
            ramify_encoder *encoder = encode(&t, bins, frequencies);
            shake(encoder);
            size_t used = encoder->stem.features, stride = ramify_pad(used) + 16;
            float *features = toy_floats(ROWS * stride), *stem = toy_floats(ROWS * stride);
            double *expected = calloc(used, sizeof *expected), *theta = theta_of(encoder);
            means_of means;
            all_means(&t, encoder, means);
            uint32_t rows[ROWS];
            for (uint32_t i = 0; i < ROWS; i++)
                rows[i] = (i * 37) % ROWS; /* in another order than they lie */
            for (size_t i = 0; i < ROWS * stride; i++)
                features[i] = 9.0F;
            ramify_encoder_forward(t.problem, encoder, rows, ROWS, features, stride);
            ramify_stem_features(t.problem->kernels, &encoder->stem, ROWS, t.problem->plain,
                                 t.problem->plain_stride, stem, stride);
            for (size_t i = 0; i < ROWS; i++) {
                formula(&t, encoder, means, theta, rows[i], expected);
                for (size_t j = 0; j < ramify_pad(used); j++) {
                    float found = features[i * stride + j];
                    double wanted = j < used ? expected[j] : 0.0;
                    double tolerance = j < used ? 2e-5 * (1 + fabs(wanted)) : 0.0;
                    assert_true(fabs((double)found - wanted) <= tolerance);
                    assert_true(fabs((double)(found - stem[rows[i] * stride + j])) <=
                                1e-6 * (1 + fabs(wanted)));
                }
                assert_true(features[i * stride + ramify_pad(used)] == 9.0F);
            }
            free(features);
            free(stem);
            free(expected);
            free(theta);
            ramify_encoder_destroy(toy_context, &encoder);
        }
    toy_destroy(&t);
}

/* Sum over rows of a random linear function of the features, in double precision. */
static double linear_loss(const toy *t, const ramify_encoder *encoder, means_of means,
                          const double *theta, const uint32_t *rows, size_t count,
                          const float *weights, size_t stride) {
    double features[256], loss = 0;
    for (size_t i = 0; i < count; i++) {
        memset(features, 0, sizeof features);
        formula(t, encoder, means, theta, rows[i], features);
        for (uint32_t j = 0; j < encoder->stem.features; j++)
            loss += features[j] * (double)weights[i * stride + j];
    }
    return loss;
}

static void test_backward(void **state) {
    (void)state;
    enum { COUNT = 60 };
    toy t = mixed();
    for (int bins = 0; bins < 2; bins++)
        for (uint32_t frequencies = 0; frequencies < 4; frequencies += 3) {
            ramify_encoder *encoder = encode(&t, bins, frequencies);
            shake(encoder);
            size_t stride = ramify_pad(encoder->stem.features) + 16;
            float *features = toy_floats(COUNT * stride), *weights = toy_floats(COUNT * stride);
            float *gradient = toy_floats(encoder->parameters);
            double *theta = theta_of(encoder);
            means_of means;
            all_means(&t, encoder, means);
            uint32_t rows[COUNT];
            ramify_random random = ramify_random_stream(9, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
            for (size_t i = 0; i < COUNT; i++) {
                rows[i] = (uint32_t)ramify_random_below(&random, ROWS);
                for (size_t j = 0; j < encoder->stem.features; j++)
                    weights[i * stride + j] = (float)ramify_random_normal(&random);
            }
            for (size_t i = 0; i < encoder->parameters; i++)
                gradient[i] = 1.0F; /* what is there is added to */
            ramify_encoder_forward(t.problem, encoder, rows, COUNT, features, stride);
            ramify_encoder_backward(t.problem, encoder, rows, COUNT, features, weights, stride,
                                    gradient);
            size_t moving = 0;
            for (size_t i = 0; i < encoder->parameters; i++) {
                double kept = theta[i], h = 1e-5;
                theta[i] = kept + h;
                double above = linear_loss(&t, encoder, means, theta, rows, COUNT, weights, stride);
                theta[i] = kept - h;
                double slope =
                    (above - linear_loss(&t, encoder, means, theta, rows, COUNT, weights, stride)) /
                    (2 * h);
                theta[i] = kept;
                moving += slope != 0;
                if (fabs((double)gradient[i] - 1 - slope) > 2e-4 * (1 + fabs(slope)))
                    fail_msg("parameter %zu: %.7g, expected %.7g", i, (double)gradient[i] - 1,
                             slope);
            }
            assert_true(encoder->parameters == 0 || moving > 10);
            free(features);
            free(weights);
            free(gradient);
            free(theta);
            ramify_encoder_destroy(toy_context, &encoder);
        }
    toy_destroy(&t);
}

static void test_nothing_to_learn(void **state) {
    (void)state;
    toy t = mixed();
    ramify_encoder *encoder = encode(&t, false, 0);
    assert_int_equal(encoder->parameters, 0);
    assert_int_equal(encoder->stem.features, t.problem->stem.plain);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

static void test_deterministic(void **state) {
    (void)state;
    toy t = mixed();
    ramify_encoder *a = encode(&t, true, 2), *b = encode(&t, true, 2);
    assert_int_equal(a->parameters, b->parameters);
    assert_memory_equal(a->theta, b->theta, a->parameters * sizeof *a->theta);
    assert_memory_equal(a->table, b->table, a->stem.entry_count * 4 * sizeof *a->table);
    ramify_encoder_options options = {.bins = true, .bin_count = BINS, .seed = 6};
    ramify_encoder *other = NULL;
    assert_int_equal(ramify_encoder_create(t.problem, &options, &other), RAMIFY_OK);
    assert_memory_not_equal(a->theta, other->theta, a->frequency_at * sizeof *a->theta);
    ramify_encoder_destroy(toy_context, &a);
    ramify_encoder_destroy(toy_context, &b);
    ramify_encoder_destroy(toy_context, &other);
    toy_destroy(&t);
}

/* The most knots that fit in a byte, with a missing entry on top. */
static void test_most_bins(void **state) {
    (void)state;
    toy t = mixed();
    ramify_encoder_options options = {.bins = true, .bin_count = 100000, .seed = 6};
    ramify_encoder *encoder = NULL;
    assert_int_equal(ramify_encoder_create(t.problem, &options, &encoder), RAMIFY_OK);
    assert_true(encoder->column[GAPS].knots > 200);
    size_t stride = ramify_pad(encoder->stem.features);
    float *features = toy_floats(ROWS * stride), *stem = toy_floats(ROWS * stride);
    ramify_encoder_forward(t.problem, encoder, t.problem->row_memory, ROWS, features, stride);
    ramify_stem_features(t.problem->kernels, &encoder->stem, ROWS, t.problem->plain,
                         t.problem->plain_stride, stem, stride);
    for (size_t i = 0; i < ROWS * stride; i++)
        assert_true(fabs((double)(features[i] - stem[i])) <= 1e-5 * (1 + fabs((double)stem[i])));
    free(features);
    free(stem);
    ramify_encoder_destroy(toy_context, &encoder);
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knots),
        cmocka_unit_test(test_knots_at_the_border),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
        cmocka_unit_test(test_nothing_to_learn),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_most_bins),
    };
    return cmocka_run_group_tests(tests, toy_open_context, toy_close_context);
}

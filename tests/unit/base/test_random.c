/* Random streams: the same numbers everywhere, and numbers that look random. Limits of statistical
 * tests lie at five standard deviations or more: the streams are fixed, so they never fail by luck,
 * but a change that is right should not have to be lucky either. */

#include "cmocka_all.h"
#include "random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The value of a seed is a promise to users: these may never change. They were computed apart
 * from the library, by a transcription of the generators in Python integers. */
static void test_known_values(void **state) {
    (void)state;
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_SHUFFLE, 2, 3);
    assert_true(ramify_random_bits(&random) == 0x561a49619177250fu);
    assert_true(ramify_random_bits(&random) == 0xf403775947d8f1bau);
    assert_true(ramify_random_child(0, 0) == 0xeaebd7719b9c0f8bu);
    assert_true(ramify_random_child(ramify_random_child(0, 3), 1) == 0xc4b36c90d7a6ff59u);
}

static void test_every_part_of_the_key_counts(void **state) {
    (void)state;
    ramify_random streams[] = {
        ramify_random_stream(0, RAMIFY_PURPOSE_SPLIT, 0, 0),
        ramify_random_stream(1, RAMIFY_PURPOSE_SPLIT, 0, 0),
        ramify_random_stream(0, RAMIFY_PURPOSE_INITIAL, 0, 0),
        ramify_random_stream(0, RAMIFY_PURPOSE_SPLIT, 1, 0),
        ramify_random_stream(0, RAMIFY_PURPOSE_SPLIT, 0, 1),
        ramify_random_stream(UINT64_MAX, RAMIFY_PURPOSE_SPLIT, 0, 0),
    };
    size_t count = sizeof streams / sizeof streams[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++)
            assert_memory_not_equal(&streams[i], &streams[j], sizeof streams[i]);
    }
}

static int compare_keys(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* No two nodes of a tree of five levels and arity 8 share a path key. */
static void test_path_keys_differ(void **state) {
    (void)state;
    enum { ARITY = 8, NODES = 1 + 8 + 64 + 512 + 4096 };
    uint64_t *keys = malloc(NODES * sizeof *keys);
    assert_non_null(keys);
    keys[0] = 0;
    size_t count = 1;
    for (size_t parent = 0; count < NODES; parent++) {
        for (uint32_t child = 0; child < ARITY; child++)
            keys[count++] = ramify_random_child(keys[parent], child);
    }
    qsort(keys, NODES, sizeof *keys, compare_keys);
    for (size_t i = 1; i < NODES; i++)
        assert_true(keys[i] != keys[i - 1]);
    free(keys);
}

/* One draw from each of many neighbouring streams must look as good as many draws from one: rows
 * and epochs are such neighbours. which: 0 one stream, 1 rows, 2 nodes, 3 seeds. */
static double draw(int which, uint64_t i, ramify_random *stream) {
    ramify_random random;
    switch (which) {
    case 1:
        random = ramify_random_stream(5, RAMIFY_PURPOSE_SPLIT, 0, i);
        break;
    case 2:
        random = ramify_random_stream(5, RAMIFY_PURPOSE_SPLIT, i, 0);
        break;
    case 3:
        random = ramify_random_stream(i, RAMIFY_PURPOSE_SPLIT, 0, 0);
        break;
    default:
        return ramify_random_uniform(stream);
    }
    return ramify_random_uniform(&random);
}

static void test_uniform(void **state) {
    (void)state;
    enum { DRAWS = 200000, BINS = 64 };
    for (int which = 0; which < 4; which++) {
        ramify_random stream = ramify_random_stream(9, RAMIFY_PURPOSE_SEEDS, 0, 0);
        double sum = 0.0, products = 0.0, last = 0.5;
        size_t counts[BINS] = {0};
        for (uint64_t i = 0; i < DRAWS; i++) {
            double u = draw(which, i, &stream);
            assert_true(u >= 0.0 && u < 1.0);
            sum += u;
            products += (u - 0.5) * (last - 0.5);
            last = u;
            counts[(size_t)(u * BINS)]++;
        }
        /* Mean 1/2, variance 1/12; neighbouring draws uncorrelated, variance of a product 1/144. */
        assert_true(fabs(sum / DRAWS - 0.5) < 5.0 * sqrt(1.0 / 12.0 / DRAWS));
        assert_true(fabs(products / DRAWS) < 5.0 / 12.0 / sqrt(DRAWS));
        double chi = 0.0;
        for (size_t b = 0; b < BINS; b++) {
            double off = (double)counts[b] - (double)DRAWS / BINS;
            chi += off * off / ((double)DRAWS / BINS);
        }
        /* chi-squared, 63 degrees: mean 63, deviation sqrt(126). Too even is as suspect. */
        assert_true(fabs(chi - (BINS - 1)) < 5.0 * sqrt(2.0 * (BINS - 1)));
    }
}

static void test_normal(void **state) {
    (void)state;
    enum { DRAWS = 200000 };
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_INITIAL, 1, 2);
    double sum = 0.0, squares = 0.0, fourths = 0.0;
    size_t beyond = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        double z = ramify_random_normal(&random);
        sum += z;
        squares += z * z;
        fourths += z * z * z * z;
        beyond += fabs(z) > 1.959964;
    }
    /* Moments 0, 1, 3 with variances 1, 2, 96. */
    assert_true(fabs(sum / DRAWS) < 5.0 / sqrt(DRAWS));
    assert_true(fabs(squares / DRAWS - 1.0) < 5.0 * sqrt(2.0 / DRAWS));
    assert_true(fabs(fourths / DRAWS - 3.0) < 5.0 * sqrt(96.0 / DRAWS));
    assert_true(fabs((double)beyond / DRAWS - 0.05) < 5.0 * sqrt(0.05 * 0.95 / DRAWS));
}

/* 3 * 2^62 is a bound at which taking the remainder alone would make a third of the values twice as
 * likely. */
static void test_below(void **state) {
    (void)state;
    enum { DRAWS = 60000 };
    ramify_random random = ramify_random_stream(4, RAMIFY_PURPOSE_SEEDS, 0, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ramify_random_below(&random, 1), 0);
    size_t counts[3] = {0};
    for (size_t i = 0; i < DRAWS; i++)
        counts[ramify_random_below(&random, 3)]++;
    double deviation = sqrt(DRAWS * 2.0 / 9.0);
    for (size_t k = 0; k < 3; k++)
        assert_true(fabs((double)counts[k] - DRAWS / 3.0) < 5.0 * deviation);
    uint64_t bound = (uint64_t)3 << 62;
    size_t low = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        uint64_t value = ramify_random_below(&random, bound);
        assert_true(value < bound);
        low += value < (uint64_t)1 << 62;
    }
    assert_true(fabs((double)low - DRAWS / 3.0) < 5.0 * deviation);
}

static void test_shuffle(void **state) {
    (void)state;
    enum { SHUFFLES = 24000 };
    size_t counts[24] = {0};
    for (uint64_t i = 0; i < SHUFFLES; i++) {
        ramify_random random = ramify_random_stream(0, RAMIFY_PURPOSE_SHUFFLE, 0, i);
        uint32_t rows[4] = {0, 1, 2, 3};
        ramify_random_shuffle(&random, rows, 4);
        unsigned seen = 0;
        size_t place = 0;
        for (uint32_t k = 0; k < 4; k++) {
            assert_true(rows[k] < 4);
            seen |= 1U << rows[k];
            uint32_t smaller = 0;
            for (uint32_t l = k + 1; l < 4; l++)
                smaller += rows[l] < rows[k];
            place = place * (4 - k) + smaller;
        }
        assert_int_equal(seen, 15);
        counts[place]++;
    }
    /* Every one of the 24 orders, equally often. */
    double deviation = sqrt(SHUFFLES * (1.0 / 24) * (23.0 / 24));
    for (size_t k = 0; k < 24; k++)
        assert_true(fabs((double)counts[k] - SHUFFLES / 24.0) < 5.0 * deviation);
    ramify_random random = ramify_random_stream(0, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    ramify_random_shuffle(&random, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_every_part_of_the_key_counts),
        cmocka_unit_test(test_path_keys_differ),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_shuffle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

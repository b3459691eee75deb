/* The stem, by hand-computed examples. */

#include "stem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(float found, double expected) {
    if (!(fabs((double)found - expected) <= 1e-6 * (1.0 + fabs(expected))))
        fail_msg("found %.9g, expected %.9g", (double)found, expected);
}

/* Columns: a number with missing values, a category of three codes, a plain number. */
static ramify_stem_column columns[3] = {
    {.missing = 1, .plain = 0, .feature = 0},
    {.codes = 3, .plain = 2, .feature = 2},
    {.plain = 5, .feature = 5},
};
static const double center[3] = {10.0, 0.0, -1.0};
static const double scale[3] = {2.0, 1.0, 0.5};

static ramify_stem plain_stem(void) {
    return (ramify_stem){.columns = 3,
                         .plain = 6,
                         .features = 6,
                         .routes = 6,
                         .column = columns,
                         .center = center,
                         .scale = scale};
}

static void test_plain_features(void **state) {
    (void)state;
    ramify_stem stem = plain_stem();
    static const struct {
        double x[3];
        float plain[6];
    } cases[] = {
        {{12.0, 0.0, -1.0}, {1, 0, 1, 0, 0, 0}},
        {{(double)NAN, 1.0, -1.25}, {0, 1, 0, 1, 0, -0.5F}},
        {{1e300, 2.0, 99.0}, {10, 0, 0, 0, 1, 10}},
        {{-(double)INFINITY, 3.0, (double)NAN}, {-10, 0, 0, 0, 1, 0}}, /* code 3: other */
        {{10.0, -1.0, -1e300}, {0, 0, 0, 0, 1, -10}},
        {{9.0, (double)NAN, -1.0}, {-0.5F, 0, 0, 0, 1, 0}},
        {{9.0, 0.5, -1.0}, {-0.5F, 0, 0, 0, 1, 0}}, /* half a code is none */
        {{9.0, 1e30, -1.0}, {-0.5F, 0, 0, 0, 1, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _Alignas(64) float plain[16];
        memset(plain, 0xff, sizeof plain);
        ramify_stem_plain(ramify_kernels_select(NULL), &stem, 1, cases[i].x, 3, plain, 16);
        for (size_t j = 0; j < 6; j++)
            assert_near(plain[j], (double)cases[i].plain[j]);
        for (size_t j = 6; j < 16; j++)
            assert_true(plain[j] == 0.0F); /* padding is written each time */
    }
}

/* What is known of many columns of numbers changes no bit. */
#define WIDE 2500
static void test_what_is_known_of_columns(void **state) {
    (void)state;
    static ramify_stem_column column[WIDE];
    static double wide_center[WIDE], wide_scale[WIDE], x[2 * WIDE];
    static _Alignas(64) float plain[2][2 * WIDE + 64];
    size_t ldp = ramify_pad(WIDE);
    for (uint32_t c = 0; c < WIDE; c++) {
        column[c] = (ramify_stem_column){.plain = c, .feature = c};
        wide_center[c] = 0.3;
        wide_scale[c] = 0.7;
    }
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = i % 101 == 0 ? (double)NAN : (double)(i * 37 % 1009) / 50;
    ramify_stem stem = {.columns = WIDE,
                        .plain = WIDE,
                        .column = column,
                        .center = wide_center,
                        .scale = wide_scale};
    for (int alike = 1; alike >= 0; alike--) {
        wide_scale[WIDE - 1] = alike ? 0.7 : 0.8;
        stem.numbers_alone = stem.same_scale = false;
        ramify_stem_plain(ramify_kernels_select(NULL), &stem, 2, x, WIDE, plain[0], ldp);
        ramify_stem_classify(&stem);
        assert_true(stem.numbers_alone && stem.same_scale == (alike == 1));
        ramify_stem_plain(ramify_kernels_select(NULL), &stem, 2, x, WIDE, plain[1], ldp);
        assert_memory_equal(plain[0], plain[1], 2 * ldp * sizeof(float));
    }
    column[7].codes = 1;
    ramify_stem_classify(&stem);
    assert_false(stem.numbers_alone || stem.same_scale);
}

static void test_features_without_bins(void **state) {
    (void)state;
    ramify_stem stem = plain_stem();
    static const float frequency[6] = {0.25F, 0.5F, 0, 0, 1.0F, -0.125F};
    stem.frequencies = 2;
    stem.frequency = frequency;
    stem.features = 14;
    columns[0].periodic = 6;
    columns[2].periodic = 10;
    static const float plain[16] = {1.0F, 0, 0, 1, 0, -2.0F};
    _Alignas(64) float features[16];
    memset(features, 0xff, sizeof features);
    ramify_stem_features(ramify_kernels_select(NULL), &stem, 1, plain, 16, features, 16);
    static const double expected[16] = {1, 0, 0, 1, 0, -2, 1, 0, 0, -1, 0, 1, 1, 0, 0, 0};
    for (size_t j = 0; j < 16; j++)
        assert_near(features[j], expected[j]);
    columns[0].periodic = columns[2].periodic = 0;
}

static void test_bins(void **state) {
    (void)state;
    /* The number has knots -1, 0, 2: entries 0..3 and 4 for missing; the category entries 5..7. */
    ramify_stem_column binned[3] = {
        {.missing = 1, .plain = 0, .feature = 0, .knot = 0, .knots = 3, .entry = 0},
        {.codes = 3, .plain = 2, .feature = 2, .entry = 5},
        {.plain = 5, .feature = 4},
    };
    static const float knots[3] = {-1, 0, 2};
    float table[8][4];
    for (size_t e = 0; e < 8; e++)
        for (size_t i = 0; i < 4; i++)
            table[e][i] = (float)(10 * e + i);
    ramify_stem stem = plain_stem();
    stem.bins = true;
    stem.column = binned;
    stem.knots = knots;
    stem.knot_count = 3;
    stem.entry_count = 8;
    stem.table = &table[0][0];
    stem.features = 5;
    static const struct {
        float z, missing;
        uint32_t entry;
        double offset;
    } cases[] = {
        {-3.0F, 0, 0, -2.0}, /* below the first knot its line goes on */
        {-1.0F, 0, 1, 0.0},  /* a knot belongs to the interval above it */
        {-0.5F, 0, 1, 0.5},  {0.0F, 0, 2, 0.0}, {1.5F, 0, 2, 1.5},
        {2.0F, 0, 3, 0.0},   {7.0F, 0, 3, 5.0}, {0.0F, 1, 4, 0.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float plain[16] = {cases[i].z, cases[i].missing, 0, 0, 1, 0.75F};
        _Alignas(64) float features[16];
        ramify_stem_features(ramify_kernels_select(NULL), &stem, 1, plain, 16, features, 16);
        const float *entry = table[cases[i].entry];
        assert_near(features[0], (double)entry[0] + (double)entry[1] * cases[i].offset);
        assert_near(features[1], (double)entry[2] + (double)entry[3] * cases[i].offset);
        assert_near(features[2], 70.0); /* code 2: entry 7 */
        assert_near(features[3], 72.0);
        assert_near(features[4], 0.75);
        assert_near(features[5], 0.0);

        float slopes[16] = {1, 2, 3, 4, 5}, dplain[16];
        ramify_stem_plain_gradient(&stem, 1, plain, 16, slopes, 16, dplain, 16);
        assert_near(dplain[0], (double)entry[1] + 2.0 * (double)entry[3]);
        assert_near(dplain[1], 0.0);
        assert_near(dplain[2], 3.0 * 50.0 + 4.0 * 52.0);
        assert_near(dplain[4], 3.0 * 70.0 + 4.0 * 72.0);
        assert_near(dplain[5], 5.0);
    }
}

/* Halving and counting find the same interval. */
static void test_many_knots(void **state) {
    (void)state;
    for (uint32_t count = 1; count <= RAMIFY_STEM_KNOTS_MAX; count++) {
        ramify_stem_column column = {.knots = count};
        float *knots = malloc(count * sizeof *knots);
        float *table = calloc(4 * (count + 1), sizeof *table);
        for (uint32_t k = 0; k < count; k++)
            knots[k] = (float)k;
        for (uint32_t e = 0; e <= count; e++)
            table[4 * e] = (float)e;
        ramify_stem stem = {.columns = 1,
                            .plain = 1,
                            .features = 2,
                            .routes = 1,
                            .bins = true,
                            .knot_count = count,
                            .entry_count = count + 1,
                            .column = &column,
                            .center = center,
                            .scale = scale,
                            .knots = knots,
                            .table = table};
        for (uint32_t twice = 0; twice <= 2 * count + 2; twice++) {
            float plain[16] = {0.5F * (float)twice - 1.0F}, features[16];
            ramify_stem_features(ramify_kernels_select(NULL), &stem, 1, plain, 16, features, 16);
            uint32_t below = twice / 2 < count ? twice / 2 : count;
            assert_true(features[0] == (float)below);
        }
        free(knots);
        free(table);
    }
}

static void test_route(void **state) {
    (void)state;
    const ramify_kernels *kernels = ramify_kernels_reference();
    ramify_stem stem = plain_stem();
    static const _Alignas(64) float plain[16] = {1, 0, 0, 1, 0, -2};
    _Alignas(64) float point[16];
    memset(point, 0xff, sizeof point);
    ramify_stem_route(kernels, &stem, 1, plain, 16, point, 16);
    assert_memory_equal(point, plain, sizeof point);
    static const _Alignas(64) float route[32] = {1, 0, 0, 2, 0, 3, 0, 0, 0, 0, 0,
                                                 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    stem.route = route;
    stem.routes = 2;
    ramify_stem_route(kernels, &stem, 1, plain, 16, point, 16);
    assert_near(point[0], -3.0);
    assert_near(point[1], -2.0);
    for (size_t i = 2; i < 16; i++)
        assert_true(point[i] == 0.0F);
}

static void test_raw_gradient(void **state) {
    (void)state;
    ramify_stem stem = plain_stem();
    static const float dplain[16] = {4, 5, 6, 7, 8, 9};
    double dx[3];
    ramify_stem_raw_gradient(&stem, 1, (double[]){12.0, 1.0, -1.0}, 3, dplain, 16, dx, 3);
    assert_true(dx[0] == 2.0 && dx[1] == 0.0 && dx[2] == 18.0);
    ramify_stem_raw_gradient(&stem, 1, (double[]){(double)NAN, 1.0, 5.0}, 3, dplain, 16, dx, 3);
    assert_true(dx[0] == 0.0 && dx[1] == 0.0 && dx[2] == 0.0); /* missing; clipped */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_features),
        cmocka_unit_test(test_what_is_known_of_columns),
        cmocka_unit_test(test_features_without_bins),
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_many_knots),
        cmocka_unit_test(test_route),
        cmocka_unit_test(test_raw_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Changes to training images. */

#include "augment.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEIGHT   8
#define BREADTH  6
#define CHANNELS 2
#define NUMBERS  (HEIGHT * BREADTH * CHANNELS)

static const float black[CHANNELS] = {-1, -2};

/* Every pixel differs. */
static void fill(float *image) {
    for (size_t i = 0; i < NUMBERS; i++)
        image[i] = (float)i;
}

static const ramify_augmentation nothing = {
    .height = HEIGHT, .breadth = BREADTH, .channels = CHANNELS, .black = black};

/* The draw of some row whose result differs from the source. */
static void test_nothing_and_keys(void **state) {
    (void)state;
    float from[NUMBERS], to[NUMBERS], again[NUMBERS];
    fill(from);
    ramify_augment(&nothing, 1, 2, 3, from, to);
    assert_memory_equal(from, to, sizeof to);

    ramify_augmentation a = nothing;
    a.crop = 2;
    a.flip = true;
    a.operations = 2;
    a.magnitude = 1;
    a.erase = 0.5;
    ramify_augment(&a, 1, 2, 3, from, to);
    ramify_augment(&a, 1, 2, 3, from, again);
    assert_memory_equal(to, again, sizeof to);
    const uint64_t others[][3] = {{2, 2, 3}, {1, 3, 3}, {1, 2, 4}};
    for (size_t i = 0; i < 3; i++) {
        ramify_augment(&a, others[i][0], others[i][1], others[i][2], from, again);
        assert_memory_not_equal(to, again, sizeof to);
    }
}

static void test_names(void **state) {
    (void)state;
    ramify_augmentation a = nothing;
    assert_true(ramify_augmentation_read("flip", &a));
    assert_true(a.flip && a.crop == 0 && a.operations == 0 && a.erase == 0);
    assert_true(ramify_augmentation_read("erase, crop,randaugment", &a));
    /* An eighth of 6 pixels is none; of 16 it is 2. */
    assert_true(a.flip && a.crop == 0 && a.operations == 2 && a.magnitude > 0 && a.erase > 0);
    ramify_augmentation larger = {.height = 24, .breadth = 16, .channels = 1};
    assert_true(ramify_augmentation_read("crop", &larger));
    assert_int_equal(larger.crop, 2);
    assert_null(ramify_augmentation_error(&larger));
    static const char *const bad[] = {"", ",", "spin", "flips", "flip crop", "off"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ramify_augmentation_read(bad[i], &a));
}

/* Crops and flips move pixels whole, by no more than told, every way of it; what enters is black. */
static void test_crop_and_flip(void **state) {
    (void)state;
    ramify_augmentation a = nothing;
    a.crop = 2;
    a.flip = true;
    float from[NUMBERS], to[NUMBERS];
    fill(from);
    unsigned seen[2][5][5] = {0};
    for (uint64_t row = 0; row < 2000; row++) {
        ramify_augment(&a, 0, 0, row, from, to);
        unsigned ways = 0;
        for (int flip = 0; flip < 2; flip++)
            for (int down = -2; down <= 2; down++)
                for (int aside = -2; aside <= 2; aside++) {
                    bool same = true;
                    for (int y = 0; y < HEIGHT; y++)
                        for (int x = 0; x < BREADTH; x++)
                            for (int k = 0; k < CHANNELS; k++) {
                                int sy = y + down, sx = (flip ? BREADTH - 1 - x : x) + aside;
                                bool in = sy >= 0 && sy < HEIGHT && sx >= 0 && sx < BREADTH;
                                float want =
                                    in ? from[(sy * BREADTH + sx) * CHANNELS + k] : black[k];
                                same = same && to[(y * BREADTH + x) * CHANNELS + k] == want;
                            }
                    ways += same;
                    seen[flip][down + 2][aside + 2] += same;
                }
        assert_int_equal(ways, 1);
    }
    for (int i = 0; i < 50; i++)
        assert_in_range((&seen[0][0][0])[i], 10, 90);
}

/* A smooth image, changed by one operation, is what it would be at the places that map to; and no
 * farther off than the ranges say. */
static void test_geometry_stays_in_range(void **state) {
    (void)state;
    const int side = 33, middle = 16;
    ramify_augmentation a = {
        .height = 33, .breadth = 33, .channels = 1, .operations = 1, .magnitude = 1};
    float *x_of = calloc((size_t)side * side, sizeof *x_of), *to = calloc((size_t)side * side, 4);
    assert_non_null(x_of);
    assert_non_null(to);
    /* The value is the place along x: linear interpolation leaves that as it is. */
    for (int i = 0; i < side * side; i++)
        x_of[i] = (float)(i % side + 100);
    double shift = 0, slope = 0, lean = 0;
    for (uint64_t row = 0; row < 1000; row++) {
        ramify_augment(&a, 0, 0, row, x_of, to);
        double at = (double)to[middle * side + middle] - 116;
        double along = (double)(to[middle * side + middle + 4] - to[middle * side + middle]) / 4;
        double down = (double)(to[(middle + 4) * side + middle] - to[middle * side + middle]) / 4;
        /* The middle moves for shifts only; light and contrast change the value too. */
        if (fabs(at) < RAMIFY_AUGMENT_SHIFT * side + 0.1)
            shift = fmax(shift, fabs(at));
        slope = fmax(slope, along);
        lean = fmax(lean, fabs(down));
    }
    assert_true(shift > 7 && shift <= RAMIFY_AUGMENT_SHIFT * side + 0.1);
    assert_true(slope > 1.25 && slope < 1 + fmax(RAMIFY_AUGMENT_LIGHT, RAMIFY_AUGMENT_ZOOM) + 1e-3);
    /* sin 30 degrees */
    assert_true(lean > 0.4 && lean < 0.5 + 1e-3);
    free(x_of);
    free(to);
}

/* Rotations and the like leave the middle where it is, and light and contrast what they must. */
static void test_light(void **state) {
    (void)state;
    ramify_augmentation a = nothing;
    a.operations = 1;
    a.magnitude = 1;
    float from[NUMBERS], to[NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++)
        from[i] = black[i % CHANNELS] + (i / CHANNELS % 2 ? 4.0F : 2.0F);
    unsigned lit = 0, contrasted = 0;
    double darkest = 9, lightest = 0;
    for (uint64_t row = 0; row < 1000; row++) {
        ramify_augment(&a, 0, 0, row, from, to);
        double low = (double)(to[0] - black[0]), high = (double)(to[2] - black[0]);
        bool two = true; /* all pixels are one of two values: nothing was moved */
        for (size_t i = 0; i < NUMBERS; i++) {
            double value = (double)(to[i] - black[i % CHANNELS]);
            two = two && fabs(value - (i / CHANNELS % 2 ? high : low)) < 1e-5;
        }
        if (!two || fabs(low - 2) < 1e-6)
            continue;
        if (fabs(high - 2 * low) < 1e-5) {
            lit++;
            darkest = fmin(darkest, low / 2);
            lightest = fmax(lightest, low / 2);
        } else {
            assert_true(fabs((low + high) / 2 - 3) < 1e-5);
            contrasted++;
            darkest = fmin(darkest, (high - low) / 2);
            lightest = fmax(lightest, (high - low) / 2);
        }
    }
    assert_in_range(lit, 80, 170);
    assert_in_range(contrasted, 80, 170);
    assert_true(darkest >= 0.5 && darkest < 0.55 && lightest <= 1.5 && lightest > 1.45);
}

static void test_erase(void **state) {
    (void)state;
    ramify_augmentation a = nothing;
    a.erase = 0.5;
    float from[NUMBERS], to[NUMBERS];
    fill(from);
    unsigned erased = 0;
    for (uint64_t row = 0; row < 1000; row++) {
        ramify_augment(&a, 0, 0, row, from, to);
        int top = HEIGHT, bottom = -1, left = BREADTH, right = -1, gone = 0;
        for (int i = 0; i < HEIGHT * BREADTH; i++) {
            if (to[i * CHANNELS] == from[i * CHANNELS])
                continue;
            assert_true(to[i * CHANNELS] == black[0] && to[i * CHANNELS + 1] == black[1]);
            int y = i / BREADTH, x = i % BREADTH;
            top = y < top ? y : top;
            bottom = y > bottom ? y : bottom;
            left = x < left ? x : left;
            right = x > right ? x : right;
            gone++;
        }
        erased += gone > 0;
        /* A whole rectangle, of a fifth of the area and a rounding at most. */
        assert_true(gone == 0 || gone == (bottom - top + 1) * (right - left + 1));
        assert_in_range(gone, 0, HEIGHT * BREADTH / 4);
    }
    assert_in_range(erased, 430, 570);
}

static void test_errors(void **state) {
    (void)state;
    ramify_augmentation a = nothing;
    assert_null(ramify_augmentation_error(&a));
    a.magnitude = 1.5;
    assert_non_null(strstr(ramify_augmentation_error(&a), "magnitude"));
    a = nothing;
    a.erase = -1;
    assert_non_null(strstr(ramify_augmentation_error(&a), "erasing"));
    a.erase = NAN;
    assert_non_null(ramify_augmentation_error(&a));
    a = nothing;
    a.crop = 6;
    assert_non_null(strstr(ramify_augmentation_error(&a), "side"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_and_keys),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_crop_and_flip),
        cmocka_unit_test(test_geometry_stays_in_range),
        cmocka_unit_test(test_light),
        cmocka_unit_test(test_erase),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

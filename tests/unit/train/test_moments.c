/* Moments of columns: against sums in long double, and in parts as well as in one piece. */

#include "moments.h"
#include "random.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 400

/* What the moments of x[count] are, far more exactly. */
typedef struct exact {
    long double center, scale;
} exact;

static exact exact_of(const double *x, size_t count) {
    long double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i];
    const long double center = sum / (long double)count;
    for (size_t i = 0; i < count; i++)
        squares += (x[i] - center) * (x[i] - center);
    return (exact){center, sqrtl(squares / (long double)count)};
}

static void check(const ramify_moments *m, const double *x, size_t count, double largest) {
    const exact wanted = exact_of(x, count);
    assert_int_equal(m->count, count);
    /* Errors of a center are relative to the numbers that were summed. */
    assert_true(fabsl(ramify_moments_center(m) - wanted.center) <= 1e-14L * largest);
    /* Those of a deviation, to the ratio of the numbers to it. */
    const long double ratio = largest / wanted.scale;
    if (ratio < 1e9L)
        assert_true(fabsl(ramify_moments_scale(m) / wanted.scale - 1) < 1e-14L * (10 + ratio));
}

/* Numbers of several kinds: small beside their distance from zero, tiny, huge, of both at once. */
static double draw(ramify_random *random, int kind) {
    const double x = ramify_random_normal(random);
    switch (kind) {
    case 0:
        return x;
    case 1:
        return 1e6 + x;
    case 2:
        return 1e-300 * x;
    case 3:
        return 1e300 * x;
    case 4:
        return ldexp(x, (int)(ramify_random_bits(random) % 2000) - 1000);
    default:
        return (double)(int)(3 * x); /* many alike, and zeros */
    }
}

static double larger_magnitude(const double *x, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(x[i]));
    return largest;
}

static int compare(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void check_outermost(const ramify_moments *m, const double *x, size_t count) {
    double sorted[MOST];
    memcpy(sorted, x, count * sizeof *x);
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < 2 && i < count; i++) {
        assert_true(m->low[i] == sorted[i]);
        assert_true(m->high[i] == sorted[count - 1 - i]);
    }
}

static void test_parts_and_the_whole(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 600; seed++) {
        ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 1, 2);
        double x[MOST];
        const size_t count = ramify_random_bits(&random) % MOST + (seed % 3 != 0);
        const size_t parts = 1 + ramify_random_bits(&random) % 5;
        ramify_moments whole = {0}, joined = {0};
        for (size_t i = 0; i < count; i++) {
            x[i] = draw(&random, (int)(seed % 6));
            ramify_moments_add(&whole, x[i]);
        }
        /* Parts may be empty. */
        size_t at = 0;
        for (size_t part = 0; part < parts; part++) {
            size_t end = part + 1 == parts ? count : at + ramify_random_bits(&random) % (count + 1);
            end = end > count ? count : end;
            ramify_moments one = {0};
            for (; at < end; at++)
                ramify_moments_add(&one, x[at]);
            ramify_moments_join(&joined, &one);
        }
        if (count == 0) {
            assert_int_equal(joined.count, 0);
            continue;
        }
        const double largest = larger_magnitude(x, count);
        check(&whole, x, count, largest);
        check(&joined, x, count, largest);
        check_outermost(&whole, x, count);
        check_outermost(&joined, x, count);
        assert_true(joined.largest == whole.largest);
    }
}

/* What joins nothing is not rounded, so that one block of rows is as if nobody had joined it. */
static void test_nothing_is_changed_by_nothing(void **state) {
    (void)state;
    ramify_moments some = {0}, empty = {0}, joined = {0};
    for (int i = 0; i < 10; i++)
        ramify_moments_add(&some, 0.1 * i * i - 2);
    ramify_moments before = some;
    ramify_moments_join(&some, &empty);
    assert_memory_equal(&some, &before, sizeof some);
    ramify_moments_join(&joined, &some);
    assert_true(ramify_moments_center(&joined) == ramify_moments_center(&some));
    assert_true(ramify_moments_scale(&joined) == ramify_moments_scale(&some));
    assert_memory_equal(joined.low, some.low, sizeof some.low);
    assert_memory_equal(joined.high, some.high, sizeof some.high);
}

static void test_columns_without_spread(void **state) {
    (void)state;
    static const double values[] = {0, 1, -3.25, 1e-310, 1e308, DBL_MAX, -DBL_MAX, DBL_MIN};
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        ramify_moments a = {0}, b = {0};
        for (int i = 0; i < 7; i++)
            ramify_moments_add(i < 3 ? &a : &b, values[v]);
        ramify_moments_join(&a, &b);
        assert_true(fabs(ramify_moments_center(&a) - values[v]) <= 1e-15 * fabs(values[v]));
        assert_true(ramify_moments_scale(&a) == 1);
    }
    assert_true(ramify_moments_scale(&(ramify_moments){0}) == 1);
    assert_true(ramify_moments_center(&(ramify_moments){0}) == 0);
}

static void test_a_value_far_away(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        double value, low, high;
        ramify_moments parts[3] = {0};
        for (int i = 0; i < 30; i++)
            ramify_moments_add(&parts[i / 10], sign * (i % 7));
        ramify_moments joined = {0}, near;
        for (int i = 0; i < 3; i++)
            ramify_moments_join(&joined, &parts[i]);
        near = joined;
        assert_false(ramify_moments_far(&joined, &value, &low, &high));
        ramify_moments one = {0};
        ramify_moments_add(&one, sign * 1e9);
        ramify_moments_join(&joined, &one);
        assert_true(ramify_moments_far(&joined, &value, &low, &high));
        assert_true(value == sign * 1e9);
        assert_true(low == (sign > 0 ? 0 : -6) && high == (sign > 0 ? 6 : 0));
        /* Two of them are no accident. */
        ramify_moments_join(&joined, &one);
        assert_false(ramify_moments_far(&joined, &value, &low, &high));
        /* Whichever comes first. */
        ramify_moments_join(&one, &near);
        assert_true(ramify_moments_far(&one, &value, &low, &high));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_and_the_whole),
        cmocka_unit_test(test_nothing_is_changed_by_nothing),
        cmocka_unit_test(test_columns_without_spread),
        cmocka_unit_test(test_a_value_far_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

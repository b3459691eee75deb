/* Classes of rows against comparing every pair. */

#include "law_classes.h"
#include "law_support.h"
#include "random.h"

#define ROWS 97

static bool same_cell(const ramify_column *column, size_t a, size_t b) {
    if (column->text)
        return column->codes[a] == column->codes[b];
    double x = ramify_column_value(column, a), y = ramify_column_value(column, b);
    return x == y || (isnan(x) && isnan(y));
}

static void check(const ramify_column *const *columns, size_t column_count, const size_t *rows,
                  size_t count) {
    uint32_t class_of[ROWS], classes, wanted = 0;
    assert_int_equal(
        ramify_law_classes(context, columns, column_count, rows, count, class_of, &classes),
        RAMIFY_OK);
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        for (bool same = false; j < i; j += !same) {
            same = true;
            for (size_t c = 0; c < column_count; c++)
                same = same && same_cell(columns[c], rows[j], rows[i]);
            if (same)
                break;
        }
        if (j == i)
            assert_int_equal(class_of[i], wanted++); /* in the order of first appearance */
        else
            assert_int_equal(class_of[i], class_of[j]);
    }
    assert_int_equal(classes, wanted);
}

static void test_against_pairs(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 4, 0);
        double numbers[ROWS];
        uint32_t codes[ROWS];
        size_t rows[ROWS], count = seed % 7 == 0 ? seed / 7 : ROWS - seed;
        for (size_t i = 0; i < ROWS; i++) {
            uint64_t drawn = ramify_random_below(&random, 3 + seed);
            numbers[i] = drawn == 0   ? (double)NAN
                         : drawn == 1 ? -0.0
                         : drawn == 2 ? 0.0
                                      : (double)drawn / 3;
            drawn = ramify_random_below(&random, 3);
            codes[i] = drawn == 0 ? RAMIFY_TEXT_MISSING : (uint32_t)drawn;
            rows[i] = ROWS - 1 - i;
        }
        const ramify_column number = {.values = numbers, .stride = sizeof(double), .scale = 1};
        const ramify_column text = {.text = true, .codes = codes};
        const ramify_column *const columns[] = {&text, &number};
        for (size_t c = 0; c <= 2; c++)
            check(columns, c, rows, count);
    }
}

/* Seeds of 64 bits are not the same because their doubles are. */
static void test_large_integers(void **state) {
    (void)state;
    const int64_t seeds[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX};
    const ramify_column column = {
        .number = RAMIFY_NUMBER_I64, .values = seeds, .stride = sizeof *seeds, .scale = 1};
    const ramify_column *const columns[] = {&column};
    const size_t rows[] = {0, 1, 2};
    uint32_t class_of[3], classes;
    assert_int_equal(ramify_law_classes(context, columns, 1, rows, 3, class_of, &classes),
                     RAMIFY_OK);
    assert_int_equal(classes, 2);
    assert_int_equal(class_of[2], class_of[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_pairs),
        cmocka_unit_test(test_large_integers),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

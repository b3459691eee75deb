/* Reading and writing numbers, against the C library in the C locale. */

#include "data_support.h"
#include "number.h"
#include "random.h"

#include <locale.h>
#include <stdio.h>

/* The whole text must be read, to the bits that strtod gives. */
static void check_text(const char *text) {
    double expected = strtod(text, NULL), got = -1;
    const char *end = ramify_number_scan(text, &got);
    if (end != text + strlen(text) || memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("\"%s\" is read as %.17g, not %.17g", text, got, expected);
}

static void test_scan_agrees_with_strtod(void **state) {
    (void)state;
    static const char *const formats[] = {"%.17g", "%.16g", "%.15g", "%.6f", "%.3e", "%.25f", "%g"};
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_CONTROL, 0, 0);
    for (int i = 0; i < 200000; i++) {
        char text[512];
        int power = (int)ramify_random_below(&random, 60) - 30;
        double value = ldexp(ramify_random_uniform(&random) - 0.5, power);
        snprintf(text, sizeof text, formats[(size_t)i % 7], value);
        check_text(text);
    }
}

/* Digits and powers at random: all three ways of converting, and where one gives way to the next. */
static void test_scan_of_random_digits(void **state) {
    (void)state;
    ramify_random random = ramify_random_stream(2, RAMIFY_PURPOSE_CONTROL, 0, 0);
    for (int i = 0; i < 300000; i++) {
        char text[64];
        size_t digits = 1 + (size_t)ramify_random_below(&random, 22), used = 0;
        size_t point = (size_t)ramify_random_below(&random, digits + 1);
        if (ramify_random_below(&random, 2))
            text[used++] = '-';
        for (size_t d = 0; d < digits; d++) {
            if (d == point)
                text[used++] = '.';
            text[used++] = (char)('0' + (char)ramify_random_below(&random, 10));
        }
        text[used] = '\0';
        if (ramify_random_below(&random, 4) > 0)
            snprintf(text + used, sizeof text - used, "e%d",
                     (int)ramify_random_below(&random, 64) - 32);
        check_text(text);
    }
}

/* Quotients of few bits more than a double has, where what remains of the division decides. */
static void test_scan_of_long_fractions(void **state) {
    (void)state;
    ramify_random random = ramify_random_stream(5, RAMIFY_PURPOSE_CONTROL, 0, 0);
    for (int i = 0; i < 400000; i++) {
        char text[64];
        uint64_t digits = ramify_random_below(&random, UINT64_C(9999999999999999999)) | UINT64_C(1)
                                                                                            << 54;
        snprintf(text, sizeof text, "%llue-%d", (unsigned long long)digits, 24 + i % 4);
        check_text(text);
    }
}

static void test_scan_of_hard_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "+7",
                                        "00012",
                                        ".5",
                                        "5.",
                                        "-.5e1",
                                        "1e5",
                                        "1E+5",
                                        "1e-5",
                                        "9007199254740993",
                                        "9007199254740992.9999",
                                        "9007199254740993e0",
                                        "18446744073709551615",
                                        "9999999999999999999",
                                        "99999999999999999999",
                                        "1e22",
                                        "1e23",
                                        "123456789012345678e27",
                                        "1e-27",
                                        "1234567890123456789e-27",
                                        "4.9e-324",
                                        "2.4e-324",
                                        "1e-400",
                                        "0e99999999999",
                                        "2.2250738585072011e-308",
                                        "1.7976931348623157e308",
                                        "0.000000000000000000000000000001",
                                        "0.00000000000000000001234567890123456789",
                                        "100000000000000000000000000000000000",
                                        "1.00000000000000011102230246251565404236316680908203125",
                                        "1.00000000000000011102230246251565404236316680908203124",
                                        "1.00000000000000011102230246251565404236316680908203126",
                                        "8.5e-1",
                                        "0.1",
                                        "0.3",
                                        "9223372036854775807.5e-3",
                                        "5e-324"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_text(texts[i]);
    char text[1100]; /* 0.000...0001 with 1021 zeros is the longest */
    memset(text, '0', sizeof text);
    text[1] = '.';
    text[1022] = '1';
    text[1023] = '\0';
    check_text(text);
}

static void test_scan_stops_where_the_number_ends(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int used; /* -1: no number */
        double value;
    } cases[] = {{"1,2", 1, 1},    {"1.5;", 3, 1.5},    {"1e", 1, 1},      {"1e+", 1, 1},
                 {"1e5x", 3, 1e5}, {"0x10", 1, 0},      {"1.2.3", 3, 1.2}, {"1-2", 1, 1},
                 {"", -1, 0},      {"-", -1, 0},        {".", -1, 0},      {"e5", -1, 0},
                 {"+-1", -1, 0},   {" 1", -1, 0},       {"inf", -1, 0},    {"nan", -1, 0},
                 {"1e309", -1, 0}, {"-1e99999", -1, 0}, {"1.8e308", -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value = 0;
        const char *end = ramify_number_scan(cases[i].text, &value);
        if (cases[i].used < 0) {
            assert_null(end);
            continue;
        }
        assert_non_null(end);
        assert_int_equal(end - cases[i].text, cases[i].used);
        assert_true(value == cases[i].value);
    }
    char text[1100];
    memset(text, '7', sizeof text);
    text[1030] = '\0';
    double value;
    assert_null(ramify_number_scan(text, &value));
}

static void test_parse_wants_the_whole_text(void **state) {
    (void)state;
    double value = 0;
    assert_true(ramify_number_parse(" 1.5\t", 5, &value));
    assert_true(value == 1.5);
    assert_true(ramify_number_parse("25,", 2, &value));
    assert_true(value == 25);
    assert_false(ramify_number_parse("1 2", 3, &value));
    assert_false(ramify_number_parse("1x", 2, &value));
    assert_false(ramify_number_parse("  ", 2, &value));
    assert_false(ramify_number_parse("", 0, &value));
}

static void test_missing_words(void **state) {
    (void)state;
    static const char *const missing[] = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"};
    static const char *const present[] = {"na", "Null", "none", "-", "0", " ", "NaNs", "NAN", "??"};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        assert_true(ramify_number_missing(missing[i], strlen(missing[i])));
    for (size_t i = 0; i < sizeof present / sizeof present[0]; i++)
        assert_false(ramify_number_missing(present[i], strlen(present[i])));
}

static void test_format_is_shortest_and_reads_back(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {1, "1"},
                 {-7, "-7"},
                 {0.1, "0.1"},
                 {1.5, "1.5"},
                 {1e300, "1e+300"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e15, "1e+15"},
                 {123456, "123456"},
                 {5e-324, "4.94065645841247e-324"}};
    char text[RAMIFY_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_number_format(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_CONTROL, 0, 0);
    for (int i = 0; i < 20000; i++) {
        double value = ldexp(ramify_random_normal(&random), (int)(i % 2000) - 1000), again;
        ramify_number_format(value, text);
        assert_non_null(ramify_number_scan(text, &again));
        assert_true(again == value);
    }
}

/* A program that shows numbers the German way reads and writes files the same way as others. */
static void test_decimal_comma_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    const char *chosen = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !chosen; i++)
        chosen = setlocale(LC_ALL, names[i]);
    if (!chosen)
        skip(); /* no such locale is installed */
    double value = 0;
    const char *long_number = "0.12345678901234567890123";
    assert_non_null(ramify_number_scan(long_number, &value));
    char text[RAMIFY_NUMBER_BYTES];
    ramify_number_format(1.5, text);
    setlocale(LC_ALL, "C");
    assert_true(value == strtod(long_number, NULL));
    assert_string_equal(text, "1.5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan_agrees_with_strtod),
        cmocka_unit_test(test_scan_of_random_digits),
        cmocka_unit_test(test_scan_of_long_fractions),
        cmocka_unit_test(test_scan_of_hard_numbers),
        cmocka_unit_test(test_scan_stops_where_the_number_ends),
        cmocka_unit_test(test_parse_wants_the_whole_text),
        cmocka_unit_test(test_missing_words),
        cmocka_unit_test(test_format_is_shortest_and_reads_back),
        cmocka_unit_test(test_decimal_comma_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* UTF-8, excerpts, lists and names. */

#include "data_support.h"
#include "text.h"

static void test_utf8(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "plain",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "a\xC3\xA9z"};
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "\xC0\x80",         /* two bytes for one */
        "\xC1\xBF",         /* the same */
        "\xE0\x9F\xBF",     /* three bytes for two */
        "\xED\xA0\x80",     /* surrogate */
        "\xF0\x8F\xBF\xBF", /* four bytes for three */
        "\xF4\x90\x80\x80", /* beyond U+10FFFF */
        "\xF5\x80\x80\x80", /* the same */
        "\xC3",             /* cut */
        "\xE2\x82",         /* cut */
        "\xF0\x9F\x98",     /* cut */
        "\xC3(",            /* no continuation */
        "\xE2\x82(",        /* the same */
        "\xF0\x9F\x98(",    /* the same */
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(ramify_text_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(ramify_text_valid(bad[i], strlen(bad[i])));
    assert_false(ramify_text_valid("a\0b", 3));
    assert_false(ramify_text_valid("\xC3\xA9", 1)); /* the rest is beyond the length */
}

static void test_excerpts(void **state) {
    (void)state;
    char excerpt[RAMIFY_EXCERPT_BYTES];
    assert_string_equal(ramify_text_excerpt("", 0, excerpt), "");
    assert_string_equal(ramify_text_excerpt("a\nb\x7F\0\xFF\xC3\xA9", 8, excerpt),
                        "a?b???\xC3\xA9");
    char text[200], expected[RAMIFY_EXCERPT_BYTES];
    memset(text, 'x', sizeof text);
    memset(expected, 'x', 60);
    memcpy(expected + 60, "...", 4);
    assert_string_equal(ramify_text_excerpt(text, sizeof text, excerpt), expected);
    expected[60] = '\0';
    assert_string_equal(ramify_text_excerpt(text, 60, excerpt), expected);
    memcpy(text + 59, "\xC3\xA9", 2); /* a character is not cut in two */
    memcpy(expected + 59, "...", 4);
    assert_string_equal(ramify_text_excerpt(text, sizeof text, excerpt), expected);
}

static void check_list(const char *list, const char *const *names, size_t count) {
    const char *name;
    size_t length;
    for (size_t i = 0; i < count; i++) {
        assert_true(ramify_list_next(&list, &name, &length));
        assert_int_equal(length, strlen(names[i]));
        assert_memory_equal(name, names[i], length);
    }
    assert_false(ramify_list_next(&list, &name, &length));
}

static void test_lists(void **state) {
    (void)state;
    static const char *const names[] = {"a", "b c", "\xC3\xA9"};
    check_list(" a, b c ,,\xC3\xA9 ,", names, 3);
    static const char *const quoted[] = {"a, b", "\"c\"d", " e "};
    check_list("\"a, b\" ,\"c\"d,\" e \"", quoted, 3);
    check_list(NULL, names, 0);
}

static void test_names(void **state) {
    (void)state;
    static const char *const texts[] = {"m", "b", "zz", "a", "z", "\xC3\xA9"};
    ramify_name names[6];
    for (size_t i = 0; i < 6; i++)
        names[i] = (ramify_name){.text = texts[i], .index = i};
    ramify_names_sort(names, 6);
    assert_null(ramify_names_duplicate(names, 6));
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(ramify_names_find(names, 6, texts[i]), i);
    assert_true(ramify_names_find(names, 6, "zzz") == SIZE_MAX);
    assert_true(ramify_names_find(names, 6, "") == SIZE_MAX);
    assert_true(ramify_names_find(names, 0, "a") == SIZE_MAX);
    ramify_name twice[] = {{"b", 0}, {"a", 1}, {"b", 2}};
    ramify_names_sort(twice, 3);
    assert_int_equal(ramify_names_duplicate(twice, 3)->index, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_excerpts),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

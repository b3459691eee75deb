/* Law files may be anyone's: every rule with a file that breaks it, every truncation, every byte. */

#include "law_support.h"

#include <stdio.h>
#include <string.h>

static const char good[] =
    "{\"ramify_law\": 1, \"form\": \"auto\", \"x\": [\"n\"], \"y\": \"e\", \"level\": 0.9, "
    "\"groups\": [{\"by\": {\"task\": \"a\"}, \"parts\": [{\"form\": \"damped\", \"near\": 1, "
    "\"far\": 0.7, \"parameters\": {\"last\": 0.5, \"slope\": -0.1, \"place\": 1000}}, {\"form\": "
    "\"m1\", \"near\": 0, \"far\": 0.3, \"parameters\": {\"coefficient\": 2, \"exponent\": "
    "0.2}}], \"range\": {\"n\": [1, 1000]}, \"spread\": {\"noise\": 0.01, \"drift\": null, "
    "\"bend\": 0.001, \"behind\": 0.1, \"line\": [-0.2, 0.3, 0.1, 2]}}, "
    "{\"by\": {\"task\": \"b\"}, \"refusal\": \"too few\"}]}";

static ramify_status read_text(const char *text, size_t size, ramify_law **law) {
    return ramify_law_open_text(context, text, size, "law.json", law);
}

static void test_good(void **state) {
    (void)state;
    ramify_law *law = NULL;
    assert_int_equal(read_text(good, strlen(good), &law), RAMIFY_OK);
    assert_string_equal(ramify_law_text(law), good);
    assert_int_equal(ramify_law_group_count(law), 2);
    const char *name;
    assert_string_equal(ramify_law_group_value(law, 1, 0, &name), "b");
    assert_string_equal(name, "task");
    assert_null(ramify_law_group_value(law, 0, 1, NULL));
    const double x = 100;
    ramify_law_estimate e;
    assert_int_equal(ramify_law_predict(law, 0, 1, &x, 0.9, &e), RAMIFY_OK);
    assert_true(e.low < e.value && e.value < e.high);
    assert_int_equal(ramify_law_predict(law, 1, 1, &x, 0.9, &e), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(context), "this group has no law: too few");
    ramify_law_destroy(&law);
}

/* What is put in place of a piece of the good text, and the sentence. */
static const struct {
    const char *piece, *instead, *sentence;
} broken[] = {
    {"\"ramify_law\": 1", "\"law\": 1", "is no law of ramify"},
    {"\"ramify_law\": 1", "\"ramify_law\": 2", "a law of format 2"},
    {"\"auto\"", "\"aut\"", "knows no form \"aut\""},
    {"[\"n\"]", "[\"n\", \"m\", \"k\"]", "x names 3 columns, expected 1"},
    {"[\"n\"]", "[7]", "x[0] is no name"},
    {"0.9, \"groups\"", "1, \"groups\"", "level is not a number between 0 and 1"},
    {"\"groups\": [", "\"group\": [", "0 groups, expected 1"},
    {"{\"task\": \"a\"}", "[]", "by is not an object"},
    {"{\"task\": \"a\"}", "{\"task\": 1}", "by.task is not a text"},
    {"{\"task\": \"b\"}", "{\"other\": \"b\"}", "by.task is missing"},
    {"\"damped\"", "\"auto\"", "\"auto\" is no form that a part of auto can have"},
    {"\"damped\"", "\"joint\"", "\"joint\" is no form that a part of auto can have"},
    {"\"near\": 0,", "\"near\": -1,", "near and far are not both numbers from 0 to 1"},
    {"\"far\": 0.3", "\"far\": 0.4", "weights sum to 1 near and 1.1 far"},
    {"\"last\": 0.5", "\"last\": -0.5",
     "parameter last of the form damped is not a number above 0"},
    {"\"coefficient\": 2,", "\"coefficient\": null,",
     "parameter coefficient of the form m1 is not a number above 0"},
    {"\"exponent\": 0.2}", "\"exponent\": null}, \"at_bound\": {\"exponent\": \"x\"}",
     "parameter exponent of the form m1 is not a number"},
    {"\"slope\": -0.1", "\"slope\": null", "parameter slope of the form damped is not a number"},
    {"[1, 1000]", "[0, 1000]", "range.n is not [low, high]"},
    {"[1, 1000]", "[2000, 1000]", "range.n is not [low, high]"},
    {"\"spread\": {", "\"holds_from\": 1001, \"spread\": {", "holds_from is no size up to"},
    {"\"spread\": {", "\"holds_from\": 0, \"spread\": {", "holds_from is no size up to"},
    {"\"spread\": {", "\"holds_from\": [], \"spread\": {", "holds_from is no size up to"},
    {"\"noise\": 0.01", "\"noise\": -1", "spread.noise and spread.drift"},
    {"\"bend\": 0.001", "\"bend\": \"x\"", "beside a bend and a behind of 0 or more"},
    {"0.1, 2]", "0.1]", "spread.line is not a list of 4 numbers"},
    {"\"e\", \"level\"", "\"e\", \"y\": \"e\", \"level\"", "is not JSON: line 1"},
};

static void test_broken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char text[2 * sizeof good];
        const char *at = strstr(good, broken[i].piece);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, broken[i].instead,
                 at + strlen(broken[i].piece));
        ramify_law *law = NULL;
        assert_int_not_equal(read_text(text, strlen(text), &law), RAMIFY_OK);
        assert_null(law);
        if (!strstr(ramify_message(context), broken[i].sentence) ||
            strncmp(ramify_message(context), "law.json: ", 10) != 0)
            fail_msg("\"%s\", expected \"%s\"", ramify_message(context), broken[i].sentence);
    }
}

/* Whatever else: a law or a refusal, and a law answers. */
static void test_any_bytes(void **state) {
    (void)state;
    size_t size = strlen(good);
    for (size_t cut = 0; cut < size; cut++) {
        ramify_law *law = NULL;
        assert_int_not_equal(read_text(good, cut, &law), RAMIFY_OK);
    }
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 7; bit++) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[at] = (char)(text[at] ^ 1 << bit);
            ramify_law *law = NULL;
            if (read_text(text, size, &law) != RAMIFY_OK)
                continue;
            const double x = 50;
            ramify_law_estimate e;
            (void)ramify_law_predict(law, 0, 1, &x, 0.9, &e);
            (void)ramify_law_invert(law, 0, 0, &x, 0.45, 0.9, &e);
            ramify_law_destroy(&law);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

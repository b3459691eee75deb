/* The context, its messages and its log. */

#include "cmocka_all.h"
#include "context.h"
#include "isa.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct log_record {
    unsigned calls;
    ramify_log_level level;
    char text[RAMIFY_MESSAGE_BYTES];
} log_record;

static void record_log(void *user, ramify_log_level level, const char *message) {
    log_record *record = user;
    record->calls++;
    record->level = level;
    snprintf(record->text, sizeof record->text, "%s", message);
}

static void *refuse_memory(void *user, size_t bytes) {
    (void)user;
    (void)bytes;
    return NULL;
}

static void release_memory(void *user, void *memory) {
    (void)user;
    free(memory);
}

static void test_status_names(void **state) {
    (void)state;
    static const char *const names[] = {"OK",           "STOPPED",     "ERROR_ARGUMENT",
                                        "ERROR_MEMORY", "ERROR_LIMIT", "ERROR_IO",
                                        "ERROR_FORMAT", "ERROR_DATA",  "ERROR_UNSUPPORTED"};
    for (int i = 0; i <= RAMIFY_ERROR_UNSUPPORTED; i++)
        assert_string_equal(ramify_status_name((ramify_status)i), names[i]);
    assert_string_equal(ramify_status_name(RAMIFY_ERROR_CLUSTER), "ERROR_CLUSTER");
    assert_string_equal(ramify_status_name((ramify_status)10), "UNKNOWN");
    assert_string_equal(ramify_status_name((ramify_status)-1), "UNKNOWN");
}

static void test_version_is_the_headers(void **state) {
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", RAMIFY_VERSION_MAJOR, RAMIFY_VERSION_MINOR,
             RAMIFY_VERSION_PATCH);
    assert_string_equal(ramify_version(), text);
}

static void test_defaults(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    assert_string_equal(ramify_message(context), "");
    assert_string_equal(ramify_isa(context), ramify_isa_choose(NULL));
    assert_true(context->threads >= 1);
    ramify_context_destroy(&context);
    assert_null(context);
    ramify_context_destroy(&context);
    ramify_context_destroy(NULL);
}

static void test_bad_options(void **state) {
    (void)state;
    ramify_context *context = NULL;
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.allocate = refuse_memory;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_ERROR_ARGUMENT);
    options.release = release_memory;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_ERROR_MEMORY);
    ramify_context_options_init(&options);
    options.release = release_memory;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_ERROR_ARGUMENT);
    ramify_context_options_init(&options);
    options.threads = 1025;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_ERROR_ARGUMENT);
    ramify_context_options_init(&options);
    options.isa = "abacus";
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_ERROR_UNSUPPORTED);
    assert_null(context);
}

static void test_first_failure_wins(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    assert_int_equal(ramify_recorded_status(context), RAMIFY_OK);
    assert_int_equal(ramify_fail(context, RAMIFY_ERROR_IO, "row %d of %s", 7, "a.csv"),
                     RAMIFY_ERROR_IO);
    assert_int_equal(ramify_fail(context, RAMIFY_ERROR_DATA, "later"), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(context), "row 7 of a.csv");
    assert_int_equal(ramify_recorded_status(context), RAMIFY_ERROR_IO);
    ramify_clear(context);
    assert_string_equal(ramify_message(context), "");
    assert_int_equal(ramify_recorded_status(context), RAMIFY_OK);
    assert_int_equal(ramify_fail(context, RAMIFY_ERROR_DATA, "later"), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(context), "later");
    ramify_context_destroy(&context);
}

/* The longest message that is whole, and the first that is cut. */
static void test_long_messages_say_so(void **state) {
    (void)state;
    char text[RAMIFY_MESSAGE_BYTES + 1];
    memset(text, 'x', sizeof text);
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    text[RAMIFY_MESSAGE_BYTES - 1] = '\0';
    ramify_fail(context, RAMIFY_ERROR_IO, "%s", text);
    assert_string_equal(ramify_message(context), text);
    ramify_clear(context);
    text[RAMIFY_MESSAGE_BYTES - 1] = 'x';
    text[RAMIFY_MESSAGE_BYTES] = '\0';
    ramify_fail(context, RAMIFY_ERROR_IO, "%s", text);
    const char *message = ramify_message(context);
    assert_int_equal(strlen(message), RAMIFY_MESSAGE_BYTES - 1);
    assert_string_equal(message + RAMIFY_MESSAGE_BYTES - 5, "x...");
    ramify_context_destroy(&context);
}

static void test_log(void **state) {
    (void)state;
    log_record record = {0};
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = &record;
    options.log = record_log;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    ramify_log(context, RAMIFY_LOG_WARNING, "%u rows", 3U);
    assert_int_equal(record.calls, 1);
    assert_int_equal(record.level, RAMIFY_LOG_WARNING);
    assert_string_equal(record.text, "3 rows");
    assert_string_equal(ramify_message(context), "");
    ramify_context_destroy(&context);
}

static void test_isa_names(void **state) {
    (void)state;
    const char *best = ramify_isa_choose(NULL);
    assert_non_null(best);
    assert_string_equal(ramify_isa_choose(""), best);
    assert_string_equal(ramify_isa_choose(best), best);
    assert_null(ramify_isa_choose("AVX2"));
    assert_null(ramify_isa_choose("avx"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_version_is_the_headers),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_first_failure_wins),
        cmocka_unit_test(test_long_messages_say_so),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_isa_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

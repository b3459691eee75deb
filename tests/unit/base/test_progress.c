/* Progress and cancellation. */

#include "cmocka_all.h"
#include "progress.h"
#include "status.h"

#include <string.h>

typedef struct record {
    unsigned reports, asked;
    bool stop;
    ramify_progress last;
} record;

static void on_progress(void *user, const ramify_progress *progress) {
    record *seen = user;
    seen->reports++;
    seen->last = *progress;
}

static bool on_cancel(void *user) {
    record *seen = user;
    seen->asked++;
    return seen->stop;
}

static ramify_context *create(record *seen, bool callbacks) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = seen;
    options.progress = callbacks ? on_progress : NULL;
    options.cancel = callbacks ? on_cancel : NULL;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    return context;
}

static void test_without_callbacks(void **state) {
    (void)state;
    ramify_context *context = create(NULL, false);
    assert_false(ramify_cancelled(context));
    ramify_progress_report(context, "reading", 1.0, 2.0);
    ramify_context_destroy(&context);
}

static void test_cancel_stays(void **state) {
    (void)state;
    record seen = {0};
    ramify_context *context = create(&seen, true);
    assert_false(ramify_cancelled(context));
    seen.stop = true;
    assert_true(ramify_cancelled(context));
    seen.stop = false;
    assert_true(ramify_cancelled(context));
    assert_int_equal(seen.asked, 2);
    ramify_clear(context);
    assert_false(ramify_cancelled(context));
    ramify_context_destroy(&context);
}

/* However many there are, the first and the last report arrive, and not many between: a million
 * reports take well under ten seconds. */
static void test_reports_are_thinned(void **state) {
    (void)state;
    record seen = {0};
    ramify_context *context = create(&seen, true);
    ramify_progress_report(context, "reading", 0.0, 1e6);
    assert_int_equal(seen.reports, 1);
    assert_string_equal(seen.last.stage, "reading");
    for (int i = 1; i <= 1000000; i++)
        ramify_progress_report(context, "reading", i, 1e6);
    assert_true(seen.reports >= 2 && seen.reports <= 102);
    assert_true(seen.last.done == 1e6 && seen.last.total == 1e6);
    ramify_context_destroy(&context);
}

static void test_clock_does_not_run_back(void **state) {
    (void)state;
    double last = ramify_seconds();
    for (int i = 0; i < 1000; i++) {
        double now = ramify_seconds();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_callbacks),
        cmocka_unit_test(test_cancel_stays),
        cmocka_unit_test(test_reports_are_thinned),
        cmocka_unit_test(test_clock_does_not_run_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The n-th allocation fails, for every n: each call then fails with RAMIFY_ERROR_MEMORY, and nothing
 * is left held. Allocations of the JSON library are left alone: jansson 2.14 itself reads through a
 * null pointer when one is refused in the middle of a text. */

#include "counting.h"
#include "memory.h"
#include "random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct subject {
    char path[64];
    random_model *twin;
    counting counts;
    ramify_context *context;
} subject;

static ramify_status use(const ramify_model *opened, subject *s) {
    ramify_model *model = NULL;
    memcpy(&model, &opened, sizeof model);
    ramify_predictor *predictor = NULL;
    ramify_status status = ramify_predictor_create(s->context, model, 5, &predictor);
    double x[3] = {0.5, 1.0, -0.5}, y[1], gradient[3];
    if (status == RAMIFY_OK)
        status = ramify_predict_double(predictor, 1, x, 3, y, 1);
    if (status == RAMIFY_OK)
        status = ramify_predict_gradient(predictor, 1, x, 3, 0, gradient, 3);
    if (status == RAMIFY_OK)
        status = ramify_predict_interval(predictor, 1, x, 3, 0.5, y, gradient, gradient + 1, 1);
    if (status == RAMIFY_OK)
        status = ramify_predict_novelty(predictor, 1, x, 3, y);
    if (status == RAMIFY_OK)
        status = ramify_model_check(s->context, model);
    if (status == RAMIFY_OK)
        status = ramify_save(s->context, model, s->path);
    ramify_predictor_destroy(&predictor);
    return status;
}

static ramify_status through_file(subject *s, ramify_access access, uint64_t bound, bool notes) {
    ramify_open_options options = {.access = access, .resident_bytes = bound, .notes = notes};
    ramify_model *model = NULL;
    ramify_status status = ramify_open(s->context, s->path, &options, &model);
    if (status == RAMIFY_OK)
        status = use(model, s);
    ramify_close(&model);
    return status;
}

static ramify_status through_read(subject *s) {
    return through_file(s, RAMIFY_ACCESS_READ, 0, false);
}

static ramify_status through_cache(subject *s) {
    return through_file(s, RAMIFY_ACCESS_READ, 100000, true);
}

static ramify_status through_map(subject *s) {
    return through_file(s, RAMIFY_ACCESS_MMAP, 0, false);
}

static ramify_status through_draft(subject *s) {
    void *bytes = NULL;
    size_t size;
    ramify_model *model = NULL;
    ramify_clear(s->context);
    ramify_status status = ramify_draft_write(s->context, &s->twin->draft, &bytes, &size);
    if (status == RAMIFY_OK)
        status = ramify_open_owned(s->context, bytes, size, &model);
    if (status == RAMIFY_OK)
        status = use(model, s);
    ramify_close(&model);
    return status;
}

static void test_every_allocation(void **state) {
    (void)state;
    subject s = {.path = "/tmp/ramify-memory-XXXXXX"};
    close(mkstemp(s.path));
    s.context = counting_context(&s.counts);
    random_model_options options = random_model_defaults();
    options.bins = options.route = options.notes = true;
    options.frequencies = 1;
    s.twin = random_model_create(s.context, &options);
    assert_int_equal(through_draft(&s), RAMIFY_OK); /* writes the file, too */

    ramify_status (*const ways[])(subject *) = {through_draft, through_read, through_cache,
                                                through_map};
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++)
        for (int for_good = 0; for_good < 2; for_good++) {
            uint64_t live = s.counts.live, n = 0;
            ramify_status status = RAMIFY_ERROR_MEMORY;
            while (status != RAMIFY_OK) {
                n++;
                s.counts.calls = 0;
                s.counts.fail_once = n;
                s.counts.fail_from = for_good ? n : 0;
                status = ways[way](&s);
                assert_int_equal(s.counts.live, live);
                if (status != RAMIFY_OK && status != RAMIFY_ERROR_MEMORY)
                    fail_msg("way %zu, allocation %llu: %s: %s", way, (unsigned long long)n,
                             ramify_status_name(status), ramify_message(s.context));
                if (s.counts.calls < n)
                    assert_int_equal(status, RAMIFY_OK);
                else if (status == RAMIFY_OK)
                    status = RAMIFY_ERROR_MEMORY; /* an allocation that was done without */
            }
            assert_true(n > 20);
            s.counts.fail_once = s.counts.fail_from = 0;
        }
    random_model_destroy(s.twin);
    ramify_context_destroy(&s.context);
    assert_int_equal(s.counts.live, 0);
    unlink(s.path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

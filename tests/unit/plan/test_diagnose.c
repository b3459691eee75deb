/* Diagnoses of small tables, with trainings a fiftieth as long as usual. */

#include "public.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double line(const double *x) {
    return 2 * x[0] - x[1];
}

static double nothing(const double *x) {
    (void)x;
    return 0;
}

static ramify_diagnose_options quick(void) {
    ramify_diagnose_options options;
    ramify_diagnose_options_init(&options);
    options.target = "y";
    options.hidden = "4";
    options.epochs = 3;
    options.effort = 0.02;
    return options;
}

static ramify_diagnosis *diagnose(desk *d, const ramify_table *table,
                                  const ramify_diagnose_options *options, ramify_status expected) {
    ramify_diagnosis *made = NULL;
    ramify_status status = ramify_diagnose(d->context, table, options, &made);
    if (status != expected)
        print_error("%s: %s\n", ramify_status_name(status), ramify_message(d->context));
    assert_int_equal(status, expected);
    assert_true((made != NULL) == (status == RAMIFY_OK));
    return made;
}

static void assert_shares(const ramify_diagnosis *made) {
    double sum = 0;
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        const ramify_error_share *share = &made->shares[s];
        assert_true(0 <= share->low && share->low <= share->share);
        assert_true(share->share <= share->high && share->high <= 1);
        sum += share->share;
    }
    assert_true(fabs(sum - 1) < 1e-9);
}

static void test_noise_alone(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, 120, 2, nothing, 1, 7);
    ramify_diagnose_options options = quick();
    options.epochs = 100;
    ramify_diagnosis *made = diagnose(d, t.table, &options, RAMIFY_OK);
    assert_shares(made);
    assert_int_equal(made->dominant, RAMIFY_SOURCE_IRREDUCIBLE);
    assert_non_null(strstr(made->advice, "noise"));
    assert_int_equal(made->rows, 120);
    assert_true(made->error_low < made->error && made->error < made->error_high);
    assert_true(made->evidence_count > 5 && made->fit_count > 50);
    for (uint32_t e = 0; e < made->evidence_count; e++) {
        const ramify_diagnosis_evidence *one = &made->evidence[e];
        assert_true(one->value >= 0);
        assert_true(isnan(one->low) || one->low <= one->value);
        assert_true(isnan(one->high) || one->high >= one->value);
        /* Nothing tells how far the error on own rows is off. */
        if (strstr(one->name, "on its own rows"))
            assert_true(isnan(one->low) && isnan(one->high));
    }
    for (uint32_t f = 0; f < made->fit_count; f++) {
        assert_true(isfinite(made->fits[f].train_error) && isfinite(made->fits[f].test_error));
        assert_true(strlen(made->fits[f].hidden) > 0);
    }
    ramify_diagnosis_destroy(&made);
    assert_null(made);
    toy_destroy(&t);
    desk_close(d);
}

static void test_short_training(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, 200, 2, line, 0.01, 7);
    ramify_diagnose_options options = quick();
    options.epochs = 2;
    ramify_diagnosis *made = diagnose(d, t.table, &options, RAMIFY_OK);
    assert_shares(made);
    assert_int_equal(made->dominant, RAMIFY_SOURCE_OPTIMISATION);
    assert_non_null(strstr(made->advice, "more training"));
    ramify_diagnosis_destroy(&made);
    toy_destroy(&t);
    desk_close(d);
}

/* Rows measured twice tell the noise by themselves. */
static void test_equal_rows(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, 120, 2, line, 0, 3);
    for (size_t i = 0; i < 60; i++) {
        double *one = t.values + 2 * i * 3, *other = one + 3;
        memcpy(other, one, 2 * sizeof *one);
        other[2] = one[2] + (i % 2 ? 0.6 : -0.6);
    }
    ramify_diagnose_options options = quick();
    options.epochs = 60;
    ramify_diagnosis *made = diagnose(d, t.table, &options, RAMIFY_OK);
    assert_shares(made);
    bool found = false;
    for (uint32_t e = 0; e < made->evidence_count; e++)
        if (strcmp(made->evidence[e].name, "noise, equal rows") == 0) {
            /* Pairs that lie 0.6 apart: a variance of 0.6^2 / 2 within them. */
            assert_true(fabs(made->evidence[e].value - 0.6 / sqrt(2)) < 1e-6);
            found = true;
        }
    assert_true(found);
    ramify_diagnosis_destroy(&made);
    toy_destroy(&t);
    desk_close(d);
}

static void test_undetermined_without_fits(void **state) {
    (void)state;
    desk *d = desk_open(1);
    ramify_diagnose_options options = quick();
    const size_t rows[] = {39, 200};
    for (int i = 0; i < 2; i++) {
        toy t = toy_create(d->context, rows[i], 2, i == 0 ? line : nothing, 0, 7);
        ramify_diagnosis *made = diagnose(d, t.table, &options, RAMIFY_OK);
        assert_int_equal(made->dominant, RAMIFY_SOURCE_UNDETERMINED);
        assert_int_equal(made->fit_count, 0);
        assert_true(isnan(made->error) && isnan(made->certainty));
        for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
            assert_true(isnan(made->shares[s].share));
            assert_true(made->shares[s].low == 0 && made->shares[s].high == 1);
        }
        assert_non_null(strstr(made->advice, i == 0 ? "too few" : "the same in all rows"));
        ramify_diagnosis_destroy(&made);
        toy_destroy(&t);
    }
    desk_close(d);
}

static void test_refusals(void **state) {
    (void)state;
    desk *d = desk_open(1);
    toy t = toy_create(d->context, 60, 2, line, 0, 7);
    char *words[60];
    for (int i = 0; i < 60; i++)
        words[i] = i % 2 ? "a" : "b";
    assert_int_equal(
        ramify_table_add_texts(d->context, t.table, "word", (const char *const *)words), RAMIFY_OK);
    ramify_diagnose_options options = quick();
    options.target = "word";
    diagnose(d, t.table, &options, RAMIFY_ERROR_UNSUPPORTED);
    assert_non_null(strstr(ramify_message(d->context), "of words"));
    options.target = "x1,y";
    diagnose(d, t.table, &options, RAMIFY_ERROR_UNSUPPORTED);
    assert_non_null(strstr(ramify_message(d->context), "2 targets"));
    options.target = "z";
    diagnose(d, t.table, &options, RAMIFY_ERROR_DATA);
    options = quick();
    options.effort = 0;
    diagnose(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    options.effort = NAN;
    diagnose(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    options = quick();
    options.hidden = "4,,4";
    diagnose(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    options.hidden = NULL;
    diagnose(d, t.table, &options, RAMIFY_ERROR_ARGUMENT);
    options = quick();
    options.rate = -1;
    assert_int_equal(ramify_diagnose_options_check(d->context, &options), RAMIFY_ERROR_ARGUMENT);
    toy_destroy(&t);
    desk_close(d);
    ramify_diagnosis_destroy(NULL);
}

/* The same numbers for any number of threads, others for another seed. */
static void test_threads_and_seeds(void **state) {
    (void)state;
    ramify_diagnosis *made[3];
    desk *d[3];
    toy t[3];
    for (int i = 0; i < 3; i++) {
        d[i] = desk_open(i == 0 ? 1 : 3);
        t[i] = toy_create(d[i]->context, 90, 2, line, 0.3, 7);
        ramify_diagnose_options options = quick();
        options.seed = i == 2 ? 5 : 4;
        made[i] = diagnose(d[i], t[i].table, &options, RAMIFY_OK);
    }
    assert_memory_equal(made[0]->shares, made[1]->shares, sizeof made[0]->shares);
    assert_int_equal(made[0]->fit_count, made[1]->fit_count);
    for (uint32_t f = 0; f < made[0]->fit_count; f++)
        assert_true(made[0]->fits[f].test_error == made[1]->fits[f].test_error);
    assert_true(made[0]->error == made[1]->error && made[0]->error != made[2]->error);
    for (int i = 0; i < 3; i++) {
        ramify_diagnosis_destroy(&made[i]);
        toy_destroy(&t[i]);
        desk_close(d[i]);
    }
}

/* Stops at the first, and at later questions; nothing is left. */
static void test_stops(void **state) {
    (void)state;
    const uint64_t questions[] = {1, 60, 150, 300};
    for (int i = 0; i < 4; i++) {
        desk *d = desk_open(2);
        toy t = toy_create(d->context, 60, 2, line, 0.1, 7);
        d->questions = 0;
        d->stop_at = questions[i];
        ramify_diagnose_options options = quick();
        diagnose(d, t.table, &options, RAMIFY_STOPPED);
        toy_destroy(&t);
        desk_close(d);
    }
}

static void test_time_limit(void **state) {
    (void)state;
    desk *d = desk_open(2);
    toy t = toy_create(d->context, 60, 2, line, 0.1, 7);
    ramify_diagnose_options options = quick();
    options.effort = 100;
    options.epochs = 100000;
    options.time_limit = 0.2;
    ramify_diagnosis *made = diagnose(d, t.table, &options, RAMIFY_OK);
    assert_true(made->time_limit_struck);
    assert_shares(made);
    ramify_diagnosis_destroy(&made);
    toy_destroy(&t);
    desk_close(d);
}

/* Refused memory: an error and nothing kept, at every so many-th allocation. */
typedef struct purse {
    uint64_t calls, fail_at;
    int64_t live;
} purse;

static void *allocate(void *user, size_t bytes) {
    purse *p = user;
    if (++p->calls == p->fail_at)
        return NULL;
    p->live++;
    return malloc(bytes);
}

static void release(void *user, void *memory) {
    purse *p = user;
    p->live--;
    free(memory);
}

static ramify_status diagnose_from(purse *p) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = p;
    options.allocate = allocate;
    options.release = release;
    options.threads = 1;
    ramify_context *context = NULL;
    if (ramify_context_create(&options, &context) != RAMIFY_OK)
        return RAMIFY_ERROR_MEMORY;
    double values[45 * 2];
    for (size_t i = 0; i < 45; i++) {
        values[2 * i] = (double)(i % 7);
        values[2 * i + 1] = sin((double)i);
    }
    ramify_table *table = NULL;
    ramify_diagnosis *made = NULL;
    ramify_diagnose_options wanted = quick();
    wanted.target = "c2";
    wanted.effort = 0.01;
    wanted.epochs = 1;
    ramify_status status = ramify_table_from_doubles(context, values, 45, 2, 2, NULL, &table);
    if (status == RAMIFY_OK)
        status = ramify_diagnose(context, table, &wanted, &made);
    assert_true((made != NULL) == (status == RAMIFY_OK));
    ramify_diagnosis_destroy(&made);
    ramify_table_destroy(&table);
    ramify_context_destroy(&context);
    return status;
}

static void test_refused_memory(void **state) {
    (void)state;
    enum { TRIALS = 25 };
    purse all = {0};
    assert_int_equal(diagnose_from(&all), RAMIFY_OK);
    assert_int_equal(all.live, 0);
    for (uint64_t i = 0; i < TRIALS; i++) {
        purse p = {.fail_at = 1 + i * (all.calls - 1) / (TRIALS - 1)};
        assert_int_equal(diagnose_from(&p), RAMIFY_ERROR_MEMORY);
        assert_int_equal(p.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_alone),    cmocka_unit_test(test_short_training),
        cmocka_unit_test(test_equal_rows),     cmocka_unit_test(test_undetermined_without_fits),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_threads_and_seeds),
        cmocka_unit_test(test_stops),          cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists of fits: what is kept in a folder is found there, and nothing else is; keys are of all that a fit
 * depends on. */

#include "counting.h"
#include "files.h"
#include "fit_key.h"
#include "fits.h"
#include "status.h"
#include "toy.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT 7
#define MOST  48

/* Fits whose results are bytes that follow from their keys. */
typedef struct list {
    uint64_t key[COUNT];
    size_t size[COUNT];
    unsigned char result[COUNT][MOST];
    int runs[COUNT], prepared;
    bool left[COUNT];
    int fails; /* the fit that fails; -1: none */
    ramify_context *context;
} list;

static list list_of(ramify_context *context) {
    list l = {.fails = -1, .context = context};
    for (size_t i = 0; i < COUNT; i++) {
        l.key[i] = 1000 + 7 * i;
        l.size[i] = i == 4 ? 0 : 5 * i + 1; /* the fifth has nothing to do */
    }
    return l;
}

static void expected(const list *l, size_t task, unsigned char *bytes) {
    for (size_t i = 0; i < l->size[task]; i++)
        bytes[i] = (unsigned char)(l->key[task] * 31 + i);
}

static ramify_status run(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    list *l = argument;
    l->runs[task]++;
    if ((int)task == l->fails)
        return ramify_fail(l->context, RAMIFY_ERROR_DATA, "fit %zu fails", task);
    expected(l, task, l->result[task]);
    return RAMIFY_OK;
}

static ramify_status prepare(void *argument, const uint32_t *rank, const bool *is_left) {
    list *l = argument;
    l->prepared++;
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rank[i], 0);
        l->left[i] = is_left[i];
    }
    return RAMIFY_OK;
}

static double cost(const void *argument, size_t task) {
    (void)argument;
    return (double)task;
}

static uint64_t key(const void *argument, size_t task) {
    return ((const list *)argument)->key[task];
}

static size_t size(const void *argument, size_t task) {
    return ((const list *)argument)->size[task];
}

static void pack(const void *argument, size_t task, void *result) {
    const list *l = argument;
    memcpy(result, l->result[task], l->size[task]);
}

static ramify_status unpack(void *argument, size_t task, const void *result) {
    list *l = argument;
    memcpy(l->result[task], result, l->size[task]);
    return RAMIFY_OK;
}

static ramify_status run_list(ramify_fits *fits, ramify_context *context, list *l) {
    const ramify_fit_list wanted = {COUNT, l, run, prepare, cost, key, size, pack, unpack};
    return ramify_fits_run(fits, context, &wanted);
}

static void check_results(const list *l) {
    for (size_t i = 0; i < COUNT; i++) {
        unsigned char bytes[MOST];
        expected(l, i, bytes);
        assert_memory_equal(l->result[i], bytes, l->size[i]);
    }
}

/* ---- folders ---- */

static char folder[64], other[128];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ramify-fits-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static void empty_folder(void) {
    DIR *open = opendir(folder);
    assert_non_null(open);
    char path[512];
    for (struct dirent *entry = readdir(open); entry; entry = readdir(open)) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0)
            rmdir(path);
    }
    closedir(open);
}

static int remove_folder(void **state) {
    (void)state;
    empty_folder();
    return rmdir(folder);
}

/* Files, and whether one of them is a temporary one. */
static size_t count_files(bool *temporary) {
    DIR *open = opendir(folder);
    size_t count = 0;
    *temporary = false;
    for (struct dirent *entry = readdir(open); entry; entry = readdir(open)) {
        count += entry->d_name[0] != '.';
        *temporary = *temporary || strstr(entry->d_name, ".tmp");
    }
    closedir(open);
    return count;
}

static const char *file_of(uint64_t fit) {
    snprintf(other, sizeof other, "%s/%016llx.fit", folder, (unsigned long long)fit);
    return other;
}

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

/* Runs the list in the folder, and says how many fits were found and done. */
static list run_kept(ramify_context *context, list l, size_t *found, size_t *done) {
    ramify_fits *fits = NULL;
    assert_int_equal(ramify_fits_open(context, folder, false, &fits), RAMIFY_OK);
    assert_true(ramify_fits_are_shared(fits, context));
    const ramify_status status = run_list(fits, context, &l);
    if (status != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    ramify_fits_count(fits, found, done);
    ramify_fits_close(&fits);
    assert_null(fits);
    check_results(&l);
    return l;
}

/* ---- lists ---- */

static void test_nothing_is_kept(void **state) {
    (void)state;
    for (int opened = 0; opened < 2; opened++) {
        ramify_fits *fits = NULL;
        list l = list_of(toy_context);
        if (opened)
            assert_int_equal(ramify_fits_open(toy_context, NULL, false, &fits), RAMIFY_OK);
        assert_false(ramify_fits_are_shared(fits, toy_context));
        assert_int_equal(run_list(fits, toy_context, &l), RAMIFY_OK);
        check_results(&l);
        assert_int_equal(l.prepared, 1);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(l.runs[i], 1);
            assert_true(l.left[i]);
        }
        ramify_fits_close(&fits);
    }
}

static void test_what_is_kept_is_found(void **state) {
    (void)state;
    size_t found, done;
    bool temporary;
    list l = run_kept(toy_context, list_of(toy_context), &found, &done);
    assert_int_equal(found, 0);
    assert_int_equal(done, COUNT - 1);
    assert_int_equal(l.runs[4], 0);
    assert_int_equal(count_files(&temporary), COUNT - 1);
    assert_false(temporary);
    l = run_kept(toy_context, list_of(toy_context), &found, &done);
    assert_int_equal(found, COUNT - 1);
    assert_int_equal(done, 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(l.runs[i] + l.left[i], 0);
    assert_int_equal(l.prepared, 1); /* other ranks may have something left */

    /* Another key, or another size, is another fit. */
    l = list_of(toy_context);
    l.key[2]++;
    l.size[3]++;
    l = run_kept(toy_context, l, &found, &done);
    assert_int_equal(found, COUNT - 3);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(l.runs[i], i == 2 || i == 3);
        assert_int_equal(l.left[i], i == 2 || i == 3);
    }
    empty_folder();
}

static void test_damaged_files(void **state) {
    (void)state;
    size_t found, done, bytes;
    list l = run_kept(toy_context, list_of(toy_context), &found, &done);
    const uint64_t fit = l.key[6];
    unsigned char *whole = file_content(file_of(fit), &bytes);
    assert_int_equal(bytes, 32 + l.size[6]);
    unsigned char *bad = malloc(bytes + 1);
    memcpy(bad, whole, bytes);
    bad[bytes] = 0;
    /* Cut short, too long, and every bit of every byte changed. */
    for (size_t way = 0; way < bytes + 1 + 8 * bytes; way++) {
        memcpy(bad, whole, bytes);
        if (way > bytes)
            bad[(way - bytes - 1) / 8] ^= (unsigned char)(1 << (way - bytes - 1) % 8);
        write_file(file_of(fit), bad, way < bytes ? way : way == bytes ? bytes + 1 : bytes);
        l = run_kept(toy_context, list_of(toy_context), &found, &done);
        if (found != COUNT - 2 || l.runs[6] != 1)
            fail_msg("damage %zu is not noticed", way);
        size_t again;
        unsigned char *mended = file_content(file_of(fit), &again);
        assert_int_equal(again, bytes);
        assert_memory_equal(mended, whole, bytes);
        free(mended);
    }
    free(bad);
    free(whole);
    empty_folder();
}

/* ---- failures ---- */

static void test_a_fit_that_fails(void **state) {
    (void)state;
    size_t found, done;
    ramify_fits *fits = NULL;
    list l = list_of(toy_context);
    l.fails = 3;
    ramify_clear(toy_context);
    assert_int_equal(ramify_fits_open(toy_context, folder, false, &fits), RAMIFY_OK);
    assert_int_equal(run_list(fits, toy_context, &l), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(toy_context), "fit 3 fails");
    ramify_fits_close(&fits);
    /* What was done is there. */
    bool temporary;
    const size_t kept = count_files(&temporary);
    ramify_clear(toy_context);
    run_kept(toy_context, list_of(toy_context), &found, &done);
    assert_int_equal(found, kept);
    assert_int_equal(found + done, COUNT - 1);
    empty_folder();
}

static void test_folders_that_are_none(void **state) {
    (void)state;
    ramify_fits *fits = NULL;
    snprintf(other, sizeof other, "%s/file", folder);
    write_file(other, "x", 1);
    ramify_clear(toy_context);
    assert_int_equal(ramify_fits_open(toy_context, other, false, &fits), RAMIFY_ERROR_IO);
    assert_null(fits);
    assert_non_null(strstr(ramify_message(toy_context), other));

    /* A folder in the place of a file cannot be replaced. */
    list l = list_of(toy_context);
    assert_int_equal(mkdir(file_of(l.key[1]), 0755), 0);
    ramify_clear(toy_context);
    assert_int_equal(ramify_fits_open(toy_context, folder, false, &fits), RAMIFY_OK);
    assert_int_equal(run_list(fits, toy_context, &l), RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(toy_context), "is a folder"));
    ramify_fits_close(&fits);
    ramify_clear(toy_context);
    empty_folder();
}

static void test_no_room_for_files(void **state) {
    (void)state;
    struct rlimit before, small;
    ramify_fits *fits = NULL;
    list l = list_of(toy_context);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = before;
    small.rlim_cur = 40; /* the header, and a part of some results */
    ramify_clear(toy_context);
    assert_int_equal(ramify_fits_open(toy_context, folder, false, &fits), RAMIFY_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const ramify_status status = run_list(fits, toy_context, &l);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(toy_context), ".fit: cannot write the file"));
    ramify_fits_close(&fits);
    bool temporary;
    assert_true(count_files(&temporary) <= 2);
    assert_false(temporary);
    size_t found, done;
    ramify_clear(toy_context);
    run_kept(toy_context, list_of(toy_context), &found, &done);
    assert_int_equal(found + done, COUNT - 1);
    empty_folder();
}

/* With an empty folder and with a full one. */
static void test_every_allocation(void **state) {
    (void)state;
    for (int full = 0; full < 2; full++) {
        counting counts = {0};
        ramify_context *context = counting_context(&counts);
        size_t found, done;
        run_kept(context, list_of(context), &found, &done); /* threads stay */
        const uint64_t live = counts.live;
        for (uint64_t n = 1;; n++) {
            if (full)
                run_kept(toy_context, list_of(toy_context), &found, &done);
            else
                empty_folder();
            ramify_fits *fits = NULL;
            list l = list_of(context);
            ramify_clear(context);
            counts.calls = 0;
            counts.fail_once = n;
            ramify_status status = ramify_fits_open(context, folder, false, &fits);
            if (status == RAMIFY_OK)
                status = run_list(fits, context, &l);
            ramify_fits_close(&fits);
            counts.fail_once = 0;
            assert_int_equal(counts.live, live);
            bool temporary;
            count_files(&temporary);
            assert_false(temporary);
            if (status == RAMIFY_OK) {
                check_results(&l);
                if (counts.calls < n)
                    break;
            } else {
                assert_int_equal(status, RAMIFY_ERROR_MEMORY);
            }
        }
        ramify_context_destroy(&context);
        assert_int_equal(counts.live, 0);
        empty_folder();
    }
}

/* ---- keys ---- */

/* Keys of which no two may be the same. */
static uint64_t seen[128];
static size_t seen_count;

static void take_key(uint64_t fit, const char *what) {
    for (size_t i = 0; i < seen_count; i++)
        if (seen[i] == fit)
            fail_msg("%s does not change the key", what);
    assert_true(seen_count < sizeof seen / sizeof seen[0]);
    seen[seen_count++] = fit;
}

#define TAKE(change, call)                                                                         \
    do {                                                                                           \
        change;                                                                                    \
        take_key(call, #change);                                                                   \
        p = before;                                                                                \
    } while (0)

static void test_keys_of_plans(void **state) {
    (void)state;
    const ramify_expert_plan before = {.epochs = 3, .batch = 64, .rate = 0.01, .checks = 2};
    ramify_expert_plan p = before;
    const float mask[1] = {1};
    seen_count = 0;
    const uint64_t start = ramify_fit_key(toy_context, "a");
    take_key(start, "nothing");
    take_key(ramify_fit_key(toy_context, "b"), "purpose");
    TAKE(, ramify_fit_key_plan(start, &p));
    TAKE(p.epochs++, ramify_fit_key_plan(start, &p));
    TAKE(p.batch++, ramify_fit_key_plan(start, &p));
    TAKE(p.rate *= 1 + 1e-15, ramify_fit_key_plan(start, &p));
    TAKE(p.warm_up = 0.1, ramify_fit_key_plan(start, &p));
    TAKE(p.cosine = true, ramify_fit_key_plan(start, &p));
    TAKE(p.decay = 0.1, ramify_fit_key_plan(start, &p));
    TAKE(p.smoothing = 0.1, ramify_fit_key_plan(start, &p));
    TAKE(p.average = 0.1, ramify_fit_key_plan(start, &p));
    TAKE(p.keep_last = true, ramify_fit_key_plan(start, &p));
    TAKE(p.checks++, ramify_fit_key_plan(start, &p));
    TAKE(p.train_slope = true, ramify_fit_key_plan(start, &p));
    TAKE(p.rewind_at = 0.1, ramify_fit_key_plan(start, &p));
    TAKE(p.mask = mask, ramify_fit_key_plan(start, &p));
    TAKE(p.seed = 1, ramify_fit_key_plan(start, &p));
    TAKE(p.node = 1, ramify_fit_key_plan(start, &p));
    /* When it began, and who is told of it, change nothing. */
    p.started = 5;
    p.meter = (ramify_meter *)(uintptr_t)8;
    assert_true(ramify_fit_key_plan(start, &p) == ramify_fit_key_plan(start, &before));
}

static void test_keys_of_shapes(void **state) {
    (void)state;
    const ramify_mlp_shape before = {2, 1, {5, 8, 1}};
    ramify_mlp_shape p = before;
    seen_count = 0;
    TAKE(, ramify_fit_key_shape(0, &p));
    TAKE(p.layers = 1, ramify_fit_key_shape(0, &p));
    TAKE(p.members = 2, ramify_fit_key_shape(0, &p));
    for (int i = 0; i < 3; i++)
        TAKE(p.width[i]++, ramify_fit_key_shape(0, &p));
    assert_true(ramify_fit_key_shape(1, &p) != ramify_fit_key_shape(0, &p));
}

static void test_keys_of_encoders(void **state) {
    (void)state;
    const ramify_encoder_options before = {true, 8, 2, 0.5, 1};
    ramify_encoder_options p = before;
    seen_count = 0;
    TAKE(, ramify_fit_key_encoder(0, &p));
    TAKE(p.bins = false, ramify_fit_key_encoder(0, &p));
    TAKE(p.bin_count++, ramify_fit_key_encoder(0, &p));
    TAKE(p.frequencies++, ramify_fit_key_encoder(0, &p));
    TAKE(p.frequency_deviation++, ramify_fit_key_encoder(0, &p));
    TAKE(p.seed++, ramify_fit_key_encoder(0, &p));
}

static double slope(const double *x) {
    return x[0];
}

/* Of everything that a fit sees of rows. */
static void test_keys_of_problems(void **state) {
    (void)state;
    toy t = toy_create(toy_context, 40, 2, slope, 0.1, 3);
    toy_problem(&t, 24, 8, NULL, NULL);
    ramify_problem *of = t.problem;
    float ones[40];
    for (int i = 0; i < 40; i++)
        ones[i] = 1;
    const ramify_problem before = *of;
    ramify_problem p = before;
    seen_count = 0;
    TAKE(, ramify_fit_key_problem(0, &p));
    TAKE(p.weight = ones, ramify_fit_key_problem(0, &p));
    TAKE(p.soft = ones, ramify_fit_key_problem(0, &p));
    TAKE(p.train.count--, ramify_fit_key_problem(0, &p));
    TAKE(p.select.count--, ramify_fit_key_problem(0, &p));
    TAKE(p.report.count--, ramify_fit_key_problem(0, &p));
    TAKE(p.observed.count--, ramify_fit_key_problem(0, &p));
    TAKE(p.train.row = p.train.row + 1, ramify_fit_key_problem(0, &p));
    TAKE(p.select.row = p.select.row + 1, ramify_fit_key_problem(0, &p));
    of->plain[7]++;
    TAKE(, ramify_fit_key_problem(0, &p));
    of->target[39]++;
    TAKE(, ramify_fit_key_problem(0, &p));
    of->column[1].missing = true;
    TAKE(, ramify_fit_key_problem(0, &p));
    ones[39] = 2;
    TAKE(p.weight = ones, ramify_fit_key_problem(0, &p));
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_kept),
        cmocka_unit_test_setup_teardown(test_what_is_kept_is_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_a_fit_that_fails, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_folders_that_are_none, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_room_for_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_every_allocation, make_folder, remove_folder),
        cmocka_unit_test(test_keys_of_plans),
        cmocka_unit_test(test_keys_of_shapes),
        cmocka_unit_test(test_keys_of_encoders),
        cmocka_unit_test(test_keys_of_problems),
    };
    return cmocka_run_group_tests(tests, toy_open_context, toy_close_context);
}

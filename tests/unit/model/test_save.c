/* Saving replaces a file whole, or leaves everything as it was. */

#include "files.h"
#include "memory.h"
#include "random_model.h"

#include <fcntl.h>
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

typedef struct place {
    char directory[64];
    char path[96];
    ramify_context *context;
    random_model *twin;
    ramify_model *model;
} place;

static int set_up(void **state) {
    static place p;
    p = (place){.directory = "/tmp/ramify-save-XXXXXX"};
    assert_non_null(mkdtemp(p.directory));
    snprintf(p.path, sizeof p.path, "%s/m.ramify", p.directory);
    assert_int_equal(ramify_context_create(NULL, &p.context), RAMIFY_OK);
    random_model_options options = random_model_defaults();
    options.levels = 3;
    options.hidden[0] = 60;
    p.twin = random_model_create(p.context, &options);
    p.model = random_model_open(p.twin);
    *state = &p;
    return 0;
}

static int tear_down(void **state) {
    place *p = *state;
    ramify_close(&p->model);
    random_model_destroy(p->twin);
    ramify_context_destroy(&p->context);
    unlink(p->path);
    rmdir(p->directory);
    return 0;
}

static void assert_content(const char *path, const void *bytes, size_t size) {
    size_t there;
    char *found = file_content(path, &there);
    assert_int_equal(there, size);
    assert_memory_equal(found, bytes, size);
    free(found);
}

static void test_writes_the_model(void **state) {
    place *p = *state;
    mode_t before = umask(027);
    assert_int_equal(ramify_save(p->context, p->model, p->path), RAMIFY_OK);
    umask(before);
    assert_content(p->path, p->model->source.bytes, (size_t)p->model->source.size);
    assert_int_equal(files_in(p->directory), 1);
    struct stat about;
    assert_int_equal(stat(p->path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
}

/* A model that is read from the very file that it replaces. */
static void test_replaces_its_own_file(void **state) {
    place *p = *state;
    assert_int_equal(ramify_save(p->context, p->model, p->path), RAMIFY_OK);
    static const ramify_access ways[] = {RAMIFY_ACCESS_READ, RAMIFY_ACCESS_MMAP};
    for (size_t i = 0; i < 2; i++) {
        ramify_open_options options = {.access = ways[i]};
        ramify_model *model = NULL;
        assert_int_equal(ramify_open(p->context, p->path, &options, &model), RAMIFY_OK);
        assert_int_equal(ramify_save(p->context, model, p->path), RAMIFY_OK);
        assert_int_equal(ramify_model_check(p->context, model), RAMIFY_OK);
        ramify_close(&model);
        assert_content(p->path, p->model->source.bytes, (size_t)p->model->source.size);
    }
    assert_int_equal(files_in(p->directory), 1);
}

static void test_refused_places(void **state) {
    place *p = *state;
    char path[160];
    snprintf(path, sizeof path, "%s/none/m.ramify", p->directory);
    assert_int_equal(ramify_save(p->context, p->model, path), RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(p->context),
                           "none/m.ramify: cannot create a temporary file beside it: No such file "
                           "or directory"));
    /* A directory cannot be replaced by a file. */
    snprintf(path, sizeof path, "%s/sub", p->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(ramify_save(p->context, p->model, path), RAMIFY_ERROR_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(files_in(p->directory), 0);
    assert_int_equal(ramify_save(p->context, NULL, path), RAMIFY_ERROR_ARGUMENT);
}

/* A full disk, played by a limit on the size of files. */
static void test_failed_write_leaves_the_old_file(void **state) {
    place *p = *state;
    FILE *old = fopen(p->path, "wb");
    fputs("old", old);
    fclose(old);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 6000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    ramify_status status = ramify_save(p->context, p->model, p->path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(p->context), "cannot write the file: File too large"));
    assert_content(p->path, "old", 3);
    assert_int_equal(files_in(p->directory), 1);
}

/* What a crash left behind is stepped around, not written to. */
static void test_leftover_temporary_file(void **state) {
    place *p = *state;
    char leftover[160];
    snprintf(leftover, sizeof leftover, "%s.%ld-0.tmp", p->path, (long)getpid());
    FILE *file = fopen(leftover, "wb");
    fputs("crash", file);
    fclose(file);
    assert_int_equal(ramify_save(p->context, p->model, p->path), RAMIFY_OK);
    assert_content(leftover, "crash", 5);
    unlink(leftover);
    assert_content(p->path, p->model->source.bytes, (size_t)p->model->source.size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_writes_the_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaces_its_own_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failed_write_leaves_the_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leftover_temporary_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

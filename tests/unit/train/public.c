#include "public.h"
#include "files.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool cancel(void *user) {
    desk *d = user;
    /* Asked by several threads at once. */
    uint64_t asked = __atomic_add_fetch(&d->questions, 1, __ATOMIC_RELAXED);
    return d->stop_at > 0 && asked >= d->stop_at;
}

static void take_log(void *user, ramify_log_level level, const char *message) {
    desk *d = user;
    if (level != RAMIFY_LOG_WARNING)
        return;
    d->warnings++;
    snprintf(d->last_warning, sizeof d->last_warning, "%s", message);
}

desk *desk_open(uint32_t threads) {
    desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = d;
    options.threads = threads;
    options.cancel = cancel;
    options.log = take_log;
    assert_int_equal(ramify_context_create(&options, &d->context), RAMIFY_OK);
    return d;
}

void desk_close(desk *d) {
    ramify_context_destroy(&d->context);
    free(d);
}

ramify_train_options quick_options(void) {
    ramify_train_options options;
    ramify_train_options_init(&options);
    options.target = "y";
    options.epochs = 6;
    options.child_epochs = 3;
    options.smallest_node = 100;
    options.validation = 0.2;
    /* Teachers are slow under sanitizers: tests that are about them ask for them. */
    options.distillation = RAMIFY_CHOICE_OFF;
    return options;
}

ramify_model *train(desk *d, const ramify_table *table, const ramify_train_options *options,
                    ramify_status expected, ramify_training **training) {
    ramify_model *model = NULL;
    ramify_status status = ramify_train(d->context, table, options, NULL, &model, training);
    if (status != expected)
        fail_msg("%s: %s", ramify_status_name(status), ramify_message(d->context));
    if (expected != RAMIFY_STOPPED)
        assert_true((model != NULL) == (expected == RAMIFY_OK));
    return model;
}

double *predictions(desk *d, ramify_model *model, const ramify_table *table) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    size_t count = ramify_table_rows(table) * info.outputs;
    double *y = calloc(count, sizeof *y);
    assert_non_null(y);
    ramify_status status = ramify_predict_table(d->context, model, table, y);
    if (status != RAMIFY_OK)
        fail_msg("%s", ramify_message(d->context));
    for (size_t i = 0; i < count; i++)
        assert_true(isfinite(y[i]));
    return y;
}

char *scratch_file(void) {
    char *path = strdup("/tmp/ramify-train-XXXXXX");
    assert_non_null(path);
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    return path;
}

void scratch_remove(char *path) {
    unlink(path);
    free(path);
}

unsigned char *saved_bytes(desk *d, const ramify_model *model, size_t *size) {
    char *path = scratch_file();
    assert_int_equal(ramify_save(d->context, model, path), RAMIFY_OK);
    unsigned char *bytes = file_content(path, size);
    scratch_remove(path);
    return bytes;
}

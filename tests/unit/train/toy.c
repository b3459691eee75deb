#include "toy.h"

#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

ramify_context *toy_context;

int toy_open_context(void **state) {
    (void)state;
    return ramify_context_create(NULL, &toy_context) == RAMIFY_OK ? 0 : 1;
}

int toy_close_context(void **state) {
    (void)state;
    ramify_context_destroy(&toy_context);
    return 0;
}

float *toy_floats(size_t count) {
    size_t bytes = ramify_pad(count + 1) * sizeof(float);
    float *memory = aligned_alloc(RAMIFY_ALIGNMENT, bytes);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    return memory;
}

toy toy_create(ramify_context *context, size_t rows, size_t inputs, toy_function *function,
               double noise, uint64_t seed) {
    toy t = {.context = context, .rows = rows, .inputs = inputs};
    t.values = calloc(rows * (inputs + 1), sizeof *t.values);
    assert_non_null(t.values);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 12, 34);
    for (size_t row = 0; row < rows; row++) {
        double *x = t.values + row * (inputs + 1);
        for (size_t c = 0; c < inputs; c++)
            x[c] = 2 * ramify_random_uniform(&random) - 1;
        x[inputs] = function(x) + noise * ramify_random_normal(&random);
    }
    char text[24];
    const char **names = calloc(inputs + 1, sizeof *names);
    assert_non_null(names);
    for (size_t c = 0; c <= inputs; c++) {
        snprintf(text, sizeof text, "x%zu", c + 1);
        names[c] = strdup(c < inputs ? text : "y");
    }
    assert_int_equal(
        ramify_table_from_doubles(context, t.values, rows, inputs + 1, inputs + 1, names, &t.table),
        RAMIFY_OK);
    for (size_t c = 0; c <= inputs; c++) {
        char *name = NULL;
        memcpy(&name, &names[c], sizeof name);
        free(name);
    }
    free(names);
    return t;
}

void toy_problem(toy *t, size_t train, size_t select, const char *task, const char *weight) {
    ramify_schema_request request = {.target = "y", .task = task, .weight = weight};
    assert_int_equal(ramify_schema_infer(t->context, t->table, &request, &t->schema), RAMIFY_OK);
    assert_int_equal(ramify_match_create(t->context, t->schema, t->table, true, &t->match),
                     RAMIFY_OK);
    uint32_t *row = calloc(t->rows, sizeof *row);
    assert_non_null(row);
    for (size_t i = 0; i < t->rows; i++)
        row[i] = (uint32_t)i;
    const ramify_column *column =
        weight ? &t->table->columns[ramify_table_find(t->table, weight, strlen(weight))] : NULL;
    ramify_rows rest = {row + train + select, t->rows - train - select};
    assert_int_equal(ramify_problem_create(t->context, t->match, (ramify_rows){row, train},
                                           (ramify_rows){row + train, select}, rest, column, false,
                                           &t->problem),
                     RAMIFY_OK);
    free(row);
}

void toy_destroy(toy *t) {
    ramify_problem_destroy(t->context, &t->problem);
    ramify_match_destroy(t->context, &t->match);
    ramify_schema_destroy(t->context, &t->schema);
    ramify_table_destroy(&t->table);
    free(t->values);
}

bool toy_denormals_are_kept(void) {
    volatile float least = FLT_MIN;
    volatile float half = least / 2;
    return half > 0;
}

atomic_size_t toy_flushed, toy_kept;
static const ramify_kernels *watched;

static void watch(void) {
    atomic_fetch_add(toy_denormals_are_kept() ? &toy_kept : &toy_flushed, 1);
}

static void watch_adamw(size_t n, float *p, const float *g, float *m, float *v, float rate,
                        float beta1, float beta2, float epsilon, float decay, float correction1,
                        float correction2) {
    watch();
    watched->adamw(n, p, g, m, v, rate, beta1, beta2, epsilon, decay, correction1, correction2);
}

static void watch_activate_backward(size_t rows, size_t n, const float *dy, size_t lddy,
                                    const float *z, size_t ldz, const float *s, const float *b,
                                    const float *slope, float *dz, size_t lddz, float *db,
                                    float *ds, float *dslope) {
    watch();
    watched->activate_backward(rows, n, dy, lddy, z, ldz, s, b, slope, dz, lddz, db, ds, dslope);
}

static void watch_gelu_backward(size_t rows, size_t n, const float *dy, size_t lddy, const float *x,
                                size_t ldx, float *dx, size_t lddx) {
    watch();
    watched->gelu_backward(rows, n, dy, lddy, x, ldx, dx, lddx);
}

const ramify_kernels *toy_watched_kernels(void) {
    static ramify_kernels kernels;
    watched = ramify_kernels_select(NULL);
    kernels = *watched;
    kernels.adamw = watch_adamw;
    kernels.activate_backward = watch_activate_backward;
    kernels.gelu_backward = watch_gelu_backward;
    atomic_store(&toy_flushed, 0);
    atomic_store(&toy_kept, 0);
    return &kernels;
}

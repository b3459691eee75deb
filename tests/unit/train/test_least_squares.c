/* Least squares over blocks of rows, beside LAPACK. */

#include "least_squares.h"
#include "memory.h"
#include "random.h"
#include "status.h"

#include <lapacke.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct equations {
    uint32_t rows, terms, outputs;
    double *a; /* rows x terms */
    double *y; /* rows x outputs */
} equations;

static equations make_system(uint32_t rows, uint32_t terms, uint32_t outputs, uint64_t seed) {
    equations s = {.rows = rows, .terms = terms, .outputs = outputs};
    s.a = calloc((size_t)rows * terms, sizeof *s.a);
    s.y = calloc((size_t)rows * outputs, sizeof *s.y);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_INITIAL, 0, 0);
    for (size_t i = 0; i < (size_t)rows * terms; i++)
        s.a[i] = ramify_random_normal(&random);
    for (size_t i = 0; i < (size_t)rows * outputs; i++)
        s.y[i] = ramify_random_normal(&random);
    return s;
}

static void free_system(equations *s) {
    free(s->a);
    free(s->y);
}

static void fill_block(const equations *s, uint32_t first, uint32_t count,
                       ramify_least_squares *p) {
    for (uint32_t i = 0; i < count; i++) {
        memcpy(p->block + i * p->ld, s->a + (size_t)(first + i) * s->terms,
               s->terms * sizeof *p->block);
        memcpy(p->block + i * p->ld + s->terms, s->y + (size_t)(first + i) * s->outputs,
               s->outputs * sizeof *p->block);
    }
}

/* Takes all rows in blocks of at most `piece`. */
static ramify_least_squares *take_all(ramify_context *context, const ramify_kernels *kernels,
                                      const equations *s, uint32_t piece) {
    ramify_least_squares *p;
    assert_int_equal(ramify_least_squares_create(context, kernels, s->terms, s->outputs, &p),
                     RAMIFY_OK);
    for (uint32_t first = 0; first < s->rows; first += piece) {
        uint32_t count = (uint32_t)ramify_smaller(piece, s->rows - first);
        fill_block(s, first, count, p);
        assert_int_equal(ramify_least_squares_take(p, count, 0), RAMIFY_OK);
    }
    return p;
}

/* The solution of the first `terms` columns by LAPACK, and what it leaves. */
static void solve_by_lapack(const equations *s, uint32_t terms, double *c, double *left) {
    double *a = calloc((size_t)s->rows * terms, sizeof *a);
    uint32_t longer = s->rows > terms ? s->rows : terms;
    double *y = calloc((size_t)longer * s->outputs, sizeof *y);
    for (uint32_t i = 0; i < s->rows; i++)
        memcpy(a + (size_t)i * terms, s->a + (size_t)i * s->terms, terms * sizeof *a);
    memcpy(y, s->y, (size_t)s->rows * s->outputs * sizeof *y);
    assert_int_equal(LAPACKE_dgels(LAPACK_ROW_MAJOR, 'N', (lapack_int)s->rows, (lapack_int)terms,
                                   (lapack_int)s->outputs, a, (lapack_int)terms, y,
                                   (lapack_int)s->outputs),
                     0);
    for (uint32_t o = 0; o < s->outputs; o++) {
        for (uint32_t t = 0; t < terms; t++)
            c[o * terms + t] = y[(size_t)t * s->outputs + o];
        left[o] = 0;
        for (uint32_t i = 0; i < s->rows; i++) {
            double sum = s->y[(size_t)i * s->outputs + o];
            for (uint32_t t = 0; t < terms; t++)
                sum -= s->a[(size_t)i * s->terms + t] * c[o * terms + t];
            left[o] += sum * sum;
        }
    }
    free(a);
    free(y);
}

static void check_solution(const ramify_least_squares *p, const equations *s, uint32_t terms) {
    double *got = calloc(terms, sizeof *got);
    double *want = calloc((size_t)terms * s->outputs, sizeof *want);
    double *left = calloc(s->outputs, sizeof *left);
    solve_by_lapack(s, terms, want, left);
    for (uint32_t o = 0; o < s->outputs; o++) {
        ramify_least_squares_solve(p, terms, o, got);
        for (uint32_t t = 0; t < terms; t++)
            assert_true(fabs(got[t] - want[o * terms + t]) < 1e-11 * (1 + fabs(got[t])));
        double found = ramify_least_squares_left(p, terms, o);
        assert_true(fabs(found - left[o]) < 1e-10 * (1 + left[o]));
    }
    free(got);
    free(want);
    free(left);
}

static ramify_context *new_context(void) {
    ramify_context *context;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    return context;
}

static void test_like_lapack(void **state) {
    (void)state;
    static const uint32_t sizes[][3] = {{1, 1, 1},    {5, 3, 1},     {40, 8, 2},   {97, 31, 3},
                                        {200, 65, 1}, {1100, 97, 2}, {700, 130, 9}};
    const ramify_kernels *const *sets;
    size_t count = ramify_kernels_list(&sets);
    for (size_t k = 0; k < count; k++) {
        ramify_context *context = new_context();
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            equations s = make_system(sizes[i][0], sizes[i][1], sizes[i][2], i);
            for (uint32_t piece = RAMIFY_LEAST_SQUARES_ROWS; piece > 12; piece /= 7) {
                ramify_least_squares *p = take_all(context, sets[k], &s, piece);
                assert_int_equal(ramify_least_squares_rank(p), s.terms);
                check_solution(p, &s, s.terms);
                check_solution(p, &s, (s.terms + 1) / 2); /* nested */
                ramify_least_squares_destroy(&p);
            }
            free_system(&s);
        }
        ramify_context_destroy(&context);
    }
}

static void test_any_threads(void **state) {
    (void)state;
    equations s = make_system(1500, 150, 2, 5);
    double *first = NULL;
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        ramify_context_options options;
        ramify_context_options_init(&options);
        options.threads = threads;
        ramify_context *context;
        assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
        ramify_least_squares *p =
            take_all(context, ramify_kernels_select(NULL), &s, RAMIFY_LEAST_SQUARES_ROWS);
        if (first)
            assert_memory_equal(first, p->r, p->ld * p->ld * sizeof *first);
        else {
            first = calloc(p->ld * p->ld, sizeof *first);
            memcpy(first, p->r, p->ld * p->ld * sizeof *first);
        }
        ramify_least_squares_destroy(&p);
        ramify_context_destroy(&context);
    }
    free(first);
    free_system(&s);
}

/* Leaving a row out changes its prediction by leverage: against refitting without it. */
static void test_leverages(void **state) {
    (void)state;
    ramify_context *context = new_context();
    equations s = make_system(60, 21, 1, 9);
    ramify_least_squares *p = take_all(context, ramify_kernels_select(NULL), &s, 60), *q;
    for (uint32_t terms = 13; terms <= 21; terms += 8)
        for (uint32_t row = 0; row < s.rows; row += 7) {
            fill_block(&s, row, 1, p);
            assert_int_equal(ramify_least_squares_orthonormal(p, terms, 1, 0), RAMIFY_OK);
            double sum = 0, leverage = 0;
            for (uint32_t t = 0; t < terms; t++) {
                sum += p->block[t] * ramify_least_squares_projection(p, t, 0);
                leverage += p->block[t] * p->block[t];
            }
            double without = s.y[row] - (s.y[row] - sum) / (1 - leverage);
            equations rest = make_system(60, 21, 1, 9);
            rest.rows--;
            memmove(rest.a + (size_t)row * 21, rest.a + ((size_t)row + 1) * 21,
                    (size_t)(59 - row) * 21 * sizeof *rest.a);
            memmove(rest.y + row, rest.y + row + 1, (size_t)(59 - row) * sizeof *rest.y);
            q = take_all(context, ramify_kernels_select(NULL), &rest, 60);
            double c[21], expected = 0;
            ramify_least_squares_solve(q, terms, 0, c);
            for (uint32_t t = 0; t < terms; t++)
                expected += c[t] * s.a[(size_t)row * 21 + t];
            assert_true(fabs(expected - without) < 1e-11);
            ramify_least_squares_destroy(&q);
            free_system(&rest);
        }
    ramify_least_squares_destroy(&p);
    free_system(&s);
    ramify_context_destroy(&context);
}

static void test_dependent_columns(void **state) {
    (void)state;
    ramify_context *context = new_context();
    equations s = make_system(50, 12, 1, 2);
    for (uint32_t i = 0; i < s.rows; i++)
        s.a[i * 12 + 7] = 2 * s.a[i * 12 + 3] - s.a[i * 12];
    ramify_least_squares *p = take_all(context, ramify_kernels_select(NULL), &s, 50);
    assert_int_equal(ramify_least_squares_rank(p), 7);
    ramify_least_squares_destroy(&p);
    s.rows = 5;
    p = take_all(context, ramify_kernels_select(NULL), &s, 50);
    assert_int_equal(ramify_least_squares_rank(p), 5);
    ramify_least_squares_destroy(&p);
    free_system(&s);
    ramify_context_destroy(&context);
}

static void test_least_norm(void **state) {
    (void)state;
    ramify_context *context = new_context();
    static const uint32_t sizes[][3] = {{1, 1, 1}, {3, 20, 2}, {40, 97, 1}, {90, 700, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        equations s = make_system(sizes[i][0], sizes[i][1], sizes[i][2], 30 + i);
        double *got = calloc((size_t)s.terms * s.outputs, sizeof *got);
        double *want = calloc((size_t)s.terms * s.outputs, sizeof *want);
        double *left = calloc(s.outputs, sizeof *left);
        assert_int_equal(ramify_least_norm(context, ramify_kernels_select(NULL), s.rows, s.terms,
                                           s.outputs, s.a, s.terms, s.y, got),
                         RAMIFY_OK);
        solve_by_lapack(&s, s.terms, want, left);
        for (size_t t = 0; t < (size_t)s.terms * s.outputs; t++)
            assert_true(fabs(got[t] - want[t]) < 1e-12 * (1 + fabs(want[t])));
        free(got);
        free(want);
        free(left);
        free_system(&s);
    }
    ramify_context_destroy(&context);
}

static bool ask(void *user) {
    int *left = user;
    return --*left < 0;
}

/* A large block takes long: it is asked within it whether to stop, and looks at the clock. */
static void test_stops(void **state) {
    (void)state;
    int left = 1000;
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = &left;
    options.cancel = ask;
    options.threads = 1;
    ramify_context *context;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    equations s = make_system(300, 200, 1, 4);
    ramify_least_squares *p = take_all(context, ramify_kernels_select(NULL), &s, 300);
    fill_block(&s, 0, 300, p);
    left = 3;
    assert_int_equal(ramify_least_squares_take(p, 300, 0), RAMIFY_STOPPED);
    ramify_clear(context);
    left = 3;
    assert_int_equal(ramify_least_squares_orthonormal(p, 200, 300, 0), RAMIFY_STOPPED);
    ramify_clear(context);
    left = 1000;
    assert_false(p->late);
    p->deadline = 1e-9; /* long past */
    assert_int_equal(ramify_least_squares_take(p, 300, 0), RAMIFY_OK);
    assert_true(p->late && left > 998);
    left = 3;
    double *c = calloc(300, sizeof *c);
    assert_int_equal(
        ramify_least_norm(context, ramify_kernels_select(NULL), 150, 200, 1, s.a, 200, s.y, c),
        RAMIFY_STOPPED);
    free(c);
    ramify_least_squares_destroy(&p);
    free_system(&s);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_lapack), cmocka_unit_test(test_any_threads),
        cmocka_unit_test(test_leverages),   cmocka_unit_test(test_dependent_columns),
        cmocka_unit_test(test_least_norm),  cmocka_unit_test(test_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

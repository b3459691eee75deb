/* Teachers, and the rows that they answer. */

#include "status.h"
#include "teacher.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double slope(const double *x) {
    return 2 * x[0] - x[1];
}

typedef struct school {
    ramify_context *context;
    toy t;
    ramify_recipe recipe;
    ramify_teachers *teachers;
} school;

/* 300 rows of three columns, two of them with a few values and gaps; two small teachers. */
static school school_open(uint32_t threads, const char *task, uint32_t epochs) {
    school s = {0};
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = threads;
    assert_int_equal(ramify_context_create(&options, &s.context), RAMIFY_OK);
    s.t = toy_create(s.context, 300, 3, slope, 0.0, 3);
    for (size_t row = 0; row < 300; row++) {
        double *x = s.t.values + row * 4;
        x[1] = floor(4 * x[1]) / 4;
        x[2] = row % 7 == 0 ? NAN : x[2];
        x[3] = task ? (x[0] > 0.3) + (x[0] > -0.3) : slope(x);
    }
    toy_problem(&s.t, 240, 30, task, NULL);
    ramify_train_options train;
    ramify_train_options_init(&train);
    train.target = "y";
    train.epochs = epochs;
    ramify_recipe_make(s.t.problem, &train, &s.recipe);
    s.recipe.teacher_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        s.recipe.teacher[i].width = 16;
    return s;
}

static void school_close(school *s) {
    ramify_teachers_destroy(s->context, &s->teachers);
    toy_destroy(&s->t);
    ramify_context_destroy(&s->context);
}

static ramify_problem *enlarge_within(school *s, double seconds) {
    if (!s->teachers)
        assert_int_equal(
            ramify_teachers_fit(s->t.problem, &s->recipe, &s->recipe.stem[0], 0, &s->teachers),
            RAMIFY_OK);
    ramify_problem *made = NULL;
    const ramify_answerer answerer = ramify_teachers_answerer(s->teachers);
    assert_int_equal(ramify_teachers_enlarge(s->t.problem, &answerer, &s->recipe, seconds, &made),
                     RAMIFY_OK);
    return made;
}

static ramify_problem *enlarge(school *s) {
    return enlarge_within(s, 0);
}

/* Longer training is estimated to take longer, and measuring ends with the first part that is too much. */
static void test_estimate(void **state) {
    (void)state;
    school s = school_open(1, NULL, 10);
    ramify_root_request root = {
        .problem = s.t.problem,
        .design = {.encoder = s.recipe.stem[0], .hidden_layers = 1},
        .shape = {.layers = 2, .width = {0, 16, 1}, .members = 1},
        .plan = s.recipe.root,
    };
    double some, more, part;
    assert_int_equal(ramify_teachers_estimate(s.t.problem, &s.recipe, &root, INFINITY, &some),
                     RAMIFY_OK);
    assert_true(some > 0);
    assert_int_equal(ramify_teachers_estimate(s.t.problem, &s.recipe, &root, 0, &part), RAMIFY_OK);
    assert_true(part > 0);
    s.recipe.root.epochs *= 1000;
    s.recipe.teaching.epochs *= 1000;
    assert_int_equal(ramify_teachers_estimate(s.t.problem, &s.recipe, &root, INFINITY, &more),
                     RAMIFY_OK);
    assert_true(more > 10 * some);
    school_close(&s);
}

/* The table's rows keep their numbers, inputs and, where they do not train, targets. */
static void check_kept(const ramify_problem *from, const ramify_problem *made) {
    assert_memory_equal(made->plain, from->plain, from->rows * from->plain_stride * sizeof(float));
    assert_int_equal(made->observed.count, from->train.count);
    assert_memory_equal(made->observed.row, from->train.row, from->train.count * sizeof(uint32_t));
    const ramify_rows kept[] = {from->select, from->report}, now[] = {made->select, made->report};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(now[k].count, kept[k].count);
        for (size_t i = 0; i < kept[k].count; i++) {
            uint32_t row = kept[k].row[i];
            assert_int_equal(now[k].row[i], row);
            if (from->label)
                assert_int_equal(made->label[row], from->label[row]);
            else
                assert_true(made->target[row] == from->target[row]);
        }
    }
}

static void test_regression(void **state) {
    (void)state;
    school s = school_open(2, NULL, 200);
    const ramify_problem *from = s.t.problem;
    ramify_problem *made = enlarge(&s);
    check_kept(from, made);
    size_t own = from->train.count, added = made->train.count - own;
    assert_int_equal(added, (size_t)(s.recipe.made_rows_share * (double)own));
    assert_true(s.teachers->criterion < 0.02);
    /* The function is known everywhere. */
    double squares = 0, scale = from->head_scale[0];
    for (size_t i = own; i < made->train.count; i++) {
        uint32_t row = made->train.row[i];
        assert_int_equal(row, from->rows + i - own);
        const float *plain = made->plain + row * made->plain_stride;
        const double x[2] = {plain[0] * from->scale[0] + from->center[0],
                             plain[1] * from->scale[1] + from->center[1]};
        double missed = made->target[row] * scale + from->head_center[0] - slope(x);
        squares += missed * missed / (scale * scale);
    }
    assert_true(squares / (double)added < 0.02);
    ramify_problem_destroy(s.context, &made);

    /* Without trust the rows keep their targets; with full trust the answers take their place, and
     * teachers that have hardly learned miss by much. */
    double missed[2] = {0, 0};
    for (int trust = 0; trust < 2; trust++) {
        s.recipe.trust = trust;
        made = enlarge(&s);
        for (size_t i = 0; i < own; i++)
            missed[trust] +=
                fabs(made->target[from->train.row[i]] - from->target[from->train.row[i]]);
        ramify_problem_destroy(s.context, &made);
    }
    assert_true(missed[0] / (double)own < 1e-6);
    assert_true(missed[1] / (double)own > 1e-4);
    school_close(&s);
}

/* Columns of few values take no other value, gaps stay gaps, and numbers lie between neighbours. */
static void test_inputs(void **state) {
    (void)state;
    school s = school_open(1, NULL, 1);
    const ramify_problem *from = s.t.problem;
    ramify_problem *made = enlarge(&s);
    bool between = false, gap = false;
    for (size_t i = from->rows; i < made->rows; i++) {
        const float *plain = made->plain + i * made->plain_stride;
        bool first = false, second = false, third = false;
        for (size_t k = 0; k < from->train.count; k++) {
            const float *other = from->plain + from->train.row[k] * from->plain_stride;
            first = first || plain[0] == other[0];
            second = second || plain[1] == other[1];
            third = third || (plain[2] == other[2] && plain[3] == other[3]);
        }
        assert_true(second);
        assert_true(plain[3] == 0.0F || plain[3] == 1.0F);
        assert_true(plain[3] == 0.0F || (plain[2] == 0.0F && third));
        assert_true(fabsf(plain[0]) <= 2.0F);
        between = between || !first;
        gap = gap || plain[3] == 1.0F;
    }
    assert_true(between && gap);
    ramify_problem_destroy(s.context, &made);
    school_close(&s);
}

static void test_classification(void **state) {
    (void)state;
    school s = school_open(2, "classification", 200);
    const ramify_problem *from = s.t.problem;
    ramify_problem *made = enlarge(&s);
    check_kept(from, made);
    assert_int_equal(from->outputs, 3);
    size_t right = 0;
    for (size_t i = 0; i < made->train.count; i++) {
        uint32_t row = made->train.row[i], best = 0;
        const float *share = made->soft + (size_t)row * 3;
        float sum = 0;
        for (uint32_t c = 0; c < 3; c++) {
            assert_true(share[c] >= 0.0F && share[c] <= 1.0F + 1e-6F);
            sum += share[c];
            best = share[c] > share[best] ? c : best;
        }
        assert_true(fabsf(sum - 1.0F) < 1e-5F);
        double x = made->plain[row * made->plain_stride] * from->scale[0] + from->center[0];
        right += best == (uint32_t)(x > 0.3) + (uint32_t)(x > -0.3);
    }
    assert_true((double)right > 0.95 * (double)made->train.count);
    ramify_problem_destroy(s.context, &made);
    school_close(&s);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    school one = school_open(1, NULL, 3), three = school_open(3, NULL, 3);
    ramify_problem *a = enlarge(&one), *b = enlarge(&three);
    assert_int_equal(a->rows, b->rows);
    assert_memory_equal(a->plain, b->plain, a->rows * a->plain_stride * sizeof(float));
    assert_memory_equal(a->target, b->target, a->rows * sizeof(float));
    ramify_problem_destroy(one.context, &a);
    ramify_problem_destroy(three.context, &b);
    school_close(&one);
    school_close(&three);
}

/* Time that does not suffice makes no rows; time that does changes none. */
static void test_time(void **state) {
    (void)state;
    school s = school_open(1, NULL, 3);
    assert_null(enlarge_within(&s, 1e-12));
    assert_null(enlarge_within(&s, -1));
    ramify_problem *a = enlarge(&s), *b = enlarge_within(&s, 1e9);
    assert_int_equal(a->rows, b->rows);
    assert_memory_equal(a->plain, b->plain, a->rows * a->plain_stride * sizeof(float));
    assert_memory_equal(a->target, b->target, a->rows * sizeof(float));
    ramify_problem_destroy(s.context, &a);
    ramify_problem_destroy(s.context, &b);
    school_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regression),     cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_classification), cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_time),           cmocka_unit_test(test_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

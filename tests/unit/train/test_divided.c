/* Tables that are divided, by one process: rows as they are packed, and the tree that grows on them. That
 * several ranks make the same model is the affair of tests/cli/test_ranks_train.py. */

#include "divided_rows.h"
#include "divided_sample.h"
#include "divided_tree.h"
#include "public.h"
#include "recipe.h"
#include "routing.h"
#include "search.h"
#include "space.h"
#include "status.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double waves(const double *x) {
    return sin(4 * x[0]) * cos(3 * x[1]) + 0.3 * x[2];
}

/* ---- ranges ---- */

static void test_ranges(void **state) {
    (void)state;
    for (uint64_t rows = 0; rows < 12 * RAMIFY_DIVIDED_BLOCK; rows += 1021)
        for (uint32_t ranks = 1; ranks < 20; ranks++) {
            uint64_t next = 0;
            for (uint32_t rank = 0; rank < ranks; rank++) {
                uint64_t first, count;
                ramify_divided_range(rows, ranks, rank, &first, &count);
                if (count == 0)
                    continue;
                assert_int_equal(first, next);
                assert_int_equal(first % RAMIFY_DIVIDED_BLOCK, 0);
                next += count;
                /* Nobody has more than a block beyond their share. */
                assert_true(count <= rows / ranks + 2 * RAMIFY_DIVIDED_BLOCK);
            }
            assert_int_equal(next, rows);
        }
}

/* ---- packed rows ---- */

/* x1 without gaps, x2 and x3 with, words, groups of three rows, weights; some rows lack y. */
static toy mixed(ramify_context *context, size_t rows) {
    toy t = toy_create(context, rows, 3, waves, 0.1, 4);
    double *weights = calloc(rows, sizeof *weights);
    const char **words = calloc(rows, sizeof *words), **groups = calloc(rows, sizeof *groups);
    char *names = calloc(rows, 16);
    static const char *const word[] = {"red", "green", NULL, "blue"};
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_SHUFFLE, 5, 6);
    for (size_t row = 0; row < rows; row++) {
        double *x = t.values + row * 4;
        words[row] = word[ramify_random_bits(&random) % 4];
        groups[row] = names + row * 16;
        snprintf(names + row * 16, 16, "g%d", (int)(row / 3));
        weights[row] = (double)(row % 4);
        x[1] = row % 11 == 3 ? NAN : x[1];
        x[2] = row == 41 ? NAN : 50 + 4 * x[2]; /* one gap alone */
        x[3] = row % 101 == 7 ? NAN : 20 * x[3];
    }
    assert_int_equal(ramify_table_add_doubles(context, t.table, "weight", weights), RAMIFY_OK);
    assert_int_equal(ramify_table_add_texts(context, t.table, "word", words), RAMIFY_OK);
    assert_int_equal(ramify_table_add_texts(context, t.table, "group", groups), RAMIFY_OK);
    free(weights);
    free(words);
    free(groups);
    free(names);
    return t;
}

typedef struct opened {
    toy t;
    ramify_train_options options;
    ramify_train_rows rows;
    ramify_divided *divided;
} opened;

static void open_mixed(opened *o, ramify_context *context, const char *target, bool grouped) {
    o->t = mixed(context, 3000);
    o->options = quick_options();
    o->options.target = target;
    o->options.drop = "group";
    o->options.weight = "weight";
    if (grouped) {
        o->options.drop = NULL;
        o->options.group = "group";
    }
    assert_int_equal(ramify_train_rows_open(context, o->t.table, &o->options, &o->rows), RAMIFY_OK);
    if (ramify_divided_open(&o->rows, &o->divided) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
}

static void close_mixed(opened *o) {
    ramify_divided_close(&o->divided);
    assert_null(o->divided);
    ramify_train_rows_close(&o->rows);
    toy_destroy(&o->t);
}

/* Every packed row, unpacked, is what the stem makes of the table's; targets and weights are as in any
 * problem. */
static void check_packed(const char *target) {
    opened o;
    open_mixed(&o, toy_context, target, false);
    const ramify_divided *d = o.divided;
    const size_t stride = ramify_pad(d->stem.plain);
    double raw[16];
    assert_true(d->stem.columns <= 16);
    float *wanted = toy_floats(stride), *plain = toy_floats(stride);
    size_t next = 0;
    for (size_t row = 0; row < o.t.rows; row++) {
        bool usable;
        assert_int_equal(ramify_train_rows_check(&o.rows, row, &usable), RAMIFY_OK);
        if (!usable)
            continue;
        const float *packed = ramify_divided_row(d, next++);
        ramify_match_rows(o.rows.match, NULL, row, 1, raw);
        ramify_stem_plain(d->kernels, &d->stem, 1, raw, d->stem.columns, wanted, stride);
        ramify_packed_plain(d, packed, 1, plain);
        assert_memory_equal(plain, wanted, stride * sizeof *plain);
        const float *rest = packed + d->stem.columns;
        if (d->targets == 0)
            assert_true(*rest++ == (float)ramify_match_target(o.rows.match, 0, row));
        for (uint32_t t = 0; t < d->targets; t++)
            assert_true(*rest++ ==
                        (float)ramify_problem_standardise(ramify_match_target(o.rows.match, t, row),
                                                          d->head_center[t], d->head_scale[t]));
        assert_true(*rest == (float)((double)(row % 4) / d->weight_mean));
        assert_true(ramify_packed_role(d, packed) < RAMIFY_ROLES);
    }
    assert_int_equal(next, d->rows);
    assert_int_equal(d->skipped, o.t.rows - next);
    assert_true(d->skipped > 0 || strcmp(target, "y") != 0);
    free(wanted);
    free(plain);
    close_mixed(&o);
}

static void test_packed_rows(void **state) {
    (void)state;
    check_packed("y");
    check_packed("y,x1");
    check_packed("word");
}

/* Centers and scales are those of the training rows, and weights have mean 1 over them. */
static void test_scaling(void **state) {
    (void)state;
    opened o;
    open_mixed(&o, toy_context, "y", false);
    const ramify_divided *d = o.divided;
    long double sum = 0, squares = 0, y = 0, weight = 0;
    size_t train = 0;
    double *x = calloc(o.t.rows, sizeof *x); /* of training rows */
    for (size_t row = 0, next = 0; row < o.t.rows; row++) {
        const double *values = o.t.values + row * 4;
        if (isnan(values[3]) ||
            ramify_packed_role(d, ramify_divided_row(d, next++)) != RAMIFY_ROLE_TRAIN)
            continue;
        x[train++] = values[0];
        sum += values[0];
        y += values[3];
        weight += (long double)(row % 4);
    }
    for (size_t i = 0; i < train; i++)
        squares += (x[i] - sum / (long double)train) * (x[i] - sum / (long double)train);
    free(x);
    const long double n = (long double)train;
    assert_int_equal(train, d->in_role[RAMIFY_ROLE_TRAIN]);
    assert_true(fabsl(d->center[0] - sum / n) < 1e-13L);
    assert_true(fabsl(d->scale[0] - sqrtl(squares / n)) < 1e-13L);
    assert_true(fabsl(d->head_center[0] - y / n) < 1e-12L);
    assert_true(fabsl(d->weight_mean - weight / n) < 1e-12L);
    /* About as many rows are held out as are asked for. */
    const double held = (double)(d->in_role[RAMIFY_ROLE_SELECT] + d->in_role[RAMIFY_ROLE_REPORT]);
    assert_true(fabs(held / (double)d->rows - o.options.validation) < 0.04);
    close_mixed(&o);
}

/* Threads decide nothing. */
static void test_any_number_of_threads(void **state) {
    (void)state;
    uint64_t print = 0;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        desk *d = desk_open(threads);
        opened o;
        open_mixed(&o, d->context, "y", true);
        assert_true(threads == 1 || o.divided->print == print);
        print = o.divided->print;
        close_mixed(&o);
        desk_close(d);
    }
}

static void test_groups_stay_together(void **state) {
    (void)state;
    opened o;
    open_mixed(&o, toy_context, "x1", true); /* of which no row is without */
    const ramify_divided *d = o.divided;
    size_t different = 0;
    for (size_t row = 0; row < d->rows; row++) {
        const ramify_role role = ramify_packed_role(d, ramify_divided_row(d, row));
        assert_int_equal(role, ramify_packed_role(d, ramify_divided_row(d, row / 3 * 3)));
        different += role != ramify_packed_role(d, ramify_divided_row(d, 0));
    }
    assert_true(different > 0);
    close_mixed(&o);
}

/* Shares are parts of larger ones, and as large as they say. */
static void test_shares(void **state) {
    (void)state;
    opened o;
    open_mixed(&o, toy_context, "x1", false);
    static const double shares[] = {0, 0.1, 0.4, 0.9, 1};
    size_t counts[5] = {0};
    for (size_t row = 0; row < o.divided->rows; row++) {
        bool before = false;
        for (int s = 0; s < 5; s++) {
            const float *packed = ramify_divided_row(o.divided, row);
            const bool in = ramify_packed_in_share(o.divided, packed, shares[s]);
            assert_true(in || !before);
            before = in;
            counts[s] += in;
        }
    }
    for (int s = 0; s < 5; s++)
        assert_true(fabs((double)counts[s] / (double)o.divided->rows - shares[s]) <
                    (s % 4 == 0 ? 1e-9 : 0.04));
    close_mixed(&o);
}

static void test_a_problem_of_packed_rows(void **state) {
    (void)state;
    opened o;
    open_mixed(&o, toy_context, "y", false);
    const ramify_divided *d = o.divided;
    ramify_problem *problem = NULL, *twin = NULL;
    uint32_t *of[RAMIFY_ROLES];
    size_t count[RAMIFY_ROLES] = {0}, next = 0;
    for (int role = 0; role < RAMIFY_ROLES; role++)
        of[role] = calloc(o.t.rows, sizeof *of[role]);
    for (size_t row = 0; row < o.t.rows; row++)
        if (!isnan(o.t.values[row * 4 + 3])) {
            const ramify_role role = ramify_packed_role(d, ramify_divided_row(d, next++));
            of[role][count[role]++] = (uint32_t)row;
        }
    assert_int_equal(ramify_divided_root_problem(d, 1e9, &problem), RAMIFY_OK);
    assert_int_equal(ramify_problem_create_for(
                         toy_context, o.rows.match, (ramify_rows){of[RAMIFY_ROLE_TRAIN], count[0]},
                         (ramify_rows){of[RAMIFY_ROLE_SELECT], count[1]},
                         (ramify_rows){of[RAMIFY_ROLE_REPORT], count[2]}, o.rows.weight, &d->stem,
                         d->head_center, d->head_scale, &twin),
                     RAMIFY_OK);
    assert_int_equal(problem->rows, d->rows);
    assert_int_equal(problem->train.count, twin->train.count);
    assert_int_equal(problem->select.count, twin->select.count);
    assert_memory_equal(problem->plain, twin->plain,
                        problem->rows * problem->plain_stride * sizeof(float));
    assert_memory_equal(problem->target, twin->target, problem->rows * sizeof(float));
    for (size_t i = 0; i < problem->rows; i++) /* whose mean is 1 by another way */
        assert_true(fabsf(problem->weight[i] - twin->weight[i]) <= 1e-6F * twin->weight[i]);
    ramify_problem_destroy(toy_context, &problem);
    ramify_problem_destroy(toy_context, &twin);
    for (int role = 0; role < RAMIFY_ROLES; role++)
        free(of[role]);
    close_mixed(&o);
}

/* The first row of the table that is refused is told, on any number of threads. */
static void test_rows_that_are_refused(void **state) {
    (void)state;
    const size_t rows = 3 * RAMIFY_DIVIDED_TASK;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        desk *d = desk_open(threads);
        double *values = calloc(rows * 3, sizeof *values);
        for (size_t row = 0; row < rows; row++) {
            values[row * 3] = values[row * 3 + 1] = (double)(row % 97);
            values[row * 3 + 2] = 1;
        }
        values[(RAMIFY_DIVIDED_TASK + 5) * 3 + 2] = -1;
        values[(2 * RAMIFY_DIVIDED_TASK + 1) * 3 + 2] = -1;
        static const char *const names[] = {"x", "y", "weight"};
        ramify_table *table = NULL;
        assert_int_equal(ramify_table_from_doubles(d->context, values, rows, 3, 3, names, &table),
                         RAMIFY_OK);
        ramify_train_options options = quick_options();
        options.weight = "weight";
        options.node_rows = 100000;
        train(d, table, &options, RAMIFY_ERROR_DATA, NULL);
        char row[32];
        snprintf(row, sizeof row, "row %d ", (int)RAMIFY_DIVIDED_TASK + 6);
        assert_non_null(strstr(ramify_message(d->context), row));
        ramify_table_destroy(&table);
        free(values);
        desk_close(d);
    }
}

/* ---- the tree ---- */

/* Rows travel to the leaves to which a model would send them: counted on their way, and again by
 * placing all of them in the tree. */
static void check_tree(uint64_t node_rows, const char *tree, ramify_choice gradient,
                       uint32_t leaves) {
    toy t = toy_create(toy_context, 9000, 3, waves, 0.05, 2);
    ramify_train_options options = quick_options();
    options.node_rows = (uint32_t)node_rows;
    options.hidden = "8";
    options.members = 1;
    options.tree = tree;
    options.gradient_routing = gradient;
    options.leaves = leaves;
    ramify_train_rows rows;
    ramify_divided *d = NULL;
    ramify_problem *all = NULL, *sample = NULL, *enlarged = NULL;
    ramify_root *root = NULL;
    ramify_grown *grown = NULL;
    ramify_recipe recipe;
    ramify_space space;
    assert_int_equal(ramify_train_rows_open(toy_context, t.table, &options, &rows), RAMIFY_OK);
    assert_int_equal(ramify_divided_open(&rows, &d), RAMIFY_OK);
    assert_int_equal(ramify_divided_root_problem(d, 1e9, &all), RAMIFY_OK);
    assert_int_equal(ramify_divided_root_problem(d, (double)node_rows, &sample), RAMIFY_OK);
    assert_int_equal(all->rows, d->rows);
    assert_true(fabs((double)sample->train.count / (double)node_rows - 1) < 0.2);
    ramify_recipe_make(sample, &options, &recipe);
    assert_int_equal(ramify_search_root(sample, &recipe, 0, 0, &root, &enlarged), RAMIFY_OK);
    assert_null(enlarged);
    assert_int_equal(
        ramify_space_make(sample, root, gradient == RAMIFY_CHOICE_ON, options.seed, &space),
        RAMIFY_OK);
    const ramify_divided_plan plan = {.options = &options,
                                      .grow = &recipe.grow,
                                      .shape = &root->shape,
                                      .stem = &root->encoder->stem,
                                      .route = space.route,
                                      .routes = space.routes,
                                      .root = root->record,
                                      .node_rows = node_rows};
    assert_int_equal(ramify_divided_grow(d, &plan, &grown), RAMIFY_OK);

    /* What a tree is. */
    uint32_t ends = 0;
    size_t train = 0;
    size_t(*counts)[3] = calloc(grown->node_count, sizeof *counts);
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        assert_true(node->module < grown->module_count);
        assert_true((node->prototype != NULL) == (i > 0));
        counts[i][0] = node->train_count;
        counts[i][1] = node->select_count;
        counts[i][2] = node->report_count;
        ends += node->children == 0;
        train += node->children == 0 ? node->train_count : 0;
        bool alike = node->children > 0;
        for (uint32_t k = 0; k < node->children; k++) {
            assert_true(node->first_child > i);
            const ramify_grown_node *child = &grown->nodes[node->first_child + k];
            assert_int_equal(child->parent, i);
            assert_int_equal(child->depth, node->depth + 1);
            alike = alike && child->children == 0 &&
                    child->module == grown->nodes[node->first_child].module;
        }
        assert_false(alike); /* children that share an expert are folded */
    }
    assert_int_equal(ends, grown->leaf_count);
    assert_int_equal(train, d->in_role[RAMIFY_ROLE_TRAIN]);
    assert_true(grown->leaf_count > (leaves > 0 ? 1U : 8U));
    assert_true(leaves == 0 || grown->leaf_count <= leaves);

    float *points = NULL;
    assert_int_equal(ramify_routing_points(all, space.route, space.routes, &points), RAMIFY_OK);
    assert_int_equal(ramify_grown_place(all, points, space.routes, grown), RAMIFY_OK);
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        if (node->children > 0)
            continue;
        assert_int_equal(node->train_count, counts[i][0]);
        assert_int_equal(node->select_count, counts[i][1]);
        assert_int_equal(node->report_count, counts[i][2]);
    }
    free(counts);
    ramify_release(toy_context, points);
    ramify_grown_destroy(toy_context, &grown);
    ramify_space_clear(toy_context, &space);
    ramify_root_destroy(toy_context, &root);
    ramify_problem_destroy(toy_context, &sample);
    ramify_problem_destroy(toy_context, &all);
    ramify_divided_close(&d);
    ramify_train_rows_close(&rows);
    toy_destroy(&t);
}

static void test_leaves_have_their_rows(void **state) {
    (void)state;
    check_tree(1500, "kmeans", RAMIFY_CHOICE_OFF, 0);
    check_tree(1500, "kmeans", RAMIFY_CHOICE_ON, 0);
    check_tree(800, "dyadic", RAMIFY_CHOICE_OFF, 0);
    check_tree(3000, "kmeans", RAMIFY_CHOICE_OFF, 7);
}

/* ---- accuracy ---- */

static double error_of(desk *d, const ramify_table *table, const ramify_table *test,
                       const ramify_train_options *options) {
    ramify_score score;
    ramify_model *model = train(d, table, options, RAMIFY_OK, NULL);
    assert_int_equal(ramify_evaluate(d->context, model, test, &score, NULL), RAMIFY_OK);
    ramify_close(&model);
    return score.rmse;
}

/* A table that is divided is learned about as well as one that is not, by the recipe: its networks learn from
 * half of the rows or fewer, and take more passes over them. */
static void test_about_as_good(void **state) {
    (void)state;
    desk *d = desk_open(0);
    toy t = toy_create(d->context, 16000, 3, waves, 0.1, 5);
    toy test = toy_create(d->context, 4000, 3, waves, 0, 6);
    ramify_train_options options = quick_options();
    options.hidden = "16";
    options.members = 1;
    options.epochs = options.child_epochs = 0;
    options.smallest_node = 400;
    const double whole = error_of(d, t.table, test.table, &options);
    options.node_rows = 6000;
    const double divided = error_of(d, t.table, test.table, &options);
    print_message("rmse %.4f whole, %.4f divided\n", whole, divided);
    /* The target's deviation is 0.49, of which all can be learned, and the noise's 0.1. */
    assert_true(whole < 0.03);
    assert_true(divided < 1.4 * whole);
    toy_destroy(&t);
    toy_destroy(&test);
    desk_close(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_packed_rows),
        cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_groups_stay_together),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_a_problem_of_packed_rows),
        cmocka_unit_test(test_rows_that_are_refused),
        cmocka_unit_test(test_leaves_have_their_rows),
        cmocka_unit_test(test_about_as_good),
    };
    return cmocka_run_group_tests(tests, toy_open_context, toy_close_context);
}

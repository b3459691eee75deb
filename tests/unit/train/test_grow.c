/* Growing a tree. With the argument "long" the rate of false acceptances is measured on more and
 * larger problems. */

#include "grow.h"
#include "progress.h"
#include "routing.h"
#include "status.h"
#include "toy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t questions, stop_at; /* as many questions are answered with no */

static bool cancel(void *user) {
    (void)user;
    return stop_at > 0 && ++questions >= stop_at;
}

static ramify_context *open_context(uint32_t threads) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = threads;
    options.cancel = cancel;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    questions = stop_at = 0;
    return context;
}

/* A different slope in every quadrant: four units cannot follow it, one quadrant needs none. */
static double quadrants(const double *x) {
    double bump = x[0] * x[1] > 0 ? x[0] : 2 * x[1];
    return (x[0] > 0 ? 3 : -1) * bump + (x[1] > 0 ? 1 : -2) * x[0] * x[0];
}

static double plane(const double *x) {
    return x[0] + 0.5 * x[1];
}

/* What a perfect teacher answers for plane() + noise > 0, with a share of what it missed, as
 * ramify_teachers_enlarge sets it. */
static void teach_plane(toy *t, double noise) {
    const double trust = 0.5;
    ramify_problem *problem = t->problem;
    problem->soft = ramify_allocate_zeroed(t->context, problem->rows * 2, sizeof *problem->soft);
    assert_non_null(problem->soft);
    for (size_t i = 0; i < problem->train.count; i++) {
        size_t row = problem->train.row[i]; /* that of the table too: toy_problem numbers them so */
        double answer = 0.5 * erfc(-plane(t->values + row * 3) / (noise * sqrt(2)));
        double soft = answer + (1 - trust) * (problem->label[row] - answer);
        problem->soft[2 * row] = (float)(1 - soft);
        problem->soft[2 * row + 1] = (float)soft;
    }
}

typedef struct garden {
    toy t;
    ramify_encoder *encoder;
    ramify_mlp_shape shape;
    size_t floats;
    float *root, *features;
    const float *points; /* for routing */
    ramify_grow_plan plan;
    ramify_fit_score score;
} garden;

/* The problem alone. */
static garden sow(ramify_context *context, size_t rows, toy_function *function, double noise,
                  const char *task, uint64_t seed) {
    garden g = {.t = toy_create(context, rows, 2, function, noise, seed)};
    for (size_t row = 0; row < rows && task; row++)
        g.t.values[row * 3 + 2] = g.t.values[row * 3 + 2] > 0;
    toy_problem(&g.t, rows * 8 / 10, rows / 10, task, NULL);
    return g;
}

/* The root, and a plan for the tree. */
static void raise_root(garden *g, uint64_t seed) {
    size_t rows = g->t.rows;
    ramify_encoder_options options = {0};
    assert_int_equal(ramify_encoder_create(g->t.problem, &options, &g->encoder), RAMIFY_OK);
    g->shape = (ramify_mlp_shape){2, 1, {g->encoder->stem.features, 4, g->t.problem->outputs}};
    g->floats = ramify_mlp_record_bytes(&g->shape) / sizeof(float);
    g->root = toy_floats(g->floats);
    ramify_mlp_initialise(&g->shape, 0.25F, seed, 0, g->root);
    ramify_expert_plan fit = {.epochs = 40,
                              .batch = 32,
                              .rate = 0.01,
                              .warm_up = 0.1,
                              .cosine = true,
                              .checks = 8,
                              .train_slope = true,
                              .seed = seed};
    assert_int_equal(ramify_expert_fit(g->t.problem, &g->shape, &fit, g->encoder, NULL,
                                       g->t.problem->train, NULL, g->t.problem->select, false,
                                       g->root, &g->score),
                     RAMIFY_OK);
    g->points = g->t.problem->plain;
    size_t stride = ramify_pad(g->encoder->stem.features);
    g->features = toy_floats(rows * stride);
    ramify_encoder_forward(g->t.problem, g->encoder, g->t.problem->row_memory, rows, g->features,
                           stride);
    fit.cosine = false;
    fit.warm_up = 0;
    fit.rate = 0.003;
    fit.average = 0.99;
    fit.epochs = 20;
    g->plan = (ramify_grow_plan){.partition = RAMIFY_PARTITION_KMEANS,
                                 .arity = 4,
                                 .depth = 2,
                                 .smallest_node = 200,
                                 .level_threshold = 1.5,
                                 .split_threshold = 2.0,
                                 .borrow_weight = 0.3,
                                 .rate_share = 0.5,
                                 .expert = fit};
}

static garden plant(ramify_context *context, size_t rows, toy_function *function, double noise,
                    const char *task, uint64_t seed) {
    garden g = sow(context, rows, function, noise, task, seed);
    raise_root(&g, seed);
    return g;
}

static void uproot(garden *g) {
    ramify_context *context = g->t.context;
    free(g->root);
    free(g->features);
    ramify_encoder_destroy(context, &g->encoder);
    toy_destroy(&g->t);
}

static ramify_status grow(garden *g, ramify_grown **grown) {
    *grown = NULL;
    return ramify_grow(g->t.problem, &g->shape, &g->plan, g->features, g->points,
                       g->t.problem->stem.plain, g->root, grown);
}

/* Each row lies in the leaf that descent leads to, in its own part; nodes are well formed. */
static void check_structure(const garden *g, const ramify_grown *grown) {
    const ramify_problem *problem = g->t.problem;
    uint32_t leaves = 0;
    size_t train = 0, select = 0, report = 0;
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        assert_true(node->module < grown->module_count);
        for (uint32_t k = 0; k < node->children; k++) {
            const ramify_grown_node *child = &grown->nodes[node->first_child + k];
            assert_true(node->first_child > i && node->first_child + k < grown->node_count);
            assert_int_equal(child->parent, i);
            assert_int_equal(child->depth, node->depth + 1);
            assert_int_equal(child->key, ramify_random_child(node->key, k));
            assert_non_null(child->prototype);
        }
        if (node->children > 0) {
            assert_true(node->train_count >= g->plan.smallest_node);
            assert_true(node->depth < g->plan.depth);
            continue;
        }
        leaves++;
        train += node->train_count;
        select += node->select_count;
        report += node->report_count;
        for (size_t r = 0; r < node->train_count + node->select_count + node->report_count; r++) {
            uint32_t row = node->rows[r], at = 0;
            assert_true(r < node->train_count ? row < problem->train.count
                                              : row >= problem->train.count);
            while (grown->nodes[at].children > 0) {
                const ramify_grown_node *parent = &grown->nodes[at];
                float least = HUGE_VALF;
                for (uint32_t k = 0; k < parent->children; k++) {
                    float distance;
                    problem->kernels->distances(
                        1, 1, problem->stem.plain, g->points + row * problem->plain_stride,
                        problem->plain_stride, grown->nodes[parent->first_child + k].prototype,
                        problem->plain_stride, &distance, 1);
                    if (distance < least) {
                        least = distance;
                        at = parent->first_child + k;
                    }
                }
            }
            assert_int_equal(at, i);
        }
    }
    assert_int_equal(leaves, grown->leaf_count);
    assert_int_equal(train, problem->train.count);
    assert_int_equal(select, problem->select.count);
    assert_int_equal(report, problem->report.count);
}

static double criterion_of_leaves(const garden *g, const ramify_grown *grown, bool report) {
    const ramify_problem *problem = g->t.problem;
    size_t padded = ramify_pad(problem->outputs), all = 0;
    double sum = 0;
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *node = &grown->nodes[i];
        ramify_rows rows = {node->rows + node->train_count, node->select_count};
        if (report)
            rows = (ramify_rows){rows.row + rows.count, node->report_count};
        if (node->children > 0 || rows.count == 0)
            continue;
        float *outputs = toy_floats(rows.count * padded), *loss = toy_floats(2 * rows.count);
        assert_int_equal(ramify_expert_outputs(problem, &g->shape, NULL, g->features,
                                               grown->modules[node->module], rows, outputs),
                         RAMIFY_OK);
        ramify_expert_losses(problem, rows, outputs, loss, loss + rows.count);
        ramify_fit_score score = ramify_expert_score(problem, rows, loss, loss + rows.count);
        sum += ramify_fit_criterion(problem, score) * (double)rows.count;
        all += rows.count;
        free(outputs);
        free(loss);
    }
    return sum / (double)all;
}

static void test_structure_is_found(void **state) {
    (void)state;
    static const char *const tasks[] = {NULL, "classification"};
    for (size_t i = 0; i < 2; i++)
        for (int borrow = 0; borrow < 2; borrow++) {
            ramify_context *context = open_context(0);
            garden g = plant(context, 4000, quadrants, 0.05, tasks[i], 3);
            g.plan.borrow = borrow;
            ramify_grown *grown;
            assert_int_equal(grow(&g, &grown), RAMIFY_OK);
            check_structure(&g, grown);
            assert_true(grown->accepted >= 1 && grown->accepted <= grown->tested);
            assert_true(grown->leaf_count >= 4 && grown->module_count >= 3);
            assert_true(fabs(criterion_of_leaves(&g, grown, false) - grown->select_criterion) <
                        1e-5);
            double root = ramify_fit_criterion(g.t.problem, g.score);
            assert_true(grown->select_criterion < (i ? 0.9 : 0.6) * root);
            assert_true(criterion_of_leaves(&g, grown, true) < (i ? 0.95 : 0.7) * root);
            assert_memory_equal(grown->modules[0], g.root, g.floats * sizeof *g.root);
            assert_true(grown->row_visits >= g.plan.expert.epochs * 3200.0 * (1 + borrow) * 0.9);
            ramify_grown_destroy(context, &grown);
            uproot(&g);
            ramify_context_destroy(&context);
        }
}

/* Trees of every kind of partition are well formed. */
static void test_partitions(void **state) {
    (void)state;
    ramify_context *context = open_context(0);
    garden g = plant(context, 2000, quadrants, 0.05, NULL, 4);
    g.plan.untested_levels = UINT32_MAX;
    g.plan.depth = 3;
    for (ramify_partition p = RAMIFY_PARTITION_KMEANS; p <= RAMIFY_PARTITION_RANDOM; p++) {
        g.plan.partition = p;
        ramify_grown *grown;
        assert_int_equal(grow(&g, &grown), RAMIFY_OK);
        check_structure(&g, grown);
        assert_true(grown->leaf_count >= 4);
        for (uint32_t i = 0; i < grown->node_count && p == RAMIFY_PARTITION_DYADIC; i++)
            assert_true(grown->nodes[i].children == 0 || grown->nodes[i].children == 2);
        ramify_grown_destroy(context, &grown);
        assert_null(grown);
        ramify_grown_destroy(context, &grown);
    }
    uproot(&g);
    ramify_context_destroy(&context);
}

static void test_bound_on_leaves(void **state) {
    (void)state;
    ramify_context *context = open_context(0);
    garden g = plant(context, 2500, quadrants, 0.05, NULL, 5);
    g.plan.untested_levels = UINT32_MAX;
    g.plan.depth = 3;
    g.plan.expert.epochs = 2;
    g.plan.smallest_node = 64;
    for (uint32_t leaves = 1; leaves <= 12; leaves++) {
        g.plan.leaves = leaves;
        ramify_grown *grown;
        assert_int_equal(grow(&g, &grown), RAMIFY_OK);
        check_structure(&g, grown);
        assert_int_equal(grown->leaf_count, 1 + (leaves - 1) / 3 * 3);
        ramify_grown_destroy(context, &grown);
    }
    uproot(&g);
    ramify_context_destroy(&context);
}

/* A root that makes no error: no child is better, so all share its module and no split stands. */
static void test_sharing(void **state) {
    (void)state;
    ramify_context *context = open_context(0);
    garden g = plant(context, 1000, plane, 0.1, NULL, 6);
    ramify_problem *problem = g.t.problem;
    float *outputs = toy_floats(1000 * 16);
    assert_int_equal(ramify_expert_outputs(problem, &g.shape, NULL, g.features, g.root,
                                           (ramify_rows){problem->row_memory, 1000}, outputs),
                     RAMIFY_OK);
    for (size_t row = 0; row < 1000; row++)
        problem->target[row] = outputs[row * 16];
    ramify_grown *grown;
    assert_int_equal(grow(&g, &grown), RAMIFY_OK);
    assert_int_equal(grown->leaf_count, 1);
    assert_int_equal(grown->tested, 1);
    assert_int_equal(grown->accepted, 0);
    ramify_grown_destroy(context, &grown);
    g.plan.untested_levels = UINT32_MAX;
    assert_int_equal(grow(&g, &grown), RAMIFY_OK);
    check_structure(&g, grown);
    assert_true(grown->leaf_count >= 4);
    assert_int_equal(grown->module_count, 1);
    ramify_grown_destroy(context, &grown);
    free(outputs);
    uproot(&g);
    ramify_context_destroy(&context);
}

static void test_threads_change_nothing(void **state) {
    (void)state;
    ramify_grown *first = NULL;
    ramify_context *contexts[3];
    for (uint32_t threads = 1; threads <= 3; threads++) {
        ramify_context *context = contexts[threads - 1] = open_context(threads);
        garden g = plant(context, 2500, quadrants, 0.3, NULL, 7);
        g.plan.borrow = 1;
        ramify_grown *grown;
        assert_int_equal(grow(&g, &grown), RAMIFY_OK);
        if (!first) {
            first = grown;
            assert_true(grown->module_count > 2);
        } else {
            assert_int_equal(grown->node_count, first->node_count);
            assert_int_equal(grown->module_count, first->module_count);
            for (uint32_t m = 0; m < grown->module_count; m++)
                assert_memory_equal(grown->modules[m], first->modules[m], g.floats * sizeof(float));
            assert_true(grown->select_criterion == first->select_criterion);
            ramify_grown_destroy(context, &grown);
        }
        uproot(&g);
    }
    ramify_grown_destroy(contexts[0], &first);
    for (size_t i = 0; i < 3; i++)
        ramify_context_destroy(&contexts[i]);
}

static void test_deadline_and_cancel(void **state) {
    (void)state;
    ramify_context *context = open_context(2);
    garden g = plant(context, 2500, quadrants, 0.05, NULL, 8);
    ramify_grow_plan plan = g.plan;
    ramify_grown *grown;
    g.plan.expert.started = ramify_seconds() - 2;
    g.plan.expert.deadline = g.plan.expert.started + 1;
    assert_int_equal(grow(&g, &grown), RAMIFY_OK);
    assert_int_equal(grown->leaf_count, 1);
    ramify_grown_destroy(context, &grown);
    g.plan = plan;
    /* What is whole when the stop comes is kept. */
    uint32_t most = 0, least = UINT32_MAX;
    for (uint64_t when = 1; when < 130; when += 30) {
        ramify_clear(context);
        questions = 0;
        stop_at = when;
        ramify_status status = grow(&g, &grown);
        assert_int_equal(status, RAMIFY_STOPPED);
        assert_non_null(grown);
        check_structure(&g, grown);
        most = grown->leaf_count > most ? grown->leaf_count : most;
        least = grown->leaf_count < least ? grown->leaf_count : least;
        ramify_grown_destroy(context, &grown);
    }
    assert_int_equal(least, 1);
    assert_true(most > 1);
    stop_at = 0;
    uproot(&g);
    ramify_context_destroy(&context);
}

/* Waves along the second column alone. */
static double waves(const double *x) {
    return sin(4 * x[1]);
}

/* Routing in which the first column is far longer than the second. */
static float *stretched(const ramify_problem *problem) {
    float *points = toy_floats(problem->rows * problem->plain_stride);
    memcpy(points, problem->plain, problem->rows * problem->plain_stride * sizeof *points);
    for (size_t row = 0; row < problem->rows; row++)
        points[row * problem->plain_stride] *= 4;
    return points;
}

/* The cells of the first level differ in a column that the target does not depend on. Where they are not
 * found to bring anything the next level is grown all the same, and both stand by what it brings. */
static void test_looking_past_a_level(void **state) {
    (void)state;
    ramify_context *context = open_context(0);
    uint32_t past = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        garden g = plant(context, 4000, waves, 0.02, NULL, 40 + seed);
        float *points = stretched(g.t.problem);
        g.points = points;
        g.plan.smallest_node = 100;
        ramify_grown *one = NULL, *two = NULL;
        g.plan.depth = 1;
        assert_int_equal(grow(&g, &one), RAMIFY_OK);
        g.plan.depth = 2;
        assert_int_equal(grow(&g, &two), RAMIFY_OK);
        check_structure(&g, two);
        assert_true(two->accepted <= two->tested);
        double root = criterion_of_leaves(&g, one, true), tree = criterion_of_leaves(&g, two, true);
        if (one->leaf_count == 1 && two->leaf_count == 1) {
            assert_int_equal(two->node_count, 1);
            assert_int_equal(two->module_count, 1);
            assert_int_equal(two->accepted, 0);
        } else if (one->leaf_count == 1) {
            past++;
            assert_true(two->accepted >= 2);
            assert_true(tree < 0.97 * root);
        }
        ramify_grown_destroy(context, &one);
        ramify_grown_destroy(context, &two);
        free(points);
        uproot(&g);
    }
    assert_true(past >= 1);
    ramify_context_destroy(&context);
}

/* Children of rows drawn at random have nothing of their own to learn: at most a tenth of such splits
 * may pass the test; of a few splits, two standard errors of that count more. With two levels the
 * first stands untested, and the four splits of the second are judged together. */
typedef enum lesson { REGRESSION, LABELS, TEACHER } lesson;

static garden permuted(ramify_context *context, size_t rows, lesson how, uint64_t seed) {
    const double noise = 0.7;
    const char *task = how == REGRESSION ? NULL : "classification";
    garden g = sow(context, rows, plane, noise, task, seed);
    if (how == TEACHER)
        teach_plane(&g.t, noise);
    raise_root(&g, seed);
    g.plan.permute = true;
    return g;
}

static void false_acceptance(uint64_t seeds, size_t rows, lesson how, uint32_t levels) {
    ramify_context *context = open_context(0);
    uint32_t tested = 0, accepted = 0;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        garden g = permuted(context, rows, how, 100 + seed);
        g.plan.depth = levels;
        g.plan.untested_levels = levels - 1;
        ramify_grown *grown;
        assert_int_equal(grow(&g, &grown), RAMIFY_OK);
        tested += grown->tested - (levels - 1);
        accepted += grown->accepted - (levels - 1);
        ramify_grown_destroy(context, &grown);
        uproot(&g);
    }
    assert_int_equal(tested, levels == 1 ? seeds : 4 * seeds);
    /* Splits that are judged together pass together. */
    double expected = 0.1 * tested;
    double most = expected + (seeds < 100 ? 2 * sqrt(0.9 * expected * (levels == 1 ? 1 : 4)) : 0);
    print_message("%u of %u permuted splits were accepted\n", accepted, tested);
    assert_true(accepted <= most);
    ramify_context_destroy(&context);
}

/* A second level gives a tree of cells that mean nothing a second chance: trees that stand, of `seeds`. */
static void false_second_chance(uint64_t seeds, size_t rows, lesson how) {
    ramify_context *context = open_context(0);
    uint32_t first = 0, both = 0;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        garden g = permuted(context, rows, how, 100 + seed);
        for (g.plan.depth = 1; g.plan.depth <= 2; g.plan.depth++) {
            ramify_grown *grown;
            assert_int_equal(grow(&g, &grown), RAMIFY_OK);
            *(g.plan.depth == 1 ? &first : &both) += grown->accepted > 0;
            ramify_grown_destroy(context, &grown);
        }
        uproot(&g);
    }
    print_message("%u of %u permuted trees stand, %u with a second chance\n", first,
                  (unsigned)seeds, both);
    assert_true(both >= first);
    double expected = 0.1 * (double)seeds;
    assert_true(both <= expected + (seeds < 100 ? 2 * sqrt(0.9 * expected) : 0));
    ramify_context_destroy(&context);
}

static void test_noise_is_not_split(void **state) {
    (void)state;
    false_second_chance(30, 1500, REGRESSION);
    false_second_chance(30, 1500, LABELS);
    false_acceptance(40, 1500, REGRESSION, 1);
    false_acceptance(40, 1500, LABELS, 1);
    false_acceptance(40, 1500, TEACHER, 1);
    false_acceptance(20, 1500, REGRESSION, 2);
}

static void test_noise_is_not_split_long(void **state) {
    (void)state;
    false_second_chance(400, 5000, REGRESSION);
    false_second_chance(400, 5000, LABELS);
    false_second_chance(400, 5000, TEACHER);
    false_acceptance(200, 1000, REGRESSION, 1);
    false_acceptance(200, 5000, REGRESSION, 1);
    false_acceptance(1000, 5000, LABELS, 1);
    false_acceptance(200, 5000, REGRESSION, 2);
    false_acceptance(200, 5000, LABELS, 2);
    false_acceptance(1000, 5000, TEACHER, 1);
    false_acceptance(200, 5000, TEACHER, 2);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure_is_found),     cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_bound_on_leaves),        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_threads_change_nothing), cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_looking_past_a_level),   cmocka_unit_test(test_noise_is_not_split),
    };
    const struct CMUnitTest long_tests[] = {
        cmocka_unit_test(test_noise_is_not_split_long),
    };
    if (argc > 1 && strcmp(argv[1], "long") == 0)
        return cmocka_run_group_tests(long_tests, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

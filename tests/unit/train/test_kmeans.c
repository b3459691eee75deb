/* Prototypes of a node, and which child a row goes to: the same in training and in prediction. */

#include "draft.h"
#include "kmeans.h"
#include "mlp.h"
#include "toy.h"
#include "tree.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST   2000
#define STRIDE 16

static ramify_context *context;
static ramify_problem problem; /* as much of one as prototypes look at */
static uint32_t every[MOST];
static float *points; /* MOST x STRIDE */

static int set_up(void **state) {
    (void)state;
    if (ramify_context_create(NULL, &context) != RAMIFY_OK)
        return 1;
    problem =
        (ramify_problem){.context = context, .kernels = ramify_kernels_select(ramify_isa(context))};
    for (uint32_t i = 0; i < MOST; i++)
        every[i] = i;
    points = toy_floats(MOST * STRIDE);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(points);
    ramify_context_destroy(&context);
    return 0;
}

static float *point(size_t i) {
    return points + i * STRIDE;
}

static void scatter(size_t count, size_t dims, uint64_t seed) {
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    memset(points, 0, MOST * STRIDE * sizeof *points);
    for (size_t i = 0; i < count; i++)
        for (size_t d = 0; d < dims; d++)
            point(i)[d] = (float)ramify_random_normal(&random);
}

static uint32_t find(ramify_partition partition, size_t dims, size_t count, uint32_t arity,
                     uint64_t seed, float *prototypes) {
    uint32_t found = 77;
    for (size_t i = 0; i < arity * STRIDE; i++)
        prototypes[i] = 5.0F;
    assert_int_equal(ramify_prototypes_find(&problem, partition, points, STRIDE, dims,
                                            (ramify_rows){every, count}, arity, seed, 3, prototypes,
                                            &found),
                     RAMIFY_OK);
    for (uint32_t k = 0; k < found; k++)
        for (size_t d = dims; d < STRIDE; d++)
            assert_true(prototypes[k * STRIDE + d] == 0.0F);
    return found;
}

static void test_dyadic_halves_the_box(void **state) {
    (void)state;
    scatter(100, 3, 1);
    for (size_t i = 0; i < 100; i++) {
        point(i)[0] = fmodf(point(i)[0], 1.0F);
        point(i)[1] = fmodf(point(i)[1], 2.0F);
        point(i)[2] = fmodf(point(i)[2], 1.0F);
    }
    /* The box: -1..1, -3..5, 0.5..1.5. */
    for (size_t i = 0; i < 100; i++)
        point(i)[2] = 0.5F + fabsf(point(i)[2]);
    point(17)[0] = -1.0F;
    point(18)[0] = 1.0F;
    point(19)[1] = -3.0F;
    point(20)[1] = 5.0F;
    point(21)[2] = 0.5F;
    point(22)[2] = 1.5F;
    float *prototypes = toy_floats(2 * STRIDE);
    assert_int_equal(find(RAMIFY_PARTITION_DYADIC, 3, 100, 2, 0, prototypes), 2);
    static const float expected[2][3] = {{0.0F, -1.0F, 1.0F}, {0.0F, 3.0F, 1.0F}};
    for (size_t k = 0; k < 2; k++)
        for (size_t d = 0; d < 3; d++)
            assert_true(prototypes[k * STRIDE + d] == expected[k][d]);
    free(prototypes);
}

static void test_fewer_points_than_children(void **state) {
    (void)state;
    float *prototypes = toy_floats(8 * STRIDE);
    static const ramify_partition kinds[] = {RAMIFY_PARTITION_KMEANS, RAMIFY_PARTITION_RANDOM};
    for (size_t k = 0; k < 2; k++) {
        memset(points, 0, MOST * STRIDE * sizeof *points);
        for (size_t i = 0; i < 90; i++)
            point(i)[0] = (float)(i % 3);
        assert_int_equal(find(kinds[k], 2, 90, 8, 4, prototypes), 3);
        float sum = 0;
        for (size_t i = 0; i < 3; i++) {
            float at = prototypes[i * STRIDE];
            assert_true(at == 0.0F || at == 1.0F || at == 2.0F);
            sum += at;
        }
        assert_true(sum == 3.0F);
    }
    /* All rows in one place, and one row alone, cannot be split. */
    for (size_t i = 0; i < 90; i++)
        point(i)[0] = 4.0F;
    for (ramify_partition p = RAMIFY_PARTITION_KMEANS; p <= RAMIFY_PARTITION_RANDOM; p++) {
        assert_int_equal(find(p, 2, 90, 2, 4, prototypes), 1);
        assert_int_equal(find(p, 2, 1, 2, 4, prototypes), 1);
    }
    free(prototypes);
}

static void test_finds_clusters(void **state) {
    (void)state;
    static const float center[4][2] = {{0, 0}, {9, 0}, {0, 9}, {9, 9}};
    float *prototypes = toy_floats(4 * STRIDE);
    size_t right = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        scatter(800, 2, seed);
        for (size_t i = 0; i < 800; i++)
            for (size_t d = 0; d < 2; d++)
                point(i)[d] = 0.5F * point(i)[d] + center[i % 4][d];
        assert_int_equal(find(RAMIFY_PARTITION_KMEANS, 2, 800, 4, seed, prototypes), 4);
        size_t near = 0;
        for (size_t c = 0; c < 4; c++)
            for (size_t k = 0; k < 4; k++)
                near += fabsf(prototypes[k * STRIDE] - center[c][0]) < 0.2F &&
                        fabsf(prototypes[k * STRIDE + 1] - center[c][1]) < 0.2F;
        right += near == 4;
    }
    /* k-means++ may seed one cluster twice, and not often. */
    assert_true(right >= 16);
    free(prototypes);
}

static void assign(const float *prototypes, size_t dims, size_t count, uint32_t arity,
                   uint32_t *child) {
    assert_int_equal(ramify_prototypes_assign(&problem, points, STRIDE, dims,
                                              (ramify_rows){every, count}, prototypes, arity,
                                              child),
                     RAMIFY_OK);
}

/* Where Lloyd's steps have come to rest each prototype is the mean of its rows. */
static void test_prototypes_are_means(void **state) {
    (void)state;
    float *prototypes = toy_floats(5 * STRIDE);
    uint32_t child[300];
    scatter(300, 4, 8);
    uint32_t found = find(RAMIFY_PARTITION_KMEANS, 4, 300, 5, 8, prototypes);
    assert_int_equal(found, 5);
    assign(prototypes, 4, 300, found, child);
    for (uint32_t k = 0; k < found; k++)
        for (size_t d = 0; d < 4; d++) {
            double sum = 0;
            size_t count = 0;
            for (size_t i = 0; i < 300; i++)
                if (child[i] == k) {
                    sum += (double)point(i)[d];
                    count++;
                }
            assert_true(count > 10);
            assert_true(fabs(sum / (double)count - (double)prototypes[k * STRIDE + d]) < 0.05);
        }
    free(prototypes);
}

static void test_random_prototypes_are_rows(void **state) {
    (void)state;
    float *prototypes = toy_floats(8 * STRIDE);
    scatter(500, 3, 2);
    assert_int_equal(find(RAMIFY_PARTITION_RANDOM, 3, 500, 8, 11, prototypes), 8);
    for (size_t k = 0; k < 8; k++) {
        size_t equal = 0;
        for (size_t i = 0; i < 500; i++)
            equal += memcmp(point(i), prototypes + k * STRIDE, STRIDE * sizeof *points) == 0;
        assert_int_equal(equal, 1);
        for (size_t j = 0; j < k; j++)
            assert_memory_not_equal(prototypes + j * STRIDE, prototypes + k * STRIDE,
                                    STRIDE * sizeof *points);
    }
    free(prototypes);
}

static void test_assignment(void **state) {
    (void)state;
    float *prototypes = toy_floats(7 * STRIDE);
    uint32_t child[500];
    scatter(500, 5, 21);
    memcpy(prototypes, point(0), 6 * STRIDE * sizeof *points);
    /* A second prototype in the same place never gets a row: ties go to the lower index. */
    memcpy(prototypes + 6 * STRIDE, point(2), STRIDE * sizeof *points);
    assign(prototypes, 5, 500, 7, child);
    for (size_t i = 0; i < 500; i++) {
        double least = HUGE_VAL, own = 0;
        for (size_t k = 0; k < 7; k++) {
            double distance = 0;
            for (size_t d = 0; d < 5; d++) {
                double apart = (double)point(i)[d] - (double)prototypes[k * STRIDE + d];
                distance += apart * apart;
            }
            least = distance < least ? distance : least;
            own = k == child[i] ? distance : own;
        }
        assert_true(own <= least * (1 + 1e-5));
        assert_int_not_equal(child[i], 6);
    }
    free(prototypes);
}

static void test_deterministic(void **state) {
    (void)state;
    float *a = toy_floats(6 * STRIDE), *b = toy_floats(6 * STRIDE);
    scatter(1000, 3, 5);
    static const ramify_partition kinds[] = {RAMIFY_PARTITION_KMEANS, RAMIFY_PARTITION_RANDOM};
    for (size_t k = 0; k < 2; k++) {
        find(kinds[k], 3, 1000, 6, 1, a);
        find(kinds[k], 3, 1000, 6, 1, b);
        assert_memory_equal(a, b, 6 * STRIDE * sizeof *a);
        find(kinds[k], 3, 1000, 6, 2, b);
        assert_memory_not_equal(a, b, 6 * STRIDE * sizeof *a);
    }
    free(a);
    free(b);
}

static double zero(const double *x) {
    (void)x;
    return 0;
}

/* A model whose k-th leaf predicts k says which child prediction takes. */
static void test_prediction_takes_the_same_child(void **state) {
    (void)state;
    enum { ROWS = 1500, DIMS = 9, ARITY = 13 };
    toy t = toy_create(context, ROWS, DIMS, zero, 1.0, 14);
    toy_problem(&t, ROWS, 0, NULL, NULL);
    size_t stride = t.problem->plain_stride;
    float *prototypes = toy_floats(ARITY * stride);
    uint32_t found, child[ROWS];
    assert_int_equal(ramify_prototypes_find(t.problem, RAMIFY_PARTITION_KMEANS, t.problem->plain,
                                            stride, DIMS, t.problem->train, ARITY, 0, 0, prototypes,
                                            &found),
                     RAMIFY_OK);
    assert_int_equal(found, ARITY);
    assert_int_equal(ramify_prototypes_assign(t.problem, t.problem->plain, stride, DIMS,
                                              t.problem->train, prototypes, ARITY, child),
                     RAMIFY_OK);
    ramify_mlp_shape shape = {1, 1, {DIMS, 1}};
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    size_t floats = ramify_mlp_layout(&shape, layer);
    float *records = toy_floats(ARITY * floats);
    const float *modules[ARITY];
    ramify_draft_node nodes[ARITY + 1] = {{.children = ARITY, .first_child = 1}};
    for (uint32_t k = 0; k < ARITY; k++) {
        modules[k] = records + k * floats;
        records[k * floats + layer[0].bias] = (float)k;
        nodes[k + 1] = (ramify_draft_node){.prototype = prototypes + k * stride, .module = k};
    }
    double center = 0, scale = 1;
    ramify_draft draft = {
        .kind = "pathways",
        .schema = t.schema,
        .stem = &t.problem->stem,
        .head_center = &center,
        .head_scale = &scale,
        .shape = {.type = ramify_module_type_find("mlp"), .mlp = shape},
        .module_count = ARITY,
        .modules = (const void *const *)modules,
        .node_count = ARITY + 1,
        .nodes = nodes,
    };
    void *bytes;
    size_t size;
    ramify_model *model = NULL;
    assert_int_equal(ramify_draft_write(context, &draft, &bytes, &size), RAMIFY_OK);
    assert_int_equal(ramify_open_owned(context, bytes, size, &model), RAMIFY_OK);
    double y[ROWS];
    assert_int_equal(ramify_predict_table(context, model, t.table, y), RAMIFY_OK);
    for (size_t row = 0; row < ROWS; row++)
        assert_true(y[row] == (double)child[row]);
    ramify_close(&model);
    free(records);
    free(prototypes);
    toy_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dyadic_halves_the_box),
        cmocka_unit_test(test_fewer_points_than_children),
        cmocka_unit_test(test_finds_clusters),
        cmocka_unit_test(test_prototypes_are_means),
        cmocka_unit_test(test_random_prototypes_are_rows),
        cmocka_unit_test(test_assignment),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_prediction_takes_the_same_child),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Layout, initialisation and caps of the MLP module, and its entry in the table of module types. */

#include "mlp_twin.h"
#include "module.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ramify_context *context;

static int open_context(void **state) {
    (void)state;
    return ramify_context_create(NULL, &context) == RAMIFY_OK ? 0 : 1;
}

static int close_context(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

static void test_layout_is_the_documented_one(void **state) {
    (void)state;
    for (size_t i = 0; i < TWIN_SHAPES; i++) {
        mlp_twin *twin = mlp_twin_create(&twin_shapes[i], i);
        ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
        assert_int_equal(ramify_mlp_layout(&twin_shapes[i], layer), twin->floats);
        assert_int_equal(ramify_mlp_record_bytes(&twin_shapes[i]), 4 * twin->floats);
        uint64_t used = 0;
        for (size_t f = 0; f < twin->floats; f++)
            used += twin->used[f];
        assert_int_equal(ramify_mlp_parameters(&twin_shapes[i]), used);
        for (uint32_t l = 0; l < twin->shape.layers; l++) {
            assert_int_equal(layer[l].weight, twin->layer[l].weight);
            assert_int_equal(layer[l].bias, twin->layer[l].bias);
            if (twin->shape.members > 1) {
                assert_int_equal(layer[l].r, twin->layer[l].r);
                assert_int_equal(layer[l].s, twin->layer[l].s);
            }
            if (!layer[l].last)
                assert_int_equal(layer[l].slope, twin->layer[l].slope);
        }
        mlp_twin_destroy(twin);
    }
}

static void test_layout_caps(void **state) {
    (void)state;
    const ramify_mlp_shape good = {2, 1, {4, 4, 4}};
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    assert_true(ramify_mlp_layout(&good, layer) > 0);
    ramify_mlp_shape bad = good;
    bad.layers = 0;
    assert_int_equal(ramify_mlp_layout(&bad, layer), 0);
    bad.layers = RAMIFY_MLP_LAYERS_MAX + 1;
    assert_int_equal(ramify_mlp_layout(&bad, layer), 0);
    bad = good;
    bad.members = 0;
    assert_int_equal(ramify_mlp_layout(&bad, layer), 0);
    bad.members = RAMIFY_MLP_MEMBERS_MAX + 1;
    assert_int_equal(ramify_mlp_layout(&bad, layer), 0);
    for (size_t l = 0; l <= good.layers; l++) {
        bad = good;
        bad.width[l] = 0;
        assert_int_equal(ramify_mlp_layout(&bad, layer), 0);
        bad.width[l] = RAMIFY_MLP_WIDTH_MAX + 1;
        assert_int_equal(ramify_mlp_layout(&bad, layer), 0);
    }
    /* Each width is allowed, the record of 256 GiB is not. */
    const ramify_mlp_shape huge = {1, 1, {RAMIFY_MLP_WIDTH_MAX, RAMIFY_MLP_WIDTH_MAX}};
    assert_int_equal(ramify_mlp_record_bytes(&huge), 0);
    const ramify_mlp_shape largest = {1, 1, {1023, RAMIFY_MLP_WIDTH_MAX}};
    assert_int_equal(ramify_mlp_record_bytes(&largest), RAMIFY_MLP_BYTES_MAX);
    const ramify_mlp_shape beyond = {1, 1, {1024, RAMIFY_MLP_WIDTH_MAX}};
    assert_int_equal(ramify_mlp_record_bytes(&beyond), 0);
}

static void test_initialisation(void **state) {
    (void)state;
    const ramify_mlp_shape shape = {3, 4, {33, 48, 40, 2}};
    mlp_twin *twin = mlp_twin_create(&shape, 0);
    size_t bytes = ramify_mlp_record_bytes(&shape);
    float *a = twin_floats(twin->floats), *b = twin_floats(twin->floats);
    memset(b, 0x55, bytes);
    ramify_mlp_initialise(&shape, 0.25F, 7, 9, a);
    ramify_mlp_initialise(&shape, 0.25F, 7, 9, b);
    assert_memory_equal(a, b, bytes);
    ramify_mlp_initialise(&shape, 0.25F, 8, 9, b);
    assert_memory_not_equal(a, b, bytes);
    ramify_mlp_initialise(&shape, 0.25F, 7, 10, b);
    assert_memory_not_equal(a, b, bytes);
    for (size_t i = 0; i < twin->floats; i++)
        if (!twin->used[i])
            assert_true(a[i] == 0.0F);
    for (uint32_t l = 0; l < shape.layers; l++) {
        const twin_layer *layer = &twin->layer[l];
        double squares = 0, gain = layer->last ? 1.0 : 2.0 / (1 + 0.0625);
        for (size_t i = layer->weight; i < layer->bias; i++)
            squares += (double)a[i] * (double)a[i];
        double count = (double)(layer->k * layer->n);
        assert_true(fabs(squares / count * (double)layer->k / gain - 1) < 5 * sqrt(2 / count));
        size_t minus = 0;
        for (size_t i = layer->r; i < layer->s; i++) {
            if (twin->used[i])
                assert_true(fabsf(a[i]) == 1.0F);
            minus += a[i] < 0;
        }
        if (l == 1)
            assert_int_equal(minus, 0);
        else
            assert_true(minus > layer->k && minus < 3 * layer->k);
        for (size_t i = layer->bias; i < layer->r; i++)
            assert_true(a[i] == 0.0F);
        for (size_t i = layer->s; i < layer->slope; i++)
            assert_true(a[i] == (twin->used[i] ? 1.0F : 0.0F));
        for (size_t j = 0; j < layer->n && !layer->last; j++)
            assert_true(a[layer->slope + j] == 0.25F);
    }
    free(a);
    free(b);
    mlp_twin_destroy(twin);
}

static void test_type_table(void **state) {
    (void)state;
    const ramify_module_type *type = ramify_module_type_find("mlp");
    assert_non_null(type);
    assert_string_equal(type->name, "mlp");
    assert_null(ramify_module_type_find("mlp2"));
    assert_null(ramify_module_type_find(""));
    ramify_module_shape shape = {.type = type, .mlp = {3, 4, {13, 31, 17, 9}}};
    assert_int_equal(type->inputs(&shape), 13);
    assert_int_equal(type->outputs(&shape), 9);
    assert_int_equal(type->parameters(&shape), ramify_mlp_parameters(&shape.mlp));
    assert_int_equal(type->record_bytes(&shape), ramify_mlp_record_bytes(&shape.mlp));
    assert_int_equal(type->record_bytes(&shape) % 64, 0);
}

static void test_shape_survives_json(void **state) {
    (void)state;
    const ramify_module_type *type = ramify_module_type_find("mlp");
    for (size_t i = 0; i < TWIN_SHAPES; i++) {
        ramify_module_shape shape = {.type = type, .mlp = twin_shapes[i]}, back;
        memset(&back, 0x55, sizeof back);
        json_t *json = type->shape_to_json(&shape);
        assert_non_null(json);
        assert_int_equal(type->shape_from_json(context, "file", json, &back), RAMIFY_OK);
        assert_memory_equal(&shape.mlp, &back.mlp, sizeof shape.mlp);
        json_decref(json);
    }
}

static void test_json_refusals(void **state) {
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"{}", "m: an mlp module's \"members\" must be a whole number from 1 to 64"},
        {"{\"members\":0,\"widths\":[1,1]}", "m: an mlp module's \"members\" must be"},
        {"{\"members\":65,\"widths\":[1,1]}", "m: an mlp module's \"members\" must be"},
        {"{\"members\":4294967297,\"widths\":[1,1]}", "m: an mlp module's \"members\" must be"},
        {"{\"members\":1.0,\"widths\":[1,1]}", "m: an mlp module's \"members\" must be"},
        {"{\"members\":\"1\",\"widths\":[1,1]}", "m: an mlp module's \"members\" must be"},
        {"{\"members\":1}", "m: an mlp module's \"widths\" must be a list of 2 to 17 numbers"},
        {"{\"members\":1,\"widths\":{\"a\":1,\"b\":2}}", "m: an mlp module's \"widths\" must be"},
        {"{\"members\":1,\"widths\":[3]}", "m: an mlp module's \"widths\" must be"},
        {"{\"members\":1,\"widths\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}",
         "m: an mlp module's \"widths\" must be"},
        {"{\"members\":1,\"widths\":[3,0,1]}",
         "m: width 1 of an mlp module must be a whole number"},
        {"{\"members\":1,\"widths\":[3,262145]}", "m: width 1 of an mlp module must be"},
        {"{\"members\":1,\"widths\":[-3,1]}", "m: width 0 of an mlp module must be"},
        {"{\"members\":1,\"widths\":[4294967297,1]}", "m: width 0 of an mlp module must be"},
        {"{\"members\":1,\"widths\":[2.5,1]}", "m: width 0 of an mlp module must be"},
        {"{\"members\":1,\"widths\":[null,1]}", "m: width 0 of an mlp module must be"},
        {"{\"members\":1,\"widths\":[65536,65536]}",
         "m: an mlp module of these widths is larger than 1073741824 bytes"},
    };
    const ramify_module_type *type = ramify_module_type_find("mlp");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = json_loads(cases[i].json, 0, NULL);
        assert_non_null(json);
        ramify_context *fresh = NULL; /* the first message of a context is the one that stays */
        assert_int_equal(ramify_context_create(NULL, &fresh), RAMIFY_OK);
        ramify_module_shape shape = {.type = type};
        assert_int_equal(type->shape_from_json(fresh, "m", json, &shape), RAMIFY_ERROR_FORMAT);
        if (strncmp(ramify_message(fresh), cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s: \"%s\"", cases[i].json, ramify_message(fresh));
        ramify_context_destroy(&fresh);
        json_decref(json);
    }
}

static void test_check_finds_what_is_not_finite(void **state) {
    (void)state;
    const ramify_module_type *type = ramify_module_type_find("mlp");
    ramify_module_shape shape = {.type = type, .mlp = {2, 4, {5, 7, 3}}};
    mlp_twin *twin = mlp_twin_create(&shape.mlp, 5);
    float *record = twin_floats(twin->floats);
    mlp_twin_record(twin, record);
    assert_null(type->check(&shape, record, type->record_bytes(&shape)));
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < twin->floats; i++) {
        float kept = record[i];
        record[i] = bad[i % 3];
        assert_non_null(type->check(&shape, record, type->record_bytes(&shape)));
        record[i] = 1.001e18F;
        assert_non_null(type->check(&shape, record, type->record_bytes(&shape)));
        record[i] = -RAMIFY_MLP_WEIGHT_MAX;
        assert_null(type->check(&shape, record, type->record_bytes(&shape)));
        record[i] = kept;
    }
    free(record);
    mlp_twin_destroy(twin);
}

/* The type's functions at their stated scratch sizes: run gives the mean, input_gradient the twin's
 * Jacobian, by finite differences. */
static void test_run_and_input_gradient(void **state) {
    (void)state;
    enum { ROWS = 5 };
    const ramify_module_type *type = ramify_module_type_find("mlp");
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    size_t compared = 0;
    for (size_t i = 0; i < TWIN_SHAPES; i++) {
        ramify_module_shape shape = {.type = type, .mlp = twin_shapes[i]};
        mlp_twin *twin = mlp_twin_create(&shape.mlp, 40 + i);
        size_t inputs = type->inputs(&shape), outputs = type->outputs(&shape);
        size_t ldx = ramify_pad(inputs), ldy = ramify_pad(outputs), members = shape.mlp.members;
        float *record = twin_floats(twin->floats);
        mlp_twin_record(twin, record);
        float *x = twin_floats(ROWS * ldx), *y = twin_floats(ROWS * ldy);
        float *dy = twin_floats(ROWS * ldy), *dx = twin_floats(ROWS * ldx);
        float *scratch = twin_floats(type->scratch_bytes(&shape, ROWS) / sizeof(float));
        float *more = twin_floats(type->gradient_bytes(&shape, ROWS) / sizeof(float));
        double *at = calloc(inputs, sizeof *at), *up = calloc(members * outputs, sizeof *up);
        double *down = calloc(members * outputs, sizeof *down);
        for (size_t row = 0; row < ROWS; row++) {
            for (size_t c = 0; c < inputs; c++)
                x[row * ldx + c] = sinf((float)(13 * row + 7 * c + i));
            for (size_t j = 0; j < outputs; j++)
                dy[row * ldy + j] = cosf((float)(row + 3 * j));
        }
        type->run(kernels, &shape, record, ROWS, x, ldx, y, ldy, scratch);
        type->input_gradient(kernels, &shape, record, ROWS, x, ldx, dy, ldy, dx, ldx, more);
        for (size_t row = 0; row < ROWS; row++)
            for (size_t c = 0; c < inputs; c++) {
                double slopes[2];
                for (size_t step = 0; step < 2; step++) {
                    double h = step ? 1e-5 : 2e-5;
                    for (size_t k = 0; k < inputs; k++)
                        at[k] = (double)x[row * ldx + k];
                    at[c] += h;
                    mlp_twin_forward(twin, 1, at, up);
                    at[c] -= 2 * h;
                    mlp_twin_forward(twin, 1, at, down);
                    slopes[step] = 0;
                    for (size_t o = 0; o < members * outputs; o++)
                        slopes[step] += (double)dy[row * ldy + o % outputs] * (up[o] - down[o]) /
                                        (2 * h * (double)members);
                }
                double middle = 0;
                for (size_t m = 0; m < members; m++)
                    middle += 0.5 * (up[m * outputs] + down[m * outputs]) / (double)members;
                assert_true(fabs((double)y[row * ldy] - middle) < 1e-3 * (1 + fabs(middle)));
                if (fabs(slopes[0] - slopes[1]) > 1e-6 * (1 + fabs(slopes[1])))
                    continue; /* a kink lies near */
                compared++;
                assert_true(fabs((double)dx[row * ldx + c] - slopes[1]) <
                            1e-4 * (1 + fabs(slopes[1])));
            }
        void *memory[] = {record, x, y, dy, dx, scratch, more, at, up, down};
        for (size_t k = 0; k < sizeof memory / sizeof memory[0]; k++)
            free(memory[k]);
        mlp_twin_destroy(twin);
    }
    assert_true(compared > 800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_is_the_documented_one),
        cmocka_unit_test(test_layout_caps),
        cmocka_unit_test(test_initialisation),
        cmocka_unit_test(test_type_table),
        cmocka_unit_test(test_shape_survives_json),
        cmocka_unit_test(test_json_refusals),
        cmocka_unit_test(test_check_finds_what_is_not_finite),
        cmocka_unit_test(test_run_and_input_gradient),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

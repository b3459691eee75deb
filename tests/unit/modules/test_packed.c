/* Packed modules: what they compute is what the record computed that they were made of, for one row and
 * for many to the same bits; and no record from a stranger is taken on trust. */

#include "mlp_twin.h"
#include "module.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 77

static ramify_context *context;

static int open_context(void **state) {
    (void)state;
    return ramify_context_create(NULL, &context) != RAMIFY_OK;
}

static int close_context(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

/* A record of the shape of which about this share of weights is not zero; free with free(). */
static float *sparse_record(const ramify_mlp_shape *shape, double density, uint64_t seed) {
    mlp_twin *twin = mlp_twin_create(shape, seed);
    float *record = twin_floats(twin->floats);
    mlp_twin_record(twin, record);
    mlp_twin_destroy(twin);
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(shape, layer);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_CONTROL, 1, 2);
    for (uint32_t l = 0; l < shape->layers; l++)
        for (size_t i = 0; i < layer[l].weight_floats; i++)
            if (ramify_random_uniform(&random) >= density)
                record[layer[l].weight + i] = 0.0F;
    return record;
}

typedef struct packed_record {
    ramify_packed_shape shape;
    void *record;
    uint32_t bytes;
} packed_record;

static packed_record pack_with(const ramify_mlp_shape *shape, const float *record,
                               ramify_storage storage, const ramify_rounding *rounding) {
    packed_record made = {.shape = {.mlp = *shape}};
    uint32_t numbers, spread;
    assert_int_equal(ramify_packed_make(context, shape, record, storage, rounding, &made.record,
                                        &made.bytes, &numbers, &spread),
                     RAMIFY_OK);
    made.shape.most_bytes = made.bytes;
    made.shape.most_numbers = numbers;
    made.shape.most_spread = spread;
    assert_null(ramify_packed_check(&made.shape, made.record, made.bytes));
    return made;
}

static packed_record pack_as(const ramify_mlp_shape *shape, const float *record,
                             ramify_storage storage, ramify_weights type) {
    const ramify_rounding rounding = {.type = type};
    return pack_with(shape, record, storage, &rounding);
}

static packed_record pack(const ramify_mlp_shape *shape, const float *record,
                          ramify_storage storage) {
    return pack_as(shape, record, storage, RAMIFY_WEIGHTS_FLOAT32);
}

static float *random_rows(size_t rows, size_t columns, uint64_t seed) {
    const size_t ld = ramify_pad(columns);
    float *x = twin_floats(rows * ld);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_CONTROL, 3, 4);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            x[i * ld + j] = (float)ramify_random_normal(&random);
    return x;
}

/* To so much of the largest number. */
static void check_close(const float *got, const float *want, size_t rows, size_t ld, size_t n,
                        float tolerance) {
    float largest = 1.0F;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            largest = fmaxf(largest, fabsf(want[i * ld + j]));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            assert_true(fabsf(got[i * ld + j] - want[i * ld + j]) <= tolerance * largest);
}

/* What is computed is what the record does, or with rounded weights about what it does, and to inputs'
 * rounding what the unpacked record does; and one row gets the same bits as among many. */
static void runs_alike(const ramify_mlp_shape *shape, double density, ramify_storage storage,
                       ramify_weights type) {
    static const float rounding[] = {[RAMIFY_WEIGHTS_FLOAT32] = 1e-5F,
                                     [RAMIFY_WEIGHTS_BFLOAT16] = 0.02F,
                                     [RAMIFY_WEIGHTS_INT8] = 0.05F};
    const float exact = type == RAMIFY_WEIGHTS_INT8 ? 3e-4F : 1e-5F;
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    const size_t outputs = shape->width[shape->layers], ldy = ramify_pad(outputs);
    const size_t ldx = ramify_pad(shape->width[0]);
    float *record = sparse_record(shape, density, 7);
    float *x = random_rows(ROWS, shape->width[0], 8);
    float *want = twin_floats(ROWS * ldy), *got = twin_floats(ROWS * ldy);
    float *one = twin_floats(ldy);
    packed_record packed = pack_as(shape, record, storage, type);
    float *scratch = twin_floats(ramify_mlp_run_floats(shape, ROWS));
    float *room = twin_floats(ramify_packed_scratch(&packed.shape, ROWS) / sizeof(float));
    float *row_room = twin_floats(ramify_packed_scratch(&packed.shape, 1) / sizeof(float));
    float *unpacked = twin_floats(ramify_mlp_record_bytes(shape) / sizeof(float));
    ramify_mlp_run(kernels, shape, record, ROWS, x, ldx, want, ldy, scratch);
    ramify_packed_run(kernels, &packed.shape, packed.record, ROWS, x, ldx, got, ldy, room);
    check_close(got, want, ROWS, ldy, outputs, rounding[type]);
    for (size_t i = 0; i < ROWS; i++) {
        ramify_packed_run(kernels, &packed.shape, packed.record, 1, x + i * ldx, ldx, one, ldy,
                          row_room);
        assert_memory_equal(one, got + i * ldy, ldy * sizeof(float));
    }
    for (size_t rows = 2; rows < 20; rows++) {
        memset(want, 0, ROWS * ldy * sizeof *want);
        ramify_packed_run(kernels, &packed.shape, packed.record, rows, x, ldx, want, ldy, room);
        assert_memory_equal(want, got, rows * ldy * sizeof(float));
    }
    ramify_packed_unpack(&packed.shape, packed.record, unpacked);
    ramify_mlp_run(kernels, shape, unpacked, ROWS, x, ldx, want, ldy, scratch);
    check_close(want, got, ROWS, ldy, outputs, exact);
    free(record);
    free(x);
    free(want);
    free(got);
    free(one);
    free(scratch);
    free(room);
    free(row_room);
    free(unpacked);
    ramify_release(context, packed.record);
}

static const ramify_mlp_shape wide = {.layers = 3, .members = 1, .width = {300, 70, 130, 26}};
static const ramify_mlp_shape banded = {.layers = 3, .members = 3, .width = {50, 64, 64, 12}};

static void test_runs_as_the_record_did(void **state) {
    (void)state;
    static const double densities[] = {1.0, 0.4, 0.1, 0.01, 0.0};
    for (size_t i = 0; i < sizeof densities / sizeof densities[0]; i++)
        for (int way = 0; way < 12; way++) {
            const ramify_storage storage = (ramify_storage)(way % 4);
            const ramify_weights type = (ramify_weights)(way / 4);
            for (size_t s = 0; s < TWIN_SHAPES; s++)
                runs_alike(&twin_shapes[s], densities[i], storage, type);
            runs_alike(&wide, densities[i], storage, type);
            runs_alike(&banded, densities[i], storage, type);
        }
}

static void test_takes_fewer_bytes(void **state) {
    (void)state;
    const double dense = (double)ramify_mlp_record_bytes(&wide);
    float *record = sparse_record(&wide, 0.1, 9);
    packed_record tenth = pack(&wide, record, RAMIFY_STORAGE_FASTEST);
    assert_true(tenth.bytes * 3.5 < dense);
    ramify_release(context, tenth.record);
    tenth = pack(&wide, record, RAMIFY_STORAGE_SMALLEST);
    assert_true(tenth.bytes * 5 < dense);
    ramify_release(context, tenth.record);
    packed_record whole = pack(&wide, record, RAMIFY_STORAGE_DENSE);
    assert_true(whole.bytes < dense + 128);
    ramify_release(context, whole.record);
    packed_record eighth = pack_as(&wide, record, RAMIFY_STORAGE_DENSE, RAMIFY_WEIGHTS_INT8);
    assert_true(eighth.bytes * 3.5 < dense);
    ramify_release(context, eighth.record);
    eighth = pack_as(&wide, record, RAMIFY_STORAGE_DENSE, RAMIFY_WEIGHTS_BFLOAT16);
    assert_true(eighth.bytes * 1.9 < dense);
    ramify_release(context, eighth.record);
    free(record);
    record = sparse_record(&wide, 0.5, 9); /* slower than dense, but smaller */
    packed_record half = pack(&wide, record, RAMIFY_STORAGE_SMALLEST);
    packed_record fast = pack(&wide, record, RAMIFY_STORAGE_FASTEST);
    assert_true(half.bytes < 0.6 * dense); /* masked */
    assert_true(fast.bytes > 0.99 * dense);
    ramify_release(context, half.record);
    ramify_release(context, fast.record);
    free(record);
}

/* Every bit of a record flipped in turn (of a long one, some): it is refused, or still runs inside its
 * bytes, which the sanitizers watch. */
static void damage(const ramify_mlp_shape *shape, ramify_storage storage, ramify_weights type) {
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    float *record = sparse_record(shape, 0.2, 5);
    packed_record packed = pack_as(shape, record, storage, type);
    float *x = random_rows(9, 20, 3), *y = twin_floats(9 * 16);
    float *room = twin_floats(ramify_packed_scratch(&packed.shape, 9) / sizeof(float));
    unsigned char *copy = (unsigned char *)twin_floats(packed.bytes / sizeof(float));
    size_t refused = 0;
    for (size_t bit = 0; bit < (size_t)packed.bytes * 8; bit += bit < 4096 ? 1 : 7) {
        memcpy(copy, packed.record, packed.bytes);
        copy[bit / 8] ^= (unsigned char)(1U << bit % 8);
        if (ramify_packed_check(&packed.shape, copy, packed.bytes)) {
            refused++;
            continue;
        }
        /* The header's last bytes are zeros. */
        assert_false(bit / 8 >= shape->layers * sizeof(ramify_packed_header) && bit / 8 < 64);
        ramify_packed_run(kernels, &packed.shape, copy, 9, x, 32, y, 16, room);
    }
    assert_true(refused > 200);
    for (uint64_t bytes = 0; bytes < packed.bytes; bytes += 64)
        assert_non_null(ramify_packed_check(&packed.shape, packed.record, bytes));
    assert_non_null(ramify_packed_check(&packed.shape, packed.record, packed.bytes + 64));
    free(copy);
    free(room);
    free(x);
    free(y);
    free(record);
    ramify_release(context, packed.record);
}

static void test_damaged_records(void **state) {
    (void)state;
    const ramify_mlp_shape members = {.layers = 2, .members = 2, .width = {20, 33, 12}};
    const ramify_mlp_shape alone = {.layers = 2, .members = 1, .width = {20, 33, 3}};
    for (int way = 0; way < 6; way++) {
        const ramify_storage storage = way % 2 ? RAMIFY_STORAGE_DENSE : RAMIFY_STORAGE_SMALLEST;
        damage(&members, storage, (ramify_weights)(way / 2));
        damage(&alone, storage, (ramify_weights)(way / 2));
    }
}

/* What a check says of numbers that a file must not hold. */
static void test_refuses_numbers(void **state) {
    (void)state;
    const ramify_mlp_shape shape = {.layers = 1, .members = 1, .width = {4, 16}};
    float *record = sparse_record(&shape, 1.0, 5);
    packed_record packed = pack_as(&shape, record, RAMIFY_STORAGE_DENSE, RAMIFY_WEIGHTS_INT8);
    uint16_t *vectors = (uint16_t *)(void *)((char *)packed.record + 64 + 64); /* b, then s */
    const uint16_t kept = vectors[16];
    const struct {
        size_t at;
        uint16_t half;
        const char *fault;
    } cases[] = {
        {16, 0, "a step between int8 weights is not above 0"},
        {16, 0xBF80, "a step between int8 weights is not above 0"},
        {16, 0x7F80, "a weight is not a number of at most 1e+18 in size"},
        {0, 0x7FC0, "a weight is not a number of at most 1e+18 in size"},
    };
    assert_int_equal(packed.bytes, 192);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vectors[cases[i].at] = cases[i].half;
        assert_string_equal(ramify_packed_check(&packed.shape, packed.record, packed.bytes),
                            cases[i].fault);
        vectors[16] = kept;
    }
    free(record);
    ramify_release(context, packed.record);
}

static void test_bfloat16(void **state) {
    (void)state;
    static const struct {
        float value, nearest;
    } cases[] = {{1.0F, 1.0F},
                 {1.0F + 0x1p-8F, 1.0F}, /* a tie */
                 {1.0F + 0x3p-8F, 1.0F + 0x1p-6F},
                 {1.0F + 0x1.1p-8F, 1.0F + 0x1p-7F},
                 {-3.14159274F, -3.140625F},
                 {0.0F, 0.0F}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(ramify_bfloat16_value(ramify_bfloat16(cases[i].value)) == cases[i].nearest);
}

/* Packed, unpacked and packed again is the same record, to the bit: its weights lie on their steps. Those
 * of int8 are given: by the largest weight, rounded, they could be others the second time. */
static void test_is_stable(void **state) {
    (void)state;
    float step[3 * 144]; /* of each output of each layer; sparse layers sort them, so all alike */
    for (size_t i = 0; i < sizeof step / sizeof step[0]; i++)
        step[i] = 0x1.8p-8F;
    for (int way = 0; way < 6; way++) {
        const ramify_storage storage = way % 2 ? RAMIFY_STORAGE_SMALLEST : RAMIFY_STORAGE_DENSE;
        const ramify_rounding rounding = {.type = (ramify_weights)(way / 2), .scale = step};
        float *record = sparse_record(&wide, 0.5, 5);
        packed_record first = pack_with(&wide, record, storage, &rounding);
        ramify_packed_unpack(&first.shape, first.record, record);
        packed_record second = pack_with(&wide, record, storage, &rounding);
        assert_int_equal(first.bytes, second.bytes);
        assert_memory_equal(first.record, second.record, first.bytes);
        free(record);
        ramify_release(context, first.record);
        ramify_release(context, second.record);
    }
}

static void test_gradient_is_that_of_the_record(void **state) {
    (void)state;
    const ramify_kernels *kernels = ramify_kernels_select(NULL);
    float *record = sparse_record(&banded, 0.2, 11);
    packed_record packed = pack(&banded, record, RAMIFY_STORAGE_FASTEST);
    const ramify_module_shape plain = {.type = ramify_module_type_find("mlp"), .mlp = banded};
    const ramify_module_shape shape = {.type = ramify_module_type_find("packed"),
                                       .packed = packed.shape};
    float *x = random_rows(5, 50, 3), *dy = random_rows(5, 12, 4);
    float *got = twin_floats((size_t)5 * 64), *want = twin_floats((size_t)5 * 64);
    float *room = twin_floats(shape.type->gradient_bytes(&shape, 5) / sizeof(float));
    plain.type->input_gradient(kernels, &plain, record, 5, x, 64, dy, 16, want, 64, room);
    shape.type->input_gradient(kernels, &shape, packed.record, 5, x, 64, dy, 16, got, 64, room);
    check_close(got, want, 5, 64, 50, 1e-4F);
    free(x);
    free(dy);
    free(got);
    free(want);
    free(room);
    free(record);
    ramify_release(context, packed.record);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_as_the_record_did),
        cmocka_unit_test(test_takes_fewer_bytes),
        cmocka_unit_test(test_damaged_records),
        cmocka_unit_test(test_refuses_numbers),
        cmocka_unit_test(test_bfloat16),
        cmocka_unit_test(test_is_stable),
        cmocka_unit_test(test_gradient_is_that_of_the_record),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}

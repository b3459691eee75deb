/* Models as ONNX files: what the file says about itself, where it is written, and what can go wrong.
 * tests/cli/test_onnx.py compares what they compute. */

#include "counting.h"
#include "files.h"
#include "memory.h"
#include "random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MODELS 24

typedef struct place {
    char directory[64];
    char onnx[96], file[96];
    ramify_context *context;
} place;

static int set_up(void **state) {
    static place p;
    p = (place){.directory = "/tmp/ramify-onnx-XXXXXX"};
    assert_non_null(mkdtemp(p.directory));
    snprintf(p.onnx, sizeof p.onnx, "%s/m.onnx", p.directory);
    snprintf(p.file, sizeof p.file, "%s/m.ramify", p.directory);
    assert_int_equal(ramify_context_create(NULL, &p.context), RAMIFY_OK);
    *state = &p;
    return 0;
}

static int tear_down(void **state) {
    place *p = *state;
    ramify_context_destroy(&p->context);
    unlink(p->onnx);
    unlink(p->file);
    return rmdir(p->directory); /* fails where something else was left */
}

/* A message that is read field by field. */
typedef struct reader {
    const unsigned char *at, *end;
    uint64_t field, number;     /* of the field at hand: its number, and its varint or length */
    const unsigned char *bytes; /* its bytes, or NULL */
} reader;

static uint64_t read_varint(reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(r->at < r->end && shift < 70);
        value |= (uint64_t)(*r->at & 127) << shift;
        if (*r->at++ < 128)
            return value;
    }
}

static bool read_field(reader *r) {
    if (r->at == r->end)
        return false;
    uint64_t tag = read_varint(r);
    r->field = tag >> 3;
    r->number = read_varint(r);
    r->bytes = NULL;
    if ((tag & 7) == 0)
        return true;
    assert_int_equal(tag & 7, 2);
    assert_true(r->number <= (uint64_t)(r->end - r->at));
    r->bytes = r->at;
    r->at += r->number;
    return true;
}

static reader inside(const reader *r) {
    assert_non_null(r->bytes);
    return (reader){.at = r->bytes, .end = r->bytes + r->number};
}

/* Reads a TensorProto: its raw bytes are as many as its type and shape say. Returns their number if
 * the tensor is called `name`. */
static uint64_t read_tensor(reader tensor, const char *name) {
    uint64_t numbers = 1, type = 0, raw = 0;
    bool named = false;
    while (read_field(&tensor)) {
        numbers *= tensor.field == 1 ? tensor.number : 1;
        type = tensor.field == 2 ? tensor.number : type;
        raw = tensor.field == 9 ? tensor.number : raw;
        if (tensor.field == 8)
            named = strlen(name) == tensor.number && memcmp(tensor.bytes, name, tensor.number) == 0;
    }
    uint64_t size = type == 1 ? 4 : type == 7 || type == 11 ? 8 : 1;
    if (type != 8)
        assert_int_equal(raw, numbers * size);
    return named ? raw : 0;
}

/* Reads a file's fields to its last byte, and returns the bytes of the initialiser `name`, or 0. */
static uint64_t read_file(const char *path, const char *name) {
    size_t size;
    unsigned char *bytes = file_content(path, &size);
    uint64_t found = 0, graphs = 0, nodes = 0;
    reader model = {.at = bytes, .end = bytes + size};
    while (read_field(&model)) {
        if (model.field != 7)
            continue;
        graphs++;
        reader graph = inside(&model);
        while (read_field(&graph)) {
            nodes += graph.field == 1;
            if (graph.field == 5)
                found += read_tensor(inside(&graph), name);
        }
    }
    assert_int_equal(graphs, 1);
    assert_true(nodes > 5);
    free(bytes);
    return found;
}

static void test_lengths(void **state) {
    const place *p = *state;
    for (uint64_t seed = 0; seed < MODELS; seed++) {
        random_model_options options = random_model_any(seed);
        options.series = 0; /* networks alone */
        random_model *twin = random_model_create(p->context, &options);
        ramify_model *model = random_model_open(twin);
        if (ramify_export_onnx(p->context, model, p->onnx) != RAMIFY_OK)
            fail_msg("%s", ramify_message(p->context));
        uint64_t targets = options.task == RAMIFY_TASK_REGRESSION ? options.outputs : 0;
        assert_int_equal(read_file(p->onnx, "head/scale"), targets * sizeof(double));
        ramify_close(&model);
        random_model_destroy(twin);
    }
}

/* As many layers as there may be, with members: every list of the graph is full. */
static void test_most_layers(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.missing = options.bins = options.route = true;
    options.frequencies = 2;
    options.members = 2;
    options.numeric = 4;
    random_model *twin = random_model_create(p->context, &options);
    ramify_mlp_shape *mlp = &twin->draft.shape.mlp;
    mlp->layers = RAMIFY_MLP_LAYERS_MAX;
    for (uint32_t l = 1; l <= mlp->layers; l++)
        mlp->width[l] = l < mlp->layers ? 2 : options.outputs;
    for (uint32_t i = 0; i < twin->module_count; i++) {
        free(twin->modules[i]);
        twin->modules[i] = aligned_alloc(64, ramify_mlp_record_bytes(mlp));
        ramify_mlp_initialise(mlp, 0.25F, 1, i, twin->modules[i]);
    }
    ramify_model *model = random_model_open(twin);
    assert_int_equal(ramify_export_onnx(p->context, model, p->onnx), RAMIFY_OK);
    assert_int_equal(read_file(p->onnx, "experts/layer15/input_scale"),
                     twin->module_count * 2 * 2 * sizeof(float));
    ramify_close(&model);
    random_model_destroy(twin);
}

/* A module that several leaves share stands in the file once. */
static void test_shared_modules_once(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.levels = 4;
    options.modules = 2;
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    assert_true(twin->leaves > 4);
    assert_int_equal(ramify_export_onnx(p->context, model, p->onnx), RAMIFY_OK);
    assert_int_equal(read_file(p->onnx, "experts/layer1/weight"),
                     2 * options.hidden[0] * options.outputs * sizeof(float));
    ramify_close(&model);
    random_model_destroy(twin);
}

/* The same bytes from memory, from a file with a bound, and a second time. */
static void test_same_bytes_from_everywhere(void **state) {
    const place *p = *state;
    random_model_options options = random_model_any(3);
    options.series = 0; /* networks alone */
    options.levels = 3;
    options.modules = 4;
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    assert_int_equal(ramify_export_onnx(p->context, model, p->onnx), RAMIFY_OK);
    size_t first_size, second_size;
    unsigned char *first = file_content(p->onnx, &first_size);
    assert_int_equal(ramify_save(p->context, model, p->file), RAMIFY_OK);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_open_options opening;
    ramify_open_options_init(&opening);
    opening.resident_bytes = info.resident_bytes;
    ramify_model *bounded = NULL;
    assert_int_equal(ramify_open(p->context, p->file, &opening, &bounded), RAMIFY_OK);
    assert_int_equal(ramify_export_onnx(p->context, bounded, p->onnx), RAMIFY_OK);
    unsigned char *second = file_content(p->onnx, &second_size);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    free(first);
    free(second);
    ramify_close(&bounded);
    ramify_close(&model);
    random_model_destroy(twin);
}

static void test_arguments_and_places(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    assert_int_equal(ramify_export_onnx(p->context, NULL, p->onnx), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_export_onnx(p->context, model, NULL), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_export_onnx(p->context, model, "/nonexistent/m.onnx"), RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(p->context), "/nonexistent/m.onnx: "));
    assert_int_equal(ramify_export_onnx(p->context, model, p->directory), RAMIFY_ERROR_IO);
    assert_int_equal(files_in(p->directory), 0);
    ramify_close(&model);
    random_model_destroy(twin);
}

/* By experts, and by prototypes, which are filled up to the arity. */
static void test_too_large(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    const ramify_tree_limits limits = model->limits;
    for (int which = 0; which < 2; which++) {
        if (which == 0)
            model->limits.modules =
                ((uint64_t)2 << 30) / 4 / ramify_mlp_parameters(&model->shape.mlp);
        else
            model->limits.nodes = ((uint64_t)2 << 30) / 4 / limits.arity / limits.dims;
        assert_int_equal(ramify_export_onnx(p->context, model, p->onnx), RAMIFY_ERROR_UNSUPPORTED);
        assert_non_null(strstr(ramify_message(p->context), "at most 2080374784"));
        model->limits = limits;
        assert_int_equal(files_in(p->directory), 0);
    }
    ramify_close(&model);
    random_model_destroy(twin);
}

static bool always(void *user) {
    (void)user;
    return true;
}

static void test_stops(void **state) {
    const place *p = *state;
    ramify_context_options choices;
    ramify_context_options_init(&choices);
    choices.cancel = always;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&choices, &context), RAMIFY_OK);
    for (uint32_t levels = 0; levels < 2; levels++) {
        random_model_options options = random_model_defaults();
        options.levels = levels;
        random_model *twin = random_model_create(p->context, &options);
        ramify_model *model = random_model_open(twin);
        assert_int_equal(ramify_export_onnx(context, model, p->onnx), RAMIFY_STOPPED);
        assert_int_equal(files_in(p->directory), 0);
        ramify_close(&model);
        random_model_destroy(twin);
    }
    ramify_context_destroy(&context);
}

/* Damage that opening does not see: a changed weight, and a changed prototype. */
static void test_damaged(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    for (int which = 0; which < 2; which++) {
        size_t size;
        unsigned char *bytes = random_model_bytes(twin, &size);
        ramify_model *model = NULL;
        assert_int_equal(ramify_open_owned(p->context, bytes, size, &model), RAMIFY_OK);
        bytes[(which ? model->experts.begin : model->nodes.begin) + 3] ^= 1;
        assert_int_equal(ramify_export_onnx(p->context, model, p->onnx), RAMIFY_ERROR_FORMAT);
        assert_non_null(strstr(ramify_message(p->context), which ? "experts.0" : "tree.nodes"));
        assert_int_equal(files_in(p->directory), 0);
        ramify_close(&model);
    }
    random_model_destroy(twin);
}

static void test_every_allocation(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.numeric = 60; /* enough for the messages in memory to grow */
    options.bins = true;
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    counting counts = {0};
    ramify_context *context = counting_context(&counts);
    counts.calls = 0;
    assert_int_equal(ramify_export_onnx(context, model, p->onnx), RAMIFY_OK);
    uint64_t live = counts.live, needed = counts.calls;
    assert_true(needed > 15);
    assert_int_equal(unlink(p->onnx), 0);
    for (uint64_t n = 1; n <= needed; n++) {
        counts.calls = 0;
        counts.fail_once = n;
        assert_int_equal(ramify_export_onnx(context, model, p->onnx), RAMIFY_ERROR_MEMORY);
        assert_int_equal(counts.live, live);
        /* Once the file is in place, only making its name durable is left. */
        assert_int_equal(files_in(p->directory), n == needed ? 1 : 0);
    }
    ramify_context_destroy(&context);
    ramify_close(&model);
    random_model_destroy(twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_most_layers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_modules_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_bytes_from_everywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arguments_and_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_allocation, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

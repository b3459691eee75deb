/* Drafts become files: layout, order, what is refused, and what the opened model then says. */

#include "crc32c.h"
#include "draft.h"
#include "memory.h"
#include "random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ramify_context *new_context(void) {
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    return context;
}

static void test_any_model_is_sound(void **state) {
    (void)state;
    ramify_context *context = new_context();
    for (uint64_t seed = 0; seed < 60; seed++) {
        random_model_options options = random_model_any(seed);
        random_model *twin = random_model_create(context, &options);
        ramify_model *model = random_model_open(twin);
        if (ramify_model_check(context, model) != RAMIFY_OK)
            fail_msg("seed %d: %s", (int)seed, ramify_message(context));
        ramify_close(&model);
        random_model_destroy(twin);
    }
    ramify_context_destroy(&context);
}

static void test_same_draft_same_bytes(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_any(5);
    random_model *a = random_model_create(context, &options);
    random_model *b = random_model_create(context, &options);
    size_t size_a, size_b;
    void *bytes_a = random_model_bytes(a, &size_a), *bytes_b = random_model_bytes(b, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(bytes_a, bytes_b, size_a);
    ramify_release(context, bytes_a);
    ramify_release(context, bytes_b);
    random_model_destroy(a);
    random_model_destroy(b);
    ramify_context_destroy(&context);
}

/* ---- a file by several writers ---- */

typedef struct paper {
    unsigned char *bytes; /* room */
    uint8_t *written;     /* room: how often */
    size_t room;
} paper;

static ramify_status put(void *argument, uint64_t offset, const void *bytes, size_t size) {
    paper *p = argument;
    assert_true(offset <= p->room && size <= p->room - offset);
    memcpy(p->bytes + offset, bytes, size);
    for (size_t i = 0; i < size; i++)
        p->written[offset + i]++;
    return RAMIFY_OK;
}

static ramify_status put_nothing(void *argument, uint64_t offset, const void *bytes, size_t size) {
    (void)offset;
    (void)bytes;
    (void)size;
    return ramify_fail(argument, RAMIFY_ERROR_IO, "no room");
}

/* Each of several writers has some of the networks, and puts its share where one writer would. */
static void test_shares(void **state) {
    (void)state;
    ramify_context *context = new_context();
    size_t tried = 0;
    for (uint64_t seed = 0; seed < 80; seed++) {
        random_model_options options = random_model_any(seed);
        random_model *twin = random_model_create(context, &options);
        const ramify_draft *draft = &twin->draft;
        if (draft->series_count > 0 || strcmp(draft->kind, "paraformer") == 0 ||
            strcmp(draft->shape.type->name, "mlp") != 0) {
            random_model_destroy(twin);
            continue;
        }
        tried++;
        size_t size;
        unsigned char *whole = random_model_bytes(twin, &size);
        const uint32_t writers = 1 + (uint32_t)(seed % 4);
        const size_t floats = ramify_mlp_record_bytes(&draft->shape.mlp) / sizeof(float);
        paper p = {calloc(size, 1), calloc(size, 1), size};
        float *record = calloc(floats + 16, sizeof *record);
        uint32_t *crc = calloc(draft->module_count + 1, sizeof *crc);
        bool *writes = calloc(draft->module_count + 1, sizeof *writes);
        const void **modules = calloc(draft->module_count + 1, sizeof *modules);
        for (uint32_t m = 0; m < draft->module_count; m++) {
            ramify_draft_module(record, draft->modules[m], floats);
            crc[m] = ramify_crc32c(0, record, floats * sizeof *record);
        }
        for (uint32_t writer = 0; writer < writers; writer++) {
            ramify_draft own = *draft;
            own.modules = modules;
            for (uint32_t m = 0; m < draft->module_count; m++) {
                writes[m] = m * 7 % writers == writer;
                modules[m] = writes[m] ? draft->modules[m] : NULL;
            }
            const ramify_draft_share share = {crc, writes, writer + 1 == writers, put, &p};
            uint64_t told = 0;
            if (ramify_draft_write_share(context, &own, &share, &told) != RAMIFY_OK)
                fail_msg("seed %d: %s", (int)seed, ramify_message(context));
            assert_int_equal(told, size);
        }
        assert_memory_equal(p.bytes, whole, size);
        for (size_t i = 0; i < size; i++)
            if (p.written[i] > 1 || (p.written[i] == 0 && whole[i] != 0))
                fail_msg("seed %d: byte %zu is written %d times", (int)seed, i, p.written[i]);

        const ramify_draft_share failing = {crc, writes, true, put_nothing, context};
        uint64_t told = 0;
        ramify_draft own = *draft;
        own.modules = modules;
        assert_int_equal(ramify_draft_write_share(context, &own, &failing, &told), RAMIFY_ERROR_IO);
        assert_string_equal(ramify_message(context), "no room");
        ramify_clear(context);
        ramify_release(context, whole);
        free(p.bytes);
        free(p.written);
        free(record);
        free(crc);
        free(writes);
        free(modules);
        random_model_destroy(twin);
    }
    assert_true(tried > 20);
    ramify_context_destroy(&context);
}

/* A weight that is denormal in a draft is zero in the file. */
static void test_denormal_weights(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(context, &options);
    size_t size, again;
    twin->modules[0][0] = 0.0F;
    void *bytes = random_model_bytes(twin, &size);
    twin->modules[0][0] = -1e-39F;
    void *same = random_model_bytes(twin, &again);
    assert_int_equal(again, size);
    assert_memory_equal(bytes, same, size);
    ramify_release(context, bytes);
    ramify_release(context, same);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

/* Indices that a column does not use may hold anything in a draft; in the file they are 0. */
static void test_unused_indices(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(context, &options);
    size_t size, again;
    void *bytes = random_model_bytes(twin, &size);
    for (uint32_t c = 0; c < twin->stem.columns; c++)
        twin->columns[c].knot = twin->columns[c].knots = twin->columns[c].entry =
            twin->columns[c].periodic = 99;
    twin->columns[1].missing = 1; /* a category's */
    void *same = random_model_bytes(twin, &again);
    assert_int_equal(again, size);
    assert_memory_equal(bytes, same, size);
    ramify_release(context, bytes);
    ramify_release(context, same);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

/* A draft over the default random model's stem and modules with a tree of its own. */
typedef struct hand_made {
    random_model *base;
    ramify_draft_node nodes[8];
    float prototype[16];
    ramify_draft draft;
} hand_made;

static void make_by_hand(hand_made *h, ramify_context *context, const ramify_draft_node *nodes,
                         uint32_t count) {
    random_model_options options = random_model_defaults();
    options.modules = 5;
    h->base = random_model_create(context, &options);
    h->draft = h->base->draft;
    for (uint32_t i = 0; i < count; i++) {
        h->nodes[i] = nodes[i];
        h->nodes[i].prototype = i > 0 ? h->prototype : NULL;
    }
    h->draft.nodes = h->nodes;
    h->draft.node_count = count;
}

static ramify_status write_by_hand(ramify_context *context, const ramify_draft_node *nodes,
                                   uint32_t count, ramify_model **model) {
    hand_made h = {0};
    make_by_hand(&h, context, nodes, count);
    void *bytes = NULL;
    size_t size;
    ramify_clear(context);
    ramify_status status = ramify_draft_write(context, &h.draft, &bytes, &size);
    if (status == RAMIFY_OK)
        status = ramify_open_owned(context, bytes, size, model);
    random_model_destroy(h.base);
    return status;
}

static void test_refused_drafts(void **state) {
    (void)state;
    ramify_context *context = new_context();
    static const struct {
        ramify_draft_node nodes[6];
        uint32_t count;
        const char *message;
    } cases[] = {
        {{{0}}, 0, "no root (0)"},
        {{{.module = 5}}, 1, "a leaf without a module (0)"},
        {{{.children = 1, .first_child = 1}, {0}}, 2, "a node must have 2 to 64 children (0)"},
        {{{.children = 65, .first_child = 1}, {0}}, 2, "a node must have 2 to 64 children (0)"},
        {{{.children = 2, .first_child = 0}, {0}, {0}}, 3, "a node's children must follow it (0)"},
        {{{.children = 2, .first_child = 2}, {0}, {0}}, 3, "a node's children must follow it (0)"},
        {{{.children = 2, .first_child = 1}, {0}, {0}, {0}},
         4,
         "a node without a parent before it (3)"},
        {{{.children = 2, .first_child = 1}, {.children = 2, .first_child = 2}, {0}, {0}},
         4,
         "a node with two parents (2)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_model *model = NULL;
        assert_int_equal(write_by_hand(context, cases[i].nodes, cases[i].count, &model),
                         RAMIFY_ERROR_ARGUMENT);
        if (!strstr(ramify_message(context), cases[i].message))
            fail_msg("found \"%s\", expected \"%s\"", ramify_message(context), cases[i].message);
    }
    ramify_context_destroy(&context);
}

/* Nodes and modules are numbered depth-first, shared modules where their first leaf is, and modules
 * that no leaf uses are left out. */
static void test_order(void **state) {
    (void)state;
    ramify_context *context = new_context();
    static const ramify_draft_node nodes[] = {
        {.children = 3, .first_child = 1},
        {.children = 2, .first_child = 4},
        {.module = 1},
        {.children = 2, .first_child = 6},
        {.module = 4},
        {.module = 0},
        {.module = 1},
        {.module = 4},
    };
    ramify_model *model = NULL;
    assert_int_equal(write_by_hand(context, nodes, 8, &model), RAMIFY_OK);
    assert_int_equal(ramify_model_check(context, model), RAMIFY_OK);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_int_equal(info.leaves, 5);
    assert_int_equal(info.modules, 3);
    assert_int_equal(model->limits.nodes, 3);
    assert_int_equal(model->limits.depth, 2);
    assert_int_equal(model->limits.arity, 3);

    const unsigned char *tree = model->source.bytes + model->nodes.begin;
    const ramify_reference *child = ramify_node_references(tree);
    assert_int_equal(child[0].kind, RAMIFY_REFERENCE_NODE);
    assert_int_equal(child[0].id, 1);
    assert_int_equal(child[1].kind, RAMIFY_REFERENCE_MODULE);
    assert_int_equal(child[1].id, 2); /* draft module 1, third to be met */
    assert_int_equal(child[1].leaf, 2);
    assert_int_equal(child[2].id, 2);
    child = ramify_node_references(tree + child[0].offset);
    assert_int_equal(child[0].id, 0); /* draft module 4 */
    assert_int_equal(child[1].id, 1);
    child = ramify_node_references(tree + ramify_node_references(tree)[2].offset);
    assert_int_equal(child[0].id, 2);
    assert_int_equal(child[1].id, 0);
    assert_int_equal(child[1].leaf, 4);

    /* All prototypes are the same: of equals the first child, twice, which is draft module 4. */
    static const ramify_draft_node lone[] = {{.module = 4}};
    ramify_model *single = NULL;
    assert_int_equal(write_by_hand(context, lone, 1, &single), RAMIFY_OK);
    const double x[3] = {0.3, 1.0, -0.2};
    double y[2];
    ramify_model *both[] = {model, single};
    for (size_t i = 0; i < 2; i++) {
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(context, both[i], 1, &predictor), RAMIFY_OK);
        assert_int_equal(ramify_predict_double(predictor, 1, x, 3, &y[i], 1), RAMIFY_OK);
        ramify_predictor_destroy(&predictor);
    }
    assert_true(y[0] == y[1]);
    ramify_close(&single);
    ramify_close(&model);
    ramify_context_destroy(&context);
}

static void test_header_does_not_grow_with_modules(void **state) {
    (void)state;
    ramify_context *context = new_context();
    uint64_t starts[2], counts[2];
    for (uint32_t i = 0; i < 2; i++) {
        random_model_options options = random_model_defaults();
        options.levels = i == 0 ? 1 : 6;
        options.arity = 5;
        random_model *twin = random_model_create(context, &options);
        ramify_model *model = random_model_open(twin);
        starts[i] = model->data_start;
        counts[i] = model->limits.modules;
        assert_int_equal(model->data_start % 4096, 0);
        assert_int_equal(model->nodes.begin % 64, 0);
        assert_int_equal(model->experts.begin % 64, 0);
        ramify_close(&model);
        random_model_destroy(twin);
    }
    assert_true(counts[1] > 50 * counts[0]);
    assert_int_equal(starts[0], starts[1]);
    ramify_context_destroy(&context);
}

static void test_config(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(context, &options);
    ramify_model *model = random_model_open(twin);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    json_t *config = json_loads(info.config, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(config, "seed")), 1);
    assert_true(json_is_object(json_object_get(config, "schema")));
    json_decref(config);

    /* A key of ours in the draft's config is refused. */
    json_object_set_new(twin->draft.config, "tree", json_true());
    void *bytes = NULL;
    size_t size;
    assert_int_not_equal(ramify_draft_write(context, &twin->draft, &bytes, &size), RAMIFY_OK);
    assert_null(bytes);
    ramify_close(&model);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

static void test_too_large_a_header(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(context, &options);
    char *text = malloc(1100001);
    memset(text, 'a', 1100000);
    text[1100000] = '\0';
    json_object_set_new(twin->draft.config, "long", json_string(text));
    void *bytes = NULL;
    size_t size;
    assert_int_equal(ramify_draft_write(context, &twin->draft, &bytes, &size), RAMIFY_ERROR_LIMIT);
    free(text);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

static void test_what_a_model_says(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_defaults();
    options.task = RAMIFY_TASK_CLASSIFICATION;
    options.outputs = 3;
    random_model *twin = random_model_create(context, &options);
    ramify_model *model = random_model_open(twin);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    assert_int_equal(info.task, RAMIFY_TASK_CLASSIFICATION);
    assert_int_equal(info.columns, 3);
    assert_int_equal(info.targets, 1);
    assert_int_equal(info.classes, 3);
    assert_int_equal(info.outputs, 3);
    assert_int_equal(info.modules, twin->leaves);
    assert_int_equal(info.file_bytes, model->source.size);
    assert_string_equal(ramify_model_column(model, 1), "column 1");
    assert_null(ramify_model_column(model, 3));
    assert_string_equal(ramify_model_target(model, 0), "target 0");
    assert_null(ramify_model_target(model, 1));
    assert_string_equal(ramify_model_class(model, 2), "class 2");
    assert_null(ramify_model_class(model, 3));
    assert_int_equal(ramify_model_category(model, 0, "kind 0"), -1);
    assert_int_equal(ramify_model_category(model, 9, "kind 0"), -1);
    assert_int_equal(ramify_model_category(model, 1, "kind 0"), 0);
    int64_t other = twin->schema.columns[1].category_count;
    assert_int_equal(ramify_model_category(model, 1, "never seen"), other);
    assert_int_equal(ramify_model_category(model, 1, NULL), other);
    ramify_close(&model);
    ramify_close(&model);
    ramify_close(NULL);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

/* A buffer at an odd address is copied, and predicts the same. */
static void test_unaligned_buffer(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(context, &options);
    size_t size;
    void *bytes = random_model_bytes(twin, &size);
    unsigned char *odd = malloc(size + 64);
    memcpy(odd + 3, bytes, size);
    ramify_model *model = NULL;
    assert_int_equal(ramify_open_buffer(context, odd + 3, size, &model), RAMIFY_OK);
    memset(odd, 0, size + 64);
    free(odd);
    assert_int_equal(ramify_model_check(context, model), RAMIFY_OK);
    ramify_close(&model);
    ramify_release(context, bytes);
    random_model_destroy(twin);
    ramify_context_destroy(&context);
}

/* The example of docs/model-format.md, with the bytes that it shows. */
static void test_documented_example(void **state) {
    (void)state;
    ramify_context *context = new_context();
    ramify_schema_column column = {.name = (char[]){"x"}, .high = 1.0};
    char *targets[] = {(char[]){"y"}};
    const ramify_schema schema = {.task = RAMIFY_TASK_REGRESSION,
                                  .named = true,
                                  .column_count = 1,
                                  .columns = &column,
                                  .target_count = 1,
                                  .targets = targets};
    const ramify_stem_column stem_column = {0};
    const double center = 0.5, scale = 0.25, head_center = 10.0, head_scale = 3.0;
    const ramify_stem stem = {.columns = 1,
                              .plain = 1,
                              .features = 1,
                              .routes = 1,
                              .column = &stem_column,
                              .center = &center,
                              .scale = &scale};
    static const float first[32] = {[0] = 2.0F}, second[32] = {[0] = -1.0F, [16] = 0.5F};
    const float *const modules[] = {first, second};
    const float below = -1.0F, above = 1.0F;
    const ramify_draft_node nodes[] = {{.children = 2, .first_child = 1},
                                       {.prototype = &below, .module = 0},
                                       {.prototype = &above, .module = 1}};
    ramify_draft draft = {.kind = "pathways",
                          .schema = &schema,
                          .stem = &stem,
                          .head_center = &head_center,
                          .head_scale = &head_scale,
                          .shape = {.type = ramify_module_type_find("mlp")},
                          .module_count = 2,
                          .modules = (const void *const *)modules,
                          .node_count = 3,
                          .nodes = nodes};
    draft.shape.mlp = (ramify_mlp_shape){.layers = 1, .members = 1, .width = {1, 1}};
    void *bytes = NULL;
    size_t size;
    assert_int_equal(ramify_draft_write(context, &draft, &bytes, &size), RAMIFY_OK);
    assert_int_equal(size, 4992);
    assert_non_null(strstr((char *)bytes + 8, "\"ramify.crc32c\":\"72f29a9e\""));
    static const struct {
        size_t offset;
        uint32_t words[4];
    } lines[] = {
        {320, {2, 0, 0, 0}},
        {336, {256, 0x0e8f1553, 0, 0}},
        {384, {0, 0, 2, 1}},
        {448, {1, 0, 0, 0}},
        {464, {128, 0xd6af8750, 0, 0}},
        {480, {1, 0, 128, 0}},
        {496, {128, 0x192eb5a0, 1, 1}},
        {512, {0xbf800000, 0, 0, 0}},
        {832, {0x3f000000, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_memory_equal((char *)bytes + 4096 + lines[i].offset, lines[i].words, 16);
    ramify_model *model = NULL;
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_open_owned(context, bytes, size, &model), RAMIFY_OK);
    assert_int_equal(ramify_predictor_create(context, model, 2, &predictor), RAMIFY_OK);
    double y[2];
    assert_int_equal(ramify_predict_double(predictor, 2, (double[]){0.25, 0.75}, 1, y, 1),
                     RAMIFY_OK);
    assert_true(y[0] == 4.0 && y[1] == 8.5);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_model_is_sound),
        cmocka_unit_test(test_same_draft_same_bytes),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_denormal_weights),
        cmocka_unit_test(test_unused_indices),
        cmocka_unit_test(test_refused_drafts),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_header_does_not_grow_with_modules),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_too_large_a_header),
        cmocka_unit_test(test_what_a_model_says),
        cmocka_unit_test(test_unaligned_buffer),
        cmocka_unit_test(test_documented_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

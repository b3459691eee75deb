/* One damaged file per rule, each with the sentence that a person gets to read. Checksums are made
 * to fit, unless they are what is tested: whoever writes a hostile file can compute them too. */

#include "memory.h"
#include "model_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum edit_kind {
    NOTHING = 0,
    HEADER, /* JSON value at a path of the header */
    CONFIG, /* JSON value at a path of the config */
    U32,    /* a number in a tensor's bytes */
    U64,
    F32,
    F64,
    TOUCH, /* the byte at an offset, plus 1, after signing */
} edit_kind;

typedef struct edit {
    edit_kind kind;
    const char *where; /* a path, or a tensor's name */
    size_t offset;     /* of the number in the tensor, in bytes */
    const char *value; /* JSON, or what strtod reads; NULL deletes */
} edit;

typedef struct damage {
    edit edits[4];
    const char *message; /* part of it */
} damage;

/* Where things lie in tree.nodes: three nodes of two children each. A node is a header of 64 bytes,
 * two references of 32 and two prototypes of one line (64 bytes). */
#define NODE(n)         ((size_t)(n)*256)
#define CHILD(n, child) (NODE(n) + 64 + (size_t)(child)*32)
#define PROTOTYPE(n, p) (NODE(n) + 128 + (size_t)(p)*64)
/* Fields of a reference. */
enum { KIND = 0, GROUP = 4, OFFSET = 8, LENGTH = 16, CRC = 20, ID = 24, LEAF = 28 };
/* Fields of a node header. */
enum { NODE_ID = 0, DEPTH = 4, CHILDREN = 8, DIMS = 12, RESERVED = 60 };
/* Fields of a stem column; column 1 is the category. */
#define COLUMN(c, field) ((size_t)(c)*32 + (size_t)(field)*4)
enum { CODES, MISSING, PLAIN, FEATURE, KNOT, KNOTS, ENTRY, PERIODIC };

static const damage damages[] = {
#include "damages.inc"
};

/* Entries of a table of notes. */
#define SHARE(i) ((size_t)(i)*16)
#define VALUE(i) ((size_t)(i)*16 + 8)

/* The same model with notes: tables of 10 residuals for each of 2 targets, of 8 distances, and records of 16 bytes. */
static const damage note_damages[] = {
#include "damages_notes.inc"
};

/* One module and one target. */
static const damage lone_damages[] = {
    /* clang-format off */
    {{{F32, "notes.center", 0, "nan"}}, "tensor \"notes.center\": number 0 is nan, expected at most 1e+18 in size"},
    {{{F32, "notes.center", 4, "inf"}}, "tensor \"notes.center\": number 1 is inf, expected at most 1e+18 in size"},
    {{{F32, "notes.center", 60, "1"}}, "tensor \"notes.center\": number 15 is 1, expected at most 0 in size"},
    {{{U32, "ramify.pad.6", 28, "1"}}, "tensor \"notes.residuals\": the pad after it is not 0"},
    {{{U32, "ramify.pad.7", 0, "1"}}, "tensor \"notes.distances\": the pad after it is not 0"},
    {{{U32, "ramify.pad.8", 48, "1"}}, "tensor \"notes.leaves\": the pad after it is not 0"},
    {{{HEADER, "notes.center", 0, NULL}}, "(tensors must neither overlap nor leave a gap)"},
    /* clang-format on */
};

/* One leaf with a series: set 0 of band 3 on one axis, column 0. */
static const damage series_damages[] = {
    /* clang-format off */
    {{{TOUCH, "experts.0", 4, NULL}}, "tensor \"experts.0\", module 0: checksum"},
    {{{U32, "experts.0", 0, "3"}}, "module 0: its header is not that of a series of this model"},
    {{{U32, "experts.0", 4, "16385"}}, "module 0: its header is not that of a series of this model"},
    {{{U32, "experts.0", 8, "65"}}, "module 0: its header is not that of a series of this model"},
    {{{U32, "experts.0", 8, "64"}}, "module 0: it is too short for its axes"},
    {{{U32, "experts.0", 8, "0"}}, "module 0: it has a band and no axis"},
    {{{U32, "experts.0", 12, "2"}}, "module 0: its header is not that of a series of this model"},
    {{{U32, "experts.0", 16, "77"}}, "module 0: it does not have the terms of its band"},
    {{{U32, "experts.0", 20, "2"}}, "module 0: its header is not that of a series of this model"},
    {{{U32, "experts.0", 24, "2"}}, "module 0: its header is not that of a series of this model"},
    {{{U32, "experts.0", 60, "1"}}, "module 0: its reserved bytes are not 0"},
    {{{F64, "experts.0", 64, "inf"}}, "module 0: an axis has no usable origin or length"},
    {{{F64, "experts.0", 72, "0"}}, "module 0: an axis has no usable origin or length"},
    {{{U32, "experts.0", 80, "3"}}, "module 0: its axes are not columns of the table in their order"},
    {{{U32, "experts.0", 84, "3"}}, "module 0: an axis has an unknown basis"},
    {{{U32, "experts.0", 88, "1"}}, "module 0: its reserved bytes are not 0"},
    {{{F64, "experts.0", 128, "nan"}}, "module 0: a coefficient is not a number of usable size"},
    {{{CONFIG, "groups/0/shape/functions", 0, "0"}}, "module 0: it has more functions than the config says"},
    {{{CONFIG, "groups/0/shape/numbers", 0, "1"}}, "module 0: it has more coefficients than the config says"},
    {{{CONFIG, "groups/0/shape/columns", 0, "2"}}, "config: modules take 2 inputs, expected 3, the columns"},
    {{{CONFIG, "groups/0/shape/outputs", 0, "2"}}, "config: modules give 2 outputs, expected 1"},
    {{{CONFIG, "groups/0/shape/bytes", 0, "129"}}, "the largest bandlimited module has 129 bytes, expected a multiple of 64"},
    {{{CONFIG, "groups/0/shape/bytes", 0, "64"}}, "tensor \"tree.root\": refers to 192 bytes of module 0, expected a multiple of 64 up to 64"},
    {{{CONFIG, "groups/0/bytes", 0, "256"}}, "is \"experts.0\" U8 [192], expected \"experts.0\" U8 [256]"},
    {{{CONFIG, "groups/0/bytes", 0, "-64"}}, "config: groups[0].bytes is -64"},
    {{{CONFIG, "groups/0/numbers", 0, "0"}}, "config: groups[0].numbers is 0"},
    {{{CONFIG, "groups/0/tensor", 0, "\"experts.1\""}}, "config: the tensor of group 0 is not called experts.0"},
    {{{CONFIG, "groups", 0, "[]"}}, "config: 0 groups of modules, expected a list of 1 or 2"},
    {{{U64, "tree.root", OFFSET, "64"}}, "tensor \"tree.root\": refers to 192 bytes of module 0 at offset 64, expected a multiple of 64 inside the 192 bytes from 0 on"},
    /* clang-format on */
};

/* The same as classes. */
static const damage class_damages[] = {
    /* clang-format off */
    {{{CONFIG, "notes/residuals", 0, "1"}}, "config: notes.residuals is 1, expected 0 to 0"},
    {{{F32, "notes.leaves", 0, "0"}}, "tensor \"notes.leaves\", leaf 0: number 0 is 0, expected 1e-18 to 1e+18"},
    /* clang-format on */
};

static ramify_context *new_context(void) {
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    return context;
}

static void apply(model_file *file, const edit *change) {
    unsigned char *at = NULL;
    bool whole = change->kind == U32 || change->kind == U64;
    uint64_t count = whole ? strtoull(change->value, NULL, 10) : 0;
    double number = change->kind == F32 || change->kind == F64 ? strtod(change->value, NULL) : 0.0;
    if (change->kind >= U32)
        at = model_file_tensor(file, change->where) + change->offset;
    switch (change->kind) {
    case HEADER:
        model_file_edit(file->header, change->where, change->value);
        break;
    case CONFIG:
        model_file_edit(file->config, change->where, change->value);
        break;
    case U32:
        memcpy(at, &(uint32_t){(uint32_t)count}, 4);
        break;
    case U64:
        memcpy(at, &count, 8);
        break;
    case F32:
        memcpy(at, &(float){(float)number}, 4);
        break;
    case F64:
        memcpy(at, &number, 8);
        break;
    case TOUCH:
    case NOTHING:
        break;
    }
}

/* Opens and checks; on success RAMIFY_OK. */
static ramify_status try_bytes(ramify_context *context, const void *bytes, size_t size) {
    ramify_model *model = NULL;
    ramify_status status = ramify_open_buffer(context, bytes, size, &model);
    if (status == RAMIFY_OK)
        status = ramify_model_check(context, model);
    ramify_close(&model);
    return status;
}

/* Damaged nodes and modules must be found on the way of a row, too, or do no harm. */
static void predict_bytes(ramify_context *context, const void *bytes, size_t size) {
    ramify_model *model = NULL;
    if (ramify_open_buffer(context, bytes, size, &model) != RAMIFY_OK)
        return;
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(context, model, 7, &predictor), RAMIFY_OK);
    double x[50 * 3], y[50 * 2];
    for (size_t i = 0; i < 150; i++)
        x[i] = (double)(i * 37 % 11) - 5.0;
    ramify_status status = ramify_predict_double(predictor, 50, x, 3, y, 2);
    assert_true(status == RAMIFY_OK || status == RAMIFY_ERROR_FORMAT);
    double low[50 * 2], high[50 * 2], novelty[50];
    status = ramify_predict_interval(predictor, 50, x, 3, 0.5, y, low, high, 2);
    assert_true(status == RAMIFY_OK || status == RAMIFY_ERROR_FORMAT ||
                status == RAMIFY_ERROR_UNSUPPORTED || status == RAMIFY_ERROR_ARGUMENT);
    for (size_t i = 0; i < 50 && status == RAMIFY_OK; i++)
        for (size_t t = 0; t < model->targets; t++)
            assert_true(low[2 * i + t] <= high[2 * i + t]);
    status = ramify_predict_novelty(predictor, 50, x, 3, novelty);
    assert_true(status == RAMIFY_OK || status == RAMIFY_ERROR_FORMAT ||
                status == RAMIFY_ERROR_UNSUPPORTED);
    for (size_t i = 0; i < 50 && status == RAMIFY_OK; i++)
        assert_true(novelty[i] >= 0 && novelty[i] <= 1);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
}

/* Destroys the subject. */
static void damage_subject(ramify_context *context, random_model *subject, const damage *list,
                           size_t count) {
    size_t size;
    void *good = random_model_bytes(subject, &size);
    if (try_bytes(context, good, size) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    size_t failures = 0;
    for (size_t i = 0; i < count; i++) {
        model_file *file = model_file_take(good, size);
        for (size_t e = 0; e < 4; e++)
            apply(file, &list[i].edits[e]);
        /* A damage to the checksums themselves, or to the config's text, stays. */
        bool signed_by_us = true;
        for (size_t e = 0; e < 4; e++)
            if (list[i].edits[e].where && strstr(list[i].edits[e].where, "/ramify.c"))
                signed_by_us = false;
        if (signed_by_us)
            model_file_sign(file);
        for (size_t e = 0; e < 4; e++)
            if (list[i].edits[e].kind == TOUCH)
                model_file_tensor(file, list[i].edits[e].where)[list[i].edits[e].offset]++;
        size_t bad_size;
        unsigned char *bad = model_file_join(file, &bad_size);
        ramify_status status = try_bytes(context, bad, bad_size);
        const char *message = ramify_message(context);
        if (status == RAMIFY_OK || !strstr(message, list[i].message)) {
            fprintf(stderr, "damage %zu (%s): status %s\n  found    %s\n  expected %s\n", i,
                    list[i].edits[0].where, ramify_status_name(status), message, list[i].message);
            failures++;
        }
        predict_bytes(context, bad, bad_size);
        free(bad);
        model_file_free(file);
    }
    assert_int_equal(failures, 0);
    ramify_release(context, good);
    random_model_destroy(subject);
}

static void test_damages(void **state) {
    (void)state;
    ramify_context *context = new_context();
    damage_subject(context, model_file_subject(context, false, 0), damages,
                   sizeof damages / sizeof damages[0]);
    ramify_context_destroy(&context);
}

static void test_damaged_notes(void **state) {
    (void)state;
    ramify_context *context = new_context();
    damage_subject(context, model_file_subject(context, true, 0), note_damages,
                   sizeof note_damages / sizeof note_damages[0]);
    random_model_options options = random_model_defaults();
    options.levels = 0;
    options.notes = true;
    damage_subject(context, random_model_create(context, &options), lone_damages,
                   sizeof lone_damages / sizeof lone_damages[0]);
    options.notes = false;
    options.series = 1;
    for (options.seed = 1;; options.seed++) {
        random_model *subject = random_model_create(context, &options);
        const ramify_series_header *series = subject->draft.series[0];
        if (series->axes == 1 && series->bytes == 8 && series->band == 3) {
            damage_subject(context, subject, series_damages,
                           sizeof series_damages / sizeof series_damages[0]);
            break;
        }
        random_model_destroy(subject);
    }
    options.series = 0;
    options.notes = true;
    options.task = RAMIFY_TASK_CLASSIFICATION;
    options.outputs = 2;
    damage_subject(context, random_model_create(context, &options), class_damages,
                   sizeof class_damages / sizeof class_damages[0]);
    ramify_context_destroy(&context);
}

/* Weights within their limit of which a row's output overflows: no prediction rather than infinity. */
static void test_overflow(void **state) {
    (void)state;
    ramify_context *context = new_context();
    for (int classes = 0; classes < 2; classes++) {
        random_model_options options = random_model_defaults();
        options.levels = 0;
        options.task = classes ? RAMIFY_TASK_CLASSIFICATION : RAMIFY_TASK_REGRESSION;
        options.outputs = 2;
        random_model *subject = random_model_create(context, &options);
        size_t size, bad_size;
        unsigned char *good = random_model_bytes(subject, &size);
        model_file *file = model_file_take(good, size);
        float *weight = (float *)(void *)model_file_tensor(file, "experts.0");
        size_t floats =
            (size_t)(file->data + file->data_size - (unsigned char *)weight) / sizeof(float);
        for (size_t i = 0; i < floats; i++)
            if (weight[i] != 0)
                weight[i] = weight[i] > 0 ? 1e18F : -1e18F;
        model_file_sign(file);
        unsigned char *bad = model_file_join(file, &bad_size);
        ramify_model *model = NULL;
        if (ramify_open_buffer(context, bad, bad_size, &model) != RAMIFY_OK)
            fail_msg("%s", ramify_message(context));
        ramify_predictor *predictor = NULL;
        assert_int_equal(ramify_predictor_create(context, model, 1, &predictor), RAMIFY_OK);
        ramify_model_info info;
        ramify_model_get_info(model, &info);
        double x[64] = {1, 1, 1, 1, 1, 1, 1, 1}, y[2], gradient[64];
        assert_in_range(info.columns, 1, 64);
        static const char sentence[] =
            "module 0: its weights are so large that what it computes is "
            "not finite";
        assert_int_equal(ramify_predict_double(predictor, 1, x, info.columns, y, 2),
                         RAMIFY_ERROR_FORMAT);
        assert_non_null(strstr(ramify_message(context), sentence));
        assert_int_equal(ramify_predict_gradient(predictor, 1, x, info.columns, 0, gradient, 64),
                         RAMIFY_ERROR_FORMAT);
        assert_non_null(strstr(ramify_message(context), sentence));
        ramify_predictor_destroy(&predictor);
        ramify_close(&model);
        free(bad);
        model_file_free(file);
        ramify_release(context, good);
        random_model_destroy(subject);
    }
    ramify_context_destroy(&context);
}

/* Records that are whole, but another leaf's. */
static void test_misplaced_notes(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model *subject = model_file_subject(context, true, 0);
    size_t size;
    unsigned char *bytes = random_model_bytes(subject, &size), record[16];
    unsigned char *records = bytes + size - 64;
    memcpy(record, records, 16);
    memcpy(records, records + 16, 16);
    memcpy(records + 16, record, 16);
    assert_int_equal(try_bytes(context, bytes, size), RAMIFY_ERROR_FORMAT);
    assert_non_null(strstr(ramify_message(context), "\"notes.leaves\", leaf 0: checksum"));
    ramify_release(context, bytes);
    random_model_destroy(subject);
    ramify_context_destroy(&context);
}

/* Damages that no edit of a parsed header can make: header text as it is. */
typedef struct raw_damage {
    const char *header;
    bool padding;
    const char *message;
} raw_damage;

static const raw_damage raw_damages[] = {
    {"[]", true, "header: not a JSON object"},
    {"{}", false, "data begin at byte 10, expected a multiple of 4096"},
    {"{} x", true, "header: not valid JSON at byte 4"},
    {"{\"a\":1,\"a\":2}", true, "header: not valid JSON at byte 10"},
    {"{\"\xff\":1}", true, "header: not valid JSON at byte 2"},
    {"{\"a\":[[[1]]]}", true, "header: JSON nested 4 deep, expected at most 3"},
    {"{}", true, "a safetensors file without metadata, not a ramify model"},
    {"{\"__metadata__\":[]}", true, "header: __metadata__ is not an object"},
    {"{\"__metadata__\":{\"a\":1}}", true, "header: a value of __metadata__ is not a string"},
    {"{\"__metadata__\":{}}", true, "the tensors end at byte 4096, the file at byte 4160"},
};

static void test_raw_damages(void **state) {
    (void)state;
    ramify_context *context = new_context();
    unsigned char data[64] = {0};
    for (size_t i = 0; i < sizeof raw_damages / sizeof raw_damages[0]; i++) {
        size_t size;
        unsigned char *bytes =
            model_file_join_text(raw_damages[i].header, strlen(raw_damages[i].header),
                                 raw_damages[i].padding, data, sizeof data, &size);
        assert_int_equal(try_bytes(context, bytes, size), RAMIFY_ERROR_FORMAT);
        if (!strstr(ramify_message(context), raw_damages[i].message))
            fail_msg("%s: found \"%s\", expected \"%s\"", raw_damages[i].header,
                     ramify_message(context), raw_damages[i].message);
        free(bytes);
    }
    ramify_context_destroy(&context);
}

static void test_many_values(void **state) {
    (void)state;
    ramify_context *context = new_context();
    char *text = malloc(RAMIFY_HEADER_VALUES_MAX * 2 + 8192);
    size_t length = (size_t)sprintf(text, "{\"a\":[1");
    while (length < 2 * RAMIFY_HEADER_VALUES_MAX + 64)
        length += (size_t)sprintf(text + length, ",1");
    length += (size_t)sprintf(text + length, "]}");
    size_t size;
    unsigned char *bytes =
        model_file_join_text(text, length, true, (const unsigned char *)text, 64, &size);
    assert_int_equal(try_bytes(context, bytes, size), RAMIFY_ERROR_FORMAT);
    assert_non_null(strstr(ramify_message(context), "JSON values, expected at most 65536"));
    free(bytes);
    free(text);
    ramify_context_destroy(&context);
}

static void test_many_tensors(void **state) {
    (void)state;
    ramify_context *context = new_context();
    const size_t count = RAMIFY_TENSORS_MAX;
    char *text = malloc(count * 16 + 64);
    size_t length = (size_t)sprintf(text, "{\"__metadata__\":{}");
    for (size_t i = 0; i < count; i++)
        length += (size_t)sprintf(text + length, ",\"t%zu\":{}", i);
    length += (size_t)sprintf(text + length, "}");
    unsigned char data[64] = {0};
    size_t size;
    unsigned char *bytes = model_file_join_text(text, length, true, data, sizeof data, &size);
    assert_int_equal(try_bytes(context, bytes, size), RAMIFY_ERROR_FORMAT);
    assert_non_null(strstr(ramify_message(context), "header: more than 8192 tensors"));
    free(bytes);
    free(text);
    ramify_context_destroy(&context);
}

static void test_lengths(void **state) {
    (void)state;
    ramify_context *context = new_context();
    static const struct {
        uint64_t length;
        size_t size;
        const char *message;
    } cases[] = {
        {0, 7, "7 bytes long, not a ramify model or cut short"},
        {0, 64, "not a ramify model: header length 0, expected 2 to 1048576"},
        {1048577, 64, "not a ramify model: header length 1048577, expected 2 to 1048576"},
        {UINT64_MAX, 64, "header length 18446744073709551615, expected 2 to 1048576"},
        {4088, 64, "header of 4088 bytes, the file has 56 after its length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[64] = {0};
        memcpy(bytes, &cases[i].length, 8);
        assert_int_equal(try_bytes(context, bytes, cases[i].size), RAMIFY_ERROR_FORMAT);
        if (!strstr(ramify_message(context), cases[i].message))
            fail_msg("found \"%s\", expected \"%s\"", ramify_message(context), cases[i].message);
    }
    ramify_context_destroy(&context);
}

/* The message in full, once: what, found, expected, cure. */
static void test_whole_sentence(void **state) {
    (void)state;
    ramify_context *context = new_context();
    random_model *subject = model_file_subject(context, false, 0);
    size_t size;
    unsigned char *bytes = random_model_bytes(subject, &size);
    bytes[size - 1] ^= 1;
    assert_int_equal(try_bytes(context, bytes, size), RAMIFY_ERROR_FORMAT);
    const char *message = ramify_message(context);
    assert_ptr_equal(strstr(message, "model: tensor \"experts.0\", module 3: checksum "), message);
    assert_non_null(strstr(message, "; the file is damaged: copy or train it again"));
    ramify_release(context, bytes);
    random_model_destroy(subject);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damages),         cmocka_unit_test(test_damaged_notes),
        cmocka_unit_test(test_misplaced_notes), cmocka_unit_test(test_raw_damages),
        cmocka_unit_test(test_many_values),     cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_lengths),         cmocka_unit_test(test_whole_sentence),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

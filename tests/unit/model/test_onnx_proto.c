/* Protocol buffers byte by byte, and the statements from which ONNX nodes are made. The expected
 * bytes are those of the encoding's description, and of onnx.proto's field numbers. */

#include "counting.h"
#include "memory.h"
#include "onnx_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ramify_context *context;

static int set_up(void **state) {
    (void)state;
    return ramify_context_create(NULL, &context) != RAMIFY_OK;
}

static int tear_down(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

static void expect(ramify_proto *proto, const char *bytes, size_t size) {
    assert_int_equal(proto->status, RAMIFY_OK);
    assert_int_equal(proto->used, size);
    assert_memory_equal(proto->bytes, bytes, size);
    ramify_release(context, proto->bytes);
    *proto = (ramify_proto){.context = context};
}

#define EXPECT(proto, text) expect(proto, text, sizeof(text) - 1)

static void test_varints(void **state) {
    (void)state;
    static const struct {
        uint64_t value;
        const char *bytes;
    } known[] = {
        {0, "\x00"},
        {1, "\x01"},
        {127, "\x7f"},
        {128, "\x80\x01"},
        {150, "\x96\x01"},
        {300, "\xac\x02"},
        {16383, "\xff\x7f"},
        {16384, "\x80\x80\x01"},
        {(uint64_t)1 << 32, "\x80\x80\x80\x80\x10"},
        {UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        unsigned char bytes[RAMIFY_VARINT_BYTES];
        size_t length = ramify_varint(known[i].value, bytes);
        assert_int_equal(length, i == 0 ? 1 : strlen(known[i].bytes));
        assert_memory_equal(bytes, known[i].bytes, length);
    }
}

static void test_fields(void **state) {
    (void)state;
    ramify_proto proto = {.context = context};
    ramify_proto_number(&proto, 1, 150);
    EXPECT(&proto, "\x08\x96\x01");
    ramify_proto_text(&proto, 2, "testing");
    EXPECT(&proto, "\x12\x07testing");
    ramify_proto_text(&proto, 2, "");
    EXPECT(&proto, "\x12\x00");
    ramify_proto_number(&proto, 16, 0); /* the tag takes two bytes */
    EXPECT(&proto, "\x80\x01\x00");
    ramify_proto_number(&proto, 3, (uint64_t)-1);
    EXPECT(&proto, "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    ramify_proto_bytes(&proto, 9, "\0\xff", 2);
    EXPECT(&proto, "\x4a\x02\0\xff");
    ramify_proto_head(&proto, 9, 300);
    EXPECT(&proto, "\x4a\xac\x02");
}

static void test_messages_in_messages(void **state) {
    (void)state;
    ramify_proto proto = {.context = context};
    size_t outer = ramify_proto_begin(&proto, 3);
    size_t empty = ramify_proto_begin(&proto, 1);
    ramify_proto_end(&proto, empty);
    size_t inner = ramify_proto_begin(&proto, 2);
    ramify_proto_number(&proto, 1, 5);
    ramify_proto_end(&proto, inner);
    ramify_proto_end(&proto, outer);
    ramify_proto_number(&proto, 4, 1);
    EXPECT(&proto, "\x1a\x06\x0a\x00\x12\x02\x08\x05\x20\x01");
}

/* Lengths of one, two and three bytes, each around a message that is moved to make room for it. */
static void test_long_messages(void **state) {
    (void)state;
    static const size_t sizes[] = {127, 128, 16383, 16384, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ramify_proto proto = {.context = context};
        unsigned char *content = malloc(sizes[i]);
        assert_non_null(content);
        for (size_t j = 0; j < sizes[i]; j++)
            content[j] = (unsigned char)(j * 7 + i);
        size_t begin = ramify_proto_begin(&proto, 1);
        ramify_proto_bytes(&proto, 2, content, sizes[i]);
        ramify_proto_end(&proto, begin);
        unsigned char inside[RAMIFY_VARINT_BYTES], around[RAMIFY_VARINT_BYTES];
        size_t inside_length = ramify_varint(sizes[i], inside);
        size_t around_length = ramify_varint(1 + inside_length + sizes[i], around);
        assert_int_equal(proto.status, RAMIFY_OK);
        assert_int_equal(proto.used, 2 + around_length + inside_length + sizes[i]);
        assert_int_equal(proto.bytes[0], 0x0a);
        assert_memory_equal(proto.bytes + 1, around, around_length);
        assert_int_equal(proto.bytes[1 + around_length], 0x12);
        assert_memory_equal(proto.bytes + 2 + around_length, inside, inside_length);
        assert_memory_equal(proto.bytes + 2 + around_length + inside_length, content, sizes[i]);
        free(content);
        ramify_release(context, proto.bytes);
    }
}

/* A refused allocation is remembered, and nothing is written after it. */
static void test_refused_memory(void **state) {
    (void)state;
    counting counts = {0};
    ramify_context *poor = counting_context(&counts);
    uint64_t live = counts.live;
    for (uint64_t refused = 1; refused <= 2; refused++) {
        ramify_proto proto = {.context = poor};
        counts.calls = 0;
        counts.fail_once = refused;
        size_t begin = ramify_proto_begin(&proto, 1);
        for (int i = 0; i < 2000; i++)
            ramify_proto_text(&proto, 2, "text");
        ramify_proto_end(&proto, begin);
        assert_int_equal(proto.status, RAMIFY_ERROR_MEMORY);
        ramify_release(poor, proto.bytes);
        assert_int_equal(counts.live, live);
    }
    ramify_context_destroy(&poor);
}

/* The node's length, then NodeProto: name 3, output 2, op_type 4, attribute 5, input 1. */
static void test_statements(void **state) {
    (void)state;
    ramify_onnx *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->nodes.context = g->constants.context = context;

    ramify_onnx_set_prefix(g, "p%d/", 1);
    ramify_onnx_node(g, "@%s = Add(left , @right)", "sum");
    EXPECT(&g->nodes, "\x0a\x25\x1a\x06p1/sum\x12\x06p1/sum\x22\x03"
                      "Add\x0a\x04left\x0a\x08p1/right");
    assert_int_equal(g->constants.used, 0);

    /* An output that is not wanted; attributes (name 1, i 3, ints 8, type 20) of both kinds. */
    ramify_onnx_node(g, "a, , b = Op<axis=-1,perm=[1,0]>(x)");
    EXPECT(&g->nodes, "\x0a\x37\x1a\x01"
                      "a\x12\x01"
                      "a\x12\x00\x12\x01"
                      "b\x22\x02Op"
                      "\x2a\x14\x0a\x04"
                      "axis\xa0\x01\x02\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                      "\x2a\x0d\x0a\x04perm\xa0\x01\x07\x40\x01\x40\x00"
                      "\x0a\x01x");
    assert_int_equal(g->constants.used, 0);

    /* Literals become initialisers, once: GraphProto's field 5; dims 1, data_type 2, name 8,
     * raw_data 9. */
    ramify_onnx_node(g, "c = Op(x, [2,-3], 7)");
    EXPECT(&g->nodes, "\x0a\x18\x1a\x01"
                      "c\x12\x01"
                      "c\x22\x02Op\x0a\x01x\x0a\x06[2,-3]\x0a\x01"
                      "7");
    ramify_onnx_node(g, "d = Op(7)");
    EXPECT(&g->constants, "\x2a\x1e\x08\x02\x10\x07\x42\x06[2,-3]"
                          "\x4a\x10\x02\0\0\0\0\0\0\0\xfd\xff\xff\xff\xff\xff\xff\xff"
                          "\x2a\x0f\x10\x07\x42\x01"
                          "7\x4a\x08\x07\0\0\0\0\0\0\0");
    ramify_release(context, g->nodes.bytes);
    free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_messages_in_messages),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_refused_memory),
        cmocka_unit_test(test_statements),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

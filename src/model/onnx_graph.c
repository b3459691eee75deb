/* Nodes, initialisers and values of an ONNX graph as protobuf messages. See onnx_graph.h. */

#include "onnx_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_MAX 512

/* Fields of messages that only this file writes. */
enum {
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    VALUE_DOC = 3,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEMENT = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_PARAM = 2
};

uint32_t ramify_onnx_type_bytes(uint32_t type) {
    switch (type) {
    case RAMIFY_ONNX_FLOAT:
        return 4;
    case RAMIFY_ONNX_BOOL:
        return 1;
    default: /* RAMIFY_ONNX_INT64, RAMIFY_ONNX_DOUBLE */
        return 8;
    }
}

static uint64_t shape_bytes(uint32_t type, ramify_onnx_shape shape) {
    uint64_t bytes = ramify_onnx_type_bytes(type);
    for (uint32_t i = 0; i < shape.rank; i++)
        bytes *= shape.dims[i];
    return bytes;
}

uint64_t ramify_onnx_tensor_bytes(const ramify_onnx_tensor *tensor) {
    return shape_bytes(tensor->type, tensor->shape);
}

/* ---- initialisers ---- */

void ramify_onnx_tensor_head(ramify_proto *proto, const char *name, uint32_t type,
                             ramify_onnx_shape shape) {
    for (uint32_t i = 0; i < shape.rank; i++)
        ramify_proto_number(proto, RAMIFY_ONNX_TENSOR_DIM, shape.dims[i]);
    ramify_proto_number(proto, RAMIFY_ONNX_TENSOR_TYPE, type);
    ramify_proto_text(proto, RAMIFY_ONNX_TENSOR_NAME, name);
}

void ramify_onnx_constant(ramify_onnx *g, const char *name, uint32_t type, ramify_onnx_shape shape,
                          const void *values) {
    ramify_proto *to = &g->constants;
    size_t tensor = ramify_proto_begin(to, RAMIFY_ONNX_GRAPH_INITIALISER);
    ramify_onnx_tensor_head(to, name, type, shape);
    ramify_proto_bytes(to, RAMIFY_ONNX_TENSOR_RAW, values, (size_t)shape_bytes(type, shape));
    ramify_proto_end(to, tensor);
}

void ramify_onnx_list(ramify_onnx *g, const char *name, uint32_t count) {
    ramify_onnx_constant(g, name, RAMIFY_ONNX_INT64, (ramify_onnx_shape){1, {count}}, g->list);
}

void ramify_onnx_strings(ramify_onnx *g, const char *name, char *const *texts, uint32_t count) {
    ramify_proto *to = &g->constants;
    size_t tensor = ramify_proto_begin(to, RAMIFY_ONNX_GRAPH_INITIALISER);
    ramify_onnx_tensor_head(to, name, RAMIFY_ONNX_STRING, (ramify_onnx_shape){1, {count}});
    for (uint32_t i = 0; i < count; i++)
        ramify_proto_text(to, RAMIFY_ONNX_TENSOR_STRING, texts[i]);
    ramify_proto_end(to, tensor);
}

/* Writes `from` with '@' replaced by the prefix; cut off where it does not fit. */
static void expand(const ramify_onnx *g, const char *from, char *to, size_t room) {
    size_t used = 0;
    for (; *from && used + 1 < room; from++) {
        if (*from != '@') {
            to[used++] = *from;
            continue;
        }
        for (const char *c = g->prefix; *c && used + 1 < room; c++)
            to[used++] = *c;
    }
    to[used] = '\0';
}

ramify_onnx_tensor *
ramify_onnx_stream(ramify_onnx *g, const char *name, uint32_t type, ramify_onnx_shape shape,
                   void (*fill)(ramify_onnx *g, const ramify_onnx_tensor *tensor)) {
    ramify_onnx_tensor *tensor = &g->tensors[g->tensor_count++];
    *tensor = (ramify_onnx_tensor){.type = type, .shape = shape, .fill = fill};
    expand(g, name, tensor->name, sizeof tensor->name);
    return tensor;
}

/* ---- statements ---- */

void ramify_onnx_set_prefix(ramify_onnx *g, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(g->prefix, sizeof g->prefix, format, arguments);
    va_end(arguments);
}

typedef struct piece {
    const char *text;
    size_t length;
} piece;

/* The text up to the first of `stops` outside brackets, without the blanks around it; *at moves to
 * that stop, or to the end. */
static piece take(const char **at, const char *stops) {
    const char *from = *at + strspn(*at, " ");
    const char *to = from;
    for (int depth = 0; *to && (depth > 0 || !strchr(stops, *to)); to++)
        depth += (*to == '[') - (*to == ']');
    *at = to;
    while (to > from && to[-1] == ' ')
        to--;
    return (piece){from, (size_t)(to - from)};
}

/* The numbers of "7" or "[7,-1]"; at most `room`. */
static uint32_t read_numbers(piece from, int64_t *numbers, uint32_t room) {
    const char *at = from.text + (from.text[0] == '[');
    uint32_t count = 0;
    while (count < room) {
        char *end;
        numbers[count++] = strtoll(at, &end, 10);
        if (*end != ',' || end >= from.text + from.length)
            break;
        at = end + 1;
    }
    return count;
}

/* A literal is an initialiser under the name by which it is written. */
static void put_literal(ramify_onnx *g, piece literal) {
    char name[RAMIFY_ONNX_NAME];
    snprintf(name, sizeof name, "%.*s", (int)literal.length, literal.text);
    for (uint32_t i = 0; i < g->literal_count; i++)
        if (strcmp(g->literals[i], name) == 0)
            return;
    memcpy(g->literals[g->literal_count++], name, sizeof name);
    int64_t numbers[4];
    uint32_t count = read_numbers(literal, numbers, 4);
    uint32_t rank = literal.text[0] == '[';
    ramify_onnx_constant(g, name, RAMIFY_ONNX_INT64, (ramify_onnx_shape){rank, {count}}, numbers);
}

static void put_input(ramify_onnx *g, piece input) {
    if (input.length > 0 && strchr("-[0123456789", input.text[0]))
        put_literal(g, input);
    ramify_proto_bytes(&g->nodes, RAMIFY_ONNX_NODE_INPUT, input.text, input.length);
}

static void put_attribute(ramify_onnx *g, piece name, piece value) {
    ramify_proto *to = &g->nodes;
    size_t attribute = ramify_proto_begin(to, RAMIFY_ONNX_NODE_ATTRIBUTE);
    int64_t numbers[4];
    uint32_t count = read_numbers(value, numbers, 4);
    bool list = value.text[0] == '[';
    ramify_proto_bytes(to, RAMIFY_ONNX_ATTRIBUTE_NAME, name.text, name.length);
    ramify_proto_number(to, RAMIFY_ONNX_ATTRIBUTE_TYPE,
                        list ? RAMIFY_ONNX_IS_INTS : RAMIFY_ONNX_IS_INT);
    for (uint32_t i = 0; i < count; i++)
        ramify_proto_number(to, list ? RAMIFY_ONNX_ATTRIBUTE_INTS : RAMIFY_ONNX_ATTRIBUTE_INT,
                            (uint64_t)numbers[i]);
    ramify_proto_end(to, attribute);
}

/* The commas of a list go on as long as there are any. */
static bool next(const char **at) {
    bool more = **at == ',';
    *at += **at != '\0';
    return more;
}

void ramify_onnx_node(ramify_onnx *g, const char *format, ...) {
    char text[STATEMENT_MAX], statement[STATEMENT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    expand(g, text, statement, sizeof statement);

    const char *at = statement;
    ramify_proto *to = &g->nodes;
    size_t node = ramify_proto_begin(to, RAMIFY_ONNX_GRAPH_NODE);
    piece output = take(&at, ",=");
    ramify_proto_bytes(to, RAMIFY_ONNX_NODE_NAME, output.text, output.length);
    ramify_proto_bytes(to, RAMIFY_ONNX_NODE_OUTPUT, output.text, output.length);
    while (next(&at)) {
        output = take(&at, ",=");
        ramify_proto_bytes(to, RAMIFY_ONNX_NODE_OUTPUT, output.text, output.length);
    }
    piece name = take(&at, "<(");
    ramify_proto_bytes(to, RAMIFY_ONNX_NODE_OPERATOR, name.text, name.length);
    for (bool more = *at == '<'; more;) {
        at++;
        piece key = take(&at, "=");
        at += *at == '=';
        put_attribute(g, key, take(&at, ",>"));
        more = *at == ',';
    }
    at += strspn(at, "> ");
    do {
        at += *at == '(';
        put_input(g, take(&at, ",)"));
    } while (next(&at));
    ramify_proto_end(to, node);
}

void ramify_onnx_value(ramify_onnx *g, uint32_t field, const char *name, uint32_t type,
                       uint32_t rank, uint64_t columns, const char *doc) {
    ramify_proto *to = &g->nodes;
    size_t value = ramify_proto_begin(to, field);
    ramify_proto_text(to, VALUE_NAME, name);
    size_t kind = ramify_proto_begin(to, VALUE_TYPE);
    size_t tensor = ramify_proto_begin(to, TYPE_TENSOR);
    ramify_proto_number(to, TENSOR_TYPE_ELEMENT, type);
    size_t shape = ramify_proto_begin(to, TENSOR_TYPE_SHAPE);
    for (uint32_t i = 0; i < rank; i++) {
        size_t dim = ramify_proto_begin(to, SHAPE_DIM);
        if (i == 0)
            ramify_proto_text(to, DIM_PARAM, "rows");
        else
            ramify_proto_number(to, DIM_VALUE, columns);
        ramify_proto_end(to, dim);
    }
    ramify_proto_end(to, shape);
    ramify_proto_end(to, tensor);
    ramify_proto_end(to, kind);
    if (doc)
        ramify_proto_text(to, VALUE_DOC, doc);
    ramify_proto_end(to, value);
}

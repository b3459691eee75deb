/* Bytes on their way to the ONNX file. Lengths stand before what they are the length of, so all of
 * them are computed first; the numbers of long initialisers follow from the model's stores. */

#include "onnx_file.h"
#include "memory.h"
#include "progress.h"

#include <string.h>

/* Fields of ModelProto. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_DOC = 6,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_METADATA = 14,
    OPSET_VERSION = 2,
    METADATA_KEY = 1,
    METADATA_VALUE = 2
};

/* No operator that is used here is newer than opset 16, and 18 is the first to change one of them
 * (ReduceMean): 17 has nothing that an older reader may lack, and newer ones still read it. IR
 * version 8 came with it (onnx 1.12, 2022). */
#define OPSET      17
#define IR_VERSION 8

static void flush(ramify_onnx *g) {
    if (g->status == RAMIFY_OK && ramify_cancelled(g->context))
        g->status = RAMIFY_STOPPED;
    if (g->status == RAMIFY_OK)
        g->status = ramify_replacement_write(g->context, &g->file, g->buffer, g->used);
    g->written += g->used;
    g->used = 0;
    ramify_progress_report(g->context, "exporting", (double)g->written, (double)g->total);
}

void ramify_onnx_write(ramify_onnx *g, const void *bytes, size_t size) {
    const unsigned char *from = bytes;
    while (size > 0) {
        if (g->used == RAMIFY_ONNX_BUFFER)
            flush(g);
        size_t room = RAMIFY_ONNX_BUFFER - g->used;
        size_t count = size < room ? size : room;
        memcpy(g->buffer + g->used, from, count);
        g->used += count;
        from += count;
        size -= count;
    }
}

void ramify_onnx_write_floats(ramify_onnx *g, const float *values, size_t count) {
    ramify_onnx_write(g, values, count * sizeof *values);
}

void ramify_onnx_write_float(ramify_onnx *g, float value) {
    ramify_onnx_write(g, &value, sizeof value);
}

void ramify_onnx_write_double(ramify_onnx *g, double value) {
    ramify_onnx_write(g, &value, sizeof value);
}

void ramify_onnx_write_int64(ramify_onnx *g, int64_t value) {
    ramify_onnx_write(g, &value, sizeof value);
}

/* Bytes of a field of `size` bytes whose number is below 16. */
static uint64_t field_bytes(uint64_t size) {
    unsigned char length[RAMIFY_VARINT_BYTES];
    return 1 + ramify_varint(size, length) + size;
}

/* In g->head: what comes before a long initialiser's numbers. Returns the bytes of the whole
 * TensorProto. */
static uint64_t make_head(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    uint64_t bytes = ramify_onnx_tensor_bytes(tensor);
    g->head.used = 0;
    ramify_onnx_tensor_head(&g->head, tensor->name, tensor->type, tensor->shape);
    ramify_proto_head(&g->head, RAMIFY_ONNX_TENSOR_RAW, bytes);
    return g->head.used + bytes;
}

static void put_metadata(ramify_proto *to, const char *key, const char *value) {
    size_t entry = ramify_proto_begin(to, MODEL_METADATA);
    ramify_proto_text(to, METADATA_KEY, key);
    ramify_proto_text(to, METADATA_VALUE, value);
    ramify_proto_end(to, entry);
}

/* Everything but the graph, and the graph's tag and length. */
static void put_model(ramify_onnx *g, const char *schema, uint64_t graph_bytes, ramify_proto *to) {
    ramify_proto_number(to, MODEL_IR_VERSION, IR_VERSION);
    ramify_proto_text(to, MODEL_PRODUCER, "ramify");
    ramify_proto_text(to, MODEL_PRODUCER_VERSION, RAMIFY_VERSION);
    ramify_proto_text(to, MODEL_DOC,
                      "Columns of x in their order, categories in the order of their codes, "
                      "targets and classes: see the metadata ramify.schema.");
    size_t opset = ramify_proto_begin(to, MODEL_OPSET);
    ramify_proto_number(to, OPSET_VERSION, OPSET);
    ramify_proto_end(to, opset);
    put_metadata(to, "ramify.kind", g->model->kind);
    put_metadata(to, "ramify.schema", schema);
    ramify_proto_head(to, MODEL_GRAPH, graph_bytes);
}

static ramify_status proto_status(const ramify_onnx *g, const ramify_proto *model) {
    const ramify_proto *const all[] = {&g->nodes, &g->constants, &g->head, model};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i]->status != RAMIFY_OK)
            return all[i]->status;
    return RAMIFY_OK;
}

/* The file's content: what is not the graph, then the graph. */
static void write_content(ramify_onnx *g, const ramify_proto *model) {
    ramify_onnx_write(g, model->bytes, model->used);
    ramify_onnx_write(g, g->nodes.bytes, g->nodes.used);
    ramify_onnx_write(g, g->constants.bytes, g->constants.used);
    for (uint32_t i = 0; i < g->tensor_count && g->status == RAMIFY_OK; i++) {
        const ramify_onnx_tensor *tensor = &g->tensors[i];
        unsigned char start[1 + RAMIFY_VARINT_BYTES] = {RAMIFY_ONNX_GRAPH_INITIALISER << 3 | 2};
        size_t length = 1 + ramify_varint(make_head(g, tensor), start + 1);
        ramify_onnx_write(g, start, length);
        ramify_onnx_write(g, g->head.bytes, g->head.used);
        tensor->fill(g, tensor);
    }
    flush(g);
}

ramify_status ramify_onnx_save(ramify_onnx *g, const char *schema, const char *path) {
    uint64_t graph_bytes = g->nodes.used + g->constants.used;
    for (uint32_t i = 0; i < g->tensor_count; i++)
        graph_bytes += field_bytes(make_head(g, &g->tensors[i]));
    ramify_proto model = {.context = g->context};
    put_model(g, schema, graph_bytes, &model);
    g->total = model.used + graph_bytes;
    ramify_status status = proto_status(g, &model);
    if (status == RAMIFY_OK)
        status = ramify_replacement_begin(g->context, path, &g->file);
    if (status == RAMIFY_OK) {
        write_content(g, &model);
        status = g->status;
        if (status == RAMIFY_OK)
            status = ramify_replacement_commit(g->context, &g->file);
        else
            ramify_replacement_abandon(g->context, &g->file);
    }
    ramify_release(g->context, model.bytes);
    return status;
}

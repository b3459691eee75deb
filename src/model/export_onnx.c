/* The model as an ONNX file: the way through it, and the head's nodes. See onnx_graph.h. */

#include "memory.h"
#include "onnx_file.h"
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No reader of protobuf takes 2 GiB. What bytes_of_model leaves out, names, shapes and the schema,
 * stands in 1 MiB of a model file; it takes far less than the 64 MiB left for it here. */
#define EXPORT_BYTES_MAX (((uint64_t)2 << 30) - ((uint64_t)64 << 20))

/* Bytes of a model's numbers in the form of the file, at most. Every factor is capped by the format
 * (modules and nodes 2^32, a module 2^30 bytes, a node's prototypes 2^32), so nothing overflows. */
static uint64_t bytes_of_model(const ramify_model *model) {
    const ramify_tree_limits *limits = &model->limits;
    uint64_t experts = limits->modules * limits->module_bytes;
    /* Every node has the most children of any, and every column the most knots. */
    uint64_t tree =
        limits->nodes * limits->arity * ((uint64_t)limits->dims * sizeof(float) + sizeof(int64_t));
    uint64_t knots = model->stem.knot_count > 0
                         ? model->stem.columns * (uint64_t)RAMIFY_STEM_KNOTS_MAX * sizeof(float)
                         : 0;
    /* Frequencies are there twice, columns and features by several lists. */
    return experts + tree + knots + 2 * model->resident_bytes;
}

/* ---- the head ---- */

static void fill_head_center(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    ramify_onnx_write(g, g->model->head_center, (size_t)ramify_onnx_tensor_bytes(tensor));
}

static void fill_head_scale(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    ramify_onnx_write(g, g->model->head_scale, (size_t)ramify_onnx_tensor_bytes(tensor));
}

static void put_targets(ramify_onnx *g) {
    const ramify_onnx_shape shape = {1, {g->model->targets}};
    ramify_onnx_stream(g, "head/center", RAMIFY_ONNX_DOUBLE, shape, fill_head_center);
    ramify_onnx_stream(g, "head/scale", RAMIFY_ONNX_DOUBLE, shape, fill_head_scale);
    ramify_onnx_node(g, "head/double = Cast<to=%d>(%s)", RAMIFY_ONNX_DOUBLE, g->outputs);
    ramify_onnx_node(g, "head/scaled = Mul(head/double, head/scale)");
    ramify_onnx_node(g, "head/centred = Add(head/scaled, head/center)");
    ramify_onnx_node(g, "y = Cast<to=%d>(head/centred)", RAMIFY_ONNX_FLOAT);
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_OUTPUT, "y", RAMIFY_ONNX_FLOAT, 2, g->model->targets,
                      "the targets of ramify.schema, in their units");
}

/* True if the text is how a program would write the whole number that it sets *number to. */
static bool whole_number(const char *text, int64_t *number) {
    char again[32];
    char *end;
    *number = strtoll(text, &end, 10);
    snprintf(again, sizeof again, "%lld", (long long)*number);
    return *end == '\0' && strcmp(text, again) == 0;
}

/* As sklearn-onnx has it: first the label, a number where all classes are whole numbers, else a text;
 * then the probabilities. */
static void put_classes(ramify_onnx *g) {
    const ramify_schema *schema = g->model->schema;
    uint32_t count = schema->class_count;
    bool whole = true;
    for (uint32_t i = 0; i < count && whole; i++)
        whole = whole_number(schema->classes[i], &g->list[i]);
    if (whole)
        ramify_onnx_list(g, "classes", count);
    else
        ramify_onnx_strings(g, "classes", schema->classes, count);
    ramify_onnx_node(g, "probabilities = Softmax<axis=1>(%s)", g->outputs);
    ramify_onnx_node(g, "head/likeliest = ArgMax<axis=1,keepdims=0>(probabilities)");
    ramify_onnx_node(g, "label = Gather(classes, head/likeliest)");
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_OUTPUT, "label",
                      whole ? RAMIFY_ONNX_INT64 : RAMIFY_ONNX_STRING, 1, 0, "the likeliest class");
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_OUTPUT, "probabilities", RAMIFY_ONNX_FLOAT, 2, count,
                      "one for each of the classes of ramify.schema");
}

/* ---- all of it ---- */

static void put_graph(ramify_onnx *g) {
    const float zero = 0.0F;
    ramify_proto_text(&g->nodes, RAMIFY_ONNX_GRAPH_NAME, "ramify");
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_INPUT, "x", RAMIFY_ONNX_FLOAT, 2, g->stem->columns,
                      "the columns of ramify.schema in their order: numbers in the units of the "
                      "training table, categories by their codes, NaN where a value is missing");
    ramify_onnx_constant(g, "zero", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){0}, &zero);
    ramify_onnx_put_stem(g);
    ramify_onnx_put_experts(g);
    if (g->model->targets > 0)
        put_targets(g);
    else
        put_classes(g);
}

/* Room for one number per column, plain feature, feature or class. */
static size_t list_room(const ramify_model *model) {
    size_t room = model->stem.plain; /* at least one per column */
    room = model->stem.features > room ? model->stem.features : room;
    return model->outputs > room ? model->outputs : room;
}

static ramify_status export_graph(ramify_onnx *g, const char *schema, const char *path) {
    size_t room = list_room(g->model);
    g->list = ramify_allocate(g->context, room, sizeof *g->list);
    g->order = ramify_allocate(g->context, room, sizeof *g->order);
    g->buffer = ramify_allocate(g->context, RAMIFY_ONNX_BUFFER, 1);
    if (!g->list || !g->order || !g->buffer)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(ramify_export_tree_walk(g->context, g->model, &g->traffic, &g->tree));
    g->routed = g->tree.modules > 1;
    put_graph(g);
    return ramify_onnx_save(g, schema, path);
}

/* The schema's JSON as a text; free with free, as it is jansson's. */
static ramify_status schema_text(ramify_context *context, const ramify_model *model, char **text) {
    json_t *json;
    RAMIFY_TRY(ramify_schema_to_json(context, model->schema, false, &json));
    *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (!*text)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for the schema's JSON");
    return RAMIFY_OK;
}

ramify_status ramify_export_onnx(ramify_context *context, ramify_model *model, const char *path) {
    ramify_clear(context);
    if (!model || !path)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_export_onnx: model or path is NULL");
    RAMIFY_TRY(ramify_export_check(context, model, "ONNX", bytes_of_model(model), EXPORT_BYTES_MAX,
                                   "an ONNX file, which must be below 2 GiB"));
    ramify_onnx *g = ramify_allocate_zeroed(context, 1, sizeof *g);
    if (!g)
        return RAMIFY_ERROR_MEMORY;
    *g = (ramify_onnx){.context = context, .model = model, .stem = &model->stem};
    g->nodes.context = g->constants.context = g->head.context = context;
    g->mlp = &model->shape.mlp;
    ramify_mlp_layout(g->mlp, g->layer);
    char *schema = NULL;
    ramify_status status = schema_text(context, model, &schema);
    if (status == RAMIFY_OK)
        status = export_graph(g, schema, path);
    free(schema);
    ramify_export_tree_release(context, &g->tree);
    void *parts[] = {g->nodes.bytes, g->constants.bytes, g->head.bytes,
                     g->list,        g->order,           g->buffer};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ramify_release(context, parts[i]);
    ramify_release(context, g);
    return status;
}

/* Tree and experts as nodes.
 *
 * All rows go down the tree side by side, a level at a time; rows that have arrived early stay where
 * they are. Then a Loop runs over the modules that rows have come to: it takes the rows of one,
 * passes them through its layers as matrix products, and puts the results where they belong.
 * Gathering every row's weights and multiplying row by row would do without a Loop. Tried in ONNX
 * Runtime it was hardly quicker for one row, several times slower for thousands, and took memory for
 * an expert per row.
 *
 * With one module there is neither tree nor loop: an ordinary network. */

#include "onnx_graph.h"

#include <stdio.h>

enum { PART_WEIGHT, PART_BIAS, PART_INPUT_SCALE, PART_OUTPUT_SCALE, PART_SLOPE, PARTS };

static const char *const part_names[PARTS] = {
    [PART_WEIGHT] = "weight",
    [PART_BIAS] = "bias",
    [PART_INPUT_SCALE] = "input_scale",
    [PART_OUTPUT_SCALE] = "output_scale",
    [PART_SLOPE] = "slope",
};

/* ---- the tree ---- */

static void write_node(ramify_onnx *g, uint32_t index) {
    const void *record;
    uint32_t slot, children = g->tree.first[index + 1] - g->tree.first[index];
    g->status =
        ramify_export_tree_node(g->context, g->model, &g->traffic, &g->tree, index, &record, &slot);
    if (g->status != RAMIFY_OK)
        return;
    const float *prototypes = ramify_node_prototypes(record, children);
    size_t dims = g->stem->routes, stride = ramify_pad(dims);
    for (uint32_t i = 0; i < g->model->limits.arity; i++)
        ramify_onnx_write_floats(g, prototypes + (i < children ? i * stride : 0), dims);
    ramify_store_release(g->model, &g->model->nodes, slot);
}

/* A child that a node does not have is a copy of its first: whichever of the two is found to be the
 * nearer, the row goes the same way. */
static void fill_prototypes(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t i = 0; i < g->tree.nodes && g->status == RAMIFY_OK; i++)
        write_node(g, i);
}

static void fill_children(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t i = 0; i < g->tree.nodes; i++) {
        uint32_t first = g->tree.first[i], count = g->tree.first[i + 1] - first;
        for (uint32_t c = 0; c < g->model->limits.arity; c++)
            ramify_onnx_write_int64(g, g->tree.child[first + (c < count ? c : 0)]);
    }
}

/* Nodes have the numbers 0 .. nodes-1, modules those from `nodes` on. before: where rows stand; NULL:
 * at the root. some: rows may have arrived already. */
static void put_level(ramify_onnx *g, const char *before, bool some) {
    const char *node = some ? "@node" : before;
    if (some)
        ramify_onnx_node(g, "@node = Min(%s, %lu)", before, (unsigned long)g->tree.nodes - 1);
    ramify_onnx_node(g, "@prototypes = Gather(tree/prototypes, %s)", node ? node : "0");
    ramify_onnx_node(g, "@difference = Sub(tree/point, @prototypes)");
    ramify_onnx_node(g,
                     "@distance = ReduceSumSquare<axes=[2],keepdims=0>(@difference)"); /* squared */
    ramify_onnx_node(g, "@nearest = ArgMin<axis=1,keepdims=0>(@distance)");
    if (node) {
        ramify_onnx_node(g, "@row = Mul(%s, %lu)", node, (unsigned long)g->model->limits.arity);
        ramify_onnx_node(g, "@place = Add(@row, @nearest)");
    }
    ramify_onnx_node(g, "%s = Gather(tree/children, %s)", some ? "@child" : "@next",
                     node ? "@place" : "@nearest");
    if (some) {
        ramify_onnx_node(g, "@inside = Less(%s, %lu)", before, (unsigned long)g->tree.nodes);
        ramify_onnx_node(g, "@next = Where(@inside, @child, %s)", before);
    }
}

/* Ends with tree/module, the module of every row. */
static void put_tree(ramify_onnx *g) {
    const ramify_export_tree *tree = &g->tree;
    uint64_t arity = g->model->limits.arity, dims = g->stem->routes;
    uint32_t levels = 0, whole = RAMIFY_TREE_DEPTH_MAX; /* levels, and those without a leaf above */
    for (uint32_t i = 0; i < tree->nodes; i++) {
        uint32_t depth = tree->depth[i];
        levels = depth + 1 > levels ? depth + 1 : levels;
        for (uint32_t c = tree->first[i]; c < tree->first[i + 1]; c++)
            if (tree->child[c] >= tree->nodes && depth + 1 < whole)
                whole = depth + 1;
    }
    ramify_onnx_stream(g, "tree/prototypes", RAMIFY_ONNX_FLOAT,
                       (ramify_onnx_shape){3, {tree->nodes, arity, dims}}, fill_prototypes);
    ramify_onnx_stream(g, "tree/children", RAMIFY_ONNX_INT64,
                       (ramify_onnx_shape){1, {tree->nodes * arity}}, fill_children);
    ramify_onnx_node(g, "tree/point = Unsqueeze(%s, [1])", g->point);
    char before[RAMIFY_ONNX_NAME] = "";
    for (uint32_t level = 0; level < levels; level++) {
        ramify_onnx_set_prefix(g, "tree/level%u/", level);
        put_level(g, level > 0 ? before : NULL, level >= whole);
        snprintf(before, sizeof before, "tree/level%u/next", level);
    }
    ramify_onnx_node(g, "tree/module = Sub(%s, %lu)", before, (unsigned long)tree->nodes);
}

/* ---- layers ---- */

/* Inputs by outputs, whichever way they are stored. */
static void write_weights(ramify_onnx *g, const ramify_mlp_layer *at, const float *record) {
    const float *weight = record + at->weight;
    for (size_t i = 0; i < at->k; i++) {
        if (!at->narrow)
            ramify_onnx_write_floats(g, weight + i * at->weight_stride, at->n);
        for (size_t j = 0; at->narrow && j < at->n; j++)
            ramify_onnx_write_float(g, weight[j * at->weight_stride + i]);
    }
}

static void write_part(ramify_onnx *g, const ramify_onnx_tensor *tensor, const float *record) {
    const ramify_mlp_layer *at = &g->layer[tensor->layer];
    size_t start = at->bias, width = at->n, members = g->mlp->members;
    switch (tensor->part) {
    case PART_WEIGHT:
        write_weights(g, at, record);
        return;
    case PART_INPUT_SCALE:
        start = at->r;
        width = at->k;
        break;
    case PART_OUTPUT_SCALE:
        start = at->s;
        break;
    case PART_SLOPE:
        start = at->slope;
        members = 1;
        break;
    default:
        break;
    }
    for (size_t m = 0; m < members; m++)
        ramify_onnx_write_floats(g, record + start + m * ramify_pad(width), width);
}

/* One part of one layer, of all modules. */
static void fill_part(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    for (uint32_t i = 0; i < g->tree.modules && g->status == RAMIFY_OK; i++) {
        const void *record;
        uint32_t slot;
        g->status = ramify_store_acquire(g->context, g->model, &g->model->experts,
                                         &g->tree.module[i], false, &g->traffic, &record, &slot);
        if (g->status != RAMIFY_OK)
            return;
        write_part(g, tensor, record);
        ramify_store_release(g->model, &g->model->experts, slot);
    }
}

static ramify_onnx_shape part_shape(const ramify_onnx *g, const ramify_mlp_layer *at, int part) {
    ramify_onnx_shape shape = {0};
    if (g->routed)
        shape.dims[shape.rank++] = g->tree.modules;
    if (part == PART_WEIGHT)
        shape.dims[shape.rank++] = at->k;
    else if (part != PART_SLOPE && g->mlp->members > 1)
        shape.dims[shape.rank++] = g->mlp->members;
    shape.dims[shape.rank++] = part == PART_INPUT_SCALE ? at->k : at->n;
    return shape;
}

/* The numbers of a layer, and in a loop those of the module at hand. */
static void put_parts(ramify_onnx *g, uint32_t l) {
    const ramify_mlp_layer *at = &g->layer[l];
    for (int part = 0; part < PARTS; part++) {
        bool scale = part == PART_INPUT_SCALE || part == PART_OUTPUT_SCALE;
        if ((scale && g->mlp->members == 1) || (part == PART_SLOPE && at->last))
            continue;
        char name[RAMIFY_ONNX_NAME];
        snprintf(name, sizeof name, "%s/layer%u/%s", g->routed ? "experts" : "expert", l,
                 part_names[part]);
        ramify_onnx_tensor *tensor =
            ramify_onnx_stream(g, name, RAMIFY_ONNX_FLOAT, part_shape(g, at, part), fill_part);
        tensor->layer = l;
        tensor->part = part;
        if (g->routed)
            ramify_onnx_node(g, "@%s = Gather(%s, expert/module)", part_names[part], name);
    }
}

/* Leaves its result under the name in g->outputs, which also says where its input is. rows x k to
 * rows x n; with members, rows x members (or 1) x k to rows x members x n. */
static void put_layer(ramify_onnx *g, uint32_t l) {
    ramify_onnx_set_prefix(g, "expert/layer%u/", l);
    put_parts(g, l);
    if (g->mlp->members > 1) {
        ramify_onnx_node(g, "@scaled = Mul(%s, @input_scale)", g->outputs);
        ramify_onnx_node(g, "@product = MatMul(@scaled, @weight)");
        ramify_onnx_node(g, "@stretched = Mul(@product, @output_scale)");
        ramify_onnx_node(g, "@sum = Add(@stretched, @bias)");
    } else {
        ramify_onnx_node(g, "@sum = Gemm(%s, @weight, @bias)", g->outputs);
    }
    snprintf(g->outputs, sizeof g->outputs, "expert/layer%u/sum", l);
    if (g->layer[l].last)
        return;
    /* PRelu would be one node, and in ONNX Runtime took most of the time of an expert for many rows.
     * One of the two terms is 0: their sum is exact. */
    ramify_onnx_node(g, "@positive = Relu(@sum)");
    ramify_onnx_node(g, "@negative = Min(@sum, zero)");
    ramify_onnx_node(g, "@leak = Mul(@negative, @slope)");
    ramify_onnx_node(g, "@output = Add(@positive, @leak)");
    snprintf(g->outputs, sizeof g->outputs, "expert/layer%u/output", l);
}

static void put_network(ramify_onnx *g, const char *features) {
    snprintf(g->outputs, sizeof g->outputs, "%s", features);
    if (g->mlp->members > 1) {
        ramify_onnx_node(g, "expert/member_features = Unsqueeze(%s, [1])", features);
        snprintf(g->outputs, sizeof g->outputs, "expert/member_features");
    }
    for (uint32_t l = 0; l < g->mlp->layers; l++)
        put_layer(g, l);
    if (g->mlp->members == 1)
        return;
    ramify_onnx_node(g, "expert/mean = ReduceMean<axes=[1],keepdims=0>(%s)", g->outputs);
    snprintf(g->outputs, sizeof g->outputs, "expert/mean");
}

/* ---- the loop over modules ---- */

/* One turn: the rows of one module. expert/before and expert/after are all rows' outputs. */
static void put_body(ramify_onnx *g) {
    uint64_t outputs = g->model->outputs;
    ramify_proto_text(&g->nodes, RAMIFY_ONNX_GRAPH_NAME, "expert");
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_INPUT, "expert/turn", RAMIFY_ONNX_INT64, 0, 0, NULL);
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_INPUT, "expert/go", RAMIFY_ONNX_BOOL, 0, 0, NULL);
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_INPUT, "expert/before", RAMIFY_ONNX_FLOAT, 2, outputs,
                      NULL);
    ramify_onnx_node(g, "expert/go_on = Identity(expert/go)");
    ramify_onnx_node(g, "expert/module = Gather(experts/present, expert/turn)");
    ramify_onnx_node(g, "expert/is_own = Equal(experts/place, expert/turn)");
    ramify_onnx_node(g, "expert/own = NonZero(expert/is_own)");
    ramify_onnx_node(g, "expert/rows = Transpose<perm=[1,0]>(expert/own)");
    ramify_onnx_node(g, "expert/features = GatherND(%s, expert/rows)", g->features);
    put_network(g, "expert/features");
    ramify_onnx_node(g, "expert/after = ScatterND(expert/before, expert/rows, %s)", g->outputs);
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_OUTPUT, "expert/go_on", RAMIFY_ONNX_BOOL, 0, 0, NULL);
    ramify_onnx_value(g, RAMIFY_ONNX_GRAPH_OUTPUT, "expert/after", RAMIFY_ONNX_FLOAT, 2, outputs,
                      NULL);
}

static void put_loop(ramify_onnx *g) {
    const bool always = true;
    ramify_onnx_constant(g, "always", RAMIFY_ONNX_BOOL, (ramify_onnx_shape){0}, &always);
    ramify_onnx_node(g, "experts/present, , experts/place = Unique<sorted=1>(tree/module)");
    ramify_onnx_node(g, "experts/count = Size(experts/present)");
    ramify_onnx_node(g, "experts/row_count = Shape<start=0,end=1>(x)");
    ramify_onnx_node(g, "experts/shape = Concat<axis=0>(experts/row_count, [%lu])",
                     (unsigned long)g->model->outputs);
    ramify_onnx_node(g, "experts/none = ConstantOfShape(experts/shape)"); /* of zeros */
    ramify_proto *to = &g->nodes;
    static const char *const inputs[] = {"experts/count", "always", "experts/none"};
    size_t node = ramify_proto_begin(to, RAMIFY_ONNX_GRAPH_NODE);
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        ramify_proto_text(to, RAMIFY_ONNX_NODE_INPUT, inputs[i]);
    ramify_proto_text(to, RAMIFY_ONNX_NODE_OUTPUT, "experts/outputs");
    ramify_proto_text(to, RAMIFY_ONNX_NODE_NAME, "experts/outputs");
    ramify_proto_text(to, RAMIFY_ONNX_NODE_OPERATOR, "Loop");
    size_t attribute = ramify_proto_begin(to, RAMIFY_ONNX_NODE_ATTRIBUTE);
    ramify_proto_text(to, RAMIFY_ONNX_ATTRIBUTE_NAME, "body");
    ramify_proto_number(to, RAMIFY_ONNX_ATTRIBUTE_TYPE, RAMIFY_ONNX_IS_GRAPH);
    size_t body = ramify_proto_begin(to, RAMIFY_ONNX_ATTRIBUTE_GRAPH);
    put_body(g);
    ramify_proto_end(to, body);
    ramify_proto_end(to, attribute);
    ramify_proto_end(to, node);
    snprintf(g->outputs, sizeof g->outputs, "experts/outputs");
}

void ramify_onnx_put_experts(ramify_onnx *g) {
    if (!g->routed) {
        put_network(g, g->features);
        return;
    }
    put_tree(g);
    put_loop(g);
}

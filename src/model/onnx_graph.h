#ifndef RAMIFY_MODEL_ONNX_GRAPH_H
#define RAMIFY_MODEL_ONNX_GRAPH_H
/* The inside of ramify_export_onnx: a model on its way to an ONNX file.
 *
 * An ONNX file is one protobuf message (onnx.proto of https://github.com/onnx/onnx): a ModelProto
 * with a GraphProto, whose nodes compute named tensors from the graph's input, from each other, and
 * from initialisers, the tensors that the file holds. onnx_stem.c makes the nodes from a raw row to
 * features and routing point, onnx_experts.c those of tree and experts, export_onnx.c those of the
 * head. Nodes and short initialisers are gathered in memory; the tensors of weights are listed by
 * name and shape, so that every length is known before the file is begun, and are then written
 * number by number.
 *
 * What is written here runs with any number of rows. Nothing in it depends on ramify. */

#include "export_tree.h"
#include "model.h"
#include "onnx_proto.h"
#include "save.h"
#include "status.h"

#define RAMIFY_ONNX_NAME     48 /* bytes of a tensor's name */
#define RAMIFY_ONNX_TENSORS  96 /* 5 for each layer, 15 others */
#define RAMIFY_ONNX_LITERALS 32 /* different ones in a graph */
#define RAMIFY_ONNX_BUFFER   65536

/* Element types, TensorProto.DataType. */
enum {
    RAMIFY_ONNX_FLOAT = 1,
    RAMIFY_ONNX_INT64 = 7,
    RAMIFY_ONNX_STRING = 8,
    RAMIFY_ONNX_BOOL = 9,
    RAMIFY_ONNX_DOUBLE = 11
};

/* Field numbers. */
enum {
    RAMIFY_ONNX_GRAPH_NODE = 1,
    RAMIFY_ONNX_GRAPH_NAME = 2,
    RAMIFY_ONNX_GRAPH_INITIALISER = 5,
    RAMIFY_ONNX_GRAPH_INPUT = 11,
    RAMIFY_ONNX_GRAPH_OUTPUT = 12,
    RAMIFY_ONNX_NODE_INPUT = 1,
    RAMIFY_ONNX_NODE_OUTPUT = 2,
    RAMIFY_ONNX_NODE_NAME = 3,
    RAMIFY_ONNX_NODE_OPERATOR = 4,
    RAMIFY_ONNX_NODE_ATTRIBUTE = 5,
    RAMIFY_ONNX_ATTRIBUTE_NAME = 1,
    RAMIFY_ONNX_ATTRIBUTE_INT = 3,
    RAMIFY_ONNX_ATTRIBUTE_GRAPH = 6,
    RAMIFY_ONNX_ATTRIBUTE_INTS = 8,
    RAMIFY_ONNX_ATTRIBUTE_TYPE = 20,
    RAMIFY_ONNX_TENSOR_DIM = 1,
    RAMIFY_ONNX_TENSOR_TYPE = 2,
    RAMIFY_ONNX_TENSOR_STRING = 6,
    RAMIFY_ONNX_TENSOR_NAME = 8,
    RAMIFY_ONNX_TENSOR_RAW = 9
};

/* AttributeProto.AttributeType. */
enum { RAMIFY_ONNX_IS_INT = 2, RAMIFY_ONNX_IS_GRAPH = 5, RAMIFY_ONNX_IS_INTS = 7 };

typedef struct ramify_onnx ramify_onnx;

typedef struct ramify_onnx_shape {
    uint32_t rank;
    uint64_t dims[3];
} ramify_onnx_shape;

/* An initialiser whose numbers go to the file one by one. */
typedef struct ramify_onnx_tensor {
    char name[RAMIFY_ONNX_NAME];
    uint32_t type;
    ramify_onnx_shape shape;
    void (*fill)(ramify_onnx *g, const struct ramify_onnx_tensor *tensor); /* writes all of it */
    uint32_t layer;                                                        /* for fill */
    int part;                                                              /* likewise */
} ramify_onnx_tensor;

struct ramify_onnx {
    ramify_context *context;
    ramify_model *model;
    const ramify_stem *stem;
    const ramify_mlp_shape *mlp;
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_traffic traffic; /* of the stores; not counted as predicting */
    ramify_export_tree tree;
    bool routed; /* there are several modules: what the tree says matters */

    ramify_proto nodes;     /* fields of a GraphProto: nodes, inputs, outputs */
    ramify_proto constants; /* and its short initialisers */
    ramify_proto head;      /* scratch */
    char prefix[RAMIFY_ONNX_NAME];
    char literals[RAMIFY_ONNX_LITERALS][RAMIFY_ONNX_NAME];
    uint32_t literal_count;
    ramify_onnx_tensor tensors[RAMIFY_ONNX_TENSORS];
    uint32_t tensor_count;
    int64_t *list;  /* scratch for an initialiser: one per column or feature of any kind */
    int64_t *order; /* likewise, while features are joined */

    /* Names of tensors. */
    const char *plain, *features, *point;
    char outputs[RAMIFY_ONNX_NAME]; /* of the experts; of the layer before, while they are made */

    ramify_replacement file;
    ramify_status status;  /* the first failure in writing; nothing is written after it */
    unsigned char *buffer; /* RAMIFY_ONNX_BUFFER */
    size_t used;
    uint64_t written, total; /* bytes of the file */
};

/* A node of the graph, as a statement, formatted:
 *     "sum = Add(left, right)"
 *     "unique, , inverse = Unique<sorted=1>(numbers)"       an output that is not wanted
 *     "rows = Transpose<perm=[1,0]>(found)"                 attributes: whole numbers, lists of them
 *     "column = Unsqueeze(numbers, [2])"                    literals: an int64, a list of them
 * A '@' in a name stands for g->prefix. The node's own name is that of its first output. Only for
 * names of our own: what strangers chose must not be part of a statement. */
void ramify_onnx_node(ramify_onnx *g, const char *format, ...) RAMIFY_PRINTF(2, 3);

void ramify_onnx_set_prefix(ramify_onnx *g, const char *format, ...) RAMIFY_PRINTF(2, 3);

/* A short initialiser. ramify_onnx_list: the first `count` numbers of g->list. */
void ramify_onnx_constant(ramify_onnx *g, const char *name, uint32_t type, ramify_onnx_shape shape,
                          const void *values);
void ramify_onnx_list(ramify_onnx *g, const char *name, uint32_t count);
void ramify_onnx_strings(ramify_onnx *g, const char *name, char *const *texts, uint32_t count);

/* A long one; '@' as above. The result is the graph's. */
ramify_onnx_tensor *
ramify_onnx_stream(ramify_onnx *g, const char *name, uint32_t type, ramify_onnx_shape shape,
                   void (*fill)(ramify_onnx *g, const ramify_onnx_tensor *tensor));

/* An input or output of a graph. rank 0: a scalar; 1: rows; 2: rows x columns. doc: NULL, or a
 * sentence for people. */
void ramify_onnx_value(ramify_onnx *g, uint32_t field, const char *name, uint32_t type,
                       uint32_t rank, uint64_t columns, const char *doc);

/* Parts of a TensorProto that come before its numbers. */
void ramify_onnx_tensor_head(ramify_proto *proto, const char *name, uint32_t type,
                             ramify_onnx_shape shape);

uint32_t ramify_onnx_type_bytes(uint32_t type);
uint64_t ramify_onnx_tensor_bytes(const ramify_onnx_tensor *tensor);

/* To the file. */
void ramify_onnx_write(ramify_onnx *g, const void *bytes, size_t size);
void ramify_onnx_write_floats(ramify_onnx *g, const float *values, size_t count);
void ramify_onnx_write_float(ramify_onnx *g, float value);
void ramify_onnx_write_double(ramify_onnx *g, double value);
void ramify_onnx_write_int64(ramify_onnx *g, int64_t value);

/* The nodes, and what they need. stem sets g->plain, features and point; experts g->outputs. */
void ramify_onnx_put_stem(ramify_onnx *g);
void ramify_onnx_put_experts(ramify_onnx *g);

#endif

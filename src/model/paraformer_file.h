#ifndef RAMIFY_MODEL_PARAFORMER_FILE_H
#define RAMIFY_MODEL_PARAFORMER_FILE_H
/* How a Para-Former lies in a model file: after stem and head scales,
 *
 *     pos_embedding, cls_token, to_patch_embedding.1.*    of patches, or
 *     pos_embedding, cls_token, column_embedding.weight   of columns
 *     mlp_head.0.*, mlp_head.1.*
 *     branches       U8 [branches, 32]: references to the branches' records
 *     paraformerbranches.branches.I.*                     branch after branch
 *
 * under the names, shapes and orders that the authors' PyTorch code gives them. Embedding, head and
 * each branch are a record (embedding.h, head.h, branch.h): their tensors lie side by side. */

#include "paraformer.h"
#include "ramify.h"
#include "safetensors.h"
#include "source.h"
#include "stem.h"

/* One tensor of a layer. */
typedef struct ramify_layer_part {
    const char *released, *timm; /* its name in the authors' code, and in timm's */
    uint32_t block; /* released: 0 attention, 1 the network; layer l has blocks 2l, 2l + 1 */
    size_t at;      /* in floats from the start of a layer's record */
    uint64_t rows, columns; /* columns 0: a vector */
} ramify_layer_part;

/* Places in the list of parts of a layer with qkv_bias. */
#define RAMIFY_LAYER_QKV      2
#define RAMIFY_LAYER_QKV_BIAS 3
#define RAMIFY_LAYER_FC1      8
#define RAMIFY_LAYER_PARTS    12

/* The parts that a layer of this shape has, in the order of the record. Returns how many. */
size_t ramify_paraformer_layer_parts(const ramify_branch_shape *shape,
                                     ramify_layer_part parts[RAMIFY_LAYER_PARTS]);

/* The released name of a part. */
void ramify_paraformer_part_name(const ramify_layer_part *part, uint32_t branch, uint32_t layer,
                                 char name[RAMIFY_TENSOR_NAME_MAX + 1]);

/* Adds the tensors from pos_embedding to branches, and those of the branches. */
void ramify_paraformer_layout_shared(const ramify_paraformer_shape *shape, ramify_layout *layout);
/* Returns where the first branch begins, counted from the start of the data. */
uint64_t ramify_paraformer_layout_branches(const ramify_paraformer_shape *shape,
                                           ramify_layout *layout);

/* Reads the config's keys "embedding" and "branches" for a stem of which the counts are known, and
 * outputs, into a shape, trusting nothing. shape->embedding.column is left alone. */
ramify_status ramify_paraformer_from_json(ramify_context *context, const ramify_source *source,
                                          const json_t *config, const ramify_stem *stem,
                                          uint32_t outputs, ramify_paraformer_shape *shape);

/* Sets the same keys; false when out of memory. */
bool ramify_paraformer_to_json(const ramify_paraformer_shape *shape, json_t *config);

/* column[plain]: the column that each plain feature is of. */
void ramify_paraformer_columns(const ramify_stem *stem, uint32_t *column);

/* Numbers learned of embedding and head. */
uint64_t ramify_paraformer_shared_parameters(const ramify_paraformer_shape *shape);

#endif

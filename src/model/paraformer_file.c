#include "paraformer_file.h"
#include "module.h"
#include "tree.h"

#include <stdio.h>
#include <string.h>

void ramify_paraformer_layout_shared(const ramify_paraformer_shape *shape, ramify_layout *layout) {
    const ramify_embedding_shape *embedding = &shape->embedding;
    uint64_t width = embedding->width;
    ramify_layout_add(layout, "pos_embedding", RAMIFY_DTYPE_F32, 3, embedding->tokens, width);
    ramify_layout_add(layout, "cls_token", RAMIFY_DTYPE_F32, 3, 1, width);
    if (embedding->patch > 0) {
        ramify_layout_add(layout, "to_patch_embedding.1.weight", RAMIFY_DTYPE_F32, 2, width,
                          ramify_embedding_patch_numbers(embedding));
        ramify_layout_add(layout, "to_patch_embedding.1.bias", RAMIFY_DTYPE_F32, 1, width, 0);
    } else {
        ramify_layout_add(layout, "column_embedding.weight", RAMIFY_DTYPE_F32, 2, embedding->plain,
                          width);
    }
    ramify_layout_add(layout, "mlp_head.0.weight", RAMIFY_DTYPE_F32, 1, width, 0);
    ramify_layout_add(layout, "mlp_head.0.bias", RAMIFY_DTYPE_F32, 1, width, 0);
    ramify_layout_add(layout, "mlp_head.1.weight", RAMIFY_DTYPE_F32, 2, shape->head.outputs, width);
    ramify_layout_add(layout, "mlp_head.1.bias", RAMIFY_DTYPE_F32, 1, shape->head.outputs, 0);
    ramify_layout_add(layout, "branches", RAMIFY_DTYPE_U8, 2, shape->branches,
                      sizeof(ramify_reference));
}

/* One tensor of a layer: block 2l is attention, 2l + 1 the network. */
static void add_part(ramify_layout *layout, uint32_t branch, uint32_t block, const char *part,
                     uint64_t rows, uint64_t columns) {
    char name[RAMIFY_TENSOR_NAME_MAX + 1];
    snprintf(name, sizeof name, "paraformerbranches.branches.%u.%u.%s", branch, block, part);
    ramify_layout_add(layout, name, RAMIFY_DTYPE_F32, columns > 0 ? 2 : 1, rows, columns);
}

uint64_t ramify_paraformer_layout_branches(const ramify_paraformer_shape *shape,
                                           ramify_layout *layout) {
    const ramify_branch_shape *branch = &shape->branch;
    uint64_t begin = layout->bytes, d = branch->width, hidden = branch->hidden;
    for (uint32_t i = 0; i < shape->branches; i++)
        for (uint32_t l = 0; l < branch->depth; l++) {
            uint32_t attention = 2 * l, network = 2 * l + 1;
            add_part(layout, i, attention, "norm.weight", d, 0);
            add_part(layout, i, attention, "norm.bias", d, 0);
            add_part(layout, i, attention, "fn.to_qkv.weight", 3 * d, d);
            if (branch->qkv_bias)
                add_part(layout, i, attention, "fn.to_qkv.bias", 3 * d, 0);
            add_part(layout, i, attention, "fn.to_out.0.weight", d, d);
            add_part(layout, i, attention, "fn.to_out.0.bias", d, 0);
            add_part(layout, i, network, "norm.weight", d, 0);
            add_part(layout, i, network, "norm.bias", d, 0);
            add_part(layout, i, network, "fn.net.0.weight", hidden, d);
            add_part(layout, i, network, "fn.net.0.bias", hidden, 0);
            add_part(layout, i, network, "fn.net.3.weight", d, hidden);
            add_part(layout, i, network, "fn.net.3.bias", d, 0);
        }
    return begin;
}

static ramify_status read_count(ramify_context *context, const ramify_source *source,
                                const json_t *object, const char *where, const char *key,
                                uint32_t low, uint32_t high, uint32_t *count) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < (json_int_t)low ||
        json_integer_value(value) > (json_int_t)high)
        return ramify_damaged(context, source, "config: %s.%s is not a whole number from %u to %u",
                              where, key, low, high);
    *count = (uint32_t)json_integer_value(value);
    return RAMIFY_OK;
}

static ramify_status read_embedding(ramify_context *context, const ramify_source *source,
                                    const json_t *json, const ramify_stem *stem,
                                    ramify_embedding_shape *shape) {
    const char *where = "embedding";
    shape->plain = stem->plain;
    RAMIFY_TRY(
        read_count(context, source, json, where, "patch", 0, RAMIFY_IMAGE_SIDE_MAX, &shape->patch));
    if (shape->patch == 0) {
        shape->tokens = stem->columns + 1;
        return RAMIFY_OK;
    }
    RAMIFY_TRY(read_count(context, source, json, where, "height", shape->patch,
                          RAMIFY_IMAGE_SIDE_MAX, &shape->height));
    RAMIFY_TRY(read_count(context, source, json, where, "width", shape->patch,
                          RAMIFY_IMAGE_SIDE_MAX, &shape->breadth));
    RAMIFY_TRY(read_count(context, source, json, where, "channels", 1, RAMIFY_IMAGE_CHANNELS_MAX,
                          &shape->channels));
    uint64_t numbers = (uint64_t)shape->height * shape->breadth * shape->channels;
    if (shape->height % shape->patch != 0 || shape->breadth % shape->patch != 0)
        return ramify_damaged(context, source,
                              "config: patches of %u pixels do not cover an image of %u x %u",
                              shape->patch, shape->height, shape->breadth);
    if (numbers != stem->plain || stem->plain != stem->columns)
        return ramify_damaged(context, source,
                              "config: images of %llu numbers, expected %u, the stem's features, "
                              "one of each of %u columns",
                              (unsigned long long)numbers, stem->plain, stem->columns);
    shape->tokens = (shape->height / shape->patch) * (shape->breadth / shape->patch) + 1;
    return RAMIFY_OK;
}

ramify_status ramify_paraformer_from_json(ramify_context *context, const ramify_source *source,
                                          const json_t *config, const ramify_stem *stem,
                                          uint32_t outputs, ramify_paraformer_shape *shape) {
    const json_t *json = json_object_get(config, "branches");
    const json_t *skip = json_object_get(json, "skip"), *bias = json_object_get(json, "qkv_bias");
    const json_t *epsilon = json_object_get(json, "ln_eps");
    const char *skip_name = json_string_value(skip), *where = "branches";
    ramify_branch_shape *branch = &shape->branch;
    *shape = (ramify_paraformer_shape){.head.outputs = outputs};
    RAMIFY_TRY(read_embedding(context, source, json_object_get(config, "embedding"), stem,
                              &shape->embedding));
    RAMIFY_TRY(read_count(context, source, json, where, "count", 1, RAMIFY_BRANCHES_MAX,
                          &shape->branches));
    RAMIFY_TRY(read_count(context, source, json, where, "depth", 1, RAMIFY_BRANCH_DEPTH_MAX,
                          &branch->depth));
    RAMIFY_TRY(read_count(context, source, json, where, "width", 1, RAMIFY_BRANCH_WIDTH_MAX,
                          &branch->width));
    RAMIFY_TRY(read_count(context, source, json, where, "heads", 1, RAMIFY_BRANCH_WIDTH_MAX,
                          &branch->heads));
    RAMIFY_TRY(read_count(context, source, json, where, "hidden", 1, RAMIFY_BRANCH_HIDDEN_MAX,
                          &branch->hidden));
    if (!skip_name || (strcmp(skip_name, "plain") != 0 && strcmp(skip_name, "normalised") != 0))
        return ramify_damaged(context, source,
                              "config: branches.skip is neither \"normalised\" nor \"plain\"");
    if (!json_is_boolean(bias) || !json_is_number(epsilon))
        return ramify_damaged(context, source,
                              "config: branches.qkv_bias is not true or false, or branches.ln_eps "
                              "not a number");
    branch->plain_skip = strcmp(skip_name, "plain") == 0;
    branch->qkv_bias = json_is_true(bias);
    branch->epsilon = (float)json_number_value(epsilon);
    branch->tokens = shape->embedding.tokens;
    const char *error = ramify_branch_shape_error(branch);
    if (error)
        return ramify_damaged(context, source, "config: %s", error);
    shape->embedding.width = shape->head.width = branch->width;
    shape->head.epsilon = branch->epsilon;
    return RAMIFY_OK;
}

bool ramify_paraformer_to_json(const ramify_paraformer_shape *shape, json_t *config) {
    const ramify_embedding_shape *embedding = &shape->embedding;
    const ramify_branch_shape *branch = &shape->branch;
    json_t *about = embedding->patch > 0
                        ? json_pack("{s:i, s:i, s:i, s:i}", "patch", (int)embedding->patch,
                                    "height", (int)embedding->height, "width",
                                    (int)embedding->breadth, "channels", (int)embedding->channels)
                        : json_pack("{s:i}", "patch", 0);
    json_t *branches = json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:s, s:b, s:f}", "count", (int)shape->branches, "depth",
        (int)branch->depth, "width", (int)branch->width, "heads", (int)branch->heads, "hidden",
        (int)branch->hidden, "skip", branch->plain_skip ? "plain" : "normalised", "qkv_bias",
        (int)branch->qkv_bias, "ln_eps", (double)branch->epsilon);
    bool made = json_object_set_new(config, "embedding", about) == 0;
    return json_object_set_new(config, "branches", branches) == 0 && made;
}

void ramify_paraformer_columns(const ramify_stem *stem, uint32_t *column) {
    for (uint32_t c = 0; c < stem->columns; c++) {
        uint32_t end = c + 1 < stem->columns ? stem->column[c + 1].plain : stem->plain;
        for (uint32_t f = stem->column[c].plain; f < end; f++)
            column[f] = c;
    }
}

uint64_t ramify_paraformer_shared_parameters(const ramify_paraformer_shape *shape) {
    const ramify_embedding_shape *embedding = &shape->embedding;
    uint64_t width = embedding->width;
    uint64_t inputs = embedding->patch > 0 ? ramify_embedding_patch_numbers(embedding) + 1
                                           : (uint64_t)embedding->plain;
    return (embedding->tokens + 1 + inputs + 2) * width + shape->head.outputs * (width + 1);
}

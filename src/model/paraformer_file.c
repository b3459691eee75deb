#include "paraformer_file.h"
#include "model.h"

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

size_t ramify_paraformer_layer_parts(const ramify_branch_shape *shape,
                                     ramify_layer_part parts[RAMIFY_LAYER_PARTS]) {
    const ramify_branch_layer at = ramify_branch_layout(shape);
    uint64_t d = shape->width, hidden = shape->hidden;
    const ramify_layer_part all[RAMIFY_LAYER_PARTS] = {
        {"norm.weight", "norm1.weight", 0, at.gain1, d, 0},
        {"norm.bias", "norm1.bias", 0, at.bias1, d, 0},
        {"fn.to_qkv.weight", "attn.qkv.weight", 0, at.qkv, 3 * d, d},
        {"fn.to_qkv.bias", "attn.qkv.bias", 0, at.qkv_bias, 3 * d, 0},
        {"fn.to_out.0.weight", "attn.proj.weight", 0, at.out, d, d},
        {"fn.to_out.0.bias", "attn.proj.bias", 0, at.out_bias, d, 0},
        {"norm.weight", "norm2.weight", 1, at.gain2, d, 0},
        {"norm.bias", "norm2.bias", 1, at.bias2, d, 0},
        {"fn.net.0.weight", "mlp.fc1.weight", 1, at.fc1, hidden, d},
        {"fn.net.0.bias", "mlp.fc1.bias", 1, at.fc1_bias, hidden, 0},
        {"fn.net.3.weight", "mlp.fc2.weight", 1, at.fc2, d, hidden},
        {"fn.net.3.bias", "mlp.fc2.bias", 1, at.fc2_bias, d, 0},
    };
    size_t count = 0;
    for (size_t i = 0; i < RAMIFY_LAYER_PARTS; i++)
        if (i != RAMIFY_LAYER_QKV_BIAS || shape->qkv_bias)
            parts[count++] = all[i];
    return count;
}

void ramify_paraformer_part_name(const ramify_layer_part *part, uint32_t branch, uint32_t layer,
                                 char name[RAMIFY_TENSOR_NAME_MAX + 1]) {
    snprintf(name, RAMIFY_TENSOR_NAME_MAX + 1, "paraformerbranches.branches.%u.%u.%s", branch,
             2 * layer + part->block, part->released);
}

uint64_t ramify_paraformer_layout_branches(const ramify_paraformer_shape *shape,
                                           ramify_layout *layout) {
    uint64_t begin = layout->bytes;
    ramify_layer_part parts[RAMIFY_LAYER_PARTS];
    size_t count = ramify_paraformer_layer_parts(&shape->branch, parts);
    for (uint32_t i = 0; i < shape->branches; i++)
        for (uint32_t l = 0; l < shape->branch.depth; l++)
            for (size_t p = 0; p < count; p++) {
                char name[RAMIFY_TENSOR_NAME_MAX + 1];
                ramify_paraformer_part_name(&parts[p], i, l, name);
                ramify_layout_add(layout, name, RAMIFY_DTYPE_F32, parts[p].columns > 0 ? 2 : 1,
                                  parts[p].rows, parts[p].columns);
            }
    return begin;
}

static ramify_status read_embedding(ramify_context *context, const ramify_source *source,
                                    const json_t *json, const ramify_stem *stem,
                                    ramify_embedding_shape *shape) {
    const char *where = "embedding";
    shape->plain = stem->plain;
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "patch", 0, RAMIFY_IMAGE_SIDE_MAX,
                                   &shape->patch));
    if (shape->patch == 0) {
        shape->tokens = stem->columns + 1;
        return RAMIFY_OK;
    }
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "height", shape->patch,
                                   RAMIFY_IMAGE_SIDE_MAX, &shape->height));
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "width", shape->patch,
                                   RAMIFY_IMAGE_SIDE_MAX, &shape->breadth));
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "channels", 1,
                                   RAMIFY_IMAGE_CHANNELS_MAX, &shape->channels));
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
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "count", 1, RAMIFY_BRANCHES_MAX,
                                   &shape->branches));
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "depth", 1,
                                   RAMIFY_BRANCH_DEPTH_MAX, &branch->depth));
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "width", 1,
                                   RAMIFY_BRANCH_WIDTH_MAX, &branch->width));
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "heads", 1,
                                   RAMIFY_BRANCH_WIDTH_MAX, &branch->heads));
    RAMIFY_TRY(ramify_config_count(context, source, json, where, "hidden", 1,
                                   RAMIFY_BRANCH_HIDDEN_MAX, &branch->hidden));
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

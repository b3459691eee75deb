/* Weights of other tools become a model. The plan: read the file's header; see which tool's names
 * are there; find the sizes in the shapes of a few tensors; read every tensor to its place in the
 * records, its shape checked; draft the model and open it. */

#include "draft.h"
#include "memory.h"
#include "model.h"
#include "status.h"
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How a tool names things. */
typedef struct naming {
    const char *tool;
    const char *layers; /* how the names of all their parts begin */
    const char *pos, *cls, *patch, *patch_bias, *norm, *norm_bias, *head, *head_bias;
    bool convolution; /* patches are channels x rows x columns */
    bool plain_skip;
    double epsilon;
} naming;

static const naming paraformer_names = {
    .tool = "the released Para-Former",
    .layers = "paraformerbranches.",
    .pos = "pos_embedding",
    .cls = "cls_token",
    .patch = "to_patch_embedding.1.weight",
    .patch_bias = "to_patch_embedding.1.bias",
    .norm = "mlp_head.0.weight",
    .norm_bias = "mlp_head.0.bias",
    .head = "mlp_head.1.weight",
    .head_bias = "mlp_head.1.bias",
    .epsilon = 1e-5,
};

static const naming timm_names = {
    .tool = "timm",
    .layers = "blocks.",
    .pos = "pos_embed",
    .cls = "cls_token",
    .patch = "patch_embed.proj.weight",
    .patch_bias = "patch_embed.proj.bias",
    .norm = "norm.weight",
    .norm_bias = "norm.bias",
    .head = "head.weight",
    .head_bias = "head.bias",
    .convolution = true,
    .plain_skip = true,
    .epsilon = 1e-6,
};

typedef struct importing {
    ramify_context *context;
    const ramify_import_options *options;
    uint32_t image[3]; /* height, width, channels */
    ramify_source source;
    ramify_container *container;
    bool *used; /* container->count: tensors that went somewhere */
    const naming *names;
    ramify_paraformer_shape shape;
    float *memory; /* what the weights point to */
    ramify_paraformer_weights weights;
} importing;

void ramify_import_options_init(ramify_import_options *options) {
    *options = (ramify_import_options){.scale = 1, .task = RAMIFY_TASK_CLASSIFICATION};
}

static const ramify_tensor *find(const importing *m, const char *name) {
    for (uint32_t i = 0; i < m->container->count; i++)
        if (strcmp(m->container->tensors[i].name, name) == 0)
            return &m->container->tensors[i];
    return NULL;
}

static ramify_status missing(const importing *m, const char *name) {
    return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                       "%s: no tensor \"%s\", which a model of %s has", m->source.name, name,
                       m->names->tool);
}

/* The name of a part of layer `layer` of branch `branch`; timm's layers are numbered throughout. */
static void name_part(const importing *m, uint32_t branch, uint32_t layer,
                      const ramify_layer_part *part, char name[RAMIFY_TENSOR_NAME_MAX + 1]) {
    if (m->names->convolution)
        snprintf(name, RAMIFY_TENSOR_NAME_MAX + 1, "blocks.%u.%s",
                 branch * m->shape.branch.depth + layer, part->timm);
    else
        ramify_paraformer_part_name(part, branch, layer, name);
}

/* The part of this place in the list of all, of a layer whose sizes are not known yet. */
static const ramify_tensor *find_part(const importing *m, uint32_t branch, uint32_t layer,
                                      size_t place, char name[RAMIFY_TENSOR_NAME_MAX + 1]) {
    const ramify_branch_shape any = {.qkv_bias = true};
    ramify_layer_part parts[RAMIFY_LAYER_PARTS];
    ramify_paraformer_layer_parts(&any, parts);
    name_part(m, branch, layer, &parts[place], name);
    return find(m, name);
}

static bool has_layer(const importing *m, uint32_t branch, uint32_t layer) {
    char name[RAMIFY_TENSOR_NAME_MAX + 1];
    return find_part(m, branch, layer, RAMIFY_LAYER_QKV, name) != NULL;
}

/* How many branches of how many layers. */
static ramify_status count_layers(importing *m) {
    ramify_branch_shape *branch = &m->shape.branch;
    uint32_t layers = 0, most = RAMIFY_BRANCHES_MAX * RAMIFY_BRANCH_DEPTH_MAX;
    branch->depth = 0; /* timm's names then count from 0 */
    while (layers < most && has_layer(m, 0, layers))
        layers++;
    branch->depth = layers;
    m->shape.branches = layers > 0;
    if (layers == 0) {
        char name[RAMIFY_TENSOR_NAME_MAX + 1];
        find_part(m, 0, 0, RAMIFY_LAYER_QKV, name);
        return missing(m, name);
    }
    if (!m->names->convolution) {
        while (m->shape.branches < RAMIFY_BRANCHES_MAX && has_layer(m, m->shape.branches, 0))
            m->shape.branches++;
        if (m->options->depth > 0 && m->options->depth != layers)
            return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                               "%s: its branches have %u layers, %u were asked for", m->source.name,
                               layers, m->options->depth);
        return RAMIFY_OK;
    }
    if (m->options->depth > 0) {
        branch->depth = m->options->depth;
        m->shape.branches = layers / branch->depth;
        if (layers % branch->depth != 0)
            return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                               "%s: its %u blocks cannot be dealt to branches of %u layers",
                               m->source.name, layers, branch->depth);
    }
    return RAMIFY_OK;
}

/* Sizes from the shapes of a few tensors; the rest is checked against them later. */
static ramify_status find_sizes(importing *m) {
    const ramify_import_options *options = m->options;
    ramify_embedding_shape *embedding = &m->shape.embedding;
    ramify_branch_shape *branch = &m->shape.branch;
    char name[RAMIFY_TENSOR_NAME_MAX + 1];
    RAMIFY_TRY(count_layers(m));
    const ramify_tensor *patch = find(m, m->names->patch), *head = find(m, m->names->head);
    branch->qkv_bias = find_part(m, 0, 0, RAMIFY_LAYER_QKV_BIAS, name) != NULL;
    const ramify_tensor *fc1 = find_part(m, 0, 0, RAMIFY_LAYER_FC1, name);
    if (!patch || !head || !fc1)
        return missing(m, !patch ? m->names->patch : !head ? m->names->head : name);
    if (patch->rank != (m->names->convolution ? 4 : 2) || head->rank != 2 || fc1->rank != 2)
        return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                           "%s: tensors \"%s\" and \"%s\" are not of the ranks that %s has",
                           m->source.name, patch->name, head->name, m->names->tool);
    uint64_t numbers =
        m->names->convolution ? patch->shape[2] * patch->shape[2] * m->image[2] : patch->shape[1];
    double side = sqrt((double)numbers / m->image[2]);
    if (patch->shape[0] > RAMIFY_BRANCH_WIDTH_MAX || fc1->shape[0] > RAMIFY_BRANCH_HIDDEN_MAX ||
        head->shape[0] > RAMIFY_CLASSES_MAX || side > RAMIFY_IMAGE_SIDE_MAX || side < 1 ||
        side != floor(side))
        return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                           "%s: tensor \"%s\" holds no square patches of %u channels, or sizes are "
                           "beyond those that can be read",
                           m->source.name, patch->name, m->image[2]);
    embedding->patch = (uint32_t)side;
    if (m->image[0] % embedding->patch != 0 || m->image[1] % embedding->patch != 0)
        return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                           "%s: its patches of %u pixels do not cover an image of %u x %u",
                           m->source.name, embedding->patch, m->image[0], m->image[1]);
    embedding->height = m->image[0];
    embedding->breadth = m->image[1];
    embedding->channels = m->image[2];
    embedding->plain = m->image[0] * m->image[1] * m->image[2];
    embedding->tokens = (m->image[0] / embedding->patch) * (m->image[1] / embedding->patch) + 1;
    embedding->width = branch->width = m->shape.head.width = (uint32_t)patch->shape[0];
    branch->tokens = embedding->tokens;
    branch->heads = options->heads;
    branch->hidden = (uint32_t)fc1->shape[0];
    branch->plain_skip = options->skip ? strcmp(options->skip, "plain") == 0 : m->names->plain_skip;
    branch->epsilon = m->shape.head.epsilon =
        (float)(options->epsilon > 0 ? options->epsilon : m->names->epsilon);
    m->shape.head.outputs = (uint32_t)head->shape[0];
    const char *error = ramify_branch_shape_error(branch);
    return error ? ramify_fail(m->context, RAMIFY_ERROR_DATA, "%s: %s", m->source.name, error)
                 : RAMIFY_OK;
}

/* What is left of a layer would change what it does: another one before it is not there, or it has parts
 * that are not known here. */
static ramify_status check_left(const importing *m, const char *name) {
    const char *of = m->names->layers;
    if (strncmp(name, of, strlen(of)) != 0)
        return RAMIFY_OK;
    return ramify_fail(
        m->context, RAMIFY_ERROR_DATA,
        "%s: there is no place for tensor \"%s\" in %u x %u layers: one before it is "
        "missing, or layers have parts that %s's do not",
        m->source.name, name, m->shape.branches, m->shape.branch.depth, m->names->tool);
}

/* Reads a tensor of this shape (sizes of 1 in front do not count) to its place. */
static ramify_status take(importing *m, const char *name, uint64_t rows, uint64_t columns,
                          float *to) {
    const ramify_tensor *tensor = find(m, name);
    if (!tensor)
        return missing(m, name);
    const uint64_t *size = tensor->shape;
    uint32_t rank = tensor->rank;
    while (rank > (columns > 0 ? 2U : 1U) && *size == 1) {
        size++;
        rank--;
    }
    bool fits = tensor->dtype == RAMIFY_DTYPE_F32 && rank == (columns > 0 ? 2U : 1U) &&
                size[0] == rows && (columns == 0 || size[1] == columns);
    if (!fits) {
        char found[96], wanted[64];
        int at = snprintf(found, sizeof found, "%s [", ramify_dtype_name(tensor->dtype));
        for (uint32_t i = 0; i < tensor->rank; i++)
            at += snprintf(found + at, sizeof found - (size_t)at, "%s%llu", i > 0 ? ", " : "",
                           (unsigned long long)tensor->shape[i]);
        if (columns > 0)
            snprintf(wanted, sizeof wanted, "%llu, %llu", (unsigned long long)rows,
                     (unsigned long long)columns);
        else
            snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)rows);
        return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                           "%s: tensor \"%s\" is %s], expected F32 [%s] by the shapes of the "
                           "others",
                           m->source.name, name, found, wanted);
    }
    m->used[tensor - m->container->tensors] = true;
    RAMIFY_TRY(
        ramify_source_read(m->context, &m->source, tensor->begin, (size_t)tensor->bytes, to));
    for (uint64_t i = 0; i < tensor->bytes / sizeof *to; i++)
        if (!(fabsf(to[i]) <= RAMIFY_BRANCH_WEIGHT_MAX))
            return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                               "%s: tensor \"%s\": number %llu is %g, expected at most %g in size",
                               m->source.name, name, (unsigned long long)i, (double)to[i],
                               (double)RAMIFY_BRANCH_WEIGHT_MAX);
    return RAMIFY_OK;
}

/* timm's patches, width x channels x rows x columns, become ours, channels last. */
static ramify_status take_convolution(importing *m, float *to) {
    const ramify_embedding_shape *shape = &m->shape.embedding;
    size_t side = shape->patch, channels = shape->channels;
    size_t numbers = ramify_embedding_patch_numbers(shape);
    ramify_tensor *tensor = (ramify_tensor *)find(m, m->names->patch);
    if (tensor->shape[1] != channels || tensor->shape[2] != side || tensor->shape[3] != side)
        return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                           "%s: tensor \"%s\" is of %llu channels and %llu x %llu pixels, expected "
                           "%zu and %zu x %zu",
                           m->source.name, tensor->name, (unsigned long long)tensor->shape[1],
                           (unsigned long long)tensor->shape[2],
                           (unsigned long long)tensor->shape[3], channels, side, side);
    float *read = ramify_allocate(m->context, shape->width * numbers, sizeof *read);
    if (!read)
        return RAMIFY_ERROR_MEMORY;
    tensor->rank = 2; /* as take sees it */
    tensor->shape[1] = numbers;
    ramify_status status = take(m, m->names->patch, shape->width, numbers, read);
    for (size_t w = 0; status == RAMIFY_OK && w < shape->width; w++)
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < side * side; i++)
                to[w * numbers + i * channels + c] = read[w * numbers + c * side * side + i];
    ramify_release(m->context, read);
    return status;
}

static ramify_status take_branch(importing *m, uint32_t index, float *record) {
    const ramify_branch_shape *shape = &m->shape.branch;
    size_t floats = ramify_branch_layout(shape).floats;
    ramify_layer_part parts[RAMIFY_LAYER_PARTS];
    size_t count = ramify_paraformer_layer_parts(shape, parts);
    for (uint32_t l = 0; l < shape->depth; l++)
        for (size_t p = 0; p < count; p++) {
            char name[RAMIFY_TENSOR_NAME_MAX + 1];
            name_part(m, index, l, &parts[p], name);
            RAMIFY_TRY(
                take(m, name, parts[p].rows, parts[p].columns, record + l * floats + parts[p].at));
        }
    return RAMIFY_OK;
}

static ramify_status take_weights(importing *m) {
    const ramify_paraformer_shape *shape = &m->shape;
    const ramify_embedding_layout embedding = ramify_embedding_lay_out(&shape->embedding);
    const ramify_head_layout head = ramify_head_lay_out(&shape->head);
    const ramify_paraformer_parts parts = ramify_paraformer_parts_of(shape);
    if (parts.floats * sizeof(float) > 2 * m->source.size + (1 << 20))
        return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                           "%s: shorter than a model of its shapes would be", m->source.name);
    m->memory = ramify_allocate_zeroed(m->context, parts.floats, sizeof *m->memory);
    if (!m->memory)
        return RAMIFY_ERROR_MEMORY;
    m->weights = ramify_paraformer_weights_in(shape, m->memory);
    uint64_t width = shape->embedding.width;
    float *to = m->weights.embedding;
    const naming *names = m->names;
    RAMIFY_TRY(take(m, names->pos, shape->embedding.tokens, width, to + embedding.pos));
    RAMIFY_TRY(take(m, names->cls, width, 0, to + embedding.cls));
    if (names->convolution)
        RAMIFY_TRY(take_convolution(m, to + embedding.weight));
    else
        RAMIFY_TRY(take(m, names->patch, width, ramify_embedding_patch_numbers(&shape->embedding),
                        to + embedding.weight));
    RAMIFY_TRY(take(m, names->patch_bias, width, 0, to + embedding.bias));
    to = m->weights.head;
    RAMIFY_TRY(take(m, names->norm, width, 0, to + head.gain));
    RAMIFY_TRY(take(m, names->norm_bias, width, 0, to + head.bias));
    RAMIFY_TRY(take(m, names->head, shape->head.outputs, width, to + head.weight));
    RAMIFY_TRY(take(m, names->head_bias, shape->head.outputs, 0, to + head.weight_bias));
    for (uint32_t i = 0; i < shape->branches; i++)
        RAMIFY_TRY(take_branch(m, i, m->weights.branch + i * parts.branch));
    uint32_t left = 0, first = 0;
    for (uint32_t i = m->container->count; i-- > 0;)
        if (!m->used[i]) {
            left++;
            first = i;
            RAMIFY_TRY(check_left(m, m->container->tensors[i].name));
        }
    if (left == 0)
        return RAMIFY_OK;
    const char *name = m->container->tensors[first].name;
    if (find(m, "stem.columns"))
        ramify_log(m->context, RAMIFY_LOG_WARNING,
                   "%s: is a model of ramify, of which only the weights are taken: its scaling of "
                   "pixels and its classes are not",
                   m->source.name);
    else
        ramify_log(m->context, RAMIFY_LOG_WARNING,
                   "%s: %u tensors are not used, the first of them \"%s\"", m->source.name, left,
                   name);
    return RAMIFY_OK;
}

/* Names of columns, targets and classes, in one block each. */
typedef struct labels {
    ramify_schema_column *column;
    char *text, **name;
} labels;

#define LABEL_BYTES 16

/* The next output's name: of the user's list, or its number. */
static ramify_status name_output(importing *m, const char **list, uint32_t index, char *text,
                                 size_t size) {
    const char *name;
    size_t length;
    if (!m->options->names) {
        snprintf(text, size, "%u", index);
        return RAMIFY_OK;
    }
    if (!ramify_list_next(list, &name, &length))
        return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                           "names lists %u names for %u outputs: give one for each", index,
                           m->shape.head.outputs);
    if (length == 0 || length >= size)
        return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                           "name %u of names has %zu bytes: use 1 to %zu", index + 1, length,
                           size - 1);
    memcpy(text, name, length);
    text[length] = '\0';
    return RAMIFY_OK;
}

/* All names are taken, and no two are the same. */
static ramify_status check_names(const importing *m, const char *list, char *const *name) {
    const char *more;
    size_t length;
    uint32_t outputs = m->shape.head.outputs;
    if (m->options->names && ramify_list_next(&list, &more, &length))
        return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                           "names lists more than %u names: give one for each output", outputs);
    for (uint32_t i = 0; m->options->names && i < outputs; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(name[i], name[j]) == 0)
                return ramify_fail(m->context, RAMIFY_ERROR_ARGUMENT,
                                   "names lists \"%s\" twice: outputs need names of their own",
                                   name[i]);
    return RAMIFY_OK;
}

/* Bytes of an output's name. */
#define OUTPUT_BYTES 64

static ramify_status make_labels(importing *m, labels *l) {
    uint32_t columns = m->shape.embedding.plain, outputs = m->shape.head.outputs;
    l->column = ramify_allocate_zeroed(m->context, columns, sizeof *l->column);
    l->name = ramify_allocate(m->context, outputs, sizeof *l->name);
    l->text = ramify_allocate(m->context,
                              (size_t)columns * LABEL_BYTES + (size_t)outputs * OUTPUT_BYTES, 1);
    if (!l->column || !l->name || !l->text)
        return RAMIFY_ERROR_MEMORY;
    char *next = l->text;
    for (uint32_t c = 0; c < columns; c++, next += LABEL_BYTES) {
        snprintf(next, LABEL_BYTES, "c%u", c + 1);
        /* What the weights were trained on is not known, so that no pixel lies outside of it. */
        l->column[c] = (ramify_schema_column){.name = next, .low = -1e300, .high = 1e300};
    }
    const char *list = m->options->names;
    for (uint32_t i = 0; i < outputs; i++, next += OUTPUT_BYTES) {
        RAMIFY_TRY(name_output(m, &list, i, next, OUTPUT_BYTES));
        l->name[i] = next;
    }
    return check_names(m, list, l->name);
}

/* The stem of images: a plain feature per pixel and channel. */
typedef struct image_stem {
    ramify_stem stem;
    ramify_stem_column *column;
    double *center, *scale, *head; /* head: 0s, then 1s */
} image_stem;

static ramify_status make_stem(importing *m, image_stem *made) {
    ramify_context *context = m->context;
    uint32_t columns = m->shape.embedding.plain, outputs = m->shape.head.outputs;
    made->column = ramify_allocate_zeroed(context, columns, sizeof *made->column);
    made->center = ramify_allocate(context, columns, sizeof *made->center);
    made->scale = ramify_allocate(context, columns, sizeof *made->scale);
    made->head = ramify_allocate(context, 2 * (size_t)outputs, sizeof *made->head);
    if (!made->column || !made->center || !made->scale || !made->head)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t c = 0; c < columns; c++) {
        made->column[c].plain = made->column[c].feature = c;
        made->center[c] = m->options->center;
        made->scale[c] = m->options->scale;
    }
    for (uint32_t i = 0; i < outputs; i++) {
        made->head[i] = 0;
        made->head[outputs + i] = 1;
    }
    made->stem = (ramify_stem){.columns = columns,
                               .plain = columns,
                               .features = columns,
                               .routes = columns,
                               .column = made->column,
                               .center = made->center,
                               .scale = made->scale};
    return RAMIFY_OK;
}

static ramify_status write_model(importing *m, const labels *l, const image_stem *stem,
                                 ramify_model **model) {
    static char label[] = "label";
    char *target = label;
    bool classes = m->options->task == RAMIFY_TASK_CLASSIFICATION;
    uint32_t outputs = m->shape.head.outputs;
    ramify_schema schema = {.task = m->options->task,
                            .column_count = m->shape.embedding.plain,
                            .columns = l->column,
                            .target_count = classes ? 1 : outputs,
                            .targets = classes ? &target : l->name,
                            .class_count = classes ? outputs : 0,
                            .classes = classes ? l->name : NULL};
    ramify_draft draft = {.kind = "paraformer",
                          .schema = &schema,
                          .stem = &stem->stem,
                          .head_center = stem->head,
                          .head_scale = stem->head + outputs,
                          .paraformer = &m->shape,
                          .weights = m->weights};
    void *bytes;
    size_t size;
    RAMIFY_TRY(ramify_draft_write(m->context, &draft, &bytes, &size));
    return ramify_open_owned(m->context, bytes, size, model);
}

static ramify_status run(importing *m, ramify_model **model) {
    RAMIFY_TRY(ramify_container_read_foreign(m->context, &m->source, &m->container));
    m->used = ramify_allocate_zeroed(m->context, m->container->count, sizeof *m->used);
    if (!m->used)
        return RAMIFY_ERROR_MEMORY;
    m->names = &paraformer_names;
    if (find(m, timm_names.pos))
        m->names = &timm_names;
    else if (!find(m, paraformer_names.pos))
        return ramify_fail(m->context, RAMIFY_ERROR_DATA,
                           "%s: has neither a tensor \"%s\", as the released Para-Former, nor "
                           "\"%s\", as a vision transformer of timm",
                           m->source.name, paraformer_names.pos, timm_names.pos);
    RAMIFY_TRY(find_sizes(m));
    RAMIFY_TRY(take_weights(m));
    labels l = {0};
    image_stem stem = {0};
    ramify_status status = make_labels(m, &l);
    if (status == RAMIFY_OK)
        status = make_stem(m, &stem);
    if (status == RAMIFY_OK)
        status = write_model(m, &l, &stem, model);
    ramify_release(m->context, l.column);
    ramify_release(m->context, l.name);
    ramify_release(m->context, l.text);
    ramify_release(m->context, stem.column);
    ramify_release(m->context, stem.center);
    ramify_release(m->context, stem.scale);
    ramify_release(m->context, stem.head);
    return status;
}

static ramify_status check_options(ramify_context *context, const ramify_import_options *o,
                                   uint32_t image[3]) {
    if (!o->image || !ramify_image_read(o->image, RAMIFY_COLUMNS_MAX, image)) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        const char *text = o->image ? o->image : "";
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "image \"%s\" is not of the form HxW or HxWxC, such as 224x224x3",
                           ramify_text_excerpt(text, strlen(text), excerpt));
    }
    uint64_t numbers = (uint64_t)image[0] * image[1] * image[2];
    if (image[0] > RAMIFY_IMAGE_SIDE_MAX || image[1] > RAMIFY_IMAGE_SIDE_MAX ||
        image[2] > RAMIFY_IMAGE_CHANNELS_MAX || numbers > RAMIFY_COLUMNS_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "images of %u x %u pixels and %u channels: sides of 1 to %d, 1 to %d "
                           "channels and %d numbers in all can be read",
                           image[0], image[1], image[2], RAMIFY_IMAGE_SIDE_MAX,
                           RAMIFY_IMAGE_CHANNELS_MAX, RAMIFY_COLUMNS_MAX);
    if (o->skip && strcmp(o->skip, "plain") != 0 && strcmp(o->skip, "normalised") != 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "skip must be normalised or plain, found %.20s", o->skip);
    if (!isfinite(o->center) || !(o->scale > 0) || !isfinite(o->scale) || !(o->epsilon >= 0))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "center must be a number, scale a number above 0, and epsilon one of 0 "
                           "or more");
    return RAMIFY_OK;
}

ramify_status ramify_import(ramify_context *context, const char *path,
                            const ramify_import_options *options, ramify_model **model) {
    ramify_clear(context);
    if (!path || !options || !model)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_import: path, options or model is NULL");
    *model = NULL;
    importing state = {.context = context, .options = options}, *m = &state;
    RAMIFY_TRY(check_options(context, options, m->image));
    RAMIFY_TRY(ramify_source_open(context, path, RAMIFY_ACCESS_READ, &m->source));
    ramify_status status = run(m, model);
    ramify_container_destroy(context, &m->container);
    ramify_release(context, m->used);
    ramify_release(context, m->memory);
    ramify_source_close(context, &m->source);
    return status;
}

/* Opening a model: source, header, config, always resident tensors, stores, root. Nothing else is
 * read. Every failure takes the same way out, ramify_close. */

#include "blend.h"
#include "crc32c.h"
#include "draft.h"
#include "memory.h"
#include "model.h"
#include "predict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* With a bound, a predictor may take up to this many rows' scratch, and at most a quarter of what
 * the bound leaves; the rest is cache. */
#define PREDICTOR_ROWS 256

/* Linux allows a process 65,530 mappings by default (vm.max_map_count); the rest of the program
 * needs some, and so may another model. */
#define MAPPED_SLOTS_MAX 16384

void ramify_open_options_init(ramify_open_options *options) {
    *options = (ramify_open_options){.access = RAMIFY_ACCESS_READ};
}

void ramify_model_layout(const ramify_layout_of *of, ramify_layout *layout,
                         ramify_layout_places *places) {
    const ramify_stem *stem = of->stem;
    uint64_t route_rows = stem->route ? stem->routes : 0;
    ramify_layout_add(layout, "stem.columns", RAMIFY_DTYPE_I32, 2, stem->columns, 8);
    ramify_layout_add(layout, "stem.center", RAMIFY_DTYPE_F64, 1, stem->columns, 0);
    ramify_layout_add(layout, "stem.scale", RAMIFY_DTYPE_F64, 1, stem->columns, 0);
    ramify_layout_add(layout, "stem.knots", RAMIFY_DTYPE_F32, 1, stem->knot_count, 0);
    ramify_layout_add(layout, "stem.table", RAMIFY_DTYPE_F32, 2, stem->entry_count, 4);
    ramify_layout_add(layout, "stem.frequency", RAMIFY_DTYPE_F32, 2, stem->columns,
                      stem->frequencies);
    ramify_layout_add(layout, "stem.route", RAMIFY_DTYPE_F32, 2, route_rows,
                      ramify_pad(stem->plain));
    ramify_layout_add(layout, "head.center", RAMIFY_DTYPE_F64, 1, of->targets, 0);
    ramify_layout_add(layout, "head.scale", RAMIFY_DTYPE_F64, 1, of->targets, 0);
    if (of->paraformer) {
        ramify_paraformer_layout_shared(of->paraformer, layout);
        places->resident = places->nodes = layout->bytes;
        places->modules = places->series =
            ramify_paraformer_layout_branches(of->paraformer, layout);
        return;
    }
    ramify_layout_add(layout, "tree.root", RAMIFY_DTYPE_U8, 1, sizeof(ramify_reference), 0);
    places->resident = layout->bytes;
    places->nodes = ramify_layout_add(layout, "tree.nodes", RAMIFY_DTYPE_U8, 1, of->node_bytes, 0);
    places->modules = ramify_layout_add(layout, "experts.0", RAMIFY_DTYPE_F32, 2, of->modules,
                                        of->module_bytes / sizeof(float));
    if (of->packed_bytes > 0)
        places->modules =
            ramify_layout_add(layout, "experts.0", RAMIFY_DTYPE_U8, 1, of->packed_bytes, 0);
    const bool first = of->modules == 0 && of->packed_bytes == 0;
    places->series = ramify_layout_add(layout, first ? "experts.0" : "experts.1", RAMIFY_DTYPE_U8,
                                       1, of->series_bytes, 0);
}

static const char *const kinds[] = {"pathways", "mlp", "nyquist", "paraformer"};

static ramify_status read_metadata(ramify_context *context, ramify_model *model,
                                   const ramify_container *container) {
    const char *name = model->source.name;
    const char *format = ramify_container_text(container, "ramify.format");
    const char *kind = ramify_container_text(container, "ramify.kind");
    const char *config = ramify_container_text(container, "ramify.config");
    if (!format)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: a safetensors file without ramify.format, not a ramify model",
                           name);
    char known[16];
    snprintf(known, sizeof known, "%d", RAMIFY_FORMAT);
    if (strcmp(format, known) != 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: its ramify.format is not %s, the only one that ramify %s reads: "
                           "update ramify",
                           name, known, RAMIFY_VERSION);
    for (size_t i = 0; kind && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kind, kinds[i]) == 0)
            model->kind = kinds[i];
    if (!model->kind)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: a model of a kind that ramify %s does not know, expected pathways, "
                           "mlp, nyquist or paraformer: update ramify",
                           name, RAMIFY_VERSION);
    if (!config)
        return ramify_damaged(context, &model->source, "header: no ramify.config");
    model->config = ramify_copy_text(context, config);
    return model->config ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static void describe_tensor(const ramify_tensor *tensor, char *text, size_t size) {
    int used = snprintf(text, size, "\"%s\" %s [", tensor->name, ramify_dtype_name(tensor->dtype));
    for (uint32_t i = 0; i < tensor->rank; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%llu", i > 0 ? ", " : "",
                         (unsigned long long)tensor->shape[i]);
    snprintf(text + used, size - (size_t)used, "]");
}

static bool same_tensor(const ramify_tensor *a, const ramify_tensor *b) {
    bool same = strcmp(a->name, b->name) == 0 && a->dtype == b->dtype && a->rank == b->rank;
    for (uint32_t i = 0; same && i < a->rank; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

/* The size of tree.nodes is the file's to say, within what the config's numbers allow. */
static ramify_status measure_nodes(ramify_context *context, ramify_model *model,
                                   const ramify_container *container) {
    ramify_tree_limits *limits = &model->limits;
    limits->node_bytes = 0;
    for (uint32_t i = 0; i < container->count; i++)
        if (strcmp(container->tensors[i].name, "tree.nodes") == 0)
            limits->node_bytes = container->tensors[i].bytes;
    uint64_t least = limits->nodes * ramify_node_bytes(2, limits->dims);
    uint64_t widest = limits->nodes > 0 ? ramify_node_bytes(limits->arity, limits->dims) : 0;
    if (limits->node_bytes % 64 == 0 && limits->node_bytes >= least &&
        limits->node_bytes >= widest && (limits->nodes > 0 || limits->node_bytes == 0))
        return RAMIFY_OK;
    return ramify_damaged(context, &model->source,
                          "tensor \"tree.nodes\": %llu bytes cannot hold %llu nodes, one of "
                          "them with %u children",
                          (unsigned long long)limits->node_bytes, (unsigned long long)limits->nodes,
                          limits->arity);
}

/* The tensors that the config asks for; with layout->tensors NULL they are only counted. */
static void expect_tensors(ramify_model *model, ramify_layout *layout,
                           ramify_layout_places *places) {
    ramify_tree_limits *limits = &model->limits;
    const bool series = ramify_model_series(model) != NULL;
    const bool packed = ramify_model_is_packed(model);
    const uint64_t alike =
        packed || (series && model->series_group == 0) ? 0 : limits->group[0].count;
    const ramify_layout_of of = {.stem = &model->stem,
                                 .targets = model->targets,
                                 .paraformer = ramify_model_paraformer(model),
                                 .node_bytes = limits->node_bytes,
                                 .modules = alike,
                                 .module_bytes = alike > 0 ? limits->group[0].record_bytes : 0,
                                 .packed_bytes = packed ? limits->group[0].bytes : 0,
                                 .series_bytes =
                                     series ? limits->group[model->series_group].bytes : 0};
    ramify_model_layout(&of, layout, places);
    if (alike > 0)
        limits->group[0].bytes = alike * limits->group[0].record_bytes;
    if (series)
        limits->group[model->series_group].begin = places->series - places->modules;
    ramify_notes_layout(&model->notes, model->targets, model->stem.plain, limits->nodes,
                        limits->leaves, layout, &model->notes_tables, &model->notes_records);
}

static ramify_status compare_tensors(ramify_context *context, const ramify_model *model,
                                     const ramify_layout *layout,
                                     const ramify_container *container) {
    for (uint32_t i = 0; i < layout->count || i < container->count; i++) {
        char found[192] = "nothing", expected[192] = "nothing";
        if (i < layout->count && i < container->count &&
            same_tensor(&layout->tensors[i], &container->tensors[i]))
            continue;
        if (i < layout->count)
            describe_tensor(&layout->tensors[i], expected, sizeof expected);
        if (i < container->count)
            describe_tensor(&container->tensors[i], found, sizeof found);
        return ramify_damaged(context, &model->source, "tensor %u is %s, expected %s", i, found,
                              expected);
    }
    return RAMIFY_OK;
}

/* The config says which tensors there must be, with which shapes; the file must have exactly those.
 */
static ramify_status match_tensors(ramify_context *context, ramify_model *model,
                                   const ramify_container *container) {
    ramify_tree_limits *limits = &model->limits;
    ramify_layout counted = {0};
    ramify_layout_places places;
    RAMIFY_TRY(measure_nodes(context, model, container));
    expect_tensors(model, &counted, &places);
    ramify_layout layout = {.tensors =
                                ramify_allocate(context, counted.count, sizeof *layout.tensors)};
    if (!layout.tensors)
        return RAMIFY_ERROR_MEMORY;
    expect_tensors(model, &layout, &places);
    ramify_status status = compare_tensors(context, model, &layout, container);
    ramify_release(context, layout.tensors);
    RAMIFY_TRY(status);
    model->data_start = container->data_start;
    model->resident_bytes = places.resident;
    model->nodes = (ramify_store){
        .begin = model->data_start + places.nodes,
        .bytes = limits->node_bytes,
        .unit = 64,
        .slot_bytes = limits->nodes > 0 ? ramify_node_bytes(limits->arity, limits->dims) : 0};
    const ramify_module_group *last = &limits->group[limits->groups - 1];
    model->experts =
        (ramify_store){.begin = model->data_start + places.modules,
                       .bytes = last->begin + last->bytes,
                       .unit = limits->group[0].varies || last->varies ? 64 : limits->module_bytes,
                       .slot_bytes = limits->module_bytes};
    return RAMIFY_OK;
}

/* Where a tensor of the always resident part lies in memory; NULL when there is none. */
static const void *resident_tensor(const ramify_container *container, const char *name,
                                   const unsigned char *resident) {
    for (uint32_t i = 0; i < container->count; i++)
        if (strcmp(container->tensors[i].name, name) == 0)
            return resident + (container->tensors[i].begin - container->data_start);
    return NULL;
}

static ramify_status check_head(ramify_context *context, const ramify_model *model) {
    for (uint32_t i = 0; i < model->targets; i++) {
        double center = model->head_center[i], scale = model->head_scale[i];
        if (!(fabs(center) <= RAMIFY_HEAD_NUMBER_MAX))
            return ramify_damaged(
                context, &model->source,
                "tensor \"head.center\": number %u is %g, expected at most %g in size", i, center,
                RAMIFY_HEAD_NUMBER_MAX);
        if (!(scale > 0 && scale <= RAMIFY_HEAD_NUMBER_MAX))
            return ramify_damaged(
                context, &model->source,
                "tensor \"head.scale\": number %u is %g, expected above 0 and at most %g", i, scale,
                RAMIFY_HEAD_NUMBER_MAX);
    }
    return RAMIFY_OK;
}

/* The checksum covers the config's text and the always resident bytes; modules and nodes are
 * covered by their references, which all hang from tree.root. */
static ramify_status check_checksum(ramify_context *context, const ramify_model *model,
                                    const ramify_container *container,
                                    const unsigned char *resident) {
    uint32_t crc = ramify_crc32c(0, model->config, strlen(model->config));
    crc = ramify_crc32c(crc, resident, (size_t)model->resident_bytes);
    char found[9];
    snprintf(found, sizeof found, "%08x", crc);
    const char *expected = ramify_container_text(container, "ramify.crc32c");
    if (!expected || strlen(expected) != 8 || strspn(expected, "0123456789abcdef") != 8)
        return ramify_damaged(context, &model->source,
                              "header: ramify.crc32c is not 8 hexadecimal digits");
    if (strcmp(found, expected) != 0)
        return ramify_damaged(context, &model->source, "config and stem: checksum %s, expected %s",
                              found, expected);
    return RAMIFY_OK;
}

/* The parts of a Para-Former that are always resident: finite weights, references one after the
 * other, and which column each plain feature is of. */
static ramify_status check_branches(ramify_context *context, ramify_model *model) {
    ramify_paraformer_shape *shape = &model->paraformer;
    const struct {
        const char *name;
        const float *weights;
        size_t floats;
    } parts[] = {
        {"embedding", model->embedding, ramify_embedding_lay_out(&shape->embedding).floats},
        {"head", model->head, ramify_head_lay_out(&shape->head).floats},
    };
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
        for (size_t i = 0; i < parts[part].floats; i++)
            if (!(fabsf(parts[part].weights[i]) <= RAMIFY_BRANCH_WEIGHT_MAX))
                return ramify_damaged(context, &model->source,
                                      "weight %zu of the %s is %g, expected at most %g in size", i,
                                      parts[part].name, (double)parts[part].weights[i],
                                      (double)RAMIFY_BRANCH_WEIGHT_MAX);
    for (uint32_t i = 0; i < shape->branches; i++) {
        const ramify_reference *at = &model->branch[i];
        if (at->kind != RAMIFY_REFERENCE_MODULE || at->group != 0 || at->id != i || at->leaf != 0 ||
            at->length != model->limits.module_bytes ||
            at->offset != i * model->limits.module_bytes)
            return ramify_damaged(context, &model->source,
                                  "tensor \"branches\": reference %u is not to branch %u", i, i);
    }
    if (shape->embedding.patch > 0)
        return RAMIFY_OK;
    model->plain_column = ramify_allocate(context, model->stem.plain, sizeof *model->plain_column);
    if (!model->plain_column)
        return RAMIFY_ERROR_MEMORY;
    ramify_paraformer_columns(&model->stem, model->plain_column);
    shape->embedding.column = model->plain_column;
    return RAMIFY_OK;
}

static ramify_status read_resident(ramify_context *context, ramify_model *model,
                                   const ramify_container *container) {
    const unsigned char *resident;
    if (model->source.bytes) {
        resident = model->source.bytes + model->data_start;
    } else {
        model->resident = ramify_allocate(context, (size_t)model->resident_bytes, 1);
        if (!model->resident)
            return RAMIFY_ERROR_MEMORY;
        RAMIFY_TRY(ramify_source_read(context, &model->source, model->data_start,
                                      (size_t)model->resident_bytes, model->resident));
        resident = model->resident;
    }
    RAMIFY_TRY(check_checksum(context, model, container, resident));
    for (uint32_t i = 0; i < container->count; i++) {
        const ramify_tensor *tensor = &container->tensors[i];
        if (tensor->begin - container->data_start >= model->resident_bytes)
            break; /* the pads of notes are checked with them */
        for (uint64_t b = 0; ramify_tensor_is_pad(tensor) && b < tensor->bytes; b++)
            if (resident[tensor->begin - container->data_start + b] != 0)
                return ramify_damaged(context, &model->source, "tensor \"%s\": a pad is not 0",
                                      tensor->name);
    }
    ramify_stem *stem = &model->stem;
    stem->column = resident_tensor(container, "stem.columns", resident);
    stem->center = resident_tensor(container, "stem.center", resident);
    stem->scale = resident_tensor(container, "stem.scale", resident);
    stem->knots = resident_tensor(container, "stem.knots", resident);
    stem->table = resident_tensor(container, "stem.table", resident);
    stem->frequency = resident_tensor(container, "stem.frequency", resident);
    stem->route = resident_tensor(container, "stem.route", resident);
    model->head_center = resident_tensor(container, "head.center", resident);
    model->head_scale = resident_tensor(container, "head.scale", resident);
    RAMIFY_TRY(ramify_stem_check(context, &model->source, stem, model->schema));
    ramify_stem_classify(stem);
    RAMIFY_TRY(check_head(context, model));
    if (ramify_model_paraformer(model)) {
        model->embedding = resident_tensor(container, "pos_embedding", resident);
        model->head = resident_tensor(container, "mlp_head.0.weight", resident);
        model->branch = resident_tensor(container, "branches", resident);
        return check_branches(context, model);
    }
    memcpy(&model->root, resident_tensor(container, "tree.root", resident), sizeof model->root);
    RAMIFY_TRY(ramify_root_check(context, &model->source, &model->limits, &model->root));
    if (strcmp(model->kind, "nyquist") == 0 &&
        (!ramify_model_series(model) || model->limits.groups > 1))
        return ramify_damaged(context, &model->source,
                              "config: a model of kind nyquist has other modules than series");
    if (strcmp(model->kind, "mlp") == 0 && model->limits.nodes > 0)
        return ramify_damaged(context, &model->source,
                              "config: %llu tree nodes in a model of kind "
                              "mlp, expected 0",
                              (unsigned long long)model->limits.nodes);
    return RAMIFY_OK;
}

static ramify_status check_bound(ramify_context *context, const ramify_model *model,
                                 uint64_t need) {
    if (need <= model->bound)
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                       "%s: one row needs %llu bytes in memory, %llu are allowed: allow more, or "
                       "train with a smaller bound (--resident)",
                       model->source.name, (unsigned long long)need,
                       (unsigned long long)model->bound);
}

/* A store whose slots are being counted: how many, and what they take. */
typedef struct slot_plan {
    uint64_t slot_bytes, records, slots;
    bool mapped;
} slot_plan;

static uint64_t plan_bytes(const slot_plan *plan) {
    return plan->slots > 0 ? ramify_store_cache_bytes(plan->slot_bytes, plan->mapped, plan->slots)
                           : 0;
}

/* Adds as many slots as `spare` bytes more allow and there are records for. Sizes go up in steps
 * (buckets are a power of two), so the number is searched for. Returns the bytes used of spare. */
static uint64_t add_slots(slot_plan *plan, uint64_t spare) {
    uint64_t before = plan_bytes(plan);
    uint64_t low = plan->slots, high = plan->records > low ? plan->records : low;
    if (plan->mapped && high > MAPPED_SLOTS_MAX && low < MAPPED_SLOTS_MAX)
        high = MAPPED_SLOTS_MAX;
    while (low < high) {
        plan->slots = low + (high - low + 1) / 2;
        if (plan_bytes(plan) - before <= spare)
            low = plan->slots;
        else
            high = plan->slots - 1;
    }
    plan->slots = low;
    return plan_bytes(plan) - before;
}

/* Levels from the root whose nodes all stay, in at most half of the slots that one path leaves. */
static uint32_t plan_kept_levels(const ramify_model *model, uint64_t slots, uint32_t *kept) {
    uint64_t room = (slots - model->limits.depth) / 2, nodes = 1, all = 0;
    uint32_t levels = 0;
    for (; levels < model->limits.depth && all + nodes <= room; levels++) {
        all += nodes;
        nodes *= model->limits.arity;
    }
    *kept = (uint32_t)all;
    return levels;
}

/* Divides what the bound leaves: a further predictor for every further thread that may predict; up
 * to a quarter for larger predictors; then nodes, as every row needs some of them, up to another
 * third; then modules. */
static ramify_status open_caches(ramify_context *context, ramify_model *model) {
    bool mapped = model->maps_records;
    slot_plan nodes = {.slot_bytes = model->nodes.slot_bytes,
                       .records = model->limits.nodes,
                       .slots = model->limits.depth,
                       .mapped = mapped};
    slot_plan experts = {.slot_bytes = model->experts.slot_bytes,
                         .records = model->limits.modules,
                         .slots = 1,
                         .mapped = mapped};
    uint64_t need = model->need.total;
    if (mapped) {
        need += plan_bytes(&nodes) + plan_bytes(&experts);
        nodes.mapped = experts.mapped = false;
        need -= plan_bytes(&nodes) + plan_bytes(&experts);
        nodes.mapped = experts.mapped = true;
    }
    RAMIFY_TRY(check_bound(context, model, need));
    uint64_t spare = model->bound - need;
    uint64_t further = spare / model->need.scratch;
    if (model->predictors - 1 > further)
        model->predictors = 1 + (uint32_t)further;
    spare -= (model->predictors - 1) * model->need.scratch;

    uint64_t most = ramify_model_predictor_bytes(model, PREDICTOR_ROWS) - model->need.scratch;
    uint64_t share = spare / 4 / model->predictors;
    uint64_t larger = most < share ? most : share;
    model->predictor_allowance = model->need.scratch + larger;
    spare -= larger * model->predictors;

    if (model->limits.nodes > 0)
        spare -= add_slots(&nodes, spare / 3);
    add_slots(&experts, spare);
    uint32_t kept = 0;
    if (model->limits.nodes > 0) {
        model->kept_levels = plan_kept_levels(model, nodes.slots, &kept);
        RAMIFY_TRY(
            ramify_store_open_cache(context, &model->nodes, (uint32_t)nodes.slots, kept, mapped));
    }
    return ramify_store_open_cache(context, &model->experts, (uint32_t)experts.slots, 0, mapped);
}

static ramify_status open_stores(ramify_context *context, ramify_model *model) {
    ramify_need_of of = {.schema_bytes = ramify_schema_bytes(model->schema),
                         .config_bytes = strlen(model->config),
                         .stem = &model->stem,
                         .targets = model->targets,
                         .shape = &model->shape,
                         .series = ramify_model_series(model),
                         .paraformer = ramify_model_paraformer(model),
                         .depth = model->limits.depth,
                         .arity = model->limits.arity,
                         .top_k = model->top_k,
                         .notes_bytes = model->notes_wanted ? ramify_notes_bytes(model, 1) : 0};
    model->need = ramify_resident_need(&of);
    if (model->bound > 0)
        return open_caches(context, model);
    unsigned char *bytes = model->source.bytes;
    if (model->nodes.bytes > 0)
        RAMIFY_TRY(ramify_store_open_in_place(context, &model->nodes,
                                              bytes ? bytes + model->nodes.begin : NULL));
    return ramify_store_open_in_place(context, &model->experts,
                                      bytes ? bytes + model->experts.begin : NULL);
}

/* What is held from now on, apart from predictors and what is filled on demand. */
static uint64_t count_fixed(const ramify_model *model) {
    uint64_t bytes = ramify_block_bytes(sizeof *model) +
                     ramify_block_bytes(strlen(model->source.name) + 1) +
                     ramify_block_bytes(strlen(model->config) + 1) +
                     ramify_block_bytes(ramify_schema_bytes(model->schema));
    if (model->plain_column)
        bytes += ramify_block_bytes(model->stem.plain * sizeof *model->plain_column);
    if (model->resident)
        bytes += ramify_block_bytes(model->resident_bytes);
    if (model->source.kind == RAMIFY_SOURCE_OWNED)
        bytes += ramify_block_bytes(model->source.size);
    return bytes + ramify_store_held(&model->nodes) + ramify_store_held(&model->experts);
}

static ramify_status read_root(ramify_context *context, ramify_model *model) {
    if (ramify_model_paraformer(model) || model->root.kind != RAMIFY_REFERENCE_NODE)
        return RAMIFY_OK;
    ramify_traffic traffic = {0};
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(context, model, &model->nodes, &model->root,
                                    model->kept_levels > 0, &traffic, &record, &slot));
    ramify_status status =
        ramify_node_check_place(context, &model->source, &model->root, record, 0);
    ramify_store_release(model, &model->nodes, slot);
    return status;
}

static ramify_status open_parts(ramify_context *context, ramify_model *model) {
    ramify_container *container = NULL;
    RAMIFY_TRY(ramify_container_read(context, &model->source, &container));
    ramify_status status = read_metadata(context, model, container);
    if (status == RAMIFY_OK)
        status = ramify_config_read(context, model);
    if (status == RAMIFY_OK)
        status = match_tensors(context, model, container);
    if (status == RAMIFY_OK)
        status = read_resident(context, model, container);
    ramify_container_destroy(context, &container);
    if (status == RAMIFY_OK)
        status = open_stores(context, model);
    if (status == RAMIFY_OK)
        status = read_root(context, model);
    model->fixed_bytes = status == RAMIFY_OK ? count_fixed(model) : 0;
    ramify_model_hold(model, &model->part_bytes, 0);
    return status;
}

/* Takes over the source. */
static ramify_status open_source(ramify_context *context, ramify_source *source,
                                 const ramify_open_options *options, ramify_model **model) {
    ramify_model *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made) {
        ramify_source_close(context, source);
        return RAMIFY_ERROR_MEMORY;
    }
    made->context = context;
    made->source = *source;
    made->bound = options->resident_bytes;
    made->predictors = options->predictors > 0 ? options->predictors : 1;
    made->top_k = options->top_k > 0 ? options->top_k : 1;
    made->notes_wanted = options->notes;
    made->branches = options->branches;
    made->maps_records = made->bound > 0 && options->access == RAMIFY_ACCESS_MMAP;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    ramify_status status = open_parts(context, made);
    if (status != RAMIFY_OK)
        ramify_close(&made);
    else
        *model = made;
    return status;
}

ramify_status ramify_open_inside(ramify_context *context, const char *path,
                                 const ramify_open_options *options, ramify_model **model) {
    if (!path || !model)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "ramify_open: path or model is NULL");
    ramify_open_options chosen;
    ramify_open_options_init(&chosen);
    if (options)
        chosen = *options;
    if (chosen.access != RAMIFY_ACCESS_READ && chosen.access != RAMIFY_ACCESS_MMAP)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "ramify_open: unknown access %d",
                           (int)chosen.access);
    if (chosen.top_k > RAMIFY_TOP_K_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_open: %u experts per row (top_k), %d are the most", chosen.top_k,
                           RAMIFY_TOP_K_MAX);
    /* Under a bound a file is mapped record by record. */
    ramify_access access = chosen.resident_bytes > 0 ? RAMIFY_ACCESS_READ : chosen.access;
    ramify_source source;
    RAMIFY_TRY(ramify_source_open(context, path, access, &source));
    return open_source(context, &source, &chosen, model);
}

ramify_status ramify_open(ramify_context *context, const char *path,
                          const ramify_open_options *options, ramify_model **model) {
    ramify_clear(context);
    return ramify_open_inside(context, path, options, model);
}

static const ramify_open_options unbounded = {.access = RAMIFY_ACCESS_READ};

ramify_status ramify_open_buffer(ramify_context *context, const void *bytes, size_t size,
                                 ramify_model **model) {
    ramify_clear(context);
    if (!bytes || !model)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_open_buffer: bytes or model is NULL");
    ramify_source source;
    RAMIFY_TRY(ramify_source_memory(context, bytes, size, false, &source));
    return open_source(context, &source, &unbounded, model);
}

ramify_status ramify_open_owned(ramify_context *context, void *bytes, size_t size,
                                ramify_model **model) {
    ramify_source source;
    RAMIFY_TRY(ramify_source_memory(context, bytes, size, true, &source));
    return open_source(context, &source, &unbounded, model);
}

void ramify_close(ramify_model **model) {
    if (!model || !*model)
        return;
    ramify_model *old = *model;
    ramify_context *context = old->context;
    *model = NULL;
    ramify_store_close(context, &old->nodes);
    ramify_store_close(context, &old->experts);
    ramify_schema_destroy(context, &old->schema);
    ramify_release(context, old->plain_column);
    ramify_release(context, old->resident);
    ramify_release(context, old->config);
    ramify_source_close(context, &old->source);
    pthread_cond_destroy(&old->changed);
    pthread_mutex_destroy(&old->lock);
    ramify_release(context, old);
}

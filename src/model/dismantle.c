#include "dismantle.h"
#include "memory.h"
#include "tree.h"

#include <string.h>

typedef struct taking {
    ramify_context *context;
    ramify_model *model;
    ramify_dismantled *made;
    ramify_reference *reference; /* nodes: to be taken apart */
    ramify_traffic traffic;
} taking;

void ramify_dismantled_destroy(ramify_dismantled **dismantled) {
    if (!*dismantled)
        return;
    ramify_dismantled *old = *dismantled;
    ramify_context *context = old->context;
    *dismantled = NULL;
    for (uint32_t i = 0; old->records && i < old->module_count; i++)
        ramify_release(context, old->records[i]);
    for (uint32_t i = 0; old->packed && i < old->module_count; i++)
        ramify_release(context, old->packed[i]);
    for (uint32_t i = 0; old->series && i < old->series_count; i++)
        ramify_release(context, old->series[i]);
    for (uint32_t i = 0; old->memory && i < old->memory_count; i++)
        ramify_release(context, old->memory[i]);
    ramify_release(context, old->nodes);
    ramify_release(context, old->leaf);
    ramify_release(context, (void *)old->children);
    ramify_release(context, (void *)old->records);
    ramify_release(context, (void *)old->packed);
    ramify_release(context, (void *)old->series);
    ramify_release(context, (void *)old->memory);
    ramify_release(context, old);
}

static ramify_status copy_record(const taking *t, const void *record, size_t bytes, void **copy) {
    *copy = ramify_allocate(t->context, bytes, 1);
    if (!*copy)
        return RAMIFY_ERROR_MEMORY;
    memcpy(*copy, record, bytes);
    return RAMIFY_OK;
}

/* A module's record, if no leaf before has led to it. */
static ramify_status take_module(taking *t, const ramify_reference *reference, const void *record) {
    ramify_model *model = t->model;
    ramify_dismantled *made = t->made;
    const ramify_module_group *group = &model->limits.group[reference->group];
    const uint32_t number = reference->id - (uint32_t)group->first;
    if (ramify_model_series(model) && reference->group == model->series_group)
        return made->series[number]
                   ? RAMIFY_OK
                   : copy_record(t, record, reference->length, &made->series[number]);
    if (made->records[number])
        return RAMIFY_OK;
    made->records[number] = ramify_allocate(t->context, ramify_mlp_record_bytes(&made->shape), 1);
    if (!made->records[number])
        return RAMIFY_ERROR_MEMORY;
    if (made->packed) {
        ramify_packed_unpack(&model->shape.packed, record, made->records[number]);
        return copy_record(t, record, reference->length, &made->packed[number]);
    }
    memcpy(made->records[number], record, reference->length);
    return RAMIFY_OK;
}

static ramify_status take_leaf(taking *t, uint32_t index, const ramify_reference *reference) {
    ramify_dismantled *made = t->made;
    const ramify_module_group *group = &t->model->limits.group[reference->group];
    const bool series = ramify_model_series(t->model) && reference->group == t->model->series_group;
    const void *record;
    uint32_t slot;
    made->leaf[index] = reference->leaf;
    made->nodes[index].module =
        reference->id - (uint32_t)group->first + (series ? made->module_count : 0);
    RAMIFY_TRY(ramify_store_acquire(t->context, t->model, &t->model->experts, reference, false,
                                    &t->traffic, &record, &slot));
    ramify_status status = take_module(t, reference, record);
    ramify_store_release(t->model, &t->model->experts, slot);
    return status;
}

/* A node's children become the next nodes. */
static ramify_status take_node(taking *t, uint32_t index, const ramify_reference *reference,
                               uint32_t *depth, uint64_t most) {
    ramify_model *model = t->model;
    ramify_dismantled *made = t->made;
    const void *record;
    void *copy = NULL;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(t->context, model, &model->nodes, reference, false, &t->traffic,
                                    &record, &slot));
    ramify_status status = copy_record(t, record, reference->length, &copy);
    ramify_store_release(model, &model->nodes, slot);
    RAMIFY_TRY(status);
    made->memory[made->memory_count++] = copy;
    const ramify_node_header *header = copy;
    RAMIFY_TRY(
        ramify_node_check_place(t->context, &model->source, reference, header, depth[index]));
    if (made->node_count + (uint64_t)header->children > most)
        return ramify_damaged(t->context, &model->source,
                              "the tree has more nodes and leaves than the config says");
    const float *prototypes = ramify_node_prototypes(copy, header->children);
    made->nodes[index].children = header->children;
    made->nodes[index].first_child = made->node_count;
    made->children[index] = prototypes;
    for (uint32_t c = 0; c < header->children; c++) {
        const uint32_t child = made->node_count++;
        t->reference[child] = ramify_node_references(copy)[c];
        made->nodes[child].prototype = prototypes + c * ramify_pad(model->stem.routes);
        depth[child] = depth[index] + 1;
    }
    return RAMIFY_OK;
}

static ramify_status take_all(taking *t, uint32_t *depth, uint64_t most) {
    ramify_dismantled *made = t->made;
    made->node_count = 1;
    t->reference[0] = t->model->root;
    depth[0] = 0;
    for (uint32_t i = 0; i < made->node_count; i++) {
        const ramify_reference reference = t->reference[i];
        if (reference.kind != RAMIFY_REFERENCE_NODE) {
            RAMIFY_TRY(take_leaf(t, i, &reference));
            made->leaf_count++;
            continue;
        }
        if (made->memory_count == t->model->limits.nodes)
            return ramify_damaged(t->context, &t->model->source,
                                  "the tree has more nodes than the config says");
        RAMIFY_TRY(take_node(t, i, &reference, depth, most));
    }
    for (uint32_t i = 0; i < made->module_count + made->series_count; i++)
        if (i < made->module_count ? !made->records[i] : !made->series[i - made->module_count])
            return ramify_damaged(t->context, &t->model->source, "no leaf leads to module %u", i);
    return RAMIFY_OK;
}

ramify_status ramify_dismantle(ramify_context *context, ramify_model *model,
                               ramify_dismantled **dismantled) {
    const ramify_tree_limits *limits = &model->limits;
    const uint64_t most = limits->nodes + limits->leaves;
    RAMIFY_TRY(ramify_model_need_tree(context, model, "experts"));
    if (most > UINT32_MAX || limits->modules > UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_LIMIT, "%s: it has too many leaves to be changed",
                           model->source.name);
    ramify_dismantled *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    const bool series = ramify_model_series(model) != NULL;
    if (!series || model->series_group > 0) {
        made->shape = model->shape.mlp;
        made->module_count = (uint32_t)limits->group[0].count;
    }
    if (series)
        made->series_count = (uint32_t)limits->group[model->series_group].count;
    const size_t nodes = (size_t)most;
    taking t = {.context = context, .model = model, .made = made};
    t.reference = ramify_allocate_zeroed(context, nodes, sizeof *t.reference);
    uint32_t *depth = ramify_allocate_zeroed(context, nodes, sizeof *depth);
    made->nodes = ramify_allocate_zeroed(context, nodes, sizeof *made->nodes);
    made->leaf = ramify_allocate_zeroed(context, nodes, sizeof *made->leaf);
    made->children = ramify_allocate_zeroed(context, nodes, sizeof(float *));
    made->memory = ramify_allocate_zeroed(context, (size_t)limits->nodes + 1, sizeof(void *));
    made->records =
        ramify_allocate_zeroed(context, (size_t)made->module_count + 1, sizeof(float *));
    made->series = ramify_allocate_zeroed(context, (size_t)made->series_count + 1, sizeof(void *));
    const bool packed = ramify_model_is_packed(model);
    if (packed)
        made->packed =
            ramify_allocate_zeroed(context, (size_t)made->module_count + 1, sizeof(void *));
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (t.reference && depth && made->nodes && made->leaf && made->children && made->memory &&
        made->records && made->series && (made->packed || !packed))
        status = take_all(&t, depth, most);
    ramify_release(context, t.reference);
    ramify_release(context, depth);
    if (status == RAMIFY_OK)
        *dismantled = made;
    else
        ramify_dismantled_destroy(&made);
    return status;
}

void ramify_dismantled_route(const ramify_dismantled *model, const ramify_kernels *kernels,
                             const ramify_stem *stem, const float *points, size_t count,
                             uint32_t *leaf) {
    const size_t stride = ramify_pad(stem->routes);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (model->nodes[at].children > 0) {
            float distance[RAMIFY_ARITY_MAX];
            const uint32_t children = model->nodes[at].children;
            uint32_t nearest = 0;
            kernels->distances(1, children, stem->routes, points + i * stride, stride,
                               model->children[at], stride, distance, children);
            for (uint32_t c = 1; c < children; c++)
                if (distance[c] < distance[nearest])
                    nearest = c;
            at = model->nodes[at].first_child + nearest;
        }
        leaf[i] = at;
    }
}

json_t *ramify_dismantled_config(const ramify_model *model) {
    static const char *const left_out[] = {"schema", "stem",   "groups",   "tree",
                                           "notes",  "report", "quantized"};
    json_t *config = json_loads(model->config, 0, NULL);
    for (size_t i = 0; config && i < sizeof left_out / sizeof *left_out; i++)
        json_object_del(config, left_out[i]);
    return config;
}

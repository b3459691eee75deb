/* A Para-Former's prefix as a model of its own. */

#include "draft.h"
#include "memory.h"
#include "model.h"
#include "status.h"

#include <jansson.h>

#include <string.h>

/* What of the config the draft writes anew, or what is not true of a prefix: notes are of the whole
 * model's errors. */
static const char *const left_out[] = {"schema", "stem", "embedding", "branches", "notes"};

/* The keys that training added, of the prefixes those that are left, and in "report" the score that
 * the prefix had there, if it was noted. NULL when out of memory. */
static json_t *remaining_config(const ramify_model *model, uint32_t branches) {
    json_t *config = json_loads(model->config, 0, NULL);
    for (size_t i = 0; config && i < sizeof left_out / sizeof *left_out; i++)
        json_object_del(config, left_out[i]);
    json_t *prefixes = json_object_get(config, "prefixes");
    while (json_array_size(prefixes) > branches)
        json_array_remove(prefixes, json_array_size(prefixes) - 1);
    json_t *own = json_array_get(prefixes, branches - 1);
    json_object_del(config, "report");
    if (own) {
        json_t *score = json_deep_copy(own);
        json_object_del(score, "branches");
        json_object_set_new(config, "report", score);
    }
    return config;
}

static ramify_status copy_branches(ramify_context *context, ramify_model *model, uint32_t branches,
                                   float *to) {
    size_t bytes = (size_t)model->limits.module_bytes;
    ramify_traffic traffic = {0};
    for (uint32_t i = 0; i < branches; i++) {
        const void *record;
        uint32_t slot;
        RAMIFY_TRY(ramify_store_acquire(context, model, &model->experts, &model->branch[i], false,
                                        &traffic, &record, &slot));
        memcpy((unsigned char *)to + i * bytes, record, bytes);
        ramify_store_release(model, &model->experts, slot);
    }
    return RAMIFY_OK;
}

static ramify_status write_prefix(ramify_context *context, ramify_model *model, uint32_t branches,
                                  float *weights, json_t *config, ramify_model **kept) {
    ramify_paraformer_shape shape = model->paraformer;
    shape.branches = branches;
    /* The draft only copies embedding and head. */
    const ramify_draft draft = {
        .kind = "paraformer",
        .schema = model->schema,
        .stem = &model->stem,
        .head_center = model->head_center,
        .head_scale = model->head_scale,
        .paraformer = &shape,
        .weights = {(float *)model->embedding, (float *)model->head, weights},
        .config = config,
    };
    void *bytes;
    size_t size;
    RAMIFY_TRY(ramify_draft_write(context, &draft, &bytes, &size));
    return ramify_open_owned(context, bytes, size, kept);
}

/* A prefix of all branches is the model itself. */
static ramify_status copy_model(ramify_context *context, ramify_model *model, ramify_model **kept) {
    size_t size = (size_t)model->source.size;
    void *bytes = ramify_allocate(context, size, 1);
    if (!bytes)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_source_read(context, &model->source, 0, size, bytes);
    if (status == RAMIFY_OK)
        return ramify_open_owned(context, bytes, size, kept);
    ramify_release(context, bytes);
    return status;
}

ramify_status ramify_keep_branches(ramify_context *context, ramify_model *model, uint32_t branches,
                                   ramify_model **kept) {
    ramify_clear(context);
    if (!model || !kept)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_keep_branches: model or kept is NULL");
    *kept = NULL;
    uint32_t there = model->paraformer.branches;
    if (!ramify_model_paraformer(model))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "%s: a model of kind %s has no branches to keep", model->source.name,
                           model->kind);
    if (branches < 1 || branches > there)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%s: %u branches cannot be kept of %u",
                           model->source.name, branches, there);
    if (branches == there)
        return copy_model(context, model, kept);
    float *weights = ramify_allocate(context, branches, (size_t)model->limits.module_bytes);
    if (!weights)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = copy_branches(context, model, branches, weights);
    json_t *config = status == RAMIFY_OK ? remaining_config(model, branches) : NULL;
    if (status == RAMIFY_OK && !config)
        status = ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = write_prefix(context, model, branches, weights, config, kept);
    json_decref(config);
    ramify_release(context, weights);
    return status;
}

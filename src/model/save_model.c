/* Saving a model: its bytes as they lie in memory or in its file. */

#include "cluster.h"
#include "memory.h"
#include "model.h"
#include "save.h"
#include "status.h"

/* Bytes copied at a time from a model that is read from a file. */
#define COPY_BYTES ((size_t)1 << 16)

static ramify_status copy_bytes(ramify_context *context, const ramify_source *source,
                                const ramify_replacement *replacement) {
    if (source->bytes)
        return ramify_replacement_write(context, replacement, source->bytes, (size_t)source->size);
    unsigned char *block = ramify_allocate(context, COPY_BYTES, 1);
    if (!block)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = RAMIFY_OK;
    for (uint64_t at = 0; at < source->size && status == RAMIFY_OK;) {
        uint64_t left = source->size - at;
        size_t count = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        status = ramify_source_read(context, source, at, count, block);
        if (status == RAMIFY_OK)
            status = ramify_replacement_write(context, replacement, block, count);
        at += count;
    }
    ramify_release(context, block);
    return status;
}

static ramify_status save(ramify_context *context, const ramify_model *model, const char *path) {
    ramify_replacement replacement;
    RAMIFY_TRY(ramify_replacement_begin(context, path, &replacement));
    ramify_status status = copy_bytes(context, &model->source, &replacement);
    if (status == RAMIFY_OK)
        return ramify_replacement_commit(context, &replacement);
    ramify_replacement_abandon(context, &replacement);
    return status;
}

ramify_status ramify_save(ramify_context *context, const ramify_model *model, const char *path) {
    ramify_clear(context);
    if (!model || !path)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "ramify_save: model or path is NULL");
    /* All ranks have the model; the file is there for all of them when the call returns. */
    ramify_status status =
        ramify_cluster_rank(context) == 0 ? save(context, model, path) : RAMIFY_OK;
    if (status == RAMIFY_OK)
        status = ramify_cluster_meet(context);
    return ramify_cluster_tell(context, status);
}

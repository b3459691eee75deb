/* Text that ranks write together: into one file, each at its place, or through rank 0. */

#include "cluster.h"
#include "memory.h"
#include "status.h"

#include <string.h>

/* Bytes that are on their way to rank 0 at a time. */
#define PIECE_BYTES ((size_t)16 << 20)

struct ramify_cluster_text {
    ramify_context *context;
    ramify_cluster_file *file; /* NULL: rank 0 prints */
    ramify_cluster_print print;
    void *user;
    uint64_t written; /* by all */
    size_t *sizes;    /* ranks, then room for an exchange of them */
};

static ramify_status open_file(ramify_cluster_text *text, const char *path) {
    ramify_context *context = text->context;
    uint64_t length = path ? strlen(path) : 0;
    RAMIFY_TRY(ramify_cluster_broadcast(context, &length, sizeof length, 0));
    if (length == 0)
        return RAMIFY_OK;
    char *name = ramify_allocate_zeroed(context, (size_t)length + 1, 1);
    if (!name)
        return RAMIFY_ERROR_MEMORY;
    if (ramify_cluster_rank(context) == 0)
        memcpy(name, path, (size_t)length);
    ramify_status status = ramify_cluster_broadcast(context, name, (size_t)length, 0);
    if (status == RAMIFY_OK)
        status = ramify_cluster_file_open(context, name, name, &text->file);
    ramify_release(context, name);
    return status;
}

ramify_status ramify_cluster_text_open(ramify_context *context, const char *path,
                                       ramify_cluster_print print, void *user,
                                       ramify_cluster_text **text) {
    ramify_clear(context);
    ramify_cluster_text *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return ramify_cluster_tell(context, RAMIFY_ERROR_MEMORY);
    *made = (ramify_cluster_text){.context = context, .print = print, .user = user};
    made->sizes =
        ramify_allocate_zeroed(context, 5 * (size_t)ramify_cluster_size(context), sizeof(size_t));
    ramify_cluster_phase(context, "writing text");
    ramify_status status = made->sizes ? open_file(made, path) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        *text = made;
    else
        ramify_cluster_text_close(&made);
    return ramify_cluster_tell(context, status);
}

static ramify_status print(const ramify_cluster_text *text, const char *bytes, size_t size) {
    if (size == 0 || text->print(text->user, bytes, size))
        return RAMIFY_OK;
    return ramify_fail(text->context, RAMIFY_ERROR_IO, "the text cannot be written");
}

/* A piece of rank `from` comes to rank 0. */
static ramify_status fetch(const ramify_cluster_text *text, const char *bytes, size_t size,
                           uint32_t from, char *room) {
    ramify_context *context = text->context;
    uint32_t ranks = ramify_cluster_size(context), rank = ramify_cluster_rank(context);
    size_t *out = text->sizes + ranks, *out_offset = out + ranks, *in = out_offset + ranks,
           *in_offset = in + ranks;
    memset(out, 0, 4 * ranks * sizeof *out);
    out[0] = rank == from ? size : 0;
    in[from] = rank == 0 ? size : 0;
    RAMIFY_TRY(ramify_cluster_exchange(context, bytes, out, out_offset, room, in, in_offset));
    return rank == 0 ? print(text, room, size) : RAMIFY_OK;
}

static ramify_status print_all(const ramify_cluster_text *text, const char *bytes, size_t size) {
    ramify_context *context = text->context;
    uint32_t ranks = ramify_cluster_size(context), rank = ramify_cluster_rank(context);
    if (rank == 0)
        RAMIFY_TRY(print(text, bytes, size));
    char *room = ramify_allocate(context, rank == 0 && ranks > 1 ? PIECE_BYTES : 0, 1);
    ramify_status status = room ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t from = 1; from < ranks; from++)
        for (size_t at = 0; status == RAMIFY_OK && at < text->sizes[from]; at += PIECE_BYTES)
            status = fetch(text, rank == from ? bytes + at : bytes,
                           ramify_smaller(text->sizes[from] - at, PIECE_BYTES), from, room);
    ramify_release(context, room);
    return status;
}

static ramify_status write_all(ramify_cluster_text *text, const char *bytes, size_t size) {
    ramify_context *context = text->context;
    uint32_t ranks = ramify_cluster_size(context), rank = ramify_cluster_rank(context);
    ramify_cluster_phase(context, "writing text");
    RAMIFY_TRY(ramify_cluster_gather(context, &size, sizeof size, text->sizes));
    if (!text->file)
        return print_all(text, bytes, size);
    uint64_t offset = text->written;
    for (uint32_t r = 0; r < ranks; r++) {
        offset += r < rank ? text->sizes[r] : 0;
        text->written += text->sizes[r];
    }
    return ramify_cluster_file_write(text->file, offset, bytes, size);
}

ramify_status ramify_cluster_text_write(ramify_cluster_text *text, const char *bytes, size_t size) {
    return ramify_cluster_tell(text->context, write_all(text, bytes, size));
}

ramify_status ramify_cluster_text_close(ramify_cluster_text **text) {
    if (!text || !*text)
        return RAMIFY_OK;
    ramify_cluster_text *old = *text;
    ramify_context *context = old->context;
    *text = NULL;
    ramify_status before = ramify_recorded_status(context);
    ramify_status status = ramify_cluster_file_close(&old->file);
    if (before == RAMIFY_OK && status == RAMIFY_OK)
        status = ramify_cluster_meet(context);
    ramify_release(context, old->sizes);
    ramify_release(context, old);
    return before == RAMIFY_OK ? ramify_cluster_tell(context, status) : status;
}

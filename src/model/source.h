#ifndef RAMIFY_MODEL_SOURCE_H
#define RAMIFY_MODEL_SOURCE_H
/* Where a model's bytes come from: a file read piece by piece, a mapped file, or memory. One reader
 * for all three, so that one set of checks serves them. */

#include "ramify.h"
#include "status.h"

typedef enum ramify_source_kind {
    RAMIFY_SOURCE_FILE,     /* read with pread; bytes is NULL */
    RAMIFY_SOURCE_MAP,      /* mapped read-only */
    RAMIFY_SOURCE_BORROWED, /* the caller's memory, 64-byte aligned */
    RAMIFY_SOURCE_OWNED     /* from ramify_allocate, released by ramify_source_close */
} ramify_source_kind;

typedef struct ramify_source {
    char *name; /* what messages call it: the path, or "model" for memory; owned */
    ramify_source_kind kind;
    int descriptor;       /* of RAMIFY_SOURCE_FILE, else -1 */
    unsigned char *bytes; /* size bytes, or NULL for RAMIFY_SOURCE_FILE */
    uint64_t size;
} ramify_source;

/* Opens a regular file once; its size is taken from the same descriptor. Close with
 * ramify_source_close. */
ramify_status ramify_source_open(ramify_context *context, const char *path, ramify_access access,
                                 ramify_source *source);

/* Memory. With `own`, bytes come from ramify_allocate and are released by ramify_source_close, or
 * here on failure. Without, they are borrowed, or copied when they are not 64-byte aligned. */
ramify_status ramify_source_memory(ramify_context *context, const void *bytes, size_t size,
                                   bool own, ramify_source *source);

/* Copies bytes [offset, offset + count) to `out`; the range must lie inside the source. */
ramify_status ramify_source_read(ramify_context *context, const ramify_source *source,
                                 uint64_t offset, size_t count, void *out);

/* Some bytes of a file, mapped read-only; zeroed: none. */
typedef struct ramify_mapping {
    void *pages;
    size_t span;        /* bytes of the pages */
    const void *record; /* the bytes asked for */
} ramify_mapping;

/* Bytes of the pages that `count` bytes touch at most. */
uint64_t ramify_source_span(uint64_t count);

/* Maps bytes [offset, offset + count) of a RAMIFY_SOURCE_FILE, and asks for them to be read now.
 * Undo with ramify_source_unmap. */
ramify_status ramify_source_map(ramify_context *context, const ramify_source *source,
                                uint64_t offset, size_t count, ramify_mapping *mapping);
void ramify_source_unmap(ramify_mapping *mapping);

/* Closes, unmaps or releases. A zeroed source is harmless. */
void ramify_source_close(ramify_context *context, ramify_source *source);

/* Fails with RAMIFY_ERROR_FORMAT and "NAME: WHAT; the file is damaged: copy or train it again". */
ramify_status ramify_damaged(ramify_context *context, const ramify_source *source,
                             const char *format, ...) RAMIFY_PRINTF(3, 4);

#endif

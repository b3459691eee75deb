#include "bytes.h"
#include "memory.h"

#include <string.h>

/* Room of the first block. */
#define FIRST_BYTES ((size_t)1024)

void ramify_bytes_put(ramify_bytes *b, const void *value, size_t size) {
    size_t needed;
    if (b->failed || size == 0)
        return;
    if (!ramify_size_add(b->size, size, &needed) || needed > SIZE_MAX / 2) {
        b->failed = true;
        return;
    }
    if (needed > b->room) {
        size_t room = ramify_larger(ramify_larger(FIRST_BYTES, needed), b->room + b->room / 2);
        uint8_t *grown = ramify_reallocate(b->context, b->bytes, room, 1);
        b->failed = !grown;
        if (!grown)
            return;
        b->bytes = grown;
        b->room = room;
    }
    memcpy(b->bytes + b->size, value, size);
    b->size = needed;
}

void ramify_bytes_put_text(ramify_bytes *b, const char *text, size_t length) {
    uint64_t size = length;
    ramify_bytes_put(b, &size, sizeof size);
    ramify_bytes_put(b, text, length);
}

const uint8_t *ramify_bytes_take(ramify_bytes_reader *r, uint64_t size) {
    if (r->bad || size > (uint64_t)(r->end - r->at)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *taken = r->at;
    r->at += size;
    return taken;
}

void ramify_bytes_get(ramify_bytes_reader *r, void *value, size_t size) {
    const uint8_t *from = ramify_bytes_take(r, size);
    if (from)
        memcpy(value, from, size);
    else
        memset(value, 0, size);
}

const char *ramify_bytes_text(ramify_bytes_reader *r, size_t *length) {
    uint64_t size;
    ramify_bytes_get(r, &size, sizeof size);
    const uint8_t *text = ramify_bytes_take(r, size);
    *length = text ? (size_t)size : 0;
    return text ? (const char *)text : "";
}

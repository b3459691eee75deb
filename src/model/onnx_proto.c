/* Protocol buffers, written. See onnx_proto.h. */

#include "onnx_proto.h"
#include "memory.h"
#include "status.h"

#include <string.h>

#define ROOM_FIRST ((size_t)4096)

enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

size_t ramify_varint(uint64_t value, unsigned char bytes[RAMIFY_VARINT_BYTES]) {
    size_t length = 0;
    for (; value >= 128; value >>= 7)
        bytes[length++] = (unsigned char)(value | 128);
    bytes[length++] = (unsigned char)value;
    return length;
}

/* Room for `size` more bytes: where they go, or NULL after a failure. */
static unsigned char *extend(ramify_proto *proto, size_t size) {
    if (proto->status != RAMIFY_OK)
        return NULL;
    size_t needed;
    if (!ramify_size_add(proto->used, size, &needed)) {
        proto->status = ramify_fail(proto->context, RAMIFY_ERROR_MEMORY,
                                    "a message of more bytes than can be addressed");
        return NULL;
    }
    if (needed > proto->room) {
        size_t room = proto->room > 0 ? proto->room : ROOM_FIRST;
        while (room < needed && room <= SIZE_MAX / 2)
            room *= 2;
        room = room < needed ? needed : room;
        unsigned char *bytes = ramify_reallocate(proto->context, proto->bytes, room, 1);
        if (!bytes) {
            proto->status = RAMIFY_ERROR_MEMORY;
            return NULL;
        }
        proto->bytes = bytes;
        proto->room = room;
    }
    unsigned char *at = proto->bytes + proto->used;
    proto->used = needed;
    return at;
}

static void append(ramify_proto *proto, const void *bytes, size_t size) {
    unsigned char *at = extend(proto, size);
    if (at && size > 0)
        memcpy(at, bytes, size);
}

static void append_varint(ramify_proto *proto, uint64_t value) {
    unsigned char bytes[RAMIFY_VARINT_BYTES];
    append(proto, bytes, ramify_varint(value, bytes));
}

static void append_tag(ramify_proto *proto, uint32_t field, uint32_t wire) {
    append_varint(proto, (uint64_t)field << 3 | wire);
}

void ramify_proto_number(ramify_proto *proto, uint32_t field, uint64_t value) {
    append_tag(proto, field, WIRE_VARINT);
    append_varint(proto, value);
}

void ramify_proto_head(ramify_proto *proto, uint32_t field, uint64_t size) {
    append_tag(proto, field, WIRE_BYTES);
    append_varint(proto, size);
}

void ramify_proto_bytes(ramify_proto *proto, uint32_t field, const void *bytes, size_t size) {
    ramify_proto_head(proto, field, size);
    append(proto, bytes, size);
}

void ramify_proto_text(ramify_proto *proto, uint32_t field, const char *text) {
    ramify_proto_bytes(proto, field, text, strlen(text));
}

size_t ramify_proto_begin(ramify_proto *proto, uint32_t field) {
    append_tag(proto, field, WIRE_BYTES);
    return proto->used;
}

/* How many bytes the length takes is known only now: the message makes room for it. */
void ramify_proto_end(ramify_proto *proto, size_t begin) {
    if (proto->status != RAMIFY_OK)
        return;
    size_t size = proto->used - begin;
    unsigned char length[RAMIFY_VARINT_BYTES];
    size_t count = ramify_varint(size, length);
    if (!extend(proto, count))
        return;
    memmove(proto->bytes + begin + count, proto->bytes + begin, size);
    memcpy(proto->bytes + begin, length, count);
}

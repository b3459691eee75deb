#ifndef RAMIFY_MODEL_ONNX_PROTO_H
#define RAMIFY_MODEL_ONNX_PROTO_H
/* Writing protocol buffers, as far as ONNX files need them: a growing piece of memory to which
 * fields are appended. A message is its fields one after the other; a field is a varint tag (number
 * times 8, plus 0 for a varint or 2 for bytes) and its value; texts, bytes and messages inside
 * messages have a varint length before them. See
 * https://protobuf.dev/programming-guides/encoding/ */

#include "ramify.h"

/* Bytes of the longest varint: 64 bits, 7 in each. */
#define RAMIFY_VARINT_BYTES 10

/* `status` is the first failure; nothing is appended after it. Release `bytes`. */
typedef struct ramify_proto {
    ramify_context *context;
    unsigned char *bytes;
    size_t used, room;
    ramify_status status;
} ramify_proto;

/* Writes a varint and returns its length. */
size_t ramify_varint(uint64_t value, unsigned char bytes[RAMIFY_VARINT_BYTES]);

/* Appends a field. A negative int32 or int64 is its two's complement in 64 bits. */
void ramify_proto_number(ramify_proto *proto, uint32_t field, uint64_t value);
void ramify_proto_bytes(ramify_proto *proto, uint32_t field, const void *bytes, size_t size);
void ramify_proto_text(ramify_proto *proto, uint32_t field, const char *text);

/* The tag and length of a field whose `size` bytes are written elsewhere. */
void ramify_proto_head(ramify_proto *proto, uint32_t field, uint64_t size);

/* A message as a field: what is appended between the two is inside it. end takes what begin gave;
 * messages nest. */
size_t ramify_proto_begin(ramify_proto *proto, uint32_t field);
void ramify_proto_end(ramify_proto *proto, size_t begin);

#endif

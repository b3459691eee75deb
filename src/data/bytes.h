#ifndef RAMIFY_DATA_BYTES_H
#define RAMIFY_DATA_BYTES_H
/* Values one behind the other in a block of bytes, for another process of the same build. Writing and
 * reading go on after a failure, harmlessly, and tell of it at the end. */

#include "ramify.h"

typedef struct ramify_bytes {
    ramify_context *context;
    uint8_t *bytes; /* size; ramify_release */
    size_t size, room;
    bool failed; /* there was no memory */
} ramify_bytes;

void ramify_bytes_put(ramify_bytes *bytes, const void *value, size_t size);

/* The same of a text of `length` bytes, which ramify_bytes_text reads. */
void ramify_bytes_put_text(ramify_bytes *bytes, const char *text, size_t length);

typedef struct ramify_bytes_reader {
    const uint8_t *at, *end;
    bool bad; /* more was asked for than there is, or what is there cannot be */
} ramify_bytes_reader;

/* Zeros where nothing is left. */
void ramify_bytes_get(ramify_bytes_reader *reader, void *value, size_t size);

/* `size` bytes where they lie, not aligned; NULL where fewer are left. */
const uint8_t *ramify_bytes_take(ramify_bytes_reader *reader, uint64_t size);

/* A text, which does not end with '\0'; an empty one where nothing is left. */
const char *ramify_bytes_text(ramify_bytes_reader *reader, size_t *length);

#endif

/* Undoing gzip as a stream (RFC 1952): one member or several, one after the other. zlib checks each
 * member's CRC and length; the size in the trailer is never used to allocate. Zero bytes behind the
 * last member (tape padding) are allowed, anything else is not. */

#include "input.h"
#include "memory.h"
#include "status.h"

#include <limits.h>
#include <zlib.h>

/* inflateInit2: window of 32 KiB, gzip headers only. */
#define GZIP_WINDOW_BITS (15 + 16)

typedef struct gzip_state {
    z_stream stream;
    bool inside; /* a member has begun and not ended */
} gzip_state;

static void *allocate_for_zlib(void *context, unsigned count, unsigned size) {
    return ramify_allocate(context, count, size);
}

static void release_for_zlib(void *context, void *memory) {
    ramify_release(context, memory);
}

static ramify_status fail_damaged(const ramify_input *input, const char *what) {
    return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                       "%s: the gzip data %s (copy or compress the file again)", input->name, what);
}

ramify_status ramify_gzip_begin(ramify_input *input) {
    gzip_state *gzip = ramify_allocate_zeroed(input->context, 1, sizeof *gzip);
    if (!gzip)
        return RAMIFY_ERROR_MEMORY;
    gzip->stream.zalloc = allocate_for_zlib;
    gzip->stream.zfree = release_for_zlib;
    gzip->stream.opaque = input->context;
    gzip->inside = true;
    if (inflateInit2(&gzip->stream, GZIP_WINDOW_BITS) != Z_OK) {
        ramify_release(input->context, gzip);
        return ramify_fail(input->context, RAMIFY_ERROR_MEMORY, "%s: no memory to undo gzip",
                           input->name);
    }
    input->gzip = gzip;
    return RAMIFY_OK;
}

void ramify_gzip_end(ramify_input *input) {
    gzip_state *gzip = input->gzip;
    inflateEnd(&gzip->stream);
    ramify_release(input->context, gzip);
    input->gzip = NULL;
}

/* Between members: starts the next one, or passes over padding. */
static ramify_status step_between(ramify_input *input, gzip_state *gzip) {
    uint8_t byte = input->raw[input->raw_begin];
    if (byte == 0x1F) {
        inflateReset(&gzip->stream);
        gzip->inside = true;
    } else if (byte == 0) {
        input->raw_begin++;
    } else {
        return fail_damaged(input, "is followed by something else");
    }
    return RAMIFY_OK;
}

ramify_status ramify_gzip_read(ramify_input *input, void *buffer, size_t size, size_t *count) {
    gzip_state *gzip = input->gzip;
    size_t used = 0;
    while (used < size) {
        RAMIFY_TRY(ramify_input_fill(input));
        size_t raw = input->raw_end - input->raw_begin;
        if (raw == 0) {
            if (gzip->inside)
                return fail_damaged(input, "ends in the middle");
            break;
        }
        if (!gzip->inside) {
            RAMIFY_TRY(step_between(input, gzip));
            continue;
        }
        size_t room = size - used < INT_MAX ? size - used : INT_MAX;
        gzip->stream.next_in = input->raw + input->raw_begin;
        gzip->stream.avail_in = (uInt)raw;
        gzip->stream.next_out = (uint8_t *)buffer + used;
        gzip->stream.avail_out = (uInt)room;
        int result = inflate(&gzip->stream, Z_NO_FLUSH);
        input->raw_begin = input->raw_end - gzip->stream.avail_in;
        used += room - gzip->stream.avail_out;
        if (result == Z_STREAM_END)
            gzip->inside = false;
        else if (result == Z_MEM_ERROR)
            return ramify_fail(input->context, RAMIFY_ERROR_MEMORY, "%s: no memory to undo gzip",
                               input->name);
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return fail_damaged(input, "is damaged");
    }
    *count = used;
    return RAMIFY_OK;
}

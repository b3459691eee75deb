#include "input.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A text's first block. */
#define FIRST_BYTES ((size_t)65536)

/* Bytes asked of the system at once when reading ahead. */
#define RAW_BYTES ((size_t)64 << 10)

/* Takes up to `size` bytes as stored; fewer only at the end. */
static ramify_status take_raw(ramify_input *input, uint8_t *buffer, size_t size, size_t *count) {
    size_t used = 0;
    if (input->descriptor < 0) {
        size_t left = input->memory_size - (size_t)input->taken;
        used = size < left ? size : left;
        if (used > 0)
            memcpy(buffer, input->memory + input->taken, used);
    }
    if (input->span && size > input->size - input->taken)
        size = (size_t)(input->size - input->taken);
    while (input->descriptor >= 0 && used < size) {
        ssize_t got = input->span ? pread(input->descriptor, buffer + used, size - used,
                                          (off_t)(input->offset + input->taken + used))
                                  : read(input->descriptor, buffer + used, size - used);
        if (got == 0)
            break;
        if (got > 0)
            used += (size_t)got;
        else if (errno != EINTR)
            return ramify_fail(input->context, RAMIFY_ERROR_IO, "%s: cannot be read (%s)",
                               input->name, strerror(errno));
        if (ramify_cancelled(input->context))
            return ramify_fail(input->context, RAMIFY_STOPPED, "stopped while reading %s",
                               input->name);
    }
    input->taken += used;
    *count = used;
    return RAMIFY_OK;
}

ramify_status ramify_input_fill(ramify_input *input) {
    if (input->raw_begin < input->raw_end || input->raw_ended)
        return RAMIFY_OK;
    input->raw_begin = 0;
    input->raw_end = 0;
    RAMIFY_TRY(take_raw(input, input->raw, RAW_BYTES, &input->raw_end));
    input->raw_ended = input->raw_end < RAW_BYTES;
    return RAMIFY_OK;
}

/* Looks at the first bytes to see whether they are gzip's. */
static ramify_status start(ramify_input *input) {
    input->raw = ramify_allocate(input->context, RAW_BYTES, 1);
    if (!input->raw)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(ramify_input_fill(input));
    if (input->raw_end >= 2 && input->raw[0] == 0x1F && input->raw[1] == 0x8B)
        return ramify_gzip_begin(input);
    return RAMIFY_OK;
}

ramify_status ramify_input_open(ramify_context *context, const char *path, ramify_input *input) {
    bool standard = strcmp(path, "-") == 0;
    *input = (ramify_input){.context = context,
                            .name = standard ? "standard input" : path,
                            .descriptor = STDIN_FILENO,
                            .owned = !standard};
    if (!standard) {
        do
            input->descriptor = open(path, O_RDONLY | O_CLOEXEC);
        while (input->descriptor < 0 && errno == EINTR);
        if (input->descriptor < 0)
            return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be opened (%s)", path,
                               strerror(errno));
    }
    struct stat about;
    if (fstat(input->descriptor, &about) != 0)
        return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be read (%s)", input->name,
                           strerror(errno));
    if (S_ISDIR(about.st_mode))
        return ramify_fail(context, RAMIFY_ERROR_IO, "%s: is a directory, where a file is needed",
                           input->name);
    if (S_ISREG(about.st_mode) && about.st_size > 0)
        input->size = (uint64_t)about.st_size;
    return start(input);
}

ramify_status ramify_input_open_memory(ramify_context *context, const void *bytes, size_t size,
                                       const char *name, ramify_input *input) {
    *input = (ramify_input){.context = context,
                            .name = name,
                            .descriptor = -1,
                            .memory = bytes,
                            .memory_size = size,
                            .size = size};
    return start(input);
}

ramify_status ramify_input_open_span(ramify_context *context, int descriptor, uint64_t offset,
                                     uint64_t size, const char *name, ramify_input *input) {
    *input = (ramify_input){.context = context,
                            .name = name,
                            .descriptor = descriptor,
                            .span = true,
                            .offset = offset,
                            .size = size};
    input->raw = ramify_allocate(context, RAW_BYTES, 1);
    return input->raw ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

void ramify_input_close(ramify_input *input) {
    if (input->gzip)
        ramify_gzip_end(input);
    ramify_release(input->context, input->raw);
    input->raw = NULL;
    if (input->owned && input->descriptor >= 0)
        close(input->descriptor);
    input->descriptor = -1;
}

/* Reads behind what was peeked. */
static ramify_status read_stream(ramify_input *input, uint8_t *buffer, size_t size, size_t *count) {
    if (input->gzip)
        return ramify_gzip_read(input, buffer, size, count);
    size_t used = input->raw_end - input->raw_begin;
    if (used > size)
        used = size;
    memcpy(buffer, input->raw + input->raw_begin, used);
    input->raw_begin += used;
    size_t more = 0;
    if (used < size && !input->raw_ended)
        RAMIFY_TRY(take_raw(input, buffer + used, size - used, &more));
    if (used + more < size)
        input->raw_ended = true;
    *count = used + more;
    return RAMIFY_OK;
}

ramify_status ramify_input_peek(ramify_input *input, const uint8_t **bytes, size_t *count) {
    if (input->head_end == 0)
        RAMIFY_TRY(read_stream(input, input->head, sizeof input->head, &input->head_end));
    *bytes = input->head + input->head_begin;
    *count = input->head_end - input->head_begin;
    return RAMIFY_OK;
}

ramify_status ramify_input_read(ramify_input *input, void *buffer, size_t size, size_t *count) {
    size_t used = input->head_end - input->head_begin;
    if (used > size)
        used = size;
    memcpy(buffer, input->head + input->head_begin, used);
    input->head_begin += used;
    size_t more = 0;
    if (used < size)
        RAMIFY_TRY(read_stream(input, (uint8_t *)buffer + used, size - used, &more));
    *count = used + more;
    return RAMIFY_OK;
}

ramify_status ramify_input_read_all(ramify_context *context, const char *path, size_t most,
                                    const char *thing, char **text, size_t *size) {
    ramify_input input;
    ramify_status status = ramify_input_open(context, path, &input);
    size_t room = 0, got = 1;
    *text = NULL;
    *size = 0;
    while (status == RAMIFY_OK && got > 0) {
        if (*size == room) {
            room = room == 0 ? FIRST_BYTES : room * 2;
            char *larger = ramify_reallocate(context, *text, room, 1);
            *text = larger ? larger : *text;
            status = larger ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
        }
        if (status == RAMIFY_OK)
            status = ramify_input_read(&input, *text + *size, room - *size, &got);
        *size += status == RAMIFY_OK ? got : 0;
        if (*size > most)
            status =
                ramify_fail(context, RAMIFY_ERROR_LIMIT, "%s: larger than %zu MiB, which no %s is",
                            path, most >> 20, thing);
    }
    ramify_input_close(&input);
    if (status != RAMIFY_OK) {
        ramify_release(context, *text);
        *text = NULL;
    }
    return status;
}

uint64_t ramify_input_used(const ramify_input *input) {
    return input->taken - (input->raw_end - input->raw_begin);
}

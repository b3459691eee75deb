/* One process: every transfer is a copy that is done when it has begun. */

#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A request or a file handle is a number, of which this is the address. */
static void *handle_of(int number) {
    return (void *)(intptr_t)(number + 1);
}

static int number_of(void *handle) {
    return (int)(intptr_t)handle - 1;
}

static int fail(char *why, const char *what) {
    snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "%s: %s", what, strerror(errno));
    return -1;
}

static int start(void **state, uint32_t *rank, uint32_t *ranks, char *why) {
    (void)why;
    *state = NULL;
    *rank = 0;
    *ranks = 1;
    return 0;
}

static int finish(void *state, char *why) {
    (void)state;
    (void)why;
    return 0;
}

static int broadcast(void *state, void *bytes, size_t size, uint32_t from, void **request,
                     char *why) {
    (void)state;
    (void)bytes;
    (void)size;
    (void)from;
    (void)why;
    *request = NULL;
    return 0;
}

static void copy(void *to, const void *from, size_t size) {
    if (size > 0 && to != from)
        memcpy(to, from, size);
}

static int gather(void *state, const void *mine, void *all, const size_t *sizes,
                  const size_t *offsets, void **request, char *why) {
    (void)state;
    (void)why;
    copy((char *)all + offsets[0], mine, sizes[0]);
    *request = NULL;
    return 0;
}

static int exchange(void *state, const void *out, const size_t *out_sizes,
                    const size_t *out_offsets, void *in, const size_t *in_sizes,
                    const size_t *in_offsets, void **request, char *why) {
    (void)state;
    (void)in_sizes;
    (void)why;
    copy((char *)in + in_offsets[0], (const char *)out + out_offsets[0], out_sizes[0]);
    *request = NULL;
    return 0;
}

static int sum(void *state, uint64_t *values, size_t count, void **request, char *why) {
    (void)state;
    (void)values;
    (void)count;
    (void)why;
    *request = NULL;
    return 0;
}

static int test(void *state, void *request, bool *done, char *why) {
    (void)state;
    (void)request;
    (void)why;
    *done = true;
    return 0;
}

static int file_open(void *state, const char *path, void **file, char *why) {
    (void)state;
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail(why, "cannot be opened");
    *file = handle_of(descriptor);
    return 0;
}

static int file_write(void *state, void *file, uint64_t offset, const void *bytes, size_t size,
                      void **request, char *why) {
    (void)state;
    const char *from = bytes;
    while (size > 0) {
        ssize_t count = pwrite(number_of(file), from, size, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count == 0 ? ENOSPC : errno;
            return fail(why, "cannot be written");
        }
        from += count;
        size -= (size_t)count;
        offset += (uint64_t)count;
    }
    *request = NULL;
    return 0;
}

static int file_close(void *state, void *file, char *why) {
    (void)state;
    int descriptor = number_of(file);
    int synced = fsync(descriptor), error = errno;
    int closed = close(descriptor);
    if (synced == 0 && closed == 0)
        return 0;
    errno = synced != 0 ? error : errno;
    return fail(why, "cannot be written");
}

const ramify_engine ramify_engine_local = {
    .abi = RAMIFY_ENGINE_ABI,
    .start = start,
    .finish = finish,
    .broadcast = broadcast,
    .gather = gather,
    .exchange = exchange,
    .sum = sum,
    .test = test,
    .file_open = file_open,
    .file_write = file_write,
    .file_close = file_close,
};

/* Blocks from the context's callbacks. Each block starts with a hidden line that remembers where
 * the callback's memory begins and how many bytes the caller asked for:
 *
 *     | slack | size_t bytes, void *start (one aligned line) | caller's bytes ... */

#include "memory.h"
#include "context.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

typedef struct block_header {
    void *start;
    size_t bytes;
} block_header;

bool ramify_size_multiply(size_t a, size_t b, size_t *product) {
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *product = a * b;
    return true;
}

bool ramify_size_add(size_t a, size_t b, size_t *sum) {
    if (a > SIZE_MAX - b)
        return false;
    *sum = a + b;
    return true;
}

static block_header *header_of(void *memory) {
    return (block_header *)((char *)memory - RAMIFY_ALIGNMENT);
}

void *ramify_allocate(ramify_context *context, size_t count, size_t size) {
    size_t bytes, total;
    if (!ramify_size_multiply(count, size, &bytes) ||
        !ramify_size_add(bytes, 2 * RAMIFY_ALIGNMENT, &total)) {
        ramify_fail(context, RAMIFY_ERROR_MEMORY,
                    "%zu times %zu bytes are more than this machine can address", count, size);
        return NULL;
    }
    void *start = context->options.allocate
                      ? context->options.allocate(context->options.user, total)
                      : malloc(total);
    if (!start) {
        ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory: %zu bytes were refused", total);
        return NULL;
    }
    uintptr_t first = (uintptr_t)start + RAMIFY_ALIGNMENT;
    uintptr_t aligned = (first + RAMIFY_ALIGNMENT - 1) / RAMIFY_ALIGNMENT * RAMIFY_ALIGNMENT;
    void *memory = (char *)start + (aligned - (uintptr_t)start);
    *header_of(memory) = (block_header){.start = start, .bytes = bytes};
    return memory;
}

void *ramify_allocate_zeroed(ramify_context *context, size_t count, size_t size) {
    void *memory = ramify_allocate(context, count, size);
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

void *ramify_reallocate(ramify_context *context, void *memory, size_t count, size_t size) {
    void *grown = ramify_allocate(context, count, size);
    if (grown && memory) {
        size_t keep = header_of(memory)->bytes;
        if (keep > count * size)
            keep = count * size;
        memcpy(grown, memory, keep);
        ramify_release(context, memory);
    }
    return grown;
}

char *ramify_copy_text(ramify_context *context, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = ramify_allocate(context, bytes, 1);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void ramify_release(ramify_context *context, void *memory) {
    if (!memory)
        return;
    void *start = header_of(memory)->start;
    if (context->options.release)
        context->options.release(context->options.user, start);
    else
        free(start);
}

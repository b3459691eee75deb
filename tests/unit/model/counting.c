#include "counting.h"

#include <stdlib.h>

static void *allocate(void *user, size_t bytes) {
    counting *counts = user;
    counts->calls++;
    if (counts->calls == counts->fail_once ||
        (counts->fail_from > 0 && counts->calls >= counts->fail_from))
        return NULL;
    /* The size stands in front, in a block that keeps malloc's alignment. */
    size_t *block = malloc(bytes + 2 * sizeof(max_align_t));
    if (!block)
        return NULL;
    block[0] = bytes;
    counts->live += bytes;
    return (char *)block + 2 * sizeof(max_align_t);
}

static void release(void *user, void *memory) {
    counting *counts = user;
    size_t *block = (size_t *)((char *)memory - 2 * sizeof(max_align_t));
    counts->live -= block[0];
    free(block);
}

ramify_context *counting_context(counting *counts) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = counts;
    options.allocate = allocate;
    options.release = release;
    ramify_context *context = NULL;
    return ramify_context_create(&options, &context) == RAMIFY_OK ? context : NULL;
}

#include "context.h"
#include "isa.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More threads than this are a mistake in the caller, not a machine. */
#define THREADS_MAX 1024

void ramify_context_options_init(ramify_context_options *options) {
    *options = (ramify_context_options){0};
}

ramify_status ramify_context_create(const ramify_context_options *options,
                                    ramify_context **context) {
    ramify_context_options chosen;
    ramify_context_options_init(&chosen);
    if (options)
        chosen = *options;
    if ((chosen.allocate == NULL) != (chosen.release == NULL) || chosen.threads > THREADS_MAX)
        return RAMIFY_ERROR_ARGUMENT;
    const char *isa = ramify_isa_choose(chosen.isa);
    if (!isa)
        return RAMIFY_ERROR_UNSUPPORTED;

    ramify_context *made =
        chosen.allocate ? chosen.allocate(chosen.user, sizeof *made) : malloc(sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    memset(made, 0, sizeof *made);
    made->options = chosen;
    made->options.isa = isa;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    made->threads = chosen.threads ? chosen.threads : (processors > 0 ? (uint32_t)processors : 1);
    pthread_mutex_init(&made->lock, NULL);
    *context = made;
    return RAMIFY_OK;
}

ramify_status ramify_context_beside(const ramify_context *parent, uint32_t threads,
                                    ramify_context **context) {
    ramify_context_options options = parent->options;
    options.threads = threads;
    options.log = NULL;
    options.progress = NULL;
    return ramify_context_create(&options, context);
}

void ramify_context_destroy(ramify_context **context) {
    if (!context || !*context)
        return;
    ramify_context *old = *context;
    *context = NULL;
    if (old->leave)
        old->leave(old);
    ramify_pool_destroy(old);
    pthread_mutex_destroy(&old->lock);
    if (old->options.release)
        old->options.release(old->options.user, old);
    else
        free(old);
}

const char *ramify_isa(const ramify_context *context) {
    return context->options.isa;
}

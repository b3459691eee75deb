#ifndef RAMIFY_BASE_CONTEXT_H
#define RAMIFY_BASE_CONTEXT_H
/* The inside of ramify_context. Only src/base and src/cluster look into it; the others use status.h,
 * memory.h, threads.h and progress.h. */

#include "ramify.h"

#include <pthread.h>
#include <stdatomic.h>

/* Longest message kept; a longer one is cut and ends in an ellipsis. */
#define RAMIFY_MESSAGE_BYTES 1024

struct ramify_context {
    ramify_context_options options; /* options.isa is the chosen name, a constant */
    uint32_t threads;               /* at least 1 */
    pthread_mutex_t lock;           /* guards status, message, and the log and progress callbacks */
    ramify_status status;
    char message[RAMIFY_MESSAGE_BYTES];
    atomic_bool cancelled;
    _Atomic(double) next_progress;          /* seconds; earlier reports are dropped */
    struct ramify_pool *pool;               /* NULL until first use */
    struct ramify_cluster *cluster;         /* NULL: a process alone */
    void (*leave)(ramify_context *context); /* the cluster; NULL with it */
};

#endif

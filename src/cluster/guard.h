#ifndef RAMIFY_CLUSTER_GUARD_H
#define RAMIFY_CLUSTER_GUARD_H
/* A deadline for a call that has none: a thread that says so when it is over. */

#include <pthread.h>
#include <stdbool.h>

typedef struct ramify_guard {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_over, is_running;
    double seconds;
    const char *why;
    void (*late)(void *argument, const char *why);
    void *argument;
} ramify_guard;

/* Calls late(argument, why), from a thread of its own, unless ramify_guard_end comes within so many seconds. The
 * guard stays where it is until then. Without a thread to be had there is no deadline. */
void ramify_guard_begin(ramify_guard *guard, double seconds, const char *why,
                        void (*late)(void *argument, const char *why), void *argument);
void ramify_guard_end(ramify_guard *guard);

#endif

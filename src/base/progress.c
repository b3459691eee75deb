#include "progress.h"
#include "context.h"

#include <time.h>

/* A person reads ten updates a second at most. */
#define PROGRESS_INTERVAL 0.1

bool ramify_cancelled(ramify_context *context) {
    if (atomic_load_explicit(&context->cancelled, memory_order_relaxed))
        return true;
    if (!context->options.cancel || !context->options.cancel(context->options.user))
        return false;
    atomic_store(&context->cancelled, true);
    return true;
}

double ramify_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double ramify_thread_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool ramify_late(double deadline) {
    return deadline > 0 && ramify_seconds() > deadline;
}

void ramify_progress_report(ramify_context *context, const char *stage, double done, double total) {
    if (!context->options.progress)
        return;
    double now = ramify_seconds();
    if (done < total && now < atomic_load(&context->next_progress))
        return;
    atomic_store(&context->next_progress, now + PROGRESS_INTERVAL);
    ramify_progress progress = {.stage = stage, .done = done, .total = total};
    pthread_mutex_lock(&context->lock);
    context->options.progress(context->options.user, &progress);
    pthread_mutex_unlock(&context->lock);
}

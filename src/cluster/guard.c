#include "guard.h"

#include <signal.h>
#include <time.h>

static void *watch_clock(void *argument) {
    ramify_guard *guard = argument;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)guard->seconds;
    pthread_mutex_lock(&guard->lock);
    int code = 0;
    while (!guard->is_over && code == 0)
        code = pthread_cond_timedwait(&guard->ended, &guard->lock, &until);
    bool late = !guard->is_over;
    pthread_mutex_unlock(&guard->lock);
    if (late)
        guard->late(guard->argument, guard->why);
    return NULL;
}

void ramify_guard_begin(ramify_guard *guard, double seconds, const char *why,
                        void (*late)(void *argument, const char *why), void *argument) {
    *guard = (ramify_guard){.seconds = seconds, .why = why, .late = late, .argument = argument};
    pthread_mutex_init(&guard->lock, NULL);
    pthread_cond_init(&guard->ended, NULL);
    /* Signals are for the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    guard->is_running = pthread_create(&guard->thread, NULL, watch_clock, guard) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void ramify_guard_end(ramify_guard *guard) {
    pthread_mutex_lock(&guard->lock);
    guard->is_over = true;
    pthread_cond_signal(&guard->ended);
    pthread_mutex_unlock(&guard->lock);
    if (guard->is_running)
        pthread_join(guard->thread, NULL);
    pthread_cond_destroy(&guard->ended);
    pthread_mutex_destroy(&guard->lock);
}

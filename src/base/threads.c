/* The pool: threads wait on a condition for the next job (a range of tasks) and take tasks by an
 * atomic counter. One job runs at a time; its caller works as worker 0. */

#include "threads.h"
#include "context.h"
#include "float_mode.h"
#include "memory.h"

#include <signal.h>

typedef struct pool_worker {
    struct ramify_pool *pool;
    pthread_t thread;
    uint32_t number; /* 1 .. threads-1; the caller is 0 */
} pool_worker;

struct ramify_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake, ended;
    uint32_t started; /* threads that run */
    uint32_t busy;    /* threads still in the current job */
    uint64_t job;     /* counts jobs; a thread sleeps until it changes */
    bool leave;

    ramify_task_run run;
    void *argument;
    ramify_float_mode mode; /* the caller's, for every worker */
    size_t tasks;
    size_t allowed; /* workers that take tasks: no more than there are tasks */
    atomic_size_t next;
    size_t failed_task; /* lowest failed task so far, under lock */
    ramify_status status;

    pool_worker *workers; /* threads - 1 */
};

/* Which worker the calling thread is inside a job of which pool; so nested calls stay where they
 * are. */
static _Thread_local struct {
    struct ramify_pool *pool;
    uint32_t worker;
} current;

static void work(struct ramify_pool *pool, uint32_t worker) {
    struct ramify_pool *outer_pool = current.pool;
    uint32_t outer_worker = current.worker;
    current.pool = pool;
    current.worker = worker;
    for (;;) {
        size_t task = atomic_fetch_add(&pool->next, 1);
        if (task >= pool->tasks)
            break;
        ramify_status status = pool->run(pool->argument, task, worker);
        if (status == RAMIFY_OK)
            continue;
        pthread_mutex_lock(&pool->lock);
        if (task < pool->failed_task) {
            pool->failed_task = task;
            pool->status = status;
        }
        pthread_mutex_unlock(&pool->lock);
        atomic_store(&pool->next, pool->tasks);
    }
    current.pool = outer_pool;
    current.worker = outer_worker;
}

static void *worker_main(void *argument) {
    pool_worker *self = argument;
    struct ramify_pool *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->job == seen && !pool->leave)
            pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->leave)
            break;
        seen = pool->job;
        pthread_mutex_unlock(&pool->lock);
        /* Callers keep scratch for so many and no more. */
        if (self->number < pool->allowed) {
            ramify_float_mode_set(pool->mode);
            work(pool, self->number);
        }
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->ended);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static struct ramify_pool *pool_create(ramify_context *context) {
    struct ramify_pool *pool = ramify_allocate_zeroed(context, 1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->workers = ramify_allocate(context, context->threads - 1, sizeof *pool->workers);
    if (!pool->workers) {
        ramify_release(context, pool);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->ended, NULL);
    /* Signals are for the program's own threads, never for ours. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = 0; i + 1 < context->threads; i++) {
        pool_worker *worker = &pool->workers[i];
        *worker = (pool_worker){.pool = pool, .number = i + 1};
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
            break;
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

uint32_t ramify_threads(const ramify_context *context) {
    return context->threads;
}

static ramify_status run_here(size_t tasks, ramify_task_run run, void *argument, uint32_t worker) {
    for (size_t task = 0; task < tasks; task++) {
        ramify_status status = run(argument, task, worker);
        if (status != RAMIFY_OK)
            return status;
    }
    return RAMIFY_OK;
}

static bool is_inside_task(const ramify_context *context) {
    return context->pool && current.pool == context->pool;
}

ramify_status ramify_parallel_start(ramify_context *context) {
    if (!context->pool && context->threads > 1)
        context->pool = pool_create(context);
    return context->pool || context->threads == 1 ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

ramify_status ramify_parallel(ramify_context *context, size_t tasks, ramify_task_run run,
                              void *argument) {
    if (is_inside_task(context))
        return run_here(tasks, run, argument, current.worker);
    return ramify_parallel_on(context, context->threads, tasks, run, argument);
}

ramify_status ramify_parallel_on(ramify_context *context, uint32_t workers, size_t tasks,
                                 ramify_task_run run, void *argument) {
    if (tasks <= 1 || workers == 1 || context->threads == 1 || is_inside_task(context))
        return run_here(tasks, run, argument, 0);
    ramify_status started = ramify_parallel_start(context);
    struct ramify_pool *pool = context->pool;
    if (started != RAMIFY_OK)
        return started;

    pthread_mutex_lock(&pool->lock);
    pool->run = run;
    pool->argument = argument;
    pool->mode = ramify_float_mode_now();
    pool->tasks = tasks;
    pool->allowed = tasks < workers ? tasks : workers;
    pool->failed_task = SIZE_MAX;
    pool->status = RAMIFY_OK;
    atomic_store(&pool->next, 0);
    pool->busy = pool->started;
    pool->job++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);

    work(pool, 0);

    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->ended, &pool->lock);
    ramify_status status = pool->status;
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void ramify_pool_destroy(ramify_context *context) {
    struct ramify_pool *pool = context->pool;
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->leave = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    ramify_release(context, pool->workers);
    ramify_release(context, pool);
    context->pool = NULL;
}

#ifndef RAMIFY_BASE_THREADS_H
#define RAMIFY_BASE_THREADS_H
/* A small pthreads pool that belongs to the context; started at its first use.
 *
 * The pool only ever decides who computes, never what: tasks write to places of their own, and sums
 * over tasks are taken by the caller in task order, so results do not depend on the number of
 * threads. Tasks round, and flush denormal numbers or not, as the calling thread does (float_mode.h). */

#include "ramify.h"

/* One task. worker is below ramify_threads(context), below the number of tasks and below the number
 * of workers that the call allows, and names scratch memory that no other running task uses. A task
 * that fails calls ramify_fail and returns the status. */
typedef ramify_status (*ramify_task_run)(void *argument, size_t task, uint32_t worker);

/* Runs task 0 .. tasks-1, handed out in order, on the pool and the calling thread, and returns when
 * all have ended. After the first failure no new task is started, and the status of the failed task
 * with the lowest number is returned. Called from inside a task it runs everything on that task's
 * worker, whatever its number. When threads cannot be started, fewer are used. */
ramify_status ramify_parallel(ramify_context *context, size_t tasks, ramify_task_run run,
                              void *argument);

/* The same on at most `workers` threads, at least 1, for callers whose scratch is bounded. Called
 * from inside a task it runs everything there as worker 0, as the scratch is the call's own. With one
 * worker the calling thread does it all, and the context may be NULL. */
ramify_status ramify_parallel_on(ramify_context *context, uint32_t workers, size_t tasks,
                                 ramify_task_run run, void *argument);

/* Starts the pool now, where there is to be one, so that no later call allocates. */
ramify_status ramify_parallel_start(ramify_context *context);

/* A context for work beside the parent's own, on one thread at a time: it takes memory from the same
 * callbacks and asks the same one whether to stop, computes with the same instruction set on `threads`
 * threads, and says nothing. Fails with RAMIFY_ERROR_MEMORY. Free with ramify_context_destroy. */
ramify_status ramify_context_beside(const ramify_context *parent, uint32_t threads,
                                    ramify_context **context);

/* Ends the pool's threads; called by ramify_context_destroy. */
void ramify_pool_destroy(ramify_context *context);

#endif

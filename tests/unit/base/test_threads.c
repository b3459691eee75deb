/* The pool: every task once, results that do not depend on the number of threads, failures. */

#include "cmocka_all.h"
#include "float_mode.h"
#include "status.h"
#include "threads.h"

#include <float.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define TASKS 1000

static ramify_context *create(uint32_t threads) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = threads;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    return context;
}

typedef struct count_job {
    atomic_uint runs[TASKS];
    atomic_bool busy[64]; /* workers that run a task */
    atomic_bool shared;   /* two tasks ran as the same worker at once */
    uint32_t threads;     /* workers that there may be */
} count_job;

static ramify_status count_task(void *argument, size_t task, uint32_t worker) {
    count_job *job = argument;
    if (worker >= job->threads || atomic_exchange(&job->busy[worker], true))
        atomic_store(&job->shared, true);
    atomic_fetch_add(&job->runs[task], 1);
    double work = 0.0;
    for (int i = 0; i < 200; i++)
        work += sqrt((double)(task + (size_t)i));
    if (work < 0.0)
        return RAMIFY_ERROR_DATA;
    if (worker < job->threads)
        atomic_store(&job->busy[worker], false);
    return RAMIFY_OK;
}

static void test_every_task_runs_once(void **state) {
    (void)state;
    static const uint32_t threads[] = {1, 2, 3, 8, 33};
    static const size_t tasks[] = {0, 1, 2, 7, TASKS};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        ramify_context *context = create(threads[t]);
        assert_int_equal(ramify_threads(context), threads[t]);
        for (size_t k = 0; k < sizeof tasks / sizeof tasks[0]; k++) {
            count_job job;
            memset(&job, 0, sizeof job);
            job.threads = threads[t];
            assert_int_equal(ramify_parallel(context, tasks[k], count_task, &job), RAMIFY_OK);
            for (size_t i = 0; i < TASKS; i++)
                assert_int_equal(atomic_load(&job.runs[i]), i < tasks[k] ? 1 : 0);
            assert_false(atomic_load(&job.shared));
        }
        ramify_context_destroy(&context);
    }
}

/* Sums by blocks, added in block order: the same bits for any number of threads. */
typedef struct sum_job {
    double partial[TASKS];
} sum_job;

static ramify_status sum_task(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    double sum = 0.0;
    for (size_t i = 1; i <= 100; i++)
        sum += sin((double)(task * 100 + i)) / (double)i;
    ((sum_job *)argument)->partial[task] = sum;
    return RAMIFY_OK;
}

static void test_results_do_not_depend_on_threads(void **state) {
    (void)state;
    double expected = 0.0;
    for (uint32_t threads = 1; threads <= 7; threads += 2) {
        ramify_context *context = create(threads);
        sum_job job;
        assert_int_equal(ramify_parallel(context, TASKS, sum_task, &job), RAMIFY_OK);
        double sum = 0.0;
        for (size_t i = 0; i < TASKS; i++)
            sum += job.partial[i];
        if (threads == 1)
            expected = sum;
        assert_memory_equal(&sum, &expected, sizeof sum);
        ramify_context_destroy(&context);
    }
}

typedef struct fail_job {
    ramify_context *context;
    size_t first_failing; /* tasks from here on fail */
    atomic_size_t runs;
} fail_job;

static ramify_status fail_task(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    fail_job *job = argument;
    atomic_fetch_add(&job->runs, 1);
    if (task < job->first_failing)
        return RAMIFY_OK;
    /* The status of the lowest failing task differs from the others'. */
    return ramify_fail(job->context,
                       task == job->first_failing ? RAMIFY_ERROR_DATA : RAMIFY_ERROR_IO, "task %zu",
                       task);
}

static void test_lowest_failure_is_returned(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        ramify_context *context = create(threads);
        for (size_t round = 0; round < 200; round++) {
            fail_job job = {.context = context, .first_failing = round % 5};
            ramify_clear(context);
            assert_int_equal(ramify_parallel(context, TASKS, fail_task, &job), RAMIFY_ERROR_DATA);
            assert_string_not_equal(ramify_message(context), "");
            /* Nothing new is started after the failure; each thread may be inside one task. */
            assert_true(atomic_load(&job.runs) <= job.first_failing + threads);
            assert_true(atomic_load(&job.runs) > job.first_failing);
        }
        /* The pool is as good as new. */
        sum_job sums;
        assert_int_equal(ramify_parallel(context, TASKS, sum_task, &sums), RAMIFY_OK);
        ramify_context_destroy(&context);
    }
}

typedef struct nest_job {
    ramify_context *context;
    atomic_size_t inner_runs;
    atomic_bool strayed; /* an inner task ran as another worker than its outer task */
    bool inner_fails;
    bool meet; /* tasks 0 and 1 are to run at the same time */
    atomic_size_t begun;
} nest_job;

typedef struct inner_job {
    nest_job *outer;
    uint32_t worker;
} inner_job;

static ramify_status inner_task(void *argument, size_t task, uint32_t worker) {
    inner_job *job = argument;
    if (worker != job->worker)
        atomic_store(&job->outer->strayed, true);
    atomic_fetch_add(&job->outer->inner_runs, 1);
    if (job->outer->inner_fails && task == 3)
        return ramify_fail(job->outer->context, RAMIFY_ERROR_FORMAT, "inner");
    return RAMIFY_OK;
}

static ramify_status outer_task(void *argument, size_t task, uint32_t worker) {
    nest_job *job = argument;
    /* The first tasks wait for each other, so that more than one worker takes part. */
    atomic_fetch_add(&job->begun, 1);
    while (task < 2 && job->meet && atomic_load(&job->begun) < 2)
        sched_yield();
    inner_job inner = {.outer = job, .worker = worker};
    return ramify_parallel(job->context, 10, inner_task, &inner);
}

static void test_nested_calls(void **state) {
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        ramify_context *context = create(threads);
        nest_job job = {.context = context, .meet = threads > 1};
        assert_int_equal(ramify_parallel(context, 100, outer_task, &job), RAMIFY_OK);
        assert_int_equal(atomic_load(&job.inner_runs), 1000);
        assert_false(atomic_load(&job.strayed));

        job.inner_fails = true;
        job.meet = false;
        assert_int_equal(ramify_parallel(context, 100, outer_task, &job), RAMIFY_ERROR_FORMAT);
        assert_string_equal(ramify_message(context), "inner");
        ramify_context_destroy(&context);
    }
}

/* Many short jobs, one after the other, find a thread that misses or repeats a wake-up. */
static void test_many_jobs(void **state) {
    (void)state;
    ramify_context *context = create(4);
    count_job job;
    for (int round = 0; round < 3000; round++) {
        memset(&job, 0, sizeof job);
        job.threads = 4;
        assert_int_equal(ramify_parallel(context, 5, count_task, &job), RAMIFY_OK);
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(atomic_load(&job.runs[i]), 1);
    }
    ramify_context_destroy(&context);
}

/* Scratch is kept for as many workers as there are tasks: a thread with a higher number, though it
 * may wake first, takes none. */
static void test_fewer_tasks_than_threads(void **state) {
    (void)state;
    ramify_context *context = create(32);
    count_job job;
    for (int round = 0; round < 500; round++) {
        memset(&job, 0, sizeof job);
        job.threads = 3;
        assert_int_equal(ramify_parallel(context, 3, count_task, &job), RAMIFY_OK);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(atomic_load(&job.runs[i]), 1);
        assert_false(atomic_load(&job.shared));
    }
    ramify_context_destroy(&context);
}

/* A call may allow fewer workers than there are threads and tasks. */
static void test_fewer_workers_than_threads(void **state) {
    (void)state;
    ramify_context *context = create(8);
    count_job job;
    for (uint32_t workers = 1; workers <= 9; workers++)
        for (int round = 0; round < 100; round++) {
            memset(&job, 0, sizeof job);
            job.threads = workers < 8 ? workers : 8;
            assert_int_equal(ramify_parallel_on(context, workers, 40, count_task, &job), RAMIFY_OK);
            for (size_t i = 0; i < 40; i++)
                assert_int_equal(atomic_load(&job.runs[i]), 1);
            assert_false(atomic_load(&job.shared));
        }
    ramify_context_destroy(&context);
}

static bool denormals_are_kept(void) {
    volatile float least = FLT_MIN;
    volatile float half = least / 2;
    return half > 0;
}

typedef struct mode_job {
    atomic_size_t begun, kept;
} mode_job;

/* The first tasks wait for each other, so that every thread takes part. */
static ramify_status mode_task(void *argument, size_t task, uint32_t worker) {
    (void)task, (void)worker;
    mode_job *job = argument;
    atomic_fetch_add(&job->begun, 1);
    while (atomic_load(&job->begun) < 3)
        sched_yield();
    if (denormals_are_kept())
        atomic_fetch_add(&job->kept, 1);
    return RAMIFY_OK;
}

static size_t tasks_that_keep(ramify_context *context) {
    mode_job job;
    memset(&job, 0, sizeof job);
    assert_int_equal(ramify_parallel(context, 3, mode_task, &job), RAMIFY_OK);
    return atomic_load(&job.kept);
}

/* On whichever thread a task runs, also when the pool was started in another mode. */
static void test_tasks_compute_as_their_caller_does(void **state) {
    (void)state;
#if defined(__SSE2__) || defined(__aarch64__)
    for (int flushed_first = 0; flushed_first < 2; flushed_first++) {
        ramify_context *context = create(3);
        assert_true(denormals_are_kept());
        if (!flushed_first)
            assert_int_equal(tasks_that_keep(context), 3);
        for (int round = 0; round < 3; round++) {
            const ramify_float_mode mode = ramify_flush_denormals();
            assert_false(denormals_are_kept());
            assert_int_equal(tasks_that_keep(context), 0);
            assert_false(denormals_are_kept());
            ramify_float_mode_set(mode);
            assert_true(ramify_float_mode_now() == mode);
            assert_true(denormals_are_kept());
            assert_int_equal(tasks_that_keep(context), 3);
        }
        ramify_context_destroy(&context);
    }
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_results_do_not_depend_on_threads),
        cmocka_unit_test(test_lowest_failure_is_returned),
        cmocka_unit_test(test_nested_calls),
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_fewer_tasks_than_threads),
        cmocka_unit_test(test_fewer_workers_than_threads),
        cmocka_unit_test(test_tasks_compute_as_their_caller_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

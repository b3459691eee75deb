/* The processes that an MPI launcher started. Every call that could wait for another process is one
 * of MPI's that only begins a transfer; MPI_Init_thread and MPI_Finalize alone have no such form, and
 * cluster.c watches over them by the clock. */

#include "engine.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct state {
    int rank, ranks;
    MPI_Comm comm;
} state;

/* A transfer that has begun, and what MPI wants kept until it is done. */
typedef struct pending {
    MPI_Request request;
    int counts[]; /* of a gather or exchange */
} pending;

static int fail(char *why, int code) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        text[0] = '\0';
    snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "%.200s", text[0] ? text : "MPI failed");
    return -1;
}

static int fail_memory(char *why) {
    snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "out of memory");
    return -1;
}

static pending *pending_new(size_t counts) {
    return calloc(1, sizeof(pending) + counts * sizeof(int));
}

/* Hands a begun transfer over, or frees it. */
static int begun(int code, pending *made, void **request, char *why) {
    if (code == MPI_SUCCESS) {
        *request = made;
        return 0;
    }
    free(made);
    return fail(why, code);
}

static void to_counts(const size_t *sizes, int ranks, int *counts) {
    for (int r = 0; r < ranks; r++)
        counts[r] = (int)sizes[r];
}

static int start(void **made, uint32_t *rank, uint32_t *ranks, char *why) {
    int there = 0, provided;
    state *s = calloc(1, sizeof *s);
    if (!s)
        return fail_memory(why);
    int code = MPI_Initialized(&there);
    if (code == MPI_SUCCESS && !there)
        code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    /* Open MPI looks there for what to do about transfers that fail in any communicator. */
    if (code == MPI_SUCCESS && !there)
        code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    /* Whoever called MPI_Init already keeps their communicator to themselves. */
    if (code == MPI_SUCCESS)
        code = MPI_Comm_dup(MPI_COMM_WORLD, &s->comm);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_errhandler(s->comm, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_rank(s->comm, &s->rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(s->comm, &s->ranks);
    if (code != MPI_SUCCESS) {
        free(s);
        return fail(why, code);
    }
    *rank = (uint32_t)s->rank;
    *ranks = (uint32_t)s->ranks;
    *made = s;
    return 0;
}

static int finish(void *argument, char *why) {
    state *s = argument;
    int code = MPI_Comm_free(&s->comm);
    free(s);
    if (code == MPI_SUCCESS)
        code = MPI_Finalize();
    return code == MPI_SUCCESS ? 0 : fail(why, code);
}

static int broadcast(void *argument, void *bytes, size_t size, uint32_t from, void **request,
                     char *why) {
    state *s = argument;
    pending *made = pending_new(0);
    if (!made)
        return fail_memory(why);
    return begun(MPI_Ibcast(bytes, (int)size, MPI_BYTE, (int)from, s->comm, &made->request), made,
                 request, why);
}

static int gather(void *argument, const void *mine, void *all, const size_t *sizes,
                  const size_t *offsets, void **request, char *why) {
    state *s = argument;
    pending *made = pending_new(2 * (size_t)s->ranks);
    if (!made)
        return fail_memory(why);
    int *counts = made->counts, *places = counts + s->ranks;
    to_counts(sizes, s->ranks, counts);
    to_counts(offsets, s->ranks, places);
    return begun(MPI_Iallgatherv(mine, counts[s->rank], MPI_BYTE, all, counts, places, MPI_BYTE,
                                 s->comm, &made->request),
                 made, request, why);
}

static int exchange(void *argument, const void *out, const size_t *out_sizes,
                    const size_t *out_offsets, void *in, const size_t *in_sizes,
                    const size_t *in_offsets, void **request, char *why) {
    state *s = argument;
    size_t ranks = (size_t)s->ranks;
    pending *made = pending_new(4 * ranks);
    if (!made)
        return fail_memory(why);
    int *counts = made->counts;
    to_counts(out_sizes, s->ranks, counts);
    to_counts(out_offsets, s->ranks, counts + ranks);
    to_counts(in_sizes, s->ranks, counts + 2 * ranks);
    to_counts(in_offsets, s->ranks, counts + 3 * ranks);
    return begun(MPI_Ialltoallv(out, counts, counts + ranks, MPI_BYTE, in, counts + 2 * ranks,
                                counts + 3 * ranks, MPI_BYTE, s->comm, &made->request),
                 made, request, why);
}

static int sum(void *argument, uint64_t *values, size_t count, void **request, char *why) {
    state *s = argument;
    pending *made = pending_new(0);
    if (!made)
        return fail_memory(why);
    return begun(MPI_Iallreduce(MPI_IN_PLACE, values, (int)count, MPI_UINT64_T, MPI_SUM, s->comm,
                                &made->request),
                 made, request, why);
}

static int test(void *argument, void *request, bool *done, char *why) {
    (void)argument;
    pending *of = request;
    int flag = 0;
    *done = of == NULL;
    if (*done)
        return 0;
    int code = MPI_Test(&of->request, &flag, MPI_STATUS_IGNORE);
    if (code == MPI_SUCCESS && !flag)
        return 0;
    *done = true;
    free(of);
    return code == MPI_SUCCESS ? 0 : fail(why, code);
}

static const ramify_engine engine = {
    .abi = RAMIFY_ENGINE_ABI,
    .start = start,
    .finish = finish,
    .broadcast = broadcast,
    .gather = gather,
    .exchange = exchange,
    .sum = sum,
    .test = test,
};

__attribute__((visibility("default"))) const ramify_engine *ramify_engine_mpi(void);

const ramify_engine *ramify_engine_mpi(void) {
    return &engine;
}

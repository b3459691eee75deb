#include "shared_engine.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum what { BROADCAST, GATHER, EXCHANGE, SUM } what;

typedef struct state {
    shared_memory *memory;
    uint32_t rank, ranks;
    uint64_t begun;
} state;

/* A transfer: its bytes are laid into this rank's slot once everybody is done with what was there. */
typedef struct transfer {
    what kind;
    uint64_t number;
    int stage;
    uint32_t from;
    const void *out;
    void *in;
    size_t out_sizes[SHARED_RANKS], out_offsets[SHARED_RANKS];
    size_t in_sizes[SHARED_RANKS], in_offsets[SHARED_RANKS];
} transfer;

static int start(void **made, uint32_t *rank, uint32_t *ranks, char *why) {
    const char *memory = getenv(SHARED_MEMORY), *own = getenv(SHARED_RANK);
    state *s = calloc(1, sizeof *s);
    if (!memory || !own || !s) {
        free(s);
        snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "nobody has started ranks");
        return -1;
    }
    s->memory = (shared_memory *)(uintptr_t)strtoull(memory, NULL, 16);
    *rank = s->rank = (uint32_t)atoi(own);
    *ranks = s->ranks = s->memory->ranks;
    *made = s;
    return 0;
}

static int finish(void *argument, char *why) {
    (void)why;
    free(argument);
    return 0;
}

/* Takes a copy of the sizes and places; refuses what is more than an engine counts. */
static int begin(state *s, transfer t, const size_t *out_sizes, const size_t *out_offsets,
                 const size_t *in_sizes, const size_t *in_offsets, void **request, char *why) {
    for (uint32_t r = 0; r < s->ranks; r++) {
        t.out_sizes[r] = out_sizes ? out_sizes[r] : 0;
        t.out_offsets[r] = out_offsets ? out_offsets[r] : 0;
        t.in_sizes[r] = in_sizes ? in_sizes[r] : 0;
        t.in_offsets[r] = in_offsets ? in_offsets[r] : 0;
        if (t.out_sizes[r] + t.out_offsets[r] > s->memory->most ||
            t.in_sizes[r] + t.in_offsets[r] > s->memory->most) {
            snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "more bytes than are counted");
            return -1;
        }
    }
    transfer *made = malloc(sizeof *made);
    if (!made)
        return -1;
    t.number = ++s->begun;
    *made = t;
    *request = made;
    return 0;
}

static int broadcast(void *argument, void *bytes, size_t size, uint32_t from, void **request,
                     char *why) {
    size_t sizes[SHARED_RANKS] = {0}, offsets[SHARED_RANKS] = {0};
    sizes[0] = size;
    return begin(argument, (transfer){.kind = BROADCAST, .from = from, .out = bytes, .in = bytes},
                 sizes, offsets, sizes, offsets, request, why);
}

static int gather(void *argument, const void *mine, void *all, const size_t *sizes,
                  const size_t *offsets, void **request, char *why) {
    return begin(argument, (transfer){.kind = GATHER, .out = mine, .in = all}, NULL, NULL, sizes,
                 offsets, request, why);
}

static int exchange(void *argument, const void *out, const size_t *out_sizes,
                    const size_t *out_offsets, void *in, const size_t *in_sizes,
                    const size_t *in_offsets, void **request, char *why) {
    return begin(argument, (transfer){.kind = EXCHANGE, .out = out, .in = in}, out_sizes,
                 out_offsets, in_sizes, in_offsets, request, why);
}

static int sum(void *argument, uint64_t *values, size_t count, void **request, char *why) {
    size_t sizes[SHARED_RANKS] = {0}, offsets[SHARED_RANKS] = {0};
    sizes[0] = count * sizeof *values;
    return begin(argument, (transfer){.kind = SUM, .out = values, .in = values}, sizes, offsets,
                 sizes, offsets, request, why);
}

static void lay_out(const state *s, const transfer *t) {
    char *slot = s->memory->slot[s->rank];
    if (t->kind == GATHER) {
        memcpy(slot, t->out, t->in_sizes[s->rank]);
        return;
    }
    if (t->kind != EXCHANGE) {
        memcpy(slot, t->out, t->out_sizes[0]);
        return;
    }
    size_t next = sizeof t->out_sizes;
    memcpy(slot, t->out_sizes, sizeof t->out_sizes);
    for (uint32_t r = 0; r < s->ranks; r++) {
        memcpy(slot + next, (const char *)t->out + t->out_offsets[r], t->out_sizes[r]);
        next += t->out_sizes[r];
    }
}

/* False: another rank sends as many bytes as are not awaited here. */
static int pick_up(const state *s, const transfer *t) {
    for (uint32_t r = 0; r < s->ranks; r++) {
        const char *slot = s->memory->slot[r];
        if (t->kind == GATHER)
            memcpy((char *)t->in + t->in_offsets[r], slot, t->in_sizes[r]);
        if (t->kind == BROADCAST && r == t->from)
            memcpy(t->in, slot, t->in_sizes[0]);
        if (t->kind == SUM && r != s->rank)
            for (size_t i = 0; i < t->in_sizes[0] / sizeof(uint64_t); i++)
                ((uint64_t *)t->in)[i] += ((const uint64_t *)slot)[i];
        if (t->kind != EXCHANGE)
            continue;
        size_t sizes[SHARED_RANKS], at = sizeof sizes;
        memcpy(sizes, slot, sizeof sizes);
        for (uint32_t k = 0; k < s->rank; k++)
            at += sizes[k];
        if (sizes[s->rank] != t->in_sizes[r])
            return -1;
        memcpy((char *)t->in + t->in_offsets[r], slot + at, t->in_sizes[r]);
    }
    return 0;
}

static int all_have(const state *s, atomic_ullong *counts, uint64_t number) {
    for (uint32_t r = 0; r < s->ranks; r++)
        if (atomic_load(&counts[r]) < number)
            return 0;
    return 1;
}

static int test(void *argument, void *request, bool *done, char *why) {
    state *s = argument;
    transfer *t = request;
    shared_memory *m = s->memory;
    *done = false;
    if (t->number == m->stuck_at)
        return 0;
    if (t->number == m->failed_at && s->rank == 1) {
        free(t);
        snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "a cable has come loose");
        return -1;
    }
    if (t->stage == 0) {
        if (!all_have(s, m->ended, t->number - 1))
            return 0;
        lay_out(s, t);
        atomic_store(&m->begun[s->rank], t->number);
        t->stage = 1;
    }
    if (!all_have(s, m->begun, t->number))
        return 0;
    const int code = pick_up(s, t);
    atomic_store(&m->ended[s->rank], t->number);
    free(t);
    *done = true;
    if (code != 0)
        snprintf(why, RAMIFY_ENGINE_WHY_BYTES, "truncated");
    return code;
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

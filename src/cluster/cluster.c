/* Plan: load the engine, join, compare what the ranks are, watch. A transfer is begun, then asked after,
 * with one eye on the watch, until it is done. */

#include "cluster.h"
#include "context.h"
#include "engine.h"
#include "guard.h"
#include "memory.h"
#include "progress.h"
#include "status.h"
#include "watch.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Seconds within which all processes must have been started. */
#define START 120.0
/* And ended. */
#define FINISH 60.0
/* How a transfer is asked after: again and again at first, then ever less often. Other processes may
 * need the processor for it to come to an end. */
#define SPINS        200
#define YIELDS       2000
#define NAP_LEAST_NS 20000
#define NAP_MOST_NS  500000

#define PHASES_MAX 32

struct ramify_cluster {
    ramify_context *context;
    const ramify_engine *engine;
    void *state;
    uint32_t rank, ranks;
    ramify_watch *watch;
    uint64_t transfers;
    ramify_cluster_options options;
    ramify_cluster_traffic phases[PHASES_MAX];
    size_t phase_count, phase;
};

/* A process alone, for contexts that have joined nothing. */
static const struct ramify_cluster alone = {.engine = &ramify_engine_local, .ranks = 1};

static const struct ramify_cluster *of(const ramify_context *context) {
    return context->cluster ? context->cluster : &alone;
}

uint32_t ramify_cluster_rank(const ramify_context *context) {
    return of(context)->rank;
}

uint32_t ramify_cluster_size(const ramify_context *context) {
    return of(context)->ranks;
}

/* ---- what was transferred ---- */

void ramify_cluster_phase(ramify_context *context, const char *phase) {
    struct ramify_cluster *c = context->cluster;
    if (!c)
        return;
    for (c->phase = 0; c->phase < c->phase_count; c->phase++)
        if (strcmp(c->phases[c->phase].phase, phase) == 0)
            return;
    if (c->phase_count == PHASES_MAX)
        c->phase = PHASES_MAX - 1;
    else
        c->phases[c->phase_count++] = (ramify_cluster_traffic){.phase = phase};
}

bool ramify_cluster_get_traffic(const ramify_context *context, uint32_t index,
                                ramify_cluster_traffic *traffic) {
    const struct ramify_cluster *c = of(context);
    if (index >= c->phase_count)
        return false;
    *traffic = c->phases[index];
    return true;
}

ramify_status ramify_cluster_add_traffic(ramify_context *context) {
    struct ramify_cluster *c = context->cluster;
    uint64_t sums[2 * PHASES_MAX] = {0};
    for (size_t i = 0; c && i < c->phase_count; i++) {
        sums[2 * i] = c->phases[i].bytes;
        sums[2 * i + 1] = c->phases[i].messages;
    }
    if (!c)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_cluster_tell(context, ramify_cluster_sum(context, sums, 2 * PHASES_MAX)));
    for (size_t i = 0; i < c->phase_count; i++) {
        c->phases[i].bytes = sums[2 * i];
        c->phases[i].messages = sums[2 * i + 1];
    }
    return RAMIFY_OK;
}

static void count(struct ramify_cluster *c, uint64_t bytes, uint64_t messages, double seconds) {
    if (c->phase_count == 0)
        ramify_cluster_phase(c->context, "joining");
    ramify_cluster_traffic *traffic = &c->phases[c->phase];
    traffic->bytes += bytes;
    traffic->messages += messages;
    traffic->seconds += seconds;
}

/* ---- waiting ---- */

static ramify_status fail_broken(ramify_context *context, const char *why) {
    return ramify_fail(context, RAMIFY_ERROR_CLUSTER, "%s", why);
}

static void nap(uint64_t *asked) {
    ++*asked;
    if (*asked < SPINS)
        return;
    if (*asked < YIELDS) {
        sched_yield();
        return;
    }
    uint64_t ns = NAP_LEAST_NS + (*asked - YIELDS) * 1000;
    struct timespec time = {.tv_nsec = (long)(ns < NAP_MOST_NS ? ns : NAP_MOST_NS)};
    nanosleep(&time, NULL);
}

/* Until transfer number `transfer` is done. */
static ramify_status wait_for(ramify_context *context, void *request, uint64_t transfer) {
    const struct ramify_cluster *c = of(context);
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    uint64_t asked = 0;
    double all_here = 0;
    for (;;) {
        bool done;
        if (c->engine->test(c->state, request, &done, why) != 0)
            return fail_broken(context, why);
        if (done)
            return RAMIFY_OK;
        nap(&asked);
        if (asked % 64 != 0)
            continue;
        const char *broken = c->watch ? ramify_watch_why(c->watch) : NULL;
        if (broken)
            return fail_broken(context, broken);
        if (ramify_cancelled(context))
            return ramify_fail(context, RAMIFY_STOPPED, "stopped");
        /* Before there is a watch, all ranks are on their way here. */
        bool all = !c->watch || ramify_watch_entered(c->watch) >= transfer;
        if (all && all_here == 0)
            all_here = ramify_seconds();
        if (all && ramify_late(all_here + RAMIFY_CLUSTER_STALL))
            return ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                               "a transfer between %u ranks has not come to its end in %.0f s, "
                               "though all take part: see whether the network that MPI uses "
                               "works",
                               c->ranks, RAMIFY_CLUSTER_STALL);
    }
}

/* Ends a transfer that was begun with `code`: sent bytes leave this rank for `to` others. */
static ramify_status finish(ramify_context *context, int code, void *request, const char *why,
                            uint64_t sent, uint64_t to, double started) {
    struct ramify_cluster *c = context->cluster;
    if (code != 0)
        return fail_broken(context, why);
    if (!c)
        return RAMIFY_OK;
    c->transfers++;
    if (c->watch)
        ramify_watch_enter(c->watch, c->transfers);
    ramify_status status = wait_for(context, request, c->transfers);
    count(c, sent, to, ramify_seconds() - started);
    return status;
}

/* ---- transfers ---- */

ramify_status ramify_cluster_broadcast(ramify_context *context, void *bytes, size_t size,
                                       uint32_t from) {
    const struct ramify_cluster *c = of(context);
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    for (size_t at = 0; at < size; at += RAMIFY_ENGINE_BYTES_MAX) {
        size_t part = ramify_smaller(size - at, RAMIFY_ENGINE_BYTES_MAX);
        double started = ramify_seconds();
        void *request;
        int code = c->engine->broadcast(c->state, (char *)bytes + at, part, from, &request, why);
        uint64_t to = c->rank == from ? c->ranks - 1 : 0;
        RAMIFY_TRY(finish(context, code, request, why, to * part, to, started));
    }
    return RAMIFY_OK;
}

static ramify_status gather_once(ramify_context *context, const void *mine, void *all,
                                 const size_t *sizes, const size_t *offsets) {
    const struct ramify_cluster *c = of(context);
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    double started = ramify_seconds();
    void *request;
    int code = c->engine->gather(c->state, mine, all, sizes, offsets, &request, why);
    uint64_t to = c->ranks - 1;
    return finish(context, code, request, why, to * sizes[c->rank], to, started);
}

/* In pieces of what each rank has, which lie beside one another in `room` on their way. */
static ramify_status gather_in_pieces(ramify_context *context, const char *mine, char *all,
                                      const size_t *sizes, const size_t *offset, size_t *piece,
                                      char *room) {
    const struct ramify_cluster *c = of(context);
    size_t each = RAMIFY_ENGINE_PIECE / c->ranks, *place = piece + c->ranks, most = 0;
    for (uint32_t r = 0; r < c->ranks; r++)
        most = ramify_larger(most, sizes[r]);
    for (size_t at = 0; at < most; at += each) {
        size_t next = 0;
        for (uint32_t r = 0; r < c->ranks; r++) {
            piece[r] = at < sizes[r] ? ramify_smaller(each, sizes[r] - at) : 0;
            place[r] = next;
            next += piece[r];
        }
        size_t own = ramify_smaller(at, sizes[c->rank]);
        RAMIFY_TRY(gather_once(context, mine + own, room, piece, place));
        for (uint32_t r = 0; r < c->ranks; r++)
            if (piece[r] > 0)
                memcpy(all + offset[r] + at, room + place[r], piece[r]);
    }
    return RAMIFY_OK;
}

static ramify_status gather_known(ramify_context *context, const void *mine, void *all,
                                  const size_t *sizes, const size_t *offset /* ranks + 1 */) {
    const struct ramify_cluster *c = of(context);
    if (offset[c->ranks] <= RAMIFY_ENGINE_BYTES_MAX)
        return gather_once(context, mine, all, sizes, offset);
    size_t *piece = ramify_allocate(context, 2 * (size_t)c->ranks, sizeof *piece);
    char *room = ramify_allocate(context, RAMIFY_ENGINE_PIECE, 1);
    ramify_status status = piece && room
                               ? gather_in_pieces(context, mine, all, sizes, offset, piece, room)
                               : RAMIFY_ERROR_MEMORY;
    ramify_release(context, piece);
    ramify_release(context, room);
    return status;
}

ramify_status ramify_cluster_gather(ramify_context *context, const void *mine, size_t size,
                                    void *all) {
    const struct ramify_cluster *c = of(context);
    size_t *sizes = ramify_allocate(context, 2 * (size_t)c->ranks + 1, sizeof *sizes);
    if (!sizes)
        return RAMIFY_ERROR_MEMORY;
    size_t *offset = sizes + c->ranks;
    for (uint32_t r = 0; r <= c->ranks; r++) {
        offset[r] = r * size;
        if (r < c->ranks)
            sizes[r] = size;
    }
    ramify_status status = gather_known(context, mine, all, sizes, offset);
    ramify_release(context, sizes);
    return status;
}

ramify_status ramify_cluster_gather_uneven(ramify_context *context, const void *mine, size_t size,
                                           void **all, size_t *offset) {
    const struct ramify_cluster *c = of(context);
    *all = NULL;
    size_t *sizes = ramify_allocate(context, c->ranks, sizeof *sizes);
    ramify_status status =
        sizes ? ramify_cluster_gather(context, &size, sizeof size, sizes) : RAMIFY_ERROR_MEMORY;
    offset[0] = 0;
    for (uint32_t r = 0; status == RAMIFY_OK && r < c->ranks; r++)
        if (!ramify_size_add(offset[r], sizes[r], &offset[r + 1]))
            status = ramify_fail(context, RAMIFY_ERROR_MEMORY,
                                 "what %u ranks have together cannot be addressed", c->ranks);
    void *made = NULL;
    if (status == RAMIFY_OK) {
        made = ramify_allocate(context, offset[c->ranks], 1);
        status = made ? gather_known(context, mine, made, sizes, offset) : RAMIFY_ERROR_MEMORY;
    }
    ramify_release(context, sizes);
    if (status == RAMIFY_OK)
        *all = made;
    else
        ramify_release(context, made);
    return status;
}

ramify_status ramify_cluster_exchange(ramify_context *context, const void *out,
                                      const size_t *out_size, const size_t *out_offset, void *in,
                                      const size_t *in_size, const size_t *in_offset) {
    const struct ramify_cluster *c = of(context);
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    uint64_t sent = 0, to = 0;
    for (uint32_t r = 0; r < c->ranks; r++) {
        if (out_offset[r] + out_size[r] > RAMIFY_ENGINE_BYTES_MAX ||
            in_offset[r] + in_size[r] > RAMIFY_ENGINE_BYTES_MAX)
            return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                               "more than %zu bytes are exchanged at once",
                               RAMIFY_ENGINE_BYTES_MAX);
        if (r != c->rank && out_size[r] > 0) {
            sent += out_size[r];
            to++;
        }
    }
    double started = ramify_seconds();
    void *request;
    int code = c->engine->exchange(c->state, out, out_size, out_offset, in, in_size, in_offset,
                                   &request, why);
    return finish(context, code, request, why, sent, to, started);
}

ramify_status ramify_cluster_sum(ramify_context *context, uint64_t *values, size_t count_) {
    const struct ramify_cluster *c = of(context);
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    const size_t most = RAMIFY_ENGINE_BYTES_MAX / sizeof *values;
    for (size_t at = 0; at < count_; at += most) {
        size_t part = ramify_smaller(count_ - at, most);
        double started = ramify_seconds();
        void *request;
        int code = c->engine->sum(c->state, values + at, part, &request, why);
        RAMIFY_TRY(finish(context, code, request, why, c->ranks > 1 ? part * sizeof *values : 0,
                          c->ranks > 1, started));
    }
    return RAMIFY_OK;
}

ramify_status ramify_cluster_join_floats(ramify_context *context, float *values, size_t count_) {
    uint64_t *bits = ramify_allocate(context, count_, sizeof *bits);
    if (!bits)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < count_; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        bits[i] = word;
    }
    ramify_status status = ramify_cluster_sum(context, bits, count_);
    for (size_t i = 0; status == RAMIFY_OK && i < count_; i++) {
        const uint32_t word = (uint32_t)bits[i];
        memcpy(&values[i], &word, sizeof word);
    }
    ramify_release(context, bits);
    return status;
}

ramify_status ramify_cluster_meet(ramify_context *context) {
    uint64_t nothing = 0;
    return ramify_cluster_sum(context, &nothing, 1);
}

ramify_status ramify_cluster_agree(ramify_context *context, uint64_t print, const char *name) {
    const uint32_t ranks = of(context)->ranks;
    uint64_t *prints = ramify_allocate(context, ranks, sizeof *prints);
    if (!prints)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_cluster_gather(context, &print, sizeof print, prints);
    for (uint32_t r = 1; status == RAMIFY_OK && r < ranks; r++)
        if (prints[r] != prints[0] && prints[r] != 0 && prints[0] != 0)
            status = ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                                 "%s: is not the same for rank %u of %u as for rank 0: give all "
                                 "ranks the same file, and if it is being written, wait",
                                 name, r, ranks);
    ramify_release(context, prints);
    return status;
}

typedef struct failure {
    uint64_t place;
    uint64_t status;
} failure;

ramify_status ramify_cluster_first_failure(ramify_context *context, ramify_status status,
                                           uint64_t place) {
    const struct ramify_cluster *c = of(context);
    if (c->ranks == 1)
        return status;
    const failure own = {place, (uint64_t)status};
    failure *all = ramify_allocate(context, c->ranks, sizeof *all);
    if (!all)
        return RAMIFY_ERROR_MEMORY;
    ramify_status gathered = ramify_cluster_gather(context, &own, sizeof own, all);
    uint32_t first = c->ranks;
    for (uint32_t r = 0; gathered == RAMIFY_OK && r < c->ranks; r++)
        if (all[r].status != RAMIFY_OK && (first == c->ranks || all[r].place < all[first].place))
            first = r;
    const uint64_t found = first < c->ranks ? all[first].status : RAMIFY_OK;
    ramify_release(context, all);
    if (gathered != RAMIFY_OK || found == RAMIFY_OK)
        return gathered;
    char sentence[RAMIFY_WATCH_TEXT_BYTES] = "";
    snprintf(sentence, sizeof sentence, "%s", ramify_message(context));
    RAMIFY_TRY(ramify_cluster_broadcast(context, sentence, sizeof sentence, first));
    ramify_clear(context);
    return ramify_fail(context, (ramify_status)found, "%s", sentence);
}

/* ---- tasks ---- */

typedef struct dealt {
    double cost;
    size_t index;
} dealt;

static int compare_dealt(const void *a, const void *b) {
    const dealt *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost > y->cost ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

ramify_status ramify_cluster_deal(ramify_context *context, const double *cost, size_t count_,
                                  uint32_t *rank) {
    uint32_t ranks = of(context)->ranks;
    dealt *order = ramify_allocate(context, count_, sizeof *order);
    double *load = ramify_allocate_zeroed(context, ranks, sizeof *load);
    if (!order || !load) {
        ramify_release(context, order);
        ramify_release(context, load);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t i = 0; i < count_; i++)
        order[i] = (dealt){cost[i], i};
    qsort(order, count_, sizeof *order, compare_dealt);
    for (size_t i = 0; i < count_; i++) {
        uint32_t least = 0;
        for (uint32_t r = 1; r < ranks; r++)
            if (load[r] < load[least])
                least = r;
        load[least] += order[i].cost;
        rank[order[i].index] = least;
    }
    ramify_release(context, order);
    ramify_release(context, load);
    return RAMIFY_OK;
}

/* ---- joining and leaving ---- */

void ramify_cluster_options_init(ramify_cluster_options *options) {
    *options = (ramify_cluster_options){0};
}

/* What ranks must have in common, and where they are. */
typedef struct introduction {
    char version[32], isa[16];
    uint64_t fingerprint;
    ramify_watch_place place;
} introduction;

static ramify_status load_engine(ramify_context *context, const char *plugin,
                                 const ramify_engine **engine) {
    /* MPI looks for its own parts among the program's symbols. It is never unloaded: it would not be
     * ready to be loaded again. */
    void *library = dlopen(plugin, RTLD_NOW | RTLD_GLOBAL);
    if (!library)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED, "%s: cannot be loaded (%s)", plugin,
                           dlerror());
    ramify_engine_entry entry = NULL;
    void *symbol = dlsym(library, RAMIFY_ENGINE_SYMBOL);
    memcpy(&entry, &symbol, sizeof entry);
    *engine = entry ? entry() : NULL;
    if (!*engine || (*engine)->abi != RAMIFY_ENGINE_ABI)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: is not the MPI plug-in of ramify %s: install both together", plugin,
                           ramify_version());
    return RAMIFY_OK;
}

static void on_late(void *argument, const char *why) {
    const struct ramify_cluster *c = argument;
    if (c->options.broken)
        c->options.broken(c->context->options.user, why, true, true);
}

static ramify_status start(struct ramify_cluster *c) {
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    ramify_guard guard;
    ramify_guard_begin(&guard, START, "not all processes have started in two minutes", on_late, c);
    int code = c->engine->start(&c->state, &c->rank, &c->ranks, why);
    ramify_guard_end(&guard);
    return code == 0 ? RAMIFY_OK
                     : ramify_fail(c->context, RAMIFY_ERROR_CLUSTER, "MPI does not start: %s", why);
}

static ramify_status compare(ramify_context *context, const introduction *all, uint32_t ranks) {
    for (uint32_t r = 1; r < ranks; r++) {
        if (strcmp(all[r].version, all[0].version) != 0)
            return ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                               "rank %u (%s) runs ramify %s, rank 0 (%s) %s: install the same "
                               "on all hosts",
                               r, all[r].place.host, all[r].version, all[0].place.host,
                               all[0].version);
        if (strcmp(all[r].isa, all[0].isa) != 0)
            return ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                               "rank %u (%s) computes with %s, rank 0 (%s) with %s: give all of "
                               "them the same --isa",
                               r, all[r].place.host, all[r].isa, all[0].place.host, all[0].isa);
        if (all[r].fingerprint != all[0].fingerprint)
            return ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                               "rank %u (%s) was started with other arguments than rank 0 (%s): "
                               "give all ranks the same",
                               r, all[r].place.host, all[0].place.host);
    }
    return RAMIFY_OK;
}

/* What is being computed is in vain. */
static void on_broken(void *argument, const char *why, bool speaks, bool gone) {
    const struct ramify_cluster *c = argument;
    ramify_fail(c->context, RAMIFY_ERROR_CLUSTER, "%s", why);
    atomic_store(&c->context->cancelled, true);
    if (c->options.broken)
        c->options.broken(c->context->options.user, why, speaks, gone);
}

static ramify_status meet_others(struct ramify_cluster *c) {
    ramify_context *context = c->context;
    ramify_watch *watch = NULL;
    introduction own = {.version = RAMIFY_VERSION, .fingerprint = c->options.fingerprint};
    snprintf(own.isa, sizeof own.isa, "%s", ramify_isa(context));
    introduction *all = ramify_allocate(context, c->ranks, sizeof *all);
    ramify_watch_place *places = ramify_allocate(context, c->ranks, sizeof *places);
    ramify_status status = all && places ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_watch_open(context, c->rank, c->ranks, &own.place, &watch);
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather(context, &own, sizeof own, all);
    for (uint32_t r = 0; status == RAMIFY_OK && r < c->ranks; r++)
        places[r] = all[r].place;
    if (status == RAMIFY_OK)
        status = ramify_watch_begin(watch, places, on_broken, c);
    c->watch = watch;
    if (status == RAMIFY_OK)
        status = compare(context, all, c->ranks);
    ramify_release(context, all);
    ramify_release(context, places);
    return status;
}

/* Nobody waits for ranks that failed: MPI is then left as it is, and the launcher ends the job. */
static void leave(ramify_context *context) {
    struct ramify_cluster *c = context->cluster;
    char why[RAMIFY_ENGINE_WHY_BYTES] = "";
    bool whole =
        c->watch && !ramify_watch_why(c->watch) && ramify_recorded_status(context) == RAMIFY_OK;
    whole = whole && ramify_cluster_meet(context) == RAMIFY_OK;
    /* All work is done: who is gone from here on is not missed. */
    ramify_watch_close(&c->watch);
    if (whole) {
        ramify_guard guard;
        ramify_guard_begin(&guard, FINISH, "all work is done, but MPI has not ended in a minute",
                           on_late, c);
        c->engine->finish(c->state, why);
        ramify_guard_end(&guard);
    }
    context->cluster = NULL;
    context->leave = NULL;
    ramify_release(context, c);
}

ramify_status ramify_cluster_join(ramify_context *context, const ramify_cluster_options *options) {
    ramify_clear(context);
    if (!options || !options->plugin)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_cluster_join: options, or the plug-in's path, is NULL");
    if (context->cluster)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_cluster_join: the context has joined already");
    struct ramify_cluster *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->options = *options;
    ramify_status status = load_engine(context, options->plugin, &made->engine);
    if (status == RAMIFY_OK)
        status = start(made);
    if (status != RAMIFY_OK) {
        ramify_release(context, made);
        return status;
    }
    context->cluster = made;
    context->leave = leave;
    return ramify_cluster_tell(context, meet_others(made));
}

ramify_status ramify_cluster_tell(ramify_context *context, ramify_status status) {
    const struct ramify_cluster *c = context->cluster;
    if (!c || !c->watch || status == RAMIFY_OK)
        return status;
    if (ramify_watch_why(c->watch))
        return RAMIFY_ERROR_CLUSTER;
    ramify_watch_tell(c->watch, ramify_message(context));
    return status;
}

void ramify_cluster_fail(ramify_context *context, const char *message) {
    const struct ramify_cluster *c = context->cluster;
    if (c && c->watch)
        ramify_watch_tell(c->watch, message);
}

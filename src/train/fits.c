#include "fits.h"
#include "cluster.h"
#include "crc32c.h"
#include "memory.h"
#include "save.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PHASE     "results of fits" /* of transfers */
#define FORMAT    1
#define NAME_ROOM 48 /* of a file in the folder, with the slash before it */

static const char magic[8] = {'r', 'a', 'm', 'i', 'f', 'y', 'F', 'T'};

/* As in the file; there are no holes. */
typedef struct header {
    char magic[8];
    uint32_t format, crc;
    uint64_t key, size;
} header;

struct ramify_fits {
    ramify_context *context;
    char *folder; /* NULL: nothing is kept */
    bool alone;
    atomic_size_t found, done;
};

ramify_status ramify_fits_open(ramify_context *context, const char *folder, bool alone,
                               ramify_fits **fits) {
    ramify_fits *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->alone = alone;
    ramify_status status = RAMIFY_OK;
    if (folder) {
        status = ramify_checkpoint_folder(context, folder);
        made->folder = status == RAMIFY_OK ? ramify_copy_text(context, folder) : NULL;
        if (status == RAMIFY_OK && !made->folder)
            status = RAMIFY_ERROR_MEMORY;
    }
    if (status != RAMIFY_OK) {
        ramify_fits_close(&made);
        return status;
    }
    *fits = made;
    return RAMIFY_OK;
}

void ramify_fits_close(ramify_fits **fits) {
    if (!*fits)
        return;
    ramify_fits *old = *fits;
    *fits = NULL;
    ramify_release(old->context, old->folder);
    ramify_release(old->context, old);
}

void ramify_fits_count(const ramify_fits *fits, size_t *found, size_t *done) {
    *found = fits->found;
    *done = fits->done;
}

/* ---- files ---- */

static char *path_of(const ramify_fits *fits, uint64_t key) {
    size_t room = strlen(fits->folder) + NAME_ROOM;
    char *path = ramify_allocate(fits->context, room, 1);
    if (path)
        snprintf(path, room, "%s/%016" PRIx64 ".fit", fits->folder, key);
    return path;
}

static bool read_whole(int file, void *bytes, size_t size) {
    char *to = bytes;
    while (size > 0) {
        ssize_t count = read(file, to, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        to += count;
        size -= (size_t)count;
    }
    return true;
}

/* Whether the file holds the result of this key; whatever else it holds is as if it were not there. */
static bool read_result(int file, uint64_t key, void *result, size_t size) {
    header head;
    struct stat about;
    return fstat(file, &about) == 0 && S_ISREG(about.st_mode) &&
           (uint64_t)about.st_size == sizeof head + (uint64_t)size &&
           read_whole(file, &head, sizeof head) && memcmp(head.magic, magic, sizeof magic) == 0 &&
           head.format == FORMAT && head.key == key && head.size == size &&
           read_whole(file, result, size) && ramify_crc32c(0, result, size) == head.crc;
}

static ramify_status find(const ramify_fits *fits, uint64_t key, void *result, size_t size,
                          bool *found) {
    char *path = path_of(fits, key);
    if (!path)
        return RAMIFY_ERROR_MEMORY;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *found = file >= 0 && read_result(file, key, result, size);
    if (file >= 0 && !*found)
        ramify_log(fits->context, RAMIFY_LOG_WARNING,
                   "%s: is not what a training kept there, and that fit is done again", path);
    if (file >= 0)
        close(file);
    ramify_release(fits->context, path);
    return RAMIFY_OK;
}

static ramify_status keep(const ramify_fits *fits, uint64_t key, const void *result, size_t size) {
    ramify_context *context = fits->context;
    header head = {
        .format = FORMAT, .crc = ramify_crc32c(0, result, size), .key = key, .size = size};
    memcpy(head.magic, magic, sizeof magic);
    char *path = path_of(fits, key);
    if (!path)
        return RAMIFY_ERROR_MEMORY;
    ramify_replacement file;
    ramify_status status = ramify_replacement_begin(context, path, &file);
    ramify_release(context, path);
    RAMIFY_TRY(status);
    status = ramify_replacement_write(context, &file, &head, sizeof head);
    if (status == RAMIFY_OK)
        status = ramify_replacement_write(context, &file, result, size);
    if (status == RAMIFY_OK)
        return ramify_replacement_commit(context, &file);
    ramify_replacement_abandon(context, &file);
    return status;
}

/* ---- a list ---- */

typedef struct work {
    ramify_fits *fits;
    ramify_context *context;
    const ramify_fit_list *list;
    size_t *size;   /* count: of the results; 0: nothing to do, or done */
    uint8_t *found; /* count: the result was kept */
    uint32_t *rank; /* count: who does it */
    size_t *own;    /* own_count: the fits that this rank does, in order */
    size_t *at;     /* own_count: where their results lie in packed */
    size_t own_count;
    char *packed; /* their results, one after the other */
    uint32_t rank_here, ranks;
} work;

/* Rank 0 looks into the folder, so that all agree on what is in it. */
static ramify_status take_kept(work *w) {
    const ramify_fit_list *list = w->list;
    bool looks = w->rank_here == 0;
    size_t most = 0;
    for (size_t i = 0; i < list->count; i++)
        most = ramify_larger(most, w->size[i]);
    char *result = ramify_allocate(w->context, most, 1);
    ramify_status status = result ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < list->count; i++) {
        bool found = false;
        if (w->size[i] == 0)
            continue;
        if (looks)
            status = find(w->fits, list->key(list->argument, i), result, w->size[i], &found);
        w->found[i] = found;
        if (status == RAMIFY_OK && found)
            status = list->unpack(list->argument, i, result);
    }
    if (w->ranks > 1)
        ramify_cluster_phase(w->context, PHASE);
    if (status == RAMIFY_OK && w->ranks > 1)
        status = ramify_cluster_broadcast(w->context, w->found, list->count, 0);
    for (size_t i = 0; status == RAMIFY_OK && i < list->count; i++) {
        if (!w->found[i])
            continue;
        if (looks && w->ranks > 1)
            list->pack(list->argument, i, result);
        if (w->ranks > 1)
            status = ramify_cluster_broadcast(w->context, result, w->size[i], 0);
        if (status == RAMIFY_OK && !looks)
            status = list->unpack(list->argument, i, result);
        w->size[i] = 0;
        w->fits->found++;
    }
    ramify_release(w->context, result);
    return status;
}

/* Who does which of the fits that are left. */
static ramify_status deal(work *w) {
    const ramify_fit_list *list = w->list;
    double *cost = ramify_allocate(w->context, list->count, sizeof *cost);
    if (!cost)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        cost[i] = w->size[i] > 0 ? list->cost(list->argument, i) : 0;
    ramify_status status = RAMIFY_OK;
    if (w->ranks > 1)
        status = ramify_cluster_deal(w->context, cost, list->count, w->rank);
    else
        memset(w->rank, 0, list->count * sizeof *w->rank);
    ramify_release(w->context, cost);
    RAMIFY_TRY(status);
    size_t bytes = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (w->size[i] == 0 || w->rank[i] != w->rank_here)
            continue;
        w->own[w->own_count] = i;
        w->at[w->own_count++] = bytes;
        bytes += w->size[i];
    }
    w->packed = ramify_allocate(w->context, bytes, 1);
    return w->packed ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static ramify_status run_own(void *argument, size_t task, uint32_t worker) {
    const work *w = argument;
    const ramify_fit_list *list = w->list;
    size_t index = w->own[task];
    char *result = w->packed + w->at[task];
    RAMIFY_TRY(list->run(list->argument, index, worker));
    list->pack(list->argument, index, result);
    return w->fits->folder ? keep(w->fits, list->key(list->argument, index), result, w->size[index])
                           : RAMIFY_OK;
}

/* Every rank's results to all others. */
static ramify_status share(work *w) {
    const ramify_fit_list *list = w->list;
    const uint32_t ranks = w->ranks, own = w->rank_here;
    if (ranks == 1)
        return RAMIFY_OK;
    size_t bytes =
        w->own_count > 0 ? w->at[w->own_count - 1] + w->size[w->own[w->own_count - 1]] : 0;
    size_t *next = ramify_allocate(w->context, (size_t)ranks + 1, sizeof *next);
    if (!next)
        return RAMIFY_ERROR_MEMORY;
    void *all = NULL;
    ramify_cluster_phase(w->context, PHASE);
    ramify_status status = ramify_cluster_gather_uneven(w->context, w->packed, bytes, &all, next);
    for (size_t i = 0; status == RAMIFY_OK && i < list->count; i++) {
        if (w->size[i] == 0)
            continue;
        if (w->rank[i] != own)
            status = list->unpack(list->argument, i, (char *)all + next[w->rank[i]]);
        next[w->rank[i]] += w->size[i];
    }
    ramify_release(w->context, all);
    ramify_release(w->context, next);
    return status;
}

static ramify_status prepare(const work *w) {
    const ramify_fit_list *list = w->list;
    bool *is_left = ramify_allocate(w->context, list->count, sizeof *is_left);
    if (!is_left)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        is_left[i] = w->size[i] > 0;
    ramify_status status = list->prepare(list->argument, w->rank, is_left);
    ramify_release(w->context, is_left);
    return status;
}

/* By this process, which keeps nothing. */
static ramify_status run_all(ramify_context *context, const ramify_fit_list *list) {
    if (list->prepare) {
        uint32_t *rank = ramify_allocate_zeroed(context, list->count, sizeof *rank);
        bool *is_left = ramify_allocate(context, list->count, sizeof *is_left);
        ramify_status status = rank && is_left ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
        for (size_t i = 0; status == RAMIFY_OK && i < list->count; i++)
            is_left[i] = true;
        if (status == RAMIFY_OK)
            status = list->prepare(list->argument, rank, is_left);
        ramify_release(context, rank);
        ramify_release(context, is_left);
        RAMIFY_TRY(status);
    }
    return ramify_parallel(context, list->count, list->run, list->argument);
}

bool ramify_fits_are_shared(const ramify_fits *fits, const ramify_context *context) {
    return fits && (fits->folder || (!fits->alone && ramify_cluster_size(context) > 1));
}

ramify_status ramify_fits_run(ramify_fits *fits, ramify_context *context,
                              const ramify_fit_list *list) {
    if (!ramify_fits_are_shared(fits, context))
        return run_all(context, list);
    work w = {.fits = fits, .context = context, .list = list, .ranks = 1};
    if (!fits->alone) {
        w.ranks = ramify_cluster_size(context);
        w.rank_here = ramify_cluster_rank(context);
    }
    w.size = ramify_allocate(context, list->count, sizeof *w.size);
    w.found = ramify_allocate_zeroed(context, list->count, sizeof *w.found);
    w.rank = ramify_allocate(context, list->count, sizeof *w.rank);
    w.own = ramify_allocate(context, list->count, sizeof *w.own);
    w.at = ramify_allocate(context, list->count, sizeof *w.at);
    ramify_status status =
        w.size && w.found && w.rank && w.own && w.at ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < list->count; i++)
        w.size[i] = list->size(list->argument, i);
    if (status == RAMIFY_OK && fits->folder)
        status = take_kept(&w);
    if (status == RAMIFY_OK)
        status = deal(&w);
    if (status == RAMIFY_OK && list->prepare)
        status = prepare(&w);
    if (status == RAMIFY_OK)
        status = ramify_parallel(context, w.own_count, run_own, &w);
    fits->done += w.own_count;
    if (status == RAMIFY_OK)
        status = share(&w);
    ramify_release(context, w.size);
    ramify_release(context, w.found);
    ramify_release(context, w.rank);
    ramify_release(context, w.own);
    ramify_release(context, w.at);
    ramify_release(context, w.packed);
    return status;
}

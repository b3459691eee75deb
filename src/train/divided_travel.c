/* Rows go from where the table's order put them to the rank that owns their subtree. Owners first learn how
 * many are to come of each subtree from each rank, so that in every part rows are put where they belong:
 * in the order of the whole table. */

#include "cluster.h"
#include "divided_work.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <string.h>

/* Rows travel in at least so many parts, and in parts of at most so many bytes of a rank. */
#define PARTS_LEAST     20
#define PART_BYTES_MOST ((size_t)1 << 26)
typedef struct travel {
    ramify_subtrees *all;
    size_t *size; /* 4 x ranks: bytes out, where, bytes in, where */
    uint64_t *out_count,
        *in_count; /* rows of a part: by subtree in the order of owners; by rank and own
                                       subtree */
    size_t *place; /* subtrees: where the next row goes in `out` */
} travel;

/* Rows here from first to end, by subtree; `order` of the counts is that of owners, then of subtrees. */
static void count_part(const travel *t, size_t first, size_t end) {
    const ramify_subtrees *s = t->all;
    memset(t->place, 0, s->count * sizeof *t->place);
    for (size_t i = first; i < end; i++) {
        const uint32_t at = s->at[s->growth->node[i]];
        if (at != RAMIFY_NOWHERE)
            t->place[at]++;
    }
    size_t next = 0;
    for (uint32_t r = 0; r < s->ranks; r++)
        for (uint32_t i = 0; i < s->count; i++)
            if (s->list[i].owner == r)
                t->out_count[next++] = t->place[i];
}

/* Tells owners how many rows of each of their subtrees are to come. */
static ramify_status tell_counts(const travel *t) {
    const ramify_subtrees *s = t->all;
    size_t *out = t->size, *out_at = out + s->ranks, *in = out_at + s->ranks,
           *in_at = in + s->ranks;
    memset(t->size, 0, 4 * (size_t)s->ranks * sizeof *t->size);
    for (uint32_t i = 0; i < s->count; i++)
        out[s->list[i].owner] += sizeof(uint64_t);
    for (uint32_t r = 0; r < s->ranks; r++) {
        out_at[r] = r > 0 ? out_at[r - 1] + out[r - 1] : 0;
        in[r] = s->own_count * sizeof(uint64_t);
        in_at[r] = r * in[r];
    }
    return ramify_cluster_exchange(s->growth->context, t->out_count, out, out_at, t->in_count, in,
                                   in_at);
}

/* Room for the rows of own subtrees, those of lower ranks first. */
static ramify_status make_room(const travel *t) {
    const ramify_subtrees *s = t->all;
    ramify_context *context = s->growth->context;
    for (uint32_t i = 0; i < s->own_count; i++) {
        ramify_subtree *to = &s->list[s->own[i]];
        to->packed = ramify_allocate(context, to->rows, s->growth->divided->width * sizeof(float));
        to->next = ramify_allocate(context, s->ranks, sizeof *to->next);
        if (!to->packed || !to->next)
            return RAMIFY_ERROR_MEMORY;
        size_t next = 0;
        for (uint32_t r = 0; r < s->ranks; r++) {
            to->next[r] = next;
            next += t->in_count[(size_t)r * s->own_count + i];
        }
    }
    return RAMIFY_OK;
}

/* Lays rows out by owner and subtree. */
static void fill_parcels(const travel *t, size_t first, size_t end, float *out) {
    const ramify_subtrees *s = t->all;
    const ramify_divided *d = s->growth->divided;
    size_t next = 0, entry = 0;
    for (uint32_t r = 0; r < s->ranks; r++)
        for (uint32_t i = 0; i < s->count; i++)
            if (s->list[i].owner == r) {
                t->place[i] = next;
                next += t->out_count[entry++];
            }
    for (size_t i = first; i < end; i++) {
        const uint32_t at = s->at[s->growth->node[i]];
        if (at != RAMIFY_NOWHERE)
            memcpy(out + t->place[at]++ * d->width, ramify_divided_row(d, i),
                   d->width * sizeof *out);
    }
}

static void take_parcels(const travel *t, const float *in) {
    const ramify_subtrees *s = t->all;
    const size_t width = s->growth->divided->width;
    for (uint32_t r = 0; r < s->ranks; r++)
        for (uint32_t i = 0; i < s->own_count; i++) {
            ramify_subtree *to = &s->list[s->own[i]];
            const size_t count = t->in_count[(size_t)r * s->own_count + i];
            memcpy(to->packed + to->next[r] * width, in, count * width * sizeof *in);
            to->next[r] += count;
            in += count * width;
        }
}

/* Frees the pieces of which all rows have been sent. */
static void free_sent(ramify_divided *d, size_t sent) {
    for (size_t i = 0; i < d->pieces; i++)
        if (d->packed[i] && ((i + 1) * RAMIFY_DIVIDED_PIECE <= sent || sent >= d->rows)) {
            ramify_release(d->context, d->packed[i]);
            d->packed[i] = NULL;
        }
}

static ramify_status send_part(const travel *t, size_t first, size_t end) {
    const ramify_subtrees *s = t->all;
    ramify_context *context = s->growth->context;
    const size_t bytes = s->growth->divided->width * sizeof(float);
    count_part(t, first, end);
    RAMIFY_TRY(tell_counts(t));
    size_t *out = t->size, *out_at = out + s->ranks, *in = out_at + s->ranks,
           *in_at = in + s->ranks, entry = 0, out_rows = 0, in_rows = 0;
    for (uint32_t r = 0; r < s->ranks; r++) {
        out_at[r] = out_rows * bytes;
        in_at[r] = in_rows * bytes;
        for (uint32_t i = 0; i < s->count; i++)
            if (s->list[i].owner == r)
                out_rows += t->out_count[entry++];
        for (uint32_t i = 0; i < s->own_count; i++)
            in_rows += t->in_count[(size_t)r * s->own_count + i];
        out[r] = out_rows * bytes - out_at[r];
        in[r] = in_rows * bytes - in_at[r];
    }
    float *send = ramify_allocate(context, out_rows, bytes);
    float *receive = ramify_allocate(context, in_rows, bytes);
    ramify_status status = send && receive ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        fill_parcels(t, first, end, send);
        free_sent(s->growth->divided, end);
        status = ramify_cluster_exchange(context, send, out, out_at, receive, in, in_at);
    }
    if (status == RAMIFY_OK)
        take_parcels(t, receive);
    ramify_release(context, send);
    ramify_release(context, receive);
    return status;
}

/* Parts in which the rows of every rank travel: of the rank that has most. */
static ramify_status count_parts(const ramify_subtrees *s, uint64_t *parts) {
    const ramify_divided *d = s->growth->divided;
    const uint64_t own = d->rows * d->width * sizeof(float);
    uint64_t *bytes = ramify_allocate(s->growth->context, s->ranks, sizeof *bytes);
    if (!bytes)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_cluster_gather(s->growth->context, &own, sizeof own, bytes);
    *parts = PARTS_LEAST;
    for (uint32_t r = 0; status == RAMIFY_OK && r < s->ranks; r++)
        if (bytes[r] / PART_BYTES_MOST + 1 > *parts)
            *parts = bytes[r] / PART_BYTES_MOST + 1;
    ramify_release(s->growth->context, bytes);
    return status;
}

ramify_status ramify_divided_travel(ramify_subtrees *s) {
    ramify_context *context = s->growth->context;
    const size_t rows = s->growth->divided->rows;
    travel t = {.all = s};
    uint64_t parts = 0;
    t.size = ramify_allocate(context, 4 * (size_t)s->ranks, sizeof *t.size);
    t.out_count = ramify_allocate(context, s->count, sizeof *t.out_count);
    t.in_count = ramify_allocate(context, (size_t)s->own_count * s->ranks, sizeof *t.in_count);
    t.place = ramify_allocate(context, s->count, sizeof *t.place);
    ramify_status status =
        t.size && t.out_count && t.in_count && t.place ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    ramify_cluster_phase(context, "rows to their subtrees");
    if (status == RAMIFY_OK)
        status = count_parts(s, &parts);
    if (status == RAMIFY_OK) {
        count_part(&t, 0, rows);
        status = tell_counts(&t);
    }
    if (status == RAMIFY_OK)
        status = make_room(&t);
    for (uint64_t p = 0; status == RAMIFY_OK && p < parts; p++) {
        status = send_part(&t, (size_t)(rows * p / parts), (size_t)(rows * (p + 1) / parts));
        ramify_progress_report(context, "rows to their subtrees", (double)p + 1, (double)parts);
    }
    ramify_release(context, t.size);
    ramify_release(context, t.out_count);
    ramify_release(context, t.in_count);
    ramify_release(context, t.place);
    return status;
}

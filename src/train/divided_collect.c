/* Rows of nodes are chosen where they are, laid side by side by who receives them, and sent in one
 * exchange. Ranks hold ranges of the table in their order, so that what comes from them one after the
 * other is in the table's order again. */

#include "cluster.h"
#include "divided_parts.h"
#include "memory.h"
#include "status.h"

#include <string.h>

typedef struct collecting {
    const ramify_divided_growth *growth;
    const uint32_t *slot, *owner;
    const double *share;
    uint32_t slots, ranks, rank;
    uint64_t *count; /* ranks x slots: rows that each rank has chosen of each slot */
    uint32_t *order; /* slots: by owner, then by number */
    size_t *place;   /* slots: where the next row goes in `out` */
    float *out;      /* rows chosen here */
    size_t *out_size, *out_at, *in_size, *in_at; /* ranks: bytes */
} collecting;

/* The slot that a row is chosen for, or RAMIFY_NOWHERE. */
static uint32_t slot_of(const collecting *c, size_t row, const float *packed) {
    const ramify_divided *d = c->growth->divided;
    const uint32_t slot = c->slot[c->growth->node[row]];
    if (slot == RAMIFY_NOWHERE || c->owner[slot] == RAMIFY_NOWHERE)
        return RAMIFY_NOWHERE;
    const double share = c->share[slot * RAMIFY_ROLES + ramify_packed_role(d, packed)];
    return ramify_packed_in_share(d, packed, share) ? slot : RAMIFY_NOWHERE;
}

static ramify_status choose(collecting *c) {
    const ramify_divided *d = c->growth->divided;
    uint64_t *own = c->count + (size_t)c->rank * c->slots;
    for (size_t i = 0; i < d->rows; i++) {
        const uint32_t slot = slot_of(c, i, ramify_divided_row(d, i));
        if (slot != RAMIFY_NOWHERE)
            own[slot]++;
    }
    uint64_t *mine = ramify_allocate(c->growth->context, c->slots, sizeof *mine);
    if (!mine)
        return RAMIFY_ERROR_MEMORY;
    memcpy(mine, own, c->slots * sizeof *mine);
    ramify_status status =
        ramify_cluster_gather(c->growth->context, mine, c->slots * sizeof *mine, c->count);
    ramify_release(c->growth->context, mine);
    return status;
}

/* Slots in the order in which they are sent: by who receives them. */
static void order_slots(collecting *c) {
    uint32_t next = 0;
    for (uint32_t rank = 0; rank < c->ranks; rank++)
        for (uint32_t s = 0; s < c->slots; s++)
            if (c->owner[s] == rank)
                c->order[next++] = s;
    for (uint32_t s = 0; s < c->slots; s++)
        if (c->owner[s] == RAMIFY_NOWHERE)
            c->order[next++] = s;
}

static ramify_status lay_out(collecting *c) {
    const ramify_divided *d = c->growth->divided;
    const uint64_t *own = c->count + (size_t)c->rank * c->slots;
    size_t rows = 0;
    for (uint32_t i = 0; i < c->slots; i++) {
        c->place[c->order[i]] = rows;
        rows += own[c->order[i]];
    }
    c->out = ramify_allocate(c->growth->context, rows, d->width * sizeof(float));
    if (!c->out)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < d->rows; i++) {
        const float *row = ramify_divided_row(d, i);
        const uint32_t slot = slot_of(c, i, row);
        if (slot != RAMIFY_NOWHERE)
            memcpy(c->out + c->place[slot]++ * d->width, row, d->width * sizeof *row);
    }
    return RAMIFY_OK;
}

static bool comes_here(const collecting *c, uint32_t slot) {
    return c->owner[slot] == c->rank;
}

/* What has come, rank after rank, to its slots. */
static ramify_status sort_in(const collecting *c, const char *in, const size_t *at,
                             ramify_collected *collected) {
    const ramify_divided *d = c->growth->divided;
    const size_t bytes = d->width * sizeof(float);
    size_t rows = 0;
    for (uint32_t s = 0; s < c->slots; s++) {
        collected->first[s] = rows;
        for (uint32_t r = 0; r < c->ranks && comes_here(c, s); r++)
            rows += c->count[(size_t)r * c->slots + s];
    }
    collected->first[c->slots] = rows;
    collected->rows = ramify_allocate(c->growth->context, rows, bytes);
    if (!collected->rows)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t s = 0; s < c->slots; s++)
        c->place[s] = collected->first[s];
    for (uint32_t r = 0; r < c->ranks; r++) {
        const char *from = in + at[r];
        for (uint32_t i = 0; i < c->slots; i++) {
            const uint32_t s = c->order[i];
            if (!comes_here(c, s))
                continue;
            const size_t count = c->count[(size_t)r * c->slots + s];
            memcpy(collected->rows + c->place[s] * d->width, from, count * bytes);
            c->place[s] += count;
            from += count * bytes;
        }
    }
    return RAMIFY_OK;
}

/* Bytes to and from every rank. */
static void measure_parcels(const collecting *c) {
    const size_t bytes = c->growth->divided->width * sizeof(float);
    size_t out = 0, in = 0;
    for (uint32_t r = 0; r < c->ranks; r++) {
        c->out_size[r] = c->in_size[r] = 0;
        for (uint32_t s = 0; s < c->slots; s++) {
            if (c->owner[s] == r)
                c->out_size[r] += c->count[(size_t)c->rank * c->slots + s] * bytes;
            if (c->owner[s] == c->rank)
                c->in_size[r] += c->count[(size_t)r * c->slots + s] * bytes;
        }
        c->out_at[r] = out;
        c->in_at[r] = in;
        out += c->out_size[r];
        in += c->in_size[r];
    }
}

static ramify_status send(collecting *c, ramify_collected *collected) {
    ramify_context *context = c->growth->context;
    measure_parcels(c);
    char *in = ramify_allocate(context, c->in_at[c->ranks - 1] + c->in_size[c->ranks - 1], 1);
    if (!in)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status =
        ramify_cluster_exchange(context, c->out, c->out_size, c->out_at, in, c->in_size, c->in_at);
    ramify_release(context, c->out);
    c->out = NULL;
    if (status == RAMIFY_OK)
        status = sort_in(c, in, c->in_at, collected);
    ramify_release(context, in);
    return status;
}

ramify_status ramify_divided_collect(const ramify_divided_growth *growth, const uint32_t *slot,
                                     uint32_t slots, const double *share, const uint32_t *owner,
                                     ramify_collected *collected) {
    ramify_context *context = growth->context;
    collecting c = {.growth = growth,
                    .slot = slot,
                    .owner = owner,
                    .share = share,
                    .slots = slots,
                    .ranks = ramify_cluster_size(context),
                    .rank = ramify_cluster_rank(context)};
    *collected = (ramify_collected){0};
    c.count = ramify_allocate_zeroed(context, (size_t)c.ranks * slots, sizeof *c.count);
    c.order = ramify_allocate(context, slots, sizeof *c.order);
    c.place = ramify_allocate(context, slots, sizeof *c.place);
    c.out_size = ramify_allocate(context, 4 * ((size_t)c.ranks + 1), sizeof *c.out_size);
    collected->first = ramify_allocate(context, (size_t)slots + 1, sizeof *collected->first);
    ramify_status status = c.count && c.order && c.place && c.out_size && collected->first
                               ? RAMIFY_OK
                               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        c.out_at = c.out_size + c.ranks + 1;
        c.in_size = c.out_at + c.ranks + 1;
        c.in_at = c.in_size + c.ranks + 1;
        status = choose(&c);
    }
    if (status == RAMIFY_OK) {
        order_slots(&c);
        status = lay_out(&c);
    }
    if (status == RAMIFY_OK)
        status = send(&c, collected);
    ramify_release(context, c.count);
    ramify_release(context, c.order);
    ramify_release(context, c.place);
    ramify_release(context, c.out_size);
    ramify_release(context, c.out);
    if (status != RAMIFY_OK)
        ramify_collected_clear(context, collected);
    return status;
}

void ramify_collected_clear(ramify_context *context, ramify_collected *collected) {
    ramify_release(context, collected->rows);
    ramify_release(context, collected->first);
    *collected = (ramify_collected){0};
}

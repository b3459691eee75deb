/* Steps 1 to 3 of a block (dispatch.c): rows find their experts, and go to who owns these. */

#include "blend.h"
#include "cluster.h"
#include "dispatch_parts.h"
#include "memory.h"
#include "predict_table.h"
#include "progress.h"
#include "status.h"

/* A pure function of the model and the number of ranks. */
static uint32_t owner_of(const ramify_dispatch *d, const ramify_reference *reference) {
    uint64_t bytes = d->model->experts.bytes;
    if (bytes > UINT64_MAX / d->ranks)
        return (uint32_t)(reference->offset / (bytes / d->ranks + 1));
    return (uint32_t)(reference->offset * d->ranks / bytes);
}

/* ---- 1. route ---- */

/* Groups of a piece whose every row has one expert. */
static void list_leaves(ramify_dispatch *d, const ramify_predictor *p, size_t task) {
    size_t first = task * d->piece;
    for (size_t i = 0; i < p->leaf_count; i++) {
        const ramify_row_group *leaf = &p->leaves[i];
        d->groups[first + i] = (ramify_sent_group){.reference = leaf->reference,
                                                   .first = (uint32_t)(first + leaf->start),
                                                   .count = leaf->count};
        for (uint32_t k = 0; k < leaf->count; k++)
            d->item_row[first + leaf->start + k] = (uint32_t)(first + p->order[leaf->start + k]);
    }
    d->group_counts[task] = (uint32_t)p->leaf_count;
}

/* Groups of a piece whose rows have several experts: shares, which are ordered by expert. */
static void list_shares(ramify_dispatch *d, const ramify_predictor *p, size_t task) {
    size_t first = task * d->piece, item = first * d->most, made = 0;
    for (size_t i = 0; i < p->share_count; i++) {
        const ramify_share *share = &p->shares[i];
        d->item_row[item + i] = (uint32_t)(first + share->row);
        d->item_weight[item + i] = share->weight;
        if (i == 0 || share->reference.offset != share[-1].reference.offset)
            d->groups[item + made++] =
                (ramify_sent_group){.reference = share->reference, .first = (uint32_t)(item + i)};
        d->groups[item + made - 1].count++;
    }
    d->group_counts[task] = (uint32_t)made;
}

static void keep_rows(ramify_dispatch *d, const ramify_dispatch_worker *w, size_t first,
                      size_t count) {
    const ramify_predictor *p = w->predictor;
    unsigned char *to = d->rows + first * d->width;
    if (d->sends_raw || p->ldp * sizeof(float) == d->width) {
        memcpy(to, d->sends_raw ? (const void *)w->raw : (const void *)p->plain, count * d->width);
        return;
    }
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * d->width, p->plain + i * p->ldp, d->width);
}

/* Task */
ramify_status ramify_dispatch_route(void *argument, size_t task, uint32_t number) {
    ramify_dispatch *d = argument;
    ramify_dispatch_worker *w = &d->workers[number];
    size_t columns = d->model->schema->column_count, first = task * d->piece;
    size_t count = ramify_smaller(d->count - first, d->piece);
    if (ramify_cancelled(d->context))
        return ramify_fail(d->context, RAMIFY_STOPPED, "stopped");
    ramify_match_rows(d->match, NULL, d->first + first, count, w->raw);
    ramify_count_outside(d->model, w->raw, count, w->outside);
    if (d->most > 1) {
        RAMIFY_TRY(ramify_predictor_find_shares(w->predictor, count, w->raw, columns));
        list_shares(d, w->predictor, task);
    } else {
        ramify_predictor_encode(w->predictor, count, w->raw, columns, false);
        RAMIFY_TRY(ramify_predictor_route(w->predictor, count));
        list_leaves(d, w->predictor, task);
    }
    keep_rows(d, w, first, count);
    return RAMIFY_OK;
}

/* ---- 2. sort ---- */

/* A radix sort of places by offset, lowest bytes first, that skips bytes which all share. What lies at
 * one offset keeps its order. */
void ramify_dispatch_sort(ramify_sent_place **places, ramify_sent_place **spare, size_t count) {
    uint64_t differ = 0;
    for (size_t i = 1; i < count; i++)
        differ |= (*places)[i].offset ^ (*places)[0].offset;
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 255))
            continue;
        size_t start[257] = {0};
        for (size_t i = 0; i < count; i++)
            start[1 + ((*places)[i].offset >> shift & 255)]++;
        for (size_t digit = 0; digit < 256; digit++)
            start[digit + 1] += start[digit];
        for (size_t i = 0; i < count; i++)
            (*spare)[start[(*places)[i].offset >> shift & 255]++] = (*places)[i];
        ramify_sent_place *sorted = *spare;
        *spare = *places;
        *places = sorted;
    }
}

ramify_status ramify_dispatch_take_places(ramify_dispatch *d, size_t count) {
    size_t room = d->places_room;
    RAMIFY_TRY(ramify_dispatch_room(d->context, &d->places, &room, count, sizeof *d->places));
    return ramify_dispatch_room(d->context, &d->places_sorted, &d->places_room, count,
                                sizeof *d->places);
}

/* Orders the block's groups and counts what each owner gets. */
ramify_status ramify_dispatch_sort_groups(ramify_dispatch *d, size_t pieces) {
    d->group_count = 0;
    for (size_t t = 0; t < pieces; t++)
        d->group_count += d->group_counts[t];
    RAMIFY_TRY(ramify_dispatch_take_places(d, d->group_count));
    size_t made = 0;
    for (size_t t = 0; t < pieces; t++)
        for (uint32_t g = 0; g < d->group_counts[t]; g++) {
            size_t index = t * d->piece * d->most + g;
            d->places[made++] = (ramify_sent_place){.offset = d->groups[index].reference.offset,
                                                    .index = (uint32_t)index};
        }
    ramify_dispatch_sort(&d->places, &d->places_sorted, made);
    memset(d->to, 0, d->ranks * sizeof *d->to);
    size_t item = 0;
    for (size_t i = 0; i < made; i++) {
        ramify_sent_place *at = &d->places[i];
        const ramify_sent_group *g = &d->groups[at->index];
        ramify_sent_bundle *to = &d->to[owner_of(d, &g->reference)];
        if (to->items == 0)
            to->item = item;
        to->headers += i == 0 || at->offset != at[-1].offset;
        to->items += g->count;
        at->item = (uint32_t)item;
        item += g->count;
    }
    d->item_count = item;
    return RAMIFY_OK;
}

/* ---- 3. send ---- */

static size_t bundle_bytes(const ramify_dispatch *d, const ramify_sent_bundle *b) {
    return (size_t)ramify_align(b->headers * sizeof(ramify_sent_header) + b->items * d->width);
}

size_t ramify_dispatch_place(const ramify_dispatch *d, ramify_sent_bundle *bundles, bool all) {
    size_t offset = 0;
    for (uint32_t r = 0; r < d->ranks; r++) {
        bundles[r].offset = offset;
        if (all || r != d->rank)
            offset += bundle_bytes(d, &bundles[r]);
    }
    return offset;
}

void ramify_dispatch_headers(ramify_dispatch *d) {
    for (uint32_t r = 0; r < d->ranks; r++) { /* what pads a bundle leaves the process, too */
        size_t used = d->to[r].headers * sizeof(ramify_sent_header) + d->to[r].items * d->width;
        memset(d->out + d->to[r].offset + used, 0, bundle_bytes(d, &d->to[r]) - used);
    }
    size_t made[2] = {0, 0}; /* of the owner that is being written for; that owner */
    for (size_t i = 0; i < d->group_count; i++) {
        const ramify_sent_place *at = &d->places[i];
        const ramify_sent_group *g = &d->groups[at->index];
        uint32_t owner = owner_of(d, &g->reference);
        if (i == 0 || owner != made[1]) {
            made[0] = 0;
            made[1] = owner;
        }
        ramify_sent_header *headers = (ramify_sent_header *)(d->out + d->to[owner].offset);
        if (i == 0 || at->offset != at[-1].offset)
            headers[made[0]++] = (ramify_sent_header){.reference = g->reference};
        headers[made[0] - 1].count += g->count;
    }
}

/* Task: the items of some groups go to their place in what is sent. */
ramify_status ramify_dispatch_send(void *argument, size_t task, uint32_t number) {
    (void)number;
    ramify_dispatch *d = argument;
    size_t first = task * TASK_GROUPS, end = ramify_smaller(first + TASK_GROUPS, d->group_count);
    for (size_t i = first; i < end; i++) {
        const ramify_sent_place *at = &d->places[i];
        const ramify_sent_group *g = &d->groups[at->index];
        const ramify_sent_bundle *to = &d->to[owner_of(d, &g->reference)];
        unsigned char *rows = d->out + to->offset + to->headers * sizeof(ramify_sent_header) +
                              (at->item - to->item) * d->width;
        for (uint32_t k = 0; k < g->count; k++) {
            uint32_t row = d->item_row[g->first + k];
            memcpy(rows + k * d->width, d->rows + row * d->width, d->width);
            d->sent_row[at->item + k] = row;
            if (d->sent_weight)
                d->sent_weight[at->item + k] = d->item_weight[g->first + k];
        }
    }
    return RAMIFY_OK;
}

/* What all ranks send to all: counts[sender x ranks x 2]. */
static ramify_status tell_counts(ramify_dispatch *d) {
    size_t ranks = d->ranks;
    uint64_t *own = ramify_allocate(d->context, 2 * ranks, sizeof *own);
    if (!own)
        return RAMIFY_ERROR_MEMORY;
    for (size_t r = 0; r < ranks; r++) {
        own[2 * r] = d->to[r].headers;
        own[2 * r + 1] = d->to[r].items;
    }
    ramify_status status =
        ramify_cluster_gather(d->context, own, 2 * ranks * sizeof *own, d->counts);
    ramify_release(d->context, own);
    size_t item = 0;
    for (size_t r = 0; status == RAMIFY_OK && r < ranks; r++) {
        const uint64_t *of = d->counts + (r * ranks + d->rank) * 2;
        d->from[r] =
            (ramify_sent_bundle){.headers = (size_t)of[0], .items = (size_t)of[1], .item = item};
        item += r == d->rank ? 0 : d->from[r].items;
    }
    return status;
}

ramify_status ramify_dispatch_exchange(ramify_dispatch *d) {
    ramify_cluster_phase(d->context, "rows to experts");
    RAMIFY_TRY(tell_counts(d));
    RAMIFY_TRY(ramify_dispatch_room(d->context, &d->in, &d->in_room,
                                    ramify_dispatch_place(d, d->from, false), 1));
    for (uint32_t r = 0; r < d->ranks; r++) {
        bool own = r == d->rank;
        d->out_offset[r] = d->to[r].offset;
        d->out_size[r] = own ? 0 : bundle_bytes(d, &d->to[r]);
        d->in_offset[r] = d->from[r].offset;
        d->in_size[r] = own ? 0 : bundle_bytes(d, &d->from[r]);
    }
    return ramify_cluster_exchange(d->context, d->out, d->out_size, d->out_offset, d->in,
                                   d->in_size, d->in_offset);
}

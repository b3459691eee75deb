/* A block of rows, on the rank that has them and on the ranks that own their experts:
 *
 *   1. route    pieces of rows go down the tree; rows of a piece that reach one module are a *group*
 *   2. sort     groups by the module's place in the file: whose it is only grows along them
 *   3. send     to each owner a list of experts, then their rows side by side
 *   4. answer   owners run each expert on the rows of one sender after the other's
 *   5. return   answers come back in the order in which rows were sent, and go to their rows
 *
 * Own rows take the same way, without leaving their place in the block that is sent. */

#include "dispatch.h"
#include "blend.h"
#include "cluster.h"
#include "memory.h"
#include "predict_table.h"
#include "progress.h"
#include "status.h"
#include "threads.h"

#include <string.h>

/* Rows of a piece, as in predict_table.c. */
#define PIECE_ROWS 1024

/* What is under way between all ranks at once: enough that meetings are few and every expert's rows fill
 * its kernels' blocks, and no more than the processors' last cache holds. */
#define BLOCK_BYTES ((size_t)32 << 20)
/* A block's share of a table, at most. */
#define BLOCK_SHARE 20

/* An engine counts in 2^30 bytes; headers of experts come on top of rows. */
#define SENT_BYTES_MAX ((size_t)1 << 29)

/* One expert's rows, as sent: first all headers, then all rows. */
typedef struct header {
    ramify_reference reference;
    uint32_t count; /* rows */
    uint32_t reserved[7];
} header;

_Static_assert(sizeof(header) == 64, "headers keep rows aligned");

/* Items (rows, each once for every expert) of a piece that have reached one module. */
typedef struct group {
    ramify_reference reference;
    uint32_t first, count; /* items of the block, in the order of pieces */
} group;

/* Something to be ordered by place in the file. */
typedef struct place {
    uint64_t offset;
    uint32_t index; /* of a group or a part */
    uint32_t item;  /* of a group: where its first item comes in that order */
} place;

/* Rows of one expert that came from one rank, no more than a predictor takes at once. */
typedef struct part {
    ramify_reference reference;
    const unsigned char *rows;
    unsigned char *answers;
    uint32_t count;
} part;

typedef struct worker {
    ramify_predictor *predictor;
    double *raw;       /* piece x columns */
    uint64_t *outside; /* columns */
} worker;

/* What goes to or comes from one rank. */
typedef struct bundle {
    size_t headers, items;
    size_t item;   /* number of its first item among those of all ranks */
    size_t offset; /* of its bytes */
} bundle;

struct ramify_dispatch {
    ramify_context *context;
    ramify_model *model;
    uint32_t rank, ranks;
    bool divides;
    bool sends_raw;            /* raw rows rather than plain features */
    bool sums;                 /* there are series: answers are float64, and final */
    size_t width;              /* bytes of a row that is sent */
    size_t answer_bytes;       /* of an item */
    size_t piece, block, most; /* rows of a piece, of a block; items of a row */
    uint64_t *outside;         /* columns: of calls that are over */

    worker *workers;
    uint32_t worker_count;

    unsigned char *rows;    /* block x width, in their order */
    uint32_t *item_row;     /* block x most: rows of items, piece after piece */
    double *item_weight;    /* the same: their weights, with several experts per row; else NULL */
    group *groups;          /* the same: groups, piece after piece */
    uint32_t *group_counts; /* pieces of a block */
    uint32_t *sent_row;     /* block x most: rows of items as they are sent */
    double *sent_weight;    /* likewise, or NULL */

    /* Grown as blocks need it */
    place *places, *places_sorted;
    size_t places_room;
    part *parts;
    size_t parts_room;
    unsigned char *out, *in; /* bundles for owners, bundles of others */
    size_t out_room, in_room;
    unsigned char *answers, *back; /* for others; of owners, in the order of sent_row */
    size_t answers_room, back_room;

    bundle *to, *from;                                   /* ranks */
    uint64_t *counts;                                    /* ranks x ranks x 2 */
    size_t *out_size, *out_offset, *in_size, *in_offset; /* ranks */

    /* The block that is under way */
    const ramify_match *match;
    size_t first, count, part_count, group_count, item_count;
    ramify_wanted wanted;
};

bool ramify_dispatch_divides(const ramify_context *context, const ramify_model *model) {
    uint32_t ranks = ramify_cluster_size(context);
    return ranks > 1 && !ramify_model_paraformer(model) && model->limits.modules >= ranks;
}

/* A pure function of the model and the number of ranks. */
static uint32_t owner_of(const ramify_dispatch *d, const ramify_reference *reference) {
    uint64_t bytes = d->model->experts.bytes;
    if (bytes > UINT64_MAX / d->ranks)
        return (uint32_t)(reference->offset / (bytes / d->ranks + 1));
    return (uint32_t)(reference->offset * d->ranks / bytes);
}

/* ---- memory ---- */

static ramify_status take_room(ramify_context *context, void *memory, size_t *room, size_t count,
                               size_t size) {
    void **block = memory;
    if (count <= *room && *block)
        return RAMIFY_OK;
    size_t larger = count + count / 4;
    ramify_release(context, *block);
    *room = 0;
    *block = ramify_allocate(context, larger, size);
    if (!*block)
        return RAMIFY_ERROR_MEMORY;
    *room = larger;
    return RAMIFY_OK;
}

static ramify_status start_workers(ramify_dispatch *d) {
    ramify_context *context = d->context;
    size_t columns = d->model->schema->column_count;
    d->worker_count =
        ramify_predict_workers(context, d->model, (d->block + PIECE_ROWS - 1) / PIECE_ROWS);
    d->workers = ramify_allocate_zeroed(context, d->worker_count, sizeof *d->workers);
    if (!d->workers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < d->worker_count; i++) {
        worker *w = &d->workers[i];
        RAMIFY_TRY(ramify_predictor_create_inside(
            context, d->model, ramify_smaller(d->block, PIECE_ROWS), &w->predictor));
        d->piece = w->predictor->rows; /* the same for all */
        w->raw = ramify_allocate(context, d->piece * columns, sizeof *w->raw);
        w->outside = ramify_allocate_zeroed(context, columns, sizeof *w->outside);
        if (!w->raw || !w->outside)
            return RAMIFY_ERROR_MEMORY;
    }
    return RAMIFY_OK;
}

static ramify_status take_block(ramify_dispatch *d) {
    ramify_context *context = d->context;
    size_t items = d->block * d->most, ranks = d->ranks;
    d->rows = ramify_allocate(context, d->block, d->width);
    d->item_row = ramify_allocate(context, items, sizeof *d->item_row);
    d->sent_row = ramify_allocate(context, items, sizeof *d->sent_row);
    d->groups = ramify_allocate(context, items, sizeof *d->groups);
    d->group_counts = ramify_allocate(context, d->block / d->piece + 1, sizeof *d->group_counts);
    if (d->most > 1) {
        d->item_weight = ramify_allocate(context, items, sizeof *d->item_weight);
        d->sent_weight = ramify_allocate(context, items, sizeof *d->sent_weight);
    }
    d->to = ramify_allocate(context, 2 * ranks, sizeof *d->to);
    d->counts = ramify_allocate(context, 2 * ranks * ranks, sizeof *d->counts);
    d->out_size = ramify_allocate(context, 4 * ranks, sizeof *d->out_size);
    if (!d->rows || !d->item_row || !d->sent_row || !d->groups || !d->group_counts || !d->to ||
        !d->counts || !d->out_size || (d->most > 1 && (!d->item_weight || !d->sent_weight)))
        return RAMIFY_ERROR_MEMORY;
    d->from = d->to + ranks;
    d->out_offset = d->out_size + ranks;
    d->in_size = d->out_size + 2 * ranks;
    d->in_offset = d->out_size + 3 * ranks;
    return RAMIFY_OK;
}

/* Rows of a block, of one rank. */
static size_t size_block(const ramify_dispatch *d, uint64_t rows) {
    size_t each = d->most * (d->width + d->answer_bytes);
    size_t block = BLOCK_BYTES / d->ranks / each;
    block = ramify_smaller(block, SENT_BYTES_MAX / d->ranks / (each + d->most * sizeof(header)));
    if (rows > 0 && block > rows / BLOCK_SHARE / d->ranks)
        block = (size_t)(rows / BLOCK_SHARE / d->ranks);
    return block > PIECE_ROWS ? block / PIECE_ROWS * PIECE_ROWS : PIECE_ROWS;
}

static ramify_status create(ramify_dispatch *d, uint64_t rows) {
    const ramify_model *model = d->model;
    size_t columns = model->schema->column_count;
    d->outside = ramify_allocate_zeroed(d->context, columns, sizeof *d->outside);
    if (!d->outside)
        return RAMIFY_ERROR_MEMORY;
    d->sums = ramify_model_series(model) != NULL;
    size_t plain = model->stem.plain * sizeof(float), raw = columns * sizeof(double);
    d->sends_raw = d->sums || raw < plain;
    d->width = d->sends_raw ? raw : plain;
    d->answer_bytes = model->outputs * (d->sums ? sizeof(double) : sizeof(float));
    d->most = model->top_k > 1 && model->limits.arity > 0 ? model->top_k : 1;
    d->block = size_block(d, rows);
    if (!d->divides)
        return RAMIFY_OK;
    RAMIFY_TRY(start_workers(d));
    return take_block(d);
}

ramify_status ramify_dispatch_create(ramify_context *context, ramify_model *model, uint64_t rows,
                                     ramify_dispatch **dispatch) {
    ramify_dispatch *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->model = model;
    made->rank = ramify_cluster_rank(context);
    made->ranks = ramify_cluster_size(context);
    made->divides = ramify_dispatch_divides(context, model);
    ramify_status status = create(made, rows);
    if (status == RAMIFY_OK)
        *dispatch = made;
    else
        ramify_dispatch_destroy(&made);
    return status;
}

void ramify_dispatch_destroy(ramify_dispatch **dispatch) {
    if (!dispatch || !*dispatch)
        return;
    ramify_dispatch *d = *dispatch;
    ramify_context *context = d->context;
    *dispatch = NULL;
    for (uint32_t i = 0; d->workers && i < d->worker_count; i++) {
        ramify_predictor_destroy(&d->workers[i].predictor);
        ramify_release(context, d->workers[i].raw);
        ramify_release(context, d->workers[i].outside);
    }
    void *const blocks[] = {d->workers,     d->outside, d->rows,          d->item_row,
                            d->item_weight, d->groups,  d->group_counts,  d->sent_row,
                            d->sent_weight, d->places,  d->places_sorted, d->parts,
                            d->out,         d->in,      d->answers,       d->back,
                            d->to,          d->counts,  d->out_size};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        ramify_release(context, blocks[i]);
    ramify_release(context, d);
}

size_t ramify_dispatch_block(const ramify_dispatch *dispatch) {
    return dispatch->block;
}

/* ---- 1. route ---- */

/* Groups of a piece whose every row has one expert. */
static void list_leaves(ramify_dispatch *d, const ramify_predictor *p, size_t task) {
    size_t first = task * d->piece;
    for (size_t i = 0; i < p->leaf_count; i++) {
        const ramify_row_group *leaf = &p->leaves[i];
        d->groups[first + i] = (group){.reference = leaf->reference,
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
                (group){.reference = share->reference, .first = (uint32_t)(item + i)};
        d->groups[item + made - 1].count++;
    }
    d->group_counts[task] = (uint32_t)made;
}

static void keep_rows(ramify_dispatch *d, const worker *w, size_t first, size_t count) {
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
static ramify_status route_piece(void *argument, size_t task, uint32_t number) {
    ramify_dispatch *d = argument;
    worker *w = &d->workers[number];
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
static void sort_places(place **places, place **spare, size_t count) {
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
        place *sorted = *spare;
        *spare = *places;
        *places = sorted;
    }
}

static ramify_status take_places(ramify_dispatch *d, size_t count) {
    size_t room = d->places_room;
    RAMIFY_TRY(take_room(d->context, &d->places, &room, count, sizeof *d->places));
    return take_room(d->context, &d->places_sorted, &d->places_room, count, sizeof *d->places);
}

/* Orders the block's groups and counts what each owner gets. */
static ramify_status sort_groups(ramify_dispatch *d, size_t pieces) {
    d->group_count = 0;
    for (size_t t = 0; t < pieces; t++)
        d->group_count += d->group_counts[t];
    RAMIFY_TRY(take_places(d, d->group_count));
    size_t made = 0;
    for (size_t t = 0; t < pieces; t++)
        for (uint32_t g = 0; g < d->group_counts[t]; g++) {
            size_t index = t * d->piece * d->most + g;
            d->places[made++] =
                (place){.offset = d->groups[index].reference.offset, .index = (uint32_t)index};
        }
    sort_places(&d->places, &d->places_sorted, made);
    memset(d->to, 0, d->ranks * sizeof *d->to);
    size_t item = 0;
    for (size_t i = 0; i < made; i++) {
        place *at = &d->places[i];
        const group *g = &d->groups[at->index];
        bundle *to = &d->to[owner_of(d, &g->reference)];
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

static size_t bundle_bytes(const ramify_dispatch *d, const bundle *b) {
    return (size_t)ramify_align(b->headers * sizeof(header) + b->items * d->width);
}

static size_t place_bundles(const ramify_dispatch *d, bundle *bundles, bool all) {
    size_t offset = 0;
    for (uint32_t r = 0; r < d->ranks; r++) {
        bundles[r].offset = offset;
        if (all || r != d->rank)
            offset += bundle_bytes(d, &bundles[r]);
    }
    return offset;
}

static void write_headers(ramify_dispatch *d) {
    for (uint32_t r = 0; r < d->ranks; r++) { /* what pads a bundle leaves the process, too */
        size_t used = d->to[r].headers * sizeof(header) + d->to[r].items * d->width;
        memset(d->out + d->to[r].offset + used, 0, bundle_bytes(d, &d->to[r]) - used);
    }
    size_t made[2] = {0, 0}; /* of the owner that is being written for; that owner */
    for (size_t i = 0; i < d->group_count; i++) {
        const place *at = &d->places[i];
        const group *g = &d->groups[at->index];
        uint32_t owner = owner_of(d, &g->reference);
        if (i == 0 || owner != made[1]) {
            made[0] = 0;
            made[1] = owner;
        }
        header *headers = (header *)(d->out + d->to[owner].offset);
        if (i == 0 || at->offset != at[-1].offset)
            headers[made[0]++] = (header){.reference = g->reference};
        headers[made[0] - 1].count += g->count;
    }
}

/* Groups of a task that lists or copies items. */
#define TASK_GROUPS 64

/* Task: the items of some groups go to their place in what is sent. */
static ramify_status send_groups(void *argument, size_t task, uint32_t number) {
    (void)number;
    ramify_dispatch *d = argument;
    size_t first = task * TASK_GROUPS, end = ramify_smaller(first + TASK_GROUPS, d->group_count);
    for (size_t i = first; i < end; i++) {
        const place *at = &d->places[i];
        const group *g = &d->groups[at->index];
        const bundle *to = &d->to[owner_of(d, &g->reference)];
        unsigned char *rows =
            d->out + to->offset + to->headers * sizeof(header) + (at->item - to->item) * d->width;
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
        d->from[r] = (bundle){.headers = (size_t)of[0], .items = (size_t)of[1], .item = item};
        item += r == d->rank ? 0 : d->from[r].items;
    }
    return status;
}

static ramify_status exchange_rows(ramify_dispatch *d) {
    ramify_cluster_phase(d->context, "rows to experts");
    RAMIFY_TRY(tell_counts(d));
    RAMIFY_TRY(take_room(d->context, &d->in, &d->in_room, place_bundles(d, d->from, false), 1));
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

/* ---- 4. answer ---- */

/* Headers of another rank are as good as that rank: what they say is compared with what was counted, and
 * references are checked before anything is read by them. */
static ramify_status count_parts(const ramify_dispatch *d, const header *headers, const bundle *b,
                                 size_t *parts) {
    uint64_t items = 0;
    for (size_t h = 0; h < b->headers; h++) {
        RAMIFY_TRY(ramify_child_check(d->context, &d->model->source, &d->model->limits,
                                      &headers[h].reference));
        items += headers[h].count;
        *parts += (headers[h].count + d->piece - 1) / d->piece;
    }
    if (items != b->items)
        return ramify_fail(d->context, RAMIFY_ERROR_CLUSTER,
                           "a rank has sent %llu rows where it said %zu", (unsigned long long)items,
                           b->items);
    return RAMIFY_OK;
}

static const unsigned char *bundle_from(const ramify_dispatch *d, uint32_t rank) {
    return rank == d->rank ? d->out + d->to[rank].offset : d->in + d->from[rank].offset;
}

/* Where answers for a rank begin. */
static unsigned char *answers_for(const ramify_dispatch *d, uint32_t rank) {
    return rank == d->rank ? d->back + d->to[rank].item * d->answer_bytes
                           : d->answers + d->from[rank].item * d->answer_bytes;
}

/* What is to be answered, in the order of experts: each is then read once. */
static ramify_status list_parts(ramify_dispatch *d) {
    d->part_count = 0;
    for (uint32_t r = 0; r < d->ranks; r++)
        RAMIFY_TRY(count_parts(d, (const header *)bundle_from(d, r), &d->from[r], &d->part_count));
    RAMIFY_TRY(take_room(d->context, &d->parts, &d->parts_room, d->part_count, sizeof *d->parts));
    RAMIFY_TRY(take_places(d, d->part_count));
    size_t made = 0;
    for (uint32_t r = 0; r < d->ranks; r++) {
        const header *headers = (const header *)bundle_from(d, r);
        const unsigned char *rows = (const unsigned char *)(headers + d->from[r].headers);
        unsigned char *answers = answers_for(d, r);
        for (size_t h = 0; h < d->from[r].headers; h++)
            for (uint32_t done = 0, count; done < headers[h].count; done += count) {
                count = (uint32_t)ramify_smaller(headers[h].count - done, d->piece);
                d->parts[made] = (part){headers[h].reference, rows, answers, count};
                d->places[made] =
                    (place){.offset = headers[h].reference.offset, .index = (uint32_t)made};
                made++;
                rows += count * d->width;
                answers += count * d->answer_bytes;
            }
    }
    sort_places(&d->places, &d->places_sorted, made);
    return RAMIFY_OK;
}

static ramify_status run_series(ramify_predictor *p, const part *of, ramify_batch *batch) {
    const ramify_model *model = p->model;
    batch->x = (const double *)of->rows;
    batch->x_stride = model->schema->column_count;
    for (uint32_t i = 0; i < of->count; i++)
        p->order[i] = i;
    batch->rows = p->order;
    RAMIFY_TRY(ramify_predictor_sum(p, batch));
    double *to = (double *)of->answers;
    for (size_t i = 0; i < of->count; i++)
        for (uint32_t j = 0; j < model->outputs; j++)
            to[i * model->outputs + j] =
                model->head_center[j] + model->head_scale[j] * p->values[i * model->outputs + j];
    return RAMIFY_OK;
}

/* Features of rows that were sent. */
static const float *read_features(const ramify_dispatch *d, ramify_predictor *p, const part *of) {
    const ramify_stem *stem = &p->model->stem;
    if (d->sends_raw) {
        ramify_predictor_encode(p, of->count, (const double *)of->rows, stem->columns, true);
        return p->features;
    }
    const float *plain = (const float *)of->rows;
    if (p->ldp * sizeof(float) != d->width) {
        for (size_t i = 0; i < of->count; i++) { /* what pads them is 0 */
            memcpy(p->plain + i * p->ldp, of->rows + i * d->width, d->width);
            memset(p->plain + i * p->ldp + stem->plain, 0, p->ldp * sizeof(float) - d->width);
        }
        plain = p->plain;
    }
    if (p->features == p->plain)
        return plain;
    ramify_stem_features(p->kernels, stem, of->count, plain, p->ldp, p->features, p->ldf);
    return p->features;
}

static ramify_status run_network(const ramify_dispatch *d, ramify_predictor *p, const part *of,
                                 const void *record) {
    const ramify_model *model = p->model;
    uint32_t outputs = model->outputs;
    RAMIFY_TRY(
        ramify_predictor_answer(p, of->reference.id, record, of->count, read_features(d, p, of)));
    for (size_t i = 0; i < of->count; i++) {
        const float *from = p->output + i * p->ldo;
        if (d->sums)
            for (uint32_t j = 0; j < outputs; j++)
                ((double *)of->answers)[i * outputs + j] = ramify_model_value(model, j, from[j]);
        else
            memcpy(of->answers + i * d->answer_bytes, from, d->answer_bytes);
    }
    return RAMIFY_OK;
}

/* Task */
static ramify_status answer_part(void *argument, size_t task, uint32_t number) {
    ramify_dispatch *d = argument;
    ramify_predictor *p = d->workers[number].predictor;
    const part *of = &d->parts[d->places[task].index];
    if (ramify_cancelled(d->context))
        return ramify_fail(d->context, RAMIFY_STOPPED, "stopped");
    ramify_batch batch = {
        .module = of->reference.id, .group = of->reference.group, .count = of->count};
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(d->context, d->model, &d->model->experts, &of->reference, false,
                                    &p->traffic, &batch.record, &slot));
    ramify_status status = ramify_predictor_sums(p, batch.group)
                               ? run_series(p, of, &batch)
                               : run_network(d, p, of, batch.record);
    ramify_store_release(d->model, &d->model->experts, slot);
    return status;
}

/* ---- 5. return ---- */

static ramify_status exchange_answers(ramify_dispatch *d) {
    for (uint32_t r = 0; r < d->ranks; r++) {
        bool own = r == d->rank;
        d->out_offset[r] = d->from[r].item * d->answer_bytes;
        d->out_size[r] = own ? 0 : d->from[r].items * d->answer_bytes;
        d->in_offset[r] = d->to[r].item * d->answer_bytes;
        d->in_size[r] = own ? 0 : d->to[r].items * d->answer_bytes;
    }
    ramify_cluster_phase(d->context, "answers to rows");
    return ramify_cluster_exchange(d->context, d->answers, d->out_size, d->out_offset, d->back,
                                   d->in_size, d->in_offset);
}

static double answer_of(const ramify_dispatch *d, size_t item, uint32_t output) {
    size_t at = item * d->model->outputs + output;
    return d->sums ? ((const double *)d->back)[at]
                   : ramify_model_value(d->model, output, ((const float *)d->back)[at]);
}

/* Items of a task that puts answers in their place. */
#define TASK_ITEMS ((size_t)8192)

/* Task */
static ramify_status put_answers(void *argument, size_t task, uint32_t number) {
    (void)number;
    const ramify_dispatch *d = argument;
    uint32_t outputs = d->model->outputs;
    size_t end = ramify_smaller((task + 1) * TASK_ITEMS, d->item_count);
    for (size_t i = task * TASK_ITEMS; i < end; i++)
        for (uint32_t j = 0; j < outputs; j++)
            d->wanted.y[(size_t)d->sent_row[i] * outputs + j] = answer_of(d, i, j);
    return RAMIFY_OK;
}

/* Sums are taken in the order of experts, as blend.c does. */
static void blend_answers(const ramify_dispatch *d) {
    uint32_t outputs = d->model->outputs;
    memset(d->wanted.y, 0, d->count * outputs * sizeof *d->wanted.y);
    for (size_t i = 0; i < d->item_count; i++)
        for (uint32_t j = 0; j < outputs; j++)
            d->wanted.y[(size_t)d->sent_row[i] * outputs + j] +=
                d->sent_weight[i] * answer_of(d, i, j);
}

/* Task: notes are of the row's own leaf, and few bytes each: whoever has the row reads them. */
static ramify_status note_piece(void *argument, size_t task, uint32_t number) {
    ramify_dispatch *d = argument;
    worker *w = &d->workers[number];
    size_t columns = d->model->schema->column_count, first = task * d->piece;
    size_t count = ramify_smaller(d->count - first, d->piece);
    if (ramify_cancelled(d->context))
        return ramify_fail(d->context, RAMIFY_STOPPED, "stopped");
    ramify_wanted slice = ramify_wanted_from(&d->wanted, d->model, first);
    ramify_match_rows(d->match, NULL, d->first + first, count, w->raw);
    return ramify_predictor_note(w->predictor, count, w->raw, columns, &slice);
}

/* ---- the call ---- */

static ramify_status run(ramify_dispatch *d, size_t tasks, ramify_task_run task) {
    return ramify_parallel_on(d->context, d->worker_count, tasks, task, d);
}

static ramify_status run_block(ramify_dispatch *d) {
    ramify_context *context = d->context;
    size_t pieces = (d->count + d->piece - 1) / d->piece;
    RAMIFY_TRY(run(d, pieces, route_piece));
    RAMIFY_TRY(sort_groups(d, pieces));
    RAMIFY_TRY(take_room(context, &d->out, &d->out_room, place_bundles(d, d->to, true), 1));
    write_headers(d);
    RAMIFY_TRY(run(d, (d->group_count + TASK_GROUPS - 1) / TASK_GROUPS, send_groups));
    RAMIFY_TRY(exchange_rows(d));
    size_t others = 0;
    for (uint32_t r = 0; r < d->ranks; r++)
        others += r == d->rank ? 0 : d->from[r].items;
    RAMIFY_TRY(take_room(context, &d->answers, &d->answers_room, others * d->answer_bytes, 1));
    RAMIFY_TRY(take_room(context, &d->back, &d->back_room, d->item_count * d->answer_bytes, 1));
    RAMIFY_TRY(list_parts(d));
    RAMIFY_TRY(run(d, d->part_count, answer_part));
    RAMIFY_TRY(exchange_answers(d));
    if (d->most > 1)
        blend_answers(d);
    else
        RAMIFY_TRY(run(d, (d->item_count + TASK_ITEMS - 1) / TASK_ITEMS, put_answers));
    if (d->wanted.low || d->wanted.novelty)
        RAMIFY_TRY(run(d, pieces, note_piece));
    return RAMIFY_OK;
}

static ramify_status dispatch_rows(ramify_dispatch *d, size_t first, size_t rows, uint64_t most,
                                   const ramify_wanted *wanted) {
    /* Blocks of about one size: a small last one would cost as many meetings. */
    uint64_t blocks = (most + d->block - 1) / d->block;
    size_t step = blocks > 0 ? (size_t)((most + blocks - 1) / blocks) : 0;
    step = ramify_smaller((step + PIECE_ROWS - 1) / PIECE_ROWS * PIECE_ROWS, d->block);
    for (uint64_t at = 0; at < most; at += step) {
        size_t from = ramify_smaller((size_t)at, rows);
        d->wanted = ramify_wanted_from(wanted, d->model, from);
        d->first = first + from;
        d->count = ramify_smaller(rows - from, step);
        RAMIFY_TRY(run_block(d));
    }
    return RAMIFY_OK;
}

ramify_status ramify_dispatch_rows(ramify_dispatch *dispatch, const ramify_match *match,
                                   size_t first, size_t rows, const ramify_wanted *wanted) {
    ramify_dispatch *d = dispatch;
    ramify_context *context = d->context;
    if (!d->divides)
        return rows > 0
                   ? ramify_predict_rows(context, d->model, match, first, rows, wanted, d->outside)
                   : RAMIFY_OK;
    uint64_t own = rows, most = 0;
    ramify_cluster_phase(context, "counts of rows");
    RAMIFY_TRY(ramify_cluster_gather(context, &own, sizeof own, d->counts));
    for (uint32_t r = 0; r < d->ranks; r++)
        most = d->counts[r] > most ? d->counts[r] : most;
    d->match = match;
    ramify_status status = dispatch_rows(d, first, rows, most, wanted);
    for (uint32_t i = 0; i < d->worker_count; i++)
        ramify_predictor_report(d->workers[i].predictor);
    return status;
}

ramify_status ramify_dispatch_warn(ramify_dispatch *dispatch, const char *source) {
    ramify_dispatch *d = dispatch;
    const ramify_schema *schema = d->model->schema;
    for (uint32_t i = 0; i < d->worker_count; i++)
        for (uint32_t c = 0; c < schema->column_count; c++) {
            d->outside[c] += d->workers[i].outside[c];
            d->workers[i].outside[c] = 0;
        }
    ramify_cluster_phase(d->context, "counts of rows");
    RAMIFY_TRY(ramify_cluster_sum(d->context, d->outside, schema->column_count));
    ramify_warn_outside(d->context, schema, d->outside, source);
    return RAMIFY_OK;
}

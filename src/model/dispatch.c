/* A block of rows, on the rank that has them and on the ranks that own their experts:
 *
 *   1. route    pieces of rows go down the tree; rows of a piece that reach one module are a *group*
 *   2. sort     groups by the module's place in the file: whose it is only grows along them
 *   3. send     to each owner a list of experts, then their rows side by side
 *   4. answer   owners run each expert on the rows of one sender after the other's
 *   5. return   answers come back in the order in which rows were sent, and go to their rows
 *
 * Own rows take the same way, without leaving their place in the block that is sent. */

#include "cluster.h"
#include "dispatch_parts.h"
#include "memory.h"
#include "predict_table.h"
#include "status.h"
#include "threads.h"

/* Rows of a piece, as in predict_table.c. */
#define PIECE_ROWS 1024

/* What is under way between all ranks at once: enough that meetings are few and every expert's rows fill
 * its kernels' blocks, and no more than the processors' last cache holds. */
#define BLOCK_BYTES ((size_t)32 << 20)
/* A block's share of a table, at most. */
#define BLOCK_SHARE 20

/* An engine counts in 2^30 bytes; headers of experts come on top of rows. */
#define SENT_BYTES_MAX ((size_t)1 << 29)

bool ramify_dispatch_divides(const ramify_context *context, const ramify_model *model) {
    uint32_t ranks = ramify_cluster_size(context);
    return ranks > 1 && !ramify_model_paraformer(model) && model->limits.modules >= ranks;
}

/* ---- memory ---- */

ramify_status ramify_dispatch_room(ramify_context *context, void *memory, size_t *room,
                                   size_t count, size_t size) {
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
        ramify_dispatch_worker *w = &d->workers[i];
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
    block = ramify_smaller(block, SENT_BYTES_MAX / d->ranks /
                                      (each + d->most * sizeof(ramify_sent_header)));
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

/* ---- the call ---- */

static ramify_status run(ramify_dispatch *d, size_t tasks, ramify_task_run task) {
    return ramify_parallel_on(d->context, d->worker_count, tasks, task, d);
}

static ramify_status run_block(ramify_dispatch *d) {
    ramify_context *context = d->context;
    size_t pieces = (d->count + d->piece - 1) / d->piece;
    RAMIFY_TRY(run(d, pieces, ramify_dispatch_route));
    RAMIFY_TRY(ramify_dispatch_sort_groups(d, pieces));
    RAMIFY_TRY(ramify_dispatch_room(context, &d->out, &d->out_room,
                                    ramify_dispatch_place(d, d->to, true), 1));
    ramify_dispatch_headers(d);
    RAMIFY_TRY(run(d, (d->group_count + TASK_GROUPS - 1) / TASK_GROUPS, ramify_dispatch_send));
    RAMIFY_TRY(ramify_dispatch_exchange(d));
    size_t others = 0;
    for (uint32_t r = 0; r < d->ranks; r++)
        others += r == d->rank ? 0 : d->from[r].items;
    RAMIFY_TRY(
        ramify_dispatch_room(context, &d->answers, &d->answers_room, others * d->answer_bytes, 1));
    RAMIFY_TRY(
        ramify_dispatch_room(context, &d->back, &d->back_room, d->item_count * d->answer_bytes, 1));
    RAMIFY_TRY(ramify_dispatch_list(d));
    RAMIFY_TRY(run(d, d->part_count, ramify_dispatch_answer));
    RAMIFY_TRY(ramify_dispatch_return(d));
    if (d->most > 1)
        ramify_dispatch_blend(d);
    else
        RAMIFY_TRY(run(d, (d->item_count + TASK_ITEMS - 1) / TASK_ITEMS, ramify_dispatch_put));
    if (d->wanted.low || d->wanted.novelty)
        RAMIFY_TRY(run(d, pieces, ramify_dispatch_note));
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

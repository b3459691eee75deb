/* Predicting a table that every rank has: ranks take blocks of its rows in turn, and get one another's
 * results. */

#include "cluster.h"
#include "dispatch.h"
#include "memory.h"
#include "predict_table.h"
#include "same_inputs.h"
#include "status.h"

#include <string.h>

/* Where ranks' shares of a turn lie: rank r has rows of block `r` after `base`. */
typedef struct turn {
    size_t base, block, rows; /* rows: of the table */
} turn;

static size_t turn_first(const turn *at, uint32_t rank) {
    return ramify_smaller(at->base + rank * at->block, at->rows);
}

/* Results of all ranks come to their places among values[rows x columns]. */
static ramify_status share(ramify_context *context, const turn *at, double *values,
                           size_t columns) {
    uint32_t ranks = ramify_cluster_size(context), rank = ramify_cluster_rank(context);
    if (!values)
        return RAMIFY_OK;
    const size_t row = columns * sizeof *values, own = turn_first(at, rank);
    const size_t own_bytes = (turn_first(at, rank + 1) - own) * row;
    size_t *sizes = ramify_allocate(context, 4 * (size_t)ranks, sizeof *sizes);
    /* MPI must not be given memory to send from and to receive into that is the same. */
    unsigned char *sent = ramify_allocate(context, own_bytes, 1);
    if (!sizes || !sent) {
        ramify_release(context, sizes);
        ramify_release(context, sent);
        return RAMIFY_ERROR_MEMORY;
    }
    if (own_bytes > 0)
        memcpy(sent, values + own * columns, own_bytes);
    size_t *out_size = sizes, *out_offset = sizes + ranks, *in_size = out_offset + ranks,
           *in_offset = in_size + ranks;
    for (uint32_t r = 0; r < ranks; r++) {
        size_t first = turn_first(at, r);
        out_offset[r] = 0;
        out_size[r] = r == rank ? 0 : own_bytes;
        in_offset[r] = (first - at->base) * row;
        in_size[r] = r == rank ? 0 : (turn_first(at, r + 1) - first) * row;
    }
    ramify_status status = ramify_cluster_exchange(context, sent, out_size, out_offset,
                                                   values + at->base * columns, in_size, in_offset);
    ramify_release(context, sent);
    ramify_release(context, sizes);
    return status;
}

static ramify_status share_all(ramify_context *context, const ramify_model *model, const turn *at,
                               const ramify_wanted *wanted) {
    ramify_cluster_phase(context, "predictions to all");
    RAMIFY_TRY(share(context, at, wanted->y, model->outputs));
    RAMIFY_TRY(share(context, at, wanted->low, model->targets));
    RAMIFY_TRY(share(context, at, wanted->high, model->targets));
    return share(context, at, wanted->novelty, 1);
}

static ramify_status predict_rounds(ramify_dispatch *dispatch, ramify_context *context,
                                    const ramify_model *model, const ramify_match *match,
                                    const ramify_wanted *wanted) {
    uint32_t ranks = ramify_cluster_size(context), rank = ramify_cluster_rank(context);
    turn at = {.block = ramify_dispatch_block(dispatch), .rows = ramify_table_rows(match->table)};
    for (; at.base < at.rows; at.base = turn_first(&at, ranks)) {
        size_t first = turn_first(&at, rank);
        ramify_wanted part = ramify_wanted_from(wanted, model, first);
        RAMIFY_TRY(
            ramify_dispatch_rows(dispatch, match, first, turn_first(&at, rank + 1) - first, &part));
        RAMIFY_TRY(share_all(context, model, &at, wanted));
    }
    return ramify_dispatch_warn(dispatch, match->table->source);
}

static ramify_status predict_matched(ramify_context *context, ramify_model *model,
                                     const ramify_match *match, const ramify_wanted *wanted) {
    RAMIFY_TRY(ramify_predict_check_image(context, model, match->table));
    RAMIFY_TRY(ramify_same_model(context, model));
    RAMIFY_TRY(ramify_same_table(context, match->table));
    ramify_dispatch *dispatch = NULL;
    RAMIFY_TRY(ramify_dispatch_create(context, model, ramify_table_rows(match->table), &dispatch));
    ramify_status status = predict_rounds(dispatch, context, model, match, wanted);
    ramify_dispatch_destroy(&dispatch);
    return status;
}

ramify_status ramify_predict_table_together(ramify_context *context, ramify_model *model,
                                            const ramify_table *table, const ramify_match *match,
                                            const ramify_wanted *wanted) {
    if (ramify_cluster_size(context) == 1)
        return ramify_predict_table_inside(context, model, table, match, wanted);
    RAMIFY_TRY(ramify_wanted_check(context, model, wanted));
    ramify_match *made = NULL;
    if (!match)
        RAMIFY_TRY(ramify_match_create(context, model->schema, table, false, &made));
    ramify_status status = predict_matched(context, model, match ? match : made, wanted);
    ramify_match_destroy(context, &made);
    return status;
}

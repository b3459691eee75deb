/* Predicting the rows of a file, on as many ranks as there are: none keeps more of the results than those
 * of a block. */

#include "predict_file.h"
#include "cluster.h"
#include "dispatch.h"
#include "memory.h"
#include "predict_table.h"
#include "progress.h"
#include "rank_parts.h"
#include "same_inputs.h"
#include "status.h"

#include <string.h>

/* ---- results of a block ---- */

static ramify_status take_results(ramify_context *context, const ramify_model *model, size_t rows,
                                  const ramify_file_wanted *wanted, ramify_wanted *results) {
    size_t targets = model->targets;
    *results = (ramify_wanted){.level = wanted->level};
    results->y = ramify_allocate(context, rows * model->outputs, sizeof(double));
    if (wanted->level > 0) {
        results->low = ramify_allocate(context, rows * targets, sizeof(double));
        results->high = ramify_allocate(context, rows * targets, sizeof(double));
    }
    if (wanted->novelty)
        results->novelty = ramify_allocate(context, rows, sizeof(double));
    bool good = results->y && (wanted->level <= 0 || (results->low && results->high)) &&
                (!wanted->novelty || results->novelty);
    return good ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static void drop_results(ramify_context *context, const ramify_wanted *results) {
    ramify_release(context, results->y);
    ramify_release(context, results->low);
    ramify_release(context, results->high);
    ramify_release(context, results->novelty);
}

/* What is asked for, before there is memory for it: only which of it is NULL counts. */
static ramify_status check_wanted(ramify_context *context, const ramify_model *model,
                                  const ramify_file_wanted *wanted) {
    double none = 0;
    ramify_wanted asked = {.y = &none, .level = wanted->level};
    asked.low = asked.high = wanted->level > 0 ? &none : NULL;
    asked.novelty = wanted->novelty ? &none : NULL;
    return ramify_wanted_check(context, model, &asked);
}

static ramify_status hand_over(const ramify_file_wanted *wanted, const ramify_match *match,
                               size_t at, uint64_t first, size_t rows,
                               const ramify_wanted *results) {
    const ramify_predicted block = {.first = first,
                                    .rows = rows,
                                    .y = results->y,
                                    .low = results->low,
                                    .high = results->high,
                                    .novelty = results->novelty};
    return wanted->take(wanted->user, &block, match, at);
}

static ramify_status end_blocks(const ramify_file_wanted *wanted, uint64_t rows) {
    return wanted->end ? wanted->end(wanted->user, rows) : RAMIFY_OK;
}

/* ---- one process ---- */

static ramify_status predict_alone(ramify_context *context, ramify_model *model,
                                   const ramify_match *match, const ramify_file_wanted *wanted,
                                   uint64_t *rows) {
    ramify_wanted results;
    *rows = ramify_table_rows(match->table);
    ramify_status status = take_results(context, model, (size_t)*rows, wanted, &results);
    if (status == RAMIFY_OK)
        status = ramify_predict_table_inside(context, model, match->table, match, &results);
    if (status == RAMIFY_OK)
        status = hand_over(wanted, match, 0, 0, (size_t)*rows, &results);
    drop_results(context, &results);
    return status;
}

/* ---- several ---- */

static ramify_status predict_rounds(ramify_context *context, ramify_dispatch *dispatch,
                                    const ramify_match *match, const ramify_file_wanted *wanted,
                                    const ramify_wanted *results) {
    size_t rows = ramify_table_rows(match->table), block = ramify_dispatch_block(dispatch);
    uint32_t ranks = ramify_cluster_size(context), rank = ramify_cluster_rank(context);
    size_t base = 0;
    do {
        size_t first = ramify_smaller(base + rank * block, rows);
        size_t count = ramify_smaller(rows - first, block);
        RAMIFY_TRY(ramify_dispatch_rows(dispatch, match, first, count, results));
        RAMIFY_TRY(hand_over(wanted, match, first, first, count, results));
        base = ramify_smaller(base + ranks * block, rows);
    } while (base < rows);
    RAMIFY_TRY(end_blocks(wanted, rows));
    return ramify_dispatch_warn(dispatch, match->table->source);
}

static ramify_status predict_divided(ramify_context *context, ramify_model *model,
                                     const ramify_match *match, const ramify_file_wanted *wanted,
                                     uint64_t *rows) {
    ramify_dispatch *dispatch = NULL;
    ramify_wanted results = {.level = wanted->level};
    *rows = ramify_table_rows(match->table);
    RAMIFY_TRY(ramify_predict_check_image(context, model, match->table));
    RAMIFY_TRY(ramify_dispatch_create(context, model, *rows, &dispatch));
    ramify_status status =
        take_results(context, model, ramify_dispatch_block(dispatch), wanted, &results);
    if (status == RAMIFY_OK)
        status = predict_rounds(context, dispatch, match, wanted, &results);
    drop_results(context, &results);
    ramify_dispatch_destroy(&dispatch);
    return status;
}

/* As many turns as there are parts: none of the ranks has more than one. */
static ramify_status predict_turns(ramify_context *context, ramify_dispatch *dispatch,
                                   ramify_rank_parts *parts, const ramify_file_wanted *wanted,
                                   const ramify_wanted *results) {
    const char *source = NULL;
    for (size_t turn = 0; turn < ramify_rank_parts_turns(parts); turn++) {
        const ramify_match *match;
        uint64_t first;
        RAMIFY_TRY(ramify_rank_parts_next(parts, wanted->targets, &match, &first));
        size_t rows = ramify_table_rows(match->table);
        RAMIFY_TRY(ramify_dispatch_rows(dispatch, match, 0, rows, results));
        RAMIFY_TRY(hand_over(wanted, match, 0, first, rows, results));
        source = match->table->source;
        ramify_progress_report(context, "predicting", (double)(turn + 1),
                               (double)ramify_rank_parts_turns(parts));
    }
    RAMIFY_TRY(ramify_rank_parts_warn(parts));
    RAMIFY_TRY(end_blocks(wanted, ramify_rank_parts_rows(parts)));
    return ramify_dispatch_warn(dispatch, source);
}

static ramify_status predict_parts(ramify_context *context, ramify_model *model,
                                   ramify_rank_parts *parts, const ramify_file_wanted *wanted,
                                   uint64_t *rows) {
    ramify_dispatch *dispatch = NULL;
    ramify_wanted results = {.level = wanted->level};
    *rows = ramify_rank_parts_rows(parts);
    RAMIFY_TRY(ramify_predict_check_image(context, model, ramify_rank_parts_head(parts)));
    RAMIFY_TRY(ramify_dispatch_create(context, model, *rows, &dispatch));
    ramify_status status =
        take_results(context, model, ramify_rank_parts_most(parts), wanted, &results);
    if (status == RAMIFY_OK)
        status = predict_turns(context, dispatch, parts, wanted, &results);
    drop_results(context, &results);
    ramify_dispatch_destroy(&dispatch);
    return status;
}

/* ---- reading ---- */

static ramify_status read_whole(ramify_context *context, ramify_model *model, const char *path,
                                const ramify_table_options *options,
                                const ramify_file_wanted *wanted, uint64_t *rows) {
    ramify_table *table = NULL;
    ramify_match *match = NULL;
    RAMIFY_TRY(ramify_table_read_for_schema(context, path, options, model->schema, &table));
    ramify_status status =
        ramify_match_create(context, model->schema, table, wanted->targets, &match);
    if (status == RAMIFY_OK)
        status = ramify_cluster_size(context) == 1
                     ? predict_alone(context, model, match, wanted, rows)
                     : predict_divided(context, model, match, wanted, rows);
    ramify_match_destroy(context, &match);
    ramify_table_destroy(&table);
    return status;
}

ramify_status ramify_predict_count_cost(ramify_context *context, const ramify_model *model,
                                        uint64_t rows, ramify_file_cost *cost) {
    ramify_residency held;
    ramify_model_get_residency(model, &held);
    uint32_t ranks = ramify_cluster_size(context);
    uint64_t *peaks = ramify_allocate(context, ranks, sizeof *peaks);
    if (!peaks)
        return RAMIFY_ERROR_MEMORY;
    uint64_t sums[] = {held.hits, held.misses, held.bytes_read};
    ramify_status status = ramify_cluster_gather(context, &held.peak_bytes, sizeof *peaks, peaks);
    if (status == RAMIFY_OK)
        status = ramify_cluster_sum(context, sums, sizeof sums / sizeof *sums);
    *cost =
        (ramify_file_cost){.rows = rows, .hits = sums[0], .misses = sums[1], .bytes_read = sums[2]};
    for (uint32_t r = 0; status == RAMIFY_OK && r < ranks; r++) {
        cost->peak_bytes = peaks[r] > cost->peak_bytes ? peaks[r] : cost->peak_bytes;
        cost->peak_bytes_all += peaks[r];
    }
    ramify_release(context, peaks);
    return status;
}

ramify_status ramify_predict_file_inside(ramify_context *context, ramify_model *model,
                                         const char *path, const ramify_table_options *options,
                                         const ramify_file_wanted *wanted, ramify_file_cost *cost) {
    uint64_t rows = 0;
    RAMIFY_TRY(check_wanted(context, model, wanted));
    RAMIFY_TRY(ramify_same_model(context, model));
    RAMIFY_TRY(ramify_same_file(context, path));
    if (options && options->labels)
        RAMIFY_TRY(ramify_same_file(context, options->labels));
    ramify_rank_parts *parts = NULL;
    if (ramify_cluster_size(context) > 1)
        RAMIFY_TRY(ramify_rank_parts_open(context, path, options, model->schema, &parts));
    ramify_status status = parts ? predict_parts(context, model, parts, wanted, &rows)
                                 : read_whole(context, model, path, options, wanted, &rows);
    ramify_rank_parts_close(&parts);
    RAMIFY_TRY(status);
    return cost ? ramify_predict_count_cost(context, model, rows, cost) : RAMIFY_OK;
}

/* ---- the public call ---- */

typedef struct receiver {
    ramify_predicted_take take;
    void *user;
} receiver;

static ramify_status pass_on(void *user, const ramify_predicted *block, const ramify_match *match,
                             size_t at) {
    const receiver *to = user;
    (void)match;
    (void)at;
    return to->take(to->user, block);
}

ramify_status ramify_predict_file(ramify_context *context, ramify_model *model, const char *path,
                                  const ramify_table_options *options, double level, bool novelty,
                                  ramify_predicted_take take, void *user, ramify_file_cost *cost) {
    ramify_clear(context);
    if (!model || !path || !take)
        return ramify_cluster_tell(context,
                                   ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                                               "ramify_predict_file: model, path or take is NULL"));
    receiver to = {take, user};
    const ramify_file_wanted wanted = {
        .level = level, .novelty = novelty, .take = pass_on, .user = &to};
    return ramify_cluster_tell(
        context, ramify_predict_file_inside(context, model, path, options, &wanted, cost));
}

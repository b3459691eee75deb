/* The score of a file's rows, which ranks predict a block at a time. Rank 0 is told of every block, in
 * order: of rows, as long as they are few; then of sums over whole blocks of rows, and of the rows at
 * either end of what a rank has. */

#include "cluster.h"
#include "memory.h"
#include "model.h"
#include "predict_file.h"
#include "score_sums.h"
#include "status.h"

#include <math.h>
#include <string.h>

typedef struct scorer {
    ramify_context *context;
    const ramify_model *model;
    ramify_score_sums *sums; /* of rank 0; the others look at its sizes */
    uint32_t rank, ranks;
    uint64_t kept; /* rows of all ranks that have targets */
    double *numbers, *gathered;
    size_t room, gathered_room;
    const char *name;
} scorer;

/* What a rank tells: records, parts, records. */
typedef struct message {
    uint64_t head, parts, tail;
} message;

static size_t message_bytes(const scorer *s, const message *m) {
    return (size_t)((m->head + m->tail) * ramify_score_sums_stride(s->sums) +
                    m->parts * ramify_score_sums_part(s->sums)) *
           sizeof(double);
}

static ramify_status take_room(ramify_context *context, double **numbers, size_t *room,
                               size_t count) {
    if (*numbers && count <= *room)
        return RAMIFY_OK;
    ramify_release(context, *numbers);
    *room = count + count / 4;
    *numbers = ramify_allocate(context, *room, sizeof **numbers);
    return *numbers ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

/* Records of the block's rows that have targets. */
static ramify_status make_records(scorer *s, const ramify_predicted *block,
                                  const ramify_match *match, size_t at, size_t *count) {
    const size_t stride = ramify_score_sums_stride(s->sums);
    RAMIFY_TRY(take_room(s->context, &s->numbers, &s->room, block->rows * stride));
    *count = 0;
    for (size_t i = 0; i < block->rows; i++) {
        bool there = true;
        for (uint32_t t = 0; t < match->schema->target_count; t++)
            there = there && !isnan(ramify_match_target(match, t, at + i));
        if (!there)
            continue;
        RAMIFY_TRY(ramify_match_check_targets(s->context, match, at + i));
        ramify_score_record(s->sums, match, at + i, i, block, s->numbers + (*count)++ * stride);
    }
    return RAMIFY_OK;
}

/* Puts parts in the place of the records of whole blocks: those that all lie within the rank's rows. */
static ramify_status sum_whole_blocks(scorer *s, const ramify_predicted *block, size_t count,
                                      message *m) {
    const size_t stride = ramify_score_sums_stride(s->sums), part = ramify_score_sums_part(s->sums);
    const uint64_t low = (block->first + RAMIFY_SCORE_BLOCK - 1) / RAMIFY_SCORE_BLOCK,
                   high = (block->first + block->rows) / RAMIFY_SCORE_BLOCK;
    double *made = NULL;
    size_t room = 0, used = 0;
    RAMIFY_TRY(take_room(s->context, &made, &room,
                         count * stride + (block->rows / RAMIFY_SCORE_BLOCK + 1) * part));
    for (size_t i = 0, next; i < count; i = next) {
        const double *records = s->numbers + i * stride;
        uint64_t number = (uint64_t)records[0] / RAMIFY_SCORE_BLOCK;
        for (next = i + 1; next < count; next++)
            if ((uint64_t)s->numbers[next * stride] / RAMIFY_SCORE_BLOCK != number)
                break;
        if (number >= low && number < high) {
            ramify_score_part(s->sums, records, next - i, made + used);
            used += part;
            m->parts++;
            continue;
        }
        memcpy(made + used, records, (next - i) * stride * sizeof *made);
        used += (next - i) * stride;
        *(number < low ? &m->head : &m->tail) += next - i;
    }
    ramify_release(s->context, s->numbers);
    s->numbers = made;
    s->room = room;
    return RAMIFY_OK;
}

static ramify_status add_message(scorer *s, const message *m, const double *numbers) {
    const size_t stride = ramify_score_sums_stride(s->sums), part = ramify_score_sums_part(s->sums);
    if (m->head > 0)
        RAMIFY_TRY(ramify_score_sums_add(s->sums, numbers, (size_t)m->head));
    numbers += m->head * stride;
    for (uint64_t i = 0; i < m->parts; i++, numbers += part)
        RAMIFY_TRY(ramify_score_sums_add_part(s->sums, numbers));
    return m->tail > 0 ? ramify_score_sums_add(s->sums, numbers, (size_t)m->tail) : RAMIFY_OK;
}

/* Every rank's message to rank 0; sizes[4 x ranks] is room. */
static ramify_status tell(scorer *s, const message *messages, size_t *sizes) {
    size_t *out = sizes, *out_offset = out + s->ranks, *in = out_offset + s->ranks,
           *in_offset = in + s->ranks, all = 0;
    memset(sizes, 0, 4 * s->ranks * sizeof *sizes);
    for (uint32_t r = 1; s->rank == 0 && r < s->ranks; r++) {
        in_offset[r] = all;
        in[r] = message_bytes(s, &messages[r]);
        all += in[r];
    }
    if (s->rank > 0)
        out[0] = message_bytes(s, &messages[s->rank]);
    RAMIFY_TRY(take_room(s->context, &s->gathered, &s->gathered_room, all / sizeof(double)));
    RAMIFY_TRY(ramify_cluster_exchange(s->context, s->numbers, out, out_offset, s->gathered, in,
                                       in_offset));
    if (s->rank > 0)
        return RAMIFY_OK;
    RAMIFY_TRY(add_message(s, &messages[0], s->numbers));
    for (uint32_t r = 1; r < s->ranks; r++)
        RAMIFY_TRY(add_message(s, &messages[r], s->gathered + in_offset[r] / sizeof(double)));
    return RAMIFY_OK;
}

static ramify_status score_block(void *user, const ramify_predicted *block,
                                 const ramify_match *match, size_t at) {
    scorer *s = user;
    size_t count = 0;
    RAMIFY_TRY(make_records(s, block, match, at, &count));
    uint64_t all = count;
    ramify_cluster_phase(s->context, "scores");
    RAMIFY_TRY(ramify_cluster_sum(s->context, &all, 1));
    s->kept += all;
    message own = {.head = count};
    if (s->kept > RAMIFY_SCORE_ROWS) {
        own.head = 0;
        RAMIFY_TRY(sum_whole_blocks(s, block, count, &own));
    }
    message *messages = ramify_allocate(s->context, s->ranks, sizeof *messages);
    size_t *sizes = ramify_allocate(s->context, 4 * (size_t)s->ranks, sizeof *sizes);
    ramify_status status = messages && sizes ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather(s->context, &own, sizeof own, messages);
    if (status == RAMIFY_OK)
        status = tell(s, messages, sizes);
    ramify_release(s->context, messages);
    ramify_release(s->context, sizes);
    return status;
}

static ramify_status check_kept(void *user, uint64_t rows) {
    const scorer *s = user;
    if (rows == 0)
        return ramify_score_refuse_empty(s->context, s->name);
    if (s->kept == 0)
        return ramify_score_refuse_targets(s->context, s->name);
    ramify_score_warn_left_out(s->context, s->name, rows - s->kept);
    return RAMIFY_OK;
}

/* Scores of rank 0 come to all. */
static ramify_status finish(const scorer *s, ramify_score *score, ramify_score *targets,
                            ramify_interval_score *intervals) {
    uint32_t count = s->model->targets > 0 ? s->model->targets : 1;
    if (s->rank == 0)
        RAMIFY_TRY(ramify_score_sums_finish(s->sums, score, targets, intervals));
    ramify_cluster_phase(s->context, "scores");
    RAMIFY_TRY(ramify_cluster_broadcast(s->context, score, sizeof *score, 0));
    if (targets)
        RAMIFY_TRY(ramify_cluster_broadcast(s->context, targets, count * sizeof *targets, 0));
    return intervals ? ramify_cluster_broadcast(s->context, intervals, count * sizeof *intervals, 0)
                     : RAMIFY_OK;
}

static ramify_status evaluate_together(ramify_context *context, ramify_model *model,
                                       const char *path, const ramify_table_options *options,
                                       double level, ramify_score *score, ramify_score *targets,
                                       ramify_interval_score *intervals, ramify_file_cost *cost) {
    scorer s = {.context = context,
                .model = model,
                .rank = ramify_cluster_rank(context),
                .ranks = ramify_cluster_size(context),
                .name = path};
    const ramify_file_wanted wanted = {
        .level = level, .targets = true, .take = score_block, .end = check_kept, .user = &s};
    RAMIFY_TRY(ramify_score_sums_create(context, model->schema, level > 0, &s.sums));
    ramify_status status = ramify_predict_file_inside(context, model, path, options, &wanted, cost);
    if (status == RAMIFY_OK)
        status = finish(&s, score, targets, level > 0 ? intervals : NULL);
    ramify_score_sums_destroy(&s.sums);
    ramify_release(context, s.numbers);
    ramify_release(context, s.gathered);
    return status;
}

static ramify_status evaluate_alone(ramify_context *context, ramify_model *model, const char *path,
                                    const ramify_table_options *options, double level,
                                    ramify_score *score, ramify_score *targets,
                                    ramify_interval_score *intervals, ramify_file_cost *cost) {
    ramify_table *table = NULL;
    RAMIFY_TRY(ramify_table_read_for_model(context, model, path, options, &table));
    ramify_status status = level > 0 ? ramify_evaluate_interval(context, model, table, level, score,
                                                                targets, intervals)
                                     : ramify_evaluate(context, model, table, score, targets);
    if (status == RAMIFY_OK)
        status = ramify_predict_count_cost(context, model, ramify_table_rows(table), cost);
    ramify_table_destroy(&table);
    return status;
}

ramify_status ramify_evaluate_file(ramify_context *context, ramify_model *model, const char *path,
                                   const ramify_table_options *options, double level,
                                   ramify_score *score, ramify_score *targets,
                                   ramify_interval_score *intervals, ramify_file_cost *cost) {
    ramify_clear(context);
    if (!model || !path || !score || (level > 0 && !intervals))
        return ramify_cluster_tell(
            context, ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                                 "ramify_evaluate_file: model, path, score or intervals is NULL"));
    ramify_file_cost own;
    ramify_status status =
        ramify_cluster_size(context) == 1
            ? evaluate_alone(context, model, path, options, level, score, targets, intervals, &own)
            : evaluate_together(context, model, path, options, level, score, targets, intervals,
                                &own);
    if (status == RAMIFY_OK && cost)
        *cost = own;
    return ramify_cluster_tell(context, status);
}

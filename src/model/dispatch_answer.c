/* Steps 4 and 5 of a block (dispatch.c): owners answer, and answers go to their rows. */

#include "cluster.h"
#include "dispatch_parts.h"
#include "memory.h"
#include "predict_table.h"
#include "progress.h"
#include "status.h"

/* ---- 4. answer ---- */

/* Headers of another rank are as good as that rank: what they say is compared with what was counted, and
 * references are checked before anything is read by them. */
static ramify_status count_parts(const ramify_dispatch *d, const ramify_sent_header *headers,
                                 const ramify_sent_bundle *b, size_t *parts) {
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
ramify_status ramify_dispatch_list(ramify_dispatch *d) {
    d->part_count = 0;
    for (uint32_t r = 0; r < d->ranks; r++)
        RAMIFY_TRY(count_parts(d, (const ramify_sent_header *)bundle_from(d, r), &d->from[r],
                               &d->part_count));
    RAMIFY_TRY(ramify_dispatch_room(d->context, &d->parts, &d->parts_room, d->part_count,
                                    sizeof *d->parts));
    RAMIFY_TRY(ramify_dispatch_take_places(d, d->part_count));
    size_t made = 0;
    for (uint32_t r = 0; r < d->ranks; r++) {
        const ramify_sent_header *headers = (const ramify_sent_header *)bundle_from(d, r);
        const unsigned char *rows = (const unsigned char *)(headers + d->from[r].headers);
        unsigned char *answers = answers_for(d, r);
        for (size_t h = 0; h < d->from[r].headers; h++)
            for (uint32_t done = 0, count; done < headers[h].count; done += count) {
                count = (uint32_t)ramify_smaller(headers[h].count - done, d->piece);
                d->parts[made] = (ramify_sent_part){headers[h].reference, rows, answers, count};
                d->places[made] = (ramify_sent_place){.offset = headers[h].reference.offset,
                                                      .index = (uint32_t)made};
                made++;
                rows += count * d->width;
                answers += count * d->answer_bytes;
            }
    }
    ramify_dispatch_sort(&d->places, &d->places_sorted, made);
    return RAMIFY_OK;
}

static ramify_status run_series(ramify_predictor *p, const ramify_sent_part *of,
                                ramify_batch *batch) {
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
static const float *read_features(const ramify_dispatch *d, ramify_predictor *p,
                                  const ramify_sent_part *of) {
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

static ramify_status run_network(const ramify_dispatch *d, ramify_predictor *p,
                                 const ramify_sent_part *of, const void *record) {
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
ramify_status ramify_dispatch_answer(void *argument, size_t task, uint32_t number) {
    ramify_dispatch *d = argument;
    ramify_predictor *p = d->workers[number].predictor;
    const ramify_sent_part *of = &d->parts[d->places[task].index];
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

ramify_status ramify_dispatch_return(ramify_dispatch *d) {
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

/* Task */
ramify_status ramify_dispatch_put(void *argument, size_t task, uint32_t number) {
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
void ramify_dispatch_blend(const ramify_dispatch *d) {
    uint32_t outputs = d->model->outputs;
    memset(d->wanted.y, 0, d->count * outputs * sizeof *d->wanted.y);
    for (size_t i = 0; i < d->item_count; i++)
        for (uint32_t j = 0; j < outputs; j++)
            d->wanted.y[(size_t)d->sent_row[i] * outputs + j] +=
                d->sent_weight[i] * answer_of(d, i, j);
}

/* Task: notes are of the row's own leaf, and few bytes each: whoever has the row reads them. */
ramify_status ramify_dispatch_note(void *argument, size_t task, uint32_t number) {
    ramify_dispatch *d = argument;
    ramify_dispatch_worker *w = &d->workers[number];
    size_t columns = d->model->schema->column_count, first = task * d->piece;
    size_t count = ramify_smaller(d->count - first, d->piece);
    if (ramify_cancelled(d->context))
        return ramify_fail(d->context, RAMIFY_STOPPED, "stopped");
    ramify_wanted slice = ramify_wanted_from(&d->wanted, d->model, first);
    ramify_match_rows(d->match, NULL, d->first + first, count, w->raw);
    return ramify_predictor_note(w->predictor, count, w->raw, columns, &slice);
}

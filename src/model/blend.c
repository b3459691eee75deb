#include "blend.h"

#include <string.h>

/* Puts a way into the list, heaviest first, equals in the order of their coming; the lightest
 * falls out where there are more than `most`. */
static void insert(ramify_way *ways, size_t *count, size_t most, const ramify_way *way) {
    size_t at = *count;
    while (at > 0 && ways[at - 1].weight < way->weight)
        at--;
    if (at == most)
        return;
    size_t moved = *count == most ? *count - at - 1 : *count - at;
    memmove(ways + at + 1, ways + at, moved * sizeof *ways);
    ways[at] = *way;
    *count += *count < most;
}

/* Replaces a way to a node by the ways to those of its children that have weight. */
static ramify_status follow(ramify_predictor *p, size_t row, ramify_way *ways, size_t *count,
                            size_t most, size_t which) {
    ramify_model *model = p->model;
    ramify_way way = ways[which];
    --*count;
    memmove(ways + which, ways + which + 1, (*count - which) * sizeof *ways);
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(p->context, model, &model->nodes, &way.reference,
                                    way.depth < model->kept_levels, &p->traffic, &record, &slot));
    const ramify_node_header *node = record;
    ramify_status status =
        ramify_node_check_place(p->context, &model->source, &way.reference, node, way.depth);
    if (status == RAMIFY_OK) {
        const ramify_reference *references = ramify_node_references(record);
        p->kernels->distances(1, node->children, model->limits.dims, p->point + row * p->ldt,
                              p->ldt, ramify_node_prototypes(node, node->children), p->ldt,
                              p->distance, node->children);
        float least = p->distance[0];
        for (uint32_t c = 1; c < node->children; c++)
            least = p->distance[c] < least ? p->distance[c] : least;
        for (uint32_t c = 0; c < node->children; c++) {
            double ratio = p->distance[c] > 0 ? (double)least / (double)p->distance[c] : 1;
            double share = (ratio - RAMIFY_BLEND_BAND) / (1 - RAMIFY_BLEND_BAND);
            if (share > 0)
                insert(ways, count, most,
                       &(ramify_way){.reference = references[c],
                                     .depth = way.depth + 1,
                                     .weight = way.weight * share});
        }
    }
    ramify_store_release(model, &model->nodes, slot);
    return status;
}

/* A module that several of the row's leaves refer to gets one share. */
static void add_share(ramify_predictor *p, size_t first, size_t row, const ramify_way *way,
                      double weight) {
    for (size_t i = first; i < p->share_count; i++)
        if (p->shares[i].reference.offset == way->reference.offset) {
            p->shares[i].weight += weight;
            return;
        }
    p->shares[p->share_count++] =
        (ramify_share){.reference = way->reference, .row = (uint32_t)row, .weight = weight};
}

/* Every node has a child of full weight, so below each way lies a leaf that weighs as much as the
 * way: the K + 1 heaviest ways are all that can lead to the K + 1 heaviest leaves. Depth only grows,
 * so the walk ends. */
static ramify_status find_shares(ramify_predictor *p, size_t row) {
    size_t top = p->model->top_k, count = 1;
    ramify_way *ways = p->ways;
    ways[0] = (ramify_way){.reference = p->model->root, .weight = 1};
    for (;;) {
        size_t next = 0;
        while (next < count && ways[next].reference.kind == RAMIFY_REFERENCE_MODULE)
            next++;
        if (next == count)
            break;
        RAMIFY_TRY(follow(p, row, ways, &count, top + 1, next));
    }
    double floor = count > top ? ways[top].weight : 0, sum = 0;
    count = count > top ? top : count;
    if (ways[0].weight <= floor)
        floor = 0; /* all weigh the same */
    for (size_t i = 0; i < count; i++)
        sum += ways[i].weight - floor;
    size_t first = p->share_count;
    for (size_t i = 0; i < count && ways[i].weight > floor; i++)
        add_share(p, first, row, &ways[i], (ways[i].weight - floor) / sum);
    return RAMIFY_OK;
}

static bool comes_after(const ramify_share *a, const ramify_share *b) {
    if (a->reference.offset != b->reference.offset)
        return a->reference.offset > b->reference.offset;
    return a->row > b->row;
}

/* By module in the order of the file, then by row. Shell sort: see sort_visits. */
static void sort_shares(ramify_share *shares, size_t count) {
    size_t gap = 1;
    while (gap < count / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (size_t i = gap; i < count; i++) {
            ramify_share moved = shares[i];
            size_t at = i;
            for (; at >= gap && comes_after(&shares[at - gap], &moved); at -= gap)
                shares[at] = shares[at - gap];
            shares[at] = moved;
        }
}

/* Runs one module for the rows that share in it. */
static ramify_status run_module(ramify_predictor *p, const double *x, size_t x_stride,
                                const ramify_share *shares, size_t count) {
    ramify_model *model = p->model;
    uint32_t outputs = model->outputs;
    for (size_t i = 0; i < count; i++)
        p->sorted[i] = shares[i].row;
    ramify_batch batch = {.module = shares->reference.id,
                          .group = shares->reference.group,
                          .rows = p->sorted,
                          .count = count,
                          .x = x,
                          .x_stride = x_stride};
    const bool sums = ramify_predictor_sums(p, batch.group);
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(p->context, model, &model->experts, &shares->reference, false,
                                    &p->traffic, &batch.record, &slot));
    if (!sums)
        batch.features = ramify_predictor_gather(p, p->features, p->ldf, p->sorted, count, false);
    ramify_status status =
        sums ? ramify_predictor_sum(p, &batch)
             : ramify_predictor_answer(p, batch.module, batch.record, count, batch.features);
    ramify_store_release(model, &model->experts, slot);
    RAMIFY_TRY(status);
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < outputs; j++) {
            double value =
                sums ? model->head_center[j] + model->head_scale[j] * p->values[i * outputs + j]
                     : ramify_model_value(model, j, p->output[i * p->ldo + j]);
            p->blended[(size_t)shares[i].row * outputs + j] += shares[i].weight * value;
        }
    return RAMIFY_OK;
}

/* Of a piece of encoded rows. */
static ramify_status find_all_shares(ramify_predictor *p, size_t rows) {
    p->share_count = 0;
    for (size_t row = 0; row < rows; row++)
        RAMIFY_TRY(find_shares(p, row));
    sort_shares(p->shares, p->share_count);
    return RAMIFY_OK;
}

ramify_status ramify_predictor_find_shares(ramify_predictor *predictor, size_t rows,
                                           const double *x, size_t x_stride) {
    ramify_predictor_encode(predictor, rows, x, x_stride, false);
    return find_all_shares(predictor, rows);
}

ramify_status ramify_predictor_blend(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride) {
    ramify_predictor *p = predictor;
    ramify_predictor_encode(p, rows, x, x_stride, true);
    memset(p->blended, 0, rows * p->model->outputs * sizeof *p->blended);
    RAMIFY_TRY(find_all_shares(p, rows));
    for (size_t first = 0, end; first < p->share_count; first = end) {
        end = first + 1;
        while (end < p->share_count &&
               p->shares[end].reference.offset == p->shares[first].reference.offset)
            end++;
        RAMIFY_TRY(run_module(p, x, x_stride, p->shares + first, end - first));
    }
    return RAMIFY_OK;
}

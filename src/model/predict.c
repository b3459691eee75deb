/* Predicting. A piece of rows goes through the stem; its rows sink down the tree in groups, so that
 * every node is read once per piece; groups that end in the same module are run together, modules
 * in the order in which they lie in the file.
 *
 * No arithmetic here mixes rows, and the kernels promise the same: a row's result does not depend
 * on its neighbours. */

#include "predict.h"
#include "blend.h"
#include "memory.h"
#include "status.h"
#include "text.h"
#include "threads.h"

#include <string.h>

/* Carves arrays from one block; with base NULL it only counts. */
typedef struct carving {
    unsigned char *base;
    uint64_t used;
} carving;

static void *carve(carving *from, uint64_t count, uint64_t size) {
    void *part = from->base ? from->base + from->used : NULL;
    from->used += ramify_align(count * size);
    return part;
}

static bool features_are_plain(const ramify_stem *stem) {
    return !stem->bins && stem->frequencies == 0;
}

/* What routing and running experts needs. Every factor is capped (rows 2^12, widths 2^18), so the
 * sums stay far below 2^64. */
static void lay_out_tree(ramify_predictor *p, carving *from, const ramify_predictor_of *of,
                         size_t rows) {
    const ramify_stem *stem = of->stem;
    const ramify_module_shape *shape = of->shape;
    size_t widest = p->ldf > p->ldt ? p->ldf : p->ldt;
    if (!features_are_plain(stem))
        p->features = carve(from, rows * p->ldf, sizeof *p->features);
    if (stem->route)
        p->point = carve(from, of->arity > 0 ? rows * p->ldt : 0, sizeof *p->point);
    p->gathered = carve(from, rows > 1 ? rows * widest : 0, sizeof *p->gathered);
    p->distance = carve(from, (uint64_t)rows * of->arity, sizeof *p->distance);
    p->sorted = carve(from, rows, sizeof *p->sorted);
    p->choice = carve(from, rows, sizeof *p->choice);
    p->groups = carve(from, rows, sizeof *p->groups);
    p->visits = carve(from, rows, sizeof *p->visits);
    size_t scratch = shape->type->scratch_bytes(shape, rows);
    if (of->series) {
        scratch = ramify_larger(scratch, ramify_series_scratch(of->series, false));
        p->values = carve(from, (uint64_t)rows * of->series->outputs, sizeof *p->values);
    }
    p->scratch = carve(from, scratch, 1);
    if (of->top_k > 1 && of->arity > 0) {
        p->shares = carve(from, (uint64_t)rows * of->top_k, sizeof *p->shares);
        p->ways = carve(from, (uint64_t)of->top_k + 1, sizeof *p->ways);
        p->blended = carve(from, rows * shape->type->outputs(shape), sizeof *p->blended);
    }
}

/* Sets the predictor's pointers into `base` and returns the bytes of all of it. */
static uint64_t lay_out(ramify_predictor *p, unsigned char *base, const ramify_predictor_of *of,
                        size_t rows) {
    carving from = {.base = base};
    carve(&from, 1, sizeof *p);
    p->rows = rows;
    p->ldp = ramify_pad(of->stem->plain);
    p->ldf = ramify_pad(of->stem->features);
    p->ldt = ramify_pad(of->stem->routes);
    p->ldo = ramify_pad(of->paraformer ? of->paraformer->head.outputs
                                       : of->shape->type->outputs(of->shape));
    p->raw = carve(&from, (uint64_t)rows * of->stem->columns, sizeof *p->raw);
    p->plain = carve(&from, rows * p->ldp, sizeof *p->plain);
    p->output = carve(&from, rows * p->ldo, sizeof *p->output);
    p->order = carve(&from, rows, sizeof *p->order);
    p->leaves = carve(&from, of->paraformer ? 1 : rows, sizeof *p->leaves);
    p->features = p->point = p->plain;
    if (of->paraformer)
        from.used += ramify_paraformer_carve(of->paraformer, rows, of->workers,
                                             base ? base + from.used : NULL, &p->paraformer);
    else
        lay_out_tree(p, &from, of, rows);
    return from.used;
}

uint64_t ramify_predictor_bytes(const ramify_predictor_of *of, size_t rows) {
    ramify_predictor counted;
    return ramify_block_bytes(lay_out(&counted, NULL, of, rows));
}

static ramify_predictor_of predictor_of(const ramify_model *model, uint32_t workers) {
    return (ramify_predictor_of){.stem = &model->stem,
                                 .shape = &model->shape,
                                 .series = ramify_model_series(model),
                                 .paraformer = ramify_model_paraformer(model),
                                 .arity = model->limits.arity,
                                 .top_k = model->top_k,
                                 .workers = workers};
}

static uint64_t predictor_bytes(const ramify_model *model, uint32_t workers, size_t rows) {
    const ramify_predictor_of of = predictor_of(model, workers);
    return ramify_predictor_bytes(&of, rows) +
           (model->notes_wanted ? ramify_notes_bytes(model, rows) : 0);
}

uint64_t ramify_model_predictor_bytes(const ramify_model *model, size_t rows) {
    if (ramify_model_paraformer(model))
        rows = ramify_paraformer_rows(&model->paraformer, rows);
    return predictor_bytes(model, 1, rows);
}

/* Counts a predictor, if the bound allows for one more. */
static ramify_status admit_predictor(ramify_context *context, ramify_model *model) {
    pthread_mutex_lock(&model->lock);
    bool fits = model->bound == 0 || model->predictors_alive < model->predictors;
    model->predictors_alive += fits;
    pthread_mutex_unlock(&model->lock);
    if (fits)
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                       "%s: the bound of %llu bytes was divided among %u predictors, which are all "
                       "there: destroy one, or open the model for more (predictors) or with a "
                       "larger bound (resident_bytes)",
                       model->source.name, (unsigned long long)model->bound, model->predictors);
}

static void dismiss_predictor(ramify_model *model) {
    pthread_mutex_lock(&model->lock);
    model->predictors_alive--;
    pthread_mutex_unlock(&model->lock);
}

/* Threads that branches are dealt to, within what the bound allows a predictor. */
static uint32_t branch_workers(const ramify_context *context, const ramify_model *model) {
    uint32_t workers = ramify_threads(context);
    if (!ramify_paraformer_shares_branches(model->branches, workers))
        workers = workers < model->branches ? workers : model->branches;
    while (model->bound > 0 && workers > 1 &&
           predictor_bytes(model, workers, 1) > model->predictor_allowance)
        workers--;
    return workers;
}

/* workers: threads that the branches of a Para-Former may be dealt to. */
static ramify_status create(ramify_context *context, ramify_model *model, size_t rows,
                            uint32_t workers, ramify_predictor **predictor) {
    const ramify_kernels *kernels = ramify_kernels_select(ramify_isa(context));
    if (!kernels)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "this build has no kernels for the instruction set %s",
                           ramify_isa(context));
    rows = rows > RAMIFY_PIECE_ROWS_MAX ? RAMIFY_PIECE_ROWS_MAX : rows;
    rows = rows > 0 ? rows : 1;
    if (ramify_model_paraformer(model))
        rows = ramify_paraformer_rows(&model->paraformer, rows);
    while (model->bound > 0 && rows > 1 &&
           predictor_bytes(model, workers, rows) > model->predictor_allowance)
        rows -= rows > 16 ? rows / 16 : 1;
    const ramify_predictor_of of = predictor_of(model, workers);
    uint64_t bytes = ramify_predictor_bytes(&of, rows);
    if (bytes > SIZE_MAX)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY,
                           "a predictor of %llu bytes cannot be addressed",
                           (unsigned long long)bytes);
    if (workers > 1)
        RAMIFY_TRY(ramify_parallel_start(context));
    RAMIFY_TRY(admit_predictor(context, model));
    ramify_predictor *made = ramify_allocate(context, (size_t)(bytes - ramify_block_bytes(0)), 1);
    if (!made) {
        dismiss_predictor(model);
        return RAMIFY_ERROR_MEMORY;
    }
    memset(made, 0, sizeof *made);
    lay_out(made, (unsigned char *)made, &of, rows);
    made->context = context;
    made->model = model;
    made->kernels = kernels;
    made->bytes = bytes;
    ramify_model_hold(model, &model->predictor_bytes, (int64_t)bytes);
    ramify_status status = RAMIFY_OK;
    if (model->notes_wanted && model->notes.distances > 0)
        status = ramify_notes_take(made);
    if (status != RAMIFY_OK)
        ramify_predictor_destroy(&made);
    else
        *predictor = made;
    return status;
}

ramify_status ramify_predictor_create_inside(ramify_context *context, ramify_model *model,
                                             size_t rows, ramify_predictor **predictor) {
    return create(context, model, rows, 1, predictor);
}

ramify_status ramify_predictor_create_alone(ramify_context *context, ramify_model *model,
                                            size_t rows, ramify_predictor **predictor) {
    uint32_t workers = ramify_model_paraformer(model) ? branch_workers(context, model) : 1;
    return create(context, model, rows, workers, predictor);
}

ramify_status ramify_predictor_create(ramify_context *context, ramify_model *model, size_t rows,
                                      ramify_predictor **predictor) {
    ramify_clear(context);
    if (!model || !predictor)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predictor_create: model or predictor is NULL");
    return ramify_predictor_create_alone(context, model, rows, predictor);
}

void ramify_predictor_destroy(ramify_predictor **predictor) {
    if (!predictor || !*predictor)
        return;
    ramify_predictor *old = *predictor;
    *predictor = NULL;
    dismiss_predictor(old->model);
    ramify_model_hold(old->model, &old->model->predictor_bytes, -(int64_t)old->bytes);
    ramify_release(old->context, old->gradient_memory);
    ramify_release(old->context, old->notes);
    ramify_release(old->context, old);
}

void ramify_predictor_report(ramify_predictor *predictor) {
    ramify_model *model = predictor->model;
    const ramify_traffic *traffic = &predictor->traffic;
    if (traffic->hits > 0)
        atomic_fetch_add_explicit(&model->hits, traffic->hits, memory_order_relaxed);
    if (traffic->misses > 0)
        atomic_fetch_add_explicit(&model->misses, traffic->misses, memory_order_relaxed);
    if (traffic->bytes_read > 0)
        atomic_fetch_add_explicit(&model->bytes_read, traffic->bytes_read, memory_order_relaxed);
    predictor->traffic = (ramify_traffic){0};
}

const float *ramify_predictor_gather(ramify_predictor *p, const float *from, size_t ld,
                                     const uint32_t *rows, size_t count, bool all) {
    if (all)
        return from;
    if (count == 1)
        return from + rows[0] * ld;
    for (size_t i = 0; i < count; i++)
        memcpy(p->gathered + i * ld, from + rows[i] * ld, ld * sizeof *from);
    return p->gathered;
}

static uint32_t nearest(const float *distance, uint32_t children) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < children; i++)
        if (distance[i] < distance[best])
            best = i;
    return best;
}

/* Sorts the rows of a group by the child they go to, keeping their order, and pushes a group for
 * every child that gets rows, the first child on top. Groups are disjoint and not empty, so there
 * are never more of them than rows. */
static size_t split_group(ramify_predictor *p, const ramify_row_group *group,
                          const ramify_reference *references, uint32_t children, size_t top) {
    uint32_t count[RAMIFY_ARITY_MAX] = {0};
    uint32_t start[RAMIFY_ARITY_MAX];
    uint32_t *rows = p->order + group->start;
    for (uint32_t i = 0; i < group->count; i++)
        count[p->choice[i]]++;
    for (uint32_t c = 0, next = 0; c < children; c++) {
        start[c] = next;
        next += count[c];
    }
    for (uint32_t c = children; c-- > 0;)
        if (count[c] > 0)
            p->groups[top++] = (ramify_row_group){.reference = references[c],
                                                  .start = group->start + start[c],
                                                  .count = count[c],
                                                  .depth = group->depth + 1};
    if (group->count > 1) {
        memcpy(p->sorted, rows, group->count * sizeof *rows);
        for (uint32_t i = 0; i < group->count; i++)
            rows[start[p->choice[i]]++] = p->sorted[i];
    }
    return top;
}

/* Takes a group one node down. */
static ramify_status descend(ramify_predictor *p, const ramify_row_group *group, size_t rows,
                             size_t *top) {
    ramify_model *model = p->model;
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(p->context, model, &model->nodes, &group->reference,
                                    group->depth < model->kept_levels, &p->traffic, &record,
                                    &slot));
    const ramify_node_header *node = record;
    ramify_status status =
        ramify_node_check_place(p->context, &model->source, &group->reference, node, group->depth);
    if (status == RAMIFY_OK) {
        uint32_t children = node->children;
        const float *points = ramify_predictor_gather(p, p->point, p->ldt, p->order + group->start,
                                                      group->count, group->count == rows);
        p->kernels->distances(group->count, children, model->limits.dims, points, p->ldt,
                              ramify_node_prototypes(node, children), p->ldt, p->distance,
                              children);
        for (uint32_t i = 0; i < group->count; i++)
            p->choice[i] = nearest(p->distance + (size_t)i * children, children);
        for (uint32_t i = 0; p->nearness && i < group->count; i++)
            p->nearness[p->order[group->start + i]] =
                p->distance[(size_t)i * children + p->choice[i]];
        *top = split_group(p, group, ramify_node_references(record), children, *top);
    }
    ramify_store_release(model, &model->nodes, slot);
    return status;
}

/* Rows 0 .. rows-1 of the piece sink to their leaves. The depth of every node read is what the way
 * down says, and below limits.depth: the walk ends. */
ramify_status ramify_predictor_route(ramify_predictor *p, size_t rows) {
    for (size_t i = 0; i < rows; i++)
        p->order[i] = (uint32_t)i;
    if (ramify_model_paraformer(p->model)) {
        p->leaves[0] = (ramify_row_group){.count = (uint32_t)rows};
        p->leaf_count = 1;
        return RAMIFY_OK;
    }
    p->leaf_count = 0;
    p->groups[0] = (ramify_row_group){.reference = p->model->root, .count = (uint32_t)rows};
    size_t top = 1;
    while (top > 0) {
        ramify_row_group group = p->groups[--top];
        if (group.reference.kind == RAMIFY_REFERENCE_MODULE)
            p->leaves[p->leaf_count++] = group;
        else
            RAMIFY_TRY(descend(p, &group, rows, &top));
    }
    return RAMIFY_OK;
}

/* Shell sort (Ciura's gaps are for short lists; 3k+1 is simple): the C library's qsort may
 * allocate. Leaves mostly come in order already. */
static void sort_visits(ramify_visit *visits, size_t count) {
    size_t gap = 1;
    while (gap < count / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (size_t i = gap; i < count; i++) {
            ramify_visit moved = visits[i];
            size_t at = i;
            for (; at >= gap && visits[at - gap].offset > moved.offset; at -= gap)
                visits[at] = visits[at - gap];
            visits[at] = moved;
        }
}

/* Runs one module for the groups of visits[first .. end), which all lead to it. */
static ramify_status visit_module(ramify_predictor *p, size_t rows, const double *x,
                                  size_t x_stride, size_t first, size_t end, ramify_batch_run run,
                                  void *argument) {
    ramify_model *model = p->model;
    const ramify_row_group *leaf = &p->leaves[p->visits[first].leaf];
    ramify_batch batch = {.module = leaf->reference.id,
                          .group = leaf->reference.group,
                          .rows = p->order + leaf->start,
                          .count = leaf->count,
                          .x = x,
                          .x_stride = x_stride};
    if (end - first > 1) {
        size_t count = 0;
        for (size_t i = first; i < end; i++) {
            const ramify_row_group *part = &p->leaves[p->visits[i].leaf];
            memcpy(p->sorted + count, p->order + part->start, part->count * sizeof *p->order);
            count += part->count;
        }
        batch.rows = p->sorted;
        batch.count = count;
    }
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(p->context, model, &model->experts, &leaf->reference, false,
                                    &p->traffic, &batch.record, &slot));
    bool in_order = leaf->count == rows; /* sorting into one group keeps the order */
    if (!ramify_predictor_sums(p, batch.group))
        batch.features =
            ramify_predictor_gather(p, p->features, p->ldf, batch.rows, batch.count, in_order);
    ramify_status status = run(p, &batch, argument);
    ramify_store_release(model, &model->experts, slot);
    return status;
}

void ramify_predictor_encode(ramify_predictor *p, size_t rows, const double *x, size_t x_stride,
                             bool features) {
    const ramify_model *model = p->model;
    ramify_stem_plain(p->kernels, &model->stem, rows, x, x_stride, p->plain, p->ldp);
    if (features && p->features != p->plain)
        ramify_stem_features(p->kernels, &model->stem, rows, p->plain, p->ldp, p->features, p->ldf);
    if (p->point != p->plain && model->limits.nodes > 0)
        ramify_stem_route(p->kernels, &model->stem, rows, p->plain, p->ldp, p->point, p->ldt);
}

ramify_status ramify_predictor_find_experts(ramify_predictor *predictor, size_t rows,
                                            const double *x, size_t x_stride, uint32_t *experts) {
    ramify_predictor *p = predictor;
    for (size_t first = 0; first < rows; first += p->rows) {
        size_t count = rows - first < p->rows ? rows - first : p->rows;
        ramify_predictor_encode(p, count, x + first * x_stride, x_stride, false);
        RAMIFY_TRY(ramify_predictor_route(p, count));
        for (size_t i = 0; i < p->leaf_count; i++)
            for (uint32_t r = 0; r < p->leaves[i].count; r++)
                experts[first + p->order[p->leaves[i].start + r]] = p->leaves[i].reference.id;
    }
    ramify_predictor_report(p);
    return RAMIFY_OK;
}

ramify_status ramify_predictor_visit(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride, ramify_batch_run run, void *argument) {
    ramify_predictor *p = predictor;
    ramify_predictor_encode(p, rows, x, x_stride, true);
    RAMIFY_TRY(ramify_predictor_route(p, rows));
    for (size_t i = 0; i < p->leaf_count; i++)
        p->visits[i] = (ramify_visit){.offset = p->leaves[i].reference.offset, .leaf = (uint32_t)i};
    sort_visits(p->visits, p->leaf_count);
    for (size_t first = 0, end; first < p->leaf_count; first = end) {
        end = first + 1;
        while (end < p->leaf_count && p->visits[end].offset == p->visits[first].offset)
            end++;
        RAMIFY_TRY(visit_module(p, rows, x, x_stride, first, end, run, argument));
    }
    return RAMIFY_OK;
}

/* Where the outputs of a piece go: one of the two. */
typedef struct target {
    double *doubles;
    float *floats;
    size_t stride;
} target;

ramify_status ramify_predictor_check(const ramify_predictor *p, uint32_t module,
                                     const float *values, size_t rows, size_t columns,
                                     size_t stride) {
    /* A finite number times 0 is 0; infinity and NaN make NaN, and NaN stays in a sum. */
    float sum = 0;
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < columns; j++)
            sum += values[row * stride + j] * 0.0F;
    if (sum == 0.0F)
        return RAMIFY_OK;
    return ramify_damaged(
        p->context, &p->model->source,
        "tensor \"experts.0\", module %u: its weights are so large that what it computes is not "
        "finite",
        module);
}

/* Which row of the caller's it is, is not known here: a piece may be any part of a table. */
static ramify_status refuse_row(const ramify_predictor *p, const ramify_batch *batch, size_t place,
                                uint32_t column) {
    const char *name = p->model->schema->columns[column].name;
    char excerpt[RAMIFY_EXCERPT_BYTES];
    return ramify_fail(
        p->context, RAMIFY_ERROR_DATA,
        "%s: a row with %.9g in column \"%s\" lies outside the box of the training rows, and this "
        "model refuses such rows (leave them out, or train with outside clamp)",
        p->model->source.name, batch->x[batch->rows[place] * batch->x_stride + column],
        ramify_text_excerpt(name, strlen(name), excerpt));
}

ramify_status ramify_predictor_sum(ramify_predictor *p, const ramify_batch *batch) {
    uint32_t column = 0;
    size_t done =
        ramify_series_run(p->kernels, &p->model->series, batch->record, batch->x, batch->x_stride,
                          batch->rows, batch->count, p->values, p->scratch, &column);
    if (done < batch->count)
        return refuse_row(p, batch, done, column);
    double sum = 0;
    for (size_t i = 0; i < batch->count * p->model->outputs; i++)
        sum += p->values[i] * 0.0;
    if (sum == 0.0)
        return RAMIFY_OK;
    return ramify_damaged(p->context, &p->model->source,
                          "tensor \"experts.%u\", module %u: its coefficients are so large that "
                          "their sum is not finite",
                          batch->group, batch->module);
}

ramify_status ramify_predictor_answer(ramify_predictor *p, uint32_t module, const void *record,
                                      size_t count, const float *features) {
    const ramify_model *model = p->model;
    model->shape.type->run(p->kernels, &model->shape, record, count, features, p->ldf, p->output,
                           p->ldo, p->scratch);
    RAMIFY_TRY(ramify_predictor_check(p, module, p->output, count, model->outputs, p->ldo));
    if (model->targets == 0)
        p->kernels->softmax(count, model->outputs, p->output, p->ldo, p->output, p->ldo);
    return RAMIFY_OK;
}

static void put(const target *to, size_t at, double value) {
    if (to->doubles)
        to->doubles[at] = value;
    else if (to->floats)
        to->floats[at] = (float)value;
}

static ramify_status predict_batch(ramify_predictor *p, const ramify_batch *batch, void *argument) {
    const target *to = argument;
    const ramify_model *model = p->model;
    if (ramify_predictor_sums(p, batch->group)) {
        RAMIFY_TRY(ramify_predictor_sum(p, batch));
        for (size_t i = 0; i < batch->count; i++)
            for (uint32_t j = 0; j < model->outputs; j++)
                put(to, batch->rows[i] * to->stride + j,
                    model->head_center[j] +
                        model->head_scale[j] * p->values[i * model->outputs + j]);
        return RAMIFY_OK;
    }
    RAMIFY_TRY(
        ramify_predictor_answer(p, batch->module, batch->record, batch->count, batch->features));
    for (size_t i = 0; i < batch->count; i++)
        for (uint32_t j = 0; j < model->outputs; j++)
            put(to, batch->rows[i] * to->stride + j,
                ramify_model_value(model, j, p->output[i * p->ldo + j]));
    return RAMIFY_OK;
}

static ramify_status predict_branches(ramify_predictor *p, size_t rows, const double *x,
                                      size_t x_stride, const target *to) {
    const ramify_model *model = p->model;
    ramify_stem_plain(p->kernels, &model->stem, rows, x, x_stride, p->plain, p->ldp);
    RAMIFY_TRY(ramify_predictor_route(p, rows));
    RAMIFY_TRY(ramify_paraformer_run(p, rows));
    if (model->targets == 0)
        p->kernels->softmax(rows, model->outputs, p->output, p->ldo, p->output, p->ldo);
    for (size_t row = 0; row < rows; row++)
        for (uint32_t j = 0; j < model->outputs; j++)
            put(to, row * to->stride + j,
                ramify_model_value(model, j, p->output[row * p->ldo + j]));
    return RAMIFY_OK;
}

/* A piece of rows. */
static ramify_status predict_piece(ramify_predictor *p, size_t rows, const double *x,
                                   size_t x_stride, target to) {
    if (ramify_model_paraformer(p->model))
        return predict_branches(p, rows, x, x_stride, &to);
    if (!p->blended)
        return ramify_predictor_visit(p, rows, x, x_stride, predict_batch, &to);
    RAMIFY_TRY(ramify_predictor_blend(p, rows, x, x_stride));
    for (size_t row = 0; row < rows; row++)
        for (uint32_t j = 0; j < p->model->outputs; j++)
            put(&to, row * to.stride + j, p->blended[row * p->model->outputs + j]);
    return RAMIFY_OK;
}

ramify_status ramify_predictor_run(ramify_predictor *predictor, size_t rows, const double *x,
                                   size_t x_stride, double *y, size_t y_stride) {
    ramify_status status = RAMIFY_OK;
    for (size_t first = 0; first < rows && status == RAMIFY_OK; first += predictor->rows) {
        size_t count = rows - first < predictor->rows ? rows - first : predictor->rows;
        target to = {.doubles = y + first * y_stride, .stride = y_stride};
        status = predict_piece(predictor, count, x + first * x_stride, x_stride, to);
    }
    ramify_predictor_report(predictor);
    return status;
}

static ramify_status run_floats(ramify_predictor *p, size_t rows, const float *x, size_t x_stride,
                                float *y, size_t y_stride) {
    uint32_t columns = p->model->stem.columns;
    ramify_status status = RAMIFY_OK;
    for (size_t first = 0; first < rows && status == RAMIFY_OK; first += p->rows) {
        size_t count = rows - first < p->rows ? rows - first : p->rows;
        for (size_t row = 0; row < count; row++)
            for (uint32_t c = 0; c < columns; c++)
                p->raw[row * columns + c] = (double)x[(first + row) * x_stride + c];
        target to = {.floats = y + first * y_stride, .stride = y_stride};
        status = predict_piece(p, count, p->raw, columns, to);
    }
    ramify_predictor_report(p);
    return status;
}

/* Strides matter only where there is a second row. */
static ramify_status check_arguments(ramify_predictor *p, size_t rows, const void *x,
                                     size_t x_stride, const void *y, size_t y_stride) {
    ramify_clear(p->context);
    if (rows > 0 && (!x || !y))
        return ramify_fail(p->context, RAMIFY_ERROR_ARGUMENT, "ramify_predict: x or y is NULL");
    if (rows > 1 && (x_stride < p->model->stem.columns || y_stride < p->model->outputs))
        return ramify_fail(p->context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict: strides of %zu and %zu numbers, the model takes %u and "
                           "gives %u per row",
                           x_stride, y_stride, p->model->stem.columns, p->model->outputs);
    return RAMIFY_OK;
}

ramify_status ramify_predict(ramify_predictor *predictor, size_t rows, const float *x,
                             size_t x_stride, float *y, size_t y_stride) {
    RAMIFY_TRY(check_arguments(predictor, rows, x, x_stride, y, y_stride));
    return run_floats(predictor, rows, x, x_stride, y, y_stride);
}

ramify_status ramify_predict_double(ramify_predictor *predictor, size_t rows, const double *x,
                                    size_t x_stride, double *y, size_t y_stride) {
    RAMIFY_TRY(check_arguments(predictor, rows, x, x_stride, y, y_stride));
    return ramify_predictor_run(predictor, rows, x, x_stride, y, y_stride);
}

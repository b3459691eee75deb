/* Pruning a Para-Former: weights of its branches' matrices, hidden units of all its layers alike, or whole
 * branches, those first without which validation rows are answered best. Zeros are stored with the
 * others; fewer units or branches make a smaller Para-Former. */

#include "annotate.h"
#include "memory.h"
#include "paraformer_fit.h"
#include "paraformer_train.h"
#include "progress.h"
#include "prune_kind.h"
#include "random.h"
#include "repack.h"
#include "score.h"
#include "status.h"
#include "temperature.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A layer's hidden units are a multiple of so many. */
#define UNITS 16
/* Matrices of a layer: keys, queries and values; what mixes heads; two of the network. */
#define MATRICES 4

/* Weights of a Para-Former and which of them are left. */
typedef struct pieces {
    ramify_paraformer_shape shape;
    ramify_paraformer_parts parts;
    float *vector, *mask; /* parts.floats of each; owned */
} pieces;

typedef struct branch_pruning {
    ramify_repack base; /* its rows alone */
    ramify_prune_plan plan;
    ramify_paraformer_plan fit;
    ramify_rows held; /* validation rows */
    uint64_t all;     /* weights that could be pruned, of the model as it was */
    pieces now, kept;
    ramify_pruned state, kept_state;
} branch_pruning;

static void pieces_clear(ramify_context *context, pieces *p) {
    ramify_release(context, p->vector);
    ramify_release(context, p->mask);
    *p = (pieces){0};
}

static ramify_status pieces_make(ramify_context *context, const ramify_paraformer_shape *shape,
                                 pieces *made) {
    *made = (pieces){.shape = *shape, .parts = ramify_paraformer_parts_of(shape)};
    made->vector = ramify_allocate_zeroed(context, made->parts.floats, sizeof(float));
    made->mask = ramify_allocate_zeroed(context, made->parts.floats, sizeof(float));
    if (made->vector && made->mask)
        return RAMIFY_OK;
    pieces_clear(context, made);
    return RAMIFY_ERROR_MEMORY;
}

static ramify_status pieces_copy(ramify_context *context, const pieces *from, pieces *to) {
    pieces copy;
    RAMIFY_TRY(pieces_make(context, &from->shape, &copy));
    memcpy(copy.vector, from->vector, from->parts.floats * sizeof(float));
    memcpy(copy.mask, from->mask, from->parts.floats * sizeof(float));
    pieces_clear(context, to);
    *to = copy;
    return RAMIFY_OK;
}

/* Where the matrices of layer l of a branch lie in a vector, and how many weights they have. */
static size_t matrices_of(const pieces *p, uint32_t branch, uint32_t l, size_t begin[MATRICES],
                          size_t count[MATRICES]) {
    const ramify_branch_layer at = ramify_branch_layout(&p->shape.branch);
    const size_t d = p->shape.branch.width, hidden = p->shape.branch.hidden;
    size_t floats, layer = ramify_paraformer_part(&p->parts, branch + 1, &floats);
    layer += l * at.floats;
    const size_t begins[] = {at.qkv, at.out, at.fc1, at.fc2};
    const size_t counts[] = {3 * d * d, d * d, hidden * d, d * hidden};
    size_t all = 0;
    for (size_t i = 0; i < MATRICES; i++) {
        begin[i] = layer + begins[i];
        count[i] = counts[i];
        all += counts[i];
    }
    return all;
}

static uint64_t weights_left(const pieces *p) {
    uint64_t left = 0;
    size_t begin[MATRICES], count[MATRICES];
    for (uint32_t b = 0; b < p->shape.branches; b++)
        for (uint32_t l = 0; l < p->shape.branch.depth; l++) {
            matrices_of(p, b, l, begin, count);
            for (size_t i = 0; i < MATRICES; i++)
                for (size_t j = 0; j < count[i]; j++)
                    left += p->mask[begin[i] + j] != 0;
        }
    return left;
}

/* Weights that are zero count as gone. */
static void set_mask(pieces *p) {
    size_t begin[MATRICES], count[MATRICES];
    for (size_t i = 0; i < p->parts.floats; i++)
        p->mask[i] = 1;
    for (uint32_t b = 0; b < p->shape.branches; b++)
        for (uint32_t l = 0; l < p->shape.branch.depth; l++) {
            matrices_of(p, b, l, begin, count);
            for (size_t i = 0; i < MATRICES; i++)
                for (size_t j = 0; j < count[i]; j++)
                    p->mask[begin[i] + j] = p->vector[begin[i] + j] != 0.0F;
        }
}

/* --- Opening ---------------------------------------------------------------------------------- */

static ramify_status take_weights(ramify_context *context, ramify_model *model, pieces *to) {
    ramify_traffic traffic = {0};
    RAMIFY_TRY(pieces_make(context, &model->paraformer, to));
    const ramify_paraformer_weights at = ramify_paraformer_weights_in(&to->shape, to->vector);
    memcpy(at.embedding, model->embedding, to->parts.embedding * sizeof(float));
    memcpy(at.head, model->head, to->parts.head * sizeof(float));
    for (uint32_t b = 0; b < to->shape.branches; b++) {
        const void *record;
        uint32_t slot;
        ramify_status status = ramify_store_acquire(
            context, model, &model->experts, &model->branch[b], false, &traffic, &record, &slot);
        if (status != RAMIFY_OK) {
            pieces_clear(context, to);
            return status;
        }
        memcpy(at.branch + b * to->parts.branch, record, to->parts.branch * sizeof(float));
        ramify_store_release(model, &model->experts, slot);
    }
    set_mask(to);
    return RAMIFY_OK;
}

static ramify_paraformer_passes passes_of(const char *name) {
    if (name && strcmp(name, "progressive") == 0)
        return RAMIFY_PASSES_BOTH;
    return name && strcmp(name, "prefixes") == 0 ? RAMIFY_PASSES_PREFIXES : RAMIFY_PASSES_WHOLE;
}

/* As the model was trained, but for images, which stay as they are. */
static void plan_fit(branch_pruning *p, const ramify_trained *training) {
    json_t *config = json_loads(p->base.model->config, 0, NULL);
    const json_t *recipe = json_object_get(config, "recipe");
    ramify_paraformer_plan *fit = &p->fit;
    ramify_paraformer_plan_init(passes_of(json_string_value(json_object_get(recipe, "passes"))),
                                fit);
    fit->epochs = training->epochs > 0 ? training->epochs : fit->epochs;
    fit->epochs = p->plan.epochs > 0 ? p->plan.epochs : fit->epochs;
    fit->batch = training->batch > 0 ? training->batch : fit->batch;
    fit->rate = training->rate > 0 ? training->rate : fit->rate;
    fit->rate = p->plan.rate > 0 ? p->plan.rate : fit->rate;
    fit->decay = training->decay >= 0 ? training->decay : fit->decay;
    fit->seed = p->plan.own_seed ? p->plan.seed : training->seed;
    fit->stop_at = p->plan.deadline;
    fit->keep_last = true; /* validation rows are to tell errors, not to choose by */
    if (p->plan.restart == RAMIFY_PRUNE_FINE_TUNE) {
        fit->rate *= RAMIFY_FINE_TUNE_RATE;
        fit->warm_up = 0;
        fit->cosine = false;
    }
    json_decref(config);
}

/* --- Errors ----------------------------------------------------------------------------------- */

/* Of the first `branches` branches of pieces on validation rows. */
static ramify_status measure(const branch_pruning *p, const pieces *of, double *error) {
    const ramify_problem *problem = p->base.problem;
    ramify_context *context = p->base.context;
    const ramify_paraformer_weights weights = ramify_paraformer_weights_in(&of->shape, of->vector);
    const size_t stride = ramify_pad(problem->outputs), rows = p->held.count;
    float *outputs = ramify_allocate(context, rows * stride, sizeof *outputs);
    float *miss = ramify_allocate(context, rows, sizeof *miss);
    ramify_status status = outputs && miss ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_paraformer_outputs(problem, &of->shape, &weights, p->held,
                                           of->shape.branches, outputs);
    if (status == RAMIFY_OK) {
        ramify_expert_losses(problem, p->held, outputs, NULL, miss);
        *error = ramify_expert_score(problem, p->held, miss, miss).error;
        if (!problem->label)
            *error = sqrt(*error) * (problem->targets == 1 ? problem->head_scale[0] : 1.0);
    }
    ramify_release(context, outputs);
    ramify_release(context, miss);
    return status;
}

static ramify_status note_state(branch_pruning *p) {
    p->state.weights = weights_left(&p->now);
    p->state.density = (double)p->state.weights / (double)p->all;
    return measure(p, &p->now, &p->state.error);
}

static ramify_status open_all(branch_pruning *p, const ramify_table *table) {
    ramify_repack *base = &p->base;
    ramify_context *context = base->context;
    const ramify_trained training = ramify_trained_by(base->model);
    const ramify_repack_rows rows = {.weight = p->plan.weight,
                                     .group = p->plan.group,
                                     .time = p->plan.time,
                                     .validation = p->plan.validation,
                                     .seed = p->plan.seed,
                                     .own_seed = p->plan.own_seed,
                                     .divided = p->plan.divided};
    size_t begin[MATRICES], count[MATRICES];
    RAMIFY_TRY(take_weights(context, base->model, &p->now));
    RAMIFY_TRY(ramify_repack_read(base, table, &rows));
    /* Select rows and report rows lie side by side. */
    p->held = (ramify_rows){base->problem->select.row,
                            base->problem->select.count + base->problem->report.count};
    plan_fit(p, &training);
    p->all = matrices_of(&p->now, 0, 0, begin, count) * (uint64_t)p->now.shape.branch.depth *
             p->now.shape.branches;
    return note_state(p);
}

static void branches_close(void *inside) {
    branch_pruning *p = inside;
    ramify_context *context = p->base.context;
    pieces_clear(context, &p->now);
    pieces_clear(context, &p->kept);
    ramify_repack_close(&p->base);
    ramify_release(context, p);
}

ramify_status ramify_pruning_open_branches(ramify_context *context, ramify_model *model,
                                           ramify_model *rewind, const ramify_table *table,
                                           const ramify_prune_plan *plan, void **inside) {
    *inside = NULL;
    if (rewind)
        return ramify_fail(
            context, RAMIFY_ERROR_UNSUPPORTED,
            "%s: a Para-Former's weights have no rewind point: leave it out, and the "
            "schedule of their rates begins anew",
            model->source.name);
    branch_pruning *p = ramify_allocate_zeroed(context, 1, sizeof *p);
    if (!p)
        return RAMIFY_ERROR_MEMORY;
    p->base.context = context;
    p->base.model = model;
    p->plan = *plan;
    ramify_status status = open_all(p, table);
    if (status == RAMIFY_OK)
        *inside = p;
    else
        branches_close(p);
    return status;
}

static uint64_t branches_validation_rows(const void *inside) {
    const branch_pruning *p = inside;
    return p->held.count;
}

static const ramify_repack *branches_base(const void *inside) {
    const branch_pruning *p = inside;
    return &p->base;
}

static ramify_pruned branches_state(const void *inside) {
    const branch_pruning *p = inside;
    return p->state;
}

/* --- Single weights --------------------------------------------------------------------------- */

/* Weights of branches [first, end) that are left, the least worth first. */
static size_t list_weights(const branch_pruning *p, uint32_t first, uint32_t end,
                           ramify_worth *list) {
    const pieces *now = &p->now;
    size_t begin[MATRICES], count[MATRICES], found = 0;
    for (uint32_t b = first; b < end; b++) {
        ramify_random random = ramify_random_stream(p->fit.seed, RAMIFY_PURPOSE_PRUNE, b, 0);
        for (uint32_t l = 0; l < now->shape.branch.depth; l++) {
            matrices_of(now, b, l, begin, count);
            for (size_t i = 0; i < MATRICES; i++)
                for (size_t at = begin[i]; at < begin[i] + count[i]; at++) {
                    const bool chance = p->plan.score == RAMIFY_PRUNE_RANDOM;
                    const float drawn = chance ? (float)ramify_random_uniform(&random) : 0;
                    if (now->mask[at] != 0)
                        list[found++] = (ramify_worth){
                            .value = chance ? drawn : fabsf(now->vector[at]), .place = at};
                }
        }
    }
    qsort(list, found, sizeof *list, ramify_worth_compare);
    return found;
}

static ramify_status prune_weights(branch_pruning *p, double density) {
    pieces *now = &p->now;
    const uint32_t together = p->plan.per_module ? 1 : now->shape.branches;
    const uint64_t each = p->all / now->shape.branches;
    const uint64_t wanted = (uint64_t)llround(fmax(density * (double)(together * each), 1));
    ramify_worth *list = ramify_allocate(p->base.context, (size_t)(together * each), sizeof *list);
    if (!list)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t b = 0; b < now->shape.branches; b += together) {
        const size_t found = list_weights(p, b, b + together, list);
        for (size_t i = 0; i + wanted < found; i++) {
            now->mask[list[i].place] = 0;
            now->vector[list[i].place] = 0;
        }
    }
    ramify_release(p->base.context, list);
    return RAMIFY_OK;
}

/* --- Shapes ----------------------------------------------------------------------------------- */

static uint64_t weights_of(const ramify_paraformer_shape *shape) {
    const uint64_t d = shape->branch.width, hidden = shape->branch.hidden;
    return (4 * d * d + 2 * d * hidden) * shape->branch.depth * shape->branches;
}

/* The units of every layer, and the branches, that leave no more than this share of the weights; some of
 * each stay. */
static ramify_paraformer_shape shape_at(const branch_pruning *p, double density) {
    ramify_paraformer_shape shape = p->now.shape;
    const double room = density * (double)p->all;
    if (p->plan.score == RAMIFY_PRUNE_BRANCHES) {
        while (shape.branches > 1 && (double)weights_of(&shape) > room * (1 + 1e-9))
            shape.branches--;
    } else if (p->plan.score == RAMIFY_PRUNE_NEURONS) {
        const size_t d = shape.branch.width, hidden = shape.branch.hidden;
        const double layers = (double)shape.branch.depth * shape.branches;
        const double rest = room / layers - 4.0 * (double)(d * d);
        const size_t kept = rest > 0 ? (size_t)(rest / (2.0 * (double)d)) / UNITS * UNITS : 0;
        shape.branch.hidden = (uint32_t)(kept < UNITS ? UNITS : kept > hidden ? hidden : kept);
    }
    return shape;
}

static ramify_status branches_reach(void *inside, double density, double *reached) {
    const branch_pruning *p = inside;
    const ramify_paraformer_shape shape = shape_at(p, density);
    const bool whole =
        p->plan.score == RAMIFY_PRUNE_BRANCHES || p->plan.score == RAMIFY_PRUNE_NEURONS;
    const double share = whole ? (double)weights_of(&shape) / (double)p->all : density;
    *reached = fmin(share, p->state.density);
    return RAMIFY_OK;
}

/* --- Hidden units ----------------------------------------------------------------------------- */

/* The units of a layer, those with large weights first: order[hidden]. */
static void rank_units(const float *layer, const ramify_branch_layer *at, size_t d, size_t hidden,
                       ramify_worth *list, uint32_t *order) {
    for (size_t u = 0; u < hidden; u++) {
        double in = 0, out = 0;
        for (size_t i = 0; i < d; i++) {
            in += (double)layer[at->fc1 + u * d + i] * layer[at->fc1 + u * d + i];
            out += (double)layer[at->fc2 + i * hidden + u] * layer[at->fc2 + i * hidden + u];
        }
        list[u] = (ramify_worth){.value = (float)-sqrt(in * out), .place = u};
    }
    qsort(list, hidden, sizeof *list, ramify_worth_compare);
    for (size_t u = 0; u < hidden; u++)
        order[u] = (uint32_t)list[u].place;
}

/* A layer with the first `kept` of the ordered units. */
static void copy_layer(const float *from, const ramify_branch_layer *a, size_t hidden, float *to,
                       const ramify_branch_layer *b, size_t kept, size_t d, const uint32_t *order) {
    memcpy(to, from, a->fc1 * sizeof *to); /* all before it is of the same size */
    for (size_t u = 0; u < kept; u++) {
        memcpy(to + b->fc1 + u * d, from + a->fc1 + order[u] * d, d * sizeof *to);
        to[b->fc1_bias + u] = from[a->fc1_bias + order[u]];
        for (size_t i = 0; i < d; i++)
            to[b->fc2 + i * kept + u] = from[a->fc2 + i * hidden + order[u]];
    }
    memcpy(to + b->fc2_bias, from + a->fc2_bias, d * sizeof *to);
}

/* As many units in every layer as leave no more than this share of the weights. */
static ramify_status prune_units(branch_pruning *p, double density) {
    ramify_context *context = p->base.context;
    pieces fewer;
    const ramify_paraformer_shape shape = shape_at(p, density);
    const size_t d = shape.branch.width, hidden = p->now.shape.branch.hidden;
    const size_t kept = shape.branch.hidden;
    ramify_worth *list = ramify_allocate(context, hidden, sizeof *list);
    uint32_t *order = ramify_allocate(context, hidden, sizeof *order);
    ramify_status status =
        list && order ? pieces_make(context, &shape, &fewer) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        const ramify_branch_layer a = ramify_branch_layout(&p->now.shape.branch);
        const ramify_branch_layer b = ramify_branch_layout(&shape.branch);
        const ramify_paraformer_weights from =
            ramify_paraformer_weights_in(&p->now.shape, p->now.vector);
        const ramify_paraformer_weights to = ramify_paraformer_weights_in(&shape, fewer.vector);
        memcpy(to.embedding, from.embedding, fewer.parts.embedding * sizeof(float));
        memcpy(to.head, from.head, fewer.parts.head * sizeof(float));
        for (size_t l = 0; l < (size_t)shape.branch.depth * shape.branches; l++) {
            const float *layer = from.branch + l * a.floats;
            rank_units(layer, &a, d, hidden, list, order);
            copy_layer(layer, &a, hidden, to.branch + l * b.floats, &b, kept, d, order);
        }
        set_mask(&fewer);
        pieces_clear(context, &p->now);
        p->now = fewer;
    }
    ramify_release(context, list);
    ramify_release(context, order);
    return status;
}

/* --- Branches --------------------------------------------------------------------------------- */

/* All but one of the branches. */
static ramify_status leave_out(const branch_pruning *p, uint32_t branch, pieces *rest) {
    ramify_paraformer_shape shape = p->now.shape;
    shape.branches--;
    RAMIFY_TRY(pieces_make(p->base.context, &shape, rest));
    const ramify_paraformer_weights from =
        ramify_paraformer_weights_in(&p->now.shape, p->now.vector);
    const ramify_paraformer_weights to = ramify_paraformer_weights_in(&shape, rest->vector);
    const size_t floats = rest->parts.branch;
    memcpy(to.embedding, from.embedding, rest->parts.embedding * sizeof(float));
    memcpy(to.head, from.head, rest->parts.head * sizeof(float));
    for (uint32_t b = 0; b < shape.branches; b++)
        memcpy(to.branch + b * floats, from.branch + (b + (b >= branch)) * floats,
               floats * sizeof(float));
    set_mask(rest);
    return RAMIFY_OK;
}

/* Takes the branch without which validation rows are answered best. */
static ramify_status prune_branch(branch_pruning *p) {
    pieces best = {0};
    double least = INFINITY;
    for (uint32_t b = 0; b < p->now.shape.branches; b++) {
        pieces rest = {0};
        double error = INFINITY;
        ramify_status status = leave_out(p, b, &rest);
        if (status == RAMIFY_OK)
            status = measure(p, &rest, &error);
        if (status == RAMIFY_OK &&
            (ramify_cancelled(p->base.context) || ramify_late(p->plan.deadline)))
            status = ramify_fail(p->base.context, RAMIFY_STOPPED, "stopped");
        if (status != RAMIFY_OK) {
            pieces_clear(p->base.context, &rest);
            pieces_clear(p->base.context, &best);
            return status;
        }
        if (error < least || !best.vector) {
            pieces_clear(p->base.context, &best);
            best = rest;
            least = error;
        } else {
            pieces_clear(p->base.context, &rest);
        }
    }
    pieces_clear(p->base.context, &p->now);
    p->now = best;
    return RAMIFY_OK;
}

static ramify_status prune_branches(branch_pruning *p, double density) {
    const uint32_t kept = shape_at(p, density).branches;
    while (p->now.shape.branches > kept)
        RAMIFY_TRY(prune_branch(p));
    return RAMIFY_OK;
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static ramify_status run_round(branch_pruning *p, double density) {
    if (p->plan.score == RAMIFY_PRUNE_BRANCHES)
        RAMIFY_TRY(prune_branches(p, density));
    else if (p->plan.score == RAMIFY_PRUNE_NEURONS)
        RAMIFY_TRY(prune_units(p, density));
    else
        RAMIFY_TRY(prune_weights(p, density));
    const ramify_paraformer_weights weights =
        ramify_paraformer_weights_in(&p->now.shape, p->now.vector);
    ramify_paraformer_plan plan = p->fit;
    ramify_paraformer_result result;
    plan.mask = p->now.mask;
    plan.first_prefix = 1;
    RAMIFY_TRY(ramify_paraformer_fit(p->base.problem, &p->now.shape, &plan, p->base.problem->train,
                                     (ramify_rows){0}, &weights, NULL, &result));
    return note_state(p);
}

static ramify_status branches_round(void *inside, double density) {
    branch_pruning *p = inside;
    const ramify_pruned before = p->state;
    pieces copy = {0};
    RAMIFY_TRY(pieces_copy(p->base.context, &p->now, &copy));
    ramify_status status = run_round(p, density);
    if (status == RAMIFY_OK) {
        pieces_clear(p->base.context, &copy);
        return RAMIFY_OK;
    }
    pieces_clear(p->base.context, &p->now);
    p->now = copy;
    p->state = before;
    return status;
}

static ramify_status branches_keep(void *inside) {
    branch_pruning *p = inside;
    RAMIFY_TRY(pieces_copy(p->base.context, &p->now, &p->kept));
    p->kept_state = p->state;
    return RAMIFY_OK;
}

static ramify_status branches_go_back(void *inside) {
    branch_pruning *p = inside;
    if (!p->kept.vector)
        return RAMIFY_OK;
    RAMIFY_TRY(pieces_copy(p->base.context, &p->kept, &p->now));
    p->state = p->kept_state;
    return RAMIFY_OK;
}

/* Whether a shape is another's with fewer branches or hidden units. */
static bool same_but_for_pruning(const ramify_paraformer_shape *own,
                                 const ramify_paraformer_shape *other) {
    const ramify_embedding_shape *e = &own->embedding, *f = &other->embedding;
    const ramify_branch_shape *b = &own->branch, *c = &other->branch;
    return other->branches <= own->branches && c->hidden <= b->hidden && c->depth == b->depth &&
           c->width == b->width && c->heads == b->heads && c->tokens == b->tokens &&
           c->plain_skip == b->plain_skip && c->qkv_bias == b->qkv_bias &&
           c->epsilon == b->epsilon && f->width == e->width && f->tokens == e->tokens &&
           f->plain == e->plain && f->height == e->height && f->breadth == e->breadth &&
           f->channels == e->channels && f->patch == e->patch &&
           other->head.width == own->head.width && other->head.outputs == own->head.outputs &&
           other->head.epsilon == own->head.epsilon;
}

static ramify_status branches_take(void *inside, ramify_model *state) {
    branch_pruning *p = inside;
    const ramify_paraformer_shape *own = ramify_model_paraformer(p->base.model);
    const ramify_paraformer_shape *other = ramify_model_paraformer(state);
    pieces taken;
    if (!other || !same_but_for_pruning(own, other))
        return ramify_fail(p->base.context, RAMIFY_ERROR_DATA,
                           "%s does not belong to this model: its branches, embedding or head "
                           "are of another shape",
                           state->source.name);
    RAMIFY_TRY(take_weights(p->base.context, state, &taken));
    taken.shape.embedding.column = own->embedding.column;
    pieces_clear(p->base.context, &p->now);
    p->now = taken;
    return note_state(p);
}

/* --- The model -------------------------------------------------------------------------------- */

/* One factor for the outputs makes the probabilities fit on select rows. */
static ramify_status find_temperature(const branch_pruning *p, double *temperature) {
    const ramify_problem *problem = p->base.problem;
    const ramify_paraformer_weights weights =
        ramify_paraformer_weights_in(&p->now.shape, p->now.vector);
    *temperature = 1;
    if (!ramify_temperature_wanted(problem))
        return RAMIFY_OK;
    float *output = ramify_allocate(
        p->base.context, problem->select.count * ramify_pad(problem->outputs), sizeof *output);
    ramify_status status =
        output ? ramify_paraformer_outputs(problem, &p->now.shape, &weights, problem->select,
                                           p->now.shape.branches, output)
               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_temperature_of(problem, problem->select, output, temperature);
    ramify_release(p->base.context, output);
    return status;
}

/* What training said of itself, but for prefixes, which are measured anew. */
static ramify_status make_config(const branch_pruning *p, const ramify_paraformer_trained *t,
                                 json_t *about, json_t **config) {
    static const char *const left_out[] = {"embedding", "branches", "prefixes", "temperature"};
    json_t *made = ramify_dismantled_config(p->base.model);
    json_t *recipe = made ? ramify_paraformer_recipe_json(p->base.problem, t) : NULL;
    for (size_t i = 0; made && i < sizeof left_out / sizeof *left_out; i++)
        json_object_del(made, left_out[i]);
    json_t *prefixes = json_object_get(recipe, "prefixes");
    const bool good = prefixes && json_object_set(made, "prefixes", prefixes) == 0 &&
                      json_object_set(made, "pruning", about) == 0;
    json_decref(recipe);
    *config = good ? made : NULL;
    if (good)
        return RAMIFY_OK;
    json_decref(made);
    return ramify_fail(p->base.context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
}

/* Zeros are stored with the other weights, so that the shape says how long the file is. */
static ramify_status branches_size(void *inside, double density, ramify_storage storage,
                                   json_t *about, ramify_sizes *sizes) {
    branch_pruning *p = inside;
    ramify_context *context = p->base.context;
    const ramify_paraformer_shape shape = shape_at(p, density);
    ramify_paraformer_trained t = {.shape = shape, .plan = p->fit, .temperature = 1};
    /* Of which 1 - error and the root of the loss take as many characters as numbers do. */
    const ramify_fit_score longest = {.loss = RAMIFY_LONGEST_NUMBER * RAMIFY_LONGEST_NUMBER,
                                      .error = 1 / -RAMIFY_LONGEST_NUMBER};
    json_t *config = NULL;
    ramify_annotation *blank = NULL;
    ramify_model *model = NULL;
    (void)storage;
    t.memory = ramify_allocate_zeroed(context, ramify_paraformer_parts_of(&shape).floats,
                                      sizeof *t.memory);
    t.prefix = ramify_allocate_zeroed(context, shape.branches, sizeof *t.prefix);
    ramify_status status = t.memory && t.prefix ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t b = 0; status == RAMIFY_OK && b < shape.branches; b++)
        t.prefix[b] = longest;
    if (status == RAMIFY_OK) {
        t.weights = ramify_paraformer_weights_in(&shape, t.memory);
        status = make_config(p, &t, about, &config);
    }
    if (status == RAMIFY_OK &&
        json_object_set_new(config, "report", ramify_longest_report(p->base.problem)) != 0)
        status = ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = ramify_annotation_blank(p->base.problem, p->base.model, &blank);
    if (status == RAMIFY_OK)
        status = ramify_paraformer_finish(p->base.problem, &t, &blank->notes, config, &model);
    if (status == RAMIFY_OK)
        *sizes = ramify_sizes_of(model);
    ramify_close(&model);
    ramify_annotation_destroy(context, &blank);
    json_decref(config);
    ramify_release(context, t.memory);
    ramify_release(context, t.prefix);
    return status;
}

static ramify_status write_twice(const branch_pruning *p, const ramify_paraformer_trained *t,
                                 json_t *config, ramify_model **model) {
    const ramify_repack *base = &p->base;
    ramify_context *context = base->context;
    ramify_model *blank = NULL;
    ramify_annotation *annotation = NULL;
    ramify_score score;
    RAMIFY_TRY(ramify_paraformer_finish(base->problem, t, NULL, config, &blank));
    ramify_status status = ramify_score_model(context, blank, base->match, base->split->report,
                                              base->split->report_count, &score, NULL);
    if (status == RAMIFY_OK)
        status = ramify_annotate(base->problem, blank, base->match, base->split, &annotation);
    ramify_close(&blank);
    if (status == RAMIFY_OK &&
        json_object_set_new(config, "report", ramify_score_json(&score)) != 0)
        status = ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = ramify_paraformer_finish(base->problem, t, &annotation->notes, config, model);
    ramify_annotation_destroy(context, &annotation);
    return status;
}

static ramify_status make_model(const branch_pruning *p, double temperature, json_t *about,
                                ramify_model **model) {
    ramify_context *context = p->base.context;
    const ramify_paraformer_shape *shape = &p->now.shape;
    ramify_paraformer_trained t = {.shape = *shape, .plan = p->fit, .temperature = temperature};
    *model = NULL;
    t.memory = ramify_allocate(context, p->now.parts.floats, sizeof *t.memory);
    t.prefix = ramify_allocate_zeroed(context, shape->branches, sizeof *t.prefix);
    json_t *config = NULL;
    ramify_status status = t.memory && t.prefix ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        const ramify_head_layout at = ramify_head_lay_out(&shape->head);
        memcpy(t.memory, p->now.vector, p->now.parts.floats * sizeof *t.memory);
        t.weights = ramify_paraformer_weights_in(shape, t.memory);
        for (size_t i = at.weight; temperature != 1 && i < at.floats; i++)
            t.weights.head[i] *= (float)(1 / temperature);
        status = ramify_paraformer_score(p->base.problem, shape, &t.weights,
                                         p->base.problem->report, t.prefix);
    }
    if (status == RAMIFY_OK)
        status = make_config(p, &t, about, &config);
    if (status == RAMIFY_OK)
        status = write_twice(p, &t, config, model);
    json_decref(config);
    ramify_release(context, t.memory);
    ramify_release(context, t.prefix);
    return status;
}

static ramify_status branches_model(void *inside, ramify_storage storage, json_t *about,
                                    ramify_model **model) {
    const branch_pruning *p = inside;
    double temperature;
    (void)storage;
    RAMIFY_TRY(find_temperature(inside, &temperature));
    RAMIFY_TRY(make_model(inside, temperature, about, model));
    ramify_repack_warn(&p->base, *model);
    return RAMIFY_OK;
}

static ramify_status branches_give(void *inside, json_t *about, ramify_model **state) {
    return make_model(inside, 1, about, state);
}

const ramify_pruning_kind ramify_pruning_branches = {
    .close = branches_close,
    .state = branches_state,
    .validation_rows = branches_validation_rows,
    .base = branches_base,
    .round = branches_round,
    .keep = branches_keep,
    .go_back = branches_go_back,
    .give = branches_give,
    .take = branches_take,
    .size = branches_size,
    .reach = branches_reach,
    .model = branches_model,
};

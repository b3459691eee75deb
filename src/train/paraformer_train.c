/* From options to a plan, weights to start from, the fit, and what is measured of it.
 *
 * In a cluster the branches are dealt to the ranks for all of that; only then does every rank gather the
 * rest of them, as every rank makes and scores the model. */

#include "paraformer_train.h"
#include "dealt.h"
#include "draft.h"
#include "memory.h"
#include "model.h"
#include "paraformer_file.h"
#include "recipe.h"
#include "residency.h"
#include "save.h"
#include "schema.h"
#include "status.h"
#include "temperature.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where the user says nothing: the released shape's depth, and sizes for small images and tables. */
#define BRANCHES 4
#define DEPTH    2
#define WIDTH    64
#define HEADS    4
/* The hidden layer is so many times as wide as a token, as in every vision transformer. */
#define HIDDEN_FACTOR 4
#define EPSILON       1e-5f
/* The default patch is the smallest that leaves an image at most so many. */
#define PATCHES_MOST 64
/* Text of the config that says how one prefix does. */
#define PREFIX_BYTES 80

static uint32_t choose(uint32_t given, uint32_t otherwise) {
    return given > 0 ? given : otherwise;
}

/* The smallest patch that divides both sides and leaves few enough patches. */
static uint32_t default_patch(const uint32_t image[3]) {
    uint32_t side = image[0] < image[1] ? image[0] : image[1];
    for (uint32_t patch = 1; patch < side; patch++)
        if (image[0] % patch == 0 && image[1] % patch == 0 &&
            (uint64_t)(image[0] / patch) * (image[1] / patch) <= PATCHES_MOST)
            return patch;
    return side;
}

static ramify_status shape_images(const ramify_problem *problem, uint32_t patch,
                                  const uint32_t image[3], ramify_embedding_shape *shape) {
    uint64_t pixels = (uint64_t)image[0] * image[1] * image[2];
    for (uint32_t c = 0; c < problem->stem.columns; c++) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        const char *name = problem->schema->columns[c].name;
        if (problem->stem.column[c].codes > 0 || problem->stem.column[c].missing)
            return ramify_fail(
                problem->context, RAMIFY_ERROR_DATA,
                "pixels are numbers without gaps (NaN), and column \"%s\" %s: mend or "
                "leave out rows with gaps, and columns that are no pixels",
                ramify_text_excerpt(name, strlen(name), excerpt),
                problem->stem.column[c].missing ? "has some" : "holds categories");
    }
    if (problem->stem.columns != pixels)
        return ramify_fail(
            problem->context, RAMIFY_ERROR_DATA,
            "images of %u x %u x %u numbers need as many input columns, and there are %u: give all "
            "pixels and nothing else",
            image[0], image[1], image[2], problem->stem.columns);
    if (image[0] > RAMIFY_IMAGE_SIDE_MAX || image[1] > RAMIFY_IMAGE_SIDE_MAX ||
        image[2] > RAMIFY_IMAGE_CHANNELS_MAX)
        return ramify_fail(
            problem->context, RAMIFY_ERROR_LIMIT,
            "images of %u x %u pixels and %u channels: sides of up to %d and up to %d "
            "channels can be learned (give smaller images)",
            image[0], image[1], image[2], RAMIFY_IMAGE_SIDE_MAX, RAMIFY_IMAGE_CHANNELS_MAX);
    shape->patch = choose(patch, default_patch(image));
    if (image[0] % shape->patch != 0 || image[1] % shape->patch != 0)
        return ramify_fail(
            problem->context, RAMIFY_ERROR_ARGUMENT,
            "patches of %u pixels do not cover an image of %u x %u: use a divisor of "
            "both (--patch)",
            shape->patch, image[0], image[1]);
    shape->height = image[0];
    shape->breadth = image[1];
    shape->channels = image[2];
    shape->tokens = (image[0] / shape->patch) * (image[1] / shape->patch) + 1;
    return RAMIFY_OK;
}

static ramify_status make_shape(const ramify_problem *problem, const ramify_train_options *options,
                                const uint32_t image[3], const ramify_model *from,
                                ramify_paraformer_trained *t) {
    ramify_paraformer_shape *shape = &t->shape;
    ramify_embedding_shape *embedding = &shape->embedding;
    const ramify_branch_shape *old = from ? &from->paraformer.branch : NULL;
    ramify_branch_shape *branch = &shape->branch;
    embedding->plain = problem->stem.plain;
    if (image[0] > 0) {
        uint32_t patch = choose(options->patch, from ? from->paraformer.embedding.patch : 0);
        RAMIFY_TRY(shape_images(problem, patch, image, embedding));
    } else {
        if (options->patch > 0)
            return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT,
                               "the table has no images to cut into patches (--patch; give --image "
                               "HxWxC if its rows are images)");
        embedding->tokens = problem->stem.columns + 1;
        t->column = ramify_allocate(problem->context, problem->stem.plain, sizeof *t->column);
        if (!t->column)
            return RAMIFY_ERROR_MEMORY;
        ramify_paraformer_columns(&problem->stem, t->column);
        embedding->column = t->column;
    }
    shape->branches = choose(options->branches, from ? from->paraformer.branches : BRANCHES);
    *branch = (ramify_branch_shape){
        .depth = choose(options->depth, old ? old->depth : DEPTH),
        .width = choose(options->width, old ? old->width : WIDTH),
        .heads = choose(options->heads, old ? old->heads : HEADS),
        .tokens = embedding->tokens,
        .plain_skip = options->skip ? strcmp(options->skip, "plain") == 0 : old && old->plain_skip,
        .qkv_bias = old && old->qkv_bias,
        .epsilon = old ? old->epsilon : EPSILON,
    };
    branch->hidden =
        old && old->width == branch->width ? old->hidden : HIDDEN_FACTOR * branch->width;
    const char *error = ramify_branch_shape_error(branch);
    if (error)
        return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT,
                           "%s: there are %u layers of a width of %u with %u heads (--depth, "
                           "--width, --heads)",
                           error, branch->depth, branch->width, branch->heads);
    if (shape->branches > RAMIFY_BRANCHES_MAX)
        return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT,
                           "%u branches: use 1 to %d (--branches)", shape->branches,
                           RAMIFY_BRANCHES_MAX);
    embedding->width = shape->head.width = branch->width;
    shape->head.epsilon = branch->epsilon;
    shape->head.outputs = problem->outputs;
    return RAMIFY_OK;
}

/* What the model will need in memory is known before it is trained. */
static ramify_status check_resident(const ramify_problem *problem,
                                    const ramify_train_options *options,
                                    const ramify_paraformer_shape *shape) {
    uint64_t allowed = ramify_train_resident(options),
             schema = ramify_schema_bytes(problem->schema);
    const ramify_module_shape module = {.type = ramify_module_type_find("branch"),
                                        .branch = shape->branch};
    const ramify_need_of of = {
        .schema_bytes = schema,
        .config_bytes =
            RAMIFY_TRAINED_CONFIG_BYTES + PREFIX_BYTES * (uint64_t)shape->branches + schema,
        .stem = &problem->stem,
        .targets = problem->targets,
        .shape = &module,
        .paraformer = shape,
    };
    uint64_t need = allowed > 0 ? ramify_resident_need(&of).total : 0;
    if (need <= allowed)
        return RAMIFY_OK;
    return ramify_fail(problem->context, RAMIFY_ERROR_LIMIT,
                       "branches of %u layers and width %u for these %u columns need %llu resident "
                       "bytes and %llu are allowed: allow as much (--resident), or make branches "
                       "smaller (--depth, --width)",
                       shape->branch.depth, shape->branch.width, problem->stem.columns,
                       (unsigned long long)need, (unsigned long long)allowed);
}

static ramify_status allocate_weights(ramify_context *context, ramify_paraformer_trained *t) {
    const ramify_deal deal = ramify_dealt_here(context);
    size_t floats = ramify_paraformer_floats_held(&t->shape, &deal);
    t->memory = ramify_allocate_zeroed(context, floats, sizeof *t->memory);
    t->prefix = ramify_allocate_zeroed(context, t->shape.branches, sizeof *t->prefix);
    if (!t->memory || !t->prefix)
        return RAMIFY_ERROR_MEMORY;
    t->weights = ramify_paraformer_weights_held(&t->shape, &deal, t->memory);
    return RAMIFY_OK;
}

/* Weights that are dealt to ranks become those of all branches. */
static ramify_status gather_weights(ramify_context *context, ramify_paraformer_trained *t) {
    const ramify_deal deal = t->weights.deal;
    if (ramify_deal_is_whole(&deal))
        return RAMIFY_OK;
    const ramify_paraformer_parts parts = ramify_paraformer_parts_of(&t->shape);
    float *whole = ramify_allocate(context, parts.floats, sizeof *whole);
    if (!whole)
        return RAMIFY_ERROR_MEMORY;
    size_t branch = parts.branch * sizeof *whole;
    memcpy(whole, t->memory, (parts.embedding + parts.head) * sizeof *whole);
    const ramify_paraformer_weights to = ramify_paraformer_weights_in(&t->shape, whole);
    ramify_cluster_phase(context, "trained branches");
    ramify_status status = RAMIFY_OK;
    for (uint32_t b = 0; status == RAMIFY_OK && b < t->shape.branches; b++) {
        uint32_t holder = ramify_deal_holder(&deal, b);
        float *at = to.branch + b * parts.branch;
        if (holder == deal.rank)
            memcpy(at, t->weights.branch + ramify_deal_place(&deal, b) * parts.branch, branch);
        status = ramify_cluster_broadcast(context, at, branch, holder);
    }
    if (status != RAMIFY_OK) {
        ramify_release(context, whole);
        return status;
    }
    ramify_release(context, t->memory);
    t->memory = whole;
    t->weights = to;
    return RAMIFY_OK;
}

static ramify_status check_same(ramify_context *context, const ramify_model *from, const char *what,
                                uint32_t found, uint32_t expected) {
    if (found == expected)
        return RAMIFY_OK;
    return ramify_fail(
        context, RAMIFY_ERROR_ARGUMENT,
        "%s: its %s is %u, that of the model to train is %u: weights cannot be taken "
        "over (--weights-from)",
        from->source.name, what, found, expected);
}

/* Tokens must stand for the same things: the same places of an image, or the same columns. */
static ramify_status check_tokens(const ramify_problem *problem, const ramify_model *from,
                                  const ramify_embedding_shape *is) {
    ramify_context *context = problem->context;
    const ramify_embedding_shape *was = &from->paraformer.embedding;
    RAMIFY_TRY(check_same(context, from, "number of tokens", was->tokens, is->tokens));
    RAMIFY_TRY(check_same(context, from, "number of inputs", was->plain, is->plain));
    RAMIFY_TRY(check_same(context, from, "patch", was->patch, is->patch));
    if (is->patch > 0) {
        RAMIFY_TRY(check_same(context, from, "images' height", was->height, is->height));
        return check_same(context, from, "images' channels", was->channels, is->channels);
    }
    const ramify_schema *old = from->schema, *given = problem->schema;
    for (uint32_t c = 0; old->named && given->named && c < old->column_count; c++) {
        char one[RAMIFY_EXCERPT_BYTES], other[RAMIFY_EXCERPT_BYTES];
        const char *before = old->columns[c].name, *now = given->columns[c].name;
        if (strcmp(before, now) != 0)
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                               "%s: its column %u is \"%s\", that of the table is \"%s\": give the "
                               "columns in the model's order (--weights-from)",
                               from->source.name, c + 1,
                               ramify_text_excerpt(before, strlen(before), one),
                               ramify_text_excerpt(now, strlen(now), other));
    }
    return RAMIFY_OK;
}

/* Where layer `l` of all branches, one after the other, lies; NULL: it is another rank's. */
static float *layer_at(const ramify_paraformer_trained *t, size_t l) {
    const ramify_branch_shape *shape = &t->shape.branch;
    const ramify_deal *deal = &t->weights.deal;
    uint32_t branch = (uint32_t)(l / shape->depth);
    if (ramify_deal_holder(deal, branch) != deal->rank)
        return NULL;
    size_t place = ramify_deal_place(deal, branch) * (size_t)shape->depth + l % shape->depth;
    return t->weights.branch + place * ramify_branch_layout(shape).floats;
}

/* Whether any of layers first .. end - 1 is here. */
static bool holds_layers(const ramify_paraformer_trained *t, size_t first, size_t end) {
    while (first < end && !layer_at(t, first))
        first++;
    return first < end;
}

/* Starts from another model's weights: its embedding, its layers in their order, dealt to branches of
 * the new depth, and, where it predicts as much, its head. What is left keeps its fresh start. */
static ramify_status take_weights(const ramify_problem *problem, ramify_model *from,
                                  ramify_paraformer_trained *t) {
    ramify_context *context = problem->context;
    const ramify_paraformer_shape *old = &from->paraformer, *made = &t->shape;
    const ramify_embedding_shape *was = &old->embedding, *is = &made->embedding;
    RAMIFY_TRY(check_same(context, from, "tokens' width", was->width, is->width));
    RAMIFY_TRY(check_tokens(problem, from, is));
    RAMIFY_TRY(check_same(context, from, "number of heads", old->branch.heads, made->branch.heads));
    RAMIFY_TRY(check_same(context, from, "hidden width", old->branch.hidden, made->branch.hidden));
    RAMIFY_TRY(check_same(context, from, "bias of attention", old->branch.qkv_bias,
                          made->branch.qkv_bias));
    memcpy(t->weights.embedding, from->embedding,
           ramify_embedding_lay_out(is).floats * sizeof *from->embedding);
    if (old->head.outputs == made->head.outputs)
        memcpy(t->weights.head, from->head,
               ramify_head_lay_out(&made->head).floats * sizeof *from->head);
    else
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "%s: has a head for %u outputs, and this model has %u: it starts afresh",
                   from->source.name, old->head.outputs, made->head.outputs);
    size_t layer = ramify_branch_layout(&made->branch).floats;
    size_t all = (size_t)made->branches * made->branch.depth, next = 0;
    size_t given = (size_t)old->branches * old->branch.depth;
    if (given > all)
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "%s: the last %zu of its %zu layers are not used (--branches, --depth)",
                   from->source.name, given - all, given);
    ramify_traffic traffic = {0};
    for (uint32_t i = 0; i < old->branches && next < all; i++) {
        const void *record;
        uint32_t slot;
        size_t count = all - next < old->branch.depth ? all - next : old->branch.depth;
        size_t first = next;
        next += count;
        if (!holds_layers(t, first, next))
            continue;
        RAMIFY_TRY(ramify_store_acquire(context, from, &from->experts, &from->branch[i], false,
                                        &traffic, &record, &slot));
        for (size_t l = first; l < next; l++) {
            float *to = layer_at(t, l);
            if (to)
                memcpy(to, (const float *)record + (l - first) * layer, layer * sizeof *to);
        }
        ramify_store_release(from, &from->experts, slot);
    }
    return RAMIFY_OK;
}

/* What a plan borrows. */
typedef struct borrowed {
    float black[RAMIFY_IMAGE_CHANNELS_MAX]; /* plain feature of the pixel value 0 */
    char checkpoint[4096];
} borrowed;

static ramify_status make_plan(const ramify_problem *problem, const ramify_train_options *options,
                               double started, double deadline, ramify_paraformer_trained *t,
                               borrowed *b) {
    ramify_paraformer_plan *plan = &t->plan;
    ramify_paraformer_passes passes = RAMIFY_PASSES_WHOLE;
    if (options->prefixes_only)
        passes = RAMIFY_PASSES_PREFIXES;
    else if (options->progressive)
        passes = RAMIFY_PASSES_BOTH;
    ramify_paraformer_plan_init(passes, plan);
    plan->epochs = choose(options->epochs, plan->epochs);
    plan->batch = choose(options->batch, plan->batch);
    plan->rate = options->rate > 0 ? options->rate : plan->rate;
    plan->decay = options->decay >= 0 ? options->decay : plan->decay;
    plan->freeze = options->freeze;
    plan->seed = options->seed;
    plan->started = started;
    plan->deadline = deadline;
    plan->memory_bytes = options->training_bytes;
    const ramify_embedding_shape *image = &t->shape.embedding;
    if (ramify_train_augments(options) && image->patch == 0)
        return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT,
                           "the table has no images to change (--augment; give --image HxWxC if "
                           "its rows are images)");
    if (ramify_train_augments(options)) {
        for (uint32_t c = 0; c < image->channels; c++)
            b->black[c] = (float)(-problem->center[0] / problem->scale[0]);
        plan->augmentation = (ramify_augmentation){.height = image->height,
                                                   .breadth = image->breadth,
                                                   .channels = image->channels,
                                                   .black = b->black};
        ramify_augmentation_read(options->augment, &plan->augmentation);
    }
    const char *error = ramify_paraformer_plan_error(plan);
    if (error)
        return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT, "%s", error);
    if (options->resume) {
        RAMIFY_TRY(ramify_checkpoint_folder(problem->context, options->resume));
        int length = snprintf(b->checkpoint, sizeof b->checkpoint, "%s/paraformer.checkpoint",
                              options->resume);
        if (length < 0 || (size_t)length >= sizeof b->checkpoint)
            return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT,
                               "the name of the folder to resume from is too long");
        plan->checkpoint = b->checkpoint;
        plan->resume = true;
    }
    return RAMIFY_OK;
}

/* One factor for the outputs makes the probabilities fit on select rows. */
static ramify_status cool(const ramify_problem *problem, ramify_paraformer_trained *t) {
    ramify_rows select = problem->select;
    const ramify_head_layout at = ramify_head_lay_out(&t->shape.head);
    t->temperature = 1;
    if (!ramify_temperature_wanted(problem))
        return RAMIFY_OK;
    float *output = ramify_allocate(problem->context, select.count * ramify_pad(problem->outputs),
                                    sizeof *output);
    ramify_status status = output ? ramify_paraformer_outputs(problem, &t->shape, &t->weights,
                                                              select, t->shape.branches, output)
                                  : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_temperature_of(problem, select, output, &t->temperature);
    for (size_t i = at.weight; status == RAMIFY_OK && i < at.floats; i++)
        t->weights.head[i] *= (float)(1 / t->temperature);
    ramify_release(problem->context, output);
    return status;
}

/* The model that weights are taken over from. */
static ramify_status open_start(ramify_context *context, const char *path, ramify_model **from) {
    ramify_open_options options;
    ramify_open_options_init(&options);
    RAMIFY_TRY(ramify_open(context, path, &options, from));
    if (ramify_model_paraformer(*from))
        return RAMIFY_OK;
    ramify_status status =
        ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                    "%s: a model of kind %s has no weights for a paraformer (--weights-from)", path,
                    (*from)->kind);
    ramify_close(from);
    return status;
}

ramify_status ramify_paraformer_train(const ramify_problem *problem,
                                      const ramify_train_options *options, const uint32_t image[3],
                                      double started, double deadline,
                                      ramify_paraformer_trained **trained) {
    ramify_context *context = problem->context;
    ramify_model *from = NULL;
    borrowed b = {0};
    *trained = NULL;
    ramify_paraformer_trained *t = ramify_allocate_zeroed(context, 1, sizeof *t);
    if (!t)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status =
        options->weights_from ? open_start(context, options->weights_from, &from) : RAMIFY_OK;
    if (status == RAMIFY_OK)
        status = make_shape(problem, options, image, from, t);
    if (status == RAMIFY_OK)
        status = check_resident(problem, options, &t->shape);
    if (status == RAMIFY_OK)
        status = allocate_weights(context, t);
    if (status == RAMIFY_OK) {
        ramify_paraformer_start(&t->shape, options->seed, &t->weights);
        if (from)
            status = take_weights(problem, from, t);
    }
    ramify_close(&from);
    if (status == RAMIFY_OK)
        status = make_plan(problem, options, started, deadline, t, &b);
    if (status == RAMIFY_OK) {
        ramify_log(context, RAMIFY_LOG_INFO, "%u branches of %u layers, width %u, %u tokens",
                   t->shape.branches, t->shape.branch.depth, t->shape.branch.width,
                   t->shape.branch.tokens);
        status = ramify_paraformer_fit(problem, &t->shape, &t->plan, problem->train,
                                       problem->select, &t->weights, NULL, &t->result);
    }
    /* Ranks that are asked to stop exchange nothing any more. */
    bool stopped =
        status == RAMIFY_STOPPED && t->result.steps > 0 && ramify_deal_is_whole(&t->weights.deal);
    if (status == RAMIFY_OK || stopped) {
        t->plan.augmentation.black = NULL; /* was ours */
        t->plan.checkpoint = NULL;
        ramify_status rest = cool(problem, t);
        if (rest == RAMIFY_OK)
            rest = ramify_paraformer_score(problem, &t->shape, &t->weights, problem->report,
                                           t->prefix);
        if (rest == RAMIFY_OK)
            rest = gather_weights(context, t);
        status = rest == RAMIFY_OK ? status : rest;
    }
    if (status != RAMIFY_OK && !stopped)
        ramify_paraformer_trained_destroy(context, &t);
    *trained = t;
    return status;
}

void ramify_paraformer_trained_destroy(ramify_context *context,
                                       ramify_paraformer_trained **trained) {
    if (!*trained)
        return;
    ramify_release(context, (*trained)->memory);
    ramify_release(context, (*trained)->prefix);
    ramify_release(context, (*trained)->column);
    ramify_release(context, *trained);
    *trained = NULL;
}

static json_t *prefixes_json(const ramify_problem *problem, const ramify_paraformer_trained *t) {
    json_t *list = json_array();
    for (uint32_t k = 0; list && k < t->shape.branches; k++) {
        const ramify_fit_score *score = &t->prefix[k];
        json_t *one;
        if (problem->label)
            one = json_pack("{s:i, s:f, s:f}", "branches", (int)k + 1, "accuracy", 1 - score->error,
                            "log_loss", score->loss);
        else if (problem->targets == 1)
            one = json_pack("{s:i, s:f}", "branches", (int)k + 1, "rmse",
                            sqrt(score->loss) * problem->head_scale[0]);
        else
            one = json_pack("{s:i, s:f}", "branches", (int)k + 1, "loss", score->loss);
        json_array_append_new(list, one);
    }
    return list;
}

json_t *ramify_paraformer_recipe_json(const ramify_problem *problem,
                                      const ramify_paraformer_trained *t) {
    static const char *const passes[] = {[RAMIFY_PASSES_WHOLE] = "whole",
                                         [RAMIFY_PASSES_BOTH] = "progressive",
                                         [RAMIFY_PASSES_PREFIXES] = "prefixes"};
    const ramify_paraformer_plan *plan = &t->plan;
    return json_pack(
        "{s:{s:s, s:s, s:b, s:I, s:I, s:f, s:f, s:f, s:f, s:b, s:I, s:f}, s:o}", "recipe", "isa",
        ramify_isa(problem->context), "passes", passes[plan->passes], "freeze", (int)plan->freeze,
        "epochs", (json_int_t)plan->epochs, "batch", (json_int_t)plan->batch, "rate", plan->rate,
        "decay", plan->decay, "smoothing", plan->smoothing, "average", plan->average, "augmented",
        (int)(plan->augmentation.height > 0), "steps", (json_int_t)t->result.steps, "branch_passes",
        t->result.branch_passes, "prefixes", prefixes_json(problem, t));
}

ramify_status ramify_paraformer_finish(const ramify_problem *problem,
                                       const ramify_paraformer_trained *trained,
                                       const ramify_draft_notes *notes, json_t *config,
                                       ramify_model **model) {
    const ramify_draft draft = {
        .kind = "paraformer",
        .schema = problem->schema,
        .stem = &problem->stem,
        .head_center = problem->head_center,
        .head_scale = problem->head_scale,
        .notes = notes,
        .paraformer = &trained->shape,
        .weights = trained->weights,
        .config = config,
    };
    void *bytes;
    size_t size;
    RAMIFY_TRY(ramify_draft_write(problem->context, &draft, &bytes, &size));
    return ramify_open_owned(problem->context, bytes, size, model);
}

/* The session: rows as the model's experts see them, which of them each network learns from, and of
 * every network its weights, which of these are left, and where they start again. */

#include "prune.h"
#include "annotate.h"
#include "memory.h"
#include "predict.h"
#include "progress.h"
#include "random.h"
#include "recipe.h"
#include "routing.h"
#include "score.h"
#include "status.h"
#include "teacher.h"
#include "temperature.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Networks that take more than this together do not stay in a core's caches. */
#define HOT_BYTES ((size_t)1 << 20)

/* Of the rate of a schedule, what fine-tuning has. */
#define FINE_TUNE_RATE 0.1

struct ramify_pruning {
    ramify_context *context;
    ramify_model *model;
    ramify_prune_plan plan;
    ramify_match *match;
    const ramify_column *weight;
    ramify_split *split;
    ramify_problem *problem,
        *enlarged; /* the second has rows that the model answered, or is NULL */
    ramify_dismantled *parts;
    ramify_recipe recipe;
    ramify_expert_plan fit;

    float *
        features; /* rows of the problem learned from x pad(features); NULL: they are its plain ones */
    size_t rows;     /* of that problem */
    uint32_t *leaf;  /* rows: index of the node that a row ends at */
    uint32_t *order; /* rows: those of every module side by side; those that train first, then the
                        validation rows */
    size_t *begin, *held; /* modules + 1: first row of each; modules: its first validation row */

    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    size_t floats;    /* of a record */
    uint64_t weights; /* that could be pruned, of all modules */
    float *mask;      /* modules x floats: 1, or 0 where a weight is gone */
    float **rewind;   /* modules records: where weights start again; NULL: where they are */
    ramify_dismantled *early;
    ramify_pruned now, kept;
    float *kept_values; /* modules x floats of weights, and of masks; NULL: nothing is kept */
    ramify_meter meter;
};

static const ramify_problem *learned_from(const ramify_pruning *p) {
    return p->enlarged ? p->enlarged : p->problem;
}

void ramify_pruning_close(ramify_pruning **pruning) {
    if (!*pruning)
        return;
    ramify_pruning *p = *pruning;
    ramify_context *context = p->context;
    *pruning = NULL;
    void *memory[] = {p->features, p->leaf, p->order, p->begin, p->held, p->mask, p->kept_values};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        ramify_release(context, memory[i]);
    ramify_dismantled_destroy(&p->parts);
    ramify_dismantled_destroy(&p->early);
    ramify_problem_destroy(context, &p->enlarged);
    ramify_problem_destroy(context, &p->problem);
    ramify_split_destroy(context, &p->split);
    ramify_match_destroy(context, &p->match);
    ramify_release(context, p);
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* What the model's config says of its training; zero where it is silent. */
typedef struct trained_by {
    uint64_t seed;
    double validation, rate, decay;
    uint32_t batch;
    bool distilled;
    char fingerprint[16];
} trained_by;

static trained_by read_training(const ramify_model *model) {
    trained_by found = {.decay = -1};
    json_t *config = json_loads(model->config, 0, NULL);
    const json_t *recipe = json_object_get(config, "recipe");
    const json_t *decay = json_object_get(recipe, "decay");
    const char *print = json_string_value(json_object_get(config, "fingerprint"));
    const double validation = json_number_value(json_object_get(recipe, "validation"));
    const double rate = json_number_value(json_object_get(recipe, "rate"));
    const json_int_t batch = json_integer_value(json_object_get(recipe, "batch"));
    found.seed = (uint64_t)json_integer_value(json_object_get(config, "seed"));
    found.validation = validation > 0 && validation < 1 ? validation : 0;
    found.rate = rate > 0 && rate < 1 ? rate : 0;
    if (json_is_number(decay) && json_number_value(decay) >= 0 && json_number_value(decay) < 100)
        found.decay = json_number_value(decay);
    found.batch = batch > 0 && batch < (1 << 20) ? (uint32_t)batch : 0;
    found.distilled = json_is_true(json_object_get(recipe, "distilled"));
    if (print)
        snprintf(found.fingerprint, sizeof found.fingerprint, "%s", print);
    json_decref(config);
    return found;
}

static ramify_status find_column(const ramify_pruning *p, const char *name,
                                 const ramify_column **column) {
    *column = NULL;
    if (!name)
        return RAMIFY_OK;
    const ramify_table *table = p->match->table;
    const size_t index = ramify_table_find(table, name, strlen(name));
    if (index == SIZE_MAX)
        return ramify_fail(p->context, RAMIFY_ERROR_DATA, "%s: %s names no column", table->source,
                           name);
    *column = &table->columns[index];
    return RAMIFY_OK;
}

static ramify_status check_weights(const ramify_pruning *p, const uint32_t *rows, size_t count) {
    for (size_t i = 0; p->weight && i < count; i++) {
        const double value = p->weight->text ? NAN : ramify_column_value(p->weight, rows[i]);
        if (!(value >= 0 && isfinite(value)))
            return ramify_fail(
                p->context, RAMIFY_ERROR_DATA,
                "%s: column \"%s\": the weight of row %u is not a number of 0 or more",
                p->match->table->source, p->weight->name, rows[i] + 1);
    }
    return RAMIFY_OK;
}

/* The rows of the table, divided as they were in the training if nothing else is asked for. */
static ramify_status split_rows(ramify_pruning *p, const trained_by *training) {
    ramify_context *context = p->context;
    const ramify_table *table = p->match->table;
    ramify_split_request request = {
        .seed = p->plan.own_seed ? p->plan.seed : training->seed,
        .validation = p->plan.validation > 0     ? p->plan.validation
                      : training->validation > 0 ? training->validation
                                                 : 0.1,
    };
    RAMIFY_TRY(find_column(p, p->plan.group, &request.group));
    RAMIFY_TRY(find_column(p, p->plan.time, &request.time));
    RAMIFY_TRY(find_column(p, p->plan.weight, &p->weight));
    uint32_t *rows = ramify_allocate(context, table->rows, sizeof *rows);
    double *labels = ramify_allocate(context, table->rows, sizeof *labels);
    ramify_status status = rows && labels ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_score_find_rows(context, p->match, rows, &request.count);
    if (status == RAMIFY_OK)
        status = check_weights(p, rows, request.count);
    if (status == RAMIFY_OK) {
        for (size_t i = 0; i < request.count; i++)
            labels[i] = ramify_match_target(p->match, 0, rows[i]);
        request.rows = rows;
        request.labels = p->model->targets == 0 ? labels : NULL;
        status = ramify_split_create(context, table, &request, &p->split);
    }
    ramify_release(context, rows);
    ramify_release(context, labels);
    return status;
}

static ramify_status make_problem(ramify_pruning *p, const trained_by *training) {
    const ramify_split *split = p->split;
    const ramify_model *model = p->model;
    RAMIFY_TRY(ramify_problem_create_for(
        p->context, p->match, (ramify_rows){split->train, split->train_count},
        (ramify_rows){split->select, split->select_count},
        (ramify_rows){split->report, split->report_count}, p->weight, &model->stem,
        model->head_center, model->head_scale, &p->problem));
    char print[16];
    snprintf(print, sizeof print, "%08x", (unsigned)ramify_problem_fingerprint(p->problem));
    if (training->fingerprint[0] && strcmp(print, training->fingerprint) != 0)
        ramify_log(
            p->context, RAMIFY_LOG_WARNING,
            "%s: these are not the rows that %s was trained on, or validation rows are other "
            "ones now: where it has learned those, its own error on them is too small",
            p->match->table->source, model->source.name);
    return RAMIFY_OK;
}

static bool learns_slopes(const ramify_pruning *p) {
    for (uint32_t m = 0; m < p->parts->module_count; m++)
        for (uint32_t l = 0; l + 1 < p->parts->shape.layers; l++)
            for (size_t j = 0; j < p->layer[l].n; j++)
                if (p->parts->records[m][p->layer[l].slope + j] != 0.0F)
                    return true;
    return false;
}

/* The recipe of a training with the model's options. */
static void make_recipe(ramify_pruning *p, const trained_by *training) {
    ramify_train_options options;
    ramify_train_options_init(&options);
    const bool tree = p->parts->node_count > 1;
    options.kind = tree ? "pathways" : "mlp";
    options.seed = p->plan.own_seed ? p->plan.seed : training->seed;
    options.batch = training->batch;
    options.decay = training->decay;
    options.rate = p->plan.rate > 0 ? p->plan.rate : training->rate;
    options.activation = learns_slopes(p) ? RAMIFY_ACTIVATION_PRELU : RAMIFY_ACTIVATION_RELU;
    options.resident_bytes = 0;
    options.group = p->plan.group;
    options.time = p->plan.time;
    ramify_recipe_make(p->problem, &options, &p->recipe);
}

/* How every network is trained in a round. */
static void plan_fits(ramify_pruning *p) {
    const ramify_recipe *recipe = &p->recipe;
    const bool tree = p->parts->node_count > 1;
    p->fit = tree ? recipe->grow.expert : recipe->root;
    if (p->enlarged) {
        const ramify_distilled_plans plans = ramify_recipe_distilled(recipe, p->enlarged);
        p->fit = tree ? plans.grow.expert : plans.root;
    }
    if (p->plan.epochs > 0)
        p->fit.epochs = p->plan.epochs;
    p->fit.keep_last = true; /* validation rows are to tell errors, not to choose by */
    p->fit.cosine = true;
    p->fit.average = 0;
    if (p->plan.restart == RAMIFY_PRUNE_FINE_TUNE) {
        p->fit.rate *= FINE_TUNE_RATE;
        p->fit.warm_up = 0;
        p->fit.cosine = false;
    }
    p->fit.deadline = p->plan.deadline;
    p->fit.started = ramify_seconds();
}

/* Outputs of the model's own networks for plain rows, at whatever leaf they end. */
static ramify_status answer_by_model(const void *argument, const ramify_problem *problem,
                                     const float *plain, size_t count, float *answer) {
    const ramify_pruning *p = argument;
    ramify_context *context = p->context;
    const ramify_stem *stem = &p->model->stem;
    const ramify_mlp_shape *shape = &p->parts->shape;
    const size_t outputs = problem->outputs, padded = ramify_pad(outputs);
    const size_t stride = ramify_pad(stem->features), routes = ramify_pad(stem->routes);
    float *x = ramify_allocate(context, count * stride, sizeof *x);
    float *y = ramify_allocate(context, count * padded, sizeof *y);
    float *points = ramify_allocate_zeroed(context, count * routes, sizeof *points);
    float *scratch = ramify_allocate(context, ramify_mlp_run_floats(shape, 1), sizeof *scratch);
    uint32_t *leaf = ramify_allocate(context, count, sizeof *leaf);
    ramify_status status = x && y && points && scratch && leaf ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        ramify_stem_features(problem->kernels, stem, count, plain, problem->plain_stride, x,
                             stride);
        ramify_stem_route(problem->kernels, stem, count, plain, problem->plain_stride, points,
                          routes);
        ramify_dismantled_route(p->parts, problem->kernels, stem, points, count, leaf);
        for (size_t i = 0; i < count; i++)
            ramify_mlp_run(problem->kernels, shape,
                           p->parts->records[p->parts->nodes[leaf[i]].module], 1, x + i * stride,
                           stride, y + i * padded, padded, scratch);
        if (problem->label)
            problem->kernels->softmax(count, outputs, y, padded, y, padded);
        for (size_t i = 0; i < count; i++)
            memcpy(answer + i * outputs, y + i * padded, outputs * sizeof *answer);
    }
    ramify_release(context, x);
    ramify_release(context, y);
    ramify_release(context, points);
    ramify_release(context, scratch);
    ramify_release(context, leaf);
    return status;
}

static ramify_status encode_rows(ramify_pruning *p) {
    const ramify_problem *problem = learned_from(p);
    const ramify_stem *stem = &p->model->stem;
    const size_t stride = ramify_pad(stem->features);
    float *points = NULL;
    p->rows = problem->rows;
    if (stem->bins || stem->frequencies > 0) {
        p->features = ramify_allocate(p->context, p->rows * stride, sizeof *p->features);
        if (!p->features)
            return RAMIFY_ERROR_MEMORY;
        ramify_stem_features(problem->kernels, stem, p->rows, problem->plain, problem->plain_stride,
                             p->features, stride);
    }
    p->leaf = ramify_allocate_zeroed(p->context, p->rows, sizeof *p->leaf);
    if (!p->leaf)
        return RAMIFY_ERROR_MEMORY;
    if (p->parts->node_count == 1)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_routing_points(problem, stem->route, stem->routes, &points));
    ramify_dismantled_route(p->parts, problem->kernels, stem, points, p->rows, p->leaf);
    ramify_release(p->context, points);
    return RAMIFY_OK;
}

/* Rows by the network that they end at; those at series are left out. */
static ramify_status deal_rows(ramify_pruning *p) {
    const ramify_problem *problem = learned_from(p);
    const uint32_t modules = p->parts->module_count;
    const ramify_rows parts[] = {problem->train, problem->select, problem->report};
    p->order = ramify_allocate(p->context, p->rows, sizeof *p->order);
    p->begin = ramify_allocate_zeroed(p->context, (size_t)modules + 1, sizeof *p->begin);
    p->held = ramify_allocate_zeroed(p->context, modules, sizeof *p->held);
    size_t *next = ramify_allocate_zeroed(p->context, (size_t)2 * modules, sizeof *next);
    if (!p->order || !p->begin || !p->held || !next) {
        ramify_release(p->context, next);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t part = 0; part < 3; part++)
        for (size_t i = 0; i < parts[part].count; i++) {
            const uint32_t module = p->parts->nodes[p->leaf[parts[part].row[i]]].module;
            if (module < modules)
                next[2 * module + (part > 0)]++;
        }
    size_t place = 0;
    for (uint32_t m = 0; m < modules; m++) {
        const size_t train = next[2 * m], held = next[2 * m + 1];
        p->begin[m] = next[2 * m] = place;
        p->held[m] = next[2 * m + 1] = place + train;
        place += train + held;
    }
    p->begin[modules] = place;
    for (size_t part = 0; part < 3; part++)
        for (size_t i = 0; i < parts[part].count; i++) {
            const uint32_t row = parts[part].row[i], module = p->parts->nodes[p->leaf[row]].module;
            if (module < modules)
                p->order[next[2 * module + (part > 0)]++] = row;
        }
    ramify_release(p->context, next);
    return RAMIFY_OK;
}

/* Weights that are zero count as gone. */
static void set_masks(ramify_pruning *p) {
    uint64_t left = 0;
    p->weights = 0;
    for (uint32_t m = 0; m < p->parts->module_count; m++) {
        float *mask = p->mask + m * p->floats;
        const float *record = p->parts->records[m];
        for (size_t i = 0; i < p->floats; i++)
            mask[i] = 1;
        for (uint32_t l = 0; l < p->parts->shape.layers; l++)
            for (size_t i = 0; i < p->layer[l].k; i++)
                for (size_t j = 0; j < p->layer[l].n; j++) {
                    const size_t at = ramify_mlp_weight_at(&p->layer[l], i, j);
                    mask[at] = record[at] != 0.0F;
                    left += record[at] != 0.0F;
                    p->weights++;
                }
    }
    p->now.weights = left;
    p->now.density = (double)left / (double)p->weights;
}

static ramify_status open_rewind(ramify_pruning *p, ramify_model *rewind) {
    if (!rewind)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_dismantle(p->context, rewind, &p->early));
    const ramify_mlp_shape *a = &p->parts->shape, *b = &p->early->shape;
    bool same = a->layers == b->layers && a->members == b->members &&
                p->parts->module_count == p->early->module_count &&
                p->parts->node_count == p->early->node_count;
    for (uint32_t l = 0; same && l <= a->layers; l++)
        same = a->width[l] == b->width[l];
    if (!same)
        return ramify_fail(p->context, RAMIFY_ERROR_ARGUMENT,
                           "%s is no rewind point of %s: their experts are not of the same number "
                           "and shape: take the file that its training wrote (train --rewind)",
                           rewind->source.name, p->model->source.name);
    p->rewind = p->early->records;
    return RAMIFY_OK;
}

static ramify_status measure(ramify_pruning *p, double *error);

static ramify_status open_all(ramify_pruning *p, ramify_model *rewind, const ramify_table *table) {
    ramify_context *context = p->context;
    const trained_by training = read_training(p->model);
    RAMIFY_TRY(ramify_dismantle(context, p->model, &p->parts));
    if (p->parts->module_count == 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "%s: its modules are series, which have no weights to prune: lower "
                           "their band instead",
                           p->model->source.name);
    p->floats = ramify_mlp_layout(&p->parts->shape, p->layer);
    RAMIFY_TRY(open_rewind(p, rewind));
    RAMIFY_TRY(ramify_match_create(context, p->model->schema, table, true, &p->match));
    RAMIFY_TRY(split_rows(p, &training));
    RAMIFY_TRY(make_problem(p, &training));
    make_recipe(p, &training);
    if (p->plan.teach && training.distilled && p->parts->series_count == 0) {
        const ramify_answerer answerer = {answer_by_model, p};
        ramify_progress_report(context, "answering rows", 0, 1);
        RAMIFY_TRY(ramify_teachers_enlarge(p->problem, &answerer, &p->recipe, 0, &p->enlarged));
    }
    plan_fits(p);
    RAMIFY_TRY(encode_rows(p));
    RAMIFY_TRY(deal_rows(p));
    p->mask = ramify_allocate(context, p->parts->module_count * p->floats, sizeof *p->mask);
    if (!p->mask)
        return RAMIFY_ERROR_MEMORY;
    set_masks(p);
    return measure(p, &p->now.error);
}

ramify_status ramify_pruning_open(ramify_context *context, ramify_model *model,
                                  ramify_model *rewind, const ramify_table *table,
                                  const ramify_prune_plan *plan, ramify_pruning **pruning) {
    *pruning = NULL;
    ramify_pruning *p = ramify_allocate_zeroed(context, 1, sizeof *p);
    if (!p)
        return RAMIFY_ERROR_MEMORY;
    p->context = context;
    p->model = model;
    p->plan = *plan;
    ramify_status status = open_all(p, rewind, table);
    if (status == RAMIFY_OK)
        *pruning = p;
    else
        ramify_pruning_close(&p);
    return status;
}

ramify_pruned ramify_pruning_state(const ramify_pruning *p) {
    return p->now;
}

uint64_t ramify_pruning_validation_rows(const ramify_pruning *p) {
    uint64_t rows = 0;
    for (uint32_t m = 0; m < p->parts->module_count; m++)
        rows += p->begin[m + 1] - p->held[m];
    return rows;
}

/* --- Errors ----------------------------------------------------------------------------------- */

static const float *features_of(const ramify_pruning *p) {
    return p->features ? p->features : learned_from(p)->plain;
}

typedef struct measuring {
    ramify_pruning *p;
    double *error, *weight; /* modules: sums */
} measuring;

/* Task: sums of the errors of a module's validation rows. */
static ramify_status measure_module(void *argument, size_t m, uint32_t worker) {
    (void)worker;
    const measuring *to = argument;
    const ramify_pruning *p = to->p;
    const ramify_problem *problem = learned_from(p);
    const ramify_rows rows = {p->order + p->held[m], p->begin[m + 1] - p->held[m]};
    const size_t padded = ramify_pad(problem->outputs);
    float *outputs = ramify_allocate(p->context, rows.count * padded, sizeof *outputs);
    float *error = ramify_allocate(p->context, rows.count, sizeof *error);
    ramify_status status = outputs && error ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_expert_outputs(problem, &p->parts->shape, NULL, features_of(p),
                                       p->parts->records[m], rows, outputs);
    if (status == RAMIFY_OK)
        ramify_expert_losses(problem, rows, outputs, NULL, error);
    for (size_t i = 0; status == RAMIFY_OK && i < rows.count; i++) {
        const double weight = problem->weight ? problem->weight[rows.row[i]] : 1.0;
        to->error[m] += weight * error[i];
        to->weight[m] += weight;
    }
    ramify_release(p->context, outputs);
    ramify_release(p->context, error);
    return status;
}

static ramify_status measure(ramify_pruning *p, double *error) {
    const uint32_t modules = p->parts->module_count;
    measuring to = {.p = p,
                    .error = ramify_allocate_zeroed(p->context, modules, sizeof(double)),
                    .weight = ramify_allocate_zeroed(p->context, modules, sizeof(double))};
    ramify_status status = to.error && to.weight ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_parallel(p->context, modules, measure_module, &to);
    double sum = 0, weights = 0;
    for (uint32_t m = 0; status == RAMIFY_OK && m < modules; m++) {
        sum += to.error[m];
        weights += to.weight[m];
    }
    ramify_release(p->context, to.error);
    ramify_release(p->context, to.weight);
    RAMIFY_TRY(status);
    if (!(weights > 0))
        return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                           "%s: no validation row ends at a network, or all weigh nothing",
                           p->match->table->source);
    *error = sum / weights;
    if (!p->problem->label)
        *error = sqrt(*error) * (p->problem->targets == 1 ? p->problem->head_scale[0] : 1.0);
    return RAMIFY_OK;
}

/* --- Taking weights away ---------------------------------------------------------------------- */

/* What a weight, or a unit, is worth, and where it is. */
typedef struct worth {
    float value;
    uint32_t module;
    uint32_t
        place; /* a weight's in the record; or of a unit, its number among the module's units */
} worth;

/* The least worth first; equals in the order of their places. */
static int compare_worth(const void *a, const void *b) {
    const worth *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->module != y->module)
        return x->module < y->module ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Worths of the weights of modules [first, end) that are left: list[], of which there are enough. */
static size_t list_weights(const ramify_pruning *p, uint32_t first, uint32_t end, worth *list) {
    size_t count = 0;
    for (uint32_t m = first; m < end; m++) {
        const float *mask = p->mask + m * p->floats;
        ramify_random random =
            ramify_random_stream(p->recipe.root.seed, RAMIFY_PURPOSE_PRUNE, m, 0);
        for (uint32_t l = 0; l < p->parts->shape.layers; l++)
            for (size_t i = 0; i < p->layer[l].k; i++)
                for (size_t j = 0; j < p->layer[l].n; j++) {
                    const size_t at = ramify_mlp_weight_at(&p->layer[l], i, j);
                    const bool chance = p->plan.score == RAMIFY_PRUNE_RANDOM;
                    const double drawn = chance ? ramify_random_uniform(&random) : 0;
                    if (mask[at] != 0)
                        list[count++] = (worth){.value = chance ? (float)drawn
                                                                : fabsf(p->parts->records[m][at]),
                                                .module = m,
                                                .place = (uint32_t)at};
                }
    }
    return count;
}

/* Of modules [first, end): until `wanted` weights are left. */
static void prune_weights(ramify_pruning *p, uint32_t first, uint32_t end, uint64_t wanted,
                          worth *list, float *mask) {
    const size_t count = list_weights(p, first, end, list);
    if (count <= wanted)
        return;
    qsort(list, count, sizeof *list, compare_worth);
    for (size_t i = 0; i < count - wanted; i++)
        mask[list[i].module * p->floats + list[i].place] = 0;
}

/* Hidden layer and unit of the number of a unit. */
static uint32_t layer_of_unit(const ramify_pruning *p, uint32_t *unit) {
    uint32_t l = 0;
    while (*unit >= p->layer[l].n)
        *unit -= p->layer[l++].n;
    return l;
}

/* Weights of a unit that are left, and the geometric mean of its root mean square weights in and out. */
static size_t unit_weights(const ramify_pruning *p, uint32_t m, uint32_t l, uint32_t unit,
                           float *value) {
    const ramify_mlp_layer *in = &p->layer[l], *out = &p->layer[l + 1];
    const float *record = p->parts->records[m], *mask = p->mask + m * p->floats;
    double in_square = 0, out_square = 0;
    size_t left = 0;
    for (size_t i = 0; i < in->k; i++) {
        const size_t at = ramify_mlp_weight_at(in, i, unit);
        in_square += (double)record[at] * record[at];
        left += mask[at] != 0;
    }
    for (size_t j = 0; j < out->n; j++) {
        const size_t at = ramify_mlp_weight_at(out, unit, j);
        out_square += (double)record[at] * record[at];
        left += mask[at] != 0;
    }
    *value = (float)sqrt(sqrt(in_square / in->k * (out_square / out->n)));
    return left;
}

static size_t remove_unit(const ramify_pruning *p, uint32_t m, uint32_t l, uint32_t unit,
                          float *masks) {
    const ramify_mlp_layer *in = &p->layer[l], *out = &p->layer[l + 1];
    float *mask = masks + m * p->floats;
    size_t removed = 0;
    for (size_t i = 0; i < in->k; i++) {
        float *at = &mask[ramify_mlp_weight_at(in, i, unit)];
        removed += *at != 0;
        *at = 0;
    }
    for (size_t j = 0; j < out->n; j++) {
        float *at = &mask[ramify_mlp_weight_at(out, unit, j)];
        removed += *at != 0;
        *at = 0;
    }
    return removed;
}

/* Of modules [first, end): until no more than `wanted` weights are left; one unit of a layer always is. */
static void prune_units(ramify_pruning *p, uint32_t first, uint32_t end, uint64_t left,
                        uint64_t wanted, worth *list, float *masks) {
    uint32_t units = 0;
    size_t count = 0;
    for (uint32_t l = 0; l + 1 < p->parts->shape.layers; l++)
        units += p->layer[l].n;
    for (uint32_t m = first; m < end; m++)
        for (uint32_t u = 0; u < units; u++) {
            uint32_t unit = u;
            const uint32_t l = layer_of_unit(p, &unit);
            if (unit_weights(p, m, l, unit, &list[count].value) > 0) {
                list[count].module = m;
                list[count++].place = u;
            }
        }
    qsort(list, count, sizeof *list, compare_worth);
    for (size_t i = 0; i < count && left > wanted; i++) {
        uint32_t unit = list[i].place, others = 0;
        const uint32_t l = layer_of_unit(p, &unit);
        for (size_t k = i + 1; k < count && others == 0; k++) {
            uint32_t other = list[k].place;
            others += list[k].module == list[i].module && layer_of_unit(p, &other) == l;
        }
        if (others > 0)
            left -= remove_unit(p, list[i].module, l, unit, masks);
    }
}

static uint64_t weights_left(const ramify_pruning *p, uint32_t first, uint32_t end,
                             const float *masks) {
    uint64_t left = 0;
    for (uint32_t m = first; m < end; m++)
        for (uint32_t l = 0; l < p->parts->shape.layers; l++)
            for (size_t i = 0; i < p->layer[l].k; i++)
                for (size_t j = 0; j < p->layer[l].n; j++)
                    left += masks[m * p->floats + ramify_mlp_weight_at(&p->layer[l], i, j)] != 0;
    return left;
}

/* The masks of a density; the weights are not touched. */
static ramify_status prune_masks(ramify_pruning *p, double density, float *masks) {
    const uint32_t modules = p->parts->module_count;
    const uint64_t each = p->weights / modules;
    worth *list = ramify_allocate(p->context, (size_t)p->weights, sizeof *list);
    if (!list)
        return RAMIFY_ERROR_MEMORY;
    memcpy(masks, p->mask, modules * p->floats * sizeof *masks);
    const uint32_t together = p->plan.per_module ? 1 : modules;
    const uint64_t wanted = (uint64_t)llround(fmax(density * (double)(together * each), 1));
    for (uint32_t m = 0; m < modules; m += together) {
        const uint32_t end = m + together;
        if (p->plan.score == RAMIFY_PRUNE_NEURONS)
            prune_units(p, m, end, weights_left(p, m, end, masks), wanted, list, masks);
        else
            prune_weights(p, m, end, wanted, list, masks);
    }
    ramify_release(p->context, list);
    return RAMIFY_OK;
}

/* --- Rounds ----------------------------------------------------------------------------------- */

/* Task: one network learns with what is left of it. */
static ramify_status fit_module(void *argument, size_t m, uint32_t worker) {
    (void)worker;
    ramify_pruning *p = argument;
    const ramify_rows train = {p->order + p->begin[m], p->held[m] - p->begin[m]};
    ramify_expert_plan plan = p->fit;
    if (train.count == 0)
        return RAMIFY_OK;
    plan.mask = p->mask + m * p->floats;
    plan.node = m;
    plan.meter = &p->meter;
    return ramify_expert_fit(learned_from(p), &p->parts->shape, &plan, NULL, features_of(p), train,
                             NULL, (ramify_rows){0}, false, p->parts->records[m], NULL);
}

static ramify_status train_all(ramify_pruning *p) {
    double rows = 0;
    for (uint32_t m = 0; m < p->parts->module_count; m++)
        rows += (double)(p->held[m] - p->begin[m]);
    p->meter.stage = "training what is left";
    p->meter.total = rows * p->fit.epochs;
    atomic_store(&p->meter.done, 0);
    RAMIFY_TRY(ramify_parallel(p->context, p->parts->module_count, fit_module, p));
    ramify_progress_report(p->context, p->meter.stage, p->meter.total, p->meter.total);
    return RAMIFY_OK;
}

/* Weights and masks of all modules, in one block of two halves. */
static void copy_values(ramify_pruning *p, float *values, bool back) {
    const size_t count = p->floats, modules = p->parts->module_count;
    for (size_t m = 0; m < modules; m++) {
        float *record = p->parts->records[m], *of = values + m * count;
        memcpy(back ? record : of, back ? of : record, count * sizeof *record);
    }
    float *masks = values + modules * count;
    memcpy(back ? p->mask : masks, back ? masks : p->mask, modules * count * sizeof *masks);
}

static float *allocate_values(const ramify_pruning *p) {
    return ramify_allocate(p->context, 2 * p->parts->module_count * p->floats, sizeof(float));
}

static ramify_status run_round(ramify_pruning *p, double density) {
    const uint32_t modules = p->parts->module_count;
    float *masks = ramify_allocate(p->context, modules * p->floats, sizeof *masks);
    if (!masks)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = prune_masks(p, density, masks);
    if (status == RAMIFY_OK) {
        memcpy(p->mask, masks, modules * p->floats * sizeof *masks);
        for (uint32_t m = 0; m < modules; m++) {
            float *record = p->parts->records[m];
            if (p->rewind && p->plan.restart == RAMIFY_PRUNE_REWIND)
                memcpy(record, p->rewind[m], p->floats * sizeof *record);
            for (size_t i = 0; i < p->floats; i++)
                record[i] *= p->mask[m * p->floats + i];
        }
    }
    ramify_release(p->context, masks);
    RAMIFY_TRY(status);
    RAMIFY_TRY(train_all(p));
    p->now.weights = weights_left(p, 0, modules, p->mask);
    p->now.density = (double)p->now.weights / (double)p->weights;
    return measure(p, &p->now.error);
}

ramify_status ramify_pruning_round(ramify_pruning *p, double density) {
    const ramify_pruned before = p->now;
    float *values = allocate_values(p);
    if (!values)
        return RAMIFY_ERROR_MEMORY;
    copy_values(p, values, false);
    ramify_status status = run_round(p, density);
    if (status != RAMIFY_OK) {
        copy_values(p, values, true);
        p->now = before;
    }
    ramify_release(p->context, values);
    return status;
}

ramify_status ramify_pruning_keep(ramify_pruning *p) {
    if (!p->kept_values)
        p->kept_values = allocate_values(p);
    if (!p->kept_values)
        return RAMIFY_ERROR_MEMORY;
    copy_values(p, p->kept_values, false);
    p->kept = p->now;
    return RAMIFY_OK;
}

void ramify_pruning_go_back(ramify_pruning *p) {
    if (!p->kept_values)
        return;
    copy_values(p, p->kept_values, true);
    p->now = p->kept;
}

ramify_status ramify_pruning_take(ramify_pruning *p, ramify_model *state) {
    ramify_dismantled *taken = NULL;
    RAMIFY_TRY(ramify_dismantle(p->context, state, &taken));
    bool same = taken->module_count == p->parts->module_count &&
                ramify_mlp_record_bytes(&taken->shape) == p->floats * sizeof(float);
    if (same) {
        for (uint32_t m = 0; m < taken->module_count; m++)
            memcpy(p->parts->records[m], taken->records[m], p->floats * sizeof(float));
        set_masks(p);
    }
    ramify_dismantled_destroy(&taken);
    return same ? measure(p, &p->now.error)
                : ramify_fail(p->context, RAMIFY_ERROR_DATA,
                              "%s does not belong to this model: its experts are of another number "
                              "or shape",
                              state->source.name);
}

/* --- The model -------------------------------------------------------------------------------- */

/* Records as the file will hold them; packed, or the networks' own. */
typedef struct stored {
    const void **record;
    void **owned;
    uint32_t *bytes, *numbers;
    ramify_module_shape shape;
    uint64_t all; /* bytes */
} stored;

static void stored_clear(const ramify_pruning *p, stored *s) {
    for (uint32_t m = 0; s->owned && m < p->parts->module_count; m++)
        ramify_release(p->context, s->owned[m]);
    ramify_release(p->context, (void *)s->record);
    ramify_release(p->context, (void *)s->owned);
    ramify_release(p->context, s->bytes);
    ramify_release(p->context, s->numbers);
}

/* masks: NULL, or taken from the weights first. factor: on outputs. */
static ramify_status store(const ramify_pruning *p, ramify_storage storage, const float *masks,
                           float factor, stored *s) {
    ramify_context *context = p->context;
    const ramify_mlp_shape *shape = &p->parts->shape;
    const uint32_t modules = p->parts->module_count;
    const bool packed = storage != RAMIFY_STORAGE_DENSE;
    if (storage == RAMIFY_STORAGE_FASTEST && modules * p->floats * sizeof(float) > HOT_BYTES)
        storage = RAMIFY_STORAGE_COLD;
    *s = (stored){.shape = {.type = ramify_module_type_find(packed ? "packed" : "mlp")}};
    s->shape.packed.mlp = *shape;
    s->record = ramify_allocate_zeroed(context, modules, sizeof(void *));
    s->owned = ramify_allocate_zeroed(context, modules, sizeof(void *));
    s->bytes = ramify_allocate_zeroed(context, modules, sizeof *s->bytes);
    s->numbers = ramify_allocate_zeroed(context, modules, sizeof *s->numbers);
    if (!s->record || !s->owned || !s->bytes || !s->numbers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t m = 0; m < modules; m++) {
        float *copy = ramify_allocate(context, p->floats, sizeof *copy);
        if (!copy)
            return RAMIFY_ERROR_MEMORY;
        memcpy(copy, p->parts->records[m], p->floats * sizeof *copy);
        for (size_t i = 0; masks && i < p->floats; i++)
            copy[i] *= masks[m * p->floats + i];
        if (factor != 1)
            ramify_mlp_scale_outputs(shape, factor, copy);
        s->bytes[m] = (uint32_t)(p->floats * sizeof *copy);
        s->owned[m] = copy;
        if (packed) {
            void *made = NULL;
            ramify_status status = ramify_packed_make(context, shape, copy, storage, NULL, &made,
                                                      &s->bytes[m], &s->numbers[m]);
            ramify_release(context, copy);
            s->owned[m] = made;
            RAMIFY_TRY(status);
        }
        s->record[m] = s->owned[m];
        s->all += s->bytes[m];
        if (packed && s->bytes[m] > s->shape.packed.most_bytes)
            s->shape.packed.most_bytes = s->bytes[m];
        if (packed && s->numbers[m] > s->shape.packed.most_numbers)
            s->shape.packed.most_numbers = s->numbers[m];
    }
    return RAMIFY_OK;
}

ramify_status ramify_pruning_bytes(ramify_pruning *p, double density, ramify_storage storage,
                                   uint64_t *bytes) {
    float *masks = ramify_allocate(p->context, p->parts->module_count * p->floats, sizeof *masks);
    stored s = {0};
    ramify_status status = masks ? prune_masks(p, density, masks) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = store(p, storage, masks, 1, &s);
    *bytes = p->model->source.size - p->model->limits.group[0].bytes + s.all;
    stored_clear(p, &s);
    ramify_release(p->context, masks);
    return status;
}

static ramify_status draft_model(const ramify_pruning *p, const stored *s, json_t *config,
                                 const ramify_draft_notes *notes, ramify_model **model) {
    const ramify_model *from = p->model;
    const ramify_dismantled *parts = p->parts;
    const ramify_draft draft = {
        .kind = from->kind,
        .schema = from->schema,
        .stem = &from->stem,
        .head_center = from->head_center,
        .head_scale = from->head_scale,
        .shape = s->shape,
        .module_count = parts->module_count,
        .modules = s->record,
        .module_bytes = s->shape.type->varies ? s->bytes : NULL,
        .module_numbers = s->shape.type->varies ? s->numbers : NULL,
        .series_shape = from->series,
        .series_count = parts->series_count,
        .series = (const ramify_series_header *const *)(void *)parts->series,
        .node_count = parts->node_count,
        .nodes = parts->nodes,
        .notes = notes,
        .config = config,
    };
    void *bytes;
    size_t size;
    RAMIFY_TRY(ramify_draft_write(p->context, &draft, &bytes, &size));
    return ramify_open_owned(p->context, bytes, size, model);
}

/* The factor on outputs with which probabilities fit select rows best. */
static ramify_status find_factor(const ramify_pruning *p, float *factor) {
    const ramify_problem *problem = learned_from(p);
    const size_t stride = ramify_pad(problem->outputs), count = problem->select.count;
    double temperature = 1;
    *factor = 1;
    if (!ramify_temperature_wanted(problem))
        return RAMIFY_OK;
    float *outputs = ramify_allocate(p->context, count * stride, sizeof *outputs);
    ramify_status status = outputs ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        const uint32_t *row = &problem->select.row[i];
        status = ramify_expert_outputs(problem, &p->parts->shape, NULL, features_of(p),
                                       p->parts->records[p->parts->nodes[p->leaf[*row]].module],
                                       (ramify_rows){row, 1}, outputs + i * stride);
    }
    if (status == RAMIFY_OK)
        status = ramify_temperature_of(problem, problem->select, outputs, &temperature);
    ramify_release(p->context, outputs);
    *factor = (float)(1 / temperature);
    return status;
}

static ramify_status write_twice(ramify_pruning *p, const stored *s, json_t *config,
                                 ramify_model **model) {
    ramify_model *blank = NULL;
    ramify_annotation *annotation = NULL;
    ramify_score score;
    RAMIFY_TRY(draft_model(p, s, config, NULL, &blank));
    ramify_status status = ramify_score_model(p->context, blank, p->match, p->split->report,
                                              p->split->report_count, &score, NULL);
    if (status == RAMIFY_OK)
        status = ramify_annotate(p->problem, blank, p->match, p->split, &annotation);
    ramify_close(&blank);
    if (status == RAMIFY_OK &&
        json_object_set_new(config, "report", ramify_score_json(&score)) != 0)
        status = ramify_fail(p->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = draft_model(p, s, config, &annotation->notes, model);
    ramify_annotation_destroy(p->context, &annotation);
    return status;
}

ramify_status ramify_pruning_model(ramify_pruning *p, ramify_storage storage, json_t *about,
                                   ramify_model **model) {
    float factor;
    stored s = {0};
    *model = NULL;
    json_t *config = ramify_dismantled_config(p->model);
    ramify_status status =
        config && (!about || json_object_set(config, "pruning", about) == 0)
            ? RAMIFY_OK
            : ramify_fail(p->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = find_factor(p, &factor);
    if (status == RAMIFY_OK)
        status = store(p, storage, NULL, factor, &s);
    if (status == RAMIFY_OK)
        status = write_twice(p, &s, config, model);
    stored_clear(p, &s);
    json_decref(config);
    return status;
}

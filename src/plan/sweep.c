#include "sweep.h"
#include "dismantle.h"
#include "memory.h"
#include "model.h"
#include "predict.h"
#include "progress.h"
#include "prune_law.h"
#include "random.h"
#include "recipe.h"
#include "repack.h"
#include "score.h"
#include "status.h"
#include "threads.h"
#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fewer rows than this tell nothing of more, nor do fewer sizes: level 0 and three halvings. */
#define LEAST_ROWS   100
#define LEAST_LEVELS 4
/* Rows that judge, at most: more cost time, and their error is known well enough. */
#define HELD_MOST 20000
/* What a training does beside its root, in passes of the usual length, as the recipe has it: seven designs on
 * trial; four teachers; a root that learns from them besides; two routings on trial and two levels of a tree.
 * Trials are made on two folds where few rows choose. */
#define TRIALS         1.05
#define TEACHERS       1.28
#define DISTILLED_ROOT 1.5
#define ROUTINGS       0.8
#define LEVELS         2.6
#define FOLDS          2.0
#define FOLDS_BELOW    500
/* Weights of a teacher between those of its two kinds: three layers of 128 units, or of 96 and two members. */
#define TEACHER_WIDTH   112.0
#define TEACHER_MEMBERS 1.5
#define TEACHER_LAYERS  3.0
/* Rows and repeats by which a latency is measured. */
#define LATENCY_ROWS    64
#define LATENCY_REPEATS 15
/* Of a normal distribution, between the ends of a 90 % interval, in standard deviations. */
#define NORMAL_90 3.289707

const char *ramify_stage_name(ramify_stage stage) {
    static const char *const names[RAMIFY_STAGES] = {"one expert", "one taught expert", "tree",
                                                     "untaught tree"};
    return names[stage];
}

bool ramify_sweep_same_design(const ramify_sweep_design *a, const ramify_sweep_design *b) {
    return a->bins == b->bins && a->periodic == b->periodic && a->members == b->members &&
           a->layers == b->layers && a->width == b->width;
}

/* --- Rows ---------------------------------------------------------------------------------------- */

/* Of the level above, half; its other half, where it is to judge, is held. */
static ramify_status halve(ramify_sweep *s, uint32_t level) {
    const ramify_split *above = &s->part[level - 1];
    ramify_split_request request;
    ramify_split *halves = NULL;
    double *labels = ramify_allocate(s->context, above->train_count, sizeof *labels);
    if (!labels)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < above->train_count; i++)
        labels[i] = ramify_match_target(s->rows.match, 0, above->train[i]);
    ramify_status status =
        ramify_train_rows_request(&s->rows, above->train, labels, above->train_count, &request);
    request.validation = 0.5;
    request.seed = ramify_random_child(s->options->seed, level);
    request.time = NULL; /* rows of all times, fewer of them */
    if (status == RAMIFY_OK)
        status = ramify_split_create(s->context, s->table, &request, &halves);
    ramify_release(s->context, labels);
    RAMIFY_TRY(status);
    s->part[level] = *above;
    s->part[level].train = halves->train;
    s->part[level].train_count = halves->train_count;
    halves->train = NULL;
    ramify_split_destroy(s->context, &halves);
    return RAMIFY_OK;
}

/* The rows of level 0 that level 1 lacks, or some of them; both are ascending. */
static ramify_status hold_rows(ramify_sweep *s) {
    const ramify_split *all = &s->part[0], *half = &s->part[1];
    const size_t count = all->train_count - half->train_count;
    const size_t step = (count + HELD_MOST - 1) / HELD_MOST;
    s->held = ramify_allocate(s->context, count, sizeof *s->held);
    if (!s->held)
        return RAMIFY_ERROR_MEMORY;
    size_t seen = 0;
    for (size_t i = 0, k = 0; i < all->train_count; i++) {
        if (k < half->train_count && half->train[k] == all->train[i]) {
            k++;
            continue;
        }
        if (seen++ % step == 0)
            s->held[s->held_count++] = all->train[i];
    }
    return RAMIFY_OK;
}

/* Where the training is judged by what is later than its rows, small runs are too. */
static ramify_status hold_report_rows(ramify_sweep *s) {
    s->held_count = s->part[0].report_count;
    s->held = ramify_allocate(s->context, s->held_count, sizeof *s->held);
    if (!s->held)
        return RAMIFY_ERROR_MEMORY;
    memcpy(s->held, s->part[0].report, s->held_count * sizeof *s->held);
    return RAMIFY_OK;
}

ramify_status ramify_sweep_open(ramify_context *context, const ramify_table *table,
                                const ramify_train_options *options, ramify_sweep *sweep) {
    *sweep = (ramify_sweep){.context = context, .table = table, .options = options};
    RAMIFY_TRY(ramify_train_rows_open(context, table, options, &sweep->rows));
    RAMIFY_TRY(ramify_train_rows_divide(&sweep->rows, NULL, ramify_table_rows(table)));
    sweep->part[0] = *sweep->rows.split;
    sweep->levels = 1;
    sweep->epochs = ramify_recipe_epochs(sweep->part[0].train_count, options);
    ramify_status status = RAMIFY_OK;
    while (status == RAMIFY_OK && sweep->levels < RAMIFY_SWEEP_LEVELS_MAX &&
           sweep->part[sweep->levels - 1].train_count >= 2 * (size_t)LEAST_ROWS) {
        status = halve(sweep, sweep->levels);
        sweep->levels += status == RAMIFY_OK;
    }
    if (status == RAMIFY_ERROR_DATA) /* so few groups cannot be halved again */
        ramify_clear(context);
    else
        RAMIFY_TRY(status);
    if (sweep->levels < LEAST_LEVELS)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: %zu training rows%s are too few for small runs, which take %d of "
                           "them at the least, halved %d times: train instead",
                           table->source, sweep->part[0].train_count,
                           options->group ? ", in their groups," : "",
                           LEAST_ROWS << (LEAST_LEVELS - 1), LEAST_LEVELS - 1);
    if (options->time)
        return hold_report_rows(sweep);
    return hold_rows(sweep);
}

void ramify_sweep_close(ramify_sweep *sweep) {
    for (uint32_t level = 1; level < sweep->levels; level++)
        ramify_release(sweep->context, sweep->part[level].train);
    ramify_release(sweep->context, sweep->held);
    ramify_train_rows_close(&sweep->rows);
}

static double weight_of(const ramify_sweep *s, uint32_t row) {
    return s->rows.weight ? ramify_column_value(s->rows.weight, row) : 1;
}

static double error_of_mean(const ramify_sweep *s) {
    double sum = 0, mean = 0, squares = 0;
    for (size_t i = 0; i < s->held_count; i++) {
        const double weight = weight_of(s, s->held[i]);
        const double far = ramify_match_target(s->rows.match, 0, s->held[i]) - mean;
        sum += weight;
        if (weight > 0) {
            mean += far * weight / sum;
            squares += weight * far * (ramify_match_target(s->rows.match, 0, s->held[i]) - mean);
        }
    }
    return sqrt(squares / sum);
}

static double error_of_class(const ramify_sweep *s) {
    const uint32_t classes = s->rows.schema->class_count;
    double *share = ramify_allocate_zeroed(s->context, classes, sizeof *share);
    double sum = 0, most = 0;
    if (!share) {
        ramify_clear(s->context);
        return (double)NAN;
    }
    for (size_t i = 0; i < s->held_count; i++) {
        const double weight = weight_of(s, s->held[i]);
        double *of = &share[(uint32_t)ramify_match_target(s->rows.match, 0, s->held[i])];
        *of += weight;
        sum += weight;
        most = fmax(most, *of);
    }
    ramify_release(s->context, share);
    return 1 - most / sum;
}

double ramify_sweep_constant_error(const ramify_sweep *s) {
    const ramify_schema *schema = s->rows.schema;
    if (schema->task == RAMIFY_TASK_CLASSIFICATION)
        return error_of_class(s);
    return schema->target_count == 1 ? error_of_mean(s) : (double)NAN;
}

/* --- Runs ---------------------------------------------------------------------------------------- */

static double rows_of(const ramify_sweep *s, uint32_t level) {
    return (double)s->part[level].train_count;
}

static double weights_of(const ramify_sweep *s, double inputs, double layers, double width,
                         double members) {
    const ramify_schema *schema = s->rows.schema;
    const double outputs =
        schema->task == RAMIFY_TASK_CLASSIFICATION ? schema->class_count : schema->target_count;
    return members * width * (inputs + (layers - 1) * width + outputs);
}

double ramify_sweep_cost(const ramify_sweep *s, const ramify_sweep_point *point) {
    const ramify_sweep_design *design = point->design.layers > 0 ? &point->design : &s->usual;
    const double visits = rows_of(s, point->level) * s->epochs * point->length;
    const double weights =
        weights_of(s, design->inputs, design->layers, design->width, design->members);
    const double teacher =
        weights_of(s, design->inputs, TEACHER_LAYERS, TEACHER_WIDTH, TEACHER_MEMBERS);
    if (point->stage == RAMIFY_STAGE_PLAIN && point->design.layers > 0)
        return visits * weights * (1 + point->rounds);
    double passes = 1 + TRIALS * (s->part[0].select_count < FOLDS_BELOW ? FOLDS : 1);
    if (point->stage == RAMIFY_STAGE_PLAIN)
        return visits * weights * (passes + 1); /* two designs are trained in full */
    if (point->stage != RAMIFY_STAGE_TAUGHT)
        passes += ROUTINGS + LEVELS;
    if (point->stage == RAMIFY_STAGE_UNTAUGHT_TREE)
        return visits * weights * passes;
    return visits * (weights * (passes + DISTILLED_ROOT) + teacher * TEACHERS);
}

static ramify_choice on_or_off(bool on) {
    return on ? RAMIFY_CHOICE_ON : RAMIFY_CHOICE_OFF;
}

/* hidden: room for the widths. */
void ramify_sweep_set_design(const ramify_sweep_design *design, char hidden[RAMIFY_HIDDEN_ROOM],
                             ramify_train_options *options) {
    if (design->layers == 0)
        return;
    size_t used = 0;
    for (uint32_t l = 0; l < design->layers && used < RAMIFY_HIDDEN_ROOM; l++)
        used += (size_t)snprintf(hidden + used, RAMIFY_HIDDEN_ROOM - used, "%s%u", l > 0 ? "," : "",
                                 design->width);
    if (!options->hidden) /* given widths need not be alike, and no others are run */
        options->hidden = hidden;
    options->bins = on_or_off(design->bins);
    options->periodic = on_or_off(design->periodic);
    options->members = design->members;
}

static ramify_train_options options_of(const ramify_sweep *s, const ramify_sweep_point *point,
                                       char hidden[RAMIFY_HIDDEN_ROOM]) {
    ramify_train_options options = *s->options;
    options.controls = false;
    options.rewind_at = 0;
    options.time_limit = 0;
    options.seed = s->options->seed + point->repeat;
    options.epochs = (uint32_t)fmax(round(s->epochs * point->length), 1);
    if (point->stage == RAMIFY_STAGE_PLAIN || point->stage == RAMIFY_STAGE_UNTAUGHT_TREE)
        options.distillation = RAMIFY_CHOICE_OFF;
    if (point->stage == RAMIFY_STAGE_PLAIN || point->stage == RAMIFY_STAGE_TAUGHT)
        options.leaves = 1;
    ramify_sweep_set_design(&point->design, hidden, &options);
    return options;
}

/* The least of several means, as whatever else runs only adds to them. */
static ramify_status measure_latency(const ramify_sweep *s, ramify_context *context,
                                     ramify_model *model, double *latency) {
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    const size_t rows = s->held_count < LATENCY_ROWS ? s->held_count : LATENCY_ROWS;
    ramify_predictor *predictor = NULL;
    double *x = ramify_allocate(context, rows * info.columns, sizeof *x);
    double *y = ramify_allocate(context, info.outputs, sizeof *y);
    ramify_status status = x && y ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_predictor_create(context, model, 1, &predictor);
    if (status == RAMIFY_OK)
        ramify_match_rows(s->rows.match, s->held, 0, rows, x);
    *latency = INFINITY;
    for (int i = 0; status == RAMIFY_OK && i < LATENCY_REPEATS; i++) {
        const double started = ramify_seconds();
        for (size_t r = 0; status == RAMIFY_OK && r < rows; r++)
            status = ramify_predict_double(predictor, 1, x + r * info.columns, info.columns, y,
                                           info.outputs);
        *latency = fmin(*latency, (ramify_seconds() - started) / (double)rows);
    }
    ramify_predictor_destroy(&predictor);
    ramify_release(context, x);
    ramify_release(context, y);
    return status;
}

static ramify_status find_shape(ramify_context *context, ramify_model *model,
                                ramify_sweep_design *design) {
    ramify_dismantled *parts = NULL;
    RAMIFY_TRY(ramify_dismantle(context, model, &parts));
    design->members = parts->shape.members;
    design->layers = parts->shape.layers - 1;
    design->width = parts->shape.width[1];
    design->inputs = parts->shape.width[0];
    ramify_dismantled_destroy(&parts);
    return RAMIFY_OK;
}

static ramify_status describe(const ramify_sweep *s, ramify_context *context, ramify_model *model,
                              ramify_sweep_run *run) {
    const ramify_split *part = &s->part[run->point.level];
    const bool whole = run->point.level == 0;
    ramify_score score;
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    RAMIFY_TRY(ramify_score_model(context, model, s->rows.match, whole ? part->report : s->held,
                                  whole ? part->report_count : s->held_count, &score, NULL));
    run->rows = part->train_count;
    const ramify_trained trained = ramify_trained_by(model);
    run->epochs = trained.epochs;
    run->design.bins = trained.bins;
    run->design.periodic = trained.periodic;
    RAMIFY_TRY(find_shape(context, model, &run->design));
    run->error = isnan(score.rmse) ? 1 - score.accuracy : score.rmse;
    run->deviation = (score.error_high - score.error_low) / NORMAL_90;
    run->parameters = info.parameters;
    run->resident_bytes = info.resident_bytes;
    run->config_bytes = strlen(info.config);
    return measure_latency(s, context, model, &run->latency);
}

/* Prunes the model of a run, in its place. One whose weights cannot be so few stays without a result. */
static ramify_status prune_run(const ramify_sweep *s, ramify_context *context,
                               ramify_sweep_run *run, ramify_model **model) {
    ramify_prune_options options;
    ramify_prune_options_init(&options);
    options.max_resident = run->point.pruned;
    options.distillation = RAMIFY_CHOICE_OFF;
    options.weight = s->options->weight;
    ramify_model *pruned = NULL;
    ramify_prune_result *result = NULL;
    const double started = ramify_thread_seconds();
    ramify_status status = ramify_prune_on(context, *model, s->table, &options,
                                           &s->part[run->point.level], &pruned, &result);
    run->seconds += ramify_thread_seconds() - started;
    if (status == RAMIFY_OK) {
        run->density = result->density;
        status = describe(s, context, pruned, run);
    }
    if (pruned) { /* after a stop too, with the best so far */
        ramify_close(model);
        *model = pruned;
    }
    ramify_prune_result_destroy(&result);
    return status;
}

typedef struct sweep_task {
    const ramify_sweep *sweep;
    ramify_sweep_run **run; /* in the order in which they are made */
    double total;           /* costs */
    _Atomic(double) done;
} sweep_task;

static ramify_status make_run(void *argument, size_t index, uint32_t worker) {
    (void)worker;
    sweep_task *task = argument;
    const ramify_sweep *s = task->sweep;
    ramify_sweep_run *run = task->run[index];
    ramify_context *context = NULL;
    ramify_model *model = NULL;
    ramify_training training = {0};
    char hidden[RAMIFY_HIDDEN_ROOM];
    if (ramify_context_beside(s->context, 1, &context) != RAMIFY_OK)
        return ramify_fail(s->context, RAMIFY_ERROR_MEMORY, "out of memory for a small run");
    const ramify_train_options options = options_of(s, &run->point, hidden);
    const double started = ramify_thread_seconds();
    ramify_status status =
        ramify_train_on(context, s->table, &options, &s->part[run->point.level], &model, &training);
    run->seconds = ramify_thread_seconds() - started;
    if (status == RAMIFY_OK)
        status = describe(s, context, model, run);
    run->dense = run->error;
    run->density = 1;
    if (status == RAMIFY_OK && run->point.pruned > 0)
        status = prune_run(s, context, run, &model);
    run->made = status == RAMIFY_OK;
    if (status == RAMIFY_ERROR_LIMIT && run->point.pruned > 0)
        status = RAMIFY_OK; /* so few weights cannot be had: no such candidate, and no failure */
    if (status != RAMIFY_OK && status != RAMIFY_STOPPED)
        status = ramify_fail(s->context, status, "%s", ramify_message(context));
    ramify_close(&model);
    ramify_context_destroy(&context);
    if (status == RAMIFY_OK) {
        const double cost = ramify_sweep_cost(s, &run->point);
        double done = atomic_load(&task->done);
        while (!atomic_compare_exchange_weak(&task->done, &done, done + cost))
            ;
        ramify_progress_report(s->context, "small runs", fmin(done + cost, task->total),
                               task->total);
    }
    return status;
}

/* qsort has no argument: runs are sorted with their costs beside them. */
typedef struct costed_run {
    double cost;
    size_t index;
    ramify_sweep_run *run;
} costed_run;

static int dearer_first(const void *a, const void *b) {
    const costed_run *one = a, *other = b;
    if (one->cost != other->cost)
        return one->cost > other->cost ? -1 : 1;
    return one->index < other->index ? -1 : 1;
}

ramify_status ramify_sweep_make(ramify_sweep *sweep, ramify_sweep_run *runs, size_t count) {
    costed_run *list = ramify_allocate(sweep->context, count + 1, sizeof *list);
    ramify_sweep_run **order = ramify_allocate(sweep->context, count + 1, sizeof(void *));
    sweep_task task = {.sweep = sweep, .run = order};
    ramify_status status = list && order ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    size_t missing = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++)
        if (!runs[i].made) {
            list[missing] = (costed_run){ramify_sweep_cost(sweep, &runs[i].point), i, &runs[i]};
            task.total += list[missing++].cost;
        }
    if (status == RAMIFY_OK) {
        qsort(list, missing, sizeof *list, dearer_first);
        for (size_t i = 0; i < missing; i++)
            order[i] = list[i].run;
        status = ramify_parallel(sweep->context, missing, make_run, &task);
    }
    ramify_release(sweep->context, list);
    ramify_release(sweep->context, order);
    return status;
}

/* Permutation importance (Breiman, Random Forests, 2001; Fisher, Rudin, Dominici, All Models are
 * Wrong, but Many are Useful, 2019): how much the loss grows when the cells of one column are dealt
 * out anew among the rows.
 *
 * Every (column, repeat) is one task, and so are the rows as they are. A task goes over all rows in
 * their order, block after block, and keeps nothing but sums of losses: the table is never copied,
 * a thread holds one permutation of row numbers and one block, and what is summed, in which order,
 * does not depend on the number of threads. */

#include "memory.h"
#include "predict.h"
#include "progress.h"
#include "random.h"
#include "score.h"
#include "status.h"
#include "table.h"
#include "threads.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define DEFAULT_REPEATS 5
#define BLOCK_ROWS      1024

/* Sums of a task of a classification. */
enum { NATS = 0, WRONG = 1, CLASS_SUMS = 2 };

typedef struct worker {
    ramify_predictor *predictor;
    double *raw;     /* block x columns */
    double *y;       /* block x outputs */
    uint32_t *order; /* count: the table rows that cells are taken from */
} worker;

typedef struct importance_job {
    ramify_context *context;
    ramify_model *model;
    const ramify_match *match;
    ramify_importance_options options;
    uint32_t *rows; /* count table rows, whose targets are there */
    size_t count, block;
    uint32_t columns, outputs;
    uint32_t sum_count; /* targets, of whose squared errors the sums are; or CLASS_SUMS */
    size_t tasks;       /* the rows as they are, then repeat after repeat of column after column */
    double *sums;       /* tasks x sum_count */
    atomic_size_t blocks_done;
    worker *workers; /* worker_count */
    uint32_t worker_count;
} importance_job;

/* Adds the losses of rows rows[0 .. count), predicted as y, to the sums of a task. */
static void add_losses(const importance_job *job, const uint32_t *rows, size_t count,
                       const double *y, double *sums) {
    const ramify_match *match = job->match;
    uint32_t outputs = job->outputs;
    if (match->schema->task == RAMIFY_TASK_CLASSIFICATION) {
        for (size_t i = 0; i < count; i++) {
            uint32_t label = (uint32_t)ramify_match_target(match, 0, rows[i]);
            uint32_t likeliest;
            sums[NATS] += ramify_score_class(y + i * outputs, outputs, label, &likeliest);
            sums[WRONG] += likeliest != label;
        }
        return;
    }
    for (uint32_t t = 0; t < outputs; t++)
        for (size_t i = 0; i < count; i++) {
            double error = y[i * outputs + t] - ramify_match_target(match, t, rows[i]);
            sums[t] += error * error;
        }
}

static void permute(const importance_job *job, size_t task, uint32_t *order) {
    uint64_t column = (task - 1) / job->options.repeats;
    uint64_t repeat = (task - 1) % job->options.repeats;
    ramify_random random =
        ramify_random_stream(job->options.seed, RAMIFY_PURPOSE_IMPORTANCE, column, repeat);
    memcpy(order, job->rows, job->count * sizeof *order);
    ramify_random_shuffle(&random, order, job->count);
}

static ramify_status run_task(void *argument, size_t task, uint32_t number) {
    importance_job *job = argument;
    worker *w = &job->workers[number];
    size_t blocks = (job->count + job->block - 1) / job->block;
    if (task > 0)
        permute(job, task, w->order);
    for (size_t first = 0; first < job->count; first += job->block) {
        if (ramify_cancelled(job->context))
            return ramify_fail(job->context, RAMIFY_STOPPED, "stopped");
        size_t count = job->count - first < job->block ? job->count - first : job->block;
        ramify_match_rows(job->match, job->rows + first, 0, count, w->raw);
        if (task > 0) {
            uint32_t column = (uint32_t)((task - 1) / job->options.repeats);
            ramify_match_column(job->match, column, w->order + first, 0, count, w->raw + column,
                                job->columns);
        }
        RAMIFY_TRY(
            ramify_predictor_run(w->predictor, count, w->raw, job->columns, w->y, job->outputs));
        add_losses(job, job->rows + first, count, w->y, job->sums + task * job->sum_count);
        size_t done = atomic_fetch_add(&job->blocks_done, 1) + 1;
        ramify_progress_report(job->context, "permuting", (double)done,
                               (double)blocks * (double)job->tasks);
    }
    return RAMIFY_OK;
}

static ramify_status start_workers(importance_job *job) {
    ramify_context *context = job->context;
    job->workers = ramify_allocate_zeroed(context, job->worker_count, sizeof *job->workers);
    if (!job->workers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < job->worker_count; i++) {
        worker *w = &job->workers[i];
        w->raw = ramify_allocate(context, job->block * job->columns, sizeof *w->raw);
        w->y = ramify_allocate(context, job->block * job->outputs, sizeof *w->y);
        w->order = ramify_allocate(context, job->count, sizeof *w->order);
        if (!w->raw || !w->y || !w->order)
            return RAMIFY_ERROR_MEMORY;
        RAMIFY_TRY(ramify_predictor_create_inside(context, job->model, job->block, &w->predictor));
    }
    return RAMIFY_OK;
}

/* Sizes, sums and workers of a job whose rows are found. */
static ramify_status start(importance_job *job) {
    const ramify_schema *schema = job->match->schema;
    job->columns = schema->column_count;
    job->outputs = job->model->outputs;
    job->sum_count = schema->task == RAMIFY_TASK_CLASSIFICATION ? CLASS_SUMS : schema->target_count;
    job->block = job->count < BLOCK_ROWS ? job->count : BLOCK_ROWS;
    size_t task_bytes = job->sum_count * sizeof *job->sums;
    if (!ramify_size_multiply(job->columns, job->options.repeats, &job->tasks) ||
        !ramify_size_add(job->tasks, 1, &job->tasks))
        return ramify_fail(job->context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_importance: %u repeats of %u columns are more than can be "
                           "counted: take fewer repeats",
                           job->options.repeats, job->columns);
    job->sums = ramify_allocate_zeroed(job->context, job->tasks, task_bytes);
    if (!job->sums)
        return RAMIFY_ERROR_MEMORY;
    job->worker_count = ramify_predict_workers(job->context, job->model, job->tasks);
    return start_workers(job);
}

/* ---- what the sums say ---- */

/* A loss of one task: the rmse of target `which`, or of all of them as in ramify_evaluate where
 * which is their number; log loss or share of wrong rows. */
static double loss_of(const importance_job *job, size_t task, uint32_t which) {
    const double *sums = job->sums + task * job->sum_count;
    double count = (double)job->count;
    if (job->match->schema->task == RAMIFY_TASK_CLASSIFICATION)
        return sums[which] / count;
    if (which < job->sum_count)
        return sqrt(sums[which] / count);
    double squares = 0;
    for (uint32_t t = 0; t < job->sum_count; t++) {
        double rmse = sqrt(sums[t] / count);
        squares += rmse * rmse / job->sum_count;
    }
    return sqrt(squares);
}

/* Mean over repeats of how much a loss grows, and its standard deviation. */
static void growth(const importance_job *job, uint32_t column, uint32_t which, double *mean,
                   double *sd) {
    uint32_t repeats = job->options.repeats;
    size_t first = 1 + (size_t)column * repeats;
    double before = loss_of(job, 0, which), sum = 0, squares = 0;
    for (uint32_t r = 0; r < repeats; r++)
        sum += loss_of(job, first + r, which) - before;
    *mean = sum / repeats;
    for (uint32_t r = 0; r < repeats; r++) {
        double apart = loss_of(job, first + r, which) - before - *mean;
        squares += apart * apart;
    }
    *sd = repeats > 1 ? sqrt(squares / (repeats - 1)) : (double)NAN;
}

static void tell(const importance_job *job, ramify_score *score,
                 ramify_column_importance *importance, ramify_column_importance *targets) {
    bool classes = job->match->schema->task == RAMIFY_TASK_CLASSIFICATION;
    uint32_t target_count = job->match->schema->target_count;
    if (score) {
        *score = ramify_score_none();
        score->rows = job->count;
        if (!classes) {
            score->rmse = loss_of(job, 0, job->sum_count);
        } else {
            score->log_loss = loss_of(job, 0, NATS);
            score->accuracy = 1 - loss_of(job, 0, WRONG);
        }
    }
    const ramify_column_importance none = {(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    for (uint32_t c = 0; c < job->columns; c++) {
        ramify_column_importance *all = &importance[c];
        *all = none;
        growth(job, c, classes ? NATS : job->sum_count, &all->increase, &all->sd);
        if (classes)
            growth(job, c, WRONG, &all->accuracy_drop, &all->accuracy_sd);
        for (uint32_t t = 0; targets && t < target_count; t++) {
            ramify_column_importance *one = &targets[(size_t)c * target_count + t];
            *one = *all;
            if (!classes)
                growth(job, c, t, &one->increase, &one->sd);
        }
    }
}

/* ---- the calls ---- */

void ramify_importance_options_init(ramify_importance_options *options) {
    *options = (ramify_importance_options){.repeats = DEFAULT_REPEATS};
}

static ramify_status measure(importance_job *job) {
    job->rows = ramify_allocate(job->context, job->match->table->rows, sizeof *job->rows);
    if (!job->rows)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(ramify_score_find_rows(job->context, job->match, job->rows, &job->count));
    RAMIFY_TRY(start(job));
    return ramify_parallel_on(job->context, job->worker_count, job->tasks, run_task, job);
}

ramify_status ramify_importance(ramify_context *context, ramify_model *model,
                                const ramify_table *table, const ramify_importance_options *options,
                                ramify_score *score, ramify_column_importance *importance,
                                ramify_column_importance *targets) {
    ramify_clear(context);
    importance_job job = {.context = context, .model = model};
    ramify_importance_options_init(&job.options);
    if (options)
        job.options = *options;
    if (!model || !table || !importance)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_importance: model, table or importance is NULL");
    if (job.options.repeats == 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_importance: 0 repeats: must be at least 1");
    ramify_match *match;
    RAMIFY_TRY(ramify_match_create(context, model->schema, table, true, &match));
    job.match = match;
    ramify_status status = measure(&job);
    if (status == RAMIFY_OK)
        tell(&job, score, importance, targets);
    for (uint32_t i = 0; job.workers && i < job.worker_count; i++) {
        ramify_predictor_destroy(&job.workers[i].predictor);
        ramify_release(context, job.workers[i].order);
        ramify_release(context, job.workers[i].y);
        ramify_release(context, job.workers[i].raw);
    }
    ramify_release(context, job.workers);
    ramify_release(context, job.sums);
    ramify_release(context, job.rows);
    ramify_match_destroy(context, &match);
    return status;
}

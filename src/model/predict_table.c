/* Predicting a whole table: blocks of rows, each on one thread. */

#include "memory.h"
#include "predict.h"
#include "progress.h"
#include "schema.h"
#include "status.h"
#include "table.h"
#include "text.h"
#include "threads.h"

#include <string.h>

/* Rows of a block: enough for every expert's share to be worth gathering, few enough to stay in the
 * cache. */
#define BLOCK_ROWS 1024

typedef struct worker {
    ramify_predictor *predictor;
    double *raw;       /* BLOCK_ROWS x columns */
    uint64_t *outside; /* columns: values outside the training range */
} worker;

typedef struct table_job {
    ramify_context *context;
    ramify_model *model;
    const ramify_match *match;
    size_t rows, block;
    double *y; /* rows x outputs */
    worker *workers;
    uint32_t worker_count;
} table_job;

static void count_outside(const ramify_schema *schema, const double *raw, size_t rows,
                          uint64_t *outside) {
    for (size_t row = 0; row < rows; row++)
        for (uint32_t c = 0; c < schema->column_count; c++) {
            const ramify_schema_column *column = &schema->columns[c];
            double value = raw[row * schema->column_count + c];
            if (!column->categorical && (value < column->low || value > column->high))
                outside[c]++;
        }
}

static ramify_status predict_block(void *argument, size_t task, uint32_t number) {
    table_job *job = argument;
    if (ramify_cancelled(job->context))
        return ramify_fail(job->context, RAMIFY_STOPPED, "stopped");
    worker *w = &job->workers[number];
    const ramify_schema *schema = job->model->schema;
    size_t first = task * job->block;
    size_t count = job->rows - first < job->block ? job->rows - first : job->block;
    ramify_match_rows(job->match, NULL, first, count, w->raw);
    count_outside(schema, w->raw, count, w->outside);
    uint32_t outputs = job->model->outputs;
    return ramify_predictor_run(w->predictor, count, w->raw, schema->column_count,
                                job->y + first * outputs, outputs);
}

static ramify_status start_workers(table_job *job) {
    ramify_context *context = job->context;
    job->workers = ramify_allocate_zeroed(context, job->worker_count, sizeof *job->workers);
    if (!job->workers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < job->worker_count; i++) {
        worker *w = &job->workers[i];
        w->raw =
            ramify_allocate(context, job->block * job->model->schema->column_count, sizeof *w->raw);
        w->outside =
            ramify_allocate_zeroed(context, job->model->schema->column_count, sizeof *w->outside);
        if (!w->raw || !w->outside)
            return RAMIFY_ERROR_MEMORY;
        RAMIFY_TRY(ramify_predictor_create_inside(context, job->model, job->block, &w->predictor));
    }
    return RAMIFY_OK;
}

static ramify_status run_blocks(table_job *job) {
    size_t tasks = (job->rows + job->block - 1) / job->block;
    if (job->worker_count > 1)
        return ramify_parallel(job->context, tasks, predict_block, job);
    for (size_t task = 0; task < tasks; task++)
        RAMIFY_TRY(predict_block(job, task, 0));
    return RAMIFY_OK;
}

/* Says how many values lie outside, and where most of them do. */
static void warn_outside(const table_job *job, const char *source) {
    const ramify_schema *schema = job->model->schema;
    uint64_t outside = 0, most = 0;
    uint32_t worst = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        uint64_t here = 0;
        for (uint32_t i = 0; i < job->worker_count; i++)
            here += job->workers[i].outside[c];
        outside += here;
        if (here > most) {
            most = here;
            worst = c;
        }
    }
    char name[RAMIFY_EXCERPT_BYTES];
    if (outside > 0)
        ramify_log(job->context, RAMIFY_LOG_WARNING,
                   "%s: %llu values lie outside the range of the training rows, %llu of them in "
                   "column \"%s\"; predictions there are extrapolations",
                   source, (unsigned long long)outside, (unsigned long long)most,
                   ramify_text_excerpt(schema->columns[worst].name,
                                       strlen(schema->columns[worst].name), name));
}

static ramify_status predict_matched(table_job *job, const char *source) {
    ramify_context *context = job->context;
    ramify_status status = start_workers(job);
    if (status == RAMIFY_OK)
        status = run_blocks(job);
    if (status == RAMIFY_OK)
        warn_outside(job, source);
    for (uint32_t i = 0; job->workers && i < job->worker_count; i++) {
        ramify_release(context, job->workers[i].outside);
        ramify_predictor_destroy(&job->workers[i].predictor);
        ramify_release(context, job->workers[i].raw);
    }
    ramify_release(context, job->workers);
    return status;
}

ramify_status ramify_predict_table(ramify_context *context, ramify_model *model,
                                   const ramify_table *table, double *y) {
    ramify_clear(context);
    if (!model || !table || !y)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict_table: model, table or y is NULL");
    return ramify_predict_table_inside(context, model, table, NULL, y);
}

ramify_status ramify_predict_table_inside(ramify_context *context, ramify_model *model,
                                          const ramify_table *table, const ramify_match *match,
                                          double *y) {
    ramify_match *made = NULL;
    if (!match)
        RAMIFY_TRY(ramify_match_create(context, model->schema, table, false, &made));
    table_job job = {.context = context,
                     .model = model,
                     .match = match ? match : made,
                     .rows = ramify_table_rows(table),
                     .y = y,
                     .worker_count = ramify_thread_count(context)};
    job.block = job.rows < BLOCK_ROWS ? (job.rows > 0 ? job.rows : 1) : BLOCK_ROWS;
    size_t tasks = (job.rows + job.block - 1) / job.block;
    if (job.worker_count > tasks)
        job.worker_count = tasks > 0 ? (uint32_t)tasks : 1;
    /* The bound counts one predictor. */
    if (model->bound > 0)
        job.worker_count = 1;
    ramify_status status = predict_matched(&job, table->source);
    ramify_match_destroy(context, &made);
    return status;
}

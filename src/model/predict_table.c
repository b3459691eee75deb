/* Predicting a whole table: blocks of rows, each on one thread.
 *
 * Where the experts do not all fit the memory bound, the rows are first taken to their leaves and
 * ordered by expert: each expert is then read once for the whole table, in the order of the file. */

#include "predict_table.h"
#include "cluster.h"
#include "memory.h"
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
    double *raw;       /* block x columns */
    double *predicted; /* block x outputs, if rows are ordered by expert */
    double *noted;     /* block x (2 targets + 1): low, high and novelty likewise */
    uint64_t *outside; /* columns: values outside the training range */
} worker;

typedef struct table_job {
    ramify_context *context;
    ramify_model *model;
    const ramify_match *match;
    size_t first; /* of the table's rows, where they are not ordered by expert */
    size_t rows, block;
    ramify_wanted wanted; /* dense */
    worker *workers;
    uint32_t worker_count;
    bool by_expert;
    uint32_t *expert; /* rows: number of each row's module */
    uint32_t *order;  /* rows, ordered by it; NULL: as they are */
} table_job;

void ramify_count_outside(const ramify_model *model, const double *raw, size_t rows,
                          uint64_t *outside) {
    const ramify_schema *schema = model->schema;
    for (size_t row = 0; row < rows; row++)
        for (uint32_t c = 0; c < schema->column_count; c++) {
            const ramify_schema_column *column = &schema->columns[c];
            double value = raw[row * schema->column_count + c];
            if (!column->categorical && (value < column->low || value > column->high) &&
                model->stem.scale[c] < RAMIFY_STEM_REPEATS)
                outside[c]++;
        }
}

typedef struct row_block {
    size_t first, count;
} row_block;

/* The rows of a task, their raw values on the worker. */
static row_block take_block(const table_job *job, size_t task, uint32_t number) {
    row_block block = {.first = task * job->block};
    block.count = job->rows - block.first < job->block ? job->rows - block.first : job->block;
    ramify_match_rows(job->match, job->order ? job->order + block.first : NULL,
                      job->first + block.first, block.count, job->workers[number].raw);
    return block;
}

/* Task */
static ramify_status find_experts(void *argument, size_t task, uint32_t number) {
    table_job *job = argument;
    if (ramify_cancelled(job->context))
        return ramify_fail(job->context, RAMIFY_STOPPED, "stopped");
    row_block block = take_block(job, task, number);
    return ramify_predictor_find_experts(job->workers[number].predictor, block.count,
                                         job->workers[number].raw, job->model->schema->column_count,
                                         job->expert + block.first);
}

ramify_wanted ramify_wanted_from(const ramify_wanted *wanted, const ramify_model *model,
                                 size_t first) {
    uint32_t targets = model->targets;
    ramify_wanted part = *wanted;
    part.y_stride = model->outputs;
    part.stride = targets;
    part.y = wanted->y + first * model->outputs;
    part.low = wanted->low ? wanted->low + first * targets : NULL;
    part.high = wanted->high ? wanted->high + first * targets : NULL;
    part.novelty = wanted->novelty ? wanted->novelty + first : NULL;
    return part;
}

/* Where a block's results go: to their place, or, where rows are ordered by expert, to the worker. */
static ramify_wanted take_part(const table_job *job, const worker *w, size_t first) {
    const ramify_wanted *all = &job->wanted;
    uint32_t targets = job->model->targets;
    ramify_wanted part = ramify_wanted_from(all, job->model, first);
    if (job->order) {
        part.y = w->predicted;
        part.low = all->low ? w->noted : NULL;
        part.high = all->high ? w->noted + job->block * targets : NULL;
        part.novelty = all->novelty ? w->noted + 2 * job->block * targets : NULL;
    }
    return part;
}

/* Rows of results go to the rows of the table that they are of. */
static void scatter(const double *from, const uint32_t *order, size_t rows, size_t columns,
                    double *to) {
    for (size_t i = 0; from && i < rows; i++)
        memcpy(to + order[i] * columns, from + i * columns, columns * sizeof *to);
}

/* Task */
static ramify_status predict_block(void *argument, size_t task, uint32_t number) {
    table_job *job = argument;
    worker *w = &job->workers[number];
    const ramify_schema *schema = job->model->schema;
    uint32_t outputs = job->model->outputs, targets = job->model->targets;
    if (ramify_cancelled(job->context))
        return ramify_fail(job->context, RAMIFY_STOPPED, "stopped");
    row_block block = take_block(job, task, number);
    ramify_count_outside(job->model, w->raw, block.count, w->outside);
    ramify_wanted part = take_part(job, w, block.first);
    RAMIFY_TRY(ramify_predictor_run_wanted(w->predictor, block.count, w->raw, schema->column_count,
                                           &part));
    if (job->order) {
        const uint32_t *order = job->order + block.first;
        scatter(part.y, order, block.count, outputs, job->wanted.y);
        scatter(part.low, order, block.count, targets, job->wanted.low);
        scatter(part.high, order, block.count, targets, job->wanted.high);
        scatter(part.novelty, order, block.count, 1, job->wanted.novelty);
    }
    return RAMIFY_OK;
}

static ramify_status start_workers(table_job *job) {
    ramify_context *context = job->context;
    size_t columns = job->model->schema->column_count, outputs = job->model->outputs;
    job->workers = ramify_allocate_zeroed(context, job->worker_count, sizeof *job->workers);
    if (!job->workers)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < job->worker_count; i++) {
        worker *w = &job->workers[i];
        RAMIFY_TRY(
            job->worker_count == 1
                ? ramify_predictor_create_alone(context, job->model, job->block, &w->predictor)
                : ramify_predictor_create_inside(context, job->model, job->block, &w->predictor));
        job->block = w->predictor->rows; /* the same for all */
        w->raw = ramify_allocate(context, job->block * columns, sizeof *w->raw);
        w->outside = ramify_allocate_zeroed(context, columns, sizeof *w->outside);
        if (job->by_expert)
            w->predicted = ramify_allocate(context, job->block * outputs, sizeof *w->predicted);
        if (!w->raw || !w->outside || (job->by_expert && !w->predicted))
            return RAMIFY_ERROR_MEMORY;
        if (!job->by_expert || !(job->wanted.low || job->wanted.novelty))
            continue;
        size_t noted = 2 * (size_t)job->model->targets + 1;
        w->noted = ramify_allocate(context, job->block * noted, sizeof *w->noted);
        if (!w->noted)
            return RAMIFY_ERROR_MEMORY;
    }
    return RAMIFY_OK;
}

static ramify_status run_blocks(table_job *job, ramify_task_run run) {
    size_t blocks = (job->rows + job->block - 1) / job->block;
    return ramify_parallel_on(job->context, job->worker_count, blocks, run, job);
}

/* Orders the rows by expert: a radix sort by bytes of the module's number, lowest first, that skips
 * the bytes which all numbers share. Rows of one expert keep their order. */
static ramify_status order_rows(table_job *job) {
    ramify_context *context = job->context;
    job->expert = ramify_allocate(context, job->rows, sizeof *job->expert);
    uint32_t *order = ramify_allocate(context, job->rows, sizeof *order);
    uint32_t *next = ramify_allocate(context, job->rows, sizeof *next);
    ramify_status status = job->expert && order && next ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = run_blocks(job, find_experts);
    for (size_t i = 0; status == RAMIFY_OK && i < job->rows; i++)
        order[i] = (uint32_t)i;
    for (uint32_t shift = 0; status == RAMIFY_OK && shift < 32; shift += 8) {
        if (job->model->limits.modules <= (uint64_t)1 << shift)
            break;
        size_t start[257] = {0};
        for (size_t i = 0; i < job->rows; i++)
            start[1 + (job->expert[i] >> shift & 255)]++;
        for (size_t digit = 0; digit < 256; digit++)
            start[digit + 1] += start[digit];
        for (size_t i = 0; i < job->rows; i++)
            next[start[job->expert[order[i]] >> shift & 255]++] = order[i];
        uint32_t *sorted = next;
        next = order;
        order = sorted;
    }
    ramify_release(context, next);
    job->order = order; /* released with the job */
    return status;
}

void ramify_warn_outside(ramify_context *context, const ramify_schema *schema,
                         const uint64_t *outside, const char *source) {
    uint64_t all = 0, most = 0;
    uint32_t worst = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        all += outside[c];
        if (outside[c] > most) {
            most = outside[c];
            worst = c;
        }
    }
    char name[RAMIFY_EXCERPT_BYTES];
    if (all > 0)
        ramify_log(context, RAMIFY_LOG_WARNING,
                   "%s: %llu values lie outside the range of the training rows, %llu of them in "
                   "column \"%s\"; predictions there are extrapolations",
                   source, (unsigned long long)all, (unsigned long long)most,
                   ramify_text_excerpt(schema->columns[worst].name,
                                       strlen(schema->columns[worst].name), name));
}

/* outside[columns] += what workers have counted. */
static void add_outside(const table_job *job, uint64_t *outside) {
    for (uint32_t i = 0; i < job->worker_count; i++)
        for (uint32_t c = 0; c < job->model->schema->column_count; c++)
            outside[c] += job->workers[i].outside[c];
}

static ramify_status predict_matched(table_job *job, uint64_t *outside) {
    ramify_context *context = job->context;
    ramify_status status = start_workers(job);
    if (status == RAMIFY_OK && job->by_expert && job->rows > job->block)
        status = order_rows(job);
    if (status == RAMIFY_OK)
        status = run_blocks(job, predict_block);
    if (status == RAMIFY_OK)
        add_outside(job, outside);
    for (uint32_t i = 0; job->workers && i < job->worker_count; i++) {
        ramify_release(context, job->workers[i].outside);
        ramify_release(context, job->workers[i].predicted);
        ramify_release(context, job->workers[i].noted);
        ramify_predictor_destroy(&job->workers[i].predictor);
        ramify_release(context, job->workers[i].raw);
    }
    ramify_release(context, job->workers);
    ramify_release(context, job->expert);
    ramify_release(context, job->order);
    return status;
}

uint32_t ramify_predict_workers(const ramify_context *context, const ramify_model *model,
                                size_t tasks) {
    size_t workers = ramify_threads(context);
    if (model->bound > 0 && workers > model->predictors)
        workers = model->predictors;
    workers = workers < tasks ? workers : tasks;
    return workers > 0 ? (uint32_t)workers : 1;
}

ramify_status ramify_table_read_for_model(ramify_context *context, const ramify_model *model,
                                          const char *path, const ramify_table_options *options,
                                          ramify_table **table) {
    ramify_clear(context);
    if (!model || !path || !table)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_table_read_for_model: model, path or table is NULL");
    return ramify_table_read_for_schema(context, path, options, model->schema, table);
}

ramify_status ramify_predict_table(ramify_context *context, ramify_model *model,
                                   const ramify_table *table, double *y) {
    ramify_clear(context);
    if (!model || !table || !y)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict_table: model, table or y is NULL");
    return ramify_cluster_tell(context, ramify_predict_table_together(context, model, table, NULL,
                                                                      &(ramify_wanted){.y = y}));
}

ramify_status ramify_predict_table_notes(ramify_context *context, ramify_model *model,
                                         const ramify_table *table, double *y, double level,
                                         double *low, double *high, double *novelty) {
    ramify_clear(context);
    if (!model || !table || !y || !low != !high)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_predict_table_notes: model, table, y, or one of low and high is "
                           "NULL");
    ramify_wanted wanted = {.y = y, .level = level, .low = low, .high = high, .novelty = novelty};
    return ramify_cluster_tell(context,
                               ramify_predict_table_together(context, model, table, NULL, &wanted));
}

ramify_status ramify_predict_rows(ramify_context *context, ramify_model *model,
                                  const ramify_match *match, size_t first, size_t rows,
                                  const ramify_wanted *wanted, uint64_t *outside) {
    uint32_t slots = model->experts.cache.slot_count;
    /* Rows are ordered by expert where all of the table's are predicted. */
    const bool all = first == 0 && rows == ramify_table_rows(match->table);
    table_job job = {.context = context,
                     .model = model,
                     .match = match,
                     .first = first,
                     .rows = rows,
                     .wanted = *wanted,
                     .by_expert = all && slots > 0 && slots < model->limits.modules};
    job.block = job.rows < BLOCK_ROWS ? (job.rows > 0 ? job.rows : 1) : BLOCK_ROWS;
    if (ramify_model_paraformer(model)) {
        job.block = ramify_paraformer_rows(&model->paraformer, job.block);
        job.by_expert = false; /* every row goes through all branches */
    }
    job.worker_count =
        ramify_predict_workers(context, model, (job.rows + job.block - 1) / job.block);
    return predict_matched(&job, outside);
}

ramify_status ramify_predict_check_image(ramify_context *context, const ramify_model *model,
                                         const ramify_table *table) {
    const ramify_embedding_shape *image = &model->paraformer.embedding;
    if (image->patch == 0)
        return RAMIFY_OK;
    return ramify_table_check_image(
        context, table, (const uint32_t[]){image->height, image->breadth, image->channels});
}

ramify_status ramify_predict_table_inside(ramify_context *context, ramify_model *model,
                                          const ramify_table *table, const ramify_match *match,
                                          const ramify_wanted *wanted) {
    RAMIFY_TRY(ramify_wanted_check(context, model, wanted));
    RAMIFY_TRY(ramify_predict_check_image(context, model, table));
    ramify_match *made = NULL;
    if (!match)
        RAMIFY_TRY(ramify_match_create(context, model->schema, table, false, &made));
    uint64_t *outside =
        ramify_allocate_zeroed(context, model->schema->column_count, sizeof *outside);
    ramify_status status = outside ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_predict_rows(context, model, match ? match : made, 0,
                                     ramify_table_rows(table), wanted, outside);
    if (status == RAMIFY_OK)
        ramify_warn_outside(context, model->schema, outside, table->source);
    ramify_release(context, outside);
    ramify_match_destroy(context, &made);
    return status;
}

#include "diagnose_fits.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* A tenth of the rows is held out in a fold, as many folds as it takes for so many rows; few rows
 * need all ten. */
#define HELD_OUT     1000
#define FOLDS_LEAST  3
#define FEW_ROWS     150
#define FOLD_SHARE   0.1
#define SELECT_SHARE 0.05 /* as in ramify_train */
/* What a network that diverged is taken to predict, in deviations of the target, so that sums of its
 * squared errors are numbers. */
#define DIVERGED 1e6F
/* Made-up rows lie between a row and the nearest of so many others. */
#define CANDIDATES 64

ramify_problem ramify_diagnose_view(const ramify_problem *problem, ramify_rows train,
                                    ramify_rows select) {
    ramify_problem view = *problem;
    view.train = view.observed = train;
    view.select = select;
    view.report = (ramify_rows){0};
    return view;
}

double ramify_diagnose_distance(const ramify_problem *problem, size_t a, size_t b) {
    const float *x = problem->plain + a * problem->plain_stride;
    const float *y = problem->plain + b * problem->plain_stride;
    double sum = 0;
    for (uint32_t f = 0; f < problem->stem.plain; f++)
        sum += ((double)x[f] - y[f]) * ((double)x[f] - y[f]);
    return sum;
}

/* Columns of numbers are between the two rows; categories, and gaps, are the first row's. */
static void make_row(ramify_problem *problem, size_t row, size_t real, ramify_random *random) {
    size_t from = ramify_random_below(random, real), near = from;
    double least = INFINITY;
    for (int i = 0; i < CANDIDATES; i++) {
        size_t other = ramify_random_below(random, real);
        double distance = other == from ? INFINITY : ramify_diagnose_distance(problem, from, other);
        if (distance < least) {
            least = distance;
            near = other;
        }
    }
    float share = (float)ramify_random_uniform(random);
    const float *a = problem->plain + from * problem->plain_stride;
    const float *b = problem->plain + near * problem->plain_stride;
    float *to = problem->plain + row * problem->plain_stride;
    memcpy(to, a, problem->plain_stride * sizeof *to);
    for (uint32_t c = 0; c < problem->stem.columns; c++) {
        const ramify_stem_column *column = &problem->stem.column[c];
        uint32_t f = column->plain;
        bool gap = column->codes == 0 && column->missing && (a[f + 1] != 0 || b[f + 1] != 0);
        if (column->codes == 0 && !gap)
            to[f] = a[f] + share * (b[f] - a[f]);
    }
}

static void deal(const uint32_t *order, size_t real, size_t held, size_t select, uint32_t index,
                 uint32_t *row, ramify_diagnose_fold *fold) {
    size_t before = index * held, rest = real - held;
    memcpy(row, order, before * sizeof *row);
    memcpy(row + before, order + before + held, (rest - before) * sizeof *row);
    memcpy(row + rest, order + before, held * sizeof *row);
    fold->train = (ramify_rows){row, rest - select};
    fold->select = (ramify_rows){row + rest - select, select};
    fold->test = (ramify_rows){row + rest, held};
}

ramify_status ramify_diagnose_rows_make(ramify_problem *problem, size_t real, uint64_t seed,
                                        ramify_diagnose_rows *rows) {
    ramify_context *context = problem->context;
    *rows = (ramify_diagnose_rows){.problem = problem, .real = real, .made = problem->rows - real};
    size_t held = ramify_larger((size_t)(FOLD_SHARE * (double)real), 1);
    size_t select = ramify_larger((size_t)(SELECT_SHARE * (double)real), 2);
    size_t folds = ramify_larger((HELD_OUT + held - 1) / held, FOLDS_LEAST);
    rows->folds = (uint32_t)ramify_smaller(folds, real < FEW_ROWS ? RAMIFY_DIAGNOSE_FOLDS_MAX
                                                                  : RAMIFY_DIAGNOSE_FOLDS_MAX / 2);
    uint32_t *order = ramify_allocate(context, real, sizeof *order);
    rows->memory = ramify_allocate(context, real * rows->folds, sizeof *rows->memory);
    rows->all = ramify_allocate(context, problem->rows, sizeof *rows->all);
    bool made = order && rows->memory && rows->all;
    if (made) {
        ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_DIAGNOSE, 0, 0);
        for (size_t i = 0; i < problem->rows; i++)
            rows->all[i] = (uint32_t)i;
        memcpy(order, rows->all, real * sizeof *order);
        ramify_random_shuffle(&random, order, real);
        for (uint32_t f = 0; f < rows->folds; f++)
            deal(order, real, held, select, f, rows->memory + f * real, &rows->fold[f]);
        for (size_t row = real; row < problem->rows; row++) {
            random = ramify_random_stream(seed, RAMIFY_PURPOSE_DIAGNOSE, 1, row);
            make_row(problem, row, real, &random);
        }
    }
    ramify_release(context, order);
    return made ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

void ramify_diagnose_rows_clear(ramify_context *context, ramify_diagnose_rows *rows) {
    ramify_release(context, rows->memory);
    ramify_release(context, rows->all);
    *rows = (ramify_diagnose_rows){0};
}

ramify_expert_plan ramify_diagnose_plan(const ramify_expert_plan *like, size_t rows, double steps,
                                        double rate, uint64_t seed) {
    ramify_expert_plan plan = *like;
    double per_epoch = ceil((double)rows / fmin(plan.batch, (double)rows));
    plan.epochs = (uint32_t)fmax(1, floor(steps / per_epoch + 0.5));
    plan.rate = rate;
    plan.seed = seed;
    return plan;
}

ramify_status ramify_diagnose_predict(const ramify_problem *problem, const ramify_root *root,
                                      ramify_rows rows, float *predictions) {
    size_t padded = ramify_pad(problem->outputs);
    float *outputs = ramify_allocate(problem->context, rows.count * padded, sizeof *outputs);
    if (!outputs)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_expert_outputs(problem, &root->shape, root->encoder, NULL,
                                                 root->record, rows, outputs);
    for (size_t i = 0; status == RAMIFY_OK && i < rows.count; i++)
        predictions[i] = outputs[i * padded];
    ramify_release(problem->context, outputs);
    return status;
}

static ramify_status score(const ramify_problem *view, const ramify_root *root, ramify_rows rows,
                           float *predictions, double *error) {
    RAMIFY_TRY(ramify_diagnose_predict(view, root, rows, predictions));
    double sum = 0;
    for (size_t i = 0; i < rows.count; i++) {
        if (!(fabsf(predictions[i]) < DIVERGED))
            predictions[i] = DIVERGED;
        double difference = (double)predictions[i] - view->target[rows.row[i]];
        sum += difference * difference;
    }
    *error = rows.count > 0 ? sum / (double)rows.count : NAN;
    return RAMIFY_OK;
}

typedef struct fitting {
    const ramify_recipe *recipe;
    ramify_diagnose_job *jobs;
    ramify_meter meter;
    double seconds;
} fitting;

static ramify_status train(const fitting *f, ramify_diagnose_job *job) {
    ramify_design design = {.members = 1};
    RAMIFY_TRY(
        ramify_root_create(&job->view, f->recipe, &design, &job->shape, &job->plan, &job->root));
    ramify_root *root = job->root;
    job->shape = root->shape;
    if (job->warm)
        memcpy(root->record, job->warm->record, ramify_mlp_record_bytes(&root->shape));
    return ramify_expert_fit(&job->view, &root->shape, &job->plan, root->encoder, NULL,
                             job->view.train, NULL, job->view.select, false, root->record,
                             &root->score);
}

static ramify_status fit_job(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    fitting *f = argument;
    ramify_diagnose_job *job = &f->jobs[task];
    ramify_context *context = job->view.context;
    job->plan.meter = &f->meter;
    job->plan.started = ramify_seconds();
    job->plan.deadline = f->seconds != 0 ? job->plan.started + f->seconds : 0;
    RAMIFY_TRY(train(f, job));
    job->cut = f->seconds != 0 && ramify_seconds() >= job->plan.deadline;
    size_t most = ramify_larger(job->view.train.count, job->view.select.count);
    float *scratch = ramify_allocate(context, most, sizeof *scratch);
    job->outputs = ramify_allocate(context, job->test.count, sizeof *job->outputs);
    ramify_status status = scratch && job->outputs ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = score(&job->view, job->root, job->view.train, scratch, &job->train_error);
    if (status == RAMIFY_OK)
        status = score(&job->view, job->root, job->view.select, scratch, &job->select_error);
    if (status == RAMIFY_OK)
        status = score(&job->view, job->root, job->test, job->outputs, &job->test_error);
    ramify_release(context, scratch);
    return status;
}

ramify_status ramify_diagnose_fit_all(ramify_context *context, const ramify_recipe *recipe,
                                      ramify_diagnose_job *jobs, size_t count, double seconds) {
    if (count == 0)
        return RAMIFY_OK;
    fitting f = {.recipe = recipe, .jobs = jobs, .meter = {.stage = jobs[0].stage}};
    for (size_t i = 0; i < count; i++)
        f.meter.total += jobs[i].plan.epochs * (double)jobs[i].view.train.count;
    size_t threads = ramify_threads(context), waves = (count + threads - 1) / threads;
    /* A time that is over already still is a limit. */
    f.seconds = seconds == 0 ? 0 : fmax(seconds / (double)waves, -1e-3);
    ramify_status status = ramify_parallel(context, count, fit_job, &f);
    for (size_t i = 0; i < count; i++)
        jobs[i].plan.meter = NULL;
    if (status == RAMIFY_OK)
        ramify_progress_report(context, jobs[0].stage, f.meter.total, f.meter.total);
    return status;
}

void ramify_diagnose_jobs_clear(ramify_context *context, ramify_diagnose_job *jobs, size_t count) {
    for (size_t i = 0; jobs && i < count; i++) {
        ramify_root_destroy(context, &jobs[i].root);
        ramify_release(context, jobs[i].outputs);
        jobs[i].outputs = NULL;
    }
}

/* Plan: fit the teachers side by side; answer the training rows and note what was missed; make the
 * new rows and answer them, block by block, each row by a random stream of its own. */

#include "teacher.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* A row's neighbour is the nearest of so many drawn at random: near enough to lie among the table's
 * rows, and the same work for tables of any length. */
#define NEIGHBOURS 256
/* Rows that one task makes and answers. */
#define BLOCK_ROWS 256
/* Rows whose making, answering and learning is timed, and how often. */
#define TIMED_ROWS  256
#define TIMED_TRIES 3
/* Columns of at most so many different values take no value between. */
#define DISCRETE_VALUES 48

void ramify_teachers_destroy(ramify_context *context, ramify_teachers **teachers) {
    if (!*teachers)
        return;
    for (uint32_t t = 0; t < (*teachers)->count; t++)
        ramify_root_destroy(context, &(*teachers)->root[t]);
    ramify_release(context, *teachers);
    *teachers = NULL;
}

/* Mean answer[count x outputs] to plain rows: standardised targets, or class probabilities. */
static ramify_status answer_rows(const ramify_problem *problem, const ramify_teachers *teachers,
                                 const float *plain, size_t count, float *answer) {
    ramify_context *context = problem->context;
    size_t outputs = problem->outputs, padded = ramify_pad(outputs);
    size_t stride = ramify_pad(teachers->root[0]->encoder->stem.features), floats = 0;
    for (uint32_t t = 0; t < teachers->count; t++) {
        size_t needed = ramify_mlp_run_floats(&teachers->root[t]->shape, count);
        floats = needed > floats ? needed : floats;
    }
    float *x = ramify_allocate(context, count * stride, sizeof *x);
    float *y = ramify_allocate(context, count * padded, sizeof *y);
    float *scratch = ramify_allocate(context, floats, sizeof *scratch);
    ramify_status status = x && y && scratch ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        memset(answer, 0, count * outputs * sizeof *answer);
    for (uint32_t t = 0; status == RAMIFY_OK && t < teachers->count; t++) {
        const ramify_root *root = teachers->root[t];
        ramify_stem_features(problem->kernels, &root->encoder->stem, count, plain,
                             problem->plain_stride, x, stride);
        ramify_mlp_run(problem->kernels, &root->shape, root->record, count, x, stride, y, padded,
                       scratch);
        if (problem->label)
            problem->kernels->softmax(count, outputs, y, padded, y, padded);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < outputs; j++)
                answer[i * outputs + j] += y[i * padded + j] / (float)teachers->count;
    }
    ramify_release(context, x);
    ramify_release(context, y);
    ramify_release(context, scratch);
    return status;
}

static ramify_status answer_of_teachers(const void *argument, const ramify_problem *problem,
                                        const float *plain, size_t count, float *answer) {
    return answer_rows(problem, argument, plain, count, answer);
}

ramify_answerer ramify_teachers_answerer(const ramify_teachers *teachers) {
    return (ramify_answerer){answer_of_teachers, teachers};
}

/* Answers to a block of rows of a problem; plain: BLOCK_ROWS x plain_stride of working memory. */
static ramify_status answer_block(const ramify_problem *problem, const ramify_answerer *answerer,
                                  const uint32_t *rows, size_t count, float *plain, float *answer) {
    size_t stride = problem->plain_stride;
    for (size_t i = 0; i < count; i++)
        memcpy(plain + i * stride, problem->plain + rows[i] * stride, stride * sizeof *plain);
    return answerer->answer(answerer->argument, problem, plain, count, answer);
}

static size_t block_length(size_t first, size_t rows) {
    return rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
}

/* Loss and error of an answer, added to those of others. */
static void add_score(const ramify_problem *problem, const float *answer, uint32_t row,
                      ramify_fit_score *sum) {
    double weight = problem->weight ? problem->weight[row] : 1.0;
    if (problem->label) {
        uint32_t label = problem->label[row], best = 0;
        for (uint32_t c = 1; c < problem->outputs; c++)
            if (answer[c] > answer[best])
                best = c;
        sum->error += best != label ? weight : 0;
        sum->loss -= weight * log(fmax(answer[label], 1e-30));
        return;
    }
    for (uint32_t t = 0; t < problem->targets; t++) {
        double missed = answer[t] - problem->target[(size_t)row * problem->targets + t];
        sum->loss += weight * missed * missed / problem->targets;
    }
}

static ramify_status score_teachers(const ramify_problem *problem, ramify_teachers *teachers) {
    ramify_context *context = problem->context;
    const ramify_answerer answerer = ramify_teachers_answerer(teachers);
    ramify_rows select = problem->select;
    ramify_fit_score sum = {0};
    double weights = 0;
    float *plain = ramify_allocate(context, BLOCK_ROWS * problem->plain_stride, sizeof *plain);
    float *answer = ramify_allocate(context, (size_t)BLOCK_ROWS * problem->outputs, sizeof *answer);
    ramify_status status = plain && answer ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t first = 0; status == RAMIFY_OK && first < select.count; first += BLOCK_ROWS) {
        size_t count = block_length(first, select.count);
        status = answer_block(problem, &answerer, select.row + first, count, plain, answer);
        for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
            uint32_t row = select.row[first + i];
            add_score(problem, answer + i * problem->outputs, row, &sum);
            weights += problem->weight ? problem->weight[row] : 1.0;
        }
    }
    if (weights > 0) {
        sum.loss /= weights;
        sum.error /= weights;
    }
    teachers->criterion = ramify_fit_criterion(problem, sum);
    ramify_release(context, plain);
    ramify_release(context, answer);
    return status;
}

static void plan_teachers(const ramify_problem *problem, const ramify_recipe *recipe,
                          const ramify_encoder_options *encoder,
                          ramify_root_request *request /* recipe->teacher_count */) {
    for (uint32_t t = 0; t < recipe->teacher_count; t++) {
        const ramify_teacher_shape *shape = &recipe->teacher[t];
        ramify_root_request *r = &request[t];
        *r = (ramify_root_request){
            .problem = problem,
            .design = {.encoder = *encoder, .hidden_layers = shape->hidden_layers},
            .shape = {.layers = shape->hidden_layers + 1, .members = shape->members},
            .plan = recipe->teaching,
        };
        r->plan.seed = ramify_random_child(recipe->teaching.seed, t);
        r->design.encoder.seed = r->plan.seed;
        r->design.members = shape->members;
        for (uint32_t l = 1; l <= shape->hidden_layers; l++)
            r->shape.width[l] = shape->width;
        r->shape.width[r->shape.layers] = problem->outputs;
    }
}

ramify_status ramify_teachers_fit(const ramify_problem *problem, const ramify_recipe *recipe,
                                  const ramify_encoder_options *encoder, double seconds,
                                  ramify_teachers **teachers) {
    ramify_context *context = problem->context;
    *teachers = NULL;
    ramify_teachers *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    ramify_root_request request[RAMIFY_TEACHERS_MAX];
    made->count = recipe->teacher_count;
    plan_teachers(problem, recipe, encoder, request);
    ramify_status status = ramify_root_fit_all(context, recipe, request, made->count,
                                               "training the teachers", seconds);
    uint32_t usable = 0;
    for (uint32_t t = 0; t < made->count; t++) {
        if (request[t].root && request[t].root->usable)
            made->root[usable++] = request[t].root;
        else
            ramify_root_destroy(context, &request[t].root);
    }
    made->count = usable;
    if (status == RAMIFY_OK && usable > 0)
        status = score_teachers(problem, made);
    if (status != RAMIFY_OK)
        ramify_teachers_destroy(context, &made);
    *teachers = made;
    return status;
}

typedef struct enlargement {
    const ramify_problem *problem;
    ramify_answerer answerer;
    const ramify_recipe *recipe;
    ramify_problem *made;
    bool *discrete; /* columns */
    float *missed;  /* training rows x outputs: (1 - trust) (y - answer) */
} enlargement;

/* Task: what the teachers missed of a block of training rows. */
static ramify_status find_missed(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const enlargement *e = argument;
    const ramify_problem *problem = e->problem;
    size_t first = task * BLOCK_ROWS, outputs = problem->outputs;
    size_t count = block_length(first, problem->train.count);
    float share = (float)(1.0 - e->recipe->trust);
    float *missed = e->missed + first * outputs;
    float *plain = ramify_allocate(problem->context, count * problem->plain_stride, sizeof *plain);
    ramify_status status = plain ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status =
            answer_block(problem, &e->answerer, problem->train.row + first, count, plain, missed);
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        uint32_t row = problem->train.row[first + i];
        for (size_t j = 0; j < outputs; j++) {
            float y = problem->label ? (float)(problem->label[row] == j)
                                     : problem->target[row * outputs + j];
            missed[i * outputs + j] = share * (y - missed[i * outputs + j]);
        }
    }
    ramify_release(problem->context, plain);
    return status;
}

/* Where a made-up row lies: between training rows a and b (positions in train), u of the way. */
typedef struct place {
    size_t a, b;
    double u;
} place;

/* Plain features of made-up row `index`. */
static place make_row(const enlargement *e, size_t index, float *plain) {
    const ramify_problem *problem = e->problem;
    ramify_rows train = problem->train;
    size_t stride = problem->plain_stride;
    ramify_random random =
        ramify_random_stream(e->recipe->teaching.seed, RAMIFY_PURPOSE_TEACHER, 0, index);
    place at = {.a = index % train.count, .b = index % train.count};
    const float *a = problem->plain + train.row[at.a] * stride, *b = a;
    float nearest = INFINITY;
    for (int i = 0; i < NEIGHBOURS; i++) {
        size_t drawn = ramify_random_below(&random, train.count);
        const float *other = problem->plain + train.row[drawn] * stride;
        float distance;
        problem->kernels->distances(1, 1, problem->stem.plain, a, stride, other, stride, &distance,
                                    1);
        if (distance > 0 && distance < nearest) {
            nearest = distance;
            at.b = drawn;
            b = other;
        }
    }
    at.u = e->recipe->spread * ramify_random_uniform(&random);
    memcpy(plain, a, stride * sizeof *plain);
    for (uint32_t c = 0; c < problem->stem.columns; c++) {
        const ramify_stem_column *column = &problem->stem.column[c];
        size_t first = column->plain, floats = column->codes ? column->codes : 1 + column->missing;
        bool gap = column->missing && (a[first + 1] != 0.0f || b[first + 1] != 0.0f);
        bool other = ramify_random_uniform(&random) < at.u;
        if (column->codes == 0 && !e->discrete[c] && !gap)
            plain[first] += (float)at.u * (b[first] - a[first]);
        else if (other)
            memcpy(plain + first, b + first, floats * sizeof *plain);
    }
    return at;
}

/* The answer with what was missed near it. */
static void set_target(const enlargement *e, const float *answer, place at, uint32_t row) {
    const ramify_problem *problem = e->problem;
    size_t outputs = problem->outputs;
    float *to = (problem->label ? e->made->soft : e->made->target) + row * outputs;
    const float *a = e->missed + at.a * outputs, *b = e->missed + at.b * outputs;
    float u = (float)at.u, sum = 0;
    for (size_t j = 0; j < outputs; j++) {
        to[j] = answer[j] + (1 - u) * a[j] + u * b[j];
        if (problem->label) {
            to[j] = to[j] > 0 ? to[j] : 0;
            sum += to[j];
        }
    }
    for (size_t j = 0; problem->label && j < outputs; j++)
        to[j] /= sum;
}

/* Task: makes a block of rows and sets their targets. */
static ramify_status make_rows(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const enlargement *e = argument;
    const ramify_problem *problem = e->problem;
    ramify_problem *made = e->made;
    size_t own = problem->train.count, stride = problem->plain_stride;
    size_t first = task * BLOCK_ROWS, count = block_length(first, made->train.count);
    if (ramify_cancelled(problem->context))
        return ramify_fail(problem->context, RAMIFY_STOPPED, "stopped");
    float *answer = ramify_allocate(problem->context, count * problem->outputs, sizeof *answer);
    float *plain = ramify_allocate(problem->context, count * stride, sizeof *plain);
    ramify_status status = answer && plain ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    place at[BLOCK_ROWS];
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        size_t index = first + i;
        at[i] = (place){.a = index, .b = index};
        if (index >= own)
            at[i] = make_row(e, index - own, made->plain + made->train.row[index] * stride);
    }
    if (status == RAMIFY_OK)
        status = answer_block(made, &e->answerer, made->train.row + first, count, plain, answer);
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++)
        set_target(e, answer + i * problem->outputs, at[i], made->train.row[first + i]);
    ramify_release(problem->context, answer);
    ramify_release(problem->context, plain);
    return status;
}

static bool few_values(const ramify_problem *problem, uint32_t column) {
    float seen[DISCRETE_VALUES];
    uint32_t found = 0;
    size_t at = problem->stem.column[column].plain;
    for (size_t i = 0; i < problem->train.count; i++) {
        float value = problem->plain[problem->train.row[i] * problem->plain_stride + at];
        uint32_t k = 0;
        while (k < found && seen[k] != value)
            k++;
        if (k < found)
            continue;
        if (found == DISCRETE_VALUES)
            return false;
        seen[found++] = value;
    }
    return true;
}

static size_t block_count(size_t rows) {
    return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

/* Seconds that making and answering all rows will take, from one block of them. */
static ramify_status estimate(enlargement *e, double *seconds) {
    size_t blocks = block_count(e->made->train.count);
    double started = ramify_seconds();
    RAMIFY_TRY(make_rows(e, blocks - 1, 0));
    *seconds = (ramify_seconds() - started) * (double)blocks / ramify_threads(e->problem->context);
    return RAMIFY_OK;
}

static size_t made_rows(const ramify_recipe *recipe, size_t train) {
    return (size_t)fmin(recipe->made_rows_share * (double)train, recipe->most_made_rows);
}

/* Seconds per row, on one thread. */
typedef struct row_seconds {
    double making, answering; /* a made-up row, by all teachers */
    double teaching;          /* a row of a training step, of all teachers together */
    double learning;          /* the same of the root */
} row_seconds;

/* The least of a few tries, for another program may come in between. */
static ramify_status time_rows(const enlargement *e, row_seconds *seconds) {
    const ramify_problem *problem = e->problem;
    size_t stride = problem->plain_stride;
    float *plain = ramify_allocate(problem->context, TIMED_ROWS * stride, sizeof *plain);
    float *answer =
        ramify_allocate(problem->context, (size_t)TIMED_ROWS * problem->outputs, sizeof *answer);
    ramify_status status = plain && answer ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    seconds->making = seconds->answering = INFINITY;
    for (int i = 0; status == RAMIFY_OK && i < TIMED_TRIES; i++) {
        double started = ramify_seconds();
        for (size_t row = 0; row < TIMED_ROWS; row++)
            make_row(e, row, plain + row * stride);
        double made = ramify_seconds();
        status = e->answerer.answer(e->answerer.argument, problem, plain, TIMED_ROWS, answer);
        seconds->making = fmin(seconds->making, (made - started) / TIMED_ROWS);
        seconds->answering = fmin(seconds->answering, (ramify_seconds() - made) / TIMED_ROWS);
    }
    ramify_release(problem->context, plain);
    ramify_release(problem->context, answer);
    return status;
}

/* Adds the seconds per row of a few steps with a root, whose weights do not matter. */
static ramify_status time_steps(const ramify_problem *problem, ramify_root *root, double *seconds) {
    ramify_expert_plan plan = root->plan;
    ramify_rows rows = problem->train;
    rows.count = rows.count < TIMED_ROWS ? rows.count : TIMED_ROWS;
    plan.epochs = 1;
    plan.deadline = 0;
    double least = INFINITY;
    for (int i = 0; i < TIMED_TRIES; i++) {
        double started = ramify_seconds();
        RAMIFY_TRY(ramify_expert_fit(problem, &root->shape, &plan, root->encoder, NULL, rows, NULL,
                                     (ramify_rows){0}, false, root->record, NULL));
        least = fmin(least, (ramify_seconds() - started) / (double)rows.count);
    }
    *seconds += least;
    return RAMIFY_OK;
}

/* Seconds of all of it. */
static double add_up(const enlargement *e, const row_seconds *row) {
    const ramify_recipe *recipe = e->recipe;
    double own = (double)e->problem->train.count, threads = ramify_threads(e->problem->context);
    double all = own + (double)made_rows(recipe, e->problem->train.count);
    double taught = row->teaching * recipe->teaching.epochs * own;
    double learned = row->learning * recipe->root.epochs * RAMIFY_DISTILLED_ROOT_VISITS * own;
    return taught / fmin(threads, recipe->teacher_count) +
           (row->making + row->answering) * all / threads + learned;
}

/* Times one thing after another with untrained teachers, which it makes and sets, until it is too
 * much. */
static ramify_status time_all(const ramify_root_request *root, enlargement *e,
                              ramify_teachers *untrained, double most, row_seconds *row) {
    const ramify_problem *problem = e->problem;
    ramify_root_request request[RAMIFY_TEACHERS_MAX];
    plan_teachers(problem, e->recipe, &root->design.encoder, request);
    for (uint32_t t = 0; t < e->recipe->teacher_count; t++) {
        const ramify_root_request *r = &request[t];
        RAMIFY_TRY(ramify_root_create(problem, e->recipe, &r->design, &r->shape, &r->plan,
                                      &untrained->root[t]));
        untrained->count++;
        RAMIFY_TRY(time_steps(problem, untrained->root[t], &row->teaching));
        if (add_up(e, row) > most)
            return RAMIFY_OK;
    }
    ramify_root *learner;
    RAMIFY_TRY(
        ramify_root_create(problem, e->recipe, &root->design, &root->shape, &root->plan, &learner));
    ramify_status status = time_steps(problem, learner, &row->learning);
    ramify_root_destroy(problem->context, &learner);
    RAMIFY_TRY(status);
    return add_up(e, row) > most ? RAMIFY_OK : time_rows(e, row);
}

ramify_status ramify_teachers_estimate(const ramify_problem *problem, const ramify_recipe *recipe,
                                       const ramify_root_request *root, double most,
                                       double *seconds) {
    ramify_context *context = problem->context;
    ramify_teachers *untrained = ramify_allocate_zeroed(context, 1, sizeof *untrained);
    enlargement e = {
        .problem = problem,
        .answerer = ramify_teachers_answerer(untrained),
        .recipe = recipe,
        .discrete = ramify_allocate_zeroed(context, problem->stem.columns, sizeof *e.discrete),
    };
    row_seconds row = {0};
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (untrained && e.discrete)
        status = time_all(root, &e, untrained, most, &row);
    *seconds = add_up(&e, &row);
    ramify_release(context, e.discrete);
    if (untrained)
        ramify_teachers_destroy(context, &untrained);
    return status;
}

ramify_status ramify_teachers_enlarge(const ramify_problem *problem,
                                      const ramify_answerer *answerer, const ramify_recipe *recipe,
                                      double seconds, ramify_problem **enlarged) {
    ramify_context *context = problem->context;
    size_t columns = problem->stem.columns, train = problem->train.count;
    *enlarged = NULL;
    ramify_problem *made;
    RAMIFY_TRY(ramify_problem_widen(problem, made_rows(recipe, train), &made));
    enlargement e = {
        .problem = problem,
        .answerer = *answerer,
        .recipe = recipe,
        .made = made,
        .discrete = ramify_allocate_zeroed(context, columns, sizeof *e.discrete),
        .missed = ramify_allocate_zeroed(context, train * problem->outputs, sizeof *e.missed),
    };
    ramify_status status = e.discrete && e.missed ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t c = 0; status == RAMIFY_OK && c < columns; c++)
        e.discrete[c] = problem->stem.column[c].codes == 0 && few_values(problem, c);
    double needed = 0;
    if (status == RAMIFY_OK && seconds != 0)
        status = estimate(&e, &needed);
    bool late = seconds != 0 && needed > seconds;
    if (status == RAMIFY_OK && !late)
        status = ramify_parallel(context, block_count(train), find_missed, &e);
    if (status == RAMIFY_OK && !late)
        status = ramify_parallel(context, block_count(made->train.count), make_rows, &e);
    ramify_release(context, e.discrete);
    ramify_release(context, e.missed);
    if (late)
        ramify_log(context, RAMIFY_LOG_INFO,
                   "no time for the teachers' rows: %.2g s needed, %.2g s left for them", needed,
                   seconds);
    if (status != RAMIFY_OK || late)
        ramify_problem_destroy(context, &made);
    *enlarged = made;
    return status;
}

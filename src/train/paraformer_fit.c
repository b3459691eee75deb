/* Plan of a fit: a step's batch, prefix and learning rate follow from its number, so that a fit that
 * was interrupted goes on where it was. The gradient is paraformer_gradient.c; here it is clipped,
 * AdamW takes the step, and at regular checks the select rows are scored and the best weights
 * kept.
 *
 * Among ranks each takes the steps of embedding and head, all alike, and of its own branches. What they
 * have to agree on is the gradient's length, for which every part's is exchanged, and what a clock says:
 * that of rank 0. */

#include "paraformer_fit.h"
#include "crc32c.h"
#include "dealt.h"
#include "float_mode.h"
#include "memory.h"
#include "paraformer_checkpoint.h"
#include "paraformer_gradient.h"
#include "paraformer_score.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Pairs of shard and branch that a batch is cut into: enough for 16 threads, and for few threads to
 * wait little for the last one. Each has gradients and activations of its own. */
#define TASKS 16

/* Tokens of a micro-batch: beyond this, a layer's activations leave the cache; below, products lose
 * to their edges. */
#define MICRO_TOKENS 512

/* What the context, names and the thread pool may take. */
#define SMALL_BYTES ((uint64_t)1 << 16)

/* Sources: docs/recipe.md, "Para-Formers": short fits on images of Fashion-MNIST, one seed each, compared
 * on 5,000 others of the training images; differences below 0.008 mean nothing. */
void ramify_paraformer_plan_init(ramify_paraformer_passes passes, ramify_paraformer_plan *plan) {
    *plan = (ramify_paraformer_plan){
        /* Short fits are still gaining when they end; this is about what 15 minutes of two processors
         * allow with patches of 7 pixels. */
        .epochs = 40,
        /* Steps are what a short fit lacks: 64 rows still fill the products. */
        .batch = 64,
        /* 0.001 and 0.002 are level, 0.004 is worse by a point, 0.008 by five. The released 1e-4 is for
         * 300 epochs. */
        .rate = 1e-3,
        .warm_up = 0.1,
        .cosine = true,
        .decay = 0.05,
        .smoothing = 0.1,
        /* As released: pass A clips, pass B does not. Plain training clips, which costs nothing and
         * saves fits from a bad batch. */
        .clip = passes == RAMIFY_PASSES_BOTH ? 0 : 1,
        .clip_prefix = 1,
        .average = 0.999,
        .passes = passes,
        .first_prefix = 1,
        .checks = 10,
        .checkpoint_every = 60,
    };
}

const char *ramify_paraformer_plan_error(const ramify_paraformer_plan *plan) {
    if (plan->epochs < 1 || plan->batch < 1 || plan->checks < 1 || plan->first_prefix < 1)
        return "epochs, batch, checks and first prefix are at least 1";
    if (!(plan->rate > 0 && plan->rate <= 1))
        return "the learning rate is not above 0 and at most 1";
    if (!(plan->warm_up >= 0 && plan->warm_up < 1))
        return "the share of warm-up is not between 0 and 1";
    if (!(plan->decay >= 0) || !(plan->clip >= 0) || !(plan->clip_prefix >= 0))
        return "weight decay or clipping is negative";
    if (!(plan->smoothing >= 0 && plan->smoothing < 1) ||
        !(plan->average >= 0 && plan->average < 1))
        return "label smoothing or the average's keep factor is not between 0 and 1";
    return ramify_augmentation_error(&plan->augmentation);
}

void ramify_paraformer_start(const ramify_paraformer_shape *shape, uint64_t seed,
                             const ramify_paraformer_weights *weights) {
    size_t record = ramify_branch_record_bytes(&shape->branch) / sizeof(float);
    ramify_embedding_initialise(&shape->embedding, seed, weights->embedding);
    ramify_head_initialise(&shape->head, seed, weights->head);
    const ramify_deal *deal = &weights->deal;
    for (uint32_t i = 0; i < ramify_deal_own(deal, shape->branches); i++)
        ramify_branch_initialise(&shape->branch, seed, ramify_deal_thing(deal, i),
                                 weights->branch + i * record);
}

static uint32_t rows_of_micro(const ramify_paraformer_shape *shape, size_t batch) {
    size_t rows = MICRO_TOKENS / shape->branch.tokens;
    rows = rows > batch ? batch : rows;
    return rows > 0 ? (uint32_t)rows : 1;
}

static uint64_t bytes_of(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                         const ramify_paraformer_plan *plan, const ramify_deal *deal, size_t train,
                         size_t select, const ramify_gradient_plan *gradient, uint32_t workers) {
    uint64_t between = plan->checkpoint ? ramify_paraformer_checkpoint_bytes(shape, deal) : 0;
    if (!ramify_deal_is_whole(deal))
        between += (deal->ranks + (uint64_t)1) * ramify_deal_held(deal, 0, shape->branches) *
                   sizeof(double);
    return between + ramify_paraformer_state_bytes(shape, deal, plan->average > 0) +
           ramify_gradient_bytes(problem, shape, gradient, deal, workers) +
           ramify_paraformer_score_bytes(problem, shape, deal, select, workers) +
           (train + ramify_smaller(plan->batch, train)) * sizeof(uint32_t) +
           (shape->branches + (uint64_t)1) * 4 * sizeof(double) + SMALL_BYTES;
}

/* The largest need of a rank, with so many threads. */
static uint64_t most_bytes(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                           const ramify_paraformer_plan *plan, const ramify_deal *deal,
                           size_t train, size_t select, const ramify_gradient_plan *gradient,
                           uint32_t threads) {
    uint64_t most = 0;
    for (uint32_t r = 0; r < ramify_deal_ranks(deal); r++) {
        const ramify_deal one = {.rank = r, .ranks = deal->ranks};
        uint32_t workers = ramify_gradient_workers(shape, gradient, &one);
        uint64_t bytes = bytes_of(problem, shape, plan, &one, train, select, gradient,
                                  workers < threads ? workers : threads);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Micro-batches first become as small as they can, as they cost the least; then there are fewer
 * shards. For any number of threads the same: each is taken to have scratch, up to the most there
 * can be. Returns what is needed at least, which may be above the bound. */
static uint64_t plan_within(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                            const ramify_paraformer_plan *plan, const ramify_deal *deal,
                            size_t train, size_t select, ramify_gradient_plan *gradient) {
    size_t batch = plan->batch < train ? plan->batch : train;
    *gradient = (ramify_gradient_plan){.tasks = TASKS, .micro = rows_of_micro(shape, batch)};
    if (plan->memory_bytes == 0)
        return 0;
    for (;;) {
        uint64_t bytes =
            most_bytes(problem, shape, plan, deal, train, select, gradient, UINT32_MAX);
        if (bytes <= plan->memory_bytes || (gradient->micro == 1 && gradient->tasks == 1))
            return bytes;
        if (gradient->micro > 1)
            gradient->micro /= 2;
        else
            gradient->tasks /= 2;
    }
}

/* Shards and micro-batches decide the order of sums: where one process could keep within the bound,
 * ranks work as it would, for the same bits, and need less. Where it could not, there is nothing to be
 * the same as, and what a rank may take decides. */
static ramify_status plan_gradient(const ramify_problem *problem,
                                   const ramify_paraformer_shape *shape,
                                   const ramify_paraformer_plan *plan, const ramify_deal *deal,
                                   size_t train, size_t select, ramify_gradient_plan *gradient) {
    const ramify_deal alone = {0};
    const ramify_deal *const deals[] = {&alone, deal};
    uint64_t bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        bytes = plan_within(problem, shape, plan, deals[i], train, select, gradient);
        if (bytes <= plan->memory_bytes &&
            most_bytes(problem, shape, plan, deal, train, select, gradient, UINT32_MAX) <=
                (plan->memory_bytes > 0 ? plan->memory_bytes : UINT64_MAX))
            return RAMIFY_OK;
    }
    return ramify_fail(problem->context, RAMIFY_ERROR_LIMIT,
                       "training on as many threads as there can be takes %llu bytes even with one "
                       "row at a time, and %llu are allowed: allow more (--training-memory), or "
                       "train a smaller model",
                       (unsigned long long)bytes, (unsigned long long)plan->memory_bytes);
}

/* Threads that have work and scratch. */
static uint32_t workers_of(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                           const ramify_gradient_plan *gradient, const ramify_deal *deal) {
    uint32_t most = ramify_gradient_workers(shape, gradient, deal);
    uint32_t threads = ramify_threads(problem->context);
    return threads < most ? threads : most;
}

static ramify_paraformer_need need_of(const ramify_problem *problem,
                                      const ramify_paraformer_shape *shape,
                                      const ramify_paraformer_plan *plan, const ramify_deal *deal,
                                      size_t train, size_t select,
                                      const ramify_gradient_plan *gradient) {
    return (ramify_paraformer_need){
        .bytes = most_bytes(problem, shape, plan, deal, train, select, gradient,
                            ramify_threads(problem->context)),
        .shards = ramify_gradient_shards(shape->branches, gradient->tasks),
        .micro = gradient->micro,
    };
}

ramify_status ramify_paraformer_need_of(const ramify_problem *problem,
                                        const ramify_paraformer_shape *shape,
                                        const ramify_paraformer_plan *plan, size_t train,
                                        size_t select, ramify_paraformer_need *need) {
    const ramify_deal alone = {0};
    ramify_gradient_plan gradient;
    RAMIFY_TRY(plan_gradient(problem, shape, plan, &alone, train, select, &gradient));
    *need = need_of(problem, shape, plan, &alone, train, select, &gradient);
    return RAMIFY_OK;
}

typedef struct fit {
    const ramify_problem *problem;
    const ramify_paraformer_shape *shape;
    const ramify_paraformer_plan *plan;
    ramify_rows train, select;
    ramify_deal deal; /* of the branches */
    ramify_paraformer_parts parts;
    ramify_paraformer_state state;
    ramify_gradient *gradient;
    uint32_t *order;       /* train.count: the pass's order, as places in train */
    uint32_t *rows;        /* batch */
    float **part_gradient; /* branches + 1: the current step's, of the parts that are here */
    double *square;        /* branches + 1: of the gradients of all parts */
    double *squares;       /* ranks x most branches of a rank: the same as ranks have them; NULL */
    ramify_fit_score *score; /* branches + 1 */
    size_t batch;
    uint64_t batches;                 /* of a pass */
    uint64_t prefix_steps, per_epoch; /* steps of pass A and of an epoch */
    uint64_t steps;
    uint64_t pass; /* that `order` is of; UINT64_MAX: none */
    uint32_t fingerprint, workers;
    double started, written; /* seconds */
    bool unwritten;          /* a checkpoint could not be written: there are no more */

    /* Of the current step: */
    uint32_t branches;
    bool prefix;              /* of pass A */
    float factor, rate, keep; /* of the gradient, of the step, of the average */
} fit;

/* Where a step is. */
typedef struct place {
    uint64_t pass;     /* counted from the start; even: A */
    uint64_t batch;    /* of the pass */
    uint32_t branches; /* of the prefix */
} place;

static place place_of(const fit *f, uint64_t step) {
    uint64_t epoch = step / f->per_epoch, within = step % f->per_epoch;
    if (within >= f->prefix_steps)
        return (place){2 * epoch + 1, within - f->prefix_steps, f->shape->branches};
    uint32_t first = f->plan->first_prefix, prefixes = f->shape->branches - first + 1;
    return (place){2 * epoch, within / prefixes, first + (uint32_t)(within % prefixes)};
}

static void find_rows(fit *f, const place *at, size_t *count) {
    size_t all = f->train.count;
    if (f->pass != at->pass) {
        ramify_random random =
            ramify_random_stream(f->plan->seed, RAMIFY_PURPOSE_SHUFFLE, 0, at->pass);
        for (size_t i = 0; i < all; i++)
            f->order[i] = (uint32_t)i;
        ramify_random_shuffle(&random, f->order, all);
        f->pass = at->pass;
    }
    size_t first = at->batch * f->batch;
    *count = all - first < f->batch ? all - first : f->batch;
    for (size_t i = 0; i < *count; i++)
        f->rows[i] = f->train.row[f->order[first + i]];
}

/* The number among all parts of one that is here. */
static uint32_t part_of(const fit *f, size_t here) {
    return here > 0 ? ramify_deal_thing(&f->deal, (uint32_t)here - 1) + 1 : 0;
}

/* Parts that are here, of a prefix. */
static size_t parts_here(const fit *f, uint32_t branches) {
    return ramify_deal_own(&f->deal, branches) + (size_t)1;
}

/* Task: a part that is here. Its gradient is summed, and its squares. */
static ramify_status measure(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const fit *f = argument;
    size_t floats, begin = ramify_paraformer_part(&f->parts, (uint32_t)task, &floats);
    float *gradient = ramify_gradient_part(f->gradient, (uint32_t)task);
    if (f->plan->mask)
        f->problem->kernels->scale_columns(1, floats, gradient, floats, f->plan->mask + begin,
                                           gradient, floats);
    /* Blocks keep float sums short. */
    double sum = 0;
    for (size_t at = 0; at < floats; at += 4096) {
        size_t count = floats - at < 4096 ? floats - at : 4096;
        float square;
        f->problem->kernels->dots(1, 1, count, gradient + at, count, gradient + at, count, NULL,
                                  &square, 1);
        sum += (double)square;
    }
    f->square[part_of(f, task)] = sum;
    f->part_gradient[task] = gradient;
    return RAMIFY_OK;
}

/* The squares of other ranks' parts. */
static ramify_status share_squares(const fit *f) {
    if (!f->squares)
        return RAMIFY_OK;
    const ramify_deal *deal = &f->deal;
    size_t most = ramify_deal_held(deal, 0, f->shape->branches), here = parts_here(f, f->branches);
    double *own = f->squares + deal->ranks * most;
    for (size_t i = 0; i < most; i++)
        own[i] = i + 1 < here ? f->square[part_of(f, i + 1)] : 0;
    ramify_cluster_phase(f->problem->context, "lengths of gradients");
    RAMIFY_TRY(ramify_cluster_gather(f->problem->context, own, most * sizeof *own, f->squares));
    for (uint32_t b = 0; b < f->branches; b++)
        f->square[b + 1] =
            f->squares[ramify_deal_holder(deal, b) * most + ramify_deal_place(deal, b)];
    return RAMIFY_OK;
}

/* One run of parameters with decay or without. */
typedef struct stretch {
    size_t from, to;
    bool decays;
} stretch;

/* Decay acts on matrices; places, class token, biases and gains are left to the data. */
static size_t list_layer(const ramify_branch_layer *at, stretch *list) {
    size_t after_qkv = at->qkv_bias > 0 ? at->qkv_bias : at->out;
    const stretch all[] = {
        {0, at->qkv, false},
        {at->qkv, after_qkv, true},
        {after_qkv, at->out, false},
        {at->out, at->out_bias, true},
        {at->out_bias, at->fc1, false},
        {at->fc1, at->fc1_bias, true},
        {at->fc1_bias, at->fc2, false},
        {at->fc2, at->fc2_bias, true},
        {at->fc2_bias, at->floats, false},
    };
    memcpy(list, all, sizeof all);
    return sizeof all / sizeof *all;
}

static size_t list_shared(const ramify_paraformer_shape *shape, stretch *list) {
    const ramify_embedding_layout e = ramify_embedding_lay_out(&shape->embedding);
    const ramify_head_layout h = ramify_head_lay_out(&shape->head);
    size_t bias = shape->embedding.patch > 0 ? e.bias : e.floats;
    const stretch all[] = {
        {0, e.weight, false},
        {e.weight, bias, true},
        {bias, e.floats + h.weight, false},
        {e.floats + h.weight, e.floats + h.weight_bias, true},
        {e.floats + h.weight_bias, e.floats + h.floats, false},
    };
    memcpy(list, all, sizeof all);
    return sizeof all / sizeof *all;
}

static void step_part(const fit *f, uint32_t part, size_t at, float *gradient) {
    const ramify_kernels *kernels = f->problem->kernels;
    const ramify_paraformer_state *s = &f->state;
    uint64_t step = s->part_steps[part];
    const float correction1 = 1.0f - powf(RAMIFY_ADAM_BETA1, (float)step);
    const float correction2 = 1.0f - powf(RAMIFY_ADAM_BETA2, (float)step);
    const ramify_branch_layer layer = ramify_branch_layout(&f->shape->branch);
    uint32_t layers = part == 0 ? 1 : f->shape->branch.depth;
    stretch list[9];
    size_t count = part == 0 ? list_shared(f->shape, list) : list_layer(&layer, list);
    for (uint32_t l = 0; l < layers; l++)
        for (size_t i = 0; i < count; i++) {
            size_t from = l * layer.floats * (part > 0) + list[i].from;
            size_t to = at + from;
            kernels->adamw(list[i].to - list[i].from, s->weights + to, gradient + from,
                           s->first + to, s->second + to, f->rate, RAMIFY_ADAM_BETA1,
                           RAMIFY_ADAM_BETA2, RAMIFY_ADAM_EPSILON,
                           list[i].decays ? (float)f->plan->decay : 0.0f, correction1, correction2);
        }
}

static bool is_moved(const fit *f, uint32_t part) {
    bool frozen = f->prefix && f->plan->freeze && part > 0 && part < f->branches;
    return part <= f->branches && !frozen;
}

/* Task: a part that is here. */
static ramify_status move(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const fit *f = argument;
    uint32_t part = part_of(f, task);
    size_t floats, at = ramify_paraformer_part(&f->parts, (uint32_t)task, &floats);
    if (is_moved(f, part)) {
        float *gradient = f->part_gradient[task];
        for (size_t i = 0; f->factor < 1 && i < floats; i++)
            gradient[i] *= f->factor;
        step_part(f, part, at, gradient);
    }
    if (f->state.averaged)
        f->problem->kernels->average(floats, f->state.average + at, f->state.weights + at, f->keep);
    return RAMIFY_OK;
}

static ramify_status take_step(fit *f, const place *at, double done) {
    const ramify_paraformer_plan *plan = f->plan;
    ramify_context *context = f->problem->context;
    ramify_paraformer_state *s = &f->state;
    size_t count;
    find_rows(f, at, &count);
    f->branches = at->branches;
    f->prefix = at->pass % 2 == 0;
    const ramify_gradient_batch batch = {
        .rows = f->rows,
        .count = count,
        .branches = at->branches,
        .augmentation = plan->augmentation.height > 0 ? &plan->augmentation : NULL,
        .seed = plan->seed,
        .pass = at->pass,
        .smoothing = plan->smoothing,
    };
    const ramify_paraformer_weights weights =
        ramify_paraformer_weights_held(f->shape, &f->deal, s->weights);
    double loss, square = 0;
    RAMIFY_TRY(ramify_gradient_run(f->gradient, &weights, &batch, &loss));
    RAMIFY_TRY(ramify_parallel(context, parts_here(f, at->branches), measure, f));
    RAMIFY_TRY(share_squares(f));
    for (uint32_t part = 0; part <= at->branches; part++)
        square += f->square[part];
    if (!isfinite(square))
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "training diverged: the gradient is not finite at step %llu (a smaller "
                           "learning rate than %g may help)",
                           (unsigned long long)s->step + 1, plan->rate);
    double norm = sqrt(square), clip = f->prefix ? plan->clip_prefix : plan->clip;
    f->factor = clip > 0 && norm > clip ? (float)(clip / norm) : 1.0f;
    f->rate = (float)ramify_schedule_rate(plan->rate, plan->warm_up, plan->cosine, done, s->step,
                                          f->steps);
    /* The first steps are forgotten sooner: the start is no average of anything. */
    double step = (double)s->step;
    f->keep = (float)fmin(plan->average, (1 + step) / (10 + step));
    for (uint32_t part = 0; part <= f->shape->branches; part++)
        s->part_steps[part] += is_moved(f, part);
    RAMIFY_TRY(ramify_parallel(context, parts_here(f, f->shape->branches), move, f));
    s->step++;
    s->branch_passes += (double)count * at->branches;
    return RAMIFY_OK;
}

/* Scores the weights, or their average, and keeps them if they are the best. */
static ramify_status check(fit *f) {
    ramify_paraformer_state *s = &f->state;
    float *vector = s->averaged ? s->average : s->weights;
    const ramify_paraformer_weights weights =
        ramify_paraformer_weights_held(f->shape, &f->deal, vector);
    ramify_fit_score score = {0};
    if (f->select.count > 0) {
        RAMIFY_TRY(ramify_paraformer_score_on(f->problem, f->shape, &weights, f->select, f->workers,
                                              f->score));
        score = f->score[f->shape->branches - 1];
    }
    double criterion = ramify_fit_criterion(f->problem, score);
    ramify_log(f->problem->context, RAMIFY_LOG_INFO,
               "step %llu of %llu: select loss %.4g, error %.4g", (unsigned long long)s->step,
               (unsigned long long)f->steps, score.loss, score.error);
    if (s->taken && f->select.count > 0 && !f->plan->keep_last && !(criterion < s->criterion))
        return RAMIFY_OK;
    memcpy(s->best, vector, s->floats * sizeof *vector);
    s->score = score;
    s->criterion = criterion;
    s->taken = true;
    return RAMIFY_OK;
}

/* Whether a checkpoint is due. */
static bool is_written(const fit *f) {
    return ramify_seconds() - f->written >= f->plan->checkpoint_every;
}

/* A checkpoint that cannot be written is no reason to lose the model. */
static ramify_status write_checkpoint(fit *f) {
    ramify_context *context = f->problem->context;
    if (!f->plan->checkpoint || f->unwritten)
        return RAMIFY_OK;
    double before = f->state.seconds;
    f->state.seconds = before + ramify_seconds() - f->started;
    bool written = false;
    RAMIFY_TRY(ramify_paraformer_checkpoint_write(context, f->plan->checkpoint, f->fingerprint,
                                                  &f->state, &written));
    if (!written && f->deal.rank == 0) {
        ramify_log(context, RAMIFY_LOG_WARNING, "training goes on without checkpoints: %s",
                   ramify_message(context));
        ramify_clear(context);
    }
    f->unwritten = !written;
    f->state.seconds = before;
    f->written = ramify_seconds();
    return RAMIFY_OK;
}

/* What a clock says before a step. */
typedef struct clock_says {
    double done;      /* of the fit, 0 to 1 */
    uint64_t written; /* 1: a checkpoint is due after the step */
} clock_says;

/* Clocks differ, and what they say decides how a fit goes on: among ranks that of rank 0 counts. */
static ramify_status ask_clock(const fit *f, double started, double deadline, clock_says *says) {
    says->done = ramify_schedule_done(f->state.step, f->steps, started, deadline);
    says->written = is_written(f);
    if (ramify_deal_is_whole(&f->deal) || (deadline == 0 && !f->plan->checkpoint))
        return RAMIFY_OK;
    ramify_cluster_phase(f->problem->context, "the clock of rank 0");
    return ramify_cluster_broadcast(f->problem->context, says, sizeof *says, 0);
}

static ramify_status run(fit *f, bool *late) {
    const ramify_paraformer_plan *plan = f->plan;
    ramify_context *context = f->problem->context;
    ramify_paraformer_state *s = &f->state;
    /* What a fit took before it was interrupted counts. The clock may be younger than that, and 0 is
     * no deadline. */
    double started = plan->started - s->seconds;
    double deadline = plan->deadline > 0 ? fmax(plan->deadline - s->seconds, 1e-9) : 0;
    while (s->step < f->steps && !*late) {
        const place at = place_of(f, s->step);
        clock_says says;
        RAMIFY_TRY(ask_clock(f, started, deadline, &says));
        double done = says.done;
        /* The products of what weight decay has silenced are denormal, as in expert.c. */
        const ramify_float_mode mode = ramify_flush_denormals();
        ramify_status status = take_step(f, &at, done);
        ramify_float_mode_set(mode);
        RAMIFY_TRY(status);
        ramify_progress_report(context, "training", (double)s->step, (double)f->steps);
        *late = plan->deadline > 0 && done >= 1;
        bool due = !plan->keep_last && done * plan->checks >= s->checks + 1;
        due = due || s->step == f->steps || *late;
        if (due) {
            s->checks = (uint32_t)(done * plan->checks);
            RAMIFY_TRY(check(f));
        }
        if (ramify_cancelled(context) || ramify_late(plan->stop_at)) {
            /* Ranks that are asked to stop have done with one another (cluster.h): what there is, is the
             * last checkpoint. */
            if (!ramify_deal_is_whole(&f->deal))
                return ramify_fail(context, RAMIFY_STOPPED, "stopped");
            RAMIFY_TRY(write_checkpoint(f));
            /* What has been learned so far may be the best there is. */
            if (!due)
                RAMIFY_TRY(check(f));
            return ramify_fail(context, RAMIFY_STOPPED, "stopped");
        }
        if (ramify_deal_is_whole(&f->deal))
            says.written = is_written(f);
        if (says.written || s->step == f->steps || *late)
            RAMIFY_TRY(write_checkpoint(f));
    }
    return RAMIFY_OK;
}

/* The CRC of all weights as one vector goes from rank to rank. */
static ramify_status sum_weights(const fit *f, uint32_t *crc) {
    const float *weights = f->state.weights;
    size_t shared, floats;
    ramify_paraformer_part(&f->parts, 0, &shared);
    *crc = ramify_crc32c(*crc, weights, shared * sizeof *weights);
    for (uint32_t b = 0; b < f->shape->branches; b++) {
        uint32_t holder = ramify_deal_holder(&f->deal, b);
        size_t at = ramify_paraformer_part(&f->parts, ramify_deal_place(&f->deal, b) + 1, &floats);
        if (holder == f->deal.rank)
            *crc = ramify_crc32c(*crc, weights + at, floats * sizeof *weights);
        if (!ramify_deal_is_whole(&f->deal))
            RAMIFY_TRY(ramify_cluster_broadcast(f->problem->context, crc, sizeof *crc, holder));
    }
    return RAMIFY_OK;
}

/* What decides the bits of a fit, its start included. */
static ramify_status find_fingerprint(fit *f, const ramify_gradient_plan *gradient) {
    const ramify_problem *problem = f->problem;
    const ramify_paraformer_shape *shape = f->shape;
    const ramify_paraformer_plan *plan = f->plan;
    const ramify_embedding_shape *e = &shape->embedding;
    const ramify_branch_shape *b = &shape->branch;
    const ramify_augmentation *a = &plan->augmentation;
    const uint64_t whole[] = {plan->epochs,
                              plan->batch,
                              plan->cosine,
                              plan->passes,
                              plan->first_prefix,
                              plan->freeze,
                              plan->checks,
                              plan->keep_last,
                              plan->seed,
                              a->height,
                              a->breadth,
                              a->channels,
                              a->crop,
                              a->flip,
                              a->operations,
                              gradient->tasks,
                              gradient->micro,
                              e->width,
                              e->tokens,
                              e->plain,
                              e->height,
                              e->breadth,
                              e->channels,
                              e->patch,
                              b->depth,
                              b->width,
                              b->heads,
                              b->hidden,
                              b->plain_skip,
                              b->qkv_bias,
                              shape->branches,
                              shape->head.outputs,
                              problem->rows,
                              f->train.count,
                              f->select.count};
    const double real[] = {plan->rate, plan->warm_up,     plan->decay,   plan->smoothing,
                           plan->clip, plan->clip_prefix, plan->average, a->magnitude,
                           a->erase,   (double)b->epsilon};
    uint32_t crc = ramify_crc32c(0, whole, sizeof whole);
    crc = ramify_crc32c(crc, real, sizeof real);
    crc = ramify_crc32c(crc, problem->kernels->name, strlen(problem->kernels->name));
    crc = ramify_crc32c(crc, f->train.row, f->train.count * sizeof *f->train.row);
    crc = ramify_crc32c(crc, f->select.row, f->select.count * sizeof *f->select.row);
    RAMIFY_TRY(sum_weights(f, &crc));
    if (a->height > 0 && a->black)
        crc = ramify_crc32c(crc, a->black, a->channels * sizeof *a->black);
    if (problem->weight)
        crc = ramify_crc32c(crc, problem->weight, problem->rows * sizeof *problem->weight);
    if (problem->soft)
        crc = ramify_crc32c(crc, problem->soft,
                            problem->rows * problem->outputs * sizeof *problem->soft);
    if (problem->label)
        crc = ramify_crc32c(crc, problem->label, problem->rows * sizeof *problem->label);
    if (problem->target)
        crc = ramify_crc32c(crc, problem->target,
                            problem->rows * problem->targets * sizeof *problem->target);
    f->fingerprint = ramify_crc32c(crc, problem->plain,
                                   problem->rows * problem->plain_stride * sizeof *problem->plain);
    return RAMIFY_OK;
}

static void copy_weights(const ramify_paraformer_shape *shape,
                         const ramify_paraformer_weights *from,
                         const ramify_paraformer_weights *to) {
    const ramify_paraformer_parts parts = ramify_paraformer_parts_of(shape);
    size_t branches = ramify_deal_own(&from->deal, shape->branches);
    memcpy(to->embedding, from->embedding, parts.embedding * sizeof(float));
    memcpy(to->head, from->head, parts.head * sizeof(float));
    memcpy(to->branch, from->branch, branches * parts.branch * sizeof(float));
}

static ramify_status open_fit(fit *f, const ramify_gradient_plan *gradient,
                              const ramify_paraformer_weights *weights) {
    ramify_context *context = f->problem->context;
    const ramify_paraformer_plan *plan = f->plan;
    size_t parts = f->shape->branches + (size_t)1;
    RAMIFY_TRY(
        ramify_paraformer_state_create(context, f->shape, &f->deal, plan->average > 0, &f->state));
    RAMIFY_TRY(ramify_gradient_create(f->problem, f->shape, gradient, &f->deal, &f->gradient));
    if (!ramify_deal_is_whole(&f->deal)) {
        size_t most = ramify_deal_held(&f->deal, 0, f->shape->branches);
        f->squares = ramify_allocate(context, (f->deal.ranks + (size_t)1) * most, sizeof(double));
        if (!f->squares)
            return RAMIFY_ERROR_MEMORY;
    }
    f->order = ramify_allocate(context, f->train.count, sizeof *f->order);
    f->rows = ramify_allocate(context, f->batch, sizeof *f->rows);
    f->part_gradient = ramify_allocate(context, parts, sizeof *f->part_gradient);
    f->square = ramify_allocate(context, parts, sizeof *f->square);
    f->score = ramify_allocate(context, parts, sizeof *f->score);
    if (!f->order || !f->rows || !f->part_gradient || !f->square || !f->score)
        return RAMIFY_ERROR_MEMORY;
    const ramify_paraformer_weights own =
        ramify_paraformer_weights_held(f->shape, &f->deal, f->state.weights);
    copy_weights(f->shape, weights, &own);
    if (f->state.averaged)
        memcpy(f->state.average, f->state.weights, f->state.floats * sizeof(float));
    if (!plan->checkpoint)
        return RAMIFY_OK;
    ramify_cluster_phase(context, "checkpoints");
    RAMIFY_TRY(find_fingerprint(f, gradient));
    bool found = false;
    return plan->resume
               ? ramify_paraformer_checkpoint_read(context, plan->checkpoint, f->fingerprint,
                                                   f->steps, &f->state, &found)
               : RAMIFY_OK;
}

static void close_fit(fit *f) {
    ramify_context *context = f->problem->context;
    ramify_gradient_destroy(context, &f->gradient);
    ramify_paraformer_state_destroy(context, &f->state);
    ramify_release(context, f->order);
    ramify_release(context, f->rows);
    ramify_release(context, f->part_gradient);
    ramify_release(context, f->square);
    ramify_release(context, f->squares);
    ramify_release(context, f->score);
}

ramify_status ramify_paraformer_fit(const ramify_problem *problem,
                                    const ramify_paraformer_shape *shape,
                                    const ramify_paraformer_plan *plan, ramify_rows train,
                                    ramify_rows select, const ramify_paraformer_weights *weights,
                                    ramify_fit_score *prefix, ramify_paraformer_result *result) {
    const char *error = ramify_paraformer_plan_error(plan);
    if (!error && train.count == 0)
        error = "there are no training rows";
    if (!error && plan->first_prefix > shape->branches)
        error = "the first prefix has more branches than there are";
    if (error)
        return ramify_fail(problem->context, RAMIFY_ERROR_ARGUMENT, "training a Para-Former: %s",
                           error);
    ramify_gradient_plan gradient;
    const ramify_deal *deal = &weights->deal;
    RAMIFY_TRY(plan_gradient(problem, shape, plan, deal, train.count, select.count, &gradient));
    const ramify_paraformer_need need =
        need_of(problem, shape, plan, deal, train.count, select.count, &gradient);
    ramify_log(problem->context, RAMIFY_LOG_INFO,
               "training takes %.1f MiB at most: %u shards, %u rows of each at a time",
               (double)need.bytes / 1048576, need.shards, need.micro);
    double now = ramify_seconds();
    fit f = {
        .problem = problem,
        .shape = shape,
        .plan = plan,
        .train = train,
        .select = select,
        .deal = *deal,
        .parts = ramify_paraformer_parts_of(shape),
        .batch = plan->batch < train.count ? plan->batch : train.count,
        .pass = UINT64_MAX,
        .workers = workers_of(problem, shape, &gradient, deal),
        .started = now,
        .written = now,
    };
    f.batches = (train.count + f.batch - 1) / f.batch;
    if (plan->passes != RAMIFY_PASSES_WHOLE)
        f.prefix_steps = f.batches * (shape->branches - plan->first_prefix + 1);
    f.per_epoch = f.prefix_steps + (plan->passes != RAMIFY_PASSES_PREFIXES ? f.batches : 0);
    f.steps = f.per_epoch * plan->epochs;
    *result = (ramify_paraformer_result){.need = need};
    ramify_status status = open_fit(&f, &gradient, weights);
    if (status == RAMIFY_OK)
        status = run(&f, &result->late);
    if (f.state.taken) {
        const ramify_paraformer_weights best =
            ramify_paraformer_weights_held(shape, deal, f.state.best);
        copy_weights(shape, &best, weights);
        result->score = f.state.score;
    }
    result->steps = f.state.step;
    result->branch_passes = f.state.branch_passes;
    if (prefix && status == RAMIFY_OK && select.count > 0)
        status = ramify_paraformer_score_on(problem, shape, weights, select, f.workers, prefix);
    close_fit(&f);
    return status;
}

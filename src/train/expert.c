/* Plan of a fit: rows are shuffled per epoch by a stream of their own; each step gathers a batch,
 * runs forward and backward, and takes one AdamW step; at regular checks the select rows are scored
 * and the best weights kept. Everything runs on the calling thread: fits of different experts run
 * side by side. */

#include "expert.h"
#include "float_mode.h"
#include "loss.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Rows that are scored at a time. */
#define SCORE_ROWS 256

/* Class error alone is coarse on few rows, cross-entropy alone prefers underfitted experts:
 * checkpoints of classifiers are compared by error + this share of the cross-entropy. */
#define LOSS_SHARE 0.1

typedef struct fit {
    const ramify_problem *problem;
    const ramify_mlp_shape *shape;
    const ramify_expert_plan *plan;
    ramify_encoder *encoder; /* trained along; NULL when frozen */
    const float *features;   /* when frozen: problem rows x stride */
    size_t stride;           /* pad(features) */
    size_t outputs;          /* pad(outputs) */
    size_t floats;           /* of the record */
    size_t theta;            /* floats of the encoder's parameters */
    float *record;           /* floats */
    float *gradient, *m, *v; /* floats + theta */
    float *average;          /* floats + theta, or NULL */
    float *x, *dx;           /* batch x stride */
    float *dy;               /* members x batch x outputs */
    ramify_loss_room room;   /* of batch rows */
    float *scratch;
    uint64_t step;
} fit;

double ramify_fit_criterion(const ramify_problem *problem, ramify_fit_score score) {
    return problem->label ? score.error + LOSS_SHARE * score.loss : score.loss;
}

static void gather(const fit *f, const uint32_t *rows, size_t count, float *x) {
    if (f->encoder) {
        ramify_encoder_forward(f->problem, f->encoder, rows, count, x, f->stride);
        return;
    }
    for (size_t i = 0; i < count; i++)
        memcpy(x + i * f->stride, f->features + rows[i] * f->stride, f->stride * sizeof *x);
}

/* dy of all members from their outputs y; both (members*count) x outputs. */
static void loss_gradient(fit *f, const uint32_t *rows, const float *row_weight, size_t count,
                          const float *y) {
    size_t members = f->shape->members;
    float share = 1.0f / (float)(members * count);
    memset(f->dy, 0, members * count * f->outputs * sizeof *f->dy);
    for (size_t member = 0; member < members; member++) {
        size_t at = member * count * f->outputs;
        ramify_loss_gradient(f->problem, rows, row_weight, count, share, f->plan->smoothing, y + at,
                             f->dy + at, f->outputs, &f->room);
    }
}

static void optimiser_part(fit *f, float *parameters, size_t at, size_t floats, float rate,
                           float decay) {
    float correction1 = 1.0f - powf(RAMIFY_ADAM_BETA1, (float)f->step);
    float correction2 = 1.0f - powf(RAMIFY_ADAM_BETA2, (float)f->step);
    f->problem->kernels->adamw(floats, parameters, f->gradient + at, f->m + at, f->v + at, rate,
                               RAMIFY_ADAM_BETA1, RAMIFY_ADAM_BETA2, RAMIFY_ADAM_EPSILON, decay,
                               correction1, correction2);
}

/* Decay acts on weight matrices and encodings; biases, slopes, r, s and frequencies are left to the
 * data. */
static void optimiser_step(fit *f, double rate) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(f->shape, layer);
    float decay = (float)f->plan->decay;
    f->step++;
    for (uint32_t l = 0; l < f->shape->layers; l++) {
        const ramify_mlp_layer *at = &layer[l];
        size_t rest = at->weight + at->weight_floats;
        size_t end = l + 1 < f->shape->layers ? layer[l + 1].weight : f->floats;
        if (!f->plan->train_slope && !at->last)
            memset(f->gradient + at->slope, 0, ramify_pad(at->n) * sizeof *f->gradient);
        optimiser_part(f, f->record + at->weight, at->weight, at->weight_floats, (float)rate,
                       decay);
        optimiser_part(f, f->record + rest, rest, end - rest, (float)rate, 0.0f);
    }
    if (f->theta == 0)
        return;
    ramify_encoder *encoder = f->encoder;
    optimiser_part(f, encoder->theta, f->floats, encoder->frequency_at, (float)rate, decay);
    optimiser_part(f, encoder->theta + encoder->frequency_at, f->floats + encoder->frequency_at,
                   f->theta - encoder->frequency_at, (float)rate, 0.0f);
    ramify_encoder_tabulate(encoder);
}

static void take_step(fit *f, const uint32_t *rows, const float *row_weight, size_t count,
                      double rate) {
    const ramify_problem *problem = f->problem;
    gather(f, rows, count, f->x);
    const float *y = ramify_mlp_forward(problem->kernels, f->shape, f->record, count, f->x,
                                        f->stride, f->scratch);
    loss_gradient(f, rows, row_weight, count, y);
    memset(f->gradient, 0, (f->floats + f->theta) * sizeof *f->gradient);
    ramify_mlp_backward(problem->kernels, f->shape, f->record, count, f->x, f->stride, f->dy,
                        f->gradient, f->theta ? f->dx : NULL, f->stride, f->scratch);
    if (f->plan->mask)
        problem->kernels->scale_columns(1, f->floats, f->gradient, f->floats, f->plan->mask,
                                        f->gradient, f->floats);
    if (f->theta)
        ramify_encoder_backward(problem, f->encoder, rows, count, f->x, f->dx, f->stride,
                                f->gradient + f->floats);
    optimiser_step(f, rate);
    if (f->average) {
        float keep = (float)f->plan->average;
        problem->kernels->average(f->floats, f->average, f->record, keep);
        if (f->theta)
            problem->kernels->average(f->theta, f->average + f->floats, f->encoder->theta, keep);
    }
}

ramify_status ramify_expert_outputs(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                    const ramify_encoder *encoder, const float *features,
                                    const float *record, ramify_rows rows, float *outputs) {
    ramify_context *context = problem->context;
    size_t stride = ramify_pad(shape->width[0]);
    size_t padded = ramify_pad(problem->outputs);
    float *x = ramify_allocate(context, SCORE_ROWS * stride, sizeof *x);
    float *scratch =
        ramify_allocate(context, ramify_mlp_run_floats(shape, SCORE_ROWS), sizeof *scratch);
    ramify_status status = x && scratch ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t first = 0; status == RAMIFY_OK && first < rows.count; first += SCORE_ROWS) {
        size_t count = rows.count - first < SCORE_ROWS ? rows.count - first : SCORE_ROWS;
        if (features)
            for (size_t i = 0; i < count; i++)
                memcpy(x + i * stride, features + rows.row[first + i] * stride, stride * sizeof *x);
        else
            ramify_encoder_forward(problem, encoder, rows.row + first, count, x, stride);
        ramify_mlp_run(problem->kernels, shape, record, count, x, stride, outputs + first * padded,
                       padded, scratch);
    }
    ramify_release(context, x);
    ramify_release(context, scratch);
    return status;
}

void ramify_expert_losses(const ramify_problem *problem, ramify_rows rows, const float *outputs,
                          float *loss, float *error) {
    size_t padded = ramify_pad(problem->outputs);
    for (size_t i = 0; i < rows.count; i++) {
        const float *y = outputs + i * padded;
        if (problem->label) {
            uint32_t label = problem->label[rows.row[i]], best = 0;
            float nats;
            problem->kernels->cross_entropy(1, problem->outputs, y, padded, &label, 0.0f, NULL,
                                            &nats, NULL, 0);
            for (uint32_t c = 1; c < problem->outputs; c++)
                if (y[c] > y[best])
                    best = c;
            if (loss)
                loss[i] = nats;
            if (error)
                error[i] = best == label ? 0.0f : 1.0f;
            continue;
        }
        float sum = 0;
        for (uint32_t t = 0; t < problem->targets; t++) {
            float difference = y[t] - problem->target[(size_t)rows.row[i] * problem->targets + t];
            sum += difference * difference;
        }
        sum /= (float)problem->targets;
        if (loss)
            loss[i] = sum;
        if (error)
            error[i] = sum;
    }
}

ramify_fit_score ramify_expert_score(const ramify_problem *problem, ramify_rows rows,
                                     const float *loss, const float *error) {
    double losses = 0, errors = 0, weights = 0;
    for (size_t i = 0; i < rows.count; i++) {
        double weight = problem->weight ? problem->weight[rows.row[i]] : 1.0;
        losses += weight * loss[i];
        errors += weight * error[i];
        weights += weight;
    }
    if (weights <= 0)
        return (ramify_fit_score){0};
    return (ramify_fit_score){.loss = losses / weights, .error = errors / weights};
}

/* Scores the record on rows, through the encoder as it stands or the frozen features. */
static ramify_status score_rows(const fit *f, const float *record, ramify_rows rows,
                                ramify_fit_score *score) {
    ramify_context *context = f->problem->context;
    float *outputs = ramify_allocate(context, rows.count * f->outputs, sizeof *outputs);
    float *loss = ramify_allocate(context, 2 * rows.count, sizeof *loss);
    ramify_status status = outputs && loss ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_expert_outputs(f->problem, f->shape, f->encoder, f->features, record, rows,
                                       outputs);
    if (status == RAMIFY_OK) {
        ramify_expert_losses(f->problem, rows, outputs, loss, loss + rows.count);
        *score = ramify_expert_score(f->problem, rows, loss, loss + rows.count);
    }
    ramify_release(context, outputs);
    ramify_release(context, loss);
    return status;
}

/* The best weights so far. */
typedef struct snapshot {
    float *values; /* floats + theta */
    ramify_fit_score score;
    double criterion;
    bool taken;
} snapshot;

static void swap_theta(fit *f, float *other) {
    for (size_t i = 0; i < f->theta; i++) {
        float swap = f->encoder->theta[i];
        f->encoder->theta[i] = other[i];
        other[i] = swap;
    }
    ramify_encoder_tabulate(f->encoder);
}

/* Scores the current weights (or their average) and keeps them if they are the best; rows without
 * select rows keep the latest. */
static ramify_status check(fit *f, ramify_rows select, bool average, snapshot *best) {
    float *record = average ? f->average : f->record;
    ramify_fit_score score = {0};
    if (average && f->theta)
        swap_theta(f, f->average + f->floats);
    ramify_status status = select.count ? score_rows(f, record, select, &score) : RAMIFY_OK;
    double criterion = ramify_fit_criterion(f->problem, score);
    if (status == RAMIFY_OK && (!best->taken || select.count == 0 || f->plan->keep_last ||
                                criterion < best->criterion || isnan(best->criterion))) {
        memcpy(best->values, record, f->floats * sizeof *record);
        if (f->theta)
            memcpy(best->values + f->floats, f->encoder->theta, f->theta * sizeof *record);
        best->score = score;
        best->criterion = criterion;
        best->taken = true;
    }
    if (average && f->theta)
        swap_theta(f, f->average + f->floats);
    return status;
}

/* Adds rows to the meter and tells the progress callback. */
static void report_rows(const fit *f, size_t rows) {
    ramify_meter *meter = f->plan->meter;
    if (!meter)
        return;
    unsigned long long done = atomic_fetch_add(&meter->done, rows) + rows;
    /* The whole is reported by whoever waits for all fits. */
    if ((double)done < meter->total)
        ramify_progress_report(f->problem->context, meter->stage, (double)done, meter->total);
}

/* Steps between two moments at which the progress is told and the caller asked whether to stop. */
#define PAUSE_STEPS 16

/* In the caller's float mode: tells of the rows since the last pause, asks whether to stop, and checks
 * the weights if that is due. */
static ramify_status between_steps(fit *f, ramify_float_mode own, size_t rows, bool ask, bool due,
                                   ramify_rows select, snapshot *best) {
    ramify_float_mode_set(own);
    report_rows(f, rows);
    const bool average = f->average != NULL;
    if (ask && (ramify_cancelled(f->problem->context) || ramify_late(f->plan->stop_at))) {
        /* What has been learned so far may be the best there is. */
        RAMIFY_TRY(check(f, select, average, best));
        return ramify_fail(f->problem->context, RAMIFY_STOPPED, "stopped");
    }
    if (due)
        RAMIFY_TRY(check(f, select, average, best));
    ramify_flush_denormals();
    return RAMIFY_OK;
}

/* With denormal numbers flushed but for the pauses: `own` is the caller's mode. */
static ramify_status run_steps(fit *f, ramify_float_mode own, ramify_rows train,
                               const float *row_weight, ramify_rows select, uint32_t *order,
                               uint32_t *rows, float *weights, snapshot *best) {
    const ramify_expert_plan *plan = f->plan;
    size_t batch = plan->batch < train.count ? plan->batch : train.count, untold = 0;
    uint64_t steps_per_epoch = (train.count + batch - 1) / batch;
    uint64_t steps = steps_per_epoch * plan->epochs, step = 0;
    uint32_t checks = 0;
    bool late = false, noted = !(plan->rewind_at > 0);
    for (uint32_t epoch = 0; epoch < plan->epochs && !late; epoch++) {
        ramify_random random =
            ramify_random_stream(plan->seed, RAMIFY_PURPOSE_SHUFFLE, plan->node, epoch);
        for (size_t i = 0; i < train.count; i++)
            order[i] = (uint32_t)i;
        ramify_random_shuffle(&random, order, train.count);
        for (size_t first = 0; first < train.count && !late; first += batch) {
            size_t count = train.count - first < batch ? train.count - first : batch;
            for (size_t i = 0; i < count; i++) {
                rows[i] = train.row[order[first + i]];
                if (row_weight)
                    weights[i] = row_weight[order[first + i]];
            }
            double done = ramify_schedule_done(step, steps, plan->started, plan->deadline);
            if (!noted && done >= plan->rewind_at) {
                memcpy(f->record + f->floats, f->record, f->floats * sizeof *f->record);
                noted = true;
            }
            take_step(
                f, rows, row_weight ? weights : NULL, count,
                ramify_schedule_rate(plan->rate, plan->warm_up, plan->cosine, done, step, steps));
            step++;
            untold += count;
            late = plan->deadline > 0 && done >= 1;
            const bool ask = step % PAUSE_STEPS == 0;
            bool due = !plan->keep_last && done * plan->checks >= checks + 1;
            due = due || step == steps || late;
            if (due)
                checks = (uint32_t)(done * plan->checks);
            if (!ask && !due)
                continue;
            RAMIFY_TRY(between_steps(f, own, untold, ask, due, select, best));
            untold = 0;
        }
    }
    return RAMIFY_OK;
}

/* Units that weight decay has silenced have activations and gradients that shrink with their weights.
 * Their products are denormal, ever more of them the longer a fit goes on, and would take nearly all
 * of its time; they are far too small to move a weight. Switching for each step would be felt where
 * networks are small. */
static ramify_status run(fit *f, ramify_rows train, const float *row_weight, ramify_rows select,
                         bool keep_start, uint32_t *order, uint32_t *rows, float *weights,
                         snapshot *best) {
    if (keep_start)
        RAMIFY_TRY(check(f, select, false, best));
    const ramify_float_mode own = ramify_flush_denormals();
    ramify_status status = run_steps(f, own, train, row_weight, select, order, rows, weights, best);
    ramify_float_mode_set(own);
    return status;
}

ramify_status ramify_expert_fit(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                const ramify_expert_plan *plan, ramify_encoder *encoder,
                                const float *features, ramify_rows train, const float *row_weight,
                                ramify_rows select, bool keep_start, float *record,
                                ramify_fit_score *best) {
    ramify_context *context = problem->context;
    fit f = {
        .problem = problem,
        .shape = shape,
        .plan = plan,
        .encoder = features ? NULL : encoder,
        .features = features,
        .stride = ramify_pad(shape->width[0]),
        .outputs = ramify_pad(problem->outputs),
        .floats = ramify_mlp_record_bytes(shape) / sizeof(float),
        .record = record,
    };
    f.theta = f.encoder ? encoder->parameters : 0;
    size_t all = f.floats + f.theta;
    size_t batch = plan->batch < train.count ? plan->batch : train.count;
    f.gradient = ramify_allocate_zeroed(context, all, sizeof(float));
    f.m = ramify_allocate_zeroed(context, all, sizeof(float));
    f.v = ramify_allocate_zeroed(context, all, sizeof(float));
    f.x = ramify_allocate(context, batch * f.stride, sizeof(float));
    f.dx = ramify_allocate(context, batch * f.stride, sizeof(float));
    f.dy = ramify_allocate(context, shape->members * batch * f.outputs, sizeof(float));
    f.room.loss = ramify_allocate(context, batch, sizeof(float));
    f.room.weight = ramify_allocate(context, batch, sizeof(float));
    f.room.label = ramify_allocate(context, batch, sizeof(uint32_t));
    if (problem->soft)
        f.room.soft = ramify_allocate(context, batch * problem->outputs, sizeof(float));
    f.scratch = ramify_allocate(context, ramify_mlp_train_floats(shape, batch), sizeof(float));
    if (plan->average > 0)
        f.average = ramify_allocate(context, all, sizeof(float));
    snapshot kept = {.values = ramify_allocate(context, all, sizeof(float))};
    uint32_t *order = ramify_allocate(context, train.count, sizeof *order);
    uint32_t *rows = ramify_allocate(context, batch, sizeof *rows);
    float *weights = ramify_allocate(context, batch, sizeof *weights);
    ramify_status status = RAMIFY_OK;
    if (!f.gradient || !f.m || !f.v || !f.x || !f.dx || !f.dy || !f.room.loss || !f.room.weight ||
        !f.room.label || !f.scratch || (problem->soft && !f.room.soft) ||
        (plan->average > 0 && !f.average) || !kept.values || !order || !rows || !weights)
        status = RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        if (f.average) {
            memcpy(f.average, record, f.floats * sizeof(float));
            if (f.theta)
                memcpy(f.average + f.floats, encoder->theta, f.theta * sizeof(float));
        }
        status = run(&f, train, row_weight, select, keep_start, order, rows, weights, &kept);
    }
    if (kept.taken) {
        memcpy(record, kept.values, f.floats * sizeof(float));
        if (f.theta) {
            memcpy(encoder->theta, kept.values + f.floats, f.theta * sizeof(float));
            ramify_encoder_tabulate(encoder);
        }
        if (best)
            *best = kept.score;
    }
    void *memory[] = {f.room.soft, f.gradient,  f.m,           f.v,          f.x,       f.dx,
                      f.dy,        f.room.loss, f.room.weight, f.room.label, f.scratch, f.average,
                      kept.values, order,       rows,          weights};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        ramify_release(context, memory[i]);
    return status;
}

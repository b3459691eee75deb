#include "series_pass.h"
#include "memory.h"
#include "progress.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Rows that are scored at most; their mean has 1 % of noise. */
#define SCORED_ROWS 16384
/* Leverages above this leave nothing of a residual to divide. */
#define LEVERAGE_MOST (1 - 1e-9)

#define ROWS      RAMIFY_LEAST_SQUARES_ROWS
#define TASK_ROWS 64
#define TASKS     (ROWS / TASK_ROWS)

void ramify_series_pass_clear(ramify_series_pass *p) {
    ramify_context *context = p->data->context;
    ramify_least_squares_destroy(&p->problem);
    ramify_release(context, p->x);
    ramify_release(context, p->y);
    ramify_release(context, p->function);
    ramify_release(context, p->sums);
}

ramify_status ramify_series_pass_open(ramify_series_pass *p) {
    const ramify_series_data *data = p->data;
    ramify_context *context = data->context;
    p->x = ramify_allocate(context, ROWS, (size_t)data->columns * sizeof *p->x);
    p->y = ramify_allocate(context, ROWS, data->targets * sizeof *p->y);
    p->function =
        ramify_allocate(context, TASKS, ((size_t)p->plan->functions + 1) * sizeof *p->function);
    p->sums = ramify_allocate(context, TASKS, ((size_t)p->plan->band + 1) * sizeof *p->sums);
    if (!p->x || !p->y || !p->function || !p->sums)
        return RAMIFY_ERROR_MEMORY;
    RAMIFY_TRY(ramify_least_squares_create(context, data->kernels, p->plan->terms, data->targets,
                                           &p->problem));
    p->problem->deadline = p->deadline;
    return RAMIFY_OK;
}

static double weight_of(const ramify_series_data *data, uint32_t row) {
    return data->weight ? sqrt(ramify_column_value(data->weight, row) / data->weight_unit) : 1;
}

/* Task: terms and targets of a part of the block's rows. */
static ramify_status fill_rows(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_series_pass *p = argument;
    const ramify_series_data *data = p->data;
    ramify_least_squares *problem = p->problem;
    double *function = p->function + task * ((size_t)p->plan->functions + 1);
    size_t end = ramify_smaller((task + 1) * TASK_ROWS, p->taken);
    for (size_t i = task * TASK_ROWS; i < end; i++) {
        double *at = problem->block + i * problem->ld;
        double weight = weight_of(data, p->row[i]);
        ramify_series_terms(p->plan, p->axis, p->x + i * data->columns, function, at);
        for (uint32_t t = 0; weight != 1 && t < p->plan->terms; t++)
            at[t] *= weight;
        for (uint32_t o = 0; o < data->targets; o++) {
            double y = ramify_match_target(data->match, o, p->row[i]);
            at[p->plan->terms + o] = p->y[i * data->targets + o] =
                weight * (y - data->head_center[o]) / data->head_scale[o];
        }
    }
    return RAMIFY_OK;
}

ramify_status ramify_series_pass_fill(ramify_series_pass *p, size_t left) {
    p->taken = (uint32_t)ramify_smaller(left, ROWS);
    ramify_match_rows(p->data->match, p->row, 0, p->taken, p->x);
    return ramify_parallel(p->data->context, (p->taken + TASK_ROWS - 1) / TASK_ROWS, fill_rows, p);
}

ramify_status ramify_series_pass_take(ramify_series_pass *p, const uint32_t *row, size_t count) {
    p->row = row;
    for (size_t left = count; left > 0; left -= p->taken, p->row += p->taken) {
        p->late = p->late || ramify_late(p->deadline);
        if (p->late)
            break;
        RAMIFY_TRY(ramify_series_pass_fill(p, left));
        RAMIFY_TRY(ramify_least_squares_take(p->problem, p->taken, 0));
        p->late = p->problem->late;
    }
    return RAMIFY_OK;
}

/* Task: errors of the block's rows left out, for every band. The block holds rows of Q. */
static ramify_status score_rows(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_series_pass *p = argument;
    const ramify_least_squares *problem = p->problem;
    const uint32_t targets = p->data->targets;
    double *sums = p->sums + task * ((size_t)p->plan->band + 1);
    size_t end = ramify_smaller((task + 1) * TASK_ROWS, p->taken);
    for (uint32_t b = 0; b < p->bands; b++)
        sums[b] = 0;
    for (size_t i = task * TASK_ROWS; i < end; i++) {
        const double *z = problem->block + i * problem->ld;
        double *left = p->y + i * targets, leverage = 0;
        uint32_t t = 0;
        for (uint32_t b = 0; b < p->bands; b++) {
            for (const uint32_t last = p->at_once ? p->terms : p->plan->first[b + 1]; t < last;
                 t++) {
                leverage += z[t] * z[t];
                for (uint32_t o = 0; o < targets; o++)
                    left[o] -= z[t] * ramify_least_squares_projection(problem, t, o);
            }
            double square = 0, factor = p->left_out ? 1 : 1 / (1 - leverage);
            for (uint32_t o = 0; o < targets; o++)
                square += left[o] * left[o];
            square *= factor * factor / targets;
            if (!p->left_out && !(leverage < LEVERAGE_MOST))
                square = INFINITY;
            sums[b] += square;
            if (b == p->chosen && p->error)
                p->error[i] = (float)square;
        }
    }
    return RAMIFY_OK;
}

/* Whether a row is among those that are scored of `count`: the fewer there are, the more of them, and
 * those of many are among those of few. */
static bool is_scored(uint32_t row, size_t count) {
    return ramify_series_lot(row) <= (double)UINT32_MAX * SCORED_ROWS / (double)count;
}

ramify_status ramify_series_pass_score(ramify_series_pass *p, const uint32_t *row, size_t count,
                                       uint32_t chosen, float *error, double *band_error) {
    ramify_context *context = p->data->context;
    size_t scored = 0;
    uint32_t *some = ramify_allocate(context, count, sizeof *some);
    uint32_t *place = ramify_allocate(context, count, sizeof *place);
    float *kept = ramify_allocate(context, ROWS, sizeof *kept);
    ramify_status status = some && place && kept ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        if (error)
            error[i] = NAN;
        if (is_scored(row[i], count)) {
            place[scored] = (uint32_t)i;
            some[scored++] = row[i];
        }
    }
    for (uint32_t b = 0; b < p->bands; b++)
        band_error[b] = 0;
    p->row = some;
    p->chosen = chosen;
    p->error = error ? kept : NULL;
    for (size_t done = 0; status == RAMIFY_OK && done < scored; done += p->taken) {
        status = ramify_series_pass_fill(p, scored - done);
        if (status == RAMIFY_OK)
            status = ramify_least_squares_orthonormal(p->problem, p->terms, p->taken, 0);
        size_t tasks = (p->taken + TASK_ROWS - 1) / TASK_ROWS;
        if (status == RAMIFY_OK)
            status = ramify_parallel(context, tasks, score_rows, p);
        for (size_t task = 0; status == RAMIFY_OK && task < tasks; task++)
            for (uint32_t b = 0; b < p->bands; b++)
                band_error[b] += p->sums[task * ((size_t)p->plan->band + 1) + b];
        for (size_t i = 0; status == RAMIFY_OK && error && i < p->taken; i++)
            error[place[done + i]] = kept[i];
        p->row += p->taken;
    }
    for (uint32_t b = 0; b < p->bands; b++)
        band_error[b] = sqrt(band_error[b] / (double)scored);
    ramify_release(context, some);
    ramify_release(context, place);
    ramify_release(context, kept);
    return status;
}

void ramify_series_pass_carried(ramify_series_pass *p) {
    uint32_t rank = ramify_least_squares_rank(p->problem);
    p->bands = 0;
    while (p->bands <= p->plan->band && p->plan->first[p->bands + 1] <= rank)
        p->bands++;
    p->terms = p->bands > 0 ? p->plan->first[p->bands] : 0;
}

/* What resampled and left-out runs say of a law: intervals of its parameters, scores by folds. */

#include "law.h"
#include "law_numbers.h"
#include "law_select.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "text.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* With fewer resamples the ends of an interval are the least and the largest. */
#define RESAMPLES_LEAST 20

double *ramify_law_numbers_of(const ramify_fitted *law, uint32_t part, uint32_t j) {
    return law->resample + ((size_t)part * RAMIFY_LAW_PARAMETERS_MAX + j) * law->resamples;
}

typedef struct resampling {
    const ramify_law_fit_request *request;
    const ramify_runs *runs;
    const ramify_fitted *law;
    uint32_t group;
} resampling;

/* Task: one resample of the runs, fitted from the law's own parameters and, where these do not move,
 * from the form's starts too. */
static ramify_status resample(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const resampling *r = argument;
    ramify_context *context = r->request->context;
    if (ramify_cancelled(context))
        return ramify_fail(context, RAMIFY_STOPPED, "stopped");
    ramify_selection s = {0};
    ramify_status status = ramify_selection_open(context, r->runs, &s);
    if (status == RAMIFY_OK) {
        ramify_random random = ramify_random_stream(r->request->options->seed,
                                                    RAMIFY_PURPOSE_BOOTSTRAP, r->group, task);
        for (size_t i = 0; i < r->runs->count; i++)
            ramify_selection_add(&s, r->runs, ramify_random_below(&random, r->runs->count));
    }
    for (uint32_t p = 0; status == RAMIFY_OK && p < r->law->mix.parts; p++) {
        const ramify_law_part *part = &r->law->mix.part[p];
        ramify_law_problem problem = ramify_law_problem_of(r->request, &s.runs);
        problem.form = part->form;
        problem.begin = part->theta;
        problem.begin_only = !part->stuck;
        double theta[RAMIFY_LAW_PARAMETERS_MAX], loss;
        status = ramify_law_solve(context, &problem, theta, &loss);
        int bound[RAMIFY_LAW_PARAMETERS_MAX];
        if (status == RAMIFY_OK)
            ramify_law_bounds(&problem, theta, bound);
        for (uint32_t j = 0; status == RAMIFY_OK && j < part->form->parameters; j++)
            ramify_law_numbers_of(r->law, p, j)[task] =
                bound[j] != 0 && ramify_law_driven(&part->form->parameter[j], theta[j]) == 0
                    ? ramify_law_driven_to(bound[j])
                    : theta[j];
    }
    ramify_selection_close(context, &s);
    return status;
}

static ramify_status take_intervals(const ramify_law_fit_request *request, ramify_fitted *law) {
    double *sorted = ramify_allocate(request->context, law->resamples, sizeof *sorted);
    if (!sorted)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t j = 0; j < request->form->parameters; j++) {
        if (!isnan(request->fixed[j]))
            continue;
        memcpy(sorted, ramify_law_numbers_of(law, 0, j), law->resamples * sizeof *sorted);
        ramify_law_middle(sorted, law->resamples, request->options->level, &law->low[j],
                          &law->high[j]);
        int bound = law->mix.part[0].bound[j];
        double theta = bound ? ramify_law_driven_to(bound) : law->mix.part[0].theta[j];
        law->widened[j] = !bound && (theta < law->low[j] || theta > law->high[j]);
        law->low[j] = fmin(law->low[j], theta);
        law->high[j] = fmax(law->high[j], theta);
    }
    ramify_release(request->context, sorted);
    return RAMIFY_OK;
}

ramify_status ramify_law_bootstrap(const ramify_law_fit_request *request, uint32_t group,
                                   const ramify_runs *runs, ramify_fitted *law) {
    ramify_context *context = request->context;
    uint32_t count = request->options->bootstrap;
    for (uint32_t j = 0; j < RAMIFY_LAW_PARAMETERS_MAX; j++)
        law->low[j] = law->high[j] = (double)NAN;
    /* A mean over one size is computed from the end of the curve, and says itself how sure it is. */
    if (count < RESAMPLES_LEAST || law->mix.spread.local)
        return RAMIFY_OK;
    law->resample = ramify_allocate_zeroed(
        context, (size_t)law->mix.parts * RAMIFY_LAW_PARAMETERS_MAX * count, sizeof(double));
    if (!law->resample)
        return RAMIFY_ERROR_MEMORY;
    law->resamples = count;
    resampling r = {.request = request, .runs = runs, .law = law, .group = group};
    RAMIFY_TRY(ramify_parallel(context, count, resample, &r));
    RAMIFY_TRY(take_intervals(request, law));
    if (request->form->variables == 1) {
        ramify_release(context, law->resample);
        law->resample = NULL;
        law->resamples = 0;
    }
    return RAMIFY_OK;
}

void ramify_law_resampled(const ramify_fitted *law, uint32_t index, ramify_law_mix *mix) {
    *mix = law->mix;
    for (uint32_t p = 0; p < mix->parts; p++)
        for (uint32_t j = 0; j < mix->part[p].form->parameters; j++)
            mix->part[p].theta[j] = ramify_law_numbers_of(law, p, j)[index];
}

/* --- folds ------------------------------------------------------------------------------------ */

/* Sums over folds. */
typedef struct tally {
    double squares, sum, relative, rows;
} tally;

static ramify_status score_fold(const ramify_law_fit_request *request, const ramify_runs *rest,
                                const ramify_runs *fold, tally *t) {
    /* Not from the law's own parameters, which have seen the fold. */
    ramify_law_problem problem = ramify_law_problem_of(request, rest);
    ramify_law_mix mix;
    double loss;
    RAMIFY_TRY(ramify_law_mix_fit(request->context, &problem, &mix, &loss));
    ramify_law_score score = ramify_law_score_runs(&mix, fold);
    double n = (double)score.rows;
    t->rows += n;
    t->squares += n * score.rmse_log * score.rmse_log;
    t->sum += n * score.mean;
    t->relative += n * (score.sd * score.sd + score.mean * score.mean);
    return RAMIFY_OK;
}

static ramify_status score_folds(const ramify_law_fit_request *request, const ramify_runs *runs,
                                 const uint32_t *fold_of, ramify_selection *rest,
                                 ramify_selection *fold, ramify_fitted *law) {
    tally t = {0};
    for (uint32_t k = 0; k < request->options->folds; k++) {
        rest->runs.count = fold->runs.count = 0;
        for (size_t i = 0; i < runs->count; i++) /* in their order, which forms may rest on */
            ramify_selection_add(fold_of[i] == k ? fold : rest, runs, i);
        RAMIFY_TRY(score_fold(request, &rest->runs, &fold->runs, &t));
    }
    double mean = t.sum / t.rows, variance = t.relative / t.rows - mean * mean;
    law->folds = (ramify_law_score){.rows = runs->count,
                                    .rmse_log = sqrt(t.squares / t.rows),
                                    .mean = mean,
                                    .sd = sqrt(variance > 0 ? variance : 0),
                                    .coverage = (double)NAN,
                                    .interval_score = (double)NAN};
    return RAMIFY_OK;
}

ramify_status ramify_law_cross_validate(const ramify_law_fit_request *request, uint32_t group,
                                        const ramify_runs *runs, ramify_fitted *law) {
    ramify_context *context = request->context;
    uint32_t folds = request->options->folds;
    if (folds == 0)
        return RAMIFY_OK;
    uint32_t free = 0;
    for (uint32_t j = 0; j < request->form->parameters; j++)
        free += isnan(request->fixed[j]);
    size_t largest = (runs->count + folds - 1) / folds; /* fold */
    if (folds > runs->count || runs->count - largest < free)
        return ramify_fail(
            context, RAMIFY_ERROR_DATA,
            "%u folds of %zu run%s leave too few to fit the %u free parameter%s of %s: "
            "add runs, or ask for other folds",
            folds, runs->count, ramify_plural(runs->count), free, ramify_plural(free),
            request->form->name);
    ramify_selection rest = {0}, fold = {0};
    uint32_t *order = ramify_allocate(context, 2 * runs->count, sizeof *order);
    ramify_status status = order ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_selection_open(context, runs, &rest);
    if (status == RAMIFY_OK)
        status = ramify_selection_open(context, runs, &fold);
    if (status == RAMIFY_OK) {
        uint32_t *fold_of = order + runs->count;
        ramify_random random =
            ramify_random_stream(request->options->seed, RAMIFY_PURPOSE_FOLDS, group, 0);
        for (size_t i = 0; i < runs->count; i++)
            order[i] = (uint32_t)i;
        ramify_random_shuffle(&random, order, runs->count);
        for (size_t i = 0; i < runs->count; i++)
            fold_of[order[i]] = (uint32_t)(i % folds);
        status = score_folds(request, runs, fold_of, &rest, &fold, law);
    }
    ramify_selection_close(context, &rest);
    ramify_selection_close(context, &fold);
    ramify_release(context, order);
    return status;
}

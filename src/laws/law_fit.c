/* ramify_law_fit: table -> groups of runs -> least loss, errors, bootstrap, scores, review. */

#include "law.h"
#include "law_numbers.h"
#include "memory.h"
#include "number.h"
#include "progress.h"
#include "random.h"
#include "text.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDS_MAX     1000
#define BOOTSTRAP_MAX 100000

void ramify_law_options_init(ramify_law_options *options) {
    *options = (ramify_law_options){.delta = 1e-3, .above = 1, .bootstrap = 200, .level = 0.9};
}

const char *ramify_law_form_name(uint32_t index, const char **formula, const char **source) {
    size_t count;
    const ramify_law_form *const *forms = ramify_law_forms(&count);
    if (index >= count)
        return NULL;
    if (formula)
        *formula = forms[index]->formula;
    if (source)
        *source = forms[index]->source;
    return forms[index]->name;
}

/* Everything one fit holds. */
typedef struct fit {
    ramify_context *context;
    const ramify_table *table;
    const ramify_law_options *options;
    ramify_law_groups *groups;
    ramify_law *law;
    double fixed[RAMIFY_LAW_PARAMETERS_MAX]; /* NaN: free */
} fit;

static ramify_status check_options(ramify_context *context, const ramify_law_options *options) {
    if (!options->form || !options->x || !options->y)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a law needs a form, x and y: one of the three is not given");
    if (!ramify_law_form_find(options->form))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "there is no form \"%s\" of a law: `ramify law forms` lists them",
                           options->form);
    if (options->loss > RAMIFY_LAW_LOSS_HUBER)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "unknown loss %d", (int)options->loss);
    if (!(options->delta > 0))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "delta is %g, expected above 0",
                           options->delta);
    if (!(options->above >= 0 && options->above <= 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the weight of runs above the law is %g, expected 0 to 1",
                           options->above);
    if (options->folds == 1 || options->folds > FOLDS_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%u folds, expected 2 to %d",
                           options->folds, FOLDS_MAX);
    if (options->bootstrap > BOOTSTRAP_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%u resamples, %d are the most",
                           options->bootstrap, BOOTSTRAP_MAX);
    if (!(options->level > 0 && options->level < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the level of intervals is %g, expected between 0 and 1",
                           options->level);
    return RAMIFY_OK;
}

/* "name=value,..." */
static ramify_status read_fixed(fit *f, const ramify_law_form *form) {
    const char *list = f->options->fix, *item;
    size_t length;
    for (uint32_t j = 0; j < RAMIFY_LAW_PARAMETERS_MAX; j++)
        f->fixed[j] = (double)NAN;
    while (ramify_list_next(&list, &item, &length)) {
        const char *equals = memchr(item, '=', length);
        size_t name = equals ? (size_t)(equals - item) : 0;
        uint32_t j = 0;
        while (j < form->parameters && (strlen(form->parameter[j].name) != name ||
                                        memcmp(form->parameter[j].name, item, name) != 0))
            j++;
        char excerpt[RAMIFY_EXCERPT_BYTES];
        if (!equals || j == form->parameters)
            return ramify_fail(f->context, RAMIFY_ERROR_ARGUMENT,
                               "\"%s\" fixes no parameter of the form %s: NAME=VALUE, the first of "
                               "its names being %s",
                               ramify_text_excerpt(item, length, excerpt), form->name,
                               form->parameter[0].name);
        double value;
        if (!ramify_number_parse(equals + 1, length - name - 1, &value) ||
            (form->parameter[j].range == RAMIFY_LAW_POSITIVE && !(value > 0)))
            return ramify_fail(f->context, RAMIFY_ERROR_ARGUMENT, "\"%s\": %s needs a number%s",
                               ramify_text_excerpt(item, length, excerpt), form->parameter[j].name,
                               form->parameter[j].range == RAMIFY_LAW_POSITIVE ? " above 0" : "");
        f->fixed[j] = value;
    }
    return RAMIFY_OK;
}

static ramify_law_problem problem_of(const fit *f, const ramify_runs *runs) {
    const ramify_law_options *options = f->options;
    return (ramify_law_problem){
        .form = f->law->form,
        .runs = runs,
        .loss = {.kind = options->loss, .delta = options->delta, .above = options->above},
        .fixed = f->fixed};
}

/* Some of the runs of another set. */
typedef struct selection {
    double *ln_x, *ln_y, *weight; /* room for all */
    ramify_runs runs;
} selection;

static ramify_status selection_open(ramify_context *context, const ramify_runs *from,
                                    selection *s) {
    s->ln_x = ramify_allocate(context, from->count * from->variables, sizeof *s->ln_x);
    s->ln_y = ramify_allocate(context, from->count, sizeof *s->ln_y);
    s->weight = ramify_allocate(context, from->count, sizeof *s->weight);
    s->runs = (ramify_runs){.variables = from->variables,
                            .ln_x = s->ln_x,
                            .ln_y = s->ln_y,
                            .weight = from->weight ? s->weight : NULL};
    return s->ln_x && s->ln_y && s->weight ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static void selection_close(ramify_context *context, selection *s) {
    ramify_release(context, s->ln_x);
    ramify_release(context, s->ln_y);
    ramify_release(context, s->weight);
}

static void select_run(selection *s, const ramify_runs *from, size_t run) {
    size_t at = s->runs.count++, variables = from->variables;
    memcpy(s->ln_x + at * variables, from->ln_x + run * variables, variables * sizeof *s->ln_x);
    s->ln_y[at] = from->ln_y[run];
    s->weight[at] = from->weight ? from->weight[run] : 1;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct resampling {
    const fit *f;
    const ramify_runs *runs;
    const ramify_fitted *law;
    uint32_t group;
    double *theta; /* parameters x bootstrap */
} resampling;

/* Task: one resample of the runs, fitted from the law's own parameters. */
static ramify_status resample(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const resampling *r = argument;
    ramify_context *context = r->f->context;
    if (ramify_cancelled(context))
        return ramify_fail(context, RAMIFY_STOPPED, "stopped");
    selection s = {0};
    ramify_status status = selection_open(context, r->runs, &s);
    if (status == RAMIFY_OK) {
        ramify_random random =
            ramify_random_stream(r->f->options->seed, RAMIFY_PURPOSE_BOOTSTRAP, r->group, task);
        for (size_t i = 0; i < r->runs->count; i++)
            select_run(&s, r->runs, ramify_random_below(&random, r->runs->count));
        ramify_law_problem problem = problem_of(r->f, &s.runs);
        problem.begin = r->law->theta;
        problem.begin_only = true;
        double theta[RAMIFY_LAW_PARAMETERS_MAX], loss;
        status = ramify_law_solve(context, &problem, theta, &loss);
        for (uint32_t j = 0; status == RAMIFY_OK && j < problem.form->parameters; j++)
            r->theta[j * r->f->options->bootstrap + task] = theta[j];
    }
    selection_close(context, &s);
    return status;
}

/* Percentile intervals over resampled runs (Efron 1979). */
static ramify_status bootstrap(const fit *f, uint32_t group, const ramify_runs *runs,
                               ramify_fitted *law) {
    uint32_t count = f->options->bootstrap, parameters = f->law->form->parameters;
    for (uint32_t j = 0; j < parameters; j++)
        law->low[j] = law->high[j] = (double)NAN;
    if (count < 20)
        return RAMIFY_OK;
    resampling r = {.f = f,
                    .runs = runs,
                    .law = law,
                    .group = group,
                    .theta =
                        ramify_allocate(f->context, (size_t)count * parameters, sizeof *r.theta)};
    if (!r.theta)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_parallel(f->context, count, resample, &r);
    for (uint32_t j = 0; status == RAMIFY_OK && j < parameters; j++) {
        double *sorted = r.theta + (size_t)j * count;
        qsort(sorted, count, sizeof *sorted, ascending);
        size_t tail = (size_t)((1 - f->options->level) / 2 * count);
        if (isnan(f->fixed[j])) {
            law->low[j] = sorted[tail];
            law->high[j] = sorted[count - 1 - tail];
        }
    }
    ramify_release(f->context, r.theta);
    return status;
}

/* Every run is predicted by a law of the other folds. */
static ramify_status cross_validate(const fit *f, uint32_t group, const ramify_runs *runs,
                                    ramify_fitted *law) {
    uint32_t folds = f->options->folds;
    if (folds == 0)
        return RAMIFY_OK;
    if (folds > runs->count)
        return ramify_fail(f->context, RAMIFY_ERROR_ARGUMENT, "%u folds of %zu runs", folds,
                           runs->count);
    selection rest = {0}, fold = {0};
    uint32_t *order = ramify_allocate(f->context, runs->count, sizeof *order);
    ramify_status status = order ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = selection_open(f->context, runs, &rest);
    if (status == RAMIFY_OK)
        status = selection_open(f->context, runs, &fold);
    double squares = 0, sum = 0, relative = 0, rows = (double)runs->count;
    if (status == RAMIFY_OK) {
        ramify_random random =
            ramify_random_stream(f->options->seed, RAMIFY_PURPOSE_FOLDS, group, 0);
        for (size_t i = 0; i < runs->count; i++)
            order[i] = (uint32_t)i;
        ramify_random_shuffle(&random, order, runs->count);
    }
    for (uint32_t k = 0; status == RAMIFY_OK && k < folds; k++) {
        rest.runs.count = fold.runs.count = 0;
        for (size_t i = 0; i < runs->count; i++)
            select_run(i % folds == k ? &fold : &rest, runs, order[i]);
        ramify_law_problem problem = problem_of(f, &rest.runs);
        problem.begin = law->theta;
        double theta[RAMIFY_LAW_PARAMETERS_MAX], loss;
        status = ramify_law_solve(f->context, &problem, theta, &loss);
        if (status != RAMIFY_OK)
            break;
        ramify_law_score score = ramify_law_score_runs(problem.form, theta, &fold.runs);
        double n = (double)score.rows;
        squares += n * score.rmse_log * score.rmse_log;
        sum += n * score.mean;
        relative += n * (score.sd * score.sd + score.mean * score.mean);
    }
    double mean = sum / rows, variance = relative / rows - mean * mean;
    if (status == RAMIFY_OK)
        law->folds = (ramify_law_score){.rows = runs->count,
                                        .rmse_log = sqrt(squares / rows),
                                        .mean = mean,
                                        .sd = sqrt(variance > 0 ? variance : 0)};
    selection_close(f->context, &rest);
    selection_close(f->context, &fold);
    ramify_release(f->context, order);
    return status;
}

static ramify_status fit_runs(fit *f, uint32_t index, const char *name, ramify_fitted *law) {
    const ramify_law_group *group = &f->groups->group[index];
    const ramify_law_form *form = f->law->form;
    const ramify_runs *runs = &group->fit;
    RAMIFY_TRY(ramify_law_check_runs(f->context, form, f->groups, runs, f->fixed, name));
    ramify_law_problem problem = problem_of(f, runs);
    RAMIFY_TRY(ramify_law_solve(f->context, &problem, law->theta, &law->loss));
    RAMIFY_TRY(ramify_law_errors(f->context, &problem, law->theta, law->error));
    for (uint32_t v = 0; v < form->variables; v++) {
        ramify_log_range range = ramify_variable_range(runs, v);
        law->x_low[v] = exp(range.low);
        law->x_high[v] = exp(range.high);
    }
    law->fit = ramify_law_score_runs(form, law->theta, runs);
    law->heldout = ramify_law_score_runs(form, law->theta, &group->heldout);
    RAMIFY_TRY(bootstrap(f, index, runs, law));
    RAMIFY_TRY(cross_validate(f, index, runs, law));
    return ramify_law_review(f->context, form, f->groups, runs, law);
}

/* What sentences call a group: the table, with the values of --by. */
static const char *name_group(const fit *f, uint32_t index, char *text, size_t size) {
    int used = snprintf(text, size, "%s", f->table->source);
    for (uint32_t b = 0; b < f->groups->by_count && used >= 0 && (size_t)used < size; b++)
        used += snprintf(text + used, size - (size_t)used, "%s%s=%s", b == 0 ? ", " : " ",
                         f->groups->by_name[b], f->groups->group[index].by[b]);
    return text;
}

static ramify_status copy_texts(ramify_context *context, char *const *from, uint32_t count,
                                char **to) {
    for (uint32_t i = 0; i < count; i++) {
        to[i] = ramify_copy_text(context, from[i]);
        if (!to[i])
            return RAMIFY_ERROR_MEMORY;
    }
    return RAMIFY_OK;
}

static ramify_status fit_group(fit *f, uint32_t index) {
    ramify_fitted *law = &f->law->group[index];
    char name[512];
    RAMIFY_TRY(copy_texts(f->context, f->groups->group[index].by, f->groups->by_count, law->by));
    ramify_status status = fit_runs(f, index, name_group(f, index, name, sizeof name), law);
    if (status != RAMIFY_ERROR_DATA || f->groups->count == 1)
        return status;
    law->refusal = ramify_copy_text(f->context, ramify_message(f->context));
    ramify_clear(f->context);
    return law->refusal ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static ramify_status fit_groups(fit *f) {
    ramify_law *law = f->law;
    const ramify_law_groups *groups = f->groups;
    law->by_count = groups->by_count;
    RAMIFY_TRY(copy_texts(f->context, groups->x_name, law->form->variables, law->x_name));
    RAMIFY_TRY(copy_texts(f->context, &groups->y_name, 1, &law->y_name));
    RAMIFY_TRY(copy_texts(f->context, groups->by_name, groups->by_count, law->by_name));
    law->group = ramify_allocate_zeroed(f->context, f->groups->count, sizeof *law->group);
    if (!law->group)
        return RAMIFY_ERROR_MEMORY;
    law->groups = f->groups->count;
    law->level = f->options->level;
    uint32_t refused = 0;
    for (uint32_t g = 0; g < law->groups; g++) {
        ramify_progress_report(f->context, "fitting", g, law->groups);
        RAMIFY_TRY(fit_group(f, g));
        refused += law->group[g].refusal != NULL;
    }
    ramify_progress_report(f->context, "fitting", law->groups, law->groups);
    if (refused == law->groups && refused > 0)
        return ramify_fail(f->context, RAMIFY_ERROR_DATA,
                           "none of the %u groups can be fitted; of the first: %s", refused,
                           law->group[0].refusal);
    return ramify_law_write_text(f->context, law);
}

ramify_status ramify_law_fit(ramify_context *context, const ramify_table *table,
                             const ramify_law_options *options, ramify_law **law) {
    ramify_clear(context);
    if (!table || !options || !law)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_law_fit: table, options or law is NULL");
    RAMIFY_TRY(check_options(context, options));
    fit f = {.context = context, .table = table, .options = options};
    f.law = ramify_allocate_zeroed(context, 1, sizeof *f.law);
    if (!f.law)
        return RAMIFY_ERROR_MEMORY;
    f.law->context = context;
    f.law->form = ramify_law_form_find(options->form);
    ramify_law_request request = {.x = options->x,
                                  .y = options->y,
                                  .by = options->by,
                                  .weight = options->weight,
                                  .where = options->where,
                                  .where_count = options->where_count};
    ramify_status status = read_fixed(&f, f.law->form);
    if (status == RAMIFY_OK)
        status = ramify_law_groups_read(context, table, f.law->form, &request, &f.groups);
    if (status == RAMIFY_OK)
        status = fit_groups(&f);
    ramify_law_groups_destroy(context, &f.groups);
    if (status == RAMIFY_OK)
        *law = f.law;
    else
        ramify_law_destroy(&f.law);
    return status;
}

void ramify_law_destroy(ramify_law **law) {
    if (!law || !*law)
        return;
    ramify_law *old = *law;
    ramify_context *context = old->context;
    *law = NULL;
    for (uint32_t g = 0; old->group && g < old->groups; g++) {
        for (uint32_t b = 0; b < RAMIFY_LAW_BY_MAX; b++)
            ramify_release(context, old->group[g].by[b]);
        for (uint32_t w = 0; w < RAMIFY_LAW_WARNINGS_MAX; w++)
            ramify_release(context, old->group[g].warning[w]);
        ramify_release(context, old->group[g].refusal);
    }
    for (uint32_t v = 0; v < RAMIFY_LAW_VARIABLES_MAX; v++)
        ramify_release(context, old->x_name[v]);
    for (uint32_t b = 0; b < RAMIFY_LAW_BY_MAX; b++)
        ramify_release(context, old->by_name[b]);
    ramify_release(context, old->y_name);
    ramify_release(context, old->group);
    ramify_release(context, old->text);
    ramify_release(context, old);
}

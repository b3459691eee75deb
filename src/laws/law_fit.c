/* ramify_law_fit: table -> groups of runs -> least loss, errors, bootstrap, scores, review. */

#include "forms.h"
#include "law.h"
#include "law_numbers.h"
#include "memory.h"
#include "number.h"
#include "progress.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDS_MAX     1000
#define BOOTSTRAP_MAX 100000

void ramify_law_options_init(ramify_law_options *options) {
    *options = (ramify_law_options){
        .delta = 1e-3, .above = 1, .bootstrap = 200, .level = 0.9, .rolling = true};
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
    ramify_law_fit_request request;
    const ramify_table *table;
    ramify_law_groups *groups;
    ramify_law *law;
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
    if (!(options->above > 0 && options->above <= 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the weight of runs above the law is %g, expected above 0, to 1",
                           options->above);
    if (options->folds == 1 || options->folds > FOLDS_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%u fold%s, expected 2 to %d",
                           options->folds, ramify_plural(options->folds), FOLDS_MAX);
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
    const char *list = f->request.options->fix, *item;
    size_t length;
    if (list && form->combine)
        return ramify_fail(f->request.context, RAMIFY_ERROR_ARGUMENT,
                           "the form %s has no parameters of its own, so none can be fixed: take "
                           "one of the forms that it is made of",
                           form->name);
    for (uint32_t j = 0; j < RAMIFY_LAW_PARAMETERS_MAX; j++)
        f->request.fixed[j] = (double)NAN;
    while (ramify_list_next(&list, &item, &length)) {
        const char *equals = memchr(item, '=', length);
        size_t name = equals ? (size_t)(equals - item) : 0;
        uint32_t j = 0;
        while (j < form->parameters && (strlen(form->parameter[j].name) != name ||
                                        memcmp(form->parameter[j].name, item, name) != 0))
            j++;
        char excerpt[RAMIFY_EXCERPT_BYTES];
        if (!equals || j == form->parameters)
            return ramify_fail(f->request.context, RAMIFY_ERROR_ARGUMENT,
                               "\"%s\" fixes no parameter of the form %s: NAME=VALUE, the first of "
                               "its names being %s",
                               ramify_text_excerpt(item, length, excerpt), form->name,
                               form->parameter[0].name);
        double value;
        if (!ramify_number_parse(equals + 1, length - name - 1, &value) ||
            (form->parameter[j].range == RAMIFY_LAW_POSITIVE && !(value > 0)))
            return ramify_fail(f->request.context, RAMIFY_ERROR_ARGUMENT,
                               "\"%s\": %s needs a number%s",
                               ramify_text_excerpt(item, length, excerpt), form->parameter[j].name,
                               form->parameter[j].range == RAMIFY_LAW_POSITIVE ? " above 0" : "");
        f->request.fixed[j] = value;
    }
    return RAMIFY_OK;
}

ramify_law_problem ramify_law_problem_of(const ramify_law_fit_request *request,
                                         const ramify_runs *runs) {
    const ramify_law_options *options = request->options;
    return (ramify_law_problem){
        .form = request->form,
        .runs = runs,
        .loss = {.kind = options->loss, .delta = options->delta, .above = options->above},
        .fixed = request->fixed};
}

static int compare_networks(const void *a, const void *b) {
    const double *x = a, *y = b;
    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* pruning-joint: what every network of the runs does without pruning, for ramify_law_optimum. */
static ramify_status keep_dense(ramify_context *context, ramify_fitted *law) {
    law->dense = ramify_allocate(context, law->points * 3, sizeof *law->dense);
    if (!law->dense)
        return RAMIFY_ERROR_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < law->points; i++) {
        const double *x = law->x + i * RAMIFY_LAW_VARIABLES_MAX;
        if (law->fitted[i])
            memcpy(law->dense + count++ * 3, (const double[]){x[0], x[1], x[3]}, 3 * sizeof *x);
    }
    qsort(law->dense, count, 3 * sizeof *law->dense, compare_networks);
    for (size_t i = 0; i < count; i++) {
        double *last = law->dense + (size_t)law->dense_count * 3;
        if (i == 0 || compare_networks(last - 3, law->dense + i * 3) != 0) {
            memmove(last, law->dense + i * 3, 3 * sizeof *last);
            law->dense_count++;
        }
    }
    return RAMIFY_OK;
}

/* The runs as they were given become the law's. */
static void take_points(ramify_law_group *group, ramify_fitted *law) {
    law->x = group->x;
    law->y = group->y;
    law->fitted = group->fitted;
    law->points = group->points;
    law->cost = group->cost;
    group->x = group->y = group->cost = NULL;
    group->fitted = NULL;
    group->points = 0;
}

static ramify_status fit_runs(fit *f, uint32_t index, const char *name, ramify_fitted *law) {
    ramify_law_group *group = &f->groups->group[index];
    const ramify_law_form *form = f->law->form;
    const ramify_runs *runs = &group->fit;
    ramify_context *context = f->request.context;
    RAMIFY_TRY(ramify_law_check_runs(context, form, f->groups, runs, f->request.fixed, name));
    ramify_law_problem problem = ramify_law_problem_of(&f->request, runs);
    RAMIFY_TRY(ramify_law_mix_fit(context, &problem, &law->mix, &law->loss));
    for (uint32_t p = 0; p < law->mix.parts; p++) {
        ramify_law_part *part = &law->mix.part[p];
        ramify_law_problem one = problem;
        one.form = part->form;
        part->stuck = ramify_law_bounds(&one, part->theta, part->bound);
    }
    RAMIFY_TRY(ramify_law_errors(context, &problem, law->mix.part[0].theta, law->error));
    law->fit = ramify_law_score_runs(&law->mix, runs);
    law->heldout = ramify_law_score_runs(&law->mix, &group->heldout);
    RAMIFY_TRY(ramify_law_bootstrap(&f->request, index, runs, law));
    RAMIFY_TRY(ramify_law_cross_validate(&f->request, index, runs, law));
    if (f->request.options->rolling)
        RAMIFY_TRY(ramify_law_mix_judge(context, &problem, &law->mix));
    ramify_law_mix_begin(&problem, &law->mix);
    ramify_law_score_intervals(&law->mix, &group->heldout, f->request.options->level,
                               &law->heldout);
    take_points(group, law);
    if (form == &ramify_form_pruning_joint)
        RAMIFY_TRY(keep_dense(context, law));
    return ramify_law_review(context, form, f->groups, runs, f->request.fixed, law);
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
    RAMIFY_TRY(
        copy_texts(f->request.context, f->groups->group[index].by, f->groups->by_count, law->by));
    ramify_status status = fit_runs(f, index, name_group(f, index, name, sizeof name), law);
    if (status != RAMIFY_ERROR_DATA || f->groups->count == 1)
        return status;
    law->refusal = ramify_copy_text(f->request.context, ramify_message(f->request.context));
    ramify_clear(f->request.context);
    return law->refusal ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static ramify_status fit_groups(fit *f) {
    ramify_law *law = f->law;
    const ramify_law_groups *groups = f->groups;
    law->by_count = groups->by_count;
    RAMIFY_TRY(copy_texts(f->request.context, groups->x_name, law->form->variables, law->x_name));
    RAMIFY_TRY(copy_texts(f->request.context, &groups->y_name, 1, &law->y_name));
    RAMIFY_TRY(copy_texts(f->request.context, groups->by_name, groups->by_count, law->by_name));
    law->group = ramify_allocate_zeroed(f->request.context, f->groups->count, sizeof *law->group);
    if (!law->group)
        return RAMIFY_ERROR_MEMORY;
    law->groups = f->groups->count;
    law->level = f->request.options->level;
    uint32_t refused = 0;
    for (uint32_t g = 0; g < law->groups; g++) {
        ramify_progress_report(f->request.context, "fitting", g, law->groups);
        RAMIFY_TRY(fit_group(f, g));
        refused += law->group[g].refusal != NULL;
    }
    ramify_progress_report(f->request.context, "fitting", law->groups, law->groups);
    if (refused == law->groups && refused > 0)
        return ramify_fail(f->request.context, RAMIFY_ERROR_DATA,
                           "none of the %u groups can be fitted; of the first: %s", refused,
                           law->group[0].refusal);
    return ramify_law_write_text(f->request.context, law);
}

ramify_status ramify_law_fit(ramify_context *context, const ramify_table *table,
                             const ramify_law_options *options, ramify_law **law) {
    return ramify_law_fit_costed(context, table, options, NULL, law);
}

ramify_status ramify_law_fit_costed(ramify_context *context, const ramify_table *table,
                                    const ramify_law_options *options, const char *cost,
                                    ramify_law **law) {
    ramify_clear(context);
    if (!table || !options || !law)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_law_fit: table, options or law is NULL");
    RAMIFY_TRY(check_options(context, options));
    fit f = {.request = {.context = context, .options = options}, .table = table};
    f.law = ramify_allocate_zeroed(context, 1, sizeof *f.law);
    if (!f.law)
        return RAMIFY_ERROR_MEMORY;
    f.law->context = context;
    f.law->form = ramify_law_form_find_for(options->form, ramify_list_count(options->x));
    f.request.form = f.law->form;
    ramify_law_request request = {.x = options->x,
                                  .y = options->y,
                                  .by = options->by,
                                  .weight = options->weight,
                                  .cost = cost,
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
        ramify_release(context, old->group[g].resample);
        ramify_release(context, old->group[g].dense);
        ramify_release(context, old->group[g].x);
        ramify_release(context, old->group[g].y);
        ramify_release(context, old->group[g].fitted);
        ramify_release(context, old->group[g].cost);
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

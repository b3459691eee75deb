/* A law as JSON text; law_read.c is what reads it. */

#include "law.h"
#include "memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* JSON knows no infinities and no NaN. */
static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *score_json(const ramify_law_score *score) {
    json_t *json = json_pack("{s:I, s:o, s:o, s:o}", "rows", (json_int_t)score->rows, "rmse_log",
                             number(score->rmse_log), "relative_error_mean", number(score->mean),
                             "relative_error_sd", number(score->sd));
    if (!isnan(score->coverage)) {
        json_object_set_new(json, "coverage", number(score->coverage));
        json_object_set_new(json, "interval_score", number(score->interval_score));
    }
    return json;
}

static json_t *numbers(const double *values, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, number(values[i]));
    return array;
}

/* Parameters of every resample, by name, if they were kept. */
static void add_resamples(json_t *json, const ramify_fitted *group, uint32_t part) {
    const ramify_law_form *form = group->mix.part[part].form;
    if (group->resamples == 0)
        return;
    json_t *all = json_object();
    for (uint32_t j = 0; j < form->parameters; j++)
        json_object_set_new(all, form->parameter[j].name,
                            numbers(ramify_law_numbers_of(group, part, j), group->resamples));
    json_object_set_new(json, "resamples", all);
}

static json_t *by_parameter(const ramify_law_form *form, const double *values) {
    json_t *json = json_object();
    for (uint32_t j = 0; j < form->parameters; j++)
        json_object_set_new(json, form->parameter[j].name, number(values[j]));
    return json;
}

/* A parameter that was driven to a bound is null: the number that stands for it is no estimate. */
static void add_theta(json_t *json, const ramify_law_part *part) {
    json_t *parameters = json_object(), *driven = json_object();
    for (uint32_t j = 0; j < part->form->parameters; j++) {
        const char *name = part->form->parameter[j].name;
        json_object_set_new(parameters, name,
                            part->bound[j] ? json_null() : number(part->theta[j]));
        if (part->bound[j])
            json_object_set_new(driven, name, number(part->theta[j]));
    }
    json_object_set_new(json, "parameters", parameters);
    if (json_object_size(driven) > 0)
        json_object_set(json, "at_bound", driven);
    json_decref(driven);
}

/* An end of an interval. */
static json_t *end_json(const ramify_law_parameter *parameter, double end) {
    return ramify_law_driven(parameter, end) ? json_null() : number(end);
}

/* Of a law of its own. */
static void add_parameters(json_t *json, const ramify_fitted *group, const ramify_law_form *form) {
    json_t *intervals = json_object();
    for (uint32_t j = 0; j < form->parameters; j++)
        if (isfinite(group->low[j]))
            json_object_set_new(intervals, form->parameter[j].name,
                                json_pack("[o, o]", end_json(&form->parameter[j], group->low[j]),
                                          end_json(&form->parameter[j], group->high[j])));
    add_theta(json, &group->mix.part[0]);
    json_object_set_new(json, "standard_errors", by_parameter(form, group->error));
    json_object_set_new(json, "intervals", intervals);
    add_resamples(json, group, 0);
}

static json_t *parts_json(const ramify_fitted *group) {
    json_t *list = json_array();
    for (uint32_t p = 0; p < group->mix.parts; p++) {
        const ramify_law_part *part = &group->mix.part[p];
        json_t *one = json_pack("{s:s, s:f, s:f}", "form", part->form->name, "near", part->near,
                                "far", part->far);
        add_theta(one, part);
        add_resamples(one, group, p);
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *spread_json(const ramify_law_spread *spread) {
    json_t *json =
        json_pack("{s:o, s:o}", "noise", number(spread->noise), "drift", number(spread->drift));
    if (spread->local) {
        json_object_set_new(json, "bend", number(spread->bend));
        json_object_set_new(json, "behind", number(spread->behind));
        json_object_set_new(json, "line", numbers(spread->line, 4));
    }
    return json;
}

/* Of the sizes as they were given: logarithms and back are not the same. */
static json_t *range_json(const ramify_law *law, const ramify_fitted *group) {
    json_t *range = json_object();
    uint32_t variables = law->form->variables;
    for (uint32_t v = 0; v < variables; v++) {
        double low = INFINITY, high = 0;
        for (size_t i = 0; i < group->points; i++)
            if (group->fitted[i]) {
                low = fmin(low, group->x[i * variables + v]);
                high = fmax(high, group->x[i * variables + v]);
            }
        json_object_set_new(range, law->x_name[v], json_pack("[f, f]", low, high));
    }
    return range;
}

/* The least size at which a law of a curve's end holds, as it was given. */
static double least_size(const ramify_fitted *group) {
    size_t i = 0;
    while (i + 1 < group->points && !(group->fitted[i] && log(group->x[i]) >= group->mix.ln_from))
        i++;
    return group->x[i];
}

static json_t *group_json(const ramify_law *law, const ramify_fitted *group) {
    const ramify_law_form *form = law->form;
    json_t *by = json_object(), *json = json_object();
    for (uint32_t b = 0; b < law->by_count; b++)
        json_object_set_new(by, law->by_name[b], json_string(group->by[b]));
    json_object_set_new(json, "by", by);
    if (group->refusal) {
        json_object_set_new(json, "refusal", json_string(group->refusal));
        return json;
    }
    if (form->combine) {
        json_object_set_new(json, "parts", parts_json(group));
        json_object_set_new(json, "reason", json_string(group->mix.reason));
    } else {
        add_parameters(json, group, form);
    }
    json_object_set_new(json, "loss", number(group->loss));
    json_object_set_new(json, "range", range_json(law, group));
    if (form->reach > 0)
        json_object_set_new(json, "holds_from", number(least_size(group)));
    json_object_set_new(json, "spread", spread_json(&group->mix.spread));
    if (group->dense_count > 0)
        json_object_set_new(json, "dense", numbers(group->dense, group->dense_count * 3));
    json_object_set_new(json, "fit", score_json(&group->fit));
    if (group->heldout.rows > 0)
        json_object_set_new(json, "heldout", score_json(&group->heldout));
    if (group->folds.rows > 0)
        json_object_set_new(json, "folds", score_json(&group->folds));
    json_t *warnings = json_array();
    for (uint32_t w = 0; w < group->warnings; w++)
        json_array_append_new(warnings, json_string(group->warning[w]));
    json_object_set_new(json, "warnings", warnings);
    return json;
}

ramify_status ramify_law_write_text(ramify_context *context, ramify_law *law) {
    json_t *json = json_object(), *x = json_array(), *groups = json_array();
    json_object_set_new(json, "ramify_law", json_integer(1));
    json_object_set_new(json, "form", json_string(law->form->name));
    for (uint32_t v = 0; v < law->form->variables; v++)
        json_array_append_new(x, json_string(law->x_name[v]));
    json_object_set_new(json, "x", x);
    json_object_set_new(json, "y", json_string(law->y_name));
    json_object_set_new(json, "level", json_real(law->level));
    for (uint32_t g = 0; g < law->groups; g++)
        json_array_append_new(groups, group_json(law, &law->group[g]));
    json_object_set_new(json, "groups", groups);
    /* jansson builds on what it could not allocate without a word: what counts is the whole. */
    char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (!text)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for the law's text");
    law->text = ramify_copy_text(context, text);
    free(text);
    return law->text ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

const char *ramify_law_text(const ramify_law *law) {
    return law->text;
}

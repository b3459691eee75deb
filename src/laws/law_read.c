/* Reads a law from its JSON text, as law_file.c writes it. The text may be anyone's: every number is
 * checked before it is used, and what is not known is refused or left alone.
 *
 *     {"ramify_law": 1, "form", "x": [names], "y": name, "level",
 *      "groups": [{"by": {}, "refusal"} or
 *                 {"by": {}, "parameters": {}, "at_bound": {} or "parts": [{"form", "near", "far",
 *                  "parameters", "at_bound", "resamples"}], "range": {x: [low, high]}, "holds_from", "spread": {"noise", "drift", "bend", "behind",
 *                  "line"},
 *                  "resamples": {}, "dense": [depth, width, error, ..], ...}]} */

#include "input.h"
#include "law.h"
#include "memory.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define VERSION        1
#define TEXT_BYTES_MAX (64U << 20)
#define GROUPS_MAX     1000000
#define RESAMPLES_MAX  100000
#define DENSE_MAX      100000
#define SUM_OFF        1e-6 /* of weights that are written with 6 digits or more */

typedef struct reading {
    ramify_context *context;
    const char *name;
    ramify_law *law;
} reading;

#define DAMAGED(r, ...) ramify_fail((r)->context, RAMIFY_ERROR_DATA, __VA_ARGS__)

static bool finite_number(const json_t *json, double *value) {
    *value = json_is_number(json) ? json_number_value(json) : (double)NAN;
    return isfinite(*value);
}

/* `json` has the "parameters"; those that are null stand in "at_bound". */
static ramify_status read_theta(const reading *r, const json_t *json, const ramify_law_form *form,
                                double *theta) {
    const json_t *parameters = json_object_get(json, "parameters");
    const json_t *driven = json_object_get(json, "at_bound");
    for (uint32_t j = 0; j < form->parameters; j++) {
        const ramify_law_parameter *parameter = &form->parameter[j];
        const json_t *value = json_object_get(parameters, parameter->name);
        if (json_is_null(value))
            value = json_object_get(driven, parameter->name);
        if (!finite_number(value, &theta[j]) ||
            (parameter->range == RAMIFY_LAW_POSITIVE && !(theta[j] > 0)))
            return DAMAGED(r, "%s: parameter %s of the form %s is not a number%s", r->name,
                           parameter->name, form->name,
                           parameter->range == RAMIFY_LAW_POSITIVE ? " above 0" : "");
    }
    return RAMIFY_OK;
}

/* Of one part; the first one says how many there are. */
static ramify_status read_resamples(const reading *r, const json_t *json, uint32_t part,
                                    ramify_fitted *group) {
    const ramify_law_form *form = group->mix.part[part].form;
    if (!json && (part == 0 || group->resamples == 0))
        return RAMIFY_OK;
    size_t count = json_array_size(json_object_get(json, form->parameter[0].name));
    if (part == 0) {
        if (count == 0 || count > RESAMPLES_MAX)
            return DAMAGED(r, "%s: resamples are %zu numbers, expected 1 to %d", r->name, count,
                           RESAMPLES_MAX);
        group->resamples = (uint32_t)count;
        group->resample = ramify_allocate_zeroed(
            r->context, (size_t)group->mix.parts * RAMIFY_LAW_PARAMETERS_MAX * count,
            sizeof(double));
        if (!group->resample)
            return RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t j = 0; j < form->parameters; j++) {
        const json_t *array = json_object_get(json, form->parameter[j].name);
        double *numbers = ramify_law_numbers_of(group, part, j);
        if (json_array_size(array) != group->resamples)
            return DAMAGED(r, "%s: %zu resamples of %s, expected %u", r->name,
                           json_array_size(array), form->parameter[j].name, group->resamples);
        for (uint32_t i = 0; i < group->resamples; i++)
            if (!finite_number(json_array_get(array, i), &numbers[i]) ||
                (form->parameter[j].range == RAMIFY_LAW_POSITIVE && !(numbers[i] > 0)))
                return DAMAGED(r, "%s: resample %u of %s is no number it can have", r->name, i,
                               form->parameter[j].name);
    }
    return RAMIFY_OK;
}

static ramify_status read_part(const reading *r, const json_t *json, ramify_law_part *part) {
    const char *name = json_string_value(json_object_get(json, "form"));
    part->form = name ? ramify_law_form_find_for(name, r->law->form->variables) : NULL;
    if (!part->form || part->form->combine || part->form->variables != r->law->form->variables)
        return DAMAGED(r, "%s: \"%.40s\" is no form that a part of %s can have", r->name,
                       name ? name : "", r->law->form->name);
    if (!finite_number(json_object_get(json, "near"), &part->near) ||
        !finite_number(json_object_get(json, "far"), &part->far) || part->near < 0 ||
        part->far < 0 || part->near > 1 || part->far > 1)
        return DAMAGED(r, "%s: a part's weights near and far are not both numbers from 0 to 1",
                       r->name);
    return read_theta(r, json, part->form, part->theta);
}

static ramify_status read_parts(const reading *r, const json_t *json, ramify_fitted *group) {
    ramify_law_mix *mix = &group->mix;
    const json_t *parts = json_object_get(json, "parts");
    size_t count = json_array_size(parts);
    if (count == 0 || count > RAMIFY_LAW_PARTS_MAX)
        return DAMAGED(r, "%s: %zu parts of a law, expected 1 to %d", r->name, count,
                       RAMIFY_LAW_PARTS_MAX);
    mix->parts = (uint32_t)count;
    double near = 0, far = 0;
    for (uint32_t p = 0; p < mix->parts; p++) {
        RAMIFY_TRY(read_part(r, json_array_get(parts, p), &mix->part[p]));
        near += mix->part[p].near;
        far += mix->part[p].far;
    }
    if (fabs(near - 1) > SUM_OFF || fabs(far - 1) > SUM_OFF)
        return DAMAGED(r, "%s: the parts' weights sum to %g near and %g far, expected 1", r->name,
                       near, far);
    for (uint32_t p = 0; p < mix->parts; p++)
        RAMIFY_TRY(
            read_resamples(r, json_object_get(json_array_get(parts, p), "resamples"), p, group));
    return RAMIFY_OK;
}

static ramify_status read_range(const reading *r, const json_t *json, ramify_law_box *box) {
    box->variables = r->law->form->variables;
    for (uint32_t v = 0; v < box->variables; v++) {
        const json_t *pair = json_object_get(json, r->law->x_name[v]);
        double low, high;
        if (!finite_number(json_array_get(pair, 0), &low) ||
            !finite_number(json_array_get(pair, 1), &high) || !(low > 0) || !(high >= low))
            return DAMAGED(r, "%s: range.%.40s is not [low, high] with 0 < low <= high", r->name,
                           r->law->x_name[v]);
        box->ln_low[v] = log(low);
        box->ln_high[v] = log(high);
    }
    return RAMIFY_OK;
}

/* Of a law of a curve's end. Without it, as older files are, the law holds everywhere. */
static ramify_status read_holds_from(const reading *r, const json_t *json, ramify_law_mix *mix) {
    mix->ln_from = -INFINITY;
    double from;
    if (!json || r->law->form->reach == 0)
        return RAMIFY_OK;
    if (!finite_number(json, &from) || !(from > 0) || !(log(from) <= mix->box.ln_high[0]))
        return DAMAGED(r, "%s: holds_from is no size up to the largest of the range", r->name);
    mix->ln_from = log(from);
    return RAMIFY_OK;
}

/* A number at least 0, or null for what the runs did not tell. */
static bool read_spread_number(const json_t *json, double *value) {
    *value = (double)NAN;
    return json_is_null(json) || (finite_number(json, value) && *value >= 0);
}

static ramify_status read_spread(const reading *r, const json_t *json, ramify_law_spread *spread) {
    if (!read_spread_number(json_object_get(json, "noise"), &spread->noise) ||
        !read_spread_number(json_object_get(json, "drift"), &spread->drift))
        return DAMAGED(r, "%s: spread.noise and spread.drift are not numbers, 0 or more, or null",
                       r->name);
    const json_t *line = json_object_get(json, "line");
    spread->local = line != NULL;
    if (line && (r->law->form->variables != 1 ||
                 !finite_number(json_object_get(json, "bend"), &spread->bend) ||
                 !finite_number(json_object_get(json, "behind"), &spread->behind) ||
                 spread->bend < 0 || spread->behind < 0))
        return DAMAGED(r,
                       "%s: spread.line belongs to laws of one size, beside a bend and a behind of "
                       "0 or more",
                       r->name);
    for (size_t i = 0; line && i < 4; i++)
        if (!finite_number(json_array_get(line, i), &spread->line[i]))
            return DAMAGED(r, "%s: spread.line is not a list of 4 numbers", r->name);
    return RAMIFY_OK;
}

static ramify_status read_dense(const reading *r, const json_t *json, ramify_fitted *group) {
    size_t count = json_array_size(json);
    if (count == 0)
        return RAMIFY_OK;
    if (count % 3 != 0 || count / 3 > DENSE_MAX)
        return DAMAGED(r,
                       "%s: dense has %zu numbers, expected depth, width and error of at most %d "
                       "networks",
                       r->name, count, DENSE_MAX);
    group->dense = ramify_allocate(r->context, count, sizeof *group->dense);
    if (!group->dense)
        return RAMIFY_ERROR_MEMORY;
    group->dense_count = (uint32_t)(count / 3);
    for (size_t i = 0; i < count; i++)
        if (!finite_number(json_array_get(json, i), &group->dense[i]) || !(group->dense[i] > 0))
            return DAMAGED(r, "%s: number %zu of dense is not above 0", r->name, i);
    return RAMIFY_OK;
}

/* The values of the --by columns, which are those of the first group. */
static ramify_status read_by(const reading *r, json_t *by, ramify_fitted *group) {
    ramify_law *law = r->law;
    bool first = group == law->group;
    if (!json_is_object(by) || json_object_size(by) > RAMIFY_LAW_BY_MAX ||
        (!first && json_object_size(by) != law->by_count))
        return DAMAGED(r, "%s: by is not an object with the columns that tell groups apart",
                       r->name);
    const char *key;
    json_t *value;
    uint32_t at = 0;
    json_object_foreach(by, key, value) {
        if (!json_is_string(value))
            return DAMAGED(r, "%s: by.%.40s is not a text", r->name, key);
        if (first) {
            law->by_name[at] = ramify_copy_text(r->context, key);
            law->by_count = at + 1;
            if (!law->by_name[at])
                return RAMIFY_ERROR_MEMORY;
        }
        const json_t *mine = json_object_get(by, law->by_name[at]);
        if (!mine)
            return DAMAGED(r, "%s: by.%.40s is missing", r->name, law->by_name[at]);
        group->by[at] = ramify_copy_text(r->context, json_string_value(mine));
        if (!group->by[at])
            return RAMIFY_ERROR_MEMORY;
        at++;
    }
    return RAMIFY_OK;
}

static ramify_status read_group(const reading *r, const json_t *json, ramify_fitted *group) {
    const ramify_law_form *form = r->law->form;
    RAMIFY_TRY(read_by(r, json_object_get(json, "by"), group));
    const json_t *refusal = json_object_get(json, "refusal");
    if (refusal) {
        group->refusal =
            ramify_copy_text(r->context, json_is_string(refusal) ? json_string_value(refusal) : "");
        return group->refusal ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    RAMIFY_TRY(read_range(r, json_object_get(json, "range"), &group->mix.box));
    RAMIFY_TRY(read_holds_from(r, json_object_get(json, "holds_from"), &group->mix));
    if (form->combine) {
        RAMIFY_TRY(read_parts(r, json, group));
    } else {
        ramify_law_part *part = &group->mix.part[0];
        group->mix.parts = 1;
        *part = (ramify_law_part){.form = form, .near = 1, .far = 1};
        RAMIFY_TRY(read_theta(r, json, form, part->theta));
        RAMIFY_TRY(read_resamples(r, json_object_get(json, "resamples"), 0, group));
    }
    RAMIFY_TRY(read_spread(r, json_object_get(json, "spread"), &group->mix.spread));
    return read_dense(r, json_object_get(json, "dense"), group);
}

static ramify_status read_head(reading *r, const json_t *json) {
    ramify_law *law = r->law;
    const json_t *version = json_object_get(json, "ramify_law");
    if (!json_is_integer(version) || !json_is_string(json_object_get(json, "form")))
        return DAMAGED(r,
                       "%s: is no law of ramify, as `ramify law fit -o` writes it: its head is "
                       "missing",
                       r->name);
    if (json_integer_value(version) != VERSION)
        return ramify_fail(r->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: a law of format %lld, and ramify %s knows %d: update ramify",
                           r->name, (long long)json_integer_value(version), RAMIFY_VERSION,
                           VERSION);
    const json_t *x = json_object_get(json, "x");
    size_t variables = json_array_size(x);
    const char *name = json_string_value(json_object_get(json, "form"));
    const char *y = json_string_value(json_object_get(json, "y"));
    law->form = name ? ramify_law_form_find_for(name, (uint32_t)variables) : NULL;
    if (!law->form)
        return ramify_fail(r->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: ramify %s knows no form \"%.40s\": update ramify", r->name,
                           RAMIFY_VERSION, name ? name : "");
    if (variables != law->form->variables || !y)
        return DAMAGED(r, "%s: x names %zu columns, expected %u, or y names none", r->name,
                       variables, law->form->variables);
    for (uint32_t v = 0; v < law->form->variables; v++) {
        const char *column = json_string_value(json_array_get(x, v));
        law->x_name[v] = column ? ramify_copy_text(r->context, column) : NULL;
        if (!law->x_name[v])
            return column ? RAMIFY_ERROR_MEMORY : DAMAGED(r, "%s: x[%u] is no name", r->name, v);
    }
    law->y_name = ramify_copy_text(r->context, y);
    if (!law->y_name)
        return RAMIFY_ERROR_MEMORY;
    if (!finite_number(json_object_get(json, "level"), &law->level) || !(law->level > 0) ||
        !(law->level < 1))
        return DAMAGED(r, "%s: level is not a number between 0 and 1", r->name);
    return RAMIFY_OK;
}

static ramify_status read_law(reading *r, const json_t *json) {
    ramify_law *law = r->law;
    RAMIFY_TRY(read_head(r, json));
    const json_t *groups = json_object_get(json, "groups");
    size_t count = json_array_size(groups);
    if (count == 0 || count > GROUPS_MAX)
        return DAMAGED(r, "%s: %zu groups, expected 1 to %d", r->name, count, GROUPS_MAX);
    law->group = ramify_allocate_zeroed(r->context, count, sizeof *law->group);
    if (!law->group)
        return RAMIFY_ERROR_MEMORY;
    law->groups = (uint32_t)count;
    for (uint32_t g = 0; g < law->groups; g++)
        RAMIFY_TRY(read_group(r, json_array_get(groups, g), &law->group[g]));
    return RAMIFY_OK;
}

ramify_status ramify_law_open_text(ramify_context *context, const char *text, size_t size,
                                   const char *name, ramify_law **law) {
    ramify_clear(context);
    if (!text || !law)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_law_open_text: text or law is NULL");
    reading r = {.context = context, .name = name ? name : "the law"};
    json_error_t error;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return DAMAGED(&r, "%s: is not JSON: line %d: %s", r.name, error.line, error.text);
    r.law = ramify_allocate_zeroed(context, 1, sizeof *r.law);
    ramify_status status = r.law ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        r.law->context = context;
        status = read_law(&r, json);
    }
    if (status == RAMIFY_OK) {
        r.law->text = ramify_allocate(context, size + 1, 1);
        status = r.law->text ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    json_decref(json);
    if (status != RAMIFY_OK) {
        ramify_law_destroy(&r.law);
        return status;
    }
    memcpy(r.law->text, text, size);
    r.law->text[size] = '\0';
    *law = r.law;
    return RAMIFY_OK;
}

ramify_status ramify_law_open(ramify_context *context, const char *path, ramify_law **law) {
    ramify_clear(context);
    if (!path || !law)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "ramify_law_open: path or law is NULL");
    char *text;
    size_t size;
    ramify_status status =
        ramify_input_read_all(context, path, TEXT_BYTES_MAX, "law", &text, &size);
    if (status == RAMIFY_OK)
        status = ramify_law_open_text(context, text, size, path, law);
    ramify_release(context, text);
    return status;
}

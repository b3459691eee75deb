/* A law as JSON text. */

#include "law.h"
#include "memory.h"

#include <jansson.h>
#include <stdlib.h>

/* JSON knows no infinities and no NaN. */
static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *score_json(const ramify_law_score *score) {
    return json_pack("{s:I, s:o, s:o, s:o}", "rows", (json_int_t)score->rows, "rmse_log",
                     number(score->rmse_log), "relative_error_mean", number(score->mean),
                     "relative_error_sd", number(score->sd));
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
    json_t *parameters = json_object(), *errors = json_object(), *intervals = json_object();
    for (uint32_t j = 0; j < form->parameters; j++) {
        const char *name = form->parameter[j].name;
        json_object_set_new(parameters, name, number(group->theta[j]));
        json_object_set_new(errors, name, number(group->error[j]));
        if (isfinite(group->low[j]))
            json_object_set_new(intervals, name,
                                json_pack("[o, o]", number(group->low[j]), number(group->high[j])));
    }
    json_object_set_new(json, "parameters", parameters);
    json_object_set_new(json, "standard_errors", errors);
    json_object_set_new(json, "intervals", intervals);
    json_object_set_new(json, "loss", number(group->loss));
    json_t *range = json_object();
    for (uint32_t v = 0; v < form->variables; v++)
        json_object_set_new(range, law->x_name[v],
                            json_pack("[f, f]", group->x_low[v], group->x_high[v]));
    json_object_set_new(json, "range", range);
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

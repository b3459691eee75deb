/* Plans as JSON: what is kept of them, and reading it back. */

#include "input.h"
#include "memory.h"
#include "plan.h"
#include "plan_options.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The format of the text; newer ones are refused. Plans that prune have one of their own, as versions that do not
 * know of it would leave the model as it is. */
#define FORMAT         1
#define FORMAT_PRUNING 2
#define TEXT_BYTES_MAX ((size_t)16 << 20)
/* Digits of numbers: with fewer, a level or a share near 1 would be read back as 1. */
#define DIGITS 15

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *count(uint64_t value) {
    return json_integer((json_int_t)value);
}

/* --- Writing ------------------------------------------------------------------------------------- */

static json_t *estimate_json(const ramify_law_estimate *e, double level) {
    return json_pack("{s:o, s:o, s:o, s:f}", "value", number(e->value), "low", number(e->low),
                     "high", number(e->high), "level", level);
}

static json_t *run_json(const ramify_sweep_run *run) {
    return json_pack(
        "{s:s, s:o, s:i, s:f, s:i, s:i, s:i, s:b, s:b, s:i, s:o, s:o, s:o, s:o, s:o, "
        "s:f, s:o}",
        "stage", ramify_stage_name(run->point.stage), "rows", count(run->rows), "epochs",
        (int)run->epochs, "length", run->point.length, "width", (int)run->design.width, "layers",
        (int)run->design.layers, "members", (int)run->design.members, "bins", (int)run->design.bins,
        "periodic", (int)run->design.periodic, "repeat", (int)run->point.repeat, "parameters",
        count(run->parameters), "error", number(run->error), "error_deviation",
        number(run->deviation), "seconds", number(run->seconds), "latency_seconds",
        number(run->latency), "density", run->density, "dense_error", number(run->dense));
}

/* Takes the list, which may be NULL, and its next part: the list, or NULL when out of memory. */
static json_t *append(json_t *list, json_t *part) {
    if (json_array_append_new(list, part) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *runs_json(const ramify_planning *p) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < p->count; i++)
        if (p->runs[i].made)
            list = append(list, run_json(&p->runs[i]));
    return list;
}

static json_t *candidate_json(const ramify_planning *p, const ramify_candidate *c) {
    const ramify_sweep_design *design = &c->point.design;
    const uint32_t width = design->layers > 0 ? design->width : p->design.width;
    return json_pack("{s:s, s:i, s:f, s:o, s:o, s:o, s:o, s:f}", "stage",
                     ramify_stage_name(c->point.stage), "width", (int)width, "length",
                     c->point.length, "predicted", estimate_json(&c->error, p->options->level),
                     "seconds", number(c->seconds), "latency_seconds", number(c->latency),
                     "resident_bytes", count(c->resident_bytes), "density", c->density);
}

static json_t *candidates_json(const ramify_planning *p) {
    json_t *list = json_array();
    for (uint32_t i = 0; list && i < p->candidates; i++)
        list = append(list, candidate_json(p, &p->candidate[i]));
    return list;
}

static json_t *request_json(const ramify_plan_options *o) {
    return json_pack("{s:o, s:o, s:o, s:f}", "error", number(o->error > 0 ? o->error : NAN),
                     "latency_seconds", number(o->latency > 0 ? o->latency : NAN), "budget_seconds",
                     number(o->budget > 0 ? o->budget : NAN), "share", o->share);
}

static json_t *more_json(const ramify_planning *p) {
    const double level = p->options->level;
    return json_pack("{s:o, s:o, s:o, s:b}", "rows", estimate_json(&p->more.rows[1], level), "size",
                     estimate_json(&p->more.size, level), "time",
                     estimate_json(&p->more.time, level), "beyond_scatter", (int)p->more.falls);
}

static json_t *ahead_json(const ramify_planning *p) {
    json_t *list = json_array();
    for (int i = 0; list && i < RAMIFY_PLAN_AHEAD; i++) {
        json_t *one = estimate_json(&p->more.rows[i], p->options->level);
        json_t *rows = count((uint64_t)p->sweep.part[0].train_count << i);
        if (json_object_set_new(one, "rows", rows) != 0) {
            json_decref(one);
            one = NULL;
        }
        list = append(list, one);
    }
    return list;
}

/* What is to be done to the model once it is trained; null: nothing. */
static json_t *prune_json(const ramify_candidate *c) {
    return c->point.pruned > 0 ? json_pack("{s:o, s:f}", "max_resident", count(c->point.pruned),
                                           "density", c->density)
                               : json_null();
}

static json_t *plan_json(const ramify_planning *p) {
    const ramify_candidate *c = &p->candidate[p->chosen];
    const ramify_split *rows = p->sweep.rows.split;
    const bool classes = p->sweep.rows.schema->task == RAMIFY_TASK_CLASSIFICATION;
    char hidden[RAMIFY_HIDDEN_ROOM], fingerprint[16];
    snprintf(fingerprint, sizeof fingerprint, "%08x", (unsigned)p->fingerprint);
    const ramify_train_options options = ramify_plan_options_of(p, c, hidden);
    json_t *choice = ramify_plan_options_json(&options);
    json_t *runs = runs_json(p), *candidates = candidates_json(p);
    /* json_pack gives its parts back on failure, and takes NULL for one. */
    return json_pack(
        "{s:i, s:s, s:s, s:{s:I, s:I}, s:s, s:o, s:o, s:s, s:b, s:s, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o, "
        "s:o, s:b, s:o, s:o}",
        "ramify.plan", c->point.pruned > 0 ? FORMAT_PRUNING : FORMAT, "version", ramify_version(),
        "error", classes ? "error" : "rmse", "rows", "train", (json_int_t)rows->train_count,
        "validation", (json_int_t)(rows->select_count + rows->report_count), "fingerprint",
        fingerprint, "request", request_json(p->options), "choice", choice, "stage",
        ramify_stage_name(c->point.stage), "met", (int)p->met, "why", p->why, "predicted",
        estimate_json(&c->error, p->options->level), "training_seconds", number(c->seconds),
        "sweep_seconds", number(p->spent), "resident_bytes", count(c->resident_bytes),
        "latency_seconds", number(c->latency), "twice", more_json(p), "ahead", ahead_json(p),
        "candidates", candidates, "stopped", (int)p->stopped, "runs", runs, "prune", prune_json(c));
}

static ramify_status keep(ramify_context *context, json_t *json, ramify_plan **plan) {
    ramify_plan *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (made) {
        made->context = context;
        made->json = json;
        made->text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
    } else {
        json_decref(json);
    }
    if (!made || !made->text) {
        ramify_plan_destroy(&made);
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for a plan");
    }
    *plan = made;
    return RAMIFY_OK;
}

ramify_status ramify_plan_write(const ramify_planning *planning, ramify_plan **plan) {
    json_t *json = plan_json(planning);
    if (!json)
        return ramify_fail(planning->context, RAMIFY_ERROR_MEMORY, "out of memory for a plan");
    return keep(planning->context, json, plan);
}

void ramify_plan_destroy(ramify_plan **plan) {
    if (!plan || !*plan)
        return;
    ramify_plan *old = *plan;
    *plan = NULL;
    json_decref(old->json);
    free(old->text); /* jansson's */
    ramify_release(old->context, old);
}

const char *ramify_plan_text(const ramify_plan *plan) {
    return plan->text;
}

/* --- Reading ------------------------------------------------------------------------------------- */

static ramify_law_estimate estimate_of(const json_t *json) {
    static const char *const names[] = {"value", "low", "high"};
    double found[3];
    for (int i = 0; i < 3; i++) {
        const json_t *value = json_object_get(json, names[i]);
        found[i] = json_is_number(value) ? json_number_value(value) : (double)NAN;
    }
    return (ramify_law_estimate){found[0], found[1], found[2]};
}

/* What pages show of a plan. */
static ramify_status check_shown(ramify_context *context, const char *name, const json_t *json) {
    static const char *const lists[] = {"candidates", "ahead", "runs"};
    static const char *const texts[] = {"stage", "why"};
    const char *error = json_string_value(json_object_get(json, "error"));
    bool good = error && (strcmp(error, "rmse") == 0 || strcmp(error, "error") == 0);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(json, lists[i]);
        good = good && json_is_array(list);
        for (size_t k = 0; good && k < json_array_size(list); k++)
            good = json_is_object(json_array_get(list, k));
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        good = good && json_is_string(json_object_get(json, texts[i]));
    good = good && json_is_object(json_object_get(json, "rows")) &&
           json_is_object(json_object_get(json, "request")) &&
           json_is_object(json_object_get(json, "twice"));
    return good ? RAMIFY_OK
                : ramify_fail(context, RAMIFY_ERROR_DATA,
                              "%s: is no whole plan: a part is missing or of another type", name);
}

/* What the plan does to the model once it is trained; *bytes 0 and *density 1: nothing. */
static ramify_status read_pruning(ramify_context *context, const char *name, const json_t *json,
                                  uint64_t *bytes, double *density) {
    const bool prunes = json_integer_value(json_object_get(json, "ramify.plan")) == FORMAT_PRUNING;
    const json_t *prune = json_object_get(json, "prune");
    const json_t *bound = json_object_get(prune, "max_resident"),
                 *share = json_object_get(prune, "density");
    *bytes = 0;
    *density = 1;
    if (!prunes && (!prune || json_is_null(prune)))
        return RAMIFY_OK;
    if (!prunes || !json_is_integer(bound) || json_integer_value(bound) < 1 ||
        !json_is_number(share) || !(json_number_value(share) > 0) || json_number_value(share) > 1)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: \"prune\" does not say to how many resident bytes, or what density "
                           "is expected: make the plan anew with ramify plan",
                           name);
    *bytes = (uint64_t)json_integer_value(bound);
    *density = json_number_value(share);
    return RAMIFY_OK;
}

static ramify_status check(ramify_context *context, const char *name, const json_t *json) {
    const json_t *format = json_object_get(json, "ramify.plan");
    if (!json_is_object(json) || !json_is_integer(format))
        return ramify_fail(context, RAMIFY_ERROR_DATA, "%s: is no plan: make one with ramify plan",
                           name);
    if (json_integer_value(format) != FORMAT && json_integer_value(format) != FORMAT_PRUNING)
        return ramify_fail(
            context, RAMIFY_ERROR_UNSUPPORTED,
            "%s: is a plan of format %lld, and this version knows %d: use a newer one", name,
            (long long)json_integer_value(format), FORMAT_PRUNING);
    ramify_train_options options;
    ramify_train_options_init(&options);
    RAMIFY_TRY(ramify_plan_options_read(context, name, json_object_get(json, "choice"), &options));
    if (!options.target || options.target[0] == '\0')
        return ramify_fail(context, RAMIFY_ERROR_DATA, "%s: \"choice\" has no target", name);
    if (strcmp(options.kind, "pathways") != 0 && strcmp(options.kind, "mlp") != 0)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: \"choice\" has a kind that is not planned", name);
    RAMIFY_TRY(check_shown(context, name, json));
    uint64_t bytes;
    double density;
    RAMIFY_TRY(read_pruning(context, name, json, &bytes, &density));
    const ramify_law_estimate e = estimate_of(json_object_get(json, "predicted"));
    const double level =
        json_number_value(json_object_get(json_object_get(json, "predicted"), "level"));
    if (!(level > 0 && level < 1 && e.value > 1e-300 && e.low > 0 && e.low <= e.value &&
          e.value <= e.high))
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: \"predicted\" is no error with an interval around it", name);
    return RAMIFY_OK;
}

ramify_status ramify_plan_open_text(ramify_context *context, const char *text, size_t size,
                                    const char *name, ramify_plan **plan) {
    ramify_clear(context);
    *plan = NULL;
    json_error_t error;
    name = name ? name : "the plan";
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        return ramify_fail(context, RAMIFY_ERROR_DATA, "%s: is not JSON: line %d: %s", name,
                           error.line, error.text);
    const ramify_status status = check(context, name, json);
    if (status != RAMIFY_OK) {
        json_decref(json);
        return status;
    }
    return keep(context, json, plan);
}

ramify_status ramify_plan_open(ramify_context *context, const char *path, ramify_plan **plan) {
    char *text;
    size_t size;
    ramify_clear(context);
    *plan = NULL;
    RAMIFY_TRY(ramify_input_read_all(context, path, TEXT_BYTES_MAX, "plan", &text, &size));
    const ramify_status status = ramify_plan_open_text(context, text, size, path, plan);
    ramify_release(context, text);
    return status;
}

ramify_status ramify_plan_choice(const ramify_plan *plan, ramify_train_options *options) {
    ramify_clear(plan->context);
    ramify_train_options_init(options);
    RAMIFY_TRY(ramify_plan_options_read(plan->context, "the plan",
                                        json_object_get(plan->json, "choice"), options));
    return ramify_train_options_check(plan->context, options);
}

ramify_status ramify_plan_pruning(const ramify_plan *plan, ramify_prune_options *options,
                                  double *density) {
    ramify_clear(plan->context);
    ramify_prune_options_init(options);
    RAMIFY_TRY(
        read_pruning(plan->context, "the plan", plan->json, &options->max_resident, density));
    if (options->max_resident == 0)
        return RAMIFY_OK;
    options->distillation = RAMIFY_CHOICE_OFF;
    const json_t *choice = json_object_get(plan->json, "choice");
    options->weight = json_string_value(json_object_get(choice, "weight"));
    options->group = json_string_value(json_object_get(choice, "group"));
    options->time = json_string_value(json_object_get(choice, "time"));
    return RAMIFY_OK;
}

ramify_law_estimate ramify_plan_predicted(const ramify_plan *plan, double *level) {
    const json_t *json = json_object_get(plan->json, "predicted");
    *level = json_number_value(json_object_get(json, "level"));
    return estimate_of(json);
}

ramify_status ramify_plan_add_obtained(ramify_plan *plan, const ramify_score *score, double seconds,
                                       uint64_t resident_bytes, double density) {
    ramify_clear(plan->context);
    const bool classes = isnan(score->rmse);
    json_t *obtained = json_pack("{s:o, s:o, s:o, s:I, s:o, s:I, s:f}", "error",
                                 number(classes ? 1 - score->accuracy : score->rmse), "low",
                                 number(score->error_low), "high", number(score->error_high),
                                 "rows", (json_int_t)score->rows, "seconds", number(seconds),
                                 "resident_bytes", (json_int_t)resident_bytes, "density", density);
    char *text = NULL;
    if (obtained && json_object_set_new(plan->json, "obtained", obtained) == 0)
        text = json_dumps(plan->json, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
    if (!text)
        return ramify_fail(plan->context, RAMIFY_ERROR_MEMORY, "out of memory for a plan");
    free(plan->text);
    plan->text = text;
    return RAMIFY_OK;
}

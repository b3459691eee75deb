/* ramify_plan_make: small runs within their share -> forecasts of every way to train -> the choice. */

#include "plan.h"
#include "memory.h"
#include "plan_need.h"
#include "progress.h"
#include "recipe.h"
#include "status.h"
#include "table.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHARE 0.1
#define LEVEL 0.9
/* Tables with fewer rows may have small runs of this share: they are not small beside the training. So may plans
 * that prune: half of the rows must be pruned for the whole to be told. */
#define FEW_ROWS  5000
#define FEW_SHARE 0.25
/* Designs are tried on a quarter of the rows, or on the fewest there are, in few passes: which is best changes
 * more with the rows than with the passes. */
#define SEARCH_LEVEL  2
#define SEARCH_LENGTH 0.08
/* A ladder has this many rungs at most: smaller ones say nothing of the end. */
#define RUNGS 6
/* Ladders of runs that are shorter than this, in the whole training's length, tell too little of it. */
#define LEAST_LENGTH 0.2
/* Of the allowance, what the ladders have where runs are pruned too. */
#define LADDERS_SHARE 0.3
/* Octaves between runs that are pruned, and what the smaller one costs of the larger. */
#define PRUNED_STEP      2
#define PRUNED_STEP_COST 0.25
/* Of a training's time, what one thread does alone (measured: 1.56 times as fast on two). */
#define ALONE 0.28
/* Forecasts that differ by less are the same. */
#define TIE 0.005
/* By as much a pruned expert must be better than one that fits as it is: its forecast is off by that. */
#define PRUNED_MARGIN 0.05
/* Lengths and widths that are candidates, in those of the usual training. */
static const double lengths[] = {RAMIFY_FORECAST_BRIEF, 1};
static const uint32_t widths[] = {48, 16};

void ramify_plan_options_init(ramify_plan_options *options) {
    *options = (ramify_plan_options){.level = LEVEL};
}

static ramify_status check(ramify_context *context, const ramify_plan_options *o) {
    if (!o->train)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_plan_make: the training to be planned is NULL");
    RAMIFY_TRY(ramify_train_options_check(context, o->train));
    if (strcmp(o->train->kind, "pathways") != 0 && strcmp(o->train->kind, "mlp") != 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "trainings of kind %s are not planned: use pathways or mlp",
                           o->train->kind);
    if (o->train->module && strcmp(o->train->module, "mlp") != 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "trainings with series are not planned: leave module out");
    if (!(o->share >= 0 && o->share <= 1))
        return ramify_fail(
            context, RAMIFY_ERROR_ARGUMENT,
            "share %g: small runs take a part of the training's cost, at most all of it", o->share);
    if (!(o->level > 0 && o->level < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "level %g: an interval's level lies between 0 and 1", o->level);
    const struct {
        const char *name;
        double value;
    } asked[] = {{"error", o->error}, {"latency", o->latency}, {"budget", o->budget}};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        if (!(asked[i].value >= 0) || isinf(asked[i].value))
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                               "%s %g: it is above 0, or 0: not asked for", asked[i].name,
                               asked[i].value);
    return RAMIFY_OK;
}

/* --- Small runs ---------------------------------------------------------------------------------- */

static ramify_status add_run(ramify_planning *p, const ramify_sweep_run *run) {
    if (p->count == p->room) {
        const size_t room = p->room == 0 ? 32 : 2 * p->room;
        ramify_sweep_run *larger = ramify_reallocate(p->context, p->runs, room, sizeof *larger);
        if (!larger)
            return RAMIFY_ERROR_MEMORY;
        p->runs = larger;
        p->room = room;
    }
    p->runs[p->count++] = *run;
    return RAMIFY_OK;
}

static uint32_t search_level(const ramify_sweep *s) {
    return s->levels - 1 < SEARCH_LEVEL ? s->levels - 1 : SEARCH_LEVEL;
}

ramify_status ramify_plan_search(ramify_planning *p) {
    ramify_sweep_run tried[RAMIFY_SWEEP_SEARCH_MAX];
    uint32_t count = 0;
    const ramify_status status =
        ramify_sweep_search(&p->sweep, search_level(&p->sweep), SEARCH_LENGTH, tried, &count);
    p->design = p->sweep.usual;
    for (uint32_t i = 0; i < count; i++)
        if (tried[i].made)
            RAMIFY_TRY(add_run(p, &tried[i]));
    return status;
}

static bool grows(const ramify_planning *p) {
    const ramify_train_options *train = p->options->train;
    return strcmp(train->kind, "pathways") == 0 && train->leaves != 1;
}

static bool teaches(const ramify_planning *p) {
    return ramify_recipe_teaches(p->sweep.part[0].train_count, p->options->train);
}

/* The whole training that the shares are of: the dearest candidate of usual length. */
static ramify_sweep_point whole_training(const ramify_planning *p) {
    const ramify_stage grown = teaches(p) ? RAMIFY_STAGE_TREE : RAMIFY_STAGE_UNTAUGHT_TREE;
    const ramify_stage single = teaches(p) ? RAMIFY_STAGE_TAUGHT : RAMIFY_STAGE_PLAIN;
    return (ramify_sweep_point){.length = 1, .stage = grows(p) ? grown : single};
}

static double seconds_per_cost(const ramify_planning *p) {
    double seconds = 0, cost = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->runs[i].made) {
            seconds += p->runs[i].seconds;
            cost += ramify_sweep_cost(&p->sweep, &p->runs[i].point);
        }
    return cost > 0 ? seconds / cost : 0;
}

/* Where pruning is considered, of what is dearer. */
static double cost_of_whole(const ramify_planning *p) {
    const ramify_sweep_point whole = whole_training(p);
    return fmax(ramify_sweep_cost(&p->sweep, &whole), ramify_plan_pruning_cost(p));
}

static double speed_of_threads(const ramify_planning *p) {
    return 1 / (ALONE + (1 - ALONE) / ramify_threads(p->context));
}

/* What small runs may cost. */
static double allowance(const ramify_planning *p) {
    const ramify_plan_options *o = p->options;
    const double rows = (double)p->sweep.part[0].train_count;
    const double usual = rows < FEW_ROWS || p->bound > 0 ? FEW_SHARE : SHARE;
    const double share = o->share > 0 ? o->share : usual;
    double cost = cost_of_whole(p);
    if (o->budget > 0 && p->unit > 0)
        cost = fmin(cost, o->budget * speed_of_threads(p) / p->unit);
    return share * cost;
}

static bool was_made(const ramify_planning *p, const ramify_sweep_point *point) {
    for (size_t i = 0; i < p->count; i++) {
        const ramify_sweep_point *q = &p->runs[i].point;
        if (q->stage == point->stage && q->level == point->level && q->length == point->length &&
            q->repeat == point->repeat && q->pruned == point->pruned &&
            ramify_sweep_same_design(&q->design, &point->design))
            return true;
    }
    return false;
}

/* Adds a run that is affordable; *left is what the others may cost. */
static ramify_status want(ramify_planning *p, ramify_sweep_point point, bool needed, double *left) {
    const double cost = ramify_sweep_cost(&p->sweep, &point);
    if (was_made(p, &point) || (!needed && cost > *left))
        return RAMIFY_OK;
    *left -= cost;
    return add_run(p, &(ramify_sweep_run){.point = point});
}

static uint32_t last_rung(const ramify_planning *p) {
    return p->sweep.levels - 1 < RUNGS ? p->sweep.levels - 1 : RUNGS;
}

/* Of both, the long one with passes of the whole training. */
static double cost_of_ladders(const ramify_planning *p) {
    double whole = 0;
    for (uint32_t level = 1; level <= last_rung(p); level++) {
        const ramify_sweep_point point = {.level = level, .length = 1, .design = p->design};
        whole += ramify_sweep_cost(&p->sweep, &point);
    }
    return whole * (1 + RAMIFY_FORECAST_BRIEF);
}

/* The length with which both ladders together cost what is left. */
static double length_of_ladders(const ramify_planning *p, double left) {
    return fmin(fmax(left / cost_of_ladders(p), LEAST_LENGTH), 1);
}

/* A budget that even the shortest ladders exceed is known before they are run. */
static ramify_status check_budget(const ramify_planning *p) {
    const double budget = p->options->budget;
    const double seconds = p->length * cost_of_ladders(p) * p->unit / ramify_threads(p->context);
    if (budget == 0 || seconds < budget)
        return RAMIFY_OK;
    return ramify_fail(
        p->context, RAMIFY_ERROR_LIMIT,
        "a budget of %.3g s is less than small runs take, about %.3g s: allow more, or "
        "train with a time limit",
        budget, seconds);
}

/* Runs that are pruned, at two levels that lie two octaves apart, so that the step between these is seen above
 * the scatter; and that of the dense expert beside them. */
static ramify_status list_pruning(ramify_planning *p, ramify_sweep_point middle, double *left) {
    ramify_sweep_point points[RAMIFY_PLAN_PRUNED_MAX];
    uint32_t count = ramify_plan_pruning_runs(p, 1, points), level = 1;
    double cost = 0;
    for (uint32_t i = 0; i < count; i++)
        cost += ramify_sweep_cost(&p->sweep, &points[i]) * (1 + PRUNED_STEP_COST);
    for (; level < middle.level && cost > *left; level++)
        cost /= 2;
    for (uint32_t end = level + PRUNED_STEP; level <= end && level < p->sweep.levels;
         level += PRUNED_STEP) {
        count = ramify_plan_pruning_runs(p, level, points);
        for (uint32_t i = 0; i < count; i++)
            RAMIFY_TRY(want(p, points[i], true, left));
    }
    middle.design = p->dense;
    return p->dense.layers > 0 ? want(p, middle, true, left) : RAMIFY_OK;
}

/* Both ladders, from few rows up to half of them; then narrower experts and repeats. */
static ramify_status list_runs(ramify_planning *p, double left) {
    const uint32_t last = last_rung(p), middle = last < 3 ? last : 3;
    p->length = length_of_ladders(p, p->bound > 0 ? left * LADDERS_SHARE : left);
    RAMIFY_TRY(check_budget(p));
    ramify_sweep_point brief = {.length = p->length * RAMIFY_FORECAST_BRIEF, .design = p->design};
    ramify_sweep_point whole = {.length = p->length, .design = p->design};
    for (uint32_t level = last; level >= 1; level--) {
        brief.level = whole.level = level;
        RAMIFY_TRY(want(p, brief, true, &left));
        RAMIFY_TRY(want(p, whole, true, &left));
    }
    whole.level = middle;
    if (p->bound > 0)
        RAMIFY_TRY(list_pruning(p, whole, &left));
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
        if (widths[w] < p->design.width && !p->options->train->hidden) {
            whole.design.width = widths[w];
            RAMIFY_TRY(want(p, whole, false, &left));
        }
    whole.design = p->design;
    brief.repeat = whole.repeat = 1;
    for (uint32_t level = middle; level >= 1; level--) {
        brief.level = whole.level = level;
        RAMIFY_TRY(want(p, whole, false, &left));
        RAMIFY_TRY(want(p, brief, false, &left));
    }
    return RAMIFY_OK;
}

static ramify_status make_runs(ramify_planning *p) {
    ramify_status status = ramify_plan_consider_pruning(p, ramify_plan_search(p));
    p->unit = seconds_per_cost(p);
    double left = allowance(p);
    for (size_t i = 0; i < p->count; i++)
        left -= ramify_sweep_cost(&p->sweep, &p->runs[i].point);
    if (status == RAMIFY_OK)
        status = list_runs(p, left);
    if (status == RAMIFY_OK)
        status = ramify_sweep_make(&p->sweep, p->runs, p->count);
    p->stopped = status == RAMIFY_STOPPED;
    p->unit = seconds_per_cost(p);
    return p->stopped ? RAMIFY_OK : status;
}

/* --- Candidates ---------------------------------------------------------------------------------- */

/* Of the run that is most like it. */
static const ramify_sweep_run *like(const ramify_planning *p, const ramify_candidate *c) {
    const ramify_sweep_design *design = c->point.design.layers > 0 ? &c->point.design : &p->design;
    const ramify_sweep_run *found = NULL;
    for (size_t i = 0; i < p->count; i++) {
        const ramify_sweep_run *run = &p->runs[i];
        if (run->made && run->point.pruned == c->point.pruned &&
            run->design.width == design->width && run->design.members == design->members &&
            run->design.layers == design->layers &&
            (!found || run->point.level < found->point.level))
            found = run;
    }
    return found;
}

void ramify_plan_add_candidate(ramify_planning *p, const ramify_candidate *candidate) {
    ramify_candidate c = *candidate;
    if (p->candidates == RAMIFY_CANDIDATES_MAX)
        return;
    c.error = ramify_forecast_error(&p->forecast, &c.point, 1, p->options->level);
    /* Rounds of pruning train one expert, which one thread does. */
    const double speed = c.point.pruned > 0 ? 1 : speed_of_threads(p);
    c.seconds = ramify_sweep_cost(&p->sweep, &c.point) * p->unit / speed;
    const ramify_sweep_run *run = like(p, &c);
    c.latency = run ? run->latency : (double)NAN;
    p->candidate[p->candidates++] = c;
}

/* design: NULL for what the training finds. */
static void add_candidate(ramify_planning *p, ramify_stage stage, double length,
                          const ramify_sweep_design *design) {
    ramify_candidate c = {.point = {.stage = stage, .length = length}, .density = 1};
    if (design)
        c.point.design = *design;
    ramify_plan_add_candidate(p, &c);
}

static bool was_run(const ramify_planning *p, const ramify_sweep_design *design) {
    for (size_t i = 0; i < p->count; i++)
        if (p->runs[i].made && p->runs[i].point.pruned == 0 &&
            ramify_sweep_same_design(&p->runs[i].point.design, design) &&
            p->runs[i].point.length == p->length)
            return true;
    return false;
}

static void add_narrower(ramify_planning *p, ramify_stage stage, double length) {
    ramify_sweep_design design = p->design;
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        design.width = widths[w];
        if (widths[w] < p->design.width && was_run(p, &design))
            add_candidate(p, stage, length, &design);
    }
}

static void add_stage(ramify_planning *p, ramify_stage stage) {
    const bool open = p->options->train->epochs == 0;
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        if (!open && lengths[l] != 1)
            continue;
        if (p->bound == 0) {
            add_candidate(p, stage, lengths[l], NULL);
            add_narrower(p, stage, lengths[l]);
        } else if (was_run(p, &p->dense)) {
            add_candidate(p, stage, lengths[l], &p->dense);
        }
    }
    if (stage == RAMIFY_STAGE_PLAIN)
        ramify_plan_add_pruned(p);
}

/* Whoever asks for teachers has no expert without them. */
static void list_candidates(ramify_planning *p) {
    const bool must = p->options->train->distillation == RAMIFY_CHOICE_ON;
    const bool one =
        strcmp(p->options->train->kind, "pathways") != 0 || p->options->train->leaves < 2;
    if (one && !must)
        add_stage(p, RAMIFY_STAGE_PLAIN);
    if (one && teaches(p))
        add_stage(p, RAMIFY_STAGE_TAUGHT);
    if (grows(p))
        add_stage(p, whole_training(p).stage);
}

ramify_train_options ramify_plan_options_of(const ramify_planning *planning,
                                            const ramify_candidate *candidate,
                                            char hidden[RAMIFY_HIDDEN_ROOM]) {
    ramify_train_options options = planning->train;
    options.time_limit = 0;
    options.controls = false;
    options.rewind_at = 0;
    if (candidate->point.pruned == 0)
        options.resident_bytes = planning->options->train->resident_bytes;
    if (candidate->point.length != 1)
        options.epochs = (uint32_t)fmax(round(planning->sweep.epochs * candidate->point.length), 1);
    const bool single = candidate->point.stage == RAMIFY_STAGE_PLAIN ||
                        candidate->point.stage == RAMIFY_STAGE_TAUGHT;
    if (single && strcmp(options.kind, "pathways") == 0)
        options.leaves = 1;
    if (candidate->point.stage == RAMIFY_STAGE_PLAIN)
        options.distillation = RAMIFY_CHOICE_OFF;
    ramify_sweep_set_design(&candidate->point.design, hidden, &options);
    return options;
}

/* --- The choice ---------------------------------------------------------------------------------- */

static bool affordable(const ramify_planning *p, const ramify_candidate *c) {
    return p->options->budget == 0 || p->spent + c->seconds <= p->options->budget;
}

/* What candidates are compared by. */
static double weighed(const ramify_candidate *c) {
    return c->error.value * (c->point.pruned > 0 ? 1 + PRUNED_MARGIN : 1);
}

static bool fast(const ramify_planning *p, const ramify_candidate *c) {
    return p->options->latency == 0 || c->latency <= p->options->latency;
}

/* With an error asked for, the cheapest training that meets it; else the cheapest of those whose error is
 * hardly more than the least. */
static uint32_t best_candidate(const ramify_planning *p, bool any_latency, bool any_budget) {
    uint32_t best = UINT32_MAX;
    double enough = INFINITY;
    for (uint32_t i = 0; i < p->candidates; i++) {
        const ramify_candidate *c = &p->candidate[i];
        if ((any_latency || fast(p, c)) && (any_budget || affordable(p, c)))
            enough = fmin(enough, weighed(c));
    }
    enough = fmax(enough * (1 + TIE), p->options->error);
    for (uint32_t i = 0; i < p->candidates; i++) {
        const ramify_candidate *c = &p->candidate[i];
        if ((any_latency || fast(p, c)) && (any_budget || affordable(p, c)) &&
            weighed(c) <= enough && (best == UINT32_MAX || c->seconds < p->candidate[best].seconds))
            best = i;
    }
    return best;
}

static uint32_t least(const ramify_planning *p, bool by_latency) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < p->candidates; i++) {
        const ramify_candidate *c = &p->candidate[i], *b = &p->candidate[best];
        if (by_latency ? c->latency < b->latency : c->seconds < b->seconds)
            best = i;
    }
    return best;
}

static void choose(ramify_planning *p) {
    const ramify_plan_options *o = p->options;
    p->chosen = best_candidate(p, false, false);
    p->met = p->chosen != UINT32_MAX;
    if (!p->met) {
        const bool slow = best_candidate(p, false, true) == UINT32_MAX;
        p->chosen = least(p, slow);
        const ramify_candidate *c = &p->candidate[p->chosen];
        if (slow)
            snprintf(p->why, sizeof p->why,
                     "no expert answers a row within %.3g us; the fastest takes %.3g us",
                     1e6 * o->latency, 1e6 * c->latency);
        else
            snprintf(p->why, sizeof p->why,
                     "no training ends within %.3g s: small runs took %.3g s, and the shortest "
                     "training takes about %.3g s",
                     o->budget, p->spent, c->seconds);
        return;
    }
    const ramify_candidate *c = &p->candidate[p->chosen];
    if (o->error > 0 && c->error.value > o->error) {
        p->met = false;
        snprintf(p->why, sizeof p->why,
                 "an error of %.4g is not to be had of these rows%s; the least is about %.4g",
                 o->error, o->latency > 0 || o->budget > 0 ? " within these bounds" : "",
                 c->error.value);
    } else if (o->error > 0) {
        snprintf(p->why, sizeof p->why, "the cheapest of %u ways that is to reach %.4g",
                 p->candidates, o->error);
    } else {
        const char *within = o->latency > 0 || o->budget > 0 ? " within the bounds" : "";
        if (p->candidates == 1)
            snprintf(p->why, sizeof p->why, "the only way there is%s", within);
        else
            snprintf(p->why, sizeof p->why, "the least error of %u ways%s, at the least cost",
                     p->candidates, within);
    }
}

static void look_beyond(ramify_planning *p) {
    const double level = p->options->level;
    const ramify_sweep_point chosen = p->candidate[p->chosen].point;
    for (int i = 0; i < RAMIFY_PLAN_AHEAD; i++)
        p->more.rows[i] = ramify_forecast_error(&p->forecast, &chosen, 1 << i, level);
    p->more.falls = ramify_forecast_falls(&p->forecast, chosen.length);
    ramify_sweep_point wider = chosen;
    wider.design = p->design;
    wider.design.width = 2 * (chosen.design.layers > 0 ? chosen.design.width : p->design.width);
    p->more.size = ramify_forecast_error(&p->forecast, &wider, 1, level);
    ramify_sweep_point longer = chosen;
    longer.length *= 2;
    p->more.time = ramify_forecast_error(&p->forecast, &longer, 1, level);
    if (chosen.pruned > 0) /* it was pruned in one way only */
        p->more.size = p->more.time = (ramify_law_estimate){NAN, NAN, NAN};
}

/* --- All of it ----------------------------------------------------------------------------------- */

/* Small runs of few passes are hardly trained: what teachers and trees bring beyond them, they cannot tell. */
static void allow_for_few_passes(ramify_planning *p) {
    ramify_train_options usual = *p->options->train;
    const uint32_t given = usual.epochs;
    usual.epochs = 0;
    const uint32_t epochs = ramify_recipe_epochs(p->sweep.part[0].train_count, &usual);
    const double least = ceil(epochs * RAMIFY_FORECAST_BRIEF);
    if (given == 0 || given >= least)
        return;
    p->forecast.few = log(given / least) / log(RAMIFY_FORECAST_BRIEF);
    ramify_log(p->context, RAMIFY_LOG_WARNING,
               "%s: epochs is %u, and %u are usual: small runs are hardly trained by so few, and "
               "the forecast may be far off; give %.0f or more, or leave epochs out",
               p->sweep.table->source, given, epochs, least);
}

static ramify_status forecast(ramify_planning *p) {
    const char *source = p->sweep.table->source;
    switch (ramify_forecast_make(p->runs, p->count, &p->design, p->length, &p->forecast)) {
    case RAMIFY_FORECAST_FEW:
        return p->stopped
                   ? RAMIFY_STOPPED
                   : ramify_fail(p->context, RAMIFY_ERROR_DATA,
                                 "%s: its rows are too few to tell what more of them bring: train "
                                 "without a plan",
                                 source);
    case RAMIFY_FORECAST_NONE:
        return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                           "%s: small runs make no errors already, so there is nothing to plan: "
                           "train instead",
                           source);
    case RAMIFY_FORECAST_RISING:
        return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                           "%s: errors of small runs rise with their rows, so that no law tells "
                           "the whole training's: are the rows in an order, or of several kinds?",
                           source);
    default:
        allow_for_few_passes(p);
        return RAMIFY_OK;
    }
}

/* What a constant may do as well is no forecast of a use of the columns. */
static void compare_to_constant(const ramify_planning *p) {
    const double constant = ramify_sweep_constant_error(&p->sweep);
    const ramify_law_estimate e = p->candidate[p->chosen].error;
    if (p->forecast.few == 0 && e.high >= constant) /* else all is said by that */
        ramify_log(p->context, RAMIFY_LOG_WARNING,
                   "%s: a constant prediction makes an error of %.4g, which lies within or below "
                   "the forecast's interval, %.4g to %.4g: the columns may tell nothing of the "
                   "target",
                   p->sweep.table->source, constant, e.low, e.high);
}

static ramify_status plan_all(ramify_planning *p, const ramify_table *table) {
    const double started = ramify_seconds();
    p->train = *p->options->train;
    RAMIFY_TRY(ramify_sweep_open(p->context, table, &p->train, &p->sweep));
    RAMIFY_TRY(make_runs(p));
    RAMIFY_TRY(forecast(p));
    p->spent = ramify_seconds() - started;
    list_candidates(p);
    if (p->candidates == 0)
        return p->stopped ? RAMIFY_STOPPED : ramify_plan_no_room(p);
    RAMIFY_TRY(ramify_plan_need(p));
    choose(p);
    compare_to_constant(p);
    look_beyond(p);
    return RAMIFY_OK;
}

ramify_status ramify_plan_make(ramify_context *context, const ramify_table *table,
                               const ramify_plan_options *options, ramify_plan **plan) {
    ramify_clear(context);
    *plan = NULL;
    RAMIFY_TRY(check(context, options));
    ramify_planning *p = ramify_allocate_zeroed(context, 1, sizeof *p);
    if (!p)
        return RAMIFY_ERROR_MEMORY;
    p->context = context;
    p->options = options;
    ramify_status status = plan_all(p, table);
    if (status == RAMIFY_OK)
        status = ramify_plan_write(p, plan);
    ramify_sweep_close(&p->sweep);
    ramify_release(context, p->runs);
    ramify_release(context, p);
    return status;
}

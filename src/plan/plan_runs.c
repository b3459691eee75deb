/* ramify_plan_runs: table -> law and costs -> what was asked for -> the frontier up to it -> the next run
 * -> whether to stop. */

#include "law.h"
#include "law_numbers.h"
#include "memory.h"
#include "progress.h"
#include "run_answer.h"
#include "status.h"
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BOOTSTRAP_LEAST 20
#define BOOTSTRAP_MAX   100000
/* Values of each of two sizes that tell where its part of the error levels off. */
#define VALUES_LEAST 3
/* A slope that is no further below 0 than so many standard errors may be none. */
#define CERTAIN 2.0
/* What runs say of costs further than this factor beyond them is nothing. */
#define FAR 1e6
/* A next run that narrows the interval by less is not worth making. */
#define NARROWING_LEAST 0.1

void ramify_runs_plan_options_init(ramify_runs_plan_options *options) {
    *options = (ramify_runs_plan_options){
        .form = "auto", .tolerance = 0.05, .level = 0.9, .bootstrap = 200};
}

void ramify_runs_plan_destroy(ramify_runs_plan **plan) {
    if (!plan || !*plan)
        return;
    ramify_runs_plan *old = *plan;
    *plan = NULL;
    ramify_law_destroy(&old->law);
    ramify_release(old->context, old->frontier);
    char *advice;
    memcpy(&advice, &old->advice, sizeof advice); /* ours, though callers only read it */
    ramify_release(old->context, advice);
    ramify_release(old->context, old);
}

/* --- options ---------------------------------------------------------------------------------- */

static ramify_status check_numbers(ramify_context *context, const ramify_runs_plan_options *o) {
    const double *const above[] = {&o->budget, &o->error, &o->most_cost};
    static const char *const names[] = {"budget", "error", "most cost"};
    for (int i = 0; i < 3; i++)
        if (!(*above[i] >= 0) || isinf(*above[i]))
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "the %s is %g, expected above 0",
                               names[i], *above[i]);
    if (o->budget > 0 && o->error > 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "budget and error are two questions: ask one of them");
    if (!(o->tolerance > 0 && o->tolerance < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the tolerance is %g, expected a share between 0 and 1", o->tolerance);
    if (!(o->level > 0 && o->level < 1))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the level of intervals is %g, expected between 0 and 1", o->level);
    if (o->bootstrap < BOOTSTRAP_LEAST || o->bootstrap > BOOTSTRAP_MAX)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%u resamples, expected %d to %d",
                           o->bootstrap, BOOTSTRAP_LEAST, BOOTSTRAP_MAX);
    return RAMIFY_OK;
}

static ramify_status check_options(ramify_context *context, const ramify_runs_plan_options *o) {
    if (!o->x || !o->y || !o->form)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a plan needs x, y and a form: one of the three is not given");
    uint32_t sizes = ramify_list_count(o->x);
    if (sizes < 1 || sizes > RAMIFY_PLAN_SIZES)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "x names %u columns, expected one size, or two: model size and data",
                           sizes);
    const ramify_law_form *form = ramify_law_form_find_for(o->form, sizes);
    if (form && form->density)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "the form %s is a law of densities, and no budget buys these: take auto",
                           form->name);
    return check_numbers(context, o);
}

/* --- law and runs ----------------------------------------------------------------------------- */

static ramify_status fit_law(ramify_runs_planner *p, const ramify_table *table) {
    const ramify_runs_plan_options *o = p->options;
    ramify_law_options options;
    ramify_law_options_init(&options);
    options.form = o->form;
    options.x = o->x;
    options.y = o->y;
    options.where = o->where;
    options.where_count = o->where_count;
    options.bootstrap = o->bootstrap;
    options.level = o->level;
    options.seed = o->seed;
    RAMIFY_TRY(ramify_law_fit_costed(p->context, table, &options, o->cost, &p->plan->law));
    p->law = &p->plan->law->group[0];
    p->plan->sizes = p->plan->law->form->variables;
    return RAMIFY_OK;
}

static ramify_status take_runs(ramify_runs_planner *p, const ramify_table *table) {
    const ramify_fitted *law = p->law;
    const uint32_t sizes = p->plan->sizes;
    ramify_costed_runs *runs = &p->runs;
    runs->source = table->source;
    runs->cost_name = p->options->cost;
    for (uint32_t v = 0; v < sizes; v++)
        runs->x_name[v] = p->plan->law->x_name[v];
    p->ln_x = ramify_allocate(p->context, law->points * sizes, sizeof *p->ln_x);
    p->ln_y = ramify_allocate(p->context, law->points, sizeof *p->ln_y);
    if (law->cost)
        runs->ln_cost = ramify_allocate(p->context, law->points, sizeof *runs->ln_cost);
    if (!p->ln_x || !p->ln_y || (law->cost && !runs->ln_cost))
        return RAMIFY_ERROR_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < law->points; i++) {
        if (!law->fitted[i])
            continue;
        for (uint32_t v = 0; v < sizes; v++)
            p->ln_x[count * sizes + v] = log(law->x[i * sizes + v]);
        if (law->cost)
            runs->ln_cost[count] = log(law->cost[i]); /* NaN stays what it is */
        p->ln_y[count++] = log(law->y[i]);
    }
    runs->runs =
        (ramify_runs){.count = count, .variables = sizes, .ln_x = p->ln_x, .ln_y = p->ln_y};
    return RAMIFY_OK;
}

static ramify_status check_values(const ramify_runs_planner *p) {
    const ramify_runs *runs = &p->runs.runs;
    for (uint32_t v = 0; v < runs->variables; v++) {
        uint32_t values = ramify_run_values(runs, v, VALUES_LEAST);
        if (values < VALUES_LEAST)
            return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                               "%s: %s has %u values only, which do not tell where its part of the "
                               "error levels off: add runs with a third",
                               p->runs.source, p->runs.x_name[v], values);
    }
    return RAMIFY_OK;
}

static ramify_status check_falls(const ramify_runs_planner *p) {
    const ramify_runs *runs = &p->runs.runs;
    const char *error = p->plan->law->y_name;
    ramify_plane plane;
    if (!ramify_plane_fit(runs->count, runs->variables, runs->ln_x, runs->ln_y, &plane) ||
        isnan(plane.deviation))
        return RAMIFY_OK; /* what is wrong with so few runs is told later */
    for (uint32_t v = 0; v < runs->variables; v++)
        if (!(plane.slope[v] < -CERTAIN * plane.error[v]))
            return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                               "%s: %s does not fall with %s as far as the runs tell (to the power "
                               "%+.2g, give or take %.2g), so nothing is to be planned: add runs "
                               "that %s, or more of each",
                               p->runs.source, error, p->runs.x_name[v], plane.slope[v],
                               plane.error[v],
                               runs->variables > 1 ? "change it alone" : "span more of it");
    const ramify_law_part *part = &p->law->mix.part[0];
    if (p->law->mix.spread.local && !(part->theta[1] < 0))
        return ramify_fail(
            p->context, RAMIFY_ERROR_DATA,
            "%s: %s no longer falls where %s is largest, and what ends a curve says "
            "how it goes on: leave runs that broke down out (--where), or add larger "
            "ones",
            p->runs.source, error, p->runs.x_name[0]);
    return RAMIFY_OK;
}

/* The costs that are asked about: up to a multiple of what was paid, and where the form holds. */
static void find_reach(ramify_runs_planner *p) {
    const ramify_law_mix *mix = &p->law->mix;
    const double reach = p->plan->law->form->reach;
    p->ln_bottom = p->cost.ln_least;
    p->ln_top = p->cost.ln_most + log(FAR);
    if (reach > 0) { /* of one size */
        double end = mix->box.ln_high[0] + reach;
        p->ln_bottom = fmax(p->ln_bottom, ramify_run_cost_at(&p->cost, &mix->ln_from));
        p->ln_top = fmin(p->ln_top, ramify_run_cost_at(&p->cost, &end));
    }
}

/* --- the next run ----------------------------------------------------------------------------- */

static ramify_status find_next(const ramify_runs_planner *p, const ramify_frontier_place *target) {
    ramify_runs_plan *plan = p->plan;
    ramify_next_run next;
    bool found;
    double most = p->options->most_cost > 0 ? log(p->options->most_cost) : INFINITY;
    RAMIFY_TRY(ramify_belief_next(&p->belief, target->ln_x, most, NARROWING_LEAST, &next, &found));
    plan->narrowing = found ? next.narrowing : 0;
    plan->has_next = plan->narrowing >= NARROWING_LEAST;
    plan->stop = plan->width <= p->options->tolerance ? RAMIFY_PLAN_KNOWN
                 : plan->has_next                     ? RAMIFY_PLAN_GO_ON
                                                      : RAMIFY_PLAN_NO_RUN_HELPS;
    if (!plan->has_next)
        return RAMIFY_OK;
    ramify_frontier_place at = {.ln_cost = next.ln_cost};
    memcpy(at.ln_x, next.ln_x, sizeof next.ln_x);
    at.ln_y = ramify_law_mix_value(&p->law->mix, at.ln_x);
    double width = ramify_student(p->options->level) * ramify_belief_deviation(&p->belief, at.ln_x);
    plan->next =
        (ramify_planned_run){.cost = exp(at.ln_cost),
                             .error = {exp(at.ln_y), exp(at.ln_y - width), exp(at.ln_y + width)}};
    for (uint32_t v = 0; v < plan->sizes; v++)
        plan->next.x[v] = exp(at.ln_x[v]);
    return RAMIFY_OK;
}

/* --- advice ----------------------------------------------------------------------------------- */

#define ADVICE     1024
#define SIZES_ROOM 192

/* "params 1.2e+09 and tokens 3.1e+10" */
static const char *sizes_text(const ramify_runs_planner *p, const double *x,
                              char text[SIZES_ROOM]) {
    char name[RAMIFY_EXCERPT_BYTES];
    int used = 0;
    for (uint32_t v = 0; v < p->plan->sizes; v++)
        used +=
            snprintf(text + used, (size_t)(SIZES_ROOM - used), "%s%s %.3g", v > 0 ? " and " : "",
                     ramify_text_excerpt(p->runs.x_name[v], strlen(p->runs.x_name[v]), name), x[v]);
    return text;
}

static int advise(const ramify_runs_planner *p, char *text, size_t room) {
    const ramify_runs_plan *plan = p->plan;
    const char *asked = plan->for_error ? "the cost" : "the error";
    char sizes[SIZES_ROOM], known[64] = "not bounded on both sides";
    if (!isnan(plan->width))
        snprintf(known, sizeof known, "known to %.2g %% either way", 100 * plan->width);
    switch (plan->stop) {
    case RAMIFY_PLAN_KNOWN:
        return snprintf(
            text, room,
            "Stop: %s is %s, within the tolerance of %.3g %%; the run itself is what is "
            "left to make.",
            asked, known, 100 * p->options->tolerance);
    case RAMIFY_PLAN_NO_RUN_HELPS:
        return snprintf(
            text, room,
            "Stop: %s is %s, and no run that costs less%s is expected to narrow that by "
            "a tenth (the best by %.2g %%): make the run itself, or accept the "
            "interval.",
            asked, known,
            p->options->most_cost > 0 ? " and no more than it may" : " than the answer",
            100 * plan->narrowing);
    case RAMIFY_PLAN_GO_ON:
        break;
    }
    return snprintf(text, room,
                    "Go on: %s is %s. The next run worth making has %s; for %.2g %% of the cost of "
                    "the run that is planned it is expected to narrow the interval by %.2g %%.",
                    asked, known, sizes_text(p, plan->next.x, sizes),
                    100 * plan->next.cost / plan->answer_cost.value, 100 * plan->narrowing);
}

/* The least error of a run that cost no more than the answer; infinite if all cost more. */
static double best_made(const ramify_runs_planner *p) {
    const ramify_runs *runs = &p->runs.runs;
    double best = INFINITY;
    for (size_t i = 0; i < runs->count; i++)
        if (ramify_run_cost_at(&p->cost, runs->ln_x + i * runs->variables) <=
            log(p->plan->answer_cost.value))
            best = fmin(best, runs->ln_y[i]);
    return exp(best);
}

/* What else a budget's owner should know: whether the money is sure to buy anything. */
static void add_caution(const ramify_runs_planner *p, char *text, size_t room) {
    double best = best_made(p), high = p->plan->answer_error.high;
    size_t used = strlen(text);
    if (!p->plan->for_error && high >= best)
        snprintf(text + used, room - used,
                 " Mind that its interval reaches up to %.5g, and a run that was made has %.5g "
                 "already.",
                 high, best);
}

static ramify_status give_advice(const ramify_runs_planner *p) {
    char text[ADVICE];
    advise(p, text, sizeof text);
    add_caution(p, text, sizeof text);
    p->plan->advice = ramify_copy_text(p->context, text);
    return p->plan->advice ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

/* --- all of it -------------------------------------------------------------------------------- */

static void describe_cost(const ramify_runs_planner *p) {
    ramify_runs_plan *plan = p->plan;
    plan->cost = ramify_run_cost_law(&p->cost);
    plan->cost_fitted = p->cost.fitted;
    plan->cost_deviation = p->cost.fitted ? p->cost.plane.deviation : 0;
    plan->cost_runs = p->cost.plane.points;
    plan->cheapest = exp(p->cost.ln_least);
    plan->dearest = exp(p->cost.ln_most);
}

static ramify_status run(ramify_runs_planner *p, const ramify_table *table) {
    ramify_frontier_place target;
    RAMIFY_TRY(fit_law(p, table));
    RAMIFY_TRY(take_runs(p, table));
    RAMIFY_TRY(check_values(p));
    RAMIFY_TRY(check_falls(p));
    RAMIFY_TRY(ramify_run_cost_fit(p->context, &p->runs, &p->cost));
    describe_cost(p);
    find_reach(p);
    RAMIFY_TRY(ramify_belief_open(p->context, p->plan->law->form, p->law, &p->runs, &p->cost,
                                  p->options->bootstrap, p->options->seed, &p->belief));
    RAMIFY_TRY(ramify_runs_answer(p, &target));
    RAMIFY_TRY(ramify_runs_frontier(p, target.ln_cost));
    RAMIFY_TRY(find_next(p, &target));
    return give_advice(p);
}

ramify_status ramify_plan_runs(ramify_context *context, const ramify_table *table,
                               const ramify_runs_plan_options *options, ramify_runs_plan **plan) {
    ramify_clear(context);
    if (!table || !options || !plan)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_plan_runs: table, options or plan is NULL");
    RAMIFY_TRY(check_options(context, options));
    ramify_runs_planner p = {
        .context = context, .options = options, .belief = {.context = context}};
    p.plan = ramify_allocate_zeroed(context, 1, sizeof *p.plan);
    if (!p.plan)
        return RAMIFY_ERROR_MEMORY;
    p.plan->context = context;
    ramify_status status = run(&p, table);
    ramify_belief_close(&p.belief);
    ramify_release(context, p.ln_x);
    ramify_release(context, p.ln_y);
    ramify_release(context, p.runs.ln_cost);
    if (status == RAMIFY_OK)
        *plan = p.plan;
    else
        ramify_runs_plan_destroy(&p.plan);
    return status;
}

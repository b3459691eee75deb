#include "run_answer.h"
#include "law_numbers.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <math.h>

/* The budget that is planned for if none is given, in units of the dearest run. */
#define AHEAD 10.0
/* Rows of the frontier; where the budget lies among the runs it begins at this share of it. */
#define FRONTIER      5
#define FRONTIER_FROM 0.01
#define AMONG         1.5
/* Steps in which costs are searched, and halvings of the one that holds what is looked for. */
#define STEPS    256
#define HALVINGS 60
/* Of the slope of the frontier, in ln cost. */
#define STEP 0.1
/* Costs that are equal but for rounding, in logarithms. */
#define ALIKE 1e-9

/* --- the frontier ----------------------------------------------------------------------------- */

static ramify_status no_best(const ramify_runs_planner *p, double ln_cost, int side) {
    const char *less = p->runs.x_name[side < 0 ? 0 : 1], *more = p->runs.x_name[side < 0 ? 1 : 0];
    return ramify_fail(
        p->context, RAMIFY_ERROR_DATA,
        "%s: at a cost of %.4g the error keeps falling as %s shrinks and %s grows, so "
        "no division is best: add runs that change %s alone, or plan with %s as the "
        "only size",
        p->runs.source, exp(ln_cost), less, more, less, more);
}

/* The best sizes for a cost. */
static ramify_status find_place(const ramify_runs_planner *p, double ln_cost,
                                ramify_frontier_place *at) {
    *at = (ramify_frontier_place){.ln_cost = ln_cost};
    if (p->plan->sizes == 1) {
        at->ln_x[0] = (ln_cost - p->cost.ln_factor) / p->cost.power[0];
    } else {
        int side = ramify_law_best_split(&p->law->mix, &p->plan->cost, ln_cost, at->ln_x);
        if (side != 0)
            return no_best(p, ln_cost, side);
    }
    at->ln_y = ramify_law_mix_value(&p->law->mix, at->ln_x);
    if (!isfinite(at->ln_y))
        return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                           "%s: the law has no value at a cost of %.4g: ask nearer to the runs, or "
                           "take another form",
                           p->runs.source, exp(ln_cost));
    return RAMIFY_OK;
}

/* Half the width of the interval in ln error for what is paid: the law's, and what a run's cost is off by. */
static ramify_status find_width(const ramify_runs_planner *p, const ramify_frontier_place *at,
                                double *width) {
    ramify_frontier_place below, above;
    double deviation = ramify_belief_deviation(&p->belief, at->ln_x);
    if (isnan(deviation))
        return ramify_fail(
            p->context, RAMIFY_ERROR_DATA,
            "%s: %zu runs are too few, or too near each other, to say how sure a plan "
            "is: add runs that cost less, so that the law of these can be tried on "
            "the others",
            p->runs.source, p->runs.runs.count);
    double cost_deviation = ramify_run_cost_deviation(&p->cost, at->ln_x);
    if (cost_deviation > 0) {
        RAMIFY_TRY(find_place(p, at->ln_cost - STEP, &below));
        RAMIFY_TRY(find_place(p, at->ln_cost + STEP, &above));
        deviation = hypot(deviation, (above.ln_y - below.ln_y) / (2 * STEP) * cost_deviation);
    }
    *width = ramify_student(p->options->level) * deviation;
    return RAMIFY_OK;
}

static ramify_status describe_run(const ramify_runs_planner *p, const ramify_frontier_place *at,
                                  ramify_planned_run *run) {
    double width;
    RAMIFY_TRY(find_width(p, at, &width));
    *run = (ramify_planned_run){
        .cost = exp(at->ln_cost),
        .error = {exp(at->ln_y), exp(at->ln_y - width), exp(at->ln_y + width)}};
    for (uint32_t v = 0; v < p->plan->sizes; v++)
        run->x[v] = exp(at->ln_x[v]);
    return RAMIFY_OK;
}

/* Costs up to the one that was asked about: from the dearest run on, or from a share of it among the runs. */
ramify_status ramify_runs_frontier(const ramify_runs_planner *p, double ln_cost) {
    ramify_runs_plan *plan = p->plan;
    double from = p->cost.ln_most;
    if (ln_cost < from + log(AMONG))
        from = fmax(p->ln_bottom, ln_cost + log(FRONTIER_FROM));
    uint32_t count = ln_cost > from ? FRONTIER : 1;
    plan->frontier = ramify_allocate_zeroed(p->context, count, sizeof *plan->frontier);
    if (!plan->frontier)
        return RAMIFY_ERROR_MEMORY;
    plan->frontier_count = count;
    for (uint32_t i = 0; i < count; i++) {
        ramify_frontier_place at;
        double back = count > 1 ? (double)(count - 1 - i) / (count - 1) : 0;
        if (ramify_cancelled(p->context))
            return ramify_fail(p->context, RAMIFY_STOPPED, "stopped");
        RAMIFY_TRY(find_place(p, ln_cost - back * (ln_cost - from), &at));
        RAMIFY_TRY(describe_run(p, &at, &plan->frontier[i]));
    }
    return RAMIFY_OK;
}

/* --- what was asked for ----------------------------------------------------------------------- */

static ramify_status check_budget(const ramify_runs_planner *p, double ln_cost) {
    if (ln_cost < p->cost.ln_least - ALIKE)
        return ramify_fail(
            p->context, RAMIFY_ERROR_DATA,
            "%s: the budget is %.6g and the cheapest run cost %.6g: a run that small "
            "is made sooner than planned; ask for more",
            p->runs.source, exp(ln_cost), exp(p->cost.ln_least));
    if (ln_cost < p->ln_bottom - ALIKE)
        return ramify_fail(
            p->context, RAMIFY_ERROR_DATA,
            "%s: the budget is %.6g, and the law, which is about the end of the "
            "curve, holds from %.6g on: ask for more, or take another form (bnsl1 or "
            "m4)",
            p->runs.source, exp(ln_cost), exp(p->ln_bottom));
    if (ln_cost > p->ln_top + ALIKE)
        return ramify_fail(
            p->context, RAMIFY_ERROR_DATA,
            "%s: the budget is %.6g and the dearest run cost %.6g: nothing is known "
            "of costs above %.4g%s",
            p->runs.source, exp(ln_cost), exp(p->cost.ln_most), exp(p->ln_top),
            p->plan->law->form->reach > 0 ? ", up to which the form was shown to hold" : "");
    return RAMIFY_OK;
}

/* ln error at a cost: on the law (side 0), or at the low or high end of its interval. */
static ramify_status value_at(const ramify_runs_planner *p, double ln_cost, int side,
                              double *ln_y) {
    ramify_frontier_place at;
    double width = 0;
    RAMIFY_TRY(find_place(p, ln_cost, &at));
    if (side != 0)
        RAMIFY_TRY(find_width(p, &at, &width));
    *ln_y = at.ln_y + side * width;
    return RAMIFY_OK;
}

/* Where between two costs the error comes down through ln_error, being above it at the left one. */
static ramify_status halve(const ramify_runs_planner *p, double left, double right, int side,
                           double ln_error, double *found) {
    for (int i = 0; i < HALVINGS && right - left > ALIKE; i++) {
        double middle = 0.5 * (left + right), ln_y;
        RAMIFY_TRY(value_at(p, middle, side, &ln_y));
        if (ln_y > ln_error)
            left = middle;
        else
            right = middle;
    }
    *found = right;
    return RAMIFY_OK;
}

/* The least cost at which the law reaches the error. */
static ramify_status find_cost(const ramify_runs_planner *p, double ln_error, double *found) {
    const double step = (p->ln_top - p->ln_bottom) / STEPS;
    double ln_y;
    RAMIFY_TRY(value_at(p, p->ln_bottom, 0, &ln_y));
    if (ln_y <= ln_error)
        return ramify_fail(p->context, RAMIFY_ERROR_DATA,
                           "%s: %s %.6g is reached at a cost of %.4g already, where the law, with "
                           "%.6g, begins: ask for a smaller one",
                           p->runs.source, p->plan->law->y_name, exp(ln_error), exp(p->ln_bottom),
                           exp(ln_y));
    for (int i = 1; i <= STEPS; i++) {
        double right = p->ln_bottom + i * step;
        RAMIFY_TRY(value_at(p, right, 0, &ln_y));
        if (ln_y <= ln_error)
            return halve(p, right - step, right, 0, ln_error, found);
    }
    return ramify_fail(
        p->context, RAMIFY_ERROR_DATA,
        "%s: %s %.6g is reached at no cost up to %.4g, where the law gives %.6g: ask "
        "for a larger one",
        p->runs.source, p->plan->law->y_name, exp(ln_error), exp(p->ln_top), exp(ln_y));
}

/* Where an end of the interval comes down through the error: the low end before the law does, the high end
 * behind. NaN: nowhere in reach. */
static ramify_status find_end(const ramify_runs_planner *p, double found, int side, double ln_error,
                              double *end) {
    const double limit = side < 0 ? p->ln_bottom : p->ln_top,
                 step = (p->ln_top - p->ln_bottom) / STEPS;
    *end = (double)NAN;
    for (double at = found; side * (limit - at) > 0; at += side * step) {
        double next = side * (limit - at) > step ? at + side * step : limit, ln_y;
        RAMIFY_TRY(value_at(p, next, side, &ln_y));
        if ((ln_y > ln_error) == (side < 0))
            return halve(p, fmin(at, next), fmax(at, next), side, ln_error, end);
    }
    return RAMIFY_OK;
}

static ramify_status answer_error(const ramify_runs_planner *p, double ln_error,
                                  ramify_frontier_place *at) {
    ramify_runs_plan *plan = p->plan;
    double found = 0, low, high;
    RAMIFY_TRY(find_cost(p, ln_error, &found));
    RAMIFY_TRY(find_place(p, found, at));
    RAMIFY_TRY(find_end(p, found, -1, ln_error, &low));
    RAMIFY_TRY(find_end(p, found, 1, ln_error, &high));
    plan->for_error = true;
    plan->answer_error = (ramify_law_estimate){exp(ln_error), NAN, NAN};
    plan->answer_cost = (ramify_law_estimate){exp(found), exp(low), exp(high)};
    plan->width = 0.5 * (exp(high - found) - exp(low - found));
    return RAMIFY_OK;
}

static ramify_status answer_budget(const ramify_runs_planner *p, double ln_cost,
                                   ramify_frontier_place *at) {
    ramify_runs_plan *plan = p->plan;
    ramify_planned_run run;
    RAMIFY_TRY(check_budget(p, ln_cost));
    RAMIFY_TRY(find_place(p, ln_cost, at));
    RAMIFY_TRY(describe_run(p, at, &run));
    plan->answer_cost = (ramify_law_estimate){run.cost, NAN, NAN};
    plan->answer_error = run.error;
    plan->width = 0.5 * (run.error.high - run.error.low) / run.error.value;
    return RAMIFY_OK;
}

/* The sizes of the answer: of two, from the best of every resample; of one, from what costs are off by. */
static ramify_status answer_sizes(const ramify_runs_planner *p, const ramify_frontier_place *at) {
    ramify_runs_plan *plan = p->plan;
    if (plan->sizes == 1) {
        double off = ramify_student(p->options->level) *
                     ramify_run_cost_deviation(&p->cost, at->ln_x) / p->cost.power[0];
        double end = off > 0 ? off : (double)NAN;
        plan->answer_x[0] = (ramify_law_estimate){ramify_law_size(at->ln_x[0]),
                                                  exp(at->ln_x[0] - end), exp(at->ln_x[0] + end)};
        return RAMIFY_OK;
    }
    const double unused[RAMIFY_PLAN_SIZES] = {0};
    ramify_law_split split;
    RAMIFY_TRY(ramify_law_frontier(plan->law, 0, &plan->cost, unused, exp(at->ln_cost),
                                   p->options->level, &split));
    plan->answer_x[0] = split.model;
    plan->answer_x[1] = split.data;
    return RAMIFY_OK;
}

ramify_status ramify_runs_answer(const ramify_runs_planner *p, ramify_frontier_place *at) {
    const ramify_runs_plan_options *o = p->options;
    if (o->error > 0) {
        RAMIFY_TRY(answer_error(p, log(o->error), at));
    } else {
        double ahead = fmin(p->cost.ln_most + log(AHEAD), p->ln_top);
        RAMIFY_TRY(answer_budget(p, o->budget > 0 ? log(o->budget) : ahead, at));
    }
    return answer_sizes(p, at);
}

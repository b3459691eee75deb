/* Plans that prune: a bound on resident memory in which no expert of the usual width fits is met by one that was
 * trained without it and lost most of its weights, where that is better than one that is narrow. */

#include "memory.h"
#include "plan.h"
#include "prune_law.h"
#include "search.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What predicting may hold in the training of an expert that is to be pruned: as much as the widest need. */
#define ROOMY ((uint64_t)64 << 20)
/* Densities that are reckoned with before one is known. */
#define LEAST_DENSITY 0.02
/* Passes of the training and of all rounds together, in those of a usual training: rounds of as many passes as a
 * training each take many times as long, and overfit few rows (kin8nm). And the least of one round. */
#define PASSES       2.0
#define LEAST_LENGTH 0.1
/* The other width that is pruned. */
#define NARROW 48

/* Trees, and experts that teachers teach, are not pruned; nor is anything for a bound that is the usual one, which
 * no one asked for. */
static bool may_prune(const ramify_planning *p) {
    const ramify_train_options *train = p->options->train;
    ramify_train_options usual;
    ramify_train_options_init(&usual);
    return train->resident_bytes > 0 && train->resident_bytes != usual.resident_bytes &&
           train->distillation != RAMIFY_CHOICE_ON &&
           (strcmp(train->kind, "pathways") != 0 || train->leaves < 2);
}

static bool is_narrow(const ramify_planning *p) {
    return !p->options->train->hidden && p->design.width < RAMIFY_SEARCH_WIDTH_MAX;
}

/* The share of weights that is left within the bound, about, from a run of the design: what a row needs
 * beside weights stays. */
static double density_about(const ramify_planning *p, const ramify_sweep_design *design) {
    for (size_t i = 0; i < p->count; i++) {
        const ramify_sweep_run *run = &p->runs[i];
        if (!run->made || !ramify_sweep_same_design(&run->design, &p->design))
            continue;
        const double weights = (double)run->parameters * sizeof(float);
        const double rest = fmax((double)run->resident_bytes - weights, 0);
        const double part = (double)design->width / p->design.width;
        const double left = ((double)p->bound - rest * part) / (weights * part * part);
        return left > 0 ? fmin(fmax(left, LEAST_DENSITY), 1) : 0;
    }
    return LEAST_DENSITY;
}

ramify_status ramify_plan_consider_pruning(ramify_planning *p, ramify_status status) {
    const bool fits = status == RAMIFY_OK;
    if ((!fits && status != RAMIFY_ERROR_LIMIT) || !may_prune(p) || (fits && !is_narrow(p)))
        return status;
    p->dense = fits ? p->design : (ramify_sweep_design){0};
    p->bound = p->options->train->resident_bytes;
    p->train.resident_bytes = ROOMY;
    snprintf(p->why, sizeof p->why, "%s", ramify_message(p->context));
    ramify_clear(p->context);
    RAMIFY_TRY(ramify_plan_search(p));
    if (fits || density_about(p, &p->design) > 0)
        return RAMIFY_OK;
    return ramify_plan_no_room(p);
}

ramify_status ramify_plan_no_room(const ramify_planning *p) {
    return ramify_fail(p->context, RAMIFY_ERROR_LIMIT, "%s", p->why);
}

static double rounds_to(double density) {
    return ceil(log(density) / log(1 - RAMIFY_PRUNE_STEP));
}

uint32_t ramify_plan_pruning_runs(const ramify_planning *p, uint32_t level,
                                  ramify_sweep_point *points) {
    uint32_t count = 0;
    for (uint32_t i = 0; p->bound > 0 && i < RAMIFY_PLAN_PRUNED_MAX; i++) {
        ramify_sweep_design design = p->design;
        if (i > 0 && (p->options->train->hidden || design.width <= NARROW))
            break;
        design.width = i > 0 ? NARROW : design.width;
        const double density = density_about(p, &design);
        if (density == 0)
            continue;
        const double rounds = rounds_to(density);
        points[count++] =
            (ramify_sweep_point){.level = level,
                                 .length = fmin(fmax(PASSES / (1 + rounds), LEAST_LENGTH), 1),
                                 .pruned = p->bound,
                                 .rounds = rounds,
                                 .design = design};
    }
    return count;
}

double ramify_plan_pruning_cost(const ramify_planning *p) {
    ramify_sweep_point points[RAMIFY_PLAN_PRUNED_MAX];
    double most = 0;
    const uint32_t count = ramify_plan_pruning_runs(p, 0, points);
    for (uint32_t i = 0; i < count; i++)
        most = fmax(most, ramify_sweep_cost(&p->sweep, &points[i]));
    return most;
}

/* Whether a run of more rows was pruned in the same way. */
static bool is_surpassed(const ramify_planning *p, const ramify_sweep_run *run) {
    for (size_t i = 0; i < p->count; i++) {
        const ramify_sweep_run *other = &p->runs[i];
        if (other->made && other->point.pruned == run->point.pruned &&
            other->point.level < run->point.level &&
            ramify_sweep_same_design(&other->point.design, &run->point.design))
            return true;
    }
    return false;
}

void ramify_plan_add_pruned(ramify_planning *p) {
    for (size_t i = 0; i < p->count; i++) {
        const ramify_sweep_run *run = &p->runs[i];
        if (!run->made || run->point.pruned == 0 || is_surpassed(p, run) ||
            run->density == 1) /* there was room for all */
            continue;
        ramify_candidate c = {
            .point = run->point, .density = run->density, .resident_bytes = run->resident_bytes};
        c.point.level = c.point.repeat = 0;
        c.point.rounds = rounds_to(run->density);
        ramify_plan_add_candidate(p, &c);
    }
}

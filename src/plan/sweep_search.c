#include "problem.h"
#include "recipe.h"
#include "search.h"
#include "status.h"
#include "sweep.h"

#include <math.h>

typedef struct designer {
    ramify_sweep *sweep;
    ramify_problem *problem; /* of all rows: more of them have more bins, and these are to fit */
    ramify_recipe recipe;
    uint64_t least;
} designer;

/* The design of a stem and a shape, if it fits. */
static ramify_status fit(designer *d, uint32_t stem, uint32_t shape, ramify_sweep_design *design,
                         bool *fits) {
    const ramify_recipe *recipe = &d->recipe;
    ramify_design wanted = {.encoder = recipe->stem[stem],
                            .hidden_layers = recipe->shape[shape].hidden_layers,
                            .members = recipe->shape[shape].members};
    for (uint32_t l = 0; l < RAMIFY_MLP_LAYERS_MAX; l++)
        wanted.widths[l] = recipe->widths[l];
    ramify_encoder *encoder;
    ramify_mlp_shape found;
    RAMIFY_TRY(ramify_encoder_create(d->problem, &wanted.encoder, &encoder));
    *fits = ramify_search_shape(d->problem, recipe, &wanted, encoder, &found, &d->least);
    ramify_encoder_destroy(d->sweep->context, &encoder);
    *design = (ramify_sweep_design){.bins = wanted.encoder.bins,
                                    .periodic = wanted.encoder.frequencies > 0,
                                    .members = wanted.members,
                                    .layers = wanted.hidden_layers,
                                    .width = *fits ? found.width[1] : 0,
                                    .inputs = *fits ? found.width[0] : 0};
    return RAMIFY_OK;
}

static ramify_sweep_run run_of(const ramify_sweep_design *design, uint32_t level, double length) {
    return (ramify_sweep_run){.point = {.level = level, .length = length, .design = *design}};
}

static uint32_t best_of(const ramify_sweep_run *runs, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (runs[i].error < runs[best].error)
            best = i;
    return best;
}

static ramify_status fit_stems(designer *d, uint32_t level, double length, ramify_sweep_run *runs,
                               uint32_t *count) {
    for (uint32_t i = 0; i < d->recipe.stem_count; i++) {
        bool fits = false;
        ramify_sweep_design design;
        for (uint32_t k = 0; k < d->recipe.shape_count && !fits; k++)
            RAMIFY_TRY(fit(d, i, k, &design, &fits));
        if (fits)
            runs[(*count)++] = run_of(&design, level, length);
    }
    return RAMIFY_OK;
}

static ramify_status add_stems(designer *d, uint32_t level, double length, ramify_sweep_run *runs,
                               uint32_t *count) {
    RAMIFY_TRY(fit_stems(d, level, length, runs, count));
    if (*count == 0 && d->recipe.gradient_routing == RAMIFY_CHOICE_AUTO) {
        /* As the training does without where nothing else fits. */
        d->recipe.gradient_routing = RAMIFY_CHOICE_OFF;
        RAMIFY_TRY(fit_stems(d, level, length, runs, count));
    }
    if (*count == 0)
        return ramify_fail(d->sweep->context, RAMIFY_ERROR_LIMIT,
                           "no expert for these columns fits in %llu resident bytes: allow at "
                           "least %llu (--resident)%s",
                           (unsigned long long)d->recipe.resident_bytes,
                           (unsigned long long)d->least,
                           d->recipe.tree ? ", or do without a tree (--leaves 1)" : "");
    return RAMIFY_OK;
}

ramify_status ramify_sweep_problem(const ramify_sweep *sweep, ramify_problem **problem) {
    const ramify_split *all = &sweep->part[0];
    return ramify_problem_create(
        sweep->context, sweep->rows.match, (ramify_rows){all->train, all->train_count},
        (ramify_rows){all->select, all->select_count},
        (ramify_rows){all->report, all->report_count}, sweep->rows.weight, false, problem);
}

ramify_status ramify_sweep_search(ramify_sweep *sweep, uint32_t level, double length,
                                  ramify_sweep_run *runs, uint32_t *count) {
    designer d = {.sweep = sweep, .least = UINT64_MAX};
    *count = 0;
    RAMIFY_TRY(ramify_sweep_problem(sweep, &d.problem));
    ramify_recipe_make(d.problem, sweep->options, &d.recipe);
    const ramify_status status = add_stems(&d, level, length, runs, count);
    ramify_problem_destroy(sweep->context, &d.problem);
    RAMIFY_TRY(status);
    RAMIFY_TRY(ramify_sweep_make(sweep, runs, *count));
    sweep->usual = runs[best_of(runs, *count)].point.design;
    return RAMIFY_OK;
}

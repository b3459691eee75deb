#include "plan_need.h"
#include "recipe.h"
#include "root.h"
#include "search.h"
#include "status.h"

#include <string.h>

/* Descriptions of one kind of model differ by the digits of their numbers, and a tree's by those of its splits. */
#define DIGITS_BYTES 64

/* The encoders of all stems that the training would try, for all candidates. */
typedef struct stems {
    const ramify_planning *planning;
    ramify_problem *problem;
    ramify_recipe recipe; /* of the training that was asked for */
    ramify_encoder *encoder[RAMIFY_STEMS_MAX];
} stems;

static ramify_status open_stems(const ramify_planning *p, stems *s) {
    *s = (stems){.planning = p};
    RAMIFY_TRY(ramify_sweep_problem(&p->sweep, &s->problem));
    ramify_recipe_make(s->problem, p->options->train, &s->recipe);
    for (uint32_t i = 0; i < s->recipe.stem_count; i++)
        RAMIFY_TRY(ramify_encoder_create(s->problem, &s->recipe.stem[i], &s->encoder[i]));
    return RAMIFY_OK;
}

static void close_stems(stems *s) {
    for (uint32_t i = 0; i < RAMIFY_STEMS_MAX; i++)
        if (s->encoder[i])
            ramify_encoder_destroy(s->planning->context, &s->encoder[i]);
    if (s->problem)
        ramify_problem_destroy(s->planning->context, &s->problem);
}

static const ramify_encoder *encoder_of(const stems *s, const ramify_encoder_options *stem) {
    uint32_t i = 0;
    while (i + 1 < s->recipe.stem_count && (s->recipe.stem[i].bins != stem->bins ||
                                            s->recipe.stem[i].frequencies != stem->frequencies))
        i++;
    return s->encoder[i];
}

/* Of all designs that a recipe tries, each as wide as fits; 0: none fits. */
static uint64_t most_of_designs(const stems *s, const ramify_recipe *recipe) {
    uint64_t most = 0, least = UINT64_MAX;
    for (uint32_t i = 0; i < recipe->stem_count; i++)
        for (uint32_t k = 0; k < recipe->shape_count; k++) {
            const ramify_encoder *encoder = encoder_of(s, &recipe->stem[i]);
            ramify_design design = {.encoder = recipe->stem[i],
                                    .hidden_layers = recipe->shape[k].hidden_layers,
                                    .members = recipe->shape[k].members};
            memcpy(design.widths, recipe->widths, sizeof design.widths);
            ramify_mlp_shape shape;
            if (!ramify_search_shape(s->problem, recipe, &design, encoder, &shape, &least))
                continue;
            const uint64_t need = ramify_root_resident(s->problem, recipe, encoder, &shape);
            most = need > most ? need : most;
        }
    return most;
}

/* What a description has beyond what is allowed for it, as small runs have it; as a rule below 0. */
static int64_t beyond_allowed(const stems *s) {
    const ramify_planning *p = s->planning;
    for (size_t i = 0; i < p->count; i++)
        if (p->runs[i].made)
            return (int64_t)p->runs[i].config_bytes + DIGITS_BYTES - RAMIFY_TRAINED_CONFIG_BYTES -
                   (int64_t)ramify_schema_bytes(s->problem->schema);
    return 0;
}

static uint64_t need_of(const stems *s, const ramify_candidate *candidate) {
    char hidden[RAMIFY_HIDDEN_ROOM];
    const ramify_train_options options = ramify_plan_options_of(s->planning, candidate, hidden);
    ramify_recipe recipe;
    ramify_recipe_make(s->problem, &options, &recipe);
    uint64_t most = most_of_designs(s, &recipe);
    if (most == 0 && recipe.gradient_routing == RAMIFY_CHOICE_AUTO) {
        recipe.gradient_routing = RAMIFY_CHOICE_OFF; /* as the training does without */
        most = most_of_designs(s, &recipe);
    }
    return most > 0 ? (uint64_t)((int64_t)most + beyond_allowed(s)) : 0;
}

ramify_status ramify_plan_need(ramify_planning *planning) {
    stems s;
    const ramify_status status = open_stems(planning, &s);
    for (uint32_t i = 0; status == RAMIFY_OK && i < planning->candidates; i++)
        if (planning->candidate[i].point.pruned == 0) /* else as in the run that was pruned */
            planning->candidate[i].resident_bytes = need_of(&s, &planning->candidate[i]);
    if (status == RAMIFY_OK)
        planning->fingerprint = ramify_problem_fingerprint(s.problem);
    close_stems(&s);
    return status;
}

/* From a pruning to its kind. */

#include "memory.h"
#include "prune_kind.h"
#include "score.h"

struct ramify_pruning {
    ramify_context *context;
    const ramify_pruning_kind *kind;
    void *inside;
};

ramify_status ramify_pruning_open(ramify_context *context, ramify_model *model,
                                  ramify_model *rewind, const ramify_table *table,
                                  const ramify_prune_plan *plan, ramify_pruning **pruning) {
    const bool branches = ramify_model_paraformer(model) != NULL;
    *pruning = NULL;
    ramify_pruning *p = ramify_allocate_zeroed(context, 1, sizeof *p);
    if (!p)
        return RAMIFY_ERROR_MEMORY;
    p->context = context;
    p->kind = branches ? &ramify_pruning_branches : &ramify_pruning_experts;
    ramify_status status =
        branches ? ramify_pruning_open_branches(context, model, rewind, table, plan, &p->inside)
                 : ramify_pruning_open_experts(context, model, rewind, table, plan, &p->inside);
    if (status == RAMIFY_OK)
        *pruning = p;
    else
        ramify_release(context, p);
    return status;
}

void ramify_pruning_close(ramify_pruning **pruning) {
    if (!*pruning)
        return;
    ramify_pruning *old = *pruning;
    *pruning = NULL;
    old->kind->close(old->inside);
    ramify_release(old->context, old);
}

ramify_pruned ramify_pruning_state(const ramify_pruning *p) {
    return p->kind->state(p->inside);
}

uint64_t ramify_pruning_validation_rows(const ramify_pruning *p) {
    return p->kind->validation_rows(p->inside);
}

ramify_status ramify_pruning_score(const ramify_pruning *p, ramify_model *model,
                                   ramify_score *score) {
    const ramify_repack *base = p->kind->base(p->inside);
    return ramify_score_model(p->context, model, base->match, base->split->report,
                              base->split->report_count, score, NULL);
}

ramify_status ramify_pruning_round(ramify_pruning *p, double density) {
    return p->kind->round(p->inside, density);
}

ramify_status ramify_pruning_keep(ramify_pruning *p) {
    return p->kind->keep(p->inside);
}

ramify_status ramify_pruning_go_back(ramify_pruning *p) {
    return p->kind->go_back(p->inside);
}

ramify_status ramify_pruning_give(ramify_pruning *p, json_t *about, ramify_model **state) {
    return p->kind->give(p->inside, about, state);
}

ramify_status ramify_pruning_take(ramify_pruning *p, ramify_model *state) {
    return p->kind->take(p->inside, state);
}

ramify_status ramify_pruning_reach(ramify_pruning *p, double density, double *reached) {
    return p->kind->reach(p->inside, density, reached);
}

int ramify_worth_compare(const void *a, const void *b) {
    const ramify_worth *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->module != y->module)
        return x->module < y->module ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

ramify_status ramify_pruning_size(ramify_pruning *p, double density, ramify_storage storage,
                                  json_t *about, ramify_sizes *sizes) {
    return p->kind->size(p->inside, density, storage, about, sizes);
}

ramify_status ramify_pruning_model(ramify_pruning *p, ramify_storage storage, json_t *about,
                                   ramify_model **model) {
    return p->kind->model(p->inside, storage, about, model);
}

#include "root.h"
#include "memory.h"
#include "progress.h"
#include "residency.h"
#include "routing.h"
#include "status.h"
#include "threads.h"

#include <string.h>

/* Text of ramify.config without the schema: options, scores, counts. An estimate; the finished model is
 * held against the bound again. */
#define CONFIG_BYTES 3072

/* Widths are tried in steps of whole vectors; wider experts than this overfit small cells and cost more than they give (study). */
#define WIDTH_STEP  16
#define WIDTH_MAX   96
#define WIDTH_LEAST 16
/* Full fits after the trials. */
#define FINALISTS 2

void ramify_root_destroy(ramify_context *context, ramify_root **root) {
    if (!*root)
        return;
    ramify_encoder_destroy(context, &(*root)->encoder);
    ramify_release(context, (*root)->record);
    ramify_release(context, *root);
    *root = NULL;
}

uint64_t ramify_root_resident(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_encoder *encoder, const ramify_mlp_shape *shape) {
    ramify_stem stem = encoder->stem;
    static const float mark;
    if (recipe->tree && recipe->gradient_routing != RAMIFY_CHOICE_OFF &&
        stem.plain <= RAMIFY_ROUTING_PLAIN_MAX) {
        stem.route = &mark;
        stem.routes = stem.plain;
    }
    ramify_module_shape module = {.type = ramify_module_type_find("mlp"), .mlp = *shape};
    uint64_t schema = ramify_schema_bytes(problem->schema);
    ramify_need_of of = {
        .schema_bytes = schema,
        .config_bytes = CONFIG_BYTES + schema,
        .stem = &stem,
        .targets = problem->targets,
        .shape = &module,
        .depth = recipe->tree ? recipe->grow.depth : 0,
        .arity = recipe->tree ? recipe->grow.arity : 0,
    };
    return ramify_resident_need(&of).total;
}

static void set_widths(ramify_mlp_shape *shape, uint32_t layers, uint32_t width) {
    for (uint32_t l = 1; l <= layers; l++)
        shape->width[l] = width;
}

/* The widest shape of the design that fits; false when none does. *least is the smallest need seen. */
static bool fit_shape(const ramify_problem *problem, const ramify_recipe *recipe,
                      const ramify_design *design, const ramify_encoder *encoder,
                      ramify_mlp_shape *shape, uint64_t *least) {
    *shape = (ramify_mlp_shape){.layers = design->hidden_layers + 1, .members = design->members};
    shape->width[0] = encoder->stem.features;
    shape->width[shape->layers] = problem->outputs;
    bool given = design->widths[0] > 0;
    if (given)
        memcpy(shape->width + 1, design->widths, design->hidden_layers * sizeof(uint32_t));
    for (uint32_t width = WIDTH_MAX;; width -= WIDTH_STEP) {
        if (!given)
            set_widths(shape, design->hidden_layers, width);
        if (ramify_mlp_record_bytes(shape) > 0) {
            uint64_t need = ramify_root_resident(problem, recipe, encoder, shape);
            if (need < *least)
                *least = need;
            if (recipe->resident_bytes == 0 || need <= recipe->resident_bytes)
                return true;
        }
        if (given || width <= WIDTH_LEAST)
            return false;
    }
}

ramify_status ramify_root_fit(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_design *design, const ramify_mlp_shape *shape,
                              const ramify_expert_plan *plan, ramify_root **root) {
    ramify_context *context = problem->context;
    ramify_root *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->shape = *shape;
    made->plan = *plan;
    made->design = *design;
    ramify_status status = ramify_encoder_create(problem, &design->encoder, &made->encoder);
    if (status == RAMIFY_OK) {
        made->record = ramify_allocate(context, ramify_mlp_record_bytes(shape), 1);
        status = made->record ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    if (status == RAMIFY_OK) {
        ramify_mlp_initialise(shape, recipe->slope, plan->seed, 0, made->record);
        made->score.loss = -1;
        status = ramify_expert_fit(problem, shape, plan, made->encoder, NULL, problem->train, NULL,
                                   problem->select, false, made->record, &made->score);
        made->usable = made->score.loss >= 0;
        made->criterion = ramify_fit_criterion(problem, made->score);
        made->row_visits = (double)plan->epochs * (double)problem->train.count;
    }
    if (status != RAMIFY_OK && !(status == RAMIFY_STOPPED && made->usable))
        ramify_root_destroy(context, &made);
    *root = made;
    return status;
}

typedef struct trial {
    const ramify_problem *problem;
    const ramify_recipe *recipe;
    ramify_expert_plan plan;
    const ramify_design *design[RAMIFY_DESIGNS_MAX];
    ramify_mlp_shape shape[RAMIFY_DESIGNS_MAX];
    ramify_root *root[RAMIFY_DESIGNS_MAX];
    uint32_t count;
} trial;

static ramify_status try_design(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    trial *t = argument;
    ramify_progress_report(t->problem->context, "training the root", (double)task, t->count);
    return ramify_root_fit(t->problem, t->recipe, t->design[task], &t->shape[task], &t->plan,
                           &t->root[task]);
}

/* Designs that fit the bound, each once. */
static ramify_status list_designs(const ramify_problem *problem, const ramify_recipe *recipe,
                                  trial *t) {
    uint64_t least = UINT64_MAX;
    for (uint32_t d = 0; d < recipe->design_count; d++) {
        ramify_encoder *encoder;
        RAMIFY_TRY(ramify_encoder_create(problem, &recipe->design[d].encoder, &encoder));
        bool fits =
            fit_shape(problem, recipe, &recipe->design[d], encoder, &t->shape[t->count], &least);
        ramify_encoder_destroy(problem->context, &encoder);
        if (fits)
            t->design[t->count++] = &recipe->design[d];
    }
    if (t->count == 0)
        return ramify_fail(problem->context, RAMIFY_ERROR_LIMIT,
                           "no expert for these %u columns and %u outputs fits in %llu resident "
                           "bytes: allow at least %llu (--resident)",
                           problem->stem.columns, problem->outputs,
                           (unsigned long long)recipe->resident_bytes, (unsigned long long)least);
    return RAMIFY_OK;
}

static void keep_best(ramify_context *context, trial *t, ramify_root **best) {
    for (uint32_t i = 0; i < t->count; i++) {
        ramify_root *root = t->root[i];
        if (root && root->usable && (!*best || root->criterion < (*best)->criterion)) {
            ramify_root_destroy(context, best);
            *best = root;
            t->root[i] = NULL;
        }
        ramify_root_destroy(context, &t->root[i]);
    }
}

/* Moves the designs with the best trials to the front, at most FINALISTS of them. */
static void choose_finalists(ramify_context *context, trial *t) {
    uint32_t kept = t->count < FINALISTS ? t->count : FINALISTS;
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t best = i;
        for (uint32_t j = i + 1; j < t->count; j++)
            if (t->root[j]->criterion < t->root[best]->criterion)
                best = j;
        trial swap = *t;
        t->design[i] = swap.design[best];
        t->shape[i] = swap.shape[best];
        t->root[i] = swap.root[best];
        t->design[best] = swap.design[i];
        t->shape[best] = swap.shape[i];
        t->root[best] = swap.root[i];
    }
    for (uint32_t i = 0; i < t->count; i++)
        ramify_root_destroy(context, &t->root[i]);
    t->count = kept;
}

ramify_status ramify_root_find(const ramify_problem *problem, const ramify_recipe *recipe,
                               double started, double deadline, ramify_root **root) {
    ramify_context *context = problem->context;
    *root = NULL;
    trial t = {.problem = problem, .recipe = recipe, .plan = recipe->root};
    RAMIFY_TRY(list_designs(problem, recipe, &t));
    ramify_status status = RAMIFY_OK;
    if (t.count > 1) {
        /* Under a time limit a third of it, shared by waves of as many trials as there are threads. */
        uint32_t threads = ramify_thread_count(context);
        threads = deadline > 0 ? threads : t.count;
        uint32_t waves = (t.count + threads - 1) / threads;
        t.plan.epochs = (uint32_t)(recipe->root.epochs * recipe->trial_share);
        t.plan.epochs = t.plan.epochs > 0 ? t.plan.epochs : 1;
        t.plan.checks = 4;
        for (uint32_t first = 0; status == RAMIFY_OK && first < t.count; first += threads) {
            trial wave = t;
            wave.count = t.count - first < threads ? t.count - first : threads;
            memcpy(wave.design, t.design + first, wave.count * sizeof *wave.design);
            memcpy(wave.shape, t.shape + first, wave.count * sizeof *wave.shape);
            if (deadline > 0) {
                wave.plan.started = ramify_seconds();
                wave.plan.deadline = wave.plan.started + (deadline - started) / 3 / waves;
            }
            memset(wave.root, 0, sizeof wave.root);
            status = ramify_parallel(context, wave.count, try_design, &wave);
            memcpy(t.root + first, wave.root, wave.count * sizeof *wave.root);
        }
        if (status != RAMIFY_OK) {
            keep_best(context, &t, root);
            return status;
        }
        choose_finalists(context, &t);
    }
    t.plan = recipe->root;
    t.plan.started = ramify_seconds();
    t.plan.deadline = deadline;
    status = ramify_parallel(context, t.count, try_design, &t);
    keep_best(context, &t, root);
    if (status != RAMIFY_OK && status != RAMIFY_STOPPED)
        ramify_root_destroy(context, root);
    return status;
}

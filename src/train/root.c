#include "root.h"
#include "memory.h"
#include "progress.h"
#include "residency.h"
#include "routing.h"
#include "status.h"
#include "threads.h"

#include <string.h>

/* Text of ramify.config without the schema: options, scores, counts. An estimate; the finished
 * model is held against the bound again. */
#define CONFIG_BYTES 3072

/* Widths are tried in steps of whole vectors; wider experts than this overfit small cells and
 * cost more than they give (study). */
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

/* The widest shape of the design that fits; false when none does. *least is the smallest need
 * seen. */
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
    made->plan.meter = NULL;
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

/* Designs that are fitted side by side. */
#define TRIALS_MAX (RAMIFY_STEMS_MAX + RAMIFY_SHAPES_MAX)

typedef struct trial {
    ramify_design design;
    ramify_mlp_shape shape;
    ramify_root *root; /* once fitted */
} trial;

typedef struct search {
    const ramify_problem *problem;
    const ramify_recipe *recipe;
    ramify_expert_plan plan;
    trial trial[TRIALS_MAX];
    ramify_meter meter;
    uint32_t first, count; /* trials before `first` are fitted */
    uint64_t least;        /* smallest need of any design */
} search;

static ramify_status try_design(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    search *s = argument;
    trial *t = &s->trial[s->first + task];
    RAMIFY_TRY(ramify_root_fit(s->problem, s->recipe, &t->design, &t->shape, &s->plan, &t->root));
    ramify_log(s->problem->context, RAMIFY_LOG_INFO,
               "%s%s, %u hidden layers of %u, %u members, %u epochs: select loss %.4g",
               t->design.encoder.bins ? "bins" : "plain",
               t->design.encoder.frequencies ? " and periodic" : "", t->shape.layers - 1,
               t->shape.width[1], t->shape.members, s->plan.epochs, t->root->criterion);
    return RAMIFY_OK;
}

/* Adds the design of a stem and a shape if it fits the bound. */
static ramify_status add_trial(search *s, const ramify_encoder_options *stem,
                               const ramify_shape_choice *shape, bool *fits) {
    trial *t = &s->trial[s->count];
    *t = (trial){.design = {.encoder = *stem,
                            .hidden_layers = shape->hidden_layers,
                            .members = shape->members}};
    memcpy(t->design.widths, s->recipe->widths, sizeof t->design.widths);
    ramify_encoder *encoder;
    RAMIFY_TRY(ramify_encoder_create(s->problem, stem, &encoder));
    *fits = fit_shape(s->problem, s->recipe, &t->design, encoder, &t->shape, &s->least);
    ramify_encoder_destroy(s->problem->context, &encoder);
    if (*fits)
        s->count++;
    return RAMIFY_OK;
}

/* Fits the trials that are not yet fitted. Under a time limit `seconds` are shared by waves of
 * as many as there are threads. */
static ramify_status run_trials(search *s, const char *stage, double seconds) {
    ramify_context *context = s->problem->context;
    uint32_t total = s->count, threads = ramify_thread_count(context);
    uint32_t wave = seconds != 0 ? threads : total;
    uint32_t waves = wave ? (total - s->first + wave - 1) / wave : 0;
    ramify_status status = RAMIFY_OK;
    s->meter.stage = stage;
    s->meter.total = (double)(total - s->first) * s->plan.epochs * (double)s->problem->train.count;
    atomic_store(&s->meter.done, 0);
    s->plan.meter = &s->meter;
    while (status == RAMIFY_OK && s->first < total) {
        uint32_t tasks = total - s->first < wave ? total - s->first : wave;
        s->plan.started = ramify_seconds();
        s->plan.deadline = seconds != 0 ? s->plan.started + seconds / waves : 0;
        status = ramify_parallel(context, tasks, try_design, s);
        s->first += tasks;
    }
    if (status == RAMIFY_OK)
        ramify_progress_report(context, stage, s->meter.total, s->meter.total);
    return status;
}

static uint32_t best_trial(const search *s) {
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < s->count; i++) {
        const ramify_root *root = s->trial[i].root;
        if (root && root->usable &&
            (best == UINT32_MAX || root->criterion < s->trial[best].root->criterion))
            best = i;
    }
    return best;
}

static ramify_status no_root(const search *s) {
    return ramify_fail(s->problem->context, RAMIFY_ERROR_DATA,
                       "no expert could be trained: every loss is infinite or not a number; lower "
                       "--rate, or scale the targets");
}

/* Every stem with the first shape that fits beside it; then the best stem with the other shapes. */
static ramify_status try_designs(search *s, double seconds) {
    const ramify_recipe *recipe = s->recipe;
    for (uint32_t i = 0; i < recipe->stem_count; i++) {
        bool fits = false;
        for (uint32_t k = 0; k < recipe->shape_count && !fits; k++)
            RAMIFY_TRY(add_trial(s, &recipe->stem[i], &recipe->shape[k], &fits));
    }
    if (s->count == 0)
        return ramify_fail(s->problem->context, RAMIFY_ERROR_LIMIT,
                           "no expert for these %u columns and %u outputs fits in %llu resident "
                           "bytes: allow at least %llu (--resident)",
                           s->problem->stem.columns, s->problem->outputs,
                           (unsigned long long)recipe->resident_bytes,
                           (unsigned long long)s->least);
    if (s->count == 1 && recipe->shape_count == 1)
        return RAMIFY_OK;
    RAMIFY_TRY(run_trials(s, "trying stems", seconds / 2));
    uint32_t index = best_trial(s);
    if (index == UINT32_MAX)
        return no_root(s);
    trial best = s->trial[index];
    for (uint32_t k = 0; k < recipe->shape_count; k++) {
        bool same = recipe->shape[k].hidden_layers == best.design.hidden_layers &&
                    recipe->shape[k].members == best.design.members;
        bool fits;
        if (!same)
            RAMIFY_TRY(add_trial(s, &best.design.encoder, &recipe->shape[k], &fits));
    }
    return run_trials(s, "trying shapes", seconds / 2);
}

/* Leaves only the best trials, unfitted. */
static void keep_finalists(search *s) {
    trial finalist[FINALISTS];
    uint32_t kept = 0;
    for (uint32_t best; kept < FINALISTS && (best = best_trial(s)) != UINT32_MAX; kept++) {
        finalist[kept] = s->trial[best];
        ramify_root_destroy(s->problem->context, &s->trial[best].root);
        finalist[kept].root = NULL;
    }
    for (uint32_t i = 0; i < s->count; i++)
        ramify_root_destroy(s->problem->context, &s->trial[i].root);
    if (kept > 0) {
        memcpy(s->trial, finalist, kept * sizeof *finalist);
        s->count = kept;
    }
    s->first = 0;
}

ramify_status ramify_root_find(const ramify_problem *problem, const ramify_recipe *recipe,
                               double started, double deadline, ramify_root **root) {
    *root = NULL;
    search s = {.problem = problem, .recipe = recipe, .plan = recipe->root, .least = UINT64_MAX};
    s.plan.epochs = (uint32_t)(recipe->root.epochs * recipe->trial_share);
    s.plan.epochs = s.plan.epochs > 0 ? s.plan.epochs : 1;
    s.plan.checks = 4;
    ramify_status status = try_designs(&s, deadline > 0 ? (deadline - started) / 3 : 0);
    if (status == RAMIFY_OK) {
        keep_finalists(&s);
        s.plan = recipe->root;
        status =
            run_trials(&s, "training the root", deadline > 0 ? deadline - ramify_seconds() : 0);
    }
    uint32_t best = best_trial(&s);
    if (best != UINT32_MAX && (status == RAMIFY_OK || status == RAMIFY_STOPPED)) {
        *root = s.trial[best].root;
        s.trial[best].root = NULL;
    }
    for (uint32_t i = 0; i < s.count; i++)
        ramify_root_destroy(problem->context, &s.trial[i].root);
    return status == RAMIFY_OK && !*root ? no_root(&s) : status;
}

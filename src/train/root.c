#include "root.h"
#include "fit_key.h"
#include "fits.h"
#include "memory.h"
#include "progress.h"
#include "residency.h"
#include "routing.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

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
        .config_bytes = RAMIFY_TRAINED_CONFIG_BYTES + schema,
        .stem = &stem,
        .targets = problem->targets,
        .shape = &module,
        .depth = recipe->tree ? recipe->grow.depth : 0,
        .arity = recipe->tree ? recipe->grow.arity : 0,
    };
    return ramify_resident_need(&of).total;
}

const char *ramify_design_stem(const ramify_design *design) {
    const ramify_encoder_options *stem = &design->encoder;
    if (stem->bins)
        return stem->frequencies ? "bins and periodic" : "bins";
    return stem->frequencies ? "plain and periodic" : "plain";
}

ramify_status ramify_root_create(const ramify_problem *problem, const ramify_recipe *recipe,
                                 const ramify_design *design, const ramify_mlp_shape *shape,
                                 const ramify_expert_plan *plan, ramify_root **root) {
    ramify_context *context = problem->context;
    *root = NULL;
    ramify_root *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->shape = *shape;
    made->plan = *plan;
    made->plan.meter = NULL;
    made->design = *design;
    ramify_status status = ramify_encoder_create(problem, &design->encoder, &made->encoder);
    if (status == RAMIFY_OK) {
        made->shape.width[0] = made->encoder->stem.features;
        made->record = ramify_allocate(context, ramify_mlp_record_bytes(&made->shape),
                                       plan->rewind_at > 0 ? 2 : 1);
        status = made->record ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    if (status != RAMIFY_OK) {
        ramify_root_destroy(context, &made);
        return status;
    }
    ramify_mlp_initialise(&made->shape, recipe->slope, plan->seed, 0, made->record);
    if (plan->rewind_at > 0) {
        const size_t bytes = ramify_mlp_record_bytes(&made->shape);
        memcpy((char *)made->record + bytes, made->record, bytes);
    }
    *root = made;
    return RAMIFY_OK;
}

static ramify_status train_root(const ramify_problem *problem, const ramify_expert_plan *plan,
                                ramify_root **root) {
    ramify_root *made = *root;
    made->score.loss = -1;
    ramify_status status =
        ramify_expert_fit(problem, &made->shape, plan, made->encoder, NULL, problem->train, NULL,
                          problem->select, false, made->record, &made->score);
    made->usable = made->score.loss >= 0;
    made->criterion = ramify_fit_criterion(problem, made->score);
    made->row_visits = (double)plan->epochs * (double)problem->train.count;
    if (status != RAMIFY_OK && !(status == RAMIFY_STOPPED && made->usable))
        ramify_root_destroy(problem->context, root);
    return status;
}

ramify_status ramify_root_fit(const ramify_problem *problem, const ramify_recipe *recipe,
                              const ramify_design *design, const ramify_mlp_shape *shape,
                              const ramify_expert_plan *plan, ramify_root **root) {
    RAMIFY_TRY(ramify_root_create(problem, recipe, design, shape, plan, root));
    return train_root(problem, plan, root);
}

typedef struct batch {
    const ramify_recipe *recipe;
    ramify_root_request *request; /* of the tasks */
    ramify_meter *meter;
    double seconds; /* of each task; 0: no limit */
} batch;

static ramify_status create_request(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const batch *b = argument;
    ramify_root_request *r = &b->request[task];
    return ramify_root_create(r->problem, b->recipe, &r->design, &r->shape, &r->plan, &r->root);
}

static ramify_status fit_request(void *argument, size_t task, uint32_t worker) {
    const batch *b = argument;
    ramify_root_request *r = &b->request[task];
    r->plan.meter = b->meter;
    r->plan.started = ramify_seconds();
    r->plan.deadline = b->seconds != 0 ? r->plan.started + b->seconds : 0;
    if (!r->root)
        RAMIFY_TRY(create_request(argument, task, worker));
    return train_root(r->problem, &r->plan, &r->root);
}

/* The result of a fit: this, the record, and theta. */
typedef struct root_result {
    ramify_fit_score score;
    double criterion, row_visits, usable;
} root_result;

static size_t record_floats(const ramify_root *root) {
    const size_t floats = ramify_mlp_record_bytes(&root->shape) / sizeof(float);
    return root->plan.rewind_at > 0 ? 2 * floats : floats;
}

static double request_cost(const void *argument, size_t task) {
    const ramify_root_request *r = &((const batch *)argument)->request[task];
    return (double)r->plan.epochs * (double)r->problem->train.count *
           (double)ramify_mlp_record_bytes(&r->root->shape) * r->root->shape.members;
}

static uint64_t request_key(const void *argument, size_t task) {
    const batch *b = argument;
    const ramify_root_request *r = &b->request[task];
    uint64_t key = ramify_fit_key(r->problem->context, "root");
    key = ramify_fit_key_problem(key, r->problem);
    key = ramify_fit_key_encoder(key, &r->design.encoder);
    key = ramify_fit_key_shape(key, &r->root->shape);
    key = ramify_fit_key_number(key, b->recipe->slope);
    return ramify_fit_key_plan(key, &r->plan);
}

static size_t request_size(const void *argument, size_t task) {
    const ramify_root *root = ((const batch *)argument)->request[task].root;
    return sizeof(root_result) + (record_floats(root) + root->encoder->parameters) * sizeof(float);
}

static void pack_request(const void *argument, size_t task, void *result) {
    const ramify_root *root = ((const batch *)argument)->request[task].root;
    const root_result head = {.score = root->score,
                              .criterion = root->criterion,
                              .row_visits = root->row_visits,
                              .usable = root->usable};
    const size_t record = record_floats(root) * sizeof(float);
    char *to = result;
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, root->record, record);
    memcpy(to + sizeof head + record, root->encoder->theta,
           root->encoder->parameters * sizeof(float));
}

static ramify_status unpack_request(void *argument, size_t task, const void *result) {
    ramify_root *root = ((const batch *)argument)->request[task].root;
    root_result head;
    const size_t record = record_floats(root) * sizeof(float);
    const char *from = result;
    memcpy(&head, from, sizeof head);
    memcpy(root->record, from + sizeof head, record);
    memcpy(root->encoder->theta, from + sizeof head + record,
           root->encoder->parameters * sizeof(float));
    ramify_encoder_tabulate(root->encoder);
    root->score = head.score;
    root->criterion = head.criterion;
    root->row_visits = head.row_visits;
    root->usable = head.usable != 0;
    return RAMIFY_OK;
}

static void log_fit(const batch *b, size_t task) {
    const ramify_root_request *r = &b->request[task];
    ramify_log(r->problem->context, RAMIFY_LOG_INFO,
               "%s: %s, %u hidden layers of %u, %u members, %u epochs of %zu rows: select loss "
               "%.4g",
               b->meter->stage, ramify_design_stem(&r->design), r->shape.layers - 1,
               r->shape.width[1], r->shape.members, r->plan.epochs, r->problem->train.count,
               r->root->criterion);
}

ramify_status ramify_root_fit_all(ramify_context *context, const ramify_recipe *recipe,
                                  ramify_root_request *request, uint32_t count, const char *stage,
                                  double seconds) {
    ramify_meter meter = {.stage = stage};
    for (uint32_t i = 0; i < count; i++)
        meter.total += request[i].plan.epochs * (double)request[i].problem->train.count;
    uint32_t threads = ramify_threads(context);
    uint32_t waves = (count + threads - 1) / threads;
    batch b = {.recipe = recipe,
               .request = request,
               .meter = &meter,
               /* A time that is over already still is a limit. */
               .seconds = waves == 0 || seconds == 0 ? 0 : fmax(seconds / waves, -1e-3)};
    const ramify_fit_list list = {.count = count,
                                  .argument = &b,
                                  .run = fit_request,
                                  .cost = request_cost,
                                  .key = request_key,
                                  .size = request_size,
                                  .pack = pack_request,
                                  .unpack = unpack_request};
    ramify_status status = RAMIFY_OK;
    if (ramify_fits_are_shared(recipe->fits, context))
        status = ramify_parallel(context, count, create_request, &b);
    if (status == RAMIFY_OK)
        status = ramify_fits_run(recipe->fits, context, &list);
    for (uint32_t i = 0; i < count; i++) {
        request[i].plan.meter = NULL;
        if (status == RAMIFY_OK)
            log_fit(&b, i);
    }
    if (status == RAMIFY_OK)
        ramify_progress_report(context, stage, meter.total, meter.total);
    return status;
}

uint32_t ramify_root_best(const ramify_root_request *request, uint32_t count) {
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const ramify_root *root = request[i].root;
        if (root && root->usable &&
            (best == UINT32_MAX || root->criterion < request[best].root->criterion))
            best = i;
    }
    return best;
}

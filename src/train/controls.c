#include "controls.h"
#include "memory.h"
#include "status.h"
#include "temperature.h"

#include <math.h>
#include <string.h>

const char *const ramify_control_names[RAMIFY_CONTROLS] = {"one expert", "equal total",
                                                           "random partition"};

static ramify_status finish(ramify_context *context, ramify_parts parts, ramify_model **model) {
    RAMIFY_TRY(ramify_temperature_fit(parts.problem, parts.root, parts.grown, &parts.temperature));
    return ramify_finish(context, &parts, model);
}

static ramify_status finish_root(ramify_context *context, const ramify_control_request *request,
                                 const ramify_root *root, ramify_model **model) {
    ramify_parts parts = {.kind = "mlp", .problem = request->problem, .root = root};
    return finish(context, parts, model);
}

/* What root and tree were trained on. */
static const ramify_problem *learned_from(const ramify_control_request *request) {
    return request->enlarged ? request->enlarged : request->problem;
}

/* The root's design for the row visits of the whole tree. */
static ramify_status train_one_expert(ramify_context *context,
                                      const ramify_control_request *request, ramify_model **model) {
    const ramify_root *root = request->root;
    double visits = root->row_visits + (request->grown ? request->grown->row_visits : 0);
    ramify_expert_plan plan = root->plan;
    const ramify_problem *problem = learned_from(request);
    plan.epochs = (uint32_t)ceil(visits / (double)problem->train.count);
    plan.deadline = 0;
    if (plan.epochs <= root->plan.epochs)
        return finish_root(context, request, root, model);
    ramify_root *longer = NULL; /* set when the fit was stopped, too */
    ramify_status status =
        ramify_root_fit(problem, request->recipe, &root->design, &root->shape, &plan, &longer);
    if (status == RAMIFY_OK)
        status = finish_root(context, request, longer, model);
    ramify_root_destroy(context, &longer);
    return status;
}

/* Modules that leaves use. */
static uint32_t count_modules(const ramify_grown *grown) {
    uint32_t count = 0;
    for (uint32_t m = 0; m < grown->module_count; m++)
        for (uint32_t i = 0; i < grown->node_count; i++)
            if (grown->nodes[i].children == 0 && grown->nodes[i].module == m) {
                count++;
                break;
            }
    return count;
}

/* The width, in whole vectors, at which one mlp comes nearest to the total bytes. */
static ramify_mlp_shape shape_of_total(const ramify_mlp_shape *expert, size_t total) {
    ramify_mlp_shape shape = *expert, best = *expert;
    double nearest = INFINITY;
    for (uint32_t width = 16; width <= 8192; width += 16) {
        for (uint32_t l = 1; l < shape.layers; l++)
            shape.width[l] = width;
        size_t bytes = ramify_mlp_record_bytes(&shape);
        if (bytes == 0)
            break;
        double distance = fabs((double)bytes - (double)total);
        if (distance < nearest) {
            nearest = distance;
            best = shape;
        }
        if (bytes > 2 * total)
            break;
    }
    return best;
}

#define RATES 3

/* Wider nets want smaller steps: three rates on short runs, as the root's design was chosen. */
static ramify_status choose_rate(ramify_context *context, const ramify_recipe *recipe,
                                 ramify_root_request *of) {
    ramify_root_request trial[RATES];
    for (int i = 0; i < RATES; i++) {
        trial[i] = *of;
        trial[i].plan.rate /= 1 << i;
        trial[i].plan.epochs = (uint32_t)(of->plan.epochs * recipe->trial_share) + 1;
        trial[i].plan.checks = 4;
    }
    ramify_status status =
        ramify_root_fit_all(context, recipe, trial, RATES, "controls: trying rates", 0);
    uint32_t best = ramify_root_best(trial, RATES);
    if (best != UINT32_MAX)
        of->plan.rate = trial[best].plan.rate;
    for (int i = 0; i < RATES; i++)
        ramify_root_destroy(context, &trial[i].root);
    return status;
}

static ramify_status train_equal_total(ramify_context *context,
                                       const ramify_control_request *request,
                                       ramify_model **model) {
    const ramify_root *root = request->root;
    const ramify_recipe *recipe = request->recipe;
    uint32_t modules = request->grown ? count_modules(request->grown) : 1;
    if (modules <= 1)
        return finish_root(context, request, root, model);
    ramify_root_request fit[2];
    uint32_t count = 1;
    fit[0] = (ramify_root_request){
        .problem = request->problem,
        .design = root->design,
        .shape = shape_of_total(&root->shape, modules * ramify_mlp_record_bytes(&root->shape)),
        .plan = recipe->root,
    };
    RAMIFY_TRY(choose_rate(context, recipe, &fit[0]));
    if (request->enlarged) {
        fit[count] = fit[0];
        fit[count].problem = request->enlarged;
        fit[count].plan = ramify_recipe_distilled(recipe, request->enlarged).root;
        fit[count++].plan.rate = fit[0].plan.rate;
    }
    ramify_status status =
        ramify_root_fit_all(context, recipe, fit, count, "controls: equal total", 0);
    uint32_t best = ramify_root_best(fit, count);
    if (status == RAMIFY_OK)
        status = finish_root(context, request, best == UINT32_MAX ? root : fit[best].root, model);
    for (uint32_t i = 0; i < count; i++)
        ramify_root_destroy(context, &fit[i].root);
    return status;
}

static ramify_status train_random(ramify_context *context, const ramify_control_request *request,
                                  ramify_model **model) {
    if (!request->grown)
        return finish_root(context, request, request->root, model);
    ramify_grow_plan plan = *request->grow;
    plan.partition = RAMIFY_PARTITION_RANDOM;
    plan.expert.deadline = 0;
    ramify_grown *grown = NULL;
    ramify_status status =
        ramify_grow(learned_from(request), &request->root->shape, &plan, request->features,
                    request->points, request->routes, request->root->record, &grown);
    ramify_parts parts = {
        .kind = "pathways",
        .problem = request->problem,
        .root = request->root,
        .route = request->route,
        .routes = request->routes,
        .grown = grown,
    };
    if (status == RAMIFY_OK)
        status = finish(context, parts, model);
    ramify_grown_destroy(context, &grown);
    return status;
}

ramify_status ramify_control_train(ramify_context *context, const ramify_control_request *request,
                                   uint32_t which, ramify_model **model) {
    switch (which) {
    case 0:
        return train_one_expert(context, request, model);
    case 1:
        return train_equal_total(context, request, model);
    default:
        return train_random(context, request, model);
    }
}

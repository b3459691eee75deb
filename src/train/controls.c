#include "controls.h"
#include "memory.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

const char *const ramify_control_names[RAMIFY_CONTROLS] = {"one expert", "equal total",
                                                           "random partition"};

static ramify_status finish_root(ramify_context *context, const ramify_control_request *request,
                                 const ramify_root *root, ramify_model **model) {
    ramify_parts parts = {.kind = "mlp", .problem = request->problem, .root = root};
    return ramify_finish(context, &parts, model);
}

/* The root's design for the row visits of the whole tree. */
static ramify_status train_one_expert(ramify_context *context,
                                      const ramify_control_request *request, ramify_model **model) {
    const ramify_root *root = request->root;
    double visits = root->row_visits + (request->grown ? request->grown->row_visits : 0);
    ramify_expert_plan plan = root->plan;
    plan.epochs = (uint32_t)ceil(visits / (double)request->problem->train.count);
    plan.deadline = 0;
    if (plan.epochs <= root->plan.epochs)
        return finish_root(context, request, root, model);
    ramify_root *longer = NULL; /* set when the fit was stopped, too */
    ramify_status status = ramify_root_fit(request->problem, request->recipe, &root->design,
                                           &root->shape, &plan, &longer);
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

typedef struct rate_trial {
    const ramify_control_request *request;
    const ramify_mlp_shape *shape;
    ramify_expert_plan plan[3];
    ramify_root *root[3];
} rate_trial;

static ramify_status try_rate(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    rate_trial *t = argument;
    return ramify_root_fit(t->request->problem, t->request->recipe, &t->request->root->design,
                           t->shape, &t->plan[task], &t->root[task]);
}

static ramify_status train_equal_total(ramify_context *context,
                                       const ramify_control_request *request,
                                       ramify_model **model) {
    const ramify_root *root = request->root;
    uint32_t modules = request->grown ? count_modules(request->grown) : 1;
    if (modules <= 1)
        return finish_root(context, request, root, model);
    ramify_mlp_shape shape =
        shape_of_total(&root->shape, modules * ramify_mlp_record_bytes(&root->shape));
    /* Wider nets want smaller steps: three rates on short runs, as the root's design was chosen. */
    rate_trial trial = {.request = request, .shape = &shape};
    for (int i = 0; i < 3; i++) {
        trial.plan[i] = root->plan;
        trial.plan[i].deadline = 0;
        trial.plan[i].rate = root->plan.rate / (1 << i);
        trial.plan[i].epochs = (uint32_t)(root->plan.epochs * request->recipe->trial_share) + 1;
        trial.plan[i].checks = 4;
    }
    ramify_status status = ramify_parallel(context, 3, try_rate, &trial);
    int best = 0;
    for (int i = 0; i < 3 && status == RAMIFY_OK; i++)
        if (trial.root[i]->criterion < trial.root[best]->criterion)
            best = i;
    for (int i = 0; i < 3; i++)
        ramify_root_destroy(context, &trial.root[i]);
    RAMIFY_TRY(status);
    ramify_expert_plan plan = root->plan;
    plan.deadline = 0;
    plan.rate = trial.plan[best].rate;
    ramify_root *large = NULL;
    status =
        ramify_root_fit(request->problem, request->recipe, &root->design, &shape, &plan, &large);
    if (status == RAMIFY_OK)
        status = finish_root(context, request, large, model);
    ramify_root_destroy(context, &large);
    return status;
}

static ramify_status train_random(ramify_context *context, const ramify_control_request *request,
                                  ramify_model **model) {
    if (!request->grown)
        return finish_root(context, request, request->root, model);
    ramify_grow_plan plan = request->recipe->grow;
    plan.partition = RAMIFY_PARTITION_RANDOM;
    plan.expert.deadline = 0;
    ramify_grown *grown = NULL;
    ramify_status status =
        ramify_grow(request->problem, &request->root->shape, &plan, request->features,
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
        status = ramify_finish(context, &parts, model);
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

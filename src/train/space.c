#include "space.h"
#include "memory.h"
#include "routing.h"
#include "status.h"

ramify_status ramify_space_features(const ramify_problem *problem, const ramify_root *root,
                                    float **features) {
    const ramify_encoder *encoder = root->encoder;
    const size_t stride = ramify_pad(encoder->stem.features);
    *features = ramify_allocate(problem->context, problem->rows * stride, sizeof(float));
    if (!*features)
        return RAMIFY_ERROR_MEMORY;
    for (size_t row = 0; row < problem->rows; row++) {
        uint32_t index = (uint32_t)row;
        ramify_encoder_forward(problem, encoder, &index, 1, *features + row * stride, stride);
    }
    return RAMIFY_OK;
}

ramify_status ramify_space_make(const ramify_problem *problem, const ramify_root *root,
                                bool gradient, uint64_t seed, ramify_space *space) {
    *space = (ramify_space){.routes = problem->stem.plain};
    if (gradient)
        RAMIFY_TRY(ramify_routing_gradient(problem, &root->shape, root->encoder, root->record, seed,
                                           &space->route, &space->routes));
    if (!space->route)
        space->routes = problem->stem.plain;
    return ramify_routing_points(problem, space->route, space->routes, &space->points);
}

void ramify_space_clear(ramify_context *context, ramify_space *space) {
    ramify_release(context, space->route);
    ramify_release(context, space->points);
    *space = (ramify_space){0};
}

ramify_status ramify_space_choose(const ramify_problem *problem, const ramify_root *root,
                                  const ramify_recipe *recipe, const ramify_grow_plan *grow,
                                  const float *features, bool *gradient) {
    *gradient = recipe->gradient_routing == RAMIFY_CHOICE_ON;
    if (problem->stem.plain > RAMIFY_ROUTING_PLAIN_MAX) {
        *gradient = false;
        return RAMIFY_OK;
    }
    if (recipe->gradient_routing != RAMIFY_CHOICE_AUTO)
        return RAMIFY_OK;
    ramify_grow_plan trial = *grow;
    trial.depth = 1;
    trial.untested_levels = 1;
    trial.expert.epochs = (uint32_t)(grow->expert.epochs * 2 * recipe->trial_share) + 1;
    double criterion[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        ramify_space space;
        ramify_grown *grown = NULL;
        ramify_status status = ramify_space_make(problem, root, i == 1, grow->expert.seed, &space);
        if (status == RAMIFY_OK)
            status = ramify_grow(problem, &root->shape, &trial, features, space.points,
                                 space.routes, root->record, &grown);
        if (status == RAMIFY_OK)
            criterion[i] = grown->select_criterion;
        ramify_grown_destroy(problem->context, &grown);
        ramify_space_clear(problem->context, &space);
        RAMIFY_TRY(status);
        ramify_log(problem->context, RAMIFY_LOG_INFO, "routing by %s: select loss %.4g",
                   i ? "gradients" : "plain features", criterion[i]);
    }
    *gradient = criterion[1] <= criterion[0];
    return RAMIFY_OK;
}

/* What theory says of pathways: orders of growth. All of it is pure arithmetic on a few numbers, in
 * base-10 logarithms, since epsilon^(1-n) is beyond a double where n is the number of pixels.
 *
 * Sources, by the names used below:
 *   paper     Breaking the Curse of Dimensionality with Distributed Neural Computation, arXiv
 *             2402.03460 v1, abstract: for every Lipschitz f on [0,1]^n networks of O(1/eps)
 *             parameters in memory, O(1/eps log 1/eps) loaded on the way, against O(eps^(-n/2)) of
 *             one ReLU network; VC dimension O~(L max{n L, J W}) of L experts of depth J, width W
 *   derived   from the rate P^(-2/n) of P weights on a cell, times the cell's side
 *   bartlett  Bartlett, Harvey, Liaw, Mehrabian, Nearly-tight VC-dimension and Pseudodimension
 *             Bounds for Piecewise Linear Neural Networks, JMLR 2019: order P J log(P / J) */

#include "model.h"
#include "status.h"

#include <math.h>

/* One half, so that a logarithm to base 2 of 1 / epsilon is at least 1: an expert is never larger
 * than what is loaded with it. */
#define EPSILON_MAX 0.5

/* v of the dyadic grid, for a model without a tree. */
#define DYADIC_ARITY 2

/* paper: networks of 1 / eps weights. digits = log10(1 / eps) throughout. */
static double leaf_weights(double digits) {
    return digits;
}

/* derived: 1 / eps weights on a cell of side s reach s eps^(2/n); for that to be eps, s must be
 * eps^(1 - 2/n), and the cells are s^-n = eps^(2 - n). For n < 2 one expert does. */
static double leaves(double digits, double n) {
    return n > 2 ? (n - 2) * digits : 0;
}

/* derived: a complete tree of v children; a power of v does not become one level more by
 * rounding. */
static double depth(double leaves_log10, double v) {
    return ceil(leaves_log10 / log10(v) * (1 - 1e-12));
}

/* derived: n numbers for every node but the root, n L v / (v - 1). */
static double prototypes(double leaves_log10, double n, double v) {
    return leaves_log10 > 0 ? log10(n) + leaves_log10 + log10(v / (v - 1)) : -(double)INFINITY;
}

/* paper: 1 / eps log(1 / eps), of an unknown base, which is one more unknown constant. */
static double loaded(double digits) {
    return digits + log10(digits / log10(2.0));
}

/* paper: eps^(-n / 2). */
static double network(double digits, double n) {
    return n / 2 * digits;
}

/* paper, with W the width. */
static double vc_width(double n, double experts, double layers, double width) {
    return log10(experts) + log10(fmax(n * experts, layers * width));
}

/* bartlett, of every expert, in the place of J W. */
static double vc_weights(double n, double experts, double layers, double weights) {
    return log10(experts) + log10(fmax(n * experts, weights * layers * log(weights / layers)));
}

static uint32_t widest_hidden(const ramify_mlp_shape *mlp) {
    uint32_t widest = mlp->layers > 1 ? 0 : mlp->width[1];
    for (uint32_t l = 1; l < mlp->layers; l++)
        widest = mlp->width[l] > widest ? mlp->width[l] : widest;
    return widest;
}

ramify_status ramify_model_get_theory(ramify_context *context, const ramify_model *model,
                                      double epsilon, ramify_theory *theory) {
    ramify_clear(context);
    if (!model || !theory)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "ramify_model_get_theory: model or theory is NULL");
    RAMIFY_TRY(ramify_model_need_tree(context, model, "theorems"));
    if (ramify_model_series(model))
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: the theorems are about networks, and this model has band-limited "
                           "series",
                           model->source.name);
    if (!(epsilon > 0 && epsilon <= EPSILON_MAX))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "epsilon is %g: must be above 0 and at most %g (it is counted in the "
                           "Lipschitz constant times the side of the box)",
                           epsilon, EPSILON_MAX);
    ramify_theory t = {
        .epsilon = epsilon,
        .dimension = model->schema->column_count,
        .arity = model->limits.arity > 0 ? model->limits.arity : DYADIC_ARITY,
        .experts = model->limits.modules,
        .weights = model->shape.type->parameters(&model->shape),
        .layers = model->shape.mlp.layers,
        .width = widest_hidden(&model->shape.mlp),
        .tree_depth = model->limits.depth,
    };
    double digits = -log10(epsilon), n = t.dimension, v = t.arity;
    t.leaf_weights_log10 = leaf_weights(digits);
    t.leaves_log10 = leaves(digits, n);
    t.total_weights_log10 = t.leaf_weights_log10 + t.leaves_log10;
    t.depth = depth(t.leaves_log10, v);
    t.prototypes_log10 = prototypes(t.leaves_log10, n, v);
    t.loaded_log10 = loaded(digits);
    t.network_log10 = network(digits, n);
    double experts = (double)t.experts, weights = (double)t.weights;
    t.error = pow(experts, -1 / n) * pow(weights, -2 / n);
    t.error_slow = pow(experts * weights, -1 / n);
    t.error_network = pow(experts * weights, -2 / n);
    t.vc_width_log10 = vc_width(n, experts, t.layers, t.width);
    t.vc_weights_log10 = vc_weights(n, experts, t.layers, weights);
    *theory = t;
    return RAMIFY_OK;
}

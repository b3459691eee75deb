#ifndef RAMIFY_MODEL_BLEND_H
#define RAMIFY_MODEL_BLEND_H
/* Predictions that are continuous across the borders of cells: up to K experts answer a row, with
 * weights that change continuously and are 0 where an expert comes in or goes out.
 *
 * At a node, the child whose prototype is at squared distance d_c has the weight
 *     f_c = max(0, (d_min / d_c - band) / (1 - band)),
 * 1 for the nearest child, and 0 for one that is clearly farther. A leaf's weight w is the product
 * along its path. Of the leaves with w > 0 the K heaviest are taken, with w minus the weight of the
 * next one (as in Franke and Little's version of Shepard's interpolation), scaled to sum 1. Inside a
 * cell a row thus has its own expert alone. The prediction is continuous but where more than K
 * leaves weigh the same. */

#include "predict.h"

/* Squared distances in this ratio to the least and below have weight 0. Of 0.5, 0.7 and 0.85 on
 * held-out training rows the last was never worse than one expert alone (kin40k rmse .0477 -> .0468
 * with four experts, protein .4098 -> .4092, letter 2.97 -> 2.62 %, krkopt 13.72 %, the same); wider
 * bands let experts speak where they know little. */
#define RAMIFY_BLEND_BAND 0.85

/* Most experts per row. */
#define RAMIFY_TOP_K_MAX 16

/* A leaf's part in a row. */
typedef struct ramify_share {
    ramify_reference reference; /* its module */
    uint32_t row;               /* of the piece */
    double weight;
} ramify_share;

/* A way down that is still followed. */
typedef struct ramify_way {
    ramify_reference reference;
    uint32_t depth; /* of the node referred to */
    double weight;
} ramify_way;

/* shares[share_count] of a piece of raw rows, ordered by module in the order of the file, then by row. Sets
 * plain features and routing points. */
ramify_status ramify_predictor_find_shares(ramify_predictor *predictor, size_t rows,
                                           const double *x, size_t x_stride);

/* blended[rows x outputs]: a piece of raw rows, predicted in the units of ramify_predict_double. */
ramify_status ramify_predictor_blend(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride);

#endif

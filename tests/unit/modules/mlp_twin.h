#ifndef RAMIFY_TESTS_MLP_TWIN_H
#define RAMIFY_TESTS_MLP_TWIN_H
/* The MLP module the slow and readable way, in double precision, from the description at the top of
 * mlp.h alone. */

#include "mlp.h"

typedef struct twin_layer {
    size_t k, n;
    bool last, narrow;
    size_t weight, bias, r, s, slope; /* first float of each part */
} twin_layer;

typedef struct mlp_twin {
    ramify_mlp_shape shape;
    twin_layer layer[RAMIFY_MLP_LAYERS_MAX];
    size_t floats;
    bool *used;     /* floats: a number that is learned, not padding */
    double *number; /* floats */
} mlp_twin;

/* With random numbers that are exact as floats. */
mlp_twin *mlp_twin_create(const ramify_mlp_shape *shape, uint64_t seed);
void mlp_twin_destroy(mlp_twin *twin);
void mlp_twin_record(const mlp_twin *twin, float *record /* floats */);

/* y[(members*rows) x outputs], member after member, from x[rows x inputs]. */
void mlp_twin_forward(const mlp_twin *twin, size_t rows, const double *x, double *y);

/* Shapes that the tests run through: 1 to 4 layers, 1 and 4 members, odd widths, narrow and wide
 * last layers. */
#define TWIN_SHAPES 12
extern const ramify_mlp_shape twin_shapes[TWIN_SHAPES];

/* Memory as the library wants it, filled with zeros; free with free(). */
float *twin_floats(size_t count);

#endif

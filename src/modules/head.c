/* The head of a Para-Former. */

#include "head.h"
#include "branch_parts.h"
#include "random.h"

#include <math.h>
#include <string.h>

ramify_head_layout ramify_head_lay_out(const ramify_head_shape *shape) {
    size_t width = shape->width;
    ramify_head_layout at = {.bias = width, .weight = 2 * width};
    at.weight_bias = at.weight + shape->outputs * width;
    at.floats = at.weight_bias + ramify_pad(shape->outputs);
    return at;
}

void ramify_head_initialise(const ramify_head_shape *shape, uint64_t seed, float *record) {
    const ramify_head_layout at = ramify_head_lay_out(shape);
    size_t width = shape->width;
    double reach = 1.0 / sqrt((double)width);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_EMBEDDING, 1, 0);
    memset(record, 0, at.floats * sizeof *record);
    for (size_t i = 0; i < width; i++)
        record[at.gain + i] = 1;
    for (size_t i = 0; i < shape->outputs * width; i++)
        record[at.weight + i] = (float)(reach * (2 * ramify_random_uniform(&random) - 1));
    for (size_t i = 0; i < shape->outputs; i++)
        record[at.weight_bias + i] = (float)(reach * (2 * ramify_random_uniform(&random) - 1));
}

typedef struct work {
    float *columns, *dcolumns; /* width x pad(rows) */
    float *normal, *u, *du;    /* rows x width */
    float *inverse;            /* pad(rows) */
} work;

static void carve(ramify_carver *carver, const ramify_head_shape *shape, size_t rows, work *w) {
    size_t width = shape->width, padded = ramify_pad(rows);
    w->columns = ramify_carve(carver, width * padded);
    w->dcolumns = ramify_carve(carver, width * padded);
    w->normal = ramify_carve(carver, rows * width);
    w->u = ramify_carve(carver, rows * width);
    w->du = ramify_carve(carver, rows * width);
    w->inverse = ramify_carve(carver, padded);
}

size_t ramify_head_floats(const ramify_head_shape *shape, size_t rows) {
    ramify_carver carver = {0};
    work w;
    carve(&carver, shape, rows, &w);
    return carver.used;
}

void ramify_head_forward(const ramify_kernels *kernels, const ramify_head_shape *shape,
                         const float *record, size_t rows, const float *s, float *y, size_t ldy,
                         float *normal, float *inverse, float *scratch) {
    const ramify_head_layout at = ramify_head_lay_out(shape);
    size_t width = shape->width;
    work w;
    carve(&(ramify_carver){.base = scratch}, shape, rows, &w);
    normal = normal ? normal : w.normal;
    inverse = inverse ? inverse : w.inverse;
    ramify_branch_normalise_rows(kernels, rows, width, s, shape->epsilon, normal, inverse,
                                 w.columns);
    kernels->activate(rows, width, normal, width, record + at.gain, record + at.bias, NULL, w.u,
                      width);
    kernels->dots(rows, shape->outputs, width, w.u, width, record + at.weight, width,
                  record + at.weight_bias, y, ldy);
}

void ramify_head_backward(const ramify_kernels *kernels, const ramify_head_shape *shape,
                          const float *record, size_t rows, const float *normal,
                          const float *inverse, const float *dy, size_t lddy, float *gradient,
                          float *ds, float *scratch) {
    const ramify_head_layout at = ramify_head_lay_out(shape);
    size_t width = shape->width, outputs = shape->outputs;
    work w;
    carve(&(ramify_carver){.base = scratch}, shape, rows, &w);
    kernels->activate(rows, width, normal, width, record + at.gain, record + at.bias, NULL, w.u,
                      width);
    kernels->matmul(outputs, width, rows, dy, 1, lddy, w.u, width, gradient + at.weight, width,
                    true);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < outputs; j++)
            gradient[at.weight_bias + j] += dy[i * lddy + j];
    kernels->matmul(rows, width, outputs, dy, lddy, 1, record + at.weight, width, w.du, width,
                    false);
    for (size_t i = 0; i < rows; i++)
        for (size_t r = 0; r < width; r++)
            gradient[at.bias + r] += w.du[i * width + r];
    kernels->scale_columns_backward(rows, width, w.du, width, normal, width, record + at.gain,
                                    gradient + at.gain, w.du, width, false);
    ramify_branch_denormalise_rows(kernels, rows, width, w.du, normal, inverse, ds, w.columns,
                                   w.dcolumns, w.inverse);
}

#ifndef RAMIFY_MODULES_HEAD_H
#define RAMIFY_MODULES_HEAD_H
/* After the branches of a Para-Former: their sum s becomes outputs, W LN(s) + b.
 *
 * The record is float32, each part padded with zeros to whole lines of 16 floats:
 *     gain [width]  bias [width]  W [outputs x width]  b [outputs] */

#include "kernels.h"
#include "memory.h"

typedef struct ramify_head_shape {
    uint32_t width;   /* a multiple of 16 */
    uint32_t outputs; /* targets or classes */
    float epsilon;
} ramify_head_shape;

/* Where the parts lie, in floats. */
typedef struct ramify_head_layout {
    size_t gain, bias, weight, weight_bias, floats;
} ramify_head_layout;

ramify_head_layout ramify_head_lay_out(const ramify_head_shape *shape);

/* Gains 1, W and b U(+-1/sqrt(width)), as PyTorch starts them. */
void ramify_head_initialise(const ramify_head_shape *shape, uint64_t seed, float *record);

/* Floats of scratch for run, forward and backward. */
size_t ramify_head_floats(const ramify_head_shape *shape, size_t rows);

/* y[rows x ldy] from s[rows x width]. A row's result does not depend on the others. normal and
 * inverse: rows x width and pad(rows), for ramify_head_backward; or both NULL. */
void ramify_head_forward(const ramify_kernels *kernels, const ramify_head_shape *shape,
                         const float *record, size_t rows, const float *s, float *y, size_t ldy,
                         float *normal, float *inverse, float *scratch);

/* gradient[record floats] += what dy[rows x lddy] makes of it; ds[rows x width] = the gradient by
 * s. */
void ramify_head_backward(const ramify_kernels *kernels, const ramify_head_shape *shape,
                          const float *record, size_t rows, const float *normal,
                          const float *inverse, const float *dy, size_t lddy, float *gradient,
                          float *ds, float *scratch);

#endif

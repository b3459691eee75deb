#ifndef RAMIFY_TRAIN_CALIBRATE_H
#define RAMIFY_TRAIN_CALIBRATE_H
/* Rounding a network by rows: a layer's int8 weights by the inputs that it has once the layers before it
 * are rounded (feedback.h), and every layer's biases so that its outputs are on average what they were. */

#include "packed.h"

/* Rows from which an input's scatter can be told. With fewer, weights are rounded to the nearest. */
#define RAMIFY_CALIBRATION_LEAST 32

/* x[rows x pad(width[0])], padded with zeros: rows of the network's inputs, of which not more are used than
 * memory allows. record is changed; scale[pad(width[1]) + pad(width[2]) + ..] are the steps that
 * ramify_packed_make is to take for int8, 0 where it is to choose. */
ramify_status ramify_calibrate(ramify_context *context, const ramify_kernels *kernels,
                               const ramify_mlp_shape *shape, ramify_weights type, size_t rows,
                               const float *x, float *record, float *scale);

#endif

#ifndef RAMIFY_MODULES_MLP_H
#define RAMIFY_MODULES_MLP_H
/* A multilayer perceptron with (P)ReLU units, of any depth, with members that share its weights.
 *
 * Layer l maps k inputs to n outputs. With M members (BatchEnsemble, Wen et al. 2020; TabM,
 * Gorishniy et al. 2025), member m computes
 *     h = ((x * r_m) W) * s_m + b_m,      y = h > 0 ? h : slope * h   (not in the last layer)
 * where * is elementwise; the output of the network is the mean over members. With M = 1 there are
 * no r and s.
 *
 * The record is float32, part after part, each part padded with zeros to whole lines of 16 floats:
 *     for every layer:
 *         W      k x pad(n)         or, for a last layer of at most RAMIFY_MLP_NARROW outputs,
 *                n x pad(k)         (one dot product per output)
 *         b      M x pad(n)
 *         r      M x pad(k)         if M > 1
 *         s      M x pad(n)         if M > 1
 *         slope  pad(n)             if not the last layer
 * Training works on the same layout (gradients and moments too), so nothing is ever repacked. */

#include "kernels.h"
#include "memory.h"
#include "ramify.h"

/* Caps; they hold for files from strangers. */
#define RAMIFY_MLP_LAYERS_MAX  16
#define RAMIFY_MLP_WIDTH_MAX   262144
#define RAMIFY_MLP_MEMBERS_MAX 64
/* Size of a stored weight: far above what training makes. A module of such weights can still overflow,
 * which predicting notices. */
#define RAMIFY_MLP_WEIGHT_MAX 1e18F
/* Largest module record, 1 GiB: well inside what the offsets can express. */
#define RAMIFY_MLP_BYTES_MAX ((size_t)1 << 30)

/* Last layers of at most so many outputs are stored output by output: stored the other way, a
 * single output would take 16 times its memory. */
#define RAMIFY_MLP_NARROW 8

typedef struct ramify_mlp_shape {
    uint32_t layers;                           /* weight layers: hidden layers + 1 */
    uint32_t members;                          /* M */
    uint32_t width[RAMIFY_MLP_LAYERS_MAX + 1]; /* width[0] inputs, width[layers] outputs */
} ramify_mlp_shape;

/* Where the parts of one layer lie, in floats from the record's start. */
typedef struct ramify_mlp_layer {
    uint32_t k, n;
    bool narrow, last;
    size_t weight, weight_floats, weight_stride;
    size_t bias;  /* M x pad(n) */
    size_t r, s;  /* M x pad(k), M x pad(n); 0 when M == 1 */
    size_t slope; /* pad(n); 0 in the last layer */
} ramify_mlp_layer;

/* Fills layer[0 .. layers) and returns the floats of the record; 0 when the shape is out of bounds.
 */
size_t ramify_mlp_layout(const ramify_mlp_shape *shape, ramify_mlp_layer *layer);

/* Index in the record of the weight from an input to an output of a layer. */
static inline size_t ramify_mlp_weight_at(const ramify_mlp_layer *at, size_t input, size_t output) {
    return at->weight +
           (at->narrow ? output * at->weight_stride + input : input * at->weight_stride + output);
}

size_t ramify_mlp_record_bytes(const ramify_mlp_shape *shape);
uint64_t ramify_mlp_parameters(const ramify_mlp_shape *shape);

/* He initialisation (He et al. 2015): W ~ N(0, 2 / ((1 + slope^2) k)), b = 0; slopes as given; r =
 * +-1 at random in the first and last layer and 1 elsewhere, s = 1 (TabM). */
void ramify_mlp_initialise(const ramify_mlp_shape *shape, float slope, uint64_t seed, uint64_t node,
                           float *record);

/* Multiplies what the network puts out by a factor, by way of its last layer. */
void ramify_mlp_scale_outputs(const ramify_mlp_shape *shape, float factor, float *record);

/* Floats of scratch for run, and for forward + backward, of `rows` rows. */
size_t ramify_mlp_run_floats(const ramify_mlp_shape *shape, size_t rows);
size_t ramify_mlp_train_floats(const ramify_mlp_shape *shape, size_t rows);

/* y[rows x pad(outputs)], the mean over members, from x[rows x ldx]. */
void ramify_mlp_run(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                    const float *record, size_t rows, const float *x, size_t ldx, float *y,
                    size_t ldy, float *scratch);

/* Forward pass that keeps what backward needs in scratch (ramify_mlp_train_floats). The result is
 * every member's output, (M*rows) x pad(outputs), member after member, at the returned address
 * inside scratch. */
float *ramify_mlp_forward(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                          const float *record, size_t rows, const float *x, size_t ldx,
                          float *scratch);

/* After ramify_mlp_forward with the same arguments: dy[(M*rows) x pad(outputs)] is the loss's
 * gradient by the members' outputs (padding zero; it is overwritten), gradient[record floats]
 * receives += ..., and dx[rows x lddx], unless NULL, = the gradient by x. gradient may be NULL. */
void ramify_mlp_backward(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                         const float *record, size_t rows, const float *x, size_t ldx, float *dy,
                         float *gradient, float *dx, size_t lddx, float *scratch);

#endif

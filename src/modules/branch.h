#ifndef RAMIFY_MODULES_BRANCH_H
#define RAMIFY_MODULES_BRANCH_H
/* A transformer branch: D layers of attention and a GELU network over an image's tokens, of which
 * the class token, token 0, is what comes out. Para-Former (Wang and Li 2024, 2025) sums several
 * branches that all read the same tokens; one branch of many layers is a plain vision transformer.
 *
 * A layer, with LN the normalisation of each token (gain and bias learned) and H heads:
 *     u = LN(z);  [Q|K|V] = u Wqkv^T (+ bqkv);  A_h = softmax(Q_h K_h^T / sqrt(width / H))
 *     z = concat_h(A_h V_h) Wo^T + bo + skip
 *     u = LN(z);  z = GELU(u W1^T + c1) W2^T + c2 + skip
 * The skip is u ("normalised", as Para-Former's authors released it) or the z before (plain).
 *
 * The last layer is exact for the class token alone: with one query q a head's scores are
 * (Wk_h^T q_h) . u_j and its output is Wv_h (sum_j a_j u_j), so that neither keys nor values are
 * formed.
 *
 * Tokens are columns: x[width x ld], token t of image i in column i*tokens + t. Weights lie as
 * PyTorch has them, outputs x inputs, and are used as they lie: with tokens in columns W x is a
 * product whose left side is read row by row.
 *
 * The record is float32, layer after layer:
 *     gain1 [width]  bias1 [width]  Wqkv [3 width x width]  bqkv [3 width], if there is one
 *     Wo [width x width]  bo [width]
 *     gain2 [width]  bias2 [width]  W1 [hidden x width]  c1 [hidden]  W2 [width x hidden]
 *     c2 [width]
 * width and hidden are multiples of 16, so every part begins on a line of 64 bytes. */

#include "kernels.h"
#include "memory.h"
#include "ramify.h"

/* Caps; they hold for files from strangers. */
#define RAMIFY_BRANCH_DEPTH_MAX  256
#define RAMIFY_BRANCH_WIDTH_MAX  8192
#define RAMIFY_BRANCH_HIDDEN_MAX 65536
#define RAMIFY_BRANCH_TOKENS_MAX 65536
#define RAMIFY_BRANCH_BYTES_MAX  ((size_t)1 << 31) /* lengths of records are 32 bits */
/* Sizes of weights in files: far above what training makes, and no score overflows: |q| is at most
 * 1e4 * (91 * 1e4 + 1e4) * 8192 below 1e14, as a normalised number is below sqrt(8192) = 91. */
#define RAMIFY_BRANCH_WEIGHT_MAX 1e4F

typedef struct ramify_branch_shape {
    uint32_t depth;  /* layers */
    uint32_t width;  /* of a token; a multiple of 16 */
    uint32_t heads;  /* a divisor of width */
    uint32_t hidden; /* of the GELU network; a multiple of 16 */
    uint32_t tokens; /* of an image, the class token included */
    bool plain_skip; /* z rather than LN(z) */
    bool qkv_bias;
    float epsilon; /* of LN */
} ramify_branch_shape;

/* NULL, or what is wrong with a shape, as the end of a sentence. */
const char *ramify_branch_shape_error(const ramify_branch_shape *shape);

/* Where the parts of a layer lie, in floats from its start. */
typedef struct ramify_branch_layer {
    size_t gain1, bias1, qkv, qkv_bias; /* qkv_bias: 0 where there is none */
    size_t out, out_bias;
    size_t gain2, bias2, fc1, fc1_bias, fc2, fc2_bias;
    size_t floats; /* of a layer */
} ramify_branch_layer;

ramify_branch_layer ramify_branch_layout(const ramify_branch_shape *shape);
size_t ramify_branch_record_bytes(const ramify_branch_shape *shape);

/* Linear layers U(+-1/sqrt(inputs)), gains 1, biases of LN 0: as PyTorch starts them, and the
 * authors with it. */
void ramify_branch_initialise(const ramify_branch_shape *shape, uint64_t seed, uint64_t branch,
                              float *record);

/* Floats from a row of as many tokens to the next: whole lines, and an odd number of them. Products
 * walk down columns, and powers of two would put these into a few sets of the first cache. */
static inline size_t ramify_token_stride(size_t tokens) {
    return (ramify_pad(tokens) / 16 | 1) * 16;
}

static inline size_t ramify_branch_stride(const ramify_branch_shape *shape, size_t images) {
    return ramify_token_stride(images * shape->tokens);
}

/* Columns of a slice, where `columns` of them, a multiple of 16, are shared by so many threads. */
static inline size_t ramify_token_slice(size_t columns, uint32_t workers) {
    size_t lines = columns / 16, slices = ramify_smaller(workers, lines);
    return slices > 0 ? (lines + slices - 1) / slices * 16 : 16;
}

/* A batch of images as every branch reads them. */
typedef struct ramify_branch_input {
    size_t images, ld;    /* ld: ramify_branch_stride */
    const float *x;       /* width x ld; zeros from the last token to the end of its line */
    const float *normal;  /* width x ld: x normalised, without gain and bias */
    const float *inverse; /* ld: the factors of that; for ramify_branch_backward */
} ramify_branch_input;

/* Floats of scratch for ramify_branch_run. whole: as there. */
size_t ramify_branch_run_floats(const ramify_branch_shape *shape, size_t images, bool whole);

/* y[images x ldy]: the class token that comes out, images x width. An image's result does not depend
 * on the other images. whole: the last layer is computed for all tokens, which takes longer and gives
 * the same but for rounding. */
void ramify_branch_run(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                       const float *record, const ramify_branch_input *input, bool whole, float *y,
                       size_t ldy, float *scratch);

/* The same, to the bit, with the columns of full layers shared by `workers` threads of the context's
 * pool; scratch: for each of them ramify_branch_run_floats, padded. For a branch that has the threads
 * for itself. */
ramify_status ramify_branch_run_on(ramify_context *context, uint32_t workers,
                                   const ramify_kernels *kernels, const ramify_branch_shape *shape,
                                   const float *record, const ramify_branch_input *input,
                                   bool whole, float *y, size_t ldy, float *scratch);

/* Floats that ramify_branch_forward leaves for ramify_branch_backward, and floats of scratch that
 * either needs. */
size_t ramify_branch_memory_floats(const ramify_branch_shape *shape, size_t images);
size_t ramify_branch_train_floats(const ramify_branch_shape *shape, size_t images);

/* As ramify_branch_run with whole false, to the bit; keeps in `memory` what backward needs. */
void ramify_branch_forward(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                           const float *record, const ramify_branch_input *input, float *y,
                           size_t ldy, float *memory, float *scratch);

/* After ramify_branch_forward with the same arguments, dy[images x lddy] the loss's gradient by y:
 * gradient[record floats] receives += ..., and dx[width x ld] = the gradient by x (zeros from the last
 * token to the end of its line). */
void ramify_branch_backward(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                            const float *record, const ramify_branch_input *input, const float *dy,
                            size_t lddy, float *memory, float *gradient, float *dx, float *scratch);

#endif

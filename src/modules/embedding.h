#ifndef RAMIFY_MODULES_EMBEDDING_H
#define RAMIFY_MODULES_EMBEDDING_H
/* Before the branches of a Para-Former: a row's plain features become tokens.
 *
 * Of an image, cut into patches:     token = W patch + b + pos
 * Of a table, a token per column:    token = sum over the column's features f of f E_f, + pos
 * and before them the class token,   token = cls + pos
 *
 * A patch holds its pixels row by row, channels of a pixel side by side; patches go row by row, too.
 * An image's plain features are its pixels in the same order. A numeric column has one feature, or
 * two where missing values are told apart; a category has one per code (stem.h).
 *
 * The record is float32, each part padded with zeros to whole lines of 16 floats:
 *     pos [tokens x width]  cls [width]
 *     W [width x patch numbers]  b [width]      of patches
 *     E [plain features x width]                of columns
 *
 * Tokens are columns, as in branch.h. */

#include "branch.h"

/* Pixels on a side of an image, and channels of a pixel. */
#define RAMIFY_IMAGE_SIDE_MAX     4096
#define RAMIFY_IMAGE_CHANNELS_MAX 64

typedef struct ramify_embedding_shape {
    uint32_t width;                     /* of a token */
    uint32_t tokens;                    /* the class token included */
    uint32_t plain;                     /* plain features of a row */
    uint32_t height, breadth, channels; /* of an image, in pixels */
    uint32_t patch;                     /* pixels on a side; 0: a token per column */
    const uint32_t *column; /* plain: number of the column that a plain feature is of; borrowed, and
                               not used for patches */
} ramify_embedding_shape;

/* Numbers of a patch. */
static inline size_t ramify_embedding_patch_numbers(const ramify_embedding_shape *shape) {
    return (size_t)shape->patch * shape->patch * shape->channels;
}

/* Where the parts lie, in floats. */
typedef struct ramify_embedding_layout {
    size_t pos, cls, weight, bias; /* weight: W or E; bias: of patches */
    size_t floats;
} ramify_embedding_layout;

ramify_embedding_layout ramify_embedding_lay_out(const ramify_embedding_shape *shape);

/* pos and cls N(0, 1), W and b U(+-1/sqrt(patch numbers)), as the authors start them; E N(0, 1). */
void ramify_embedding_initialise(const ramify_embedding_shape *shape, uint64_t seed, float *record);

/* Floats of scratch for forward and for backward. */
size_t ramify_embedding_floats(const ramify_embedding_shape *shape, size_t rows);

/* Columns first .. first + count - 1 of x[width x ld], multiples of 16, from plain[rows x ldp]: the
 * tokens of all rows side by side, and zeros after the last; ld = ramify_token_stride. A column does
 * not depend on which are computed together, and disjoint ones may be computed at once, with the same
 * scratch. */
void ramify_embedding_columns(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                              const float *record, size_t rows, const float *plain, size_t ldp,
                              size_t first, size_t count, float *x, size_t ld, float *scratch);

/* gradient[record floats] += what dx[width x ld] makes of it; zeros after the last token. */
void ramify_embedding_backward(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                               size_t rows, const float *plain, size_t ldp, const float *dx,
                               size_t ld, float *gradient, float *scratch);

#endif

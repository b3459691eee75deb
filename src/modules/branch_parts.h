#ifndef RAMIFY_MODULES_BRANCH_PARTS_H
#define RAMIFY_MODULES_BRANCH_PARTS_H
/* What forward and backward of a branch share: how the memory of a layer is laid out. */

#include "branch.h"

/* Rows of the hidden layer that are computed at a time where nothing is kept: they, their weights and
 * the tokens stay in cache together. */
#define RAMIFY_BRANCH_HIDDEN_ROWS 256

/* Parts of one block of floats, each on a line of its own; base NULL: they are only counted. */
typedef struct ramify_carver {
    float *base;
    size_t used;
} ramify_carver;

static inline float *ramify_carve(ramify_carver *carver, size_t floats) {
    float *at = carver->base ? carver->base + carver->used : NULL;
    carver->used += ramify_pad(floats);
    return at;
}

/* A layer's tokens, normalised: the branch's first layer has the input's, the others their own. */
typedef struct ramify_branch_normal {
    float *own, *own_inverse; /* width x ld, ld; NULL in the first layer */
    const float *at, *inverse;
} ramify_branch_normal;

/* What a layer over all tokens leaves. */
typedef struct ramify_branch_full {
    ramify_branch_normal normal1;
    float *qkv;      /* 3 width x ld */
    float *mixed;    /* width x ld: the heads' outputs */
    float *normal2;  /* width x ld */
    float *inverse2; /* ld */
    float *hidden;   /* hidden x ld, before GELU; fewer rows where nothing is kept */
} ramify_branch_full;

/* What the last layer leaves, where only the class token matters. B images, H heads. */
typedef struct ramify_branch_last {
    ramify_branch_normal normal1;
    float *class1;   /* B x width: the class tokens of normal1 */
    float *query;    /* B x width, divided by sqrt(width / H) */
    float *probe;    /* B x H x width: Wk_h^T q_h */
    float *share;    /* B x H x pad(tokens): what a query takes of each token; zeros at the end */
    float *taken;    /* B x H x width: sum of share * normal1 */
    float *mixed;    /* B x width */
    float *normal2;  /* B x width */
    float *inverse2; /* pad(B) */
    float *hidden;   /* B x hidden, before GELU */
} ramify_branch_last;

/* first: the layer is the branch's first; keep: all rows of `hidden`. Of the input only images is
 * needed to count. */
void ramify_branch_carve_full(ramify_carver *carver, const ramify_branch_shape *shape,
                              const ramify_branch_input *input, bool first, bool keep,
                              ramify_branch_full *full);
void ramify_branch_carve_last(ramify_carver *carver, const ramify_branch_shape *shape,
                              const ramify_branch_input *input, bool first,
                              ramify_branch_last *last);

/* y[rows x d] = x normalised row by row, by way of columns[d x pad(rows)]; inverse[pad(rows)]. */
void ramify_branch_normalise_rows(const ramify_kernels *kernels, size_t rows, size_t d,
                                  const float *x, float epsilon, float *y, float *inverse,
                                  float *columns);

/* Its backward: dx[rows x d] from dy and what normalise_rows left; columns and dcolumns[d x
 * pad(rows)], padded[pad(rows)]. dx may be dy. */
void ramify_branch_denormalise_rows(const ramify_kernels *kernels, size_t rows, size_t d,
                                    const float *dy, const float *normal, const float *inverse,
                                    float *dx, float *columns, float *dcolumns, float *padded);

/* The tokens of image i, aligned: where they lie in x[width x ld] if that is aligned, else a copy. */
const float *ramify_branch_image(const ramify_branch_shape *shape, size_t image, const float *x,
                                 size_t ld, float *copy, size_t *stride);

/* A head's scores become shares: score[tokens x pad(count)] = softmax over keys of k^T q, for `count`
 * queries and all keys of an image, which begin at q and k; query: room for the queries, width / heads
 * x pad(count). */
void ramify_branch_attend(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                          size_t count, const float *q, const float *k, size_t ld, float *query,
                          float *score);

#endif

#ifndef RAMIFY_KERNELS_KERNELS_H
#define RAMIFY_KERNELS_KERNELS_H
/* The arithmetic of the library: a table of functions, one table per instruction set.
 *
 * What holds for every function:
 * - Matrices are row-major float32; `ld*` is the distance of two rows in floats. "Padded" means: a
 *   multiple of 16 floats, in memory aligned to 64 bytes. Arguments that need not be padded say so.
 * - A row's result never depends on the number of rows or on the rows beside it, to the bit. Sums
 *   over rows (gradients of per-column parameters) run in the order of the rows.
 * - Any size may be 0. Nothing outside the stated shapes is read or written.
 * - Inputs and outputs must not overlap unless the function says so.
 * - No state, no allocation, no errors: callers check shapes. Safe from any thread.
 * - NaN and infinities go through as IEEE arithmetic lets them.
 *
 * A set may come twice under its name, the second time with instructions that some of its processors
 * lack and that give the same bits faster ("avx512", with VNNI for int8 weights).
 *
 * Two sets round differently where one has fused multiply-adds and the other has not, or where
 * their vectors split a sum differently. That is why a model's exact bits hold for one set. */

#include "index_set.h"
#include "masked.h"
#include "quantised.h"
#include "sparse.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Far below what moves a weight, far above the denormal numbers. */
#define RAMIFY_ADAMW_LEAST 1e-30F

/* What becomes of a product in float64: C = A B, C + A B or C - A B. */
typedef enum ramify_product {
    RAMIFY_PRODUCT_ALONE,
    RAMIFY_PRODUCT_ADDED,
    RAMIFY_PRODUCT_SUBTRACTED
} ramify_product;

/* Columns that are eliminated at a time. */
#define RAMIFY_PANEL 8

/* Rows whose series are summed side by side. */
#define RAMIFY_SERIES_ROWS 16

typedef struct ramify_kernels {
    const char *name; /* "reference", "baseline" (SSE2), "avx2", "avx512", "neon" */

    /* C[m x n] = (accumulate ? C : 0) + A[m x k] B[k x n].
     * A(i,p) is a[i*a_row + p*a_col], so A may be read transposed (a_row 1, a_col its stride).
     * n, ldb, ldc padded; a needs no alignment. An element of C is one chain of multiply-adds in
     * the order of p, starting from C or from 0; fused where the processor can, so "reference",
     * "avx2", "avx512" and "neon" give the same bits here. */
    void (*matmul)(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                   const float *b, size_t ldb, float *c, size_t ldc, bool accumulate);

    /* The same in float64, for least squares; n, ldb and ldc are multiples of 8. */
    void (*matmul_double)(size_t m, size_t n, size_t k, const double *a, size_t a_row, size_t a_col,
                          const double *b, size_t ldb, double *c, size_t ldc,
                          ramify_product product);

    /* Turns [R; A] into [R'; 0] by one reflector after the other for the first `steps` of 8 columns:
     * r[8 x 8] is upper triangular in these columns and the rest of it is carried along, a[rows x 8]
     * receives the reflectors' lower parts V (above, they are the identity) and carries along the
     * other columns; t[8 x 8] is upper triangular and [I; V] t^T [I; V]^T is what is taken from the
     * identity. lda and ldr are multiples of 8; a is aligned, r and t need not be. */
    void (*eliminate)(size_t rows, size_t steps, double *a, size_t lda, double *r, size_t ldr,
                      double *t);

    /* y[16] = sum over a series' terms, in the order of index_set.h, of coefficient times the product
     * over axes of values. The coefficients are doubles or, where these are NULL, floats. values and y
     * are aligned. */
    void (*series)(const ramify_series_at *at, const double *doubles, const float *floats,
                   double *y);

    /* y[rows x n] = prelu(x[rows x k] w[k x n] + bias[n]), one layer of an MLP in one pass, where
     * prelu(t) = t > 0 ? t : slope*t (He et al. 2015, eq. 1). slope[n]; NULL: no activation.
     * bias may be NULL. n, w, bias, slope, y padded; x needs no alignment. The chain starts from
     * the bias. */
    void (*affine)(size_t rows, size_t n, size_t k, const float *x, size_t ldx, const float *w,
                   size_t ldw, const float *bias, const float *slope, float *y, size_t ldy);

    /* y[rows x n] = x[rows x k] w[n x k]^T + bias[n], for few outputs (n of 1 is usual).
     * x and w padded, with zeros from k to the next multiple of 16. bias (may be NULL) and y need
     * no padding or alignment. */
    void (*dots)(size_t rows, size_t n, size_t k, const float *x, size_t ldx, const float *w,
                 size_t ldw, const float *bias, float *y, size_t ldy);

    /* y[n] of one row x[k], padded with zeros: the sum over an output's weights of weight times input,
     * in the order of steps, and then with a gain[n]
     *     h = sum * gain + bias,     without (NULL)     h = the sum, begun at bias
     * and y = prelu(h). bias (NULL: 0), gain and slope (NULL: y = h) padded. */
    void (*sparse_row)(const ramify_sparse *w, const float *x, const float *gain, const float *bias,
                       const float *slope, float *y);

    /* The same of many rows, which lie in columns: y[n x columns] from x[k x columns]; columns, x and
     * y padded. To the bit what sparse_row makes of each. */
    void (*sparse_columns)(const ramify_sparse *w, size_t columns, const float *x, size_t ldx,
                           const float *gain, const float *bias, const float *slope, float *y,
                           size_t ldy);

    /* to[count] from bfloat16 numbers, which are the upper halves of float32. All padded. */
    void (*widen)(size_t count, const uint16_t *from, float *to);

    /* Rows of whole numbers, to[rows x k] and their steps: x[rows x k] * gain[k] (NULL: 1) is about
     * to * step, where the largest of a row becomes ramify_round_most(k), so that nothing is clipped. A
     * row's step is NaN where a number of it is no number or infinite. All padded; padding of to is 0. */
    void (*round_rows)(size_t rows, size_t k, const float *x, size_t ldx, const float *gain,
                       int16_t *to, size_t ldto, float *step);

    /* y of such rows and int8 weights (quantised.h), `rows` of each of the members, one after the
     * other: h = (sum * step) * gain[members x n] + bias[members x n], where the sums of whole numbers
     * are exact, and y = prelu(h). bias NULL: 0; slope[n] NULL: y = h. All padded but step. */
    void (*affine_int8)(size_t members, size_t rows, size_t n, size_t k, const int16_t *x,
                        size_t ldx, const float *step, const int8_t *w, const float *gain,
                        const float *bias, const float *slope, float *y, size_t ldy);

    /* affine, with bfloat16 weights (quantised.h): to the bit what affine makes of the same weights as
     * float32. */
    void (*affine_bfloat16)(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                            const uint16_t *w, const float *bias, const float *slope, float *y,
                            size_t ldy);

    /* y[rows x n] = prelu(x[rows x k] w + bias), a few rows by a masked matrix; to the bit what affine
     * makes of them and the matrix spread out, for finite x. x needs no padding; bias (NULL: 0), slope
     * (NULL: none) and y padded. */
    void (*masked_rows)(const ramify_masked *w, size_t rows, const float *x, size_t ldx,
                        const float *bias, const float *slope, float *y, size_t ldy);

    /* dense[k x n] = the masked matrix with its zeros. Padded. */
    void (*unmask)(const ramify_masked *w, float *dense);

    /* b[n x m] = a[m x n]^T. No padding or alignment needed. */
    void (*transpose)(size_t m, size_t n, const float *a, size_t lda, float *b, size_t ldb);

    /* y[rows x n] = x * r[n], row by row. All padded. y may be x. */
    void (*scale_columns)(size_t rows, size_t n, const float *x, size_t ldx, const float *r,
                          float *y, size_t ldy);

    /* Backward of scale_columns, g = dL/dy: dr[n] += sum over rows of g*x; unless dx is NULL,
     * dx = (accumulate ? dx : 0) + g*r. All padded. dx may be g. */
    void (*scale_columns_backward)(size_t rows, size_t n, const float *g, size_t ldg,
                                   const float *x, size_t ldx, const float *r, float *dr, float *dx,
                                   size_t lddx, bool accumulate);

    /* y = prelu(h), h = z*s[n] + b[n] (s NULL: 1; slope NULL: y = h). All padded. y may be z. */
    void (*activate)(size_t rows, size_t n, const float *z, size_t ldz, const float *s,
                     const float *b, const float *slope, float *y, size_t ldy);

    /* Backward of activate; recomputes h from z. With dh = dy * (h > 0 ? 1 : slope):
     *   dz = dh*s,  db[n] += sum dh,  ds[n] += sum dh*z,  dslope[n] += sum (h > 0 ? 0 : dy*h).
     * ds is ignored when s is NULL, dslope when slope is NULL. All padded. dz may be dy. */
    void (*activate_backward)(size_t rows, size_t n, const float *dy, size_t lddy, const float *z,
                              size_t ldz, const float *s, const float *b, const float *slope,
                              float *dz, size_t lddz, float *db, float *ds, float *dslope);

    /* out[rows x count] = squared Euclidean distance of each row of x[rows x dims] to each row of
     * prototypes[count x dims]. x and prototypes padded, with zeros from dims to the next multiple
     * of 16. out needs no padding or alignment. */
    void (*distances)(size_t rows, size_t count, size_t dims, const float *x, size_t ldx,
                      const float *prototypes, size_t ldp, float *out, size_t ldout);

    /* z[rows x columns] = (x - center) / scale in double, clipped to -clip .. clip; 0 where x is NaN.
     * The same bits in every set. No padding or alignment needed; padding of z is left alone. */
    void (*standardise)(size_t rows, size_t columns, const double *x, size_t ldx,
                        const double *center, const double *scale, double clip, float *z,
                        size_t ldz);

    /* waves[2 i] = sin(2 pi turns[i]), waves[2 i + 1] = cos(2 pi turns[i]); absolute error below 4e-7
     * for |turns| < 2^18. No padding or alignment needed. turns may be the second half of waves,
     * waves + count. */
    void (*waves)(size_t count, const float *turns, float *waves);

    /* y = softmax over the first `classes` of each row; padding of y is left alone. No padding or
     * alignment needed. y may be x. */
    void (*softmax)(size_t rows, size_t classes, const float *x, size_t ldx, float *y, size_t ldy);

    /* Cross-entropy in nats with label smoothing (Szegedy et al. 2016, section 7):
     *   target = (1 - smoothing)*onehot(label) + smoothing/classes
     *   loss[row] = - sum target * log softmax(x)              (not weighted)
     *   dx = (softmax(x) - target) * weight[row]               (weight NULL: 1; dx may be NULL)
     * labels must be below `classes`. No padding or alignment needed; padding of dx is left alone.
     * dx may be x. */
    void (*cross_entropy)(size_t rows, size_t classes, const float *x, size_t ldx,
                          const uint32_t *labels, float smoothing, const float *weight, float *loss,
                          float *dx, size_t lddx);

    /* The same towards given class probabilities, target[rows x classes], each row's sum 1:
     *   loss[row] = - sum target * log softmax(x),   dx = (softmax(x) - target) * weight[row]
     * weight NULL: 1; dx may be NULL. No padding or alignment needed; padding of dx is left alone.
     * dx may be x. */
    void (*cross_entropy_soft)(size_t rows, size_t classes, const float *x, size_t ldx,
                               const float *target, size_t ldt, const float *weight, float *loss,
                               float *dx, size_t lddx);

    /* One step of AdamW (Loshchilov and Hutter 2019, algorithm 2), g = gradient:
     *   m = beta1*m + (1-beta1)*g,  v = beta2*v + (1-beta2)*g*g
     *   p = p*(1 - rate*decay) - rate * (m/correction1) / (sqrt(v/correction2) + epsilon)
     * correction1 = 1 - beta1^t, correction2 = 1 - beta2^t at step t. All padded.
     * Numbers below RAMIFY_ADAMW_LEAST become 0: what decay leaves of weights and moments ends as
     * denormal numbers otherwise, for which processors take a hundred times as long. */
    void (*adamw)(size_t n, float *p, const float *g, float *m, float *v, float rate, float beta1,
                  float beta2, float epsilon, float decay, float correction1, float correction2);

    /* Moving average of parameters: average += (1-keep) * (p - average). All padded. */
    void (*average)(size_t n, float *average, const float *p, float keep);
    /* Matrices whose columns are tokens: features x tokens. */

    /* y[d x n] = (x - mean) * inverse, column by column, inverse[n] = 1 / sqrt(variance + epsilon),
     * variance and mean those of the column's d values (Ba, Kiros and Hinton 2016, without gain and
     * bias). n, y and inverse padded; x needs no alignment. y may be x. */
    void (*normalise_columns)(size_t d, size_t n, const float *x, size_t ldx, float epsilon,
                              float *y, size_t ldy, float *inverse);

    /* Its backward, from y: dx = (accumulate ? dx : 0) + inverse * (dy - mean dy - y * mean(dy*y)),
     * means over each column. All padded. dx may be dy. */
    void (*normalise_columns_backward)(size_t d, size_t n, const float *dy, size_t lddy,
                                       const float *y, size_t ldy, const float *inverse, float *dx,
                                       size_t lddx, bool accumulate);

    /* y[d x n] = x * gain[d] + bias[d], a number for each row. gain NULL: 1; bias NULL: 0; x NULL:
     * y = bias. n, x and y padded. y may be x. */
    void (*scale_rows)(size_t d, size_t n, const float *x, size_t ldx, const float *gain,
                       const float *bias, float *y, size_t ldy);

    /* Backward of scale_rows, g = dL/dy: dgain[d] += sum over columns of g*x, dbias[d] += sum of g,
     * dx = (accumulate ? dx : 0) + g*gain. dgain (and with it x), dbias and dx may be NULL, gain too: 1.
     * n, g, x and dx padded; the sums run over all n columns. dx may be g. */
    void (*scale_rows_backward)(size_t d, size_t n, const float *g, size_t ldg, const float *x,
                                size_t ldx, const float *gain, float *dgain, float *dbias,
                                float *dx, size_t lddx, bool accumulate);

    /* x[keys x n] = softmax of scale * x down each column, scale above 0. n and x padded. */
    void (*softmax_columns)(size_t keys, size_t n, float *x, size_t ldx, float scale);

    /* Its backward, p = its result, in place: dp = scale * p * (dp - sum over keys of p*dp). All
     * padded. */
    void (*softmax_columns_backward)(size_t keys, size_t n, const float *p, size_t ldp, float *dp,
                                     size_t lddp, float scale);

    /* y = x * Phi(x), Phi the standard normal distribution function (Hendrycks and Gimpel 2016, the
     * exact form); absolute error below 1e-6 * |x|. All padded. y may be x. */
    void (*gelu)(size_t rows, size_t n, const float *x, size_t ldx, float *y, size_t ldy);

    /* dx = dy * (Phi(x) + x * phi(x)). All padded. dx may be dy or x. */
    void (*gelu_backward)(size_t rows, size_t n, const float *dy, size_t lddy, const float *x,
                          size_t ldx, float *dx, size_t lddx);
} ramify_kernels;

/* The plain, readable set that the others are tested against; there on every machine, and slow. */
const ramify_kernels *ramify_kernels_reference(void);

/* The set with this name; NULL or "" asks for the fastest one this processor can run. Returns NULL
 * when the name is unknown or the processor can't run that set. */
const ramify_kernels *ramify_kernels_select(const char *isa);

/* Every set this processor can run, the reference first, the fastest last: *list is set to an
 * array that lives as long as the program. Returns its length. */
size_t ramify_kernels_list(const ramify_kernels *const **list);

#endif

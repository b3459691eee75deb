#ifndef RAMIFY_MODULES_BANDLIMITED_H
#define RAMIFY_MODULES_BANDLIMITED_H
/* A band-limited series on a box: a sum of products of one function per axis, over an index set
 * (index_set.h). An axis is a raw column x, mapped to u = (x - origin) / length, with the functions
 *     fourier     1, sqrt2 cos(2 pi k u), sqrt2 sin(2 pi k u)     length is the period
 *     cosine      1, sqrt2 cos(pi k u)                            0 <= u <= 1
 *     chebyshev   1, sqrt2 T_k(2u - 1)                            0 <= u <= 1
 * The factor sqrt2 makes every function's mean square 1 in its own measure. On the last two, u below 0
 * is taken as 0 and above 1 as 1: outside its box a series goes on as it is at the border.
 *
 * All of it is float64; coefficients may be stored as float32. The record, little-endian:
 *     64 bytes                          ramify_series_header
 *     axes x 32 bytes                   ramify_series_axis, padded with zeros to a multiple of 64
 *     outputs x pad(terms) numbers      coefficients in the order of index_set.h, each output padded
 *                                       with zeros to a multiple of 64 bytes */

#include "kernels.h"
#include "ramify.h"

/* Caps; they hold for files from strangers. A walk is as deep as there are axes. */
#define RAMIFY_SERIES_AXES_MAX  64
#define RAMIFY_SERIES_BAND_MAX  16384
#define RAMIFY_SERIES_TERMS_MAX (1 << 24)
#define RAMIFY_SERIES_BYTES_MAX ((uint64_t)1 << 30)
/* Size of coefficients, origins and lengths: the sum over all terms stays finite. */
#define RAMIFY_SERIES_NUMBER_MAX 1e150

enum { RAMIFY_BASIS_FOURIER = 0, RAMIFY_BASIS_COSINE = 1, RAMIFY_BASIS_CHEBYSHEV = 2 };

typedef struct ramify_series_header {
    uint32_t set; /* ramify_index_set */
    uint32_t band;
    uint32_t axes;
    uint32_t outputs;
    uint32_t terms;   /* of each output */
    uint32_t bytes;   /* of a coefficient: 8 or 4 */
    uint32_t refuses; /* 1: rows outside the box are refused; 0: they are taken to its border */
    uint32_t reserved[9];
} ramify_series_header;

typedef struct ramify_series_axis {
    double origin, length; /* length above 0 */
    uint32_t column;       /* raw column; ascending over axes */
    uint32_t basis;
    uint32_t reserved[2];
} ramify_series_axis;

/* Whether a range is of a size that an axis can have. */
bool ramify_series_range_usable(double low, double high);

/* An axis over the range of `rows` rows and a little more, six times the mean distance from row to row and
 * at most a twentieth of the range: one in so many other rows like them lies outside their range, and
 * that near to it a series that rows carry is still what it is inside. */
ramify_series_axis ramify_series_axis_over(uint32_t column, uint32_t basis, double low, double high,
                                           size_t rows);

/* What all series of a model have in common; in its config. */
typedef struct ramify_series_shape {
    uint32_t columns; /* raw columns of a row */
    uint32_t outputs;
    uint32_t most_bytes;     /* of a record */
    uint32_t most_functions; /* of one series, over all axes */
    uint32_t most_numbers;   /* coefficients of one series, over all outputs */
} ramify_series_shape;

static inline int ramify_basis_pairs(uint32_t basis) {
    return basis == RAMIFY_BASIS_FOURIER;
}

static inline const ramify_series_axis *ramify_series_axes(const ramify_series_header *record) {
    return (const ramify_series_axis *)(record + 1);
}

/* The first coefficient of an output. */
const void *ramify_series_coefficients(const ramify_series_header *record, uint32_t output);

/* Terms of a series, or more than `most` where there are more: counting ends there. pairs[axes] as in
 * ramify_series_at. */
uint64_t ramify_series_count(ramify_index_set set, uint32_t band, uint32_t axes,
                             const unsigned char *pairs, uint64_t most);

/* Bytes of a record, a multiple of 64. */
uint64_t ramify_series_bytes(uint32_t axes, uint32_t outputs, uint64_t terms, uint32_t number);

/* Functions over all axes. */
uint64_t ramify_series_functions(uint32_t band, uint32_t axes, const unsigned char *pairs);

/* The terms of a series in the order in which bands hold them: all of band 0, then what band 1 adds,
 * and so on, each in the order of index_set.h. A term is the product of an earlier one, its parent,
 * with one function. Term 0 is the constant. */
typedef struct ramify_series_plan {
    uint32_t terms, band, axes, functions;
    uint32_t *parent;   /* terms */
    uint32_t *function; /* terms: index into a row's functions */
    uint32_t *place;    /* terms: its number in the order of index_set.h */
    uint32_t *first;    /* band + 2: first term that band b adds; the last is terms */
    uint32_t *begin;    /* axes: first function of each */
} ramify_series_plan;

/* Frees with ramify_series_plan_destroy. Fails where there are too many terms. */
ramify_status ramify_series_plan_create(ramify_context *context, ramify_index_set set,
                                        uint32_t band, uint32_t axes, const unsigned char *pairs,
                                        ramify_series_plan **plan);
void ramify_series_plan_destroy(ramify_context *context, ramify_series_plan **plan);

/* term[terms] = the terms at a point x[columns], in the plan's order; function[functions] is
 * scratch. axis[axes]. */
void ramify_series_terms(const ramify_series_plan *plan, const ramify_series_axis *axis,
                         const double *x, double *function, double *term);

/* NULL, or what is wrong with a record of `bytes` bytes from a stranger, as a short phrase. */
const char *ramify_series_check(const ramify_series_shape *shape, const void *record,
                                uint64_t bytes);

/* Bytes of 64-byte aligned scratch of run, and with `slopes` of gradient. */
size_t ramify_series_scratch(const ramify_series_shape *shape, bool slopes);

/* y[count x outputs] at rows order[count] of x. NaN, and an infinity on a
 * periodic axis, count as its middle. Returns the
 * first of the rows that the record refuses, as a place in `order`, with *column, the column in which
 * it lies outside; count if there is none. A row's result does not depend on the others. */
size_t ramify_series_run(const ramify_kernels *kernels, const ramify_series_shape *shape,
                         const void *record, const double *x, size_t x_stride,
                         const uint32_t *order, size_t count, double *y, void *scratch,
                         uint32_t *column);

/* dx[count x columns] = the derivative of one output by the raw columns; 0 by columns that are no
 * axis, and across a border that a row was taken to. */
void ramify_series_gradient(const ramify_kernels *kernels, const ramify_series_shape *shape,
                            const void *record, const double *x, size_t x_stride,
                            const uint32_t *order, size_t count, uint32_t output, double *dx,
                            void *scratch);

#endif

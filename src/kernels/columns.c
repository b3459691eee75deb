/* Operations of transformer branches, whose matrices hold a token in each column: what is summed over
 * a token's features, or over the keys of a query, runs down a column, so that every lane has a sum
 * of its own and no token's bits depend on those beside it. */

#include "vector.h"

#include <math.h>

/* Columns go in groups of this many vectors where there are enough, so that a sum need not wait for
 * its last addition. */
#define GROUP 4

RAMIFY_INLINE vec load_unaligned(const float *from) {
    return *(const vec_unaligned *)from;
}

RAMIFY_INLINE void normalise_group(size_t d, const float *x, size_t ldx, float epsilon, float *y,
                                   size_t ldy, float *inverse, size_t vectors) {
    vec mean[GROUP], square[GROUP];
    RAMIFY_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        mean[v] = splat(0.0F);
        square[v] = splat(0.0F);
    }
    for (size_t i = 0; i < d; i++) {
        RAMIFY_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            mean[v] += load_unaligned(x + i * ldx + v * LANES);
        }
    }
    RAMIFY_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        mean[v] /= (float)d;
    }
    for (size_t i = 0; i < d; i++) {
        RAMIFY_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            vec off = load_unaligned(x + i * ldx + v * LANES) - mean[v];
            square[v] = multiply_add(off, off, square[v]);
        }
    }
    RAMIFY_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        vec variance = square[v] / (float)d + epsilon;
        float root[LANES];
        store_unaligned(root, variance);
        for (size_t l = 0; l < LANES; l++) {
            root[l] = 1.0F / sqrtf(root[l]);
        }
        square[v] = load_unaligned(root);
        store(inverse + v * LANES, square[v]);
    }
    for (size_t i = 0; i < d; i++) {
        RAMIFY_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            vec off = load_unaligned(x + i * ldx + v * LANES) - mean[v];
            store(y + i * ldy + v * LANES, off * square[v]);
        }
    }
}

void RAMIFY_KERNEL(normalise_columns)(size_t d, size_t n, const float *x, size_t ldx, float epsilon,
                                      float *y, size_t ldy, float *inverse) {
    size_t j = 0;
    for (; j + GROUP * LANES <= n; j += GROUP * LANES) {
        normalise_group(d, x + j, ldx, epsilon, y + j, ldy, inverse + j, GROUP);
    }
    for (; j < n; j += LANES) {
        normalise_group(d, x + j, ldx, epsilon, y + j, ldy, inverse + j, 1);
    }
}

void RAMIFY_KERNEL(normalise_columns_backward)(size_t d, size_t n, const float *dy, size_t lddy,
                                               const float *y, size_t ldy, const float *inverse,
                                               float *dx, size_t lddx, bool accumulate) {
    for (size_t j = 0; j < n; j += LANES) {
        vec sum = splat(0.0F), product = splat(0.0F);
        for (size_t i = 0; i < d; i++) {
            vec gradient = load(dy + i * lddy + j);
            sum += gradient;
            product = multiply_add(gradient, load(y + i * ldy + j), product);
        }
        const vec mean = sum / (float)d, slope = product / (float)d, scale = load(inverse + j);
        for (size_t i = 0; i < d; i++) {
            vec part = load(dy + i * lddy + j) - mean - load(y + i * ldy + j) * slope;
            float *to = dx + i * lddx + j;
            store(to, accumulate ? load(to) + scale * part : scale * part);
        }
    }
}

void RAMIFY_KERNEL(scale_rows)(size_t d, size_t n, const float *x, size_t ldx, const float *gain,
                               const float *bias, float *y, size_t ldy) {
    for (size_t i = 0; i < d; i++) {
        const vec scale = splat(gain ? gain[i] : 1.0F), shift = splat(bias ? bias[i] : 0.0F);
        for (size_t j = 0; j < n; j += LANES) {
            store(y + i * ldy + j, x ? multiply_add(load(x + i * ldx + j), scale, shift) : shift);
        }
    }
}

void RAMIFY_KERNEL(scale_rows_backward)(size_t d, size_t n, const float *g, size_t ldg,
                                        const float *x, size_t ldx, const float *gain, float *dgain,
                                        float *dbias, float *dx, size_t lddx, bool accumulate) {
    const vec zero = splat(0.0F);
    for (size_t i = 0; i < d; i++) {
        const vec scale = splat(gain ? gain[i] : 1.0F);
        vec sum = zero, product = zero;
        for (size_t j = 0; j < n; j += LANES) {
            vec gradient = load(g + i * ldg + j);
            sum += gradient;
            if (dgain) {
                product = multiply_add(gradient, load(x + i * ldx + j), product);
            }
            if (dx) {
                float *to = dx + i * lddx + j;
                store(to, multiply_add(gradient, scale, accumulate ? load(to) : zero));
            }
        }
        quad sums = sum_lanes(sum, product, zero, zero);
        if (dbias) {
            dbias[i] += sums[0];
        }
        if (dgain) {
            dgain[i] += sums[1];
        }
    }
}

void RAMIFY_KERNEL(softmax_columns)(size_t keys, size_t n, float *x, size_t ldx, float scale) {
    for (size_t j = 0; j < n && keys > 0; j += LANES) {
        vec most = load(x + j), sum = splat(0.0F);
        for (size_t i = 1; i < keys; i++) {
            vec value = load(x + i * ldx + j);
            most = choose(value > most, value, most);
        }
        for (size_t i = 0; i < keys; i++) {
            float *at = x + i * ldx + j;
            vec value = exp_negative((load(at) - most) * scale);
            store(at, value);
            sum += value;
        }
        const vec inverse = 1.0F / sum;
        for (size_t i = 0; i < keys; i++) {
            float *at = x + i * ldx + j;
            store(at, load(at) * inverse);
        }
    }
}

void RAMIFY_KERNEL(softmax_columns_backward)(size_t keys, size_t n, const float *p, size_t ldp,
                                             float *dp, size_t lddp, float scale) {
    for (size_t j = 0; j < n; j += LANES) {
        vec mean = splat(0.0F);
        for (size_t i = 0; i < keys; i++) {
            mean = multiply_add(load(p + i * ldp + j), load(dp + i * lddp + j), mean);
        }
        for (size_t i = 0; i < keys; i++) {
            float *at = dp + i * lddp + j;
            store(at, load(p + i * ldp + j) * (load(at) - mean) * scale);
        }
    }
}

/* erf(x) / x as a quotient of two polynomials in x*x up to |x| = 3.925, where it is 1 in float32;
 * fitted to equal relative errors, 2e-8 before rounding. */
RAMIFY_INLINE vec error_function(vec x) {
    const vec most = splat(3.925F);
    x = choose(x > most, most, x);
    x = choose(x < -most, -most, x);
    vec t = x * x;
    vec p = splat(2.046009628e-6F);
    p = multiply_add(p, t, splat(2.848437331e-4F));
    p = multiply_add(p, t, splat(3.772592375e-3F));
    p = multiply_add(p, t, splat(5.276942638e-2F));
    p = multiply_add(p, t, splat(1.905948517e-1F));
    p = multiply_add(p, t, splat(1.128379146F));
    vec q = splat(3.804759958e-5F);
    q = multiply_add(q, t, splat(1.163866596e-3F));
    q = multiply_add(q, t, splat(1.498328323e-2F));
    q = multiply_add(q, t, splat(1.141831596e-1F));
    q = multiply_add(q, t, splat(5.022430198e-1F));
    q = multiply_add(q, t, splat(1.0F));
    return x * p / q;
}

/* The standard normal distribution's share below x. */
RAMIFY_INLINE vec normal_share(vec x) {
    return 0.5F + 0.5F * error_function(x * 0.70710678F);
}

void RAMIFY_KERNEL(gelu)(size_t rows, size_t n, const float *x, size_t ldx, float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j += LANES) {
            vec value = load(x + i * ldx + j);
            store(y + i * ldy + j, value * normal_share(value));
        }
    }
}

void RAMIFY_KERNEL(gelu_backward)(size_t rows, size_t n, const float *dy, size_t lddy,
                                  const float *x, size_t ldx, float *dx, size_t lddx) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j += LANES) {
            vec value = load(x + i * ldx + j);
            vec density = 0.39894228F * exp_negative(-0.5F * value * value);
            vec slope = multiply_add(value, density, normal_share(value));
            store(dx + i * lddx + j, load(dy + i * lddy + j) * slope);
        }
    }
}

/* Operations that touch every element once: what counts is reading and writing it only once.
 *
 * Backward passes also sum over rows. They walk column by column of vectors, so that the sums stay
 * in registers and are written once. */

#include "vector.h"

void RAMIFY_KERNEL(transpose)(size_t m, size_t n, const float *a, size_t lda, float *b,
                              size_t ldb) {
    /* Tiles of 16 x 16: both sides of a tile fit in the first-level cache whatever the strides. */
    for (size_t i0 = 0; i0 < m; i0 += 16) {
        size_t i1 = i0 + 16 < m ? i0 + 16 : m;
        for (size_t j0 = 0; j0 < n; j0 += 16) {
            size_t j1 = j0 + 16 < n ? j0 + 16 : n;
            for (size_t j = j0; j < j1; j++) {
                for (size_t i = i0; i < i1; i++) {
                    b[j * ldb + i] = a[i * lda + j];
                }
            }
        }
    }
}

void RAMIFY_KERNEL(scale_columns)(size_t rows, size_t n, const float *x, size_t ldx, const float *r,
                                  float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j += LANES) {
            store(y + i * ldy + j, load(x + i * ldx + j) * load(r + j));
        }
    }
}

void RAMIFY_KERNEL(scale_columns_backward)(size_t rows, size_t n, const float *g, size_t ldg,
                                           const float *x, size_t ldx, const float *r, float *dr,
                                           float *dx, size_t lddx, bool accumulate) {
    for (size_t j = 0; j < n; j += LANES) {
        const vec scale = load(r + j);
        vec sum = load(dr + j);
        for (size_t i = 0; i < rows; i++) {
            vec gradient = load(g + i * ldg + j);
            sum += gradient * load(x + i * ldx + j);
            if (dx) {
                float *to = dx + i * lddx + j;
                store(to, accumulate ? load(to) + gradient * scale : gradient * scale);
            }
        }
        store(dr + j, sum);
    }
}

void RAMIFY_KERNEL(activate)(size_t rows, size_t n, const float *z, size_t ldz, const float *s,
                             const float *b, const float *slope, float *y, size_t ldy) {
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < n; j += LANES) {
            vec h = load(z + i * ldz + j) * (s ? load(s + j) : splat(1.0F)) + load(b + j);
            store(y + i * ldy + j, slope ? prelu(h, load(slope + j)) : h);
        }
    }
}

/* `scaled` (s is there) and `active` (slope is there) are constants wherever this is expanded. */
RAMIFY_INLINE void backward(size_t rows, size_t n, const float *dy, size_t lddy, const float *z,
                            size_t ldz, const float *s, const float *b, const float *slope,
                            float *dz, size_t lddz, float *db, float *ds, float *dslope,
                            bool scaled, bool active) {
    const vec zero = splat(0.0F);
    for (size_t j = 0; j < n; j += LANES) {
        const vec scale = scaled ? load(s + j) : splat(1.0F);
        const vec shift = load(b + j);
        const vec bend = active ? load(slope + j) : zero;
        vec sum_b = load(db + j);
        vec sum_s = scaled ? load(ds + j) : zero;
        vec sum_slope = active ? load(dslope + j) : zero;
        for (size_t i = 0; i < rows; i++) {
            vec dh = load(dy + i * lddy + j);
            vec input = load(z + i * ldz + j);
            if (active) {
                vec h = input * scale + shift;
                sum_slope += dh * choose(h > 0.0F, zero, h);
                dh = choose(h > 0.0F, dh, dh * bend);
            }
            sum_b += dh;
            if (scaled) {
                sum_s += dh * input;
            }
            store(dz + i * lddz + j, scaled ? dh * scale : dh);
        }
        store(db + j, sum_b);
        if (scaled) {
            store(ds + j, sum_s);
        }
        if (active) {
            store(dslope + j, sum_slope);
        }
    }
}

void RAMIFY_KERNEL(activate_backward)(size_t rows, size_t n, const float *dy, size_t lddy,
                                      const float *z, size_t ldz, const float *s, const float *b,
                                      const float *slope, float *dz, size_t lddz, float *db,
                                      float *ds, float *dslope) {
    if (s && slope) {
        backward(rows, n, dy, lddy, z, ldz, s, b, slope, dz, lddz, db, ds, dslope, true, true);
    } else if (s) {
        backward(rows, n, dy, lddy, z, ldz, s, b, slope, dz, lddz, db, ds, dslope, true, false);
    } else if (slope) {
        backward(rows, n, dy, lddy, z, ldz, s, b, slope, dz, lddz, db, ds, dslope, false, true);
    } else {
        backward(rows, n, dy, lddy, z, ldz, s, b, slope, dz, lddz, db, ds, dslope, false, false);
    }
}

void RAMIFY_KERNEL(average)(size_t n, float *average, const float *p, float keep) {
    const float step = 1.0F - keep;
    for (size_t i = 0; i < n; i += LANES) {
        vec old = load(average + i);
        store(average + i, old + step * (load(p + i) - old));
    }
}

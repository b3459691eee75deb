/* Operations that touch every element once: what counts is reading and writing it only once.
 *
 * Where rows share parameters, or sums run over rows, the walk is down one column of vectors after
 * the other, so that these stay in registers. */

#include "vector.h"

typedef float quad_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

/* b[4 x 4] = a[4 x 4]^T, in registers. */
RAMIFY_INLINE void transpose_quads(const float *a, size_t lda, float *b, size_t ldb) {
    quad r0 = *(const quad_unaligned *)a;
    quad r1 = *(const quad_unaligned *)(a + lda);
    quad r2 = *(const quad_unaligned *)(a + 2 * lda);
    quad r3 = *(const quad_unaligned *)(a + 3 * lda);
    quad low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    quad low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    quad high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    quad high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    *(quad_unaligned *)b = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(quad_unaligned *)(b + ldb) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(quad_unaligned *)(b + 2 * ldb) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(quad_unaligned *)(b + 3 * ldb) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

static void transpose_plain(size_t m, size_t n, const float *a, size_t lda, float *b, size_t ldb) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            b[j * ldb + i] = a[i * lda + j];
        }
    }
}

void RAMIFY_KERNEL(transpose)(size_t m, size_t n, const float *a, size_t lda, float *b,
                              size_t ldb) {
    const size_t whole_m = m / 4 * 4;
    const size_t whole_n = n / 4 * 4;
    for (size_t i0 = 0; i0 < whole_m; i0 += 16) {
        /* Sixteen rows of a are one cache line in each row of b: it is written while in cache. */
        const size_t i1 = i0 + 16 < whole_m ? i0 + 16 : whole_m;
        for (size_t j = 0; j < whole_n; j += 4) {
            for (size_t i = i0; i < i1; i += 4) {
                transpose_quads(a + i * lda + j, lda, b + j * ldb + i, ldb);
            }
        }
    }
    transpose_plain(whole_m, n - whole_n, a + whole_n, lda, b + whole_n * ldb, ldb);
    transpose_plain(m - whole_m, n, a + whole_m * lda, lda, b + whole_m, ldb);
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
    for (size_t j = 0; j < n; j += LANES) {
        const vec scale = s ? load(s + j) : splat(1.0F);
        const vec shift = load(b + j);
        /* A slope of 1 is no activation. */
        const vec bend = slope ? load(slope + j) : splat(1.0F);
        for (size_t i = 0; i < rows; i++) {
            store(y + i * ldy + j, prelu(load(z + i * ldz + j) * scale + shift, bend));
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

/* Plain: the compiler makes vectors of doubles of it, and no sum is in it that their width could
 * change. */
void RAMIFY_KERNEL(standardise)(size_t rows, size_t columns, const double *x, size_t ldx,
                                const double *center, const double *scale, double clip, float *z,
                                size_t ldz) {
    for (size_t i = 0; i < rows; i++) {
        const double *from = x + i * ldx;
        float *restrict to = z + i * ldz;
        for (size_t j = 0; j < columns; j++) {
            double value = (from[j] - center[j]) / scale[j];
            value = value > clip ? clip : value;
            value = value < -clip ? -clip : value;
            to[j] = value == value ? (float)value : 0.0F;
        }
    }
}

void RAMIFY_KERNEL(waves)(size_t count, const float *turns, float *waves) {
    for (size_t i = 0; i < count; i += LANES) {
        /* One loop for whole vectors and the rest: a wave's bits do not depend on its place. A block
         * is read before it is written over; the next one's turns lie beyond what it writes. */
        size_t here = count - i < LANES ? count - i : LANES;
        vec t;
        if (here == LANES) {
            t = *(const vec_unaligned *)(turns + i);
        } else {
            t = load_some(turns + i, here, 0.0F);
        }
        vec part = part_of_turn(t); /* a quarter is added without much rounding to this only */
        vec sine = sine_turns(part);
        vec cosine = sine_turns(part + 0.25F);
#if LANES == 16
        vec low = __builtin_shufflevector(sine, cosine, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                          22, 7, 23);
        vec high = __builtin_shufflevector(sine, cosine, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                           29, 14, 30, 15, 31);
#elif LANES == 8
        vec low = __builtin_shufflevector(sine, cosine, 0, 8, 1, 9, 2, 10, 3, 11);
        vec high = __builtin_shufflevector(sine, cosine, 4, 12, 5, 13, 6, 14, 7, 15);
#else
        vec low = __builtin_shufflevector(sine, cosine, 0, 4, 1, 5);
        vec high = __builtin_shufflevector(sine, cosine, 2, 6, 3, 7);
#endif
        float *to = waves + 2 * i;
        if (here == LANES) {
            store_unaligned(to, low);
            store_unaligned(to + LANES, high);
        } else {
            size_t first = 2 * here < LANES ? 2 * here : LANES;
            store_some(to, first, low);
            if (2 * here > LANES) {
                store_some(to + LANES, 2 * here - LANES, high);
            }
        }
    }
}

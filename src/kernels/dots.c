/* Products of rows with rows: the last layer of a module (few outputs) and distances to
 * prototypes. Each pair is a sum over a vector's lanes; four pairs are reduced together. */

#include "vector.h"

/* What a pair sums: products, or squared differences. */
RAMIFY_INLINE vec step(vec sum, vec x, vec w, bool distance) {
    if (distance) {
        vec difference = x - w;
        return multiply_add(difference, difference, sum);
    }
    return multiply_add(x, w, sum);
}

/* Four pairs, two chains each: the chains hide the latency of the multiply-add. */
RAMIFY_INLINE quad four_pairs(size_t padded, const float *const x[4], const float *const w[4],
                              bool distance) {
    vec even[4];
    vec odd[4];
    RAMIFY_UNROLL
    for (size_t i = 0; i < 4; i++) {
        even[i] = splat(0.0F);
        odd[i] = splat(0.0F);
    }
    size_t p = 0;
    for (; p + LANES < padded; p += (size_t)2 * LANES) {
        RAMIFY_UNROLL
        for (size_t i = 0; i < 4; i++) {
            even[i] = step(even[i], load(x[i] + p), load(w[i] + p), distance);
            odd[i] = step(odd[i], load(x[i] + p + LANES), load(w[i] + p + LANES), distance);
        }
    }
    if (p < padded) {
        RAMIFY_UNROLL
        for (size_t i = 0; i < 4; i++) {
            even[i] = step(even[i], load(x[i] + p), load(w[i] + p), distance);
        }
    }
    return sum_lanes(even[0] + odd[0], even[1] + odd[1], even[2] + odd[2], even[3] + odd[3]);
}

RAMIFY_INLINE void pairs(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                         const float *w, size_t ldw, const float *bias, float *y, size_t ldy,
                         bool distance) {
    const size_t padded = (k + 15) / 16 * 16;
    /* Four outputs of a row at a time; outputs that are left over, four rows at a time. Where
     * fewer than four are left, the last one is computed again in the idle places. */
    const size_t whole = n / 4 * 4;
    for (size_t i = 0; i < rows; i++) {
        const float *row = x + i * ldx;
        for (size_t j = 0; j < whole; j += 4) {
            const float *w0 = w + j * ldw;
            quad sums = four_pairs(
                padded, (const float *const[4]){row, row, row, row},
                (const float *const[4]){w0, w0 + ldw, w0 + 2 * ldw, w0 + 3 * ldw}, distance);
            for (size_t t = 0; t < 4; t++) {
                y[i * ldy + j + t] = sums[t] + (bias ? bias[j + t] : 0.0F);
            }
        }
    }
    for (size_t j = whole; j < n; j++) {
        const float *wj = w + j * ldw;
        const float start = bias ? bias[j] : 0.0F;
        for (size_t i = 0; i < rows; i += 4) {
            const size_t last = rows - 1;
            const size_t i1 = i + 1 < last ? i + 1 : last;
            const size_t i2 = i + 2 < last ? i + 2 : last;
            const size_t i3 = i + 3 < last ? i + 3 : last;
            quad sums = four_pairs(
                padded,
                (const float *const[4]){x + i * ldx, x + i1 * ldx, x + i2 * ldx, x + i3 * ldx},
                (const float *const[4]){wj, wj, wj, wj}, distance);
            for (size_t t = 0; t < 4 && i + t < rows; t++) {
                y[(i + t) * ldy + j] = sums[t] + start;
            }
        }
    }
}

void RAMIFY_KERNEL(dots)(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                         const float *w, size_t ldw, const float *bias, float *y, size_t ldy) {
    pairs(rows, n, k, x, ldx, w, ldw, bias, y, ldy, false);
}

void RAMIFY_KERNEL(distances)(size_t rows, size_t count, size_t dims, const float *x, size_t ldx,
                              const float *prototypes, size_t ldp, float *out, size_t ldout) {
    pairs(rows, count, dims, x, ldx, prototypes, ldp, NULL, out, ldout, true);
}

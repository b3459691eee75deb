/* Products with masked matrices (masked.h): of one row the weights are spread over the lanes as they are
 * read; for many rows the matrix is spread out first, and the dense product does the rest. */

#include "vector.h"

/* The weights of a line of 16 outputs, spread over so many vectors; returns how many there were. */
RAMIFY_INLINE size_t spread(const float *weights, uint32_t mask, vec *line) {
#if LANES == 16
    line[0] = _mm512_maskz_expandloadu_ps((__mmask16)mask, weights);
    return (size_t)__builtin_popcount(mask);
#else
    size_t next = 0;
    for (size_t p = 0; p < 16 / LANES; p++) {
        float lanes[LANES];
        for (size_t l = 0; l < LANES; l++) {
            const uint32_t there = mask >> (p * LANES + l) & 1;
            lanes[l] = there ? weights[next] : 0.0F;
            next += there;
        }
        line[p] = *(const vec_unaligned *)lanes;
    }
    return next;
#endif
}

/* Vectors of a line. */
enum { PARTS = 16 / LANES };

RAMIFY_INLINE const float *panel_row(size_t k, size_t lines, const uint16_t *masks,
                                     const float *weights, const float *x, const float *bias,
                                     const float *slope, float *y) {
    vec sum[RAMIFY_PANEL_LINES * PARTS];
    RAMIFY_UNROLL
    for (size_t i = 0; i < lines * PARTS; i++) {
        sum[i] = bias ? load(bias + i * LANES) : splat(0.0F);
    }
    for (size_t input = 0; input < k; input++) {
        const vec left = splat(x[input]);
        RAMIFY_UNROLL
        for (size_t i = 0; i < lines; i++) {
            vec line[PARTS];
            weights += spread(weights, masks[i], line);
            RAMIFY_UNROLL
            for (size_t p = 0; p < PARTS; p++) {
                sum[i * PARTS + p] = multiply_add(left, line[p], sum[i * PARTS + p]);
            }
        }
        masks += lines;
    }
    RAMIFY_UNROLL
    for (size_t i = 0; i < lines * PARTS; i++) {
        store(y + i * LANES, slope ? prelu(sum[i], load(slope + i * LANES)) : sum[i]);
    }
    return weights;
}

void RAMIFY_KERNEL(masked_row)(const ramify_masked *w, const float *x, const float *bias,
                               const float *slope, float *y) {
    const uint16_t *masks = w->masks;
    const float *weights = w->weights;
    for (size_t left = w->n / 16, lines; left > 0; left -= lines) {
        lines = left < RAMIFY_PANEL_LINES ? left : RAMIFY_PANEL_LINES;
        switch (lines) {
        case 1:
            weights = panel_row(w->k, 1, masks, weights, x, bias, slope, y);
            break;
        case 2:
            weights = panel_row(w->k, 2, masks, weights, x, bias, slope, y);
            break;
        case 3:
            weights = panel_row(w->k, 3, masks, weights, x, bias, slope, y);
            break;
        case 4:
            weights = panel_row(w->k, 4, masks, weights, x, bias, slope, y);
            break;
        case 5:
            weights = panel_row(w->k, 5, masks, weights, x, bias, slope, y);
            break;
        case 6:
            weights = panel_row(w->k, 6, masks, weights, x, bias, slope, y);
            break;
        case 7:
            weights = panel_row(w->k, 7, masks, weights, x, bias, slope, y);
            break;
        default:
            weights = panel_row(w->k, 8, masks, weights, x, bias, slope, y);
        }
        masks += w->k * lines;
        bias = bias ? bias + lines * 16 : NULL;
        slope = slope ? slope + lines * 16 : NULL;
        y += lines * 16;
    }
}

void RAMIFY_KERNEL(unmask)(const ramify_masked *w, float *dense) {
    const uint16_t *masks = w->masks;
    const float *weights = w->weights;
    for (size_t first = 0; first < w->n / 16; first += RAMIFY_PANEL_LINES) {
        const size_t left = w->n / 16 - first;
        const size_t lines = left < RAMIFY_PANEL_LINES ? left : RAMIFY_PANEL_LINES;
        for (size_t input = 0; input < w->k; input++) {
            for (size_t i = 0; i < lines; i++) {
                vec line[PARTS];
                weights += spread(weights, *masks++, line);
                RAMIFY_UNROLL
                for (size_t p = 0; p < PARTS; p++) {
                    store(dense + input * w->n + (first + i) * 16 + p * LANES, line[p]);
                }
            }
        }
    }
}

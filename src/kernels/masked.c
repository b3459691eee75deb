/* Products with masked matrices (masked.h): of a few rows the weights are spread over the lanes as they
 * are read; for many rows the matrix is spread out first, and the dense product does the rest. */

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

/* Rows for which weights are spread once: as many as there are registers for. */
#if LANES == 16
#define GROUP 3
#else
#define GROUP 1
#endif

/* Some rows, at most GROUP, and where they go. */
typedef struct rows_of {
    const float *x;
    size_t ldx;
    const float *bias, *slope;
    float *y;
    size_t ldy;
} rows_of;

RAMIFY_INLINE const float *panel_rows(const rows_of *q, size_t rows, size_t k, size_t lines,
                                      const uint16_t *masks, const float *weights) {
    vec sum[GROUP][RAMIFY_PANEL_LINES * PARTS];
    RAMIFY_UNROLL
    for (size_t i = 0; i < lines * PARTS; i++) {
        const vec start = q->bias ? load(q->bias + i * LANES) : splat(0.0F);
        RAMIFY_UNROLL
        for (size_t r = 0; r < rows; r++) {
            sum[r][i] = start;
        }
    }
    for (size_t input = 0; input < k; input++) {
        vec left[GROUP];
        RAMIFY_UNROLL
        for (size_t r = 0; r < rows; r++) {
            left[r] = splat(q->x[r * q->ldx + input]);
        }
        RAMIFY_UNROLL
        for (size_t i = 0; i < lines; i++) {
            vec line[PARTS];
            weights += spread(weights, masks[i], line);
            RAMIFY_UNROLL
            for (size_t p = 0; p < PARTS; p++) {
                RAMIFY_UNROLL
                for (size_t r = 0; r < rows; r++) {
                    sum[r][i * PARTS + p] = multiply_add(left[r], line[p], sum[r][i * PARTS + p]);
                }
            }
        }
        masks += lines;
    }
    RAMIFY_UNROLL
    for (size_t i = 0; i < lines * PARTS; i++) {
        const vec slope = q->slope ? load(q->slope + i * LANES) : splat(0.0F);
        RAMIFY_UNROLL
        for (size_t r = 0; r < rows; r++) {
            store(q->y + r * q->ldy + i * LANES, q->slope ? prelu(sum[r][i], slope) : sum[r][i]);
        }
    }
    return weights;
}

typedef const float *panel_function(const rows_of *q, size_t k, const uint16_t *masks,
                                    const float *weights);

#define PANEL(rows, lines)                                                                         \
    static __attribute__((noinline)) const float *panel_##rows##_##lines(                          \
        const rows_of *q, size_t k, const uint16_t *masks, const float *weights) {                 \
        return panel_rows(q, rows, k, lines, masks, weights);                                      \
    }
#define PANELS(rows)                                                                               \
    PANEL(rows, 1)                                                                                 \
    PANEL(rows, 2)                                                                                 \
    PANEL(rows, 3) PANEL(rows, 4) PANEL(rows, 5) PANEL(rows, 6) PANEL(rows, 7) PANEL(rows, 8)
#define NAMES(rows)                                                                                \
    {                                                                                              \
        panel_##rows##_1, panel_##rows##_2, panel_##rows##_3, panel_##rows##_4, panel_##rows##_5,  \
            panel_##rows##_6, panel_##rows##_7, panel_##rows##_8                                   \
    }
PANELS(1)
#if GROUP > 1
PANELS(2)
PANELS(3)
#endif

static panel_function *const panels[GROUP][RAMIFY_PANEL_LINES] = {
    NAMES(1),
#if GROUP > 1
    NAMES(2),
    NAMES(3),
#endif
};

static void group(const ramify_masked *w, rows_of q, size_t rows) {
    const uint16_t *masks = w->masks;
    const float *weights = w->weights;
    for (size_t left = w->n / 16, lines; left > 0; left -= lines) {
        lines = left < RAMIFY_PANEL_LINES ? left : RAMIFY_PANEL_LINES;
        weights = panels[rows - 1][lines - 1](&q, w->k, masks, weights);
        masks += w->k * lines;
        q.bias = q.bias ? q.bias + lines * 16 : NULL;
        q.slope = q.slope ? q.slope + lines * 16 : NULL;
        q.y += lines * 16;
    }
}

void RAMIFY_KERNEL(masked_rows)(const ramify_masked *w, size_t rows, const float *x, size_t ldx,
                                const float *bias, const float *slope, float *y, size_t ldy) {
    for (size_t first = 0, some; first < rows; first += some) {
        some = rows - first < GROUP ? rows - first : GROUP;
        group(w, (rows_of){x + first * ldx, ldx, bias, slope, y + first * ldy, ldy}, some);
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

/* Products with sparse matrices (sparse.h). Of one row, a slice's 16 outputs lie in the lanes, and
 * the inputs that a step asks for are picked from registers where these hold all of them, else
 * gathered. Of many rows, a row lies in each lane: every weight is then one multiply-add per vector of
 * rows, and no zero but those that fill a slice costs anything. Both sum an output's products in the
 * same order. */

#include "vector.h"

#include <string.h>

/* Vectors of rows that are summed side by side. */
#define GROUP 4

/* Vectors of inputs that are held in registers. */
#if LANES == 16
#define HELD_VECTORS 4
#else
#define HELD_VECTORS 0
#endif

/* Numbers of 8 and 16 bits in the lanes of 32; by intrinsics, as compilers convert vectors one number at
 * a time. */
RAMIFY_INLINE ivec widen_int8(const int8_t *from) {
#if LANES == 16
    return (ivec)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
#elif LANES == 8
    return (ivec)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
#else
    return (ivec){from[0], from[1], from[2], from[3]};
#endif
}

RAMIFY_INLINE ivec widen_uint8(const uint8_t *from) {
#if LANES == 16
    return (ivec)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
#elif LANES == 8
    return (ivec)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
#else
    return (ivec){from[0], from[1], from[2], from[3]};
#endif
}

RAMIFY_INLINE ivec widen_uint16(const uint16_t *from) {
#if LANES == 16
    return (ivec)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from));
#elif LANES == 8
    return (ivec)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
#else
    return (ivec){from[0], from[1], from[2], from[3]};
#endif
}

/* Weights at .. at + LANES. */
RAMIFY_INLINE vec weights_at(const void *weights, size_t at, ramify_weights type) {
    if (type == RAMIFY_WEIGHTS_FLOAT32) {
        return load((const float *)weights + at);
    }
    if (type == RAMIFY_WEIGHTS_BFLOAT16) {
        return (vec)(widen_uint16((const uint16_t *)weights + at) << 16);
    }
    return from_whole(widen_int8((const int8_t *)weights + at));
}

RAMIFY_INLINE float weight_at(const void *weights, size_t at, ramify_weights type) {
    if (type == RAMIFY_WEIGHTS_FLOAT32) {
        return ((const float *)weights)[at];
    }
    if (type == RAMIFY_WEIGHTS_BFLOAT16) {
        const uint32_t bits = (uint32_t)((const uint16_t *)weights)[at] << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return (float)((const int8_t *)weights)[at];
}

RAMIFY_INLINE ivec inputs_at(const void *inputs, size_t at, bool wide) {
    return wide ? widen_uint16((const uint16_t *)inputs + at)
                : widen_uint8((const uint8_t *)inputs + at);
}

RAMIFY_INLINE size_t input_at(const void *inputs, size_t at, bool wide) {
    return wide ? ((const uint16_t *)inputs)[at] : ((const uint8_t *)inputs)[at];
}

/* x[input] in every lane; with `held` vectors these are the whole of x. */
RAMIFY_INLINE vec pick(const float *x, const vec *of, ivec input, size_t held) {
#if LANES == 16
    const __m512i at = (__m512i)input;
    if (held == 1) {
        return _mm512_permutexvar_ps(at, of[0]);
    }
    if (held == 2) {
        return _mm512_permutex2var_ps(of[0], at, of[1]);
    }
    if (held == 4) {
        const __mmask16 upper = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
        const vec low = _mm512_permutex2var_ps(of[0], at, of[1]);
        const vec high = _mm512_permutex2var_ps(of[2], at, of[3]);
        return _mm512_mask_mov_ps(low, upper, high);
    }
    return _mm512_i32gather_ps(at, x, 4);
#elif LANES == 8
    (void)of;
    (void)held;
    return _mm256_i32gather_ps(x, (__m256i)input, 4);
#else
    (void)of;
    (void)held;
    return (vec){x[input[0]], x[input[1]], x[input[2]], x[input[3]]};
#endif
}

/* What is made of a sum: with a gain sum * gain + bias, else the sum, which began at the bias. */
RAMIFY_INLINE vec finish(vec sum, const vec *gain, vec bias, const vec *slope) {
    if (gain) {
        sum = multiply_add(sum, *gain, bias);
    }
    return slope ? prelu(sum, *slope) : sum;
}

RAMIFY_INLINE void row_slices(const ramify_sparse *w, const float *x, const float *gain,
                              const float *bias, const float *slope, float *y, ramify_weights type,
                              bool wide, size_t held) {
    enum { PARTS = RAMIFY_SLICE / LANES };
    vec of[HELD_VECTORS + 1];
    RAMIFY_UNROLL
    for (size_t i = 0; i < held; i++) {
        of[i] = i < (w->k + LANES - 1) / LANES ? load(x + i * LANES) : splat(0.0F);
    }
    size_t at = 0;
    for (size_t slice = 0; slice < w->n / RAMIFY_SLICE; slice++) {
        const size_t first = slice * RAMIFY_SLICE;
        vec sum[PARTS], start[PARTS];
        RAMIFY_UNROLL
        for (size_t p = 0; p < PARTS; p++) {
            start[p] = bias ? load(bias + first + p * LANES) : splat(0.0F);
            sum[p] = gain ? splat(0.0F) : start[p];
        }
        for (uint32_t step = w->steps[slice]; step > 0; step--) {
            RAMIFY_UNROLL
            for (size_t p = 0; p < PARTS; p++) {
                const vec weight = weights_at(w->weights, at, type);
                sum[p] =
                    multiply_add(weight, pick(x, of, inputs_at(w->inputs, at, wide), held), sum[p]);
                at += LANES;
            }
        }
        RAMIFY_UNROLL
        for (size_t p = 0; p < PARTS; p++) {
            const size_t here = first + p * LANES;
            const vec g = gain ? load(gain + here) : splat(0.0F);
            const vec s = slope ? load(slope + here) : splat(0.0F);
            store(y + here, finish(sum[p], gain ? &g : NULL, start[p], slope ? &s : NULL));
        }
    }
}

RAMIFY_INLINE void row_of(const ramify_sparse *w, const float *x, const float *gain,
                          const float *bias, const float *slope, float *y, ramify_weights type) {
#if HELD_VECTORS > 0
    if (w->k <= LANES) {
        row_slices(w, x, gain, bias, slope, y, type, false, 1);
        return;
    }
    if (w->k <= (size_t)2 * LANES) {
        row_slices(w, x, gain, bias, slope, y, type, false, 2);
        return;
    }
    if (w->k <= (size_t)HELD_VECTORS * LANES) {
        row_slices(w, x, gain, bias, slope, y, type, false, HELD_VECTORS);
        return;
    }
#endif
    if (w->k <= RAMIFY_SPARSE_BYTE_INPUTS) {
        row_slices(w, x, gain, bias, slope, y, type, false, 0);
    } else {
        row_slices(w, x, gain, bias, slope, y, type, true, 0);
    }
}

void RAMIFY_KERNEL(sparse_row)(const ramify_sparse *w, const float *x, const float *gain,
                               const float *bias, const float *slope, float *y) {
    if (w->type == RAMIFY_WEIGHTS_FLOAT32) {
        row_of(w, x, gain, bias, slope, y, RAMIFY_WEIGHTS_FLOAT32);
    } else if (w->type == RAMIFY_WEIGHTS_BFLOAT16) {
        row_of(w, x, gain, bias, slope, y, RAMIFY_WEIGHTS_BFLOAT16);
    } else {
        row_of(w, x, gain, bias, slope, y, RAMIFY_WEIGHTS_INT8);
    }
}

/* What columns of all outputs are made of. */
typedef struct columns_of {
    const ramify_sparse *w;
    const float *x;
    size_t ldx;
    const float *gain, *bias, *slope;
    float *y;
    size_t ldy;
} columns_of;

RAMIFY_INLINE void group(const columns_of *q, size_t column, size_t vectors, ramify_weights type,
                         bool wide) {
    const ramify_sparse *w = q->w;
    const float *x = q->x + column;
    size_t begin = 0; /* of the slice */
    for (size_t slice = 0; slice < w->n / RAMIFY_SLICE; slice++) {
        const size_t steps = w->steps[slice];
        for (size_t lane = 0; lane < RAMIFY_SLICE; lane++) {
            const size_t output = slice * RAMIFY_SLICE + lane;
            const vec bias = splat(q->bias ? q->bias[output] : 0.0F);
            vec sum[GROUP];
            RAMIFY_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sum[v] = q->gain ? splat(0.0F) : bias;
            }
            for (size_t step = 0; step < steps; step++) {
                const size_t at = begin + step * RAMIFY_SLICE + lane;
                const vec weight = splat(weight_at(w->weights, at, type));
                const float *from = x + input_at(w->inputs, at, wide) * q->ldx;
                RAMIFY_UNROLL
                for (size_t v = 0; v < vectors; v++) {
                    sum[v] = multiply_add(weight, load(from + v * LANES), sum[v]);
                }
            }
            const vec gain = splat(q->gain ? q->gain[output] : 0.0F);
            const vec slope = splat(q->slope ? q->slope[output] : 0.0F);
            float *to = q->y + output * q->ldy + column;
            RAMIFY_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                store(to + v * LANES,
                      finish(sum[v], q->gain ? &gain : NULL, bias, q->slope ? &slope : NULL));
            }
        }
        begin += steps * RAMIFY_SLICE;
    }
}

RAMIFY_INLINE void groups(const columns_of *q, size_t columns, ramify_weights type, bool wide) {
    size_t column = 0;
    for (; column + (size_t)GROUP * LANES <= columns; column += (size_t)GROUP * LANES) {
        group(q, column, GROUP, type, wide);
    }
    for (; column < columns; column += LANES) {
        group(q, column, 1, type, wide);
    }
}

RAMIFY_INLINE void all_of(const columns_of *q, size_t columns, ramify_weights type) {
    if (q->w->k <= RAMIFY_SPARSE_BYTE_INPUTS) {
        groups(q, columns, type, false);
    } else {
        groups(q, columns, type, true);
    }
}

void RAMIFY_KERNEL(sparse_columns)(const ramify_sparse *w, size_t columns, const float *x,
                                   size_t ldx, const float *gain, const float *bias,
                                   const float *slope, float *y, size_t ldy) {
    const columns_of q = {w, x, ldx, gain, bias, slope, y, ldy};
    if (w->type == RAMIFY_WEIGHTS_FLOAT32) {
        all_of(&q, columns, RAMIFY_WEIGHTS_FLOAT32);
    } else if (w->type == RAMIFY_WEIGHTS_BFLOAT16) {
        all_of(&q, columns, RAMIFY_WEIGHTS_BFLOAT16);
    } else {
        all_of(&q, columns, RAMIFY_WEIGHTS_INT8);
    }
}

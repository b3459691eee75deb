/* Layers with int8 and bfloat16 weights (quantised.h).
 *
 * int8: a row's inputs become 16-bit whole numbers, and products and sums of whole numbers are exact,
 * so that every instruction set has the same and they may be split in any way. bfloat16: the inputs stay
 * float32, and an output is one chain of multiply-adds in the order of the inputs, as in affine. (The
 * instruction for pairs of bfloat16, vdpbf16ps, does half of the multiply-adds in a second that those for
 * float32 do, measured on a Sapphire Rapids, and rounds inputs too.) Both cut the outputs into blocks of
 * rows x vectors registers, as matmul.c does: weights are widened once for all rows of a block. Where
 * there are many rows, bfloat16 weights are widened once for all of them, by pieces that stay in the first
 * cache. */

#include "vector.h"

/* The largest block: sums, a vector of weights each and one of inputs must fit in the registers. A
 * single row, whose sums wait for their last product, has more of them side by side. */
#if LANES == 16
#define MOST_VECTORS 4
#define MOST_ROWS    6
#elif defined(__aarch64__)
#define MOST_VECTORS 4
#define MOST_ROWS    5
#else
#define MOST_VECTORS 2
#define MOST_ROWS    4
#endif
#define ROW_VECTORS 8

/* From so many rows on bfloat16 weights are widened for all of them, so many inputs and outputs at a
 * time. */
#define MANY_ROWS     16
#define PIECE_INPUTS  128
#define PIECE_OUTPUTS 64

/* Bytes of int8 weights, and numbers of others, of a slice's pair. */
#define PAIR_NUMBERS ((size_t)2 * RAMIFY_SLICE)

/* Adding 1.5 * 2^23 rounds to a whole number. */
#define SHIFT 12582912.0F

/* --- bfloat16 to float32 ----------------------------------------------------------------------- */

RAMIFY_INLINE vec widen_vector(const uint16_t *from) {
#if LANES == 16
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
#elif LANES == 8
    const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)from);
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
#else
    return (vec)((ivec){from[0], from[1], from[2], from[3]} << 16);
#endif
}

void RAMIFY_KERNEL(widen)(size_t count, const uint16_t *from, float *to) {
    for (size_t i = 0; i < count; i += LANES) {
        store(to + i, widen_vector(from + i));
    }
}

/* --- Inputs as whole numbers -------------------------------------------------------------------- */

RAMIFY_INLINE ivec larger(ivec a, ivec b) {
#if LANES == 16
    return (ivec)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif LANES == 8
    return (ivec)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
    const ivec first = a > b;
    return (first & a) | (~first & b);
#endif
}

RAMIFY_INLINE int32_t largest_lane(ivec a) {
#if LANES == 16
    return _mm512_reduce_max_epi32((__m512i)a);
#else
    int32_t most = a[0];
    RAMIFY_UNROLL
    for (size_t i = 1; i < LANES; i++) {
        most = a[i] > most ? a[i] : most;
    }
    return most;
#endif
}

/* The lower halves of the lanes, which hold numbers of 16 bits. */
RAMIFY_INLINE void store_int16(int16_t *to, ivec whole) {
#if LANES == 16
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16((__m512i)whole));
#elif LANES == 8
    const __m256i all = (__m256i)whole;
    _mm_storeu_si128((__m128i *)(void *)to, _mm_packs_epi32(_mm256_castsi256_si128(all),
                                                            _mm256_extracti128_si256(all, 1)));
#elif defined(__SSE2__)
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi32((__m128i)whole, (__m128i)whole));
#else
    for (size_t i = 0; i < LANES; i++) {
        to[i] = (int16_t)whole[i];
    }
#endif
}

/* Inputs at p .. p + LANES, of which those from k on are 0. */
RAMIFY_INLINE vec inputs_at(const float *x, const float *gain, size_t p, size_t k) {
    if (p >= k) {
        return splat(0.0F);
    }
    if (p + LANES <= k) {
        return gain ? load(x + p) * load(gain + p) : load(x + p);
    }
    const vec value = load_some(x + p, k - p, 0.0F);
    return gain ? value * load_some(gain + p, k - p, 0.0F) : value;
}

/* The largest size of a row's inputs, as the bits of a float: those of NaN are larger than infinity's,
 * and these than those of all numbers. */
RAMIFY_INLINE int32_t most_bits(size_t k, const float *x, const float *gain) {
    ivec most = (ivec)splat(0.0F);
    for (size_t p = 0; p < k; p += LANES) {
        most = larger(most, (ivec)inputs_at(x, gain, p, k) & INT32_MAX);
    }
    return largest_lane(most);
}

RAMIFY_INLINE float float_of_bits(int32_t bits) {
    const union {
        int32_t bits;
        float value;
    } both = {bits};
    return both.value;
}

RAMIFY_INLINE float round_row(size_t k, const float *x, const float *gain, int16_t *to, size_t ldto,
                              float limit) {
    const int32_t infinity = 0x7F800000;
    const int32_t bits = most_bits(k, x, gain);
    const float most = float_of_bits(bits);
    if (bits >= infinity || !(most > RAMIFY_ROUND_LEAST)) {
        for (size_t p = 0; p < ldto; p += LANES) {
            store_int16(to + p, (ivec)splat(0.0F));
        }
        return bits >= infinity ? __builtin_nanf("") : 0.0F;
    }
    const vec inverse = splat(limit / most);
    for (size_t p = 0; p < ldto; p += LANES) {
        const vec shifted = multiply_add(inputs_at(x, gain, p, k), inverse, splat(SHIFT));
        store_int16(to + p, (ivec)shifted - (ivec)splat(SHIFT));
    }
    return most / limit;
}

void RAMIFY_KERNEL(round_rows)(size_t rows, size_t k, const float *x, size_t ldx, const float *gain,
                               int16_t *to, size_t ldto, float *step) {
    const float limit = (float)ramify_round_most(k);
    for (size_t i = 0; i < rows; i++) {
        step[i] = gain ? round_row(k, x + i * ldx, gain, to + i * ldto, ldto, limit)
                       : round_row(k, x + i * ldx, NULL, to + i * ldto, ldto, limit);
    }
}

/* --- Products ---------------------------------------------------------------------------------- */

/* A layer: x is int16_t or float, w int8_t or uint16_t. */
typedef struct layer {
    size_t k, n;
    size_t each; /* rows of a member; int8 alone */
    const void *x;
    size_t ldx;
    const float *step;
    const void *w;
    const float *gain, *bias, *slope;
    float *y;
    size_t ldy;
} layer;

/* Pairs of int16_t in the lanes, of LANES outputs. */
RAMIFY_INLINE ivec pairs_at(const int8_t *w) {
#if LANES == 16
    return (ivec)_mm512_cvtepi8_epi16(_mm256_load_si256((const __m256i *)(const void *)w));
#elif LANES == 8
    return (ivec)_mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)w));
#elif defined(__SSE2__)
    const __m128i half = _mm_loadl_epi64((const __m128i *)(const void *)w);
    return (ivec)_mm_srai_epi16(_mm_unpacklo_epi8(half, half), 8);
#elif defined(__aarch64__)
    return (ivec)vmovl_s8(vld1_s8(w));
#else
    ivec pairs;
    for (size_t i = 0; i < LANES; i++) {
        pairs[i] = (int32_t)(((uint32_t)(uint16_t)w[2 * i + 1] << 16) | (uint16_t)w[2 * i]);
    }
    return pairs;
#endif
}

/* The pair of inputs at x in every lane. */
RAMIFY_INLINE ivec splat_pair(const int16_t *x) {
    int32_t pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return pair + (ivec){0};
}

/* sum + the products of pairs. */
RAMIFY_INLINE ivec add_products(ivec sum, ivec a, ivec b) {
#if LANES == 16 && defined(__AVX512VNNI__)
    return (ivec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif LANES == 16
    return sum + (ivec)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif LANES == 8
    return sum + (ivec)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return sum + (ivec)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
    const int16x8_t p = (int16x8_t)a, q = (int16x8_t)b;
    return sum +
           (ivec)vpaddq_s32(vmull_s16(vget_low_s16(p), vget_low_s16(q)), vmull_high_s16(p, q));
#else
    return sum + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* Numbers from the start of the matrix to the first pair of these outputs. */
RAMIFY_INLINE size_t pairs_begin(const layer *q, size_t output) {
    return output / RAMIFY_SLICE * ramify_pairs(q->k) * PAIR_NUMBERS + output % RAMIFY_SLICE * 2;
}

/* A pair of bfloat16 weights of each output, and what they are. */
RAMIFY_INLINE ivec both_at(const uint16_t *w) {
    return (ivec)load((const float *)(const void *)w);
}

RAMIFY_INLINE vec first_of(ivec both) {
    return (vec)(both << 16);
}

RAMIFY_INLINE vec second_of(ivec both) {
    return (vec)(both & (int32_t)0xFFFF0000);
}

RAMIFY_INLINE void finish(const layer *q, size_t row, size_t output, vec h) {
    store(q->y + row * q->ldy + output, q->slope ? prelu(h, load(q->slope + output)) : h);
}

/* The sums of a block. Those of a row with few vectors are two each. */
RAMIFY_INLINE void block_int8(const layer *q, size_t row, size_t output, size_t rows,
                              size_t vectors) {
    const size_t halves = rows == 1 && vectors <= ROW_VECTORS / 2 ? 2 : 1;
    const int8_t *w[ROW_VECTORS];
    const int16_t *x = (const int16_t *)q->x + row * q->ldx;
    const size_t ldx = q->ldx;
    ivec sum[MOST_ROWS + 1][ROW_VECTORS];
    RAMIFY_UNROLL
    for (size_t j = 0; j < vectors; j++) {
        w[j] = (const int8_t *)q->w + pairs_begin(q, output + j * LANES);
        RAMIFY_UNROLL
        for (size_t i = 0; i < rows + halves - 1; i++) {
            sum[i][j] = (ivec)splat(0.0F);
        }
    }
    for (size_t pair = 0; pair < ramify_pairs(q->k); pair += halves) {
        RAMIFY_UNROLL
        for (size_t half = 0; half < halves; half++) {
            ivec right[ROW_VECTORS];
            RAMIFY_UNROLL
            for (size_t j = 0; j < vectors; j++) {
                right[j] = pairs_at(w[j] + (pair + half) * PAIR_NUMBERS);
            }
            RAMIFY_UNROLL
            for (size_t i = 0; i < rows; i++) {
                const ivec left = splat_pair(x + i * ldx + 2 * (pair + half));
                RAMIFY_UNROLL
                for (size_t j = 0; j < vectors; j++) {
                    sum[i + half][j] = add_products(sum[i + half][j], left, right[j]);
                }
            }
        }
    }
    size_t member = row / q->each;
    RAMIFY_UNROLL
    for (size_t i = 0; i < rows; i++) {
        member += row + i == (member + 1) * q->each;
        const vec step = splat(q->step[row + i]);
        RAMIFY_UNROLL
        for (size_t j = 0; j < vectors; j++) {
            const ivec all = halves == 2 ? sum[i][j] + sum[i + 1][j] : sum[i][j];
            const size_t at = member * q->n + output + j * LANES;
            const vec bias = q->bias ? load(q->bias + at) : splat(0.0F);
            const vec h = multiply_add(from_whole(all) * step, load(q->gain + at), bias);
            finish(q, row + i, output + j * LANES, h);
        }
    }
}

RAMIFY_INLINE void block_bfloat16(const layer *q, size_t row, size_t output, size_t rows,
                                  size_t vectors) {
    const uint16_t *w[ROW_VECTORS];
    const float *x = (const float *)q->x + row * q->ldx;
    const size_t ldx = q->ldx;
    vec sum[MOST_ROWS][ROW_VECTORS];
    RAMIFY_UNROLL
    for (size_t j = 0; j < vectors; j++) {
        w[j] = (const uint16_t *)q->w + pairs_begin(q, output + j * LANES);
        RAMIFY_UNROLL
        for (size_t i = 0; i < rows; i++) {
            sum[i][j] = q->bias ? load(q->bias + output + j * LANES) : splat(0.0F);
        }
    }
    for (size_t p = 0; p < q->k; p += 2) {
        ivec both[ROW_VECTORS];
        RAMIFY_UNROLL
        for (size_t j = 0; j < vectors; j++) {
            both[j] = both_at(w[j] + p * RAMIFY_SLICE);
        }
        RAMIFY_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const vec left = splat(x[i * ldx + p]);
            RAMIFY_UNROLL
            for (size_t j = 0; j < vectors; j++) {
                sum[i][j] = multiply_add(left, first_of(both[j]), sum[i][j]);
            }
        }
        if (p + 1 == q->k) {
            break;
        }
        RAMIFY_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const vec left = splat(x[i * ldx + p + 1]);
            RAMIFY_UNROLL
            for (size_t j = 0; j < vectors; j++) {
                sum[i][j] = multiply_add(left, second_of(both[j]), sum[i][j]);
            }
        }
    }
    RAMIFY_UNROLL
    for (size_t i = 0; i < rows; i++) {
        RAMIFY_UNROLL
        for (size_t j = 0; j < vectors; j++) {
            finish(q, row + i, output + j * LANES, sum[i][j]);
        }
    }
}

RAMIFY_INLINE void block(const layer *q, size_t row, size_t output, size_t rows, size_t vectors,
                         bool int8) {
    if (int8) {
        block_int8(q, row, output, rows, vectors);
    } else {
        block_bfloat16(q, row, output, rows, vectors);
    }
}

#define ROWS(number)                                                                               \
    case number:                                                                                   \
        if (number <= MOST_ROWS) {                                                                 \
            block(q, row, output, number, vectors, int8);                                          \
        }                                                                                          \
        break;

/* All rows of a stripe of outputs, in blocks of at most MOST_ROWS. */
RAMIFY_INLINE void stripe(const layer *q, size_t rows, size_t output, size_t vectors, bool int8) {
    const size_t blocks = (rows + MOST_ROWS - 1) / MOST_ROWS;
    size_t longer = blocks > 1 ? rows % blocks : 0; /* the first blocks have a row more */
    const size_t least = blocks > 1 ? rows / blocks : rows;
    for (size_t row = 0, count; row < rows; row += count) {
        count = least + (longer > 0);
        longer -= longer > 0;
        switch (count) { ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) }
    }
}

typedef void stripe_function(const layer *q, size_t rows, size_t output);

#define STRIPE(vectors)                                                                            \
    static __attribute__((noinline)) void stripe_##vectors##_int8(const layer *q, size_t rows,     \
                                                                  size_t output) {                 \
        stripe(q, rows, output, vectors, true);                                                    \
    }                                                                                              \
    static __attribute__((noinline)) void stripe_##vectors##_bfloat16(const layer *q, size_t rows, \
                                                                      size_t output) {             \
        stripe(q, rows, output, vectors, false);                                                   \
    }
STRIPE(1)
STRIPE(2)
#if MOST_VECTORS > 2
STRIPE(3)
STRIPE(4)
#endif

#define ROW(vectors)                                                                               \
    static __attribute__((noinline)) void row_##vectors##_int8(const layer *q, size_t rows,        \
                                                               size_t output) {                    \
        (void)rows;                                                                                \
        block_int8(q, 0, output, 1, vectors);                                                      \
    }                                                                                              \
    static __attribute__((noinline)) void row_##vectors##_bfloat16(const layer *q, size_t rows,    \
                                                                   size_t output) {                \
        (void)rows;                                                                                \
        block_bfloat16(q, 0, output, 1, vectors);                                                  \
    }
ROW(1)
ROW(2)
ROW(3)
ROW(4)
ROW(5)
ROW(6)
ROW(7)
ROW(8)

static void all_stripes(stripe_function *const *of, size_t most, const layer *q, size_t rows) {
    for (size_t output = 0; output < q->n && rows > 0;) {
        const size_t left = (q->n - output) / LANES;
        const size_t vectors = left < most ? left : most;
        of[vectors - 1](q, rows, output);
        output += vectors * LANES;
    }
}

#define ROWS_OF(type)                                                                              \
    {                                                                                              \
        row_1_##type, row_2_##type, row_3_##type, row_4_##type, row_5_##type, row_6_##type,        \
            row_7_##type, row_8_##type,                                                            \
    }

#if MOST_VECTORS > 2
#define STRIPES_OF(type)                                                                           \
    { stripe_1_##type, stripe_2_##type, stripe_3_##type, stripe_4_##type, }
#else
#define STRIPES_OF(type)                                                                           \
    { stripe_1_##type, stripe_2_##type, }
#endif

void RAMIFY_KERNEL(affine_int8)(size_t members, size_t rows, size_t n, size_t k, const int16_t *x,
                                size_t ldx, const float *step, const int8_t *w, const float *gain,
                                const float *bias, const float *slope, float *y, size_t ldy) {
    static stripe_function *const row[] = ROWS_OF(int8);
    static stripe_function *const stripes[] = STRIPES_OF(int8);
    const layer q = {k, n, rows, x, ldx, step, w, gain, bias, slope, y, ldy};
    const size_t all = members * rows;
    all_stripes(all == 1 ? row : stripes, all == 1 ? ROW_VECTORS : MOST_VECTORS, &q, all);
}

/* Widened weights of inputs [p, p + depth) and outputs [output, output + width). */
static void widen_piece(const layer *q, size_t p, size_t depth, size_t output, size_t width,
                        float *piece) {
    for (size_t j = 0; j < width; j += LANES) {
        const uint16_t *w = (const uint16_t *)q->w + pairs_begin(q, output + j) + p * RAMIFY_SLICE;
        for (size_t i = 0; i < depth; i += 2) {
            const ivec both = both_at(w + i * RAMIFY_SLICE);
            store(piece + i * PIECE_OUTPUTS + j, first_of(both));
            store(piece + (i + 1) * PIECE_OUTPUTS + j, second_of(both));
        }
    }
}

static void many_rows(const layer *q, size_t rows) {
    _Alignas(64) float piece[PIECE_INPUTS * PIECE_OUTPUTS];
    for (size_t output = 0, width; output < q->n; output += width) {
        width = q->n - output < PIECE_OUTPUTS ? q->n - output : PIECE_OUTPUTS;
        const float *bias = q->bias ? q->bias + output : NULL;
        const float *slope = q->slope ? q->slope + output : NULL;
        float *y = q->y + output;
        for (size_t p = 0, depth; p < q->k; p += depth) {
            depth = q->k - p < PIECE_INPUTS ? q->k - p : PIECE_INPUTS;
            const float *x = (const float *)q->x + p;
            widen_piece(q, p, depth, output, width, piece);
            if (p == 0) {
                RAMIFY_SHARED(affine)
                (rows, width, depth, x, q->ldx, piece, PIECE_OUTPUTS, bias,
                 depth == q->k ? slope : NULL, y, q->ldy);
            } else {
                RAMIFY_SHARED(matmul)
                (rows, width, depth, x, q->ldx, 1, piece, PIECE_OUTPUTS, y, q->ldy, true);
            }
        }
        for (size_t i = 0; slope && q->k > PIECE_INPUTS && i < rows; i++) {
            for (size_t j = 0; j < width; j += LANES) {
                float *at = y + i * q->ldy + j;
                store(at, prelu(load(at), load(slope + j)));
            }
        }
    }
}

void RAMIFY_KERNEL(affine_bfloat16)(size_t rows, size_t n, size_t k, const float *x, size_t ldx,
                                    const uint16_t *w, const float *bias, const float *slope,
                                    float *y, size_t ldy) {
    static stripe_function *const row[] = ROWS_OF(bfloat16);
    static stripe_function *const stripes[] = STRIPES_OF(bfloat16);
    const layer q = {k, n, rows, x, ldx, NULL, w, NULL, bias, slope, y, ldy};
    if (rows >= MANY_ROWS && k > 0) {
        many_rows(&q, rows);
        return;
    }
    all_stripes(rows == 1 ? row : stripes, rows == 1 ? ROW_VECTORS : MOST_VECTORS, &q, rows);
}

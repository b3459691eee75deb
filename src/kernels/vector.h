#ifndef RAMIFY_KERNELS_VECTOR_H
#define RAMIFY_KERNELS_VECTOR_H
/* What the fast kernels share: the vector type of the instruction set at hand.
 *
 * Every operation's file is compiled once per instruction set. The small file that the build
 * writes for each pair defines, before it includes the operation,
 *   RAMIFY_ISA           avx512, avx2, baseline or neon: the suffix of the symbols
 *   RAMIFY_VECTOR_BYTES  64, 32 or 16
 *   RAMIFY_BASE          the same; or, in a variant of a set (avx512vnni) which computes the same bits
 *                        faster, the set: operations not compiled for the variant are the set's
 * The code uses the compilers' vector types; intrinsics only for
 * multiply_add and lane masks. */

#include "kernels.h"
#include "reflector.h"

#if RAMIFY_VECTOR_BYTES > 16
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define RAMIFY_PASTE(name, isa)  ramify_##name##_##isa
#define RAMIFY_EXPAND(name, isa) RAMIFY_PASTE(name, isa)
/* The symbol of an operation in this instruction set: RAMIFY_KERNEL(dots) is ramify_dots_avx2. */
#define RAMIFY_KERNEL(name) RAMIFY_EXPAND(name, RAMIFY_ISA)
/* The symbol of an operation that variants of a set share. */
#define RAMIFY_SHARED(name) RAMIFY_EXPAND(name, RAMIFY_BASE)

/* Declares an operation with the type that its entry in the table has. */
#define RAMIFY_DECLARE(name)                                                                       \
    __typeof__(*((ramify_kernels *)NULL)->name) RAMIFY_KERNEL(name), RAMIFY_SHARED(name)
RAMIFY_DECLARE(matmul);
RAMIFY_DECLARE(matmul_double);
RAMIFY_DECLARE(eliminate);
RAMIFY_DECLARE(series);
RAMIFY_DECLARE(affine);
RAMIFY_DECLARE(dots);
RAMIFY_DECLARE(sparse_row);
RAMIFY_DECLARE(sparse_columns);
RAMIFY_DECLARE(masked_rows);
RAMIFY_DECLARE(unmask);
RAMIFY_DECLARE(widen);
RAMIFY_DECLARE(round_rows);
RAMIFY_DECLARE(affine_int8);
RAMIFY_DECLARE(affine_bfloat16);
RAMIFY_DECLARE(transpose);
RAMIFY_DECLARE(scale_columns);
RAMIFY_DECLARE(scale_columns_backward);
RAMIFY_DECLARE(activate);
RAMIFY_DECLARE(activate_backward);
RAMIFY_DECLARE(distances);
RAMIFY_DECLARE(standardise);
RAMIFY_DECLARE(waves);
RAMIFY_DECLARE(softmax);
RAMIFY_DECLARE(cross_entropy);
RAMIFY_DECLARE(cross_entropy_soft);
RAMIFY_DECLARE(adamw);
RAMIFY_DECLARE(average);
RAMIFY_DECLARE(normalise_columns);
RAMIFY_DECLARE(normalise_columns_backward);
RAMIFY_DECLARE(scale_rows);
RAMIFY_DECLARE(scale_rows_backward);
RAMIFY_DECLARE(softmax_columns);
RAMIFY_DECLARE(softmax_columns_backward);
RAMIFY_DECLARE(gelu);
RAMIFY_DECLARE(gelu_backward);

/* For functions whose loops unroll only once their sizes are known in the caller. */
#define RAMIFY_INLINE static inline __attribute__((always_inline))

/* Before a loop of at most 16 rounds, known once inlined: without it arrays of vectors would live
 * in memory, not in registers. */
#if defined(__clang__)
#define RAMIFY_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RAMIFY_UNROLL _Pragma("GCC unroll 16")
#endif

/* Floats in a vector. Padded sizes are multiples of 16, hence of this. */
#define LANES (RAMIFY_VECTOR_BYTES / 4)

typedef float vec __attribute__((vector_size(RAMIFY_VECTOR_BYTES)));
typedef int32_t ivec __attribute__((vector_size(RAMIFY_VECTOR_BYTES)));

/* Vectors in memory, which the program otherwise sees as floats. */
typedef float vec_aligned __attribute__((vector_size(RAMIFY_VECTOR_BYTES), may_alias));
typedef float vec_unaligned
    __attribute__((vector_size(RAMIFY_VECTOR_BYTES), aligned(4), may_alias));

RAMIFY_INLINE vec load(const float *from) {
    return *(const vec_aligned *)from;
}

RAMIFY_INLINE void store(float *to, vec value) {
    *(vec_aligned *)to = value;
}

RAMIFY_INLINE void store_unaligned(float *to, vec value) {
    *(vec_unaligned *)to = value;
}

RAMIFY_INLINE vec splat(float x) {
#if LANES == 16
    return (vec){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif LANES == 8
    return (vec){x, x, x, x, x, x, x, x};
#else
    return (vec){x, x, x, x};
#endif
}

/* a*b + c, rounded once where the processor can. Sums of products use this rather than leave the
 * fusing to the compiler, which may fuse one copy of a loop and not another: then a row's bits
 * would depend on the block it falls in. */
RAMIFY_INLINE vec multiply_add(vec a, vec b, vec c) {
#if LANES == 16
    return _mm512_fmadd_ps(a, b, c);
#elif LANES == 8
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* Bitwise choice: every lane of mask is 0 or -1, as comparisons of vectors give it. */
RAMIFY_INLINE vec choose(ivec mask, vec yes, vec no) {
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

/* Whole numbers as floats. */
RAMIFY_INLINE vec from_whole(ivec whole) {
#if LANES == 16
    return _mm512_cvtepi32_ps((__m512i)whole);
#elif LANES == 8
    return _mm256_cvtepi32_ps((__m256i)whole);
#else
    return __builtin_convertvector(whole, vec);
#endif
}

/* t > 0 ? t : slope*t, which unlike a form with max and min lets NaN through. */
RAMIFY_INLINE vec prelu(vec t, vec slope) {
    return choose(t > 0.0F, t, slope * t);
}

/* t minus the nearest whole number, exactly. */
RAMIFY_INLINE vec part_of_turn(vec t) {
    const float shift = 12582912.0F; /* 1.5 * 2^23: adding it rounds to an integer */
    return t - ((t + shift) - shift);
}

/* ramify_sine_turns of sine.h. */
RAMIFY_INLINE vec sine_turns(vec t) {
    const ivec sign = (ivec)splat(-0.0F);
    vec r = part_of_turn(t);
    vec a = (vec)((ivec)r & ~sign);
    vec folded = 0.25F - (vec)((ivec)(a - 0.25F) & ~sign);
    vec q = folded * folded;
    vec p = splat(3.81995258F);
    p = multiply_add(p, q, splat(-15.09464258F));
    p = multiply_add(p, q, splat(42.05869394F));
    p = multiply_add(p, q, splat(-76.70585975F));
    p = multiply_add(p, q, splat(81.60524928F));
    p = multiply_add(p, q, splat(-41.34170224F));
    p = multiply_add(p, q, splat(6.28318531F));
    return (vec)((ivec)(folded * p) | ((ivec)r & sign));
}

/* Lane sums of four vectors at once, each in the same order whatever the others hold: halves onto
 * each other, down to one. */
typedef float quad __attribute__((vector_size(16)));

RAMIFY_INLINE quad sum_lanes(vec a, vec b, vec c, vec d) {
#if LANES == 16
    vec ab =
        __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
        __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    vec cd =
        __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
        __builtin_shufflevector(c, d, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    vec all =
        __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
        __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    quad p = __builtin_shufflevector(all, all, 0, 1, 2, 3);
    quad q = __builtin_shufflevector(all, all, 4, 5, 6, 7);
    quad r = __builtin_shufflevector(all, all, 8, 9, 10, 11);
    quad s = __builtin_shufflevector(all, all, 12, 13, 14, 15);
#elif LANES == 8
    vec ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +
             __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
    vec cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 8, 9, 10, 11) +
             __builtin_shufflevector(c, d, 4, 5, 6, 7, 12, 13, 14, 15);
    quad p = __builtin_shufflevector(ab, ab, 0, 1, 2, 3);
    quad q = __builtin_shufflevector(ab, ab, 4, 5, 6, 7);
    quad r = __builtin_shufflevector(cd, cd, 0, 1, 2, 3);
    quad s = __builtin_shufflevector(cd, cd, 4, 5, 6, 7);
#else
    quad p = a;
    quad q = b;
    quad r = c;
    quad s = d;
#endif
    quad pq = __builtin_shufflevector(p, q, 0, 1, 4, 5) + __builtin_shufflevector(p, q, 2, 3, 6, 7);
    quad rs = __builtin_shufflevector(r, s, 0, 1, 4, 5) + __builtin_shufflevector(r, s, 2, 3, 6, 7);
    return __builtin_shufflevector(pq, rs, 0, 2, 4, 6) +
           __builtin_shufflevector(pq, rs, 1, 3, 5, 7);
}

/* The first `count` (1 to LANES) floats at `from`, the other lanes `rest`; nothing beyond is read.
 * Lane masks where there are any: a copy by way of memory takes ten times as long. */
RAMIFY_INLINE vec load_some(const float *from, size_t count, float rest) {
#if LANES == 16
    return _mm512_mask_loadu_ps(splat(rest), (__mmask16)(0xFFFFU >> (16 - count)), from);
#elif LANES == 8
    const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7};
    const ivec mask = lane < (int32_t)count;
    return choose(mask, _mm256_maskload_ps(from, (__m256i)mask), splat(rest));
#else
    vec value = splat(rest);
    for (size_t i = 0; i < count; i++) {
        value[i] = from[i];
    }
    return value;
#endif
}

RAMIFY_INLINE void store_some(float *to, size_t count, vec value) {
#if LANES == 16
    _mm512_mask_storeu_ps(to, (__mmask16)(0xFFFFU >> (16 - count)), value);
#elif LANES == 8
    const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7};
    _mm256_maskstore_ps(to, (__m256i)(lane < (int32_t)count), value);
#else
    for (size_t i = 0; i < count; i++) {
        to[i] = value[i];
    }
#endif
}

/* e^x for x <= 0, to 2 units in the last place; 0 below -87.3, where floats turn subnormal; NaN
 * stays. Cody and Waite: x = n ln2 + r with |r| <= ln2/2, ln2 in two parts so that n ln2 is exact,
 * then e^r by the polynomial of Cephes' expf (Moshier) and 2^n by way of the exponent bits. */
RAMIFY_INLINE vec exp_negative(vec x) {
    const vec lowest = splat(-87.3F);
    const float shift = 12582912.0F; /* 1.5 * 2^23: adding it rounds to an integer */
    vec clamped = choose(x < lowest, lowest, x);
    vec shifted = clamped * 1.44269504F + shift;
    vec n = shifted - shift;
    vec r = clamped - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    vec poly = splat(1.9875691500e-4F);
    poly = poly * r + 1.3981999507e-3F;
    poly = poly * r + 8.3334519073e-3F;
    poly = poly * r + 4.1665795894e-2F;
    poly = poly * r + 1.6666665459e-1F;
    poly = poly * r + 5.0000001201e-1F;
    poly = poly * (r * r) + r + 1.0F;
    ivec power = ((ivec)shifted << 23) + 0x3F800000;
    vec result = poly * (vec)power;
    return choose(x < lowest, splat(0.0F), result);
}

#endif

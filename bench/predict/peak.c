#include "peak.h"
#include "contender.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define STEPS  200000
#define TRIALS 25

/* Twelve chains: two units of latency 4 or 5 hold at most ten. What they end in goes to memory, or
 * the compiler would leave them out. */
#define CHAINS 12

#define RUN_CHAINS(type, fill, step, keep)                                                         \
    type chain[CHAINS];                                                                            \
    const type factor = fill(0.999F), term = fill(0.001F);                                         \
    for (int i = 0; i < CHAINS; i++)                                                               \
        chain[i] = fill((float)i);                                                                 \
    for (int s = 0; s < STEPS; s++) {                                                              \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) chain[i] = step(chain[i]);       \
    }                                                                                              \
    for (int i = 0; i < CHAINS; i++)                                                               \
        keep;

#if defined(__x86_64__)
#define FMA_512(value) _mm512_fmadd_ps(value, factor, term)
#define FMA_256(value) _mm256_fmadd_ps(value, factor, term)

__attribute__((target("avx512f"))) static void run_avx512(float *to) {
    RUN_CHAINS(__m512, _mm512_set1_ps, FMA_512, _mm512_storeu_ps(to + 16 * i, chain[i]))
}

__attribute__((target("avx2,fma"))) static void run_avx2(float *to) {
    RUN_CHAINS(__m256, _mm256_set1_ps, FMA_256, _mm256_storeu_ps(to + 8 * i, chain[i]))
}
#elif defined(__aarch64__)
#define FMA_128(value) vfmaq_f32(term, value, factor)

static void run_neon(float *to) {
    RUN_CHAINS(float32x4_t, vdupq_n_f32, FMA_128, vst1q_f32(to + 4 * i, chain[i]))
}
#endif

double peak_multiply_adds(const char **name) {
    void (*run)(float *to) = NULL;
    double lanes = 0;
    *name = "unknown instructions";
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        run = run_avx512;
        lanes = 16;
        *name = "AVX-512";
    } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        run = run_avx2;
        lanes = 8;
        *name = "AVX2";
    }
#elif defined(__aarch64__)
    run = run_neon;
    lanes = 4;
    *name = "NEON";
#endif
    if (!run)
        return 0;
    float kept[16 * CHAINS];
    double least = 1e300;
    for (int trial = 0; trial < TRIALS; trial++) {
        double start = contender_clock();
        run(kept);
        double seconds = contender_clock() - start;
        least = seconds < least ? seconds : least;
    }
    return lanes * CHAINS * STEPS / least;
}

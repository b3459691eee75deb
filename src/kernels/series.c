/* Sums of band-limited series at 16 points side by side. The last axis is a plain sum of products of
 * coefficients and values; on the axes before it, each function multiplies what the later axes give
 * for it. Nothing but the coefficients is read in proportion to the terms. */

#include "vector.h"

#define WIDTH (RAMIFY_VECTOR_BYTES / 8)
#define PARTS (RAMIFY_SERIES_ROWS / WIDTH)

typedef double dvec __attribute__((vector_size(RAMIFY_VECTOR_BYTES)));
typedef double dvec_aligned __attribute__((vector_size(RAMIFY_VECTOR_BYTES), may_alias));

typedef struct point {
    dvec part[PARTS];
} point;

RAMIFY_INLINE dvec multiply_add_double(double a, const double *b, dvec c) {
    const dvec all = {0};
    const dvec value = *(const dvec_aligned *)b;
#if WIDTH == 8
    return _mm512_fmadd_pd(all + a, value, c);
#elif WIDTH == 4
    return _mm256_fmadd_pd(all + a, value, c);
#else
    return (all + a) * value + c;
#endif
}

typedef struct walk {
    const ramify_series_at *at;
    const double *doubles; /* the next coefficient: of one of the two */
    const float *floats;
} walk;

RAMIFY_INLINE double coefficient(const walk *w, uint32_t i, bool floats) {
    return floats ? (double)w->floats[i] : w->doubles[i];
}

RAMIFY_INLINE point last_axis(walk *w, uint32_t functions, const double *values, bool floats) {
    /* Two chains for every part hide the latency of the multiply-add. */
    point even = {0};
    point odd = {0};
    uint32_t f = 0;
    for (; f + 2 <= functions; f += 2) {
        const double *v = values + (size_t)f * RAMIFY_SERIES_ROWS;
        const double a = coefficient(w, f, floats);
        const double b = coefficient(w, f + 1, floats);
        RAMIFY_UNROLL
        for (size_t i = 0; i < PARTS; i++) {
            even.part[i] = multiply_add_double(a, v + i * WIDTH, even.part[i]);
            odd.part[i] = multiply_add_double(b, v + RAMIFY_SERIES_ROWS + i * WIDTH, odd.part[i]);
        }
    }
    if (f < functions) {
        const double *v = values + (size_t)f * RAMIFY_SERIES_ROWS;
        const double a = coefficient(w, f, floats);
        RAMIFY_UNROLL
        for (size_t i = 0; i < PARTS; i++) {
            even.part[i] = multiply_add_double(a, v + i * WIDTH, even.part[i]);
        }
    }
    RAMIFY_UNROLL
    for (size_t i = 0; i < PARTS; i++) {
        even.part[i] += odd.part[i];
    }
    return even;
}

/* Depth: the number of axes, which is capped. */
static point sum_axis(walk *w, uint32_t axis, uint32_t left) {
    const ramify_series_at *at = w->at;
    const bool pairs = at->pairs[axis];
    const double *values = at->values[axis];
    const uint32_t functions = ramify_functions(left, pairs);
    if (axis + 1 == at->axes) {
        point sum = w->floats ? last_axis(w, functions, values, true)
                              : last_axis(w, functions, values, false);
        w->floats = w->floats ? w->floats + functions : NULL;
        w->doubles = w->doubles ? w->doubles + functions : NULL;
        return sum;
    }
    point sum = {0};
    for (uint32_t f = 0; f < functions; f++) {
        uint32_t rest = ramify_set_left(at->set, left, ramify_frequency(f, pairs));
        point inner = sum_axis(w, axis + 1, rest);
        const double *v = values + (size_t)f * RAMIFY_SERIES_ROWS;
        RAMIFY_UNROLL
        for (size_t i = 0; i < PARTS; i++) {
            sum.part[i] += inner.part[i] * *(const dvec_aligned *)(v + i * WIDTH);
        }
    }
    return sum;
}

void RAMIFY_KERNEL(series)(const ramify_series_at *at, const double *doubles, const float *floats,
                           double *y) {
    walk w = {.at = at, .doubles = doubles, .floats = floats};
    const point sum = sum_axis(&w, 0, at->band);
    for (size_t i = 0; i < PARTS; i++) {
        *(dvec_aligned *)(y + i * WIDTH) = sum.part[i];
    }
}

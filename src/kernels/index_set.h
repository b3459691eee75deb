#ifndef RAMIFY_KERNELS_INDEX_SET_H
#define RAMIFY_KERNELS_INDEX_SET_H
/* Which products of one function per axis a band-limited series has. A product has a frequency k on
 * each axis, and the set of band B holds those with
 *     largest   max k <= B                  (tensor products)
 *     total     sum of k <= B               (total degree)
 *     cross     product of (k + 1) <= B + 1 (hyperbolic cross)
 *
 * On an axis with pairs, frequency k > 0 has two functions, 2k - 1 and 2k (a cosine and a sine); else
 * function k has frequency k. Terms are ordered like words: by the function of axis 0, then that of
 * axis 1, and so on. What the axes before leave to the next one is one number, the `left` band, by
 * which all three sets are walked alike. */

#include <stdint.h>

typedef enum ramify_index_set {
    RAMIFY_SET_LARGEST = 0,
    RAMIFY_SET_TOTAL = 1,
    RAMIFY_SET_CROSS = 2
} ramify_index_set;

/* What is left of `left` for the next axes once this one has frequency k. Of a cross, 1 more than the
 * band is divided: floor(floor(x / a) / b) = floor(x / (a b)). */
static inline uint32_t ramify_set_left(ramify_index_set set, uint32_t left, uint32_t k) {
    if (set == RAMIFY_SET_TOTAL)
        return left - k;
    return set == RAMIFY_SET_CROSS ? (left + 1) / (k + 1) - 1 : left;
}

static inline uint32_t ramify_functions(uint32_t frequencies, int pairs) {
    return pairs ? 2 * frequencies + 1 : frequencies + 1;
}

static inline uint32_t ramify_frequency(uint32_t function, int pairs) {
    return pairs ? (function + 1) / 2 : function;
}

/* A series at RAMIFY_SERIES_ROWS points. */
typedef struct ramify_series_at {
    ramify_index_set set;
    uint32_t band, axes;
    const unsigned char *pairs;  /* axes */
    const double *const *values; /* axes, each functions x 16: of every function at every point */
} ramify_series_at;

#endif

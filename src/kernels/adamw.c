/* One step of AdamW. */

#include "vector.h"

/* v^(-1/2) of normal numbers above 0: a guess by way of the exponent bits and three of Newton's steps,
 * which leave 2 units in the last place. Square root and division hold the processor up three times
 * as long, and its own guesses differ between makers. */
RAMIFY_INLINE vec inverse_root(vec v) {
    const vec half = 0.5F * v;
    vec y = (vec)(0x5F375A86 - ((ivec)v >> 1));
    RAMIFY_UNROLL
    for (size_t i = 0; i < 3; i++) {
        y = y * (1.5F - half * y * y);
    }
    return y;
}

void RAMIFY_KERNEL(adamw)(size_t n, float *p, const float *g, float *m, float *v, float rate,
                          float beta1, float beta2, float epsilon, float decay, float correction1,
                          float correction2) {
    const float keep = 1.0F - rate * decay;
    const float new1 = 1.0F - beta1;
    const float new2 = 1.0F - beta2;
    const float step = rate / correction1;
    const float inverse2 = 1.0F / correction2;
    const float least = epsilon * epsilon;
    for (size_t i = 0; i < n; i += LANES) {
        vec gradient = load(g + i);
        vec mean = beta1 * load(m + i) + new1 * gradient;
        vec square = beta2 * load(v + i) + new2 * gradient * gradient;
        store(m + i, mean);
        store(v + i, square);
        store(p + i, keep * load(p + i) - step * mean * inverse_root(square * inverse2 + least));
    }
}

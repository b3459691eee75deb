/* One step of AdamW. */

#include "vector.h"

#include <math.h>

RAMIFY_INLINE vec square_root(vec v) {
    /* Compilers turn this loop into the vector instruction: the build sets -fno-math-errno. */
    vec root;
    RAMIFY_UNROLL
    for (size_t i = 0; i < LANES; i++) {
        root[i] = sqrtf(v[i]);
    }
    return root;
}

void RAMIFY_KERNEL(adamw)(size_t n, float *p, const float *g, float *m, float *v, float rate,
                          float beta1, float beta2, float epsilon, float decay, float correction1,
                          float correction2) {
    const float keep = 1.0F - rate * decay;
    const float new1 = 1.0F - beta1;
    const float new2 = 1.0F - beta2;
    const float step = rate / correction1;
    const float inverse2 = 1.0F / correction2;
    for (size_t i = 0; i < n; i += LANES) {
        vec gradient = load(g + i);
        vec mean = beta1 * load(m + i) + new1 * gradient;
        vec square = beta2 * load(v + i) + new2 * gradient * gradient;
        store(m + i, mean);
        store(v + i, square);
        store(p + i, keep * load(p + i) - step * mean / (square_root(square * inverse2) + epsilon));
    }
}

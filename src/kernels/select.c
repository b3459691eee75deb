/* Which kernel sets this processor can run. */

#include "sets.h"

#include <string.h>

const ramify_kernels *ramify_kernels_reference(void) {
    return &ramify_kernels_reference_set;
}

size_t ramify_kernels_list(const ramify_kernels *const **list) {
    /* From slow to fast; a processor that runs one of them runs all before it. */
#if defined(__x86_64__)
    static const ramify_kernels *const sets[] = {
        &ramify_kernels_reference_set, &ramify_kernels_set_baseline,   &ramify_kernels_set_avx2,
        &ramify_kernels_set_avx512,    &ramify_kernels_set_avx512vnni,
    };
    /* cpu_supports also asks whether the system saves the wide registers. */
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    size_t count = 2 + (size_t)avx2 + (size_t)avx512 + (size_t)vnni;
#elif defined(__aarch64__)
    static const ramify_kernels *const sets[] = {
        &ramify_kernels_reference_set,
        &ramify_kernels_set_neon,
    };
    size_t count = sizeof sets / sizeof *sets;
#else
    static const ramify_kernels *const sets[] = {
        &ramify_kernels_reference_set,
        &ramify_kernels_set_baseline,
    };
    size_t count = sizeof sets / sizeof *sets;
#endif
    *list = sets;
    return count;
}

const ramify_kernels *ramify_kernels_select(const char *isa) {
    const ramify_kernels *const *sets;
    size_t count = ramify_kernels_list(&sets);
    if (!isa || !*isa) {
        return sets[count - 1];
    }
    /* Of two with one name, which give the same bits, the later one is faster. */
    for (size_t i = count; i-- > 0;) {
        if (strcmp(sets[i]->name, isa) == 0) {
            return sets[i];
        }
    }
    return NULL;
}

#include "isa.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct isa_entry {
    const char *name;
    bool (*present)(void);
} isa_entry;

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks whether the operating system saves the wide registers. */
static bool avx512_present(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

static bool avx2_present(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

static bool always(void) {
    return true;
}

/* Best first. */
static const isa_entry entries[] = {
#if defined(__x86_64__)
    {"avx512", avx512_present},
    {"avx2", avx2_present},
    {"baseline", always},
#elif defined(__aarch64__)
    {"neon", always},
#else
    {"baseline", always},
#endif
};

const char *ramify_isa_choose(const char *wanted) {
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        bool named = wanted && wanted[0] != '\0';
        if ((!named || strcmp(wanted, entries[i].name) == 0) && entries[i].present())
            return entries[i].name;
    }
    return NULL;
}

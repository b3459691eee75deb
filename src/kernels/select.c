/* Which kernel sets this processor can run. */

#include "sets.h"

#include <string.h>

const ramify_kernels *ramify_kernels_reference(void) {
    return &ramify_kernels_reference_set;
}

size_t ramify_kernels_list(const ramify_kernels *const **list) {
    static const ramify_kernels *const sets[] = {&ramify_kernels_reference_set};
    *list = sets;
    return sizeof sets / sizeof *sets;
}

const ramify_kernels *ramify_kernels_select(const char *isa) {
    if (isa && *isa && strcmp(isa, "reference") != 0) {
        return NULL;
    }
    return ramify_kernels_reference();
}

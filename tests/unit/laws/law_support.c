#include "law_support.h"

#include <math.h>

ramify_context *context;

int open_context(void **state) {
    (void)state;
    return ramify_context_create(NULL, &context) == RAMIFY_OK ? 0 : 1;
}

int close_context(void **state) {
    (void)state;
    ramify_context_destroy(&context);
    return 0;
}

void near(double found, double wanted, double relative) {
    if (!(fabs(found - wanted) <= relative * fabs(wanted)))
        fail_msg("%.17g, expected %.17g", found, wanted);
}

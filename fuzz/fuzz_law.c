/* Fuzzes the reader of law files: whatever is read answers questions without a fault. */

#include "ramify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    ramify_context *context = NULL;
    ramify_law *law = NULL;
    if (ramify_context_create(NULL, &context) != RAMIFY_OK)
        abort();
    if (ramify_law_open_text(context, (const char *)input, size, "input", &law) == RAMIFY_OK) {
        const double x[4] = {10, 20, 0.5, 0.1};
        const ramify_law_cost cost = {6, 1, 1};
        ramify_law_estimate estimate;
        ramify_law_split split;
        ramify_law_network network;
        for (uint32_t g = 0; g < ramify_law_group_count(law) && g < 4; g++) {
            if (ramify_law_predict(law, g, 1, x, 0.9, &estimate) == RAMIFY_OK &&
                (estimate.low > estimate.value || estimate.high < estimate.value))
                abort();
            (void)ramify_law_invert(law, g, 0, x, 0.2, 0.9, &estimate);
            (void)ramify_law_frontier(law, g, &cost, x, 1e6, 0.9, &split);
            (void)ramify_law_optimum(law, g, NULL, 0, 0.2, 0.9, &network);
        }
    }
    ramify_law_destroy(&law);
    ramify_context_destroy(&context);
    return 0;
}

/* Fuzzes the IDX reader: the input follows the two zero bytes that every IDX file starts with. */

#include "table_properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static const uint8_t zeros[2] = {0, 0};
    table_properties_behind(zeros, sizeof zeros, input, size, NULL);
    return 0;
}

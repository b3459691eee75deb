/* Fuzzes the NPY reader. The first byte chooses the version and whether the header's keys are there
 * already, so that the fuzzer need not find them. */

#include "table_properties.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 4)
        return 0;
    ramify_table_options options;
    ramify_table_options_init(&options);
    options.categorical = input[0] & 4 ? "c1" : NULL;
    char start[128];
    memcpy(start, "\x93NUMPY\1", 8);
    start[6] = (char)(input[0] & 3);
    if (input[0] & 8) {
        table_properties_behind(start, 8, input + 1, size - 1, &options);
        return 0;
    }
    static const char *const types[] = {"<f8", "<f4", "<i4", ">i8", "|u1"};
    start[6] = 1;
    int length = snprintf(
        start + 10, sizeof start - 10, "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d)}",
        types[(input[0] >> 4) % 5], input[0] & 1 ? "True" : "False", input[1] % 16, input[2] % 16);
    start[8] = (char)length;
    start[9] = 0;
    table_properties_behind(start, 10 + (size_t)length, input + 3, size - 3, &options);
    return 0;
}

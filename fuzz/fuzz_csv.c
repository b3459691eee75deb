/* Fuzzes the text reader. The first byte chooses the options, and whether the rest is text or the
 * inside of a gzip file. */

#include "table_properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    static const char *const delimiters[] = {NULL, ",", "\t", " "};
    static const uint8_t gzip[] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3};
    if (size == 0)
        return 0;
    ramify_table_options options;
    ramify_table_options_init(&options);
    options.delimiter = delimiters[input[0] & 3];
    options.header = (ramify_header)((input[0] >> 2) % 3);
    options.categorical = input[0] & 64 ? "c1" : NULL;
    if (input[0] & 128)
        table_properties_behind(gzip, sizeof gzip, input + 1, size - 1, &options);
    else
        table_properties(input + 1, size - 1, &options);
    return 0;
}

#ifndef RAMIFY_FUZZ_TABLE_PROPERTIES_H
#define RAMIFY_FUZZ_TABLE_PROPERTIES_H
/* What must hold of any table that is read from any bytes, for the fuzz targets of src/data. */

#include "ramify.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Aborts if it does not hold. */
void table_demand(bool held);

/* Reads the bytes; what comes out, table or failure, must keep its promises. */
void table_properties(const void *bytes, size_t size, const ramify_table_options *options);

/* The same for `size` bytes behind a fixed beginning. */
void table_properties_behind(const void *start, size_t start_size, const void *bytes, size_t size,
                             const ramify_table_options *options);

#endif

#ifndef RAMIFY_DATA_PARTS_BUILD_H
#define RAMIFY_DATA_PARTS_BUILD_H
/* The inside of ramify_parts, for the files parts*.c. */

#include "csv.h"
#include "parts.h"

struct ramify_parts {
    ramify_context *context;
    char *name;
    int descriptor;
    const char *reason; /* why the file is not divisible; NULL: it is */
    uint64_t size;      /* bytes of the file */
    ramify_place first; /* of the first row */
    bool is_array;
    ramify_csv_head text; /* its table is the head of arrays too */
    ramify_array array;   /* of the whole file */
    uint64_t row_bytes;   /* of an array */
    char *categorical;    /* of the options */
    const ramify_schema *schema;
};

/* Bytes at `offset`, as many as there are up to `size`. */
ramify_status ramify_parts_fetch(const ramify_parts *parts, uint64_t offset, void *bytes,
                                 size_t size, size_t *count);

#endif

#ifndef RAMIFY_TESTS_DATA_SUPPORT_H
#define RAMIFY_TESTS_DATA_SUPPORT_H
/* What the tests of src/data share: a context that counts memory and keeps its log, and short ways
 * to read a table from bytes. */

#include "build.h"
#include "memory.h"
#include "ramify.h"
#include "schema.h"
#include "status.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct data_world {
    ramify_context *context;
    int64_t blocks;        /* allocated and not released */
    int64_t live, peak;    /* bytes of these, now and at most */
    uint64_t calls;        /* of allocate */
    uint64_t refuse;       /* the call that is refused; 0 = none */
    uint64_t memory_limit; /* for the context; set before data_world_begin */
    char log[4096];        /* warnings, one a line */
} data_world;

/* Setup and teardown of a test: *state is a data_world. Teardown fails if memory is left. */
int data_world_setup(void **state);
int data_world_teardown(void **state);

/* A world whose context has this memory limit. */
void data_world_limit(data_world *world, uint64_t bytes);

/* Reads a table from bytes; called t.csv, whatever it is. The test fails if that fails. */
ramify_table *data_parse(data_world *world, const void *bytes, size_t size,
                         const ramify_table_options *options);
ramify_table *data_parse_text(data_world *world, const char *text,
                              const ramify_table_options *options);

/* Expects a status and a message. */
void data_refuse(data_world *world, const void *bytes, size_t size,
                 const ramify_table_options *options, ramify_status status, const char *message);
void data_refuse_text(data_world *world, const char *text, const ramify_table_options *options,
                      const char *message);

/* Value of column c at row r; NaN if missing. */
double data_value(const ramify_table *table, size_t c, size_t r);

/* Text of column c at row r; NULL if missing. */
const char *data_text(const ramify_table *table, size_t c, size_t r);

/* Runs `action` again and again, each time refusing one more allocation, until it succeeds: it must
 * fail with RAMIFY_ERROR_MEMORY and leave nothing behind each time before. */
typedef ramify_status (*data_action)(data_world *world, void *argument);
void data_refuse_each_allocation(data_world *world, data_action action, void *argument);

/* Expects that every cut of the bytes is refused with a message, and never crashes. */
void data_refuse_each_cut(data_world *world, const uint8_t *bytes, size_t size);

/* gzip of the bytes; *packed is malloc's. */
size_t data_gzip(const void *bytes, size_t size, uint8_t **packed);

#endif

#ifndef RAMIFY_MODULES_MODULE_H
#define RAMIFY_MODULES_MODULE_H
/* What a module is to the rest of the library: one entry of a table of functions per module type.
 *
 * A module is a *record*: bytes that are stored, checksummed, read and run as they are. Its *shape*
 * is stored once for all modules of a group, in the model's config. Adding a module type is adding
 * an entry to ramify_module_types and a test. */

#include "bandlimited.h"
#include "branch.h"
#include "kernels.h"
#include "mlp.h"
#include "packed.h"
#include "ramify.h"

#include <jansson.h>

struct ramify_module_type;

typedef struct ramify_module_shape {
    const struct ramify_module_type *type;
    union {
        ramify_mlp_shape mlp;
        ramify_packed_shape packed; /* begins with an mlp's */
        ramify_branch_shape branch;
        ramify_series_shape series;
    };
} ramify_module_shape;

/* Of "mlp" and "packed" everything is there; records of the second differ in length, and record_bytes is
 * that of the largest. A "bandlimited" series is run on raw rows in float64 (bandlimited.h)
 * and its records differ in length too; run and input_gradient are NULL. A "branch" of a Para-Former is no module that a tree leads to: it is run with the others
 * (paraformer_run.h), and its shape is read with theirs. Of its entry only the name, parameters,
 * record_bytes and check are there. */
typedef struct ramify_module_type {
    const char *name; /* as in the config: "mlp" */
    bool varies;      /* records differ in length */

    /* Reads the shape from the config's JSON, trusting nothing: caps, types, and that the layers
     * chain. `where` names the file in messages. */
    ramify_status (*shape_from_json)(ramify_context *context, const char *where, const json_t *json,
                                     ramify_module_shape *shape);
    /* A new reference, or NULL when out of memory. */
    json_t *(*shape_to_json)(const ramify_module_shape *shape);

    uint32_t (*inputs)(const ramify_module_shape *shape);
    uint32_t (*outputs)(const ramify_module_shape *shape);
    uint64_t (*parameters)(const ramify_module_shape *shape); /* numbers learned, at most */
    size_t (*record_bytes)(const ramify_module_shape *shape); /* a multiple of 64 */

    /* Checks a record's content, `bytes` long: all numbers finite. Returns NULL or a short phrase for
     * the message. */
    const char *(*check)(const ramify_module_shape *shape, const void *record, uint64_t bytes);

    /* Bytes of 64-byte aligned scratch that run, and input_gradient, need for `rows` rows. */
    size_t (*scratch_bytes)(const ramify_module_shape *shape, size_t rows);
    size_t (*gradient_bytes)(const ramify_module_shape *shape, size_t rows);

    /* y[rows x outputs] from x[rows x inputs]; x padded with zeros to a multiple of 16, ldx and ldy
     * multiples of 16. A row's result does not depend on the other rows. */
    void (*run)(const ramify_kernels *kernels, const ramify_module_shape *shape, const void *record,
                size_t rows, const float *x, size_t ldx, float *y, size_t ldy, void *scratch);

    /* dx[rows x inputs] = dy[rows x outputs] times the Jacobian at x. dy, dx padded as x and y. */
    void (*input_gradient)(const ramify_kernels *kernels, const ramify_module_shape *shape,
                           const void *record, size_t rows, const float *x, size_t ldx,
                           const float *dy, size_t lddy, float *dx, size_t lddx, void *scratch);
} ramify_module_type;

/* The type named `name`, or NULL. */
const ramify_module_type *ramify_module_type_find(const char *name);

#endif

#ifndef RAMIFY_TESTS_MODEL_FILE_H
#define RAMIFY_TESTS_MODEL_FILE_H
/* A model file taken apart, to be damaged and put together again with checksums that fit, as a
 * stranger would. */

#include "random_model.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct model_file {
    json_t *header; /* without ramify.config's text, which is kept apart */
    json_t *config;
    json_t *original;                    /* the header before any damage: where tensors lie */
    unsigned char *data, *original_data; /* data_size; the second: before any damage */
    size_t data_size;
} model_file;

model_file *model_file_take(const void *bytes, size_t size);
void model_file_free(model_file *file);

/* Sets what `path` leads to, such as "stem/columns" or "groups/0/type", to a JSON value; NULL
 * deletes it. */
void model_file_edit(json_t *root, const char *path, const char *value);

/* Where a tensor's bytes lie in `data`, by the undamaged header. */
unsigned char *model_file_tensor(model_file *file, const char *name);

/* Computes the checksums of notes, modules, nodes (from the last to the first), root and resident part
 * again, where the undamaged file has them. That of the tables of notes stays if it was damaged
 * itself. */
void model_file_sign(model_file *file);

/* The file's bytes, from aligned_alloc. */
unsigned char *model_file_join(const model_file *file, size_t *size);

/* The same from header text as it is; `padding` extends it to the next multiple of 4096. */
unsigned char *model_file_join_text(const char *header, size_t length, bool padding,
                                    const unsigned char *data, size_t data_size, size_t *size);

/* A small model with one of everything: bins, periodic features, a route, two targets, a tree of
 * three nodes with two children each, and four modules; with or without notes, and with networks packed as random_model.h says. */
random_model *model_file_subject(ramify_context *context, bool notes, uint32_t packed);

#endif

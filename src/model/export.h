#ifndef RAMIFY_MODEL_EXPORT_H
#define RAMIFY_MODEL_EXPORT_H
/* The inside of ramify_export_c: a model on its way to C source.
 *
 * The plan: the tree is walked (export_tree.h). Then every array of the source is known by name,
 * type and count (export_arrays.c): the list of them prints the sizes in the opening comment, and
 * the arrays themselves. Last come the functions, only those that the model needs
 * (export_functions.c). Nodes and modules are read through the model's stores, one at a time. */

#include "export_tree.h"
#include "model.h"
#include "save.h"
#include "status.h"

#define RAMIFY_EXPORT_BUFFER 65536
#define RAMIFY_EXPORT_ARRAYS 16

typedef struct ramify_exporter ramify_exporter;

/* An array of the source. */
typedef struct ramify_export_array {
    const char *name;
    const char *type;
    uint32_t bytes; /* of one number */
    uint32_t line;  /* numbers on a line */
    uint64_t count;
    void (*fill)(ramify_exporter *e); /* writes `count` numbers */
} ramify_export_array;

struct ramify_exporter {
    ramify_context *context;
    ramify_model *model;
    const ramify_stem *stem;
    const ramify_mlp_shape *mlp;
    const char *name;
    ramify_traffic traffic; /* of the stores; not counted as predicting */

    ramify_replacement file;
    ramify_status status; /* the first failure; nothing is written after it */
    char *buffer;         /* RAMIFY_EXPORT_BUFFER */
    size_t used;
    uint32_t on_line, line; /* numbers on the line at hand, and the most of them */

    bool categories, numbers, missing; /* columns of that kind */
    bool tables;                       /* features have tables */
    bool waves;                        /* periodic features */
    uint32_t wave;                     /* index of the first of them */
    bool directions;                   /* the tree routes in a space of its own */

    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    uint64_t packed; /* floats of a module without padding */

    ramify_export_tree tree;

    ramify_export_array arrays[RAMIFY_EXPORT_ARRAYS];
    uint32_t array_count;
};

/* A piece of source, at most 2047 bytes after formatting. In `format` and its texts '@' stands for
 * the name that the caller chose, with which every identifier of the source begins. */
void ramify_export_put(ramify_exporter *e, const char *format, ...) RAMIFY_PRINTF(2, 3);

/* A stranger's text, quoted, in a comment: nothing in it can end the comment, open another, join
 * lines or be a trigraph. */
void ramify_export_quote(ramify_exporter *e, const char *text);

/* Hands what is in the buffer to the file. */
void ramify_export_flush(ramify_exporter *e);

/* Fills e->arrays, and e's flags, once the tree has been walked. */
void ramify_export_list(ramify_exporter *e);

void ramify_export_comment(ramify_exporter *e);
void ramify_export_arrays(ramify_exporter *e);
void ramify_export_functions(ramify_exporter *e);

#endif

#ifndef RAMIFY_BENCH_GROVE_H
#define RAMIFY_BENCH_GROVE_H
/* A model of any size, made without training: a full tree whose prototypes are known functions of
 * their path, so that a row can be made for every expert without reading the file. */

#include "ramify.h"

#define GROVE_COLUMNS 8
#define GROVE_ARITY   8
#define GROVE_WIDTH   64 /* of two hidden layers: 8-64-64-1, 19,776 bytes an expert */

/* Experts of a tree of `levels` levels. */
static inline uint32_t grove_experts(uint32_t levels) {
    return (uint32_t)1 << (3 * levels);
}

/* The prototype of leaf `leaf` (in depth-first order): a raw row that leads there, but for a few in
 * a thousand that are nearer to a neighbour. */
void grove_row(uint32_t levels, uint32_t leaf, float row[GROVE_COLUMNS]);

/* Writes the model to `path`. Needs the file's size in memory. */
ramify_status grove_write(ramify_context *context, uint32_t levels, const char *path);

#endif

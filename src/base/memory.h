#ifndef RAMIFY_BASE_MEMORY_H
#define RAMIFY_BASE_MEMORY_H
/* Checked sizes, and memory that comes from the context's callbacks.
 *
 * Every product or sum of sizes in the library goes through ramify_size_multiply and
 * ramify_size_add (STYLE: size arithmetic only through a few named helpers). Every block is
 * aligned to RAMIFY_ALIGNMENT, so that kernels may load whole vectors from its start. */

#include "ramify.h"

/* One cache line; also the width of the widest vector register (AVX-512). */
#define RAMIFY_ALIGNMENT 64

/* Floats in RAMIFY_ALIGNMENT bytes: strides of all float32 matrices are multiples of this. */
#define RAMIFY_LANES 16

/* *product = a * b; false, and *product untouched, on overflow. */
bool ramify_size_multiply(size_t a, size_t b, size_t *product);

/* *sum = a + b; false, and *sum untouched, on overflow. */
bool ramify_size_add(size_t a, size_t b, size_t *sum);

static inline size_t ramify_smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t ramify_larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Rounds `count` floats up to whole vectors. count must be below SIZE_MAX - RAMIFY_LANES. */
static inline size_t ramify_pad(size_t count) {
    return (count + RAMIFY_LANES - 1) / RAMIFY_LANES * RAMIFY_LANES;
}

/* Rounds `bytes` up to whole aligned lines. bytes must be below UINT64_MAX - RAMIFY_ALIGNMENT. */
static inline uint64_t ramify_align(uint64_t bytes) {
    return (bytes + RAMIFY_ALIGNMENT - 1) / RAMIFY_ALIGNMENT * RAMIFY_ALIGNMENT;
}

/* Memory for `count` things of `size` bytes, aligned, contents undefined. NULL, with the message
 * set in the context (status RAMIFY_ERROR_MEMORY), on overflow or refusal. A count of 0 gives a
 * valid pointer. The caller frees with ramify_release. Safe from pool threads. */
void *ramify_allocate(ramify_context *context, size_t count, size_t size);

/* The same, filled with zero bytes. */
void *ramify_allocate_zeroed(ramify_context *context, size_t count, size_t size);

/* Grows or shrinks a block from ramify_allocate to `count` x `size`; keeps the old contents up to
 * the smaller size. On failure NULL, and the old block stays valid. memory may be NULL. */
void *ramify_reallocate(ramify_context *context, void *memory, size_t count, size_t size);

/* A copy of `text`; freed with ramify_release. */
char *ramify_copy_text(ramify_context *context, const char *text);

/* Frees a block. NULL is harmless. */
void ramify_release(ramify_context *context, void *memory);

#endif

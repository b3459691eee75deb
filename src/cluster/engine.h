#ifndef RAMIFY_CLUSTER_ENGINE_H
#define RAMIFY_CLUSTER_ENGINE_H
/* What carries bytes between processes: one table of functions, which local.c fills in for a process
 * that is alone and mpi.c for those that an MPI launcher started. The second is a plug-in, a shared
 * object of its own, so that nobody else's process loads MPI; it uses nothing of the library, and
 * the library nothing of MPI.
 *
 * A transfer is begun by one call and asked after by `test` until it is done: whoever waits can look
 * at the clock and at the other ranks meanwhile (cluster.c). Every rank begins the same transfers in
 * the same order. Functions return 0, or -1 with a sentence of what failed in `why`. Called from one
 * thread. Sizes and offsets are bytes, each below RAMIFY_ENGINE_BYTES_MAX, offsets included. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Changes with the table. */
#define RAMIFY_ENGINE_ABI 2

/* MPI counts in int. What is more than that is sent in pieces of RAMIFY_ENGINE_PIECE bytes or fewer. Tests set
 * both lower. */
#ifndef RAMIFY_ENGINE_BYTES_MAX
#define RAMIFY_ENGINE_BYTES_MAX ((size_t)1 << 30)
#define RAMIFY_ENGINE_PIECE     ((size_t)1 << 26)
#endif

#define RAMIFY_ENGINE_WHY_BYTES 256

typedef struct ramify_engine {
    uint32_t abi;

    /* Joins the others: *state is freed by finish, which every rank calls when all transfers are done. */
    int (*start)(void **state, uint32_t *rank, uint32_t *ranks, char *why);
    int (*finish)(void *state, char *why);

    /* Begins a transfer; *request goes to test. */
    int (*broadcast)(void *state, void *bytes, size_t size, uint32_t from, void **request,
                     char *why);
    /* all receives sizes[r] bytes of rank r at offsets[r]; mine is sizes[own rank] bytes. */
    int (*gather)(void *state, const void *mine, void *all, const size_t *sizes,
                  const size_t *offsets, void **request, char *why);
    /* out_sizes[r] bytes at out + out_offsets[r] go to rank r; those of rank r arrive likewise. */
    int (*exchange)(void *state, const void *out, const size_t *out_sizes,
                    const size_t *out_offsets, void *in, const size_t *in_sizes,
                    const size_t *in_offsets, void **request, char *why);
    /* values[count] become the sums over all ranks. */
    int (*sum)(void *state, uint64_t *values, size_t count, void **request, char *why);

    /* Frees the request when *done. */
    int (*test)(void *state, void *request, bool *done, char *why);
} ramify_engine;

/* The engine of one process. */
extern const ramify_engine ramify_engine_local;

/* The symbol of the plug-in: `const ramify_engine *ramify_engine_mpi(void)`. */
#define RAMIFY_ENGINE_SYMBOL "ramify_engine_mpi"
typedef const ramify_engine *(*ramify_engine_entry)(void);

#endif

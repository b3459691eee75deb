#ifndef RAMIFY_TESTS_SHARED_ENGINE_H
#define RAMIFY_TESTS_SHARED_ENGINE_H
/* An engine for tests: forked processes that hand bytes over in memory which they share. A plug-in like that of
 * MPI, so that cluster.c is tested as it is. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_RANKS 4
#define SHARED_SLOT  ((size_t)1 << 20)

/* The variables of the environment by which a process learns where the memory is, and its rank. */
#define SHARED_MEMORY "RAMIFY_TEST_MEMORY"
#define SHARED_RANK   "RAMIFY_TEST_RANK"

/* Zeroed, mapped before processes are forked. */
typedef struct shared_memory {
    uint32_t ranks;
    uint64_t stuck_at;  /* transfer that does not come to its end; 0: none */
    uint64_t failed_at; /* transfer that fails on rank 1; 0: none */
    uint64_t most;      /* bytes that an engine counts, which no transfer may be beyond */
    atomic_ullong begun[SHARED_RANKS], ended[SHARED_RANKS];
    atomic_uint speakers, told; /* of the tests: callbacks that spoke, and all of them */
    char slot[SHARED_RANKS][SHARED_SLOT];
} shared_memory;

#endif

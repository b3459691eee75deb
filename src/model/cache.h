#ifndef RAMIFY_MODEL_CACHE_H
#define RAMIFY_MODEL_CACHE_H
/* Which records stay in a fixed number of slots: S3-FIFO (Yang and others, "FIFO queues are all you
 * need for cache eviction", SOSP 2023). Bookkeeping alone: the bytes of the slots are the store's
 * (residency.h), and so is the lock under which everything here is called.
 *
 * A record that is new goes through a small queue of a tenth of the slots; if it is used again
 * there, or comes back soon after it was dropped from there, it moves to the main queue, where a
 * record is dropped when it reaches the end without having been used since it was last there. A
 * single pass over many records therefore costs the small queue only, and a hit moves nothing.
 *
 * Kept records (the top of a tree) are in no queue and stay until the cache is closed. */

#include "ramify.h"

/* No slot. */
#define RAMIFY_NO_SLOT UINT32_MAX

typedef enum ramify_slot_state {
    RAMIFY_SLOT_FREE,
    RAMIFY_SLOT_LOADING, /* taken; its bytes are being read */
    RAMIFY_SLOT_SMALL,   /* in the small queue */
    RAMIFY_SLOT_MAIN,    /* in the main queue */
    RAMIFY_SLOT_KEPT     /* never dropped */
} ramify_slot_state;

typedef struct ramify_slot {
    uint64_t key;       /* of the record; any number that names it */
    uint32_t chain;     /* next slot of the same bucket */
    uint32_t next;      /* next younger slot of the queue, or next free slot */
    uint32_t pins;      /* users right now */
    uint8_t state;      /* ramify_slot_state */
    uint8_t uses;       /* since it entered its queue, at most 3 */
    uint8_t remembered; /* its key was among the ghosts when it was taken */
} ramify_slot;

/* What is remembered of a record that was dropped from the small queue. */
typedef struct ramify_ghost {
    uint32_t print; /* part of the key's hash */
    uint32_t when;  /* number of drops before it; 0: empty */
} ramify_ghost;

typedef struct ramify_slot_queue {
    uint32_t oldest, youngest, count;
} ramify_slot_queue;

typedef struct ramify_cache {
    uint32_t slot_count;
    uint32_t bucket_count;   /* of slots and of ghosts; a power of 2, at least slot_count */
    ramify_slot *slots;      /* slot_count */
    uint32_t *buckets;       /* bucket_count: first slot of the chain */
    ramify_ghost *ghosts;    /* bucket_count */
    ramify_slot_queue small; /* new records */
    ramify_slot_queue main;  /* records that were used again */
    uint32_t small_target;   /* length that the small queue is cut to */
    uint32_t free;           /* first free slot */
    uint32_t drops;          /* from the small queue, counting from 1; wraps */
    uint32_t kept, kept_most;
} ramify_cache;

/* Bytes of bookkeeping for `slots` slots, a multiple of 64. */
uint64_t ramify_cache_bytes(uint64_t slots);

/* An empty cache in memory of ramify_cache_bytes(slots), 64-byte aligned, which is borrowed. slots
 * is at least 1; of these at most kept_most (below slots) are kept. */
void ramify_cache_create(ramify_cache *cache, void *memory, uint32_t slots, uint32_t kept_most);

/* The slot that holds the record, loading or not, or RAMIFY_NO_SLOT. Counts as no use. */
uint32_t ramify_cache_find(const ramify_cache *cache, uint64_t key);

/* A use of a record that was found. */
void ramify_cache_use(ramify_cache *cache, uint32_t slot);

/* Takes a slot for a record that was not found, dropping another's if need be, and pins it: it is
 * loading until ramify_cache_admit or ramify_cache_refuse. RAMIFY_NO_SLOT when every slot is pinned
 * or kept. */
uint32_t ramify_cache_take(ramify_cache *cache, uint64_t key);

/* The record is there. With `keep` it stays, as long as fewer than kept_most do. */
void ramify_cache_admit(ramify_cache *cache, uint32_t slot, bool keep);

/* The record could not be read; its slot is free again, and unpinned. */
void ramify_cache_refuse(ramify_cache *cache, uint32_t slot);

#endif

#ifndef RAMIFY_MODEL_RESIDENCY_H
#define RAMIFY_MODEL_RESIDENCY_H
/* What of a model is in memory: the one accounting of resident bytes, and the stores that hold node
 * records and modules.
 *
 * A store serves one tensor of records, in one of three ways:
 *   in place      the whole tensor has an address (a buffer, a mapped file, or memory that is filled
 *                 from the file as records are first needed). A bit per record says that it has been
 *                 checked; from then on a record is taken without a lock.
 *   cache         a fixed number of slots inside the caller's bound, allocated at open; cache.h says
 *                 which records stay.
 *   mapped cache  the same with slots that are mappings of the file's pages, made for a record and
 *                 undone before the next one's, so that the bound counts whole pages.
 * Either way a record is checked before anyone sees it, and nothing is allocated after open. Records
 * are read without the lock: threads that miss different records read side by side, and of several
 * that miss the same one reads and the others wait. */

#include "cache.h"
#include "module.h"
#include "ramify.h"
#include "source.h"
#include "stem.h"
#include "tree.h"

#include <pthread.h>
#include <stdatomic.h>

/* Bytes that ramify_allocate takes for a block of `bytes`, with its hidden header. */
uint64_t ramify_block_bytes(uint64_t bytes);

/* What one row needs in memory. */
typedef struct ramify_need {
    uint64_t handle;  /* handle, names, config text, schema, stem, head, slots' bookkeeping */
    uint64_t path;    /* the largest path of node blocks */
    uint64_t module;  /* the largest module */
    uint64_t scratch; /* a predictor of one row */
    uint64_t total;
} ramify_need;

/* What the need depends on; known before a model is trained, too. */
typedef struct ramify_need_of {
    uint64_t schema_bytes;             /* ramify_schema_bytes */
    uint64_t config_bytes;             /* length of the ramify.config text, schema included */
    const ramify_stem *stem;           /* only its counts, and whether it has a route */
    uint32_t targets;                  /* of a regression; 0 for a classification */
    const ramify_module_shape *shape;  /* of the modules of group 0 */
    const ramify_series_shape *series; /* of series among them; NULL: none */
    const struct ramify_paraformer_shape *paraformer; /* NULL: a tree */
    uint32_t depth, arity;                            /* of the tree; 0, 0 for a single module */
    uint32_t top_k;                                   /* experts per row; 0 or 1: its own */
    uint64_t notes_bytes; /* ramify_notes_bytes of one row where notes are wanted */
} ramify_need_of;

ramify_need ramify_resident_need(const ramify_need_of *of);

typedef struct ramify_store {
    uint64_t begin;      /* the tensor's first byte in the source */
    uint64_t bytes;      /* of the tensor; 0: there is none */
    uint64_t unit;       /* records begin at multiples of this */
    uint64_t slot_bytes; /* of the largest record */

    /* in place */
    unsigned char *base;       /* bytes; NULL for a cache */
    bool filled_on_demand;     /* base is our memory and is read from the source record by record */
    _Atomic uint32_t *checked; /* a bit per unit: the record that begins here is good */
    uint32_t *filled;          /* a bit per unit: base holds these bytes; under the lock */

    /* cache */
    ramify_cache cache;         /* slot_count 0: in place */
    unsigned char *slot_memory; /* slot_count x slot_bytes; NULL for a mapped cache */
    ramify_mapping *mappings;   /* slot_count of a mapped cache */
    void *memory;               /* what all of it was carved from */
} ramify_store;

/* Counts of one predictor, added to the model's after each call. */
typedef struct ramify_traffic {
    uint64_t hits, misses, bytes_read;
} ramify_traffic;

/* Bytes that a cache of `slots` slots takes at most, pages of mappings included. */
uint64_t ramify_store_cache_bytes(uint64_t slot_bytes, bool mapped, uint64_t slots);

/* The store's begin, bytes, unit and slot_bytes are set. kept_most: records that may stay for good,
 * below `slots`. Release with ramify_store_close. */
ramify_status ramify_store_open_cache(ramify_context *context, ramify_store *store, uint32_t slots,
                                      uint32_t kept_most, bool mapped);
/* base: where the tensor lies, or NULL for memory of our own that is filled on demand. */
ramify_status ramify_store_open_in_place(ramify_context *context, ramify_store *store,
                                         unsigned char *base);
/* Bytes of the store's own memory, without the pages of mappings. */
uint64_t ramify_store_held(const ramify_store *store);
void ramify_store_close(ramify_context *context, ramify_store *store);

/* Gets the record of a reference that has been checked: reads and checks it if need be. It stays
 * until it is released with the same *slot; with `keep`, for good, while there is room for such
 * records. At most one record of a store may be held by a predictor at a time. Any number of
 * threads. */
ramify_status ramify_store_acquire(ramify_context *context, ramify_model *model,
                                   ramify_store *store, const ramify_reference *reference,
                                   bool keep, ramify_traffic *traffic, const void **record,
                                   uint32_t *slot);
void ramify_store_release(ramify_model *model, ramify_store *store, uint32_t slot);

#endif

#include "cache.h"
#include "memory.h"

#include <string.h>

/* A record's uses are counted up to this, the number of times it may pass the end of the main queue
 * unused (the paper's two bits). */
#define USES_MOST 3

/* The small queue's share of the slots (the paper's tenth). */
#define SMALL_SHARE 10

/* Ghosts are looked for in as many neighbouring places. */
#define GHOST_WAYS 4

static uint64_t buckets_for(uint64_t slots) {
    uint64_t buckets = GHOST_WAYS;
    while (buckets < slots)
        buckets *= 2;
    return buckets;
}

uint64_t ramify_cache_bytes(uint64_t slots) {
    uint64_t buckets = buckets_for(slots);
    return ramify_align(slots * sizeof(ramify_slot)) + ramify_align(buckets * sizeof(uint32_t)) +
           ramify_align(buckets * sizeof(ramify_ghost));
}

void ramify_cache_create(ramify_cache *cache, void *memory, uint32_t slots, uint32_t kept_most) {
    unsigned char *part = memory;
    uint32_t buckets = (uint32_t)buckets_for(slots);
    const ramify_slot_queue empty = {RAMIFY_NO_SLOT, RAMIFY_NO_SLOT, 0};
    *cache = (ramify_cache){.slot_count = slots,
                            .bucket_count = buckets,
                            .small = empty,
                            .main = empty,
                            .small_target = slots >= SMALL_SHARE ? slots / SMALL_SHARE : 1,
                            .drops = 1,
                            .kept_most = kept_most};
    cache->slots = (ramify_slot *)part;
    part += ramify_align(slots * sizeof *cache->slots);
    cache->buckets = (uint32_t *)part;
    part += ramify_align(buckets * sizeof *cache->buckets);
    cache->ghosts = (ramify_ghost *)part;
    memset(cache->ghosts, 0, buckets * sizeof *cache->ghosts);
    for (uint32_t i = 0; i < buckets; i++)
        cache->buckets[i] = RAMIFY_NO_SLOT;
    for (uint32_t i = 0; i < slots; i++)
        cache->slots[i] =
            (ramify_slot){.chain = RAMIFY_NO_SLOT, .next = i + 1 < slots ? i + 1 : RAMIFY_NO_SLOT};
}

/* Keys are offsets, whose low bits are alike: the finaliser of SplitMix64 (Steele and others 2014).
 */
static uint64_t mix(uint64_t key) {
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9U;
    key = (key ^ key >> 27) * 0x94d049bb133111ebU;
    return key ^ key >> 31;
}

static uint32_t *bucket_of(const ramify_cache *cache, uint64_t key) {
    return &cache->buckets[mix(key) & (cache->bucket_count - 1)];
}

uint32_t ramify_cache_find(const ramify_cache *cache, uint64_t key) {
    uint32_t slot = *bucket_of(cache, key);
    while (slot != RAMIFY_NO_SLOT && cache->slots[slot].key != key)
        slot = cache->slots[slot].chain;
    return slot;
}

void ramify_cache_use(ramify_cache *cache, uint32_t slot) {
    if (cache->slots[slot].uses < USES_MOST)
        cache->slots[slot].uses++;
}

static void link_to_bucket(ramify_cache *cache, uint32_t slot) {
    uint32_t *bucket = bucket_of(cache, cache->slots[slot].key);
    cache->slots[slot].chain = *bucket;
    *bucket = slot;
}

static void unlink_from_bucket(ramify_cache *cache, uint32_t slot) {
    uint32_t *link = bucket_of(cache, cache->slots[slot].key);
    while (*link != slot)
        link = &cache->slots[*link].chain;
    *link = cache->slots[slot].chain;
}

static void push(ramify_cache *cache, ramify_slot_queue *queue, uint32_t slot) {
    cache->slots[slot].next = RAMIFY_NO_SLOT;
    if (queue->count++ > 0)
        cache->slots[queue->youngest].next = slot;
    else
        queue->oldest = slot;
    queue->youngest = slot;
}

static uint32_t pop(ramify_cache *cache, ramify_slot_queue *queue) {
    uint32_t slot = queue->oldest;
    queue->oldest = cache->slots[slot].next;
    queue->count--;
    return slot;
}

/* First of the GHOST_WAYS places where the key's ghost may be. */
static ramify_ghost *ghosts_of(const ramify_cache *cache, uint64_t key, uint32_t *print) {
    uint64_t hash = mix(key);
    *print = (uint32_t)(hash >> 32);
    return &cache->ghosts[hash & (cache->bucket_count - 1) & ~(uint64_t)(GHOST_WAYS - 1)];
}

/* Ghosts live for as many drops as the main queue has room. */
static bool ghost_lives(const ramify_cache *cache, const ramify_ghost *ghost) {
    return ghost->when != 0 && cache->drops - ghost->when <= cache->slot_count;
}

static bool remembers(const ramify_cache *cache, uint64_t key) {
    uint32_t print;
    const ramify_ghost *ghost = ghosts_of(cache, key, &print);
    for (int i = 0; i < GHOST_WAYS; i++)
        if (ghost[i].print == print && ghost_lives(cache, &ghost[i]))
            return true;
    return false;
}

/* Takes the place of a ghost that is gone, or of the oldest. */
static void remember(ramify_cache *cache, uint64_t key) {
    uint32_t print;
    ramify_ghost *ghost = ghosts_of(cache, key, &print);
    ramify_ghost *place = ghost;
    for (int i = 1; i < GHOST_WAYS && ghost_lives(cache, place); i++)
        if (!ghost_lives(cache, &ghost[i]) ||
            cache->drops - ghost[i].when > cache->drops - place->when)
            place = &ghost[i];
    *place = (ramify_ghost){.print = print, .when = cache->drops};
    cache->drops += cache->drops == UINT32_MAX ? 2 : 1; /* 0 means empty */
}

/* One step towards a slot that can be given away: looks at the end of a queue. */
static uint32_t drop_from_small(ramify_cache *cache) {
    uint32_t slot = pop(cache, &cache->small);
    ramify_slot *looked_at = &cache->slots[slot];
    if (looked_at->pins > 0) {
        push(cache, &cache->small, slot);
    } else if (looked_at->uses > 1) {
        looked_at->uses = 0;
        looked_at->state = RAMIFY_SLOT_MAIN;
        push(cache, &cache->main, slot);
    } else {
        remember(cache, looked_at->key);
        return slot;
    }
    return RAMIFY_NO_SLOT;
}

static uint32_t drop_from_main(ramify_cache *cache) {
    uint32_t slot = pop(cache, &cache->main);
    ramify_slot *looked_at = &cache->slots[slot];
    if (looked_at->pins == 0 && looked_at->uses == 0)
        return slot;
    looked_at->uses -= looked_at->uses > 0;
    push(cache, &cache->main, slot);
    return RAMIFY_NO_SLOT;
}

static uint32_t first_unpinned(ramify_cache *cache, ramify_slot_queue *queue) {
    for (uint32_t i = queue->count; i > 0; i--) {
        uint32_t slot = pop(cache, queue);
        if (cache->slots[slot].pins == 0)
            return slot;
        push(cache, queue, slot);
    }
    return RAMIFY_NO_SLOT;
}

static uint32_t find_victim(ramify_cache *cache) {
    /* Every slot is passed at most USES_MOST + 1 times before it is given up, unless it is pinned:
     * whoever is left after that is taken as he comes. */
    uint64_t steps = (uint64_t)(USES_MOST + 2) * (cache->small.count + cache->main.count);
    for (; steps > 0; steps--) {
        bool small = cache->small.count >= cache->small_target || cache->main.count == 0;
        uint32_t slot =
            small && cache->small.count > 0 ? drop_from_small(cache) : drop_from_main(cache);
        if (slot != RAMIFY_NO_SLOT)
            return slot;
    }
    uint32_t slot = first_unpinned(cache, &cache->small);
    return slot != RAMIFY_NO_SLOT ? slot : first_unpinned(cache, &cache->main);
}

uint32_t ramify_cache_take(ramify_cache *cache, uint64_t key) {
    uint32_t slot = cache->free;
    if (slot != RAMIFY_NO_SLOT) {
        cache->free = cache->slots[slot].next;
    } else {
        slot = find_victim(cache);
        if (slot == RAMIFY_NO_SLOT)
            return RAMIFY_NO_SLOT;
        unlink_from_bucket(cache, slot);
    }
    cache->slots[slot] = (ramify_slot){
        .key = key, .state = RAMIFY_SLOT_LOADING, .pins = 1, .remembered = remembers(cache, key)};
    link_to_bucket(cache, slot);
    return slot;
}

void ramify_cache_admit(ramify_cache *cache, uint32_t slot, bool keep) {
    ramify_slot *admitted = &cache->slots[slot];
    if (keep && cache->kept < cache->kept_most) {
        cache->kept++;
        admitted->state = RAMIFY_SLOT_KEPT;
    } else if (admitted->remembered) {
        admitted->state = RAMIFY_SLOT_MAIN;
        push(cache, &cache->main, slot);
    } else {
        admitted->state = RAMIFY_SLOT_SMALL;
        push(cache, &cache->small, slot);
    }
}

void ramify_cache_refuse(ramify_cache *cache, uint32_t slot) {
    unlink_from_bucket(cache, slot);
    cache->slots[slot] = (ramify_slot){.chain = RAMIFY_NO_SLOT, .next = cache->free};
    cache->free = slot;
}

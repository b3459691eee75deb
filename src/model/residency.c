#include "residency.h"
#include "memory.h"
#include "model.h"

#include <string.h>

/* A path of usual length is part of the need of a model that is not saved yet. */
#define NAME_BYTES 512

uint64_t ramify_block_bytes(uint64_t bytes) {
    return bytes + 2 * RAMIFY_ALIGNMENT;
}

ramify_need ramify_resident_need(const ramify_need_of *of) {
    ramify_need need = {0};
    uint64_t resident;
    ramify_layout layout;
    ramify_model_layout(of->stem, of->targets, 0, 0, 0, &layout, &resident, NULL, NULL);
    uint64_t module = of->shape->type->record_bytes(of->shape);
    uint64_t node = of->depth > 0 ? ramify_node_bytes(of->arity, of->stem->routes) : 0;
    need.path = of->depth * node;
    need.module = module;
    need.scratch = ramify_predictor_bytes(of->stem, of->shape, of->arity, 1);
    need.handle = ramify_block_bytes(sizeof(ramify_model)) + ramify_block_bytes(NAME_BYTES) +
                  ramify_block_bytes(of->config_bytes + 1) + ramify_block_bytes(of->schema_bytes) +
                  ramify_block_bytes(resident);
    need.handle += ramify_store_cache_bytes(module, 1) - module;
    if (of->depth > 0)
        need.handle += ramify_store_cache_bytes(node, of->depth) - need.path;
    need.total = need.handle + need.path + need.module + need.scratch;
    return need;
}

void ramify_model_hold(ramify_model *model, _Atomic uint64_t *what, int64_t bytes) {
    atomic_fetch_add_explicit(what, (uint64_t)bytes, memory_order_relaxed);
    uint64_t held = model->fixed_bytes +
                    atomic_load_explicit(&model->part_bytes, memory_order_relaxed) +
                    atomic_load_explicit(&model->predictor_bytes, memory_order_relaxed);
    uint64_t peak = atomic_load_explicit(&model->peak_bytes, memory_order_relaxed);
    while (held > peak &&
           !atomic_compare_exchange_weak_explicit(&model->peak_bytes, &peak, held,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

/* Smallest power of 2 that is at least `slots`. */
static uint64_t buckets_for(uint64_t slots) {
    uint64_t buckets = 1;
    while (buckets < slots)
        buckets *= 2;
    return buckets;
}

static uint64_t aligned(uint64_t bytes) {
    return (bytes + RAMIFY_ALIGNMENT - 1) / RAMIFY_ALIGNMENT * RAMIFY_ALIGNMENT;
}

uint64_t ramify_store_cache_bytes(uint64_t slot_bytes, uint64_t slots) {
    return ramify_block_bytes(aligned(slots * sizeof(ramify_slot)) +
                              aligned(buckets_for(slots) * sizeof(uint32_t)) + slots * slot_bytes);
}

ramify_status ramify_store_open_cache(ramify_context *context, ramify_store *store,
                                      uint32_t slots) {
    uint64_t bytes = ramify_store_cache_bytes(store->slot_bytes, slots) - ramify_block_bytes(0);
    if (bytes > SIZE_MAX)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY,
                           "a cache of %llu bytes cannot be addressed", (unsigned long long)bytes);
    unsigned char *memory = ramify_allocate(context, (size_t)bytes, 1);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    store->memory = memory;
    store->slot_count = slots;
    store->bucket_count = (uint32_t)buckets_for(slots);
    store->slots = (ramify_slot *)memory;
    memory += aligned(slots * sizeof(ramify_slot));
    store->buckets = (uint32_t *)memory;
    store->slot_memory = memory + aligned(store->bucket_count * sizeof(uint32_t));
    for (uint32_t i = 0; i < store->bucket_count; i++)
        store->buckets[i] = RAMIFY_NO_SLOT;
    for (uint32_t i = 0; i < slots; i++)
        store->slots[i] = (ramify_slot){.offset = UINT64_MAX,
                                        .newer = i > 0 ? i - 1 : RAMIFY_NO_SLOT,
                                        .older = i + 1 < slots ? i + 1 : RAMIFY_NO_SLOT,
                                        .chain = RAMIFY_NO_SLOT};
    store->newest = 0;
    store->oldest = slots - 1;
    return RAMIFY_OK;
}

ramify_status ramify_store_open_in_place(ramify_context *context, ramify_store *store,
                                         unsigned char *base) {
    /* One word for every 32 units, checked and filled; a fraction of the tensor's bytes. */
    uint64_t words = store->bytes / store->unit / 32 + 1;
    uint64_t maps = aligned(words * sizeof(uint32_t));
    uint64_t bytes = 2 * maps + (base ? 0 : store->bytes);
    if (bytes > SIZE_MAX)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "%llu bytes cannot be addressed",
                           (unsigned long long)bytes);
    unsigned char *memory = ramify_allocate(context, (size_t)bytes, 1);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    memset(memory, 0, (size_t)(2 * maps));
    store->memory = memory;
    store->checked = (_Atomic uint32_t *)memory;
    store->filled = (uint32_t *)(memory + maps);
    store->filled_on_demand = base == NULL;
    store->base = base ? base : memory + 2 * maps;
    return RAMIFY_OK;
}

void ramify_store_close(ramify_context *context, ramify_store *store) {
    ramify_release(context, store->memory);
    *store = (ramify_store){0};
}

static ramify_status check_record(ramify_context *context, ramify_model *model,
                                  const ramify_reference *reference, const void *record) {
    if (reference->kind == RAMIFY_REFERENCE_NODE)
        return ramify_node_check(context, &model->source, &model->limits, reference, record);
    return ramify_module_check(context, model, reference, record);
}

/* Reads the units of a record that are not in memory yet. Units that are stay as they are: another
 * thread may be using them. Under the lock. */
static ramify_status fill(ramify_context *context, ramify_model *model, ramify_store *store,
                          const ramify_reference *reference) {
    uint64_t unit = reference->offset / store->unit;
    uint64_t end = unit + reference->length / store->unit;
    while (unit < end) {
        uint64_t first = unit;
        while (unit < end && !(store->filled[unit / 32] >> (unit % 32) & 1))
            unit++;
        if (unit > first) {
            uint64_t at = first * store->unit;
            RAMIFY_TRY(ramify_source_read(context, &model->source, store->begin + at,
                                          (size_t)((unit - first) * store->unit),
                                          store->base + at));
            for (uint64_t i = first; i < unit; i++)
                store->filled[i / 32] |= (uint32_t)1 << (i % 32);
        } else {
            unit++;
        }
    }
    return RAMIFY_OK;
}

static ramify_status first_touch(ramify_context *context, ramify_model *model, ramify_store *store,
                                 const ramify_reference *reference, ramify_traffic *traffic) {
    _Atomic uint32_t *word = &store->checked[reference->offset / store->unit / 32];
    uint32_t bit = (uint32_t)1 << (reference->offset / store->unit % 32);
    ramify_status status = RAMIFY_OK;
    if (store->filled_on_demand) {
        pthread_mutex_lock(&model->lock);
        status = fill(context, model, store, reference);
        pthread_mutex_unlock(&model->lock);
    }
    if (status == RAMIFY_OK)
        status = check_record(context, model, reference, store->base + reference->offset);
    if (status != RAMIFY_OK)
        return status;
    /* Of several threads that check at once, one counts. */
    uint32_t before = atomic_fetch_or_explicit(word, bit, memory_order_release);
    if (before & bit) {
        traffic->hits++;
        return RAMIFY_OK;
    }
    traffic->misses++;
    traffic->bytes_read += reference->length;
    if (model->source.kind != RAMIFY_SOURCE_OWNED)
        ramify_model_hold(model, &model->part_bytes, reference->length);
    return RAMIFY_OK;
}

static uint32_t *bucket_of(const ramify_store *store, uint64_t offset) {
    return &store->buckets[offset / store->unit & (store->bucket_count - 1)];
}

static void unlink_from_bucket(ramify_store *store, uint32_t slot) {
    ramify_slot *gone = &store->slots[slot];
    if (gone->offset == UINT64_MAX)
        return;
    uint32_t *link = bucket_of(store, gone->offset);
    while (*link != slot)
        link = &store->slots[*link].chain;
    *link = gone->chain;
    gone->offset = UINT64_MAX;
}

static void make_newest(ramify_store *store, uint32_t slot) {
    ramify_slot *slots = store->slots;
    ramify_slot *used = &slots[slot];
    if (store->newest == slot)
        return;
    slots[used->newer].older = used->older;
    if (used->older != RAMIFY_NO_SLOT)
        slots[used->older].newer = used->newer;
    else
        store->oldest = used->newer;
    used->newer = RAMIFY_NO_SLOT;
    used->older = store->newest;
    slots[store->newest].newer = slot;
    store->newest = slot;
}

static uint32_t find(const ramify_store *store, uint64_t offset) {
    uint32_t slot = *bucket_of(store, offset);
    while (slot != RAMIFY_NO_SLOT && store->slots[slot].offset != offset)
        slot = store->slots[slot].chain;
    return slot;
}

/* The least recently used slot that nobody uses, or RAMIFY_NO_SLOT. */
static uint32_t find_victim(const ramify_store *store) {
    uint32_t slot = store->oldest;
    while (slot != RAMIFY_NO_SLOT && store->slots[slot].pins > 0)
        slot = store->slots[slot].newer;
    return slot;
}

/* Reads and checks a record into a slot. Under the lock. */
static ramify_status admit(ramify_context *context, ramify_model *model, ramify_store *store,
                           const ramify_reference *reference, uint32_t slot) {
    unlink_from_bucket(store, slot);
    unsigned char *memory = store->slot_memory + slot * store->slot_bytes;
    RAMIFY_TRY(ramify_source_read(context, &model->source, store->begin + reference->offset,
                                  reference->length, memory));
    RAMIFY_TRY(check_record(context, model, reference, memory));
    uint32_t *bucket = bucket_of(store, reference->offset);
    store->slots[slot].offset = reference->offset;
    store->slots[slot].chain = *bucket;
    *bucket = slot;
    return RAMIFY_OK;
}

static ramify_status acquire_cached(ramify_context *context, ramify_model *model,
                                    ramify_store *store, const ramify_reference *reference,
                                    ramify_traffic *traffic, uint32_t *slot) {
    /* Every holder of a pin gives it back without waiting for another record, so waiting for a free
     * slot ends. */
    for (;;) {
        *slot = find(store, reference->offset);
        if (*slot != RAMIFY_NO_SLOT) {
            traffic->hits++;
            break;
        }
        *slot = find_victim(store);
        if (*slot != RAMIFY_NO_SLOT) {
            traffic->misses++;
            traffic->bytes_read += reference->length;
            RAMIFY_TRY(admit(context, model, store, reference, *slot));
            break;
        }
        pthread_cond_wait(&model->unpinned, &model->lock);
    }
    make_newest(store, *slot);
    store->slots[*slot].pins++;
    return RAMIFY_OK;
}

ramify_status ramify_store_acquire(ramify_context *context, ramify_model *model,
                                   ramify_store *store, const ramify_reference *reference,
                                   ramify_traffic *traffic, const void **record, uint32_t *slot) {
    *slot = RAMIFY_NO_SLOT;
    if (store->base) {
        uint64_t unit = reference->offset / store->unit;
        uint32_t word = atomic_load_explicit(&store->checked[unit / 32], memory_order_acquire);
        if (word >> (unit % 32) & 1)
            traffic->hits++;
        else
            RAMIFY_TRY(first_touch(context, model, store, reference, traffic));
        *record = store->base + reference->offset;
        return RAMIFY_OK;
    }
    pthread_mutex_lock(&model->lock);
    ramify_status status = acquire_cached(context, model, store, reference, traffic, slot);
    pthread_mutex_unlock(&model->lock);
    if (status == RAMIFY_OK)
        *record = store->slot_memory + *slot * store->slot_bytes;
    return status;
}

void ramify_store_release(ramify_model *model, ramify_store *store, uint32_t slot) {
    if (slot == RAMIFY_NO_SLOT)
        return;
    pthread_mutex_lock(&model->lock);
    if (--store->slots[slot].pins == 0)
        pthread_cond_broadcast(&model->unpinned);
    pthread_mutex_unlock(&model->lock);
}

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
    const ramify_layout_of tensors = {
        .stem = of->stem, .targets = of->targets, .paraformer = of->paraformer};
    const ramify_predictor_of predictor = {.stem = of->stem,
                                           .shape = of->shape,
                                           .series = of->series,
                                           .paraformer = of->paraformer,
                                           .arity = of->arity,
                                           .top_k = of->top_k,
                                           .workers = 1};
    ramify_layout layout = {0};
    ramify_layout_places places;
    ramify_model_layout(&tensors, &layout, &places);
    uint64_t module = of->shape->type->record_bytes(of->shape);
    if (of->series && of->series->most_bytes > module)
        module = of->series->most_bytes;
    uint64_t node = of->depth > 0 ? ramify_node_bytes(of->arity, of->stem->routes) : 0;
    need.path = of->depth * node;
    need.module = module;
    need.scratch = ramify_predictor_bytes(&predictor, 1) + of->notes_bytes;
    need.handle = ramify_block_bytes(sizeof(ramify_model)) + ramify_block_bytes(NAME_BYTES) +
                  ramify_block_bytes(of->config_bytes + 1) + ramify_block_bytes(of->schema_bytes) +
                  ramify_block_bytes(places.resident);
    if (of->paraformer && of->paraformer->embedding.patch == 0)
        need.handle += ramify_block_bytes(of->stem->plain * sizeof(uint32_t));
    need.handle += ramify_store_cache_bytes(module, false, 1) - module;
    if (of->depth > 0)
        need.handle += ramify_store_cache_bytes(node, false, of->depth) - need.path;
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

uint64_t ramify_store_cache_bytes(uint64_t slot_bytes, bool mapped, uint64_t slots) {
    uint64_t bytes = ramify_block_bytes(ramify_cache_bytes(slots));
    if (mapped)
        return bytes + ramify_align(slots * sizeof(ramify_mapping)) +
               slots * ramify_source_span(slot_bytes);
    return bytes + slots * slot_bytes;
}

ramify_status ramify_store_open_cache(ramify_context *context, ramify_store *store, uint32_t slots,
                                      uint32_t kept_most, bool mapped) {
    uint64_t bookkeeping = ramify_cache_bytes(slots);
    uint64_t bytes =
        bookkeeping + (mapped ? slots * sizeof(ramify_mapping) : slots * store->slot_bytes);
    if (bytes > SIZE_MAX)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY,
                           "a cache of %llu bytes cannot be addressed", (unsigned long long)bytes);
    unsigned char *memory = ramify_allocate(context, (size_t)bytes, 1);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    store->memory = memory;
    ramify_cache_create(&store->cache, memory, slots, kept_most);
    memory += bookkeeping;
    if (mapped) {
        store->mappings = (ramify_mapping *)memory;
        memset(store->mappings, 0, slots * sizeof *store->mappings);
    } else {
        store->slot_memory = memory;
    }
    return RAMIFY_OK;
}

/* One word for every 32 units, checked or filled; a fraction of the tensor's bytes. */
static uint64_t bitmap_bytes(const ramify_store *store) {
    return ramify_align((store->bytes / store->unit / 32 + 1) * sizeof(uint32_t));
}

ramify_status ramify_store_open_in_place(ramify_context *context, ramify_store *store,
                                         unsigned char *base) {
    uint64_t maps = bitmap_bytes(store);
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

uint64_t ramify_store_held(const ramify_store *store) {
    const ramify_cache *cache = &store->cache;
    if (!store->memory)
        return 0;
    if (cache->slot_count == 0)
        return ramify_block_bytes(2 * bitmap_bytes(store)); /* records count as they are filled */
    if (store->mappings)
        return ramify_block_bytes(ramify_cache_bytes(cache->slot_count) +
                                  cache->slot_count * sizeof *store->mappings);
    return ramify_store_cache_bytes(store->slot_bytes, false, cache->slot_count);
}

void ramify_store_close(ramify_context *context, ramify_store *store) {
    for (uint32_t i = 0; store->mappings && i < store->cache.slot_count; i++)
        ramify_source_unmap(&store->mappings[i]);
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

/* Brings a record into its slot, which is nobody else's meanwhile. Without the lock. */
static ramify_status load(ramify_context *context, ramify_model *model, ramify_store *store,
                          const ramify_reference *reference, uint32_t slot) {
    uint64_t offset = store->begin + reference->offset;
    const void *record;
    if (store->mappings) {
        ramify_mapping *mapping = &store->mappings[slot];
        ramify_model_hold(model, &model->part_bytes, -(int64_t)mapping->span);
        ramify_source_unmap(mapping);
        RAMIFY_TRY(ramify_source_map(context, &model->source, offset, reference->length, mapping));
        ramify_model_hold(model, &model->part_bytes, (int64_t)mapping->span);
        record = mapping->record;
    } else {
        unsigned char *memory = store->slot_memory + slot * store->slot_bytes;
        RAMIFY_TRY(ramify_source_read(context, &model->source, offset, reference->length, memory));
        record = memory;
    }
    return check_record(context, model, reference, record);
}

/* Under the lock, which is given up while the record is read. */
static ramify_status acquire_cached(ramify_context *context, ramify_model *model,
                                    ramify_store *store, const ramify_reference *reference,
                                    bool keep, ramify_traffic *traffic, uint32_t *slot) {
    ramify_cache *cache = &store->cache;
    /* Every holder of a pin gives it back without waiting for another record, and every reader ends,
     * so waiting for either ends. */
    for (;;) {
        *slot = ramify_cache_find(cache, reference->offset);
        if (*slot != RAMIFY_NO_SLOT && cache->slots[*slot].state != RAMIFY_SLOT_LOADING) {
            traffic->hits++;
            ramify_cache_use(cache, *slot);
            cache->slots[*slot].pins++;
            return RAMIFY_OK;
        }
        if (*slot == RAMIFY_NO_SLOT) {
            *slot = ramify_cache_take(cache, reference->offset);
            if (*slot != RAMIFY_NO_SLOT)
                break;
        }
        pthread_cond_wait(&model->changed, &model->lock);
    }
    traffic->misses++;
    traffic->bytes_read += reference->length;
    pthread_mutex_unlock(&model->lock);
    ramify_status status = load(context, model, store, reference, *slot);
    pthread_mutex_lock(&model->lock);
    if (status == RAMIFY_OK)
        ramify_cache_admit(cache, *slot, keep);
    else
        ramify_cache_refuse(cache, *slot);
    pthread_cond_broadcast(&model->changed);
    return status;
}

ramify_status ramify_store_acquire(ramify_context *context, ramify_model *model,
                                   ramify_store *store, const ramify_reference *reference,
                                   bool keep, ramify_traffic *traffic, const void **record,
                                   uint32_t *slot) {
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
    ramify_status status = acquire_cached(context, model, store, reference, keep, traffic, slot);
    pthread_mutex_unlock(&model->lock);
    if (status == RAMIFY_OK)
        *record = store->mappings ? store->mappings[*slot].record
                                  : store->slot_memory + *slot * store->slot_bytes;
    return status;
}

void ramify_store_release(ramify_model *model, ramify_store *store, uint32_t slot) {
    if (slot == RAMIFY_NO_SLOT)
        return;
    pthread_mutex_lock(&model->lock);
    if (--store->cache.slots[slot].pins == 0)
        pthread_cond_broadcast(&model->changed);
    pthread_mutex_unlock(&model->lock);
}

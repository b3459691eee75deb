/* The distinct texts of one column: open addressing with linear probing, at most half full. Texts
 * are copied one behind the other into blocks, so that a million short ones cost no million
 * allocations. */

#include "build.h"
#include "memory.h"
#include "status.h"

/* Bytes of a block of texts, and of the first one: most columns have few texts. */
#define BLOCK_BYTES       ((size_t)64 << 10)
#define BLOCK_BYTES_FIRST ((size_t)1 << 10)
#define SLOTS_FIRST       ((size_t)64)

/* FNV-1a in 64 bits, folded. */
static uint32_t hash_text(const char *text, size_t length) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001B3);
    return (uint32_t)(hash ^ (hash >> 32));
}

static ramify_status grow_slots(ramify_dictionary *d, ramify_budget *budget) {
    size_t grown_count = d->slot_count ? 2 * d->slot_count : SLOTS_FIRST;
    RAMIFY_TRY(ramify_budget_take(budget, (grown_count - d->slot_count) * (2 * sizeof(uint32_t))));
    uint32_t *slots = ramify_allocate_zeroed(budget->context, grown_count, sizeof *slots);
    uint32_t *hashes = ramify_allocate(budget->context, grown_count, sizeof *hashes);
    if (!slots || !hashes) {
        ramify_release(budget->context, slots);
        ramify_release(budget->context, hashes);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t i = 0; i < d->slot_count; i++) {
        if (d->slots[i] == 0)
            continue;
        size_t at = d->hashes[i] & (grown_count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (grown_count - 1);
        slots[at] = d->slots[i];
        hashes[at] = d->hashes[i];
    }
    ramify_release(budget->context, d->slots);
    ramify_release(budget->context, d->hashes);
    d->slots = slots;
    d->hashes = hashes;
    d->slot_count = grown_count;
    return RAMIFY_OK;
}

static ramify_status grow_texts(ramify_dictionary *d, ramify_budget *budget) {
    uint32_t capacity = d->capacity == 0               ? 32
                        : d->capacity < UINT32_MAX / 2 ? 2 * d->capacity
                                                       : UINT32_MAX;
    RAMIFY_TRY(ramify_budget_take(budget, (uint64_t)(capacity - d->capacity) * sizeof *d->texts));
    char **texts = ramify_reallocate(budget->context, d->texts, capacity, sizeof *texts);
    if (!texts)
        return RAMIFY_ERROR_MEMORY;
    d->texts = texts;
    d->capacity = capacity;
    return RAMIFY_OK;
}

static ramify_status copy_text(ramify_dictionary *d, ramify_table *table, ramify_budget *budget,
                               const char *text, size_t length, char **copy) {
    if (length >= d->block_size - d->block_used) {
        size_t size = d->block_size ? BLOCK_BYTES : BLOCK_BYTES_FIRST;
        if (size <= length)
            size = length + 1;
        RAMIFY_TRY(ramify_budget_take(budget, size));
        char *block = ramify_allocate(budget->context, size, 1);
        if (!block)
            return RAMIFY_ERROR_MEMORY;
        RAMIFY_TRY(ramify_table_own(table, block));
        d->block = block;
        d->block_used = 0;
        d->block_size = size;
    }
    *copy = d->block + d->block_used;
    memcpy(*copy, text, length);
    (*copy)[length] = '\0';
    d->block_used += length + 1;
    return RAMIFY_OK;
}

ramify_status ramify_dictionary_code(ramify_dictionary *d, ramify_table *table,
                                     ramify_budget *budget, const char *text, size_t length,
                                     uint32_t *code) {
    if (d->count >= d->slot_count / 2)
        RAMIFY_TRY(grow_slots(d, budget));
    uint32_t hash = hash_text(text, length);
    size_t at = hash & (d->slot_count - 1);
    for (; d->slots[at] != 0; at = (at + 1) & (d->slot_count - 1)) {
        const char *known = d->texts[d->slots[at] - 1];
        if (d->hashes[at] == hash && strncmp(known, text, length) == 0 && known[length] == '\0') {
            *code = d->slots[at] - 1;
            return RAMIFY_OK;
        }
    }
    if (d->count == d->capacity)
        RAMIFY_TRY(grow_texts(d, budget));
    RAMIFY_TRY(copy_text(d, table, budget, text, length, &d->texts[d->count]));
    d->hashes[at] = hash;
    *code = d->count++;
    d->slots[at] = d->count;
    return RAMIFY_OK;
}

void ramify_dictionary_finish(ramify_dictionary *d, ramify_context *context, ramify_column *column,
                              uint32_t *codes) {
    column->text = true;
    column->codes = codes;
    column->texts = d->texts;
    column->text_count = d->count;
    d->texts = NULL;
    ramify_dictionary_destroy(d, context);
}

void ramify_dictionary_destroy(ramify_dictionary *d, ramify_context *context) {
    ramify_release(context, d->texts);
    ramify_release(context, d->slots);
    ramify_release(context, d->hashes);
    *d = (ramify_dictionary){0};
}

/* Which records a cache keeps: its bookkeeping against a plain account of the same events, and its
 * hit rate on traces beside the policies it was chosen over. */

#include "cache.h"
#include "memory.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 5000

typedef struct shelf {
    ramify_cache cache;
    void *memory;
    uint32_t where[KEYS]; /* slot of each key, or RAMIFY_NO_SLOT, as the events tell */
} shelf;

static shelf *new_shelf(uint32_t slots, uint32_t kept_most) {
    shelf *s = malloc(sizeof *s);
    assert_non_null(s);
    s->memory = aligned_alloc(RAMIFY_ALIGNMENT, ramify_cache_bytes(slots));
    assert_non_null(s->memory);
    ramify_cache_create(&s->cache, s->memory, slots, kept_most);
    for (size_t i = 0; i < KEYS; i++)
        s->where[i] = RAMIFY_NO_SLOT;
    return s;
}

static void free_shelf(shelf *s) {
    free(s->memory);
    free(s);
}

/* Offsets of records in a file, as a store gives them. */
static uint64_t key_of(uint32_t record) {
    return (uint64_t)record * 19456;
}

static void forget_slot(shelf *s, uint32_t slot) {
    for (uint32_t i = 0; i < KEYS; i++)
        if (s->where[i] == slot)
            s->where[i] = RAMIFY_NO_SLOT;
}

/* Uses a record; true if it was there. */
static bool touch(shelf *s, uint32_t record, bool keep) {
    uint32_t slot = ramify_cache_find(&s->cache, key_of(record));
    assert_int_equal(slot, s->where[record]);
    if (slot != RAMIFY_NO_SLOT) {
        ramify_cache_use(&s->cache, slot);
        return true;
    }
    slot = ramify_cache_take(&s->cache, key_of(record));
    assert_true(slot < s->cache.slot_count);
    forget_slot(s, slot);
    s->where[record] = slot;
    ramify_cache_admit(&s->cache, slot, keep);
    s->cache.slots[slot].pins = 0;
    return false;
}

static void test_what_is_there_is_found(void **state) {
    (void)state;
    const uint32_t sizes[] = {1, 2, 3, 4, 5, 9, 10, 11, 64, 100, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        shelf *s = new_shelf(sizes[i], 0);
        ramify_random random = ramify_random_stream(i, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
        uint32_t range = 3 * sizes[i] + 2;
        for (int step = 0; step < 20000; step++) {
            double u = ramify_random_uniform(&random);
            touch(s, (uint32_t)(u * u * range), false);
        }
        uint32_t there = 0;
        for (uint32_t k = 0; k < KEYS; k++)
            there += s->where[k] != RAMIFY_NO_SLOT;
        assert_int_equal(there, sizes[i]); /* no slot is lost */
        assert_int_equal(s->cache.small.count + s->cache.main.count, sizes[i]);
        free_shelf(s);
    }
}

static void test_pinned_and_loading_stay(void **state) {
    (void)state;
    shelf *s = new_shelf(4, 0);
    for (uint32_t record = 0; record < 4; record++)
        touch(s, record, false);
    for (uint32_t record = 0; record < 3; record++)
        s->cache.slots[s->where[record]].pins = 1;
    for (uint32_t record = 4; record < 50; record++)
        touch(s, record, false);
    for (uint32_t record = 0; record < 3; record++)
        assert_int_equal(ramify_cache_find(&s->cache, key_of(record)), s->where[record]);
    /* The last slot is being read into: there is none left. */
    uint32_t slot = ramify_cache_take(&s->cache, key_of(60));
    assert_int_not_equal(slot, RAMIFY_NO_SLOT);
    assert_int_equal(s->cache.slots[slot].state, RAMIFY_SLOT_LOADING);
    assert_int_equal(ramify_cache_find(&s->cache, key_of(60)), slot);
    assert_int_equal(ramify_cache_take(&s->cache, key_of(61)), RAMIFY_NO_SLOT);
    /* Reading failed: the slot is free for another record. */
    ramify_cache_refuse(&s->cache, slot);
    assert_int_equal(ramify_cache_find(&s->cache, key_of(60)), RAMIFY_NO_SLOT);
    assert_int_equal(ramify_cache_take(&s->cache, key_of(61)), slot);
    ramify_cache_admit(&s->cache, slot, false);
    assert_int_equal(ramify_cache_take(&s->cache, key_of(62)), RAMIFY_NO_SLOT);
    s->cache.slots[slot].pins = 0;
    assert_int_equal(ramify_cache_take(&s->cache, key_of(62)), slot);
    free_shelf(s);
}

static void test_kept_records_stay(void **state) {
    (void)state;
    shelf *s = new_shelf(20, 5);
    for (uint32_t record = 0; record < 7; record++)
        touch(s, record, true);
    for (uint32_t record = 100; record < 4000; record++)
        touch(s, record, false);
    for (uint32_t record = 0; record < 5; record++)
        assert_true(touch(s, record, true));
    for (uint32_t record = 5; record < 7; record++)
        assert_false(touch(s, record, false));
    assert_int_equal(s->cache.kept, 5);
    free_shelf(s);
}

/* A pass over many records drops nothing that is in steady use. */
static void test_a_pass_costs_little(void **state) {
    (void)state;
    shelf *s = new_shelf(100, 0);
    for (int round = 0; round < 4; round++)
        for (uint32_t record = 0; record < 80; record++)
            touch(s, record, false);
    for (uint32_t record = 1000; record < 3000; record++)
        touch(s, record, false);
    uint32_t there = 0;
    for (uint32_t record = 0; record < 80; record++)
        there += touch(s, record, false);
    assert_true(there >= 79);
    free_shelf(s);
}

/* A record that comes back soon after it was dropped is not dropped again as fast. */
static void test_what_comes_back_is_remembered(void **state) {
    (void)state;
    shelf *s = new_shelf(100, 0);
    for (uint32_t record = 0; record < 200; record++)
        touch(s, record, false);
    uint32_t early = 20; /* dropped by now, and not long ago */
    assert_false(touch(s, early, false));
    for (uint32_t record = 1000; record < 1150; record++)
        touch(s, record, false);
    assert_true(touch(s, early, false));
    /* Long ago is forgotten. */
    for (uint32_t record = 2000; record < 2300; record++)
        touch(s, record, false);
    assert_false(touch(s, 10, false));
    for (uint32_t record = 3000; record < 3150; record++)
        touch(s, record, false);
    assert_false(touch(s, 10, false));
    free_shelf(s);
}

/* Hits of a cache that drops the least recently used record. */
static uint32_t hits_of_recency(const uint32_t *trace, size_t length, uint32_t slots) {
    uint64_t last[KEYS] = {0};
    uint32_t held[KEYS], count = 0, hits = 0;
    for (size_t t = 0; t < length; t++) {
        uint32_t record = trace[t], at = 0, oldest = 0;
        for (at = 0; at < count && held[at] != record; at++)
            if (last[held[at]] < last[held[oldest]])
                oldest = at;
        if (at < count)
            hits++;
        else if (count < slots)
            held[count++] = record;
        else
            held[oldest] = record;
        last[record] = t + 1;
    }
    return hits;
}

/* Skewed use (Zipf with exponent 1), alone and with passes over everything in between: at least as
 * many hits as by recency, and close to the best fixed choice where nothing disturbs. */
static void test_hits_on_skewed_traces(void **state) {
    (void)state;
    enum { LENGTH = 40000, SLOTS = 250 };
    uint32_t *trace = malloc(LENGTH * sizeof *trace);
    double *sum = malloc(KEYS * sizeof *sum);
    for (uint32_t k = 0; k < KEYS; k++)
        sum[k] = (k > 0 ? sum[k - 1] : 0) + 1.0 / (k + 1);
    for (int passes = 0; passes < 2; passes++) {
        ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
        uint32_t next = 0;
        for (size_t t = 0; t < LENGTH; t++) {
            double u = ramify_random_uniform(&random) * sum[KEYS - 1];
            uint32_t low = 0, high = KEYS - 1;
            while (low < high) {
                uint32_t middle = (low + high) / 2;
                if (sum[middle] < u)
                    low = middle + 1;
                else
                    high = middle;
            }
            trace[t] = passes && t / 1000 % 4 == 3 ? next++ % KEYS : low;
        }
        shelf *s = new_shelf(SLOTS, 0);
        uint32_t hits = 0;
        for (size_t t = 0; t < LENGTH; t++)
            hits += touch(s, trace[t], false);
        uint32_t recency = hits_of_recency(trace, LENGTH, SLOTS);
        print_message("%s: %.1f %% hits, %.1f %% by recency\n", passes ? "with passes" : "skewed",
                      100.0 * hits / LENGTH, 100.0 * recency / LENGTH);
        assert_true(hits > recency * 1.1);
        if (!passes)
            assert_true(hits > 0.9 * LENGTH * sum[SLOTS - 1] / sum[KEYS - 1]);
        free_shelf(s);
    }
    free(trace);
    free(sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_there_is_found),
        cmocka_unit_test(test_pinned_and_loading_stay),
        cmocka_unit_test(test_kept_records_stay),
        cmocka_unit_test(test_a_pass_costs_little),
        cmocka_unit_test(test_what_comes_back_is_remembered),
        cmocka_unit_test(test_hits_on_skewed_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#ifndef RAMIFY_BASE_DEAL_H
#define RAMIFY_BASE_DEAL_H
/* Things of the same cost dealt to ranks in turn, as ramify_cluster_deal deals them: thing i to rank
 * i mod ranks, so that of any first things no rank has more than one above another. In dealt order
 * those of rank 0 come first, then those of rank 1, each rank's in their own order. Arithmetic
 * alone. */

#include <stdbool.h>
#include <stdint.h>

/* One rank's view. */
typedef struct ramify_deal {
    uint32_t rank, ranks; /* ranks 0 is as good as 1: one process has it all */
} ramify_deal;

static inline bool ramify_deal_is_whole(const ramify_deal *deal) {
    return deal->ranks <= 1;
}

static inline uint32_t ramify_deal_ranks(const ramify_deal *deal) {
    return deal->ranks > 0 ? deal->ranks : 1;
}

/* The rank that has thing i. */
static inline uint32_t ramify_deal_holder(const ramify_deal *deal, uint32_t i) {
    return i % ramify_deal_ranks(deal);
}

/* The place of thing i among those of its rank. */
static inline uint32_t ramify_deal_place(const ramify_deal *deal, uint32_t i) {
    return i / ramify_deal_ranks(deal);
}

/* How many of the first `count` things `rank` has, and how many the ranks before it have. */
static inline uint32_t ramify_deal_held(const ramify_deal *deal, uint32_t rank, uint32_t count) {
    uint32_t ranks = ramify_deal_ranks(deal);
    return count / ranks + (rank < count % ranks);
}

static inline uint32_t ramify_deal_before(const ramify_deal *deal, uint32_t rank, uint32_t count) {
    uint32_t ranks = ramify_deal_ranks(deal), rest = count % ranks;
    return rank * (count / ranks) + (rank < rest ? rank : rest);
}

/* Where thing i of `count` stands in dealt order. */
static inline uint32_t ramify_deal_index(const ramify_deal *deal, uint32_t i, uint32_t count) {
    return ramify_deal_before(deal, ramify_deal_holder(deal, i), count) +
           ramify_deal_place(deal, i);
}

/* How many of the first `count` things this rank has, and the thing in place `place` of them. */
static inline uint32_t ramify_deal_own(const ramify_deal *deal, uint32_t count) {
    return ramify_deal_held(deal, deal->rank, count);
}

static inline uint32_t ramify_deal_thing(const ramify_deal *deal, uint32_t place) {
    return deal->rank + place * ramify_deal_ranks(deal);
}

#endif

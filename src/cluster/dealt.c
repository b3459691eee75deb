#include "dealt.h"
#include "memory.h"
#include "status.h"

ramify_deal ramify_dealt_here(const ramify_context *context) {
    return (ramify_deal){.rank = ramify_cluster_rank(context),
                         .ranks = ramify_cluster_size(context)};
}

/* Sizes and offsets of an exchange, zeros. */
typedef struct sides {
    size_t *out_size, *out_offset, *in_size, *in_offset; /* ranks */
} sides;

static ramify_status sides_make(ramify_context *context, uint32_t ranks, sides *made) {
    size_t *memory = ramify_allocate_zeroed(context, 4 * (size_t)ranks, sizeof *memory);
    if (!memory)
        return RAMIFY_ERROR_MEMORY;
    *made = (sides){memory, memory + ranks, memory + 2 * (size_t)ranks, memory + 3 * (size_t)ranks};
    return RAMIFY_OK;
}

ramify_status ramify_dealt_share(ramify_context *context, const ramify_deal *deal, uint32_t count,
                                 size_t bytes, void *all) {
    if (ramify_deal_is_whole(deal))
        return RAMIFY_OK;
    sides s;
    RAMIFY_TRY(sides_make(context, deal->ranks, &s));
    const size_t own = ramify_deal_own(deal, count) * bytes;
    const size_t begin = ramify_deal_before(deal, deal->rank, count) * bytes;
    /* What is this rank's own is where it belongs. Two pointers that are the same would tell MPI that what
     * arrives takes the place of what leaves; rank 0 has nothing before its own. */
    const size_t skipped = deal->rank == 0 ? own : 0;
    for (uint32_t r = 0; r < deal->ranks; r++) {
        bool other = r != deal->rank;
        s.out_size[r] = other ? own : 0;
        s.in_size[r] = other ? ramify_deal_held(deal, r, count) * bytes : 0;
        s.in_offset[r] = other ? ramify_deal_before(deal, r, count) * bytes - skipped : 0;
    }
    ramify_status status =
        ramify_cluster_exchange(context, (char *)all + begin, s.out_size, s.out_offset,
                                (char *)all + skipped, s.in_size, s.in_offset);
    ramify_release(context, s.out_size);
    return status;
}

ramify_status ramify_dealt_hand(ramify_context *context, uint32_t from, uint32_t to, void *bytes,
                                size_t size) {
    if (from == to)
        return RAMIFY_OK;
    sides s;
    RAMIFY_TRY(sides_make(context, ramify_cluster_size(context), &s));
    const bool gives = ramify_cluster_rank(context) == from;
    const bool takes = ramify_cluster_rank(context) == to;
    s.out_size[to] = gives ? size : 0;
    s.in_size[from] = takes ? size : 0;
    ramify_status status =
        ramify_cluster_exchange(context, gives ? bytes : NULL, s.out_size, s.out_offset,
                                takes ? bytes : NULL, s.in_size, s.in_offset);
    ramify_release(context, s.out_size);
    return status;
}

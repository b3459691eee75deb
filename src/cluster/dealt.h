#ifndef RAMIFY_CLUSTER_DEALT_H
#define RAMIFY_CLUSTER_DEALT_H
/* Transfers of what is dealt to the ranks of a cluster (deal.h). */

#include "cluster.h"
#include "deal.h"

/* This rank's view of what is dealt to all ranks of the cluster. */
ramify_deal ramify_dealt_here(const ramify_context *context);

/* all[count x bytes] in dealt order: this rank's own things are there, the others' are received. Below
 * RAMIFY_ENGINE_BYTES_MAX bytes together. Each rank sends (ranks - 1) times what it has. */
ramify_status ramify_dealt_share(ramify_context *context, const ramify_deal *deal, uint32_t count,
                                 size_t bytes, void *all);

/* bytes[size] of rank `from` to rank `to`: every rank calls it, and only these two touch `bytes`. At most
 * RAMIFY_DEALT_PIECE bytes. */
#define RAMIFY_DEALT_PIECE ((size_t)1 << 18)
ramify_status ramify_dealt_hand(ramify_context *context, uint32_t from, uint32_t to, void *bytes,
                                size_t size);

#endif

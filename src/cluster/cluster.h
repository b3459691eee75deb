#ifndef RAMIFY_CLUSTER_CLUSTER_H
#define RAMIFY_CLUSTER_CLUSTER_H
/* The processes that compute together: ranks 0 .. ranks - 1 of a cluster that the context has joined, or
 * one process alone.
 *
 * Every rank makes the same calls in the same order; what they compute in between may take as long as
 * it takes. A call returns when the bytes are there, when another rank has failed or is gone, or when the
 * caller asks to stop; never later than RAMIFY_CLUSTER_STALL seconds after all ranks have made it.
 * Alone, calls copy at most.
 *
 * Sums of numbers that round are the callers': what each rank has is gathered, and every rank adds it
 * up in the same order. From one thread, not from tasks of the pool. */

#include "ramify.h"

/* A transfer that takes longer from when all ranks take part in it will not come to an end. */
#define RAMIFY_CLUSTER_STALL 120.0

/* bytes[size] of rank `from` to all. */
ramify_status ramify_cluster_broadcast(ramify_context *context, void *bytes, size_t size,
                                       uint32_t from);

/* all[ranks x size] receives what each rank has in mine[size], in the order of ranks. */
ramify_status ramify_cluster_gather(ramify_context *context, const void *mine, size_t size,
                                    void *all);

/* The same of a size that differs from rank to rank: *all is one block, to be freed with ramify_release,
 * and offset[ranks + 1] says where each rank's bytes begin in it and the last ones end. */
ramify_status ramify_cluster_gather_uneven(ramify_context *context, const void *mine, size_t size,
                                           void **all, size_t *offset);

/* out_size[r] bytes at out + out_offset[r] go to rank r; in_size[r] bytes of rank r arrive at in +
 * in_offset[r], where both ranks know the size. out and in are different memory, even where nothing is
 * sent (MPI libraries take one address for both as a wish to exchange in place). */
ramify_status ramify_cluster_exchange(ramify_context *context, const void *out,
                                      const size_t *out_size, const size_t *out_offset, void *in,
                                      const size_t *in_size, const size_t *in_offset);

/* values[count] become their sums over all ranks. */
ramify_status ramify_cluster_sum(ramify_context *context, uint64_t *values, size_t count);

/* values[count], of which every one is 0 on all ranks but the one that has it, become what that rank has, to the
 * bit. */
ramify_status ramify_cluster_join_floats(ramify_context *context, float *values, size_t count);

/* Returns when all ranks have come here. */
ramify_status ramify_cluster_meet(ramify_context *context);

/* A file that ranks write together, each what it has. `path` exists; name: what messages call it. */
typedef struct ramify_cluster_file ramify_cluster_file;
ramify_status ramify_cluster_file_open(ramify_context *context, const char *path, const char *name,
                                       ramify_cluster_file **file);
ramify_status ramify_cluster_file_write(ramify_cluster_file *file, uint64_t offset,
                                        const void *bytes, size_t size);
/* What was written is on disk when this returns RAMIFY_OK. Frees the file in any case; NULL is
 * harmless. */
ramify_status ramify_cluster_file_close(ramify_cluster_file **file);

/* Fails where ranks do not have the same in what `name` names: print is a fingerprint of it; 0: this rank
 * cannot tell. */
ramify_status ramify_cluster_agree(ramify_context *context, uint64_t print, const char *name);

/* Where ranks fail at different places, all of them have the failure at the least place, as one process that
 * comes to one after the other. status: this rank's, of which the sentence is in the context. */
ramify_status ramify_cluster_first_failure(ramify_context *context, ramify_status status,
                                           uint64_t place);

/* Deals tasks to ranks, the dearest first, each to the rank that has least to do: rank[count] of
 * cost[count]. The same on every rank. */
ramify_status ramify_cluster_deal(ramify_context *context, const double *cost, size_t count,
                                  uint32_t *rank);

/* What the transfers from here on are for; `phase` lives as long as the program. */
void ramify_cluster_phase(ramify_context *context, const char *phase);

/* Tells the other ranks of this one's failure, which ends their waiting; returns `status`. For the end
 * of a call in which ranks work together. A failure that came from another rank is not told again. */
ramify_status ramify_cluster_tell(ramify_context *context, ramify_status status);

#endif

#ifndef RAMIFY_TRAIN_KMEANS_H
#define RAMIFY_TRAIN_KMEANS_H
/* Prototypes of one node: k-means (Lloyd 1982) from k-means++ seeds (Arthur, Vassilvitskii 2007),
 * or the two half-box centres of a dyadic split. */

#include "problem.h"

/* How a node's prototypes are placed. */
typedef enum ramify_partition {
    RAMIFY_PARTITION_KMEANS,
    RAMIFY_PARTITION_DYADIC, /* arity 2: the box of the rows, halved along its longest side */
    RAMIFY_PARTITION_RANDOM, /* prototypes are rows drawn at random (a control: cells without their
                                fit) */
} ramify_partition;

/* prototypes[arity x stride] (padding zero) for the rows, which are indices into points[.. x
 * stride]. *found receives how many different prototypes there are: fewer than 2 when the rows
 * cannot be split; empty clusters are dropped. */
ramify_status ramify_prototypes_find(const ramify_problem *problem, ramify_partition partition,
                                     const float *points, size_t stride, size_t dims,
                                     ramify_rows rows, uint32_t arity, uint64_t seed, uint64_t node,
                                     float *prototypes, uint32_t *found);

/* child[count] = index of the nearest prototype (ties: lowest), by the same kernel that prediction
 * uses. */
ramify_status ramify_prototypes_assign(const ramify_problem *problem, const float *points,
                                       size_t stride, size_t dims, ramify_rows rows,
                                       const float *prototypes, uint32_t arity, uint32_t *child);

#endif

#ifndef RAMIFY_MODEL_TREE_H
#define RAMIFY_MODEL_TREE_H
/* The tree of prototypes, as it is stored and walked: one record per inner node.
 *
 * A node record is, little-endian:
 *     64 bytes   ramify_node_header
 *     children x 32 bytes   ramify_reference, one per child, padded with zeros to a multiple of 64
 *     children x pad(dims) float32   prototypes in routing space
 * From the root, a row descends to the child whose prototype is nearest in the Euclidean norm
 * (ties: lowest index) until the reference is a module: that leaf's expert. Several leaves may
 * refer to one module. */

#include "ramify.h"

#define RAMIFY_TREE_DEPTH_MAX 64
#define RAMIFY_ARITY_MAX      64

typedef struct ramify_reference {
    uint32_t kind;   /* RAMIFY_REFERENCE_NODE or RAMIFY_REFERENCE_MODULE */
    uint32_t group;  /* module: index of its group; node: 0 */
    uint64_t offset; /* bytes from the start of the tensor (experts.GROUP or tree.nodes) */
    uint32_t length; /* bytes of the record */
    uint32_t crc;    /* CRC-32C of the record */
    uint32_t id;     /* node: its index, above its parent's; module: its number over all groups */
    uint32_t leaf;   /* module: number of the leaf in depth-first order; node: 0 */
} ramify_reference;

enum { RAMIFY_REFERENCE_MODULE = 1, RAMIFY_REFERENCE_NODE = 2 };

typedef struct ramify_node_header {
    uint32_t id;           /* index of the node, depth-first; the root is 0 */
    uint32_t depth;        /* root 0 */
    uint32_t children;     /* 2 .. RAMIFY_ARITY_MAX */
    uint32_t dims;         /* of the prototypes */
    uint32_t reserved[12]; /* 0 */
} ramify_node_header;

#endif

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
#include "source.h"

#define RAMIFY_TREE_DEPTH_MAX 64
#define RAMIFY_ARITY_MAX      64

typedef struct ramify_reference {
    uint32_t kind;   /* RAMIFY_REFERENCE_NODE or RAMIFY_REFERENCE_MODULE */
    uint32_t group;  /* module: index of its group; node: 0 */
    uint64_t offset; /* bytes from the start of tree.nodes, or of experts.0 whatever the group */
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

/* Types of modules in one model. */
#define RAMIFY_GROUPS_MAX 2

/* The modules of one type. Their numbers follow those of the groups before, and so do their bytes. */
typedef struct ramify_module_group {
    uint64_t first, count; /* numbers */
    uint64_t begin, bytes; /* of its tensor, experts.GROUP, from the start of experts.0 */
    uint64_t record_bytes; /* of every record, or of the largest */
    bool varies;           /* records differ in length */
    uint64_t numbers;      /* learned, in all of its modules, where they differ */
} ramify_module_group;

/* What every reference and node of one model must keep to; from the config and the tensors' sizes.
 */
typedef struct ramify_tree_limits {
    uint64_t nodes;        /* node records in tree.nodes */
    uint64_t leaves;       /* references to modules */
    uint32_t depth;        /* most nodes on a path; 0 when the root is a module */
    uint32_t arity;        /* most children of a node; 0 likewise */
    uint32_t dims;         /* of routing space */
    uint64_t node_bytes;   /* of tree.nodes */
    uint64_t modules;      /* records in all groups */
    uint64_t module_bytes; /* of the largest record */
    uint32_t groups;       /* 0: a Para-Former, whose branches no reference of a tree leads to */
    ramify_module_group group[RAMIFY_GROUPS_MAX];
} ramify_tree_limits;

/* Bytes of a node record; a multiple of 64. At most RAMIFY_ARITY_MAX children. */
uint64_t ramify_node_bytes(uint32_t children, uint32_t dims);

/* The parts of a node record. */
static inline const ramify_reference *ramify_node_references(const void *record) {
    return (const ramify_reference *)((const char *)record + sizeof(ramify_node_header));
}
static inline uint64_t ramify_node_prototypes_at(uint32_t children) {
    return sizeof(ramify_node_header) +
           ((uint64_t)children * sizeof(ramify_reference) + 63) / 64 * 64;
}
static inline const float *ramify_node_prototypes(const void *record, uint32_t children) {
    return (const float *)((const char *)record + ramify_node_prototypes_at(children));
}

/* Checks the root's reference: a node exactly when the config counts nodes, and inside its tensor.
 */
ramify_status ramify_root_check(ramify_context *context, const ramify_source *source,
                                const ramify_tree_limits *limits, const ramify_reference *root);

/* Checks a reference alone, wherever it stands. */
ramify_status ramify_child_check(ramify_context *context, const ramify_source *source,
                                 const ramify_tree_limits *limits,
                                 const ramify_reference *reference);

/* Checks a node record of reference->length bytes as it comes from the source: checksum, header,
 * every reference, finite prototypes, zero padding. */
ramify_status ramify_node_check(ramify_context *context, const ramify_source *source,
                                const ramify_tree_limits *limits, const ramify_reference *reference,
                                const void *record);

/* Checks that a node, whose record is good in itself, is what was referred to from above: its id
 * and length, and that it lies `depth` levels deep. This bounds every descent by the tree's depth,
 * whatever the records say. */
ramify_status ramify_node_check_place(ramify_context *context, const ramify_source *source,
                                      const ramify_reference *reference,
                                      const ramify_node_header *header, uint32_t depth);

#endif

/* Checks of node records. A node is checked whole when it is first read; where it stands in the
 * tree is compared again on every way down, which costs three comparisons. */

#include "tree.h"
#include "crc32c.h"
#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(ramify_reference) == 32, "references are 32 bytes in the file");
_Static_assert(sizeof(ramify_node_header) == 64, "node headers are 64 bytes in the file");

uint64_t ramify_node_bytes(uint32_t children, uint32_t dims) {
    return ramify_node_prototypes_at(children) +
           (uint64_t)children * ramify_pad(dims) * sizeof(float);
}

/* The checks of references say what is wrong in `fault`; where the reference stands is added by the
 * caller, and only then put into words. */
#define FAULT_BYTES 256

static bool RAMIFY_PRINTF(2, 3) describe(char *fault, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault, FAULT_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool node_reference_good(const ramify_tree_limits *limits, const ramify_reference *reference,
                                uint64_t id_low, char *fault) {
    if (reference->id < id_low || reference->id >= limits->nodes)
        return describe(fault, "refers to node %u, expected a number from %llu to below %llu",
                        reference->id, (unsigned long long)id_low,
                        (unsigned long long)limits->nodes);
    uint64_t least = ramify_node_bytes(2, limits->dims);
    uint64_t most = ramify_node_bytes(limits->arity, limits->dims);
    if (reference->length < least || reference->length > most || reference->length % 64 != 0)
        return describe(
            fault, "refers to %u bytes of node %u, expected a multiple of 64 from %llu to %llu",
            reference->length, reference->id, (unsigned long long)least, (unsigned long long)most);
    if (reference->offset % 64 != 0 || reference->offset > limits->node_bytes ||
        reference->length > limits->node_bytes - reference->offset)
        return describe(
            fault,
            "refers to %u bytes at offset %llu, expected a multiple of 64 inside the %llu "
            "bytes of tree.nodes",
            reference->length, (unsigned long long)reference->offset,
            (unsigned long long)limits->node_bytes);
    if (reference->leaf != 0)
        return describe(fault, "leaf number %u of a node, expected 0", reference->leaf);
    return true;
}

static bool module_reference_good(const ramify_tree_limits *limits,
                                  const ramify_reference *reference, char *fault) {
    const ramify_module_group *group = &limits->group[reference->group];
    if (reference->id < group->first || reference->id - group->first >= group->count)
        return describe(fault, "refers to module %u, expected a number from %llu to below %llu",
                        reference->id, (unsigned long long)group->first,
                        (unsigned long long)(group->first + group->count));
    if (group->varies ? reference->length == 0 || reference->length % 64 != 0 ||
                            reference->length > group->record_bytes
                      : reference->length != group->record_bytes)
        return describe(fault, "refers to %u bytes of module %u, expected %s%llu",
                        reference->length, reference->id,
                        group->varies ? "a multiple of 64 up to " : "",
                        (unsigned long long)group->record_bytes);
    /* The id is below the number of records in the file, so the product is inside it. */
    uint64_t place = group->begin + (reference->id - group->first) * group->record_bytes;
    if (!group->varies && reference->offset != place)
        return describe(fault, "refers to module %u at offset %llu, expected %llu", reference->id,
                        (unsigned long long)reference->offset, (unsigned long long)place);
    uint64_t within = reference->offset - group->begin;
    if (group->varies && (reference->offset < group->begin || within % 64 != 0 ||
                          within > group->bytes || reference->length > group->bytes - within))
        return describe(fault,
                        "refers to %u bytes of module %u at offset %llu, expected a multiple of 64 "
                        "inside the %llu bytes from %llu on",
                        reference->length, reference->id, (unsigned long long)reference->offset,
                        (unsigned long long)group->bytes, (unsigned long long)group->begin);
    if (reference->leaf >= limits->leaves)
        return describe(fault, "leaf number %u, expected a number below %llu", reference->leaf,
                        (unsigned long long)limits->leaves);
    return true;
}

static bool reference_good(const ramify_tree_limits *limits, const ramify_reference *reference,
                           uint64_t id_low, char *fault) {
    uint32_t groups = reference->kind == RAMIFY_REFERENCE_MODULE ? limits->groups : 1;
    if (reference->group >= groups)
        return describe(fault, "group %u, expected a number below %u", reference->group, groups);
    switch (reference->kind) {
    case RAMIFY_REFERENCE_NODE:
        return node_reference_good(limits, reference, id_low, fault);
    case RAMIFY_REFERENCE_MODULE:
        return module_reference_good(limits, reference, fault);
    default:
        return describe(fault, "reference of kind %u, expected 1 or 2", reference->kind);
    }
}

ramify_status ramify_root_check(ramify_context *context, const ramify_source *source,
                                const ramify_tree_limits *limits, const ramify_reference *root) {
    char fault[FAULT_BYTES];
    if (!reference_good(limits, root, 0, fault))
        return ramify_damaged(context, source, "tensor \"tree.root\": %s", fault);
    if (root->kind == RAMIFY_REFERENCE_NODE && (root->id != 0 || root->offset != 0))
        return ramify_damaged(context, source,
                              "tensor \"tree.root\": node %u at offset %llu, expected node 0 at 0",
                              root->id, (unsigned long long)root->offset);
    if ((root->kind == RAMIFY_REFERENCE_NODE) != (limits->nodes > 0))
        return ramify_damaged(context, source,
                              "tensor \"tree.root\": refers to a %s, the config counts %llu nodes",
                              root->kind == RAMIFY_REFERENCE_NODE ? "node" : "module",
                              (unsigned long long)limits->nodes);
    return RAMIFY_OK;
}

ramify_status ramify_child_check(ramify_context *context, const ramify_source *source,
                                 const ramify_tree_limits *limits,
                                 const ramify_reference *reference) {
    char fault[FAULT_BYTES];
    if (!reference_good(limits, reference, 0, fault))
        return ramify_damaged(context, source, "tensor \"tree.nodes\": a reference %s", fault);
    return RAMIFY_OK;
}

static ramify_status check_header(ramify_context *context, const ramify_source *source,
                                  const ramify_tree_limits *limits,
                                  const ramify_reference *reference,
                                  const ramify_node_header *header) {
    unsigned id = reference->id;
    if (header->children < 2 || header->children > limits->arity)
        return ramify_damaged(context, source,
                              "tensor \"tree.nodes\", node %u: %u children, expected 2 to %u", id,
                              header->children, limits->arity);
    if (header->dims != limits->dims)
        return ramify_damaged(context, source,
                              "tensor \"tree.nodes\", node %u: %u dimensions, expected %u", id,
                              header->dims, limits->dims);
    if (header->depth >= limits->depth)
        return ramify_damaged(context, source,
                              "tensor \"tree.nodes\", node %u: depth %u, expected below %u", id,
                              header->depth, limits->depth);
    uint64_t bytes = ramify_node_bytes(header->children, header->dims);
    if (bytes != reference->length)
        return ramify_damaged(context, source,
                              "tensor \"tree.nodes\", node %u: %u children take %llu bytes, its "
                              "reference says %u",
                              id, header->children, (unsigned long long)bytes, reference->length);
    for (size_t i = 0; i < sizeof header->reserved / sizeof header->reserved[0]; i++)
        if (header->reserved[i] != 0)
            return ramify_damaged(context, source,
                                  "tensor \"tree.nodes\", node %u: reserved bytes are not 0", id);
    return RAMIFY_OK;
}

/* Prototypes must be finite, and their padding 0, or distances would include it. */
static ramify_status check_prototypes(ramify_context *context, const ramify_source *source,
                                      const ramify_node_header *header) {
    const float *prototypes = ramify_node_prototypes(header, header->children);
    size_t stride = ramify_pad(header->dims);
    for (uint32_t child = 0; child < header->children; child++) {
        const float *row = prototypes + child * stride;
        float sum = 0.0F;
        for (uint32_t i = 0; i < header->dims; i++)
            sum += row[i] * 0.0F; /* 0 for finite numbers, else NaN for good */
        if (sum != 0.0F)
            return ramify_damaged(context, source,
                                  "tensor \"tree.nodes\", node %u: prototype %u has a number that "
                                  "is not finite",
                                  header->id, child);
        for (size_t i = header->dims; i < stride; i++)
            if (row[i] != 0.0F)
                return ramify_damaged(context, source,
                                      "tensor \"tree.nodes\", node %u: padding of prototype %u is "
                                      "not 0",
                                      header->id, child);
    }
    return RAMIFY_OK;
}

ramify_status ramify_node_check(ramify_context *context, const ramify_source *source,
                                const ramify_tree_limits *limits, const ramify_reference *reference,
                                const void *record) {
    uint32_t crc = ramify_crc32c(0, record, reference->length);
    if (crc != reference->crc)
        return ramify_damaged(context, source,
                              "tensor \"tree.nodes\", node %u: checksum %08x, expected %08x",
                              reference->id, crc, reference->crc);
    const ramify_node_header *header = record;
    RAMIFY_TRY(check_header(context, source, limits, reference, header));
    const ramify_reference *child = ramify_node_references(record);
    for (uint32_t i = 0; i < header->children; i++) {
        char fault[FAULT_BYTES];
        if (!reference_good(limits, &child[i], (uint64_t)header->id + 1, fault))
            return ramify_damaged(context, source, "tensor \"tree.nodes\", node %u, child %u: %s",
                                  header->id, i, fault);
    }
    const char *gap = (const char *)(child + header->children);
    const char *end = (const char *)record + ramify_node_prototypes_at(header->children);
    for (; gap < end; gap++)
        if (*gap != 0)
            return ramify_damaged(context, source,
                                  "tensor \"tree.nodes\", node %u: padding after its references is "
                                  "not 0",
                                  header->id);
    return check_prototypes(context, source, header);
}

ramify_status ramify_node_check_place(ramify_context *context, const ramify_source *source,
                                      const ramify_reference *reference,
                                      const ramify_node_header *header, uint32_t depth) {
    if (header->id != reference->id)
        return ramify_damaged(context, source, "tensor \"tree.nodes\", node %u: its record says %u",
                              reference->id, header->id);
    if (header->depth != depth)
        return ramify_damaged(
            context, source,
            "tensor \"tree.nodes\", node %u: depth %u, expected %u (one more than "
            "its parent's)",
            header->id, header->depth, depth);
    if (reference->length != ramify_node_bytes(header->children, header->dims))
        return ramify_damaged(
            context, source, "tensor \"tree.nodes\", node %u: %u bytes, its reference says %u",
            header->id, (unsigned)ramify_node_bytes(header->children, header->dims),
            reference->length);
    return RAMIFY_OK;
}

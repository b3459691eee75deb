/* Rows of a problem at the leaves of a tree that was grown on others. */

#include "grow.h"
#include "memory.h"
#include "status.h"

#include <math.h>
#include <string.h>

uint32_t ramify_grown_nearest(const ramify_kernels *kernels, const ramify_grown *grown,
                              const ramify_grown_node *node, const float *point, size_t routes) {
    const size_t stride = ramify_pad(routes);
    float least = INFINITY;
    uint32_t nearest = node->first_child;
    for (uint32_t k = node->first_child; k < node->first_child + node->children; k++) {
        float distance;
        kernels->distances(1, 1, routes, point, stride, grown->nodes[k].prototype, stride,
                           &distance, 1);
        if (distance < least) {
            least = distance;
            nearest = k;
        }
    }
    return nearest;
}

static uint32_t leaf_of(const ramify_problem *problem, const float *point, size_t routes,
                        const ramify_grown *grown) {
    uint32_t at = 0;
    while (grown->nodes[at].children > 0)
        at = ramify_grown_nearest(problem->kernels, grown, &grown->nodes[at], point, routes);
    return at;
}

ramify_status ramify_grown_place(const ramify_problem *problem, const float *points, size_t routes,
                                 ramify_grown *grown) {
    ramify_context *context = problem->context;
    const size_t stride = ramify_pad(routes);
    const ramify_rows parts[] = {problem->train, problem->select, problem->report};
    uint32_t *leaf = ramify_allocate(context, problem->rows, sizeof *leaf);
    size_t *next = ramify_allocate_zeroed(context, grown->node_count, sizeof *next);
    ramify_status status = leaf && next ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < grown->node_count; i++) {
        ramify_grown_node *node = &grown->nodes[i];
        node->train_count = node->select_count = node->report_count = 0;
    }
    for (int part = 0; status == RAMIFY_OK && part < 3; part++)
        for (size_t i = 0; i < parts[part].count; i++) {
            const uint32_t row = parts[part].row[i];
            leaf[row] = leaf_of(problem, points + row * stride, routes, grown);
            ramify_grown_node *node = &grown->nodes[leaf[row]];
            size_t *const counts[] = {&node->train_count, &node->select_count, &node->report_count};
            ++*counts[part];
        }
    for (uint32_t i = 0; status == RAMIFY_OK && i < grown->node_count; i++) {
        ramify_grown_node *node = &grown->nodes[i];
        if (node->children > 0)
            continue;
        ramify_release(context, node->rows);
        node->rows =
            ramify_allocate(context, node->train_count + node->select_count + node->report_count,
                            sizeof *node->rows);
        if (!node->rows)
            status = RAMIFY_ERROR_MEMORY;
    }
    for (int part = 0; status == RAMIFY_OK && part < 3; part++)
        for (size_t i = 0; i < parts[part].count; i++) {
            const uint32_t row = parts[part].row[i];
            grown->nodes[leaf[row]].rows[next[leaf[row]]++] = row;
        }
    ramify_release(context, leaf);
    ramify_release(context, next);
    return status;
}

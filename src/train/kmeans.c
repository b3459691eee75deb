#include "kmeans.h"
#include "memory.h"
#include "random.h"
#include "tree.h"

#include <float.h>
#include <string.h>

/* Lloyd steps: k-means has all but converged, and the last steps move few rows. */
#define LLOYD_STEPS 25
/* Rows that place the prototypes; more do not move a mean of thousands. All rows are then assigned.
 */
#define SAMPLE_ROWS 32768
/* Where the middle of half an interval lies: a box's two prototypes halve it. */
#define HALF_MIDDLE 0.25f

static uint32_t nearest(const float *distance, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (distance[i] < distance[best])
            best = i;
    return best;
}

ramify_status ramify_prototypes_assign(const ramify_problem *problem, const float *points,
                                       size_t stride, size_t dims, ramify_rows rows,
                                       const float *prototypes, uint32_t arity, uint32_t *child) {
    float *distance = ramify_allocate(problem->context, arity, sizeof *distance);
    if (!distance)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < rows.count; i++) {
        problem->kernels->distances(1, arity, dims, points + rows.row[i] * stride, stride,
                                    prototypes, stride, distance, arity);
        child[i] = nearest(distance, arity);
    }
    ramify_release(problem->context, distance);
    return RAMIFY_OK;
}

/* Draws the next seed with probability proportional to the squared distance to the nearest one so
 * far; false when all are at distance 0. */
static bool next_seed(const double *distance, size_t count, ramify_random *random, size_t *chosen) {
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += distance[i];
    if (!(total > 0))
        return false;
    double at = ramify_random_uniform(random) * total;
    for (size_t i = 0; i < count; i++) {
        at -= distance[i];
        if (at < 0 && distance[i] > 0) {
            *chosen = i;
            return true;
        }
    }
    /* Rounding left a remainder: the last row that counts. */
    for (size_t i = count; i-- > 0;)
        if (distance[i] > 0) {
            *chosen = i;
            return true;
        }
    return false;
}

typedef struct clusters {
    const ramify_problem *problem;
    const float *points;
    size_t stride, dims;
    const uint32_t *row; /* sample */
    size_t count;
    uint32_t *child;  /* count */
    double *distance; /* count */
    double *sum;      /* arity x dims */
    size_t *size;     /* arity */
} clusters;

static uint32_t plant_seeds(clusters *c, uint32_t arity, bool spread, ramify_random *random,
                            float *prototypes) {
    for (size_t i = 0; i < c->count; i++)
        c->distance[i] = 1.0;
    uint32_t found = 0;
    size_t chosen;
    while (found < arity && next_seed(c->distance, c->count, random, &chosen)) {
        float *prototype = prototypes + found * c->stride;
        memcpy(prototype, c->points + c->row[chosen] * c->stride, c->stride * sizeof *prototype);
        for (size_t i = 0; i < c->count; i++) {
            float distance;
            c->problem->kernels->distances(1, 1, c->dims, c->points + c->row[i] * c->stride,
                                           c->stride, prototype, c->stride, &distance, 1);
            if (distance == 0.0f)
                c->distance[i] = 0.0;
            else if (spread && (found == 0 || distance < c->distance[i]))
                c->distance[i] = distance;
        }
        found++;
    }
    return found;
}

/* One Lloyd step; true when no row changed its cluster. Clusters without rows are dropped. */
static void lloyd_step(clusters *c, uint32_t *found, bool first, float *prototypes, bool *still) {
    *still = !first;
    memset(c->sum, 0, *found * c->dims * sizeof *c->sum);
    memset(c->size, 0, *found * sizeof *c->size);
    float distance[RAMIFY_ARITY_MAX];
    for (size_t i = 0; i < c->count; i++) {
        const float *point = c->points + c->row[i] * c->stride;
        c->problem->kernels->distances(1, *found, c->dims, point, c->stride, prototypes, c->stride,
                                       distance, *found);
        uint32_t child = nearest(distance, *found);
        if (child != c->child[i])
            *still = false;
        c->child[i] = child;
        c->size[child]++;
        double *sum = c->sum + child * c->dims;
        for (size_t d = 0; d < c->dims; d++)
            sum[d] += point[d];
    }
    uint32_t kept = 0;
    for (uint32_t k = 0; k < *found; k++) {
        if (c->size[k] == 0)
            continue;
        float *prototype = prototypes + kept * c->stride;
        memset(prototype, 0, c->stride * sizeof *prototype);
        for (size_t d = 0; d < c->dims; d++)
            prototype[d] = (float)(c->sum[k * c->dims + d] / (double)c->size[k]);
        kept++;
    }
    *found = kept;
}

static uint32_t split_dyadic(const clusters *c, float *prototypes) {
    size_t longest = 0;
    float length = -1, low = 0, high = 0;
    for (size_t d = 0; d < c->dims; d++) {
        float least = FLT_MAX, most = -FLT_MAX;
        for (size_t i = 0; i < c->count; i++) {
            float x = c->points[c->row[i] * c->stride + d];
            least = x < least ? x : least;
            most = x > most ? x : most;
        }
        prototypes[d] = prototypes[c->stride + d] = 0.5f * (least + most);
        if (most - least > length) {
            longest = d;
            length = most - least;
            low = least;
            high = most;
        }
    }
    if (!(length > 0))
        return 1;
    prototypes[longest] = low + HALF_MIDDLE * (high - low);
    prototypes[c->stride + longest] = high - HALF_MIDDLE * (high - low);
    return 2;
}

ramify_status ramify_prototypes_find(const ramify_problem *problem, ramify_partition partition,
                                     const float *points, size_t stride, size_t dims,
                                     ramify_rows rows, uint32_t arity, uint64_t seed, uint64_t node,
                                     float *prototypes, uint32_t *found) {
    ramify_context *context = problem->context;
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SEEDS, node, 0);
    clusters c = {.problem = problem, .points = points, .stride = stride, .dims = dims};
    c.count = rows.count < SAMPLE_ROWS ? rows.count : SAMPLE_ROWS;
    uint32_t *sample = ramify_allocate(context, rows.count, sizeof *sample);
    c.child = ramify_allocate_zeroed(context, c.count, sizeof *c.child);
    c.distance = ramify_allocate(context, c.count, sizeof *c.distance);
    c.sum = ramify_allocate(context, arity * dims, sizeof *c.sum);
    c.size = ramify_allocate(context, arity, sizeof *c.size);
    ramify_status status =
        sample && c.child && c.distance && c.sum && c.size ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        memcpy(sample, rows.row, rows.count * sizeof *sample);
        if (c.count < rows.count)
            ramify_random_shuffle(&random, sample, rows.count);
        c.row = sample;
        memset(prototypes, 0, arity * stride * sizeof *prototypes);
        if (partition == RAMIFY_PARTITION_DYADIC) {
            *found = split_dyadic(&c, prototypes);
        } else {
            bool spread = partition == RAMIFY_PARTITION_KMEANS;
            *found = plant_seeds(&c, arity, spread, &random, prototypes);
            bool still = false;
            for (int step = 0; spread && step < LLOYD_STEPS && !still && *found > 1; step++)
                lloyd_step(&c, found, step == 0, prototypes, &still);
        }
    }
    ramify_release(context, sample);
    ramify_release(context, c.child);
    ramify_release(context, c.distance);
    ramify_release(context, c.sum);
    ramify_release(context, c.size);
    return status;
}

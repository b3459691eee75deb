#include "routing.h"
#include "memory.h"
#include "random.h"

#include <math.h>
#include <string.h>

/* Rows over which the gradient is averaged: the mean of so many outer products is stable to a few
 * percent. */
#define GRADIENT_ROWS 8192
#define BLOCK_ROWS    256
/* Directions with less than this share of the largest eigenvalue do not move a row to another cell.
 */
#define EIGEN_SHARE 1e-4
/* Cyclic Jacobi converges quadratically; six to ten sweeps are usual. */
#define SWEEPS_MAX 50

static void rotate(size_t n, double *a, double *vectors, size_t p, size_t q) {
    double apq = a[p * n + q];
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (size_t i = 0; i < n; i++) {
        double aip = a[i * n + p], aiq = a[i * n + q];
        a[i * n + p] = c * aip - s * aiq;
        a[i * n + q] = s * aip + c * aiq;
    }
    for (size_t i = 0; i < n; i++) {
        double api = a[p * n + i], aqi = a[q * n + i];
        a[p * n + i] = c * api - s * aqi;
        a[q * n + i] = s * api + c * aqi;
        double vpi = vectors[p * n + i], vqi = vectors[q * n + i];
        vectors[p * n + i] = c * vpi - s * vqi;
        vectors[q * n + i] = s * vpi + c * vqi;
    }
}

void ramify_eigen_symmetric(size_t n, double *matrix, double *values, double *vectors) {
    memset(vectors, 0, n * n * sizeof *vectors);
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        vectors[i * n + i] = 1;
        for (size_t j = 0; j < n; j++)
            total += matrix[i * n + j] * matrix[i * n + j];
    }
    for (int sweep = 0; sweep < SWEEPS_MAX; sweep++) {
        double off = 0;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++)
                off += matrix[p * n + q] * matrix[p * n + q];
        if (off <= 1e-24 * total)
            break;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++)
                if (matrix[p * n + q] != 0)
                    rotate(n, matrix, vectors, p, q);
    }
    for (size_t i = 0; i < n; i++)
        values[i] = matrix[i * n + i];
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t j = i + 1; j < n; j++)
            if (values[j] > values[best])
                best = j;
        if (best == i)
            continue;
        double swap = values[i];
        values[i] = values[best];
        values[best] = swap;
        for (size_t k = 0; k < n; k++) {
            swap = vectors[i * n + k];
            vectors[i * n + k] = vectors[best * n + k];
            vectors[best * n + k] = swap;
        }
    }
}

/* dy of every member: 1 for each target; for classes a random sign each, so that the expected outer
 * product is the sum over classes (Hutchinson's trick) for the price of one backward pass. */
static void draw_outputs(const ramify_problem *problem, size_t members, size_t count,
                         ramify_random *random, float *dy) {
    size_t padded = ramify_pad(problem->outputs);
    float share = 1.0f / (float)members;
    memset(dy, 0, members * count * padded * sizeof *dy);
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < problem->outputs; j++) {
            bool minus = problem->outputs > 1 && (ramify_random_bits(random) >> 63);
            for (size_t m = 0; m < members; m++)
                dy[(m * count + i) * padded + j] = minus ? -share : share;
        }
}

static void add_outer(size_t n, const float *gradient, double *matrix) {
    for (size_t i = 0; i < n; i++) {
        double gi = gradient[i];
        for (size_t j = 0; j < n; j++)
            matrix[i * n + j] += gi * gradient[j];
    }
}

typedef struct work {
    float *x, *dx, *dy, *plain_gradient, *scratch; /* of BLOCK_ROWS rows */
    double *matrix, *values, *vectors;
} work;

static void measure(const ramify_problem *problem, const ramify_mlp_shape *shape,
                    const ramify_encoder *encoder, const float *record, uint64_t seed, work *w) {
    size_t stride = ramify_pad(encoder->stem.features), n = problem->stem.plain;
    size_t rows = problem->train.count < GRADIENT_ROWS ? problem->train.count : GRADIENT_ROWS;
    size_t apart = problem->train.count / rows;
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_ROUTING, 0, 0);
    uint32_t row[BLOCK_ROWS];
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        size_t count = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        for (size_t i = 0; i < count; i++)
            row[i] = problem->train.row[(first + i) * apart];
        ramify_encoder_forward(problem, encoder, row, count, w->x, stride);
        ramify_mlp_forward(problem->kernels, shape, record, count, w->x, stride, w->scratch);
        draw_outputs(problem, shape->members, count, &random, w->dy);
        ramify_mlp_backward(problem->kernels, shape, record, count, w->x, stride, w->dy, NULL,
                            w->dx, stride, w->scratch);
        for (size_t i = 0; i < count; i++) {
            const float *plain = problem->plain + row[i] * problem->plain_stride;
            ramify_stem_plain_gradient(&encoder->stem, 1, plain, problem->plain_stride,
                                       w->dx + i * stride, stride, w->plain_gradient,
                                       problem->plain_stride);
            add_outer(n, w->plain_gradient, w->matrix);
        }
    }
}

ramify_status ramify_routing_gradient(const ramify_problem *problem, const ramify_mlp_shape *shape,
                                      const ramify_encoder *encoder, const float *record,
                                      uint64_t seed, float **route, uint32_t *dims) {
    ramify_context *context = problem->context;
    size_t n = problem->stem.plain, stride = ramify_pad(encoder->stem.features);
    work w = {
        .x = ramify_allocate(context, BLOCK_ROWS * stride, sizeof(float)),
        .dx = ramify_allocate(context, BLOCK_ROWS * stride, sizeof(float)),
        .dy = ramify_allocate(context, shape->members * BLOCK_ROWS * ramify_pad(problem->outputs),
                              sizeof(float)),
        .plain_gradient = ramify_allocate(context, problem->plain_stride, sizeof(float)),
        .scratch =
            ramify_allocate(context, ramify_mlp_train_floats(shape, BLOCK_ROWS), sizeof(float)),
        .matrix = ramify_allocate_zeroed(context, n * n, sizeof(double)),
        .values = ramify_allocate(context, n, sizeof(double)),
        .vectors = ramify_allocate(context, n * n, sizeof(double)),
    };
    *route = NULL;
    *dims = 0;
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (w.x && w.dx && w.dy && w.plain_gradient && w.scratch && w.matrix && w.values && w.vectors) {
        measure(problem, shape, encoder, record, seed, &w);
        ramify_eigen_symmetric(n, w.matrix, w.values, w.vectors);
        uint32_t kept = 0;
        while (kept < n && w.values[kept] > 0 && w.values[kept] >= EIGEN_SHARE * w.values[0])
            kept++;
        status = RAMIFY_OK;
        if (kept > 0) {
            *route = ramify_allocate_zeroed(context, kept * problem->plain_stride, sizeof(float));
            status = *route ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
        }
        for (uint32_t k = 0; status == RAMIFY_OK && k < kept; k++)
            for (size_t j = 0; j < n; j++)
                (*route)[k * problem->plain_stride + j] =
                    (float)(sqrt(w.values[k] / w.values[0]) * w.vectors[k * n + j]);
        if (status == RAMIFY_OK)
            *dims = kept;
    }
    void *memory[] = {w.x, w.dx, w.dy, w.plain_gradient, w.scratch, w.matrix, w.values, w.vectors};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        ramify_release(context, memory[i]);
    return status;
}

ramify_status ramify_routing_points(const ramify_problem *problem, const float *route,
                                    uint32_t dims, float **points) {
    size_t stride = ramify_pad(dims);
    float *made = ramify_allocate_zeroed(problem->context, problem->rows * stride, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    ramify_stem stem = problem->stem;
    stem.route = route;
    stem.routes = dims;
    ramify_stem_route(problem->kernels, &stem, problem->rows, problem->plain, problem->plain_stride,
                      made, stride);
    *points = made;
    return RAMIFY_OK;
}

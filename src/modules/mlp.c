/* Layout, forward and backward pass of the MLP module. Activations of members lie member after
 * member, so that one matrix product serves all members: they share W. */

#include "mlp.h"
#include "random.h"

#include <math.h>
#include <string.h>

size_t ramify_mlp_layout(const ramify_mlp_shape *shape, ramify_mlp_layer *layer) {
    if (shape->layers < 1 || shape->layers > RAMIFY_MLP_LAYERS_MAX || shape->members < 1 ||
        shape->members > RAMIFY_MLP_MEMBERS_MAX)
        return 0;
    for (uint32_t l = 0; l <= shape->layers; l++)
        if (shape->width[l] < 1 || shape->width[l] > RAMIFY_MLP_WIDTH_MAX)
            return 0;
    size_t members = shape->members;
    size_t floats = 0;
    for (uint32_t l = 0; l < shape->layers; l++) {
        /* With widths and members capped each term is below 2^37, and the sum is checked per layer.
         */
        ramify_mlp_layer *at = &layer[l];
        *at = (ramify_mlp_layer){.k = shape->width[l], .n = shape->width[l + 1]};
        size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
        at->last = l + 1 == shape->layers;
        at->narrow = at->last && at->n <= RAMIFY_MLP_NARROW;
        at->weight = floats;
        at->weight_stride = at->narrow ? k : n;
        at->weight_floats = at->narrow ? at->n * k : at->k * n;
        floats += at->weight_floats;
        at->bias = floats;
        floats += members * n;
        if (members > 1) {
            at->r = floats;
            floats += members * k;
            at->s = floats;
            floats += members * n;
        }
        if (!at->last) {
            at->slope = floats;
            floats += n;
        }
        if (floats > RAMIFY_MLP_BYTES_MAX / sizeof(float))
            return 0;
    }
    return floats;
}

size_t ramify_mlp_record_bytes(const ramify_mlp_shape *shape) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    return ramify_mlp_layout(shape, layer) * sizeof(float);
}

uint64_t ramify_mlp_parameters(const ramify_mlp_shape *shape) {
    uint64_t members = shape->members;
    uint64_t count = 0;
    for (uint32_t l = 0; l < shape->layers; l++) {
        uint64_t k = shape->width[l], n = shape->width[l + 1];
        count += k * n + members * n;
        if (members > 1)
            count += members * (k + n);
        if (l + 1 < shape->layers)
            count += n;
    }
    return count;
}

void ramify_mlp_initialise(const ramify_mlp_shape *shape, float slope, uint64_t seed, uint64_t node,
                           float *record) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    size_t floats = ramify_mlp_layout(shape, layer);
    memset(record, 0, floats * sizeof *record);
    for (uint32_t l = 0; l < shape->layers; l++) {
        const ramify_mlp_layer *at = &layer[l];
        ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_INITIAL, node, l);
        double gain = at->last ? 1.0 : 2.0 / (1.0 + (double)slope * (double)slope);
        double deviation = sqrt(gain / at->k);
        float *weight = record + at->weight;
        for (size_t i = 0; i < at->k; i++)
            for (size_t j = 0; j < at->n; j++) {
                size_t index = at->narrow ? j * at->weight_stride + i : i * at->weight_stride + j;
                weight[index] = (float)(deviation * ramify_random_normal(&random));
            }
        if (!at->last)
            for (size_t j = 0; j < at->n; j++)
                record[at->slope + j] = slope;
        if (shape->members == 1)
            continue;
        for (size_t m = 0; m < shape->members; m++) {
            for (size_t i = 0; i < at->k; i++) {
                bool sign = (l == 0 || at->last) && (ramify_random_bits(&random) >> 63);
                record[at->r + m * ramify_pad(at->k) + i] = sign ? -1.0f : 1.0f;
            }
            for (size_t j = 0; j < at->n; j++)
                record[at->s + m * ramify_pad(at->n) + j] = 1.0f;
        }
    }
}

void ramify_mlp_scale_outputs(const ramify_mlp_shape *shape, float factor, float *record) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(shape, layer);
    const ramify_mlp_layer *last = &layer[shape->layers - 1];
    for (size_t i = 0; i < last->weight_floats; i++)
        record[last->weight + i] *= factor;
    for (size_t i = 0; i < shape->members * ramify_pad(last->n); i++)
        record[last->bias + i] *= factor;
}

/* Floats of the widest padded layer, inputs included. */
static size_t widest(const ramify_mlp_shape *shape) {
    size_t widest = 0;
    for (uint32_t l = 0; l <= shape->layers; l++)
        if (ramify_pad(shape->width[l]) > widest)
            widest = ramify_pad(shape->width[l]);
    return widest;
}

/* Rows that go through all layers before the next ones do: enough to spread the reading of weights,
 * and few enough for their activations to stay in the first levels of the caches. */
#define BLOCK_ROWS 128

size_t ramify_mlp_run_floats(const ramify_mlp_shape *shape, size_t rows) {
    rows = rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
    return 2 * shape->members * rows * widest(shape);
}

/* z[count x pad(n)] = x[count x k] W, without bias; padding of z is zero. */
static void product(const ramify_kernels *kernels, const ramify_mlp_layer *at, const float *record,
                    size_t count, const float *x, size_t ldx, float *z) {
    size_t n = ramify_pad(at->n);
    if (at->narrow) {
        memset(z, 0, count * n * sizeof *z);
        kernels->dots(count, at->n, at->k, x, ldx, record + at->weight, at->weight_stride, NULL, z,
                      n);
    } else {
        kernels->matmul(count, n, at->k, x, ldx, 1, record + at->weight, at->weight_stride, z, n,
                        false);
    }
}

static void run_block(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                      const ramify_mlp_layer *layer, const float *record, size_t rows,
                      const float *x, size_t ldx, float *y, size_t ldy, float *scratch) {
    size_t members = shape->members;
    float *scaled = scratch;
    float *spare = scratch + members * rows * widest(shape);
    const float *from = x; /* rows of member m start at from + m * rows_apart */
    size_t from_stride = ldx, rows_apart = 0;
    for (uint32_t l = 0; l < shape->layers; l++) {
        const ramify_mlp_layer *at = &layer[l];
        size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
        const float *slope = at->last ? NULL : record + at->slope;
        if (members == 1) {
            float *to = from == scaled ? spare : scaled;
            to = at->last ? y : to;
            size_t to_stride = at->last ? ldy : n;
            if (at->narrow) {
                for (size_t row = 0; row < rows; row++)
                    memset(to + row * to_stride, 0, n * sizeof *to);
                kernels->dots(rows, at->n, at->k, from, from_stride, record + at->weight,
                              at->weight_stride, record + at->bias, to, to_stride);
            } else {
                kernels->affine(rows, n, at->k, from, from_stride, record + at->weight,
                                at->weight_stride, record + at->bias, slope, to, to_stride);
            }
            from = to;
            from_stride = n;
            continue;
        }
        for (size_t m = 0; m < members; m++)
            kernels->scale_columns(rows, k, from + m * rows_apart, from_stride,
                                   record + at->r + m * k, scaled + m * rows * k, k);
        product(kernels, at, record, members * rows, scaled, k, spare);
        for (size_t m = 0; m < members; m++) {
            float *z = spare + m * rows * n;
            kernels->activate(rows, n, z, n, record + at->s + m * n, record + at->bias + m * n,
                              slope, z, n);
        }
        from = spare;
        from_stride = n;
        rows_apart = rows * n;
    }
    if (members == 1)
        return;
    size_t n = ramify_pad(shape->width[shape->layers]);
    float share = 1.0f / (float)members;
    for (size_t row = 0; row < rows; row++)
        for (size_t j = 0; j < n; j++) {
            float sum = from[row * n + j];
            for (size_t m = 1; m < members; m++)
                sum += from[m * rows_apart + row * n + j];
            y[row * ldy + j] = sum * share;
        }
}

void ramify_mlp_run(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                    const float *record, size_t rows, const float *x, size_t ldx, float *y,
                    size_t ldy, float *scratch) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(shape, layer);
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        size_t count = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        run_block(kernels, shape, layer, record, count, x + first * ldx, ldx, y + first * ldy, ldy,
                  scratch);
    }
}

/* What the forward pass leaves in scratch for the backward pass, and where. count = M * rows. */
typedef struct keep {
    float *scaled[RAMIFY_MLP_LAYERS_MAX]; /* count x pad(k): x * r; unused when M == 1 */
    float *z[RAMIFY_MLP_LAYERS_MAX];      /* count x pad(n): before s, b and activation */
    float *y[RAMIFY_MLP_LAYERS_MAX];      /* count x pad(n): after */
    float *transposed;                    /* pad(n) x pad(k) of the largest layer */
    float *g[2];                          /* count x widest: gradients by layers' inputs, in turn */
    float *unwanted;                      /* 4 x widest: sums that nobody asked for */
    size_t floats;
} keep;

static keep keep_layout(const ramify_mlp_shape *shape, const ramify_mlp_layer *layer, size_t rows,
                        float *scratch) {
    keep kept = {0};
    size_t count = shape->members * rows;
    size_t at = 0, transposed = 0;
    for (uint32_t l = 0; l < shape->layers; l++) {
        size_t k = ramify_pad(layer[l].k), n = ramify_pad(layer[l].n);
        if (shape->members > 1) {
            kept.scaled[l] = scratch + at;
            at += count * k;
        }
        kept.z[l] = scratch + at;
        at += count * n;
        kept.y[l] = scratch + at;
        at += count * n;
        if (k * n > transposed)
            transposed = k * n;
    }
    kept.transposed = scratch + at;
    at += transposed;
    for (int i = 0; i < 2; i++) {
        kept.g[i] = scratch + at;
        at += count * widest(shape);
    }
    kept.unwanted = scratch + at;
    at += 4 * widest(shape);
    kept.floats = at;
    return kept;
}

size_t ramify_mlp_train_floats(const ramify_mlp_shape *shape, size_t rows) {
    static float nowhere[1];
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(shape, layer);
    return keep_layout(shape, layer, rows, nowhere).floats;
}

float *ramify_mlp_forward(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                          const float *record, size_t rows, const float *x, size_t ldx,
                          float *scratch) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(shape, layer);
    keep kept = keep_layout(shape, layer, rows, scratch);
    size_t members = shape->members, count = members * rows;
    const float *from = x;
    size_t from_stride = ldx, rows_apart = 0;
    for (uint32_t l = 0; l < shape->layers; l++) {
        const ramify_mlp_layer *at = &layer[l];
        size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
        for (size_t m = 0; m < members && members > 1; m++)
            kernels->scale_columns(rows, k, from + m * rows_apart, from_stride,
                                   record + at->r + m * k, kept.scaled[l] + m * rows * k, k);
        product(kernels, at, record, count, members > 1 ? kept.scaled[l] : from,
                members > 1 ? k : from_stride, kept.z[l]);
        for (size_t m = 0; m < members; m++)
            kernels->activate(rows, n, kept.z[l] + m * rows * n, n,
                              members > 1 ? record + at->s + m * n : NULL,
                              record + at->bias + m * n, at->last ? NULL : record + at->slope,
                              kept.y[l] + m * rows * n, n);
        from = kept.y[l];
        from_stride = n;
        rows_apart = rows * n;
    }
    return kept.y[shape->layers - 1];
}

/* dW += x^T dz, in the layer's layout. */
static void weight_gradient(const ramify_kernels *kernels, const ramify_mlp_layer *at, size_t count,
                            const float *x, size_t ldx, const float *dz, float *gradient) {
    size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    if (at->narrow)
        kernels->matmul(at->n, k, count, dz, 1, n, x, ldx, gradient + at->weight, k, true);
    else
        kernels->matmul(at->k, n, count, x, 1, ldx, dz, n, gradient + at->weight, n, true);
}

/* g[count x pad(k)] = dz[count x n] W^T. */
static void input_product(const ramify_kernels *kernels, const ramify_mlp_layer *at,
                          const float *record, size_t count, const float *dz, float *transposed,
                          float *g) {
    size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    const float *weight = record + at->weight;
    if (!at->narrow) {
        if (k > at->k)
            memset(transposed, 0, at->n * k * sizeof *transposed);
        kernels->transpose(at->k, at->n, weight, n, transposed, k);
        weight = transposed;
    }
    kernels->matmul(count, k, at->n, dz, n, 1, weight, k, g, k, false);
}

void ramify_mlp_backward(const ramify_kernels *kernels, const ramify_mlp_shape *shape,
                         const float *record, size_t rows, const float *x, size_t ldx, float *dy,
                         float *gradient, float *dx, size_t lddx, float *scratch) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(shape, layer);
    keep kept = keep_layout(shape, layer, rows, scratch);
    size_t members = shape->members, count = members * rows, wide = widest(shape);
    float *dz = dy;
    for (uint32_t l = shape->layers; l-- > 0;) {
        const ramify_mlp_layer *at = &layer[l];
        size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
        for (size_t m = 0; m < members; m++) {
            float *dz_m = dz + m * rows * n;
            kernels->activate_backward(rows, n, dz_m, n, kept.z[l] + m * rows * n, n,
                                       members > 1 ? record + at->s + m * n : NULL,
                                       record + at->bias + m * n,
                                       at->last ? NULL : record + at->slope, dz_m, n,
                                       gradient ? gradient + at->bias + m * n : kept.unwanted,
                                       gradient ? gradient + at->s + m * n : kept.unwanted + wide,
                                       gradient ? gradient + at->slope : kept.unwanted + 2 * wide);
        }
        const float *from = l ? kept.y[l - 1] : x;
        size_t from_stride = l ? k : ldx, rows_apart = l ? rows * k : 0;
        if (gradient)
            weight_gradient(kernels, at, count, members > 1 ? kept.scaled[l] : from,
                            members > 1 ? k : from_stride, dz, gradient);
        if (l == 0 && !dx && members == 1)
            return;
        float *g = kept.g[l % 2];
        input_product(kernels, at, record, count, dz, kept.transposed, g);
        if (members == 1) {
            if (l == 0)
                for (size_t row = 0; row < rows; row++)
                    memcpy(dx + row * lddx, g + row * k, k * sizeof *dx);
        } else {
            for (size_t m = 0; m < members; m++) {
                float *to = l ? g + m * rows * k : dx;
                kernels->scale_columns_backward(rows, k, g + m * rows * k, k, from + m * rows_apart,
                                                from_stride, record + at->r + m * k,
                                                gradient ? gradient + at->r + m * k : kept.unwanted,
                                                to, l ? k : lddx, l == 0 && m > 0);
            }
        }
        dz = g;
    }
}

#include "mlp_twin.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

const ramify_mlp_shape twin_shapes[TWIN_SHAPES] = {
    {1, 1, {1, 1}},
    {1, 4, {3, 2}},
    {1, 1, {21, 30}},
    {2, 1, {5, 7, 1}},
    {2, 4, {17, 9, 3}},
    {2, 1, {48, 32, 30}},
    {3, 1, {16, 16, 16, 8}},
    {3, 4, {13, 31, 17, 9}},
    {3, 4, {1, 1, 1, 1}},
    {4, 1, {33, 1, 5, 19, 8}},
    {4, 4, {2, 18, 3, 7, 12}},
    {4, 2, {7, 20, 33, 16, 1}},
};

static size_t padded(size_t count) {
    return (count + 15) / 16 * 16;
}

float *twin_floats(size_t count) {
    size_t bytes = (padded(count) + 16) * sizeof(float);
    float *memory = aligned_alloc(64, bytes);
    if (!memory)
        abort();
    memset(memory, 0, bytes);
    return memory;
}

static size_t weight_at(const twin_layer *layer, size_t i, size_t j) {
    return layer->weight + (layer->narrow ? j * padded(layer->k) + i : i * padded(layer->n) + j);
}

/* Rounded to float, so that the record holds the same number. */
static void draw(mlp_twin *twin, ramify_random *random, size_t at, double center, double spread) {
    twin->used[at] = true;
    twin->number[at] = (double)(float)(center + spread * ramify_random_normal(random));
}

static void fill(mlp_twin *twin, ramify_random *random) {
    size_t members = twin->shape.members;
    for (uint32_t l = 0; l < twin->shape.layers; l++) {
        const twin_layer *layer = &twin->layer[l];
        size_t k = layer->k, n = layer->n;
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < n; j++)
                draw(twin, random, weight_at(layer, i, j), 0.0, 0.4);
        for (size_t m = 0; m < members; m++) {
            for (size_t j = 0; j < n; j++)
                draw(twin, random, layer->bias + m * padded(n) + j, 0.0, 0.5);
            for (size_t i = 0; i < k && members > 1; i++)
                draw(twin, random, layer->r + m * padded(k) + i, 0.7, 0.5);
            for (size_t j = 0; j < n && members > 1; j++)
                draw(twin, random, layer->s + m * padded(n) + j, 1.0, 0.3);
        }
        for (size_t j = 0; j < n && !layer->last; j++)
            draw(twin, random, layer->slope + j, 0.25, 0.2);
    }
}

mlp_twin *mlp_twin_create(const ramify_mlp_shape *shape, uint64_t seed) {
    mlp_twin *twin = calloc(1, sizeof *twin);
    if (!twin)
        abort();
    twin->shape = *shape;
    size_t members = shape->members;
    for (uint32_t l = 0; l < shape->layers; l++) {
        twin_layer *layer = &twin->layer[l];
        layer->k = shape->width[l];
        layer->n = shape->width[l + 1];
        layer->last = l + 1 == shape->layers;
        layer->narrow = layer->last && layer->n <= RAMIFY_MLP_NARROW;
        size_t k = padded(layer->k), n = padded(layer->n);
        layer->weight = twin->floats;
        layer->bias = layer->weight + (layer->narrow ? layer->n * k : layer->k * n);
        layer->r = layer->bias + members * n;
        layer->s = layer->r + (members > 1 ? members * k : 0);
        layer->slope = layer->s + (members > 1 ? members * n : 0);
        twin->floats = layer->slope + (layer->last ? 0 : n);
    }
    twin->used = calloc(twin->floats, sizeof *twin->used);
    twin->number = calloc(twin->floats, sizeof *twin->number);
    if (!twin->used || !twin->number)
        abort();
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_INITIAL, 1, 2);
    fill(twin, &random);
    return twin;
}

void mlp_twin_destroy(mlp_twin *twin) {
    free(twin->used);
    free(twin->number);
    free(twin);
}

void mlp_twin_record(const mlp_twin *twin, float *record) {
    for (size_t i = 0; i < twin->floats; i++)
        record[i] = (float)twin->number[i];
}

/* One member's layer for one row. */
static void layer_forward(const mlp_twin *twin, const twin_layer *layer, size_t m, const double *x,
                          double *y) {
    const double *number = twin->number;
    bool scaled = twin->shape.members > 1;
    for (size_t j = 0; j < layer->n; j++) {
        double h = 0;
        for (size_t i = 0; i < layer->k; i++) {
            double r = scaled ? number[layer->r + m * padded(layer->k) + i] : 1.0;
            h += x[i] * r * number[weight_at(layer, i, j)];
        }
        if (scaled)
            h *= number[layer->s + m * padded(layer->n) + j];
        h += number[layer->bias + m * padded(layer->n) + j];
        y[j] = layer->last || h > 0 ? h : number[layer->slope + j] * h;
    }
}

void mlp_twin_forward(const mlp_twin *twin, size_t rows, const double *x, double *y) {
    double from[64], to[64];
    size_t inputs = twin->shape.width[0], outputs = twin->shape.width[twin->shape.layers];
    for (size_t m = 0; m < twin->shape.members; m++)
        for (size_t row = 0; row < rows; row++) {
            memcpy(from, x + row * inputs, inputs * sizeof *from);
            for (uint32_t l = 0; l < twin->shape.layers; l++) {
                layer_forward(twin, &twin->layer[l], m, from, to);
                memcpy(from, to, sizeof from);
            }
            memcpy(y + (m * rows + row) * outputs, from, outputs * sizeof *y);
        }
}

#include "branch_twin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* u[d x tokens] = LN(z). */
static void normalise(size_t d, size_t tokens, const double *z, const double *gain,
                      const double *bias, double epsilon, double *u) {
    for (size_t t = 0; t < tokens; t++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < d; i++)
            mean += z[i * tokens + t] / (double)d;
        for (size_t i = 0; i < d; i++)
            variance += pow(z[i * tokens + t] - mean, 2) / (double)d;
        for (size_t i = 0; i < d; i++)
            u[i * tokens + t] =
                (z[i * tokens + t] - mean) / sqrt(variance + epsilon) * gain[i] + bias[i];
    }
}

/* y[outputs x tokens] = W x + b. */
static void linear(size_t outputs, size_t inputs, size_t tokens, const double *weight,
                   const double *bias, const double *x, double *y) {
    for (size_t o = 0; o < outputs; o++)
        for (size_t t = 0; t < tokens; t++) {
            double sum = bias ? bias[o] : 0;
            for (size_t i = 0; i < inputs; i++)
                sum += weight[o * inputs + i] * x[i * tokens + t];
            y[o * tokens + t] = sum;
        }
}

/* mixed[d x tokens] = the heads' outputs, side by side. */
static void attend(size_t d, size_t heads, size_t tokens, const double *qkv, double *mixed) {
    size_t size = d / heads;
    double *share = calloc(tokens, sizeof *share);
    for (size_t h = 0; h < heads; h++) {
        const double *q = qkv + h * size * tokens, *k = q + d * tokens, *v = k + d * tokens;
        for (size_t a = 0; a < tokens; a++) {
            double sum = 0;
            for (size_t b = 0; b < tokens; b++) {
                double score = 0;
                for (size_t i = 0; i < size; i++)
                    score += q[i * tokens + a] * k[i * tokens + b];
                share[b] = exp(score / sqrt((double)size));
                sum += share[b];
            }
            for (size_t i = 0; i < size; i++) {
                double *to = &mixed[(h * size + i) * tokens + a];
                *to = 0;
                for (size_t b = 0; b < tokens; b++)
                    *to += share[b] / sum * v[i * tokens + b];
            }
        }
    }
    free(share);
}

static void add(size_t count, const double *x, double *y) {
    for (size_t i = 0; i < count; i++)
        y[i] += x[i];
}

void branch_twin(const ramify_branch_shape *shape, const double *record, const double *x,
                 double *y) {
    const ramify_branch_layer at = ramify_branch_layout(shape);
    size_t d = shape->width, tokens = shape->tokens, hidden = shape->hidden, all = d * tokens;
    double *z = calloc(all, sizeof *z), *u = calloc(all, sizeof *u);
    double *qkv = calloc(3 * all, sizeof *qkv), *mixed = calloc(all, sizeof *mixed);
    double *inner = calloc(hidden * tokens, sizeof *inner), *next = calloc(all, sizeof *next);
    memcpy(z, x, all * sizeof *z);
    for (uint32_t l = 0; l < shape->depth; l++) {
        const double *layer = record + l * at.floats;
        normalise(d, tokens, z, layer + at.gain1, layer + at.bias1, (double)shape->epsilon, u);
        linear(3 * d, d, tokens, layer + at.qkv, shape->qkv_bias ? layer + at.qkv_bias : NULL, u,
               qkv);
        attend(d, shape->heads, tokens, qkv, mixed);
        linear(d, d, tokens, layer + at.out, layer + at.out_bias, mixed, next);
        add(all, shape->plain_skip ? z : u, next);
        memcpy(z, next, all * sizeof *z);

        normalise(d, tokens, z, layer + at.gain2, layer + at.bias2, (double)shape->epsilon, u);
        linear(hidden, d, tokens, layer + at.fc1, layer + at.fc1_bias, u, inner);
        for (size_t i = 0; i < hidden * tokens; i++)
            inner[i] *= 0.5 * (1 + erf(inner[i] / sqrt(2.0)));
        linear(d, hidden, tokens, layer + at.fc2, layer + at.fc2_bias, inner, next);
        add(all, shape->plain_skip ? z : u, next);
        memcpy(z, next, all * sizeof *z);
    }
    for (size_t i = 0; i < d; i++)
        y[i] = z[i * tokens];
    free(z);
    free(u);
    free(qkv);
    free(mixed);
    free(inner);
    free(next);
}

float *unset_floats(size_t count) {
    float *memory = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64 + 64);
    if (!memory)
        abort();
    for (size_t i = 0; i < count; i++)
        memory[i] = NAN;
    return memory;
}

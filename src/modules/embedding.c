/* Tokens from plain features, and the way back. */

#include "embedding.h"
#include "random.h"

#include <math.h>
#include <string.h>

ramify_embedding_layout ramify_embedding_lay_out(const ramify_embedding_shape *shape) {
    size_t width = shape->width;
    ramify_embedding_layout at = {.cls = ramify_pad(shape->tokens * width)};
    at.weight = at.cls + width;
    if (shape->patch > 0) {
        at.bias = at.weight + ramify_pad(width * ramify_embedding_patch_numbers(shape));
        at.floats = at.bias + width;
    } else {
        at.floats = at.weight + (size_t)shape->plain * width;
    }
    return at;
}

void ramify_embedding_initialise(const ramify_embedding_shape *shape, uint64_t seed,
                                 float *record) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(shape);
    size_t width = shape->width, numbers = ramify_embedding_patch_numbers(shape);
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_EMBEDDING, 0, 0);
    memset(record, 0, at.floats * sizeof *record);
    for (size_t i = 0; i < shape->tokens * width; i++)
        record[at.pos + i] = (float)ramify_random_normal(&random);
    for (size_t i = 0; i < width; i++)
        record[at.cls + i] = (float)ramify_random_normal(&random);
    if (shape->patch == 0) {
        for (size_t i = 0; i < shape->plain * width; i++)
            record[at.weight + i] = (float)ramify_random_normal(&random);
        return;
    }
    double reach = 1.0 / sqrt((double)numbers);
    for (size_t i = 0; i < width * numbers; i++)
        record[at.weight + i] = (float)(reach * (2 * ramify_random_uniform(&random) - 1));
    for (size_t i = 0; i < width; i++)
        record[at.bias + i] = (float)(reach * (2 * ramify_random_uniform(&random) - 1));
}

/* Scratch: patches with tokens in columns, and in rows. */
typedef struct work {
    float *patches; /* patch numbers x ld */
    float *turned;  /* ld x pad(patch numbers) */
    float *weight;  /* width x pad(patch numbers) */
    float *row;     /* tokens x width */
} work;

static size_t carve(const ramify_embedding_shape *shape, size_t rows, float *from, work *w) {
    size_t ld = ramify_pad(rows * shape->tokens) + 16;
    size_t numbers = ramify_embedding_patch_numbers(shape), padded = ramify_pad(numbers);
    const size_t floats[] = {numbers * ld, ld * padded, shape->width * padded,
                             (size_t)shape->tokens * shape->width};
    float **const parts[] = {&w->patches, &w->turned, &w->weight, &w->row};
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i] = from ? from + used : NULL;
        used += ramify_pad(floats[i]);
    }
    return used;
}

size_t ramify_embedding_floats(const ramify_embedding_shape *shape, size_t rows) {
    work w;
    return carve(shape, rows, NULL, &w);
}

/* turned[rows * tokens x pad(patch numbers)]: a patch a row, zeros for class tokens. */
static void cut(const ramify_embedding_shape *shape, size_t rows, const float *plain, size_t ldp,
                float *turned) {
    size_t patch = shape->patch, breadth = shape->breadth, line = patch * shape->channels;
    size_t across = breadth / patch, down = shape->height / patch;
    size_t padded = ramify_pad(ramify_embedding_patch_numbers(shape));
    for (size_t i = 0; i < rows; i++) {
        float *to = turned + i * shape->tokens * padded;
        memset(to, 0, padded * sizeof *to);
        for (size_t r = 0; r < down; r++)
            for (size_t c = 0; c < across; c++) {
                const float *from =
                    plain + i * ldp + r * patch * breadth * shape->channels + c * line;
                to += padded;
                for (size_t y = 0; y < patch; y++)
                    memcpy(to + y * line, from + y * breadth * shape->channels, line * sizeof *to);
                memset(to + patch * line, 0, (padded - patch * line) * sizeof *to);
            }
    }
}

/* x += pos, cls and b. places: width x tokens of room. */
static void add_places(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                       const float *record, const ramify_embedding_layout *at, size_t rows,
                       float *x, size_t ld, float *places) {
    size_t width = shape->width, tokens = shape->tokens;
    kernels->transpose(tokens, width, record + at->pos, width, places, tokens);
    for (size_t r = 0; r < width; r++) {
        float *place = places + r * tokens;
        place[0] += record[at->cls + r];
        for (size_t t = 1; t < tokens; t++)
            place[t] += record[at->bias + r];
        for (size_t i = 0; i < rows; i++)
            for (size_t t = 0; t < tokens; t++)
                x[r * ld + i * tokens + t] += place[t];
    }
}

/* The tokens of one row of a table, token after token. */
static void embed_row(const ramify_embedding_shape *shape, const float *record,
                      const ramify_embedding_layout *at, const float *plain, float *token) {
    size_t width = shape->width;
    memcpy(token, record + at->pos, shape->tokens * width * sizeof *token);
    for (size_t r = 0; r < width; r++)
        token[r] += record[at->cls + r];
    for (size_t f = 0; f < shape->plain; f++) {
        const float *direction = record + at->weight + f * width;
        float *to = token + (1 + (size_t)shape->column[f]) * width;
        for (size_t r = 0; plain[f] != 0 && r < width; r++)
            to[r] += plain[f] * direction[r];
    }
}

void ramify_embedding_forward(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                              const float *record, size_t rows, const float *plain, size_t ldp,
                              float *x, size_t ld, float *scratch) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(shape);
    size_t width = shape->width, tokens = shape->tokens, used = rows * tokens;
    work w;
    carve(shape, rows, scratch, &w);
    if (shape->patch > 0) {
        size_t numbers = ramify_embedding_patch_numbers(shape);
        cut(shape, rows, plain, ldp, w.turned);
        kernels->transpose(used, numbers, w.turned, ramify_pad(numbers), w.patches, ld);
        for (size_t k = 0; k < numbers; k++)
            memset(w.patches + k * ld + used, 0, (ld - used) * sizeof *x);
        kernels->matmul(width, ld, numbers, record + at.weight, numbers, 1, w.patches, ld, x, ld,
                        false);
        add_places(kernels, shape, record, &at, rows, x, ld, w.row);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        embed_row(shape, record, &at, plain + i * ldp, w.row);
        kernels->transpose(tokens, width, w.row, width, x + i * tokens, ld);
    }
    for (size_t r = 0; r < width; r++)
        memset(x + r * ld + used, 0, (ld - used) * sizeof *x);
}

static void backward_patches(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                             const ramify_embedding_layout *at, size_t rows, const float *plain,
                             size_t ldp, const float *dx, size_t ld, float *gradient, work *w) {
    size_t numbers = ramify_embedding_patch_numbers(shape), padded = ramify_pad(numbers);
    size_t width = shape->width, used = rows * shape->tokens;
    cut(shape, rows, plain, ldp, w->turned);
    kernels->matmul(width, padded, used, dx, ld, 1, w->turned, padded, w->weight, padded, false);
    for (size_t r = 0; r < width; r++)
        for (size_t k = 0; k < numbers; k++)
            gradient[at->weight + r * numbers + k] += w->weight[r * padded + k];
}

static void backward_columns(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                             const ramify_embedding_layout *at, size_t rows, const float *plain,
                             size_t ldp, const float *dx, size_t ld, float *gradient, work *w) {
    size_t width = shape->width, tokens = shape->tokens;
    for (size_t i = 0; i < rows; i++) {
        const float *feature = plain + i * ldp;
        kernels->transpose(width, tokens, dx + i * tokens, ld, w->row, width);
        for (size_t f = 0; f < shape->plain; f++) {
            const float *from = w->row + (1 + (size_t)shape->column[f]) * width;
            float *to = gradient + at->weight + f * width;
            for (size_t r = 0; feature[f] != 0 && r < width; r++)
                to[r] += feature[f] * from[r];
        }
    }
}

void ramify_embedding_backward(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                               size_t rows, const float *plain, size_t ldp, const float *dx,
                               size_t ld, float *gradient, float *scratch) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(shape);
    size_t width = shape->width, tokens = shape->tokens;
    work w;
    carve(shape, rows, scratch, &w);
    for (size_t r = 0; r < width; r++)
        for (size_t t = 0; t < tokens; t++) {
            float sum = 0;
            for (size_t i = 0; i < rows; i++)
                sum += dx[r * ld + i * tokens + t];
            gradient[at.pos + t * width + r] += sum;
            if (t == 0)
                gradient[at.cls + r] += sum;
            else if (shape->patch > 0)
                gradient[at.bias + r] += sum;
        }
    if (shape->patch > 0)
        backward_patches(kernels, shape, &at, rows, plain, ldp, dx, ld, gradient, &w);
    else
        backward_columns(kernels, shape, &at, rows, plain, ldp, dx, ld, gradient, &w);
}

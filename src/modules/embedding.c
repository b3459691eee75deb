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

/* Scratch. */
typedef struct work {
    float *patches; /* patch numbers x ld: tokens in columns, forward */
    float *turned;  /* ld x pad(patch numbers): tokens in rows, backward */
    float *weight;  /* width x pad(patch numbers): backward */
    float *row;     /* ld x width: tokens of a table */
} work;

static size_t carve(const ramify_embedding_shape *shape, size_t rows, float *from, work *w) {
    size_t ld = ramify_token_stride(rows * shape->tokens);
    size_t numbers = ramify_embedding_patch_numbers(shape), padded = ramify_pad(numbers);
    bool table = shape->patch == 0;
    const size_t floats[] = {numbers * ld, ld * padded, shape->width * padded,
                             table ? ld * shape->width : 0};
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

/* Tokens first .. end-1 of one image, in columns of `patches`, the first at `to`; zeros for the class
 * token. Pixels of a line of patches lie side by side in the image: they are turned from there. */
static void cut_columns(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                        const float *image, size_t first, size_t end, float *to, size_t ld) {
    size_t patch = shape->patch, line = patch * shape->channels, across = shape->breadth / patch;
    if (first == 0) {
        for (size_t k = 0; k < ramify_embedding_patch_numbers(shape); k++)
            to[k * ld] = 0;
        first++;
        to++;
    }
    for (size_t count; first < end; first += count, to += count) {
        size_t r = (first - 1) / across, c = (first - 1) % across;
        count = ramify_smaller(across - c, end - first);
        const float *from = image + (r * patch * across + c) * line;
        for (size_t y = 0; y < patch; y++)
            kernels->transpose(count, line, from + y * across * line, line, to + y * line * ld, ld);
    }
}

/* x[width x count] = what patches first .. have wherever they come from: the class token is one. */
static void put_places(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                       const float *record, const ramify_embedding_layout *at, size_t first,
                       size_t count, float *x, size_t ld) {
    size_t width = shape->width;
    kernels->transpose(count, width, record + at->pos + first * width, width, x, ld);
    for (size_t r = 0; r < width; r++) {
        float *place = x + r * ld;
        place[0] += record[(first == 0 ? at->cls : at->bias) + r];
        for (size_t t = 1; t < count; t++)
            place[t] += record[at->bias + r];
    }
}

/* The tokens first .. end-1 of one row of a table, token after token. */
static void embed_tokens(const ramify_embedding_shape *shape, const float *record,
                         const ramify_embedding_layout *at, const float *plain, size_t first,
                         size_t end, float *token) {
    size_t width = shape->width;
    memcpy(token, record + at->pos + first * width, (end - first) * width * sizeof *token);
    for (size_t r = 0; r < width && first == 0; r++)
        token[r] += record[at->cls + r];
    for (size_t f = 0; f < shape->plain; f++) {
        const float *direction = record + at->weight + f * width;
        size_t of = 1 + (size_t)shape->column[f];
        if (plain[f] == 0 || of < first || of >= end)
            continue;
        float *to = token + (of - first) * width;
        for (size_t r = 0; r < width; r++)
            to[r] += plain[f] * direction[r];
    }
}

void ramify_embedding_columns(const ramify_kernels *kernels, const ramify_embedding_shape *shape,
                              const float *record, size_t rows, const float *plain, size_t ldp,
                              size_t first, size_t count, float *x, size_t ld, float *scratch) {
    const ramify_embedding_layout at = ramify_embedding_lay_out(shape);
    size_t width = shape->width, tokens = shape->tokens, used = rows * tokens;
    size_t numbers = ramify_embedding_patch_numbers(shape), end = first + count;
    work w;
    carve(shape, rows, scratch, &w);
    for (size_t column = first, part; column < end; column += part) {
        size_t i = column / tokens, token = column % tokens;
        if (column >= used) { /* to the end of the line */
            part = end - column;
            for (size_t r = 0; r < width; r++)
                memset(x + r * ld + column, 0, part * sizeof *x);
            for (size_t k = 0; k < numbers; k++)
                memset(w.patches + k * ld + column, 0, part * sizeof *x);
            continue;
        }
        part = ramify_smaller(tokens - token, end - column);
        const float *from = plain + i * ldp;
        if (shape->patch > 0) {
            put_places(kernels, shape, record, &at, token, part, x + column, ld);
            cut_columns(kernels, shape, from, token, token + part, w.patches + column, ld);
        } else {
            float *row = w.row + column * width;
            embed_tokens(shape, record, &at, from, token, token + part, row);
            kernels->transpose(part, width, row, width, x + column, ld);
        }
    }
    if (shape->patch > 0)
        kernels->matmul(width, count, numbers, record + at.weight, numbers, 1, w.patches + first,
                        ld, x + first, ld, true);
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

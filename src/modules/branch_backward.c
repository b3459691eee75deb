/* Backward pass of a transformer branch: what a loss's gradient by the class token that comes out
 * makes of the weights and of the tokens that went in. Attention shares of full layers are computed
 * again rather than kept. */

#include "branch.h"
#include "branch_parts.h"

#include <math.h>
#include <string.h>

typedef struct work {
    float *z;       /* width x ld: gradient by what a layer puts out, then by what it takes in */
    float *u, *du;  /* width x ld: LN's output, gradient by it */
    float *turned;  /* ld x turned_stride(max(width, rows of hidden)): tokens in rows */
    float *active;  /* rows of hidden x ld */
    float *dhidden; /* rows of hidden x ld */
    float *dqkv;    /* 3 width x ld */
    float *dmixed;  /* width x ld */
    float *score, *dscore, *turned_score; /* pad(tokens) x pad(tokens) */
    float *query, *head, *dhead;          /* width / heads x pad(tokens) */

    float *image, *dimage;             /* width x pad(tokens) */
    float *dz, *rows, *drows, *dquery; /* B x width */
    float *taken, *dtaken, *dprobe;    /* B x H x width */
    float *dshare;                     /* B x H x pad(tokens) */
    float *end_active, *end_dhidden;   /* B x hidden */
    float *columns, *dcolumns;         /* width x pad(B) */
    float *inverse;                    /* pad(B) */
} work;

/* Stride of a matrix with tokens in rows: an odd number of lines. Products walk down its columns, and
 * powers of two would put these into a few sets of the first cache. */
static size_t turned_stride(size_t columns) {
    return (columns / 16 | 1) * 16;
}

static void carve_work(ramify_carver *carver, const ramify_branch_shape *shape, size_t images,
                       work *w) {
    size_t ld = ramify_branch_stride(shape, images), d = shape->width, heads = shape->heads;
    size_t padded = ramify_pad(shape->tokens), hidden = shape->hidden;
    size_t chunk = hidden < RAMIFY_BRANCH_HIDDEN_ROWS ? hidden : RAMIFY_BRANCH_HIDDEN_ROWS;
    *w = (work){0};
    w->z = ramify_carve(carver, d * ld);
    w->du = ramify_carve(carver, d * ld);
    if (shape->depth > 1) {
        w->u = ramify_carve(carver, d * ld);
        w->turned = ramify_carve(carver, ld * turned_stride(d > chunk ? d : chunk));
        w->active = ramify_carve(carver, chunk * ld);
        w->dhidden = ramify_carve(carver, chunk * ld);
        w->dqkv = ramify_carve(carver, 3 * d * ld);
        w->dmixed = ramify_carve(carver, d * ld);
        w->score = ramify_carve(carver, padded * padded);
        w->dscore = ramify_carve(carver, padded * padded);
        w->turned_score = ramify_carve(carver, padded * padded);
        w->query = ramify_carve(carver, d / heads * padded);
        w->head = ramify_carve(carver, d / heads * padded);
        w->dhead = ramify_carve(carver, d / heads * padded);
    }
    w->image = ramify_carve(carver, d * padded);
    w->dimage = ramify_carve(carver, d * padded);
    w->dz = ramify_carve(carver, images * d);
    w->rows = ramify_carve(carver, images * d);
    w->drows = ramify_carve(carver, images * d);
    w->dquery = ramify_carve(carver, images * d);
    w->taken = ramify_carve(carver, images * heads * d);
    w->dtaken = ramify_carve(carver, images * heads * d);
    w->dprobe = ramify_carve(carver, images * heads * d);
    w->dshare = ramify_carve(carver, images * heads * padded);
    w->end_active = ramify_carve(carver, images * hidden);
    w->end_dhidden = ramify_carve(carver, images * hidden);
    w->columns = ramify_carve(carver, d * ramify_pad(images));
    w->dcolumns = ramify_carve(carver, d * ramify_pad(images));
    w->inverse = ramify_carve(carver, images);
}

size_t ramify_branch_train_floats(const ramify_branch_shape *shape, size_t images) {
    ramify_carver carver = {0};
    work w;
    carve_work(&carver, shape, images, &w);
    size_t forward = ramify_branch_run_floats(shape, images, false);
    return carver.used > forward ? carver.used : forward;
}

typedef struct pass {
    const ramify_kernels *kernels;
    const ramify_branch_shape *shape;
    const ramify_branch_input *input;
    ramify_branch_layer at;
    size_t n; /* columns that are computed: all tokens, padded */
    work work;
} pass;

/* y[columns] += the sum of the rows of x. */
static void add_row_sums(size_t rows, size_t columns, const float *x, size_t ldx, float *y) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            y[j] += x[i * ldx + j];
}

static void add(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++)
        y[i] += x[i];
}

/* A linear layer over rows, y = x W^T + b, W[outputs x inputs]: dW += dy^T x, db += sums of dy, and
 * dx = (accumulate ? dx : 0) + dy W. */
static void backward_rows(const pass *p, size_t outputs, size_t inputs, const float *dy,
                          size_t lddy, const float *x, size_t ldx, const float *weight,
                          float *dweight, float *dbias, float *dx, size_t lddx, bool accumulate) {
    const ramify_kernels *k = p->kernels;
    size_t rows = p->input->images;
    k->matmul(outputs, inputs, rows, dy, 1, lddy, x, ldx, dweight, inputs, true);
    if (dbias)
        add_row_sums(rows, outputs, dy, lddy, dbias);
    k->matmul(rows, inputs, outputs, dy, lddy, 1, weight, inputs, dx, lddx, accumulate);
}

/* The same over columns: turned[tokens x turned_stride(inputs)] = x^T. dW += dy x^T, db += sums of dy. */
static void backward_weight(const pass *p, size_t outputs, size_t inputs, const float *dy,
                            const float *turned, float *dweight, size_t stride, float *dbias) {
    const ramify_kernels *k = p->kernels;
    size_t tokens = p->input->images * p->shape->tokens, ld = p->input->ld;
    k->matmul(outputs, inputs, tokens, dy, ld, 1, turned, turned_stride(inputs), dweight, stride,
              true);
    if (dbias)
        k->scale_rows_backward(outputs, p->n, dy, ld, NULL, 0, NULL, NULL, dbias, NULL, 0, false);
}

void ramify_branch_denormalise_rows(const ramify_kernels *kernels, size_t rows, size_t d,
                                    const float *dy, const float *normal, const float *inverse,
                                    float *dx, float *columns, float *dcolumns, float *padded) {
    size_t n = ramify_pad(rows);
    memset(columns, 0, d * n * sizeof *columns);
    memset(dcolumns, 0, d * n * sizeof *dcolumns);
    memset(padded, 0, n * sizeof *padded);
    memcpy(padded, inverse, rows * sizeof *padded);
    kernels->transpose(rows, d, normal, d, columns, n);
    kernels->transpose(rows, d, dy, d, dcolumns, n);
    kernels->normalise_columns_backward(d, n, dcolumns, n, columns, n, padded, dcolumns, n, false);
    kernels->transpose(d, rows, dcolumns, n, dx, d);
}

/* LN over rows, u = normal * gain + bias: gradients of gain and bias, and du becomes that by
 * normal. */
static void scale_backward(const pass *p, size_t rows, const float *normal, const float *gain,
                           float *dgain, float *dbias, float *du) {
    size_t d = p->shape->width;
    add_row_sums(rows, d, du, d, dbias);
    p->kernels->scale_columns_backward(rows, d, du, d, normal, d, gain, dgain, du, d, false);
}

/* From dy, by the last layer's output, to work.dz, by its input to the second LN. */
static void backward_end_network(const pass *p, const float *layer, float *gradient,
                                 const ramify_branch_last *last, const float *dy, size_t lddy) {
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    const work *w = &p->work;
    size_t d = p->shape->width, hidden = p->shape->hidden, images = p->input->images;
    k->gelu(images, hidden, last->hidden, hidden, w->end_active, hidden);
    backward_rows(p, d, hidden, dy, lddy, w->end_active, hidden, layer + at->fc2,
                  gradient + at->fc2, gradient + at->fc2_bias, w->end_dhidden, hidden, false);
    k->gelu_backward(images, hidden, w->end_dhidden, hidden, last->hidden, hidden, w->end_dhidden,
                     hidden);
    k->activate(images, d, last->normal2, d, layer + at->gain2, layer + at->bias2, NULL, w->rows,
                d);
    backward_rows(p, hidden, d, w->end_dhidden, hidden, w->rows, d, layer + at->fc1,
                  gradient + at->fc1, gradient + at->fc1_bias, w->drows, d, false);
    for (size_t i = 0; i < images && !p->shape->plain_skip; i++)
        add(d, dy + i * lddy, w->drows + i * d);
    scale_backward(p, images, last->normal2, layer + at->gain2, gradient + at->gain2,
                   gradient + at->bias2, w->drows);
    ramify_branch_denormalise_rows(k, images, d, w->drows, last->normal2, last->inverse2, w->dz,
                                   w->columns, w->dcolumns, w->inverse);
    for (size_t i = 0; i < images && p->shape->plain_skip; i++)
        add(d, dy + i * lddy, w->dz + i * d);
}

/* What image i's heads took: from dtaken (by shares' sums of normal1) to the gradient by normal1's
 * columns of the image, and work.dprobe, by what was multiplied with them to be scores. */
static void backward_shares(const pass *p, const float *gain, const ramify_branch_last *last,
                            size_t i) {
    const ramify_kernels *k = p->kernels;
    const work *w = &p->work;
    size_t d = p->shape->width, heads = p->shape->heads, tokens = p->shape->tokens;
    size_t padded = ramify_pad(tokens), stride, ld = p->input->ld;
    const float *normal = ramify_branch_image(p->shape, i, last->normal1.at, ld, w->image, &stride);
    const float *share = last->share + i * heads * padded;
    const float *dtaken = w->dtaken + i * heads * d;
    float *dshare = w->dshare + i * heads * padded, *dprobe = w->dprobe + i * heads * d;
    k->matmul(heads, padded, d, dtaken, d, 1, normal, stride, dshare, padded, false);
    for (size_t h = 0; h < heads; h++) {
        const float *s = share + h * padded;
        float *ds = dshare + h * padded, mean = 0;
        for (size_t t = 0; t < tokens; t++)
            mean += s[t] * ds[t];
        for (size_t t = 0; t < padded; t++)
            ds[t] = t < tokens ? s[t] * (ds[t] - mean) : 0.0f;
    }
    k->dots(heads, d, tokens, dshare, padded, normal, stride, NULL, dprobe, d);
    k->scale_columns(heads, d, last->probe + i * heads * d, d, gain, w->taken, d);
    k->matmul(d, padded, heads, dtaken, 1, d, share, padded, w->dimage, padded, false);
    k->matmul(d, padded, heads, w->taken, 1, d, dshare, padded, w->dimage, padded, true);
    for (size_t r = 0; r < d; r++)
        memcpy(w->du + r * ld + i * tokens, w->dimage + r * padded, tokens * sizeof(float));
}

/* The last layer's attention: from work.dz to work.du, by normal1. */
static void backward_end_attention(const pass *p, const float *layer, float *gradient,
                                   const ramify_branch_last *last) {
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    const work *w = &p->work;
    size_t d = p->shape->width, heads = p->shape->heads, size = d / heads;
    size_t images = p->input->images, tokens = p->shape->tokens, ld = p->input->ld;
    float *dmixed = w->drows;
    backward_rows(p, d, d, w->dz, d, last->mixed, d, layer + at->out, gradient + at->out,
                  gradient + at->out_bias, dmixed, d, false);

    /* Values: mixed_h = Wv_h (taken * gain + bias). */
    const float *gain = layer + at->gain1;
    k->activate(images * heads, d, last->taken, d, gain, layer + at->bias1, NULL, w->taken, d);
    for (size_t h = 0; h < heads; h++) {
        size_t row = 2 * d + h * size;
        backward_rows(p, size, d, dmixed + h * size, d, w->taken + h * d, heads * d,
                      layer + at->qkv + row * d, gradient + at->qkv + row * d,
                      at->qkv_bias > 0 ? gradient + at->qkv_bias + row : NULL, w->dtaken + h * d,
                      heads * d, false);
    }
    scale_backward(p, images * heads, last->taken, gain, gradient + at->gain1, gradient + at->bias1,
                   w->dtaken);
    for (size_t i = 0; i < images; i++)
        backward_shares(p, gain, last, i);
    for (size_t r = 0; r < d; r++)
        memset(w->du + r * ld + images * tokens, 0, (ld - images * tokens) * sizeof(float));

    /* Keys: scores are (probe * gain) . normal1, probe_h = Wk_h^T query_h. */
    k->scale_columns_backward(images * heads, d, w->dprobe, d, last->probe, d, gain,
                              gradient + at->gain1, w->dprobe, d, false);
    for (size_t h = 0; h < heads; h++) {
        const float *dprobe = w->dprobe + h * d;
        size_t row = (d + h * size) * d;
        k->matmul(size, d, images, last->query + h * size, 1, d, dprobe, heads * d,
                  gradient + at->qkv + row, d, true);
        k->dots(images, size, d, dprobe, heads * d, layer + at->qkv + row, d, NULL,
                w->dquery + h * size, d);
    }
    const float factor = 1.0f / sqrtf((float)size);
    for (size_t i = 0; i < images * d; i++)
        w->dquery[i] *= factor;
    k->activate(images, d, last->class1, d, gain, layer + at->bias1, NULL, w->rows, d);
    float *du = w->drows;
    backward_rows(p, d, d, w->dquery, d, w->rows, d, layer + at->qkv, gradient + at->qkv,
                  at->qkv_bias > 0 ? gradient + at->qkv_bias : NULL, du, d, false);
    if (!p->shape->plain_skip)
        add(images * d, w->dz, du);
    scale_backward(p, images, last->class1, gain, gradient + at->gain1, gradient + at->bias1, du);
    for (size_t i = 0; i < images; i++)
        for (size_t r = 0; r < d; r++)
            w->du[r * ld + i * tokens] += du[i * d + r];
}

static void backward_last(const pass *p, const float *layer, float *gradient,
                          const ramify_branch_last *last, const float *dy, size_t lddy) {
    const work *w = &p->work;
    size_t d = p->shape->width, ld = p->input->ld;
    backward_end_network(p, layer, gradient, last, dy, lddy);
    backward_end_attention(p, layer, gradient, last);
    p->kernels->normalise_columns_backward(d, p->n, w->du, ld, last->normal1.at, ld,
                                           last->normal1.inverse, w->z, ld, false);
    for (size_t i = 0; i < p->input->images && p->shape->plain_skip; i++)
        for (size_t r = 0; r < d; r++)
            w->z[r * ld + i * p->shape->tokens] += w->dz[i * d + r];
}

/* LN over columns, u = normal * gain + bias: from du to z, added to it where the skip is plain. */
static void backward_normal(const pass *p, const float *normal, const float *inverse,
                            const float *gain, float *dgain, float *dbias) {
    const work *w = &p->work;
    size_t d = p->shape->width, ld = p->input->ld;
    p->kernels->scale_rows_backward(d, p->n, w->du, ld, normal, ld, gain, dgain, dbias, w->du, ld,
                                    false);
    p->kernels->normalise_columns_backward(d, p->n, w->du, ld, normal, ld, inverse, w->z, ld,
                                           p->shape->plain_skip);
}

/* The GELU network: z, by what it puts out, becomes that by what it takes in. */
static void backward_network(const pass *p, const float *layer, float *gradient,
                             const ramify_branch_full *full) {
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    const work *w = &p->work;
    size_t d = p->shape->width, hidden = p->shape->hidden, ld = p->input->ld;
    size_t n = p->n;
    k->scale_rows(d, n, full->normal2, ld, layer + at->gain2, layer + at->bias2, w->u, ld);
    k->scale_rows_backward(d, n, w->z, ld, NULL, 0, NULL, NULL, gradient + at->fc2_bias, NULL, 0,
                           false);
    if (p->shape->plain_skip)
        memset(w->du, 0, d * ld * sizeof(float));
    else
        memcpy(w->du, w->z, d * ld * sizeof(float));
    for (size_t row = 0, rows; row < hidden; row += rows) {
        rows = hidden - row < RAMIFY_BRANCH_HIDDEN_ROWS ? hidden - row : RAMIFY_BRANCH_HIDDEN_ROWS;
        const float *before = full->hidden + row * ld;
        k->gelu(rows, n, before, ld, w->active, ld);
        k->transpose(rows, n, w->active, ld, w->turned, turned_stride(rows));
        backward_weight(p, d, rows, w->z, w->turned, gradient + at->fc2 + row, hidden, NULL);
        k->matmul(rows, n, d, layer + at->fc2 + row, 1, hidden, w->z, ld, w->dhidden, ld, false);
        k->gelu_backward(rows, n, w->dhidden, ld, before, ld, w->dhidden, ld);
        k->transpose(d, n, w->u, ld, w->turned, turned_stride(d));
        backward_weight(p, rows, d, w->dhidden, w->turned, gradient + at->fc1 + row * d, d,
                        gradient + at->fc1_bias + row);
        k->matmul(d, n, rows, layer + at->fc1 + row * d, 1, d, w->dhidden, ld, w->du, ld, true);
    }
    backward_normal(p, full->normal2, full->inverse2, layer + at->gain2, gradient + at->gain2,
                    gradient + at->bias2);
}

/* Of head h of image i: from dmixed to dqkv. */
static void backward_head(const pass *p, const ramify_branch_full *full, size_t h, size_t i) {
    const ramify_kernels *k = p->kernels;
    const work *w = &p->work;
    size_t d = p->shape->width, size = d / p->shape->heads, ld = p->input->ld;
    size_t tokens = p->shape->tokens, padded = ramify_pad(tokens), first = i * tokens;
    const float *q = full->qkv + h * size * ld, *key = q + d * ld, *v = key + d * ld;
    float *dq = w->dqkv + h * size * ld + first, *dkey = dq + d * ld, *dv = dkey + d * ld;
    ramify_branch_attend(k, p->shape, tokens, q + first, key + first, ld, w->query, w->score);
    for (size_t r = 0; r < size; r++) {
        memcpy(w->dhead + r * padded, w->dmixed + (h * size + r) * ld + first,
               tokens * sizeof(float));
        memset(w->dhead + r * padded + tokens, 0, (padded - tokens) * sizeof(float));
    }
    /* score is keys x queries: mixed_h = v score, scores = k^T q. */
    k->transpose(tokens, padded, w->score, padded, w->turned_score, padded);
    k->matmul(size, padded, tokens, w->dhead, padded, 1, w->turned_score, padded, w->head, padded,
              false);
    for (size_t r = 0; r < size; r++)
        memcpy(dv + r * ld, w->head + r * padded, tokens * sizeof(float));
    k->matmul(tokens, padded, size, v + first, 1, ld, w->dhead, padded, w->dscore, padded, false);
    k->softmax_columns_backward(tokens, padded, w->score, padded, w->dscore, padded,
                                1.0f / sqrtf((float)size));
    k->matmul(size, padded, tokens, key + first, ld, 1, w->dscore, padded, w->head, padded, false);
    for (size_t r = 0; r < size; r++)
        memcpy(dq + r * ld, w->head + r * padded, tokens * sizeof(float));
    k->transpose(tokens, padded, w->dscore, padded, w->turned_score, padded);
    k->matmul(size, padded, tokens, w->query, padded, 1, w->turned_score, padded, w->head, padded,
              false);
    for (size_t r = 0; r < size; r++)
        memcpy(dkey + r * ld, w->head + r * padded, tokens * sizeof(float));
}

/* Attention: z, by what it puts out, becomes that by what it takes in. */
static void backward_attention(const pass *p, const float *layer, float *gradient,
                               const ramify_branch_full *full) {
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    const work *w = &p->work;
    size_t d = p->shape->width, ld = p->input->ld, n = p->n, images = p->input->images;
    size_t used = images * p->shape->tokens;
    k->transpose(d, n, full->mixed, ld, w->turned, turned_stride(d));
    backward_weight(p, d, d, w->z, w->turned, gradient + at->out, d, gradient + at->out_bias);
    k->matmul(d, n, d, layer + at->out, 1, d, w->z, ld, w->dmixed, ld, false);
    for (size_t h = 0; h < p->shape->heads; h++)
        for (size_t i = 0; i < images; i++)
            backward_head(p, full, h, i);
    for (size_t r = 0; r < 3 * d; r++)
        memset(w->dqkv + r * ld + used, 0, (ld - used) * sizeof(float));
    k->scale_rows(d, n, full->normal1.at, ld, layer + at->gain1, layer + at->bias1, w->u, ld);
    k->transpose(d, n, w->u, ld, w->turned, turned_stride(d));
    backward_weight(p, 3 * d, d, w->dqkv, w->turned, gradient + at->qkv, d,
                    at->qkv_bias > 0 ? gradient + at->qkv_bias : NULL);
    if (!p->shape->plain_skip)
        memcpy(w->du, w->z, d * ld * sizeof(float));
    k->matmul(d, n, 3 * d, layer + at->qkv, 1, d, w->dqkv, ld, w->du, ld, !p->shape->plain_skip);
    backward_normal(p, full->normal1.at, full->normal1.inverse, layer + at->gain1,
                    gradient + at->gain1, gradient + at->bias1);
}

void ramify_branch_backward(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                            const float *record, const ramify_branch_input *input, const float *dy,
                            size_t lddy, float *memory, float *gradient, float *dx,
                            float *scratch) {
    pass p = {.kernels = kernels,
              .shape = shape,
              .input = input,
              .at = ramify_branch_layout(shape),
              .n = ramify_pad(input->images * shape->tokens)};
    carve_work(&(ramify_carver){.base = scratch}, shape, input->images, &p.work);
    ramify_branch_last last;
    ramify_branch_full full[RAMIFY_BRANCH_DEPTH_MAX];
    ramify_carver carver = {.base = memory};
    for (uint32_t l = 0; l + 1 < shape->depth; l++)
        ramify_branch_carve_full(&carver, shape, input, l == 0, true, &full[l]);
    ramify_branch_carve_last(&carver, shape, input, shape->depth == 1, &last);
    for (uint32_t l = shape->depth; l-- > 0;) {
        const float *layer = record + l * p.at.floats;
        float *layer_gradient = gradient + l * p.at.floats;
        if (l + 1 == shape->depth) {
            backward_last(&p, layer, layer_gradient, &last, dy, lddy);
        } else {
            backward_network(&p, layer, layer_gradient, &full[l]);
            backward_attention(&p, layer, layer_gradient, &full[l]);
        }
    }
    memcpy(dx, p.work.z, (size_t)shape->width * input->ld * sizeof *dx);
}

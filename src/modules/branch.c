/* Shape, layout and forward pass of a transformer branch. */

#include "branch.h"
#include "branch_parts.h"
#include "random.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

const char *ramify_branch_shape_error(const ramify_branch_shape *shape) {
    if (shape->depth < 1 || shape->depth > RAMIFY_BRANCH_DEPTH_MAX)
        return "a branch has 1 to 256 layers";
    if (shape->width < 16 || shape->width > RAMIFY_BRANCH_WIDTH_MAX || shape->width % 16 != 0)
        return "a token's width must be a multiple of 16, up to 8192";
    if (shape->heads < 1 || shape->width % shape->heads != 0)
        return "the number of heads must divide the width";
    if (shape->hidden < 16 || shape->hidden > RAMIFY_BRANCH_HIDDEN_MAX || shape->hidden % 16 != 0)
        return "the hidden width must be a multiple of 16, up to 65536";
    if (shape->tokens < 2 || shape->tokens > RAMIFY_BRANCH_TOKENS_MAX)
        return "there must be 2 to 65536 tokens, the class token included";
    if (!(shape->epsilon > 0) || !(shape->epsilon < 1))
        return "the epsilon of the normalisation must lie between 0 and 1";
    if ((uint64_t)ramify_branch_layout(shape).floats * shape->depth >
        RAMIFY_BRANCH_BYTES_MAX / sizeof(float))
        return "a branch may have up to 2 GiB of weights";
    return NULL;
}

ramify_branch_layer ramify_branch_layout(const ramify_branch_shape *shape) {
    size_t d = shape->width, hidden = shape->hidden, at = 0;
    ramify_branch_layer layer = {.gain1 = at, .bias1 = at + d, .qkv = at + 2 * d};
    at = layer.qkv + 3 * d * d;
    if (shape->qkv_bias) {
        layer.qkv_bias = at;
        at += 3 * d;
    }
    layer.out = at;
    layer.out_bias = layer.out + d * d;
    layer.gain2 = layer.out_bias + d;
    layer.bias2 = layer.gain2 + d;
    layer.fc1 = layer.bias2 + d;
    layer.fc1_bias = layer.fc1 + hidden * d;
    layer.fc2 = layer.fc1_bias + hidden;
    layer.fc2_bias = layer.fc2 + d * hidden;
    layer.floats = layer.fc2_bias + d;
    return layer;
}

size_t ramify_branch_record_bytes(const ramify_branch_shape *shape) {
    return shape->depth * ramify_branch_layout(shape).floats * sizeof(float);
}

static void draw(ramify_random *random, size_t inputs, size_t count, float *to) {
    double reach = 1.0 / sqrt((double)inputs);
    for (size_t i = 0; i < count; i++)
        to[i] = (float)(reach * (2.0 * ramify_random_uniform(random) - 1.0));
}

void ramify_branch_initialise(const ramify_branch_shape *shape, uint64_t seed, uint64_t branch,
                              float *record) {
    size_t d = shape->width, hidden = shape->hidden;
    const ramify_branch_layer at = ramify_branch_layout(shape);
    for (uint32_t l = 0; l < shape->depth; l++) {
        ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_INITIAL, branch, l);
        float *layer = record + l * at.floats;
        for (size_t i = 0; i < d; i++) {
            layer[at.gain1 + i] = layer[at.gain2 + i] = 1.0f;
            layer[at.bias1 + i] = layer[at.bias2 + i] = 0.0f;
        }
        draw(&random, d, 3 * d * d, layer + at.qkv);
        if (shape->qkv_bias)
            draw(&random, d, 3 * d, layer + at.qkv_bias);
        draw(&random, d, d * d + d, layer + at.out); /* out_bias follows */
        draw(&random, d, hidden * d + hidden, layer + at.fc1);
        draw(&random, hidden, d * hidden + d, layer + at.fc2);
    }
}

static void carve_normal(ramify_carver *carver, const ramify_branch_shape *shape,
                         const ramify_branch_input *input, bool first,
                         ramify_branch_normal *normal) {
    size_t ld = ramify_branch_stride(shape, input->images);
    normal->own = first ? NULL : ramify_carve(carver, shape->width * ld);
    normal->own_inverse = first ? NULL : ramify_carve(carver, ld);
    normal->at = first ? input->normal : normal->own;
    normal->inverse = first ? input->inverse : normal->own_inverse;
}

void ramify_branch_carve_full(ramify_carver *carver, const ramify_branch_shape *shape,
                              const ramify_branch_input *input, bool first, bool keep,
                              ramify_branch_full *full) {
    size_t ld = ramify_branch_stride(shape, input->images), d = shape->width, rows = shape->hidden;
    if (!keep && rows > RAMIFY_BRANCH_HIDDEN_ROWS)
        rows = RAMIFY_BRANCH_HIDDEN_ROWS;
    carve_normal(carver, shape, input, first, &full->normal1);
    full->qkv = ramify_carve(carver, 3 * d * ld);
    full->mixed = ramify_carve(carver, d * ld);
    full->normal2 = ramify_carve(carver, d * ld);
    full->inverse2 = ramify_carve(carver, ld);
    full->hidden = ramify_carve(carver, rows * ld);
}

void ramify_branch_carve_last(ramify_carver *carver, const ramify_branch_shape *shape,
                              const ramify_branch_input *input, bool first,
                              ramify_branch_last *last) {
    size_t d = shape->width, heads = shape->heads, images = input->images;
    carve_normal(carver, shape, input, first, &last->normal1);
    last->class1 = ramify_carve(carver, images * d);
    last->query = ramify_carve(carver, images * d);
    last->probe = ramify_carve(carver, images * heads * d);
    last->share = ramify_carve(carver, images * heads * ramify_pad(shape->tokens));
    last->taken = ramify_carve(carver, images * heads * d);
    last->mixed = ramify_carve(carver, images * d);
    last->normal2 = ramify_carve(carver, images * d);
    last->inverse2 = ramify_carve(carver, images);
    last->hidden = ramify_carve(carver, images * shape->hidden);
}

void ramify_branch_normalise_rows(const ramify_kernels *kernels, size_t rows, size_t d,
                                  const float *x, float epsilon, float *y, float *inverse,
                                  float *columns) {
    size_t n = ramify_pad(rows);
    memset(columns, 0, d * n * sizeof *columns);
    kernels->transpose(rows, d, x, d, columns, n);
    kernels->normalise_columns(d, n, columns, n, epsilon, columns, n, inverse);
    kernels->transpose(d, rows, columns, n, y, d);
}

const float *ramify_branch_image(const ramify_branch_shape *shape, size_t image, const float *x,
                                 size_t ld, float *copy, size_t *stride) {
    size_t first = image * shape->tokens, padded = ramify_pad(shape->tokens);
    if (first % 16 == 0) {
        *stride = ld;
        return x + first;
    }
    for (size_t i = 0; i < shape->width; i++) {
        memcpy(copy + i * padded, x + i * ld + first, shape->tokens * sizeof *copy);
        memset(copy + i * padded + shape->tokens, 0, (padded - shape->tokens) * sizeof *copy);
    }
    *stride = padded;
    return copy;
}

void ramify_branch_attend(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                          size_t count, const float *q, const float *k, size_t ld, float *query,
                          float *score) {
    size_t padded = ramify_pad(count), size = shape->width / shape->heads;
    for (size_t i = 0; i < size; i++) {
        memcpy(query + i * padded, q + i * ld, count * sizeof *query);
        memset(query + i * padded + count, 0, (padded - count) * sizeof *query);
    }
    kernels->matmul(shape->tokens, padded, size, k, 1, ld, query, padded, score, padded, false);
    kernels->softmax_columns(shape->tokens, padded, score, padded, 1.0f / sqrtf((float)size));
}

/* Working memory of a forward pass. */
typedef struct work {
    float *z;            /* width x n: what a layer starts from and ends with */
    float *u;            /* width x n */
    float *active;       /* hidden rows x n */
    float *query, *head; /* width / heads x pad(tokens) */
    float *score;        /* tokens x pad(tokens) */
    float *image;        /* width x pad(tokens) */
    float *rows;         /* B x width */
    float *taken;        /* B x H x width */
    float *hidden;       /* B x hidden */
    float *columns;      /* width x pad(B) */
} work;

/* all: some layer is over all tokens. */
static void carve_work(ramify_carver *carver, const ramify_branch_shape *shape, size_t images,
                       bool all, work *w) {
    size_t ld = ramify_branch_stride(shape, images), d = shape->width, heads = shape->heads;
    size_t padded = ramify_pad(shape->tokens), hidden = shape->hidden;
    size_t chunk = hidden < RAMIFY_BRANCH_HIDDEN_ROWS ? hidden : RAMIFY_BRANCH_HIDDEN_ROWS;
    *w = (work){0};
    if (all) {
        w->z = ramify_carve(carver, d * ld);
        w->u = ramify_carve(carver, d * ld);
        w->active = ramify_carve(carver, chunk * ld);
        w->query = ramify_carve(carver, d / heads * padded);
        w->head = ramify_carve(carver, d / heads * padded);
        w->score = ramify_carve(carver, shape->tokens * padded);
    }
    w->image = ramify_carve(carver, d * padded);
    w->rows = ramify_carve(carver, images * d);
    w->taken = ramify_carve(carver, images * heads * d);
    w->hidden = ramify_carve(carver, images * hidden);
    w->columns = ramify_carve(carver, d * ramify_pad(images));
}

/* The pass of one branch over one batch. */
typedef struct pass {
    const ramify_kernels *kernels;
    const ramify_branch_shape *shape;
    const ramify_branch_input *input;
    ramify_branch_layer at;
    size_t n; /* columns that are computed: all tokens, padded */
    bool keep;
    work work;
    /* Threads that share the columns; each has `floats` of scratch, as large as the first's. */
    ramify_context *context; /* NULL with one of them */
    uint32_t workers;
    float *scratch;
    size_t floats;
} pass;

/* Working memory that a thread does not share: that of its own scratch. */
static work work_of(const pass *p, uint32_t worker) {
    work own = p->work;
    if (worker > 0)
        carve_work(&(ramify_carver){.base = p->scratch + worker * p->floats}, p->shape,
                   p->input->images, true, &own);
    return own;
}

/* A layer over all tokens: z -> z. */
typedef struct full_layer {
    const pass *pass;
    const float *weights, *from;
    const ramify_branch_full *full;
    size_t slice; /* columns of a task, a multiple of 16 */
} full_layer;

static size_t slice_end(const full_layer *l, size_t first) {
    return ramify_smaller(first + l->slice, l->pass->n);
}

/* Task: keys, queries and values of a slice of the columns. */
static ramify_status run_projection(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const full_layer *l = argument;
    const pass *p = l->pass;
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    const ramify_branch_full *full = l->full;
    size_t first = task * l->slice, n = slice_end(l, first) - first;
    size_t d = p->shape->width, ld = p->input->ld;
    if (full->normal1.own)
        k->normalise_columns(d, n, l->from + first, ld, p->shape->epsilon,
                             full->normal1.own + first, ld, full->normal1.own_inverse + first);
    float *u = p->work.u + first, *qkv = full->qkv + first;
    const float *bias = at->qkv_bias > 0 ? l->weights + at->qkv_bias : NULL;
    k->scale_rows(d, n, full->normal1.at + first, ld, l->weights + at->gain1,
                  l->weights + at->bias1, u, ld);
    if (bias)
        k->scale_rows(3 * d, n, NULL, 0, NULL, bias, qkv, ld);
    k->matmul(3 * d, n, d, l->weights + at->qkv, d, 1, u, ld, qkv, ld, bias != NULL);
    return RAMIFY_OK;
}

/* mixed[width x columns first .. end-1] = what the heads make of qkv. */
static void run_heads(const full_layer *l, size_t first, size_t end, const work *own) {
    const pass *p = l->pass;
    const ramify_branch_shape *shape = p->shape;
    size_t d = shape->width, size = d / shape->heads, ld = p->input->ld, tokens = shape->tokens;
    size_t used = p->input->images * tokens;
    for (size_t h = 0; h < shape->heads; h++) {
        const float *q = l->full->qkv + h * size * ld, *k = q + d * ld, *v = k + d * ld;
        float *mixed = l->full->mixed + h * size * ld;
        for (size_t i = first / tokens; i < p->input->images && i * tokens < end; i++) {
            size_t image = i * tokens, from = ramify_larger(first, image);
            size_t count = ramify_smaller(end, image + tokens) - from, padded = ramify_pad(count);
            ramify_branch_attend(p->kernels, shape, count, q + from, k + image, ld, own->query,
                                 own->score);
            p->kernels->matmul(size, padded, tokens, v + image, ld, 1, own->score, padded,
                               own->head, padded, false);
            for (size_t r = 0; r < size; r++)
                memcpy(mixed + r * ld + from, own->head + r * padded, count * sizeof *mixed);
        }
        for (size_t r = 0; r < size && end > used; r++)
            memset(mixed + r * ld + ramify_larger(first, used), 0,
                   (end - ramify_larger(first, used)) * sizeof *mixed);
    }
}

/* Task: what a layer makes of the keys and values of all tokens and the queries of a slice. */
static ramify_status run_rest(void *argument, size_t task, uint32_t worker) {
    const full_layer *l = argument;
    const pass *p = l->pass;
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    const ramify_branch_full *full = l->full;
    size_t first = task * l->slice, end = slice_end(l, first), n = end - first;
    size_t d = p->shape->width, hidden = p->shape->hidden, ld = p->input->ld;
    bool plain = p->shape->plain_skip;
    const work own = work_of(p, worker);
    run_heads(l, first, end, &own);

    const float *weights = l->weights;
    float *u = p->work.u + first, *z = p->work.z + first;
    k->scale_rows(d, n, plain ? l->from + first : u, ld, NULL, weights + at->out_bias, z, ld);
    k->matmul(d, n, d, weights + at->out, d, 1, full->mixed + first, ld, z, ld, true);

    float *normal = full->normal2 + first;
    k->normalise_columns(d, n, z, ld, p->shape->epsilon, normal, ld, full->inverse2 + first);
    k->scale_rows(d, n, normal, ld, weights + at->gain2, weights + at->bias2, u, ld);
    k->scale_rows(d, n, plain ? z : u, ld, NULL, weights + at->fc2_bias, z, ld);
    for (size_t row = 0, rows; row < hidden; row += rows) {
        rows = ramify_smaller(hidden - row, RAMIFY_BRANCH_HIDDEN_ROWS);
        float *before = (p->keep ? full->hidden + row * ld : full->hidden) + first;
        float *active = p->work.active + first;
        k->scale_rows(rows, n, NULL, 0, NULL, weights + at->fc1_bias + row, before, ld);
        k->matmul(rows, n, d, weights + at->fc1 + row * d, d, 1, u, ld, before, ld, true);
        k->gelu(rows, n, before, ld, active, ld);
        k->matmul(d, n, rows, weights + at->fc2 + row, hidden, 1, active, ld, z, ld, true);
    }
    return RAMIFY_OK;
}

/* A column of the result needs the whole of its own image's keys and values, and of everything else its
 * own column alone: two rounds over slices. */
static ramify_status run_full(const pass *p, const float *weights, const float *from,
                              const ramify_branch_full *full) {
    full_layer l = {.pass = p,
                    .weights = weights,
                    .from = from,
                    .full = full,
                    .slice = ramify_token_slice(p->n, p->workers)};
    size_t slices = (p->n + l.slice - 1) / l.slice;
    RAMIFY_TRY(ramify_parallel_on(p->context, p->workers, slices, run_projection, &l));
    return ramify_parallel_on(p->context, p->workers, slices, run_rest, &l);
}

/* Column of image i's class token, for every image, as rows: y[images x width]. */
static void class_rows(const pass *p, const float *x, float *y) {
    size_t d = p->shape->width;
    for (size_t i = 0; i < p->input->images; i++)
        for (size_t r = 0; r < d; r++)
            y[i * d + r] = x[r * p->input->ld + i * p->shape->tokens];
}

static void add_rows(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++)
        y[i] += x[i];
}

/* What each head's query takes of the tokens: share and taken, from query. */
static void take_tokens(const pass *p, const float *layer, const ramify_branch_last *last) {
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    size_t d = p->shape->width, heads = p->shape->heads, size = d / heads;
    size_t images = p->input->images, tokens = p->shape->tokens, padded = ramify_pad(tokens);
    for (size_t h = 0; h < heads; h++)
        k->matmul(images, d, size, last->query + h * size, d, 1,
                  layer + at->qkv + (d + h * size) * d, d, last->probe + h * d, heads * d, false);
    /* Keys are gain * normal + bias, and the bias adds the same to all scores of a query. */
    k->scale_columns(images * heads, d, last->probe, d, layer + at->gain1, p->work.taken, d);
    for (size_t i = 0; i < images; i++) {
        size_t stride;
        const float *normal = ramify_branch_image(p->shape, i, last->normal1.at, p->input->ld,
                                                  p->work.image, &stride);
        float *share = last->share + i * heads * padded;
        k->matmul(heads, padded, d, p->work.taken + i * heads * d, d, 1, normal, stride, share,
                  padded, false);
        k->softmax(heads, tokens, share, padded, share, padded);
        for (size_t h = 0; h < heads; h++)
            memset(share + h * padded + tokens, 0, (padded - tokens) * sizeof *share);
        k->dots(heads, d, tokens, share, padded, normal, stride, NULL, last->taken + i * heads * d,
                d);
    }
}

/* The last layer, for the class token alone: y[images x width] from the tokens z. */
static void run_last(const pass *p, const float *layer, const float *from,
                     const ramify_branch_last *last, float *y, size_t ldy) {
    const ramify_kernels *k = p->kernels;
    const ramify_branch_layer *at = &p->at;
    size_t d = p->shape->width, heads = p->shape->heads, size = d / heads;
    size_t hidden = p->shape->hidden, images = p->input->images;
    bool plain = p->shape->plain_skip;
    const float *qkv_bias = at->qkv_bias > 0 ? layer + at->qkv_bias : NULL;
    float *u = p->work.rows;

    class_rows(p, last->normal1.at, last->class1);
    k->activate(images, d, last->class1, d, layer + at->gain1, layer + at->bias1, NULL, u, d);
    k->dots(images, d, d, u, d, layer + at->qkv, d, qkv_bias, last->query, d);
    const float factor = 1.0f / sqrtf((float)size);
    for (size_t i = 0; i < images * d; i++)
        last->query[i] *= factor;
    take_tokens(p, layer, last);

    /* Shares sum to 1: the bias of the normalised tokens, and that of the values, is taken whole. */
    k->activate(images * heads, d, last->taken, d, layer + at->gain1, layer + at->bias1, NULL,
                p->work.taken, d);
    for (size_t h = 0; h < heads; h++)
        k->dots(images, size, d, p->work.taken + h * d, heads * d,
                layer + at->qkv + (2 * d + h * size) * d, d,
                qkv_bias ? qkv_bias + 2 * d + h * size : NULL, last->mixed + h * size, d);
    float *z = last->normal2; /* until it is normalised */
    k->dots(images, d, d, last->mixed, d, layer + at->out, d, layer + at->out_bias, z, d);
    if (plain)
        class_rows(p, from, u);
    add_rows(images * d, u, z);
    if (plain)
        memcpy(u, z, images * d * sizeof *u);

    ramify_branch_normalise_rows(k, images, d, z, p->shape->epsilon, last->normal2, last->inverse2,
                                 p->work.columns);
    float *second = p->work.taken; /* LN(z) */
    k->activate(images, d, last->normal2, d, layer + at->gain2, layer + at->bias2, NULL, second, d);
    k->dots(images, hidden, d, second, d, layer + at->fc1, d, layer + at->fc1_bias, last->hidden,
            hidden);
    k->gelu(images, hidden, last->hidden, hidden, p->work.hidden, hidden);
    k->dots(images, d, hidden, p->work.hidden, hidden, layer + at->fc2, hidden,
            layer + at->fc2_bias, y, ldy);
    for (size_t i = 0; i < images; i++)
        add_rows(d, (plain ? u : second) + i * d, y + i * ldy);
}

/* Carves a layer's memory: of the last one where `last`, else of one over all tokens. */
static ramify_branch_normal *carve_layer(ramify_carver *carver, const ramify_branch_shape *shape,
                                         const ramify_branch_input *input, bool first, bool last,
                                         bool keep, ramify_branch_full *full,
                                         ramify_branch_last *end) {
    if (last) {
        ramify_branch_carve_last(carver, shape, input, first, end);
        return &end->normal1;
    }
    ramify_branch_carve_full(carver, shape, input, first, keep, full);
    return &full->normal1;
}

/* With `keep` each layer has memory of its own, else all have the same. */
static ramify_status run(pass *p, const float *record, bool whole, float *y, size_t ldy,
                         float *memory) {
    const ramify_branch_shape *shape = p->shape;
    const ramify_branch_input *input = p->input;
    p->at = ramify_branch_layout(shape);
    p->n = ramify_pad(input->images * shape->tokens);
    carve_work(&(ramify_carver){.base = p->scratch}, shape, input->images,
               whole || shape->depth > 1, &p->work);
    ramify_carver carver = {.base = memory};
    const float *z = input->x;
    for (uint32_t l = 0; l < shape->depth; l++) {
        const float *weights = record + l * p->at.floats;
        bool last = l + 1 == shape->depth && !whole;
        ramify_branch_full full;
        ramify_branch_last end;
        carver.used = p->keep ? carver.used : 0;
        const ramify_branch_normal *normal =
            carve_layer(&carver, shape, input, l == 0, last, p->keep, &full, &end);
        if (!last) {
            RAMIFY_TRY(run_full(p, weights, z, &full));
        } else {
            if (normal->own)
                p->kernels->normalise_columns(shape->width, p->n, z, input->ld, shape->epsilon,
                                              normal->own, input->ld, normal->own_inverse);
            run_last(p, weights, z, &end, y, ldy);
        }
        z = p->work.z;
    }
    for (size_t i = 0; whole && i < input->images; i++)
        for (size_t r = 0; r < shape->width; r++)
            y[i * ldy + r] = z[r * input->ld + i * shape->tokens];
    return RAMIFY_OK;
}

/* Floats of the memory of all layers together, or of the largest one. */
static size_t memory_floats(const ramify_branch_shape *shape, size_t images, bool whole,
                            bool keep) {
    const ramify_branch_input input = {.images = images};
    ramify_carver all = {0};
    size_t most = 0;
    for (uint32_t l = 0; l < shape->depth; l++) {
        ramify_branch_full full;
        ramify_branch_last end;
        size_t before = all.used;
        bool last = l + 1 == shape->depth && !whole;
        carve_layer(&all, shape, &input, l == 0, last, keep, &full, &end);
        most = all.used - before > most ? all.used - before : most;
    }
    return keep ? all.used : most;
}

size_t ramify_branch_run_floats(const ramify_branch_shape *shape, size_t images, bool whole) {
    ramify_carver carver = {0};
    work w;
    carve_work(&carver, shape, images, whole || shape->depth > 1, &w);
    return memory_floats(shape, images, whole, false) + carver.used;
}

size_t ramify_branch_memory_floats(const ramify_branch_shape *shape, size_t images) {
    return memory_floats(shape, images, false, true);
}

ramify_status ramify_branch_run_on(ramify_context *context, uint32_t workers,
                                   const ramify_kernels *kernels, const ramify_branch_shape *shape,
                                   const float *record, const ramify_branch_input *input,
                                   bool whole, float *y, size_t ldy, float *scratch) {
    size_t floats = memory_floats(shape, input->images, whole, false);
    pass p = {.kernels = kernels,
              .shape = shape,
              .input = input,
              .context = context,
              .workers = workers,
              .scratch = scratch + floats,
              .floats = ramify_pad(ramify_branch_run_floats(shape, input->images, whole))};
    return run(&p, record, whole, y, ldy, scratch);
}

void ramify_branch_run(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                       const float *record, const ramify_branch_input *input, bool whole, float *y,
                       size_t ldy, float *scratch) {
    ramify_branch_run_on(NULL, 1, kernels, shape, record, input, whole, y, ldy, scratch);
}

void ramify_branch_forward(const ramify_kernels *kernels, const ramify_branch_shape *shape,
                           const float *record, const ramify_branch_input *input, float *y,
                           size_t ldy, float *memory, float *scratch) {
    pass p = {.kernels = kernels,
              .shape = shape,
              .input = input,
              .keep = true,
              .workers = 1,
              .scratch = scratch};
    run(&p, record, false, y, ldy, memory);
}

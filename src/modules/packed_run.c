/* Running packed records. Sparse layers of more than a few rows want a row in each column, dense ones in
 * each row; between the two, activations are turned. */

#include "packed_parts.h"

/* Rows that go through all layers before the next ones do. */
#define BLOCK_ROWS 64

/* From so many rows on sparse layers take them in columns. */
#define COLUMN_ROWS 8

/* Activations of all members: rows of member m begin at at + m * apart, or, in columns, its columns. Of
 * the network's own input apart is 0. */
typedef struct activations {
    const float *at;
    size_t stride, apart;
    bool columns;
} activations;

typedef struct run {
    const ramify_kernels *kernels;
    const void *record;
    size_t members, rows;
    float *buffer[3];
    float *widened; /* vectors of a layer */
    float *spread;  /* a masked matrix with its zeros; for many rows */
} run;

/* What a layer has beside its matrix, or of few outputs with it, as float32. */
typedef struct vectors {
    const float *weights;  /* if they are float32, or of few outputs */
    const float *bias, *r; /* r: of members */
    const float *s;        /* NULL: 1 */
    const float *slope;    /* NULL: no activation */
} vectors;

static vectors vectors_of(const run *r, const ramify_packed_place *at) {
    const float *all = ramify_packed_floats(r->record, at->vectors);
    const float *weights = ramify_packed_floats(r->record, at->weights);
    if (at->type != RAMIFY_WEIGHTS_FLOAT32) {
        r->kernels->widen(at->vector_count, ramify_packed_halves(r->record, at->vectors),
                          r->widened);
        all = r->widened;
    }
    if (at->type != RAMIFY_WEIGHTS_FLOAT32 && at->narrow) {
        r->kernels->widen(at->n * ramify_pad(at->k), ramify_packed_halves(r->record, at->weights),
                          r->widened + at->vector_count);
        weights = r->widened + at->vector_count;
    }
    return (vectors){.weights = weights,
                     .bias = all + at->bias,
                     .r = all + at->r,
                     .s = at->scaled ? all + at->s : NULL,
                     .slope = at->last ? NULL : all + at->slope};
}

/* A buffer that is not the one given. */
static float *free_buffer(const run *r, const float *used, const float *too) {
    for (size_t i = 0; i < 2; i++)
        if (r->buffer[i] != used && r->buffer[i] != too)
            return r->buffer[i];
    return r->buffer[2];
}

/* Columns of a member. */
static size_t column_count(const run *r) {
    return ramify_pad(r->rows);
}

/* Rows become columns or the other way round; `width` features, padded. */
static activations turn(const run *r, activations from, size_t width) {
    const size_t members = from.apart > 0 ? r->members : 1, columns = column_count(r);
    float *to = free_buffer(r, from.at, NULL);
    activations made = {.at = to, .columns = !from.columns};
    if (from.columns) {
        made.stride = width;
        made.apart = members > 1 ? r->rows * width : 0;
        for (size_t m = 0; m < members; m++)
            r->kernels->transpose(width, r->rows, from.at + m * columns, from.stride,
                                  to + m * made.apart, width);
        return made;
    }
    made.stride = members * columns;
    made.apart = members > 1 ? columns : 0;
    if (columns > r->rows)
        memset(to, 0, width * made.stride * sizeof *to);
    for (size_t m = 0; m < members; m++)
        r->kernels->transpose(r->rows, width, from.at + m * from.apart, from.stride,
                              to + m * columns, made.stride);
    return made;
}

/* Every member's inputs times its r. */
static activations scale_inputs(const run *r, const ramify_packed_place *at, const float *gain,
                                activations from) {
    const size_t k = ramify_pad(at->k), columns = column_count(r);
    float *to = free_buffer(r, from.at, NULL);
    activations made = {.at = to,
                        .columns = from.columns,
                        .stride = from.columns ? r->members * columns : k,
                        .apart = from.columns ? columns : r->rows * k};
    for (size_t m = 0; m < r->members; m++) {
        if (from.columns)
            r->kernels->scale_rows(k, columns, from.at + m * from.apart, from.stride, gain + m * k,
                                   NULL, to + m * columns, made.stride);
        else
            r->kernels->scale_columns(r->rows, k, from.at + m * from.apart, from.stride,
                                      gain + m * k, to + m * made.apart, k);
    }
    return made;
}

static void sparse_layer(const run *r, const ramify_packed_place *at, const vectors *v,
                         activations from, float *to, activations *made) {
    const ramify_sparse w = ramify_packed_sparse(at, r->record);
    const size_t n = w.n, columns = column_count(r);
    for (size_t m = 0; m < r->members; m++) {
        const float *bias = v->bias + m * n;
        const float *gain = v->s ? v->s + m * n : NULL;
        if (from.columns) {
            r->kernels->sparse_columns(&w, columns, from.at + m * from.apart, from.stride, gain,
                                       bias, v->slope, to + m * columns, made->stride);
            continue;
        }
        for (size_t row = 0; row < r->rows; row++)
            r->kernels->sparse_row(&w, from.at + m * from.apart + row * from.stride, gain, bias,
                                   v->slope, to + m * made->apart + row * n);
    }
}

static void dense_layer(const run *r, const ramify_packed_place *at, const vectors *v,
                        activations from, float *to) {
    const ramify_kernels *kernels = r->kernels;
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n), count = r->members * r->rows;
    const float *weights = v->weights;
    if (at->masked && r->rows >= COLUMN_ROWS) {
        const ramify_masked w = ramify_packed_masked(at, r->record);
        kernels->unmask(&w, r->spread);
        weights = r->spread;
    }
    const float *start = r->members > 1 ? NULL : v->bias; /* members' come after the gain */
    const float *slope = r->members > 1 ? NULL : v->slope;
    if (at->masked && r->rows < COLUMN_ROWS) {
        const ramify_masked w = ramify_packed_masked(at, r->record);
        kernels->masked_rows(&w, count, from.at, from.stride, start, slope, to, n);
    } else if (at->narrow) {
        memset(to, 0, count * n * sizeof *to);
        kernels->dots(count, at->n, at->k, from.at, from.stride, weights, k, start, to, n);
    } else if (at->type == RAMIFY_WEIGHTS_BFLOAT16) {
        kernels->affine_bfloat16(count, n, at->k, from.at, from.stride,
                                 ramify_packed_halves(r->record, at->weights), start, slope, to, n);
    } else if (start) {
        kernels->affine(count, n, at->k, from.at, from.stride, weights, n, start, slope, to, n);
    } else {
        kernels->matmul(count, n, at->k, from.at, from.stride, 1, weights, n, to, n, false);
    }
    for (size_t m = 0; m < r->members && r->members > 1; m++) {
        float *z = to + m * r->rows * n;
        kernels->activate(r->rows, n, z, n, v->s + m * n, v->bias + m * n, v->slope, z, n);
    }
}

/* Inputs become whole numbers, and a step for each row behind them: together no more than as many
 * floats. */
static void int8_layer(const run *r, const ramify_packed_place *at, const vectors *v,
                       activations from, int16_t *whole, float *to) {
    const size_t k = ramify_pad(at->k), n = ramify_pad(at->n);
    float *step = (float *)(void *)(whole + r->members * r->rows * k);
    for (size_t m = 0; m < r->members; m++)
        r->kernels->round_rows(r->rows, at->k, from.at + m * from.apart, from.stride,
                               r->members > 1 ? v->r + m * k : NULL, whole + m * r->rows * k, k,
                               step + m * r->rows);
    r->kernels->affine_int8(r->members, r->rows, n, at->k, whole, k, step,
                            (const int8_t *)r->record + at->weights, v->s, v->bias, v->slope, to,
                            n);
}

static activations run_layer(const run *r, const ramify_packed_place *at, activations from) {
    const size_t n = ramify_pad(at->n), columns = column_count(r);
    const vectors v = vectors_of(r, at);
    const bool whole = at->type == RAMIFY_WEIGHTS_INT8 && !at->sparse;
    if (from.columns != (at->sparse && r->rows >= COLUMN_ROWS))
        from = turn(r, from, ramify_pad(at->k));
    if (r->members > 1 && !whole)
        from = scale_inputs(r, at, v.r, from);
    float *spare = free_buffer(r, from.at, NULL);
    float *to = whole ? free_buffer(r, from.at, spare) : spare;
    activations made = {.at = to,
                        .columns = from.columns,
                        .stride = from.columns ? r->members * columns : n,
                        .apart = from.columns ? columns : r->rows * n};
    if (r->members == 1)
        made.apart = 0;
    if (at->sparse)
        sparse_layer(r, at, &v, from, to, &made);
    else if (whole)
        int8_layer(r, at, &v, from, (int16_t *)(void *)spare, to);
    else
        dense_layer(r, at, &v, from, to);
    return made;
}

static void run_block(const run *r, const ramify_mlp_shape *mlp, const ramify_packed_place *places,
                      const float *x, size_t ldx, float *y, size_t ldy) {
    activations now = {.at = x, .stride = ldx};
    for (uint32_t l = 0; l < mlp->layers; l++)
        now = run_layer(r, &places[l], now);
    const size_t n = ramify_pad(mlp->width[mlp->layers]);
    if (now.columns)
        now = turn(r, now, n);
    const float share = 1.0F / (float)r->members;
    for (size_t row = 0; row < r->rows; row++)
        for (size_t j = 0; j < n; j++) {
            float sum = now.at[row * n + j];
            for (size_t m = 1; m < r->members; m++)
                sum += now.at[m * now.apart + row * n + j];
            y[row * ldy + j] = r->members > 1 ? sum * share : sum;
        }
}

static size_t buffer_floats(const ramify_mlp_shape *mlp, size_t rows) {
    rows = rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
    return mlp->members * (rows < COLUMN_ROWS ? rows : ramify_pad(rows)) *
           ramify_packed_widest(mlp);
}

/* Of b, r, s and slope, and weights of few outputs. */
static size_t vector_floats(const ramify_mlp_shape *mlp) {
    size_t most = 0;
    for (uint32_t l = 0; l < mlp->layers; l++) {
        const size_t k = ramify_pad(mlp->width[l]), n = ramify_pad(mlp->width[l + 1]);
        const bool narrow = l + 1 == mlp->layers && mlp->width[l + 1] <= RAMIFY_MLP_NARROW;
        const size_t floats = mlp->members * (2 * n + (mlp->members > 1 ? k : 0)) + n +
                              (narrow ? mlp->width[l + 1] * k : 0);
        most = floats > most ? floats : most;
    }
    return most;
}

size_t ramify_packed_scratch(const ramify_packed_shape *shape, size_t rows) {
    const size_t spread = rows < COLUMN_ROWS ? 0 : shape->most_spread;
    return (3 * buffer_floats(&shape->mlp, rows) + vector_floats(&shape->mlp) + spread) *
           sizeof(float);
}

void ramify_packed_run(const ramify_kernels *kernels, const ramify_packed_shape *shape,
                       const void *packed, size_t rows, const float *x, size_t ldx, float *y,
                       size_t ldy, float *scratch) {
    ramify_packed_place places[RAMIFY_MLP_LAYERS_MAX];
    const size_t floats = buffer_floats(&shape->mlp, rows);
    ramify_packed_lay_out(&shape->mlp, packed, places);
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        const run r = {.kernels = kernels,
                       .record = packed,
                       .members = shape->mlp.members,
                       .rows = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS,
                       .buffer = {scratch, scratch + floats, scratch + 2 * floats},
                       .widened = scratch + 3 * floats,
                       .spread = scratch + 3 * floats + vector_floats(&shape->mlp)};
        run_block(&r, &shape->mlp, places, x + first * ldx, ldx, y + first * ldy, ldy);
    }
}

#include "paraformer.h"
#include "threads.h"

ramify_paraformer_parts ramify_paraformer_parts_of(const ramify_paraformer_shape *shape) {
    ramify_paraformer_parts parts = {
        .embedding = ramify_embedding_lay_out(&shape->embedding).floats,
        .head = ramify_head_lay_out(&shape->head).floats,
        .branch = ramify_branch_record_bytes(&shape->branch) / sizeof(float),
    };
    parts.floats = parts.embedding + parts.head + shape->branches * parts.branch;
    return parts;
}

ramify_paraformer_weights ramify_paraformer_weights_in(const ramify_paraformer_shape *shape,
                                                       float *vector) {
    const ramify_paraformer_parts parts = ramify_paraformer_parts_of(shape);
    return (ramify_paraformer_weights){.embedding = vector,
                                       .head = vector + parts.embedding,
                                       .branch = vector + parts.embedding + parts.head};
}

ramify_paraformer_weights ramify_paraformer_weights_held(const ramify_paraformer_shape *shape,
                                                         const ramify_deal *deal, float *vector) {
    ramify_paraformer_weights weights = ramify_paraformer_weights_in(shape, vector);
    weights.deal = *deal;
    return weights;
}

size_t ramify_paraformer_floats_held(const ramify_paraformer_shape *shape,
                                     const ramify_deal *deal) {
    const ramify_paraformer_parts parts = ramify_paraformer_parts_of(shape);
    return parts.embedding + parts.head + ramify_deal_own(deal, shape->branches) * parts.branch;
}

size_t ramify_paraformer_part(const ramify_paraformer_parts *parts, uint32_t part, size_t *floats) {
    size_t shared = parts->embedding + parts->head;
    *floats = part == 0 ? shared : parts->branch;
    return part == 0 ? 0 : shared + (part - 1) * parts->branch;
}

/* What the tasks of embedding share. */
typedef struct embedder {
    const ramify_kernels *kernels;
    const ramify_paraformer_shape *shape;
    const float *embedding, *plain;
    size_t rows, ldp, ld, columns, slice; /* columns: of all tokens, padded; slice: of a task */
    float *x, *normal, *inverse, *scratch;
} embedder;

/* Task: a slice of the tokens. */
static ramify_status embed_slice(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const embedder *e = argument;
    size_t first = task * e->slice, count = ramify_smaller(e->slice, e->columns - first);
    ramify_embedding_columns(e->kernels, &e->shape->embedding, e->embedding, e->rows, e->plain,
                             e->ldp, first, count, e->x, e->ld, e->scratch);
    e->kernels->normalise_columns(e->shape->branch.width, count, e->x + first, e->ld,
                                  e->shape->branch.epsilon, e->normal + first, e->ld,
                                  e->inverse + first);
    return RAMIFY_OK;
}

ramify_status ramify_paraformer_embed(ramify_context *context, uint32_t workers,
                                      const ramify_kernels *kernels,
                                      const ramify_paraformer_shape *shape, const float *embedding,
                                      size_t rows, const float *plain, size_t ldp, float *x,
                                      float *normal, float *inverse, float *scratch,
                                      ramify_branch_input *input) {
    embedder e = {.kernels = kernels,
                  .shape = shape,
                  .embedding = embedding,
                  .plain = plain,
                  .rows = rows,
                  .ldp = ldp,
                  .ld = ramify_branch_stride(&shape->branch, rows),
                  .columns = ramify_pad(rows * shape->branch.tokens),
                  .x = x,
                  .normal = normal,
                  .inverse = inverse,
                  .scratch = scratch};
    *input = (ramify_branch_input){
        .images = rows, .ld = e.ld, .x = x, .normal = normal, .inverse = inverse};
    e.slice = ramify_token_slice(e.columns, workers);
    return ramify_parallel_on(context, workers, (e.columns + e.slice - 1) / e.slice, embed_slice,
                              &e);
}

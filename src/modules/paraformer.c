#include "paraformer.h"

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

size_t ramify_paraformer_part(const ramify_paraformer_parts *parts, uint32_t part, size_t *floats) {
    size_t shared = parts->embedding + parts->head;
    *floats = part == 0 ? shared : parts->branch;
    return part == 0 ? 0 : shared + (part - 1) * parts->branch;
}

ramify_branch_input ramify_paraformer_input(const ramify_paraformer_shape *shape, size_t rows,
                                            const float *x, const float *normal,
                                            const float *inverse) {
    return (ramify_branch_input){.images = rows,
                                 .ld = ramify_branch_stride(&shape->branch, rows),
                                 .x = x,
                                 .normal = normal,
                                 .inverse = inverse};
}

void ramify_paraformer_embed(const ramify_kernels *kernels, const ramify_paraformer_shape *shape,
                             const float *embedding, size_t rows, const float *plain, size_t ldp,
                             size_t first, size_t count, float *x, float *normal, float *inverse,
                             float *scratch) {
    size_t ld = ramify_branch_stride(&shape->branch, rows);
    ramify_embedding_columns(kernels, &shape->embedding, embedding, rows, plain, ldp, first, count,
                             x, ld, scratch);
    kernels->normalise_columns(shape->branch.width, count, x + first, ld, shape->branch.epsilon,
                               normal + first, ld, inverse + first);
}

/* The table of one instruction set. Compiled once for each, like the operations themselves. */

#include "sets.h"
#include "vector.h"

#define RAMIFY_TEXT(name)     #name
#define RAMIFY_TEXT_OF(macro) RAMIFY_TEXT(macro)

const ramify_kernels RAMIFY_KERNEL(kernels_set) = {
    .name = RAMIFY_TEXT_OF(RAMIFY_ISA),
    .matmul = RAMIFY_KERNEL(matmul),
    .matmul_double = RAMIFY_KERNEL(matmul_double),
    .eliminate = RAMIFY_KERNEL(eliminate),
    .series = RAMIFY_KERNEL(series),
    .affine = RAMIFY_KERNEL(affine),
    .dots = RAMIFY_KERNEL(dots),
    .sparse_row = RAMIFY_KERNEL(sparse_row),
    .sparse_columns = RAMIFY_KERNEL(sparse_columns),
    .masked_row = RAMIFY_KERNEL(masked_row),
    .unmask = RAMIFY_KERNEL(unmask),
    .transpose = RAMIFY_KERNEL(transpose),
    .scale_columns = RAMIFY_KERNEL(scale_columns),
    .scale_columns_backward = RAMIFY_KERNEL(scale_columns_backward),
    .activate = RAMIFY_KERNEL(activate),
    .activate_backward = RAMIFY_KERNEL(activate_backward),
    .distances = RAMIFY_KERNEL(distances),
    .standardise = RAMIFY_KERNEL(standardise),
    .waves = RAMIFY_KERNEL(waves),
    .softmax = RAMIFY_KERNEL(softmax),
    .cross_entropy = RAMIFY_KERNEL(cross_entropy),
    .cross_entropy_soft = RAMIFY_KERNEL(cross_entropy_soft),
    .adamw = RAMIFY_KERNEL(adamw),
    .average = RAMIFY_KERNEL(average),
    .normalise_columns = RAMIFY_KERNEL(normalise_columns),
    .normalise_columns_backward = RAMIFY_KERNEL(normalise_columns_backward),
    .scale_rows = RAMIFY_KERNEL(scale_rows),
    .scale_rows_backward = RAMIFY_KERNEL(scale_rows_backward),
    .softmax_columns = RAMIFY_KERNEL(softmax_columns),
    .softmax_columns_backward = RAMIFY_KERNEL(softmax_columns_backward),
    .gelu = RAMIFY_KERNEL(gelu),
    .gelu_backward = RAMIFY_KERNEL(gelu_backward),
};

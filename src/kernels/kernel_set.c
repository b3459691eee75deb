/* The table of one instruction set. Compiled once for each, like the operations themselves; that of a
 * variant has the set's name and shares what another instruction does not make faster. */

#include "sets.h"
#include "vector.h"

#define RAMIFY_TEXT(name)     #name
#define RAMIFY_TEXT_OF(macro) RAMIFY_TEXT(macro)

const ramify_kernels RAMIFY_KERNEL(kernels_set) = {
    .name = RAMIFY_TEXT_OF(RAMIFY_BASE),
    .matmul = RAMIFY_SHARED(matmul),
    .matmul_double = RAMIFY_SHARED(matmul_double),
    .eliminate = RAMIFY_SHARED(eliminate),
    .series = RAMIFY_SHARED(series),
    .affine = RAMIFY_SHARED(affine),
    .dots = RAMIFY_SHARED(dots),
    .sparse_row = RAMIFY_SHARED(sparse_row),
    .sparse_columns = RAMIFY_SHARED(sparse_columns),
    .masked_rows = RAMIFY_SHARED(masked_rows),
    .unmask = RAMIFY_SHARED(unmask),
    .widen = RAMIFY_KERNEL(widen),
    .round_rows = RAMIFY_KERNEL(round_rows),
    .affine_int8 = RAMIFY_KERNEL(affine_int8),
    .affine_bfloat16 = RAMIFY_KERNEL(affine_bfloat16),
    .transpose = RAMIFY_SHARED(transpose),
    .scale_columns = RAMIFY_SHARED(scale_columns),
    .scale_columns_backward = RAMIFY_SHARED(scale_columns_backward),
    .activate = RAMIFY_SHARED(activate),
    .activate_backward = RAMIFY_SHARED(activate_backward),
    .distances = RAMIFY_SHARED(distances),
    .standardise = RAMIFY_SHARED(standardise),
    .waves = RAMIFY_SHARED(waves),
    .softmax = RAMIFY_SHARED(softmax),
    .cross_entropy = RAMIFY_SHARED(cross_entropy),
    .cross_entropy_soft = RAMIFY_SHARED(cross_entropy_soft),
    .adamw = RAMIFY_SHARED(adamw),
    .average = RAMIFY_SHARED(average),
    .normalise_columns = RAMIFY_SHARED(normalise_columns),
    .normalise_columns_backward = RAMIFY_SHARED(normalise_columns_backward),
    .scale_rows = RAMIFY_SHARED(scale_rows),
    .scale_rows_backward = RAMIFY_SHARED(scale_rows_backward),
    .softmax_columns = RAMIFY_SHARED(softmax_columns),
    .softmax_columns_backward = RAMIFY_SHARED(softmax_columns_backward),
    .gelu = RAMIFY_SHARED(gelu),
    .gelu_backward = RAMIFY_SHARED(gelu_backward),
};

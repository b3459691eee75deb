#ifndef RAMIFY_MODEL_ONNX_COLUMNS_H
#define RAMIFY_MODEL_ONNX_COLUMNS_H
/* Columns of one kind as one tensor, and such tensors joined into a row of features. */

#include "onnx_graph.h"

typedef bool (*ramify_column_test)(const ramify_stem_column *column);

static inline bool ramify_is_any(const ramify_stem_column *column) {
    (void)column;
    return true;
}

static inline bool ramify_is_category(const ramify_stem_column *column) {
    return column->codes > 0;
}

static inline bool ramify_is_number(const ramify_stem_column *column) {
    return column->codes == 0;
}

static inline bool ramify_is_flagged(const ramify_stem_column *column) {
    return column->codes == 0 && column->missing;
}

static inline bool ramify_is_binned(const ramify_stem_column *column) {
    return column->codes == 0 && column->knots > 0;
}

static inline bool ramify_is_bare(const ramify_stem_column *column) {
    return column->codes == 0 && column->knots == 0;
}

static inline bool ramify_is_bare_flagged(const ramify_stem_column *column) {
    return ramify_is_bare(column) && column->missing;
}

uint32_t ramify_onnx_count(const ramify_onnx *g, ramify_column_test wanted);

/* `source` has one number for each column that is `among`. Makes of it `name`, with those that are
 * `wanted` too; if all are, source will do. Returns which of the two it is. */
const char *ramify_onnx_pick(ramify_onnx *g, const char *source, ramify_column_test among,
                             const char *name, ramify_column_test wanted);

/* From tables for numbers and for categories, without tables, flags of these, periodic. */
#define RAMIFY_ONNX_PIECES 5

/* Tensors that together make a row of features. Starts as all zero. */
typedef struct ramify_onnx_joining {
    const char *pieces[RAMIFY_ONNX_PIECES]; /* their names */
    uint32_t count;                         /* of pieces */
    uint32_t used;                          /* numbers of all pieces */
} ramify_onnx_joining;

/* The name is not copied. */
void ramify_onnx_join_piece(ramify_onnx_joining *all, const char *name);

/* The next number of the pieces, in their order, belongs at `place` of the row. */
void ramify_onnx_join_number(ramify_onnx *g, ramify_onnx_joining *all, uint32_t place);

/* Makes `name` of the pieces, unless one of them is all there is. Returns which of the two it is. */
const char *ramify_onnx_join(ramify_onnx *g, const ramify_onnx_joining *all, const char *name);

/* The features that come from tables, of a stem with bins (onnx_tables.c). */
void ramify_onnx_put_tables(ramify_onnx *g, ramify_onnx_joining *all);

#endif

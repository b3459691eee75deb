/* Features that are looked up in tables, as nodes: two numbers per category, and two per number with
 * knots, linear between them. */

#include "onnx_columns.h"

#include <float.h>

static uint32_t most_knots(const ramify_onnx *g) {
    uint32_t most = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        most = g->stem->column[c].knots > most ? g->stem->column[c].knots : most;
    return most;
}

/* Columns with fewer knots get some that no number reaches. */
static void fill_knots(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    for (uint32_t c = 0; c < g->stem->columns; c++) {
        const ramify_stem_column *column = &g->stem->column[c];
        if (!ramify_is_binned(column))
            continue;
        ramify_onnx_write_floats(g, g->stem->knots + column->knot, column->knots);
        for (uint64_t i = column->knots; i < tensor->shape.dims[1]; i++)
            ramify_onnx_write_float(g, FLT_MAX);
    }
}

/* Where the line of an entry starts; 0 for what is no interval. */
static void fill_starts(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t c = 0; c < g->stem->columns; c++) {
        const ramify_stem_column *column = &g->stem->column[c];
        const float *knots = g->stem->knots + column->knot;
        for (uint32_t e = 0; ramify_is_binned(column) && e <= column->knots; e++)
            ramify_onnx_write_float(g, knots[e > 0 ? e - 1 : 0]);
        if (ramify_is_binned(column) && column->missing)
            ramify_onnx_write_float(g, 0.0F);
        for (uint32_t code = 0; code < column->codes; code++)
            ramify_onnx_write_float(g, 0.0F);
    }
}

/* Of the four numbers of an entry two values (part 0) or two slopes (part 1). */
static void fill_table(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    for (size_t e = 0; e < g->stem->entry_count; e++) {
        ramify_onnx_write_float(g, g->stem->table[4 * e + (size_t)tensor->part]);
        ramify_onnx_write_float(g, g->stem->table[4 * e + 2 + (size_t)tensor->part]);
    }
}

/* The entry for a missing value: one of its own, or that of 0. */
static uint32_t missing_entry(const ramify_onnx *g, const ramify_stem_column *column) {
    if (column->missing)
        return column->entry + column->knots + 1;
    uint32_t below = 0;
    for (uint32_t i = 0; i < column->knots; i++)
        below += g->stem->knots[column->knot + i] <= 0.0F;
    return column->entry + below;
}

/* The table entry of every number that has one, as stem/bins/entry. */
static void put_entries(ramify_onnx *g, const char *numbers, uint32_t count) {
    uint32_t position = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        if (ramify_is_binned(&g->stem->column[c]))
            g->list[position++] = g->stem->column[c].entry;
    ramify_onnx_list(g, "stem/bins/first", count);
    ramify_onnx_stream(g, "stem/bins/knots", RAMIFY_ONNX_FLOAT,
                       (ramify_onnx_shape){2, {count, most_knots(g)}}, fill_knots);
    ramify_onnx_node(g, "@column = Unsqueeze(%s, [2])", numbers);
    ramify_onnx_node(g, "@reached = GreaterOrEqual(@column, @knots)");
    ramify_onnx_node(g, "@ones = Cast<to=%d>(@reached)", RAMIFY_ONNX_FLOAT);
    ramify_onnx_node(g, "@count = ReduceSum<keepdims=0>(@ones, [2])");
    ramify_onnx_node(g, "@interval = Cast<to=%d>(@count)", RAMIFY_ONNX_INT64);
    ramify_onnx_node(g, "@found = Add(@interval, @first)");
    const char *missing = ramify_onnx_pick(g, "stem/missing", ramify_is_number, "stem/bins/missing",
                                           ramify_is_binned);
    position = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        if (ramify_is_binned(&g->stem->column[c]))
            g->list[position++] = missing_entry(g, &g->stem->column[c]);
    ramify_onnx_list(g, "stem/bins/missing_entry", count);
    ramify_onnx_node(g, "@entry = Where(%s, @missing_entry, @found)", missing);
}

/* Two numbers per column with knots, linear between them. */
static void put_bins(ramify_onnx *g, uint32_t count) {
    const ramify_stem *stem = g->stem;
    const char *numbers = ramify_onnx_pick(g, "stem/numbers", ramify_is_number, "stem/bins/numbers",
                                           ramify_is_binned);
    ramify_onnx_set_prefix(g, "stem/bins/");
    put_entries(g, numbers, count);
    ramify_onnx_stream(g, "@start", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){1, {stem->entry_count}},
                       fill_starts);
    ramify_onnx_stream(g, "@slope", RAMIFY_ONNX_FLOAT,
                       (ramify_onnx_shape){2, {stem->entry_count, 2}}, fill_table)
        ->part = 1;
    ramify_onnx_node(g, "@own_start = Gather(@start, @entry)");
    ramify_onnx_node(g, "@own_value = Gather(stem/value, @entry)");
    ramify_onnx_node(g, "@own_slope = Gather(@slope, @entry)");
    ramify_onnx_node(g, "@offset = Sub(%s, @own_start)", numbers);
    ramify_onnx_node(g, "@offset_column = Unsqueeze(@offset, [2])");
    ramify_onnx_node(g, "@rise = Mul(@own_slope, @offset_column)");
    ramify_onnx_node(g, "@pairs = Add(@own_value, @rise)");
    ramify_onnx_node(g, "stem/bins = Reshape(@pairs, [0,%lu])", 2 * (unsigned long)count);
}

/* Two numbers per category. */
static void put_embedding(ramify_onnx *g, uint32_t count) {
    uint32_t position = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        if (ramify_is_category(&g->stem->column[c]))
            g->list[position++] = g->stem->column[c].entry;
    ramify_onnx_set_prefix(g, "stem/categories/");
    ramify_onnx_list(g, "stem/categories/first", count);
    ramify_onnx_node(g, "@code = Cast<to=%d>(stem/codes)", RAMIFY_ONNX_INT64);
    ramify_onnx_node(g, "@entry = Add(@code, @first)");
    ramify_onnx_node(g, "@pairs = Gather(stem/value, @entry)");
    ramify_onnx_node(g, "stem/categories = Reshape(@pairs, [0,%lu])", 2 * (unsigned long)count);
}

void ramify_onnx_put_tables(ramify_onnx *g, ramify_onnx_joining *all) {
    const ramify_stem_column *column = g->stem->column;
    const ramify_stem_column *end = column + g->stem->columns;
    uint32_t binned = ramify_onnx_count(g, ramify_is_binned),
             categories = ramify_onnx_count(g, ramify_is_category);
    if (g->stem->entry_count > 0)
        ramify_onnx_stream(g, "stem/value", RAMIFY_ONNX_FLOAT,
                           (ramify_onnx_shape){2, {g->stem->entry_count, 2}}, fill_table);
    if (binned > 0) {
        put_bins(g, binned);
        ramify_onnx_join_piece(all, "stem/bins");
    }
    for (const ramify_stem_column *c = column; c < end; c++)
        for (uint32_t i = 0; ramify_is_binned(c) && i < 2; i++)
            ramify_onnx_join_number(g, all, c->feature + i);
    if (categories > 0) {
        put_embedding(g, categories);
        ramify_onnx_join_piece(all, "stem/categories");
    }
    for (const ramify_stem_column *c = column; c < end; c++)
        for (uint32_t i = 0; ramify_is_category(c) && i < 2; i++)
            ramify_onnx_join_number(g, all, c->feature + i);
}

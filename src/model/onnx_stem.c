/* The stem as nodes: raw rows to plain features, features and routing point, column for column as
 * docs/model-format.md has it. Columns of a kind are computed side by side in one tensor each; at
 * the end the pieces are joined and, where that is not their order in the model, put into it. */

#include "onnx_columns.h"

#include <stdio.h>
#include <string.h>

/* ---- numbers ---- */

static void fill_center(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        if (ramify_is_number(&g->stem->column[c]))
            ramify_onnx_write_double(g, g->stem->center[c]);
}

static void fill_scale(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        if (ramify_is_number(&g->stem->column[c]))
            ramify_onnx_write_double(g, g->stem->scale[c]);
}

/* Scaled in double precision, as the library does it: large numbers that differ little, such as
 * years, lose nothing more than they have lost as float input. */
static void put_numbers(ramify_onnx *g, uint32_t count) {
    const ramify_onnx_shape shape = {1, {count}};
    const double least = -RAMIFY_STEM_CLIP, most = RAMIFY_STEM_CLIP;
    const char *numbers =
        ramify_onnx_pick(g, "x", ramify_is_any, "stem/raw_numbers", ramify_is_number);
    ramify_onnx_stream(g, "stem/center", RAMIFY_ONNX_DOUBLE, shape, fill_center);
    ramify_onnx_stream(g, "stem/scale", RAMIFY_ONNX_DOUBLE, shape, fill_scale);
    ramify_onnx_constant(g, "stem/least", RAMIFY_ONNX_DOUBLE, (ramify_onnx_shape){0}, &least);
    ramify_onnx_constant(g, "stem/most", RAMIFY_ONNX_DOUBLE, (ramify_onnx_shape){0}, &most);
    ramify_onnx_node(g, "stem/missing = IsNaN(%s)", numbers);
    ramify_onnx_node(g, "stem/double = Cast<to=%d>(%s)", RAMIFY_ONNX_DOUBLE, numbers);
    ramify_onnx_node(g, "stem/centred = Sub(stem/double, stem/center)");
    ramify_onnx_node(g, "stem/scaled = Div(stem/centred, stem/scale)");
    ramify_onnx_node(g, "stem/clipped = Clip(stem/scaled, stem/least, stem/most)");
    ramify_onnx_node(g, "stem/float = Cast<to=%d>(stem/clipped)", RAMIFY_ONNX_FLOAT);
    ramify_onnx_node(g, "stem/numbers = Where(stem/missing, zero, stem/float)");
}

/* ---- categories ---- */

static void fill_other(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        if (ramify_is_category(&g->stem->column[c]))
            ramify_onnx_write_float(g, (float)(g->stem->column[c].codes - 1));
}

/* Codes as they are counted: whatever is none of a column's is its last, "other". */
static void put_codes(ramify_onnx *g, uint32_t count) {
    const char *raw = ramify_onnx_pick(g, "x", ramify_is_any, "stem/raw_codes", ramify_is_category);
    ramify_onnx_stream(g, "stem/other", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){1, {count}},
                       fill_other);
    ramify_onnx_set_prefix(g, "stem/codes/");
    ramify_onnx_node(g, "@whole = Floor(%s)", raw);
    ramify_onnx_node(g, "@is_whole = Equal(%s, @whole)", raw);
    ramify_onnx_node(g, "@is_low = Less(%s, stem/other)", raw);
    ramify_onnx_node(g, "@is_positive = GreaterOrEqual(%s, zero)", raw);
    ramify_onnx_node(g, "@in_range = And(@is_low, @is_positive)");
    ramify_onnx_node(g, "@known = And(@in_range, @is_whole)");
    ramify_onnx_node(g, "stem/codes = Where(@known, %s, stem/other)", raw);
}

static void fill_hot_codes(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        for (uint32_t code = 0; code < g->stem->column[c].codes; code++)
            ramify_onnx_write_float(g, (float)code);
}

static void put_hot(ramify_onnx *g) {
    uint32_t position = 0, count = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++) {
        for (uint32_t code = 0; code < g->stem->column[c].codes; code++)
            g->list[count++] = position;
        position += ramify_is_category(&g->stem->column[c]);
    }
    ramify_onnx_list(g, "stem/hot/columns", count);
    ramify_onnx_stream(g, "stem/hot/codes", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){1, {count}},
                       fill_hot_codes);
    ramify_onnx_node(g, "stem/hot/own = Gather<axis=1>(stem/codes, stem/hot/columns)");
    ramify_onnx_node(g, "stem/hot/is = Equal(stem/hot/own, stem/hot/codes)");
    ramify_onnx_node(g, "stem/hot = Cast<to=%d>(stem/hot/is)", RAMIFY_ONNX_FLOAT);
}

/* ---- plain features ---- */

static void put_plain(ramify_onnx *g) {
    const ramify_stem_column *column = g->stem->column;
    const ramify_stem_column *end = column + g->stem->columns;
    ramify_onnx_joining all = {0};
    if (ramify_onnx_count(g, ramify_is_flagged) > 0) {
        const char *missing = ramify_onnx_pick(g, "stem/missing", ramify_is_number, "stem/flagged",
                                               ramify_is_flagged);
        ramify_onnx_node(g, "stem/flags = Cast<to=%d>(%s)", RAMIFY_ONNX_FLOAT, missing);
    }
    if (ramify_onnx_count(g, ramify_is_category) > 0)
        put_hot(g);
    for (const ramify_stem_column *c = column; c < end; c++)
        if (ramify_is_number(c))
            ramify_onnx_join_number(g, &all, c->plain);
    if (ramify_onnx_count(g, ramify_is_number) > 0)
        ramify_onnx_join_piece(&all, "stem/numbers");
    for (const ramify_stem_column *c = column; c < end; c++)
        if (ramify_is_flagged(c))
            ramify_onnx_join_number(g, &all, c->plain + 1);
    if (ramify_onnx_count(g, ramify_is_flagged) > 0)
        ramify_onnx_join_piece(&all, "stem/flags");
    for (const ramify_stem_column *c = column; c < end; c++)
        for (uint32_t code = 0; code < c->codes; code++)
            ramify_onnx_join_number(g, &all, c->plain + code);
    if (ramify_onnx_count(g, ramify_is_category) > 0)
        ramify_onnx_join_piece(&all, "stem/hot");
    g->plain = ramify_onnx_join(g, &all, "stem/plain");
}

/* ---- periodic features ---- */

/* Each frequency twice, for sine and cosine. */
static void fill_frequencies(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    const ramify_stem *stem = g->stem;
    for (size_t c = 0; c < stem->columns; c++)
        for (uint32_t i = 0; ramify_is_number(&stem->column[c]) && i < 2 * stem->frequencies; i++)
            ramify_onnx_write_float(g, stem->frequency[c * stem->frequencies + i / 2]);
}

/* A cosine is a sine a quarter turn further. */
static void fill_phases(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    for (uint64_t i = 0; i < tensor->shape.dims[0]; i++)
        ramify_onnx_write_float(g, i % 2 ? 0.25F : 0.0F);
}

/* In turns, of which whole ones are taken away exactly, as the library does it. */
static void put_waves(ramify_onnx *g, uint32_t count) {
    const uint64_t waves = 2 * (uint64_t)g->stem->frequencies;
    const float two_pi = 6.28318530718F;
    ramify_onnx_set_prefix(g, "stem/waves/");
    ramify_onnx_stream(g, "@frequency", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){2, {count, waves}},
                       fill_frequencies);
    ramify_onnx_stream(g, "@phase", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){1, {waves}},
                       fill_phases);
    ramify_onnx_constant(g, "two_pi", RAMIFY_ONNX_FLOAT, (ramify_onnx_shape){0}, &two_pi);
    ramify_onnx_node(g, "@column = Unsqueeze(stem/numbers, [2])");
    ramify_onnx_node(g, "@product = Mul(@column, @frequency)");
    ramify_onnx_node(g, "@turns = Add(@product, @phase)");
    ramify_onnx_node(g, "@whole = Round(@turns)");
    ramify_onnx_node(g, "@part = Sub(@turns, @whole)");
    ramify_onnx_node(g, "@angle = Mul(@part, two_pi)");
    ramify_onnx_node(g, "@sine = Sin(@angle)");
    ramify_onnx_node(g, "stem/waves = Reshape(@sine, [0,%lu])", (unsigned long)(count * waves));
}

/* ---- all of it ---- */

/* The columns without knots, beside those with. */
static void join_bare(ramify_onnx *g, ramify_onnx_joining *all) {
    const ramify_stem_column *column = g->stem->column;
    const ramify_stem_column *end = column + g->stem->columns;
    if (ramify_onnx_count(g, ramify_is_bare) > 0)
        ramify_onnx_join_piece(all, ramify_onnx_pick(g, "stem/numbers", ramify_is_number,
                                                     "stem/bare", ramify_is_bare));
    for (const ramify_stem_column *c = column; c < end; c++)
        if (ramify_is_bare(c))
            ramify_onnx_join_number(g, all, c->feature);
    if (ramify_onnx_count(g, ramify_is_bare_flagged) > 0) {
        const char *missing = ramify_onnx_pick(g, "stem/missing", ramify_is_number,
                                               "stem/bare_flagged", ramify_is_bare_flagged);
        ramify_onnx_node(g, "stem/bare_flags = Cast<to=%d>(%s)", RAMIFY_ONNX_FLOAT, missing);
        ramify_onnx_join_piece(all, "stem/bare_flags");
    }
    for (const ramify_stem_column *c = column; c < end; c++)
        if (ramify_is_bare_flagged(c))
            ramify_onnx_join_number(g, all, c->feature + 1);
}

static void put_features(ramify_onnx *g) {
    const ramify_stem *stem = g->stem;
    ramify_onnx_joining all = {0};
    if (stem->bins) {
        ramify_onnx_put_tables(g, &all);
        join_bare(g, &all);
    } else {
        ramify_onnx_join_piece(&all, g->plain);
        for (uint32_t i = 0; i < stem->plain; i++)
            ramify_onnx_join_number(g, &all, i);
    }
    uint32_t numbers = ramify_onnx_count(g, ramify_is_number);
    if (stem->frequencies > 0 && numbers > 0) {
        put_waves(g, numbers);
        ramify_onnx_join_piece(&all, "stem/waves");
        while (all.used < stem->features)
            ramify_onnx_join_number(g, &all, all.used);
    }
    g->features = ramify_onnx_join(g, &all, "stem/features");
}

static void fill_route(ramify_onnx *g, const ramify_onnx_tensor *tensor) {
    (void)tensor;
    const ramify_stem *stem = g->stem;
    for (uint32_t i = 0; i < stem->plain; i++)
        for (uint32_t r = 0; r < stem->routes; r++)
            ramify_onnx_write_float(g, stem->route[r * ramify_pad(stem->plain) + i]);
}

void ramify_onnx_put_stem(ramify_onnx *g) {
    const ramify_stem *stem = g->stem;
    uint32_t numbers = ramify_onnx_count(g, ramify_is_number),
             categories = ramify_onnx_count(g, ramify_is_category);
    if (numbers > 0)
        put_numbers(g, numbers);
    if (categories > 0)
        put_codes(g, categories);
    if (g->routed || !stem->bins)
        put_plain(g);
    put_features(g);
    g->point = g->plain;
    if (!g->routed || !stem->route)
        return;
    ramify_onnx_stream(g, "stem/route", RAMIFY_ONNX_FLOAT,
                       (ramify_onnx_shape){2, {stem->plain, stem->routes}}, fill_route);
    ramify_onnx_node(g, "stem/point = MatMul(%s, stem/route)", g->plain);
    g->point = "stem/point";
}

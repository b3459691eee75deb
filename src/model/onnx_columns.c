/* See onnx_columns.h. */

#include "onnx_columns.h"

#include <stdio.h>
#include <string.h>

uint32_t ramify_onnx_count(const ramify_onnx *g, ramify_column_test wanted) {
    uint32_t count = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++)
        count += wanted(&g->stem->column[c]);
    return count;
}

const char *ramify_onnx_pick(ramify_onnx *g, const char *source, ramify_column_test among,
                             const char *name, ramify_column_test wanted) {
    uint32_t position = 0, count = 0;
    for (uint32_t c = 0; c < g->stem->columns; c++) {
        const ramify_stem_column *column = &g->stem->column[c];
        if (among(column) && wanted(column))
            g->list[count++] = position;
        position += among(column);
    }
    if (count == position)
        return source;
    char places[RAMIFY_ONNX_NAME];
    snprintf(places, sizeof places, "%s/columns", name);
    ramify_onnx_list(g, places, count);
    ramify_onnx_node(g, "%s = Gather<axis=1>(%s, %s)", name, source, places);
    return name;
}

void ramify_onnx_join_piece(ramify_onnx_joining *all, const char *name) {
    all->pieces[all->count++] = name;
}

void ramify_onnx_join_number(ramify_onnx *g, ramify_onnx_joining *all, uint32_t place) {
    g->order[place] = all->used++;
}

/* The pieces side by side, as `name`, or the only one as it is. */
static const char *put_together(ramify_onnx *g, const ramify_onnx_joining *all, const char *name) {
    if (all->count == 1)
        return all->pieces[0];
    char names[RAMIFY_ONNX_PIECES * RAMIFY_ONNX_NAME];
    size_t used = 0;
    for (uint32_t i = 0; i < all->count; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "",
                                 all->pieces[i]);
    ramify_onnx_node(g, "%s = Concat<axis=1>(%s)", name, names);
    return name;
}

const char *ramify_onnx_join(ramify_onnx *g, const ramify_onnx_joining *all, const char *name) {
    bool ordered = true;
    for (uint32_t i = 0; i < all->used; i++)
        ordered = ordered && g->order[i] == (int64_t)i;
    if (ordered)
        return put_together(g, all, name);
    char text[RAMIFY_ONNX_NAME];
    snprintf(text, sizeof text, "%s/pieces", name);
    const char *pieces = put_together(g, all, text);
    ramify_onnx_set_prefix(g, "%s/", name);
    ramify_onnx_node(g, "%s = Gather<axis=1>(%s, @order)", name, pieces);
    snprintf(text, sizeof text, "%s/order", name);
    ramify_onnx_constant(g, text, RAMIFY_ONNX_INT64, (ramify_onnx_shape){1, {all->used}}, g->order);
    return name;
}

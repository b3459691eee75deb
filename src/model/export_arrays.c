/* Writing the source: text, numbers, and the list of arrays. */

#include "export.h"
#include "memory.h"
#include "number.h"
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SNIPPET_MAX 2048 /* bytes of one piece of formatted text */

void ramify_export_flush(ramify_exporter *e) {
    if (e->status == RAMIFY_OK)
        e->status = ramify_replacement_write(e->context, &e->file, e->buffer, e->used);
    e->used = 0;
}

static void put_character(ramify_exporter *e, char c) {
    if (e->used == RAMIFY_EXPORT_BUFFER)
        ramify_export_flush(e);
    e->buffer[e->used++] = c;
}

static void put_text(ramify_exporter *e, const char *text) {
    for (; *text; text++)
        put_character(e, *text);
}

void ramify_export_put(ramify_exporter *e, const char *format, ...) {
    char snippet[SNIPPET_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(snippet, sizeof snippet, format, arguments);
    va_end(arguments);
    for (const char *c = snippet; *c; c++)
        if (*c == '@')
            put_text(e, e->name);
        else
            put_character(e, *c);
}

void ramify_export_quote(ramify_exporter *e, const char *text) {
    char before = '"';
    put_character(e, '"');
    for (; *text; before = *text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c > '~' || c == '"' || c == '*' || c == '\\' ||
            (c == '?' && before == '?')) {
            char escaped[8];
            snprintf(escaped, sizeof escaped, "\\x%02X", (unsigned)c);
            put_text(e, escaped);
        } else {
            put_character(e, (char)c);
        }
    }
    put_character(e, '"');
}

static void put_number(ramify_exporter *e, const char *text, const char *ending) {
    put_text(e, e->on_line == 0 ? "\n    " : " ");
    put_text(e, text);
    put_text(e, ending);
    put_character(e, ',');
    if (++e->on_line == e->line)
        e->on_line = 0;
}

/* A whole number is no floating constant without a point. */
static const char *point_of(const char *text) {
    return strpbrk(text, ".e") ? "" : ".0";
}

/* Nine digits give the float back exactly. */
static void put_float(ramify_exporter *e, float value) {
    char text[32], ending[4];
    snprintf(text, sizeof text, "%.9g", (double)value);
    /* The program's locale may have another decimal point, of several bytes even. */
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (strchr("0123456789+-e", *from))
            *to++ = *from;
        else if (to == text || to[-1] != '.')
            *to++ = '.';
    }
    *to = '\0';
    snprintf(ending, sizeof ending, "%sf", point_of(text));
    put_number(e, text, ending);
}

static void put_double(ramify_exporter *e, double value) {
    char text[RAMIFY_NUMBER_BYTES];
    ramify_number_format(value, text);
    put_number(e, text, point_of(text));
}

static void put_count(ramify_exporter *e, uint32_t value) {
    char text[16];
    snprintf(text, sizeof text, "%lu", (unsigned long)value);
    put_number(e, text, "");
}

static void put_floats(ramify_exporter *e, const float *values, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        put_float(e, values[i]);
}

/* The arrays. */

static void fill_codes(ramify_exporter *e) {
    for (uint32_t c = 0; c < e->stem->columns; c++)
        put_count(e, e->stem->column[c].codes);
}

static void fill_missing(ramify_exporter *e) {
    for (uint32_t c = 0; c < e->stem->columns; c++)
        put_count(e, e->stem->column[c].missing);
}

static void fill_bins(ramify_exporter *e) {
    for (uint32_t c = 0; c < e->stem->columns; c++)
        put_count(e, e->stem->column[c].knots);
}

static void fill_center(ramify_exporter *e) {
    for (uint32_t c = 0; c < e->stem->columns; c++)
        if (e->stem->column[c].codes == 0)
            put_double(e, e->stem->center[c]);
}

static void fill_scale(ramify_exporter *e) {
    for (uint32_t c = 0; c < e->stem->columns; c++)
        if (e->stem->column[c].codes == 0)
            put_double(e, e->stem->scale[c]);
}

static void fill_knots(ramify_exporter *e) {
    put_floats(e, e->stem->knots, e->stem->knot_count);
}

static void fill_table(ramify_exporter *e) {
    put_floats(e, e->stem->table, 4 * (uint64_t)e->stem->entry_count);
}

static void fill_frequency(ramify_exporter *e) {
    const ramify_stem *stem = e->stem;
    for (uint32_t c = 0; c < stem->columns; c++)
        if (stem->column[c].codes == 0)
            put_floats(e, stem->frequency + (size_t)c * stem->frequencies, stem->frequencies);
}

static void fill_directions(ramify_exporter *e) {
    for (uint32_t r = 0; r < e->stem->routes; r++)
        put_floats(e, e->stem->route + r * ramify_pad(e->stem->plain), e->stem->plain);
}

static void fill_first(ramify_exporter *e) {
    for (uint32_t i = 0; i <= e->tree.nodes; i++)
        put_count(e, e->tree.first[i]);
}

static void fill_child(ramify_exporter *e) {
    for (uint32_t i = 0; i < e->tree.children; i++)
        put_count(e, e->tree.child[i]);
}

static ramify_status put_node(ramify_exporter *e, uint32_t index) {
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_export_tree_node(e->context, e->model, &e->traffic, &e->tree, index, &record,
                                       &slot));
    uint32_t children = e->tree.first[index + 1] - e->tree.first[index];
    const float *prototypes = ramify_node_prototypes(record, children);
    for (uint32_t i = 0; i < children; i++)
        put_floats(e, prototypes + i * ramify_pad(e->stem->routes), e->stem->routes);
    ramify_store_release(e->model, &e->model->nodes, slot);
    return RAMIFY_OK;
}

static void fill_prototypes(ramify_exporter *e) {
    for (uint32_t i = 0; i < e->tree.nodes && e->status == RAMIFY_OK; i++) {
        ramify_status status = put_node(e, i);
        e->status = e->status == RAMIFY_OK ? status : e->status;
    }
}

static void fill_widths(ramify_exporter *e) {
    for (uint32_t l = 0; l <= e->mlp->layers; l++)
        put_count(e, e->mlp->width[l]);
}

/* Output by output, so that the source's innermost loop reads weights one after the other. */
static void put_layer(ramify_exporter *e, const ramify_mlp_layer *at, const float *record) {
    size_t along = at->narrow ? 1 : at->weight_stride;
    size_t across = at->narrow ? at->weight_stride : 1;
    for (size_t j = 0; j < at->n; j++)
        for (size_t i = 0; i < at->k; i++)
            put_float(e, record[at->weight + j * across + i * along]);
    for (size_t m = 0; m < e->mlp->members; m++) {
        if (e->mlp->members > 1) {
            put_floats(e, record + at->r + m * ramify_pad(at->k), at->k);
            put_floats(e, record + at->s + m * ramify_pad(at->n), at->n);
        }
        put_floats(e, record + at->bias + m * ramify_pad(at->n), at->n);
    }
    if (!at->last)
        put_floats(e, record + at->slope, at->n);
}

static ramify_status put_module(ramify_exporter *e, const ramify_reference *reference) {
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(e->context, e->model, &e->model->experts, reference, false,
                                    &e->traffic, &record, &slot));
    for (uint32_t l = 0; l < e->mlp->layers; l++)
        put_layer(e, &e->layer[l], record);
    ramify_store_release(e->model, &e->model->experts, slot);
    return RAMIFY_OK;
}

static void fill_experts(ramify_exporter *e) {
    for (uint32_t i = 0; i < e->tree.modules && e->status == RAMIFY_OK; i++) {
        ramify_status status =
            ramify_cancelled(e->context) ? RAMIFY_STOPPED : put_module(e, &e->tree.module[i]);
        e->status = e->status == RAMIFY_OK ? status : e->status;
        ramify_progress_report(e->context, "exporting", i + 1.0, e->tree.modules);
    }
}

static void fill_head_center(ramify_exporter *e) {
    for (uint32_t i = 0; i < e->model->targets; i++)
        put_double(e, e->model->head_center[i]);
}

static void fill_head_scale(ramify_exporter *e) {
    for (uint32_t i = 0; i < e->model->targets; i++)
        put_double(e, e->model->head_scale[i]);
}

static void add_array(ramify_exporter *e, const char *name, ramify_export_array kind,
                      uint64_t count, void (*fill)(ramify_exporter *e)) {
    kind.name = name;
    kind.count = count;
    kind.fill = fill;
    if (count > 0)
        e->arrays[e->array_count++] = kind;
}

/* The smallest type that holds numbers up to `most`. */
static ramify_export_array counts_to(uint64_t most) {
    if (most <= 255)
        return (ramify_export_array){.type = "unsigned char", .bytes = 1, .line = 20};
    if (most <= 65535)
        return (ramify_export_array){.type = "unsigned short", .bytes = 2, .line = 12};
    return (ramify_export_array){.type = "unsigned long", .bytes = 4, .line = 10};
}

void ramify_export_list(ramify_exporter *e) {
    const ramify_export_array floats = {.type = "float", .bytes = 4, .line = 6};
    const ramify_export_array doubles = {.type = "double", .bytes = 8, .line = 4};
    const ramify_stem *stem = e->stem;
    uint32_t numbers = 0, codes = 0, widest = 0;
    for (uint32_t c = 0; c < stem->columns; c++) {
        numbers += stem->column[c].codes == 0;
        codes = stem->column[c].codes > codes ? stem->column[c].codes : codes;
        e->missing = e->missing || stem->column[c].missing;
    }
    for (uint32_t l = 0; l <= e->mlp->layers; l++)
        widest = e->mlp->width[l] > widest ? e->mlp->width[l] : widest;
    e->categories = codes > 0;
    e->numbers = numbers > 0;
    e->tables = stem->bins && stem->entry_count > 0;
    e->waves = numbers > 0 && stem->frequencies > 0;
    e->wave = stem->features - 2 * numbers * stem->frequencies;
    e->directions = e->tree.nodes > 0 && stem->route != NULL;

    add_array(e, "codes", counts_to(codes), e->categories ? stem->columns : 0, fill_codes);
    add_array(e, "missing", counts_to(1), e->missing ? stem->columns : 0, fill_missing);
    add_array(e, "center", doubles, numbers, fill_center);
    add_array(e, "scale", doubles, numbers, fill_scale);
    add_array(e, "bins", counts_to(RAMIFY_STEM_KNOTS_MAX), stem->knot_count > 0 ? stem->columns : 0,
              fill_bins);
    add_array(e, "knots", floats, stem->knot_count, fill_knots);
    add_array(e, "table", floats, 4 * (uint64_t)stem->entry_count, fill_table);
    add_array(e, "frequency", floats, (uint64_t)numbers * stem->frequencies, fill_frequency);
    add_array(e, "directions", floats, e->directions ? (uint64_t)stem->routes * stem->plain : 0,
              fill_directions);
    add_array(e, "first", counts_to(e->tree.children), e->tree.nodes > 0 ? e->tree.nodes + 1 : 0,
              fill_first);
    add_array(e, "child", counts_to((uint64_t)e->tree.nodes + e->tree.modules), e->tree.children,
              fill_child);
    add_array(e, "prototypes", floats, (uint64_t)e->tree.children * stem->routes, fill_prototypes);
    add_array(e, "widths", counts_to(widest), e->mlp->layers + 1, fill_widths);
    add_array(e, "experts", floats, e->tree.modules * e->packed, fill_experts);
    add_array(e, "head_center", doubles, e->model->targets, fill_head_center);
    add_array(e, "head_scale", doubles, e->model->targets, fill_head_scale);
}

void ramify_export_arrays(ramify_exporter *e) {
    for (uint32_t i = 0; i < e->array_count; i++) {
        const ramify_export_array *at = &e->arrays[i];
        ramify_export_put(e, "static const %s @_%s[%llu] = {", at->type, at->name,
                          (unsigned long long)at->count);
        e->on_line = 0;
        e->line = at->line;
        at->fill(e);
        ramify_export_put(e, "\n};\n\n");
    }
}

#include "random_model.h"
#include "memory.h"
#include "series_twin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

random_model_options random_model_defaults(void) {
    return (random_model_options){.numeric = 2,
                                  .categorical = 1,
                                  .outputs = 1,
                                  .arity = 3,
                                  .levels = 2,
                                  .hidden = {5},
                                  .members = 1,
                                  .seed = 1};
}

random_model_options random_model_any(uint64_t seed) {
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_SPLIT, 77, 0);
    random_model_options options = {
        .numeric = 1 + (uint32_t)ramify_random_below(&random, 20),
        .categorical = (uint32_t)ramify_random_below(&random, 4),
        .missing = ramify_random_below(&random, 2),
        .bins = ramify_random_below(&random, 2),
        .route = ramify_random_below(&random, 2),
        .frequencies = (uint32_t)ramify_random_below(&random, 4),
        .task =
            ramify_random_below(&random, 2) ? RAMIFY_TASK_REGRESSION : RAMIFY_TASK_CLASSIFICATION,
        .outputs = 2 + (uint32_t)ramify_random_below(&random, 10),
        .arity = 2 + (uint32_t)ramify_random_below(&random, 5),
        .levels = (uint32_t)ramify_random_below(&random, 4),
        .members = 1 + (uint32_t)ramify_random_below(&random, 3),
        .modules = (uint32_t)ramify_random_below(&random, 6),
        .seed = seed,
    };
    for (uint32_t i = 0, layers = (uint32_t)ramify_random_below(&random, 4); i < layers; i++)
        options.hidden[i] = 1 + (uint32_t)ramify_random_below(&random, 40);
    if (options.task == RAMIFY_TASK_REGRESSION && ramify_random_below(&random, 2))
        options.outputs = 1;
    options.notes = ramify_random_below(&random, 4) > 0;
    if (options.task == RAMIFY_TASK_REGRESSION)
        options.series = (uint32_t)ramify_random_below(&random, 4);
    return options;
}

static void *get(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

static char *text(const char *format, uint32_t number) {
    char *made = get(32, 1);
    snprintf(made, 32, format, number);
    return made;
}

static float normal(random_model *m) {
    return (float)ramify_random_normal(&m->random);
}

static float *normals(random_model *m, size_t count, float scale) {
    float *values = get(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = scale * normal(m);
    return values;
}

static void make_schema(random_model *m, const random_model_options *options) {
    ramify_schema *schema = &m->schema;
    schema->task = options->task;
    schema->named = true;
    schema->column_count = options->numeric + options->categorical;
    schema->columns = get(schema->column_count, sizeof *schema->columns);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        ramify_schema_column *column = &schema->columns[c];
        column->name = text("column %u", c);
        /* Categorical columns in the middle. */
        column->categorical =
            c >= options->numeric / 2 && c < options->numeric / 2 + options->categorical;
        column->low = -3.0;
        column->high = 3.5;
        column->missing = options->missing && !column->categorical && c % 2 == 0;
        if (!column->categorical)
            continue;
        column->category_count = 1 + (uint32_t)ramify_random_below(&m->random, 4);
        column->categories = get(column->category_count, sizeof *column->categories);
        for (uint32_t i = 0; i < column->category_count; i++)
            column->categories[i] = text("kind %u", i);
    }
    bool classes = options->task == RAMIFY_TASK_CLASSIFICATION;
    schema->target_count = classes ? 1 : options->outputs;
    schema->targets = get(schema->target_count, sizeof *schema->targets);
    for (uint32_t i = 0; i < schema->target_count; i++)
        schema->targets[i] = text("target %u", i);
    schema->class_count = classes ? options->outputs : 0;
    schema->classes = get(schema->class_count, sizeof *schema->classes);
    for (uint32_t i = 0; i < schema->class_count; i++)
        schema->classes[i] = text("class %u", i);
}

static void make_columns(random_model *m, const random_model_options *options) {
    ramify_stem *stem = &m->stem;
    stem->columns = m->schema.column_count;
    stem->bins = options->bins;
    stem->frequencies = options->frequencies;
    m->columns = get(stem->columns, sizeof *m->columns);
    for (uint32_t c = 0; c < stem->columns; c++) {
        ramify_stem_column *column = &m->columns[c];
        const ramify_schema_column *about = &m->schema.columns[c];
        column->codes = about->categorical ? about->category_count + 1 : 0;
        column->missing = about->missing;
        column->plain = stem->plain;
        column->feature = stem->features;
        uint32_t plain = column->codes > 0 ? column->codes : 1 + column->missing;
        stem->plain += plain;
        if (options->bins && column->codes == 0 && c % 3 != 2) {
            column->knots = 1 + (uint32_t)ramify_random_below(&m->random, 40);
            column->knot = stem->knot_count;
            stem->knot_count += column->knots;
        }
        if (options->bins && (column->codes > 0 || column->knots > 0)) {
            column->entry = stem->entry_count;
            stem->entry_count +=
                column->codes > 0 ? column->codes : column->knots + 1 + column->missing;
            stem->features += 2;
        } else {
            stem->features += plain;
        }
    }
    for (uint32_t c = 0; c < stem->columns && options->frequencies > 0; c++)
        if (m->columns[c].codes == 0) {
            m->columns[c].periodic = stem->features;
            stem->features += 2 * options->frequencies;
        }
}

static void make_stem(random_model *m, const random_model_options *options) {
    make_columns(m, options);
    ramify_stem *stem = &m->stem;
    m->center = get(stem->columns, sizeof *m->center);
    m->scale = get(stem->columns, sizeof *m->scale);
    m->knots = get(stem->knot_count, sizeof *m->knots);
    m->frequency = get((size_t)stem->columns * stem->frequencies, sizeof *m->frequency);
    for (uint32_t c = 0; c < stem->columns; c++) {
        m->scale[c] = 1.0;
        if (m->columns[c].codes > 0)
            continue;
        m->center[c] = ramify_random_normal(&m->random);
        m->scale[c] = 0.5 + ramify_random_uniform(&m->random);
        for (uint32_t k = 0; k < m->columns[c].knots; k++)
            m->knots[m->columns[c].knot + k] =
                -2.0F + 0.15F * (float)k + 0.1F * (float)ramify_random_uniform(&m->random);
        for (uint32_t f = 0; f < stem->frequencies; f++)
            m->frequency[c * stem->frequencies + f] = 0.2F * normal(m);
    }
    m->table = normals(m, 4 * (size_t)stem->entry_count, 0.7F);
    stem->routes = stem->plain;
    if (options->route) {
        stem->routes = 1 + stem->plain / 2;
        size_t stride = ramify_pad(stem->plain);
        m->route = get(stem->routes * stride, sizeof *m->route);
        for (uint32_t r = 0; r < stem->routes; r++)
            for (uint32_t i = 0; i < stem->plain; i++)
                m->route[r * stride + i] = 0.5F * normal(m);
    }
    stem->column = m->columns;
    stem->center = m->center;
    stem->scale = m->scale;
    stem->knots = m->knots;
    stem->table = m->table;
    stem->frequency = m->frequency;
    stem->route = m->route;
}

/* Level by level; below the root one node in four is a leaf early. */
static void make_tree(random_model *m, const random_model_options *options) {
    size_t most = 1;
    for (uint32_t level = 0, width = 1; level < options->levels; level++)
        most += width *= options->arity;
    m->nodes = get(most, sizeof *m->nodes);
    uint32_t *level = get(most, sizeof *level);
    uint32_t count = 1;
    for (uint32_t i = 0; i < count; i++) {
        ramify_draft_node *node = &m->nodes[i];
        bool leaf =
            level[i] == options->levels || (i > 0 && ramify_random_below(&m->random, 4) == 0);
        if (leaf) {
            m->leaves++;
            continue;
        }
        node->children = 2 + (uint32_t)ramify_random_below(&m->random, options->arity - 1);
        node->first_child = count;
        for (uint32_t c = 0; c < node->children; c++)
            level[count++] = level[i] + 1;
    }
    free(level);
    m->prototypes = normals(m, (size_t)count * m->stem.routes, 1.0F);
    m->module_count = options->modules > 0 ? options->modules : m->leaves;
    for (uint32_t i = 0, leaf = 0; i < count; i++) {
        m->nodes[i].prototype = i > 0 ? m->prototypes + (size_t)i * m->stem.routes : NULL;
        if (m->nodes[i].children == 0) {
            m->nodes[i].module = options->modules > 0
                                     ? (uint32_t)ramify_random_below(&m->random, options->modules)
                                     : leaf;
            leaf++;
        }
    }
    m->draft.node_count = count;
    m->draft.nodes = m->nodes;
}

/* Adds noise to `rows` rows of `width` numbers of a record. */
static void stir(random_model *m, float *values, size_t rows, size_t width) {
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < width; i++)
            values[row * ramify_pad(width) + i] += 0.3F * normal(m);
}

/* What training starts from is the same for all units and members in places; models are not. */
static void stir_module(random_model *m, const ramify_mlp_shape *mlp, float *record) {
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(mlp, layer);
    for (uint32_t l = 0; l < mlp->layers; l++) {
        stir(m, record + layer[l].bias, mlp->members, layer[l].n);
        if (mlp->members > 1) {
            stir(m, record + layer[l].r, mlp->members, layer[l].k);
            stir(m, record + layer[l].s, mlp->members, layer[l].n);
        }
        if (!layer[l].last)
            stir(m, record + layer[l].slope, 1, layer[l].n);
    }
}

static void make_modules(random_model *m, const random_model_options *options) {
    ramify_module_shape *shape = &m->draft.shape;
    shape->type = ramify_module_type_find("mlp");
    ramify_mlp_shape *mlp = &shape->mlp;
    mlp->members = options->members;
    mlp->width[0] = m->stem.features;
    uint32_t layers = 0;
    while (layers < 3 && options->hidden[layers] > 0) {
        mlp->width[layers + 1] = options->hidden[layers];
        layers++;
    }
    mlp->layers = layers + 1;
    mlp->width[mlp->layers] = options->outputs;
    m->modules = get(m->module_count, sizeof *m->modules);
    for (uint32_t i = 0; i < m->module_count; i++) {
        m->modules[i] = aligned_alloc(64, shape->type->record_bytes(shape));
        ramify_mlp_initialise(mlp, 0.25F, options->seed, i, m->modules[i]);
        stir_module(m, mlp, m->modules[i]);
    }
    m->draft.modules = (const void *const *)m->modules;
    m->draft.module_count = m->module_count;
}

/* Packs all modules, of which those that are to be sparse lose four weights in five, or 19 in 20; what they are
 * unpacked is what the model computes. */
static void pack_modules(random_model *m, const random_model_options *options) {
    const bool sparse = options->packed > 3;
    const uint64_t one_in = options->packed == RANDOM_MODEL_PACKINGS ? 20 : 5;
    const ramify_rounding rounding = {.type = (ramify_weights)((options->packed - 1) % 3)};
    const ramify_mlp_shape mlp = m->draft.shape.mlp;
    ramify_packed_shape *shape = &m->draft.shape.packed;
    ramify_mlp_layer layer[RAMIFY_MLP_LAYERS_MAX];
    ramify_random random = ramify_random_stream(options->seed, RAMIFY_PURPOSE_SPLIT, 81, 0);
    ramify_mlp_layout(&mlp, layer);
    m->draft.shape.type = ramify_module_type_find("packed");
    m->packed = get(m->module_count, sizeof *m->packed);
    m->packed_bytes = get(m->module_count, sizeof *m->packed_bytes);
    m->packed_numbers = get(m->module_count, sizeof *m->packed_numbers);
    for (uint32_t i = 0; i < m->module_count; i++) {
        for (uint32_t l = 0; l < mlp.layers && sparse; l++)
            for (size_t w = 0; w < layer[l].weight_floats; w++)
                if (ramify_random_below(&random, one_in) > 0)
                    m->modules[i][layer[l].weight + w] = 0.0F;
        uint32_t spread;
        if (ramify_packed_make(m->context, &mlp, m->modules[i],
                               sparse ? RAMIFY_STORAGE_SMALLEST : RAMIFY_STORAGE_DENSE, &rounding,
                               &m->packed[i], &m->packed_bytes[i], &m->packed_numbers[i],
                               &spread) != RAMIFY_OK)
            abort();
        shape->most_spread = spread > shape->most_spread ? spread : shape->most_spread;
        ramify_packed_unpack(shape, m->packed[i], m->modules[i]);
    }
    /* Of those that a leaf leads to, as no others are in the file. */
    for (uint32_t node = 0; node < m->draft.node_count; node++) {
        const uint32_t i = m->nodes[node].module;
        if (m->nodes[node].children > 0)
            continue;
        if (m->packed_bytes[i] > shape->most_bytes)
            shape->most_bytes = m->packed_bytes[i];
        if (m->packed_numbers[i] > shape->most_numbers)
            shape->most_numbers = m->packed_numbers[i];
    }
    m->draft.modules = (const void *const *)m->packed;
    m->draft.module_bytes = m->packed_bytes;
    m->draft.module_numbers = m->packed_numbers;
}

/* Some leaves get series of up to three of the numeric columns. */
static void make_series(random_model *m, const random_model_options *options) {
    ramify_random random = ramify_random_stream(options->seed, RAMIFY_PURPOSE_SPLIT, 79, 0);
    ramify_draft *draft = &m->draft;
    draft->series_shape =
        (ramify_series_shape){.columns = m->stem.columns, .outputs = options->outputs};
    m->series = get(draft->node_count, sizeof *m->series);
    for (uint32_t i = 0; i < draft->node_count && options->series > 0; i++) {
        if (m->nodes[i].children > 0 || ramify_random_below(&random, options->series) > 0)
            continue;
        ramify_series_axis axis[3];
        uint32_t axes = 0;
        for (uint32_t c = 0; c < m->stem.columns && axes < 3; c++)
            if (m->columns[c].codes == 0 && ramify_random_below(&random, 2))
                axis[axes++] =
                    (ramify_series_axis){.origin = -1 - ramify_random_uniform(&random),
                                         .length = 1 + 2 * ramify_random_uniform(&random),
                                         .column = c,
                                         .basis = (uint32_t)ramify_random_below(&random, 3)};
        ramify_index_set set = (ramify_index_set)ramify_random_below(&random, 3);
        uint32_t band = (uint32_t)ramify_random_below(&random, 5);
        uint32_t bytes = ramify_random_below(&random, 2) ? 8 : 4;
        m->series[draft->series_count] =
            series_random(&random, set, band, axis, axes, options->outputs, bytes);
        series_widen(&draft->series_shape, m->series[draft->series_count]);
        m->nodes[i].module = m->module_count + draft->series_count++;
    }
    draft->series = (const ramify_series_header *const *)m->series;
    /* A model of series alone has no networks. */
    if (options->series == 1) {
        for (uint32_t i = 0; i < draft->node_count; i++)
            if (m->nodes[i].children == 0)
                m->nodes[i].module -= m->module_count;
        draft->module_count = 0;
    }
}

/* Depth-first, by the slow way: a leaf comes after all leaves below its ancestors' earlier children. */
static void number_leaves(random_model *m, uint32_t node, uint32_t *next) {
    if (m->nodes[node].children == 0)
        m->leaf[node] = (*next)++;
    for (uint32_t c = 0; c < m->nodes[node].children; c++)
        number_leaves(m, m->nodes[node].first_child + c, next);
}

/* Entries of ascending share, from .02 or 0 to near 1, and of value, in a range of about `width`. */
static ramify_note *make_table(ramify_random *random, uint32_t count, double first, double value,
                               double width) {
    ramify_note *table = get(count, sizeof *table);
    for (uint32_t i = 0; i < count; i++) {
        double place = (double)i / (double)count;
        value += 2 * width * ramify_random_uniform(random) / (double)count;
        table[i] = (ramify_note){.share = first + place * (1 - 2 * first) +
                                          0.5 * ramify_random_uniform(random) / (double)count,
                                 .value = value};
    }
    table[0].share = first;
    if (first > 0)
        table[count - 1].share = 1 - first;
    return table;
}

static void make_notes(random_model *m, const random_model_options *options) {
    ramify_random random = ramify_random_stream(options->seed, RAMIFY_PURPOSE_SPLIT, 78, 0);
    uint32_t targets = options->task == RAMIFY_TASK_REGRESSION ? options->outputs : 0, next = 0;
    m->leaf = get(m->draft.node_count, sizeof *m->leaf);
    number_leaves(m, 0, &next);
    if (!options->notes)
        return;
    uint32_t residuals = targets ? 2 + (uint32_t)ramify_random_below(&random, 30) : 0;
    uint32_t distances = 1 + (uint32_t)ramify_random_below(&random, 30);
    m->residuals = get((size_t)targets * residuals, sizeof *m->residuals);
    for (uint32_t t = 0; t < targets; t++) {
        ramify_note *table = make_table(&random, residuals, 0.02, -3, 3);
        memcpy(m->residuals + (size_t)t * residuals, table, residuals * sizeof *table);
        free(table);
    }
    m->distances = make_table(&random, distances, 0, 0, 20);
    m->reach = get(m->leaves, sizeof *m->reach);
    m->spread = get((size_t)m->leaves * targets, sizeof *m->spread);
    for (uint32_t i = 0; i < m->leaves; i++)
        m->reach[i] = 0.3F + (float)ramify_random_uniform(&random);
    for (size_t i = 0; i < (size_t)m->leaves * targets; i++)
        m->spread[i] = 0.1F + (float)ramify_random_uniform(&random);
    if (options->levels == 0) {
        m->note_center = get(ramify_pad(m->stem.plain), sizeof *m->note_center);
        for (uint32_t i = 0; i < m->stem.plain; i++)
            m->note_center[i] = (float)ramify_random_uniform(&random);
    }
    m->notes = (ramify_draft_notes){
        .shape = {.residuals = residuals, .distances = distances, .rows = 1000},
        .residuals = m->residuals,
        .distances = m->distances,
        .center = m->note_center,
        .reach = m->reach,
        .spread = m->spread,
    };
    m->draft.notes = &m->notes;
}

random_model *random_model_create(ramify_context *context, const random_model_options *options) {
    random_model *m = get(1, sizeof *m);
    m->context = context;
    m->random = ramify_random_stream(options->seed, RAMIFY_PURPOSE_SPLIT, 0, 0);
    make_schema(m, options);
    make_stem(m, options);
    make_tree(m, options);
    make_modules(m, options);
    if (options->packed > 0)
        pack_modules(m, options);
    make_series(m, options);
    m->head_center = get(options->outputs, sizeof *m->head_center);
    m->head_scale = get(options->outputs, sizeof *m->head_scale);
    for (uint32_t i = 0; i < options->outputs; i++) {
        m->head_center[i] = 10.0 * ramify_random_normal(&m->random);
        m->head_scale[i] = 1.0 + ramify_random_uniform(&m->random);
    }
    make_notes(m, options);
    m->draft.kind = options->levels > 0 ? "pathways" : "mlp";
    m->draft.schema = &m->schema;
    m->draft.stem = &m->stem;
    m->draft.head_center = m->head_center;
    m->draft.head_scale = m->head_scale;
    m->draft.config = json_pack("{s:I}", "seed", (json_int_t)options->seed);
    return m;
}

void random_model_destroy(random_model *m) {
    for (uint32_t c = 0; c < m->schema.column_count; c++) {
        for (uint32_t i = 0; i < m->schema.columns[c].category_count; i++)
            free(m->schema.columns[c].categories[i]);
        free(m->schema.columns[c].categories);
        free(m->schema.columns[c].name);
    }
    for (uint32_t i = 0; i < m->schema.target_count; i++)
        free(m->schema.targets[i]);
    for (uint32_t i = 0; i < m->schema.class_count; i++)
        free(m->schema.classes[i]);
    for (uint32_t i = 0; i < m->module_count; i++) {
        free(m->modules[i]);
        ramify_release(m->context, m->packed ? m->packed[i] : NULL);
    }
    for (uint32_t i = 0; i < m->draft.series_count; i++)
        free(m->series[i]);
    void *parts[] = {m->schema.columns, m->schema.targets, m->schema.classes, m->columns,
                     m->center,         m->scale,          m->head_center,    m->head_scale,
                     m->knots,          m->table,          m->frequency,      m->route,
                     m->prototypes,     m->modules,        m->nodes,          m->leaf,
                     m->residuals,      m->distances,      m->note_center,    m->reach,
                     m->spread,         m->series,         m->packed,         m->packed_bytes,
                     m->packed_numbers};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        free(parts[i]);
    json_decref(m->draft.config);
    free(m);
}

void *random_model_bytes(random_model *m, size_t *size) {
    void *bytes = NULL;
    if (ramify_draft_write(m->context, &m->draft, &bytes, size) != RAMIFY_OK) {
        fprintf(stderr, "%s\n", ramify_message(m->context));
        abort();
    }
    return bytes;
}

ramify_model *random_model_open(random_model *m) {
    size_t size;
    void *bytes = random_model_bytes(m, &size);
    ramify_model *model = NULL;
    if (ramify_open_owned(m->context, bytes, size, &model) != RAMIFY_OK) {
        fprintf(stderr, "%s\n", ramify_message(m->context));
        abort();
    }
    return model;
}

void random_model_row(random_model *m, double *x) {
    for (uint32_t c = 0; c < m->stem.columns; c++) {
        uint64_t dice = ramify_random_below(&m->random, 20);
        uint32_t codes = m->columns[c].codes;
        if (codes > 0)
            x[c] = dice == 0   ? (double)NAN
                   : dice == 1 ? 1e9
                               : (double)ramify_random_below(&m->random, codes + 1);
        else
            x[c] = dice == 0   ? (double)NAN
                   : dice == 1 ? (double)INFINITY
                               : 2.0 * ramify_random_normal(&m->random);
    }
}

/* plain[plain] of a row. */
static void plain_of(const random_model *m, const double *x, float *plain) {
    memset(plain, 0, m->stem.plain * sizeof *plain);
    for (uint32_t c = 0; c < m->stem.columns; c++) {
        const ramify_stem_column *column = &m->columns[c];
        if (column->codes > 0) {
            uint32_t code = column->codes - 1;
            for (uint32_t i = 0; i < column->codes; i++)
                if (x[c] == (double)i)
                    code = i;
            plain[column->plain + code] = 1.0F;
        } else if (isnan(x[c])) {
            plain[column->plain + 1] = column->missing ? 1.0F : plain[column->plain + 1];
        } else {
            double z = (x[c] - m->center[c]) / m->scale[c];
            plain[column->plain] = (float)fmax(-10.0, fmin(10.0, z));
        }
    }
}

static void features_of(const random_model *m, const float *plain, double *features) {
    for (uint32_t c = 0; c < m->stem.columns; c++) {
        const ramify_stem_column *column = &m->columns[c];
        const float *from = plain + column->plain;
        double *to = features + column->feature;
        uint32_t entry = UINT32_MAX;
        double z = column->codes > 0 ? 0.0 : (double)from[0];
        if (m->stem.bins && column->codes > 0) {
            for (uint32_t i = 0; i < column->codes; i++)
                if (from[i] == 1.0F)
                    entry = column->entry + i;
        } else if (m->stem.bins && column->knots > 0) {
            const float *knots = m->knots + column->knot;
            uint32_t below = 0;
            for (uint32_t k = 0; k < column->knots; k++)
                below += knots[k] <= from[0];
            entry = column->entry + below;
            z -= (double)knots[below > 0 ? below - 1 : 0];
            if (column->missing && from[1] == 1.0F) {
                entry = column->entry + column->knots + 1;
                z = 0.0;
            }
        }
        if (entry != UINT32_MAX) {
            const float *t = m->table + 4 * (size_t)entry;
            to[0] = (double)t[0] + (double)t[1] * z;
            to[1] = (double)t[2] + (double)t[3] * z;
        } else {
            uint32_t count = column->codes > 0 ? column->codes : 1 + column->missing;
            for (uint32_t i = 0; i < count; i++)
                to[i] = (double)from[i];
        }
        for (uint32_t f = 0; f < m->stem.frequencies && column->codes == 0; f++) {
            double turns = (double)(m->frequency[c * m->stem.frequencies + f] * from[0]);
            features[column->periodic + 2 * f] = sin(2.0 * 3.14159265358979323846 * turns);
            features[column->periodic + 2 * f + 1] = cos(2.0 * 3.14159265358979323846 * turns);
        }
    }
}

/* One layer of one member, as the header of mlp.h has it. */
static void layer_of(const ramify_mlp_layer *layer, const float *record, uint32_t member,
                     uint32_t members, const double *x, double *y) {
    for (uint32_t j = 0; j < layer->n; j++) {
        double sum = 0.0;
        for (uint32_t i = 0; i < layer->k; i++) {
            float weight = record[layer->weight + (layer->narrow ? j * layer->weight_stride + i
                                                                 : i * layer->weight_stride + j)];
            double r =
                members > 1 ? (double)record[layer->r + member * ramify_pad(layer->k) + i] : 1.0;
            sum += x[i] * r * (double)weight;
        }
        if (members > 1)
            sum *= (double)record[layer->s + member * ramify_pad(layer->n) + j];
        sum += (double)record[layer->bias + member * ramify_pad(layer->n) + j];
        if (!layer->last && sum < 0.0)
            sum *= (double)record[layer->slope + j];
        y[j] = sum;
    }
}

static void module_of(const random_model *m, const float *record, const double *features,
                      double *outputs) {
    const ramify_mlp_shape *mlp = &m->draft.shape.mlp;
    ramify_mlp_layer layers[RAMIFY_MLP_LAYERS_MAX];
    ramify_mlp_layout(mlp, layers);
    uint32_t n = mlp->width[mlp->layers];
    memset(outputs, 0, n * sizeof *outputs);
    uint32_t widest = 0;
    for (uint32_t l = 0; l <= mlp->layers; l++)
        widest = mlp->width[l] > widest ? mlp->width[l] : widest;
    double *a = get(widest, sizeof *a), *b = get(widest, sizeof *b);
    for (uint32_t member = 0; member < mlp->members; member++) {
        memcpy(a, features, mlp->width[0] * sizeof *a);
        for (uint32_t l = 0; l < mlp->layers; l++) {
            layer_of(&layers[l], record, member, mlp->members, a, b);
            double *swap = a;
            a = b;
            b = swap;
        }
        for (uint32_t j = 0; j < n; j++)
            outputs[j] += a[j] / mlp->members;
    }
    free(a);
    free(b);
}

/* A row on its way: features of its experts and point in routing space; owned. */
typedef struct encoded {
    double *features, *point;
} encoded;

static encoded encode(const random_model *m, const double *x) {
    const ramify_stem *stem = &m->stem;
    encoded row = {get(stem->features, sizeof(double)), get(stem->routes, sizeof(double))};
    float *plain = get(stem->plain + 1, sizeof *plain);
    plain_of(m, x, plain);
    features_of(m, plain, row.features);
    for (uint32_t r = 0; r < stem->routes; r++) {
        row.point[r] = m->route ? 0.0 : (double)plain[r];
        for (uint32_t i = 0; m->route && i < stem->plain; i++)
            row.point[r] += (double)m->route[r * ramify_pad(stem->plain) + i] * (double)plain[i];
    }
    free(plain);
    return row;
}

static void free_encoded(encoded *row) {
    free(row->features);
    free(row->point);
}

static double distance_of(const random_model *m, const double *point, uint32_t node) {
    double distance = 0.0;
    for (uint32_t r = 0; r < m->stem.routes; r++) {
        double d = point[r] - (double)m->nodes[node].prototype[r];
        distance += d * d;
    }
    return distance;
}

/* What a module predicts: y[outputs]. */
static void answer_of(const random_model *m, uint32_t module, const double *x,
                      const double *features, double *y) {
    uint32_t outputs = m->draft.shape.mlp.width[m->draft.shape.mlp.layers];
    if (module >= m->draft.module_count) {
        const ramify_series_header *record = m->series[module - m->draft.module_count];
        for (uint32_t j = 0; j < outputs; j++)
            y[j] = m->head_center[j] + m->head_scale[j] * series_twin(record, j, x);
        return;
    }
    module_of(m, m->modules[module], features, y);
    double sum = 0.0;
    for (uint32_t j = 0; j < outputs; j++)
        if (m->schema.task == RAMIFY_TASK_REGRESSION)
            y[j] = m->head_center[j] + m->head_scale[j] * y[j];
        else
            sum += y[j] = exp(y[j]);
    for (uint32_t j = 0; j < outputs && sum > 0.0; j++)
        y[j] /= sum;
}

/* The leaf at the end of a point's way. */
static uint32_t leaf_of(const random_model *m, const double *point) {
    uint32_t node = 0;
    while (m->nodes[node].children > 0) {
        uint32_t best = 0;
        double least = (double)INFINITY;
        for (uint32_t c = 0; c < m->nodes[node].children; c++) {
            double distance = distance_of(m, point, m->nodes[node].first_child + c);
            if (distance < least) {
                least = distance;
                best = c;
            }
        }
        node = m->nodes[node].first_child + best;
    }
    return node;
}

uint32_t random_model_predict(const random_model *m, const double *x, double *y) {
    encoded row = encode(m, x);
    uint32_t node = leaf_of(m, row.point);
    answer_of(m, m->nodes[node].module, x, row.features, y);
    free_encoded(&row);
    return m->nodes[node].module;
}

static double value_at(const ramify_note *table, uint32_t count, double share) {
    uint32_t i = 0;
    while (i + 2 < count && table[i + 1].share < share)
        i++;
    double along = (share - table[i].share) / (table[i + 1].share - table[i].share);
    return (1 - along) * table[i].value + along * table[i + 1].value;
}

static double share_of(const ramify_note *table, uint32_t count, double value) {
    if (value > table[count - 1].value)
        return 1;
    double share = 0;
    for (uint32_t i = 0; i + 1 < count; i++)
        if (table[i].value <= value && value <= table[i + 1].value)
            share = table[i].share + (table[i + 1].share - table[i].share) *
                                         (value - table[i].value) /
                                         (table[i + 1].value - table[i].value);
    return share;
}

double random_model_note(const random_model *m, const double *x, const double *y, double level,
                         double *low, double *high) {
    encoded row = encode(m, x);
    uint32_t node = leaf_of(m, row.point), leaf = m->leaf[node];
    double square = node > 0 ? distance_of(m, row.point, node) : 0;
    if (node == 0) {
        float *plain = get(m->stem.plain + 1, sizeof *plain);
        plain_of(m, x, plain);
        for (uint32_t i = 0; i < m->stem.plain; i++)
            square += pow((double)plain[i] - (double)m->note_center[i], 2);
        free(plain);
    }
    free_encoded(&row);
    uint32_t count = m->notes.shape.residuals, targets = m->schema.target_count;
    for (uint32_t t = 0; count > 0 && t < targets; t++) {
        const ramify_note *table = m->residuals + (size_t)t * count;
        double unit = m->head_scale[t] * (double)m->spread[(size_t)leaf * targets + t];
        low[t] = y[t] + unit * value_at(table, count, (1 - level) / 2);
        high[t] = y[t] + unit * value_at(table, count, (1 + level) / 2);
    }
    return share_of(m->distances, m->notes.shape.distances, sqrt(square) / (double)m->reach[leaf]);
}

/* weight[node] for every node, from the root down. */
static void weigh(const random_model *m, const double *point, double band, double *weight) {
    weight[0] = 1.0;
    for (uint32_t i = 0; i < m->draft.node_count; i++) {
        const ramify_draft_node *node = &m->nodes[i];
        double least = (double)INFINITY;
        for (uint32_t c = 0; c < node->children; c++)
            least = fmin(least, distance_of(m, point, node->first_child + c));
        for (uint32_t c = 0; c < node->children; c++) {
            double distance = distance_of(m, point, node->first_child + c);
            double ratio = distance > 0.0 ? least / distance : 1.0;
            weight[node->first_child + c] = weight[i] * fmax(0.0, (ratio - band) / (1.0 - band));
        }
    }
    for (uint32_t i = 0; i < m->draft.node_count; i++)
        if (m->nodes[i].children > 0)
            weight[i] = 0.0; /* leaves alone answer */
}

void random_model_blend(const random_model *m, const double *x, uint32_t top_k, double band,
                        double *y) {
    uint32_t nodes = m->draft.node_count,
             outputs = m->draft.shape.mlp.width[m->draft.shape.mlp.layers];
    encoded row = encode(m, x);
    double *weight = get(nodes, sizeof *weight), *answer = get(outputs, sizeof *answer);
    weigh(m, row.point, band, weight);
    /* The weight that top_k leaves exceed, or 0. */
    double floor = (double)INFINITY;
    for (uint32_t taken = 0; taken <= top_k; taken++) {
        double next = 0.0;
        for (uint32_t i = 0; i < nodes; i++)
            if (weight[i] < floor)
                next = fmax(next, weight[i]);
        floor = next;
    }
    double sum = 0.0;
    memset(y, 0, outputs * sizeof *y);
    for (uint32_t i = 0; i < nodes; i++) {
        if (weight[i] <= floor)
            continue;
        answer_of(m, m->nodes[i].module, x, row.features, answer);
        for (uint32_t j = 0; j < outputs; j++)
            y[j] += (weight[i] - floor) * answer[j];
        sum += weight[i] - floor;
    }
    for (uint32_t j = 0; j < outputs; j++)
        y[j] /= sum;
    free(weight);
    free(answer);
    free_encoded(&row);
}

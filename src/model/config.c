/* ramify.config, as read from a file: the JSON that says what the tensors mean.
 *
 *     {"schema": {...},
 *      "stem": {"columns", "plain", "features", "frequencies", "routes", "knots", "entries",
 *               "bins": bool, "route": bool},
 *      "groups": [{"tensor": "experts.0", "type": "mlp", "count", "shape": {...}},
 *                 {"tensor": "experts.1", "type": "bandlimited", "count", "bytes", "numbers",
 *                  "shape": {...}}],
 *                                            either of the two, or both
 *      "tree": {"nodes", "leaves", "depth", "arity"},
 *      "notes": {"residuals", "distances", "rows", "crc32c"}, if there are any
 *      "embedding": {...}, "branches": {...} in the place of groups and tree: a Para-Former
 *                                            (paraformer_file.h)
 *      ... further keys, which are kept as text but not read here} */

#include "memory.h"
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the whole number object[key] in [low, high]. */
static ramify_status read_count(ramify_context *context, const ramify_source *source,
                                const json_t *object, const char *where, const char *key,
                                uint64_t low, uint64_t high, uint64_t *count) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return ramify_damaged(context, source, "config: %s.%s is not a whole number", where, key);
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number < low || (uint64_t)number > high)
        return ramify_damaged(context, source, "config: %s.%s is %lld, expected %llu to %llu",
                              where, key, (long long)number, (unsigned long long)low,
                              (unsigned long long)high);
    *count = (uint64_t)number;
    return RAMIFY_OK;
}

ramify_status ramify_config_count(ramify_context *context, const ramify_source *source,
                                  const json_t *object, const char *where, const char *key,
                                  uint32_t low, uint32_t high, uint32_t *count) {
    uint64_t number = 0;
    RAMIFY_TRY(read_count(context, source, object, where, key, low, high, &number));
    *count = (uint32_t)number;
    return RAMIFY_OK;
}

static ramify_status read_flag(ramify_context *context, const ramify_source *source,
                               const json_t *object, const char *where, const char *key,
                               bool *flag) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return ramify_damaged(context, source, "config: %s.%s is not true or false", where, key);
    *flag = json_is_true(value);
    return RAMIFY_OK;
}

/* Only counts; the arrays come with the tensors. stem->route is set to non-NULL as a mark. */
static ramify_status read_stem(ramify_context *context, const ramify_source *source,
                               const json_t *json, uint32_t columns, ramify_stem *stem) {
    static const float mark;
    bool route = false;
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "columns", columns, columns,
                                   &stem->columns));
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "plain", 1, RAMIFY_STEM_PLAIN_MAX,
                                   &stem->plain));
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "features", 1,
                                   RAMIFY_MLP_WIDTH_MAX, &stem->features));
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "frequencies", 0,
                                   RAMIFY_STEM_FREQUENCIES_MAX, &stem->frequencies));
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "routes", 1,
                                   RAMIFY_STEM_PLAIN_MAX, &stem->routes));
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "knots", 0,
                                   columns * RAMIFY_STEM_KNOTS_MAX, &stem->knot_count));
    RAMIFY_TRY(ramify_config_count(context, source, json, "stem", "entries", 0,
                                   RAMIFY_STEM_ENTRIES_MAX, &stem->entry_count));
    RAMIFY_TRY(read_flag(context, source, json, "stem", "bins", &stem->bins));
    RAMIFY_TRY(read_flag(context, source, json, "stem", "route", &route));
    if (!route && stem->routes != stem->plain)
        return ramify_damaged(context, source,
                              "config: stem.routes is %u, expected %u, the plain features, as "
                              "stem.route is false",
                              stem->routes, stem->plain);
    stem->route = route ? &mark : NULL;
    return RAMIFY_OK;
}

/* Reads group `index`, of which tensor and number of modules are known to be told. */
static ramify_status read_group(ramify_context *context, ramify_model *model, const json_t *json,
                                uint32_t index) {
    const ramify_source *source = &model->source;
    ramify_tree_limits *limits = &model->limits;
    ramify_module_group *group = &limits->group[index];
    char name[RAMIFY_TENSOR_NAME_MAX + 1], where[32];
    snprintf(name, sizeof name, "experts.%u", index);
    snprintf(where, sizeof where, "groups[%u]", index);
    const char *tensor = json_string_value(json_object_get(json, "tensor"));
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!tensor || strcmp(tensor, name) != 0)
        return ramify_damaged(context, source, "config: the tensor of group %u is not called %s",
                              index, name);
    const ramify_module_type *found = type ? ramify_module_type_find(type) : NULL;
    if (!found || !found->shape_from_json)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: its modules are of a type that ramify %s does not know: update "
                           "ramify",
                           source->name, RAMIFY_VERSION);
    bool series = strcmp(type, "bandlimited") == 0;
    if (index > 0 && !series)
        return ramify_damaged(context, source, "config: group %u is of type %s, expected series",
                              index, found->name);
    if (index > 0 && ramify_model_series(model))
        return ramify_damaged(context, source, "config: two groups of series, expected one");
    ramify_module_shape shape = {.type = found};
    RAMIFY_TRY(
        found->shape_from_json(context, source->name, json_object_get(json, "shape"), &shape));
    RAMIFY_TRY(read_count(context, source, json, where, "count", 1, UINT32_MAX, &group->count));
    group->first = limits->modules;
    group->record_bytes = found->record_bytes(&shape);
    group->varies = found->varies;
    if (found->varies) {
        RAMIFY_TRY(read_count(context, source, json, where, "bytes", group->record_bytes,
                              INT64_MAX / 2, &group->bytes));
        RAMIFY_TRY(
            read_count(context, source, json, where, "numbers", 1, group->bytes, &group->numbers));
    }
    if (series) {
        model->series = shape.series;
        model->series_group = index;
    }
    if (index == 0)
        model->shape = shape;
    limits->modules += group->count;
    if (group->record_bytes > limits->module_bytes)
        limits->module_bytes = group->record_bytes;
    uint32_t inputs = series ? model->stem.columns : model->stem.features;
    if (found->inputs(&shape) != inputs)
        return ramify_damaged(
            context, source, "config: modules take %u inputs, expected %u, the %s",
            found->inputs(&shape), inputs, series ? "columns" : "stem's features");
    if (found->outputs(&shape) != model->outputs)
        return ramify_damaged(context, source,
                              "config: modules give %u outputs, expected %u, the schema's targets "
                              "or classes",
                              found->outputs(&shape), model->outputs);
    return RAMIFY_OK;
}

static ramify_status read_groups(ramify_context *context, ramify_model *model, const json_t *json) {
    size_t count = json_array_size(json);
    if (count < 1 || count > RAMIFY_GROUPS_MAX)
        return ramify_damaged(context, &model->source,
                              "config: %zu groups of modules, expected a list of 1 or 2", count);
    model->limits.groups = (uint32_t)count;
    for (uint32_t i = 0; i < count; i++)
        RAMIFY_TRY(read_group(context, model, json_array_get(json, i), i));
    if (ramify_model_series(model) && model->targets == 0)
        return ramify_damaged(context, &model->source, "config: series in a classification");
    return RAMIFY_OK;
}

static ramify_status read_tree(ramify_context *context, ramify_model *model, const json_t *json) {
    const ramify_source *source = &model->source;
    ramify_tree_limits *limits = &model->limits;
    RAMIFY_TRY(read_count(context, source, json, "tree", "nodes", 0, UINT32_MAX, &limits->nodes));
    RAMIFY_TRY(read_count(context, source, json, "tree", "leaves", 1, UINT32_MAX, &limits->leaves));
    bool inner = limits->nodes > 0;
    RAMIFY_TRY(ramify_config_count(context, source, json, "tree", "depth", inner ? 1 : 0,
                                   inner ? RAMIFY_TREE_DEPTH_MAX : 0, &limits->depth));
    RAMIFY_TRY(ramify_config_count(context, source, json, "tree", "arity", inner ? 2 : 0,
                                   inner ? RAMIFY_ARITY_MAX : 0, &limits->arity));
    limits->dims = model->stem.routes;
    if (limits->depth > limits->nodes)
        return ramify_damaged(context, source, "config: tree.depth is %u with %llu nodes",
                              limits->depth, (unsigned long long)limits->nodes);
    if (!inner && (limits->leaves != 1 || limits->modules != 1))
        return ramify_damaged(context, source,
                              "config: %llu leaves and %llu modules without a tree node, expected "
                              "1 and 1",
                              (unsigned long long)limits->leaves,
                              (unsigned long long)limits->modules);
    if (limits->modules > limits->leaves)
        return ramify_damaged(context, source, "config: %llu modules for %llu leaves",
                              (unsigned long long)limits->modules,
                              (unsigned long long)limits->leaves);
    if (inner && ramify_node_bytes(limits->arity, limits->dims) > UINT32_MAX)
        return ramify_damaged(context, source,
                              "config: nodes of %u children and %u dimensions are too large",
                              limits->arity, limits->dims);
    return RAMIFY_OK;
}

/* A model may do without notes. */
static ramify_status read_notes(ramify_context *context, ramify_model *model, const json_t *json) {
    const ramify_source *source = &model->source;
    ramify_notes_shape *notes = &model->notes;
    if (!json)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_config_count(context, source, json, "notes", "residuals", 0,
                                   model->targets > 0 ? RAMIFY_NOTES_ENTRIES_MAX : 0,
                                   &notes->residuals));
    RAMIFY_TRY(ramify_config_count(context, source, json, "notes", "distances", 1,
                                   RAMIFY_NOTES_ENTRIES_MAX, &notes->distances));
    RAMIFY_TRY(
        ramify_config_count(context, source, json, "notes", "rows", 0, UINT32_MAX, &notes->rows));
    const char *crc = json_string_value(json_object_get(json, "crc32c"));
    if (!crc || strlen(crc) != 8 || strspn(crc, "0123456789abcdef") != 8)
        return ramify_damaged(context, source, "config: notes.crc32c is not 8 hexadecimal digits");
    notes->crc = (uint32_t)strtoul(crc, NULL, 16);
    return RAMIFY_OK;
}

/* Of a Para-Former. Its branches are modules, all of which every row goes through. */
static ramify_status read_branches(ramify_context *context, ramify_model *model,
                                   const json_t *json) {
    const ramify_stem *stem = &model->stem;
    if (stem->features != stem->plain || stem->bins || stem->frequencies > 0 || stem->route)
        return ramify_damaged(context, &model->source,
                              "config: a paraformer's stem has bins, frequencies or a route");
    RAMIFY_TRY(ramify_paraformer_from_json(context, &model->source, json, stem, model->outputs,
                                           &model->paraformer));
    uint32_t most = model->paraformer.branches;
    if (model->branches > most)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "%s: %u branches asked for, it has %u",
                           model->source.name, model->branches, most);
    if (model->top_k > 1)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "%s: a Para-Former has no experts to blend: leave top_k out",
                           model->source.name);
    model->branches = model->branches > 0 ? model->branches : most;
    model->shape.type = ramify_module_type_find("branch");
    model->shape.branch = model->paraformer.branch;
    const uint64_t bytes = ramify_branch_record_bytes(&model->paraformer.branch);
    model->limits = (ramify_tree_limits){
        .leaves = 1,
        .modules = model->paraformer.branches,
        .module_bytes = bytes,
        .groups = 1,
        .group[0] = {.count = model->paraformer.branches,
                     .bytes = model->paraformer.branches * bytes,
                     .record_bytes = bytes},
        .dims = stem->routes,
    };
    return RAMIFY_OK;
}

static ramify_status read_experts(ramify_context *context, ramify_model *model,
                                  const json_t *json) {
    if (model->branches > 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "%s: a model of kind %s has no branches to choose from",
                           model->source.name, model->kind);
    RAMIFY_TRY(read_groups(context, model, json_object_get(json, "groups")));
    return read_tree(context, model, json_object_get(json, "tree"));
}

static ramify_status read_parts(ramify_context *context, ramify_model *model, const json_t *json) {
    const json_t *schema = json_object_get(json, "schema");
    if (!json_is_object(schema))
        return ramify_damaged(context, &model->source, "config: no schema");
    RAMIFY_TRY(ramify_schema_from_json(context, model->source.name, schema, &model->schema));
    bool classes = model->schema->task == RAMIFY_TASK_CLASSIFICATION;
    model->targets = classes ? 0 : model->schema->target_count;
    model->outputs = classes ? model->schema->class_count : model->schema->target_count;
    RAMIFY_TRY(read_stem(context, &model->source, json_object_get(json, "stem"),
                         model->schema->column_count, &model->stem));
    RAMIFY_TRY(strcmp(model->kind, "paraformer") == 0 ? read_branches(context, model, json)
                                                      : read_experts(context, model, json));
    return read_notes(context, model, json_object_get(json, "notes"));
}

ramify_status ramify_config_read(ramify_context *context, ramify_model *model) {
    json_t *json = NULL;
    RAMIFY_TRY(ramify_parse_json(context, &model->source, "config", model->config,
                                 strlen(model->config), RAMIFY_CONFIG_DEPTH_MAX,
                                 RAMIFY_CONFIG_VALUES_MAX, &json));
    ramify_status status = read_parts(context, model, json);
    json_decref(json);
    return status;
}

/* Reads and checks one column against what the columns before it have used up. */
typedef struct stem_cursor {
    uint64_t plain, feature, knot, entry, periodic;
} stem_cursor;

static ramify_status wrong_column(ramify_context *context, const ramify_source *source, uint32_t c,
                                  const char *what, uint64_t found, uint64_t expected) {
    return ramify_damaged(context, source,
                          "tensor \"stem.columns\", column %u: %s is %llu, expected %llu", c, what,
                          (unsigned long long)found, (unsigned long long)expected);
}

static ramify_status check_column(ramify_context *context, const ramify_source *source,
                                  const ramify_stem *stem, const ramify_schema *schema, uint32_t c,
                                  stem_cursor *next) {
    const ramify_stem_column *column = &stem->column[c];
    bool categorical = schema->columns[c].categorical;
    uint32_t codes = categorical ? schema->columns[c].category_count + 1 : 0;
    if (column->codes != codes)
        return wrong_column(context, source, c, "codes", column->codes, codes);
    if (column->missing > (categorical ? 0U : 1U))
        return wrong_column(context, source, c, "missing", column->missing, 0);
    uint32_t most = stem->bins && !categorical ? RAMIFY_STEM_KNOTS_MAX : 0;
    if (column->knots > most)
        return wrong_column(context, source, c, "knots", column->knots, most);
    bool tabled = stem->bins && (categorical || column->knots > 0);
    uint32_t plain = categorical ? codes : 1 + column->missing;
    uint32_t entries = !tabled ? 0 : (categorical ? codes : column->knots + 1 + column->missing);
    bool periodic = stem->frequencies > 0 && !categorical;

    if (column->plain != next->plain)
        return wrong_column(context, source, c, "plain", column->plain, next->plain);
    if (column->feature != next->feature)
        return wrong_column(context, source, c, "feature", column->feature, next->feature);
    uint64_t knot = column->knots > 0 ? next->knot : 0;
    if (column->knot != knot)
        return wrong_column(context, source, c, "knot", column->knot, knot);
    uint64_t entry = entries > 0 ? next->entry : 0;
    if (column->entry != entry)
        return wrong_column(context, source, c, "entry", column->entry, entry);
    uint64_t wave = periodic ? next->periodic : 0;
    if (column->periodic != wave)
        return wrong_column(context, source, c, "periodic", column->periodic, wave);

    next->plain += plain;
    next->feature += tabled ? 2 : plain;
    next->knot += column->knots;
    next->entry += entries;
    next->periodic += periodic ? 2 * (uint64_t)stem->frequencies : 0;
    for (uint32_t k = 1; k < column->knots; k++)
        if (!(stem->knots[column->knot + k - 1] < stem->knots[column->knot + k]))
            return ramify_damaged(
                context, source,
                "tensor \"stem.knots\": knot %u of column %u is not above the one "
                "before it",
                k, c);
    return RAMIFY_OK;
}

static ramify_status check_floats(ramify_context *context, const ramify_source *source,
                                  const char *tensor, const float *values, size_t count,
                                  float most) {
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(values[i]) <= most))
            return ramify_damaged(context, source,
                                  "tensor \"%s\": number %zu is %g, expected at most %g in size",
                                  tensor, i, (double)values[i], (double)most);
    return RAMIFY_OK;
}

/* The first periodic feature comes after all the others. */
static uint32_t features_before_waves(const ramify_stem *stem) {
    uint32_t numeric = 0;
    for (uint32_t c = 0; c < stem->columns; c++)
        numeric += stem->column[c].codes == 0;
    uint64_t waves = 2 * (uint64_t)numeric * stem->frequencies;
    return waves < stem->features ? (uint32_t)(stem->features - waves) : 0;
}

static ramify_status check_columns(ramify_context *context, const ramify_source *source,
                                   const ramify_stem *stem, const ramify_schema *schema) {
    uint32_t waves = features_before_waves(stem);
    stem_cursor next = {.periodic = waves};
    for (uint32_t c = 0; c < stem->columns; c++) {
        /* Before the knots are looked at. */
        if (stem->column[c].knots > stem->knot_count - next.knot)
            return wrong_column(context, source, c, "knots", stem->column[c].knots,
                                stem->knot_count - next.knot);
        RAMIFY_TRY(check_column(context, source, stem, schema, c, &next));
    }
    if (next.plain != stem->plain || next.knot != stem->knot_count ||
        next.entry != stem->entry_count)
        return ramify_damaged(context, source,
                              "tensor \"stem.columns\": its columns have %llu plain features, "
                              "%llu knots and %llu entries, the config says %u, %u and %u",
                              (unsigned long long)next.plain, (unsigned long long)next.knot,
                              (unsigned long long)next.entry, stem->plain, stem->knot_count,
                              stem->entry_count);
    if (next.feature != waves || (stem->frequencies > 0 && next.periodic != stem->features))
        return ramify_damaged(context, source,
                              "tensor \"stem.columns\": its columns have %llu features, the "
                              "config says %u",
                              (unsigned long long)(next.feature + next.periodic - waves),
                              stem->features);
    return RAMIFY_OK;
}

ramify_status ramify_stem_check(ramify_context *context, const ramify_source *source,
                                const ramify_stem *stem, const ramify_schema *schema) {
    RAMIFY_TRY(check_columns(context, source, stem, schema));
    for (uint32_t c = 0; c < stem->columns; c++) {
        if (!isfinite(stem->center[c]))
            return ramify_damaged(context, source,
                                  "tensor \"stem.center\": number %u is not finite", c);
        if (!(stem->scale[c] > 0.0) || !isfinite(stem->scale[c]))
            return ramify_damaged(context, source,
                                  "tensor \"stem.scale\": number %u is %g, expected above 0", c,
                                  stem->scale[c]);
    }
    size_t waves = (size_t)stem->columns * stem->frequencies;
    RAMIFY_TRY(check_floats(context, source, "stem.knots", stem->knots, stem->knot_count,
                            RAMIFY_STEM_NUMBER_MAX));
    RAMIFY_TRY(check_floats(context, source, "stem.table", stem->table,
                            4 * (size_t)stem->entry_count, RAMIFY_STEM_NUMBER_MAX));
    RAMIFY_TRY(check_floats(context, source, "stem.frequency", stem->frequency, waves,
                            RAMIFY_STEM_FREQUENCY_MAX));
    if (!stem->route)
        return RAMIFY_OK;
    size_t stride = ramify_pad(stem->plain);
    RAMIFY_TRY(check_floats(context, source, "stem.route", stem->route, stem->routes * stride,
                            RAMIFY_STEM_NUMBER_MAX));
    for (uint32_t r = 0; r < stem->routes; r++)
        for (size_t i = stem->plain; i < stride; i++)
            if (stem->route[r * stride + i] != 0.0F)
                return ramify_damaged(context, source,
                                      "tensor \"stem.route\": padding of row %u is not 0", r);
    return RAMIFY_OK;
}

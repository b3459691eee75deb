/* The schema as memory and as JSON. It needs no table. */

#include "schema.h"
#include "memory.h"
#include "number.h"
#include "status.h"
#include "text.h"

/* ---- one block: measured first, then carved ---- */

/* Walks over the block in the order in which it is carved. With `base` NULL it only counts. The
 * sums cannot overflow: they are at most a small multiple of what is already in memory. */
typedef struct carver {
    char *base;
    size_t used;
} carver;

/* Aligned for pointers, doubles and structs of these. */
static void *carve(carver *block, size_t count, size_t size) {
    block->used =
        (block->used + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    void *here = block->base ? block->base + block->used : NULL;
    block->used += count * size;
    return here;
}

static char *carve_text(carver *block, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = block->base ? block->base + block->used : NULL;
    if (copy)
        memcpy(copy, text, bytes);
    block->used += bytes;
    return copy;
}

static char **carve_texts(carver *block, char *const *texts, uint32_t count) {
    char **copies = carve(block, count, sizeof *copies);
    for (uint32_t i = 0; i < count; i++) {
        char *copy = carve_text(block, texts[i]);
        if (copies)
            copies[i] = copy;
    }
    return copies;
}

static ramify_schema *carve_schema(carver *block, const ramify_schema *from) {
    ramify_schema *to = carve(block, 1, sizeof *to);
    ramify_schema_column *columns = carve(block, from->column_count, sizeof *columns);
    for (uint32_t c = 0; c < from->column_count; c++) {
        const ramify_schema_column *column = &from->columns[c];
        char **categories = carve_texts(block, column->categories, column->category_count);
        if (columns) {
            columns[c] = *column;
            columns[c].categories = categories;
        }
    }
    char **targets = carve_texts(block, from->targets, from->target_count);
    char **classes = carve_texts(block, from->classes, from->class_count);
    for (uint32_t c = 0; c < from->column_count; c++) {
        char *name = carve_text(block, from->columns[c].name);
        if (columns)
            columns[c].name = name;
    }
    if (to) {
        *to = *from;
        to->columns = columns;
        to->targets = targets;
        to->classes = classes;
    }
    return to;
}

uint64_t ramify_schema_bytes(const ramify_schema *schema) {
    carver measure = {0};
    carve_schema(&measure, schema);
    return measure.used;
}

ramify_status ramify_schema_pack(ramify_context *context, const ramify_schema *loose,
                                 ramify_schema **schema) {
    carver block = {.base = ramify_allocate(context, (size_t)ramify_schema_bytes(loose), 1)};
    if (!block.base)
        return RAMIFY_ERROR_MEMORY;
    *schema = carve_schema(&block, loose);
    return RAMIFY_OK;
}

void ramify_schema_destroy(ramify_context *context, ramify_schema **schema) {
    if (!schema)
        return;
    ramify_release(context, *schema);
    *schema = NULL;
}

/* ---- looking up ---- */

static uint32_t find_text(char *const *texts, uint32_t count, const char *text) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return i;
    double wanted, value;
    if (!ramify_number_parse(text, strlen(text), &wanted))
        return count;
    for (uint32_t i = 0; i < count; i++)
        if (ramify_number_parse(texts[i], strlen(texts[i]), &value) && value == wanted)
            return i;
    return count;
}

uint32_t ramify_schema_category(const ramify_schema_column *column, const char *text) {
    return find_text(column->categories, column->category_count, text);
}

uint32_t ramify_schema_class(const ramify_schema *schema, const char *text) {
    uint32_t index = find_text(schema->classes, schema->class_count, text);
    return index < schema->class_count ? index : UINT32_MAX;
}

/* ---- writing JSON ---- */

static json_t *texts_to_json(char *const *texts, uint32_t count) {
    json_t *array = json_array();
    for (uint32_t i = 0; i < count && array; i++)
        if (json_array_append_new(array, json_string(texts[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

static json_t *column_to_json(const ramify_schema_column *column) {
    if (column->categorical)
        return json_pack("{s:s, s:o, s:b}", "name", column->name, "categories",
                         texts_to_json(column->categories, column->category_count), "missing",
                         (int)column->missing);
    return json_pack("{s:s, s:f, s:f, s:b}", "name", column->name, "low", column->low, "high",
                     column->high, "missing", (int)column->missing);
}

ramify_status ramify_schema_to_json(ramify_context *context, const ramify_schema *schema,
                                    json_t **json) {
    json_t *columns = json_array();
    bool made = columns != NULL;
    for (uint32_t c = 0; c < schema->column_count && made; c++)
        made = json_array_append_new(columns, column_to_json(&schema->columns[c])) == 0;
    if (!made) {
        json_decref(columns);
        columns = NULL; /* json_pack refuses it and frees the others */
    }
    json_t *object =
        json_pack("{s:s, s:b, s:o, s:o, s:o}", "task",
                  schema->task == RAMIFY_TASK_CLASSIFICATION ? "classification" : "regression",
                  "named", (int)schema->named, "columns", columns, "targets",
                  texts_to_json(schema->targets, schema->target_count), "classes",
                  texts_to_json(schema->classes, schema->class_count));
    if (!object)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for the schema's JSON");
    *json = object;
    return RAMIFY_OK;
}

/* ---- reading JSON ---- */

/* Arrays of a schema that is being read; the texts stay in the JSON. */
typedef struct schema_reader {
    ramify_context *context;
    const char *source; /* the file, for messages */
    ramify_schema schema;
    ramify_name *names; /* scratch for finding duplicates */
} schema_reader;

static ramify_status fail_schema(schema_reader *r, const char *where, const char *what) {
    return ramify_fail(r->context, RAMIFY_ERROR_FORMAT,
                       "%s: the model's schema is damaged: %s %s (make or copy the model again)",
                       r->source, where, what);
}

static ramify_status read_text(schema_reader *r, const json_t *json, const char *where,
                               char **text) {
    const char *value = json_string_value(json);
    if (!value)
        return fail_schema(r, where, "is not a text");
    size_t length = json_string_length(json);
    if (length == 0 || length > RAMIFY_NAME_BYTES || strlen(value) != length)
        return fail_schema(r, where, "is empty, too long or holds a zero byte");
    /* Never written through: the packed copy is what callers see. */
    *text = (char *)(uintptr_t)value;
    return RAMIFY_OK;
}

static ramify_status check_different(schema_reader *r, char *const *texts, size_t count,
                                     const char *where) {
    for (size_t i = 0; i < count; i++)
        r->names[i] = (ramify_name){.text = texts[i], .index = i};
    ramify_names_sort(r->names, count);
    if (ramify_names_duplicate(r->names, count))
        return fail_schema(r, where, "holds the same text twice");
    return RAMIFY_OK;
}

static ramify_status read_texts(schema_reader *r, const json_t *json, size_t least, size_t most,
                                const char *where, char ***texts, uint32_t *count) {
    if (!json_is_array(json))
        return fail_schema(r, where, "is not a list");
    size_t size = json_array_size(json);
    if (size < least || size > most)
        return fail_schema(r, where, "has too few or too many entries");
    *texts = ramify_allocate_zeroed(r->context, size, sizeof **texts);
    if (!*texts)
        return RAMIFY_ERROR_MEMORY;
    *count = (uint32_t)size;
    for (size_t i = 0; i < size; i++)
        RAMIFY_TRY(read_text(r, json_array_get(json, i), where, &(*texts)[i]));
    return check_different(r, *texts, size, where);
}

static ramify_status read_finite(schema_reader *r, const json_t *json, const char *where,
                                 double *value) {
    *value = json_number_value(json);
    if (!json_is_number(json) || !isfinite(*value))
        return fail_schema(r, where, "is not a finite number");
    return RAMIFY_OK;
}

static ramify_status read_column(schema_reader *r, const json_t *json,
                                 ramify_schema_column *column) {
    const char *where = "an entry of \"columns\"";
    const json_t *missing = json_object_get(json, "missing");
    const json_t *categories = json_object_get(json, "categories");
    if (!json_is_object(json) || json_object_size(json) != (categories ? 3 : 4) ||
        !json_is_boolean(missing))
        return fail_schema(r, where,
                           "has other keys than name, missing, and categories or low and "
                           "high");
    column->missing = json_is_true(missing);
    column->categorical = categories != NULL;
    RAMIFY_TRY(read_text(r, json_object_get(json, "name"), "a column's name", &column->name));
    if (categories)
        return read_texts(r, categories, 0, RAMIFY_CATEGORIES, "a list of categories",
                          &column->categories, &column->category_count);
    RAMIFY_TRY(read_finite(r, json_object_get(json, "low"), "a column's low", &column->low));
    RAMIFY_TRY(read_finite(r, json_object_get(json, "high"), "a column's high", &column->high));
    if (column->low > column->high)
        return fail_schema(r, where, "has low above high");
    return RAMIFY_OK;
}

static ramify_status read_columns(schema_reader *r, const json_t *json) {
    if (!json_is_array(json))
        return fail_schema(r, "\"columns\"", "is not a list");
    size_t size = json_array_size(json);
    if (size < 1 || size > RAMIFY_COLUMNS_MAX)
        return fail_schema(r, "\"columns\"", "has too few or too many entries");
    r->schema.columns = ramify_allocate_zeroed(r->context, size, sizeof *r->schema.columns);
    if (!r->schema.columns)
        return RAMIFY_ERROR_MEMORY;
    r->schema.column_count = (uint32_t)size;
    for (size_t c = 0; c < size; c++)
        RAMIFY_TRY(read_column(r, json_array_get(json, c), &r->schema.columns[c]));
    return RAMIFY_OK;
}

/* No column and target may share a name either. */
static ramify_status check_names(schema_reader *r) {
    size_t count = 0;
    for (uint32_t c = 0; c < r->schema.column_count; c++, count++)
        r->names[count] = (ramify_name){.text = r->schema.columns[c].name, .index = count};
    for (uint32_t t = 0; t < r->schema.target_count; t++, count++)
        r->names[count] = (ramify_name){.text = r->schema.targets[t], .index = count};
    ramify_names_sort(r->names, count);
    if (ramify_names_duplicate(r->names, count))
        return fail_schema(r, "a name", "stands for two columns or targets");
    return RAMIFY_OK;
}

static ramify_status read_task(schema_reader *r, const json_t *json) {
    const char *task = json_string_value(json);
    bool classes = task && strcmp(task, "classification") == 0;
    if (!classes && (!task || strcmp(task, "regression") != 0))
        return fail_schema(r, "\"task\"", "is neither regression nor classification");
    r->schema.task = classes ? RAMIFY_TASK_CLASSIFICATION : RAMIFY_TASK_REGRESSION;
    return RAMIFY_OK;
}

static ramify_status read_schema(schema_reader *r, const json_t *json) {
    const json_t *named = json_object_get(json, "named");
    if (!json_is_object(json) || json_object_size(json) != 5 || !json_is_boolean(named))
        return fail_schema(r, "it", "has other keys than task, named, columns, targets, classes");
    r->schema.named = json_is_true(named);
    RAMIFY_TRY(read_task(r, json_object_get(json, "task")));
    bool classes = r->schema.task == RAMIFY_TASK_CLASSIFICATION;
    RAMIFY_TRY(read_columns(r, json_object_get(json, "columns")));
    RAMIFY_TRY(read_texts(r, json_object_get(json, "targets"), 1, classes ? 1 : RAMIFY_TARGETS_MAX,
                          "\"targets\"", &r->schema.targets, &r->schema.target_count));
    RAMIFY_TRY(read_texts(r, json_object_get(json, "classes"), classes ? 2 : 0,
                          classes ? RAMIFY_CLASSES_MAX : 0, "\"classes\"", &r->schema.classes,
                          &r->schema.class_count));
    return check_names(r);
}

/* Entries of a list, at most `most`. */
static size_t capped_size(const json_t *json, const char *key, size_t most) {
    size_t size = json_array_size(json_object_get(json, key));
    return size < most ? size : most;
}

ramify_status ramify_schema_from_json(ramify_context *context, const char *source,
                                      const json_t *json, ramify_schema **schema) {
    schema_reader r = {.context = context, .source = source};
    /* Room for whatever is checked for duplicates, capped before anything is read. */
    size_t room = capped_size(json, "columns", RAMIFY_COLUMNS_MAX) +
                  capped_size(json, "targets", RAMIFY_TARGETS_MAX) +
                  capped_size(json, "classes", RAMIFY_CLASSES_MAX) + RAMIFY_CATEGORIES;
    r.names = ramify_allocate(context, room, sizeof *r.names);
    ramify_status status = r.names ? read_schema(&r, json) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_schema_pack(context, &r.schema, schema);
    for (uint32_t c = 0; c < r.schema.column_count; c++)
        ramify_release(context, r.schema.columns[c].categories);
    ramify_release(context, r.schema.columns);
    ramify_release(context, r.schema.targets);
    ramify_release(context, r.schema.classes);
    ramify_release(context, r.names);
    return status;
}

/* The schema as memory and as JSON. It needs no table. */

#include "schema.h"
#include "memory.h"
#include "number.h"
#include "status.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>

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

/* ---- numbered names, as pixels have them: what comes before the number, and the number ---- */

#define NUMBER_DIGITS 9
/* Longer names are written one by one: a short file must not become a large table of names. */
#define NUMBERED_BYTES 64

/* Bytes before the number that a name ends with, which has no leading zeros and at most
 * NUMBER_DIGITS digits; all of them where it ends with none. */
static size_t split_number(const char *name, uint64_t *number) {
    size_t length = strlen(name), first = length;
    while (first > 0 && length - first < NUMBER_DIGITS && name[first - 1] >= '0' &&
           name[first - 1] <= '9')
        first--;
    while (first + 1 < length && name[first] == '0')
        first++;
    *number = 0;
    for (size_t i = first; i < length; i++)
        *number = *number * 10 + (uint64_t)(name[i] - '0');
    return first;
}

/* Room for such a name, the largest number after it, and an end. */
#define NUMBERED_ROOM (NUMBERED_BYTES + 20)

/* The name `step` numbers after `name`, of at most NUMBERED_BYTES; returns its length. */
static size_t number_name(const char *name, size_t prefix, uint64_t number, size_t step,
                          char text[NUMBERED_ROOM]) {
    int length = snprintf(text, NUMBERED_ROOM, "%.*s%" PRIu64, (int)prefix, name, number + step);
    return length > 0 ? (size_t)length : 0;
}

/* Columns from `first` on that can be written as one: numbers in the same range, with names that
 * count up. */
static uint32_t count_run(const ramify_schema *schema, uint32_t first) {
    const ramify_schema_column *column = &schema->columns[first];
    uint64_t number;
    size_t prefix = split_number(column->name, &number);
    uint32_t count = 1;
    if (column->categorical || column->name[prefix] == '\0' ||
        strlen(column->name) > NUMBERED_BYTES)
        return count;
    for (; first + count < schema->column_count; count++) {
        const ramify_schema_column *next = column + count;
        char name[NUMBERED_ROOM];
        number_name(column->name, prefix, number, count, name);
        if (next->categorical || next->missing != column->missing || next->low < column->low ||
            next->low > column->low || next->high < column->high || next->high > column->high ||
            strcmp(next->name, name) != 0)
            break;
    }
    return count;
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

static json_t *column_to_json(const ramify_schema_column *column, uint32_t count) {
    if (column->categorical)
        return json_pack("{s:s, s:o, s:b}", "name", column->name, "categories",
                         texts_to_json(column->categories, column->category_count), "missing",
                         (int)column->missing);
    json_t *json = json_pack("{s:s, s:f, s:f, s:b}", "name", column->name, "low", column->low,
                             "high", column->high, "missing", (int)column->missing);
    if (json && count > 1 && json_object_set_new(json, "count", json_integer(count)) != 0) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

ramify_status ramify_schema_to_json(ramify_context *context, const ramify_schema *schema, bool runs,
                                    json_t **json) {
    json_t *columns = json_array();
    bool made = columns != NULL;
    for (uint32_t c = 0, count; c < schema->column_count && made; c += count) {
        count = runs ? count_run(schema, c) : 1;
        made = json_array_append_new(columns, column_to_json(&schema->columns[c], count)) == 0;
    }
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

/* Arrays of a schema that is being read; the texts stay in the JSON, but for numbered names. */
typedef struct schema_reader {
    ramify_context *context;
    const char *source; /* the file, for messages */
    ramify_schema schema;
    char *numbered;     /* names of columns that are written as one, each with its end; owned */
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
    size_t keys = categories ? 3 : 4 + (json_object_get(json, "count") != NULL);
    if (!json_is_object(json) || json_object_size(json) != keys || !json_is_boolean(missing))
        return fail_schema(r, where,
                           "has other keys than name, missing, and categories or low, high and "
                           "count");
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

/* Columns that an entry stands for. */
static ramify_status count_columns(schema_reader *r, const json_t *json, size_t *columns,
                                   size_t *numbered) {
    const json_t *count = json_object_get(json, "count");
    json_int_t value = json_integer_value(count);
    *columns += 1;
    if (!count)
        return RAMIFY_OK;
    if (value < 2 || value > RAMIFY_COLUMNS_MAX)
        return fail_schema(r, "a column's count", "is not a number of columns");
    const char *name = json_string_value(json_object_get(json, "name"));
    size_t length = name ? strlen(name) : 0;
    if (length == 0 || length > NUMBERED_BYTES || name[length - 1] < '0' || name[length - 1] > '9')
        return fail_schema(r, "a name with a count", "is too long or ends without a number");
    *columns += (size_t)value - 1;
    *numbered += (size_t)value * (length + 7); /* 5 digits more at most, and the end */
    return *columns > RAMIFY_COLUMNS_MAX ? fail_schema(r, "\"columns\"", "has too many columns")
                                         : RAMIFY_OK;
}

/* The columns after the first of an entry with a count: its copies, with the names that follow. */
static void repeat_column(ramify_schema_column *column, size_t count, char **text) {
    uint64_t number;
    size_t prefix = split_number(column->name, &number);
    for (size_t i = 1; i < count; i++) {
        char name[NUMBERED_ROOM];
        size_t bytes = number_name(column->name, prefix, number, i, name) + 1;
        memcpy(*text, name, bytes);
        column[i] = *column;
        column[i].name = *text;
        *text += bytes;
    }
}

/* Entries of a list, at most `most`. */
static size_t capped_size(const json_t *json, const char *key, size_t most) {
    return ramify_smaller(json_array_size(json_object_get(json, key)), most);
}

static ramify_status read_columns(schema_reader *r, const json_t *whole) {
    const json_t *json = json_object_get(whole, "columns");
    if (!json_is_array(json))
        return fail_schema(r, "\"columns\"", "is not a list");
    size_t entries = json_array_size(json), columns = 0, numbered = 0;
    if (entries < 1 || entries > RAMIFY_COLUMNS_MAX)
        return fail_schema(r, "\"columns\"", "has too few or too many entries");
    for (size_t i = 0; i < entries; i++)
        RAMIFY_TRY(count_columns(r, json_array_get(json, i), &columns, &numbered));
    r->schema.columns = ramify_allocate_zeroed(r->context, columns, sizeof *r->schema.columns);
    /* Room for whatever is checked for duplicates. */
    size_t names = columns + capped_size(whole, "targets", RAMIFY_TARGETS_MAX) +
                   capped_size(whole, "classes", RAMIFY_CLASSES_MAX) + RAMIFY_CATEGORIES;
    r->names = ramify_allocate(r->context, names, sizeof *r->names);
    r->numbered = ramify_allocate(r->context, numbered, 1);
    if (!r->schema.columns || !r->names || !r->numbered)
        return RAMIFY_ERROR_MEMORY;
    r->schema.column_count = (uint32_t)columns;
    ramify_schema_column *column = r->schema.columns;
    char *text = r->numbered;
    for (size_t i = 0; i < entries; i++) {
        const json_t *entry = json_array_get(json, i), *count = json_object_get(entry, "count");
        RAMIFY_TRY(read_column(r, entry, column));
        size_t stands_for = count ? (size_t)json_integer_value(count) : 1;
        repeat_column(column, stands_for, &text);
        column += stands_for;
    }
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
    RAMIFY_TRY(read_columns(r, json));
    RAMIFY_TRY(read_texts(r, json_object_get(json, "targets"), 1, classes ? 1 : RAMIFY_TARGETS_MAX,
                          "\"targets\"", &r->schema.targets, &r->schema.target_count));
    RAMIFY_TRY(read_texts(r, json_object_get(json, "classes"), classes ? 2 : 0,
                          classes ? RAMIFY_CLASSES_MAX : 0, "\"classes\"", &r->schema.classes,
                          &r->schema.class_count));
    return check_names(r);
}

ramify_status ramify_schema_from_json(ramify_context *context, const char *source,
                                      const json_t *json, ramify_schema **schema) {
    schema_reader r = {.context = context, .source = source};
    ramify_status status = read_schema(&r, json);
    if (status == RAMIFY_OK)
        status = ramify_schema_pack(context, &r.schema, schema);
    for (uint32_t c = 0; c < r.schema.column_count; c++)
        ramify_release(context, r.schema.columns[c].categories);
    ramify_release(context, r.schema.columns);
    ramify_release(context, r.schema.targets);
    ramify_release(context, r.schema.classes);
    ramify_release(context, r.numbered);
    ramify_release(context, r.names);
    return status;
}

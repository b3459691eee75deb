/* Reader and writer of the container. The reader goes: length of the header, its text, its JSON
 * (nesting and values counted before it is parsed), each tensor alone, then all of them in the
 * order of their bytes. */

#include "safetensors.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are used as they lie on disk: only little-endian processors are supported"
#endif

static const struct {
    const char *name;
    uint64_t bytes;
} dtypes[] = {
    [RAMIFY_DTYPE_U8] = {"U8", 1},     [RAMIFY_DTYPE_I32] = {"I32", 4},
    [RAMIFY_DTYPE_F32] = {"F32", 4},   [RAMIFY_DTYPE_F64] = {"F64", 8},
    [RAMIFY_DTYPE_I64] = {"I64", 8},   [RAMIFY_DTYPE_F16] = {"F16", 2},
    [RAMIFY_DTYPE_BF16] = {"BF16", 2},
};

const char *ramify_dtype_name(ramify_dtype dtype) {
    return dtypes[dtype].name;
}

uint64_t ramify_dtype_bytes(ramify_dtype dtype) {
    return dtypes[dtype].bytes;
}

/* Nesting and number of values of JSON text, counted without parsing it: right for valid JSON, and
 * an upper bound is all that is needed for the rest. */
static void measure_json(const char *text, size_t size, uint32_t *depth, uint64_t *values) {
    uint32_t level = 0;
    bool inside = false;
    *depth = 0;
    *values = 1;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (inside) {
            if (c == '\\')
                i++;
            else if (c == '"')
                inside = false;
        } else if (c == '"') {
            inside = true;
        } else if (c == '{' || c == '[') {
            level++;
            ++*values;
            if (level > *depth)
                *depth = level;
        } else if (c == '}' || c == ']') {
            level -= level > 0;
        } else if (c == ',') {
            ++*values;
        }
    }
}

ramify_status ramify_parse_json(ramify_context *context, const ramify_source *source,
                                const char *what, const char *text, size_t size, uint32_t depth_max,
                                uint32_t values_max, json_t **json) {
    uint32_t depth;
    uint64_t values;
    measure_json(text, size, &depth, &values);
    if (depth > depth_max)
        return ramify_damaged(context, source, "%s: JSON nested %u deep, expected at most %u", what,
                              depth, depth_max);
    if (values > values_max)
        return ramify_damaged(context, source, "%s: %llu JSON values, expected at most %u", what,
                              (unsigned long long)values, values_max);
    json_error_t error;
    *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (*json)
        return RAMIFY_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for the JSON of %s",
                           source->name);
    return ramify_damaged(context, source, "%s: not valid JSON at byte %d", what, error.position);
}

/* Names end up in messages on a terminal: plain letters only. */
static bool plain_name(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length > RAMIFY_TENSOR_NAME_MAX)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
           length;
}

bool ramify_tensor_is_pad(const ramify_tensor *tensor) {
    return strncmp(tensor->name, RAMIFY_PAD_PREFIX, strlen(RAMIFY_PAD_PREFIX)) == 0;
}

static bool read_whole(const json_t *value, uint64_t *number) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

/* One entry of the header. Offsets become positions in the file. */
static ramify_status read_tensor(ramify_context *context, const ramify_source *source,
                                 uint64_t data_start, const char *name, const json_t *json,
                                 ramify_tensor *tensor) {
    if (!plain_name(name))
        return ramify_damaged(context, source,
                              "header: a tensor's name is not 1 to %d letters, digits, dots, "
                              "underscores or dashes",
                              RAMIFY_TENSOR_NAME_MAX);
    memcpy(tensor->name, name, strlen(name) + 1);
    const json_t *dtype = json_object_get(json, "dtype");
    const json_t *shape = json_object_get(json, "shape");
    const json_t *offsets = json_object_get(json, "data_offsets");
    if (!json_is_object(json) || json_object_size(json) != 3 || !json_is_string(dtype) ||
        !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return ramify_damaged(context, source,
                              "tensor \"%s\": expected exactly dtype, shape and two data_offsets",
                              name);
    size_t kind = 0;
    while (kind < sizeof dtypes / sizeof dtypes[0] &&
           strcmp(dtypes[kind].name, json_string_value(dtype)) != 0)
        kind++;
    if (kind == sizeof dtypes / sizeof dtypes[0])
        return ramify_damaged(context, source, "tensor \"%s\": a dtype that ramify does not know",
                              name);
    tensor->dtype = (ramify_dtype)kind;

    size_t rank = json_array_size(shape);
    if (rank < 1 || rank > RAMIFY_TENSOR_RANK_MAX)
        return ramify_damaged(context, source, "tensor \"%s\": rank %zu, expected 1 to %d", name,
                              rank, RAMIFY_TENSOR_RANK_MAX);
    tensor->rank = (uint32_t)rank;
    uint64_t room = source->size - data_start;
    uint64_t bytes = dtypes[kind].bytes;
    for (size_t i = 0; i < rank; i++) {
        uint64_t size;
        if (!read_whole(json_array_get(shape, i), &size) || size == 0)
            return ramify_damaged(context, source,
                                  "tensor \"%s\": size %zu of its shape is not a whole number "
                                  "above 0",
                                  name, i);
        if (size > room / bytes)
            return ramify_damaged(context, source,
                                  "tensor \"%s\": its shape needs more than the %llu data bytes "
                                  "that the file has",
                                  name, (unsigned long long)room);
        bytes *= size; /* at most room */
        tensor->shape[i] = size;
    }
    uint64_t begin, end;
    if (!read_whole(json_array_get(offsets, 0), &begin) ||
        !read_whole(json_array_get(offsets, 1), &end) || begin > end || end > room)
        return ramify_damaged(context, source,
                              "tensor \"%s\": data_offsets are not a range inside the file's %llu "
                              "data bytes",
                              name, (unsigned long long)room);
    if (end - begin != bytes)
        return ramify_damaged(context, source,
                              "tensor \"%s\": data_offsets hold %llu bytes, expected %llu by dtype "
                              "and shape",
                              name, (unsigned long long)(end - begin), (unsigned long long)bytes);
    tensor->begin = data_start + begin;
    tensor->bytes = bytes;
    return RAMIFY_OK;
}

/* By where they begin; no two tensors of a good file begin at the same byte. */
static int compare_begin(const void *a, const void *b) {
    const ramify_tensor *left = a, *right = b;
    return (left->begin > right->begin) - (left->begin < right->begin);
}

/* Sorted tensors follow each other from the start of the data to the end of the file. */
static ramify_status check_order(ramify_context *context, const ramify_source *source,
                                 const ramify_container *container, bool foreign) {
    uint64_t next = container->data_start;
    for (uint32_t i = 0; i < container->count; i++) {
        const ramify_tensor *tensor = &container->tensors[i];
        if (tensor->begin != next)
            return ramify_damaged(context, source,
                                  "tensor \"%s\": begins at byte %llu of the data, expected %llu "
                                  "(tensors must neither overlap nor leave a gap)",
                                  tensor->name,
                                  (unsigned long long)(tensor->begin - container->data_start),
                                  (unsigned long long)(next - container->data_start));
        if (foreign) {
            next = tensor->begin + tensor->bytes;
            continue;
        }
        if (ramify_tensor_is_pad(tensor)) {
            if (tensor->dtype != RAMIFY_DTYPE_U8 || tensor->bytes >= RAMIFY_ALIGNMENT)
                return ramify_damaged(context, source,
                                      "tensor \"%s\": a pad must be U8 and shorter than %d bytes",
                                      tensor->name, RAMIFY_ALIGNMENT);
        } else if ((tensor->begin - container->data_start) % RAMIFY_ALIGNMENT != 0) {
            return ramify_damaged(context, source,
                                  "tensor \"%s\": begins at byte %llu of the data, expected a "
                                  "multiple of %d",
                                  tensor->name,
                                  (unsigned long long)(tensor->begin - container->data_start),
                                  RAMIFY_ALIGNMENT);
        }
        next = tensor->begin + tensor->bytes;
    }
    if (next != source->size)
        return ramify_damaged(context, source,
                              "the tensors end at byte %llu, the file at byte %llu",
                              (unsigned long long)next, (unsigned long long)source->size);
    return RAMIFY_OK;
}

static ramify_status read_entries(ramify_context *context, const ramify_source *source,
                                  json_t *header, bool foreign, ramify_container *container) {
    if (!json_is_object(header))
        return ramify_damaged(context, source, "header: not a JSON object");
    if (json_object_size(header) > RAMIFY_TENSORS_MAX)
        return ramify_damaged(context, source, "header: more than %d tensors", RAMIFY_TENSORS_MAX);
    container->tensors =
        ramify_allocate(context, json_object_size(header), sizeof *container->tensors);
    if (!container->tensors)
        return RAMIFY_ERROR_MEMORY;
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            const char *key;
            json_t *text;
            if (!json_is_object(value))
                return ramify_damaged(context, source, "header: __metadata__ is not an object");
            json_object_foreach(value, key, text) {
                if (!json_is_string(text))
                    return ramify_damaged(context, source,
                                          "header: a value of __metadata__ is not a string");
            }
            container->metadata = json_incref(value);
            continue;
        }
        RAMIFY_TRY(read_tensor(context, source, container->data_start, name, value,
                               &container->tensors[container->count]));
        container->count++;
    }
    if (!container->metadata && !foreign)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: a safetensors file without metadata, not a ramify model",
                           source->name);
    qsort(container->tensors, container->count, sizeof *container->tensors, compare_begin);
    return check_order(context, source, container, foreign);
}

static ramify_status read_header(ramify_context *context, const ramify_source *source,
                                 uint64_t length, bool foreign, ramify_container *container) {
    char *copy = NULL;
    const char *text;
    if (source->bytes) {
        text = (const char *)source->bytes + 8;
    } else {
        copy = ramify_allocate(context, (size_t)length, 1);
        if (!copy)
            return RAMIFY_ERROR_MEMORY;
        ramify_status status = ramify_source_read(context, source, 8, (size_t)length, copy);
        if (status != RAMIFY_OK) {
            ramify_release(context, copy);
            return status;
        }
        text = copy;
    }
    json_t *header = NULL;
    ramify_status status =
        ramify_parse_json(context, source, "header", text, (size_t)length, RAMIFY_HEADER_DEPTH_MAX,
                          RAMIFY_HEADER_VALUES_MAX, &header);
    ramify_release(context, copy);
    if (status == RAMIFY_OK)
        status = read_entries(context, source, header, foreign, container);
    json_decref(header);
    return status;
}

static ramify_status read_container(ramify_context *context, const ramify_source *source,
                                    bool foreign, ramify_container **container) {
    if (source->size < 8)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: %llu bytes long, not a ramify model or cut short", source->name,
                           (unsigned long long)source->size);
    unsigned char prefix[8];
    RAMIFY_TRY(ramify_source_read(context, source, 0, sizeof prefix, prefix));
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | prefix[i];
    if (length < 2 || length > RAMIFY_HEADER_BYTES_MAX)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: not a ramify model: header length %llu, expected 2 to %llu",
                           source->name, (unsigned long long)length,
                           (unsigned long long)RAMIFY_HEADER_BYTES_MAX);
    if (length > source->size - 8)
        return ramify_damaged(context, source,
                              "header of %llu bytes, the file has %llu after its length",
                              (unsigned long long)length, (unsigned long long)(source->size - 8));
    if (!foreign && (8 + length) % RAMIFY_DATA_ALIGNMENT != 0)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: data begin at byte %llu, expected a multiple of %d: a safetensors "
                           "file that ramify did not write",
                           source->name, (unsigned long long)(8 + length), RAMIFY_DATA_ALIGNMENT);
    ramify_container *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->data_start = 8 + length;
    ramify_status status = read_header(context, source, length, foreign, made);
    if (status != RAMIFY_OK)
        ramify_container_destroy(context, &made);
    else
        *container = made;
    return status;
}

ramify_status ramify_container_read(ramify_context *context, const ramify_source *source,
                                    ramify_container **container) {
    return read_container(context, source, false, container);
}

ramify_status ramify_container_read_foreign(ramify_context *context, const ramify_source *source,
                                            ramify_container **container) {
    return read_container(context, source, true, container);
}

void ramify_container_destroy(ramify_context *context, ramify_container **container) {
    if (!container || !*container)
        return;
    json_decref((*container)->metadata);
    ramify_release(context, (*container)->tensors);
    ramify_release(context, *container);
    *container = NULL;
}

const char *ramify_container_text(const ramify_container *container, const char *key) {
    return json_string_value(json_object_get(container->metadata, key));
}

static void append(ramify_layout *layout, const char *name, ramify_dtype dtype, uint32_t rank,
                   uint64_t rows, uint64_t columns) {
    ramify_tensor tensor = {.dtype = dtype, .rank = rank, .begin = layout->bytes};
    uint64_t *size = tensor.shape;
    if (rank == 3)
        *size++ = 1;
    *size++ = rows;
    if (rank > 1)
        *size++ = columns;
    tensor.bytes = dtypes[dtype].bytes * rows * (rank > 1 ? columns : 1);
    snprintf(tensor.name, sizeof tensor.name, "%s", name);
    if (layout->tensors)
        layout->tensors[layout->count] = tensor;
    layout->count++;
    layout->bytes += tensor.bytes;
}

uint64_t ramify_layout_add(ramify_layout *layout, const char *name, ramify_dtype dtype,
                           uint32_t rank, uint64_t rows, uint64_t columns) {
    uint64_t begin = layout->bytes;
    if (rows == 0 || (rank > 1 && columns == 0))
        return begin;
    append(layout, name, dtype, rank, rows, columns);
    uint64_t past = layout->bytes % RAMIFY_ALIGNMENT;
    if (past != 0) {
        char pad[RAMIFY_TENSOR_NAME_MAX + 1];
        snprintf(pad, sizeof pad, RAMIFY_PAD_PREFIX "%u", layout->pads++);
        append(layout, pad, RAMIFY_DTYPE_U8, 1, RAMIFY_ALIGNMENT - past, 0);
    }
    return begin;
}

static json_t *tensor_json(const ramify_tensor *tensor) {
    json_t *shape = json_array();
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtypes[tensor->dtype].name, "shape", shape,
                     "data_offsets", (json_int_t)tensor->begin,
                     (json_int_t)(tensor->begin + tensor->bytes));
}

ramify_status ramify_layout_header(ramify_context *context, const ramify_layout *layout,
                                   json_t *metadata, char **header, size_t *size) {
    json_t *json = json_object();
    bool made = json && json_object_set(json, "__metadata__", metadata) == 0;
    for (uint32_t i = 0; made && i < layout->count; i++)
        made = json_object_set_new(json, layout->tensors[i].name,
                                   tensor_json(&layout->tensors[i])) == 0;
    size_t length = made ? json_dumpb(json, NULL, 0, JSON_COMPACT) : 0;
    ramify_status status = RAMIFY_OK;
    size_t padded =
        (8 + length + RAMIFY_DATA_ALIGNMENT - 1) / RAMIFY_DATA_ALIGNMENT * RAMIFY_DATA_ALIGNMENT -
        8;
    if (length == 0) {
        status = ramify_fail(context, RAMIFY_ERROR_MEMORY, "out of memory for a model's header");
    } else if (padded > RAMIFY_HEADER_BYTES_MAX) {
        status = ramify_fail(context, RAMIFY_ERROR_LIMIT,
                             "the model's header (schema and options) takes %zu bytes, a file may "
                             "have %llu: use fewer columns or shorter names",
                             padded, (unsigned long long)RAMIFY_HEADER_BYTES_MAX);
    } else {
        char *text = ramify_allocate(context, padded, 1);
        if (text) {
            memset(text, ' ', padded);
            json_dumpb(json, text, length, JSON_COMPACT);
            *header = text;
            *size = padded;
        } else {
            status = RAMIFY_ERROR_MEMORY;
        }
    }
    json_decref(json);
    return status;
}

#include "model_file.h"
#include "crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory) {
    if (!memory)
        abort();
    return memory;
}

static json_t *metadata_of(const model_file *file) {
    return json_object_get(file->header, "__metadata__");
}

model_file *model_file_take(const void *bytes, size_t size) {
    model_file *file = need(calloc(1, sizeof *file));
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    file->header = need(json_loadb((const char *)bytes + 8, length, 0, NULL));
    file->original = need(json_deep_copy(file->header));
    const char *config = json_string_value(json_object_get(metadata_of(file), "ramify.config"));
    file->config = need(json_loads(config, 0, NULL));
    file->data_size = size - 8 - length;
    file->data = need(malloc(file->data_size));
    file->original_data = need(malloc(file->data_size));
    memcpy(file->data, (const char *)bytes + 8 + length, file->data_size);
    memcpy(file->original_data, file->data, file->data_size);
    return file;
}

void model_file_free(model_file *file) {
    json_decref(file->header);
    json_decref(file->config);
    json_decref(file->original);
    free(file->data);
    free(file->original_data);
    free(file);
}

void model_file_edit(json_t *root, const char *path, const char *value) {
    char key[128];
    json_t *at = root;
    for (;;) {
        size_t length = strcspn(path, "/");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        if (path[length] == '\0')
            break;
        at = need(json_is_array(at) ? json_array_get(at, (size_t)atoi(key))
                                    : json_object_get(at, key));
        path += length + 1;
    }
    json_t *json = value ? need(json_loads(value, JSON_DECODE_ANY, NULL)) : NULL;
    if (json_is_array(at))
        json ? json_array_set_new(at, (size_t)atoi(key), json)
             : json_array_remove(at, (size_t)atoi(key));
    else
        json ? json_object_set_new(at, key, json) : json_object_del(at, key);
}

static size_t tensor_at(const model_file *file, const char *name, size_t *bytes) {
    json_t *offsets = need(json_object_get(json_object_get(file->original, name), "data_offsets"));
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
    *bytes = (size_t)json_integer_value(json_array_get(offsets, 1)) - begin;
    return begin;
}

unsigned char *model_file_tensor(model_file *file, const char *name) {
    size_t bytes;
    return file->data + tensor_at(file, name, &bytes);
}

/* Renews the checksum in the reference at `place` bytes of the data. */
static void sign_reference(model_file *file, size_t place) {
    ramify_reference reference;
    size_t bytes;
    memcpy(&reference, file->original_data + place, sizeof reference);
    size_t record =
        tensor_at(file, reference.kind == RAMIFY_REFERENCE_NODE ? "tree.nodes" : "experts.0",
                  &bytes) +
        reference.offset;
    uint32_t crc = ramify_crc32c(0, file->data + record, reference.length);
    memcpy(file->data + place + offsetof(ramify_reference, crc), &crc, sizeof crc);
}

static uint32_t crc_of_tables(const unsigned char *data, size_t begin, size_t end, char *digits) {
    uint32_t crc = ramify_crc32c(0, data + begin, end - begin);
    snprintf(digits, 9, "%08x", crc);
    return crc;
}

static void sign_notes(model_file *file) {
    size_t bytes, begin, leaves;
    json_t *shape = json_object_get(json_object_get(file->original, "notes.leaves"), "shape");
    if (!shape)
        return;
    leaves = tensor_at(file, "notes.leaves", &bytes);
    bool residuals = json_object_get(file->original, "notes.residuals") != NULL;
    begin = tensor_at(file, residuals ? "notes.residuals" : "notes.distances", &bytes);
    char before[9], after[9];
    crc_of_tables(file->original_data, begin, leaves, before);
    crc_of_tables(file->data, begin, leaves, after);
    json_t *notes = json_object_get(file->config, "notes");
    const char *found = json_string_value(json_object_get(notes, "crc32c"));
    if (found && strcmp(found, before) == 0)
        json_object_set_new(notes, "crc32c", json_string(after));
    size_t size = (size_t)json_integer_value(json_array_get(shape, 1));
    for (uint32_t leaf = 0; leaf < json_integer_value(json_array_get(shape, 0)); leaf++) {
        unsigned char *record = file->data + leaves + leaf * size;
        uint32_t crc = ramify_crc32c(ramify_crc32c(0, &leaf, 4), record, size - 4);
        memcpy(record + size - 4, &crc, 4);
    }
}

void model_file_sign(model_file *file) {
    sign_notes(file);
    size_t bytes, starts[64], nodes = 0;
    bool tree = json_object_get(file->original, "tree.nodes") != NULL;
    size_t begin = tree ? tensor_at(file, "tree.nodes", &bytes) : 0;
    for (size_t at = 0; tree && at < bytes;) {
        const ramify_node_header *header =
            (const ramify_node_header *)(file->original_data + begin + at);
        starts[nodes++] = at;
        at += ramify_node_bytes(header->children, header->dims);
    }
    while (nodes-- > 0) {
        size_t node = begin + starts[nodes];
        const ramify_node_header *header = (const ramify_node_header *)(file->original_data + node);
        for (uint32_t child = 0; child < header->children; child++)
            sign_reference(file, node + sizeof *header + child * sizeof(ramify_reference));
    }
    size_t root = tensor_at(file, "tree.root", &bytes);
    sign_reference(file, root);
    /* Without a tree, experts.0 follows on tree.root and its pad. */
    begin = (root + bytes + 63) / 64 * 64;
    char *config = need(json_dumps(file->config, JSON_COMPACT));
    char digits[9];
    uint32_t crc = ramify_crc32c(0, config, strlen(config));
    crc = ramify_crc32c(crc, file->data, begin);
    snprintf(digits, sizeof digits, "%08x", crc);
    json_object_set_new(metadata_of(file), "ramify.crc32c", json_string(digits));
    json_object_set_new(metadata_of(file), "ramify.config", json_string(config));
    free(config);
}

unsigned char *model_file_join_text(const char *header, size_t length, bool padding,
                                    const unsigned char *data, size_t data_size, size_t *size) {
    uint64_t padded = padding ? (8 + length + 4095) / 4096 * 4096 - 8 : length;
    *size = 8 + padded + data_size;
    unsigned char *bytes = need(aligned_alloc(64, (*size + 63) / 64 * 64));
    memset(bytes, ' ', *size);
    memcpy(bytes, &padded, 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + padded, data, data_size);
    return bytes;
}

unsigned char *model_file_join(const model_file *file, size_t *size) {
    char *header = need(json_dumps(file->header, JSON_COMPACT));
    unsigned char *bytes =
        model_file_join_text(header, strlen(header), true, file->data, file->data_size, size);
    free(header);
    return bytes;
}

random_model *model_file_subject(ramify_context *context, bool notes, uint32_t packed) {
    random_model_options options = random_model_defaults();
    options.missing = options.bins = options.route = true;
    options.frequencies = 1;
    options.outputs = 2;
    options.arity = 2;
    options.notes = notes;
    options.packed = packed;
    options.hidden[1] = packed > 0 ? 18 : 0;
    for (;; options.seed++) {
        random_model *model = random_model_create(context, &options);
        if (model->leaves == 4 && model->stem.knot_count < 40)
            return model;
        random_model_destroy(model);
    }
}

/* Writing a model: number the nodes depth-first, lay the tensors out, copy them, then compute
 * checksums from the leaves up, so that tree.root's covers the whole tree and every module. */

#include "draft.h"
#include "crc32c.h"
#include "memory.h"
#include "model.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not numbered yet. */
#define NONE UINT32_MAX

/* The draft with everything that the file's order decides. */
typedef struct plan {
    ramify_context *context;
    const ramify_draft *draft;
    ramify_stem stem;           /* with `column` in canonical form */
    ramify_stem_column *column; /* columns; owned */
    uint32_t targets;           /* of a regression, else 0 */
    uint64_t module_bytes;      /* of each that is no series, or of the largest */

    uint32_t *order;     /* node_count: draft nodes depth-first; owned */
    uint32_t *depth;     /* node_count, by draft node; owned */
    uint32_t *number;    /* node_count: id of an inner node, number of a leaf; owned */
    uint64_t *offset;    /* node_count: of an inner node's record in tree.nodes; owned */
    uint32_t *module_id; /* draft modules and series: number in its group in the file, or NONE where
                            no leaf uses it; owned */
    uint32_t
        *modules; /* draft modules in the file's order, and from the draft's module_count on its
                            series; owned */
    uint64_t *module_at; /* modules, by number: where it begins in their tensor; owned */
    uint64_t *series_at; /* series, by number: likewise; owned */

    uint32_t nodes, leaves, tree_depth, arity;
    uint32_t module_count, series_count; /* in the file */
    uint64_t modules_bytes, modules_numbers;
    uint64_t series_bytes, series_numbers;
    uint64_t series_begin; /* of their tensor, from the start of experts.0 */
    uint64_t node_bytes;
    ramify_notes_shape notes;        /* zeroed: none */
    unsigned char *bytes;            /* the file; handed over at the end */
    unsigned char *data;             /* its data */
    const ramify_draft_share *share; /* NULL: all is written here */
    uint64_t hole, hole_bytes; /* of the data, what `bytes` lacks: the networks of a shared draft */
    ramify_layout layout;
} plan;

static ramify_status refuse(ramify_context *context, const char *what, uint32_t index) {
    return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "a model draft cannot be written: %s (%u)",
                       what, index);
}

/* The stem's columns with unused indices set to 0, as the format has them. */
static ramify_status plan_stem(plan *p) {
    const ramify_stem *stem = p->draft->stem;
    p->stem = *stem;
    if (!stem->bins)
        p->stem.knot_count = p->stem.entry_count = 0;
    p->column = ramify_allocate(p->context, stem->columns, sizeof *p->column);
    if (!p->column)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t c = 0; c < stem->columns; c++) {
        ramify_stem_column *column = &p->column[c];
        *column = stem->column[c];
        if (column->codes > 0)
            column->missing = 0;
        if (column->codes > 0 || !stem->bins)
            column->knots = 0;
        if (column->knots == 0)
            column->knot = 0;
        if (!stem->bins || (column->codes == 0 && column->knots == 0))
            column->entry = 0;
        if (column->codes > 0 || stem->frequencies == 0)
            column->periodic = 0;
    }
    p->stem.column = p->column;
    return RAMIFY_OK;
}

static ramify_status check_node(plan *p, uint32_t index) {
    const ramify_draft_node *node = &p->draft->nodes[index];
    if (p->depth[index] == NONE)
        return refuse(p->context, "a node without a parent before it", index);
    if (index > 0 && p->stem.routes > 0 && !node->prototype)
        return refuse(p->context, "a node without a prototype", index);
    if (node->children == 0)
        return node->module < p->draft->module_count + p->draft->series_count
                   ? RAMIFY_OK
                   : refuse(p->context, "a leaf without a module", index);
    if (node->children < 2 || node->children > RAMIFY_ARITY_MAX)
        return refuse(p->context, "a node must have 2 to 64 children", index);
    if (node->first_child <= index || node->first_child > p->draft->node_count ||
        node->children > p->draft->node_count - node->first_child)
        return refuse(p->context, "a node's children must follow it", index);
    if (p->depth[index] >= RAMIFY_TREE_DEPTH_MAX)
        return refuse(p->context, "a tree deeper than 64 nodes", index);
    for (uint32_t i = 0; i < node->children; i++) {
        if (p->depth[node->first_child + i] != NONE)
            return refuse(p->context, "a node with two parents", node->first_child + i);
        p->depth[node->first_child + i] = p->depth[index] + 1;
    }
    return RAMIFY_OK;
}

static uint64_t series_length(const ramify_series_header *series) {
    return ramify_series_bytes(series->axes, series->outputs, series->terms, series->bytes);
}

static uint64_t module_length(const plan *p, uint32_t module) {
    return p->draft->module_bytes ? p->draft->module_bytes[module] : p->module_bytes;
}

/* Gives a leaf's module its number, if it has none yet. */
static void place_module(plan *p, uint32_t module) {
    const ramify_draft *draft = p->draft;
    if (p->module_id[module] != NONE)
        return;
    if (module < draft->module_count) {
        p->modules[p->module_count] = module;
        p->module_at[p->module_count] = p->modules_bytes;
        p->modules_bytes += module_length(p, module);
        p->modules_numbers += draft->module_numbers ? draft->module_numbers[module] : 0;
        p->module_id[module] = p->module_count++;
        return;
    }
    p->modules[draft->module_count + p->series_count] = module;
    p->series_at[p->series_count] = p->series_bytes;
    const ramify_series_header *series = draft->series[module - draft->module_count];
    p->series_bytes += series_length(series);
    p->series_numbers += (uint64_t)series->terms * series->outputs;
    p->module_id[module] = p->series_count++;
}

static ramify_status plan_tree(plan *p) {
    ramify_context *context = p->context;
    const ramify_draft *draft = p->draft;
    uint32_t count = draft->node_count;
    if (count == 0)
        return refuse(context, "no root", 0);
    p->order = ramify_allocate(context, count, sizeof *p->order);
    p->depth = ramify_allocate(context, count, sizeof *p->depth);
    p->number = ramify_allocate(context, count, sizeof *p->number);
    p->offset = ramify_allocate(context, count, sizeof *p->offset);
    uint32_t modules = draft->module_count + draft->series_count;
    p->module_id = ramify_allocate(context, modules, sizeof *p->module_id);
    p->modules = ramify_allocate(context, modules, sizeof *p->modules);
    p->series_at = ramify_allocate(context, (size_t)draft->series_count + 1, sizeof *p->series_at);
    p->module_at = ramify_allocate(context, (size_t)draft->module_count + 1, sizeof *p->module_at);
    if (!p->order || !p->depth || !p->number || !p->offset || !p->module_id || !p->modules ||
        !p->series_at || !p->module_at)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        p->depth[i] = NONE;
    for (uint32_t i = 0; i < modules; i++)
        p->module_id[i] = NONE;
    p->depth[0] = 0;
    for (uint32_t i = 0; i < count; i++)
        RAMIFY_TRY(check_node(p, i));

    /* p->number is the stack until nodes get their numbers: a node's children replace it, last one
     * first, so entries never exceed the nodes that are still to come. */
    uint32_t *stack = p->number;
    uint32_t top = 0, placed = 0;
    stack[top++] = 0;
    while (top > 0) {
        uint32_t index = stack[--top];
        const ramify_draft_node *node = &draft->nodes[index];
        p->order[placed++] = index;
        for (uint32_t i = node->children; i-- > 0;)
            stack[top++] = node->first_child + i;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = p->order[i];
        const ramify_draft_node *node = &draft->nodes[index];
        if (node->children > 0) {
            p->number[index] = p->nodes++;
            p->offset[index] = p->node_bytes;
            p->node_bytes += ramify_node_bytes(node->children, p->stem.routes);
            p->arity = node->children > p->arity ? node->children : p->arity;
            p->tree_depth =
                p->depth[index] + 1 > p->tree_depth ? p->depth[index] + 1 : p->tree_depth;
            continue;
        }
        p->number[index] = p->leaves++;
        place_module(p, node->module);
    }
    return RAMIFY_OK;
}

static ramify_status plan_notes(plan *p) {
    const ramify_draft_notes *notes = p->draft->notes;
    if (!notes)
        return RAMIFY_OK;
    if (notes->shape.distances == 0 || notes->shape.distances > RAMIFY_NOTES_ENTRIES_MAX ||
        notes->shape.residuals > (p->targets > 0 ? RAMIFY_NOTES_ENTRIES_MAX : 0))
        return refuse(p->context, "tables of notes with too few or too many entries",
                      notes->shape.distances);
    if (!notes->center != (p->nodes > 0))
        return refuse(p->context, "notes have a centre exactly if there is no tree; nodes",
                      p->nodes);
    p->notes = notes->shape;
    p->notes.crc = ramify_notes_crc(notes, p->targets, p->stem.plain);
    return RAMIFY_OK;
}

/* Adds what the config says of notes. */
static bool add_notes(const plan *p, json_t *config) {
    char digits[9];
    snprintf(digits, sizeof digits, "%08x", p->notes.crc);
    return p->notes.distances == 0 ||
           json_object_set_new(config, "notes",
                               json_pack("{s:I, s:I, s:I, s:s}", "residuals",
                                         (json_int_t)p->notes.residuals, "distances",
                                         (json_int_t)p->notes.distances, "rows",
                                         (json_int_t)p->notes.rows, "crc32c", digits)) == 0;
}

/* Adds what the config says of experts and the tree above them. */
static bool add_tree(const plan *p, json_t *config) {
    json_t *groups = json_array();
    if (p->module_count > 0) {
        const ramify_module_type *type = p->draft->shape.type;
        json_t *group = json_pack("{s:s, s:s, s:I}", "tensor", "experts.0", "type", type->name,
                                  "count", (json_int_t)p->module_count);
        bool made = group && (!type->varies ||
                              json_object_set_new(group, "bytes",
                                                  json_integer((json_int_t)p->modules_bytes)) == 0);
        made = made && (!type->varies ||
                        json_object_set_new(group, "numbers",
                                            json_integer((json_int_t)p->modules_numbers)) == 0);
        made =
            made && json_object_set_new(group, "shape", type->shape_to_json(&p->draft->shape)) == 0;
        if (made)
            json_array_append(groups, group);
        json_decref(group);
    }
    if (p->series_count > 0) {
        const ramify_module_type *type = ramify_module_type_find("bandlimited");
        const ramify_module_shape shape = {.type = type, .series = p->draft->series_shape};
        json_array_append_new(
            groups,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "tensor",
                      p->module_count > 0 ? "experts.1" : "experts.0", "type", type->name, "count",
                      (json_int_t)p->series_count, "bytes", (json_int_t)p->series_bytes, "numbers",
                      (json_int_t)p->series_numbers, "shape", type->shape_to_json(&shape)));
    }
    size_t expected = (size_t)(p->module_count > 0) + (p->series_count > 0);
    json_t *tree = json_pack("{s:I, s:I, s:I, s:I}", "nodes", (json_int_t)p->nodes, "leaves",
                             (json_int_t)p->leaves, "depth", (json_int_t)p->tree_depth, "arity",
                             (json_int_t)p->arity);
    bool made =
        json_array_size(groups) == expected && json_object_set(config, "groups", groups) == 0;
    json_decref(groups);
    return json_object_set_new(config, "tree", tree) == 0 && made;
}

/* ramify.config, or NULL when out of memory or when the draft's own keys clash with ours. */
static json_t *make_config(plan *p, json_t *schema) {
    const ramify_stem *stem = &p->stem;
    json_t *config =
        json_pack("{s:O, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}}", "schema", schema,
                  "stem", "columns", (json_int_t)stem->columns, "plain", (json_int_t)stem->plain,
                  "features", (json_int_t)stem->features, "frequencies",
                  (json_int_t)stem->frequencies, "routes", (json_int_t)stem->routes, "knots",
                  (json_int_t)stem->knot_count, "entries", (json_int_t)stem->entry_count, "bins",
                  (int)stem->bins, "route", (int)(stem->route != NULL));
    bool made =
        config && (p->draft->paraformer ? ramify_paraformer_to_json(p->draft->paraformer, config)
                                        : add_tree(p, config));
    if (config && !(made && add_notes(p, config))) {
        json_decref(config);
        return NULL;
    }
    const char *key;
    json_t *value;
    if (p->draft->config && config)
        json_object_foreach(p->draft->config, key, value) {
            if (json_object_get(config, key) || json_object_set(config, key, value) != 0) {
                json_decref(config);
                return NULL;
            }
        }
    return config;
}

static ramify_status make_config_text(plan *p, char **text) {
    json_t *schema = NULL;
    RAMIFY_TRY(ramify_schema_to_json(p->context, p->draft->schema, true, &schema));
    json_t *config = make_config(p, schema);
    json_decref(schema);
    *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    return *text ? RAMIFY_OK
                 : ramify_fail(p->context, RAMIFY_ERROR_MEMORY,
                               "a model's config could not be made: out of memory, a number that "
                               "JSON lacks, or a key that is used twice");
}

/* The file's header for a checksum; its size is the same for every one. */
static ramify_status make_header(plan *p, const char *config, uint32_t crc, char **header,
                                 size_t *size) {
    char digits[9], format[16];
    snprintf(digits, sizeof digits, "%08x", crc);
    snprintf(format, sizeof format, "%d", RAMIFY_FORMAT);
    json_t *metadata = json_pack("{s:s, s:s, s:s, s:s, s:s}", "ramify.format", format,
                                 "ramify.version", RAMIFY_VERSION, "ramify.kind", p->draft->kind,
                                 "ramify.crc32c", digits, "ramify.config", config);
    if (!metadata)
        return ramify_fail(p->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's header");
    ramify_status status = ramify_layout_header(p->context, &p->layout, metadata, header, size);
    json_decref(metadata);
    return status;
}

/* Where byte `offset` of the data lies in memory. */
static unsigned char *place_of(const plan *p, uint64_t offset) {
    return p->data + offset - (offset >= p->hole + p->hole_bytes ? p->hole_bytes : 0);
}

static void put(plan *p, const char *name, const void *values) {
    for (uint32_t i = 0; i < p->layout.count; i++)
        if (strcmp(p->layout.tensors[i].name, name) == 0)
            memcpy(place_of(p, p->layout.tensors[i].begin), values,
                   (size_t)p->layout.tensors[i].bytes);
}

/* Where a tensor that is there lies. */
static unsigned char *find(const plan *p, const char *name) {
    uint32_t i = 0;
    while (strcmp(p->layout.tensors[i].name, name) != 0)
        i++;
    return place_of(p, p->layout.tensors[i].begin);
}

/* What a parent, or tree.root, says about a node whose record and modules are in place. */
static ramify_reference refer_to(const plan *p, uint32_t index, const unsigned char *nodes,
                                 const unsigned char *experts) {
    const ramify_draft_node *node = &p->draft->nodes[index];
    ramify_reference reference = {.kind = RAMIFY_REFERENCE_NODE, .id = p->number[index]};
    const unsigned char *record;
    if (node->children > 0) {
        reference.offset = p->offset[index];
        reference.length = (uint32_t)ramify_node_bytes(node->children, p->stem.routes);
        record = nodes + reference.offset;
    } else {
        uint32_t place = p->module_id[node->module];
        reference.kind = RAMIFY_REFERENCE_MODULE;
        reference.leaf = p->number[index];
        if (node->module < p->draft->module_count) {
            reference.id = place;
            reference.offset = p->module_at[place];
            reference.length = (uint32_t)module_length(p, node->module);
        } else {
            reference.group = p->module_count > 0;
            reference.id = p->module_count + place;
            reference.offset = p->series_begin + p->series_at[place];
            reference.length =
                (uint32_t)series_length(p->draft->series[node->module - p->draft->module_count]);
        }
        record = experts + reference.offset;
    }
    reference.crc = p->share && node->children == 0 ? p->share->crc[node->module]
                                                    : ramify_crc32c(0, record, reference.length);
    return reference;
}

void ramify_draft_module(float *to, const float *from, size_t floats) {
    for (size_t i = 0; i < floats; i++)
        to[i] = fabsf(from[i]) < FLT_MIN ? 0.0F : from[i];
}

/* Children come after their parents in p->order, so going backwards every record is complete before
 * its checksum is taken. */
static ramify_reference write_tree(plan *p, unsigned char *nodes, unsigned char *experts) {
    const ramify_draft *draft = p->draft;
    size_t stride = ramify_pad(p->stem.routes);
    for (uint32_t i = 0; i < p->module_count && !p->share; i++) {
        const uint32_t module = p->modules[i];
        unsigned char *to = experts + p->module_at[i];
        if (draft->shape.type->varies)
            memcpy(to, draft->modules[module], (size_t)module_length(p, module));
        else
            ramify_draft_module((float *)(void *)to, draft->modules[module],
                                (size_t)(p->module_bytes / sizeof(float)));
    }
    for (uint32_t i = 0; i < p->series_count; i++) {
        uint32_t module = p->modules[draft->module_count + i] - draft->module_count;
        memcpy(experts + p->series_begin + p->series_at[i], draft->series[module],
               (size_t)series_length(draft->series[module]));
    }
    for (uint32_t i = draft->node_count; i-- > 0;) {
        const ramify_draft_node *node = &draft->nodes[p->order[i]];
        if (node->children == 0)
            continue;
        unsigned char *record = nodes + p->offset[p->order[i]];
        ramify_node_header header = {.id = p->number[p->order[i]],
                                     .depth = p->depth[p->order[i]],
                                     .children = node->children,
                                     .dims = p->stem.routes};
        memcpy(record, &header, sizeof header);
        float *prototypes = (float *)(record + ramify_node_prototypes_at(node->children));
        for (uint32_t c = 0; c < node->children; c++) {
            uint32_t child = node->first_child + c;
            ramify_reference reference = refer_to(p, child, nodes, experts);
            memcpy(record + sizeof header + c * sizeof reference, &reference, sizeof reference);
            memcpy(prototypes + c * stride, draft->nodes[child].prototype,
                   p->stem.routes * sizeof *prototypes);
        }
    }
    return refer_to(p, 0, nodes, experts);
}

/* Embedding, head, branches and the references to these. */
static void write_branches(plan *p, unsigned char *branches) {
    const ramify_paraformer_shape *shape = p->draft->paraformer;
    const ramify_paraformer_weights *weights = &p->draft->weights;
    size_t floats = (size_t)(p->module_bytes / sizeof(float));
    ramify_draft_module((float *)(void *)find(p, "pos_embedding"), weights->embedding,
                        ramify_embedding_lay_out(&shape->embedding).floats);
    ramify_draft_module((float *)(void *)find(p, "mlp_head.0.weight"), weights->head,
                        ramify_head_lay_out(&shape->head).floats);
    for (uint32_t i = 0; i < shape->branches; i++) {
        unsigned char *record = branches + i * p->module_bytes;
        ramify_draft_module((float *)(void *)record, weights->branch + i * floats, floats);
        ramify_reference reference = {.kind = RAMIFY_REFERENCE_MODULE,
                                      .offset = i * p->module_bytes,
                                      .length = (uint32_t)p->module_bytes,
                                      .crc = ramify_crc32c(0, record, (size_t)p->module_bytes),
                                      .id = i};
        memcpy(find(p, "branches") + i * sizeof reference, &reference, sizeof reference);
    }
}

/* The tensors of the file; with layout->tensors NULL they are only counted. */
static ramify_layout_places plan_tensors(const plan *p, ramify_layout *layout, uint64_t *notes) {
    const bool packed =
        !p->draft->paraformer && p->module_count > 0 && p->draft->shape.type->varies;
    const ramify_layout_of of = {.stem = &p->stem,
                                 .targets = p->targets,
                                 .paraformer = p->draft->paraformer,
                                 .node_bytes = p->node_bytes,
                                 .modules = packed ? 0 : p->module_count,
                                 .module_bytes = packed ? 0 : p->module_bytes,
                                 .packed_bytes = packed ? p->modules_bytes : 0,
                                 .series_bytes = p->series_bytes};
    ramify_layout_places places;
    uint64_t tables;
    ramify_model_layout(&of, layout, &places);
    ramify_notes_layout(&p->notes, p->targets, p->stem.plain, p->nodes, p->leaves, layout, &tables,
                        notes);
    return places;
}

/* Puts this writer's share in place; `data` bytes come after the header's. */
static ramify_status put_share(const plan *p, uint64_t data, uint64_t modules) {
    const ramify_draft_share *share = p->share;
    const size_t floats = (size_t)(p->module_bytes / sizeof(float));
    float *record = ramify_allocate(p->context, floats, sizeof *record);
    if (!record)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = RAMIFY_OK;
    if (share->writes_rest) {
        const uint64_t after = p->hole + p->hole_bytes;
        status = share->put(share->argument, 0, p->bytes, (size_t)(data + p->hole));
        if (status == RAMIFY_OK && after < p->layout.bytes)
            status = share->put(share->argument, data + after, place_of(p, after),
                                (size_t)(p->layout.bytes - after));
    }
    for (uint32_t i = 0; status == RAMIFY_OK && i < p->module_count; i++) {
        const uint32_t module = p->modules[i];
        if (!share->writes[module])
            continue;
        ramify_draft_module(record, p->draft->modules[module], floats);
        status = share->put(share->argument, data + modules + p->module_at[i], record,
                            (size_t)p->module_bytes);
    }
    ramify_release(p->context, record);
    return status;
}

static ramify_status write_file(plan *p, const char *config, size_t *size) {
    uint64_t notes;
    ramify_layout counted = {0};
    plan_tensors(p, &counted, &notes);
    if (counted.count > RAMIFY_TENSORS_MAX)
        return refuse(p->context, "more layers than a file can name", counted.count);
    p->layout.tensors = ramify_allocate(p->context, counted.count, sizeof *p->layout.tensors);
    if (!p->layout.tensors)
        return RAMIFY_ERROR_MEMORY;
    const ramify_layout_places places = plan_tensors(p, &p->layout, &notes);
    char *header = NULL;
    size_t header_size;
    RAMIFY_TRY(make_header(p, config, 0, &header, &header_size));
    ramify_release(p->context, header);
    if (p->layout.bytes > SIZE_MAX - 8 - header_size)
        return ramify_fail(p->context, RAMIFY_ERROR_MEMORY, "a model of %llu bytes is too large",
                           (unsigned long long)p->layout.bytes);
    *size = 8 + header_size + (size_t)p->layout.bytes;
    if (p->share) {
        p->hole = places.modules;
        p->hole_bytes = p->modules_bytes;
    }
    p->bytes = ramify_allocate_zeroed(p->context, *size - (size_t)p->hole_bytes, 1);
    if (!p->bytes)
        return RAMIFY_ERROR_MEMORY;
    p->data = p->bytes + 8 + header_size;
    ramify_reference root = {0};
    if (p->draft->paraformer)
        write_branches(p, place_of(p, places.modules));
    else {
        p->series_begin = places.series - places.modules;
        root = write_tree(p, place_of(p, places.nodes), p->data + places.modules);
    }
    put(p, "stem.columns", p->stem.column);
    put(p, "stem.center", p->stem.center);
    put(p, "stem.scale", p->stem.scale);
    put(p, "stem.knots", p->stem.knots);
    put(p, "stem.table", p->stem.table);
    put(p, "stem.frequency", p->stem.frequency);
    put(p, "stem.route", p->stem.route);
    put(p, "head.center", p->draft->head_center);
    put(p, "head.scale", p->draft->head_scale);
    put(p, "tree.root", &root);
    if (p->draft->notes) {
        put(p, "notes.residuals", p->draft->notes->residuals);
        put(p, "notes.distances", p->draft->notes->distances);
        put(p, "notes.center", p->draft->notes->center);
        ramify_notes_write_leaves(p->draft->notes, p->targets, p->leaves, place_of(p, notes));
    }

    uint32_t crc = ramify_crc32c(0, config, strlen(config));
    crc = ramify_crc32c(crc, p->data, (size_t)places.resident);
    RAMIFY_TRY(make_header(p, config, crc, &header, &header_size));
    for (int i = 0; i < 8; i++)
        p->bytes[i] = (unsigned char)((uint64_t)header_size >> (8 * i));
    memcpy(p->bytes + 8, header, header_size);
    ramify_release(p->context, header);
    return p->share ? put_share(p, 8 + header_size, places.modules) : RAMIFY_OK;
}

static ramify_status write_plan(plan *p, size_t *size) {
    const ramify_draft *draft = p->draft;
    p->targets =
        draft->schema->task == RAMIFY_TASK_CLASSIFICATION ? 0 : draft->schema->target_count;
    RAMIFY_TRY(plan_stem(p));
    if (draft->paraformer) {
        p->module_bytes = ramify_branch_record_bytes(&draft->paraformer->branch);
        p->module_count = draft->paraformer->branches;
        p->leaves = 1;
    } else {
        p->module_bytes =
            draft->module_count > 0 ? draft->shape.type->record_bytes(&draft->shape) : 0;
        RAMIFY_TRY(plan_tree(p));
    }
    if (p->arity > 0 && ramify_node_bytes(p->arity, p->stem.routes) > UINT32_MAX)
        return refuse(p->context, "nodes larger than 4 GiB, by children", p->arity);
    RAMIFY_TRY(plan_notes(p));
    char *config = NULL;
    RAMIFY_TRY(make_config_text(p, &config));
    ramify_status status = write_file(p, config, size);
    free(config); /* jansson's */
    return status;
}

/* *bytes: what was laid out, of a file of *size bytes; NULL after a failure. */
static ramify_status write_draft(ramify_context *context, const ramify_draft *draft,
                                 const ramify_draft_share *share, void **bytes, size_t *size) {
    *bytes = NULL;
    plan *p = ramify_allocate_zeroed(context, 1, sizeof *p);
    if (!p)
        return RAMIFY_ERROR_MEMORY;
    p->context = context;
    p->draft = draft;
    p->share = share;
    ramify_status status = write_plan(p, size);
    if (status == RAMIFY_OK)
        *bytes = p->bytes;
    else
        ramify_release(context, p->bytes);
    ramify_release(context, p->layout.tensors);
    ramify_release(context, p->column);
    ramify_release(context, p->order);
    ramify_release(context, p->depth);
    ramify_release(context, p->number);
    ramify_release(context, p->offset);
    ramify_release(context, p->module_id);
    ramify_release(context, p->modules);
    ramify_release(context, p->series_at);
    ramify_release(context, p->module_at);
    ramify_release(context, p);
    return status;
}

ramify_status ramify_draft_write(ramify_context *context, const ramify_draft *draft, void **bytes,
                                 size_t *size) {
    void *made;
    size_t written = 0;
    RAMIFY_TRY(write_draft(context, draft, NULL, &made, &written));
    *bytes = made;
    *size = written;
    return RAMIFY_OK;
}

ramify_status ramify_draft_write_share(ramify_context *context, const ramify_draft *draft,
                                       const ramify_draft_share *share, uint64_t *size) {
    void *made;
    size_t written = 0;
    RAMIFY_TRY(write_draft(context, draft, share, &made, &written));
    ramify_release(context, made);
    *size = written;
    return RAMIFY_OK;
}

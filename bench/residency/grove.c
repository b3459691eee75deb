#include "grove.h"
#include "draft.h"
#include "memory.h"
#include "random.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

/* Children lie this much closer to their parent than it to its own. */
#define CLOSER 0.25

/* Experts that are made; the file's modules are these in turn. */
#define DIFFERENT 64

/* The child's place beside its parent's. */
static void step(uint64_t key, uint32_t level, const float *parent, float *point) {
    ramify_random random = ramify_random_stream(1, RAMIFY_PURPOSE_SPLIT, key, 0);
    double reach = 1;
    for (uint32_t i = 1; i < level; i++)
        reach *= CLOSER;
    for (int c = 0; c < GROVE_COLUMNS; c++)
        point[c] = parent[c] + (float)(reach * (2 * ramify_random_uniform(&random) - 1));
}

void grove_row(uint32_t levels, uint32_t leaf, float row[GROVE_COLUMNS]) {
    uint64_t key = 0;
    memset(row, 0, GROVE_COLUMNS * sizeof *row);
    for (uint32_t level = 1; level <= levels; level++) {
        key = ramify_random_child(key, leaf >> (3 * (levels - level)) & (GROVE_ARITY - 1));
        step(key, level, row, row);
    }
}

typedef struct grove {
    uint32_t levels, nodes;
    ramify_draft_node *node;
    uint64_t *key;     /* nodes */
    float *prototypes; /* nodes x GROVE_COLUMNS */
    const float **modules;
    float *experts; /* DIFFERENT records */
} grove;

/* Nodes level by level: the children of one level's nodes follow each other in the next. */
static bool plant(grove *g, const ramify_mlp_shape *shape) {
    uint32_t leaves = grove_experts(g->levels), first = 0;
    for (uint32_t level = 0; level <= g->levels; level++)
        g->nodes += grove_experts(level);
    size_t floats = ramify_mlp_record_bytes(shape) / sizeof(float);
    g->node = calloc(g->nodes, sizeof *g->node);
    g->key = calloc(g->nodes, sizeof *g->key);
    g->prototypes = calloc((size_t)g->nodes * GROVE_COLUMNS, sizeof *g->prototypes);
    g->modules = calloc(leaves, sizeof *g->modules);
    g->experts = aligned_alloc(RAMIFY_ALIGNMENT, DIFFERENT * floats * sizeof *g->experts);
    if (!g->node || !g->key || !g->prototypes || !g->modules || !g->experts)
        return false;
    for (uint32_t i = 0; i < DIFFERENT; i++)
        ramify_mlp_initialise(shape, 0.25F, 1, i, g->experts + i * floats);
    for (uint32_t i = 0; i < leaves; i++)
        g->modules[i] = g->experts + i % DIFFERENT * floats;
    for (uint32_t level = 0; level <= g->levels; level++) {
        uint32_t count = grove_experts(level);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t at = first + i;
            g->node[at].prototype = g->prototypes + (size_t)at * GROVE_COLUMNS;
            if (level == g->levels) {
                g->node[at].module = i;
                continue;
            }
            g->node[at].children = GROVE_ARITY;
            g->node[at].first_child = first + count + i * GROVE_ARITY;
            for (uint32_t c = 0; c < GROVE_ARITY; c++) {
                uint32_t child = g->node[at].first_child + c;
                g->key[child] = ramify_random_child(g->key[at], c);
                step(g->key[child], level + 1, g->prototypes + (size_t)at * GROVE_COLUMNS,
                     g->prototypes + (size_t)child * GROVE_COLUMNS);
            }
        }
        first += count;
    }
    return true;
}

static ramify_status write(ramify_context *context, const ramify_draft *draft, const char *path) {
    void *bytes = NULL;
    size_t size;
    ramify_model *model = NULL;
    RAMIFY_TRY(ramify_draft_write(context, draft, &bytes, &size));
    RAMIFY_TRY(ramify_open_owned(context, bytes, size, &model));
    ramify_status status = ramify_save(context, model, path);
    ramify_close(&model);
    return status;
}

ramify_status grove_write(ramify_context *context, uint32_t levels, const char *path) {
    static const char *const names[GROVE_COLUMNS] = {"x1", "x2", "x3", "x4",
                                                     "x5", "x6", "x7", "x8"};
    ramify_schema_column columns[GROVE_COLUMNS] = {{0}};
    ramify_stem_column stem_columns[GROVE_COLUMNS] = {{0}};
    double center[GROVE_COLUMNS] = {0}, scale[GROVE_COLUMNS];
    for (uint32_t c = 0; c < GROVE_COLUMNS; c++) {
        memcpy(&columns[c].name, &names[c], sizeof names[c]); /* only read */
        columns[c].low = -2;
        columns[c].high = 2;
        stem_columns[c].plain = stem_columns[c].feature = c;
        scale[c] = 1;
    }
    char target[] = "y", *targets[] = {target};
    ramify_schema schema = {.task = RAMIFY_TASK_REGRESSION,
                            .named = true,
                            .column_count = GROVE_COLUMNS,
                            .columns = columns,
                            .target_count = 1,
                            .targets = targets};
    ramify_stem stem = {.columns = GROVE_COLUMNS,
                        .plain = GROVE_COLUMNS,
                        .features = GROVE_COLUMNS,
                        .routes = GROVE_COLUMNS,
                        .column = stem_columns,
                        .center = center,
                        .scale = scale};
    double head_center = 0, head_scale = 1;
    ramify_draft draft = {.kind = levels > 0 ? "pathways" : "mlp",
                          .schema = &schema,
                          .stem = &stem,
                          .head_center = &head_center,
                          .head_scale = &head_scale,
                          .shape = {.type = ramify_module_type_find("mlp"),
                                    .mlp = {.layers = 3,
                                            .members = 1,
                                            .width = {GROVE_COLUMNS, GROVE_WIDTH, GROVE_WIDTH, 1}}},
                          .module_count = grove_experts(levels),
                          .config = json_object()};
    grove g = {.levels = levels};
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (draft.config && plant(&g, &draft.shape.mlp)) {
        draft.modules = g.modules;
        draft.node_count = g.nodes;
        draft.nodes = g.node;
        status = write(context, &draft, path);
    }
    json_decref(draft.config);
    free(g.node);
    free(g.key);
    free(g.prototypes);
    free(g.modules);
    free(g.experts);
    return status;
}

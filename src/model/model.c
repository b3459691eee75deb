/* What a model tells about itself. */

#include "model.h"
#include "crc32c.h"
#include "memory.h"
#include "status.h"

#include <string.h>

static uint64_t stem_numbers(const ramify_model *model) {
    const ramify_stem *stem = &model->stem;
    uint64_t numeric = 0;
    for (uint32_t c = 0; c < stem->columns; c++)
        numeric += stem->column[c].codes == 0;
    return 2 * numeric + stem->knot_count + 4 * (uint64_t)stem->entry_count +
           numeric * stem->frequencies + (stem->route ? (uint64_t)stem->routes * stem->plain : 0);
}

void ramify_model_get_info(const ramify_model *model, ramify_model_info *info) {
    const ramify_tree_limits *limits = &model->limits;
    uint64_t shared = stem_numbers(model) + 2 * (uint64_t)model->targets;
    uint64_t module = model->shape.type->parameters(&model->shape);
    uint64_t all =
        ramify_model_is_packed(model) ? limits->group[0].numbers : limits->group[0].count * module;
    if (ramify_model_series(model)) {
        const bool alone = model->series_group == 0;
        const uint64_t numbers = limits->group[model->series_group].numbers;
        all = alone ? numbers : all + numbers;
        module =
            alone ? model->series.most_numbers : ramify_larger(module, model->series.most_numbers);
    }
    const ramify_paraformer_shape *paraformer = ramify_model_paraformer(model);
    if (paraformer)
        shared += ramify_paraformer_shared_parameters(paraformer);
    /* Every node but the root, and every leaf, has a prototype. */
    uint64_t prototypes = limits->nodes > 0 ? limits->nodes - 1 + limits->leaves : 0;
    *info = (ramify_model_info){
        .kind = model->kind,
        .task = model->schema->task,
        .columns = model->schema->column_count,
        .targets = model->schema->target_count,
        .classes = model->schema->task == RAMIFY_TASK_CLASSIFICATION ? model->outputs : 0,
        .outputs = model->outputs,
        .leaves = limits->leaves,
        .modules = limits->modules,
        .parameters = shared + prototypes * limits->dims + all,
        .active_parameters = shared + (uint64_t)limits->depth * limits->arity * limits->dims +
                             (paraformer ? model->branches : 1) * module,
        .branches = paraformer ? model->branches : 0,
        .resident_bytes = model->need.total,
        .path_bytes = model->need.path,
        .module_bytes = model->need.module,
        .file_bytes = model->source.size,
        .intervals = model->notes.residuals > 0,
        .novelty = model->notes.distances > 0,
        .float64 = ramify_model_series(model) != NULL,
        .config = model->config,
    };
}

bool ramify_model_is_packed(const ramify_model *model) {
    return model->limits.groups > 0 && model->limits.group[0].varies &&
           !(ramify_model_series(model) && model->series_group == 0);
}

const char *ramify_model_column(const ramify_model *model, uint32_t column) {
    return column < model->schema->column_count ? model->schema->columns[column].name : NULL;
}

const char *ramify_model_target(const ramify_model *model, uint32_t target) {
    return target < model->schema->target_count ? model->schema->targets[target] : NULL;
}

const char *ramify_model_class(const ramify_model *model, uint32_t index) {
    return index < model->schema->class_count ? model->schema->classes[index] : NULL;
}

int64_t ramify_model_category(const ramify_model *model, uint32_t column, const char *text) {
    if (column >= model->schema->column_count || !model->schema->columns[column].categorical)
        return -1;
    const ramify_schema_column *about = &model->schema->columns[column];
    return text ? ramify_schema_category(about, text) : about->category_count;
}

void ramify_model_get_residency(const ramify_model *model, ramify_residency *residency) {
    uint64_t parts = atomic_load(&model->part_bytes);
    uint64_t predictors = atomic_load(&model->predictor_bytes);
    *residency = (ramify_residency){
        .resident_bytes = model->fixed_bytes + parts + predictors,
        .peak_bytes = atomic_load(&model->peak_bytes),
        .hits = atomic_load(&model->hits),
        .misses = atomic_load(&model->misses),
        .bytes_read = atomic_load(&model->bytes_read),
    };
}

/* What a message calls a module, before its number. */
static const char *module_name(const ramify_model *model, uint32_t group) {
    if (ramify_model_paraformer(model))
        return "branch";
    return group == 0 ? "tensor \"experts.0\", module" : "tensor \"experts.1\", module";
}

ramify_status ramify_module_check(ramify_context *context, const ramify_model *model,
                                  const ramify_reference *reference, const void *record) {
    uint32_t crc = ramify_crc32c(0, record, reference->length);
    if (crc != reference->crc)
        return ramify_damaged(context, &model->source, "%s %u: checksum %08x, expected %08x",
                              module_name(model, reference->group), reference->id, crc,
                              reference->crc);
    const char *fault = ramify_model_series(model) && reference->group == model->series_group
                            ? ramify_series_check(&model->series, record, reference->length)
                            : model->shape.type->check(&model->shape, record, reference->length);
    if (fault)
        return ramify_damaged(context, &model->source, "%s %u: %s",
                              module_name(model, reference->group), reference->id, fault);
    return RAMIFY_OK;
}

ramify_status ramify_model_need_tree(ramify_context *context, const ramify_model *model,
                                     const char *what) {
    if (!ramify_model_paraformer(model))
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                       "%s: there are no %s of a paraformer's predictions", model->source.name,
                       what);
}

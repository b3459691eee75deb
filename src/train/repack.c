/* Opening a model with rows, measuring its error, and drafting it with other records. */

#include "repack.h"
#include "annotate.h"
#include "expert.h"
#include "memory.h"
#include "predict.h"
#include "routing.h"
#include "score.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Networks that take more than this together do not stay in a core's caches. */
#define HOT_BYTES ((size_t)1 << 20)
/* A config that tells of more passes is not believed. */
#define EPOCHS_MAX 1000000

void ramify_repack_close(ramify_repack *r) {
    ramify_context *context = r->context;
    void *memory[] = {r->features, r->leaf, r->order, r->begin, r->held};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        ramify_release(context, memory[i]);
    ramify_dismantled_destroy(&r->parts);
    ramify_problem_destroy(context, &r->problem);
    ramify_split_destroy(context, &r->divided);
    ramify_match_destroy(context, &r->match);
}

ramify_status ramify_repack_open(ramify_context *context, ramify_model *model, const char *purpose,
                                 ramify_repack *r) {
    *r = (ramify_repack){.context = context, .model = model};
    RAMIFY_TRY(ramify_dismantle(context, model, &r->parts));
    if (r->parts->module_count == 0)
        return ramify_fail(context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: its modules are series, which have no weights to %s",
                           model->source.name, purpose);
    r->floats = ramify_mlp_layout(&r->parts->shape, r->layer);
    return RAMIFY_OK;
}

ramify_trained ramify_trained_by(const ramify_model *model) {
    ramify_trained found = {.decay = -1};
    json_t *config = json_loads(model->config, 0, NULL);
    const json_t *recipe = json_object_get(config, "recipe");
    const json_t *decay = json_object_get(recipe, "decay");
    const char *print = json_string_value(json_object_get(config, "fingerprint"));
    const double validation = json_number_value(json_object_get(recipe, "validation"));
    const double rate = json_number_value(json_object_get(recipe, "rate"));
    const json_int_t batch = json_integer_value(json_object_get(recipe, "batch"));
    const json_int_t epochs = json_integer_value(json_object_get(recipe, "epochs"));
    found.seed = (uint64_t)json_integer_value(json_object_get(config, "seed"));
    found.validation = validation > 0 && validation < 1 ? validation : 0;
    found.rate = rate > 0 && rate < 1 ? rate : 0;
    if (json_is_number(decay) && json_number_value(decay) >= 0 && json_number_value(decay) < 100)
        found.decay = json_number_value(decay);
    found.batch = batch > 0 && batch < (1 << 20) ? (uint32_t)batch : 0;
    found.epochs = epochs > 0 && epochs < EPOCHS_MAX ? (uint32_t)epochs : 0;
    found.distilled = json_is_true(json_object_get(recipe, "distilled"));
    found.bins = json_is_true(json_object_get(recipe, "bins"));
    found.periodic = json_integer_value(json_object_get(recipe, "frequencies")) > 0;
    if (print)
        snprintf(found.fingerprint, sizeof found.fingerprint, "%s", print);
    json_decref(config);
    return found;
}

/* --- Rows ---------------------------------------------------------------------------------------- */

static ramify_status find_column(const ramify_repack *r, const char *name,
                                 const ramify_column **column) {
    *column = NULL;
    if (!name)
        return RAMIFY_OK;
    const ramify_table *table = r->match->table;
    const size_t index = ramify_table_find(table, name, strlen(name));
    if (index == SIZE_MAX)
        return ramify_fail(r->context, RAMIFY_ERROR_DATA, "%s: %s names no column", table->source,
                           name);
    *column = &table->columns[index];
    return RAMIFY_OK;
}

static ramify_status check_weights(const ramify_repack *r, const uint32_t *rows, size_t count) {
    for (size_t i = 0; r->weight && i < count; i++) {
        const double value = r->weight->text ? NAN : ramify_column_value(r->weight, rows[i]);
        if (!(value >= 0 && isfinite(value)))
            return ramify_fail(
                r->context, RAMIFY_ERROR_DATA,
                "%s: column \"%s\": the weight of row %u is not a number of 0 or more",
                r->match->table->source, r->weight->name, rows[i] + 1);
    }
    return RAMIFY_OK;
}

/* The rows of the table, divided as they were in the training if nothing else is asked for. */
static ramify_status split_rows(ramify_repack *r, const ramify_trained *training,
                                const ramify_repack_rows *asked) {
    ramify_context *context = r->context;
    const ramify_table *table = r->match->table;
    if (asked->divided) {
        r->split = asked->divided;
        return find_column(r, asked->weight, &r->weight);
    }
    ramify_split_request request = {
        .seed = asked->own_seed ? asked->seed : training->seed,
        .validation = asked->validation > 0      ? asked->validation
                      : training->validation > 0 ? training->validation
                                                 : 0.1,
    };
    RAMIFY_TRY(find_column(r, asked->group, &request.group));
    RAMIFY_TRY(find_column(r, asked->time, &request.time));
    RAMIFY_TRY(find_column(r, asked->weight, &r->weight));
    uint32_t *rows = ramify_allocate(context, table->rows, sizeof *rows);
    double *labels = ramify_allocate(context, table->rows, sizeof *labels);
    ramify_status status = rows && labels ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_score_find_rows(context, r->match, rows, &request.count);
    if (status == RAMIFY_OK)
        status = check_weights(r, rows, request.count);
    if (status == RAMIFY_OK) {
        for (size_t i = 0; i < request.count; i++)
            labels[i] = ramify_match_target(r->match, 0, rows[i]);
        request.rows = rows;
        request.labels = r->model->targets == 0 ? labels : NULL;
        status = ramify_split_create(context, table, &request, &r->divided);
        r->split = r->divided;
    }
    ramify_release(context, rows);
    ramify_release(context, labels);
    return status;
}

static ramify_status make_problem(ramify_repack *r, const ramify_trained *training) {
    const ramify_split *split = r->split;
    const ramify_model *model = r->model;
    RAMIFY_TRY(ramify_problem_create_for(
        r->context, r->match, (ramify_rows){split->train, split->train_count},
        (ramify_rows){split->select, split->select_count},
        (ramify_rows){split->report, split->report_count}, r->weight, &model->stem,
        model->head_center, model->head_scale, &r->problem));
    char print[16];
    snprintf(print, sizeof print, "%08x", (unsigned)ramify_problem_fingerprint(r->problem));
    if (training->fingerprint[0] && strcmp(print, training->fingerprint) != 0)
        ramify_log(
            r->context, RAMIFY_LOG_WARNING,
            "%s: these are not the rows that %s was trained on, or validation rows are other "
            "ones now: where it has learned those, its own error on them is too small",
            r->match->table->source, model->source.name);
    return RAMIFY_OK;
}

ramify_status ramify_repack_read(ramify_repack *r, const ramify_table *table,
                                 const ramify_repack_rows *rows) {
    const ramify_trained training = ramify_trained_by(r->model);
    RAMIFY_TRY(ramify_match_create(r->context, r->model->schema, table, true, &r->match));
    RAMIFY_TRY(split_rows(r, &training, rows));
    return make_problem(r, &training);
}

static ramify_status encode_rows(ramify_repack *r) {
    const ramify_problem *problem = r->learned;
    const ramify_stem *stem = &r->model->stem;
    const size_t stride = ramify_pad(stem->features);
    float *points = NULL;
    r->rows = problem->rows;
    if (stem->bins || stem->frequencies > 0) {
        r->features = ramify_allocate(r->context, r->rows * stride, sizeof *r->features);
        if (!r->features)
            return RAMIFY_ERROR_MEMORY;
        ramify_stem_features(problem->kernels, stem, r->rows, problem->plain, problem->plain_stride,
                             r->features, stride);
    }
    r->leaf = ramify_allocate_zeroed(r->context, r->rows, sizeof *r->leaf);
    if (!r->leaf)
        return RAMIFY_ERROR_MEMORY;
    if (r->parts->node_count == 1)
        return RAMIFY_OK;
    RAMIFY_TRY(ramify_routing_points(problem, stem->route, stem->routes, &points));
    ramify_dismantled_route(r->parts, problem->kernels, stem, points, r->rows, r->leaf);
    ramify_release(r->context, points);
    return RAMIFY_OK;
}

/* Rows by the network that they end at; those at series are left out. */
static ramify_status deal_rows(ramify_repack *r) {
    const ramify_problem *problem = r->learned;
    const uint32_t modules = r->parts->module_count;
    const ramify_rows parts[] = {problem->train, problem->select, problem->report};
    r->order = ramify_allocate(r->context, r->rows, sizeof *r->order);
    r->begin = ramify_allocate_zeroed(r->context, (size_t)modules + 1, sizeof *r->begin);
    r->held = ramify_allocate_zeroed(r->context, modules, sizeof *r->held);
    size_t *next = ramify_allocate_zeroed(r->context, (size_t)2 * modules, sizeof *next);
    if (!r->order || !r->begin || !r->held || !next) {
        ramify_release(r->context, next);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t part = 0; part < 3; part++)
        for (size_t i = 0; i < parts[part].count; i++) {
            const uint32_t module = r->parts->nodes[r->leaf[parts[part].row[i]]].module;
            if (module < modules)
                next[2 * module + (part > 0)]++;
        }
    size_t place = 0;
    for (uint32_t m = 0; m < modules; m++) {
        const size_t train = next[2 * m], held = next[2 * m + 1];
        r->begin[m] = next[2 * m] = place;
        r->held[m] = next[2 * m + 1] = place + train;
        place += train + held;
    }
    r->begin[modules] = place;
    for (size_t part = 0; part < 3; part++)
        for (size_t i = 0; i < parts[part].count; i++) {
            const uint32_t row = parts[part].row[i], module = r->parts->nodes[r->leaf[row]].module;
            if (module < modules)
                r->order[next[2 * module + (part > 0)]++] = row;
        }
    ramify_release(r->context, next);
    return RAMIFY_OK;
}

ramify_status ramify_repack_deal(ramify_repack *r, const ramify_problem *problem) {
    r->learned = problem;
    RAMIFY_TRY(encode_rows(r));
    return deal_rows(r);
}

const float *ramify_repack_features(const ramify_repack *r) {
    return r->features ? r->features : r->learned->plain;
}

uint64_t ramify_repack_validation_rows(const ramify_repack *r) {
    uint64_t rows = 0;
    for (uint32_t m = 0; m < r->parts->module_count; m++)
        rows += r->begin[m + 1] - r->held[m];
    return rows;
}

/* --- Errors ----------------------------------------------------------------------------------- */

/* Rows that are run at a time. */
#define RUN_ROWS 64

/* Outputs of a stored module: rows x pad(outputs). */
static ramify_status stored_outputs(const ramify_repack *r, const ramify_stored *stored, uint32_t m,
                                    ramify_rows rows, float *outputs) {
    const ramify_module_type *type = stored->shape.type;
    const size_t stride = ramify_pad(r->model->stem.features);
    const size_t padded = ramify_pad(r->learned->outputs);
    float *x = ramify_allocate(r->context, RUN_ROWS * stride, sizeof *x);
    void *scratch = ramify_allocate(r->context, type->scratch_bytes(&stored->shape, RUN_ROWS), 1);
    ramify_status status = x && scratch ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t first = 0; status == RAMIFY_OK && first < rows.count; first += RUN_ROWS) {
        const size_t count = rows.count - first < RUN_ROWS ? rows.count - first : RUN_ROWS;
        for (size_t i = 0; i < count; i++)
            memcpy(x + i * stride, ramify_repack_features(r) + rows.row[first + i] * stride,
                   stride * sizeof *x);
        type->run(r->learned->kernels, &stored->shape, stored->record[m], count, x, stride,
                  outputs + first * padded, padded, scratch);
    }
    ramify_release(r->context, x);
    ramify_release(r->context, scratch);
    return status;
}

typedef struct measuring {
    const ramify_repack *repack;
    const ramify_stored *stored;
    double *error, *weight; /* modules: sums */
} measuring;

/* Task: sums of the errors of a module's validation rows. */
static ramify_status measure_module(void *argument, size_t m, uint32_t worker) {
    (void)worker;
    const measuring *to = argument;
    const ramify_repack *r = to->repack;
    const ramify_problem *problem = r->learned;
    const ramify_rows rows = {r->order + r->held[m], r->begin[m + 1] - r->held[m]};
    const size_t padded = ramify_pad(problem->outputs);
    float *outputs = ramify_allocate(r->context, rows.count * padded, sizeof *outputs);
    float *error = ramify_allocate(r->context, rows.count, sizeof *error);
    ramify_status status = outputs && error ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = to->stored ? stored_outputs(r, to->stored, (uint32_t)m, rows, outputs)
                            : ramify_expert_outputs(problem, &r->parts->shape, NULL,
                                                    ramify_repack_features(r), r->parts->records[m],
                                                    rows, outputs);
    if (status == RAMIFY_OK)
        ramify_expert_losses(problem, rows, outputs, NULL, error);
    for (size_t i = 0; status == RAMIFY_OK && i < rows.count; i++) {
        const double weight = problem->weight ? problem->weight[rows.row[i]] : 1.0;
        to->error[m] += weight * error[i];
        to->weight[m] += weight;
    }
    ramify_release(r->context, outputs);
    ramify_release(r->context, error);
    return status;
}

ramify_status ramify_repack_error(const ramify_repack *r, const ramify_stored *stored,
                                  double *error) {
    const uint32_t modules = r->parts->module_count;
    measuring to = {.repack = r,
                    .stored = stored,
                    .error = ramify_allocate_zeroed(r->context, modules, sizeof(double)),
                    .weight = ramify_allocate_zeroed(r->context, modules, sizeof(double))};
    ramify_status status = to.error && to.weight ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_parallel(r->context, modules, measure_module, &to);
    double sum = 0, weights = 0;
    for (uint32_t m = 0; status == RAMIFY_OK && m < modules; m++) {
        sum += to.error[m];
        weights += to.weight[m];
    }
    ramify_release(r->context, to.error);
    ramify_release(r->context, to.weight);
    RAMIFY_TRY(status);
    if (!(weights > 0))
        return ramify_fail(r->context, RAMIFY_ERROR_DATA,
                           "%s: no validation row ends at a network, or all weigh nothing",
                           r->match->table->source);
    *error = sum / weights;
    if (!r->problem->label)
        *error = sqrt(*error) * (r->problem->targets == 1 ? r->problem->head_scale[0] : 1.0);
    return RAMIFY_OK;
}

ramify_status ramify_repack_own_error(const ramify_repack *r, double *error) {
    const ramify_stored own = {.record = r->parts->packed, .shape = r->model->shape};
    return ramify_repack_error(r, r->parts->packed ? &own : NULL, error);
}

/* --- Storing ---------------------------------------------------------------------------------- */

void ramify_stored_clear(const ramify_repack *r, ramify_stored *s) {
    for (uint32_t m = 0; s->record && m < r->parts->module_count; m++)
        ramify_release(r->context, s->record[m]);
    ramify_release(r->context, (void *)s->record);
    ramify_release(r->context, s->bytes);
    ramify_release(r->context, s->numbers);
    ramify_release(r->context, s->spreads);
    *s = (ramify_stored){0};
}

ramify_status ramify_stored_begin(const ramify_repack *r, ramify_storage storage,
                                  ramify_weights type, ramify_stored *s) {
    const uint32_t modules = r->parts->module_count;
    const bool packed = storage != RAMIFY_STORAGE_DENSE || type != RAMIFY_WEIGHTS_FLOAT32;
    if (storage == RAMIFY_STORAGE_FASTEST &&
        modules * r->floats * ramify_weight_bytes(type) > HOT_BYTES)
        storage = RAMIFY_STORAGE_COLD;
    *s = (ramify_stored){.shape = {.type = ramify_module_type_find(packed ? "packed" : "mlp")},
                         .storage = storage};
    s->shape.packed.mlp = r->parts->shape;
    s->record = ramify_allocate_zeroed(r->context, modules, sizeof(void *));
    s->bytes = ramify_allocate_zeroed(r->context, modules, sizeof *s->bytes);
    s->numbers = ramify_allocate_zeroed(r->context, modules, sizeof *s->numbers);
    s->spreads = ramify_allocate_zeroed(r->context, modules, sizeof *s->spreads);
    return s->record && s->bytes && s->numbers && s->spreads ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

ramify_status ramify_stored_add(const ramify_repack *r, ramify_stored *s, uint32_t m,
                                const float *record, const ramify_rounding *rounding) {
    if (s->shape.type->varies)
        return ramify_packed_make(r->context, &r->parts->shape, record, s->storage, rounding,
                                  &s->record[m], &s->bytes[m], &s->numbers[m], &s->spreads[m]);
    s->bytes[m] = (uint32_t)(r->floats * sizeof *record);
    s->record[m] = ramify_allocate(r->context, r->floats, sizeof *record);
    if (!s->record[m])
        return RAMIFY_ERROR_MEMORY;
    memcpy(s->record[m], record, s->bytes[m]);
    return RAMIFY_OK;
}

void ramify_stored_end(const ramify_repack *r, ramify_stored *s) {
    ramify_packed_shape *packed = &s->shape.packed;
    for (uint32_t m = 0; m < r->parts->module_count; m++) {
        s->all += s->bytes[m];
        if (s->shape.type->varies && s->bytes[m] > packed->most_bytes)
            packed->most_bytes = s->bytes[m];
        if (s->shape.type->varies && s->numbers[m] > packed->most_numbers)
            packed->most_numbers = s->numbers[m];
        if (s->shape.type->varies && s->spreads[m] > packed->most_spread)
            packed->most_spread = s->spreads[m];
    }
}

/* The file, as ramify_draft_write makes it. */
static ramify_status draft_file(const ramify_repack *r, const ramify_stored *s, json_t *config,
                                const ramify_draft_notes *notes, void **bytes, size_t *size) {
    const ramify_model *from = r->model;
    const ramify_dismantled *parts = r->parts;
    const ramify_draft draft = {
        .kind = from->kind,
        .schema = from->schema,
        .stem = &from->stem,
        .head_center = from->head_center,
        .head_scale = from->head_scale,
        .shape = s->shape,
        .module_count = parts->module_count,
        .modules = (const void *const *)s->record,
        .module_bytes = s->shape.type->varies ? s->bytes : NULL,
        .module_numbers = s->shape.type->varies ? s->numbers : NULL,
        .series_shape = from->series,
        .series_count = parts->series_count,
        .series = (const ramify_series_header *const *)(void *)parts->series,
        .node_count = parts->node_count,
        .nodes = parts->nodes,
        .notes = notes,
        .config = config,
    };
    return ramify_draft_write(r->context, &draft, bytes, size);
}

static ramify_status draft_model(const ramify_repack *r, const ramify_stored *s, json_t *config,
                                 const ramify_draft_notes *notes, ramify_model **model) {
    void *bytes;
    size_t size;
    RAMIFY_TRY(draft_file(r, s, config, notes, &bytes, &size));
    return ramify_open_owned(r->context, bytes, size, model);
}

json_t *ramify_longest_report(const ramify_problem *problem) {
    const double longest = RAMIFY_LONGEST_NUMBER;
    const ramify_score score = {.rows = problem->report.count,
                                .accuracy = problem->label ? longest : NAN,
                                .log_loss = longest,
                                .brier = longest,
                                .calibration_error = longest,
                                .rmse = longest,
                                .mae = longest,
                                .r2 = longest};
    return ramify_score_json(&score);
}

ramify_sizes ramify_sizes_of(const ramify_model *model) {
    return (ramify_sizes){model->source.size, model->need.total};
}

ramify_status ramify_repack_size(const ramify_repack *r, const ramify_stored *s, json_t *config,
                                 ramify_sizes *sizes) {
    ramify_annotation *blank = NULL;
    ramify_model *model = NULL;
    if (json_object_set_new(config, "report", ramify_longest_report(r->problem)) != 0)
        return ramify_fail(r->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    RAMIFY_TRY(ramify_annotation_blank(r->problem, r->model, &blank));
    const ramify_status status = draft_model(r, s, config, &blank->notes, &model);
    ramify_annotation_destroy(r->context, &blank);
    if (status == RAMIFY_OK)
        *sizes = ramify_sizes_of(model);
    ramify_close(&model);
    return status;
}

void ramify_repack_warn(const ramify_repack *r, const ramify_model *made) {
    if (made->targets > 0 && made->notes.residuals == 0)
        ramify_log(r->context, RAMIFY_LOG_WARNING,
                   "%s: the notes on residuals, which intervals are made of, are left out: "
                   "validation rows leave only %zu to measure them on, and %d are needed",
                   r->model->source.name, r->split->report_count, RAMIFY_ANNOTATE_LEAST_ROWS);
}

ramify_status ramify_repack_write(const ramify_repack *r, const ramify_stored *s, json_t *config,
                                  ramify_model **model) {
    ramify_model *blank = NULL;
    ramify_annotation *annotation = NULL;
    ramify_score score;
    RAMIFY_TRY(draft_model(r, s, config, NULL, &blank));
    ramify_status status = ramify_score_model(r->context, blank, r->match, r->split->report,
                                              r->split->report_count, &score, NULL);
    if (status == RAMIFY_OK)
        status = ramify_annotate(r->problem, blank, r->match, r->split, &annotation);
    ramify_close(&blank);
    if (status == RAMIFY_OK &&
        json_object_set_new(config, "report", ramify_score_json(&score)) != 0)
        status = ramify_fail(r->context, RAMIFY_ERROR_MEMORY, "out of memory for a model's config");
    if (status == RAMIFY_OK)
        status = draft_model(r, s, config, &annotation->notes, model);
    ramify_annotation_destroy(r->context, &annotation);
    return status;
}

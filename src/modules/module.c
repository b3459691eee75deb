/* The table of module types. */

#include "module.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Reads a whole number in [low, high] under `key` of the JSON object. */
static ramify_status read_count(ramify_context *context, const char *where, const char *type,
                                const json_t *object, const char *key, uint32_t low, uint32_t high,
                                uint32_t *count) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < (json_int_t)low ||
        json_integer_value(value) > (json_int_t)high)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: %s module's \"%s\" must be a whole number from %u to %u; the "
                           "file is damaged or made by something else",
                           where, type, key, low, high);
    *count = (uint32_t)json_integer_value(value);
    return RAMIFY_OK;
}

static ramify_status mlp_from_json(ramify_context *context, const char *where, const json_t *json,
                                   ramify_module_shape *shape) {
    ramify_mlp_shape *mlp = &shape->mlp;
    *mlp = (ramify_mlp_shape){0};
    RAMIFY_TRY(read_count(context, where, "an mlp", json, "members", 1, RAMIFY_MLP_MEMBERS_MAX,
                          &mlp->members));
    const json_t *widths = json_object_get(json, "widths");
    size_t count = json_array_size(widths);
    if (!json_is_array(widths) || count < 2 || count > RAMIFY_MLP_LAYERS_MAX + 1)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: an mlp module's \"widths\" must be a list of 2 to %d numbers; the "
                           "file is damaged or made by something else",
                           where, RAMIFY_MLP_LAYERS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *width = json_array_get(widths, i);
        if (!json_is_integer(width) || json_integer_value(width) < 1 ||
            json_integer_value(width) > RAMIFY_MLP_WIDTH_MAX)
            return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                               "%s: width %zu of an mlp module must be a whole number from 1 to "
                               "%d; the file is damaged or made by something else",
                               where, i, RAMIFY_MLP_WIDTH_MAX);
        mlp->width[i] = (uint32_t)json_integer_value(width);
    }
    mlp->layers = (uint32_t)count - 1;
    if (ramify_mlp_record_bytes(mlp) == 0)
        return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                           "%s: an mlp module of these widths is larger than %zu bytes, the most "
                           "that is read",
                           where, RAMIFY_MLP_BYTES_MAX);
    return RAMIFY_OK;
}

static json_t *mlp_to_json(const ramify_module_shape *shape) {
    const ramify_mlp_shape *mlp = &shape->mlp;
    json_t *widths = json_array();
    for (uint32_t l = 0; widths && l <= mlp->layers; l++)
        if (json_array_append_new(widths, json_integer(mlp->width[l])) != 0) {
            json_decref(widths);
            return NULL;
        }
    return json_pack("{s:i, s:o}", "members", (int)mlp->members, "widths", widths);
}

static uint32_t mlp_inputs(const ramify_module_shape *shape) {
    return shape->mlp.width[0];
}

static uint32_t mlp_outputs(const ramify_module_shape *shape) {
    return shape->mlp.width[shape->mlp.layers];
}

static uint64_t mlp_parameters(const ramify_module_shape *shape) {
    return ramify_mlp_parameters(&shape->mlp);
}

static size_t mlp_record_bytes(const ramify_module_shape *shape) {
    return ramify_mlp_record_bytes(&shape->mlp);
}

static const char *mlp_check(const ramify_module_shape *shape, const void *record, uint64_t bytes) {
    (void)bytes; /* its shape has told them */
    const float *weight = record;
    size_t floats = ramify_mlp_record_bytes(&shape->mlp) / sizeof *weight;
    uint32_t wrong = 0;
    for (size_t i = 0; i < floats; i++)
        wrong |= !(fabsf(weight[i]) <= RAMIFY_MLP_WEIGHT_MAX); /* NaN too */
    return wrong ? "a weight is not a number of at most 1e+18 in size" : NULL;
}

static size_t mlp_scratch_bytes(const ramify_module_shape *shape, size_t rows) {
    size_t run = ramify_mlp_run_floats(&shape->mlp, rows);
    return run * sizeof(float);
}

static size_t mlp_gradient_bytes(const ramify_module_shape *shape, size_t rows) {
    size_t outputs = ramify_pad(shape->mlp.width[shape->mlp.layers]);
    return (ramify_mlp_train_floats(&shape->mlp, rows) + shape->mlp.members * rows * outputs) *
           sizeof(float);
}

static void mlp_run(const ramify_kernels *kernels, const ramify_module_shape *shape,
                    const void *record, size_t rows, const float *x, size_t ldx, float *y,
                    size_t ldy, void *scratch) {
    ramify_mlp_run(kernels, &shape->mlp, record, rows, x, ldx, y, ldy, scratch);
}

static void mlp_input_gradient(const ramify_kernels *kernels, const ramify_module_shape *shape,
                               const void *record, size_t rows, const float *x, size_t ldx,
                               const float *dy, size_t lddy, float *dx, size_t lddx,
                               void *scratch) {
    const ramify_mlp_shape *mlp = &shape->mlp;
    size_t outputs = ramify_pad(mlp->width[mlp->layers]);
    float *member_dy = scratch;
    float *rest = member_dy + mlp->members * rows * outputs;
    float share = 1.0f / (float)mlp->members;
    ramify_mlp_forward(kernels, mlp, record, rows, x, ldx, rest);
    for (size_t m = 0; m < mlp->members; m++)
        for (size_t row = 0; row < rows; row++)
            for (size_t j = 0; j < outputs; j++)
                member_dy[(m * rows + row) * outputs + j] = dy[row * lddy + j] * share;
    ramify_mlp_backward(kernels, mlp, record, rows, x, ldx, member_dy, NULL, dx, lddx, rest);
}

static ramify_status packed_from_json(ramify_context *context, const char *where,
                                      const json_t *json, ramify_module_shape *shape) {
    ramify_packed_shape packed = {0};
    RAMIFY_TRY(mlp_from_json(context, where, json, shape));
    packed.mlp = shape->mlp;
    RAMIFY_TRY(read_count(context, where, "a packed", json, "bytes", 64,
                          (uint32_t)RAMIFY_MLP_BYTES_MAX, &packed.most_bytes));
    RAMIFY_TRY(read_count(context, where, "a packed", json, "numbers", 0,
                          (uint32_t)(RAMIFY_MLP_BYTES_MAX / sizeof(float)), &packed.most_numbers));
    RAMIFY_TRY(read_count(context, where, "a packed", json, "spread", 0,
                          (uint32_t)(RAMIFY_MLP_BYTES_MAX / sizeof(float)), &packed.most_spread));
    shape->packed = packed;
    if (packed.most_bytes % 64 == 0)
        return RAMIFY_OK;
    return ramify_fail(context, RAMIFY_ERROR_FORMAT,
                       "%s: the largest packed module has %u bytes, expected a multiple of 64; the "
                       "file is damaged or made by something else",
                       where, packed.most_bytes);
}

static json_t *packed_to_json(const ramify_module_shape *shape) {
    json_t *json = mlp_to_json(shape);
    if (json &&
        (json_object_set_new(json, "bytes", json_integer(shape->packed.most_bytes)) != 0 ||
         json_object_set_new(json, "numbers", json_integer(shape->packed.most_numbers)) != 0 ||
         json_object_set_new(json, "spread", json_integer(shape->packed.most_spread)) != 0)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static uint64_t packed_parameters(const ramify_module_shape *shape) {
    return shape->packed.most_numbers;
}

static size_t packed_record_bytes(const ramify_module_shape *shape) {
    return shape->packed.most_bytes;
}

static const char *packed_check(const ramify_module_shape *shape, const void *record,
                                uint64_t bytes) {
    return ramify_packed_check(&shape->packed, record, bytes);
}

static size_t packed_scratch_bytes(const ramify_module_shape *shape, size_t rows) {
    return ramify_packed_scratch(&shape->packed, rows);
}

static void packed_run(const ramify_kernels *kernels, const ramify_module_shape *shape,
                       const void *record, size_t rows, const float *x, size_t ldx, float *y,
                       size_t ldy, void *scratch) {
    ramify_packed_run(kernels, &shape->packed, record, rows, x, ldx, y, ldy, scratch);
}

/* Gradients are those of the record unpacked. */
static size_t packed_gradient_bytes(const ramify_module_shape *shape, size_t rows) {
    return ramify_mlp_record_bytes(&shape->packed.mlp) + mlp_gradient_bytes(shape, rows);
}

static void packed_input_gradient(const ramify_kernels *kernels, const ramify_module_shape *shape,
                                  const void *record, size_t rows, const float *x, size_t ldx,
                                  const float *dy, size_t lddy, float *dx, size_t lddx,
                                  void *scratch) {
    float *unpacked = scratch;
    ramify_packed_unpack(&shape->packed, record, unpacked);
    mlp_input_gradient(kernels, shape, unpacked, rows, x, ldx, dy, lddy, dx, lddx,
                       (char *)scratch + ramify_mlp_record_bytes(&shape->packed.mlp));
}

static uint64_t branch_parameters(const ramify_module_shape *shape) {
    return ramify_branch_record_bytes(&shape->branch) / sizeof(float); /* there are no pads */
}

static size_t branch_record_bytes(const ramify_module_shape *shape) {
    return ramify_branch_record_bytes(&shape->branch);
}

static const char *branch_check(const ramify_module_shape *shape, const void *record,
                                uint64_t bytes) {
    (void)bytes;
    const float *weight = record;
    size_t floats = ramify_branch_record_bytes(&shape->branch) / sizeof *weight;
    bool good = true;
    for (size_t i = 0; i < floats; i++)
        good = good & (fabsf(weight[i]) <= RAMIFY_BRANCH_WEIGHT_MAX);
    return good ? NULL : "a weight is not a number of at most 1e4 in size";
}

static ramify_status series_from_json(ramify_context *context, const char *where,
                                      const json_t *json, ramify_module_shape *shape) {
    ramify_series_shape *series = &shape->series;
    *series = (ramify_series_shape){0};
    RAMIFY_TRY(read_count(context, where, "a bandlimited", json, "columns", 1, UINT32_MAX / 2,
                          &series->columns));
    RAMIFY_TRY(read_count(context, where, "a bandlimited", json, "outputs", 1, UINT32_MAX / 2,
                          &series->outputs));
    RAMIFY_TRY(read_count(context, where, "a bandlimited", json, "bytes",
                          sizeof(ramify_series_header), (uint32_t)RAMIFY_SERIES_BYTES_MAX,
                          &series->most_bytes));
    RAMIFY_TRY(read_count(context, where, "a bandlimited", json, "functions", 0,
                          RAMIFY_SERIES_AXES_MAX * (2 * RAMIFY_SERIES_BAND_MAX + 1),
                          &series->most_functions));
    RAMIFY_TRY(read_count(context, where, "a bandlimited", json, "numbers", 1,
                          (uint32_t)(RAMIFY_SERIES_BYTES_MAX / sizeof(float)),
                          &series->most_numbers));
    if (series->most_bytes % 64 == 0)
        return RAMIFY_OK;
    return ramify_fail(
        context, RAMIFY_ERROR_FORMAT,
        "%s: the largest bandlimited module has %u bytes, expected a multiple of 64; "
        "the file is damaged or made by something else",
        where, series->most_bytes);
}

static json_t *series_to_json(const ramify_module_shape *shape) {
    const ramify_series_shape *series = &shape->series;
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "columns", (json_int_t)series->columns, "outputs",
                     (json_int_t)series->outputs, "bytes", (json_int_t)series->most_bytes,
                     "functions", (json_int_t)series->most_functions, "numbers",
                     (json_int_t)series->most_numbers);
}

static uint32_t series_inputs(const ramify_module_shape *shape) {
    return shape->series.columns;
}

static uint32_t series_outputs(const ramify_module_shape *shape) {
    return shape->series.outputs;
}

static uint64_t series_parameters(const ramify_module_shape *shape) {
    return shape->series.most_numbers;
}

static size_t series_record_bytes(const ramify_module_shape *shape) {
    return shape->series.most_bytes;
}

static const char *series_check(const ramify_module_shape *shape, const void *record,
                                uint64_t bytes) {
    return ramify_series_check(&shape->series, record, bytes);
}

/* Rows are summed a few at a time, however many there are. */
static size_t series_scratch_bytes(const ramify_module_shape *shape, size_t rows) {
    (void)rows;
    return ramify_series_scratch(&shape->series, false);
}

static size_t series_gradient_bytes(const ramify_module_shape *shape, size_t rows) {
    (void)rows;
    return ramify_series_scratch(&shape->series, true);
}

static const ramify_module_type types[] = {
    {
        .name = "mlp",
        .shape_from_json = mlp_from_json,
        .shape_to_json = mlp_to_json,
        .inputs = mlp_inputs,
        .outputs = mlp_outputs,
        .parameters = mlp_parameters,
        .record_bytes = mlp_record_bytes,
        .check = mlp_check,
        .scratch_bytes = mlp_scratch_bytes,
        .gradient_bytes = mlp_gradient_bytes,
        .run = mlp_run,
        .input_gradient = mlp_input_gradient,
    },
    {
        .name = "packed",
        .varies = true,
        .shape_from_json = packed_from_json,
        .shape_to_json = packed_to_json,
        .inputs = mlp_inputs,
        .outputs = mlp_outputs,
        .parameters = packed_parameters,
        .record_bytes = packed_record_bytes,
        .check = packed_check,
        .scratch_bytes = packed_scratch_bytes,
        .gradient_bytes = packed_gradient_bytes,
        .run = packed_run,
        .input_gradient = packed_input_gradient,
    },
    {
        .name = "bandlimited",
        .varies = true,
        .shape_from_json = series_from_json,
        .shape_to_json = series_to_json,
        .inputs = series_inputs,
        .outputs = series_outputs,
        .parameters = series_parameters,
        .record_bytes = series_record_bytes,
        .check = series_check,
        .scratch_bytes = series_scratch_bytes,
        .gradient_bytes = series_gradient_bytes,
    },
    {
        .name = "branch",
        .parameters = branch_parameters,
        .record_bytes = branch_record_bytes,
        .check = branch_check,
    },
};

const ramify_module_type *ramify_module_type_find(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

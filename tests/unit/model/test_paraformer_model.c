/* Models of kind paraformer: what the file gives back against the readable twin of a branch; the same
 * bits for any bound, number of threads and piece; prefixes; damage. */

#include "branch_twin.h"
#include "counting.h"
#include "draft.h"
#include "memory.h"
#include "model.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS    40
#define OUTPUTS 3

typedef struct subject {
    char path[64];
    ramify_context *context;
    ramify_paraformer_shape shape;
    ramify_paraformer_weights weights;
    uint32_t columns, plain;
    uint32_t *plain_column;
    ramify_stem_column *column;
    double *center, *scale; /* columns */
    double head_center[OUTPUTS], head_scale[OUTPUTS];
    bool classes;
    double *x, *y; /* ROWS x columns, ROWS x OUTPUTS: what the model in memory predicts */
    uint64_t need;
} subject;

static float *random_floats(ramify_random *random, size_t count, double size) {
    float *made = aligned_alloc(64, (count * sizeof *made + 63) / 64 * 64);
    for (size_t i = 0; i < count; i++)
        made[i] = (float)(size * ramify_random_normal(random));
    return made;
}

/* Images of 6 x 4 pixels with 2 channels in patches of 2; or a table of two numeric columns, one of
 * them with gaps, and a categorical one. */
static void make_shape(subject *s, bool images) {
    ramify_embedding_shape *embedding = &s->shape.embedding;
    s->shape.branches = 4;
    s->shape.branch = (ramify_branch_shape){.depth = 2,
                                            .width = 32,
                                            .heads = 2,
                                            .hidden = 48,
                                            .plain_skip = !images,
                                            .qkv_bias = !images,
                                            .epsilon = 1e-5F};
    if (images) {
        embedding->height = 6;
        embedding->breadth = 4;
        embedding->channels = 2;
        embedding->patch = 2;
        s->columns = s->plain = 48;
        embedding->tokens = 7;
    } else {
        s->columns = 3;
        s->plain = 1 + 2 + 4;
        embedding->tokens = 4;
    }
    embedding->plain = s->plain;
    embedding->width = s->shape.head.width = 32;
    s->shape.branch.tokens = embedding->tokens;
    s->shape.head.outputs = OUTPUTS;
    s->shape.head.epsilon = 1e-5F;
}

static void make_stem(subject *s, bool images, ramify_random *random) {
    s->column = calloc(s->columns, sizeof *s->column);
    s->plain_column = calloc(s->plain, sizeof *s->plain_column);
    s->center = calloc(s->columns, sizeof *s->center);
    s->scale = calloc(s->columns, sizeof *s->scale);
    uint32_t plain = 0;
    for (uint32_t c = 0; c < s->columns; c++) {
        bool category = !images && c == 2;
        s->column[c] = (ramify_stem_column){.codes = category ? 4 : 0,
                                            .missing = !images && c == 1,
                                            .plain = plain,
                                            .feature = plain};
        uint32_t features = category ? 4 : 1 + s->column[c].missing;
        for (uint32_t f = 0; f < features; f++)
            s->plain_column[plain++] = c;
        s->center[c] = category ? 0 : ramify_random_normal(random);
        s->scale[c] = category ? 1 : 0.5 + ramify_random_uniform(random);
    }
    assert_int_equal(plain, s->plain);
}

static ramify_model *draft_model(subject *s, uint32_t branches) {
    static char *categories[] = {"red", "green", "blue"}, *targets[] = {"a", "b", "c"};
    static char names[48][16];
    ramify_schema_column *columns = calloc(s->columns, sizeof *columns);
    for (uint32_t c = 0; c < s->columns; c++) {
        snprintf(names[c], sizeof names[c], "x%u", c);
        columns[c] = (ramify_schema_column){.name = names[c], .low = -9, .high = 9};
        columns[c].missing = s->column[c].missing;
        if (s->column[c].codes > 0)
            columns[c] = (ramify_schema_column){.name = names[c],
                                                .categorical = true,
                                                .category_count = 3,
                                                .categories = categories};
    }
    ramify_schema schema = {.task =
                                s->classes ? RAMIFY_TASK_CLASSIFICATION : RAMIFY_TASK_REGRESSION,
                            .column_count = s->columns,
                            .columns = columns,
                            .target_count = s->classes ? 1 : OUTPUTS,
                            .targets = targets,
                            .class_count = s->classes ? OUTPUTS : 0,
                            .classes = s->classes ? targets : NULL};
    ramify_stem stem = {.columns = s->columns,
                        .plain = s->plain,
                        .features = s->plain,
                        .routes = s->plain,
                        .column = s->column,
                        .center = s->center,
                        .scale = s->scale};
    ramify_paraformer_shape shape = s->shape;
    shape.branches = branches;
    shape.embedding.column = s->plain_column;
    ramify_draft draft = {.kind = "paraformer",
                          .schema = &schema,
                          .stem = &stem,
                          .head_center = s->head_center,
                          .head_scale = s->head_scale,
                          .paraformer = &shape,
                          .weights = s->weights};
    void *bytes;
    size_t size;
    ramify_model *model = NULL;
    assert_int_equal(ramify_draft_write(s->context, &draft, &bytes, &size), RAMIFY_OK);
    if (ramify_open_owned(s->context, bytes, size, &model) != RAMIFY_OK)
        fail_msg("%s", ramify_message(s->context));
    free(columns);
    return model;
}

static void predict(ramify_context *context, ramify_model *model, size_t rows, const double *x,
                    double *y, size_t at_once) {
    ramify_predictor *predictor = NULL;
    uint32_t columns = model->stem.columns;
    if (ramify_predictor_create(context, model, at_once, &predictor) != RAMIFY_OK)
        fail_msg("%s", ramify_message(context));
    for (size_t first = 0, count; first < rows; first += count) {
        count = rows - first < at_once ? rows - first : at_once;
        assert_int_equal(ramify_predict_double(predictor, count, x + first * columns, columns,
                                               y + first * OUTPUTS, OUTPUTS),
                         RAMIFY_OK);
    }
    ramify_predictor_destroy(&predictor);
}

static subject new_subject(bool images, bool classes) {
    subject s = {.path = "/tmp/ramify-test-XXXXXX", .classes = classes};
    int descriptor = mkstemp(s.path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(ramify_context_create(NULL, &s.context), RAMIFY_OK);
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_INITIAL, 0, images);
    make_shape(&s, images);
    make_stem(&s, images, &random);
    const ramify_embedding_layout embedding = ramify_embedding_lay_out(&s.shape.embedding);
    const ramify_head_layout head = ramify_head_lay_out(&s.shape.head);
    size_t branch = ramify_branch_record_bytes(&s.shape.branch) / sizeof(float);
    s.weights.embedding = random_floats(&random, embedding.floats, 0.5);
    s.weights.head = random_floats(&random, head.floats, 0.5);
    for (size_t i = head.weight_bias + OUTPUTS; i < head.floats; i++)
        s.weights.head[i] = 0; /* a pad */
    s.weights.branch = random_floats(&random, s.shape.branches * branch, 0.3);
    for (int i = 0; i < OUTPUTS; i++) {
        s.head_center[i] = classes ? 0 : 10 * i;
        s.head_scale[i] = classes ? 1 : 1 + i;
    }
    s.x = calloc(ROWS * s.columns, sizeof *s.x);
    s.y = calloc(ROWS * OUTPUTS, sizeof *s.y);
    for (size_t i = 0; i < ROWS * s.columns; i++) {
        const ramify_stem_column *column = &s.column[i % s.columns];
        s.x[i] = column->codes > 0 ? (double)ramify_random_below(&random, 4)
                                   : ramify_random_normal(&random);
        if (column->missing && ramify_random_below(&random, 3) == 0)
            s.x[i] = (double)NAN;
    }
    ramify_model *model = draft_model(&s, s.shape.branches);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    s.need = info.resident_bytes;
    assert_int_equal(ramify_save(s.context, model, s.path), RAMIFY_OK);
    predict(s.context, model, ROWS, s.x, s.y, ROWS);
    ramify_close(&model);
    return s;
}

static void free_subject(subject *s) {
    unlink(s->path);
    ramify_context_destroy(&s->context);
    free(s->weights.embedding);
    free(s->weights.head);
    free(s->weights.branch);
    free(s->plain_column);
    free(s->column);
    free(s->center);
    free(s->scale);
    free(s->x);
    free(s->y);
}

/* Tokens of a row, width x tokens, from the description in embedding.h. */
static void twin_embed(const subject *s, const double *x, double *token) {
    const ramify_embedding_shape *shape = &s->shape.embedding;
    const ramify_embedding_layout at = ramify_embedding_lay_out(shape);
    const float *record = s->weights.embedding;
    size_t width = shape->width, tokens = shape->tokens;
    double *plain = calloc(s->plain, sizeof *plain);
    for (uint32_t c = 0; c < s->columns; c++) {
        const ramify_stem_column *column = &s->column[c];
        if (column->codes > 0) {
            plain[column->plain + (size_t)x[c]] = 1;
        } else if (isnan(x[c])) {
            plain[column->plain + 1] = 1;
        } else {
            plain[column->plain] = (x[c] - s->center[c]) / s->scale[c];
        }
    }
    for (size_t r = 0; r < width; r++)
        for (size_t t = 0; t < tokens; t++) {
            double sum = (double)record[at.pos + t * width + r];
            if (t == 0)
                sum += (double)record[at.cls + r];
            for (size_t f = 0; t > 0 && shape->patch == 0 && f < s->plain; f++)
                if (s->plain_column[f] == t - 1)
                    sum += plain[f] * (double)record[at.weight + f * width + r];
            if (t > 0 && shape->patch > 0) {
                size_t across = shape->breadth / shape->patch, k = 0;
                size_t top = (t - 1) / across * shape->patch,
                       left = (t - 1) % across * shape->patch;
                size_t numbers = ramify_embedding_patch_numbers(shape);
                sum += (double)record[at.bias + r];
                for (size_t i = 0; i < shape->patch; i++)
                    for (size_t j = 0; j < shape->patch; j++)
                        for (size_t c = 0; c < shape->channels; c++, k++)
                            sum += (double)record[at.weight + r * numbers + k] *
                                   plain[((top + i) * shape->breadth + left + j) * shape->channels +
                                         c];
            }
            token[r * tokens + t] = sum;
        }
    free(plain);
}

static void twin_predict(const subject *s, uint32_t branches, const double *x, double *y) {
    size_t width = s->shape.branch.width, tokens = s->shape.branch.tokens;
    size_t floats = ramify_branch_record_bytes(&s->shape.branch) / sizeof(float);
    const ramify_head_layout at = ramify_head_lay_out(&s->shape.head);
    const float *head = s->weights.head;
    double *token = calloc(width * tokens, sizeof *token), *record = calloc(floats, sizeof *record);
    double *made = calloc(width, sizeof *made), *sum = calloc(width, sizeof *sum);
    twin_embed(s, x, token);
    for (uint32_t b = 0; b < branches; b++) {
        for (size_t i = 0; i < floats; i++)
            record[i] = (double)s->weights.branch[b * floats + i];
        branch_twin(&s->shape.branch, record, token, made);
        for (size_t r = 0; r < width; r++)
            sum[r] += made[r];
    }
    double mean = 0, variance = 0, all = 0;
    for (size_t r = 0; r < width; r++)
        mean += sum[r] / (double)width;
    for (size_t r = 0; r < width; r++)
        variance += pow(sum[r] - mean, 2) / (double)width;
    for (size_t j = 0; j < OUTPUTS; j++) {
        y[j] = (double)head[at.weight_bias + j];
        for (size_t r = 0; r < width; r++)
            y[j] += (double)head[at.weight + j * width + r] *
                    ((sum[r] - mean) / sqrt(variance + (double)s->shape.head.epsilon) *
                         (double)head[at.gain + r] +
                     (double)head[at.bias + r]);
        all += exp(y[j]);
    }
    for (size_t j = 0; j < OUTPUTS; j++)
        y[j] = s->classes ? exp(y[j]) / all : s->head_center[j] + s->head_scale[j] * y[j];
    free(token);
    free(record);
    free(made);
    free(sum);
}

static void check_twin(const subject *s, uint32_t branches, const double *y) {
    for (size_t row = 0; row < ROWS; row++) {
        double want[OUTPUTS];
        twin_predict(s, branches, s->x + row * s->columns, want);
        for (size_t j = 0; j < OUTPUTS; j++)
            if (!(fabs(y[row * OUTPUTS + j] - want[j]) < 2e-4 * (1 + fabs(want[j]))))
                fail_msg("row %zu, output %zu: %.9g, expected %.9g", row, j, y[row * OUTPUTS + j],
                         want[j]);
    }
}

static void test_predictions(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        subject s = new_subject(kind & 1, kind & 2);
        check_twin(&s, s.shape.branches, s.y);
        free_subject(&s);
    }
}

static ramify_status open_file(const subject *s, ramify_context *context, uint64_t bound,
                               uint32_t branches, ramify_model **model) {
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.resident_bytes = bound;
    options.branches = branches;
    *model = NULL;
    return ramify_open(context, s->path, &options, model);
}

/* A prefix is run, and is what a file with so many branches gives. */
static void test_prefixes(void **state) {
    (void)state;
    subject s = new_subject(true, false);
    double y[ROWS * OUTPUTS], shorter[ROWS * OUTPUTS];
    for (uint32_t k = 1; k <= s.shape.branches; k++) {
        ramify_model *model, *lone = draft_model(&s, k);
        assert_int_equal(open_file(&s, s.context, 0, k, &model), RAMIFY_OK);
        ramify_model_info info;
        ramify_model_get_info(model, &info);
        assert_int_equal(info.branches, k);
        assert_int_equal(info.modules, s.shape.branches);
        predict(s.context, model, ROWS, s.x, y, 7);
        predict(s.context, lone, ROWS, s.x, shorter, ROWS);
        assert_memory_equal(y, shorter, sizeof y);
        check_twin(&s, k, y);
        ramify_close(&model);
        ramify_close(&lone);
    }
    ramify_model *model;
    assert_int_equal(open_file(&s, s.context, 0, 5, &model), RAMIFY_ERROR_ARGUMENT);
    assert_non_null(strstr(ramify_message(s.context), "5 branches asked for, it has 4"));
    free_subject(&s);
}

/* The bound holds to the byte, branches are read again and again, and the answers stay. */
static void test_bound(void **state) {
    (void)state;
    subject s = new_subject(true, true);
    double y[ROWS * OUTPUTS];
    uint64_t branch = ramify_branch_record_bytes(&s.shape.branch);
    const uint64_t bounds[] = {s.need, s.need + branch / 2, s.need + branch + 5000,
                               s.need + 10 * branch, 0};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (size_t at_once = 1; at_once <= ROWS; at_once += 13) {
            counting counts = {0};
            ramify_context *context = counting_context(&counts);
            ramify_model *model;
            assert_int_equal(open_file(&s, context, bounds[i], 0, &model), RAMIFY_OK);
            ramify_predictor *predictor = NULL;
            assert_int_equal(ramify_predictor_create(context, model, at_once, &predictor),
                             RAMIFY_OK);
            uint64_t calls = counts.calls;
            assert_int_equal(ramify_predict_double(predictor, ROWS, s.x, s.columns, y, OUTPUTS),
                             RAMIFY_OK);
            assert_int_equal(counts.calls, calls); /* predicting allocates nothing */
            assert_memory_equal(y, s.y, sizeof y);
            ramify_predictor_destroy(&predictor);
            ramify_residency residency;
            ramify_model_get_residency(model, &residency);
            if (bounds[i] > 0)
                assert_true(residency.peak_bytes <= bounds[i]);
            if (i == 0)
                assert_true(residency.misses > s.shape.branches);
            assert_int_equal(ramify_model_check(context, model), RAMIFY_OK);
            ramify_close(&model);
            ramify_context_destroy(&context);
            assert_int_equal(counts.live, 0);
        }
    ramify_model *model;
    assert_int_equal(open_file(&s, s.context, s.need - 1, 0, &model), RAMIFY_ERROR_LIMIT);
    free_subject(&s);
}

static void test_threads(void **state) {
    (void)state;
    subject s = new_subject(true, true);
    double y[ROWS * OUTPUTS];
    for (uint32_t threads = 1; threads <= 5; threads++) {
        ramify_context_options options;
        ramify_context_options_init(&options);
        options.threads = threads;
        ramify_context *context;
        ramify_model *model;
        assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
        for (int bounded = 0; bounded < 2; bounded++) {
            assert_int_equal(open_file(&s, context, bounded ? s.need + 70000 : 0, 0, &model),
                             RAMIFY_OK);
            predict(context, model, ROWS, s.x, y, 1);
            assert_memory_equal(y, s.y, sizeof y);
            predict(context, model, ROWS, s.x, y, 16);
            assert_memory_equal(y, s.y, sizeof y);
            ramify_close(&model);
        }
        ramify_context_destroy(&context);
    }
    free_subject(&s);
}

/* Weights that are changed, and weights that are no numbers under a checksum that fits. */
static void test_damage(void **state) {
    (void)state;
    subject s = new_subject(false, false);
    ramify_model *model = draft_model(&s, 2);
    size_t size = (size_t)model->source.size;
    unsigned char *bytes = aligned_alloc(64, (size + 63) / 64 * 64);
    memcpy(bytes, model->source.bytes, size);
    uint64_t at = model->experts.begin + model->limits.module_bytes + 40;
    uint64_t reference = (uint64_t)((const unsigned char *)model->branch - model->source.bytes);
    ramify_close(&model);
    bytes[at] ^= 1;
    assert_int_equal(ramify_open_buffer(s.context, bytes, size, &model), RAMIFY_OK);
    double y[OUTPUTS];
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(s.context, model, 1, &predictor), RAMIFY_OK);
    assert_int_equal(ramify_predict_double(predictor, 1, s.x, s.columns, y, OUTPUTS),
                     RAMIFY_ERROR_FORMAT);
    assert_non_null(strstr(ramify_message(s.context), "branch 1: checksum"));
    ramify_predictor_destroy(&predictor);
    assert_int_equal(ramify_model_check(s.context, model), RAMIFY_ERROR_FORMAT);
    ramify_close(&model);
    bytes[at] ^= 1;
    bytes[reference + 8] ^= 64; /* the offset of branch 0 */
    assert_int_equal(ramify_open_buffer(s.context, bytes, size, &model), RAMIFY_ERROR_FORMAT);
    free(bytes);

    s.weights.branch[5] = INFINITY;
    model = draft_model(&s, 2);
    assert_int_equal(ramify_model_check(s.context, model), RAMIFY_ERROR_FORMAT);
    assert_non_null(strstr(ramify_message(s.context), "branch 0: a weight is not a number"));
    ramify_close(&model);
    free_subject(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predictions), cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_bound),       cmocka_unit_test(test_threads),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Models as C source: compiled by the system's compiler with its warnings as errors, loaded, and
 * compared with the library. */

#include "counting.h"
#include "files.h"
#include "memory.h"
#include "random_model.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS   200
#define MODELS 16

/* Difference allowed, in units in the last place of a float of the result's size. */
#define ULPS 100.0

typedef void (*exported)(const float *x, float *y);

typedef struct place {
    char directory[64];
    char source[96], object[96], file[96];
    ramify_context *context;
} place;

static int set_up(void **state) {
    static place p;
    p = (place){.directory = "/tmp/ramify-export-XXXXXX"};
    assert_non_null(mkdtemp(p.directory));
    snprintf(p.source, sizeof p.source, "%s/m.c", p.directory);
    snprintf(p.object, sizeof p.object, "%s/m.so", p.directory);
    snprintf(p.file, sizeof p.file, "%s/m.ramify", p.directory);
    assert_int_equal(ramify_context_create(NULL, &p.context), RAMIFY_OK);
    *state = &p;
    return 0;
}

static int tear_down(void **state) {
    place *p = *state;
    ramify_context_destroy(&p->context);
    unlink(p->source);
    unlink(p->object);
    unlink(p->file);
    return rmdir(p->directory); /* fails where something else was left */
}

/* Compiles p->source to p->object. */
static void compile(const place *p) {
    const char *compiler = getenv("CC") && *getenv("CC") ? getenv("CC") : "cc";
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execlp(compiler, compiler, "-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
               "-Wmissing-prototypes", "-Werror", "-shared", "-fPIC", "-o", p->object, p->source,
               "-lm", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Exports the model, compiles the source and loads it. */
static exported load(const place *p, ramify_model *model, void **handle) {
    if (ramify_export_c(p->context, model, p->source, "try_it") != RAMIFY_OK)
        fail_msg("%s", ramify_message(p->context));
    compile(p);
    *handle = dlopen(p->object, RTLD_NOW | RTLD_LOCAL);
    if (!*handle)
        fail_msg("%s", dlerror());
    void *symbol = dlsym(*handle, "try_it");
    assert_non_null(symbol);
    exported run;
    memcpy(&run, &symbol, sizeof run);
    return run;
}

static bool close_enough(const random_model *twin, uint32_t output, float found, float expected) {
    double size = fmax(fabs((double)expected), 0.01);
    if (twin->schema.task == RAMIFY_TASK_REGRESSION)
        size = fmax(size, fabs(twin->head_center[output]) + fabs(twin->head_scale[output]));
    return fabs((double)found - (double)expected) <= ULPS * 0x1p-24 * size;
}

/* Rows of which the source says something else than the library, with the kernels of `isa`. */
static size_t rows_apart(const char *isa, random_model *twin, ramify_model *model, exported run) {
    ramify_context_options choices;
    ramify_context_options_init(&choices);
    choices.isa = isa;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&choices, &context), RAMIFY_OK);
    ramify_predictor *predictor = NULL;
    assert_int_equal(ramify_predictor_create(context, model, 1, &predictor), RAMIFY_OK);
    uint32_t columns = twin->stem.columns, outputs = model->outputs;
    double *raw = calloc(columns, sizeof *raw);
    float *x = calloc(columns, sizeof *x);
    float *expected = calloc(outputs, sizeof *expected);
    float *y = calloc(outputs + 1, sizeof *y);
    size_t apart = 0;
    for (size_t row = 0; row < ROWS; row++) {
        random_model_row(twin, raw);
        for (uint32_t c = 0; c < columns; c++)
            x[c] = row % 50 == 49 ? NAN : (float)raw[c];
        assert_int_equal(ramify_predict(predictor, 1, x, columns, expected, outputs), RAMIFY_OK);
        for (uint32_t j = 0; j <= outputs; j++)
            y[j] = 12345.0F;
        run(x, y);
        assert_true(y[outputs] == 12345.0F); /* nothing behind the outputs is written */
        bool equal = true;
        for (uint32_t j = 0; j < outputs; j++)
            equal = equal && close_enough(twin, j, y[j], expected[j]);
        apart += !equal;
    }
    ramify_predictor_destroy(&predictor);
    ramify_context_destroy(&context);
    free(raw);
    free(x);
    free(expected);
    free(y);
    return apart;
}

/* A row that lies between two cells, to within rounding, may fall to either side; among these rows
 * there is none. */
static void compare(const place *p, const random_model_options *options) {
    random_model *twin = random_model_create(p->context, options);
    ramify_model *model = random_model_open(twin);
    void *handle;
    exported run = load(p, model, &handle);
    const ramify_kernels *const *sets;
    size_t count = ramify_kernels_list(&sets);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(sets[i]->name, "reference") == 0)
            continue;
        size_t apart = rows_apart(sets[i]->name, twin, model, run);
        if (apart > 0)
            fail_msg("seed %u, %s: %zu of %d rows differ", (unsigned)options->seed, sets[i]->name,
                     apart, ROWS);
    }
    dlclose(handle);
    ramify_close(&model);
    random_model_destroy(twin);
}

static void test_shapes(void **state) {
    const random_model_options shapes[] = {
        /* one linear layer, nothing else */
        {.numeric = 1, .outputs = 1, .members = 1, .seed = 1},
        /* a lone module with several targets */
        {.numeric = 5, .missing = true, .outputs = 3, .hidden = {7}, .members = 1, .seed = 2},
        /* everything at once */
        {.numeric = 9,
         .categorical = 3,
         .missing = true,
         .bins = true,
         .route = true,
         .frequencies = 3,
         .outputs = 2,
         .arity = 5,
         .levels = 4,
         .hidden = {33, 16, 20},
         .members = 1,
         .modules = 6,
         .seed = 3},
        /* the same with members, for classes, wide last layer */
        {.numeric = 9,
         .categorical = 3,
         .missing = true,
         .bins = true,
         .route = true,
         .frequencies = 3,
         .task = RAMIFY_TASK_CLASSIFICATION,
         .outputs = 11,
         .arity = 3,
         .levels = 3,
         .hidden = {18, 40},
         .members = 4,
         .modules = 2,
         .seed = 4},
        /* members of one linear layer */
        {.numeric = 3, .outputs = 2, .members = 4, .arity = 2, .levels = 1, .seed = 5},
        /* categories alone, with and without tables */
        {.categorical = 4,
         .outputs = 1,
         .arity = 4,
         .levels = 2,
         .hidden = {6},
         .members = 1,
         .frequencies = 2,
         .seed = 6},
        {.categorical = 4,
         .bins = true,
         .outputs = 2,
         .task = RAMIFY_TASK_CLASSIFICATION,
         .hidden = {6},
         .members = 1,
         .seed = 7},
        /* periodic features without tables; numbers with missing values */
        {.numeric = 4,
         .missing = true,
         .frequencies = 5,
         .outputs = 1,
         .arity = 3,
         .levels = 2,
         .hidden = {12, 12},
         .members = 1,
         .seed = 8},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        compare(*state, &shapes[i]);
}

/* Of equal prototypes the first wins, as in the library. */
static void test_ties(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.levels = 1;
    random_model *twin = random_model_create(p->context, &options);
    size_t routes = twin->stem.routes;
    assert_true(twin->nodes[0].children >= 2);
    for (uint32_t i = 2; i <= twin->nodes[0].children; i++)
        memcpy(twin->prototypes + i * routes, twin->prototypes + routes, routes * sizeof(float));
    ramify_model *model = random_model_open(twin);
    void *handle;
    exported run = load(p, model, &handle);
    assert_int_equal(rows_apart(NULL, twin, model, run), 0);
    dlclose(handle);
    ramify_close(&model);
    random_model_destroy(twin);
}

/* Indices beyond 65535, and children whose numbers take two bytes. */
static void test_many_modules(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.arity = 8;
    options.levels = 4;
    options.hidden[0] = 40;
    compare(p, &options);
    char *text = file_content(p->source, NULL);
    assert_non_null(strstr(text, "typedef unsigned long try_it_index;"));
    assert_non_null(strstr(text, "unsigned short try_it_child["));
    free(text);
}

static void test_random_models(void **state) {
    for (uint64_t seed = 0; seed < MODELS; seed++) {
        random_model_options options = random_model_any(seed);
        options.series = 0; /* networks alone */
        compare(*state, &options);
    }
}

static char *copy(const char *text) {
    char *made = malloc(strlen(text) + 1);
    assert_non_null(made);
    return strcpy(made, text);
}

static void rename_text(char **text, const char *to) {
    free(*text);
    *text = copy(to);
}

static void test_names_of_strangers(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.numeric = 4;
    options.task = RAMIFY_TASK_CLASSIFICATION;
    options.outputs = 4;
    random_model *twin = random_model_create(p->context, &options);
    ramify_schema *schema = &twin->schema;
    rename_text(&schema->columns[0].name, "*/ int x; /*");
    rename_text(&schema->columns[1].name, "back\\");
    rename_text(&schema->columns[2].categories[0], "*\?\?/\n/ @ %s // \"");
    rename_text(&schema->columns[3].name, "\?\?/");
    rename_text(&schema->targets[0], "*/\n#error here\n/*");
    rename_text(&schema->classes[0], "gr\xC3\xBC\xC3\x9F\x65\r\n\t\x7F");
    rename_text(&schema->classes[1], "/");
    rename_text(&schema->classes[2], "*");
    rename_text(&schema->classes[3], "\?\?\?\?/");
    ramify_model *model = random_model_open(twin);
    void *handle;
    exported run = load(p, model, &handle);
    assert_int_equal(rows_apart(NULL, twin, model, run), 0);
    dlclose(handle);
    char *text = file_content(p->source, NULL);
    for (const char *c = text; *c; c++)
        assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
    const char *end = strstr(text, "*/");
    assert_non_null(end);
    assert_memory_equal(end, "*/\n\n#include <math.h>\n", 22);
    assert_null(strstr(text, "\?\?"));
    assert_non_null(strstr(text, "y[0] \"gr\\xC3\\xBC\\xC3\\x9Fe\\x0D\\x0A\\x09\\x7F\"\n"));
    assert_non_null(strstr(text, "x[0] \"\\x2A/ int x; /\\x2A\"\n"));
    free(text);
    ramify_close(&model);
    random_model_destroy(twin);
}

/* The same bytes from memory, from a file with a bound, and a second time. */
static void test_same_source_from_everywhere(void **state) {
    const place *p = *state;
    random_model_options options = random_model_any(3);
    options.series = 0; /* networks alone */
    options.levels = 3;
    options.modules = 4;
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    assert_int_equal(ramify_export_c(p->context, model, p->source, "same"), RAMIFY_OK);
    char *first = file_content(p->source, NULL);
    assert_int_equal(ramify_save(p->context, model, p->file), RAMIFY_OK);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_open_options opening;
    ramify_open_options_init(&opening);
    opening.resident_bytes = info.resident_bytes;
    ramify_model *bounded = NULL;
    assert_int_equal(ramify_open(p->context, p->file, &opening, &bounded), RAMIFY_OK);
    assert_int_equal(ramify_export_c(p->context, bounded, p->source, "same"), RAMIFY_OK);
    char *second = file_content(p->source, NULL);
    assert_string_equal(first, second);
    assert_null(strstr(first, p->directory));
    free(first);
    free(second);
    ramify_close(&bounded);
    ramify_close(&model);
    random_model_destroy(twin);
}

/* A module that several leaves share stands in the source once. */
static void test_shared_modules_once(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    options.levels = 4;
    options.modules = 2;
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    assert_true(twin->leaves > 4);
    assert_int_equal(ramify_export_c(p->context, model, p->source, "once"), RAMIFY_OK);
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    uint64_t module = ramify_mlp_parameters(&model->shape.mlp);
    char expected[80];
    snprintf(expected, sizeof expected, "static const float once_experts[%u] = {",
             (unsigned)(2 * module));
    char *text = file_content(p->source, NULL);
    assert_non_null(strstr(text, expected));
    free(text);
    ramify_close(&model);
    random_model_destroy(twin);
}

static void test_names_of_functions(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    static const char *const bad[] = {"",      "1st",
                                      "a-b",   "a b",
                                      "_a",    "gr\xC3\xBC\xC3\x9F",
                                      "x;y",   "@",
                                      "int",   "main",
                                      "sin",   "expf",
                                      "sqrtl", "NAN",
                                      "while", "a123456789b123456789c123456789d123456789e12345678"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ramify_export_c(p->context, model, p->source, bad[i]),
                         RAMIFY_ERROR_ARGUMENT);
        if (i != 5)
            assert_non_null(strstr(ramify_message(p->context), bad[i]));
        assert_int_equal(files_in(p->directory), 0);
    }
    static const char *const good[] = {
        "x", "y", "sine", "experts", "Exp", "a123456789b123456789c123456789d123456789e1234567"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(ramify_export_c(p->context, model, p->source, good[i]), RAMIFY_OK);
        compile(p);
    }
    assert_int_equal(ramify_export_c(p->context, NULL, p->source, "f"), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_export_c(p->context, model, NULL, "f"), RAMIFY_ERROR_ARGUMENT);
    assert_int_equal(ramify_export_c(p->context, model, p->source, NULL), RAMIFY_ERROR_ARGUMENT);
    ramify_close(&model);
    random_model_destroy(twin);
}

static void test_places_that_cannot_be_written(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    assert_int_equal(ramify_export_c(p->context, model, "/nonexistent/m.c", "f"), RAMIFY_ERROR_IO);
    assert_non_null(strstr(ramify_message(p->context), "/nonexistent/m.c: "));
    assert_int_equal(ramify_export_c(p->context, model, p->directory, "f"), RAMIFY_ERROR_IO);
    assert_int_equal(files_in(p->directory), 0);
    ramify_close(&model);
    random_model_destroy(twin);
}

static void test_too_large(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    uint64_t modules = model->limits.modules;
    model->limits.modules = ((uint64_t)64 << 20) / model->limits.module_bytes + 1;
    assert_int_equal(ramify_export_c(p->context, model, p->source, "f"), RAMIFY_ERROR_UNSUPPORTED);
    assert_non_null(strstr(ramify_message(p->context), "at most 67108864"));
    model->limits.modules = modules;
    assert_int_equal(files_in(p->directory), 0);
    ramify_close(&model);
    random_model_destroy(twin);
}

static bool always(void *user) {
    (void)user;
    return true;
}

static void test_stops(void **state) {
    const place *p = *state;
    ramify_context_options choices;
    ramify_context_options_init(&choices);
    choices.cancel = always;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&choices, &context), RAMIFY_OK);
    for (uint32_t levels = 0; levels < 2; levels++) {
        random_model_options options = random_model_defaults();
        options.levels = levels;
        random_model *twin = random_model_create(p->context, &options);
        ramify_model *model = random_model_open(twin);
        assert_int_equal(ramify_export_c(context, model, p->source, "f"), RAMIFY_STOPPED);
        assert_int_equal(files_in(p->directory), 0);
        ramify_close(&model);
        random_model_destroy(twin);
    }
    ramify_context_destroy(&context);
}

/* Damage that opening does not see: a changed weight, and a changed prototype. */
static void test_damaged(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    for (int which = 0; which < 2; which++) {
        size_t size;
        unsigned char *bytes = random_model_bytes(twin, &size);
        ramify_model *model = NULL;
        assert_int_equal(ramify_open_owned(p->context, bytes, size, &model), RAMIFY_OK);
        bytes[(which ? model->experts.begin : model->nodes.begin) + 3] ^= 1;
        assert_int_equal(ramify_export_c(p->context, model, p->source, "f"), RAMIFY_ERROR_FORMAT);
        assert_non_null(strstr(ramify_message(p->context), which ? "experts.0" : "tree.nodes"));
        assert_int_equal(files_in(p->directory), 0);
        ramify_close(&model);
    }
    random_model_destroy(twin);
}

static void test_every_allocation(void **state) {
    const place *p = *state;
    random_model_options options = random_model_defaults();
    random_model *twin = random_model_create(p->context, &options);
    ramify_model *model = random_model_open(twin);
    counting counts = {0};
    ramify_context *context = counting_context(&counts);
    counts.calls = 0;
    assert_int_equal(ramify_export_c(context, model, p->source, "f"), RAMIFY_OK);
    uint64_t live = counts.live, needed = counts.calls;
    assert_true(needed > 5);
    assert_int_equal(unlink(p->source), 0);
    for (uint64_t n = 1; n <= needed; n++) {
        counts.calls = 0;
        counts.fail_once = n;
        ramify_status status = ramify_export_c(context, model, p->source, "f");
        assert_int_equal(status, RAMIFY_ERROR_MEMORY);
        assert_int_equal(counts.live, live);
        /* Once the file is in place, only making its name durable is left. */
        assert_int_equal(files_in(p->directory), n == needed ? 1 : 0);
    }
    ramify_context_destroy(&context);
    ramify_close(&model);
    random_model_destroy(twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ties, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_modules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_models, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_of_strangers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_source_from_everywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_modules_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_of_functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_places_that_cannot_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_allocation, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ONNX Runtime through its C API, as its wheel brings the library without the header.
 *
 * OrtGetApiBase gives a table of functions by the API's version; a table only ever grows at its end.
 * The places that are used here are counted in onnxruntime_c_api.h, whose source asserts that they
 * stay (ReleaseCustomOpDomain is number 101, AddFreeDimensionOverrideByName 124, SetGlobalSpinControl
 * 149). What runs is checked by its results anyway.
 *
 * Best setting: one thread, sequential, all graph optimisations, input and output in memory taken
 * beforehand. Single rows have a session of their own whose graph is told that there is one row, and
 * are copied into the input. A batch is cut into pieces, whose size is the fastest of several, read
 * where they lie. */

#include "contender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION 11

enum place {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_GRAPH_OPTIMIZATION = 23,
    SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25,
    GET_OUTPUT_COUNT = 31,
    GET_OUTPUT_NAME = 37,
    CREATE_TENSOR_WITH_DATA = 49,
    CREATE_CPU_MEMORY_INFO = 69,
    GET_DEFAULT_ALLOCATOR = 78,
    RELEASE_STATUS = 93,
    RELEASE_VALUE = 96,
    OVERRIDE_DIMENSION = 124
};

#define OPTIMIZE_ALL    99 /* ORT_ENABLE_ALL */
#define LOG_ERRORS      3  /* ORT_LOGGING_LEVEL_ERROR */
#define FLOAT_ELEMENTS  1  /* ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT */
#define ARENA_ALLOCATOR 1  /* OrtArenaAllocator */
#define DEFAULT_MEMORY  0  /* OrtMemTypeDefault */

typedef void *status; /* NULL: all is well */

typedef struct api_base {
    void *const *(*get_api)(uint32_t version);
    const char *(*version)(void);
} api_base;

typedef status run_function(void *session, const void *options, const char *const *input_names,
                            void *const *inputs, size_t input_count,
                            const char *const *output_names, size_t output_count, void **outputs);

typedef struct onnx {
    void *const *api;
    run_function *run;
    void *one, *many, *memory; /* sessions for one row and for any number; where tensors lie */
    char *output_name;         /* of the last output */
    size_t columns, outputs;
    float *x, *y;                /* one row; rows_most x outputs */
    void *x_value, *y_value;     /* of one row */
    size_t piece, count;         /* of the batch that is arranged */
    void **x_values, **y_values; /* count */
    size_t rows;
    const float *batch;
} onnx;

/* False with the message in the note, unless the status is good. */
static bool good(contender *c, const onnx *s, status of) {
    if (!of)
        return true;
    const char *(*message)(status);
    void (*release)(status);
    *(void **)&message = s->api[GET_ERROR_MESSAGE];
    *(void **)&release = s->api[RELEASE_STATUS];
    if (c)
        snprintf(c->note, sizeof c->note, "%.1000s", message(of));
    release(of);
    return false;
}

static bool create_session(contender *c, onnx *s, const void *environment, bool one,
                           void **session) {
    status (*create)(void **options);
    status (*set)(void *options, int number);
    status (*override)(void *options, const char *name, int64_t size);
    status (*open)(const void *environment, const char *path, const void *options, void **session);
    void *options = NULL;
    *(void **)&create = s->api[CREATE_SESSION_OPTIONS];
    if (!good(c, s, create(&options)))
        return false;
    *(void **)&set = s->api[SET_GRAPH_OPTIMIZATION];
    if (!good(c, s, set(options, OPTIMIZE_ALL)))
        return false;
    *(void **)&set = s->api[SET_INTRA_THREADS];
    if (!good(c, s, set(options, 1)))
        return false;
    *(void **)&set = s->api[SET_INTER_THREADS];
    if (!good(c, s, set(options, 1)))
        return false;
    *(void **)&override = s->api[OVERRIDE_DIMENSION];
    if (one && !good(c, s, override(options, "rows", 1)))
        return false;
    *(void **)&open = s->api[CREATE_SESSION];
    return good(c, s, open(environment, c->model, options, session));
}

static bool create_value(contender *c, onnx *s, float *values, size_t rows, size_t columns,
                         void **value) {
    status (*create)(const void *memory, void *values, size_t bytes, const int64_t *shape,
                     size_t dimensions, int type, void **value);
    *(void **)&create = s->api[CREATE_TENSOR_WITH_DATA];
    const int64_t shape[2] = {(int64_t)rows, (int64_t)columns};
    return good(c, s,
                create(s->memory, values, rows * columns * sizeof *values, shape, 2, FLOAT_ELEMENTS,
                       value));
}

static bool find_output(contender *c, onnx *s) {
    status (*count_of)(const void *session, size_t *count);
    status (*allocator_of)(void **allocator);
    status (*name_of)(const void *session, size_t index, void *allocator, char **name);
    *(void **)&count_of = s->api[GET_OUTPUT_COUNT];
    *(void **)&allocator_of = s->api[GET_DEFAULT_ALLOCATOR];
    *(void **)&name_of = s->api[GET_OUTPUT_NAME];
    size_t count = 0;
    void *allocator = NULL;
    return good(c, s, count_of(s->many, &count)) && good(c, s, allocator_of(&allocator)) &&
           good(c, s, name_of(s->many, count - 1, allocator, &s->output_name));
}

static bool onnx_open(contender *c) {
    onnx *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = c->columns;
    s->outputs = c->outputs;
    s->x = contender_memory(c->columns * sizeof *s->x);
    s->y = contender_memory(c->rows_most * c->outputs * sizeof *s->y);
    const api_base *(*base_of)(void);
    void *library = contender_library(c, c->library);
    if (!library || !(*(void **)&base_of = contender_function(c, library, "OrtGetApiBase")))
        return false;
    const api_base *base = base_of();
    s->api = base->get_api(API_VERSION);
    if (!s->api) {
        snprintf(c->note, sizeof c->note, "version %.50s has no API %d", base->version(),
                 API_VERSION);
        return false;
    }
    *(void **)&s->run = s->api[RUN];
    status (*create_environment)(int level, const char *name, void **environment);
    status (*create_memory)(int allocator, int type, void **memory);
    *(void **)&create_environment = s->api[CREATE_ENV];
    *(void **)&create_memory = s->api[CREATE_CPU_MEMORY_INFO];
    void *environment = NULL;
    if (!good(c, s, create_environment(LOG_ERRORS, "bench", &environment)) ||
        !good(c, s, create_memory(ARENA_ALLOCATOR, DEFAULT_MEMORY, &s->memory)) ||
        !create_session(c, s, environment, true, &s->one) ||
        !create_session(c, s, environment, false, &s->many) || !find_output(c, s) ||
        !create_value(c, s, s->x, 1, s->columns, &s->x_value) ||
        !create_value(c, s, s->y, 1, s->outputs, &s->y_value))
        return false;
    snprintf(c->note, sizeof c->note, "%.50s", base->version());
    return true;
}

static bool run(const onnx *s, void *session, void *x, void *y) {
    static const char *const input_names[] = {"x"};
    const char *const output_names[] = {s->output_name};
    return good(NULL, s, s->run(session, NULL, input_names, &x, 1, output_names, 1, &y));
}

static void drop_pieces(onnx *s) {
    void (*release)(void *value);
    *(void **)&release = s->api[RELEASE_VALUE];
    for (size_t i = 0; i < s->count; i++) {
        release(s->x_values[i]);
        release(s->y_values[i]);
    }
    free(s->x_values);
    free(s->y_values);
    s->x_values = s->y_values = NULL;
    s->count = 0;
}

static bool cut(onnx *s, size_t piece) {
    drop_pieces(s);
    s->piece = piece < s->rows ? piece : s->rows;
    size_t count = (s->rows + s->piece - 1) / s->piece;
    s->x_values = contender_memory(count * sizeof *s->x_values);
    s->y_values = contender_memory(count * sizeof *s->y_values);
    for (size_t i = 0; i < count; i++) {
        size_t first = i * s->piece;
        size_t rows = s->rows - first < s->piece ? s->rows - first : s->piece;
        union {
            const float *from;
            float *to; /* the library takes inputs as it takes outputs, and reads them only */
        } x = {.from = s->batch + first * s->columns};
        if (!create_value(NULL, s, x.to, rows, s->columns, &s->x_values[i]) ||
            !create_value(NULL, s, s->y + first * s->outputs, rows, s->outputs, &s->y_values[i]))
            return false;
        s->count = i + 1;
    }
    return true;
}

static bool onnx_predict(void *of, size_t rows, const float *x) {
    onnx *s = of;
    if (rows == 1) {
        memcpy(s->x, x, s->columns * sizeof *x);
        return run(s, s->one, s->x_value, s->y_value);
    }
    for (size_t i = 0; i < s->count; i++)
        if (!run(s, s->many, s->x_values[i], s->y_values[i]))
            return false;
    return true;
}

static bool onnx_arrange(contender *c, size_t rows, const float *x) {
    onnx *s = c->state;
    if (rows == 1 || (rows == s->rows && x == s->batch))
        return true;
    s->batch = x;
    size_t best = 0;
    double least = 1e300;
    s->rows = rows < contender_pieces[0] ? rows : contender_pieces[0]; /* enough to choose by */
    for (size_t i = 0; i < PIECES; i++) {
        if (i > 0 && contender_pieces[i] >= s->rows)
            continue;
        if (!cut(s, contender_pieces[i]))
            return false;
        for (int trial = 0; trial < 3; trial++) {
            double start = contender_clock();
            if (!onnx_predict(s, s->rows, x))
                return false;
            double seconds = contender_clock() - start;
            if (seconds < least) {
                least = seconds;
                best = i;
            }
        }
    }
    s->rows = rows;
    return cut(s, contender_pieces[best]);
}

static double onnx_value(const void *of, size_t index) {
    return (double)((const onnx *)of)->y[index];
}

static void onnx_close(contender *c) {
    (void)c;
}

const peer peer_onnxruntime = {"onnxruntime", onnx_open,  onnx_arrange,
                               onnx_predict,  onnx_value, onnx_close};

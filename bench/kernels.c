/* Speed of the kernels of the fastest set this processor runs, one thread.
 *
 *     bench_kernels [ISA]
 *
 * Matrix products stand against libxsmm and oneDNN where the build found them (Debian: libxsmm-dev,
 * libdnnl-dev): all run on the same data, by turns, and the table gives medians. oneDNN computes a
 * product in two ways, of which the faster one counts: its sgemm, and its matmul primitive with B in
 * the order that it prefers, arranged beforehand. A peer that is not there is printed as absent. The
 * data of one line stay in cache between calls, as they do between the steps of training. */

#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef RAMIFY_WITH_LIBXSMM
#include <libxsmm.h>
#endif
#ifdef RAMIFY_WITH_DNNL
#include <dnnl.h>
#endif

/* Medians over this many turns of about this long: short against the clock's drift. */
#define TURNS        41
#define TURN_SECONDS 1e-3

typedef struct product {
    size_t m, n, k;
    bool transposed; /* A stored k x m, as in the gradient of a layer's weights */
    const float *a, *b;
    float *c;
    const ramify_kernels *kernels;
#ifdef RAMIFY_WITH_LIBXSMM
    libxsmm_smmfunction xsmm;
#endif
#ifdef RAMIFY_WITH_DNNL
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t argument[3]; /* source, weights, destination */
#endif
} product;

/* Ways to compute a product; false: it cannot. */
typedef struct contender {
    const char *name;
    bool (*prepare)(product *q);
    void (*run)(void *product);
    void (*finish)(product *q);
} contender;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *numbers(size_t count) {
    float *memory = aligned_alloc(64, (count + 15) / 16 * 64 + 64);
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525U + 1013904223U;
        memory[i] = (float)(state >> 8) / 16777216.0F - 0.5F;
    }
    return memory;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

static bool prepare_nothing(product *q) {
    (void)q;
    return true;
}

static void finish_nothing(product *q) {
    (void)q;
}

static void run_ours(void *context) {
    const product *q = context;
    if (q->transposed) {
        q->kernels->matmul(q->m, q->n, q->k, q->a, 1, q->m, q->b, q->n, q->c, q->n, false);
    } else {
        q->kernels->matmul(q->m, q->n, q->k, q->a, q->k, 1, q->b, q->n, q->c, q->n, false);
    }
}

#ifdef RAMIFY_WITH_LIBXSMM
static bool prepare_xsmm(product *q) {
    int lda = (int)q->n;
    int ldb = (int)(q->transposed ? q->m : q->k);
    int ldc = (int)q->n;
    float alpha = 1.0F;
    float beta = 0.0F;
    int flags = q->transposed ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    q->xsmm = libxsmm_smmdispatch((int)q->n, (int)q->m, (int)q->k, &lda, &ldb, &ldc, &alpha, &beta,
                                  &flags, NULL);
    return q->xsmm != NULL;
}

static void run_xsmm(void *context) {
    const product *q = context;
    /* libxsmm is column-major: it computes the transposed product from exchanged operands. */
    q->xsmm(q->b, q->a, q->c);
}
#endif

#ifdef RAMIFY_WITH_DNNL
static void run_dnnl_sgemm(void *context) {
    const product *q = context;
    dnnl_sgemm(q->transposed ? 'T' : 'N', 'N', (dnnl_dim_t)q->m, (dnnl_dim_t)q->n, (dnnl_dim_t)q->k,
               1.0F, q->a, (dnnl_dim_t)(q->transposed ? q->m : q->k), q->b, (dnnl_dim_t)q->n, 0.0F,
               q->c, (dnnl_dim_t)q->n);
}

static dnnl_memory_desc_t describe_matrix(size_t rows, size_t columns, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t made;
    const dnnl_dims_t sizes = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    dnnl_memory_desc_init_by_tag(&made, 2, sizes, dnnl_f32, tag);
    return made;
}

static dnnl_memory_t wrap(const product *q, const dnnl_memory_desc_t *about, const float *values) {
    dnnl_memory_t made = NULL;
    void *handle = DNNL_MEMORY_ALLOCATE;
    if (values) {
        memcpy(&handle, &values, sizeof handle); /* sources are not written to */
    }
    return dnnl_memory_create(&made, about, q->engine, handle) == dnnl_success ? made : NULL;
}

/* B in the primitive's own order. */
static dnnl_memory_t arrange(const product *q, const dnnl_memory_desc_t *to) {
    dnnl_memory_desc_t plain = describe_matrix(q->k, q->n, dnnl_ab);
    dnnl_memory_t from = wrap(q, &plain, q->b);
    dnnl_memory_t made = wrap(q, to, NULL);
    dnnl_primitive_desc_t about = NULL;
    dnnl_primitive_t reorder = NULL;
    bool good = from && made &&
                dnnl_reorder_primitive_desc_create(&about, &plain, q->engine, to, q->engine,
                                                   NULL) == dnnl_success &&
                dnnl_primitive_create(&reorder, about) == dnnl_success;
    dnnl_exec_arg_t arguments[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, made}};
    good = good && dnnl_primitive_execute(reorder, q->stream, 2, arguments) == dnnl_success &&
           dnnl_stream_wait(q->stream) == dnnl_success;
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(about);
    dnnl_memory_destroy(from);
    if (!good) {
        dnnl_memory_destroy(made);
        return NULL;
    }
    return made;
}

static bool prepare_dnnl_matmul(product *q) {
    dnnl_memory_desc_t a = describe_matrix(q->m, q->k, q->transposed ? dnnl_ba : dnnl_ab);
    dnnl_memory_desc_t b = describe_matrix(q->k, q->n, dnnl_format_tag_any);
    dnnl_memory_desc_t c = describe_matrix(q->m, q->n, dnnl_ab);
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_desc_t about = NULL;
    if (dnnl_engine_create(&q->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&q->stream, q->engine, dnnl_stream_default_flags) != dnnl_success ||
        dnnl_matmul_desc_init(&matmul, &a, &b, NULL, &c) != dnnl_success ||
        dnnl_primitive_desc_create(&about, &matmul, NULL, q->engine, NULL) != dnnl_success ||
        dnnl_primitive_create(&q->primitive, about) != dnnl_success) {
        return false;
    }
    q->argument[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, wrap(q, &a, q->a)};
    q->argument[1] = (dnnl_exec_arg_t){
        DNNL_ARG_WEIGHTS,
        arrange(q, dnnl_primitive_desc_query_md(about, dnnl_query_weights_md, 0))};
    q->argument[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, wrap(q, &c, q->c)};
    dnnl_primitive_desc_destroy(about);
    return q->argument[0].memory && q->argument[1].memory && q->argument[2].memory;
}

static void run_dnnl_matmul(void *context) {
    const product *q = context;
    dnnl_primitive_execute(q->primitive, q->stream, 3, q->argument);
    dnnl_stream_wait(q->stream);
}

static void finish_dnnl_matmul(product *q) {
    for (size_t i = 0; i < 3; i++) {
        dnnl_memory_destroy(q->argument[i].memory);
    }
    dnnl_primitive_destroy(q->primitive);
    dnnl_stream_destroy(q->stream);
    dnnl_engine_destroy(q->engine);
}
#endif

static const contender contenders[] = {
    {"ramify", prepare_nothing, run_ours, finish_nothing},
#ifdef RAMIFY_WITH_LIBXSMM
    {"libxsmm", prepare_xsmm, run_xsmm, finish_nothing},
#endif
#ifdef RAMIFY_WITH_DNNL
    {"sgemm", prepare_nothing, run_dnnl_sgemm, finish_nothing},
    {"matmul", prepare_dnnl_matmul, run_dnnl_matmul, finish_dnnl_matmul},
#endif
};
#define CONTENDERS (sizeof contenders / sizeof *contenders)

static double seconds_of(void (*run)(void *), void *context, size_t calls) {
    double start = now();
    for (size_t i = 0; i < calls; i++) {
        run(context);
    }
    return (now() - start) / (double)calls;
}

static size_t calls_per_turn(void (*run)(void *), void *context) {
    size_t calls = 1;
    while (seconds_of(run, context, calls) * (double)calls < TURN_SECONDS) {
        calls *= 2;
    }
    return calls;
}

static double seconds_alone(void (*run)(void *), void *context) {
    double times[TURNS];
    size_t calls = calls_per_turn(run, context);
    for (size_t t = 0; t < TURNS; t++) {
        times[t] = seconds_of(run, context, calls);
    }
    return median(times, TURNS);
}

/* Every contender has its turn after the others, so that what slows the machine slows all. */
static void bench_product(const ramify_kernels *kernels, size_t m, size_t n, size_t k,
                          bool transposed) {
    float *a = numbers(m * k);
    float *b = numbers(k * n);
    float *c = numbers(m * n);
    product q = {.m = m, .n = n, .k = k, .transposed = transposed, .a = a, .b = b, .c = c};
    q.kernels = kernels;
    double work = 2e-9 * (double)(m * n * k);
    double times[CONTENDERS][TURNS];
    double best[CONTENDERS];
    bool able[CONTENDERS];
    size_t calls[CONTENDERS];
    for (size_t i = 0; i < CONTENDERS; i++) {
        able[i] = contenders[i].prepare(&q);
        calls[i] = able[i] ? calls_per_turn(contenders[i].run, &q) : 0;
    }
    for (size_t t = 0; t < TURNS; t++) {
        for (size_t i = 0; i < CONTENDERS; i++) {
            times[i][t] = able[i] ? seconds_of(contenders[i].run, &q, calls[i]) : 0;
        }
    }
    printf("%5zu %5zu %5zu %-3s", m, n, k, transposed ? "A^T" : "");
    double fastest = 0;
    for (size_t i = 0; i < CONTENDERS; i++) {
        best[i] = median(times[i], TURNS);
        if (able[i]) {
            printf(" %8.1f", work / best[i]);
        } else {
            printf("        -");
        }
        if (i > 0 && able[i] && (fastest == 0 || best[i] < fastest)) {
            fastest = best[i];
        }
        contenders[i].finish(&q);
    }
    if (fastest > 0) {
        printf(" %7.2f\n", fastest / best[0]);
    } else {
        printf("  absent\n");
    }
    free(a);
    free(b);
    free(c);
}

static void bench_products(const ramify_kernels *kernels) {
    static const struct {
        size_t m, n, k;
        bool transposed;
    } shapes[] = {
        {1, 32, 32, false},     {1, 64, 64, false},     {4, 64, 64, false},
        {16, 32, 32, false},    {64, 32, 32, false},    {64, 64, 64, false},
        {64, 64, 64, true},     {64, 48, 64, false},    {256, 128, 128, false},
        {128, 128, 256, true},  {197, 192, 192, false}, {197, 576, 192, false},
        {197, 768, 192, false}, {197, 192, 768, false},
    };
    printf("matmul, GFLOP/s: C[m x n] = A[m x k] B[k x n]\n    m     n     k    ");
    for (size_t i = 0; i < CONTENDERS; i++) {
        printf(" %8s", contenders[i].name);
    }
    printf("  ramify / best of the others\n");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bench_product(kernels, shapes[i].m, shapes[i].n, shapes[i].k, shapes[i].transposed);
    }
}

/* One call of each of the others on a batch as the trainer makes it. */
#define BATCH 64
#define WIDTH 64

typedef struct operands {
    const ramify_kernels *kernels;
    size_t rows; /* of width WIDTH */
    float *x, *y, *g, *w, *vector, *sums;
    uint32_t labels[BATCH];
} operands;

static void run_affine(void *context) {
    const operands *o = context;
    o->kernels->affine(o->rows, WIDTH, WIDTH, o->x, WIDTH, o->w, WIDTH, o->vector, o->vector, o->y,
                       WIDTH);
}

static void run_dots(void *context) {
    const operands *o = context;
    o->kernels->dots(o->rows, 1, WIDTH, o->x, WIDTH, o->w, WIDTH, o->vector, o->y, 1);
}

static void run_distances(void *context) {
    const operands *o = context;
    o->kernels->distances(o->rows, 16, WIDTH, o->x, WIDTH, o->w, WIDTH, o->y, 16);
}

static void run_scale(void *context) {
    const operands *o = context;
    o->kernels->scale_columns(o->rows, WIDTH, o->x, WIDTH, o->vector, o->y, WIDTH);
}

static void run_scale_backward(void *context) {
    const operands *o = context;
    o->kernels->scale_columns_backward(o->rows, WIDTH, o->g, WIDTH, o->x, WIDTH, o->vector, o->sums,
                                       o->y, WIDTH, false);
}

static void run_activate(void *context) {
    const operands *o = context;
    o->kernels->activate(o->rows, WIDTH, o->x, WIDTH, o->vector, o->vector, o->vector, o->y, WIDTH);
}

static void run_activate_backward(void *context) {
    const operands *o = context;
    o->kernels->activate_backward(o->rows, WIDTH, o->g, WIDTH, o->x, WIDTH, o->vector, o->vector,
                                  o->vector, o->y, WIDTH, o->sums, o->sums + WIDTH,
                                  o->sums + (size_t)2 * WIDTH);
}

static void run_adamw(void *context) {
    const operands *o = context;
    o->kernels->adamw(o->rows * WIDTH, o->y, o->g, o->x, o->w, 1e-3F, 0.9F, 0.999F, 1e-8F, 0.01F,
                      0.5F, 0.5F);
}

static void run_transpose(void *context) {
    const operands *o = context;
    o->kernels->transpose(o->rows, WIDTH, o->x, WIDTH, o->y, o->rows);
}

static void run_cross_entropy(void *context) {
    operands *o = context;
    o->kernels->cross_entropy(o->rows, 10, o->x, WIDTH, o->labels, 0.1F, NULL, o->sums, o->y,
                              WIDTH);
}

static void bench_others(const ramify_kernels *kernels) {
    operands o = {.kernels = kernels};
    const size_t count = (size_t)BATCH * WIDTH;
    float **arrays[] = {&o.x, &o.y, &o.g, &o.w, &o.vector, &o.sums};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = numbers(count);
    }
    /* Second moments are not negative. */
    for (size_t i = 0; i < count; i++) {
        o.w[i] = o.w[i] * o.w[i];
    }
    /* bytes: read and written per row, 0 where arithmetic and not memory is the limit. */
    static const struct {
        const char *name;
        void (*run)(void *);
        size_t rows;
        size_t bytes;
    } calls[] = {
        {"affine 64 -> 64, 1 row", run_affine, 1, 0},
        {"affine 64 -> 64, 4 rows", run_affine, 4, 0},
        {"affine 64 -> 64, 64 rows", run_affine, BATCH, 0},
        {"dots 64 -> 1, 1 row", run_dots, 1, 0},
        {"dots 64 -> 1, 64 rows", run_dots, BATCH, 0},
        {"distances to 16 in 64 d, 1 row", run_distances, 1, 0},
        {"distances to 16 in 64 d, 64 rows", run_distances, BATCH, 0},
        {"scale_columns 64 x 64", run_scale, BATCH, (size_t)8 * WIDTH},
        {"scale_columns_backward 64 x 64", run_scale_backward, BATCH, (size_t)12 * WIDTH},
        {"activate 64 x 64", run_activate, BATCH, (size_t)8 * WIDTH},
        {"activate_backward 64 x 64", run_activate_backward, BATCH, (size_t)12 * WIDTH},
        {"adamw 4096", run_adamw, BATCH, (size_t)28 * WIDTH},
        {"transpose 64 x 64", run_transpose, BATCH, (size_t)8 * WIDTH},
        {"cross_entropy 64 x 10", run_cross_entropy, BATCH, 0},
    };
    printf("\none call, in cache                        ns    GB/s\n");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        o.rows = calls[i].rows;
        double seconds = seconds_alone(calls[i].run, &o);
        printf("%-36s %8.1f", calls[i].name, 1e9 * seconds);
        if (calls[i].bytes > 0) {
            printf(" %7.1f", 1e-9 * (double)(calls[i].bytes * o.rows) / seconds);
        }
        putchar('\n');
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        free(*arrays[i]);
    }
}

int main(int argc, char **argv) {
    if (argc > 2 || (argc > 1 && strcmp(argv[1], "--help") == 0)) {
        fputs("usage: bench_kernels [baseline|avx2|avx512|neon]\n", argc > 2 ? stderr : stdout);
        return argc > 2 ? 2 : 0;
    }
    const ramify_kernels *kernels = ramify_kernels_select(argc > 1 ? argv[1] : NULL);
    if (!kernels) {
        fprintf(stderr, "%s: this processor has no such set of kernels\n", argv[1]);
        return 2;
    }
#ifdef RAMIFY_WITH_DNNL
    /* oneDNN's threads read this before main begins. */
    const char *threads = getenv("OMP_NUM_THREADS");
    if (!threads || strcmp(threads, "1") != 0) {
        setenv("OMP_NUM_THREADS", "1", 1);
        execv("/proc/self/exe", argv);
    }
#endif
    printf("set: %s\n", kernels->name);
    bench_products(kernels);
    bench_others(kernels);
    return 0;
}

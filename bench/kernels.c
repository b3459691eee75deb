/* Speed of the kernels of the fastest set this processor runs, one thread.
 *
 * Matrix products stand against libxsmm where the build found it: both run on the same data, by
 * turns, and the table gives medians. A peer that is not there is printed as absent. The data of
 * one line stay in cache between calls, as they do between the steps of training. */

#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef RAMIFY_WITH_LIBXSMM
#include <libxsmm.h>
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
    libxsmm_smmfunction peer;
#endif
} product;

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

static void run_ours(void *context) {
    const product *q = context;
    if (q->transposed) {
        q->kernels->matmul(q->m, q->n, q->k, q->a, 1, q->m, q->b, q->n, q->c, q->n, false);
    } else {
        q->kernels->matmul(q->m, q->n, q->k, q->a, q->k, 1, q->b, q->n, q->c, q->n, false);
    }
}

#ifdef RAMIFY_WITH_LIBXSMM
static void run_peer(void *context) {
    const product *q = context;
    /* libxsmm is column-major: it computes the transposed product from exchanged operands. */
    q->peer(q->b, q->a, q->c);
}
#endif

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

static void bench_product(const ramify_kernels *kernels, size_t m, size_t n, size_t k,
                          bool transposed) {
    float *a = numbers(m * k);
    float *b = numbers(k * n);
    float *c = numbers(m * n);
    product q = {.m = m, .n = n, .k = k, .transposed = transposed, .a = a, .b = b, .c = c};
    q.kernels = kernels;
    double work = 2e-9 * (double)(m * n * k);
    printf("%5zu %5zu %5zu %-3s", m, n, k, transposed ? "A^T" : "");
#ifdef RAMIFY_WITH_LIBXSMM
    int lda = (int)n;
    int ldb = (int)(transposed ? m : k);
    int ldc = (int)n;
    float alpha = 1.0F;
    float beta = 0.0F;
    int flags = transposed ? LIBXSMM_GEMM_FLAG_TRANS_B : LIBXSMM_GEMM_FLAG_NONE;
    q.peer =
        libxsmm_smmdispatch((int)n, (int)m, (int)k, &lda, &ldb, &ldc, &alpha, &beta, &flags, NULL);
    if (q.peer) {
        double ours[TURNS];
        double peers[TURNS];
        double ratios[TURNS];
        size_t calls = calls_per_turn(run_ours, &q);
        for (size_t t = 0; t < TURNS; t++) {
            ours[t] = seconds_of(run_ours, &q, calls);
            peers[t] = seconds_of(run_peer, &q, calls);
            ratios[t] = peers[t] / ours[t];
        }
        printf(" %9.1f %9.1f %7.2f\n", work / median(ours, TURNS), work / median(peers, TURNS),
               median(ratios, TURNS));
    } else
#endif
    {
        printf(" %9.1f    absent\n", work / seconds_alone(run_ours, &q));
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
    printf("matmul, GFLOP/s: C[m x n] = A[m x k] B[k x n]\n"
           "    m     n     k          ramify   libxsmm   ratio\n");
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
    const ramify_kernels *kernels = ramify_kernels_select(argc > 1 ? argv[1] : NULL);
    if (!kernels) {
        fprintf(stderr, "%s: this processor has no such set of kernels\n", argv[1]);
        return 2;
    }
    printf("set: %s\n", kernels->name);
    bench_products(kernels);
    bench_others(kernels);
    return 0;
}

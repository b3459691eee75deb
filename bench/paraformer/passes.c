/* Forward passes of a Para-Former on one image, for latency.py: as ramify_paraformer_run has them,
 * from the image's plain features to the logits, with random weights.
 *
 *     bench_paraformer SIDE PATCH WIDTH HEADS CLASSES WEIGHTS
 *
 * Reads lines "BRANCHES DEPTH WHOLE THREADS PASSES" and answers each with the median milliseconds of
 * a pass, those of one branch alone (the slowest of a pass, in the median), and those of what comes
 * before and after the branches, one after the other. WHOLE 1: the last layer is computed for all
 * tokens. The weights of the first line are written to the file WEIGHTS, with the image and its logits:
 * embedding, head and branches as records, so that peers can run the same. */

#include "context.h"
#include "memory.h"
#include "paraformer_run.h"
#include "progress.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSES_MOST 10000

typedef struct pass {
    ramify_context *context;
    uint32_t inside; /* threads that share a branch, as in ramify_paraformer_run */
    const ramify_kernels *kernels;
    ramify_paraformer_shape shape;
    ramify_branch_input input;
    bool whole;
    float *embedding, *head, *branch; /* weights */
    size_t branch_floats, scratch_floats;
    float *plain, *x, *normal, *inverse, *made, *scratch, *shared, *logits;
    double *seconds; /* branches */
} pass;

static float *floats(size_t count) {
    float *memory = aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64);
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    memset(memory, 0, count * sizeof *memory);
    return memory;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

/* Task */
static ramify_status run_branch(void *argument, size_t task, uint32_t worker) {
    const pass *p = argument;
    double started = ramify_seconds();
    ramify_branch_run_on(p->context, p->inside, p->kernels, &p->shape.branch,
                         p->branch + task * p->branch_floats, &p->input, p->whole,
                         p->made + task * p->shape.branch.width, p->shape.branch.width,
                         p->scratch + worker * p->scratch_floats);
    p->seconds[task] = ramify_seconds() - started;
    return RAMIFY_OK;
}

/* Seconds of a pass. */
typedef struct seconds {
    double all, before, after; /* before and after the branches */
} seconds;

static seconds run(ramify_context *context, pass *p, uint32_t threads) {
    const ramify_paraformer_shape *shape = &p->shape;
    size_t width = shape->branch.width;
    double started = ramify_seconds();
    ramify_paraformer_embed(context, threads, p->kernels, shape, p->embedding, 1, p->plain,
                            shape->embedding.plain, p->x, p->normal, p->inverse, p->shared,
                            &p->input);
    double before = ramify_seconds();
    p->context = context;
    p->inside = ramify_paraformer_shares_branches(shape->branches, threads) ? threads : 1;
    if (p->inside == 1)
        ramify_parallel_on(context, threads, shape->branches, run_branch, p);
    for (uint32_t b = 0; p->inside > 1 && b < shape->branches; b++)
        run_branch(p, b, 0);
    double joined = ramify_seconds();
    for (uint32_t b = 1; b < shape->branches; b++)
        for (size_t i = 0; i < width; i++)
            p->made[i] += p->made[b * width + i];
    ramify_head_forward(p->kernels, &shape->head, p->head, 1, p->made, p->logits,
                        ramify_pad(shape->head.outputs), NULL, NULL, p->shared);
    double ended = ramify_seconds();
    return (seconds){ended - started, before - started, ended - joined};
}

static pass prepare(const ramify_paraformer_shape *shape, bool whole, uint32_t threads) {
    pass p = {.kernels = ramify_kernels_select(""), .shape = *shape, .whole = whole};
    const ramify_branch_shape *branch = &shape->branch;
    size_t ld = ramify_branch_stride(branch, 1);
    size_t shared = ramify_embedding_floats(&shape->embedding, 1);
    size_t head = ramify_head_floats(&shape->head, 1);
    p.branch_floats = ramify_branch_record_bytes(branch) / sizeof(float);
    p.scratch_floats = ramify_pad(ramify_branch_run_floats(branch, 1, whole));
    p.embedding = floats(ramify_embedding_lay_out(&shape->embedding).floats);
    p.head = floats(ramify_head_lay_out(&shape->head).floats);
    p.branch = floats(shape->branches * p.branch_floats);
    p.plain = floats(shape->embedding.plain);
    p.x = floats(branch->width * ld);
    p.normal = floats(branch->width * ld);
    p.inverse = floats(ld);
    p.made = floats((size_t)shape->branches * branch->width);
    p.scratch = floats(threads * p.scratch_floats);
    p.shared = floats(shared > head ? shared : head);
    p.logits = floats(ramify_pad(shape->head.outputs));
    p.seconds = calloc(shape->branches, sizeof *p.seconds);
    ramify_embedding_initialise(&shape->embedding, 1, p.embedding);
    ramify_head_initialise(&shape->head, 1, p.head);
    for (uint32_t b = 0; b < shape->branches; b++)
        ramify_branch_initialise(branch, 1, b, p.branch + b * p.branch_floats);
    uint32_t state = 1;
    for (size_t i = 0; i < shape->embedding.plain; i++) {
        state = state * 1664525U + 1013904223U;
        p.plain[i] = (float)(state >> 8) / 8388608.0F - 1.0F;
    }
    return p;
}

static void release(pass *p) {
    float *const all[] = {p->embedding, p->head, p->branch,  p->plain,  p->x,     p->normal,
                          p->inverse,   p->made, p->scratch, p->shared, p->logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(p->seconds);
}

static void write_weights(const pass *p, const char *path) {
    const ramify_paraformer_shape *shape = &p->shape;
    const struct {
        const float *at;
        size_t count;
    } parts[] = {
        {p->embedding, ramify_embedding_lay_out(&shape->embedding).floats},
        {p->head, ramify_head_lay_out(&shape->head).floats},
        {p->branch, shape->branches * p->branch_floats},
        {p->plain, shape->embedding.plain},
        {p->logits, shape->head.outputs},
    };
    FILE *file = fopen(path, "wb");
    bool good = file != NULL;
    for (size_t i = 0; good && i < sizeof parts / sizeof *parts; i++)
        good = fwrite(parts[i].at, sizeof(float), parts[i].count, file) == parts[i].count;
    if (!file || fclose(file) != 0 || !good) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(1);
    }
}

static void measure(const ramify_paraformer_shape *shape, bool whole, uint32_t threads,
                    uint32_t passes, const char *weights) {
    static double all[PASSES_MOST], slowest[PASSES_MOST], before[PASSES_MOST], after[PASSES_MOST];
    ramify_context_options options;
    ramify_context *context = NULL;
    ramify_context_options_init(&options);
    options.threads = threads;
    if (ramify_context_create(&options, &context) != RAMIFY_OK)
        exit(1);
    pass p = prepare(shape, whole, threads);
    run(context, &p, threads); /* touches the memory and starts the threads */
    if (weights)
        write_weights(&p, weights);
    for (uint32_t i = 0; i < passes; i++) {
        seconds took = run(context, &p, threads);
        all[i] = took.all;
        before[i] = took.before;
        after[i] = took.after;
        slowest[i] = 0;
        for (uint32_t b = 0; b < shape->branches; b++)
            slowest[i] = p.seconds[b] > slowest[i] ? p.seconds[b] : slowest[i];
    }
    printf("%.6f %.6f %.6f %.6f\n", 1e3 * median(all, passes), 1e3 * median(slowest, passes),
           1e3 * median(before, passes), 1e3 * median(after, passes));
    fflush(stdout);
    release(&p);
    ramify_context_destroy(&context);
}

int main(int argc, char **argv) {
    unsigned side, patch, width, heads, classes;
    if (argc != 7 || sscanf(argv[1], "%u", &side) != 1 || sscanf(argv[2], "%u", &patch) != 1 ||
        sscanf(argv[3], "%u", &width) != 1 || sscanf(argv[4], "%u", &heads) != 1 ||
        sscanf(argv[5], "%u", &classes) != 1 || patch == 0 || side % patch != 0) {
        fputs("bench_paraformer SIDE PATCH WIDTH HEADS CLASSES WEIGHTS; see latency.py\n", stderr);
        return 2;
    }
    const char *weights = argv[6];
    unsigned branches, depth, whole, threads, passes;
    while (scanf("%u %u %u %u %u", &branches, &depth, &whole, &threads, &passes) == 5) {
        unsigned tokens = (side / patch) * (side / patch) + 1;
        ramify_paraformer_shape shape = {
            .embedding = {.width = width,
                          .tokens = tokens,
                          .plain = side * side * 3,
                          .height = side,
                          .breadth = side,
                          .channels = 3,
                          .patch = patch},
            .branch = {.depth = depth,
                       .width = width,
                       .heads = heads,
                       .hidden = 4 * width,
                       .tokens = tokens,
                       .epsilon = 1e-5F},
            .branches = branches,
            .head = {.width = width, .outputs = classes, .epsilon = 1e-5F},
        };
        if (ramify_branch_shape_error(&shape.branch) || passes < 1 || passes > PASSES_MOST ||
            branches < 1 || threads < 1) {
            fputs("such a model cannot be run\n", stderr);
            return 2;
        }
        measure(&shape, whole != 0, threads, passes, weights);
        weights = NULL;
    }
    return 0;
}

/* Time of one training step of a Para-Former on images of 28 x 28, and how much of it is products.
 *
 *     bench_branches_step [THREADS]     medians of a few shapes; default: all threads
 *
 * What is timed is a whole fit by the library's trainer (ramify_paraformer_fit) on made-up rows:
 * for every step changes to the images, forward and backward pass, clipping, AdamW's step and the
 * average; divided by its steps. There are no select rows, so nothing is scored. GFLOP are those of
 * the products over all tokens, three times (forward, and backward to weights and inputs); the last
 * layers, which run for the class token alone, are left out. */

#include "memory.h"
#include "paraformer_fit.h"
#include "paraformer_gradient.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>

#define SIDE    28
#define CLASSES 10
#define BATCH   64
#define STEPS   4
#define TURNS   7

static void fail(const char *what) {
    fprintf(stderr, "bench_branches_step: %s\n", what);
    exit(1);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static ramify_paraformer_shape shape_of(uint32_t branches, uint32_t depth, uint32_t patch,
                                        uint32_t width) {
    uint32_t across = SIDE / patch;
    uint32_t tokens = across * across + 1;
    return (ramify_paraformer_shape){
        .embedding = {width, tokens, SIDE * SIDE, SIDE, SIDE, 1, patch, NULL},
        .branch = {depth, width, 4, 4 * width, tokens, false, false, 1e-5F},
        .branches = branches,
        .head = {width, CLASSES, 1e-5F},
    };
}

/* Operations of a row's products in a layer over all tokens: multiply and add, three times. */
static double row_operations(const ramify_branch_shape *branch) {
    double d = branch->width;
    double tokens = branch->tokens;
    return 6 * tokens * (12 * d * d + 2 * tokens * d);
}

static double seconds_of_step(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                              ramify_rows rows) {
    ramify_paraformer_plan plan;
    ramify_paraformer_plan_init(RAMIFY_PASSES_WHOLE, &plan);
    plan.batch = BATCH;
    plan.epochs = 1;
    plan.augmentation = (ramify_augmentation){
        .height = SIDE, .breadth = SIDE, .channels = 1, .crop = 2, .flip = true};
    size_t floats = ramify_paraformer_parts_of(shape).floats;
    float *vector = ramify_allocate(problem->context, floats, sizeof *vector);
    if (!vector)
        fail("out of memory");
    ramify_paraformer_weights weights = ramify_paraformer_weights_in(shape, vector);
    double turn[TURNS];
    for (int i = 0; i < TURNS; i++) {
        ramify_paraformer_result result;
        ramify_paraformer_start(shape, 1, &weights);
        double before = ramify_seconds();
        if (ramify_paraformer_fit(problem, shape, &plan, rows, (ramify_rows){0}, &weights, NULL,
                                  &result) != RAMIFY_OK)
            fail(ramify_message(problem->context));
        turn[i] = (ramify_seconds() - before) / (double)result.steps;
    }
    ramify_release(problem->context, vector);
    qsort(turn, TURNS, sizeof *turn, ascending);
    return turn[TURNS / 2];
}

int main(int count, char **argument) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = count > 1 ? (uint32_t)strtoul(argument[1], NULL, 10) : options.threads;
    ramify_context *context;
    if (ramify_context_create(&options, &context) != RAMIFY_OK)
        fail("no context");
    const size_t rows = STEPS * BATCH;
    ramify_problem problem = {.context = context,
                              .kernels = ramify_kernels_select(NULL),
                              .rows = rows,
                              .outputs = CLASSES,
                              .plain_stride = ramify_pad(SIDE * SIDE)};
    problem.plain = ramify_allocate(context, rows * problem.plain_stride, sizeof *problem.plain);
    problem.label = ramify_allocate(context, rows, sizeof *problem.label);
    uint32_t *row = ramify_allocate(context, rows, sizeof *row);
    if (!problem.plain || !problem.label || !row)
        fail("out of memory");
    for (size_t i = 0; i < rows * problem.plain_stride; i++)
        problem.plain[i] = (float)(i * 2654435761U % 1000) / 500.0F - 1.0F;
    for (uint32_t i = 0; i < rows; i++) {
        row[i] = i;
        problem.label[i] = i % CLASSES;
    }
    printf("set: %s, threads: %u, batch: %d\n", problem.kernels->name, ramify_threads(context),
           BATCH);
    printf("branches x depth  patch  width   ms a step   GFLOP/s\n");
    const uint32_t shapes[][4] = {{8, 2, 7, 64}, {8, 2, 4, 64}, {4, 2, 7, 64}, {1, 9, 7, 64}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const uint32_t *s = shapes[i];
        const ramify_paraformer_shape shape = shape_of(s[0], s[1], s[2], s[3]);
        double seconds = seconds_of_step(&problem, &shape, (ramify_rows){row, rows});
        double operations = BATCH * s[0] * (s[1] - 1) * row_operations(&shape.branch);
        printf("%8u x %-7u %5u %6u %11.1f %9.1f\n", s[0], s[1], s[2], s[3], 1e3 * seconds,
               1e-9 * operations / seconds);
    }
    ramify_release(context, problem.plain);
    ramify_release(context, problem.label);
    ramify_release(context, row);
    ramify_context_destroy(&context);
    return 0;
}

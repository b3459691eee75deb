/* Time of one training step of an expert, one thread.
 *
 *     bench_train_step      medians of a few shapes
 *     bench_train_step -    turns: reads lines "TASK INPUTS HIDDEN OUTPUTS BATCH", such as
 *                           "regression 8 64,64 1 64", and answers each with the seconds of one step
 *
 * What is timed is a whole fit by the library's trainer (ramify_expert_fit) on ROWS made-up rows:
 * for every step the rows' gathering, forward and backward pass and AdamW's step, for every epoch
 * the shuffling; divided by its steps. There are no select rows, so nothing is scored. The inputs
 * are ready features: the encoder is frozen, as it is for every expert but the root. steps.py holds
 * the answers of "-" against other libraries, turn by turn. */

#include "expert.h"
#include "memory.h"
#include "recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS 4096
/* Medians over this many turns of about this long: short against the clock's drift, long against
 * what a fit does but once. */
#define TURNS        21
#define TURN_SECONDS 0.03

typedef struct trainee {
    ramify_problem problem;
    ramify_mlp_shape shape;
    uint32_t batch;
    float *features; /* ROWS x pad(inputs) */
    float *record;
} trainee;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "bench_train_step: %s\n", what);
    exit(1);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *needed(void *memory) {
    if (!memory) {
        fail("out of memory");
    }
    return memory;
}

/* Reads "TASK INPUTS HIDDEN OUTPUTS BATCH". */
static bool read_shape(const char *line, trainee *t, bool *classes) {
    char task[16];
    char hidden[64];
    unsigned inputs = 0;
    unsigned outputs = 0;
    uint32_t widths[RAMIFY_MLP_LAYERS_MAX];
    uint32_t layers = 0;
    if (sscanf(line, "%15s %u %63s %u %u", task, &inputs, hidden, &outputs, &t->batch) != 5 ||
        !ramify_hidden_parse(hidden, widths, &layers) || t->batch < 1 || t->batch > ROWS) {
        return false;
    }
    *classes = strcmp(task, "classification") == 0;
    t->shape = (ramify_mlp_shape){.layers = layers + 1, .members = 1};
    t->shape.width[0] = inputs;
    memcpy(t->shape.width + 1, widths, layers * sizeof *widths);
    t->shape.width[layers + 1] = outputs;
    return ramify_mlp_record_bytes(&t->shape) > 0;
}

/* Rows drawn evenly from -1 .. 1; the target is a smooth function of them, a class one of its
 * ranges. */
static void make_rows(trainee *t, bool classes) {
    ramify_problem *problem = &t->problem;
    uint32_t inputs = t->shape.width[0];
    uint32_t outputs = t->shape.width[t->shape.layers];
    size_t stride = ramify_pad(inputs);
    problem->rows = ROWS;
    problem->outputs = outputs;
    problem->targets = classes ? 0 : outputs;
    t->features = needed(ramify_allocate_zeroed(problem->context, ROWS * stride, sizeof(float)));
    problem->target = classes ? NULL : needed(calloc((size_t)ROWS * outputs, sizeof(float)));
    problem->label = classes ? needed(calloc(ROWS, sizeof(uint32_t))) : NULL;
    problem->row_memory = needed(calloc(ROWS, sizeof(uint32_t)));
    uint32_t state = 1;
    for (size_t row = 0; row < ROWS; row++) {
        float sum = 0;
        for (size_t i = 0; i < inputs; i++) {
            state = state * 1664525U + 1013904223U;
            float value = (float)(state >> 8) / 8388608.0F - 1;
            t->features[row * stride + i] = value;
            sum += value * value;
        }
        problem->row_memory[row] = (uint32_t)row;
        for (uint32_t j = 0; !classes && j < outputs; j++) {
            problem->target[row * outputs + j] = sum - (float)inputs / 3;
        }
        if (classes) {
            problem->label[row] = (uint32_t)(sum * 8) % outputs;
        }
    }
    problem->train = problem->observed = (ramify_rows){problem->row_memory, ROWS};
    t->record = needed(ramify_allocate(problem->context, ramify_mlp_record_bytes(&t->shape), 1));
    ramify_mlp_initialise(&t->shape, 0.25F, 1, 0, t->record);
}

static void clear(trainee *t) {
    ramify_release(t->problem.context, t->features);
    ramify_release(t->problem.context, t->record);
    free(t->problem.target);
    free(t->problem.label);
    free(t->problem.row_memory);
}

/* Seconds of one step of a fit of so many epochs, which goes on from where the last one ended. */
static double seconds_per_step(const trainee *t, uint32_t epochs) {
    const ramify_expert_plan plan = {
        .epochs = epochs,
        .batch = t->batch,
        .rate = 1e-3,
        .cosine = true,
        .decay = 0.1,
        .keep_last = true,
        .checks = 1,
        .train_slope = true,
        .seed = 1,
    };
    double start = now();
    if (ramify_expert_fit(&t->problem, &t->shape, &plan, NULL, t->features, t->problem.train, NULL,
                          (ramify_rows){0}, false, t->record, NULL) != RAMIFY_OK) {
        fail(ramify_message(t->problem.context));
    }
    uint32_t steps = (ROWS + t->batch - 1) / t->batch * epochs;
    return (now() - start) / steps;
}

/* Epochs of a turn; they also warm up. */
static uint32_t epochs_per_turn(const trainee *t) {
    uint32_t steps = (ROWS + t->batch - 1) / t->batch;
    uint32_t epochs = 1;
    while (seconds_per_step(t, epochs) * steps * epochs < TURN_SECONDS) {
        epochs *= 2;
    }
    return epochs;
}

static void answer_turns(ramify_context *context, const ramify_kernels *kernels) {
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        trainee t = {.problem = {.context = context, .kernels = kernels}};
        bool classes;
        if (!read_shape(line, &t, &classes)) {
            fail("a turn is TASK INPUTS HIDDEN OUTPUTS BATCH");
        }
        make_rows(&t, classes);
        printf("%.9g\n", seconds_per_step(&t, epochs_per_turn(&t)));
        fflush(stdout);
        clear(&t);
    }
}

static void print_table(ramify_context *context, const ramify_kernels *kernels) {
    static const char *const shapes[] = {
        "regression 8 64,64 1 64",       "regression 8 64,64 1 256",
        "regression 8 64,64,64 1 64",    "regression 8 32,32 1 64",
        "classification 16 64,64 26 64", "classification 16 64,64 26 256",
    };
    printf("set: %s\n%-36s us per step\n", kernels->name, "task inputs hidden outputs batch");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        trainee t = {.problem = {.context = context, .kernels = kernels}};
        bool classes;
        if (!read_shape(shapes[i], &t, &classes)) {
            fail(shapes[i]);
        }
        make_rows(&t, classes);
        double times[TURNS];
        uint32_t epochs = epochs_per_turn(&t);
        for (size_t turn = 0; turn < TURNS; turn++) {
            times[turn] = seconds_per_step(&t, epochs);
        }
        qsort(times, TURNS, sizeof *times, ascending);
        printf("%-36s %8.2f\n", shapes[i], 1e6 * times[TURNS / 2]);
        clear(&t);
    }
}

int main(int argc, char **argv) {
    bool turns = argc == 2 && strcmp(argv[1], "-") == 0;
    if (argc > 1 && !turns) {
        bool help = strcmp(argv[1], "--help") == 0;
        fputs("usage: bench_train_step [-]\n", help ? stdout : stderr);
        return help ? 0 : 2;
    }
    ramify_context *context = NULL;
    if (ramify_context_create(NULL, &context) != RAMIFY_OK) {
        fail("out of memory");
    }
    const ramify_kernels *kernels = ramify_kernels_select(ramify_isa(context));
    if (turns) {
        answer_turns(context, kernels);
    } else {
        print_table(context, kernels);
    }
    ramify_context_destroy(&context);
    return 0;
}

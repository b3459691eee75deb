/* How fast models answer: single rows and batches, on one thread.
 *
 *     bench_models ROWS COLUMNS MODEL ...
 *
 * ROWS holds float64 numbers, row by row, COLUMNS of them each. Models take turns; a line per model says
 * the median nanoseconds of a row that is asked alone (other rows each time, so that other experts are met),
 * of one before which 16 MiB of other memory were walked through, and the median rows per second of
 * batches of 4,096. */

#include "ramify.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MODELS_MAX 32
#define BATCH      4096
#define TURNS      31
#define COLD_CALLS 20
#define COLD_BYTES ((size_t)16 << 20)

typedef struct contender {
    const char *path;
    ramify_model *model;
    ramify_predictor *one, *many;
    double single[TURNS], cold[TURNS], batch[TURNS]; /* seconds per row */
} contender;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check(ramify_context *context, ramify_status status) {
    if (status == RAMIFY_OK)
        return;
    fprintf(stderr, "bench_models: %s\n", ramify_message(context));
    exit(1);
}

/* All rows of the file; *rows: how many. */
static double *read_rows(const char *path, size_t columns, size_t *rows) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "bench_models: %s cannot be read\n", path);
        exit(1);
    }
    const size_t bytes = (size_t)ftell(file);
    double *values = malloc(bytes);
    *rows = bytes / sizeof *values / columns;
    rewind(file);
    if (!values || *rows == 0 || fread(values, 1, bytes, file) != bytes) {
        fprintf(stderr, "bench_models: %s cannot be read\n", path);
        exit(1);
    }
    fclose(file);
    return values;
}

/* Nothing of a model is in the caches of a core afterwards. */
static void walk(void) {
    static volatile unsigned char other[COLD_BYTES];
    for (size_t i = 0; i < COLD_BYTES; i += 64)
        other[i]++;
}

static void take_turn(ramify_context *context, contender *c, int turn, const double *x, size_t rows,
                      size_t columns, double *y, size_t outputs) {
    const size_t count = rows < BATCH ? rows : BATCH;
    double began = seconds();
    for (size_t i = 0; i < count; i++)
        check(context, ramify_predict_double(c->one, 1, x + i * columns, columns, y, outputs));
    c->single[turn] = (seconds() - began) / (double)count;
    c->cold[turn] = 0;
    for (size_t i = 0; i < COLD_CALLS; i++) {
        const size_t row = (i * 997 + (size_t)turn * 31) % count;
        walk();
        began = seconds();
        check(context, ramify_predict_double(c->one, 1, x + row * columns, columns, y, outputs));
        c->cold[turn] += (seconds() - began) / COLD_CALLS;
    }
    began = seconds();
    for (int i = 0; i < 4; i++)
        check(context, ramify_predict_double(c->many, count, x, columns, y, outputs));
    c->batch[turn] = (seconds() - began) / (double)(4 * count);
}

int main(int argc, char **argv) {
    static contender all[MODELS_MAX];
    if (argc < 4 || argc - 3 > MODELS_MAX) {
        fprintf(stderr, "bench_models ROWS COLUMNS MODEL ...\n");
        return 2;
    }
    const size_t columns = strtoul(argv[2], NULL, 10);
    if (columns == 0) {
        fprintf(stderr, "bench_models: %s is no number of columns\n", argv[2]);
        return 2;
    }
    size_t rows, outputs = 0;
    double *x = read_rows(argv[1], columns, &rows);
    ramify_context_options options = {.threads = 1};
    ramify_context *context;
    if (ramify_context_create(&options, &context) != RAMIFY_OK)
        return 1;
    const int count = argc - 3;
    for (int i = 0; i < count; i++) {
        ramify_model_info info;
        all[i].path = argv[3 + i];
        check(context, ramify_open(context, all[i].path, NULL, &all[i].model));
        check(context, ramify_predictor_create(context, all[i].model, 1, &all[i].one));
        check(context, ramify_predictor_create(context, all[i].model, BATCH, &all[i].many));
        ramify_model_get_info(all[i].model, &info);
        outputs = info.outputs > outputs ? info.outputs : outputs;
    }
    double *y = malloc(BATCH * outputs * sizeof *y);
    if (!y)
        return 1;
    for (int turn = 0; turn < TURNS; turn++)
        for (int i = 0; i < count; i++)
            take_turn(context, &all[i], turn, x, rows, columns, y, outputs);
    for (int i = 0; i < count; i++) {
        qsort(all[i].single, TURNS, sizeof(double), ascending);
        qsort(all[i].batch, TURNS, sizeof(double), ascending);
        qsort(all[i].cold, TURNS, sizeof(double), ascending);
        printf("%s %.0f %.0f %.0f\n", all[i].path, 1e9 * all[i].single[TURNS / 2],
               1e9 * all[i].cold[TURNS / 2], 1 / all[i].batch[TURNS / 2]);
        ramify_predictor_destroy(&all[i].one);
        ramify_predictor_destroy(&all[i].many);
        ramify_close(&all[i].model);
    }
    free(x);
    free(y);
    ramify_context_destroy(&context);
    return 0;
}

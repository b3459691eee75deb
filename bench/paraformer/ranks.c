/* What ranks that share a Para-Former's branches send and how long it takes them; started by mpirun, or
 * alone:
 *
 *     bench_paraformer_ranks PLUGIN IMAGES LABELS ROWS BRANCHES EPOCHS PASSES
 *
 * Trains on the table (one thread per rank), tells the seconds and per phase the bytes of all ranks together
 * beside what the formulas of paraformer_gradient.c say. Then the same rows, ROWS at a time, go through the
 * whole model on every rank and through its shared branches in turn, PASSES times each: median milliseconds
 * of a pass. */

#include "cluster.h"
#include "model.h"
#include "paraformer_share.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    ramify_context *context;
    ramify_table *table;
    ramify_model *model;
    uint32_t ranks, branches, epochs;
    size_t rows, passes;
} bench;

static void must(const bench *b, ramify_status status, const char *what) {
    if (status == RAMIFY_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, ramify_message(b->context));
    ramify_cluster_fail(b->context, ramify_message(b->context));
    exit(1);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void train(bench *b) {
    ramify_train_options options;
    ramify_train_options_init(&options);
    options.kind = "paraformer";
    options.target = "label";
    options.task = "classification";
    options.branches = b->branches;
    options.patch = 7;
    options.epochs = b->epochs;
    ramify_training *training = NULL;
    must(b, ramify_train(b->context, b->table, &options, NULL, &b->model, &training), "training");
    if (ramify_cluster_rank(b->context) == 0)
        printf("training: %.2f s on %u ranks\n", training->seconds, b->ranks);
    ramify_training_destroy(&training);
}

static void tell_traffic(const bench *b, bool shows) {
    ramify_cluster_traffic own;
    double *all = malloc(2 * b->ranks * sizeof *all);
    for (uint32_t i = 0; ramify_cluster_get_traffic(b->context, i, &own); i++) {
        double mine[2] = {(double)own.bytes, own.seconds}, bytes = 0, seconds = 0;
        must(b, ramify_cluster_gather(b->context, mine, sizeof mine, all), "gathering");
        for (uint32_t r = 0; r < b->ranks; r++) {
            bytes += all[2 * r];
            seconds = all[2 * r + 1] > seconds ? all[2 * r + 1] : seconds;
        }
        if (shows)
            printf("%-34s %14.0f bytes of all ranks, %.3f s of the slowest\n", own.phase, bytes,
                   seconds);
    }
    free(all);
}

/* Of steps whose batches are full, as 64 rows of 17 tokens are cut. */
static void tell_formulas(const bench *b) {
    const ramify_paraformer_shape *shape = &b->model->paraformer;
    const size_t batch = 64, width = shape->branch.width, branches = b->branches;
    size_t shards = 16 > branches ? 16 / branches : 1, rows = batch / shards;
    size_t micro = 512 / shape->branch.tokens, rounds = (rows + micro - 1) / micro, tokens = 0;
    for (size_t s = 0; s < shards; s++)
        for (size_t r = 0; r < rounds; r++) {
            size_t images = rows * (r + 1) / rounds - rows * r / rounds;
            size_t here = branches / b->ranks + (s % b->ranks < branches % b->ranks);
            tokens += width * ramify_branch_stride(&shape->branch, images) * (branches - here);
        }
    printf("by formula, a step: class tokens %zu, gradients by tokens %zu, of the embedding %zu\n",
           4 * (b->ranks - 1) * branches * batch * width, 4 * tokens,
           4 * (b->ranks - 1) * shards * ramify_embedding_lay_out(&shape->embedding).floats);
}

static double pass(const bench *b, ramify_predictor *predictor, const double *x, double *y) {
    must(b, ramify_cluster_meet(b->context), "meeting");
    double started = ramify_seconds();
    must(b,
         ramify_predict_double(predictor, b->rows, x, b->model->stem.columns, y, b->model->outputs),
         "predicting");
    return 1000 * (ramify_seconds() - started);
}

static void predict(bench *b) {
    size_t columns = b->model->stem.columns, outputs = b->model->outputs;
    double *x = malloc(b->rows * columns * sizeof *x), *y = malloc(b->rows * outputs * sizeof *y);
    double *whole = malloc(b->passes * sizeof *whole), *shared = malloc(b->passes * sizeof *shared);
    for (size_t i = 0; i < b->rows * columns; i++)
        x[i] = (double)(i * 7919 % 256);
    ramify_predictor *one = NULL, *other = NULL;
    must(b, ramify_predictor_create(b->context, b->model, b->rows, &one), "a predictor");
    must(b, ramify_paraformer_share_create(b->context, b->model, b->rows, &other), "a predictor");
    for (size_t i = 0; i < b->passes; i++) {
        whole[i] = pass(b, one, x, y);
        shared[i] = pass(b, other, x, y);
    }
    qsort(whole, b->passes, sizeof *whole, ascending);
    qsort(shared, b->passes, sizeof *shared, ascending);
    if (ramify_cluster_rank(b->context) == 0)
        printf("a pass of %zu rows: %.3f ms whole, %.3f ms shared by %u ranks\n", b->rows,
               whole[b->passes / 2], shared[b->passes / 2], b->ranks);
    ramify_predictor_destroy(&one);
    ramify_predictor_destroy(&other);
    free(x);
    free(y);
    free(whole);
    free(shared);
}

int main(int count, char **words) {
    if (count != 8) {
        fputs("bench_paraformer_ranks PLUGIN IMAGES LABELS ROWS BRANCHES EPOCHS PASSES\n", stderr);
        return 2;
    }
    bench b = {.rows = strtoul(words[4], NULL, 10),
               .branches = (uint32_t)strtoul(words[5], NULL, 10),
               .epochs = (uint32_t)strtoul(words[6], NULL, 10),
               .passes = strtoul(words[7], NULL, 10)};
    ramify_context_options context;
    ramify_context_options_init(&context);
    context.threads = 1;
    if (ramify_context_create(&context, &b.context) != RAMIFY_OK)
        return 1;
    ramify_cluster_options join;
    ramify_cluster_options_init(&join);
    join.plugin = words[1];
    must(&b, ramify_cluster_join(b.context, &join), "joining");
    b.ranks = ramify_cluster_size(b.context);
    ramify_table_options read;
    ramify_table_options_init(&read);
    read.labels = words[3];
    must(&b, ramify_table_read(b.context, words[2], &read, &b.table), words[2]);
    train(&b);
    tell_traffic(&b, ramify_cluster_rank(b.context) == 0);
    if (ramify_cluster_rank(b.context) == 0)
        tell_formulas(&b);
    predict(&b);
    ramify_close(&b.model);
    ramify_table_destroy(&b.table);
    ramify_context_destroy(&b.context);
    return 0;
}

/* For test_ranks_paraformer.py: predicts made-up rows of images with a model whose branches are dealt to the
 * ranks of an MPI job, and beside that with the whole model on every rank. Rank 0 prints as JSON whether
 * all predictions are the same, what ranks hold, and what they sent.
 *
 *     share_branches PLUGIN MODEL ROWS BRANCHES */

#include "cluster.h"
#include "model.h"
#include "paraformer_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct told {
    uint64_t whole, shared; /* resident bytes */
    uint64_t sent;          /* bytes of class tokens */
    uint64_t same;
} told;

static int fail(ramify_context *context, const char *what) {
    fprintf(stderr, "%s: %s\n", what, ramify_message(context));
    ramify_cluster_fail(context, ramify_message(context));
    return 1;
}

/* Predicts with all branches here, or those of this rank. */
static ramify_status predict(ramify_context *context, const char *path, uint32_t branches,
                             bool shared, size_t rows, const double *x, double *y,
                             uint64_t *resident) {
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.branches = branches;
    ramify_model *model = NULL;
    ramify_predictor *predictor = NULL;
    ramify_status status = ramify_open(context, path, &options, &model);
    if (status == RAMIFY_OK)
        status = shared ? ramify_paraformer_share_create(context, model, rows, &predictor)
                        : ramify_predictor_create(context, model, rows, &predictor);
    if (status == RAMIFY_OK)
        status = ramify_predict_double(predictor, rows, x, model->stem.columns, y, model->outputs);
    if (status == RAMIFY_OK) {
        ramify_residency residency;
        ramify_model_get_residency(model, &residency);
        *resident = residency.resident_bytes;
    }
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    return status;
}

static uint64_t bytes_sent(const ramify_context *context) {
    ramify_cluster_traffic traffic;
    for (uint32_t i = 0; ramify_cluster_get_traffic(context, i, &traffic); i++)
        if (strcmp(traffic.phase, "class tokens of predicted rows") == 0)
            return traffic.bytes;
    return 0;
}

static ramify_status compare(ramify_context *context, const char *path, uint32_t branches,
                             size_t rows, told *own) {
    ramify_model *model = NULL;
    ramify_status status = ramify_open(context, path, NULL, &model);
    if (status != RAMIFY_OK)
        return status;
    size_t columns = model->stem.columns, outputs = model->outputs;
    ramify_close(&model);
    double *x = malloc(rows * columns * sizeof *x);
    double *y = malloc(2 * rows * outputs * sizeof *y);
    for (size_t i = 0; x && i < rows * columns; i++)
        x[i] = (double)(i * 7919 % 1009) / 1009;
    if (!x || !y)
        exit(1);
    status = predict(context, path, branches, false, rows, x, y, &own->whole);
    if (status == RAMIFY_OK)
        status = predict(context, path, branches, true, rows, x, y + rows * outputs, &own->shared);
    own->same = memcmp(y, y + rows * outputs, rows * outputs * sizeof *y) == 0;
    own->sent = bytes_sent(context);
    free(x);
    free(y);
    return status;
}

int main(int count, char **words) {
    if (count != 5)
        return 2;
    ramify_context *context = NULL;
    if (ramify_context_create(NULL, &context) != RAMIFY_OK)
        return 1;
    ramify_cluster_options options;
    ramify_cluster_options_init(&options);
    options.plugin = words[1];
    if (ramify_cluster_join(context, &options) != RAMIFY_OK)
        return fail(context, "joining");
    told own = {0};
    uint32_t ranks = ramify_cluster_size(context);
    ramify_status status = compare(context, words[2], (uint32_t)strtoul(words[4], NULL, 10),
                                   strtoul(words[3], NULL, 10), &own);
    if (status != RAMIFY_OK)
        return fail(context, words[2]);
    told *all = malloc(ranks * sizeof *all);
    if (!all)
        return 1;
    status = ramify_cluster_gather(context, &own, sizeof own, all);
    for (uint32_t r = 0; ramify_cluster_rank(context) == 0 && status == RAMIFY_OK && r < ranks; r++)
        printf("%s{\"whole\": %llu, \"shared\": %llu, \"sent\": %llu, \"same\": %s}%s\n",
               r == 0 ? "[" : " ", (unsigned long long)all[r].whole,
               (unsigned long long)all[r].shared, (unsigned long long)all[r].sent,
               all[r].same ? "true" : "false", r + 1 < ranks ? "," : "]");
    free(all);
    if (status != RAMIFY_OK)
        return fail(context, "gathering");
    ramify_context_destroy(&context);
    return 0;
}

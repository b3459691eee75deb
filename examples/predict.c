/* Loads a model and predicts one row:
 *
 *     predict MODEL VALUE ...
 *
 * Needs libramify-run only: cc predict.c $(pkg-config --cflags --libs ramify-run) */

#include <ramify.h>

#include <stdio.h>
#include <stdlib.h>

/* Reads the row's numbers: as many as the model has columns. A category is written as its code. */
static bool read_row(char **words, uint32_t count, float *x) {
    for (uint32_t c = 0; c < count; c++) {
        char *end;
        x[c] = strtof(words[c], &end);
        if (end == words[c] || *end != '\0') {
            fprintf(stderr, "%s: not a number\n", words[c]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    ramify_context *context = NULL;
    ramify_model *model = NULL;
    ramify_predictor *predictor = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: predict MODEL VALUE ...\n");
        return 2;
    }
    if (ramify_context_create(NULL, &context) != RAMIFY_OK)
        return 1;

    /* Hold at most 256 KiB, however large the file is. */
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.resident_bytes = 256 * 1024;
    ramify_status status = ramify_open(context, argv[1], &options, &model);
    if (status == RAMIFY_OK)
        status = ramify_predictor_create(context, model, 1, &predictor);

    ramify_model_info info = {0};
    if (status == RAMIFY_OK)
        ramify_model_get_info(model, &info);
    float *x = calloc(info.columns + 1, sizeof *x); /* columns */
    float *y = calloc(info.outputs + 1, sizeof *y); /* outputs */
    bool good = status == RAMIFY_OK && x && y;
    if (good && (uint32_t)(argc - 2) != info.columns) {
        fprintf(stderr, "%s takes %u values, %d are given\n", argv[1], info.columns, argc - 2);
        good = false;
    }
    good = good && read_row(argv + 2, info.columns, x);
    if (good)
        status = ramify_predict(predictor, 1, x, info.columns, y, info.outputs);
    good = good && status == RAMIFY_OK;
    for (uint32_t o = 0; good && o < info.outputs; o++)
        printf("%.9g\n", (double)y[o]);
    if (status != RAMIFY_OK)
        fprintf(stderr, "%s\n", ramify_message(context));

    free(y);
    free(x);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    ramify_context_destroy(&context);
    return good ? 0 : 1;
}

/* Loads a model and predicts one row:
 *
 *     predict MODEL VALUE ...
 *
 * Needs libramify-run only: cc predict.c $(pkg-config --cflags --libs ramify-run) */

#include <ramify.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    ramify_context *context = NULL;
    ramify_model *model = NULL;
    ramify_predictor *predictor = NULL;
    if (argc < 2 || ramify_context_create(NULL, &context) != RAMIFY_OK)
        return 2;

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
    for (uint32_t c = 0; x && c < info.columns && (int)c + 2 < argc; c++)
        x[c] = strtof(argv[c + 2], NULL);
    if (status == RAMIFY_OK && x && y)
        status = ramify_predict(predictor, 1, x, info.columns, y, info.outputs);
    for (uint32_t o = 0; status == RAMIFY_OK && y && o < info.outputs; o++)
        printf("%.9g\n", (double)y[o]);
    if (status != RAMIFY_OK)
        fprintf(stderr, "%s\n", ramify_message(context));

    free(y);
    free(x);
    ramify_predictor_destroy(&predictor);
    ramify_close(&model);
    ramify_context_destroy(&context);
    return status == RAMIFY_OK ? 0 : 1;
}

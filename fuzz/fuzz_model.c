/* Fuzzes opening, checking and predicting from a model in memory.
 *
 * The first byte says what the rest is. Odd: a file, as it is. Even: damages to a good file (half of
 * the byte says how its networks are packed), four bytes each, after which all checksums are made to fit, so that what lies behind them is reached.
 *
 * What must hold: failures have a status for strangers' files and a sentence; predicting twice gives
 * the same bits; a model that the check of the whole file accepts predicts every row. */

#include "model_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define ROWS 12

static const char *const numbers[] = {
    "stem/columns",
    "stem/plain",
    "stem/features",
    "stem/frequencies",
    "stem/routes",
    "stem/knots",
    "stem/entries",
    "tree/nodes",
    "tree/leaves",
    "tree/depth",
    "tree/arity",
    "notes/residuals",
    "notes/distances",
    "notes/rows",
    "groups/0/count",
    "stem/bins",
    "stem/route",
    "groups/0/shape/members",
    "groups/0/shape/widths/0",
    "groups/0/shape/widths/1",
    "groups/0/bytes",
    "groups/0/numbers",
    "groups/0/shape/bytes",
    "groups/0/shape/numbers",
};
static const char *const values[] = {
    "0",   "1",     "2",     "3",      "4",          "5",          "7",
    "8",   "16",    "17",    "63",     "64",         "65",         "255",
    "256", "65535", "65536", "262144", "2147483648", "4294967295", "9223372036854775807",
    "-1",  "true",  "false",
};

static void demand(bool held) {
    if (!held)
        abort();
}

/* Intervals around nothing but numbers, and novelty in its range. sound: the model is. */
static void use_notes(const ramify_model_info *info, ramify_predictor *predictor, const double *x,
                      bool sound) {
    size_t out = (size_t)ROWS * info->targets;
    double *low = calloc(out, sizeof *low), *high = calloc(out, sizeof *high), novelty[ROWS] = {0};
    demand(low && high);
    ramify_status status = ramify_predict_interval(predictor, ROWS, x, info->columns, 0.5, NULL,
                                                   low, high, info->targets);
    demand(status == RAMIFY_OK || status == RAMIFY_ERROR_FORMAT ||
           status == (info->intervals ? RAMIFY_ERROR_ARGUMENT : RAMIFY_ERROR_UNSUPPORTED));
    demand(!sound || status != RAMIFY_ERROR_FORMAT);
    for (size_t i = 0; i < out && status == RAMIFY_OK; i++)
        demand(!(low[i] > high[i]));
    status = ramify_predict_novelty(predictor, ROWS, x, info->columns, novelty);
    demand(status == RAMIFY_OK || status == RAMIFY_ERROR_FORMAT ||
           (!info->novelty && status == RAMIFY_ERROR_UNSUPPORTED));
    demand(!sound || status != RAMIFY_ERROR_FORMAT);
    for (size_t i = 0; i < ROWS; i++)
        demand(novelty[i] >= 0 && novelty[i] <= 1);
    free(low);
    free(high);
}

static void use(ramify_context *context, ramify_model *model) {
    bool sound = ramify_model_check(context, model) == RAMIFY_OK;
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    ramify_predictor *predictor = NULL;
    if (info.columns > 4096 || info.outputs > 4096 ||
        ramify_predictor_create(context, model, 5, &predictor) != RAMIFY_OK)
        return;
    size_t in = (size_t)ROWS * info.columns, out = (size_t)ROWS * info.outputs;
    double *x = malloc(in * sizeof *x), *y = calloc(out, sizeof *y),
           *again = calloc(out, sizeof *y);
    double *gradient = calloc(in, sizeof *gradient);
    demand(x && y && again && gradient);
    for (size_t i = 0; i < in; i++)
        x[i] = (double)(i * 2654435761U % 1000) / 100.0 - 5.0;
    ramify_status first = ramify_predict_double(predictor, ROWS, x, info.columns, y, info.outputs);
    ramify_status second =
        ramify_predict_double(predictor, ROWS, x, info.columns, again, info.outputs);
    demand(first == second);
    demand(first == RAMIFY_OK || first == RAMIFY_ERROR_FORMAT);
    demand(first == RAMIFY_OK || !sound);
    demand(first != RAMIFY_OK || memcmp(y, again, out * sizeof *y) == 0);
    ramify_predict_gradient(predictor, ROWS, x, info.columns, 0, gradient, info.columns);
    use_notes(&info, predictor, x, sound && first == RAMIFY_OK);
    ramify_predictor_destroy(&predictor);
    free(x);
    free(y);
    free(again);
    free(gradient);
}

static void try_bytes(ramify_context *context, const unsigned char *bytes, size_t size) {
    ramify_model *model = NULL;
    ramify_status status = ramify_open_buffer(context, bytes, size, &model);
    if (status == RAMIFY_OK) {
        use(context, model);
        ramify_close(&model);
        return;
    }
    demand(status == RAMIFY_ERROR_FORMAT || status == RAMIFY_ERROR_UNSUPPORTED ||
           status == RAMIFY_ERROR_MEMORY);
    demand(ramify_message(context)[0] != '\0');
}

/* The good files, of every packing; made once, and kept. */
static const void *good_file(uint32_t packed, size_t *size) {
    static ramify_context *context;
    static void *bytes[RANDOM_MODEL_PACKINGS + 1];
    static size_t bytes_size[RANDOM_MODEL_PACKINGS + 1];
    if (!context)
        demand(ramify_context_create(NULL, &context) == RAMIFY_OK);
    if (!bytes[packed]) {
        random_model *subject = model_file_subject(context, true, packed);
        bytes[packed] = random_model_bytes(subject, &bytes_size[packed]);
        random_model_destroy(subject);
    }
    *size = bytes_size[packed];
    return bytes[packed];
}

static void try_damages(ramify_context *context, uint32_t packed, const uint8_t *input,
                        size_t size) {
    size_t good_size;
    const void *good = good_file(packed, &good_size);
    model_file *file = model_file_take(good, good_size);
    for (size_t i = 0; i + 4 <= size; i += 4) {
        size_t at = input[i + 1] | (size_t)input[i + 2] << 8;
        if (input[i] % 8 == 0)
            model_file_edit(file->config, numbers[at % (sizeof numbers / sizeof numbers[0])],
                            values[input[i + 3] % (sizeof values / sizeof values[0])]);
        else
            file->data[at % file->data_size] = input[i + 3];
    }
    model_file_sign(file);
    size_t bad_size;
    unsigned char *bad = model_file_join(file, &bad_size);
    try_bytes(context, bad, bad_size);
    free(bad);
    model_file_free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size == 0)
        return 0;
    ramify_context *context = NULL;
    demand(ramify_context_create(NULL, &context) == RAMIFY_OK);
    if (input[0] & 1)
        try_bytes(context, input + 1, size - 1);
    else
        try_damages(context, input[0] / 2 % (RANDOM_MODEL_PACKINGS + 1), input + 1, size - 1);
    ramify_context_destroy(&context);
    return 0;
}

/* write_models DIRECTORY: writes random models there, and beside each a JSON file with rows and what
 * the library predicts for them, for check_safetensors.py and tests/cli/test_onnx.py. */

#include "memory.h"
#include "random_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS        12
#define SERIES_MODELS 8
#define PACKED_MODELS 28
#define ROWS          40
#define TIED          11 /* seed of a model of binary nodes that is written once more, with ties */
#define LEVEL         0.7

static json_t *numbers(const double *values, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, isfinite(values[i]) ? json_real(values[i]) : json_null());
    return list;
}

/* A row's lower bounds, upper bounds and novelty; nothing where the model has no notes. notes[2 targets
 * + 1] */
static bool write_notes(ramify_predictor *predictor, const random_model *twin, const double *x,
                        uint32_t targets, double *notes, json_t *list) {
    if (!twin->draft.notes)
        return true;
    uint32_t columns = twin->stem.columns;
    if (targets > 0 && ramify_predict_interval(predictor, 1, x, columns, LEVEL, NULL, notes,
                                               notes + targets, targets) != RAMIFY_OK)
        return false;
    if (ramify_predict_novelty(predictor, 1, x, columns, notes + 2 * targets) != RAMIFY_OK)
        return false;
    return json_array_append_new(list, numbers(notes, 2 * (size_t)targets + 1)) == 0;
}

static bool write_rows(ramify_context *context, random_model *twin, ramify_model *model,
                       const char *path) {
    ramify_predictor *predictor = NULL;
    if (ramify_predictor_create(context, model, 1, &predictor) != RAMIFY_OK)
        return false;
    json_t *x_list = json_array(), *y_list = json_array(), *note_list = json_array();
    bool classes = twin->schema.task == RAMIFY_TASK_CLASSIFICATION;
    double *x = calloc(twin->stem.columns, sizeof *x);
    double *y = calloc(model->outputs, sizeof *y);
    double *notes = calloc(2 * (size_t)model->outputs + 1, sizeof *notes);
    bool good = x && y && notes;
    for (size_t row = 0; row < ROWS && good; row++) {
        random_model_row(twin, x);
        for (uint32_t c = 0; c < twin->stem.columns; c++) {
            if (isinf(x[c]))
                x[c] = 1e6;
            x[c] = (double)(float)x[c]; /* for readers that take floats */
        }
        good = ramify_predict_double(predictor, 1, x, twin->stem.columns, y, model->outputs) ==
               RAMIFY_OK;
        good =
            good && write_notes(predictor, twin, x, classes ? 0 : model->outputs, notes, note_list);
        json_array_append_new(x_list, numbers(x, twin->stem.columns));
        json_array_append_new(y_list, numbers(y, model->outputs));
    }
    json_t *rows = json_pack("{s:o, s:o, s:f, s:o}", "x", x_list, "y", y_list, "level", LEVEL,
                             "notes", note_list);
    good = good && rows && json_dump_file(rows, path, 0) == 0;
    json_decref(rows);
    free(x);
    free(y);
    free(notes);
    ramify_predictor_destroy(&predictor);
    return good;
}

/* Makes the children of every node equally near: the first of them wins. */
static void tie(random_model *twin) {
    size_t routes = twin->stem.routes;
    for (uint32_t i = 0; i < twin->draft.node_count; i++)
        for (uint32_t c = 1; c < twin->nodes[i].children; c++) {
            float *first = twin->prototypes + twin->nodes[i].first_child * routes;
            memcpy(first + c * routes, first, routes * sizeof *first);
        }
}

/* Writes a model and rows of it as NAME.ramify and NAME.json. */
static bool write_model(ramify_context *context, const random_model_options *options, bool tied,
                        const char *folder, const char *name) {
    char path[1024];
    random_model *twin = random_model_create(context, options);
    if (tied)
        tie(twin);
    ramify_model *model = random_model_open(twin);
    snprintf(path, sizeof path, "%s/%s.ramify", folder, name);
    bool good = ramify_save(context, model, path) == RAMIFY_OK;
    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    good = good && write_rows(context, twin, model, path);
    ramify_close(&model);
    random_model_destroy(twin);
    return good;
}

/* Networks first, numbered; then models with series, and with packed networks. */
int main(int count, char **arguments) {
    ramify_context *context = NULL;
    if (count != 2 || ramify_context_create(NULL, &context) != RAMIFY_OK)
        return EXIT_FAILURE;
    bool good = true;
    char name[32];
    for (uint64_t seed = 0; seed <= MODELS && good; seed++) {
        random_model_options options = random_model_any(seed < MODELS ? seed : TIED);
        options.series = 0;
        snprintf(name, sizeof name, "%d", (int)seed);
        good = write_model(context, &options, seed == MODELS, arguments[1], name);
    }
    for (uint64_t seed = 0; seed < SERIES_MODELS && good; seed++) {
        random_model_options options = random_model_any(seed);
        options.task = RAMIFY_TASK_REGRESSION;
        options.series = 1 + (uint32_t)(seed % 3);
        snprintf(name, sizeof name, "series-%d", (int)seed);
        good = write_model(context, &options, false, arguments[1], name);
    }
    for (uint32_t way = 0; way < PACKED_MODELS && good; way++) {
        random_model_options options = random_model_any(way / RANDOM_MODEL_PACKINGS);
        options.series = 0;
        options.packed = 1 + way % RANDOM_MODEL_PACKINGS;
        snprintf(name, sizeof name, "packed-%u", way);
        good = write_model(context, &options, false, arguments[1], name);
    }
    ramify_context_destroy(&context);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

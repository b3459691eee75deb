/* LightGBM and XGBoost through their C entry points. */

#include "contender.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- LightGBM (LightGBM/c_api.h) ------------------------------------------------------------- */

#define LGBM_FLOAT32        0 /* C_API_DTYPE_FLOAT32 */
#define LGBM_PREDICT_NORMAL 0 /* C_API_PREDICT_NORMAL */

#define LGBM_PARAMETERS "num_threads=1 predict_disable_shape_check=true"

typedef struct lightgbm {
    void *booster, *fast; /* fast: made once, for single rows */
    int columns;
    double *y;
    int (*load)(const char *path, int *rounds, void **booster);
    int (*fast_init)(void *booster, int type, int first, int rounds, int data_type, int32_t columns,
                     const char *parameters, void **fast);
    int (*fast_predict)(void *fast, const void *row, int64_t *count, double *y);
    int (*predict)(void *booster, const void *x, int data_type, int32_t rows, int32_t columns,
                   int row_major, int type, int first, int rounds, const char *parameters,
                   int64_t *count, double *y);
    const char *(*last_error)(void);
} lightgbm;

static bool lightgbm_open(contender *c) {
    lightgbm *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = (int)c->columns;
    s->y = contender_memory(c->rows_most * c->outputs * sizeof *s->y);
    void *library = contender_library(c, c->library);
    if (!library ||
        !(*(void **)&s->load = contender_function(c, library, "LGBM_BoosterCreateFromModelfile")) ||
        !(*(void **)&s->fast_init =
              contender_function(c, library, "LGBM_BoosterPredictForMatSingleRowFastInit")) ||
        !(*(void **)&s->fast_predict =
              contender_function(c, library, "LGBM_BoosterPredictForMatSingleRowFast")) ||
        !(*(void **)&s->predict = contender_function(c, library, "LGBM_BoosterPredictForMat")) ||
        !(*(void **)&s->last_error = contender_function(c, library, "LGBM_GetLastError")))
        return false;
    int rounds = 0;
    if (s->load(c->model, &rounds, &s->booster) != 0 ||
        s->fast_init(s->booster, LGBM_PREDICT_NORMAL, 0, -1, LGBM_FLOAT32, s->columns,
                     LGBM_PARAMETERS, &s->fast) != 0) {
        snprintf(c->note, sizeof c->note, "%.1000s", s->last_error());
        return false;
    }
    snprintf(c->note, sizeof c->note, "%d rounds", rounds);
    return true;
}

static bool lightgbm_predict(void *of, size_t rows, const float *x) {
    lightgbm *s = of;
    int64_t count = 0;
    if (rows == 1)
        return s->fast_predict(s->fast, x, &count, s->y) == 0;
    return s->predict(s->booster, x, LGBM_FLOAT32, (int32_t)rows, s->columns, 1,
                      LGBM_PREDICT_NORMAL, 0, -1, LGBM_PARAMETERS, &count, s->y) == 0;
}

static double lightgbm_value(const void *of, size_t index) {
    return ((const lightgbm *)of)->y[index];
}

/* ---- XGBoost (xgboost/c_api.h) --------------------------------------------------------------- */

#define XGBOOST_CONFIG                                                                             \
    "{\"type\": 0, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false, "        \
    "\"missing\": NaN, \"cache_id\": 0, \"training\": false}"

typedef struct xgboost {
    void *booster, *proxy;
    size_t columns;
    const float *y; /* the library's, until the next call */
    char address[256];
    int (*create)(void *const *matrices, uint64_t count, void **booster);
    int (*set)(void *booster, const char *name, const char *value);
    int (*load)(void *booster, const char *path);
    int (*proxy_create)(void **proxy);
    int (*predict)(void *booster, const char *array, const char *config, void *proxy,
                   uint64_t const **shape, uint64_t *dimensions, const float **y);
    const char *(*last_error)(void);
} xgboost;

static bool xgboost_open(contender *c) {
    xgboost *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = c->columns;
    void *library = contender_library(c, c->library);
    if (!library || !(*(void **)&s->create = contender_function(c, library, "XGBoosterCreate")) ||
        !(*(void **)&s->set = contender_function(c, library, "XGBoosterSetParam")) ||
        !(*(void **)&s->load = contender_function(c, library, "XGBoosterLoadModel")) ||
        !(*(void **)&s->proxy_create = contender_function(c, library, "XGProxyDMatrixCreate")) ||
        !(*(void **)&s->predict = contender_function(c, library, "XGBoosterPredictFromDense")) ||
        !(*(void **)&s->last_error = contender_function(c, library, "XGBGetLastError")))
        return false;
    if (s->create(NULL, 0, &s->booster) != 0 || s->set(s->booster, "nthread", "1") != 0 ||
        s->load(s->booster, c->model) != 0 || s->set(s->booster, "nthread", "1") != 0 ||
        s->proxy_create(&s->proxy) != 0) {
        snprintf(c->note, sizeof c->note, "%.1000s", s->last_error());
        return false;
    }
    snprintf(c->note, sizeof c->note, "in place");
    return true;
}

/* The address is part of the call: the text that names it is written every time, as every caller
 * must. */
static bool xgboost_predict(void *of, size_t rows, const float *x) {
    xgboost *s = of;
    snprintf(s->address, sizeof s->address,
             "{\"data\": [%zu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", \"version\": 3}",
             (size_t)(uintptr_t)x, rows, s->columns);
    const uint64_t *shape = NULL;
    uint64_t dimensions = 0;
    return s->predict(s->booster, s->address, XGBOOST_CONFIG, s->proxy, &shape, &dimensions,
                      &s->y) == 0;
}

static double xgboost_value(const void *of, size_t index) {
    return (double)((const xgboost *)of)->y[index];
}

/* ---- both ------------------------------------------------------------------------------------ */

static bool arrange_nothing(contender *c, size_t rows, const float *x) {
    (void)c;
    (void)rows;
    (void)x;
    return true;
}

/* The libraries stay loaded: the process ends soon. */
static void close_nothing(contender *c) {
    (void)c;
}

const peer peer_lightgbm = {"lightgbm",       lightgbm_open,  arrange_nothing,
                            lightgbm_predict, lightgbm_value, close_nothing};
const peer peer_xgboost = {"xgboost",       xgboost_open,  arrange_nothing,
                           xgboost_predict, xgboost_value, close_nothing};

/* Models that are shared objects themselves: networks that prepare.py wrote (plain C, emlearn) and
 * trees that tl2cgen wrote. Neither knows batches: rows go in one after another. */

#include "contender.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool arrange_nothing(contender *c, size_t rows, const float *x) {
    (void)c;
    (void)rows;
    (void)x;
    return true;
}

static void close_nothing(contender *c) {
    (void)c;
}

/* ---- networks -------------------------------------------------------------------------------- */

#define BUILDS_MOST 16
#define BUILD_CALLS 300

typedef void run_network(const float *x, float *y);

typedef struct network {
    run_network *builds[BUILDS_MOST], *run;
    size_t columns, outputs;
    float *x, *y;
} network;

static bool try_build(void *of, size_t setting) {
    network *s = of;
    for (int i = 0; i < BUILD_CALLS; i++) {
        s->x[0] = 1e-3F * (float)i;
        s->builds[setting](s->x, s->y);
    }
    return true;
}

/* The model is a list of the same network by several compilers and flags: the fastest is taken. */
static bool network_open(contender *c) {
    network *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = c->columns;
    s->outputs = c->outputs;
    s->x = contender_memory(c->columns * sizeof *s->x);
    s->y = contender_memory(c->rows_most * c->outputs * sizeof *s->y);
    char list[CONTENDER_TEXT];
    const char *names[BUILDS_MOST];
    size_t count = 0;
    snprintf(list, sizeof list, "%s", c->model);
    char *rest = NULL;
    for (char *name = strtok_r(list, ",", &rest); name && count < BUILDS_MOST;
         name = strtok_r(NULL, ",", &rest)) {
        void *library = contender_library(c, name);
        if (!library ||
            !(*(void **)&s->builds[count] = contender_function(c, library, "network_run")))
            return false;
        names[count++] = name;
    }
    if (count == 0) {
        snprintf(c->note, sizeof c->note, "no compiler made it");
        return false;
    }
    size_t best = contender_fastest(count, try_build, s);
    s->run = s->builds[best];
    const char *slash = strrchr(names[best], '/');
    snprintf(c->note, sizeof c->note, "%.100s", slash ? slash + 1 : names[best]);
    return true;
}

static bool network_predict(void *of, size_t rows, const float *x) {
    network *s = of;
    for (size_t row = 0; row < rows; row++)
        s->run(x + row * s->columns, s->y + row * s->outputs);
    return true;
}

static double network_value(const void *of, size_t index) {
    return (double)((const network *)of)->y[index];
}

const peer peer_network = {"network",       network_open,  arrange_nothing,
                           network_predict, network_value, close_nothing};

/* ---- trees ----------------------------------------------------------------------------------- */

/* tl2cgen's code takes and gives float32 or float64, as the trees it was made from are kept: XGBoost's
 * the first, LightGBM's the second. A cell of a row is -1 if missing, else the number; the function
 * overwrites it with the number of the interval between two thresholds that it lies in. What the
 * trees say is added to what y holds. */
typedef union cell32 {
    int missing;
    float number;
} cell32;

typedef union cell64 {
    int missing;
    double number;
} cell64;

typedef struct trees {
    void (*run32)(cell32 *row, int margin, float *y);
    void (*run64)(cell64 *row, int margin, double *y);
    bool wide;
    size_t columns, outputs;
    cell32 *row32;
    cell64 *row64;
    float *y32;
    double *y64;
} trees;

static bool trees_open(contender *c) {
    trees *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = c->columns;
    s->outputs = c->outputs;
    void *library = contender_library(c, c->model);
    const char *(*threshold_type)(void);
    const char *(*output_type)(void);
    if (!library ||
        !(*(void **)&threshold_type = contender_function(c, library, "get_threshold_type")) ||
        !(*(void **)&output_type = contender_function(c, library, "get_leaf_output_type")))
        return false;
    s->wide = strcmp(threshold_type(), "float64") == 0;
    if (strcmp(threshold_type(), output_type()) != 0 ||
        (!s->wide && strcmp(threshold_type(), "float32") != 0)) {
        snprintf(c->note, sizeof c->note, "takes %.20s and gives %.20s", threshold_type(),
                 output_type());
        return false;
    }
    snprintf(c->note, sizeof c->note, "%.20s", threshold_type());
    if (s->wide) {
        s->row64 = contender_memory(c->columns * sizeof *s->row64);
        s->y64 = contender_memory(c->rows_most * c->outputs * sizeof *s->y64);
        return (*(void **)&s->run64 = contender_function(c, library, "predict"));
    }
    s->row32 = contender_memory(c->columns * sizeof *s->row32);
    s->y32 = contender_memory(c->rows_most * c->outputs * sizeof *s->y32);
    return (*(void **)&s->run32 = contender_function(c, library, "predict"));
}

static bool trees_predict(void *of, size_t rows, const float *x) {
    trees *s = of;
    for (size_t row = 0; row < rows; row++, x += s->columns)
        if (s->wide) {
            for (size_t i = 0; i < s->columns; i++)
                s->row64[i].number = (double)x[i];
            memset(s->y64 + row * s->outputs, 0, s->outputs * sizeof *s->y64);
            s->run64(s->row64, 0, s->y64 + row * s->outputs);
        } else {
            memcpy(s->row32, x, s->columns * sizeof *s->row32);
            memset(s->y32 + row * s->outputs, 0, s->outputs * sizeof *s->y32);
            s->run32(s->row32, 0, s->y32 + row * s->outputs);
        }
    return true;
}

static double trees_value(const void *of, size_t index) {
    const trees *s = of;
    return s->wide ? s->y64[index] : (double)s->y32[index];
}

const peer peer_trees = {"trees",       trees_open,  arrange_nothing,
                         trees_predict, trees_value, close_nothing};

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

/* A cell of a row, as the generated header declares it: -1 if missing, else the number. */
typedef union cell {
    int missing;
    float number;
    int quantized;
} cell;

typedef struct trees {
    void (*run)(cell *row, int margin, float *y);
    size_t columns, outputs;
    cell *row; /* the function overwrites it with quantized numbers */
    float *y;
} trees;

static bool trees_open(contender *c) {
    trees *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = c->columns;
    s->outputs = c->outputs;
    s->row = contender_memory(c->columns * sizeof *s->row);
    s->y = contender_memory(c->rows_most * c->outputs * sizeof *s->y);
    void *library = contender_library(c, c->model);
    return library && (*(void **)&s->run = contender_function(c, library, "predict"));
}

static bool trees_predict(void *of, size_t rows, const float *x) {
    trees *s = of;
    for (size_t row = 0; row < rows; row++) {
        memcpy(s->row, x + row * s->columns, s->columns * sizeof *s->row);
        s->run(s->row, 0, s->y + row * s->outputs);
    }
    return true;
}

static double trees_value(const void *of, size_t index) {
    return (double)((const trees *)of)->y[index];
}

const peer peer_trees = {"trees",       trees_open,  arrange_nothing,
                         trees_predict, trees_value, close_nothing};

/* ramify through its public header, as a program that ships a model would: float32 rows in, float32
 * out, one predictor. A batch goes in whole; the predictor cuts it into pieces of at most the rows
 * it was made for. */

#include "contender.h"
#include "ramify.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct state {
    ramify_context *context;
    ramify_model *model;
    ramify_predictor *predictor;
    size_t columns, outputs;
    float *y;
} state;

static bool fail(contender *c) {
    const state *s = c->state;
    snprintf(c->note, sizeof c->note, "%.1000s",
             s->context ? ramify_message(s->context) : "no context");
    return false;
}

static bool open_within(contender *c, bool bounded) {
    state *s = contender_memory(sizeof *s);
    c->state = s;
    s->columns = c->columns;
    s->outputs = c->outputs;
    s->y = contender_memory(c->rows_most * c->outputs * sizeof *s->y);
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = 1;
    ramify_open_options how;
    ramify_open_options_init(&how);
    if (ramify_context_create(&options, &s->context) != RAMIFY_OK ||
        ramify_open(s->context, c->model, &how, &s->model) != RAMIFY_OK)
        return fail(c);
    ramify_model_info info;
    ramify_model_get_info(s->model, &info);
    if (info.columns != c->columns || info.outputs != c->outputs) {
        snprintf(c->note, sizeof c->note, "the model takes %u and gives %u numbers", info.columns,
                 info.outputs);
        return false;
    }
    if (bounded) {
        how.resident_bytes = info.resident_bytes;
        ramify_close(&s->model);
        if (ramify_open(s->context, c->model, &how, &s->model) != RAMIFY_OK)
            return fail(c);
    }
    snprintf(c->note, sizeof c->note, "%s", ramify_isa(s->context));
    return true;
}

static bool open_free(contender *c) {
    return open_within(c, false);
}

static bool open_bounded(contender *c) {
    return open_within(c, true);
}

static bool predict(void *of, size_t rows, const float *x) {
    state *s = of;
    return ramify_predict(s->predictor, rows, x, s->columns, s->y, s->outputs) == RAMIFY_OK;
}

static bool remake(state *s, size_t rows) {
    ramify_predictor_destroy(&s->predictor);
    return ramify_predictor_create(s->context, s->model, rows, &s->predictor) == RAMIFY_OK;
}

/* Pieces as large as the library makes them: smaller ones were never faster. */
static bool arrange(contender *c, size_t rows, const float *x) {
    (void)x;
    return remake(c->state, rows) ? true : fail(c);
}

static double value(const void *of, size_t index) {
    return (double)((const state *)of)->y[index];
}

static void close_model(contender *c) {
    state *s = c->state;
    if (s) {
        ramify_predictor_destroy(&s->predictor);
        ramify_close(&s->model);
        ramify_context_destroy(&s->context);
        free(s->y);
        free(s);
    }
}

const peer peer_ramify = {"ramify", open_free, arrange, predict, value, close_model};
const peer peer_bounded = {"bounded", open_bounded, arrange, predict, value, close_model};

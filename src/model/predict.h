#ifndef RAMIFY_MODEL_PREDICT_H
#define RAMIFY_MODEL_PREDICT_H
/* The inside of a predictor: one thread's working memory for pieces of up to `rows` rows. */

#include "kernels.h"
#include "model.h"
#include "paraformer_run.h"
#include "ramify.h"
#include "schema.h"

/* Larger pieces gain nothing: every expert's share of a piece then fills whole blocks of rows. */
#define RAMIFY_PIECE_ROWS_MAX 4096

/* Rows order[start .. start + count) of a piece that have reached the same reference. */
typedef struct ramify_row_group {
    ramify_reference reference;
    uint32_t start, count;
    uint32_t depth; /* of the node referred to */
} ramify_row_group;

/* Order in which modules are run: by their place in the file. */
typedef struct ramify_visit {
    uint64_t offset; /* of the module */
    uint32_t leaf;   /* index into leaves */
} ramify_visit;

struct ramify_predictor {
    ramify_context *context;
    ramify_model *model;
    const ramify_kernels *kernels;
    size_t rows;    /* of a piece */
    uint64_t bytes; /* that it holds */
    ramify_traffic traffic;
    size_t ldp, ldf, ldt, ldo; /* padded plain, features, route dimensions, outputs */

    double *raw;              /* rows x columns */
    float *plain;             /* rows x ldp */
    float *features;          /* rows x ldf; plain where the stem adds nothing to them */
    float *point;             /* rows x ldt; plain where there is no route */
    float *gathered;          /* rows x max(ldf, ldt): rows of one group side by side */
    float *distance;          /* rows x arity */
    float *output;            /* rows x ldo */
    uint32_t *order;          /* rows: row numbers, group after group */
    uint32_t *sorted;         /* rows: scratch of the sort, then rows of one module */
    uint32_t *choice;         /* rows: child of each row of a group */
    ramify_row_group *groups; /* rows: groups still on their way down */
    ramify_row_group *leaves; /* rows: groups that have arrived */
    ramify_visit *visits;     /* rows */
    size_t leaf_count;
    void *scratch;  /* of the module */
    double *values; /* rows x outputs of series; NULL: the model has none */

    ramify_paraformer_work paraformer; /* in the place of what routing and modules need */
    ramify_deal deal;                  /* of the branches; zeros: all are run here */
    ramify_paraformer_join join;       /* NULL with them */

    /* With several experts per row (blend.h); else NULL */
    struct ramify_share *shares; /* rows x top_k */
    size_t share_count;
    struct ramify_way *ways; /* top_k + 1 */
    double *blended;         /* rows x outputs */

    /* For intervals and novelty (notes.h) */
    ramify_notes *notes; /* NULL until they are asked for */
    float *nearness;     /* rows: squared distance to the prototype of the row's leaf, which routing
                            sets where there is a tree; NULL: not wanted */

    void *gradient_memory; /* NULL until the first gradient */
    size_t gradient_rows;  /* of a piece of gradients */
    float *group_slope;    /* gradient_rows x ldf, rows of one group side by side */
    float *plain_slope;    /* ldp */
    double *raw_slope;     /* gradient_rows x columns, where there are series */
    float *output_slope;   /* gradient_rows x ldo */
    void *gradient_scratch;
};

/* Rows of one module side by side, as ramify_predictor_visit hands them over. */
typedef struct ramify_batch {
    uint32_t module; /* its number */
    uint32_t group;
    const void *record;
    const uint32_t *rows; /* count row numbers within the piece */
    size_t count;
    const float *features; /* count x ldf; not set for series */
    const double *x;       /* raw rows of the piece, with a stride */
    size_t x_stride;
} ramify_batch;

/* An output of a module, or of softmax after it, in the units of predictions. */
static inline double ramify_model_value(const ramify_model *model, uint32_t output, float value) {
    if (model->targets == 0)
        return (double)value;
    return model->head_center[output] + model->head_scale[output] * (double)value;
}

/* Fills plain, points and, with `features`, features from a piece of raw rows. */
void ramify_predictor_encode(ramify_predictor *predictor, size_t rows, const double *x,
                             size_t x_stride, bool features);

/* The given rows of `from` side by side. One row, or all of them in their order, are used where
 * they are. */
const float *ramify_predictor_gather(ramify_predictor *predictor, const float *from, size_t ld,
                                     const uint32_t *rows, size_t count, bool all);

/* Fails where one of rows x columns numbers that come of module `module` is not finite. */
ramify_status ramify_predictor_check(const ramify_predictor *predictor, uint32_t module,
                                     const float *values, size_t rows, size_t columns,
                                     size_t stride);

/* True for modules that are series, which answer in float64. */
static inline bool ramify_predictor_sums(const ramify_predictor *predictor, uint32_t group) {
    return ramify_model_series(predictor->model) && group == predictor->model->series_group;
}

/* predictor->values = what a series makes of rows, before head.center and head.scale. Fails where that
 * is not finite, and where a row lies outside a box that is not to be left. */
ramify_status ramify_predictor_sum(ramify_predictor *predictor, const ramify_batch *batch);

/* predictor->output = what a module makes of features, class probabilities in a classification. Fails
 * where that is not finite. */
ramify_status ramify_predictor_answer(ramify_predictor *predictor, uint32_t module,
                                      const void *record, size_t count, const float *features);

typedef ramify_status (*ramify_batch_run)(ramify_predictor *predictor, const ramify_batch *batch,
                                          void *argument);

/* Takes a piece of raw rows (at most predictor->rows) through stem and tree, and calls `run` once
 * for every module that its rows lead to. */
ramify_status ramify_predictor_visit(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride, ramify_batch_run run, void *argument);

/* Takes a piece of encoded rows to their leaves: leaves[leaf_count] are their groups. */
ramify_status ramify_predictor_route(ramify_predictor *predictor, size_t rows);

/* Numbers of the modules that rows lead to, without running them: experts[rows]. */
ramify_status ramify_predictor_find_experts(ramify_predictor *predictor, size_t rows,
                                            const double *x, size_t x_stride, uint32_t *experts);

/* As the public functions, for code that runs inside a public call: the context's message stays. */
ramify_status ramify_predictor_create_inside(ramify_context *context, ramify_model *model,
                                             size_t rows, ramify_predictor **predictor);

/* The same for a predictor that has the context's threads to itself: a Para-Former's branches are
 * dealt to them. */
ramify_status ramify_predictor_create_alone(ramify_context *context, ramify_model *model,
                                            size_t rows, ramify_predictor **predictor);

ramify_status ramify_predictor_run(ramify_predictor *predictor, size_t rows, const double *x,
                                   size_t x_stride, double *y, size_t y_stride);

/* Where raw rows end, and what they are predicted as; for measuring notes.
 *   y         rows x outputs; NULL: no expert is run
 *   leaf      rows: number of the leaf
 *   nearness  rows: squared distance to its prototype; left alone in a model without a tree */
ramify_status ramify_predictor_place(ramify_predictor *predictor, size_t rows, const double *x,
                                     size_t x_stride, double *y, uint32_t *leaf, float *nearness);

/* What is wanted of rows besides their predictions, and where it goes. */
typedef struct ramify_wanted {
    double *y; /* rows x outputs; NULL: not wanted */
    size_t y_stride;
    double level;       /* of intervals */
    double *low, *high; /* rows x targets; NULL: not wanted */
    size_t stride;
    double *novelty; /* rows; NULL: not wanted */
} ramify_wanted;

/* Fails where the model has no notes for it, or the level is none. */
ramify_status ramify_wanted_check(ramify_context *context, const ramify_model *model,
                                  const ramify_wanted *wanted);

ramify_status ramify_predictor_run_wanted(ramify_predictor *predictor, size_t rows, const double *x,
                                          size_t x_stride, const ramify_wanted *wanted);

/* ramify_predict_table for a table that is matched already (match NULL: matches it). */
ramify_status ramify_predict_table_inside(ramify_context *context, ramify_model *model,
                                          const ramify_table *table, const ramify_match *match,
                                          const ramify_wanted *wanted);

/* Workers for tasks that predict, each with a predictor of its own: as many as there are threads,
 * tasks, and under a bound predictors that it counts; at least 1. */
uint32_t ramify_predict_workers(const ramify_context *context, const ramify_model *model,
                                size_t tasks);

/* Adds the predictor's counts to the model's. */
void ramify_predictor_report(ramify_predictor *predictor);

#endif

#ifndef RAMIFY_TRAIN_ENCODER_H
#define RAMIFY_TRAIN_ENCODER_H
/* The stem while it is trained: quantile bins with a two-number bottleneck, and periodic features.
 *
 * Bins (piecewise-linear encoding, Gorishniy, Rubachev, Babenko 2022): a numeric column's knots k_0
 * < ... < k_T are quantiles of its training values, after capping each distinct value's count at
 * rows / T so that one frequent value cannot take all knots. The encoding of z is v_b = clip((z -
 * k_b) / (k_{b+1} - k_b), 0, 1),  b = 0 .. T-1 and the column's two features are a z + 2 sum_b W_b
 * (v_b - mean v_b), with a and W_b (two numbers each) learned together with the root expert. Within
 * an interval this is linear in z, so it is stored, and computed, as a table of values and slopes.
 * A category has two learned numbers per code. */

#include "problem.h"

typedef struct ramify_encoder_options {
    bool bins;
    uint32_t bin_count;         /* T */
    uint32_t frequencies;       /* periodic features per numeric column; 0: none */
    double frequency_deviation; /* f ~ N(0, this^2), cycles per standard deviation of the column */
    uint64_t seed;
} ramify_encoder_options;

typedef struct ramify_encoder {
    ramify_stem stem; /* as it stands after ramify_encoder_tabulate; its arrays are owned below */
    ramify_stem_column *column;
    float *knots, *table, *frequency, *route;

    size_t parameters;  /* floats of theta, a multiple of 16; 0: nothing to learn */
    float *theta;       /* parameters */
    float *bin_mean;    /* knot_count: mean of v_b over training rows, at the index of knot b */
    uint32_t *theta_at; /* columns: first float of the column's part of theta */
    size_t frequency_at;

    uint32_t slots; /* columns with entries */
    uint32_t *slot; /* slots column indices */
    uint8_t *entry; /* problem rows x slots: which table entry a row's value falls into, from the
                       column's first */
} ramify_encoder;

ramify_status ramify_encoder_create(const ramify_problem *problem,
                                    const ramify_encoder_options *options,
                                    ramify_encoder **encoder);
void ramify_encoder_destroy(ramify_context *context, ramify_encoder **encoder);

/* theta -> stem.table and stem.frequency. */
void ramify_encoder_tabulate(ramify_encoder *encoder);

/* features[count x ldf] of the given rows of the problem; padding zero. */
void ramify_encoder_forward(const ramify_problem *problem, const ramify_encoder *encoder,
                            const uint32_t *rows, size_t count, float *features, size_t ldf);

/* gradient[parameters] += from dfeatures[count x ldf]; features as from forward. */
void ramify_encoder_backward(const ramify_problem *problem, const ramify_encoder *encoder,
                             const uint32_t *rows, size_t count, const float *features,
                             const float *dfeatures, size_t ldf, float *gradient);

/* Bytes of the stem's arrays in a loaded model. */
size_t ramify_encoder_bytes(const ramify_encoder *encoder);

#endif

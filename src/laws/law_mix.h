#ifndef RAMIFY_LAWS_LAW_MIX_H
#define RAMIFY_LAWS_LAW_MIX_H
/* What a fit ends with: a weighted mean, in logarithms, of laws (most often of one), the range of the
 * runs that it was fitted to, and how far runs lie from it. */

#include "law_form.h"

#define RAMIFY_LAW_PARTS_MAX 24

/* How a mean's weights change: from NEAR octaves beyond the runs to FAR octaves, from `near` to
 * `far`. */
#define RAMIFY_LAW_NEAR 1.0
#define RAMIFY_LAW_FAR  2.0

typedef struct ramify_law_part {
    const ramify_law_form *form; /* a law of its own */
    double theta[RAMIFY_LAW_PARAMETERS_MAX];
    double near, far; /* weights; each sums to 1 over the parts */
    /* What ramify_law_bounds found, once it was asked: else 0. */
    int bound[RAMIFY_LAW_PARAMETERS_MAX];
    bool stuck;
} ramify_law_part;

/* How far a run's ln y lies from the law, in ln y. Numbers that the runs do not tell are NaN. */
typedef struct ramify_law_spread {
    double noise; /* deviation within the runs */
    double
        drift; /* beyond them, per octave: root mean square error of the same fit to shorter runs */
    /* A local spread is that of a line through the end of a curve. bend: by how much such lines err
     * over the next octave as curves bend. line: the variance of the line at the damped distance z,
     * in units of the noise's, is line[1] + 2 line[2] d + line[3] d^2 with d = z - line[0]. */
    bool local;
    double bend, line[4];
    double behind; /* root mean square error per factor e before the end: what the line ignores */
} ramify_law_spread;

/* Range of the runs that were fitted, per variable. */
typedef struct ramify_law_box {
    uint32_t variables;
    double ln_low[RAMIFY_LAW_VARIABLES_MAX], ln_high[RAMIFY_LAW_VARIABLES_MAX];
} ramify_law_box;

typedef struct ramify_law_mix {
    uint32_t parts;
    ramify_law_part part[RAMIFY_LAW_PARTS_MAX];
    ramify_law_box box;
    /* Of a form that reads the end of a curve alone: ln of the least size at which the runs still lie
     * near the law. -infinity: of any other form. */
    double ln_from;
    ramify_law_spread spread;
    char reason[256]; /* of a combined form: what was chosen and why, one sentence; else empty */
} ramify_law_mix;

/* Range of runs. */
ramify_law_box ramify_law_box_of(const ramify_runs *runs);

/* How far a place lies outside, in octaves, summed over variables; 0 inside. The fourth variable of
 * pruning-joint, an error, is none. */
double ramify_law_octaves(const ramify_law_box *box, const double *ln_x);

/* ln y at ln_x; NaN where a part has no value. */
double ramify_law_mix_value(const ramify_law_mix *mix, const double *ln_x);

/* Half the width, in ln y, of the interval that holds a share `level` of runs; NaN where the runs do
 * not tell it. It is the deviation there times ramify_student(level). */
double ramify_law_mix_width(const ramify_law_mix *mix, const double *ln_x, double level);
double ramify_law_mix_deviation(const ramify_law_mix *mix, const double *ln_x);

/* Fits: the law of the form, or the laws that it is a mean of; problem->begin is used for the first.
 * The spread is set by a form that computes it, else all NaN. */
ramify_status ramify_law_mix_fit(ramify_context *context, const struct ramify_law_problem *problem,
                                 ramify_law_mix *mix, double *loss);

/* Fills the spread of a mix that lacks one: the noise from the runs, the drift from fits to runs
 * that end earlier. */
ramify_status ramify_law_mix_judge(ramify_context *context,
                                   const struct ramify_law_problem *problem, ramify_law_mix *mix);

/* Finds where a law of a curve's end begins to hold, mix->ln_from, and by how much it is off from there
 * to the end, spread.behind. Runs in the order of their size. */
void ramify_law_mix_begin(const struct ramify_law_problem *problem, ramify_law_mix *mix);

/* False at sizes below that. */
bool ramify_law_mix_holds(const ramify_law_mix *mix, const double *ln_x);

#endif

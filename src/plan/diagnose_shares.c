#include "diagnose_shares.h"
#include "order.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Intervals hold nine draws of ten. */
#define DRAWS 2000
#define TAIL  0.05
/* By how much an interval reaches beyond its draws: shares of tables that differ in their lots alone are
 * as far apart (bench/error_sources). */
#define MARGIN 0.02
/* Degrees of freedom from which equal rows tell the noise better than anything else. */
#define REPLICATES_ENOUGH 10
/* A source dominates if it is the largest in so many draws. */
#define CERTAIN 0.55
/* Standard deviation of the logarithm of what students miss, from teacher to teacher. */
#define STUDENT_SPREAD 0.4

/* How the sources are told apart.
 *
 * optimisation   What the best longer training gains on rows held out, less what such a gain is by
 *                chance. A network that has nothing left to gain on its own rows is not short of
 *                training: the gain on other rows is bounded by a multiple of that on its own.
 * irreducible    Equal rows, else the noise of a Gaussian process where that predicts well, else
 *                where the error of larger networks goes as rows are added; at most what anything
 *                predicts with, and half the mean squared difference between nearest rows.
 * approximation  What the best student misses.
 * estimation     The rest, at most what rows held out are worse than own ones. Where that is less,
 *                the size could hold a better network, rows are enough to find it, and training has
 *                not: the remainder is optimisation too, as far as larger networks do find it. */

/* A gain on rows held out, per gain on own rows, at most: rows held out gain more where the way is
 * long (few steps, few rows), by up to three times in the tuning half of bench/error_sources. */
#define GAIN_PER_TRAIN 4.0
/* The error of larger networks above the noise falls as 1 / rows or faster: to half of the rows it rises
 * by what is left above it. */
#define DROP_TO_FLOOR 1.2
/* Between these ratios of the Gaussian process's error to that of larger networks the noise goes from its
 * evidence to the networks' floor. */
#define PROCESS_GOOD 0.9
#define PROCESS_BAD  1.4
#define DEVIATIONS   1.6448536269514722 /* of a normal, for 90 % */

/* What the networks' errors would still lose to more rows, and to more training, which takes off
 * about as much again as its last lengthening did. */
static double drop_of(const ramify_diagnosis_measured *m) {
    return DROP_TO_FLOOR * fmax(m->large_half - m->large, 0) + fmax(m->large_falls, 0);
}

/* What the networks' errors fall to. */
static double floor_of(const ramify_diagnosis_measured *m) {
    return fmax(m->large - drop_of(m), 0);
}

/* How much the networks' floor counts, 0 .. 1. */
static double floor_weight(const ramify_diagnosis_measured *m) {
    double ratio = m->gaussian_left_out / fmax(m->large, 1e-300);
    return ramify_clamp((ratio - PROCESS_GOOD) / (PROCESS_BAD - PROCESS_GOOD), 0, 1);
}

static double noise_most(const ramify_diagnosis_measured *m) {
    double most = fmin(m->large + DEVIATIONS * m->large_error, m->gaussian_left_out * 1.1);
    most = fmin(most, m->reference - m->gain + DEVIATIONS * m->reference_error);
    return fmin(most, m->neighbour + DEVIATIONS * m->neighbour_error);
}

static bool rows_repeat(const ramify_diagnosis_measured *m) {
    return m->replicates >= REPLICATES_ENOUGH;
}

static double middle_noise(const ramify_diagnosis_measured *m) {
    if (rows_repeat(m))
        return m->replicate;
    double share = floor_weight(m);
    return fmin((1 - share) * m->gaussian + share * floor_of(m), noise_most(m));
}

/* One draw of the noise's variance. */
static double draw_noise(const ramify_diagnosis_measured *m, ramify_random *random) {
    double z = ramify_random_normal(random), other = ramify_random_normal(random);
    if (rows_repeat(m))
        return fmax(m->replicate * (1 + z * sqrt(2 / (double)m->replicates)), 0);
    double spread = z > 0 ? m->gaussian_high - m->gaussian : m->gaussian - m->gaussian_low;
    double process = m->gaussian + z / DEVIATIONS * spread;
    /* The drop is known about as well as by half of itself. */
    double networks = floor_of(m) + other * hypot(0.5 * drop_of(m), m->large_error);
    double share = floor_weight(m);
    return ramify_clamp((1 - share) * process + share * networks, 0, noise_most(m));
}

/* Less what chance makes of nothing: the positive-part estimate of James and Stein. */
static double real_gain(const ramify_diagnosis_measured *m) {
    if (!(m->gain > 0))
        return 0;
    double kept = fmax(0, 1 - m->gain_error * m->gain_error / (m->gain * m->gain));
    double most = GAIN_PER_TRAIN * fmax(m->reference_train - m->longer_train, 0);
    return fmin(kept * m->gain, most);
}

typedef struct draw {
    double share[RAMIFY_ERROR_SOURCES];
} draw;

static draw split(const ramify_diagnosis_measured *m, double error, double gain, double noise,
                  double student) {
    double total = fmax(error, 1e-300);
    double optimisation = ramify_clamp(gain, 0, total);
    double rest = total - optimisation;
    double irreducible = ramify_clamp(noise, 0, rest);
    double approximation = ramify_clamp(student, 0, rest - irreducible);
    double estimation = rest - irreducible - approximation;
    double longer = m->reference - m->gain;
    double stuck = fmin(estimation - fmax(longer - m->longer_train, 0), longer - m->large);
    stuck = ramify_clamp(stuck, 0, estimation);
    draw one;
    one.share[RAMIFY_SOURCE_OPTIMISATION] = (optimisation + stuck) / total;
    one.share[RAMIFY_SOURCE_IRREDUCIBLE] = irreducible / total;
    one.share[RAMIFY_SOURCE_APPROXIMATION] = approximation / total;
    one.share[RAMIFY_SOURCE_ESTIMATION] = (estimation - stuck) / total;
    return one;
}

void ramify_diagnose_shares(const ramify_diagnosis_measured *m, uint64_t seed,
                            ramify_diagnosis_parts *parts) {
    *parts = (ramify_diagnosis_parts){0};
    double gain = real_gain(m);
    parts->noise = middle_noise(m);
    draw middle = split(m, m->reference, gain, parts->noise, m->student);
    double column[RAMIFY_ERROR_SOURCES][DRAWS];
    uint32_t wins[RAMIFY_ERROR_SOURCES] = {0};
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_DIAGNOSE, 2, 0);
    for (int d = 0; d < DRAWS; d++) {
        double error = m->reference + m->reference_error * ramify_random_normal(&random);
        double gained = gain + m->gain_error * ramify_random_normal(&random);
        double noise = draw_noise(m, &random);
        double student = m->student * exp(STUDENT_SPREAD * ramify_random_normal(&random));
        draw one = split(m, error, gained, noise, student);
        int best = 0;
        for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
            column[s][d] = one.share[s];
            best = one.share[s] > one.share[best] ? s : best;
        }
        wins[best]++;
    }
    int best = 0;
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        qsort(column[s], DRAWS, sizeof column[s][0], ramify_ascending);
        parts->shares[s] = (ramify_error_share){
            .share = middle.share[s],
            .low = fmax(fmin(column[s][(int)(TAIL * DRAWS)], middle.share[s]) - MARGIN, 0),
            .high =
                fmin(fmax(column[s][(int)((1 - TAIL) * DRAWS) - 1], middle.share[s]) + MARGIN, 1),
        };
        best = middle.share[s] > middle.share[best] ? s : best;
    }
    parts->certainty = (double)wins[best] / DRAWS;
    parts->dominant =
        parts->certainty >= CERTAIN ? (ramify_error_source)best : RAMIFY_SOURCE_UNDETERMINED;
}

/* What a source is, and what is to be done about it. */
static const char *const causes[RAMIFY_ERROR_SOURCES] = {
    [RAMIFY_SOURCE_IRREDUCIBLE] = "noise: what the columns do not tell about the target",
    [RAMIFY_SOURCE_APPROXIMATION] =
        "the size: a network this small cannot hold the target, however "
        "many rows it is trained on, and for however long",
    [RAMIFY_SOURCE_ESTIMATION] = "the rows: they are too few to settle what the target is",
    [RAMIFY_SOURCE_OPTIMISATION] =
        "the training: the same network on the same rows does better when "
        "it is trained longer, or at another rate",
};

static const char *const cures[RAMIFY_ERROR_SOURCES] = {
    [RAMIFY_SOURCE_IRREDUCIBLE] = "nothing of more rows, bigger modules and more training; only "
                                  "columns that tell more, or a target that is measured better",
    [RAMIFY_SOURCE_APPROXIMATION] = "bigger modules",
    [RAMIFY_SOURCE_ESTIMATION] = "more rows",
    [RAMIFY_SOURCE_OPTIMISATION] = "more training: more epochs, or a learning rate that is not far "
                                   "from 0.006",
};

static int second_of(const ramify_diagnosis_parts *parts, int first) {
    int second = -1;
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++)
        if (s != first && (second < 0 || parts->shares[s].share > parts->shares[second].share))
            second = s;
    return second;
}

static int largest_of(const ramify_diagnosis_parts *parts) {
    int first = 0;
    for (int s = 1; s < RAMIFY_ERROR_SOURCES; s++)
        first = parts->shares[s].share > parts->shares[first].share ? s : first;
    return first;
}

/* A second source below this share is not worth a sentence. */
#define WORTH_A_WORD 0.1

int ramify_diagnose_advice(const ramify_diagnosis_parts *parts, double unit, char *text,
                           size_t room) {
    int first = largest_of(parts), second = second_of(parts, first);
    const ramify_error_share *a = &parts->shares[first], *b = &parts->shares[second];
    if (parts->dominant == RAMIFY_SOURCE_UNDETERMINED)
        return snprintf(
            text, room,
            "Undetermined: these rows do not tell which source is the largest. It may be "
            "%s (%.0f to %.0f %% of the squared error), or %s (%.0f to %.0f %%). More "
            "rows would tell, and rows that are measured twice would tell the noise.",
            ramify_error_source_name((ramify_error_source)first), 100 * a->low, 100 * a->high,
            ramify_error_source_name((ramify_error_source)second), 100 * b->low, 100 * b->high);
    int length = snprintf(text, room,
                          "Most of the error comes from %s. That is %.0f %% of the squared error "
                          "(%.0f to %.0f %%). What buys most: %s.",
                          causes[first], 100 * a->share, 100 * a->low, 100 * a->high, cures[first]);
    if (length < 0 || (size_t)length >= room)
        return length;
    char *rest = text + length;
    size_t left = room - (size_t)length;
    int more = 0;
    if (first == RAMIFY_SOURCE_IRREDUCIBLE)
        more = snprintf(rest, left,
                        " No network on these columns is expected to get below a root mean squared "
                        "error of about %.3g.",
                        unit * sqrt(parts->noise));
    else if (b->share >= WORTH_A_WORD)
        more = snprintf(rest, left, " Next is %s with %.0f %%, against which helps %s.",
                        ramify_error_source_name((ramify_error_source)second), 100 * b->share,
                        cures[second]);
    return length + more;
}

#include "diagnose_shares.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Intervals hold nine draws of ten. */
#define DRAWS 2000
#define TAIL  0.05
/* Degrees of freedom from which equal rows tell the noise better than anything else. */
#define REPLICATES_ENOUGH 10
/* A source dominates if it is the largest in so many draws. */
#define CERTAIN 0.55

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* One draw of the noise's variance, which cannot exceed what something predicts with. */
static double draw_noise(const ramify_diagnosis_measured *m, ramify_random *random) {
    double z = ramify_random_normal(random);
    if (m->replicates >= REPLICATES_ENOUGH)
        return fmax(m->replicate * (1 + z * sqrt(2 / (double)m->replicates)), 0);
    double spread = z > 0 ? m->gaussian_high - m->gaussian : m->gaussian - m->gaussian_low;
    return fmax(m->gaussian + z / 1.645 * spread, 0);
}

static double noise_most(const ramify_diagnosis_measured *m) {
    double most = fmin(m->large + 1.645 * m->large_error, m->gaussian_left_out * 1.1);
    return fmin(most, m->neighbour + 2 * m->neighbour_error);
}

typedef struct draw {
    double share[RAMIFY_ERROR_SOURCES];
} draw;

static draw split(double error, double gain, double noise, double student) {
    double total = fmax(error, 1e-300);
    double optimisation = clamp(gain, 0, total);
    double rest = total - optimisation;
    double irreducible = clamp(noise, 0, rest);
    double approximation = clamp(student, 0, rest - irreducible);
    draw one;
    one.share[RAMIFY_SOURCE_OPTIMISATION] = optimisation / total;
    one.share[RAMIFY_SOURCE_IRREDUCIBLE] = irreducible / total;
    one.share[RAMIFY_SOURCE_APPROXIMATION] = approximation / total;
    one.share[RAMIFY_SOURCE_ESTIMATION] = (rest - irreducible - approximation) / total;
    return one;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ramify_diagnose_shares(const ramify_diagnosis_measured *m, uint64_t seed,
                            ramify_diagnosis_parts *parts) {
    *parts = (ramify_diagnosis_parts){0};
    double most = noise_most(m);
    parts->noise = fmin(m->replicates >= REPLICATES_ENOUGH ? m->replicate : m->gaussian, most);
    draw middle = split(m->reference, m->gain, parts->noise, m->student);
    double column[RAMIFY_ERROR_SOURCES][DRAWS];
    uint32_t wins[RAMIFY_ERROR_SOURCES] = {0};
    ramify_random random = ramify_random_stream(seed, RAMIFY_PURPOSE_DIAGNOSE, 2, 0);
    for (int d = 0; d < DRAWS; d++) {
        double error = m->reference + m->reference_error * ramify_random_normal(&random);
        double gain = m->gain + m->gain_error * ramify_random_normal(&random);
        double noise = fmin(draw_noise(m, &random), most);
        double student = m->student * exp(0.4 * ramify_random_normal(&random));
        draw one = split(error, gain, noise, student);
        int best = 0;
        for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
            column[s][d] = one.share[s];
            best = one.share[s] > one.share[best] ? s : best;
        }
        wins[best]++;
    }
    int best = 0;
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        qsort(column[s], DRAWS, sizeof column[s][0], compare);
        parts->shares[s] = (ramify_error_share){
            .share = middle.share[s],
            .low = fmin(column[s][(int)(TAIL * DRAWS)], middle.share[s]),
            .high = fmax(column[s][(int)((1 - TAIL) * DRAWS) - 1], middle.share[s]),
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
    [RAMIFY_SOURCE_APPROXIMATION] = "the size: a network this small cannot hold the target, however "
                                    "many rows it is trained on, and for however long",
    [RAMIFY_SOURCE_ESTIMATION] = "the rows: they are too few to settle what the target is",
    [RAMIFY_SOURCE_OPTIMISATION] = "the training: the same network on the same rows does better when "
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
        return snprintf(text, room,
                        "Undetermined: these rows do not tell which source is the largest. It may be "
                        "%s (%.0f to %.0f %% of the squared error), or %s (%.0f to %.0f %%). More "
                        "rows would tell, and rows that are measured twice would tell the noise.",
                        ramify_error_source_name((ramify_error_source)first), 100 * a->low,
                        100 * a->high, ramify_error_source_name((ramify_error_source)second),
                        100 * b->low, 100 * b->high);
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

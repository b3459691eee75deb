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

int ramify_diagnose_advice(const ramify_diagnosis_parts *parts, char *text, size_t room) {
    return snprintf(text, room, "%s", ramify_error_source_name(parts->dominant));
}

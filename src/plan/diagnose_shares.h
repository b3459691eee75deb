#ifndef RAMIFY_PLAN_DIAGNOSE_SHARES_H
#define RAMIFY_PLAN_DIAGNOSE_SHARES_H
/* From what a diagnosis has measured to shares: arithmetic alone. */

#include "ramify.h"

/* Mean squares, in units of the target's variance; `_error`: standard errors. */
typedef struct ramify_diagnosis_measured {
    size_t rows, held_out;             /* held_out: rows whose errors the next three rest on */
    double reference, reference_error; /* the reference network */
    double gain, gain_error;           /* reference less the best longer training */
    double reference_train;            /* the reference network on its own rows */
    double longer_train;               /* the best longer training on its own rows */
    double longer_half;                /* the same with half of the rows, on rows held out */

    double student, student_error; /* best network of that size against the best predictor */

    double large, large_error; /* best ensemble of larger networks, on rows held out */
    double large_falls;        /* what its last lengthening took off, if that was not yet over */
    double large_half;         /* the same ensemble from half of the rows */
    double large_spread;       /* variance among its members */

    double gaussian, gaussian_low, gaussian_high; /* noise, from the evidence; 90 % */
    double gaussian_left_out;

    size_t replicates;                 /* degrees of freedom; 0: no equal rows */
    double replicate;                  /* variance within equal rows */
    double neighbour, neighbour_error; /* half the mean squared difference of nearest rows */
} ramify_diagnosis_measured;

typedef struct ramify_diagnosis_parts {
    double noise, noise_low, noise_high; /* variance */
    ramify_error_share shares[RAMIFY_ERROR_SOURCES];
    ramify_error_source dominant;
    double certainty;
} ramify_diagnosis_parts;

/* The intervals are made of draws, which depend on the seed. */
void ramify_diagnose_shares(const ramify_diagnosis_measured *measured, uint64_t seed,
                            ramify_diagnosis_parts *parts);

/* The paragraph: what dominates and what would help most. unit: standard deviation of the target.
 * Returns its length as snprintf does. */
int ramify_diagnose_advice(const ramify_diagnosis_parts *parts, double unit, char *text,
                           size_t room);

#endif

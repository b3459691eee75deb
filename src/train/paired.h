#ifndef RAMIFY_TRAIN_PAIRED_H
#define RAMIFY_TRAIN_PAIRED_H
/* A paired test of two models: squared errors of the same rows, one pair after the other. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct ramify_paired {
    double fall, squares; /* sums of what an error falls by, and of its squares */
    double before;        /* sum of the first model's errors */
    size_t count;
} ramify_paired;

/* A pair of which one is NaN says nothing. An error above `most` counts as that. */
static inline void ramify_paired_add(ramify_paired *pairs, double was, double now, double most) {
    if (isnan(was) || isnan(now))
        return;
    double before = fmin(was, most), fall = before - fmin(now, most);
    pairs->fall += fall;
    pairs->squares += fall * fall;
    pairs->before += before;
    pairs->count++;
}

/* Whether errors fall by more than the share `gain` of themselves, and by more than so many standard
 * errors. */
static inline bool ramify_paired_wins(const ramify_paired *pairs, double errors, double gain) {
    if (pairs->count == 0 || !isfinite(pairs->squares))
        return false;
    double n = (double)pairs->count, mean = pairs->fall / n;
    double spread = pairs->squares / n - mean * mean;
    return mean > errors * sqrt(fmax(spread, 0) / n) && pairs->fall > gain * pairs->before;
}

#endif

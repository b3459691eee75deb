#ifndef RAMIFY_KERNELS_SINE_H
#define RAMIFY_KERNELS_SINE_H
/* Sine of an angle in turns, branch-free, so that loops over it become vector code. In turns the
 * range reduction is exact: t minus the nearest whole number. */

#include <math.h>

/* t minus the nearest whole number: -0.5 .. 0.5. */
static inline float ramify_part_of_turn(float t) {
    /* Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number without a call. */
    return t - ((t + 12582912.0f) - 12582912.0f);
}

/* sin(2 pi t); absolute error below 3e-7 for |t| < 2^20. */
static inline float ramify_sine_turns(float t) {
    float r = ramify_part_of_turn(t);
    float a = fabsf(r);
    /* sin(2 pi a) = sin(2 pi (0.5 - a)): fold to a quarter turn. */
    float folded = 0.25f - fabsf(a - 0.25f);
    float q = folded * folded;
    /* Taylor series of sin(2 pi x) at 0 to x^13; the rest is below 1e-9 at x = 1/4. */
    float p = 3.81995258f;
    p = p * q - 15.09464258f;
    p = p * q + 42.05869394f;
    p = p * q - 76.70585975f;
    p = p * q + 81.60524928f;
    p = p * q - 41.34170224f;
    p = p * q + 6.28318531f;
    return copysignf(folded * p, r);
}

#endif

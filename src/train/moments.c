#include "moments.h"

#include <math.h>

/* A single value is far away if the others lie within this share of the range. */
#define FAR_SHARE 1e-3

/* Keeps the two values that are first in order, times `sign`, of count + 1. */
static void keep_two(double two[2], size_t count, double x, double sign) {
    if (count == 0 || sign * x < sign * two[0]) {
        two[1] = two[0];
        two[0] = x;
    } else if (count == 1 || sign * x < sign * two[1]) {
        two[1] = x;
    }
}

/* Values are from now on divided by `unit`, a power of two, so that nothing is rounded on the way. */
static void set_unit(ramify_moments *m, double unit) {
    double shrink = m->largest / unit;
    m->center *= shrink;
    m->square *= shrink * shrink;
    m->largest = unit;
}

/* Welford's update: one pass, no cancellation. */
void ramify_moments_add(ramify_moments *m, double x) {
    keep_two(m->low, m->count, x, 1);
    keep_two(m->high, m->count, x, -1);
    if (fabs(x) > m->largest) {
        int exponent;
        (void)frexp(x, &exponent);
        set_unit(m, ldexp(1.0, exponent - 1));
    }
    if (m->largest > 0)
        x /= m->largest;
    m->count++;
    double difference = x - m->center;
    m->center += difference / (double)m->count;
    m->square += difference * (x - m->center);
}

/* Chan, Golub and LeVeque's update (1979). */
void ramify_moments_join(ramify_moments *m, const ramify_moments *other) {
    if (other->count == 0)
        return;
    ramify_moments b = *other;
    size_t count = m->count;
    for (size_t i = 0; i < 2 && i < b.count; i++) {
        keep_two(m->low, count + i, b.low[i], 1);
        keep_two(m->high, count + i, b.high[i], -1);
    }
    if (b.largest > m->largest)
        set_unit(m, b.largest);
    else if (b.largest > 0)
        set_unit(&b, m->largest);
    double all = (double)m->count + (double)b.count, difference = b.center - m->center;
    m->square += b.square + difference * difference * ((double)m->count * (double)b.count / all);
    m->center += difference * ((double)b.count / all);
    m->count += b.count;
}

double ramify_moments_center(const ramify_moments *m) {
    return m->center * m->largest;
}

double ramify_moments_scale(const ramify_moments *m) {
    double scale = m->count > 0 ? sqrt(m->square / (double)m->count) : 0.0;
    bool spread = scale > 1e-12 * fabs(m->center) && scale * m->largest > 0;
    return spread ? scale * m->largest : 1.0;
}

bool ramify_moments_far(const ramify_moments *m, double *value, double *low, double *high) {
    if (m->count < 3)
        return false;
    bool above = m->high[0] - m->high[1] > m->low[1] - m->low[0];
    *value = above ? m->high[0] : m->low[0];
    *low = above ? m->low[0] : m->low[1];
    *high = above ? m->high[1] : m->high[0];
    double others = *high - *low;
    return others > 0 && others < FAR_SHARE * (m->high[0] - m->low[0]);
}

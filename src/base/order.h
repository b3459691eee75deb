#ifndef RAMIFY_BASE_ORDER_H
#define RAMIFY_BASE_ORDER_H
/* Order of numbers. */

/* Compares doubles, for qsort. */
static inline int ramify_ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* x, or the end of the range that it is beyond. */
static inline double ramify_clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

#endif

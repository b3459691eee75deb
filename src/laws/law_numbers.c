#include "law_numbers.h"
#include "order.h"

#include <stdlib.h>

void ramify_law_sort(double *values, size_t count) {
    qsort(values, count, sizeof *values, ramify_ascending);
}

void ramify_law_middle(double *values, size_t count, double level, double *low, double *high) {
    *low = *high = (double)NAN;
    if (count == 0)
        return;
    ramify_law_sort(values, count);
    size_t tail =
        (size_t)((1 - level) / 2 * (double)count + 1e-9); /* 200 x .05 is 10, not 9.999.. */
    *low = values[tail];
    *high = values[count - 1 - tail];
}

bool ramify_law_line(const ramify_runs *runs, double ln_floor, double *intercept, double *slope) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double above =
            ln_floor == -INFINITY ? runs->ln_y[i] : ramify_log_subtract(runs->ln_y[i], ln_floor);
        if (!isfinite(above))
            continue;
        double ln_x = runs->ln_x[i * runs->variables];
        /* Running means: sums of squares of large logarithms would cancel. */
        n++;
        double dx = ln_x - x, dy = above - y;
        x += dx / n;
        y += dy / n;
        xx += dx * (ln_x - x);
        xy += dx * (above - y);
    }
    if (n < 2 || !(xx > 0))
        return false;
    *slope = xy / xx;
    *intercept = y - *slope * x;
    return true;
}

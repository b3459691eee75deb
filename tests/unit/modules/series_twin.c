#include "series_twin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* Function f of an axis at x. */
static double function_at(const ramify_series_axis *axis, uint32_t f, double x) {
    double u = isnan(x) ? 0.5 : (x - axis->origin) / axis->length;
    if (f == 0)
        return 1;
    if (axis->basis == RAMIFY_BASIS_FOURIER) {
        double angle = 2 * pi * ((f + 1) / 2) * (isfinite(u) ? u : 0.5);
        return sqrt(2) * (f % 2 == 1 ? cos(angle) : sin(angle));
    }
    u = fmin(fmax(u, 0), 1);
    return sqrt(2) *
           (axis->basis == RAMIFY_BASIS_COSINE ? cos(pi * f * u) : cos(f * acos(2 * u - 1)));
}

static bool inside(uint32_t set, uint32_t band, const uint32_t *k, uint32_t axes) {
    uint64_t sum = 0, product = 1, largest = 0;
    for (uint32_t a = 0; a < axes; a++) {
        sum += k[a];
        product *= k[a] + 1;
        largest = k[a] > largest ? k[a] : largest;
    }
    return set == RAMIFY_SET_TOTAL   ? sum <= band
           : set == RAMIFY_SET_CROSS ? product <= band + 1
                                     : largest <= band;
}

static double coefficient(const ramify_series_header *record, uint32_t output, uint32_t i) {
    const void *at = ramify_series_coefficients(record, output);
    return record->bytes == 8 ? ((const double *)at)[i] : (double)((const float *)at)[i];
}

/* All products in the order of words, those outside the set skipped. */
double series_twin(const ramify_series_header *record, uint32_t output, const double *x) {
    const ramify_series_axis *axis = ramify_series_axes(record);
    uint32_t f[RAMIFY_SERIES_AXES_MAX] = {0}, k[RAMIFY_SERIES_AXES_MAX], next = 0;
    double sum = 0;
    for (;;) {
        double product = 1;
        for (uint32_t a = 0; a < record->axes; a++) {
            k[a] = ramify_frequency(f[a], ramify_basis_pairs(axis[a].basis));
            product *= function_at(&axis[a], f[a], x[axis[a].column]);
        }
        if (inside(record->set, record->band, k, record->axes))
            sum += product * coefficient(record, output, next++);
        uint32_t a = record->axes;
        while (a > 0 &&
               ++f[a - 1] == ramify_functions(record->band, ramify_basis_pairs(axis[a - 1].basis)))
            f[--a] = 0;
        if (a == 0)
            break;
    }
    return next == record->terms ? sum : (double)NAN;
}

uint64_t series_size(const ramify_series_header *record) {
    return ramify_series_bytes(record->axes, record->outputs, record->terms, record->bytes);
}

ramify_series_header *series_random(ramify_random *random, ramify_index_set set, uint32_t band,
                                    const ramify_series_axis *axis, uint32_t axes, uint32_t outputs,
                                    uint32_t bytes) {
    unsigned char pairs[RAMIFY_SERIES_AXES_MAX];
    for (uint32_t a = 0; a < axes; a++)
        pairs[a] = (unsigned char)ramify_basis_pairs(axis[a].basis);
    band = axes > 0 ? band : 0;
    uint64_t terms = ramify_series_count(set, band, axes, pairs, RAMIFY_SERIES_TERMS_MAX);
    uint64_t size = ramify_series_bytes(axes, outputs, terms, bytes);
    ramify_series_header *record = aligned_alloc(64, size);
    memset(record, 0, size);
    *record = (ramify_series_header){.set = set,
                                     .band = band,
                                     .axes = axes,
                                     .outputs = outputs,
                                     .terms = (uint32_t)terms,
                                     .bytes = bytes};
    memcpy(record + 1, axis, axes * sizeof *axis);
    for (uint32_t o = 0; o < outputs; o++) {
        void *at = (void *)ramify_series_coefficients(record, o);
        for (uint64_t t = 0; t < terms; t++) {
            double value = ramify_random_normal(random);
            if (bytes == 8)
                ((double *)at)[t] = value;
            else
                ((float *)at)[t] = (float)value;
        }
    }
    return record;
}

void series_widen(ramify_series_shape *shape, const ramify_series_header *record) {
    const ramify_series_axis *axis = ramify_series_axes(record);
    uint32_t functions = 0, numbers = record->terms * record->outputs;
    uint32_t bytes = (uint32_t)series_size(record);
    for (uint32_t a = 0; a < record->axes; a++)
        functions += ramify_functions(record->band, ramify_basis_pairs(axis[a].basis));
    shape->most_functions = functions > shape->most_functions ? functions : shape->most_functions;
    shape->most_numbers = numbers > shape->most_numbers ? numbers : shape->most_numbers;
    shape->most_bytes = bytes > shape->most_bytes ? bytes : shape->most_bytes;
}

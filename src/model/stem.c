/* The stem's arithmetic. Rows are independent of each other, and everything here is plain C, so the
 * numbers are the same for every instruction set. Padding is written as zeros each time: callers
 * reuse their buffers. */

#include "stem.h"
#include "sine.h"

#include <math.h>
#include <string.h>

/* Columns whose features are computed from this many knots on by halving; below, counting all of
 * them is as quick, and branch-free. */
#define COUNTED_KNOTS 16

static void zero_tail(float *row, size_t used) {
    for (size_t i = used; i < ramify_pad(used); i++)
        row[i] = 0.0F;
}

/* The code that a raw number stands for; whatever is not a code is "other", the last. */
static uint32_t code_of(double value, uint32_t codes) {
    if (!(value >= 0.0 && value < (double)codes))
        return codes - 1;
    uint32_t code = (uint32_t)value;
    return (double)code == value ? code : codes - 1;
}

static bool same(double a, double b) {
    return !(a < b) && !(a > b);
}

void ramify_stem_classify(ramify_stem *stem) {
    stem->numbers_alone = stem->same_scale = true;
    for (uint32_t c = 0; c < stem->columns && stem->numbers_alone; c++) {
        stem->numbers_alone = stem->column[c].codes == 0 && !stem->column[c].missing;
        stem->same_scale = stem->same_scale && same(stem->center[c], stem->center[0]) &&
                           same(stem->scale[c], stem->scale[0]);
    }
    stem->same_scale = stem->same_scale && stem->numbers_alone;
}

/* Where all centers and scales are the same, so many are read over and over, from cache. */
#define SCALE_COLUMNS 1024

void ramify_stem_plain(const ramify_kernels *kernels, const ramify_stem *stem, size_t rows,
                       const double *x, size_t x_stride, float *plain, size_t ldp) {
    if (stem->numbers_alone) {
        size_t part = stem->same_scale ? SCALE_COLUMNS : stem->columns;
        for (size_t c = 0, count; c < stem->columns; c += count) {
            count = ramify_smaller(stem->columns - c, part);
            kernels->standardise(rows, count, x + c, x_stride, stem->center, stem->scale,
                                 RAMIFY_STEM_CLIP, plain + c, ldp);
        }
        for (size_t row = 0; row < rows; row++)
            zero_tail(plain + row * ldp, stem->plain);
        return;
    }
    for (size_t row = 0; row < rows; row++) {
        const double *from = x + row * x_stride;
        float *to = plain + row * ldp;
        for (uint32_t c = 0; c < stem->columns; c++) {
            const ramify_stem_column *column = &stem->column[c];
            float *out = to + column->plain;
            if (column->codes > 0) {
                memset(out, 0, column->codes * sizeof *out);
                out[code_of(from[c], column->codes)] = 1.0F;
                continue;
            }
            double z = (from[c] - stem->center[c]) / stem->scale[c];
            z = z > RAMIFY_STEM_CLIP ? RAMIFY_STEM_CLIP : z;
            z = z < -RAMIFY_STEM_CLIP ? -RAMIFY_STEM_CLIP : z;
            bool missing = isnan(from[c]);
            out[0] = missing ? 0.0F : (float)z;
            if (column->missing)
                out[1] = missing ? 1.0F : 0.0F;
        }
        zero_tail(to, stem->plain);
    }
}

/* Knots <= z. */
static uint32_t interval_of(const float *knots, uint32_t count, float z) {
    uint32_t below = 0;
    while (count > COUNTED_KNOTS) {
        uint32_t half = count / 2;
        uint32_t skip = knots[half - 1] <= z ? half : 0;
        knots += skip;
        below += skip;
        count -= half;
    }
    for (uint32_t i = 0; i < count; i++)
        below += knots[i] <= z;
    return below;
}

/* The code whose one-hot entry is set. */
static uint32_t hot_code(const float *hot, uint32_t codes) {
    uint32_t code = 0;
    while (code + 1 < codes && hot[code] == 0.0F)
        code++;
    return code;
}

/* The table entry of a column that has knots or codes, and how far the value lies from where the
 * entry's line starts. */
static const float *table_entry(const ramify_stem *stem, const ramify_stem_column *column,
                                const float *plain, float *offset) {
    uint32_t entry;
    *offset = 0.0F;
    if (column->codes > 0) {
        entry = hot_code(plain, column->codes);
    } else if (column->missing && plain[1] != 0.0F) {
        entry = column->knots + 1;
    } else {
        const float *knots = stem->knots + column->knot;
        entry = interval_of(knots, column->knots, plain[0]);
        *offset = plain[0] - knots[entry == 0 ? 0 : entry - 1];
    }
    return stem->table + 4 * ((size_t)column->entry + entry);
}

static void column_features(const ramify_stem *stem, const ramify_stem_column *column,
                            const float *plain, float *out) {
    if (column->codes == 0 && column->knots == 0) {
        out[0] = plain[0];
        if (column->missing)
            out[1] = plain[1];
        return;
    }
    float offset;
    const float *entry = table_entry(stem, column, plain, &offset);
    out[0] = entry[0] + entry[1] * offset;
    out[1] = entry[2] + entry[3] * offset;
}

void ramify_stem_waves(const ramify_kernels *kernels, const ramify_stem *stem, const float *plain,
                       float *features) {
    uint32_t count = 0, all = 0;
    for (uint32_t c = 0; c < stem->columns; c++)
        all += stem->column[c].codes == 0 ? stem->frequencies : 0;
    float *out = features + stem->features - 2 * (size_t)all, *turns = out + all;
    for (uint32_t c = 0; c < stem->columns; c++) {
        const ramify_stem_column *column = &stem->column[c];
        if (column->codes > 0)
            continue;
        const float *frequency = stem->frequency + (size_t)c * stem->frequencies;
        for (uint32_t f = 0; f < stem->frequencies; f++)
            turns[count++] = frequency[f] * plain[column->plain];
    }
    kernels->waves(count, turns, out);
}

void ramify_stem_features(const ramify_kernels *kernels, const ramify_stem *stem, size_t rows,
                          const float *plain, size_t ldp, float *features, size_t ldf) {
    for (size_t row = 0; row < rows; row++) {
        const float *from = plain + row * ldp;
        float *to = features + row * ldf;
        if (stem->bins) {
            for (uint32_t c = 0; c < stem->columns; c++)
                column_features(stem, &stem->column[c], from + stem->column[c].plain,
                                to + stem->column[c].feature);
        } else {
            memcpy(to, from, stem->plain * sizeof *to);
        }
        if (stem->frequencies > 0)
            ramify_stem_waves(kernels, stem, from, to);
        zero_tail(to, stem->features);
    }
}

void ramify_stem_route(const ramify_kernels *kernels, const ramify_stem *stem, size_t rows,
                       const float *plain, size_t ldp, float *point, size_t ldt) {
    if (stem->route) {
        kernels->dots(rows, stem->routes, stem->plain, plain, ldp, stem->route,
                      ramify_pad(stem->plain), NULL, point, ldt);
        for (size_t row = 0; row < rows; row++)
            zero_tail(point + row * ldt, stem->routes);
        return;
    }
    for (size_t row = 0; row < rows; row++)
        memcpy(point + row * ldt, plain + row * ldp, ramify_pad(stem->plain) * sizeof *point);
}

static void column_gradient(const ramify_stem *stem, const ramify_stem_column *column,
                            const float *plain, const float *dfeature, float *dplain) {
    if (column->codes > 0) {
        const float *entry = stem->table + 4 * (size_t)column->entry;
        for (uint32_t code = 0; code < column->codes; code++)
            dplain[code] = dfeature[0] * entry[4 * code] + dfeature[1] * entry[4 * code + 2];
        return;
    }
    if (column->knots == 0) {
        dplain[0] = dfeature[0];
        if (column->missing)
            dplain[1] = dfeature[1];
        return;
    }
    float offset;
    const float *entry = table_entry(stem, column, plain, &offset);
    dplain[0] = dfeature[0] * entry[1] + dfeature[1] * entry[3];
    if (column->missing)
        dplain[1] = 0.0F; /* a choice of entry, not a number: no derivative */
}

static void periodic_gradient(const ramify_stem *stem, const float *plain, const float *dfeatures,
                              float *dplain) {
    static const float two_pi = 6.28318530718F;
    for (uint32_t c = 0; c < stem->columns; c++) {
        const ramify_stem_column *column = &stem->column[c];
        if (column->codes > 0)
            continue;
        float z = plain[column->plain];
        const float *frequency = stem->frequency + (size_t)c * stem->frequencies;
        const float *d = dfeatures + column->periodic;
        float sum = 0.0F;
        for (uint32_t f = 0; f < stem->frequencies; f++) {
            float sine = ramify_sine_turns(frequency[f] * z);
            float cosine = ramify_sine_turns(frequency[f] * z + 0.25F);
            sum += two_pi * frequency[f] * (d[2 * f] * cosine - d[2 * f + 1] * sine);
        }
        dplain[column->plain] += sum;
    }
}

void ramify_stem_plain_gradient(const ramify_stem *stem, size_t rows, const float *plain,
                                size_t ldp, const float *dfeatures, size_t ldf, float *dplain,
                                size_t lddp) {
    for (size_t row = 0; row < rows; row++) {
        const float *from = plain + row * ldp;
        const float *d = dfeatures + row * ldf;
        float *to = dplain + row * lddp;
        if (stem->bins) {
            for (uint32_t c = 0; c < stem->columns; c++)
                column_gradient(stem, &stem->column[c], from + stem->column[c].plain,
                                d + stem->column[c].feature, to + stem->column[c].plain);
        } else {
            memcpy(to, d, stem->plain * sizeof *to);
        }
        if (stem->frequencies > 0)
            periodic_gradient(stem, from, d, to);
        zero_tail(to, stem->plain);
    }
}

void ramify_stem_raw_gradient(const ramify_stem *stem, size_t rows, const double *x,
                              size_t x_stride, const float *dplain, size_t lddp, double *dx,
                              size_t dx_stride) {
    for (size_t row = 0; row < rows; row++)
        for (uint32_t c = 0; c < stem->columns; c++) {
            const ramify_stem_column *column = &stem->column[c];
            double value = x[row * x_stride + c];
            double z = (value - stem->center[c]) / stem->scale[c];
            /* Also false where the value is missing. */
            bool inside = column->codes == 0 && fabs(z) < RAMIFY_STEM_CLIP;
            dx[row * dx_stride + c] =
                inside ? (double)dplain[row * lddp + column->plain] / stem->scale[c] : 0.0;
        }
}

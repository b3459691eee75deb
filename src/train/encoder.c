/* The stem while it is trained. Plan: quantile knots per column; one flat vector theta of
 * everything learned; tabulate turns theta into the stem's table, which the forward pass reads like
 * prediction does; the backward pass collects sums per table entry and turns them into theta's
 * gradient by running sums. */

#include "encoder.h"
#include "memory.h"
#include "random.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Entries are kept as bytes. */
#define ENTRIES_MAX 256
/* Integer-coded columns of up to so many values get a knot per value. */
#define TWO_PI 6.28318530718f

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Quantile knots of the sorted values; returns their number (0 if fewer than 3 values differ). */
static uint32_t find_knots(const float *sorted, size_t count, uint32_t bins,
                           float *knots /* bins + 1 */) {
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || sorted[i] != sorted[i - 1];
    if (distinct < 3)
        return 0;
    uint32_t found = 0;
    if (distinct <= (size_t)bins + 1) {
        for (size_t i = 0; i < count; i++)
            if (i == 0 || sorted[i] != sorted[i - 1])
                knots[found++] = sorted[i];
        return found;
    }
    double cap = (double)count / bins, total = 0;
    for (size_t i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && sorted[i + run] == sorted[i];)
            run++;
        total += (double)run < cap ? (double)run : cap;
    }
    double passed = 0;
    knots[found++] = sorted[0];
    for (size_t i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && sorted[i + run] == sorted[i];)
            run++;
        passed += (double)run < cap ? (double)run : cap;
        /* Knot j stands at the first value by which j / bins of the capped rows have passed. */
        if (found < bins && sorted[i] > knots[found - 1] && passed >= total * found / bins) {
            knots[found++] = sorted[i];
        }
    }
    if (sorted[count - 1] > knots[found - 1])
        knots[found++] = sorted[count - 1];
    return found;
}

static uint32_t entry_of(const float *knots, uint32_t count, float z) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (knots[middle] <= z)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static ramify_status make_knots(const ramify_problem *problem, ramify_encoder *encoder,
                                uint32_t bins) {
    ramify_context *context = problem->context;
    float *values = ramify_allocate(context, problem->observed.count, sizeof *values);
    if (!values)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t c = 0; c < problem->stem.columns; c++) {
        ramify_stem_column *column = &encoder->column[c];
        if (column->codes > 0)
            continue;
        size_t count = 0;
        for (size_t i = 0; i < problem->observed.count; i++) {
            const float *plain =
                problem->plain + problem->observed.row[i] * problem->plain_stride + column->plain;
            if (!column->missing || plain[1] == 0.0f)
                values[count++] = plain[0];
        }
        qsort(values, count, sizeof *values, compare_floats);
        column->knot = encoder->stem.knot_count;
        column->knots = find_knots(values, count, bins, encoder->knots + column->knot);
        encoder->stem.knot_count += column->knots;
    }
    ramify_release(context, values);
    return RAMIFY_OK;
}

/* Lays out features, table entries and theta. */
static void lay_out(ramify_encoder *encoder, uint32_t bins_on, uint32_t frequencies) {
    ramify_stem *stem = &encoder->stem;
    uint32_t feature = 0, entry = 0, theta = 0;
    for (uint32_t c = 0; c < stem->columns; c++) {
        ramify_stem_column *column = &encoder->column[c];
        bool table = bins_on && (column->codes > 0 || column->knots > 0);
        column->feature = feature;
        column->entry = entry;
        encoder->theta_at[c] = theta;
        if (!table) {
            feature += column->codes > 0 ? column->codes : 1 + column->missing;
            continue;
        }
        encoder->slot[encoder->slots++] = c;
        feature += 2;
        entry += column->codes > 0 ? column->codes : column->knots + 1 + column->missing;
        theta += 2 * (column->codes > 0 ? column->codes : column->knots + column->missing);
    }
    stem->entry_count = entry;
    encoder->frequency_at = ramify_pad(theta);
    encoder->parameters = encoder->frequency_at;
    if (frequencies > 0) {
        for (uint32_t c = 0; c < stem->columns; c++) {
            ramify_stem_column *column = &encoder->column[c];
            if (column->codes > 0)
                continue;
            column->periodic = feature;
            feature += 2 * frequencies;
        }
        encoder->parameters += ramify_pad((size_t)stem->columns * frequencies);
    }
    stem->features = feature;
    stem->frequencies = frequencies;
    stem->bins = bins_on;
}

static void fill_entries(const ramify_problem *problem, ramify_encoder *encoder) {
    for (size_t row = 0; row < problem->rows; row++) {
        const float *plain = problem->plain + row * problem->plain_stride;
        for (uint32_t s = 0; s < encoder->slots; s++) {
            const ramify_stem_column *column = &encoder->column[encoder->slot[s]];
            uint32_t entry = 0;
            if (column->codes > 0) {
                while (entry + 1 < column->codes && plain[column->plain + entry] == 0.0f)
                    entry++;
            } else if (column->missing && plain[column->plain + 1] != 0.0f) {
                entry = column->knots + 1;
            } else {
                entry =
                    entry_of(encoder->knots + column->knot, column->knots, plain[column->plain]);
            }
            encoder->entry[row * encoder->slots + s] = (uint8_t)entry;
        }
    }
}

/* Where the interval of `entry` starts (the interval below the first knot ends there instead). */
static float reference_knot(const float *knots, uint32_t entry) {
    return knots[entry == 0 ? 0 : entry - 1];
}

static void measure_bins(const ramify_problem *problem, ramify_encoder *encoder) {
    for (uint32_t s = 0; s < encoder->slots; s++) {
        const ramify_stem_column *column = &encoder->column[encoder->slot[s]];
        if (column->codes > 0)
            continue;
        const float *knots = encoder->knots + column->knot;
        uint32_t bins = column->knots - 1;
        double inside[ENTRIES_MAX] = {0}, above[ENTRIES_MAX] = {0};
        size_t present = 0;
        for (size_t i = 0; i < problem->observed.count; i++) {
            size_t row = problem->observed.row[i];
            uint32_t entry = encoder->entry[row * encoder->slots + s];
            if (entry > column->knots)
                continue;
            present++;
            float z = problem->plain[row * problem->plain_stride + column->plain];
            if (entry >= 1 && entry <= bins)
                inside[entry - 1] += (z - knots[entry - 1]) / (knots[entry] - knots[entry - 1]);
            above[entry]++;
        }
        double higher = 0;
        for (uint32_t b = bins; b-- > 0;) {
            higher += above[b + 2];
            encoder->bin_mean[column->knot + b] =
                present ? (float)((inside[b] + higher) / (double)present) : 0.0f;
        }
    }
}

static void initialise(ramify_encoder *encoder, const ramify_encoder_options *options) {
    for (uint32_t s = 0; s < encoder->slots; s++) {
        uint32_t c = encoder->slot[s];
        const ramify_stem_column *column = &encoder->column[c];
        float *theta = encoder->theta + encoder->theta_at[c];
        ramify_random random =
            ramify_random_stream(options->seed, RAMIFY_PURPOSE_INITIAL, UINT64_MAX, c);
        uint32_t numbers = column->codes > 0 ? column->codes : column->knots;
        /* For a category each code is on alone; bins add up. */
        double deviation = column->codes > 0 ? 1.0 : 1.0 / sqrt((double)numbers);
        for (uint32_t i = 0; i < 2 * numbers; i++)
            theta[i] = (float)(deviation * ramify_random_normal(&random));
    }
    for (uint32_t c = 0; c < encoder->stem.columns; c++) {
        if (encoder->column[c].codes > 0)
            continue;
        ramify_random random = ramify_random_stream(options->seed, RAMIFY_PURPOSE_PERIODIC, 0, c);
        for (uint32_t f = 0; f < encoder->stem.frequencies; f++)
            encoder->theta[encoder->frequency_at + c * encoder->stem.frequencies + f] =
                (float)(options->frequency_deviation * ramify_random_normal(&random));
    }
}

static ramify_status allocate_arrays(const ramify_problem *problem, ramify_encoder *encoder) {
    ramify_context *context = problem->context;
    const ramify_stem *stem = &encoder->stem;
    encoder->table = ramify_allocate_zeroed(context, (size_t)stem->entry_count * 4, sizeof(float));
    encoder->frequency = ramify_allocate_zeroed(
        context, (size_t)stem->columns * (stem->frequencies ? stem->frequencies : 1),
        sizeof(float));
    encoder->theta = ramify_allocate_zeroed(context, encoder->parameters, sizeof(float));
    encoder->bin_mean = ramify_allocate_zeroed(context, stem->knot_count, sizeof(float));
    if (!encoder->entry)
        encoder->entry = ramify_allocate(context, problem->rows, encoder->slots);
    if (!encoder->table || !encoder->frequency || !encoder->theta || !encoder->bin_mean ||
        !encoder->entry)
        return RAMIFY_ERROR_MEMORY;
    encoder->stem.column = encoder->column;
    encoder->stem.center = problem->center;
    encoder->stem.scale = problem->scale;
    encoder->stem.knots = encoder->knots;
    encoder->stem.table = encoder->table;
    encoder->stem.frequency = encoder->frequency;
    return RAMIFY_OK;
}

static ramify_encoder *encoder_new(const ramify_problem *problem, size_t knots) {
    ramify_context *context = problem->context;
    ramify_encoder *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return NULL;
    size_t columns = problem->stem.columns;
    made->stem = problem->stem;
    made->column = ramify_allocate(context, columns, sizeof *made->column);
    made->theta_at = ramify_allocate_zeroed(context, columns, sizeof *made->theta_at);
    made->slot = ramify_allocate_zeroed(context, columns, sizeof *made->slot);
    made->knots = ramify_allocate(context, knots, sizeof *made->knots);
    if (!made->column || !made->theta_at || !made->slot || !made->knots) {
        ramify_encoder_destroy(context, &made);
        return NULL;
    }
    memcpy(made->column, problem->column, columns * sizeof *made->column);
    return made;
}

ramify_status ramify_encoder_create(const ramify_problem *problem,
                                    const ramify_encoder_options *options,
                                    ramify_encoder **encoder) {
    uint32_t bins = options->bin_count < 2 ? 2 : options->bin_count;
    if (bins > RAMIFY_STEM_KNOTS_MAX - 3)
        bins = RAMIFY_STEM_KNOTS_MAX - 3;
    size_t knots = options->bins ? (size_t)problem->stem.columns * (bins + 1) : 1;
    ramify_encoder *made = encoder_new(problem, knots);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = RAMIFY_OK;
    if (options->bins)
        status = make_knots(problem, made, bins);
    if (status == RAMIFY_OK) {
        lay_out(made, options->bins, options->frequencies);
        status = allocate_arrays(problem, made);
    }
    if (status != RAMIFY_OK) {
        ramify_encoder_destroy(problem->context, &made);
        return status;
    }
    fill_entries(problem, made);
    measure_bins(problem, made);
    initialise(made, options);
    ramify_encoder_tabulate(made);
    *encoder = made;
    return RAMIFY_OK;
}

void ramify_encoder_destroy(ramify_context *context, ramify_encoder **encoder) {
    if (!*encoder)
        return;
    ramify_encoder *old = *encoder;
    *encoder = NULL;
    ramify_release(context, old->column);
    ramify_release(context, old->knots);
    ramify_release(context, old->table);
    ramify_release(context, old->frequency);
    ramify_release(context, old->route);
    ramify_release(context, old->theta);
    ramify_release(context, old->bin_mean);
    ramify_release(context, old->theta_at);
    ramify_release(context, old->slot);
    ramify_release(context, old->entry);
    ramify_release(context, old);
}

void ramify_encoder_tabulate(ramify_encoder *encoder) {
    for (uint32_t s = 0; s < encoder->slots; s++) {
        uint32_t c = encoder->slot[s];
        const ramify_stem_column *column = &encoder->column[c];
        const float *theta = encoder->theta + encoder->theta_at[c];
        float *table = encoder->table + (size_t)column->entry * 4;
        if (column->codes > 0) {
            for (uint32_t i = 0; i < column->codes; i++) {
                table[4 * i] = theta[2 * i];
                table[4 * i + 2] = theta[2 * i + 1];
            }
            continue;
        }
        const float *knots = encoder->knots + column->knot;
        const float *mean = encoder->bin_mean + column->knot;
        uint32_t bins = column->knots - 1;
        for (uint32_t o = 0; o < 2; o++) {
            float linear = theta[o], sum = 0;
            const float *bin = theta + 2;
            for (uint32_t b = 0; b < bins; b++)
                sum -= bin[2 * b + o] * mean[b];
            table[2 * o] = linear * knots[0] + 2 * sum;
            table[2 * o + 1] = linear;
            for (uint32_t b = 0; b <= bins; b++) {
                float *entry = table + 4 * (b + 1) + 2 * o;
                entry[0] = linear * knots[b] + 2 * sum;
                entry[1] = linear;
                if (b < bins) {
                    entry[1] += 2 * bin[2 * b + o] / (knots[b + 1] - knots[b]);
                    sum += bin[2 * b + o];
                }
            }
            if (column->missing) {
                table[4 * (bins + 2) + 2 * o] = theta[2 * column->knots + o];
                table[4 * (bins + 2) + 2 * o + 1] = 0;
            }
        }
    }
    if (encoder->stem.frequencies > 0)
        memcpy(encoder->frequency, encoder->theta + encoder->frequency_at,
               (size_t)encoder->stem.columns * encoder->stem.frequencies * sizeof(float));
}

void ramify_encoder_forward(const ramify_problem *problem, const ramify_encoder *encoder,
                            const uint32_t *rows, size_t count, float *features, size_t ldf) {
    const ramify_stem *stem = &encoder->stem;
    size_t stride = ramify_pad(stem->features);
    for (size_t i = 0; i < count; i++) {
        const float *plain = problem->plain + rows[i] * problem->plain_stride;
        float *to = features + i * ldf;
        for (size_t j = stem->features; j < stride; j++)
            to[j] = 0.0f;
        if (encoder->slots < stem->columns) {
            if (encoder->slots == 0) {
                memcpy(to, plain, stem->plain * sizeof *to);
            } else {
                for (uint32_t c = 0; c < stem->columns; c++)
                    if (encoder->column[c].codes == 0 && encoder->column[c].knots == 0)
                        memcpy(to + encoder->column[c].feature, plain + encoder->column[c].plain,
                               (1 + encoder->column[c].missing) * sizeof *to);
            }
        }
        const uint8_t *entries = encoder->entry + rows[i] * encoder->slots;
        for (uint32_t s = 0; s < encoder->slots; s++) {
            const ramify_stem_column *column = &encoder->column[encoder->slot[s]];
            const float *entry = encoder->table + 4 * ((size_t)column->entry + entries[s]);
            float offset = 0.0f;
            if (column->codes == 0 && entries[s] <= column->knots)
                offset = plain[column->plain] -
                         reference_knot(encoder->knots + column->knot, entries[s]);
            to[column->feature] = entry[0] + entry[1] * offset;
            to[column->feature + 1] = entry[2] + entry[3] * offset;
        }
        if (stem->frequencies > 0)
            ramify_stem_waves(problem->kernels, stem, plain, to);
    }
}

/* Gradient of one binned column from the sums per entry. */
static void bins_backward(const ramify_stem_column *column, const float *mean,
                          const float (*whole)[2], const float (*inside)[2], float *gradient) {
    uint32_t bins = column->knots - 1;
    for (uint32_t o = 0; o < 2; o++) {
        float total = 0, higher = 0;
        for (uint32_t e = 0; e <= column->knots; e++)
            total += whole[e][o];
        for (uint32_t b = bins; b-- > 0;) {
            higher += whole[b + 2][o];
            gradient[2 + 2 * b + o] += 2 * (higher + inside[b + 1][o] - mean[b] * total);
        }
        if (column->missing)
            gradient[2 * column->knots + o] += whole[column->knots + 1][o];
    }
}

void ramify_encoder_backward(const ramify_problem *problem, const ramify_encoder *encoder,
                             const uint32_t *rows, size_t count, const float *features,
                             const float *dfeatures, size_t ldf, float *gradient) {
    const ramify_stem *stem = &encoder->stem;
    for (uint32_t s = 0; s < encoder->slots; s++) {
        uint32_t c = encoder->slot[s];
        const ramify_stem_column *column = &encoder->column[c];
        float *theta = gradient + encoder->theta_at[c];
        if (column->codes > 0) {
            for (size_t i = 0; i < count; i++) {
                uint32_t entry = encoder->entry[rows[i] * encoder->slots + s];
                const float *g = dfeatures + i * ldf + column->feature;
                theta[2 * entry] += g[0];
                theta[2 * entry + 1] += g[1];
            }
            continue;
        }
        const float *knots = encoder->knots + column->knot;
        float whole[ENTRIES_MAX][2], inside[ENTRIES_MAX][2];
        memset(whole, 0, (column->knots + 2) * sizeof whole[0]);
        memset(inside, 0, (column->knots + 2) * sizeof inside[0]);
        float linear[2] = {0, 0};
        for (size_t i = 0; i < count; i++) {
            uint32_t entry = encoder->entry[rows[i] * encoder->slots + s];
            const float *g = dfeatures + i * ldf + column->feature;
            float z = problem->plain[rows[i] * problem->plain_stride + column->plain];
            whole[entry][0] += g[0];
            whole[entry][1] += g[1];
            if (entry > column->knots)
                continue;
            linear[0] += g[0] * z;
            linear[1] += g[1] * z;
            if (entry >= 1 && entry < column->knots) {
                float part = (z - knots[entry - 1]) / (knots[entry] - knots[entry - 1]);
                inside[entry][0] += g[0] * part;
                inside[entry][1] += g[1] * part;
            }
        }
        theta[0] += linear[0];
        theta[1] += linear[1];
        bins_backward(column, encoder->bin_mean + column->knot, (const float(*)[2])whole,
                      (const float(*)[2])inside, theta);
    }
    uint32_t frequencies = stem->frequencies;
    for (uint32_t c = 0; c < stem->columns && frequencies > 0; c++) {
        const ramify_stem_column *column = &encoder->column[c];
        if (column->codes > 0)
            continue;
        float *to = gradient + encoder->frequency_at + (size_t)c * frequencies;
        for (size_t i = 0; i < count; i++) {
            float turn = TWO_PI * problem->plain[rows[i] * problem->plain_stride + column->plain];
            const float *y = features + i * ldf + column->periodic;
            const float *g = dfeatures + i * ldf + column->periodic;
            for (uint32_t f = 0; f < frequencies; f++)
                to[f] += turn * (g[2 * f] * y[2 * f + 1] - g[2 * f + 1] * y[2 * f]);
        }
    }
}

size_t ramify_encoder_bytes(const ramify_encoder *encoder) {
    const ramify_stem *stem = &encoder->stem;
    size_t floats = stem->knot_count + (size_t)stem->entry_count * 4 +
                    (size_t)stem->columns * stem->frequencies;
    if (encoder->route)
        floats += (size_t)stem->routes * ramify_pad(stem->plain);
    return floats * sizeof(float) +
           stem->columns * (sizeof(ramify_stem_column) + 2 * sizeof(double));
}

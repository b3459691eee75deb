/* Records of band-limited series: checking them, summing them, and the plan of their terms by which
 * they are fitted. */

#include "bandlimited.h"
#include "memory.h"
#include "status.h"

#include <math.h>
#include <string.h>

_Static_assert(sizeof(ramify_series_header) == 64, "headers of series are 64 bytes in the file");
_Static_assert(sizeof(ramify_series_axis) == 32, "axes of series are 32 bytes in the file");

#define ROWS RAMIFY_SERIES_ROWS
static const double sqrt2 = 1.4142135623730950488;
static const double pi = 3.14159265358979323846;

static uint64_t lines(uint64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static uint64_t axes_end(uint32_t axes) {
    return lines(sizeof(ramify_series_header) + axes * sizeof(ramify_series_axis));
}

uint64_t ramify_series_bytes(uint32_t axes, uint32_t outputs, uint64_t terms, uint32_t number) {
    return axes_end(axes) + outputs * lines(terms * number);
}

bool ramify_series_range_usable(double low, double high) {
    const double most = RAMIFY_SERIES_NUMBER_MAX / 4, length = high - low;
    return fabs(low) <= most && fabs(high) <= most && length >= 4 / RAMIFY_SERIES_NUMBER_MAX;
}

ramify_series_axis ramify_series_axis_over(uint32_t column, uint32_t basis, double low, double high,
                                           size_t rows) {
    /* e^-6 of the rows that would lie outside still do; few rows say little of what is beyond them. */
    const double gaps = 6, most = 0.05, share = gaps / ((double)rows + 1);
    const double more = (share < most ? share : most) * (high - low);
    return (ramify_series_axis){
        .origin = low - more, .length = high - low + 2 * more, .column = column, .basis = basis};
}

const void *ramify_series_coefficients(const ramify_series_header *record, uint32_t output) {
    return (const char *)record + axes_end(record->axes) +
           output * lines((uint64_t)record->terms * record->bytes);
}

/* Terms whose functions on the axes from `axis` on fit into `left`. Ends early beyond `most`. */
static uint64_t count_terms(ramify_index_set set, uint32_t left, uint32_t axis, uint32_t axes,
                            const unsigned char *pairs, uint64_t most) {
    if (axis + 1 == axes)
        return ramify_functions(left, pairs[axis]);
    uint64_t count = 0;
    for (uint32_t k = 0; k <= left && count <= most; k++) {
        uint64_t inner =
            count_terms(set, ramify_set_left(set, left, k), axis + 1, axes, pairs, most);
        count += k > 0 && pairs[axis] ? 2 * inner : inner;
    }
    return count;
}

uint64_t ramify_series_count(ramify_index_set set, uint32_t band, uint32_t axes,
                             const unsigned char *pairs, uint64_t most) {
    return axes == 0 ? 1 : count_terms(set, band, 0, axes, pairs, most);
}

uint64_t ramify_series_functions(uint32_t band, uint32_t axes, const unsigned char *pairs) {
    uint64_t count = 0;
    for (uint32_t a = 0; a < axes; a++)
        count += ramify_functions(band, pairs[a]);
    return count;
}

/* ---- the plan of terms ---- */

/* What the walk over terms in the order of index_set.h collects. */
typedef struct walk {
    ramify_index_set set;
    uint32_t band, axes;
    const unsigned char *pairs;
    const uint32_t *begin;
    uint32_t next;               /* number of the next term */
    uint32_t *parent, *function; /* by number in this order */
    uint32_t *level;             /* smallest band that holds it */
} walk;

/* used: the level of the functions so far; of a cross, one more. The term with number `base` has these
 * functions and constants on all axes from `axis` on; it is numbered already. */
static void walk_axis(walk *w, uint32_t axis, uint32_t left, uint32_t used, uint32_t base) {
    if (axis == w->axes)
        return;
    for (uint32_t f = 0; f < ramify_functions(left, w->pairs[axis]); f++) {
        uint32_t k = ramify_frequency(f, w->pairs[axis]), term = base, now = used;
        if (f > 0) {
            now = w->set == RAMIFY_SET_TOTAL   ? used + k
                  : w->set == RAMIFY_SET_CROSS ? (used + 1) * (k + 1) - 1
                  : k > used                   ? k
                                               : used;
            term = w->next++;
            w->parent[term] = base;
            w->function[term] = w->begin[axis] + f;
            w->level[term] = now;
        }
        walk_axis(w, axis + 1, ramify_set_left(w->set, left, k), now, term);
    }
}

/* Sorts by level, keeping the order within one: first[level .. ] and place. */
static void sort_terms(const walk *w, ramify_series_plan *plan, uint32_t *rank) {
    memset(plan->first, 0, ((size_t)plan->band + 2) * sizeof *plan->first);
    for (uint32_t t = 0; t < plan->terms; t++)
        plan->first[w->level[t] + 1]++;
    for (uint32_t b = 0; b <= plan->band; b++)
        plan->first[b + 1] += plan->first[b];
    /* first[b] is moved to the end of b's terms, and back. */
    for (uint32_t t = 0; t < plan->terms; t++)
        rank[t] = plan->first[w->level[t]]++;
    memmove(plan->first + 1, plan->first, ((size_t)plan->band + 1) * sizeof *plan->first);
    plan->first[0] = 0;
    for (uint32_t t = 0; t < plan->terms; t++) {
        plan->place[rank[t]] = t;
        plan->parent[rank[t]] = rank[w->parent[t]];
        plan->function[rank[t]] = w->function[t];
    }
}

ramify_status ramify_series_plan_create(ramify_context *context, ramify_index_set set,
                                        uint32_t band, uint32_t axes, const unsigned char *pairs,
                                        ramify_series_plan **plan) {
    *plan = NULL;
    uint64_t terms = ramify_series_count(set, band, axes, pairs, RAMIFY_SERIES_TERMS_MAX);
    if (band > RAMIFY_SERIES_BAND_MAX || axes > RAMIFY_SERIES_AXES_MAX ||
        terms > RAMIFY_SERIES_TERMS_MAX)
        return ramify_fail(
            context, RAMIFY_ERROR_LIMIT,
            "a series of band %u on %u axes: bands of up to %d, %d axes and %d terms "
            "can be fitted (use a smaller band)",
            band, axes, RAMIFY_SERIES_BAND_MAX, RAMIFY_SERIES_AXES_MAX, RAMIFY_SERIES_TERMS_MAX);
    size_t count = (size_t)terms;
    ramify_series_plan *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    uint32_t *work = ramify_allocate_zeroed(context, 4 * count, sizeof *work);
    if (made) {
        made->terms = (uint32_t)terms;
        made->band = band;
        made->axes = axes;
        made->functions = (uint32_t)ramify_series_functions(band, axes, pairs);
        made->parent = ramify_allocate_zeroed(context, count, sizeof *made->parent);
        made->function = ramify_allocate_zeroed(context, count, sizeof *made->function);
        made->place = ramify_allocate_zeroed(context, count, sizeof *made->place);
        made->first = ramify_allocate_zeroed(context, (size_t)band + 2, sizeof *made->first);
        made->begin = ramify_allocate_zeroed(context, (size_t)axes + 1, sizeof *made->begin);
    }
    if (!work || !made || !made->parent || !made->function || !made->place || !made->first ||
        !made->begin) {
        ramify_release(context, work);
        ramify_series_plan_destroy(context, &made);
        return RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t a = 0; a < axes; a++)
        made->begin[a + 1] = made->begin[a] + ramify_functions(band, pairs[a]);
    walk w = {.set = set,
              .band = band,
              .axes = axes,
              .pairs = pairs,
              .begin = made->begin,
              .next = 1,
              .parent = work,
              .function = work + count,
              .level = work + 2 * count};
    walk_axis(&w, 0, band, 0, 0);
    sort_terms(&w, made, work + 3 * count);
    ramify_release(context, work);
    *plan = made;
    return RAMIFY_OK;
}

void ramify_series_plan_destroy(ramify_context *context, ramify_series_plan **plan) {
    if (!*plan)
        return;
    ramify_release(context, (*plan)->parent);
    ramify_release(context, (*plan)->function);
    ramify_release(context, (*plan)->place);
    ramify_release(context, (*plan)->first);
    ramify_release(context, (*plan)->begin);
    ramify_release(context, *plan);
    *plan = NULL;
}

/* ---- functions of one axis ---- */

/* u of a value, in [0, 1] where the axis has borders. */
static double place_on(const ramify_series_axis *axis, double x) {
    double u = isnan(x) ? 0.5 : (x - axis->origin) / axis->length;
    if (axis->basis == RAMIFY_BASIS_FOURIER)
        return isfinite(u) ? u - floor(u) : 0.5;
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

/* By how much of the box a value may lie beside it and still count as inside: cells of a tree share
 * their borders only up to rounding. */
#define BORDER 1e-6

static bool outside(const ramify_series_axis *axis, double x) {
    if (axis->basis == RAMIFY_BASIS_FOURIER || isnan(x))
        return !isfinite(x);
    double u = (x - axis->origin) / axis->length;
    return !(u >= -BORDER && u <= 1 + BORDER);
}

/* The starting numbers of an axis's recurrences at u: the cosine and sine of the angle whose multiples
 * the functions are. Of Chebyshev polynomials 2u - 1 is the cosine of an angle. */
static void start_at(uint32_t basis, double u, double *c, double *s) {
    if (basis == RAMIFY_BASIS_CHEBYSHEV) {
        *c = 2 * u - 1;
        *s = 0;
        return;
    }
    double angle = basis == RAMIFY_BASIS_FOURIER ? 2 * pi * u : pi * u;
    *c = cos(angle);
    *s = sin(angle);
}

/* value[functions] with a stride, from the starting numbers. Pairs are turned step by step, which
 * keeps errors at k roundings; single cosines follow T_k = 2 c T_(k-1) - T_(k-2). */
static void fill(uint32_t basis, uint32_t frequencies, double c, double s, double *value,
                 size_t stride) {
    value[0] = 1;
    if (basis == RAMIFY_BASIS_FOURIER) {
        double a = sqrt2, b = 0;
        for (uint32_t k = 1; k <= frequencies; k++) {
            double turned = a * c - b * s;
            b = a * s + b * c;
            a = turned;
            value[(2 * k - 1) * stride] = a;
            value[2 * k * stride] = b;
        }
        return;
    }
    double before = sqrt2, now = sqrt2 * c;
    for (uint32_t k = 1; k <= frequencies; k++) {
        value[k * stride] = now;
        double next = 2 * c * now - before;
        before = now;
        now = next;
    }
}

/* slope[functions] = d value / d u. Of cosines T_k' = k U_(k-1), U_k = 2 c U_(k-1) - U_(k-2). */
static void fill_slopes(uint32_t basis, uint32_t frequencies, double c, double s, double *slope,
                        size_t stride) {
    slope[0] = 0;
    if (basis == RAMIFY_BASIS_FOURIER) {
        double a = sqrt2, b = 0;
        for (uint32_t k = 1; k <= frequencies; k++) {
            double turned = a * c - b * s;
            b = a * s + b * c;
            a = turned;
            slope[(2 * k - 1) * stride] = -2 * pi * k * b;
            slope[2 * k * stride] = 2 * pi * k * a;
        }
        return;
    }
    /* d cos(k pi u) / du = -pi k sin(k pi u), and sin(k angle) = U_(k-1)(c) sin(angle). */
    const double factor = basis == RAMIFY_BASIS_CHEBYSHEV ? 2 * sqrt2 : -sqrt2 * pi * s;
    double before = 0, now = 1;
    for (uint32_t k = 1; k <= frequencies; k++) {
        slope[k * stride] = factor * k * now;
        double next = 2 * c * now - before;
        before = now;
        now = next;
    }
}

void ramify_series_terms(const ramify_series_plan *plan, const ramify_series_axis *axis,
                         const double *x, double *function, double *term) {
    for (uint32_t a = 0; a < plan->axes; a++) {
        double c, s;
        start_at(axis[a].basis, place_on(&axis[a], x[axis[a].column]), &c, &s);
        fill(axis[a].basis, plan->band, c, s, function + plan->begin[a], 1);
    }
    term[0] = 1;
    for (uint32_t t = 1; t < plan->terms; t++)
        term[t] = term[plan->parent[t]] * function[plan->function[t]];
}

/* ---- records ---- */

static const char *check_axes(const ramify_series_shape *shape,
                              const ramify_series_header *header) {
    const ramify_series_axis *axis = ramify_series_axes(header);
    for (uint32_t a = 0; a < header->axes; a++) {
        if (axis[a].basis > RAMIFY_BASIS_CHEBYSHEV)
            return "an axis has an unknown basis";
        if (axis[a].column >= shape->columns || (a > 0 && axis[a].column <= axis[a - 1].column))
            return "its axes are not columns of the table in their order";
        if (!(fabs(axis[a].origin) <= RAMIFY_SERIES_NUMBER_MAX) ||
            !(axis[a].length >= 1 / RAMIFY_SERIES_NUMBER_MAX) ||
            !(axis[a].length <= RAMIFY_SERIES_NUMBER_MAX))
            return "an axis has no usable origin or length";
        if (axis[a].reserved[0] != 0 || axis[a].reserved[1] != 0)
            return "its reserved bytes are not 0";
    }
    const char *pad = (const char *)(axis + header->axes);
    for (; pad < (const char *)header + axes_end(header->axes); pad++)
        if (*pad != 0)
            return "its padding is not 0";
    return NULL;
}

static const char *check_coefficients(const ramify_series_header *header) {
    uint64_t slots = lines((uint64_t)header->terms * header->bytes) / header->bytes;
    for (uint32_t o = 0; o < header->outputs; o++) {
        const void *at = ramify_series_coefficients(header, o);
        for (uint64_t i = 0; i < slots; i++) {
            double value = header->bytes == 8 ? ((const double *)at)[i] : ((const float *)at)[i];
            if (!(fabs(value) <= RAMIFY_SERIES_NUMBER_MAX))
                return "a coefficient is not a number of usable size";
            if (i >= header->terms && value != 0)
                return "its padding is not 0";
        }
    }
    return NULL;
}

static void list_pairs(const ramify_series_header *header,
                       unsigned char pairs[RAMIFY_SERIES_AXES_MAX]) {
    const ramify_series_axis *axis = ramify_series_axes(header);
    for (uint32_t a = 0; a < header->axes; a++)
        pairs[a] = (unsigned char)ramify_basis_pairs(axis[a].basis);
}

const char *ramify_series_check(const ramify_series_shape *shape, const void *record,
                                uint64_t bytes) {
    const ramify_series_header *header = record;
    if (bytes < sizeof *header)
        return "it is too short for a series";
    if (header->set > RAMIFY_SET_CROSS || header->band > RAMIFY_SERIES_BAND_MAX ||
        header->axes > RAMIFY_SERIES_AXES_MAX || header->outputs != shape->outputs ||
        header->terms < 1 || header->terms > RAMIFY_SERIES_TERMS_MAX ||
        (header->bytes != 4 && header->bytes != 8) || header->refuses > 1)
        return "its header is not that of a series of this model";
    for (size_t i = 0; i < sizeof header->reserved / sizeof *header->reserved; i++)
        if (header->reserved[i] != 0)
            return "its reserved bytes are not 0";
    if (header->axes == 0 && header->band > 0)
        return "it has a band and no axis";
    if (bytes < axes_end(header->axes))
        return "it is too short for its axes";
    const char *fault = check_axes(shape, header);
    if (fault)
        return fault;
    unsigned char pairs[RAMIFY_SERIES_AXES_MAX];
    list_pairs(header, pairs);
    if (header->terms !=
        ramify_series_count(header->set, header->band, header->axes, pairs, header->terms))
        return "it does not have the terms of its band";
    if (ramify_series_functions(header->band, header->axes, pairs) > shape->most_functions)
        return "it has more functions than the config says";
    if ((uint64_t)header->terms * header->outputs > shape->most_numbers)
        return "it has more coefficients than the config says";
    if (bytes != ramify_series_bytes(header->axes, header->outputs, header->terms, header->bytes))
        return "its length is not that of its terms";
    return check_coefficients(header);
}

/* ---- running ---- */

/* Values of all functions at ROWS points, and as many slopes. */
size_t ramify_series_scratch(const ramify_series_shape *shape, bool slopes) {
    return (slopes ? 2 : 1) * (size_t)shape->most_functions * ROWS * sizeof(double);
}

/* One block of rows. */
typedef struct block {
    const ramify_series_header *header;
    unsigned char pairs[RAMIFY_SERIES_AXES_MAX];
    double *values[RAMIFY_SERIES_AXES_MAX]; /* of each axis */
    double *slopes;                         /* of one axis at a time */
} block;

static void prepare(const ramify_series_shape *shape, const void *record, void *scratch, block *b) {
    b->header = record;
    list_pairs(b->header, b->pairs);
    double *at = scratch;
    for (uint32_t a = 0; a < b->header->axes; a++) {
        b->values[a] = at;
        at += (size_t)ramify_functions(b->header->band, b->pairs[a]) * ROWS;
    }
    b->slopes = (double *)scratch + (size_t)shape->most_functions * ROWS;
}

static void fill_values(block *b, const double *x, size_t x_stride, const uint32_t *order,
                        size_t count) {
    const ramify_series_axis *axis = ramify_series_axes(b->header);
    for (uint32_t a = 0; a < b->header->axes; a++) {
        if (count < ROWS) /* idle places hold numbers, too */
            memset(b->values[a], 0,
                   (size_t)ramify_functions(b->header->band, b->pairs[a]) * ROWS * sizeof(double));
        for (size_t i = 0; i < count; i++) {
            double c, s, value = x[order[i] * x_stride + axis[a].column];
            start_at(axis[a].basis, place_on(&axis[a], value), &c, &s);
            fill(axis[a].basis, b->header->band, c, s, b->values[a] + i, ROWS);
        }
    }
}

/* Slopes by raw x of one axis; 0 for values that were taken to a border. */
static void slopes_of(block *b, uint32_t a, const double *x, size_t x_stride, const uint32_t *order,
                      size_t count) {
    const ramify_series_axis *axis = &ramify_series_axes(b->header)[a];
    uint32_t functions = ramify_functions(b->header->band, b->pairs[a]);
    memset(b->slopes, 0, (size_t)functions * ROWS * sizeof *b->slopes);
    for (size_t i = 0; i < count; i++) {
        double value = x[order[i] * x_stride + axis->column], c, s;
        double u = (value - axis->origin) / axis->length;
        bool moved = axis->basis != RAMIFY_BASIS_FOURIER && !(u >= 0 && u <= 1);
        start_at(axis->basis, place_on(axis, value), &c, &s);
        fill_slopes(axis->basis, b->header->band, c, s, b->slopes + i, ROWS);
        for (uint32_t f = 0; f < functions; f++)
            b->slopes[f * ROWS + i] *= moved || !isfinite(value) ? 0 : 1 / axis->length;
    }
}

static void sum_block(const ramify_kernels *kernels, const block *b, uint32_t output,
                      const double *const *values, double *sum) {
    const ramify_series_header *header = b->header;
    const void *coefficients = ramify_series_coefficients(header, output);
    if (header->axes == 0) {
        for (size_t i = 0; i < ROWS; i++)
            sum[i] =
                header->bytes == 8 ? *(const double *)coefficients : *(const float *)coefficients;
        return;
    }
    const ramify_series_at at = {.set = header->set,
                                 .band = header->band,
                                 .axes = header->axes,
                                 .pairs = b->pairs,
                                 .values = values};
    kernels->series(&at, header->bytes == 8 ? coefficients : NULL,
                    header->bytes == 4 ? coefficients : NULL, sum);
}

size_t ramify_series_run(const ramify_kernels *kernels, const ramify_series_shape *shape,
                         const void *record, const double *x, size_t x_stride,
                         const uint32_t *order, size_t count, double *y, void *scratch,
                         uint32_t *column) {
    block b;
    prepare(shape, record, scratch, &b);
    const ramify_series_axis *axis = ramify_series_axes(b.header);
    if (b.header->refuses)
        for (size_t i = 0; i < count; i++)
            for (uint32_t a = 0; a < b.header->axes; a++)
                if (outside(&axis[a], x[order[i] * x_stride + axis[a].column])) {
                    *column = axis[a].column;
                    return i;
                }
    for (size_t first = 0; first < count; first += ROWS) {
        size_t rows = ramify_smaller(count - first, ROWS);
        fill_values(&b, x, x_stride, order + first, rows);
        for (uint32_t o = 0; o < b.header->outputs; o++) {
            _Alignas(64) double sum[ROWS];
            sum_block(kernels, &b, o, (const double *const *)b.values, sum);
            for (size_t i = 0; i < rows; i++)
                y[(first + i) * b.header->outputs + o] = sum[i];
        }
    }
    return count;
}

void ramify_series_gradient(const ramify_kernels *kernels, const ramify_series_shape *shape,
                            const void *record, const double *x, size_t x_stride,
                            const uint32_t *order, size_t count, uint32_t output, double *dx,
                            void *scratch) {
    block b;
    prepare(shape, record, scratch, &b);
    const ramify_series_axis *axis = ramify_series_axes(b.header);
    memset(dx, 0, count * shape->columns * sizeof *dx);
    for (size_t first = 0; first < count; first += ROWS) {
        size_t rows = ramify_smaller(count - first, ROWS);
        fill_values(&b, x, x_stride, order + first, rows);
        for (uint32_t a = 0; a < b.header->axes; a++) {
            _Alignas(64) double sum[ROWS];
            slopes_of(&b, a, x, x_stride, order + first, rows);
            double *own = b.values[a];
            b.values[a] = b.slopes;
            sum_block(kernels, &b, output, (const double *const *)b.values, sum);
            b.values[a] = own;
            for (size_t i = 0; i < rows; i++)
                dx[(first + i) * shape->columns + axis[a].column] = sum[i];
        }
    }
}

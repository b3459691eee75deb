/* Plan: the evidence of a few hundred rows is climbed from several starts (Rprop, which needs no
 * scale for its steps); the places found, each with its profile over the noise, make the posterior
 * of the noise; the best place then takes more rows for predicting. */

#include "gaussian.h"
#include "memory.h"
#include "order.h"
#include "progress.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Kernels x starts. A short scale with little noise, a long one with little, a long one with much. */
#define KERNELS 2
#define STARTS  3
#define CLIMBS  ((size_t)KERNELS * STARTS)
/* Rprop (Riedmiller, Braun 1993): steps in the logarithm of a parameter. */
#define STEPS       45
#define STEP_FIRST  0.25
#define STEP_MOST   0.6
#define STEP_LEAST  1e-3
#define STEP_GROWTH 1.2
#define STEP_SHRINK 0.5
/* Length scales are about sqrt(features), within a factor of e^1.5: a weak prior that keeps features
 * from being fitted by chance where rows are few. */
#define SCALE_DEVIATION 1.5
#define LOG_SCALE_LOW   (-4.0)
#define LOG_SCALE_HIGH  5.0
/* lambda. Below the lower end float32 targets have no more digits. */
#define LOG_NOISE_LOW  (-13.8)
#define LOG_NOISE_HIGH 9.2
#define NOISE_LEAST    1e-12
/* The profile over the noise: places around the best, in log lambda, near each other where the noise of
 * a few hundred rows is told to a tenth, and far ones for where it is not told at all. */
#define PROFILE 15
static const double profile_offset[PROFILE] = {-3,  -1.7, -1,   -0.6, -0.35, -0.2, -0.1, 0,
                                               0.1, 0.2,  0.35, 0.6,  1,     1.7,  3};
#define TAIL            0.05
#define TAIL_DEVIATIONS 1.6448536269514722

typedef struct place {
    double log_scale[RAMIFY_GAUSSIAN_SCALES];
    double log_noise; /* of lambda */
} place;

typedef struct climb {
    ramify_context *context;
    const double *x; /* rows x features */
    double *y;       /* rows, mean 0 */
    size_t rows, features, scales;
    bool smooth;
    place at;
    double evidence;
    double profile_evidence[PROFILE], profile_noise[PROFILE];
} climb;

/* Scratch of one climb. */
typedef struct room {
    double *z;     /* rows x features, scaled */
    double *k;     /* rows x rows: kernel, then slopes against the scaled squared distance */
    double *upper; /* rows x rows */
    double *inverse;
    double *alpha; /* rows */
} room;

static size_t scale_of(const climb *c, size_t feature) {
    return c->scales == 1 ? 0 : feature;
}

static void scale_rows(const climb *c, size_t rows, const place *at, double *z) {
    for (size_t i = 0; i < rows; i++)
        for (size_t f = 0; f < c->features; f++)
            z[i * c->features + f] = c->x[i * c->features + f] / exp(at->log_scale[scale_of(c, f)]);
}

static double squared_distance(const double *a, const double *b, size_t features) {
    double sum = 0;
    for (size_t f = 0; f < features; f++) {
        double difference = a[f] - b[f];
        sum += difference * difference;
    }
    return sum;
}

/* k, and what d k / d log(scale) is per unit of that feature's scaled squared distance. */
static double kernel_of(bool smooth, double distance, double *slope) {
    if (smooth) {
        double k = exp(-0.5 * distance);
        *slope = k;
        return k;
    }
    double a = sqrt(3 * distance), e = exp(-a);
    *slope = 3 * e;
    return (1 + a) * e;
}

/* upper = Cholesky factor R of K + lambda with R^T R; k receives the slopes. False where rounding
 * leaves no positive pivot. */
static bool factorise(const double *z, size_t rows, size_t features, bool smooth, double lambda,
                      double *k, double *upper) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = i; j < rows; j++) {
            double slope;
            double value = kernel_of(
                smooth, squared_distance(z + i * features, z + j * features, features), &slope);
            upper[i * rows + j] = 1 + value + (i == j ? lambda : 0);
            if (k)
                k[i * rows + j] = slope;
        }
    for (size_t p = 0; p < rows; p++) {
        double *row = upper + p * rows;
        if (!(row[p] > 0))
            return false;
        double inverse = 1 / sqrt(row[p]);
        for (size_t j = p; j < rows; j++)
            row[j] *= inverse;
        for (size_t i = p + 1; i < rows; i++) {
            double factor = row[i];
            double *to = upper + i * rows;
            for (size_t j = i; j < rows; j++)
                to[j] -= factor * row[j];
        }
    }
    return true;
}

/* alpha = (R^T R)^-1 y. */
static void solve(const double *upper, size_t rows, const double *y, double *alpha) {
    memcpy(alpha, y, rows * sizeof *alpha);
    for (size_t i = 0; i < rows; i++) {
        const double *row = upper + i * rows;
        alpha[i] /= row[i];
        for (size_t j = i + 1; j < rows; j++)
            alpha[j] -= alpha[i] * row[j];
    }
    for (size_t i = rows; i-- > 0;) {
        const double *row = upper + i * rows;
        double sum = alpha[i];
        for (size_t j = i + 1; j < rows; j++)
            sum -= row[j] * alpha[j];
        alpha[i] = sum / row[i];
    }
}

/* inverse = R^-1, upper: row i is built of the rows below it. */
static void invert(const double *upper, size_t rows, double *inverse) {
    for (size_t i = rows; i-- > 0;) {
        double *row = inverse + i * rows;
        memset(row, 0, rows * sizeof *row);
        for (size_t j = i + 1; j < rows; j++) {
            double factor = upper[i * rows + j];
            const double *below = inverse + j * rows;
            for (size_t c = j; c < rows; c++)
                row[c] -= factor * below[c];
        }
        double pivot = 1 / upper[i * rows + i];
        for (size_t c = i + 1; c < rows; c++)
            row[c] *= pivot;
        row[i] = pivot;
    }
}

static double prior_of(const climb *c, const place *at, double *gradient) {
    double sum = 0, middle = 0.5 * log((double)c->features);
    for (size_t s = 0; s < c->scales; s++) {
        double z = (at->log_scale[s] - middle) / SCALE_DEVIATION;
        sum -= 0.5 * z * z;
        if (gradient)
            gradient[s] -= z / SCALE_DEVIATION;
    }
    return sum;
}

/* y^T (K + lambda)^-1 y / rows. */
static double signal_of(const double *y, const double *alpha, size_t rows) {
    double sum = 0;
    for (size_t i = 0; i < rows; i++)
        sum += y[i] * alpha[i];
    return fmax(sum / (double)rows, 1e-300);
}

static double evidence_of(const double *upper, size_t rows, double signal) {
    double determinant = 0;
    for (size_t i = 0; i < rows; i++)
        determinant += log(upper[i * rows + i]);
    return -0.5 * (double)rows * log(signal) - determinant;
}

/* Partial sums side by side, in a fixed order, so that the compiler may use vectors. */
static double dot(const double *a, const double *b, size_t count) {
    enum { SUMS = 8 };
    double sum[SUMS] = {0};
    size_t i = 0;
    for (; i + SUMS <= count; i += SUMS)
        for (int s = 0; s < SUMS; s++)
            sum[s] += a[i + s] * b[i + s];
    for (; i < count; i++)
        sum[0] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* The evidence at a place, and its gradient in scales, then log lambda; -INFINITY where it cannot be
 * told. */
static double measure(const climb *c, const place *at, room *r, double *gradient) {
    size_t n = c->rows, d = c->features;
    double lambda = exp(at->log_noise);
    scale_rows(c, n, at, r->z);
    if (!factorise(r->z, n, d, c->smooth, lambda, r->k, r->upper))
        return -INFINITY;
    solve(r->upper, n, c->y, r->alpha);
    double signal = signal_of(c->y, r->alpha, n);
    double value = evidence_of(r->upper, n, signal);
    if (!gradient)
        return value + prior_of(c, at, NULL);
    invert(r->upper, n, r->inverse);
    memset(gradient, 0, (c->scales + 1) * sizeof *gradient);
    /* 0.5 sum of (alpha alpha^T / s^2 - K^-1) * dK, with K^-1 = R^-1 R^-T. */
    for (size_t i = 0; i < n; i++) {
        const double *a = r->inverse + i * n;
        double *row = r->upper + i * n; /* no longer needed: receives K^-1 */
        for (size_t j = i; j < n; j++)
            row[j] = dot(a + j, r->inverse + j * n + j, n - j);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++) {
            double g = r->alpha[i] * r->alpha[j] / signal - r->upper[i * n + j];
            if (i == j) {
                gradient[c->scales] += 0.5 * lambda * g;
                continue;
            }
            double weight = g * r->k[i * n + j]; /* (i, j) and (j, i) */
            for (size_t f = 0; f < d; f++) {
                double difference = r->z[i * d + f] - r->z[j * d + f];
                gradient[scale_of(c, f)] += weight * difference * difference;
            }
        }
    return value + prior_of(c, at, gradient);
}

static double *parameter(const climb *c, place *at, size_t index) {
    return index < c->scales ? &at->log_scale[index] : &at->log_noise;
}

static ramify_status ascend(climb *c, room *r) {
    size_t count = c->scales + 1;
    double step[RAMIFY_GAUSSIAN_SCALES + 1], gradient[RAMIFY_GAUSSIAN_SCALES + 1],
        before[RAMIFY_GAUSSIAN_SCALES + 1] = {0};
    for (size_t p = 0; p < count; p++)
        step[p] = STEP_FIRST;
    place now = c->at;
    c->evidence = -INFINITY;
    for (int i = 0; i < STEPS; i++) {
        if (ramify_cancelled(c->context))
            return ramify_fail(c->context, RAMIFY_STOPPED, "stopped");
        double value = measure(c, &now, r, gradient);
        if (!isfinite(value))
            break;
        if (value > c->evidence) {
            c->evidence = value;
            c->at = now;
        }
        for (size_t p = 0; p < count; p++) {
            double turn = gradient[p] * before[p];
            if (turn > 0)
                step[p] = fmin(step[p] * STEP_GROWTH, STEP_MOST);
            else if (turn < 0) {
                step[p] = fmax(step[p] * STEP_SHRINK, STEP_LEAST);
                gradient[p] = 0;
            }
            before[p] = gradient[p];
            double *at = parameter(c, &now, p);
            double move = gradient[p] > 0 ? step[p] : gradient[p] < 0 ? -step[p] : 0;
            *at = p < c->scales ? ramify_clamp(*at + move, LOG_SCALE_LOW, LOG_SCALE_HIGH)
                                : ramify_clamp(*at + move, LOG_NOISE_LOW, LOG_NOISE_HIGH);
        }
    }
    return RAMIFY_OK;
}

static void profile(climb *c, room *r) {
    for (int i = 0; i < PROFILE; i++) {
        place at = c->at;
        at.log_noise =
            ramify_clamp(at.log_noise + profile_offset[i], LOG_NOISE_LOW, LOG_NOISE_HIGH);
        c->profile_evidence[i] = measure(c, &at, r, NULL);
        c->profile_noise[i] = isfinite(c->profile_evidence[i])
                                  ? exp(at.log_noise) * signal_of(c->y, r->alpha, c->rows)
                                  : 0;
    }
}

static bool room_create(ramify_context *context, size_t rows, size_t features, bool slopes,
                        room *r) {
    *r = (room){0};
    r->z = ramify_allocate(context, rows * features, sizeof(double));
    r->k = slopes ? ramify_allocate(context, rows * rows, sizeof(double)) : NULL;
    r->upper = ramify_allocate(context, rows * rows, sizeof(double));
    r->inverse = ramify_allocate(context, rows * rows, sizeof(double));
    r->alpha = ramify_allocate(context, rows, sizeof(double));
    return r->z && (r->k || !slopes) && r->upper && r->inverse && r->alpha;
}

static void room_clear(ramify_context *context, room *r) {
    ramify_release(context, r->z);
    ramify_release(context, r->k);
    ramify_release(context, r->upper);
    ramify_release(context, r->inverse);
    ramify_release(context, r->alpha);
}

static ramify_status run_climb(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    climb *c = (climb *)argument + task;
    room r;
    ramify_status status =
        room_create(c->context, c->rows, c->features, true, &r) ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ascend(c, &r);
    if (status == RAMIFY_OK)
        profile(c, &r);
    room_clear(c->context, &r);
    return status;
}

static void start(climb *c, size_t index) {
    static const double scales[STARTS] = {0.4, 1.5, 1.5}, noises[STARTS] = {0.05, 0.05, 2.0};
    c->smooth = index % KERNELS == 0;
    size_t which = index / KERNELS;
    for (size_t s = 0; s < c->scales; s++)
        c->at.log_scale[s] = log(scales[which] * sqrt((double)c->features));
    c->at.log_noise = log(noises[which]);
}

/* Places that two climbs found count once. */
static bool found_before(const climb *climbs, size_t index) {
    const double near = 0.3, alike = 1.0;
    for (size_t i = 0; i < index; i++)
        if (climbs[i].smooth == climbs[index].smooth &&
            fabs(climbs[i].at.log_noise - climbs[index].at.log_noise) < near &&
            fabs(climbs[i].evidence - climbs[index].evidence) < alike)
            return true;
    return false;
}

typedef struct weighed {
    double noise, weight;
} weighed;

/* Mean and tails of the noise over all places and their profiles. */
static void summarise(const climb *climbs, ramify_gaussian *made) {
    weighed all[CLIMBS * PROFILE];
    size_t count = 0;
    double best = -INFINITY, sum = 0;
    for (size_t c = 0; c < CLIMBS; c++)
        for (int i = 0; i < PROFILE; i++)
            best = fmax(best, climbs[c].profile_evidence[i]);
    made->noise = 0;
    made->noise_low = made->noise_high = NOISE_LEAST;
    for (size_t c = 0; c < CLIMBS; c++)
        for (int i = 0; i < PROFILE && !found_before(climbs, c); i++) {
            double after = profile_offset[i + 1 < PROFILE ? i + 1 : i];
            double width = after - profile_offset[i > 0 ? i - 1 : i];
            weighed one = {climbs[c].profile_noise[i],
                           width * exp(climbs[c].profile_evidence[i] - best)};
            size_t at = count++;
            for (; at > 0 && all[at - 1].noise > one.noise; at--)
                all[at] = all[at - 1];
            all[at] = one;
            sum += one.weight;
        }
    double passed = 0;
    for (size_t i = 0; i < count && sum > 0; i++) {
        made->noise += all[i].noise * all[i].weight / sum;
        double after = passed + all[i].weight / sum;
        if (passed <= TAIL && after > TAIL)
            made->noise_low = fmax(all[i].noise, NOISE_LEAST);
        if (passed <= 1 - TAIL && after > 1 - TAIL)
            made->noise_high = fmax(all[i].noise, NOISE_LEAST);
        passed = after;
    }
    made->noise = fmax(made->noise, NOISE_LEAST);
    /* The profile has s^2 at its best; given lambda its logarithm has the variance 2 / rows. */
    double scatter = TAIL_DEVIATIONS * sqrt(2 / (double)climbs[0].rows);
    made->noise_low = made->noise * exp(-hypot(scatter, log(made->noise / made->noise_low)));
    made->noise_high = made->noise * exp(hypot(scatter, log(made->noise_high / made->noise)));
}

/* The predictor of the best place, on all rows, and the errors of rows left out (Rasmussen, Williams
 * 2006, equation 5.12). */
static ramify_status finish(const climb *best, size_t rows, const double *y,
                            ramify_gaussian *made) {
    room r;
    ramify_status status = room_create(made->context, rows, best->features, false, &r)
                               ? RAMIFY_OK
                               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        memcpy(made->x, best->x, rows * best->features * sizeof *made->x);
        for (size_t f = 0; f < best->features; f++)
            made->per_unit[f] = exp(-best->at.log_scale[scale_of(best, f)]);
        scale_rows(best, rows, &best->at, r.z);
        double lambda = exp(best->at.log_noise);
        while (!factorise(r.z, rows, best->features, best->smooth, lambda, NULL, r.upper))
            lambda = 10 * lambda;
        solve(r.upper, rows, y, made->alpha);
        invert(r.upper, rows, r.inverse);
        double sum = 0;
        for (size_t i = 0; i < rows; i++) {
            double diagonal = 0;
            for (size_t j = i; j < rows; j++)
                diagonal += r.inverse[i * rows + j] * r.inverse[i * rows + j];
            double error = made->alpha[i] / diagonal;
            sum += error * error;
        }
        made->left_out = sum / (double)rows;
        made->evidence = best->evidence;
        made->smooth = best->smooth;
    }
    room_clear(made->context, &r);
    return status;
}

ramify_status ramify_gaussian_fit(ramify_context *context, size_t rows, size_t features,
                                  const double *x, const double *y, ramify_gaussian **gaussian) {
    *gaussian = NULL;
    rows = ramify_smaller(rows, RAMIFY_GAUSSIAN_ROWS);
    ramify_gaussian *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->rows = rows;
    made->features = features;
    made->x = ramify_allocate(context, rows * features, sizeof(double));
    made->alpha = ramify_allocate(context, rows, sizeof(double));
    made->per_unit = ramify_allocate(context, features, sizeof(double));
    double *centered = ramify_allocate(context, rows, sizeof(double));
    ramify_status status =
        made->x && made->alpha && made->per_unit && centered ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    climb climbs[CLIMBS];
    if (status == RAMIFY_OK) {
        for (size_t i = 0; i < rows; i++)
            made->center += y[i] / (double)rows;
        for (size_t i = 0; i < rows; i++)
            centered[i] = y[i] - made->center;
        for (size_t i = 0; i < CLIMBS; i++) {
            climbs[i] = (climb){
                .context = context,
                .x = x,
                .y = centered,
                .rows = ramify_smaller(rows, RAMIFY_GAUSSIAN_LEARNED),
                .features = features,
                .scales = features > RAMIFY_GAUSSIAN_SCALES ? 1 : features,
            };
            start(&climbs[i], i);
        }
        status = ramify_parallel(context, CLIMBS, run_climb, climbs);
    }
    if (status == RAMIFY_OK) {
        size_t best = 0;
        for (size_t i = 1; i < CLIMBS; i++)
            if (climbs[i].evidence > climbs[best].evidence)
                best = i;
        summarise(climbs, made);
        status = finish(&climbs[best], rows, centered, made);
    }
    ramify_release(context, centered);
    if (status != RAMIFY_OK)
        ramify_gaussian_destroy(context, &made);
    *gaussian = made;
    return status;
}

void ramify_gaussian_destroy(ramify_context *context, ramify_gaussian **gaussian) {
    if (!*gaussian)
        return;
    ramify_release(context, (*gaussian)->x);
    ramify_release(context, (*gaussian)->per_unit);
    ramify_release(context, (*gaussian)->alpha);
    ramify_release(context, *gaussian);
    *gaussian = NULL;
}

double ramify_gaussian_predict(const ramify_gaussian *g, const double *x) {
    double sum = g->center;
    for (size_t i = 0; i < g->rows; i++) {
        const double *row = g->x + i * g->features;
        double distance = 0, slope;
        for (size_t f = 0; f < g->features; f++) {
            double difference = (row[f] - x[f]) * g->per_unit[f];
            distance += difference * difference;
        }
        sum += g->alpha[i] * (1 + kernel_of(g->smooth, distance, &slope));
    }
    return sum;
}

#include "series_ridge.h"
#include "memory.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Weights of coefficients that are tried, in the mean squared column; then nearer to the best. */
#define RIDGES       7
#define RIDGE_LEAST  1e-12
#define RIDGE_FACTOR 100.0
/* By how much of itself cross-validation must fall for weights to be used. */
#define RIDGE_GAIN 0.002

/* Rows with a lot below this are held out of the fits of the search for smoothness, one in four; the
 * search is scored by those above half of it, and its outcome by the others. */
#define HELD_OUT (UINT32_MAX / 4)
/* Weights that are tried with one growth, in the mean squared column: from rounding on. */
#define SMOOTH_RIDGES 9
#define SMOOTH_LEAST  1e-15
#define SMOOTH_FACTOR 100.0
/* Growths of the weight from a band to the next that are tried: as the coefficients of functions that
 * are analytic in narrow and wide surroundings of the box fall. */
static const double growths[] = {4, 1, 2, 9, 25};
/* By how much the growth is changed in the first of these rounds, and how many there are. */
#define GROWTH_STEP   1.5
#define SMOOTH_NEARER 3

/* Rows of the identity that are taken at a time: the columns before the first of them are passed
 * over. */
#define DIAGONAL_ROWS 128

/* Rows of the identity from `first` on, that of the constant 0. Returns how many. */
static uint32_t fill_diagonal(ramify_least_squares *to, uint32_t terms, uint32_t first) {
    uint32_t count = (uint32_t)ramify_smaller(DIAGONAL_ROWS, terms - first);
    memset(to->block, 0, (size_t)count * to->ld * sizeof *to->block);
    for (uint32_t i = 0; i < count; i++)
        to->block[i * to->ld + first + i] = first + i > 0;
    return count;
}

ramify_status ramify_series_weigh(const ramify_least_squares *from, uint32_t terms, double lambda,
                                  const double *weight, ramify_least_squares *to) {
    ramify_least_squares_clear(to);
    for (uint32_t t = 0; t < terms; t++)
        for (uint32_t c = t; c < terms + from->outputs; c++)
            to->r[t * to->ld + c] =
                from->r[t * from->ld + (c < terms ? c : from->terms + c - terms)];
    to->rows = terms;
    for (uint32_t first = 0; first < terms; first += DIAGONAL_ROWS) {
        uint32_t count = fill_diagonal(to, terms, first);
        for (uint32_t i = 0; i < count; i++)
            to->block[i * to->ld + first + i] *= sqrt(lambda * (weight ? weight[first + i] : 1));
        RAMIFY_TRY(ramify_least_squares_take(to, count, first));
    }
    return RAMIFY_OK;
}

/* The mean over terms of a column's sum of squares. */
static double mean_square(const ramify_least_squares *from, uint32_t terms) {
    double sum = 0;
    for (uint32_t i = 0; i < terms; i++)
        for (uint32_t t = i; t < terms; t++)
            sum += from->r[i * from->ld + t] * from->r[i * from->ld + t];
    return sum / terms;
}

/* Generalised cross-validation (Golub, Heath and Wahba 1979): rows x residuals / (rows - trace H)^2.
 * H = A (A^T A + lambda D)^-1 A^T, and with the problem's new R the trace is terms - lambda |D R^-1|^2,
 * D without the constant. */
static ramify_status cross_validate(const ramify_least_squares *from, uint32_t terms, double lambda,
                                    ramify_least_squares *to, double *c, double *value) {
    RAMIFY_TRY(ramify_series_weigh(from, terms, lambda, NULL, to));
    double lost = 0, squares = 0;
    for (uint32_t first = 0; first < terms; first += DIAGONAL_ROWS) {
        uint32_t count = fill_diagonal(to, terms, first);
        RAMIFY_TRY(ramify_least_squares_orthonormal(to, terms, count, first));
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t t = first + i; t < terms; t++)
                lost += lambda * to->block[i * to->ld + t] * to->block[i * to->ld + t];
    }
    for (uint32_t o = 0; o < from->outputs; o++) {
        ramify_least_squares_solve(to, terms, o, c);
        squares += ramify_least_squares_left(from, terms, o);
        for (uint32_t i = 0; i < terms; i++) {
            double left = ramify_least_squares_projection(from, i, o);
            for (uint32_t t = i; t < terms; t++)
                left -= from->r[i * from->ld + t] * c[t];
            squares += left * left;
        }
    }
    double rows = (double)from->rows, freedom = rows - (terms - lost);
    *value = freedom > 0 ? rows * squares / (freedom * freedom) : INFINITY;
    return RAMIFY_OK;
}

ramify_status ramify_series_choose_ridge(const ramify_least_squares *from, uint32_t terms,
                                         ramify_least_squares *to, double *c, double *ridge) {
    double mean = mean_square(from, terms), least, value, tried[RIDGES];
    uint32_t best = 0;
    *ridge = 0;
    double none;
    RAMIFY_TRY(cross_validate(from, terms, 0, to, c, &none));
    for (uint32_t i = 0; i < RIDGES; i++) {
        double lambda = mean * RIDGE_LEAST * pow(RIDGE_FACTOR, i);
        RAMIFY_TRY(cross_validate(from, terms, lambda, to, c, &tried[i]));
        best = tried[i] < tried[best] ? i : best;
    }
    least = tried[best];
    double lambda = mean * RIDGE_LEAST * pow(RIDGE_FACTOR, best), kept = lambda;
    for (double factor = sqrt(RIDGE_FACTOR); factor > 2; factor = sqrt(factor)) {
        lambda = kept;
        for (int side = -1; side <= 1; side += 2) {
            double other = lambda * pow(factor, side);
            RAMIFY_TRY(cross_validate(from, terms, other, to, c, &value));
            if (value < least) {
                least = value;
                kept = other;
            }
        }
    }
    if (least < (1 - RIDGE_GAIN) * none)
        *ridge = kept;
    return RAMIFY_OK;
}

/* ---- smoothness ---- */

/* A search: R of the rows that are not held out, and what was best so far. */
typedef struct search {
    ramify_series_pass *pass;
    const ramify_least_squares *from;
    ramify_least_squares *to;
    const uint32_t *held;
    size_t held_count;
    double mean;    /* mean_square of `from` */
    double *weight; /* terms */
    ramify_series_smoothness best;
} search;

/* Weights of squared coefficients: growth^level. */
static void set_weights(const ramify_series_plan *plan, double growth, double *weight) {
    double now = 1;
    for (uint32_t b = 0; b <= plan->band; b++, now *= growth)
        for (uint32_t t = plan->first[b]; t < plan->first[b + 1]; t++)
            weight[t] = now;
}

/* Errors of the held-out rows with these weights. */
static ramify_status attempt(search *s, double growth, double share) {
    ramify_series_pass *p = s->pass;
    double error;
    set_weights(p->plan, growth, s->weight);
    RAMIFY_TRY(ramify_series_weigh(s->from, p->plan->terms, share * s->mean, s->weight, s->to));
    p->problem = s->to;
    ramify_status status = ramify_series_pass_score(p, s->held, s->held_count, 0, NULL, &error);
    p->problem = (ramify_least_squares *)s->from;
    if (status == RAMIFY_OK && error < s->best.error)
        s->best = (ramify_series_smoothness){.growth = growth, .share = share, .error = error};
    return status;
}

/* All weights with one growth, then all growths with weights near the best, then nearer to it. */
static ramify_status look_everywhere(search *s) {
    for (int i = 0; i < SMOOTH_RIDGES; i++)
        RAMIFY_TRY(attempt(s, growths[0], SMOOTH_LEAST * pow(SMOOTH_FACTOR, i)));
    for (size_t g = 1; g < sizeof growths / sizeof *growths; g++) {
        double share = s->best.share;
        for (int step = -1; step <= 1; step++)
            RAMIFY_TRY(attempt(s, growths[g], share * pow(SMOOTH_FACTOR, step)));
    }
    double share_step = sqrt(SMOOTH_FACTOR), growth_step = GROWTH_STEP;
    for (int round = 0; round < SMOOTH_NEARER && isfinite(s->best.error); round++) {
        const ramify_series_smoothness at = s->best;
        RAMIFY_TRY(attempt(s, at.growth, at.share * share_step));
        RAMIFY_TRY(attempt(s, at.growth, at.share / share_step));
        RAMIFY_TRY(attempt(s, at.growth * growth_step, s->best.share));
        RAMIFY_TRY(attempt(s, at.growth / growth_step, s->best.share));
        share_step = sqrt(share_step);
        growth_step = sqrt(growth_step);
    }
    return RAMIFY_OK;
}

/* From what was best with fewer terms, one way and the other as long as it gains. */
static ramify_status look_near(search *s, const ramify_series_smoothness *near) {
    RAMIFY_TRY(attempt(s, near->growth, near->share));
    for (int way = 0; way < 4; way++) {
        double share = way == 0 ? 1 / SMOOTH_FACTOR : way == 1 ? SMOOTH_FACTOR : 1;
        double growth = way == 2 ? 1 / GROWTH_STEP : way == 3 ? GROWTH_STEP : 1;
        double before;
        bool any = false;
        do {
            before = s->best.error;
            RAMIFY_TRY(attempt(s, s->best.growth * growth, s->best.share * share));
            any = any || s->best.error < before;
        } while (s->best.error < before && s->best.share > SMOOTH_LEAST);
        if (any && way % 2 == 0)
            way++; /* not back again */
    }
    return RAMIFY_OK;
}

/* Rows by their part: 0 taken, 1 for the search, 2 for its outcome. */
static int part_of(uint32_t row) {
    uint32_t lot = ramify_series_lot(row);
    return lot >= HELD_OUT ? 0 : lot >= HELD_OUT / 2 ? 1 : 2;
}

/* Errors of the rows that the search did not see, with what it found. error[count]: NaN for others. */
static ramify_status score_outcome(search *s, const uint32_t *row, size_t count,
                                   const uint32_t *seen, size_t seen_count, float *error) {
    ramify_series_pass *p = s->pass;
    float *kept = ramify_allocate(p->data->context, seen_count, sizeof *kept);
    if (!kept)
        return RAMIFY_ERROR_MEMORY;
    set_weights(p->plan, s->best.growth, s->weight);
    ramify_status status =
        ramify_series_weigh(s->from, p->plan->terms, s->best.share * s->mean, s->weight, s->to);
    p->problem = s->to;
    if (status == RAMIFY_OK)
        status = ramify_series_pass_score(p, seen, seen_count, 0, kept, &s->best.error);
    p->problem = (ramify_least_squares *)s->from;
    for (size_t i = 0, next = 0; status == RAMIFY_OK && i < count; i++)
        error[i] = part_of(row[i]) == 2 ? kept[next++] : (float)NAN;
    ramify_release(p->data->context, kept);
    return status;
}

/* All rows, with weights that grow as the rows do. */
static ramify_status solve_all(search *s, const uint32_t *const part[3], const size_t count[3],
                               double *c) {
    ramify_series_pass *p = s->pass;
    const uint32_t terms = p->plan->terms;
    for (int i = 1; i < 3; i++)
        RAMIFY_TRY(ramify_series_pass_take(p, part[i], count[i]));
    s->best.ridge = s->best.share * mean_square(s->from, terms);
    set_weights(p->plan, s->best.growth, s->weight);
    RAMIFY_TRY(ramify_series_weigh(s->from, terms, s->best.ridge, s->weight, s->to));
    for (uint32_t o = 0; o < p->data->targets; o++)
        ramify_least_squares_solve(s->to, terms, o, c + (size_t)o * terms);
    return RAMIFY_OK;
}

ramify_status ramify_series_smooth(ramify_series_pass *p, const uint32_t *row, size_t count,
                                   float *error, double *c, ramify_series_smoothness *found) {
    ramify_context *context = p->data->context;
    const uint32_t terms = p->plan->terms;
    uint32_t *memory = ramify_allocate(context, 3 * count, sizeof *memory);
    search s = {.pass = p, .from = p->problem};
    s.weight = ramify_allocate(context, terms, sizeof *s.weight);
    const ramify_series_smoothness near = *found;
    *found = (ramify_series_smoothness){.error = INFINITY};
    ramify_status status =
        memory && s.weight
            ? ramify_least_squares_create(context, p->data->kernels, terms, p->data->targets, &s.to)
            : RAMIFY_ERROR_MEMORY;
    uint32_t *part[3] = {memory, memory + count, memory + 2 * count};
    size_t counts[3] = {0, 0, 0};
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++)
        part[part_of(row[i])][counts[part_of(row[i])]++] = row[i];
    if (status == RAMIFY_OK && (counts[1] == 0 || counts[2] == 0))
        counts[0] = 0; /* nothing to go by */
    p->at_once = p->left_out = true;
    p->terms = terms;
    p->bands = 1;
    s.held = part[1];
    s.held_count = counts[1];
    if (status == RAMIFY_OK && counts[0] > 0)
        status = ramify_series_pass_take(p, part[0], counts[0]);
    if (status == RAMIFY_OK && counts[0] > 0) {
        s.mean = mean_square(s.from, terms);
        s.best = (ramify_series_smoothness){.error = INFINITY};
        status = near.growth > 0 ? look_near(&s, &near) : look_everywhere(&s);
        if (status == RAMIFY_OK && isfinite(s.best.error))
            status = score_outcome(&s, row, count, part[2], counts[2], error);
        if (status == RAMIFY_OK && isfinite(s.best.error))
            status = solve_all(&s, (const uint32_t *const *)part, counts, c);
        *found = s.best;
    }
    ramify_least_squares_destroy(&s.to);
    ramify_release(context, memory);
    ramify_release(context, s.weight);
    return status;
}

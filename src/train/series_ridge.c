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

/* Rows with a lot below this are held out of the search for smoothness: one in four. */
#define HELD_OUT (UINT32_MAX / 4)
/* Weights that are tried with one growth, in the mean squared column: from rounding on. */
#define SMOOTH_RIDGES 9
#define SMOOTH_LEAST  1e-15
#define SMOOTH_FACTOR 100.0
/* Growths of the weight from a band to the next that are tried: as the coefficients of functions that
 * are analytic in narrow and wide surroundings of the box fall. */
static const double growths[] = {4, 1, 2, 9, 25};

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
static ramify_status look(search *s) {
    s->best = (ramify_series_smoothness){.error = INFINITY};
    for (int i = 0; i < SMOOTH_RIDGES; i++)
        RAMIFY_TRY(attempt(s, growths[0], SMOOTH_LEAST * pow(SMOOTH_FACTOR, i)));
    for (size_t g = 1; g < sizeof growths / sizeof *growths; g++) {
        double share = s->best.share;
        for (int step = -1; step <= 1; step++)
            RAMIFY_TRY(attempt(s, growths[g], share * pow(SMOOTH_FACTOR, step)));
    }
    double share_step = sqrt(SMOOTH_FACTOR), growth_step = 1.5;
    for (int round = 0; round < 3 && isfinite(s->best.error); round++) {
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

static bool is_held_out(uint32_t row) {
    return ramify_series_lot(row) < HELD_OUT;
}

ramify_status ramify_series_smooth(ramify_series_pass *p, const uint32_t *row, size_t count,
                                   float *error, double *c, ramify_series_smoothness *found) {
    ramify_context *context = p->data->context;
    const uint32_t terms = p->plan->terms, targets = p->data->targets;
    ramify_least_squares *to = NULL, *from = p->problem;
    uint32_t *part = ramify_allocate(context, 2 * count, sizeof *part), *held = part + count;
    float *kept = ramify_allocate(context, count, sizeof *kept);
    search s = {.pass = p, .from = from, .held = held};
    s.weight = ramify_allocate(context, terms, sizeof *s.weight);
    ramify_status status =
        part && kept && s.weight
            ? ramify_least_squares_create(context, p->data->kernels, terms, targets, &to)
            : RAMIFY_ERROR_MEMORY;
    s.to = to;
    size_t taken = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++)
        *(is_held_out(row[i]) ? &held[s.held_count++] : &part[taken++]) = row[i];
    if (status == RAMIFY_OK)
        status = ramify_series_pass_take(p, part, taken);
    p->at_once = p->left_out = true;
    p->terms = terms;
    p->bands = 1;
    s.mean = status == RAMIFY_OK ? mean_square(from, terms) : 0;
    if (status == RAMIFY_OK)
        status = look(&s);
    *found = s.best;
    if (status == RAMIFY_OK && isfinite(s.best.error) && error) {
        double again;
        set_weights(p->plan, s.best.growth, s.weight);
        status = ramify_series_weigh(from, terms, s.best.share * s.mean, s.weight, to);
        p->problem = to;
        if (status == RAMIFY_OK)
            status = ramify_series_pass_score(p, held, s.held_count, 0, kept, &again);
        p->problem = from;
        for (size_t i = 0, next = 0; status == RAMIFY_OK && i < count; i++)
            error[i] = is_held_out(row[i]) ? kept[next++] : (float)NAN;
    }
    /* All rows, with weights that grow as the rows do. */
    if (status == RAMIFY_OK && isfinite(s.best.error))
        status = ramify_series_pass_take(p, held, s.held_count);
    if (status == RAMIFY_OK && isfinite(s.best.error)) {
        found->ridge = s.best.share * mean_square(from, terms);
        set_weights(p->plan, s.best.growth, s.weight);
        status = ramify_series_weigh(from, terms, found->ridge, s.weight, to);
        for (uint32_t o = 0; status == RAMIFY_OK && o < targets; o++)
            ramify_least_squares_solve(to, terms, o, c + (size_t)o * terms);
    }
    ramify_least_squares_destroy(&to);
    ramify_release(context, part);
    ramify_release(context, kept);
    ramify_release(context, s.weight);
    return status;
}

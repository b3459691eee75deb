#include "series_ridge.h"
#include "memory.h"
#include "progress.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Weights of coefficients that are tried, in the mean squared column; then nearer to the best. */
#define RIDGES       7
#define RIDGE_LEAST  1e-12
#define RIDGE_FACTOR 100.0
/* By how much of itself cross-validation must fall for weights to be used. */
#define RIDGE_GAIN 0.002

/* Rows are in groups by lot. The first two, an eighth of the rows each, are held out of the fits of the search
 * for smoothness: the search goes by the second, its outcome is scored by the first. The others, a quarter
 * each, are then held out in turn and scored, too, where that takes no more than so many operations. */
#define GROUPS          5
#define TURN_OPERATIONS 5e10
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
                                         double deadline, ramify_least_squares *to, double *c,
                                         double *ridge) {
    double mean = mean_square(from, terms), least, value, tried[RIDGES];
    uint32_t best = 0;
    *ridge = 0;
    double none;
    RAMIFY_TRY(cross_validate(from, terms, 0, to, c, &none));
    for (uint32_t i = 0; i < RIDGES; i++) {
        if (ramify_late(deadline))
            return RAMIFY_OK;
        double lambda = mean * RIDGE_LEAST * pow(RIDGE_FACTOR, i);
        RAMIFY_TRY(cross_validate(from, terms, lambda, to, c, &tried[i]));
        best = tried[i] < tried[best] ? i : best;
    }
    least = tried[best];
    double lambda = mean * RIDGE_LEAST * pow(RIDGE_FACTOR, best), kept = lambda;
    for (double factor = sqrt(RIDGE_FACTOR); factor > 2; factor = sqrt(factor)) {
        if (ramify_late(deadline))
            return RAMIFY_OK;
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
    ramify_least_squares *from;
    ramify_least_squares *to;
    uint32_t *row[GROUPS]; /* count[group] */
    size_t count[GROUPS];
    float *error[GROUPS]; /* count[group]: squares of rows left out */
    double mean;          /* mean_square of `from` */
    double *weight;       /* terms */
    ramify_series_smoothness best;
} search;

/* Weights of squared coefficients: growth^level. */
static void set_weights(const ramify_series_plan *plan, double growth, double *weight) {
    double now = 1;
    for (uint32_t b = 0; b <= plan->band; b++, now *= growth)
        for (uint32_t t = plan->first[b]; t < plan->first[b + 1]; t++)
            weight[t] = now;
}

/* Errors of a group that `from` does not have, with these weights. error: NULL, or for each row. */
static ramify_status score_group(search *s, int group, double growth, double share, float *error,
                                 double *mean) {
    ramify_series_pass *p = s->pass;
    set_weights(p->plan, growth, s->weight);
    RAMIFY_TRY(ramify_series_weigh(s->from, p->plan->terms, share * s->mean, s->weight, s->to));
    p->problem = s->to;
    ramify_status status =
        ramify_series_pass_score(p, s->row[group], s->count[group], 0, error, mean);
    p->problem = s->from;
    return status;
}

static ramify_status attempt(search *s, double growth, double share) {
    double error;
    s->pass->late = s->pass->late || ramify_late(s->pass->deadline);
    if (s->pass->late)
        return RAMIFY_OK;
    RAMIFY_TRY(score_group(s, 1, growth, share, NULL, &error));
    if (error < s->best.error)
        s->best = (ramify_series_smoothness){.growth = growth, .share = share, .error = error};
    return RAMIFY_OK;
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

static int group_of(uint32_t row) {
    uint32_t eighth = ramify_series_lot(row) >> 29;
    return eighth < 2 ? (int)eighth : 1 + (int)eighth / 2;
}

/* Makes `from` the problem of all rows but those of the groups `first` to `last`. */
static ramify_status take_others(search *s, int first, int last) {
    ramify_least_squares_clear(s->from);
    for (int g = 0; g < GROUPS; g++)
        if (g < first || g > last)
            RAMIFY_TRY(ramify_series_pass_take(s->pass, s->row[g], s->count[g]));
    s->mean = mean_square(s->from, s->pass->plan->terms);
    return RAMIFY_OK;
}

/* Scores what was found by the rows that the search did not go by, and fits all rows, whose weights grow
 * as their number does. */
static ramify_status finish(search *s, size_t count, double *c) {
    ramify_series_pass *p = s->pass;
    const uint32_t terms = p->plan->terms;
    const ramify_series_smoothness at = s->best;
    double mean;
    size_t scored = s->count[0];
    int first = 0, last = 1; /* groups that `from` does not have */
    bool turns = 2.0 * (double)count * terms * terms < TURN_OPERATIONS;
    RAMIFY_TRY(score_group(s, 0, at.growth, at.share, s->error[0], &mean));
    double squares = mean * mean * (double)s->count[0];
    for (int g = 2; g < GROUPS && turns; g++) {
        if (s->count[g] == 0)
            continue;
        first = last = g;
        RAMIFY_TRY(take_others(s, g, g));
        RAMIFY_TRY(score_group(s, g, at.growth, at.share, s->error[g], &mean));
        squares += mean * mean * (double)s->count[g];
        scored += s->count[g];
    }
    s->best.error = sqrt(squares / (double)scored);
    for (int g = first; g <= last; g++)
        RAMIFY_TRY(ramify_series_pass_take(p, s->row[g], s->count[g]));
    s->best.ridge = at.share * mean_square(s->from, terms);
    set_weights(p->plan, at.growth, s->weight);
    RAMIFY_TRY(ramify_series_weigh(s->from, terms, s->best.ridge, s->weight, s->to));
    const uint32_t targets = p->data->targets, band = p->plan->band;
    double edge = 0;
    for (uint32_t o = 0; o < targets; o++) {
        double *own = c + (size_t)o * terms;
        ramify_least_squares_solve(s->to, terms, o, own);
        for (uint32_t t = p->plan->first[band > 0 ? band - 1 : 0]; t < terms; t++)
            edge += own[t] * own[t] / targets;
    }
    s->best.edge = sqrt(edge);
    return RAMIFY_OK;
}

static ramify_status run_search(search *s, size_t count, const ramify_series_smoothness *near,
                                double *c) {
    s->best = (ramify_series_smoothness){.error = INFINITY};
    if (s->count[0] == 0 || s->count[1] == 0 || s->count[0] + s->count[1] == count)
        return RAMIFY_OK; /* nothing to go by */
    RAMIFY_TRY(take_others(s, 0, 1));
    RAMIFY_TRY(near->growth > 0 ? look_near(s, near) : look_everywhere(s));
    if (isfinite(s->best.error) && !s->pass->late)
        RAMIFY_TRY(finish(s, count, c));
    if (s->pass->late)
        s->best.error = INFINITY;
    return RAMIFY_OK;
}

ramify_status ramify_series_smooth(ramify_series_pass *p, const uint32_t *row, size_t count,
                                   float *error, double *c, ramify_series_smoothness *found) {
    ramify_context *context = p->data->context;
    const uint32_t terms = p->plan->terms;
    uint32_t *rows = ramify_allocate(context, count, sizeof *rows);
    float *errors = ramify_allocate(context, count, sizeof *errors);
    search s = {.pass = p, .from = p->problem};
    s.weight = ramify_allocate(context, terms, sizeof *s.weight);
    ramify_status status =
        rows && errors && s.weight
            ? ramify_least_squares_create(context, p->data->kernels, terms, p->data->targets, &s.to)
            : RAMIFY_ERROR_MEMORY;
    size_t next[GROUPS] = {0};
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        s.count[group_of(row[i])]++;
        errors[i] = NAN;
    }
    for (size_t g = 0, first = 0; status == RAMIFY_OK && g < GROUPS; first += s.count[g++]) {
        s.row[g] = rows + first;
        s.error[g] = errors + first;
    }
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        int g = group_of(row[i]);
        s.row[g][next[g]++] = row[i];
    }
    p->at_once = p->left_out = true;
    p->terms = terms;
    p->bands = 1;
    if (status == RAMIFY_OK)
        status = run_search(&s, count, found, c);
    memset(next, 0, sizeof next);
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        int g = group_of(row[i]);
        error[i] = s.error[g][next[g]++];
    }
    *found = s.best;
    ramify_least_squares_destroy(&s.to);
    ramify_release(context, rows);
    ramify_release(context, errors);
    ramify_release(context, s.weight);
    return status;
}

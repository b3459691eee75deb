/* The road of a fit: try index sets and bands on some of the rows; take the best set, with twice the
 * terms of its best band, to all rows, and choose the band again; weigh coefficients where generalised
 * cross-validation says so; write the record. */

#include "series_fit.h"
#include "least_squares.h"
#include "memory.h"
#include "progress.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Rows of a trial, in the most terms that are tried: enough that leaving one out means something. */
#define TRIAL_ROWS 4
/* Rows that are scored at most; their mean has 1 % of noise. */
#define SCORED_ROWS 16384
/* Leverages above this leave nothing of a residual to divide. */
#define LEVERAGE_MOST (1 - 1e-9)
/* Of bands whose errors differ by less, the smallest is taken. */
#define TIE 1.01
/* Errors below this, of standardised targets, are rounding, and all the same. */
#define ROUNDING 4e-14
/* Where the residuals are smaller there is no noise to weigh against. */
#define NOISE_LEAST 1e-9
/* Weights of coefficients that are tried, in the mean squared column; then between the best two. */
#define RIDGES       13
#define RIDGE_LEAST  1e-12
#define RIDGE_FACTOR 10.0
/* By how much of itself cross-validation must fall for weights to be used. */
#define RIDGE_GAIN 0.002
/* Terms up to which they are tried: each takes as long as two fits to as many rows. */
#define RIDGE_TERMS 1536

#define ROWS      RAMIFY_LEAST_SQUARES_ROWS
#define TASK_ROWS 64
#define TASKS     (ROWS / TASK_ROWS)

/* A pass of rows through a plan of terms. */
typedef struct pass {
    const ramify_series_data *data;
    const ramify_series_wish *wish;
    const ramify_series_plan *plan;
    ramify_least_squares *problem;
    const uint32_t *row;
    size_t count;

    double *x;        /* ROWS x columns */
    double *y;        /* ROWS x targets: scaled, times the root of the weight */
    double *function; /* TASKS x functions */
    uint32_t taken;   /* rows in the block */

    /* Scores. */
    uint32_t terms;  /* that rows carry */
    uint32_t bands;  /* of these */
    double *sums;    /* TASKS x bands: of squared errors */
    uint32_t chosen; /* band whose errors are kept in `error` */
    float *error;    /* of the block's rows, or NULL */
} pass;

static void pass_clear(pass *p) {
    ramify_context *context = p->data->context;
    ramify_least_squares_destroy(&p->problem);
    ramify_release(context, p->x);
    ramify_release(context, p->y);
    ramify_release(context, p->function);
    ramify_release(context, p->sums);
}

static ramify_status pass_open(pass *p) {
    const ramify_series_data *data = p->data;
    ramify_context *context = data->context;
    p->x = ramify_allocate(context, ROWS, (size_t)data->columns * sizeof *p->x);
    p->y = ramify_allocate(context, ROWS, data->targets * sizeof *p->y);
    p->function =
        ramify_allocate(context, TASKS, ((size_t)p->plan->functions + 1) * sizeof *p->function);
    p->sums = ramify_allocate(context, TASKS, ((size_t)p->plan->band + 1) * sizeof *p->sums);
    if (!p->x || !p->y || !p->function || !p->sums)
        return RAMIFY_ERROR_MEMORY;
    return ramify_least_squares_create(context, data->kernels, p->plan->terms, data->targets,
                                       &p->problem);
}

static double weight_of(const ramify_series_data *data, uint32_t row) {
    return data->weight ? sqrt(ramify_column_value(data->weight, row)) : 1;
}

/* Task: terms and targets of a part of the block's rows. */
static ramify_status fill_rows(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    pass *p = argument;
    const ramify_series_data *data = p->data;
    ramify_least_squares *problem = p->problem;
    double *function = p->function + task * ((size_t)p->plan->functions + 1);
    size_t end = ramify_smaller((task + 1) * TASK_ROWS, p->taken);
    for (size_t i = task * TASK_ROWS; i < end; i++) {
        double *at = problem->block + i * problem->ld;
        double weight = weight_of(data, p->row[i]);
        ramify_series_terms(p->plan, p->wish->axis, p->x + i * data->columns, function, at);
        for (uint32_t t = 0; weight != 1 && t < p->plan->terms; t++)
            at[t] *= weight;
        for (uint32_t o = 0; o < data->targets; o++) {
            double y = ramify_match_target(data->match, o, p->row[i]);
            at[p->plan->terms + o] = p->y[i * data->targets + o] =
                weight * (y - data->head_center[o]) / data->head_scale[o];
        }
    }
    return RAMIFY_OK;
}

/* Brings the next rows into the block; p->row moves on. */
static ramify_status fill_block(pass *p, size_t left) {
    p->taken = (uint32_t)ramify_smaller(left, ROWS);
    ramify_match_rows(p->data->match, p->row, 0, p->taken, p->x);
    return ramify_parallel(p->data->context, (p->taken + TASK_ROWS - 1) / TASK_ROWS, fill_rows, p);
}

static ramify_status take_rows(pass *p, const uint32_t *row, size_t count) {
    p->row = row;
    for (size_t left = count; left > 0; left -= p->taken, p->row += p->taken) {
        RAMIFY_TRY(fill_block(p, left));
        RAMIFY_TRY(ramify_least_squares_take(p->problem, p->taken));
        if (ramify_cancelled(p->data->context))
            return RAMIFY_STOPPED;
    }
    return RAMIFY_OK;
}

/* Task: errors of the block's rows left out, for every band. The block holds rows of Q. */
static ramify_status score_rows(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    pass *p = argument;
    const ramify_least_squares *problem = p->problem;
    const uint32_t targets = p->data->targets;
    double *sums = p->sums + task * ((size_t)p->plan->band + 1);
    size_t end = ramify_smaller((task + 1) * TASK_ROWS, p->taken);
    for (uint32_t b = 0; b < p->bands; b++)
        sums[b] = 0;
    for (size_t i = task * TASK_ROWS; i < end; i++) {
        const double *z = problem->block + i * problem->ld;
        double *left = p->y + i * targets, leverage = 0;
        uint32_t t = 0;
        for (uint32_t b = 0; b < p->bands; b++) {
            for (; t < p->plan->first[b + 1]; t++) {
                leverage += z[t] * z[t];
                for (uint32_t o = 0; o < targets; o++)
                    left[o] -= z[t] * ramify_least_squares_projection(problem, t, o);
            }
            double square = 0, factor = 1 / (1 - leverage);
            for (uint32_t o = 0; o < targets; o++)
                square += left[o] * left[o];
            square *= factor * factor / targets;
            if (!(leverage < LEVERAGE_MOST))
                square = INFINITY;
            sums[b] += square;
            if (b == p->chosen && p->error)
                p->error[i] = (float)square;
        }
    }
    return RAMIFY_OK;
}

/* Whether a row is among those that are scored of `count`: the fewer there are, the more of them, and
 * those of many are among those of few. Multiples of the golden ratio spread evenly (Knuth). */
static bool is_scored(uint32_t row, size_t count) {
    return (uint32_t)(row * UINT32_C(2654435769)) <=
           (double)UINT32_MAX * SCORED_ROWS / (double)count;
}

/* Scores a part of the rows; error[count], or NULL, is NaN for the others. */
static ramify_status score(pass *p, const uint32_t *row, size_t count, uint32_t chosen,
                           float *error, double *band_error) {
    ramify_context *context = p->data->context;
    size_t scored = 0;
    uint32_t *some = ramify_allocate(context, count, sizeof *some);
    uint32_t *place = ramify_allocate(context, count, sizeof *place);
    float *kept = ramify_allocate(context, ROWS, sizeof *kept);
    ramify_status status = some && place && kept ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        if (error)
            error[i] = NAN;
        if (is_scored(row[i], count)) {
            place[scored] = (uint32_t)i;
            some[scored++] = row[i];
        }
    }
    for (uint32_t b = 0; b < p->bands; b++)
        band_error[b] = 0;
    p->row = some;
    p->chosen = chosen;
    p->error = error ? kept : NULL;
    for (size_t done = 0; status == RAMIFY_OK && done < scored; done += p->taken) {
        status = fill_block(p, scored - done);
        if (status == RAMIFY_OK)
            status = ramify_least_squares_orthonormal(p->problem, p->terms, p->taken);
        size_t tasks = (p->taken + TASK_ROWS - 1) / TASK_ROWS;
        if (status == RAMIFY_OK)
            status = ramify_parallel(context, tasks, score_rows, p);
        for (size_t task = 0; status == RAMIFY_OK && task < tasks; task++)
            for (uint32_t b = 0; b < p->bands; b++)
                band_error[b] += p->sums[task * ((size_t)p->plan->band + 1) + b];
        for (size_t i = 0; status == RAMIFY_OK && error && i < p->taken; i++)
            error[place[done + i]] = kept[i];
        p->row += p->taken;
        if (status == RAMIFY_OK && ramify_cancelled(context))
            status = RAMIFY_STOPPED;
    }
    for (uint32_t b = 0; b < p->bands; b++)
        band_error[b] = sqrt(band_error[b] / (double)scored);
    ramify_release(context, some);
    ramify_release(context, place);
    ramify_release(context, kept);
    return status;
}

/* The smallest band that is as good as the best. */
static uint32_t best_band(const double *error, uint32_t bands) {
    double least = INFINITY;
    for (uint32_t b = 0; b < bands; b++)
        least = error[b] < least ? error[b] : least;
    for (uint32_t b = 0; b < bands; b++)
        if (error[b] <= TIE * least || error[b] <= ROUNDING)
            return b;
    return 0;
}

/* The largest band of at most so many terms. */
static uint32_t band_of(ramify_index_set set, uint32_t axes, const unsigned char *pairs,
                        uint64_t terms) {
    uint32_t low = 0, high = axes > 0 ? RAMIFY_SERIES_BAND_MAX : 0;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (ramify_series_count(set, middle, axes, pairs) <= terms)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* How many bands rows carry: all whose columns are independent. */
static void count_bands(pass *p) {
    uint32_t rank = ramify_least_squares_rank(p->problem);
    p->bands = 0;
    while (p->bands <= p->plan->band && p->plan->first[p->bands + 1] <= rank)
        p->bands++;
    p->terms = p->bands > 0 ? p->plan->first[p->bands] : 0;
}

/* ---- trial of bands ---- */

typedef struct trial {
    uint32_t band; /* the best, where any was carried */
    double error;
} trial;

/* Errors of all bands up to `band` on some rows. */
static ramify_status try_bands(const ramify_series_data *data, const ramify_series_wish *wish,
                               const unsigned char *pairs, ramify_index_set set, uint32_t band,
                               const uint32_t *row, size_t count, trial *result) {
    ramify_context *context = data->context;
    ramify_series_plan *plan = NULL;
    RAMIFY_TRY(ramify_series_plan_create(context, set, band, wish->axes, pairs, &plan));
    pass p = {.data = data, .wish = wish, .plan = plan};
    double *error = ramify_allocate(context, (size_t)band + 1, sizeof *error);
    ramify_status status = error ? pass_open(&p) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = take_rows(&p, row, count);
    *result = (trial){.error = INFINITY};
    if (status == RAMIFY_OK) {
        count_bands(&p);
        if (p.bands > 0)
            status = score(&p, row, count, 0, NULL, error);
        if (status == RAMIFY_OK && p.bands > 0) {
            result->band = best_band(error, p.bands);
            result->error = error[result->band];
        }
    }
    pass_clear(&p);
    ramify_release(context, error);
    ramify_series_plan_destroy(context, &plan);
    return status;
}

/* Chooses the set, and a band above which nothing is to be looked for. */
static ramify_status choose_set(const ramify_series_data *data, const ramify_series_wish *wish,
                                const unsigned char *pairs, const uint32_t *row, size_t count,
                                ramify_index_set *set, uint32_t *band) {
    ramify_context *context = data->context;
    size_t most = ramify_smaller(wish->most_terms, count > 1 ? count - 1 : 1);
    size_t some = ramify_smaller(count, TRIAL_ROWS * most);
    uint32_t *part = ramify_allocate(context, some, sizeof *part);
    if (!part)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < some; i++)
        part[i] = row[i * count / some];
    static const ramify_index_set sets[] = {RAMIFY_SET_TOTAL, RAMIFY_SET_CROSS, RAMIFY_SET_LARGEST};
    trial best = {.error = INFINITY};
    ramify_status status = RAMIFY_OK;
    *set = wish->set >= 0 ? (ramify_index_set)wish->set : RAMIFY_SET_TOTAL;
    for (size_t s = 0; s < 3 && status == RAMIFY_OK; s++) {
        bool asked =
            wish->set >= 0 ? sets[s] == (ramify_index_set)wish->set : s == 0 || wish->axes > 1;
        if (!asked)
            continue;
        trial found;
        uint32_t highest = band_of(sets[s], wish->axes, pairs, most);
        status = try_bands(data, wish, pairs, sets[s], highest, part, some, &found);
        if (status == RAMIFY_OK && found.error < best.error) {
            best = found;
            *set = sets[s];
        }
    }
    uint64_t terms = ramify_series_count(*set, best.band, wish->axes, pairs);
    *band = some == count ? best.band
                          : band_of(*set, wish->axes, pairs, ramify_smaller(2 * terms, most));
    if (*band < best.band)
        *band = best.band;
    ramify_release(context, part);
    return status;
}

/* ---- weights of coefficients ---- */

/* A problem with the first terms of another and `lambda` times the square of every coefficient but the
 * constant's. */
static ramify_status weigh(const ramify_least_squares *from, uint32_t terms, double lambda,
                           ramify_least_squares *to) {
    ramify_least_squares_clear(to);
    for (uint32_t t = 0; t < terms; t++)
        for (uint32_t c = t; c < to->ld; c++)
            to->r[t * to->ld + c] = c < terms ? from->r[t * from->ld + c]
                                    : c < terms + from->outputs
                                        ? from->r[t * from->ld + from->terms + c - terms]
                                        : 0;
    to->rows = terms;
    for (uint32_t first = 1; first < terms; first += ROWS) {
        uint32_t count = (uint32_t)ramify_smaller(ROWS, terms - first);
        memset(to->block, 0, (size_t)count * to->ld * sizeof *to->block);
        for (uint32_t i = 0; i < count; i++)
            to->block[i * to->ld + first + i] = sqrt(lambda);
        RAMIFY_TRY(ramify_least_squares_take(to, count));
    }
    return RAMIFY_OK;
}

/* Generalised cross-validation (Golub, Heath and Wahba 1979): rows x residuals / (rows - trace H)^2.
 * H = A (A^T A + lambda D)^-1 A^T, and with the problem's new R the trace is terms - lambda |D R^-1|^2,
 * D without the constant. */
static ramify_status cross_validate(const ramify_least_squares *from, uint32_t terms, double lambda,
                                    ramify_least_squares *to, double *c, double *value) {
    RAMIFY_TRY(weigh(from, terms, lambda, to));
    double lost = 0, squares = 0;
    for (uint32_t first = 1; first < terms; first += ROWS) {
        uint32_t count = (uint32_t)ramify_smaller(ROWS, terms - first);
        memset(to->block, 0, (size_t)count * to->ld * sizeof *to->block);
        for (uint32_t i = 0; i < count; i++)
            to->block[i * to->ld + first + i] = 1;
        RAMIFY_TRY(ramify_least_squares_orthonormal(to, terms, count));
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t t = 0; t < terms; t++)
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

/* The weight that cross-validation likes best, or 0. Terms are at most RIDGE_TERMS. */
static ramify_status choose_ridge(const ramify_least_squares *from, uint32_t terms,
                                  ramify_least_squares *to, double *c, double *ridge) {
    double mean = 0, least, value, tried[RIDGES];
    uint32_t best = 0;
    for (uint32_t t = 0; t < terms; t++)
        for (uint32_t i = 0; i <= t; i++)
            mean += from->r[i * from->ld + t] * from->r[i * from->ld + t] / terms;
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
    for (int side = -1; side <= 1; side += 2) {
        double other = lambda * pow(RIDGE_FACTOR, side / 3.0);
        RAMIFY_TRY(cross_validate(from, terms, other, to, c, &value));
        if (value < least) {
            least = value;
            kept = other;
        }
    }
    if (least < (1 - RIDGE_GAIN) * none)
        *ridge = kept;
    return RAMIFY_OK;
}

/* ---- the fit ---- */

/* Makes the record of band `band` from coefficients c[targets x terms] in the order of `plan`, whose
 * band may be larger. */
static ramify_status write_record(const pass *p, const unsigned char *pairs, uint32_t band,
                                  const double *c, ramify_series_fit *fit) {
    const ramify_series_wish *wish = p->wish;
    const ramify_series_plan *plan = p->plan;
    ramify_context *context = p->data->context;
    uint32_t terms = plan->first[band + 1], targets = p->data->targets;
    uint64_t bytes = ramify_series_bytes(wish->axes, targets, terms, wish->bytes);
    if (bytes > RAMIFY_SERIES_BYTES_MAX)
        return ramify_fail(
            context, RAMIFY_ERROR_LIMIT,
            "a series of %u terms and %u targets takes %llu bytes, %llu are the most: "
            "use a smaller band",
            terms, targets, (unsigned long long)bytes, (unsigned long long)RAMIFY_SERIES_BYTES_MAX);
    ramify_series_header *header = ramify_allocate_zeroed(context, (size_t)bytes, 1);
    uint32_t *rank = ramify_allocate_zeroed(context, plan->terms, sizeof *rank);
    if (!header || !rank) {
        ramify_release(context, header);
        ramify_release(context, rank);
        return RAMIFY_ERROR_MEMORY;
    }
    *header = (ramify_series_header){.set = fit->report.set,
                                     .band = band,
                                     .axes = wish->axes,
                                     .outputs = targets,
                                     .terms = terms,
                                     .bytes = wish->bytes,
                                     .refuses = wish->refuses};
    memcpy(header + 1, wish->axis, wish->axes * sizeof *wish->axis);
    /* Places count the terms of the whole plan; those of this band keep their order among them. */
    for (uint32_t t = 0; t < terms; t++)
        rank[plan->place[t]] = 1;
    for (uint32_t i = 0, next = 0; i < plan->terms; i++)
        rank[i] = rank[i] ? next++ : 0;
    for (uint32_t o = 0; o < targets; o++) {
        void *at = (void *)ramify_series_coefficients(header, o);
        for (uint32_t t = 0; t < terms; t++) {
            double value = c[(size_t)o * terms + t];
            if (wish->bytes == 8)
                ((double *)at)[rank[plan->place[t]]] = value;
            else
                ((float *)at)[rank[plan->place[t]]] = (float)value;
        }
    }
    ramify_release(context, rank);
    fit->record = header;
    fit->record_bytes = (size_t)bytes;
    fit->functions = (uint32_t)ramify_series_functions(band, wish->axes, pairs);
    return RAMIFY_OK;
}

/* More terms than rows, or than rows tell apart: the smallest solution. */
static ramify_status solve_least_norm(pass *p, const uint32_t *row, size_t count, double *c) {
    ramify_context *context = p->data->context;
    uint32_t terms = p->plan->terms, targets = p->data->targets;
    double *a = ramify_allocate(context, count, terms * sizeof *a);
    double *y = ramify_allocate(context, count, targets * sizeof *y);
    ramify_status status = a && y ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    p->row = row;
    for (size_t done = 0; status == RAMIFY_OK && done < count; done += p->taken) {
        status = fill_block(p, count - done);
        for (size_t i = 0; status == RAMIFY_OK && i < p->taken; i++)
            memcpy(a + (done + i) * terms, p->problem->block + i * p->problem->ld,
                   terms * sizeof *a);
        if (status == RAMIFY_OK)
            memcpy(y + done * targets, p->y, (size_t)p->taken * targets * sizeof *y);
        p->row += p->taken;
    }
    if (status == RAMIFY_OK)
        status = ramify_least_norm(context, p->data->kernels, (uint32_t)count, terms, targets, a,
                                   terms, y, c);
    ramify_release(context, a);
    ramify_release(context, y);
    return status;
}

/* Noise, weights and coefficients of the chosen band. */
static ramify_status solve(pass *p, uint32_t terms, double *c, ramify_series_report *report) {
    ramify_least_squares *from = p->problem, *to = NULL;
    double left = 0;
    for (uint32_t o = 0; o < p->data->targets; o++)
        left += ramify_least_squares_left(from, terms, o) / p->data->targets;
    report->noise = from->rows > terms ? sqrt(left / (double)(from->rows - terms)) : NAN;
    report->ridge = p->wish->ridge > 0 ? p->wish->ridge * (double)from->rows : 0;
    bool choose =
        p->wish->ridge < 0 && terms > 1 && terms <= RIDGE_TERMS && report->noise > NOISE_LEAST;
    ramify_status status = RAMIFY_OK;
    if (choose || report->ridge > 0)
        status = ramify_least_squares_create(p->data->context, p->data->kernels, terms,
                                             p->data->targets, &to);
    if (status == RAMIFY_OK && choose)
        status = choose_ridge(from, terms, to, c, &report->ridge);
    if (status == RAMIFY_OK && report->ridge > 0)
        status = weigh(from, terms, report->ridge, to);
    for (uint32_t o = 0; status == RAMIFY_OK && o < p->data->targets; o++)
        ramify_least_squares_solve(report->ridge > 0 ? to : from, terms, o, c + (size_t)o * terms);
    report->ridge /= (double)from->rows;
    ramify_least_squares_destroy(&to);
    return status;
}

/* Fits bands up to the plan's and takes the best, or the one asked for. */
static ramify_status fit_plan(pass *p, const unsigned char *pairs, const uint32_t *row,
                              size_t count, float *error, ramify_series_fit *fit) {
    ramify_context *context = p->data->context;
    ramify_series_report *report = &fit->report;
    uint32_t band = p->plan->band;
    double *c = ramify_allocate_zeroed(context, p->plan->terms, p->data->targets * sizeof *c);
    report->band_error = ramify_allocate(context, (size_t)band + 1, sizeof *report->band_error);
    report->band_terms = ramify_allocate(context, (size_t)band + 1, sizeof *report->band_terms);
    ramify_status status =
        c && report->band_error && report->band_terms ? pass_open(p) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = take_rows(p, row, count);
    if (status == RAMIFY_OK) {
        report->bands = band + 1;
        for (uint32_t b = 0; b <= band; b++) {
            report->band_error[b] = INFINITY;
            report->band_terms[b] = p->plan->first[b + 1];
        }
        for (size_t i = 0; error && i < count; i++)
            error[i] = INFINITY;
        count_bands(p);
        uint32_t carried = p->bands;
        report->least_norm = carried == 0 || (p->wish->band >= 0 && carried <= band);
        if (carried > 0)
            status = score(p, row, count, 0, NULL, report->band_error);
        report->band = p->wish->band >= 0 ? band : best_band(report->band_error, carried);
        report->terms = p->plan->first[report->band + 1];
        report->rows = count;
        report->error = report->band_error[report->band];
        report->noise = NAN;
        if (status == RAMIFY_OK && error && report->band < carried)
            status = score(p, row, count, report->band, error, report->band_error);
    }
    if (status == RAMIFY_OK)
        status = report->least_norm ? solve_least_norm(p, row, count, c)
                                    : solve(p, report->terms, c, report);
    if (status == RAMIFY_OK)
        status = write_record(p, pairs, report->band, c, fit);
    ramify_release(context, c);
    return status;
}

ramify_status ramify_series_fit_rows(const ramify_series_data *data, const ramify_series_wish *wish,
                                     const uint32_t *row, size_t count, float *error,
                                     ramify_series_fit **fit) {
    ramify_context *context = data->context;
    unsigned char pairs[RAMIFY_SERIES_AXES_MAX];
    *fit = NULL;
    if (wish->axes > RAMIFY_SERIES_AXES_MAX)
        return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                           "a series of %u columns: up to %d can be fitted (leave out columns with "
                           "--drop)",
                           wish->axes, RAMIFY_SERIES_AXES_MAX);
    for (uint32_t a = 0; a < wish->axes; a++)
        pairs[a] = (unsigned char)ramify_basis_pairs(wish->axis[a].basis);
    ramify_series_fit *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    ramify_index_set set = wish->set >= 0 ? (ramify_index_set)wish->set : RAMIFY_SET_TOTAL;
    uint32_t band = wish->axes > 0 && wish->band > 0 ? (uint32_t)wish->band : 0;
    ramify_series_plan *plan = NULL;
    ramify_status status = RAMIFY_OK;
    if (wish->band < 0 && wish->axes > 0)
        status = choose_set(data, wish, pairs, row, count, &set, &band);
    if (status == RAMIFY_OK)
        status = ramify_series_plan_create(context, set, band, wish->axes, pairs, &plan);
    made->report.set = set;
    pass p = {.data = data, .wish = wish, .plan = plan};
    if (status == RAMIFY_OK)
        status = fit_plan(&p, pairs, row, count, error, made);
    pass_clear(&p);
    ramify_series_plan_destroy(context, &plan);
    if (status == RAMIFY_OK)
        *fit = made;
    else
        ramify_series_fit_destroy(context, &made);
    return status;
}

void ramify_series_fit_destroy(ramify_context *context, ramify_series_fit **fit) {
    if (!*fit)
        return;
    ramify_release(context, (*fit)->record);
    ramify_release(context, (*fit)->report.band_error);
    ramify_release(context, (*fit)->report.band_terms);
    ramify_release(context, *fit);
    *fit = NULL;
}

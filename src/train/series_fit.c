/* The road of a fit: try index sets and bands on some of the rows; take the best set, with twice the
 * terms of its best band, to all rows, and choose the band again; weigh coefficients where generalised
 * cross-validation says so; write the record. */

#include "series_fit.h"
#include "memory.h"
#include "paired.h"
#include "progress.h"
#include "series_ridge.h"
#include "status.h"

#include <math.h>
#include <string.h>

/* Terms up to which index sets are compared, and rows for it, in these terms: enough that leaving one out
 * means something. */
#define TRIAL_TERMS 1024
#define TRIAL_ROWS  4
/* Of bands whose errors differ by a smaller share, the smallest is taken. */
#define TIE 0.01
/* Errors below this, of standardised targets, are rounding, and all the same. */
#define ROUNDING 4e-14
/* Where the residuals are smaller there is no noise to weigh against. */
#define NOISE_LEAST 1e-9
/* Terms up to which weights are tried: each takes as long as two fits to as many rows. */
#define RIDGE_TERMS 1024
/* With more rows than this times the terms, noise moves coefficients too little for weights to gain. */
#define RIDGE_ROWS 8
/* Terms that are fitted for smoothness first, before all there may be; and rows up to which, in the
 * latter: with many more than terms, rows alone make a fit smooth. */
#define SMOOTH_TERMS 1024
#define SMOOTH_ROWS  4
/* Fewer rows say nothing of smoothness, and errors below this need none. */
#define SMOOTH_ROWS_LEAST 64
#define SMOOTH_ERROR      1e-11
/* Nor more terms than this times the rows. */
#define SMOOTH_SHARE 4
/* Bands beyond the few's are of no use where the last of them add less than this share of the error. */
#define SMOOTH_EDGE 0.5
/* By how much of itself the mean squared error must fall for smoothness to be used, on how many rows at
 * least, and above how many times a mean a square is cut off there. */
#define SMOOTH_GAIN  0.1
#define SMOOTH_PAIRS 8
#define CAP          100.0

/* The smallest band that is as good as the best, by the errors of so many rows: the root of a mean of n
 * squares is uncertain by 1 / sqrt(2n) of itself. */
static uint32_t best_band(const double *error, uint32_t bands, size_t rows) {
    const double tie = 1 + fmax(TIE, 1 / sqrt(2 * (double)rows));
    double least = INFINITY;
    for (uint32_t b = 0; b < bands; b++)
        least = error[b] < least ? error[b] : least;
    for (uint32_t b = 0; b < bands; b++)
        if (error[b] <= tie * least || error[b] <= ROUNDING)
            return b;
    return 0;
}

/* Whether a series of this band is within all bounds, and has at most so many terms. */
static bool is_allowed(const ramify_series_data *data, const ramify_series_wish *wish,
                       const unsigned char *pairs, ramify_index_set set, uint32_t band,
                       uint64_t most) {
    uint64_t terms = ramify_series_count(set, band, wish->axes, pairs, most);
    if (terms > most)
        return false;
    const ramify_series_shape shape = {
        .most_functions = (uint32_t)ramify_series_functions(band, wish->axes, pairs)};
    uint64_t record = ramify_series_bytes(wish->axes, data->targets, terms, wish->bytes);
    uint64_t scratch = ramify_series_scratch(&shape, false);
    return (wish->most_record == 0 || record <= wish->most_record) &&
           (wish->most_scratch == 0 || scratch <= wish->most_scratch) &&
           (wish->most_both == 0 || record + scratch <= wish->most_both);
}

/* The largest such band. */
static uint32_t band_of(const ramify_series_data *data, const ramify_series_wish *wish,
                        const unsigned char *pairs, ramify_index_set set, uint64_t most) {
    uint32_t low = 0, high = wish->axes > 0 ? RAMIFY_SERIES_BAND_MAX : 0;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (is_allowed(data, wish, pairs, set, middle, most))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* ---- trial of bands ---- */

typedef struct trial {
    uint32_t band; /* the best, where any was carried */
    double error;
} trial;

/* Errors of all bands up to `band` on some rows; infinite where the deadline (0: none) passes. */
static ramify_status try_bands(const ramify_series_data *data, const ramify_series_wish *wish,
                               const unsigned char *pairs, ramify_index_set set, uint32_t band,
                               const uint32_t *row, size_t count, double deadline, trial *result) {
    ramify_context *context = data->context;
    ramify_series_plan *plan = NULL;
    RAMIFY_TRY(ramify_series_plan_create(context, set, band, wish->axes, pairs, &plan));
    ramify_series_pass p = {.data = data, .axis = wish->axis, .plan = plan, .deadline = deadline};
    double *error = ramify_allocate(context, (size_t)band + 1, sizeof *error);
    ramify_status status = error ? ramify_series_pass_open(&p) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_series_pass_take(&p, row, count);
    *result = (trial){.error = INFINITY};
    if (status == RAMIFY_OK && !p.late) {
        ramify_series_pass_carried(&p);
        if (p.bands > 0)
            status = ramify_series_pass_score(&p, row, count, 0, NULL, error);
        if (status == RAMIFY_OK && p.bands > 0) {
            result->band = best_band(error, p.bands, count);
            result->error = error[result->band];
        }
    }
    ramify_series_pass_clear(&p);
    ramify_release(context, error);
    ramify_series_plan_destroy(context, &plan);
    return status;
}

/* Terms of a trial of bands, at most. */
static size_t trial_terms(const ramify_series_wish *wish, size_t rows) {
    size_t most = ramify_smaller(wish->most_terms, TRIAL_TERMS);
    return ramify_smaller(most, rows > 1 ? rows - 1 : 1);
}

/* Its rows: of `count`, part[*some] evenly spread; NULL when out of memory. Release it. */
static uint32_t *some_rows(const ramify_series_data *data, const ramify_series_wish *wish,
                           const uint32_t *row, size_t count, size_t *some) {
    const size_t most = trial_terms(wish, count);
    *some = ramify_smaller(count, TRIAL_ROWS * most);
    uint32_t *part = ramify_allocate(data->context, *some, sizeof *part);
    for (size_t i = 0; part && i < *some; i++)
        part[i] = row[i * count / *some];
    return part;
}

/* Chooses the set, and a band above which nothing is to be looked for. */
static ramify_status choose_set(const ramify_series_data *data, const ramify_series_wish *wish,
                                const unsigned char *pairs, const uint32_t *row, size_t count,
                                ramify_index_set *set, uint32_t *band) {
    ramify_context *context = data->context;
    size_t worth = ramify_smaller(wish->most_terms, count > 1 ? count - 1 : 1);
    size_t most = trial_terms(wish, count);
    size_t some;
    uint32_t *part = some_rows(data, wish, row, count, &some);
    if (!part)
        return RAMIFY_ERROR_MEMORY;
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
        uint32_t highest = band_of(data, wish, pairs, sets[s], most);
        /* One is tried in any case. */
        double deadline = isfinite(best.error) || !wish->insists ? wish->deadline : 0;
        status = try_bands(data, wish, pairs, sets[s], highest, part, some, deadline, &found);
        if (status == RAMIFY_OK && found.error < best.error) {
            best = found;
            *set = sets[s];
        }
    }
    /* On all rows more bands may be of use, and where these were all they are told with the rest. */
    size_t terms = 2 * (size_t)ramify_series_count(*set, best.band, wish->axes, pairs, most);
    if (some == count && terms < most)
        terms = most;
    *band = band_of(data, wish, pairs, *set, ramify_smaller(terms, worth));
    if (*band < best.band)
        *band = best.band;
    ramify_release(context, part);
    return status;
}

/* ---- the fit ---- */

/* Makes the record of band `band` from coefficients c[targets x terms] in the order of `plan`, whose
 * band may be larger. */
static ramify_status write_record(const ramify_series_pass *p, const ramify_series_wish *wish,
                                  const unsigned char *pairs, uint32_t band, const double *c,
                                  ramify_series_fit *fit) {
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
static ramify_status solve_least_norm(ramify_series_pass *p, const uint32_t *row, size_t count,
                                      double *c) {
    ramify_context *context = p->data->context;
    uint32_t terms = p->plan->terms, targets = p->data->targets;
    double *a = ramify_allocate(context, count, terms * sizeof *a);
    double *y = ramify_allocate(context, count, targets * sizeof *y);
    ramify_status status = a && y ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    p->row = row;
    for (size_t done = 0; status == RAMIFY_OK && done < count; done += p->taken) {
        status = ramify_series_pass_fill(p, count - done);
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
static ramify_status solve(const ramify_series_pass *p, const ramify_series_wish *wish,
                           uint32_t terms, double *c, ramify_series_report *report) {
    ramify_least_squares *from = p->problem, *to = NULL;
    double left = 0;
    for (uint32_t o = 0; o < p->data->targets; o++)
        left += ramify_least_squares_left(from, terms, o) / p->data->targets;
    report->noise = from->rows > terms ? sqrt(left / (double)(from->rows - terms)) : NAN;
    report->ridge = wish->ridge > 0 ? wish->ridge * (double)from->rows : 0;
    bool choose = wish->ridge < 0 && terms > 1 && terms <= RIDGE_TERMS &&
                  RIDGE_ROWS * (uint64_t)terms > from->rows && report->noise > NOISE_LEAST &&
                  !ramify_late(wish->deadline);
    ramify_status status = RAMIFY_OK;
    if (choose || report->ridge > 0)
        status = ramify_least_squares_create(p->data->context, p->data->kernels, terms,
                                             p->data->targets, &to);
    if (status == RAMIFY_OK && choose)
        status = ramify_series_choose_ridge(from, terms, wish->deadline, to, c, &report->ridge);
    if (status == RAMIFY_OK && report->ridge > 0)
        status = ramify_series_weigh(from, terms, report->ridge, NULL, to);
    for (uint32_t o = 0; status == RAMIFY_OK && o < p->data->targets; o++)
        ramify_least_squares_solve(report->ridge > 0 ? to : from, terms, o, c + (size_t)o * terms);
    report->ridge /= (double)from->rows;
    ramify_least_squares_destroy(&to);
    return status;
}

/* Fits bands up to the plan's and takes the best, or the one asked for; none where the pass is late. */
static ramify_status fit_plan(ramify_series_pass *p, const ramify_series_wish *wish,
                              const unsigned char *pairs, const uint32_t *row, size_t count,
                              float *error, ramify_series_fit *fit) {
    ramify_context *context = p->data->context;
    ramify_series_report *report = &fit->report;
    uint32_t band = p->plan->band;
    double *c = ramify_allocate_zeroed(context, p->plan->terms, p->data->targets * sizeof *c);
    report->band_error = ramify_allocate(context, (size_t)band + 1, sizeof *report->band_error);
    report->band_terms = ramify_allocate(context, (size_t)band + 1, sizeof *report->band_terms);
    ramify_status status = c && report->band_error && report->band_terms
                               ? ramify_series_pass_open(p)
                               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_series_pass_take(p, row, count);
    if (status == RAMIFY_OK && !p->late) {
        report->bands = band + 1;
        for (uint32_t b = 0; b <= band; b++) {
            report->band_error[b] = INFINITY;
            report->band_terms[b] = p->plan->first[b + 1];
        }
        for (size_t i = 0; i < count; i++)
            error[i] = INFINITY;
        ramify_series_pass_carried(p);
        uint32_t carried = p->bands;
        report->least_norm = carried == 0 || (wish->band >= 0 && carried <= band);
        if (carried > 0)
            status = ramify_series_pass_score(p, row, count, 0, NULL, report->band_error);
        report->band = wish->band >= 0 ? band : best_band(report->band_error, carried, count);
        report->terms = p->plan->first[report->band + 1];
        report->bands_set = report->set;
        report->bands_best = report->band;
        report->rows = count;
        report->error = report->band_error[report->band];
        report->noise = NAN;
        if (status == RAMIFY_OK && report->band < carried) {
            p->bands = report->band + 1;
            p->terms = report->terms;
            status =
                ramify_series_pass_score(p, row, count, report->band, error, report->band_error);
        }
    }
    if (status == RAMIFY_OK && !p->late)
        status = report->least_norm ? solve_least_norm(p, row, count, c)
                                    : solve(p, wish, report->terms, c, report);
    if (status == RAMIFY_OK && !p->late)
        status = write_record(p, wish, pairs, report->band, c, fit);
    ramify_release(context, c);
    return status;
}

/* The same past the deadline, with as many rows as a trial takes. */
static ramify_status fit_some(ramify_series_pass *p, const ramify_series_wish *wish,
                              const unsigned char *pairs, const uint32_t *row, size_t count,
                              float *error, ramify_series_fit *fit) {
    ramify_context *context = p->data->context;
    size_t some;
    uint32_t *part = some_rows(p->data, wish, row, count, &some);
    float *theirs = ramify_allocate(context, some, sizeof *theirs);
    ramify_series_pass_clear(p);
    *p = (ramify_series_pass){.data = p->data, .axis = p->axis, .plan = p->plan};
    ramify_release(context, fit->report.band_error);
    ramify_release(context, fit->report.band_terms);
    fit->report.band_error = NULL;
    fit->report.band_terms = NULL;
    ramify_status status = part && theirs ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = fit_plan(p, wish, pairs, part, some, theirs, fit);
    for (size_t i = 0; i < count; i++)
        error[i] = (float)NAN;
    for (size_t i = 0; status == RAMIFY_OK && i < some; i++)
        error[i * count / some] = theirs[i];
    ramify_release(context, part);
    ramify_release(context, theirs);
    return status;
}

/* Whether the squares now[count] are smaller than was[count] by more than chance, over rows that have
 * both: by a standard error of the pairs, none of which counts for more than CAP times the mean of
 * smaller ones. */
static bool is_smaller(const float *was, const float *now, size_t count) {
    double before = 0, after = 0;
    size_t both = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(was[i]) && !isnan(now[i])) {
            before += (double)was[i];
            after += (double)now[i];
            both++;
        }
    if (both < SMOOTH_PAIRS || !(after < (1 - SMOOTH_GAIN) * before))
        return false;
    const double most = CAP * fmin(before, after) / (double)both;
    ramify_paired pairs = {0};
    for (size_t i = 0; i < count; i++)
        ramify_paired_add(&pairs, (double)was[i], (double)now[i], most);
    return ramify_paired_wins(&pairs, 1, 0);
}

/* Fits `band` for smoothness, beginning the search at `near`, and puts the fit in the place of one that
 * is worse. error: of that one, and then of this. near: then what was found. */
static ramify_status try_band(const ramify_series_data *data, const ramify_series_wish *wish,
                              const unsigned char *pairs, ramify_index_set set, uint32_t band,
                              const uint32_t *row, size_t count, float *error,
                              ramify_series_smoothness *near, ramify_series_fit *fit) {
    ramify_context *context = data->context;
    ramify_series_report *report = &fit->report;
    ramify_series_plan *plan = NULL;
    RAMIFY_TRY(ramify_series_plan_create(context, set, band, wish->axes, pairs, &plan));
    ramify_series_pass p = {
        .data = data, .axis = wish->axis, .plan = plan, .deadline = wish->deadline};
    double *c = ramify_allocate_zeroed(context, plan->terms, data->targets * sizeof *c);
    float *other = ramify_allocate(context, count, sizeof *other);
    ramify_status status = c && other ? ramify_series_pass_open(&p) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_series_smooth(&p, row, count, other, c, near);
    if (status == RAMIFY_OK && isfinite(near->error) && is_smaller(error, other, count)) {
        ramify_release(context, fit->record);
        fit->record = NULL;
        report->set = set;
        report->band = band;
        report->terms = plan->terms;
        report->error = near->error;
        report->noise = NAN;
        report->ridge = near->ridge / (double)count;
        report->growth = near->growth;
        report->least_norm = false;
        status = write_record(&p, wish, pairs, band, c, fit);
        memcpy(error, other, count * sizeof *error);
    }
    ramify_series_pass_clear(&p);
    ramify_series_plan_destroy(context, &plan);
    ramify_release(context, c);
    ramify_release(context, other);
    return status;
}

/* Tries smoothness in place of what was found: with few terms, and then with all, unless these few were
 * worse than no more without, or have no need of others. */
static ramify_status try_smooth(const ramify_series_data *data, const ramify_series_wish *wish,
                                const unsigned char *pairs, const uint32_t *row, size_t count,
                                float *error, ramify_series_fit *fit) {
    const ramify_index_set set = wish->set >= 0 ? (ramify_index_set)wish->set : RAMIFY_SET_TOTAL;
    const size_t most = ramify_smaller(wish->most_terms, SMOOTH_SHARE * count);
    const ramify_series_report *report = &fit->report;
    if (wish->band >= 0 || wish->ridge >= 0 || count < SMOOTH_ROWS_LEAST ||
        count > SMOOTH_ROWS * most)
        return RAMIFY_OK;
    ramify_series_smoothness near = {0};
    uint32_t tried = 0;
    for (size_t terms = ramify_smaller(most, SMOOTH_TERMS);; terms = most) {
        uint32_t band = band_of(data, wish, pairs, set, terms);
        if (band == tried || !(report->error > SMOOTH_ERROR) || ramify_late(wish->deadline))
            return RAMIFY_OK;
        RAMIFY_TRY(try_band(data, wish, pairs, set, band, row, count, error, &near, fit));
        bool worse = report->growth == 0 && report->terms <= terms;
        if (worse || !isfinite(near.error) || !(near.edge > SMOOTH_EDGE * near.error))
            return RAMIFY_OK;
        tried = band;
    }
}

/* The mean of the weights above 0 of these rows; 1 without weights. */
static double weight_unit(const ramify_column *weight, const uint32_t *row, size_t count) {
    double mean = 0;
    size_t above = 0;
    for (size_t i = 0; weight && i < count; i++) {
        double value = ramify_column_value(weight, row[i]);
        if (value > 0)
            mean += (value - mean) / (double)++above; /* a sum could overflow */
    }
    return above > 0 ? mean : 1;
}

ramify_series_data ramify_series_data_of(const ramify_problem *problem, const ramify_match *match,
                                         const ramify_split *split, const ramify_column *weight) {
    return (ramify_series_data){.context = problem->context,
                                .kernels = problem->kernels,
                                .match = match,
                                .weight = weight,
                                .weight_unit =
                                    weight_unit(weight, split->train, split->train_count),
                                .columns = problem->stem.columns,
                                .targets = problem->targets,
                                .head_center = problem->head_center,
                                .head_scale = problem->head_scale};
}

static ramify_status fit_weighed(const ramify_series_data *data, const ramify_series_wish *wish,
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
    float *own = error ? NULL : ramify_allocate(context, count, sizeof *own);
    error = error ? error : own;
    if (!made || !error) {
        ramify_release(context, made);
        ramify_release(context, own);
        return RAMIFY_ERROR_MEMORY;
    }
    ramify_index_set set = wish->set >= 0 ? (ramify_index_set)wish->set : RAMIFY_SET_TOTAL;
    uint32_t band = wish->axes > 0 && wish->band > 0 ? (uint32_t)wish->band : 0;
    ramify_series_plan *plan = NULL;
    ramify_status status = RAMIFY_OK;
    if (band > 0 && !is_allowed(data, wish, pairs, set, band, RAMIFY_SERIES_TERMS_MAX))
        status =
            ramify_fail(context, RAMIFY_ERROR_LIMIT,
                        "a series of band %u on %u columns has too many terms for the bound on "
                        "the model's memory or for any file: use a smaller band (--band), or "
                        "allow more (--resident)",
                        band, wish->axes);
    if (status == RAMIFY_OK && wish->band < 0 && wish->axes > 0)
        status = choose_set(data, wish, pairs, row, count, &set, &band);
    if (status == RAMIFY_OK)
        status = ramify_series_plan_create(context, set, band, wish->axes, pairs, &plan);
    made->report.set = set;
    ramify_series_pass p = {
        .data = data, .axis = wish->axis, .plan = plan, .deadline = wish->deadline};
    if (status == RAMIFY_OK) {
        /* Twice the terms of a trial, as may be chosen after one. */
        const bool few = wish->insists && plan->terms <= 2 * TRIAL_TERMS;
        if (few && count <= TRIAL_ROWS * TRIAL_TERMS)
            p.deadline = 0;
        status = fit_plan(&p, wish, pairs, row, count, error, made);
        if (status == RAMIFY_OK && p.late && few)
            status = fit_some(&p, wish, pairs, row, count, error, made);
    }
    ramify_series_pass_clear(&p);
    ramify_series_plan_destroy(context, &plan);
    if (status == RAMIFY_OK && made->record)
        status = try_smooth(data, wish, pairs, row, count, error, made);
    ramify_release(context, own);
    if ((status == RAMIFY_OK || status == RAMIFY_STOPPED) && made->record)
        *fit = made;
    else
        ramify_series_fit_destroy(context, &made);
    return status;
}

ramify_status ramify_series_fit_rows(const ramify_series_data *data, const ramify_series_wish *wish,
                                     const uint32_t *row, size_t count, float *error,
                                     ramify_series_fit **fit) {
    if (!data->weight)
        return fit_weighed(data, wish, row, count, error, fit);
    ramify_context *context = data->context;
    uint32_t *some = ramify_allocate(context, count, sizeof *some);
    float *theirs = ramify_allocate(context, count, sizeof *theirs);
    ramify_status status = some && theirs ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    size_t kept = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++)
        if (ramify_column_value(data->weight, row[i]) > 0)
            some[kept++] = row[i];
    if (status == RAMIFY_OK)
        status = fit_weighed(data, wish, some, kept, theirs, fit);
    for (size_t i = 0, next = 0; status == RAMIFY_OK && error && i < count; i++)
        error[i] = next < kept && some[next] == row[i] ? theirs[next++] : (float)NAN;
    ramify_release(context, some);
    ramify_release(context, theirs);
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

#include "run_belief.h"
#include "law_numbers.h"
#include "law_select.h"
#include "law_solve.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Resamples that a covariance takes. */
#define DRAWS_LEAST 20
/* Of these, what lies further from the middle, in deviations by the median, is a fit that went astray. */
#define ASTRAY 4.0
/* The median absolute deviation of normal numbers, as a share of their deviation. */
#define MEDIAN_SHARE 0.6745
/* Share of resamples between the ends of which their deviation is read off, and how many deviations of
 * normal numbers these are apart. */
#define MIDDLE       0.9
#define MIDDLE_WIDTH 3.2897

/* Octaves of cost by which the runs are cut short. The law of the rest is judged as far beyond as these reach
 * in cost, up to HORIZON octaves, if that is SPAN_LEAST octaves or more: what a shorter stretch says is
 * nothing that a plan would rest on. */
static const double cuts[] = {1, 2, 3, 4};
#define CUTS       (sizeof cuts / sizeof cuts[0])
#define HORIZON    4.0
#define SPAN_LEAST 2.0
/* Errors of shortened fits that make a judgement. */
#define JUDGED_LEAST 3
/* Keeps an interval of a law that was never wrong by much from having no width. */
#define DRIFT_LEAST 1e-3
/* Values of a size that tell a coefficient, an exponent and a floor. */
#define VALUES_LEAST 3

/* Places per size on the grid of next runs, for one size and for two. */
#define GRID_LINE  256
#define GRID_PLANE 48
/* Step of numerical slopes, in ln x. */
#define STEP 0.01

/* --- laws of runs with other noise ------------------------------------------------------------ */

typedef struct redrawing {
    ramify_belief *belief;
    const ramify_law_form *form;
    const ramify_runs *runs;
    uint64_t seed;
} redrawing;

/* Of a mean over the end of a curve, which is computed, anew; of any other, each part from where it is. */
static ramify_status refit(const redrawing *r, const ramify_runs *runs, ramify_law_mix *mix) {
    ramify_context *context = r->belief->context;
    const ramify_law_mix *law = &r->belief->law->mix;
    ramify_law_problem problem = {.form = r->form, .runs = runs, .loss = {.above = 1}};
    double loss;
    if (law->spread.local)
        return ramify_law_mix_fit(context, &problem, mix, &loss);
    *mix = *law;
    for (uint32_t p = 0; p < mix->parts; p++) {
        ramify_law_part *part = &mix->part[p];
        problem.form = part->form;
        problem.begin = law->part[p].theta;
        problem.begin_only = !part->stuck;
        RAMIFY_TRY(ramify_law_solve(context, &problem, part->theta, &loss));
    }
    return RAMIFY_OK;
}

/* Task: the law of the same runs with their noise added once more. A fit that fails leaves no parts. */
static ramify_status redraw(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const redrawing *r = argument;
    ramify_context *context = r->belief->context;
    if (ramify_cancelled(context))
        return ramify_fail(context, RAMIFY_STOPPED, "stopped");
    double *ln_y = ramify_allocate(context, r->runs->count, sizeof *ln_y);
    if (!ln_y)
        return RAMIFY_ERROR_MEMORY;
    ramify_random random = ramify_random_stream(r->seed, RAMIFY_PURPOSE_BOOTSTRAP, 0, task);
    for (size_t i = 0; i < r->runs->count; i++)
        ln_y[i] = r->runs->ln_y[i] + r->belief->noise * ramify_random_normal(&random);
    ramify_runs runs = *r->runs;
    runs.ln_y = ln_y;
    ramify_law_mix *mix = &r->belief->draw[task];
    ramify_status status = refit(r, &runs, mix);
    if (status == RAMIFY_ERROR_DATA) {
        ramify_clear(context);
        mix->parts = 0;
        status = RAMIFY_OK;
    }
    ramify_release(context, ln_y);
    return status;
}

static ramify_status draw_laws(ramify_belief *b, const ramify_law_form *form,
                               const ramify_runs *runs, uint32_t resamples, uint64_t seed) {
    b->draws = resamples;
    b->draw = ramify_allocate(b->context, b->draws, sizeof *b->draw);
    b->value = ramify_allocate(b->context, 3 * (size_t)b->draws, sizeof *b->value);
    if (!b->draw || !b->value)
        return RAMIFY_ERROR_MEMORY;
    b->sorted = b->value + b->draws;
    b->aimed = b->sorted + b->draws;
    redrawing r = {.belief = b, .form = form, .runs = runs, .seed = seed};
    RAMIFY_TRY(ramify_parallel(b->context, b->draws, redraw, &r));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->draws; i++)
        if (b->draw[i].parts > 0)
            b->draw[kept++] = b->draw[i];
    b->draws = kept;
    return RAMIFY_OK;
}

/* --- runs cut short by cost ------------------------------------------------------------------- */

static bool enough(const ramify_runs *runs, const ramify_law_mix *whole) {
    uint32_t parameters = 0;
    for (uint32_t p = 0; p < whole->parts; p++)
        parameters = whole->part[p].form->parameters > parameters ? whole->part[p].form->parameters
                                                                  : parameters;
    bool told = runs->count > parameters;
    for (uint32_t v = 0; v < runs->variables; v++)
        told = told && ramify_run_values(runs, v, VALUES_LEAST) == VALUES_LEAST;
    return told;
}

typedef struct tally {
    double squares, count;
} tally;

/* Keeps the runs that cost at most e^ln_end; *span: from the cheapest to the dearest of these, in ln cost. */
static void keep_cheap(const ramify_belief *b, const ramify_runs *runs, double ln_end,
                       ramify_selection *kept, double *ln_most, double *span) {
    double ln_least = INFINITY;
    *ln_most = -INFINITY;
    kept->runs.count = 0;
    for (size_t i = 0; i < runs->count; i++) {
        double ln_cost = ramify_run_cost_at(b->cost, runs->ln_x + i * runs->variables);
        if (ln_cost > ln_end)
            continue;
        ramify_selection_add(kept, runs, i);
        ln_least = fmin(ln_least, ln_cost);
        *ln_most = fmax(*ln_most, ln_cost);
    }
    *span = *ln_most - ln_least;
}

/* Adds the squared errors, per octave of cost, of the law of runs that cost at most e^ln_end. */
static ramify_status judge_cut(const ramify_belief *b, const ramify_law_form *form,
                               const ramify_runs *runs, double ln_end, ramify_selection *kept,
                               tally *t) {
    double ln_most, span, loss;
    keep_cheap(b, runs, ln_end, kept, &ln_most, &span);
    if (kept->runs.count == runs->count || !enough(&kept->runs, &b->law->mix) ||
        span < SPAN_LEAST * log(2))
        return RAMIFY_OK;
    ramify_law_problem problem = {.form = form, .runs = &kept->runs, .loss = {.above = 1}};
    ramify_law_mix mix;
    ramify_status status = ramify_law_mix_fit(b->context, &problem, &mix, &loss);
    if (status == RAMIFY_ERROR_DATA) {
        ramify_clear(b->context);
        return RAMIFY_OK;
    }
    RAMIFY_TRY(status);
    for (size_t i = 0; i < runs->count; i++) {
        const double *ln_x = runs->ln_x + i * runs->variables;
        double octaves = (ramify_run_cost_at(b->cost, ln_x) - ln_most) / log(2);
        double d = ramify_law_mix_value(&mix, ln_x) - runs->ln_y[i];
        if (!(octaves > 0 && octaves <= fmin(HORIZON, span / log(2))) || !isfinite(d))
            continue;
        t->squares += d * d / fmax(1, octaves);
        t->count++;
    }
    return RAMIFY_OK;
}

static ramify_status judge_by_cost(ramify_belief *b, const ramify_law_form *form,
                                   const ramify_runs *runs) {
    b->drift = (double)NAN;
    if (runs->variables < 2)
        return RAMIFY_OK; /* the law's own judgement is by the same runs */
    ramify_selection kept = {0};
    tally t = {0};
    ramify_status status = ramify_selection_open(b->context, runs, &kept);
    for (size_t i = 0; status == RAMIFY_OK && i < CUTS; i++)
        status = judge_cut(b, form, runs, b->cost->ln_most - cuts[i] * log(2), &kept, &t);
    ramify_selection_close(b->context, &kept);
    if (t.count >= JUDGED_LEAST)
        b->drift = sqrt(t.squares / t.count);
    return status;
}

static void find_ratios(ramify_belief *b, const ramify_runs *runs) {
    b->ratio_low = INFINITY;
    b->ratio_high = -INFINITY;
    for (size_t i = 0; runs->variables > 1 && i < runs->count; i++) {
        double ratio = runs->ln_x[i * runs->variables + 1] - runs->ln_x[i * runs->variables];
        b->ratio_low = fmin(b->ratio_low, ratio);
        b->ratio_high = fmax(b->ratio_high, ratio);
    }
}

ramify_status ramify_belief_open(ramify_context *context, const ramify_law_form *form,
                                 const ramify_fitted *law, const ramify_costed_runs *runs,
                                 const ramify_run_cost *cost, uint32_t resamples, uint64_t seed,
                                 ramify_belief *belief) {
    *belief = (ramify_belief){
        .context = context, .law = law, .cost = cost, .noise = law->mix.spread.noise};
    if (isnan(belief->noise))
        belief->noise = 0;
    find_ratios(belief, &runs->runs);
    RAMIFY_TRY(draw_laws(belief, form, &runs->runs, resamples, seed));
    if (belief->draws < DRAWS_LEAST)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s: of %u resamples of the runs only %u can be fitted: add runs",
                           runs->source, resamples, belief->draws);
    return judge_by_cost(belief, form, &runs->runs);
}

void ramify_belief_close(ramify_belief *belief) {
    ramify_release(belief->context, belief->draw);
    ramify_release(belief->context, belief->value);
    belief->draw = NULL;
    belief->value = belief->sorted = belief->aimed = NULL;
}

/* --- variances -------------------------------------------------------------------------------- */

/* What every resample says at a place; returns how many have a value, which come first in `sorted` if that
 * is asked for. */
static uint32_t ask_draws(const ramify_belief *b, const double *ln_x, double *value,
                          double *sorted) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->draws; i++) {
        value[i] = ramify_law_mix_value(&b->draw[i], ln_x);
        if (sorted && isfinite(value[i]))
            sorted[count++] = value[i];
    }
    return count;
}

/* Of cost, beyond the dearest run; below 0: before it. */
static double octaves_beyond(const ramify_belief *b, const double *ln_x) {
    return (ramify_run_cost_at(b->cost, ln_x) - b->cost->ln_most) / log(2);
}

/* The parts of T at a place; NaN where the runs do not tell them. */
typedef struct variances {
    double drawn, wrong, total; /* B, D, T */
} variances;

/* D at a place that is so many octaves of cost beyond runs which reach as far as the box; `drawn`: B there. */
static double wrong_at(const ramify_belief *b, const ramify_law_box *box, double octaves,
                       double drawn, const double *ln_x) {
    if (!isnan(b->drift))
        return (b->drift + DRIFT_LEAST) * (b->drift + DRIFT_LEAST) * fmax(0, octaves);
    ramify_law_mix mix = b->law->mix;
    mix.box = *box;
    double whole = ramify_law_mix_deviation(&mix, ln_x);
    double rest = whole * whole - drawn - b->noise * b->noise;
    return rest < 0 ? 0 : rest; /* NaN stays */
}

static variances variances_at(const ramify_belief *b, const double *ln_x) {
    double low, high;
    uint32_t count = ask_draws(b, ln_x, b->value, b->sorted);
    ramify_law_middle(b->sorted, count, MIDDLE, &low, &high);
    double drawn = count < DRAWS_LEAST ? (double)NAN : (high - low) / MIDDLE_WIDTH;
    variances v = {.drawn = drawn * drawn};
    v.wrong = wrong_at(b, &b->law->mix.box, octaves_beyond(b, ln_x), v.drawn, ln_x);
    v.total = v.drawn + v.wrong + b->noise * b->noise;
    return v;
}

double ramify_belief_deviation(const ramify_belief *belief, const double *ln_x) {
    return sqrt(variances_at(belief, ln_x).total);
}

/* --- the next run ----------------------------------------------------------------------------- */

/* What is known of the target before any place is asked. */
typedef struct aim {
    const ramify_belief *belief;
    const double *ln_x;
    double octaves; /* of cost, beyond the dearest run */
    variances at;
    double walk;   /* variance that D takes on per octave of cost */
    double *value; /* draws: what resamples say there; NaN: left out */
    double mean;   /* of these */
    double slope[RAMIFY_PLANE_VARIABLES];
} aim;

static double slope_at(const ramify_belief *b, const double *ln_x, uint32_t variable) {
    double at[RAMIFY_PLANE_VARIABLES] = {0};
    memcpy(at, ln_x, b->cost->sizes * sizeof *at);
    at[variable] += STEP;
    double above = ramify_law_mix_value(&b->law->mix, at);
    at[variable] -= 2 * STEP;
    return (above - ramify_law_mix_value(&b->law->mix, at)) / (2 * STEP);
}

/* Leaves out what went astray: moments would be of these alone. */
static void leave_astray(const ramify_belief *b, double *value, double *sorted, uint32_t count) {
    ramify_law_sort(sorted, count);
    double middle = sorted[count / 2];
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = fabs(sorted[i] - middle);
    ramify_law_sort(sorted, count);
    double most = ASTRAY * sorted[count / 2] / MEDIAN_SHARE;
    for (uint32_t i = 0; i < b->draws; i++)
        if (!(fabs(value[i] - middle) <= most))
            value[i] = (double)NAN;
}

static ramify_status take_aim(const ramify_belief *b, const double *target, aim *a) {
    *a = (aim){.belief = b,
               .ln_x = target,
               .octaves = octaves_beyond(b, target),
               .at = variances_at(b, target),
               .value = b->aimed};
    if (isnan(a->at.total))
        return ramify_fail(b->context, RAMIFY_ERROR_DATA,
                           "there is no interval to narrow: too few runs tell one");
    double count = 0;
    leave_astray(b, a->value, b->sorted, ask_draws(b, target, a->value, b->sorted));
    for (uint32_t i = 0; i < b->draws; i++)
        if (!isnan(a->value[i]))
            a->mean += (a->value[i] - a->mean) / ++count;
    a->walk = a->octaves > 0    ? a->at.wrong / fmax(1, a->octaves)
              : isnan(b->drift) ? 0
                                : b->drift * b->drift;
    for (uint32_t v = 0; v < b->cost->sizes; v++)
        a->slope[v] = slope_at(b, target, v);
    return RAMIFY_OK;
}

/* B(A, x): moments of the draws that did not go astray. */
static double drawn_covariance(const aim *a, const double *ln_x) {
    const ramify_belief *b = a->belief;
    double *value = b->value, mean = 0, both = 0, count = 0;
    ask_draws(b, ln_x, value, NULL);
    for (uint32_t i = 0; i < b->draws; i++) {
        if (isnan(a->value[i]) || !isfinite(value[i]))
            continue;
        double d = value[i] - mean;
        mean += d / ++count;
        both += (a->value[i] - a->mean) * (value[i] - mean);
    }
    return count < DRAWS_LEAST ? 0 : both / count;
}

/* k: how much of what is wrong at the target shows at ln_x. */
static double showing(const aim *a, const double *ln_x) {
    double least = 1;
    for (uint32_t v = 0; v < a->belief->cost->sizes; v++) {
        double share = slope_at(a->belief, ln_x, v) / a->slope[v];
        least = fmin(least, isnan(share) ? 0 : fmax(0, share));
    }
    return least;
}

/* What a run at ln_x takes off D at the target: it is that much nearer to the runs then. */
static double wrong_taken(const aim *a, const double *ln_x) {
    const ramify_belief *b = a->belief;
    double nearer = octaves_beyond(b, ln_x);
    if (!(nearer > 0))
        return 0;
    ramify_law_box box = b->law->mix.box;
    for (uint32_t v = 0; v < b->cost->sizes; v++) {
        box.ln_low[v] = fmin(box.ln_low[v], ln_x[v]);
        box.ln_high[v] = fmax(box.ln_high[v], ln_x[v]);
    }
    double left = wrong_at(b, &box, a->octaves - nearer, a->at.drawn, a->ln_x);
    return left < a->at.wrong ? showing(a, ln_x) * (a->at.wrong - left) : 0;
}

/* The share by which a run at ln_x narrows the target's interval. */
static double narrow(const aim *a, const double *ln_x) {
    double total = variances_at(a->belief, ln_x).total;
    double below = fmax(0, -octaves_beyond(a->belief, ln_x));
    double covariance = drawn_covariance(a, ln_x);
    double drawn = covariance * covariance / (total + below * a->walk);
    if (!isfinite(drawn)) /* nothing is uncertain there, or all is */
        return 0;
    return 1 - sqrt(1 - (fmin(drawn, a->at.drawn) + wrong_taken(a, ln_x)) / a->at.total);
}

ramify_status ramify_belief_narrowing(const ramify_belief *belief, const double *target,
                                      const double *ln_x, double *narrowing) {
    aim a;
    RAMIFY_TRY(take_aim(belief, target, &a));
    *narrowing = narrow(&a, ln_x);
    return RAMIFY_OK;
}

/* Whether the law would learn from such a run. The sizes of it stand to each other as in some run that was
 * made, or as at the target: of others neither the law nor the costs were ever seen to hold. A law of the end
 * of a curve hardly looks further back than an octave. */
static bool teaches(const ramify_belief *b, const double *target, const double *ln_x) {
    const ramify_law_mix *mix = &b->law->mix;
    if (!ramify_law_mix_holds(mix, ln_x) ||
        (mix->spread.local && ln_x[0] < mix->box.ln_high[0] - log(2)))
        return false;
    if (b->cost->sizes < 2)
        return true;
    const double ratio = ln_x[1] - ln_x[0], aimed = target[1] - target[0];
    return ratio >= fmin(b->ratio_low, aimed) && ratio <= fmax(b->ratio_high, aimed);
}

/* Whether a run is to be preferred to another. */
static bool better(const ramify_next_run *one, const ramify_next_run *other, double least) {
    bool enough_one = one->narrowing >= least, enough_other = other->narrowing >= least;
    if (enough_one != enough_other)
        return enough_one;
    if (!enough_one)
        return one->narrowing > other->narrowing;
    return log(one->narrowing) - one->ln_cost > log(other->narrowing) - other->ln_cost;
}

ramify_status ramify_belief_next(const ramify_belief *belief, const double *target, double ln_most,
                                 double least, ramify_next_run *next, bool *found) {
    aim a;
    RAMIFY_TRY(take_aim(belief, target, &a));
    const uint32_t sizes = belief->cost->sizes, steps = sizes == 1 ? GRID_LINE : GRID_PLANE;
    const ramify_law_box *box = &belief->law->mix.box;
    double ln_target = ramify_run_cost_at(belief->cost, target);
    *next = (ramify_next_run){.narrowing = -1};
    for (uint32_t i = 0; i < (sizes == 1 ? steps : steps * steps); i++) {
        if (ramify_cancelled(belief->context))
            return ramify_fail(belief->context, RAMIFY_STOPPED, "stopped");
        const uint32_t at[RAMIFY_PLANE_VARIABLES] = {i % steps, i / steps};
        ramify_next_run one = {.narrowing = 0};
        for (uint32_t v = 0; v < sizes; v++) {
            double top = fmax(box->ln_high[v], target[v]);
            one.ln_x[v] = box->ln_low[v] + at[v] * (top - box->ln_low[v]) / (steps - 1);
        }
        one.ln_cost = ramify_run_cost_at(belief->cost, one.ln_x);
        if (!(one.ln_cost < ln_target && one.ln_cost <= ln_most) ||
            !teaches(belief, target, one.ln_x))
            continue;
        one.narrowing = narrow(&a, one.ln_x);
        if (next->narrowing < 0 || better(&one, next, least))
            *next = one;
    }
    *found = next->narrowing >= 0;
    return RAMIFY_OK;
}

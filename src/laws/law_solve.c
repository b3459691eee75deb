#include "law_solve.h"
#include "law_numbers.h"
#include "memory.h"
#include "status.h"
#include "text.h"

#include <cminpack.h>
#include <stdlib.h>
#include <string.h>

/* Starts that are followed for a while, of those with the least loss; how many of them to their
 * end. */
#define FOLLOWED 8
#define FINISHED 2

/* Steps of one descent, as evaluations: for a while, to the end. */
#define WHILE       30
#define EVALUATIONS 400

/* Relative change of loss or parameters at which a descent ends. */
#define TOLERANCE 1e-12

/* A residual where the form has no value: larger than any, so that the step is taken back. */
#define NOWHERE 1e8

/* A pivot of normal equations whose columns have length 1 that is no more than rounding. */
#define UNDETERMINED 1e-13

/* lmder's mode (it scales the parameters) and the bound on its first step, in lengths of the start:
 * between 0.1 and 100, says MINPACK's guide. */
#define SCALED     1
#define FIRST_STEP 10

/* Logarithms of parameters stay within what doubles hold. */
#define LOG_MOST 600.0

/* No parameter of a law of runs has a logarithm beyond DRIVEN (a coefficient of a curve that falls with
 * the tenth power of 1e13 rows has it); one beyond DRIVEN_FREE is driven off if no ln y depends on its
 * logarithm by more than DEPENDS. */
#define DRIVEN      300.0
#define DRIVEN_FREE 30.0
#define DEPENDS     1e-10

typedef struct descent {
    const ramify_law_problem *problem;
    uint32_t free;
    uint32_t place[RAMIFY_LAW_PARAMETERS_MAX]; /* free: which parameter */
    double theta[RAMIFY_LAW_PARAMETERS_MAX];
} descent;

static double to_scale(const ramify_law_parameter *parameter, double theta) {
    return parameter->range == RAMIFY_LAW_POSITIVE ? log(theta) : theta;
}

/* Also d theta / d u. */
static double from_scale(const ramify_law_parameter *parameter, double u, double *slope) {
    if (parameter->range != RAMIFY_LAW_POSITIVE) {
        *slope = 1;
        return u;
    }
    u = u > LOG_MOST ? LOG_MOST : u < -LOG_MOST ? -LOG_MOST : u;
    return *slope = exp(u);
}

/* The residual whose square, or half of it for Huber's loss, is the loss of a run with the log error
 * d; *slope: its derivative by d. */
static double residual(const ramify_law_loss *loss, double d, double *slope) {
    double value = d, size = fabs(d);
    *slope = 1;
    if (loss->kind == RAMIFY_LAW_LOSS_RELATIVE) {
        value = expm1(d);
        *slope = value + 1;
    } else if (loss->kind == RAMIFY_LAW_LOSS_HUBER && size > loss->delta) {
        value = sqrt(2 * loss->delta * (size - 0.5 * loss->delta));
        *slope = loss->delta / value;
        value = d < 0 ? -value : value;
    }
    if (d < 0 && loss->above != 1) { /* the run lies above the law */
        double factor = sqrt(loss->above);
        value *= factor;
        *slope *= factor;
    }
    return value;
}

/* Residuals, and with `jacobian` (columns of `runs` numbers) their derivatives by the free
 * parameters on their scales. */
static void evaluate(descent *d, const double *u, double *residuals, double *jacobian) {
    const ramify_law_form *form = d->problem->form;
    const ramify_runs *runs = d->problem->runs;
    double slopes[RAMIFY_LAW_PARAMETERS_MAX], gradient[RAMIFY_LAW_PARAMETERS_MAX];
    for (uint32_t j = 0; j < d->free; j++)
        d->theta[d->place[j]] = from_scale(&form->parameter[d->place[j]], u[j], &slopes[j]);
    for (size_t i = 0; i < runs->count; i++) {
        double value =
            form->log_value(d->theta, runs->ln_x + i * runs->variables, jacobian ? gradient : NULL);
        double weight = sqrt(ramify_run_weight(runs, i)), slope = 0, found = NOWHERE;
        if (isfinite(value))
            found = residual(&d->problem->loss, value - runs->ln_y[i], &slope);
        if (residuals)
            residuals[i] = weight * (isfinite(found) && fabs(found) < NOWHERE ? found : NOWHERE);
        for (uint32_t j = 0; jacobian && j < d->free; j++) {
            double by = weight * slope * gradient[d->place[j]] * slopes[j];
            jacobian[i + j * runs->count] = isfinite(by) ? by : 0;
        }
    }
}

static int for_minpack(void *argument, int m, int n, const double *u, double *residuals,
                       double *jacobian, int stride, int wanted) {
    (void)m;
    (void)n;
    (void)stride;
    if (wanted == 1)
        evaluate(argument, u, residuals, NULL);
    else if (wanted == 2)
        evaluate(argument, u, NULL, jacobian);
    return 0;
}

double ramify_law_loss_of(const ramify_law_problem *problem, size_t i, double value) {
    double half = problem->loss.kind == RAMIFY_LAW_LOSS_HUBER ? 0.5 : 1;
    double slope, found = residual(&problem->loss, value - problem->runs->ln_y[i], &slope);
    double weight = ramify_run_weight(problem->runs, i);
    return isfinite(found) ? half * weight * found * found : INFINITY;
}

double ramify_law_loss_sum(const ramify_law_problem *problem, const double *theta) {
    const ramify_runs *runs = problem->runs;
    double sum = 0;
    for (size_t i = 0; i < runs->count && sum < INFINITY; i++)
        sum += ramify_law_loss_of(
            problem, i, problem->form->log_value(theta, runs->ln_x + i * runs->variables, NULL));
    return sum;
}

/* Fixed parameters in their places. */
static void fix(const ramify_law_problem *problem, double *theta) {
    for (uint32_t j = 0; problem->fixed && j < problem->form->parameters; j++)
        if (!isnan(problem->fixed[j]))
            theta[j] = problem->fixed[j];
}

typedef struct candidate {
    double theta[RAMIFY_LAW_PARAMETERS_MAX], loss;
} candidate;

/* Puts a start among the most promising ones. */
static void offer(const ramify_law_problem *problem, candidate *kept, size_t *count,
                  const double *theta) {
    candidate one = {{0}, 0};
    memcpy(one.theta, theta, problem->form->parameters * sizeof *theta);
    fix(problem, one.theta);
    for (uint32_t j = 0; j < problem->form->parameters; j++)
        if (!isfinite(one.theta[j]) ||
            (problem->form->parameter[j].range == RAMIFY_LAW_POSITIVE && !(one.theta[j] > 0)))
            return;
    one.loss = ramify_law_loss_sum(problem, one.theta);
    if (!(one.loss < INFINITY) || (*count == FOLLOWED && one.loss >= kept[FOLLOWED - 1].loss))
        return;
    size_t at = *count < FOLLOWED ? (*count)++ : FOLLOWED - 1;
    for (; at > 0 && kept[at - 1].loss > one.loss; at--)
        kept[at] = kept[at - 1];
    kept[at] = one;
}

/* The least first; equal ones in an order that does not depend on where they stood. */
static int by_loss(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->loss != y->loss)
        return x->loss < y->loss ? -1 : 1;
    for (int j = 0; j < RAMIFY_LAW_PARAMETERS_MAX; j++)
        if (x->theta[j] != y->theta[j])
            return x->theta[j] < y->theta[j] ? -1 : 1;
    return 0;
}

typedef struct workspace {
    double *residuals, *jacobian, *work; /* runs; runs x free; runs */
} workspace;

static void descend(descent *d, const workspace *w, int evaluations, candidate *from) {
    const ramify_law_problem *problem = d->problem;
    const ramify_law_form *form = problem->form;
    int runs = (int)problem->runs->count, unused = 0;
    double u[RAMIFY_LAW_PARAMETERS_MAX], scale[RAMIFY_LAW_PARAMETERS_MAX];
    double qtf[RAMIFY_LAW_PARAMETERS_MAX], a[RAMIFY_LAW_PARAMETERS_MAX];
    double b[RAMIFY_LAW_PARAMETERS_MAX], c[RAMIFY_LAW_PARAMETERS_MAX];
    int pivots[RAMIFY_LAW_PARAMETERS_MAX];
    memcpy(d->theta, from->theta, form->parameters * sizeof *d->theta);
    for (uint32_t j = 0; j < d->free; j++)
        u[j] = to_scale(&form->parameter[d->place[j]], d->theta[d->place[j]]);
    lmder(for_minpack, d, runs, (int)d->free, u, w->residuals, w->jacobian, runs, TOLERANCE,
          TOLERANCE, 0, evaluations, scale, SCALED, FIRST_STEP, 0, &unused, &unused, pivots, qtf, a,
          b, c, w->work);
    double slope;
    for (uint32_t j = 0; j < d->free; j++)
        d->theta[d->place[j]] = from_scale(&form->parameter[d->place[j]], u[j], &slope);
    double loss = ramify_law_loss_sum(problem, d->theta);
    if (loss < from->loss) {
        memcpy(from->theta, d->theta, form->parameters * sizeof *d->theta);
        from->loss = loss;
    }
}

static uint32_t find_free(const ramify_law_problem *problem, uint32_t *place) {
    uint32_t free = 0;
    for (uint32_t j = 0; j < problem->form->parameters; j++)
        if (!problem->fixed || isnan(problem->fixed[j]))
            place[free++] = j;
    return free;
}

static ramify_status no_beginning(ramify_context *context, const ramify_law_problem *problem) {
    return ramify_fail(context, RAMIFY_ERROR_DATA,
                       "the form %s finds no beginning in %zu run%s: add runs that differ in size, "
                       "or try another form",
                       problem->form->name, problem->runs->count,
                       ramify_plural(problem->runs->count));
}

ramify_status ramify_law_solve(ramify_context *context, const ramify_law_problem *problem,
                               double *theta, double *loss) {
    const ramify_law_form *form = problem->form;
    size_t runs = problem->runs->count, count = 0;
    if (form->solve) {
        if (!form->solve(problem->runs, theta))
            return no_beginning(context, problem);
        fix(problem, theta);
        *loss = ramify_law_loss_sum(problem, theta);
        return RAMIFY_OK;
    }
    candidate kept[FOLLOWED];
    double start[RAMIFY_LAW_PARAMETERS_MAX];
    if (problem->begin)
        offer(problem, kept, &count, problem->begin);
    for (uint32_t i = 0; !problem->begin_only && form->start(problem->runs, i, start); i++)
        offer(problem, kept, &count, start);
    if (count == 0)
        return no_beginning(context, problem);
    descent d = {.problem = problem};
    d.free = find_free(problem, d.place);
    workspace w = {.residuals = ramify_allocate(context, runs, sizeof(double)),
                   .jacobian = ramify_allocate(context, runs * d.free, sizeof(double)),
                   .work = ramify_allocate(context, runs, sizeof(double))};
    ramify_status status = w.residuals && w.jacobian && w.work ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK && d.free > 0 && d.free <= runs) {
        for (size_t i = 0; i < count && count > FINISHED; i++)
            descend(&d, &w, WHILE, &kept[i]);
        qsort(kept, count, sizeof *kept, by_loss);
        for (size_t i = 0; i < count && i < FINISHED; i++)
            descend(&d, &w, EVALUATIONS, &kept[i]);
        qsort(kept, count, sizeof *kept, by_loss);
    }
    if (status == RAMIFY_OK) {
        memcpy(theta, kept[0].theta, form->parameters * sizeof *theta);
        *loss = kept[0].loss;
    }
    ramify_release(context, w.residuals);
    ramify_release(context, w.jacobian);
    ramify_release(context, w.work);
    return status;
}

/* inverse of the symmetric positive matrix a[n x n] by Cholesky; false when it is not. */
static bool invert(uint32_t n, double a[][RAMIFY_LAW_PARAMETERS_MAX]) {
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t k = 0; k < j; k++)
            a[j][j] -= a[j][k] * a[j][k];
        if (!(a[j][j] > UNDETERMINED))
            return false;
        a[j][j] = sqrt(a[j][j]);
        for (uint32_t i = j + 1; i < n; i++) {
            for (uint32_t k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
    }
    /* Inverse of the triangle, then its product with its transpose; the diagonal is all we need. */
    for (uint32_t j = 0; j < n; j++) {
        a[j][j] = 1 / a[j][j];
        for (uint32_t i = j + 1; i < n; i++) {
            double sum = 0;
            for (uint32_t k = j; k < i; k++)
                sum -= a[i][k] * a[k][j];
            a[i][j] = sum / a[i][i];
        }
    }
    for (uint32_t j = 0; j < n; j++) {
        double sum = 0;
        for (uint32_t i = j; i < n; i++)
            sum += a[i][j] * a[i][j];
        a[j][j] = sum;
    }
    return true;
}

int ramify_law_driven(const ramify_law_parameter *parameter, double theta) {
    if (parameter->range != RAMIFY_LAW_POSITIVE || !(fabs(log(theta)) >= DRIVEN))
        return 0;
    return theta < 1 ? -1 : 1;
}

double ramify_law_driven_to(int bound) {
    return exp(bound * LOG_MOST);
}

bool ramify_law_bounds(const ramify_law_problem *problem, const double *theta, int *bound) {
    const ramify_law_form *form = problem->form;
    const ramify_runs *runs = problem->runs;
    double most[RAMIFY_LAW_PARAMETERS_MAX] = {0}, gradient[RAMIFY_LAW_PARAMETERS_MAX];
    memset(bound, 0, form->parameters * sizeof *bound);
    if (form->solve || form->parameters == 0)
        return false;
    bool stuck = false;
    for (size_t i = 0; i < runs->count; i++) {
        form->log_value(theta, runs->ln_x + i * runs->variables, gradient);
        for (uint32_t j = 0; j < form->parameters; j++)
            most[j] = fmax(most[j], fabs(gradient[j] * theta[j]));
    }
    for (uint32_t j = 0; j < form->parameters; j++) {
        const ramify_law_parameter *parameter = &form->parameter[j];
        if (problem->fixed && !isnan(problem->fixed[j]))
            continue;
        stuck = stuck || most[j] < DEPENDS;
        if (parameter->range != RAMIFY_LAW_POSITIVE)
            continue;
        if (most[j] < DEPENDS && fabs(log(theta[j])) >= DRIVEN_FREE)
            bound[j] = theta[j] < 1 ? -1 : 1;
        else
            bound[j] = ramify_law_driven(parameter, theta[j]);
    }
    return stuck;
}

/* The free parameters that are not driven off. */
static uint32_t find_told(const ramify_law_problem *problem, const double *theta, uint32_t *place) {
    int bound[RAMIFY_LAW_PARAMETERS_MAX];
    ramify_law_bounds(problem, theta, bound);
    uint32_t free = find_free(problem, place), told = 0;
    for (uint32_t j = 0; j < free; j++)
        if (bound[place[j]] == 0)
            place[told++] = place[j];
    return told;
}

/* Normal equations of a Jacobian (columns of `runs` numbers), its columns brought to length 1 first, so
 * that what is undetermined shows as a pivot near 0; norm: their lengths. False where one has none. */
static bool fill_gram(const double *jacobian, size_t runs, uint32_t columns, double *norm,
                      double gram[][RAMIFY_LAW_PARAMETERS_MAX]) {
    for (uint32_t j = 0; j < columns; j++) {
        norm[j] = 0;
        for (size_t i = 0; i < runs; i++)
            norm[j] += jacobian[i + j * runs] * jacobian[i + j * runs];
        norm[j] = sqrt(norm[j]);
        if (!(norm[j] > 0))
            return false;
        for (uint32_t k = 0; k <= j; k++)
            for (size_t i = 0; i < runs; i++)
                gram[j][k] += jacobian[i + j * runs] / norm[j] * jacobian[i + k * runs] / norm[k];
    }
    return true;
}

ramify_status ramify_law_errors(ramify_context *context, const ramify_law_problem *problem,
                                const double *theta, double *errors) {
    const ramify_law_form *form = problem->form;
    size_t runs = problem->runs->count;
    descent d = {.problem = problem};
    d.free = find_told(problem, theta, d.place);
    for (uint32_t j = 0; j < form->parameters; j++)
        errors[j] = (double)NAN;
    if (form->solve || d.free == 0 || runs <= d.free)
        return RAMIFY_OK;
    double *residuals = ramify_allocate(context, runs, sizeof *residuals);
    double *jacobian = ramify_allocate(context, runs * d.free, sizeof *jacobian);
    if (!residuals || !jacobian) {
        ramify_release(context, residuals);
        ramify_release(context, jacobian);
        return RAMIFY_ERROR_MEMORY;
    }
    double u[RAMIFY_LAW_PARAMETERS_MAX], slopes[RAMIFY_LAW_PARAMETERS_MAX], variance = 0;
    double gram[RAMIFY_LAW_PARAMETERS_MAX][RAMIFY_LAW_PARAMETERS_MAX] = {{0}};
    double norm[RAMIFY_LAW_PARAMETERS_MAX];
    memcpy(d.theta, theta, form->parameters * sizeof *theta);
    for (uint32_t j = 0; j < d.free; j++)
        u[j] = to_scale(&form->parameter[d.place[j]], theta[d.place[j]]);
    evaluate(&d, u, residuals, jacobian);
    for (size_t i = 0; i < runs; i++)
        variance += residuals[i] * residuals[i] / (double)(runs - d.free);
    if (fill_gram(jacobian, runs, d.free, norm, gram) && invert(d.free, gram))
        for (uint32_t j = 0; j < d.free; j++) {
            from_scale(&form->parameter[d.place[j]], u[j], &slopes[j]);
            errors[d.place[j]] = sqrt(variance * gram[j][j]) / norm[j] * slopes[j];
        }
    ramify_release(context, residuals);
    ramify_release(context, jacobian);
    return RAMIFY_OK;
}

#include "law_mix.h"
#include "forms.h"
#include "law_numbers.h"
#include "law_select.h"
#include "law_solve.h"
#include "status.h"

#include <string.h>

/* Of half widths beyond the runs, in units of the drift and of Student's quantile with 4 degrees of
 * freedom. WIDTH is what held 90.5 % of the held-out points of one half of the 92 curves (docs/laws.md)
 * when chosen on the other half; LEAST_DRIFT keeps an interval of a law that was never wrong by much
 * from having no width. The local ones: the same, of the line through the end of a curve. */
#define WIDTH        1.12
#define LEAST_DRIFT  1e-3
#define LOCAL_WIDTH  0.80
#define LOCAL_GROWTH 0.5
#define LOCAL_DRIFT  0.40

/* A law of a curve's end holds in an octave in which the runs lie about it with a root mean square, in
 * ln y, of no more than OFF, or than OFF_NOISE times their noise at the end where that is more: of a few
 * runs, twice is rarely passed by chance. */
#define OFF       0.05
#define OFF_NOISE 2.0

/* Sizes that are equal but for rounding, and distances in octaves, which are differences of these. */
#define SAME_SIZE  1e-12
#define SAME_PLACE 1e-9

/* Octaves by which the runs are cut short to see how the law does beyond them. */
static const double cuts[] = {1, 1.5, 2, 2.5};
#define CUTS (sizeof cuts / sizeof cuts[0])

ramify_law_box ramify_law_box_of(const ramify_runs *runs) {
    ramify_law_box box = {.variables = runs->variables};
    for (uint32_t v = 0; v < runs->variables; v++) {
        ramify_log_range range = ramify_variable_range(runs, v);
        box.ln_low[v] = range.low;
        box.ln_high[v] = range.high;
    }
    return box;
}

double ramify_law_octaves(const ramify_law_box *box, const double *ln_x) {
    uint32_t variables = box->variables < 3 ? box->variables : 3;
    double sum = 0;
    for (uint32_t v = 0; v < variables; v++)
        sum += fmax(0, fmax(ln_x[v] - box->ln_high[v], box->ln_low[v] - ln_x[v]));
    return sum / log(2);
}

/* Octaves beyond the large end alone, which is where a mean's weights change. */
static double beyond(const ramify_law_box *box, const double *ln_x) {
    double sum = 0;
    for (uint32_t v = 0; v < box->variables; v++)
        sum += fmax(0, ln_x[v] - box->ln_high[v]);
    return sum / log(2);
}

double ramify_law_mix_value(const ramify_law_mix *mix, const double *ln_x) {
    double far = (beyond(&mix->box, ln_x) - RAMIFY_LAW_NEAR) / (RAMIFY_LAW_FAR - RAMIFY_LAW_NEAR);
    far = fmin(1, fmax(0, far));
    double sum = 0;
    for (uint32_t p = 0; p < mix->parts; p++) {
        const ramify_law_part *part = &mix->part[p];
        double weight = part->near + far * (part->far - part->near);
        if (weight != 0)
            sum += weight * part->form->log_value(part->theta, ln_x, NULL);
    }
    return sum;
}

double ramify_law_mix_width(const ramify_law_mix *mix, const double *ln_x, double level) {
    return ramify_student(level) * ramify_law_mix_deviation(mix, ln_x);
}

double ramify_law_mix_deviation(const ramify_law_mix *mix, const double *ln_x) {
    const ramify_law_spread *s = &mix->spread;
    const ramify_law_box *box = &mix->box;
    double octaves = ramify_law_octaves(box, ln_x);
    if (s->local) {
        double d = ramify_form_damped_distance(ln_x[0] - box->ln_high[0]) - s->line[0];
        double line = s->line[1] + 2 * s->line[2] * d + s->line[3] * d * d;
        double growth = 1 + LOCAL_GROWTH * fmax(0, octaves - 1);
        double behind = s->behind * fmax(0, box->ln_high[0] - ln_x[0]);
        double outside = isnan(s->drift) ? 0 : LOCAL_DRIFT * s->drift * fmax(0, octaves - 1);
        double near = LOCAL_WIDTH * (s->noise * sqrt(1 + line) + (s->bend + LEAST_DRIFT) * growth);
        return near + outside + behind;
    }
    if (octaves == 0)
        return s->noise;
    double outside = WIDTH * (s->drift + LEAST_DRIFT) * fmax(1, octaves);
    return isnan(outside) ? outside : fmax(isnan(s->noise) ? 0 : s->noise, outside);
}

ramify_status ramify_law_mix_fit(ramify_context *context, const ramify_law_problem *problem,
                                 ramify_law_mix *mix, double *loss) {
    *mix = (ramify_law_mix){.box = ramify_law_box_of(problem->runs),
                            .ln_from = -INFINITY,
                            .spread = {.noise = (double)NAN, .drift = (double)NAN}};
    if (!problem->form->combine) {
        mix->parts = 1;
        mix->part[0] = (ramify_law_part){.form = problem->form, .near = 1, .far = 1};
        return ramify_law_solve(context, problem, mix->part[0].theta, loss);
    }
    RAMIFY_TRY(problem->form->combine(context, problem, mix));
    const ramify_runs *runs = problem->runs;
    *loss = 0;
    for (size_t i = 0; i < runs->count; i++)
        *loss += ramify_law_loss_of(problem, i,
                                    ramify_law_mix_value(mix, runs->ln_x + i * runs->variables));
    return RAMIFY_OK;
}

/* Deviation of runs about the law, with the degrees of freedom that its parameters leave. */
static double noise_of(const ramify_law_problem *problem, const ramify_law_mix *mix) {
    const ramify_runs *runs = problem->runs;
    double squares = 0, count = 0, free = 0;
    for (uint32_t p = 0; p < mix->parts; p++)
        free = fmax(free, mix->part[p].form->parameters);
    for (size_t i = 0; i < runs->count; i++) {
        double d = ramify_law_mix_value(mix, runs->ln_x + i * runs->variables) - runs->ln_y[i];
        squares += d * d;
        count++;
    }
    return count > free ? sqrt(squares / (count - free)) : (double)NAN;
}

/* True where a run lies within the box cut short. */
static bool within(const ramify_law_form *form, const ramify_law_box *box, double octaves,
                   const double *ln_x) {
    double cut = octaves * log(2) * (1 + SAME_SIZE);
    if (form->density)
        return ln_x[form->density - 1] >= box->ln_low[form->density - 1] + cut;
    for (uint32_t v = 0; v < box->variables; v++)
        if (ln_x[v] > box->ln_high[v] - cut)
            return false;
    return true;
}

/* Sums the squared errors per octave of the law of the runs that are kept, on those of the others
 * that lie within an octave per variable. */
static ramify_status judge_cut(ramify_context *context, const ramify_law_problem *problem,
                               const ramify_law_mix *whole, double octaves, ramify_selection *kept,
                               double *squares, double *count) {
    const ramify_runs *runs = problem->runs;
    const ramify_law_box *box = &whole->box;
    uint32_t parameters = 1;
    for (uint32_t p = 0; p < whole->parts; p++)
        parameters = whole->part[p].form->parameters > parameters ? whole->part[p].form->parameters
                                                                  : parameters;
    kept->runs.count = 0;
    for (size_t i = 0; i < runs->count; i++)
        if (within(problem->form, box, octaves, runs->ln_x + i * runs->variables))
            ramify_selection_add(kept, runs, i);
    if (kept->runs.count <= parameters || kept->runs.count == runs->count)
        return RAMIFY_OK;
    ramify_law_problem shorter = *problem;
    shorter.runs = &kept->runs;
    shorter.begin = whole->parts == 1 ? whole->part[0].theta : NULL;
    ramify_law_mix mix;
    double loss;
    ramify_status status = ramify_law_mix_fit(context, &shorter, &mix, &loss);
    if (status == RAMIFY_ERROR_DATA) { /* too few sizes are left: this cut says nothing */
        ramify_clear(context);
        return RAMIFY_OK;
    }
    RAMIFY_TRY(status);
    for (size_t i = 0; i < runs->count; i++) {
        const double *ln_x = runs->ln_x + i * runs->variables;
        double far = ramify_law_octaves(&mix.box, ln_x);
        if (within(problem->form, box, octaves, ln_x) || far > box->variables * (1 + SAME_PLACE))
            continue;
        double d = (ramify_law_mix_value(&mix, ln_x) - runs->ln_y[i]) / fmax(1, far);
        if (!isfinite(d))
            continue;
        *squares += d * d;
        *count += 1;
    }
    return RAMIFY_OK;
}

ramify_status ramify_law_mix_judge(ramify_context *context, const ramify_law_problem *problem,
                                   ramify_law_mix *mix) {
    if (!mix->spread.local)
        mix->spread.noise = noise_of(problem, mix);
    ramify_selection kept = {0};
    ramify_status status = ramify_selection_open(context, problem->runs, &kept);
    double squares = 0, count = 0;
    for (size_t i = 0; status == RAMIFY_OK && i < CUTS; i++)
        status = judge_cut(context, problem, mix, cuts[i], &kept, &squares, &count);
    ramify_selection_close(context, &kept);
    mix->spread.drift = count > 0 ? sqrt(squares / count) : (double)NAN;
    if (problem->form->solve) /* of the end alone: what it leaves elsewhere is no scatter */
        mix->spread.noise = mix->spread.drift;
    return status;
}

void ramify_law_mix_begin(const ramify_law_problem *problem, ramify_law_mix *mix) {
    const ramify_runs *runs = problem->runs;
    if (problem->form->reach == 0)
        return;
    double end = mix->box.ln_high[0], most = fmax(OFF, OFF_NOISE * mix->spread.noise);
    double behind = 0, before = 0;
    mix->ln_from = end;
    size_t last = runs->count;
    for (int octave = 1; last > 0; octave++) {
        size_t first = last;
        double squares = 0, by_distance = 0, earlier = 0;
        for (; first > 0 && runs->ln_x[first - 1] > end - octave * log(2); first--) {
            double d = ramify_law_mix_value(mix, &runs->ln_x[first - 1]) - runs->ln_y[first - 1];
            double u = runs->ln_x[first - 1] - end;
            squares += d * d;
            by_distance += u < 0 ? d * d / (u * u) : 0;
            earlier += u < 0;
        }
        if (squares > most * most * (double)(last - first))
            break;
        if (first < last)
            mix->ln_from = runs->ln_x[first];
        last = first;
        behind += by_distance;
        before += earlier;
    }
    mix->spread.behind = before > 0 ? sqrt(behind / before) : 0;
}

bool ramify_law_mix_holds(const ramify_law_mix *mix, const double *ln_x) {
    return ln_x[0] >= mix->ln_from - SAME_SIZE * fabs(mix->ln_from);
}

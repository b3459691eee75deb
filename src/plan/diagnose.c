/* ramify_diagnose: table -> problem with made-up rows -> batches of fits -> what was measured ->
 * shares. */

#include "diagnose_fits.h"
#include "diagnose_shares.h"
#include "gaussian.h"
#include "memory.h"
#include "progress.h"
#include "random.h"
#include "schema.h"
#include "score.h"
#include "status.h"
#include "table.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_HIDDEN "64,64"
/* With fewer rows a fold holds out fewer than four. */
#define ROWS_LEAST 40
/* Restarts of the reference in every fold: its error is a mean over starts too. */
#define RESTARTS 2
/* Longer trainings: steps of the shorter and of the longer ones, at least as many as the reference
 * takes, and twice as many. */
#define LONGER_STEPS  4000.0
#define LONGEST_STEPS 15000.0
#define LONGER        1.0
#define LONGEST       2.0
/* Rates of longer trainings: that of ramify_train, and a quarter of it. */
#define RATE        0.006
#define RATE_SLOW   0.0015
#define TRIALS_LONG 4
/* Larger networks: two hidden layers, at least so wide (more where rows are many), and twice as wide
 * as the reference up to a width that a few cores train in seconds; members of an ensemble; how long
 * they are trained. Where rows are noisy the short training is the better one; the longest is for many
 * rows only, which the others are over with before they have learned them. */
#define MANY_ROWS        4000
#define LARGE_WIDTH      64
#define LARGE_WIDTH_MANY 128
#define LARGE_WIDTH_MOST 256
#define MEMBERS          2
#define LARGE_TRIALS     3
static const double large_steps[LARGE_TRIALS] = {2000, 8000, 24000};
/* Rows that are made up for students, and the students' trials. */
#define MADE_ROWS      4096
#define STUDENT_TRIALS 4
/* Nearest rows are looked for among so many: the time goes with their square, and with the columns;
 * so many differences take about a second. */
#define NEIGHBOURS_MOST  4000
#define DIFFERENCES_MOST 1e9
/* Rows between questions whether to stop. */
#define CANCEL_ROWS  1024
#define NOT_MEASURED NAN
#define EFFORT_LEAST 0.01
#define EFFORT_MOST  100.0

typedef struct study {
    ramify_context *context;
    const ramify_diagnose_options *options;
    double deadline; /* 0: none */
    ramify_schema *schema;
    ramify_match *match;
    ramify_problem *plain;   /* the table's rows */
    ramify_problem *problem; /* and made-up ones */
    ramify_diagnose_rows rows;
    ramify_recipe recipe;
    ramify_mlp_shape shape, large_shape;
    float *teacher;               /* problem rows: the best predictor's answers, standardised */
    double *ensemble;             /* problem rows: sum of the larger networks' answers */
    uint32_t ensemble_size;       /* networks in it */
    double best_rate, best_steps; /* of the longer trainings */
    ramify_diagnosis_measured measured;
    ramify_diagnosis *made;
} study;

static const char *const source_names[] = {
    [RAMIFY_SOURCE_IRREDUCIBLE] = "irreducible",   [RAMIFY_SOURCE_APPROXIMATION] = "approximation",
    [RAMIFY_SOURCE_ESTIMATION] = "estimation",     [RAMIFY_SOURCE_OPTIMISATION] = "optimisation",
    [RAMIFY_SOURCE_UNDETERMINED] = "undetermined",
};

const char *ramify_error_source_name(ramify_error_source source) {
    return source <= RAMIFY_SOURCE_UNDETERMINED ? source_names[source] : "undetermined";
}

void ramify_diagnose_options_init(ramify_diagnose_options *options) {
    *options = (ramify_diagnose_options){.hidden = DEFAULT_HIDDEN, .decay = -1, .effort = 1};
}

/* The options of a training that the reference is like. */
static ramify_train_options train_options(const ramify_diagnose_options *options) {
    ramify_train_options train;
    ramify_train_options_init(&train);
    train.kind = "mlp";
    train.target = options->target;
    train.task = "regression";
    train.drop = options->drop;
    train.hidden = options->hidden;
    train.activation = options->activation;
    train.members = 1;
    train.epochs = options->epochs;
    train.batch = options->batch;
    train.rate = options->rate;
    train.decay = options->decay;
    train.seed = options->seed;
    train.time_limit = options->time_limit;
    train.periodic = train.bins = train.distillation = RAMIFY_CHOICE_OFF;
    return train;
}

static ramify_status check(ramify_context *context, const ramify_diagnose_options *options) {
    if (!options->hidden)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "a diagnosis is of networks of one size: give hidden widths, such as "
                           "\"%s\"",
                           DEFAULT_HIDDEN);
    if (!(options->effort >= EFFORT_LEAST && options->effort <= EFFORT_MOST))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "effort %g: must be %g to %g",
                           options->effort, EFFORT_LEAST, EFFORT_MOST);
    ramify_train_options train = train_options(options);
    return ramify_train_options_check(context, &train);
}

ramify_status ramify_diagnose_options_check(ramify_context *context,
                                            const ramify_diagnose_options *options) {
    ramify_clear(context);
    return check(context, options);
}

/* Classes are refused before the table is matched, in words of this call. */
static ramify_status infer(study *s, const ramify_table *table) {
    ramify_schema_request request = {.target = s->options->target, .drop = s->options->drop};
    RAMIFY_TRY(ramify_schema_infer(s->context, table, &request, &s->schema));
    if (s->schema->task == RAMIFY_TASK_CLASSIFICATION)
        return ramify_fail(s->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: the target is of words: a diagnosis is of the squared error of "
                           "numbers",
                           table->source);
    if (s->schema->target_count > 1)
        return ramify_fail(s->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: %u targets: a diagnosis is of one target; make one for each",
                           table->source, s->schema->target_count);
    return ramify_match_create_training(s->context, s->schema, table, &s->match);
}

static ramify_status make_problem(study *s, const ramify_table *table) {
    ramify_context *context = s->context;
    uint32_t *usable = ramify_allocate(context, table->rows, sizeof *usable);
    if (!usable)
        return RAMIFY_ERROR_MEMORY;
    size_t count = 0;
    ramify_status status = ramify_score_find_rows(context, s->match, usable, &count);
    if (status == RAMIFY_OK)
        status = ramify_problem_create(context, s->match, (ramify_rows){usable, count},
                                       (ramify_rows){0}, (ramify_rows){0}, NULL, false, &s->plain);
    ramify_release(context, usable);
    RAMIFY_TRY(status);
    s->made->rows = s->measured.rows = count;
    s->made->skipped_rows = table->rows - count;
    s->made->deviation = s->plain->head_scale[0];
    return RAMIFY_OK;
}

static bool is_constant(const ramify_problem *problem) {
    for (size_t i = 0; i < problem->rows; i++)
        if (problem->target[i] != 0)
            return false;
    return true;
}

static ramify_mlp_shape shape_of(const uint32_t *widths, uint32_t count) {
    ramify_mlp_shape shape = {.layers = count + 1, .members = 1};
    memcpy(shape.width + 1, widths, count * sizeof *widths);
    shape.width[shape.layers] = 1;
    return shape;
}

static bool many_rows(const study *s) {
    return s->plain->rows >= MANY_ROWS;
}

static ramify_status prepare(study *s) {
    RAMIFY_TRY(ramify_problem_widen(s->plain, MADE_ROWS, &s->problem));
    RAMIFY_TRY(ramify_diagnose_rows_make(s->problem, s->plain->rows, s->options->seed, &s->rows));
    ramify_train_options train = train_options(s->options);
    ramify_problem view =
        ramify_diagnose_view(s->problem, s->rows.fold[0].train, s->rows.fold[0].select);
    ramify_recipe_make(&view, &train, &s->recipe);
    uint32_t widths[RAMIFY_MLP_LAYERS_MAX], count = 0;
    uint32_t widest = (many_rows(s) ? LARGE_WIDTH_MANY : LARGE_WIDTH) / 2;
    if (!ramify_hidden_parse(s->options->hidden, widths, &count))
        return ramify_fail(s->context, RAMIFY_ERROR_ARGUMENT, "hidden \"%s\" is no list of widths",
                           s->options->hidden);
    s->shape = shape_of(widths, count);
    for (uint32_t i = 0; i < count; i++)
        widest = widths[i] > widest ? widths[i] : widest;
    widest = widest * 2 < LARGE_WIDTH_MOST ? widest * 2 : LARGE_WIDTH_MOST;
    s->large_shape = shape_of((const uint32_t[]){widest, widest}, 2);
    s->teacher = ramify_allocate(s->context, s->problem->rows, sizeof *s->teacher);
    s->ensemble = ramify_allocate_zeroed(s->context, s->problem->rows, sizeof *s->ensemble);
    return s->teacher && s->ensemble ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

/* Seconds that the next batch may take of those left; 0: no limit. */
static double seconds_of(const study *s, double share) {
    return s->deadline > 0 ? fmax(share * (s->deadline - ramify_seconds()), 1e-3) : 0;
}

/* A number that tells the seeds of all networks of a diagnosis apart. */
static uint64_t seed_of(const study *s, uint32_t stage, uint32_t fold, uint32_t restart) {
    ramify_random random = ramify_random_stream(s->options->seed, RAMIFY_PURPOSE_DIAGNOSE,
                                                100 + stage, (uint64_t)fold * 100 + restart);
    return ramify_random_bits(&random) >> 12;
}

/* The first `share` of a fold's training rows train. */
static ramify_diagnose_job job_of(const study *s, const char *stage, uint32_t fold, double share,
                                  const ramify_mlp_shape *shape) {
    const ramify_diagnose_fold *of = &s->rows.fold[fold];
    ramify_rows train = of->train;
    train.count = ramify_larger((size_t)(share * (double)train.count), 1);
    return (ramify_diagnose_job){
        .stage = stage,
        .view = ramify_diagnose_view(s->problem, train, of->select),
        .test = of->test,
        .fold = fold,
        .shape = *shape,
    };
}

static void write_widths(const ramify_mlp_shape *shape, char *text, size_t room) {
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t l = 1; l < shape->layers && at < room; l++)
        at += (size_t)snprintf(text + at, room - at, "%s%u", l > 1 ? "," : "", shape->width[l]);
}

/* Adds the fits to the diagnosis. */
static ramify_status record(study *s, const ramify_diagnose_job *jobs, size_t count) {
    ramify_diagnosis *made = s->made;
    ramify_diagnosis_fit *more =
        ramify_reallocate(s->context, made->fits, made->fit_count + count, sizeof *made->fits);
    if (!more)
        return RAMIFY_ERROR_MEMORY;
    made->fits = more;
    for (size_t i = 0; i < count; i++) {
        const ramify_diagnose_job *job = &jobs[i];
        made->time_limit_struck = made->time_limit_struck || job->cut;
        ramify_diagnosis_fit *fit = &made->fits[made->fit_count++];
        *fit = (ramify_diagnosis_fit){
            .stage = job->stage,
            .fold = job->fold,
            .rows = job->view.train.count,
            .epochs = job->plan.epochs,
            .batch = job->plan.batch,
            .rate = job->plan.rate,
            .train_error = made->deviation * sqrt(job->train_error),
            .test_error = made->deviation * sqrt(job->test_error),
        };
        write_widths(&job->shape, fit->hidden, sizeof fit->hidden);
    }
    return RAMIFY_OK;
}

static ramify_status fit_all(study *s, ramify_diagnose_job *jobs, size_t count, double share) {
    RAMIFY_TRY(ramify_diagnose_fit_all(s->context, &s->recipe, jobs, count, seconds_of(s, share)));
    return record(s, jobs, count);
}

/* Squared errors on rows held out, of the mean over jobs of a group: errors[row of the table], NaN
 * where no fold held it out. Each job's own squared error instead, averaged, without `together`. */
static void held_out_errors(const study *s, const ramify_diagnose_job *jobs, size_t count,
                            uint32_t group, bool together, double *errors /* real rows */) {
    for (size_t i = 0; i < s->rows.real; i++)
        errors[i] = NAN;
    for (uint32_t f = 0; f < s->rows.folds; f++) {
        ramify_rows test = s->rows.fold[f].test;
        for (size_t i = 0; i < test.count; i++) {
            double target = s->problem->target[test.row[i]], sum = 0, squares = 0;
            size_t found = 0;
            for (size_t j = 0; j < count; j++) {
                if (jobs[j].group != group || jobs[j].fold != f)
                    continue;
                double y = jobs[j].outputs[i];
                sum += y;
                squares += (y - target) * (y - target);
                found++;
            }
            if (found == 0)
                continue;
            double mean = sum / (double)found - target;
            errors[test.row[i]] = together ? mean * mean : squares / (double)found;
        }
    }
}

/* Mean of the numbers that are there, its standard error, and how many there are. */
static double mean_of(const double *values, size_t count, double *standard_error, size_t *there) {
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i])) {
            sum += values[i];
            n++;
        }
    double mean = n > 0 ? sum / (double)n : NAN;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            squares += (values[i] - mean) * (values[i] - mean);
    if (standard_error)
        *standard_error = n > 1 ? sqrt(squares / ((double)n - 1) / (double)n) : NAN;
    if (there)
        *there = n;
    return mean;
}

static double group_mean(const ramify_diagnose_job *jobs, size_t count, uint32_t group,
                         double (*of)(const ramify_diagnose_job *)) {
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].group == group) {
            sum += of(&jobs[i]);
            n++;
        }
    return sum / (double)n;
}

static double select_of(const ramify_diagnose_job *job) {
    return job->select_error;
}

static double train_of(const ramify_diagnose_job *job) {
    return job->train_error;
}

static double test_of(const ramify_diagnose_job *job) {
    return job->test_error;
}

/* The longer training whose select rows, of all folds, it does best on. */
static uint32_t best_longer(const ramify_diagnose_job *jobs, size_t count) {
    uint32_t best = 0;
    for (uint32_t g = 1; g < TRIALS_LONG; g++)
        if (group_mean(jobs, count, g, select_of) < group_mean(jobs, count, best, select_of))
            best = g;
    return best;
}

static double reference_steps(const study *s) {
    double rows = (double)s->rows.fold[0].train.count;
    return s->recipe.root.epochs * ceil(rows / fmin(s->recipe.root.batch, rows));
}

/* Trains the same size for longer, at two rates, and from the reference's weights. */
static ramify_status train_longer(study *s, const ramify_diagnose_job *reference,
                                  ramify_diagnose_job *jobs, double *before, double *errors) {
    double steps = reference_steps(s);
    double effort = s->options->effort;
    double longer = fmax(LONGER_STEPS * effort, LONGER * steps);
    double longest = fmax(LONGEST_STEPS * effort, LONGEST * steps);
    const double trial_steps[TRIALS_LONG] = {longer, longest, longest, longer};
    const double rates[TRIALS_LONG] = {RATE, RATE, RATE_SLOW, RATE_SLOW};
    size_t count = 0;
    for (uint32_t g = 0; g < TRIALS_LONG; g++)
        for (uint32_t f = 0; f < s->rows.folds; f++) {
            bool warm = g == TRIALS_LONG - 1;
            ramify_diagnose_job *job = &jobs[count++];
            *job = job_of(s, warm ? "warm start" : "longer", f, 1, &s->shape);
            job->group = g;
            job->plan = ramify_diagnose_plan(&s->recipe.root, job->view.train.count, trial_steps[g],
                                             rates[g], seed_of(s, 2 + g, f, 0));
            job->warm = warm ? reference[(size_t)f * RESTARTS].root : NULL;
        }
    RAMIFY_TRY(fit_all(s, jobs, count, 0.35));
    uint32_t best = best_longer(jobs, count);
    s->best_rate = rates[best];
    s->best_steps = trial_steps[best];
    held_out_errors(s, jobs, count, best, false, errors);
    for (size_t i = 0; i < s->rows.real; i++)
        errors[i] = before[i] - errors[i];
    s->measured.gain = mean_of(errors, s->rows.real, &s->measured.gain_error, NULL);
    s->measured.longer_train = group_mean(jobs, count, best, train_of);
    return RAMIFY_OK;
}

/* The reference network, and the same size trained longer. */
static ramify_status measure_training(study *s) {
    ramify_context *context = s->context;
    size_t folds = s->rows.folds, real = s->rows.real, count = 0;
    size_t longer_count = folds * TRIALS_LONG;
    ramify_diagnose_job *jobs = ramify_allocate_zeroed(context, folds * RESTARTS, sizeof *jobs);
    ramify_diagnose_job *longer = ramify_allocate_zeroed(context, longer_count, sizeof *longer);
    double *errors = ramify_allocate(context, 2 * real, sizeof *errors);
    ramify_status status = jobs && longer && errors ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t f = 0; status == RAMIFY_OK && f < folds; f++)
        for (uint32_t r = 0; r < RESTARTS; r++) {
            ramify_diagnose_job *job = &jobs[count++];
            *job = job_of(s, "reference", f, 1, &s->shape);
            job->plan = s->recipe.root;
            job->plan.seed = seed_of(s, 1, f, r);
        }
    if (status == RAMIFY_OK)
        status = fit_all(s, jobs, count, 0.15);
    if (status == RAMIFY_OK) {
        held_out_errors(s, jobs, count, 0, false, errors);
        s->measured.reference_train = group_mean(jobs, count, 0, train_of);
        s->measured.reference =
            mean_of(errors, real, &s->measured.reference_error, &s->measured.held_out);
        status = train_longer(s, jobs, longer, errors, errors + real);
    }
    ramify_diagnose_jobs_clear(context, longer, longer_count);
    ramify_diagnose_jobs_clear(context, jobs, count);
    ramify_release(context, longer);
    ramify_release(context, jobs);
    ramify_release(context, errors);
    return status;
}

/* Adds what a trained network answers for every row, made-up ones too. */
static ramify_status add_to_ensemble(study *s, const ramify_root *root, float *scratch) {
    ramify_rows all = {s->rows.all, s->problem->rows};
    RAMIFY_TRY(ramify_diagnose_predict(s->problem, root, all, scratch));
    for (size_t i = 0; i < all.count; i++)
        s->ensemble[i] += scratch[i];
    s->ensemble_size++;
    return RAMIFY_OK;
}

static void plan_large(const study *s, uint32_t group, double share, double steps,
                       ramify_diagnose_job *jobs) {
    size_t count = 0;
    for (uint32_t f = 0; f < s->rows.folds; f++)
        for (uint32_t m = 0; m < MEMBERS; m++) {
            ramify_diagnose_job *job = &jobs[count++];
            *job = job_of(s, share < 1 ? "larger, half of the rows" : "larger", f, share,
                          &s->large_shape);
            job->group = group;
            job->plan = ramify_diagnose_plan(&s->recipe.root, job->view.train.count, steps,
                                             RATE / 2, seed_of(s, 10 + group, f, m));
        }
}

static uint32_t large_trials(const study *s) {
    return many_rows(s) ? LARGE_TRIALS : LARGE_TRIALS - 1;
}

/* The ensemble of the best length, by rows held out. */
static ramify_status judge_large(study *s, const ramify_diagnose_job *jobs, size_t count,
                                 uint32_t *best, double *errors, float *scratch) {
    ramify_diagnosis_measured *measured = &s->measured;
    double before = NAN; /* of the next shorter training */
    measured->large = INFINITY;
    *best = 0;
    for (uint32_t g = 0; g < large_trials(s); g++) {
        double standard_error;
        held_out_errors(s, jobs, count, g, true, errors);
        double mean = mean_of(errors, s->rows.real, &standard_error, NULL);
        bool better = g == 0 || mean < measured->large;
        /* Still falling at the end of what is tried. */
        if (many_rows(s) && g + 1 == large_trials(s))
            measured->large_falls = better ? before - mean : 0;
        before = mean;
        if (!better)
            continue;
        measured->large = mean;
        measured->large_error = standard_error;
        /* Of two members: what their mean gains on each is half of their variance. */
        measured->large_spread = 2 * (group_mean(jobs, count, g, test_of) - mean);
        *best = g;
    }
    for (size_t i = 0; i < count; i++)
        if (jobs[i].group == *best)
            RAMIFY_TRY(add_to_ensemble(s, jobs[i].root, scratch));
    return RAMIFY_OK;
}

/* Larger networks at several lengths on all rows, then at the best of these on half of them. */
static ramify_status measure_large(study *s) {
    ramify_context *context = s->context;
    size_t each = (size_t)s->rows.folds * MEMBERS, all = each * large_trials(s);
    ramify_diagnose_job *jobs = ramify_allocate_zeroed(context, all + each, sizeof *jobs);
    double *errors = ramify_allocate(context, s->rows.real, sizeof *errors);
    float *scratch = ramify_allocate(context, s->problem->rows, sizeof *scratch);
    ramify_status status = jobs && errors && scratch ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    uint32_t best = 0;
    double effort = s->options->effort;
    if (status == RAMIFY_OK) {
        for (uint32_t g = 0; g < large_trials(s); g++)
            plan_large(s, g, 1, effort * large_steps[g], jobs + g * each);
        status = fit_all(s, jobs, all, 0.5);
    }
    if (status == RAMIFY_OK)
        status = judge_large(s, jobs, all, &best, errors, scratch);
    if (status == RAMIFY_OK) {
        plan_large(s, 0, 0.5, effort * large_steps[best], jobs + all);
        status = fit_all(s, jobs + all, each, 0.4);
    }
    if (status == RAMIFY_OK) {
        held_out_errors(s, jobs + all, each, 0, true, errors);
        s->measured.large_half = mean_of(errors, s->rows.real, NULL, NULL);
    }
    ramify_diagnose_jobs_clear(context, jobs, all + each);
    ramify_release(context, jobs);
    ramify_release(context, errors);
    ramify_release(context, scratch);
    return status;
}

/* The best longer training on half of the rows. */
static ramify_status measure_half(study *s) {
    ramify_context *context = s->context;
    uint32_t folds = s->rows.folds;
    ramify_diagnose_job *jobs = ramify_allocate_zeroed(context, folds, sizeof *jobs);
    if (!jobs)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t f = 0; f < folds; f++) {
        jobs[f] = job_of(s, "longer, half of the rows", f, 0.5, &s->shape);
        jobs[f].plan = ramify_diagnose_plan(&s->recipe.root, jobs[f].view.train.count,
                                            s->best_steps, s->best_rate, seed_of(s, 20, f, 0));
    }
    ramify_status status = fit_all(s, jobs, folds, 0.3);
    if (status == RAMIFY_OK)
        s->measured.longer_half = group_mean(jobs, folds, 0, test_of);
    ramify_diagnose_jobs_clear(context, jobs, folds);
    ramify_release(context, jobs);
    return status;
}

static void features_of(const study *s, size_t row, double *x) {
    for (uint32_t f = 0; f < s->problem->stem.plain; f++)
        x[f] = s->problem->plain[row * s->problem->plain_stride + f];
}

/* The Gaussian process, and the better of its answers and the ensemble's as the teacher's. */
static ramify_status measure_gaussian(study *s) {
    ramify_context *context = s->context;
    size_t features = s->problem->stem.plain;
    size_t count = ramify_smaller(s->rows.real, RAMIFY_GAUSSIAN_ROWS);
    const uint32_t *order = s->rows.memory; /* the first fold's: all rows, shuffled */
    double *x = ramify_allocate(context, (count + 1) * features, sizeof *x);
    double *y = ramify_allocate(context, count, sizeof *y);
    ramify_gaussian *gaussian = NULL;
    ramify_status status = x && y ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; status == RAMIFY_OK && i < count; i++) {
        features_of(s, order[i], x + i * features);
        y[i] = s->problem->target[order[i]];
    }
    if (status == RAMIFY_OK)
        status = ramify_gaussian_fit(context, count, features, x, y, &gaussian);
    if (status == RAMIFY_OK) {
        ramify_diagnosis_measured *measured = &s->measured;
        measured->gaussian = gaussian->noise;
        measured->gaussian_low = gaussian->noise_low;
        measured->gaussian_high = gaussian->noise_high;
        measured->gaussian_left_out = gaussian->left_out;
        bool process = gaussian->left_out < measured->large;
        double *row = x + count * features;
        for (size_t i = 0; status == RAMIFY_OK && i < s->problem->rows; i++) {
            features_of(s, i, row);
            s->teacher[i] = (float)(process ? ramify_gaussian_predict(gaussian, row)
                                            : s->ensemble[i] / s->ensemble_size);
            if (i % CANCEL_ROWS == 0 && ramify_cancelled(context))
                status = ramify_fail(context, RAMIFY_STOPPED, "stopped");
        }
    }
    ramify_gaussian_destroy(context, &gaussian);
    ramify_release(context, x);
    ramify_release(context, y);
    return status;
}

/* Networks of the reference size that learn the teacher's answers, on made-up rows too: what the best
 * of them misses is what the size cannot hold. */
static ramify_status measure_students(study *s) {
    ramify_context *context = s->context;
    static const double rates[STUDENT_TRIALS] = {RATE, RATE, RATE_SLOW, RATE_SLOW};
    ramify_diagnose_job *jobs = ramify_allocate_zeroed(context, STUDENT_TRIALS, sizeof *jobs);
    double *errors = ramify_allocate(context, s->rows.real, sizeof *errors);
    ramify_status status = jobs && errors ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    ramify_rows all = {s->rows.all, s->problem->rows}, real = {s->rows.all, s->rows.real};
    for (uint32_t t = 0; status == RAMIFY_OK && t < STUDENT_TRIALS; t++) {
        jobs[t] = (ramify_diagnose_job){
            .stage = "student",
            .view = ramify_diagnose_view(s->problem, all, (ramify_rows){0}),
            .test = real,
            .shape = s->shape,
            .plan =
                ramify_diagnose_plan(&s->recipe.root, all.count, LONGEST_STEPS * s->options->effort,
                                     rates[t], seed_of(s, 30, 0, t)),
        };
        jobs[t].view.target = s->teacher;
    }
    if (status == RAMIFY_OK)
        status = fit_all(s, jobs, STUDENT_TRIALS, 0.9);
    if (status == RAMIFY_OK) {
        uint32_t best = 0;
        for (uint32_t t = 1; t < STUDENT_TRIALS; t++)
            if (jobs[t].test_error < jobs[best].test_error)
                best = t;
        for (size_t i = 0; i < real.count; i++) {
            double difference = (double)jobs[best].outputs[i] - s->teacher[i];
            errors[i] = difference * difference;
        }
        s->measured.student = mean_of(errors, real.count, &s->measured.student_error, NULL);
    }
    ramify_diagnose_jobs_clear(context, jobs, STUDENT_TRIALS);
    ramify_release(context, jobs);
    ramify_release(context, errors);
    return status;
}

static bool same_features(const ramify_problem *problem, size_t a, size_t b) {
    return memcmp(problem->plain + a * problem->plain_stride,
                  problem->plain + b * problem->plain_stride,
                  problem->stem.plain * sizeof *problem->plain) == 0;
}

/* Variance within groups of equal rows, with the group's mean counted once for each; and half the mean
 * squared difference to the nearest row, which holds the noise and what the target changes. */
static ramify_status measure_neighbours(study *s) {
    const ramify_problem *problem = s->problem;
    const uint32_t *order = s->rows.memory;
    size_t most = (size_t)sqrt(DIFFERENCES_MOST / problem->stem.plain);
    size_t count = ramify_smaller(s->rows.real, ramify_smaller(most, NEIGHBOURS_MOST));
    double *halves = ramify_allocate(s->context, count, sizeof *halves);
    if (!halves)
        return RAMIFY_ERROR_MEMORY;
    double within = 0;
    ramify_status status = RAMIFY_OK;
    for (size_t i = 0; i < count; i++) {
        if (ramify_cancelled(s->context)) {
            status = ramify_fail(s->context, RAMIFY_STOPPED, "stopped");
            break;
        }
        double least = INFINITY, mean = 0;
        size_t nearest = i, equal = 0;
        for (size_t j = 0; j < count; j++) {
            double distance =
                j == i ? INFINITY : ramify_diagnose_distance(problem, order[i], order[j]);
            if (distance < least) {
                least = distance;
                nearest = j;
            }
            if (distance == 0 && same_features(problem, order[i], order[j])) {
                mean += problem->target[order[j]];
                equal++;
            }
        }
        double y = problem->target[order[i]];
        double difference = y - problem->target[order[nearest]];
        halves[i] = 0.5 * difference * difference;
        if (equal > 0) {
            /* The rows of a group of k have k - 1 degrees of freedom together. */
            double group = (double)equal + 1, center = (mean + y) / group;
            within += (y - center) * (y - center);
            s->measured.replicate += (group - 1) / group;
        }
    }
    if (status == RAMIFY_OK) {
        s->measured.replicates = (size_t)(s->measured.replicate + 0.5);
        s->measured.replicate =
            s->measured.replicates > 0 ? within / s->measured.replicate : NOT_MEASURED;
        s->measured.neighbour = mean_of(halves, count, &s->measured.neighbour_error, NULL);
    }
    ramify_release(s->context, halves);
    return status;
}

/* The root of a mean square, which noise may have made negative; a missing one stays missing. */
static double root_of(double square) {
    return square < 0 ? 0 : sqrt(square);
}

static void add_evidence(ramify_diagnosis *made, const char *name, double value, double low,
                         double high) {
    double unit = made->deviation;
    made->evidence[made->evidence_count++] =
        (ramify_diagnosis_evidence){.name = name,
                                    .value = unit * root_of(value),
                                    .low = unit * root_of(low),
                                    .high = unit * root_of(high)};
}

/* An end of a 90 % interval. */
static double end_of(double value, double standard_error, double sign) {
    const double deviations = 1.6448536269514722; /* of a normal: 90 % */
    return value + sign * deviations * standard_error;
}

#define EVIDENCE_MOST 14

static ramify_status describe(study *s) {
    ramify_diagnosis *made = s->made;
    const ramify_diagnosis_measured *m = &s->measured;
    made->evidence = ramify_allocate(s->context, EVIDENCE_MOST, sizeof *made->evidence);
    if (!made->evidence)
        return RAMIFY_ERROR_MEMORY;
    add_evidence(made, "reference network", m->reference,
                 end_of(m->reference, m->reference_error, -1),
                 end_of(m->reference, m->reference_error, 1));
    add_evidence(made, "reference network, on its own rows", m->reference_train, NAN, NAN);
    add_evidence(made, "the same, trained longer", m->reference - m->gain,
                 end_of(m->reference - m->gain, m->reference_error, -1),
                 end_of(m->reference - m->gain, m->reference_error, 1));
    add_evidence(made, "what longer training gains", m->gain, end_of(m->gain, m->gain_error, -1),
                 end_of(m->gain, m->gain_error, 1));
    add_evidence(made, "the same, trained longer, on its own rows", m->longer_train, NAN, NAN);
    add_evidence(made, "the same, trained longer, half of the rows", m->longer_half, NAN, NAN);
    add_evidence(made, "larger networks", m->large, end_of(m->large, m->large_error, -1),
                 end_of(m->large, m->large_error, 1));
    add_evidence(made, "larger networks, half of the rows", m->large_half, NAN, NAN);
    add_evidence(made, "larger networks, disagreement", m->large_spread, NAN, NAN);
    add_evidence(made, "Gaussian process, row by row left out", m->gaussian_left_out, NAN, NAN);
    add_evidence(made, "size, against the best predictor", m->student,
                 end_of(m->student, m->student_error, -1), end_of(m->student, m->student_error, 1));
    add_evidence(made, "noise, Gaussian process", m->gaussian, m->gaussian_low, m->gaussian_high);
    if (m->replicates > 0)
        add_evidence(made, "noise, equal rows", m->replicate, NAN, NAN);
    add_evidence(made, "noise, nearest rows (at most)", m->neighbour, NAN,
                 end_of(m->neighbour, m->neighbour_error, 1));
    return RAMIFY_OK;
}

#define ADVICE_ROOM 1024

static ramify_status advise(study *s, const ramify_diagnosis_parts *parts, const char *instead) {
    ramify_diagnosis *made = s->made;
    char text[ADVICE_ROOM];
    if (instead)
        snprintf(text, sizeof text, "%s", instead);
    else
        ramify_diagnose_advice(parts, made->deviation, text, sizeof text);
    made->advice = ramify_copy_text(s->context, text);
    return made->advice ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static ramify_status conclude(study *s) {
    ramify_diagnosis *made = s->made;
    ramify_diagnosis_parts parts;
    ramify_diagnose_shares(&s->measured, s->options->seed, &parts);
    memcpy(made->shares, parts.shares, sizeof parts.shares);
    made->dominant = parts.dominant;
    made->certainty = parts.certainty;
    double error = s->measured.reference, unit = made->deviation;
    made->error = unit * sqrt(error);
    made->error_low = unit * root_of(end_of(error, s->measured.reference_error, -1));
    made->error_high = unit * root_of(end_of(error, s->measured.reference_error, 1));
    RAMIFY_TRY(describe(s));
    if (!made->time_limit_struck)
        return advise(s, &parts, NULL);
    /* Networks that were cut short look like whatever they had no time to overcome. */
    made->dominant = RAMIFY_SOURCE_UNDETERMINED;
    made->certainty = NAN;
    for (int i = 0; i < RAMIFY_ERROR_SOURCES; i++) {
        made->shares[i].low = 0;
        made->shares[i].high = 1;
    }
    return advise(
        s, NULL,
        "Undetermined: the time limit struck before everything was measured, and what was "
        "cut short cannot be told from what is wrong. Allow more time, or take fewer rows.");
}

static ramify_status diagnose(study *s, const ramify_table *table) {
    RAMIFY_TRY(infer(s, table));
    RAMIFY_TRY(make_problem(s, table));
    if (s->plain->rows < ROWS_LEAST)
        return advise(s, NULL,
                      "Undetermined: the rows are too few to hold some out and learn from the "
                      "others. More rows are needed before anything can be told apart.");
    if (is_constant(s->plain)) {
        s->made->deviation = 0;
        return advise(s, NULL,
                      "Undetermined: the target is the same in all rows, so there is no error to "
                      "attribute. One number is the whole model.");
    }
    if (ramify_schema_warn_of_constants(s->context, table, s->schema) == s->schema->column_count)
        return advise(s, NULL,
                      "Undetermined: all columns hold the same value in all rows, and tell nothing "
                      "of the target. Other columns are needed before there is anything to learn.");
    RAMIFY_TRY(prepare(s));
    ramify_log(s->context, RAMIFY_LOG_INFO, "%zu rows in folds: %zu train, %zu choose, %zu report",
               s->plain->rows, s->rows.fold[0].train.count, s->rows.fold[0].select.count,
               s->rows.fold[0].test.count);
    RAMIFY_TRY(measure_neighbours(s));
    RAMIFY_TRY(measure_training(s));
    RAMIFY_TRY(measure_half(s));
    RAMIFY_TRY(measure_large(s));
    RAMIFY_TRY(measure_gaussian(s));
    RAMIFY_TRY(measure_students(s));
    if (ramify_late(s->deadline))
        s->made->time_limit_struck = true;
    return conclude(s);
}

static void study_clear(study *s) {
    ramify_context *context = s->context;
    ramify_release(context, s->teacher);
    ramify_release(context, s->ensemble);
    ramify_diagnose_rows_clear(context, &s->rows);
    ramify_problem_destroy(context, &s->problem);
    ramify_problem_destroy(context, &s->plain);
    ramify_match_destroy(context, &s->match);
    ramify_schema_destroy(context, &s->schema);
}

void ramify_diagnosis_destroy(ramify_diagnosis **diagnosis) {
    if (!diagnosis || !*diagnosis)
        return;
    ramify_diagnosis *old = *diagnosis;
    *diagnosis = NULL;
    ramify_context *context = old->context;
    ramify_release(context, (void *)(uintptr_t)old->advice);
    ramify_release(context, old->evidence);
    ramify_release(context, old->fits);
    ramify_release(context, old);
}

ramify_status ramify_diagnose(ramify_context *context, const ramify_table *table,
                              const ramify_diagnose_options *options,
                              ramify_diagnosis **diagnosis) {
    ramify_clear(context);
    *diagnosis = NULL;
    RAMIFY_TRY(check(context, options));
    ramify_diagnosis *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->dominant = RAMIFY_SOURCE_UNDETERMINED;
    made->error = made->error_low = made->error_high = made->certainty = NAN;
    for (int i = 0; i < RAMIFY_ERROR_SOURCES; i++)
        made->shares[i] = (ramify_error_share){.share = NAN, .low = 0, .high = 1};
    study s = {.context = context, .options = options, .made = made};
    s.deadline = options->time_limit > 0 ? ramify_seconds() + options->time_limit : 0;
    ramify_status status = diagnose(&s, table);
    study_clear(&s);
    if (status != RAMIFY_OK)
        ramify_diagnosis_destroy(&made);
    *diagnosis = made;
    return status;
}

/* One pass over all rows with the finished model: sums per leaf from train and select rows; then the
 * tables, from train rows' distances and report rows' residuals. */

#include "annotate.h"
#include "memory.h"
#include "model.h"
#include "predict.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS 1024

/* What a training row's residual counts beside a select row's. Measured with the interval score
 * (Gneiting and Raftery 2007) at 90 % on kin40k, protein and sgemm, 32 KiB: .186, 1.88 and .161;
 * select rows alone .190, 1.90 and .161; a fifth is better by one more percent with distillation,
 * and worse by two without, where experts know the training rows by heart. */
#define TRAIN_SHARE 0.05

/* Rows that speak for the mean of all leaves at each of them; 1 to 10 score the same there. More would
 * level spreads that differ much. */
#define MEAN_ROWS 2.0

/* A table takes 3,200 bytes. */
#define ENTRIES 200

/* Entries at each end that are all kept. */
#define WHOLE_END 32

typedef struct annotating {
    const ramify_problem *problem;
    ramify_model *model;
    const ramify_match *match;
    ramify_predictor *predictor;
    uint32_t targets;
    size_t leaves;
    ramify_annotation *made;

    double *raw;     /* BLOCK_ROWS x columns */
    double *y;       /* BLOCK_ROWS x targets; NULL in a classification */
    uint32_t *leaf;  /* BLOCK_ROWS */
    float *nearness; /* BLOCK_ROWS */

    double *weights[2];     /* leaves: of train rows, of select rows */
    double *squares[2];     /* leaves x targets: of their residuals, in standard deviations */
    double *distances;      /* leaves: squares of train rows' */
    uint32_t *row_leaf;     /* of every train row, then every report row */
    float *row_distance;    /* of every train row */
    double *residual;       /* report rows x targets */
    struct weighed *sorted; /* as many as train rows, or report rows */
} annotating;

enum part { TRAIN, SELECT, REPORT };

typedef struct weighed {
    double value, weight;
} weighed;

static double weight_of(const ramify_problem *problem, size_t row) {
    return problem->weight ? (double)problem->weight[row] : 1;
}

/* Without a tree: distances to the centre of the training rows. problem rows first .. */
static void measure_from_center(annotating *a, size_t first, size_t count) {
    const ramify_problem *problem = a->problem;
    problem->kernels->distances(
        count, 1, problem->stem.plain, problem->plain + first * problem->plain_stride,
        problem->plain_stride, a->made->center, problem->plain_stride, a->nearness, 1);
}

/* Adds a block of rows, which are the problem's from `first` on and those of one part from `at`. */
static void add_block(annotating *a, enum part part, const uint32_t *rows, size_t first, size_t at,
                      size_t count) {
    const ramify_problem *problem = a->problem;
    for (size_t i = 0; i < count; i++) {
        size_t leaf = a->leaf[i];
        double weight = weight_of(problem, first + i);
        if (part != SELECT)
            a->row_leaf[(part == REPORT ? problem->train.count : 0) + at + i] = a->leaf[i];
        if (part == TRAIN) {
            a->row_distance[at + i] = sqrtf(a->nearness[i]);
            a->distances[leaf] += weight * (double)a->nearness[i];
        }
        if (part != REPORT)
            a->weights[part][leaf] += weight;
        for (uint32_t t = 0; t < a->targets; t++) {
            double residual =
                (ramify_match_target(a->match, t, rows[i]) - a->y[i * a->targets + t]) /
                problem->head_scale[t];
            if (part == REPORT)
                a->residual[(at + i) * a->targets + t] = residual;
            else
                a->squares[part][leaf * a->targets + t] += weight * residual * residual;
        }
    }
}

/* first: the problem's row that the part begins with. */
static ramify_status add_part(annotating *a, enum part part, const uint32_t *rows, size_t first,
                              size_t count) {
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t block = count - at < BLOCK_ROWS ? count - at : BLOCK_ROWS;
        ramify_match_rows(a->match, rows + at, 0, block, a->raw);
        RAMIFY_TRY(ramify_predictor_place(a->predictor, block, a->raw, a->model->stem.columns, a->y,
                                          a->leaf, a->nearness));
        if (a->made->center)
            measure_from_center(a, first + at, block);
        add_block(a, part, rows + at, first + at, at, block);
    }
    return RAMIFY_OK;
}

static double sum_of(const double *values, size_t count, size_t stride) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i * stride];
    return sum;
}

/* How far numbers of the file stay within their limits, which rounding to float32 must not pass. */
#define MARGIN 1.001

/* Numbers of the file that are divided by. */
static float bounded(double value) {
    return (float)fmin(fmax(value, MARGIN / RAMIFY_NOTES_NUMBER_MAX),
                       RAMIFY_NOTES_NUMBER_MAX / MARGIN);
}

static void find_reaches(annotating *a) {
    double rows = sum_of(a->weights[TRAIN], a->leaves, 1);
    double all = sum_of(a->distances, a->leaves, 1) / rows;
    if (!(all > 0))
        all = 1; /* all rows are the same */
    for (size_t leaf = 0; leaf < a->leaves; leaf++)
        a->made->reach[leaf] = bounded(
            sqrt((a->distances[leaf] + MEAN_ROWS * all) / (a->weights[TRAIN][leaf] + MEAN_ROWS)));
}

static void find_spreads(annotating *a, uint32_t target) {
    static const double share[2] = {[TRAIN] = TRAIN_SHARE, [SELECT] = 1};
    double mean[2], scale = 0;
    for (int part = TRAIN; part <= SELECT; part++) {
        double rows = sum_of(a->weights[part], a->leaves, 1);
        mean[part] = rows > 0 ? sum_of(a->squares[part] + target, a->leaves, a->targets) / rows : 0;
        if (mean[part] > 0)
            scale = sqrt(mean[part]);
    }
    if (!(scale > 0))
        scale = 1; /* nothing is off */
    for (size_t leaf = 0; leaf < a->leaves; leaf++) {
        double squares = MEAN_ROWS, rows = MEAN_ROWS;
        for (int part = TRAIN; part <= SELECT; part++) {
            if (!(mean[part] > 0))
                continue;
            squares += share[part] * a->squares[part][leaf * a->targets + target] / mean[part];
            rows += share[part] * a->weights[part][leaf];
        }
        a->made->spread[leaf * a->targets + target] = bounded(scale * sqrt(squares / rows));
    }
}

uint32_t ramify_thin(size_t n, uint32_t most, size_t *kept) {
    uint32_t half = most / 2;
    for (size_t i = 0; i < n && n <= most; i++)
        kept[i] = i;
    if (n <= most)
        return (uint32_t)n;
    double last = (double)(n / 2 - 1), whole = WHOLE_END < half - 1 ? WHOLE_END : half - 1;
    for (uint32_t i = 0; i < half; i++) {
        size_t at = i;
        if (i > whole)
            at = (size_t)(whole * pow(last / whole, (i - whole) / (half - 1 - whole)));
        if (i > 0 && at <= kept[i - 1])
            at = kept[i - 1] + 1;
        kept[i] = at;
        kept[most - 1 - i] = n - 1 - at;
    }
    return most;
}

static int compare_weighed(const void *left, const void *right) {
    const weighed *a = left, *b = right;
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return (a->weight > b->weight) - (a->weight < b->weight);
}

/* Sorts, thins, and sets shares. A share is the weight before an entry over all weight; with a place
 * left for the row to come, in which case entry i of n of equal weight has the share (i + 1) / (n +
 * 1). entries[at most ENTRIES]. */
static uint32_t make_table(weighed *sorted, size_t count, bool place, ramify_note *entries) {
    size_t kept[ENTRIES];
    qsort(sorted, count, sizeof *sorted, compare_weighed);
    double all = 0, before = 0;
    for (size_t i = 0; i < count; i++)
        all += sorted[i].weight;
    double own = place ? all / (double)count : 0;
    uint32_t number = ramify_thin(count, ENTRIES, kept);
    size_t at = 0;
    for (uint32_t k = 0; k < number; k++) {
        for (; at < kept[k]; at++)
            before += sorted[at].weight;
        double middle = place ? (sorted[at].weight + own) / 2 : 0;
        entries[k] = (ramify_note){
            .share = (before + middle) / (all + own),
            .value =
                fmin(fmax(sorted[at].value, -RAMIFY_NOTES_NUMBER_MAX), RAMIFY_NOTES_NUMBER_MAX),
        };
    }
    return number;
}

static void tabulate_distances(annotating *a) {
    size_t count = 0;
    for (size_t i = 0; i < a->problem->train.count; i++) {
        double weight = weight_of(a->problem, i);
        if (weight > 0)
            a->sorted[count++] = (weighed){
                (double)a->row_distance[i] / (double)a->made->reach[a->row_leaf[i]], weight};
    }
    a->made->notes.shape.distances = make_table(a->sorted, count, false, a->made->distances);
}

/* Of problem rows first .. first + count. */
static size_t rows_that_weigh(const ramify_problem *problem, size_t first, size_t count) {
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += weight_of(problem, first + i) > 0;
    return rows;
}

/* Entries of the tables of residuals of so many report rows. */
static uint32_t residual_entries(size_t rows) {
    return rows < RAMIFY_ANNOTATE_LEAST_ROWS ? 0 : rows < ENTRIES ? (uint32_t)rows : ENTRIES;
}

static void tabulate_residuals(annotating *a) {
    ramify_annotation *made = a->made;
    const ramify_problem *problem = a->problem;
    size_t first = problem->train.count + problem->select.count;
    size_t count = rows_that_weigh(problem, first, problem->report.count);
    const uint32_t entries = a->targets > 0 ? residual_entries(count) : 0;
    if (entries == 0)
        return;
    for (uint32_t t = 0; t < a->targets; t++) {
        count = 0;
        for (size_t i = 0; i < problem->report.count; i++) {
            double weight = weight_of(problem, first + i);
            size_t leaf = a->row_leaf[problem->train.count + i];
            if (weight > 0)
                a->sorted[count++] = (weighed){a->residual[i * a->targets + t] /
                                                   (double)made->spread[leaf * a->targets + t],
                                               weight};
        }
        make_table(a->sorted, count, true, made->residuals + (size_t)t * entries);
    }
    made->notes.shape.residuals = entries;
    made->notes.shape.rows = (uint32_t)count;
}

/* Mean plain features of the training rows. */
static ramify_status find_center(annotating *a) {
    const ramify_problem *problem = a->problem;
    size_t stride = problem->plain_stride, plain = problem->stem.plain;
    a->made->center = ramify_allocate_zeroed(problem->context, stride, sizeof(float));
    double *sum = ramify_allocate_zeroed(problem->context, plain, sizeof *sum);
    double rows = 0;
    for (size_t i = 0; sum && i < problem->train.count; i++) {
        double weight = weight_of(problem, i);
        rows += weight;
        for (size_t j = 0; j < plain; j++)
            sum[j] += weight * (double)problem->plain[i * stride + j];
    }
    for (size_t j = 0; sum && a->made->center && j < plain; j++)
        a->made->center[j] = (float)(sum[j] / rows);
    bool there = sum && a->made->center;
    ramify_release(problem->context, sum);
    return there ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static void annotating_clear(annotating *a) {
    void *parts[] = {a->raw,          a->y,          a->leaf,       a->nearness,  a->weights[0],
                     a->weights[1],   a->squares[0], a->squares[1], a->distances, a->row_leaf,
                     a->row_distance, a->residual,   a->sorted};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ramify_release(a->problem->context, parts[i]);
    ramify_predictor_destroy(&a->predictor);
}

static ramify_status take_memory(annotating *a) {
    const ramify_problem *problem = a->problem;
    ramify_context *context = problem->context;
    size_t train = problem->train.count, report = problem->report.count, targets = a->targets;
    a->raw = ramify_allocate(context, BLOCK_ROWS * (size_t)a->model->stem.columns, sizeof *a->raw);
    a->y = targets ? ramify_allocate(context, BLOCK_ROWS * targets, sizeof *a->y) : NULL;
    a->leaf = ramify_allocate(context, BLOCK_ROWS, sizeof *a->leaf);
    a->nearness = ramify_allocate(context, BLOCK_ROWS, sizeof *a->nearness);
    bool there = a->raw && (a->y || !targets) && a->leaf && a->nearness;
    for (int part = TRAIN; part <= SELECT; part++) {
        a->weights[part] = ramify_allocate_zeroed(context, a->leaves, sizeof(double));
        a->squares[part] = ramify_allocate_zeroed(context, a->leaves, targets * sizeof(double));
        there = there && a->weights[part] && a->squares[part];
    }
    a->distances = ramify_allocate_zeroed(context, a->leaves, sizeof *a->distances);
    a->row_leaf = ramify_allocate(context, train + report, sizeof *a->row_leaf);
    a->row_distance = ramify_allocate(context, train, sizeof *a->row_distance);
    a->residual = ramify_allocate(context, report, targets * sizeof *a->residual);
    a->sorted = ramify_allocate(context, train > report ? train : report, sizeof *a->sorted);
    ramify_annotation *made = a->made;
    made->residuals = ramify_allocate(context, ENTRIES, targets * sizeof *made->residuals);
    made->distances = ramify_allocate(context, ENTRIES, sizeof *made->distances);
    made->reach = ramify_allocate(context, a->leaves, sizeof *made->reach);
    made->spread = ramify_allocate(context, a->leaves, targets * sizeof *made->spread);
    there = there && a->distances && a->row_leaf && a->row_distance && a->residual && a->sorted;
    return there && made->residuals && made->distances && made->reach && made->spread
               ? RAMIFY_OK
               : RAMIFY_ERROR_MEMORY;
}

static ramify_status measure(annotating *a, const ramify_split *split) {
    const ramify_problem *problem = a->problem;
    size_t train = problem->train.count, select = problem->select.count;
    RAMIFY_TRY(take_memory(a));
    RAMIFY_TRY(
        ramify_predictor_create_inside(problem->context, a->model, BLOCK_ROWS, &a->predictor));
    if (a->model->limits.nodes == 0)
        RAMIFY_TRY(find_center(a));
    RAMIFY_TRY(add_part(a, TRAIN, split->train, 0, train));
    if (a->targets > 0) {
        RAMIFY_TRY(add_part(a, SELECT, split->select, train, select));
        RAMIFY_TRY(add_part(a, REPORT, split->report, train + select, problem->report.count));
    }
    find_reaches(a);
    for (uint32_t t = 0; t < a->targets; t++)
        find_spreads(a, t);
    tabulate_distances(a);
    tabulate_residuals(a);
    return RAMIFY_OK;
}

static void point_to_parts(ramify_annotation *made) {
    made->notes.residuals = made->residuals;
    made->notes.distances = made->distances;
    made->notes.center = made->center;
    made->notes.reach = made->reach;
    made->notes.spread = made->spread;
}

ramify_status ramify_annotate(const ramify_problem *problem, ramify_model *model,
                              const ramify_match *match, const ramify_split *split,
                              ramify_annotation **annotation) {
    annotating a = {
        .problem = problem,
        .model = model,
        .match = match,
        .targets = problem->targets,
        .leaves = (size_t)model->limits.leaves,
        .made = ramify_allocate_zeroed(problem->context, 1, sizeof(ramify_annotation)),
    };
    if (!a.made)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = measure(&a, split);
    annotating_clear(&a);
    if (status != RAMIFY_OK) {
        ramify_annotation_destroy(problem->context, &a.made);
        return status;
    }
    point_to_parts(a.made);
    *annotation = a.made;
    return RAMIFY_OK;
}

ramify_status ramify_annotation_blank(const ramify_problem *problem, const ramify_model *model,
                                      ramify_annotation **annotation) {
    ramify_context *context = problem->context;
    const size_t targets = problem->targets, train = problem->train.count;
    const size_t leaves = (size_t)model->limits.leaves, report = problem->report.count;
    ramify_annotation *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    const size_t rows = rows_that_weigh(problem, 0, train);
    const size_t reports = rows_that_weigh(problem, train + problem->select.count, report);
    made->notes.shape.distances = rows < ENTRIES ? (uint32_t)rows : ENTRIES;
    made->notes.shape.residuals = targets > 0 ? residual_entries(reports) : 0;
    made->notes.shape.rows = made->notes.shape.residuals > 0 ? (uint32_t)reports : 0;
    made->residuals = ramify_allocate_zeroed(context, ENTRIES, targets * sizeof *made->residuals);
    made->distances = ramify_allocate_zeroed(context, ENTRIES, sizeof *made->distances);
    made->reach = ramify_allocate_zeroed(context, leaves, sizeof *made->reach);
    made->spread = ramify_allocate_zeroed(context, leaves, targets * sizeof *made->spread);
    if (model->limits.nodes == 0)
        made->center = ramify_allocate_zeroed(context, problem->plain_stride, sizeof(float));
    if (!made->residuals || !made->distances || !made->reach || !made->spread ||
        (model->limits.nodes == 0 && !made->center)) {
        ramify_annotation_destroy(context, &made);
        return RAMIFY_ERROR_MEMORY;
    }
    point_to_parts(made);
    *annotation = made;
    return RAMIFY_OK;
}

void ramify_annotation_destroy(ramify_context *context, ramify_annotation **annotation) {
    if (!*annotation)
        return;
    ramify_annotation *old = *annotation;
    *annotation = NULL;
    void *parts[] = {old->residuals, old->distances, old->center, old->reach, old->spread};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ramify_release(context, parts[i]);
    ramify_release(context, old);
}

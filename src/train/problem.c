/* From a matched table to plain features and standardised targets. Statistics come from training
 * rows only. */

#include "problem.h"
#include "crc32c.h"
#include "memory.h"
#include "moments.h"
#include "status.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows that are fetched from the table at a time. */
#define BLOCK_ROWS 1024

static bool find_far(const ramify_moments *m, ramify_far_value *far) {
    return ramify_moments_far(m, &far->value, &far->low, &far->high);
}

static void plan_columns(const ramify_schema *schema, const bool *missing, ramify_problem *made) {
    made->stem = (ramify_stem){.center = made->center, .scale = made->scale};
    ramify_problem_plan_columns(schema, missing, made->column, &made->stem);
    made->plain_stride = ramify_pad(made->stem.plain);
}

/* Scales that are known. */
typedef struct known_scales {
    const ramify_stem *stem;
    const double *head_center, *head_scale;
} known_scales;

static ramify_status take_columns(ramify_problem *made, const ramify_schema *schema,
                                  const ramify_stem *stem) {
    bool *missing = ramify_allocate_zeroed(made->context, schema->column_count, sizeof *missing);
    if (!missing)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        made->center[c] = stem->center[c];
        made->scale[c] = stem->scale[c];
        missing[c] = stem->column[c].codes == 0 && stem->column[c].missing > 0;
    }
    plan_columns(schema, missing, made);
    ramify_release(made->context, missing);
    return RAMIFY_OK;
}

static ramify_status measure_columns(ramify_problem *made, const ramify_match *match,
                                     ramify_rows train, bool alike, double *block) {
    ramify_context *context = made->context;
    const ramify_schema *schema = match->schema;
    uint32_t columns = schema->column_count;
    ramify_moments *moment = ramify_allocate_zeroed(context, columns, sizeof *moment);
    bool *missing = ramify_allocate_zeroed(context, columns, sizeof *missing);
    if (!moment || !missing) {
        ramify_release(context, moment);
        ramify_release(context, missing);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t first = 0; first < train.count; first += BLOCK_ROWS) {
        size_t count = train.count - first < BLOCK_ROWS ? train.count - first : BLOCK_ROWS;
        ramify_match_rows(match, train.row + first, 0, count, block);
        for (size_t i = 0; i < count; i++)
            for (uint32_t c = 0; c < columns; c++) {
                double x = block[i * columns + c];
                if (isnan(x))
                    missing[c] = true;
                else if (!schema->columns[c].categorical)
                    ramify_moments_add(&moment[alike ? 0 : c], x);
            }
    }
    for (uint32_t c = 0; c < columns; c++) {
        const ramify_moments *of = &moment[alike ? 0 : c];
        made->center[c] = schema->columns[c].categorical ? 0.0 : ramify_moments_center(of);
        made->scale[c] = schema->columns[c].categorical ? 1.0 : ramify_moments_scale(of);
        ramify_far_value far = {.column = schema->columns[c].name, .pixel = alike};
        if (!made->far.column && !schema->columns[c].categorical && find_far(of, &far))
            made->far = far;
    }
    plan_columns(schema, missing, made);
    ramify_release(context, moment);
    ramify_release(context, missing);
    return RAMIFY_OK;
}

static void measure_targets(ramify_problem *made, const ramify_match *match, ramify_rows train) {
    for (uint32_t t = 0; t < made->targets; t++) {
        ramify_moments moment = {0};
        for (size_t i = 0; i < train.count; i++)
            ramify_moments_add(&moment, ramify_match_target(match, t, train.row[i]));
        made->head_center[t] = ramify_moments_center(&moment);
        made->head_scale[t] = ramify_moments_scale(&moment);
        ramify_far_value far = {.column = match->schema->targets[t]};
        if (!made->far.column && find_far(&moment, &far))
            made->far = far;
    }
}

void ramify_problem_warn_of_far(const ramify_problem *problem, const char *source) {
    const ramify_far_value *far = &problem->far;
    char excerpt[RAMIFY_EXCERPT_BYTES], where[RAMIFY_EXCERPT_BYTES + 16] = "a pixel";
    if (!far->column)
        return;
    if (!far->pixel)
        snprintf(where, sizeof where, "column \"%s\"",
                 ramify_text_excerpt(far->column, strlen(far->column), excerpt));
    ramify_log(
        problem->context, RAMIFY_LOG_WARNING,
        "%s: %s has the value %g in one row, and %g to %g in all others, which look the same "
        "beside it: leave that row out, or transform the values",
        source, where, far->value, far->low, far->high);
}

static double standardise(double x, double center, double scale) {
    double difference = x - center;
    /* Numbers of both signs at the end of the range: the difference overflows, the quotient not. */
    return isfinite(difference) ? difference / scale : x / scale - center / scale;
}

static void fill(ramify_problem *made, const ramify_match *match, const uint32_t *table_rows,
                 double *block) {
    uint32_t columns = made->stem.columns;
    for (size_t first = 0; first < made->rows; first += BLOCK_ROWS) {
        size_t count = made->rows - first < BLOCK_ROWS ? made->rows - first : BLOCK_ROWS;
        ramify_match_rows(match, table_rows + first, 0, count, block);
        ramify_stem_plain(made->kernels, &made->stem, count, block, columns,
                          made->plain + first * made->plain_stride, made->plain_stride);
    }
    for (size_t i = 0; i < made->rows; i++) {
        if (made->label)
            made->label[i] = (uint32_t)ramify_match_target(match, 0, table_rows[i]);
        for (uint32_t t = 0; t < made->targets; t++)
            made->target[i * made->targets + t] =
                (float)standardise(ramify_match_target(match, t, table_rows[i]),
                                   made->head_center[t], made->head_scale[t]);
    }
}

static void fill_weights(ramify_problem *made, const ramify_column *weight,
                         const uint32_t *table_rows) {
    double sum = 0;
    for (size_t i = 0; i < made->train.count; i++)
        sum += ramify_column_value(weight, table_rows[i]);
    double mean = sum > 0 ? sum / (double)made->train.count : 1.0;
    for (size_t i = 0; i < made->rows; i++)
        made->weight[i] = (float)(ramify_column_value(weight, table_rows[i]) / mean);
}

/* A problem of so many rows, numbered as they are, without scales and plain features. */
static ramify_status make(ramify_context *context, const ramify_schema *schema, size_t train,
                          size_t select, size_t report, bool weighted, ramify_problem **problem) {
    ramify_problem *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->kernels = ramify_kernels_select(ramify_isa(context));
    made->schema = schema;
    made->rows = train + select + report;
    bool classes = schema->task == RAMIFY_TASK_CLASSIFICATION;
    made->targets = classes ? 0 : schema->target_count;
    made->outputs = classes ? schema->class_count : schema->target_count;
    size_t columns = schema->column_count;
    made->column = ramify_allocate(context, columns, sizeof *made->column);
    made->center = ramify_allocate(context, columns, sizeof *made->center);
    made->scale = ramify_allocate(context, columns, sizeof *made->scale);
    made->row_memory = ramify_allocate(context, made->rows, sizeof *made->row_memory);
    made->head_center = ramify_allocate_zeroed(context, made->targets + 1, sizeof(double));
    made->head_scale = ramify_allocate_zeroed(context, made->targets + 1, sizeof(double));
    if (classes)
        made->label = ramify_allocate(context, made->rows, sizeof *made->label);
    else
        made->target = ramify_allocate(context, made->rows * made->targets, sizeof(float));
    if (weighted)
        made->weight = ramify_allocate(context, made->rows, sizeof *made->weight);
    if (!made->column || !made->center || !made->scale || !made->row_memory || !made->head_center ||
        !made->head_scale || !(made->label || made->target) || (weighted && !made->weight)) {
        ramify_problem_destroy(context, &made);
        return RAMIFY_ERROR_MEMORY;
    }
    for (size_t i = 0; i < made->rows; i++)
        made->row_memory[i] = (uint32_t)i;
    made->train = (ramify_rows){made->row_memory, train};
    made->observed = made->train;
    made->select = (ramify_rows){made->row_memory + train, select};
    made->report = (ramify_rows){made->select.row + select, report};
    *problem = made;
    return RAMIFY_OK;
}

/* Once columns are known. */
static ramify_status make_plain(ramify_problem *made) {
    ramify_stem_classify(&made->stem);
    made->plain = ramify_allocate(made->context, made->rows * made->plain_stride, sizeof(float));
    return made->plain ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
}

static void take_head(ramify_problem *made, const double *center, const double *scale) {
    if (made->targets == 0)
        return;
    memcpy(made->head_center, center, made->targets * sizeof(double));
    memcpy(made->head_scale, scale, made->targets * sizeof(double));
}

/* known: NULL, or scales that need not be measured. */
static ramify_status create(ramify_context *context, const ramify_match *match, ramify_rows train,
                            ramify_rows select, ramify_rows report, const ramify_column *weight,
                            bool alike, const known_scales *known, ramify_problem **problem) {
    const ramify_schema *schema = match->schema;
    ramify_problem *made;
    RAMIFY_TRY(
        make(context, schema, train.count, select.count, report.count, weight != NULL, &made));
    uint32_t *table_rows = ramify_allocate(context, made->rows, sizeof *table_rows);
    double *block =
        ramify_allocate(context, BLOCK_ROWS * (size_t)schema->column_count, sizeof *block);
    ramify_status status = RAMIFY_ERROR_MEMORY;
    if (table_rows && block)
        status = known ? take_columns(made, schema, known->stem)
                       : measure_columns(made, match, train, alike, block);
    if (status == RAMIFY_OK)
        status = make_plain(made);
    if (status == RAMIFY_OK) {
        const ramify_rows parts[] = {train, select, report};
        size_t next = 0;
        for (size_t part = 0; part < 3; part++) /* a part may be empty, and its rows NULL */
            for (size_t i = 0; i < parts[part].count; i++)
                table_rows[next++] = parts[part].row[i];
        if (known)
            take_head(made, known->head_center, known->head_scale);
        else
            measure_targets(made, match, train);
        fill(made, match, table_rows, block);
        if (weight)
            fill_weights(made, weight, table_rows);
    }
    ramify_release(context, table_rows);
    ramify_release(context, block);
    if (status != RAMIFY_OK)
        ramify_problem_destroy(context, &made);
    else
        *problem = made;
    return status;
}

ramify_status ramify_problem_create_empty(ramify_context *context, const ramify_schema *schema,
                                          size_t train, size_t select, size_t report, bool weighted,
                                          const ramify_stem *stem, const double *head_center,
                                          const double *head_scale, ramify_problem **problem) {
    ramify_problem *made;
    RAMIFY_TRY(make(context, schema, train, select, report, weighted, &made));
    ramify_status status = take_columns(made, schema, stem);
    if (status == RAMIFY_OK)
        status = make_plain(made);
    if (status != RAMIFY_OK) {
        ramify_problem_destroy(context, &made);
        return status;
    }
    take_head(made, head_center, head_scale);
    *problem = made;
    return RAMIFY_OK;
}

double ramify_problem_standardise(double x, double center, double scale) {
    return standardise(x, center, scale);
}

void ramify_problem_plan_columns(const ramify_schema *schema, const bool *missing,
                                 ramify_stem_column *column, ramify_stem *stem) {
    uint32_t plain = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const ramify_schema_column *from = &schema->columns[c];
        column[c] = (ramify_stem_column){.plain = plain, .feature = plain};
        if (from->categorical) {
            column[c].codes = from->category_count + 1;
            plain += column[c].codes;
        } else {
            column[c].missing = missing[c];
            plain += 1 + column[c].missing;
        }
    }
    stem->columns = schema->column_count;
    stem->plain = stem->features = stem->routes = plain;
    stem->column = column;
}

ramify_status ramify_problem_create(ramify_context *context, const ramify_match *match,
                                    ramify_rows train, ramify_rows select, ramify_rows report,
                                    const ramify_column *weight, bool alike,
                                    ramify_problem **problem) {
    return create(context, match, train, select, report, weight, alike, NULL, problem);
}

ramify_status ramify_problem_create_for(ramify_context *context, const ramify_match *match,
                                        ramify_rows train, ramify_rows select, ramify_rows report,
                                        const ramify_column *weight, const ramify_stem *stem,
                                        const double *head_center, const double *head_scale,
                                        ramify_problem **problem) {
    const known_scales known = {stem, head_center, head_scale};
    return create(context, match, train, select, report, weight, false, &known, problem);
}

uint32_t ramify_problem_fingerprint(const ramify_problem *problem) {
    uint32_t crc = ramify_crc32c(0, problem->center, problem->stem.columns * sizeof(double));
    crc = ramify_crc32c(crc, problem->scale, problem->stem.columns * sizeof(double));
    crc = ramify_crc32c(crc, problem->plain, problem->rows * problem->plain_stride * sizeof(float));
    if (problem->label)
        return ramify_crc32c(crc, problem->label, problem->rows * sizeof *problem->label);
    return ramify_crc32c(crc, problem->target, problem->rows * problem->targets * sizeof(float));
}

/* A copy of count elements with room for more; NULL when there is nothing to copy. */
static void *copy_of(ramify_context *context, const void *from, size_t count, size_t room,
                     size_t size, bool *failed) {
    if (!from)
        return NULL;
    void *copy = ramify_allocate_zeroed(context, room, size);
    if (copy)
        memcpy(copy, from, count * size);
    else
        *failed = true;
    return copy;
}

ramify_status ramify_problem_widen(const ramify_problem *problem, size_t added,
                                   ramify_problem **widened) {
    ramify_context *context = problem->context;
    *widened = NULL;
    size_t rows = problem->rows, all = rows + added, columns = problem->stem.columns;
    size_t train = problem->train.count, targets = problem->targets;
    if (all > UINT32_MAX)
        return ramify_fail(context, RAMIFY_ERROR_LIMIT,
                           "%zu rows with those that teachers answer are more than can be numbered",
                           all);
    ramify_problem *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    bool failed = false;
    *made = *problem;
    made->rows = all;
    made->column =
        copy_of(context, problem->column, columns, columns, sizeof *made->column, &failed);
    made->center = copy_of(context, problem->center, columns, columns, sizeof(double), &failed);
    made->scale = copy_of(context, problem->scale, columns, columns, sizeof(double), &failed);
    made->plain =
        copy_of(context, problem->plain, rows, all, problem->plain_stride * sizeof(float), &failed);
    made->target = copy_of(context, problem->target, rows, all, targets * sizeof(float), &failed);
    made->label = copy_of(context, problem->label, rows, all, sizeof *made->label, &failed);
    made->weight = copy_of(context, problem->weight, rows, all, sizeof(float), &failed);
    made->head_center =
        copy_of(context, problem->head_center, targets, targets + 1, sizeof(double), &failed);
    made->head_scale =
        copy_of(context, problem->head_scale, targets, targets + 1, sizeof(double), &failed);
    made->row_memory = ramify_allocate(context, all, sizeof *made->row_memory);
    made->soft = problem->label
                     ? ramify_allocate_zeroed(context, all, problem->outputs * sizeof(float))
                     : NULL;
    if (failed || !made->row_memory || (problem->label && !made->soft)) {
        ramify_problem_destroy(context, &made);
        return RAMIFY_ERROR_MEMORY;
    }
    made->stem.column = made->column;
    made->stem.center = made->center;
    made->stem.scale = made->scale;
    uint32_t *to = made->row_memory;
    memcpy(to, problem->train.row, train * sizeof *to);
    for (size_t i = 0; i < added; i++) {
        to[train + i] = (uint32_t)(rows + i);
        if (made->weight)
            made->weight[rows + i] = problem->weight[problem->train.row[i % train]];
    }
    made->train = (ramify_rows){to, train + added};
    made->observed = (ramify_rows){to, train};
    to += train + added;
    memcpy(to, problem->select.row, problem->select.count * sizeof *to);
    made->select = (ramify_rows){to, problem->select.count};
    to += problem->select.count;
    memcpy(to, problem->report.row, problem->report.count * sizeof *to);
    made->report = (ramify_rows){to, problem->report.count};
    *widened = made;
    return RAMIFY_OK;
}

void ramify_problem_destroy(ramify_context *context, ramify_problem **problem) {
    if (!*problem)
        return;
    ramify_problem *old = *problem;
    *problem = NULL;
    ramify_release(context, old->column);
    ramify_release(context, old->center);
    ramify_release(context, old->scale);
    ramify_release(context, old->plain);
    ramify_release(context, old->target);
    ramify_release(context, old->label);
    ramify_release(context, old->soft);
    ramify_release(context, old->weight);
    ramify_release(context, old->head_center);
    ramify_release(context, old->head_scale);
    ramify_release(context, old->row_memory);
    ramify_release(context, old);
}

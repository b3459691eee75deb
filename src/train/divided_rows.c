#include "divided_rows.h"
#include "cluster.h"
#include "crc32c.h"
#include "memory.h"
#include "moments.h"
#include "progress.h"
#include "random.h"
#include "status.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Rows that are fetched from the table at a time. */
#define BLOCK_ROWS 1024

void ramify_divided_range(uint64_t rows, uint32_t ranks, uint32_t rank, uint64_t *first,
                          uint64_t *count) {
    const uint64_t blocks = (rows + RAMIFY_DIVIDED_BLOCK - 1) / RAMIFY_DIVIDED_BLOCK;
    const uint64_t begin = blocks * rank / ranks * RAMIFY_DIVIDED_BLOCK;
    const uint64_t end = blocks * (rank + (uint64_t)1) / ranks * RAMIFY_DIVIDED_BLOCK;
    *first = begin;
    *count = (end < rows ? end : rows) - begin;
}

void ramify_divided_close(ramify_divided **divided) {
    if (!*divided)
        return;
    ramify_divided *old = *divided;
    ramify_context *context = old->context;
    *divided = NULL;
    for (size_t i = 0; old->packed && i < old->pieces; i++)
        ramify_release(context, old->packed[i]);
    ramify_release(context, old->packed);
    ramify_release(context, old->column);
    ramify_release(context, old->center);
    ramify_release(context, old->scale);
    ramify_release(context, old->head_center);
    ramify_release(context, old->head_scale);
    ramify_release(context, old);
}

/* ---- what a row is for ---- */

/* A number that groups share and single rows do not. */
static uint64_t stream_row(const ramify_divided *d, const ramify_column *group, size_t row) {
    return group ? ramify_split_hash(group, row) : d->first + (row - d->begin);
}

static uint32_t tag_of(const ramify_divided *d, const ramify_column *group, size_t row) {
    const ramify_train_options *options = d->from->options;
    ramify_random random =
        ramify_random_stream(options->seed, RAMIFY_PURPOSE_SPLIT, 0, stream_row(d, group, row));
    const double drawn = ramify_random_uniform(&random), held = options->validation;
    ramify_role role = RAMIFY_ROLE_TRAIN;
    if (drawn < held)
        role = drawn < held / 2 ? RAMIFY_ROLE_REPORT : RAMIFY_ROLE_SELECT;
    random =
        ramify_random_stream(options->seed, RAMIFY_PURPOSE_SAMPLE, 0, d->first + (row - d->begin));
    return (uint32_t)(ramify_random_bits(&random) >> 34) << 2 | role;
}

/* Passes over the table's rows are tasks of so many rows: whole blocks. */
#define TASK_ROWS ((size_t)65536)

typedef struct pass {
    ramify_divided *divided;
    const ramify_column *group; /* NULL: single rows */
    uint32_t *tag;    /* count: of the rows here; UINT32_MAX of those that cannot be used */
    uint64_t *counts; /* tasks x (RAMIFY_ROLES + 1): rows by role, then those not used */
    struct block_sums *sums;
    size_t *first;   /* tasks: usable rows before */
    uint64_t *print; /* tasks */
} pass;

static size_t task_count(const ramify_divided *d) {
    return (d->count + TASK_ROWS - 1) / TASK_ROWS;
}

static ramify_status tag_task(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const pass *p = argument;
    const ramify_divided *d = p->divided;
    uint64_t *counts = p->counts + task * (RAMIFY_ROLES + 1);
    const size_t end = ramify_smaller((task + 1) * TASK_ROWS, d->count);
    for (size_t i = task * TASK_ROWS; i < end; i++) {
        bool usable;
        RAMIFY_TRY(ramify_train_rows_check(d->from, d->begin + i, &usable));
        if (usable && p->group && ramify_column_missing(p->group, d->begin + i))
            return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                               "%s: column \"%s\", row %llu: no value, but every row needs a group",
                               d->from->table->source, p->group->name,
                               (unsigned long long)(d->first + i + 1));
        p->tag[i] = usable ? tag_of(d, p->group, d->begin + i) : UINT32_MAX;
        counts[usable ? p->tag[i] & 3 : RAMIFY_ROLES]++;
    }
    return ramify_cancelled(d->context) ? ramify_fail(d->context, RAMIFY_STOPPED, "stopped")
                                        : RAMIFY_OK;
}

static ramify_status tag_rows(const pass *p) {
    ramify_divided *d = p->divided;
    const size_t tasks = task_count(d);
    uint64_t counts[RAMIFY_ROLES + 1] = {0};
    RAMIFY_TRY(ramify_parallel(d->context, tasks, tag_task, (void *)p));
    for (size_t task = 0; task < tasks; task++) {
        p->first[task] = d->rows;
        for (int role = 0; role <= RAMIFY_ROLES; role++) {
            const uint64_t rows = p->counts[task * (RAMIFY_ROLES + 1) + (size_t)role];
            counts[role] += rows;
            d->rows += role < RAMIFY_ROLES ? (size_t)rows : 0;
        }
    }
    RAMIFY_TRY(ramify_cluster_sum(d->context, counts, RAMIFY_ROLES + 1));
    memcpy(d->in_role, counts, sizeof d->in_role);
    d->skipped = counts[RAMIFY_ROLES];
    if (d->skipped > 0)
        ramify_log(d->context, RAMIFY_LOG_WARNING, "%s: %llu rows without a target are left out",
                   d->from->table->source, (unsigned long long)d->skipped);
    for (int role = 0; role < RAMIFY_ROLES; role++)
        if (d->in_role[role] == 0)
            return ramify_fail(d->context, RAMIFY_ERROR_DATA,
                               "%s: no rows are left to %s: hold out another share of them "
                               "(--validation)",
                               d->from->table->source,
                               role == RAMIFY_ROLE_TRAIN    ? "train on"
                               : role == RAMIFY_ROLE_SELECT ? "select by"
                                                            : "report on");
    return RAMIFY_OK;
}

/* ---- how columns are scaled ---- */

/* Of a block's training rows: moments of the columns and the targets; and its sum of weights. */
typedef struct block_sums {
    size_t things; /* columns, then targets */
    ramify_moments *moments;
    uint64_t *missing; /* tasks x columns: rows; then of all tasks in the first */
    double *weight;    /* blocks */
} block_sums;

static void add_rows(const ramify_divided *d, const double *raw, size_t first, size_t count,
                     const uint32_t *tag, const block_sums *sums) {
    const ramify_schema *schema = d->from->schema;
    const uint32_t columns = schema->column_count;
    const size_t block = first / RAMIFY_DIVIDED_BLOCK;
    ramify_moments *moments = sums->moments + block * sums->things;
    uint64_t *missing = sums->missing + first / TASK_ROWS * columns;
    for (size_t i = 0; i < count; i++) {
        if (tag[first + i] == UINT32_MAX || (tag[first + i] & 3) != RAMIFY_ROLE_TRAIN)
            continue;
        for (uint32_t c = 0; c < columns; c++) {
            const double x = raw[i * columns + c];
            if (isnan(x))
                missing[c]++;
            else if (!schema->columns[c].categorical)
                ramify_moments_add(&moments[c], x);
        }
        for (uint32_t t = 0; t < d->targets; t++)
            ramify_moments_add(&moments[columns + t],
                               ramify_match_target(d->from->match, t, d->begin + first + i));
        if (d->from->weight)
            sums->weight[block] += ramify_column_value(d->from->weight, d->begin + first + i);
    }
}

/* Joins the blocks of all ranks in order. */
static void join_blocks(ramify_divided *d, const ramify_moments *moments, size_t blocks,
                        size_t things, ramify_moments *joined) {
    const ramify_schema *schema = d->from->schema;
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = 0; i < things; i++)
            ramify_moments_join(&joined[i], &moments[b * things + i]);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        const bool number = !schema->columns[c].categorical;
        d->center[c] = number ? ramify_moments_center(&joined[c]) : 0.0;
        d->scale[c] = number ? ramify_moments_scale(&joined[c]) : 1.0;
    }
    for (uint32_t t = 0; t < d->targets; t++) {
        d->head_center[t] = ramify_moments_center(&joined[schema->column_count + t]);
        d->head_scale[t] = ramify_moments_scale(&joined[schema->column_count + t]);
    }
    for (size_t i = 0; i < things && !d->far.column; i++) {
        ramify_far_value far = {.column = i < schema->column_count
                                              ? schema->columns[i].name
                                              : schema->targets[i - schema->column_count]};
        if (ramify_moments_far(&joined[i], &far.value, &far.low, &far.high))
            d->far = far;
    }
}

static ramify_status gather_sums(ramify_divided *d, const block_sums *sums, size_t blocks) {
    ramify_context *context = d->context;
    const uint32_t columns = d->from->schema->column_count;
    void *moments = NULL, *weights = NULL;
    size_t *offset =
        ramify_allocate(context, (size_t)ramify_cluster_size(context) + 1, sizeof *offset);
    ramify_moments *joined = ramify_allocate_zeroed(context, sums->things, sizeof *joined);
    bool *missing = ramify_allocate_zeroed(context, columns, sizeof *missing);
    ramify_status status = offset && joined && missing ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(context, sums->moments,
                                              blocks * sums->things * sizeof *sums->moments,
                                              &moments, offset);
    if (status == RAMIFY_OK)
        join_blocks(d, moments,
                    offset[ramify_cluster_size(context)] / (sums->things * sizeof *sums->moments),
                    sums->things, joined);
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(context, sums->weight, blocks * sizeof(double),
                                              &weights, offset);
    if (status == RAMIFY_OK) {
        double sum = 0;
        for (size_t b = 0; b < offset[ramify_cluster_size(context)] / sizeof(double); b++)
            sum += ((const double *)weights)[b];
        d->weight_mean = sum > 0 ? sum / (double)d->in_role[RAMIFY_ROLE_TRAIN] : 1;
        if (d->from->weight && !(sum > 0))
            status = ramify_fail(context, RAMIFY_ERROR_DATA,
                                 "%s: column \"%s\": all training rows have weight 0: give some "
                                 "of them more, or do without weights",
                                 d->from->table->source, d->from->weight->name);
    }
    if (status == RAMIFY_OK)
        status = ramify_cluster_sum(context, sums->missing, columns);
    if (status == RAMIFY_OK) {
        for (uint32_t c = 0; c < columns; c++)
            missing[c] = sums->missing[c] > 0;
        d->stem = (ramify_stem){.center = d->center, .scale = d->scale};
        ramify_problem_plan_columns(d->from->schema, missing, d->column, &d->stem);
        ramify_stem_classify(&d->stem);
    }
    ramify_release(context, moments);
    ramify_release(context, weights);
    ramify_release(context, offset);
    ramify_release(context, joined);
    ramify_release(context, missing);
    return status;
}

static ramify_status measure_task(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const pass *p = argument;
    const ramify_divided *d = p->divided;
    double *raw =
        ramify_allocate(d->context, d->from->schema->column_count, BLOCK_ROWS * sizeof *raw);
    if (!raw)
        return RAMIFY_ERROR_MEMORY;
    const size_t end = ramify_smaller((task + 1) * TASK_ROWS, d->count);
    for (size_t first = task * TASK_ROWS; first < end; first += BLOCK_ROWS) {
        const size_t count = ramify_smaller(BLOCK_ROWS, end - first);
        ramify_match_rows(d->from->match, NULL, d->begin + first, count, raw);
        add_rows(d, raw, first, count, p->tag, p->sums);
    }
    ramify_release(d->context, raw);
    return ramify_cancelled(d->context) ? ramify_fail(d->context, RAMIFY_STOPPED, "stopped")
                                        : RAMIFY_OK;
}

static ramify_status measure(pass *p) {
    ramify_divided *d = p->divided;
    ramify_context *context = d->context;
    const uint32_t columns = d->from->schema->column_count;
    const size_t blocks = (d->count + RAMIFY_DIVIDED_BLOCK - 1) / RAMIFY_DIVIDED_BLOCK;
    const size_t tasks = task_count(d);
    block_sums sums = {.things = (size_t)columns + d->targets};
    sums.moments = ramify_allocate_zeroed(context, blocks * sums.things, sizeof *sums.moments);
    sums.missing = ramify_allocate_zeroed(context, tasks + 1, columns * sizeof *sums.missing);
    sums.weight = ramify_allocate_zeroed(context, blocks, sizeof *sums.weight);
    p->sums = &sums;
    ramify_status status = sums.moments && sums.missing && sums.weight
                               ? ramify_parallel(context, tasks, measure_task, p)
                               : RAMIFY_ERROR_MEMORY;
    for (size_t task = 1; status == RAMIFY_OK && task < tasks; task++)
        for (uint32_t c = 0; c < columns; c++)
            sums.missing[c] += sums.missing[task * columns + c];
    if (status == RAMIFY_OK)
        status = gather_sums(d, &sums, blocks);
    p->sums = NULL;
    ramify_release(context, sums.moments);
    ramify_release(context, sums.missing);
    ramify_release(context, sums.weight);
    return status;
}

/* ---- packing ---- */

static float pack_column(const ramify_stem_column *column, const float *plain) {
    if (column->codes == 0)
        return column->missing && plain[1] != 0.0F ? NAN : plain[0];
    uint32_t code = 0;
    while (code + 1 < column->codes && plain[code] == 0.0F)
        code++;
    return (float)code;
}

static void unpack_column(const ramify_stem_column *column, float value, float *plain) {
    if (column->codes > 0) {
        memset(plain, 0, column->codes * sizeof *plain);
        plain[(uint32_t)value] = 1.0F;
    } else if (column->missing) {
        const bool gap = isnan(value);
        plain[0] = gap ? 0.0F : value;
        plain[1] = gap ? 1.0F : 0.0F;
    } else {
        plain[0] = value;
    }
}

static void pack_row(const ramify_divided *d, size_t row, const float *plain, uint32_t tag,
                     float *to) {
    const ramify_match *match = d->from->match;
    for (uint32_t c = 0; c < d->stem.columns; c++)
        *to++ = pack_column(&d->column[c], plain + d->column[c].plain);
    if (d->targets == 0)
        *to++ = (float)ramify_match_target(match, 0, row);
    for (uint32_t t = 0; t < d->targets; t++)
        *to++ = (float)ramify_problem_standardise(ramify_match_target(match, t, row),
                                                  d->head_center[t], d->head_scale[t]);
    if (d->from->weight)
        *to++ = (float)(ramify_column_value(d->from->weight, row) / d->weight_mean);
    memcpy(to, &tag, sizeof tag);
}

static ramify_status pack_task(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    const pass *p = argument;
    const ramify_divided *d = p->divided;
    const size_t stride = ramify_pad(d->stem.plain), columns = d->stem.columns;
    double *raw = ramify_allocate(d->context, BLOCK_ROWS * columns, sizeof *raw);
    float *plain = ramify_allocate(d->context, BLOCK_ROWS * stride, sizeof *plain);
    ramify_status status = raw && plain ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    const size_t end = ramify_smaller((task + 1) * TASK_ROWS, d->count);
    size_t next = p->first[task];
    for (size_t first = task * TASK_ROWS; status == RAMIFY_OK && first < end; first += BLOCK_ROWS) {
        const size_t count = ramify_smaller(BLOCK_ROWS, end - first);
        ramify_match_rows(d->from->match, NULL, d->begin + first, count, raw);
        ramify_stem_plain(d->kernels, &d->stem, count, raw, columns, plain, stride);
        uint32_t crc = 0;
        for (size_t i = 0; i < count; i++) {
            if (p->tag[first + i] == UINT32_MAX)
                continue;
            float *to = ramify_divided_row(d, next++);
            pack_row(d, d->begin + first + i, plain + i * stride, p->tag[first + i], to);
            crc = ramify_crc32c(crc, to, d->width * sizeof *to);
        }
        /* A sum, so that it does not matter who holds what. */
        ramify_random random =
            ramify_random_stream(crc, RAMIFY_PURPOSE_SAMPLE, 1, d->first + first);
        p->print[task] += ramify_random_bits(&random);
    }
    ramify_release(d->context, raw);
    ramify_release(d->context, plain);
    if (status == RAMIFY_OK && ramify_cancelled(d->context))
        status = ramify_fail(d->context, RAMIFY_STOPPED, "stopped");
    return status;
}

static ramify_status pack(const pass *p) {
    ramify_divided *d = p->divided;
    ramify_context *context = d->context;
    d->width = d->stem.columns + (d->targets ? d->targets : 1) + (d->from->weight != NULL) + 1;
    d->pieces = (d->rows + RAMIFY_DIVIDED_PIECE - 1) / RAMIFY_DIVIDED_PIECE;
    d->packed = ramify_allocate_zeroed(context, d->pieces, sizeof *d->packed);
    if (!d->packed)
        return RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < d->pieces; i++) {
        const size_t left = d->rows - i * RAMIFY_DIVIDED_PIECE;
        d->packed[i] = ramify_allocate(context, ramify_smaller(left, RAMIFY_DIVIDED_PIECE),
                                       d->width * sizeof(float));
        if (!d->packed[i])
            return RAMIFY_ERROR_MEMORY;
    }
    RAMIFY_TRY(ramify_parallel(context, task_count(d), pack_task, (void *)p));
    for (size_t task = 0; task < task_count(d); task++)
        d->print += p->print[task];
    return ramify_cluster_sum(context, &d->print, 1);
}

static ramify_status prepare(ramify_divided *d) {
    ramify_context *context = d->context;
    const ramify_schema *schema = d->from->schema;
    const size_t columns = schema->column_count;
    const bool classes = schema->task == RAMIFY_TASK_CLASSIFICATION;
    d->targets = classes ? 0 : schema->target_count;
    d->outputs = classes ? schema->class_count : schema->target_count;
    d->column = ramify_allocate(context, columns, sizeof *d->column);
    d->center = ramify_allocate(context, columns, sizeof *d->center);
    d->scale = ramify_allocate(context, columns, sizeof *d->scale);
    d->head_center = ramify_allocate_zeroed(context, d->targets + (size_t)1, sizeof(double));
    d->head_scale = ramify_allocate_zeroed(context, d->targets + (size_t)1, sizeof(double));
    const size_t tasks = task_count(d);
    ramify_split_request request;
    pass p = {.divided = d};
    p.tag = ramify_allocate(context, d->count, sizeof *p.tag);
    p.counts = ramify_allocate_zeroed(context, tasks, (RAMIFY_ROLES + 1) * sizeof *p.counts);
    p.first = ramify_allocate(context, tasks, sizeof *p.first);
    p.print = ramify_allocate_zeroed(context, tasks, sizeof *p.print);
    ramify_status status = d->column && d->center && d->scale && d->head_center && d->head_scale &&
                                   p.tag && p.counts && p.first && p.print
                               ? RAMIFY_OK
                               : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_train_rows_request(d->from, NULL, NULL, 0, &request);
    if (status == RAMIFY_OK) {
        p.group = request.group;
        status = tag_rows(&p);
    }
    if (status == RAMIFY_OK)
        status = measure(&p);
    if (status == RAMIFY_OK)
        status = pack(&p);
    ramify_release(context, p.tag);
    ramify_release(context, p.counts);
    ramify_release(context, p.first);
    ramify_release(context, p.print);
    return status;
}

ramify_status ramify_divided_open(ramify_train_rows *from, ramify_divided **divided) {
    ramify_context *context = from->context;
    ramify_divided *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->kernels = ramify_kernels_select(ramify_isa(context));
    made->from = from;
    const ramify_table *table = from->table;
    made->all = table->all_rows > 0 ? table->all_rows : table->rows;
    uint64_t count;
    ramify_divided_range(made->all, ramify_cluster_size(context), ramify_cluster_rank(context),
                         &made->first, &count);
    made->begin = table->all_rows > 0 ? 0 : (size_t)made->first;
    made->count = (size_t)count;
    ramify_cluster_phase(context, "reading");
    ramify_status status = prepare(made);
    if (status != RAMIFY_OK)
        ramify_divided_close(&made);
    *divided = made;
    return status;
}

/* ---- problems ---- */

void ramify_packed_plain(const ramify_divided *d, const float *rows, size_t count, float *plain) {
    const size_t stride = ramify_pad(d->stem.plain);
    for (size_t i = 0; i < count; i++) {
        const float *from = rows + i * d->width;
        float *to = plain + i * stride;
        if (d->stem.numbers_alone)
            memcpy(to, from, d->stem.plain * sizeof *to);
        else
            for (uint32_t c = 0; c < d->stem.columns; c++)
                unpack_column(&d->column[c], from[c], to + d->column[c].plain);
        memset(to + d->stem.plain, 0, (stride - d->stem.plain) * sizeof *to);
    }
}

ramify_status ramify_packed_problem(const ramify_divided *d, const float *rows, size_t count,
                                    ramify_problem **problem) {
    size_t counts[RAMIFY_ROLES] = {0}, next[RAMIFY_ROLES];
    for (size_t i = 0; i < count; i++)
        counts[ramify_packed_role(d, rows + i * d->width)]++;
    next[RAMIFY_ROLE_TRAIN] = 0;
    next[RAMIFY_ROLE_SELECT] = counts[RAMIFY_ROLE_TRAIN];
    next[RAMIFY_ROLE_REPORT] = next[RAMIFY_ROLE_SELECT] + counts[RAMIFY_ROLE_SELECT];
    ramify_problem *made;
    RAMIFY_TRY(ramify_problem_create_empty(d->context, d->from->schema, counts[RAMIFY_ROLE_TRAIN],
                                           counts[RAMIFY_ROLE_SELECT], counts[RAMIFY_ROLE_REPORT],
                                           d->from->weight != NULL, &d->stem, d->head_center,
                                           d->head_scale, &made));
    for (size_t i = 0; i < count; i++) {
        const float *from = rows + i * d->width;
        const size_t to = next[ramify_packed_role(d, from)]++;
        ramify_packed_plain(d, from, 1, made->plain + to * made->plain_stride);
        from += d->stem.columns;
        if (made->label)
            made->label[to] = (uint32_t)*from++;
        for (uint32_t t = 0; t < d->targets; t++)
            made->target[to * d->targets + t] = *from++;
        if (made->weight)
            made->weight[to] = *from;
    }
    *problem = made;
    return RAMIFY_OK;
}

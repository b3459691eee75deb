/* What a Para-Former's prefixes make of rows: blocks of rows side by side. Among ranks, which hold branches
 * each, blocks go in waves: every rank runs its branches on all rows of a wave, the class tokens of all
 * branches are exchanged, and every rank does the rest for itself, to the same bits. */

#include "paraformer_score.h"
#include "branch_parts.h"
#include "dealt.h"
#include "memory.h"
#include "residency.h"
#include "threads.h"

#include <string.h>

/* Tokens of a block of rows: a layer's activations stay in the second cache. */
#define BLOCK_TOKENS 512

/* Blocks of a wave: enough for as many threads, and few exchanges. The same on ranks with different
 * numbers of threads. */
#define WAVE_BLOCKS 16

typedef struct room {
    float *memory_block; /* owned: what follows points into it */
    float *plain;        /* block x plain stride */
    float *x, *normal;   /* width x ld */
    float *inverse;      /* ld */
    float *y, *sum;      /* block x width */
    float *out;          /* block x pad(outputs) */
    float *scratch;      /* for embedding, branch or head */
} room;

typedef struct scoring {
    const ramify_problem *problem;
    const ramify_paraformer_shape *shape;
    const ramify_paraformer_weights *weights;
    ramify_rows rows;
    uint32_t branches;   /* of the prefix whose outputs are wanted */
    float *outputs;      /* rows x pad(outputs), or NULL */
    float *loss, *error; /* branches x rows: of every prefix; or NULL */
    size_t block;
    room *rooms; /* workers */

    /* Among ranks: */
    float *
        classes; /* class tokens of all branches in dealt order, each of the wave's rows; else NULL */
    size_t first_block, wave_rows; /* of the current wave */
} scoring;

static size_t block_rows(const ramify_paraformer_shape *shape) {
    size_t rows = BLOCK_TOKENS / shape->branch.tokens;
    return rows > 0 ? rows : 1;
}

static size_t carve_room(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                         float *block, room *r) {
    size_t rows = block_rows(shape), d = shape->branch.width;
    size_t ld = ramify_branch_stride(&shape->branch, rows);
    const size_t scratch[] = {ramify_embedding_floats(&shape->embedding, rows),
                              ramify_branch_run_floats(&shape->branch, rows, false),
                              ramify_head_floats(&shape->head, rows)};
    size_t most = 0;
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++)
        most = scratch[i] > most ? scratch[i] : most;
    ramify_carver carver = {.base = block};
    *r = (room){.memory_block = block};
    r->plain = ramify_carve(&carver, rows * problem->plain_stride);
    r->x = ramify_carve(&carver, d * ld);
    r->normal = ramify_carve(&carver, d * ld);
    r->inverse = ramify_carve(&carver, ld);
    r->y = ramify_carve(&carver, rows * d);
    r->sum = ramify_carve(&carver, rows * d);
    r->out = ramify_carve(&carver, rows * ramify_pad(problem->outputs));
    r->scratch = ramify_carve(&carver, most);
    return carver.used;
}

/* Floats of the class tokens of a wave. */
static size_t class_floats(const ramify_paraformer_shape *shape, uint32_t branches, size_t rows) {
    return branches * ramify_smaller(WAVE_BLOCKS * block_rows(shape), rows) * shape->branch.width;
}

static size_t workers_for(const ramify_paraformer_shape *shape, size_t rows, uint32_t most) {
    size_t blocks = (rows + block_rows(shape) - 1) / block_rows(shape);
    return blocks < most ? blocks : most;
}

uint64_t ramify_paraformer_score_bytes(const ramify_problem *problem,
                                       const ramify_paraformer_shape *shape,
                                       const ramify_deal *deal, size_t rows, uint32_t workers) {
    room r;
    uint64_t floats = carve_room(problem, shape, NULL, &r);
    uint64_t losses = (uint64_t)2 * rows * shape->branches * sizeof(float);
    uint64_t used = workers_for(shape, rows, workers);
    uint64_t classes =
        ramify_deal_is_whole(deal)
            ? 0
            : ramify_block_bytes(class_floats(shape, shape->branches, rows) * sizeof(float));
    return classes + used * ramify_block_bytes(floats * sizeof(float)) +
           ramify_block_bytes(used * sizeof(room)) + ramify_block_bytes(losses);
}

/* First row of a block; *rows: how many it has. */
static size_t find_block(const scoring *s, size_t block, size_t *rows) {
    size_t first = block * s->block;
    *rows = ramify_smaller(s->rows.count - first, s->block);
    return first;
}

static ramify_status embed(const scoring *s, const room *r, size_t first, size_t rows,
                           ramify_branch_input *input) {
    const ramify_problem *problem = s->problem;
    size_t stride = problem->plain_stride;
    for (size_t i = 0; i < rows; i++)
        memcpy(r->plain + i * stride, problem->plain + s->rows.row[first + i] * stride,
               stride * sizeof *r->plain);
    return ramify_paraformer_embed(NULL, 1, problem->kernels, s->shape, s->weights->embedding, rows,
                                   r->plain, stride, r->x, r->normal, r->inverse, r->scratch,
                                   input);
}

/* place: of a branch among those here. */
static void run_branch(const scoring *s, uint32_t place, const ramify_branch_input *input, float *y,
                       float *scratch) {
    const ramify_branch_shape *shape = &s->shape->branch;
    size_t record = ramify_branch_record_bytes(shape) / sizeof(float);
    ramify_branch_run(s->problem->kernels, shape, s->weights->branch + place * record, input, false,
                      y, shape->width, scratch);
}

/* Where the class tokens of a branch for the wave's rows from `first` on lie. */
static float *classes_of(const scoring *s, uint32_t branch, size_t first) {
    size_t index = ramify_deal_index(&s->weights->deal, branch, s->branches);
    size_t row = first - s->first_block * s->block;
    return s->classes + (index * s->wave_rows + row) * s->shape->branch.width;
}

/* Task: a block of the wave; this rank's branches. */
static ramify_status run_here(void *argument, size_t task, uint32_t worker) {
    const scoring *s = argument;
    const ramify_deal *deal = &s->weights->deal;
    const room *r = &s->rooms[worker];
    size_t rows, first = find_block(s, s->first_block + task, &rows);
    ramify_branch_input input;
    RAMIFY_TRY(embed(s, r, first, rows, &input));
    for (uint32_t place = 0; place < ramify_deal_own(deal, s->branches); place++)
        run_branch(s, place, &input, classes_of(s, ramify_deal_thing(deal, place), first),
                   r->scratch);
    return RAMIFY_OK;
}

/* Task: a block, of the wave among ranks; what its branches made, or are run to make, is summed. */
static ramify_status score_block(void *argument, size_t task, uint32_t worker) {
    const scoring *s = argument;
    const ramify_problem *problem = s->problem;
    const ramify_paraformer_shape *shape = s->shape;
    const room *r = &s->rooms[worker];
    size_t rows, first = find_block(s, s->first_block + task, &rows);
    size_t d = shape->branch.width, outputs = ramify_pad(problem->outputs);
    ramify_branch_input input;
    if (!s->classes)
        RAMIFY_TRY(embed(s, r, first, rows, &input));
    memset(r->sum, 0, rows * d * sizeof *r->sum);
    for (uint32_t k = 1; k <= s->branches; k++) {
        const float *y = r->y;
        if (s->classes)
            y = classes_of(s, k - 1, first);
        else
            run_branch(s, k - 1, &input, r->y, r->scratch);
        for (size_t i = 0; i < rows * d; i++)
            r->sum[i] += y[i];
        if (!s->loss && k < s->branches)
            continue;
        ramify_head_forward(problem->kernels, &shape->head, s->weights->head, rows, r->sum, r->out,
                            outputs, NULL, NULL, r->scratch);
        size_t at = (k - 1) * s->rows.count + first;
        if (s->loss)
            ramify_expert_losses(problem, (ramify_rows){s->rows.row + first, rows}, r->out,
                                 s->loss + at, s->error + at);
    }
    /* The last columns of a row are padding. */
    for (size_t i = 0; s->outputs && i < rows; i++) {
        float *to = s->outputs + (first + i) * outputs;
        memset(to, 0, outputs * sizeof *to);
        memcpy(to, r->out + i * outputs, problem->outputs * sizeof *to);
    }
    return RAMIFY_OK;
}

static ramify_status run_waves(scoring *s, uint32_t workers, size_t blocks) {
    ramify_context *context = s->problem->context;
    for (size_t count; s->first_block < blocks; s->first_block += count) {
        count = ramify_smaller(blocks - s->first_block, WAVE_BLOCKS);
        s->wave_rows = ramify_smaller(count * s->block, s->rows.count - s->first_block * s->block);
        RAMIFY_TRY(ramify_parallel_on(context, workers, count, run_here, s));
        ramify_cluster_phase(context, "class tokens of scored rows");
        RAMIFY_TRY(ramify_dealt_share(context, &s->weights->deal, s->branches,
                                      s->wave_rows * s->shape->branch.width * sizeof(float),
                                      s->classes));
        RAMIFY_TRY(ramify_parallel_on(context, workers, count, score_block, s));
    }
    return RAMIFY_OK;
}

static ramify_status run(scoring *s, uint32_t most) {
    ramify_context *context = s->problem->context;
    s->block = block_rows(s->shape);
    size_t workers = workers_for(s->shape, s->rows.count, most);
    s->rooms = ramify_allocate_zeroed(context, workers, sizeof *s->rooms);
    ramify_status status = s->rooms ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (size_t i = 0; i < workers && status == RAMIFY_OK; i++) {
        room *r = &s->rooms[i];
        size_t floats = carve_room(s->problem, s->shape, NULL, r);
        float *block = ramify_allocate(context, floats, sizeof(float));
        carve_room(s->problem, s->shape, block, r);
        status = block ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    bool alone = ramify_deal_is_whole(&s->weights->deal);
    if (status == RAMIFY_OK && !alone) {
        s->classes = ramify_allocate(context, class_floats(s->shape, s->branches, s->rows.count),
                                     sizeof *s->classes);
        status = s->classes ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    }
    size_t blocks = (s->rows.count + s->block - 1) / s->block;
    if (status == RAMIFY_OK && blocks > 0)
        status = alone ? ramify_parallel_on(context, (uint32_t)workers, blocks, score_block, s)
                       : run_waves(s, (uint32_t)workers, blocks);
    ramify_release(context, s->classes);
    for (size_t i = 0; s->rooms && i < workers; i++)
        ramify_release(context, s->rooms[i].memory_block);
    ramify_release(context, s->rooms);
    return status;
}

ramify_status ramify_paraformer_outputs(const ramify_problem *problem,
                                        const ramify_paraformer_shape *shape,
                                        const ramify_paraformer_weights *weights, ramify_rows rows,
                                        uint32_t branches, float *outputs) {
    scoring s = {.problem = problem,
                 .shape = shape,
                 .weights = weights,
                 .rows = rows,
                 .branches = branches,
                 .outputs = outputs};
    return run(&s, ramify_threads(problem->context));
}

ramify_status ramify_paraformer_score(const ramify_problem *problem,
                                      const ramify_paraformer_shape *shape,
                                      const ramify_paraformer_weights *weights, ramify_rows rows,
                                      ramify_fit_score *score) {
    return ramify_paraformer_score_on(problem, shape, weights, rows,
                                      ramify_threads(problem->context), score);
}

ramify_status ramify_paraformer_score_on(const ramify_problem *problem,
                                         const ramify_paraformer_shape *shape,
                                         const ramify_paraformer_weights *weights, ramify_rows rows,
                                         uint32_t workers, ramify_fit_score *score) {
    ramify_context *context = problem->context;
    size_t all = rows.count * shape->branches;
    float *loss = ramify_allocate(context, 2 * all, sizeof *loss);
    if (!loss)
        return RAMIFY_ERROR_MEMORY;
    scoring s = {.problem = problem,
                 .shape = shape,
                 .weights = weights,
                 .rows = rows,
                 .branches = shape->branches,
                 .loss = loss,
                 .error = loss + all};
    ramify_status status = run(&s, workers);
    for (uint32_t k = 0; k < shape->branches && status == RAMIFY_OK; k++)
        score[k] =
            ramify_expert_score(problem, rows, s.loss + k * rows.count, s.error + k * rows.count);
    ramify_release(context, loss);
    return status;
}

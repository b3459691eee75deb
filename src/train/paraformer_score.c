/* What a Para-Former's prefixes make of rows: blocks of rows side by side. */

#include "paraformer_score.h"
#include "branch_parts.h"
#include "memory.h"
#include "residency.h"
#include "threads.h"

#include <string.h>

/* Tokens of a block of rows: a layer's activations stay in the second cache. */
#define BLOCK_TOKENS 512

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

static size_t workers_for(const ramify_paraformer_shape *shape, size_t rows, uint32_t most) {
    size_t blocks = (rows + block_rows(shape) - 1) / block_rows(shape);
    return blocks < most ? blocks : most;
}

uint64_t ramify_paraformer_score_bytes(const ramify_problem *problem,
                                       const ramify_paraformer_shape *shape, size_t rows,
                                       uint32_t workers) {
    room r;
    uint64_t floats = carve_room(problem, shape, NULL, &r);
    uint64_t losses = (uint64_t)2 * rows * shape->branches * sizeof(float);
    uint64_t used = workers_for(shape, rows, workers);
    return used * ramify_block_bytes(floats * sizeof(float)) +
           ramify_block_bytes(used * sizeof(room)) + ramify_block_bytes(losses);
}

static ramify_status score_block(void *argument, size_t task, uint32_t worker) {
    const scoring *s = argument;
    const ramify_problem *problem = s->problem;
    const ramify_kernels *kernels = problem->kernels;
    const ramify_paraformer_shape *shape = s->shape;
    const room *r = &s->rooms[worker];
    size_t first = task * s->block, left = s->rows.count - first;
    size_t rows = left < s->block ? left : s->block;
    size_t d = shape->branch.width;
    size_t outputs = ramify_pad(problem->outputs), stride = problem->plain_stride;
    for (size_t i = 0; i < rows; i++)
        memcpy(r->plain + i * stride, problem->plain + s->rows.row[first + i] * stride,
               stride * sizeof *r->plain);
    ramify_branch_input input;
    RAMIFY_TRY(ramify_paraformer_embed(NULL, 1, kernels, shape, s->weights->embedding, rows,
                                       r->plain, stride, r->x, r->normal, r->inverse, r->scratch,
                                       &input));
    size_t record = ramify_branch_record_bytes(&shape->branch) / sizeof(float);
    memset(r->sum, 0, rows * d * sizeof *r->sum);
    for (uint32_t k = 1; k <= s->branches; k++) {
        ramify_branch_run(kernels, &shape->branch, s->weights->branch + (k - 1) * record, &input,
                          false, r->y, d, r->scratch);
        for (size_t i = 0; i < rows * d; i++)
            r->sum[i] += r->y[i];
        if (!s->loss && k < s->branches)
            continue;
        ramify_head_forward(kernels, &shape->head, s->weights->head, rows, r->sum, r->out, outputs,
                            NULL, NULL, r->scratch);
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
    if (status == RAMIFY_OK && s->rows.count > 0)
        status = ramify_parallel_on(context, (uint32_t)workers,
                                    (s->rows.count + s->block - 1) / s->block, score_block, s);
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

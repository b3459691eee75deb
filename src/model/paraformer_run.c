#include "paraformer_run.h"
#include "memory.h"
#include "predict.h"
#include "threads.h"

#include <string.h>

size_t ramify_paraformer_rows(const ramify_paraformer_shape *shape, size_t wanted) {
    size_t most = RAMIFY_PIECE_TOKENS_MAX / shape->branch.tokens;
    most = most > 0 ? most : 1;
    return wanted < most ? wanted : most;
}

uint64_t ramify_paraformer_carve(const ramify_paraformer_shape *shape, size_t rows,
                                 uint32_t workers, unsigned char *base,
                                 ramify_paraformer_work *work) {
    const ramify_branch_shape *branch = &shape->branch;
    size_t ld = ramify_branch_stride(branch, rows), width = branch->width;
    size_t shared = ramify_larger(ramify_embedding_floats(&shape->embedding, rows),
                                  ramify_head_floats(&shape->head, rows));
    *work = (ramify_paraformer_work){.workers = workers};
    work->scratch_floats = ramify_pad(ramify_branch_run_floats(branch, rows, false));
    const struct {
        float **at;
        size_t floats;
    } parts[] = {
        {&work->x, width * ld},
        {&work->normal, width * ld},
        {&work->inverse, ld},
        {&work->embedding, shared},
        {&work->made, shape->branches * rows * width},
        {&work->scratch, workers * work->scratch_floats},
    };
    uint64_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].at = base ? (float *)(base + used) : NULL;
        used += ramify_pad(parts[i].floats) * sizeof(float);
    }
    return used;
}

/* What the tasks of one pass share. */
typedef struct pass {
    ramify_predictor *predictor;
    ramify_branch_input input;
    ramify_traffic *traffic; /* workers */
    uint32_t inside;         /* threads that share a branch */
} pass;

/* Task: one of the branches that are run here. */
static ramify_status run_branch(void *argument, size_t task, uint32_t worker) {
    const pass *q = argument;
    ramify_predictor *p = q->predictor;
    ramify_model *model = p->model;
    const ramify_paraformer_work *work = &p->paraformer;
    size_t width = model->paraformer.branch.width;
    uint32_t branch = ramify_deal_thing(&p->deal, (uint32_t)task);
    size_t index = ramify_deal_index(&p->deal, branch, model->branches);
    const void *record;
    uint32_t slot;
    RAMIFY_TRY(ramify_store_acquire(p->context, model, &model->experts, &model->branch[branch],
                                    false, &q->traffic[worker], &record, &slot));
    ramify_status status =
        ramify_branch_run_on(p->context, q->inside, p->kernels, &model->paraformer.branch, record,
                             &q->input, false, work->made + index * q->input.images * width, width,
                             work->scratch + worker * work->scratch_floats);
    ramify_store_release(model, &model->experts, slot);
    return status;
}

/* Branches side by side; where there are too few for the threads, one after the other, on all of them. */
static ramify_status run_branches(pass *q) {
    const ramify_predictor *p = q->predictor;
    uint32_t branches = ramify_deal_own(&p->deal, p->model->branches);
    uint32_t workers = p->paraformer.workers;
    q->inside = ramify_paraformer_shares_branches(branches, workers) ? workers : 1;
    if (q->inside == 1)
        return ramify_parallel_on(p->context, workers, branches, run_branch, q);
    for (uint32_t b = 0; b < branches; b++)
        RAMIFY_TRY(run_branch(q, b, 0));
    return RAMIFY_OK;
}

ramify_status ramify_paraformer_run(ramify_predictor *p, size_t rows) {
    const ramify_model *model = p->model;
    const ramify_paraformer_shape *shape = &model->paraformer;
    const ramify_paraformer_work *work = &p->paraformer;
    size_t width = shape->branch.width;
    ramify_traffic traffic[RAMIFY_BRANCHES_MAX] = {{0}};
    pass q = {.predictor = p, .traffic = traffic};
    RAMIFY_TRY(ramify_paraformer_embed(p->context, work->workers, p->kernels, shape,
                                       model->embedding, rows, p->plain, p->ldp, work->x,
                                       work->normal, work->inverse, work->embedding, &q.input));
    ramify_status status = run_branches(&q);
    for (uint32_t i = 0; i < work->workers; i++) {
        p->traffic.hits += traffic[i].hits;
        p->traffic.misses += traffic[i].misses;
        p->traffic.bytes_read += traffic[i].bytes_read;
    }
    RAMIFY_TRY(status);
    if (p->join)
        RAMIFY_TRY(p->join(p, rows, work->made));
    for (uint32_t b = 1; b < model->branches; b++) {
        const float *made =
            work->made + ramify_deal_index(&p->deal, b, model->branches) * rows * width;
        for (size_t i = 0; i < rows * width; i++)
            work->made[i] += made[i];
    }
    ramify_head_forward(p->kernels, &shape->head, model->head, rows, work->made, p->output, p->ldo,
                        NULL, NULL, work->embedding);
    return RAMIFY_OK;
}

/* Plan of a batch: it is cut into shards, a shard's rows into micro-batches. For each micro-batch of
 * all shards:
 *
 *     embed      per shard             rows to tokens, normalised for the branches' first layers
 *     forward    per shard and branch
 *     judge      per shard             sum of branches, head, loss, and back to the sum
 *     backward   per shard and branch
 *     gather     per shard             sum of the branches' gradients by the tokens, embedding
 *
 * Every shard has gradients of its own, which are summed in order at the end. */

#include "paraformer_gradient.h"
#include "branch_parts.h"
#include "memory.h"
#include "residency.h"
#include "status.h"
#include "threads.h"

#include <string.h>

/* Floats of a sum that stay in the first cache while all shards are added to it. */
#define SUM_FLOATS 2048

/* Of a pair of shard and branch. */
typedef struct slot {
    float *memory_block; /* owned: what follows points into it */
    float *gradient;     /* branch floats */
    float *memory;       /* for ramify_branch_backward */
    float *dx;           /* width x ld */
    float *y;            /* micro x width: the branch's class tokens */
} slot;

typedef struct shard {
    float *memory_block; /* owned: what follows points into it */
    float *gradient;     /* embedding and head floats */
    float *plain;        /* micro x plain stride */
    float *x, *normal;   /* width x ld */
    float *inverse;      /* ld */
    float *sum, *dsum;   /* micro x width */
    float *head_normal;  /* micro x width */
    float *head_inverse; /* pad(micro) */
    float *y, *dy;       /* micro x pad(outputs) */
    float *scratch;      /* for embedding or head */
    ramify_loss_room room;
    double loss;
    /* Of the current micro-batch: */
    const uint32_t *rows;
    ramify_branch_input input;
} shard;

struct ramify_gradient {
    const ramify_problem *problem;
    const ramify_paraformer_shape *shape;
    ramify_gradient_plan plan;
    ramify_paraformer_parts parts;
    size_t outputs; /* pad(outputs) */
    uint32_t slot_count, shard_count, workers;
    slot *slots;     /* slot_count: shard after shard, of as many branches as the prefix has */
    shard *shards;   /* shard_count */
    float **scratch; /* workers */

    /* Of the current batch: */
    const ramify_gradient_batch *batch;
    ramify_paraformer_weights weights;
    uint32_t shards_used;
};

uint32_t ramify_gradient_shards(uint32_t branches, uint32_t tasks) {
    return tasks > branches ? tasks / branches : 1;
}

/* The largest number of shards, and of pairs of shard and branch, over all prefixes. */
static void count_tasks(const ramify_paraformer_shape *shape, const ramify_gradient_plan *plan,
                        uint32_t *shards, uint32_t *slots) {
    *shards = *slots = 0;
    for (uint32_t k = 1; k <= shape->branches; k++) {
        uint32_t count = ramify_gradient_shards(k, plan->tasks);
        *shards = count > *shards ? count : *shards;
        *slots = count * k > *slots ? count * k : *slots;
    }
}

uint32_t ramify_gradient_workers(const ramify_paraformer_shape *shape,
                                 const ramify_gradient_plan *plan) {
    uint32_t shards, slots;
    count_tasks(shape, plan, &shards, &slots);
    return slots;
}

static size_t carve_slot(const ramify_paraformer_shape *shape, size_t micro, float *block,
                         slot *s) {
    size_t d = shape->branch.width, ld = ramify_branch_stride(&shape->branch, micro);
    ramify_carver carver = {.base = block};
    *s = (slot){.memory_block = block};
    s->gradient = ramify_carve(&carver, ramify_branch_record_bytes(&shape->branch) / sizeof(float));
    s->memory = ramify_carve(&carver, ramify_branch_memory_floats(&shape->branch, micro));
    s->dx = ramify_carve(&carver, d * ld);
    s->y = ramify_carve(&carver, micro * d);
    return carver.used;
}

static size_t carve_shard(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                          size_t micro, float *block, shard *s) {
    const ramify_paraformer_parts parts = ramify_paraformer_parts_of(shape);
    size_t d = shape->branch.width, ld = ramify_branch_stride(&shape->branch, micro);
    size_t outputs = ramify_pad(problem->outputs);
    size_t embedding = ramify_embedding_floats(&shape->embedding, micro);
    size_t head = ramify_head_floats(&shape->head, micro);
    ramify_carver carver = {.base = block};
    *s = (shard){.memory_block = block};
    s->gradient = ramify_carve(&carver, parts.embedding + parts.head);
    s->plain = ramify_carve(&carver, micro * problem->plain_stride);
    s->x = ramify_carve(&carver, d * ld);
    s->normal = ramify_carve(&carver, d * ld);
    s->inverse = ramify_carve(&carver, ld);
    s->sum = ramify_carve(&carver, micro * d);
    s->dsum = ramify_carve(&carver, micro * d);
    s->head_normal = ramify_carve(&carver, micro * d);
    s->head_inverse = ramify_carve(&carver, micro);
    s->y = ramify_carve(&carver, micro * outputs);
    s->dy = ramify_carve(&carver, micro * outputs);
    s->scratch = ramify_carve(&carver, embedding > head ? embedding : head);
    s->room.loss = ramify_carve(&carver, micro);
    s->room.weight = ramify_carve(&carver, micro);
    s->room.label = (uint32_t *)(void *)ramify_carve(&carver, micro);
    float *soft = ramify_carve(&carver, problem->soft ? micro * problem->outputs : 0);
    s->room.soft = problem->soft ? soft : NULL;
    return carver.used;
}

uint64_t ramify_gradient_bytes(const ramify_problem *problem, const ramify_paraformer_shape *shape,
                               const ramify_gradient_plan *plan, uint32_t workers) {
    uint32_t shards, slots;
    count_tasks(shape, plan, &shards, &slots);
    slot a;
    shard b;
    uint64_t of_slot = ramify_block_bytes(carve_slot(shape, plan->micro, NULL, &a) * sizeof(float));
    uint64_t of_shard =
        ramify_block_bytes(carve_shard(problem, shape, plan->micro, NULL, &b) * sizeof(float));
    uint64_t scratch =
        ramify_block_bytes(ramify_branch_train_floats(&shape->branch, plan->micro) * sizeof(float));
    return ramify_block_bytes(sizeof(ramify_gradient)) + ramify_block_bytes(slots * sizeof(slot)) +
           ramify_block_bytes(shards * sizeof(shard)) +
           ramify_block_bytes(workers * sizeof(float *)) + slots * of_slot + shards * of_shard +
           workers * scratch;
}

void ramify_gradient_destroy(ramify_context *context, ramify_gradient **gradient) {
    ramify_gradient *g = *gradient;
    if (!g)
        return;
    for (uint32_t i = 0; g->slots && i < g->slot_count; i++)
        ramify_release(context, g->slots[i].memory_block);
    for (uint32_t i = 0; g->shards && i < g->shard_count; i++)
        ramify_release(context, g->shards[i].memory_block);
    for (uint32_t i = 0; g->scratch && i < g->workers; i++)
        ramify_release(context, g->scratch[i]);
    ramify_release(context, g->slots);
    ramify_release(context, g->shards);
    ramify_release(context, g->scratch);
    ramify_release(context, g);
    *gradient = NULL;
}

static ramify_status allocate(ramify_gradient *g) {
    ramify_context *context = g->problem->context;
    g->slots = ramify_allocate_zeroed(context, g->slot_count, sizeof *g->slots);
    g->shards = ramify_allocate_zeroed(context, g->shard_count, sizeof *g->shards);
    g->scratch = ramify_allocate_zeroed(context, g->workers, sizeof *g->scratch);
    if (!g->slots || !g->shards || !g->scratch)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < g->slot_count; i++) {
        slot *s = &g->slots[i];
        size_t floats = carve_slot(g->shape, g->plan.micro, NULL, s);
        float *block = ramify_allocate(context, floats, sizeof(float));
        if (!block)
            return RAMIFY_ERROR_MEMORY;
        carve_slot(g->shape, g->plan.micro, block, s);
    }
    for (uint32_t i = 0; i < g->shard_count; i++) {
        shard *s = &g->shards[i];
        size_t floats = carve_shard(g->problem, g->shape, g->plan.micro, NULL, s);
        float *block = ramify_allocate(context, floats, sizeof(float));
        if (!block)
            return RAMIFY_ERROR_MEMORY;
        carve_shard(g->problem, g->shape, g->plan.micro, block, s);
    }
    for (uint32_t i = 0; i < g->workers; i++) {
        size_t floats = ramify_branch_train_floats(&g->shape->branch, g->plan.micro);
        g->scratch[i] = ramify_allocate(context, floats, sizeof(float));
        if (!g->scratch[i])
            return RAMIFY_ERROR_MEMORY;
    }
    return RAMIFY_OK;
}

ramify_status ramify_gradient_create(const ramify_problem *problem,
                                     const ramify_paraformer_shape *shape,
                                     const ramify_gradient_plan *plan, ramify_gradient **gradient) {
    ramify_context *context = problem->context;
    ramify_gradient *g = ramify_allocate_zeroed(context, 1, sizeof *g);
    if (!g)
        return RAMIFY_ERROR_MEMORY;
    g->problem = problem;
    g->shape = shape;
    g->plan = *plan;
    g->parts = ramify_paraformer_parts_of(shape);
    g->outputs = ramify_pad(problem->outputs);
    count_tasks(shape, plan, &g->shard_count, &g->slot_count);
    uint32_t threads = ramify_threads(context);
    g->workers = threads < g->slot_count ? threads : g->slot_count;
    ramify_status status = allocate(g);
    if (status != RAMIFY_OK)
        ramify_gradient_destroy(context, &g);
    *gradient = g;
    return status;
}

static void add(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++)
        y[i] += x[i];
}

static slot *slot_of(ramify_gradient *g, size_t of, size_t branch) {
    return &g->slots[of * g->batch->branches + branch];
}

static ramify_status embed(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_gradient *g = argument;
    const ramify_problem *problem = g->problem;
    const ramify_gradient_batch *batch = g->batch;
    shard *s = &g->shards[task];
    size_t stride = problem->plain_stride;
    for (size_t i = 0; i < s->input.images; i++) {
        const float *from = problem->plain + s->rows[i] * stride;
        if (batch->augmentation)
            ramify_augment(batch->augmentation, batch->seed, batch->pass, s->rows[i], from,
                           s->plain + i * stride);
        else
            memcpy(s->plain + i * stride, from, stride * sizeof *from);
    }
    return ramify_paraformer_embed(NULL, 1, problem->kernels, g->shape, g->weights.embedding,
                                   s->input.images, s->plain, stride, s->x, s->normal, s->inverse,
                                   s->scratch, &s->input);
}

static ramify_status forward(void *argument, size_t task, uint32_t worker) {
    ramify_gradient *g = argument;
    const ramify_branch_shape *shape = &g->shape->branch;
    size_t branch = task % g->batch->branches;
    const shard *s = &g->shards[task / g->batch->branches];
    slot *at = &g->slots[task];
    if (s->input.images > 0)
        ramify_branch_forward(g->problem->kernels, shape,
                              g->weights.branch + branch * g->parts.branch, &s->input, at->y,
                              shape->width, at->memory, g->scratch[worker]);
    return RAMIFY_OK;
}

static ramify_status judge(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_gradient *g = argument;
    const ramify_problem *problem = g->problem;
    const ramify_head_shape *head = &g->shape->head;
    shard *s = &g->shards[task];
    size_t images = s->input.images, d = head->width;
    memcpy(s->sum, slot_of(g, task, 0)->y, images * d * sizeof *s->sum);
    for (uint32_t k = 1; k < g->batch->branches; k++)
        add(images * d, slot_of(g, task, k)->y, s->sum);
    ramify_head_forward(problem->kernels, head, g->weights.head, images, s->sum, s->y, g->outputs,
                        s->head_normal, s->head_inverse, s->scratch);
    memset(s->dy, 0, images * g->outputs * sizeof *s->dy);
    ramify_loss_gradient(problem, s->rows, NULL, images, 1.0f / (float)g->batch->count,
                         g->batch->smoothing, s->y, s->dy, g->outputs, &s->room);
    for (size_t i = 0; i < images; i++)
        s->loss += (double)(s->room.weight[i] * s->room.loss[i]);
    ramify_head_backward(problem->kernels, head, g->weights.head, images, s->head_normal,
                         s->head_inverse, s->dy, g->outputs, s->gradient + g->parts.embedding,
                         s->dsum, s->scratch);
    return RAMIFY_OK;
}

static ramify_status backward(void *argument, size_t task, uint32_t worker) {
    ramify_gradient *g = argument;
    const ramify_branch_shape *shape = &g->shape->branch;
    size_t branch = task % g->batch->branches;
    const shard *s = &g->shards[task / g->batch->branches];
    slot *at = &g->slots[task];
    if (s->input.images > 0)
        ramify_branch_backward(g->problem->kernels, shape,
                               g->weights.branch + branch * g->parts.branch, &s->input, s->dsum,
                               shape->width, at->memory, at->gradient, at->dx, g->scratch[worker]);
    return RAMIFY_OK;
}

static ramify_status gather(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_gradient *g = argument;
    shard *s = &g->shards[task];
    if (s->input.images == 0)
        return RAMIFY_OK;
    float *dx = slot_of(g, task, 0)->dx;
    for (uint32_t k = 1; k < g->batch->branches; k++)
        add(g->shape->branch.width * s->input.ld, slot_of(g, task, k)->dx, dx);
    ramify_embedding_backward(g->problem->kernels, &g->shape->embedding, s->input.images, s->plain,
                              g->problem->plain_stride, dx, s->input.ld, s->gradient, s->scratch);
    return RAMIFY_OK;
}

static ramify_status clear(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_gradient *g = argument;
    memset(g->slots[task].gradient, 0, g->parts.branch * sizeof(float));
    if (task >= g->shards_used)
        return RAMIFY_OK;
    shard *s = &g->shards[task];
    memset(s->gradient, 0, (g->parts.embedding + g->parts.head) * sizeof(float));
    s->loss = 0;
    return RAMIFY_OK;
}

/* Sets the shards' rows to their micro-batch number `round` of `rounds`. */
static void deal_rows(ramify_gradient *g, size_t round, size_t rounds) {
    for (size_t i = 0; i < g->shards_used; i++) {
        shard *s = &g->shards[i];
        size_t first = g->batch->count * i / g->shards_used;
        size_t rows = g->batch->count * (i + 1) / g->shards_used - first;
        size_t from = rows * round / rounds, images = rows * (round + 1) / rounds - from;
        s->rows = g->batch->rows + first + from;
        s->input = (ramify_branch_input){.images = images};
    }
}

ramify_status ramify_gradient_run(ramify_gradient *gradient,
                                  const ramify_paraformer_weights *weights,
                                  const ramify_gradient_batch *batch, double *loss) {
    ramify_gradient *g = gradient;
    ramify_context *context = g->problem->context;
    g->batch = batch;
    g->weights = *weights;
    g->shards_used = ramify_gradient_shards(batch->branches, g->plan.tasks);
    size_t shards = g->shards_used, tasks = shards * batch->branches;
    size_t largest = (batch->count + shards - 1) / shards;
    size_t rounds = (largest + g->plan.micro - 1) / g->plan.micro;
    RAMIFY_TRY(ramify_parallel_on(context, g->workers, tasks, clear, g));
    for (size_t round = 0; round < rounds; round++) {
        deal_rows(g, round, rounds);
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, shards, embed, g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, tasks, forward, g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, shards, judge, g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, tasks, backward, g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, shards, gather, g));
    }
    *loss = 0;
    for (size_t i = 0; i < shards; i++)
        *loss += g->shards[i].loss;
    return RAMIFY_OK;
}

float *ramify_gradient_part(ramify_gradient *gradient, uint32_t part) {
    ramify_gradient *g = gradient;
    size_t floats;
    ramify_paraformer_part(&g->parts, part, &floats);
    float *first = part == 0 ? g->shards[0].gradient : g->slots[part - 1].gradient;
    for (size_t at = 0; at < floats; at += SUM_FLOATS)
        for (size_t i = 1; i < g->shards_used; i++) {
            const float *other =
                part == 0 ? g->shards[i].gradient : slot_of(g, i, part - 1)->gradient;
            add(ramify_smaller(SUM_FLOATS, floats - at), other + at, first + at);
        }
    return first;
}

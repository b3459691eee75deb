/* Plan of a batch: it is cut into shards, a shard's rows into micro-batches. For each micro-batch of
 * all shards:
 *
 *     embed      per shard             rows to tokens, normalised for the branches' first layers
 *     forward    per shard and branch
 *     judge      per shard             sum of branches, head, loss, and back to the sum
 *     backward   per shard and branch
 *     gather     per shard             sum of the branches' gradients by the tokens, embedding
 *
 * Every shard has gradients of its own, which are summed in order at the end.
 *
 * Where branches are dealt to ranks, every rank embeds and judges all shards, from rows that it has, and runs
 * its own branches; the class tokens of all branches are exchanged before judging. The branches' gradients by
 * the tokens, which are as many times as large as an image has tokens, go to one rank per shard alone, in
 * turn, which sums them in the branches' order; what embedding's gradients these become is exchanged at the
 * end. So sums are taken of the same numbers in the same order as by one process, and a step sends
 *
 *     4 (ranks - 1) branches x rows x width                    bytes of class tokens,
 *     4 width x ld for each branch and micro-batch of a shard  whose rank is not the shard's,
 *     4 (ranks - 1) shards x embedding floats
 *
 * by all ranks together; ld = ramify_branch_stride of the micro-batch. */

#include "paraformer_gradient.h"
#include "branch_parts.h"
#include "dealt.h"
#include "memory.h"
#include "residency.h"
#include "status.h"
#include "threads.h"

#include <string.h>

/* Floats of a sum that stay in the first cache while all shards are added to it. */
#define SUM_FLOATS 2048

/* Of a pair of shard and one of this rank's branches. */
typedef struct slot {
    float *memory_block; /* owned: what follows points into it */
    float *gradient;     /* branch floats */
    float *memory;       /* for ramify_branch_backward */
    float *dx;           /* width x ld; among ranks a place in `sent` */
    float *y;            /* micro x width: the branch's class tokens; a place in `classes` */
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

/* Bytes to and from every rank, and where they lie. */
typedef struct way {
    size_t *memory;                                      /* owned: what follows points into it */
    size_t *out_size, *out_offset, *in_size, *in_offset; /* ranks */
} way;

/* Floats that are on their way between ranks. */
typedef struct room_between {
    size_t classes, sent, received, embedding;
} room_between;

struct ramify_gradient {
    const ramify_problem *problem;
    const ramify_paraformer_shape *shape;
    ramify_gradient_plan plan;
    ramify_deal
        deal; /* of branches, and of the shards whose gradients by the tokens are summed here */
    ramify_paraformer_parts parts;
    size_t outputs; /* pad(outputs) */
    uint32_t slot_count, shard_count, workers;
    slot *slots;     /* slot_count: shard after shard, of as many branches as the prefix has here */
    shard *shards;   /* shard_count */
    float **scratch; /* workers */

    /* Among ranks, else NULL: */
    float *classes; /* class tokens of all branches in dealt order, each of a micro-batch's rows */
    float *sent;    /* gradients by the tokens of this rank's branches: rank after rank, shard after
                         shard of those it sums, branch after branch */
    float *received;  /* those of other ranks' branches for this rank's shards, in the same order */
    float *embedding; /* shards in dealt order x embedding floats */
    way way;          /* of sent and received */

    /* Of the current batch: */
    const ramify_gradient_batch *batch;
    ramify_paraformer_weights weights;
    uint32_t shards_used;
};

uint32_t ramify_gradient_shards(uint32_t branches, uint32_t tasks) {
    return tasks > branches ? tasks / branches : 1;
}

/* The largest number of shards, and of pairs of shard and branch here, over all prefixes. */
static void count_tasks(const ramify_paraformer_shape *shape, const ramify_gradient_plan *plan,
                        const ramify_deal *deal, uint32_t *shards, uint32_t *slots) {
    *shards = *slots = 0;
    for (uint32_t k = 1; k <= shape->branches; k++) {
        uint32_t count = ramify_gradient_shards(k, plan->tasks);
        uint32_t here = count * ramify_deal_own(deal, k);
        *shards = count > *shards ? count : *shards;
        *slots = here > *slots ? here : *slots;
    }
}

/* Room for whole micro-batches of every shard, over all prefixes. */
static room_between count_between(const ramify_paraformer_shape *shape,
                                  const ramify_gradient_plan *plan, const ramify_deal *deal) {
    room_between most = {0};
    if (ramify_deal_is_whole(deal))
        return most;
    size_t d = shape->branch.width, tokens = d * ramify_branch_stride(&shape->branch, plan->micro);
    for (uint32_t k = 1; k <= shape->branches; k++) {
        size_t shards = ramify_gradient_shards(k, plan->tasks), here = ramify_deal_own(deal, k);
        size_t summed = ramify_deal_own(deal, (uint32_t)shards);
        most.classes = ramify_larger(most.classes, k * shards * plan->micro * d);
        most.sent = ramify_larger(most.sent, here * shards * tokens);
        most.received = ramify_larger(most.received, (k - here) * summed * tokens);
        most.embedding = ramify_larger(most.embedding,
                                       shards * ramify_embedding_lay_out(&shape->embedding).floats);
    }
    return most;
}

uint32_t ramify_gradient_workers(const ramify_paraformer_shape *shape,
                                 const ramify_gradient_plan *plan, const ramify_deal *deal) {
    uint32_t shards, slots;
    count_tasks(shape, plan, deal, &shards, &slots);
    return slots > 0 ? slots : 1;
}

/* alone: all branches are here. */
static size_t carve_slot(const ramify_paraformer_shape *shape, size_t micro, bool alone,
                         float *block, slot *s) {
    size_t d = shape->branch.width, ld = ramify_branch_stride(&shape->branch, micro);
    ramify_carver carver = {.base = block};
    *s = (slot){.memory_block = block};
    s->gradient = ramify_carve(&carver, ramify_branch_record_bytes(&shape->branch) / sizeof(float));
    s->memory = ramify_carve(&carver, ramify_branch_memory_floats(&shape->branch, micro));
    s->dx = ramify_carve(&carver, alone ? d * ld : 0);
    s->y = ramify_carve(&carver, alone ? micro * d : 0);
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
                               const ramify_gradient_plan *plan, const ramify_deal *deal,
                               uint32_t workers) {
    uint32_t shards, slots;
    count_tasks(shape, plan, deal, &shards, &slots);
    slot a;
    shard b;
    bool alone = ramify_deal_is_whole(deal);
    uint64_t of_slot =
        ramify_block_bytes(carve_slot(shape, plan->micro, alone, NULL, &a) * sizeof(float));
    uint64_t of_shard =
        ramify_block_bytes(carve_shard(problem, shape, plan->micro, NULL, &b) * sizeof(float));
    uint64_t scratch =
        ramify_block_bytes(ramify_branch_train_floats(&shape->branch, plan->micro) * sizeof(float));
    const room_between between = count_between(shape, plan, deal);
    uint64_t of_between = 0;
    if (!alone)
        of_between = ramify_block_bytes(between.classes * sizeof(float)) +
                     ramify_block_bytes(between.sent * sizeof(float)) +
                     ramify_block_bytes(between.received * sizeof(float)) +
                     ramify_block_bytes(between.embedding * sizeof(float)) +
                     ramify_block_bytes(8 * (uint64_t)deal->ranks * sizeof(size_t));
    return of_between + ramify_block_bytes(sizeof(ramify_gradient)) +
           ramify_block_bytes(slots * sizeof(slot)) + ramify_block_bytes(shards * sizeof(shard)) +
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
    ramify_release(context, g->classes);
    ramify_release(context, g->sent);
    ramify_release(context, g->received);
    ramify_release(context, g->embedding);
    ramify_release(context, g->way.memory);
    ramify_release(context, g->slots);
    ramify_release(context, g->shards);
    ramify_release(context, g->scratch);
    ramify_release(context, g);
    *gradient = NULL;
}

static ramify_status allocate_between(ramify_gradient *g) {
    ramify_context *context = g->problem->context;
    const room_between between = count_between(g->shape, &g->plan, &g->deal);
    size_t ranks = g->deal.ranks;
    /* Lines of tokens end in numbers that nobody has written. */
    g->sent = ramify_allocate_zeroed(context, between.sent, sizeof *g->sent);
    g->received = ramify_allocate(context, between.received, sizeof *g->received);
    g->classes = ramify_allocate(context, between.classes, sizeof *g->classes);
    g->embedding = ramify_allocate(context, between.embedding, sizeof *g->embedding);
    size_t *memory = ramify_allocate_zeroed(context, 4 * ranks, sizeof *memory);
    g->way = (way){memory, memory, memory + ranks, memory + 2 * ranks, memory + 3 * ranks};
    return g->classes && g->sent && g->received && g->embedding && memory ? RAMIFY_OK
                                                                          : RAMIFY_ERROR_MEMORY;
}

static ramify_status allocate(ramify_gradient *g) {
    ramify_context *context = g->problem->context;
    bool alone = ramify_deal_is_whole(&g->deal);
    if (!alone)
        RAMIFY_TRY(allocate_between(g));
    g->slots = ramify_allocate_zeroed(context, g->slot_count, sizeof *g->slots);
    g->shards = ramify_allocate_zeroed(context, g->shard_count, sizeof *g->shards);
    g->scratch = ramify_allocate_zeroed(context, g->workers, sizeof *g->scratch);
    if (!g->slots || !g->shards || !g->scratch)
        return RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; i < g->slot_count; i++) {
        slot *s = &g->slots[i];
        size_t floats = carve_slot(g->shape, g->plan.micro, alone, NULL, s);
        float *block = ramify_allocate(context, floats, sizeof(float));
        if (!block)
            return RAMIFY_ERROR_MEMORY;
        carve_slot(g->shape, g->plan.micro, alone, block, s);
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
                                     const ramify_gradient_plan *plan, const ramify_deal *deal,
                                     ramify_gradient **gradient) {
    ramify_context *context = problem->context;
    ramify_gradient *g = ramify_allocate_zeroed(context, 1, sizeof *g);
    if (!g)
        return RAMIFY_ERROR_MEMORY;
    g->problem = problem;
    g->shape = shape;
    g->plan = *plan;
    g->deal = *deal;
    g->parts = ramify_paraformer_parts_of(shape);
    g->outputs = ramify_pad(problem->outputs);
    count_tasks(shape, plan, deal, &g->shard_count, &g->slot_count);
    uint32_t threads = ramify_threads(context);
    uint32_t most = ramify_gradient_workers(shape, plan, deal);
    g->workers = threads < most ? threads : most;
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

/* The prefix's branches that are here. */
static uint32_t branches_here(const ramify_gradient *g) {
    return ramify_deal_own(&g->deal, g->batch->branches);
}

/* place: of a branch among those here. */
static slot *slot_of(ramify_gradient *g, size_t of, size_t place) {
    return &g->slots[of * branches_here(g) + place];
}

/* Floats of the gradient by the tokens of a shard's micro-batch. */
static size_t token_floats(const ramify_gradient *g, size_t of) {
    size_t images = g->shards[of].input.images;
    return images > 0 ? g->shape->branch.width * ramify_branch_stride(&g->shape->branch, images)
                      : 0;
}

/* The class tokens that any branch made of a shard's rows. */
static float *classes_of(ramify_gradient *g, size_t of, uint32_t branch) {
    if (ramify_deal_is_whole(&g->deal))
        return slot_of(g, of, branch)->y;
    size_t rows = 0, before = 0, index = ramify_deal_index(&g->deal, branch, g->batch->branches);
    for (size_t i = 0; i < g->shards_used; i++) {
        before += i < of ? g->shards[i].input.images : 0;
        rows += g->shards[i].input.images;
    }
    return g->classes + (index * rows + before) * g->shape->branch.width;
}

/* The gradient of any branch by the tokens of a shard that is summed here. */
static float *tokens_of(ramify_gradient *g, size_t of, uint32_t branch) {
    uint32_t from = ramify_deal_holder(&g->deal, branch);
    uint32_t place = ramify_deal_place(&g->deal, branch);
    if (from == g->deal.rank)
        return slot_of(g, of, place)->dx;
    float *at = g->received + g->way.in_offset[from] / sizeof(float);
    size_t there = ramify_deal_held(&g->deal, from, g->batch->branches);
    for (size_t i = g->deal.rank; i < of; i += g->deal.ranks)
        at += there * token_floats(g, i);
    return at + place * token_floats(g, of);
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
    size_t here = branches_here(g), place = task % here;
    const shard *s = &g->shards[task / here];
    slot *at = &g->slots[task];
    if (s->input.images > 0)
        ramify_branch_forward(g->problem->kernels, shape,
                              g->weights.branch + place * g->parts.branch, &s->input, at->y,
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
    memcpy(s->sum, classes_of(g, task, 0), images * d * sizeof *s->sum);
    for (uint32_t k = 1; k < g->batch->branches; k++)
        add(images * d, classes_of(g, task, k), s->sum);
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
    size_t here = branches_here(g), place = task % here;
    const shard *s = &g->shards[task / here];
    slot *at = &g->slots[task];
    if (s->input.images > 0)
        ramify_branch_backward(g->problem->kernels, shape,
                               g->weights.branch + place * g->parts.branch, &s->input, s->dsum,
                               shape->width, at->memory, at->gradient, at->dx, g->scratch[worker]);
    return RAMIFY_OK;
}

/* Task: a shard that is summed here. */
static ramify_status gather(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_gradient *g = argument;
    size_t of = ramify_deal_thing(&g->deal, (uint32_t)task);
    shard *s = &g->shards[of];
    if (s->input.images == 0)
        return RAMIFY_OK;
    float *dx = tokens_of(g, of, 0);
    for (uint32_t k = 1; k < g->batch->branches; k++)
        add(token_floats(g, of), tokens_of(g, of, k), dx);
    ramify_embedding_backward(g->problem->kernels, &g->shape->embedding, s->input.images, s->plain,
                              g->problem->plain_stride, dx, s->input.ld, s->gradient, s->scratch);
    return RAMIFY_OK;
}

static ramify_status clear(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    ramify_gradient *g = argument;
    if (task < (size_t)g->shards_used * branches_here(g))
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

/* Among ranks: where this round's class tokens and gradients by the tokens go and come from. */
static void lay_out_between(ramify_gradient *g) {
    const ramify_deal *deal = &g->deal;
    const way *w = &g->way;
    uint32_t here = branches_here(g);
    size_t sent = 0, received = 0;
    for (uint32_t r = 0; r < deal->ranks; r++) {
        size_t there = ramify_deal_held(deal, r, g->batch->branches), out = 0, in = 0;
        for (size_t i = r; i < g->shards_used; i += deal->ranks)
            for (uint32_t place = 0; place < here; place++) {
                slot_of(g, i, place)->dx = g->sent + sent + out;
                out += token_floats(g, i);
            }
        for (size_t i = deal->rank; r != deal->rank && i < g->shards_used; i += deal->ranks)
            in += there * token_floats(g, i);
        w->out_offset[r] = sent * sizeof(float);
        w->in_offset[r] = received * sizeof(float);
        w->out_size[r] = r != deal->rank ? out * sizeof(float) : 0;
        w->in_size[r] = in * sizeof(float);
        sent += out;
        received += in;
    }
    for (size_t i = 0; i < g->shards_used; i++)
        for (uint32_t place = 0; place < here; place++)
            slot_of(g, i, place)->y = classes_of(g, i, ramify_deal_thing(deal, place));
}

static ramify_status share_classes(ramify_gradient *g) {
    size_t rows = 0;
    for (size_t i = 0; i < g->shards_used; i++)
        rows += g->shards[i].input.images;
    ramify_cluster_phase(g->problem->context, "class tokens");
    return ramify_dealt_share(g->problem->context, &g->deal, g->batch->branches,
                              rows * g->shape->branch.width * sizeof(float), g->classes);
}

static ramify_status share_tokens(ramify_gradient *g) {
    const way *w = &g->way;
    ramify_cluster_phase(g->problem->context, "gradients by tokens");
    return ramify_cluster_exchange(g->problem->context, g->sent, w->out_size, w->out_offset,
                                   g->received, w->in_size, w->in_offset);
}

/* What shards make of the embedding's gradient, where they were summed. */
static ramify_status share_embedding(ramify_gradient *g) {
    size_t floats = g->parts.embedding;
    for (uint32_t i = 0; i < g->shards_used; i++)
        if (ramify_deal_holder(&g->deal, i) == g->deal.rank)
            memcpy(g->embedding + ramify_deal_index(&g->deal, i, g->shards_used) * floats,
                   g->shards[i].gradient, floats * sizeof(float));
    ramify_cluster_phase(g->problem->context, "gradients of the embedding");
    RAMIFY_TRY(ramify_dealt_share(g->problem->context, &g->deal, g->shards_used,
                                  floats * sizeof(float), g->embedding));
    for (uint32_t i = 0; i < g->shards_used; i++)
        memcpy(g->shards[i].gradient,
               g->embedding + ramify_deal_index(&g->deal, i, g->shards_used) * floats,
               floats * sizeof(float));
    return RAMIFY_OK;
}

ramify_status ramify_gradient_run(ramify_gradient *gradient,
                                  const ramify_paraformer_weights *weights,
                                  const ramify_gradient_batch *batch, double *loss) {
    ramify_gradient *g = gradient;
    ramify_context *context = g->problem->context;
    g->batch = batch;
    g->weights = *weights;
    g->shards_used = ramify_gradient_shards(batch->branches, g->plan.tasks);
    size_t shards = g->shards_used, tasks = shards * branches_here(g);
    bool alone = ramify_deal_is_whole(&g->deal);
    size_t largest = (batch->count + shards - 1) / shards;
    size_t rounds = (largest + g->plan.micro - 1) / g->plan.micro;
    RAMIFY_TRY(ramify_parallel_on(context, g->workers, ramify_larger(tasks, shards), clear, g));
    for (size_t round = 0; round < rounds; round++) {
        deal_rows(g, round, rounds);
        if (!alone)
            lay_out_between(g);
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, shards, embed, g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, tasks, forward, g));
        if (!alone)
            RAMIFY_TRY(share_classes(g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, shards, judge, g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers, tasks, backward, g));
        if (!alone)
            RAMIFY_TRY(share_tokens(g));
        RAMIFY_TRY(ramify_parallel_on(context, g->workers,
                                      ramify_deal_own(&g->deal, g->shards_used), gather, g));
    }
    if (!alone)
        RAMIFY_TRY(share_embedding(g));
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

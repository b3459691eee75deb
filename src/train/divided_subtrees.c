/* Plan: subtrees are dealt to ranks by their rows; every rank sends its rows to their owners, a twentieth
 * at a time, and frees what it has sent; owners grow their subtrees one after the other, each as a tree of
 * its own; then all ranks learn of all nodes and experts, and join them to the top. */

#include "cluster.h"
#include "divided_parts.h"
#include "memory.h"
#include "progress.h"
#include "recipe.h"
#include "routing.h"
#include "status.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Rows travel in at least so many parts, and in parts of at most so many bytes of a rank. */
#define PARTS_LEAST     20
#define PART_BYTES_MOST ((size_t)1 << 26)
/* A subtree with fewer rows keeps its parent's expert. */
#define LEAST_ROWS 32

typedef struct subtree {
    uint32_t node; /* of the top */
    uint32_t owner;
    size_t rows;   /* of all roles */
    float *packed; /* rows, where this rank owns it */
    size_t *next;  /* ranks: where the next row of each goes in it */
    ramify_grown *grown;
    bool better;       /* its root's expert is its own */
    double row_visits; /* of that expert's fit */
} subtree;

typedef struct subtrees {
    ramify_divided_growth *growth;
    subtree *list;
    uint32_t count;
    uint32_t *at; /* nodes of the top: their subtree, or RAMIFY_NOWHERE */
    uint32_t *own, own_count;
    uint32_t ranks, rank;
    ramify_fits *fits; /* of this rank alone */
    double rows_all;   /* training rows of own subtrees */
    atomic_ullong rows_done;
} subtrees;

static bool is_subtree(const ramify_divided_growth *g, const ramify_grown_node *node) {
    return node->children == 0 && node->train_count <= g->plan->node_rows &&
           node->train_count >= LEAST_ROWS;
}

static ramify_status find_subtrees(subtrees *s) {
    const ramify_divided_growth *g = s->growth;
    ramify_context *context = g->context;
    const uint32_t nodes = g->top->node_count;
    s->at = ramify_allocate(context, nodes, sizeof *s->at);
    s->list = ramify_allocate_zeroed(context, nodes, sizeof *s->list);
    s->own = ramify_allocate(context, nodes, sizeof *s->own);
    double *cost = ramify_allocate(context, nodes, sizeof *cost);
    uint32_t *owner = ramify_allocate(context, nodes, sizeof *owner);
    ramify_status status =
        s->at && s->list && s->own && cost && owner ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < nodes; i++) {
        const ramify_grown_node *node = &g->top->nodes[i];
        s->at[i] = RAMIFY_NOWHERE;
        if (!is_subtree(g, node))
            continue;
        s->at[i] = s->count;
        cost[s->count] = (double)node->train_count;
        s->list[s->count++] = (subtree){
            .node = i, .rows = node->train_count + node->select_count + node->report_count};
    }
    if (status == RAMIFY_OK)
        status = ramify_cluster_deal(context, cost, s->count, owner);
    for (uint32_t i = 0; status == RAMIFY_OK && i < s->count; i++) {
        s->list[i].owner = owner[i];
        if (owner[i] != s->rank)
            continue;
        s->own[s->own_count++] = i;
        s->rows_all += cost[i];
    }
    ramify_release(context, cost);
    ramify_release(context, owner);
    return status;
}

/* ---- rows travel ---- */

typedef struct travel {
    subtrees *all;
    size_t *size; /* 4 x ranks: bytes out, where, bytes in, where */
    uint64_t *out_count,
        *in_count; /* rows of a part: by subtree in the order of owners; by rank and own
                                       subtree */
    size_t *place; /* subtrees: where the next row goes in `out` */
} travel;

/* Rows here from first to end, by subtree; `order` of the counts is that of owners, then of subtrees. */
static void count_part(const travel *t, size_t first, size_t end) {
    const subtrees *s = t->all;
    memset(t->place, 0, s->count * sizeof *t->place);
    for (size_t i = first; i < end; i++) {
        const uint32_t at = s->at[s->growth->node[i]];
        if (at != RAMIFY_NOWHERE)
            t->place[at]++;
    }
    size_t next = 0;
    for (uint32_t r = 0; r < s->ranks; r++)
        for (uint32_t i = 0; i < s->count; i++)
            if (s->list[i].owner == r)
                t->out_count[next++] = t->place[i];
}

/* Tells owners how many rows of each of their subtrees are to come. */
static ramify_status tell_counts(const travel *t) {
    const subtrees *s = t->all;
    size_t *out = t->size, *out_at = out + s->ranks, *in = out_at + s->ranks,
           *in_at = in + s->ranks;
    memset(t->size, 0, 4 * (size_t)s->ranks * sizeof *t->size);
    for (uint32_t i = 0; i < s->count; i++)
        out[s->list[i].owner] += sizeof(uint64_t);
    for (uint32_t r = 0; r < s->ranks; r++) {
        out_at[r] = r > 0 ? out_at[r - 1] + out[r - 1] : 0;
        in[r] = s->own_count * sizeof(uint64_t);
        in_at[r] = r * in[r];
    }
    return ramify_cluster_exchange(s->growth->context, t->out_count, out, out_at, t->in_count, in,
                                   in_at);
}

/* Room for the rows of own subtrees, those of lower ranks first. */
static ramify_status make_room(const travel *t) {
    const subtrees *s = t->all;
    ramify_context *context = s->growth->context;
    for (uint32_t i = 0; i < s->own_count; i++) {
        subtree *to = &s->list[s->own[i]];
        to->packed = ramify_allocate(context, to->rows, s->growth->divided->width * sizeof(float));
        to->next = ramify_allocate(context, s->ranks, sizeof *to->next);
        if (!to->packed || !to->next)
            return RAMIFY_ERROR_MEMORY;
        size_t next = 0;
        for (uint32_t r = 0; r < s->ranks; r++) {
            to->next[r] = next;
            next += t->in_count[(size_t)r * s->own_count + i];
        }
    }
    return RAMIFY_OK;
}

/* Lays rows out by owner and subtree. */
static void fill_parcels(const travel *t, size_t first, size_t end, float *out) {
    const subtrees *s = t->all;
    const ramify_divided *d = s->growth->divided;
    size_t next = 0, entry = 0;
    for (uint32_t r = 0; r < s->ranks; r++)
        for (uint32_t i = 0; i < s->count; i++)
            if (s->list[i].owner == r) {
                t->place[i] = next;
                next += t->out_count[entry++];
            }
    for (size_t i = first; i < end; i++) {
        const uint32_t at = s->at[s->growth->node[i]];
        if (at != RAMIFY_NOWHERE)
            memcpy(out + t->place[at]++ * d->width, ramify_divided_row(d, i),
                   d->width * sizeof *out);
    }
}

static void take_parcels(const travel *t, const float *in) {
    const subtrees *s = t->all;
    const size_t width = s->growth->divided->width;
    for (uint32_t r = 0; r < s->ranks; r++)
        for (uint32_t i = 0; i < s->own_count; i++) {
            subtree *to = &s->list[s->own[i]];
            const size_t count = t->in_count[(size_t)r * s->own_count + i];
            memcpy(to->packed + to->next[r] * width, in, count * width * sizeof *in);
            to->next[r] += count;
            in += count * width;
        }
}

/* Frees the pieces of which all rows have been sent. */
static void free_sent(ramify_divided *d, size_t sent) {
    for (size_t i = 0; i < d->pieces; i++)
        if (d->packed[i] && ((i + 1) * RAMIFY_DIVIDED_PIECE <= sent || sent >= d->rows)) {
            ramify_release(d->context, d->packed[i]);
            d->packed[i] = NULL;
        }
}

static ramify_status send_part(const travel *t, size_t first, size_t end) {
    const subtrees *s = t->all;
    ramify_context *context = s->growth->context;
    const size_t bytes = s->growth->divided->width * sizeof(float);
    count_part(t, first, end);
    RAMIFY_TRY(tell_counts(t));
    size_t *out = t->size, *out_at = out + s->ranks, *in = out_at + s->ranks,
           *in_at = in + s->ranks, entry = 0, out_rows = 0, in_rows = 0;
    for (uint32_t r = 0; r < s->ranks; r++) {
        out_at[r] = out_rows * bytes;
        in_at[r] = in_rows * bytes;
        for (uint32_t i = 0; i < s->count; i++)
            if (s->list[i].owner == r)
                out_rows += t->out_count[entry++];
        for (uint32_t i = 0; i < s->own_count; i++)
            in_rows += t->in_count[(size_t)r * s->own_count + i];
        out[r] = out_rows * bytes - out_at[r];
        in[r] = in_rows * bytes - in_at[r];
    }
    float *send = ramify_allocate(context, out_rows, bytes);
    float *receive = ramify_allocate(context, in_rows, bytes);
    ramify_status status = send && receive ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        fill_parcels(t, first, end, send);
        free_sent(s->growth->divided, end);
        status = ramify_cluster_exchange(context, send, out, out_at, receive, in, in_at);
    }
    if (status == RAMIFY_OK)
        take_parcels(t, receive);
    ramify_release(context, send);
    ramify_release(context, receive);
    return status;
}

/* Parts in which the rows of every rank travel: of the rank that has most. */
static ramify_status count_parts(const subtrees *s, uint64_t *parts) {
    const ramify_divided *d = s->growth->divided;
    const uint64_t own = d->rows * d->width * sizeof(float);
    uint64_t *bytes = ramify_allocate(s->growth->context, s->ranks, sizeof *bytes);
    if (!bytes)
        return RAMIFY_ERROR_MEMORY;
    ramify_status status = ramify_cluster_gather(s->growth->context, &own, sizeof own, bytes);
    *parts = PARTS_LEAST;
    for (uint32_t r = 0; status == RAMIFY_OK && r < s->ranks; r++)
        if (bytes[r] / PART_BYTES_MOST + 1 > *parts)
            *parts = bytes[r] / PART_BYTES_MOST + 1;
    ramify_release(s->growth->context, bytes);
    return status;
}

static ramify_status send_rows(subtrees *s) {
    ramify_context *context = s->growth->context;
    const size_t rows = s->growth->divided->rows;
    travel t = {.all = s};
    uint64_t parts = 0;
    t.size = ramify_allocate(context, 4 * (size_t)s->ranks, sizeof *t.size);
    t.out_count = ramify_allocate(context, s->count, sizeof *t.out_count);
    t.in_count = ramify_allocate(context, (size_t)s->own_count * s->ranks, sizeof *t.in_count);
    t.place = ramify_allocate(context, s->count, sizeof *t.place);
    ramify_status status =
        t.size && t.out_count && t.in_count && t.place ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    ramify_cluster_phase(context, "rows to their subtrees");
    if (status == RAMIFY_OK)
        status = count_parts(s, &parts);
    if (status == RAMIFY_OK) {
        count_part(&t, 0, rows);
        status = tell_counts(&t);
    }
    if (status == RAMIFY_OK)
        status = make_room(&t);
    for (uint64_t p = 0; status == RAMIFY_OK && p < parts; p++) {
        status = send_part(&t, (size_t)(rows * p / parts), (size_t)(rows * (p + 1) / parts));
        ramify_progress_report(context, "rows to their subtrees", (double)p + 1, (double)parts);
    }
    ramify_release(context, t.size);
    ramify_release(context, t.out_count);
    ramify_release(context, t.in_count);
    ramify_release(context, t.place);
    return status;
}

/* ---- growing ---- */

/* The root's own fit is a list of one, so that it is kept like any other. */
typedef struct root_fit {
    const subtrees *all;
    subtree *of;
    const ramify_problem *problem;
    const float *features;
    float *record; /* floats */
} root_fit;

static ramify_status fit_root(void *argument, size_t task, uint32_t worker) {
    (void)task;
    (void)worker;
    root_fit *f = argument;
    return ramify_divided_fit(f->all->growth, f->of->node, f->problem, f->features, f->record,
                              &f->of->better, &f->of->row_visits);
}

static double root_cost(const void *argument, size_t task) {
    (void)argument;
    (void)task;
    return 1;
}

static uint64_t root_key(const void *argument, size_t task) {
    (void)task;
    const root_fit *f = argument;
    return ramify_divided_key(f->all->growth, f->of->node);
}

static size_t root_size(const void *argument, size_t task) {
    (void)task;
    return 2 * sizeof(double) + ((const root_fit *)argument)->all->growth->floats * sizeof(float);
}

static void pack_root(const void *argument, size_t task, void *result) {
    (void)task;
    const root_fit *f = argument;
    const double head[2] = {f->of->better, f->of->row_visits};
    memcpy(result, head, sizeof head);
    memcpy((char *)result + sizeof head, f->record, f->all->growth->floats * sizeof(float));
}

static ramify_status unpack_root(void *argument, size_t task, const void *result) {
    (void)task;
    root_fit *f = argument;
    double head[2];
    memcpy(head, result, sizeof head);
    memcpy(f->record, (const char *)result + sizeof head, f->all->growth->floats * sizeof(float));
    f->of->better = head[0] != 0;
    f->of->row_visits = head[1];
    return RAMIFY_OK;
}

static ramify_status improve_root(const subtrees *s, subtree *of, const ramify_problem *problem,
                                  const float *features, float *record) {
    const ramify_divided_growth *g = s->growth;
    const float *parent = g->top->modules[g->top->nodes[of->node].judge];
    root_fit fit = {s, of, problem, features, record};
    const ramify_fit_list list = {.count = 1,
                                  .argument = &fit,
                                  .run = fit_root,
                                  .cost = root_cost,
                                  .key = root_key,
                                  .size = root_size,
                                  .pack = pack_root,
                                  .unpack = unpack_root};
    if (of->node > 0)
        RAMIFY_TRY(ramify_fits_run(s->fits, g->context, &list));
    if (!of->better)
        memcpy(record, parent, g->floats * sizeof *record);
    return RAMIFY_OK;
}

/* How the tree below a subtree's root is grown. */
static ramify_grow_plan plan_below(const subtrees *s, const subtree *of, size_t train) {
    const ramify_divided_growth *g = s->growth;
    const ramify_grown_node *node = &g->top->nodes[of->node];
    ramify_grow_plan plan = *g->plan->grow;
    const uint32_t arity = plan.partition == RAMIFY_PARTITION_DYADIC ? 2 : plan.arity;
    plan.fits = s->fits;
    plan.key = node->key;
    plan.depth = plan.depth > node->depth ? plan.depth - node->depth : 0;
    plan.expert.epochs = ramify_recipe_child_epochs(train / arity, g->plan->options);
    plan.expert.rate *= pow(plan.rate_share, (double)node->depth);
    plan.expert.meter = NULL;
    /* Its share of the leaves that there may be. */
    if (plan.leaves > 0) {
        const double share = (double)node->train_count / (double)g->top->nodes[0].train_count;
        plan.leaves = (uint32_t)fmax(1, floor(plan.leaves * share));
    }
    if (plan.leaves == 1)
        plan.depth = 0;
    return plan;
}

/* Rows that nodes still list are of no use to others. */
static void forget_rows(ramify_context *context, ramify_grown *grown) {
    for (uint32_t i = 0; i < grown->node_count; i++) {
        ramify_release(context, grown->nodes[i].rows);
        grown->nodes[i].rows = NULL;
    }
}

static ramify_status grow_subtree(void *argument, size_t task, uint32_t worker) {
    (void)worker;
    subtrees *s = argument;
    const ramify_divided_growth *g = s->growth;
    subtree *of = &s->list[s->own[task]];
    ramify_problem *problem = NULL;
    float *features = NULL, *points = NULL;
    float *record = ramify_allocate(g->context, g->floats, sizeof *record);
    ramify_status status = record
                               ? ramify_packed_problem(g->divided, of->packed, of->rows, &problem)
                               : RAMIFY_ERROR_MEMORY;
    ramify_release(g->context, of->packed);
    of->packed = NULL;
    if (status == RAMIFY_OK)
        status = ramify_divided_features(g, problem, &features);
    if (status == RAMIFY_OK)
        status = improve_root(s, of, problem, features, record);
    if (status == RAMIFY_OK)
        status = ramify_routing_points(problem, g->plan->route, g->plan->routes, &points);
    if (status == RAMIFY_OK) {
        const ramify_grow_plan plan = plan_below(s, of, problem->train.count);
        status = ramify_grow(problem, g->plan->shape, &plan, features, points, g->plan->routes,
                             record, &of->grown);
    }
    if (of->grown)
        forget_rows(g->context, of->grown);
    if (status == RAMIFY_OK) {
        const unsigned long long done = atomic_fetch_add(&s->rows_done, problem->train.count);
        ramify_log(g->context, RAMIFY_LOG_INFO,
                   "subtree %u of %u: %zu rows, %s, %u of %u splits stand", s->own[task] + 1,
                   s->count, problem->train.count,
                   of->better ? "an expert of its own" : "its parent's expert", of->grown->accepted,
                   of->grown->tested);
        ramify_progress_report(g->context, "growing subtrees",
                               (double)done + (double)problem->train.count, s->rows_all);
    }
    ramify_release(g->context, record);
    ramify_release(g->context, features);
    ramify_release(g->context, points);
    ramify_problem_destroy(g->context, &problem);
    return status;
}

/* Side by side where there are enough of them; else each with all threads. */
static ramify_status grow_all(subtrees *s) {
    ramify_context *context = s->growth->context;
    if (s->own_count >= ramify_threads(context))
        return ramify_parallel(context, s->own_count, grow_subtree, s);
    for (uint32_t i = 0; i < s->own_count; i++)
        RAMIFY_TRY(grow_subtree(s, i, 0));
    return RAMIFY_OK;
}

/* ---- joining ---- */

/* What owners tell of a subtree; then its nodes, the prototypes of all but the first, and the records. */
typedef struct subtree_head {
    uint32_t subtree, nodes, modules, leaves, tested, accepted;
    double row_visits;
    uint64_t better;
} subtree_head;

typedef struct subtree_node {
    uint64_t key, train, select, report;
    uint32_t parent, children, first_child, depth, module, unused;
} subtree_node;

/* Records of a subtree's own: without that of its root where that is its parent's. */
static uint32_t first_module(const subtree_head *head) {
    return head->better ? 0 : 1;
}

/* Whether every rank keeps the experts of its own subtrees to itself. */
static bool keeps_apart(const ramify_divided_growth *g) {
    return g->plan->keep_apart && ramify_cluster_size(g->context) > 1;
}

static size_t told_bytes(const ramify_divided_growth *g, const subtree_head *head) {
    const size_t records = keeps_apart(g) ? 0 : (size_t)head->modules - first_module(head);
    return sizeof *head + head->nodes * sizeof(subtree_node) +
           ((size_t)head->nodes - 1) * g->routes_stride * sizeof(float) +
           records * g->floats * sizeof(float);
}

static subtree_head head_of(const subtrees *s, uint32_t index) {
    const subtree *of = &s->list[index];
    return (subtree_head){.subtree = index,
                          .nodes = of->grown->node_count,
                          .modules = of->grown->module_count,
                          .leaves = of->grown->leaf_count,
                          .tested = of->grown->tested,
                          .accepted = of->grown->accepted,
                          .row_visits = of->grown->row_visits + of->row_visits,
                          .better = of->better};
}

static char *put(char *to, const void *bytes, size_t size) {
    memcpy(to, bytes, size);
    return to + size;
}

static char *tell(const subtrees *s, uint32_t index, char *to) {
    const ramify_divided_growth *g = s->growth;
    const ramify_grown *grown = s->list[index].grown;
    const subtree_head head = head_of(s, index);
    to = put(to, &head, sizeof head);
    for (uint32_t i = 0; i < grown->node_count; i++) {
        const ramify_grown_node *from = &grown->nodes[i];
        const subtree_node node = {.key = from->key,
                                   .train = from->train_count,
                                   .select = from->select_count,
                                   .report = from->report_count,
                                   .parent = from->parent,
                                   .children = from->children,
                                   .first_child = from->first_child,
                                   .depth = from->depth,
                                   .module = from->module};
        to = put(to, &node, sizeof node);
    }
    for (uint32_t i = 1; i < grown->node_count; i++)
        to = put(to, grown->nodes[i].prototype, g->routes_stride * sizeof(float));
    for (uint32_t i = first_module(&head); i < grown->module_count && !keeps_apart(g); i++)
        to = put(to, grown->modules[i], g->floats * sizeof(float));
    return to;
}

/* Joins record `index` of a subtree: what its owner has told, or only has, in which case others note who. */
static ramify_status join_record(const subtrees *s, subtree *of, uint32_t index,
                                 const char **told) {
    const ramify_divided_growth *g = s->growth;
    ramify_grown *top = g->top;
    float *record = NULL;
    if (!keeps_apart(g)) {
        record = ramify_allocate(g->context, g->floats, sizeof *record);
        if (!record)
            return RAMIFY_ERROR_MEMORY;
        memcpy(record, *told, g->floats * sizeof *record);
        *told += g->floats * sizeof *record;
    } else if (of->owner == s->rank) {
        record = of->grown->modules[index];
        of->grown->modules[index] = NULL;
    }
    RAMIFY_TRY(ramify_grown_add_module(g->context, top, record));
    if (keeps_apart(g)) {
        uint32_t *owner =
            ramify_reallocate(g->context, top->owner, top->module_room, sizeof *owner);
        if (!owner)
            return RAMIFY_ERROR_MEMORY;
        top->owner = owner;
        owner[top->module_count - 1] = of->owner;
    }
    return RAMIFY_OK;
}

/* Joins one subtree to the top; returns where the next one begins. */
static ramify_status join(const subtrees *s, const char **from) {
    const ramify_divided_growth *g = s->growth;
    ramify_grown *top = g->top;
    subtree_head head;
    memcpy(&head, *from, sizeof head);
    const char *nodes = *from + sizeof head;
    const char *prototypes = nodes + head.nodes * sizeof(subtree_node);
    const char *records = prototypes + ((size_t)head.nodes - 1) * g->routes_stride * sizeof(float);
    const uint32_t root = s->list[head.subtree].node, shift = top->node_count - 1;
    const uint32_t inherited = top->nodes[root].module, module = top->module_count;
    *from += told_bytes(g, &head);
    for (uint32_t i = first_module(&head); i < head.modules; i++)
        RAMIFY_TRY(join_record(s, &s->list[head.subtree], i, &records));
    for (uint32_t i = 0; i < head.nodes; i++) {
        subtree_node told;
        memcpy(&told, nodes + i * sizeof told, sizeof told);
        const uint32_t own = told.module < first_module(&head)
                                 ? inherited
                                 : module + told.module - first_module(&head);
        ramify_grown_node node = {.parent = told.parent == 0 ? root : told.parent + shift,
                                  .children = told.children,
                                  .first_child = told.children ? told.first_child + shift : 0,
                                  .depth = top->nodes[root].depth + told.depth,
                                  .key = told.key,
                                  .module = own,
                                  .judge = own,
                                  .train_count = told.train,
                                  .select_count = told.select,
                                  .report_count = told.report};
        if (i == 0) {
            top->nodes[root].children = node.children;
            top->nodes[root].first_child = node.first_child;
            top->nodes[root].module = top->nodes[root].judge = own;
            continue;
        }
        node.prototype = ramify_allocate(g->context, g->routes_stride, sizeof(float));
        if (!node.prototype)
            return RAMIFY_ERROR_MEMORY;
        memcpy(node.prototype, prototypes + (i - 1) * g->routes_stride * sizeof(float),
               g->routes_stride * sizeof(float));
        RAMIFY_TRY(ramify_grown_add_node(g->context, top, &node));
    }
    top->leaf_count += head.leaves - 1;
    top->tested += head.tested + (root > 0);
    top->accepted += head.accepted + (root > 0 && head.better);
    top->row_visits += head.row_visits;
    return RAMIFY_OK;
}

static ramify_status join_all(subtrees *s) {
    const ramify_divided_growth *g = s->growth;
    ramify_context *context = g->context;
    size_t bytes = 0;
    for (uint32_t i = 0; i < s->own_count; i++) {
        const subtree_head head = head_of(s, s->own[i]);
        bytes += told_bytes(g, &head);
    }
    char *told = ramify_allocate(context, bytes, 1), *to = told;
    size_t *offset = ramify_allocate(context, (size_t)s->ranks + 1, sizeof *offset);
    void *all = NULL;
    ramify_status status = told && offset ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    for (uint32_t i = 0; status == RAMIFY_OK && i < s->own_count; i++) {
        to = tell(s, s->own[i], to);
        if (!keeps_apart(g))
            ramify_grown_destroy(context, &s->list[s->own[i]].grown);
    }
    if (status == RAMIFY_OK && keeps_apart(g)) {
        g->top->owner = ramify_allocate(context, g->top->module_room, sizeof(uint32_t));
        status = g->top->owner ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
        for (uint32_t m = 0; status == RAMIFY_OK && m < g->top->module_count; m++)
            g->top->owner[m] = RAMIFY_NOWHERE;
    }
    ramify_cluster_phase(context, "nodes and experts of subtrees");
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(context, told, bytes, &all, offset);
    ramify_release(context, told);
    /* In the order of subtrees, whoever grew them. */
    for (uint32_t i = 0; status == RAMIFY_OK && i < s->count; i++) {
        const char *from = (const char *)all + offset[s->list[i].owner];
        const char *begin = from;
        status = join(s, &from);
        offset[s->list[i].owner] += (size_t)(from - begin);
    }
    ramify_release(context, all);
    ramify_release(context, offset);
    return status;
}

/* ---- leaves that share an expert ---- */

/* A node all of whose leaves have one expert is a leaf. Children come after their parents. */
static void fold(ramify_grown *top) {
    for (uint32_t i = top->node_count; i-- > 0;) {
        ramify_grown_node *node = &top->nodes[i];
        bool same = node->children > 0;
        for (uint32_t k = 0; same && k < node->children; k++) {
            const ramify_grown_node *child = &top->nodes[node->first_child + k];
            same = child->children == 0 && child->module == top->nodes[node->first_child].module;
        }
        if (!same)
            continue;
        node->module = top->nodes[node->first_child].module;
        top->leaf_count -= node->children - 1;
        for (uint32_t k = 0; k < node->children; k++)
            top->nodes[node->first_child + k].parent = RAMIFY_NOWHERE;
        node->children = node->first_child = 0;
    }
}

/* Takes nodes that were folded away out of the list. */
static ramify_status pack_nodes(ramify_context *context, ramify_grown *top) {
    uint32_t *place = ramify_allocate(context, top->node_count, sizeof *place);
    if (!place)
        return RAMIFY_ERROR_MEMORY;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < top->node_count; i++) {
        const bool gone = i > 0 && top->nodes[i].parent == RAMIFY_NOWHERE;
        place[i] = gone ? RAMIFY_NOWHERE : kept;
        if (gone)
            ramify_release(context, top->nodes[i].prototype);
        else
            top->nodes[kept++] = top->nodes[i];
    }
    top->node_count = kept;
    for (uint32_t i = 0; i < kept; i++) {
        ramify_grown_node *node = &top->nodes[i];
        if (i > 0)
            node->parent = place[node->parent];
        if (node->children > 0)
            node->first_child = place[node->first_child];
    }
    ramify_release(context, place);
    return RAMIFY_OK;
}

ramify_status ramify_divided_subtrees(ramify_divided_growth *g) {
    ramify_context *context = g->context;
    subtrees s = {
        .growth = g, .ranks = ramify_cluster_size(context), .rank = ramify_cluster_rank(context)};
    ramify_status status = ramify_fits_open(context, g->plan->options->resume, true, &s.fits);
    if (status == RAMIFY_OK)
        status = find_subtrees(&s);
    if (status == RAMIFY_OK && s.count > 0)
        status = send_rows(&s);
    if (status == RAMIFY_OK && s.count > 0)
        status = grow_all(&s);
    if (status == RAMIFY_OK && s.count > 0)
        status = join_all(&s);
    if (status == RAMIFY_OK) {
        fold(g->top);
        status = pack_nodes(context, g->top);
    }
    for (uint32_t i = 0; s.list && i < s.count; i++) {
        ramify_release(context, s.list[i].packed);
        ramify_release(context, s.list[i].next);
        ramify_grown_destroy(context, &s.list[i].grown);
    }
    ramify_release(context, s.list);
    ramify_release(context, s.at);
    ramify_release(context, s.own);
    ramify_fits_close(&s.fits);
    return status;
}

#ifndef RAMIFY_MODEL_DISPATCH_PARTS_H
#define RAMIFY_MODEL_DISPATCH_PARTS_H
/* A block of rows under way between ranks: what dispatch.c, dispatch_route.c and dispatch_answer.c share.
 * The steps are told in dispatch.c. */

#include "dispatch.h"

#include <string.h>

/* Groups of a task that lists or copies items. */
#define TASK_GROUPS 64
/* Items of a task that puts answers in their place. */
#define TASK_ITEMS ((size_t)8192)

/* One expert's rows, as sent: first all headers, then all rows. */
typedef struct ramify_sent_header {
    ramify_reference reference;
    uint32_t count; /* rows */
    uint32_t reserved[7];
} ramify_sent_header;

_Static_assert(sizeof(ramify_sent_header) == 64, "headers keep rows aligned");

/* Items (rows, each once for every expert) of a piece that have reached one module. */
typedef struct ramify_sent_group {
    ramify_reference reference;
    uint32_t first, count; /* items of the block, in the order of pieces */
} ramify_sent_group;

/* Something to be ordered by place in the file. */
typedef struct ramify_sent_place {
    uint64_t offset;
    uint32_t index; /* of a group or a ramify_sent_part */
    uint32_t item;  /* of a group: where its first item comes in that order */
} ramify_sent_place;

/* Rows of one expert that came from one rank, no more than a predictor takes at once. */
typedef struct ramify_sent_part {
    ramify_reference reference;
    const unsigned char *rows;
    unsigned char *answers;
    uint32_t count;
} ramify_sent_part;

typedef struct ramify_dispatch_worker {
    ramify_predictor *predictor;
    double *raw;       /* piece x columns */
    uint64_t *outside; /* columns */
} ramify_dispatch_worker;

/* What goes to or comes from one rank. */
typedef struct ramify_sent_bundle {
    size_t headers, items;
    size_t item;   /* number of its first item among those of all ranks */
    size_t offset; /* of its bytes */
} ramify_sent_bundle;

struct ramify_dispatch {
    ramify_context *context;
    ramify_model *model;
    uint32_t rank, ranks;
    bool divides;
    bool sends_raw;            /* raw rows rather than plain features */
    bool sums;                 /* there are series: answers are float64, and final */
    size_t width;              /* bytes of a row that is sent */
    size_t answer_bytes;       /* of an item */
    size_t piece, block, most; /* rows of a piece, of a block; items of a row */
    uint64_t *outside;         /* columns: of calls that are over */

    ramify_dispatch_worker *workers;
    uint32_t worker_count;

    unsigned char *rows; /* block x width, in their order */
    uint32_t *item_row;  /* block x most: rows of items, piece after piece */
    double *item_weight; /* the same: their weights, with several experts per row; else NULL */
    ramify_sent_group *groups; /* the same: groups, piece after piece */
    uint32_t *group_counts;    /* pieces of a block */
    uint32_t *sent_row;        /* block x most: rows of items as they are sent */
    double *sent_weight;       /* likewise, or NULL */

    /* Grown as blocks need it */
    ramify_sent_place *places, *places_sorted;
    size_t places_room;
    ramify_sent_part *parts;
    size_t parts_room;
    unsigned char *out, *in; /* bundles for owners, bundles of others */
    size_t out_room, in_room;
    unsigned char *answers, *back; /* for others; of owners, in the order of sent_row */
    size_t answers_room, back_room;

    ramify_sent_bundle *to, *from;                       /* ranks */
    uint64_t *counts;                                    /* ranks x ranks x 2 */
    size_t *out_size, *out_offset, *in_size, *in_offset; /* ranks */

    /* The block that is under way */
    const ramify_match *match;
    size_t first, count, part_count, group_count, item_count;
    ramify_wanted wanted;
};

/* Memory for `count` things, grown if need be; what was in it is lost. */
ramify_status ramify_dispatch_room(ramify_context *context, void *memory, size_t *room,
                                   size_t count, size_t size);

/* 1 to 3. Tasks take a piece, or TASK_GROUPS groups. */
ramify_status ramify_dispatch_route(void *argument, size_t task, uint32_t number);
ramify_status ramify_dispatch_sort_groups(ramify_dispatch *d, size_t pieces);
size_t ramify_dispatch_place(const ramify_dispatch *d, ramify_sent_bundle *bundles, bool all);
void ramify_dispatch_headers(ramify_dispatch *d);
ramify_status ramify_dispatch_send(void *argument, size_t task, uint32_t number);
ramify_status ramify_dispatch_exchange(ramify_dispatch *d);

/* Orders places by where they lie in the file; `spare` is scratch of the same size. */
void ramify_dispatch_sort(ramify_sent_place **places, ramify_sent_place **spare, size_t count);
ramify_status ramify_dispatch_take_places(ramify_dispatch *d, size_t count);

/* 4 and 5. Tasks take a part, TASK_ITEMS items, or a piece. */
ramify_status ramify_dispatch_list(ramify_dispatch *d);
ramify_status ramify_dispatch_answer(void *argument, size_t task, uint32_t number);
ramify_status ramify_dispatch_return(ramify_dispatch *d);
ramify_status ramify_dispatch_put(void *argument, size_t task, uint32_t number);
void ramify_dispatch_blend(const ramify_dispatch *d);
ramify_status ramify_dispatch_note(void *argument, size_t task, uint32_t number);

#endif

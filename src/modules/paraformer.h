#ifndef RAMIFY_MODULES_PARAFORMER_H
#define RAMIFY_MODULES_PARAFORMER_H
/* A Para-Former: an embedding, branches that all read its tokens, the sum of what they make of the
 * class token, and a head. F_k, the prefix of k branches, is the same with the first k of them: a
 * model of its own where training was progressive. One branch of many layers is a vision
 * transformer. */

#include "branch.h"
#include "deal.h"
#include "embedding.h"
#include "head.h"

#define RAMIFY_BRANCHES_MAX 256

/* width, tokens and epsilon agree in the three. */
typedef struct ramify_paraformer_shape {
    ramify_embedding_shape embedding;
    ramify_branch_shape branch; /* of every branch */
    uint32_t branches;
    ramify_head_shape head;
} ramify_paraformer_shape;

/* The weights: records of embedding and head, and one for every branch, one after the other. Where ranks
 * share a model each has embedding and head, and those branches that are dealt to it. */
typedef struct ramify_paraformer_weights {
    float *embedding; /* ramify_embedding_lay_out().floats */
    float *head;      /* ramify_head_lay_out().floats */
    float *branch;    /* branches x ramify_branch_record_bytes() / 4; of this rank's */
    ramify_deal deal; /* of the branches; zeros: all are here */
} ramify_paraformer_weights;

/* Floats of the parts of all weights as one vector: embedding, head, branch after branch. Part 0 is
 * embedding and head, which all prefixes share; part 1 + i is branch i. */
typedef struct ramify_paraformer_parts {
    size_t embedding, head; /* of part 0 */
    size_t branch;          /* of a branch */
    size_t floats;          /* of all */
} ramify_paraformer_parts;

ramify_paraformer_parts ramify_paraformer_parts_of(const ramify_paraformer_shape *shape);

/* Where the weights of a vector lie. */
ramify_paraformer_weights ramify_paraformer_weights_in(const ramify_paraformer_shape *shape,
                                                       float *vector);

/* The same of a vector with embedding, head and the branches that are dealt to one rank, and its
 * floats. Its part 1 + i is that rank's branch in place i. */
ramify_paraformer_weights ramify_paraformer_weights_held(const ramify_paraformer_shape *shape,
                                                         const ramify_deal *deal, float *vector);
size_t ramify_paraformer_floats_held(const ramify_paraformer_shape *shape, const ramify_deal *deal);

/* Where a part begins, and how long it is. */
size_t ramify_paraformer_part(const ramify_paraformer_parts *parts, uint32_t part, size_t *floats);

/* What all branches read, made of plain[rows x ldp]: x and normal[width x ld] and inverse[ld] are set,
 * ld = ramify_branch_stride, and *input is these. The tokens are shared by `workers` threads of the
 * context's pool, which changes no bit; with one the context may be NULL. scratch:
 * ramify_embedding_floats. */
ramify_status ramify_paraformer_embed(ramify_context *context, uint32_t workers,
                                      const ramify_kernels *kernels,
                                      const ramify_paraformer_shape *shape, const float *embedding,
                                      size_t rows, const float *plain, size_t ldp, float *x,
                                      float *normal, float *inverse, float *scratch,
                                      ramify_branch_input *input);

#endif

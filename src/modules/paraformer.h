#ifndef RAMIFY_MODULES_PARAFORMER_H
#define RAMIFY_MODULES_PARAFORMER_H
/* A Para-Former: an embedding, branches that all read its tokens, the sum of what they make of the
 * class token, and a head. F_k, the prefix of k branches, is the same with the first k of them: a
 * model of its own where training was progressive. One branch of many layers is a vision
 * transformer. */

#include "branch.h"
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

/* The weights: records of embedding and head, and one for every branch, one after the other. */
typedef struct ramify_paraformer_weights {
    float *embedding; /* ramify_embedding_lay_out().floats */
    float *head;      /* ramify_head_lay_out().floats */
    float *branch;    /* branches x ramify_branch_record_bytes() / 4 */
} ramify_paraformer_weights;

#endif

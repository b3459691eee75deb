#ifndef RAMIFY_MODEL_PARAFORMER_RUN_H
#define RAMIFY_MODEL_PARAFORMER_RUN_H
/* Predicting with a Para-Former: the rows of a piece become tokens, branches turn these into a class
 * token each, and their sum, taken in their order, goes through the head. Branches run side by side on
 * the threads that the predictor was made for; where they are few, one after the other with all threads
 * on the tokens of each. Under a bound a branch is read when its turn comes. */

#include "model.h"

/* Tokens of a piece, but for a single row: beyond, longer products gain nothing. */
#define RAMIFY_PIECE_TOKENS_MAX 512

/* Of a predictor that is one of several which share the branches (paraformer_share.h): made holds what the
 * predictor's own branches made of `rows` rows, and receives what the others' made. */
typedef ramify_status (*ramify_paraformer_join)(ramify_predictor *predictor, size_t rows,
                                                float *made);

/* Working memory, carved from a predictor's. */
typedef struct ramify_paraformer_work {
    float *x;         /* width x ld: tokens */
    float *normal;    /* width x ld */
    float *inverse;   /* ld */
    float *embedding; /* scratch of embedding and head, one after the other */
    float *made;      /* branches x rows x width: class tokens, branches in dealt order */
    float *scratch;   /* workers x scratch_floats, of branches */
    size_t scratch_floats;
    uint32_t workers;
} ramify_paraformer_work;

/* Rows of a piece. */
size_t ramify_paraformer_rows(const ramify_paraformer_shape *shape, size_t wanted);

/* Whether so many threads share every branch, one branch after the other, rather than take one each. */
static inline bool ramify_paraformer_shares_branches(uint32_t branches, uint32_t threads) {
    return branches <= threads / 2;
}

/* Carves the memory for pieces of `rows` rows from base (NULL: only counts); returns its bytes. */
uint64_t ramify_paraformer_carve(const ramify_paraformer_shape *shape, size_t rows,
                                 uint32_t workers, unsigned char *base,
                                 ramify_paraformer_work *work);

/* predictor->output = outputs of encoded rows (predictor->plain), before softmax. */
ramify_status ramify_paraformer_run(ramify_predictor *predictor, size_t rows);

#endif

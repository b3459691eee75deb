#ifndef RAMIFY_TRAIN_PARAFORMER_SCORE_H
#define RAMIFY_TRAIN_PARAFORMER_SCORE_H

#include "paraformer_fit.h"

/* As ramify_paraformer_score, on at most `workers` threads, for callers whose memory is bounded. */
ramify_status ramify_paraformer_score_on(const ramify_problem *problem,
                                         const ramify_paraformer_shape *shape,
                                         const ramify_paraformer_weights *weights, ramify_rows rows,
                                         uint32_t workers, ramify_fit_score *score);

/* Bytes that it allocates. */
uint64_t ramify_paraformer_score_bytes(const ramify_problem *problem,
                                       const ramify_paraformer_shape *shape,
                                       const ramify_deal *deal, size_t rows, uint32_t workers);

#endif

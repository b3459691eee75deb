#ifndef RAMIFY_MODEL_PARAFORMER_SHARE_H
#define RAMIFY_MODEL_PARAFORMER_SHARE_H
/* Predicting with a Para-Former whose branches are dealt to the ranks of a cluster: every rank has the
 * rows, makes tokens of them, runs its own branches, receives the class tokens of the others', and sums
 * them in the branches' order. A piece of rows is one exchange, of
 *
 *     4 (ranks - 1) branches x rows x width bytes
 *
 * by all ranks together. Of the branches' records a rank reads its own alone. */

#include "predict.h"

/* As ramify_predictor_create_alone; in a cluster every rank makes it, of the same model, and then the same
 * calls on it, from one thread, with the same rows. They return the same on every rank, to the bit what a
 * predictor of one process returns. A model that is no Para-Former, and a process alone, get an
 * ordinary predictor. Free with ramify_predictor_destroy. */
ramify_status ramify_paraformer_share_create(ramify_context *context, ramify_model *model,
                                             size_t rows, ramify_predictor **predictor);

#endif

#ifndef RAMIFY_TRAIN_SCORE_SUMS_H
#define RAMIFY_TRAIN_SCORE_SUMS_H
/* The score of rows that come piece by piece, in their order.
 *
 * Up to RAMIFY_SCORE_ROWS rows are kept, and scored as ramify_score_rows does. Beyond, sums are taken over
 * blocks of RAMIFY_SCORE_BLOCK rows of the table, each in the order of its rows, and the blocks' sums
 * joined in the order of blocks: whoever computes a block's sums, the score has the same bits.
 *
 * A row with targets is a *record* of numbers: the row, its targets, its predictions and, where intervals
 * are scored, their low ends and their high ends. A block is a *part*. */

#include "score.h"

#define RAMIFY_SCORE_ROWS  ((size_t)1 << 20)
#define RAMIFY_SCORE_BLOCK ((uint64_t)1024)

typedef struct ramify_score_sums ramify_score_sums;

/* Free with ramify_score_sums_destroy. schema is borrowed. */
ramify_status ramify_score_sums_create(ramify_context *context, const ramify_schema *schema,
                                       bool intervals, ramify_score_sums **sums);
void ramify_score_sums_destroy(ramify_score_sums **sums);

/* Numbers of a record, and of a part. */
size_t ramify_score_sums_stride(const ramify_score_sums *sums);
size_t ramify_score_sums_part(const ramify_score_sums *sums);

/* The record of row `at` of a matched table, whose targets are there: row `result` of what was predicted. */
void ramify_score_record(const ramify_score_sums *sums, const ramify_match *match, uint64_t at,
                         size_t result, const ramify_predicted *results, double *record);

/* The part of a block's records; count is at least 1. */
void ramify_score_part(const ramify_score_sums *sums, const double *records, size_t count,
                       double *part);

/* Adds what follows on what was added. Parts may come only where there are more than RAMIFY_SCORE_ROWS rows
 * in all, and are those of whole blocks. */
ramify_status ramify_score_sums_add(ramify_score_sums *sums, const double *records, size_t count);
ramify_status ramify_score_sums_add_part(ramify_score_sums *sums, const double *part);

/* targets and intervals: NULL, or one of each target. */
ramify_status ramify_score_sums_finish(ramify_score_sums *sums, ramify_score *score,
                                       ramify_score *targets, ramify_interval_score *intervals);

#endif

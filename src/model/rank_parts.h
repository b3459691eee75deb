#ifndef RAMIFY_MODEL_RANK_PARTS_H
#define RAMIFY_MODEL_RANK_PARTS_H
/* The rows of a file in parts that ranks take in turn: in turn k rank r has part k x ranks + r. No rank
 * holds more of the file than a part. All calls are made by all ranks. */

#include "parts.h"
#include "schema.h"

typedef struct ramify_rank_parts ramify_rank_parts;

/* *parts is NULL where the file must be read whole. Free with ramify_rank_parts_close. */
ramify_status ramify_rank_parts_open(ramify_context *context, const char *path,
                                     const ramify_table_options *options,
                                     const ramify_schema *schema, ramify_rank_parts **parts);
void ramify_rank_parts_close(ramify_rank_parts **parts);

const ramify_table *ramify_rank_parts_head(const ramify_rank_parts *parts); /* of no rows */
uint64_t ramify_rank_parts_rows(const ramify_rank_parts *parts);            /* of the file */
size_t ramify_rank_parts_turns(const ramify_rank_parts *parts);             /* at least 1 */
size_t ramify_rank_parts_most(const ramify_rank_parts *parts); /* rows of this rank's largest */

/* Reads this rank's part of the next turn; match and its table are the parts' own, until the next call.
 * first: number of its first row. */
ramify_status ramify_rank_parts_next(ramify_rank_parts *parts, bool need_targets,
                                     const ramify_match **match, uint64_t *first);

/* Warns of what is told once for all parts. */
ramify_status ramify_rank_parts_warn(ramify_rank_parts *parts);

#endif

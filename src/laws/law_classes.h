#ifndef RAMIFY_LAWS_LAW_CLASSES_H
#define RAMIFY_LAWS_LAW_CLASSES_H
/* Which rows of a table are the same: groups of runs, and rows that are there twice. */

#include "table.h"

/* class_of[count]: equal for rows with the same cells in every one of the columns (two missing cells
 * are the same), numbered from 0 by where a class first appears. Every column takes a sort: count log
 * count, whatever the cells are. */
ramify_status ramify_law_classes(ramify_context *context, const ramify_column *const *columns,
                                 size_t column_count, const size_t *rows /* count */, size_t count,
                                 uint32_t *class_of, uint32_t *classes);

#endif

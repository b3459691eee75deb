#ifndef RAMIFY_LAWS_LAW_RUNS_H
#define RAMIFY_LAWS_LAW_RUNS_H
/* From a table of training runs to what a law is fitted to: per group, the runs that fit and those
 * that are held out, in logarithms, with what is wrong about them said. */

#include "law_form.h"
#include "table.h"

/* Most columns that --by names. */
#define RAMIFY_LAW_BY_MAX 8

typedef struct ramify_law_request {
    const char *x, *y;        /* columns; x: names separated by commas, in the form's order */
    const char *by;           /* columns; NULL: one group */
    const char *weight;       /* column; NULL: all 1 */
    const char *cost;         /* column of what runs cost; NULL: none */
    const char *const *where; /* conditions on runs that fit, such as "params<=1e8" */
    uint32_t where_count;
} ramify_law_request;

/* Runs of one group, in the order of the first variable, ties in that of the table. */
typedef struct ramify_law_group {
    char *by[RAMIFY_LAW_BY_MAX]; /* value of every --by column, as text; owned */
    ramify_runs fit, heldout;    /* their arrays are owned */
    /* All runs of the group as they were given, for ramify_law_points. */
    size_t points;
    double *x, *y; /* points x variables; points; owned */
    bool *fitted;  /* points; owned */
    double *cost;  /* points, NaN where it is not known; owned; NULL: no column was named */
} ramify_law_group;

typedef struct ramify_law_groups {
    uint32_t by_count, count;
    char *by_name[RAMIFY_LAW_BY_MAX];                /* owned */
    char *x_name[RAMIFY_LAW_VARIABLES_MAX], *y_name; /* owned */
    ramify_law_group *group;                         /* count, in the order of first appearance */
} ramify_law_groups;

/* Reads the runs. Errors: unknown columns, as many --x as the form needs, text where numbers are
 * needed, a size, an error or a cost that is not above 0 (with its row), a condition that is none. Rows that
 * are the same as another in every column of the table, and runs with gaps, are left out with a
 * warning. pruning-joint's fourth variable, the
 * error without pruning, is the mean error of the runs of the same depth and width with density 1,
 * unless a fourth column is named. Free with ramify_law_groups_destroy. */
ramify_status ramify_law_groups_read(ramify_context *context, const ramify_table *table,
                                     const ramify_law_form *form, const ramify_law_request *request,
                                     ramify_law_groups **groups);
void ramify_law_groups_destroy(ramify_context *context, ramify_law_groups **groups);

#endif

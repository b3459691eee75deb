#ifndef RAMIFY_PLAN_RUN_COST_H
#define RAMIFY_PLAN_RUN_COST_H
/* What a run costs by its sizes: factor x model^a x data^b, or factor x size^a. */

#include "law_form.h"
#include "plane.h"

/* The runs of a table, as a plan sees them. */
typedef struct ramify_costed_runs {
    ramify_runs runs;
    double *ln_cost;    /* count, NaN where it is not known; owned; NULL: no column of costs */
    const char *source; /* the table's name, for sentences */
    const char *x_name[RAMIFY_PLANE_VARIABLES], *cost_name; /* columns */
} ramify_costed_runs;

typedef struct ramify_run_cost {
    bool fitted; /* false: the cost is the product of the sizes, as no column says otherwise */
    uint32_t sizes;
    double ln_factor, power[RAMIFY_PLANE_VARIABLES];
    ramify_plane plane;       /* that was fitted */
    double ln_least, ln_most; /* of the runs: as the column has it, else by the product */
} ramify_run_cost;

/* How many values a size takes, at most `most`, which is 8 or less. */
uint32_t ramify_run_values(const ramify_runs *runs, uint32_t variable, uint32_t most);

/* By least squares in logarithms over the runs whose cost is known. RAMIFY_ERROR_DATA where costs follow no
 * such product: too few, off by too much, otherwise for large runs than for small ones, or not
 * rising with a size. */
ramify_status ramify_run_cost_fit(ramify_context *context, const ramify_costed_runs *runs,
                                  ramify_run_cost *cost);

/* ln cost of a run with these sizes, and how far a run's ln cost is from that. */
double ramify_run_cost_at(const ramify_run_cost *cost, const double *ln_x);
double ramify_run_cost_deviation(const ramify_run_cost *cost, const double *ln_x);

/* For ramify_law_frontier; of one size, its power is that of the data and the model's is 0. */
ramify_law_cost ramify_run_cost_law(const ramify_run_cost *cost);

#endif

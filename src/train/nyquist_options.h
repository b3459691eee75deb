#ifndef RAMIFY_TRAIN_NYQUIST_OPTIONS_H
#define RAMIFY_TRAIN_NYQUIST_OPTIONS_H
/* Options of Nyquist learners as texts, and what they name. */

#include "bandlimited.h"
#include "problem.h"

/* Names of ramify_index_set and of RAMIFY_BASIS_*, by their values. */
#define RAMIFY_SETS  3
#define RAMIFY_BASES 3
extern const char *const ramify_set_names[];
extern const char *const ramify_basis_names[];

/* The place of a name among `count`, or -1. */
int ramify_name_place(const char *name, const char *const *names, int count);

/* period[columns]: of every column, 0 where there is none, from a list that was checked, or NULL. Fails
 * where it has neither one number for all columns nor one for each. */
ramify_status ramify_periods_read(ramify_context *context, const char *list, uint32_t columns,
                                  double *period);

/* Checks the options that are about series. */
ramify_status ramify_nyquist_options_check(ramify_context *context,
                                           const ramify_train_options *options);

/* Room for an obstacle: a column's excerpt and a few words. */
#define RAMIFY_OBSTACLE_BYTES 128

/* Whether series can be fitted: all columns are numbers without gaps. NULL, or why not, as the end of
 * a sentence, which names the first column that is not; it may lie in `room`. */
const char *ramify_nyquist_obstacle(const ramify_problem *problem,
                                    char room[RAMIFY_OBSTACLE_BYTES]);

#endif

#ifndef RAMIFY_LAWS_LAW_SELECT_H
#define RAMIFY_LAWS_LAW_SELECT_H
/* Some of the runs of another set, copied. */

#include "law_form.h"

typedef struct ramify_selection {
    double *ln_x, *ln_y, *weight; /* room for all runs; owned */
    ramify_runs runs;             /* those that were chosen */
} ramify_selection;

/* None chosen yet. Close also after a failure. */
ramify_status ramify_selection_open(ramify_context *context, const ramify_runs *from,
                                    ramify_selection *selection);
void ramify_selection_close(ramify_context *context, ramify_selection *selection);

/* Adds a run of `from`; a run may be chosen several times, as many in all as there are. */
void ramify_selection_add(ramify_selection *selection, const ramify_runs *from, size_t run);

#endif

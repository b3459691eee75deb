#ifndef RAMIFY_BASE_PROGRESS_H
#define RAMIFY_BASE_PROGRESS_H
/* Progress, cancellation and time limits: what a long computation asks its context. */

#include "ramify.h"

/* True when the context's cancel callback asks to stop; once true it stays true until
 * ramify_clear. Cheap enough for every optimiser step. Safe from pool threads. */
bool ramify_cancelled(ramify_context *context);

/* Seconds on a monotonic clock. */
double ramify_seconds(void);

/* Seconds that the calling thread has computed. */
double ramify_thread_seconds(void);

/* Whether a deadline on the monotonic clock has passed; 0: there is none. */
bool ramify_late(double deadline);

/* Tells the progress callback that `done` of `total` units of `stage` are finished. Calls are
 * thinned to about ten a second; the last (done == total) is always passed on. Safe from pool
 * threads. */
void ramify_progress_report(ramify_context *context, const char *stage, double done, double total);

#endif

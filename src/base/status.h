#ifndef RAMIFY_BASE_STATUS_H
#define RAMIFY_BASE_STATUS_H
/* How a failure is reported: the function that notices it calls ramify_fail with one sentence
 * (what, where, what to do) and returns the status it gives back; callers pass the status on. */

#include "ramify.h"

#if defined(__GNUC__)
#define RAMIFY_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RAMIFY_PRINTF(text, first)
#endif

/* Records the sentence in the context and returns `status`. The first failure since the last
 * ramify_clear wins, so a caller that cleans up after a failure cannot hide its cause. Safe from
 * pool threads. */
ramify_status ramify_fail(ramify_context *context, ramify_status status, const char *format, ...)
    RAMIFY_PRINTF(3, 4);

/* What the system calls error number `error`. Returns `reason`. Safe from any thread. */
#define RAMIFY_REASON_BYTES 128
const char *ramify_system_reason(int error, char reason[RAMIFY_REASON_BYTES]);

/* "NAME: cannot WHAT: REASON" of a file, with RAMIFY_ERROR_IO. */
ramify_status ramify_fail_io(ramify_context *context, const char *name, const char *what,
                             int error);

/* Forgets the recorded failure. Called at the start of every public function. */
void ramify_clear(ramify_context *context);

/* Sends one line to the context's log callback, if there is one. Safe from pool threads. */
void ramify_log(ramify_context *context, ramify_log_level level, const char *format, ...)
    RAMIFY_PRINTF(3, 4);

/* True when a failure is recorded: for cleaning up, where NULL came back from ramify_allocate. */
ramify_status ramify_recorded_status(const ramify_context *context);

#define RAMIFY_TRY(call)                                                                           \
    do {                                                                                           \
        ramify_status try_status_ = (call);                                                        \
        if (try_status_ != RAMIFY_OK)                                                              \
            return try_status_;                                                                    \
    } while (0)

#endif

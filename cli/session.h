#ifndef RAMIFY_CLI_SESSION_H
#define RAMIFY_CLI_SESSION_H
/* One run of a verb: a context whose callbacks print on stderr, and the signals that stop it. */

#include "arguments.h"

#include <stdatomic.h>

typedef struct session {
    ramify_context *context;
    const char *verb;
    bool verbose;
    bool terminal;        /* stderr is one: show progress */
    bool finishing;       /* what is left must not be cancelled: the model is being written */
    bool line_shown;      /* a progress line stands on the terminal */
    char stage[64];       /* the stage it shows */
    double stage_began;   /* seconds */
    char last[1024];      /* the last line logged: the same table is often matched several times */
    uint32_t rank, ranks; /* of an MPI job (ranks.h); else 0 and 1 */
    bool reports;         /* what ranks sent is told in the end */
    const char *advice;   /* what to do when a rank is lost; NULL: nothing more */
    atomic_bool told;     /* the sentence about a failure of several ranks */
} session;

/* Sets up; the session must stay where it is until session_close. Returns EXIT_OK, or the exit
 * status after one sentence on stderr. From here on SIGINT and SIGTERM ask the running call to
 * stop; a second one ends the program at once. */
int session_open(session *run, const char *verb, const context_arguments *wanted);
void session_close(session *run);

/* Opens the model at `path`. Returns EXIT_OK, or the exit status after one sentence. */
int session_open_model(session *run, const char *path, const model_arguments *wanted,
                       ramify_model **model);

/* Prints the sentence about a call that returned `status`, not RAMIFY_OK, and returns the exit
 * status. */
int session_failed(session *run, ramify_status status);

/* Standard output did not take what was to be printed; errno says why. Returns EXIT_FAILED. */
int session_unprinted(session *run);

/* Prints "ramify: sentence" on stderr and returns EXIT_FAILED. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int session_error(session *run, const char *format, ...);

/* The same for something to know that is no failure: "ramify: warning: sentence". */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void session_warning(session *run, const char *format, ...);

/* Refuses an empty name, one that is the file of an input, which writing would destroy, and two that are
 * one file, by whatever names and whether they are there yet or not. NULL among them: not given; "-"
 * among the inputs is standard input. Returns EXIT_OK, or the exit status after one sentence. */
int session_check_outputs(session *run, const char *const *outputs, size_t output_count,
                          const char *const *inputs, size_t input_count);

/* FOLDER/NAME, or NULL when folder is NULL. Free with free(); also NULL when out of memory. */
char *session_file_in(const char *folder, const char *name);

/* Whether the file, there or not yet, lies in the folder by a name that begins with one of `names` (ends
 * with NULL). */
bool session_is_in(const char *path, const char *folder, const char *const *names);

/* Where what a stopped call has brought is written: the output itself if there is no such file, else
 * OUTPUT.stopped, OUTPUT.stopped2, ..: what is there may be better, and stays. Free with free(); NULL:
 * out of memory. */
char *session_stopped_path(const char *output);

/* Finds out before work begins whether a file can be written after it. Returns as above. */
int session_check_writable(session *run, const char *output);

/* A second signal no longer ends the program: a launcher sends several, and in the end one that cannot be
 * caught. */
void session_outlast_signals(void);

/* The signal that asked to stop, or 0; and its name. */
int session_signal(void);
const char *session_signal_name(void);

/* Seconds on a monotonic clock. */
double session_seconds(void);

#endif

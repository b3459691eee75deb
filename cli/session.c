#include "session.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Results of stopped calls beside one another. */
#define STOPPED_MAX  1000
#define STOPPED_ROOM sizeof ".stopped1000"

static volatile sig_atomic_t caught_signal;

static void on_signal(int number) {
    caught_signal = number;
}

int session_signal(void) {
    return caught_signal;
}

const char *session_signal_name(void) {
    return caught_signal == SIGTERM ? "SIGTERM" : "SIGINT";
}

double session_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void clear_line(session *run) {
    if (run->line_shown)
        fputs("\r\033[K", stderr);
    run->line_shown = false;
}

static bool on_cancel(void *user) {
    const session *run = user;
    return caught_signal != 0 && !run->finishing;
}

static void on_log(void *user, ramify_log_level level, const char *message) {
    session *run = user;
    if (level == RAMIFY_LOG_INFO && !run->verbose)
        return;
    if (strncmp(run->last, message, sizeof run->last - 1) == 0)
        return;
    snprintf(run->last, sizeof run->last, "%s", message);
    clear_line(run);
    fprintf(stderr, "ramify: %s%s\n", level == RAMIFY_LOG_WARNING ? "warning: " : "", message);
}

static void print_left(char *text, size_t room, double seconds) {
    if (seconds < 90.0)
        snprintf(text, room, "%.0f s left", seconds);
    else if (seconds < 5400.0)
        snprintf(text, room, "%.0f min left", seconds / 60.0);
    else
        snprintf(text, room, "%.1f h left", seconds / 3600.0);
}

static void on_progress(void *user, const ramify_progress *progress) {
    session *run = user;
    double now = session_seconds();
    if (strncmp(run->stage, progress->stage, sizeof run->stage - 1) != 0) {
        snprintf(run->stage, sizeof run->stage, "%s", progress->stage);
        run->stage_began = now;
    }
    char left[32] = "";
    double spent = now - run->stage_began;
    /* Before a second has passed the rate is anybody's guess. */
    if (progress->done > 0.0 && progress->total > progress->done && spent > 1.0)
        print_left(left, sizeof left, spent * (progress->total / progress->done - 1.0));
    if (progress->total > 0.0)
        fprintf(stderr, "\r\033[K%s %3.0f %%  %s", run->stage,
                100.0 * progress->done / progress->total, left);
    else
        fprintf(stderr, "\r\033[K%s", run->stage);
    fflush(stderr);
    run->line_shown = true;
}

static int refuse_isa(session *run, const char *name) {
    static const char *const known[] = {"baseline", "avx2", "avx512", "neon"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i]) == 0)
            return session_error(run, "--isa %s: this processor does not have it", name);
    }
    return arguments_refuse(run->verb, "--isa \"%s\": must be baseline, avx2, avx512 or neon",
                            name);
}

int session_open(session *run, const char *verb, const context_arguments *wanted) {
    *run = (session){.verb = verb, .verbose = wanted->verbose, .terminal = isatty(2) == 1};
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = run;
    options.log = on_log;
    options.progress = run->terminal ? on_progress : NULL;
    options.cancel = on_cancel;
    options.threads = wanted->threads;
    options.isa = wanted->isa;
    options.memory_limit = wanted->memory_bytes;
    ramify_status status = ramify_context_create(&options, &run->context);
    if (status == RAMIFY_ERROR_UNSUPPORTED)
        return refuse_isa(run, wanted->isa);
    if (status == RAMIFY_ERROR_ARGUMENT)
        return arguments_refuse(verb, "--threads %u: 1,024 are the most",
                                (unsigned)wanted->threads);
    if (status != RAMIFY_OK)
        return session_error(run, "out of memory");

    /* SA_RESETHAND: whoever asks twice does not want to wait. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return EXIT_OK;
}

void session_close(session *run) {
    clear_line(run);
    ramify_context_destroy(&run->context);
}

int session_error(session *run, const char *format, ...) {
    clear_line(run);
    va_list values;
    va_start(values, format);
    fputs("ramify: ", stderr);
    vfprintf(stderr, format, values);
    fputs("\n", stderr);
    va_end(values);
    return EXIT_FAILED;
}

void session_warning(session *run, const char *format, ...) {
    clear_line(run);
    va_list values;
    va_start(values, format);
    fputs("ramify: warning: ", stderr);
    vfprintf(stderr, format, values);
    fputs("\n", stderr);
    va_end(values);
}

int session_failed(session *run, ramify_status status) {
    if (status == RAMIFY_STOPPED && caught_signal) {
        session_error(run, "stopped by %s", session_signal_name());
        return EXIT_SIGNAL + caught_signal;
    }
    const char *message = ramify_message(run->context);
    session_error(run, "%s", message[0] ? message : ramify_status_name(status));
    return status == RAMIFY_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int session_unprinted(session *run) {
    return session_error(run, "standard output: cannot be written (%s)", strerror(errno));
}

int session_open_model(session *run, const char *path, const model_arguments *wanted,
                       ramify_model **model) {
    ramify_open_options options;
    ramify_open_options_init(&options);
    options.access = (ramify_access)wanted->access;
    options.resident_bytes = wanted->resident_bytes;
    options.top_k = wanted->top_k;
    options.branches = wanted->branches;
    options.notes = wanted->notes;
    options.predictors = ramify_threads(run->context);
    ramify_status status = ramify_open(run->context, path, &options, model);
    return status == RAMIFY_OK ? EXIT_OK : session_failed(run, status);
}

int session_check_output(session *run, const char *output, const char *const *inputs) {
    if (output[0] == '\0')
        return session_error(run, "the file to write has an empty name: give it one");
    if (strcmp(output, "-") == 0)
        return session_error(run,
                             "-: cannot be written to standard output; name a file (./- for one "
                             "of that name)");
    struct stat about, input;
    if (stat(output, &about) != 0)
        return EXIT_OK;
    for (; *inputs; inputs++) {
        bool standard = strcmp(*inputs, "-") == 0;
        bool there =
            standard ? fstat(0, &input) == 0 && S_ISREG(input.st_mode) : stat(*inputs, &input) == 0;
        if (there && about.st_dev == input.st_dev && about.st_ino == input.st_ino)
            return session_error(run, "%s: is also read, as %s: write to another file", output,
                                 standard ? "standard input" : *inputs);
    }
    return EXIT_OK;
}

char *session_stopped_path(const char *output) {
    struct stat about;
    const size_t room = strlen(output) + STOPPED_ROOM;
    char *beside = malloc(room);
    if (!beside)
        return NULL;
    snprintf(beside, room, "%s", output);
    for (unsigned i = 1; lstat(beside, &about) == 0 && i < STOPPED_MAX; i++) {
        char number[16] = "";
        if (i > 1)
            snprintf(number, sizeof number, "%u", i);
        snprintf(beside, room, "%s.stopped%s", output, number);
    }
    return beside;
}

int session_check_writable(session *run, const char *output) {
    struct stat about;
    bool there = stat(output, &about) == 0;
    if (there && S_ISDIR(about.st_mode))
        return session_error(run, "%s: is a folder; name a file", output);
    if (there && access(output, W_OK) != 0)
        return session_error(run, "%s: cannot be written (%s)", output, strerror(errno));
    if (there && !S_ISREG(about.st_mode))
        return EXIT_OK; /* written in place */
    const char *slash = strrchr(output, '/');
    char *folder = strdup(slash ? output : ".");
    if (!folder)
        return session_error(run, "out of memory");
    if (slash)
        folder[slash == output ? 1 : slash - output] = '\0';
    int exit_status = EXIT_OK;
    if (access(folder, W_OK | X_OK) != 0)
        exit_status =
            session_error(run, "%s: the folder cannot be written to (%s)", output, strerror(errno));
    free(folder);
    return exit_status;
}

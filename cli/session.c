#include "ranks.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* As long as a message of the library's, with a file's name before it. */
#define SENTENCE_BYTES (1024 + PATH_MAX)
/* Results of stopped calls beside one another. */
#define STOPPED_MAX  1000
#define STOPPED_ROOM sizeof ".stopped1000"
/* Links to links that are followed, as systems do. */
#define LINKS_MAX 40

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
    if ((level == RAMIFY_LOG_INFO && !run->verbose) || run->rank > 0)
        return;
    /* Of what several ranks have failed in, nothing is told after the sentence. */
    if (atomic_load(&run->told))
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
    if (!run->terminal)
        return;
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

static void catch_signals(int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void session_outlast_signals(void) {
    catch_signals(0);
}

int session_open(session *run, const char *verb, const context_arguments *wanted) {
    *run =
        (session){.verb = verb, .verbose = wanted->verbose, .terminal = isatty(2) == 1, .ranks = 1};
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

    catch_signals(SA_RESETHAND); /* whoever asks twice does not want to wait */
    return wanted->may_join ? ranks_join(run, wanted) : EXIT_OK;
}

void session_close(session *run) {
    clear_line(run);
    ranks_report(run);
    ramify_context_destroy(&run->context);
}

int session_error(session *run, const char *format, ...) {
    char sentence[SENTENCE_BYTES];
    clear_line(run);
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    ranks_tell(run, sentence);
    return EXIT_FAILED;
}

void session_warning(session *run, const char *format, ...) {
    clear_line(run);
    if (run->rank > 0)
        return;
    va_list values;
    va_start(values, format);
    fputs("ramify: warning: ", stderr);
    vfprintf(stderr, format, values);
    fputs("\n", stderr);
    va_end(values);
}

int session_failed(session *run, ramify_status status) {
    if (status == RAMIFY_ERROR_CLUSTER && atomic_load(&run->told))
        return EXIT_FAILED;
    if (status == RAMIFY_STOPPED && caught_signal) {
        if (ranks_are_lost(run))
            return EXIT_FAILED;
        session_error(run, "stopped by %s%s%s", session_signal_name(), run->advice ? "; " : "",
                      run->advice ? run->advice : "");
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

/* Where a file that is not there yet would be: its folder without links, and its name. A link to nothing
 * is followed, since that is where it would be written. NULL: there is no such folder. */
static char *place_of(const char *path) {
    char name[PATH_MAX], target[PATH_MAX], folder[PATH_MAX];
    if (snprintf(name, sizeof name, "%s", path) >= (int)sizeof name)
        return NULL;
    for (int links = 0; links < LINKS_MAX; links++) {
        char *slash = strrchr(name, '/');
        const char *base = slash ? slash + 1 : name;
        char *place = malloc(sizeof folder + strlen(base) + 2);
        const ssize_t length = readlink(name, target, sizeof target - 1);
        if (slash)
            snprintf(folder, sizeof folder, "%.*s", slash == name ? 1 : (int)(slash - name), name);
        char *resolved = place ? realpath(slash ? folder : ".", NULL) : NULL;
        if (resolved && strlen(resolved) < sizeof folder)
            snprintf(place, sizeof folder + strlen(base) + 2, "%s/%s", resolved, base);
        const bool good = resolved && strlen(resolved) < sizeof folder;
        free(resolved);
        if (good && length < 0)
            return place;
        bool followed = false;
        if (good) {
            target[length] = '\0';
            char *last = strrchr(place, '/');
            const int kept = target[0] == '/' ? 0 : (int)(last - place) + 1;
            followed =
                snprintf(name, sizeof name, "%.*s%s", kept, place, target) < (int)sizeof name;
        }
        free(place);
        if (!followed)
            return NULL;
    }
    return NULL;
}

static bool is_same_file(const char *a, const char *b) {
    struct stat first, second;
    const bool there = stat(a, &first) == 0;
    if (there != (stat(b, &second) == 0))
        return false;
    if (there) /* what is a device or a pipe may be written twice */
        return S_ISREG(first.st_mode) && first.st_dev == second.st_dev &&
               first.st_ino == second.st_ino;
    char *one = place_of(a), *other = place_of(b);
    const bool same = one && other ? strcmp(one, other) == 0 : strcmp(a, b) == 0;
    free(one);
    free(other);
    return same;
}

static int check_input(session *run, const char *output, const char *input) {
    struct stat about, read;
    if (strcmp(input, "-") != 0)
        return is_same_file(output, input)
                   ? session_error(run, "%s: is also read, as %s: write to another file", output,
                                   input)
                   : EXIT_OK;
    if (stat(output, &about) == 0 && fstat(0, &read) == 0 && S_ISREG(read.st_mode) &&
        about.st_dev == read.st_dev && about.st_ino == read.st_ino)
        return session_error(run, "%s: is also read, as standard input: write to another file",
                             output);
    return EXIT_OK;
}

int session_check_outputs(session *run, const char *const *outputs, size_t output_count,
                          const char *const *inputs, size_t input_count) {
    int exit_status = EXIT_OK;
    for (size_t i = 0; exit_status == EXIT_OK && i < output_count; i++) {
        const char *output = outputs[i];
        if (!output)
            continue;
        if (output[0] == '\0')
            return session_error(run, "the file to write has an empty name: give it one");
        if (strcmp(output, "-") == 0)
            return session_error(run,
                                 "-: cannot be written to standard output; name a file (./- for "
                                 "one of that name)");
        for (size_t k = 0; k < i; k++)
            if (outputs[k] && is_same_file(output, outputs[k]))
                return session_error(run,
                                     "%s: is also written, as %s: give each of them a file of its "
                                     "own",
                                     output, outputs[k]);
        for (size_t k = 0; exit_status == EXIT_OK && k < input_count; k++)
            exit_status = inputs[k] ? check_input(run, output, inputs[k]) : EXIT_OK;
    }
    return exit_status;
}

bool session_is_in(const char *path, const char *folder, const char *const *names) {
    struct stat its, wanted;
    char *place = place_of(path);
    char *slash = place ? strrchr(place, '/') : NULL;
    bool is_in = false;
    if (slash && stat(folder, &wanted) == 0) {
        for (; *names && !is_in; names++)
            is_in = strncmp(slash + 1, *names, strlen(*names)) == 0;
        slash[slash == place] = '\0';
        is_in = is_in && stat(place, &its) == 0 && its.st_dev == wanted.st_dev &&
                its.st_ino == wanted.st_ino;
    }
    free(place);
    return is_in;
}

char *session_file_in(const char *folder, const char *name) {
    const size_t room = folder ? strlen(folder) + strlen(name) + 2 : 0;
    char *path = folder ? malloc(room) : NULL;
    if (path)
        snprintf(path, room, "%s/%s", folder, name);
    return path;
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

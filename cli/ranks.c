#include "ranks.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Seconds that a call has to put things in order once the ranks are lost, before the process ends. */
#define ORDER 0.6
#define TICK  0.02

#define PLUGIN "ramify-mpi.so"

/* What launchers tell their processes. Slurm also sets its own names in scripts that are not several
 * processes, so those are not looked at. */
static const struct {
    const char *rank, *size;
} launchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                 {"PMI_RANK", "PMI_SIZE"},
                 {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};

static uint32_t number_in(const char *name) {
    const char *text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

uint32_t ranks_launched(void) {
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++)
        if (getenv(launchers[i].rank))
            return number_in(launchers[i].size) > 0 ? number_in(launchers[i].size) : 1;
    return 0;
}

uint32_t ranks_place(void) {
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++)
        if (getenv(launchers[i].rank))
            return number_in(launchers[i].rank);
    return 0;
}

static void pause_for(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Of several ranks' failures at once the first one is told. */
static bool is_first(session *run) {
    return !atomic_exchange(&run->told, true) || run->ranks == 1;
}

/* From the thread that watches. The launcher ends this process soon, so the sentence comes first. */
static void on_broken(void *user, const char *why, bool speaks, bool gone) {
    session *run = user;
    char stopped[32];
    const size_t length = strlen(why), word = strlen("stopped");
    if (session_signal() && length >= word && strcmp(why + length - word, "stopped") == 0) {
        snprintf(stopped, sizeof stopped, "stopped by %s", session_signal_name());
        why = stopped;
        gone = true;
    }
    if (speaks && is_first(run))
        fprintf(stderr, "%sramify: %s%s%s\n", run->line_shown ? "\r\033[K" : "", why,
                gone && run->advice ? "; " : "", gone && run->advice ? run->advice : "");
    atomic_store(&run->told, true);
    pause_for(ORDER);
    _exit(session_signal() ? EXIT_SIGNAL + session_signal() : EXIT_FAILED);
}

/* The plug-in beside the tool, as in a build folder, or where it is installed. NULL: nowhere. */
static const char *find_plugin(char *path, size_t room) {
    static const char *const places[] = {"", "../lib/ramify/", "../" RAMIFY_LIBDIR "/ramify/",
                                         "../lib64/ramify/"};
    char own[4096];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length < 0)
        return NULL;
    own[length] = '\0';
    char *slash = strrchr(own, '/');
    if (!slash)
        return NULL;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (snprintf(path, room, "%s%s" PLUGIN, own, places[i]) < (int)room &&
            access(path, R_OK) == 0)
            return path;
    return NULL;
}

int ranks_join(session *run, const context_arguments *wanted) {
    uint32_t launched = ranks_launched();
    if (launched == 0 && !wanted->mpi)
        return EXIT_OK;
    char path[4096 + 64];
    ramify_cluster_options options;
    ramify_cluster_options_init(&options);
    options.plugin = find_plugin(path, sizeof path);
    options.broken = on_broken;
    options.fingerprint = wanted->words;
    if (!options.plugin && launched == 1 && !wanted->mpi)
        return EXIT_OK;
    if (!options.plugin)
        return ranks_place() > 0
                   ? EXIT_FAILED
                   : session_error(run,
                                   "%s: is not beside the tool nor installed: build with "
                                   "-DRAMIFY_MPI=ON, or start one process alone",
                                   PLUGIN);
    ramify_status status = ramify_cluster_join(run->context, &options);
    run->ranks = ramify_cluster_size(run->context);
    run->rank = ramify_cluster_rank(run->context);
    run->reports = run->verbose;
    if (launched > 0)
        session_outlast_signals();
    if (run->ranks > 1 && run->rank > 0) {
        run->terminal = false;
        run->verbose = false;
        if (!freopen("/dev/null", "w", stdout))
            return session_error(run, "/dev/null cannot be opened");
    }
    return status == RAMIFY_OK ? EXIT_OK : session_failed(run, status);
}

bool ranks_are_lost(session *run) {
    for (double waited = 0; run->ranks > 1 && waited < ORDER; waited += TICK) {
        if (atomic_load(&run->told))
            return true;
        pause_for(TICK);
    }
    return false;
}

void ranks_report(session *run) {
    ramify_cluster_traffic traffic;
    if (run->ranks < 2 || !run->reports || atomic_load(&run->told) || session_signal() ||
        ramify_message(run->context)[0] || ramify_cluster_add_traffic(run->context) != RAMIFY_OK)
        return;
    for (uint32_t i = 0; run->rank == 0 && ramify_cluster_get_traffic(run->context, i, &traffic);
         i++)
        fprintf(stderr, "ramify: sent: %s: %llu bytes in %llu messages, %.3f s\n", traffic.phase,
                (unsigned long long)traffic.bytes, (unsigned long long)traffic.messages,
                traffic.seconds);
}

void ranks_tell(session *run, const char *sentence) {
    if (run->rank == 0 && is_first(run))
        fprintf(stderr, "ramify: %s\n", sentence);
    if (run->ranks > 1)
        ramify_cluster_fail(run->context, sentence);
}

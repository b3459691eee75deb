#define _GNU_SOURCE /* RTLD_DEEPBIND */

#include "contender.h"

#include <dlfcn.h>
#include <fenv.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIALS 5

const size_t contender_pieces[PIECES] = {8192, 4096, 1024, 512, 256, 128};

double contender_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void *contender_memory(size_t bytes) {
    size_t whole = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, whole > 0 ? whole : 64);
    if (!memory) {
        fputs("bench_predict: out of memory\n", stderr);
        exit(1);
    }
    memset(memory, 0, whole);
    return memory;
}

/* Each with its own copies of what it brings along, such as OpenMP. What gcc links with -Ofast turns
 * denormal numbers off for the whole process as it is loaded: nobody else gets that for nothing. */
void *contender_library(contender *c, const char *path) {
    fenv_t before;
    fegetenv(&before);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    fesetenv(&before);
    if (!library)
        snprintf(c->note, sizeof c->note, "%s", dlerror());
    return library;
}

void *contender_function(contender *c, void *library, const char *name) {
    void *function = dlsym(library, name);
    if (!function)
        snprintf(c->note, sizeof c->note, "no function %s in %.900s", name, c->library);
    return function;
}

size_t contender_fastest(size_t settings, bool (*run)(void *argument, size_t setting),
                         void *argument) {
    size_t best = 0;
    double least = DBL_MAX;
    for (int trial = 0; trial < TRIALS; trial++)
        for (size_t i = 0; i < settings; i++) {
            double start = contender_clock();
            if (!run(argument, i))
                continue;
            double seconds = contender_clock() - start;
            if (seconds < least) {
                least = seconds;
                best = i;
            }
        }
    return best;
}

#ifndef RAMIFY_TESTS_TOY_H
#define RAMIFY_TESTS_TOY_H
/* Small tables of known functions, and the training problems made of them. */

#include "memory.h"
#include "problem.h"
#include "random.h"

#include <stdatomic.h>

/* A context with the usual options, for a whole group of tests. */
extern ramify_context *toy_context;
int toy_open_context(void **state);
int toy_close_context(void **state);

/* A table of columns x1 .. xN and y, uniform on -1 .. 1, with y = function(x) + noise * normal. */
typedef struct toy {
    ramify_context *context;
    size_t rows, inputs;
    double *values; /* rows x (inputs + 1) */
    ramify_table *table;
    ramify_schema *schema;
    ramify_match *match;
    ramify_problem *problem;
} toy;

typedef double toy_function(const double *x);

/* The table alone. Values may be changed until something is made of it. */
toy toy_create(ramify_context *context, size_t rows, size_t inputs, toy_function *function,
               double noise, uint64_t seed);

/* Makes toy->problem: the first rows train, the next select, the rest report. weight: name of the
 * column of row weights, or NULL. */
void toy_problem(toy *t, size_t train, size_t select, const char *task, const char *weight);

void toy_destroy(toy *t);

/* 64-byte aligned zeros; free with free(). */
float *toy_floats(size_t count);

/* Whether the calling thread computes with denormal numbers. */
bool toy_denormals_are_kept(void);

/* The usual kernels, of which those that only a step of a fit calls count how they are called: with
 * denormal numbers flushed or kept. Counts begin anew with each call. */
const ramify_kernels *toy_watched_kernels(void);
extern atomic_size_t toy_flushed, toy_kept;

#endif

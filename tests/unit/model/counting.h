#ifndef RAMIFY_TESTS_COUNTING_H
#define RAMIFY_TESTS_COUNTING_H
/* Allocation callbacks that count, and that refuse when told to. */

#include "ramify.h"

typedef struct counting {
    uint64_t calls;     /* of allocate */
    uint64_t live;      /* bytes held */
    uint64_t fail_from; /* calls from this one on are refused; 0: none */
    uint64_t fail_once; /* this call is refused; 0: none */
} counting;

/* A context that allocates through `counts`. */
ramify_context *counting_context(counting *counts);

#endif

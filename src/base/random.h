#ifndef RAMIFY_BASE_RANDOM_H
#define RAMIFY_BASE_RANDOM_H
/* Random streams keyed by (seed, purpose, node, row).
 *
 * Two streams with different keys are independent for our purposes; the same key gives the same
 * numbers on every machine, thread and rank. Nothing in the library draws from anywhere else. */

#include "ramify.h"

/* What a stream is for. Values are part of the meaning of a seed: add at the end only. */
typedef enum ramify_purpose {
    RAMIFY_PURPOSE_SPLIT = 1,    /* validation, select and report rows; folds */
    RAMIFY_PURPOSE_INITIAL = 2,  /* initial weights */
    RAMIFY_PURPOSE_SHUFFLE = 3,  /* order of rows in an epoch */
    RAMIFY_PURPOSE_SEEDS = 4,    /* k-means++ */
    RAMIFY_PURPOSE_PERIODIC = 5, /* frequencies of periodic features */
    RAMIFY_PURPOSE_CONTROL = 6,  /* random partition, permuted partition */
    RAMIFY_PURPOSE_BOOTSTRAP = 7,
    RAMIFY_PURPOSE_ROUTING = 8,     /* output directions of gradient routing */
    RAMIFY_PURPOSE_TEACHER = 9,     /* rows that teachers answer */
    RAMIFY_PURPOSE_FOLDS = 10,      /* rows that designs are compared on */
    RAMIFY_PURPOSE_IMPORTANCE = 11, /* permutations of one column */
    RAMIFY_PURPOSE_EMBEDDING = 12,  /* initial weights of an embedding, and of its head */
    RAMIFY_PURPOSE_AUGMENT = 13,    /* changes to training images */
    RAMIFY_PURPOSE_DIAGNOSE = 14,   /* rows, made-up rows and intervals of a diagnosis */
    RAMIFY_PURPOSE_PRUNE = 15,      /* which weights go where chance decides */
    RAMIFY_PURPOSE_SAMPLE = 16,     /* which rows of a divided table stand for all of a node's */
} ramify_purpose;

/* xoshiro256++ (Blackman, Vigna 2019), state filled by splitmix64 from the key. */
typedef struct ramify_random {
    uint64_t state[4];
} ramify_random;

/* node: the path key of a tree node (0 for the root, see ramify_random_child), or 0.
 * row: the row's index in the whole table, or a counter such as the epoch, or 0. */
ramify_random ramify_random_stream(uint64_t seed, ramify_purpose purpose, uint64_t node,
                                   uint64_t row);

/* The path key of child `index` of the node with path key `node`. Root: 0. */
uint64_t ramify_random_child(uint64_t node, uint32_t index);

uint64_t ramify_random_bits(ramify_random *random);

/* Uniform on [0, 1), 53 bits. */
double ramify_random_uniform(ramify_random *random);

/* Standard normal (polar method; draws a varying number of bits). */
double ramify_random_normal(ramify_random *random);

/* Uniform on 0 .. bound-1, unbiased; bound > 0. */
uint64_t ramify_random_below(ramify_random *random, uint64_t bound);

/* Fisher-Yates over rows[0 .. count). */
void ramify_random_shuffle(ramify_random *random, uint32_t *rows /* count */, size_t count);

#endif

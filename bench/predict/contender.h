#ifndef RAMIFY_BENCH_CONTENDER_H
#define RAMIFY_BENCH_CONTENDER_H
/* What is timed: a trained model in the hands of one library. Peers are shared objects that are
 * opened at run time, so that nothing of theirs is needed to build; every one runs on one thread and
 * is given its best setting: the entry point for single rows where it has one, the batch size and
 * the compiler's flags that are fastest here, and memory that is taken beforehand. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct contender contender;

/* How one library is driven. The rows given to `predict` are rows x columns float32 without gaps;
 * what it makes of them stays in its own memory, in its own type, where `value` finds it. */
typedef struct peer {
    const char *kind;
    /* False with a sentence in c->note: it cannot be had here. */
    bool (*open)(contender *c);
    /* Gets ready for calls with so many rows: 1, wherever they lie, or more, the ones at x. */
    bool (*arrange)(contender *c, size_t rows, const float *x);
    bool (*predict)(void *state, size_t rows, const float *x);
    double (*value)(const void *state, size_t index); /* row x outputs + output, of the last call */
    void (*close)(contender *c);
} peer;

extern const peer peer_ramify;      /* everything that was read stays in memory */
extern const peer peer_bounded;     /* room for one row's path and expert: others are read again */
extern const peer peer_lightgbm;    /* lib_lightgbm.so */
extern const peer peer_xgboost;     /* libxgboost.so */
extern const peer peer_onnxruntime; /* libonnxruntime.so */
extern const peer peer_network;     /* a network as C that prepare.py compiled */
extern const peer peer_trees;       /* trees as C that tl2cgen wrote */

#define CONTENDER_TEXT 1024

struct contender {
    char name[CONTENDER_TEXT];
    char library[CONTENDER_TEXT]; /* path of the peer's shared object */
    char model[CONTENDER_TEXT];   /* path; of networks several with commas between */
    size_t columns, outputs;
    size_t rows_most;          /* largest batch */
    double error;              /* on test rows */
    double multiply_adds;      /* per row; 0: not counted */
    float *expected;           /* checked rows x outputs */
    double tolerance;          /* of 1 + |expected| */
    char note[CONTENDER_TEXT]; /* what was chosen, or why it is absent */
    const peer *peer;
    void *state; /* of the peer */
};

/* Seconds of a clock that only runs forward. */
double contender_clock(void);

/* Memory that is 64-byte aligned and filled with zeros; ends the program if there is none. */
void *contender_memory(size_t bytes);

/* Opens a shared object and finds one of its functions; NULL with a sentence in c->note. */
void *contender_library(contender *c, const char *path);
void *contender_function(contender *c, void *library, const char *name);

/* Which of several settings is fastest: `run` is called with each a few times by turns, and the
 * least time of a call counts. False ends it: that setting does not work. */
size_t contender_fastest(size_t settings, bool (*run)(void *argument, size_t setting),
                         void *argument);

/* Rows of the pieces that a batch may be cut into, most first. */
#define PIECES 6
extern const size_t contender_pieces[PIECES];

#endif

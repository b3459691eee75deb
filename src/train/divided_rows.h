#ifndef RAMIFY_TRAIN_DIVIDED_ROWS_H
#define RAMIFY_TRAIN_DIVIDED_ROWS_H
/* The rows of a table that is too large for every rank to hold: each rank has a range of them, and one
 * process alone has all.
 *
 * A row is *packed*: float32 plain features, a category as its code instead of one-hot, then targets (or
 * the label), the weight if rows have weights, and a tag of 32 bits: what the row is for, and a random
 * number of 30 bits by which samples are drawn. Everything that a row is given depends on the seed and its
 * index in the whole table, never on who holds it; so do its role, and sums that round, which are taken
 * over blocks of RAMIFY_DIVIDED_BLOCK rows of the whole table, in order. */

#include "problem.h"
#include "train_rows.h"

/* Ranges of ranks are whole blocks. */
#define RAMIFY_DIVIDED_BLOCK ((uint64_t)4096)

typedef enum ramify_role {
    RAMIFY_ROLE_TRAIN,
    RAMIFY_ROLE_SELECT,
    RAMIFY_ROLE_REPORT,
    RAMIFY_ROLES
} ramify_role;

/* The rows of rank `rank` of `ranks`, of a table of `rows`. */
void ramify_divided_range(uint64_t rows, uint32_t ranks, uint32_t rank, uint64_t *first,
                          uint64_t *count);

typedef struct ramify_divided {
    ramify_context *context;
    const ramify_kernels *kernels;
    ramify_train_rows *from; /* table, schema and match; borrowed */
    uint64_t all, first;     /* rows of the whole table; the first one here */
    size_t begin, count;     /* the rows here, of the table in memory */

    /* How columns are scaled, by all training rows. */
    ramify_stem stem;
    ramify_stem_column *column;
    double *center, *scale; /* columns */
    double *head_center, *head_scale;
    double weight_mean;
    uint32_t targets, outputs;
    ramify_far_value far;

    uint32_t width;       /* floats of a packed row */
    unsigned piece_shift; /* a piece has 2^this packed rows; the last may have fewer */
    float **packed;       /* pieces */
    size_t rows;          /* usable rows here */
    size_t pieces;
    uint64_t in_role[RAMIFY_ROLES]; /* usable rows of the whole table */
    uint64_t skipped;               /* rows without a target, of the whole table */
    uint64_t print;                 /* of all packed rows, and of which they are */
} ramify_divided;

/* Packs the rows of this rank. from: opened; its rows are all of the table, or those of this rank
 * (table->first_row). Free with ramify_divided_close. */
ramify_status ramify_divided_open(ramify_train_rows *from, ramify_divided **divided);
void ramify_divided_close(ramify_divided **divided);

/* Passes over rows are tasks of so many. */
#define RAMIFY_DIVIDED_TASK ((size_t)65536)

/* Packed row `index` of those here. */
static inline float *ramify_divided_row(const ramify_divided *divided, size_t index) {
    const size_t in_piece = index & (((size_t)1 << divided->piece_shift) - 1);
    return divided->packed[index >> divided->piece_shift] + in_piece * divided->width;
}

static inline uint32_t ramify_packed_tag(const ramify_divided *divided, const float *row) {
    uint32_t tag;
    memcpy(&tag, row + divided->width - 1, sizeof tag);
    return tag;
}

static inline ramify_role ramify_packed_role(const ramify_divided *divided, const float *row) {
    return (ramify_role)(ramify_packed_tag(divided, row) & 3);
}

/* Whether the row is among a share of all rows, 0 .. 1; smaller shares are parts of larger ones. */
static inline bool ramify_packed_in_share(const ramify_divided *divided, const float *row,
                                          double share) {
    return (double)(ramify_packed_tag(divided, row) >> 2) < share * (double)(1 << 30);
}

/* plain[count x plain_stride] of packed rows, padding zero. */
void ramify_packed_plain(const ramify_divided *divided, const float *rows, size_t count,
                         float *plain);

/* A problem of packed rows, which are in the table's order: those that train in this order, then those
 * that select, then those that report. Borrows the schema; free with ramify_problem_destroy. */
ramify_status ramify_packed_problem(const ramify_divided *divided, const float *rows, size_t count,
                                    ramify_problem **problem);

#endif

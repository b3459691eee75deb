#ifndef RAMIFY_TRAIN_SERIES_PASS_H
#define RAMIFY_TRAIN_SERIES_PASS_H
/* Rows of a table on their way through a plan of terms into a least-squares problem, and once more for
 * their errors when they are left out. */

#include "least_squares.h"
#include "series_fit.h"

typedef struct ramify_series_pass {
    const ramify_series_data *data;
    const ramify_series_axis *axis; /* of the plan */
    const ramify_series_plan *plan;
    ramify_least_squares *problem;
    const uint32_t *row; /* the next table row */
    uint32_t taken;      /* rows in the block */
    double deadline;     /* as ramify_seconds gives it; 0: none */
    bool late;           /* it has passed: not all rows were taken */

    double *x; /* RAMIFY_LEAST_SQUARES_ROWS x columns */
    double *y; /* RAMIFY_LEAST_SQUARES_ROWS x targets: scaled, times the root of the weight */
    double *function; /* tasks x functions */

    /* Scores. */
    uint32_t terms;  /* that rows carry */
    uint32_t bands;  /* of these; 1 where all terms are scored at once */
    bool at_once;    /* so they are */
    bool left_out;   /* the rows were not taken: their residuals are their errors */
    double *sums;    /* tasks x bands: of squared errors */
    uint32_t chosen; /* band whose errors are kept in `error` */
    float *error;    /* of the block's rows, or NULL */
} ramify_series_pass;

/* A number of a table row by which parts of rows are taken, the same in every fit: multiples of the
 * golden ratio spread evenly over all numbers (Knuth, The Art of Computer Programming 3, 6.4). */
static inline uint32_t ramify_series_lot(uint32_t row) {
    return row * UINT32_C(2654435769);
}

/* data, axis and plan are set. Clear with ramify_series_pass_clear, after a failure too. */
ramify_status ramify_series_pass_open(ramify_series_pass *pass);
void ramify_series_pass_clear(ramify_series_pass *pass);

/* Brings up to `left` rows from pass->row on into the problem's block; does not move on. */
ramify_status ramify_series_pass_fill(ramify_series_pass *pass, size_t left);

/* Takes rows into the problem; some of them where the deadline passes, which sets pass->late. */
ramify_status ramify_series_pass_take(ramify_series_pass *pass, const uint32_t *row, size_t count);

/* Sets terms and bands to those that the rows taken carry: all whose columns are independent. */
void ramify_series_pass_carried(ramify_series_pass *pass);

/* band_error[bands]: root mean squares of the errors of rows left out; infinite where that cannot be
 * told from what the rows themselves do to the fit. A part of many rows is scored. error: NULL, or
 * count squares at band `chosen`, NaN for rows that are not scored. */
ramify_status ramify_series_pass_score(ramify_series_pass *pass, const uint32_t *row, size_t count,
                                       uint32_t chosen, float *error, double *band_error);

#endif

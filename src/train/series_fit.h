#ifndef RAMIFY_TRAIN_SERIES_FIT_H
#define RAMIFY_TRAIN_SERIES_FIT_H
/* Fitting one band-limited series (bandlimited.h) to rows of a table, its band and index set chosen by
 * the error of leaving one row out.
 *
 * With A = Q R, a row's leverage h is the squared length of its row of Q, and its residual when it is
 * left out is e / (1 - h) (Cook and Weisberg 1982, 2.2.3; the sum of squares is Allen's PRESS). Columns
 * are ordered by band, so that one elimination gives these residuals for every band at once. */

#include "bandlimited.h"
#include "problem.h"

/* Where rows come from and how targets are scaled. */
typedef struct ramify_series_data {
    ramify_context *context;
    const ramify_kernels *kernels;
    const ramify_match *match;
    const ramify_column *weight; /* row weights, or NULL */
    double weight_unit;          /* the mean of those above 0 among the rows of training, or 1 */
    uint32_t columns, targets;   /* of a row */
    const double *head_center, *head_scale; /* targets */
} ramify_series_data;

typedef struct ramify_series_wish {
    const ramify_series_axis *axis; /* axes */
    uint32_t axes;
    int set;             /* ramify_index_set, or -1: chosen */
    int64_t band;        /* -1: chosen */
    uint32_t most_terms; /* of a chosen band */
    uint64_t most_record, most_scratch,
        most_both;  /* bytes of its record and of what running it takes
                                                      (bandlimited.h), and of both; 0: no bound */
    double ridge;   /* weight of the squared coefficients per row; negative: chosen by generalised
                            cross-validation */
    uint32_t bytes; /* of a stored coefficient: 8 or 4 */
    bool refuses;
    double deadline; /* as ramify_seconds gives it; 0: none */
    bool insists;    /* past it fewer rows are fitted, with what is known of bands; else none are */
} ramify_series_wish;

/* What is known of a fit. Errors are root mean squares over rows and targets of standardised
 * targets. */
typedef struct ramify_series_report {
    ramify_index_set set;
    uint32_t band, terms;
    uint64_t rows;
    double error;    /* of rows left out, at this band */
    double noise;    /* what the fit leaves, per degree of freedom; NaN without any */
    double ridge;    /* per row, of the constant's neighbours */
    double growth;   /* of that from a band to the next; 0: none, all terms weigh the same */
    bool least_norm; /* fewer rows than terms: the smallest of all solutions */
    uint32_t bands;  /* tried: 0 .. bands-1 */
    ramify_index_set bands_set; /* whose bands they are: `set` but for a smooth fit */
    uint32_t bands_best;        /* the one that was taken among these */
    double *band_error;   /* bands: of rows left out; infinite where rows do not carry the band */
    uint32_t *band_terms; /* bands */
} ramify_series_report;

typedef struct ramify_series_fit {
    ramify_series_header *record; /* bandlimited.h */
    size_t record_bytes;
    uint32_t functions;
    ramify_series_report report;
} ramify_series_fit;

/* Of a table with these row weights (or NULL), split for training. Refers to all four. */
ramify_series_data ramify_series_data_of(const ramify_problem *problem, const ramify_match *match,
                                         const ramify_split *split, const ramify_column *weight);

/* Fits rows row[count] of the table, those of weight 0 left out, whose targets are all there. error: NULL, or count squared
 * standardised errors, mean over targets, of these rows left out; NaN where it was not computed (of
 * many rows a part is scored, the same for every fit to the same rows). *fit is NULL where the deadline
 * passed and the wish does not insist, or asks for a band of too many terms; on RAMIFY_STOPPED it may be
 * there. Free with ramify_series_fit_destroy. */
ramify_status ramify_series_fit_rows(const ramify_series_data *data, const ramify_series_wish *wish,
                                     const uint32_t *row, size_t count, float *error,
                                     ramify_series_fit **fit);
void ramify_series_fit_destroy(ramify_context *context, ramify_series_fit **fit);

#endif

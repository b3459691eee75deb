#ifndef RAMIFY_MODEL_STEM_H
#define RAMIFY_MODEL_STEM_H
/* The stem: raw rows (one double per column, NaN = missing, categories as codes) to the float32
 * features that experts read, and to the point in routing space that the tree compares with its
 * prototypes.
 *
 * First the plain features:
 *     numeric column      z = clip((x - center) / scale, +-10), 0 where missing; then, if training
 *                         rows had missing values in it, 1 where missing, else 0
 *     categorical column  one-hot over its codes, "other" last
 *
 * Then the features. Without bins they are the plain features themselves; with bins, per column:
 *     numeric with knots      two numbers, piecewise linear in z. The table entry is the number of
 *                             knots <= z; each of the two is value + slope * (z - knot) with the
 *                             last knot <= z (the first knot, below it). One more entry is for a
 *                             missing value
 *     numeric without knots   its plain features
 *     categorical             two numbers per code
 * and after all columns, if there are frequencies f, for every numeric column:
 *     periodic                sin(2 pi f z), cos(2 pi f z) per frequency
 * The two numbers per column are the tabulated form of a piecewise-linear encoding (Gorishniy,
 * Rubachev, Babenko 2022) followed by a learned linear map to two outputs.
 *
 * The routing point is route x plain features (a rotation and scaling chosen in training), or the
 * plain features themselves. */

#include "kernels.h"
#include "memory.h"
#include "ramify.h"

/* Standardised inputs are clipped here: beyond, networks extrapolate wildly. */
#define RAMIFY_STEM_CLIP 10.0

#define RAMIFY_STEM_PLAIN_MAX       262144    /* plain features */
#define RAMIFY_STEM_KNOTS_MAX       256       /* per column */
#define RAMIFY_STEM_FREQUENCIES_MAX 64        /* per column */
#define RAMIFY_STEM_ENTRIES_MAX     (1 << 24) /* table entries */
/* Sizes of stored numbers: far above what training makes, and small enough that features and
 * routing points stay finite and the sine's range reduction exact. */
#define RAMIFY_STEM_NUMBER_MAX    1e18F
#define RAMIFY_STEM_FREQUENCY_MAX 1e4F

/* One input column; 32 bytes, as stored in the tensor stem.columns (little-endian uint32). */
typedef struct ramify_stem_column {
    uint32_t codes;    /* 0: numeric; else the number of codes, "other" included */
    uint32_t missing;  /* numeric: 1 if there is an indicator (or, with knots, a table entry) for
                          missing values */
    uint32_t plain;    /* index of its first plain feature */
    uint32_t feature;  /* index of its first feature, periodic ones apart */
    uint32_t knot;     /* index of its first knot */
    uint32_t knots;    /* number of knots; 0: none */
    uint32_t entry;    /* index of its first table entry: knots + 1 (+ 1 if missing) entries, or one
                          per code */
    uint32_t periodic; /* numeric with frequencies: index of its first periodic feature; else 0 */
} ramify_stem_column;

typedef struct ramify_stem {
    uint32_t columns;     /* raw columns */
    uint32_t plain;       /* plain features */
    uint32_t features;    /* inputs of every expert */
    uint32_t frequencies; /* per numeric column; 0: no periodic features */
    uint32_t routes;      /* dimensions of routing space; == plain when route is NULL */
    bool bins;
    uint32_t knot_count, entry_count;
    const ramify_stem_column *column; /* columns */
    const double *center;             /* columns; 0 for categorical */
    const double *scale;              /* columns, > 0; 1 for categorical */
    const float *knots;               /* knot_count, ascending within a column */
    const float *table;               /* entry_count x 4: value, slope, value, slope */
    const float *frequency; /* columns x frequencies, cycles per unit of z; unused rows 0 */
    const float *route;     /* routes x pad(plain), or NULL */
    /* Shortcuts that ramify_stem_classify finds; false changes nothing but the time. */
    bool numbers_alone; /* no categories, and gaps are not told apart */
    bool same_scale;    /* that, and one center and one scale for all columns, as pixels have */
} ramify_stem;

/* The scale of a column that repeats itself and whose period the model has: in this unit all values are
 * 0, so that none of them is far from any prototype. */
#define RAMIFY_STEM_REPEATS 1e300

/* Sets the shortcuts, once the rest is there. */
void ramify_stem_classify(ramify_stem *stem);

/* plain[rows x ldp], padded with zeros up to pad(plain), from raw rows x[rows x columns]. */
void ramify_stem_plain(const ramify_kernels *kernels, const ramify_stem *stem, size_t rows,
                       const double *x, size_t x_stride, float *plain, size_t ldp);

/* features[rows x ldf], padded with zeros up to pad(features), from plain features and the raw
 * rows' missing values and codes (which are read off the plain features). */
void ramify_stem_features(const ramify_kernels *kernels, const ramify_stem *stem, size_t rows,
                          const float *plain, size_t ldp, float *features, size_t ldf);

/* The periodic features of one row of plain features, which all lie side by side. */
void ramify_stem_waves(const ramify_kernels *kernels, const ramify_stem *stem, const float *plain,
                       float *features);

/* point[rows x ldt], padded with zeros up to pad(routes). */
void ramify_stem_route(const ramify_kernels *kernels, const ramify_stem *stem, size_t rows,
                       const float *plain, size_t ldp, float *point, size_t ldt);

/* Chain rule back to the plain features: dplain[rows x ldp] = dfeatures[rows x ldf] times d
 * features / d plain. For a category, the derivative is by its one-hot entries. */
void ramify_stem_plain_gradient(const ramify_stem *stem, size_t rows, const float *plain,
                                size_t ldp, const float *dfeatures, size_t ldf, float *dplain,
                                size_t lddp);

/* And to the raw columns: dx[rows x columns]; 0 for categories, missing and clipped values. */
void ramify_stem_raw_gradient(const ramify_stem *stem, size_t rows, const double *x,
                              size_t x_stride, const float *dplain, size_t lddp, double *dx,
                              size_t dx_stride);

#endif

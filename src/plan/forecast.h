#ifndef RAMIFY_PLAN_FORECAST_H
#define RAMIFY_PLAN_FORECAST_H
/* The error of a training, from small runs of it. Arithmetic alone, in logarithms of errors; docs/plan.md has
 * the formulas, and how its constants were found. */

#include "ramify.h"
#include "sweep.h"

typedef enum ramify_forecast_doubt {
    RAMIFY_FORECAST_FINE = 0,
    RAMIFY_FORECAST_FEW,   /* too few sizes were run */
    RAMIFY_FORECAST_NONE,  /* runs made no errors */
    RAMIFY_FORECAST_RISING /* errors rise with the rows, by more than they scatter */
} ramify_forecast_doubt;

/* What runs of one design say, once for all questions. */
typedef struct ramify_forecast {
    const ramify_sweep_run *runs; /* borrowed; those that were not made are passed over */
    size_t count;
    ramify_sweep_design design; /* of the ladders */
    uint32_t first;             /* the level of most rows that a ladder reaches */
    double
        length; /* of the ladder's runs, in that of the training; short ones have a fourth of it */
    double ladder[RAMIFY_SWEEP_LEVELS_MAX]; /* ln error by level; NaN: not known */
    double brief[RAMIFY_SWEEP_LEVELS_MAX];  /* the same of short runs */
    double slope;  /* what an octave of rows takes from ln error, near the first level; 0 or more */
    double noise;  /* standard deviation of ln error of one run */
    double judged; /* of the first level's, by the rows that judge */
    double
        few; /* by how many factors of RAMIFY_FORECAST_BRIEF the training's passes are fewer than of any
                      that forecasts were found on; 0: none. ramify_forecast_make leaves 0 */
} ramify_forecast;

/* Passes of short runs, in those of the ladder's. */
#define RAMIFY_FORECAST_BRIEF 0.25

ramify_forecast_doubt ramify_forecast_make(const ramify_sweep_run *runs, size_t count,
                                           const ramify_sweep_design *design, double length,
                                           ramify_forecast *forecast);

/* The error at a point of level 0, with so many times the rows, and its interval.
 * A design of layers 0 is the one that the training finds. NaN for a width of which no run tells. */
ramify_law_estimate ramify_forecast_error(const ramify_forecast *forecast,
                                          const ramify_sweep_point *point, double rows,
                                          double level);

/* Whether errors of runs whose passes are nearest to `length` fall with their rows by more than runs scatter. Where
 * they do not, what more rows bring may be chance, or a floor of noise. */
bool ramify_forecast_falls(const ramify_forecast *forecast, double length);

#endif

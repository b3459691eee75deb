#ifndef SERIES_TWIN_H
#define SERIES_TWIN_H
/* The readable twin of a band-limited series: all products of functions from their definitions. */

#include "bandlimited.h"
#include "random.h"

/* What a record gives at a raw row x[columns]. */
double series_twin(const ramify_series_header *record, uint32_t output, const double *x);

/* A record with normal coefficients for axis[axes]; freed with free(). */
ramify_series_header *series_random(ramify_random *random, ramify_index_set set, uint32_t band,
                                    const ramify_series_axis *axis, uint32_t axes, uint32_t outputs,
                                    uint32_t bytes);

/* Bytes of a record. */
uint64_t series_size(const ramify_series_header *record);

/* Makes a shape large enough for a record, too. */
void series_widen(ramify_series_shape *shape, const ramify_series_header *record);

#endif

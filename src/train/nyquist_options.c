/* Options of Nyquist learners, and which tables they are for. */

#include "nyquist_options.h"
#include "status.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ramify_set_names[] = {"largest", "total", "cross"};
const char *const ramify_basis_names[] = {"fourier", "cosine", "chebyshev"};

int ramify_name_place(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

/* Takes the next period off a list; 0: the column has none ("-"); NaN: that is no period. `list` is moved
 * on, and may point to NULL. False at the end. */
static bool next_period(const char **list, double *period) {
    const char *name;
    size_t length;
    if (!ramify_list_next(list, &name, &length))
        return false;
    char number[64], *end;
    *period = NAN;
    if (length == 1 && *name == '-')
        *period = 0;
    else if (length > 0 && length < sizeof number) {
        memcpy(number, name, length);
        number[length] = '\0';
        *period = strtod(number, &end);
        *period = *end == '\0' && *period > 0 &&
                          *period<RAMIFY_SERIES_NUMBER_MAX && * period> 1 / RAMIFY_SERIES_NUMBER_MAX
                      ? *period
                      : NAN;
    }
    return true;
}

static ramify_status check_periods(ramify_context *context, const char *list) {
    double period;
    bool any = false;
    for (const char *rest = list; rest && next_period(&rest, &period);) {
        if (isnan(period)) {
            char excerpt[RAMIFY_EXCERPT_BYTES];
            return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                               "period \"%s\" is not a list of numbers above 0: give one for all "
                               "columns, or one for each with - where there is none",
                               ramify_text_excerpt(list, strlen(list), excerpt));
        }
        any = any || period > 0;
    }
    if (list && !any)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT, "period names no period: leave it out");
    return RAMIFY_OK;
}

ramify_status ramify_periods_read(ramify_context *context, const char *list, uint32_t columns,
                                  double *period) {
    double next = 0;
    uint32_t named = 0;
    while (named < columns && next_period(&list, &next))
        period[named++] = next;
    if (named < columns && named > 1)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "period lists %u numbers for %u input columns: give one for all, or "
                           "one for each",
                           named, columns);
    if (next_period(&list, &next))
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "period lists more numbers than there are input columns, %u: give one "
                           "for all, or one for each",
                           columns);
    for (uint32_t c = named; c < columns; c++)
        period[c] = named == 1 ? period[0] : 0;
    return RAMIFY_OK;
}

ramify_status ramify_nyquist_options_check(ramify_context *context, const ramify_train_options *o) {
    ramify_status bad = RAMIFY_ERROR_ARGUMENT;
    if (o->basis && ramify_name_place(o->basis, ramify_basis_names, 3) < 0)
        return ramify_fail(context, bad,
                           "basis \"%s\" is not known: use fourier, cosine or chebyshev", o->basis);
    if (o->index_set && ramify_name_place(o->index_set, ramify_set_names, 3) < 0)
        return ramify_fail(context, bad,
                           "index set \"%s\" is not known: use total, largest or cross",
                           o->index_set);
    if (o->precision && strcmp(o->precision, "float64") != 0 &&
        strcmp(o->precision, "float32") != 0)
        return ramify_fail(context, bad, "precision \"%s\" is not known: use float64 or float32",
                           o->precision);
    if (o->outside && strcmp(o->outside, "clamp") != 0 && strcmp(o->outside, "refuse") != 0)
        return ramify_fail(context, bad, "outside \"%s\" is not known: use clamp or refuse",
                           o->outside);
    if (o->band > RAMIFY_SERIES_BAND_MAX)
        return ramify_fail(context, bad, "band is %u: use 0 (chosen) to %d", o->band,
                           RAMIFY_SERIES_BAND_MAX);
    if (isnan(o->ridge) || o->ridge > 1e6)
        return ramify_fail(context, bad, "ridge is %g: use a negative number (chosen) or 0 to 1e6",
                           o->ridge);
    RAMIFY_TRY(check_periods(context, o->period));
    if (o->basis && strcmp(o->basis, "fourier") == 0 && !o->period)
        return ramify_fail(context, bad,
                           "a fourier basis needs to know the period, which the range of the rows "
                           "does not tell (--period)");
    return RAMIFY_OK;
}

const char *ramify_nyquist_obstacle(const ramify_problem *problem,
                                    char room[RAMIFY_OBSTACLE_BYTES]) {
    if (problem->targets == 0)
        return "the task is classification";
    for (uint32_t c = 0; c < problem->stem.columns; c++) {
        const char *name = problem->schema->columns[c].name, *what;
        if (problem->stem.column[c].codes > 0)
            what = "is categorical";
        else if (problem->schema->columns[c].missing)
            what = "has missing values";
        else
            continue;
        char excerpt[RAMIFY_EXCERPT_BYTES];
        snprintf(room, RAMIFY_OBSTACLE_BYTES, "column \"%s\" %s",
                 ramify_text_excerpt(name, strlen(name), excerpt), what);
        return room;
    }
    return NULL;
}

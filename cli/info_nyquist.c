/* ramify info MODEL, of a Nyquist learner: its report. What the root's series was fitted to, how the
 * error falls with the band, and what that says about the rows. */

#include "info.h"
#include "printing.h"

#include <math.h>
#include <string.h>

/* Bands that are shown, around the one that was taken. */
#define SHOWN 12

/* "-" for what was not measured: rows that do not carry a band have no error. */
static const char *format_error(char text[PRINTING_ROOM], double error) {
    snprintf(text, PRINTING_ROOM, isnan(error) ? "-" : "%.3g", error);
    return text;
}

static void print_box(const ramify_model *model, const json_t *axes) {
    const json_t *axis;
    size_t i;
    printf("box         ");
    json_array_foreach(axes, i, axis) {
        const char *basis = json_string_value(json_object_get(axis, "basis"));
        double low = number_of(axis, "low"), length = number_of(axis, "length");
        if (i > 0)
            printf("\n            ");
        print_name(ramify_model_column(model, (uint32_t)number_of(axis, "column")));
        if (basis && strcmp(basis, "fourier") == 0)
            printf(": fourier, period %.6g", length);
        else
            printf(": %s, %.6g .. %.6g", basis ? basis : "", low, low + length);
    }
    printf("%s\n", json_array_size(axes) == 0 ? "no column varies" : "");
}

/* The band with the least error. */
static double best_of(const json_t *bands) {
    double least = INFINITY, best = 0;
    const json_t *band;
    size_t i;
    json_array_foreach(bands, i, band) if (number_of(band, "error") < least) {
        least = number_of(band, "error");
        best = number_of(band, "band");
    }
    return best;
}

/* Bands in steps, so that the one that was taken and those beside it are among them. */
static void print_bands(const json_t *bands, const char *set, bool smooth, double taken) {
    size_t count = json_array_size(bands), first = 0, i;
    const json_t *band;
    json_array_foreach(bands, i, band) if (number_of(band, "band") <= taken) first = i;
    size_t end = first + SHOWN / 3 < count ? first + SHOWN / 3 : count;
    first = end > SHOWN ? end - SHOWN : 0;
    printf("\n  %6s %8s  error of rows left out, %s set%s\n", "band", "terms", set,
           smooth ? ", without weights" : "");
    for (i = first; i < end; i++) {
        char error[PRINTING_ROOM];
        band = json_array_get(bands, i);
        printf("  %6.0f %8.0f  %s%s\n", number_of(band, "band"), number_of(band, "terms"),
               format_error(error, number_of(band, "error")),
               number_of(band, "band") != taken ? ""
               : smooth                         ? "  <- the best of these"
                                                : "  <- taken");
    }
}

/* What rows must be to carry so many terms: as many at best, K ln K at random where the functions are
 * orthogonal under a uniform density, of the order of K^2 in the worst case of Chebyshev polynomials. */
static void print_need(const json_t *report) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM], c[PRINTING_ROOM];
    double terms = number_of(report, "terms"), rows = number_of(report, "rows");
    bool chebyshev = false;
    const json_t *axis;
    size_t i;
    json_array_foreach(json_object_get(report, "axes"), i, axis) {
        const char *basis = json_string_value(json_object_get(axis, "basis"));
        chebyshev = chebyshev || (basis && strcmp(basis, "chebyshev") == 0);
    }
    printf("rows        %s, and %s terms need %s at best, about %s at random%s\n",
           format_count(a, (uint64_t)rows), format_count(b, (uint64_t)terms),
           format_count((char[PRINTING_ROOM]){0}, (uint64_t)terms),
           format_count(c, (uint64_t)ceil(terms * fmax(1, log(terms)))),
           chebyshev ? " (terms squared in the worst case)" : "");
}

static void print_ridge(double ridge, double growth) {
    if (!(ridge > 0))
        return;
    printf("ridge       %.3g per row", ridge);
    if (growth > 0)
        printf(", times %.3g from a band to the next: the smoothest function near the rows",
               growth);
    printf("\n");
}

void info_print_nyquist(const ramify_model *model, const ramify_model_info *info) {
    char a[PRINTING_ROOM], b[PRINTING_ROOM];
    json_t *config = json_loads(info->config, 0, NULL);
    const json_t *report = json_object_get(config, "nyquist");
    const json_t *cliff = json_object_get(report, "cliff");
    const json_t *leaves = json_object_get(report, "leaves");
    const char *set = json_string_value(json_object_get(report, "set"));
    if (json_is_object(report)) {
        print_box(model, json_object_get(report, "axes"));
        printf("band        %.0f of the %s set, on the whole box: error %s of rows left out, noise "
               "and "
               "what lies beyond the band %s\n",
               number_of(report, "band"), set ? set : "",
               format_error(a, number_of(report, "error")),
               format_error(b, number_of(report, "noise")));
        print_ridge(number_of(report, "ridge"), number_of(report, "growth"));
        if (json_is_true(json_object_get(report, "least_norm")))
            printf("solution    the smallest of many: the rows do not carry the band\n");
        print_need(report);
        if (cliff)
            printf("cliff       at band %.0f the error falls from %s to %s\n",
                   number_of(cliff, "band"), format_error(a, number_of(cliff, "before")),
                   format_error(b, number_of(cliff, "after")));
        if (info->leaves > 1)
            printf("leaves      bands %.0f to %.0f: error %s of rows left out\n",
                   number_of(leaves, "least_band"), number_of(leaves, "most_band"),
                   format_error(a, number_of(leaves, "error")));
        bool smooth = number_of(report, "growth") > 0;
        const char *of = json_string_value(json_object_get(report, "bands_set"));
        print_bands(json_object_get(report, "bands"), of ? of : "", smooth,
                    smooth ? best_of(json_object_get(report, "bands")) : number_of(report, "band"));
    }
    json_decref(config);
}

#ifndef RAMIFY_CLI_LAW_PLOT_H
#define RAMIFY_CLI_LAW_PLOT_H
/* Pictures of laws, drawn by gnuplot. */

#include "session.h"

/* Refuses a picture's name (NULL: there is none) that ends in neither .svg nor .png, and one of the
 * law's file (or NULL) beside it that does, which could be the same file. Returns EXIT_OK, or the exit
 * status after one sentence. */
int law_plot_check(const char *verb, const char *path, const char *law);

/* Draws runs, law, interval and extrapolation on logarithmic axes, at most eight laws or eight values
 * of further sizes. Without gnuplot the numbers go to PATH.csv, and a sentence says so. Returns the
 * exit status. */
int law_plot(session *run, const ramify_law *law, double level, const char *path);

#endif

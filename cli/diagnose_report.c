/* The page: what dominates, the shares with their intervals, what they rest on, what was trained. Its
 * colours keep apart in print and for most eyes; every bar has its number beside it. */

#include "diagnose_report.h"
#include "output.h"
#include "page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const colours[RAMIFY_ERROR_SOURCES] = {"#777777", "#c2570c", "#1f6fb2",
                                                          "#5b8c2a"};

static const char *const meanings[RAMIFY_ERROR_SOURCES] = {
    [RAMIFY_SOURCE_IRREDUCIBLE] = "noise: what the columns do not tell",
    [RAMIFY_SOURCE_APPROXIMATION] = "what a network of this size cannot hold",
    [RAMIFY_SOURCE_ESTIMATION] = "what so many rows leave open",
    [RAMIFY_SOURCE_OPTIMISATION] = "what this training leaves undone",
};

/* Numbers of the picture, in its own units. */
enum { PICTURE_WIDTH = 600, ROW_HEIGHT = 56, BAR_HEIGHT = 20, BAR_TOP = 24, PICTURE_MARGIN = 8 };

/* A bar for every source, its interval as a line across it. */
static void write_picture(FILE *file, const ramify_diagnosis *d) {
    double unit = PICTURE_WIDTH - 2 * PICTURE_MARGIN;
    fprintf(file, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Shares of the error\">\n",
            PICTURE_WIDTH, RAMIFY_ERROR_SOURCES * ROW_HEIGHT);
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        const ramify_error_share *share = &d->shares[s];
        double top = s * ROW_HEIGHT, middle = top + BAR_TOP + BAR_HEIGHT / 2.0;
        fprintf(file,
                "<text x=\"%d\" y=\"%g\" font-size=\"15\" font-family=\"sans-serif\" "
                "fill=\"#222\">%s: ",
                PICTURE_MARGIN, top + 17, ramify_error_source_name((ramify_error_source)s));
        if (isnan(share->share))
            fputs("not known", file);
        else
            fprintf(file, "%.0f %% (%.0f to %.0f)", 100 * share->share, 100 * share->low,
                    100 * share->high);
        fprintf(file,
                "</text>\n<rect x=\"%d\" y=\"%g\" width=\"%g\" height=\"%d\" fill=\"#eee\"/>\n",
                PICTURE_MARGIN, top + BAR_TOP, unit, BAR_HEIGHT);
        if (!isnan(share->share))
            fprintf(file, "<rect x=\"%d\" y=\"%g\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
                    PICTURE_MARGIN, top + BAR_TOP, unit * share->share, BAR_HEIGHT, colours[s]);
        fprintf(file,
                "<path d=\"M%.1f %g H%.1f M%.1f %g v8 M%.1f %g v8\" stroke=\"#111\" "
                "stroke-width=\"2\"/>\n",
                PICTURE_MARGIN + unit * share->low, middle, PICTURE_MARGIN + unit * share->high,
                PICTURE_MARGIN + unit * share->low, middle - 4, PICTURE_MARGIN + unit * share->high,
                middle - 4);
    }
    fputs("</svg>\n", file);
}

static void write_shares(FILE *file, const ramify_diagnosis *d) {
    fputs("<table>\n<tr><th>source</th><th>what it is</th><th class=\"n\">share</th>"
          "<th class=\"n\">90&nbsp;% interval</th></tr>\n",
          file);
    for (int s = 0; s < RAMIFY_ERROR_SOURCES; s++) {
        const ramify_error_share *share = &d->shares[s];
        fprintf(file, "<tr><td>%s</td><td>%s</td>",
                ramify_error_source_name((ramify_error_source)s), meanings[s]);
        if (isnan(share->share))
            fputs("<td class=\"n\">&ndash;</td>", file);
        else
            fprintf(file, "<td class=\"n\">%.1f&nbsp;%%</td>", 100 * share->share);
        fprintf(file, "<td class=\"n\">%.1f to %.1f&nbsp;%%</td></tr>\n", 100 * share->low,
                100 * share->high);
    }
    fputs("</table>\n", file);
}

static void write_evidence(FILE *file, const ramify_diagnosis *d) {
    fputs("<h2>What the shares rest on</h2>\n<div class=\"wide\"><table>\n<tr><th></th>"
          "<th class=\"n\">rmse</th><th class=\"n\">low</th><th class=\"n\">high</th></tr>\n",
          file);
    for (uint32_t e = 0; e < d->evidence_count; e++) {
        fputs("<tr><td>", file);
        page_text(file, d->evidence[e].name);
        fputs("</td>", file);
        page_number(file, d->evidence[e].value);
        page_number(file, d->evidence[e].low);
        page_number(file, d->evidence[e].high);
        fputs("</tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

/* Fits of one stage, size, length and rate differ in rows held out and start alone. */
static bool alike(const ramify_diagnosis_fit *a, const ramify_diagnosis_fit *b) {
    return strcmp(a->stage, b->stage) == 0 && strcmp(a->hidden, b->hidden) == 0 &&
           a->epochs == b->epochs && a->rate == b->rate;
}

static void write_fits(FILE *file, const ramify_diagnosis *d) {
    fputs(
        "<h2>What was trained</h2>\n<div class=\"wide\"><table>\n<tr><th>stage</th><th>widths</th>"
        "<th class=\"n\">fits</th><th class=\"n\">rows</th><th class=\"n\">epochs</th>"
        "<th class=\"n\">rate</th><th class=\"n\">rmse on its rows</th>"
        "<th class=\"n\">rmse held out</th></tr>\n",
        file);
    for (uint32_t f = 0; f < d->fit_count;) {
        const ramify_diagnosis_fit *first = &d->fits[f];
        double train = 0, test = 0;
        uint32_t count = 0;
        for (; f < d->fit_count && alike(first, &d->fits[f]); f++, count++) {
            train += d->fits[f].train_error * d->fits[f].train_error;
            test += d->fits[f].test_error * d->fits[f].test_error;
        }
        fputs("<tr><td>", file);
        page_text(file, first->stage);
        fputs("</td><td>", file);
        page_text(file, first->hidden);
        fprintf(file,
                "</td><td class=\"n\">%" PRIu32 "</td><td class=\"n\">%" PRIu64
                "</td><td class=\"n\">%" PRIu32 "</td><td class=\"n\">%g</td>",
                count, first->rows, first->epochs, first->rate);
        page_number(file, sqrt(train / count));
        page_number(file, sqrt(test / count));
        fputs("</tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

static void write_page(FILE *file, const char *hidden, const ramify_diagnosis *d) {
    page_begin(file, "Where the error comes from");
    fprintf(file, "<p>%" PRIu64 " rows; target deviation %.4g; network of hidden widths ", d->rows,
            d->deviation);
    page_text(file, hidden);
    if (isfinite(d->error))
        fprintf(file, "; rmse %.4g (%.4g to %.4g) on rows held out", d->error, d->error_low,
                d->error_high);
    fputs(".</p>\n<p class=\"advice\">", file);
    page_text(file, d->advice);
    fputs("</p>\n<h2>Shares of the expected squared error</h2>\n", file);
    write_picture(file, d);
    write_shares(file, d);
    if (d->evidence_count > 0)
        write_evidence(file, d);
    if (d->fit_count > 0)
        write_fits(file, d);
    page_end(
        file,
        "The four terms are a reconstruction; docs/cli.md says how they are estimated and what "
        "they cannot tell.");
}

bool diagnose_report_write(const char *path, const char *hidden,
                           const ramify_diagnosis *diagnosis) {
    output to;
    if (!output_open(&to, path))
        return false;
    write_page(to.file, hidden, diagnosis);
    return output_close(&to);
}

/* The page: the question, the answer, learning curves with the forecast at their end, what else could be
 * done, and what was run. Colours keep apart in print and for most eyes; every mark has its number beside it or in a
 * table. */

#include "plan_report.h"
#include "output.h"
#include "page.h"
#include "printing.h"

#include <math.h>
#include <string.h>

/* Pictures, in their own units. */
enum { WIDTH = 640, HEIGHT = 360, LEFT = 70, RIGHT = 16, TOP = 14, BOTTOM = 46, TICKS = 5 };

typedef struct axis {
    double low, high; /* logarithms */
    double from, to;  /* in the picture */
} axis;

static double place(const axis *a, double value) {
    return a->from + (log(value) - a->low) / (a->high - a->low) * (a->to - a->from);
}

static void widen(axis *a, double value) {
    if (!(value > 0) || !isfinite(value))
        return;
    a->low = fmin(a->low, log(value));
    a->high = fmax(a->high, log(value));
}

/* A margin around what is shown, and some room where all is one value. */
static void finish_axis(axis *a) {
    if (!(a->low <= a->high))
        a->low = a->high = 0;
    const double margin = fmax(0.06 * (a->high - a->low), 0.02);
    a->low -= margin;
    a->high += margin;
}

static void write_tick(FILE *file, const axis *a, double value, bool upright) {
    const double at = place(a, value);
    if (upright)
        fprintf(file,
                "<path d=\"M%d %.1f H%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" "
                "text-anchor=\"end\">%.4g</text>\n",
                LEFT, at, WIDTH - RIGHT, LEFT - 6, at + 4, value);
    else
        fprintf(file,
                "<path d=\"M%.1f %d V%d\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"%d\" "
                "text-anchor=\"middle\">%.6g</text>\n",
                at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 16, value);
}

/* 1, 2 or 5 times a power of ten, the next to a step. */
static double round_step(double step) {
    const double power = pow(10, floor(log10(step)));
    return power * (step < 1.5 * power ? 1 : step < 3.5 * power ? 2 : step < 7.5 * power ? 5 : 10);
}

/* Even steps where an axis spans less than a factor of three, else numbers of one digit. */
static void write_ticks(FILE *file, const axis *a, bool upright) {
    static const double digits[] = {1, 2, 3, 5};
    const double low = exp(a->low), high = exp(a->high);
    if (high < 3 * low) {
        const double step = round_step((high - low) / TICKS);
        for (double value = ceil(low / step) * step; value < high; value += step)
            write_tick(file, a, value, upright);
        return;
    }
    const double powers = (a->high - a->low) / log(10);
    const size_t taken = powers < 2 ? 1 : powers < 3 ? 3 : 4; /* every digit, 1 and 5, or 1 alone */
    for (int power = (int)floor(log10(low)); power <= (int)ceil(log10(high)); power++)
        for (size_t d = 0; d < sizeof digits / sizeof digits[0]; d += taken) {
            const double value = digits[d] * pow(10, power);
            if (value > low && value < high)
                write_tick(file, a, value, upright);
        }
}

static void begin_picture(FILE *file, const axis *x, const axis *y, const char *label,
                          const char *below, const char *beside) {
    fprintf(file,
            "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\" font-size=\"13\" "
            "font-family=\"sans-serif\" fill=\"#222\">\n",
            WIDTH, HEIGHT, label);
    write_ticks(file, x, false);
    write_ticks(file, y, true);
    fprintf(file,
            "<path d=\"M%d %d V%d H%d\" stroke=\"#333\" fill=\"none\"/>\n"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n"
            "<text transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8,
            below, (TOP + HEIGHT - BOTTOM) / 2, beside);
}

/* A point with its interval; ends that are no numbers are left out. */
static void write_interval(FILE *file, double x, const axis *y, double value, double low,
                           double high, const char *colour) {
    if (low > 0 && high > 0)
        fprintf(file, "<path d=\"M%.1f %.1f V%.1f\" stroke=\"%s\" stroke-width=\"3\"/>\n", x,
                place(y, low), place(y, high), colour);
    fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\" fill=\"%s\"/>\n", x, place(y, value),
            colour);
}

/* The most passes of any run, in those of the training. */
static double longest(const json_t *plan) {
    double most = 0;
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(plan, "runs"), i, run) {
        most = fmax(most, number_of(run, "length"));
    }
    return most;
}

static axis axis_of_runs(const json_t *plan, const char *key, double from, double to) {
    axis a = {INFINITY, -INFINITY, from, to};
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(plan, "runs"), i, run) {
        widen(&a, number_of(run, key));
    }
    return a;
}

/* What more rows would bring: a line with its interval around it. */
static void write_ahead(FILE *file, const json_t *plan, const axis *x, const axis *y) {
    const json_t *list = json_object_get(plan, "ahead");
    const size_t count = json_array_size(list);
    bool whole = count > 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *e = json_array_get(list, i);
        whole = whole && number_of(e, "rows") > 0 && number_of(e, "low") > 0 &&
                number_of(e, "value") > 0 && isfinite(number_of(e, "high"));
    }
    if (!whole)
        return;
    fputs("<path d=\"M", file);
    for (size_t i = 0; i < count; i++) {
        const json_t *e = json_array_get(list, i);
        fprintf(file, " %.1f,%.1f", place(x, number_of(e, "rows")), place(y, number_of(e, "low")));
    }
    for (size_t i = count; i-- > 0;) {
        const json_t *e = json_array_get(list, i);
        fprintf(file, " %.1f,%.1f", place(x, number_of(e, "rows")), place(y, number_of(e, "high")));
    }
    fputs(" z\" fill=\"#c2570c\" fill-opacity=\".12\"/>\n<path d=\"M", file);
    for (size_t i = 0; i < count; i++) {
        const json_t *e = json_array_get(list, i);
        fprintf(file, " %.1f,%.1f", place(x, number_of(e, "rows")),
                place(y, number_of(e, "value")));
    }
    fputs("\" fill=\"none\" stroke=\"#c2570c\" stroke-dasharray=\"5 4\"/>\n", file);
}

static void write_curves(FILE *file, const json_t *plan) {
    const json_t *predicted = json_object_get(plan, "predicted"),
                 *obtained = json_object_get(plan, "obtained");
    const double whole = number_of(json_object_get(plan, "rows"), "train"), most = longest(plan);
    axis x = axis_of_runs(plan, "rows", LEFT, WIDTH - RIGHT),
         y = axis_of_runs(plan, "error", HEIGHT - BOTTOM, TOP);
    size_t i;
    json_t *run;
    widen(&x, whole);
    json_array_foreach(json_object_get(plan, "ahead"), i, run) {
        widen(&x, number_of(run, "rows"));
        widen(&y, number_of(run, "low"));
    }
    widen(&y, number_of(predicted, "low"));
    widen(&y, number_of(predicted, "high"));
    widen(&y, number_of(obtained, "error"));
    finish_axis(&x);
    finish_axis(&y);
    begin_picture(file, &x, &y, "Error of small runs by their rows, and the forecast",
                  "training rows", text_of(plan, "error"));
    json_array_foreach(json_object_get(plan, "runs"), i, run) {
        const double rows = number_of(run, "rows"), error = number_of(run, "error");
        if (rows > 0 && error > 0)
            fprintf(file,
                    "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" stroke=\"#1f6fb2\"/>\n",
                    place(&x, rows), place(&y, error),
                    number_of(run, "length") > 0.9 * most ? "#1f6fb2" : "#fff");
    }
    write_ahead(file, plan, &x, &y);
    write_interval(file, place(&x, whole), &y, number_of(predicted, "value"),
                   number_of(predicted, "low"), number_of(predicted, "high"), "#c2570c");
    if (number_of(obtained, "error") > 0)
        fprintf(file,
                "<path d=\"M%.1f %.1f l7 -7 l7 7 l-7 7 z\" fill=\"#5b8c2a\" stroke=\"#111\"/>\n",
                place(&x, whole) - 7, place(&y, number_of(obtained, "error")));
    fprintf(
        file,
        "</svg>\n<p>Blue: small runs; filled are those of %.2g of the training's passes. Orange: "
        "the forecast and its interval; dashed, with more rows.",
        most);
    if (obtained)
        fputs(" Green: what the training brought.", file);
    fputs("</p>\n", file);
}

static void write_candidates(FILE *file, const json_t *plan) {
    axis x = {INFINITY, -INFINITY, LEFT, WIDTH - RIGHT},
         y = {INFINITY, -INFINITY, HEIGHT - BOTTOM, TOP};
    const json_t *list = json_object_get(plan, "candidates");
    size_t i;
    json_t *c;
    json_array_foreach(list, i, c) {
        widen(&x, number_of(c, "seconds"));
        widen(&y, number_of(json_object_get(c, "predicted"), "value"));
    }
    finish_axis(&x);
    finish_axis(&y);
    fputs("<h2>What could be done</h2>\n", file);
    begin_picture(file, &x, &y, "Forecast error of every way to train by its time",
                  "seconds of training", text_of(plan, "error"));
    const double chosen = number_of(plan, "training_seconds"),
                 value = number_of(json_object_get(plan, "predicted"), "value");
    json_array_foreach(list, i, c) {
        const double seconds = number_of(c, "seconds"),
                     error = number_of(json_object_get(c, "predicted"), "value");
        const bool taken = seconds == chosen && error == value;
        if (seconds > 0 && error > 0)
            fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"/>\n",
                    place(&x, seconds), place(&y, error), taken ? 7 : 4,
                    taken ? "#c2570c" : "#777");
    }
    fputs("</svg>\n<div class=\"wide\"><table>\n<tr><th>way</th><th class=\"n\">width</th>"
          "<th class=\"n\">length</th><th class=\"n\">density</th><th class=\"n\">forecast</th><th "
          "class=\"n\">low</th>"
          "<th class=\"n\">high</th><th class=\"n\">seconds</th><th class=\"n\">&micro;s a row</th>"
          "</tr>\n",
          file);
    json_array_foreach(list, i, c) {
        const json_t *e = json_object_get(c, "predicted");
        fputs("<tr><td>", file);
        page_text(file, text_of(c, "stage"));
        fputs("</td>", file);
        page_number(file, number_of(c, "width"));
        page_number(file, number_of(c, "length"));
        page_number(file, number_of(c, "density"));
        page_number(file, number_of(e, "value"));
        page_number(file, number_of(e, "low"));
        page_number(file, number_of(e, "high"));
        page_number(file, number_of(c, "seconds"));
        page_number(file, 1e6 * number_of(c, "latency_seconds"));
        fputs("</tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

static void write_runs(FILE *file, const json_t *plan) {
    size_t i;
    json_t *run;
    fputs("<h2>Small runs</h2>\n<div class=\"wide\"><table>\n<tr><th class=\"n\">rows</th>"
          "<th class=\"n\">epochs</th><th class=\"n\">width</th><th class=\"n\">layers</th>"
          "<th class=\"n\">members</th><th class=\"n\">repeat</th><th class=\"n\">density</th>"
          "<th class=\"n\">error</th>"
          "<th class=\"n\">seconds</th></tr>\n",
          file);
    static const char *const keys[] = {"rows",   "epochs",  "width", "layers", "members",
                                       "repeat", "density", "error", "seconds"};
    json_array_foreach(json_object_get(plan, "runs"), i, run) {
        fputs("<tr>", file);
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            page_number(file, number_of(run, keys[k]));
        fputs("</tr>\n", file);
    }
    fputs("</table></div>\n", file);
}

static void write_estimate(FILE *file, const json_t *e) {
    if (!isfinite(number_of(e, "value"))) {
        fputs("what is not known", file);
        return;
    }
    char level[PRINTING_ROOM];
    fprintf(file, "%.4g (%s&nbsp;%%: %.4g to %.4g)", number_of(e, "value"),
            format_level(level, number_of(e, "level")), number_of(e, "low"), number_of(e, "high"));
}

static void write_question(FILE *file, const json_t *plan) {
    const json_t *request = json_object_get(plan, "request"),
                 *choice = json_object_get(plan, "choice");
    fputs("<p>What will a training on ", file);
    fprintf(file, "%.0f rows, for ", number_of(json_object_get(plan, "rows"), "train"));
    page_text(file, text_of(choice, "target"));
    fputs(", bring", file);
    if (isfinite(number_of(request, "error")))
        fprintf(file, "; how is an error of %.4g reached at least cost",
                number_of(request, "error"));
    if (isfinite(number_of(request, "latency_seconds")))
        fprintf(file, "; with a row answered in %.3g &micro;s",
                1e6 * number_of(request, "latency_seconds"));
    if (isfinite(number_of(request, "budget_seconds")))
        fprintf(file, "; in %.3g s", number_of(request, "budget_seconds"));
    fputs("?</p>\n", file);
}

const char *plan_stage_text(const char *stage) {
    if (strcmp(stage, "tree") == 0)
        return "a tree, if its splits are earned";
    if (strcmp(stage, "untaught tree") == 0)
        return "an untaught tree, if its splits are earned";
    return stage;
}

static void write_answer(FILE *file, const json_t *plan) {
    const json_t *twice = json_object_get(plan, "twice"),
                 *obtained = json_object_get(plan, "obtained");
    fputs("<p class=\"advice\">", file);
    page_text(file, plan_stage_text(text_of(plan, "stage")));
    const json_t *prune = json_object_get(plan, "prune");
    if (json_is_object(prune))
        fprintf(file, ", pruned to %.0f bytes of memory (a density of %.3g)",
                number_of(prune, "max_resident"), number_of(prune, "density"));
    fprintf(file, ": %s ", text_of(plan, "error"));
    write_estimate(file, json_object_get(plan, "predicted"));
    fprintf(file, ", in about %.3g s: ", number_of(plan, "training_seconds"));
    page_text(file, text_of(plan, "why"));
    fputs(". Twice the rows would bring ", file);
    write_estimate(file, json_object_get(twice, "rows"));
    if (json_is_false(json_object_get(twice, "beyond_scatter")))
        fputs(", or no less, as errors of small runs fall by no more than they scatter", file);
    fputs(", twice the time ", file);
    write_estimate(file, json_object_get(twice, "time"));
    fputs(".", file);
    if (obtained)
        fprintf(file, " <strong>Obtained: %.4g</strong> (90&nbsp;%%: %.4g to %.4g, by %.0f rows).",
                number_of(obtained, "error"), number_of(obtained, "low"),
                number_of(obtained, "high"), number_of(obtained, "rows"));
    fputs("</p>\n", file);
}

bool plan_report_write(const char *path, const json_t *plan) {
    output to;
    if (!output_open(&to, path))
        return false;
    page_begin(to.file, "A training, planned");
    write_question(to.file, plan);
    write_answer(to.file, plan);
    write_curves(to.file, plan);
    write_candidates(to.file, plan);
    write_runs(to.file, plan);
    page_end(to.file, "Times are those of the machine that it was made on; docs/plan.md says how "
                      "forecasts are made and how good they are.");
    return output_close(&to);
}

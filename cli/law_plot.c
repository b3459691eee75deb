/* A picture is a list of series, each of runs and of a curve: one series per group, and per value of
 * the sizes that are not on the axis. gnuplot gets a script with the numbers in it on its standard
 * input and writes to a file of ours, so that the picture appears whole. */

#include "law_plot.h"
#include "output.h"
#include "printing.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERIES_MAX 8
#define STEPS      160

/* Room for what a series is called. */
#define NAME_ROOM 160

/* Width of lines and size of points, of an SVG. */
#define LINE  2
#define POINT 0.55

/* How far curves go on beyond the runs: the factor; for a density, below them. */
#define BEYOND         10.0
#define BEYOND_DENSITY 4.0

/* Colours that the colour-blind tell apart (Okabe and Ito 2008), the yellow one last. */
static const char *const colours[SERIES_MAX] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                "#56B4E9", "#E69F00", "#000000", "#F0E442"};

extern char **environ;

typedef struct series {
    uint32_t group;
    double x[RAMIFY_LAW_VARIABLES_MAX]; /* of the sizes that are not on the axis */
    double low, high;        /* of the axis, over runs that were fitted; high 0: there are none */
    double end;              /* the largest or, of a density, the smallest of all runs */
    size_t fitted, held_out; /* runs */
} series;

typedef struct picture {
    const ramify_law *law;
    double level;
    uint32_t variables, axis;
    bool density;
    series list[SERIES_MAX];
    uint32_t count, left_out;
    double least, most; /* errors of runs, and of the laws' far ends */
} picture;

static bool same_series(const picture *p, const series *a, uint32_t group, const double *x) {
    bool same = a->group == group;
    for (uint32_t v = 0; v < p->variables; v++)
        same = same && (v == p->axis || a->x[v] == x[v]);
    return same;
}

static void add_run(picture *p, uint32_t group, const double *x, double y, bool fitted) {
    uint32_t at = 0;
    while (at < p->count && !same_series(p, &p->list[at], group, x))
        at++;
    if (at == SERIES_MAX) {
        p->left_out++;
        return;
    }
    series *s = &p->list[at];
    if (at == p->count) {
        p->count++;
        *s = (series){.group = group, .low = INFINITY, .end = x[p->axis]};
        memcpy(s->x, x, p->variables * sizeof *x);
    }
    if (fitted) {
        s->low = fmin(s->low, x[p->axis]);
        s->high = fmax(s->high, x[p->axis]);
    }
    p->least = fmin(p->least, y);
    p->most = fmax(p->most, y);
    s->fitted += fitted;
    s->held_out += !fitted;
    s->end = p->density ? fmin(s->end, x[p->axis]) : fmax(s->end, x[p->axis]);
}

static void find_series(picture *p) {
    p->variables = ramify_law_variables(p->law);
    p->axis = p->variables > 1 ? 1 : 0;
    for (uint32_t v = 0; v < p->variables; v++)
        if (ramify_law_is_density(p->law, v)) {
            p->axis = v;
            p->density = true;
        }
    for (uint32_t g = 0; g < ramify_law_group_count(p->law); g++) {
        ramify_law_points points = ramify_law_points_of(p->law, g);
        for (size_t i = 0; i < points.count; i++)
            add_run(p, g, points.x + i * p->variables, points.y[i], points.fitted[i]);
    }
}

/* Where a curve begins, the end of the runs that were fitted, its own end. */
typedef struct stretch {
    double from, turn, to;
} stretch;

static stretch stretch_of(const picture *p, const series *s) {
    if (p->density)
        return (stretch){s->high, s->low, fmin(s->end, s->low / BEYOND_DENSITY)};
    return (stretch){s->low, s->high, fmax(s->end, s->high * BEYOND)};
}

static void reach_far_ends(picture *p) {
    for (uint32_t i = 0; i < p->count; i++) {
        const series *s = &p->list[i];
        double x[RAMIFY_LAW_VARIABLES_MAX];
        memcpy(x, s->x, sizeof x);
        x[p->axis] = stretch_of(p, s).to;
        ramify_law_estimate y;
        if (s->fitted == 0 || ramify_law_predict(p->law, s->group, 1, x, p->level, &y) != RAMIFY_OK)
            continue;
        p->least = fmin(p->least, isfinite(y.low) ? y.low : y.value);
        p->most = fmax(p->most, p->density && isfinite(y.high) ? y.high : y.value);
    }
}

static void append(char *text, const char *more) {
    size_t used = strlen(text);
    snprintf(text + used, NAME_ROOM - used, "%s%s", used > 0 ? ", " : "", more);
}

/* What tells a series from others: values of --by columns and of further sizes. */
static void name_series(const picture *p, const series *s, char text[NAME_ROOM]) {
    const char *value;
    text[0] = '\0';
    for (uint32_t c = 0; (value = ramify_law_group_value(p->law, s->group, c, NULL)); c++)
        append(text, value);
    for (uint32_t v = 0; v < p->variables; v++) {
        char size[NAME_ROOM];
        snprintf(size, sizeof size, "%s %.4g", ramify_law_variable(p->law, v), s->x[v]);
        if (v != p->axis)
            append(text, size);
    }
}

/* Writes a text between double quotes for gnuplot. */
static void quote(FILE *file, const char *text) {
    fputc('"', file);
    for (; *text; text++)
        fputc(*text == '"' || *text == '\\' || (unsigned char)*text < ' ' ? ' ' : *text, file);
    fputc('"', file);
}

/* What a point of a series is written as. */
typedef void point_writer(FILE *file, const char *name, const char *kind, double x,
                          const ramify_law_estimate *y);

static void write_runs(const picture *p, const series *s, bool fitted, FILE *file, const char *name,
                       point_writer *write) {
    ramify_law_points points = ramify_law_points_of(p->law, s->group);
    for (size_t i = 0; i < points.count; i++) {
        const double *x = points.x + i * p->variables;
        if (points.fitted[i] == fitted && same_series(p, s, s->group, x))
            write(file, name, fitted ? "fitted" : "held out", x[p->axis],
                  &(ramify_law_estimate){points.y[i], (double)NAN, (double)NAN});
    }
}

/* The curve, where the law has a value. */
static void write_curve(const picture *p, const series *s, double from, double to, FILE *file,
                        const char *name, point_writer *write) {
    for (int i = 0; i <= STEPS; i++) {
        double x[RAMIFY_LAW_VARIABLES_MAX];
        memcpy(x, s->x, sizeof x);
        x[p->axis] = from * pow(to / from, (double)i / STEPS);
        ramify_law_estimate y;
        if (ramify_law_predict(p->law, s->group, 1, x, p->level, &y) == RAMIFY_OK)
            write(file, name, "law", x[p->axis], &y);
    }
}

static void write_gnuplot(FILE *file, const char *name, const char *kind, double x,
                          const ramify_law_estimate *y) {
    (void)name;
    (void)kind;
    fprintf(file, "%.9g %.9g", x, y->value);
    for (int end = 0; end < 2; end++) {
        double value = end == 0 ? y->low : y->high;
        if (isfinite(value))
            fprintf(file, " %.9g", value);
        else
            fprintf(file, " NaN");
    }
    fprintf(file, "\n");
}

static void write_csv(FILE *file, const char *name, const char *kind, double x,
                      const ramify_law_estimate *y) {
    print_cell(file, name);
    fprintf(file, ",%s,%.9g,%.9g", kind, x, y->value);
    if (isfinite(y->low) && isfinite(y->high))
        fprintf(file, ",%.9g,%.9g\n", y->low, y->high);
    else
        fprintf(file, ",,\n");
}

static void write_blocks(const picture *p, uint32_t index, FILE *file) {
    const series *s = &p->list[index];
    fprintf(file, "$fitted%u << EOD\n", index);
    write_runs(p, s, true, file, "", write_gnuplot);
    fprintf(file, "EOD\n$held%u << EOD\n", index);
    write_runs(p, s, false, file, "", write_gnuplot);
    stretch ends = stretch_of(p, s);
    fprintf(file, "EOD\n$within%u << EOD\n", index);
    if (s->fitted > 0)
        write_curve(p, s, ends.from, ends.turn, file, "", write_gnuplot);
    fprintf(file, "EOD\n$beyond%u << EOD\n", index);
    if (s->fitted > 0)
        write_curve(p, s, ends.turn, ends.to, file, "", write_gnuplot);
    fprintf(file, "EOD\n");
}

/* What stands for what in a legend, in grey: points of runs, lines and band of laws. No point of it
 * lies in the picture. */
static void write_key(const picture *p, int scale, FILE *file) {
    size_t fitted = 0, held_out = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        fitted += p->list[i].fitted;
        held_out += p->list[i].held_out;
    }
    const char *const grey = "#555555";
    if (fitted > 0)
        fprintf(file, ", NaN with points pt 7 ps %.1f lc rgb \"%s\" title \"fitted runs\"",
                POINT * scale, grey);
    if (held_out > 0)
        fprintf(file, ", NaN with points pt 6 ps %.1f lc rgb \"%s\" title \"held-out runs\"",
                POINT * scale, grey);
    if (fitted == 0)
        return;
    fprintf(file, ", NaN with lines lc rgb \"%s\" lw %d dt 1 title \"law within the runs\"", grey,
            LINE * scale);
    fprintf(file, ", NaN with lines lc rgb \"%s\" lw %d dt 2 title \"law beyond them\"", grey,
            LINE * scale);
    char level[PRINTING_ROOM];
    fprintf(file,
            ", NaN with filledcurves fc rgb \"%s\" fs transparent solid 0.15 noborder title "
            "\"%s %% interval\"",
            grey, format_level(level, p->level));
}

/* Band, line and points of a series; `scale` of lines and points. */
static void write_series(const picture *p, uint32_t i, int scale, const char **comma, FILE *file) {
    const series *s = &p->list[i];
    const char *colour = colours[i];
    char name[NAME_ROOM];
    name_series(p, s, name);
    for (int part = 0; s->fitted > 0 && part < 2; part++) {
        const char *block = part == 0 ? "within" : "beyond";
        fprintf(file,
                "%s$%s%u using 1:3:4 with filledcurves fc rgb \"%s\" fs transparent solid 0.15 "
                "noborder notitle, $%s%u using 1:2 with lines lc rgb \"%s\" lw %d dt %d notitle",
                *comma, block, i, colour, block, i, colour, LINE * scale, part + 1);
        *comma = ", ";
    }
    for (int held = 0; held < 2; held++) {
        if ((held ? s->held_out : s->fitted) == 0)
            continue;
        fprintf(file, "%s$%s%u using 1:2 with points pt %d ps %.1f lc rgb \"%s\" ", *comma,
                held ? "held" : "fitted", i, held ? 6 : 7, POINT * scale, colour);
        *comma = ", ";
        if (name[0] == '\0' || (held && s->fitted > 0)) {
            fprintf(file, "notitle"); /* the key says it, or the series has its name */
            continue;
        }
        fprintf(file, "title ");
        quote(file, name);
    }
}

/* Labels of the error's axis: gnuplot's own are one per decade, which may be none. */
static void write_ticks(const picture *p, FILE *file) {
    static const double few[] = {1, 2, 5}, many[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9};
    double low = p->least / 1.08, high = p->most * 1.08;
    bool wide = high > 12 * low;
    size_t count = wide ? sizeof few / sizeof few[0] : sizeof many / sizeof many[0];
    fprintf(file, "set yrange [%.6g:%.6g]\nset ytics (", low, high);
    const char *comma = "";
    for (int decade = (int)floor(log10(low)); decade <= (int)floor(log10(high)); decade++)
        for (size_t i = 0; i < count; i++) {
            double at = (wide ? few[i] : many[i]) * pow(10, decade);
            if (at < low || at > high)
                continue;
            fprintf(file, "%s\"%.6g\" %.9g", comma, at, at);
            comma = ", ";
        }
    fprintf(file, ")\n");
}

static void write_script(const picture *p, bool svg, FILE *file) {
    fprintf(file, "set terminal %s size %s font \"Helvetica,%d\" background \"white\"\n",
            svg ? "svg" : "pngcairo", svg ? "900,560" : "1800,1120", svg ? 14 : 26);
    fprintf(file, "set logscale xy\nset datafile missing \"NaN\"\n");
    fprintf(file, "set format x \"%s\"\n", p->density ? "%g" : "10^{%T}");
    fprintf(file, "set grid xtics ytics lc rgb \"#dddddd\" lw 1 lt 1\nset border 3\n"
                  "set tics nomirror out\nset key outside right top Left reverse samplen 2 "
                  "noenhanced\nset xlabel ");
    quote(file, ramify_law_variable(p->law, p->axis));
    fprintf(file, " noenhanced\nset ylabel ");
    quote(file, ramify_law_error_name(p->law));
    fprintf(file, " noenhanced\n");
    write_ticks(p, file);
    for (uint32_t i = 0; i < p->count; i++)
        write_blocks(p, i, file);
    const char *comma = "plot ";
    for (uint32_t i = 0; i < p->count; i++)
        write_series(p, i, svg ? 1 : 2, &comma, file);
    write_key(p, svg ? 1 : 2, file);
    fprintf(file, "\n");
}

static bool ends_in(const char *path, const char *end) {
    size_t length = strlen(path), tail = strlen(end);
    return length > tail && strcmp(path + length - tail, end) == 0;
}

int law_plot_check(const char *verb, const char *path, const char *law) {
    if (!path)
        return EXIT_OK;
    if (law && (ends_in(law, ".svg") || ends_in(law, ".png")))
        return arguments_refuse(
            verb, "--output %s: a law beside a picture is not called .svg or .png", law);
    if (ends_in(path, ".svg") || ends_in(path, ".png"))
        return EXIT_OK;
    return arguments_refuse(verb, "--plot %s: a picture's name ends in .svg or .png", path);
}

/* Exit status where a program is not there, as shells have it. */
#define NOT_FOUND 127

/* Runs gnuplot on a script; its picture goes to one descriptor, what it says to another. Returns its
 * exit status, -1 with errno where it cannot be run. */
static int run_gnuplot(int script, int drawing, int words) {
    posix_spawn_file_actions_t actions;
    char name[] = "gnuplot";
    char *const argv[] = {name, NULL};
    pid_t child;
    int status = 0;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -1;
    posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, drawing, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, words, STDERR_FILENO);
    int failed = posix_spawnp(&child, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == ENOENT || failed == EACCES)
        return NOT_FOUND;
    errno = failed;
    if (failed != 0)
        return -1;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status);
}

/* The numbers, for who has no gnuplot. */
static int write_numbers(session *run, const picture *p, const char *path) {
    char name[4096];
    output to;
    struct stat there;
    if (snprintf(name, sizeof name, "%s.csv", path) >= (int)sizeof name)
        return session_error(run, "%s: the name is too long", path);
    if (stat(name, &there) == 0)
        return session_error(
            run,
            "%s: there is no gnuplot to draw it (install the package gnuplot-nox), "
            "and %s, where its numbers would go, is there already",
            path, name);
    if (!output_open(&to, name))
        return session_error(run, "%s: cannot be written (%s)", name, strerror(errno));
    fprintf(to.file, "series,kind,x,value,low,high\n");
    for (uint32_t i = 0; i < p->count; i++) {
        const series *s = &p->list[i];
        char title[NAME_ROOM];
        name_series(p, s, title);
        write_runs(p, s, true, to.file, title, write_csv);
        write_runs(p, s, false, to.file, title, write_csv);
        if (s->fitted > 0)
            write_curve(p, s, stretch_of(p, s).from, stretch_of(p, s).to, to.file, title,
                        write_csv);
    }
    if (!output_close(&to))
        return session_error(run, "%s: cannot be written (%s)", name, strerror(errno));
    return session_error(
        run,
        "%s: there is no gnuplot to draw it (install the package gnuplot-nox); its "
        "numbers are in %s",
        path, name);
}

/* The line in which gnuplot says what it does not like. */
static int complain(session *run, const char *path, FILE *words) {
    char line[200] = "";
    rewind(words);
    while (fgets(line, sizeof line, words) && !strstr(line, "line "))
        continue;
    line[strcspn(line, "\n")] = '\0';
    return session_error(run, "%s: gnuplot cannot draw it: %s", path, line);
}

/* With its temporary files open. */
static int draw(session *run, const picture *p, const char *path, FILE *script, FILE *words) {
    output to;
    write_script(p, ends_in(path, ".svg"), script);
    if (fflush(script) != 0 || lseek(fileno(script), 0, SEEK_SET) < 0)
        return session_error(run, "no temporary file (%s)", strerror(errno));
    if (!output_open(&to, path))
        return session_error(run, "%s: cannot be written (%s)", path, strerror(errno));
    int drawn = run_gnuplot(fileno(script), fileno(to.file), fileno(words));
    if (drawn == 0)
        return output_close(&to)
                   ? EXIT_OK
                   : session_error(run, "%s: cannot be written (%s)", path, strerror(errno));
    int reason = errno;
    output_abandon(&to);
    if (drawn == NOT_FOUND)
        return write_numbers(run, p, path);
    return drawn < 0 ? session_error(run, "gnuplot cannot be run (%s)", strerror(reason))
                     : complain(run, path, words);
}

int law_plot(session *run, const ramify_law *law, double level, const char *path) {
    picture p = {.law = law, .level = level, .least = INFINITY};
    find_series(&p);
    reach_far_ends(&p);
    if (p.left_out > 0)
        session_warning(run, "%s: %u run%s left out, as a picture holds %d laws or sizes", path,
                        p.left_out, p.left_out == 1 ? " is" : "s are", SERIES_MAX);
    FILE *script = tmpfile();
    FILE *words = script ? tmpfile() : NULL;
    int exit_status = words ? draw(run, &p, path, script, words)
                            : session_error(run, "no temporary file (%s)", strerror(errno));
    if (script)
        fclose(script);
    if (words)
        fclose(words);
    return exit_status;
}

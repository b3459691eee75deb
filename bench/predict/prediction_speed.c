/* How fast trained models predict, beside peers: one row at a time, and batches.
 *
 *     bench_predict [FOLDER ...] [--turns N] [--only TEXT] [--lines FILE]
 *
 * A folder is what prepare.py makes of one set; without one, those of build/bench-predict are run.
 * Models are trained and compiled there, once; here they are opened, checked and timed, one thread,
 * all in this process. (Peers that only Python reaches are timed by python_peers.py; measure_prediction.py runs
 * both and puts the tables together.)
 *
 * Before it is timed, a contender predicts the first rows one by one and as a batch, and both are
 * compared with what the peer itself says in Python; one that deviates on more than a few rows is
 * reported as wrong and not timed.
 *
 * Contenders take turns, so that what slows the machine slows all of them; a turn is:
 *
 *     single     calls for one row after another of the query rows, each timed by itself (p50, p99),
 *                less the median time between two readings of the clock with nothing in between
 *     grouped    the same calls, timed 32 at a time: the clock weighs nothing
 *     cold       single calls, before each of which 16 MiB of other memory are walked through: the
 *                model and the code have left the first and second level of the caches
 *     batches    of 1,000 and 100,000 rows, at the batch size that suits the contender; of one that
 *                needs more than half a second for the latter, as many rows as it does in that time
 *
 * What is printed is the median over turns. --only runs contenders whose name has the text; --lines
 * writes "set, contender, measure, value" for measure_prediction.py. */

#include "contender.h"
#include "peak.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONTENDERS_MOST 32
#define TURNS_MOST      64
#define LINE_BYTES      4096

#define GROUP       32
#define CALLS_MOST  4000
#define CALLS_LEAST 64
#define CALLS_TIME  0.1 /* seconds that the calls of one kind may take in a turn */
#define COLD_CALLS  100
#define COLD_BYTES  ((size_t)16 << 20)
#define SMALL_BATCH 1000
#define SLOW_BATCH  0.5 /* seconds: a large batch that would take longer is cut down to so much */

/* Rows that may deviate: those that lie on a border between two cells, or on a tree's threshold, go
 * either way by a rounding. */
#define STRAY_SHARE 0.005

typedef enum measure {
    SINGLE_P50,
    SINGLE_P99,
    GROUPED,
    COLD_P50,
    ROWS_1000,
    ROWS_100000,
    MEASURES
} measure;

static const char *const measure_names[MEASURES] = {
    [SINGLE_P50] = "single_p50", [SINGLE_P99] = "single_p99", [GROUPED] = "grouped",
    [COLD_P50] = "cold_p50",     [ROWS_1000] = "rows_1000",   [ROWS_100000] = "rows_100000",
};

typedef struct entry {
    contender c;
    bool ready;
    double call_seconds; /* about, of a single row */
    double values[MEASURES][TURNS_MOST];
    size_t counts[MEASURES];
} entry;

typedef struct set {
    char name[CONTENDER_TEXT], unit[64];
    size_t columns, rows, checked;
    float *x; /* rows x columns */
    entry entries[CONTENDERS_MOST];
    size_t count;
    char absent[CONTENDERS_MOST][CONTENDER_TEXT];
    size_t absent_count;
} set;

static const peer *const peers[] = {&peer_ramify,      &peer_bounded, &peer_lightgbm, &peer_xgboost,
                                    &peer_onnxruntime, &peer_network, &peer_trees};

static double empty_clock; /* seconds between two readings of the clock */
static unsigned char *cold_memory;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values. */
static double quantile(double *values, size_t count, double share) {
    qsort(values, count, sizeof *values, ascending);
    return values[(size_t)(share * (double)(count - 1) + 0.5)];
}

static void measure_clock(void) {
    static double times[CALLS_MOST];
    for (size_t i = 0; i < CALLS_MOST; i++) {
        double start = contender_clock();
        times[i] = contender_clock() - start;
    }
    empty_clock = quantile(times, CALLS_MOST, 0.5);
}

/* ---- the folder ------------------------------------------------------------------------------ */

static float *read_floats(const char *folder, const char *name, size_t count) {
    char path[2 * CONTENDER_TEXT];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    float *values = contender_memory(count * sizeof *values);
    FILE *file = fopen(path, "rb");
    bool whole = file && fread(values, sizeof *values, count, file) == count;
    if (file)
        fclose(file);
    if (whole)
        return values;
    fprintf(stderr, "bench_predict: %s: expected %zu numbers (run prepare.py again)\n", path,
            count);
    free(values);
    return NULL;
}

/* Puts the folder before every file of a list with commas between. */
static void join_paths(const char *folder, char *list, char *joined, size_t size) {
    size_t used = 0;
    char *rest = NULL;
    joined[0] = '\0';
    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        int wrote =
            snprintf(joined + used, size - used, "%s%s/%s", used > 0 ? "," : "", folder, name);
        if (wrote < 0 || (size_t)wrote >= size - used)
            return;
        used += (size_t)wrote;
    }
}

static const peer *find_peer(const char *kind) {
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
        if (strcmp(peers[i]->kind, kind) == 0)
            return peers[i];
    return NULL;
}

#define FIELDS_MOST 12

static size_t split_line(char *line, char *fields[FIELDS_MOST]) {
    size_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    char *rest = NULL;
    for (char *field = strtok_r(line, "\t", &rest); field && count < FIELDS_MOST;
         field = strtok_r(NULL, "\t", &rest))
        fields[count++] = field;
    return count;
}

/* name, kind, library, model, outputs, expected, tolerance, error, multiply_adds */
static bool add_contender(set *s, const char *folder, char *const *fields, const char *only) {
    const peer *driver = find_peer(fields[1]);
    if (!driver || (only && !strstr(fields[0], only)) || s->count == CONTENDERS_MOST)
        return true; /* one for python_peers.py */
    entry *e = &s->entries[s->count];
    contender *c = &e->c;
    snprintf(c->name, sizeof c->name, "%s", fields[0]);
    snprintf(c->library, sizeof c->library, "%s", fields[2]);
    join_paths(folder, fields[3], c->model, sizeof c->model);
    c->peer = driver;
    c->columns = s->columns;
    c->outputs = strtoul(fields[4], NULL, 10);
    c->rows_most = s->rows;
    c->tolerance = strtod(fields[6], NULL);
    c->error = strtod(fields[7], NULL);
    c->multiply_adds = strtod(fields[8], NULL);
    c->expected = read_floats(folder, fields[5], s->checked * c->outputs);
    if (!c->expected)
        return false;
    s->count++;
    return true;
}

static bool read_set(set *s, const char *folder, const char *only) {
    char path[2 * CONTENDER_TEXT], line[LINE_BYTES];
    snprintf(path, sizeof path, "%s/manifest.tsv", folder);
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "bench_predict: %s: %s (prepare.py makes it)\n", path, strerror(errno));
        return false;
    }
    bool good = true;
    while (good && fgets(line, sizeof line, file)) {
        char *fields[FIELDS_MOST];
        size_t count = split_line(line, fields);
        if (count == 6 && strcmp(fields[0], "set") == 0) {
            snprintf(s->name, sizeof s->name, "%s", fields[1]);
            s->columns = strtoul(fields[2], NULL, 10);
            s->rows = strtoul(fields[3], NULL, 10);
            s->checked = strtoul(fields[4], NULL, 10);
            snprintf(s->unit, sizeof s->unit, "%s", fields[5]);
            s->x = read_floats(folder, "queries.f32", s->rows * s->columns);
            good = s->x && s->rows >= SMALL_BATCH && s->checked <= s->rows;
        } else if (count == 10 && strcmp(fields[0], "contender") == 0 && s->x) {
            good = add_contender(s, folder, fields + 1, only);
        } else if (count == 3 && strcmp(fields[0], "absent") == 0 &&
                   s->absent_count < CONTENDERS_MOST) {
            snprintf(s->absent[s->absent_count++], CONTENDER_TEXT, "%.400s: absent, %.400s",
                     fields[1], fields[2]);
        }
    }
    fclose(file);
    return good && s->x;
}

/* ---- checking -------------------------------------------------------------------------------- */

static size_t outputs_off(const contender *c, size_t row, size_t at) {
    size_t off = 0;
    for (size_t j = 0; j < c->outputs; j++) {
        double expected = (double)c->expected[row * c->outputs + j];
        double found = c->peer->value(c->state, at * c->outputs + j);
        off += !(fabs(found - expected) <= c->tolerance * (1 + fabs(expected)));
    }
    return off;
}

static bool check(const set *s, contender *c) {
    size_t strays[2] = {0, 0};
    bool ran = c->peer->arrange(c, 1, s->x);
    for (size_t row = 0; ran && row < s->checked; row++) {
        ran = c->peer->predict(c->state, 1, s->x + row * s->columns);
        strays[0] += outputs_off(c, row, 0) > 0;
    }
    ran = ran && c->peer->arrange(c, s->checked, s->x) &&
          c->peer->predict(c->state, s->checked, s->x);
    for (size_t row = 0; ran && row < s->checked; row++)
        strays[1] += outputs_off(c, row, row) > 0;
    size_t most = (size_t)(STRAY_SHARE * (double)s->checked);
    if (ran && strays[0] <= most && strays[1] <= most)
        return true;
    fprintf(stderr,
            "bench_predict: %s, %s: WRONG, not timed: %zu of %zu rows deviate one by one, %zu as a "
            "batch%s%s\n",
            s->name, c->name, strays[0], s->checked, strays[1],
            ran ? "" : "; it failed: ", ran ? "" : c->note);
    return false;
}

/* ---- timing ---------------------------------------------------------------------------------- */

static void note_value(entry *e, measure what, double value) {
    if (e->counts[what] < TURNS_MOST)
        e->values[what][e->counts[what]++] = value;
}

static size_t calls_for(double seconds, size_t most) {
    double calls = CALLS_TIME / seconds;
    if (calls > (double)most)
        return most;
    return calls < CALLS_LEAST ? CALLS_LEAST : (size_t)calls;
}

/* Query rows after the ones of the turn before: a turn does not know its rows by heart. */
static const float *row_at(const set *s, size_t turn, size_t i) {
    return s->x + (turn * CALLS_MOST + i) % s->rows * s->columns;
}

static void time_single(const set *s, entry *e, size_t turn) {
    static double times[CALLS_MOST];
    contender *c = &e->c;
    size_t calls = calls_for(e->call_seconds, CALLS_MOST);
    for (size_t i = 0; i < calls; i++) {
        const float *x = row_at(s, turn, i);
        double start = contender_clock();
        c->peer->predict(c->state, 1, x);
        times[i] = contender_clock() - start - empty_clock;
    }
    note_value(e, SINGLE_P50, quantile(times, calls, 0.5));
    note_value(e, SINGLE_P99, quantile(times, calls, 0.99));
}

static void time_grouped(const set *s, entry *e, size_t turn) {
    static double times[CALLS_MOST];
    contender *c = &e->c;
    size_t groups = calls_for(e->call_seconds * GROUP, CALLS_MOST / 4);
    if (e->call_seconds * (double)(GROUP * groups) > 10 * CALLS_TIME)
        groups = 1 + (size_t)(10 * CALLS_TIME / (e->call_seconds * GROUP));
    for (size_t g = 0; g < groups; g++) {
        double start = contender_clock();
        for (size_t i = 0; i < GROUP; i++)
            c->peer->predict(c->state, 1, row_at(s, turn, g * GROUP + i));
        times[g] = (contender_clock() - start) / GROUP;
    }
    note_value(e, GROUPED, quantile(times, groups, 0.5));
}

/* One byte of every line, changed, so that the lines are this core's own. */
static void walk_cold_memory(void) {
    for (size_t at = 0; at < COLD_BYTES; at += 64)
        cold_memory[at]++;
}

static void time_cold(const set *s, entry *e, size_t turn) {
    double times[COLD_CALLS];
    contender *c = &e->c;
    for (size_t i = 0; i < COLD_CALLS; i++) {
        const float *x = row_at(s, turn, i);
        walk_cold_memory();
        double start = contender_clock();
        c->peer->predict(c->state, 1, x);
        times[i] = contender_clock() - start - empty_clock;
    }
    note_value(e, COLD_P50, quantile(times, COLD_CALLS, 0.5));
}

static void time_batch(const set *s, entry *e, measure what, size_t rows) {
    static double times[CALLS_MOST];
    contender *c = &e->c;
    if (rows > SMALL_BATCH && e->counts[ROWS_1000] > 0) {
        double enough = SLOW_BATCH * e->values[ROWS_1000][0];
        if (enough < (double)rows)
            rows = enough > SMALL_BATCH ? (size_t)enough : SMALL_BATCH;
    }
    if (!c->peer->arrange(c, rows, s->x))
        return;
    size_t calls = 0;
    double spent = 0;
    while (calls == 0 || (spent < CALLS_TIME && calls < CALLS_MOST)) {
        double start = contender_clock();
        c->peer->predict(c->state, rows, s->x);
        times[calls] = contender_clock() - start;
        spent += times[calls++];
    }
    note_value(e, what, (double)rows / quantile(times, calls, 0.5));
}

static void take_turn(const set *s, entry *e, size_t turn) {
    contender *c = &e->c;
    if (!c->peer->arrange(c, 1, s->x))
        return;
    double start = contender_clock();
    for (size_t i = 0; i < CALLS_LEAST; i++)
        c->peer->predict(c->state, 1, row_at(s, turn, i));
    e->call_seconds = (contender_clock() - start) / CALLS_LEAST;
    time_single(s, e, turn);
    time_grouped(s, e, turn);
    time_cold(s, e, turn);
    time_batch(s, e, ROWS_1000, SMALL_BATCH);
    time_batch(s, e, ROWS_100000, s->rows);
}

/* ---- printing -------------------------------------------------------------------------------- */

static double result(entry *e, measure what) {
    double values[TURNS_MOST];
    if (e->counts[what] == 0)
        return NAN;
    memcpy(values, e->values[what], e->counts[what] * sizeof *values);
    return quantile(values, e->counts[what], 0.5);
}

static void print_table(set *s, double peak) {
    printf("%-58s %8s %9s %9s %9s %9s %7s %11s %11s %7s  %s\n", s->name, "error", "single us",
           "p99 us", "grouped", "cold us", "ratio", "rows/s 1e3", "rows/s 1e5", "ratio", "");
    const entry *first = NULL;
    double single = NAN, batch = NAN;
    for (size_t i = 0; i < s->count; i++) {
        entry *e = &s->entries[i];
        if (!e->ready)
            continue;
        if (!first) {
            first = e;
            single = result(e, GROUPED);
            batch = result(e, ROWS_100000);
        }
        printf("%-58.58s %8.4g %9.3f %9.3f %9.3f %9.3f %7.2f %11.0f %11.0f %7.2f  %s\n", e->c.name,
               e->c.error, 1e6 * result(e, SINGLE_P50), 1e6 * result(e, SINGLE_P99),
               1e6 * result(e, GROUPED), 1e6 * result(e, COLD_P50), result(e, GROUPED) / single,
               result(e, ROWS_1000), result(e, ROWS_100000), batch / result(e, ROWS_100000),
               e->c.note);
    }
    for (size_t i = 0; i < s->absent_count; i++)
        printf("%s\n", s->absent[i]);
    printf("ratio: peer's time over that of the first line, grouped calls and 1e5 rows; above 1 "
           "the peer is slower\n");
    if (first && peak > 0 && first->c.multiply_adds > 0)
        printf("%s, batch of 1e5: %.1f %% of %.1f G multiply-adds/s; counted are %g per row, those "
               "of the expert's layers alone\n",
               first->c.name, 100 * batch * first->c.multiply_adds / peak, 1e-9 * peak,
               first->c.multiply_adds);
    printf("\n");
    fflush(stdout);
}

static bool write_lines(set *s, const char *path, double peak) {
    FILE *file = fopen(path, "a");
    if (!file) {
        fprintf(stderr, "bench_predict: %s: %s\n", path, strerror(errno));
        return false;
    }
    fprintf(file, "%s\t-\tpeak\t%.9g\n", s->name, peak);
    for (size_t i = 0; i < s->count; i++) {
        entry *e = &s->entries[i];
        if (!e->ready) {
            fprintf(file, "%s\t%s\tfailed\t%s\n", s->name, e->c.name, e->c.note);
            continue;
        }
        fprintf(file, "%s\t%s\tnote\t%s\n", s->name, e->c.name, e->c.note);
        for (measure m = 0; m < MEASURES; m++)
            fprintf(file, "%s\t%s\t%s\t%.9g\n", s->name, e->c.name, measure_names[m], result(e, m));
    }
    return fclose(file) == 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

typedef struct choices {
    size_t turns;
    const char *only, *lines;
} choices;

static bool run_set(const char *folder, const choices *chosen, double peak) {
    set *s = contender_memory(sizeof *s);
    bool good = read_set(s, folder, chosen->only);
    size_t count = good ? s->count : 0;
    for (size_t i = 0; i < count; i++) {
        entry *e = &s->entries[i];
        if (!e->c.peer->open(&e->c)) {
            printf("%s, %s: absent, %s\n", s->name, e->c.name, e->c.note);
            continue;
        }
        e->ready = check(s, &e->c);
        good = e->ready && good;
    }
    for (size_t turn = 0; turn < chosen->turns; turn++)
        for (size_t i = 0; i < count; i++)
            if (s->entries[i].ready)
                take_turn(s, &s->entries[i], turn);
    if (count > 0)
        print_table(s, peak);
    if (count > 0 && chosen->lines)
        good = write_lines(s, chosen->lines, peak) && good;
    for (size_t i = 0; i < s->count; i++) {
        s->entries[i].c.peer->close(&s->entries[i].c);
        free(s->entries[i].c.expected);
    }
    free(s->x);
    free(s);
    return good;
}

/* The folders that prepare.py makes unless told otherwise. */
static size_t find_folders(const char *folders[CONTENDERS_MOST]) {
    static const char *const usual[] = {
        "build/bench-predict/8-64-64-1",
        "build/bench-predict/kin40k",
        "build/bench-predict/protein",
        "build/bench-predict/letter",
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        char path[CONTENDER_TEXT];
        struct stat about;
        snprintf(path, sizeof path, "%s/manifest.tsv", usual[i]);
        if (stat(path, &about) == 0)
            folders[count++] = usual[i];
    }
    return count;
}

int main(int argc, char **argv) {
    choices chosen = {.turns = 3};
    const char *folders[CONTENDERS_MOST];
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;
        if (strcmp(argv[i], "--help") == 0) {
            puts("usage: bench_predict [--turns N] [--only NAME] [--lines FILE] [FOLDER ...]");
            return 0;
        }
        if (value && strcmp(argv[i], "--turns") == 0)
            chosen.turns = strtoul(argv[++i], NULL, 10);
        else if (value && strcmp(argv[i], "--only") == 0)
            chosen.only = argv[++i];
        else if (value && strcmp(argv[i], "--lines") == 0)
            chosen.lines = argv[++i];
        else if (argv[i][0] != '-' && count < CONTENDERS_MOST)
            folders[count++] = argv[i];
        else {
            fprintf(stderr, "bench_predict: %s: not understood\n", argv[i]);
            return 2;
        }
    }
    if (chosen.turns < 1 || chosen.turns > TURNS_MOST) {
        fprintf(stderr, "bench_predict: --turns takes 1 to %d\n", TURNS_MOST);
        return 2;
    }
    if (count == 0)
        count = find_folders(folders);
    if (count == 0) {
        puts("bench_predict: no models to time yet: bench/predict/prepare.py makes them, with the "
             "packages of bench/requirements.txt");
        return 0;
    }
    const char *instructions;
    double peak = peak_multiply_adds(&instructions);
    cold_memory = contender_memory(COLD_BYTES);
    measure_clock();
    printf("peak of one core, %s: %.1f G multiply-adds/s; reading the clock: %.0f ns\n\n",
           instructions, 1e-9 * peak, 1e9 * empty_clock);
    bool good = true;
    for (size_t i = 0; i < count; i++)
        good = run_set(folders[i], &chosen, peak) && good;
    free(cold_memory);
    return good ? 0 : 1;
}

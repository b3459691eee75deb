/* A model larger than its memory bound, predicted under the bound.
 *
 *     bench_residency [--model FILE] [--levels N] [--resident MIB] [--rows N] [--tool FILE]
 *
 * FILE is grove.ramify and the tool is ramify, both beside this program, if they are not named. The
 * exit status is 1 when a run failed or held more than it may.
 *
 * Makes FILE if it is not there, which needs its size in memory, once: 8^N experts of 19,776 bytes;
 * N = 4: 4,096 of them, 82 MB (the default, with 1 MiB allowed); N = 6: 262,144, 5.2 GB. Then it
 * predicts traces of rows, each in a process of its own:
 *
 *     uniform    every expert as likely as any other
 *     zipf       the k-th favourite with a probability proportional to 1/k
 *     sorted     in the order of the file
 *
 * by three roads: one row at a time, pieces of 4,096 rows, and a table at once. "growth" is how far
 * the peak of the process's resident set grew beyond that of the same process before it opened the
 * model; it must stay below the bound and 2 MiB. "cold" runs begin with none of the file in the
 * page cache; a file that fits there comes from it again within such a run, and is then not compared
 * with the device. The device's own speed is measured in the same run: reads of one expert at random
 * places and of 1 MiB in sequence, both past the page cache (O_DIRECT). */

#define _GNU_SOURCE /* O_DIRECT */

#include "grove.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE_ROWS 4096
#define SLACK      ((uint64_t)2 << 20) /* code, stacks and heap beside the model */

typedef enum road { ONE_ROW, PIECES, TABLE } road;
static const char *const road_names[] = {"one row at a time", "pieces of 4096", "table at once"};

typedef enum trace { UNIFORM, ZIPF, SORTED } trace;
static const char *const trace_names[] = {"uniform", "zipf", "sorted"};

typedef struct setting {
    const char *tool, *path;
    uint32_t levels;
    uint64_t resident; /* bytes */
    size_t rows;
    uint64_t expert_bytes, node_bytes;
    double random_reads; /* per second */
    bool cached;         /* the file fits the page cache */
} setting;

typedef struct run {
    road road;
    trace trace;
    bool cold, limited; /* limited: address space, too */
    ramify_access access;
} run;

typedef struct result {
    double seconds, open_seconds, first_seconds;
    uint64_t growth; /* bytes */
    ramify_residency residency;
    char message[256]; /* not empty: it failed */
} result;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "bench_residency: %s\n", what);
    exit(1);
}

/* A line "NAME:  N kB" of /proc/self/status, in bytes. */
static uint64_t status_bytes(const char *name) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kilobytes = 0;
    size_t length = strlen(name);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            kilobytes = strtoull(line + length + 1, NULL, 10);
    if (file)
        fclose(file);
    return kilobytes << 10;
}

/* Lets the peak of the resident set start anew (Linux 4.0). */
static void reset_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        die("/proc/self/clear_refs cannot be written: no peak can be measured");
}

static void drop_pages(const char *path) {
    int file = open(path, O_RDONLY);
    if (file < 0 || fsync(file) != 0 || posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0)
        die("the file's pages cannot be dropped");
    close(file);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static float *make_rows(const setting *s, trace kind) {
    uint32_t experts = grove_experts(s->levels);
    float *rows = malloc(s->rows * GROVE_COLUMNS * sizeof *rows);
    uint32_t *leaf = malloc(s->rows * sizeof *leaf), *favourite = malloc(experts * sizeof *leaf);
    double *sum = malloc(experts * sizeof *sum);
    if (!rows || !leaf || !favourite || !sum)
        die("out of memory");
    ramify_random random = ramify_random_stream(2, RAMIFY_PURPOSE_SHUFFLE, kind, 0);
    for (uint32_t i = 0; i < experts; i++) {
        favourite[i] = i;
        sum[i] = (i > 0 ? sum[i - 1] : 0) + 1.0 / (i + 1);
    }
    ramify_random_shuffle(&random, favourite, experts);
    for (size_t i = 0; i < s->rows; i++) {
        leaf[i] = (uint32_t)ramify_random_below(&random, experts);
        if (kind != ZIPF)
            continue;
        double u = ramify_random_uniform(&random) * sum[experts - 1];
        uint32_t low = 0, high = experts - 1;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (sum[middle] < u)
                low = middle + 1;
            else
                high = middle;
        }
        leaf[i] = favourite[low];
    }
    if (kind == SORTED)
        qsort(leaf, s->rows, sizeof *leaf, ascending);
    for (size_t i = 0; i < s->rows; i++)
        grove_row(s->levels, leaf[i], rows + i * GROVE_COLUMNS);
    free(leaf);
    free(favourite);
    free(sum);
    return rows;
}

static ramify_status predict(const setting *s, const run *how, ramify_context *context,
                             ramify_model *model, const float *x, double *y, float *y_floats,
                             result *out) {
    ramify_predictor *predictor = NULL;
    ramify_table *table = NULL;
    ramify_status status = RAMIFY_OK;
    double began = now();
    if (how->road == TABLE) {
        status = ramify_table_from_floats(context, x, s->rows, GROVE_COLUMNS, GROVE_COLUMNS, NULL,
                                          &table);
        if (status == RAMIFY_OK)
            status = ramify_predict_table(context, model, table, y);
    } else {
        size_t piece = how->road == PIECES ? PIECE_ROWS : 1;
        status = ramify_predictor_create(context, model, piece, &predictor);
        for (size_t first = 0; first < s->rows && status == RAMIFY_OK; first += piece) {
            size_t count = s->rows - first < piece ? s->rows - first : piece;
            status = ramify_predict(predictor, count, x + first * GROVE_COLUMNS, GROVE_COLUMNS,
                                    y_floats + first, 1);
            if (first == 0)
                out->first_seconds = now() - began;
        }
    }
    out->seconds = now() - began;
    ramify_table_destroy(&table);
    ramify_predictor_destroy(&predictor);
    return status;
}

static result measure(const setting *s, const run *how) {
    result out = {0};
    float *x = make_rows(s, how->trace);
    double *y = calloc(s->rows, sizeof *y);
    float *y_floats = calloc(s->rows, sizeof *y_floats);
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.threads = 1;
    ramify_context *context = NULL;
    if (!y || !y_floats || ramify_context_create(&options, &context) != RAMIFY_OK)
        die("out of memory");
    memset(y, 1, s->rows * sizeof *y);
    memset(y_floats, 1, s->rows * sizeof *y_floats);
    if (how->cold)
        drop_pages(s->path);
    reset_peak();
    uint64_t before = status_bytes("VmHWM");
    if (how->limited) {
        uint64_t most = status_bytes("VmSize") + s->resident + SLACK;
        struct rlimit limit = {most, most};
        if (setrlimit(RLIMIT_AS, &limit) != 0)
            die("the address space cannot be limited");
    }
    ramify_open_options open_options;
    ramify_open_options_init(&open_options);
    open_options.access = how->access;
    open_options.resident_bytes = s->resident;
    ramify_model *model = NULL;
    double began = now();
    ramify_status status = ramify_open(context, s->path, &open_options, &model);
    out.open_seconds = now() - began;
    if (status == RAMIFY_OK)
        status = predict(s, how, context, model, x, y, y_floats, &out);
    if (status != RAMIFY_OK)
        snprintf(out.message, sizeof out.message, "%s", ramify_message(context));
    else
        ramify_model_get_residency(model, &out.residency);
    out.growth = status_bytes("VmHWM") - before;
    ramify_close(&model);
    ramify_context_destroy(&context);
    return out;
}

/* In a process of its own. */
static result measure_apart(const setting *s, const run *how) {
    int ends[2];
    result out = {0};
    if (pipe(ends) != 0)
        die("no pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        die("no process");
    if (child == 0) {
        out = measure(s, how);
        _exit(write(ends[1], &out, sizeof out) == (ssize_t)sizeof out ? 0 : 1);
    }
    close(ends[1]);
    int status;
    bool whole = read(ends[0], &out, sizeof out) == (ssize_t)sizeof out;
    close(ends[0]);
    if (waitpid(child, &status, 0) != child || status != 0 || !whole)
        die("a run ended badly");
    return out;
}

/* False when it failed, or held more than it may. */
static bool print_run(const setting *s, const run *how) {
    result r = measure_apart(s, how);
    printf("%-8s %-4s %-18s %-5s", trace_names[how->trace], how->cold ? "cold" : "warm",
           road_names[how->road], how->access == RAMIFY_ACCESS_MMAP ? "mmap" : "read");
    if (r.message[0]) {
        printf(" failed: %s\n", r.message);
        return false;
    }
    /* Misses are of nodes and of experts, which have two sizes: two equations. */
    double experts =
        ((double)r.residency.bytes_read - (double)r.residency.misses * (double)s->node_bytes) /
        (double)(s->expert_bytes - s->node_bytes);
    double rows = (double)s->rows;
    printf(" %9.0f rows/s %6.3f experts read a row %6.1f MB/s", rows / r.seconds, experts / rows,
           1e-6 * (double)r.residency.bytes_read / r.seconds);
    if (how->cold && !s->cached)
        printf(" %5.2f of the device's reads", experts / r.seconds / s->random_reads);
    printf("  growth %5.2f MiB%s%s\n", (double)r.growth / 1048576.0,
           how->limited ? ", address space limited" : "",
           r.growth < s->resident + SLACK ? "" : "  MORE THAN ALLOWED");
    return r.growth < s->resident + SLACK;
}

/* Reads past the page cache: pieces of `bytes` at random multiples, or in sequence. Per second. */
static double device_reads(const setting *s, size_t bytes, bool random_places) {
    int file = open(s->path, O_RDONLY | O_DIRECT);
    void *memory = NULL;
    struct stat about;
    if (file < 0 || fstat(file, &about) != 0 || posix_memalign(&memory, 4096, bytes) != 0)
        die("the file cannot be read past the page cache");
    ramify_random random = ramify_random_stream(3, RAMIFY_PURPOSE_SHUFFLE, 0, 0);
    uint64_t places = (uint64_t)about.st_size / bytes, done = 0;
    places = places > 0 ? places : 1;
    double began = now(), seconds = 0;
    while (seconds < 2) {
        uint64_t place = random_places ? ramify_random_below(&random, places) : done % places;
        if (pread(file, memory, bytes, (off_t)(place * bytes)) < 0)
            die("the file cannot be read past the page cache");
        done++;
        seconds = now() - began;
    }
    free(memory);
    close(file);
    return (double)done / seconds;
}

/* Wall time and peak memory of `TOOL info --json FILE`. */
static void print_info(const setting *s) {
    drop_pages(s->path);
    for (int turn = 0; turn < 2; turn++) {
        double began = now();
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            if (freopen("/dev/null", "w", stdout))
                execl(s->tool, s->tool, "info", s->path, "--json", (char *)NULL);
            _exit(127);
        }
        int status;
        struct rusage usage;
        if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
            printf("info: %s cannot be run; see --tool\n", s->tool);
            return;
        }
        printf("info, %s: %.1f ms, peak %.1f MiB\n", turn == 0 ? "cold" : "warm",
               1e3 * (now() - began), (double)usage.ru_maxrss / 1024.0);
    }
}

/* Opening, and the first row's prediction after it. */
static void print_load(const setting *s) {
    for (int way = 0; way < 4; way++) {
        setting one = *s;
        one.rows = 1;
        one.resident = way % 2 == 0 ? 0 : s->resident;
        run how = {
            .road = ONE_ROW, .trace = UNIFORM, .cold = way < 2, .access = RAMIFY_ACCESS_READ};
        result r = measure_apart(&one, &how);
        printf(
            "%s, %-10s opened in %6.0f us, first row after %6.0f us\n", how.cold ? "cold" : "warm",
            one.resident ? "bounded:" : "no bound:", 1e6 * r.open_seconds, 1e6 * r.first_seconds);
    }
}

static void describe(setting *s) {
    ramify_context *context = NULL;
    ramify_model *model = NULL;
    if (ramify_context_create(NULL, &context) != RAMIFY_OK)
        die("out of memory");
    struct stat about;
    if (stat(s->path, &about) != 0) {
        printf("making %s\n", s->path);
        if (grove_write(context, s->levels, s->path) != RAMIFY_OK)
            die(ramify_message(context));
    }
    if (ramify_open(context, s->path, NULL, &model) != RAMIFY_OK)
        die(ramify_message(context));
    ramify_model_info info;
    ramify_model_get_info(model, &info);
    s->expert_bytes = info.module_bytes;
    s->node_bytes = s->levels > 0 ? info.path_bytes / s->levels : 0;
    printf("%llu experts of %llu bytes, nodes of %llu, a file of %.2f GB; %.1f MiB allowed, one "
           "row needs %.1f KiB\n",
           (unsigned long long)info.modules, (unsigned long long)s->expert_bytes,
           (unsigned long long)s->node_bytes, 1e-9 * (double)info.file_bytes,
           (double)s->resident / 1048576.0, (double)info.resident_bytes / 1024.0);
    ramify_close(&model);
    ramify_context_destroy(&context);
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    s->cached = info.file_bytes < memory;
    size_t read = (s->expert_bytes + 4095) / 4096 * 4096;
    s->random_reads = device_reads(s, read, true);
    printf("device: %.0f random reads of %zu bytes a second (%.0f MB/s), %.0f MB/s in sequence\n",
           s->random_reads, read, 1e-6 * s->random_reads * (double)read,
           1.048576 * device_reads(s, 1 << 20, false));
    if (s->cached)
        printf(
            "the file fits this machine's memory: what a cold run reads again comes from there\n");
}

static uint64_t number(const char *text, uint64_t least, uint64_t most) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end != '\0' || end == text || *text == '-' || value < least || value > most)
        die("expected are --levels 0 to 8, --resident 1 to 1048576 (MiB) and --rows from 1 on");
    return value;
}

/* "FOLDER/NAME", where FOLDER is that of the program. Not given back. */
static char *beside(const char *program, const char *name) {
    const char *slash = strrchr(program, '/');
    int folder = slash ? (int)(slash - program) + 1 : 0;
    size_t room = (size_t)folder + strlen(name) + 1;
    char *path = malloc(room);
    if (!path)
        die("out of memory");
    snprintf(path, room, "%.*s%s", folder, program, name);
    return path;
}

int main(int argc, char **argv) {
    static const char usage[] =
        "usage: bench_residency [--model FILE] [--levels N] [--resident MIB] [--rows N] [--tool "
        "FILE]";
    setting s = {.tool = beside(argv[0], "ramify"),
                 .path = beside(argv[0], "grove.ramify"),
                 .levels = 4,
                 .resident = (uint64_t)1 << 20,
                 .rows = 50000};
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            puts(usage);
            return 0;
        }
        if (i + 1 == argc)
            die(usage);
        if (strcmp(argv[i], "--tool") == 0)
            s.tool = argv[i + 1];
        else if (strcmp(argv[i], "--model") == 0)
            s.path = argv[i + 1];
        else if (strcmp(argv[i], "--levels") == 0)
            s.levels = (uint32_t)number(argv[i + 1], 0, 8);
        else if (strcmp(argv[i], "--resident") == 0)
            s.resident = number(argv[i + 1], 1, 1 << 20) << 20;
        else if (strcmp(argv[i], "--rows") == 0)
            s.rows = number(argv[i + 1], 1, UINT32_MAX);
        else
            die(usage);
    }
    bool good = true;
    describe(&s);
    print_info(&s);
    print_load(&s);
    for (trace kind = UNIFORM; kind <= SORTED; kind++)
        for (road way = ONE_ROW; way <= TABLE; way++)
            for (int cold = 1; cold >= 0; cold--)
                good &= print_run(&s, &(run){.road = way, .trace = kind, .cold = cold});
    good &= print_run(&s, &(run){.road = ONE_ROW, .trace = ZIPF, .access = RAMIFY_ACCESS_MMAP});
    good &= print_run(&s, &(run){.road = TABLE, .trace = UNIFORM, .access = RAMIFY_ACCESS_MMAP});
    good &= print_run(&s, &(run){.road = ONE_ROW, .trace = UNIFORM, .limited = true});
    good &= print_run(&s, &(run){.road = TABLE, .trace = UNIFORM, .limited = true});
    if (!good)
        die("a run failed or held more than it may");
    return 0;
}

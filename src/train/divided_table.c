/* Reading a table for a training by several ranks: one that is small enough is read whole by each of them; of
 * one that is to be divided each reads its own rows, and all learn what the columns are. */

#include "cluster.h"
#include "crc32c.h"
#include "divided_rows.h"
#include "divided_tree.h"
#include "memory.h"
#include "parts.h"
#include "status.h"
#include "summary.h"
#include "train_rows.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Places of a file at which ranks compare what they see, and bytes there. */
#define PROBES      16
#define PROBE_BYTES 4096

typedef struct reading {
    ramify_context *context;
    const char *path;
    const ramify_train_options *options;
    uint32_t rank, ranks;
    ramify_parts *parts;
    uint64_t rows;  /* of the file */
    size_t *offset; /* ranks + 1 */
} reading;

static bool may_divide(const ramify_train_options *options) {
    return (strcmp(options->kind, "pathways") == 0 || strcmp(options->kind, "mlp") == 0) &&
           !options->time;
}

/* ---- whether all see the same file ---- */

/* Its size and some of its bytes: what differs between copies, most likely. 0: cannot be told. */
static uint64_t print_of(const char *path) {
    char bytes[PROBE_BYTES];
    struct stat about;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint64_t print = 0;
    if (file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        uint32_t crc = 0;
        for (int i = 0; i < PROBES; i++) {
            const off_t at = about.st_size / PROBES * i;
            const ssize_t got = pread(file, bytes, sizeof bytes, at);
            crc = got > 0 ? ramify_crc32c(crc, bytes, (size_t)got) : crc;
        }
        print = ramify_crc32c(crc, &about.st_size, sizeof about.st_size) | UINT64_C(1) << 32;
    }
    if (file >= 0)
        close(file);
    return print;
}

/* ---- whose rows are where ---- */

/* Where each rank's range of bytes begins: begin[ranks], with the rows and lines before it. */
static ramify_status count_rows(reading *r, ramify_place *begin) {
    ramify_part_count own;
    uint64_t from, to;
    ramify_part_count *counts = ramify_allocate(r->context, r->ranks, sizeof *counts);
    if (!counts)
        return RAMIFY_ERROR_MEMORY;
    ramify_parts_range(r->parts, r->rank, r->ranks, &from, &to);
    ramify_status status = ramify_parts_count(r->parts, from, to, &own);
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather(r->context, &own, sizeof own, counts);
    ramify_place at = ramify_parts_first(r->parts);
    for (uint32_t k = 0; status == RAMIFY_OK && k < r->ranks; k++) {
        ramify_parts_range(r->parts, k, r->ranks, &at.offset, &to);
        begin[k] = at;
        at.row += counts[k].rows;
        at.line += counts[k].lines;
    }
    r->rows = at.row;
    ramify_release(r->context, counts);
    return status;
}

/* The place of this rank's first row. Who has counted a range finds the rows in it that others begin
 * with. */
static ramify_status find_place(const reading *r, const ramify_place *begin, ramify_place *place) {
    uint64_t *found = ramify_allocate_zeroed(r->context, r->ranks, 3 * sizeof *found);
    if (!found)
        return RAMIFY_ERROR_MEMORY;
    const uint64_t end = r->rank + 1 < r->ranks ? begin[r->rank + 1].row : r->rows;
    ramify_status status = RAMIFY_OK;
    for (uint32_t k = 0; status == RAMIFY_OK && k < r->ranks; k++) {
        uint64_t first, count;
        ramify_place at;
        ramify_divided_range(r->rows, r->ranks, k, &first, &count);
        if (count == 0 || first < begin[r->rank].row || first >= end)
            continue;
        status = ramify_parts_seek(r->parts, &begin[r->rank], first, &at);
        if (status == RAMIFY_OK) {
            found[3 * k] = at.offset;
            found[3 * k + 1] = at.row;
            found[3 * k + 2] = at.line;
        }
    }
    if (status == RAMIFY_OK)
        status = ramify_cluster_sum(r->context, found, 3 * (size_t)r->ranks);
    const uint64_t *own = found + 3 * (size_t)r->rank;
    *place = (ramify_place){.offset = own[0], .row = own[1], .line = own[2]};
    ramify_release(r->context, found);
    return status;
}

/* ---- what the columns are ---- */

static ramify_status agree_on_kinds(const reading *r, ramify_table *table, const void *report,
                                    size_t size) {
    const size_t columns = ramify_parts_head(r->parts)->column_count;
    void *all = NULL;
    ramify_part_kind *kinds = ramify_allocate(r->context, columns, sizeof *kinds);
    ramify_status status =
        kinds ? ramify_cluster_gather_uneven(r->context, report, size, &all, r->offset)
              : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = ramify_parts_merge(r->parts, all, r->offset, r->ranks, kinds);
    if (status == RAMIFY_OK)
        status = ramify_parts_adopt(r->parts, kinds, table);
    ramify_release(r->context, kinds);
    ramify_release(r->context, all);
    return status;
}

/* The table's own texts are numbered as those of the whole one, whose summary it then has. */
static ramify_status summarise(const reading *r, ramify_table *table) {
    const ramify_schema_request request = ramify_train_schema_request(r->options);
    ramify_summary *own = NULL;
    void *packed = NULL, *all = NULL;
    size_t size;
    ramify_status status = ramify_summary_create(r->context, table, &request, &own);
    if (status == RAMIFY_OK)
        status = ramify_summary_pack(r->context, own, &packed, &size);
    ramify_summary_destroy(r->context, &own);
    if (status == RAMIFY_OK)
        status = ramify_cluster_gather_uneven(r->context, packed, size, &all, r->offset);
    if (status == RAMIFY_OK)
        status = ramify_summary_merge(r->context, table, all, r->offset, r->ranks, &table->whole);
    if (status == RAMIFY_OK)
        status = ramify_summary_recode(r->context, table->whole, table);
    ramify_release(r->context, packed);
    ramify_release(r->context, all);
    return status;
}

static ramify_status read_part(reading *r, const ramify_place *begin, ramify_table **table) {
    uint64_t first, count;
    ramify_place from;
    void *report = NULL;
    size_t size = 0;
    ramify_table *made = NULL;
    RAMIFY_TRY(find_place(r, begin, &from));
    ramify_divided_range(r->rows, r->ranks, r->rank, &first, &count);
    if (count == 0)
        from = ramify_parts_first(r->parts);
    /* A failure is in the report: which of several comes first, all find together. */
    ramify_parts_read(r->parts, &from, (size_t)count, &made, &report, &size);
    ramify_status status = agree_on_kinds(r, made, report, size);
    ramify_release(r->context, report);
    if (status == RAMIFY_OK)
        status = summarise(r, made);
    if (status == RAMIFY_OK) {
        made->all_rows = r->rows;
        *table = made;
    } else {
        ramify_table_destroy(&made);
    }
    return status;
}

/* *table stays NULL where the table is to be read whole. */
static ramify_status read_divided(reading *r, const ramify_table_options *options,
                                  ramify_table **table) {
    RAMIFY_TRY(ramify_parts_open(r->context, r->path, options, NULL, &r->parts));
    if (!ramify_parts_divisible(r->parts, NULL))
        return RAMIFY_OK;
    ramify_place *begin = ramify_allocate(r->context, r->ranks, sizeof *begin);
    r->offset = ramify_allocate(r->context, (size_t)r->ranks + 1, sizeof *r->offset);
    ramify_status status = begin && r->offset ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = count_rows(r, begin);
    if (status == RAMIFY_OK)
        status = ramify_parts_check_rows(r->parts, r->rows);
    const size_t columns = ramify_parts_head(r->parts)->column_count;
    if (status == RAMIFY_OK && r->rows > ramify_divided_node_rows(r->options, columns))
        status = read_part(r, begin, table);
    ramify_release(r->context, begin);
    return status;
}

ramify_status ramify_table_read_for_training(ramify_context *context, const char *path,
                                             const ramify_table_options *options,
                                             const ramify_train_options *training,
                                             ramify_table **table) {
    ramify_clear(context);
    *table = NULL;
    reading r = {.context = context,
                 .path = path,
                 .options = training,
                 .rank = ramify_cluster_rank(context),
                 .ranks = ramify_cluster_size(context)};
    const char *reason = NULL;
    ramify_status status = RAMIFY_OK;
    ramify_cluster_phase(context, "reading");
    if (r.ranks > 1 && strcmp(path, "-") != 0)
        status = ramify_cluster_agree(context, print_of(path), path);
    if (status == RAMIFY_OK && r.ranks > 1 && may_divide(training) && strcmp(path, "-") != 0)
        status = read_divided(&r, options, table);
    if (status == RAMIFY_OK && r.ranks > 1 && strcmp(path, "-") == 0)
        status = ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                             "standard input is not there for all of %u processes: name a file",
                             r.ranks);
    if (status == RAMIFY_OK && !*table) {
        status = ramify_table_read_for_schema(context, path, options, NULL, table);
        if (status == RAMIFY_OK && r.parts && !ramify_parts_divisible(r.parts, &reason) &&
            (*table)->rows > ramify_divided_node_rows(training, (*table)->column_count))
            ramify_log(context, RAMIFY_LOG_WARNING,
                       "%s: %s, so every rank holds all of it: give it as plain CSV or NPY for "
                       "each to hold its part",
                       path, reason);
    }
    if (status == RAMIFY_OK)
        (*table)->for_training = true;
    ramify_parts_close(&r.parts);
    ramify_release(context, r.offset);
    return ramify_cluster_tell(context, status);
}

#include "same_inputs.h"
#include "cluster.h"
#include "crc32c.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes that are compared at either end. */
#define ENDS ((size_t)65536)
/* Rows of a table that are compared at either end. */
#define END_ROWS 64

/* What ranks compare. */
typedef struct fingerprint {
    uint64_t size; /* bytes or rows */
    uint32_t columns, crc;
} fingerprint;

/* unit: what sizes are counted in. */
static ramify_status compare(ramify_context *context, const char *name, const char *unit,
                             const fingerprint *own) {
    uint32_t ranks = ramify_cluster_size(context), other = 1;
    fingerprint *all = ramify_allocate(context, ranks, sizeof *all);
    if (!all)
        return RAMIFY_ERROR_MEMORY;
    ramify_cluster_phase(context, "comparing inputs");
    ramify_status status = ramify_cluster_gather(context, own, sizeof *own, all);
    while (status == RAMIFY_OK && other < ranks && memcmp(&all[other], &all[0], sizeof *all) == 0)
        other++;
    if (status == RAMIFY_OK && other < ranks && all[other].size != all[0].size)
        status = ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                             "%s: has %llu %s on rank %u and %llu on rank 0: give all ranks the "
                             "same",
                             name, (unsigned long long)all[other].size, unit, other,
                             (unsigned long long)all[0].size);
    else if (status == RAMIFY_OK && other < ranks)
        status = ramify_fail(context, RAMIFY_ERROR_CLUSTER,
                             "%s: differs between rank %u and rank 0: give all ranks the same",
                             name, other);
    ramify_release(context, all);
    return status;
}

ramify_status ramify_same_model(ramify_context *context, const ramify_model *model) {
    const ramify_source *source = &model->source;
    if (ramify_cluster_size(context) == 1)
        return RAMIFY_OK;
    size_t count = source->size < ENDS ? (size_t)source->size : ENDS;
    unsigned char *bytes = ramify_allocate(context, ENDS, 1);
    if (!bytes)
        return RAMIFY_ERROR_MEMORY;
    fingerprint own = {.size = source->size};
    ramify_status status = ramify_source_read(context, source, 0, count, bytes);
    if (status == RAMIFY_OK) {
        own.crc = ramify_crc32c(0, bytes, count);
        status = ramify_source_read(context, source, source->size - count, count, bytes);
    }
    if (status == RAMIFY_OK)
        own.crc = ramify_crc32c(own.crc, bytes, count);
    ramify_release(context, bytes);
    RAMIFY_TRY(status);
    return compare(context, source->name, "bytes", &own);
}

static uint32_t crc_of_row(const ramify_table *table, size_t row, uint32_t crc) {
    for (size_t c = 0; c < table->column_count; c++) {
        const ramify_column *column = &table->columns[c];
        if (column->text && column->codes[row] != RAMIFY_TEXT_MISSING) {
            const char *text = column->texts[column->codes[row]];
            crc = ramify_crc32c(crc, text, strlen(text));
        } else if (!column->text) {
            double value = ramify_column_value(column, row);
            crc = ramify_crc32c(crc, &value, sizeof value);
        }
    }
    return crc;
}

ramify_status ramify_same_table(ramify_context *context, const ramify_table *table) {
    if (ramify_cluster_size(context) == 1)
        return RAMIFY_OK;
    fingerprint own = {.size = table->rows, .columns = (uint32_t)table->column_count};
    size_t count = ramify_smaller(table->rows, END_ROWS);
    for (size_t i = 0; i < count; i++) {
        own.crc = crc_of_row(table, i, own.crc);
        own.crc = crc_of_row(table, table->rows - 1 - i, own.crc);
    }
    return compare(context, table->source, "rows", &own);
}

static ramify_status read_at(ramify_context *context, const char *path, int file, uint64_t at,
                             unsigned char *bytes, size_t count, fingerprint *own) {
    size_t got = 0;
    while (got < count) {
        ssize_t part = pread(file, bytes + got, count - got, (off_t)(at + got));
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return ramify_fail_io(context, path, "be read", errno);
        if (part == 0)
            break;
        got += (size_t)part;
    }
    own->crc = ramify_crc32c(own->crc, bytes, got);
    return RAMIFY_OK;
}

static ramify_status read_ends(ramify_context *context, const char *path, int file,
                               fingerprint *own) {
    struct stat about;
    if (fstat(file, &about) != 0)
        return ramify_fail_io(context, path, "be read", errno);
    if (!S_ISREG(about.st_mode))
        return ramify_fail(context, RAMIFY_ERROR_IO,
                           "%s: is no plain file, which several processes could read: write it to "
                           "one",
                           path);
    own->size = (uint64_t)about.st_size;
    unsigned char *bytes = ramify_allocate(context, ENDS, 1);
    if (!bytes)
        return RAMIFY_ERROR_MEMORY;
    size_t count = own->size < ENDS ? (size_t)own->size : ENDS;
    ramify_status status = read_at(context, path, file, 0, bytes, count, own);
    if (status == RAMIFY_OK)
        status = read_at(context, path, file, own->size - count, bytes, count, own);
    ramify_release(context, bytes);
    return status;
}

ramify_status ramify_same_file(ramify_context *context, const char *path) {
    if (ramify_cluster_size(context) == 1)
        return RAMIFY_OK;
    if (strcmp(path, "-") == 0)
        return ramify_fail(context, RAMIFY_ERROR_ARGUMENT,
                           "standard input: cannot be read by several processes: write the table "
                           "to a file");
    int file;
    do
        file = open(path, O_RDONLY | O_CLOEXEC);
    while (file < 0 && errno == EINTR);
    if (file < 0)
        return ramify_fail(context, RAMIFY_ERROR_IO, "%s: cannot be opened (%s)", path,
                           strerror(errno));
    fingerprint own = {0};
    ramify_status status = read_ends(context, path, file, &own);
    close(file);
    RAMIFY_TRY(status);
    return compare(context, path, "bytes", &own);
}

/* A file is cut into parts of few bytes. Text is first counted: each rank counts the lines of the parts that
 * it will read, and all learn of all, so that everybody knows the number of every part's first row. */

#include "rank_parts.h"
#include "cluster.h"
#include "memory.h"
#include "status.h"

#include <string.h>

/* What all ranks read in one turn: a share of the file, and bytes, of text at least and at most. */
#define SHARE           20
#define ARRAY_BYTES_MAX ((uint64_t)32 << 20)
#define TEXT_BYTES_MAX  ((uint64_t)16 << 20)
#define TEXT_BYTES_MIN  ((uint64_t)64 << 10)
/* Rows of an array's part are a multiple of this: whole pieces (dispatch.h) and blocks of scores. */
#define ARRAY_ROWS 1024

struct ramify_rank_parts {
    ramify_context *context;
    const ramify_schema *schema;
    ramify_parts *parts;
    uint32_t rank, ranks;
    uint64_t rows; /* of the file */
    size_t turns, turn, most;
    ramify_place *places; /* turns x ranks + 1: where parts begin, the end last */
    uint64_t *unseen;     /* columns of the schema */

    ramify_table *table;
    ramify_match *match;

    /* Reports that have told what columns are, and what they told; in the order of parts. */
    ramify_part_kind *kinds, *known; /* columns of the file */
    unsigned char *told;
    size_t *told_offset; /* told_count + 1 */
    size_t told_count;
    bool begun;
};

/* Parts of an array are known without being looked at. */
static ramify_status place_rows(ramify_rank_parts *p, uint64_t rows, size_t each) {
    size_t count = p->turns * p->ranks;
    for (size_t i = 0; i <= count; i++) {
        uint64_t row = (uint64_t)i * each < rows ? (uint64_t)i * each : rows;
        ramify_place first = ramify_parts_first(p->parts);
        p->places[i] = (ramify_place){.offset = first.offset, .row = row};
        if (row < rows)
            RAMIFY_TRY(ramify_parts_seek(p->parts, &first, row, &p->places[i]));
    }
    return RAMIFY_OK;
}

/* Counts this rank's parts of a text; counts[ranks x turns] of all ranks. */
static ramify_status count_lines(ramify_rank_parts *p, ramify_part_count *own,
                                 ramify_part_count *counts) {
    const uint32_t all = (uint32_t)(p->turns * p->ranks);
    for (size_t turn = 0; turn < p->turns; turn++) {
        uint64_t begin, end;
        ramify_parts_range(p->parts, (uint32_t)(turn * p->ranks + p->rank), all, &begin, &end);
        RAMIFY_TRY(ramify_parts_count(p->parts, begin, end, &own[turn]));
    }
    ramify_cluster_phase(p->context, "counts of rows");
    return ramify_cluster_gather(p->context, own, p->turns * sizeof *own, counts);
}

static void place_lines(ramify_rank_parts *p, const ramify_part_count *counts) {
    const uint32_t all = (uint32_t)(p->turns * p->ranks);
    ramify_place at = ramify_parts_first(p->parts);
    for (uint32_t i = 0; i < all; i++) {
        uint64_t end;
        ramify_parts_range(p->parts, i, all, &at.offset, &end);
        p->places[i] = at;
        const ramify_part_count *count = &counts[i % p->ranks * p->turns + i / p->ranks];
        at.row += count->rows;
        at.line += count->lines;
    }
    p->places[all] = at;
}

static ramify_status cut_text(ramify_rank_parts *p) {
    uint64_t bytes = ramify_parts_size(p->parts) - ramify_parts_first(p->parts).offset;
    uint64_t each = bytes / SHARE / p->ranks;
    uint64_t most = TEXT_BYTES_MAX / p->ranks;
    each = each < most ? each : most;
    each = each > TEXT_BYTES_MIN ? each : TEXT_BYTES_MIN;
    p->turns = (size_t)(bytes / (each * p->ranks) + 1);
    size_t all = p->turns * p->ranks;
    p->places = ramify_allocate(p->context, all + 1, sizeof *p->places);
    ramify_part_count *counts = ramify_allocate(p->context, all + p->turns, sizeof *counts);
    ramify_status status = p->places && counts ? RAMIFY_OK : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = count_lines(p, counts + all, counts);
    if (status == RAMIFY_OK)
        place_lines(p, counts);
    ramify_release(p->context, counts);
    return status;
}

static ramify_status cut_array(ramify_rank_parts *p, uint64_t row_bytes) {
    uint64_t rows = (ramify_parts_size(p->parts) - ramify_parts_first(p->parts).offset) / row_bytes;
    uint64_t each = ARRAY_BYTES_MAX / p->ranks / row_bytes, share = rows / SHARE / p->ranks;
    each = each < share ? each : share;
    each = each > ARRAY_ROWS ? each / ARRAY_ROWS * ARRAY_ROWS : ARRAY_ROWS;
    uint64_t turn = each * p->ranks;
    p->turns = rows > turn ? (size_t)((rows + turn - 1) / turn) : 1;
    p->places = ramify_allocate(p->context, p->turns * p->ranks + 1, sizeof *p->places);
    return p->places ? place_rows(p, rows, (size_t)each) : RAMIFY_ERROR_MEMORY;
}

static ramify_status cut(ramify_rank_parts *p) {
    uint64_t row_bytes = ramify_parts_row_bytes(p->parts);
    RAMIFY_TRY(row_bytes > 0 ? cut_array(p, row_bytes) : cut_text(p));
    p->rows = p->places[p->turns * p->ranks].row;
    for (size_t turn = 0; turn < p->turns; turn++) {
        const ramify_place *at = &p->places[turn * p->ranks + p->rank];
        p->most = ramify_larger(p->most, (size_t)(at[1].row - at->row));
    }
    size_t columns = ramify_parts_head(p->parts)->column_count;
    p->unseen = ramify_allocate_zeroed(p->context, p->schema->column_count, sizeof *p->unseen);
    p->kinds = ramify_allocate_zeroed(p->context, columns, sizeof *p->kinds);
    p->known = ramify_allocate_zeroed(p->context, columns, sizeof *p->known);
    p->told_offset = ramify_allocate_zeroed(p->context, 1, sizeof *p->told_offset);
    if (!p->unseen || !p->kinds || !p->known || !p->told_offset)
        return RAMIFY_ERROR_MEMORY;
    return ramify_parts_check_rows(p->parts, p->rows);
}

ramify_status ramify_rank_parts_open(ramify_context *context, const char *path,
                                     const ramify_table_options *options,
                                     const ramify_schema *schema, ramify_rank_parts **parts) {
    *parts = NULL;
    ramify_rank_parts *made = ramify_allocate_zeroed(context, 1, sizeof *made);
    if (!made)
        return RAMIFY_ERROR_MEMORY;
    made->context = context;
    made->schema = schema;
    made->rank = ramify_cluster_rank(context);
    made->ranks = ramify_cluster_size(context);
    ramify_status status = ramify_parts_open(context, path, options, schema, &made->parts);
    bool divisible = status == RAMIFY_OK && ramify_parts_divisible(made->parts, NULL);
    if (divisible)
        status = cut(made);
    if (divisible && status == RAMIFY_OK)
        *parts = made;
    else
        ramify_rank_parts_close(&made);
    return status;
}

static void drop_part(ramify_rank_parts *p) {
    ramify_match_destroy(p->context, &p->match);
    ramify_table_destroy(&p->table);
}

void ramify_rank_parts_close(ramify_rank_parts **parts) {
    if (!parts || !*parts)
        return;
    ramify_rank_parts *p = *parts;
    ramify_context *context = p->context;
    *parts = NULL;
    drop_part(p);
    ramify_parts_close(&p->parts);
    ramify_release(context, p->places);
    ramify_release(context, p->unseen);
    ramify_release(context, p->kinds);
    ramify_release(context, p->known);
    ramify_release(context, p->told);
    ramify_release(context, p->told_offset);
    ramify_release(context, p);
}

const ramify_table *ramify_rank_parts_head(const ramify_rank_parts *parts) {
    return ramify_parts_head(parts->parts);
}

uint64_t ramify_rank_parts_rows(const ramify_rank_parts *parts) {
    return parts->rows;
}

size_t ramify_rank_parts_turns(const ramify_rank_parts *parts) {
    return parts->turns;
}

size_t ramify_rank_parts_most(const ramify_rank_parts *parts) {
    return parts->most;
}

/* Adds the turn's reports behind those that are kept. */
static ramify_status add_reports(ramify_rank_parts *p, const unsigned char *reports,
                                 const size_t *offset) {
    size_t kept = p->told_offset[p->told_count];
    unsigned char *told = ramify_reallocate(p->context, p->told, kept + offset[p->ranks], 1);
    if (!told)
        return RAMIFY_ERROR_MEMORY;
    p->told = told;
    size_t *offsets = ramify_reallocate(p->context, p->told_offset, p->told_count + p->ranks + 1,
                                        sizeof *offsets);
    if (!offsets)
        return RAMIFY_ERROR_MEMORY;
    p->told_offset = offsets;
    if (offset[p->ranks] > 0)
        memcpy(told + kept, reports, offset[p->ranks]);
    for (uint32_t r = 1; r <= p->ranks; r++)
        offsets[p->told_count + r] = kept + offset[r];
    p->told_count += p->ranks;
    return RAMIFY_OK;
}

/* Columns of this turn's parts against all that were read. Reports that told nothing new are then
 * forgotten, so that what is kept does not grow with the file. */
static ramify_status merge(ramify_rank_parts *p, const unsigned char *reports,
                           const size_t *offset) {
    const size_t columns = ramify_parts_head(p->parts)->column_count, before = p->told_count;
    RAMIFY_TRY(add_reports(p, reports, offset));
    RAMIFY_TRY(ramify_parts_merge(p->parts, p->told, p->told_offset, p->told_count, p->kinds));
    if (p->begun && memcmp(p->kinds, p->known, columns * sizeof *p->kinds) == 0)
        p->told_count = before;
    memcpy(p->known, p->kinds, columns * sizeof *p->kinds);
    p->begun = true;
    return RAMIFY_OK;
}

static ramify_status exchange_reports(ramify_rank_parts *p, const void *report, size_t size) {
    void *reports = NULL;
    size_t *offset = ramify_allocate(p->context, (size_t)p->ranks + 1, sizeof *offset);
    if (!offset)
        return RAMIFY_ERROR_MEMORY;
    ramify_cluster_phase(p->context, "kinds of columns");
    ramify_status status = ramify_cluster_gather_uneven(p->context, report, size, &reports, offset);
    if (status == RAMIFY_OK)
        status = merge(p, reports, offset);
    ramify_release(p->context, reports);
    ramify_release(p->context, offset);
    return status;
}

ramify_status ramify_rank_parts_next(ramify_rank_parts *parts, bool need_targets,
                                     const ramify_match **match, uint64_t *first) {
    ramify_rank_parts *p = parts;
    const ramify_place *at = &p->places[p->turn++ * p->ranks + p->rank];
    const size_t rows = (size_t)(at[1].row - at->row);
    ramify_place from = *at; /* of text, inside the last line of the part before */
    void *report = NULL;
    size_t size = 0;
    drop_part(p);
    if (rows > 0)
        RAMIFY_TRY(ramify_parts_seek(p->parts, at, at->row, &from));
    /* A failure is in the report: which of several comes first, all find together. */
    ramify_parts_read(p->parts, &from, rows, &p->table, &report, &size);
    ramify_status status = exchange_reports(p, report, size);
    ramify_release(p->context, report);
    RAMIFY_TRY(status);
    RAMIFY_TRY(ramify_parts_adopt(p->parts, p->kinds, p->table));
    RAMIFY_TRY(ramify_match_create_part(p->context, p->schema, p->table, need_targets, p->unseen,
                                        &p->match));
    *match = p->match;
    *first = at->row;
    return RAMIFY_OK;
}

ramify_status ramify_rank_parts_warn(ramify_rank_parts *parts) {
    ramify_cluster_phase(parts->context, "counts of rows");
    RAMIFY_TRY(ramify_cluster_sum(parts->context, parts->unseen, parts->schema->column_count));
    ramify_match_warn_unseen(parts->context, parts->schema, ramify_parts_head(parts->parts)->source,
                             parts->unseen, parts->rows);
    return RAMIFY_OK;
}

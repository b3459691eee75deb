/* What readers of parts tell one another about columns and failures, and what it makes together.
 *
 * The reader of a whole file stops at the first cell that is not what the column's first one was. The
 * reader of a part knows the first cell of its part alone; where another kind of cell stands in an
 * earlier part, it is that first cell at which the whole file's reader would have stopped. Of all such
 * places, and those where parts failed for themselves, the first in the file is the failure. */

#include "memory.h"
#include "parts_build.h"
#include "status.h"

/* ---- writing ---- */

void ramify_report_begin(ramify_bytes *report, const ramify_report_failure *failure,
                         size_t columns) {
    uint64_t count = columns;
    ramify_bytes_put(report, failure, sizeof *failure);
    const char *sentence = failure->status ? ramify_message(report->context) : "";
    ramify_bytes_put_text(report, sentence, strlen(sentence));
    ramify_bytes_put(report, &count, sizeof count);
}

void ramify_report_column(ramify_bytes *report, ramify_part_kind kind, uint64_t line,
                          const ramify_csv_odd *odd) {
    uint8_t about[3] = {(uint8_t)kind, odd && odd->infinite, odd && odd->decimal_comma};
    ramify_bytes_put(report, about, sizeof about);
    ramify_bytes_put(report, &line, sizeof line);
    if (kind == RAMIFY_PART_TEXTS)
        ramify_bytes_put_text(report, odd ? odd->excerpt : "", odd ? strlen(odd->excerpt) : 0);
}

/* ---- reading ---- */

typedef struct report_head {
    ramify_report_failure failure;
    const char *sentence;
    size_t length;
    uint64_t columns;
} report_head;

/* The same of one column; odd.line is that of its first cell of any kind. */
typedef struct report_column {
    ramify_part_kind kind;
    ramify_csv_odd odd;
} report_column;

static report_head get_head(ramify_bytes_reader *reader) {
    report_head head;
    ramify_bytes_get(reader, &head.failure, sizeof head.failure);
    head.sentence = ramify_bytes_text(reader, &head.length);
    ramify_bytes_get(reader, &head.columns, sizeof head.columns);
    reader->bad = reader->bad || head.failure.status > RAMIFY_ERROR_CLUSTER;
    return head;
}

static report_column get_column(ramify_bytes_reader *reader) {
    report_column column = {0};
    uint8_t about[3];
    ramify_bytes_get(reader, about, sizeof about);
    ramify_bytes_get(reader, &column.odd.line, sizeof column.odd.line);
    reader->bad = reader->bad || about[0] > RAMIFY_PART_TEXTS;
    column.kind = reader->bad ? RAMIFY_PART_MISSING : (ramify_part_kind)about[0];
    column.odd.infinite = about[1];
    column.odd.decimal_comma = about[2];
    if (column.kind != RAMIFY_PART_TEXTS)
        return column;
    size_t length;
    const char *text = ramify_bytes_text(reader, &length);
    reader->bad = reader->bad || length >= sizeof column.odd.excerpt;
    if (!reader->bad)
        memcpy(column.odd.excerpt, text, length);
    return column;
}

static ramify_bytes_reader open_report(const void *reports, const size_t *offset, size_t part) {
    const uint8_t *bytes = reports;
    return (ramify_bytes_reader){.at = bytes + offset[part],
                                 .end = bytes + offset[part + 1],
                                 .bad = offset[part] > offset[part + 1]};
}

/* ---- merging ---- */

/* The failure that comes first in the file, of those seen so far. */
typedef struct first_failure {
    bool any;
    uint64_t major, minor;
    size_t part; /* whose sentence or cell it is */
    bool odd;    /* a cell's, and no sentence: of column minor */
} first_failure;

/* Of two at one place the first noted stays: that a cell does not agree with others comes before what
 * is wrong with the cell itself. */
static void note(first_failure *first, uint64_t major, uint64_t minor, size_t part, bool odd) {
    bool before = major != first->major ? major < first->major : minor < first->minor;
    if (!first->any || before)
        *first =
            (first_failure){.any = true, .major = major, .minor = minor, .part = part, .odd = odd};
}

typedef struct merger {
    const ramify_parts *parts;
    const void *reports;
    const size_t *offset; /* part_count + 1 */
    size_t part_count;
    ramify_part_kind *kinds; /* columns */
    size_t *text_part; /* columns; the part whose first cell is the file's, of columns of texts */
    bool *comma;       /* columns; that cell looks like a number with a decimal comma */
    first_failure first;
} merger;

static ramify_status fail_unreadable(const ramify_parts *parts) {
    return ramify_fail(parts->context, RAMIFY_ERROR_FORMAT,
                       "%s: what another process tells of its part cannot be read (are all of one "
                       "version?)",
                       parts->name);
}

static ramify_status merge_part(merger *m, size_t part) {
    size_t columns = m->parts->text.table->column_count;
    ramify_bytes_reader reader = open_report(m->reports, m->offset, part);
    if (reader.at == reader.end)
        return ramify_fail(m->parts->context, RAMIFY_ERROR_MEMORY,
                           "%s: there is no memory to read part %zu of %zu", m->parts->name,
                           part + 1, m->part_count);
    report_head head = get_head(&reader);
    if (reader.bad || (head.columns != 0 && head.columns != columns) ||
        (head.columns == 0 && head.failure.status == RAMIFY_OK))
        return fail_unreadable(m->parts);
    for (size_t c = 0; c < head.columns; c++) {
        report_column column = get_column(&reader);
        if (column.kind == RAMIFY_PART_MISSING)
            continue;
        if (m->kinds[c] == RAMIFY_PART_MISSING) {
            m->kinds[c] = column.kind;
            m->text_part[c] = part;
            m->comma[c] = column.odd.decimal_comma;
        } else if (m->kinds[c] != column.kind) {
            bool text = column.kind == RAMIFY_PART_TEXTS;
            note(&m->first, column.odd.line, c, text ? part : m->text_part[c], true);
        }
    }
    if (reader.bad || reader.at != reader.end)
        return fail_unreadable(m->parts);
    const ramify_report_failure *failure = &head.failure;
    /* A number after texts: the sentence is about the first text, which may be another part's. */
    bool odd = failure->status != RAMIFY_OK && failure->mixed && failure->minor < columns &&
               m->kinds[failure->minor] == RAMIFY_PART_TEXTS;
    if (failure->status != RAMIFY_OK)
        note(&m->first, failure->major, failure->minor, odd ? m->text_part[failure->minor] : part,
             odd);
    return RAMIFY_OK;
}

/* Fails with the sentence of the first failure. */
static ramify_status fail_first(const merger *m) {
    const ramify_parts *parts = m->parts;
    ramify_bytes_reader reader = open_report(m->reports, m->offset, m->first.part);
    report_head head = get_head(&reader);
    ramify_clear(parts->context);
    if (m->first.odd) {
        report_column column = {0};
        for (size_t c = 0; c <= m->first.minor; c++)
            column = get_column(&reader);
        return ramify_csv_fail_mixed(&parts->text, parts->schema, (size_t)m->first.minor,
                                     &column.odd);
    }
    return ramify_fail(parts->context, (ramify_status)head.failure.status, "%.*s",
                       head.length < INT32_MAX ? (int)head.length : INT32_MAX, head.sentence);
}

static ramify_status merge(merger *m) {
    const ramify_table *table = m->parts->text.table;
    memset(m->kinds, 0, table->column_count * sizeof *m->kinds);
    for (size_t p = 0; p < m->part_count; p++)
        RAMIFY_TRY(merge_part(m, p));
    if (m->first.any)
        return fail_first(m);
    for (size_t c = 0; c < table->column_count; c++)
        if (m->kinds[c] == RAMIFY_PART_TEXTS && m->comma[c])
            ramify_csv_warn_of_comma(table, c);
    return RAMIFY_OK;
}

ramify_status ramify_parts_merge(const ramify_parts *parts, const void *reports,
                                 const size_t *offset, size_t count, ramify_part_kind *kinds) {
    size_t columns = parts->text.table->column_count;
    merger m = {
        .parts = parts, .reports = reports, .offset = offset, .part_count = count, .kinds = kinds};
    m.text_part = ramify_allocate(parts->context, columns, sizeof *m.text_part);
    m.comma = ramify_allocate(parts->context, columns, sizeof *m.comma);
    ramify_status status = m.text_part && m.comma ? merge(&m) : RAMIFY_ERROR_MEMORY;
    ramify_release(parts->context, m.text_part);
    ramify_release(parts->context, m.comma);
    return status;
}

ramify_status ramify_parts_adopt(const ramify_parts *parts, const ramify_part_kind *kinds,
                                 ramify_table *table) {
    ramify_budget budget = ramify_budget_make(parts->context, parts->name, table->memory_bytes);
    for (size_t c = 0; c < table->column_count; c++) {
        ramify_column *column = &table->columns[c];
        if (kinds[c] != RAMIFY_PART_TEXTS || column->text)
            continue;
        const void *values = column->values;
        RAMIFY_TRY(ramify_table_make_text(table, &budget, c));
        ramify_table_disown(table, values);
        column->values = NULL;
        budget.used -= table->rows * (uint64_t)sizeof(double);
        table->memory_bytes = budget.used;
    }
    return RAMIFY_OK;
}

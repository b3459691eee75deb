/* Summaries of parts: as bytes, and merged. A summary is, in bytes: rows and columns; of each column its
 * flags, then its numbers, texts with their counts, and classes, as the flags say. */

#include "build.h"
#include "bytes.h"
#include "memory.h"
#include "status.h"
#include "summary.h"

#include <inttypes.h>

/* Flags of a column. */
enum {
    HAS_ANY = 1,
    HAS_MISSING = 2,
    IS_WHOLE = 4,
    IS_RISING = 8,
    IS_FALLING = 16,
    HAS_TEXTS = 32,
    HAS_COUNTS = 64,
    HAS_CLASSES = 128,
    HAS_MORE_CLASSES = 256
};

/* ---- writing ---- */

static void pack_column(ramify_bytes *bytes, const ramify_summary_column *s) {
    uint16_t flags =
        (uint16_t)((s->any ? HAS_ANY : 0) | (s->missing ? HAS_MISSING : 0) |
                   (s->whole ? IS_WHOLE : 0) | (s->rising ? IS_RISING : 0) |
                   (s->falling ? IS_FALLING : 0) | (s->text_count > 0 ? HAS_TEXTS : 0) |
                   (s->counts ? HAS_COUNTS : 0) | (s->classes ? HAS_CLASSES : 0) |
                   (s->more_classes ? HAS_MORE_CLASSES : 0));
    const double numbers[] = {s->low, s->high, s->first, s->last};
    ramify_bytes_put(bytes, &flags, sizeof flags);
    ramify_bytes_put(bytes, numbers, sizeof numbers);
    if (s->text_count > 0)
        ramify_bytes_put(bytes, &s->text_count, sizeof s->text_count);
    for (uint32_t i = 0; i < s->text_count; i++) {
        ramify_bytes_put_text(bytes, s->texts[i], strlen(s->texts[i]));
        if (s->counts)
            ramify_bytes_put(bytes, &s->counts[i], sizeof *s->counts);
    }
    if (s->classes) {
        ramify_bytes_put(bytes, &s->class_count, sizeof s->class_count);
        ramify_bytes_put(bytes, s->classes, s->class_count * sizeof *s->classes);
    }
}

ramify_status ramify_summary_pack(ramify_context *context, const ramify_summary *summary,
                                  void **bytes, size_t *size) {
    ramify_bytes written = {.context = context};
    uint64_t counts[] = {summary->rows, summary->column_count};
    ramify_bytes_put(&written, counts, sizeof counts);
    for (size_t c = 0; c < summary->column_count; c++)
        pack_column(&written, &summary->columns[c]);
    if (written.failed) {
        ramify_release(context, written.bytes);
        return RAMIFY_ERROR_MEMORY;
    }
    *bytes = written.bytes;
    *size = written.size;
    return RAMIFY_OK;
}

/* ---- merging ---- */

typedef struct merger {
    ramify_context *context;
    ramify_budget budget;
    size_t part_count;
    ramify_bytes_reader *readers; /* part_count */
    uint64_t *rows;               /* part_count */
    ramify_summary *summary;
} merger;

/* The texts of one column while they are merged. */
typedef struct text_merger {
    ramify_dictionary dictionary;
    uint32_t *counts; /* room */
    uint32_t room;
} text_merger;

static ramify_status add_text(merger *m, text_merger *t, const char *text, size_t length,
                              uint32_t count) {
    uint32_t code, known = t->dictionary.count;
    RAMIFY_TRY(
        ramify_dictionary_code(&t->dictionary, m->summary->texts, &m->budget, text, length, &code));
    if (code >= t->room) {
        uint32_t room = t->dictionary.capacity;
        uint32_t *counts = ramify_reallocate(m->context, t->counts, room, sizeof *counts);
        if (!counts)
            return RAMIFY_ERROR_MEMORY;
        t->counts = counts;
        t->room = room;
    }
    t->counts[code] = (code == known ? 0 : t->counts[code]) + count;
    return RAMIFY_OK;
}

static ramify_status merge_texts(merger *m, ramify_bytes_reader *reader, bool counted,
                                 text_merger *t) {
    uint32_t texts;
    ramify_bytes_get(reader, &texts, sizeof texts);
    for (uint32_t i = 0; i < texts && !reader->bad; i++) {
        size_t length;
        uint32_t count = 0;
        const char *text = ramify_bytes_text(reader, &length);
        if (counted)
            ramify_bytes_get(reader, &count, sizeof count);
        if (!reader->bad)
            RAMIFY_TRY(add_text(m, t, text, length, count));
    }
    return RAMIFY_OK;
}

static ramify_status merge_classes(const merger *m, ramify_bytes_reader *reader,
                                   ramify_summary_column *s) {
    uint32_t count;
    ramify_bytes_get(reader, &count, sizeof count);
    if (!s->classes) {
        s->classes = ramify_allocate(m->context, RAMIFY_CLASSES_MAX, sizeof *s->classes);
        if (!s->classes)
            return RAMIFY_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < count && !reader->bad; i++) {
        double value;
        ramify_bytes_get(reader, &value, sizeof value);
        if (!reader->bad && !s->more_classes)
            ramify_summary_add_class(s, value);
    }
    return RAMIFY_OK;
}

/* Adds the numbers of a part that has rows; `first`: of the first such part. */
static void merge_numbers(unsigned flags, const double numbers[4], bool first,
                          ramify_summary_column *s) {
    double low = numbers[0], high = numbers[1];
    bool any = flags & HAS_ANY;
    s->rising = (flags & IS_RISING) && (first || (s->rising && numbers[2] > s->last));
    s->falling = (flags & IS_FALLING) && (first || (s->falling && numbers[2] < s->last));
    s->whole = (flags & IS_WHOLE) && (first || s->whole);
    s->missing = s->missing || flags & HAS_MISSING;
    if (any && (!s->any || low < s->low))
        s->low = low;
    if (any && (!s->any || high > s->high))
        s->high = high;
    s->any = s->any || any;
    s->first = first ? numbers[2] : s->first;
    s->last = numbers[3];
}

/* Adds what one part tells of a column. */
static ramify_status merge_part(merger *m, size_t p, bool first, ramify_summary_column *s,
                                text_merger *texts) {
    ramify_bytes_reader *reader = &m->readers[p];
    uint16_t flags;
    double numbers[4];
    ramify_bytes_get(reader, &flags, sizeof flags);
    ramify_bytes_get(reader, numbers, sizeof numbers);
    if (m->rows[p] > 0)
        merge_numbers(flags, numbers, first, s);
    s->more_classes = s->more_classes || flags & HAS_MORE_CLASSES;
    if (flags & HAS_TEXTS)
        RAMIFY_TRY(merge_texts(m, reader, flags & HAS_COUNTS, texts));
    return flags & HAS_CLASSES ? merge_classes(m, reader, s) : RAMIFY_OK;
}

static ramify_status merge_column(merger *m, const ramify_table *table, size_t c) {
    ramify_summary_column *s = &m->summary->columns[c];
    text_merger texts = {0};
    bool first = true;
    ramify_status status = RAMIFY_OK;
    for (size_t p = 0; p < m->part_count && status == RAMIFY_OK; p++) {
        status = merge_part(m, p, first, s, &texts);
        first = first && m->rows[p] == 0;
    }
    bool fits = texts.dictionary.count == 0 || table->columns[c].text;
    if (status == RAMIFY_OK && table->columns[c].text) {
        ramify_column *column = &m->summary->texts->columns[c];
        ramify_dictionary_finish(&texts.dictionary, m->context, column, NULL);
        s->texts = column->texts;
        s->text_count = column->text_count;
        s->counts = texts.counts;
        texts.counts = NULL;
    }
    ramify_dictionary_destroy(&texts.dictionary, m->context);
    ramify_release(m->context, texts.counts);
    for (size_t p = 0; p < m->part_count; p++)
        fits = fits && !m->readers[p].bad;
    if (status != RAMIFY_OK || fits)
        return status;
    return ramify_fail(m->context, RAMIFY_ERROR_FORMAT,
                       "%s: what another process tells of column \"%s\" cannot be read (are all of "
                       "one version?)",
                       table->source, table->columns[c].name);
}

static ramify_status merge(merger *m, const ramify_table *table, const uint8_t *blocks,
                           const size_t *offset) {
    uint64_t rows = 0;
    bool good = true;
    for (size_t p = 0; p < m->part_count; p++) {
        ramify_bytes_reader *reader = &m->readers[p];
        uint64_t counts[2];
        *reader = (ramify_bytes_reader){.at = blocks + offset[p],
                                        .end = blocks + offset[p + 1],
                                        .bad = offset[p] > offset[p + 1]};
        ramify_bytes_get(reader, counts, sizeof counts);
        m->rows[p] = counts[0];
        good = good && !reader->bad && counts[1] == table->column_count &&
               counts[0] <= RAMIFY_ROWS_MAX - rows;
        rows += good ? counts[0] : 0;
    }
    m->summary->rows = rows;
    RAMIFY_TRY(ramify_table_copy_names(table, &m->summary->texts));
    for (size_t c = 0; c < table->column_count && good; c++)
        RAMIFY_TRY(merge_column(m, table, c));
    for (size_t p = 0; p < m->part_count; p++)
        good = good && m->readers[p].at == m->readers[p].end;
    if (good)
        return RAMIFY_OK;
    return ramify_fail(m->context, RAMIFY_ERROR_FORMAT,
                       "%s: what another process tells of its part cannot be read (are all of one "
                       "version?)",
                       table->source);
}

ramify_status ramify_summary_merge(ramify_context *context, const ramify_table *table,
                                   const void *blocks, const size_t *offset, size_t count,
                                   ramify_summary **summary) {
    merger m = {.context = context,
                .budget = ramify_budget_make(context, table->source, table->memory_bytes),
                .part_count = count};
    ramify_status status = ramify_summary_create_empty(context, table->column_count, 0, &m.summary);
    m.readers = ramify_allocate(context, count, sizeof *m.readers);
    m.rows = ramify_allocate(context, count, sizeof *m.rows);
    if (!m.readers || !m.rows)
        status = RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK)
        status = merge(&m, table, blocks, offset);
    ramify_release(context, m.readers);
    ramify_release(context, m.rows);
    if (status == RAMIFY_OK)
        *summary = m.summary;
    else
        ramify_summary_destroy(context, &m.summary);
    return status;
}

/* ---- codes ---- */

/* Fills the dictionary of a column with the whole table's texts, and finds the part's among them. */
static ramify_status map_texts(const ramify_summary_column *whole, ramify_table *part, size_t c,
                               ramify_budget *budget, ramify_dictionary *dictionary,
                               uint32_t *codes /* text_count of the part */) {
    const ramify_column *column = &part->columns[c];
    uint32_t code;
    for (uint32_t i = 0; i < whole->text_count; i++)
        RAMIFY_TRY(ramify_dictionary_code(dictionary, part, budget, whole->texts[i],
                                          strlen(whole->texts[i]), &code));
    for (uint32_t i = 0; i < column->text_count; i++)
        RAMIFY_TRY(ramify_dictionary_code(dictionary, part, budget, column->texts[i],
                                          strlen(column->texts[i]), &codes[i]));
    if (dictionary->count == whole->text_count)
        return RAMIFY_OK;
    return ramify_fail(part->context, RAMIFY_ERROR_FORMAT,
                       "%s: column \"%s\" has texts that the parts' summary does not have",
                       part->source, column->name);
}

static ramify_status recode(const ramify_summary_column *whole, ramify_table *part, size_t c,
                            ramify_budget *budget) {
    ramify_column *column = &part->columns[c];
    ramify_dictionary dictionary = {0};
    uint32_t *codes = ramify_allocate(part->context, column->text_count, sizeof *codes);
    ramify_status status =
        codes ? map_texts(whole, part, c, budget, &dictionary, codes) : RAMIFY_ERROR_MEMORY;
    if (status == RAMIFY_OK) {
        for (size_t r = 0; r < part->rows; r++)
            if (column->codes[r] != RAMIFY_TEXT_MISSING)
                column->codes[r] = codes[column->codes[r]];
        ramify_release(part->context, column->texts);
        ramify_dictionary_finish(&dictionary, part->context, column, column->codes);
    }
    ramify_dictionary_destroy(&dictionary, part->context);
    ramify_release(part->context, codes);
    return status;
}

ramify_status ramify_summary_recode(ramify_context *context, const ramify_summary *summary,
                                    ramify_table *part) {
    ramify_budget budget = ramify_budget_make(context, part->source, part->memory_bytes);
    ramify_status status = RAMIFY_OK;
    for (size_t c = 0; c < part->column_count && status == RAMIFY_OK; c++)
        if (part->columns[c].text)
            status = recode(&summary->columns[c], part, c, &budget);
    part->memory_bytes = budget.used;
    return status;
}

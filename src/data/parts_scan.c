/* Counting and finding rows in text without cutting it into cells: a row is a line that is not empty.
 *
 * Most pieces of most files hold no line that could be empty; in these, line ends are counted many at a
 * time. The others, and the one where a row is looked for, are walked through byte by byte at the
 * beginnings of lines. */

#include "memory.h"
#include "parts_build.h"
#include "progress.h"
#include "status.h"

#include <inttypes.h>

/* Bytes that are read at once: they stay in a cache. */
#define BLOCK_BYTES ((size_t)256 << 10)

/* Bytes of a piece: whole vectors, and few enough for counts of one byte each. */
#define PIECE_BYTES 240

/* Where the scan stands in its line. */
typedef enum scan_state {
    SCAN_INSIDE, /* behind the first byte that makes it a row, or before the first line */
    SCAN_BLANK,  /* only blanks so far */
    SCAN_RETURN, /* blanks, and a carriage return */
    SCAN_DONE
} scan_state;

typedef struct scan {
    char delimiter;
    uint64_t end;    /* lines that begin from here on do not count */
    uint64_t target; /* rows to pass; the scan is done where the next one begins */
    scan_state state;
    uint64_t start; /* where the line begins, if it is not known to be a row */
    uint64_t rows, lines;
    bool found; /* that row; it begins at `start` */
} scan;

static bool is_blank(const scan *s, char byte) {
    return byte == ' ' || (byte == '\t' && s->delimiter != '\t');
}

static void begin_line(scan *s, uint64_t offset) {
    s->state = offset < s->end ? SCAN_BLANK : SCAN_DONE;
    s->lines += offset < s->end;
    s->start = offset;
}

/* The line is no empty one. */
static void begin_row(scan *s) {
    s->found = s->rows == s->target;
    s->state = s->found ? SCAN_DONE : SCAN_INSIDE;
    s->rows += s->found ? 0 : 1;
}

/* Walks through bytes[size] at `offset`. */
static void walk(scan *s, const char *bytes, size_t size, uint64_t offset) {
    for (size_t i = 0; i < size && s->state != SCAN_DONE;) {
        if (s->state == SCAN_INSIDE) {
            const char *stop = memchr(bytes + i, '\n', size - i);
            if (!stop)
                return;
            i = (size_t)(stop - bytes) + 1;
            begin_line(s, offset + i);
        } else if (bytes[i] == '\n') {
            i++;
            begin_line(s, offset + i);
        } else if (s->state == SCAN_BLANK && bytes[i] == '\r') {
            i++;
            s->state = SCAN_RETURN;
        } else if (s->state == SCAN_BLANK && is_blank(s, bytes[i])) {
            i++;
        } else {
            begin_row(s);
        }
    }
}

/* Line ends in a piece; false if a line that begins behind one of them may be empty. bytes[PIECE_BYTES]
 * is looked at too. */
static bool count_piece(const char *bytes, unsigned *lines) {
    unsigned char ends = 0, doubts = 0;
    for (size_t i = 0; i < PIECE_BYTES; i++) {
        unsigned char end = bytes[i] == '\n';
        ends = (unsigned char)(ends + end);
        doubts |= (unsigned char)(end & ((unsigned char)bytes[i + 1] <= ' '));
    }
    *lines = ends;
    return doubts == 0;
}

/* The same as walk. */
static void pass(scan *s, const char *bytes, size_t size, uint64_t offset) {
    size_t i = 0;
    while (i < size && s->state != SCAN_DONE) {
        unsigned lines;
        if (s->state == SCAN_INSIDE && size - i > PIECE_BYTES &&
            offset + i + PIECE_BYTES < s->end && count_piece(bytes + i, &lines) &&
            s->target - s->rows >= lines) {
            s->rows += lines;
            s->lines += lines;
            i += PIECE_BYTES;
            continue;
        }
        size_t piece = ramify_smaller(size - i, PIECE_BYTES);
        walk(s, bytes + i, piece, offset + i);
        i += piece;
    }
}

/* Scans from `begin` on, until the scan is done or the file ends. */
static ramify_status run(const ramify_parts *parts, scan *s, uint64_t begin) {
    ramify_context *context = parts->context;
    char *block = ramify_allocate(context, BLOCK_BYTES, 1);
    if (!block)
        return RAMIFY_ERROR_MEMORY;
    size_t count = 1;
    ramify_status status = RAMIFY_OK;
    s->state = SCAN_INSIDE;
    if (begin == parts->first.offset)
        begin_line(s, begin);
    else
        status = ramify_parts_fetch(parts, begin - 1, block, 1, &count);
    if (status == RAMIFY_OK && begin > parts->first.offset && count == 1 && block[0] == '\n')
        begin_line(s, begin);
    for (uint64_t offset = begin; status == RAMIFY_OK && s->state != SCAN_DONE; offset += count) {
        /* Behind the end nothing is looked for but what the last line is. */
        if (offset >= s->end && s->state == SCAN_INSIDE)
            break;
        status = ramify_parts_fetch(parts, offset, block, BLOCK_BYTES, &count);
        if (status == RAMIFY_OK && count == 0)
            break;
        pass(s, block, count, offset);
        if (ramify_cancelled(context))
            status = ramify_fail(context, RAMIFY_STOPPED, "stopped while reading %s", parts->name);
    }
    ramify_release(context, block);
    return status;
}

/* Rows of an array that begin before `offset`. */
static uint64_t rows_before(const ramify_parts *parts, uint64_t offset) {
    return (offset - parts->first.offset + parts->row_bytes - 1) / parts->row_bytes;
}

ramify_status ramify_parts_count(const ramify_parts *parts, uint64_t begin, uint64_t end,
                                 ramify_part_count *count) {
    *count = (ramify_part_count){0};
    if (begin >= end)
        return RAMIFY_OK;
    if (parts->is_array) {
        count->rows = rows_before(parts, end) - rows_before(parts, begin);
        return RAMIFY_OK;
    }
    scan s = {.delimiter = parts->text.delimiter, .end = end, .target = UINT64_MAX};
    RAMIFY_TRY(run(parts, &s, begin));
    count->rows = s.rows;
    count->lines = s.lines;
    return RAMIFY_OK;
}

ramify_status ramify_parts_seek(const ramify_parts *parts, const ramify_place *from, uint64_t row,
                                ramify_place *place) {
    if (parts->is_array && row < parts->array.rows) {
        *place = (ramify_place){.offset = parts->first.offset + row * parts->row_bytes, .row = row};
        return RAMIFY_OK;
    }
    scan s = {.delimiter = parts->text.delimiter, .end = parts->size, .target = row - from->row};
    if (!parts->is_array) {
        RAMIFY_TRY(run(parts, &s, from->offset));
        if (s.found) {
            *place =
                (ramify_place){.offset = s.start, .row = row, .line = from->line + s.lines - 1};
            return RAMIFY_OK;
        }
    }
    return ramify_fail(parts->context, RAMIFY_ERROR_IO,
                       "%s: row %" PRIu64 " is not where it was counted (the file must not change "
                       "while it is read)",
                       parts->name, row + 1);
}

#include "cells.h"
#include "memory.h"
#include "status.h"
#include "text.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* First size of the buffer: large enough that a cut record costs nothing, small enough to stay in a
 * cache. */
#define BUFFER_BYTES ((size_t)256 << 10)

static ramify_cell_end fail_at(const ramify_cells *cells, const char *what) {
    ramify_fail(cells->input->context, RAMIFY_ERROR_DATA, "%s:%" PRIu64 ": %s", cells->input->name,
                cells->cell_line, what);
    return RAMIFY_CELL_BAD;
}

static ramify_status read_behind(ramify_cells *cells, size_t kept) {
    size_t count, room = cells->capacity - 1 - kept;
    RAMIFY_TRY(ramify_input_read(cells->input, cells->buffer + kept, room, &count));
    cells->ended = count < room;
    cells->read += count;
    cells->cursor = cells->buffer;
    cells->end = cells->buffer + kept + count;
    cells->buffer[kept + count] = '\n';
    return RAMIFY_OK;
}

static ramify_status open_buffer(ramify_cells *cells, ramify_input *input) {
    cells->input = input;
    cells->buffer = ramify_allocate(input->context, BUFFER_BYTES, 1);
    if (!cells->buffer)
        return RAMIFY_ERROR_MEMORY;
    cells->capacity = BUFFER_BYTES;
    return read_behind(cells, 0);
}

ramify_status ramify_cells_open_inside(ramify_input *input, char delimiter, uint64_t line,
                                       ramify_cells *cells) {
    *cells = (ramify_cells){.delimiter = delimiter, .line = line, .cell_line = line, .lines = true};
    return open_buffer(cells, input);
}

ramify_status ramify_cells_open(ramify_input *input, ramify_cells *cells) {
    *cells = (ramify_cells){.delimiter = ',', .line = 1, .cell_line = 1};
    RAMIFY_TRY(open_buffer(cells, input));
    static const char mark[] = "\xEF\xBB\xBF";
    if (cells->end - cells->cursor >= 3 && memcmp(cells->cursor, mark, 3) == 0) {
        cells->cursor += 3;
        cells->passed = 3;
    }
    return RAMIFY_OK;
}

void ramify_cells_close(ramify_cells *cells) {
    ramify_release(cells->input->context, cells->buffer);
    ramify_release(cells->input->context, cells->scratch);
    cells->buffer = NULL;
    cells->scratch = NULL;
}

ramify_status ramify_cells_fill(ramify_cells *cells) {
    ramify_context *context = cells->input->context;
    size_t kept = (size_t)(cells->end - cells->cursor);
    if (kept >= RAMIFY_RECORD_BYTES)
        return ramify_fail(context, RAMIFY_ERROR_DATA,
                           "%s:%" PRIu64 ": the line is longer than %zu MiB (is this a table, and "
                           "every quote closed?)",
                           cells->input->name, cells->line, RAMIFY_RECORD_BYTES >> 20);
    if (kept <= cells->capacity / 2) {
        memmove(cells->buffer, cells->cursor, kept);
        return read_behind(cells, kept);
    }
    size_t capacity = 2 * cells->capacity;
    if (capacity > RAMIFY_RECORD_BYTES + 1)
        capacity = RAMIFY_RECORD_BYTES + 1;
    char *buffer = ramify_allocate(context, capacity, 1);
    if (!buffer)
        return RAMIFY_ERROR_MEMORY;
    memcpy(buffer, cells->cursor, kept);
    ramify_release(context, cells->buffer);
    cells->buffer = buffer;
    cells->capacity = capacity;
    return read_behind(cells, kept);
}

/* ---- the delimiter ---- */

static ramify_status set_delimiter(ramify_cells *cells, const char *option) {
    char delimiter = option[0];
    bool single = delimiter != '\0' && option[1] == '\0';
    if (strcmp(option, "\\t") == 0) { /* as shells pass it on */
        delimiter = '\t';
        single = true;
    }
    /* What may be part of a number, a quote or a line end cannot separate cells. */
    if (!single || isalnum((unsigned char)delimiter) || strchr("+-.\"\r\n", delimiter) ||
        (unsigned char)delimiter >= 0x80) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        return ramify_fail(cells->input->context, RAMIFY_ERROR_ARGUMENT,
                           "delimiter \"%s\" is not one character that can separate cells, such "
                           "as , ; | tab or blank",
                           ramify_text_excerpt(option, strlen(option), excerpt));
    }
    cells->delimiter = delimiter;
    return RAMIFY_OK;
}

/* In order of preference. */
static const char candidates[] = {'\t', ',', ';', ' '};

/* Notes which candidates the first line holds; false if the buffer ends before the line does. */
static bool scan_line(const ramify_cells *cells, bool found[sizeof candidates]) {
    bool quoted = false;
    for (const char *p = cells->cursor; p < cells->end; p++) {
        if (*p == '"')
            quoted = !quoted;
        if (quoted)
            continue;
        if (*p == '\n')
            return true;
        const char *which = memchr(candidates, *p, sizeof candidates);
        if (which)
            found[which - candidates] = true;
    }
    return false;
}

ramify_status ramify_cells_find_delimiter(ramify_cells *cells, const char *option) {
    if (option)
        return set_delimiter(cells, option);
    while (ramify_cells_skip_empty(cells) == RAMIFY_CELL_CUT)
        RAMIFY_TRY(ramify_cells_fill(cells));
    bool found[sizeof candidates] = {false};
    while (!scan_line(cells, found) && !cells->ended)
        RAMIFY_TRY(ramify_cells_fill(cells));
    cells->delimiter = ',';
    for (size_t i = 0; i < sizeof found; i++)
        if (found[i]) {
            cells->delimiter = candidates[i];
            break;
        }
    return RAMIFY_OK;
}

const char *ramify_cells_delimiter_name(const ramify_cells *cells) {
    switch (cells->delimiter) {
    case ',':
        return "commas";
    case ';':
        return "semicolons";
    case '\t':
        return "tabs";
    case ' ':
        return "blanks";
    default:
        return "the --delimiter that was given";
    }
}

/* ---- records ---- */

ramify_cell_end ramify_cells_skip_empty(ramify_cells *cells) {
    for (;;) {
        const char *at = cells->cursor;
        if (*ramify_cells_skip_blanks(cells, at) == cells->delimiter && cells->delimiter != ' ')
            return RAMIFY_CELL_TEXT;
        ramify_cell_end end = ramify_cells_stop(cells, &at);
        if (end == RAMIFY_CELL_CUT)
            return RAMIFY_CELL_CUT;
        if (end != RAMIFY_CELL_LINE)
            return RAMIFY_CELL_TEXT;
        cells->cell_line = cells->line;
        ramify_cells_finish(cells, at);
        if (at == cells->end && cells->ended)
            return RAMIFY_CELL_LINE;
    }
}

const char *ramify_cells_begin(ramify_cells *cells) {
    cells->cell_line = cells->line;
    return cells->delimiter == ' ' ? ramify_cells_skip_blanks(cells, cells->cursor) : cells->cursor;
}

void ramify_cells_finish(ramify_cells *cells, const char *at) {
    cells->passed += (uint64_t)(at - cells->cursor);
    cells->cursor = at;
    cells->line = cells->cell_line + 1;
}

/* ---- cells ---- */

static ramify_cell_end next_plain(ramify_cells *cells, const char **at, const char **text,
                                  size_t *length) {
    const char *p = *at;
    char delimiter = cells->delimiter;
    if (delimiter == ' ')
        while (*p != ' ' && *p != '\t' && *p != '\n' && *p != '\r')
            p++;
    else
        while (*p != delimiter && *p != '\n' && *p != '\r')
            p++;
    const char *last = p;
    while (last > *at && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    *text = *at;
    *length = (size_t)(last - *at);
    if (*length > RAMIFY_CELL_BYTES)
        return fail_at(cells, "a cell has more than 1 MiB (is this a table?)");
    ramify_cell_end end = ramify_cells_stop(cells, &p);
    *at = p;
    if (end == RAMIFY_CELL_CUT)
        return end;
    if (end == RAMIFY_CELL_TEXT)
        return fail_at(cells, "a carriage return stands inside the line (lines must end with LF or "
                              "CRLF)");
    if (memchr(*text, '\0', *length))
        return fail_at(cells, "a cell holds a zero byte (is this a text file in UTF-8?)");
    return end;
}

/* Copies a cell without the doubling of its quotes. */
static bool unquote(ramify_cells *cells, const char **text, size_t *length) {
    if (cells->scratch_size <= *length) {
        size_t size = 2 * *length + 1;
        ramify_release(cells->input->context, cells->scratch);
        cells->scratch = ramify_allocate(cells->input->context, size, 1);
        cells->scratch_size = cells->scratch ? size : 0;
        if (!cells->scratch)
            return false;
    }
    char *to = cells->scratch;
    for (size_t i = 0; i < *length; i++) {
        *to++ = (*text)[i];
        i += (*text)[i] == '"';
    }
    *to = '\0';
    *text = cells->scratch;
    *length = (size_t)(to - cells->scratch);
    return true;
}

static ramify_cell_end next_quoted(ramify_cells *cells, const char **at, const char **text,
                                   size_t *length) {
    const char *first = *at + 1, *quote = first;
    const char *stop = cells->end;
    if (cells->lines)
        stop = memchr(first, '\n', (size_t)(stop - first) + 1); /* *end is one */
    bool doubled = false;
    for (;;) {
        quote = memchr(quote, '"', (size_t)(stop - quote));
        if ((size_t)((quote ? quote : stop) - first) > RAMIFY_CELL_BYTES)
            return fail_at(cells, "a quoted cell has more than 1 MiB (is its quote ever closed?)");
        if (!quote && stop < cells->end)
            return fail_at(cells,
                           "the quote that opens here is not closed in this line (a file with "
                           "line breaks inside cells is read by one process alone)");
        if (!quote)
            return cells->ended ? fail_at(cells, "the quote that opens here is never closed")
                                : RAMIFY_CELL_CUT;
        if (quote + 1 == cells->end || quote[1] != '"')
            break;
        doubled = true;
        quote += 2;
    }
    /* A quote that is the last byte of the buffer may be half of a pair: ramify_cells_stop says
     * "cut" then. */
    *text = first;
    *length = (size_t)(quote - first);
    if (memchr(*text, '\0', *length))
        return fail_at(cells, "a cell holds a zero byte (is this a text file in UTF-8?)");
    *at = quote + 1;
    ramify_cell_end end = ramify_cells_stop(cells, at);
    if (end == RAMIFY_CELL_TEXT)
        return fail_at(cells, "text follows a closing quote (a quote inside a quoted cell is "
                              "written \"\")");
    for (const char *p = first; (p = memchr(p, '\n', (size_t)(quote - p))) != NULL; p++)
        cells->cell_line++;
    if (doubled && !unquote(cells, text, length))
        return RAMIFY_CELL_BAD;
    return end;
}

ramify_cell_end ramify_cells_next(ramify_cells *cells, const char **at, const char **text,
                                  size_t *length) {
    *at = ramify_cells_skip_blanks(cells, *at);
    return **at == '"' && *at < cells->end ? next_quoted(cells, at, text, length)
                                           : next_plain(cells, at, text, length);
}

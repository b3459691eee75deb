#ifndef RAMIFY_DATA_CELLS_H
#define RAMIFY_DATA_CELLS_H
/* Cutting text into records and cells: RFC 4180 with any delimiter, LF or CRLF, a UTF-8 byte order
 * mark, newlines inside quotes; or runs of blanks between cells, as scientific programs write them.
 *
 * The text passes through one buffer. A byte '\n' always stands behind what has been read, so that
 * scanning needs no bounds. A record that reaches it before the end of the file is *cut*: the caller
 * forgets what it made of that record, calls ramify_cells_fill, and reads the record again from its
 * start. Cells are borrowed from the buffer and must be used before the next call. */

#include "input.h"

/* Longest cell, and longest record. More is no table, or a quote that is never closed. */
#define RAMIFY_CELL_BYTES   ((size_t)1 << 20)
#define RAMIFY_RECORD_BYTES ((size_t)16 << 20)

typedef struct ramify_cells {
    ramify_input *input;
    char *buffer;
    size_t capacity;    /* bytes of the buffer, one of them for the '\n' behind the end */
    const char *cursor; /* start of the next record */
    const char *end;    /* of what has been read; *end is '\n' */
    bool ended;         /* nothing follows */
    bool lines;         /* a record is a line: none goes on inside quotes */
    char delimiter;     /* ' ' stands for runs of blanks */
    uint64_t line;      /* line number at cursor, from 1 */
    uint64_t cell_line; /* line number at the cell being read */
    uint64_t passed;    /* bytes before cursor */
    uint64_t read;      /* bytes before end */
    char *scratch;      /* a cell without the doubling of its quotes */
    size_t scratch_size;
} ramify_cells;

/* What follows a cell. */
typedef enum ramify_cell_end {
    RAMIFY_CELL_DELIMITER, /* another cell */
    RAMIFY_CELL_LINE,      /* the end of the record */
    RAMIFY_CELL_CUT,       /* the end of the buffer */
    RAMIFY_CELL_TEXT,      /* more text: this is not the end of the cell */
    RAMIFY_CELL_BAD        /* a failure, with its message set */
} ramify_cell_end;

/* Starts at the beginning of the stream; the buffer is filled once. End with ramify_cells_close,
 * also after a failure. */
ramify_status ramify_cells_open(ramify_input *input, ramify_cells *cells);

/* The same where the stream begins with a later line, number `line`, of a text that is read in parts,
 * and a line break inside quotes is a failure. */
ramify_status ramify_cells_open_inside(ramify_input *input, char delimiter, uint64_t line,
                                       ramify_cells *cells);
void ramify_cells_close(ramify_cells *cells);

/* Chooses the delimiter: what `option` says, else the first of tab, comma, semicolon and blanks that
 * stands in line 1 outside quotes; a comma if none does. */
ramify_status ramify_cells_find_delimiter(ramify_cells *cells, const char *option);

/* What messages call it: "commas", "tabs", ... */
const char *ramify_cells_delimiter_name(const ramify_cells *cells);

/* Reads more behind the record at cursor. */
ramify_status ramify_cells_fill(ramify_cells *cells);

/* Moves cursor over empty lines: RAMIFY_CELL_TEXT at a record, RAMIFY_CELL_LINE at the end of the
 * file, RAMIFY_CELL_CUT. */
ramify_cell_end ramify_cells_skip_empty(ramify_cells *cells);

/* Starts the record at cursor: where its first cell begins. */
const char *ramify_cells_begin(ramify_cells *cells);

/* Reads the cell that begins at *at, quotes and blanks around it removed, and moves *at to the
 * next. text[*length] belongs to no number. Never returns RAMIFY_CELL_TEXT. */
ramify_cell_end ramify_cells_next(ramify_cells *cells, const char **at, const char **text,
                                  size_t *length);

/* Ends the record: the next one begins at `at`. */
void ramify_cells_finish(ramify_cells *cells, const char *at);

static inline const char *ramify_cells_skip_blanks(const ramify_cells *cells, const char *at) {
    while (*at == ' ' || (*at == '\t' && cells->delimiter != '\t'))
        at++;
    return at;
}

/* What stands at *at, where a cell may end; *at is moved to the next cell or record. */
static inline ramify_cell_end ramify_cells_stop(const ramify_cells *cells, const char **at) {
    const char *p = ramify_cells_skip_blanks(cells, *at);
    if (*p == cells->delimiter) { /* never a blank here */
        *at = p + 1;
        return RAMIFY_CELL_DELIMITER;
    }
    if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
        p += *p == '\r';
        if (p < cells->end)
            p++;
        else if (!cells->ended)
            return RAMIFY_CELL_CUT;
        *at = p;
        return RAMIFY_CELL_LINE;
    }
    if (cells->delimiter == ' ' && p > *at) {
        *at = p;
        return RAMIFY_CELL_DELIMITER;
    }
    return RAMIFY_CELL_TEXT;
}

#endif

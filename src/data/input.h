#ifndef RAMIFY_DATA_INPUT_H
#define RAMIFY_DATA_INPUT_H
/* A stream of bytes to read a table from: a file, standard input or memory, with gzip undone.
 *
 * A file is opened once; its size comes from the descriptor that is read. Pipes and terminals are
 * fine, so nothing seeks, except where a span of a file is asked for. */

#include "ramify.h"

typedef struct ramify_input {
    ramify_context *context;
    const char *name; /* for messages; borrowed */

    int descriptor; /* -1: memory */
    bool owned;     /* descriptor is closed in the end */
    const uint8_t *memory;
    size_t memory_size;

    bool span; /* of a file: `size` bytes from `offset` on, whatever is read elsewhere */
    uint64_t offset;

    uint64_t size;  /* bytes as stored (before gzip is undone); 0 if not known */
    uint64_t taken; /* of these, taken from the descriptor or memory so far */

    uint8_t *raw; /* bytes as stored that are read ahead: raw[raw_begin .. raw_end) */
    size_t raw_begin, raw_end;
    bool raw_ended;

    void *gzip; /* state of src/data/gzip.c; NULL when the stream is not compressed */

    uint8_t head[16]; /* the first bytes of the stream, read ahead by ramify_input_peek */
    size_t head_begin, head_end;
} ramify_input;

/* Opens a file, or standard input for "-". `input` is filled; end with ramify_input_close, also
 * after a failure. */
ramify_status ramify_input_open(ramify_context *context, const char *path, ramify_input *input);

/* The same for bytes in memory, which are borrowed. */
ramify_status ramify_input_open_memory(ramify_context *context, const void *bytes, size_t size,
                                       const char *name, ramify_input *input);

/* The same for bytes [offset, offset + size) of a file that stays open, as they are stored. */
ramify_status ramify_input_open_span(ramify_context *context, int descriptor, uint64_t offset,
                                     uint64_t size, const char *name, ramify_input *input);
void ramify_input_close(ramify_input *input);

/* The first bytes of the stream, up to sizeof input->head, without taking them. Only before the
 * first ramify_input_read. */
ramify_status ramify_input_peek(ramify_input *input, const uint8_t **bytes, size_t *count);

/* Reads `size` bytes; *count is less only at the end of the stream. */
ramify_status ramify_input_read(ramify_input *input, void *buffer, size_t size, size_t *count);

/* Reads all of a file, or of standard input for "-", into *text, which is freed with ramify_release; at most
 * `most` bytes, else RAMIFY_ERROR_LIMIT: it is larger than any such `thing`. */
ramify_status ramify_input_read_all(ramify_context *context, const char *path, size_t most,
                                    const char *thing, char **text, size_t *size);

/* Bytes as stored that have been used so far: what progress and estimates divide by input->size. */
uint64_t ramify_input_used(const ramify_input *input);

/* For gzip.c: reads more raw bytes when there are none left; raw_ended is set at the end. */
ramify_status ramify_input_fill(ramify_input *input);

/* gzip.c: starts, reads and ends a stream of gzip members. */
ramify_status ramify_gzip_begin(ramify_input *input);
ramify_status ramify_gzip_read(ramify_input *input, void *buffer, size_t size, size_t *count);
void ramify_gzip_end(ramify_input *input);

#endif

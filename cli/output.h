#ifndef RAMIFY_CLI_OUTPUT_H
#define RAMIFY_CLI_OUTPUT_H
/* A text file that appears whole or not at all: a part of the predictions would look like all of
 * them. */

#include <stdbool.h>
#include <stdio.h>

typedef struct output {
    FILE *file;
    const char *name; /* for messages */
    const char *path; /* NULL: standard output */
    char *temporary;  /* owned; NULL: written in place (a pipe, a device, a link) */
} output;

/* path: NULL for standard output. False, with errno, when it cannot be opened. */
bool output_open(output *to, const char *path);

/* Puts the file in place if everything was written. False otherwise, with errno; then
 * nothing new is left behind. To be called right after a write that failed. */
bool output_close(output *to);

/* Takes back what was begun: what was there before stays, if it was a file. */
void output_abandon(output *to);

#endif

#ifndef RAMIFY_CLI_PRINTING_H
#define RAMIFY_CLI_PRINTING_H
/* What the verbs print on stdout: JSON objects, scores, sizes, CSV cells. */

#include "ramify.h"

#include <jansson.h>
#include <stdio.h>

/* Room for any text of format_size and format_count. */
#define PRINTING_ROOM 32

/* 4096 -> "4.0 KiB". Returns text. */
const char *format_size(char text[PRINTING_ROOM], uint64_t bytes);

/* 1234567 -> "1,234,567". Returns text. */
const char *format_count(char text[PRINTING_ROOM], uint64_t count);

/* 0.9 -> "90": a level of intervals in per cent, with as many digits as tell it from 100. Returns text. */
const char *format_level(char text[PRINTING_ROOM], double level);

/* One CSV cell, quoted when it holds a comma, a quote or a line break, or is empty. */
void print_cell(FILE *file, const char *text);

/* A name from a file, for a terminal: '?' stands for control characters, which could command it. */
void print_name(const char *name);

/* "1 row", "1,000 rows": the count with the word for one or for several. Returns text. */
const char *format_number_of(char text[PRINTING_ROOM + 32], uint64_t count, const char *one,
                             const char *several);

/* A number that may be missing: null when it is not finite. */
json_t *json_number(double value);
json_t *json_count(uint64_t value);

/* What an object has under a key: NaN where that is no number, "" where it is no text, 0 where it is no count. */
double number_of(const json_t *object, const char *key);
const char *text_of(const json_t *object, const char *key);
uint64_t count_of(const json_t *object, const char *key);

/* Adds rmse mae r2, or accuracy log_loss brier calibration_error, and error_low error_high where they were computed. */
void json_add_score(json_t *object, ramify_task task, const ramify_score *score);

/* "rmse 0.048, mae 0.035, r2 0.997", or the pair of a classification, without a line end. */
void print_score(ramify_task task, const ramify_score *score);

/* Prints the object as JSON and a line end on stdout, and gives it back. Returns false when memory
 * ran out or stdout cannot be written; errno says which. */
bool print_json(json_t *object);

#endif

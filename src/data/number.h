#ifndef RAMIFY_DATA_NUMBER_H
#define RAMIFY_DATA_NUMBER_H
/* Numbers as text, always with a decimal point, whatever the program's locale is. */

#include "ramify.h"

/* Room for any text that ramify_number_format makes. */
#define RAMIFY_NUMBER_BYTES 32

/* Longest number read, in bytes: 768 digits decide the value of any double, and nobody writes
 * more. */
#define RAMIFY_NUMBER_TEXT 1023

/* Reads the finite decimal number that starts at `text`: [+-] digits [. digits] [e [+-] digits],
 * with at least one digit before the exponent. The result is the double nearest to what is written.
 * Returns the first byte behind it; NULL if no number starts there, or if it is too large for a
 * double. The caller sees to it that a byte that belongs to no number follows the text. */
const char *ramify_number_scan(const char *text, double *value);

/* True if the whole text (blanks around it aside) is a number as above. text[length] must be
 * readable and belong to no number, such as '\0', a delimiter or a quote. */
bool ramify_number_parse(const char *text, size_t length, double *value);

/* True for the texts that stand for a missing value: empty, NA, N/A, NaN, nan, null, NULL and ?. */
bool ramify_number_missing(const char *text, size_t length);

/* The shortest text (15 to 17 digits) that reads back as `value`, which must be finite. */
void ramify_number_format(double value, char text[RAMIFY_NUMBER_BYTES]);

#endif

#ifndef RAMIFY_CLI_PAGE_H
#define RAMIFY_CLI_PAGE_H
/* Pages of HTML that need nothing beside them: no scripts, pictures or styles from elsewhere; readable on a
 * phone and in print. */

#include <stdio.h>

/* Everything up to the first paragraph. */
void page_begin(FILE *file, const char *title);

/* The last paragraph: who made it, and what it says beyond. note is HTML. */
void page_end(FILE *file, const char *note);

/* Text of any origin. */
void page_text(FILE *file, const char *text);

/* A cell of a table with a number, or a dash where there is none. */
void page_number(FILE *file, double value);

#endif

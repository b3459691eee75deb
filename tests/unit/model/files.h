#ifndef RAMIFY_TESTS_FILES_H
#define RAMIFY_TESTS_FILES_H
/* What tests ask of folders and files that the library wrote; they fail the test where the answer
 * cannot be had. */

#include <stddef.h>

/* Entries that do not start with a dot. */
size_t files_in(const char *directory);

/* All bytes of a file that is not empty, and a 0 after them; size may be NULL. The caller frees with
 * free. */
void *file_content(const char *path, size_t *size);

#endif

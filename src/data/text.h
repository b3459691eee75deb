#ifndef RAMIFY_DATA_TEXT_H
#define RAMIFY_DATA_TEXT_H
/* Names and other texts: checking, quoting in messages, lists, and finding one among many. */

#include "ramify.h"

/* Longest name of a column, class or category in a model, in bytes. */
#define RAMIFY_NAME_BYTES 1024

/* Room for an excerpt with its end. */
#define RAMIFY_EXCERPT_BYTES 64

/* True if the bytes are UTF-8 (no surrogates, no overlong forms) without a zero byte. */
bool ramify_text_valid(const char *text, size_t length);

/* What a message quotes of a text that may be long or hostile: its start, with '?' for control
 * characters and for what is not UTF-8, and "..." where it was cut. Returns `excerpt`. */
const char *ramify_text_excerpt(const char *text, size_t length,
                                char excerpt[RAMIFY_EXCERPT_BYTES]);

/* Place of a word in a list that ends with NULL; UINT32_MAX: it is not there, or NULL. */
uint32_t ramify_word_find(const char *word, const char *const *words);

/* Reads the size of images, "HxW" or "HxWxC" with numbers of 1 to `most`; without C it is 1. False if
 * the text is not of this form. */
bool ramify_image_read(const char *text, uint32_t most, uint32_t image[3]);

/* The ending of a noun that is counted. */
static inline const char *ramify_plural(uint64_t count) {
    return count == 1 ? "" : "s";
}

/* Reads the name at `text`, up to one of the bytes `stops` or the end, blanks around it left out. A
 * name that holds a stop or has blank ends stands in double quotes; one that holds a quote as well
 * cannot be written. The name is not terminated. Returns where the stop or the end is. */
const char *ramify_name_read(const char *text, const char *stops, const char **name,
                             size_t *length);

/* Takes the next name off a list of names separated by commas, read as above. `list` is moved on; it
 * may point to NULL. False at the end. */
bool ramify_list_next(const char **list, const char **name, size_t *length);

/* Names on such a list, which may be NULL. */
uint32_t ramify_list_count(const char *list);

/* A name and where it came from. Sorted arrays of these find duplicates and answer look-ups in
 * O(log count), so a table with many columns costs no quadratic time. */
typedef struct ramify_name {
    const char *text;
    size_t index;
} ramify_name;

/* Sorts bytewise, equal names by index. */
void ramify_names_sort(ramify_name *names /* count */, size_t count);

/* The second of two equal names in sorted `names`, or NULL if all differ. */
const ramify_name *ramify_names_duplicate(const ramify_name *names /* count */, size_t count);

/* Index of the name in sorted `names`, or SIZE_MAX. */
size_t ramify_names_find(const ramify_name *names /* count */, size_t count, const char *text);

#endif

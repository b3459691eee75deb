#ifndef RAMIFY_DATA_BUILD_H
#define RAMIFY_DATA_BUILD_H
/* How the readers make a table: memory is asked for in the budget's name before it is allocated, a
 * half-made table can always be destroyed, and ramify_table_check_names ends every road. */

#include "input.h"
#include "schema.h"
#include "table.h"
#include "text.h"

/* ---- memory ---- */

typedef struct ramify_budget {
    ramify_context *context;
    const char *source;   /* for messages */
    uint64_t limit, used; /* bytes */
} ramify_budget;

/* A budget of what the context allows, of which `used` bytes are already taken. */
ramify_budget ramify_budget_make(ramify_context *context, const char *source, uint64_t used);

/* Adds bytes to `used`; RAMIFY_ERROR_LIMIT if that is more than the limit. */
ramify_status ramify_budget_take(ramify_budget *budget, uint64_t bytes);

/* The failure itself, for readers that know the whole need: "needs about 3.2 GiB ...". */
ramify_status ramify_budget_refuse(const ramify_budget *budget, uint64_t bytes);

/* ---- table ---- */

/* A table with `columns` empty, nameless columns. */
ramify_status ramify_table_create(ramify_context *context, const char *source, size_t rows,
                                  size_t columns, ramify_table **table);

/* Hands a block from ramify_allocate over to the table, even when it fails. */
ramify_status ramify_table_own(ramify_table *table, void *block);

/* Frees one of these blocks; others are left alone. */
void ramify_table_disown(ramify_table *table, const void *block);

/* A table with the columns' names and the size of images of another, and no rows. */
ramify_status ramify_table_copy_names(const ramify_table *from, ramify_table **table);

/* Names the columns c1, c2, ... and leaves `named` false. */
ramify_status ramify_table_number_columns(ramify_table *table);

/* Gives column `column` a name of `length` bytes; refuses what is no name. */
ramify_status ramify_table_set_name(ramify_table *table, size_t column, const char *name,
                                    size_t length);

/* Refuses two columns with one name. */
ramify_status ramify_table_check_names(const ramify_table *table);

/* The first infinite number, column by column; and refuses them, naming it. */
bool ramify_table_find_infinite(const ramify_table *table, size_t *column, size_t *row);
ramify_status ramify_table_check_finite(const ramify_table *table);

/* Turns a column of numbers into one of texts (their shortest form), for --categorical; and all columns
 * of a list of names, which may be NULL. */
ramify_status ramify_table_make_text(ramify_table *table, ramify_budget *budget, size_t column);
ramify_status ramify_table_make_categorical(ramify_table *table, ramify_budget *budget,
                                            const char *list);

/* Takes the size of images that options->image tells. */
ramify_status ramify_table_set_image(ramify_table *table, const ramify_table_options *options);

/* ---- distinct texts of one column ---- */

typedef struct ramify_dictionary {
    uint32_t count;
    uint32_t capacity; /* of texts */
    char **texts;      /* count; a text lies in one of the blocks and ends with '\0' */
    uint32_t *slots;   /* slot_count (a power of two): code + 1, or 0 */
    uint32_t *hashes;  /* slot_count */
    size_t slot_count;
    char *block; /* the block that is being filled */
    size_t block_used, block_size;
} ramify_dictionary;

/* Code of the text; a new one if it is new. Blocks of texts belong to `table` from the start. */
ramify_status ramify_dictionary_code(ramify_dictionary *dictionary, ramify_table *table,
                                     ramify_budget *budget, const char *text, size_t length,
                                     uint32_t *code);

/* Gives texts and codes to the column and frees the rest. */
void ramify_dictionary_finish(ramify_dictionary *dictionary, ramify_context *context,
                              ramify_column *column, uint32_t *codes);

/* Frees what is not the table's. Harmless after ramify_dictionary_finish. */
void ramify_dictionary_destroy(ramify_dictionary *dictionary, ramify_context *context);

/* ---- arrays in files ---- */

/* The shape of the array in an NPY or IDX file; numbers are row-major. */
typedef struct ramify_array {
    ramify_number number;
    bool swapped;       /* the other byte order than this machine's */
    bool columns_first; /* Fortran order */
    double scale;
    uint64_t rows, columns;
    uint64_t first_row; /* rows of the file before these, of a part; else 0 */
    uint32_t image[3];  /* height, width, channels, of arrays of three dimensions or four; else 0 */
} ramify_array;

/* Largest number of dimensions; and the shape's product of all dimensions but the first. Fails with
 * a sentence on an empty array and on one beyond the caps. `sizes` has `dimensions` entries. */
#define RAMIFY_DIMENSIONS_MAX 8
ramify_status ramify_array_shape(ramify_input *input, const uint64_t *sizes, size_t dimensions,
                                 ramify_array *array);

/* Bytes of one number. */
size_t ramify_array_number_size(ramify_number number);

/* Refuses a file of known size that is shorter or longer than its header of `header` bytes promises. */
ramify_status ramify_array_check_size(ramify_input *input, const ramify_array *array,
                                      uint64_t header);

/* Reads the numbers behind a header of `header` bytes and makes the table; and refuses infinite ones. */
ramify_status ramify_array_load(ramify_input *input, const ramify_array *array, uint64_t header,
                                ramify_budget *budget, ramify_table **table);
ramify_status ramify_array_read(ramify_input *input, const ramify_array *array, uint64_t header,
                                ramify_budget *budget, ramify_table **table);

/* ---- formats; the stream stands at its beginning ---- */

typedef enum ramify_file_kind {
    RAMIFY_FILE_TEXT,
    RAMIFY_FILE_NPY,
    RAMIFY_FILE_IDX
} ramify_file_kind;

/* What is in the stream, by its first bytes; refuses what is none of these. */
ramify_status ramify_file_kind_find(ramify_input *input, ramify_file_kind *kind);

/* schema: NULL, or what the table is read for; then a header without rows is a table of no rows. */
ramify_status ramify_csv_read(ramify_input *input, const ramify_table_options *options,
                              const ramify_schema *schema, ramify_budget *budget,
                              ramify_table **table);
ramify_status ramify_npy_read(ramify_input *input, ramify_budget *budget, ramify_table **table);

/* The header alone, which has *offset bytes. */
ramify_status ramify_npy_read_head(ramify_input *input, ramify_array *array, uint64_t *offset);
ramify_status ramify_idx_read(ramify_input *input, ramify_budget *budget, ramify_table **table);

#endif

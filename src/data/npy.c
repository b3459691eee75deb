/* NumPy's NPY format, versions 1, 2 and 3 (numpy/lib/format.py):
 *
 *     6 bytes  \x93 N U M P Y
 *     2 bytes  major and minor version
 *     2 bytes  header length, little-endian; 4 bytes from version 2 on
 *     header   {'descr': '<f8', 'fortran_order': False, 'shape': (150, 4), }  blanks  \n
 *     numbers
 *
 * One dimension is a column, more are a row each along the first. Read are f4, f8, i4, i8 and u1. */

#include "build.h"
#include "memory.h"
#include "status.h"

#include <inttypes.h>

/* NumPy writes about 100 bytes; a header with the three keys has no use for more than this. */
#define HEADER_BYTES ((size_t)64 << 10)

/* ---- the header: a Python dictionary with exactly three keys ---- */

typedef struct npy_header {
    char descr[8];
    bool fortran_order;
    uint64_t sizes[RAMIFY_DIMENSIONS_MAX];
    size_t dimensions;
} npy_header;

/* The text ends with '\0', which nothing below accepts, so no bounds are needed. */
static void skip_blanks(const char **at) {
    while (**at == ' ' || **at == '\t')
        ++*at;
}

static bool take(const char **at, char wanted) {
    skip_blanks(at);
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

static bool take_word(const char **at, const char *word) {
    skip_blanks(at);
    if (strncmp(*at, word, strlen(word)) != 0)
        return false;
    *at += strlen(word);
    return true;
}

static bool take_string(const char **at, char *text, size_t room) {
    skip_blanks(at);
    char quote = **at;
    if (quote != '\'' && quote != '"')
        return false;
    const char *first = ++*at;
    while (**at != quote && **at != '\0' && **at != '\\')
        ++*at;
    size_t length = (size_t)(*at - first);
    if (**at != quote || length >= room)
        return false;
    memcpy(text, first, length);
    text[length] = '\0';
    ++*at;
    return true;
}

static bool take_size(const char **at, uint64_t *size) {
    skip_blanks(at);
    if (**at < '0' || **at > '9')
        return false;
    *size = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        if (*size > (UINT64_MAX - 9) / 10)
            return false;
        *size = *size * 10 + (uint64_t)(**at - '0');
    }
    return true;
}

/* (), (3,), (3, 4), (3, 4,) */
static bool take_shape(const char **at, npy_header *header) {
    header->dimensions = 0;
    if (!take(at, '('))
        return false;
    while (!take(at, ')')) {
        if (header->dimensions == RAMIFY_DIMENSIONS_MAX ||
            !take_size(at, &header->sizes[header->dimensions++]))
            return false;
        if (take(at, ','))
            continue;
        return header->dimensions > 1 && take(at, ')');
    }
    return true;
}

static bool take_value(const char **at, const char *key, npy_header *header) {
    if (strcmp(key, "descr") == 0)
        return take_string(at, header->descr, sizeof header->descr);
    if (strcmp(key, "shape") == 0)
        return take_shape(at, header);
    header->fortran_order = take_word(at, "True");
    return header->fortran_order || take_word(at, "False");
}

static bool parse_header(const char *text, npy_header *header) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false};
    const char *at = text;
    if (!take(&at, '{'))
        return false;
    while (!take(&at, '}')) {
        char key[16];
        if (!take_string(&at, key, sizeof key) || !take(&at, ':'))
            return false;
        size_t k = 0;
        while (k < 3 && strcmp(keys[k], key) != 0)
            k++;
        if (k == 3 || seen[k] || !take_value(&at, key, header))
            return false;
        seen[k] = true;
        if (!take(&at, ',')) {
            if (!take(&at, '}'))
                return false;
            break;
        }
    }
    skip_blanks(&at);
    if (*at == '\n')
        at++;
    return *at == '\0' && seen[0] && seen[1] && seen[2];
}

/* ---- the file ---- */

static ramify_status fail_format(ramify_input *input, const char *what) {
    return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                       "%s: %s (save it again with numpy.save)", input->name, what);
}

static ramify_status read_exactly(ramify_input *input, void *buffer, size_t size) {
    size_t count;
    RAMIFY_TRY(ramify_input_read(input, buffer, size, &count));
    return count == size ? RAMIFY_OK : fail_format(input, "the NPY file ends in its header");
}

static ramify_status read_text(ramify_input *input, uint64_t *offset, char **text) {
    uint8_t start[8], size[4] = {0};
    RAMIFY_TRY(read_exactly(input, start, sizeof start));
    if (start[6] < 1 || start[6] > 3 || start[7] != 0)
        return ramify_fail(input->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: NPY version %d.%d is unknown (1.0, 2.0 and 3.0 are read)",
                           input->name, start[6], start[7]);
    size_t size_bytes = start[6] == 1 ? 2 : 4;
    RAMIFY_TRY(read_exactly(input, size, size_bytes));
    uint32_t length =
        size[0] | (uint32_t)size[1] << 8 | (uint32_t)size[2] << 16 | (uint32_t)size[3] << 24;
    if (length > HEADER_BYTES)
        return fail_format(input, "the NPY header is longer than 64 KiB");
    char *read = ramify_allocate(input->context, (size_t)length + 1, 1);
    if (!read)
        return RAMIFY_ERROR_MEMORY;
    read[length] = '\0';
    ramify_status status = read_exactly(input, read, length);
    if (status == RAMIFY_OK && strlen(read) != length)
        status = fail_format(input, "the NPY header holds a zero byte");
    if (status == RAMIFY_OK) {
        *text = read;
        *offset = sizeof start + size_bytes + length;
    } else {
        ramify_release(input->context, read);
    }
    return status;
}

static bool is_little_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* What `descr` means; false for types that are not read. */
static bool find_type(const char *descr, ramify_array *array) {
    static const struct {
        const char *name;
        ramify_number number;
    } types[] = {{"f8", RAMIFY_NUMBER_F64},
                 {"f4", RAMIFY_NUMBER_F32},
                 {"i8", RAMIFY_NUMBER_I64},
                 {"i4", RAMIFY_NUMBER_I32},
                 {"u1", RAMIFY_NUMBER_U8}};
    if (descr[0] == '\0' || !strchr("<>|", descr[0]))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(descr + 1, types[i].name) != 0)
            continue;
        array->number = types[i].number;
        bool one_byte = types[i].number == RAMIFY_NUMBER_U8;
        array->swapped = !one_byte && (descr[0] == '<') != is_little_endian();
        return one_byte || descr[0] != '|';
    }
    return false;
}

ramify_status ramify_npy_read_head(ramify_input *input, ramify_array *array, uint64_t *offset) {
    char *text = NULL;
    ramify_status status = read_text(input, offset, &text);
    if (!text)
        return status;
    npy_header header = {0};
    bool good = parse_header(text, &header);
    ramify_release(input->context, text);
    if (!good)
        return fail_format(input, "the NPY header is not a dictionary of descr, fortran_order and "
                                  "shape");
    *array = (ramify_array){.scale = 1.0, .columns_first = header.fortran_order};
    if (!find_type(header.descr, array)) {
        char excerpt[RAMIFY_EXCERPT_BYTES];
        return ramify_fail(input->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: numbers of type \"%s\" are not read (save them as float32, "
                           "float64, int32, int64 or uint8)",
                           input->name,
                           ramify_text_excerpt(header.descr, strlen(header.descr), excerpt));
    }
    if (header.dimensions == 0)
        return ramify_fail(input->context, RAMIFY_ERROR_DATA,
                           "%s: the array has no dimensions (a table needs rows)", input->name);
    if (header.fortran_order && header.dimensions > 2)
        return fail_format(input, "an array of more than two dimensions must be in C order");
    return ramify_array_shape(input, header.sizes, header.dimensions, array);
}

ramify_status ramify_npy_read(ramify_input *input, ramify_budget *budget, ramify_table **table) {
    ramify_array array;
    uint64_t offset = 0;
    RAMIFY_TRY(ramify_npy_read_head(input, &array, &offset));
    return ramify_array_read(input, &array, offset, budget, table);
}

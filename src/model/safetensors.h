#ifndef RAMIFY_MODEL_SAFETENSORS_H
#define RAMIFY_MODEL_SAFETENSORS_H
/* The container of a model file, https://github.com/huggingface/safetensors:
 *
 *     8 bytes   N, length of the header, little-endian
 *     N bytes   header: JSON, padded with spaces
 *     data      tensors, little-endian, one after the other
 *
 * The header maps each tensor's name to {"dtype", "shape", "data_offsets": [begin, end)}, offsets
 * counted from the start of the data, and "__metadata__" to strings. On top of what safetensors
 * asks for, here data start at a multiple of 4096 bytes and every tensor at a multiple of 64; gaps
 * are filled with U8 tensors named ramify.pad.N. The reader trusts nothing. */

#include "ramify.h"
#include "source.h"

#include <jansson.h>

/* Caps. Headers do not grow with the number of modules, but for a Para-Former's, whose weights have
 * names of their own; so these are generous. */
#define RAMIFY_HEADER_BYTES_MAX  ((uint64_t)1 << 20)
#define RAMIFY_HEADER_DEPTH_MAX  3      /* object > tensor > shape */
#define RAMIFY_HEADER_VALUES_MAX 65536  /* values in the header's JSON */
#define RAMIFY_CONFIG_DEPTH_MAX  16     /* nesting of ramify.config */
#define RAMIFY_CONFIG_VALUES_MAX 262144 /* values in it; jansson takes about 100 bytes for each */
#define RAMIFY_TENSORS_MAX       8192   /* pads included */
#define RAMIFY_TENSOR_NAME_MAX   63     /* bytes */
#define RAMIFY_TENSOR_RANK_MAX   4
#define RAMIFY_DATA_ALIGNMENT    4096 /* a page: mapped data and the file's pages agree */
#define RAMIFY_PAD_PREFIX        "ramify.pad."

typedef enum ramify_dtype {
    RAMIFY_DTYPE_U8,
    RAMIFY_DTYPE_I32,
    RAMIFY_DTYPE_F32,
    RAMIFY_DTYPE_F64,
    RAMIFY_DTYPE_I64, /* this one and the next occur in other tools' files only */
    RAMIFY_DTYPE_F16,
    RAMIFY_DTYPE_BF16,
} ramify_dtype;

/* Name in a header, such as "F32", and bytes of one element. */
const char *ramify_dtype_name(ramify_dtype dtype);
uint64_t ramify_dtype_bytes(ramify_dtype dtype);

typedef struct ramify_tensor {
    char name[RAMIFY_TENSOR_NAME_MAX + 1];
    ramify_dtype dtype;
    uint32_t rank;
    uint64_t shape[RAMIFY_TENSOR_RANK_MAX]; /* rank */
    uint64_t begin;                         /* from the start of the file */
    uint64_t bytes;
} ramify_tensor;

typedef struct ramify_container {
    json_t *metadata;    /* the header's "__metadata__", all strings; owned */
    uint64_t data_start; /* 8 + header length */
    uint32_t count;
    ramify_tensor *tensors; /* count, in the order of their bytes; owned */
} ramify_container;

/* Reads and checks the header: every tensor is aligned, they follow each other without gap or
 * overlap and end where the file ends. Destroy with ramify_container_destroy. */
ramify_status ramify_container_read(ramify_context *context, const ramify_source *source,
                                    ramify_container **container);

/* The same of a file that other tools wrote: without alignment, and metadata may be NULL. */
ramify_status ramify_container_read_foreign(ramify_context *context, const ramify_source *source,
                                            ramify_container **container);
void ramify_container_destroy(ramify_context *context, ramify_container **container);

/* A metadata string, or NULL. Belongs to the container. */
const char *ramify_container_text(const ramify_container *container, const char *key);

/* True for the fillers between tensors. */
bool ramify_tensor_is_pad(const ramify_tensor *tensor);

/* Parses JSON text from a stranger: strict UTF-8, no duplicate keys, nesting and number of values
 * capped before anything is allocated. `what` names the text in messages. The caller decrefs. */
ramify_status ramify_parse_json(ramify_context *context, const ramify_source *source,
                                const char *what, const char *text, size_t size, uint32_t depth_max,
                                uint32_t values_max, json_t **json);

/* A header under construction: tensors are added in the order of their bytes. A zeroed layout only
 * counts; one that is to keep what is added is given memory for as many tensors first. */
typedef struct ramify_layout {
    uint32_t count, pads;
    uint64_t bytes;         /* of the data so far; a multiple of 64 after ramify_layout_add */
    ramify_tensor *tensors; /* begin counts from the start of the data; NULL: only counts */
} ramify_layout;

/* Adds a tensor, and the pad after it where one is needed. Returns where its data begin, counted
 * from the start of the data. A tensor without elements is left out. The shape is [rows] for rank 1
 * (columns ignored), [rows, columns] for rank 2 and [1, rows, columns] for rank 3. */
uint64_t ramify_layout_add(ramify_layout *layout, const char *name, ramify_dtype dtype,
                           uint32_t rank, uint64_t rows, uint64_t columns);

/* The header's JSON text with its padding, *size bytes, from ramify_allocate. metadata: an object
 * of strings, borrowed. RAMIFY_ERROR_LIMIT when it is larger than RAMIFY_HEADER_BYTES_MAX. */
ramify_status ramify_layout_header(ramify_context *context, const ramify_layout *layout,
                                   json_t *metadata, char **header, size_t *size);

#endif

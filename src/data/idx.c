/* IDX, the format of MNIST (yann.lecun.com/exdb/mnist). All big-endian:
 *
 *     2 bytes  0 0
 *     1 byte   type: 08 unsigned byte, 0C int32, 0D float32, 0E float64
 *     1 byte   number of dimensions
 *     4 bytes  each dimension
 *     numbers
 *
 * The first dimension counts rows; the others are laid out row by row as columns. Bytes of images
 * (two and more dimensions) stand for 0 .. 1 and are divided by 255; a single column of bytes holds
 * labels and stays as it is. */

#include "build.h"
#include "status.h"

static ramify_status fail_format(ramify_input *input, const char *what) {
    return ramify_fail(input->context, RAMIFY_ERROR_FORMAT, "%s: %s (copy or download it again)",
                       input->name, what);
}

static bool find_type(uint8_t code, ramify_array *array) {
    static const struct {
        uint8_t code;
        ramify_number number;
    } types[] = {{0x08, RAMIFY_NUMBER_U8},
                 {0x0C, RAMIFY_NUMBER_I32},
                 {0x0D, RAMIFY_NUMBER_F32},
                 {0x0E, RAMIFY_NUMBER_F64}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].code == code) {
            array->number = types[i].number;
            return true;
        }
    return false;
}

static bool is_big_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

ramify_status ramify_idx_read(ramify_input *input, ramify_budget *budget, ramify_table **table) {
    uint8_t start[4];
    size_t count;
    RAMIFY_TRY(ramify_input_read(input, start, sizeof start, &count));
    ramify_array array = {.scale = 1.0, .swapped = !is_big_endian()};
    if (!find_type(start[2], &array))
        return ramify_fail(input->context, RAMIFY_ERROR_UNSUPPORTED,
                           "%s: IDX numbers of type 0x%02X are not read (bytes 0x08, int32 0x0C, "
                           "float32 0x0D and float64 0x0E are)",
                           input->name, start[2]);
    size_t dimensions = start[3];
    if (dimensions == 0 || dimensions > RAMIFY_DIMENSIONS_MAX)
        return ramify_fail(input->context, RAMIFY_ERROR_FORMAT,
                           "%s: an IDX file has 1 to %d dimensions, this one says %zu", input->name,
                           RAMIFY_DIMENSIONS_MAX, dimensions);
    uint64_t sizes[RAMIFY_DIMENSIONS_MAX];
    uint8_t bytes[4 * RAMIFY_DIMENSIONS_MAX];
    RAMIFY_TRY(ramify_input_read(input, bytes, 4 * dimensions, &count));
    if (count < 4 * dimensions)
        return fail_format(input, "the IDX file ends in its header");
    for (size_t d = 0; d < dimensions; d++)
        sizes[d] = (uint64_t)bytes[4 * d] << 24 | (uint64_t)bytes[4 * d + 1] << 16 |
                   (uint64_t)bytes[4 * d + 2] << 8 | bytes[4 * d + 3];
    RAMIFY_TRY(ramify_array_shape(input, sizes, dimensions, &array));
    if (array.number == RAMIFY_NUMBER_U8) {
        array.swapped = false;
        if (dimensions > 1)
            array.scale = 1.0 / 255;
    }
    return ramify_array_read(input, &array, sizeof start + 4 * dimensions, budget, table);
}

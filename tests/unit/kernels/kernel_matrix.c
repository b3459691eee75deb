#include "kernel_matrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Floats before and after the matrix in its block; a multiple of 16 keeps the alignment. */
#define MARGIN 64
#define ROUNDS 60

/* splitmix64 (Steele, Lea, Flood 2014). */
uint32_t random_bits(random_state *random) {
    uint64_t z = random->state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

size_t random_below(random_state *random, size_t limit) {
    return random_bits(random) % limit;
}

float random_float(random_state *random) {
    return (float)(random_bits(random) >> 8) / 8388608.0F - 1.0F;
}

size_t random_size(random_state *random) {
    static const size_t sizes[] = {0,  1,  2,  3,  4,  5,  7,  8,  11, 12, 13, 16, 17,
                                   23, 31, 32, 33, 47, 48, 64, 65, 79, 80, 97, 112};
    return sizes[random_below(random, sizeof sizes / sizeof *sizes)];
}

static matrix create(random_state *random, size_t rows, size_t columns, size_t ld, size_t shift) {
    matrix m = {.rows = rows, .columns = columns, .ld = ld};
    m.size = padded(MARGIN + shift + rows * ld + MARGIN);
    m.memory = aligned_alloc(64, m.size * sizeof *m.memory);
    assert_non_null(m.memory);
    for (size_t i = 0; i < m.size; i++) {
        m.memory[i] = NAN;
    }
    m.at = m.memory + MARGIN + shift;
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            m.at[i * ld + j] = random_float(random);
        }
    }
    return m;
}

matrix matrix_padded(random_state *random, size_t rows, size_t columns) {
    return create(random, rows, columns, padded(columns) + 16 * random_below(random, 3), 0);
}

matrix matrix_loose(random_state *random, size_t rows, size_t columns) {
    return create(random, rows, columns, columns + random_below(random, 5),
                  random_below(random, 16));
}

matrix matrix_zero_padded(random_state *random, size_t rows, size_t columns) {
    matrix m = matrix_padded(random, rows, columns);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = columns; j < padded(columns); j++) {
            m.at[i * m.ld + j] = 0.0F;
        }
    }
    return m;
}

matrix matrix_copy(const matrix *from) {
    matrix m = *from;
    m.memory = aligned_alloc(64, m.size * sizeof *m.memory);
    assert_non_null(m.memory);
    memcpy(m.memory, from->memory, m.size * sizeof *m.memory);
    m.at = m.memory + (from->at - from->memory);
    return m;
}

void matrix_free(matrix *m) {
    free(m->memory);
    *m = (matrix){0};
}

static bool agree(float got, float want, float tolerance) {
    if (tolerance == 0.0F) {
        return memcmp(&got, &want, sizeof got) == 0;
    }
    return fabsf(got - want) <= tolerance * (1.0F + fabsf(want)) || (isnan(got) && isnan(want));
}

void check_same(const char *what, const matrix *got, const matrix *want, float tolerance) {
    assert_int_equal(got->size, want->size);
    const size_t first = (size_t)(got->at - got->memory);
    for (size_t i = 0; i < got->size; i++) {
        size_t row = i < first || got->ld == 0 ? got->rows : (i - first) / got->ld;
        size_t column = row < got->rows ? (i - first) % got->ld : 0;
        bool inside = row < got->rows && column < got->columns;
        /* Outside both hold what was there before: NaN or a padding of zeros, bit for bit. */
        if (!agree(got->memory[i], want->memory[i], inside ? tolerance : 0.0F)) {
            fail_msg("%s: %zu x %zu, %s float %zu (row %zu, column %zu): %.9g, expected %.9g", what,
                     got->rows, got->columns, inside ? "inside," : "outside,", i, row, column,
                     (double)got->memory[i], (double)want->memory[i]);
        }
    }
}

void for_every_set(set_check *check) {
    const ramify_kernels *const *list;
    size_t count = ramify_kernels_list(&list);
    for (size_t s = 1; s < count; s++) {
        for (uint64_t round = 0; round < ROUNDS; round++) {
            random_state random = {.state = round * 1000003};
            check(list[s], &random);
        }
    }
}

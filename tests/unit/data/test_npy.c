/* NPY files: what is read, one bad file for each rule, and every cut. */

#include "data_support.h"

#include <stdio.h>

/* An NPY file of the given version; the header is padded as numpy does. Returns its size. */
static size_t make_npy(uint8_t *file, uint8_t version, const char *header, const void *numbers,
                       size_t bytes) {
    size_t start = version == 1 ? 10 : 12, length = strlen(header);
    size_t padded = (start + length + 1 + 63) / 64 * 64 - start;
    memcpy(file, "\x93NUMPY", 6);
    file[6] = version;
    file[7] = 0;
    for (size_t i = 0; i < start - 8; i++)
        file[8 + i] = (uint8_t)(padded >> 8 * i);
    memset(file + start, ' ', padded);
    memcpy(file + start, header, length);
    file[start + padded - 1] = '\n';
    if (bytes > 0)
        memcpy(file + start + padded, numbers, bytes);
    return start + padded + bytes;
}

static const double six[] = {1, 2, 3, 4.5, NAN, -6};

static void check_six(const ramify_table *table) {
    assert_int_equal(ramify_table_rows(table), 3);
    assert_int_equal(ramify_table_columns(table), 2);
    assert_string_equal(ramify_table_column(table, 1), "c2");
    assert_false(table->named);
    assert_true(data_value(table, 0, 0) == 1 && data_value(table, 1, 0) == 2);
    assert_true(data_value(table, 0, 1) == 3 && data_value(table, 1, 1) == 4.5);
    assert_true(isnan(data_value(table, 0, 2)) && data_value(table, 1, 2) == -6);
}

static void test_versions_and_spellings(void **state) {
    data_world *world = *state;
    static const char *const headers[] = {
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }",
        "{\"shape\": (3,2,), \"descr\": \"<f8\", \"fortran_order\": False}",
        "{ 'fortran_order' :False,'shape':( 3 , 2 ) , 'descr':'<f8'}  ",
    };
    for (uint8_t version = 1; version <= 3; version++)
        for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
            uint8_t file[512];
            size_t size = make_npy(file, version, headers[i], six, sizeof six);
            ramify_table *table = data_parse(world, file, size, NULL);
            check_six(table);
            ramify_table_destroy(&table);
            uint8_t *packed;
            size = data_gzip(file, size, &packed);
            table = data_parse(world, packed, size, NULL);
            check_six(table);
            ramify_table_destroy(&table);
            free(packed);
        }
}

static void test_column_order(void **state) {
    data_world *world = *state;
    static const double by_column[] = {1, 3, NAN, 2, 4.5, -6};
    uint8_t file[512];
    size_t size = make_npy(file, 1, "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2), }",
                           by_column, sizeof by_column);
    ramify_table *table = data_parse(world, file, size, NULL);
    check_six(table);
    ramify_table_destroy(&table);
}

static void test_types(void **state) {
    data_world *world = *state;
    static const float f4[] = {1.5f, -2};
    static const int32_t i4[] = {INT32_MIN, 7};
    static const int64_t i8[] = {-(INT64_C(1) << 40), 7};
    static const uint8_t u1[] = {0, 255};
    static const uint8_t big_f8[] = {0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t big_i4[] = {0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 1, 0};
    static const struct {
        const char *descr;
        const void *numbers;
        size_t bytes;
        ramify_number number;
        double first, second;
    } cases[] = {
        {"<f4", f4, sizeof f4, RAMIFY_NUMBER_F32, 1.5, -2},
        {"<i4", i4, sizeof i4, RAMIFY_NUMBER_I32, INT32_MIN, 7},
        {"<i8", i8, sizeof i8, RAMIFY_NUMBER_I64, -1099511627776.0, 7},
        {"|u1", u1, sizeof u1, RAMIFY_NUMBER_U8, 0, 255},
        {"<u1", u1, sizeof u1, RAMIFY_NUMBER_U8, 0, 255},
        {">f8", big_f8, sizeof big_f8, RAMIFY_NUMBER_F64, 1.5, -2},
        {">i4", big_i4, sizeof big_i4, RAMIFY_NUMBER_I32, -2, 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[100];
        uint8_t file[512];
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }",
                 cases[i].descr);
        size_t size = make_npy(file, 1, header, cases[i].numbers, cases[i].bytes);
        ramify_table *table = data_parse(world, file, size, NULL);
        assert_int_equal(ramify_table_columns(table), 1);
        assert_int_equal(table->columns[0].number, cases[i].number);
        assert_true(data_value(table, 0, 0) == cases[i].first);
        assert_true(data_value(table, 0, 1) == cases[i].second);
        ramify_table_destroy(&table);
    }
}

static void test_more_dimensions(void **state) {
    data_world *world = *state;
    uint8_t numbers[24], file[512];
    for (uint8_t i = 0; i < 24; i++)
        numbers[i] = i;
    size_t size =
        make_npy(file, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4), }", numbers,
                 sizeof numbers);
    ramify_table *table = data_parse(world, file, size, &(ramify_table_options){.image = "3x4"});
    assert_int_equal(ramify_table_columns(table), 12);
    assert_true(data_value(table, 5, 1) == 17);
    assert_int_equal(table->image[1], 4);
    ramify_table_destroy(&table);
}

static void test_categorical_option(void **state) {
    data_world *world = *state;
    uint8_t file[512];
    size_t size = make_npy(file, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }",
                           six, sizeof six);
    ramify_table *table =
        data_parse(world, file, size, &(ramify_table_options){.categorical = "c1"});
    assert_string_equal(data_text(table, 0, 0), "1");
    assert_string_equal(data_text(table, 0, 1), "3");
    assert_null(data_text(table, 0, 2));
    assert_true(data_value(table, 1, 2) == -6);
    ramify_table_destroy(&table);
    data_refuse(world, file, size, &(ramify_table_options){.categorical = "c1,c7"},
                RAMIFY_ERROR_DATA, "t.csv: there is no column \"c7\" to treat as a category");
}

#define NOT_A_HEADER                                                                               \
    "t.csv: the NPY header is not a dictionary of descr, fortran_order and shape (save it again "  \
    "with numpy.save)"

static void test_headers_that_are_refused(void **state) {
    data_world *world = *state;
    static const struct {
        const char *header;
        ramify_status status;
        const char *message;
    } cases[] = {
        {"", RAMIFY_ERROR_FORMAT, NOT_A_HEADER},
        {"{}", RAMIFY_ERROR_FORMAT, NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False}", RAMIFY_ERROR_FORMAT, NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)} x", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)}",
         RAMIFY_ERROR_FORMAT, NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), 'x': 1}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': 0, 'shape': (3, 2)}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3 2)}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3)}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2)}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         RAMIFY_ERROR_FORMAT, NOT_A_HEADER},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
         RAMIFY_ERROR_FORMAT, NOT_A_HEADER},
        {"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,)}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '<f8\\'', 'fortran_order': False, 'shape': (3, 2)}", RAMIFY_ERROR_FORMAT,
         NOT_A_HEADER},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3, 2)}", RAMIFY_ERROR_UNSUPPORTED,
         "t.csv: numbers of type \"|O\" are not read (save them as float32, float64, int32, int64 "
         "or uint8)"},
        {"{'descr': '', 'fortran_order': False, 'shape': (3, 2)}", RAMIFY_ERROR_UNSUPPORTED,
         "t.csv: numbers of type \"\" are not read (save them as float32, float64, int32, int64 or "
         "uint8)"},
        {"{'descr': '|f8', 'fortran_order': False, 'shape': (3, 2)}", RAMIFY_ERROR_UNSUPPORTED,
         "t.csv: numbers of type \"|f8\" are not read (save them as float32, float64, int32, int64 "
         "or uint8)"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': ()}", RAMIFY_ERROR_DATA,
         "t.csv: the array has no dimensions (a table needs rows)"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 5)}", RAMIFY_ERROR_DATA,
         "t.csv: the array is empty (dimension 1 is 0)"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (5, 0)}", RAMIFY_ERROR_DATA,
         "t.csv: the array is empty (dimension 2 is 0)"},
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2, 1)}", RAMIFY_ERROR_FORMAT,
         "t.csv: an array of more than two dimensions must be in C order (save it again with "
         "numpy.save)"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296,)}", RAMIFY_ERROR_LIMIT,
         "t.csv: 4294967296 rows are more than the 4294967295 allowed"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 262145)}", RAMIFY_ERROR_LIMIT,
         "t.csv: a row has more numbers than the 262144 columns allowed"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 4294967296, 4294967296)}",
         RAMIFY_ERROR_LIMIT, "t.csv: a row has more numbers than the 262144 columns allowed"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 60000)}",
         RAMIFY_ERROR_LIMIT,
         "t.csv: the table needs about 1.7 PiB of memory and the limit is 1.0 GiB (raise the "
         "memory limit, or use fewer rows or columns)"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2)}", RAMIFY_ERROR_FORMAT,
         "t.csv: the header promises 192 bytes and there are 176 (the file is cut short; copy or "
         "save it again)"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}", RAMIFY_ERROR_FORMAT,
         "t.csv: bytes follow the array of 160 bytes that the header promises (save the file "
         "again)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[512];
        size_t size = make_npy(file, 1, cases[i].header, six, sizeof six);
        data_refuse(world, file, size, NULL, cases[i].status, cases[i].message);
    }
}

static void test_starts_that_are_refused(void **state) {
    data_world *world = *state;
    const char *header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }";
    uint8_t file[512];
    size_t size = make_npy(file, 1, header, six, sizeof six);
    file[6] = 4;
    data_refuse(world, file, size, NULL, RAMIFY_ERROR_UNSUPPORTED,
                "t.csv: NPY version 4.0 is unknown (1.0, 2.0 and 3.0 are read)");
    file[6] = 1;
    file[7] = 1;
    data_refuse(world, file, size, NULL, RAMIFY_ERROR_UNSUPPORTED,
                "t.csv: NPY version 1.1 is unknown (1.0, 2.0 and 3.0 are read)");
    size = make_npy(file, 2, header, six, sizeof six);
    file[10] = 1;
    data_refuse(world, file, size, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the NPY header is longer than 64 KiB (save it again with numpy.save)");
    size = make_npy(file, 1, header, six, sizeof six);
    file[9] = 100;
    data_refuse(world, file, size, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the NPY file ends in its header (save it again with numpy.save)");
    size = make_npy(file, 1, header, six, sizeof six);
    file[100] = 0;
    data_refuse(world, file, size, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the NPY header holds a zero byte (save it again with numpy.save)");
}

static void test_infinite_numbers(void **state) {
    data_world *world = *state;
    static const float numbers[] = {1, 2, 3, -INFINITY};
    uint8_t file[512];
    size_t size = make_npy(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }",
                           numbers, sizeof numbers);
    data_refuse(world, file, size, NULL, RAMIFY_ERROR_DATA,
                "t.csv: column \"c2\", row 2: the number is infinite (write NaN if the value is "
                "missing)");
}

static void test_each_cut(void **state) {
    data_world *world = *state;
    uint8_t file[512], *packed;
    for (uint8_t version = 1; version <= 2; version++) {
        size_t size =
            make_npy(file, version, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }",
                     six, sizeof six);
        data_refuse_each_cut(world, file, size);
        size = data_gzip(file, size, &packed);
        data_refuse_each_cut(world, packed, size);
        free(packed);
    }
}

/* Compressed, a header that promises a gigabyte costs 16 MiB, not a gigabyte. */
static void test_header_that_lies(void **state) {
    data_world *world = *state;
    uint8_t file[512], *packed;
    size_t size =
        make_npy(file, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (60000000, 2), }", six,
                 sizeof six);
    size = data_gzip(file, size, &packed);
    world->peak = 0;
    data_refuse(world, packed, size, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the header promises 960000128 bytes and there are 176 (the file is cut "
                "short; copy or save it again)");
    assert_in_range(world->peak, 1, 20 << 20);
    free(packed);
}

typedef struct bytes {
    const uint8_t *start;
    size_t size;
} bytes;

static ramify_status read_again(data_world *world, void *argument) {
    const bytes *file = argument;
    ramify_table *table = NULL;
    ramify_table_options options = {.categorical = "c2"};
    ramify_status status =
        ramify_table_parse(world->context, file->start, file->size, "t.csv", &options, &table);
    ramify_table_destroy(&table);
    return status;
}

static void test_each_allocation_refused(void **state) {
    uint8_t file[512], *packed;
    size_t size = make_npy(file, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }",
                           six, sizeof six);
    data_refuse_each_allocation(*state, read_again, &(bytes){file, size});
    size = data_gzip(file, size, &packed);
    data_refuse_each_allocation(*state, read_again, &(bytes){packed, size});
    free(packed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions_and_spellings, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_column_order, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_types, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_more_dimensions, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_categorical_option, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_headers_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_starts_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_infinite_numbers, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_cut, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_header_that_lies, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* IDX files: what is read, one bad file for each rule, and every cut. */

#include "data_support.h"

/* An IDX header; returns its size. */
static size_t make_header(uint8_t *file, uint8_t type, uint8_t dimensions, const uint32_t *sizes) {
    file[0] = file[1] = 0;
    file[2] = type;
    file[3] = dimensions;
    for (size_t d = 0; d < dimensions; d++)
        for (size_t i = 0; i < 4; i++)
            file[4 + 4 * d + i] = (uint8_t)(sizes[d] >> (24 - 8 * i));
    return 4 + 4 * (size_t)dimensions;
}

static size_t make_images(uint8_t *file) {
    size_t size = make_header(file, 0x08, 3, (const uint32_t[]){2, 2, 3});
    for (uint8_t i = 0; i < 12; i++)
        file[size + i] = (uint8_t)(i * 20 + 35);
    return size + 12;
}

static void test_images(void **state) {
    data_world *world = *state;
    uint8_t file[64];
    size_t size = make_images(file);
    ramify_table *untold = data_parse(world, file, size, NULL);
    const uint32_t image[3] = {2, 3, 1};
    assert_memory_equal(untold->image, image, sizeof image);
    ramify_table_destroy(&untold);
    ramify_table *table = data_parse(world, file, size, &(ramify_table_options){.image = "2x3"});
    assert_int_equal(ramify_table_rows(table), 2);
    assert_int_equal(ramify_table_columns(table), 6);
    assert_string_equal(ramify_table_column(table, 0), "c1");
    assert_int_equal(table->columns[0].number, RAMIFY_NUMBER_U8);
    assert_true(fabs(data_value(table, 0, 0) - 35.0 / 255) < 1e-15);
    assert_true(fabs(data_value(table, 4, 1) - 235.0 / 255) < 1e-15);
    assert_true(data_value(table, 5, 1) == 1.0);
    ramify_table_destroy(&table);
    uint8_t *packed;
    size = data_gzip(file, size, &packed);
    table = data_parse(world, packed, size, NULL);
    assert_true(data_value(table, 5, 1) == 1.0);
    ramify_table_destroy(&table);
    free(packed);
}

/* A single column of bytes holds labels: not divided. */
static void test_labels(void **state) {
    data_world *world = *state;
    uint8_t file[64];
    size_t size = make_header(file, 0x08, 1, (const uint32_t[]){4});
    memcpy(file + size, "\x00\x07\x09\xFF", 4);
    ramify_table *table = data_parse(world, file, size + 4, NULL);
    assert_int_equal(ramify_table_columns(table), 1);
    assert_true(data_value(table, 0, 1) == 7 && data_value(table, 0, 3) == 255);
    ramify_table_destroy(&table);
}

static void test_types(void **state) {
    data_world *world = *state;
    static const struct {
        uint8_t type;
        uint8_t numbers[17];
        size_t bytes;
        ramify_number number;
        double first, second;
    } cases[] = {
        {0x0C, "\xFF\xFF\xFF\xFE\x00\x00\x01\x00", 8, RAMIFY_NUMBER_I32, -2, 256},
        {0x0D, "\x3F\xC0\x00\x00\xC0\x00\x00\x00", 8, RAMIFY_NUMBER_F32, 1.5, -2},
        {0x0E, "\x3F\xF8\x00\x00\x00\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x00", 16,
         RAMIFY_NUMBER_F64, 1.5, -2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[64];
        size_t size = make_header(file, cases[i].type, 2, (const uint32_t[]){1, 2});
        memcpy(file + size, cases[i].numbers, cases[i].bytes);
        ramify_table *table = data_parse(world, file, size + cases[i].bytes, NULL);
        assert_int_equal(table->columns[0].number, cases[i].number);
        assert_true(data_value(table, 0, 0) == cases[i].first);
        assert_true(data_value(table, 1, 0) == cases[i].second);
        ramify_table_destroy(&table);
    }
}

static void test_files_that_are_refused(void **state) {
    data_world *world = *state;
    static const struct {
        uint8_t type, dimensions;
        uint32_t sizes[9];
        ramify_status status;
        const char *message;
    } cases[] = {
        {0x09,
         1,
         {4},
         RAMIFY_ERROR_UNSUPPORTED,
         "t.csv: IDX numbers of type 0x09 are not read (bytes 0x08, int32 0x0C, float32 0x0D and "
         "float64 0x0E are)"},
        {0x0B,
         1,
         {4},
         RAMIFY_ERROR_UNSUPPORTED,
         "t.csv: IDX numbers of type 0x0B are not read (bytes 0x08, int32 0x0C, float32 0x0D and "
         "float64 0x0E are)"},
        {0x08,
         0,
         {0},
         RAMIFY_ERROR_FORMAT,
         "t.csv: an IDX file has 1 to 8 dimensions, this one says 0"},
        {0x08,
         9,
         {1, 1, 1, 1, 1, 1, 1, 1, 1},
         RAMIFY_ERROR_FORMAT,
         "t.csv: an IDX file has 1 to 8 dimensions, this one says 9"},
        {0x08, 2, {0, 3}, RAMIFY_ERROR_DATA, "t.csv: the array is empty (dimension 1 is 0)"},
        {0x08, 3, {4, 3, 0}, RAMIFY_ERROR_DATA, "t.csv: the array is empty (dimension 3 is 0)"},
        {0x08,
         3,
         {1, 65536, 65536},
         RAMIFY_ERROR_LIMIT,
         "t.csv: a row has more numbers than the 262144 columns allowed"},
        {0x0E,
         2,
         {UINT32_MAX, 65536},
         RAMIFY_ERROR_LIMIT,
         "t.csv: the table needs about 2.0 PiB of memory and the limit is 1.0 GiB (raise the "
         "memory limit, or use fewer rows or columns)"},
        {0x08,
         1,
         {13},
         RAMIFY_ERROR_FORMAT,
         "t.csv: the header promises 21 bytes and there are 20 (the file is cut short; copy or "
         "save it again)"},
        {0x08,
         1,
         {11},
         RAMIFY_ERROR_FORMAT,
         "t.csv: bytes follow the array of 19 bytes that the header promises (save the file "
         "again)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[128] = {0};
        size_t size = make_header(file, cases[i].type, cases[i].dimensions, cases[i].sizes);
        data_refuse(world, file, size + 12, NULL, cases[i].status, cases[i].message);
    }
}

static void test_each_cut(void **state) {
    data_world *world = *state;
    uint8_t file[64], *packed;
    size_t size = make_images(file);
    data_refuse(world, file, 10, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the IDX file ends in its header (copy or download it again)");
    data_refuse_each_cut(world, file, size);
    size = data_gzip(file, size, &packed);
    data_refuse_each_cut(world, packed, size);
    free(packed);
}

static ramify_status read_again(data_world *world, void *argument) {
    uint8_t file[64];
    (void)argument;
    size_t size = make_images(file);
    ramify_table *table = NULL;
    ramify_status status = ramify_table_parse(world->context, file, size, "t.csv", NULL, &table);
    ramify_table_destroy(&table);
    return status;
}

static void test_each_allocation_refused(void **state) {
    data_refuse_each_allocation(*state, read_again, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_images, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_labels, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_types, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_files_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_cut, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

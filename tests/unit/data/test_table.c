/* Tables from arrays, added columns, files, labels and images. */

#include "data_support.h"

#include <stdio.h>
#include <unistd.h>

static void test_from_floats(void **state) {
    data_world *world = *state;
    const float values[] = {1, 2, -1, 3, NAN, -1};
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_from_floats(world->context, values, 2, 2, 3, NULL, &table),
                     RAMIFY_OK);
    assert_int_equal(ramify_table_rows(table), 2);
    assert_int_equal(ramify_table_columns(table), 2);
    assert_string_equal(ramify_table_column(table, 1), "c2");
    assert_null(ramify_table_column(table, 2));
    assert_false(table->named);
    assert_true(data_value(table, 0, 1) == 3 && data_value(table, 1, 0) == 2);
    assert_true(isnan(data_value(table, 1, 1)));
    assert_true(ramify_column_missing(&table->columns[1], 1));
    assert_false(ramify_column_missing(&table->columns[1], 0));
    ramify_table_destroy(&table);
    assert_null(table);
    ramify_table_destroy(&table);
    ramify_table_destroy(NULL);
}

static void test_from_doubles(void **state) {
    data_world *world = *state;
    const double values[] = {1, 2, 3, 4};
    const char *const names[] = {"a", "b"};
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_from_doubles(world->context, values, 2, 2, 2, names, &table),
                     RAMIFY_OK);
    assert_true(table->named);
    assert_int_equal(ramify_table_find(table, "b", strlen("b")), 1);
    assert_true(ramify_table_find(table, "c", strlen("c")) == SIZE_MAX);
    assert_true(data_value(table, 1, 1) == 4);
    ramify_table_destroy(&table);
}

static void test_arrays_that_are_refused(void **state) {
    data_world *world = *state;
    const double values[] = {1, INFINITY, 3, 4};
    static const struct {
        size_t rows, columns, stride;
        const char *names[2];
        const char *message;
    } cases[] = {
        {0, 2, 2, {"a", "b"}, "a table of 0 rows and 2 columns is empty"},
        {2, 0, 2, {"a", "b"}, "a table of 2 rows and 0 columns is empty"},
        {2, 2, 1, {"a", "b"}, "a stride of 1 does not fit 2 rows of 2 columns"},
        {2,
         2,
         SIZE_MAX / 8,
         {"a", "b"},
         "a stride of 2305843009213693951 does not fit 2 rows of 2 columns"},
        {SIZE_MAX,
         1,
         1,
         {"a", "b"},
         "a table of 18446744073709551615 rows and 1 columns is too large (at most 4294967295 rows "
         "and 262144 columns)"},
        {2, 2, 2, {"a", "a"}, "table: two columns are named \"a\" (rename column 2)"},
        {2, 2, 2, {"a", ""}, "table: column 2 has no name (give it one)"},
        {2,
         2,
         2,
         {"a", "\x80"},
         "table: the name of column 2 is not valid UTF-8 (convert the file, for example with "
         "iconv)"},
        {2,
         2,
         2,
         {"a", "b"},
         "table: column \"b\", row 1: the number is infinite (write NaN if the value is missing)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_table *table = NULL;
        ramify_status status =
            ramify_table_from_doubles(world->context, values, cases[i].rows, cases[i].columns,
                                      cases[i].stride, cases[i].names, &table);
        assert_int_not_equal(status, RAMIFY_OK);
        assert_null(table);
        assert_string_equal(ramify_message(world->context), cases[i].message);
    }
}

static ramify_status add_columns(data_world *world, void *argument) {
    (void)argument;
    static const float values[] = {1, 2, 3};
    ramify_table *table = NULL;
    ramify_status status = ramify_table_from_floats(world->context, values, 3, 1, 1, NULL, &table);
    if (status == RAMIFY_OK)
        status = ramify_table_add_texts(world->context, table, "city",
                                        (const char *const[]){"Rome", NULL, "Rome"});
    if (status == RAMIFY_OK)
        status = ramify_table_add_doubles(world->context, table, "y", (const double[]){5, NAN, 7});
    if (status == RAMIFY_OK) {
        assert_int_equal(ramify_table_columns(table), 3);
        assert_string_equal(data_text(table, 1, 2), "Rome");
        assert_null(data_text(table, 1, 1));
        assert_int_equal(table->columns[1].text_count, 1);
        assert_true(isnan(data_value(table, 2, 1)));
        assert_true(data_value(table, 2, 2) == 7);
        assert_true(table->memory_bytes >= 3 * 4 + 3 * 8);
    }
    ramify_table_destroy(&table);
    return status;
}

static void test_added_columns(void **state) {
    data_world *world = *state;
    assert_int_equal(add_columns(world, NULL), RAMIFY_OK);
    data_refuse_each_allocation(world, add_columns, NULL);
}

static void test_added_columns_that_are_refused(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "a,b\n1,2\n3,4\n", NULL);
    const double good[] = {1, 2}, bad[] = {1, -INFINITY};
    assert_int_equal(ramify_table_add_doubles(world->context, table, "a", good), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(world->context),
                        "t.csv: there is a column \"a\" already (rename one of the two)");
    assert_int_equal(ramify_table_add_doubles(world->context, table, "", good), RAMIFY_ERROR_DATA);
    assert_int_equal(ramify_table_add_doubles(world->context, table, "x", bad), RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(world->context),
                        "t.csv: column \"x\", row 2: the number is infinite (write NaN if the "
                        "value is missing)");
    assert_int_equal(
        ramify_table_add_texts(world->context, table, "x", (const char *const[]){"ok", "\xFF"}),
        RAMIFY_ERROR_DATA);
    assert_string_equal(ramify_message(world->context),
                        "t.csv: column \"x\", row 2: the text is not valid UTF-8");
    assert_int_equal(ramify_table_columns(table), 2);
    assert_int_equal(ramify_table_add_doubles(world->context, table, "x", good), RAMIFY_OK);
    ramify_table_destroy(&table);
}

/* ---- files ---- */

/* A new file in the working folder, which the caller removes. */
static void write_file(char path[64], const void *bytes, size_t size) {
    snprintf(path, 64, "test_table_XXXXXX");
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, size), size);
    close(descriptor);
}

static void test_read_file(void **state) {
    data_world *world = *state;
    char path[64], message[200];
    write_file(path, "a,b\n1,2\n3,x\n", 12);
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_read(world->context, path, NULL, &table), RAMIFY_ERROR_DATA);
    snprintf(message, sizeof message,
             "%s:3: column \"b\": \"x\" is not a number (use --categorical b to treat it as a "
             "category)",
             path);
    assert_string_equal(ramify_message(world->context), message);
    ramify_table_options options = {.categorical = "b"};
    assert_int_equal(ramify_table_read(world->context, path, &options, &table), RAMIFY_OK);
    assert_string_equal(table->source, path);
    ramify_table_destroy(&table);
    unlink(path);
    assert_int_equal(ramify_table_read(world->context, path, NULL, &table), RAMIFY_ERROR_IO);
    snprintf(message, sizeof message, "%s: cannot be opened (No such file or directory)", path);
    assert_string_equal(ramify_message(world->context), message);
    assert_int_equal(ramify_table_read(world->context, ".", NULL, &table), RAMIFY_ERROR_IO);
    assert_string_equal(ramify_message(world->context),
                        ".: is a directory, where a file is needed");
}

static void test_read_standard_input(void **state) {
    data_world *world = *state;
    int ends[2], kept = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a,b\n1,2\n3,4\n", 12), 12);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    ramify_table *table = NULL;
    ramify_status status = ramify_table_read(world->context, "-", NULL, &table);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    }
    assert_int_equal(status, RAMIFY_OK);
    assert_string_equal(table->source, "standard input");
    assert_int_equal(ramify_table_rows(table), 2);
    ramify_table_destroy(&table);
}

/* ---- gzip ---- */

static void test_gzip(void **state) {
    data_world *world = *state;
    uint8_t *first, *second;
    size_t first_size = data_gzip("a,b\n1,2\n", 8, &first);
    size_t second_size = data_gzip("3,4\n", 4, &second);
    data_refuse_each_cut(world, first, first_size);
    uint8_t both[200];
    memcpy(both, first, first_size);
    memcpy(both + first_size, second, second_size);
    size_t size = first_size + second_size;
    memset(both + size, 0, 20); /* as tapes pad */
    ramify_table *table = data_parse(world, both, size + 20, NULL);
    assert_int_equal(ramify_table_rows(table), 2);
    assert_true(data_value(table, 1, 1) == 4);
    ramify_table_destroy(&table);
    both[size] = 'x';
    data_refuse(world, both, size + 1, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the gzip data is followed by something else (copy or compress the file "
                "again)");
    data_refuse(world, both, first_size + second_size - 1, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the gzip data ends in the middle (copy or compress the file again)");
    both[first_size - 6] ^= 1; /* its CRC */
    data_refuse(world, both, size, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: the gzip data is damaged (copy or compress the file again)");
    free(first);
    free(second);
}

/* A few kilobytes that unpack to 64 MiB: refused when the limit is reached, not when it hurts. */
static void test_gzip_bomb(void **state) {
    data_world *world = *state;
    data_world_limit(world, UINT64_C(1) << 20);
    enum { SIZE = 64 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < SIZE; i += 4)
        memcpy(text + i, "1,2\n", 4);
    uint8_t *packed;
    size_t size = data_gzip(text, SIZE, &packed);
    free(text);
    assert_true(size < 100000);
    world->peak = 0;
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_parse(world->context, packed, size, "t.csv", NULL, &table),
                     RAMIFY_ERROR_LIMIT);
    assert_in_range(world->peak, 1, 3 << 20);
    free(packed);
}

/* ---- labels and images ---- */

static void test_labels(void **state) {
    data_world *world = *state;
    static const struct {
        const char *labels, *first;
        ramify_header header;
    } good[] = {{"digit\n7\n8\n9\n", NULL, RAMIFY_HEADER_AUTO},
                {"7\n8\n9\n", NULL, RAMIFY_HEADER_AUTO},
                {"kind\nNew York\nRome\nOslo", "New York", RAMIFY_HEADER_AUTO},
                {"NA\n8\n9\n", NULL, RAMIFY_HEADER_AUTO}};
    char path[64];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        write_file(path, good[i].labels, strlen(good[i].labels));
        ramify_table *table =
            data_parse_text(world, "a,b\n1,2\n3,4\n5,6\n",
                            &(ramify_table_options){.labels = path, .header = good[i].header});
        unlink(path);
        assert_int_equal(ramify_table_columns(table), 3);
        assert_string_equal(ramify_table_column(table, 2), "label");
        if (good[i].first)
            assert_string_equal(data_text(table, 2, 0), good[i].first);
        else
            assert_true(data_value(table, 2, 2) == 9);
        ramify_table_destroy(&table);
    }
}

static void refuse_labels(data_world *world, const char *text, const char *labels,
                          const char *message) {
    char path[64], expected[300];
    int64_t blocks = world->blocks;
    write_file(path, labels, strlen(labels));
    ramify_table *table = NULL;
    ramify_table_options options = {.labels = path};
    ramify_status status =
        ramify_table_parse(world->context, text, strlen(text), "t.csv", &options, &table);
    unlink(path);
    assert_int_equal(status, RAMIFY_ERROR_DATA);
    snprintf(expected, sizeof expected, message, path);
    assert_string_equal(ramify_message(world->context), expected);
    assert_int_equal(world->blocks, blocks);
}

static void test_labels_that_are_refused(void **state) {
    data_world *world = *state;
    refuse_labels(world, "a,b\n1,2\n3,4\n", "1\n2\n3\n", "%s: 3 labels for the 2 rows of t.csv");
    refuse_labels(world, "a,b\n1,2\n3,4\n", "x\ny\n",
                  "%s: 1 labels for the 2 rows of t.csv (if line 1 is a label and no header, use "
                  "--header no)");
    refuse_labels(world, "a,b\n1,2\n3,4\n", "1,1\n2,2\n",
                  "%s: a file of labels has one column, this one has 2");
    refuse_labels(world, "a,label\n1,2\n3,4\n", "1\n2\n",
                  "t.csv: two columns are named \"label\" (rename column 3)");
    refuse_labels(world, "a,b\n1,2\n3,4\n", "", "%s: the file is empty");
}

static ramify_status read_with_labels(data_world *world, void *path) {
    static const char text[] = "a,b\n1,x\n3,y\n";
    ramify_table_options options = {.labels = path};
    ramify_table *table = NULL;
    ramify_status status =
        ramify_table_parse(world->context, text, sizeof text - 1, "t.csv", &options, &table);
    ramify_table_destroy(&table);
    return status;
}

static void test_labels_with_each_allocation_refused(void **state) {
    char path[64];
    write_file(path, "kind\nu\nv\n", 9);
    data_refuse_each_allocation(*state, read_with_labels, path);
    unlink(path);
}

static void test_image(void **state) {
    data_world *world = *state;
    static const char text[] = "1,2,3,4,5,6,7\n1,2,3,4,5,6,7\n";
    ramify_table *table = data_parse_text(world, text, &(ramify_table_options){.image = "1x2x3"});
    assert_int_equal(table->image[0], 1);
    assert_int_equal(table->image[1], 2);
    assert_int_equal(table->image[2], 3);
    ramify_table_destroy(&table);
    table = data_parse_text(world, text, &(ramify_table_options){.image = "7x1"});
    assert_int_equal(table->image[0], 7);
    assert_int_equal(table->image[2], 1);
    ramify_table_destroy(&table);
    data_refuse_text(world, text, &(ramify_table_options){.image = "2x2x2"},
                     "t.csv: an image of 2x2x2 has 8 numbers, but there are 7 columns");
    data_refuse_text(world, text, &(ramify_table_options){.image = "2x3", .labels = "none"},
                     "t.csv: an image of 2x3x1 has 6 numbers, but there are 7 columns");
    static const char *const wrong[] = {
        "",    "7",    "x7",   "7x",       "1x2x3x1",
        "0x7", "-1x7", "7x1 ", "1x262145", "1x99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char message[200];
        snprintf(message, sizeof message,
                 "image \"%s\" is not of the form HxW or HxWxC, such as 28x28", wrong[i]);
        data_refuse(world, text, strlen(text), &(ramify_table_options){.image = wrong[i]},
                    RAMIFY_ERROR_ARGUMENT, message);
    }
}

/* ---- cancelling and limits ---- */

static bool always(void *user) {
    (void)user;
    return true;
}

static void test_cancel(void **state) {
    (void)state;
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.cancel = always;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(&options, &context), RAMIFY_OK);
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < SIZE; i += 4)
        memcpy(text + i, "1,2\n", 4);
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_parse(context, text, SIZE, "t.csv", NULL, &table),
                     RAMIFY_STOPPED);
    free(text);
    assert_null(table);
    ramify_context_destroy(&context);
}

static void test_memory_limit_of_the_machine(void **state) {
    (void)state;
    ramify_context *context = NULL;
    assert_int_equal(ramify_context_create(NULL, &context), RAMIFY_OK);
    uint64_t limit = ramify_memory_limit(context);
    assert_true(limit > UINT64_C(1) << 20 && limit < UINT64_C(1) << 50);
    ramify_context_destroy(&context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_floats, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_from_doubles, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_arrays_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_added_columns, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_added_columns_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_read_file, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_read_standard_input, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_gzip, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_gzip_bomb, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_labels, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_labels_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_labels_with_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_image, data_world_setup, data_world_teardown),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_memory_limit_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

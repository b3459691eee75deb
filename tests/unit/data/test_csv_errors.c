/* Text tables that are refused: one for each rule, with the sentence that says so. */

#include "data_support.h"

#include "cells.h"

#include <stdio.h>

static void test_mixed_columns(void **state) {
    data_world *world = *state;
    data_refuse_text(world, "temp,n\n1,1\n2,2\nabc,3\n", NULL,
                     "t.csv:4: column \"temp\": \"abc\" is not a number (use --categorical temp to "
                     "treat it as a category)");
    /* The cell that is no number is named, also when it comes first. */
    data_refuse_text(world, "n,temp\n1,NA\n2,abc\n3,x\n4,7\n", NULL,
                     "t.csv:3: column \"temp\": \"abc\" is not a number (use --categorical temp to "
                     "treat it as a category)");
    data_refuse_text(world, "n,temp\n1,2\n\"2\",\"a\nb\"\n", NULL,
                     "t.csv:3: column \"temp\": \"a?b\" is not a number (use --categorical temp to "
                     "treat it as a category)");
    /* ... with the line on which that cell stands. */
    data_refuse_text(world, "n,temp\n\"a\n\nb\",abc\nc,7\n", NULL,
                     "t.csv:4: column \"temp\": \"abc\" is not a number (use --categorical temp to "
                     "treat it as a category)");
    data_refuse_text(world, "temp,n\n1,1\n0x10,2\n", NULL,
                     "t.csv:3: column \"temp\": \"0x10\" is not a number (use --categorical temp "
                     "to treat it as a category)");
    data_refuse_text(world, "temp;n\n1;1\n1,5;2\n", &(ramify_table_options){.delimiter = ";"},
                     "t.csv:3: column \"temp\": \"1,5\" is not a number (write numbers with a "
                     "decimal point)");
}

static void test_numbers_that_are_not_finite(void **state) {
    data_world *world = *state;
    static const char *const words[] = {"inf", "-Inf", "+INFINITY", "1e999", "-1.5E+400"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[64], message[200];
        snprintf(text, sizeof text, "n,x\n1,2\n2,%s\n", words[i]);
        snprintf(message, sizeof message,
                 "t.csv:3: column \"x\": \"%s\" is not a finite number (leave the cell empty if "
                 "the value is missing)",
                 words[i]);
        data_refuse_text(world, text, NULL, message);
    }
}

static void test_header_that_was_not_taken(void **state) {
    data_world *world = *state;
    data_refuse_text(world, "id,2020\n1,1\n", NULL,
                     "t.csv:1: column \"c1\": \"id\" is not a number (use --categorical c1 to "
                     "treat it as a category; line 1 is no header because its cell 2 is a number: "
                     "see --header)");
    data_refuse_text(world, ",b\n1,1\n", NULL,
                     "t.csv:1: column \"c2\": \"b\" is not a number (use --categorical c2 to treat "
                     "it as a category; line 1 is no header because its cell 1 is empty: see "
                     "--header)");
    data_refuse_text(world, "a,b,a\n1,1,1\n", NULL,
                     "t.csv:1: column \"c1\": \"a\" is not a number (use --categorical c1 to treat "
                     "it as a category; line 1 is no header because its cell 3 repeats another: "
                     "see --header)");
}

static void test_names(void **state) {
    data_world *world = *state;
    ramify_table_options yes = {.header = RAMIFY_HEADER_YES};
    data_refuse_text(world, "a,b,a\n1,1,1\n", &yes,
                     "t.csv: two columns are named \"a\" (rename column 3)");
    data_refuse_text(world, "c2,\n1,1\n", &yes,
                     "t.csv: two columns are named \"c2\" (rename column 2)");
    data_refuse_text(world, "a,b\xFF\n1,1\n", NULL,
                     "t.csv: the name of column 2 is not valid UTF-8 (convert the file, for "
                     "example with iconv)");
    data_refuse_text(world, "a,b\n1,1\n", &(ramify_table_options){.categorical = "a,nobody"},
                     "t.csv: there is no column \"nobody\" to treat as a category");
    char text[RAMIFY_NAME_BYTES + 16] = "a,";
    memset(text + 2, 'n', RAMIFY_NAME_BYTES + 1);
    memcpy(text + 2 + RAMIFY_NAME_BYTES + 1, "\n1,1\n", 6);
    data_refuse_text(world, text, NULL,
                     "t.csv: the name of column 2 has 1025 bytes, more than the 1024 allowed "
                     "(shorten it)");
}

static void test_ragged_rows(void **state) {
    data_world *world = *state;
    data_refuse_text(world, "a,b,c\n1,2,3\n1,2\n", NULL,
                     "t.csv:3: 2 cells, where line 1 has 3 (cells are taken to be separated by "
                     "commas: give another --delimiter, or check the quotes)");
    data_refuse_text(world, "\n1,2,3\n\n1,2,3,x,\n", NULL,
                     "t.csv:4: 5 cells, where line 2 has 3 (cells are taken to be separated by "
                     "commas: give another --delimiter, or check the quotes)");
    data_refuse_text(world, "a b\n1 2\n1 2 3", NULL,
                     "t.csv:3: 3 cells, where line 1 has 2 (cells are taken to be separated by "
                     "blanks: give another --delimiter, or check the quotes)");
    data_refuse_text(world, "a\n1\n2,3\n", NULL,
                     "t.csv:3: 2 cells, where line 1 has 1 (cells are taken to be separated by "
                     "commas: give another --delimiter, or check the quotes)");
    data_refuse_text(world, "a,b\n1,x\n\"1\n\n\",\"\"\n1,\n3\n",
                     &(ramify_table_options){.categorical = "a"},
                     "t.csv:7: 1 cells, where line 1 has 2 (cells are taken to be separated by "
                     "commas: give another --delimiter, or check the quotes)");
}

static void test_empty_files(void **state) {
    data_world *world = *state;
    data_refuse_text(world, "", NULL, "t.csv: the file is empty");
    data_refuse_text(world, "\n \r\n\n", NULL, "t.csv: the file has only empty lines");
    data_refuse_text(world, "\xEF\xBB\xBF", NULL, "t.csv: the file has only empty lines");
    data_refuse_text(world, "a,b\n\n", NULL,
                     "t.csv: the file has a header and no rows (if line 1 is a row, use --header "
                     "no)");
}

static void test_quotes(void **state) {
    data_world *world = *state;
    data_refuse_text(world, "a,b\n1,\"x\n2,y\n", NULL,
                     "t.csv:2: the quote that opens here is never closed");
    data_refuse_text(world, "a,b\n1,\"x\"\"", NULL,
                     "t.csv:2: the quote that opens here is never closed");
    data_refuse_text(world, "a,b\n1,\"x\"y\n", NULL,
                     "t.csv:2: text follows a closing quote (a quote inside a quoted cell is "
                     "written \"\")");
}

static void test_what_is_no_text(void **state) {
    data_world *world = *state;
    static const char zero[] = "a,b\n1,x\n2,x\0y\n", quoted[] = "a,b\n1,\"\0\"\n",
                      number[] = "a\n1\n2\0\n";
    data_refuse(world, zero, sizeof zero - 1, NULL, RAMIFY_ERROR_DATA,
                "t.csv:3: a cell holds a zero byte (is this a text file in UTF-8?)");
    data_refuse(world, quoted, sizeof quoted - 1, NULL, RAMIFY_ERROR_DATA,
                "t.csv:2: a cell holds a zero byte (is this a text file in UTF-8?)");
    data_refuse(world, number, sizeof number - 1, NULL, RAMIFY_ERROR_DATA,
                "t.csv:3: a cell holds a zero byte (is this a text file in UTF-8?)");
    data_refuse_text(world, "a,b\n1,x\n2,\xC3\n", NULL,
                     "t.csv:3: column \"b\": the text is not valid UTF-8 (convert the file, for "
                     "example with iconv)");
    data_refuse_text(world, "a,b\r1,2\r", NULL,
                     "t.csv:1: a carriage return stands inside the line (lines must end with LF "
                     "or CRLF)");
    static const char utf16[] = "\xFF\xFE"
                                "a\0,\0b\0";
    data_refuse(world, utf16, sizeof utf16 - 1, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: is UTF-16 text; save it as UTF-8");
    data_refuse(world, "PK\003\004....", 8, NULL, RAMIFY_ERROR_FORMAT,
                "t.csv: is a zip archive (.npz, .xlsx); save the table as CSV or one array as NPY");
}

static void test_delimiter_option(void **state) {
    data_world *world = *state;
    static const char *const wrong[] = {"", "ab", "e", "7", ".", "-", "\"", "\n", "\xC3\xA9"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ramify_table *table = NULL;
        ramify_table_options options = {.delimiter = wrong[i]};
        assert_int_equal(
            ramify_table_parse(world->context, "a,b\n1,2\n", 8, "t.csv", &options, &table),
            RAMIFY_ERROR_ARGUMENT);
    }
    data_refuse(world, "a,b\n1,2\n", 8, &(ramify_table_options){.delimiter = "ab"},
                RAMIFY_ERROR_ARGUMENT,
                "delimiter \"ab\" is not one character that can separate cells, such as , ; | tab "
                "or blank");
}

static char *filled(size_t size, char with, const char *start) {
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, with, size);
    memcpy(text, start, strlen(start));
    text[size] = '\0';
    return text;
}

static void test_caps(void **state) {
    data_world *world = *state;
    char *text = filled(RAMIFY_CELL_BYTES + 100, 'x', "a,b\n1,y\n2,");
    data_refuse_text(world, text, NULL, "t.csv:3: a cell has more than 1 MiB (is this a table?)");
    free(text);
    text = filled(RAMIFY_CELL_BYTES + 100, 'x', "a,b\n1,y\n2,\"");
    data_refuse_text(world, text, NULL,
                     "t.csv:3: a quoted cell has more than 1 MiB (is its quote ever closed?)");
    free(text);
    text = filled(RAMIFY_RECORD_BYTES + 100, ',', "a,b\n1,2\n");
    data_refuse_text(world, text, NULL,
                     "t.csv:3: the line is longer than 16 MiB (is this a table, and every quote "
                     "closed?)");
    free(text);
    text = filled(RAMIFY_COLUMNS_MAX + 1, ',', "");
    data_refuse(world, text, strlen(text), NULL, RAMIFY_ERROR_LIMIT,
                "t.csv:1: 262146 columns are more than the 262144 allowed");
    free(text);
}

/* Far too many rows are refused when a part has been read; a few too many when they come. */
static void test_memory_limit(void **state) {
    data_world *world = *state;
    enum { ROWS = 1000000 };
    char *text = malloc((size_t)ROWS * 16);
    assert_non_null(text);
    size_t used = 0;
    for (int r = 0; r < ROWS; r++)
        used += (size_t)snprintf(text + used, 16, "%d,%d\n", 10 + r % 10, 10 + r % 7);
    data_world_limit(world, UINT64_C(8) << 20);
    world->peak = 0;
    data_refuse(world, text, used, NULL, RAMIFY_ERROR_LIMIT,
                "t.csv: the table needs about 15.3 MiB of memory and the limit is 8.0 MiB (raise "
                "the memory limit, or use fewer rows or columns)");
    assert_in_range(world->peak, 1, 1 << 20);

    /* 12600 rows of 16 bytes fit, with less to spare than arrays usually get; 13000 do not. */
    data_world_limit(world, UINT64_C(200) << 10);
    ramify_table *table = data_parse(world, text, (size_t)12600 * 6, NULL);
    assert_int_equal(ramify_table_rows(table), 12600);
    assert_in_range(table->memory_bytes, 12600 * 16, 200 << 10);
    ramify_table_destroy(&table);
    ramify_status status =
        ramify_table_parse(world->context, text, (size_t)13000 * 6, "t.csv", NULL, &table);
    assert_int_equal(status, RAMIFY_ERROR_LIMIT);
    free(text);
}

static void test_memory_limit_of_texts(void **state) {
    data_world *world = *state;
    data_world_limit(world, UINT64_C(64) << 10);
    char *text = malloc(200000);
    assert_non_null(text);
    size_t used = 0;
    for (int r = 0; r < 4000; r++)
        used += (size_t)snprintf(text + used, 40, "x,a rather long text %d\n", r);
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_parse(world->context, text, used, "t.csv", NULL, &table),
                     RAMIFY_ERROR_LIMIT);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mixed_columns, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_numbers_that_are_not_finite, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_header_that_was_not_taken, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_names, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_ragged_rows, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_empty_files, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_quotes, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_text, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_delimiter_option, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_caps, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_memory_limit, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_memory_limit_of_texts, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

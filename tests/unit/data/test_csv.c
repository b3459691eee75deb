/* Text tables that are as they should be: what is read from them. */

#include "data_support.h"

#include "cells.h"
#include "random.h"

#include <stdio.h>

static void check_names(const ramify_table *table, size_t count, const char *const *names) {
    assert_int_equal(ramify_table_columns(table), count);
    for (size_t c = 0; c < count; c++)
        assert_string_equal(ramify_table_column(table, c), names[c]);
    assert_null(ramify_table_column(table, count));
}

/* The table of the next tests, however it is written. */
static void check_small(const ramify_table *table) {
    check_names(table, 3, (const char *const[]){"temp", "city", "n"});
    assert_int_equal(ramify_table_rows(table), 3);
    assert_true(table->named);
    assert_true(data_value(table, 0, 0) == 1.5);
    assert_true(isnan(data_value(table, 0, 1)));
    assert_true(data_value(table, 0, 2) == -2e3);
    assert_string_equal(data_text(table, 1, 0), "Rome");
    assert_string_equal(data_text(table, 1, 1), "Oslo");
    assert_string_equal(data_text(table, 1, 2), "Rome");
    assert_int_equal(table->columns[1].text_count, 2);
    assert_true(data_value(table, 2, 2) == 9);
}

static void test_delimiters(void **state) {
    data_world *world = *state;
    static const char *const texts[] = {
        "temp,city,n\n1.5,Rome,7\n,Oslo,8\n-2e3,Rome,9\n",
        "temp\tcity\tn\n1.5\tRome\t7\n\tOslo\t8\n-2e3\tRome\t9\n",
        "temp;city;n\n1.5;Rome;7\n;Oslo;8\n-2e3;Rome;9\n",
        "  temp city   n \n1.5  Rome \t7\n NA Oslo 8  \n-2e3 Rome 9\n",
        "temp,city,n\r\n1.5,Rome,7\r\nNA,Oslo,8\r\n-2e3,Rome,9",
        "temp,city,n\r\n1.5,Rome,7\r\nNA,Oslo,8\r\n-2e3,Rome,9\r",
        "\n \ntemp,city,n\n\n1.5,Rome,7\n  \n?,Oslo,8\n-2e3,Rome,9\n\n\n",
        "\xEF\xBB\xBFtemp,city,n\n1.5,Rome,7\nnull,Oslo,8\n-2e3,Rome,9\n",
        "\"temp\",\"city\",\"n\"\n\"1.5\", \"Rome\" ,\"7\"\n\"\",\"Oslo\",\"8\"\n\" -2e3 \",Rome,9",
        " temp , city , n \n 1.5 , Rome , 7 \n  , Oslo , 8 \n -2e3 , Rome , 9 ",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ramify_table *table = data_parse_text(world, texts[i], NULL);
        check_small(table);
        ramify_table_destroy(&table);
        assert_null(table);
    }
}

static void test_delimiter_option(void **state) {
    data_world *world = *state;
    static const struct {
        const char *delimiter, *text;
    } cases[] = {{"|", "temp|city|n\n1.5|Rome|7\n|Oslo|8\n-2e3|Rome|9\n"},
                 {"\\t", "temp\tcity\tn\n1.5\tRome\t7\n\tOslo\t8\n-2e3\tRome\t9\n"},
                 {"\t", "temp\tcity\tn\n1.5\tRome\t7\n\tOslo\t8\n-2e3\tRome\t9\n"},
                 {" ", "temp city n\n1.5 Rome  7\nNA\tOslo 8\n-2e3 Rome 9\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_table *table = data_parse_text(
            world, cases[i].text, &(ramify_table_options){.delimiter = cases[i].delimiter});
        check_small(table);
        ramify_table_destroy(&table);
    }
    /* With a comma, blanks are part of a name. */
    ramify_table *table = data_parse_text(world, "home town\nNew York\nRome\n",
                                          &(ramify_table_options){.delimiter = ","});
    check_names(table, 1, (const char *const[]){"home town"});
    assert_string_equal(data_text(table, 0, 0), "New York");
    ramify_table_destroy(&table);
}

static void test_quotes(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world,
                                          "name,\"say \"\"hi\"\"\"\n"
                                          "\"a,b\",1\n"
                                          "\"two\nlines\",2\n"
                                          "\"\"\"\",3\n"
                                          "5\" pipe,4\n"
                                          "\" kept \",5\n",
                                          NULL);
    check_names(table, 2, (const char *const[]){"name", "say \"hi\""});
    static const char *const texts[] = {"a,b", "two\nlines", "\"", "5\" pipe", " kept "};
    for (size_t r = 0; r < 5; r++) {
        assert_string_equal(data_text(table, 0, r), texts[r]);
        assert_true(data_value(table, 1, r) == (double)r + 1);
    }
    ramify_table_destroy(&table);
}

static void test_header_rules(void **state) {
    data_world *world = *state;
    static const struct {
        const char *text;
        ramify_header header;
        bool named;
        size_t rows;
    } cases[] = {
        {"a,b\n1,2\n", RAMIFY_HEADER_AUTO, true, 1},   {"1,2\n3,4\n", RAMIFY_HEADER_AUTO, false, 2},
        {"a,2\nb,4\n", RAMIFY_HEADER_AUTO, false, 2},  /* a number */
        {"a,\nb,4\n", RAMIFY_HEADER_AUTO, false, 2},   /* an empty cell */
        {"a,NA\nb,4\n", RAMIFY_HEADER_AUTO, false, 2}, /* a missing one */
        {"a,a\nb,c\n", RAMIFY_HEADER_AUTO, false, 2},  /* not all differ */
        {"1,2\n3,4\n", RAMIFY_HEADER_YES, true, 1},    {"a,b\nc,d\n", RAMIFY_HEADER_NO, false, 2},
        {",x\n3,4\n", RAMIFY_HEADER_YES, true, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_table *table = data_parse_text(world, cases[i].text,
                                              &(ramify_table_options){.header = cases[i].header});
        assert_int_equal(table->named, cases[i].named);
        assert_int_equal(ramify_table_rows(table), cases[i].rows);
        if (!cases[i].named)
            check_names(table, 2, (const char *const[]){"c1", "c2"});
        ramify_table_destroy(&table);
    }
    ramify_table *table =
        data_parse_text(world, ",x\n3,4\n", &(ramify_table_options){.header = RAMIFY_HEADER_YES});
    check_names(table, 2, (const char *const[]){"c1", "x"});
    ramify_table_destroy(&table);
}

static void test_categorical_option(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "zip,n,mix\n01,1,3\n1,2,x\nNA,3,\n01,4,inf\n",
                                          &(ramify_table_options){.categorical = "mix, zip"});
    assert_string_equal(data_text(table, 0, 0), "01");
    assert_string_equal(data_text(table, 0, 1), "1");
    assert_null(data_text(table, 0, 2));
    assert_string_equal(data_text(table, 2, 0), "3");
    assert_string_equal(data_text(table, 2, 3), "inf");
    assert_int_equal(table->columns[0].text_count, 2);
    assert_true(data_value(table, 1, 3) == 4);
    ramify_table_destroy(&table);
}

static void test_columns_that_start_with_missing_values(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "a,b,c\n,NA,\n?,null,\n1,x,\n", NULL);
    assert_true(isnan(data_value(table, 0, 0)) && isnan(data_value(table, 0, 1)));
    assert_true(data_value(table, 0, 2) == 1);
    assert_null(data_text(table, 1, 0));
    assert_null(data_text(table, 1, 1));
    assert_string_equal(data_text(table, 1, 2), "x");
    for (size_t r = 0; r < 3; r++)
        assert_true(isnan(data_value(table, 2, r)));
    assert_string_equal(world->log, "");
    ramify_table_destroy(&table);
}

static void test_one_column(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "y\n1\n\"\"\n3\n", NULL);
    assert_int_equal(ramify_table_rows(table), 3);
    assert_true(isnan(data_value(table, 0, 1)));
    assert_true(data_value(table, 0, 2) == 3);
    ramify_table_destroy(&table);
}

static void test_decimal_commas_are_warned_about(void **state) {
    data_world *world = *state;
    ramify_table *table =
        data_parse_text(world, "a;b\n1,5;1\n2,5;2\n", &(ramify_table_options){.delimiter = ";"});
    assert_string_equal(world->log,
                        "t.csv: column \"a\" looks like numbers with a decimal comma, but is read "
                        "as categories (write numbers with a decimal point)\n");
    assert_string_equal(data_text(table, 0, 1), "2,5");
    ramify_table_destroy(&table);
}

/* Tens of thousands of rows: more than one buffer, arrays that grow, cells cut at every place. */
static void test_many_rows(void **state) {
    data_world *world = *state;
    enum { ROWS = 40000 };
    size_t room = (size_t)ROWS * 64, used = 0;
    char *text = malloc(room);
    assert_non_null(text);
    used += (size_t)snprintf(text, room, "row,square,name,late,note\n");
    for (int r = 0; r < ROWS; r++) {
        char late[16] = "";
        if (r >= ROWS / 2)
            snprintf(late, sizeof late, "%d", r);
        used += (size_t)snprintf(text + used, room - used, "%d,%d.25,n%d,%s,\"q\"\"\n%d\"\n", r,
                                 r % 1000, r % 777, late, r % 3);
    }
    uint8_t *packed;
    size_t packed_size = data_gzip(text, used, &packed);
    for (int compressed = 0; compressed < 2; compressed++) {
        ramify_table *table = compressed ? data_parse(world, packed, packed_size, NULL)
                                         : data_parse(world, text, used, NULL);
        assert_int_equal(ramify_table_rows(table), ROWS);
        assert_int_equal(table->columns[2].text_count, 777);
        assert_int_equal(table->columns[4].text_count, 3);
        for (size_t r = 0; r < ROWS; r++) {
            char name[16], note[16];
            snprintf(name, sizeof name, "n%zu", r % 777);
            snprintf(note, sizeof note, "q\"\n%zu", r % 3);
            assert_true(data_value(table, 0, r) == (double)r);
            assert_true(data_value(table, 1, r) == (double)(r % 1000) + 0.25);
            assert_string_equal(data_text(table, 2, r), name);
            assert_string_equal(data_text(table, 4, r), note);
            if (r < ROWS / 2)
                assert_true(isnan(data_value(table, 3, r)));
            else
                assert_true(data_value(table, 3, r) == (double)r);
        }
        ramify_table_destroy(&table);
    }
    free(packed);
    free(text);
}

/* A record longer than the buffer makes it grow; every place of a cell meets the buffer's end. */
static void test_long_records(void **state) {
    data_world *world = *state;
    enum { COLUMNS = 60000 };
    size_t room = (size_t)COLUMNS * 3 * 12, used = 0;
    char *text = malloc(room);
    assert_non_null(text);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < COLUMNS; c++)
            used += (size_t)snprintf(text + used, room - used, "%d.%d%c", c, r,
                                     c + 1 < COLUMNS ? ',' : '\n');
    ramify_table *table = data_parse(world, text, used, NULL);
    assert_int_equal(ramify_table_columns(table), COLUMNS);
    assert_int_equal(ramify_table_rows(table), 3);
    for (size_t c = 0; c < COLUMNS; c++)
        for (size_t r = 0; r < 3; r++) {
            char expected[32];
            snprintf(expected, sizeof expected, "%zu.%zu", c, r);
            assert_true(data_value(table, c, r) == strtod(expected, NULL));
        }
    ramify_table_destroy(&table);
    free(text);
}

/* Cells against a second, naive way of cutting the same text. */
static void test_random_cells(void **state) {
    data_world *world = *state;
    ramify_random random = ramify_random_stream(4, RAMIFY_PURPOSE_CONTROL, 0, 0);
    static const char *const pieces[] = {
        "x", "long text with blanks", "a,b", "say \"hi\"", "two\nlines", "\xC3\xA9", "NA", "", "0x",
        "-"};
    for (int round = 0; round < 300; round++) {
        size_t columns = 2 + (size_t)ramify_random_below(&random, 5);
        size_t rows = 1 + (size_t)ramify_random_below(&random, 20);
        char text[20000];
        const char *cells[20][6];
        size_t used = 0;
        for (size_t c = 0; c < columns; c++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%sh%zu", c ? "," : "", c);
        const char *line_end = round % 2 ? "\r\n" : "\n";
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                cells[r][c] = pieces[ramify_random_below(&random, 10)];
                used +=
                    (size_t)snprintf(text + used, sizeof text - used, "%s\"", c ? "," : line_end);
                for (const char *p = cells[r][c]; *p; p++) {
                    if (*p == '"')
                        text[used++] = '"';
                    text[used++] = *p;
                }
                text[used++] = '"';
            }
        ramify_table *table = data_parse(world, text, used, NULL);
        assert_int_equal(ramify_table_rows(table), rows);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) {
                bool missing = cells[r][c][0] == '\0' || strcmp(cells[r][c], "NA") == 0;
                if (!table->columns[c].text)
                    assert_true(missing && isnan(data_value(table, c, r)));
                else if (missing)
                    assert_null(data_text(table, c, r));
                else
                    assert_string_equal(data_text(table, c, r), cells[r][c]);
            }
        ramify_table_destroy(&table);
    }
}

static ramify_status read_again(data_world *world, void *argument) {
    ramify_table *table = NULL;
    const char *text = argument;
    ramify_status status =
        ramify_table_parse(world->context, text, strlen(text), "t.csv", NULL, &table);
    ramify_table_destroy(&table);
    return status;
}

static void test_each_allocation_refused(void **state) {
    char text[4096] = "a,b,c\n";
    size_t used = strlen(text);
    for (int r = 0; r < 100; r++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%d,w%d,\"\"\"%d\"\n", r, r, r);
    data_refuse_each_allocation(*state, read_again, text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delimiters, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_delimiter_option, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_quotes, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_header_rules, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_categorical_option, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_columns_that_start_with_missing_values,
                                        data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_one_column, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_decimal_commas_are_warned_about, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_many_rows, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_long_records, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_random_cells, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Finding a schema's columns in a table, and the raw rows and targets that come out. */

#include "data_support.h"

#include <stdio.h>

static ramify_schema *learn(data_world *world, const char *text,
                            const ramify_schema_request *request) {
    ramify_table *table = data_parse_text(world, text, NULL);
    ramify_schema *schema = NULL;
    if (ramify_schema_infer(world->context, table, request, &schema) != RAMIFY_OK)
        fail_msg("%s", ramify_message(world->context));
    ramify_table_destroy(&table);
    world->log[0] = '\0';
    return schema;
}

static ramify_match *match(data_world *world, const ramify_schema *schema,
                           const ramify_table *table, bool need_targets) {
    ramify_match *made = NULL;
    ramify_clear(world->context);
    if (ramify_match_create(world->context, schema, table, need_targets, &made) != RAMIFY_OK)
        fail_msg("%s", ramify_message(world->context));
    return made;
}

static void refuse(data_world *world, const ramify_schema *schema, const char *text,
                   const ramify_table_options *options, bool need_targets, const char *message) {
    ramify_table *table = data_parse_text(world, text, options);
    ramify_match *made = NULL;
    ramify_status status = ramify_match_create(world->context, schema, table, need_targets, &made);
    assert_string_equal(ramify_message(world->context), message);
    assert_int_equal(status, RAMIFY_ERROR_DATA);
    assert_null(made);
    ramify_table_destroy(&table);
}

static const char training[] = "temp,city,zip,bikes\n"
                               "1.5,Rome,10,100\n"
                               "2.5,Oslo,20,200\n"
                               "3.5,Rome,30,300\n";

static void test_by_name(void **state) {
    data_world *world = *state;
    ramify_schema *schema = learn(world, training, &(ramify_schema_request){.target = "bikes"});
    ramify_table *table = data_parse_text(world,
                                          "x,bikes,city,zip,temp,more\n"
                                          "0,7,Oslo,1,-1,0\n"
                                          "0,,Bern,2,,0\n"
                                          "0,9,,3,4,0\n",
                                          NULL);
    ramify_match *made = match(world, schema, table, false);
    assert_string_equal(world->log,
                        "t.csv: 2 columns that the model does not use are ignored (\"x\", ...)\n"
                        "t.csv: column \"city\": 1 of 3 rows hold a category that the model has "
                        "not seen; they are treated as \"other\"\n");
    double rows[9];
    ramify_match_rows(made, NULL, 0, 3, rows);
    assert_true(rows[0] == -1 && rows[1] == 1 && rows[2] == 1);
    assert_true(isnan(rows[3]) && rows[4] == 2 && rows[5] == 2); /* unseen: other */
    assert_true(rows[6] == 4 && rows[7] == 2 && rows[8] == 3);   /* missing: other */
    ramify_match_rows(made, (const uint32_t[]){2, 0}, 0, 2, rows);
    assert_true(rows[0] == 4 && rows[3] == -1);
    ramify_match_rows(made, NULL, 2, 1, rows);
    assert_true(rows[0] == 4);
    assert_true(ramify_match_target(made, 0, 0) == 7);
    assert_true(isnan(ramify_match_target(made, 0, 1)));
    ramify_match_destroy(world->context, &made);
    assert_null(made);
    ramify_match_destroy(world->context, &made);
    ramify_table_destroy(&table);
    ramify_schema_destroy(world->context, &schema);
}

static void test_without_target(void **state) {
    data_world *world = *state;
    ramify_schema *schema = learn(world, training, &(ramify_schema_request){.target = "bikes"});
    const char *text = "temp,zip,city\n1,2,Rome\n";
    ramify_table *table = data_parse_text(world, text, NULL);
    ramify_match *made = match(world, schema, table, false);
    assert_string_equal(world->log, "");
    assert_true(isnan(ramify_match_target(made, 0, 0)));
    ramify_match_destroy(world->context, &made);
    ramify_table_destroy(&table);
    refuse(world, schema, text, NULL, true, "t.csv: the target column \"bikes\" is missing");
    ramify_schema_destroy(world->context, &schema);
}

static void test_training_table_gets_no_warning(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, training, NULL);
    ramify_schema *schema = NULL;
    assert_int_equal(ramify_schema_infer(world->context, table,
                                         &(ramify_schema_request){.target = "bikes", .drop = "zip"},
                                         &schema),
                     RAMIFY_OK);
    ramify_match *made = NULL;
    assert_int_equal(ramify_match_create_training(world->context, schema, table, &made), RAMIFY_OK);
    assert_string_equal(world->log, "");
    ramify_match_destroy(world->context, &made);
    made = match(world, schema, table, true);
    assert_string_equal(world->log,
                        "t.csv: 1 column that the model does not use is ignored (\"zip\")\n");
    ramify_match_destroy(world->context, &made);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

static void test_what_is_refused(void **state) {
    data_world *world = *state;
    ramify_schema *schema = learn(world, training, &(ramify_schema_request){.target = "bikes"});
    refuse(world, schema, "city,zip\nRome,1\n", NULL, false,
           "t.csv: column \"temp\", which the model needs, is missing");
    refuse(world, schema, "city,zip,temp\nRome,1,NA\nRome,1,cold\n", NULL, false,
           "t.csv: column \"temp\", row 2: \"cold\" is not a number, and the model takes numbers "
           "here");
    refuse(world, schema, "city,zip,temp\nRome,1,5\n",
           &(ramify_table_options){.categorical = "temp"}, false,
           "t.csv: column \"temp\", row 1: \"5\" is read as a category, and the model takes "
           "numbers here");
    refuse(world, schema, "city,zip,temp,bikes\nRome,1,5,\nRome,1,5,many\n", NULL, true,
           "t.csv: column \"bikes\", row 2: \"many\" is not a number, and the model takes numbers "
           "here");
    refuse(world, schema, "Rome,1\nOslo,2\n", NULL, false,
           "t.csv: the table has 2 columns and the model takes 3 (without names in both, columns "
           "are taken in their order)");
    ramify_schema_destroy(world->context, &schema);
}

/* ---- without names ---- */

/* First input column and target (or NaN) of row 0 after matching `text`. */
static void check_order(data_world *world, const ramify_schema *schema, const char *text,
                        const double *inputs, double target) {
    ramify_table *table = data_parse_text(world, text, NULL);
    ramify_match *made = match(world, schema, table, false);
    double row[8];
    ramify_match_rows(made, NULL, 0, 1, row);
    for (uint32_t c = 0; c < schema->column_count; c++)
        assert_true(row[c] == inputs[c]);
    double got = ramify_match_target(made, 0, 0);
    assert_true(isnan(target) ? isnan(got) != 0 : got == target);
    ramify_match_destroy(world->context, &made);
    ramify_table_destroy(&table);
}

static void test_by_order(void **state) {
    data_world *world = *state;
    /* Target in the middle: c2. */
    ramify_schema *schema =
        learn(world, "1.5,2,3.5\n4.5,5,6.5\n", &(ramify_schema_request){.target = "c2"});
    check_order(world, schema, "7,8,9\n", (const double[]){7, 9}, 8);
    check_order(world, schema, "7,9\n", (const double[]){7, 9}, (double)NAN);
    check_order(world, schema, "p,q\n7,9\n", (const double[]){7, 9}, (double)NAN);
    check_order(world, schema, "p,q,r\n7,8,9\n", (const double[]){7, 9}, 8);
    refuse(world, schema, "7\n", NULL, false,
           "t.csv: the table has 1 columns and the model takes 2 (without names in both, columns "
           "are taken in their order)");
    ramify_schema_destroy(world->context, &schema);
    /* Target first: without it, what was c2 is the first column. */
    schema = learn(world, "1,2.5,3.5\n4,5.5,6.5\n", &(ramify_schema_request){.target = "c1"});
    check_order(world, schema, "7,8,9\n", (const double[]){8, 9}, 7);
    check_order(world, schema, "8,9\n", (const double[]){8, 9}, (double)NAN);
    ramify_schema_destroy(world->context, &schema);
    /* A schema with names takes a table without. */
    schema = learn(world, "a,b,y\n1.5,2.5,1\n4.5,5.5,2\n", &(ramify_schema_request){.target = "y"});
    check_order(world, schema, "8,9\n", (const double[]){8, 9}, (double)NAN);
    refuse(world, schema, "7,8,9\n", NULL, false,
           "t.csv: the table has 3 columns and the model takes 2 (without names in both, columns "
           "are taken in their order)");
    ramify_schema_destroy(world->context, &schema);
}

static void test_array_with_added_target(void **state) {
    data_world *world = *state;
    static const double values[] = {1.5, 2.5, 3.5, 4.5};
    ramify_schema *schema =
        learn(world, "a,b,y\n1.5,2.5,1\n4.5,5.5,2\n", &(ramify_schema_request){.target = "y"});
    ramify_table *table = NULL;
    assert_int_equal(ramify_table_from_doubles(world->context, values, 2, 2, 2, NULL, &table),
                     RAMIFY_OK);
    assert_int_equal(ramify_table_add_doubles(world->context, table, "y", (const double[]){7, 8}),
                     RAMIFY_OK);
    ramify_match *made = match(world, schema, table, true);
    assert_true(ramify_match_target(made, 0, 1) == 8);
    ramify_match_destroy(world->context, &made);
    ramify_table_destroy(&table);
    ramify_schema_destroy(world->context, &schema);
}

/* ---- categories and classes that are numbers ---- */

static void test_categories_that_are_numbers(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "zip,y\n01,1\n7,2\n1.50,3\n01,4\n",
                                          &(ramify_table_options){.categorical = "zip"});
    ramify_schema *schema = NULL;
    assert_int_equal(ramify_schema_infer(world->context, table,
                                         &(ramify_schema_request){.target = "y"}, &schema),
                     RAMIFY_OK);
    ramify_table_destroy(&table);
    /* Read as numbers, and read as texts that are written in another way. */
    static const ramify_table_options options[] = {{0}, {.categorical = "zip"}};
    for (size_t i = 0; i < 2; i++) {
        world->log[0] = '\0';
        table = data_parse_text(world, "zip\n7.0\n1\n1.5\n2\nNA\n", &options[i]);
        ramify_match *made = match(world, schema, table, false);
        double rows[5];
        ramify_match_rows(made, NULL, 0, 5, rows);
        assert_true(rows[0] == 1 && rows[1] == 0 && rows[2] == 2);
        assert_true(rows[3] == 3 && rows[4] == 3);
        assert_string_equal(world->log,
                            "t.csv: column \"zip\": 1 of 5 rows hold a category that the model has "
                            "not seen; they are treated as \"other\"\n");
        ramify_match_destroy(world->context, &made);
        ramify_table_destroy(&table);
    }
    ramify_schema_destroy(world->context, &schema);
}

static void test_classes(void **state) {
    data_world *world = *state;
    ramify_schema *schema =
        learn(world, "x,y\n1.5,b\n1.5,a\n2,c\n", &(ramify_schema_request){.target = "y"});
    ramify_table *table = data_parse_text(world, "x,y\n1,c\n2,\n3,a\n", NULL);
    ramify_match *made = match(world, schema, table, true);
    assert_true(ramify_match_target(made, 0, 0) == 2);
    assert_true(isnan(ramify_match_target(made, 0, 1)));
    assert_true(ramify_match_target(made, 0, 2) == 0);
    ramify_match_destroy(world->context, &made);
    ramify_table_destroy(&table);
    refuse(world, schema, "x,y\n1,c\n2,d\n", NULL, true,
           "t.csv: target \"y\", row 2: \"d\" is no class of the model (train it on all classes, "
           "or leave such rows out)");
    refuse(world, schema, "x,y\n1,\n2,4.5\n", NULL, true,
           "t.csv: target \"y\", row 2: \"4.5\" is no class of the model (train it on all "
           "classes, or leave such rows out)");
    /* Predicting does not ask. */
    table = data_parse_text(world, "x,y\n1,d\n", NULL);
    made = match(world, schema, table, false);
    assert_true(isnan(ramify_match_target(made, 0, 0)));
    ramify_match_destroy(world->context, &made);
    ramify_table_destroy(&table);
    ramify_schema_destroy(world->context, &schema);
}

static void test_classes_that_are_numbers(void **state) {
    data_world *world = *state;
    ramify_schema *schema =
        learn(world, "x,y\n1.5,10\n1.5,9\n2,-1\n",
              &(ramify_schema_request){.target = "y", .task = "classification"});
    static const ramify_table_options options[] = {{0}, {.categorical = "y"}};
    for (size_t i = 0; i < 2; i++) {
        ramify_table *table = data_parse_text(world, "x,y\n1,9.0\n2,10\n3,-1\n4,\n", &options[i]);
        ramify_match *made = match(world, schema, table, true);
        assert_true(ramify_match_target(made, 0, 0) == 1);
        assert_true(ramify_match_target(made, 0, 1) == 2);
        assert_true(ramify_match_target(made, 0, 2) == 0);
        assert_true(isnan(ramify_match_target(made, 0, 3)));
        ramify_match_destroy(world->context, &made);
        ramify_table_destroy(&table);
    }
    ramify_schema_destroy(world->context, &schema);
}

/* Blocks of rows against single ones. */
static void test_many_rows_equal_single_rows(void **state) {
    data_world *world = *state;
    enum { ROWS = 1000, COLUMNS = 3 };
    char *text = malloc((size_t)ROWS * 32);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "a,b,k,y\n");
    for (int r = 0; r < ROWS; r++)
        used += (size_t)sprintf(text + used, "%d.5,%d,k%d,1\n", r, r % 7, r % 50);
    ramify_table *table = data_parse_text(world, text, NULL);
    ramify_schema *schema = NULL;
    assert_int_equal(ramify_schema_infer(world->context, table,
                                         &(ramify_schema_request){.target = "y"}, &schema),
                     RAMIFY_OK);
    ramify_match *made = match(world, schema, table, true);
    static double all[ROWS * COLUMNS];
    static uint32_t order[ROWS];
    for (uint32_t r = 0; r < ROWS; r++)
        order[r] = (r * 387) % ROWS;
    ramify_match_rows(made, order, 0, ROWS, all);
    for (size_t r = 0; r < ROWS; r++) {
        double one[COLUMNS];
        ramify_match_rows(made, NULL, order[r], 1, one);
        assert_memory_equal(one, all + r * COLUMNS, sizeof one);
        assert_true(one[0] == order[r] + 0.5 && one[1] == order[r] % 7);
        assert_true(one[2] == (order[r] % 50 < 32 ? order[r] % 50 : 32));
    }
    ramify_match_destroy(world->context, &made);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
    free(text);
}

typedef struct pair {
    const ramify_schema *schema;
    const ramify_table *table;
} pair;

static ramify_status match_again(data_world *world, void *argument) {
    const pair *both = argument;
    ramify_match *made = NULL;
    ramify_status status =
        ramify_match_create(world->context, both->schema, both->table, true, &made);
    ramify_match_destroy(world->context, &made);
    return status;
}

static void test_each_allocation_refused(void **state) {
    data_world *world = *state;
    ramify_schema *schema =
        learn(world, "a,k,y\n1.5,x,u\n2.5,y,v\n2,x,u\n", &(ramify_schema_request){.target = "y"});
    ramify_table *table = data_parse_text(world, "k,y,a,z\nx,u,1,1\n", NULL);
    data_refuse_each_allocation(world, match_again, &(pair){schema, table});
    ramify_table_destroy(&table);
    ramify_schema_destroy(world->context, &schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_name, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_without_target, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_training_table_gets_no_warning, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_by_order, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_array_with_added_target, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_categories_that_are_numbers, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_classes, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_classes_that_are_numbers, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_many_rows_equal_single_rows, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

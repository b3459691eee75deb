/* Making a schema from a table, and its JSON form. */

#include "data_support.h"

#include <stdio.h>

static ramify_schema *infer(data_world *world, const ramify_table *table,
                            const ramify_schema_request *request) {
    ramify_schema *schema = NULL;
    ramify_status status = ramify_schema_infer(world->context, table, request, &schema);
    if (status != RAMIFY_OK)
        fail_msg("%s", ramify_message(world->context));
    return schema;
}

static void refuse(data_world *world, const char *text, const ramify_schema_request *request,
                   ramify_status expected, const char *message) {
    ramify_table *table =
        data_parse_text(world, text, &(ramify_table_options){.header = RAMIFY_HEADER_YES});
    ramify_schema *schema = NULL;
    ramify_clear(world->context);
    ramify_status status = ramify_schema_infer(world->context, table, request, &schema);
    assert_string_equal(ramify_message(world->context), message);
    assert_int_equal(status, expected);
    assert_null(schema);
    ramify_table_destroy(&table);
}

static const char bikes[] = "temp,city,weight,day,bikes,empty\n"
                            "1.5,Rome,1,3,10,\n"
                            ",Oslo,1,4,20,\n"
                            "-3,Rome,2,4,30,\n";

static void test_regression(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, bikes, NULL);
    ramify_schema *schema =
        infer(world, table,
              &(ramify_schema_request){.target = "bikes", .drop = "day", .weight = "weight"});
    assert_int_equal(schema->task, RAMIFY_TASK_REGRESSION);
    assert_true(schema->named);
    assert_int_equal(schema->class_count, 0);
    assert_int_equal(schema->target_count, 1);
    assert_string_equal(schema->targets[0], "bikes");
    assert_int_equal(schema->column_count, 2);
    assert_string_equal(schema->columns[0].name, "temp");
    assert_false(schema->columns[0].categorical);
    assert_true(schema->columns[0].low == -3 && schema->columns[0].high == 1.5);
    assert_true(schema->columns[0].missing);
    assert_string_equal(schema->columns[1].name, "city");
    assert_true(schema->columns[1].categorical);
    assert_false(schema->columns[1].missing);
    assert_int_equal(schema->columns[1].category_count, 2);
    assert_string_equal(schema->columns[1].categories[0], "Rome");
    assert_string_equal(schema->columns[1].categories[1], "Oslo");
    assert_string_equal(world->log, "t.csv: column \"empty\" has no values and is not used\n");
    ramify_schema_destroy(world->context, &schema);
    assert_null(schema);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

/* After an empty column, the next one starts afresh. */
static void test_column_after_an_empty_one(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "a,b,y\n,5.5,1\n,6.5,2\n", NULL);
    ramify_schema *schema = infer(world, table, &(ramify_schema_request){.target = "y"});
    assert_int_equal(schema->column_count, 1);
    assert_false(schema->columns[0].missing);
    assert_true(schema->columns[0].low == 5.5);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

static void test_several_targets(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, bikes, NULL);
    ramify_schema *schema =
        infer(world, table, &(ramify_schema_request){.target = "day, bikes", .drop = "empty"});
    assert_int_equal(schema->target_count, 2);
    assert_string_equal(schema->targets[0], "day");
    assert_string_equal(schema->targets[1], "bikes");
    assert_int_equal(schema->column_count, 3);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

static void check_classes(data_world *world, const char *text, const ramify_table_options *options,
                          const char *task, uint32_t count, const char *const *classes) {
    ramify_table *table = data_parse_text(world, text, options);
    ramify_schema *schema =
        infer(world, table, &(ramify_schema_request){.target = "y", .task = task});
    assert_int_equal(schema->task, RAMIFY_TASK_CLASSIFICATION);
    assert_int_equal(schema->class_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_string_equal(schema->classes[i], classes[i]);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

static void test_classes(void **state) {
    data_world *world = *state;
    check_classes(world, "x,y\n1,b\n1,a\n2,B\n2,a\n3,\n", NULL, NULL, 3,
                  (const char *const[]){"B", "a", "b"});
    check_classes(world, "x,y\n1,10\n1,9\n2,-1\n2,0.5\n3,9\n4,\n", NULL, "classification", 4,
                  (const char *const[]){"-1", "0.5", "9", "10"});
    check_classes(world, "x,y\n1,10\n1,9\n2,09\n", &(ramify_table_options){.categorical = "y"},
                  NULL, 3, (const char *const[]){"09", "9", "10"});
    check_classes(world, "x,y\n1,10\n1,9\n2,a\n", &(ramify_table_options){.categorical = "y"},
                  "classification", 3, (const char *const[]){"10", "9", "a"});
}

static void test_most_frequent_categories(void **state) {
    data_world *world = *state;
    char text[8192] = "x,y\n";
    size_t used = strlen(text);
    /* w0 .. w39: w39 three times, odd ones twice, the others once. */
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 40; i++)
            if (round == 0 || (round == 1 && i % 2 == 1) || i == 39)
                used += (size_t)snprintf(text + used, sizeof text - used, "w%d,1\n", i);
    ramify_table *table = data_parse_text(world, text, NULL);
    ramify_schema *schema = infer(world, table, &(ramify_schema_request){.target = "y"});
    const ramify_schema_column *column = &schema->columns[0];
    assert_int_equal(column->category_count, RAMIFY_CATEGORIES);
    assert_string_equal(column->categories[0], "w39");
    assert_string_equal(column->categories[1], "w1");
    assert_string_equal(column->categories[19], "w37");
    assert_string_equal(column->categories[20], "w0");
    assert_string_equal(column->categories[31], "w22");
    assert_int_equal(ramify_schema_category(column, "w22"), 31);
    assert_int_equal(ramify_schema_category(column, "w24"), RAMIFY_CATEGORIES);
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

static void test_identifiers(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world,
                                          "rising,mixed,name,real,repeated,hole,y\n"
                                          "1,700,a,1.5,1,1,1\n"
                                          "2,-7,b,2.5,2,2,2\n"
                                          "4,900000,c,3.5,2,,3\n"
                                          "8,12,d,4.25,900,4,4\n",
                                          NULL);
    ramify_schema *schema = infer(world, table, &(ramify_schema_request){.target = "y"});
    assert_string_equal(
        world->log,
        "t.csv: column \"rising\" has a different value in every row (if it identifies rows, leave "
        "it out with --drop rising)\n"
        "t.csv: column \"mixed\" has a different value in every row (if it identifies rows, leave "
        "it out with --drop mixed)\n"
        "t.csv: column \"name\" has a different value in every row (if it identifies rows, leave "
        "it out with --drop name)\n");
    ramify_schema_destroy(world->context, &schema);
    ramify_table_destroy(&table);
}

static void test_requests_that_are_refused(void **state) {
    data_world *world = *state;
    const char *text = "a,b,t\n1,2,x\n1,2,y\n";
    refuse(world, text, &(ramify_schema_request){0}, RAMIFY_ERROR_ARGUMENT,
           "no target column is named (use --target, or --labels with a file)");
    refuse(world, text, &(ramify_schema_request){.target = "z"}, RAMIFY_ERROR_DATA,
           "t.csv: there is no column \"z\" for --target (the columns are: a, b, t)");
    refuse(world, text, &(ramify_schema_request){.target = "b", .drop = "a,q"}, RAMIFY_ERROR_DATA,
           "t.csv: there is no column \"q\" for --drop (the columns are: a, b, t)");
    refuse(world, text, &(ramify_schema_request){.target = "b,b"}, RAMIFY_ERROR_ARGUMENT,
           "column \"b\" is named twice as a target");
    refuse(world, text, &(ramify_schema_request){.target = "b", .group = "b"},
           RAMIFY_ERROR_ARGUMENT, "column \"b\" is a target and cannot be used for --group too");
    refuse(world, text, &(ramify_schema_request){.target = "b", .task = "guess"},
           RAMIFY_ERROR_ARGUMENT, "task \"guess\" is neither regression nor classification");
    refuse(world, text, &(ramify_schema_request){.target = "t", .task = "regression"},
           RAMIFY_ERROR_DATA,
           "t.csv: target \"t\" holds texts, which a regression cannot predict (use --task "
           "classification)");
    refuse(world, text, &(ramify_schema_request){.target = "a,t"}, RAMIFY_ERROR_DATA,
           "t.csv: a classification has one target, here are 2 (train a model for each)");
    refuse(world, text, &(ramify_schema_request){.target = "b", .task = "classification"},
           RAMIFY_ERROR_DATA,
           "t.csv: target \"b\" has the same class in every row (a classification needs two "
           "classes or more)");
    refuse(world, text, &(ramify_schema_request){.target = "b", .drop = "a", .weight = "t"},
           RAMIFY_ERROR_DATA, "t.csv: no column is left to predict from");
    refuse(world, "a,y\n1,\n2,NA\n", &(ramify_schema_request){.target = "y"}, RAMIFY_ERROR_DATA,
           "t.csv: target \"y\" has no values");
    refuse(world, "a,y\n1,\n2,NA\n",
           &(ramify_schema_request){.target = "y", .task = "classification"}, RAMIFY_ERROR_DATA,
           "t.csv: target \"y\" has no values (a classification needs two classes or more)");
}

static void test_too_many_classes(void **state) {
    data_world *world = *state;
    for (int texts = 0; texts < 2; texts++) {
        char *text = malloc((size_t)(RAMIFY_CLASSES_MAX + 1) * 16 + 8);
        assert_non_null(text);
        size_t used = (size_t)sprintf(text, "x,y\n");
        for (int i = 0; i <= RAMIFY_CLASSES_MAX; i++)
            used += (size_t)sprintf(text + used, "1,%s%d\n", texts ? "k" : "", i);
        refuse(world, text, &(ramify_schema_request){.target = "y", .task = "classification"},
               RAMIFY_ERROR_LIMIT,
               "t.csv: target \"y\" has more than 4096 classes (is this a regression, or the wrong "
               "column?)");
        free(text);
    }
}

/* ---- JSON ---- */

static void check_equal(const ramify_schema *a, const ramify_schema *b) {
    assert_int_equal(a->task, b->task);
    assert_int_equal(a->named, b->named);
    assert_int_equal(a->column_count, b->column_count);
    assert_int_equal(a->target_count, b->target_count);
    assert_int_equal(a->class_count, b->class_count);
    for (uint32_t c = 0; c < a->column_count; c++) {
        const ramify_schema_column *x = &a->columns[c], *y = &b->columns[c];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->categorical, y->categorical);
        assert_int_equal(x->missing, y->missing);
        assert_true(x->low == y->low && x->high == y->high);
        assert_int_equal(x->category_count, y->category_count);
        for (uint32_t i = 0; i < x->category_count; i++)
            assert_string_equal(x->categories[i], y->categories[i]);
    }
    for (uint32_t t = 0; t < a->target_count; t++)
        assert_string_equal(a->targets[t], b->targets[t]);
    for (uint32_t i = 0; i < a->class_count; i++)
        assert_string_equal(a->classes[i], b->classes[i]);
    assert_int_equal(ramify_schema_bytes(a), ramify_schema_bytes(b));
}

static ramify_schema *through_json(data_world *world, const ramify_schema *schema) {
    json_t *json = NULL;
    assert_int_equal(ramify_schema_to_json(world->context, schema, true, &json), RAMIFY_OK);
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    json_decref(json);
    json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    free(text);
    ramify_schema *again = NULL;
    assert_int_equal(ramify_schema_from_json(world->context, "m.ramify", json, &again), RAMIFY_OK);
    json_decref(json);
    return again;
}

static void test_json_round_trip(void **state) {
    data_world *world = *state;
    static const struct {
        const char *text, *target;
    } cases[] = {{bikes, "bikes"},
                 {bikes, "city"},
                 {"0.1,1e-300,\xC3\xA9\n1e300,2,\"q\"\"\n\"\n3,4,\"\\\"\n", "c2"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ramify_table *table = data_parse_text(world, cases[i].text, NULL);
        ramify_schema *schema =
            infer(world, table, &(ramify_schema_request){.target = cases[i].target});
        ramify_table_destroy(&table); /* the schema stands alone */
        ramify_schema *again = through_json(world, schema);
        check_equal(schema, again);
        ramify_schema_destroy(world->context, &schema);
        ramify_schema_destroy(world->context, &again);
    }
}

static void test_json_of_whole_numbers(void **state) {
    data_world *world = *state;
    json_t *json = json_loads("{\"task\":\"regression\",\"named\":false,\"columns\":[{\"name\":"
                              "\"c1\",\"low\":1,\"high\":2,\"missing\":true}],\"targets\":[\"y\"],"
                              "\"classes\":[]}",
                              0, NULL);
    ramify_schema *schema = NULL;
    assert_int_equal(ramify_schema_from_json(world->context, "m.ramify", json, &schema), RAMIFY_OK);
    json_decref(json);
    assert_true(schema->columns[0].low == 1 && schema->columns[0].high == 2);
    assert_true(schema->columns[0].missing);
    assert_false(schema->named);
    ramify_schema_destroy(world->context, &schema);
}

#define COLUMN "{\"name\":\"a\",\"low\":0,\"high\":1,\"missing\":false}"
#define RUN(name, count)                                                                           \
    "{\"name\":\"" name "\",\"low\":0,\"high\":1,\"missing\":false,\"count\":" count "}"
#define LONG    "01234567890123456789"
#define REGRESS "\"task\":\"regression\",\"named\":true,"
#define REST    ",\"targets\":[\"y\"],\"classes\":[]"
#define DAMAGED "m.ramify: the model's schema is damaged: "
#define AGAIN   " (make or copy the model again)"

static void test_json_that_is_refused(void **state) {
    data_world *world = *state;
    static const struct {
        const char *json, *what;
    } cases[] = {
        {"[]", "it has other keys than task, named, columns, targets, classes"},
        {"{" REGRESS "\"columns\":[" COLUMN "]" REST ",\"more\":1}",
         "it has other keys than task, named, columns, targets, classes"},
        {"{\"task\":\"regression\",\"named\":1,\"columns\":[" COLUMN "]" REST "}",
         "it has other keys than task, named, columns, targets, classes"},
        {"{\"task\":\"guess\",\"named\":true,\"columns\":[" COLUMN "]" REST "}",
         "\"task\" is neither regression nor classification"},
        {"{" REGRESS "\"columns\":{}" REST "}", "\"columns\" is not a list"},
        {"{" REGRESS "\"columns\":[]" REST "}", "\"columns\" has too few or too many entries"},
        {"{" REGRESS "\"columns\":[7]" REST "}",
         "an entry of \"columns\" has other keys than name, missing, and categories or low, high "
         "and count"},
        {"{" REGRESS "\"columns\":[{\"name\":\"a\",\"low\":0,\"high\":1,\"missing\":0}]" REST "}",
         "an entry of \"columns\" has other keys than name, missing, and categories or low, high "
         "and count"},
        {"{" REGRESS "\"columns\":[{\"name\":\"a\",\"low\":0,\"categories\":[\"x\"],"
         "\"missing\":true}]" REST "}",
         "an entry of \"columns\" has other keys than name, missing, and categories or low, high "
         "and count"},
        {"{" REGRESS "\"columns\":[{\"name\":\"a\",\"low\":2,\"high\":1,\"missing\":true}]" REST
         "}",
         "an entry of \"columns\" has low above high"},
        {"{" REGRESS "\"columns\":[{\"name\":\"a\",\"low\":\"0\",\"high\":1,\"missing\":true}]" REST
         "}",
         "a column's low is not a finite number"},
        {"{" REGRESS "\"columns\":[{\"name\":7,\"low\":0,\"high\":1,\"missing\":true}]" REST "}",
         "a column's name is not a text"},
        {"{" REGRESS "\"columns\":[{\"name\":\"\",\"low\":0,\"high\":1,\"missing\":true}]" REST "}",
         "a column's name is empty, too long or holds a zero byte"},
        {"{" REGRESS
         "\"columns\":[{\"name\":\"a\\u0000b\",\"low\":0,\"high\":1,\"missing\":true}]" REST "}",
         "a column's name is empty, too long or holds a zero byte"},
        {"{" REGRESS "\"columns\":[" COLUMN "," COLUMN "]" REST "}",
         "a name stands for two columns or targets"},
        {"{" REGRESS "\"columns\":[" COLUMN "],\"targets\":[\"a\"],\"classes\":[]}",
         "a name stands for two columns or targets"},
        {"{" REGRESS
         "\"columns\":[{\"name\":\"a\",\"categories\":[\"x\",\"x\"],\"missing\":true}]" REST "}",
         "a list of categories holds the same text twice"},
        {"{" REGRESS "\"columns\":[" COLUMN "],\"targets\":[],\"classes\":[]}",
         "\"targets\" has too few or too many entries"},
        {"{" REGRESS "\"columns\":[" COLUMN "],\"targets\":[\"y\",\"y\"],\"classes\":[]}",
         "\"targets\" holds the same text twice"},
        {"{" REGRESS "\"columns\":[" COLUMN "],\"targets\":[\"y\"],\"classes\":[\"u\",\"v\"]}",
         "\"classes\" has too few or too many entries"},
        {"{\"task\":\"classification\",\"named\":true,\"columns\":[" COLUMN
         "],\"targets\":[\"y\"],\"classes\":[\"u\"]}",
         "\"classes\" has too few or too many entries"},
        {"{\"task\":\"classification\",\"named\":true,\"columns\":[" COLUMN
         "],\"targets\":[\"y\",\"z\"],\"classes\":[\"u\",\"v\"]}",
         "\"targets\" has too few or too many entries"},
        {"{\"task\":\"classification\",\"named\":true,\"columns\":[" COLUMN
         "],\"targets\":[\"y\"],\"classes\":[\"u\",3]}",
         "\"classes\" is not a text"},
        {"{" REGRESS "\"columns\":[" RUN("c1", "1") "]" REST "}",
         "a column's count is not a number of columns"},
        {"{" REGRESS "\"columns\":[" RUN("c1", "2.5") "]" REST "}",
         "a column's count is not a number of columns"},
        {"{" REGRESS "\"columns\":[" RUN("c1", "262145") "]" REST "}",
         "a column's count is not a number of columns"},
        {"{" REGRESS "\"columns\":[" RUN("c1", "262144") "," RUN("d1", "262144") "]" REST "}",
         "\"columns\" has too many columns"},
        {"{" REGRESS "\"columns\":[" RUN("a", "2") "]" REST "}",
         "a name with a count is too long or ends without a number"},
        {"{" REGRESS "\"columns\":[" RUN("", "2") "]" REST "}",
         "a name with a count is too long or ends without a number"},
        {"{" REGRESS "\"columns\":[" RUN(LONG LONG LONG "abcde", "2") "]" REST "}",
         "a name with a count is too long or ends without a number"},
        {"{" REGRESS "\"columns\":[" RUN("c1", "3") "," RUN("c3", "2") "]" REST "}",
         "a name stands for two columns or targets"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[400];
        json_t *json = json_loads(cases[i].json, JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        ramify_schema *schema = NULL;
        ramify_clear(world->context);
        ramify_status status = ramify_schema_from_json(world->context, "m.ramify", json, &schema);
        json_decref(json);
        snprintf(message, sizeof message, DAMAGED "%s" AGAIN, cases[i].what);
        assert_string_equal(ramify_message(world->context), message);
        assert_int_equal(status, RAMIFY_ERROR_FORMAT);
        assert_null(schema);
    }
}

/* Columns that are alike but for the number in their name are one entry. */
static void test_json_of_numbered_columns(void **state) {
    data_world *world = *state;
    static const struct {
        const char *text;   /* a table whose target is y */
        const char *counts; /* per entry: its first name and how many columns it stands for */
    } cases[] = {
        {"c1,c2,c3,y\n0,0,0,1\n1,1,1,2\n", "c1:3"},
        {"c1,c2,c4,y\n0,0,0,1\n1,1,1,2\n", "c1:2 c4:1"},
        {"c1,c2,d3,y\n0,0,0,1\n1,1,1,2\n", "c1:2 d3:1"},
        {"p8,p9,p10,p11,y\n0,0,0,0,1\n1,1,1,1,2\n", "p8:4"},
        {"p08,p09,p10,y\n0,0,0,1\n1,1,1,2\n", "p08:2 p10:1"},
        {"p07,p08,p10,y\n0,0,0,1\n1,1,1,2\n", "p07:2 p10:1"},
        {"c1,c2,c3,y\n0,0,0,1\n1,1,2,2\n", "c1:2 c3:1"},
        {"c1,c2,c3,y\n0,0,0,1\n1,1,1,2\n,1,1,2\n", "c1:1 c2:2"},
        {"c1,c2,c3,y\n0,a,0,1\n1,b,1,2\n", "c1:1 c2:1 c3:1"},
        {"a,b,y\n0,0,1\n1,1,2\n", "a:1 b:1"},
        {"99,100,y\n0,0,1\n1,1,2\n", "99:2"},
        {"x123456789012,x123456789013,y\n0,0,1\n1,1,2\n", "x123456789012:2"},
        {"x999999999,x1000000000,y\n0,0,1\n1,1,2\n", "x999999999:2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const ramify_table_options options = {.header = RAMIFY_HEADER_YES};
        ramify_table *table = data_parse_text(world, cases[i].text, &options);
        ramify_schema *schema = infer(world, table, &(ramify_schema_request){.target = "y"});
        ramify_table_destroy(&table);
        json_t *json = NULL;
        assert_int_equal(ramify_schema_to_json(world->context, schema, true, &json), RAMIFY_OK);
        char counts[200] = "";
        size_t index;
        json_t *entry;
        json_array_foreach(json_object_get(json, "columns"), index, entry) {
            const json_t *count = json_object_get(entry, "count");
            snprintf(counts + strlen(counts), sizeof counts - strlen(counts), "%s%s:%d",
                     index > 0 ? " " : "", json_string_value(json_object_get(entry, "name")),
                     count ? (int)json_integer_value(count) : 1);
        }
        json_decref(json);
        assert_string_equal(counts, cases[i].counts);
        ramify_schema *again = through_json(world, schema);
        check_equal(schema, again);
        ramify_schema_destroy(world->context, &schema);
        ramify_schema_destroy(world->context, &again);
    }
}

/* The pixels of an image have the range of all of them; other columns keep theirs. */
static void test_ranges_of_images(void **state) {
    data_world *world = *state;
    const ramify_table_options options = {.header = RAMIFY_HEADER_YES, .image = "1x3"};
    ramify_table *table = data_parse_text(world, "y,a,b,c,d\n1,0,3,0,-9\n2,0,-2,7,9\n", &options);
    ramify_schema *schema = infer(world, table, &(ramify_schema_request){.target = "y"});
    ramify_table_destroy(&table);
    for (uint32_t c = 0; c < 3; c++)
        assert_true(schema->columns[c].low == -2 && schema->columns[c].high == 7);
    assert_true(schema->columns[3].low == -9 && schema->columns[3].high == 9);
    ramify_schema_destroy(world->context, &schema);
}

static void test_json_caps(void **state) {
    data_world *world = *state;
    json_t *json = json_loads("{" REGRESS "\"columns\":[]" REST "}", 0, NULL);
    json_t *columns = json_object_get(json, "columns");
    for (int c = 0; c <= RAMIFY_COLUMNS_MAX; c++)
        json_array_append_new(columns, json_integer(c));
    ramify_schema *schema = NULL;
    assert_int_equal(ramify_schema_from_json(world->context, "m.ramify", json, &schema),
                     RAMIFY_ERROR_FORMAT);
    json_decref(json);
    json = json_loads("{" REGRESS
                      "\"columns\":[{\"name\":\"a\",\"categories\":[],\"missing\":true}]" REST "}",
                      0, NULL);
    json_t *categories =
        json_object_get(json_array_get(json_object_get(json, "columns"), 0), "categories");
    for (int i = 0; i <= RAMIFY_CATEGORIES; i++) {
        char text[16];
        snprintf(text, sizeof text, "k%d", i);
        json_array_append_new(categories, json_string(text));
    }
    ramify_clear(world->context);
    assert_int_equal(ramify_schema_from_json(world->context, "m.ramify", json, &schema),
                     RAMIFY_ERROR_FORMAT);
    assert_string_equal(ramify_message(world->context),
                        DAMAGED "a list of categories has too few or too many entries" AGAIN);
    json_array_remove(categories, 0);
    ramify_clear(world->context);
    assert_int_equal(ramify_schema_from_json(world->context, "m.ramify", json, &schema), RAMIFY_OK);
    ramify_schema_destroy(world->context, &schema);
    json_decref(json);
}

static ramify_status make_again(data_world *world, void *table) {
    ramify_schema *schema = NULL, *again = NULL;
    json_t *json = NULL;
    ramify_status status = ramify_schema_infer(world->context, table,
                                               &(ramify_schema_request){.target = "y"}, &schema);
    if (status == RAMIFY_OK)
        status = ramify_schema_to_json(world->context, schema, true, &json);
    if (status == RAMIFY_OK)
        status = ramify_schema_from_json(world->context, "m.ramify", json, &again);
    json_decref(json);
    ramify_schema_destroy(world->context, &schema);
    ramify_schema_destroy(world->context, &again);
    return status;
}

static void test_each_allocation_refused(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "a,b,c,y\nx,1,3,u\ny,2,1,v\nz,3,70,w\n", NULL);
    data_refuse_each_allocation(world, make_again, table);
    ramify_table_destroy(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_regression, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_column_after_an_empty_one, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_several_targets, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_classes, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_most_frequent_categories, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_identifiers, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_requests_that_are_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_classes, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_json_round_trip, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_json_of_whole_numbers, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_json_that_is_refused, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_json_of_numbered_columns, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_ranges_of_images, data_world_setup,
                                        data_world_teardown),
        cmocka_unit_test_setup_teardown(test_json_caps, data_world_setup, data_world_teardown),
        cmocka_unit_test_setup_teardown(test_each_allocation_refused, data_world_setup,
                                        data_world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

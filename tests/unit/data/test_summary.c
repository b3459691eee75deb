/* Summaries of parts where the tables are too large for test_parts.c, and bytes that are not a summary's
 * or a report's. */

#include "data_support.h"

#include "parts.h"
#include "summary.h"

#include <stdio.h>
#include <unistd.h>

#define PARTS 3

/* A summary of rows [begin, end) of a table, as bytes; they are malloc's. */
static uint8_t *pack_rows(data_world *world, const ramify_table *table,
                          const ramify_schema_request *request, size_t begin, size_t end,
                          size_t *size) {
    ramify_column *columns = malloc(table->column_count * sizeof *columns);
    assert_non_null(columns);
    ramify_table part = *table;
    part.rows = end - begin;
    part.columns = columns;
    for (size_t c = 0; c < table->column_count; c++) {
        columns[c] = table->columns[c];
        if (columns[c].text)
            columns[c].codes += begin;
        else
            columns[c].values = (const char *)columns[c].values + begin * columns[c].stride;
    }
    ramify_summary *summary = NULL;
    void *bytes;
    assert_int_equal(ramify_summary_create(world->context, &part, request, &summary), RAMIFY_OK);
    assert_int_equal(ramify_summary_pack(world->context, summary, &bytes, size), RAMIFY_OK);
    ramify_summary_destroy(world->context, &summary);
    uint8_t *copy = malloc(*size);
    assert_non_null(copy);
    memcpy(copy, bytes, *size);
    ramify_release(world->context, bytes);
    free(columns);
    return copy;
}

/* The merged summary of a table that is cut into PARTS. */
static ramify_summary *merge_rows(data_world *world, const ramify_table *table,
                                  const ramify_schema_request *request) {
    uint8_t *blocks = NULL;
    size_t offset[PARTS + 1] = {0};
    for (size_t p = 0; p < PARTS; p++) {
        size_t size;
        uint8_t *bytes = pack_rows(world, table, request, table->rows * p / PARTS,
                                   table->rows * (p + 1) / PARTS, &size);
        blocks = realloc(blocks, offset[p] + size);
        assert_non_null(blocks);
        memcpy(blocks + offset[p], bytes, size);
        offset[p + 1] = offset[p] + size;
        free(bytes);
    }
    ramify_summary *summary = NULL;
    assert_int_equal(ramify_summary_merge(world->context, table, blocks, offset, PARTS, &summary),
                     RAMIFY_OK);
    free(blocks);
    return summary;
}

/* Expects of parts what the whole table gives. */
static void check_same(data_world *world, const ramify_table *table,
                       const ramify_schema_request *request) {
    ramify_schema *schema = NULL;
    char *expected = NULL, sentence[1024];
    json_t *json = NULL;
    ramify_clear(world->context);
    ramify_status status = ramify_schema_infer(world->context, table, request, &schema);
    snprintf(sentence, sizeof sentence, "%s", ramify_message(world->context));
    ramify_clear(world->context);
    if (schema) {
        assert_int_equal(ramify_schema_to_json(world->context, schema, true, &json), RAMIFY_OK);
        expected = json_dumps(json, 0);
        json_decref(json);
        ramify_schema_destroy(world->context, &schema);
    }
    ramify_summary *summary = merge_rows(world, table, request);
    assert_int_equal(ramify_summary_infer(world->context, table, request, summary, &schema),
                     status);
    assert_string_equal(ramify_message(world->context), sentence);
    if (schema) {
        assert_int_equal(ramify_schema_to_json(world->context, schema, true, &json), RAMIFY_OK);
        char *found = json_dumps(json, 0);
        assert_string_equal(found, expected);
        free(found);
        json_decref(json);
    }
    ramify_schema_destroy(world->context, &schema);
    ramify_summary_destroy(world->context, &summary);
    free(expected);
}

/* Classes up to the most there may be, and one more. */
static void test_many_classes(void **state) {
    data_world *world = *state;
    static double values[3 * (RAMIFY_CLASSES_MAX + 1)][2];
    static const char *const names[] = {"x", "y"};
    for (size_t classes = RAMIFY_CLASSES_MAX; classes <= RAMIFY_CLASSES_MAX + 1; classes++) {
        size_t rows = 3 * classes;
        for (size_t r = 0; r < rows; r++) {
            values[r][0] = (double)(r % 7);
            values[r][1] = (double)(r * 5 % classes) - 100;
        }
        ramify_table *table = NULL;
        assert_int_equal(
            ramify_table_from_doubles(world->context, values[0], rows, 2, 2, names, &table),
            RAMIFY_OK);
        check_same(world, table, &(ramify_schema_request){.target = "y", .task = "classification"});
        check_same(world, table, &(ramify_schema_request){.target = "y"});
        ramify_table_destroy(&table);
    }
}

/* More categories than get a code: the most frequent in all parts together, the first of equals. */
static void test_many_categories(void **state) {
    data_world *world = *state;
    size_t room = 200000, used = 4;
    char *text = malloc(room);
    assert_non_null(text);
    memcpy(text, "x,y\n", used);
    for (unsigned r = 0; r < 3000; r++)
        used += (size_t)snprintf(text + used, room - used, "t%u,%u\n", r * r % 331 % 90, r % 3);
    used += (size_t)snprintf(text + used, room - used, "%01500d,1\n", 7); /* prose */
    text[used - 1503] = 'p';
    ramify_table *table =
        data_parse(world, text, used, &(ramify_table_options){.categorical = "y"});
    free(text);
    check_same(world, table, &(ramify_schema_request){.target = "y"});
    check_same(world, table, &(ramify_schema_request){.target = "x"});
    ramify_table_destroy(&table);
}

/* Every cut, and every byte changed: a summary, or a failure with a message. */
static void test_bad_summaries(void **state) {
    data_world *world = *state;
    ramify_table *table = data_parse_text(world, "x,y,z\n1,a,4\n2,b,5\n3,,4\n", NULL);
    ramify_schema_request request = {.target = "z", .task = "classification"};
    size_t size;
    uint8_t *bytes = pack_rows(world, table, &request, 0, 3, &size);
    for (size_t i = 0; i < 9 * size; i++) {
        size_t cut = i < size ? i : size, at = i % size, bit = i / size;
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        if (i >= size)
            copy[at] ^= (uint8_t)(1u << (bit - 1));
        ramify_summary *summary = NULL;
        ramify_clear(world->context);
        ramify_status status = ramify_summary_merge(world->context, table, copy,
                                                    (const size_t[]){0, cut}, 1, &summary);
        assert_true(status == RAMIFY_OK || ramify_message(world->context)[0] != '\0');
        assert_true(status != RAMIFY_OK || cut == size);
        assert_int_equal(status == RAMIFY_OK, summary != NULL);
        ramify_summary_destroy(world->context, &summary);
        free(copy);
    }
    free(bytes);
    ramify_table_destroy(&table);
}

static void test_bad_reports(void **state) {
    data_world *world = *state;
    static const char text[] = "x,y\n1,a\n2,b\n3,\n";
    char path[] = "/tmp/ramify-parts-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, sizeof text - 1), sizeof text - 1);
    close(descriptor);
    ramify_parts *parts = NULL;
    ramify_table *table = NULL;
    void *report;
    size_t size;
    ramify_part_kind kinds[2];
    assert_int_equal(ramify_parts_open(world->context, path, NULL, NULL, &parts), RAMIFY_OK);
    ramify_place first = ramify_parts_first(parts);
    assert_int_equal(ramify_parts_read(parts, &first, 3, &table, &report, &size), RAMIFY_OK);
    for (size_t i = 0; i < 9 * size; i++) {
        size_t cut = i < size ? i : size, at = i % size, bit = i / size;
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, report, cut);
        if (i >= size)
            copy[at] ^= (uint8_t)(1u << (bit - 1));
        ramify_clear(world->context);
        ramify_status status = ramify_parts_merge(parts, copy, (const size_t[]){0, cut}, 1, kinds);
        assert_true(status != RAMIFY_OK || cut == size);
        free(copy);
    }
    ramify_release(world->context, report);
    ramify_table_destroy(&table);
    ramify_parts_close(&parts);
    unlink(path);
}

/* A table that is two parts of one, their summary, schema and codes. */
static ramify_status take_road(data_world *world, void *argument) {
    const ramify_table_options options = {.header = RAMIFY_HEADER_AUTO};
    const ramify_schema_request request = {.target = "z", .task = "classification"};
    ramify_context *context = world->context;
    ramify_table *table = NULL;
    ramify_summary *part = NULL, *summary = NULL;
    ramify_schema *schema = NULL;
    void *bytes = NULL;
    size_t size = 0;
    ramify_status status =
        ramify_table_parse(context, argument, strlen(argument), "t.csv", &options, &table);
    if (status == RAMIFY_OK)
        status = ramify_summary_create(context, table, &request, &part);
    if (status == RAMIFY_OK)
        status = ramify_summary_pack(context, part, &bytes, &size);
    if (status == RAMIFY_OK) {
        uint8_t *twice = malloc(2 * size);
        assert_non_null(twice);
        memcpy(twice, bytes, size);
        memcpy(twice + size, bytes, size);
        status = ramify_summary_merge(context, table, twice, (const size_t[]){0, size, 2 * size}, 2,
                                      &summary);
        free(twice);
    }
    if (status == RAMIFY_OK)
        status = ramify_summary_infer(context, table, &request, summary, &schema);
    if (status == RAMIFY_OK)
        status = ramify_summary_recode(context, summary, table);
    ramify_schema_destroy(context, &schema);
    ramify_summary_destroy(context, &summary);
    ramify_summary_destroy(context, &part);
    ramify_release(context, bytes);
    ramify_table_destroy(&table);
    return status;
}

static void test_each_allocation(void **state) {
    char text[] = "x,y,z\n1,a,4\n2,b,5\n3,,4\n";
    data_refuse_each_allocation(*state, take_road, text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, data_world_setup, data_world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_many_classes), TEST(test_many_categories), TEST(test_bad_summaries),
        TEST(test_bad_reports),  TEST(test_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

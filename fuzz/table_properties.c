#include "table_properties.h"
#include "schema.h"
#include "split.h"
#include "table.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

void table_demand(bool held) {
    if (!held)
        abort();
}

/* The promises of table.h. */
static void check_table(const ramify_table *table) {
    table_demand(table->rows >= 1 && table->column_count >= 1);
    table_demand(table->column_count <= RAMIFY_COLUMNS_MAX);
    for (size_t c = 0; c < table->column_count; c++) {
        const ramify_column *column = &table->columns[c];
        table_demand(column->name && column->name[0] != '\0');
        table_demand(ramify_text_valid(column->name, strlen(column->name)));
        table_demand(ramify_table_find(table, column->name, strlen(column->name)) == c);
        uint32_t next = 0;
        for (size_t r = 0; r < table->rows; r++) {
            if (!column->text) {
                table_demand(!isinf(ramify_column_value(column, r)));
                continue;
            }
            uint32_t code = column->codes[r];
            table_demand(code == RAMIFY_TEXT_MISSING || code <= next);
            next += code == next;
        }
        table_demand(next == column->text_count);
        for (uint32_t i = 0; i < column->text_count; i++)
            table_demand(ramify_text_valid(column->texts[i], strlen(column->texts[i])));
    }
}

static void check_match(ramify_context *context, const ramify_table *table,
                        const ramify_schema *schema) {
    ramify_match *match = NULL;
    table_demand(ramify_match_create_training(context, schema, table, &match) == RAMIFY_OK);
    double *row = malloc(schema->column_count * sizeof *row);
    table_demand(row != NULL);
    for (size_t r = 0; r < table->rows; r++) {
        ramify_match_rows(match, NULL, r, 1, row);
        for (uint32_t c = 0; c < schema->column_count; c++) {
            const ramify_schema_column *column = &schema->columns[c];
            if (column->categorical)
                table_demand(row[c] >= 0 && row[c] <= column->category_count);
            else if (isnan(row[c]))
                table_demand(column->missing);
            else
                table_demand(row[c] >= column->low && row[c] <= column->high);
        }
        double target = ramify_match_target(match, 0, r);
        if (schema->task == RAMIFY_TASK_CLASSIFICATION && !isnan(target))
            table_demand(target >= 0 && target < schema->class_count);
    }
    free(row);
    ramify_match_destroy(context, &match);
}

static void check_split(ramify_context *context, const ramify_table *table) {
    uint32_t *rows = malloc(table->rows * sizeof *rows);
    table_demand(rows != NULL);
    for (size_t r = 0; r < table->rows; r++)
        rows[r] = (uint32_t)r;
    ramify_split_request request = {.rows = rows,
                                    .count = table->rows,
                                    .validation = 0.3,
                                    .group = &table->columns[0],
                                    .time = &table->columns[table->column_count - 1]};
    ramify_split *split = NULL;
    if (ramify_split_create(context, table, &request, &split) == RAMIFY_OK)
        table_demand(split->train_count + split->select_count + split->report_count == table->rows);
    ramify_split_destroy(context, &split);
    free(rows);
}

/* The last column is the target. */
static void check_schema(ramify_context *context, const ramify_table *table) {
    const char *target = table->columns[table->column_count - 1].name;
    ramify_schema *schema = NULL, *again = NULL;
    ramify_schema_request request = {.target = target};
    if (ramify_schema_infer(context, table, &request, &schema) != RAMIFY_OK)
        return;
    json_t *json = NULL;
    table_demand(ramify_schema_to_json(context, schema, &json) == RAMIFY_OK);
    table_demand(ramify_schema_from_json(context, json, &again) == RAMIFY_OK);
    json_decref(json);
    table_demand(ramify_schema_bytes(schema) == ramify_schema_bytes(again));
    check_match(context, table, again);
    ramify_schema_destroy(context, &schema);
    ramify_schema_destroy(context, &again);
}

void table_properties(const void *bytes, size_t size, const ramify_table_options *options) {
    ramify_context_options setup;
    ramify_context_options_init(&setup);
    setup.threads = 1;
    setup.memory_limit = UINT64_C(64) << 20;
    ramify_context *context = NULL;
    table_demand(ramify_context_create(&setup, &context) == RAMIFY_OK);
    ramify_table *table = NULL;
    ramify_status status = ramify_table_parse(context, bytes, size, "fuzz", options, &table);
    if (status == RAMIFY_OK) {
        check_table(table);
        check_schema(context, table);
        check_split(context, table);
    } else {
        table_demand(status == RAMIFY_ERROR_FORMAT || status == RAMIFY_ERROR_DATA ||
                     status == RAMIFY_ERROR_LIMIT || status == RAMIFY_ERROR_UNSUPPORTED);
        table_demand(table == NULL && ramify_message(context)[0] != '\0');
    }
    ramify_table_destroy(&table);
    ramify_context_destroy(&context);
}

void table_properties_behind(const void *start, size_t start_size, const void *bytes, size_t size,
                             const ramify_table_options *options) {
    uint8_t *joined = malloc(start_size + size);
    table_demand(joined != NULL);
    memcpy(joined, start, start_size);
    if (size > 0)
        memcpy(joined + start_size, bytes, size);
    table_properties(joined, start_size + size, options);
    free(joined);
}

#include "data_support.h"

#include <stdio.h>
#include <zlib.h>

/* Before each block stands its size. */
#define SIZE_ROOM _Alignof(max_align_t)

static void *count_allocate(void *user, size_t bytes) {
    data_world *world = user;
    if (++world->calls == world->refuse)
        return NULL;
    char *memory = malloc(bytes + SIZE_ROOM);
    if (!memory)
        return NULL;
    memcpy(memory, &bytes, sizeof bytes);
    world->blocks++;
    world->live += (int64_t)bytes;
    if (world->peak < world->live)
        world->peak = world->live;
    return memory + SIZE_ROOM;
}

static void count_release(void *user, void *memory) {
    data_world *world = user;
    char *start = (char *)memory - SIZE_ROOM;
    size_t bytes;
    memcpy(&bytes, start, sizeof bytes);
    world->blocks--;
    world->live -= (int64_t)bytes;
    free(start);
}

static void keep_log(void *user, ramify_log_level level, const char *message) {
    data_world *world = user;
    assert_int_equal(level, RAMIFY_LOG_WARNING);
    size_t used = strlen(world->log);
    snprintf(world->log + used, sizeof world->log - used, "%s\n", message);
}

static void create_context(data_world *world) {
    ramify_context_options options;
    ramify_context_options_init(&options);
    options.user = world;
    options.allocate = count_allocate;
    options.release = count_release;
    options.log = keep_log;
    options.memory_limit = world->memory_limit ? world->memory_limit : UINT64_C(1) << 30;
    options.threads = 1;
    assert_int_equal(ramify_context_create(&options, &world->context), RAMIFY_OK);
}

int data_world_setup(void **state) {
    data_world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    create_context(world);
    *state = world;
    return 0;
}

int data_world_teardown(void **state) {
    data_world *world = *state;
    ramify_context_destroy(&world->context);
    int left = world->blocks != 0;
    if (left)
        print_error("%lld blocks of memory are left\n", (long long)world->blocks);
    free(world);
    return left;
}

void data_world_limit(data_world *world, uint64_t bytes) {
    ramify_context_destroy(&world->context);
    world->memory_limit = bytes;
    create_context(world);
}

ramify_table *data_parse(data_world *world, const void *bytes, size_t size,
                         const ramify_table_options *options) {
    /* A copy of just this size, so that a sanitizer sees what reads past the end. */
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, bytes, size);
    ramify_table *table = NULL;
    ramify_status status = ramify_table_parse(world->context, copy, size, "t.csv", options, &table);
    free(copy);
    if (status != RAMIFY_OK)
        fail_msg("%s: %s", ramify_status_name(status), ramify_message(world->context));
    assert_string_equal(ramify_message(world->context), "");
    return table;
}

ramify_table *data_parse_text(data_world *world, const char *text,
                              const ramify_table_options *options) {
    return data_parse(world, text, strlen(text), options);
}

void data_refuse(data_world *world, const void *bytes, size_t size,
                 const ramify_table_options *options, ramify_status status, const char *message) {
    ramify_table *table = NULL;
    int64_t blocks = world->blocks;
    ramify_status got = ramify_table_parse(world->context, bytes, size, "t.csv", options, &table);
    assert_string_equal(ramify_message(world->context), message);
    assert_int_equal(got, status);
    assert_null(table);
    assert_int_equal(world->blocks, blocks);
}

void data_refuse_text(data_world *world, const char *text, const ramify_table_options *options,
                      const char *message) {
    data_refuse(world, text, strlen(text), options, RAMIFY_ERROR_DATA, message);
}

double data_value(const ramify_table *table, size_t c, size_t r) {
    assert_true(c < table->column_count && r < table->rows);
    assert_false(table->columns[c].text);
    return ramify_column_value(&table->columns[c], r);
}

const char *data_text(const ramify_table *table, size_t c, size_t r) {
    assert_true(c < table->column_count && r < table->rows);
    const ramify_column *column = &table->columns[c];
    assert_true(column->text);
    uint32_t code = column->codes[r];
    if (code == RAMIFY_TEXT_MISSING)
        return NULL;
    assert_true(code < column->text_count);
    return column->texts[code];
}

void data_refuse_each_allocation(data_world *world, data_action action, void *argument) {
    int64_t blocks = world->blocks;
    for (uint64_t n = 1;; n++) {
        assert_true(n < 10000);
        world->refuse = world->calls + n;
        ramify_clear(world->context);
        ramify_status status = action(world, argument);
        assert_int_equal(world->blocks, blocks);
        bool refused = world->calls >= world->refuse;
        world->refuse = 0;
        if (!refused) {
            assert_int_equal(status, RAMIFY_OK);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(status, RAMIFY_ERROR_MEMORY);
        assert_string_not_equal(ramify_message(world->context), "");
    }
}

void data_refuse_each_cut(data_world *world, const uint8_t *bytes, size_t size) {
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        ramify_table *table = NULL;
        int64_t blocks = world->blocks;
        ramify_status status = ramify_table_parse(world->context, copy, cut, "t.csv", NULL, &table);
        free(copy);
        assert_int_not_equal(status, RAMIFY_OK);
        assert_null(table);
        assert_string_not_equal(ramify_message(world->context), "");
        assert_int_equal(world->blocks, blocks);
    }
}

size_t data_gzip(const void *bytes, size_t size, uint8_t **packed) {
    z_stream stream = {0};
    assert_int_equal(
        deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    size_t room = deflateBound(&stream, size);
    *packed = malloc(room);
    assert_non_null(*packed);
    stream.next_in = (uint8_t *)(uintptr_t)bytes;
    stream.avail_in = (uInt)size;
    stream.next_out = *packed;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t used = room - stream.avail_out;
    deflateEnd(&stream);
    return used;
}
